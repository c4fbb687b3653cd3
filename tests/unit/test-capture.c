/* SPDX-License-Identifier: MIT */

/* The camera when its source falls silent, breaks, changes or gives damaged frames: what it does,
 * what people are told, and that no slot is lost on the way. */

#include "camera-fixture.h"
#include "clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct fake_step good = {.kind = FAKE_FRAME};
static const struct fake_step silence = {.kind = FAKE_SILENCE};
static const struct fake_step another_signal = {.kind = FAKE_CHANGED};
static const struct fake_step broken = {.kind = FAKE_ERROR, .error = -EIO};

static int setup(void **state)
{
	*state = camera_bench_new();
	return 0;
}

static int teardown(void **state)
{
	camera_bench_free(*state);
	return 0;
}

/* ---- what the diary must say ---- */

static unsigned note_count(struct camera_bench *bench)
{
	unsigned count;

	pthread_mutex_lock(&bench->lock);
	count = bench->note_count;
	pthread_mutex_unlock(&bench->lock);
	return count;
}

/* The first things that people were told of. (Notes are only ever added: what is counted stays.) */
static void assert_told_first(
	struct camera_bench *bench, const enum camera_state *states, unsigned count)
{
	assert_true(note_count(bench) >= count);
	for (unsigned i = 0; i < count; i++)
		assert_string_equal(camera_state_to_string(bench->notes[i].state),
			camera_state_to_string(states[i]));
}

/* People were told of exactly these states, in this order, since the first opening. */
static void assert_told(struct camera_bench *bench, const enum camera_state *states, unsigned count)
{
	assert_told_first(bench, states, count);
	assert_int_equal(note_count(bench), count);
}

/* Frame number `frame` (from 0) has this id; returns its epoch. */
static uint64_t epoch_of(struct camera_bench *bench, unsigned frame, uint64_t id)
{
	assert_true(frame < camera_bench_frames(bench));
	assert_int_equal(bench->frames[frame].id, id);
	return bench->frames[frame].epoch;
}

static int64_t pause_before(struct camera_bench *bench, unsigned opening)
{
	int64_t pause_ns;

	pthread_mutex_lock(&bench->fake.lock);
	pause_ns = bench->fake.open_ns[opening] - bench->fake.open_ns[opening - 1];
	pthread_mutex_unlock(&bench->fake.lock);
	return pause_ns;
}

/* ---- frames as a reader has them ---- */

struct lease {
	struct pool *pool;
	guard_word *word;
	struct wire_frame frame;
	uint8_t pixel;
};

static const uint8_t *pixels(const struct lease *lease)
{
	return pool_slot_data(lease->pool, lease->frame.slot);
}

static struct lease take_newest(struct camera_bench *bench)
{
	struct lease lease = {.pool = bench->pool};

	assert_true(stream_newest(camera_stream(bench->camera), &lease.frame));
	lease.word =
		(guard_word *)(bench->reader.pool.words + (size_t)lease.frame.slot * GUARD_STRIDE);
	assert_int_equal(guard_take(lease.word, lease.frame.generation), GUARD_DONE);
	lease.pixel = pixels(&lease)[0];
	return lease;
}

/* It is what it was, and was not revoked. */
static void give_back(const struct lease *lease)
{
	for (unsigned i = 0; i < FAKE_SIZE; i++)
		assert_int_equal(pixels(lease)[i], lease->pixel);
	assert_int_equal(guard_release(lease->word, lease->frame.generation), GUARD_DONE);
}

/* Where the frame of this position is: its slot and, if asked for, its generation. */
static uint32_t slot_of(const struct pool *pool, uint64_t position, uint64_t *ret_generation)
{
	struct pool_view view;
	uint64_t recent;

	assert_int_equal(pool_view_init(&view, pool->base, pool->size), 0);
	recent = atomic_load(pool_view_recent(&view, position));
	if (ret_generation != NULL)
		*ret_generation = recent >> POOL_RECENT_SLOT_BITS;
	return recent & ((1 << POOL_RECENT_SLOT_BITS) - 1);
}

static struct pool_frame descriptor(const struct pool *pool, uint64_t position)
{
	struct pool_frame frame;
	struct pool_view view;

	assert_int_equal(pool_view_init(&view, pool->base, pool->size), 0);
	assert_true(pool_frame_load(&view, slot_of(pool, position, NULL), &frame));
	assert_int_equal(frame.position, position);
	return frame;
}

