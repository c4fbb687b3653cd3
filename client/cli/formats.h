/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_FORMATS_H
#define CAMTAP_CLI_FORMATS_H

/* What a V4L2 device can be asked for: pixel formats, their sizes, and the rates of these. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FORMATS_DESCRIPTION_SIZE = 64,
	FORMATS_ERROR_SIZE = 320,
};

/* Frames per second; 0/0: unknown. */
struct format_rate {
	uint32_t numerator, denominator;
};

/* A size, or, with `range`, all from the least one to the most one in steps. */
struct format_size {
	bool range;
	uint32_t width, height; /* the least ones */
	uint32_t width_most, height_most, width_step, height_step;
	/* Where sizes are a range, these are the rates of one of them: the device's current one, or
	 * the one next to it. 0: the driver does not say. */
	uint32_t rates_width, rates_height;
	bool rate_range;           /* any rate from the first to the second */
	struct format_rate *rates; /* as the driver lists them, mostly the fastest first */
	size_t rate_count;
};

struct format_offer {
	uint32_t fourcc;
	char description[FORMATS_DESCRIPTION_SIZE]; /* the driver's, made printable */
	/* What to ask camtapd for, which has all planes of a frame in one buffer: NV12, if this is
	 * NM12. 0: camtapd does not know it. */
	uint32_t pixel_format;
	bool emulated; /* made by libv4l2 out of one that the device has */
	struct format_size *sizes;
	size_t size_count; /* 0: the driver does not say */
};

struct formats {
	bool multiplanar;
	struct format_offer *offers; /* the device's own first */
	size_t offer_count;
	/* What the device is set to. */
	uint32_t fourcc, width, height; /* 0: unknown */
	struct format_rate rate;
};

/* Opens a capture device and asks it; nothing is set or started. Negative errno, and `error` has a
 * line for people; -ENOTSUP: it cannot be captured from. */
int formats_init(struct formats *ret_formats, const char *path, char error[FORMATS_ERROR_SIZE]);
void formats_finish(struct formats *formats);

bool format_size_equal(const struct format_size *a, const struct format_size *b);

double format_rate_value(struct format_rate rate);

#endif
