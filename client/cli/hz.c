/* SPDX-License-Identifier: MIT */

/* camtap hz: how regularly frames come, how long they take, and how many do not. */

#include "clock.h"
#include "command.h"
#include "histogram.h"
#include "options.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

static const int64_t second_ns = 1000000000;
static const int64_t window_ns = INT64_C(10) * 1000000000; /* without --count */
static const int64_t line_ns = 1000000000;

static const char usage[] =
	"usage: camtap hz [NAME] [OPTION...]\n\n"
	"Measures for 10 seconds, or for --count frames.\n\n"
	"  --count N        frames to measure\n"
	"  --json           print one JSON object\n"
	"  --lossless       let the source wait for this reader (recordings; see camtapd(1))\n"
	"  --stream STREAM  FOURCC[:WxH][,rate=N][,crop=WxH+X+Y] instead of the native stream\n"
	"  --socket PATH    the camera's socket, instead of its name\n"
	"  --timeout T      give up after T without a frame (10s)\n";

/* Intervals between consecutive frames, by Welford's method (Knuth, The Art of Computer
 * Programming, volume 2, 4.2.2). */
struct intervals {
	uint64_t count;
	double mean, squares; /* ns, ns^2 */
	double min, max;      /* ns */
};

/* One part of the measurement: all of it, or the second that the next line on the terminal is
 * about. */
struct section {
	uint64_t frames;
	uint64_t missed;
	int64_t first_ns, last_ns; /* publish times */
	struct histogram latency;  /* ns */
};

/* What is kept of the frame before. */
struct previous {
	bool valid;
	uint64_t epoch, id;
	enum camtap_clock clock;
	int64_t capture_ns, publish_ns;
};

struct hz {
	struct reader reader;
	struct terminal terminal;
	const struct options *options;
	bool lines;         /* one each second, for people who watch */
	bool capture_times; /* the intervals are between capture times, not publish times */
	uint64_t revoked;
	int64_t line_end_ns;
	struct previous previous;
	struct intervals intervals;
	struct section all, line;
};

static void intervals_add(struct intervals *intervals, double value)
{
	double difference = value - intervals->mean;

	intervals->min = intervals->count == 0 ? value : fmin(intervals->min, value);
	intervals->max = fmax(intervals->max, value);
	intervals->count++;
	intervals->mean += difference / (double)intervals->count;
	intervals->squares += difference * (value - intervals->mean);
}

static double deviation_us(const struct intervals *intervals)
{
	if (intervals->count < 2)
		return 0;
	return sqrt(intervals->squares / (double)(intervals->count - 1)) / 1000;
}

static double largest_deviation_us(const struct intervals *intervals)
{
	return fmax(intervals->max - intervals->mean, intervals->mean - intervals->min) / 1000;
}

static void section_add(
	struct section *section, int64_t publish_ns, uint64_t missed, uint64_t latency_ns)
{
	if (section->frames == 0)
		section->first_ns = publish_ns;
	section->last_ns = publish_ns;
	section->frames++;
	section->missed += missed;
	histogram_add(&section->latency, latency_ns);
}

static double section_rate(const struct section *section)
{
	int64_t span_ns = section->last_ns - section->first_ns;

	if (section->frames < 2 || span_ns <= 0)
		return 0;
	return (double)(section->frames - 1) * (double)second_ns / (double)span_ns;
}

static double percentile_us(const struct section *section, unsigned percent)
{
	return (double)histogram_percentile(&section->latency, percent) / 1000;
}

static double max_us(const struct section *section)
{
	return (double)section->latency.max / 1000;
}

/* Adds the interval to the frame before, if both are known to follow each other. The first pair
 * decides for the driver's times or, if they are of no clock that is known, for those of
 * publishing. */
