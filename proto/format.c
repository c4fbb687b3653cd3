/* SPDX-License-Identifier: MIT */
#include "format.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include <linux/videodev2.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	COMPRESSED_SIZE_MIN = 64 * 1024,
};

static const uint32_t big_endian = UINT32_C(1) << 31;

/*
 * One row per format of https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html. The RGB ones
 * are described by their bytes in memory order, which their V4L2 names are not always.
 */
static const struct format_info formats[] = {
	{V4L2_PIX_FMT_YUYV, "YCbCr 4:2:2 packed, Y Cb Y Cr", 8, 1, 0, {{2, 1, 4}}},
	{V4L2_PIX_FMT_UYVY, "YCbCr 4:2:2 packed, Cb Y Cr Y", 8, 1, 0, {{2, 1, 4}}},
	{V4L2_PIX_FMT_YVYU, "YCbCr 4:2:2 packed, Y Cr Y Cb", 8, 1, 0, {{2, 1, 4}}},
	{V4L2_PIX_FMT_VYUY, "YCbCr 4:2:2 packed, Cr Y Cb Y", 8, 1, 0, {{2, 1, 4}}},

	{V4L2_PIX_FMT_NV12, "Y and CbCr 4:2:0, two planes", 8, 2, 0, {{1, 1, 1}, {2, 2, 2}}},
	{V4L2_PIX_FMT_NV21, "Y and CrCb 4:2:0, two planes", 8, 2, 0, {{1, 1, 1}, {2, 2, 2}}},
	{V4L2_PIX_FMT_NV16, "Y and CbCr 4:2:2, two planes", 8, 2, 0, {{1, 1, 1}, {2, 1, 2}}},
	{V4L2_PIX_FMT_NV24, "Y and CbCr 4:4:4, two planes", 8, 2, 0, {{1, 1, 1}, {1, 1, 2}}},

	{V4L2_PIX_FMT_YUV420, "Y, Cb and Cr 4:2:0, three planes", 8, 3, 0,
		{{1, 1, 1}, {2, 2, 1}, {2, 2, 1}}},
	{V4L2_PIX_FMT_YVU420, "Y, Cr and Cb 4:2:0, three planes", 8, 3, 0,
		{{1, 1, 1}, {2, 2, 1}, {2, 2, 1}}},
	{V4L2_PIX_FMT_YUV422P, "Y, Cb and Cr 4:2:2, three planes", 8, 3, 0,
		{{1, 1, 1}, {2, 1, 1}, {2, 1, 1}}},

	{V4L2_PIX_FMT_RGB24, "RGB 24 bit, R G B", 8, 1, FORMAT_RGB, {{1, 1, 3}}},
	{V4L2_PIX_FMT_BGR24, "RGB 24 bit, B G R", 8, 1, FORMAT_RGB, {{1, 1, 3}}},
	{V4L2_PIX_FMT_XBGR32, "RGB 32 bit, B G R x", 8, 1, FORMAT_RGB, {{1, 1, 4}}},
	{V4L2_PIX_FMT_ABGR32, "RGB 32 bit, B G R alpha", 8, 1, FORMAT_RGB, {{1, 1, 4}}},
	{V4L2_PIX_FMT_XRGB32, "RGB 32 bit, x R G B", 8, 1, FORMAT_RGB, {{1, 1, 4}}},
	{V4L2_PIX_FMT_ARGB32, "RGB 32 bit, alpha R G B", 8, 1, FORMAT_RGB, {{1, 1, 4}}},
	{V4L2_PIX_FMT_RGBX32, "RGB 32 bit, R G B x", 8, 1, FORMAT_RGB, {{1, 1, 4}}},
	{V4L2_PIX_FMT_RGBA32, "RGB 32 bit, R G B alpha", 8, 1, FORMAT_RGB, {{1, 1, 4}}},
	{V4L2_PIX_FMT_BGRX32, "RGB 32 bit, x B G R", 8, 1, FORMAT_RGB, {{1, 1, 4}}},
	{V4L2_PIX_FMT_BGRA32, "RGB 32 bit, alpha B G R", 8, 1, FORMAT_RGB, {{1, 1, 4}}},
	{V4L2_PIX_FMT_BGR32, "RGB 32 bit, B G R and an undefined byte", 8, 1, FORMAT_RGB,
		{{1, 1, 4}}},
	{V4L2_PIX_FMT_RGB32, "RGB 32 bit, an undefined byte and R G B", 8, 1, FORMAT_RGB,
		{{1, 1, 4}}},

	{V4L2_PIX_FMT_GREY, "grey 8 bit", 8, 1, FORMAT_GREY, {{1, 1, 1}}},
	{V4L2_PIX_FMT_Y10, "grey 10 bit in 16", 10, 1, FORMAT_GREY, {{1, 1, 2}}},
	{V4L2_PIX_FMT_Y12, "grey 12 bit in 16", 12, 1, FORMAT_GREY, {{1, 1, 2}}},
	{V4L2_PIX_FMT_Y16, "grey 16 bit", 16, 1, FORMAT_GREY, {{1, 1, 2}}},
	{V4L2_PIX_FMT_Y16_BE, "grey 16 bit, big endian", 16, 1, FORMAT_GREY, {{1, 1, 2}}},

	{V4L2_PIX_FMT_SBGGR8, "Bayer BG GR 8 bit", 8, 1, FORMAT_BAYER, {{1, 1, 1}}},
	{V4L2_PIX_FMT_SGBRG8, "Bayer GB RG 8 bit", 8, 1, FORMAT_BAYER, {{1, 1, 1}}},
	{V4L2_PIX_FMT_SGRBG8, "Bayer GR BG 8 bit", 8, 1, FORMAT_BAYER, {{1, 1, 1}}},
	{V4L2_PIX_FMT_SRGGB8, "Bayer RG GB 8 bit", 8, 1, FORMAT_BAYER, {{1, 1, 1}}},
	{V4L2_PIX_FMT_SBGGR10, "Bayer BG GR 10 bit in 16", 10, 1, FORMAT_BAYER, {{1, 1, 2}}},
	{V4L2_PIX_FMT_SGBRG10, "Bayer GB RG 10 bit in 16", 10, 1, FORMAT_BAYER, {{1, 1, 2}}},
	{V4L2_PIX_FMT_SGRBG10, "Bayer GR BG 10 bit in 16", 10, 1, FORMAT_BAYER, {{1, 1, 2}}},
	{V4L2_PIX_FMT_SRGGB10, "Bayer RG GB 10 bit in 16", 10, 1, FORMAT_BAYER, {{1, 1, 2}}},
	{V4L2_PIX_FMT_SBGGR12, "Bayer BG GR 12 bit in 16", 12, 1, FORMAT_BAYER, {{1, 1, 2}}},
	{V4L2_PIX_FMT_SGBRG12, "Bayer GB RG 12 bit in 16", 12, 1, FORMAT_BAYER, {{1, 1, 2}}},
	{V4L2_PIX_FMT_SGRBG12, "Bayer GR BG 12 bit in 16", 12, 1, FORMAT_BAYER, {{1, 1, 2}}},
	{V4L2_PIX_FMT_SRGGB12, "Bayer RG GB 12 bit in 16", 12, 1, FORMAT_BAYER, {{1, 1, 2}}},

	{V4L2_PIX_FMT_MJPEG, "Motion JPEG", 0, 1, FORMAT_COMPRESSED, {}},
	{V4L2_PIX_FMT_JPEG, "JPEG", 0, 1, FORMAT_COMPRESSED, {}},
	{V4L2_PIX_FMT_H264, "H.264 with start codes", 0, 1, FORMAT_COMPRESSED, {}},
	{V4L2_PIX_FMT_HEVC, "H.265 with start codes", 0, 1, FORMAT_COMPRESSED, {}},
};

