/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include "hot.h"
#include "trace.h"

static guard_word *word_of(const struct pool_reader *reader, uint32_t slot)
{
	return (guard_word *)(reader->words + (size_t)slot * GUARD_STRIDE);
}

static struct pool_descriptor *descriptor_of(const struct pool *pool, uint32_t slot)
{
	return (struct pool_descriptor *)(pool->base + pool->header->descriptor_offset +
					  (size_t)slot * pool->header->descriptor_stride);
}

static pool_recent *recent_of(const struct pool *pool, uint64_t position)
{
	return (pool_recent *)(pool->base + pool->header->recent_offset) +
	       (position - 1) % pool->header->recent_count;
}

static uint64_t word_load(const struct pool_reader *reader, uint32_t slot)
{
	return atomic_load_explicit(word_of(reader, slot), memory_order_relaxed);
}

/* Does this reader's word keep the slot from being written? */
static bool held(const struct pool *pool, const struct pool_reader *reader, uint32_t slot)
{
	return !guard_looks_free(word_of(reader, slot), pool->slots[slot].generation);
}

static uint32_t index_of(const struct pool *pool, const struct pool_slot *slot)
{
	return (uint32_t)(slot - pool->slots);
}

static bool may_be_written(const struct pool *pool, uint32_t slot)
{
	return pool->slots[slot].state != POOL_SLOT_WRITING && slot != pool->newest_slot;
}

/* ---- readers ---- */

void pool_link(struct pool *pool, struct pool_reader *reader)
{
	for (uint32_t slot = 0; slot < pool->slot_count; slot++)
		guard_init_word(word_of(reader, slot), pool->slots[slot].generation,
			pool->slots[slot].state == POOL_SLOT_WRITING ? GUARD_WRITER : GUARD_FREE);
	reader->overholds = 0;
	pool->readers[pool->reader_count++] = reader;
}

/* The reader's place in pool->readers; reader_count: it is not linked into this pool. */
static uint32_t place_of(const struct pool *pool, const struct pool_reader *reader)
{
	uint32_t place = 0;

	while (place < pool->reader_count && pool->readers[place] != reader)
		place++;
	return place;
}

void pool_unlink(struct pool *pool, struct pool_reader *reader)
{
	uint32_t place = place_of(pool, reader);

	if (place == pool->reader_count)
		return;
	for (uint32_t slot = 0; slot < pool->slot_count; slot++)
		guard_revoke(word_of(reader, slot), pool->slots[slot].generation);
	pool->readers[place] = pool->readers[--pool->reader_count];
}

uint32_t pool_reader_leases(const struct pool *pool, const struct pool_reader *reader)
{
	uint32_t leases = 0;

	if (place_of(pool, reader) == pool->reader_count)
		return 0;
	for (uint32_t slot = 0; slot < pool->slot_count; slot++) {
		uint64_t held_value = guard_value(pool->slots[slot].generation, GUARD_READER);

		if ((word_load(reader, slot) & ~(uint64_t)GUARD_WAITED) == held_value)
			leases++;
	}
	return leases;
}

static void expel(struct pool *pool, struct pool_reader *reader, enum pool_expulsion why)
{
	atomic_store_explicit(&reader->expulsion, why, memory_order_relaxed);
	pool->expelled++;
	pool_unlink(pool, reader);
}

/* What a reader's words say, looked at when no slot was free. */
static enum pool_expulsion judge(const struct pool *pool, const struct pool_reader *reader)
{
	uint32_t holds = 0;

	for (uint32_t slot = 0; slot < pool->slot_count; slot++) {
		uint64_t generation = pool->slots[slot].generation, seen = word_load(reader, slot);
		unsigned state = seen & 0xff & ~GUARD_WAITED;

		if (pool->slots[slot].state == POOL_SLOT_WRITING) {
			if (seen != guard_value(generation, GUARD_WRITER))
				return POOL_EXPULSION_SCRIBBLE;
			continue;
		}
		if (!guard_value_plausible(seen, generation))
			return POOL_EXPULSION_SCRIBBLE;
		if (!reader->lossless && (state == GUARD_OFFERED || (seen & GUARD_WAITED)))
			return POOL_EXPULSION_SCRIBBLE;
		holds += state == GUARD_READER;
	}
	return holds > pool->max_leases ? POOL_EXPULSION_OVERHOLD : POOL_EXPULSION_NONE;
}

