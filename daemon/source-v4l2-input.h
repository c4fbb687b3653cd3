/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SOURCE_V4L2_INPUT_H
#define CAMTAP_DAEMON_SOURCE_V4L2_INPUT_H

/*
 * What comes in at the device's input: an HDMI receiver has to be set to the timings of its signal,
 * an analogue one to the standard, and both say by V4L2_EVENT_SOURCE_CHANGE when another signal
 * comes. Webcams have none of it.
 */

#include "source-v4l2-device.h"

/* Sets the receiver to the signal that it has now, before the format is negotiated, and asks to be
 * told when that changes (device->events). -ENOLINK: no signal; the line for people is written. */
int v4l2_input_follow_signal(struct v4l2_device *device);

/* Takes the events that wait. True: another signal has come (or has gone). */
bool v4l2_input_has_changed(struct v4l2_device *device);

#endif