/* ---- silence ---- */

static void a_silent_device_is_started_anew_then_opened_anew(void **state)
{
	static const enum camera_state told[] = {CAMERA_OPENING, CAMERA_STREAMING, CAMERA_STALLED,
		CAMERA_STREAMING, CAMERA_STALLED, CAMERA_BACKOFF, CAMERA_STREAMING};
	struct camera_bench *bench = *state;
	uint64_t first;

	fake_source_play(&bench->fake, good, 2);
	fake_source_play(&bench->fake, silence, 1); /* started anew */
	fake_source_play(&bench->fake, good, 2);
	fake_source_play(&bench->fake, silence, 2); /* started anew, which does not help */
	fake_source_play(&bench->fake, good, 6);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 10);

	first = epoch_of(bench, 0, 1);
	for (unsigned i = 1; i < 4; i++)
		assert_true(epoch_of(bench, i, i + 1) == first);
	assert_true(epoch_of(bench, 4, 1) != first);
	for (unsigned i = 5; i < 10; i++)
		assert_true(epoch_of(bench, i, i - 3) == epoch_of(bench, 4, 1));
	assert_told_first(bench, told, 7); /* it is silent again by now */
	for (unsigned i = 0; i < 7; i++) {
		bool away = told[i] == CAMERA_STALLED || told[i] == CAMERA_BACKOFF;

		assert_int_equal(bench->notes[i].error, away ? ETIMEDOUT : 0);
		assert_int_equal(strlen(bench->notes[i].text) > 0, away);
	}
}

static void who_reads_on_after_a_stall_sees_that_frames_were_lost(void **state)
{
	struct camera_bench *bench = *state;

	fake_source_play(&bench->fake, good, 2);
	fake_source_play(&bench->fake, silence, 1);
	fake_source_play(&bench->fake, good, 2);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 4);
	for (uint64_t position = 1; position <= 4; position++)
		assert_int_equal(
			descriptor(bench->pools[0], position).flags & POOL_FRAME_DISCONTINUITY,
			position == 3 ? POOL_FRAME_DISCONTINUITY : 0);
}

static void people_are_told_once_of_a_device_that_stays_silent(void **state)
{
	static const enum camera_state told[] = {
		CAMERA_OPENING, CAMERA_STREAMING, CAMERA_STALLED, CAMERA_BACKOFF};
	struct camera_bench *bench = *state;

	camera_bench_run(bench);
	camera_bench_wait_calls(bench, FAKE_OPEN, 5);
	assert_told(bench, told, 4);
	/* no frame came: the back-off goes on growing */
	for (unsigned i = 1; i <= 4; i++)
		assert_true(pause_before(bench, i) >= (50 << i) * NSEC_PER_MSEC);
}

static void stalls_keep_no_slots(void **state)
{
	struct camera_bench *bench = *state;
	struct lease lease;

	bench->options.stall_timeout_ns = 5 * NSEC_PER_MSEC;
	camera_bench_run(bench);
	fake_source_play(&bench->fake, good, 1);
	camera_bench_wait_frames(bench, 1);
	lease = take_newest(bench);
	for (unsigned i = 0; i < 100; i++) {
		fake_source_play(&bench->fake, silence, 1);
		fake_source_play(&bench->fake, good, 2);
	}
	/* as quiet as it was at the beginning */
	camera_bench_wait_frames(bench, 201);
	fake_source_play(&bench->fake, good, 20);
	camera_bench_wait_frames(bench, 221);
	assert_true(fake_source_calls(&bench->fake, FAKE_STOP) >= 100);
	camera_stop(bench->camera);
	assert_int_equal(lease.pool->writing, 0);
	for (uint32_t slot = 0; slot < lease.pool->slot_count; slot++)
		assert_int_not_equal(lease.pool->slots[slot].state, POOL_SLOT_WRITING);
}

static void nothing_stalls_that_may_be_silent(void **state)
{
	struct camera_bench *bench = *state;

	fake_source_play(&bench->fake, good, 1);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 1);
	camera_bench_watch(bench, 200);
	assert_int_equal(fake_source_calls(&bench->fake, FAKE_START), 1);
	assert_int_equal(camera_bench_snapshot(bench).state, CAMERA_STREAMING);
}

