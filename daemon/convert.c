/* SPDX-License-Identifier: MIT */
#include "convert.h"

#include "convert-bayer.h"
#include "convert-work.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/videodev2.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	JPEG_SCALE_ONE = 8,
};

static const uint32_t targets[] = {
	V4L2_PIX_FMT_GREY,
	V4L2_PIX_FMT_YUV420,
	V4L2_PIX_FMT_NV12,
	V4L2_PIX_FMT_RGB24,
	V4L2_PIX_FMT_BGR24,
	V4L2_PIX_FMT_XBGR32,
};

_Static_assert(ELEMENTS(targets) <= CONVERT_FORMATS_MAX, "convert_formats() has no room");

static bool find_source_kind(uint32_t fourcc, enum source_kind *ret_kind)
{
	const struct format_info *info = format_find(fourcc);

	if (fourcc == V4L2_PIX_FMT_MJPEG || fourcc == V4L2_PIX_FMT_JPEG)
		*ret_kind = SOURCE_KIND_JPEG;
	else if (!info || info->flags & FORMAT_COMPRESSED)
		return false;
	else if (info->flags & FORMAT_BAYER)
		*ret_kind = SOURCE_KIND_BAYER;
	else if (info->flags & FORMAT_RGB)
		*ret_kind = SOURCE_KIND_RGB;
	else if (info->flags & FORMAT_GREY)
		*ret_kind = info->bits == 8 ? SOURCE_KIND_GREY : SOURCE_KIND_GREY16;
	else if (info->plane_count == 3)
		*ret_kind = SOURCE_KIND_PLANAR;
	else if (info->plane_count == 2)
		*ret_kind = SOURCE_KIND_SEMI_PLANAR;
	else
		*ret_kind = SOURCE_KIND_PAIRS;
	return true;
}

static bool can_convert(const struct pool_format *from, uint32_t fourcc)
{
	enum source_kind kind;
	bool known = false;

	for (size_t i = 0; i < ELEMENTS(targets); i++)
		known = known || targets[i] == fourcc;
	if (!known || !find_source_kind(from->fourcc, &kind))
		return false;
	if (kind == SOURCE_KIND_BAYER &&
		(from->width < BAYER_COLUMNS_MIN || from->height < BAYER_COLUMNS_MIN))
		return false;
	return kind != SOURCE_KIND_RGB || from->quantization != V4L2_QUANTIZATION_LIM_RANGE ||
	       fourcc == V4L2_PIX_FMT_GREY || is_rgb(fourcc);
}

uint32_t convert_formats(
	const struct pool_format *from, uint32_t ret_fourccs[static CONVERT_FORMATS_MAX])
{
	uint32_t count = 0;

	for (size_t i = 0; i < ELEMENTS(targets); i++) {
		if (can_convert(from, targets[i]))
			ret_fourccs[count++] = targets[i];
	}
	return count;
}

static int __attribute__((format(printf, 3, 4)))
fail(char error[static CONVERT_ERROR_SIZE], int error_number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, CONVERT_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return error_number;
}

static int refuse(
	const struct pool_format *from, uint32_t fourcc, char error[static CONVERT_ERROR_SIZE])
{
	char source[FORMAT_TEXT_SIZE], wanted[FORMAT_TEXT_SIZE], list[CONVERT_ERROR_SIZE / 2] = "";
	uint32_t fourccs[CONVERT_FORMATS_MAX], count = convert_formats(from, fourccs);
	size_t length = 0;

	format_print(from->fourcc, source);
	format_print(fourcc, wanted);
	for (uint32_t i = 0; i < count; i++) {
		char name[FORMAT_TEXT_SIZE];

		format_print(fourccs[i], name);
		length += (size_t)snprintf(
			list + length, sizeof(list) - length, "%s%s", i > 0 ? ", " : "", name);
	}
	if (count == 0)
		return fail(error, -ENOTSUP,
			"%s cannot be made of %s frames, which there are only as they are", wanted,
			source);
	return fail(error, -ENOTSUP, "%s cannot be made of %s frames%s; what can is %s", wanted,
		source,
		from->quantization == V4L2_QUANTIZATION_LIM_RANGE && is_rgb(from->fourcc)
			? " of limited range"
			: "",
		list);
}

