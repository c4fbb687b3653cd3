/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_REFUSAL_H
#define CAMTAP_DAEMON_REFUSAL_H

/*
 * A daemon that cannot begin, because its configuration is wrong, answers the clients that wait for
 * it in the service manager's socket. That is for their sake (they are told what is wrong instead
 * of waiting for ever), and for the machine's: a connection that is left in the queue would have
 * the service started again as soon as it has ended.
 */

#include <stdbool.h>

/* Was this process given a listening socket by the service manager? */
bool refusal_has_listener(void);

/* Sends REFUSED with that text to everybody who waits now. Without a socket of the service
 * manager's: nothing. Takes a second at most. */
void refusal_answer_waiting(const char *text);

#endif
