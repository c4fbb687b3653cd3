/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CAPTURE_H
#define CAMTAP_DAEMON_CAPTURE_H

/* The inside of the camera, for its two halves only: capture.c is the capture thread, camera.c what
 * the server thread calls, and what both need. */

#include "camera.h"

#include <pthread.h>

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
	bool off;                  /* switched off: */
	struct camera_pause pause; /* why */

	_Atomic uint64_t damaged[SOURCE_DAMAGE_COUNT]; /* frames, by what was wrong with them */

	/* Of the capture thread: */
	_Atomic bool attention; /* something under the lock has changed: look */
	struct source_format format;
	uint32_t wanted;                 /* copies of what is under the lock */
	bool quitting, leaving, pausing; /* quit, abandoned and off */
	int64_t idle_deadline_ns;
	int64_t backoff_ns;
	int64_t alive_ns; /* when the source last gave a frame, or was started */
	/* Frames were missing, and people were told why: they are told of the next state when the
	 * first frame has come, not of each attempt. */
	bool recovering;
	bool interrupted; /* started anew within the epoch: how much was lost, nobody knows */
};

/* The capture thread: runs until the camera quits or has finished. `userdata` is the camera. */
void *capture_run(void *userdata);

/* Wakes whoever waits for an eventfd. */
void camera_notify(int fd);

/* The only place where the state changes. `error` is a positive errno or 0. Capture thread. */
void camera_set_state(struct camera *camera, enum camera_state state, int error, const char *text);

#endif
