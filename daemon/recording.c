/* SPDX-License-Identifier: MIT */
#include "recording-container.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	/* What a call may read beside its frame before it returns to its caller. */
	READ_BUDGET = 4 * 1024 * 1024,
	READ_AHEAD = 4096,
};

static const struct recording_container *const containers[] = {
	&recording_y4m_container,
	&recording_mjpeg_container,
	&recording_avi_container,
};

int recording_create(const struct recording_raw *raw, struct recording **ret_recording)
{
	struct recording *recording = calloc(1, sizeof(*recording));

	if (!recording)
		return -ENOMEM;
	recording->input.ahead = READ_AHEAD;
	if (raw) {
		recording->raw = *raw;
		recording->container = &recording_raw_container;
	}
	*ret_recording = recording;
	return 0;
}

void recording_destroy(struct recording *recording)
{
	free(recording);
}

const char *recording_error(const struct recording *recording)
{
	return recording->error[0] ? recording->error : "no error";
}

int recording_fail(struct recording *recording, int error, const char *text, ...)
{
	va_list arguments;

	va_start(arguments, text);
	vsnprintf(recording->error, sizeof(recording->error), text, arguments);
	va_end(arguments);
	return error;
}

/* Makes sure that an error has its line: here it can only be one of read(). */
static int explain(struct recording *recording, int r)
{
	if (r < 0 && !recording->error[0]) {
		errno = -r;
		return recording_fail(recording, r, "cannot read the recording: %m");
	}
	return r;
}

static bool magic_equal(
	const struct recording_container *container, const uint8_t *data, size_t size)
{
	if (size < container->magic_size)
		return false;
	for (size_t i = 0; i < container->magic_size; i++) {
		if (container->magic[i] != '?' && (uint8_t)container->magic[i] != data[i])
			return false;
	}
	return true;
}

static int recognise(struct recording *recording, int fd)
{
	struct recording_input *input = &recording->input;
	size_t size = 0;
	int r;

	for (size_t i = 0; i < ELEMENTS(containers); i++) {
		if (containers[i]->magic_size > size)
			size = containers[i]->magic_size;
	}
	r = recording_input_need(input, fd, size);
	if (r != RECORDING_OK && r != RECORDING_END)
		return r;
	if (input->size == 0)
		return recording_fail(recording, -ENODATA, "the recording is empty");
	for (size_t i = 0; i < ELEMENTS(containers); i++) {
		if (magic_equal(containers[i], recording_input_data(input), input->size)) {
			recording->container = containers[i];
			return RECORDING_OK;
		}
	}
	return recording_fail(recording, -ENOTSUP,
		"neither Y4M nor MJPEG nor AVI; raw frames need --raw FOURCC:WxH, and other "
		"recordings a converter: --source 'exec:ffmpeg -i FILE -f yuv4mpegpipe -'");
}

int recording_probe(struct recording *recording, int fd, struct recording_format *ret_format)
{
	struct recording_input *input = &recording->input;
	int r;

	if (!recording->started) {
		off_t position = lseek(fd, 0, SEEK_CUR);

		input->position = position > 0 ? (uint64_t)position : 0;
		recording->started = true;
	}
	input->budget = READ_BUDGET;
	if (!recording->container) {
		r = recognise(recording, fd);
		if (r != RECORDING_OK)
			return explain(recording, r);
	}
	r = recording->container->probe(recording, fd);
	if (r == RECORDING_END)
		return recording_fail(
			recording, -EINVAL, "the recording ends within its header: it is damaged");
	if (r != RECORDING_OK)
		return explain(recording, r);

	recording->first_position = input->position;
	recording->first_progress = recording->progress;
	*ret_format = recording->format;
	return RECORDING_OK;
}

int recording_read(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *ret_frame)
{
	struct recording_progress *progress = &recording->progress;
	struct recording_frame frame = {};
	int r;

	if (progress->ended)
		return RECORDING_END;
	if (progress->done > 0 && progress->slot != slot)
		progress->torn = true;
	progress->slot = slot;
	if (slot_size > recording->format.frame_size_max)
		slot_size = recording->format.frame_size_max;
	recording->input.budget = READ_BUDGET + slot_size;

	r = recording->container->read(recording, fd, slot, slot_size, &frame);
	if (r == RECORDING_FRAME && progress->torn)
		r = recording_corrupt(recording, &frame, RECORDING_DAMAGE_TRUNCATED);
	else if (r == RECORDING_FRAME)
		recording_clock_stamp(recording, &frame);

	if (r == RECORDING_FRAME || r == RECORDING_CORRUPT) {
		progress->done = 0;
		progress->torn = false;
		*ret_frame = frame;
	}
	if (r == RECORDING_FRAME)
		recording->frame_seen = true;
	if (r == RECORDING_END)
		progress->ended = true;
	return explain(recording, r);
}

