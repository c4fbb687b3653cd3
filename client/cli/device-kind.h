/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_DEVICE_KIND_H
#define CAMTAP_CLI_DEVICE_KIND_H

/* Which nodes frames can be captured from: for `camtap list`, and for udev's rule, which gives a
 * camera only to these (systemd/). */

#include <stdint.h>

enum device_kind {
	DEVICE_CAPTURE,          /* frames can be captured from it */
	DEVICE_MEDIA_CONTROLLER, /* only after somebody set up its media controller: by libcamera */
	DEVICE_OTHER,            /* metadata, output, codec, ... */
};

/* What kind of node has these capabilities (V4L2_CAP_...). */
enum device_kind device_kind_of(uint32_t capabilities);

#endif
