/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SOURCE_V4L2_DEVICE_H
#define CAMTAP_DAEMON_SOURCE_V4L2_DEVICE_H

/*
 * A V4L2 device node, opened through libv4l2: is it one that frames can be captured from, and what
 * its errors mean. All functions belong to the capture thread.
 *
 * Functions that can fail return a negative errno and leave the line for people in source->error.
 */

#include <linux/videodev2.h>
#include <stdbool.h>
#include <stdint.h>

struct source;

struct v4l2_device {
	struct source *source; /* whose error text is written; set by the caller */
	const char *path;      /* likewise */
	int fd;                /* -1: closed */
	uint32_t type;         /* enum v4l2_buf_type: VIDEO_CAPTURE or VIDEO_CAPTURE_MPLANE */
	bool conversion;       /* libv4l2 makes formats that the device has not */
	bool events;           /* POLLPRI: v4l2_input_has_changed() should look */
};

/* A frame may lie in several memory planes, and bytes may precede it there. */
static inline bool v4l2_device_is_multiplanar(const struct v4l2_device *device)
{
	return device->type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
}

/* Opens the node: non-blocking, close-on-exec, with libv4l2's conversion or without. Refuses what
 * cannot be captured from with a line that says what it is and what works instead. libv4l2 converts
 * nothing for multi-planar devices: `conversion` is ignored there. */
int v4l2_device_open(struct v4l2_device *device, bool conversion);
void v4l2_device_close(struct v4l2_device *device);

/* ioctl() that returns a negative errno, goes on after a signal, and writes no error text. */
int v4l2_device_ioctl(const struct v4l2_device *device, unsigned long request, void *argument);

/* Explains an error of an ioctl: of `doing` ("starting the stream"), where the errno does not speak
 * for itself. Returns `error`. */
int v4l2_device_fail(const struct v4l2_device *device, int error, const char *doing);

#endif
