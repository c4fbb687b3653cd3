/* SPDX-License-Identifier: MIT */

/*
 * A reader built on libcamtap that checks what it is given, and says what it saw as one JSON object
 * per line: at the end, and whenever it gets a line on standard input. It ends after --frames,
 * after
 * --seconds, when its standard input ends, or when the daemon refuses it.
 *
 *   --socket PATH     the camera
 *   --name NAME       what the daemon calls it
 *   --frames N        ends after N frames
 *   --seconds S       ends after S seconds
 *   --latest          skips to the newest frame instead of reading in order
 *   --messages        is woken by messages, never by the bell
 *   --block           waits in camtap_next(), which the bell is for, instead of for camtap_fd()
 *   --verify          each frame must be the whole test picture of its sequence number, when it is
 *                     taken and when it is given back
 *   --hold-frames K   holds up to K frames (default 1)
 *   --hold-ms T       holds each frame for T milliseconds, or until it is revoked (default 0)
 *   --unlocked        gives each frame back before it looks: the wrong way, which must be caught
 *
 * Where a new epoch begins (the daemon was started anew), it says how long it was without frames:
 * from having the last one in hand to having the next.
 */

#include "camtap.h"
#include "picture.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOLD_MAX 64
#define TICK_MS  10       /* how often held frames are looked at */
#define SLOW_NS  30000000 /* who sees a frame so long after its publication was woken late */
#define BLOCK_MS 200      /* how often standard input is, with --block */

struct arguments {
	const char *socket, *name;
	uint64_t frames;
	double seconds;
	bool latest, messages, block, verify, unlocked;
	unsigned hold_frames;
	int64_t hold_ns;
};

struct report {
	uint64_t frames, torn, stale, events, late, slow, order_errors;
	uint64_t first, last; /* frame ids */
	int64_t worst_gap_ns; /* between the publications of consecutive frames */
	int64_t publish_time_ns;
	uint64_t epoch, epochs, epoch_frames; /* frames of the epoch */
	int64_t seen_ns, epoch_gap_ns;
};

struct held {
	struct camtap_frame *frame;
	int64_t until_ns;
};

