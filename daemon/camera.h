/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CAMERA_H
#define CAMTAP_DAEMON_CAMERA_H

/*
 * The camera: the capture thread, the state of the source, and the pool of the current epoch.
 *
 *            readers              opened             enough readers              silent
 *   IDLE ------------> OPENING -----------> WAITING ----------------> STREAMING <---------> STALLED
 *     ^                 ^   | fails                                   |  |  |    frames        |
 *     | last reader     |   v                              fails      |  |  | recording over   |
 *     | left            +-- BACKOFF <---------------------------------+--|--|------------------+
 *     |                        |                                         |  v
 *     +------------------------+-----------------------------------------+ ENDED ---> FINISHED
 *
 * (docs/architecture.md draws it with all its edges; camera_set_state() is the one place where it
 * changes, and logs it.)
 *
 * Two threads meet here under one short, priority-inheriting lock. The capture thread owns the
 * source, makes the pools and takes, publishes and discards slots. The server thread attaches and
 * drops readers, and is the only one that destroys a pool. The capture thread tells the server
 * thread by an eventfd that something has changed, and is woken by another.
 */

#include "announce.h"
#include "pinned.h"
#include "pool.h"
#include "source.h"

#include <stdbool.h>
#include <stdint.h>

struct camera;
struct options;

enum camera_state {
	CAMERA_IDLE,      /* nobody reads; the source is closed */
	CAMERA_OPENING,   /* the source is being opened */
	CAMERA_WAITING,   /* opened, the pool is there; waiting for readers to link in */
	CAMERA_STREAMING, /* frames come */
	CAMERA_STALLED,   /* no frame has come for a while; the stream was started anew */
	CAMERA_BACKOFF,   /* failed; tried again after a pause */
	CAMERA_ENDED,     /* the recording is over; its last frames can still be read */
	CAMERA_FINISHED,  /* over, and nothing more will come: the daemon may exit */
};

const char *camera_state_to_string(enum camera_state state);

/* A reader as camera and pool know it; embedded in the client. */
struct camera_reader {
	struct pool_reader pool;
	struct announce_target target;
	struct camera_reader *next_retired;
};

/* The state at one moment. */
struct camera_snapshot {
	uint64_t version; /* changes with the state or the text */
	enum camera_state state;
	int error;                   /* positive errno of BACKOFF and STALLED, else 0 */
	int64_t since_realtime_ns;   /* when the state was entered, CLOCK_REALTIME */
	char text[SOURCE_TEXT_SIZE]; /* why; may be empty */
	const char *transfer;        /* how frames get into the pool; NULL before it was opened */
};

/* `source` and `pinned` stay the caller's; `notify_fd` is an eventfd, written whenever the server
 * thread should look (camera_snapshot, camera_take_*). `send_unit_ns`: announce_calibrate(). */
int camera_create(const struct options *options, struct source *source, struct pinned *pinned,
	int notify_fd, int64_t send_unit_ns, struct camera **ret_camera);
/* Stops the capture thread, gives the current pool up (camera_take_finished() returns it). */
void camera_stop(struct camera *camera);
void camera_destroy(struct camera *camera);

/* Opens the source once and closes it, and plans the pool: so that what is wrong shows at start.
 * Before camera_create(). On failure `error` holds one line for people. */
int camera_try(const struct options *options, struct source *source, char error[SOURCE_TEXT_SIZE]);

/* ---- server thread ---- */

/* How many readers are attached (linked or not): more than none keeps the source open. */
void camera_set_readers(struct camera *camera, uint32_t readers);
/* A reader gave something back or left: the source may go on (lossless). */
void camera_poke(struct camera *camera);
void camera_snapshot(struct camera *camera, struct camera_snapshot *ret_snapshot);

/* The current pool or NULL; valid until camera_take_finished() has returned it. */
struct pool *camera_pool(struct camera *camera);
/* The next pool that is over, or NULL. Readers linked into it must be forgotten, without unlinking,
 * before it is destroyed. */
struct pool *camera_take_finished(struct camera *camera);

/* Links a reader into `pool`. False if that is not the current pool any more. */
bool camera_link(struct camera *camera, struct pool *pool, struct camera_reader *reader);
/* Unlinks a reader from the current pool, if it is linked. The reader is then in the retired list:
 * it must stay as it is (target fd open, guard mapped) until camera_take_retired() returns it. */
void camera_retire(struct camera *camera, struct camera_reader *reader);
/* A retired reader that the capture thread cannot be using any more, or NULL. */
struct camera_reader *camera_take_retired(struct camera *camera);

/* The reader is rung by the capture thread again. It must be rung once after this: a frame that was
 * published just before was announced without it. */
void camera_clear_suspect(struct camera *camera, struct camera_reader *reader);

/* The FRAME message of the newest frame of the current pool; false if there is none. */
bool camera_newest(struct camera *camera, struct wire_frame *ret_frame);

/* Of the current pool and all before it. */
struct camera_counters {
	uint64_t published, dropped_driver, corrupt, pool_empty, client_slow, revoked;
	uint64_t damaged[SOURCE_DAMAGE_COUNT]; /* what `corrupt` is made of */
};

void camera_count(struct camera *camera, struct camera_counters *ret_counters);

/* How many slots a reader holds now; 0 if it is not linked. */
uint32_t camera_reader_leases(struct camera *camera, const struct camera_reader *reader);

#endif
