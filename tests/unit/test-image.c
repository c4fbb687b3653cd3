/* SPDX-License-Identifier: MIT */

/*
 * The writers of `camtap dump`: every pixel format of the project through every file format,
 * compared with naive code here. Frames lie in memory of exactly their size, so that reading beyond
 * them is seen by AddressSanitizer.
 */

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/videodev2.h>
#include <png.h>
#include <turbojpeg.h>

#include "image.h"
#include "pixels.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	QUALITY = 90,
};

enum kind {
	PLANAR,      /* Y, then the two chroma planes */
	SEMI_PLANAR, /* Y, then both chroma samples by turns */
	PAIRS,       /* two pixels in four bytes */
	PACKED,      /* a pixel in three or four bytes */
	GREY8,
	GREY16,
};

static const struct format {
	uint32_t fourcc;
	enum kind kind;
	unsigned horizontal, vertical; /* subsampling of chroma */
	/* PLANAR, SEMI_PLANAR: order[0] is 1 if Cr comes first. PAIRS: bytes of Y, Cb, Y, Cr.
	 * PACKED: bytes of R, G, B, and the pixel's size. GREY16: bits, 1 if big endian. */
	unsigned order[4];
} formats[] = {
	{V4L2_PIX_FMT_YUV420, PLANAR, 2, 2, {0}},
	{V4L2_PIX_FMT_YVU420, PLANAR, 2, 2, {1}},
	{V4L2_PIX_FMT_YUV422P, PLANAR, 2, 1, {0}},
	{V4L2_PIX_FMT_NV12, SEMI_PLANAR, 2, 2, {0}},
	{V4L2_PIX_FMT_NV21, SEMI_PLANAR, 2, 2, {1}},
	{V4L2_PIX_FMT_NV16, SEMI_PLANAR, 2, 1, {0}},
	{V4L2_PIX_FMT_NV24, SEMI_PLANAR, 1, 1, {0}},
	{V4L2_PIX_FMT_YUYV, PAIRS, 2, 1, {0, 1, 2, 3}},
	{V4L2_PIX_FMT_YVYU, PAIRS, 2, 1, {0, 3, 2, 1}},
	{V4L2_PIX_FMT_UYVY, PAIRS, 2, 1, {1, 0, 3, 2}},
	{V4L2_PIX_FMT_VYUY, PAIRS, 2, 1, {1, 2, 3, 0}},
	{V4L2_PIX_FMT_RGB24, PACKED, 1, 1, {0, 1, 2, 3}},
	{V4L2_PIX_FMT_BGR24, PACKED, 1, 1, {2, 1, 0, 3}},
	{V4L2_PIX_FMT_XBGR32, PACKED, 1, 1, {2, 1, 0, 4}},
	{V4L2_PIX_FMT_ABGR32, PACKED, 1, 1, {2, 1, 0, 4}},
	{V4L2_PIX_FMT_BGR32, PACKED, 1, 1, {2, 1, 0, 4}},
	{V4L2_PIX_FMT_XRGB32, PACKED, 1, 1, {1, 2, 3, 4}},
	{V4L2_PIX_FMT_ARGB32, PACKED, 1, 1, {1, 2, 3, 4}},
	{V4L2_PIX_FMT_RGB32, PACKED, 1, 1, {1, 2, 3, 4}},
	{V4L2_PIX_FMT_RGBX32, PACKED, 1, 1, {0, 1, 2, 4}},
	{V4L2_PIX_FMT_RGBA32, PACKED, 1, 1, {0, 1, 2, 4}},
	{V4L2_PIX_FMT_BGRX32, PACKED, 1, 1, {3, 2, 1, 4}},
	{V4L2_PIX_FMT_BGRA32, PACKED, 1, 1, {3, 2, 1, 4}},
	{V4L2_PIX_FMT_GREY, GREY8, 1, 1, {8}},
	{V4L2_PIX_FMT_Y10, GREY16, 1, 1, {10, 0}},
	{V4L2_PIX_FMT_Y12, GREY16, 1, 1, {12, 0}},
	{V4L2_PIX_FMT_Y16, GREY16, 1, 1, {16, 0}},
	{V4L2_PIX_FMT_Y16_BE, GREY16, 1, 1, {16, 1}},
};

static const uint32_t raw_only[] = {V4L2_PIX_FMT_SBGGR8, V4L2_PIX_FMT_SGBRG8, V4L2_PIX_FMT_SGRBG8,
	V4L2_PIX_FMT_SRGGB8, V4L2_PIX_FMT_SBGGR10, V4L2_PIX_FMT_SGBRG10, V4L2_PIX_FMT_SGRBG10,
	V4L2_PIX_FMT_SRGGB10, V4L2_PIX_FMT_SBGGR12, V4L2_PIX_FMT_SGBRG12, V4L2_PIX_FMT_SGRBG12,
	V4L2_PIX_FMT_SRGGB12, V4L2_PIX_FMT_H264, V4L2_PIX_FMT_HEVC};

static const struct {
	uint32_t width, height;
} sizes[] = {{1, 1}, {2, 2}, {3, 1}, {1, 5}, {5, 3}, {33, 17}, {64, 48}, {129, 2}, {640, 7}};

static const size_t paddings[] = {0, 1, 6, 64};

/* Three samples per pixel, 16 bits each: Y, Cb, Cr, or R, G, B, or grey in the first. */
struct scene {
	uint32_t width, height;
	uint16_t *samples;
};

static uint32_t random_state = 1;