static const struct {
	const char *name;
	uint32_t fourcc;
} aliases[] = {
	{"gray8", V4L2_PIX_FMT_GREY},
	{"grey8", V4L2_PIX_FMT_GREY},
	{"bgr24", V4L2_PIX_FMT_BGR24},
	{"rgb24", V4L2_PIX_FMT_RGB24},
	{"i420", V4L2_PIX_FMT_YUV420},
	{"mjpeg", V4L2_PIX_FMT_MJPEG},
};

const struct format_info *format_find(uint32_t fourcc)
{
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		if (formats[i].fourcc == fourcc)
			return &formats[i];
	}
	return NULL;
}

uint32_t format_in_one_buffer(uint32_t fourcc)
{
	static const struct {
		uint32_t apart, together;
	} pairs[] = {
		{V4L2_PIX_FMT_NV12M, V4L2_PIX_FMT_NV12},
		{V4L2_PIX_FMT_NV21M, V4L2_PIX_FMT_NV21},
		{V4L2_PIX_FMT_NV16M, V4L2_PIX_FMT_NV16},
		{V4L2_PIX_FMT_YUV420M, V4L2_PIX_FMT_YUV420},
		{V4L2_PIX_FMT_YVU420M, V4L2_PIX_FMT_YVU420},
		{V4L2_PIX_FMT_YUV422M, V4L2_PIX_FMT_YUV422P},
	};

	for (size_t i = 0; i < ELEMENTS(pairs); i++) {
		if (pairs[i].apart == fourcc)
			return pairs[i].together;
	}
	return fourcc;
}

