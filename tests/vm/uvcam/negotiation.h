/* SPDX-License-Identifier: MIT */

/*
 * How host and camera agree on a format: UVC 1.1, 4.3.1.1. The host writes what it wants into the
 * probe control and reads there what it gets; what it then writes into the commit control holds.
 */

#pragma once

#include "picture.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEGOTIATION_BYTES 34    /* UVC 1.1, table 4-75; 26 in UVC 1.0, 48 in 1.5 */
#define PAYLOAD_BYTES     16384 /* uvcvideo's transfers have at most 32 packets */

struct negotiation {
	bool has_mjpeg;
	uint8_t probe[NEGOTIATION_BYTES];
	uint8_t commit[NEGOTIATION_BYTES];
};

struct agreement {
	enum picture_format format;
	unsigned size;     /* index of picture_sizes */
	uint32_t interval; /* 100 ns */
};

void negotiation_reset(struct negotiation *negotiation, bool has_mjpeg);

/* SET_CUR of the probe control, or of the commit control. What there is not becomes the nearest
 * thing that there is. */
void negotiation_set(
	struct negotiation *negotiation, bool commit, const uint8_t *data, size_t bytes);

/* What was committed. */
struct agreement negotiation_result(const struct negotiation *negotiation);
