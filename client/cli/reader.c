/* SPDX-License-Identifier: MIT */
#include "reader.h"

#include "clock.h"
#include "timespan.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static const int64_t second_ns = 1000000000;

enum {
	SLICE_MS = 1000, /* after which it is said what is waited for */
};

static bool is_name(const char *text)
{
	return text[0] != '\0' && text[0] != '.' && text[0] != '-' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "_.-")] == '\0';
}

const char *reader_name(const struct reader *reader)
{
	const char *name = camtap_name(reader->camera);

	if (name && is_name(name))
		return name;
	return reader->given && is_name(reader->given) ? reader->given : "camera";
}

/* "front: TEXT" where a name is known, so that lines of several commands can be told apart; the
 * library's texts may have it already. */
static void say(struct reader *reader, const char *text)
{
	const char *name = camtap_name(reader->camera);
	size_t length;

	if (!name)
		name = reader->given ? reader->given : "";
	length = strlen(name);
	if (length == 0 || (strncmp(text, name, length) == 0 && text[length] == ':'))
		terminal_say(reader->terminal, "%s", text);
	else
		terminal_say(reader->terminal, "%s: %s", name, text);
}

void reader_say_error(struct reader *reader, int error_number)
{
	const char *text = camtap_error_text(reader->camera); /* valid until the next call */
	char copy[READER_REASON_SIZE];

	snprintf(copy, sizeof(copy), "%s", text[0] ? text : strerror(-error_number));
	say(reader, copy);
}

static int configure(struct reader *reader, const struct options *options, const char *program,
	enum camtap_mode mode)
{
	struct camtap *camera = reader->camera;
	int r;

	r = camtap_set_camera(camera, options->name);
	if (r == 0)
		r = camtap_set_socket(camera, options->socket);
	if (r == 0)
		r = camtap_set_stream(camera, options->stream);
	if (r == 0)
		r = camtap_set_client_name(camera, program);
	if (r == 0)
		r = camtap_set_mode(camera, mode);
	return r;
}

int reader_init(struct reader *ret_reader, const struct options *options, const char *program,
	enum camtap_mode mode, struct terminal *terminal, const volatile sig_atomic_t *stop,
	int *ret_status)
{
	struct reader reader = {
		.terminal = terminal,
		.stop = stop,
		.given = options->name ? options->name : options->socket,
		.timeout_ns = options->timeout_ns,
		.latest = options->latest,
	};
	int r;

	r = camtap_new(&reader.camera);
	if (r < 0) {
		terminal_say(terminal, "%s", strerror(-r));
		*ret_status = COMMAND_FAILED;
		return r;
	}
	r = configure(&reader, options, program, mode);
	if (r < 0) {
		reader_say_error(&reader, r);
		*ret_status = COMMAND_USAGE;
		goto close_camera;
	}
	r = camtap_connect(reader.camera);
	if (r < 0) {
		reader_say_error(&reader, r);
		*ret_status = COMMAND_FAILED;
		goto close_camera;
	}
	*ret_reader = reader;
	return 0;

close_camera:
	camtap_close(reader.camera);
	return r;
}

void reader_finish(struct reader *reader)
{
	camtap_close(reader->camera);
	reader->camera = NULL;
}

static void copy_reason(const struct reader *reader, char reason[READER_REASON_SIZE])
{
	const char *text = camtap_event_text(reader->camera);

	snprintf(reason, READER_REASON_SIZE, "%s", text[0] ? text : "nothing has come yet");
}

void reader_say_reason(struct reader *reader)
{
	char reason[READER_REASON_SIZE], line[READER_REASON_SIZE + 32];

	copy_reason(reader, reason);
	if (strcmp(reason, reader->told) == 0)
		return;
	memcpy(reader->told, reason, sizeof(reason));
	snprintf(line, sizeof(line), "waiting: %s", reason);
	say(reader, line);
}

void reader_say_timeout(struct reader *reader, const char *what)
{
	char reason[READER_REASON_SIZE], line[READER_REASON_SIZE + 64];
	char span[TIMESPAN_TEXT_SIZE];

	copy_reason(reader, reason);
	snprintf(line, sizeof(line), "%s for %s: %s", what,
		timespan_print(reader->timeout_ns, span), reason);
	say(reader, line);
}

/* Sleeps until the camera has something, a signal comes, or the time is there. Signals are let
 * through only while sleeping, so that none slips in between the look at `stop` and the sleep. */
static void wait_until(struct reader *reader, int64_t until_ns)
{
	struct pollfd pollfd = {.fd = camtap_fd(reader->camera), .events = POLLIN};
	struct timespec span;
	sigset_t stopping, before;
	int64_t ns;

	sigemptyset(&stopping);
	sigaddset(&stopping, SIGINT);
	sigaddset(&stopping, SIGTERM);
	sigprocmask(SIG_BLOCK, &stopping, &before);
	ns = until_ns - clock_now();
	ns = ns < 0 ? 0 : ns;
	span = (struct timespec){.tv_sec = ns / second_ns, .tv_nsec = ns % second_ns};
	if (!*reader->stop)
		ppoll(&pollfd, 1, until_ns == INT64_MAX ? NULL : &span, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int reader_next(struct reader *reader, int64_t deadline_ns, struct camtap_frame **ret_frame)
{
	int64_t start_ns = clock_now(), timeout_ns = INT64_MAX, tell_ns = start_ns + second_ns;

	if (reader->timeout_ns < INT64_MAX - start_ns)
		timeout_ns = start_ns + reader->timeout_ns;
	for (;;) {
		int64_t now_ns;
		int r;

		if (*reader->stop)
			return READER_STOPPED;
		r = reader->latest ? camtap_latest(reader->camera, ret_frame, 0)
				   : camtap_next(reader->camera, ret_frame, 0);
		now_ns = clock_now();
		if (r < 0) {
			reader_say_error(reader, r);
			return r;
		}
		if (r == CAMTAP_FRAME) {
			reader->received_ns = now_ns;
			reader->told[0] = '\0';
			return READER_FRAME;
		}
		if (r == CAMTAP_ENDED)
			return READER_ENDED;
		if (r == CAMTAP_DISCONTINUITY) {
			reader->discontinuities++;
			say(reader, "discontinuity: the daemon or the camera was restarted");
		}
		if (r != CAMTAP_TRY_AGAIN)
			continue;

		if (now_ns >= deadline_ns)
			return READER_DEADLINE;
		if (now_ns >= timeout_ns) {
			reader_say_timeout(reader, "no frame");
			return READER_NO_FRAME;
		}
		if (now_ns >= tell_ns) {
			reader_say_reason(reader);
			tell_ns = now_ns + second_ns;
		}
		wait_until(reader, earlier(earlier(deadline_ns, timeout_ns), tell_ns));
	}
}

int reader_ask(struct reader *reader,
	int (*question)(struct camtap *camera, char **ret_json, int timeout_ms), char **ret_text)
{
	int64_t start_ns = clock_now();

	for (;;) {
		int64_t left_ns = reader->timeout_ns - (clock_now() - start_ns);
		int64_t left_ms = left_ns <= 0 ? 0 : left_ns / 1000000 + 1;
		int r = question(
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