static uint32_t divide_up(uint32_t value, uint32_t divisor)
{
	return (value + divisor - 1) / divisor;
}

static void layout_compressed(uint32_t width, uint32_t height, struct format_layout *ret_layout)
{
	uint32_t size = width * height * 2;

	if (size < COMPRESSED_SIZE_MIN)
		size = COMPRESSED_SIZE_MIN;
	*ret_layout =
		(struct format_layout){.plane_count = 1, .planes = {{.size = size}}, .size = size};
}

int format_layout_init(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t bytesperline,
	struct format_layout *ret_layout)
{
	const struct format_info *info = format_find(fourcc);
	const struct format_plane_info *first;
	struct format_layout layout = {};
	uint64_t size = 0;
	uint32_t line_pixels, bytesperline_min;

	if (!info)
		return -ENOTSUP;
	if (width == 0 || height == 0)
		return -EINVAL;
	if (width > FORMAT_DIMENSION_MAX || height > FORMAT_DIMENSION_MAX)
		return -EOVERFLOW;
	if (info->flags & FORMAT_COMPRESSED) {
		layout_compressed(width, height, ret_layout);
		return 0;
	}

	first = &info->planes[0];
	bytesperline_min = divide_up(width, first->group_width) * first->group_bytes;
	if (bytesperline == 0)
		bytesperline = bytesperline_min;
	if (bytesperline < bytesperline_min)
		return -EINVAL;

	/* Pixels of a line with its padding. Only a single plane can have groups of more than one.
	 */
	line_pixels = bytesperline / first->group_bytes * first->group_width;

	layout.plane_count = info->plane_count;
	for (uint32_t i = 0; i < info->plane_count; i++) {
		const struct format_plane_info *plane = &info->planes[i];
		uint64_t stride = bytesperline, plane_size;

		if (i > 0)
			stride = (uint64_t)divide_up(line_pixels, plane->group_width) *
				 plane->group_bytes;
		plane_size = stride * divide_up(height, plane->group_height);
		if (size + plane_size > FORMAT_SIZE_MAX)
			return -EOVERFLOW;

		layout.planes[i].offset = (uint32_t)size;
		layout.planes[i].stride = (uint32_t)stride;
		layout.planes[i].size = (uint32_t)plane_size;
		size += plane_size;
	}
	layout.size = (uint32_t)size;
	*ret_layout = layout;
	return 0;
}

/* A blank may be left out or kept, at the end or before "-BE": compare without them. */
static bool text_equal(const char *text, const char *name)
{
	while (*name) {
		if (*text == ' ' && *name == '-') {
			text++;
			continue;
		}
		if (toupper((unsigned char)*text) != toupper((unsigned char)*name))
			return false;
		text++;
		name++;
	}
	return text[strspn(text, " ")] == '\0';
}

int format_parse(const char *text, uint32_t *ret_fourcc)
{
	for (size_t i = 0; i < ELEMENTS(aliases); i++) {
		if (strcasecmp(text, aliases[i].name) == 0) {
			*ret_fourcc = aliases[i].fourcc;
			return 0;
		}
	}
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		char name[FORMAT_TEXT_SIZE];

		format_print(formats[i].fourcc, name);
		if (text_equal(text, name)) {
			*ret_fourcc = formats[i].fourcc;
			return 0;
		}
	}
	return -EINVAL;
}

void format_print(uint32_t fourcc, char text[static FORMAT_TEXT_SIZE])
{
	size_t length = 4;

	for (size_t i = 0; i < 4; i++) {
		unsigned int byte = (fourcc & ~big_endian) >> (8 * i) & 0xff;

		/* not isprint(): it depends on the locale */
		text[i] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
	}
	while (length > 0 && text[length - 1] == ' ')
		length--;
	memcpy(text + length, fourcc & big_endian ? "-BE" : "", fourcc & big_endian ? 4 : 1);
}
