/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CAPTURE_H
#define CAMTAP_DAEMON_CAPTURE_H

/* The inside of the camera, for its parts only: capture.c is the capture thread, capture-pool.c
 * makes its pools, camera.c what the server thread calls, and what all need. */

#include "camera.h"
#include "clock.h"
#include "log-limit.h"

#include <pthread.h>

/* What a reload may change, as the capture thread goes on. */
struct camera_tuning {
	bool always_on, publish_bad;
	uint64_t idle_timeout_ns, stall_timeout_ns;
};

struct camera {
	const struct options *options;
	struct source *source;
	struct pinned *pinned;
	int notify_fd; /* wakes the server thread */
	int wake_fd;   /* wakes the capture thread */
	pthread_t thread;
	bool thread_running;

	struct stream stream; /* the native one; its lock guards what follows, too: */
	struct camera_snapshot snapshot;
	uint32_t readers;
	bool quit;
	struct camera_tuning wanted_tuning;
	bool off;                  /* switched off: */
	struct camera_pause pause; /* why */

	_Atomic uint64_t damaged[SOURCE_DAMAGE_COUNT]; /* frames, by what was wrong with them */

	/* Signs of life (camera_ping()): asked for by the server thread, given by this one. */
	_Atomic uint32_t pings, pongs;
	/* Since when the capture thread waits for the device, which can take seconds to be opened
	 * or stopped; CLOCK_MONOTONIC, 0: it does not. */
	_Atomic int64_t at_device_ns;

	/* Of the capture thread: */
	_Atomic bool attention; /* something under the lock has changed: look */
	int timer_fd;           /* ends its sleep on a device */
	int64_t timer_ns;       /* when it goes off; INT64_MAX: never */
	struct source_format format;
	uint32_t wanted;                 /* copies of what is under the lock */
	bool quitting, leaving, pausing; /* quit, abandoned and off */
	struct camera_tuning tuning;
	int64_t idle_deadline_ns;
	int64_t backoff_ns;
	int64_t alive_ns; /* when the source last gave a frame, or was started */
	/* Frames were missing, and people were told why: they are told of the next state when the
	 * first frame has come, not of each attempt. */
	bool recovering;
	struct log_limit log_limit; /* of changes of state: clients can bring them about */
	bool interrupted; /* started anew within the epoch: how much was lost, nobody knows */
};

/* The capture thread: runs until the camera quits or has finished. `userdata` is the camera. */
void *capture_run(void *userdata);

/* Wakes whoever waits for an eventfd. */
void camera_notify(int fd);

/* The only place where the state changes. `error` is a positive errno or 0. Capture thread. */
void camera_set_state(struct camera *camera, enum camera_state state, int error, const char *text);

/* Gives the camera's stream a pool for camera->format, the source being open: a new one, unless the
 * one that it has will do. On failure there is none, and `error` holds one line for people. Capture
 * thread. */
int camera_install_pool(struct camera *camera, char error[SOURCE_TEXT_SIZE]);

/* Around each step of the source that can take seconds (at_device_ns). Capture thread. */
static inline void begin_at_device(struct camera *camera)
{
	atomic_store_explicit(&camera->at_device_ns, clock_now(), memory_order_relaxed);
}

static inline void end_at_device(struct camera *camera)
{
	atomic_store_explicit(&camera->at_device_ns, 0, memory_order_relaxed);
}

#endif
