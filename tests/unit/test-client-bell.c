/* SPDX-License-Identifier: MIT */

/* libcamtap: sleeping on the bell. The client calls in a thread of its own, the mock of the daemon
 * does what it does while that sleeps. */

#include "client-fixture.h"
#include "futex.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	/* Within this a client that is going to sleep on the bell does so; else it is another
	 * round. Less than BELL_PATIENCE_NS: what comes so soon makes it hear the bell again. */
	DOZE_MS = 20,
	ROUNDS_MAX = 200,
};

/* Attached, and nobody has asked for the file descriptor. */
static void attach_to_bell(struct fixture *f)
{
	connect_client(f);
	mock_welcome(&f->mock, LEASES);
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	mock_make_pool(&f->mock, EPOCH, NULL);
	mock_send_format(&f->mock);
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	mock_link(&f->mock);
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
}

/* ---- a call in a thread ---- */

struct call {
	pthread_t thread;
	struct camtap *camera;
	int timeout_ms;
	struct camtap_frame *frame;
	int outcome;
	atomic_bool done;
};

static void *run_call(void *argument)
{
	struct call *call = argument;

	call->outcome = camtap_next(call->camera, &call->frame, call->timeout_ms);
	atomic_store(&call->done, true);
	return NULL;
}

static void start(struct fixture *f, struct call *call, int timeout_ms)
{
	*call = (struct call){.camera = f->camera, .timeout_ms = timeout_ms};
	assert_int_equal(pthread_create(&call->thread, NULL, run_call, call), 0);
}

/* The same; true: and it sleeps on the bell. */
static bool doze(struct fixture *f, struct call *call, int timeout_ms)
{
	start(f, call, timeout_ms);
	return futex_await_sleepers(&f->mock.bell.word->rung, 1, DOZE_MS);
}

static void finish(struct call *call, int expected)
{
	pthread_join(call->thread, NULL);
	assert_int_equal(call->outcome, expected);
}

static void finish_with_frame(struct fixture *f, struct call *call)
{
	finish(call, CAMTAP_FRAME);
	assert_true(shows(call->frame, f->mock.pool.layout.epoch, f->mock.pool.newest));
	assert_release(call->frame, 0);
}

/* One frame, which it sleeps for. True: a ring woke it. */
static bool hear_one(struct fixture *f, int timeout_ms)
{
	unsigned messages = f->mock.frames_sent;
	struct call call;
	bool heard = doze(f, &call, timeout_ms);

	publish(f, 1);
	finish_with_frame(f, &call);
	heard = heard && f->mock.bell.woken == 1;
	if (heard)
		assert_int_equal(f->mock.frames_sent, messages);
	return heard;
}

/* It sleeps on the bell, and a ring wakes it, so many times. */
static void hear(struct fixture *f, int times)
{
	for (int round = 0; times > 0; round++) {
		assert_true(round < ROUNDS_MAX);
		times -= hear_one(f, round % 2 ? -1 : LIMIT_MS);
	}
	assert_int_equal(mock_listens(&f->mock), BELL_LISTENS);
}

/* Puts a call to sleep on the bell for good. */
static void put_to_sleep(struct fixture *f, struct call *call)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		if (doze(f, call, LIMIT_MS))
			return;
		publish(f, 1);
		finish_with_frame(f, call);
	}
	fail_msg("it does not sleep on the bell");
}

/* The bell is of no use to it any more. */
static void assert_gets_messages(struct fixture *f)
{
	for (int i = 0; i < 5; i++) {
		unsigned messages = f->mock.frames_sent;
		struct call call;

		assert_false(doze(f, &call, LIMIT_MS));
		assert_int_equal(mock_listens(&f->mock), BELL_MESSAGES);
		publish(f, 1);
		assert_int_equal(f->mock.frames_sent, messages + 1);
		finish_with_frame(f, &call);
	}
}

/* ---- waking ---- */

static void a_ring_wakes(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	hear(f, 50);
	assert_int_equal(camtap_missed(f->camera), 0);
}

/* What is there is found without a wake-up, of either kind. */
static void no_ring_is_needed_for_what_is_there(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;

	attach_to_bell(f);
	for (int i = 0; i < 10; i++) {
		mock_publish_slot(&f->mock, mock_take_slot(&f->mock, true));
		assert_int_equal(camtap_next(f->camera, &frame, i % 2 ? -1 : 0), CAMTAP_FRAME);
		assert_release(frame, 0);
	}
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
}

