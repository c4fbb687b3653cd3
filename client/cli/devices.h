/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_DEVICES_H
#define CAMTAP_CLI_DEVICES_H

/* The capture devices of this machine. */

#include <stddef.h>

struct device {
	char *path;   /* "/dev/video0" */
	char *name;   /* as the driver says it, made printable */
	char *stable; /* its link in /dev/v4l/by-id, or else by-path: stays the same; NULL: none */
	unsigned number;
};

struct devices {
	struct device *entries; /* sorted by number */
	size_t count;
};

/*
 * Finds the nodes that frames can be captured from: those of `sysfs` ("/sys/class/video4linux")
 * that the driver says so of. A node is opened for that question only (QUERYCAP), which starts no
 * camera; of one that may not be opened, the first of its device (index 0) is taken for one. `dev`
 * is "/dev". A machine without V4L2 has none. -ENOMEM.
 */
int devices_init(struct devices *ret_devices, const char *sysfs, const char *dev);
void devices_finish(struct devices *devices);

#endif
