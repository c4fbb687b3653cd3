/* SPDX-License-Identifier: MIT */
#include "pool-disposal.h"

#include "pinned.h"
#include "pool.h"
#include "reaper.h"

#include <stdlib.h>

/* A pool on its way to the reaper. */
struct finished {
	struct pool *pool;
	struct pinned *pinned;
};

static void unmap_pool(void *argument)
{
	struct finished *finished = argument;
	struct pool *pool = finished->pool;
	struct slot_buffer *buffers = pool->buffers;
	uint32_t slot_count = pool->slot_count;
	uint64_t size = pool->size, reserved = pool->reserved;
	int fd = pool->fd;

	pool->fd = -1;
	pool->buffers = NULL;
	pool_destroy(pool);
	/* which needs it unmapped */
	pinned_add(finished->pinned, fd, size, reserved, buffers, buffers != NULL ? slot_count : 0);
	free(finished);
}

void pool_unref(struct pool *pool, struct reaper *reaper, struct pinned *pinned)
{
	struct finished *finished;

	if (atomic_fetch_sub_explicit(&pool->references, 1, memory_order_acq_rel) > 1)
		return;
	finished = malloc(sizeof *finished);
	if (finished == NULL) { /* waits, and forgets who keeps it: better than keeping it */
		pinned_unreserve(pinned, pool->reserved);
		pool_destroy(pool);
		return;
	}
	*finished = (struct finished){.pool = pool, .pinned = pinned};
	reaper_call(reaper, unmap_pool, finished);
}