/*
 * Disconnects readers whose guards say what they must not. Called only when no slot was free: an
 * offender that is in nobody's way costs nothing, so nothing is spent on it.
 *
 * Holds are counted word by word while the reader goes on: one that gives a lease back and takes
 * another meanwhile can be seen with both. So a count beyond the limit must be seen at several
 * looks in a row.
 */
#define OVERHOLDS_MAX 3

static bool police(struct pool *pool)
{
	bool expelled = false;

	for (uint32_t i = 0; i < pool->reader_count;) {
		struct pool_reader *reader = pool->readers[i];
		enum pool_expulsion verdict = judge(pool, reader);

		if (verdict != POOL_EXPULSION_OVERHOLD)
			reader->overholds = 0;
		else if (++reader->overholds < OVERHOLDS_MAX)
			verdict = POOL_EXPULSION_NONE;
		if (verdict == POOL_EXPULSION_NONE) {
			i++;
			continue;
		}
		expel(pool, reader, verdict); /* puts another reader into place i */
		expelled = true;
	}
	return expelled;
}

/* ---- choosing a slot ---- */

/* Readers wrote the words last, on other processors: they come side by side, not one by one. */
HOT static void fetch_words(const struct pool *pool, uint32_t slot)
{
	for (uint32_t i = 0; i < pool->reader_count; i++)
		__builtin_prefetch(word_of(pool->readers[i], slot), 1);
}

/* Locks the slot in every guard, or in none. */
HOT static bool lock_everywhere(struct pool *pool, uint32_t slot)
{
	struct pool_slot *state = &pool->slots[slot];
	uint64_t generation = state->generation;

	/* who held it the last time holds it still, mostly: one look instead of one at everybody */
	if (state->holder < pool->reader_count &&
		!guard_looks_free(word_of(pool->readers[state->holder], slot), generation))
		return false;
	fetch_words(pool, slot);
	for (uint32_t i = 0; i < pool->reader_count; i++) {
		if (guard_looks_free(word_of(pool->readers[i], slot), generation))
			continue;
		state->holder = i;
		return false;
	}
	for (uint32_t i = 0; i < pool->reader_count; i++) {
		if (guard_lock(word_of(pool->readers[i], slot), generation) == GUARD_DONE)
			continue;
		while (i-- > 0)
			guard_undo(word_of(pool->readers[i], slot), generation);
		return false;
	}
	return true;
}

/* Locks the slot of the oldest frame that nobody holds, if it was published at or before
 * `published_by`. (Empty ones were at 0.) */
HOT static uint32_t lock_free_slot(struct pool *pool, int64_t published_by)
{
	struct pool_slot *state;

	TAILQ_FOREACH(state, &pool->frames, entry)
	{
		uint32_t slot = index_of(pool, state);

		if (slot == pool->newest_slot || state->publish_time_ns > published_by)
			break; /* the others are younger still */
		if (lock_everywhere(pool, slot))
			return slot;
	}
	return POOL_SLOT_NONE;
}

/* Slots that all readers of one uid pin together; quadratic, but called for a revocation only. */
static uint32_t pins_of_uid(const struct pool *pool, uid_t uid)
{
	uint32_t pins = 0;

	for (uint32_t slot = 0; slot < pool->slot_count; slot++) {
		if (!may_be_written(pool, slot))
			continue;
		for (uint32_t i = 0; i < pool->reader_count; i++) {
			if (pool->readers[i]->uid == uid && held(pool, pool->readers[i], slot)) {
				pins++;
				break;
			}
		}
	}
	return pins;
}

/* How much the greediest holder's uid pins; UINT32_MAX: a lossless reader holds it, never to be
 * revoked. */
