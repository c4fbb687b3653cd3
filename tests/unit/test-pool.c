/* SPDX-License-Identifier: MIT */

/* Which slot the source gets next, whom it is taken from, and what holders are told: the daemon's
 * side of the mutex, with readers whose words the test writes itself. */

#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LEASE_MIN INT64_C(1000)
#define READERS   3

struct bench {
	struct pool *pool;
	struct pool_reader readers[READERS];
	int64_t now;
};

static const struct pool_format format = {.fourcc = V4L2_PIX_FMT_GREY,
	.width = 64,
	.height = 64,
	.frame_size = 4096,
	.plane_count = 1};

/* 6 slots, 2 of them the source's. */
static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	struct pool_plan plan = {.format = format,
		.slot_count = 6,
		.slots_needed = 1,
		.max_leases = 2,
		.reader_max = READERS,
		.lease_min_ns = LEASE_MIN};

	assert_int_equal(pool_create(&plan, NULL, &bench->pool), 0);
	for (unsigned i = 0; i < READERS; i++) {
		bench->readers[i].words = aligned_alloc(64, POOL_SLOTS_MAX * GUARD_STRIDE);
		memset(bench->readers[i].words, 0, POOL_SLOTS_MAX * GUARD_STRIDE);
		bench->readers[i].uid = 100 + i;
		pool_link(bench->pool, &bench->readers[i]);
	}
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	for (unsigned i = 0; i < READERS; i++)
		free(bench->readers[i].words);
	pool_destroy(bench->pool);
	free(bench);
	return 0;
}

static guard_word *word(struct bench *bench, unsigned reader, uint32_t slot)
{
	return (guard_word *)(bench->readers[reader].words + (size_t)slot * GUARD_STRIDE);
}

static uint64_t generation(struct bench *bench, uint32_t slot)
{
	return bench->pool->slots[slot].generation;
}

static void hold(struct bench *bench, unsigned reader, uint32_t slot)
{
	assert_int_equal(
		guard_take(word(bench, reader, slot), generation(bench, slot)), GUARD_DONE);
}

/* Takes a slot and publishes it, one time unit later; returns the slot. */
static uint32_t frame(struct bench *bench)
{
	struct pool_frame pool_frame = {.bytesused = 4096, .plane_count = 1};
	uint32_t slot;

	bench->now++;
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	pool_publish(bench->pool, slot, &pool_frame, bench->now);
	return slot;
}

static void fills_empty_slots_then_the_oldest(void **state)
{
	struct bench *bench = *state;
	uint32_t order[12];

	for (unsigned i = 0; i < 12; i++)
		order[i] = frame(bench);
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(order[i], order[j]);
		assert_int_equal(order[i + 6], order[i]);
	}
	assert_int_equal(bench->pool->newest, 12);
	assert_int_equal(atomic_load(&bench->pool->header->newest), 12);
}

/* What the source made no frame of is empty, and so the next that it gets: before all frames, which
 * keep their order. */
static void fills_first_what_was_discarded(void **state)
{
	struct bench *bench = *state;
	uint32_t order[6], slot, again;

	for (unsigned i = 0; i < 6; i++)
		order[i] = frame(bench);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pool_take_slot(bench->pool, ++bench->now, &slot), POOL_TAKEN);
		assert_int_equal(slot, order[0]);
		pool_discard(bench->pool, slot);
	}
	assert_int_equal(pool_take_slot(bench->pool, ++bench->now, &slot), POOL_TAKEN);
	assert_int_equal(slot, order[0]);
	assert_int_equal(pool_take_slot(bench->pool, ++bench->now, &again), POOL_TAKEN);
	assert_int_equal(again, order[1]);
	pool_discard(bench->pool, again);
	pool_discard(bench->pool, slot);
	slot = frame(bench);
	again = frame(bench);
	assert_true(
		(slot == order[0] && again == order[1]) || (slot == order[1] && again == order[0]));
	for (unsigned i = 2; i < 6; i++)
		assert_int_equal(frame(bench), order[i]);
}

static void skips_what_somebody_holds(void **state)
{
	struct bench *bench = *state;
	uint32_t held = frame(bench);

	hold(bench, 1, held);
	for (unsigned i = 0; i < 20; i++)
		assert_int_not_equal(frame(bench), held);
	assert_int_equal(guard_release(word(bench, 1, held), generation(bench, held)), GUARD_DONE);
	assert_int_equal(frame(bench), held); /* the oldest by far */
	assert_int_equal(atomic_load(&bench->pool->header->counters.revoked), 0);
}