static int setup_without_timeout(void **state)
{
	struct camera_bench *bench = camera_bench_new();

	bench->options.stall_timeout_ns = 0;
	bench->fake.format.format.rate_numerator = 100; /* not even some frames' time counts */
	bench->fake.format.format.rate_denominator = 1;
	*state = bench;
	return 0;
}

static int setup_no_device(void **state)
{
	struct camera_bench *bench = camera_bench_new();

	bench->fake.ops.stalls = false;
	*state = bench;
	return 0;
}

static int setup_slow_device(void **state)
{
	struct camera_bench *bench = camera_bench_new();

	bench->fake.format.format.rate_numerator = 1; /* a frame each 4 s */
	bench->fake.format.format.rate_denominator = 4;
	*state = bench;
	return 0;
}

/* The lossless reader holds every frame for longer than the stall timeout, and the device then
 * needs a moment to fill the slot that it gets. */
static void a_source_that_waits_for_readers_has_not_stalled(void **state)
{
	struct camera_bench *bench = *state;
	struct stream_counters counters;

	bench->reader.pool.lossless = true;
	bench->fake.lags = true;
	fake_source_play(&bench->fake, good, 40);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, bench->options.slots);
	camera_bench_watch(bench, 200);
	assert_int_equal(camera_bench_frames(bench), bench->options.slots);
	stream_count(camera_stream(bench->camera), &counters);
	assert_int_equal(counters.pool_empty, 1);
	assert_int_equal(fake_source_slots(&bench->fake), 0);

	for (unsigned i = 1; i <= 10; i++) {
		uint64_t generation;
		uint32_t slot = slot_of(bench->pool, i, &generation);
		guard_word *word = (guard_word *)(bench->words[0] + (size_t)slot * GUARD_STRIDE);

		assert_int_equal(guard_take(word, generation), GUARD_DONE);
		assert_int_not_equal(guard_release(word, generation), GUARD_GONE);
		camera_stream(bench->camera)->wake_producer(camera_stream(bench->camera));
		camera_bench_wait_frames(bench, bench->options.slots + i);
		camera_bench_watch(bench, 50); /* longer than the stall timeout */
	}
	assert_int_equal(fake_source_calls(&bench->fake, FAKE_START), 1);
	assert_int_equal(camera_bench_snapshot(bench).state, CAMERA_STREAMING);
}

/* ---- errors and the back-off ---- */

static void the_back_off_grows_to_a_second_and_people_are_told_once(void **state)
{
	static const enum camera_state told[] = {
		CAMERA_OPENING, CAMERA_BACKOFF, CAMERA_STREAMING, CAMERA_BACKOFF, CAMERA_STREAMING};
	static const int64_t pauses_ms[] = {100, 200, 400, 800, 1000, 1000};
	struct camera_bench *bench = *state;
	struct camera_snapshot early, late;
	unsigned last;

	bench->options.stall_timeout_ns = 0;
	fake_source_fail(&bench->fake, FAKE_OPEN, -ENODEV);
	camera_bench_run(bench);
	camera_bench_wait_calls(bench, FAKE_OPEN, 3);
	early = camera_bench_snapshot(bench);
	assert_int_equal(early.state, CAMERA_BACKOFF);
	assert_int_equal(early.error, ENODEV);
	assert_string_equal(early.text, "fake: it cannot be opened");
	camera_bench_wait_calls(bench, FAKE_OPEN, 7);
	late = camera_bench_snapshot(bench);
	assert_true(late.version == early.version);
	assert_true(late.since_realtime_ns == early.since_realtime_ns);
	for (unsigned i = 0; i < 6; i++)
		assert_true(pause_before(bench, i + 1) >= pauses_ms[i] * NSEC_PER_MSEC);
	assert_true(pause_before(bench, 6) < 3 * NSEC_PER_SEC); /* 3.2 s, if it still grew */
	/* it is back, and breaks again: that is a new back-off */
	fake_source_play(&bench->fake, good, 1);
	fake_source_play(&bench->fake, broken, 1);
	fake_source_play(&bench->fake, good, 2);
	fake_source_fail(&bench->fake, FAKE_OPEN, 0);
	camera_bench_wait_frames(bench, 3);
	last = (unsigned)fake_source_calls(&bench->fake, FAKE_OPEN) - 1;
	assert_true(pause_before(bench, last) < 800 * NSEC_PER_MSEC);
	assert_told(bench, told, 5);
	assert_string_equal(bench->notes[3].text, "fake: it broke");
	assert_int_equal(bench->notes[3].error, EIO);
}

