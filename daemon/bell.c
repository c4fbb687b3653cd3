/* SPDX-License-Identifier: MIT */
#include "bell.h"

#include "clock.h"
#include "futex-call.h"
#include "hot.h"
#include "memory-file.h"
#include "reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a ring may cost, in units of an honest send: much more than waking those who listen. */
#define BUDGET_UNITS      250
#define BUDGET_EACH_UNITS 10

/* Closed bells without readers that are remembered; more users than that do not misbehave at once.
 */
#define CLOSED_MAX 64

struct bell {
	/* server thread: */
	struct bell *next;
	uid_t uid;
	uint32_t references;
	int fd;
	/* any thread: */
	struct bell_word *words;
	_Atomic uint32_t members[BELL_WORDS];
	_Atomic int64_t closed_ns; /* 0: it is open */
	/* the producer: */
	uint32_t expected[BELL_WORDS]; /* readers that listen to the next ring */
	bool flagged[BELL_WORDS];      /* the last ring took long: measure the next */
};

size_t bell_size(void)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);

	return (BELL_WORDS * sizeof(struct bell_word) + page_size - 1) / page_size * page_size;
}

/* ---- server thread ---- */

static int make_memory(struct bell *bell)
{
	int fd = memory_file_create("camtap-bell"), error;
	void *base;

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)bell_size()) < 0)
		goto close_fd;
	base = mmap(NULL, bell_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (base == MAP_FAILED)
		goto close_fd;
	if (fcntl(fd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		goto unmap;
	(void)mlock(base, bell_size()); /* RLIMIT_MEMLOCK may forbid it: then it is only there */
	bell->fd = memory_file_open_read_only(fd);
	if (bell->fd < 0) {
		errno = -bell->fd;
		goto unmap;
	}
	close(fd);
	bell->words = base;
	return 0;

unmap:
	error = errno;
	munmap(base, bell_size());
	errno = error;
close_fd:
	error = -errno;
	close(fd);
	return error;
}

static struct bell *bell_create(uid_t uid)
{
	struct bell *bell = calloc(1, sizeof *bell);

	if (bell == NULL)
		return NULL;
	bell->uid = uid;
	if (make_memory(bell) < 0) {
		free(bell);
		return NULL;
	}
	return bell;
}

/* Readers may map the memory, and hold the lock that unmapping takes. */
static void destroy(void *argument)
{
	struct bell *bell = argument;

	munmap(bell->words, bell_size());
	close(bell->fd);
	free(bell);
}

HOT static int64_t closed_at(const struct bell *bell)
{
	return atomic_load_explicit(&bell->closed_ns, memory_order_relaxed);
}

/* Takes those out that nobody has a place at and that are open, or have been closed long enough. */
static void sweep(struct bells *bells, struct reaper *reaper)
{
	struct bell **link = &bells->first;
	uint32_t closed = 0;

	while (*link != NULL) {
		struct bell *bell = *link;
		int64_t since = closed_at(bell);

		if (bell->references > 0 || (since != 0 && clock_now() - since < BELL_BAN_NS &&
						    closed++ < CLOSED_MAX)) {
			link = &bell->next;
		} else {
			*link = bell->next;
			reaper_call(reaper, destroy, bell);
		}
	}
}

void bell_join(struct bells *bells, uid_t uid, struct bell_place *ret_place)
{
	struct bell *bell = bells->first;
	uint32_t least = 0;

	*ret_place = (struct bell_place){0};
	while (bell != NULL &&
		(bell->uid != uid ||
			(closed_at(bell) != 0 && clock_now() - closed_at(bell) >= BELL_BAN_NS)))
		bell = bell->next;
	if (bell == NULL) {
		bell = bell_create(uid);
		if (bell == NULL)
			return;
		bell->next = bells->first;
		bells->first = bell;
	} else if (closed_at(bell) != 0) {
		return;
	}
	for (uint32_t word = 1; word < BELL_WORDS; word++)
		if (atomic_load_explicit(&bell->members[word], memory_order_relaxed) <
			atomic_load_explicit(&bell->members[least], memory_order_relaxed))
			least = word;
	atomic_fetch_add_explicit(&bell->members[least], 1, memory_order_relaxed);
	bell->references++;
	*ret_place = (struct bell_place){.bell = bell, .word = least};
}

void bell_leave(struct bells *bells, struct bell_place *place, struct reaper *reaper)
{
	struct bell *bell = place->bell;

	if (bell == NULL)
		return;
	place->bell = NULL;
	atomic_fetch_sub_explicit(&bell->members[place->word], 1, memory_order_relaxed);
	if (--bell->references == 0)
		sweep(bells, reaper);
}

void bells_finish(struct bells *bells)
{
	while (bells->first != NULL) {
		struct bell *bell = bells->first;

		bells->first = bell->next;
		destroy(bell);
	}
}

int bell_open_description(const struct bell *bell)
{
	return memory_file_open_read_only(bell->fd);
}

size_t bell_offset(const struct bell_place *place)
{
	return place->word * sizeof(struct bell_word);
}

/* ---- ringing ---- */

HOT bool bell_is_closed(const struct bell_place *place)
{
	return closed_at(place->bell) != 0;
}

/* Those who sleep find out by their patience. */
static void close_bell(struct bell *bell)
{
	atomic_store_explicit(&bell->closed_ns, clock_now(), memory_order_relaxed);
	for (uint32_t word = 0; word < BELL_WORDS; word++) {
		atomic_store_explicit(&bell->words[word].closed, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&bell->words[word].rung, 1, memory_order_release);
	}
}

static int64_t budget(int64_t unit_ns, uint32_t sleepers)
{
	return unit_ns * (BUDGET_UNITS + (int64_t)BUDGET_EACH_UNITS * sleepers);
}

/* One that leaves may still sleep for a moment, one with threads or children has several: far fewer
 * than would make a ring dear. */
static uint32_t sleepers_max(const struct bell *bell, uint32_t word)
{
	return 2 * atomic_load_explicit(&bell->members[word], memory_order_relaxed) + 8;
}

/* False: more sleep there than can be honest. */
HOT static bool wake(struct bell *bell, uint32_t word)
{
	uint32_t most = sleepers_max(bell, word);

	/* release: who sees this sees the frame or message that it is about */
	atomic_fetch_add_explicit(&bell->words[word].rung, 1, memory_order_release);
	return futex_call(&bell->words[word].rung, FUTEX_WAKE, most + 1, NULL) <= (long)most;
}

void bell_tell(const struct bell_place *place, int64_t unit_ns)
{
	struct bell *bell = place->bell;
	int64_t before;

	/* release: after the message, for the reader looks only once */
	atomic_fetch_add_explicit(&bell->words[place->word].told, 1, memory_order_release);
	if (bell_is_closed(place))
		return;
	before = clock_read(CLOCK_THREAD_CPUTIME_ID);
	if (!wake(bell, place->word) || clock_read(CLOCK_THREAD_CPUTIME_ID) - before >
						budget(unit_ns, sleepers_max(bell, place->word)))
		close_bell(bell);
}

HOT void bell_prefetch(const struct bell_place *place)
{
	__builtin_prefetch(place->bell->expected, 1);
	__builtin_prefetch(&place->bell->words[place->word], 1);
}

HOT bool bell_expect(const struct bell_place *place)
{
	struct bell *bell = place->bell;
	uint32_t all = 0;

	bell->expected[place->word]++;
	for (uint32_t word = 0; word < BELL_WORDS; word++)
		all += bell->expected[word];
	return all == 1;
}

/* As announce.c has it for a socket. False: twice too dear, or crowded. */
HOT static bool ring_word(struct bell *bell, uint32_t word, int64_t unit_ns, int64_t *clock_ns)
{
	bool measured = bell->flagged[word];
	int64_t cpu_before = measured ? clock_read(CLOCK_THREAD_CPUTIME_ID) : 0;
	bool honest = wake(bell, word);
	int64_t after = clock_now();
	int64_t cost =
		measured ? clock_read(CLOCK_THREAD_CPUTIME_ID) - cpu_before : after - *clock_ns;
	bool dear = cost > budget(unit_ns, bell->expected[word]);

	*clock_ns = after;
	bell->flagged[word] = dear && !measured;
	return honest && !(dear && measured);
}

HOT void bell_ring(struct bell *bell, int64_t unit_ns, int64_t *clock_ns)
{
	bool good = true;

	for (uint32_t word = 0; word < BELL_WORDS; word++) {
		if (bell->expected[word] == 0)
			continue;
		good = ring_word(bell, word, unit_ns, clock_ns) && good;
		bell->expected[word] = 0;
	}
	if (!good)
		close_bell(bell);
}
