/* SPDX-License-Identifier: MIT */

/* libcamtap: reading frames, and the life of a handle. */

#include "client-fixture.h"

#include "leaks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- reading ---- */

static void frames_come_in_order(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	for (uint64_t position = 1; position <= 200; position++) {
		publish(f, 1);
		assert_release(take(f, position, 0), 0);
		assert_idle(f->camera);
	}
	publish(f, 3);
	assert_release(take(f, 201, 0), 0);
	assert_release(take(f, 202, 0), 0);
	assert_release(take(f, 203, 0), 0);
	assert_idle(f->camera);
	assert_int_equal(camtap_missed(f->camera), 0);
}

static void a_frame_tells_all_about_itself(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	uint32_t numerator, denominator;

	attach(f, NULL);
	publish(f, 1);
	frame = take(f, 1, 0);
	assert_int_equal(camtap_frame_plane_count(frame), 2);
	assert_int_equal(camtap_frame_bytesused(frame, 0), MOCK_WIDTH * MOCK_HEIGHT);
	assert_int_equal(camtap_frame_bytesused(frame, 1), MOCK_WIDTH * MOCK_HEIGHT / 2);
	assert_int_equal(camtap_frame_bytesused(frame, 2), 0);
	assert_int_equal(camtap_frame_stride(frame, 1), MOCK_WIDTH);
	assert_int_equal(camtap_frame_stride(frame, 2), 0);
	assert_ptr_equal((const char *)camtap_frame_data(frame, 0) + MOCK_WIDTH * MOCK_HEIGHT,
		camtap_frame_data(frame, 1));
	assert_null(camtap_frame_data(frame, 2));
	assert_null(camtap_frame_data(frame, UINT32_MAX));
	assert_int_equal(camtap_frame_fourcc(frame), V4L2_PIX_FMT_NV12);
	assert_int_equal(camtap_frame_width(frame), MOCK_WIDTH);
	assert_int_equal(camtap_frame_height(frame), MOCK_HEIGHT);
	assert_int_equal(camtap_frame_field(frame), V4L2_FIELD_TOP);
	camtap_frame_rate(frame, &numerator, &denominator);
	assert_int_equal(numerator, 30);
	assert_int_equal(denominator, 1);
	assert_int_equal(camtap_frame_sequence(frame), 101);
	assert_int_equal(camtap_frame_capture_time(frame), 5001);
	assert_int_equal(camtap_frame_capture_clock(frame), CAMTAP_CLOCK_MONOTONIC);
	assert_int_equal(camtap_frame_publish_time(frame), 7001);
	assert_int_equal(camtap_frame_realtime(frame), 1005001);
	assert_int_equal(camtap_frame_media_time(frame), -1);
	assert_int_equal(camtap_frame_flags(frame), CAMTAP_FRAME_KEYFRAME);
	assert_int_equal(camtap_frame_check(frame), 0);
	assert_release(frame, 0);
	assert_release(NULL, 0);
}

static void the_newest_frame_comes_first(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, NULL);
	publish(f, 7);
	offer_pool(f, CAMTAP_TRY_AGAIN);
	assert_idle(f->camera); /* not linked: neither a frame nor a loss, and no spinning */
	mock_link(&f->mock);
	assert_true(mock_ring(&f->mock));
	assert_release(take(f, 7, 0), 0);
	assert_idle(f->camera);
	publish(f, 1);
	assert_release(take(f, 8, 0), 0);
	assert_int_equal(camtap_missed(f->camera), 0);
}

/* Frames that were overwritten before the guard was linked, and after: only the last count. */
static void what_is_overwritten_is_counted(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, NULL);
	publish(f, 1);
	offer_pool(f, CAMTAP_TRY_AGAIN);
	mock_link(&f->mock);
	assert_true(mock_ring(&f->mock));
	publish(f, 10); /* 8 to 11 are there */
	assert_release(take(f, 8, 6), 0);
	publish(f, 1); /* 9 is gone, 10 to 12 are there */
	publish(f, 100);
	assert_release(take(f, 109, 100), 0);
	assert_release(take(f, 110, 0), 0);
	assert_release(take(f, 111, 0), 0);
	assert_release(take(f, 112, 0), 0);
	assert_idle(f->camera);
	assert_int_equal(camtap_missed(f->camera), 106);
}