static void never_offers_what_is_being_written(void **state)
{
	struct bench *bench = *state;
	uint32_t slot;

	assert_int_equal(pool_take_slot(bench->pool, 1, &slot), POOL_TAKEN);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(
			guard_take(word(bench, i, slot), generation(bench, slot)), GUARD_GONE);
	pool_discard(bench->pool, slot);
	/* not even by the generation that was never published: it is only known to the daemon */
	assert_int_equal(bench->pool->writing, 0);
	assert_int_equal(bench->pool->slots[slot].state, POOL_SLOT_EMPTY);
}

static void a_new_reader_cannot_take_what_is_being_written(void **state)
{
	struct bench *bench = *state;
	uint32_t slot;

	pool_unlink(bench->pool, &bench->readers[2]);
	assert_int_equal(pool_take_slot(bench->pool, 1, &slot), POOL_TAKEN);
	pool_link(bench->pool, &bench->readers[2]);
	assert_int_equal(guard_take(word(bench, 2, slot), generation(bench, slot)), GUARD_GONE);
}

/* Fills the pool so that every slot but the newest and the source's is held by `reader`s. */
static void hold_all(struct bench *bench, uint32_t slots[4])
{
	for (unsigned i = 0; i < 6; i++) {
		uint32_t slot = frame(bench);

		if (i < 4)
			slots[i] = slot;
	}
	hold(bench, 0, slots[0]);
	hold(bench, 1, slots[1]);
	hold(bench, 1, slots[2]);
	hold(bench, 0, slots[3]);
	/* two slots are free or the newest; one free: take it for the source */
	assert_int_not_equal(frame(bench), slots[0]);
}

static void revokes_only_what_is_old_enough_while_the_source_can_go_on(void **state)
{
	struct bench *bench = *state;
	uint32_t slots[4], slot, owned;

	hold_all(bench, slots);
	/* the source owns one: the free one */
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &owned), POOL_TAKEN);
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_ENOUGH);
	assert_int_equal(atomic_load(&bench->pool->header->counters.revoked), 0);
	bench->now += LEASE_MIN;
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	/* both users pin two: the oldest */
	assert_int_equal(slot, slots[0]);
	assert_int_equal(guard_release(word(bench, 0, slot), generation(bench, slot)), GUARD_GONE);
	/* and nobody else was told so */
	assert_int_equal(
		guard_release(word(bench, 1, slots[1]), generation(bench, slots[1])), GUARD_DONE);
	assert_int_equal(atomic_load(&bench->readers[0].revoked), 1);
	assert_int_equal(atomic_load(&bench->readers[1].revoked), 0);
}

static void cuts_leases_short_rather_than_starve_the_source(void **state)
{
	struct bench *bench = *state;
	uint32_t slots[4], slot, newest = POOL_SLOT_NONE;

	hold_all(bench, slots);
	newest = bench->pool->newest_slot;
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	pool_publish(bench->pool, slot, &(struct pool_frame){.bytesused = 1}, ++bench->now);
	hold(bench, 2, newest); /* all but the new newest are held now, and the source has none */
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	assert_int_not_equal(slot, bench->pool->newest_slot);
	assert_int_equal(atomic_load(&bench->pool->header->counters.revoked), 1);
}

static void takes_first_from_the_user_who_pins_most(void **state)
{
	struct bench *bench = *state;
	uint32_t slots[4], slot;

	hold_all(bench, slots);
	bench->readers[2].uid = bench->readers[1].uid; /* 101 pins slots 1, 2 and the next */
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	pool_publish(bench->pool, slot, &(struct pool_frame){.bytesused = 1}, ++bench->now);
	for (uint32_t i = 0; i < 6; i++) {
		if (i != bench->pool->newest_slot &&
			guard_looks_free(word(bench, 0, i), generation(bench, i)) &&
			guard_looks_free(word(bench, 1, i), generation(bench, i)))
			hold(bench, 2, i);
	}
	bench->now += LEASE_MIN;
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	assert_int_equal(slot, slots[1]); /* not slots[0], which is older, but of the modest one */
}

/* Greedy holders of old frames pay before a fresh frame does that nobody has had time to take. */
static void spares_fresh_frames_while_old_leases_are_there(void **state)
{
	struct bench *bench = *state;
	uint32_t slots[4], slot, fresh;

	hold_all(bench, slots);
	bench->now += LEASE_MIN;
	fresh = frame(bench);
	assert_true(fresh == slots[0] || bench->pool->slots[fresh].position == bench->pool->newest);
	frame(bench); /* so that `fresh` is not the newest any more, but nobody has taken it */
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	assert_int_not_equal(slot, fresh);
	assert_true(slot == slots[0] || slot == slots[1] || slot == slots[2] || slot == slots[3]);
}