/* How the chroma lies, and what that asks of the crop. */
static int plan_source(struct convert *convert, char error[static CONVERT_ERROR_SIZE])
{
	const struct format_info *info = format_find(convert->from.fourcc);
	uint32_t fourcc = convert->from.fourcc, step_x, step_y;

	convert->chroma_width = convert->chroma_height = 1;
	convert->chroma_swapped = fourcc == V4L2_PIX_FMT_YVYU || fourcc == V4L2_PIX_FMT_VYUY ||
				  fourcc == V4L2_PIX_FMT_NV21 || fourcc == V4L2_PIX_FMT_YVU420;
	convert->luma_second = fourcc == V4L2_PIX_FMT_UYVY || fourcc == V4L2_PIX_FMT_VYUY;
	switch (convert->source) {
	case SOURCE_KIND_PAIRS:
		convert->chroma_width = 2;
		convert->chroma_height = 1;
		break;
	case SOURCE_KIND_PLANAR:
	case SOURCE_KIND_SEMI_PLANAR:
		convert->chroma_width = info->planes[1].group_width;
		convert->chroma_height = info->planes[1].group_height;
		break;
	case SOURCE_KIND_JPEG: /* whatever it is, most are 4:2:0 */
		convert->chroma_width = convert->chroma_height = 2;
		break;
	case SOURCE_KIND_BAYER:
		bayer_find(fourcc, &convert->red_x, &convert->red_y);
		break;
	case SOURCE_KIND_GREY:
	case SOURCE_KIND_GREY16:
	case SOURCE_KIND_RGB:
		break;
	}
	step_x = convert->to.fourcc == V4L2_PIX_FMT_GREY ? 1 : convert->chroma_width;
	step_y = convert->to.fourcc == V4L2_PIX_FMT_GREY ? 1 : convert->chroma_height;
	if (convert->crop.x % step_x != 0 || convert->crop.y % step_y != 0)
		return fail(error, -EINVAL,
			"the crop's offsets must be multiples of %ux%u, which the source's chroma "
			"samples "
			"span: try +%u+%u",
			step_x, step_y, convert->crop.x - convert->crop.x % step_x,
			convert->crop.y - convert->crop.y % step_y);
	return 0;
}

static int plan_crop(struct convert *convert, const struct stream_request *request,
	char error[static CONVERT_ERROR_SIZE])
{
	const struct pool_format *from = &convert->from;

	convert->crop.width = from->width;
	convert->crop.height = from->height;
	if (request->crop.width == 0)
		return 0;
	if ((uint64_t)request->crop.x + request->crop.width > from->width ||
		(uint64_t)request->crop.y + request->crop.height > from->height)
		return fail(error, -EINVAL,
			"the crop %ux%u+%u+%u lies outside of the camera's %ux%u",
			request->crop.width, request->crop.height, request->crop.x, request->crop.y,
			from->width, from->height);
	convert->crop.x = request->crop.x;
	convert->crop.y = request->crop.y;
	convert->crop.width = request->crop.width;
	convert->crop.height = request->crop.height;
	return 0;
}

/* The lower of two rates, each of which may be unknown. */
static void plan_rate(struct pool_format *to, const struct stream_request *request)
{
	if (request->rate_denominator == 0)
		return;
	if (to->rate_denominator != 0 &&
		(uint64_t)to->rate_numerator * request->rate_denominator <=
			(uint64_t)request->rate_numerator * to->rate_denominator)
		return;
	to->rate_numerator = request->rate_numerator;
	to->rate_denominator = request->rate_denominator;
}

/* Pixels become wider or narrower where width and height are not scaled alike. */
static void plan_aspect(struct convert *convert)
{
	struct pool_format *to = &convert->to;
	uint64_t numerator, denominator, a, b;

	if (to->pixel_aspect_numerator == 0 || to->pixel_aspect_denominator == 0)
		return;
	numerator = (uint64_t)convert->crop.width * to->height;
	denominator = (uint64_t)convert->crop.height * to->width;
	if (numerator == denominator)
		return;
	if (__builtin_mul_overflow(numerator, to->pixel_aspect_numerator, &numerator) ||
		__builtin_mul_overflow(denominator, to->pixel_aspect_denominator, &denominator))
		numerator = denominator = 0;
	for (a = numerator, b = denominator; b != 0;) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	if (a == 0 || numerator / a > UINT32_MAX || denominator / a > UINT32_MAX)
		numerator = denominator = 0, a = 1; /* unknown */
	to->pixel_aspect_numerator = (uint32_t)(numerator / a);
	to->pixel_aspect_denominator = (uint32_t)(denominator / a);
}