/* A frame that another reader holds is older than those around it, and still there. */
static void an_old_frame_that_is_still_there_is_found(void **state)
{
	struct fixture *f = *state;
	uint32_t kept;

	attach(f, NULL);
	publish(f, 1);
	kept = mock_newest_slot(&f->mock);
	for (int i = 0; i < 10; i++) {
		uint32_t slot = mock_take_slot(&f->mock, true);

		if (slot == kept) { /* as if another reader held it: undo, take the next */
			guard_undo((guard_word *)(f->mock.guard.base + slot * GUARD_STRIDE),
				f->mock.pool.generations[slot]);
			f->mock.pool.positions[kept] += 1000;
			slot = mock_take_slot(&f->mock, true);
			f->mock.pool.positions[kept] -= 1000;
		}
		mock_publish_slot(&f->mock, slot);
	}
	assert_true(mock_ring(&f->mock));
	assert_release(take(f, 1, 0), 0);
	assert_release(take(f, 9, 7), 0);
}

static void latest_skips(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;

	attach(f, NULL);
	for (uint64_t round = 1; round <= 50; round++) {
		publish(f, 3);
		assert_true(readable(f->camera));
		assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_FRAME);
		assert_true(shows(frame, EPOCH, round * 3));
		assert_int_equal(camtap_frame_missed(frame), 2);
		assert_release(frame, 0);
		assert_false(readable(f->camera));
		assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_TRY_AGAIN);
	}
	assert_int_equal(camtap_missed(f->camera), 100);
	publish(f, 2);
	assert_release(take(f, 151, 0), 0);
}

static void the_limit_is_told_and_does_not_wake(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES], *frame;

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	assert_false(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN); /* no frame is there */
	publish(f, 1);
	assert_false(readable(f->camera));
	assert_int_equal(camtap_next(f->camera, &frame, -1), -ENOBUFS); /* at once */
	assert_non_null(strstr(camtap_error_text(f->camera), "release"));
	assert_int_equal(camtap_latest(f->camera, &frame, -1), -ENOBUFS);
	assert_false(readable(f->camera));
	publish(f, 1);
	assert_false(readable(f->camera));

	assert_release(held[0], 0);
	assert_true(readable(f->camera));
	frame = take(f, LEASES + 1, 0);
	assert_false(readable(f->camera));
	assert_release(held[1], 0);
	assert_release(take(f, LEASES + 2, 0), 0);
	assert_idle(f->camera);
	assert_release(frame, 0);
	/* and frames wake again */
	publish(f, 1);
	assert_release(take(f, LEASES + 3, 0), 0);
}

/* A release lets frames wake again, but is not by itself something to wake for. */
static void a_release_without_a_frame_does_not_wake(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];
	uint64_t position = 1;

	attach(f, NULL);
	for (int round = 0; round < 3; round++) {
		publish(f, LEASES);
		for (size_t i = 0; i < LEASES; i++)
			held[i] = take(f, position++, 0);
		assert_false(readable(f->camera));
		assert_release(held[0], 0);
		assert_false(readable(f->camera));
		publish(f, 1);
		held[0] = take(f, position++, 0);
		publish(f, 1);
		assert_false(readable(f->camera));
		assert_release(held[0], 0);
		assert_release(held[1], 0);
		assert_release(take(f, position++, 0), 0);
	}
}

static void *release_frame(void *frame)
{
	return (void *)(intptr_t)camtap_release(frame);
}

static void a_release_elsewhere_wakes(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];
	pthread_t thread;
	void *result;

	attach(f, NULL);
	for (uint64_t position = 1; position < 200; position++) {
		if (position == 1)
			publish(f, 3);
		held[0] = take(f, position, 0);
		held[1] = take(f, ++position, 0);
		assert_outcome(f->camera, -ENOBUFS);
		assert_false(readable(f->camera));
		assert_int_equal(pthread_create(&thread, NULL, release_frame, held[0]), 0);
		assert_true(readable_within(f->camera, LIMIT_MS));
		held[0] = take(f, ++position, 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_null(result);
		assert_release(held[1], 0);
		assert_release(held[0], 0);
		publish(f, 3);
	}
}

