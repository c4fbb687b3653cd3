/* SPDX-License-Identifier: MIT */
#include "source-v4l2-queue.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <libv4l2.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert((int)FORMAT_PLANES_MAX <= VIDEO_MAX_PLANES, "planes fit into a buffer's");

/* A struct v4l2_buffer with its planes, ready for an ioctl. */
struct request {
	struct v4l2_buffer buffer;
	struct v4l2_plane planes[VIDEO_MAX_PLANES];
};

static void request_init(struct request *request, const struct v4l2_queue *queue, uint32_t index)
{
	memset(request, 0, sizeof *request);
	request->buffer.index = index;
	request->buffer.type = queue->device->type;
	request->buffer.memory = queue->memory;
	if (v4l2_device_is_multiplanar(queue->device)) {
		request->buffer.m.planes = request->planes;
		request->buffer.length = VIDEO_MAX_PLANES;
	}
}

static int request_buffers(
	const struct v4l2_queue *queue, uint32_t count, struct v4l2_requestbuffers *ret_request)
{
	*ret_request = (struct v4l2_requestbuffers){
		.count = count, .type = queue->device->type, .memory = queue->memory};
	return v4l2_device_ioctl(queue->device, VIDIOC_REQBUFS, ret_request);
}

int v4l2_queue_init(struct v4l2_queue *queue, const struct v4l2_device *device, uint32_t memory,
	uint32_t plane_count, uint32_t count)
{
	struct v4l2_requestbuffers request;
	int r;

	*queue =
		(struct v4l2_queue){.device = device, .memory = memory, .plane_count = plane_count};
	r = request_buffers(queue, count, &request);
	if (r < 0)
		return r;
	queue->count =
		request.count < V4L2_QUEUE_BUFFERS_MAX ? request.count : V4L2_QUEUE_BUFFERS_MAX;
	return 0;
}

void v4l2_queue_finish(struct v4l2_queue *queue)
{
	struct v4l2_requestbuffers request;

	if (queue->count == 0)
		return;
	for (uint32_t i = 0; i < queue->count; i++)
		for (uint32_t plane = 0; plane < queue->plane_count; plane++)
			if (queue->buffers[i].planes[plane].data != NULL)
				v4l2_munmap(queue->buffers[i].planes[plane].data,
					queue->buffers[i].planes[plane].size);
	(void)request_buffers(queue, 0, &request);
	queue->count = 0;
}

int v4l2_queue_map(struct v4l2_queue *queue)
{
	bool multiplanar = v4l2_device_is_multiplanar(queue->device);

	for (uint32_t i = 0; i < queue->count; i++) {
		struct request request;
		int r;

		request_init(&request, queue, i);
		r = v4l2_device_ioctl(queue->device, VIDIOC_QUERYBUF, &request.buffer);
		if (r < 0)
			return r;
		for (uint32_t plane = 0; plane < queue->plane_count; plane++) {
			uint32_t length =
				multiplanar ? request.planes[plane].length : request.buffer.length;
			uint32_t offset = multiplanar ? request.planes[plane].m.mem_offset
						      : request.buffer.m.offset;
			void *data = v4l2_mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED,
				queue->device->fd, offset);

			if (data == MAP_FAILED)
				return -errno;
			queue->buffers[i].planes[plane].data = data;
			queue->buffers[i].planes[plane].size = length;
		}
	}
	return 0;
}

