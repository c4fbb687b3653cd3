/* SPDX-License-Identifier: MIT */

/*
 * V4L2 devices, all through libv4l2.
 *
 * How frames get into the pool's slots ("transfer"), the first that works and is allowed:
 *
 *   USERPTR  the driver writes into the slots. Slot n is queued as the driver's buffer n for ever,
 *            because another address under the same index means that its pages are pinned anew. A
 *            driver has 32 buffers at most (vb2); with more slots than that the next free index is
 *            taken.
 *   MMAP     the driver writes into memory of its own, from where each frame is copied into a slot.
 *            Without a slot frames wait in the driver, and when that has no buffer left, it drops
 *            (and counts) them, as it does in USERPTR.
 *   libv4l2  the same, for formats that only libv4l2's conversion makes. It has no USERPTR.
 *
 * Whether a driver takes USERPTR is found out when the device is opened, with one page-aligned
 * memfd buffer like those of the pool: REQBUFS says EINVAL to some, others fail only when memory is
 * queued (no IOMMU: it would have to be contiguous). A driver that takes that one and refuses a
 * slot later is remembered, and copied from after the reopening that follows.
 */

#include "source.h"

#include "clock.h"
#include "format.h"
#include "jpeg-scan.h"
#include "options.h"
#include "sequence.h"
#include "slot-queue.h"
#include "source-v4l2-device.h"
#include "source-v4l2-format.h"

#include <errno.h>
#include <libv4l2.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUFFERS_MAX       64
#define COPY_BUFFER_COUNT 4 /* the driver's own buffers: what it can fill while nobody copies */

_Static_assert(BUFFERS_MAX >= POOL_SLOTS_MAX, "a buffer for each slot, if the driver has as many");

enum transfer {
	TRANSFER_USERPTR,
	TRANSFER_MMAP,
	TRANSFER_LIBV4L2,
};

struct buffer {
	uint32_t slot; /* USERPTR: the slot that is queued under this index */
	bool queued;   /* the driver has it */
	uint8_t *data; /* MMAP: NULL if not mapped */
	size_t size;
};

struct source_v4l2 {
	struct source source;
	const struct options *options;
	char *path;
	bool userptr_refused; /* a slot was refused: copy from now on */

	/* From open() to close(): */
	struct v4l2_device device;
	struct v4l2_choice choice;
	struct format_layout layout;
	bool compressed, jpeg;
	enum transfer transfer;
	uint32_t slots_needed;

	/* From start() to stop(): */
	struct source_slots slots;
	struct buffer buffers[BUFFERS_MAX];
	uint32_t buffer_count;
	struct slot_queue waiting; /* slots that were given and are not queued in the driver */
	uint32_t given;            /* slots since start() */
	bool streaming;
	struct sequence sequence;
	uint32_t lost; /* frames since the last good one */
};

static struct source_v4l2 *get(struct source *source)
{
	return (struct source_v4l2 *)source;
}

static uint32_t memory_of(const struct source_v4l2 *v4l2)
{
	return v4l2->transfer == TRANSFER_USERPTR ? V4L2_MEMORY_USERPTR : V4L2_MEMORY_MMAP;
}

/* Asks for count buffers (0: gives them back). *ret_count is what the driver made of it. */
static int request_buffers(
	const struct source_v4l2 *v4l2, uint32_t memory, uint32_t count, uint32_t *ret_count)
{
	struct v4l2_requestbuffers request = {
		.count = count, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = memory};
	int r = v4l2_device_ioctl(&v4l2->device, VIDIOC_REQBUFS, &request);

	if (r == 0 && ret_count != NULL)
		*ret_count = request.count;
	return r;
}

static int queue_userptr(
	const struct source_v4l2 *v4l2, uint32_t index, const uint8_t *data, uint32_t size)
{
	struct v4l2_buffer buffer = {.index = index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_USERPTR,
		.length = size};

	buffer.m.userptr = (unsigned long)data;
	return v4l2_device_ioctl(&v4l2->device, VIDIOC_QBUF, &buffer);
}

static int queue_mmap(const struct source_v4l2 *v4l2, uint32_t index)
{
	struct v4l2_buffer buffer = {
		.index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};

	return v4l2_device_ioctl(&v4l2->device, VIDIOC_QBUF, &buffer);
}

/* ---- create, destroy ---- */

