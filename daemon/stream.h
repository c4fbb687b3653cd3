/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_STREAM_H
#define CAMTAP_DAEMON_STREAM_H

/*
 * A stream: frames of one format, in one pool after the other, for any number of readers. The
 * native stream's producer is the capture thread, a derived one's its converter.
 *
 * Two threads meet here under one short, priority-inheriting lock: the producer makes the pools,
 * and takes, publishes and discards slots; the server thread links and drops readers, and is the
 * only one that destroys pools. The producer tells the server thread by an eventfd (notify_fd) that
 * something has changed.
 */

#include "announce.h"
#include "pool.h"
#include "wire.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A reader as its stream knows it; embedded in whoever owns it. */
struct stream_reader {
	struct pool_reader pool;
	struct announce_target target;
	/* It reads on behalf of others, which count in its place; NULL: it counts itself. */
	const _Atomic uint32_t *stands_for;
	struct stream_reader *next_retired;
	/* The producer has let go of it: nobody uses it any more. Called on the server thread. */
	void (*on_released)(struct stream_reader *reader);
};

struct stream_counters {
	uint64_t published, dropped_driver, corrupt, pool_empty, client_slow, revoked;
};

struct stream {
	int notify_fd;
	/* Readers have changed, or have given something back: the producer should look. Any thread.
	 */
	void (*wake_producer)(struct stream *stream);
	pthread_mutex_t lock;
	/* Under the lock: */
	struct pool *pool;           /* of this epoch */
	struct pool *finished;       /* of past epochs, for the server thread to destroy */
	struct stream_counters past; /* of the pools before this one */
	struct stream_reader *retired;
	bool announcing; /* the producer uses the targets that it copied */
	/* A recording's last reader has left: it begins anew with the next, even if that one comes
	 * before the producer has seen that there was none. Until then there is no pool for
	 * anybody. */
	bool abandoned;
	/* Of the server thread: */
	struct bells bells;
	/* Of the producer: */
	struct announcer announcer;
	int64_t realtime_due_ns;
	bool starved; /* no slot could be had; counted once */
};

/* `reader_max` readers at most; send_unit_ns: announce_calibrate(). */
int stream_init(struct stream *stream, int notify_fd, uint32_t reader_max, int64_t send_unit_ns,
	void (*wake_producer)(struct stream *stream));
/* Both threads are done with it. Destroys the pools. */
void stream_finish(struct stream *stream);

/* ---- producer ---- */

/* The next epoch begins. */
void stream_install_pool(struct stream *stream, struct pool *pool);
/* The epoch is over: the pool, if there is one, goes to the server thread. */
void stream_give_up_pool(struct stream *stream);

/* Takes slots until the producer has its reserve again: returns how many, in ret_slots. */
uint32_t stream_take_slots(struct stream *stream, uint32_t ret_slots[POOL_SLOTS_MAX]);
/* The producer had the slot and made no frame of it. */
void stream_discard(struct stream *stream, uint32_t slot);

/* A frame may come now: lets what its publication and announcement touch come into the caches, all
 * of it at once instead of one after the other. There must be a pool. */
void stream_prefetch(struct stream *stream);

/* A frame to be announced. */
struct stream_publication {
	struct wire_frame message;
	uint32_t expelled; /* readers, before it */
};

/* Publishes the frame in `slot` (position and publish time are written here; the frame id, too, if
 * it is 0), and takes the next slots as stream_take_slots() does. The source gets those before the
 * frame is announced. */
uint32_t stream_publish(struct stream *stream, uint32_t slot, struct pool_frame *frame,
	struct stream_publication *ret_publication, uint32_t ret_slots[POOL_SLOTS_MAX]);
void stream_announce(struct stream *stream, const struct stream_publication *publication);

/* ---- server thread ---- */

/* The current pool or NULL; valid until stream_take_finished() has returned it. */
struct pool *stream_pool(struct stream *stream);
/* The next pool that is over, or NULL. Readers linked into it must be forgotten, without unlinking,
 * before it is destroyed. */
struct pool *stream_take_finished(struct stream *stream);

/* Links a reader into `pool`. False if that is not the current pool any more. */
bool stream_link(struct stream *stream, struct pool *pool, struct stream_reader *reader);
/* Unlinks a reader from the current pool, if it is linked. It must stay as it is (target fd open,
 * guard mapped) until stream_release_retired() has called its on_released(). */
void stream_retire(struct stream *stream, struct stream_reader *reader);
/* Releases retired readers, as far as the producer cannot be using them any more. */
void stream_release_retired(struct stream *stream);

/* The reader is rung by the producer again. It must be rung once after this: a frame that was
 * published just before was announced without it. */
void stream_clear_suspect(struct stream *stream, struct stream_reader *reader);

/* The FRAME message of the newest frame of the current pool; false if there is none. */
bool stream_newest(struct stream *stream, struct wire_frame *ret_frame);

/* Of the current pool and all before it. */
void stream_count(struct stream *stream, struct stream_counters *ret_counters);

/* How many slots a reader holds now; 0 if it is not linked. */
uint32_t stream_reader_leases(struct stream *stream, const struct stream_reader *reader);
/* How many readers are linked; those of derived streams that are made of this one count, too. */
uint32_t stream_linked_count(struct stream *stream);

#endif
