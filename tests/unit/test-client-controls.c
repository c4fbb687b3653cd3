/* SPDX-License-Identifier: MIT */

/* libcamtap: the controls of the camera. */

#include "client-fixture.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void attach_observer(struct fixture *f, bool controls)
{
	f->mock.controls = controls;
	assert_int_equal(camtap_set_mode(f->camera, CAMTAP_MODE_OBSERVE), 0);
	connect_client(f);
	welcome_client(f);
}

static void send_controls(struct fixture *f, uint64_t token, int32_t error, const char *text)
{
	int fd = memfd_create("controls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct wire_controls controls = {
		.token = token, .error = error, .document_size = strlen(text)};

	message_init(&controls.header, WIRE_CONTROLS, sizeof(controls));
	memcpy(controls.text, text, strlen(text));
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	mock_send(&f->mock, &controls, &fd, error == 0 ? 1 : 0);
	close(fd);
}

static void send_set(struct fixture *f, uint64_t token, int32_t error, const char *text)
{
	struct wire_set_control set = {.token = token, .error = error};

	message_init(&set.header, WIRE_SET_CONTROL, sizeof(set));
	memcpy(set.text, text, strlen(text));
	mock_send(&f->mock, &set, NULL, 0);
}

/* The daemon's answer to the next question, of whatever kind, from another thread. */
struct answer {
	struct fixture *f;
	int32_t error;
	const char *text;
	bool wrong_kind_first;
	pthread_t thread;
};

static void *answer_run(void *answer_)
{
	struct answer *answer = answer_;
	int type;

	do
		type = mock_receive(&answer->f->mock);
	while (type == 0);
	if (answer->wrong_kind_first)
		send_controls(answer->f, answer->f->mock.control.token, 0, "[]");
	if (type == WIRE_CONTROLS)
		send_controls(
			answer->f, answer->f->mock.control.token, answer->error, answer->text);
	else if (type == WIRE_SET_CONTROL)
		send_set(answer->f, answer->f->mock.control.token, answer->error, answer->text);
	return NULL;
}

static void answer_next(struct answer *answer, struct fixture *f, int32_t error, const char *text)
{
	answer->f = f;
	answer->error = error;
	answer->text = text;
	assert_int_equal(pthread_create(&answer->thread, NULL, answer_run, answer), 0);
}

/* ---- lists ---- */

static void a_list_is_handed_over(void **state)
{
	struct fixture *f = *state;
	struct answer answer = {.text = ""};
	char *json = NULL;

	attach_observer(f, true);
	answer_next(&answer, f, 0, "{\"schema\": 1}");
	assert_int_equal(camtap_controls(f->camera, &json, LIMIT_MS), 0);
	pthread_join(answer.thread, NULL);
	assert_string_equal(json, "{\"schema\": 1}");
	free(json);
	assert_idle(f->camera);
}

static void a_list_that_failed_says_why(void **state)
{
	struct fixture *f = *state;
	struct answer answer = {.text = ""};
	char *json = NULL;

	attach_observer(f, true);
	answer_next(&answer, f, ENODEV, "unplu\033gged");
	assert_int_equal(camtap_controls(f->camera, &json, LIMIT_MS), -ENODEV);
	pthread_join(answer.thread, NULL);
	assert_null(json);
	assert_string_equal(camtap_error_text(f->camera), "unplu?gged");
}

/* Who waits in slices asks once. */
static void the_next_call_takes_the_answer(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;
	uint64_t token;

	attach_observer(f, true);
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_CONTROLS);
	token = f->mock.control.token;
	for (int i = 0; i < 10; i++)
		assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), 0);
	send_controls(f, token, 0, "[1]");
	assert_int_equal(camtap_controls(f->camera, &json, LIMIT_MS), 0);
	assert_string_equal(json, "[1]");
	free(json);

	/* one that came while nobody waited is old when it is asked for again */
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_CONTROLS);
	send_controls(f, f->mock.control.token, 0, "[2]");
	assert_idle(f->camera);
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_CONTROLS);
	assert_int_not_equal(f->mock.control.token, token);
}