/* Numerical Recipes' linear congruential generator: the same pictures in every run. */
static uint32_t random_number(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static struct scene make_scene(uint32_t width, uint32_t height)
{
	struct scene scene = {.width = width, .height = height};

	scene.samples = calloc((size_t)width * height * 3, sizeof(*scene.samples));
	assert_non_null(scene.samples);
	return scene;
}

static struct scene make_noise(uint32_t width, uint32_t height, uint32_t mask)
{
	struct scene scene = make_scene(width, height);

	for (size_t i = 0; i < (size_t)width * height * 3; i++)
		scene.samples[i] = (uint16_t)(random_number() & mask);
	return scene;
}

/* Slow changes, within the limits of limited range: what a JPEG keeps. */
static struct scene make_gradient(uint32_t width, uint32_t height, unsigned scale)
{
	struct scene scene = make_scene(width, height);

	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			uint16_t *sample = scene.samples + ((size_t)y * width + x) * 3;

			sample[0] = (uint16_t)((60 + 100 * x / width + 60 * y / height) * scale);
			sample[1] = (uint16_t)((100 + 50 * y / height) * scale);
			sample[2] = (uint16_t)((150 - 50 * x / width) * scale);
		}
	}
	return scene;
}

/* Beyond the edge the last pixel's sample: what a chroma sample of an odd size covers is not asked.
 */
static uint16_t sample_at(const struct scene *scene, uint32_t x, uint32_t y, unsigned channel)
{
	return scene->samples[((size_t)y * scene->width + x) * 3 + channel];
}

static uint32_t divide_up(uint32_t value, uint32_t divisor)
{
	return (value + divisor - 1) / divisor;
}

/* The value that a subsampled plane has: that of the first pixel that it covers. */
static uint8_t chroma_at(const struct format *format, const struct scene *scene, uint32_t x,
	uint32_t y, unsigned channel)
{
	return (uint8_t)sample_at(scene, x * format->horizontal, y * format->vertical, channel);
}

/* Memory of exactly the size, without padding after the last line. */
static uint8_t *make_plane(struct image *image, size_t line_size, size_t padding, size_t rows)
{
	struct image_plane *plane = &image->planes[image->plane_count++];
	uint8_t *data;

	plane->stride = line_size + padding;
	plane->bytesused = plane->stride * (rows - 1) + line_size;
	data = malloc(plane->bytesused);
	assert_non_null(data);
	memset(data, 0xee, plane->bytesused);
	plane->data = data;
	return data;
}

static void pack_line(
	const struct format *format, const struct scene *scene, uint32_t y, uint8_t *line)
{
	const unsigned *order = format->order;

	for (uint32_t x = 0; x < scene->width; x++) {
		unsigned value = sample_at(scene, x, y, 0);

		switch (format->kind) {
		case PLANAR:
		case SEMI_PLANAR:
		case GREY8:
			line[x] = (uint8_t)value;
			break;
		case PAIRS:
			line[x / 2 * 4 + order[x % 2 * 2]] = (uint8_t)value;
			line[x / 2 * 4 + order[1]] = chroma_at(format, scene, x / 2, y, 1);
			line[x / 2 * 4 + order[3]] = chroma_at(format, scene, x / 2, y, 2);
			break;
		case PACKED:
			for (unsigned channel = 0; channel < 3; channel++)
				line[x * order[3] + order[channel]] =
					(uint8_t)sample_at(scene, x, y, channel);
			break;
		case GREY16:
			line[2 * x + order[1]] = (uint8_t)value;
			line[2 * x + 1 - order[1]] = (uint8_t)(value >> 8);
			break;
		}
	}
}

static size_t first_line_size(const struct format *format, uint32_t width)
{
	switch (format->kind) {
	case PAIRS:
		return (size_t)divide_up(width, 2) * 4;
	case PACKED:
		return (size_t)width * format->order[3];
	case GREY16:
		return (size_t)width * 2;
	default:
		return width;
	}
}

static struct image pack(const struct format *format, const struct scene *scene, size_t padding)
{
	uint32_t width = divide_up(scene->width, format->horizontal);
	uint32_t height = divide_up(scene->height, format->vertical);
	struct image image = {
		.fourcc = format->fourcc,
		.width = scene->width,
		.height = scene->height,
		.field = V4L2_FIELD_NONE,
		.rate_numerator = 30000,
		.rate_denominator = 1001,
	};
	size_t line_size = first_line_size(format, scene->width);
	uint8_t *data = make_plane(&image, line_size, padding, scene->height);

	for (uint32_t y = 0; y < scene->height; y++)
		pack_line(format, scene, y, data + y * (line_size + padding));

	for (unsigned i = 0; format->kind == PLANAR && i < 2; i++) {
		unsigned channel = 1 + (i ^ format->order[0]);

		data = make_plane(&image, width, padding, height);
		for (uint32_t y = 0; y < height; y++) {
			for (uint32_t x = 0; x < width; x++)
				data[y * (width + padding) + x] =
					chroma_at(format, scene, x, y, channel);
		}
	}
	if (format->kind == SEMI_PLANAR) {
		data = make_plane(&image, (size_t)width * 2, padding, height);
		for (uint32_t y = 0; y < height; y++) {
			for (uint32_t x = 0; x < width * 2; x++)
				data[y * (width * 2 + padding) + x] = chroma_at(
					format, scene, x / 2, y, 1 + (x % 2 ^ format->order[0]));
		}
	}
	return image;
}

static void free_image(struct image *image)
{
	for (unsigned i = 0; i < image->plane_count; i++)
		free((void *)image->planes[i].data);
}

static bool has_chroma(const struct format *format)
{
	return format->kind == PLANAR || format->kind == SEMI_PLANAR || format->kind == PAIRS;
}

