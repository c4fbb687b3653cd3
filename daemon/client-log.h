/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CLIENT_LOG_H
#define CAMTAP_DAEMON_CLIENT_LOG_H

/*
 * What is logged of clients: who looks through the camera, from when to when, who was not let in,
 * and who broke the rules. One line per event; what clients say of themselves stands at its end.
 * Observers come and go without a word. Server thread.
 *
 * No user can flood the log (log-limit.h): what is left out is counted and told, at most once a
 * minute.
 */

#include "log-limit.h"
#include "wire.h"

#include <systemd/sd-event.h>

struct client;
struct server;

struct client_log {
	struct log_user_limit limit;
	sd_event_source *timer; /* lines were left out: to be told */
};

/* Tells what has not been told yet. */
void client_log_finish(struct server *server);

/* A client was let in. */
void client_log_attached(const struct client *client);
/* It has hung up. */
void client_log_gone(const struct client *client);
/* It is told REFUSED or BYE with this code and text. */
void client_log_closed(const struct client *client, enum wire_code code, const char *text);

#endif
