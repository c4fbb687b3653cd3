/* SPDX-License-Identifier: MIT */

/*
 * motion_watch [OPTION...] [NAME]: when does something move in front of a camera?
 *
 * A small grey picture is divided into cells of 8x8 pixels, and the mean of each is compared with
 * what it used to be: sensor noise is gone in the mean of 64 pixels. What it used to be follows
 * what it is, but slowly: the light of the day is followed, and somebody who passes leaves no trace
 * in it. Motion begins when enough cells differ in two frames running, and ends after a quiet time.
 * Then one line of JSON tells of the first and the last frame, and of the one that had most motion
 * in it.
 */

#include <camtap.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WIDTH = 320,
	HEIGHT = 240,
	CELL = 8,
	CELLS = WIDTH / CELL * (HEIGHT / CELL)
};

/* The options; those before the last are numbers. */
enum {
	THRESHOLD,
	FOLLOW,
	CELLS_LEAST,
	QUIET,
	PICTURES
};

static const char usage[] =
	"usage: motion_watch [OPTION...] [NAME]\n\n"
	"  --threshold N    a cell differs if its brightness does by N of 255 (10)\n"
	"  --follow N       slow light: changes by N of 255 in a second are no motion (2)\n"
	"  --cells N        of 1200, so many must differ (3)\n"
	"  --quiet S        seconds without motion that end an event (1)\n"
	"  --pictures DIR   write a picture (PGM) of each event there (it must exist)\n";

struct moment {
	uint64_t id;
	int64_t realtime_ns, time_ns; /* time_ns: in a recording its own time, else monotonic */
};

struct watch {
	struct camtap *camera;
	double settings[PICTURES];
	const char *pictures; /* folder, or NULL */
	bool begun;           /* past and past_ns are known */
	double past[CELLS];   /* what the cells used to be, grey levels */
	int64_t past_ns;
	unsigned running; /* frames with motion; from the second one on it is an event */
	uint64_t epoch;
	struct moment first, last, most;
	unsigned most_cells;
	uint8_t fresh[WIDTH * HEIGHT], picture[WIDTH * HEIGHT]; /* picture: of `most` */
};

/* Ends the event, if there is one. False: its picture cannot be written. */
static bool report(struct watch *watch)
{
	char name[64] = "", path[4096];
	bool is_event = watch->running > 1, good = true;
	FILE *file;

	watch->running = 0;
	if (!is_event)
		return true;
	if (watch->pictures) {
		snprintf(name, sizeof(name), "%" PRIu64 "-%" PRIu64 ".pgm", watch->epoch,
			watch->most.id);
		snprintf(path, sizeof(path), "%s/%s", watch->pictures, name);
		file = fopen(path, "wb");
		good = file && fprintf(file, "P5\n%d %d\n255\n", WIDTH, HEIGHT) > 0 &&
		       fwrite(watch->picture, sizeof(watch->picture), 1, file) == 1;
		if ((file && fclose(file) != 0) || !good) {
			fprintf(stderr, "motion_watch: %s: %s\n", path, strerror(errno));
			return false;
		}
	}
	printf("{\"camera\": \"%s\", \"epoch\": \"%" PRIu64 "\", \"first_id\": \"%" PRIu64
	       "\", \"last_id\": \"%" PRIu64 "\", \"first_realtime_ns\": \"%" PRId64
	       "\", \"last_realtime_ns\": \"%" PRId64 "\", \"most_id\": \"%" PRIu64
	       "\", \"cells\": %u, \"picture\": \"%s\"}\n",
		camtap_name(watch->camera), watch->epoch, watch->first.id, watch->last.id,
		watch->first.realtime_ns, watch->last.realtime_ns, watch->most.id,
		watch->most_cells, name);
	return true;
}

static void average(const uint8_t *pixels, size_t stride, double means[CELLS])
{
	for (unsigned cell = 0; cell < CELLS; cell++) {
		const uint8_t *corner = pixels + cell / (WIDTH / CELL) * CELL * stride +
					cell % (WIDTH / CELL) * CELL;
		unsigned sum = 0;

		for (unsigned i = 0; i < CELL * CELL; i++)
			sum += corner[i / CELL * stride + i % CELL];
		means[cell] = (double)sum / (CELL * CELL);
	}
}