static int capture_create(const struct options *options, const char *argument,
	struct source **ret_source, char error[SOURCE_TEXT_SIZE])
{
	struct source_v4l2 *v4l2;

	if (argument[0] != '/') {
		snprintf(error, SOURCE_TEXT_SIZE,
			"v4l2: needs the path of a device, such as v4l2:/dev/video0");
		return -EINVAL;
	}
	if (options->rate_unpaced) {
		snprintf(error, SOURCE_TEXT_SIZE,
			"rate 0 is for the pattern and for recordings: %s is a device", argument);
		return -EINVAL;
	}
	v4l2 = calloc(1, sizeof *v4l2);
	if (v4l2 == NULL)
		goto no_memory;
	v4l2->path = strdup(argument);
	if (v4l2->path == NULL)
		goto no_memory;
	v4l2->source.ops = &source_v4l2;
	v4l2->options = options;
	v4l2->device.fd = -1;
	v4l2->device.path = v4l2->path;
	v4l2->device.source = &v4l2->source;
	*ret_source = &v4l2->source;
	return 0;

no_memory:
	free(v4l2);
	snprintf(error, SOURCE_TEXT_SIZE, "out of memory");
	return -ENOMEM;
}

static void capture_destroy(struct source *source)
{
	struct source_v4l2 *v4l2 = get(source);

	free(v4l2->path);
	free(v4l2);
}

/* ---- open, close ---- */

/* Opens the device with or without libv4l2's conversion, as format and --memory need it. */
static int open_device(struct source_v4l2 *v4l2)
{
	const struct options *options = v4l2->options;
	struct v4l2_device *device = &v4l2->device;
	char name[FORMAT_TEXT_SIZE];
	int r;

	r = v4l2_device_open(device, options->memory == OPTIONS_MEMORY_LIBV4L2);
	if (r < 0)
		return r;
	if (options->fourcc == 0 || device->conversion ||
		v4l2_format_offered(device, options->fourcc))
		return 0;
	v4l2_device_close(device);
	r = v4l2_device_open(device, true);
	if (r < 0)
		return r;
	if (options->memory == OPTIONS_MEMORY_AUTO || !v4l2_format_offered(device, options->fourcc))
		return 0; /* negotiation will say what there is */
	format_print(options->fourcc, name);
	v4l2_device_close(device);
	return source_fail(&v4l2->source, -EINVAL,
		"%s has %s only by libv4l2's conversion: use --memory auto or libv4l2", v4l2->path,
		name);
}

/* Where the planes of a frame will be. */
static int lay_out(struct source_v4l2 *v4l2)
{
	const struct v4l2_pix_format *pix = &v4l2->choice.pix;
	const struct format_info *info = format_find(pix->pixelformat);
	int r;

	v4l2->compressed = info->flags & FORMAT_COMPRESSED;
	v4l2->jpeg =
		pix->pixelformat == V4L2_PIX_FMT_MJPEG || pix->pixelformat == V4L2_PIX_FMT_JPEG;
	r = format_layout_init(
		pix->pixelformat, pix->width, pix->height, pix->bytesperline, &v4l2->layout);
	if (r < 0)
		return source_fail(&v4l2->source, r,
			"%s: the driver's format cannot be right: %ux%u with %u bytes per line: %s",
			v4l2->path, pix->width, pix->height, pix->bytesperline, strerror(-r));
	if (pix->sizeimage > FORMAT_SIZE_MAX ||
		(!v4l2->compressed && pix->sizeimage < v4l2->layout.size))
		return source_fail(&v4l2->source, -EINVAL,
			"%s: the driver's format cannot be right: frames of %u bytes where %u are "
			"needed",
			v4l2->path, pix->sizeimage, v4l2->layout.size);
	return 0;
}

static uint32_t frame_size(const struct source_v4l2 *v4l2)
{
	uint32_t size = v4l2->choice.pix.sizeimage;

	return size != 0 ? size : v4l2->layout.size;
}

/* Does the driver take memory like the pool's? 0, or its error. *ret_least is the least number of
 * buffers that it works with (REQBUFS raises the number to that). */
