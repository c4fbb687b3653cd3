/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_CAMERA_FIXTURE_H
#define CAMTAP_TESTS_CAMERA_FIXTURE_H

/*
 * A camera with a fake source, one reader, and the test in the server thread's place. What people
 * would be told, and every frame, is written down on the capture thread between two of its steps,
 * so that nothing is missed however slow the test is.
 */

#include "camera.h"
#include "fake-source.h"
#include "options.h"
#include "wire.h"

#define NOTES_MAX  512
#define FRAMES_MAX 512
#define POOLS_MAX  512

/* A state that people were told of. */
struct camera_note {
	enum camera_state state;
	int error;
	char text[SOURCE_TEXT_SIZE];
};

struct camera_bench {
	struct options options;
	struct pinned pinned;
	struct fake_source fake;
	const struct camera_pause *pause; /* it begins like this; NULL: it is on */
	struct camera *camera;
	int notify_fd, ends[2];

	/* Runs on the capture thread, at the beginning of each call of the source. May be NULL. */
	void (*hook)(struct camera_bench *bench, enum fake_call call);

	struct stream_reader reader;
	bool released;
	bool attached;
	struct pool *pool; /* the reader is linked into it */
	/* Every pool that there was, and the reader's guard of each; kept to the end. */
	struct pool *pools[POOLS_MAX];
	uint8_t *words[POOLS_MAX];
	unsigned pool_count;

	pthread_mutex_t lock;
	/* Under the lock: */
	struct camera_note notes[NOTES_MAX];
	struct {
		uint64_t epoch, id;
	} frames[FRAMES_MAX];
	unsigned note_count, frame_count; /* in all, even of those that found no room */
};

/* Makes a bench whose camera is not started yet: 5 slots, stalls after 30 ms. */
struct camera_bench *camera_bench_new(void);
/* Starts the camera and attaches the reader. */
void camera_bench_run(struct camera_bench *bench);
/* Stops it if it runs, checks what must hold at every end, and frees the bench. */
void camera_bench_free(struct camera_bench *bench);

void camera_bench_attach(struct camera_bench *bench);
void camera_bench_leave(struct camera_bench *bench);
struct camera_snapshot camera_bench_snapshot(struct camera_bench *bench);
unsigned camera_bench_frames(struct camera_bench *bench);

/* Each waits for its event, on the eventfd, and fails after 20 s. */
void camera_bench_wait_state(struct camera_bench *bench, enum camera_state state);
/* What camera_set_pause() said is done. */
void camera_bench_wait_pause(struct camera_bench *bench);
void camera_bench_wait_calls(struct camera_bench *bench, enum fake_call call, uint64_t count);
void camera_bench_wait_frames(struct camera_bench *bench, unsigned count);
/* The source has all the slots that it is to have. */
void camera_bench_wait_reserve(struct camera_bench *bench);
/* Lets time pass, as the server thread: for what must not happen. */
void camera_bench_watch(struct camera_bench *bench, int milliseconds);

#endif
