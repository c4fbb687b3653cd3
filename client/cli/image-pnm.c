/* SPDX-License-Identifier: MIT */

/* ppm: PPM for colour, PGM for grey (ppm(5), pgm(5)). Samples of more than 8 bits take two bytes,
 * the upper first, and keep their values: the header's maximum says how many bits there are (1023
 * for Y10). */

#include "image.h"
#include "pixels.h"

#include <errno.h>

static int append_samples(struct buffer *buffer, const struct pixels *pixels)
{
	size_t line_size = (size_t)pixels->width * (pixels->layout == PIXELS_RGB ? 3 : 1);
	const uint16_t *samples = (const uint16_t *)(const void *)pixels->planes[0].data;
	size_t count = (size_t)pixels->width * pixels->height;
	uint8_t *room;
	int r;

	if (pixels->layout == PIXELS_GREY16) {
		r = buffer_extend(buffer, count * 2, &room);
		for (size_t i = 0; r == 0 && i < count; i++) {
			room[2 * i] = (uint8_t)(samples[i] >> 8);
			room[2 * i + 1] = (uint8_t)samples[i];
		}
		return r;
	}
	for (size_t y = 0; y < pixels->height; y++) {
		r = buffer_append(
			buffer, pixels->planes[0].data + y * pixels->planes[0].stride, line_size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int encode(const struct image *image, int quality, struct encoded *ret_encoded,
	char error[IMAGE_ERROR_SIZE])
{
	struct buffer *body = &ret_encoded->body;
	struct pixels pixels;
	bool colour;
	int r;

	(void)quality;
	encoded_clear(ret_encoded);
	r = pixels_init_rgb(&pixels, image, error);
	if (r < 0)
		return r;
	colour = pixels.layout == PIXELS_RGB;
	ret_encoded->extension = colour ? "ppm" : "pgm";
	r = buffer_print(body, "P%c\n", colour ? '6' : '5');
	if (r == 0 && image->comment)
		r = buffer_print(body, "# %s\n", image->comment);
	if (r == 0)
		r = buffer_print(
			body, "%u %u\n%u\n", pixels.width, pixels.height, (1u << pixels.bits) - 1);
	if (r == 0)
		r = append_samples(body, &pixels);
	if (r < 0)
		image_fail(error, r, "no memory for a picture");
	pixels_finish(&pixels);
	return r;
}

const struct image_format image_pnm = {
	.name = "ppm",
	.concatenates = true,
	.encode = encode,
};
