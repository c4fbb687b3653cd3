/* SPDX-License-Identifier: MIT */
#include "loop-reader.h"

#include "camtap.h"
#include "format.h"
#include "picture.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	HELD_MAX = 64,
	COMMAND_SIZE = 256,
};

struct counts {
	uint64_t wakes, frames, events, idle, limit, torn, stale, missed;
};

struct loop_reader {
	struct camtap *camera;
	struct counts counts;
	struct picture *picture; /* of the format at hand; NULL: it is not the test picture's */
	uint64_t epoch;
	uint64_t last;    /* id of the newest frame that came */
	uint64_t awaited; /* frames until "reached" */
	uint64_t goal;    /* id that is "there" */

	uint64_t hold; /* frames yet to be kept */
	struct camtap_frame *held[HELD_MAX];
	unsigned held_count;
	bool at_limit; /* it was said */

	struct camtap_frame *given[HELD_MAX]; /* what the worker gives back */
	unsigned given_count;
	pthread_t worker;
	bool worker_runs;

	char command[COMMAND_SIZE];
	size_t command_size;
	int status;
};

static uint64_t hash_frame(const struct camtap_frame *frame)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325); /* FNV-1a, by words where it can */

	for (unsigned i = 0; i < camtap_frame_plane_count(frame); i++) {
		const uint8_t *data = camtap_frame_data(frame, i);
		size_t size = camtap_frame_bytesused(frame, i), at = 0;

		for (; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
			uint64_t word;

			memcpy(&word, data + at, sizeof(word));
			sum = (sum ^ word) * UINT64_C(0x100000001b3);
			sum ^= sum >> 29;
		}
		for (; at < size; at++)
			sum = (sum ^ data[at]) * UINT64_C(0x100000001b3);
	}
	return sum;
}

/* What is not the test picture cannot be seen to be torn. */
static bool is_torn(const struct loop_reader *reader, const struct camtap_frame *frame)
{
	return reader->picture != NULL &&
	       !picture_verify(
		       reader->picture, camtap_frame_sequence(frame), camtap_frame_data(frame, 0));
}

static const char *name_outcome(int outcome)
{
	switch (outcome) {
	case CAMTAP_TRY_AGAIN:
		return "again";
	case CAMTAP_FRAME:
		return "frame";
	case CAMTAP_ONLINE:
		return "online";
	case CAMTAP_OFFLINE:
		return "offline";
	case CAMTAP_PAUSED:
		return "paused";
	case CAMTAP_FORMAT:
		return "format";
	case CAMTAP_DISCONTINUITY:
		return "discontinuity";
	case CAMTAP_ENDED:
		return "ended";
	case -ENOBUFS:
		return "ENOBUFS";
	default:
		return outcome < 0 ? strerrorname_np(-outcome) : "unknown";
	}
}

/* ---- frames ---- */

static void begin_epoch(struct loop_reader *reader, const struct camtap_frame *frame)
{
	struct format_layout layout;

	reader->epoch = camtap_frame_epoch(frame);
	picture_destroy(reader->picture);
	reader->picture = NULL;
	if (format_layout_init(camtap_frame_fourcc(frame), camtap_frame_width(frame),
		    camtap_frame_height(frame), 0, &layout) < 0 ||
		picture_create(camtap_frame_fourcc(frame), camtap_frame_width(frame),
			camtap_frame_height(frame), &layout, &reader->picture) < 0)
		reader->picture = NULL;
	/* a recording, then */
	if (is_torn(reader, frame)) {
		picture_destroy(reader->picture);
		reader->picture = NULL;
	}
	printf("epoch epoch=%" PRIu64 " id=%" PRIu64 " missed=%" PRIu64 " picture=%d\n",
		reader->epoch, camtap_frame_id(frame), camtap_frame_missed(frame),
		reader->picture != NULL);
}

static void look_for_goal(struct loop_reader *reader)
{
	if (reader->goal == 0 || reader->last < reader->goal)
		return;
	reader->goal = 0;
	printf("there\n");
}

