/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_COMMAND_H
#define CAMTAP_CLI_COMMAND_H

/* What main() and the commands know of each other. */

#include <signal.h>

/* Exit status; the first four are a contract (camtap(1)). */
enum command_status {
	COMMAND_DONE = 0,
	COMMAND_FAILED = 1,   /* one line on standard error said what and what to do */
	COMMAND_USAGE = 2,    /* likewise */
	COMMAND_NO_FRAME = 3, /* likewise */
	COMMAND_PIPE = 4,     /* who read our output has gone: end silently, by SIGPIPE */
};

struct invocation {
	int argc;
	char **argv; /* argv[0]: the command's name */
	/* Not 0 once SIGINT or SIGTERM came: finish the frame at hand, sum up, and be done. */
	const volatile sig_atomic_t *stop;
};

/* The commands. Each returns an enum command_status. */
int list_run(const struct invocation *invocation);
int info_run(const struct invocation *invocation);
int ctl_run(const struct invocation *invocation);
int pause_run(const struct invocation *invocation);
int resume_run(const struct invocation *invocation);
int hz_run(const struct invocation *invocation);
int dump_run(const struct invocation *invocation);

#endif
