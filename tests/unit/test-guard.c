/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guard.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	G = 1000, /* the generation in question */
};

/* Every state, and what none is. */
static const unsigned states[] = {
	0,
	GUARD_FREE,
	GUARD_OFFERED,
	GUARD_READER,
	GUARD_WRITER,
	5,
	GUARD_WAITED,
	GUARD_WAITED | GUARD_FREE,
	GUARD_WAITED | GUARD_OFFERED,
	GUARD_WAITED | GUARD_READER,
	GUARD_WAITED | GUARD_WRITER,
	0xff,
};
static const uint64_t generations[] = {0, G - 1, G, G + 1, GUARD_GENERATION_MAX};

static uint64_t word_after(guard_word *word)
{
	return atomic_load(word);
}

/* A row of the table in guard.h: `from` is the only word (with `from_waited`, where it is not 0) on
 * which the step is taken. */
struct step {
	const char *name;
	enum guard_outcome (*step)(guard_word *word, uint64_t generation);
	struct {
		unsigned from, to;
		enum guard_outcome outcome;
	} taken[4];
};

static const struct step steps[] = {
	{"take", guard_take,
		{
			{GUARD_FREE, GUARD_READER, GUARD_DONE},
			{GUARD_OFFERED, GUARD_READER, GUARD_DONE},
			{GUARD_OFFERED | GUARD_WAITED, GUARD_READER | GUARD_WAITED, GUARD_DONE},
		}},
	{"release", guard_release,
		{
			{GUARD_READER, GUARD_FREE, GUARD_DONE},
			{GUARD_READER | GUARD_WAITED, GUARD_FREE, GUARD_DONE_WAITED},
		}},
	{"lock", guard_lock,
		{
			{GUARD_FREE, GUARD_WRITER, GUARD_DONE},
		}},
	{"wait", guard_wait,
		{
			{GUARD_READER, GUARD_READER | GUARD_WAITED, GUARD_DONE},
			{GUARD_READER | GUARD_WAITED, GUARD_READER | GUARD_WAITED, GUARD_DONE},
			{GUARD_OFFERED, GUARD_OFFERED | GUARD_WAITED, GUARD_DONE},
			{GUARD_OFFERED | GUARD_WAITED, GUARD_OFFERED | GUARD_WAITED, GUARD_DONE},
		}},
};

/* Every step from every word: it does what the table says, and refuses without a trace otherwise.
 */
static void conditional_steps_follow_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(steps) * ELEMENTS(states) * ELEMENTS(generations); i++) {
		const struct step *step = &steps[i % ELEMENTS(steps)];
		unsigned from = states[i / ELEMENTS(steps) % ELEMENTS(states)];
		uint64_t generation = generations[i / ELEMENTS(steps) / ELEMENTS(states)];
		guard_word word = guard_value(generation, from);
		uint64_t expected = guard_value(generation, from);
		enum guard_outcome outcome = GUARD_GONE;

		for (size_t j = 0; j < ELEMENTS(step->taken); j++) {
			if (generation == G && from != 0 && step->taken[j].from == from) {
				expected = guard_value(G, step->taken[j].to);
				outcome = step->taken[j].outcome;
			}
		}
		if (step->step(&word, G) != outcome || word_after(&word) != expected)
			fail_msg("%s from state %#x, generation %d%+d", step->name, from, G,
				(int)(generation - G));
	}
}

static void looking_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(states) * ELEMENTS(generations); i++) {
		unsigned from = states[i % ELEMENTS(states)];
		uint64_t generation = generations[i / ELEMENTS(states)];
		uint64_t value = guard_value(generation, from);
		guard_word word = value;
		unsigned unwaited = from & ~(unsigned)GUARD_WAITED;
		int now = generation == G;

		assert_int_equal(guard_holds(&word, G), now && unwaited == GUARD_READER);
		assert_int_equal(guard_looks_free(&word, G), now && from == GUARD_FREE);
		assert_int_equal(guard_value_plausible(value, G),
			now && (from == GUARD_FREE || unwaited == GUARD_OFFERED ||
				       unwaited == GUARD_READER));
		assert_int_equal(word_after(&word), value);
	}
}

/* What the daemon does whatever the word holds. */
static void unconditional_steps_follow_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(states) * ELEMENTS(generations); i++) {
		unsigned from = states[i % ELEMENTS(states)];
		uint64_t generation = generations[i / ELEMENTS(states)];
		const uint64_t value = guard_value(generation, from);
		guard_word word = value;

		assert_int_equal(guard_revoke(&word, G), value != guard_value(G, GUARD_FREE));
		assert_int_equal(word_after(&word), guard_value(G, GUARD_WRITER));

		atomic_store(&word, value);
		guard_undo(&word, G);
		assert_int_equal(word_after(&word), guard_value(G, GUARD_FREE));

		atomic_store(&word, value);
		guard_publish(&word, G + 1, false);
		assert_int_equal(word_after(&word), guard_value(G + 1, GUARD_FREE));

		atomic_store(&word, value);
		guard_publish(&word, G + 1, true);
		assert_int_equal(word_after(&word), guard_value(G + 1, GUARD_OFFERED));

		atomic_store(&word, value);
		guard_discard(&word, G + 1);
		assert_int_equal(word_after(&word), guard_value(G + 1, GUARD_FREE));

		atomic_store(&word, value);
		guard_init_word(&word, G, GUARD_WRITER);
		assert_int_equal(word_after(&word), guard_value(G, GUARD_WRITER));
	}
}

