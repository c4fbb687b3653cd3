/* SPDX-License-Identifier: MIT */

/* camtap info: the daemon's status document. Only observes: it starts no camera. */

#include "clock.h"
#include "command.h"
#include "options.h"
#include "reader.h"
#include "status-text.h"
#include "timespan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: camtap info [NAME] [OPTION...]\n\n"
	"Shows a camera's state, streams, counters and clients. Starts no camera.\n\n"
	"  --json         print the daemon's document, one JSON object\n"
	"  --socket PATH  the camera's socket, instead of its name\n"
	"  --timeout T    give up after T without an answer (10s)\n";

enum {
	SLICE_MS = 1000, /* after which it is said what is waited for */
};

/* Asks until there is an answer. Negative errno after a line on standard error. */
static int ask(struct reader *reader, char **ret_text)
{
	int64_t start_ns = clock_now();

	for (;;) {
		int64_t left_ns = reader->timeout_ns - (clock_now() - start_ns);
		int64_t left_ms = left_ns <= 0 ? 0 : left_ns / 1000000 + 1;
		int r = camtap_status(
			reader->camera, ret_text, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);

		if (r >= 0)
			return 0;
		if (r != -ETIMEDOUT) {
			reader_say_error(reader, r);
			return r;
		}
		if (left_ms <= SLICE_MS) {
			reader_say_timeout(reader, "no answer");
			return r;
		}
		reader_say_reason(reader);
	}
}

static int print(const char *text, bool json)
{
	json_error_t error;
	json_t *status = json_loads(text, 0, &error);

	if (!json_is_object(status) || json_integer_value(json_object_get(status, "schema")) != 1) {
		terminal_say(NULL, "the daemon's answer is no status document of schema 1: is what"
				   " listens on this socket a camtapd of this version?");
		json_decref(status);
		return COMMAND_FAILED;
	}
	if (json) {
		json_dumpf(status, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
		putchar('\n');
	} else {
		status_text_print(stdout, status);
	}
	json_decref(status);
	return COMMAND_DONE;
}

int info_run(const struct invocation *invocation)
{
	struct options options;
	struct terminal terminal;
	struct reader reader;
	char *text;
	int r, status;

	r = options_parse(invocation, OPTION_NAME | OPTION_SOCKET | OPTION_TIMEOUT | OPTION_JSON,
		usage, &options);
	if (r != OPTIONS_RUN)
		return r == OPTIONS_DONE ? COMMAND_DONE : COMMAND_USAGE;
	terminal_init(&terminal);
	r = reader_init(&reader, &options, "camtap info", CAMTAP_MODE_OBSERVE, &terminal,
		invocation->stop, &status);
	if (r < 0)
		return status;
	status = COMMAND_FAILED;
	if (ask(&reader, &text) == 0) {
		status = print(text, options.json);
		free(text);
	}
	reader_finish(&reader);
	return status;
}
