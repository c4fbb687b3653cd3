/* SPDX-License-Identifier: MIT */

/* How many lines the clients of a user may cause, on a clock that the test moves. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log-limit.h"

#define START_NS INT64_C(5000000000)

/* Returns how many of `count` lines may be logged now. */
static unsigned try(struct log_user_limit *limit, uid_t uid, int64_t now_ns, unsigned count)
{
	unsigned permitted = 0;

	while (count-- > 0)
		permitted += log_user_limit_permits(limit, uid, now_ns);
	return permitted;
}

static void assert_left_out(struct log_user_limit *limit, uid_t expected_uid, uint64_t expected)
{
	uint64_t lines;
	bool shared;
	uid_t uid;

	assert_true(log_user_limit_take(limit, &uid, &shared, &lines));
	assert_false(shared);
	assert_int_equal(uid, expected_uid);
	assert_int_equal(lines, expected);
}

static void assert_nothing_left_out(struct log_user_limit *limit)
{
	uint64_t lines;
	bool shared;
	uid_t uid;

	assert_false(log_user_limit_take(limit, &uid, &shared, &lines));
}

static void a_burst_and_then_few(void **state)
{
	struct log_user_limit limit = {0};
	int64_t now = START_NS;

	(void)state;
	assert_int_equal(try(&limit, 1000, now, LOG_LIMIT_BURST + 7), LOG_LIMIT_BURST);
	now += LOG_LIMIT_INTERVAL_NS - 1;
	assert_int_equal(try(&limit, 1000, now, 1), 0);
	now += 1;
	assert_int_equal(try(&limit, 1000, now, 5), 1);
	now += 3 * LOG_LIMIT_INTERVAL_NS;
	assert_int_equal(try(&limit, 1000, now, 5), 3);
	assert_left_out(&limit, 1000, 7 + 1 + 4 + 2);
	assert_nothing_left_out(&limit);
	/* in the long run, all of it again, and no more */
	now += 10 * LOG_LIMIT_BURST * LOG_LIMIT_INTERVAL_NS;
	assert_int_equal(try(&limit, 1000, now, LOG_LIMIT_BURST + 1), LOG_LIMIT_BURST);
}

static void users_do_not_share(void **state)
{
	struct log_user_limit limit = {0};

	(void)state;
	assert_int_equal(try(&limit, 1000, START_NS, 1000), LOG_LIMIT_BURST);
	assert_int_equal(try(&limit, 0, START_NS, LOG_LIMIT_BURST), LOG_LIMIT_BURST);
	assert_int_equal(try(&limit, 65534, START_NS, LOG_LIMIT_BURST), LOG_LIMIT_BURST);
	assert_left_out(&limit, 1000, 1000 - LOG_LIMIT_BURST);
	assert_nothing_left_out(&limit);
}

/* A user of containers has thousands of uids: that makes no thousand bursts. */
static void many_users_share_a_place(void **state)
{
	struct log_user_limit limit = {0};
	unsigned permitted = 0;
	int64_t now = START_NS;
	uint64_t lines;
	bool shared;
	uid_t uid;

	(void)state;
	for (uid = 100000; uid < 102000; uid++)
		permitted += try(&limit, uid, now, 10);
	assert_int_equal(permitted, LOG_LIMIT_USERS * 10 + LOG_LIMIT_BURST);
	assert_true(log_user_limit_take(&limit, &uid, &shared, &lines));
	assert_true(shared);
	assert_int_equal(lines, 20000 - permitted);
	/* ... and nobody has one for ever */
	now += 10 * LOG_LIMIT_INTERVAL_NS;
	assert_int_equal(try(&limit, 7, now, LOG_LIMIT_BURST + 1), LOG_LIMIT_BURST);
	assert_left_out(&limit, 7, 1);
}

/* What was left out is not forgotten with the place. */
static void counts_keep_their_place(void **state)
{
	struct log_user_limit limit = {0};
	int64_t now = START_NS;

	(void)state;
	assert_int_equal(try(&limit, 1, now, LOG_LIMIT_BURST + 3), LOG_LIMIT_BURST);
	now += 2 * LOG_LIMIT_BURST * LOG_LIMIT_INTERVAL_NS;
	for (uid_t uid = 2; uid < 2 + LOG_LIMIT_USERS; uid++)
		(void)try(&limit, uid, now, 1);
	assert_left_out(&limit, 1, 3);
	assert_nothing_left_out(&limit);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_and_then_few),
		cmocka_unit_test(users_do_not_share),
		cmocka_unit_test(many_users_share_a_place),
		cmocka_unit_test(counts_keep_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
