/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include "clock.h"
#include "hot.h"
#include "log.h"
#include "message.h"
#include "trace.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void notify(struct stream *stream)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, whoever waits is awake */
	if (write(stream->notify_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		log_error("eventfd: %s (this is a bug)", strerror(errno));
}

static int lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;
	int error;

	pthread_mutexattr_init(&attributes);
	/* a real-time capture thread must not wait behind what preempts the server thread */
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	error = -pthread_mutex_init(lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return error;
}

int stream_init(struct stream *stream, int notify_fd, uint32_t reader_max, int64_t send_unit_ns,
	void (*wake_producer)(struct stream *stream))
{
	int error;

	*stream = (struct stream){.notify_fd = notify_fd, .wake_producer = wake_producer};
	error = lock_init(&stream->lock);
	if (error < 0)
		return error;
	error = announcer_init(&stream->announcer, reader_max, send_unit_ns);
	if (error < 0)
		pthread_mutex_destroy(&stream->lock);
	return error;
}

void stream_finish(struct stream *stream)
{
	struct pool *pool;

	stream_give_up_pool(stream);
	while ((pool = stream_take_finished(stream)) != NULL)
		pool_destroy(pool);
	bells_finish(&stream->bells);
	announcer_finish(&stream->announcer);
	pthread_mutex_destroy(&stream->lock);
}

/* ---- producer ---- */

void stream_install_pool(struct stream *stream, struct pool *pool)
{
	pthread_mutex_lock(&stream->lock);
	stream->pool = pool;
	pthread_mutex_unlock(&stream->lock);
	stream->starved = false;
	notify(stream);
}

static void add_counters(struct stream_counters *sum, const struct pool *pool)
{
	const struct pool_counters *counters = &pool->header->counters;

	sum->published += atomic_load_explicit(&counters->published, memory_order_relaxed);
	sum->dropped_driver +=
		atomic_load_explicit(&counters->dropped_driver, memory_order_relaxed);
	sum->corrupt += atomic_load_explicit(&counters->corrupt, memory_order_relaxed);
	sum->pool_empty += atomic_load_explicit(&counters->pool_empty, memory_order_relaxed);
	sum->client_slow += atomic_load_explicit(&counters->client_slow, memory_order_relaxed);
	sum->revoked += atomic_load_explicit(&counters->revoked, memory_order_relaxed);
}

void stream_give_up_pool(struct stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	if (stream->pool != NULL) {
		add_counters(&stream->past, stream->pool);
		stream->pool->next = stream->finished;
		stream->finished = stream->pool;
		stream->pool = NULL;
	}
	stream->abandoned = false;
	pthread_mutex_unlock(&stream->lock);
	notify(stream);
}

/* Under the lock. */
HOT static uint32_t take_slots(
	struct stream *stream, int64_t now, uint32_t ret_slots[POOL_SLOTS_MAX])
{
	struct pool *pool = stream->pool;
	uint32_t taken = 0;

	while (pool->writing < pool->reserve) {
		if (pool_take_slot(pool, now, &ret_slots[taken]) != POOL_TAKEN)
			break;
		taken++;
	}
	if (pool->writing == 0 && !stream->starved)
		atomic_fetch_add_explicit(
			&pool->header->counters.pool_empty, 1, memory_order_relaxed);
	stream->starved = pool->writing == 0;
	return taken;
}

uint32_t stream_take_slots(struct stream *stream, uint32_t ret_slots[POOL_SLOTS_MAX])
{
	struct pool *pool = stream->pool;
	uint32_t count, expelled;

	pthread_mutex_lock(&stream->lock);
	expelled = pool->expelled;
	count = take_slots(stream, clock_now(), ret_slots);
	expelled = pool->expelled - expelled;
	pthread_mutex_unlock(&stream->lock);
	if (expelled > 0)
		notify(stream);
	return count;
}

void stream_discard(struct stream *stream, uint32_t slot)
{
	pthread_mutex_lock(&stream->lock);
	pool_discard(stream->pool, slot);
	pthread_mutex_unlock(&stream->lock);
}

/* Under the lock. */
HOT static void frame_message(const struct pool *pool, const struct pool_frame *frame,
	uint32_t slot, struct wire_frame *ret_message)
{
	message_init(&ret_message->header, WIRE_FRAME, sizeof *ret_message);
	ret_message->epoch = pool->header->epoch;
	ret_message->position = frame->position;
	ret_message->generation = pool->slots[slot].generation;
	ret_message->frame_id = frame->frame_id;
	ret_message->publish_time_ns = frame->publish_time_ns;
	ret_message->slot = slot;
	ret_message->reserved = 0;
}

static struct stream_reader *reader_at(const struct pool *pool, uint32_t place)
{
	return (struct stream_reader *)((char *)pool->readers[place] -
					offsetof(struct stream_reader, pool));
}

HOT static void copy_targets(struct stream *stream)
{
	struct pool *pool = stream->pool;

	stream->announcer.target_count = pool->reader_count;
	for (uint32_t i = 0; i < pool->reader_count; i++)
		stream->announcer.targets[i] = &reader_at(pool, i)->target;
}

HOT void stream_prefetch(struct stream *stream)
{
	struct pool *pool = stream->pool;

	pthread_mutex_lock(&stream->lock);
	pool_prefetch(pool);
	for (uint32_t i = 0; i < pool->reader_count; i++)
		announce_prefetch(&reader_at(pool, i)->target);
	pthread_mutex_unlock(&stream->lock);
}

HOT uint32_t stream_publish(struct stream *stream, uint32_t slot, struct pool_frame *frame,
	struct stream_publication *ret_publication, uint32_t ret_slots[POOL_SLOTS_MAX])
{
	struct pool *pool = stream->pool;
	uint32_t count;
	int64_t now;

	ret_publication->expelled = pool->expelled;
	pthread_mutex_lock(&stream->lock);
	now = clock_now();
	pool_publish(pool, slot, frame, now);
	frame_message(pool, frame, slot, &ret_publication->message);
	count = take_slots(stream, now, ret_slots);
	copy_targets(stream);
	stream->announcing = true;
	pthread_mutex_unlock(&stream->lock);
	return count;
}

HOT void stream_announce(struct stream *stream, const struct stream_publication *publication)
{
	struct pool *pool = stream->pool;
	int64_t now = publication->message.publish_time_ns;
	uint64_t missed = 0;
	bool tell;

	trace_announce_begin(publication->message.position, stream->announcer.target_count);
	tell = announce(&stream->announcer, &publication->message, &missed) == ANNOUNCE_SUSPECT;
	trace_announce_end(publication->message.position, stream->announcer.target_count, missed);
	pthread_mutex_lock(&stream->lock);
	stream->announcing = false;
	tell = tell || stream->retired != NULL || pool->expelled != publication->expelled;
	pthread_mutex_unlock(&stream->lock);
	if (tell)
		notify(stream);
	if (missed > 0)
		atomic_fetch_add_explicit(
			&pool->header->counters.client_slow, missed, memory_order_relaxed);
	if (now >= stream->realtime_due_ns) {
		atomic_store_explicit(&pool->header->realtime_offset,
			clock_read(CLOCK_REALTIME) - clock_now(), memory_order_relaxed);
		stream->realtime_due_ns = now + NSEC_PER_SEC;
	}
}

/* ---- server thread ---- */

struct pool *stream_pool(struct stream *stream)
{
	struct pool *pool;

	pthread_mutex_lock(&stream->lock);
	pool = stream->abandoned ? NULL : stream->pool;
	pthread_mutex_unlock(&stream->lock);
	return pool;
}

struct pool *stream_take_finished(struct stream *stream)
{
	struct pool *pool;

	pthread_mutex_lock(&stream->lock);
	pool = stream->finished;
	if (pool != NULL)
		stream->finished = pool->next;
	pthread_mutex_unlock(&stream->lock);
	return pool;
}

bool stream_link(struct stream *stream, struct pool *pool, struct stream_reader *reader)
{
	bool current;

	pthread_mutex_lock(&stream->lock);
	current = stream->pool == pool && pool->reader_count < pool->reader_max;
	if (current)
		pool_link(pool, &reader->pool);
	pthread_mutex_unlock(&stream->lock);
	if (current)
		stream->wake_producer(stream); /* it may be the one that the start waited for */
	return current;
}

void stream_retire(struct stream *stream, struct stream_reader *reader)
{
	pthread_mutex_lock(&stream->lock);
	/* linked into a finished pool: nothing is written there any more, holders keep what they
	 * hold */
	if (stream->pool != NULL)
		pool_unlink(stream->pool, &reader->pool);
	reader->next_retired = stream->retired;
	stream->retired = reader;
	pthread_mutex_unlock(&stream->lock);
	stream->wake_producer(stream); /* lossless: its holds are gone */
}

void stream_release_retired(struct stream *stream)
{
	struct stream_reader *released = NULL;

	pthread_mutex_lock(&stream->lock);
	if (!stream->announcing) {
		released = stream->retired;
		stream->retired = NULL;
	}
	pthread_mutex_unlock(&stream->lock);
	while (released != NULL) {
		struct stream_reader *next = released->next_retired;

		released->on_released(released);
		released = next;
	}
}

void stream_clear_suspect(struct stream *stream, struct stream_reader *reader)
{
	/* frames are published under this lock: whoever is left out by the announcement of one, is
	 * cleared after its `newest` was stored, and so the ring that follows tells of it */
	pthread_mutex_lock(&stream->lock);
	atomic_store_explicit(&reader->target.suspect, false, memory_order_relaxed);
	pthread_mutex_unlock(&stream->lock);
}

bool stream_newest(struct stream *stream, struct wire_frame *ret_frame)
{
	bool there;

	pthread_mutex_lock(&stream->lock);
	there = stream->pool != NULL && stream->pool->newest > 0;
	if (there) {
		struct pool *pool = stream->pool;
		const struct pool_slot *slot = &pool->slots[pool->newest_slot];
		struct pool_frame frame = {.position = pool->newest,
			.frame_id = slot->frame_id,
			.publish_time_ns = slot->publish_time_ns};

		frame_message(pool, &frame, pool->newest_slot, ret_frame);
	}
	pthread_mutex_unlock(&stream->lock);
	return there;
}

void stream_count(struct stream *stream, struct stream_counters *ret_counters)
{
	pthread_mutex_lock(&stream->lock);
	*ret_counters = stream->past;
	if (stream->pool != NULL)
		add_counters(ret_counters, stream->pool);
	pthread_mutex_unlock(&stream->lock);
}

uint32_t stream_reader_leases(struct stream *stream, const struct stream_reader *reader)
{
	uint32_t leases = 0;

	pthread_mutex_lock(&stream->lock);
	if (stream->pool != NULL)
		leases = pool_reader_leases(stream->pool, &reader->pool);
	pthread_mutex_unlock(&stream->lock);
	return leases;
}

uint32_t stream_linked_count(struct stream *stream)
{
	uint32_t count = 0;

	pthread_mutex_lock(&stream->lock);
	for (uint32_t i = 0; stream->pool != NULL && i < stream->pool->reader_count; i++) {
		const struct stream_reader *reader = reader_at(stream->pool, i);

		count += reader->stands_for == NULL
				 ? 1
				 : atomic_load_explicit(reader->stands_for, memory_order_relaxed);
	}
	pthread_mutex_unlock(&stream->lock);
	return count;
}