/* A list that was asked for before a control was set does not tell of it. */
static void a_list_is_not_older_than_what_was_set(void **state)
{
	struct fixture *f = *state;
	uint64_t old, set;
	char *json = NULL;

	attach_observer(f, true);
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_CONTROLS);
	old = f->mock.control.token;
	assert_int_equal(camtap_set_control(f->camera, "gain", "1", 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_SET_CONTROL);
	set = f->mock.control.token;
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_CONTROLS);
	send_controls(f, old, 0, "[]");
	send_set(f, set, 0, "");
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	send_controls(f, f->mock.control.token, 0, "[3]");
	assert_int_equal(camtap_controls(f->camera, &json, LIMIT_MS), 0);
	assert_string_equal(json, "[3]");
	free(json);
}

/* ---- setting ---- */

static void a_control_is_set(void **state)
{
	struct fixture *f = *state;
	struct answer answer = {.text = ""};

	attach_observer(f, true);
	answer_next(&answer, f, 0, "");
	assert_int_equal(camtap_set_control(f->camera, "gain", "12", LIMIT_MS), 0);
	pthread_join(answer.thread, NULL);
	assert_string_equal(f->mock.control.name, "gain");
	assert_string_equal(f->mock.control.value, "12");

	answer_next(&answer, f, ERANGE, "gain: must be less");
	assert_int_equal(camtap_set_control(f->camera, "gain", "13", LIMIT_MS), -ERANGE);
	pthread_join(answer.thread, NULL);
	assert_string_equal(camtap_error_text(f->camera), "gain: must be less");
}

static void what_does_not_fit_is_refused_at_once(void **state)
{
	struct fixture *f = *state;
	char text[1000];

	assert_int_equal(camtap_set_control(f->camera, "gain", "1", 0), -ENOTCONN);
	assert_int_equal(camtap_controls(f->camera, (char *[]){NULL}, 0), -ENOTCONN);
	attach_observer(f, true);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(camtap_set_control(f->camera, text, "1", 0), -ENOENT);
	assert_int_equal(camtap_set_control(f->camera, "", "1", 0), -ENOENT);
	assert_int_equal(camtap_set_control(f->camera, "gain", text, 0), -ERANGE);
	assert_int_equal(mock_receive(&f->mock), 0);
}

/* The daemon would hang up. */
static void no_more_is_asked_than_allowed(void **state)
{
	struct fixture *f = *state;
	uint64_t first = 0;

	attach_observer(f, true);
	for (int i = 0; i < 7; i++)
		assert_int_equal(camtap_set_control(f->camera, "gain", "1", 0), -ETIMEDOUT);
	for (int i = 0; i < WIRE_CONTROL_REQUESTS_MAX; i++) {
		assert_int_equal(mock_receive(&f->mock), WIRE_SET_CONTROL);
		first = i == 0 ? f->mock.control.token : first;
	}
	assert_int_equal(mock_receive(&f->mock), 0);
	/* an answer makes room, also while it is waited for */
	send_set(f, first, 0, "");
	assert_int_equal(camtap_set_control(f->camera, "gain", "8", 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_SET_CONTROL);
	assert_string_equal(f->mock.control.value, "8");
}

/* ---- daemons that go, are old, or lie ---- */

static void a_daemon_without_controls(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;

	attach_observer(f, false);
	assert_int_equal(camtap_controls(f->camera, &json, LIMIT_MS), -EOPNOTSUPP);
	assert_int_equal(camtap_set_control(f->camera, "gain", "1", LIMIT_MS), -EOPNOTSUPP);
	assert_non_null(strstr(camtap_error_text(f->camera), "update"));
	assert_int_equal(mock_receive(&f->mock), 0);
}

static void the_question_waits_for_the_daemon(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;

	f->mock.controls = true;
	connect_client(f);
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	mock_welcome(&f->mock, LEASES);
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_CONTROLS);
	send_controls(f, f->mock.control.token, 0, "[4]");
	assert_int_equal(camtap_controls(f->camera, &json, LIMIT_MS), 0);
	free(json);
}

