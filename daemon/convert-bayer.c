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

/* The lines around a pixel; its own is line[i]. */
struct neighbours {
	const uint16_t *above, *line, *below;
};

static inline uint32_t mean_of_cross(const struct neighbours *at, uint32_t i)
{
	return (at->above[i] + at->line[i - 1] + at->line[i + 1] + at->below[i] + 2u) >> 2;
}

static inline uint32_t mean_of_corners(const struct neighbours *at, uint32_t i)
{
	return (at->above[i - 1] + at->above[i + 1] + at->below[i - 1] + at->below[i + 1] + 2u) >>
	       2;
}

static inline uint32_t mean_of_row(const struct neighbours *at, uint32_t i)
{
	return (at->line[i - 1] + at->line[i + 1] + 1u) >> 1;
}

static inline uint32_t mean_of_column(const struct neighbours *at, uint32_t i)
{
	return (at->above[i] + at->below[i] + 1u) >> 1;
}

static inline void put_pixel(
	uint8_t *to, uint32_t blue, uint32_t green, uint32_t red, uint32_t shift)
{
	to[0] = (uint8_t)(blue >> shift);
	to[1] = (uint8_t)(green >> shift);
	to[2] = (uint8_t)(red >> shift);
	to[3] = 255;
}

/* A line of red and green pixels by turns; red_x says which is first. */
static void convert_red_line(const struct neighbours *at, uint32_t x, uint32_t width,
	uint32_t red_x, uint32_t shift, uint8_t *to)
{
	uint32_t i = x + 1, end = x + 1 + width;

	if ((x & 1) != red_x) {
		put_pixel(to, mean_of_column(at, i), at->line[i], mean_of_row(at, i), shift);
		to += 4;
		i++;
	}
	for (; i + 1 < end; i += 2, to += 8) {
		put_pixel(to, mean_of_corners(at, i), mean_of_cross(at, i), at->line[i], shift);
		put_pixel(to + 4, mean_of_column(at, i + 1), at->line[i + 1],
			mean_of_row(at, i + 1), shift);
	}
	if (i < end)
		put_pixel(to, mean_of_corners(at, i), mean_of_cross(at, i), at->line[i], shift);
}

/* A line of blue and green pixels. */
static void convert_blue_line(const struct neighbours *at, uint32_t x, uint32_t width,
	uint32_t blue_x, uint32_t shift, uint8_t *to)
{
	uint32_t i = x + 1, end = x + 1 + width;

	if ((x & 1) != blue_x) {
		put_pixel(to, mean_of_row(at, i), at->line[i], mean_of_column(at, i), shift);
		to += 4;
		i++;
	}
	for (; i + 1 < end; i += 2, to += 8) {
		put_pixel(to, at->line[i], mean_of_cross(at, i), mean_of_corners(at, i), shift);
		put_pixel(to + 4, mean_of_row(at, i + 1), at->line[i + 1],
			mean_of_column(at, i + 1), shift);
	}
	if (i < end)
		put_pixel(to, at->line[i], mean_of_cross(at, i), mean_of_corners(at, i), shift);
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
		struct neighbours at = {lines[0], lines[1], lines[2]};
		uint8_t *line = to + (size_t)(row - y) * stride;
		uint16_t *oldest = lines[0];

		read_line(picture, (int64_t)row + 1, lines[2]);
		if ((row & 1) == picture->red_y)
			convert_red_line(&at, x, width, picture->red_x, picture->bits - 8, line);
		else
			convert_blue_line(
				&at, x, width, 1 - picture->red_x, picture->bits - 8, line);
		lines[0] = lines[1];
		lines[1] = lines[2];
		lines[2] = oldest;
	}
}
