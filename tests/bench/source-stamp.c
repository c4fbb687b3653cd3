/* SPDX-License-Identifier: MIT */

/*
 * The source of bench-camtapd, which is camtapd in all else: linked in place of source-pattern.c,
 * it stamps frames instead of drawing them, as all producers of scripts/bench do. So what is
 * measured is the daemon and not a picture. How the daemon waits, which is by ppoll() for a camera
 * and for this, is its own; its sheet is on the fd that $CAMTAP_BENCH_SHEET names.
 */

#include "clock.h"
#include "options.h"
#include "sheet.h"
#include "slot-queue.h"
#include "source.h"

#include <linux/videodev2.h>

struct source_stamp {
	struct source base;
	struct sheet *sheet;
	int64_t period_ns, due_ns;
	struct source_slots slots;
	struct slot_queue queue;
	uint64_t number; /* of the last frame; goes on for ever */
};

static struct source_stamp *stamp_of(struct source *source)
{
	return (struct source_stamp *)source;
}

static int stamp_create(const struct options *options, const char *argument,
	struct source **ret_source, char error[SOURCE_TEXT_SIZE])
{
	const char *fd = getenv("CAMTAP_BENCH_SHEET");
	struct source_stamp *stamp = calloc(1, sizeof *stamp);

	(void)options;
	(void)argument;
	if (stamp == NULL)
		return -ENOMEM;
	if (fd == NULL) {
		snprintf(error, SOURCE_TEXT_SIZE, "bench-camtapd is for scripts/bench only");
		free(stamp);
		return -EINVAL;
	}
	stamp->base.ops = &source_pattern;
	stamp->sheet = sheet_map(fd);
	if (stamp->sheet->rate > 0)
		stamp->period_ns = NSEC_PER_SEC / stamp->sheet->rate;
	*ret_source = &stamp->base;
	return 0;
}

/* NV12 */
static int stamp_open(struct source *source, struct source_format *ret_format)
{
	const struct sheet *sheet = stamp_of(source)->sheet;

	*ret_format = (struct source_format){.slots_needed = 1, .transfer = "stamped"};
	ret_format->format = (struct pool_format){
		.fourcc = V4L2_PIX_FMT_NV12,
		.width = sheet->width,
		.height = sheet->height,
		.field = V4L2_FIELD_NONE,
		.frame_size = (uint32_t)sheet->frame_size,
		.rate_numerator = sheet->rate,
		.rate_denominator = sheet->rate > 0 ? 1 : 0,
		.plane_count = 2,
		.planes = {{.stride = sheet->width},
			{.offset = sheet->width * sheet->height, .stride = sheet->width}},
	};
	return 0;
}

static int stamp_start(struct source *source, const struct source_slots *slots)
{
	struct source_stamp *stamp = stamp_of(source);

	stamp->slots = *slots;
	slot_queue_clear(&stamp->queue);
	stamp->due_ns = clock_now();
	return 0;
}

static int stamp_give(struct source *source, uint32_t slot)
{
	slot_queue_push(&stamp_of(source)->queue, slot);
	return 0;
}

static void stamp_wait(const struct source *source, struct source_wait *ret_wait)
{
	const struct source_stamp *stamp = (const struct source_stamp *)source;

	*ret_wait = (struct source_wait){
		.fd = -1, .deadline_ns = stamp->queue.count > 0 ? stamp->due_ns : INT64_MAX};
}

static int stamp_take(struct source *source, struct source_frame *ret_frame)
{
	struct source_stamp *stamp = stamp_of(source);
	int64_t now = stamp->period_ns > 0 ? clock_now() : 0;
	uint32_t slot;

	if (stamp->queue.count == 0 || (stamp->period_ns > 0 && now < stamp->due_ns))
		return SOURCE_TRY_AGAIN;
	stamp->due_ns += stamp->period_ns;
	if (stamp->due_ns < now - stamp->period_ns)
		stamp->due_ns = now;
	slot = slot_queue_pop(&stamp->queue);
	sheet_stamp_frame(stamp->sheet, stamp->slots.slots[slot], ++stamp->number);
	*ret_frame = (struct source_frame){
		.slot = slot,
		.bytesused = (uint32_t)stamp->sheet->frame_size,
		.sequence = (uint32_t)stamp->number,
		.capture_clock = POOL_CLOCK_MONOTONIC,
		.field = V4L2_FIELD_NONE,
		.capture_time_ns = now,
		.media_time_ns = -1,
	};
	return SOURCE_FRAME;
}

static void stamp_stop(struct source *source)
{
	slot_queue_clear(&stamp_of(source)->queue);
}

static void stamp_close(struct source *source)
{
	(void)source;
}

static void stamp_destroy(struct source *source)
{
	free(source);
}

const struct source_ops source_pattern = {
	.name = "stamp",
	.restartable = true,
	.create = stamp_create,
	.open = stamp_open,
	.start = stamp_start,
	.give = stamp_give,
	.wait = stamp_wait,
	.take = stamp_take,
	.stop = stamp_stop,
	.close = stamp_close,
	.destroy = stamp_destroy,
};
