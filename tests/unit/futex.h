/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_FUTEX_H
#define CAMTAP_TESTS_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* So many sleep on the word now: they are moved from it to itself, which tells how many they were.
 * -1: the word changed meanwhile. */
static inline long futex_sleepers(const _Atomic uint32_t *word)
{
	return syscall(SYS_futex, word, FUTEX_CMP_REQUEUE, 0, (void *)(long)INT_MAX, word,
		atomic_load_explicit(word, memory_order_relaxed));
}

/* Waits until so many sleep there, for at most that time. */
static inline bool futex_await_sleepers(const _Atomic uint32_t *word, long count, int limit_ms)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += limit_ms / 1000;
	end.tv_nsec += limit_ms % 1000 * 1000000L;
	while (futex_sleepers(word) != count) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - end.tv_sec) * 1000000000L + now.tv_nsec - end.tv_nsec >= 0)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
	return true;
}

#endif
