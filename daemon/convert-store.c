/* SPDX-License-Identifier: MIT */

/* The second and third step of a conversion: planes to the size of the result, and into the slot.
 */

#include "convert-work.h"

#include <string.h>

#include <libyuv.h>
#include <linux/videodev2.h>

enum {
	LIBYUV_BOX_LINES_MAX = UINT16_MAX / UINT8_MAX,
	BLOCK = 32,
};

/* In blocks, which compilers turn into vector instructions. */
static void add_line(uint32_t *restrict sums, const uint8_t *restrict line, uint32_t width)
{
	uint32_t x = 0;

	for (; x + BLOCK <= width; x += BLOCK) {
		for (uint32_t i = 0; i < BLOCK; i++)
			sums[x + i] += line[x + i];
	}
	for (; x < width; x++)
		sums[x] += line[x];
}

/* Means of columns x lines samples each, rounded. */
static void box_plane(const struct convert *convert, const struct work_plane *from,
	const struct work_room *to, uint32_t columns, uint32_t lines)
{
	uint32_t count = columns * lines, width = to->width * columns;
	/* Division by multiplication: exact while the sum times count is below 1 << 40. */
	uint64_t reciprocal = (UINT64_C(1) << 40) / count + 1;

	for (uint32_t y = 0; y < to->height; y++) {
		const uint8_t *line = from->data + (size_t)y * lines * from->stride;
		uint8_t *result = to->data + (size_t)y * to->stride;
		const uint32_t *sums = convert->sums;

		memset(convert->sums, 0, width * sizeof(*convert->sums));
		for (uint32_t i = 0; i < lines; i++, line += from->stride)
			add_line(convert->sums, line, width);
		for (uint32_t x = 0; x < to->width; x++, sums += columns) {
			uint32_t sum = count / 2;

			for (uint32_t i = 0; i < columns; i++)
				sum += sums[i];
			result[x] = (uint8_t)(sum * reciprocal >> 40);
		}
	}
}

static void call_libyuv(
	const struct work_plane *from, const struct work_room *to, enum FilterMode filter)
{
	ScalePlane(from->data, (int)from->stride, (int)from->width, (int)from->height, to->data,
		(int)to->stride, (int)to->width, (int)to->height, filter);
}

static uint32_t whole_factor(uint32_t size, uint32_t new_size)
{
	return size > new_size ? size / new_size : 1;
}

/*
 * Bilinearly to the nearest size from which a whole factor leads to the result, then the mean.
 *
 * libyuv alone would take means of boxes whose edges it moves to whole pixels (31 dB instead of 39
 * against exact areas, from 512 to 200 pixels), and where one of the factors is 2 or less no means
 * at all, but two samples of however many. Its means are right where both factors are whole and
 * either 2, or more than 2.
 */
static void scale_plane(
	const struct convert *convert, const struct work_plane *from, const struct work_room *to)
{
	uint32_t columns = whole_factor(from->width, to->width);
	uint32_t lines = whole_factor(from->height, to->height);
	bool last = columns == 1 && lines == 1;
	struct work_room room = convert->middle;
	struct work_plane middle = *from;

	if (from->width != to->width * columns || from->height != to->height * lines) {
		if (last)
			room = *to;
		room.width = to->width * columns;
		room.height = to->height * lines;
		call_libyuv(from, &room, kFilterBilinear);
		if (last)
			return;
		middle = (struct work_plane){room.data, room.stride, room.width, room.height};
	}
	if (last || (columns == 2 && lines == 2) ||
		(columns > 2 && lines > 2 && lines <= LIBYUV_BOX_LINES_MAX))
		call_libyuv(&middle, to, kFilterBox);
	else
		box_plane(convert, &middle, to, columns, lines);
}

/* Means of pairs of lines, or of 2x2 samples; at the end of an odd number of columns or lines of
 * those that there are. So a sample of the result stands for the same pixels as before. */
static void halve_plane(const struct convert *convert, const struct work_plane *from,
	const struct work_room *to, bool columns, bool lines)
{
	uint32_t step_x = columns ? 2 : 1, step_y = lines ? 2 : 1;
	struct work_room whole = *to;
	struct work_plane even = *from;

	even.width -= even.width % step_x;
	even.height -= even.height % step_y;
	whole.width = even.width / step_x;
	whole.height = even.height / step_y;
	if (whole.width > 0 && whole.height > 0) {
		if (lines && !columns)
			InterpolatePlane(even.data, (int)even.stride * 2, even.data + even.stride,
				(int)even.stride * 2, whole.data, (int)whole.stride,
				(int)whole.width, (int)whole.height, 128);
		else
			scale_plane(convert, &even, &whole);
	}
	for (uint32_t y = 0; y < to->height; y++) {
		uint32_t first = y < whole.height ? whole.width : 0;
		uint32_t y0 = y * step_y;
		uint32_t y1 = y0 + step_y <= from->height ? y0 + step_y - 1 : y0;
		const uint8_t *line0 = from->data + (size_t)y0 * from->stride;
		const uint8_t *line1 = from->data + (size_t)y1 * from->stride;

		for (uint32_t x = first; x < to->width; x++) {
			uint32_t x0 = x * step_x;
			uint32_t x1 = x0 + step_x <= from->width ? x0 + step_x - 1 : x0;

			to->data[(size_t)y * to->stride + x] =
				(uint8_t)((line0[x0] + line0[x1] + line1[x0] + line1[x1] + 2u) >>
					  2);
		}
	}
}

