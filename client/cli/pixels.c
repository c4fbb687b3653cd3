/* SPDX-License-Identifier: MIT */
#include "pixels.h"

#include "camtap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libyuv.h>
#include <linux/videodev2.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum arrangement {
	ARRANGEMENT_PLANAR,      /* Y, Cb, Cr */
	ARRANGEMENT_SEMI_PLANAR, /* Y, CbCr */
	ARRANGEMENT_YUYV,        /* Y Cb Y Cr */
	ARRANGEMENT_UYVY,        /* Cb Y Cr Y */
};

/* Y, Cb, Cr: https://docs.kernel.org/userspace-api/media/v4l/yuv-formats.html */
static const struct ycbcr_format {
	uint32_t fourcc;
	enum arrangement arrangement;
	enum pixels_layout layout;
	bool swapped; /* Cr before Cb */
} ycbcr_formats[] = {
	{V4L2_PIX_FMT_YUV420, ARRANGEMENT_PLANAR, PIXELS_420, false},
	{V4L2_PIX_FMT_YVU420, ARRANGEMENT_PLANAR, PIXELS_420, true},
	{V4L2_PIX_FMT_YUV422P, ARRANGEMENT_PLANAR, PIXELS_422, false},
	{V4L2_PIX_FMT_NV12, ARRANGEMENT_SEMI_PLANAR, PIXELS_420, false},
	{V4L2_PIX_FMT_NV21, ARRANGEMENT_SEMI_PLANAR, PIXELS_420, true},
	{V4L2_PIX_FMT_NV16, ARRANGEMENT_SEMI_PLANAR, PIXELS_422, false},
	{V4L2_PIX_FMT_NV24, ARRANGEMENT_SEMI_PLANAR, PIXELS_444, false},
	{V4L2_PIX_FMT_YUYV, ARRANGEMENT_YUYV, PIXELS_422, false},
	{V4L2_PIX_FMT_YVYU, ARRANGEMENT_YUYV, PIXELS_422, true},
	{V4L2_PIX_FMT_UYVY, ARRANGEMENT_UYVY, PIXELS_422, false},
	{V4L2_PIX_FMT_VYUY, ARRANGEMENT_UYVY, PIXELS_422, true},
};

/* https://docs.kernel.org/userspace-api/media/v4l/pixfmt-rgb.html */
static const struct pixels_packed packed_formats[] = {
	{V4L2_PIX_FMT_RGB24, 3, 0, 1, 2},
	{V4L2_PIX_FMT_BGR24, 3, 2, 1, 0},
	{V4L2_PIX_FMT_XBGR32, 4, 2, 1, 0},
	{V4L2_PIX_FMT_ABGR32, 4, 2, 1, 0},
	{V4L2_PIX_FMT_BGR32, 4, 2, 1, 0},
	{V4L2_PIX_FMT_RGBX32, 4, 0, 1, 2},
	{V4L2_PIX_FMT_RGBA32, 4, 0, 1, 2},
	{V4L2_PIX_FMT_XRGB32, 4, 1, 2, 3},
	{V4L2_PIX_FMT_ARGB32, 4, 1, 2, 3},
	{V4L2_PIX_FMT_RGB32, 4, 1, 2, 3},
	{V4L2_PIX_FMT_BGRX32, 4, 3, 2, 1},
	{V4L2_PIX_FMT_BGRA32, 4, 3, 2, 1},
};

static const struct {
	uint32_t fourcc;
	unsigned bits;
	bool big_endian;
} grey16_formats[] = {
	{V4L2_PIX_FMT_Y10, 10, false},
	{V4L2_PIX_FMT_Y12, 12, false},
	{V4L2_PIX_FMT_Y16, 16, false},
	{V4L2_PIX_FMT_Y16_BE, 16, true},
};

static const struct ycbcr_format *ycbcr_find(uint32_t fourcc)
{
	for (size_t i = 0; i < ELEMENTS(ycbcr_formats); i++) {
		if (ycbcr_formats[i].fourcc == fourcc)
			return &ycbcr_formats[i];
	}
	return NULL;
}

