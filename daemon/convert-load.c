/* SPDX-License-Identifier: MIT */

/* The first step of a conversion: from the source's pixels to planes. */

#include "convert-work.h"

#include "convert-bayer.h"

#include <stdio.h>

#include <libyuv.h>
#include <linux/videodev2.h>

struct work_room work_goal(const struct convert *convert, const struct work *work, uint32_t i)
{
	struct work_room goal = convert->goals[i];

	if (convert->goal_in_slot[i])
		goal.data = work->slot + convert->to.planes[i].offset;
	return goal;
}

bool convert_is_goal(const struct convert *convert, uint32_t i, uint32_t width, uint32_t height)
{
	return i < convert->goal_count && convert->goals[i].width == width &&
	       convert->goals[i].height == height;
}

static struct work_room loaded_room(
	const struct convert *convert, uint32_t i, uint32_t width, uint32_t height)
{
	struct work_room room = convert->loaded[i];

	room.width = width;
	room.height = height;
	return room;
}

/* Room for plane i of the crop: its goal if it has that size, else memory for it. */
static struct work_room work_room(const struct convert *convert, const struct work *work,
	uint32_t i, uint32_t width, uint32_t height)
{
	if (convert_is_goal(convert, i, width, height))
		return work_goal(convert, work, i);
	return loaded_room(convert, i, width, height);
}

static struct work_plane room_plane(const struct work_room *room)
{
	return (struct work_plane){room->data, room->stride, room->width, room->height};
}

struct work_region convert_region(const struct convert *convert)
{
	struct work_region region = {
		.x = convert->crop.x,
		.y = convert->crop.y,
		.width = convert->crop.width,
		.height = convert->crop.height,
	};

	if (convert->source == SOURCE_KIND_PAIRS) {
		region.skip_x = region.x % 2;
		region.x -= region.skip_x;
		region.width += region.skip_x;
	}
	return region;
}

/* A part of a plane of the source, in samples of `size` bytes. */
static struct work_plane point_at(const struct convert_plane *plane, uint32_t size, uint32_t x,
	uint32_t y, uint32_t width, uint32_t height)
{
	return (struct work_plane){
		.data = plane->data + (size_t)y * plane->stride + (size_t)x * size,
		.stride = plane->stride,
		.width = width,
		.height = height,
	};
}

static struct work_plane point_at_crop(
	const struct convert *convert, const struct convert_plane *plane, uint32_t size)
{
	return point_at(plane, size, convert->crop.x, convert->crop.y, convert->crop.width,
		convert->crop.height);
}

/* The part of a chroma plane that belongs to the crop. */
static struct work_plane point_at_chroma(
	const struct convert *convert, const struct convert_plane *plane, uint32_t size)
{
	uint32_t horizontal = convert->chroma_width, vertical = convert->chroma_height;

	return point_at(plane, size, convert->crop.x / horizontal, convert->crop.y / vertical,
		divide_up(convert->crop.width, horizontal),
		divide_up(convert->crop.height, vertical));
}

static void load_planar(
	struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	uint32_t cb = convert->chroma_swapped ? 2 : 1;

	work->planes[0] = point_at_crop(convert, &picture->planes[0], 1);
	work->plane_count = 1;
	if (convert->kind == WORK_GREY)
		return;
	work->planes[1] = point_at_chroma(convert, &picture->planes[cb], 1);
	work->planes[2] = point_at_chroma(convert, &picture->planes[3 - cb], 1);
	work->plane_count = 3;
}

static void load_semi_planar(
	struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	uint32_t first = convert->chroma_swapped ? 2 : 1;
	struct work_plane chroma;
	struct work_room rooms[WORK_PLANES];

	work->planes[0] = point_at_crop(convert, &picture->planes[0], 1);
	work->plane_count = 1;
	if (convert->kind == WORK_GREY)
		return;
	chroma = point_at_chroma(convert, &picture->planes[1], 2);
	for (uint32_t i = 1; i < WORK_PLANES; i++) {
		rooms[i] = work_room(convert, work, i, chroma.width, chroma.height);
		work->planes[i] = room_plane(&rooms[i]);
	}
	SplitUVPlane(chroma.data, (int)chroma.stride, rooms[first].data, (int)rooms[first].stride,
		rooms[3 - first].data, (int)rooms[3 - first].stride, (int)chroma.width,
		(int)chroma.height);
	work->plane_count = 3;
}