struct reader {
	struct arguments arguments;
	struct report report;
	struct camtap *camera;
	struct picture *picture;
	struct held held[HOLD_MAX];
	unsigned held_count;
	int error; /* negative errno: it is over */
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void print_report(const struct reader *reader)
{
	const struct report *report = &reader->report;

	printf("{\"frames\": %" PRIu64 ", \"missed\": %" PRIu64 ", \"torn\": %" PRIu64
	       ", \"stale\": %" PRIu64 ", \"events\": %" PRIu64 ", \"first\": %" PRIu64
	       ", \"last\": %" PRIu64 ", \"late\": %" PRIu64 ", \"worst_gap_ms\": %.3f"
	       ", \"slow\": %" PRIu64 ", \"order_errors\": %" PRIu64
	       ", \"held\": %u, \"epochs\": %" PRIu64 ", \"epoch_frames\": %" PRIu64
	       ", \"epoch_gap_ms\": %.3f, \"error\": %d, \"text\": \"%s\"}\n",
		report->frames, camtap_missed(reader->camera), report->torn, report->stale,
		report->events, report->first, report->last, report->late,
		(double)report->worst_gap_ns / 1e6, report->slow, report->order_errors,
		reader->held_count, report->epochs, report->epoch_frames,
		(double)report->epoch_gap_ns / 1e6, -reader->error,
		camtap_error_text(reader->camera));
	fflush(stdout);
}

/* ---- looking at frames ---- */

static bool picture_init(struct reader *reader, const struct camtap_frame *frame)
{
	uint32_t fourcc = camtap_frame_fourcc(frame), width = camtap_frame_width(frame),
		 height = camtap_frame_height(frame);
	struct format_layout layout;

	return format_layout_init(fourcc, width, height, (uint32_t)camtap_frame_stride(frame, 0),
		       &layout) == 0 &&
	       picture_create(fourcc, width, height, &layout, &reader->picture) == 0;
}

static bool whole(const struct reader *reader, uint32_t sequence, const uint8_t *pixels)
{
	return reader->picture == NULL || picture_verify(reader->picture, sequence, pixels);
}

/* Ids begin anew with each epoch, and nothing is said to be missed between two of them. */
static void look_at_epoch(struct report *report, const struct camtap_frame *frame)
{
	int64_t now = now_ns();

	if (camtap_frame_epoch(frame) != report->epoch) {
		if (report->epochs++ > 0)
			report->epoch_gap_ns = now - report->seen_ns;
		report->epoch = camtap_frame_epoch(frame);
		report->epoch_frames = 0;
		report->first = report->last = 0;
	}
	report->epoch_frames++;
	report->slow += now - camtap_frame_publish_time(frame) > SLOW_NS;
	report->seen_ns = now;
}

/* Ids count up by one, and what they skip is said to be missed; publications follow each other. */
static void look_at_order(struct report *report, const struct camtap_frame *frame)
{
	uint64_t id = camtap_frame_id(frame), missed = camtap_frame_missed(frame);
	int64_t publish_time_ns = camtap_frame_publish_time(frame);
	uint32_t numerator, denominator;
	int64_t gap;

	if (report->first == 0)
		report->first = id;
	else if (id != report->last + 1 + missed)
		report->order_errors++;
	if (missed > 0)
		fprintf(stderr,
			"reader: missed %" PRIu64 " before frame %" PRIu64
			" (the first was %" PRIu64 ")\n",
			missed, id, report->first);
	gap = publish_time_ns - report->publish_time_ns;
	if (report->last != 0 && id == report->last + 1) {
		camtap_frame_rate(frame, &numerator, &denominator);
		if (gap > report->worst_gap_ns)
			report->worst_gap_ns = gap;
		if (numerator > 0 &&
			gap > 2 * INT64_C(1000000000) * denominator / (int64_t)numerator)
			report->late++;
	}
	report->publish_time_ns = publish_time_ns;
	report->last = id;
	report->frames++;
}

/* The pixels may be looked at until here; what was revoked meanwhile is not believed. */
static void give_back(struct reader *reader, struct camtap_frame *frame)
{
	bool good = whole(reader, camtap_frame_sequence(frame), camtap_frame_data(frame, 0));
	int error = camtap_release(frame);

	if (error == -ESTALE)
		reader->report.stale++;
	else if (error < 0)
		reader->error = error;
	else
		reader->report.torn += !good;
}

static void look_unlocked(struct reader *reader, struct camtap_frame *frame)
{
	const uint8_t *pixels = camtap_frame_data(frame, 0);
	uint32_t sequence = camtap_frame_sequence(frame);
	int error = camtap_release(frame);

	reader->report.stale += error == -ESTALE;
	reader->report.torn += !whole(reader, sequence, pixels);
}

static void on_frame(struct reader *reader, struct camtap_frame *frame)
{
	const struct arguments *arguments = &reader->arguments;

	if (arguments->verify && reader->picture == NULL && !picture_init(reader, frame))
		reader->error = -ENOTSUP;
	look_at_epoch(&reader->report, frame);
	look_at_order(&reader->report, frame);
	if (arguments->unlocked) {
		look_unlocked(reader, frame);
		return;
	}
	if (arguments->hold_ns == 0) {
		give_back(reader, frame);
		return;
	}
	if (!whole(reader, camtap_frame_sequence(frame), camtap_frame_data(frame, 0)) &&
		camtap_frame_check(frame) == 0)
		reader->report.torn++;
	reader->held[reader->held_count].frame = frame;
	reader->held[reader->held_count++].until_ns = now_ns() + arguments->hold_ns;
}

static void give_back_due(struct reader *reader, bool all)
{
	int64_t now = now_ns();
	unsigned kept = 0;

	for (unsigned i = 0; i < reader->held_count; i++) {
		struct held held = reader->held[i];

		if (all || now >= held.until_ns || camtap_frame_check(held.frame) == -ESTALE)
			give_back(reader, held.frame);
		else
			reader->held[kept++] = held;
	}
	reader->held_count = kept;
}

/* ---- the loop ---- */

static void read_some(struct reader *reader)
{
	const struct arguments *arguments = &reader->arguments;

	while (reader->held_count < arguments->hold_frames &&
		(arguments->frames == 0 || reader->report.frames < arguments->frames)) {
		struct camtap_frame *frame;
		int timeout_ms = arguments->block ? BLOCK_MS : 0;
		int outcome = arguments->latest ? camtap_latest(reader->camera, &frame, timeout_ms)
						: camtap_next(reader->camera, &frame, timeout_ms);

		if (outcome == CAMTAP_TRY_AGAIN)
			break;
		if (outcome == CAMTAP_FRAME)
			on_frame(reader, frame);
		else if (outcome > 0)
			reader->report.events++;
		else
			reader->error = outcome;
		if (reader->error < 0 || arguments->block)
			break;
	}
}

/* Waits for frames, for a line on standard input, or for held frames. False: the input has ended.
 */
static bool wait_for_something(struct reader *reader, int64_t deadline_ns)
{
	bool full = reader->held_count == reader->arguments.hold_frames;
	bool block = reader->arguments.block;
	/* camtap_fd() would be the end of the bell */
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = full || block ? -1 : camtap_fd(reader->camera), .events = POLLIN}};
	int64_t left = (deadline_ns - now_ns()) / 1000000 + 1;
	char line[256];

	if (left > 1000)
		left = 1000;
	if (reader->held_count > 0 && left > TICK_MS)
		left = TICK_MS;
	if (block && !full)
		left = 0;
	if (poll(fds, 2, left > 0 ? (int)left : 0) <= 0 || fds[0].revents == 0)
		return true;
	if (read(STDIN_FILENO, line, sizeof line) <= 0)
		return false;
	print_report(reader);
	return true;
}

