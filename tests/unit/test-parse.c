/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parse.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static void booleans_are_systemds_words(void **state)
{
	static const struct {
		const char *text;
		int result;
		bool value;
	} cases[] = {
		{"yes", 0, true},
		{"TRUE", 0, true},
		{"On", 0, true},
		{"1", 0, true},
		{"no", 0, false},
		{"false", 0, false},
		{"off", 0, false},
		{"0", 0, false},
		{"", -EINVAL, false},
		{"y", -EINVAL, false},
		{"yes ", -EINVAL, false},
		{"2", -EINVAL, false},
		{"on off", -EINVAL, false},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		bool value = !cases[i].value;

		assert_int_equal(parse_boolean(cases[i].text, &value), cases[i].result);
		/* untouched after an error */
		assert_int_equal(value, cases[i].result == 0 ? cases[i].value : !cases[i].value);
	}
}

static void numbers_keep_to_their_range(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} cases[] = {
		{"3", 0, 3},
		{"64", 0, 64},
		{"0000000000000000000000000007", 0, 7},
		{"2", -ERANGE, 0},
		{"65", -ERANGE, 0},
		{"18446744073709551615", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"18446744073709551620", -ERANGE, 0},
		{"100000000000000000000000000000", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"-3", -EINVAL, 0},
		{"+3", -EINVAL, 0},
		{" 3", -EINVAL, 0},
		{"3 ", -EINVAL, 0},
		{"3.0", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"3x", -EINVAL, 0},
	};
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		value = 0;
		assert_int_equal(parse_number(cases[i].text, 3, 64, &value), cases[i].result);
		assert_int_equal(value, cases[i].value);
	}
	assert_int_equal(parse_number("18446744073709551615", 0, UINT64_MAX, &value), 0);
	assert_int_equal(value, UINT64_MAX);
}

static void bytes_have_binary_suffixes(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"512B", 0, 512},
		{"4K", 0, 4096},
		{"256M", 0, UINT64_C(268435456)},
		{"1G", 0, UINT64_C(1073741824)},
		{"2T", 0, UINT64_C(2199023255552)},
		{"16777215T", 0, UINT64_C(16777215) << 40},
		{"16777216T", -ERANGE, 0},
		{"99999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"M", -EINVAL, 0},
		{"1g", -EINVAL, 0},
		{"1 G", -EINVAL, 0},
		{"1GB", -EINVAL, 0},
		{"1GiB", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"-1M", -EINVAL, 0},
		{"infinity", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		uint64_t value = 0;

		assert_int_equal(parse_bytes(cases[i].text, &value), cases[i].result);
		assert_int_equal(value, cases[i].value);
	}
}

static void timespans_are_systemds(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t ns;
	} cases[] = {
		{"0", 0, 0},
		{"5", 0, UINT64_C(5000000000)},
		{"5s", 0, UINT64_C(5000000000)},
		{"5 seconds", 0, UINT64_C(5000000000)},
		{"250ms", 0, 250000000},
		{"250 msec", 0, 250000000},
		{"10us", 0, 10000},
		{"10\302\265s", 0, 10000},
		{"10\316\274s", 0, 10000},
		{"7ns", 0, 7},
		{"0.5s", 0, 500000000},
		{"1.000000001s", 0, 1000000001},
		{"1.5", 0, 1500000000},
		{"1min 30s", 0, UINT64_C(90000000000)},
		{"1min30s", 0, UINT64_C(90000000000)},
		{" 1 min\t30 s ", 0, UINT64_C(90000000000)},
		{"1m", 0, UINT64_C(60000000000)},
		{"2h", 0, UINT64_C(7200000000000)},
		{"1d 1w", 0, UINT64_C(691200000000000)},
		{"9223372036854775807ns", 0, INT64_MAX},
		{"9223372036854775808ns", -ERANGE, 0},
		{"9223372036s 854775807ns", 0, INT64_MAX},
		{"9223372036s 854775808ns", -ERANGE, 0},
		{"100000w", -ERANGE, 0},
		{"99999999999999999999s", -ERANGE, 0},
		{"0.5ns", -ERANGE, 0},
		{"0.0000000001s", -ERANGE, 0},
		{"", -EINVAL, 0},
		{" ", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"1.s", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"1,5s", -EINVAL, 0},
		{"1.5.5s", -EINVAL, 0},
		{"5S", -EINVAL, 0},
		{"5 fortnights", -EINVAL, 0},
		{"1month", -EINVAL, 0},
		{"1s!", -EINVAL, 0},
		{"infinity", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		uint64_t ns = 0;

		assert_int_equal(parse_timespan(cases[i].text, &ns), cases[i].result);
		assert_int_equal(ns, cases[i].ns);
	}
}

