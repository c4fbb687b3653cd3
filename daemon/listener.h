/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_LISTENER_H
#define CAMTAP_DAEMON_LISTENER_H

/* The listening socket: systemd's if it passed one, else one of our own in the camera's directory.
 */

#include "address.h"

#include <stdbool.h>

struct listener {
	int fd;
	int lock_fd;                  /* of an own socket: held for the daemon's life */
	char path[ADDRESS_PATH_SIZE]; /* of an own socket; empty if systemd's */
};

/* `path` NULL: /run/camtap/NAME/socket for root, $XDG_RUNTIME_DIR/camtap/NAME/socket for others.
 * Negative errno after one line on standard error; -EADDRINUSE: a daemon of that name runs. */
int listener_init(struct listener *ret_listener, const char *name, const char *path);
/* Closes it; removes an own socket, its lock and its directory if that is empty. */
void listener_finish(struct listener *listener);

#endif
