/* SPDX-License-Identifier: MIT */

/* Which planes a conversion needs memory for: all of it is allocated before the first frame. */

#include "convert-work.h"

#include "convert-bayer.h"

#include <errno.h>
#include <stdlib.h>

#include <linux/videodev2.h>

enum {
	ALIGNMENT = 64, /* of lines: what vector instructions like */
};

static int alloc_room(struct convert *convert, struct work_room *room, uint32_t width,
	uint32_t height, uint32_t sample_size)
{
	uint32_t stride = divide_up(width * sample_size, ALIGNMENT) * ALIGNMENT;
	size_t size = (size_t)stride * height;

	room->data = aligned_alloc(ALIGNMENT, size);
	if (!room->data)
		return -ENOMEM;
	room->stride = stride;
	room->width = width;
	room->height = height;
	convert->memory += size;
	return 0;
}

/* The size of goal i, and whether it is a plane of the slot. */
static void plan_goal(struct convert *convert, uint32_t i)
{
	const struct pool_format *to = &convert->to;
	struct work_room *goal = &convert->goals[i];
	bool to_rgb = is_rgb(to->fourcc);
	uint32_t horizontal = 1, vertical = 1;

	if (i > 0 && !to_rgb) {
		horizontal = vertical = 2;
	} else if (i > 0 && !convert->scaled) {
		horizontal = convert->chroma_width;
		vertical = convert->chroma_height;
	}
	goal->width = divide_up(to->width, horizontal);
	goal->height = divide_up(to->height, vertical);
	goal->stride = to->planes[i].stride;
	switch (convert->kind) {
	case WORK_GREY:
		convert->goal_in_slot[i] = !to_rgb;
		break;
	case WORK_YCBCR:
		convert->goal_in_slot[i] = !to_rgb && (i == 0 || to->plane_count == 3);
		break;
	case WORK_XR24:
		convert->goal_in_slot[i] = to->fourcc == V4L2_PIX_FMT_XBGR32;
		break;
	case WORK_RESULT:
		convert->goal_in_slot[i] = true;
		break;
	}
}

/* Can plane i be taken where it lies in the source, without a copy? */
static bool is_pointed_at(const struct convert *convert, uint32_t i)
{
	switch (convert->source) {
	case SOURCE_KIND_GREY:
		return i == 0;
	case SOURCE_KIND_PLANAR:
		return true;
	case SOURCE_KIND_SEMI_PLANAR:
		return i == 0;
	case SOURCE_KIND_RGB:
		return convert->kind == WORK_XR24 && !convert_find_to_xr24(convert->from.fourcc);
	case SOURCE_KIND_GREY16:
	case SOURCE_KIND_PAIRS:
	case SOURCE_KIND_BAYER:
	case SOURCE_KIND_JPEG:
		break;
	}
	return false;
}

/* The size of plane i as load brings it. */
static void find_loaded_size(
	const struct convert *convert, uint32_t i, uint32_t *ret_width, uint32_t *ret_height)
{
	struct work_region region = convert_region(convert);
	uint32_t horizontal = i > 0 && convert->kind == WORK_YCBCR ? convert->chroma_width : 1;
	uint32_t vertical = i > 0 && convert->kind == WORK_YCBCR ? convert->chroma_height : 1;

	if (convert->source == SOURCE_KIND_JPEG) {
		*ret_width = convert->jpeg_region.width;
		*ret_height = convert->jpeg_region.height;
		return;
	}
	*ret_width = divide_up(region.width, horizontal);
	*ret_height = divide_up(region.height, vertical);
}

static bool is_grey_source(const struct convert *convert)
{
	return convert->source == SOURCE_KIND_GREY || convert->source == SOURCE_KIND_GREY16;
}

static int plan_plane(struct convert *convert, uint32_t i)
{
	struct work_room *goal = &convert->goals[i];
	uint32_t size = convert->kind == WORK_XR24 ? 4 : 1, width, height;
	bool exists = i == 0 || !is_grey_source(convert), pointed_at, fits;
	int r;

	find_loaded_size(convert, i, &width, &height);
	pointed_at = exists && is_pointed_at(convert, i);
	fits = convert_region(convert).skip_x == 0 && convert_is_goal(convert, i, width, height);
	if (!convert->goal_in_slot[i] && !(pointed_at && fits && !convert->stretch)) {
		r = alloc_room(convert, goal, goal->width, goal->height, size);
		if (r < 0)
			return r;
	}
	if (exists && !pointed_at && !fits && !convert->jpeg_planes)
		return alloc_room(convert, &convert->loaded[i], width, height, size);
	return 0;
}

/* Memory for RGB that is scaled, and for RGB that becomes grey by way of XR24. */
static int plan_rgb(struct convert *convert)
{
	bool three_bytes = format_find(convert->from.fourcc)->planes[0].group_bytes == 3;
	bool via_xr24 = convert->source == SOURCE_KIND_BAYER ||
			(!three_bytes && convert_find_to_xr24(convert->from.fourcc));
	int r = 0;

	if (convert->kind == WORK_GREY && via_xr24)
		return alloc_room(
			convert, &convert->loaded[1], convert->crop.width, convert->crop.height, 4);
	if (convert->kind != WORK_XR24 || !convert->scaled)
		return 0;
	for (uint32_t i = 0; i < WORK_PLANES && r == 0; i++) {
		r = alloc_room(
			convert, &convert->large[i], convert->crop.width, convert->crop.height, 1);
		if (r == 0)
			r = alloc_room(convert, &convert->small[i], convert->to.width,
				convert->to.height, 1);
	}
	return r;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* Scaling has two steps where a factor is neither whole nor below 2. No plane is larger than the
 * luma of the crop, or than that of the result. Chroma may have factors of its own. */
static int plan_middle(struct convert *convert)
{
	const struct pool_format *to = &convert->to;
	uint32_t width = convert->crop.width, height = convert->crop.height;

	if (convert->source == SOURCE_KIND_JPEG) {
		width = convert->jpeg_region.width;
		height = convert->jpeg_region.height;
	}
	if (convert->kind == WORK_RESULT)
		return 0;
	convert->sums = calloc(larger(width, to->width), sizeof(*convert->sums));
	if (!convert->sums)
		return -ENOMEM;
	convert->memory += larger(width, to->width) * sizeof(*convert->sums);
	if (convert->kind == WORK_YCBCR ? !convert->scaled && convert->source != SOURCE_KIND_JPEG
					: width % to->width == 0 && height % to->height == 0)
		return 0;
	return alloc_room(
		convert, &convert->middle, larger(width, to->width), larger(height, to->height), 1);
}

int convert_plan_memory(struct convert *convert)
{
	int r;

	r = plan_middle(convert);
	if (r < 0)
		return r;
	convert->goal_count = convert->kind == WORK_YCBCR ? WORK_PLANES : 1;
	for (uint32_t i = 0; i < convert->goal_count; i++)
		plan_goal(convert, i);
	for (uint32_t i = 0; i < convert->goal_count; i++) {
		r = plan_plane(convert, i);
		if (r < 0)
			return r;
	}
	if (convert->source == SOURCE_KIND_BAYER) {
		convert->bayer = malloc(bayer_memory(convert->from.width));
		if (!convert->bayer)
			return -ENOMEM;
		convert->memory += bayer_memory(convert->from.width);
	}
	if (convert->source == SOURCE_KIND_BAYER || convert->source == SOURCE_KIND_RGB)
		return plan_rgb(convert);
	return 0;
}
