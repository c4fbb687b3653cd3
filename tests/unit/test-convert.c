/* SPDX-License-Identifier: MIT */

/*
 * Conversion of raw frames, compared with naive code here. Frames and slots lie in memory of
 * exactly their size, so that AddressSanitizer sees what is beyond them. JPEG is
 * test-convert-jpeg.c's.
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

#include "convert.h"
#include "format.h"
#include "guarded.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum kind {
	PLANAR,      /* Y, then the two chroma planes */
	SEMI_PLANAR, /* Y, then both chroma samples by turns */
	PAIRS,       /* two pixels in four bytes */
	PACKED,      /* a pixel in three or four bytes */
	GREY8,
	GREY16,
	BAYER,
};

static const struct format {
	uint32_t fourcc;
	enum kind kind;
	unsigned horizontal, vertical; /* subsampling of chroma */
	/* PLANAR, SEMI_PLANAR: order[0] is 1 if Cr comes first. PAIRS: bytes of Y, Cb, Y, Cr.
	 * PACKED: bytes of R, G, B, and the pixel's size. GREY16: bits, 1 if big endian. BAYER:
	 * column and line of red, bits. */
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
	{V4L2_PIX_FMT_SRGGB8, BAYER, 1, 1, {0, 0, 8}},
	{V4L2_PIX_FMT_SGRBG8, BAYER, 1, 1, {1, 0, 8}},
	{V4L2_PIX_FMT_SGBRG8, BAYER, 1, 1, {0, 1, 8}},
	{V4L2_PIX_FMT_SBGGR8, BAYER, 1, 1, {1, 1, 8}},
	{V4L2_PIX_FMT_SRGGB10, BAYER, 1, 1, {0, 0, 10}},
	{V4L2_PIX_FMT_SGRBG10, BAYER, 1, 1, {1, 0, 10}},
	{V4L2_PIX_FMT_SGBRG10, BAYER, 1, 1, {0, 1, 10}},
	{V4L2_PIX_FMT_SBGGR10, BAYER, 1, 1, {1, 1, 10}},
	{V4L2_PIX_FMT_SRGGB12, BAYER, 1, 1, {0, 0, 12}},
	{V4L2_PIX_FMT_SGRBG12, BAYER, 1, 1, {1, 0, 12}},
	{V4L2_PIX_FMT_SGBRG12, BAYER, 1, 1, {0, 1, 12}},
	{V4L2_PIX_FMT_SBGGR12, BAYER, 1, 1, {1, 1, 12}},
};

static const uint32_t targets[] = {V4L2_PIX_FMT_GREY, V4L2_PIX_FMT_YUV420, V4L2_PIX_FMT_NV12,
	V4L2_PIX_FMT_RGB24, V4L2_PIX_FMT_BGR24, V4L2_PIX_FMT_XBGR32};

static const struct format *find(uint32_t fourcc)
{
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		if (formats[i].fourcc == fourcc)
			return &formats[i];
	}
	fail_msg("no such format");
	return NULL;
}

static bool is_ycbcr(const struct format *format)
{
	return format->kind == PLANAR || format->kind == SEMI_PLANAR || format->kind == PAIRS;
}

