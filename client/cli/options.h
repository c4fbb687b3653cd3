/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_OPTIONS_H
#define CAMTAP_CLI_OPTIONS_H

/* The command line, the same for every command: each says which of the options it takes. */

#include "command.h"
#include "image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_set {
	OPTION_SOCKET = 1 << 0,
	OPTION_STREAM = 1 << 1,
	OPTION_TIMEOUT = 1 << 2,
	OPTION_JSON = 1 << 3,
	OPTION_COUNT = 1 << 4,
	OPTION_LOSSLESS = 1 << 5,
	OPTION_OUTPUT = 1 << 6,
	OPTION_FORMAT = 1 << 7,
	OPTION_QUALITY = 1 << 8,
	OPTION_INTERVAL = 1 << 9,
	OPTION_LATEST = 1 << 10,
	OPTION_SIDECAR = 1 << 11,
	OPTION_SYNC = 1 << 12,
	OPTION_FORMATS = 1 << 13,
	OPTION_NAME = 1 << 14, /* the argument NAME */
	OPTION_WORDS =
		1 << 15, /* any number of arguments, which the command looks at itself; so with
			    --formats */
};

/* Strings belong to argv. */
struct options {
	const char *name;   /* of the camera; NULL: the only one */
	const char *socket; /* path; NULL: found by name */
	const char *stream; /* NULL: the native one */
	int64_t timeout_ns; /* without a frame; TIMESPAN_INFINITY: for ever */
	bool json;
	uint64_t count; /* frames; 0: not said */
	bool lossless;
	const char *output; /* folder, or "-" */
	const struct image_format *format;
	int quality;         /* of JPEG, 1 to 100 */
	int64_t interval_ns; /* at most one frame in each; 0: every frame */
	bool latest;
	bool sidecar;
	bool sync;
	bool formats;
	char **words; /* OPTION_WORDS: arguments that are no options */
	int word_count;
};

enum options_outcome {
	OPTIONS_RUN = 0,
	OPTIONS_DONE = 1, /* --help was printed */
};

/* Reads the command line of a command that takes the options `accepted` (enum option_set); `usage`
 * is what
 * --help prints. An enum options_outcome, or -EINVAL after a line on standard error. */
int options_parse(const struct invocation *invocation, unsigned accepted, const char *usage,
	struct options *ret_options);

#endif