static unsigned format_bits(const struct format *format)
{
	return format->kind == GREY16 ? format->order[0] : 8;
}

/* Runs `check` on noise of every format, size and padding. */
static void for_each_image(void (*check)(
	const struct format *format, const struct scene *scene, const struct image *image))
{
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		for (size_t j = 0; j < ELEMENTS(sizes) * ELEMENTS(paddings); j++) {
			struct scene scene = make_noise(sizes[j / ELEMENTS(paddings)].width,
				sizes[j / ELEMENTS(paddings)].height,
				(1u << format_bits(&formats[i])) - 1);
			struct image image =
				pack(&formats[i], &scene, paddings[j % ELEMENTS(paddings)]);

			check(&formats[i], &scene, &image);
			free_image(&image);
			free(scene.samples);
		}
	}
}

static void encode(
	const struct image_format *format, const struct image *image, struct encoded *encoded)
{
	char error[IMAGE_ERROR_SIZE] = "";

	assert_int_equal(format->encode(image, QUALITY, encoded, error), 0);
	assert_string_equal(error, "");
}

/* ---- y4m ---- */

static const char *y4m_colour(const struct format *format)
{
	switch (format->kind) {
	case GREY8:
		return "Cmono";
	case GREY16:
		return format->order[0] == 10   ? "Cmono10"
		       : format->order[0] == 12 ? "Cmono12"
						: "Cmono16";
	default:
		return format->vertical == 2     ? "C420jpeg XYSCSS=420JPEG"
		       : format->horizontal == 2 ? "C422 XYSCSS=422"
						 : "C444 XYSCSS=444";
	}
}

static void check_y4m(
	const struct format *format, const struct scene *scene, const struct image *image)
{
	struct encoded encoded = {};
	struct buffer body = {}, header = {};

	if (format->kind == PACKED)
		return;
	assert_int_equal(buffer_print(&header, "YUV4MPEG2 W%u H%u F30000:1001 Ip A0:0 %s\n",
				 scene->width, scene->height, y4m_colour(format)),
		0);
	assert_int_equal(buffer_print(&body, "FRAME\n"), 0);
	for (uint32_t y = 0; y < scene->height; y++) {
		for (uint32_t x = 0; x < scene->width; x++) {
			uint16_t value = sample_at(scene, x, y, 0);
			uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};

			buffer_append(&body, bytes, format->kind == GREY16 ? 2 : 1);
		}
	}
	for (unsigned channel = 1; channel < 3 && has_chroma(format); channel++) {
		for (uint32_t y = 0; y < divide_up(scene->height, format->vertical); y++) {
			for (uint32_t x = 0; x < divide_up(scene->width, format->horizontal); x++) {
				uint8_t value = chroma_at(format, scene, x, y, channel);

				buffer_append(&body, &value, 1);
			}
		}
	}

	encode(&image_y4m, image, &encoded);
	assert_string_equal(encoded.extension, "y4m");
	assert_int_equal(encoded.header.size, header.size);
	assert_memory_equal(encoded.header.data, header.data, header.size);
	assert_int_equal(encoded.body.size, body.size);
	assert_memory_equal(encoded.body.data, body.data, body.size);
	buffer_finish(&body);
	buffer_finish(&header);
	encoded_finish(&encoded);
}

static void y4m_has_every_sample_as_it_was(void **state)
{
	(void)state;
	for_each_image(check_y4m);
}

static void y4m_header_says_what_is_known(void **state)
{
	static const struct {
		uint32_t field, colorspace, quantization;
		enum camtap_chroma_siting siting;
		const char *line;
	} cases[] = {
		{V4L2_FIELD_NONE, 0, 0, 0, "Ip A12:11 C420jpeg XYSCSS=420JPEG\n"},
		{V4L2_FIELD_INTERLACED_TB, 0, V4L2_QUANTIZATION_LIM_RANGE, CAMTAP_CHROMA_JPEG,
			"It A12:11 C420jpeg XYSCSS=420JPEG XCOLORRANGE=LIMITED\n"},
		{V4L2_FIELD_INTERLACED_BT, 0, V4L2_QUANTIZATION_FULL_RANGE, CAMTAP_CHROMA_MPEG2,
			"Ib A12:11 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=FULL\n"},
		{V4L2_FIELD_ALTERNATE, V4L2_COLORSPACE_JPEG, 0, CAMTAP_CHROMA_PALDV,
			"I? A12:11 C420paldv XYSCSS=420PALDV XCOLORRANGE=FULL\n"},
	};
	struct scene scene = make_noise(2, 2, 0xff);
	struct image image = pack(&formats[0], &scene, 0);
	struct encoded encoded = {};

	(void)state;
	image.rate_numerator = 25;
	image.rate_denominator = 1;
	image.pixel_aspect_numerator = 12;
	image.pixel_aspect_denominator = 11;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char line[128];

		snprintf(line, sizeof(line), "YUV4MPEG2 W2 H2 F25:1 %s", cases[i].line);
		image.chroma_siting = cases[i].siting;
		image.field = cases[i].field;
		image.colorspace = cases[i].colorspace;
		image.quantization = cases[i].quantization;
		encode(&image_y4m, &image, &encoded);
		assert_int_equal(encoded.header.size, strlen(line));
		assert_memory_equal(encoded.header.data, line, strlen(line));
	}
	encoded_finish(&encoded);
	free_image(&image);
	free(scene.samples);
}

/* ---- ppm and png, where no arithmetic is involved ---- */

static bool is_exact(const struct format *format)
{
	return !has_chroma(format);
}

