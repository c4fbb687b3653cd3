/* SPDX-License-Identifier: MIT */

/* libcamtap: events among the frames, and the status document. */

#include "client-fixture.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- events ---- */

static void states_become_events_once(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	mock_source(&f->mock, WIRE_SOURCE_STARTING, "opening");
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	mock_source(&f->mock, WIRE_SOURCE_ONLINE, "");
	mock_source(&f->mock, (enum wire_source_state)77, "?");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged since 12:00\n");
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged since 12:00\n");
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	assert_string_equal(camtap_event_text(f->camera), "unplugged since 12:00?");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged since 12:00\n");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "busy: ffmpeg has it");
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	assert_string_equal(camtap_event_text(f->camera), "busy: ffmpeg has it");

	mock_source(&f->mock, WIRE_SOURCE_STARTING, "");
	mock_source(&f->mock, WIRE_SOURCE_ONLINE, "");
	mock_source(&f->mock, WIRE_SOURCE_PAUSED, "by root");
	assert_outcome(f->camera, CAMTAP_ONLINE);
	assert_string_equal(camtap_event_text(f->camera), "");
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_PAUSED);
	assert_string_equal(camtap_event_text(f->camera), "by root");
	assert_idle(f->camera);
}

static void events_come_in_order_with_frames(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	publish(f, 2);
	mock_source(&f->mock, WIRE_SOURCE_ENDED, "over");
	assert_release(take(f, 1, 0), 0);
	publish(f, 1);
	assert_release(take(f, 2, 0), 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_ENDED);
	assert_release(take(f, 3, 0), 0);
	assert_idle(f->camera);
}

static void latest_gives_the_newest_before_the_end(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;

	attach(f, NULL);
	publish(f, 3);
	mock_source(&f->mock, WIRE_SOURCE_ENDED, "over");
	assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_FRAME);
	assert_true(shows(frame, EPOCH, 3));
	assert_release(frame, 0);
	assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_ENDED);
	assert_idle(f->camera);
}

/* At the limit, what comes before a frame is told, what comes after it waits. */
static void the_limit_holds_events_back_in_order(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "gone");
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	assert_idle(f->camera);
	publish(f, 1);
	mock_source(&f->mock, WIRE_SOURCE_ENDED, "over");
	assert_outcome(f->camera, -ENOBUFS);
	assert_false(readable(f->camera));
	assert_release(held[0], 0);
	assert_release(take(f, LEASES + 1, 0), 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_ENDED);
	assert_idle(f->camera);
	assert_release(held[1], 0);
}

/* An event is there, and a frame after it, which the limit holds back: the event still wakes. */
static void the_limit_does_not_hide_events(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];
	char *json = NULL;

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "gone");
	mock_source(&f->mock, WIRE_SOURCE_PAUSED, "by root");
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	publish(f, 1);
	assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_PAUSED);
	assert_false(readable(f->camera));
	assert_outcome(f->camera, -ENOBUFS);
	for (size_t i = 0; i < LEASES; i++)
		assert_release(held[i], 0);
	assert_release(take(f, LEASES + 1, 0), 0);
}

/* Nobody asks for long: the queue is short, and its end is the truth. */
static void many_events_end_with_the_truth(void **state)
{
	struct fixture *f = *state;
	int outcome, last = 0, count = 0;

	attach(f, NULL);
	for (int i = 0; i < 50; i++) {
		mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "gone");
		mock_source(&f->mock, WIRE_SOURCE_ONLINE, "");
	}
	for (uint64_t i = 1; i <= 3; i++) {
		mock_make_pool(&f->mock, EPOCH + i, NULL);
		mock_send_format(&f->mock);
	}
	mock_source(&f->mock, WIRE_SOURCE_PAUSED, "by root");
	while ((outcome = camtap_next(f->camera, &(struct camtap_frame *){NULL}, 0)) != 0) {
		last = outcome;
		count++;
	}
	assert_true(count > 1 && count < 50);
	assert_int_equal(last, CAMTAP_PAUSED);
	assert_string_equal(camtap_event_text(f->camera), "by root");
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	assert_int_equal(f->mock.ready_epoch, EPOCH + 3);
	mock_link(&f->mock);
	publish(f, 1);
	assert_release(take(f, 1, 0), 0);
}