static void a_device_that_comes_back_is_not_waited_for(void **state)
{
	struct camera_bench *bench = *state;

	bench->options.stall_timeout_ns = 0;
	bench->fake.back_after = 6; /* the next pause would be a whole second */
	fake_source_fail(&bench->fake, FAKE_OPEN, -ENODEV);
	fake_source_play(&bench->fake, good, 2);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 2);
	assert_int_equal(fake_source_calls(&bench->fake, FAKE_OPEN), 7);
	assert_true(pause_before(bench, 6) < 900 * NSEC_PER_MSEC);
}

static void an_error_anywhere_ends_the_epoch_and_not_the_camera(void **state)
{
	static const enum fake_call calls[] = {FAKE_OPEN, FAKE_START, FAKE_GIVE};
	struct camera_bench *bench = *state;
	struct camera_snapshot snapshot;
	unsigned frames = 0;

	bench->options.stall_timeout_ns = 0;
	camera_bench_run(bench);
	for (unsigned i = 0; i < 3; i++) {
		fake_source_play(&bench->fake, good, 3);
		camera_bench_wait_frames(bench, frames += 3);
		camera_bench_wait_reserve(bench);
		fake_source_fail(&bench->fake, calls[i], -ENOSPC);
		fake_source_play(&bench->fake, broken, calls[i] != FAKE_GIVE);
		fake_source_play(&bench->fake, good, calls[i] == FAKE_GIVE);
		frames += calls[i] == FAKE_GIVE; /* whose slot is not replaced */
		camera_bench_wait_state(bench, CAMERA_BACKOFF);
		camera_bench_wait_calls(
			bench, calls[i], fake_source_calls(&bench->fake, calls[i]) + 2);
		snapshot = camera_bench_snapshot(bench);
		assert_int_equal(snapshot.state, CAMERA_BACKOFF);
		assert_int_equal(snapshot.error, ENOSPC);
		fake_source_fail(&bench->fake, calls[i], 0);
	}
	fake_source_play(&bench->fake, good, 3);
	camera_bench_wait_frames(bench, frames + 3);
	assert_true(epoch_of(bench, frames, 1) != epoch_of(bench, 0, 1));
	assert_int_equal(camera_bench_snapshot(bench).state, CAMERA_STREAMING);
	camera_bench_wait_reserve(bench);
}

/* ---- another signal ---- */

static void another_signal_begins_an_epoch_at_once(void **state)
{
	static const enum camera_state told[] = {
		CAMERA_OPENING, CAMERA_STREAMING, CAMERA_OPENING, CAMERA_STREAMING};
	struct camera_bench *bench = *state;
	struct lease held;

	bench->options.stall_timeout_ns = 0;
	fake_source_play(&bench->fake, good, 1);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 1);
	held = take_newest(bench);
	fake_source_play(&bench->fake, another_signal, 1);
	fake_source_play(&bench->fake, good, 20);
	camera_bench_wait_frames(bench, 21);
	assert_true(epoch_of(bench, 1, 1) != epoch_of(bench, 0, 1));
	assert_true(epoch_of(bench, 20, 20) == epoch_of(bench, 1, 1));
	assert_true(held.pool != bench->pool);
	assert_int_equal(fake_source_calls(&bench->fake, FAKE_OPEN), 2);
	assert_told(bench, told, 4); /* no back-off */
	assert_string_equal(bench->notes[2].text, "fake: another signal");
	give_back(&held);
}

static void a_signal_that_changes_on_and_on_is_followed_at_a_pace(void **state)
{
	static const enum camera_state told[] = {CAMERA_OPENING, CAMERA_STREAMING, CAMERA_BACKOFF};
	struct camera_bench *bench = *state;

	bench->options.stall_timeout_ns = 0;
	bench->fake.changes_at_once = true;
	camera_bench_run(bench);
	camera_bench_wait_calls(bench, FAKE_OPEN, 5);
	for (unsigned i = 1; i <= 4; i++)
		assert_true(pause_before(bench, i) >= (50 << i) * NSEC_PER_MSEC);
	assert_told(bench, told, 3);
	assert_string_equal(bench->notes[2].text, "fake: another signal");
}

/* ---- damaged frames ---- */

