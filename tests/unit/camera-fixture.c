/* SPDX-License-Identifier: MIT */
#include "camera-fixture.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_NS (20 * NSEC_PER_SEC)

/* ---- the capture thread's diary ---- */

static void note_state(struct camera_bench *bench)
{
	struct camera_note *last =
		bench->note_count > 0 ? &bench->notes[bench->note_count - 1] : NULL;
	struct camera_snapshot snapshot;

	camera_snapshot(bench->camera, &snapshot);
	if (last != NULL && last->state == snapshot.state && strcmp(last->text, snapshot.text) == 0)
		return;
	if (bench->note_count >= NOTES_MAX)
		abort(); /* that is no way to tell people */
	last = &bench->notes[bench->note_count++];
	last->state = snapshot.state;
	last->error = snapshot.error;
	memcpy(last->text, snapshot.text, sizeof last->text);
}

static void note_frame(struct camera_bench *bench)
{
	struct wire_frame newest;
	unsigned last = bench->frame_count - 1;

	if (!stream_newest(camera_stream(bench->camera), &newest))
		return;
	if (bench->frame_count > 0 && bench->frames[last].epoch == newest.epoch &&
		bench->frames[last].id == newest.frame_id)
		return;
	if (bench->frame_count >= FRAMES_MAX)
		abort();
	bench->frames[bench->frame_count].epoch = newest.epoch;
	bench->frames[bench->frame_count++].id = newest.frame_id;
}