static void *publish_frame(void *mock)
{
	return mock_publish(mock) ? NULL : mock;
}

/* A program with one thread would wait for ever if the limit silenced its own waiting. */
static void waiting_at_the_limit_ends_with_a_frame(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES], *frame;
	pthread_t thread;
	void *result;

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	assert_int_equal(pthread_create(&thread, NULL, publish_frame, &f->mock), 0);
	assert_int_equal(camtap_next(f->camera, &frame, LIMIT_MS), -ENOBUFS);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	for (size_t i = 0; i < LEASES; i++)
		assert_release(held[i], 0);
	assert_release(take(f, LEASES + 1, 0), 0);
}

static void waiting_ends_with_a_frame(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	pthread_t thread;

	attach(f, NULL);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pthread_create(&thread, NULL, publish_frame, &f->mock), 0);
		assert_int_equal(
			camtap_next(f->camera, &frame, i % 2 ? -1 : LIMIT_MS), CAMTAP_FRAME);
		assert_release(frame, 0);
		pthread_join(thread, NULL);
	}
	assert_int_equal(camtap_next(f->camera, &frame, 1), CAMTAP_TRY_AGAIN);
}

static void a_revoked_frame_is_stale(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *first, *second;
	uint32_t slot;

	attach(f, NULL);
	publish(f, 1);
	slot = mock_newest_slot(&f->mock);
	first = take(f, 1, 0);
	publish(f, 1);
	assert_int_equal(camtap_frame_check(first), 0);
	mock_revoke(&f->mock, slot);
	assert_int_equal(camtap_frame_check(first), -ESTALE);
	assert_false(shows(first, EPOCH, 1));
	mock_publish_slot(&f->mock, slot); /* frame 3, in the same slot */
	assert_true(mock_ring(&f->mock));
	assert_release(take(f, 2, 0), 0);
	second = take(f, 3, 0);
	/* the stale one neither passes for the new one nor gives it away */
	assert_int_equal(camtap_frame_check(first), -ESTALE);
	assert_int_equal(camtap_frame_check(second), 0);
	assert_release(first, -ESTALE);
	assert_int_equal(camtap_frame_check(second), 0);
	assert_release(second, 0);
}

static void a_lossless_release_is_announced(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	uint32_t slot;

	f->mock.lossless = true; /* by the daemon's own choice */
	attach(f, NULL);
	publish(f, 3);
	assert_false(mock_publish(&f->mock) && mock_publish(&f->mock)); /* the source waits */
	frame = take(f, 1, 0);
	assert_release(frame, 0);
	assert_int_equal(mock_receive(&f->mock), 0); /* nobody asked */

	slot = mock_newest_slot(&f->mock);
	assert_int_equal(guard_wait((guard_word *)(f->mock.guard.base + slot * GUARD_STRIDE),
				 f->mock.pool.generations[slot]),
		GUARD_DONE);
	/* latest skips nothing that the source waits for */
	for (uint64_t position = 2; position <= f->mock.pool.newest; position++) {
		assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_FRAME);
		assert_int_equal(camtap_frame_id(frame), position);
		assert_int_equal(mock_receive(&f->mock), 0);
		assert_release(frame, 0);
	}
	assert_int_equal(mock_receive(&f->mock), WIRE_RELEASED);
	assert_int_equal(mock_receive(&f->mock), 0);
	assert_int_equal(camtap_missed(f->camera), 0);
}

/* The ring of recent frames was lapped while we looked: the newer frame that is found must not be
 * taken and given back, or the source would not wait for its real reader. */
static void a_lapped_lossless_frame_is_not_touched(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	pool_recent *recent;
	uint32_t slot;

	f->mock.lossless = true;
	attach(f, NULL);
	publish(f, 2);
	slot = mock_newest_slot(&f->mock);
	recent = (pool_recent *)(f->mock.pool.base + f->mock.pool.layout.recent_offset);
	atomic_store(&recent[0], atomic_load(&recent[1]));
	assert_int_equal(guard_wait((guard_word *)(f->mock.guard.base + slot * GUARD_STRIDE),
				 f->mock.pool.generations[slot]),
		GUARD_DONE);
	frame = take(f, 2, 0);
	assert_int_equal(mock_receive(&f->mock), 0);
	assert_release(frame, 0);
	assert_int_equal(mock_receive(&f->mock), WIRE_RELEASED);
}