const struct pixels_packed *pixels_packed_find(uint32_t fourcc)
{
	for (size_t i = 0; i < ELEMENTS(packed_formats); i++) {
		if (packed_formats[i].fourcc == fourcc)
			return &packed_formats[i];
	}
	return NULL;
}

static uint32_t divide_up(uint32_t value, uint32_t divisor)
{
	return (value + divisor - 1) / divisor;
}

unsigned pixels_plane_count(const struct pixels *pixels)
{
	switch (pixels->layout) {
	case PIXELS_GREY:
	case PIXELS_GREY16:
	case PIXELS_RGB:
		return 1;
	case PIXELS_420:
	case PIXELS_422:
	case PIXELS_444:
	case PIXELS_411:
	case PIXELS_440:
		break;
	}
	return 3;
}

uint32_t pixels_plane_width(const struct pixels *pixels, unsigned plane)
{
	if (plane == 0)
		return pixels->width;
	if (pixels->layout == PIXELS_420 || pixels->layout == PIXELS_422)
		return divide_up(pixels->width, 2);
	if (pixels->layout == PIXELS_411)
		return divide_up(pixels->width, 4);
	return pixels->width;
}

uint32_t pixels_plane_height(const struct pixels *pixels, unsigned plane)
{
	if (plane > 0 && (pixels->layout == PIXELS_420 || pixels->layout == PIXELS_440))
		return divide_up(pixels->height, 2);
	return pixels->height;
}

int pixels_check_plane(const struct image *image, unsigned plane, size_t line_size, size_t rows,
	char error[IMAGE_ERROR_SIZE])
{
	char fourcc[CAMTAP_FOURCC_TEXT_SIZE];
	const struct image_plane *there = &image->planes[plane];
	size_t needed;

	/* The last line may lack its padding. libyuv's strides are int. */
	if (plane < image->plane_count && rows > 0 && there->stride >= line_size &&
		there->stride <= INT32_MAX / 2 &&
		!__builtin_mul_overflow(there->stride, rows - 1, &needed) &&
		!__builtin_add_overflow(needed, line_size, &needed) && there->bytesused >= needed)
		return 0;
	return image_fail(error, -EBADMSG, "plane %u has less than %ux%u pixels of %s", plane,
		image->width, image->height, camtap_fourcc_text(image->fourcc, fourcc));
}

/* The kernel's own macros say what a 0 means. */
static void resolve_colorimetry(struct pixels *pixels, const struct image *image)
{
	pixels->ycbcr_enc = image->ycbcr_enc;
	if (pixels->ycbcr_enc == V4L2_YCBCR_ENC_DEFAULT)
		pixels->ycbcr_enc = V4L2_MAP_YCBCR_ENC_DEFAULT(image->colorspace);
	pixels->quantization = image->quantization;
	if (pixels->quantization == V4L2_QUANTIZATION_DEFAULT)
		pixels->quantization =
			V4L2_MAP_QUANTIZATION_DEFAULT(false, image->colorspace, pixels->ycbcr_enc);
}

/* Allocates planes 1 and 2 of the layout, tightly packed, and plane 0 too if `luma`. */
static int allocate_planes(
	struct pixels *pixels, bool luma, uint8_t *ret_planes[3], char error[IMAGE_ERROR_SIZE])
{
	size_t sizes[3] = {}, offset = 0;

	for (unsigned i = luma ? 0 : 1; i < 3; i++) {
		pixels->planes[i].stride = pixels_plane_width(pixels, i);
		sizes[i] = pixels->planes[i].stride * pixels_plane_height(pixels, i);
	}
	pixels->memory = malloc(sizes[0] + sizes[1] + sizes[2]);
	if (!pixels->memory)
		return image_fail(error, -ENOMEM, "no memory for a picture of %ux%u", pixels->width,
			pixels->height);
	for (unsigned i = luma ? 0 : 1; i < 3; i++) {
		ret_planes[i] = (uint8_t *)pixels->memory + offset;
		pixels->planes[i].data = ret_planes[i];
		offset += sizes[i];
	}
	return 0;
}