static int plan_format(struct convert *convert, const struct stream_request *request,
	char error[static CONVERT_ERROR_SIZE])
{
	struct pool_format *to = &convert->to;
	struct format_layout layout;
	int r;

	to->fourcc = request->fourcc;
	to->width = request->width != 0 ? request->width : convert->crop.width;
	to->height = request->height != 0 ? request->height : convert->crop.height;
	convert->scaled = to->width != convert->crop.width || to->height != convert->crop.height;
	r = format_layout_init(to->fourcc, to->width, to->height, 0, &layout);
	if (r < 0)
		return fail(error, r, "frames of %ux%u are too large", to->width, to->height);
	to->frame_size = layout.size;
	to->plane_count = layout.plane_count;
	memset(to->planes, 0, sizeof(to->planes));
	for (uint32_t i = 0; i < layout.plane_count; i++) {
		to->planes[i].offset = layout.planes[i].offset;
		to->planes[i].stride = layout.planes[i].stride;
	}
	plan_rate(to, request);
	plan_aspect(convert);
	return 0;
}

/*
 * How far a JPEG image is decoded smaller: as far as no number of the region gets a fraction. Only
 * by halves: libjpeg-turbo has vector instructions for these, and decoding by 3/8 takes longer than
 * by 4/8 and scaling the rest (measured with version 2.1.5, 1080p 4:2:0: 3.3 and 3.0 ms).
 */
static uint32_t find_jpeg_scale(const struct convert *convert)
{
	const uint32_t numbers[] = {
		convert->crop.x, convert->crop.y, convert->crop.width, convert->crop.height};
	/* offsets must still lie between chroma samples, which may be two pixels wide */
	const uint32_t step = convert->to.fourcc == V4L2_PIX_FMT_GREY ? 1 : 2;

	for (uint32_t scale = 1; scale < JPEG_SCALE_ONE; scale *= 2) {
		uint32_t divisor = JPEG_SCALE_ONE / scale;
		bool exact = true;

		for (size_t i = 0; i < ELEMENTS(numbers); i++)
			exact = exact && numbers[i] % (divisor * (i < 2 ? step : 1)) == 0;
		if (exact && convert->crop.width / divisor >= convert->to.width &&
			convert->crop.height / divisor >= convert->to.height)
			return scale;
	}
	return JPEG_SCALE_ONE;
}

static int plan_jpeg(struct convert *convert)
{
	uint32_t scale = find_jpeg_scale(convert);
	struct jpeg_region *region = &convert->jpeg_region;
	bool result;

	*region = (struct jpeg_region){
		.x = convert->crop.x * scale / JPEG_SCALE_ONE,
		.y = convert->crop.y * scale / JPEG_SCALE_ONE,
		.width = convert->crop.width * scale / JPEG_SCALE_ONE,
		.height = convert->crop.height * scale / JPEG_SCALE_ONE,
	};
	convert->jpeg_width = divide_up(convert->from.width * scale, JPEG_SCALE_ONE);
	convert->jpeg_height = divide_up(convert->from.height * scale, JPEG_SCALE_ONE);
	result = is_rgb(convert->to.fourcc) && region->width == convert->to.width &&
		 region->height == convert->to.height;
	convert->jpeg_planes = !result && convert->to.fourcc != V4L2_PIX_FMT_GREY;
	if (result)
		convert->kind = WORK_RESULT;
	return jpeg_decoder_create(
		&(struct jpeg_decoder_setup){
			.width = convert->from.width,
			.height = convert->from.height,
			.scale = scale,
			.planes = convert->jpeg_planes,
			.policy = convert->policy,
		},
		&convert->jpeg);
}

static enum work_kind find_work_kind(const struct convert *convert)
{
	bool to_rgb = is_rgb(convert->to.fourcc);

	if (convert->to.fourcc == V4L2_PIX_FMT_GREY)
		return WORK_GREY;
	switch (convert->source) {
	case SOURCE_KIND_GREY:
	case SOURCE_KIND_GREY16:
		return to_rgb ? WORK_GREY : WORK_YCBCR;
	case SOURCE_KIND_RGB:
		if (!convert->scaled &&
			format_find(convert->from.fourcc)->planes[0].group_bytes == 3 && to_rgb &&
			format_find(convert->to.fourcc)->planes[0].group_bytes == 3)
			return WORK_RESULT;
		return WORK_XR24;
	case SOURCE_KIND_BAYER:
		return WORK_XR24;
	case SOURCE_KIND_PLANAR:
	case SOURCE_KIND_SEMI_PLANAR:
	case SOURCE_KIND_PAIRS:
	case SOURCE_KIND_JPEG:
		break;
	}
	return WORK_YCBCR;
}

