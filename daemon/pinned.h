/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_PINNED_H
#define CAMTAP_DAEMON_PINNED_H

/*
 * Pools of past epochs that some client still keeps (by a mapping or an fd). Their memory cannot be
 * taken back (the daemon cannot even punch holes: they are sealed), so it counts against the memory
 * limit until it is really gone. Any thread.
 */

#include <pthread.h>
#include <stdint.h>

#define PINNED_MAX 64

struct pinned {
	pthread_mutex_t lock;
	unsigned count;
	struct {
		int fd; /* read-only description, the only one of the daemon's */
		uint64_t size;
	} pools[PINNED_MAX];
};

void pinned_init(struct pinned *pinned);
void pinned_finish(struct pinned *pinned);

/* Takes over `fd`, a read-only description of a sealed memfd of `size` bytes that is not mapped
 * here any more. Beyond PINNED_MAX the oldest is forgotten, its size added to the next. */
void pinned_add(struct pinned *pinned, int fd, uint64_t size);

/* Looks which pools nobody holds any more, forgets them, and returns the bytes of the others. */
uint64_t pinned_bytes(struct pinned *pinned);

#endif
