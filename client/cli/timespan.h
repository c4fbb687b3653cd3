/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_TIMESPAN_H
#define CAMTAP_CLI_TIMESPAN_H

#include <stdint.h>

/* As long as one can wait. */
#define TIMESPAN_INFINITY INT64_MAX

/* Reads a time span as systemd writes them (systemd.time(7), "PARSING TIME SPANS"): numbers with
 * units, added up, "500ms", "10s", "1min 30s", "1.5h"; a number alone is seconds; "infinity".
 * Writes nanoseconds, at least 0. -EINVAL, -ERANGE. */
int timespan_parse(const char *text, int64_t *ret_ns);

#define TIMESPAN_TEXT_SIZE 32
/* Writes a time span for people: "500ms", "10s", "2min 30s", "infinity"; precise to a millisecond.
 * Returns `text`. */
const char *timespan_print(int64_t ns, char text[TIMESPAN_TEXT_SIZE]);

#endif
