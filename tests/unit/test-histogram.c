/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "histogram.h"

enum {
	COUNT = 10000,
};

static int compare(const void *a, const void *b)
{
	const uint64_t *first = a, *second = b;

	return (*first > *second) - (*first < *second);
}

/* Percentiles of values from 1 to 2^48 against those of the sorted values. */
static void percentiles_are_those_of_the_sorted_values(void **state)
{
	static struct histogram histogram;
	static uint64_t values[COUNT];
	uint64_t random = 1;

	(void)state;
	histogram_init(&histogram);
	for (size_t i = 0; i < COUNT; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		values[i] = random >> 16 >> (i % 48);
		histogram_add(&histogram, values[i]);
	}
	qsort(values, COUNT, sizeof(values[0]), compare);
	assert_int_equal(histogram.count, COUNT);
	assert_int_equal(histogram.max, values[COUNT - 1]);
	for (unsigned percent = 1; percent <= 100; percent++) {
		uint64_t wanted = values[COUNT / 100 * percent - 1];
		uint64_t found = histogram_percentile(&histogram, percent);

		assert_true(found >= wanted);
		assert_true(found - wanted <= wanted / 128);
	}
	assert_int_equal(histogram_percentile(&histogram, 100), histogram.max);
}

static void few_values(void **state)
{
	static struct histogram histogram;

	(void)state;
	histogram_init(&histogram);
	assert_int_equal(histogram_percentile(&histogram, 50), 0);
	histogram_add(&histogram, 100);
	assert_int_equal(histogram_percentile(&histogram, 1), 100);
	assert_int_equal(histogram_percentile(&histogram, 99), 100);
	histogram_add(&histogram, 20);
	assert_int_equal(histogram_percentile(&histogram, 50), 20);
	assert_int_equal(histogram_percentile(&histogram, 51), 100);
	histogram_add(&histogram, 0);
	assert_int_equal(histogram_percentile(&histogram, 33), 0);
}

static void every_value_has_a_bucket(void **state)
{
	static struct histogram histogram;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int64_t off = -1; off <= 1; off++) {
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)off;

			histogram_init(&histogram);
			histogram_add(&histogram, value);
			assert_int_equal(histogram_percentile(&histogram, 50), value);
			/* with a larger one, so that the largest does not cut it short */
			histogram_add(&histogram, UINT64_MAX);
			assert_true(histogram_percentile(&histogram, 50) >= value);
			assert_true(histogram_percentile(&histogram, 50) - value <= value / 128);
			if (off < 0) /* the last value of its bucket */
				assert_true(histogram_percentile(&histogram, 50) == value);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_those_of_the_sorted_values),
		cmocka_unit_test(few_values),
		cmocka_unit_test(every_value_has_a_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
