/* SPDX-License-Identifier: MIT */
#include "access.h"
#include "camera.h"
#include "listener.h"
#include "log-messages.h"
#include "log.h"
#include "options.h"
#include "pause.h"
#include "refusal.h"
#include "server.h"
#include "source.h"
#include "start-history.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum exit_status {
	EXIT_RIGHT = 0,
	EXIT_FAILED = 1,        /* it could not be done */
	EXIT_CONFIGURATION = 2, /* it can never be done as it was asked for */
};

/* What was asked for can never be done: says so to the log, and to those who wait for a camera. */
static int misconfigured(const char *error)
{
	struct start_history history;

	log_event(LOG_ERR,
		&(struct log_fields){.message_id = LOG_CONFIGURATION_WRONG, .error = EINVAL}, "%s",
		error);
	/* as a service only: --check-config is for people */
	if (refusal_has_listener()) {
		start_history_begin(&history, START_FAILURE_CONFIGURATION);
		(void)start_history_wait(&history);
		refusal_answer_waiting(error);
	}
	return EXIT_CONFIGURATION;
}

static int serve(struct options *options, struct source *source, struct start_history *history)
{
	struct listener listener;
	struct camera_pause pause;
	char error[SOURCE_TEXT_SIZE];
	int result;

	/* a camera that is switched off is not even tried */
	if (!options->wait && !pause_load(options->name, &pause)) {
		result = camera_try(options, source, error);
		if (result == -EINVAL)
			return misconfigured(error);
		if (result < 0) {
			log_event(LOG_ERR,
				&(struct log_fields){.message_id = LOG_START_FAILED,
					.camera = options->name,
					.error = result},
				"%s", error);
			return EXIT_FAILED;
		}
	}
	server_block_signals(); /* from here on there is a socket to remove */
	if (listener_init(&listener, options->name, options->socket) < 0)
		return EXIT_FAILED;
	result = server_run(options, source, &listener, history);
	listener_finish(&listener);
	return result < 0 ? EXIT_FAILED : EXIT_RIGHT;
}

/* Maybe nobody has a camera of that name, because it is misspelt. */
static void say_what_is_awaited(const struct options *options)
{
	if (options->source_assumed && access(options->source, F_OK) < 0)
		log_event(LOG_WARNING,
			&(struct log_fields){
				.message_id = LOG_CAMERA_AWAITED, .camera = options->name},
			"%s: there is no %s: waiting for it; `camtap list` shows the cameras that "
			"are plugged in, any other source must be set in section [Camera] "
			"of " OPTIONS_DIRECTORY "/%s.conf",
			options->name, options->source, options->name);
}

static int run(struct options *options)
{
	struct start_history history;
	struct source *source;
	char error[SOURCE_TEXT_SIZE];
	int status = EXIT_RIGHT;

	if (source_create(options, &source, error) < 0)
		return misconfigured(error);
	say_what_is_awaited(options);
	if (options->check_config) {
		struct access access;

		if (access_init(&access, options) == 0) /* says which names nobody has */
			access_finish(&access);
		printf("%s: options and configuration are right\n", options->name);
	} else {
		start_history_begin(&history, START_FAILURE_RUN);
		if (start_history_wait(&history))
			status = serve(options, source, &history);
		if (status == EXIT_RIGHT)
			start_history_forget(&history);
	}
	source_destroy(source);
	return status;
}

/* File descriptors on their way to clients count against the soft limit, which is low for
 * select()'s sake. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct options options;
	char error[OPTIONS_ERROR_SIZE];
	int outcome, status;

	raise_fd_limit();
	outcome = options_read(&options, OPTIONS_DIRECTORY, argc, argv, error);
	if (outcome < 0)
		return misconfigured(error);
	if (outcome == OPTIONS_DONE)
		return EXIT_RIGHT;
	status = run(&options);
	options_finish(&options);
	return status;
}