/* ---- the handle's end ---- */

static void frames_outlive_the_handle(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	camtap_close(f->camera);
	f->camera = NULL;
	publish(f, 1);
	assert_int_equal(mock_receive(&f->mock), 0); /* no hang-up yet */
	assert_release(held[0], 0);
	assert_int_equal(mock_receive(&f->mock), 0);
	assert_true(shows(held[1], EPOCH, 2));
	assert_int_equal(camtap_frame_check(held[1]), 0);
	assert_release(held[1], 0);
	assert_int_equal(mock_receive(&f->mock), -1);
}

/* The last frames and the handle go at the same time; whoever is last cleans up. */
static void closing_and_releasing_may_coincide(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 100; i++) {
		struct camtap_frame *held[LEASES];
		pthread_t threads[LEASES];
		void *result;

		attach(f, NULL);
		publish(f, LEASES);
		for (size_t j = 0; j < LEASES; j++)
			held[j] = take(f, j + 1, 0);
		for (size_t j = 0; j < LEASES; j++)
			assert_int_equal(
				pthread_create(&threads[j], NULL, release_frame, held[j]), 0);
		renew_client(f);
		for (size_t j = 0; j < LEASES; j++) {
			assert_int_equal(pthread_join(threads[j], &result), 0);
			assert_null(result);
		}
		assert_int_equal(mock_receive(&f->mock), -1);
		mock_hang_up(&f->mock);
	}
}

static void a_handle_may_end_at_any_time(void **state)
{
	struct fixture *f = *state;

	camtap_close(NULL);
	for (int steps = 0; steps < 7; steps++) {
		mock_hang_up(&f->mock);
		if (steps > 0)
			connect_client(f);
		if (steps > 1)
			welcome_client(f);
		if (steps > 2) {
			mock_make_pool(&f->mock, EPOCH, NULL);
			mock_send_format(&f->mock);
		}
		if (steps > 3)
			assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
		if (steps > 4) { /* with two events that nobody asks for */
			mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "gone");
			mock_source(&f->mock, WIRE_SOURCE_PAUSED, "by root");
			mock_make_pool(&f->mock, EPOCH + 1, NULL);
			mock_send_format(&f->mock);
			assert_outcome(f->camera, CAMTAP_OFFLINE);
		}
		if (steps > 5)
			mock_hang_up(&f->mock);
		renew_client(f);
	}
}

/* What a forked child sees; 0 if all is as it should be, else the line. */
#define CHILD_CHECK(condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__ % 255 + 1;                                                 \
	} while (0)

