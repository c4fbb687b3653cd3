/* SPDX-License-Identifier: MIT */

#include "controls.h"

#include <inttypes.h>
#include <linux/usb/video.h>
#include <stdio.h>

/* UVC 1.1, table 4-7 */
enum {
	ERROR_NONE = 0x00,
	ERROR_WRONG_STATE = 0x02,
	ERROR_OUT_OF_RANGE = 0x04,
	ERROR_INVALID_UNIT = 0x05,
	ERROR_INVALID_CONTROL = 0x06,
	ERROR_INVALID_REQUEST = 0x07,
};

/* UVC 1.1, 4.2.2.1.2: a bitmap. Like many webcams, this one knows only two of the four modes. */
enum {
	EXPOSURE_MANUAL = 0x01,
	EXPOSURE_APERTURE_PRIORITY = 0x08, /* the camera chooses the time */
};

static const struct control {
	const char *name;
	uint8_t unit, selector, bytes;
	uint32_t minimum, maximum, step, preset;
} table[CONTROLS] = {
	[CONTROL_BRIGHTNESS] = {"brightness", UNIT_PROCESSING, UVC_PU_BRIGHTNESS_CONTROL, 2, 0, 255,
		1, 128},
	[CONTROL_CONTRAST] = {"contrast", UNIT_PROCESSING, UVC_PU_CONTRAST_CONTROL, 2, 0, 95, 1,
		32},
	/* The "step" of a bitmap is all modes that there are. */
	[CONTROL_EXPOSURE_MODE] = {"exposure_mode", UNIT_CAMERA, UVC_CT_AE_MODE_CONTROL, 1, 0, 0,
		EXPOSURE_MANUAL | EXPOSURE_APERTURE_PRIORITY, EXPOSURE_APERTURE_PRIORITY},
	[CONTROL_EXPOSURE_TIME] = {"exposure_time", UNIT_CAMERA,
		UVC_CT_EXPOSURE_TIME_ABSOLUTE_CONTROL, 4, 3, 2047, 1, 250}, /* 100 µs */
};

void controls_reset(struct controls *controls)
{
	*controls = (struct controls){.last_error = ERROR_NONE};
	for (unsigned i = 0; i < CONTROLS; i++)
		controls->values[i] = table[i].preset;
}

/* CONTROLS: there is none, and last_error says why. */
static unsigned find(struct controls *controls, uint8_t unit, uint8_t selector)
{
	for (unsigned i = 0; i < CONTROLS; i++)
		if (table[i].unit == unit && table[i].selector == selector)
			return i;
	controls->last_error = unit == UNIT_CAMERA || unit == UNIT_PROCESSING
				       ? ERROR_INVALID_CONTROL
				       : ERROR_INVALID_UNIT;
	return CONTROLS;
}

static bool is_disabled(const struct controls *controls, unsigned control)
{
	return control == CONTROL_EXPOSURE_TIME &&
	       controls->values[CONTROL_EXPOSURE_MODE] != EXPOSURE_MANUAL;
}

size_t controls_get(
	struct controls *controls, uint8_t unit, uint8_t selector, uint8_t request, uint8_t *answer)
{
	unsigned i;
	uint32_t value;

	if (unit == UNIT_INTERFACE && selector == UVC_VC_REQUEST_ERROR_CODE_CONTROL &&
		request == UVC_GET_CUR) {
		answer[0] = controls->last_error;
		controls->last_error = ERROR_NONE;
		return 1;
	}
	i = find(controls, unit, selector);
	if (i == CONTROLS)
		return 0;
	switch (request) {
	case UVC_GET_CUR:
		value = controls->values[i];
		break;
	case UVC_GET_MIN:
		value = table[i].minimum;
		break;
	case UVC_GET_MAX:
		value = table[i].maximum;
		break;
	case UVC_GET_RES:
		value = table[i].step;
		break;
	case UVC_GET_DEF:
		value = table[i].preset;
		break;
	case UVC_GET_INFO:
		answer[0] = UVC_CONTROL_CAP_GET | UVC_CONTROL_CAP_SET;
		if (is_disabled(controls, i))
			answer[0] |= UVC_CONTROL_CAP_DISABLED;
		controls->last_error = ERROR_NONE;
		return 1;
	default:
		controls->last_error = ERROR_INVALID_REQUEST;
		return 0;
	}
	for (unsigned byte = 0; byte < table[i].bytes; byte++)
		answer[byte] = (uint8_t)(value >> 8 * byte);
	controls->last_error = ERROR_NONE;
	return table[i].bytes;
}

static uint8_t check(const struct controls *controls, unsigned control, uint32_t value)
{
	const struct control *entry = &table[control];

	if (control == CONTROL_EXPOSURE_MODE)
		return value == EXPOSURE_MANUAL || value == EXPOSURE_APERTURE_PRIORITY
			       ? ERROR_NONE
			       : ERROR_OUT_OF_RANGE;
	if (is_disabled(controls, control)) /* UVC 1.1, 4.2.2.1.4 */
		return ERROR_WRONG_STATE;
	return value >= entry->minimum && value <= entry->maximum ? ERROR_NONE : ERROR_OUT_OF_RANGE;
}

bool controls_set(struct controls *controls, uint8_t unit, uint8_t selector, const uint8_t *data,
	size_t bytes)
{
	unsigned i = find(controls, unit, selector);
	uint32_t value = 0;

	if (i == CONTROLS)
		return false;
	if (bytes != table[i].bytes) {
		controls->last_error = ERROR_INVALID_REQUEST;
		return false;
	}
	for (unsigned byte = 0; byte < bytes; byte++)
		value |= (uint32_t)data[byte] << 8 * byte;
	controls->last_error = check(controls, i, value);
	if (controls->last_error != ERROR_NONE)
		return false;
	controls->values[i] = value;
	return true;
}

void controls_print(const struct controls *controls, char *text, size_t room)
{
	size_t at = 0;

	for (unsigned i = 0; i < CONTROLS && at < room; i++)
		at += (size_t)snprintf(text + at, room - at, "%s%s=%" PRIu32, i > 0 ? " " : "",
			table[i].name, controls->values[i]);
}
