/* SPDX-License-Identifier: MIT */
#include "convert-bayer.h"

#include <stddef.h>

#include <linux/videodev2.h>

enum {
	LINES = 3, /* the one being converted, and its neighbours */
};

bool bayer_find(uint32_t fourcc, uint32_t *ret_red_x, uint32_t *ret_red_y)
{
	switch (fourcc) {
	case V4L2_PIX_FMT_SRGGB8:
	case V4L2_PIX_FMT_SRGGB10:
	case V4L2_PIX_FMT_SRGGB12:
		*ret_red_x = 0;
		*ret_red_y = 0;
		return true;
	case V4L2_PIX_FMT_SGRBG8:
	case V4L2_PIX_FMT_SGRBG10:
	case V4L2_PIX_FMT_SGRBG12:
		*ret_red_x = 1;
		*ret_red_y = 0;
		return true;
	case V4L2_PIX_FMT_SGBRG8:
	case V4L2_PIX_FMT_SGBRG10:
	case V4L2_PIX_FMT_SGBRG12:
		*ret_red_x = 0;
		*ret_red_y = 1;
		return true;
	case V4L2_PIX_FMT_SBGGR8:
	case V4L2_PIX_FMT_SBGGR10:
	case V4L2_PIX_FMT_SBGGR12:
		*ret_red_x = 1;
		*ret_red_y = 1;
		return true;
	}
	return false;
}

uint32_t bayer_memory(uint32_t width)
{
	return LINES * (width + 2) * (uint32_t)sizeof(uint16_t);
}

/* Samples of a line at line[1..width], with the mirrored ones beside them. */
static void read_line(const struct bayer_picture *picture, int64_t y, uint16_t *line)
{
	uint32_t width = picture->width, most = (1u << picture->bits) - 1;
	const uint8_t *from;

	if (y < 0)
		y = -y;
	if (y >= picture->height)
		y = 2 * ((int64_t)picture->height - 1) - y;
	from = picture->data + (size_t)y * picture->stride;
	if (picture->bits == 8) {
		for (uint32_t x = 0; x < width; x++)
			line[1 + x] = from[x];
	} else {
		for (uint32_t x = 0; x < width; x++) {
			uint32_t value = from[2 * x] | (uint32_t)from[2 * x + 1] << 8;

			line[1 + x] = (uint16_t)(value < most ? value : most);
		}
	}
	line[0] = line[2];
	line[1 + width] = line[width - 1];
}

/* A line whose pixels are by turns of one colour ("own": red or blue) and green. `other` is blue or
 * red, of which the lines above and below have some. own_byte: its place in the result. */
static void convert_line(const uint16_t *above, const uint16_t *line, const uint16_t *below,
	uint32_t x, uint32_t width, uint32_t own_x, uint32_t own_byte, uint32_t shift, uint8_t *to)
{
	for (uint32_t i = x + 1; i <= x + width; i++, to += 4) {
		uint32_t own, green, other;

		if (((i - 1) & 1) == own_x) {
			own = line[i];
			green = (above[i] + line[i - 1] + line[i + 1] + below[i] + 2u) >> 2;
			other = (above[i - 1] + above[i + 1] + below[i - 1] + below[i + 1] + 2u) >>
				2;
		} else {
			own = (line[i - 1] + line[i + 1] + 1u) >> 1;
			green = line[i];
			other = (above[i] + below[i] + 1u) >> 1;
		}
		to[own_byte] = (uint8_t)(own >> shift);
		to[1] = (uint8_t)(green >> shift);
		to[2 - own_byte] = (uint8_t)(other >> shift);
		to[3] = 255;
	}
}

void bayer_to_xr24(const struct bayer_picture *picture, uint32_t x, uint32_t y, uint32_t width,
	uint32_t height, void *memory, uint8_t *to, uint32_t stride)
{
	uint16_t *lines[LINES];

	for (int i = 0; i < LINES; i++)
		lines[i] = (uint16_t *)memory + (size_t)i * (picture->width + 2);
	read_line(picture, (int64_t)y - 1, lines[0]);
	read_line(picture, y, lines[1]);
	for (uint32_t row = y; row < y + height; row++) {
		bool red = (row & 1) == picture->red_y;
		uint16_t *oldest = lines[0];

		read_line(picture, (int64_t)row + 1, lines[2]);
		convert_line(lines[0], lines[1], lines[2], x, width,
			red ? picture->red_x : 1 - picture->red_x, red ? 2 : 0, picture->bits - 8,
			to + (size_t)(row - y) * stride);
		lines[0] = lines[1];
		lines[1] = lines[2];
		lines[2] = oldest;
	}
}