/* Chroma whose picture keeps its size, but with half as many samples. */
static bool halves(const struct convert *convert, const struct work_plane *from,
	const struct work_room *to, bool *ret_columns, bool *ret_lines)
{
	*ret_columns = from->width != to->width;
	*ret_lines = from->height != to->height;
	return !convert->scaled && (!*ret_columns || divide_up(from->width, 2) == to->width) &&
	       (!*ret_lines || divide_up(from->height, 2) == to->height);
}

static void scale_to_goal(struct convert *convert, struct work *work, uint32_t i)
{
	struct work_plane *plane = &work->planes[i];
	struct work_room goal = work_goal(convert, work, i);
	bool columns, lines;

	if (plane->data == goal.data)
		return;
	if (convert_is_goal(convert, i, plane->width, plane->height)) {
		if (!convert->goal_in_slot[i]) /* where it is, it serves */
			return;
		CopyPlane(plane->data, (int)plane->stride, goal.data, (int)goal.stride,
			(int)goal.width * (convert->kind == WORK_XR24 ? 4 : 1), (int)goal.height);
	} else if (halves(convert, plane, &goal, &columns, &lines)) {
		halve_plane(convert, plane, &goal, columns, lines);
	} else {
		scale_plane(convert, plane, &goal);
	}
	*plane = (struct work_plane){goal.data, goal.stride, goal.width, goal.height};
}

/* libyuv's box filter is for planes only: its ARGBScale() looks at four pixels, however many become
 * one. */
static void scale_xr24(struct convert *convert, struct work *work)
{
	struct work_plane *plane = &work->planes[0];
	struct work_room goal = work_goal(convert, work, 0);
	const struct work_room *large = convert->large, *small = convert->small;

	SplitARGBPlane(plane->data, (int)plane->stride, large[0].data, (int)large[0].stride,
		large[1].data, (int)large[1].stride, large[2].data, (int)large[2].stride, NULL, 0,
		(int)plane->width, (int)plane->height);
	for (uint32_t i = 0; i < WORK_PLANES; i++) {
		struct work_plane channel = {
			large[i].data, large[i].stride, large[i].width, large[i].height};

		scale_plane(convert, &channel, &small[i]);
	}
	MergeARGBPlane(small[0].data, (int)small[0].stride, small[1].data, (int)small[1].stride,
		small[2].data, (int)small[2].stride, NULL, 0, goal.data, (int)goal.stride,
		(int)goal.width, (int)goal.height);
	*plane = (struct work_plane){goal.data, goal.stride, goal.width, goal.height};
}

/* The chroma of a grey picture. */
static void fill_chroma(struct convert *convert, struct work *work)
{
	for (uint32_t i = 1; i < convert->goal_count; i++) {
		struct work_room goal = work_goal(convert, work, i);

		SetPlane(goal.data, (int)goal.stride, (int)goal.width, (int)goal.height, 128);
		work->planes[i] =
			(struct work_plane){goal.data, goal.stride, goal.width, goal.height};
	}
	work->plane_count = convert->goal_count;
}

void convert_scale(struct convert *convert, struct work *work)
{
	if (convert->kind == WORK_XR24 && convert->scaled) {
		scale_xr24(convert, work);
		return;
	}
	if (convert->kind == WORK_RESULT)
		return;
	for (uint32_t i = 0; i < work->plane_count; i++)
		scale_to_goal(convert, work, i);
	if (convert->kind == WORK_YCBCR && work->plane_count == 1)
		fill_chroma(convert, work);
}

/* Full range from limited range: Y 16..235 becomes 0..255, Cb and Cr 128 +- 112 become 128 +- 127.5
 * (Rec. ITU-R BT.601 and BT.709), what lies beyond is cut. */
static void stretch_plane(const struct work_plane *from, const struct work_room *to, bool chroma)
{
	uint8_t table[256];

	for (int value = 0; value < 256; value++) {
		double full =
			chroma ? (value - 128) * 255.0 / 224 + 128 : (value - 16) * 255.0 / 219;

		table[value] = full < 0 ? 0 : full > 255 ? 255 : (uint8_t)(full + 0.5);
	}
	for (uint32_t y = 0; y < to->height; y++) {
		const uint8_t *line = from->data + (size_t)y * from->stride;
		uint8_t *result = to->data + (size_t)y * to->stride;

		for (uint32_t x = 0; x < to->width; x++)
			result[x] = table[line[x]];
	}
}

