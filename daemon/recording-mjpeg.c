/* SPDX-License-Identifier: MIT */
/*
 * MJPEG: JPEG images one after another, as v4l2-ctl and ffmpeg -f mjpeg write them. The first one
 * sets the size. Zero bytes between images are padding, anything else is garbage.
 */
#include "recording-container.h"

#include <errno.h>
#include <string.h>

#include <linux/videodev2.h>

#define MAGIC "\xff\xd8\xff" /* SOI and the first byte of another marker */

enum {
	MAGIC_SIZE = 3,
	SOI_SIZE = 2,
	READ_AHEAD = 64 * 1024,
};

enum step {
	STEP_GAP,    /* looking for the next image */
	STEP_NEXT,   /* it begins, and its SOI was used up by the one before */
	STEP_INSIDE, /* an image */
};

static int mjpeg_probe(struct recording *recording, int fd)
{
	struct recording_input *input = &recording->input;
	struct recording_mjpeg *mjpeg = &recording->progress.mjpeg;
	struct jpeg_scan *scan = &mjpeg->scan;
	int r;

	input->ahead = READ_AHEAD;
	if (mjpeg->scanned == 0)
		jpeg_scan_init(scan);
	while (scan->image.component_count == 0) {
		size_t consumed;

		if (mjpeg->scanned == RECORDING_BUFFER_SIZE)
			return recording_fail(recording, -EINVAL,
				"the first image of the MJPEG recording has no size in its first "
				"%d bytes",
				RECORDING_BUFFER_SIZE);
		r = recording_input_need(input, fd, mjpeg->scanned + 1);
		if (r != RECORDING_OK)
			return r;
		if (jpeg_scan_feed(scan, recording_input_data(input) + mjpeg->scanned, 1,
			    &consumed) != JPEG_SCAN_NEED_MORE)
			return recording_fail(recording, -EINVAL,
				"the first image of the MJPEG recording is damaged: %s",
				jpeg_fault_to_string(scan->image.fault));
		mjpeg->scanned++;
	}
	r = recording_set_geometry(
		recording, V4L2_PIX_FMT_MJPEG, scan->image.width, scan->image.height, 0);
	if (r < 0)
		return r;
	recording->format.field = V4L2_FIELD_NONE;
	recording->format.colorspace = V4L2_COLORSPACE_JPEG;
	*mjpeg = (struct recording_mjpeg){.step = STEP_GAP};
	return RECORDING_OK;
}

/* Puts the next size bytes of the image into the slot; counts those that do not fit, too. */
static void store(
	struct recording *recording, void *slot, size_t slot_size, const uint8_t *data, size_t size)
{
	size_t *done = &recording->progress.done;

	if (*done <= slot_size && size <= slot_size - *done)
		memcpy((uint8_t *)slot + *done, data, size);
	*done += size;
}

/* After a corrupt image whatever remains of it is garbage that is already counted. */
static int corrupt(
	struct recording *recording, struct recording_frame *frame, enum recording_damage damage)
{
	struct recording_mjpeg *mjpeg = &recording->progress.mjpeg;

	mjpeg->gap_reported = true;
	return recording_corrupt(recording, frame, damage);
}

/* Uses up what lies before the next image. RECORDING_OK: it begins with the next byte. */
static int read_gap(struct recording *recording, int fd, struct recording_frame *frame)
{
	struct recording_input *input = &recording->input;
	struct recording_mjpeg *mjpeg = &recording->progress.mjpeg;

	for (;;) {
		int r = recording_input_need(input, fd, MAGIC_SIZE);
		const uint8_t *data = recording_input_data(input);

		if (r != RECORDING_OK && r != RECORDING_END)
			return r;
		if (r == RECORDING_OK && memcmp(data, MAGIC, MAGIC_SIZE) == 0)
			break;
		if (input->size == 0)
			break;
		if (data[0] != 0)
			mjpeg->gap_garbage = true;
		recording_input_take(input, 1);
	}
	if (mjpeg->gap_garbage && !mjpeg->gap_reported)
		return corrupt(recording, frame, RECORDING_DAMAGE_GARBAGE);
	return input->size == 0 ? RECORDING_END : RECORDING_OK;
}

static int finish_image(
	struct recording *recording, size_t slot_size, struct recording_frame *frame)
{
	struct recording_mjpeg *mjpeg = &recording->progress.mjpeg;
	const struct jpeg_image *image = &mjpeg->scan.image;

	mjpeg->step = STEP_GAP;
	mjpeg->gap_garbage = false;
	mjpeg->gap_reported = false;
	if (image->width != recording->format.width || image->height != recording->format.height)
		return recording_corrupt(recording, frame, RECORDING_DAMAGE_WRONG_SIZE);
	if (recording->progress.done > slot_size)
		return recording_corrupt(recording, frame, RECORDING_DAMAGE_TOO_LARGE);
	frame->bytesused = (uint32_t)recording->progress.done;
	return RECORDING_FRAME;
}

static int read_image(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *frame)
{
	struct recording_input *input = &recording->input;
	struct recording_mjpeg *mjpeg = &recording->progress.mjpeg;

	for (;;) {
		enum jpeg_scan_result result;
		size_t consumed;
		int r = recording_input_need(input, fd, 1);

		if (r == RECORDING_END)
			return recording_truncated(recording, frame);
		if (r != RECORDING_OK)
			return r;
		result = jpeg_scan_feed(
			&mjpeg->scan, recording_input_data(input), input->size, &consumed);
		store(recording, slot, slot_size, recording_input_data(input), consumed);
		recording_input_take(input, consumed);
		if (result == JPEG_SCAN_COMPLETE)
			return finish_image(recording, slot_size, frame);
		if (result == JPEG_SCAN_CORRUPT) {
			frame->jpeg_fault = mjpeg->scan.image.fault;
			if (frame->jpeg_fault == JPEG_FAULT_NEXT_IMAGE) {
				mjpeg->step = STEP_NEXT;
				return corrupt(recording, frame, RECORDING_DAMAGE_TRUNCATED);
			}
			mjpeg->step = STEP_GAP;
			return corrupt(recording, frame, RECORDING_DAMAGE_JPEG);
		}
	}
}

static int mjpeg_read(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *frame)
{
	struct recording_mjpeg *mjpeg = &recording->progress.mjpeg;
	size_t consumed;
	int r;

	switch ((enum step)mjpeg->step) {
	case STEP_GAP:
		r = read_gap(recording, fd, frame);
		if (r != RECORDING_OK)
			return r;
		jpeg_scan_init(&mjpeg->scan);
		break;
	case STEP_NEXT:
		jpeg_scan_init(&mjpeg->scan);
		jpeg_scan_feed(&mjpeg->scan, MAGIC, SOI_SIZE, &consumed);
		store(recording, slot, slot_size, (const uint8_t *)MAGIC, SOI_SIZE);
		break;
	case STEP_INSIDE:
		break;
	}
	mjpeg->step = STEP_INSIDE;
	return read_image(recording, fd, slot, slot_size, frame);
}

const struct recording_container recording_mjpeg_container = {
	.magic = MAGIC,
	.magic_size = MAGIC_SIZE,
	.probe = mjpeg_probe,
	.read = mjpeg_read,
};