static void load_pairs(
	struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	struct work_region region = convert_region(convert);
	uint32_t first = convert->chroma_swapped ? 2 : 1;
	const struct convert_plane *plane = &picture->planes[0];
	const uint8_t *from = plane->data + (size_t)region.y * plane->stride + region.x / 2 * 4;
	struct work_room rooms[WORK_PLANES];

	rooms[0] = region.skip_x ? loaded_room(convert, 0, region.width, region.height)
				 : work_room(convert, work, 0, region.width, region.height);
	work->planes[0] = room_plane(&rooms[0]);
	work->plane_count = 1;
	if (convert->kind == WORK_GREY) {
		(convert->luma_second ? UYVYToY : YUY2ToY)(from, (int)plane->stride, rooms[0].data,
			(int)rooms[0].stride, (int)region.width, (int)region.height);
		work->planes[0].data += region.skip_x;
		work->planes[0].width -= region.skip_x;
		return;
	}
	for (uint32_t i = 1; i < WORK_PLANES; i++) {
		rooms[i] = work_room(convert, work, i, divide_up(region.width, 2), region.height);
		work->planes[i] = room_plane(&rooms[i]);
	}
	(convert->luma_second ? UYVYToI422 : YUY2ToI422)(from, (int)plane->stride, rooms[0].data,
		(int)rooms[0].stride, rooms[first].data, (int)rooms[first].stride,
		rooms[3 - first].data, (int)rooms[3 - first].stride, (int)region.width,
		(int)region.height);
	work->plane_count = 3;
}

/* Samples in host order, in lines that libyuv can take. */
static bool is_aligned16(const struct work_plane *plane)
{
	return ((uintptr_t)plane->data | plane->stride) % sizeof(uint16_t) == 0;
}

/* The highest 8 bits. Samples beyond their range are the largest. */
static void load_grey16(
	struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	const struct format_info *info = format_find(convert->from.fourcc);
	struct work_plane crop = point_at_crop(convert, &picture->planes[0], 2);
	struct work_room room = work_room(convert, work, 0, crop.width, crop.height);
	uint32_t shift = info->bits - 8u;
	uint32_t low = convert->from.fourcc == V4L2_PIX_FMT_Y16_BE ? 1 : 0;

	work->planes[0] = room_plane(&room);
	work->plane_count = 1;
	if (low == 0 && is_aligned16(&crop) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
		Convert16To8Plane((const uint16_t *)(const void *)crop.data, (int)crop.stride / 2,
			room.data, (int)room.stride, 1 << (16 - shift), (int)crop.width,
			(int)crop.height);
		return;
	}
	for (uint32_t y = 0; y < crop.height; y++) {
		const uint8_t *from = crop.data + (size_t)y * crop.stride;
		uint8_t *to = room.data + (size_t)y * room.stride;

		for (uint32_t x = 0; x < crop.width; x++) {
			uint32_t value = from[2 * x + low] | (uint32_t)from[2 * x + 1 - low] << 8;

			value >>= shift;
			to[x] = (uint8_t)(value < 255 ? value : 255);
		}
	}
}

/* libyuv names RGB formats by words of the little-endian machine: its RAW is R, G, B in memory,
 * RGB24 is B, G, R, ARGB is B, G, R, A, BGRA is A, R, G, B, and so on. */
rgb_function *convert_find_to_xr24(uint32_t fourcc)
{
	switch (fourcc) {
	case V4L2_PIX_FMT_RGB24:
		return RAWToARGB;
	case V4L2_PIX_FMT_BGR24:
		return RGB24ToARGB;
	case V4L2_PIX_FMT_XRGB32:
	case V4L2_PIX_FMT_ARGB32:
	case V4L2_PIX_FMT_RGB32:
		return BGRAToARGB;
	case V4L2_PIX_FMT_RGBX32:
	case V4L2_PIX_FMT_RGBA32:
		return ABGRToARGB;
	case V4L2_PIX_FMT_BGRX32:
	case V4L2_PIX_FMT_BGRA32:
		return RGBAToARGB;
	}
	return NULL; /* it is B, G, R, x already */
}