/* A frame in memory: each plane is an allocation of its own. */
struct frame {
	const struct format *format;
	uint32_t width, height;
	struct format_layout layout;
	uint8_t *planes[3];
	struct convert_picture picture;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void frame_init(
	struct frame *frame, const struct format *format, uint32_t width, uint32_t height)
{
	*frame = (struct frame){.format = format, .width = width, .height = height};
	assert_int_equal(format_layout_init(format->fourcc, width, height, 0, &frame->layout), 0);
	frame->picture.plane_count = frame->layout.plane_count;
	for (uint32_t i = 0; i < frame->layout.plane_count; i++) {
		frame->planes[i] = guarded_alloc(frame->layout.planes[i].size);
		frame->picture.planes[i] = (struct convert_plane){.data = frame->planes[i],
			.stride = frame->layout.planes[i].stride,
			.bytesused = frame->layout.planes[i].size};
	}
}

static void frame_fill(struct frame *frame, uint32_t seed)
{
	for (uint32_t i = 0; i < frame->layout.plane_count; i++) {
		for (uint32_t j = 0; j < frame->layout.planes[i].size; j++)
			frame->planes[i][j] = (uint8_t)next_random(&seed);
	}
}

static void frame_finish(struct frame *frame)
{
	for (uint32_t i = 0; i < frame->layout.plane_count; i++)
		guarded_free(frame->planes[i], frame->layout.planes[i].size);
}

/* Component 0..2 of a pixel: Y, Cb, Cr or R, G, B or, thrice the same, grey; where it is. */
static uint8_t *frame_at(const struct frame *frame, unsigned component, uint32_t x, uint32_t y)
{
	const struct format *format = frame->format;
	const struct format_plane *planes = frame->layout.planes;
	unsigned swapped = format->order[0];
	uint32_t cx = x / format->horizontal, cy = y / format->vertical;

	switch (format->kind) {
	case PLANAR:
		if (component == 0)
			return frame->planes[0] + y * planes[0].stride + x;
		component = swapped ? 3 - component : component;
		return frame->planes[component] + cy * planes[component].stride + cx;
	case SEMI_PLANAR:
		if (component == 0)
			return frame->planes[0] + y * planes[0].stride + x;
		return frame->planes[1] + cy * planes[1].stride + cx * 2 +
		       ((component - 1) ^ swapped);
	case PAIRS:
		return frame->planes[0] + y * planes[0].stride + x / 2 * 4 +
		       format->order[component == 0 ? x % 2 * 2 : component * 2 - 1];
	case PACKED:
		return frame->planes[0] + y * planes[0].stride + x * format->order[3] +
		       format->order[component];
	case GREY8:
		return frame->planes[0] + y * planes[0].stride + x;
	case GREY16:
	case BAYER:
		break;
	}
	return NULL;
}

static uint32_t get_u16(const uint8_t *bytes, unsigned low)
{
	return bytes[low] | (uint32_t)bytes[1 - low] << 8;
}

static uint32_t mirrored(int64_t value, uint32_t size)
{
	if (value < 0)
		value = -value;
	return (uint32_t)(value < size ? value : 2 * ((int64_t)size - 1) - value);
}

/* Bilinear: the mean of all pixels of that colour among the 3x3 around this one that are nearest.
 */
static unsigned bayer_value(const struct frame *frame, unsigned component, uint32_t x, uint32_t y)
{
	const struct format *format = frame->format;
	unsigned bits = format->order[2], most = (1u << bits) - 1;

	for (int distance = 0; distance <= 2; distance++) { /* squared */
		unsigned sum = 0, count = 0;

		for (int dy = -1; dy <= 1; dy++) {
			for (int dx = -1; dx <= 1; dx++) {
				uint32_t px = mirrored((int64_t)x + dx, frame->width);
				uint32_t py = mirrored((int64_t)y + dy, frame->height);
				bool red = px % 2 == format->order[0] && py % 2 == format->order[1];
				bool blue =
					px % 2 != format->order[0] && py % 2 != format->order[1];
				unsigned colour = red ? 0 : blue ? 2 : 1, value;
				const uint8_t *at =
					frame->planes[0] + py * frame->layout.planes[0].stride;

				if (dx * dx + dy * dy != distance || colour != component)
					continue;
				value = bits == 8 ? at[px] : get_u16(at + 2 * px, 0);
				sum += value < most ? value : most;
				count++;
			}
		}
		if (count > 0)
			return ((sum + count / 2) / count) >> (bits - 8);
	}
	return 0;
}

static unsigned frame_get(const struct frame *frame, unsigned component, uint32_t x, uint32_t y)
{
	const struct format *format = frame->format;
	unsigned value;

	if (format->kind == BAYER)
		return bayer_value(frame, component, x, y);
	if (format->kind != GREY16)
		return *frame_at(frame, component, x, y);
	value = get_u16(frame->planes[0] + y * frame->layout.planes[0].stride + 2 * x,
			format->order[1]) >>
		(format->order[0] - 8);
	return value < 255 ? value : 255;
}

struct matrix {
	double red, blue; /* Kr, Kb */
	bool full;
};

static const struct matrix bt601 = {0.299, 0.114, false};

static double limit(double value)
{
	return value < 0 ? 0 : value > 255 ? 255 : value;
}

static void to_rgb(const struct matrix *matrix, const unsigned ycbcr[3], double rgb[3])
{
	double y = matrix->full ? ycbcr[0] : (ycbcr[0] - 16.0) * 255 / 219;
	double scale = matrix->full ? 1 : 255.0 / 224;
	double cb = (ycbcr[1] - 128.0) * scale, cr = (ycbcr[2] - 128.0) * scale;
	double green = 1 - matrix->red - matrix->blue;

	rgb[0] = limit(y + 2 * (1 - matrix->red) * cr);
	rgb[2] = limit(y + 2 * (1 - matrix->blue) * cb);
	rgb[1] = limit(y - 2 * matrix->red * (1 - matrix->red) / green * cr -
		       2 * matrix->blue * (1 - matrix->blue) / green * cb);
}

static double luma(const double rgb[3])
{
	return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
}

/* A conversion of a frame into a slot. */
struct conversion {
	struct pool_format from;
	struct convert *convert;
	const struct pool_format *to;
	uint8_t *slot;
	struct frame result; /* in the slot */
};

static void conversion_init(
	struct conversion *conversion, const struct frame *frame, const char *text)
{
	struct stream_request request;
	char error[CONVERT_ERROR_SIZE] = "";
	int r;

