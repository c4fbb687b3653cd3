/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CLIENT_INTERNAL_H
#define CAMTAP_DAEMON_CLIENT_INTERNAL_H

/* Between client.c, a connection, and its parts: client-send.c, and what a client asks:
 * client-controls.c and client-pause.c. Server thread. */

#include "client.h"

/* ---- client-send.c ---- */

/* Sends a message to the client, timed as all are (announce.h). 0, or a negative errno: -EAGAIN
 * without room. */
int client_send(
	struct client *client, const struct wire_header *message, const int *fds, size_t fd_count);
/* Sends a message with a document in a sealed memfd of its own. -EBUSY: too many of these wait in
 * the client's queue already. */
int client_send_document(
	struct client *client, const struct wire_header *message, const char *document);
/* Sends SOURCE, with the camera's state as it is now. */
int client_send_source(struct client *client);
/* It is owed this, and gets it as soon as there is room. */
void client_owe(struct client *client, enum client_owed what);
/* Sends what is owed, in the order of the bits, until there is no more room; then waits for room.
 * Can begin the client's end. */
void client_flush(struct client *client);

/* After what woke the client: it can make that expensive (announce.h), and is a suspect then.
 * `before`: clock_now() before that. */
void client_look_at_cost(struct client *client, int64_t before);
/* Makes it a suspect: client_probe() comes next. */
void client_suspect(struct client *client);
bool client_is_suspect(const struct client *client);

/* ---- client-controls.c ---- */

/* CONTROLS or SET_CONTROL has come. */
void client_on_controls(struct client *client, const void *buffer, size_t length);
/* Sends the answers that are there. */
int client_send_controls(struct client *client);
/* It has hung up. */
void client_forget_controls(struct client *client);

/* ---- client-pause.c ---- */

/* SET_PAUSED has come. */
void client_on_set_paused(struct client *client, const void *buffer, size_t length);
/* Sends the answer that is there. */
int client_send_pause(struct client *client);

#endif