static int try_userptr(const struct source_v4l2 *v4l2, uint32_t *ret_least)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t size = (uint32_t)((frame_size(v4l2) + page - 1) / page * page);
	uint8_t *data;
	int fd, r;

	fd = memfd_create("camtap-probe", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size) < 0) {
		r = -errno;
		goto close_fd;
	}
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED) {
		r = -errno;
		goto close_fd;
	}
	r = request_buffers(v4l2, V4L2_MEMORY_USERPTR, 1, ret_least);
	if (r == 0) {
		r = queue_userptr(v4l2, 0, data, size);
		(void)request_buffers(v4l2, V4L2_MEMORY_USERPTR, 0, NULL);
	}

	munmap(data, size);
close_fd:
	close(fd);
	return r;
}

/* Chooses the transfer, and how many slots it needs. */
static int choose_transfer(struct source_v4l2 *v4l2)
{
	enum options_memory memory = v4l2->options->memory;
	struct v4l2_control minimum = {.id = V4L2_CID_MIN_BUFFERS_FOR_CAPTURE};
	uint32_t least = 0;
	int r;

	v4l2->slots_needed = 1; /* for copies */
	if (v4l2->device.conversion) {
		v4l2->transfer = TRANSFER_LIBV4L2;
		return 0;
	}
	v4l2->transfer = TRANSFER_MMAP;
	if (memory == OPTIONS_MEMORY_COPY ||
		(memory == OPTIONS_MEMORY_AUTO && v4l2->userptr_refused))
		return 0;

	r = try_userptr(v4l2, &least);
	if (r == -EBUSY || r == -ENODEV)
		return v4l2_device_fail(&v4l2->device, r, "asking for buffers");
	if (r < 0 && memory == OPTIONS_MEMORY_USERPTR)
		return source_fail(&v4l2->source, r,
			"%s: its driver cannot write into the pool (USERPTR: %s): use --memory "
			"auto "
			"or copy",
			v4l2->path, strerror(-r));
	if (r < 0)
		return 0;
	v4l2->transfer = TRANSFER_USERPTR;
	v4l2->slots_needed = least > 2 ? least : 2;
	if (v4l2_device_ioctl(&v4l2->device, VIDIOC_G_CTRL, &minimum) == 0 && minimum.value >= 0 &&
		(uint32_t)minimum.value + 1 > v4l2->slots_needed)
		v4l2->slots_needed = (uint32_t)minimum.value + 1;
	return 0;
}

static int capture_open(struct source *source, struct source_format *ret_format)
{
	static const char *const transfers[] = {
		[TRANSFER_USERPTR] = "zero-copy (USERPTR)",
		[TRANSFER_MMAP] = "one copy (MMAP)",
		[TRANSFER_LIBV4L2] = "libv4l2 conversion (MMAP)",
	};
	struct source_v4l2 *v4l2 = get(source);
	const struct v4l2_pix_format *pix = &v4l2->choice.pix;
	struct source_format format = {0};
	int r;

	r = open_device(v4l2);
	if (r < 0)
		return r;
	r = v4l2_format_negotiate(&v4l2->device, v4l2->options, &v4l2->choice);
	if (r < 0)
		goto close_device;
	r = lay_out(v4l2);
	if (r < 0)
		goto close_device;
	r = choose_transfer(v4l2);
	if (r < 0)
		goto close_device;

	format.format.fourcc = pix->pixelformat;
	format.format.width = pix->width;
	format.format.height = pix->height;
	format.format.field = pix->field;
	format.format.colorspace = pix->colorspace;
	format.format.ycbcr_enc = pix->ycbcr_enc;
	format.format.quantization = pix->quantization;
	format.format.xfer_func = pix->xfer_func;
	format.format.rate_numerator = v4l2->choice.rate_numerator;
	format.format.rate_denominator = v4l2->choice.rate_denominator;
	format.format.frame_size = frame_size(v4l2);
	format.format.plane_count = v4l2->layout.plane_count;
	for (uint32_t i = 0; i < v4l2->layout.plane_count; i++) {
		format.format.planes[i].offset = v4l2->layout.planes[i].offset;
		format.format.planes[i].stride = v4l2->layout.planes[i].stride;
	}
	format.slots_needed = v4l2->slots_needed;
	format.transfer = transfers[v4l2->transfer];
	*ret_format = format;
	return 0;

close_device:
	v4l2_device_close(&v4l2->device);
	return r;
}

static void capture_close(struct source *source)
{
	v4l2_device_close(&get(source)->device);
}

/* ---- start, stop ---- */

