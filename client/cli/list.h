/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_LIST_H
#define CAMTAP_CLI_LIST_H

/* What `camtap list` found, and how it is shown. */

#include "camtap.h"
#include "devices.h"
#include "formats.h"
#include "holders.h"

#include <stdbool.h>

/* How a camera is captured from whose node needs a media controller set up: in the words of the
 * daemon, which refuses such a node. */
#define LIST_LIBCAMERA_SOURCE "exec:rpicam-vid --codec mjpeg -t 0 -n -o -"

/* Beside each entry of `devices`. */
struct listing_entry {
	bool shown; /* frames can be captured from it, and it was asked for */
	bool asked; /* `formats` is set */
	struct formats formats;
};

struct listing {
	struct camtap_list *cameras;
	struct devices devices;
	struct listing_entry *entries;
	struct holders holders; /* of the devices that are shown */
	bool named;             /* only some devices were asked for */
};

void list_print_text(const struct listing *listing);
void list_print_json(const struct listing *listing);

/* The camera's name of a socket; NULL: it is none of those that were found. */
const char *list_find_camera(const struct listing *listing, const char *socket);

/* The name that udev's rule has given to the camera at this node; NULL: none. It is the instance of
 * its service, camtapd@NAME. */
const char *list_camera_name(const struct device *device);

#endif
