/* SPDX-License-Identifier: MIT */

/* camtap ctl: the controls of a camera's device. Only observes: it starts no camera. */

#include "command.h"
#include "control-text.h"
#include "options.h"
#include "reader.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: camtap ctl [NAME] [CONTROL[=VALUE]...] [OPTION...]\n\n"
	"Lists the controls of a camera, or prints those that are named, or sets them\n"
	"(which root and group camtap-admin may). Starts no camera.\n\n"
	"The first word is the camera if there is one of that name, or if several\n"
	"cameras are there and none is chosen by --socket or $CAMTAP_SOCKET.\n\n"
	"  --json         print one JSON object\n"
	"  --socket PATH  the camera's socket, instead of its name\n"
	"  --timeout T    give up after T without an answer (10s)\n";

/* What is to be done, after the words were told apart. */
struct job {
	struct reader reader;
	char **words; /* CONTROL or CONTROL=VALUE */
	int word_count;
	bool json;
	int gets; /* words without a value */
};

/* The length of the control's name in a word. */
static size_t name_length(const char *word)
{
	return strcspn(word, "=");
}

static bool is_set(const char *word)
{
	return strchr(word, '=') != NULL;
}

/* ---- which camera ---- */

static bool is_camera(const struct camtap_list *list, const char *word)
{
	for (size_t i = 0; i < camtap_list_count(list); i++) {
		if (strcmp(camtap_list_name(list, i), word) == 0)
			return true;
	}
	return false;
}

/* Is the first word the camera's name, not a control's? Negative errno. */
static int first_is_camera(const struct options *options)
{
	const char *chosen = getenv("CAMTAP_SOCKET");
	struct camtap_list *list;
	bool camera;
	int r;

	if (options->word_count == 0 || is_set(options->words[0]) || options->socket)
		return false;
	r = camtap_list_new(&list);
	if (r < 0)
		return r;
	camera = is_camera(list, options->words[0]) ||
		 (camtap_list_count(list) != 1 && !(chosen && chosen[0]));
	camtap_list_free(list);
	return camera;
}

/* ---- the document ---- */

static const json_t *find(const json_t *document, const char *word)
{
	const json_t *control;
	size_t i;

	json_array_foreach(json_object_get(document, "controls"), i, control)
	{
		const char *name = json_string_value(json_object_get(control, "name"));

		if (name && strlen(name) == name_length(word) &&
			strncmp(name, word, strlen(name)) == 0)
			return control;
	}
	return NULL;
}

/* Asks for all controls. NULL after a line on standard error. */
static json_t *ask(struct job *job)
{
	json_t *document;
	char *text;

	if (reader_ask(&job->reader, camtap_controls, &text) < 0)
		return NULL;
	document = json_loads(text, 0, NULL);
	free(text);
	if (json_is_object(document) &&
		json_integer_value(json_object_get(document, "schema")) == 1 &&
		json_is_array(json_object_get(document, "controls")))
		return document;
	terminal_say(NULL, "the daemon's answer is no document of controls of schema 1: is what "
			   "listens on this socket a camtapd of this version?");
	json_decref(document);
	return NULL;
}

/* Before anything is set: is there everything that is named? */
static bool check(const struct job *job, const json_t *document)
{
	for (int i = 0; i < job->word_count; i++) {
		if (!find(document, job->words[i])) {
			terminal_say(NULL,
				"%s: %.*s: no such control; `camtap ctl %s` lists those that "
				"there are",
				reader_name(&job->reader), (int)name_length(job->words[i]),
				job->words[i], reader_name(&job->reader));
			return false;
		}
	}
	return true;
}

/* ---- setting ---- */

static int set(struct job *job, const char *word)
{
	size_t length = name_length(word);
	int64_t timeout_ms = job->reader.timeout_ns / 1000000;
	char *name = strndup(word, length);
	int r;

	if (!name) {
		terminal_say(NULL, "out of memory");
		return -ENOMEM;
	}
	r = camtap_set_control(job->reader.camera, name, word + length + 1,
		timeout_ms < INT_MAX ? (int)timeout_ms : -1);
	free(name);
	if (r < 0)
		reader_say_error(&job->reader, r);
	return r;
}

/* In the order as written; the first that fails ends it. */
static int set_all(struct job *job)
{
	char *status;
	int r = 0;

	/* says what it waits for until the daemon answers; the device itself may take its time */
	if (job->gets < job->word_count && reader_ask(&job->reader, camtap_status, &status) < 0)
		return -EIO;
	if (job->gets < job->word_count)
		free(status);
	for (int i = 0; i < job->word_count && r == 0; i++) {
		if (is_set(job->words[i]))
			r = set(job, job->words[i]);
	}
	return r;
}

/* ---- printing ---- */

/* Leaves only the controls that are named, in that order. */
static void pick(const struct job *job, json_t *document)
{
	json_t *picked = json_array();

	for (int i = 0; i < job->word_count; i++) {
		const json_t *control = find(document, job->words[i]);

		if (control)
			json_array_append(picked, (json_t *)control);
	}
	json_object_set_new(document, "controls", picked);
}

static void print(const struct job *job, json_t *document)
{
	if (job->json) {
		if (job->word_count > 0)
			pick(job, document);
		json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		return;
	}
	if (job->word_count == 0)
		control_text_print_list(stdout, json_object_get(document, "controls"));
	for (int i = 0; i < job->word_count; i++) {
		const json_t *control = find(document, job->words[i]);

		if (control && !is_set(job->words[i]))
			control_text_print_value(stdout, control);
	}
}

static int run(struct job *job)
{
	bool shown = job->json || job->gets > 0 || job->word_count == 0;
	json_t *document;
	bool good;

	if (job->gets > 0 && job->gets < job->word_count) {
		document = ask(job);
		good = document && check(job, document);
		json_decref(document);
		if (!good)
			return COMMAND_FAILED;
	}
	if (set_all(job) < 0)
		return COMMAND_FAILED;
	if (!shown)
		return COMMAND_DONE;
	document = ask(job);
	good = document && check(job, document);
	if (good)
		print(job, document);
	json_decref(document);
	return good ? COMMAND_DONE : COMMAND_FAILED;
}

int ctl_run(const struct invocation *invocation)
{
	struct options options;
	struct terminal terminal;
	struct job job = {0};
	int r, status, named;

	r = options_parse(invocation, OPTION_WORDS | OPTION_SOCKET | OPTION_TIMEOUT | OPTION_JSON,
		usage, &options);
	if (r != OPTIONS_RUN)
		return r == OPTIONS_DONE ? COMMAND_DONE : COMMAND_USAGE;
	named = first_is_camera(&options);
	if (named < 0) {
		terminal_say(NULL, "ctl: cannot look for cameras: %s", strerror(-named));
		return COMMAND_FAILED;
	}
	if (named > 0)
		options.name = options.words[0];
	job.words = options.words + named;
	job.word_count = options.word_count - named;
	job.json = options.json;
	for (int i = 0; i < job.word_count; i++) {
		if (name_length(job.words[i]) == 0) {
			terminal_say(NULL,
				"ctl: what is %s? `camtap ctl --help` says what it takes",
				job.words[i][0] ? job.words[i] : "an empty word");
			return COMMAND_USAGE;
		}
		job.gets += !is_set(job.words[i]);
	}
	terminal_init(&terminal);
	r = reader_init(&job.reader, &options, "camtap ctl", CAMTAP_MODE_OBSERVE, &terminal,
		invocation->stop, &status);
	if (r < 0)
		return status;
	status = run(&job);
	reader_finish(&job.reader);
	return status;
}