static void who_has_the_file_descriptor_gets_messages(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	hear(f, 1);
	assert_true(camtap_fd(f->camera) >= 0);
	for (uint64_t position = f->mock.pool.newest + 1, end = position + 10; position < end;
		position++) {
		unsigned messages = f->mock.frames_sent;

		assert_int_equal(mock_listens(&f->mock), BELL_MESSAGES);
		assert_false(readable(f->camera));
		publish(f, 1);
		assert_int_equal(f->mock.frames_sent, messages + 1);
		assert_release(take(f, position, 0), 0);
		assert_idle(f->camera);
	}
	assert_gets_messages(f);
}

static void a_frame_from_before_makes_the_file_descriptor_readable(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	hear(f, 1);
	publish(f, 1);
	assert_int_equal(f->mock.frames_sent, 0);
	assert_release(take(f, f->mock.pool.newest, 0), 0);
	assert_idle(f->camera);
}

/* Woken by it, it reads it, and does not go back to sleep first. */
static void a_message_wakes(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	for (int round = 0, heard = 0; heard < 20; round++) {
		bool online = round % 2;
		struct call call;

		assert_true(round < ROUNDS_MAX);
		put_to_sleep(f, &call);
		mock_source(&f->mock, online ? WIRE_SOURCE_ONLINE : WIRE_SOURCE_OFFLINE, "");
		if (f->mock.bell.woken == 1) {
			heard++;
			while (!atomic_load(&call.done))
				assert_int_equal(futex_sleepers(&f->mock.bell.word->rung), 0);
		}
		finish(&call, online ? CAMTAP_ONLINE : CAMTAP_OFFLINE);
		/* far below its patience */
		publish(f, 1);
		assert_int_equal(camtap_next(f->camera, &call.frame, LIMIT_MS), CAMTAP_FRAME);
		assert_release(call.frame, 0);
	}
}

static void a_message_that_did_not_ring_is_read_at_the_next_call(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	hear(f, 1);
	f->mock.silent = true;
	for (int i = 0; i < 10; i++) {
		mock_source(&f->mock, i % 2 ? WIRE_SOURCE_ONLINE : WIRE_SOURCE_OFFLINE, "");
		assert_outcome(f->camera, i % 2 ? CAMTAP_ONLINE : CAMTAP_OFFLINE);
		assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	}
	f->mock.silent = false;
	hear(f, 1);
}

/* The message of a frame is not taken for the last one: by the bell nobody comes back for others.
 */
static void what_is_behind_the_message_of_a_frame_is_read_with_it(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;

	attach_to_bell(f);
	hear(f, 1);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(
			camtap_next(f->camera, &frame, (int)(3 * BELL_PATIENCE_NS / 1000000)),
			CAMTAP_TRY_AGAIN);
		assert_int_equal(mock_listens(&f->mock), BELL_MESSAGES);
		publish(f, 1);
		mock_source(&f->mock, i % 2 ? WIRE_SOURCE_ONLINE : WIRE_SOURCE_OFFLINE, "");
		assert_int_equal(camtap_next(f->camera, &frame, 0), CAMTAP_FRAME);
		assert_release(frame, 0);
		assert_outcome(f->camera, i % 2 ? CAMTAP_ONLINE : CAMTAP_OFFLINE);
	}
}

/* Else it would get a message for each frame that passes while it works on this one, and find one
 * each time that it looks. */
static void who_looks_at_the_socket_gets_no_messages(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	hear(f, 1);
	for (int i = 0; i < 10; i++) {
		struct camtap_frame *frame;

		mock_source(&f->mock, WIRE_SOURCE_ONLINE, ""); /* no news */
		publish(f, 1);
		assert_int_equal(camtap_next(f->camera, &frame, 0), CAMTAP_FRAME);
		assert_int_not_equal(mock_listens(&f->mock), BELL_MESSAGES);
		assert_release(frame, 0);
	}
}

/* One that it need not sleep for. */
static void take_what_is_there(struct fixture *f, int timeout_ms)
{
	struct camtap_frame *frame;

	assert_int_equal(camtap_next(f->camera, &frame, timeout_ms), CAMTAP_FRAME);
	assert_release(frame, 0);
}

