/* SPDX-License-Identifier: MIT */

/* png: 8-bit RGB or grey. Grey of 10, 12 or 16 bits becomes 16-bit grey: the sample's bits are
 * repeated into the lower ones, so that full scale stays full scale, and sBIT says how many count
 * (value >> (16 - bits) is the sensor's value; https://www.w3.org/TR/png/#12Sample-depth-scaling).
 */

#include "image.h"
#include "pixels.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <png.h>

/* Pictures of a live camera are written one after the other. Of a photograph at 1080p this takes an
 * eighth of the time of libpng's defaults (level 6, every filter tried) and makes it 18 % larger.
 */
static const int compression_level = 1;
static const int filter = PNG_FILTER_PAETH;

static void write_data(png_structp png, png_bytep data, size_t size)
{
	struct buffer *buffer = png_get_io_ptr(png);

	if (buffer_append(buffer, data, size) < 0)
		png_error(png, "no memory");
}

static void flush_data(png_structp png)
{
	(void)png;
}

static void handle_error(png_structp png, png_const_charp message)
{
	image_fail(png_get_error_ptr(png), 0, "PNG encoder: %s", message);
	png_longjmp(png, 1);
}

static void handle_warning(png_structp png, png_const_charp message)
{
	(void)png;
	(void)message;
}

static void write_header(
	png_structp png, png_infop info, const struct pixels *pixels, const char *comment)
{
	bool colour = pixels->layout == PIXELS_RGB;
	png_color_8 significant = {.gray = (png_byte)pixels->bits};
	png_text text = {
		.compression = PNG_TEXT_COMPRESSION_NONE,
		.key = (char *)"Comment",
		.text = (char *)comment,
	};

	png_set_compression_level(png, compression_level);
	png_set_filter(png, PNG_FILTER_TYPE_BASE, filter);
	png_set_IHDR(png, info, pixels->width, pixels->height, pixels->bits > 8 ? 16 : 8,
		colour ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
		PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	if (pixels->bits > 8 && pixels->bits < 16)
		png_set_sBIT(png, info, &significant);
	if (comment)
		png_set_text(png, info, &text, 1);
	png_write_info(png, info);
}

/* PNG's 16-bit samples: the upper byte first. */
static void scale_line(uint8_t *line, const uint16_t *samples, const struct pixels *pixels)
{
	unsigned missing = 16 - pixels->bits;

	for (size_t x = 0; x < pixels->width; x++) {
		unsigned value = (unsigned)samples[x] << missing | samples[x] >> (16 - 2 * missing);

		line[2 * x] = (uint8_t)(value >> 8);
		line[2 * x + 1] = (uint8_t)value;
	}
}

static void write_lines(png_structp png, const struct pixels *pixels, uint8_t *scaled)
{
	for (size_t y = 0; y < pixels->height; y++) {
		const uint8_t *line = pixels->planes[0].data + y * pixels->planes[0].stride;

		if (pixels->layout == PIXELS_GREY16) {
			scale_line(scaled, (const uint16_t *)(const void *)line, pixels);
			line = scaled;
		}
		png_write_row(png, line);
	}
}

/* libpng leaves by longjmp(): nothing but it is acquired between setjmp() and the end. */
static int write_png(struct buffer *buffer, const struct pixels *pixels, uint8_t *scaled,
	const char *comment, char error[IMAGE_ERROR_SIZE])
{
	png_structp png =
		png_create_write_struct(PNG_LIBPNG_VER_STRING, error, handle_error, handle_warning);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	int r = 0;

	if (!info) {
		png_destroy_write_struct(&png, NULL);
		return image_fail(error, -ENOMEM, "no memory for a PNG encoder");
	}
	if (setjmp(png_jmpbuf(png)) == 0) {
		png_set_write_fn(png, buffer, write_data, flush_data);
		write_header(png, info, pixels, comment);
		write_lines(png, pixels, scaled);
		png_write_end(png, info);
	} else {
		r = -EIO;
	}
	png_destroy_write_struct(&png, &info);
	return r;
}

static int encode(const struct image *image, int quality, struct encoded *ret_encoded,
	char error[IMAGE_ERROR_SIZE])
{
	struct pixels pixels;
	uint8_t *scaled;
	int r;

	(void)quality;
	encoded_clear(ret_encoded);
	ret_encoded->extension = "png";
	r = pixels_init_rgb(&pixels, image, error);
	if (r < 0)
		return r;
	scaled = malloc((size_t)pixels.width * 2);
	if (scaled)
		r = write_png(&ret_encoded->body, &pixels, scaled, image->comment, error);
	else
		r = image_fail(error, -ENOMEM, "no memory for a picture");
	free(scaled);
	pixels_finish(&pixels);
	return r;
}

const struct image_format image_png = {
	.name = "png",
	.encode = encode,
};
