/* SPDX-License-Identifier: MIT */
#include "camera.h"
#include "listener.h"
#include "log.h"
#include "options.h"
#include "pause.h"
#include "server.h"
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

enum exit_status {
	EXIT_RIGHT = 0,
	EXIT_FAILED = 1,        /* it could not be done */
	EXIT_CONFIGURATION = 2, /* it can never be done as it was asked for */
};

static int serve(const struct options *options, struct source *source)
{
	struct listener listener;
	struct camera_pause pause;
	char error[SOURCE_TEXT_SIZE];
	int result;

	/* a camera that is switched off is not even tried */
	if (!options->wait && !pause_load(options->name, &pause)) {
		result = camera_try(options, source, error);
		if (result < 0) {
			log_error("%s", error);
			return result == -EINVAL ? EXIT_CONFIGURATION : EXIT_FAILED;
		}
	}
	server_block_signals(); /* from here on there is a socket to remove */
	if (listener_init(&listener, options->name, options->socket) < 0)
		return EXIT_FAILED;
	result = server_run(options, source, &listener);
	listener_finish(&listener);
	return result < 0 ? EXIT_FAILED : EXIT_RIGHT;
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
	struct source *source;
	char error[SOURCE_TEXT_SIZE];
	int outcome, status;

	raise_fd_limit();
	outcome = options_load(&options, argc, argv);
	if (outcome != OPTIONS_RUN)
		return outcome == OPTIONS_DONE ? EXIT_RIGHT : EXIT_CONFIGURATION;
	if (source_create(&options, &source, error) < 0) {
		log_error("%s", error);
		status = EXIT_CONFIGURATION;
		goto finish_options;
	}
	if (options.check_config) {
		printf("%s: options and configuration are right\n", options.name);
		status = EXIT_RIGHT;
	} else {
		status = serve(&options, source);
	}
	source_destroy(source);
finish_options:
	options_finish(&options);
	return status;
}