/* Frames that pass while it is behind wake nobody, and those after it has caught up do. */
static void who_is_behind_is_not_rung_for(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	for (int i = 0; i < 10; i++) {
		unsigned messages;
		uint32_t rung;

		hear(f, 1);
		publish(f, 2);
		take_what_is_there(f, i % 2 ? -1 : 0);
		assert_int_equal(mock_listens(&f->mock), BELL_BUSY);
		messages = f->mock.frames_sent;
		rung = atomic_load(&f->mock.bell.word->rung);
		publish(f, 1);
		assert_int_equal(f->mock.frames_sent, messages);
		assert_int_equal(atomic_load(&f->mock.bell.word->rung), rung);
		take_what_is_there(f, -1);
		take_what_is_there(f, i % 2 ? 0 : -1);
	}
	hear(f, 1);
	assert_int_equal(camtap_missed(f->camera), 0);
}

static void a_new_epoch_wakes(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	for (uint64_t epoch = EPOCH + 1; epoch < EPOCH + 4; epoch++) {
		struct call call;

		hear(f, 3);
		put_to_sleep(f, &call);
		mock_make_pool(&f->mock, epoch, NULL);
		mock_send_format(&f->mock);
		finish(&call, CAMTAP_DISCONTINUITY);
		assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
		assert_int_equal(mock_receive(&f->mock), WIRE_READY);
		assert_int_equal(f->mock.ready_epoch, epoch);
		mock_link(&f->mock);
	}
	hear(f, 3);
	assert_int_equal(camtap_missed(f->camera), 0);
}

/* The next daemon has another bell, or none. */
static void another_daemon_brings_another_bell(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	hear(f, 1);
	for (int i = 0; i < 4; i++) {
		struct pollfd listener = {.fd = f->mock.listener, .events = POLLIN};
		struct call call;

		f->mock.rings = i % 2;
		mock_hang_up(&f->mock);
		start(f, &call, LIMIT_MS);
		assert_int_equal(poll(&listener, 1, LIMIT_MS), 1);
		mock_accept(&f->mock);
		mock_welcome(&f->mock, LEASES);
		mock_make_pool(&f->mock, EPOCH + 1 + (uint64_t)i, NULL);
		mock_send_format(&f->mock);
		pthread_join(call.thread, NULL);
		if (call.outcome == CAMTAP_OFFLINE) /* a machine that stands still for a second */
			await_outcome(f->camera, CAMTAP_ONLINE);
		assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
		assert_int_equal(mock_receive(&f->mock), WIRE_READY);
		mock_link(&f->mock);
		if (f->mock.rings) {
			hear(f, 3);
			continue;
		}
		start(f, &call, LIMIT_MS);
		publish(f, 1);
		finish_with_frame(f, &call);
	}
}

/* ---- when nothing rings ---- */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* How long it took; adds the processor's time. */
static int64_t wait_in_vain(struct fixture *f, int timeout_ms, int64_t *cpu_ns)
{
	int64_t before = clock_ns(CLOCK_MONOTONIC);
	int64_t cpu_before = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	assert_int_equal(camtap_next(f->camera, &(struct camtap_frame *){NULL}, timeout_ms),
		CAMTAP_TRY_AGAIN);
	*cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_before;
	return clock_ns(CLOCK_MONOTONIC) - before;
}

static void a_timeout_is_honoured(void **state)
{
	static const int timeouts_ms[] = {1, 7, 20, 49, 50, 51, 99, 130, 1};
	struct fixture *f = *state;
	int64_t cpu_ns = 0, waited_ns = 0;

	attach_to_bell(f);
	for (size_t i = 0; i < ELEMENTS(timeouts_ms); i++) {
		int64_t elapsed_ns;

		hear(f, 1);
		elapsed_ns = wait_in_vain(f, timeouts_ms[i], &cpu_ns);
		waited_ns += elapsed_ns;
		if (elapsed_ns < timeouts_ms[i] * INT64_C(1000000) ||
			elapsed_ns > LIMIT_MS * INT64_C(1000000))
			fail_msg("%lld ns instead of %d ms", (long long)elapsed_ns, timeouts_ms[i]);
	}
	assert_true(cpu_ns < waited_ns / 8); /* asleep, not spinning */
	/* a short one does not last as long as the patience; not each time, at least */
	for (int round = 0;; round++) {
		assert_true(round < ROUNDS_MAX);
		hear(f, 1);
		if (wait_in_vain(f, 1, &cpu_ns) < BELL_PATIENCE_NS)
			break;
	}
}

