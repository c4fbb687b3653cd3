/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Recordings: reads the frames of a camera from a file or a pipe, straight into the caller's slots.
 *
 * Y4M, MJPEG (JPEG images one after another) and AVI are recognised by their first bytes; raw
 * frames are read as the caller says (struct recording_raw). The file descriptor stays the
 * caller's and is passed to every call; it may be non-blocking. Memory is bounded whatever the
 * file says: one buffer of 256 KiB, and frames go into the slot.
 *
 * A recording may be used by one thread at a time. Nothing is logged.
 */

#include <stddef.h>
#include <stdint.h>

#include "jpeg-scan.h"

struct recording;

/* Outcomes; a negative errno is an error instead, after which the recording can only be destroyed.
 */
enum recording_result {
	RECORDING_OK,
	/*
	 * The fd has no data now: wait for POLLIN with poll(), then call again. It is also returned
	 * after some megabytes without a result, so that no call lasts long; poll() then returns at
	 * once. (epoll refuses regular files: they are always readable.)
	 */
	RECORDING_TRY_AGAIN,
	RECORDING_FRAME,
	RECORDING_CORRUPT, /* a frame that is not in the slot; struct recording_frame says why */
	RECORDING_END,
};

/* Why a frame is corrupt. */
enum recording_damage {
	RECORDING_DAMAGE_NONE,
	RECORDING_DAMAGE_TRUNCATED,  /* its end is missing */
	RECORDING_DAMAGE_JPEG,       /* not a JPEG image inside; jpeg_fault says why */
	RECORDING_DAMAGE_WRONG_SIZE, /* not the size of picture that the recording began with */
	RECORDING_DAMAGE_TOO_LARGE,  /* more bytes than frame_size_max, or than the slot has */
	RECORDING_DAMAGE_GARBAGE,    /* bytes that belong to no frame; counted once, then skipped */
};

/* Where the chroma samples of 4:2:0 lie, as Y4M tells it and V4L2 cannot. */
enum recording_chroma_siting {
	RECORDING_CHROMA_UNKNOWN, /* no tag, or C420 */
	RECORDING_CHROMA_JPEG,    /* C420jpeg */
	RECORDING_CHROMA_MPEG2,   /* C420mpeg2 */
	RECORDING_CHROMA_PALDV,   /* C420paldv */
};

/* What the caller knows of raw frames: all that is in the file is their bytes. */
struct recording_raw {
	uint32_t fourcc;
	uint32_t width, height;                    /* pixels */
	uint32_t bytesperline;                     /* bytes; 0: the smallest */
	uint32_t rate_numerator, rate_denominator; /* frames per second, reduced; 0/0: unknown */
};

struct recording_format {
	uint32_t fourcc;
	uint32_t width, height;  /* pixels */
	uint32_t bytesperline;   /* bytes, of the first plane; 0: compressed */
	uint32_t frame_size_max; /* bytes that a slot must have: format_layout_init()'s size */
	uint32_t rate_numerator, rate_denominator; /* frames per second, reduced; 0/0: unknown */

	/* V4L2's values. V4L2_FIELD_ANY: the recording does not say. 0: default. */
	uint32_t field;
	uint32_t colorspace, ycbcr_enc, quantization, xfer_func;

	/* Only Y4M has these, and can be written again with them. */
	enum recording_chroma_siting chroma_siting;
	uint32_t pixel_aspect_numerator, pixel_aspect_denominator; /* 0/0: unknown */
};

struct recording_frame {
	uint32_t bytesused; /* bytes in the slot */
	/*
	 * The frame's place in the recording, from 0 on. Corrupt frames and those that an AVI
	 * repeats (without storing them) have a place too, so that a gap tells of them. Garbage
	 * has none: it comes with the index and time of the frame after it.
	 */
	uint64_t index;
	int64_t media_time_ns; /* index / rate; -1: the rate is unknown */

	enum recording_damage damage; /* of RECORDING_CORRUPT */
	enum jpeg_fault jpeg_fault;   /* why, if a JPEG image tells it; else JPEG_FAULT_NONE */
};

/*
 * Reads the geometry of raw frames: FOURCC:WxH[,stride=N][,rate=N], where FOURCC is what
 * format_parse() takes, stride is in bytes, and a rate is 30, 29.97 or 30000/1001.
 *
 * 0; -EINVAL with one line in error (size bytes) that says what is wrong.
 */
int recording_raw_parse(
	const char *text, struct recording_raw *ret_raw, char *error, size_t error_size);

/*
 * Makes a recording that recognises its container, or, if raw is not NULL, reads raw frames: raw
 * must be what recording_raw_parse() gave, and is copied. 0 or -ENOMEM.
 */
int recording_create(const struct recording_raw *raw, struct recording **ret_recording);

/* Frees it. NULL is fine; the fd is not touched. */
void recording_destroy(struct recording *recording);

/*
 * Reads from fd what it takes to know the format. RECORDING_OK: *ret_format is written, and
 * recording_read() may follow. RECORDING_TRY_AGAIN: call again with the same fd. Otherwise a
 * negative errno with recording_error(): -ENODATA: empty; -ENOTSUP: not a container, or not a
 * format in it, that can be served; -EINVAL: damaged; -EOVERFLOW: too large; or what read() said.
 */
int recording_probe(struct recording *recording, int fd, struct recording_format *ret_format);

/* After an error: one line for the user that says what is wrong and what to do. Never NULL. */
const char *recording_error(const struct recording *recording);

/*
 * Reads the next frame into slot.
 *
 * FRAME, CORRUPT: *ret_frame is written. TRY_AGAIN: the slot may hold a part of the frame, so the
 * next call has to bring the same slot with the same content; after another one that frame is
 * CORRUPT (truncated) instead of a mixture. CORRUPT: the slot may have been written to; damage is
 * skipped, the next call goes on behind it. END: every later call gives it again, until
 * recording_rewind().
 * A frame of the fd's last bytes that is cut off is CORRUPT, then comes END.
 */
int recording_read(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *ret_frame);

/*
 * Goes back to the first frame; index and time start again from 0. 0; -ESPIPE: the fd cannot seek;
 * -ENODATA: no good frame was read since the last time, so that a loop would never give any.
 */
int recording_rewind(struct recording *recording, int fd);

/* In a few lower-case words, for logs; never NULL. */
const char *recording_damage_to_string(enum recording_damage damage);