static void play_damage(struct camera_bench *bench)
{
	for (unsigned damage = 1; damage < SOURCE_DAMAGE_COUNT; damage++) {
		struct fake_step step = {.kind = FAKE_DAMAGED, .damage = damage};

		fake_source_play(&bench->fake, step, damage); /* another number of each */
	}
	fake_source_play(&bench->fake, good, 1);
}

static void assert_counted(struct camera_bench *bench, uint64_t published)
{
	uint64_t damaged[SOURCE_DAMAGE_COUNT];
	struct stream_counters counters;

	stream_count(camera_stream(bench->camera), &counters);
	camera_count_damaged(bench->camera, damaged);
	for (unsigned damage = 1; damage < SOURCE_DAMAGE_COUNT; damage++)
		assert_int_equal(damaged[damage], damage);
	assert_int_equal(damaged[SOURCE_DAMAGE_NONE], 0);
	assert_int_equal(counters.corrupt, 1 + 2 + 3 + 4);
	assert_int_equal(counters.published, published);
}

static void damage_is_counted_by_name_and_not_published(void **state)
{
	struct camera_bench *bench = *state;

	bench->options.stall_timeout_ns = 0;
	play_damage(bench);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 1);
	assert_counted(bench, 1);
	assert_int_equal(descriptor(bench->pool, 1).flags, 0);
	assert_int_equal(descriptor(bench->pool, 1).sequence, 1 + 2 + 3 + 4 + 1);
	camera_bench_wait_reserve(bench);
	/* an epoch later the sum is still there */
	fake_source_play(&bench->fake, another_signal, 1);
	fake_source_play(&bench->fake, good, 1);
	camera_bench_wait_frames(bench, 2);
	assert_counted(bench, 2);
}

static void damage_is_published_with_a_flag_on_request(void **state)
{
	struct camera_bench *bench = *state;

	bench->options.stall_timeout_ns = 0;
	bench->options.publish_bad = true;
	bench->options.slots = 16;
	play_damage(bench);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 11);
	assert_counted(bench, 11);
	for (uint64_t position = 1; position <= 11; position++)
		assert_int_equal(descriptor(bench->pool, position).flags,
			position < 11 ? POOL_FRAME_BAD : 0);
}

static void damaged_frames_are_no_silence(void **state)
{
	struct fake_step step = {.kind = FAKE_DAMAGED, .damage = SOURCE_DAMAGE_ERROR_FLAG};
	struct camera_bench *bench = *state;
	struct stream_counters counters;

	bench->options.stall_timeout_ns = 0;
	fake_source_play(&bench->fake, broken, 1);
	fake_source_play(&bench->fake, step, 3);
	camera_bench_run(bench);
	camera_bench_wait_state(bench, CAMERA_BACKOFF);
	/* what comes is no good, but it comes */
	camera_bench_wait_state(bench, CAMERA_STREAMING);
	stream_count(camera_stream(bench->camera), &counters);
	assert_int_equal(counters.published, 0);
}

/* ---- leaving and quitting ---- */

/* The stream that was started anew may be silent: the state stays STALLED. */
static void stay_stalled(struct camera_bench *bench, enum fake_call call)
{
	if (call == FAKE_START && fake_source_calls(&bench->fake, FAKE_START) == 2)
		bench->options.stall_timeout_ns = 0;
}

static const enum camera_state before_the_end[] = {
	CAMERA_OPENING, CAMERA_WAITING, CAMERA_STREAMING, CAMERA_STALLED, CAMERA_BACKOFF};

/* Brings the camera into a state in which it stays. */
static void reach(struct camera_bench *bench, enum camera_state state)
{
	bench->hook = stay_stalled;
	if (state != CAMERA_STALLED)
		bench->options.stall_timeout_ns = 0;
	if (state == CAMERA_OPENING)
		bench->fake.opening = true;
	if (state == CAMERA_WAITING)
		bench->options.wait_readers = 2;
	if (state == CAMERA_BACKOFF)
		bench->fake.fails[FAKE_OPEN] = -ENODEV;
	fake_source_play(&bench->fake, good, 1);
	camera_bench_run(bench);
	if (state == CAMERA_OPENING)
		camera_bench_wait_calls(bench, FAKE_OPEN, 1);
	if (state == CAMERA_STREAMING)
		camera_bench_wait_frames(bench, 1);
	if (state == CAMERA_BACKOFF) /* a pause of a second has begun */
		camera_bench_wait_calls(bench, FAKE_OPEN, 6);
	if (state == CAMERA_STALLED)
		camera_bench_wait_calls(bench, FAKE_START, 2);
	camera_bench_wait_state(bench, state);
}

