/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_GUARD_MEMORY_H
#define CAMTAP_DAEMON_GUARD_MEMORY_H

/*
 * The memory of a guard: the lock words of one client, mapped read-write by it and by the daemon.
 *
 * It is dangerous until it is sealed: a client that may still punch holes into it does so again and
 * again at idle priority on a busy processor, and whoever touches the page next waits for it, for
 * seconds. The client needs its writable mapping first, though, and FUTURE_WRITE forbids making
 * one. Hence three steps: guard_memory_create() makes it (SHRINK and GROW sealed), the client maps
 * it and says READY, guard_memory_seal() adds FUTURE_WRITE and SEAL, after which holes and new
 * mappings are EPERM while the client's old mapping stays writable; and locks it in memory. Between
 * the first and the last step the daemon does not touch it.
 */

#include <stddef.h>
#include <stdint.h>

struct guard_memory {
	int fd;        /* -1 once sealed */
	uint8_t *base; /* NULL: none */
	size_t size;   /* bytes */
};

/* Makes a guard of `slot_count` words, all zero: no word can be taken. */
int guard_memory_create(uint32_t slot_count, struct guard_memory *ret_memory);
/* After READY. -EPERM: the client has sealed it first, or keeps it from being sealed. */
int guard_memory_seal(struct guard_memory *memory);
void guard_memory_destroy(struct guard_memory *memory);

#endif
