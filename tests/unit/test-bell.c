/* SPDX-License-Identifier: MIT */

/* The daemon's side of the bells. What readers sleep on here is what they would map. */

#include "bell.h"

#include "clock.h"
#include "futex.h"
#include "leaks.h"
#include "reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	LIMIT_MS = 20000, /* for whatever has to come */
	USER = 1000,
	MEMBERS = 8,
	SLEEPERS_MAX = 64,
};

/* What a ring may cost is a multiple of this: always more than it does, and never. */
#define CHEAP INT64_C(1000000000)
#define DEAR  INT64_C(-1)

/* The time goes on faster by this. */
static _Atomic int64_t clock_ahead;

/* Instead of libc's. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
	int result = (int)syscall(SYS_clock_gettime, clock, time);

	if (clock == CLOCK_MONOTONIC)
		time->tv_sec += atomic_load(&clock_ahead) / NSEC_PER_SEC;
	return result;
}

struct fixture {
	struct bells bells;
	struct reaper *reaper;
	int open_fds, mapped_memfds; /* before the test */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->open_fds = count_fds();
	f->mapped_memfds = count_mapped_memfds("camtap-bell");
	assert_int_equal(reaper_create(NULL, NULL, &f->reaper), 0);
	*state = f;
	return 0;
}

/* What was given to the reaper is gone. */
static void await_reaper(struct fixture *f)
{
	reaper_destroy(f->reaper);
	assert_int_equal(reaper_create(NULL, NULL, &f->reaper), 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	bool clean;

	reaper_destroy(f->reaper);
	bells_finish(&f->bells);
	clean = count_fds() == f->open_fds &&
		count_mapped_memfds("camtap-bell") == f->mapped_memfds;
	free(f);
	if (clean)
		return 0;
	print_error("file descriptors or mappings leaked\n");
	return -1;
}

static struct bell_place join(struct fixture *f, uid_t uid)
{
	struct bell_place place;

	bell_join(&f->bells, uid, &place);
	assert_non_null(place.bell);
	assert_false(bell_is_closed(&place));
	return place;
}

static void refuse(struct fixture *f, uid_t uid)
{
	struct bell_place place;

	memset(&place, 0x55, sizeof place);
	bell_join(&f->bells, uid, &place);
	assert_null(place.bell);
}

static void leave(struct fixture *f, struct bell_place *place)
{
	bell_leave(&f->bells, place, f->reaper);
	assert_null(place->bell);
}

/* As its readers map it. */
static const struct bell_word *map(const struct bell *bell)
{
	int fd = bell_open_description(bell);
	void *words;

	assert_true(fd >= 0);
	words = mmap(NULL, bell_size(), PROT_READ, MAP_SHARED, fd, 0);
	assert_true(words != MAP_FAILED);
	close(fd);
	return words;
}

static void unmap(const struct bell_word *words)
{
	munmap((void *)words, bell_size());
}

static bool is_closed(const struct bell_word *words)
{
	uint32_t closed = 0;

	for (uint32_t word = 0; word < BELL_WORDS; word++)
		closed += atomic_load(&words[word].closed) == 1;
	assert_true(closed == 0 || closed == BELL_WORDS);
	return closed > 0;
}

/* For the readers that have these places. */
static void ring(const struct bell_place *places, size_t count, int64_t unit_ns)
{
	int64_t before = clock_now(), clock = before - 1;

	for (size_t i = 0; i < count; i++)
		assert_int_equal(bell_expect(&places[i]), i == 0);
	bell_ring(places[0].bell, unit_ns, &clock);
	assert_true(clock >= before && clock <= clock_now());
}

/* ---- threads that sleep ---- */

struct sleeper {
	pthread_t thread;
	const struct bell_word *word;
	uint32_t seen;
	bool woken; /* else it was late */
};

static void *sleep_on(void *argument)
{
	struct sleeper *sleeper = argument;
	struct timespec limit = {.tv_sec = LIMIT_MS / 1000};

	sleeper->woken = syscall(SYS_futex, &sleeper->word->rung, FUTEX_WAIT, sleeper->seen, &limit,
				 NULL, 0) == 0;
	return NULL;
}

static void send_to_sleep(struct sleeper *sleepers, size_t count, const struct bell_word *word)
{
	for (size_t i = 0; i < count; i++) {
		sleepers[i] = (struct sleeper){.word = word, .seen = atomic_load(&word->rung)};
		assert_int_equal(
			pthread_create(&sleepers[i].thread, NULL, sleep_on, &sleepers[i]), 0);
	}
	assert_true(futex_await_sleepers(&word->rung, (long)count, LIMIT_MS));
}

static void assert_woken(struct sleeper *sleepers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		pthread_join(sleepers[i].thread, NULL);
		assert_true(sleepers[i].woken);
	}
}

