/* SPDX-License-Identifier: MIT */
#include "source-v4l2-layout.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <unistd.h>

/* Each of the frame's planes has a memory plane of its own: they follow each other in the slot,
 * each from a page on, since some drivers write to whole pages only. */
static int lay_out_apart(
	struct v4l2_layout *layout, const struct v4l2_choice *choice, uint32_t *ret_plane)
{
	struct format_layout smallest;
	int r;

	*ret_plane = 0;
	r = format_layout_init(choice->fourcc, choice->width, choice->height, 0, &smallest);
	if (r < 0)
		return r;
	if (smallest.plane_count != choice->memory_plane_count)
		return -EINVAL;
	for (uint32_t i = 0; i < smallest.plane_count; i++) {
		struct format_plane *plane = &layout->frame.planes[i];
		uint32_t lines = smallest.planes[i].size / smallest.planes[i].stride;

		*ret_plane = i;
		plane->stride = choice->memory_planes[i].bytesperline;
		if (plane->stride < smallest.planes[i].stride || plane->stride > FORMAT_SIZE_MAX ||
			(uint64_t)lines * plane->stride > choice->memory_planes[i].sizeimage)
			return -EINVAL;
		plane->offset = layout->memory_planes[i].offset;
		plane->size = lines * plane->stride;
		layout->memory_planes[i].expected = plane->size;
	}
	layout->frame.plane_count = smallest.plane_count;
	return 0;
}

int v4l2_layout_init(struct v4l2_layout *ret_layout, struct v4l2_choice *choice, bool exported,
	uint32_t *ret_plane)
{
	const struct format_info *info = format_find(choice->fourcc);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), offset = 0;
	struct v4l2_layout layout = {.exported = exported,
		.compressed = info->flags & FORMAT_COMPRESSED,
		.memory_plane_count = choice->memory_plane_count};
	int r;

	*ret_plane = 0;
	r = format_layout_init(choice->fourcc, choice->width, choice->height,
		choice->memory_planes[0].bytesperline, &layout.frame);
	if (r < 0)
		return r;
	if (choice->memory_planes[0].sizeimage == 0 && choice->memory_plane_count == 1)
		choice->memory_planes[0].sizeimage = layout.frame.size;
	for (uint32_t i = 0; i < choice->memory_plane_count; i++) {
		uint64_t size = (choice->memory_planes[i].sizeimage + page - 1) / page * page;

		*ret_plane = i;
		if (exported) /* apart, and as long as the driver makes them */
			size = choice->memory_planes[i].sizeimage;
		if (size == 0 || offset + size > FORMAT_SIZE_MAX)
			return -EINVAL;
		layout.memory_planes[i].offset = exported ? 0 : (uint32_t)offset;
		layout.memory_planes[i].size = (uint32_t)size;
		offset += size;
	}
	layout.frame_size = (uint32_t)offset;
	if (choice->memory_plane_count > 1) {
		r = lay_out_apart(&layout, choice, ret_plane);
		if (r < 0)
			return r;
	} else {
		if (!layout.compressed && choice->memory_planes[0].sizeimage < layout.frame.size)
			return -EINVAL;
		layout.memory_planes[0].expected = layout.compressed ? 1 : layout.frame.size;
		layout.frame_size = choice->memory_planes[0].sizeimage;
	}
	*ret_layout = layout;
	return 0;
}

enum source_damage v4l2_layout_inspect(const struct v4l2_layout *layout,
	const struct v4l2_queue *queue, struct v4l2_queue_frame *taken)
{
	uint32_t bytes = 0;
	bool whole = true;

	for (uint32_t i = 0; i < layout->memory_plane_count; i++) {
		uint32_t room = layout->memory_planes[i].size;

		if (queue->memory == V4L2_MEMORY_MMAP &&
			queue->buffers[taken->index].planes[i].size < room)
			room = (uint32_t)queue->buffers[taken->index].planes[i].size;
		if (taken->planes[i].offset > room ||
			taken->planes[i].bytesused > room - taken->planes[i].offset)
			taken->planes[i].offset = taken->planes[i].bytesused = 0;
		bytes += taken->planes[i].bytesused;
		whole = whole && taken->planes[i].bytesused >= layout->memory_planes[i].expected;
	}
	if (taken->flags & V4L2_BUF_FLAG_ERROR)
		return SOURCE_DAMAGE_ERROR_FLAG;
	if (bytes == 0)
		return SOURCE_DAMAGE_EMPTY;
	return whole ? SOURCE_DAMAGE_NONE : SOURCE_DAMAGE_SHORT;
}

void v4l2_layout_locate(const struct v4l2_layout *layout, const struct v4l2_queue_frame *taken,
	struct source_frame *frame)
{
	bool apart = layout->memory_plane_count > 1;

	frame->plane_count = layout->frame.plane_count;
	for (uint32_t i = 0; i < layout->frame.plane_count; i++) {
		const struct format_plane *plane = &layout->frame.planes[i];
		uint32_t memory = apart ? i : 0, begin = taken->planes[memory].offset;
		/* of this plane, counted from its beginning */
		uint32_t before = apart ? 0 : plane->offset,
			 bytes = taken->planes[memory].bytesused;

		bytes = bytes > before ? bytes - before : 0;
		if (!layout->compressed && bytes > plane->size)
			bytes = plane->size;
		frame->planes[i].offset = plane->offset + begin;
		frame->planes[i].bytesused = bytes;
		frame->planes[i].stride = plane->stride;
		frame->planes[i].memory = layout->exported ? memory : 0;
		if (layout->exported)
			frame->bytesused += bytes;
		else if (bytes > 0)
			frame->bytesused = frame->planes[i].offset + bytes;
	}
}
