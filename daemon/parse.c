/* SPDX-License-Identifier: MIT */
#include "parse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the digits at *text, of which there must be one, and moves *text behind them. */
static int read_number(const char **text, uint64_t *ret_value)
{
	const char *c = *text;
	uint64_t value = 0;

	if (!is_digit(*c))
		return -EINVAL;
	for (; is_digit(*c); c++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
			return -ERANGE;
	*text = c;
	*ret_value = value;
	return 0;
}

/* Reads a decimal fraction as *ret_value / *ret_scale, a power of ten with at most max_digits
 * digits behind the point. */
static int read_decimal(
	const char **text, unsigned int max_digits, uint64_t *ret_value, uint64_t *ret_scale)
{
	const char *c = *text;
	uint64_t value, scale = 1;
	unsigned int digits = 0;
	int r;

	r = read_number(&c, &value);
	if (r < 0)
		return r;
	if (*c == '.') {
		c++;
		if (!is_digit(*c))
			return -EINVAL;
		for (; is_digit(*c); c++) {
			if (++digits > max_digits || __builtin_mul_overflow(value, 10, &value) ||
				__builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
				return -ERANGE;
			scale *= 10;
		}
	}
	*text = c;
	*ret_value = value;
	*ret_scale = scale;
	return 0;
}

int parse_boolean(const char *text, bool *ret_value)
{
	static const char *const words[][2] = {
		{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		for (int value = 0; value < 2; value++)
			if (strcasecmp(text, words[i][value]) == 0) {
				*ret_value = value;
				return 0;
			}
	return -EINVAL;
}

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	int r;

	r = read_number(&text, &value);
	if (r < 0)
		return r;
	if (*text != '\0')
		return -EINVAL;
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_bytes(const char *text, uint64_t *ret_bytes)
{
	static const char suffixes[] = "BKMGT";
	uint64_t value;
	int r;

	r = read_number(&text, &value);
	if (r < 0)
		return r;
	if (*text != '\0') {
		const char *suffix = strchr(suffixes, *text);

		if (suffix == NULL || text[1] != '\0')
			return -EINVAL;
		if (__builtin_mul_overflow(value, UINT64_C(1) << 10 * (suffix - suffixes), &value))
			return -ERANGE;
	}
	*ret_bytes = value;
	return 0;
}

int parse_timespan(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ns", 1},
		{"nsec", 1},
		{"us", 1000},
		{"\u00b5s", 1000}, /* micro sign */
		{"\u03bcs", 1000}, /* Greek letter mu */
		{"usec", 1000},
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
	static const char blanks[] = " \t";
	uint64_t sum = 0;

	text += strspn(text, blanks);
	do {
		uint64_t value, scale, ns = 0;
		size_t length;
		int r;

		r = read_decimal(&text, 9, &value, &scale);
		if (r < 0)
			return r;
		text += strspn(text, blanks);
		length = strcspn(text, " \t0123456789.");
		for (size_t i = 0; i < ARRAY_SIZE(units) && ns == 0; i++)
			if (strlen(units[i].name) == length &&
				memcmp(units[i].name, text, length) == 0)
				ns = units[i].ns;
		if (ns == 0)
			return -EINVAL;
		text += length;
		text += strspn(text, blanks);
		if (__builtin_mul_overflow(value, ns, &value))
			return -ERANGE;
		if (value % scale != 0)
			return -ERANGE;
		if (__builtin_add_overflow(sum, value / scale, &sum) || sum > INT64_MAX)
			return -ERANGE;
	} while (*text != '\0');
	*ret_ns = sum;
	return 0;
}

int parse_dimensions(const char *text, uint32_t max, uint32_t *ret_width, uint32_t *ret_height)
{
	uint64_t width, height;
	int r;

	r = read_number(&text, &width);
	if (r < 0)
		return r;
	if (*text++ != 'x')
		return -EINVAL;
	r = parse_number(text, 1, max, &height);
	if (r < 0)
		return r;
	if (width < 1 || width > max)
		return -ERANGE;
	*ret_width = (uint32_t)width;
	*ret_height = (uint32_t)height;
	return 0;
}

int parse_rate(const char *text, uint32_t *ret_numerator, uint32_t *ret_denominator)
{
	const uint32_t most = 10000000;
	uint64_t numerator, denominator, a, b;
	int r;

	if (strchr(text, '/') != NULL) {
		r = read_number(&text, &numerator);
		if (r < 0)
			return r;
		if (*text++ != '/')
			return -EINVAL;
		r = parse_number(text, 1, UINT64_MAX, &denominator);
		if (r < 0)
			return r;
	} else {
		r = read_decimal(&text, 6, &numerator, &denominator);
		if (r < 0)
			return r;
		if (*text != '\0')
			return -EINVAL;
	}
	for (a = numerator, b = denominator; b != 0;) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	if (numerator / a > most || denominator / a > most)
		return -ERANGE;
	*ret_numerator = (uint32_t)(numerator / a);
	*ret_denominator = (uint32_t)(denominator / a);
	return 0;
}
