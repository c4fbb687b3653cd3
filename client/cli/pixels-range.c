/* SPDX-License-Identifier: MIT */

/* Full range from limited range, one plane at a time: no matrix is involved. */

#include "pixels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/videodev2.h>

enum {
	VALUES = 256, /* of a sample */
};

bool pixels_is_full_range(const struct pixels *pixels)
{
	return pixels->quantization == V4L2_QUANTIZATION_FULL_RANGE;
}

/* What the luma plane's size is rounded up to: all of the chroma samples' pixels. */
static size_t whole_width(const struct pixels *pixels)
{
	size_t chroma_width = pixels_plane_width(pixels, 1);

	return pixels->layout == PIXELS_420 || pixels->layout == PIXELS_422 ? chroma_width * 2
									    : chroma_width;
}

static size_t whole_height(const struct pixels *pixels)
{
	size_t chroma_height = pixels_plane_height(pixels, 1);

	return pixels->layout == PIXELS_420 ? chroma_height * 2 : chroma_height;
}

bool pixels_has_whole_groups(const struct pixels *pixels)
{
	return pixels->width == whole_width(pixels) && pixels->height == whole_height(pixels);
}

static void fill_table(uint8_t table[VALUES], double zero, double scale, double new_zero)
{
	for (int value = 0; value < VALUES; value++) {
		double full = (value - zero) * scale + new_zero;

		table[value] = full < 0 ? 0 : full > 255 ? 255 : (uint8_t)(full + 0.5);
	}
}

static void copy_plane(uint8_t *to, size_t width, size_t height, const struct pixels *from,
	unsigned plane, const uint8_t table[VALUES])
{
	size_t there = pixels_plane_width(from, plane), rows = pixels_plane_height(from, plane);

	for (size_t y = 0; y < height; y++, to += width) {
		const uint8_t *line = from->planes[plane].data +
				      (y < rows ? y : rows - 1) * from->planes[plane].stride;

		for (size_t x = 0; x < there; x++)
			to[x] = table[line[x]];
		memset(to + there, to[there - 1], width - there);
	}
}

int pixels_init_full_range(
	struct pixels *ret_pixels, const struct pixels *from, char error[IMAGE_ERROR_SIZE])
{
	bool full = pixels_is_full_range(from);
	struct pixels pixels = *from;
	uint8_t table[VALUES], *to;
	size_t widths[3], heights[3], size = 0;

	for (unsigned i = 0; i < 3; i++) {
		widths[i] = i == 0 ? whole_width(from) : pixels_plane_width(from, i);
		heights[i] = i == 0 ? whole_height(from) : pixels_plane_height(from, i);
		size += widths[i] * heights[i];
	}
	pixels.memory = to = malloc(size);
	if (!to)
		return image_fail(error, -ENOMEM, "no memory for a picture of %ux%u", from->width,
			from->height);
	pixels.quantization = V4L2_QUANTIZATION_FULL_RANGE;
	for (unsigned i = 0; i < 3; i++) {
		if (full)
			fill_table(table, 0, 1, 0);
		else if (i == 0)
			fill_table(table, 16, 255.0 / 219, 0);
		else
			fill_table(table, 128, 255.0 / 224, 128);
		copy_plane(to, widths[i], heights[i], from, i, table);
		pixels.planes[i] = (struct pixels_plane){to, widths[i]};
		to += widths[i] * heights[i];
	}
	*ret_pixels = pixels;
	return 0;
}
