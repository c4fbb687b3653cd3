/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "terminal.h"
#include "timespan.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_TIMEOUT_S = 10,
	DEFAULT_QUALITY = 90,
};

/* A row's place in this table is the number of its bit in enum option_set. */
static const struct option table[] = {
	{"socket", required_argument, NULL, 0},
	{"stream", required_argument, NULL, 0},
	{"timeout", required_argument, NULL, 0},
	{"json", no_argument, NULL, 0},
	{"count", required_argument, NULL, 0},
	{"lossless", no_argument, NULL, 0},
	{"output", required_argument, NULL, 0},
	{"format", required_argument, NULL, 0},
	{"quality", required_argument, NULL, 0},
	{"interval", required_argument, NULL, 0},
	{"latest", no_argument, NULL, 0},
	{"sidecar", no_argument, NULL, 0},
	{"sync", no_argument, NULL, 0},
	{"formats", no_argument, NULL, 0},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int parse_number(const char *text, uint64_t most, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	/* strtoull() would take signs and blanks. */
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value == 0 || value > most)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int wrong_value(const char *option, const char *text, const char *wanted)
{
	terminal_say(NULL, "--%s %s: %s", option, text, wanted);
	return -EINVAL;
}

static int parse_span(const char *option, const char *text, int64_t *ret_ns)
{
	int64_t ns;

	if (timespan_parse(text, &ns) < 0 || ns == 0)
		return wrong_value(option, text, "is no time span like 500ms, 10s or 2min");
	*ret_ns = ns;
	return 0;
}

static int parse_option(
	struct options *options, unsigned option, const char *name, const char *text)
{
	uint64_t number = 0;

	switch (option) {
	case OPTION_SOCKET:
		options->socket = text;
		return 0;
	case OPTION_STREAM:
		options->stream = text;
		return 0;
	case OPTION_TIMEOUT:
		return parse_span(name, text, &options->timeout_ns);
	case OPTION_INTERVAL:
		return parse_span(name, text, &options->interval_ns);
	case OPTION_JSON:
		options->json = true;
		return 0;
	case OPTION_COUNT:
		if (parse_number(text, UINT64_MAX, &options->count) < 0)
			return wrong_value(name, text, "is no number of frames");
		return 0;
	case OPTION_QUALITY:
		if (parse_number(text, 100, &number) < 0)
			return wrong_value(name, text, "is not a number from 1 to 100");
		options->quality = (int)number;
		return 0;
	case OPTION_LOSSLESS:
		options->lossless = true;
		return 0;
	case OPTION_OUTPUT:
		options->output = text;
		return 0;
	case OPTION_FORMAT:
		options->format = image_format_find(text);
		if (!options->format) {
			terminal_say(
				NULL, "--format %s: is none of %s", text, image_format_names());
			return -EINVAL;
		}
		return 0;
	case OPTION_LATEST:
		options->latest = true;
		return 0;
	case OPTION_SIDECAR:
		options->sidecar = true;
		return 0;
	case OPTION_SYNC:
		options->sync = true;
		return 0;
	case OPTION_FORMATS:
		options->formats = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int parse_name(struct options *options, unsigned accepted, int argc, char **argv)
{
	int count = argc - optind;

	if (accepted & OPTION_WORDS || (accepted & OPTION_FORMATS && options->formats)) {
		options->words = argv + optind;
		options->word_count = count;
		return 0;
	}
	if (count > (accepted & OPTION_NAME ? 1 : 0)) {
		terminal_say(NULL, "%s: what is %s? `camtap %s --help` says what it takes", argv[0],
			argv[argc - 1], argv[0]);
		return -EINVAL;
	}
	if (count == 1)
		options->name = argv[optind];
	return 0;
}

int options_parse(const struct invocation *invocation, unsigned accepted, const char *usage,
	struct options *ret_options)
{
	struct options options = {
		.timeout_ns = INT64_C(1000000000) * DEFAULT_TIMEOUT_S,
		.output = ".",
		.format = &image_jpeg,
		.quality = DEFAULT_QUALITY,
	};
	char **argv = invocation->argv;
	int r, index;

	optind = 0; /* glibc: start anew */
	opterr = 0;
	for (;;) {
		int found = getopt_long(invocation->argc, argv, ":h", table, &index);

		if (found == -1)
			break;
		if (found == 'h') {
			fputs(usage, stdout);
			return OPTIONS_DONE;
		}
		if (found == ':') {
			terminal_say(NULL, "%s: %s needs a value; `camtap %s --help` says which",
				argv[0], argv[optind - 1], argv[0]);
			return -EINVAL;
		}
		if (found != 0) {
			terminal_say(NULL, "%s: unknown option %s; `camtap %s --help` lists them",
				argv[0], argv[optind - 1], argv[0]);
			return -EINVAL;
		}
		if (!(accepted & (1u << index))) {
			terminal_say(NULL, "%s: has no --%s; `camtap %s --help` lists what it has",
				argv[0], table[index].name, argv[0]);
			return -EINVAL;
		}
		r = parse_option(&options, 1u << index, table[index].name, optarg);
		if (r < 0)
			return r;
	}
	r = parse_name(&options, accepted, invocation->argc, argv);
	if (r < 0)
		return r;
	*ret_options = options;
	return OPTIONS_RUN;
}
