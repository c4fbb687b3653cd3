/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "timespan.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static const int64_t ms = 1000000, s = 1000000000;

static void spans_are_read_as_systemd_writes_them(void **state)
{
	const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{"10s", 10 * s},
		{"10", 10 * s},
		{"0", 0},
		{"500ms", 500 * ms},
		{"250us", 250000},
		{"250µs", 250000},
		{"2min", 120 * s},
		{"2m", 120 * s},
		{"1min 30s", 90 * s},
		{"1min30s", 90 * s},
		{" 1 h  30 min ", 5400 * s},
		{"1.5s", 1500 * ms},
		{"0.5h", 1800 * s},
		{"1.5", 1500 * ms},
		{"2days", 172800 * s},
		{"1w", 604800 * s},
		{"1hour 1 second", 3601 * s},
		{"0.0000000019s", 1},
		{"infinity", TIMESPAN_INFINITY},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		int64_t ns = -1;

		assert_int_equal(timespan_parse(cases[i].text, &ns), 0);
		assert_int_equal(ns, cases[i].ns);
	}
}

static void nonsense_is_refused(void **state)
{
	static const char *const wrong[] = {"", " ", "s", "-1s", "+1s", "1x", "1 fortnight", "1.s",
		".5s", "1,5s", "1e3s", "0x10", "nan", "infinitys", "1s,2s", "10 s s"};
	static const char *const huge[] = {"99999999999999999999", "9223372036854775807s",
		"300000weeks", "292y", "9223372036s 1s"};
	int64_t ns = 42;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(wrong); i++)
		assert_int_equal(timespan_parse(wrong[i], &ns), -EINVAL);
	for (size_t i = 0; i < ELEMENTS(huge); i++)
		assert_true(timespan_parse(huge[i], &ns) < 0);
	assert_int_equal(ns, 42);
}

static void spans_are_printed(void **state)
{
	const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{500 * ms, "500ms"},
		{10 * s, "10s"},
		{1500 * ms, "1.500s"},
		{120 * s, "2min"},
		{150 * s, "2min 30s"},
		{TIMESPAN_INFINITY, "infinity"},
	};
	char text[TIMESPAN_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		assert_string_equal(timespan_print(cases[i].ns, text), cases[i].text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_are_read_as_systemd_writes_them),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(spans_are_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