static void do_nothing(int signal)
{
	(void)signal;
}

static void a_signal_ends_the_sleep(void **state)
{
	struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART}, before;
	struct fixture *f = *state;

	attach_to_bell(f);
	sigaction(SIGUSR1, &action, &before);
	for (int i = 0; i < 10; i++) {
		struct call call;

		put_to_sleep(f, &call);
		while (!atomic_load(&call.done)) { /* it may just not have slept */
			pthread_kill(call.thread, SIGUSR1);
			(void)futex_await_sleepers(&f->mock.bell.word->rung, 1, 1);
		}
		finish(&call, -EINTR);
	}
	sigaction(SIGUSR1, &before, NULL);
	hear(f, 1);
}

static void a_hang_up_is_noticed_asleep(void **state)
{
	struct fixture *f = *state;
	struct call call;

	attach_to_bell(f);
	put_to_sleep(f, &call);
	mock_stop_listening(&f->mock);
	mock_hang_up(&f->mock);
	finish(&call, CAMTAP_OFFLINE);
}

/* Who never waits for as long as the patience is, has to look at the socket all the same. */
static void a_hang_up_is_noticed_by_short_waits(void **state)
{
	static const int timeouts_ms[] = {0, 1, 30};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTS(timeouts_ms); i++) {
		int64_t end = clock_ms(CLOCK_MONOTONIC) + LIMIT_MS;
		int outcome;

		attach_to_bell(f);
		hear(f, 1);
		mock_stop_listening(&f->mock);
		mock_hang_up(&f->mock);
		do
			outcome = camtap_next(
				f->camera, &(struct camtap_frame *){NULL}, timeouts_ms[i]);
		while (outcome == CAMTAP_TRY_AGAIN && clock_ms(CLOCK_MONOTONIC) < end);
		assert_int_equal(outcome, CAMTAP_OFFLINE);
		mock_listen(&f->mock);
		renew_client(f);
	}
}

/* The daemon goes on and rings for others of the same bell, but has lost this one. */
static void a_hang_up_is_noticed_among_rings(void **state)
{
	struct fixture *f = *state;
	struct call call;

	attach_to_bell(f);
	put_to_sleep(f, &call);
	mock_stop_listening(&f->mock);
	mock_expel(&f->mock);
	for (int64_t end = clock_ms(CLOCK_MONOTONIC) + LIMIT_MS;
		!atomic_load(&call.done) && clock_ms(CLOCK_MONOTONIC) < end;) {
		mock_publish_slot(&f->mock, mock_oldest_slot(&f->mock));
		mock_ring_bell(&f->mock);
		(void)futex_await_sleepers(&f->mock.bell.word->rung, 1, DOZE_MS);
	}
	finish(&call, CAMTAP_OFFLINE);
}

/* Puts a call to sleep for longer than its patience, so on the socket. */
static void put_to_sleep_at_the_socket(struct fixture *f, struct call *call)
{
	int64_t end = clock_ms(CLOCK_MONOTONIC) + LIMIT_MS;

	put_to_sleep(f, call);
	while (mock_listens(&f->mock) == BELL_LISTENS && clock_ms(CLOCK_MONOTONIC) < end)
		sched_yield();
	assert_false(futex_await_sleepers(
		&f->mock.bell.word->rung, 1, (int)(2 * BELL_PATIENCE_NS / 1000000)));
	assert_int_equal(mock_listens(&f->mock), BELL_MESSAGES);
}

/* Who hears nothing for so long does not wake up again and again, but sleeps on its socket; and is
 * back at the bell when frames come faster. */
static void a_slow_camera_is_waited_for_at_the_socket(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	for (int i = 0; i < 3; i++) {
		unsigned messages;
		struct call call;

		put_to_sleep_at_the_socket(f, &call);
		messages = f->mock.frames_sent;
		publish(f, 1);
		assert_int_equal(f->mock.frames_sent, messages + 1);
		finish_with_frame(f, &call);
		hear(f, 3);
	}
}

/* A camera that was slow to start, and is faster than its reader now: that finds a frame each time,
 * and wants no messages about those that pass meanwhile. */