static void a_new_epoch_is_told(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *old, *new;

	attach(f, NULL);
	publish(f, 2);
	old = take(f, 1, 0);
	mock_make_pool(&f->mock, EPOCH + 1, NULL);
	mock_send_format(&f->mock);
	/* frame 2 came before it, and nobody overwrites it */
	new = NULL;
	assert_int_equal(camtap_next(f->camera, &new, 0), CAMTAP_FRAME);
	assert_true(shows(new, EPOCH, 2));
	assert_release(new, 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_DISCONTINUITY);
	assert_string_equal(camtap_event_text(f->camera), "NV12 64x32");
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	mock_link(&f->mock);
	publish(f, 1);
	new = take(f, 1, 0);
	assert_int_equal(camtap_frame_epoch(new), EPOCH + 1);

	assert_int_equal(camtap_frame_check(old), 0);
	assert_true(shows(old, EPOCH, 1));
	assert_release(old, 0);
	assert_release(new, 0);
	assert_int_equal(camtap_missed(f->camera), 0);
}

static void make_smaller(struct pool_header *layout)
{
	layout->format.width = 32;
}

static void make_slower(struct pool_header *layout)
{
	layout->format.rate_numerator = 15;
}

static void another_format_is_told(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	mock_make_pool(&f->mock, EPOCH + 1, make_smaller);
	offer_pool(f, CAMTAP_FORMAT);
	assert_string_equal(camtap_event_text(f->camera), "NV12 32x32");
	mock_make_pool(&f->mock, EPOCH + 2, make_smaller);
	offer_pool(f, CAMTAP_DISCONTINUITY);
	mock_make_pool(&f->mock, EPOCH + 3, make_slower);
	offer_pool(f, CAMTAP_FORMAT);
	mock_link(&f->mock);
	publish(f, 1);
	assert_release(take(f, 1, 0), 0);
}

static void an_observer_gets_no_frames(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(camtap_set_mode(f->camera, CAMTAP_MODE_OBSERVE), 0);
	connect_client(f);
	assert_int_equal(f->mock.hello.mode, WIRE_MODE_OBSERVE);
	assert_int_equal(f->mock.hello.features, WIRE_FEATURE_CONTROLS | WIRE_FEATURE_PAUSE);
	welcome_client(f);
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged");
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	mock_make_pool(&f->mock, EPOCH, NULL);
	publish(f, 1);
	mock_send_format(&f->mock);
	assert_idle(f->camera);
	assert_int_equal(mock_receive(&f->mock), 0);
}

/* ---- status ---- */

static void send_status(struct fixture *f, const char *text, uint64_t size, int seals)
{
	int fd = memfd_create("status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct wire_status status = {.document_size = size};

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	message_init(&status.header, WIRE_STATUS, sizeof(status));
	mock_send(&f->mock, &status, &fd, 1);
	close(fd);
}

static void status_is_handed_over(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;

	attach(f, NULL);
	publish(f, 1);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "gone");
	assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
	assert_true(strlen(camtap_error_text(f->camera)) > 0);
	assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);

	/* here it comes, before it is asked for again */
	send_status(f, "{\"schema\": 1}tail", 13, F_SEAL_SHRINK | F_SEAL_WRITE);
	assert_int_equal(camtap_status(f->camera, &json, LIMIT_MS), 0);
	assert_string_equal(json, "{\"schema\": 1}");
	free(json);
	assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);
	assert_int_equal(mock_receive(&f->mock), 0);

	/* the frame and the event are still there, whatever woke for them is not forgotten */
	assert_release(take(f, 1, 0), 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	/* nobody waits for this one */
	send_status(f, "{}", 2, F_SEAL_SHRINK);
	assert_idle(f->camera);
}

static void *answer_status(void *fixture_)
{
	struct fixture *f = fixture_;
	int type;

	do
		type = mock_receive(&f->mock);
	while (type == 0);
	if (type == WIRE_STATUS)
		send_status(f, "{}", 2, F_SEAL_SHRINK);
	return NULL;
}

