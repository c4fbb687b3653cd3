/* SPDX-License-Identifier: MIT */

/* The count of failing starts, in a folder of the test's own. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "start-history.h"

static int make_folder(void **state)
{
	char *folder = strdup("/tmp/test-start-history-XXXXXX");

	if (folder == NULL || mkdtemp(folder) == NULL)
		return -1;
	*state = folder;
	return setenv("RUNTIME_DIRECTORY", folder, 1);
}

static int remove_folder(void **state)
{
	char *folder = *state, path[128];

	snprintf(path, sizeof path, "%s/failures", folder);
	(void)unlink(path);
	(void)rmdir(path);
	if (rmdir(folder) < 0)
		return -1;
	free(folder);
	return unsetenv("RUNTIME_DIRECTORY");
}

static int64_t begin(enum start_failure kind)
{
	struct start_history history;

	start_history_begin(&history, kind);
	return start_history_pause(&history);
}

static void the_first_restart_is_at_once_then_pauses_grow(void **state)
{
	static const int64_t milliseconds[] = {
		0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};

	(void)state;
	for (size_t i = 0; i < sizeof milliseconds / sizeof *milliseconds; i++)
		assert_int_equal(begin(START_FAILURE_RUN), milliseconds[i] * NSEC_PER_MSEC);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(begin(START_FAILURE_RUN), 10 * NSEC_PER_SEC);
}

static void a_good_run_is_a_new_beginning(void **state)
{
	struct start_history history;

	(void)state;
	for (int i = 0; i < 5; i++)
		(void)begin(START_FAILURE_RUN);
	start_history_begin(&history, START_FAILURE_RUN);
	assert_int_equal(history.failures, 5);
	start_history_forget(&history);
	assert_int_equal(start_history_pause(&history), 0);
	assert_int_equal(begin(START_FAILURE_RUN), 0);
	assert_int_equal(begin(START_FAILURE_RUN), 0);
	assert_int_equal(begin(START_FAILURE_RUN), 100 * NSEC_PER_MSEC);
}

static void a_mended_configuration_does_not_wait(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		(void)begin(START_FAILURE_CONFIGURATION);
	assert_int_equal(begin(START_FAILURE_CONFIGURATION), 800 * NSEC_PER_MSEC);
	assert_int_equal(begin(START_FAILURE_RUN), 0);
}

static void without_a_service_nothing_is_counted(void **state)
{
	char path[128];

	unsetenv("RUNTIME_DIRECTORY");
	for (int i = 0; i < 5; i++)
		assert_int_equal(begin(START_FAILURE_RUN), 0);
	snprintf(path, sizeof path, "%s/failures", (char *)*state);
	assert_int_equal(access(path, F_OK), -1);
}

static void garbage_is_no_failure(void **state)
{
	static const char *const garbage[] = {"", "\n", "run", "run x", "9", "run -", "walk 7\n"};
	char path[128];

	snprintf(path, sizeof path, "%s/failures", (char *)*state);
	for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
		FILE *file = fopen(path, "we");

		assert_non_null(file);
		fputs(garbage[i], file);
		fclose(file);
		assert_int_equal(begin(START_FAILURE_RUN), 0);
	}
}

static void what_cannot_be_written_stops_nobody(void **state)
{
	char path[128];

	snprintf(path, sizeof path, "%s/failures", (char *)*state);
	assert_int_equal(mkdir(path, 0700), 0); /* root may write anything else */
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(START_FAILURE_RUN), 0);
}

static void the_wait_ends_with_the_signal_to_stop(void **state)
{
	struct start_history history = {.failures = 100};
	int64_t before = clock_now();
	sigset_t term;

	(void)state;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	raise(SIGTERM); /* pending */
	assert_false(start_history_wait(&history));
	assert_true(clock_now() - before < 10 * NSEC_PER_SEC);
	assert_int_equal(history.failures, 0);
	assert_true(start_history_wait(&history));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_restart_is_at_once_then_pauses_grow),
		TEST(a_good_run_is_a_new_beginning),
		TEST(a_mended_configuration_does_not_wait),
		TEST(without_a_service_nothing_is_counted),
		TEST(garbage_is_no_failure),
		TEST(what_cannot_be_written_stops_nobody),
		TEST(the_wait_ends_with_the_signal_to_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
