/* SPDX-License-Identifier: MIT */
#include "devices.h"

#include "terminal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/videodev2.h>

enum {
	LINE_SIZE = 128,
};

/* Reads the first line of an attribute; "" if there is none. */
static void read_attribute(
	const char *sysfs, const char *node, const char *attribute, char line[LINE_SIZE])
{
	char path[PATH_MAX];
	FILE *file;

	line[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s/%s", sysfs, node, attribute);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(line, LINE_SIZE, file))
		line[strcspn(line, "\n")] = '\0';
	else
		line[0] = '\0';
	fclose(file);
}

/* What the driver says; `fallback` if it cannot be asked. Not memory-to-memory devices, metadata,
 * or nodes that only a media controller can set up (V4L2_CAP_IO_MC). */
static bool can_capture(const char *path, bool fallback)
{
	struct v4l2_capability capability = {};
	uint32_t capabilities;
	int fd, r;

	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return fallback;
	r = ioctl(fd, VIDIOC_QUERYCAP, &capability);
	close(fd);
	if (r < 0)
		return fallback;
	capabilities = capability.capabilities & V4L2_CAP_DEVICE_CAPS ? capability.device_caps
								      : capability.capabilities;
	return capabilities & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE) &&
	       capabilities & V4L2_CAP_STREAMING && !(capabilities & V4L2_CAP_IO_MC);
}

/* The link in `folder` that leads to the node; NULL if there is none. The caller's to free(). */
static char *find_link(const char *folder, const char *node)
{
	char target[PATH_MAX], *found = NULL;
	struct dirent *entry;
	DIR *directory = opendir(folder);

	if (!directory)
		return NULL;
	while (!found && (entry = readdir(directory))) {
		ssize_t length =
			readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
		const char *base;

		if (length < 0)
			continue;
		target[length] = '\0';
		base = strrchr(target, '/');
		if (strcmp(base ? base + 1 : target, node) != 0)
			continue;
		if (asprintf(&found, "%s/%s", folder, entry->d_name) < 0)
			found = NULL;
	}
	closedir(directory);
	return found;
}

static char *find_stable(const char *dev, const char *node)
{
	char folder[PATH_MAX], *found;

	snprintf(folder, sizeof(folder), "%s/v4l/by-id", dev);
	found = find_link(folder, node);
	if (found)
		return found;
	snprintf(folder, sizeof(folder), "%s/v4l/by-path", dev);
	return find_link(folder, node);
}

static int append(struct devices *devices, const struct device *device)
{
	struct device *entries =
		reallocarray(devices->entries, devices->count + 1, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	devices->entries = entries;
	entries[devices->count++] = *device;
	return 0;
}

static int add_node(struct devices *devices, const char *sysfs, const char *dev, const char *node)
{
	char name[LINE_SIZE], index[LINE_SIZE];
	struct device device = {};

	if (sscanf(node, "video%u", &device.number) != 1)
		return 0;
	read_attribute(sysfs, node, "name", name);
	read_attribute(sysfs, node, "index", index);
	if (asprintf(&device.path, "%s/%s", dev, node) < 0)
		return -ENOMEM;
	if (!can_capture(device.path, strcmp(index, "0") == 0)) {
		free(device.path);
		return 0;
	}
	device.name = strdup(terminal_printable(name));
	device.stable = find_stable(dev, node);
	if (!device.name || append(devices, &device) < 0) {
		free(device.path);
		free(device.name);
		free(device.stable);
		return -ENOMEM;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct device *first = a, *second = b;

	return (first->number > second->number) - (first->number < second->number);
}

int devices_init(struct devices *ret_devices, const char *sysfs, const char *dev)
{
	struct devices devices = {};
	struct dirent *entry;
	DIR *directory = opendir(sysfs);
	int r = 0;

	while (directory && r == 0 && (entry = readdir(directory)))
		r = add_node(&devices, sysfs, dev, entry->d_name);
	if (directory)
		closedir(directory);
	if (r < 0) {
		devices_finish(&devices);
		return r;
	}
	if (devices.count > 0)
		qsort(devices.entries, devices.count, sizeof(*devices.entries), compare);
	*ret_devices = devices;
	return 0;
}

void devices_finish(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		free(devices->entries[i].path);
		free(devices->entries[i].name);
		free(devices->entries[i].stable);
	}
	free(devices->entries);
	*devices = (struct devices){};
}