/* Frames that come all the while neither keep it from waiting nor are lost. */
static void status_waits_among_frames(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];
	char *json = NULL;
	pthread_t thread;

	attach(f, NULL);
	publish(f, LEASES + 1);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&thread, NULL, answer_status, f), 0);
		assert_int_equal(camtap_status(f->camera, &json, LIMIT_MS), 0);
		pthread_join(thread, NULL);
		assert_string_equal(json, "{}");
		free(json);
		assert_int_equal(readable(f->camera), i > 0);
		if (i == 0) {
			assert_release(held[0], 0);
			assert_release(held[1], 0);
			assert_true(readable(f->camera));
		}
	}
	assert_release(take(f, LEASES + 1, 0), 0);
	assert_idle(f->camera);
}

/* Frames that are there all the while do not make it spin. */
static void status_sleeps_while_it_waits(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;
	int64_t used, waited;

	attach(f, NULL);
	publish(f, 2);
	used = clock_ms(CLOCK_THREAD_CPUTIME_ID);
	waited = clock_ms(CLOCK_MONOTONIC);
	assert_int_equal(camtap_status(f->camera, &json, 300), -ETIMEDOUT);
	used = clock_ms(CLOCK_THREAD_CPUTIME_ID) - used;
	waited = clock_ms(CLOCK_MONOTONIC) - waited;
	assert_true(waited >= 299);
	assert_true(used < waited / 4);
	assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);
	assert_int_equal(mock_receive(&f->mock), 0);
	assert_release(take(f, 1, 0), 0);
}

static void a_wrong_status_is_refused(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;

	attach(f, NULL);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
		if (i == 0)
			send_status(f, "{}", 3, F_SEAL_SHRINK);
		else if (i == 1)
			send_status(f, "{}", 2, F_SEAL_GROW);
		else if (i == 2)
			send_status(f, "{}", UINT64_MAX, F_SEAL_SHRINK);
		else
			send_status(f, "", 0, F_SEAL_SHRINK);
		assert_int_equal(camtap_status(f->camera, &json, LIMIT_MS), i < 3 ? -EPROTO : 0);
	}
	assert_string_equal(json, "");
	free(json);
}

/* So many questions that READY finds no room; it is not forgotten. */
static void ready_waits_for_room(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;
	int type, questions = 0;

	connect_client(f);
	welcome_client(f);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
	mock_make_pool(&f->mock, EPOCH, NULL);
	mock_send_format(&f->mock);
	assert_idle(f->camera);
	for (; (type = mock_receive(&f->mock)) == WIRE_STATUS; questions++)
		;
	assert_int_equal(type, 0);
	assert_true(questions > 10 && questions < 1000);
	assert_true(readable(f->camera));
	assert_idle(f->camera);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	assert_int_equal(f->mock.ready_epoch, EPOCH);
	assert_int_equal(mock_receive(&f->mock), 0);
}

/* Asked for when nobody is there yet. */
static void status_waits_for_the_daemon(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;

	connect_client(f);
	assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
	mock_welcome(&f->mock, LEASES);
	assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);
	/* too late */
	send_status(f, "{}", 2, F_SEAL_SHRINK);
	assert_idle(f->camera);
	/* and twice */
	send_status(f, "{}", 2, F_SEAL_SHRINK);
	send_status(f, "[]", 2, F_SEAL_SHRINK);
	assert_int_equal(camtap_status(f->camera, &json, LIMIT_MS), 0);
	assert_string_equal(json, "{}");
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BOTH(states_become_events_once),
		TEST_BOTH(events_come_in_order_with_frames),
		TEST(latest_gives_the_newest_before_the_end),
		TEST_BOTH(the_limit_holds_events_back_in_order),
		TEST(the_limit_does_not_hide_events),
		TEST(many_events_end_with_the_truth),
		TEST(a_new_epoch_is_told),
		TEST(another_format_is_told),
		TEST(an_observer_gets_no_frames),
		TEST_BOTH(status_is_handed_over),
		TEST_BOTH(status_waits_among_frames),
		TEST_BOTH(status_sleeps_while_it_waits),
		TEST(a_wrong_status_is_refused),
		TEST(ready_waits_for_room),
		TEST(status_waits_for_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
