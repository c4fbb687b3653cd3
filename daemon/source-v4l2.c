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
 *   DMABUF   only if the administrator wants it: the driver's own buffers are the slots, exported
 * from open() to close(), and beyond that to whoever holds them (vb2 calls that orphaned). They are
 *            looked at here, if at all, through the driver's mapping: DQBUF has put the caches in
 * order, and DMA_BUF_IOCTL_SYNC would wait for fences, which clients can add.
 *
 * Whether a driver takes USERPTR is found out when the device is opened, with one page-aligned
 * memfd buffer like those of the pool: REQBUFS says EINVAL to some, others fail only when memory is
 * queued (no IOMMU: it would have to be contiguous). A driver that takes that one and refuses a
 * slot later is remembered, and copied from after the reopening that follows.
 */

#include "source.h"

#include "clock.h"
#include "controls.h"
#include "device-watch.h"
#include "format.h"
#include "jpeg-scan.h"
#include "log.h"
#include "options.h"
#include "sequence.h"
#include "slot-queue.h"
#include "source-v4l2-device.h"
#include "source-v4l2-format.h"
#include "source-v4l2-identity.h"
#include "source-v4l2-input.h"
#include "source-v4l2-layout.h"
#include "source-v4l2-queue.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BUFFER_COUNT 4 /* the driver's own buffers: what it can fill while nobody copies */

_Static_assert(V4L2_QUEUE_BUFFERS_MAX >= POOL_SLOTS_MAX,
	"a buffer for each slot, if the driver has as many");
_Static_assert((int)FORMAT_PLANES_MAX <= POOL_PLANES_MAX, "a frame's planes fit into a slot's");

enum transfer {
	TRANSFER_USERPTR,
	TRANSFER_MMAP,
	TRANSFER_LIBV4L2,
	TRANSFER_DMABUF,
};

struct source_v4l2 {
	struct source source;
	const struct options *options;
	struct v4l2_identity identity;
	struct device_watch watch; /* while it is away */
	/* It has taken slots and filled them: what it refuses later is a fault, and no reason to
	 * copy. */
	bool userptr_proven;
	bool userptr_refused; /* a slot was refused before that: copy from now on */

	/* From open() to close(): */
	struct v4l2_device device;
	struct v4l2_choice choice;
	struct v4l2_choice told; /* the last choice that the log has explained */
	struct v4l2_layout layout;
	bool jpeg;
	enum transfer transfer;
	uint32_t slots_needed;

	/* From start() to stop(): */
	struct source_slots slots;
	struct v4l2_queue queue;                  /* DMABUF: from export() to close() */
	uint32_t slot_of[V4L2_QUEUE_BUFFERS_MAX]; /* what is queued under this index, if not copied
						   */
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

/* Does the driver write where the readers read? */
static bool is_zero_copy(const struct source_v4l2 *v4l2)
{
	return v4l2->transfer == TRANSFER_USERPTR || v4l2->transfer == TRANSFER_DMABUF;
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
	if (v4l2 == NULL || v4l2_identity_init(&v4l2->identity, argument) < 0) {
		free(v4l2);
		snprintf(error, SOURCE_TEXT_SIZE, "out of memory");
		return -ENOMEM;
	}
	v4l2->source.ops = &source_v4l2;
	v4l2->source.exports = options->memory == OPTIONS_MEMORY_DMABUF;
	v4l2->options = options;
	v4l2->watch = DEVICE_WATCH_NONE;
	v4l2->device.fd = -1;
	v4l2->device.path = v4l2->identity.path;
	v4l2->device.source = &v4l2->source;
	*ret_source = &v4l2->source;
	return 0;
}

static void capture_destroy(struct source *source)
{
	struct source_v4l2 *v4l2 = get(source);

	device_watch_end(&v4l2->watch);
	v4l2_identity_finish(&v4l2->identity);
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
		v4l2_format_offered(device, options->fourcc) || v4l2_device_is_multiplanar(device))
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
		"%s has %s only by libv4l2's conversion: use --memory auto or libv4l2",
		device->path, name);
}

