/* SPDX-License-Identifier: MIT */

/* The test picture as a source: no hardware, any size, any rate. */

#include "clock.h"
#include "options.h"
#include "picture.h"
#include "slot-queue.h"
#include "source.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>

struct source_pattern {
	struct source base;
	struct source_format format;
	struct picture *picture;
	int64_t period_ns; /* 0: as fast as slots come */

	struct source_slots slots;
	struct slot_queue queue;
	int64_t due_ns;
	uint32_t sequence;
};

static struct source_pattern *pattern_of(struct source *source)
{
	return (struct source_pattern *)source;
}

static void format_init(const struct options *options, const struct format_layout *layout,
	struct source_format *ret_format)
{
	struct pool_format *format = &ret_format->format;

	format->fourcc = options->fourcc;
	format->width = options->width;
	format->height = options->height;
	format->field = V4L2_FIELD_NONE;
	format->colorspace = V4L2_COLORSPACE_SMPTE170M;
	format->ycbcr_enc = V4L2_YCBCR_ENC_601;
	format->quantization = V4L2_QUANTIZATION_DEFAULT;
	format->frame_size = layout->size;
	format->plane_count = layout->plane_count;
	for (uint32_t i = 0; i < layout->plane_count; i++) {
		format->planes[i].offset = layout->planes[i].offset;
		format->planes[i].stride = layout->planes[i].stride;
	}
	if (!options->rate_unpaced) {
		format->rate_numerator = options->rate_numerator;
		format->rate_denominator = options->rate_denominator;
	}
	ret_format->slots_needed = 1;
	ret_format->transfer = "zero-copy (drawn into the pool)";
}

static int pattern_create(const struct options *said, const char *argument,
	struct source **ret_source, char error[SOURCE_TEXT_SIZE])
{
	struct options options = *said;
	struct source_pattern *pattern;
	struct format_layout layout;
	int result;

	if (*argument != '\0') {
		snprintf(error, SOURCE_TEXT_SIZE,
			"pattern: takes nothing after it: use --size, --rate and --pixel-format");
		return -EINVAL;
	}
	if (options.fourcc == 0)
		options.fourcc = V4L2_PIX_FMT_NV12;
	if (options.width == 0)
		options.width = 1920, options.height = 1080;
	if (options.rate_numerator == 0)
		options.rate_numerator = 60, options.rate_denominator = 1;
	pattern = calloc(1, sizeof *pattern);
	if (pattern == NULL)
		return -ENOMEM;
	pattern->base.ops = &source_pattern;
	result = format_layout_init(options.fourcc, options.width, options.height, 0, &layout);
	if (result == 0)
		result = picture_create(
			options.fourcc, options.width, options.height, &layout, &pattern->picture);
	if (result == -ENOTSUP)
		snprintf(error, SOURCE_TEXT_SIZE,
			"pattern: cannot draw this pixel format; it can draw %s",
			picture_formats());
	else if (result == -EINVAL || result == -EOVERFLOW)
		snprintf(error, SOURCE_TEXT_SIZE,
			"pattern: cannot be %" PRIu32 "x%" PRIu32 ": from 32x32 to %dx%d",
			options.width, options.height, FORMAT_DIMENSION_MAX, FORMAT_DIMENSION_MAX);
	if (result < 0) {
		free(pattern);
		return result;
	}
	format_init(&options, &layout, &pattern->format);
	if (!options.rate_unpaced)
		pattern->period_ns =
			NSEC_PER_SEC * options.rate_denominator / options.rate_numerator;
	*ret_source = &pattern->base;
	return 0;
}

static int pattern_open(struct source *source, struct source_format *ret_format)
{
	*ret_format = pattern_of(source)->format;
	return 0;
}

static int pattern_start(struct source *source, const struct source_slots *slots)
{
	struct source_pattern *pattern = pattern_of(source);

	pattern->slots = *slots;
	slot_queue_clear(&pattern->queue);
	pattern->due_ns = clock_now();
	pattern->sequence = 0;
	return 0;
}

static int pattern_give(struct source *source, uint32_t slot)
{
	slot_queue_push(&pattern_of(source)->queue, slot);
	return 0;
}

static void pattern_wait(const struct source *source, struct source_wait *ret_wait)
{
	const struct source_pattern *pattern = (const struct source_pattern *)source;

	ret_wait->fd = -1;
	ret_wait->events = 0;
	ret_wait->deadline_ns = pattern->queue.count > 0 ? pattern->due_ns : INT64_MAX;
}

static int pattern_take(struct source *source, struct source_frame *ret_frame)
{
	struct source_pattern *pattern = pattern_of(source);
	int64_t now = clock_now();
	uint32_t slot;

	if (pattern->queue.count == 0 || now < pattern->due_ns)
		return SOURCE_TRY_AGAIN;
	slot = slot_queue_pop(&pattern->queue);
	picture_draw(pattern->picture, pattern->sequence, pattern->slots.slots[slot]);
	*ret_frame = (struct source_frame){
		.slot = slot,
		.bytesused = pattern->format.format.frame_size,
		.sequence = pattern->sequence++,
		.capture_clock = POOL_CLOCK_MONOTONIC,
		.flags = POOL_FRAME_TIMESTAMP_SOE,
		.field = V4L2_FIELD_NONE,
		.capture_time_ns = now,
		.media_time_ns = -1,
	};
	/* on the beat; after a pause of more than a beat, from now on */
	pattern->due_ns += pattern->period_ns;
	if (pattern->due_ns < now - pattern->period_ns)
		pattern->due_ns = now;
	return SOURCE_FRAME;
}

static void pattern_stop(struct source *source)
{
	slot_queue_clear(&pattern_of(source)->queue);
}

static void pattern_close(struct source *source)
{
	(void)source;
}

static void pattern_destroy(struct source *source)
{
	picture_destroy(pattern_of(source)->picture);
	free(source);
}

const struct source_ops source_pattern = {
	.name = "pattern",
	.restartable = true,
	.open_early = true,
	.create = pattern_create,
	.open = pattern_open,
	.start = pattern_start,
	.give = pattern_give,
	.wait = pattern_wait,
	.take = pattern_take,
	.stop = pattern_stop,
	.close = pattern_close,
	.destroy = pattern_destroy,
};
