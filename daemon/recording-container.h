/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What recording.c and the containers (recording-y4m.c, -mjpeg.c, -avi.c, -raw.c) share.
 *
 * A container reads through the input below and keeps its state in struct recording_progress, so
 * that any call can stop at any byte with RECORDING_TRY_AGAIN and go on there with the next one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format.h"
#include "recording.h"

enum {
	RECORDING_BUFFER_SIZE = 256 * 1024,
};

/* Bytes that were read, but not yet used. */
struct recording_input {
	uint64_t position;  /* of the first of them, in the fd's file */
	size_t start, size; /* in buffer */
	size_t ahead;       /* bytes worth reading beyond those needed: more must be copied */
	size_t budget;      /* bytes that this call may still read */
	uint8_t buffer[RECORDING_BUFFER_SIZE];
};

/* Time by whole frames, without rounding errors that add up. */
struct recording_clock {
	uint64_t index;
	uint64_t seconds;
	uint32_t remainder; /* of a second, in 1/rate_numerator */
};

struct recording_y4m {
	bool within; /* a frame: its line was read */
};

struct recording_mjpeg {
	int step;
	struct jpeg_scan scan;
	size_t scanned; /* bytes of the buffer; when probing */
	bool gap_garbage, gap_reported;
};

struct recording_avi {
	int step;
	uint64_t skip;         /* bytes */
	uint32_t chunk_size;   /* of the frame, bytes */
	uint64_t riff_end;     /* position; 0: the file does not say */
	uint32_t stream_count; /* headers of streams so far */
	uint32_t stream;       /* number of the video's */
	bool stream_found, format_found;
	uint32_t frame_microseconds;
};

/* Everything that rewinding puts back. */
struct recording_progress {
	struct recording_clock clock;
	bool ended;
	size_t done;      /* bytes of the frame under way; those that fit are in the slot */
	const void *slot; /* that they are in */
	bool torn;        /* they are not all in the same */
	union {
		struct recording_y4m y4m;
		struct recording_mjpeg mjpeg;
		struct recording_avi avi;
	};
};

struct recording {
	const struct recording_container *container; /* NULL: not yet recognised */
	struct recording_raw raw;
	struct recording_format format;
	struct recording_progress progress;
	struct recording_progress first_progress; /* at the first frame */
	uint64_t first_position;
	bool started, frame_seen;
	char error[256];
	struct recording_input input;
};

struct recording_container {
	const char *magic; /* the file's first bytes; '?' is any byte */
	size_t magic_size;
	/*
	 * As recording_probe(), into recording->format; RECORDING_OK with the input at the first
	 * frame. RECORDING_END: the file ended within its header.
	 */
	int (*probe)(struct recording *recording, int fd);
	/* As recording_read(); *frame is zeros. */
	int (*read)(struct recording *recording, int fd, void *slot, size_t slot_size,
		struct recording_frame *frame);
};

extern const struct recording_container recording_avi_container;
extern const struct recording_container recording_mjpeg_container;
extern const struct recording_container recording_raw_container;
extern const struct recording_container recording_y4m_container;

/* Input: RECORDING_OK, RECORDING_TRY_AGAIN, RECORDING_END (what was there stays), negative errno.
 */

/* Has at least size bytes (at most RECORDING_BUFFER_SIZE) in the buffer. */
int recording_input_need(struct recording_input *input, int fd, size_t size);

/* Has a line of at most size_max bytes in the buffer; *ret_size without its '\n'. -EBADMSG: longer.
 */
int recording_input_line(struct recording_input *input, int fd, size_t size_max, size_t *ret_size);

/* The bytes in the buffer; valid until the next call that reads. */
const uint8_t *recording_input_data(const struct recording_input *input);

/* Uses up size bytes of the buffer. */
void recording_input_take(struct recording_input *input, size_t size);

/* Uses up bytes until *done, which it advances, is size, and puts them at target. */
int recording_input_copy(
	struct recording_input *input, int fd, void *target, size_t size, size_t *done);

/* Uses up *left bytes, counting down. */
int recording_input_skip(struct recording_input *input, int fd, uint64_t *left);

/* Remembers a line for the user and returns error. */
__attribute__((format(printf, 3, 4))) int recording_fail(
	struct recording *recording, int error, const char *text, ...);

/* Fills in the geometry of recording->format, or fails with the user's line. */
int recording_set_geometry(struct recording *recording, uint32_t fourcc, uint32_t width,
	uint32_t height, uint32_t bytesperline);

/* Reduces a rate; anything with a zero becomes 0/0. */
void recording_rate_reduce(uint32_t *numerator, uint32_t *denominator);

/* Gives the frame its index and time, and moves the clock on to the next one. */
void recording_clock_stamp(struct recording *recording, struct recording_frame *frame);

/* Stamps the frame and says what is wrong with it; returns RECORDING_CORRUPT. */
int recording_corrupt(
	struct recording *recording, struct recording_frame *frame, enum recording_damage damage);

/* The same for a frame that the end of the file cuts off: nothing comes after it. */
int recording_truncated(struct recording *recording, struct recording_frame *frame);

/* Reads the rest of a frame of format.frame_size_max bytes. RECORDING_END: the file ends within it.
 */
int recording_fixed_read(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *frame);

/*
 * Reads a decimal number at *text (which ends at end) and moves *text behind it.
 * False if there is none, or if it exceeds 32 bits.
 */
bool recording_parse_number(const char **text, const char *end, uint32_t *ret_number);
