/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SOURCE_V4L2_FORMAT_H
#define CAMTAP_DAEMON_SOURCE_V4L2_FORMAT_H

/*
 * Negotiation: pixel format, size and rate are exactly those that were asked for, or refused with
 * the list of what the device has. What was left out is chosen so:
 *
 *   - the largest picture that comes at V4L2_FORMAT_ENOUGH_RATE frames per second or more, else the
 * fastest one;
 *   - among equals the device's current pixel format, then MJPG, YUYV, NV12, then the device's
 * order;
 *   - of the rates at that size the fastest.
 *
 * Where a device can scale to any size in a range, its current size stands for all of them. Only
 * formats of format.h are used; a multi-planar device's NM12 counts as NV12, and so on.
 */

#include "format.h"
#include "source-v4l2-device.h"

#include <stdbool.h>
#include <stdint.h>

#define V4L2_FORMAT_ENOUGH_RATE 25 /* frames per second: as a film */

struct options;

/* What the device is set to. A frame lies in one memory plane, or, in the formats that V4L2 names
 * for it (NM12), each of its planes in one of its own. */
struct v4l2_choice {
	uint32_t fourcc; /* of what is in the planes: NV12 for NM12 */
	uint32_t width, height;
	uint32_t field, colorspace, ycbcr_enc, quantization, xfer_func;
	uint32_t memory_plane_count;
	struct {
		uint32_t sizeimage, bytesperline; /* bytes */
	} memory_planes[FORMAT_PLANES_MAX];
	uint32_t rate_numerator,
		rate_denominator; /* frames per second; 0/0: the driver does not say */
};

/* Does the open device have this format of format.h? One that only libv4l2's conversion makes
 * counts if that is on. */
bool v4l2_format_offered(const struct v4l2_device *device, uint32_t fourcc);

/* Chooses and sets format, size and rate of the open device. Takes fourcc, size and rate of the
 * options. -EINVAL: not to be had; *ret_choice is written on success only. */
int v4l2_format_negotiate(const struct v4l2_device *device, const struct options *options,
	struct v4l2_choice *ret_choice);

#endif
