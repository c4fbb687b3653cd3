/* SPDX-License-Identifier: MIT */

/*
 * The bulk endpoint: frames as payloads (UVC 1.1, 2.4.3), each a header of two bytes and a part of
 * a frame. A bulk camera is not told when the host starts to stream; it sends when the host, after
 * a commit, has transfers for it. It learns of the end by CLEAR_FEATURE(ENDPOINT_HALT), which is
 * Windows' way, and Linux's since 5.0.
 *
 * What uvcvideo makes of what is sent (Linux 6.1, drivers/media/usb/uvc/uvc_video.c):
 * - Frames of an uncompressed format that are not complete, and those with the ERR bit, are
 *   dropped: a gap in the sequence numbers. With the module's nodrop=1 they come with
 *   V4L2_BUF_FLAG_ERROR. MJPEG frames that are short are like any other.
 * - A frame without a byte never comes, nodrop or not: its buffer is used for the next one, and
 *   only the sequence number has counted it.
 * - When a transfer ends with an error, the driver gives back all buffers that are queued, with
 *   V4L2_BUF_FLAG_ERROR, and never submits that transfer again. After the fifth, nothing comes
 *   until the stream is started anew, but no call fails.
 * - Each transfer is copied by work of its own on an unbound workqueue, and a buffer is done with
 *   the last of its copies. On a busy machine frames so come in another order than they were sent
 *   in, with sequence numbers that go back: 14 of 3000, seen with v4l2-ctl.
 * - It asks for the rest of a frame's payloads even if the ERR bit says that they are lost.
 */

#pragma once

#include "fault.h"
#include "negotiation.h"
#include "picture.h"

#include <stdbool.h>
#include <stdint.h>

#define STREAM_TRANSFERS 64

struct transfer {
	uint32_t sequence, length;
};

struct stream {
	const struct pictures *pictures;
	struct faults faults;
	struct agreement agreement;
	bool paused, halted, streaming;
	uint32_t number;  /* of the next frame; never goes back */
	uint32_t started; /* frames that were begun since the camera was made, sent or not */

	struct transfer waiting[STREAM_TRANSFERS];
	unsigned waiting_count;

	uint8_t *frame; /* the one that is being sent */
	size_t frame_bytes, frame_sent;
	bool frame_active, frame_error;
	uint8_t frame_id; /* toggles with each frame */
	int64_t due_ns;   /* CLOCK_MONOTONIC, of the next frame */
};

/* pictures must outlive it. False: no memory. */
bool stream_init(struct stream *stream, const struct pictures *pictures);
void stream_finish(struct stream *stream);

/* The host has committed a format, or wants no more, or is gone. Numbers, faults and a pause
 * stay. */
void stream_commit(struct stream *stream, const struct agreement *agreement);
void stream_stop(struct stream *stream);
void stream_unplug(struct stream *stream);

/* Every transfer ends with STALL until stream_stop(). Negative errno of fd, as in all below. */
int stream_halt(struct stream *stream, int fd);

/* The host has a transfer for us. */
int stream_submit(struct stream *stream, int fd, const struct transfer *transfer);

/* It wants it back; false: it has been completed. */
bool stream_unlink(struct stream *stream, uint32_t sequence);

/* Sends what is due. */
int stream_run(struct stream *stream, int fd);

/* When stream_run() has something to do, CLOCK_MONOTONIC; INT64_MAX: not before the host speaks. */
int64_t stream_deadline(const struct stream *stream);

/* Frames that were begun and are done. */
uint32_t stream_done(const struct stream *stream);