static void add_interval(struct hz *hz, const struct previous *now)
{
	const struct previous *before = &hz->previous;
	bool monotonic =
		now->clock == CAMTAP_CLOCK_MONOTONIC && before->clock == CAMTAP_CLOCK_MONOTONIC;

	if (!before->valid || before->epoch != now->epoch || before->id + 1 != now->id)
		return;
	if (hz->intervals.count == 0)
		hz->capture_times = monotonic;
	if (hz->capture_times && monotonic)
		intervals_add(&hz->intervals, (double)(now->capture_ns - before->capture_ns));
	else if (!hz->capture_times)
		intervals_add(&hz->intervals, (double)(now->publish_ns - before->publish_ns));
}

static void measure(struct hz *hz, struct camtap_frame *frame)
{
	const volatile uint8_t *data = camtap_frame_data(frame, 0);
	struct previous now = {
		.valid = true,
		.epoch = camtap_frame_epoch(frame),
		.id = camtap_frame_id(frame),
		.clock = camtap_frame_capture_clock(frame),
		.capture_ns = camtap_frame_capture_time(frame),
		.publish_ns = camtap_frame_publish_time(frame),
	};
	int64_t latency_ns = hz->reader.received_ns - now.publish_ns;
	uint64_t missed = camtap_frame_missed(frame);

	/* A reader that looks at its frame. */
	if (camtap_frame_bytesused(frame, 0) > 0)
		(void)data[0];
	if (camtap_release(frame) == -ESTALE)
		hz->revoked++;

	latency_ns = latency_ns < 0 ? 0 : latency_ns;
	section_add(&hz->all, now.publish_ns, missed, (uint64_t)latency_ns);
	section_add(&hz->line, now.publish_ns, missed, (uint64_t)latency_ns);
	add_interval(hz, &now);
	hz->previous = now;
}

/* A line for the second that has passed. */
static void print_line(struct hz *hz)
{
	const struct section *line = &hz->line;

	printf("%s: %" PRIu64 " frames, %.2f fps, missed %" PRIu64
	       ", latency p50 %.1f us, max %.1f us\n",
		reader_name(&hz->reader), line->frames,
		(double)line->frames * (double)second_ns / (double)line_ns, line->missed,
		percentile_us(line, 50), max_us(line));
	fflush(stdout);
	hz->line.frames = hz->line.missed = 0;
	histogram_init(&hz->line.latency);
	hz->line_end_ns += line_ns;
}

static void print_text(const struct hz *hz)
{
	const struct section *all = &hz->all;

	printf("%s: %" PRIu64 " frames in %.2f s, %.2f fps, missed %" PRIu64,
		reader_name(&hz->reader), all->frames,
		(double)(all->last_ns - all->first_ns) / (double)second_ns, section_rate(all),
		all->missed);
	if (hz->revoked > 0)
		printf(", revoked %" PRIu64, hz->revoked);
	if (hz->reader.discontinuities > 0)
		printf(", discontinuities %" PRIu64, hz->reader.discontinuities);
	printf("\n  jitter   stddev %.1f us, max %.1f us (%s times)\n",
		deviation_us(&hz->intervals), largest_deviation_us(&hz->intervals),
		hz->capture_times ? "capture" : "publish");
	printf("  latency  p50 %.1f us, p90 %.1f us, p99 %.1f us, max %.1f us\n",
		percentile_us(all, 50), percentile_us(all, 90), percentile_us(all, 99),
		max_us(all));
}

/* A tenth of a microsecond is as much as means anything, and prints as few digits. */
static json_t *json_us(double us)
{
	return json_real(round(us * 10) / 10);
}

static void print_json(const struct hz *hz)
{
	const struct section *all = &hz->all;
	json_t *object = json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:o, s:{s:o, s:o, s:s},"
				   " s:{s:o, s:o, s:o, s:o}}",
		"schema", 1, "camera", reader_name(&hz->reader), "frames", (json_int_t)all->frames,
		"missed", (json_int_t)all->missed, "revoked", (json_int_t)hz->revoked,
		"discontinuities", (json_int_t)hz->reader.discontinuities, "fps",
		json_real(round(section_rate(all) * 1000) / 1000), "jitter_us", "stddev",
		json_us(deviation_us(&hz->intervals)), "max",
		json_us(largest_deviation_us(&hz->intervals)), "of",
		hz->capture_times ? "capture" : "publish", "latency_us", "p50",
		json_us(percentile_us(all, 50)), "p90", json_us(percentile_us(all, 90)), "p99",
		json_us(percentile_us(all, 99)), "max", json_us(max_us(all)));

	json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(object);
}