static void check_pnm(
	const struct format *format, const struct scene *scene, const struct image *image)
{
	bool colour = format->kind == PACKED;
	struct encoded encoded = {};
	struct buffer body = {};

	if (!is_exact(format))
		return;
	assert_int_equal(buffer_print(&body, "P%d\n%u %u\n%u\n", colour ? 6 : 5, scene->width,
				 scene->height, (1u << format_bits(format)) - 1),
		0);
	for (size_t i = 0; i < (size_t)scene->width * scene->height; i++) {
		for (unsigned channel = 0; channel < (colour ? 3u : 1u); channel++) {
			uint16_t value = scene->samples[i * 3 + channel];
			uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

			if (format->kind == GREY16)
				buffer_append(&body, bytes, 2);
			else
				buffer_append(&body, bytes + 1, 1);
		}
	}
	encode(&image_pnm, image, &encoded);
	assert_string_equal(encoded.extension, colour ? "ppm" : "pgm");
	assert_int_equal(encoded.header.size, 0);
	assert_int_equal(encoded.body.size, body.size);
	assert_memory_equal(encoded.body.data, body.data, body.size);
	buffer_finish(&body);
	encoded_finish(&encoded);
}

static void pnm_of_rgb_and_grey_is_exact(void **state)
{
	(void)state;
	for_each_image(check_pnm);
}

struct reading {
	const uint8_t *data;
	size_t left;
};

static void read_data(png_structp png, png_bytep data, size_t size)
{
	struct reading *reading = png_get_io_ptr(png);

	if (size > reading->left)
		png_error(png, "short");
	memcpy(data, reading->data, size);
	reading->data += size;
	reading->left -= size;
}

struct png {
	uint32_t width, height;
	unsigned channels, depth, significant;
	char comment[64];
	uint8_t *rows; /* 16-bit samples in host order */
};

static struct png read_png(const struct buffer *buffer)
{
	struct reading reading = {buffer->data, buffer->size};
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);
	png_color_8p significant;
	png_textp texts;
	struct png result = {};
	size_t line_size;

	if (setjmp(png_jmpbuf(png)))
		fail_msg("not a good PNG");
	png_set_read_fn(png, &reading, read_data);
	png_read_info(png, info);
	result.width = png_get_image_width(png, info);
	result.height = png_get_image_height(png, info);
	result.channels = png_get_channels(png, info);
	result.depth = png_get_bit_depth(png, info);
	if (png_get_sBIT(png, info, &significant))
		result.significant = significant->gray;
	if (png_get_text(png, info, &texts, NULL) == 1 && strcmp(texts[0].key, "Comment") == 0)
		snprintf(result.comment, sizeof(result.comment), "%s", texts[0].text);
	if (result.depth == 16)
		png_set_swap(png);
	line_size = png_get_rowbytes(png, info);
	result.rows = malloc(line_size * result.height);
	for (uint32_t y = 0; y < result.height; y++)
		png_read_row(png, result.rows + y * line_size, NULL);
	png_read_end(png, NULL);
	png_destroy_read_struct(&png, &info, NULL);
	return result;
}

static void check_png(
	const struct format *format, const struct scene *scene, const struct image *image)
{
	unsigned bits = format_bits(format);
	struct encoded encoded = {};
	struct png png;

	if (!is_exact(format))
		return;
	encode(&image_png, image, &encoded);
	assert_string_equal(encoded.extension, "png");
	png = read_png(&encoded.body);
	assert_int_equal(png.width, scene->width);
	assert_int_equal(png.height, scene->height);
	assert_int_equal(png.channels, format->kind == PACKED ? 3 : 1);
	assert_int_equal(png.depth, bits > 8 ? 16 : 8);
	assert_int_equal(png.significant, bits > 8 && bits < 16 ? bits : 0);
	for (size_t i = 0; i < (size_t)scene->width * scene->height * png.channels; i++) {
		unsigned value = scene->samples[i / png.channels * 3 + i % png.channels];
		unsigned found = bits > 8 ? ((uint16_t *)(void *)png.rows)[i] : png.rows[i];

		/* 0 stays 0, full scale is full scale, and the sensor's value is on top */
		assert_int_equal(bits > 8 ? found >> (16 - bits) : found, value);
		if (bits > 8)
			assert_true(fabs(found - value * 65535.0 / ((1 << bits) - 1)) < 1);
	}
	free(png.rows);
	encoded_finish(&encoded);
}

static void png_of_rgb_and_grey_is_exact(void **state)
{
	(void)state;
	for_each_image(check_png);
}

static void samples_beyond_their_bits_are_cut_to_full_scale(void **state)
{
	static const uint8_t line[4] = {0xff, 0xff, 0x01, 0x00};
	struct image image = {
		.fourcc = V4L2_PIX_FMT_Y10,
		.width = 2,
		.height = 1,
		.plane_count = 1,
		.planes = {{line, 4, 4}},
	};
	static const char wanted[] = "P5\n2 1\n1023\n\x03\xff\x00\x01";
	struct encoded encoded = {};

	(void)state;
	encode(&image_pnm, &image, &encoded);
	assert_int_equal(encoded.body.size, sizeof(wanted) - 1);
	assert_memory_equal(encoded.body.data, wanted, sizeof(wanted) - 1);
	encoded_finish(&encoded);
}

/* ---- Y, Cb, Cr to RGB ---- */