	conversion->from.fourcc = frame->format->fourcc;
	conversion->from.width = frame->width;
	conversion->from.height = frame->height;
	if (stream_request_parse(text, &request, error) < 0)
		fail_msg("%s: %s", text, error);
	r = convert_create(
		&conversion->from, &request, CONVERT_LENIENT, &conversion->convert, error);
	if (r < 0)
		fail_msg("%s: %s", text, error);
	conversion->to = convert_format(conversion->convert);
	conversion->slot = guarded_alloc(conversion->to->frame_size);
	conversion->result = (struct frame){.format = find(conversion->to->fourcc),
		.width = conversion->to->width,
		.height = conversion->to->height};
	assert_int_equal(format_layout_init(conversion->to->fourcc, conversion->to->width,
				 conversion->to->height, 0, &conversion->result.layout),
		0);
	for (uint32_t i = 0; i < conversion->to->plane_count; i++) {
		assert_int_equal(conversion->result.layout.planes[i].offset,
			conversion->to->planes[i].offset);
		assert_int_equal(conversion->result.layout.planes[i].stride,
			conversion->to->planes[i].stride);
		conversion->result.planes[i] = conversion->slot + conversion->to->planes[i].offset;
	}
}

/* Converts twice, so that bytes which are not written are seen. */
static void conversion_run(struct conversion *conversion, const struct frame *frame)
{
	uint32_t size = conversion->to->frame_size;
	uint8_t *first = malloc(size);

	assert_non_null(first);
	memset(conversion->slot, 0x00, size);
	assert_int_equal(
		convert_frame(conversion->convert, &frame->picture, conversion->slot, size), 0);
	memcpy(first, conversion->slot, size);
	memset(conversion->slot, 0xff, size);
	assert_int_equal(
		convert_frame(conversion->convert, &frame->picture, conversion->slot, size), 0);
	assert_memory_equal(first, conversion->slot, size);
	free(first);
}

static void conversion_finish(struct conversion *conversion)
{
	guarded_free(conversion->slot, conversion->to->frame_size);
	convert_destroy(conversion->convert);
}

struct check {
	const struct frame *from, *to;
	const char *request;
	uint32_t left, top; /* of the crop */
	struct matrix matrix;
};

static void expect(const struct check *check, unsigned component, uint32_t x, uint32_t y,
	double wanted, double tolerance)
{
	unsigned value = frame_get(check->to, component, x, y);

	if (fabs(value - wanted) > tolerance) {
		char name[FORMAT_TEXT_SIZE];

		format_print(check->from->format->fourcc, name);
		fail_msg("%s %ux%u -> %s: component %u of (%u, %u) is %u, not %.2f", name,
			check->from->width, check->from->height, check->request, component, x, y,
			value, wanted);
	}
}

/* The mean of chroma samples that one of the result stands for: of those that there are. */
static double chroma_mean(const struct check *check, unsigned component, uint32_t x, uint32_t y)
{
	const struct format *from = check->from->format;
	unsigned sum = 0, count = 0;

	for (uint32_t dy = 0; dy < 2; dy += from->vertical) {
		for (uint32_t dx = 0; dx < 2; dx += from->horizontal) {
			uint32_t px = x / 2 * 2 + dx, py = y / 2 * 2 + dy;

			if (px >= check->to->width || py >= check->to->height)
				continue;
			sum += frame_get(check->from, component, check->left + px, check->top + py);
			count++;
		}
	}
	return floor((sum + count / 2.0) / count);
}

/* RGB becomes limited BT.601, chroma of the mean colour. */
static double chroma_of_rgb(const struct check *check, unsigned component, uint32_t x, uint32_t y)
{
	double rgb[3] = {};
	unsigned count = 0;

	for (uint32_t py = y / 2 * 2; py < y / 2 * 2 + 2; py++) {
		for (uint32_t px = x / 2 * 2; px < x / 2 * 2 + 2; px++) {
			if (px >= check->to->width || py >= check->to->height)
				continue;
			for (unsigned i = 0; i < 3; i++)
				rgb[i] += frame_get(
					check->from, i, check->left + px, check->top + py);
			count++;
		}
	}
	for (unsigned i = 0; i < 3; i++)
		rgb[i] /= count;
	return component == 1 ? 128 + (rgb[2] - luma(rgb)) / 1.772 * 224 / 255
			      : 128 + (rgb[0] - luma(rgb)) / 1.402 * 224 / 255;
}

static void check_pixel(const struct check *check, uint32_t x, uint32_t y)
{
	const struct format *from = check->from->format, *to = check->to->format;
	unsigned values[3];
	double rgb[3];

	for (unsigned i = 0; i < 3; i++)
		values[i] = frame_get(check->from, i, check->left + x, check->top + y);
	for (unsigned i = 0; i < 3; i++)
		rgb[i] = values[i];
	if (is_ycbcr(from) && to->kind == PACKED)
		to_rgb(&check->matrix, values, rgb);

	if (to->kind == PACKED) {
		for (unsigned i = 0; i < 3; i++)
			expect(check, i, x, y, rgb[i], is_ycbcr(from) ? 3 : 0);
		return;
	}
	if (from->kind == PACKED || from->kind == BAYER) {
		expect(check, 0, x, y, to->kind == GREY8 ? luma(rgb) : 16 + luma(rgb) * 219 / 255,
			1);
		for (unsigned i = 1; i < 3 && to->kind != GREY8; i++)
			expect(check, i, x, y, chroma_of_rgb(check, i, x, y), 2);
		return;
	}
	expect(check, 0, x, y, values[0], 0);
	for (unsigned i = 1; i < 3 && to->kind != GREY8; i++)
		expect(check, i, x, y, is_ycbcr(from) ? chroma_mean(check, i, x, y) : 128, 0);
}

static void check_all(const struct check *check)
{
	for (uint32_t y = 0; y < check->to->height; y++) {
		for (uint32_t x = 0; x < check->to->width; x++)
			check_pixel(check, x, y);
	}
}

static void convert_and_check(
	const struct format *format, uint32_t fourcc, uint32_t width, uint32_t height)
{
	struct conversion conversion = {};
	struct frame frame;
	char text[FORMAT_TEXT_SIZE];

	frame_init(&frame, format, width, height);
	frame_fill(&frame, width * 100 + height);
	format_print(fourcc, text);
	conversion_init(&conversion, &frame, text);
	conversion_run(&conversion, &frame);
	check_all(&(struct check){
		.from = &frame, .to = &conversion.result, .request = text, .matrix = bt601});
	conversion_finish(&conversion);
	frame_finish(&frame);
}

static void every_format_becomes_every_other(void **state)
{
	static const uint32_t sizes[][2] = {
		{64, 48}, {65, 47}, {1, 1}, {2, 2}, {1, 5}, {5, 1}, {3, 3}, {33, 2}, {130, 3}};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		for (size_t j = 0; j < ELEMENTS(targets); j++) {
			for (size_t k = 0; k < ELEMENTS(sizes); k++) {
				if (formats[i].kind == BAYER &&
					(sizes[k][0] < 2 || sizes[k][1] < 2))
					continue;
				convert_and_check(
					&formats[i], targets[j], sizes[k][0], sizes[k][1]);
			}
		}
	}
}

static void a_crop_is_exactly_that_part(void **state)
{
	static const uint32_t crops[][4] = {{20, 10, 6, 4}, {21, 11, 2, 2}, {1, 1, 0, 0},
		{32, 24, 0, 0}, {31, 23, 0, 0}, {1, 1, 30, 22}, {7, 5, 7, 5}, {8, 5, 5, 3}};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		for (size_t j = 0; j < ELEMENTS(targets); j++) {
			for (size_t k = 0; k < ELEMENTS(crops); k++) {
				const uint32_t *crop = crops[k];
				bool grey = targets[j] == V4L2_PIX_FMT_GREY;
				struct conversion conversion = {};
				struct frame frame;
				char text[64], name[FORMAT_TEXT_SIZE];

				if (!grey && (crop[2] % formats[i].horizontal ||
						     crop[3] % formats[i].vertical))
					continue;
				format_print(targets[j], name);
				snprintf(text, sizeof(text), "%s,crop=%ux%u+%u+%u", name, crop[0],
					crop[1], crop[2], crop[3]);
				frame_init(&frame, &formats[i], 32, 24);
				frame_fill(&frame, (uint32_t)k);
				conversion_init(&conversion, &frame, text);
				assert_int_equal(conversion.to->width, crop[0]);
				assert_int_equal(conversion.to->height, crop[1]);
				conversion_run(&conversion, &frame);
				check_all(&(struct check){.from = &frame,
					.to = &conversion.result,
					.request = text,
					.left = crop[2],
					.top = crop[3],
					.matrix = bt601});
				conversion_finish(&conversion);
				frame_finish(&frame);
			}
		}
	}
}