static rgb_function *find_to_grey(uint32_t fourcc)
{
	switch (fourcc) {
	case V4L2_PIX_FMT_RGB24:
		return RAWToJ400;
	case V4L2_PIX_FMT_BGR24:
		return RGB24ToJ400;
	}
	return ARGBToJ400;
}

/* The crop as B, G, R, x. For GREY that is but an intermediate picture, in loaded[1]. */
static struct work_plane load_xr24(
	struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	const struct format_info *info = format_find(convert->from.fourcc);
	uint32_t index = convert->kind == WORK_GREY ? 1 : 0;
	struct work_plane crop =
		point_at_crop(convert, &picture->planes[0], info->planes[0].group_bytes);
	rgb_function *to_xr24 = convert_find_to_xr24(convert->from.fourcc);
	struct work_room room;

	if (convert->source == SOURCE_KIND_RGB && !to_xr24)
		return crop;
	room = work_room(convert, work, index, crop.width, crop.height);
	if (convert->source == SOURCE_KIND_BAYER) {
		struct bayer_picture bayer = {
			.data = picture->planes[0].data,
			.stride = picture->planes[0].stride,
			.width = convert->from.width,
			.height = convert->from.height,
			.bits = info->bits,
			.red_x = convert->red_x,
			.red_y = convert->red_y,
		};

		bayer_to_xr24(&bayer, convert->crop.x, convert->crop.y, crop.width, crop.height,
			convert->bayer, room.data, room.stride);
	} else {
		to_xr24(crop.data, (int)crop.stride, room.data, (int)room.stride, (int)crop.width,
			(int)crop.height);
	}
	return room_plane(&room);
}

/* RGB3 and BGR3 among each other. */
static void load_three_bytes(
	struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	struct work_plane crop = point_at_crop(convert, &picture->planes[0], 3);
	struct work_room room = work_goal(convert, work, 0);

	if (convert->from.fourcc == convert->to.fourcc)
		CopyPlane(crop.data, (int)crop.stride, room.data, (int)room.stride,
			(int)crop.width * 3, (int)crop.height);
	else /* the same for both directions */
		RAWToRGB24(crop.data, (int)crop.stride, room.data, (int)room.stride,
			(int)crop.width, (int)crop.height);
	work->planes[0] = room_plane(&room);
}

static void load_rgb(
	struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	bool three_bytes = convert->from.fourcc == V4L2_PIX_FMT_RGB24 ||
			   convert->from.fourcc == V4L2_PIX_FMT_BGR24;
	struct work_plane plane;
	struct work_room room;

	work->plane_count = 1;
	if (convert->kind == WORK_XR24) {
		work->planes[0] = load_xr24(convert, picture, work);
		return;
	}
	if (convert->kind == WORK_RESULT) {
		load_three_bytes(convert, picture, work);
		return;
	}
	plane = three_bytes ? point_at_crop(convert, &picture->planes[0], 3)
			    : load_xr24(convert, picture, work);
	room = work_room(convert, work, 0, plane.width, plane.height);
	find_to_grey(convert->from.fourcc)(plane.data, (int)plane.stride, room.data,
		(int)room.stride, (int)plane.width, (int)plane.height);
	work->planes[0] = room_plane(&room);
}

/* Cuts the region out of a component, whose samples may stand for more than one pixel each. */
static bool crop_component(
	const struct convert *convert, const struct jpeg_plane *plane, struct work_plane *ret_plane)
{
	const struct jpeg_region *region = &convert->jpeg_region;
	uint32_t width = convert->jpeg_width, height = convert->jpeg_height;
	uint32_t horizontal = 1, vertical = 1;

	while (horizontal < 4 && divide_up(width, horizontal) != plane->width)
		horizontal *= 2;
	while (vertical < 4 && divide_up(height, vertical) != plane->height)
		vertical *= 2;
	if (divide_up(width, horizontal) != plane->width ||
		divide_up(height, vertical) != plane->height || region->x % horizontal ||
		region->y % vertical)
		return false;
	*ret_plane = (struct work_plane){
		.data = plane->data + (size_t)(region->y / vertical) * plane->stride +
			region->x / horizontal,
		.stride = plane->stride,
		.width = divide_up(region->width, horizontal),
		.height = divide_up(region->height, vertical),
	};
	return true;
}

