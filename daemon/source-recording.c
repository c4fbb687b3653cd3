/* SPDX-License-Identifier: MIT */

/*
 * Recordings as sources: a file, standard input, or the output of a command. recording.c reads the
 * containers; here is where the bytes come from and when a frame is due.
 *
 * A file plays at its own rate (30 per second if it has none) or at --rate. A pipe is somebody's
 * live feed: its frames are due when they arrive, so that no delay piles up in it; --rate paces it
 * too.
 */

#include "clock.h"
#include "command.h"
#include "format.h"
#include "options.h"
#include "recording.h"
#include "slot-queue.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RATE_DEFAULT 30 /* of a file that tells none */

struct source_recording {
	struct source base;
	char *argument; /* path or command */
	struct recording_raw raw;
	bool is_raw, loop, unpaced;
	uint32_t rate_numerator, rate_denominator; /* asked for; 0/0: the recording's own */

	struct recording *recording; /* NULL: closed */
	int fd;
	struct command command;                                /* exec: only */
	uint32_t frame_rate_numerator, frame_rate_denominator; /* that it plays at */
	int64_t period_ns;                                     /* 0: when they arrive */
	int64_t media_period_ns; /* of the recording itself; 0: unknown */
	uint32_t field;          /* enum v4l2_field */

	struct source_slots slots;
	struct slot_queue queue;
	int64_t due_ns;
	uint32_t sequence;
	int64_t loop_offset_ns; /* media time goes on when the file begins anew */
	int64_t last_media_ns;
};

static struct source_recording *recording_of(struct source *source)
{
	return (struct source_recording *)source;
}

static int create(const struct source_ops *ops, const struct options *options, const char *argument,
	struct source **ret_source, char error[SOURCE_TEXT_SIZE])
{
	struct source_recording *recording;
	int result;

	if (options->fourcc != 0 || options->width != 0) {
		snprintf(error, SOURCE_TEXT_SIZE,
			"a recording has its own format: leave --pixel-format and --size out, or "
			"give "
			"the geometry of raw data with --raw");
		return -EINVAL;
	}
	recording = calloc(1, sizeof *recording);
	if (recording == NULL)
		return -ENOMEM;
	recording->base.ops = ops;
	recording->fd = -1;
	recording->loop = options->loop;
	recording->unpaced = options->rate_unpaced;
	recording->rate_numerator = options->rate_numerator;
	recording->rate_denominator = options->rate_denominator;
	recording->argument = strdup(argument);
	result = recording->argument == NULL ? -ENOMEM : 0;
	if (result == 0 && options->raw != NULL) {
		recording->is_raw = true;
		result =
			recording_raw_parse(options->raw, &recording->raw, error, SOURCE_TEXT_SIZE);
	}
	if (result < 0) {
		free(recording->argument);
		free(recording);
		return result;
	}
	*ret_source = &recording->base;
	return 0;
}

static int file_create(const struct options *options, const char *argument,
	struct source **ret_source, char error[SOURCE_TEXT_SIZE])
{
	if (*argument == '\0') {
		snprintf(error, SOURCE_TEXT_SIZE, "file: needs a path: file:PATH");
		return -EINVAL;
	}
	return create(&source_file, options, argument, ret_source, error);
}

static int stdin_create(const struct options *options, const char *argument,
	struct source **ret_source, char error[SOURCE_TEXT_SIZE])
{
	if (options->loop) {
		snprintf(error, SOURCE_TEXT_SIZE,
			"standard input cannot be played again: leave --loop out");
		return -EINVAL;
	}
	return create(&source_stdin, options, argument, ret_source, error);
}

static int exec_create(const struct options *options, const char *argument,
	struct source **ret_source, char error[SOURCE_TEXT_SIZE])
{
	if (*argument == '\0' || options->loop) {
		snprintf(error, SOURCE_TEXT_SIZE,
			*argument == '\0'
				? "exec: needs a command: exec:COMMAND"
				: "a command's output cannot be played again: leave --loop out");
		return -EINVAL;
	}
	return create(&source_exec, options, argument, ret_source, error);
}