/* Lines with padding, in memory that ends with the last pixel of the last line. */
static void strides_are_the_frames_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		for (size_t j = 0; j < ELEMENTS(targets); j++) {
			struct conversion conversion = {};
			struct frame frame, padded;
			uint8_t *memory[3] = {};
			char text[FORMAT_TEXT_SIZE];

			frame_init(&frame, &formats[i], 22, 10);
			frame_fill(&frame, 7);
			padded = frame;
			for (uint32_t p = 0; p < frame.layout.plane_count; p++) {
				const struct format_plane *plane = &frame.layout.planes[p];
				uint32_t lines = plane->size / plane->stride;
				uint32_t stride =
					plane->stride + 13; /* odd: 16-bit samples unaligned */
				uint32_t size = (lines - 1) * stride + plane->stride;

				memory[p] = guarded_alloc(size);
				for (uint32_t y = 0; y < lines; y++)
					memcpy(memory[p] + y * stride,
						frame.planes[p] + y * plane->stride, plane->stride);
				padded.picture.planes[p] =
					(struct convert_plane){memory[p], stride, size};
			}
			format_print(targets[j], text);
			conversion_init(&conversion, &padded, text);
			conversion_run(&conversion, &padded);
			check_all(&(struct check){.from = &frame,
				.to = &conversion.result,
				.request = text,
				.matrix = bt601});
			for (uint32_t p = 0; p < frame.layout.plane_count; p++) {
				padded.picture.planes[p].bytesused--;
				assert_int_equal(
					convert_frame(conversion.convert, &padded.picture,
						conversion.slot, conversion.to->frame_size),
					CONVERT_SHORT);
				padded.picture.planes[p].bytesused++;
				guarded_free(memory[p], padded.picture.planes[p].bytesused);
			}
			conversion_finish(&conversion);
			frame_finish(&frame);
		}
	}
}

/* Four quarters of one colour each: wherever a conversion leads, they stay where they are. */
static void put(struct frame *frame, uint32_t x, uint32_t y, const unsigned values[3])
{
	const struct format *format = frame->format;

	if (format->kind == GREY16 || format->kind == BAYER) {
		bool red = x % 2 == format->order[0] && y % 2 == format->order[1];
		bool blue = x % 2 != format->order[0] && y % 2 != format->order[1];
		unsigned bits = format->kind == GREY16 ? format->order[0] : format->order[2];
		unsigned value = format->kind == GREY16 ? values[0]
							: values[red     ? 0
								  : blue ? 2
									 : 1];
		uint8_t *line = frame->planes[0] + y * frame->layout.planes[0].stride;
		unsigned low = format->kind == GREY16 ? format->order[1] : 0;

		if (bits == 8) {
			line[x] = (uint8_t)value;
			return;
		}
		line[2 * x + low] = (uint8_t)(value << (bits - 8));
		line[2 * x + 1 - low] = (uint8_t)(value << (bits - 8) >> 8);
		return;
	}
	for (unsigned i = 0; i < 3; i++)
		*frame_at(frame, i, x, y) = (uint8_t)values[format->kind == GREY8 ? 0 : i];
}

static void quarters_stay_in_place(void **state)
{
	static const unsigned colours[4][3] = {
		{60, 90, 180}, {100, 150, 80}, {150, 100, 140}, {200, 140, 110}};
	static const uint32_t sizes[][2] = {{32, 24}, {96, 72}, {24, 16}, {33, 23}, {31, 47},
		{16, 12}, {128, 96}, {21, 8}, {50, 24}, {64, 10}, {8, 8}};
	static const char *const crops[] = {"", ",crop=48x32+8+8"};

	(void)state;
	for (size_t n = 0; n < ELEMENTS(formats) * ELEMENTS(targets) * ELEMENTS(sizes) * 2; n++) {
		const struct format *format = &formats[n % ELEMENTS(formats)];
		uint32_t fourcc = targets[n / ELEMENTS(formats) % ELEMENTS(targets)];
		const uint32_t *size =
			sizes[n / ELEMENTS(formats) / ELEMENTS(targets) % ELEMENTS(sizes)];
		const char *crop =
			crops[n / (ELEMENTS(formats) * ELEMENTS(targets) * ELEMENTS(sizes))];
		struct conversion conversion = {};
		struct frame frame;
		char text[64], name[FORMAT_TEXT_SIZE];

		frame_init(&frame, format, 64, 48);
		for (uint32_t y = 0; y < 48; y++) {
			for (uint32_t x = 0; x < 64; x++)
				put(&frame, x, y, colours[y / 24 * 2 + x / 32]);
		}
		format_print(fourcc, name);
		snprintf(text, sizeof(text), "%s:%ux%u%s", name, size[0], size[1], crop);
		conversion_init(&conversion, &frame, text);
		conversion_run(&conversion, &frame);
		for (uint32_t q = 0; q < 4; q++) {
			uint32_t x = q % 2 * 32 + 16, y = q / 2 * 24 + 12;
			struct check check = {.from = &frame,
				.to = &conversion.result,
				.request = text,
				.matrix = bt601};
			/* a corner of the result, far from the other quarters */
			uint32_t to_x = q % 2 ? size[0] - 1 : 0, to_y = q / 2 ? size[1] - 1 : 0;
			const struct format *to = conversion.result.format;
			unsigned values[3];
			double rgb[3], wanted[3];

			for (unsigned i = 0; i < 3; i++)
				rgb[i] = values[i] = frame_get(&frame, i, x, y);
			if (is_ycbcr(format) && to->kind == PACKED)
				to_rgb(&bt601, values, rgb);
			memcpy(wanted, rgb, sizeof(wanted));
			if ((format->kind == PACKED || format->kind == BAYER) &&
				to->kind != PACKED) {
				wanted[0] =
					to->kind == GREY8 ? luma(rgb) : 16 + luma(rgb) * 219 / 255;
				wanted[1] = 128 + (rgb[2] - luma(rgb)) / 1.772 * 224 / 255;
				wanted[2] = 128 + (rgb[0] - luma(rgb)) / 1.402 * 224 / 255;
			} else if (!is_ycbcr(format) && to->kind != PACKED) {
				wanted[1] = wanted[2] = 128;
			}
			for (unsigned i = 0; i < (to->kind == GREY8 ? 1 : 3); i++)
				expect(&check, i, to_x, to_y, wanted[i], 4);
		}
		conversion_finish(&conversion);
		frame_finish(&frame);
	}
}