int recording_rewind(struct recording *recording, int fd)
{
	struct recording_input *input = &recording->input;

	if (!recording->frame_seen)
		return recording_fail(
			recording, -ENODATA, "the recording has no frame that is whole");
	if (lseek(fd, (off_t)recording->first_position, SEEK_SET) < 0)
		return recording_fail(recording, -errno, "cannot start the recording again: %m");
	input->position = recording->first_position;
	input->start = 0;
	input->size = 0;
	recording->progress = recording->first_progress;
	recording->frame_seen = false;
	return 0;
}

const char *recording_damage_to_string(enum recording_damage damage)
{
	switch (damage) {
	case RECORDING_DAMAGE_NONE:
		return "no damage";
	case RECORDING_DAMAGE_TRUNCATED:
		return "truncated";
	case RECORDING_DAMAGE_JPEG:
		return "corrupt JPEG";
	case RECORDING_DAMAGE_WRONG_SIZE:
		return "the size changed";
	case RECORDING_DAMAGE_TOO_LARGE:
		return "too large";
	case RECORDING_DAMAGE_GARBAGE:
		return "garbage between frames";
	}
	return "unknown damage";
}

int recording_set_geometry(struct recording *recording, uint32_t fourcc, uint32_t width,
	uint32_t height, uint32_t bytesperline)
{
	struct recording_format *format = &recording->format;
	struct format_layout layout;
	char name[FORMAT_TEXT_SIZE];
	int r = format_layout_init(fourcc, width, height, bytesperline, &layout);

	if (r < 0) {
		format_print(fourcc, name);
		return recording_fail(recording, r,
			"the recording's format, %s %" PRIu32 "x%" PRIu32 ", is %s", name, width,
			height, r == -EOVERFLOW ? "too large" : "impossible: it is damaged");
	}
	format->fourcc = fourcc;
	format->width = width;
	format->height = height;
	format->bytesperline = layout.planes[0].stride;
	format->frame_size_max = layout.size;
	return 0;
}

void recording_rate_reduce(uint32_t *numerator, uint32_t *denominator)
{
	uint32_t a = *numerator, b = *denominator;

	if (a == 0 || b == 0) {
		*numerator = *denominator = 0;
		return;
	}
	while (b != 0) {
		uint32_t remainder = a % b;

		a = b;
		b = remainder;
	}
	*numerator /= a;
	*denominator /= a;
}

void recording_clock_stamp(struct recording *recording, struct recording_frame *frame)
{
	static const uint64_t second_ns = 1000000000, seconds_max = INT64_MAX / second_ns - 1;
	struct recording_clock *clock = &recording->progress.clock;
	uint32_t numerator = recording->format.rate_numerator;
	uint64_t next;

	frame->index = clock->index++;
	frame->media_time_ns = -1;
	if (numerator == 0)
		return;
	frame->media_time_ns =
		(int64_t)(clock->seconds * second_ns + clock->remainder * second_ns / numerator);
	next = (uint64_t)clock->remainder + recording->format.rate_denominator;
	clock->remainder = (uint32_t)(next % numerator);
	clock->seconds += next / numerator;
	if (clock->seconds > seconds_max) /* of 292 years: only a senseless rate gets there */
		clock->seconds = seconds_max;
}

int recording_corrupt(
	struct recording *recording, struct recording_frame *frame, enum recording_damage damage)
{
	struct recording_clock clock = recording->progress.clock;

	recording_clock_stamp(recording, frame);
	if (damage == RECORDING_DAMAGE_GARBAGE) /* it takes no frame's place */
		recording->progress.clock = clock;
	frame->bytesused = 0;
	frame->damage = damage;
	return RECORDING_CORRUPT;
}

int recording_truncated(struct recording *recording, struct recording_frame *frame)
{
	recording->progress.ended = true;
	return recording_corrupt(recording, frame, RECORDING_DAMAGE_TRUNCATED);
}

int recording_fixed_read(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *frame)
{
	struct recording_input *input = &recording->input;
	size_t size = recording->format.frame_size_max, *done = &recording->progress.done;
	uint64_t left = size - *done;
	int r;

	if (size <= slot_size) {
		r = recording_input_copy(input, fd, slot, size, done);
	} else {
		r = recording_input_skip(input, fd, &left);
		*done = size - (size_t)left;
	}
	if (r != RECORDING_OK)
		return r;
	if (size > slot_size)
		return recording_corrupt(recording, frame, RECORDING_DAMAGE_TOO_LARGE);
	frame->bytesused = (uint32_t)size;
	return RECORDING_FRAME;
}

bool recording_parse_number(const char **text, const char *end, uint32_t *ret_number)
{
	const char *at = *text;
	uint64_t number = 0;

	while (at < end && *at >= '0' && *at <= '9') {
		number = number * 10 + (uint64_t)(*at - '0');
		if (number > UINT32_MAX)
			return false;
		at++;
	}
	if (at == *text)
		return false;
	*text = at;
	*ret_number = (uint32_t)number;
	return true;
}