/* Looks at a frame and releases it. False: give up. */
static bool look(struct watch *watch, struct camtap_frame *frame)
{
	struct moment now = {.id = camtap_frame_id(frame),
		.realtime_ns = camtap_frame_realtime(frame),
		.time_ns = camtap_frame_media_time(frame)};
	size_t stride = camtap_frame_stride(frame, 0);
	const uint8_t *pixels = camtap_frame_data(frame, 0);
	unsigned differ = 0;
	double means[CELLS], step;

	if (now.time_ns < 0)
		now.time_ns = camtap_frame_publish_time(frame);
	watch->epoch = camtap_frame_epoch(frame);
	average(pixels, stride, means);
	for (unsigned cell = 0; watch->begun && cell < CELLS; cell++)
		differ += fabs(means[cell] - watch->past[cell]) > watch->settings[THRESHOLD];
	for (unsigned y = 0; differ >= watch->settings[CELLS_LEAST] && y < HEIGHT; y++)
		memcpy(watch->fresh + y * WIDTH, pixels + y * stride, WIDTH);
	if (camtap_release(frame) == -ESTALE)
		return true; /* held too long: what was seen may be of two pictures */

	step = watch->settings[FOLLOW] * (double)(now.time_ns - watch->past_ns) / 1e9;
	for (unsigned cell = 0; cell < CELLS; cell++) {
		double change = means[cell] - watch->past[cell];

		if (watch->begun && fabs(change) > step)
			change = copysign(step, change);
		watch->past[cell] += change;
	}
	watch->past_ns = now.time_ns;
	watch->begun = true;

	if (differ >= watch->settings[CELLS_LEAST]) {
		if (watch->running++ == 0)
			watch->first = now;
		watch->last = now;
		if (watch->running == 1 || differ > watch->most_cells) {
			watch->most = now;
			watch->most_cells = differ;
			memcpy(watch->picture, watch->fresh, sizeof(watch->picture));
		}
	} else if (watch->running == 1) {
		watch->running = 0;
	} else if ((double)(now.time_ns - watch->last.time_ns) / 1e9 >= watch->settings[QUIET]) {
		return report(watch);
	}
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"threshold", required_argument, NULL, THRESHOLD},
		{"follow", required_argument, NULL, FOLLOW},
		{"cells", required_argument, NULL, CELLS_LEAST},
		{"quiet", required_argument, NULL, QUIET},
		{"pictures", required_argument, NULL, PICTURES}, {0}};
	static struct watch watch = {.settings = {10, 2, 3, 1}};
	struct camtap_frame *frame;
	int option, result;
	bool good = true;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == PICTURES)
			watch.pictures = optarg;
		else if (option < PICTURES)
			watch.settings[option] = atof(optarg);
		if (option == '?' || watch.settings[CELLS_LEAST] < 1) {
			fputs(usage, stderr);
			return 2;
		}
	}
	setlinebuf(stdout);
	result = camtap_new(&watch.camera);
	if (result < 0) {
		fprintf(stderr, "motion_watch: %s\n", strerror(-result));
		return 1;
	}
	result = camtap_set_camera(watch.camera, argv[optind]); /* NULL: the only one */
	if (result == 0)
		result = camtap_set_stream(watch.camera, "GREY:320x240");
	if (result == 0)
		result = camtap_connect(watch.camera);
	while (good && result >= 0) {
		result = camtap_next(watch.camera, &frame, -1);
		if (result == CAMTAP_ENDED) /* the recording is over */
			break;
		if (result == CAMTAP_FRAME) {
			good = look(&watch, frame);
		} else if (result > 0) { /* the camera goes, comes back, or changes */
			fprintf(stderr, "motion_watch: %s\n", camtap_event_text(watch.camera));
			good = report(&watch);
			watch.begun = false; /* nobody knows what it looks like then */
		}
	}
	if (result < 0)
		fprintf(stderr, "motion_watch: %s\n", camtap_error_text(watch.camera));
	good = report(&watch) && good;
	camtap_close(watch.camera);
	return good && result >= 0 ? 0 : 1;
}
