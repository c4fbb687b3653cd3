/* SPDX-License-Identifier: MIT */
#include "camera-name.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_LENGTH 9 /* "-1a2b3c4d" */

enum {
	ATTRIBUTE_SIZE = 256, /* a USB string has at most 126 characters */
};

/* ---- names ---- */

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint32_t hash(const char *text)
{
	uint32_t value = 2166136261u;

	for (; *text != '\0'; text++)
		value = (value ^ (unsigned char)*text) * 16777619u;
	return value;
}

static int make_name(const char *text, char ret_name[static CAMERA_NAME_SIZE])
{
	char name[CAMERA_NAME_SIZE];
	size_t length = strlen(text);

	if (length > ADDRESS_NAME_MAX)
		length = ADDRESS_NAME_MAX - HASH_LENGTH;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		name[i] = isascii(c) && (isalnum(c) || strchr("_.-", c) != NULL) ? c : '_';
	}
	name[length] = '\0';
	if (text[length] != '\0')
		snprintf(name + length, HASH_LENGTH + 1, "-%08x", hash(text));
	if (!address_name_valid(name))
		return -ENOENT;
	strcpy(ret_name, name);
	return 0;
}

static int add_index(
	const struct camera_facts *facts, const char *text, char ret_name[static CAMERA_NAME_SIZE])
{
	char *indexed;
	int r;

	if (facts->index == 0)
		return make_name(text, ret_name);
	if (asprintf(&indexed, "%s-index%u", text, facts->index) < 0)
		return -ENOMEM;
	r = make_name(indexed, ret_name);
	free(indexed);
	return r;
}

int camera_name_by_id(const struct camera_facts *facts, char ret_name[static CAMERA_NAME_SIZE])
{
	char interface[16] = "", *text;
	int r;

	if (facts->bus == NULL || facts->serial == NULL)
		return -ENOENT;
	if (facts->interface != 0)
		snprintf(interface, sizeof interface, "-if%02x", facts->interface);
	if (asprintf(&text, "%s-%s%s", facts->bus, facts->serial, interface) < 0)
		return -ENOMEM;
	r = add_index(facts, text, ret_name);
	free(text);
	return r;
}

int camera_name_by_path(const struct camera_facts *facts, char ret_name[static CAMERA_NAME_SIZE])
{
	return facts->path != NULL ? add_index(facts, facts->path, ret_name) : -ENOENT;
}

/* ---- twins ---- */

/* Reads the first line of an attribute; "" if there is none. */
static void read_attribute(const char *folder, const char *attribute, char line[ATTRIBUTE_SIZE])
{
	char path[PATH_MAX];
	FILE *file;

	line[0] = '\0';
	if (snprintf(path, sizeof path, "%s/%s", folder, attribute) >= (int)sizeof path)
		return;
	file = fopen(path, "re");
	if (file == NULL)
		return;
	if (fgets(line, ATTRIBUTE_SIZE, file) != NULL)
		line[strcspn(line, "\n")] = '\0';
	else
		line[0] = '\0';
	fclose(file);
}

/* Attributes must be the same; where neither has the first, the second counts. */
static bool same_attribute(const char *a, const char *b, const char *attribute, const char *instead)
{
	char first[ATTRIBUTE_SIZE], second[ATTRIBUTE_SIZE];

	read_attribute(a, attribute, first);
	read_attribute(b, attribute, second);
	if (first[0] == '\0' && second[0] == '\0' && instead != NULL)
		return same_attribute(a, b, instead, NULL);
	return strcmp(first, second) == 0;
}

/* The folder of the device that a node belongs to: of USB cameras, the interface's. The caller's to
 * free(). */
static char *find_device(const char *sysfs, const char *node)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s/device", sysfs, node);
	return realpath(path, NULL);
}

/* Has the USB device of interface `a` what ID_SERIAL is made of (systemd's udev-builtin-usb_id.c)
 * in common with that of `b`? */