/* Rec. ITU-R BT.601, BT.709, BT.2020: weights of red and blue in Y. */
static const struct colorimetry {
	uint32_t colorspace, ycbcr_enc, quantization;
	double red, blue;
	bool full;
} colorimetries[] = {
	{0, 0, 0, 0.299, 0.114, false},
	{V4L2_COLORSPACE_SMPTE170M, 0, 0, 0.299, 0.114, false},
	{V4L2_COLORSPACE_JPEG, 0, 0, 0.299, 0.114, true},
	{V4L2_COLORSPACE_SRGB, 0, V4L2_QUANTIZATION_FULL_RANGE, 0.299, 0.114, true},
	{V4L2_COLORSPACE_REC709, 0, 0, 0.2126, 0.0722, false},
	{V4L2_COLORSPACE_SRGB, V4L2_YCBCR_ENC_709, V4L2_QUANTIZATION_FULL_RANGE, 0.2126, 0.0722,
		true},
	{V4L2_COLORSPACE_BT2020, 0, 0, 0.2627, 0.0593, false},
	{V4L2_COLORSPACE_BT2020, 0, V4L2_QUANTIZATION_FULL_RANGE, 0.2627, 0.0593, true},
};

static int clamp(double value)
{
	return value < 0 ? 0 : value > 255 ? 255 : (int)lround(value);
}

static void to_rgb(const struct colorimetry *colorimetry, const uint8_t ycbcr[3], int rgb[3])
{
	double scale = colorimetry->full ? 1 : 255.0 / 224;
	double y = colorimetry->full ? ycbcr[0] : (ycbcr[0] - 16) * 255.0 / 219;
	double cb = fmin(fmax((ycbcr[1] - 128) * scale, -128), 127);
	double cr = fmin(fmax((ycbcr[2] - 128) * scale, -128), 127);
	double red, blue, green;

	y = fmin(fmax(y, 0), 255); /* samples beyond the nominal range are cut before the matrix */
	red = y + 2 * (1 - colorimetry->red) * cr;
	blue = y + 2 * (1 - colorimetry->blue) * cb;
	green = (y - colorimetry->red * red - colorimetry->blue * blue) /
		(1 - colorimetry->red - colorimetry->blue);

	rgb[0] = clamp(red);
	rgb[1] = clamp(green);
	rgb[2] = clamp(blue);
}

/* Rounding: the stretched samples by a half, which the matrix doubles, and libyuv's 6 bits after
 * the point. */
enum {
	LIBYUV_TOLERANCE = 3,
};

static void check_rgb(
	const struct format *format, const struct scene *scene, const struct image *image)
{
	if (!has_chroma(format))
		return;
	for (size_t i = 0; i < ELEMENTS(colorimetries); i++) {
		struct image coloured = *image;
		char error[IMAGE_ERROR_SIZE];
		struct pixels pixels;

		coloured.colorspace = colorimetries[i].colorspace;
		coloured.ycbcr_enc = colorimetries[i].ycbcr_enc;
		coloured.quantization = colorimetries[i].quantization;
		assert_int_equal(pixels_init_rgb(&pixels, &coloured, error), 0);
		assert_int_equal(pixels.layout, PIXELS_RGB);
		for (uint32_t y = 0; y < scene->height; y++) {
			for (uint32_t x = 0; x < scene->width; x++) {
				uint32_t cx = x / format->horizontal, cy = y / format->vertical;
				const uint8_t ycbcr[3] = {(uint8_t)sample_at(scene, x, y, 0),
					chroma_at(format, scene, cx, cy, 1),
					chroma_at(format, scene, cx, cy, 2)};
				const uint8_t *found =
					pixels.planes[0].data + y * pixels.planes[0].stride + x * 3;
				int wanted[3];

				to_rgb(&colorimetries[i], ycbcr, wanted);
				for (unsigned j = 0; j < 3; j++)
					assert_in_range(found[j] - wanted[j] + LIBYUV_TOLERANCE, 0,
						2 * LIBYUV_TOLERANCE);
			}
		}
		pixels_finish(&pixels);
	}
}

static void rgb_honours_matrix_and_range(void **state)
{
	(void)state;
	for_each_image(check_rgb);
}

/* ---- jpeg ---- */

struct jpeg {
	int width, height, subsampling, colorspace;
	uint8_t *rgb;
};

static struct jpeg read_jpeg(const struct buffer *buffer)
{
	tjhandle decoder = tjInitDecompress();
	struct jpeg jpeg;

	assert_int_equal(tjDecompressHeader3(decoder, buffer->data, buffer->size, &jpeg.width,
				 &jpeg.height, &jpeg.subsampling, &jpeg.colorspace),
		0);
	jpeg.rgb = malloc((size_t)jpeg.width * (size_t)jpeg.height * 3);
	assert_int_equal(tjDecompress2(decoder, buffer->data, buffer->size, jpeg.rgb, jpeg.width,
				 jpeg.width * 3, jpeg.height, TJPF_RGB, TJFLAG_ACCURATEDCT),
		0);
	tjDestroy(decoder);
	return jpeg;
}

static int wanted_subsampling(const struct format *format)
{
	if (format->kind == GREY8 || format->kind == GREY16)
		return TJSAMP_GRAY;
	return format->vertical == 2     ? TJSAMP_420
	       : format->horizontal == 2 ? TJSAMP_422
					 : TJSAMP_444;
}

/* The picture that a viewer should see. */
static void wanted_rgb(const struct format *format, const struct colorimetry *colorimetry,
	const struct scene *scene, uint32_t x, uint32_t y, int rgb[3])
{
	uint8_t ycbcr[3];

	for (unsigned i = 0; i < 3; i++) {
		uint16_t value = sample_at(scene, x, y, i);

		ycbcr[i] = (uint8_t)value;
		rgb[i] = format->kind == PACKED
				 ? value
				 : sample_at(scene, x, y, 0) >> (format_bits(format) - 8);
	}
	if (has_chroma(format))
		to_rgb(colorimetry, ycbcr, rgb);
}

