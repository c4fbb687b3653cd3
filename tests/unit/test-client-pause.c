/* SPDX-License-Identifier: MIT */

/* libcamtap: switching the camera off and on. */

#include "client-fixture.h"

#include "message.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static void attach_observer(struct fixture *f, bool pause)
{
	f->mock.pause = pause;
	assert_int_equal(camtap_set_mode(f->camera, CAMTAP_MODE_OBSERVE), 0);
	connect_client(f);
	welcome_client(f);
}

static void send_answer(struct fixture *f, uint64_t token, int32_t error, const char *text)
{
	struct wire_set_paused set = {.token = token, .error = error};

	message_init(&set.header, WIRE_SET_PAUSED, sizeof(set));
	memcpy(set.text, text, strlen(text));
	mock_send(&f->mock, &set, NULL, 0);
}

/* Nothing comes within the timeout of 0, but the request has been sent: it was this one. */
static uint64_t assert_asked(struct fixture *f, bool paused)
{
	assert_int_equal(mock_receive(&f->mock), WIRE_SET_PAUSED);
	assert_int_equal(f->mock.set_paused.paused, paused);
	assert_int_equal(mock_receive(&f->mock), 0);
	return f->mock.set_paused.token;
}

static void the_answer_is_waited_for(void **state)
{
	struct fixture *f = *state;
	uint64_t token;

	assert_int_equal(camtap_pause(f->camera, 0), -ENOTCONN);
	attach_observer(f, true);
	assert_int_equal(camtap_pause(f->camera, 0), -ETIMEDOUT);
	token = assert_asked(f, true);
	/* who waits in slices asks once */
	for (int i = 0; i < 10; i++)
		assert_int_equal(camtap_pause(f->camera, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), 0);
	send_answer(f, token, 0, "");
	assert_int_equal(camtap_pause(f->camera, LIMIT_MS), 0);
	assert_idle(f->camera);

	assert_int_equal(camtap_resume(f->camera, 0), -ETIMEDOUT);
	token = assert_asked(f, false);
	send_answer(f, token, EIO, "a full\033 disk");
	assert_int_equal(camtap_resume(f->camera, LIMIT_MS), -EIO);
	assert_string_equal(camtap_error_text(f->camera), "a full? disk");
	send_answer(f, token, 0, ""); /* nobody waits for it */
	assert_idle(f->camera);
}

/* The daemon would hang up on a second one. */
static void no_second_one_is_asked_before_the_answer(void **state)
{
	struct fixture *f = *state;
	uint64_t first;

	attach_observer(f, true);
	assert_int_equal(camtap_pause(f->camera, 0), -ETIMEDOUT);
	first = assert_asked(f, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(camtap_resume(f->camera, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), 0);
	send_answer(f, first, 0, "");
	assert_int_equal(camtap_resume(f->camera, 0), -ETIMEDOUT);
	assert_int_not_equal(assert_asked(f, false), first);
	send_answer(f, f->mock.set_paused.token, 0, "");
	assert_int_equal(camtap_resume(f->camera, LIMIT_MS), 0);
}

static void a_daemon_without_it(void **state)
{
	struct fixture *f = *state;

	attach_observer(f, false);
	assert_int_equal(camtap_pause(f->camera, LIMIT_MS), -EOPNOTSUPP);
	assert_int_equal(camtap_resume(f->camera, LIMIT_MS), -EOPNOTSUPP);
	assert_non_null(strstr(camtap_error_text(f->camera), "update"));
	assert_int_equal(mock_receive(&f->mock), 0);
}

/* Hangs up on the request, is there again, and answers when it is asked again. */
static void *restart_run(void *fixture)
{
	struct fixture *f = fixture;

	while (mock_receive(&f->mock) != WIRE_SET_PAUSED)
		;
	mock_hang_up(&f->mock);
	mock_accept(&f->mock);
	mock_welcome(&f->mock, LEASES);
	while (mock_receive(&f->mock) != WIRE_SET_PAUSED)
		;
	send_answer(f, f->mock.set_paused.token, 0, "");
	return NULL;
}

static void a_restart_is_no_way_round_it(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	attach_observer(f, true);
	assert_int_equal(pthread_create(&thread, NULL, restart_run, f), 0);
	assert_int_equal(camtap_pause(f->camera, LIMIT_MS), 0);
	pthread_join(thread, NULL);
	assert_int_equal(f->mock.set_paused.paused, 1);
}

static void it_waits_for_the_daemon(void **state)
{
	struct fixture *f = *state;

	f->mock.pause = true;
	connect_client(f);
	assert_int_equal(camtap_pause(f->camera, 0), -ETIMEDOUT);
	mock_welcome(&f->mock, LEASES);
	assert_int_equal(camtap_pause(f->camera, 0), -ETIMEDOUT);
	send_answer(f, assert_asked(f, true), EACCES, "you may not");
	assert_int_equal(camtap_pause(f->camera, LIMIT_MS), -EACCES);
	assert_string_equal(camtap_error_text(f->camera), "you may not");
}

static void wrong_answers_are_refused(void **state)
{
	struct fixture *f = *state;
	struct wire_header header;

	attach_observer(f, true);
	assert_int_equal(camtap_pause(f->camera, 0), -ETIMEDOUT);
	send_answer(f, assert_asked(f, true), INT32_MIN, "");
	assert_int_equal(camtap_pause(f->camera, LIMIT_MS), -EIO);
	for (int i = 0; i < 10; i++)
		send_answer(f, 4711, 0, "");
	assert_idle(f->camera);
	message_init(&header, WIRE_SET_PAUSED, sizeof(header));
	mock_send(&f->mock, &header, NULL, 0);
	await_outcome(f->camera, -EPROTO);
	assert_non_null(strstr(camtap_error_text(f->camera), "SET_PAUSED"));
}

/* To an observer IDLE is the end of a pause; to a reader it is not yet. */
static void observers_hear_that_it_is_over(void **state)
{
	struct fixture *f = *state;

	attach_observer(f, true);
	mock_source(&f->mock, WIRE_SOURCE_PAUSED, "paused by alice");
	await_outcome(f->camera, CAMTAP_PAUSED);
	assert_string_equal(camtap_event_text(f->camera), "paused by alice");
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	await_outcome(f->camera, CAMTAP_ONLINE);
	assert_idle(f->camera);
}

static void readers_hear_of_frames_only(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	mock_source(&f->mock, WIRE_SOURCE_PAUSED, "paused by alice");
	await_outcome(f->camera, CAMTAP_PAUSED);
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	mock_source(&f->mock, WIRE_SOURCE_STARTING, "");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_ONLINE, "");
	await_outcome(f->camera, CAMTAP_ONLINE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(the_answer_is_waited_for),
		TEST(no_second_one_is_asked_before_the_answer),
		TEST(a_daemon_without_it),
		TEST(a_restart_is_no_way_round_it),
		TEST(it_waits_for_the_daemon),
		TEST(wrong_answers_are_refused),
		TEST(observers_hear_that_it_is_over),
		TEST(readers_hear_of_frames_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