static void expels_who_scribbles_and_spares_the_others(void **state)
{
	struct bench *bench = *state;
	uint32_t slots[4], slot;

	hold_all(bench, slots);
	for (uint32_t i = 0; i < 6; i++)
		atomic_store(word(bench, 2, i), UINT64_C(0xdeadbeefdeadbeef) * (i + 1));
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	assert_int_equal(atomic_load(&bench->readers[2].expulsion), POOL_EXPULSION_SCRIBBLE);
	assert_int_equal(bench->pool->reader_count, 2);
	assert_int_equal(atomic_load(&bench->pool->header->counters.revoked), 0);
	for (unsigned i = 0; i < 4; i++) /* nobody else lost anything */
		assert_int_equal(guard_release(word(bench, i == 0 || i == 3 ? 0 : 1, slots[i]),
					 generation(bench, slots[i])),
			GUARD_DONE);
}

static void expels_who_holds_too_many_but_not_at_first_sight(void **state)
{
	struct bench *bench = *state;
	uint32_t slot;
	unsigned frames = 0;

	for (unsigned i = 0; i < 6; i++)
		frame(bench);
	for (uint32_t i = 0; i < 6; i++)
		hold(bench, 0, i);
	while (atomic_load(&bench->readers[0].expulsion) == POOL_EXPULSION_NONE) {
		assert_in_range(++frames, 1, 3);
		bench->now += LEASE_MIN;
		assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	}
	assert_int_equal(frames, 3);
	assert_int_equal(atomic_load(&bench->readers[0].expulsion), POOL_EXPULSION_OVERHOLD);
}

static void dropping_a_reader_frees_what_it_held(void **state)
{
	struct bench *bench = *state;
	uint32_t slots[4];

	hold_all(bench, slots);
	pool_unlink(bench->pool, &bench->readers[1]);
	/* its own word says that it lost them */
	assert_int_equal(
		guard_release(word(bench, 1, slots[1]), generation(bench, slots[1])), GUARD_GONE);
	for (unsigned i = 0; i < 12; i++) {
		uint32_t slot = frame(bench);

		assert_true(slot != slots[0] && slot != slots[3]);
	}
	assert_int_equal(atomic_load(&bench->pool->header->counters.revoked), 0);
}

static void waits_for_lossless_readers_and_is_told(void **state)
{
	struct bench *bench = *state;
	uint32_t slot, first;

	pool_unlink(bench->pool, &bench->readers[0]);
	bench->readers[0].lossless = true;
	pool_link(bench->pool, &bench->readers[0]);
	first = frame(bench);
	for (unsigned i = 1; i < 6; i++)
		frame(bench);
	/* nothing was taken: every frame is still offered, the source has to wait */
	bench->now += 100 * LEASE_MIN;
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_WAIT);
	assert_int_equal(guard_take(word(bench, 0, first), generation(bench, first)), GUARD_DONE);
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_WAIT);
	assert_int_equal(
		guard_release(word(bench, 0, first), generation(bench, first)), GUARD_DONE_WAITED);
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	assert_int_equal(slot, first);
	assert_int_equal(atomic_load(&bench->readers[0].expulsion), POOL_EXPULSION_NONE);
}

static void readers_without_a_lease_see_that_a_slot_is_being_written(void **state)
{
	struct bench *bench = *state;
	struct pool_view view;
	uint32_t slot, first = frame(bench);

	assert_int_equal(pool_view_init(&view, bench->pool->base, bench->pool->size), 0);
	assert_int_equal(atomic_load(&pool_view_descriptor(&view, first)->generation),
		generation(bench, first));
	for (unsigned i = 1; i < 6; i++)
		frame(bench);
	assert_int_equal(pool_take_slot(bench->pool, bench->now, &slot), POOL_TAKEN);
	assert_int_equal(slot, first);
	assert_int_equal(atomic_load(&pool_view_descriptor(&view, first)->generation),
		POOL_GENERATION_INVALID);
	pool_discard(bench->pool, slot);
	assert_int_equal(atomic_load(&pool_view_descriptor(&view, first)->generation),
		POOL_GENERATION_INVALID);
}