/* Opens the camera that is meant, at the node where it is now. */
static int find_and_open(struct source_v4l2 *v4l2)
{
	const char *path = v4l2_identity_find(&v4l2->identity);
	struct stat status;
	int r;

	v4l2->device.path = path != NULL ? path : v4l2->identity.path;
	if (path == NULL && access(v4l2->identity.path, F_OK) == 0)
		return source_fail(&v4l2->source, -ENODEV,
			"%s is another camera now: waiting for the one that was there to come back "
			"to %s (restart camtapd to use this one)",
			v4l2->identity.path, v4l2->identity.by_path);
	r = open_device(v4l2);
	if (r < 0)
		return r;
	if (fstat(v4l2->device.fd, &status) == 0)
		v4l2_identity_remember(&v4l2->identity, status.st_rdev);
	v4l2->device.path = v4l2->identity.path; /* what the administrator knows it by */
	return 0;
}

static int format_is_wrong(struct source_v4l2 *v4l2, int error, uint32_t plane)
{
	return source_fail(&v4l2->source, error,
		"%s: the driver's format cannot be right: %ux%u in %u memory planes, plane %u with "
		"%u bytes per line and %u bytes",
		v4l2->device.path, v4l2->choice.width, v4l2->choice.height,
		v4l2->choice.memory_plane_count, plane,
		v4l2->choice.memory_planes[plane].bytesperline,
		v4l2->choice.memory_planes[plane].sizeimage);
}

static int lay_out(struct source_v4l2 *v4l2)
{
	struct v4l2_choice *choice = &v4l2->choice;
	uint32_t plane;
	int r = v4l2_layout_init(&v4l2->layout, choice, v4l2->source.exports, &plane);

	v4l2->jpeg = choice->fourcc == V4L2_PIX_FMT_MJPEG || choice->fourcc == V4L2_PIX_FMT_JPEG;
	return r < 0 ? format_is_wrong(v4l2, r, plane) : 0;
}

/* Gives memory for a frame, laid out as a slot is, to the driver. */
static int queue_userptr(
	const struct source_v4l2 *v4l2, struct v4l2_queue *queue, uint32_t index, uint8_t *data)
{
	struct v4l2_queue_memory memory[FORMAT_PLANES_MAX];

	for (uint32_t i = 0; i < queue->plane_count; i++)
		memory[i] = (struct v4l2_queue_memory){
			.data = data + v4l2->layout.memory_planes[i].offset,
			.size = v4l2->layout.memory_planes[i].size};
	return v4l2_queue_give(queue, index, memory);
}

/* Does the driver take memory like the pool's? 0, or its error. *ret_least is the least number of
 * buffers that it works with (REQBUFS raises the number to that). */
static int try_userptr(const struct source_v4l2 *v4l2, uint32_t *ret_least)
{
	uint32_t last = v4l2->choice.memory_plane_count - 1;
	size_t size = (size_t)v4l2->layout.memory_planes[last].offset +
		      v4l2->layout.memory_planes[last].size;
	struct v4l2_queue queue;
	uint8_t *data;
	int fd, r;

	fd = memfd_create("camtap-probe", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0) {
		r = -errno;
		goto close_fd;
	}
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED) {
		r = -errno;
		goto close_fd;
	}
	r = v4l2_queue_init(
		&queue, &v4l2->device, V4L2_MEMORY_USERPTR, v4l2->choice.memory_plane_count, 1);
	if (r == 0) {
		*ret_least = queue.count;
		r = queue_userptr(v4l2, &queue, 0, data);
		v4l2_queue_finish(&queue);
	}

	munmap(data, size);
close_fd:
	close(fd);
	return r;
}

/* Does the driver export its buffers? 0, or its error. *ret_least as above. */
static int try_export(const struct source_v4l2 *v4l2, uint32_t *ret_least)
{
	struct slot_buffer buffer;
	struct v4l2_queue queue;
	int r;

	r = v4l2_queue_init(
		&queue, &v4l2->device, V4L2_MEMORY_MMAP, v4l2->choice.memory_plane_count, 1);
	if (r < 0)
		return r;
	*ret_least = queue.count;
	r = v4l2_queue_export(&queue, 1, &buffer);
	if (r == 0)
		slot_buffers_close(&buffer, 1);
	v4l2_queue_finish(&queue);
	return r;
}