static void check_jpeg_picture(const struct format *format, const struct colorimetry *colorimetry,
	uint32_t width, uint32_t height)
{
	struct scene scene = make_gradient(width, height, 1u << (format_bits(format) - 8));
	struct image image = pack(format, &scene, 6);
	struct encoded encoded = {};
	struct jpeg jpeg;
	double sum = 0;

	image.colorspace = colorimetry->colorspace;
	image.ycbcr_enc = colorimetry->ycbcr_enc;
	image.quantization = colorimetry->quantization;
	encode(&image_jpeg, &image, &encoded);
	assert_string_equal(encoded.extension, "jpg");
	jpeg = read_jpeg(&encoded.body);
	assert_int_equal(jpeg.width, width);
	assert_int_equal(jpeg.height, height);
	assert_int_equal(jpeg.subsampling, wanted_subsampling(format));
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			int wanted[3];

			wanted_rgb(format, colorimetry, &scene, x, y, wanted);
			for (unsigned i = 0; i < 3; i++)
				sum += fabs(jpeg.rgb[((size_t)y * width + x) * 3 + i] -
					    (double)wanted[i]);
		}
	}
	assert_true(sum / ((double)width * height * 3) < 2.5);
	free(jpeg.rgb);
	encoded_finish(&encoded);
	free_image(&image);
	free(scene.samples);
}

static void jpeg_looks_like_the_picture(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		for (size_t j = 0; j < ELEMENTS(colorimetries); j++) {
			check_jpeg_picture(&formats[i], &colorimetries[j], 160, 96);
			check_jpeg_picture(&formats[i], &colorimetries[j], 97, 63);
		}
	}
}

/* Every size, also those that libjpeg-turbo would read beyond the planes for. */
static void check_jpeg_size(
	const struct format *format, const struct scene *scene, const struct image *image)
{
	struct image full = *image;
	struct encoded encoded = {};
	struct jpeg jpeg;

	(void)format;
	full.quantization = V4L2_QUANTIZATION_FULL_RANGE;
	encode(&image_jpeg, &full, &encoded);
	jpeg = read_jpeg(&encoded.body);
	assert_int_equal(jpeg.width, scene->width);
	assert_int_equal(jpeg.height, scene->height);
	free(jpeg.rgb);
	encoded_finish(&encoded);
}

static void jpeg_of_every_size(void **state)
{
	(void)state;
	for_each_image(check_jpeg_size);
}

static void jpeg_of_limited_range_is_stretched(void **state)
{
	static const uint8_t values[2] = {16, 235};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct scene scene = make_scene(16, 16);
		struct encoded encoded = {};
		struct image image;
		struct jpeg jpeg;

		for (size_t j = 0; j < 16 * 16 * 3; j++)
			scene.samples[j] = j % 3 == 0 ? values[i] : 128;
		image = pack(&formats[0], &scene, 0);
		encode(&image_jpeg, &image, &encoded);
		jpeg = read_jpeg(&encoded.body);
		for (size_t j = 0; j < 16 * 16 * 3; j++)
			assert_in_range(jpeg.rgb[j], i == 0 ? 0 : 254, i == 0 ? 1 : 255);
		free(jpeg.rgb);
		encoded_finish(&encoded);
		free_image(&image);
		free(scene.samples);
	}
}

/* Makes an MJPEG camera's frame. The memory is tjFree()'s. */
static struct image make_jpeg(uint32_t width, uint32_t height, int subsampling)
{
	struct scene scene = make_gradient(width, height, 1);
	uint8_t *rgb = malloc((size_t)width * height * 3);
	tjhandle encoder = tjInitCompress();
	unsigned char *jpeg = NULL;
	unsigned long size = 0;

	for (size_t i = 0; i < (size_t)width * height * 3; i++)
		rgb[i] = (uint8_t)scene.samples[i];
	assert_int_equal(tjCompress2(encoder, rgb, (int)width, 0, (int)height, TJPF_RGB, &jpeg,
				 &size, subsampling, 95, 0),
		0);
	tjDestroy(encoder);
	free(rgb);
	free(scene.samples);
	return (struct image){
		.fourcc = V4L2_PIX_FMT_MJPEG,
		.width = width,
		.height = height,
		.rate_numerator = 30,
		.rate_denominator = 1,
		.plane_count = 1,
		.field = V4L2_FIELD_NONE,
		.planes = {{jpeg, 0, size}},
		.comment = "must not be put in",
	};
}

static void mjpeg_is_written_byte_for_byte(void **state)
{
	static const uint8_t anything[] = {0xff, 0xd8, 1, 2, 3, 0, 0, 0};
	struct image image = {
		.fourcc = V4L2_PIX_FMT_MJPEG,
		.width = 640,
		.height = 480,
		.plane_count = 1,
		.planes = {{anything, 0, sizeof(anything)}},
		.comment = "must not be put in",
	};
	struct encoded encoded = {};

	(void)state;
	encode(&image_jpeg, &image, &encoded);
	assert_string_equal(encoded.extension, "jpg");
	assert_int_equal(encoded.body.size, sizeof(anything));
	assert_memory_equal(encoded.body.data, anything, sizeof(anything));
	encoded_finish(&encoded);
}

