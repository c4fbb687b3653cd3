/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_READER_H
#define CAMTAP_CLI_READER_H

/*
 * One attached camera, as the commands see it: the next frame, or why there is none. Says on
 * standard error what it waits for when that takes more than a second.
 */

#include "camtap.h"
#include "command.h"
#include "options.h"
#include "terminal.h"

enum {
	READER_REASON_SIZE = 256,
};

enum reader_outcome {
	READER_FRAME = 1,
	READER_STOPPED = 2,  /* SIGINT, SIGTERM */
	READER_DEADLINE = 3, /* the caller's */
	READER_NO_FRAME = 4, /* none within --timeout; a line said so */
	READER_ENDED = 5,    /* the recording is over */
};

struct reader {
	struct camtap *camera;
	struct terminal *terminal;
	const volatile sig_atomic_t *stop;
	const char *given; /* how the user named the camera; NULL: not at all */
	int64_t timeout_ns;
	bool latest;
	int64_t received_ns;           /* when the newest frame was received, CLOCK_MONOTONIC */
	uint64_t discontinuities;      /* restarts of daemon or camera */
	char told[READER_REASON_SIZE]; /* the reason for waiting that was said last */
};

/* Makes a handle as the options say and starts to attach. `program`: what `camtap info` will show.
 * *ret_status is written on failure only: an enum command_status, after a line on standard error.
 */
int reader_init(struct reader *ret_reader, const struct options *options, const char *program,
	enum camtap_mode mode, struct terminal *terminal, const volatile sig_atomic_t *stop,
	int *ret_status);
void reader_finish(struct reader *reader);

/* Waits for the next frame, or the newest, until `deadline_ns` (CLOCK_MONOTONIC; INT64_MAX: none)
 * and no longer than --timeout. An enum reader_outcome; *ret_frame is written for READER_FRAME, and
 * the caller's to release. Negative errno: the daemon refused, after a line on standard error. */
int reader_next(struct reader *reader, int64_t deadline_ns, struct camtap_frame **ret_frame);

/* Asks camtap_status() or another question of its kind until there is an answer, in *ret_text the
 * caller's to free(), and no longer than --timeout. Negative errno after a line on standard error.
 */
int reader_ask(struct reader *reader,
	int (*question)(struct camtap *camera, char **ret_json, int timeout_ms), char **ret_text);

/* Lines on standard error, each with the camera's name in front: what the library says of its last
 * error; why there is nothing yet, once for each reason; "WHAT for TIMEOUT: why". */
void reader_say_error(struct reader *reader, int error_number);
void reader_say_reason(struct reader *reader);
void reader_say_timeout(struct reader *reader, const char *what);

/* The camera's name for messages and files: the daemon's word if it is a name, else the user's.
 * Never NULL or unsafe as a part of a file's name; valid until the next call. */
const char *reader_name(const struct reader *reader);

#endif