/* Cropped and scaled at once or one after the other, also where the scaled crop is as large as what
 * is unpacked for it. */
static void one_step_or_two_are_the_same(void **state)
{
	static const uint32_t pairs[] = {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_UYVY};
	static const char *const scales[] = {
		"GREY:22x8,crop=21x8+3+0", "GREY:64x48,crop=21x8+3+0", "GREY:10x4,crop=21x8+3+0"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(pairs) * ELEMENTS(scales); i++) {
		const char *text = scales[i / ELEMENTS(pairs)];
		struct conversion at_once = {}, first = {}, second = {};
		struct frame frame;

		frame_init(&frame, find(pairs[i % ELEMENTS(pairs)]), 64, 48);
		frame_fill(&frame, (uint32_t)i);
		conversion_init(&at_once, &frame, text);
		conversion_run(&at_once, &frame);
		conversion_init(&first, &frame, "GREY");
		conversion_run(&first, &frame);
		first.result.picture = (struct convert_picture){
			.plane_count = 1, .planes = {{first.slot, 64, 64 * 48}}};
		conversion_init(&second, &first.result, text);
		conversion_run(&second, &first.result);
		assert_int_equal(at_once.to->frame_size, second.to->frame_size);
		assert_memory_equal(at_once.slot, second.slot, second.to->frame_size);
		conversion_finish(&second);
		conversion_finish(&first);
		conversion_finish(&at_once);
		frame_finish(&frame);
	}
}

/* Whole factors: each pixel is the mean of those that it stands for. */
static void smaller_is_the_mean(void **state)
{
	static const uint32_t sources[] = {V4L2_PIX_FMT_GREY, V4L2_PIX_FMT_NV24, V4L2_PIX_FMT_RGB24,
		V4L2_PIX_FMT_XBGR32, V4L2_PIX_FMT_SRGGB8};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(sources); i++) {
		const struct format *format = find(sources[i]);

		for (uint32_t n = 0; n < 36; n++) {
			uint32_t columns = 1 + n % 6, lines = 1 + n / 6;
			struct conversion conversion = {};
			struct frame frame;
			struct check check = {.from = &frame, .to = &conversion.result};
			char text[32];
			bool grey = i < 2;

			snprintf(text, sizeof(text), "%s:40x30", grey ? "GREY" : "RGB3");
			check.request = text;
			frame_init(&frame, format, 40 * columns, 30 * lines);
			frame_fill(&frame, n);
			conversion_init(&conversion, &frame, text);
			conversion_run(&conversion, &frame);
			for (uint32_t p = 0; p < 40 * 30 * (grey ? 1 : 3); p++) {
				uint32_t x = p % 40, y = p / 40 % 30, component = p / 40 / 30;
				double sum = 0;

				for (uint32_t dy = 0; dy < lines; dy++) {
					for (uint32_t dx = 0; dx < columns; dx++)
						sum += frame_get(&frame, component,
							x * columns + dx, y * lines + dy);
				}
				/* libyuv's means are rounded down, by fixed-point reciprocals */
				expect(&check, component, x, y, sum / lines / columns - 0.5, 1);
			}
			conversion_finish(&conversion);
			frame_finish(&frame);
		}
	}
}

