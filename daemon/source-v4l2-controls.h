/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SOURCE_V4L2_CONTROLS_H
#define CAMTAP_DAEMON_SOURCE_V4L2_CONTROLS_H

/*
 * The controls of a V4L2 device: listing and setting them on a device that is open. Any call can
 * take as long as the device likes. No state but the device's: any thread that owns `device`.
 *
 * A control is named as v4l2-ctl names it, and its value is text: a number (decimal, or hexadecimal
 * with 0x), 0 or 1 of a switch, the number of a menu's entry or its text, the text of a string.
 */

#include "control-list.h"

#include <stddef.h>
#include <stdint.h>

struct v4l2_device;

#define V4L2_CONTROLS_ERROR_SIZE 512

/* Writes v4l2-ctl's name of a control: the driver's in lower case, everything between letters and
 * digits as one '_', none at the ends. */
void v4l2_control_name(const char *description, char ret_name[static CONTROL_NAME_SIZE]);

/* The document of all controls and their values (JSON, see docs/protocol.md); the caller frees it.
 * Negative errno with a line in `error`. */
int v4l2_controls_document(const struct v4l2_device *device, const char *camera,
	char **ret_document, char error[static V4L2_CONTROLS_ERROR_SIZE]);

/* Sets a control. 0, or a negative errno with a line in `error` that says what is allowed:
 * -ENOENT there is none of that name; -EINVAL, -ERANGE no value of it; -EPERM it cannot be set
 * ever; -EOPNOTSUPP its value is no simple one; -EBUSY it cannot be set now (an automatic mode
 * decides it, or the stream needs it as it is); -ENODEV the device has gone; others are the
 * driver's. */
int v4l2_controls_set(const struct v4l2_device *device, const char *name, const char *value,
	char error[static V4L2_CONTROLS_ERROR_SIZE]);

/* Is it one that is pressed, not one that keeps a value? No, if there is none of that name. */
bool v4l2_controls_is_button(const struct v4l2_device *device, const char *name);

#endif