static int init_planar(struct pixels *pixels, const struct image *image,
	const struct ycbcr_format *format, char error[IMAGE_ERROR_SIZE])
{
	for (unsigned i = 0; i < 3; i++) {
		/* Y is Y; Cb and Cr change places in YV12. */
		unsigned to = format->swapped && i > 0 ? 3 - i : i;
		int r = pixels_check_plane(image, i, pixels_plane_width(pixels, i),
			pixels_plane_height(pixels, i), error);

		if (r < 0)
			return r;
		pixels->planes[to].data = image->planes[i].data;
		pixels->planes[to].stride = image->planes[i].stride;
	}
	return 0;
}

static int init_semi_planar(struct pixels *pixels, const struct image *image,
	const struct ycbcr_format *format, char error[IMAGE_ERROR_SIZE])
{
	const struct image_plane *luma = &image->planes[0], *chroma = &image->planes[1];
	uint32_t width = pixels_plane_width(pixels, 1), height = pixels_plane_height(pixels, 1);
	unsigned first = format->swapped ? 2 : 1, second = 3 - first;
	uint8_t *planes[3];
	int r;

	r = pixels_check_plane(image, 0, pixels->width, pixels->height, error);
	if (r < 0)
		return r;
	r = pixels_check_plane(image, 1, (size_t)width * 2, height, error);
	if (r < 0)
		return r;
	r = allocate_planes(pixels, false, planes, error);
	if (r < 0)
		return r;
	pixels->planes[0].data = luma->data;
	pixels->planes[0].stride = luma->stride;
	SplitUVPlane(chroma->data, (int)chroma->stride, planes[first], (int)width, planes[second],
		(int)width, (int)width, (int)height);
	return 0;
}

static int init_interleaved(struct pixels *pixels, const struct image *image,
	const struct ycbcr_format *format, char error[IMAGE_ERROR_SIZE])
{
	const struct image_plane *packed = &image->planes[0];
	unsigned first = format->swapped ? 2 : 1, second = 3 - first;
	int (*unpack)(const uint8_t *, int, uint8_t *, int, uint8_t *, int, uint8_t *, int, int,
		int) = format->arrangement == ARRANGEMENT_YUYV ? YUY2ToI422 : UYVYToI422;
	uint8_t *planes[3];
	int r;

	r = pixels_check_plane(
		image, 0, (size_t)divide_up(pixels->width, 2) * 4, pixels->height, error);
	if (r < 0)
		return r;
	r = allocate_planes(pixels, true, planes, error);
	if (r < 0)
		return r;
	unpack(packed->data, (int)packed->stride, planes[0], (int)pixels->planes[0].stride,
		planes[first], (int)pixels->planes[first].stride, planes[second],
		(int)pixels->planes[second].stride, (int)pixels->width, (int)pixels->height);
	return 0;
}

static int init_ycbcr(struct pixels *pixels, const struct image *image,
	const struct ycbcr_format *format, char error[IMAGE_ERROR_SIZE])
{
	pixels->layout = format->layout;
	resolve_colorimetry(pixels, image);
	switch (format->arrangement) {
	case ARRANGEMENT_PLANAR:
		return init_planar(pixels, image, format, error);
	case ARRANGEMENT_SEMI_PLANAR:
		return init_semi_planar(pixels, image, format, error);
	case ARRANGEMENT_YUYV:
	case ARRANGEMENT_UYVY:
		break;
	}
	return init_interleaved(pixels, image, format, error);
}

static int init_grey(struct pixels *pixels, const struct image *image, char error[IMAGE_ERROR_SIZE])
{
	int r = pixels_check_plane(image, 0, pixels->width, pixels->height, error);

	if (r < 0)
		return r;
	pixels->layout = PIXELS_GREY;
	pixels->planes[0].data = image->planes[0].data;
	pixels->planes[0].stride = image->planes[0].stride;
	return 0;
}