static void on_call(void *userdata, enum fake_call call)
{
	struct camera_bench *bench = userdata;
	uint64_t one = 1;

	pthread_mutex_lock(&bench->lock);
	note_state(bench);
	note_frame(bench);
	pthread_mutex_unlock(&bench->lock);
	if (bench->hook != NULL)
		bench->hook(bench, call);
	if (write(bench->notify_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort();
}

/* ---- the server thread's part ---- */

static void link_reader(struct camera_bench *bench, struct pool *pool)
{
	uint8_t *words = aligned_alloc(64, POOL_SLOTS_MAX * GUARD_STRIDE);

	assert_non_null(words);
	assert_true(bench->pool_count < POOLS_MAX);
	memset(words, 0, POOL_SLOTS_MAX * GUARD_STRIDE);
	bench->reader.pool.words = words;
	if (!stream_link(camera_stream(bench->camera), pool, &bench->reader)) {
		free(words);
		return;
	}
	bench->pool = pool;
	bench->pools[bench->pool_count] = pool;
	bench->words[bench->pool_count++] = words;
}

static void destroy_if_unknown(struct camera_bench *bench, struct pool *pool)
{
	for (unsigned i = 0; i < bench->pool_count; i++)
		if (bench->pools[i] == pool)
			return; /* a reader may hold its frames */
	pool_destroy(pool);
}

static void serve(struct camera_bench *bench)
{
	struct pool *pool;

	while ((pool = stream_take_finished(camera_stream(bench->camera))) != NULL) {
		if (pool == bench->pool)
			bench->pool = NULL;
		destroy_if_unknown(bench, pool);
	}
	pool = stream_pool(camera_stream(bench->camera));
	if (bench->attached && pool != NULL && pool != bench->pool)
		link_reader(bench, pool);
}

static bool wait_for_news(struct camera_bench *bench, int64_t deadline_ns)
{
	struct pollfd pollfd = {.fd = bench->notify_fd, .events = POLLIN};
	int64_t left = (deadline_ns - clock_now()) / NSEC_PER_MSEC + 1;
	uint64_t count;

	if (left <= 0 || poll(&pollfd, 1, (int)left) == 0)
		return false;
	(void)!read(bench->notify_fd, &count, sizeof count);
	return true;
}

void camera_bench_wait_state(struct camera_bench *bench, enum camera_state state)
{
	int64_t deadline_ns = clock_now() + LIMIT_NS;

	for (;;) {
		serve(bench);
		if (camera_bench_snapshot(bench).state == state)
			return;
		if (!wait_for_news(bench, deadline_ns))
			fail_msg("not %s but %s", camera_state_to_string(state),
				camera_state_to_string(camera_bench_snapshot(bench).state));
	}
}

void camera_bench_wait_pause(struct camera_bench *bench)
{
	int64_t deadline_ns = clock_now() + LIMIT_NS;

	for (;;) {
		serve(bench);
		if (camera_pause_is_done(bench->camera))
			return;
		if (!wait_for_news(bench, deadline_ns))
			fail_msg("the pause is not done: %s",
				camera_state_to_string(camera_bench_snapshot(bench).state));
	}
}

void camera_bench_wait_calls(struct camera_bench *bench, enum fake_call call, uint64_t count)
{
	int64_t deadline_ns = clock_now() + LIMIT_NS;

	for (;;) {
		serve(bench);
		if (fake_source_calls(&bench->fake, call) >= count)
			return;
		if (!wait_for_news(bench, deadline_ns))
			fail_msg("not %lu calls but %lu", (unsigned long)count,
				(unsigned long)fake_source_calls(&bench->fake, call));
	}
}

void camera_bench_wait_frames(struct camera_bench *bench, unsigned count)
{
	int64_t deadline_ns = clock_now() + LIMIT_NS;

	for (;;) {
		serve(bench);
		if (camera_bench_frames(bench) >= count)
			return;
		if (!wait_for_news(bench, deadline_ns))
			fail_msg("not %u frames but %u", count, camera_bench_frames(bench));
	}
}

void camera_bench_wait_reserve(struct camera_bench *bench)
{
	int64_t deadline_ns = clock_now() + LIMIT_NS;

	for (;;) {
		serve(bench);
		if (bench->pool != NULL && fake_source_slots(&bench->fake) == bench->pool->reserve)
			return;
		if (!wait_for_news(bench, deadline_ns))
			fail_msg("the source has %u slots", fake_source_slots(&bench->fake));
	}
}

void camera_bench_watch(struct camera_bench *bench, int milliseconds)
{
	int64_t deadline_ns = clock_now() + milliseconds * NSEC_PER_MSEC;

	while (wait_for_news(bench, deadline_ns))
		serve(bench);
}

struct camera_snapshot camera_bench_snapshot(struct camera_bench *bench)
{
	struct camera_snapshot snapshot;

	camera_snapshot(bench->camera, &snapshot);
	return snapshot;
}

unsigned camera_bench_frames(struct camera_bench *bench)
{
	unsigned count;

	pthread_mutex_lock(&bench->lock);
	count = bench->frame_count;
	pthread_mutex_unlock(&bench->lock);
	return count;
}

static void on_released(struct stream_reader *reader)
{
	struct camera_bench *bench =
		(struct camera_bench *)((char *)reader - offsetof(struct camera_bench, reader));

	bench->released = true;
}

void camera_bench_attach(struct camera_bench *bench)
{
	bench->attached = true;
	bench->reader.on_released = on_released;
	camera_set_readers(bench->camera, 1);
}

void camera_bench_leave(struct camera_bench *bench)
{
	int64_t deadline_ns = clock_now() + LIMIT_NS;

	bench->attached = false;
	bench->pool = NULL;
	bench->released = false;
	stream_retire(camera_stream(bench->camera), &bench->reader);
	camera_set_readers(bench->camera, 0);
	for (;;) {
		stream_release_retired(camera_stream(bench->camera));
		if (bench->released)
			break;
		assert_true(wait_for_news(bench, deadline_ns));
	}
}

/* ---- life ---- */

struct camera_bench *camera_bench_new(void)
{
	struct camera_bench *bench = calloc(1, sizeof *bench);

	assert_non_null(bench);
	bench->options = (struct options){.name = (char *)"fake",
		.slots = 5,
		.memory_limit = 1 << 30,
		.max_clients = 4,
		.max_leases = 4,
		.lease_min_ns = 1,
		.wait_readers = 1,
		.stall_timeout_ns = 30 * NSEC_PER_MSEC};
	pinned_init(&bench->pinned, bench->options.memory_limit);
	fake_source_init(&bench->fake, on_call, bench);
	pthread_mutex_init(&bench->lock, NULL);
	bench->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(bench->notify_fd >= 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, bench->ends), 0);
	bench->reader.target.fd = bench->ends[0];
	bench->reader.target.byte = true;
	return bench;
}

void camera_bench_run(struct camera_bench *bench)
{
	int r;

	/* an always-on camera calls its source before this returns */
	pthread_mutex_lock(&bench->lock);
	/* a send may cost what it likes: no reader is a suspect here */
	r = camera_create(&bench->options, &bench->fake.source, &bench->pinned, bench->notify_fd,
		NSEC_PER_SEC, bench->pause, &bench->camera);
	pthread_mutex_unlock(&bench->lock);
	assert_int_equal(r, 0);
	camera_bench_attach(bench);
}

void camera_bench_free(struct camera_bench *bench)
{
	camera_stop(bench->camera);
	serve(bench);
	assert_string_equal(bench->fake.violation, "");
	assert_false(bench->fake.is_open || bench->fake.is_started);
	camera_destroy(bench->camera);
	for (unsigned i = 0; i < bench->pool_count; i++) {
		pool_destroy(bench->pools[i]);
		free(bench->words[i]);
	}
	close(bench->notify_fd);
	close(bench->ends[0]);
	close(bench->ends[1]);
	pthread_mutex_destroy(&bench->lock);
	fake_source_finish(&bench->fake);
	pinned_finish(&bench->pinned);
	free(bench);
}