static void stretch(struct convert *convert, struct work *work)
{
	for (uint32_t i = 0; i < work->plane_count; i++) {
		struct work_room goal = work_goal(convert, work, i);

		stretch_plane(&work->planes[i], &goal, i > 0);
		work->planes[i] =
			(struct work_plane){goal.data, goal.stride, goal.width, goal.height};
	}
}

typedef int ycbcr_function(const uint8_t *, int, const uint8_t *, int, const uint8_t *, int,
	uint8_t *, int, const struct YuvConstants *, int, int);

static ycbcr_function *find_ycbcr_function(const struct convert *convert, bool xr24)
{
	const struct work_room *luma = &convert->goals[0], *chroma = &convert->goals[1];

	if (luma->width == chroma->width && luma->height == chroma->height)
		return xr24 ? I444ToARGBMatrix : I444ToRGB24Matrix;
	if (luma->height == chroma->height)
		return xr24 ? I422ToARGBMatrix : I422ToRGB24Matrix;
	return xr24 ? I420ToARGBMatrix : I420ToRGB24Matrix;
}

/* libyuv writes B, G, R; with exchanged chroma and constants that are made for it R, G, B. */
static void store_ycbcr_as_rgb(struct convert *convert, struct work *work)
{
	uint32_t fourcc = convert->to.fourcc;
	bool rgb = fourcc == V4L2_PIX_FMT_RGB24;
	const struct work_plane *y = &work->planes[0], *u = &work->planes[rgb ? 2 : 1],
				*v = &work->planes[rgb ? 1 : 2];

	if (convert->stretch)
		stretch(convert, work);
	find_ycbcr_function(convert, fourcc == V4L2_PIX_FMT_XBGR32)(y->data, (int)y->stride,
		u->data, (int)u->stride, v->data, (int)v->stride,
		work->slot + convert->to.planes[0].offset, (int)convert->to.planes[0].stride,
		rgb ? convert->matrix_swapped : convert->matrix, (int)y->width, (int)y->height);
}

static void store_ycbcr(struct convert *convert, struct work *work)
{
	const struct work_plane *cb = &work->planes[1], *cr = &work->planes[2];

	if (convert->to.fourcc == V4L2_PIX_FMT_NV12)
		MergeUVPlane(cb->data, (int)cb->stride, cr->data, (int)cr->stride,
			work->slot + convert->to.planes[1].offset,
			(int)convert->to.planes[1].stride, (int)cb->width, (int)cb->height);
	else if (convert->to.fourcc != V4L2_PIX_FMT_YUV420) /* whose planes are the goals */
		store_ycbcr_as_rgb(convert, work);
}

static void store_grey(struct convert *convert, struct work *work)
{
	const struct work_plane *y = &work->planes[0];
	uint8_t *slot = work->slot;
	int stride = (int)convert->to.planes[0].stride;

	switch (convert->to.fourcc) {
	case V4L2_PIX_FMT_RGB24:
	case V4L2_PIX_FMT_BGR24:
		MergeRGBPlane(y->data, (int)y->stride, y->data, (int)y->stride, y->data,
			(int)y->stride, slot, stride, (int)y->width, (int)y->height);
		break;
	case V4L2_PIX_FMT_XBGR32:
		J400ToARGB(y->data, (int)y->stride, slot, stride, (int)y->width, (int)y->height);
		break;
	}
}

static void store_xr24(struct convert *convert, struct work *work)
{
	const struct work_plane *plane = &work->planes[0];
	const struct pool_format *to = &convert->to;
	uint8_t *planes[WORK_PLANES];
	int strides[WORK_PLANES], width = (int)plane->width, height = (int)plane->height;

	for (uint32_t i = 0; i < WORK_PLANES; i++) {
		planes[i] = work->slot + to->planes[i].offset;
		strides[i] = (int)to->planes[i].stride;
	}
	switch (to->fourcc) {
	case V4L2_PIX_FMT_RGB24:
		ARGBToRAW(plane->data, (int)plane->stride, planes[0], strides[0], width, height);
		break;
	case V4L2_PIX_FMT_BGR24:
		ARGBToRGB24(plane->data, (int)plane->stride, planes[0], strides[0], width, height);
		break;
	case V4L2_PIX_FMT_YUV420:
		ARGBToI420(plane->data, (int)plane->stride, planes[0], strides[0], planes[1],
			strides[1], planes[2], strides[2], width, height);
		break;
	case V4L2_PIX_FMT_NV12:
		ARGBToNV12(plane->data, (int)plane->stride, planes[0], strides[0], planes[1],
			strides[1], width, height);
		break;
	}
}

void convert_store(struct convert *convert, struct work *work)
{
	switch (convert->kind) {
	case WORK_GREY:
		store_grey(convert, work);
		break;
	case WORK_YCBCR:
		store_ycbcr(convert, work);
		break;
	case WORK_XR24:
		store_xr24(convert, work);
		break;
	case WORK_RESULT:
		break;
	}
}
