/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_COMMAND_H
#define CAMTAP_DAEMON_COMMAND_H

/* A shell command whose output is read (exec: sources). Capture thread only. */

#include <sys/types.h>

struct command {
	pid_t pid;        /* 0: none */
	char failure[64]; /* how it ended, if badly */
};

/* Runs `sh -c text` in a process group of its own, standard input from /dev/null; it dies with the
 * daemon. *ret_fd: its output, non-blocking, the caller's to close. */
int command_start(struct command *command, const char *text, int *ret_fd);

#define COMMAND_PATIENCE_MSEC 500

/* Waits at most `patience_msec` for the command to end by itself, then ends it (SIGTERM to its
 * group, SIGKILL after COMMAND_PATIENCE_MSEC). None: nothing. 0: it ended by itself with status 0,
 * or was ended here; else -EIO, and `failure` says how. */
int command_stop(struct command *command, int patience_msec);

#endif