static void mjpeg_is_decoded_for_other_formats(void **state)
{
	static const struct {
		int subsampling;
		const char *colour; /* NULL: Y4M cannot */
		size_t size;        /* bytes of a frame of 31x17 */
	} cases[] = {
		{TJSAMP_444, "C444 XYSCSS=444", 3 * 31 * 17},
		{TJSAMP_422, "C422 XYSCSS=422", 31 * 17 + 2 * 16 * 17},
		{TJSAMP_420, "C420jpeg XYSCSS=420JPEG", 31 * 17 + 2 * 16 * 9},
		{TJSAMP_411, "C411 XYSCSS=411", 31 * 17 + 2 * 8 * 17},
		{TJSAMP_GRAY, "Cmono", 31 * 17},
		{TJSAMP_440, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct image image = make_jpeg(31, 17, cases[i].subsampling);
		bool grey = cases[i].subsampling == TJSAMP_GRAY;
		struct encoded encoded = {};
		char error[IMAGE_ERROR_SIZE], header[128];
		struct jpeg jpeg;
		struct png png;
		int r;

		r = image_y4m.encode(&image, QUALITY, &encoded, error);
		if (cases[i].colour) {
			assert_int_equal(r, 0);
			snprintf(header, sizeof(header), "YUV4MPEG2 W31 H17 F30:1 Ip A0:0 %s%s\n",
				cases[i].colour, grey ? "" : " XCOLORRANGE=FULL");
			assert_int_equal(encoded.header.size, strlen(header));
			assert_memory_equal(encoded.header.data, header, strlen(header));
			assert_int_equal(encoded.body.size, strlen("FRAME\n") + cases[i].size);
			/* the corner's Y, from make_gradient(): 0.299 R + 0.587 G + 0.114 B */
			assert_in_range(encoded.body.data[6], grey ? 90 : 90, grey ? 98 : 98);
		} else {
			assert_int_equal(r, -ENOTSUP);
		}

		jpeg = read_jpeg(&(struct buffer){(uint8_t *)image.planes[0].data,
			image.planes[0].bytesused, image.planes[0].bytesused});
		encode(&image_png, &image, &encoded);
		png = read_png(&encoded.body);
		assert_int_equal(png.width, 31);
		assert_int_equal(png.height, 17);
		assert_int_equal(png.channels, grey ? 1 : 3);
		for (size_t j = 0; j < 31 * 17 * png.channels; j++)
			assert_in_range(png.rows[j] - jpeg.rgb[j * 3 / png.channels] + 2, 0, 4);
		free(png.rows);
		free(jpeg.rgb);
		encoded_finish(&encoded);
		tjFree((unsigned char *)image.planes[0].data);
	}
}

static void damaged_mjpeg_is_told(void **state)
{
	struct image image = make_jpeg(64, 48, TJSAMP_420), other;
	const struct image_format *const writers[] = {&image_png, &image_pnm, &image_y4m};
	struct encoded encoded = {};
	char error[IMAGE_ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(writers); i++) {
		other = image;
		other.planes[0].bytesused = 30; /* within the header */
		assert_int_equal(writers[i]->encode(&other, QUALITY, &encoded, error), -EBADMSG);
		assert_non_null(strstr(error, "--format jpeg"));
		other.planes[0].bytesused = 0;
		assert_int_equal(writers[i]->encode(&other, QUALITY, &encoded, error), -EBADMSG);

		/* a header that asks for more than the camera said */
		other = image;
		other.width = 40;
		assert_int_equal(writers[i]->encode(&other, QUALITY, &encoded, error), -EBADMSG);
		assert_non_null(strstr(error, "64x48"));
	}
	encoded_finish(&encoded);
	tjFree((unsigned char *)image.planes[0].data);
}

/* ---- what all formats share ---- */

static void check_raw(
	const struct format *format, const struct scene *scene, const struct image *image)
{
	struct encoded encoded = {};
	size_t offset = 0;

	(void)format;
	(void)scene;
	encode(&image_raw, image, &encoded);
	assert_string_equal(encoded.extension, "raw");
	for (unsigned i = 0; i < image->plane_count; i++) {
		assert_true(offset + image->planes[i].bytesused <= encoded.body.size);
		assert_memory_equal(encoded.body.data + offset, image->planes[i].data,
			image->planes[i].bytesused);
		offset += image->planes[i].bytesused;
	}
	assert_int_equal(offset, encoded.body.size);
	encoded_finish(&encoded);
}

static void raw_is_the_planes_bytes(void **state)
{
	(void)state;
	for_each_image(check_raw);
}

static void raw_takes_what_others_refuse(void **state)
{
	static const uint8_t bytes[16 * 8 * 2];
	const struct image_format *const writers[] = {
		&image_jpeg, &image_png, &image_pnm, &image_y4m};
	struct encoded encoded = {};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(raw_only); i++) {
		struct image image = {
			.fourcc = raw_only[i],
			.width = 16,
			.height = 8,
			.plane_count = 1,
			.planes = {{bytes, 32, sizeof(bytes)}},
		};

		encode(&image_raw, &image, &encoded);
		assert_int_equal(encoded.body.size, sizeof(bytes));
		for (size_t j = 0; j < ELEMENTS(writers); j++) {
			char error[IMAGE_ERROR_SIZE] = "";

			assert_int_equal(
				writers[j]->encode(&image, QUALITY, &encoded, error), -ENOTSUP);
			assert_non_null(strstr(error, "--format raw"));
		}
	}
	encoded_finish(&encoded);
}