static void who_is_slower_than_the_camera_gets_no_messages(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	for (int i = 0; i < 3; i++) {
		struct call call;

		put_to_sleep_at_the_socket(f, &call);
		publish(f, 1);
		finish_with_frame(f, &call);
		publish(f, 1);
		assert_int_equal(camtap_next(f->camera, &call.frame, 0), CAMTAP_FRAME);
		assert_int_equal(mock_listens(&f->mock), BELL_BUSY);
		assert_release(call.frame, 0);
	}
}

static void a_closed_bell_is_given_up(void **state)
{
	struct fixture *f = *state;
	struct call call;

	attach_to_bell(f);
	hear(f, 1);
	put_to_sleep(f, &call);
	atomic_store(&f->mock.bell.word->closed, 1);
	atomic_fetch_add(&f->mock.bell.word->rung, 1); /* wakes nobody */
	publish(f, 1);
	assert_true(f->mock.frames_sent > 0);
	finish_with_frame(f, &call);
	assert_gets_messages(f);
}

/* As if somebody had moved the sleeper to another word. True: it slept through it. */
static bool miss_one(struct fixture *f)
{
	struct call call;
	bool asleep = doze(f, &call, LIMIT_MS);

	if (asleep) {
		mock_publish_slot(&f->mock, mock_take_slot(&f->mock, true));
		atomic_fetch_add(&f->mock.bell.word->rung, 1);
		/* still there: it was not too late for this one */
		asleep = futex_sleepers(&f->mock.bell.word->rung) == 1;
		/* if it had just given up, the frame woke nobody */
		if (!asleep)
			assert_true(mock_ring(&f->mock));
	} else {
		publish(f, 1);
	}
	finish_with_frame(f, &call);
	return asleep;
}

static void a_bell_that_does_not_wake_is_given_up(void **state)
{
	struct fixture *f = *state;
	int missed = 0;

	attach_to_bell(f);
	hear(f, 1);
	for (int round = 0; missed < 3; round++) {
		assert_true(round < ROUNDS_MAX);
		missed += miss_one(f);
	}
	assert_gets_messages(f);
	assert_int_equal(camtap_missed(f->camera), 0);
}

/* A ring that was heard makes up for those before. */
static void a_bell_that_wakes_now_and_then_is_not_given_up(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	for (int i = 0; i < 3; i++) {
		hear(f, 1);
		for (int round = 0, missed = 0; missed < 2; round++) {
			assert_true(round < ROUNDS_MAX);
			missed += miss_one(f);
		}
	}
	hear(f, 1);
}

/* ---- the lease limit ---- */

static void *release_frame(void *frame)
{
	return (void *)(intptr_t)camtap_release(frame);
}

/* Frames wake nobody at the limit; the release that ends it has them come as messages again. */
static void at_the_limit_frames_do_not_come_as_messages(void **state)
{
	struct fixture *f = *state;

	attach_to_bell(f);
	hear(f, 1);
	assert_true(camtap_fd(f->camera) >= 0);
	for (int round = 0; round < 20; round++) {
		bool between = round % 2; /* does a frame come at the limit? */
		struct camtap_frame *held[LEASES];
		uint64_t position = f->mock.pool.newest;
		unsigned messages;
		pthread_t thread;
		void *result;

		publish(f, LEASES);
		for (size_t i = 0; i < LEASES; i++)
			held[i] = take(f, ++position, 0);
		assert_int_equal(mock_listens(&f->mock), BELL_BUSY);
		messages = f->mock.frames_sent;
		if (between)
			publish(f, 1);
		assert_int_equal(f->mock.frames_sent, messages);
		assert_false(readable(f->camera));

		assert_int_equal(pthread_create(&thread, NULL, release_frame, held[0]), 0);
		if (between)
			assert_true(readable_within(f->camera, LIMIT_MS));
		pthread_join(thread, &result);
		assert_null(result);
		assert_int_equal(mock_listens(&f->mock), BELL_MESSAGES);
		assert_int_equal(readable(f->camera), between);
		if (!between) {
			publish(f, 1);
			assert_int_equal(f->mock.frames_sent, messages + 1);
		}
		assert_release(take(f, ++position, 0), 0);
		assert_release(held[1], 0);
		assert_idle(f->camera);
	}
}

