/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SOURCE_H
#define CAMTAP_DAEMON_SOURCE_H

/*
 * A source produces frames: a V4L2 device, the test pattern, a recording. One small interface; each
 * implementation is a file of its own, and source.c's table is the only other place that knows of
 * it.
 *
 * Life of a source, all of it on the capture thread (but for what main() does before there is one:
 * create, and open and close once, to see early what is wrong):
 *
 *   create -> open -> start -> { give, wait, take }* -> stop -> close -> open -> ... -> destroy
 *
 * (A source whose slots lie in memory of its own exports them between open and start.)
 *
 * The source fills slots; it never chooses them. The camera gives it slots one by one, and it gives
 * each back through take(), as a frame or as SOURCE_CORRUPT. After stop() it has none.
 */

#include "pool-layout.h"
#include "slot-buffer.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct controls;
struct options;
struct source;

#define SOURCE_TEXT_SIZE 512

/* What open() found out. */
struct source_format {
	struct pool_format format; /* planes as each frame will have them; frame_size: bytes */
	uint32_t slots_needed;     /* the least slots that the source must own to go on (driver's
				      minimum) */
	const char *transfer;      /* for people: how frames get into the pool; static text */
	/* The slots lie in the source's own memory, that many at most, each in one memory plane or
	 * several; see export(). 0: in the pool. */
	uint32_t buffer_max;
};

/* The pool as a source sees it. Valid from start() to stop(). */
struct source_slots {
	uint32_t count;
	uint32_t size;                  /* bytes of each slot: a multiple of the page size */
	uint8_t *slots[POOL_SLOTS_MAX]; /* page-aligned, populated; NULL: the source's own */
};

/* Why a frame is no good. */
enum source_damage {
	SOURCE_DAMAGE_NONE,
	SOURCE_DAMAGE_ERROR_FLAG, /* the driver says so (V4L2_BUF_FLAG_ERROR) */
	SOURCE_DAMAGE_SHORT,      /* fewer bytes than the format has */
	SOURCE_DAMAGE_EMPTY,      /* none at all */
	SOURCE_DAMAGE_CONTENT,    /* a JPEG that is cut off, or is none */
	SOURCE_DAMAGE_COUNT,
};

/* What take() found. */
struct source_frame {
	uint32_t slot;
	enum source_damage damage; /* NONE for FRAME */
	uint32_t bytesused;
	uint32_t sequence;
	uint32_t lost;          /* frames that the driver lost just before this one */
	uint32_t flags;         /* enum pool_frame_flag */
	uint32_t capture_clock; /* enum pool_clock */
	uint32_t field;         /* enum v4l2_field */
	int64_t capture_time_ns;
	int64_t media_time_ns; /* -1: live */
	uint32_t plane_count;  /* 0: the planes are where open() said, as far as bytesused goes */
	struct {
		uint32_t offset, bytesused, stride; /* bytes */
		uint32_t memory; /* memory plane, in slots of the source's own; else 0 */
	} planes[POOL_PLANES_MAX];
};

enum source_outcome {
	SOURCE_FRAME = 0, /* a good frame; its slot is the camera's again */
	SOURCE_TRY_AGAIN, /* nothing yet */
	SOURCE_CORRUPT,   /* a damaged frame; its slot is the camera's again */
	SOURCE_ENDED,     /* the recording is over */
	SOURCE_CHANGED,   /* another format comes from now on: stop, close and open again; the line
			     for people says why */
};

/* How the capture thread waits for the source: until `fd` has `events` (fd -1: none), or until
 * `deadline_ns` of CLOCK_MONOTONIC (INT64_MAX: none; 0 or past: do not wait). */
struct source_wait {
	int fd;
	short events;
	int64_t deadline_ns;
};

struct source_ops {
	const char *name; /* as `camtap info` shows it: "v4l2", "pattern" ... */
	bool live;        /* a camera: waiting for a lossless reader loses frames */
	bool restartable; /* can be opened again after it ended or was closed (not so standard
			     input) */
	bool open_early;  /* opening changes nothing: main() tries it before the daemon is ready */
	bool stalls; /* a device: no frame for a while is a fault, which starting anew may mend */

	/* Makes the source from the options; opens nothing. `argument` is the URI without its
	 * scheme. -EINVAL with a line in `error` if the argument or an option can never be right.
	 */
	int (*create)(const struct options *options, const char *argument,
		struct source **ret_source, char error[SOURCE_TEXT_SIZE]);
	/* Opens and configures, and says what will come. May take seconds. SOURCE_TRY_AGAIN: what
	 * it needs to know has not arrived yet; wait as wait() says and call again. */
	int (*open)(struct source *source, struct source_format *ret_format);
	/* After open(), if that said buffer_max: makes at most `count` buffers, which are the slots
	 * then, and hands each out as dma-bufs. They last until close(), in the receiver's fds
	 * beyond that; these are the receiver's to close. Returns how many there are. NULL: no such
	 * memory. */
	int (*export)(struct source *source, uint32_t count,
		struct slot_buffer ret_buffers[POOL_SLOTS_MAX]);
	int (*start)(struct source *source, const struct source_slots *slots);
	/* Gives the source a slot to fill. */
	int (*give)(struct source *source, uint32_t slot);
	void (*wait)(const struct source *source, struct source_wait *ret_wait);
	/* Never blocks. An enum source_outcome; *ret_frame is written for FRAME and CORRUPT. A
	 * negative errno: the source cannot go on; stop and close it. */
	int (*take)(struct source *source, struct source_frame *ret_frame);
	void (*stop)(struct source *source);
	void (*close)(struct source *source);
	/* After open() has failed, or the source was closed: an fd that is readable when something
	 * has happened that may let it succeed, until open() is called again; -1: none. May be
	 * NULL. */
	int (*watch)(const struct source *source);
	void (*destroy)(struct source *source);
	/* The path of the device whose controls (controls.h) can be listed and set. Any thread;
	 * valid for the source's life. NULL instead of a function: the source has no controls. */
	const char *(*controls_path)(const struct source *source);
};

/* What all sources begin with. */
struct source {
	const struct source_ops *ops;
	bool exports;                 /* since create(): its slots lie in memory of its own */
	char error[SOURCE_TEXT_SIZE]; /* why the last call failed and what to do, one line for
					 people */
	struct controls *controls;    /* to be set when a device was opened; NULL: none */
};

/* Writes the one line for people; returns `error_number` (negative) for `return source_fail(...)`.
 */
int source_fail(struct source *source, int error_number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Finds the source for options->source (a URI: "/dev/video0", "v4l2:/dev/…", "pattern:",
 * "file:PATH", "-", "exec:COMMAND") and creates it. */
int source_create(
	const struct options *options, struct source **ret_source, char error[SOURCE_TEXT_SIZE]);
void source_destroy(struct source *source);

extern const struct source_ops source_v4l2, source_pattern, source_file, source_stdin, source_exec;

#endif
