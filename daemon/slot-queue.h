/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SLOT_QUEUE_H
#define CAMTAP_DAEMON_SLOT_QUEUE_H

/* The slots that a source was given and has not filled yet, in order. */

#include "pool-layout.h"

struct slot_queue {
	uint32_t head, count;
	uint8_t slots[POOL_SLOTS_MAX];
};

static inline void slot_queue_clear(struct slot_queue *queue)
{
	queue->head = queue->count = 0;
}

static inline void slot_queue_push(struct slot_queue *queue, uint32_t slot)
{
	queue->slots[(queue->head + queue->count++) % POOL_SLOTS_MAX] = (uint8_t)slot;
}

/* The next slot to fill; the queue must not be empty. */
static inline uint32_t slot_queue_first(const struct slot_queue *queue)
{
	return queue->slots[queue->head];
}

static inline uint32_t slot_queue_pop(struct slot_queue *queue)
{
	uint32_t slot = slot_queue_first(queue);

	queue->head = (queue->head + 1) % POOL_SLOTS_MAX;
	queue->count--;
	return slot;
}

#endif