static void unmap_buffers(struct source_v4l2 *v4l2)
{
	for (uint32_t i = 0; i < v4l2->buffer_count; i++)
		if (v4l2->buffers[i].data != NULL)
			v4l2_munmap(v4l2->buffers[i].data, v4l2->buffers[i].size);
}

static int map_buffer(struct source_v4l2 *v4l2, uint32_t index)
{
	struct buffer *own = &v4l2->buffers[index];
	struct v4l2_buffer buffer = {
		.index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
	void *data;
	int r;

	r = v4l2_device_ioctl(&v4l2->device, VIDIOC_QUERYBUF, &buffer);
	if (r < 0)
		return r;
	data = v4l2_mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, v4l2->device.fd,
		buffer.m.offset);
	if (data == MAP_FAILED)
		return -errno;
	own->data = data;
	own->size = buffer.length;
	r = queue_mmap(v4l2, index);
	own->queued = r == 0;
	return r;
}

static int capture_start(struct source *source, const struct source_slots *slots)
{
	struct source_v4l2 *v4l2 = get(source);
	uint32_t count = v4l2->transfer == TRANSFER_USERPTR ? slots->count : COPY_BUFFER_COUNT;
	int r;

	v4l2->slots = *slots;
	memset(v4l2->buffers, 0, sizeof v4l2->buffers);
	v4l2->buffer_count = 0;
	slot_queue_clear(&v4l2->waiting);
	v4l2->given = 0;
	v4l2->streaming = false;
	v4l2->sequence = (struct sequence){0};
	v4l2->lost = 0;

	r = request_buffers(v4l2, memory_of(v4l2), count, &count);
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "asking for buffers");
	v4l2->buffer_count = count < BUFFERS_MAX ? count : BUFFERS_MAX;
	if (v4l2->transfer == TRANSFER_USERPTR && v4l2->buffer_count < v4l2->slots_needed) {
		r = source_fail(source, -ENOMEM, "%s: the driver has only %u buffers", v4l2->path,
			v4l2->buffer_count);
		goto free_buffers;
	}
	if (v4l2->transfer == TRANSFER_USERPTR)
		return 0;
	for (uint32_t i = 0; i < v4l2->buffer_count; i++) {
		r = map_buffer(v4l2, i);
		if (r < 0) {
			v4l2_device_fail(&v4l2->device, r, "mapping its buffers");
			goto free_buffers;
		}
	}
	return 0;

free_buffers:
	unmap_buffers(v4l2);
	(void)request_buffers(v4l2, memory_of(v4l2), 0, NULL);
	v4l2->buffer_count = 0;
	return r;
}

static void capture_stop(struct source *source)
{
	struct source_v4l2 *v4l2 = get(source);
	enum v4l2_buf_type type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

	/* An unplugged device gives errors here, and closing it settles everything. */
	if (v4l2->streaming)
		(void)v4l2_device_ioctl(&v4l2->device, VIDIOC_STREAMOFF, &type);
	v4l2->streaming = false;
	unmap_buffers(v4l2);
	(void)request_buffers(v4l2, memory_of(v4l2), 0, NULL);
	v4l2->buffer_count = 0;
}

static int stream_on(struct source_v4l2 *v4l2)
{
	enum v4l2_buf_type type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	int r;

	r = v4l2_device_ioctl(&v4l2->device, VIDIOC_STREAMON, &type);
	if (r == -ENOSPC)
		return source_fail(&v4l2->source, r,
			"%s: not enough USB bandwidth for %ux%u at this rate: plug it into another "
			"USB bus, stop other cameras, or use a smaller --size, a lower --rate or "
			"--pixel-format MJPG",
			v4l2->path, v4l2->choice.pix.width, v4l2->choice.pix.height);
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "starting the stream");
	v4l2->streaming = true;
	return 0;
}

/* ---- give, wait, take ---- */

/* The driver's buffer for a slot; buffer_count if there is none free. */
static uint32_t buffer_for(const struct source_v4l2 *v4l2, uint32_t slot)
{
	uint32_t index;

	if (v4l2->buffer_count >= v4l2->slots.count)
		return slot;
	for (index = 0; index < v4l2->buffer_count; index++)
		if (!v4l2->buffers[index].queued)
			break;
	return index;
}