static int load_jpeg_planes(
	struct convert *convert, const struct convert_plane *jpeg, struct work *work)
{
	struct jpeg_plane planes[WORK_PLANES] = {};
	bool whole = convert->jpeg_region.width == convert->jpeg_width &&
		     convert->jpeg_region.height == convert->jpeg_height;
	uint32_t count;
	int r;

	for (uint32_t i = 0; i < WORK_PLANES; i++) {
		struct work_room goal = work_goal(convert, work, i);

		/* A part of the image must not be scaled to where it lies itself. */
		if (whole)
			planes[i] = (struct jpeg_plane){
				goal.data, goal.stride, goal.width, goal.height};
	}
	r = jpeg_decode_planes(convert->jpeg, jpeg->data, jpeg->bytesused, planes, &count);
	if (r != CONVERT_DONE)
		return r;
	for (uint32_t i = 0; i < count; i++) {
		if (!crop_component(convert, &planes[i], &work->planes[i])) {
			snprintf(convert->detail, sizeof(convert->detail),
				"unusual sampling factors, or the crop begins between chroma "
				"samples");
			return CONVERT_UNSUPPORTED;
		}
	}
	work->plane_count = count;
	return CONVERT_DONE;
}

static enum jpeg_pixels find_jpeg_pixels(uint32_t fourcc)
{
	switch (fourcc) {
	case V4L2_PIX_FMT_RGB24:
		return JPEG_PIXELS_RGB;
	case V4L2_PIX_FMT_BGR24:
		return JPEG_PIXELS_BGR;
	case V4L2_PIX_FMT_XBGR32:
		return JPEG_PIXELS_BGRX;
	}
	return JPEG_PIXELS_GREY;
}

/* To GREY, or to RGB that is the result already. */
static int load_jpeg_pixels(
	struct convert *convert, const struct convert_plane *jpeg, struct work *work)
{
	const struct jpeg_region *region = &convert->jpeg_region;
	struct work_room room = work_room(convert, work, 0, region->width, region->height);

	work->planes[0] = room_plane(&room);
	work->plane_count = 1;
	return jpeg_decode_pixels(convert->jpeg, jpeg->data, jpeg->bytesused,
		find_jpeg_pixels(convert->to.fourcc), region, room.data, room.stride);
}

static int load_jpeg(
	struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	int r;

	r = (convert->jpeg_planes ? load_jpeg_planes : load_jpeg_pixels)(
		convert, &picture->planes[0], work);
	if (r > 0 && convert->detail[0] == '\0')
		snprintf(convert->detail, sizeof(convert->detail), "%s",
			jpeg_decoder_detail(convert->jpeg));
	return r;
}

int convert_load(struct convert *convert, const struct convert_picture *picture, struct work *work)
{
	switch (convert->source) {
	case SOURCE_KIND_GREY:
		work->planes[0] = point_at_crop(convert, &picture->planes[0], 1);
		work->plane_count = 1;
		break;
	case SOURCE_KIND_GREY16:
		load_grey16(convert, picture, work);
		break;
	case SOURCE_KIND_PLANAR:
		load_planar(convert, picture, work);
		break;
	case SOURCE_KIND_SEMI_PLANAR:
		load_semi_planar(convert, picture, work);
		break;
	case SOURCE_KIND_PAIRS:
		load_pairs(convert, picture, work);
		break;
	case SOURCE_KIND_RGB:
	case SOURCE_KIND_BAYER:
		load_rgb(convert, picture, work);
		break;
	case SOURCE_KIND_JPEG:
		return load_jpeg(convert, picture, work);
	}
	return CONVERT_DONE;
}