static int init_grey16(struct pixels *pixels, const struct image *image, unsigned bits,
	bool big_endian, char error[IMAGE_ERROR_SIZE])
{
	size_t width = pixels->width, most = (1u << bits) - 1;
	unsigned low = big_endian ? 1 : 0;
	uint16_t *samples;
	int r;

	r = pixels_check_plane(image, 0, width * 2, pixels->height, error);
	if (r < 0)
		return r;
	samples = malloc(width * 2 * pixels->height);
	if (!samples)
		return image_fail(error, -ENOMEM, "no memory for a picture of %ux%u", pixels->width,
			pixels->height);
	for (size_t y = 0; y < pixels->height; y++) {
		const uint8_t *line = image->planes[0].data + y * image->planes[0].stride;

		for (size_t x = 0; x < width; x++) {
			unsigned value = line[2 * x + low] | line[2 * x + 1 - low] << 8;

			samples[y * width + x] = (uint16_t)(value < most ? value : most);
		}
	}
	pixels->layout = PIXELS_GREY16;
	pixels->bits = bits;
	pixels->planes[0].data = (const uint8_t *)samples;
	pixels->planes[0].stride = width * 2;
	pixels->memory = samples;
	return 0;
}

static int refuse(const struct image *image, char error[IMAGE_ERROR_SIZE])
{
	char fourcc[CAMTAP_FOURCC_TEXT_SIZE];

	return image_fail(error, -ENOTSUP, "%s frames cannot be converted: use --format raw",
		camtap_fourcc_text(image->fourcc, fourcc));
}

/* Grey, decoded, and what nobody can convert: the same for both functions. 1: none of these. */
static int init_common(
	struct pixels *pixels, const struct image *image, bool rgb, char error[IMAGE_ERROR_SIZE])
{
	*pixels = (struct pixels){.width = image->width, .height = image->height, .bits = 8};
	if (image->width == 0 || image->height == 0 || image->width > INT16_MAX ||
		image->height > INT16_MAX)
		return image_fail(error, -EBADMSG, "a picture of %ux%u pixels cannot be right",
			image->width, image->height);

	if (image->fourcc == V4L2_PIX_FMT_MJPEG || image->fourcc == V4L2_PIX_FMT_JPEG)
		return pixels_init_jpeg(pixels, image, rgb, error);
	if (image->fourcc == V4L2_PIX_FMT_GREY)
		return init_grey(pixels, image, error);
	for (size_t i = 0; i < ELEMENTS(grey16_formats); i++) {
		if (grey16_formats[i].fourcc == image->fourcc)
			return init_grey16(pixels, image, grey16_formats[i].bits,
				grey16_formats[i].big_endian, error);
	}
	return 1;
}

int pixels_init_planar(
	struct pixels *ret_pixels, const struct image *image, char error[IMAGE_ERROR_SIZE])
{
	const struct ycbcr_format *format = ycbcr_find(image->fourcc);
	struct pixels pixels;
	int r = init_common(&pixels, image, false, error);

	if (r == 1)
		r = format ? init_ycbcr(&pixels, image, format, error) : refuse(image, error);
	if (r < 0)
		return r;
	*ret_pixels = pixels;
	return 0;
}

/*
 * The matrix, with the roles of Cb and Cr exchanged: libyuv writes B, G, R, and with exchanged
 * planes and constants R, G, B. Only the constants for full range are used: those for limited range
 * have a weight of blue that libyuv cut to fit 8 bits, and are up to 12 of 255 wrong for BT.709, 16
 * for BT.2020 (measured with version 1857).
 */
static const struct YuvConstants *find_matrix(const struct pixels *pixels)
{
	switch (pixels->ycbcr_enc) {
	case V4L2_YCBCR_ENC_709:
	case V4L2_YCBCR_ENC_XV709:
	case V4L2_YCBCR_ENC_SMPTE240M: /* libyuv has none; the weights are the same within 0.015 */
		return &kYvuF709Constants;
	case V4L2_YCBCR_ENC_BT2020:
	case V4L2_YCBCR_ENC_BT2020_CONST_LUM:
		return &kYvuV2020Constants;
	default:
		return &kYvuJPEGConstants;
	}
}