/* Queues the slots that were given, as far as the driver has buffers for them. */
static int queue_slots(struct source_v4l2 *v4l2)
{
	while (v4l2->waiting.count > 0) {
		uint32_t slot = slot_queue_first(&v4l2->waiting);
		uint32_t index = buffer_for(v4l2, slot);
		int r;

		if (index >= v4l2->buffer_count)
			return 0;
		r = queue_userptr(v4l2, index, v4l2->slots.slots[slot], v4l2->slots.size);
		if (r == -EINVAL || r == -EFAULT || r == -ENOMEM) {
			v4l2->userptr_refused = true;
			return source_fail(&v4l2->source, r,
				"%s: its driver cannot write into the pool (USERPTR: %s)%s",
				v4l2->path, strerror(-r),
				v4l2->options->memory == OPTIONS_MEMORY_AUTO
					? "; frames will be copied"
					: ": use --memory auto or copy");
		}
		if (r < 0)
			return v4l2_device_fail(&v4l2->device, r, "queueing a buffer");
		(void)slot_queue_pop(&v4l2->waiting);
		v4l2->buffers[index].slot = slot;
		v4l2->buffers[index].queued = true;
	}
	return 0;
}

static int capture_give(struct source *source, uint32_t slot)
{
	struct source_v4l2 *v4l2 = get(source);
	int r;

	slot_queue_push(&v4l2->waiting, slot);
	if (v4l2->given < v4l2->slots_needed)
		v4l2->given++;
	if (v4l2->transfer == TRANSFER_USERPTR) {
		r = queue_slots(v4l2);
		if (r < 0)
			return r;
	}
	/* not before: a driver without a buffer drops its first frames, or refuses */
	return v4l2->streaming || v4l2->given < v4l2->slots_needed ? 0 : stream_on(v4l2);
}

/* Is there a slot for the next frame? */
static bool has_room(const struct source_v4l2 *v4l2)
{
	return v4l2->transfer == TRANSFER_USERPTR || v4l2->waiting.count > 0;
}

static void capture_wait(const struct source *source, struct source_wait *ret_wait)
{
	const struct source_v4l2 *v4l2 = (const struct source_v4l2 *)source;

	ret_wait->deadline_ns = INT64_MAX;
	ret_wait->fd = v4l2->streaming ? v4l2->device.fd : -1;
	/* a frame that waits for a slot must not wake anybody; errors always do */
	ret_wait->events = has_room(v4l2) ? POLLIN : 0;
}

static bool is_broken(const struct source_v4l2 *v4l2)
{
	struct pollfd pollfd = {.fd = v4l2->device.fd, .events = POLLIN};

	return poll(&pollfd, 1, 0) > 0 && pollfd.revents & (POLLERR | POLLHUP | POLLNVAL);
}

/* There is no frame: because none has come, or because none can come any more? */
static int nothing_yet(struct source_v4l2 *v4l2)
{
	struct v4l2_capability capability;
	int r;

	if (!v4l2->streaming || !is_broken(v4l2))
		return SOURCE_TRY_AGAIN;
	r = v4l2_device_ioctl(&v4l2->device, VIDIOC_QUERYCAP, &capability);
	return v4l2_device_fail(&v4l2->device, r < 0 ? r : -EIO, "capturing");
}

static void describe(const struct v4l2_buffer *buffer, struct source_frame *frame)
{
	uint32_t clock = buffer->flags & V4L2_BUF_FLAG_TIMESTAMP_MASK;

	frame->sequence = buffer->sequence;
	frame->field = buffer->field;
	frame->capture_time_ns =
		buffer->timestamp.tv_sec * NSEC_PER_SEC + buffer->timestamp.tv_usec * 1000;
	frame->capture_clock = clock == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC ? POOL_CLOCK_MONOTONIC
			       : clock == V4L2_BUF_FLAG_TIMESTAMP_COPY    ? POOL_CLOCK_COPY
									  : POOL_CLOCK_UNKNOWN;
	if ((buffer->flags & V4L2_BUF_FLAG_TSTAMP_SRC_MASK) == V4L2_BUF_FLAG_TSTAMP_SRC_SOE)
		frame->flags |= POOL_FRAME_TIMESTAMP_SOE;
	if (buffer->flags & V4L2_BUF_FLAG_KEYFRAME)
		frame->flags |= POOL_FRAME_KEYFRAME;
	frame->media_time_ns = -1;
}