int convert_create(const struct pool_format *from, const struct stream_request *request,
	enum convert_policy policy, struct convert **ret_convert,
	char error[static CONVERT_ERROR_SIZE])
{
	struct convert *convert;
	int r;

	if (!can_convert(from, request->fourcc))
		return refuse(from, request->fourcc, error);
	convert = calloc(1, sizeof(*convert));
	if (!convert)
		return fail(error, -ENOMEM, "no memory for a converter");
	convert->from = *from;
	convert->to = *from;
	convert->policy = policy;
	find_source_kind(from->fourcc, &convert->source);
	r = plan_crop(convert, request, error);
	if (r < 0)
		goto failed;
	r = plan_format(convert, request, error);
	if (r < 0)
		goto failed;
	r = plan_source(convert, error);
	if (r < 0)
		goto failed;
	convert_plan_colorimetry(convert);
	convert->kind = find_work_kind(convert);
	if (convert->source == SOURCE_KIND_JPEG) {
		r = plan_jpeg(convert);
		if (r < 0)
			goto no_memory;
		convert->memory += jpeg_decoder_memory(convert->jpeg);
	}
	r = convert_plan_memory(convert);
	if (r < 0)
		goto no_memory;
	*ret_convert = convert;
	return 0;

no_memory:
	fail(error, r, "no memory for conversion to %ux%u", convert->to.width, convert->to.height);
failed:
	convert_destroy(convert);
	return r;
}

void convert_destroy(struct convert *convert)
{
	if (!convert)
		return;
	for (uint32_t i = 0; i < WORK_PLANES; i++) {
		free(convert->goals[i].data);
		free(convert->loaded[i].data);
		free(convert->large[i].data);
		free(convert->small[i].data);
	}
	free(convert->middle.data);
	free(convert->sums);
	free(convert->bayer);
	jpeg_decoder_destroy(convert->jpeg);
	free(convert);
}

const struct pool_format *convert_format(const struct convert *convert)
{
	return &convert->to;
}

uint64_t convert_memory(const struct convert *convert)
{
	return sizeof(*convert) + convert->memory;
}

/* Has the picture all the bytes that its format asks for? */
static bool check_picture(struct convert *convert, const struct convert_picture *picture)
{
	const struct format_info *info = format_find(convert->from.fourcc);

	if (picture->plane_count < info->plane_count || picture->plane_count > POOL_PLANES_MAX) {
		snprintf(convert->detail, sizeof(convert->detail), "%u planes instead of %u",
			picture->plane_count, info->plane_count);
		return false;
	}
	for (uint32_t i = 0; i < info->plane_count; i++) {
		const struct format_plane_info *plane = &info->planes[i];
		const struct convert_plane *from = &picture->planes[i];
		uint64_t line, lines, size;

		if (convert->source == SOURCE_KIND_JPEG) {
			size = 1;
		} else {
			line = (uint64_t)divide_up(convert->from.width, plane->group_width) *
			       plane->group_bytes;
			lines = divide_up(convert->from.height, plane->group_height);
			size = (lines - 1) * from->stride + line;
			if (from->stride < line || from->stride > FORMAT_SIZE_MAX) {
				snprintf(convert->detail, sizeof(convert->detail),
					"plane %u has lines of %u bytes, not %llu", i, from->stride,
					(unsigned long long)line);
				return false;
			}
		}
		if (from->bytesused < size || from->bytesused > FORMAT_SIZE_MAX) {
			snprintf(convert->detail, sizeof(convert->detail),
				"plane %u has %u bytes, not %llu", i, from->bytesused,
				(unsigned long long)size);
			return false;
		}
	}
	return true;
}

int convert_frame(struct convert *convert, const struct convert_picture *picture, uint8_t *slot,
	uint32_t slot_size)
{
	struct work work = {.slot = slot};
	int r;

	if (slot_size < convert->to.frame_size)
		return -EINVAL;
	convert->detail[0] = '\0';
	if (!check_picture(convert, picture))
		return CONVERT_SHORT;
	r = convert_load(convert, picture, &work);
	if (r != CONVERT_DONE)
		return r;
	convert_scale(convert, &work);
	convert_store(convert, &work);
	return CONVERT_DONE;
}

const char *convert_detail(const struct convert *convert)
{
	return convert->detail;
}

const char *convert_outcome_to_string(enum convert_outcome outcome)
{
	switch (outcome) {
	case CONVERT_DONE:
		return "done";
	case CONVERT_SHORT:
		return "too short";
	case CONVERT_BAD_HEADER:
		return "not a JPEG image, or a damaged header";
	case CONVERT_WRONG_SIZE:
		return "wrong size";
	case CONVERT_UNSUPPORTED:
		return "an unusual kind of JPEG";
	case CONVERT_SCANS:
		return "too many scans";
	case CONVERT_DAMAGED:
		return "damaged image data";
	case CONVERT_ODD:
		return "harmless oddities, refused by strict";
	case CONVERT_OUTCOME_COUNT:
		break;
	}
	return "unknown outcome";
}
