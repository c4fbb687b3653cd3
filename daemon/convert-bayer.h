/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CONVERT_BAYER_H
#define CAMTAP_DAEMON_CONVERT_BAYER_H

/*
 * Bayer pictures to RGB by bilinear interpolation: a colour that a pixel lacks is the mean of the
 * two or four nearest pixels that have it, rounded half up at the sensor's precision; then the
 * highest 8 bits are taken. At the edges the picture goes on mirrored (pixel -1 is pixel 1), which
 * keeps the pattern.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
	BAYER_COLUMNS_MIN = 2, /* pixels; of lines as well: the mirror needs a neighbour */
};

struct bayer_picture {
	const uint8_t *data;
	uint32_t stride;        /* bytes */
	uint32_t width, height; /* pixels, at least 2 */
	uint32_t bits;          /* 8: in bytes; 9..16: in little-endian 16-bit words */
	uint32_t red_x, red_y;  /* 0 or 1: where red is in each 2x2 pixels */
};

/* True if the fourcc is a Bayer format of proto/format.c; then where its red is. */
bool bayer_find(uint32_t fourcc, uint32_t *ret_red_x, uint32_t *ret_red_y);

/* Bytes of working memory that bayer_to_xr24() needs. */
uint32_t bayer_memory(uint32_t width);

/* Converts the region to bytes B, G, R, 255. `memory`: bayer_memory(picture->width) bytes, aligned
 * to 2. */
void bayer_to_xr24(const struct bayer_picture *picture, uint32_t x, uint32_t y, uint32_t width,
	uint32_t height, void *memory, uint8_t *to, uint32_t stride);

#endif