/* How many bytes of the driver's belong to the frame; 0: it is damaged. */
static uint32_t whole_bytes(const struct source_v4l2 *v4l2, const struct v4l2_buffer *buffer)
{
	const struct buffer *own = &v4l2->buffers[buffer->index];

	if (buffer->flags & V4L2_BUF_FLAG_ERROR || buffer->bytesused > v4l2->slots.size)
		return 0;
	if (v4l2->transfer != TRANSFER_USERPTR && buffer->bytesused > own->size)
		return 0;
	if (v4l2->compressed)
		return buffer->bytesused;
	return buffer->bytesused >= v4l2->layout.size ? v4l2->layout.size : 0;
}

/* A JPEG's own length, without what the driver left behind it; 0: it is damaged. */
static uint32_t jpeg_bytes(const struct source_v4l2 *v4l2, uint32_t slot, uint32_t bytesused)
{
	const struct v4l2_pix_format *pix = &v4l2->choice.pix;
	struct jpeg_image image;

	if (jpeg_check(v4l2->slots.slots[slot], bytesused, pix->width, pix->height, &image) !=
		JPEG_CHECK_GOOD)
		return 0;
	return (uint32_t)image.length;
}

/* Finds the slot of a frame that came out of the driver, and brings the frame into it. */
static int fill_slot(struct source_v4l2 *v4l2, const struct v4l2_buffer *buffer, uint32_t bytesused,
	uint32_t *ret_slot)
{
	struct buffer *own = &v4l2->buffers[buffer->index];
	int r;

	if (v4l2->transfer == TRANSFER_USERPTR) {
		*ret_slot = own->slot;
		own->queued = false;
		/* a slot that found no free index has one now */
		return queue_slots(v4l2);
	}
	*ret_slot = slot_queue_pop(&v4l2->waiting);
	memcpy(v4l2->slots.slots[*ret_slot], own->data, bytesused);
	r = queue_mmap(v4l2, buffer->index);
	return r < 0 ? v4l2_device_fail(&v4l2->device, r, "queueing a buffer") : 0;
}

static int capture_take(struct source *source, struct source_frame *ret_frame)
{
	struct source_v4l2 *v4l2 = get(source);
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = memory_of(v4l2)};
	struct source_frame frame = {0};
	uint32_t bytesused;
	int r;

	if (!v4l2->streaming || !has_room(v4l2))
		return nothing_yet(v4l2);
	r = v4l2_device_ioctl(&v4l2->device, VIDIOC_DQBUF, &buffer);
	if (r == -EAGAIN)
		return nothing_yet(v4l2);
	if (r == -EIO && v4l2->transfer == TRANSFER_LIBV4L2 && !is_broken(v4l2)) {
		/* What it could not decode is the driver's again, and its number is not known. */
		if (v4l2->sequence.started)
			v4l2->lost += sequence_advance(&v4l2->sequence, v4l2->sequence.last + 1);
		frame.slot = slot_queue_pop(&v4l2->waiting);
		*ret_frame = frame;
		return SOURCE_CORRUPT;
	}
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "capturing");
	if (buffer.index >= v4l2->buffer_count || !v4l2->buffers[buffer.index].queued)
		return source_fail(source, -EIO,
			"%s: the driver gave back buffer %u, which it had not", v4l2->path,
			buffer.index);

	v4l2->lost += sequence_advance(&v4l2->sequence, buffer.sequence);
	bytesused = whole_bytes(v4l2, &buffer);
	r = fill_slot(v4l2, &buffer, bytesused, &frame.slot);
	if (r < 0)
		return r;
	if (bytesused > 0 && v4l2->jpeg)
		bytesused = jpeg_bytes(v4l2, frame.slot, bytesused);
	if (bytesused == 0) {
		*ret_frame = frame;
		return SOURCE_CORRUPT;
	}
	describe(&buffer, &frame);
	frame.bytesused = bytesused;
	frame.lost = v4l2->lost;
	v4l2->lost = 0;
	*ret_frame = frame;
	return SOURCE_FRAME;
}

const struct source_ops source_v4l2 = {
	.name = "v4l2",
	.live = true,
	.restartable = true,
	.open_early = true,
	.create = capture_create,
	.open = capture_open,
	.start = capture_start,
	.give = capture_give,
	.wait = capture_wait,
	.take = capture_take,
	.stop = capture_stop,
	.close = capture_close,
	.destroy = capture_destroy,
};
