/* SPDX-License-Identifier: MIT */

/* The test camera as a USB device: what goes over the cable, and whether there is one. */

#pragma once

#include "controls.h"
#include "descriptors.h"
#include "negotiation.h"
#include "stream.h"

#include <stdbool.h>

struct camera {
	struct identity identity;
	struct controls controls;
	struct negotiation negotiation;
	struct stream stream;
	unsigned port;
	int fd;                               /* the cable; -1: not plugged in */
	uint32_t requests;                    /* SET_CUR requests, failed ones included */
	unsigned stall_probes, stall_commits; /* how many of them are to fail */
};

/* All return a negative errno. */

/* -EBUSY: the port has a device, or the camera is plugged in. */
int camera_plug(struct camera *camera, unsigned port);

/* -ENODEV: it is not plugged in. */
int camera_unplug(struct camera *camera);

/* There is something to read from the cable. */
int camera_receive(struct camera *camera);
