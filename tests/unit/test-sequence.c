/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sequence.h"

/* Feeds numbers up to UINT32_MAX - 1, which ends the list; the sum of what was lost. */
static uint32_t lost_in(const uint32_t *numbers)
{
	struct sequence sequence = {0};
	uint32_t lost = 0;

	for (; *numbers != UINT32_MAX - 1; numbers++)
		lost += sequence_advance(&sequence, *numbers);
	return lost;
}

#define LOST_IN(...) lost_in((const uint32_t[]){__VA_ARGS__, UINT32_MAX - 1})

static void gaps_are_counted(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	assert_int_equal(LOST_IN(0, 1, 2, 3), 0);
	assert_int_equal(LOST_IN(0, 2, 3, 7), 4);
	assert_int_equal(sequence_advance(&sequence, 10), 0);
	assert_int_equal(sequence_advance(&sequence, 12), 1);
	assert_int_equal(sequence_advance(&sequence, 13), 0);
	assert_int_equal(sequence_advance(&sequence, 20), 6);
}

static void the_first_number_may_be_any(void **state)
{
	(void)state;
	assert_int_equal(LOST_IN(5), 0);
	assert_int_equal(LOST_IN(4000000000, 4000000001), 0);
}

static void numbers_wrap_around(void **state)
{
	(void)state;
	assert_int_equal(LOST_IN(UINT32_MAX, 0, 1), 0);
	assert_int_equal(LOST_IN(UINT32_MAX - 2, UINT32_MAX, 0), 1);
	assert_int_equal(LOST_IN(UINT32_MAX, 3), 3);
}

static void a_driver_that_begins_anew_loses_nothing(void **state)
{
	(void)state;
	assert_int_equal(LOST_IN(100, 101, 0, 1, 2), 0);
	assert_int_equal(LOST_IN(100, 101, 101, 0, 2), 1);
	assert_int_equal(LOST_IN(UINT32_MAX, 0, 100, UINT32_MAX - 100, UINT32_MAX - 98), 100);
}

static void overtaking_is_made_good(void **state)
{
	(void)state;
	assert_int_equal(LOST_IN(0, 2, 1, 3, 4, 6), 1);
	assert_int_equal(LOST_IN(0, 3, 1, 2, 4, 7), 2);
	assert_int_equal(LOST_IN(UINT32_MAX, 1, 0, 2, 4), 1);
	/* never less than nothing */
	assert_int_equal(LOST_IN(5, 4, 6, 7), 0);
}

static void repeats_and_gaps_cancel_out(void **state)
{
	(void)state;
	assert_int_equal(LOST_IN(0, 1, 1, 3, 4), 0);
	assert_int_equal(LOST_IN(0, 1, 1, 1, 4, 5), 0);
	assert_int_equal(LOST_IN(0, 1, 1, 4, 5), 1);
	assert_int_equal(LOST_IN(0, 1, 1, 3, 5), 1);
	/* a driver that does not count */
	assert_int_equal(LOST_IN(0, 0, 0, 0), 0);
	/* not for ever */
	assert_int_equal(LOST_IN(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(gaps_are_counted),
		cmocka_unit_test(the_first_number_may_be_any),
		cmocka_unit_test(numbers_wrap_around),
		cmocka_unit_test(a_driver_that_begins_anew_loses_nothing),
		cmocka_unit_test(overtaking_is_made_good),
		cmocka_unit_test(repeats_and_gaps_cancel_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