struct restart {
	struct fixture *f;
	int asked; /* type of the question after the restart; 0: none */
};

/* Hangs up on the question, is there again, and answers if it is asked again. */
static void *restart_run(void *restart_)
{
	struct restart *restart = restart_;
	struct fixture *f = restart->f;
	int64_t start;

	while (mock_receive(&f->mock) == 0)
		;
	mock_hang_up(&f->mock);
	mock_accept(&f->mock);
	mock_welcome(&f->mock, LEASES);
	start = clock_ms(CLOCK_MONOTONIC);
	do
		restart->asked = mock_receive(&f->mock);
	while (restart->asked == 0 && clock_ms(CLOCK_MONOTONIC) - start < 300);
	if (restart->asked == WIRE_CONTROLS)
		send_controls(f, f->mock.control.token, 0, "[5]");
	return NULL;
}

static void a_restart_repeats_lists_only(void **state)
{
	struct fixture *f = *state;
	struct restart restart = {.f = f};
	pthread_t thread;
	char *json = NULL;

	attach_observer(f, true);
	assert_int_equal(pthread_create(&thread, NULL, restart_run, &restart), 0);
	assert_int_equal(camtap_controls(f->camera, &json, LIMIT_MS), 0);
	pthread_join(thread, NULL);
	assert_int_equal(restart.asked, WIRE_CONTROLS);
	assert_string_equal(json, "[5]");
	free(json);

	assert_int_equal(pthread_create(&thread, NULL, restart_run, &restart), 0);
	assert_int_equal(camtap_set_control(f->camera, "zoom", "1", LIMIT_MS), -ECONNRESET);
	pthread_join(thread, NULL);
	assert_int_equal(restart.asked, 0);
}

static void wrong_answers_are_refused(void **state)
{
	struct fixture *f = *state;
	struct wire_controls controls = {.document_size = 2};
	struct answer answer = {.text = ""};
	char *json = NULL;

	attach_observer(f, true);
	/* the other kind, with the token of this one: no answer */
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_CONTROLS);
	send_set(f, f->mock.control.token, 0, "");
	assert_int_equal(camtap_controls(f->camera, &json, 0), -ETIMEDOUT);
	send_controls(f, f->mock.control.token, 0, "[]");
	assert_int_equal(camtap_controls(f->camera, &json, LIMIT_MS), 0);
	free(json);
	answer.wrong_kind_first = true;
	answer_next(&answer, f, ERANGE, "");
	assert_int_equal(camtap_set_control(f->camera, "a", "1", LIMIT_MS), -ERANGE);
	pthread_join(answer.thread, NULL);
	answer.wrong_kind_first = false;
	/* answers that nobody asked for */
	for (int i = 0; i < 10; i++)
		send_set(f, 4711, 0, "");
	assert_idle(f->camera);
	/* an errno that is none */
	answer_next(&answer, f, INT32_MIN, "");
	assert_int_equal(camtap_set_control(f->camera, "a", "1", LIMIT_MS), -EIO);
	pthread_join(answer.thread, NULL);

	/* a document that is not there */
	message_init(&controls.header, WIRE_CONTROLS, sizeof(controls));
	mock_send(&f->mock, &controls, NULL, 0);
	await_outcome(f->camera, -EPROTO);
	assert_non_null(strstr(camtap_error_text(f->camera), "CONTROLS"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_list_is_handed_over),
		TEST(a_list_that_failed_says_why),
		TEST(the_next_call_takes_the_answer),
		TEST(a_list_is_not_older_than_what_was_set),
		TEST(a_control_is_set),
		TEST(what_does_not_fit_is_refused_at_once),
		TEST(no_more_is_asked_than_allowed),
		TEST(a_daemon_without_controls),
		TEST(the_question_waits_for_the_daemon),
		TEST(a_restart_repeats_lists_only),
		TEST(wrong_answers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
