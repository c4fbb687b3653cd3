/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_DEVICES_H
#define CAMTAP_CLI_DEVICES_H

/*
 * The V4L2 nodes of this machine, and which of them frames can be captured from.
 *
 * Opening a node can wake a camera or switch its light on, so that somebody believes to be watched.
 * So none is opened that sysfs and udev know enough of: udev asked each node once, when it
 * appeared. Left are
 *  - nodes that udev does not know, as in a container or without udev;
 *  - nodes of drivers that have v4l-subdev nodes, too: what udev keeps does not tell whether such
 *    a node works only after a media controller was set up (V4L2_CAP_IO_MC). These are parts of a
 *    system on a chip; uvcvideo, the driver of USB cameras, has no such nodes.
 */

#include "device-kind.h"

#include <stddef.h>
#include <sys/types.h>

struct device {
	char *path; /* "/dev/video0" */
	char *name; /* as the driver says it, made printable */
	enum device_kind kind;
	unsigned number; /* of its name: 0 */
	unsigned index;  /* among the nodes of its device */
	dev_t node;

	/* Links that lead to it, NULL: none. */
	char *by_id;
	char *by_path;
	char *named; /* /dev/camtap/NAME: camtap's rule for udev has given it this camera's name */
	/* The link that always leads to this camera, for the configuration: by_id; by_path if by_id
	 * is not sure to be this camera; NULL: there is none. One of these two. */
	const char *stable;
	/* Another node that claims the same by-id link, since both have the same serial number (or
	 * none): the link leads to either. NULL: there is none. Belongs to that entry. */
	const char *twin;

	char *serial; /* as udev says it; NULL: unknown */
	char *parent; /* folder of the device in sysfs; NULL: unknown */
};

struct devices {
	struct device *entries; /* sorted by number */
	size_t count;
};

/*
 * Finds the video nodes in `sysfs` ("/sys/class/video4linux"); `dev` is "/dev". A node that has to
 * be opened and may not be is taken for one that captures if it is the first of its device. A
 * machine without V4L2 has none. -ENOMEM.
 */
int devices_init(struct devices *ret_devices, const char *sysfs, const char *dev);
void devices_finish(struct devices *devices);

#endif