static void without_readers_it_is_idle(void **state)
{
	for (unsigned i = 0; i < sizeof before_the_end / sizeof *before_the_end; i++) {
		struct camera_bench *bench = camera_bench_new();
		struct camera_snapshot snapshot;
		uint64_t opens;

		reach(bench, before_the_end[i]);
		camera_bench_leave(bench);
		camera_bench_wait_state(bench, CAMERA_IDLE);
		snapshot = camera_bench_snapshot(bench);
		assert_int_equal(snapshot.error, 0);
		assert_string_equal(snapshot.text, "");
		opens = fake_source_calls(&bench->fake, FAKE_OPEN);
		assert_int_equal(fake_source_calls(&bench->fake, FAKE_CLOSE),
			before_the_end[i] == CAMERA_BACKOFF ? 0 : 1);

		/* and begins as if nothing had been */
		fake_source_keep_opening(&bench->fake, false);
		fake_source_fail(&bench->fake, FAKE_OPEN, 0);
		bench->options.wait_readers = 1;
		fake_source_play(&bench->fake, good, 2);
		camera_bench_attach(bench);
		camera_bench_wait_calls(bench, FAKE_OPEN, opens + 1);
		camera_bench_wait_frames(bench, 2);
		camera_bench_wait_state(bench, CAMERA_STREAMING);
		camera_bench_free(bench);
	}
	(void)state;
}

static void it_quits_from_every_state(void **state)
{
	for (unsigned i = 0; i < sizeof before_the_end / sizeof *before_the_end; i++) {
		struct camera_bench *bench = camera_bench_new();
		int64_t begin_ns;

		reach(bench, before_the_end[i]);
		begin_ns = clock_now();
		camera_stop(bench->camera);
		/* far less than the back-off's pause */
		assert_true(clock_now() - begin_ns < 800 * NSEC_PER_MSEC);
		assert_int_equal(camera_bench_snapshot(bench).state, CAMERA_FINISHED);
		assert_null(stream_pool(camera_stream(bench->camera)));
		camera_bench_free(bench);
	}
	(void)state;
}

/* ---- switched off ---- */

static const struct camera_pause by_alice = {
	.text = "paused by alice", .since_realtime_ns = 1234567890};

static bool is_open(struct camera_bench *bench)
{
	bool open;

	pthread_mutex_lock(&bench->fake.lock);
	open = bench->fake.is_open;
	pthread_mutex_unlock(&bench->fake.lock);
	return open;
}

static void set_pause(struct camera_bench *bench, const struct camera_pause *pause)
{
	camera_set_pause(bench->camera, pause);
	camera_bench_wait_pause(bench);
}

/* It says that it is off, and is. */
static void assert_off(struct camera_bench *bench)
{
	struct camera_snapshot snapshot = camera_bench_snapshot(bench);

	assert_int_equal(snapshot.state, CAMERA_PAUSED);
	assert_string_equal(snapshot.text, by_alice.text);
	assert_int_equal(snapshot.error, 0);
	assert_true(snapshot.since_realtime_ns == by_alice.since_realtime_ns);
	assert_false(is_open(bench));
	assert_null(stream_pool(camera_stream(bench->camera)));
}

/* Nothing keeps it from frames any more. */
static void mend(struct camera_bench *bench)
{
	fake_source_keep_opening(&bench->fake, false);
	fake_source_fail(&bench->fake, FAKE_OPEN, 0);
	bench->options.wait_readers = 1;
}

static void it_is_switched_off_in_every_state(void **state)
{
	for (unsigned i = 0; i < sizeof before_the_end / sizeof *before_the_end; i++) {
		struct camera_bench *bench = camera_bench_new();
		uint64_t opens;

		reach(bench, before_the_end[i]);
		fake_source_play(&bench->fake, good, 1);
		set_pause(bench, &by_alice);
		assert_off(bench);
		mend(bench);
		opens = fake_source_calls(&bench->fake, FAKE_OPEN);
		camera_bench_watch(bench, 120); /* longer than the back-off, and the stall */
		camera_bench_leave(bench);
		camera_bench_attach(bench);
		camera_bench_watch(bench, 20);
		assert_off(bench);
		assert_int_equal(fake_source_calls(&bench->fake, FAKE_OPEN), opens);

		/* the reader that has stayed gets frames of another epoch */
		fake_source_play(&bench->fake, good, 2);
		set_pause(bench, NULL);
		camera_bench_wait_state(bench, CAMERA_STREAMING);
		camera_bench_wait_calls(bench, FAKE_OPEN, opens + 1);
		camera_bench_wait_calls(bench, FAKE_START, 1);
		camera_bench_free(bench);
	}
	(void)state;
}

