/* SPDX-License-Identifier: MIT */

/*
 * frame-log SOCKET [hold]: writes a line for each frame and each event, until it is told to end
 * (SIGTERM), whatever happens to the camera; it never attaches anew by itself.
 *
 *   frame EPOCH ID MISSED SEQUENCE CAPTURE PUBLISH REALTIME FLAGS WIDTHxHEIGHT   (times: ns)
 *   event NUMBER TIME TEXT...          (an enum camtap_outcome; ns of CLOCK_MONOTONIC)
 *   held EPOCH ID AGE OUTCOME...
 *   error ERRNO TEXT...                (and ends)
 *
 * hold: the first frame of each epoch is held until 10 frames of another one have come, or the end,
 * and OUTCOME is then "unchanged", "changed" or "revoked"; AGE is for how long, in ns.
 */

#include "camtap.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HELD_OVER_FRAMES 10

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct held {
	struct camtap_frame *frame;
	uint64_t epoch, hash;
	int64_t since_ns;
	unsigned others; /* frames of another epoch since */
};

static uint64_t hash(const struct camtap_frame *frame)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (unsigned plane = 0; plane < camtap_frame_plane_count(frame); plane++) {
		const uint8_t *bytes = camtap_frame_data(frame, plane);
		size_t size = camtap_frame_bytesused(frame, plane);
		uint64_t word;

		for (size_t at = 0; at + sizeof word <= size; at += sizeof word) {
			memcpy(&word, bytes + at, sizeof word);
			sum = (sum ^ word) * UINT64_C(0x100000001b3);
		}
	}
	return sum;
}

static void give_back_held(struct held *held)
{
	uint64_t id = camtap_frame_id(held->frame);
	bool same = hash(held->frame) == held->hash;
	int error = camtap_release(held->frame);

	printf("held %" PRIu64 " %" PRIu64 " %" PRId64 " %s\n", held->epoch, id,
		now_ns() - held->since_ns,
		error == -ESTALE ? "revoked"
		: error < 0      ? strerror(-error)
		: same           ? "unchanged"
				 : "changed");
	held->frame = NULL;
}

/* True: the frame is held now. */
static bool hold(struct held *held, struct camtap_frame *frame)
{
	if (held->frame != NULL && camtap_frame_epoch(frame) != held->epoch &&
		++held->others >= HELD_OVER_FRAMES)
		give_back_held(held);
	if (held->frame != NULL)
		return false;
	*held = (struct held){.frame = frame,
		.epoch = camtap_frame_epoch(frame),
		.hash = hash(frame),
		.since_ns = now_ns()};
	return true;
}

static void print_frame(const struct camtap_frame *frame)
{
	printf("frame %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRId64 " %" PRId64
	       " %" PRId64 " %" PRIu32 " %ux%u\n",
		camtap_frame_epoch(frame), camtap_frame_id(frame), camtap_frame_missed(frame),
		camtap_frame_sequence(frame), camtap_frame_capture_time(frame),
		camtap_frame_publish_time(frame), camtap_frame_realtime(frame),
		camtap_frame_flags(frame), camtap_frame_width(frame), camtap_frame_height(frame));
}

static int run(struct camtap *camera, bool holds)
{
	struct held held = {0};
	struct camtap_frame *frame;
	int outcome = 0;

	while (!stop && (outcome >= 0 || outcome == -EINTR)) {
		outcome = camtap_next(camera, &frame, 1000);
		if (outcome == CAMTAP_FRAME) {
			print_frame(frame);
			if (holds && hold(&held, frame))
				continue;
			outcome = camtap_release(frame);
			if (outcome == -ESTALE)
				outcome = 0; /* it was late: nobody looked at the pixels */
		} else if (outcome > 0) {
			printf("event %d %" PRId64 " %s\n", outcome, now_ns(),
				camtap_event_text(camera));
		}
	}
	if (held.frame != NULL)
		give_back_held(&held);
	return stop ? 0 : outcome;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct camtap *camera;
	int error;

	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGTERM, &action, NULL);
	error = camtap_new(&camera);
	if (error == 0)
		error = camtap_set_socket(camera, argv[1]);
	if (error == 0)
		error = camtap_connect(camera);
	if (error == 0)
		error = run(camera, argc > 2 && strcmp(argv[2], "hold") == 0);
	if (error < 0)
		printf("error %d %s\n", -error, camtap_error_text(camera));
	camtap_close(camera);
	return error < 0;
}
