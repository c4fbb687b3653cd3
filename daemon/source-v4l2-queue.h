/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SOURCE_V4L2_QUEUE_H
#define CAMTAP_DAEMON_SOURCE_V4L2_QUEUE_H

/*
 * The driver's buffers: asking for them, giving and taking them. One interface for the two that
 * V4L2 has, in which a buffer is one memory plane (single-planar), or is made of one or several of
 * them, each with bytes that may precede the data (multi-planar). All functions belong to the
 * capture thread, and return a negative errno without any text.
 */

#include "format.h"
#include "slot-buffer.h"
#include "source-v4l2-device.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define V4L2_QUEUE_BUFFERS_MAX 64

struct v4l2_queue {
	const struct v4l2_device *device;
	uint32_t memory;      /* enum v4l2_memory: USERPTR or MMAP */
	uint32_t plane_count; /* memory planes of each buffer */
	uint32_t count;       /* buffers */
	struct v4l2_queue_buffer {
		bool queued; /* the driver has it */
		struct {
			uint8_t *
				data; /* MMAP: the driver's memory, as v4l2_queue_map() mapped it */
			size_t size;
		} planes[FORMAT_PLANES_MAX];
	} buffers[V4L2_QUEUE_BUFFERS_MAX];
};

/* Asks for `count` buffers; queue->count says what the driver made of it (it may be more or less).
 * Everything before is forgotten: v4l2_queue_finish() comes first. */
int v4l2_queue_init(struct v4l2_queue *queue, const struct v4l2_device *device, uint32_t memory,
	uint32_t plane_count, uint32_t count);
/* Unmaps the buffers and gives them back. Errors do not matter: closing the device settles
 * everything.
 */
void v4l2_queue_finish(struct v4l2_queue *queue);

/* MMAP: maps the buffers for reading and writing (libv4l2's conversion writes). */
int v4l2_queue_map(struct v4l2_queue *queue);

/* MMAP: hands buffers out as dma-bufs, read-only and close-on-exec; they outlive the queue.
 * `count`: at most queue->count. On failure nothing is left open. */
int v4l2_queue_export(struct v4l2_queue *queue, uint32_t count, struct slot_buffer *ret_buffers);

/* The driver has given all of them back (STREAMOFF). */
void v4l2_queue_forget(struct v4l2_queue *queue);

/* USERPTR: the memory for one memory plane of a buffer. */
struct v4l2_queue_memory {
	uint8_t *data;
	uint32_t size; /* bytes, at least sizeimage */
};

/* Gives a buffer to the driver; memory[plane_count] is for USERPTR only. */
int v4l2_queue_give(
	struct v4l2_queue *queue, uint32_t index, const struct v4l2_queue_memory *memory);

struct v4l2_queue_frame {
	uint32_t index;
	uint32_t flags; /* V4L2_BUF_FLAG_* */
	uint32_t sequence;
	uint32_t field; /* enum v4l2_field */
	int64_t timestamp_ns;
	struct {
		uint32_t offset;    /* where in the memory plane the data begins (data_offset) */
		uint32_t bytesused; /* of the data alone */
	} planes[FORMAT_PLANES_MAX];
};

/* Takes a filled buffer. -EAGAIN: there is none; -EPROTO: the driver gave back one that it had not.
 * offset + bytesused lie within the plane only if the driver is right: check. */
int v4l2_queue_take(struct v4l2_queue *queue, struct v4l2_queue_frame *ret_frame);

#endif