static void colorimetry_is_honoured(void **state)
{
	static const struct {
		uint32_t colorspace, ycbcr_enc, quantization;
		struct matrix matrix;
		double tolerance;
		uint32_t encoding, range; /* of GREY and YU12 */
	} cases[] = {
		{V4L2_COLORSPACE_DEFAULT, 0, 0, {0.299, 0.114, false}, 3, V4L2_YCBCR_ENC_601,
			V4L2_QUANTIZATION_LIM_RANGE},
		{V4L2_COLORSPACE_SRGB, 0, 0, {0.299, 0.114, false}, 3, V4L2_YCBCR_ENC_601,
			V4L2_QUANTIZATION_LIM_RANGE},
		{V4L2_COLORSPACE_JPEG, 0, 0, {0.299, 0.114, true}, 2.5, V4L2_YCBCR_ENC_601,
			V4L2_QUANTIZATION_FULL_RANGE},
		{V4L2_COLORSPACE_SRGB, 0, V4L2_QUANTIZATION_FULL_RANGE, {0.299, 0.114, true}, 2.5,
			V4L2_YCBCR_ENC_601, V4L2_QUANTIZATION_FULL_RANGE},
		{V4L2_COLORSPACE_REC709, 0, 0, {0.2126, 0.0722, false}, 3, V4L2_YCBCR_ENC_709,
			V4L2_QUANTIZATION_LIM_RANGE},
		{V4L2_COLORSPACE_REC709, 0, V4L2_QUANTIZATION_FULL_RANGE, {0.2126, 0.0722, true},
			2.5, V4L2_YCBCR_ENC_709, V4L2_QUANTIZATION_FULL_RANGE},
		{V4L2_COLORSPACE_SRGB, V4L2_YCBCR_ENC_709, 0, {0.2126, 0.0722, false}, 3,
			V4L2_YCBCR_ENC_709, V4L2_QUANTIZATION_LIM_RANGE},
		{V4L2_COLORSPACE_BT2020, 0, 0, {0.2627, 0.0593, false}, 3, V4L2_YCBCR_ENC_BT2020,
			V4L2_QUANTIZATION_LIM_RANGE},
		{V4L2_COLORSPACE_BT2020, 0, V4L2_QUANTIZATION_FULL_RANGE, {0.2627, 0.0593, true},
			2.5, V4L2_YCBCR_ENC_BT2020, V4L2_QUANTIZATION_FULL_RANGE},
		{V4L2_COLORSPACE_SMPTE240M, 0, 0, {0.2122, 0.0865, false}, 7,
			V4L2_YCBCR_ENC_SMPTE240M, V4L2_QUANTIZATION_LIM_RANGE},
	};
	static const uint32_t sources[] = {
		V4L2_PIX_FMT_NV24, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_YUV420};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases) * ELEMENTS(sources) * ELEMENTS(targets); i++) {
		size_t c = i % ELEMENTS(cases);
		uint32_t source = sources[i / ELEMENTS(cases) % ELEMENTS(sources)];
		uint32_t target = targets[i / ELEMENTS(cases) / ELEMENTS(sources)];
		struct conversion conversion = {.from = {.colorspace = cases[c].colorspace,
							.ycbcr_enc = cases[c].ycbcr_enc,
							.quantization = cases[c].quantization}};
		struct frame frame;
		struct check check = {.from = &frame, .to = &conversion.result};
		char text[FORMAT_TEXT_SIZE];

		frame_init(&frame, find(source), 64, 32);
		frame_fill(&frame, (uint32_t)i);
		for (uint32_t n = 0; n < 3 * 64 * 32; n++) { /* values that cameras send */
			uint8_t *at = frame_at(&frame, n % 3, n / 3 % 64, n / 3 / 64);

			*at = (uint8_t)(16 + *at % (n % 3 == 0 ? 220 : 225));
		}
		format_print(target, text);
		check.request = text;
		conversion_init(&conversion, &frame, text);
		conversion_run(&conversion, &frame);
		assert_int_equal(conversion.to->colorspace, cases[c].colorspace);
		if (conversion.result.format->kind != PACKED) {
			assert_int_equal(conversion.to->ycbcr_enc, cases[c].encoding);
			assert_int_equal(conversion.to->quantization, cases[c].range);
		} else {
			assert_int_equal(conversion.to->quantization, V4L2_QUANTIZATION_FULL_RANGE);
			for (uint32_t n = 0; n < 64 * 32; n++) {
				uint32_t x = n % 64, y = n / 64;
				unsigned values[3];
				double rgb[3];

				for (unsigned k = 0; k < 3; k++)
					values[k] = frame_get(&frame, k, x, y);
				to_rgb(&cases[c].matrix, values, rgb);
				for (unsigned k = 0; k < 3; k++)
					expect(&check, k, x, y, rgb[k], cases[c].tolerance);
			}
		}
		conversion_finish(&conversion);
		frame_finish(&frame);
	}
}

/* The range of grey and of RGB goes where they go. */
static void ranges_are_carried(void **state)
{
	static const struct {
		uint32_t from, quantization, to, range, encoding;
	} cases[] = {
		{V4L2_PIX_FMT_GREY, 0, V4L2_PIX_FMT_RGB24, V4L2_QUANTIZATION_FULL_RANGE, 0},
		{V4L2_PIX_FMT_GREY, 2, V4L2_PIX_FMT_RGB24, V4L2_QUANTIZATION_LIM_RANGE, 0},
		{V4L2_PIX_FMT_Y10, 0, V4L2_PIX_FMT_YUV420, V4L2_QUANTIZATION_FULL_RANGE,
			V4L2_YCBCR_ENC_601},
		{V4L2_PIX_FMT_GREY, 2, V4L2_PIX_FMT_NV12, V4L2_QUANTIZATION_LIM_RANGE,
			V4L2_YCBCR_ENC_601},
		{V4L2_PIX_FMT_RGB24, 0, V4L2_PIX_FMT_NV12, V4L2_QUANTIZATION_LIM_RANGE,
			V4L2_YCBCR_ENC_601},
		{V4L2_PIX_FMT_RGB24, 0, V4L2_PIX_FMT_GREY, V4L2_QUANTIZATION_FULL_RANGE,
			V4L2_YCBCR_ENC_601},
		{V4L2_PIX_FMT_RGB24, 2, V4L2_PIX_FMT_GREY, V4L2_QUANTIZATION_LIM_RANGE,
			V4L2_YCBCR_ENC_601},
		{V4L2_PIX_FMT_RGB24, 2, V4L2_PIX_FMT_BGR24, V4L2_QUANTIZATION_LIM_RANGE, 0},
		{V4L2_PIX_FMT_SRGGB8, 0, V4L2_PIX_FMT_BGR24, V4L2_QUANTIZATION_FULL_RANGE, 0},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct pool_format from = {.fourcc = cases[i].from,
			.width = 8,
			.height = 8,
			.quantization = cases[i].quantization};
		struct stream_request request = {.fourcc = cases[i].to};
		struct convert *convert;
		char error[CONVERT_ERROR_SIZE];

		assert_int_equal(
			convert_create(&from, &request, CONVERT_LENIENT, &convert, error), 0);
		assert_int_equal(convert_format(convert)->quantization, cases[i].range);
		assert_int_equal(convert_format(convert)->ycbcr_enc, cases[i].encoding);
		convert_destroy(convert);
	}
}