static void a_word_has_room_for_every_generation(void **state)
{
	guard_word word = guard_value(GUARD_GENERATION_MAX, GUARD_FREE);

	(void)state;
	assert_int_equal(word_after(&word) >> GUARD_STATE_BITS, GUARD_GENERATION_MAX);
	assert_int_equal(guard_take(&word, GUARD_GENERATION_MAX), GUARD_DONE);
	assert_int_equal(guard_release(&word, GUARD_GENERATION_MAX), GUARD_DONE);
}

/*
 * One slot, a reader and a writer, as fast as they can. The writer fills the slot with the
 * generation's number; whatever the reader believes must be of one generation, the one that it
 * took. The writer overwrites whether it got the lock or had to revoke it, so that both ways are
 * run through often.
 */
enum {
	STRESS_WORDS = 64,
	STRESS_HOLDS = 200000, /* frames that the reader gave back unrevoked */
	STRESS_LOST = 2000,    /* and revoked */
};

struct stress {
	guard_word word;
	_Atomic uint64_t newest;
	_Atomic uint64_t pixels[STRESS_WORDS];
	atomic_bool done;
	uint64_t locked, revoked, undone, discarded, waited; /* the writer's */
	uint64_t held, lost, gone, asked, fooled;            /* the reader's */
};

static void fill(struct stress *stress, uint64_t generation)
{
	for (size_t i = 0; i < STRESS_WORDS; i++)
		atomic_store_explicit(&stress->pixels[i], generation, memory_order_relaxed);
}

static bool untorn(struct stress *stress, uint64_t generation)
{
	for (size_t i = 0; i < STRESS_WORDS; i++) {
		if (atomic_load_explicit(&stress->pixels[i], memory_order_relaxed) != generation)
			return false;
	}
	return true;
}

static void *write_frames(void *argument)
{
	struct stress *stress = argument;
	uint64_t generation = 1, refusals = 0;

	while (!atomic_load(&stress->done)) {
		if (guard_looks_free(&stress->word, generation) &&
			guard_lock(&stress->word, generation) == GUARD_DONE) {
			if (++stress->locked % 64 == 0) {
				guard_undo(&stress->word, generation);
				stress->undone++;
				continue;
			}
		} else if (++refusals % 256 != 0) {
			if (refusals % 16 == 0 &&
				guard_wait(&stress->word, generation) == GUARD_DONE)
				stress->waited++;
			continue;
		} else {
			sched_yield();
			stress->revoked += guard_revoke(&stress->word, generation);
		}
		fill(stress, ++generation);
		if (generation % 128 == 0) {
			guard_discard(&stress->word, generation);
			stress->discarded++;
			continue;
		}
		guard_publish(&stress->word, generation, generation % 2 == 0);
		atomic_store_explicit(&stress->newest, generation, memory_order_release);
	}
	return NULL;
}

static void *read_frames(void *argument)
{
	struct stress *stress = argument;

	while (stress->held < STRESS_HOLDS || stress->lost < STRESS_LOST) {
		uint64_t generation = atomic_load_explicit(&stress->newest, memory_order_acquire);
		bool whole, believed;
		enum guard_outcome outcome;

		if (generation == 0 || guard_take(&stress->word, generation) != GUARD_DONE) {
			if (++stress->gone % 64 == 0)
				sched_yield();
			continue;
		}
		whole = untorn(stress, generation);
		believed = guard_holds(&stress->word, generation);
		if (believed && !whole)
			stress->fooled++;
		/* Some are held until they are revoked, which the writer does at some time. */
		while ((stress->held + stress->lost) % 16 == 0 &&
			guard_holds(&stress->word, generation)) {
			whole &= untorn(stress, generation);
			sched_yield();
		}
		outcome = guard_release(&stress->word, generation);
		if (outcome == GUARD_GONE) {
			stress->lost++;
			continue;
		}
		stress->held++;
		stress->asked += outcome == GUARD_DONE_WAITED;
		if (!whole || !believed)
			stress->fooled++;
	}
	atomic_store(&stress->done, true);
	return NULL;
}

static void no_reader_is_fooled(void **state)
{
	static struct stress stress;
	pthread_t reader, writer;

	(void)state;
	atomic_store(&stress.word, guard_value(1, GUARD_FREE));
	assert_int_equal(pthread_create(&writer, NULL, write_frames, &stress), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_frames, &stress), 0);
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
	print_message("locked %llu, revoked %llu, undone %llu, discarded %llu, waited %llu; "
		      "held %llu, lost %llu, gone %llu, asked %llu\n",
		(unsigned long long)stress.locked, (unsigned long long)stress.revoked,
		(unsigned long long)stress.undone, (unsigned long long)stress.discarded,
		(unsigned long long)stress.waited, (unsigned long long)stress.held,
		(unsigned long long)stress.lost, (unsigned long long)stress.gone,
		(unsigned long long)stress.asked);
	assert_int_equal(stress.fooled, 0);
	assert_true(stress.locked > 0 && stress.revoked > 0 && stress.undone > 0);
	/* A revocation may hit a frame that nobody has taken yet; nobody loses a lease without one.
	 */
	assert_true(stress.lost <= stress.revoked);
	assert_true(stress.asked <= stress.waited);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditional_steps_follow_the_table),
		cmocka_unit_test(looking_changes_nothing),
		cmocka_unit_test(unconditional_steps_follow_the_table),
		cmocka_unit_test(a_word_has_room_for_every_generation),
		cmocka_unit_test(no_reader_is_fooled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
