/* SPDX-License-Identifier: MIT */

/* camtap: the command. Finds the subcommand in a table and runs it. */

#include "command.h"
#include "terminal.h"

#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifndef CAMTAP_VERSION
#error "the build says the version: -DCAMTAP_VERSION=..."
#endif

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	const char *summary;
	int (*run)(const struct invocation *invocation);
	bool stops; /* SIGINT and SIGTERM end it with its summary; the others just end */
} commands[] = {
	{"list", "cameras that run or could be started, and capture devices", list_run, false},
	{"info", "state of a camera: streams, counters, who is attached", info_run, false},
	{"ctl", "list, get and set the controls of a camera: brightness, exposure ...", ctl_run,
		false},
	{"pause", "switch a camera off, for everybody", pause_run, false},
	{"resume", "switch it on again", resume_run, false},
	{"hz", "rate, jitter, missed frames and latency of a camera", hz_run, true},
	{"dump", "write a camera's frames to files or standard output", dump_run, true},
};

static volatile sig_atomic_t stop_requested;

static void request_stop(int number)
{
	(void)number;
	stop_requested = 1;
}

/* The first signal asks for the summary; SA_RESETHAND lets a second one end a process that is stuck
 * in a write. SA_RESTART: a write that is under way is finished, so that no frame on a pipe is cut
 * short. */
static void install_stop_handlers(void)
{
	struct sigaction action = {
		.sa_handler = request_stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void print_usage(FILE *stream)
{
	fputs("usage: camtap COMMAND [NAME] [OPTION...]\n\n", stream);
	for (size_t i = 0; i < ELEMENTS(commands); i++)
		fprintf(stream, "  %-6s %s\n", commands[i].name, commands[i].summary);
	fputs("\nNAME, the camera, may be left out when there is only one.\n"
	      "`camtap COMMAND --help` lists a command's options, camtap(1) says more.\n",
		stream);
}

/* Output that could not be written must not look like success. */
static int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (errno == EPIPE)
		return COMMAND_PIPE;
	terminal_say(NULL, "standard output: %s", strerror(errno));
	return COMMAND_FAILED;
}

static int run(int argc, char **argv)
{
	const struct invocation invocation = {argc - 1, argv + 1, &stop_requested};

	if (argc < 2) {
		print_usage(stderr);
		return COMMAND_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage(stdout);
		return COMMAND_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("camtap " CAMTAP_VERSION);
		return COMMAND_DONE;
	}
	for (size_t i = 0; i < ELEMENTS(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (commands[i].stops)
			install_stop_handlers();
		return commands[i].run(&invocation);
	}
	terminal_say(NULL, "unknown command %s; camtap --help lists them", argv[1]);
	return COMMAND_USAGE;
}

int main(int argc, char **argv)
{
	int status;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN); /* until everything is cleaned up */
	status = finish_output(run(argc, argv));
	if (status == COMMAND_PIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	return status;
}