/* ---- places ---- */

static void places_are_spread_over_the_words(void **state)
{
	struct fixture *f = *state;
	struct bell_place places[MEMBERS], again;
	unsigned members[BELL_WORDS] = {0};

	for (size_t i = 0; i < MEMBERS; i++) {
		places[i] = join(f, USER);
		assert_ptr_equal(places[i].bell, places[0].bell);
		assert_true(places[i].word < BELL_WORDS);
		assert_int_equal(
			bell_offset(&places[i]), places[i].word * sizeof(struct bell_word));
		members[places[i].word]++;
		/* nowhere two while there are none elsewhere */
		for (uint32_t word = 0; word < BELL_WORDS; word++)
			assert_in_range(
				members[word], i / BELL_WORDS, (i + BELL_WORDS) / BELL_WORDS);
	}
	assert_true(BELL_WORDS * sizeof(struct bell_word) <= bell_size());

	/* who comes next gets the place that became free */
	for (size_t i = MEMBERS; i-- > 0;) {
		uint32_t word = places[i].word;

		leave(f, &places[i]);
		again = join(f, USER);
		assert_int_equal(again.word, word);
		places[i] = again;
	}
	for (size_t i = 0; i < MEMBERS; i++)
		leave(f, &places[i]);
}

static ino_t inode(const struct bell *bell)
{
	int fd = bell_open_description(bell);
	struct stat stat;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &stat), 0);
	assert_int_equal(stat.st_size, bell_size());
	close(fd);
	return stat.st_ino;
}

static void users_do_not_share(void **state)
{
	struct fixture *f = *state;
	struct bell_place places[] = {join(f, USER), join(f, 0), join(f, USER + 1)};
	const struct bell_word *first = map(places[0].bell), *second = map(places[1].bell);
	struct sleeper sleepers[2];

	for (size_t i = 0; i < ELEMENTS(places); i++) {
		struct bell_place other = join(f, i == 1 ? 0 : USER + (i == 2));

		assert_ptr_equal(other.bell, places[i].bell);
		for (size_t j = 0; j < i; j++) {
			assert_ptr_not_equal(places[i].bell, places[j].bell);
			assert_true(inode(places[i].bell) != inode(places[j].bell));
		}
		leave(f, &other);
	}
	send_to_sleep(&sleepers[0], 1, &first[places[0].word]);
	send_to_sleep(&sleepers[1], 1, &second[places[1].word]);
	ring(&places[0], 1, CHEAP);
	assert_woken(&sleepers[0], 1);
	assert_int_equal(futex_sleepers(&second[places[1].word].rung), 1);
	ring(&places[1], 1, CHEAP);
	assert_woken(&sleepers[1], 1);

	for (size_t i = 0; i < ELEMENTS(places); i++)
		leave(f, &places[i]);
	unmap(first);
	unmap(second);
}

