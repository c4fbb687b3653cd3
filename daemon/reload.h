/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_RELOAD_H
#define CAMTAP_DAEMON_RELOAD_H

/* SIGHUP: the configuration is read anew, and what can change while frames come, changes. */

struct options;
struct server;

/* Reads what `options` were read from again, and applies what the settings table marks (reload),
 * and the controls. The rest is named in the log: it takes a restart. A configuration that is wrong
 * is logged, and everything stays as it was. Server thread. */
void reload(struct server *server);

#endif
