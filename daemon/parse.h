/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_PARSE_H
#define CAMTAP_DAEMON_PARSE_H

/*
 * Values as an administrator writes them. Strict: the whole text is the value, without signs, and
 * nothing is guessed. Pure functions, any thread. All give 0, or -EINVAL: not such a value, or
 * -ERANGE: one that is too large or too small; outputs are written on success only.
 */

#include <stdbool.h>
#include <stdint.h>

/* "yes", "true", "on", "1" or "no", "false", "off", "0", in either case: as systemd.syntax(7). */
int parse_boolean(const char *text, bool *ret_value);

/* A decimal number from min to max. */
int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);

/* A number of bytes, with one of the suffixes B, K, M, G, T to the base of 1024 (systemd's, as in
 * MemoryMax= of systemd.resource-control(5)). */
int parse_bytes(const char *text, uint64_t *ret_bytes);

/* A time span as systemd.time(7) has it: "250ms", "1min 30s", "0.5s"; without a unit: seconds.
 * Units from ns to weeks; months, years and "infinity" are not known. At most INT64_MAX
 * nanoseconds, and nothing below a nanosecond. */
int parse_timespan(const char *text, uint64_t *ret_ns);

/* "1920x1080": pixels, each from 1 to max. */
int parse_dimensions(const char *text, uint32_t max, uint32_t *ret_width, uint32_t *ret_height);

/* Frames per second: "30", "29.97" (up to six decimals), "30000/1001"; reduced, so that "0" is 0/1.
 * At most ten million in numerator and denominator of the reduced fraction. */
int parse_rate(const char *text, uint32_t *ret_numerator, uint32_t *ret_denominator);

#endif
