/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_POOL_H
#define CAMTAP_DAEMON_POOL_H

/*
 * One epoch's pool as the daemon sees it: the sealed memory, the private state of each slot, and
 * the guards of the readers that are linked in. The slots lie in that memory, or in dma-bufs.
 * proto/pool-layout.h is what readers see of it, proto/guard.h the steps on the lock words.
 *
 * Threads: pool_create() and pool_destroy() need no lock, everything else the camera's lock. None
 * of it allocates, blocks or faults: guards are locked in memory before they are linked.
 */

#include "guard.h"
#include "pool-layout.h"
#include "slot-buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#define POOL_SLOT_NONE UINT32_MAX

enum pool_expulsion {
	POOL_EXPULSION_NONE,
	POOL_EXPULSION_OVERHOLD, /* holds more slots than it may */
	POOL_EXPULSION_SCRIBBLE, /* words that no client of the protocol writes */
};

/* What the pool knows of a reader. Embedded in the client; words are the mapped, locked guard. */
struct pool_reader {
	uint8_t *words; /* slot n's guard_word is at n * GUARD_STRIDE */
	uid_t uid;
	bool lossless;
	uint32_t overholds;         /* looks in a row that found too many holds */
	_Atomic uint32_t expulsion; /* enum pool_expulsion; set once, by the capture thread */
	_Atomic uint64_t revoked;   /* leases of this reader that were revoked */
};

enum pool_slot_state {
	POOL_SLOT_EMPTY,     /* no frame in it */
	POOL_SLOT_WRITING,   /* the source has it */
	POOL_SLOT_PUBLISHED, /* a frame is in it */
};

struct pool_slot {
	TAILQ_ENTRY(pool_slot) entry; /* of the pool's `source` if it is WRITING, else `frames` */
	enum pool_slot_state state;
	uint64_t generation; /* what every guard's word should say */
	uint64_t position;   /* of the frame in it */
	uint64_t frame_id;
	int64_t publish_time_ns;
	uint32_t holder; /* reader that held it when it was last wanted: a hint */
};

struct pool {
	struct pool *next;           /* in the list of finished pools */
	_Atomic uint32_t references; /* pool-disposal.h */
	int fd; /* a read-only description; no read-write one exists any more */
	uint8_t *base;
	uint64_t size;
	uint64_t planned_size;       /* bytes, slots in dma-bufs included */
	uint64_t reserved;           /* those that were counted, pinned_reserve(); 0: none */
	struct pool_header *header;  /* == base */
	struct slot_buffer *buffers; /* [slot_count]; NULL: the slots lie in the pool */

	uint32_t slot_count;
	uint32_t slots_needed; /* the source stops with fewer */
	uint32_t reserve;      /* what the source is kept supplied with: one more */
	uint32_t max_leases;
	uint64_t lease_min_ns; /* the effective one */

	uint64_t newest; /* position */
	uint32_t newest_slot;
	uint32_t writing;  /* slots that the source has */
	uint32_t expelled; /* readers, so far */
	/* Empty slots, then from the oldest frame to the newest. */
	TAILQ_HEAD(pool_slots, pool_slot) frames;
	/* Those that the source has, in the order in which it was given them. */
	struct pool_slots source;
	struct pool_slot slots[POOL_SLOTS_MAX];

	uint32_t reader_count, reader_max;
	struct pool_reader **readers;
};

struct pool_plan {
	struct pool_format format;
	uint32_t slot_count, slots_needed, max_leases, reader_max;
	uint64_t lease_min_ns; /* the effective one: what slot_count allows at the format's rate */
	uint64_t size;         /* bytes of the pool, slots in dma-bufs included */
	bool dmabuf;           /* the slots are not in the pool */
};

/* Works out slots, effective lease_min and size. slots 0: automatic: reserve + 1 + ceil(lease_min *
 * rate), between 8 and 32 and within 256 MiB. `buffer_max`: the slots are dma-bufs, and that is the
 * most of them; 0: they are in the pool. -EINVAL if `slots` are too few for the source, or more
 * than it has
 * (*ret_least says how many it needs), -EOVERFLOW. */
int pool_plan_init(struct pool_plan *ret_plan, const struct pool_format *format,
	uint32_t slots_needed, uint32_t slots, uint32_t buffer_max, uint64_t lease_min_ns,
	uint32_t *ret_least);

/* Makes the memory, populates and seals it. -ENOMEM if the machine or the control group has not
 * that much left (looked at before: populating beyond a limit is an OOM kill, not an error);
 * -ENOTSUP: the kernel has no F_SEAL_FUTURE_WRITE (before 5.1). `buffers`, plan->slot_count of them
 * if plan->dmabuf (else NULL), are the pool's then. */
int pool_create(
	const struct pool_plan *plan, const struct slot_buffer *buffers, struct pool **ret_pool);
/* Unmaps and frees; closes pool->fd unless it is -1, and the dma-bufs unless pool->buffers is NULL.
 * NULL is allowed. */
void pool_destroy(struct pool *pool);

/* A read-only description of its own for one client. Negative errno, or an fd that the caller
 * closes. */
int pool_open_description(const struct pool *pool);

/* Links a reader in: its words are set up for the slots as they are. Its guard must be locked in
 * memory and sealed. There must be room (reader_max). */
void pool_link(struct pool *pool, struct pool_reader *reader);
/* Revokes every word and takes the reader out. Not linked into this pool: nothing. */
void pool_unlink(struct pool *pool, struct pool_reader *reader);

enum pool_outcome {
	POOL_TAKEN,  /* *ret_slot is locked for writing */
	POOL_ENOUGH, /* nothing free now, but the source can go on with what it has */
	POOL_WAIT, /* lossless readers hold all; a message or a hang-up is a reason to try again */
};

/* Chooses a slot for the source and locks it in every guard; revokes leases if it must. */
enum pool_outcome pool_take_slot(struct pool *pool, int64_t now_ns, uint32_t *ret_slot);
/* The slot, which the source filled, holds `frame` now; position and publish time are written here,
 * and the frame id, if it is 0: a derived frame has that of the frame it was made from. */
void pool_publish(struct pool *pool, uint32_t slot, struct pool_frame *frame, int64_t now_ns);
/* Lets the memory that the next frame's publication and slot touch come into the caches. */
void pool_prefetch(const struct pool *pool);
/* The source had the slot and made no frame of it. */
void pool_discard(struct pool *pool, uint32_t slot);

/* Keeps the pool's memory mapped beyond the end of its epoch; pool-disposal.h gives that up. */
static inline struct pool *pool_ref(struct pool *pool)
{
	atomic_fetch_add_explicit(&pool->references, 1, memory_order_relaxed);
	return pool;
}

/* How many slots a reader holds at this moment (for people; its words are its own to write). */
uint32_t pool_reader_leases(const struct pool *pool, const struct pool_reader *reader);

/* NULL if the slots are dma-bufs. */
static inline uint8_t *pool_slot_data(const struct pool *pool, uint32_t slot)
{
	if (pool->buffers != NULL)
		return NULL;
	return pool->base + pool->header->slot_offset + slot * pool->header->slot_stride;
}

#endif