/* How many slots a driver needs that fills them itself, and says that it works with `least`. */
static uint32_t count_needed(const struct source_v4l2 *v4l2, uint32_t least)
{
	struct v4l2_control minimum = {.id = V4L2_CID_MIN_BUFFERS_FOR_CAPTURE};
	uint32_t needed = least > 2 ? least : 2;

	if (v4l2_device_ioctl(&v4l2->device, VIDIOC_G_CTRL, &minimum) == 0 && minimum.value >= 0 &&
		(uint32_t)minimum.value + 1 > needed)
		needed = (uint32_t)minimum.value + 1;
	return needed;
}

static int choose_export(struct source_v4l2 *v4l2)
{
	uint32_t least;
	int r = try_export(v4l2, &least);

	if (r == -EBUSY || r == -ENODEV)
		return v4l2_device_fail(&v4l2->device, r, "asking for buffers");
	if (r < 0)
		return source_fail(&v4l2->source, r,
			"%s: its driver does not share its buffers (EXPBUF: %s): use --memory auto",
			v4l2->device.path, strerror(-r));
	v4l2->transfer = TRANSFER_DMABUF;
	v4l2->slots_needed = count_needed(v4l2, least);
	return 0;
}

/* Chooses the transfer, and how many slots it needs. */
static int choose_transfer(struct source_v4l2 *v4l2)
{
	enum options_memory memory = v4l2->options->memory;
	uint32_t least = 0;
	int r;

	v4l2->slots_needed = 1; /* for copies */
	if (v4l2->device.conversion) {
		v4l2->transfer = TRANSFER_LIBV4L2;
		return 0;
	}
	v4l2->transfer = TRANSFER_MMAP;
	if (memory == OPTIONS_MEMORY_LIBV4L2)
		return source_fail(&v4l2->source, -EINVAL,
			"%s: libv4l2 converts nothing for multi-planar devices: use --memory auto",
			v4l2->device.path);
	if (memory == OPTIONS_MEMORY_DMABUF)
		return choose_export(v4l2);
	if (memory == OPTIONS_MEMORY_COPY ||
		(memory == OPTIONS_MEMORY_AUTO && v4l2->userptr_refused))
		return 0;

	r = try_userptr(v4l2, &least);
	if (r == -EBUSY || r == -ENODEV)
		return v4l2_device_fail(&v4l2->device, r, "asking for buffers");
	if (r < 0 && memory == OPTIONS_MEMORY_USERPTR)
		return source_fail(&v4l2->source, r,
			"%s: its driver cannot write into the pool (USERPTR: %s): use --memory "
			"auto or copy",
			v4l2->device.path, strerror(-r));
	if (r < 0)
		return 0;
	v4l2->transfer = TRANSFER_USERPTR;
	v4l2->slots_needed = count_needed(v4l2, least);
	return 0;
}

static void describe_format(const struct source_v4l2 *v4l2, struct source_format *ret_format)
{
	static const char *const transfers[] = {
		[TRANSFER_USERPTR] = "zero-copy (USERPTR)",
		[TRANSFER_MMAP] = "one copy (MMAP)",
		[TRANSFER_LIBV4L2] = "libv4l2 conversion (MMAP)",
		[TRANSFER_DMABUF] = "zero-copy (dma-buf)",
	};
	const struct v4l2_choice *choice = &v4l2->choice;
	struct pool_format *format = &ret_format->format;

	*ret_format = (struct source_format){.slots_needed = v4l2->slots_needed,
		.transfer = transfers[v4l2->transfer],
		.buffer_max = v4l2->transfer == TRANSFER_DMABUF ? VIDEO_MAX_FRAME : 0};
	format->fourcc = choice->fourcc;
	format->width = choice->width;
	format->height = choice->height;
	format->field = choice->field;
	format->colorspace = choice->colorspace;
	format->ycbcr_enc = choice->ycbcr_enc;
	format->quantization = choice->quantization;
	format->xfer_func = choice->xfer_func;
	format->rate_numerator = choice->rate_numerator;
	format->rate_denominator = choice->rate_denominator;
	format->frame_size = v4l2->layout.frame_size;
	format->plane_count = v4l2->layout.frame.plane_count;
	for (uint32_t i = 0; i < v4l2->layout.frame.plane_count; i++) {
		format->planes[i].offset = v4l2->layout.frame.planes[i].offset;
		format->planes[i].stride = v4l2->layout.frame.planes[i].stride;
	}
}