static int look_around_in_child(struct camtap *camera, struct camtap_frame *frame)
{
	struct camtap_frame *other = NULL;
	uint32_t numerator = 1, denominator = 1;
	char *json = NULL;
	bool input = fcntl(STDIN_FILENO, F_GETFD) >= 0;
	int fds;

	CHILD_CHECK(camtap_next(camera, &other, -1) == -ECHILD);
	CHILD_CHECK(camtap_latest(camera, &other, -1) == -ECHILD);
	CHILD_CHECK(camtap_status(camera, &json, -1) == -ECHILD);
	CHILD_CHECK(camtap_connect(camera) == -ECHILD);
	CHILD_CHECK(camtap_set_camera(camera, "front") == -ECHILD);
	CHILD_CHECK(camtap_fd(camera) == -ECHILD);
	CHILD_CHECK(camtap_name(camera) == NULL);
	CHILD_CHECK(camtap_max_leases(camera) == 0);
	CHILD_CHECK(camtap_missed(camera) == 0);
	CHILD_CHECK(strstr(camtap_error_text(camera), "child"));
	CHILD_CHECK(strcmp(camtap_event_text(camera), "") == 0);
	CHILD_CHECK(camtap_frame_check(frame) == -ECHILD);
	CHILD_CHECK(camtap_frame_data(frame, 0) == NULL);
	CHILD_CHECK(camtap_frame_plane_count(frame) == 0);
	CHILD_CHECK(camtap_frame_bytesused(frame, 0) == 0);
	CHILD_CHECK(camtap_frame_stride(frame, 0) == 0);
	CHILD_CHECK(camtap_frame_fourcc(frame) == 0);
	CHILD_CHECK(camtap_frame_width(frame) == 0);
	CHILD_CHECK(camtap_frame_id(frame) == 0);
	CHILD_CHECK(camtap_frame_epoch(frame) == 0);
	CHILD_CHECK(camtap_frame_missed(frame) == 0);
	CHILD_CHECK(camtap_frame_realtime(frame) == 0);
	camtap_frame_rate(frame, &numerator, &denominator);
	CHILD_CHECK(numerator == 0 && denominator == 0);
	CHILD_CHECK(camtap_release(frame) == -ECHILD);
	fds = count_fds();
	camtap_close(camera);
	CHILD_CHECK(count_fds() == fds - 4);                       /* epoll, timer, event, socket */
	CHILD_CHECK((fcntl(STDIN_FILENO, F_GETFD) >= 0) == input); /* and no other */
	return 0;
}

static void a_child_owns_nothing(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	int status;
	pid_t child;

	attach(f, NULL);
	publish(f, 2);
	frame = take(f, 1, 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(look_around_in_child(f->camera, frame));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);

	/* nothing of the parent's has changed, what it waits for included */
	assert_int_equal(camtap_frame_check(frame), 0);
	assert_release(frame, 0);
	assert_release(take(f, 2, 0), 0);
	assert_idle(f->camera);
	publish(f, 1);
	assert_release(take(f, 3, 0), 0);
	mock_source(&f->mock, WIRE_SOURCE_ENDED, "over");
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_ENDED);
}