#define HELD_LOSSLESS UINT32_MAX

static uint32_t greed_of_slot(const struct pool *pool, uint32_t slot)
{
	uint32_t greed = 0;

	for (uint32_t i = 0; i < pool->reader_count; i++) {
		uint32_t pins;

		if (!held(pool, pool->readers[i], slot))
			continue;
		if (pool->readers[i]->lossless)
			return HELD_LOSSLESS;
		pins = pins_of_uid(pool, pool->readers[i]->uid);
		if (pins > greed)
			greed = pins;
	}
	return greed;
}

/* The slot to revoke: published at or before `published_by`; of those the one whose holder's uid
 * pins most, then the oldest. */
static uint32_t choose_victim(const struct pool *pool, int64_t published_by, bool *ret_lossless)
{
	uint32_t best = POOL_SLOT_NONE, best_greed = 0;

	*ret_lossless = false;
	for (uint32_t slot = 0; slot < pool->slot_count; slot++) {
		uint32_t greed;

		if (!may_be_written(pool, slot))
			continue;
		greed = greed_of_slot(pool, slot);
		if (greed == HELD_LOSSLESS) {
			*ret_lossless = true;
			continue;
		}
		if (pool->slots[slot].publish_time_ns > published_by)
			continue;
		if (best == POOL_SLOT_NONE || greed > best_greed ||
			(greed == best_greed &&
				pool->slots[slot].position < pool->slots[best].position)) {
			best = slot;
			best_greed = greed;
		}
	}
	return best;
}