static int convert_full_range(
	struct pixels *ret_pixels, const struct pixels *planar, char error[IMAGE_ERROR_SIZE])
{
	const struct YuvConstants *matrix = find_matrix(planar);
	const struct pixels_plane *y = &planar->planes[0], *cb = &planar->planes[1],
				  *cr = &planar->planes[2];
	int width = (int)planar->width, height = (int)planar->height, stride = width * 3;
	uint8_t *rgb = malloc((size_t)stride * planar->height);

	if (!rgb)
		return image_fail(
			error, -ENOMEM, "no memory for a picture of %dx%d", width, height);
	*ret_pixels = (struct pixels){
		.layout = PIXELS_RGB,
		.width = planar->width,
		.height = planar->height,
		.bits = 8,
		.planes = {{rgb, (size_t)stride}},
		.memory = rgb,
	};
	if (planar->layout == PIXELS_420)
		I420ToRGB24MatrixFilter(y->data, (int)y->stride, cr->data, (int)cr->stride,
			cb->data, (int)cb->stride, rgb, stride, matrix, width, height, kFilterNone);
	else if (planar->layout == PIXELS_422)
		I422ToRGB24MatrixFilter(y->data, (int)y->stride, cr->data, (int)cr->stride,
			cb->data, (int)cb->stride, rgb, stride, matrix, width, height, kFilterNone);
	else
		I444ToRGB24Matrix(y->data, (int)y->stride, cr->data, (int)cr->stride, cb->data,
			(int)cb->stride, rgb, stride, matrix, width, height);
	return 0;
}

static int convert_ycbcr(
	struct pixels *ret_pixels, const struct pixels *planar, char error[IMAGE_ERROR_SIZE])
{
	struct pixels full;
	int r;

	if (pixels_is_full_range(planar))
		return convert_full_range(ret_pixels, planar, error);
	r = pixels_init_full_range(&full, planar, error);
	if (r < 0)
		return r;
	r = convert_full_range(ret_pixels, &full, error);
	pixels_finish(&full);
	return r;
}

static int init_packed(struct pixels *pixels, const struct image *image,
	const struct pixels_packed *format, char error[IMAGE_ERROR_SIZE])
{
	const struct image_plane *plane = &image->planes[0];
	size_t width = pixels->width;
	uint8_t *rgb;
	int r = pixels_check_plane(image, 0, width * format->size, pixels->height, error);

	if (r < 0)
		return r;
	pixels->layout = PIXELS_RGB;
	if (format->fourcc == V4L2_PIX_FMT_RGB24) {
		pixels->planes[0].data = plane->data;
		pixels->planes[0].stride = plane->stride;
		return 0;
	}
	rgb = malloc(width * 3 * pixels->height);
	if (!rgb)
		return image_fail(error, -ENOMEM, "no memory for a picture of %ux%u", pixels->width,
			pixels->height);
	pixels->planes[0].data = rgb;
	pixels->planes[0].stride = width * 3;
	pixels->memory = rgb;
	for (size_t y = 0; y < pixels->height; y++) {
		const uint8_t *from = plane->data + y * plane->stride;

		for (size_t x = 0; x < width; x++, from += format->size, rgb += 3) {
			rgb[0] = from[format->red];
			rgb[1] = from[format->green];
			rgb[2] = from[format->blue];
		}
	}
	return 0;
}

int pixels_init_rgb(
	struct pixels *ret_pixels, const struct image *image, char error[IMAGE_ERROR_SIZE])
{
	const struct ycbcr_format *ycbcr = ycbcr_find(image->fourcc);
	const struct pixels_packed *packed = pixels_packed_find(image->fourcc);
	struct pixels pixels, planar;
	int r = init_common(&pixels, image, true, error);

	if (r == 1 && packed) {
		r = init_packed(&pixels, image, packed, error);
	} else if (r == 1 && ycbcr) {
		planar = pixels;
		r = init_ycbcr(&planar, image, ycbcr, error);
		if (r == 0)
			r = convert_ycbcr(&pixels, &planar, error);
		pixels_finish(&planar);
	} else if (r == 1) {
		r = refuse(image, error);
	}
	if (r < 0)
		return r;
	*ret_pixels = pixels;
	return 0;
}

void pixels_finish(struct pixels *pixels)
{
	free(pixels->memory);
	*pixels = (struct pixels){};
}