static void plans_slots(void **state)
{
	struct pool_format big = format;
	struct pool_plan plan;
	uint32_t least;

	(void)state;
	big.rate_numerator = 60;
	big.rate_denominator = 1;
	/* 2 of the source's, the newest, 250 ms at 60 per second */
	assert_int_equal(pool_plan_init(&plan, &big, 1, 0, 0, 250000000, &least), 0);
	assert_int_equal(plan.slot_count, 2 + 1 + 15);
	assert_int_equal(plan.lease_min_ns, 250000000);
	assert_int_equal(pool_plan_init(&plan, &big, 1, 0, 0, 10000000, &least), 0);
	assert_int_equal(plan.slot_count, 8);
	assert_int_equal(pool_plan_init(&plan, &big, 1, 0, 0, UINT64_C(10000000000), &least), 0);
	assert_int_equal(plan.slot_count, 32);
	assert_in_range(plan.lease_min_ns, 400000000, 500000000);
	big.frame_size = 24 << 20;
	assert_int_equal(pool_plan_init(&plan, &big, 1, 0, 0, 250000000, &least), 0);
	assert_int_equal(plan.slot_count, 10);
	/* said: taken as it is, the lease shrinks; too few: refused with the least */
	assert_int_equal(pool_plan_init(&plan, &big, 3, 8, 0, 250000000, &least), 0);
	assert_int_equal(plan.slot_count, 8);
	assert_int_equal(plan.lease_min_ns, 250000000 * UINT64_C(3) / 15);
	assert_int_equal(pool_plan_init(&plan, &big, 3, 4, 0, 250000000, &least), -EINVAL);
	assert_int_equal(least, 5);
	/* in memory of the driver's, which has a limit of its own */
	big.frame_size = 4096;
	assert_int_equal(pool_plan_init(&plan, &big, 1, 0, 0, 250000000, &least), 0);
	assert_false(plan.dmabuf);
	assert_int_equal(pool_plan_init(&plan, &big, 1, 0, 10, 250000000, &least), 0);
	assert_true(plan.dmabuf);
	assert_int_equal(plan.slot_count, 10);
	assert_int_equal(pool_plan_init(&plan, &big, 1, 10, 10, 250000000, &least), 0);
	assert_int_equal(pool_plan_init(&plan, &big, 1, 11, 10, 250000000, &least), -EINVAL);
	assert_int_equal(pool_plan_init(&plan, &big, 9, 0, 10, 250000000, &least), -EINVAL);
	assert_int_equal(least, 11);
}

static void may_have_its_slots_elsewhere(void **state)
{
	struct slot_buffer buffers[3] = {0};
	struct pool_plan plan = {.format = format,
		.slot_count = 3,
		.slots_needed = 1,
		.reader_max = READERS,
		.dmabuf = true};
	struct pool_view view;
	struct pool *pool;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		buffers[i].plane_count = 1;
		buffers[i].planes[0].fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		buffers[i].planes[0].length = 4096;
	}
	assert_int_equal(pool_create(&plan, buffers, &pool), 0);
	assert_int_equal(pool_view_init(&view, pool->base, pool->size), 0);
	assert_int_equal(view.flags, POOL_FLAG_DMABUF);
	assert_true(pool->size < 3 * 4096);
	assert_null(pool_slot_data(pool, 2));
	assert_int_equal(slot_buffers_size(pool->buffers, 3), 3 * 4096);
	pool_destroy(pool);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fcntl(buffers[i].planes[0].fd, F_GETFD), -1);
}

int main(void)
{
#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		BENCH_TEST(fills_empty_slots_then_the_oldest),
		BENCH_TEST(fills_first_what_was_discarded),
		BENCH_TEST(skips_what_somebody_holds),
		BENCH_TEST(never_offers_what_is_being_written),
		BENCH_TEST(a_new_reader_cannot_take_what_is_being_written),
		BENCH_TEST(revokes_only_what_is_old_enough_while_the_source_can_go_on),
		BENCH_TEST(cuts_leases_short_rather_than_starve_the_source),
		BENCH_TEST(takes_first_from_the_user_who_pins_most),
		BENCH_TEST(spares_fresh_frames_while_old_leases_are_there),
		BENCH_TEST(expels_who_scribbles_and_spares_the_others),
		BENCH_TEST(expels_who_holds_too_many_but_not_at_first_sight),
		BENCH_TEST(dropping_a_reader_frees_what_it_held),
		BENCH_TEST(waits_for_lossless_readers_and_is_told),
		BENCH_TEST(readers_without_a_lease_see_that_a_slot_is_being_written),
		cmocka_unit_test(plans_slots),
		cmocka_unit_test(may_have_its_slots_elsewhere),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
