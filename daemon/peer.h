/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_PEER_H
#define CAMTAP_DAEMON_PEER_H

/* Who is at the other end of a Unix socket. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PEER_PROGRAM_SIZE 64

struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int pidfd; /* readable when the process is gone; -1 if there is none to be had. The owner
		      closes it. */
	char program[PEER_PROGRAM_SIZE]; /* the command's name, printable; empty if it is hidden */
};

/* Negative errno if the kernel does not say who it is. */
int peer_init(struct peer *ret_peer, int socket);

/* Is it in one of these groups, by its own or the others that it had when it connected? */
bool peer_is_in(const struct peer *peer, int socket, const gid_t *groups, size_t count);

#endif