static void take_frame(struct loop_reader *reader, struct camtap_frame *frame)
{
	bool torn;

	reader->counts.frames++;
	reader->counts.missed += camtap_frame_missed(frame);
	if (camtap_frame_epoch(frame) != reader->epoch)
		begin_epoch(reader, frame);
	reader->last = camtap_frame_id(frame);
	torn = is_torn(reader, frame);
	if (reader->hold > 0 && reader->held_count < HELD_MAX) {
		reader->hold--;
		reader->held[reader->held_count++] = frame;
		reader->counts.torn += torn;
		printf("held epoch=%" PRIu64 " id=%" PRIu64 " hash=%016" PRIx64 "\n",
			camtap_frame_epoch(frame), camtap_frame_id(frame), hash_frame(frame));
		if (reader->held_count == camtap_max_leases(reader->camera)) {
			reader->hold = 0;
			printf("limit held=%u\n", reader->held_count);
		}
	} else if (camtap_release(frame) == -ESTALE) {
		reader->counts.stale++; /* what was seen in it is worth nothing */
	} else {
		reader->counts.torn += torn;
	}
	if (reader->awaited > 0 && --reader->awaited == 0)
		printf("reached\n");
	look_for_goal(reader);
}

/* One call. Returns what it returned, and counts it. */
static int ask(struct loop_reader *reader)
{
	struct camtap_frame *frame;
	int outcome = camtap_next(reader->camera, &frame, 0);

	if (outcome == CAMTAP_FRAME) {
		take_frame(reader, frame);
	} else if (outcome > 0) {
		reader->counts.events++;
		printf("outcome what=%s text=%s\n", name_outcome(outcome),
			camtap_event_text(reader->camera));
	} else if (outcome == -ENOBUFS) {
		reader->counts.limit++;
	} else if (outcome < 0) {
		printf("error errno=%s text=%s\n", name_outcome(outcome),
			camtap_error_text(reader->camera));
		reader->status = 1;
	}
	return outcome;
}

bool loop_reader_wake(struct loop_reader *reader)
{
	reader->counts.wakes++;
	if (ask(reader) == CAMTAP_TRY_AGAIN)
		reader->counts.idle++;
	fflush(stdout);
	return reader->status == 0;
}

/* ---- commands ---- */

static void check_frames(const struct loop_reader *reader)
{
	for (unsigned i = 0; i < reader->held_count; i++) {
		const struct camtap_frame *frame = reader->held[i];
		uint64_t hash = hash_frame(frame);
		bool torn = is_torn(reader, frame);

		printf("checked epoch=%" PRIu64 " id=%" PRIu64 " hash=%016" PRIx64
		       " torn=%d result=%d\n",
			camtap_frame_epoch(frame), camtap_frame_id(frame), hash, torn,
			camtap_frame_check(frame));
	}
	printf("done\n");
}

static void release(struct camtap_frame *const *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t epoch = camtap_frame_epoch(frames[i]), id = camtap_frame_id(frames[i]);

		printf("released epoch=%" PRIu64 " id=%" PRIu64 " result=%d\n", epoch, id,
			camtap_release(frames[i]));
	}
	printf("done\n");
	fflush(stdout);
}

static void *release_elsewhere(void *userdata)
{
	const struct loop_reader *reader = userdata;

	release(reader->given, reader->given_count);
	return NULL;
}

static void join_worker(struct loop_reader *reader)
{
	if (reader->worker_runs)
		pthread_join(reader->worker, NULL);
	reader->worker_runs = false;
}

/* Moves the oldest ones over. */
static void give(struct loop_reader *reader, uint64_t count)
{
	if (count > reader->held_count)
		count = reader->held_count;
	reader->given_count = (unsigned)count;
	memcpy(reader->given, reader->held, count * sizeof(*reader->held));
	reader->held_count -= (unsigned)count;
	memmove(reader->held, reader->held + count, reader->held_count * sizeof(*reader->held));
}

static bool is_readable(const struct loop_reader *reader)
{
	struct pollfd pollfd = {.fd = camtap_fd(reader->camera), .events = POLLIN};

	return poll(&pollfd, 1, 0) > 0;
}

static void drain(struct loop_reader *reader)
{
	struct counts before = reader->counts;
	uint64_t idle = 0;
	int outcome;

	while (is_readable(reader) && reader->status == 0) {
		if (ask(reader) == CAMTAP_TRY_AGAIN)
			idle++;
	}
	outcome = ask(reader);
	printf("drained frames=%" PRIu64 " events=%" PRIu64 " idle=%" PRIu64
	       " after=%s readable=%d\n",
		reader->counts.frames - before.frames, reader->counts.events - before.events, idle,
		name_outcome(outcome), is_readable(reader));
}

