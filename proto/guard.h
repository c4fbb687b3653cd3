/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_GUARD_H
#define CAMTAP_PROTO_GUARD_H

/*
 * The guard mutex: every atomic step that reader and daemon take on a lock word, and nothing else.
 *
 * A slot of the pool is guarded by one process-shared mutex per reader, a 64-bit word in that
 * reader's own guard (a memfd that only this reader and the daemon map). A reader locks its own
 * word of the slot; the daemon must lock every reader's word of the slot before the slot may be
 * overwritten. Readers therefore never wait for each other, and a reader that scribbles over its
 * guard hurts nobody but itself.
 *
 * The word holds the state and the generation that it guards, so that one compare-and-swap settles
 * both "is it free" and "is it still the frame that was announced". A stale holder's generation
 * never matches again, so there is no ABA. Nobody ever sleeps on a word.
 *
 *            guard_take                 guard_release
 *   FREE,g ------------> READER,g --------------------> FREE,g
 *   OFFERED,g ---------> READER,g                                      (WAITED travels along)
 *
 *            guard_lock                 guard_publish
 *   FREE,g ------------> WRITER,g --------------------> FREE,g+1 or OFFERED,g+1
 *                        WRITER,g ---- guard_undo ----> FREE,g    (the source never had the slot)
 *                        WRITER,g --- guard_discard --> FREE,g+1  (it had: there is no frame g+1)
 *   anything ----------- guard_revoke ----------------> WRITER,g
 *
 * Memory orders. They were model-checked (tests/model for the interleavings, herd7 for AArch64 and
 * C11 for the orders); change none of them without a new model.
 *
 * - guard_take: CAS, acquire. Pairs with guard_publish's release: whoever sees g sees its pixels.
 * - guard_release: CAS loop, release: the reader's loads are over before the daemon can lock. Never
 * an exchange: that would overwrite WRITER after a revocation and free a slot that is being
 * written.
 * - guard_lock: CAS, acquire. Pairs with guard_release's release.
 * - guard_publish, guard_discard, guard_undo: store, release.
 * - guard_revoke: exchange, acquire and release. A plain store, even a release store, lets the
 *   daemon's following pixel stores pass it on ARM64: the reader sees new pixels under a word that
 *   still says that it holds the old ones, and its release succeeds.
 *
 * The daemon treats a word as hostile input: it compares it with what its private state says that
 * it should be, decides from that state, and never uses the word as an index, an address or a
 * count.
 *
 * Why not pthread_mutex_t: a robust process-shared one keeps list pointers and a type field in the
 * shared page, and glibc follows them on unlock. A client that writes there crashes the daemon
 * within milliseconds or makes it write where the client likes. It also binds a lock to a thread,
 * so a frame could not be locked by a receiving thread and released by a worker.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint64_t guard_word;

_Static_assert(sizeof(guard_word) == 8, "a guard word is 64 bits on every architecture");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free to be shared");

/* A word is generation << GUARD_STATE_BITS | state. */
#define GUARD_STATE_BITS     8
#define GUARD_GENERATION_MAX ((UINT64_C(1) << 48) - 1)

/* 0 is no state: an all-zero page (never set up, or a hole) locks nothing and can be taken by
 * nobody. */
enum guard_state {
	GUARD_FREE = 1,
	GUARD_OFFERED = 2, /* lossless: announced, not yet taken; counts as a hold */
	GUARD_READER = 3,
	GUARD_WRITER = 4,
	GUARD_WAITED = 0x80, /* flag on OFFERED and READER: the daemon wants a RELEASED message */
};

/* A guard's words lie side by side: they are one reader's, and what the daemon touches of a guard
 * for a frame is a line or two then instead of three, for each reader. */
#define GUARD_STRIDE 8

static inline uint64_t guard_value(uint64_t generation, unsigned state)
{
	return generation << GUARD_STATE_BITS | state;
}

enum guard_outcome {
	GUARD_DONE,        /* the step was taken */
	GUARD_DONE_WAITED, /* guard_release only: taken, and the daemon waits for a RELEASED message
			    */
	GUARD_GONE, /* guard_take: overrun; guard_release: revoked; guard_lock: somebody holds it */
};

/* Reader: lock frame (slot, generation) for reading. */
static inline enum guard_outcome guard_take(guard_word *word, uint64_t generation)
{
	uint64_t seen = guard_value(generation, GUARD_FREE);

	while (seen == guard_value(generation, GUARD_FREE) ||
		seen == guard_value(generation, GUARD_OFFERED) ||
		seen == guard_value(generation, GUARD_OFFERED | GUARD_WAITED)) {
		uint64_t taken = guard_value(generation, GUARD_READER | (seen & GUARD_WAITED));

		if (atomic_compare_exchange_weak_explicit(
			    word, &seen, taken, memory_order_acquire, memory_order_relaxed))
			return GUARD_DONE;
	}
	return GUARD_GONE;
}