/* Each plane one byte short, a stride shorter than a line, a plane too few. */
static void check_short(
	const struct format *format, const struct scene *scene, const struct image *image)
{
	const struct image_format *const writers[] = {
		&image_jpeg, &image_png, &image_pnm, &image_y4m};

	(void)scene;
	for (size_t i = 0; i < ELEMENTS(writers); i++) {
		struct encoded encoded = {};
		char error[IMAGE_ERROR_SIZE] = "";
		struct image wrong;

		if (writers[i] == &image_y4m && format->kind == PACKED)
			continue;
		for (unsigned j = 0; j < image->plane_count; j++) {
			wrong = *image;
			wrong.planes[j].bytesused--;
			assert_int_equal(
				writers[i]->encode(&wrong, QUALITY, &encoded, error), -EBADMSG);
			assert_non_null(strstr(error, "plane"));
			wrong = *image;
			wrong.planes[j].stride = 0;
			assert_int_equal(
				writers[i]->encode(&wrong, QUALITY, &encoded, error), -EBADMSG);
		}
		wrong = *image;
		wrong.plane_count--;
		assert_int_equal(writers[i]->encode(&wrong, QUALITY, &encoded, error), -EBADMSG);
		encoded_finish(&encoded);
	}
}

static void short_frames_are_refused(void **state)
{
	(void)state;
	for_each_image(check_short);
}

static void impossible_sizes_are_refused(void **state)
{
	static const uint8_t bytes[40000];
	struct image image = {
		.fourcc = V4L2_PIX_FMT_GREY,
		.plane_count = 1,
		.planes = {{bytes, sizeof(bytes), sizeof(bytes)}},
	};
	static const uint32_t wrong[] = {0, 40000, UINT32_MAX};
	struct encoded encoded = {};
	char error[IMAGE_ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		image.width = wrong[i];
		image.height = 1;
		image.planes[0].stride = sizeof(bytes);
		assert_int_equal(image_png.encode(&image, QUALITY, &encoded, error), -EBADMSG);
		image.width = 1;
		image.height = wrong[i];
		image.planes[0].stride = 1;
		assert_int_equal(image_png.encode(&image, QUALITY, &encoded, error), -EBADMSG);
	}
	encoded_finish(&encoded);
}

static void y4m_refuses_rgb(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		struct scene scene = make_noise(4, 4, 0xff);
		struct image image = pack(&formats[i], &scene, 0);
		struct encoded encoded = {};
		char error[IMAGE_ERROR_SIZE] = "";

		if (formats[i].kind == PACKED) {
			assert_int_equal(
				image_y4m.encode(&image, QUALITY, &encoded, error), -ENOTSUP);
			assert_non_null(strstr(error, "--stream YU12"));
		}
		encoded_finish(&encoded);
		free_image(&image);
		free(scene.samples);
	}
}

static void comment_travels_with_the_picture(void **state)
{
	static const char comment[] = "camtap camera front epoch 7 id 42";
	static const char segment[] = "\xff\xfe\x00\x23";
	struct scene scene = make_noise(16, 16, 0xff);
	struct image image = pack(&formats[0], &scene, 0);
	struct encoded encoded = {};
	struct jpeg jpeg;
	struct png png;

	(void)state;
	image.comment = comment;
	encode(&image_png, &image, &encoded);
	png = read_png(&encoded.body);
	assert_string_equal(png.comment, comment);
	free(png.rows);

	encode(&image_pnm, &image, &encoded);
	assert_memory_equal(encoded.body.data, "P6\n# ", 5);
	assert_memory_equal(encoded.body.data + 5, comment, strlen(comment));
	assert_memory_equal(encoded.body.data + 5 + strlen(comment), "\n16 16\n255\n", 11);

	/* after SOI and JFIF's APP0 of 18 bytes */
	encode(&image_jpeg, &image, &encoded);
	assert_int_equal(strlen(comment) + 2, 0x23);
	assert_memory_equal(encoded.body.data + 20, segment, 4);
	assert_memory_equal(encoded.body.data + 24, comment, strlen(comment));
	jpeg = read_jpeg(&encoded.body);
	free(jpeg.rgb);

	encoded_finish(&encoded);
	free_image(&image);
	free(scene.samples);
}

static void formats_are_found_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(image_format_find("jpeg"), &image_jpeg);
	assert_ptr_equal(image_format_find("png"), &image_png);
	assert_ptr_equal(image_format_find("ppm"), &image_pnm);
	assert_ptr_equal(image_format_find("y4m"), &image_y4m);
	assert_ptr_equal(image_format_find("raw"), &image_raw);
	assert_null(image_format_find("jpg2000"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(y4m_has_every_sample_as_it_was),
		cmocka_unit_test(y4m_header_says_what_is_known),
		cmocka_unit_test(pnm_of_rgb_and_grey_is_exact),
		cmocka_unit_test(png_of_rgb_and_grey_is_exact),
		cmocka_unit_test(samples_beyond_their_bits_are_cut_to_full_scale),
		cmocka_unit_test(rgb_honours_matrix_and_range),
		cmocka_unit_test(jpeg_looks_like_the_picture),
		cmocka_unit_test(jpeg_of_every_size),
		cmocka_unit_test(jpeg_of_limited_range_is_stretched),
		cmocka_unit_test(mjpeg_is_written_byte_for_byte),
		cmocka_unit_test(mjpeg_is_decoded_for_other_formats),
		cmocka_unit_test(damaged_mjpeg_is_told),
		cmocka_unit_test(raw_is_the_planes_bytes),
		cmocka_unit_test(raw_takes_what_others_refuse),
		cmocka_unit_test(short_frames_are_refused),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(y4m_refuses_rgb),
		cmocka_unit_test(comment_travels_with_the_picture),
		cmocka_unit_test(formats_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