static void report(struct loop_reader *reader)
{
	const struct counts *counts = &reader->counts;

	printf("report wakes=%" PRIu64 " frames=%" PRIu64 " events=%" PRIu64 " idle=%" PRIu64
	       " limit=%" PRIu64 " torn=%" PRIu64 " stale=%" PRIu64 " missed=%" PRIu64
	       " held=%u leases=%u last=%" PRIu64 "\n",
		counts->wakes, counts->frames, counts->events, counts->idle, counts->limit,
		counts->torn, counts->stale, counts->missed, reader->held_count,
		camtap_max_leases(reader->camera), reader->last);
	reader->counts = (struct counts){0};
}

/* False: it is "quit", or none. */
static bool run_command(struct loop_reader *reader, const char *line)
{
	char word[16] = "";
	uint64_t count = 0;

	sscanf(line, "%15s %" SCNu64, word, &count);
	join_worker(reader);
	if (strcmp(word, "hold") == 0) {
		reader->hold = count;
		printf("holding\n");
	} else if (strcmp(word, "limit") == 0) {
		reader->hold = HELD_MAX;
		printf("holding\n");
	} else if (strcmp(word, "check") == 0) {
		check_frames(reader);
	} else if (strcmp(word, "release") == 0) {
		give(reader, count);
		release(reader->given, reader->given_count);
	} else if (strcmp(word, "worker") == 0) {
		give(reader, count);
		reader->worker_runs =
			pthread_create(&reader->worker, NULL, release_elsewhere, reader) == 0;
	} else if (strcmp(word, "try") == 0) {
		int outcome = ask(reader);

		printf("tried result=%s\n", name_outcome(outcome));
	} else if (strcmp(word, "drain") == 0) {
		drain(reader);
	} else if (strcmp(word, "await") == 0) {
		reader->awaited = count;
	} else if (strcmp(word, "until") == 0) {
		reader->goal = count;
		look_for_goal(reader);
	} else if (strcmp(word, "report") == 0) {
		report(reader);
	} else {
		return false;
	}
	fflush(stdout);
	return reader->status == 0;
}

bool loop_reader_command(struct loop_reader *reader)
{
	char *end;
	ssize_t length = read(STDIN_FILENO, reader->command + reader->command_size,
		COMMAND_SIZE - 1 - reader->command_size);

	if (length <= 0)
		return false;
	reader->command_size += (size_t)length;
	reader->command[reader->command_size] = '\0';
	while ((end = strchr(reader->command, '\n')) != NULL) {
		size_t size = (size_t)(end + 1 - reader->command);

		*end = '\0';
		if (!run_command(reader, reader->command))
			return false;
		reader->command_size -= size;
		memmove(reader->command, end + 1, reader->command_size + 1);
	}
	return true;
}

/* ---- life ---- */

int loop_reader_fd(const struct loop_reader *reader)
{
	return camtap_fd(reader->camera);
}

struct loop_reader *loop_reader_create(int argc, char **argv)
{
	struct loop_reader *reader;
	int error;

	if (argc != 3) {
		fprintf(stderr, "usage: %s SOCKET bell|messages\n", argv[0]);
		return NULL;
	}
	reader = calloc(1, sizeof(*reader));
	if (reader == NULL || camtap_new(&reader->camera) < 0) {
		fprintf(stderr, "%s: no memory\n", argv[0]);
		free(reader);
		return NULL;
	}
	error = camtap_set_socket(reader->camera, argv[1]);
	if (error == 0)
		error = camtap_set_bell(reader->camera, strcmp(argv[2], "bell") == 0);
	if (error == 0)
		error = camtap_connect(reader->camera);
	if (error < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], camtap_error_text(reader->camera));
		camtap_close(reader->camera);
		free(reader);
		return NULL;
	}
	return reader;
}

int loop_reader_destroy(struct loop_reader *reader)
{
	int status = reader->status;

	join_worker(reader);
	/* the handle first: frames outlive it */
	camtap_close(reader->camera);
	for (unsigned i = 0; i < reader->held_count; i++)
		(void)!camtap_release(reader->held[i]);
	picture_destroy(reader->picture);
	free(reader);
	return status;
}