/* Events do wake at the limit. */
static void at_the_limit_messages_wake(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];
	uint64_t position;

	attach_to_bell(f);
	hear(f, 1);
	position = f->mock.pool.newest;
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, ++position, 0);
	for (int i = 0; i < 4; i++) {
		mock_source(&f->mock, i % 2 ? WIRE_SOURCE_ONLINE : WIRE_SOURCE_OFFLINE, "");
		assert_true(readable(f->camera));
		assert_outcome(f->camera, i % 2 ? CAMTAP_ONLINE : CAMTAP_OFFLINE);
		assert_idle(f->camera);
		assert_int_equal(mock_listens(&f->mock), BELL_BUSY);
	}
	for (size_t i = 0; i < LEASES; i++)
		assert_release(held[i], 0);
	assert_int_equal(mock_listens(&f->mock), BELL_MESSAGES);
}

/* ---- other calls ---- */

static void send_status(struct fixture *f)
{
	int fd = memfd_create("status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct wire_status status = {.document_size = 2};

	assert_int_equal(write(fd, "{}", 2), 2);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	message_init(&status.header, WIRE_STATUS, sizeof(status));
	mock_send(&f->mock, &status, &fd, 1);
	close(fd);
}

/* Whoever asks for something else meanwhile misses nothing: without the file descriptor, and with
 * it. */
static void other_calls_do_no_harm(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	char *json;

	f->mock.controls = true;
	attach_to_bell(f);
	for (int round = 0; round < 8; round++) {
		struct wire_set_control answer = {.header.type = 0};
		bool shown = round >= 4;

		if (shown)
			assert_true(camtap_fd(f->camera) >= 0);
		else
			hear(f, 1);
		if (round % 2) {
			assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
			assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);
			publish(f, 1);
			send_status(f);
			assert_int_equal(camtap_status(f->camera, &json, LIMIT_MS), 0);
			assert_string_equal(json, "{}");
			free(json);
			assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);
		} else {
			assert_int_equal(
				camtap_set_control(f->camera, "brightness", "1", 0), -ETIMEDOUT);
			assert_int_equal(mock_receive(&f->mock), WIRE_SET_CONTROL);
			publish(f, 1);
			answer.token = f->mock.control.token;
			message_init(&answer.header, WIRE_SET_CONTROL, sizeof(answer));
			mock_send(&f->mock, &answer, NULL, 0);
		}
		if (shown) {
			assert_int_equal(mock_listens(&f->mock), BELL_MESSAGES);
			assert_release(take(f, f->mock.pool.newest, 0), 0);
			assert_idle(f->camera);
			publish(f, 1);
			assert_release(take(f, f->mock.pool.newest, 0), 0);
		} else {
			assert_int_equal(camtap_next(f->camera, &frame, -1), CAMTAP_FRAME);
			assert_true(shows(frame, EPOCH, f->mock.pool.newest));
			assert_release(frame, 0);
			hear(f, 1);
		}
	}
	assert_int_equal(camtap_missed(f->camera), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_ring_wakes),
		TEST(no_ring_is_needed_for_what_is_there),
		TEST(who_has_the_file_descriptor_gets_messages),
		TEST(a_frame_from_before_makes_the_file_descriptor_readable),
		TEST(a_message_wakes),
		TEST(a_message_that_did_not_ring_is_read_at_the_next_call),
		TEST(what_is_behind_the_message_of_a_frame_is_read_with_it),
		TEST(who_looks_at_the_socket_gets_no_messages),
		TEST(who_is_behind_is_not_rung_for),
		TEST(a_new_epoch_wakes),
		TEST(another_daemon_brings_another_bell),
		TEST(a_timeout_is_honoured),
		TEST(a_signal_ends_the_sleep),
		TEST(a_hang_up_is_noticed_asleep),
		TEST(a_hang_up_is_noticed_by_short_waits),
		TEST(a_hang_up_is_noticed_among_rings),
		TEST(a_slow_camera_is_waited_for_at_the_socket),
		TEST(who_is_slower_than_the_camera_gets_no_messages),
		TEST(a_closed_bell_is_given_up),
		TEST(a_bell_that_does_not_wake_is_given_up),
		TEST(a_bell_that_wakes_now_and_then_is_not_given_up),
		TEST(at_the_limit_frames_do_not_come_as_messages),
		TEST(at_the_limit_messages_wake),
		TEST(other_calls_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