/* Ten seconds from the first frame on, or for ever if frames are counted. */
static int64_t find_end(const struct hz *hz, int64_t started_ns)
{
	return hz->options->count > 0 || hz->all.frames == 0 ? INT64_MAX : started_ns + window_ns;
}

static bool is_complete(const struct hz *hz)
{
	return hz->options->count > 0 && hz->all.frames >= hz->options->count;
}

/* Returns what ended it: READER_FRAME if all frames came, else as reader_next(). */
static int run(struct hz *hz)
{
	struct camtap_frame *frame;
	int64_t started_ns = 0;

	for (;;) {
		int64_t end_ns = find_end(hz, started_ns), next_ns = end_ns;
		int r;

		if (hz->lines && hz->all.frames > 0 && hz->line_end_ns < next_ns)
			next_ns = hz->line_end_ns;
		r = reader_next(&hz->reader, next_ns, &frame);
		if (r == READER_FRAME) {
			if (hz->all.frames == 0) {
				started_ns = hz->reader.received_ns;
				hz->line_end_ns = started_ns + line_ns;
			}
			measure(hz, frame);
		} else if (r != READER_DEADLINE) {
			return r;
		}
		if (is_complete(hz))
			return READER_FRAME;
		if (hz->lines && hz->all.frames > 0 && clock_now() >= hz->line_end_ns)
			print_line(hz);
		if (ferror(stdout))
			return READER_STOPPED; /* main() says so */
		if (clock_now() >= find_end(hz, started_ns))
			return READER_DEADLINE;
	}
}

static int finish(struct hz *hz, int ended_by)
{
	if (ended_by < 0)
		return COMMAND_FAILED;
	if (hz->all.frames > 0 || ended_by == READER_STOPPED) {
		if (hz->options->json)
			print_json(hz);
		else
			print_text(hz);
	}
	if (ended_by == READER_NO_FRAME)
		return COMMAND_NO_FRAME;
	if (ended_by == READER_ENDED && (hz->options->count > 0 || hz->all.frames == 0)) {
		terminal_say(&hz->terminal, "%s: the recording ended after %" PRIu64 " frames",
			reader_name(&hz->reader), hz->all.frames);
		return COMMAND_FAILED;
	}
	return COMMAND_DONE;
}

int hz_run(const struct invocation *invocation)
{
	struct options options;
	struct hz *hz;
	int r, status;

	r = options_parse(invocation,
		OPTION_NAME | OPTION_SOCKET | OPTION_STREAM | OPTION_TIMEOUT | OPTION_JSON |
			OPTION_COUNT | OPTION_LOSSLESS,
		usage, &options);
	if (r != OPTIONS_RUN)
		return r == OPTIONS_DONE ? COMMAND_DONE : COMMAND_USAGE;
	hz = calloc(1, sizeof(*hz));
	if (!hz) {
		terminal_say(NULL, "hz: no memory");
		return COMMAND_FAILED;
	}
	hz->options = &options;
	hz->lines = !options.json && isatty(STDOUT_FILENO);
	terminal_init(&hz->terminal);
	r = reader_init(&hz->reader, &options, "camtap hz",
		options.lossless ? CAMTAP_MODE_LOSSLESS : CAMTAP_MODE_READ, &hz->terminal,
		invocation->stop, &status);
	if (r == 0) {
		status = finish(hz, run(hz));
		reader_finish(&hz->reader);
	}
	free(hz);
	return status;
}