static void formats_say_what_comes(void **state)
{
	struct pool_format from = {.fourcc = V4L2_PIX_FMT_NV12,
		.width = 1920,
		.height = 1080,
		.field = V4L2_FIELD_NONE,
		.colorspace = V4L2_COLORSPACE_REC709,
		.xfer_func = V4L2_XFER_FUNC_709,
		.rate_numerator = 30000,
		.rate_denominator = 1001,
		.plane_count = 2,
		.chroma_siting = POOL_CHROMA_MPEG2,
		.pixel_aspect_numerator = 1,
		.pixel_aspect_denominator = 1};
	static const struct {
		const char *text;
		uint32_t width, height, numerator, denominator, aspect[2], siting, frame_size;
	} cases[] = {
		{"NV12", 1920, 1080, 30000, 1001, {1, 1}, POOL_CHROMA_MPEG2, 3110400},
		{"NV12,rate=60", 1920, 1080, 30000, 1001, {1, 1}, POOL_CHROMA_MPEG2, 3110400},
		{"NV12,rate=10", 1920, 1080, 10, 1, {1, 1}, POOL_CHROMA_MPEG2, 3110400},
		{"YU12:960x1080", 960, 1080, 30000, 1001, {2, 1}, POOL_CHROMA_UNKNOWN, 1555200},
		{"GREY:640x640,crop=640x480+0+0", 640, 640, 30000, 1001, {4, 3},
			POOL_CHROMA_UNKNOWN, 409600},
		{"XR24:2x2", 2, 2, 30000, 1001, {16, 9}, POOL_CHROMA_UNKNOWN, 16},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct pool_format *to;
		struct stream_request request;
		struct convert *convert;
		char error[CONVERT_ERROR_SIZE];

		assert_int_equal(stream_request_parse(cases[i].text, &request, error), 0);
		assert_int_equal(
			convert_create(&from, &request, CONVERT_LENIENT, &convert, error), 0);
		to = convert_format(convert);
		assert_int_equal(to->width, cases[i].width);
		assert_int_equal(to->height, cases[i].height);
		assert_int_equal(to->rate_numerator, cases[i].numerator);
		assert_int_equal(to->rate_denominator, cases[i].denominator);
		assert_int_equal(to->pixel_aspect_numerator, cases[i].aspect[0]);
		assert_int_equal(to->pixel_aspect_denominator, cases[i].aspect[1]);
		assert_int_equal(to->chroma_siting, cases[i].siting);
		assert_int_equal(to->frame_size, cases[i].frame_size);
		assert_int_equal(to->xfer_func, V4L2_XFER_FUNC_709);
		assert_int_equal(to->field, V4L2_FIELD_NONE);
		convert_destroy(convert);
	}
	from.rate_numerator = from.rate_denominator = 0; /* unknown: the request's is its limit */
	{
		struct stream_request request = {
			.fourcc = V4L2_PIX_FMT_GREY, .rate_numerator = 5, .rate_denominator = 2};
		struct convert *convert;
		char error[CONVERT_ERROR_SIZE];

		assert_int_equal(
			convert_create(&from, &request, CONVERT_STRICT, &convert, error), 0);
		assert_int_equal(convert_format(convert)->rate_numerator, 5);
		assert_int_equal(convert_format(convert)->rate_denominator, 2);
		convert_destroy(convert);
	}
}

static void refusals_say_what_there_is(void **state)
{
	static const struct {
		uint32_t from;
		uint32_t quantization;
		const char *text;
		int result;
		const char *says;
	} cases[] = {
		{V4L2_PIX_FMT_MJPEG, 0, "YUYV", -ENOTSUP,
			"YUYV cannot be made of MJPG frames; what can is GREY, YU12, NV12, RGB3, "
			"BGR3, XR24"},
		{V4L2_PIX_FMT_H264, 0, "GREY", -ENOTSUP,
			"GREY cannot be made of H264 frames, which there are only as they are"},
		{v4l2_fourcc('Z', 'Z', 'Z', '\x1b'), 0, "GREY", -ENOTSUP,
			"GREY cannot be made of ZZZ? frames"},
		{V4L2_PIX_FMT_RGB24, 2, "NV12", -ENOTSUP,
			"NV12 cannot be made of RGB3 frames of limited range; what can is GREY, "
			"RGB3, BGR3, XR24"},
		{V4L2_PIX_FMT_YUYV, 0, "GREY,crop=65x1+0+0", -EINVAL,
			"the crop 65x1+0+0 lies outside of the camera's 64x48"},
		{V4L2_PIX_FMT_YUYV, 0, "GREY,crop=1x1+64+0", -EINVAL, "outside"},
		{V4L2_PIX_FMT_YUYV, 0, "GREY,crop=1x2+0+47", -EINVAL, "outside"},
		{V4L2_PIX_FMT_YUYV, 0, "NV12,crop=8x8+1+0", -EINVAL,
			"multiples of 2x1, which the source's chroma samples span: try +0+0"},
		{V4L2_PIX_FMT_NV12, 0, "BGR3,crop=8x8+4+3", -EINVAL,
			"multiples of 2x2, which the source's chroma samples span: try +4+2"},
		{V4L2_PIX_FMT_MJPEG, 0, "BGR3,crop=8x8+3+3", -EINVAL, "multiples of 2x2"},
		{V4L2_PIX_FMT_GREY, 0, "XR24:16384x16384", -EOVERFLOW, "too large"},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct pool_format from = {.fourcc = cases[i].from,
			.width = 64,
			.height = 48,
			.quantization = cases[i].quantization};
		struct convert *convert = (struct convert *)&from, *untouched = convert;
		struct stream_request request;
		char error[CONVERT_ERROR_SIZE] = "";

		assert_int_equal(stream_request_parse(cases[i].text, &request, error), 0);
		assert_int_equal(convert_create(&from, &request, CONVERT_LENIENT, &convert, error),
			cases[i].result);
		if (!strstr(error, cases[i].says))
			fail_msg("%s: says %s", cases[i].text, error);
		assert_ptr_equal(convert, untouched);
	}
	convert_destroy(NULL);
}

