/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SERVICE_H
#define CAMTAP_DAEMON_SERVICE_H

/*
 * What the service manager is told (sd_notify(3)): that the socket accepts, what `systemctl status`
 * shows, that the daemon is alive, that it reads its configuration anew, that it stops.
 *
 * The watchdog is fed by progress: a timer of the server thread asks the capture thread for a sign
 * of life, and says WATCHDOG=1 only if the last one was given. With an eighth of WatchdogSec= as
 * the timer's pause, a thread that hangs is noticed within 9/8 of WatchdogSec=, to which systemd
 * adds up to a quarter of a second.
 *
 * Without a service manager ($NOTIFY_SOCKET) nothing happens. Server thread only.
 */

#include "start-history.h"

struct server;
struct service;

/* `history` may be NULL. Negative errno. */
int service_create(
	struct server *server, struct start_history *history, struct service **ret_service);
void service_destroy(struct service *service);

/* The socket accepts. */
void service_ready(struct service *service);
/* The camera's state has changed, or how many readers there are: the status text follows soon. */
void service_changed(struct service *service);
/* The configuration is read anew; service_ready() ends that. */
void service_reloading(struct service *service);
void service_stopping(struct service *service);

#endif