static int capture_open(struct source *source, struct source_format *ret_format)
{
	struct source_v4l2 *v4l2 = get(source);
	int r;

	/* before looking: what comes after this will be seen */
	device_watch_begin(&v4l2->watch, v4l2->identity.path);
	if (v4l2->identity.by_path != NULL)
		device_watch_begin(&v4l2->watch, v4l2->identity.by_path);
	r = find_and_open(v4l2);
	if (r < 0)
		return r;
	r = v4l2_input_follow_signal(&v4l2->device);
	if (r < 0)
		goto close_device;
	r = v4l2_format_negotiate(&v4l2->device, v4l2->options, &v4l2->choice);
	if (r < 0)
		goto close_device;
	r = lay_out(v4l2);
	if (r < 0)
		goto close_device;
	r = choose_transfer(v4l2);
	if (r < 0)
		goto close_device;
	device_watch_end(&v4l2->watch); /* it is here */
	controls_apply(source->controls, &v4l2->device);
	describe_format(v4l2, ret_format);
	return 0;

close_device:
	v4l2_device_close(&v4l2->device);
	return r;
}

static int capture_export(
	struct source *source, uint32_t count, struct slot_buffer ret_buffers[POOL_SLOTS_MAX])
{
	struct source_v4l2 *v4l2 = get(source);
	int r;

	r = v4l2_queue_init(&v4l2->queue, &v4l2->device, V4L2_MEMORY_MMAP,
		v4l2->choice.memory_plane_count, count);
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "asking for buffers");
	if (count > v4l2->queue.count)
		count = v4l2->queue.count;
	r = v4l2->jpeg ? v4l2_queue_map(&v4l2->queue) : 0; /* to look at them */
	if (r == 0)
		r = v4l2_queue_export(&v4l2->queue, count, ret_buffers);
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "sharing its buffers");
	return (int)count;
}

static void capture_close(struct source *source)
{
	struct source_v4l2 *v4l2 = get(source);

	if (v4l2->transfer == TRANSFER_DMABUF)
		v4l2_queue_finish(&v4l2->queue);
	v4l2_device_close(&v4l2->device);
}

static const char *capture_controls_path(const struct source *source)
{
	return ((const struct source_v4l2 *)source)->identity.path;
}

static int capture_watch(const struct source *source)
{
	return ((const struct source_v4l2 *)source)->watch.fd;
}

/* ---- start, stop ---- */

static int queue_mapped_buffers(struct source_v4l2 *v4l2)
{
	struct v4l2_queue *queue = &v4l2->queue;
	int r;

	r = v4l2_queue_map(queue);
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "mapping its buffers");
	for (uint32_t i = 0; i < queue->count; i++) {
		r = v4l2_queue_give(queue, i, NULL);
		if (r < 0)
			return v4l2_device_fail(&v4l2->device, r, "queueing a buffer");
	}
	return 0;
}

