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
 * From every state to PAUSED, while it is switched off; from there to IDLE.
 *
 * (docs/architecture.md draws it with all its edges; camera_set_state() is the one place where it
 * changes, and logs it.)
 *
 * The capture thread owns the source and is the producer of the native stream (stream.h), whose
 * lock guards the state, too. The server thread is told by an eventfd that something has changed,
 * and wakes the capture thread by another.
 */

#include "pinned.h"
#include "source.h"
#include "stream.h"

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
	CAMERA_PAUSED,    /* switched off; the source is closed, and nothing opens it */
	CAMERA_ENDED,     /* the recording is over; its last frames can still be read */
	CAMERA_FINISHED,  /* over, and nothing more will come: the daemon may exit */
};

const char *camera_state_to_string(enum camera_state state);

/* The state at one moment. */
struct camera_snapshot {
	uint64_t version; /* changes with the state or the text */
	enum camera_state state;
	int error;                   /* positive errno of BACKOFF and STALLED, else 0 */
	int64_t since_realtime_ns;   /* when the state was entered, CLOCK_REALTIME */
	char text[SOURCE_TEXT_SIZE]; /* why; may be empty */
	const char *transfer;        /* how frames get into the pool; NULL before it was opened */
};

/* That it is switched off. */
struct camera_pause {
	char text[SOURCE_TEXT_SIZE]; /* by whom and since when, for people */
	int64_t since_realtime_ns;
};

/* `source` and `pinned` stay the caller's; `notify_fd` is an eventfd, written whenever the server
 * thread should look (camera_snapshot, stream_*). `send_unit_ns`: announce_calibrate().
 * `pause`: it is switched off from the beginning; NULL: it is not. */
int camera_create(const struct options *options, struct source *source, struct pinned *pinned,
	int notify_fd, int64_t send_unit_ns, const struct camera_pause *pause,
	struct camera **ret_camera);
/* Stops the capture thread, gives the current pool up (stream_take_finished() returns it). */
void camera_stop(struct camera *camera);
void camera_destroy(struct camera *camera);

/* Opens the source once and closes it, and plans the pool: so that what is wrong shows at start.
 * Before camera_create(). On failure `error` holds one line for people. */
int camera_try(const struct options *options, struct source *source, char error[SOURCE_TEXT_SIZE]);

/* ---- server thread ---- */

/* The options have changed, those that apply without a new epoch (settings.h: `reload`). */
void camera_configure(struct camera *camera, const struct options *options);

/* How many readers are attached (linked or not): more than none keeps the source open. */
void camera_set_readers(struct camera *camera, uint32_t readers);
void camera_snapshot(struct camera *camera, struct camera_snapshot *ret_snapshot);

/* Switches it off, or on again (NULL). Not for a source that cannot be opened again. */
void camera_set_pause(struct camera *camera, const struct camera_pause *pause);
/* Is that done? Off: the source is closed, the last frame is published. When it becomes so,
 * notify_fd is written. */
bool camera_pause_is_done(struct camera *camera);

/* The native stream, which the capture thread produces. */
struct stream *camera_stream(struct camera *camera);

/* Asks the capture thread for a sign of life: it wakes up for it. */
void camera_ping(struct camera *camera);
/* Has it given every sign that it was asked for? A thread that waits for the device to open or to
 * stop gives none, and is alive all the same for as long as any device may take. */
bool camera_is_alive(struct camera *camera);

/* Frames that were no good, by what was wrong with them. */
void camera_count_damaged(struct camera *camera, uint64_t ret_counts[SOURCE_DAMAGE_COUNT]);

#endif
