/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_LOG_H
#define CAMTAP_DAEMON_LOG_H

/*
 * One line per event. Where standard error is the journal, it goes there with its fields
 * (sd_journal_sendv(3)), otherwise to standard error, with the kernel's <N> priority prefix when
 * that is no terminal (sd-daemon(3)).
 *
 * Any thread, but nothing that streams: the journal may be slow. A healthy run logs nothing but its
 * changes of state and the readers that come and go. What others say of themselves must be
 * printable (message_printable()) before it gets here.
 */

#include <syslog.h>

struct peer;

/* What is known beside the text; all may be left out. */
struct log_fields {
	const char *message_id;  /* MESSAGE_ID=: log-messages.h */
	const char *camera;      /* CAMTAP_CAMERA=; the line begins with it, too: "NAME: ..." */
	const char *state;       /* CAMTAP_STATE=: camera_state_to_string() */
	const struct peer *peer; /* CAMTAP_CLIENT_PID=, _UID=, _PROGRAM= */
	const char *client;      /* CAMTAP_CLIENT_NAME=: what it calls itself */
	const char *stream;      /* CAMTAP_STREAM=: what it reads */
	int error;               /* ERRNO=: positive or negative errno; 0: none */
};

/* `fields` may be NULL. Priorities are those of syslog(3). */
void log_event(int priority, const struct log_fields *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Lines without fields. */
#define log_error(...)   log_event(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_event(LOG_WARNING, NULL, __VA_ARGS__)
#define log_info(...)    log_event(LOG_INFO, NULL, __VA_ARGS__)

#endif