/* What was left out was chosen: says so, and how to choose otherwise. */
static void explain_choice(struct source_v4l2 *v4l2)
{
	const struct options *options = v4l2->options;
	const struct v4l2_choice *choice = &v4l2->choice;
	char name[FORMAT_TEXT_SIZE], rate[48] = "";

	if ((options->fourcc != 0 && options->width != 0 && options->rate_numerator != 0) ||
		memcmp(&v4l2->told, choice, sizeof *choice) == 0)
		return;
	v4l2->told = *choice;
	format_print(choice->fourcc, name);
	if (choice->rate_denominator != 0)
		snprintf(rate, sizeof rate, " at %.6g frames per second",
			(double)choice->rate_numerator / choice->rate_denominator);
	log_event(LOG_INFO, &(struct log_fields){.camera = options->name},
		"%s: %s %ux%u%s: the largest picture with at least %d frames per second that fits "
		"what was asked for (`camtap list --formats` shows what there is)",
		v4l2->device.path, name, choice->width, choice->height, rate,
		V4L2_FORMAT_ENOUGH_RATE);
}

static int capture_start(struct source *source, const struct source_slots *slots)
{
	struct source_v4l2 *v4l2 = get(source);
	bool userptr = v4l2->transfer == TRANSFER_USERPTR;
	int r;

	v4l2->slots = *slots;
	slot_queue_clear(&v4l2->waiting);
	v4l2->given = 0;
	v4l2->streaming = false;
	v4l2->sequence = (struct sequence){0};
	v4l2->lost = 0;
	explain_choice(v4l2);
	if (v4l2->transfer == TRANSFER_DMABUF)
		return 0; /* export() has made the buffers */

	r = v4l2_queue_init(&v4l2->queue, &v4l2->device,
		userptr ? V4L2_MEMORY_USERPTR : V4L2_MEMORY_MMAP, v4l2->choice.memory_plane_count,
		userptr ? slots->count : COPY_BUFFER_COUNT);
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "asking for buffers");
	if (!userptr)
		r = queue_mapped_buffers(v4l2);
	else if (v4l2->queue.count < v4l2->slots_needed)
		r = source_fail(source, -ENOMEM, "%s: the driver has only %u buffers",
			v4l2->device.path, v4l2->queue.count);
	if (r < 0)
		v4l2_queue_finish(&v4l2->queue);
	return r;
}

static void capture_stop(struct source *source)
{
	struct source_v4l2 *v4l2 = get(source);
	int type = (int)v4l2->device.type;

	/* An unplugged device gives errors here, and closing it settles everything. */
	if (v4l2->streaming)
		(void)v4l2_device_ioctl(&v4l2->device, VIDIOC_STREAMOFF, &type);
	v4l2->streaming = false;
	if (v4l2->transfer == TRANSFER_DMABUF)
		v4l2_queue_forget(&v4l2->queue);
	else
		v4l2_queue_finish(&v4l2->queue);
}

static int stream_on(struct source_v4l2 *v4l2)
{
	int type = (int)v4l2->device.type;
	int r;

	r = v4l2_device_ioctl(&v4l2->device, VIDIOC_STREAMON, &type);
	if (r == -ENOSPC)
		return source_fail(&v4l2->source, r,
			"%s: not enough USB bandwidth for %ux%u at this rate: plug it into another "
			"USB bus, stop other cameras, or use a smaller --size, a lower --rate or "
			"--pixel-format MJPG",
			v4l2->device.path, v4l2->choice.width, v4l2->choice.height);
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "starting the stream");
	v4l2->streaming = true;
	return 0;
}

/* ---- give, wait, take ---- */