static void what_is_too_short_is_not_read(void **state)
{
	struct pool_format from = {.fourcc = V4L2_PIX_FMT_NV12, .width = 64, .height = 48};
	struct stream_request request = {.fourcc = V4L2_PIX_FMT_GREY};
	static const struct {
		uint32_t plane_count, stride, bytesused[2];
		int result;
	} cases[] = {
		{2, 64, {64 * 48, 64 * 24}, CONVERT_DONE},
		{1, 64, {64 * 48, 64 * 24}, CONVERT_SHORT},
		{0, 64, {64 * 48, 64 * 24}, CONVERT_SHORT},
		{5, 64, {64 * 48, 64 * 24}, CONVERT_SHORT},
		{2, 63, {64 * 48, 64 * 24}, CONVERT_SHORT},
		{2, 0, {64 * 48, 64 * 24}, CONVERT_SHORT},
		{2, UINT32_MAX, {64 * 48, 64 * 24}, CONVERT_SHORT},
		{2, 64, {64 * 48 - 1, 64 * 24}, CONVERT_SHORT},
		{2, 64, {64 * 48, 64 * 24 - 1}, CONVERT_SHORT},
		{2, 65, {64 * 48, 65 * 24}, CONVERT_SHORT},
		{2, 64, {0, 0}, CONVERT_SHORT},
		{2, 64, {UINT32_MAX, 64 * 24}, CONVERT_SHORT},
	};
	uint8_t *y = calloc(64, 48), *uv = calloc(65, 24), *slot = malloc(64 * 48);
	struct convert *convert;
	char error[CONVERT_ERROR_SIZE];

	(void)state;
	assert_int_equal(convert_create(&from, &request, CONVERT_LENIENT, &convert, error), 0);
	assert_string_equal(convert_detail(convert), "");
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct convert_picture picture = {.plane_count = cases[i].plane_count,
			.planes = {{y, cases[i].stride, cases[i].bytesused[0]},
				{uv, cases[i].stride, cases[i].bytesused[1]}}};

		assert_int_equal(convert_frame(convert, &picture, slot, 64 * 48), cases[i].result);
		if (cases[i].result == CONVERT_SHORT)
			assert_string_not_equal(convert_detail(convert), "");
		assert_int_equal(convert_frame(convert, &picture, slot, 64 * 48 - 1), -EINVAL);
	}
	convert_destroy(convert);
	free(y);
	free(uv);
	free(slot);
}

static void the_list_is_what_can_be_created(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		for (uint32_t quantization = 0; quantization < 3; quantization++) {
			struct pool_format from = {.fourcc = formats[i].fourcc,
				.width = 16,
				.height = 16,
				.quantization = quantization};
			uint32_t listed[CONVERT_FORMATS_MAX];
			uint32_t count = convert_formats(&from, listed), created = 0;

			for (size_t j = 0; j < ELEMENTS(formats); j++) {
				struct stream_request request = {.fourcc = formats[j].fourcc};
				struct convert *convert;
				char error[CONVERT_ERROR_SIZE];

				if (convert_create(
					    &from, &request, CONVERT_LENIENT, &convert, error) < 0)
					continue;
				assert_true(created < count);
				created++;
				convert_destroy(convert);
			}
			assert_int_equal(created, count);
		}
	}
}

/* Whatever is accepted stays within its memory and writes every byte of the result. */
static void any_request_stays_in_memory(void **state)
{
	uint32_t seed = 1, accepted = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		const struct format *format = &formats[next_random(&seed) % ELEMENTS(formats)];
		uint32_t target = targets[next_random(&seed) % ELEMENTS(targets)];
		struct conversion conversion = {};
		struct stream_request request = {.fourcc = target};
		struct pool_format from = {.fourcc = format->fourcc,
			.width = 1 + next_random(&seed) % 40,
			.height = 1 + next_random(&seed) % 40};
		struct frame frame;
		char error[CONVERT_ERROR_SIZE], text[STREAM_REQUEST_TEXT_SIZE];

		from.ycbcr_enc = next_random(&seed) % 3;
		if (next_random(&seed) % 4) {
			request.width = 1 + next_random(&seed) % 48;
			request.height = 1 + next_random(&seed) % 48;
		}
		if (next_random(&seed) % 2) {
			request.crop.width = 1 + next_random(&seed) % from.width;
			request.crop.height = 1 + next_random(&seed) % from.height;
			request.crop.x = next_random(&seed) % (from.width - request.crop.width + 1);
			request.crop.y =
				next_random(&seed) % (from.height - request.crop.height + 1);
			if (next_random(&seed) % 2) /* sizes that come near each other */
				request.width = request.crop.width + next_random(&seed) % 2;
			request.height = request.width ? request.crop.height : 0;
		}
		if (convert_create(&from, &request, CONVERT_LENIENT, &conversion.convert, error) <
			0)
			continue;
		convert_destroy(conversion.convert);
		accepted++;
		stream_request_print(&request, text);
		frame_init(&frame, format, from.width, from.height);
		frame_fill(&frame, seed);
		conversion.from.ycbcr_enc = from.ycbcr_enc;
		conversion_init(&conversion, &frame, text);
		conversion_run(&conversion, &frame);
		conversion_finish(&conversion);
		frame_finish(&frame);
	}
	assert_true(accepted > 10000);
}

static void outcomes_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < CONVERT_OUTCOME_COUNT; i++)
		assert_string_not_equal(
			convert_outcome_to_string((enum convert_outcome)i), "unknown outcome");
	assert_string_equal(convert_outcome_to_string(CONVERT_OUTCOME_COUNT), "unknown outcome");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_becomes_every_other),
		cmocka_unit_test(a_crop_is_exactly_that_part),
		cmocka_unit_test(strides_are_the_frames_own),
		cmocka_unit_test(quarters_stay_in_place),
		cmocka_unit_test(one_step_or_two_are_the_same),
		cmocka_unit_test(smaller_is_the_mean),
		cmocka_unit_test(colorimetry_is_honoured),
		cmocka_unit_test(ranges_are_carried),
		cmocka_unit_test(formats_say_what_comes),
		cmocka_unit_test(refusals_say_what_there_is),
		cmocka_unit_test(what_is_too_short_is_not_read),
		cmocka_unit_test(the_list_is_what_can_be_created),
		cmocka_unit_test(any_request_stays_in_memory),
		cmocka_unit_test(outcomes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
