/* SPDX-License-Identifier: MIT */

/*
 * The picture controls of the test camera: brightness and contrast in its processing unit, exposure
 * in its camera terminal (UVC 1.1, 4.2.2). They change no picture; what is set is remembered until
 * the camera is unplugged, as in cameras without a memory of their own.
 */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bTerminalID and bUnitID of the descriptors. */
enum {
	UNIT_INTERFACE = 0,
	UNIT_CAMERA = 1,
	UNIT_PROCESSING = 2,
	UNIT_OUTPUT = 3,
};

enum {
	CONTROL_BRIGHTNESS,
	CONTROL_CONTRAST,
	CONTROL_EXPOSURE_MODE,
	CONTROL_EXPOSURE_TIME,
	CONTROLS,
};

struct controls {
	uint32_t values[CONTROLS];
	uint8_t last_error; /* bRequestErrorCode, UVC 1.1, table 4-7 */
};

/* As they are when the camera is plugged in. */
void controls_reset(struct controls *controls);

/* A class-specific request (UVC 1.1, 4.2) to a unit: request is UVC_GET_CUR or another one that
 * reads. Returns the bytes of the answer, at most 4; 0: STALL. */
size_t controls_get(struct controls *controls, uint8_t unit, uint8_t selector, uint8_t request,
	uint8_t *answer);

/* UVC_SET_CUR; false: STALL. */
bool controls_set(struct controls *controls, uint8_t unit, uint8_t selector, const uint8_t *data,
	size_t bytes);

/* "brightness=128 contrast=32 ...", in UVC's values. */
void controls_print(const struct controls *controls, char *text, size_t room);