/* A child has copies of all file descriptors, for as long as it lives. */
static void a_childs_copies_do_not_wake(void **state)
{
	struct fixture *f = *state;
	int lifeline[2];
	pid_t child;
	char byte;

	attach(f, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, lifeline), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		mock_hang_up(&f->mock); /* the daemon's ends are not meant */
		close(lifeline[0]);
		_exit(write(lifeline[1], "", 1) != 1 || read(lifeline[1], &byte, 1) != 0);
	}
	close(lifeline[1]);
	assert_int_equal(read(lifeline[0], &byte, 1), 1);
	mock_hang_up(&f->mock);
	accept_again(f);
	welcome_client(f);
	assert_idle(f->camera);
	close(lifeline[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void do_nothing(int signal)
{
	(void)signal;
}

struct interruption {
	pthread_t victim;
	atomic_bool done;
};

static void *interrupt(void *argument)
{
	struct interruption *interruption = argument;

	while (!atomic_load(&interruption->done)) {
		pthread_kill(interruption->victim, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

static void a_signal_ends_waiting(void **state)
{
	struct fixture *f = *state;
	struct interruption interruption = {.victim = pthread_self()};
	struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART}, before;
	pthread_t thread;

	attach(f, NULL);
	sigaction(SIGUSR1, &action, &before);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, &interruption), 0);
	assert_int_equal(camtap_next(f->camera, &(struct camtap_frame *){NULL}, -1), -EINTR);
	assert_int_equal(camtap_status(f->camera, (char *[]){NULL}, -1), -EINTR);
	atomic_store(&interruption.done, true);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &before, NULL);
	publish(f, 1);
	assert_release(take(f, 1, 0), 0);
}

/* ---- all at once ---- */

/* A writer that never waits, one thread that reads, and one that holds frames and gives them back.
 */
struct stress {
	struct fixture *f;
	atomic_bool done;
	struct camtap_frame *_Atomic handed; /* to the thread that releases */
	_Atomic unsigned released, stale, fooled;
};

static void *write_frames(void *argument)
{
	struct stress *stress = argument;
	struct mock *mock = &stress->f->mock;

	for (unsigned count = 0; !atomic_load(&stress->done); count++) {
		if (count % 16 == 0) {
			uint32_t slot = mock_oldest_slot(mock);

			mock_revoke(mock, slot);
			mock_publish_slot(mock, slot);
		} else if (!mock_publish(mock)) {
			return argument;
		}
		sched_yield();
	}
	return NULL;
}

static void *give_back_frames(void *argument)
{
	struct stress *stress = argument;

	for (;;) {
		struct camtap_frame *frame = atomic_exchange(&stress->handed, NULL);
		bool whole, stale;

		if (!frame) {
			if (atomic_load(&stress->done))
				return NULL;
			sched_yield();
			continue;
		}
		/* some are held until they are taken away */
		while (camtap_frame_id(frame) % 64 == 0 && camtap_frame_check(frame) == 0)
			sched_yield();
		whole = shows(frame, EPOCH, camtap_frame_id(frame));
		stale = camtap_release(frame) == -ESTALE;
		if (!whole && !stale)
			stress->fooled++;
		stress->stale += stale;
		stress->released++;
	}
}

static void no_reader_is_fooled(void **state)
{
	struct fixture *f = *state;
	struct stress stress = {.f = f};
	pthread_t writer, releaser;
	uint64_t last = 0, missed = 0, taken = 0, refused = 0;
	void *result;

	attach(f, NULL);
	assert_int_equal(pthread_create(&writer, NULL, write_frames, &stress), 0);
	assert_int_equal(pthread_create(&releaser, NULL, give_back_frames, &stress), 0);
	while (taken < 20000) {
		struct camtap_frame *frame = NULL, *before;
		int outcome = taken % 3 ? camtap_next(f->camera, &frame, LIMIT_MS)
					: camtap_latest(f->camera, &frame, LIMIT_MS);

		if (outcome == -ENOBUFS) {
			refused++;
			assert_true(readable_within(f->camera, LIMIT_MS));
			continue;
		}
		assert_int_equal(outcome, CAMTAP_FRAME);
		taken++;
		assert_int_equal(camtap_frame_id(frame), last + 1 + camtap_frame_missed(frame));
		last = camtap_frame_id(frame);
		missed += camtap_frame_missed(frame);
		before = atomic_exchange(&stress.handed, frame);
		if (before) {
			stress.stale += camtap_release(before) == -ESTALE;
			stress.released++;
		}
	}
	atomic_store(&stress.done, true);
	pthread_join(writer, &result);
	pthread_join(releaser, NULL);
	assert_null(result);
	print_message("published %llu, taken %llu, missed %llu, stale %u, refused %llu\n",
		(unsigned long long)f->mock.pool.newest, (unsigned long long)taken,
		(unsigned long long)missed, stress.stale, (unsigned long long)refused);
	assert_int_equal(stress.fooled, 0);
	assert_true(stress.stale > 0);
	assert_int_equal(stress.released, taken);
	assert_int_equal(camtap_missed(f->camera), missed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BOTH(frames_come_in_order),
		TEST(a_frame_tells_all_about_itself),
		TEST_BOTH(the_newest_frame_comes_first),
		TEST_BOTH(what_is_overwritten_is_counted),
		TEST(an_old_frame_that_is_still_there_is_found),
		TEST_BOTH(latest_skips),
		TEST_BOTH(the_limit_is_told_and_does_not_wake),
		TEST_BOTH(a_release_without_a_frame_does_not_wake),
		TEST_BOTH(a_release_elsewhere_wakes),
		TEST_BOTH(waiting_at_the_limit_ends_with_a_frame),
		TEST_BOTH(waiting_ends_with_a_frame),
		TEST(a_revoked_frame_is_stale),
		TEST_BOTH(a_lossless_release_is_announced),
		TEST(a_lapped_lossless_frame_is_not_touched),
		TEST_BOTH(frames_outlive_the_handle),
		TEST(closing_and_releasing_may_coincide),
		TEST(a_handle_may_end_at_any_time),
		TEST(a_child_owns_nothing),
		TEST_BOTH(a_childs_copies_do_not_wake),
		TEST(a_signal_ends_waiting),
		TEST_BOTH(no_reader_is_fooled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