/* The driver's buffer for a slot; queue.count if there is none free. */
static uint32_t buffer_for(const struct source_v4l2 *v4l2, uint32_t slot)
{
	uint32_t index;

	if (v4l2->queue.count >= v4l2->slots.count)
		return slot;
	for (index = 0; index < v4l2->queue.count; index++)
		if (!v4l2->queue.buffers[index].queued)
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

		if (index >= v4l2->queue.count)
			return 0;
		r = v4l2->transfer == TRANSFER_DMABUF
			    ? v4l2_queue_give(&v4l2->queue, index, NULL)
			    : queue_userptr(v4l2, &v4l2->queue, index, v4l2->slots.slots[slot]);
		if (v4l2->transfer == TRANSFER_USERPTR && !v4l2->userptr_proven &&
			(r == -EINVAL || r == -EFAULT || r == -ENOMEM)) {
			v4l2->userptr_refused = true;
			return source_fail(&v4l2->source, r,
				"%s: its driver cannot write into the pool (USERPTR: %s)%s",
				v4l2->device.path, strerror(-r),
				v4l2->options->memory == OPTIONS_MEMORY_AUTO
					? "; frames will be copied"
					: ": use --memory auto or copy");
		}
		if (r < 0)
			return v4l2_device_fail(&v4l2->device, r, "queueing a buffer");
		(void)slot_queue_pop(&v4l2->waiting);
		v4l2->slot_of[index] = slot;
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
	if (is_zero_copy(v4l2)) {
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
	return is_zero_copy(v4l2) || v4l2->waiting.count > 0;
}

static void capture_wait(const struct source *source, struct source_wait *ret_wait)
{
	const struct source_v4l2 *v4l2 = (const struct source_v4l2 *)source;

	ret_wait->deadline_ns = INT64_MAX;
	ret_wait->fd = v4l2->streaming ? v4l2->device.fd : -1;
	/* a frame that waits for a slot must not wake anybody; errors always do */
	ret_wait->events =
		(short)((has_room(v4l2) ? POLLIN : 0) | (v4l2->device.events ? POLLPRI : 0));
}

static short poll_device(const struct source_v4l2 *v4l2)
{
	struct pollfd pollfd = {.fd = v4l2->device.fd, .events = POLLIN | POLLPRI};

	return poll(&pollfd, 1, 0) > 0 ? pollfd.revents : 0;
}

/* There is no frame: because none has come, or because none can come any more? */
static int nothing_yet(struct source_v4l2 *v4l2)
{
	struct v4l2_capability capability;
	short events;
	int r;

	if (!v4l2->streaming)
		return SOURCE_TRY_AGAIN;
	events = poll_device(v4l2);
	if (events & (POLLERR | POLLHUP | POLLNVAL)) {
		r = v4l2_device_ioctl(&v4l2->device, VIDIOC_QUERYCAP, &capability);
		return v4l2_device_fail(&v4l2->device, r < 0 ? r : -EIO, "capturing");
	}
	if (events & POLLPRI && v4l2->device.events && v4l2_input_has_changed(&v4l2->device)) {
		(void)source_fail(&v4l2->source, 0, "%s: the signal at its input has changed",
			v4l2->device.path);
		return SOURCE_CHANGED;
	}
	return SOURCE_TRY_AGAIN;
}

static void describe(const struct v4l2_queue_frame *taken, struct source_frame *frame)
{
	uint32_t clock = taken->flags & V4L2_BUF_FLAG_TIMESTAMP_MASK;

	frame->sequence = taken->sequence;
	frame->field = taken->field;
	frame->capture_time_ns = taken->timestamp_ns;
	frame->capture_clock = clock == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC ? POOL_CLOCK_MONOTONIC
			       : clock == V4L2_BUF_FLAG_TIMESTAMP_COPY    ? POOL_CLOCK_COPY
									  : POOL_CLOCK_UNKNOWN;
	if ((taken->flags & V4L2_BUF_FLAG_TSTAMP_SRC_MASK) == V4L2_BUF_FLAG_TSTAMP_SRC_SOE)
		frame->flags |= POOL_FRAME_TIMESTAMP_SOE;
	if (taken->flags & V4L2_BUF_FLAG_KEYFRAME)
		frame->flags |= POOL_FRAME_KEYFRAME;
	frame->media_time_ns = -1;
}

/* Finds the slot of a frame that came out of the driver, and brings the frame into it. */
static int fill_slot(
	struct source_v4l2 *v4l2, struct v4l2_queue_frame *taken, struct source_frame *frame)
{
	int r;

	if (is_zero_copy(v4l2)) {
		frame->slot = v4l2->slot_of[taken->index];
		/* a slot that found no free index has one now */
		return queue_slots(v4l2);
	}
	frame->slot = slot_queue_pop(&v4l2->waiting);
	for (uint32_t i = 0; i < v4l2->choice.memory_plane_count; i++) {
		const uint8_t *from = v4l2->queue.buffers[taken->index].planes[i].data;
		uint8_t *to = v4l2->slots.slots[frame->slot] + v4l2->layout.memory_planes[i].offset;

		memcpy(to, from + taken->planes[i].offset, taken->planes[i].bytesused);
		taken->planes[i].offset = 0;
	}
	r = v4l2_queue_give(&v4l2->queue, taken->index, NULL);
	return r < 0 ? v4l2_device_fail(&v4l2->device, r, "queueing a buffer") : 0;
}

/* A JPEG ends where it says, without what the driver left behind it. */
static enum source_damage inspect_jpeg(
	const struct source_v4l2 *v4l2, struct v4l2_queue_frame *taken, uint32_t slot)
{
	const uint8_t *memory = v4l2->transfer == TRANSFER_DMABUF
					? v4l2->queue.buffers[slot].planes[0].data
					: v4l2->slots.slots[slot];
	const uint8_t *data = memory + taken->planes[0].offset;
	struct jpeg_image image;

	if (jpeg_check(data, taken->planes[0].bytesused, v4l2->choice.width, v4l2->choice.height,
		    &image) != JPEG_CHECK_GOOD)
		return SOURCE_DAMAGE_CONTENT;
	taken->planes[0].bytesused = (uint32_t)image.length;
	return SOURCE_DAMAGE_NONE;
}

/* libv4l2 could not decode a frame: it is the driver's again, and its number is not known. */
static int undecoded(struct source_v4l2 *v4l2, struct source_frame *ret_frame)
{
	if (v4l2->sequence.started)
		v4l2->lost += sequence_advance(&v4l2->sequence, v4l2->sequence.last + 1);
	*ret_frame = (struct source_frame){.slot = slot_queue_pop(&v4l2->waiting),
		.damage = SOURCE_DAMAGE_CONTENT,
		.media_time_ns = -1};
	return SOURCE_CORRUPT;
}

static int capture_take(struct source *source, struct source_frame *ret_frame)
{
	struct source_v4l2 *v4l2 = get(source);
	struct source_frame frame = {0};
	struct v4l2_queue_frame taken;
	int r;

	if (!v4l2->streaming || !has_room(v4l2))
		return nothing_yet(v4l2);
	r = v4l2_queue_take(&v4l2->queue, &taken);
	if (r == -EAGAIN)
		return nothing_yet(v4l2);
	if (r == -EIO && v4l2->transfer == TRANSFER_LIBV4L2 &&
		!(poll_device(v4l2) & (POLLERR | POLLHUP | POLLNVAL)))
		return undecoded(v4l2, ret_frame);
	if (r == -EPROTO)
		return source_fail(source, r, "%s: the driver gave back a buffer that it had not",
			v4l2->device.path);
	if (r < 0)
		return v4l2_device_fail(&v4l2->device, r, "capturing");

	v4l2->lost += sequence_advance(&v4l2->sequence, taken.sequence);
	describe(&taken, &frame);
	frame.damage = v4l2_layout_inspect(&v4l2->layout, &v4l2->queue, &taken);
	r = fill_slot(v4l2, &taken, &frame);
	if (r < 0)
		return r;
	if (frame.damage == SOURCE_DAMAGE_NONE && v4l2->jpeg)
		frame.damage = inspect_jpeg(v4l2, &taken, frame.slot);
	v4l2_layout_locate(&v4l2->layout, &taken, &frame);
	if (frame.damage != SOURCE_DAMAGE_NONE) {
		*ret_frame = frame;
		return SOURCE_CORRUPT;
	}
	if (v4l2->transfer == TRANSFER_USERPTR)
		v4l2->userptr_proven = true;
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
	.stalls = true,
	.create = capture_create,
	.open = capture_open,
	.export = capture_export,
	.start = capture_start,
	.give = capture_give,
	.wait = capture_wait,
	.take = capture_take,
	.stop = capture_stop,
	.close = capture_close,
	.watch = capture_watch,
	.destroy = capture_destroy,
	.controls_path = capture_controls_path,
};