static int export_buffer(struct v4l2_queue *queue, uint32_t index, struct slot_buffer *ret_buffer)
{
	bool multiplanar = v4l2_device_is_multiplanar(queue->device);
	struct slot_buffer buffer = {.plane_count = 0};
	struct request request;
	int r;

	request_init(&request, queue, index);
	r = v4l2_device_ioctl(queue->device, VIDIOC_QUERYBUF, &request.buffer);
	if (r < 0)
		return r;
	while (buffer.plane_count < queue->plane_count) {
		uint32_t plane = buffer.plane_count;
		struct v4l2_exportbuffer export = {.type = queue->device->type,
			.index = index,
			.plane = plane,
			.flags = O_RDONLY | O_CLOEXEC};

		r = v4l2_device_ioctl(queue->device, VIDIOC_EXPBUF, &export);
		if (r < 0) {
			slot_buffers_close(&buffer, 1);
			return r;
		}
		buffer.planes[plane].fd = export.fd;
		buffer.planes[plane].length =
			multiplanar ? request.planes[plane].length : request.buffer.length;
		queue->buffers[index].planes[plane].size = buffer.planes[plane].length;
		buffer.plane_count++;
	}
	*ret_buffer = buffer;
	return 0;
}

int v4l2_queue_export(struct v4l2_queue *queue, uint32_t count, struct slot_buffer *ret_buffers)
{
	for (uint32_t i = 0; i < count; i++) {
		int r = export_buffer(queue, i, &ret_buffers[i]);

		if (r < 0) {
			slot_buffers_close(ret_buffers, i);
			return r;
		}
	}
	return 0;
}

void v4l2_queue_forget(struct v4l2_queue *queue)
{
	for (uint32_t i = 0; i < queue->count; i++)
		queue->buffers[i].queued = false;
}

int v4l2_queue_give(
	struct v4l2_queue *queue, uint32_t index, const struct v4l2_queue_memory *memory)
{
	struct request request;
	int r;

	request_init(&request, queue, index);
	if (v4l2_device_is_multiplanar(queue->device))
		request.buffer.length = queue->plane_count;
	if (queue->memory == V4L2_MEMORY_USERPTR && v4l2_device_is_multiplanar(queue->device)) {
		for (uint32_t plane = 0; plane < queue->plane_count; plane++) {
			request.planes[plane].m.userptr = (unsigned long)memory[plane].data;
			request.planes[plane].length = memory[plane].size;
		}
	} else if (queue->memory == V4L2_MEMORY_USERPTR) {
		request.buffer.m.userptr = (unsigned long)memory[0].data;
		request.buffer.length = memory[0].size;
	}
	r = v4l2_device_ioctl(queue->device, VIDIOC_QBUF, &request.buffer);
	if (r == 0)
		queue->buffers[index].queued = true;
	return r;
}

/* bytesused of a multi-planar buffer counts what precedes the data (struct v4l2_plane). */
static void read_planes(const struct v4l2_queue *queue, const struct request *request,
	struct v4l2_queue_frame *frame)
{
	if (!v4l2_device_is_multiplanar(queue->device)) {
		frame->planes[0].bytesused = request->buffer.bytesused;
		return;
	}
	for (uint32_t i = 0; i < queue->plane_count; i++) {
		const struct v4l2_plane *plane = &request->planes[i];

		if (plane->data_offset > plane->bytesused)
			continue; /* no data */
		frame->planes[i].offset = plane->data_offset;
		frame->planes[i].bytesused = plane->bytesused - plane->data_offset;
	}
}

int v4l2_queue_take(struct v4l2_queue *queue, struct v4l2_queue_frame *ret_frame)
{
	struct request request;
	struct v4l2_queue_frame frame = {0};
	int r;

	request_init(&request, queue, 0);
	r = v4l2_device_ioctl(queue->device, VIDIOC_DQBUF, &request.buffer);
	if (r < 0)
		return r;
	frame.index = request.buffer.index;
	if (frame.index >= queue->count || !queue->buffers[frame.index].queued)
		return -EPROTO;
	queue->buffers[frame.index].queued = false;
	frame.flags = request.buffer.flags;
	frame.sequence = request.buffer.sequence;
	frame.field = request.buffer.field;
	frame.timestamp_ns = request.buffer.timestamp.tv_sec * NSEC_PER_SEC +
			     request.buffer.timestamp.tv_usec * 1000;
	read_planes(queue, &request, &frame);
	*ret_frame = frame;
	return 0;
}