/* A reader cannot write what others sleep on, nor take it away, whatever it does with its fd. */
static void the_memory_is_sealed(void **state)
{
	struct fixture *f = *state;
	struct bell_place place = join(f, USER);
	int fd = bell_open_description(place.bell), writable;
	char path[64];
	void *words;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_ptr_equal(
		mmap(NULL, bell_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	words = mmap(NULL, bell_size(), PROT_READ, MAP_SHARED, fd, 0);
	assert_true(words != MAP_FAILED);
	assert_int_equal(mprotect(words, bell_size(), PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	munmap(words, bell_size());

	/* its owner can open it for writing */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	writable = open(path, O_RDWR | O_CLOEXEC);
	assert_true(writable >= 0);
	assert_ptr_equal(mmap(NULL, bell_size(), PROT_READ | PROT_WRITE, MAP_SHARED, writable, 0),
		MAP_FAILED);
	assert_int_equal(errno, EPERM);
	assert_int_equal(pwrite(writable, "", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fallocate(writable, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 (off_t)bell_size()),
		-1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(writable, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(writable, (off_t)bell_size() * 2), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(writable, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(errno, EPERM);
	close(writable);
	close(fd);
	leave(f, &place);
}

/* ---- ringing ---- */

/* Not one stays asleep where it rings, and nobody is disturbed elsewhere. */
static void a_ring_wakes_all_who_are_due_and_nobody_else(void **state)
{
	struct fixture *f = *state;
	struct bell_place places[MEMBERS];
	const struct bell_word *words;

	for (size_t i = 0; i < MEMBERS; i++)
		places[i] = join(f, USER);
	words = map(places[0].bell);
	for (unsigned due = 1; due < 1 << BELL_WORDS; due++) {
		/* twice as many as there are readers: some have threads */
		struct sleeper sleepers[BELL_WORDS][2 * MEMBERS / BELL_WORDS];
		struct bell_place rung[MEMBERS];
		uint32_t before[BELL_WORDS];
		size_t count = 0;

		for (size_t i = 0; i < MEMBERS; i++)
			if (due & 1u << places[i].word)
				rung[count++] = places[i];
		for (uint32_t word = 0; word < BELL_WORDS; word++) {
			before[word] = atomic_load(&words[word].rung);
			send_to_sleep(sleepers[word], ELEMENTS(sleepers[word]), &words[word]);
		}
		ring(rung, count, CHEAP);
		for (uint32_t word = 0; word < BELL_WORDS; word++) {
			if (due & 1u << word)
				assert_woken(sleepers[word], ELEMENTS(sleepers[word]));
			else
				assert_int_equal(futex_sleepers(&words[word].rung),
					ELEMENTS(sleepers[word]));
			assert_int_equal(
				atomic_load(&words[word].rung) - before[word], due >> word & 1);
			assert_int_equal(atomic_load(&words[word].told), 0);
		}
		/* who was due is not so any more: these are the others */
		for (size_t i = count = 0; i < MEMBERS; i++)
			if (!(due & 1u << places[i].word))
				rung[count++] = places[i];
		if (count > 0)
			ring(rung, count, CHEAP);
		for (uint32_t word = 0; word < BELL_WORDS; word++) {
			if (!(due & 1u << word))
				assert_woken(sleepers[word], ELEMENTS(sleepers[word]));
			assert_int_equal(atomic_load(&words[word].rung) - before[word], 1);
		}
	}
	assert_false(is_closed(words));
	unmap(words);
	for (size_t i = 0; i < MEMBERS; i++)
		leave(f, &places[i]);
}

static void a_message_is_told_and_wakes(void **state)
{
	struct fixture *f = *state;
	struct bell_place places[BELL_WORDS];
	const struct bell_word *words;
	struct sleeper sleepers[2], others[2];

	for (size_t i = 0; i < BELL_WORDS; i++)
		places[i] = join(f, USER);
	words = map(places[0].bell);
	for (size_t i = 0; i < BELL_WORDS; i++) {
		const struct bell_place *place = &places[i], *next = &places[(i + 1) % BELL_WORDS];
		const struct bell_word *word = &words[place->word], *other = &words[next->word];
		uint32_t told = atomic_load(&word->told), other_told = atomic_load(&other->told);
		uint32_t other_rung = atomic_load(&other->rung);

		send_to_sleep(sleepers, 2, word);
		send_to_sleep(others, 2, other);
		bell_tell(place, CHEAP);
		assert_woken(sleepers, 2);
		assert_int_equal(atomic_load(&word->told), told + 1);
		assert_int_equal(futex_sleepers(&other->rung), 2);
		assert_int_equal(atomic_load(&other->told), other_told);
		assert_int_equal(atomic_load(&other->rung), other_rung);
		bell_tell(next, CHEAP);
		assert_woken(others, 2);
	}
	assert_false(is_closed(words));
	unmap(words);
	for (size_t i = 0; i < BELL_WORDS; i++)
		leave(f, &places[i]);
}

/* ---- closing ---- */

static void by_frame(const struct bell_place *place)
{
	ring(place, 1, CHEAP);
}

static void by_message(const struct bell_place *place)
{
	bell_tell(place, CHEAP);
}

/* It tells its readers, its user gets no other, and nobody else suffers. */
static void assert_closed(struct fixture *f, const struct bell_place *place)
{
	const struct bell_word *words = map(place->bell);
	struct bell_place other;

	assert_true(bell_is_closed(place));
	assert_true(is_closed(words));
	unmap(words);
	refuse(f, USER);
	other = join(f, USER + 1);
	assert_ptr_not_equal(other.bell, place->bell);
	leave(f, &other);
	refuse(f, USER);
}

static void a_crowded_bell_is_closed(void **state)
{
	/* One with threads is honest; so many are not: 2 for each reader, and 8. */
	static const struct {
		void (*act)(const struct bell_place *place);
		size_t members, sleepers;
		bool closed;
	} rows[] = {
		{by_frame, 1, 10, false},
		{by_frame, 1, 11, true},
		{by_frame, 1, 40, true},
		{by_frame, 2, 12, false},
		{by_frame, 2, 13, true},
		{by_message, 1, 10, false},
		{by_message, 1, 11, true},
		{by_message, 2, 12, false},
		{by_message, 2, 13, true},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		struct bell_place places[2 * BELL_WORDS];
		struct sleeper sleepers[SLEEPERS_MAX];
		const struct bell_word *words;
		uint32_t rung[BELL_WORDS];
		size_t readers = rows[i].members * BELL_WORDS, word;

		for (size_t j = 0; j < readers; j++)
			places[j] = join(f, USER);
		words = map(places[0].bell);
		word = places[0].word;
		for (size_t j = 0; j < BELL_WORDS; j++)
			rung[j] = atomic_load(&words[j].rung);
		send_to_sleep(sleepers, rows[i].sleepers, &words[word]);
		rows[i].act(&places[0]);
		if (is_closed(words) != rows[i].closed)
			fail_msg("row %zu", i);
		assert_int_equal(bell_is_closed(&places[readers - 1]), rows[i].closed);
		/* nobody who is about to sleep does so on a closed one */
		for (size_t j = 0; j < BELL_WORDS; j++)
			assert_int_equal(atomic_load(&words[j].rung) - rung[j],
				rows[i].closed + (j == word));
		/* no more than that is woken in one go: the rest is its own affair */
		assert_int_equal(
			syscall(SYS_futex, &words[word].rung, FUTEX_WAKE, INT_MAX, NULL, NULL, 0),
			rows[i].sleepers > 2 * rows[i].members + 9
				? rows[i].sleepers - (2 * rows[i].members + 9)
				: 0);
		assert_woken(sleepers, rows[i].sleepers);
		if (rows[i].closed)
			assert_closed(f, &places[0]);
		for (size_t j = 0; j < readers; j++)
			leave(f, &places[j]);
		unmap(words);
		if (rows[i].closed)
			refuse(f, USER); /* to come again does not help */
		await_reaper(f);
		bells_finish(&f->bells);
	}
}

/* The places in the order in which they ring, "d" dear, "c" cheap. */
static void a_bell_that_is_dear_twice_is_closed(void **state)
{
	static const struct {
		const char *rings;
		bool closed;
	} rows[] = {
		{"c", false},
		{"d", false},
		{"dd", true},
		{"cdd", true},
		{"dcd", false},
		{"dcdcdcdc", false},
		{"ddcc", true}, /* for good */
		{"dcdd", true},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		struct bell_place places[BELL_WORDS];

		for (size_t j = 0; j < BELL_WORDS; j++)
			places[j] = join(f, USER);
		for (const char *at = rows[i].rings; *at != '\0'; at++) {
			if (at[1] == '\0' && rows[i].closed && at[0] == 'd')
				assert_false(bell_is_closed(places)); /* not before */
			ring(places, 1, *at == 'd' ? DEAR : CHEAP);
		}
		if (bell_is_closed(places) != rows[i].closed)
			fail_msg("row %zu", i);
		if (rows[i].closed)
			assert_closed(f, places);
		for (size_t j = 0; j < BELL_WORDS; j++)
			leave(f, &places[j]);
		await_reaper(f);
		bells_finish(&f->bells);
	}
}

/* Each word has its own first time. */
static void dear_once_at_each_word_is_not_twice(void **state)
{
	struct fixture *f = *state;
	struct bell_place places[BELL_WORDS];

	for (size_t i = 0; i < BELL_WORDS; i++)
		places[i] = join(f, USER);
	for (size_t i = 0; i < BELL_WORDS; i++)
		ring(&places[i], 1, DEAR);
	assert_false(bell_is_closed(&places[0]));
	ring(places, BELL_WORDS, CHEAP);
	ring(places, BELL_WORDS, DEAR);
	assert_false(bell_is_closed(&places[0]));
	ring(&places[BELL_WORDS - 1], 1, DEAR);
	assert_closed(f, &places[0]);
	for (size_t i = 0; i < BELL_WORDS; i++)
		leave(f, &places[i]);
}

/* Somebody else has the processor for long, again and again: the clock says so, but it is nobody's
 * fault. */
static void being_preempted_closes_nothing(void **state)
{
	struct fixture *f = *state;
	struct bell_place place = join(f, USER);

	for (int i = 0; i < 10; i++) {
		int64_t clock = clock_now() - INT64_C(100000) * CHEAP;

		assert_true(bell_expect(&place));
		bell_ring(place.bell, CHEAP, &clock);
		assert_false(bell_is_closed(&place));
	}
	leave(f, &place);
}

/* A message is measured at once, in CPU time. */
static void a_dear_message_closes(void **state)
{
	struct fixture *f = *state;
	struct bell_place place = join(f, USER);

	bell_tell(&place, CHEAP);
	assert_false(bell_is_closed(&place));
	bell_tell(&place, DEAR);
	assert_closed(f, &place);
	leave(f, &place);
}

/* The reader that has messages anyway is not woken for another. */
static void a_closed_bell_counts_messages_and_is_silent(void **state)
{
	struct fixture *f = *state;
	struct bell_place place = join(f, USER);
	const struct bell_word *word = &map(place.bell)[place.word];
	struct sleeper sleeper;
	uint32_t rung, told;

	bell_tell(&place, DEAR);
	assert_true(bell_is_closed(&place));
	told = atomic_load(&word->told);
	rung = atomic_load(&word->rung);
	send_to_sleep(&sleeper, 1, word);
	bell_tell(&place, CHEAP);
	assert_int_equal(atomic_load(&word->told), told + 1);
	assert_int_equal(atomic_load(&word->rung), rung);
	assert_int_equal(syscall(SYS_futex, &word->rung, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 1);
	assert_woken(&sleeper, 1);
	unmap(word - place.word);
	leave(f, &place);
}

static void a_ban_ends(void **state)
{
	struct fixture *f = *state;
	struct bell_place place = join(f, USER), stays, other;

	stays = join(f, USER);
	bell_tell(&place, DEAR);
	leave(f, &place);
	assert_closed(f, &stays);
	atomic_fetch_add(&clock_ahead, BELL_BAN_NS / 2);
	refuse(f, USER);
	atomic_fetch_add(&clock_ahead, BELL_BAN_NS / 2);
	place = join(f, USER);
	assert_ptr_not_equal(place.bell, stays.bell);
	assert_true(bell_is_closed(&stays)); /* for good */
	other = join(f, USER);
	assert_ptr_equal(other.bell, place.bell);
	leave(f, &stays);
	leave(f, &other);
	leave(f, &place);
	assert_null(f->bells.first);
}

/* ---- the end ---- */

static void nothing_is_left_when_all_have_left(void **state)
{
	struct fixture *f = *state;
	struct bell_place places[3][MEMBERS], none = {.bell = NULL, .word = 2};
	int fds = count_fds();

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < MEMBERS * 3; i++)
			places[i % 3][i / 3] = join(f, USER + (uid_t)i % 3);
		assert_int_equal(count_fds(), fds + 3);
		assert_int_equal(count_mapped_memfds("camtap-bell"), f->mapped_memfds + 3);
		bell_leave(&f->bells, &none, f->reaper);
		for (size_t user = 0; user < 3; user++) {
			for (size_t i = 0; i < MEMBERS; i++) {
				await_reaper(f);
				assert_int_equal(count_fds(), fds + 3 - (int)user);
				leave(f, &places[user][i]);
			}
		}
		assert_null(f->bells.first);
		await_reaper(f);
		assert_int_equal(count_fds(), fds);
		assert_int_equal(count_mapped_memfds("camtap-bell"), f->mapped_memfds);
	}
}

/* Closed ones are remembered, but not without end: who misbehaves as many users costs as much as
 * 64 of them, and nothing once the ban is over. */
static void closed_bells_are_forgotten(void **state)
{
	struct fixture *f = *state;
	struct bell_place place;
	int fds = count_fds();

	for (uid_t i = 0; i < 100; i++) {
		place = join(f, USER + i);
		bell_tell(&place, DEAR);
		leave(f, &place);
		refuse(f, USER + i);
	}
	await_reaper(f);
	assert_int_equal(count_fds(), fds + 64);
	refuse(f, USER + 99);
	place = join(f, USER); /* the first of them */
	leave(f, &place);

	atomic_fetch_add(&clock_ahead, BELL_BAN_NS);
	place = join(f, USER + 1000);
	leave(f, &place);
	assert_null(f->bells.first);
	await_reaper(f);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(count_mapped_memfds("camtap-bell"), f->mapped_memfds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(places_are_spread_over_the_words),
		TEST(users_do_not_share),
		TEST(the_memory_is_sealed),
		TEST(a_ring_wakes_all_who_are_due_and_nobody_else),
		TEST(a_message_is_told_and_wakes),
		TEST(a_crowded_bell_is_closed),
		TEST(a_bell_that_is_dear_twice_is_closed),
		TEST(dear_once_at_each_word_is_not_twice),
		TEST(being_preempted_closes_nothing),
		TEST(a_dear_message_closes),
		TEST(a_closed_bell_counts_messages_and_is_silent),
		TEST(a_ban_ends),
		TEST(nothing_is_left_when_all_have_left),
		TEST(closed_bells_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