static bool same_id(const char *a, const char *b)
{
	char first[PATH_MAX], second[PATH_MAX], line[ATTRIBUTE_SIZE];

	snprintf(first, sizeof first, "%s/..", a);
	snprintf(second, sizeof second, "%s/..", b);
	read_attribute(first, "idVendor", line);
	return line[0] != '\0' && same_attribute(a, b, "bInterfaceNumber", NULL) &&
	       same_attribute(first, second, "manufacturer", "idVendor") &&
	       same_attribute(first, second, "product", "idProduct") &&
	       same_attribute(first, second, "serial", NULL);
}

static bool is_twin(const char *sysfs, const char *node, const char *device, const char *other)
{
	char first[PATH_MAX], second[PATH_MAX];
	char *other_device = find_device(sysfs, other);
	bool twin = false;

	if (other_device != NULL && strcmp(device, other_device) != 0) {
		snprintf(first, sizeof first, "%s/%s", sysfs, node);
		snprintf(second, sizeof second, "%s/%s", sysfs, other);
		twin = same_attribute(first, second, "index", NULL) &&
		       same_id(device, other_device);
	}
	free(other_device);
	return twin;
}

bool camera_has_twin(const char *sysfs, const char *node)
{
	char *device = find_device(sysfs, node);
	struct dirent *entry;
	bool twin = false;
	DIR *directory;

	if (device == NULL)
		return false;
	directory = opendir(sysfs);
	while (directory != NULL && !twin && (entry = readdir(directory)) != NULL)
		if (strncmp(entry->d_name, "video", strlen("video")) == 0)
			twin = is_twin(sysfs, node, device, entry->d_name);
	if (directory != NULL)
		closedir(directory);
	free(device);
	return twin;
}

/* ---- claims ---- */

struct claim {
	char owner[PATH_MAX]; /* the device; "": nobody */
	bool shared;          /* several cameras have this id: nobody else gets the name any more */
};

/* False: there is none. */
static bool claim_read(int folder, const char *name, struct claim *ret_claim)
{
	char line[sizeof ret_claim->owner];
	FILE *file;
	int fd;

	*ret_claim = (struct claim){0};
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	file = fdopen(fd, "r");
	if (file == NULL) {
		close(fd);
		return false;
	}
	if (fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		strcpy(ret_claim->owner, line);
	}
	ret_claim->shared = fgets(line, sizeof line, file) != NULL;
	fclose(file);
	return true;
}

static int claim_write(int folder, const char *name, const struct claim *claim)
{
	char part[CAMERA_NAME_SIZE + 1]; /* no camera's name begins with a '.' */
	int fd, r = 0;

	snprintf(part, sizeof part, ".%s", name);
	fd = openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%s\n%s", claim->owner, claim->shared ? "shared\n" : "") < 0)
		r = -EIO;
	close(fd);
	if (r == 0 && renameat(folder, part, folder, name) < 0)
		r = -errno;
	return r;
}

int camera_claim(const char *folder, const char *name, const char *device, bool twin)
{
	struct claim old, new;
	int fd, r = 0;
	bool claimed;

	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX) < 0) { /* udev works at several devices at a time */
		r = -errno;
		goto close_folder;
	}
	claimed = claim_read(fd, name, &old);
	new = old;
	new.shared |= twin;
	if (!claimed && !twin)
		snprintf(new.owner, sizeof new.owner, "%s", device);
	if (claimed && strcmp(old.owner, device) != 0) {
		new.shared |= old.owner[0] != '\0' && access(old.owner, F_OK) == 0;
		if (!new.shared) /* it has been put into another port */
			snprintf(new.owner, sizeof new.owner, "%s", device);
	}
	if (!claimed || new.shared != old.shared || strcmp(new.owner, old.owner) != 0)
		r = claim_write(fd, name, &new);
	if (r == 0 && strcmp(new.owner, device) != 0)
		r = CAMERA_CLAIM_TAKEN;

close_folder:
	close(fd);
	return r;
}