static void run(struct reader *reader)
{
	const struct arguments *arguments = &reader->arguments;
	int64_t deadline_ns = INT64_MAX;

	if (arguments->seconds > 0)
		deadline_ns = now_ns() + (int64_t)(arguments->seconds * 1e9);
	while (reader->error == 0 && now_ns() < deadline_ns) {
		give_back_due(reader, false);
		read_some(reader);
		if (arguments->frames > 0 && reader->report.frames >= arguments->frames)
			break;
		if (!wait_for_something(reader, deadline_ns))
			break;
	}
	give_back_due(reader, true);
}

static int connect_camera(struct reader *reader)
{
	int error = camtap_set_socket(reader->camera, reader->arguments.socket);

	if (error == 0)
		error = camtap_set_client_name(reader->camera, reader->arguments.name);
	if (error == 0)
		error = camtap_set_bell(reader->camera, !reader->arguments.messages);
	return error < 0 ? error : camtap_connect(reader->camera);
}

static bool parse(struct arguments *ret_arguments, int argc, char **argv)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
		{"name", required_argument, NULL, 'n'}, {"frames", required_argument, NULL, 'f'},
		{"seconds", required_argument, NULL, 't'}, {"latest", no_argument, NULL, 'l'},
		{"messages", no_argument, NULL, 'm'}, {"block", no_argument, NULL, 'b'},
		{"verify", no_argument, NULL, 'v'}, {"unlocked", no_argument, NULL, 'u'},
		{"hold-frames", required_argument, NULL, 'k'},
		{"hold-ms", required_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct arguments arguments = {.name = "reader", .hold_frames = 1};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			arguments.socket = optarg;
			break;
		case 'n':
			arguments.name = optarg;
			break;
		case 'f':
			arguments.frames = strtoull(optarg, NULL, 10);
			break;
		case 't':
			arguments.seconds = atof(optarg);
			break;
		case 'l':
			arguments.latest = true;
			break;
		case 'm':
			arguments.messages = true;
			break;
		case 'b':
			arguments.block = true;
			break;
		case 'v':
			arguments.verify = true;
			break;
		case 'u':
			arguments.unlocked = true;
			break;
		case 'k':
			arguments.hold_frames = (unsigned)atoi(optarg);
			break;
		case 'h':
			arguments.hold_ns = INT64_C(1000000) * atoi(optarg);
			break;
		default:
			return false;
		}
	}
	*ret_arguments = arguments;
	return arguments.socket != NULL && optind == argc && arguments.hold_frames >= 1 &&
	       arguments.hold_frames <= HOLD_MAX;
}

int main(int argc, char **argv)
{
	struct reader reader = {0};

	if (!parse(&reader.arguments, argc, argv)) {
		fprintf(stderr, "reader: wrong usage, see the top of reader.c\n");
		return 2;
	}
	reader.error = camtap_new(&reader.camera);
	if (reader.error < 0) {
		fprintf(stderr, "reader: %s\n", strerror(-reader.error));
		return 1;
	}
	reader.error = connect_camera(&reader);
	if (reader.error == 0)
		run(&reader);
	print_report(&reader);
	picture_destroy(reader.picture);
	camtap_close(reader.camera);
	return reader.error < 0;
}
