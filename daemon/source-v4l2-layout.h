/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SOURCE_V4L2_LAYOUT_H
#define CAMTAP_DAEMON_SOURCE_V4L2_LAYOUT_H

/*
 * Where the driver's memory planes and the planes of a frame lie in a slot, and what that makes of
 * a frame that comes out of the driver. Plain arithmetic, on what a driver says, which may be
 * nonsense.
 */

#include "format.h"
#include "source-v4l2-format.h"
#include "source-v4l2-queue.h"
#include "source.h"

#include <stdbool.h>
#include <stdint.h>

struct v4l2_layout {
	bool exported;   /* the slots are the driver's buffers, each memory plane for itself */
	bool compressed; /* a frame's size is known when it is there */
	struct format_layout frame; /* planes of a frame, within the slot */
	uint32_t frame_size;        /* bytes of a slot that a frame takes at most */
	uint32_t memory_plane_count;
	struct {
		uint32_t offset;   /* where in the slot the memory plane is */
		uint32_t size;     /* bytes, a multiple of the page size if in the pool */
		uint32_t expected; /* bytes of data that a whole frame has there; compressed: 1 */
	} memory_planes[FORMAT_PLANES_MAX];
};

/* Lays out what was negotiated; a size that the driver left out is filled in. -EINVAL, or what
 * format_layout_init() says: the driver's format cannot be right; *ret_plane is the memory plane
 * that shows it. */
int v4l2_layout_init(struct v4l2_layout *ret_layout, struct v4l2_choice *choice, bool exported,
	uint32_t *ret_plane);

/* What the driver says of the frame, made to fit into its memory. */
enum source_damage v4l2_layout_inspect(const struct v4l2_layout *layout,
	const struct v4l2_queue *queue, struct v4l2_queue_frame *taken);

/* Where the frame's planes are in its slot, and how many bytes there are in all. */
void v4l2_layout_locate(const struct v4l2_layout *layout, const struct v4l2_queue_frame *taken,
	struct source_frame *frame);

#endif
