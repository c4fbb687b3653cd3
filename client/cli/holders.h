/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_HOLDERS_H
#define CAMTAP_CLI_HOLDERS_H

/* Which processes have a device open, as far as this user may know: the kernel shows a process's
 * open files to its own user and to root. */

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

enum {
	HOLDER_PROGRAM_SIZE = 64,
};

struct holder {
	dev_t node;
	pid_t pid;
	char program[HOLDER_PROGRAM_SIZE]; /* as ps(1) shows it, made printable */
	/* The socket that it listens on, if it is a camtapd; else "". Made printable. */
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
};

struct holders {
	struct holder *entries; /* a process comes once for each device */
	size_t count;
	unsigned hidden; /* processes that could not be looked at */
};

/* Looks through all processes of `proc` ("/proc") for the devices. It does not wait for a file
 * system that hangs. Without a /proc there are none. -ENOMEM. */
int holders_init(
	struct holders *ret_holders, const char *proc, const dev_t *nodes, size_t node_count);
void holders_finish(struct holders *holders);

#endif
