/* SPDX-License-Identifier: MIT */

#include "stream.h"
#include "usbip.h"

#include <errno.h>
#include <linux/usb/video.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEADER_BYTES  2   /* bHeaderLength, bmHeaderInfo: neither PTS nor SCR */
#define INTERVAL_NSEC 100 /* unit of frame intervals */

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

bool stream_init(struct stream *stream, const struct pictures *pictures)
{
	*stream = (struct stream){.pictures = pictures};
	stream->frame = malloc(picture_room(PICTURE_SIZES - 1));
	return stream->frame != NULL;
}

void stream_finish(struct stream *stream)
{
	free(stream->frame);
}

void stream_stop(struct stream *stream)
{
	stream->streaming = false;
	stream->halted = false;
	stream->frame_active = false;
}

void stream_commit(struct stream *stream, const struct agreement *agreement)
{
	stream_stop(stream);
	stream->agreement = *agreement;
}

void stream_unplug(struct stream *stream)
{
	stream_stop(stream);
	stream->waiting_count = 0;
}

static uint32_t take_transfer(struct stream *stream)
{
	uint32_t sequence = stream->waiting[0].sequence;

	stream->waiting_count--;
	memmove(stream->waiting, stream->waiting + 1,
		stream->waiting_count * sizeof *stream->waiting);
	return sequence;
}

/* The host that waits for a frame gets the error as the answer. */
static int refuse_waiting(struct stream *stream, int fd)
{
	int r = 0;

	while (r == 0 && stream->waiting_count > 0)
		r = usbip_submit_answer(fd, take_transfer(stream), -EPIPE, NULL, 0);
	return r;
}

int stream_halt(struct stream *stream, int fd)
{
	stream->halted = true;
	stream->frame_active = false;
	return refuse_waiting(stream, fd);
}

int stream_submit(struct stream *stream, int fd, const struct transfer *transfer)
{
	if (stream->waiting_count == STREAM_TRANSFERS || transfer->length <= HEADER_BYTES)
		return -EPROTO;
	stream->waiting[stream->waiting_count++] = *transfer;
	if (stream->halted)
		return refuse_waiting(stream, fd);
	if (!stream->streaming)
		stream->due_ns = now();
	stream->streaming = true;
	return 0;
}

bool stream_unlink(struct stream *stream, uint32_t sequence)
{
	for (unsigned i = 0; i < stream->waiting_count; i++)
		if (stream->waiting[i].sequence == sequence) {
			stream->waiting_count--;
			memmove(stream->waiting + i, stream->waiting + i + 1,
				(stream->waiting_count - i) * sizeof *stream->waiting);
			return true;
		}
	return false;
}

static void begin_frame(struct stream *stream)
{
	const struct agreement *agreement = &stream->agreement;
	int64_t interval_ns = (int64_t)agreement->interval * INTERVAL_NSEC, time = now();
	struct fault fault = faults_take(&stream->faults);

	stream->frame_bytes = picture_make(stream->pictures, agreement->format, agreement->size,
		stream->number, stream->frame);
	stream->frame_bytes = fault_apply(&fault, stream->frame, stream->frame_bytes);
	stream->frame_sent = 0;
	stream->frame_active = true;
	stream->frame_error = fault.kind == FAULT_ERROR;
	if (fault.kind != FAULT_NONE)
		fprintf(stderr, "frame %u: %s\n", stream->number, fault_name(fault.kind));
	stream->number++;
	stream->started++;
	/* A sensor does not catch up when the host was late: it goes on in its own time. */
	do
		stream->due_ns += interval_ns;
	while (stream->due_ns < time + interval_ns / 2);
}

/* One payload, which is one transfer: it ends because it is shorter than the host's room, or as
 * long as the longest payload. */
static int send_payload(struct stream *stream, int fd)
{
	uint8_t payload[PAYLOAD_BYTES];
	size_t room = stream->waiting[0].length, bytes = stream->frame_bytes - stream->frame_sent;

	if (room > sizeof payload)
		room = sizeof payload;
	if (bytes > room - HEADER_BYTES)
		bytes = room - HEADER_BYTES;
	memcpy(payload + HEADER_BYTES, stream->frame + stream->frame_sent, bytes);
	stream->frame_sent += bytes;
	payload[0] = HEADER_BYTES;
	payload[1] = UVC_STREAM_EOH | stream->frame_id;
	if (stream->frame_error)
		payload[1] |= UVC_STREAM_ERR;
	if (stream->frame_sent == stream->frame_bytes) {
		payload[1] |= UVC_STREAM_EOF;
		stream->frame_active = false;
		stream->frame_id ^= UVC_STREAM_FID;
	}
	return usbip_submit_answer(
		fd, take_transfer(stream), 0, payload, (uint32_t)(HEADER_BYTES + bytes));
}

int64_t stream_deadline(const struct stream *stream)
{
	if (!stream->streaming || stream->halted || stream->waiting_count == 0)
		return INT64_MAX;
	if (stream->frame_active)
		return INT64_MIN;
	return stream->paused ? INT64_MAX : stream->due_ns;
}

int stream_run(struct stream *stream, int fd)
{
	int r = 0;

	while (r == 0 && stream_deadline(stream) <= now()) {
		if (!stream->frame_active)
			begin_frame(stream);
		while (r == 0 && stream->frame_active && stream->waiting_count > 0)
			r = send_payload(stream, fd);
	}
	return r;
}

uint32_t stream_done(const struct stream *stream)
{
	return stream->started - stream->frame_active;
}
