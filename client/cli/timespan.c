/* SPDX-License-Identifier: MIT */
#include "timespan.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static const int64_t second_ns = 1000000000;

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
	{"us", 1000},
	{"usec", 1000},
	{"µs", 1000},
	{"ms", 1000000},
	{"msec", 1000000},
	{"", 1000000000},
	{"s", 1000000000},
	{"sec", 1000000000},
	{"second", 1000000000},
	{"seconds", 1000000000},
	{"m", 60000000000},
	{"min", 60000000000},
	{"minute", 60000000000},
	{"minutes", 60000000000},
	{"h", 3600000000000},
	{"hr", 3600000000000},
	{"hour", 3600000000000},
	{"hours", 3600000000000},
	{"d", 86400000000000},
	{"day", 86400000000000},
	{"days", 86400000000000},
	{"w", 604800000000000},
	{"week", 604800000000000},
	{"weeks", 604800000000000},
};

/* Finds the unit that ends where the next number, a blank or the text ends. */
static bool find_unit(const char *text, size_t *ret_length, int64_t *ret_ns)
{
	size_t length = strcspn(text, " \t0123456789.");

	for (size_t i = 0; i < ELEMENTS(units); i++) {
		if (strlen(units[i].name) == length && strncmp(units[i].name, text, length) == 0) {
			*ret_length = length;
			*ret_ns = units[i].ns;
			return true;
		}
	}
	return false;
}

int timespan_parse(const char *text, int64_t *ret_ns)
{
	int64_t sum = 0;
	bool any = false;

	text += strspn(text, " \t");
	if (strcmp(text, "infinity") == 0) {
		*ret_ns = TIMESPAN_INFINITY;
		return 0;
	}
	while (*text) {
		int64_t whole = 0, fraction = 0, fraction_unit = 1, unit, part;
		size_t length;

		/* Not strtod(): it takes signs, "nan" and the locale's comma. */
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		for (; isdigit((unsigned char)*text); text++) {
			if (__builtin_mul_overflow(whole, 10, &whole) ||
				__builtin_add_overflow(whole, *text - '0', &whole))
				return -ERANGE;
		}
		if (*text == '.') {
			text++;
			if (!isdigit((unsigned char)*text))
				return -EINVAL;
			for (; isdigit((unsigned char)*text); text++) {
				if (fraction_unit == second_ns)
					continue; /* finer than a nanosecond of a second */
				fraction = fraction * 10 + (*text - '0');
				fraction_unit *= 10;
			}
		}
		text += strspn(text, " \t");
		if (!find_unit(text, &length, &unit))
			return -EINVAL;
		text += length;
		text += strspn(text, " \t");

		/* At most 1e9 / 1e9 weeks of 6e14 ns: in 128 bits without a thought. */
		if (__builtin_mul_overflow(whole, unit, &part) ||
			__builtin_add_overflow(sum, part, &sum) ||
			__builtin_add_overflow(
				sum, (int64_t)((__int128)fraction * unit / fraction_unit), &sum))
			return -ERANGE;
		any = true;
	}
	if (!any)
		return -EINVAL;
	*ret_ns = sum;
	return 0;
}

const char *timespan_print(int64_t ns, char text[TIMESPAN_TEXT_SIZE])
{
	int64_t minutes = ns / (60 * second_ns);
	int64_t ms = ns / 1000000 % 60000;

	if (ns == TIMESPAN_INFINITY)
		snprintf(text, TIMESPAN_TEXT_SIZE, "infinity");
	else if (minutes > 0 && ms == 0)
		snprintf(text, TIMESPAN_TEXT_SIZE, "%" PRId64 "min", minutes);
	else if (minutes > 0)
		snprintf(text, TIMESPAN_TEXT_SIZE, "%" PRId64 "min %" PRId64 "s", minutes,
			ms / 1000);
	else if (ms % 1000 == 0)
		snprintf(text, TIMESPAN_TEXT_SIZE, "%" PRId64 "s", ms / 1000);
	else if (ms < 1000)
		snprintf(text, TIMESPAN_TEXT_SIZE, "%" PRId64 "ms", ms);
	else
		snprintf(text, TIMESPAN_TEXT_SIZE, "%" PRId64 ".%03" PRId64 "s", ms / 1000,
			ms % 1000);
	return text;
}
