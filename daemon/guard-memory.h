/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_GUARD_MEMORY_H
#define CAMTAP_DAEMON_GUARD_MEMORY_H

/*
 * The memory of a guard: the lock words of one client, mapped read-write by it and by the daemon.
 *
 * It is dangerous until it is sealed: a client that may still punch holes into it does so again and
 * again at idle priority on a busy processor, and whoever touches the page next waits for it, for
 * seconds. The client needs its writable mapping first, though, and FUTURE_WRITE forbids making
 * one. And the daemon cannot be the one that seals: F_ADD_SEALS takes the inode's lock, which a
 * client holds for as long as it likes by a pwrite() from memory whose page fault does not end.
 * Hence:
 *
 *   guard_memory_create()  makes it, SHRINK and GROW sealed, all words zero: none can be taken
 *   the client             maps it, adds FUTURE_WRITE and SEAL, and says READY
 *   guard_memory_lock()    looks that all four seals are there, which takes no lock, and only then
 *                          touches the page and locks it in memory
 *
 * Once F_ADD_SEALS has succeeded, no hole is being punched any more (it takes the same lock), and
 * there will be none (EPERM); the client's old mapping stays writable.
 */

#include <stddef.h>
#include <stdint.h>

struct reaper;

struct guard_memory {
	int fd;        /* -1 once locked */
	uint8_t *base; /* NULL: none */
	size_t size;   /* bytes */
};

/* Makes a guard of `slot_count` words, and one more for enum bell_listens; all zero: no word can be
 * taken. */
int guard_memory_create(uint32_t slot_count, struct guard_memory *ret_memory);
/* After READY. -EPERM: the client has not sealed it. */
int guard_memory_lock(struct guard_memory *memory);
/* Gives it up, on the reaper's thread: unmapping waits for who maps the file or punches holes into
 * it. */
void guard_memory_discard(struct guard_memory *memory, struct reaper *reaper);

#endif
