/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_REAPER_H
#define CAMTAP_DAEMON_REAPER_H

/*
 * A thread that closes file descriptors, and unmaps memory. Closing one that a client sent, or a
 * client's own socket with messages in it that carry such fds, can take seconds at the client's
 * will (a TCP socket with SO_LINGER): neither the capture nor the server thread may be the one that
 * waits.
 */

#include <stddef.h>

struct reaper;

/* `done` is called on the reaper's thread after each reaper_close() that gave a `token`. */
int reaper_create(
	void (*done)(void *token, void *userdata), void *userdata, struct reaper **ret_reaper);
/* Waits until all is closed. NULL is allowed. */
void reaper_destroy(struct reaper *reaper);

/* Takes the fds over (of -1, none); `token` may be NULL. Any thread. If there is no memory for the
 * entry, they are closed at once: late is better than never. */
void reaper_close(struct reaper *reaper, const int *fds, size_t fd_count, void *token);

/* Calls `call(argument)` on the reaper's thread, after what it was given before: for what else can
 * take as long as a client likes, such as unmapping a file that it maps, too. */
void reaper_call(struct reaper *reaper, void (*call)(void *argument), void *argument);

#endif
