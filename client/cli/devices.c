/* SPDX-License-Identifier: MIT */
#include "devices.h"

#include "node.h"
#include "terminal.h"
#include "udev.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	LINE_SIZE = 128,
};

/* Where things are, and what is collected on the way. */
struct search {
	const char *sysfs, *dev;
	struct devices devices;
	/* Devices whose driver has v4l-subdev nodes: their folders in sysfs. */
	char **subdev_parents;
	size_t subdev_count;
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

/* The device of a node, as the path of its folder in sysfs; NULL: unknown. The caller's to free().
 */
static char *find_parent(const char *sysfs, const char *node)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/device", sysfs, node);
	return realpath(path, NULL);
}

/* The link in `folder` that leads to the node; NULL if there is none. The caller's to free(). */
static char *find_link(const char *dev, const char *folder, const char *node)
{
	char path[PATH_MAX], target[PATH_MAX], *found = NULL;
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/%s", dev, folder);
	directory = opendir(path);
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
		if (asprintf(&found, "%s/%s", path, entry->d_name) < 0)
			found = NULL;
	}
	closedir(directory);
	return found;
}

/* ---- what can it do? ---- */

static bool has_subdevs(const struct search *search, const struct device *device)
{
	for (size_t i = 0; device->parent && i < search->subdev_count; i++)
		if (strcmp(search->subdev_parents[i], device->parent) == 0)
			return true;
	return false;
}

/* `told`: udev's ID_V4L_CAPABILITIES, NULL if it does not say. */
static enum device_kind find_kind(
	const struct search *search, const struct device *device, const char *told)
{
	bool composed = has_subdevs(search, device);
	uint32_t capabilities;

	if (told && !strstr(told, ":capture:"))
		return DEVICE_OTHER;
	if (told && !composed)
		return DEVICE_CAPTURE;
	if (node_ask_capabilities(device->path, &capabilities) == 0)
		return device_kind_of(capabilities);
	if (composed)
		return DEVICE_MEDIA_CONTROLLER;
	return device->index == 0 ? DEVICE_CAPTURE : DEVICE_OTHER;
}

/* ---- collecting ---- */

static void device_finish(struct device *device)
{
	free(device->path);
	free(device->name);
	free(device->by_id);
	free(device->by_path);
	free(device->named);
	free(device->serial);
	free(device->parent);
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

static int add_subdev(struct search *search, const char *node)
{
	char *parent = find_parent(search->sysfs, node), **parents;

	if (!parent)
		return 0;
	parents = reallocarray(search->subdev_parents, search->subdev_count + 1, sizeof(*parents));
	if (!parents) {
		free(parent);
		return -ENOMEM;
	}
	search->subdev_parents = parents;
	parents[search->subdev_count++] = parent;
	return 0;
}

/* What sysfs knows of a video node; nothing is decided yet. */
static int add_video(struct search *search, const char *node, unsigned number)
{
	char name[LINE_SIZE], index[LINE_SIZE], node_number[LINE_SIZE];
	struct device device = {.number = number};
	unsigned major_number, minor_number;

	read_attribute(search->sysfs, node, "name", name);
	read_attribute(search->sysfs, node, "index", index);
	read_attribute(search->sysfs, node, "dev", node_number);
	device.index = (unsigned)strtoul(index, NULL, 10);
	if (sscanf(node_number, "%u:%u", &major_number, &minor_number) == 2)
		device.node = makedev(major_number, minor_number);
	if (asprintf(&device.path, "%s/%s", search->dev, node) < 0)
		device.path = NULL;
	device.name = strdup(terminal_printable(name));
	device.parent = find_parent(search->sysfs, node);
	device.by_id = find_link(search->dev, "v4l/by-id", node);
	device.by_path = find_link(search->dev, "v4l/by-path", node);
	device.named = find_link(search->dev, "camtap", node);
	if (!device.path || !device.name || append(&search->devices, &device) < 0) {
		device_finish(&device);
		return -ENOMEM;
	}
	return 0;
}

static int add_node(struct search *search, const char *node)
{
	unsigned number;

	if (sscanf(node, "video%u", &number) == 1)
		return add_video(search, node, number);
	if (strncmp(node, "v4l-subdev", strlen("v4l-subdev")) == 0)
		return add_subdev(search, node);
	return 0;
}

static int complete(const struct search *search, struct device *device)
{
	struct udev_record record;
	char node[LINE_SIZE];
	int r;

	snprintf(node, sizeof(node), "video%u", device->number);
	r = udev_find(node, &record);
	if (r < 0)
		return r;
	device->kind = find_kind(search, device, record.capabilities);
	device->serial = record.serial;
	record.serial = NULL;
	udev_record_finish(&record);
	return 0;
}

/* udev names by-id links after ID_SERIAL and index: another node that has the same takes the link,
 * or has it taken. */
static const char *find_twin(const struct devices *devices, const struct device *device)
{
	for (size_t i = 0; device->serial && i < devices->count; i++) {
		const struct device *other = &devices->entries[i];

		if (other != device && other->serial && other->index == device->index &&
			strcmp(other->serial, device->serial) == 0)
			return other->path;
	}
	return NULL;
}

static void choose_stable(struct device *device)
{
	if (device->by_id && !device->twin)
		device->stable = device->by_id;
	else
		device->stable = device->by_path;
}

static int compare(const void *a, const void *b)
{
	const struct device *first = a, *second = b;

	return (first->number > second->number) - (first->number < second->number);
}

int devices_init(struct devices *ret_devices, const char *sysfs, const char *dev)
{
	struct search search = {.sysfs = sysfs, .dev = dev};
	struct devices *devices = &search.devices;
	struct dirent *entry;
	DIR *directory = opendir(sysfs);
	int r = 0;

	while (directory && r == 0 && (entry = readdir(directory)))
		r = add_node(&search, entry->d_name);
	if (directory)
		closedir(directory);
	for (size_t i = 0; r == 0 && i < devices->count; i++)
		r = complete(&search, &devices->entries[i]);
	for (size_t i = 0; i < search.subdev_count; i++)
		free(search.subdev_parents[i]);
	free(search.subdev_parents);
	if (r < 0) {
		devices_finish(devices);
		return r;
	}
	if (devices->count > 0)
		qsort(devices->entries, devices->count, sizeof(*devices->entries), compare);
	for (size_t i = 0; i < devices->count; i++) {
		devices->entries[i].twin = find_twin(devices, &devices->entries[i]);
		choose_stable(&devices->entries[i]);
	}
	*ret_devices = *devices;
	return 0;
}

void devices_finish(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		device_finish(&devices->entries[i]);
	free(devices->entries);
	*devices = (struct devices){};
}
