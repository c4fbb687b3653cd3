/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_PINNED_H
#define CAMTAP_DAEMON_PINNED_H

/*
 * The memory of all pools: how much may still be made.
 *
 * Pools of past epochs that some client still keeps (by a mapping or an fd). Their memory cannot be
 * taken back (the daemon cannot even punch holes: they are sealed), so it counts against the memory
 * limit until it is really gone. Slots in dma-bufs count one by one: a client that holds a frame
 * keeps the dma-bufs of all slots, but a GPU that was handed one of them keeps that one only. Any
 * thread.
 */

#include <pthread.h>
#include <stdint.h>

#define PINNED_MAX     64  /* pools */
#define PINNED_FDS_MAX 256 /* of dma-bufs: they count against the daemon's limit */

struct slot_buffer;

struct pinned {
	pthread_mutex_t lock;
	uint64_t limit; /* bytes of all pools */
	uint64_t live;  /* bytes of pools that are not over, or not unmapped yet */
	unsigned count;
	struct pinned_pool {
		int fd;        /* read-only description, the only one of the daemon's; -1: gone */
		uint64_t size; /* bytes of the memfd, and of what was forgotten */
		struct slot_buffer *buffers; /* a dma-buf that is gone has fd -1; may be NULL */
		uint32_t buffer_count;
	} pools[PINNED_MAX];
};

void pinned_init(struct pinned *pinned, uint64_t limit);
void pinned_finish(struct pinned *pinned);

/* Takes over `fd`, a read-only description of a sealed memfd of `size` bytes that is not mapped
 * here any more, and `buffers` (of malloc(); NULL: none) with their dma-bufs. Beyond PINNED_MAX and
 * PINNED_FDS_MAX the oldest is forgotten, its size added to this one. `reserved`: what
 * pinned_reserve() has counted for it, and now does not: not for a moment it counts not at all. */
void pinned_add(struct pinned *pinned, int fd, uint64_t size, uint64_t reserved,
	struct slot_buffer *buffers, uint32_t buffer_count);

/* Counts a pool that is about to be made, if all pools together, the pinned ones included, are
 * within the limit then. -ENOMEM: they are not. pool_unref() takes it back, by pinned_add(). */
int pinned_reserve(struct pinned *pinned, uint64_t size);
void pinned_unreserve(struct pinned *pinned, uint64_t size);
/* For pools that are made from now on. */
void pinned_set_limit(struct pinned *pinned, uint64_t limit);
uint64_t pinned_limit(struct pinned *pinned);
/* All pools, pinned or not. */
uint64_t pinned_all_bytes(struct pinned *pinned);

/* Looks what nobody holds any more, forgets that, and returns the bytes of the rest. */
uint64_t pinned_bytes(struct pinned *pinned);

#endif
