/* SPDX-License-Identifier: MIT */

/* camtap info: the daemon's status document. Only observes: it starts no camera. */

#include "command.h"
#include "options.h"
#include "reader.h"
#include "status-text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: camtap info [NAME] [OPTION...]\n\n"
	"Shows a camera's state, streams, counters and clients. Starts no camera.\n\n"
	"  --json         print the daemon's document, one JSON object\n"
	"  --socket PATH  the camera's socket, instead of its name\n"
	"  --timeout T    give up after T without an answer (10s)\n";

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
	if (reader_ask(&reader, camtap_status, &text) == 0) {
		status = print(text, options.json);
		free(text);
	}
	reader_finish(&reader);
	return status;
}
