/* SPDX-License-Identifier: MIT */
#include "source-v4l2-input.h"

#include "source.h"

#include <errno.h>
#include <string.h>

static int no_signal(const struct v4l2_device *device, int error)
{
	switch (error) {
	case -ENOLINK:
	case -ENODATA:
		return source_fail(device->source, -ENOLINK,
			"%s: no signal at its input: is the cable plugged in, and the other end "
			"on?",
			device->path);
	case -ENOLCK:
		return source_fail(device->source, -ENOLINK,
			"%s: an unstable signal at its input: try another cable", device->path);
	case -ERANGE:
		return source_fail(device->source, -ENOLINK,
			"%s: a signal at its input that it cannot receive: set the other end to a "
			"smaller picture or a lower rate",
			device->path);
	default:
		return 0; /* it cannot tell: as it is set */
	}
}

static int follow_timings(const struct v4l2_device *device)
{
	struct v4l2_dv_timings current = {0}, seen = {0};
	int r;

	r = v4l2_device_ioctl(device, VIDIOC_QUERY_DV_TIMINGS, &seen);
	if (r < 0)
		return no_signal(device, r);
	if (v4l2_device_ioctl(device, VIDIOC_G_DV_TIMINGS, &current) == 0 &&
		current.bt.width == seen.bt.width && current.bt.height == seen.bt.height &&
		current.bt.interlaced == seen.bt.interlaced &&
		current.bt.pixelclock == seen.bt.pixelclock)
		return 0; /* setting them would reset the format */
	r = v4l2_device_ioctl(device, VIDIOC_S_DV_TIMINGS, &seen);
	return r < 0 ? v4l2_device_fail(device, r, "setting it to the signal's timings") : 0;
}

static int follow_standard(const struct v4l2_device *device)
{
	v4l2_std_id current = 0, seen = V4L2_STD_ALL;
	int r;

	r = v4l2_device_ioctl(device, VIDIOC_QUERYSTD, &seen);
	if (r < 0)
		return no_signal(device, r);
	if (seen == V4L2_STD_UNKNOWN)
		return no_signal(device, -ENOLINK);
	if (v4l2_device_ioctl(device, VIDIOC_G_STD, &current) == 0 && (current & seen) != 0)
		return 0;
	r = v4l2_device_ioctl(device, VIDIOC_S_STD, &seen);
	return r < 0 ? v4l2_device_fail(device, r, "setting it to the signal's standard") : 0;
}

int v4l2_input_follow_signal(struct v4l2_device *device)
{
	/* by the number of the input: 0 would be another one's (VIDIOC_SUBSCRIBE_EVENT) */
	struct v4l2_event_subscription subscription = {.type = V4L2_EVENT_SOURCE_CHANGE};
	struct v4l2_input input = {0};
	int number = 0, r = 0;

	if (v4l2_device_ioctl(device, VIDIOC_G_INPUT, &number) == 0 && number >= 0)
		input.index = subscription.id = (uint32_t)number;
	/* before the signal is looked at: what changes later is told */
	device->events = v4l2_device_ioctl(device, VIDIOC_SUBSCRIBE_EVENT, &subscription) == 0;
	if (v4l2_device_ioctl(device, VIDIOC_ENUMINPUT, &input) < 0)
		return 0;
	if (input.capabilities & V4L2_IN_CAP_DV_TIMINGS)
		r = follow_timings(device);
	else if (input.capabilities & V4L2_IN_CAP_STD)
		r = follow_standard(device);
	return r;
}

bool v4l2_input_has_changed(struct v4l2_device *device)
{
	struct v4l2_event event;
	bool changed = false;
	int r;

	while ((r = v4l2_device_ioctl(device, VIDIOC_DQEVENT, &event)) == 0) {
		if (event.type == V4L2_EVENT_SOURCE_CHANGE &&
			event.u.src_change.changes & V4L2_EVENT_SRC_CH_RESOLUTION)
			changed = true;
		if (event.pending == 0)
			return changed;
		memset(&event, 0, sizeof event);
	}
	/* it wakes us and has nothing to say: that would go on for ever */
	if (!changed)
		device->events = false;
	return changed;
}