/* ---- opening ---- */

static int file_open(struct source_recording *recording)
{
	struct stat status;

	recording->fd = open(recording->argument, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (recording->fd < 0)
		return source_fail(
			&recording->base, -errno, "%s: %s", recording->argument, strerror(errno));
	if (fstat(recording->fd, &status) == 0 && S_ISDIR(status.st_mode))
		return source_fail(&recording->base, -EISDIR,
			"%s is a directory: name one recording in it", recording->argument);
	return 0;
}

/* A description of our own, so that O_NONBLOCK does not change the terminal's or the feeder's. */
static int stdin_open(struct source_recording *recording)
{
	recording->fd = open("/proc/self/fd/0", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (recording->fd < 0) { /* a socket cannot be opened again */
		recording->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		if (recording->fd >= 0)
			(void)fcntl(
				recording->fd, F_SETFL, fcntl(recording->fd, F_GETFL) | O_NONBLOCK);
	}
	if (recording->fd < 0)
		return source_fail(&recording->base, -errno, "standard input: %s", strerror(errno));
	return 0;
}

static int exec_open(struct source_recording *recording)
{
	int error = command_start(&recording->command, recording->argument, &recording->fd);

	if (error < 0)
		return source_fail(&recording->base, error, "exec:%s: %s", recording->argument,
			strerror(-error));
	return 0;
}

static void recording_close(struct source *source)
{
	struct source_recording *recording = recording_of(source);

	recording_destroy(recording->recording);
	recording->recording = NULL;
	if (recording->fd >= 0)
		close(recording->fd);
	recording->fd = -1;
	(void)command_stop(&recording->command, 0);
}

static const char *name_of(const struct source_recording *recording)
{
	return recording->base.ops == &source_stdin ? "standard input" : recording->argument;
}

static int open_input(struct source_recording *recording)
{
	const struct recording_raw *raw = recording->is_raw ? &recording->raw : NULL;
	int error;

	error = recording_create(raw, &recording->recording);
	if (error < 0)
		return source_fail(&recording->base, error, "%s", strerror(-error));
	if (recording->base.ops == &source_file)
		return file_open(recording);
	if (recording->base.ops == &source_stdin)
		return stdin_open(recording);
	return exec_open(recording);
}

static void choose_rate(struct source_recording *recording, const struct recording_format *from)
{
	bool arrives = recording->base.ops != &source_file && recording->rate_numerator == 0;

	recording->frame_rate_numerator = from->rate_numerator;
	recording->frame_rate_denominator = from->rate_denominator;
	if (recording->rate_numerator != 0) {
		recording->frame_rate_numerator = recording->rate_numerator;
		recording->frame_rate_denominator = recording->rate_denominator;
	} else if (from->rate_numerator == 0 && recording->base.ops == &source_file) {
		recording->frame_rate_numerator = RATE_DEFAULT;
		recording->frame_rate_denominator = 1;
	}
	recording->media_period_ns = 0;
	if (from->rate_numerator != 0)
		recording->media_period_ns =
			NSEC_PER_SEC * from->rate_denominator / from->rate_numerator;
	recording->period_ns = 0;
	if (!arrives && !recording->unpaced)
		recording->period_ns = NSEC_PER_SEC * recording->frame_rate_denominator /
				       recording->frame_rate_numerator;
}

static int format_convert(struct source_recording *recording, const struct recording_format *from,
	struct source_format *ret_format)
{
	struct pool_format *format = &ret_format->format;
	struct format_layout layout;
	int error;

	error = format_layout_init(
		from->fourcc, from->width, from->height, from->bytesperline, &layout);
	if (error < 0)
		return source_fail(&recording->base, error,
			"%s: frames of %" PRIu32 "x%" PRIu32 ": %s", name_of(recording),
			from->width, from->height, strerror(-error));
	choose_rate(recording, from);
	*ret_format = (struct source_format){
		.slots_needed = 1,
		.transfer = "zero-copy (read into the pool)",
	};
	format->fourcc = from->fourcc;
	format->width = from->width;
	format->height = from->height;
	recording->field = from->field == V4L2_FIELD_ANY ? V4L2_FIELD_NONE : from->field;
	format->field = recording->field;
	format->colorspace = from->colorspace;
	format->ycbcr_enc = from->ycbcr_enc;
	format->quantization = from->quantization;
	format->xfer_func = from->xfer_func;
	format->rate_numerator =
		recording->unpaced ? from->rate_numerator : recording->frame_rate_numerator;
	format->rate_denominator =
		recording->unpaced ? from->rate_denominator : recording->frame_rate_denominator;
	format->frame_size = from->frame_size_max;
	format->plane_count = layout.plane_count;
	for (uint32_t i = 0; i < layout.plane_count; i++) {
		format->planes[i].offset = layout.planes[i].offset;
		format->planes[i].stride = layout.planes[i].stride;
	}
	format->chroma_siting = from->chroma_siting;
	format->pixel_aspect_numerator = from->pixel_aspect_numerator;
	format->pixel_aspect_denominator = from->pixel_aspect_denominator;
	return 0;
}

static int recording_open(struct source *source, struct source_format *ret_format)
{
	struct source_recording *recording = recording_of(source);
	struct recording_format format;
	int result = 0;

	if (recording->recording == NULL)
		result = open_input(recording);
	if (result == 0) {
		result = recording_probe(recording->recording, recording->fd, &format);
		if (result == RECORDING_TRY_AGAIN)
			return SOURCE_TRY_AGAIN;
		if (result < 0)
			source_fail(source, result, "%s: %s", name_of(recording),
				recording_error(recording->recording));
	}
	if (result == RECORDING_OK)
		result = format_convert(recording, &format, ret_format);
	if (result == -ENODATA && source->ops == &source_exec &&
		command_stop(&recording->command, COMMAND_PATIENCE_MSEC) < 0)
		source_fail(source, result, "exec:%s: the command failed: %s", recording->argument,
			recording->command.failure);
	if (result < 0) {
		recording_close(source);
		/* the file is what it is: trying again is for what can change */
		return result == -EINVAL ? -EIO : result;
	}
	return 0;
}

/* ---- streaming ---- */

static int recording_start(struct source *source, const struct source_slots *slots)
{
	struct source_recording *recording = recording_of(source);

	recording->slots = *slots;
	slot_queue_clear(&recording->queue);
	recording->due_ns = clock_now();
	recording->sequence = 0;
	recording->loop_offset_ns = 0;
	recording->last_media_ns = 0;
	return 0;
}

static int recording_give(struct source *source, uint32_t slot)
{
	slot_queue_push(&recording_of(source)->queue, slot);
	return 0;
}

static void recording_wait(const struct source *source, struct source_wait *ret_wait)
{
	const struct source_recording *recording = (const struct source_recording *)source;
	bool reading = recording->queue.count > 0;

	/* before start(), while the format is still unknown, it waits for bytes too */
	ret_wait->fd = -1;
	ret_wait->events = POLLIN;
	ret_wait->deadline_ns = INT64_MAX;
	if (reading && clock_now() < recording->due_ns)
		ret_wait->deadline_ns = recording->due_ns;
	else if (reading || recording->slots.count == 0)
		ret_wait->fd = recording->fd;
}

static int begin_again(struct source_recording *recording)
{
	int error = recording_rewind(recording->recording, recording->fd);

	if (error < 0)
		return source_fail(&recording->base, error, "%s: cannot be played again: %s",
			name_of(recording),
			error == -ENODATA ? "it has no good frame" : strerror(-error));
	recording->loop_offset_ns = recording->last_media_ns + recording->media_period_ns;
	return SOURCE_TRY_AGAIN;
}

static int at_end(struct source_recording *recording)
{
	if (recording->loop)
		return begin_again(recording);
	if (recording->base.ops == &source_exec &&
		command_stop(&recording->command, COMMAND_PATIENCE_MSEC) < 0)
		return source_fail(&recording->base, -EIO, "exec:%s: the command failed: %s",
			recording->argument, recording->command.failure);
	return SOURCE_ENDED;
}

static void pace(struct source_recording *recording, int64_t now)
{
	recording->due_ns += recording->period_ns;
	if (recording->due_ns < now - recording->period_ns)
		recording->due_ns = now;
}

static int recording_take(struct source *source, struct source_frame *ret_frame)
{
	struct source_recording *recording = recording_of(source);
	struct recording_frame frame;
	int64_t now = clock_now();
	uint32_t slot;
	int result;

	if (recording->queue.count == 0 || now < recording->due_ns)
		return SOURCE_TRY_AGAIN;
	slot = slot_queue_first(&recording->queue);
	result = recording_read(recording->recording, recording->fd, recording->slots.slots[slot],
		recording->slots.size, &frame);
	switch (result) {
	case RECORDING_FRAME:
		break;
	case RECORDING_CORRUPT:
		slot_queue_pop(&recording->queue);
		*ret_frame = (struct source_frame){
			.slot = slot, .damage = SOURCE_DAMAGE_CONTENT, .media_time_ns = -1};
		recording->sequence++;
		pace(recording, now);
		return SOURCE_CORRUPT;
	case RECORDING_END:
		return at_end(recording);
	case RECORDING_TRY_AGAIN:
		return SOURCE_TRY_AGAIN;
	default:
		return source_fail(source, result, "%s: %s", name_of(recording),
			recording_error(recording->recording));
	}
	slot_queue_pop(&recording->queue);
	*ret_frame = (struct source_frame){
		.slot = slot,
		.bytesused = frame.bytesused,
		.sequence = recording->sequence++,
		.capture_clock = POOL_CLOCK_MONOTONIC,
		.field = recording->field,
		.capture_time_ns = now,
		.media_time_ns = -1,
	};
	if (frame.media_time_ns >= 0) {
		recording->last_media_ns = recording->loop_offset_ns + frame.media_time_ns;
		ret_frame->media_time_ns = recording->last_media_ns;
	}
	pace(recording, now);
	return SOURCE_FRAME;
}

static void recording_stop(struct source *source)
{
	struct source_recording *recording = recording_of(source);

	slot_queue_clear(&recording->queue);
	recording->slots.count = 0;
}

static void recording_destroy_source(struct source *source)
{
	struct source_recording *recording = recording_of(source);

	recording_close(source);
	free(recording->argument);
	free(recording);
}

const struct source_ops source_file = {
	.name = "file",
	.restartable = true,
	.open_early = true,
	.create = file_create,
	.open = recording_open,
	.start = recording_start,
	.give = recording_give,
	.wait = recording_wait,
	.take = recording_take,
	.stop = recording_stop,
	.close = recording_close,
	.destroy = recording_destroy_source,
};

const struct source_ops source_stdin = {
	.name = "stdin",
	.create = stdin_create,
	.open = recording_open,
	.start = recording_start,
	.give = recording_give,
	.wait = recording_wait,
	.take = recording_take,
	.stop = recording_stop,
	.close = recording_close,
	.destroy = recording_destroy_source,
};

const struct source_ops source_exec = {
	.name = "exec",
	.live = true,
	.restartable = true,
	.create = exec_create,
	.open = recording_open,
	.start = recording_start,
	.give = recording_give,
	.wait = recording_wait,
	.take = recording_take,
	.stop = recording_stop,
	.close = recording_close,
	.destroy = recording_destroy_source,
};