static void without_readers_it_is_switched_off_all_the_same(void **state)
{
	struct camera_bench *bench = *state;

	bench->options.stall_timeout_ns = 0;
	camera_bench_run(bench);
	camera_bench_leave(bench);
	camera_bench_wait_state(bench, CAMERA_IDLE);
	set_pause(bench, &by_alice);
	assert_off(bench);
	set_pause(bench, NULL);
	assert_int_equal(camera_bench_snapshot(bench).state, CAMERA_IDLE);
	assert_string_equal(camera_bench_snapshot(bench).text, "");
}

/* A device without readers that streams on for idle_timeout does not when it is switched off. */
static void no_timeout_keeps_it_on(void **state)
{
	struct camera_bench *bench = *state;

	bench->options.stall_timeout_ns = 0;
	bench->options.idle_timeout_ns = 3600 * NSEC_PER_SEC;
	fake_source_play(&bench->fake, good, 1);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 1);
	camera_bench_leave(bench);
	set_pause(bench, &by_alice);
	assert_off(bench);
}

static void always_on_is_off_when_switched_off(void **state)
{
	struct camera_bench *bench = *state;
	uint64_t opens;

	bench->options.stall_timeout_ns = 0;
	bench->options.always_on = true;
	fake_source_play(&bench->fake, good, 1);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 1);
	set_pause(bench, &by_alice);
	assert_off(bench);
	camera_bench_leave(bench);
	camera_bench_watch(bench, 20);
	opens = fake_source_calls(&bench->fake, FAKE_OPEN);
	assert_off(bench);
	fake_source_play(&bench->fake, good, 1);
	set_pause(bench, NULL);
	camera_bench_wait_frames(bench, 2);
	assert_int_equal(fake_source_calls(&bench->fake, FAKE_OPEN), opens + 1);
}

static void a_paused_camera_is_not_opened_at_start(void **state)
{
	struct camera_bench *bench = *state;

	bench->options.stall_timeout_ns = 0;
	bench->options.always_on = true;
	bench->pause = &by_alice;
	camera_bench_run(bench);
	assert_off(bench); /* from the first moment on */
	camera_bench_watch(bench, 50);
	assert_off(bench);
	assert_true(camera_bench_snapshot(bench).version == 0);
	assert_int_equal(note_count(bench), 0); /* nothing of the source was ever called */
	assert_int_equal(fake_source_calls(&bench->fake, FAKE_OPEN), 0);
	fake_source_play(&bench->fake, good, 1);
	set_pause(bench, NULL);
	camera_bench_wait_frames(bench, 1);
}

static void what_readers_hold_stays_when_it_is_switched_off(void **state)
{
	struct camera_bench *bench = *state;
	struct lease held;

	bench->options.stall_timeout_ns = 0;
	fake_source_play(&bench->fake, good, 3);
	camera_bench_run(bench);
	camera_bench_wait_frames(bench, 3);
	held = take_newest(bench);
	set_pause(bench, &by_alice);
	fake_source_play(&bench->fake, good, 20);
	set_pause(bench, NULL);
	camera_bench_wait_frames(bench, 23);
	assert_true(epoch_of(bench, 22, 20) != epoch_of(bench, 0, 1));
	assert_true(held.pool != bench->pool);
	give_back(&held);
}

/* People hear that it is off, and on again, and not of the failure that came before. */
static void a_failure_is_over_with_the_pause(void **state)
{
	static const enum camera_state told[] = {CAMERA_OPENING, CAMERA_BACKOFF, CAMERA_OPENING};
	struct camera_bench *bench = *state;

	reach(bench, CAMERA_BACKOFF);
	set_pause(bench, &by_alice);
	fake_source_keep_opening(&bench->fake, true);
	fake_source_fail(&bench->fake, FAKE_OPEN, 0);
	set_pause(bench, NULL);
	camera_bench_wait_state(bench, CAMERA_OPENING);
	camera_bench_wait_calls(bench, FAKE_OPEN, fake_source_calls(&bench->fake, FAKE_OPEN) + 1);
	assert_told(bench, told, 3);
}