static void dimensions_have_two_sides(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint32_t width, height;
	} cases[] = {
		{"1920x1080", 0, 1920, 1080},
		{"1x1", 0, 1, 1},
		{"16384x16384", 0, 16384, 16384},
		{"16385x1", -ERANGE, 0, 0},
		{"1x16385", -ERANGE, 0, 0},
		{"0x1", -ERANGE, 0, 0},
		{"1x0", -ERANGE, 0, 0},
		{"4294967297x1", -ERANGE, 0, 0},
		{"", -EINVAL, 0, 0},
		{"1920", -EINVAL, 0, 0},
		{"1920x", -EINVAL, 0, 0},
		{"x1080", -EINVAL, 0, 0},
		{"1920X1080", -EINVAL, 0, 0},
		{"1920*1080", -EINVAL, 0, 0},
		{"1920 x 1080", -EINVAL, 0, 0},
		{"1920x1080x3", -EINVAL, 0, 0},
		{"-1x5", -EINVAL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		uint32_t width = 0, height = 0;

		assert_int_equal(
			parse_dimensions(cases[i].text, 16384, &width, &height), cases[i].result);
		assert_int_equal(width, cases[i].width);
		assert_int_equal(height, cases[i].height);
	}
}

static void rates_are_reduced_fractions(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint32_t numerator, denominator;
	} cases[] = {
		{"30", 0, 30, 1},
		{"29.97", 0, 2997, 100},
		{"29.970030", 0, 2997003, 100000},
		{"30.00", 0, 30, 1},
		{"0.5", 0, 1, 2},
		{"12.5", 0, 25, 2},
		{"30000/1001", 0, 30000, 1001},
		{"60/2", 0, 30, 1},
		{"0", 0, 0, 1},
		{"0.0", 0, 0, 1},
		{"0/7", 0, 0, 1},
		{"10000000", 0, 10000000, 1},
		{"20000000/20000000", 0, 1, 1},
		{"10000001", -ERANGE, 0, 0},
		{"1/10000001", -ERANGE, 0, 0},
		{"30/0", -ERANGE, 0, 0},
		{"1.0000001", -ERANGE, 0, 0},
		{"", -EINVAL, 0, 0},
		{"30fps", -EINVAL, 0, 0},
		{"-30", -EINVAL, 0, 0},
		{"30/", -EINVAL, 0, 0},
		{"/1", -EINVAL, 0, 0},
		{"30.", -EINVAL, 0, 0},
		{"29.97/1", -EINVAL, 0, 0},
		{"1/2/3", -EINVAL, 0, 0},
		{"30 1", -EINVAL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		uint32_t numerator = 0, denominator = 0;

		assert_int_equal(
			parse_rate(cases[i].text, &numerator, &denominator), cases[i].result);
		assert_int_equal(numerator, cases[i].numerator);
		assert_int_equal(denominator, cases[i].denominator);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(booleans_are_systemds_words),
		cmocka_unit_test(numbers_keep_to_their_range),
		cmocka_unit_test(bytes_have_binary_suffixes),
		cmocka_unit_test(timespans_are_systemds),
		cmocka_unit_test(dimensions_have_two_sides),
		cmocka_unit_test(rates_are_reduced_fractions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
