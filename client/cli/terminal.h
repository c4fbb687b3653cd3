/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_TERMINAL_H
#define CAMTAP_CLI_TERMINAL_H

/* Standard error: one line per message, and a progress line that is rewritten in place if standard
 * error is a terminal. */

#include <stdbool.h>

struct terminal {
	bool interactive; /* standard error is a terminal: progress is shown */
	bool shown;       /* a progress line stands there */
};

void terminal_init(struct terminal *terminal);

/* Shows one line in place of the one before; nothing unless interactive. */
void terminal_progress(struct terminal *terminal, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Takes the progress line away. NULL is allowed. */
void terminal_clear(struct terminal *terminal);

/* Prints "camtap: TEXT", made printable; a progress line makes room. `terminal` may be NULL. */
void terminal_say(struct terminal *terminal, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Replaces control characters (also the C1 ones of UTF-8), and bytes that are not UTF-8, by '?', so
 * that text that came from elsewhere can go to a terminal or into JSON. In place; returns `text`.
 */
char *terminal_printable(char *text);

#endif
