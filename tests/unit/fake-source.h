/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_FAKE_SOURCE_H
#define CAMTAP_TESTS_FAKE_SOURCE_H

/*
 * A source that plays a script: the camera's capture thread runs for real and gets what the test
 * has written down, in that order, whatever the machine's speed. It checks that it is called as
 * daemon/source.h says.
 */

#include "source.h"

#include <pthread.h>
#include <stdint.h>

#define FAKE_STEPS_MAX 512
#define FAKE_OPENS_MAX 64
#define FAKE_SIZE      4096 /* bytes of a frame: GREY, 64x64 */

enum fake_step_kind {
	FAKE_FRAME,   /* a good frame */
	FAKE_DAMAGED, /* `damage` */
	FAKE_SILENCE, /* nothing, until the source is stopped */
	FAKE_CHANGED,
	FAKE_ERROR, /* take() fails with `error` */
};

struct fake_step {
	enum fake_step_kind kind;
	enum source_damage damage;
	int error; /* negative errno */
};

enum fake_call {
	FAKE_OPEN,
	FAKE_START,
	FAKE_GIVE,
	FAKE_TAKE,
	FAKE_STOP,
	FAKE_CLOSE,
	FAKE_CALLS, /* how many kinds there are */
};

struct fake_source {
	struct source source;
	struct source_ops ops; /* the test may change them before the camera is created */

	/* Called on the capture thread at the beginning of each call, without any lock; calls[call]
	 * counts it already. */
	void (*called)(void *userdata, enum fake_call call);
	void *userdata;

	struct source_format format; /* what open() says */
	/* The frame of a slot that has just been given is not ready at once, as with a driver. */
	bool lags;
	int ready_fd; /* what it waits for */
	int watch_fd; /* what watch() says */

	pthread_mutex_t lock;
	/* Under the lock: */
	int fails[FAKE_CALLS]; /* negative errno: what OPEN, START and GIVE fail with */
	bool opening;          /* open() says SOURCE_TRY_AGAIN */
	uint64_t back_after;   /* after so many openings it can be opened, and watch() says so */
	bool changes_at_once;  /* the first take() after each start() says SOURCE_CHANGED */
	struct fake_step steps[FAKE_STEPS_MAX];
	unsigned step_first, step_count; /* none left: silence */
	uint64_t calls[FAKE_CALLS];
	int64_t open_ns[FAKE_OPENS_MAX];            /* when it was opened, the first of them */
	uint32_t slots[POOL_SLOTS_MAX], slot_count; /* that it has */
	char violation[128];                        /* of the interface; empty: none */

	/* Of the capture thread: */
	struct source_slots pool;
	bool is_open, is_started, changed, lagging;
	uint32_t sequence;
};

/* Opens fds; `called` may be NULL. Aborts if there are none. */
void fake_source_init(
	struct fake_source *fake, void (*called)(void *, enum fake_call), void *userdata);
void fake_source_finish(struct fake_source *fake);

/* Adds `count` equal steps to the script. Any thread. */
void fake_source_play(struct fake_source *fake, struct fake_step step, unsigned count);
void fake_source_fail(struct fake_source *fake, enum fake_call call, int error);
/* Lets open() go on, or say SOURCE_TRY_AGAIN. */
void fake_source_keep_opening(struct fake_source *fake, bool opening);
uint64_t fake_source_calls(struct fake_source *fake, enum fake_call call);
uint32_t fake_source_slots(struct fake_source *fake);

#endif