/* Reader: has the lock been revoked? Loads of the frame before this call happened under the lock if
 * the answer is true (the fence keeps them before the load, as in a sequence lock). */
static inline bool guard_holds(const guard_word *word, uint64_t generation)
{
	uint64_t seen;

	atomic_thread_fence(memory_order_acquire);
	seen = atomic_load_explicit(word, memory_order_relaxed);
	return seen == guard_value(generation, GUARD_READER) ||
	       seen == guard_value(generation, GUARD_READER | GUARD_WAITED);
}

/* Reader: give the lock back. GUARD_GONE: it was revoked, the pixels may have changed under it. */
static inline enum guard_outcome guard_release(guard_word *word, uint64_t generation)
{
	uint64_t seen = guard_value(generation, GUARD_READER);

	while (seen == guard_value(generation, GUARD_READER) ||
		seen == guard_value(generation, GUARD_READER | GUARD_WAITED)) {
		if (atomic_compare_exchange_weak_explicit(word, &seen,
			    guard_value(generation, GUARD_FREE), memory_order_release,
			    memory_order_relaxed))
			return seen & GUARD_WAITED ? GUARD_DONE_WAITED : GUARD_DONE;
	}
	return GUARD_GONE;
}

/* Daemon: a glance before guard_lock; decides nothing by itself. */
static inline bool guard_looks_free(const guard_word *word, uint64_t generation)
{
	return atomic_load_explicit(word, memory_order_relaxed) ==
	       guard_value(generation, GUARD_FREE);
}

/* Daemon: lock the slot for writing against this reader. */
static inline enum guard_outcome guard_lock(guard_word *word, uint64_t generation)
{
	uint64_t seen = guard_value(generation, GUARD_FREE);

	return atomic_compare_exchange_strong_explicit(word, &seen,
		       guard_value(generation, GUARD_WRITER), memory_order_acquire,
		       memory_order_relaxed)
		       ? GUARD_DONE
		       : GUARD_GONE;
}

/* Daemon: take back a guard_lock of a slot that the source never had. */
static inline void guard_undo(guard_word *word, uint64_t generation)
{
	atomic_store_explicit(word, guard_value(generation, GUARD_FREE), memory_order_release);
}

/* Daemon: the slot holds frame `generation` now (one more than it was locked with). */
static inline void guard_publish(guard_word *word, uint64_t generation, bool offered)
{
	atomic_store_explicit(word, guard_value(generation, offered ? GUARD_OFFERED : GUARD_FREE),
		memory_order_release);
}

/* Daemon: the source had the slot and made no frame of it; `generation` is one more than it was
 * locked with, so that nobody can take what is in it. */
static inline void guard_discard(guard_word *word, uint64_t generation)
{
	atomic_store_explicit(word, guard_value(generation, GUARD_FREE), memory_order_release);
}

/* Daemon: lock the slot for writing whatever the reader does. True: the reader held it (any value
 * but FREE,generation counts as a hold), and its guard_release will say so. */
static inline bool guard_revoke(guard_word *word, uint64_t generation)
{
	return atomic_exchange_explicit(word, guard_value(generation, GUARD_WRITER),
		       memory_order_acq_rel) != guard_value(generation, GUARD_FREE);
}

/* Daemon, lossless: ask for a RELEASED message when this word is given back. GUARD_GONE: it is free
 * already (or was never a valid hold), look again. */
static inline enum guard_outcome guard_wait(guard_word *word, uint64_t generation)
{
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	while (seen == guard_value(generation, GUARD_READER) ||
		seen == guard_value(generation, GUARD_OFFERED)) {
		if (atomic_compare_exchange_weak_explicit(word, &seen, seen | GUARD_WAITED,
			    memory_order_relaxed, memory_order_relaxed))
			return GUARD_DONE;
	}
	return seen == guard_value(generation, GUARD_READER | GUARD_WAITED) ||
			       seen == guard_value(generation, GUARD_OFFERED | GUARD_WAITED)
		       ? GUARD_DONE
		       : GUARD_GONE;
}

/* Daemon: what a word of a guard that is about to be linked in starts with. */
static inline void guard_init_word(guard_word *word, uint64_t generation, enum guard_state state)
{
	atomic_store_explicit(word, guard_value(generation, state), memory_order_release);
}

/* Daemon: could a client that keeps to the protocol have left this value in the word of a slot
 * whose generation is `generation` and that is not locked for writing? Everything else is a
 * scribble. */
static inline bool guard_value_plausible(uint64_t seen, uint64_t generation)
{
	return seen == guard_value(generation, GUARD_FREE) ||
	       seen == guard_value(generation, GUARD_OFFERED) ||
	       seen == guard_value(generation, GUARD_OFFERED | GUARD_WAITED) ||
	       seen == guard_value(generation, GUARD_READER) ||
	       seen == guard_value(generation, GUARD_READER | GUARD_WAITED);
}

#endif