HOT static void count(_Atomic uint64_t *counter)
{
	/* one writer */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

static void revoke_everywhere(struct pool *pool, uint32_t slot)
{
	const struct pool_slot *state = &pool->slots[slot];

	for (uint32_t i = 0; i < pool->reader_count; i++) {
		struct pool_reader *reader = pool->readers[i];

		if (!guard_revoke(word_of(reader, slot), state->generation))
			continue;
		count(&pool->header->counters.revoked);
		count(&reader->revoked);
		trace_revoke(state->frame_id, slot, state->generation, state->publish_time_ns,
			reader->uid);
	}
}

/* Asks every lossless holder for a message. False: one has let go meanwhile, look again. */
static bool ask_lossless_holders(struct pool *pool)
{
	for (uint32_t slot = 0; slot < pool->slot_count; slot++) {
		if (!may_be_written(pool, slot))
			continue;
		for (uint32_t i = 0; i < pool->reader_count; i++) {
			struct pool_reader *reader = pool->readers[i];

			if (reader->lossless && held(pool, reader, slot) &&
				guard_wait(word_of(reader, slot), pool->slots[slot].generation) ==
					GUARD_GONE)
				return false;
		}
	}
	return true;
}

HOT static void take(struct pool *pool, uint32_t slot)
{
	struct pool_slot *state = &pool->slots[slot];

	TAILQ_REMOVE(&pool->frames, state, entry);
	TAILQ_INSERT_TAIL(&pool->source, state, entry);
	state->state = POOL_SLOT_WRITING;
	pool->writing++;
	/* Before the slot is written: readers without a lease must see that their copy is no good.
	 * The fence keeps the pixel stores behind it (a sequence lock's writer). */
	atomic_store_explicit(&descriptor_of(pool, slot)->generation, POOL_GENERATION_INVALID,
		memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

/*
 * The order of preference. A frame that nobody has taken yet has its time too: without the first
 * step's limit greedy holders could pin all but one slot, and every frame would be overwritten one
 * period after it was published, before a reader that is scheduled a little late has seen it.
 */
HOT enum pool_outcome pool_take_slot(struct pool *pool, int64_t now_ns, uint32_t *ret_slot)
{
	int64_t lease_min_ns = (int64_t)pool->lease_min_ns;
	uint32_t slot;
	bool lossless, revoke;

again:
	revoke = false;
	slot = lock_free_slot(pool, now_ns - lease_min_ns / 4);
	if (slot == POOL_SLOT_NONE && police(pool))
		goto again;
	if (slot == POOL_SLOT_NONE) {
		slot = choose_victim(pool, now_ns - lease_min_ns, &lossless);
		revoke = slot != POOL_SLOT_NONE;
	}
	if (slot == POOL_SLOT_NONE)
		slot = lock_free_slot(pool, INT64_MAX);
	if (slot == POOL_SLOT_NONE && pool->writing >= pool->slots_needed)
		return POOL_ENOUGH;
	if (slot == POOL_SLOT_NONE) { /* leases are cut short rather than frames lost */
		slot = choose_victim(pool, INT64_MAX, &lossless);
		revoke = slot != POOL_SLOT_NONE;
	}
	if (slot == POOL_SLOT_NONE && lossless) {
		if (!ask_lossless_holders(pool))
			goto again;
		return POOL_WAIT;
	}
	if (slot == POOL_SLOT_NONE) /* all are the source's or the newest */
		return POOL_ENOUGH;
	if (revoke)
		revoke_everywhere(pool, slot);
	take(pool, slot);
	*ret_slot = slot;
	return POOL_TAKEN;
}

/* ---- giving a slot back ---- */

HOT void pool_prefetch(const struct pool *pool)
{
	/* the source fills them in the order in which it got them, and then gets the oldest frame's
	 */
	const struct pool_slot *filled = TAILQ_FIRST(&pool->source);
	const struct pool_slot *next = TAILQ_FIRST(&pool->frames);

	__builtin_prefetch(&pool->header->newest, 1);
	__builtin_prefetch(&pool->header->counters, 1);
	__builtin_prefetch(recent_of(pool, pool->newest + 1), 1);
	if (filled != NULL) {
		uint32_t slot = index_of(pool, filled);
		const char *descriptor = (const char *)descriptor_of(pool, slot);

		for (size_t i = 0; i < sizeof(struct pool_descriptor); i += CACHE_LINE)
			__builtin_prefetch(descriptor + i, 1);
		fetch_words(pool, slot);
	}
	if (next != NULL)
		fetch_words(pool, index_of(pool, next));
}

void pool_discard(struct pool *pool, uint32_t slot)
{
	struct pool_slot *state = &pool->slots[slot];

	state->generation++;
	state->position = 0;
	state->publish_time_ns = 0;
	state->state = POOL_SLOT_EMPTY;
	TAILQ_REMOVE(&pool->source, state, entry);
	TAILQ_INSERT_HEAD(&pool->frames, state, entry);
	pool->writing--;
	for (uint32_t i = 0; i < pool->reader_count; i++)
		guard_discard(word_of(pool->readers[i], slot), state->generation);
}

HOT void pool_publish(struct pool *pool, uint32_t slot, struct pool_frame *frame, int64_t now_ns)
{
	struct pool_slot *state = &pool->slots[slot];
	struct pool_descriptor *descriptor = descriptor_of(pool, slot);
	uint64_t position = pool->newest + 1;

	frame->position = position;
	if (frame->frame_id == 0)
		frame->frame_id = position;
	frame->publish_time_ns = now_ns;
	state->generation++;
	state->position = position;
	state->frame_id = frame->frame_id;
	state->publish_time_ns = now_ns;
	state->state = POOL_SLOT_PUBLISHED;
	TAILQ_REMOVE(&pool->source, state, entry);
	TAILQ_INSERT_TAIL(&pool->frames, state, entry);
	pool->writing--;

	pool_frame_store(descriptor, frame);
	atomic_store_explicit(&descriptor->generation, state->generation, memory_order_release);
	for (uint32_t i = 0; i < pool->reader_count; i++)
		guard_publish(word_of(pool->readers[i], slot), state->generation,
			pool->readers[i]->lossless);
	atomic_store_explicit(recent_of(pool, position), pool_recent_value(state->generation, slot),
		memory_order_release);
	pool->newest = position;
	pool->newest_slot = slot;
	count(&pool->header->counters.published);
	atomic_store_explicit(&pool->header->newest, position, memory_order_release);
	trace_publish(frame->frame_id, slot, state->generation, now_ns, position);
}