static void pause_in_open(struct camera_bench *bench, enum fake_call call)
{
	if (call == FAKE_OPEN)
		camera_set_pause(bench->camera, &by_alice);
}

/* What it was opened for is over: nobody hears how that went. */
static void an_opening_that_is_overtaken_is_no_news(void **state)
{
	static const int errors[] = {0, -ENODEV};

	for (unsigned i = 0; i < 2; i++) {
		struct camera_bench *bench = camera_bench_new();

		bench->hook = pause_in_open;
		bench->fake.fails[FAKE_OPEN] = errors[i];
		camera_bench_run(bench);
		camera_bench_wait_state(bench, CAMERA_PAUSED);
		assert_off(bench);
		assert_true(camera_bench_snapshot(bench).version == 2); /* OPENING came before */
		assert_int_equal(bench->pool_count, 0);
		camera_bench_free(bench);
	}
	(void)state;
}

/* Whatever it is in the middle of: when it says that it is off, it is, until it may be on. */
static void it_survives_a_storm(void **state)
{
	struct camera_bench *bench = *state;

	bench->options.stall_timeout_ns = 0;
	camera_bench_run(bench);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t opens;

		for (unsigned j = 0; j < i % 7; j++)
			camera_set_pause(bench->camera, j % 2 == 0 ? &by_alice : NULL);
		set_pause(bench, &by_alice);
		opens = fake_source_calls(&bench->fake, FAKE_OPEN);
		assert_off(bench);
		if (i % 10 == 0)
			camera_bench_watch(bench, 2);
		assert_int_equal(fake_source_calls(&bench->fake, FAKE_OPEN), opens);
		camera_set_pause(bench->camera, NULL);
		if (i % 3 != 0)
			continue;
		if (i % 2 == 0)
			camera_bench_wait_calls(bench, FAKE_OPEN, opens + 1);
		else
			camera_bench_wait_state(bench, CAMERA_STREAMING);
	}
	fake_source_play(&bench->fake, good, 2);
	camera_bench_wait_frames(bench, 2);
	camera_bench_wait_reserve(bench);
}

static void it_quits_while_it_is_switched_off(void **state)
{
	struct camera_bench *bench = *state;

	reach(bench, CAMERA_STREAMING);
	set_pause(bench, &by_alice);
	camera_stop(bench->camera);
	assert_int_equal(camera_bench_snapshot(bench).state, CAMERA_FINISHED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_silent_device_is_started_anew_then_opened_anew),
		TEST(who_reads_on_after_a_stall_sees_that_frames_were_lost),
		TEST(people_are_told_once_of_a_device_that_stays_silent),
		TEST(stalls_keep_no_slots),
		cmocka_unit_test_setup_teardown(
			nothing_stalls_that_may_be_silent, setup_without_timeout, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_stalls_that_may_be_silent, setup_no_device, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_stalls_that_may_be_silent, setup_slow_device, teardown),
		TEST(a_source_that_waits_for_readers_has_not_stalled),
		TEST(the_back_off_grows_to_a_second_and_people_are_told_once),
		TEST(a_device_that_comes_back_is_not_waited_for),
		TEST(an_error_anywhere_ends_the_epoch_and_not_the_camera),
		TEST(another_signal_begins_an_epoch_at_once),
		TEST(a_signal_that_changes_on_and_on_is_followed_at_a_pace),
		TEST(damage_is_counted_by_name_and_not_published),
		TEST(damage_is_published_with_a_flag_on_request),
		TEST(damaged_frames_are_no_silence),
		cmocka_unit_test(without_readers_it_is_idle),
		cmocka_unit_test(it_quits_from_every_state),
		cmocka_unit_test(it_is_switched_off_in_every_state),
		TEST(without_readers_it_is_switched_off_all_the_same),
		TEST(no_timeout_keeps_it_on),
		TEST(always_on_is_off_when_switched_off),
		TEST(a_paused_camera_is_not_opened_at_start),
		TEST(what_readers_hold_stays_when_it_is_switched_off),
		TEST(a_failure_is_over_with_the_pause),
		cmocka_unit_test(an_opening_that_is_overtaken_is_no_news),
		TEST(it_survives_a_storm),
		TEST(it_quits_while_it_is_switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
