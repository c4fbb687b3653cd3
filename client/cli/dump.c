/* SPDX-License-Identifier: MIT */

/* camtap dump: frames to files or standard output. */

#include "capture.h"
#include "clock.h"
#include "command.h"
#include "options.h"
#include "reader.h"
#include "sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;
static const int64_t progress_ns = 200000000;

static const char usage[] =
	"usage: camtap dump [NAME] [OPTION...]\n\n"
	"Writes frames until Ctrl-C, the end of a recording, or --count.\n\n"
	"  --count N        frames to write\n"
	"  --output DIR|-   folder (made if missing; default: the current one), or standard "
	"output\n"
	"  --format FORMAT  jpeg (default), png, ppm, y4m or raw\n"
	"  --quality Q      of JPEGs that are encoded here, 1 to 100 (90)\n"
	"  --interval T     at most one frame in each T\n"
	"  --latest         skip frames that wait when a newer one is there\n"
	"  --lossless       let the source wait for this reader (recordings; see camtapd(1))\n"
	"  --sidecar        describe each picture in a JSON file beside it (raw: always)\n"
	"  --sync           write each file through to the disk before it gets its name\n"
	"  --json           print the summary as one JSON object\n"
	"  --stream STREAM  FOURCC[:WxH][,rate=N][,crop=WxH+X+Y] instead of the native stream\n"
	"  --socket PATH    the camera's socket, instead of its name\n"
	"  --timeout T      give up after T without a frame (10s)\n";

struct dump {
	const struct options *options;
	struct reader reader;
	struct terminal terminal;
	struct sink sink;
	struct capture capture;
	struct encoded encoded;
	uint64_t written, missed, revoked, damaged; /* frames */
	uint64_t bytes;
	int64_t started_ns, progress_end_ns;
	/* --interval: periods are counted from the first frame on; that of the last frame written,
	 * or -1 */
	int64_t periods_start_ns;
	int64_t period;
};

static void say(struct dump *dump, const char *text)
{
	terminal_say(&dump->terminal, "%s: %s", reader_name(&dump->reader), text);
}

/* -EPIPE is silent, as SIGPIPE would be. */
static void say_sink_error(struct dump *dump, int error_number)
{
	if (error_number != -EPIPE)
		terminal_say(&dump->terminal, "%s: %s (%" PRIu64 " frames written)",
			reader_name(&dump->reader), dump->sink.error, dump->written);
}

/* --interval: true for the first frame of each period. A recording's periods are those of its own
 * time, which starts again with the recording. */
static bool is_due(struct dump *dump, const struct camtap_frame *frame)
{
	int64_t time_ns = camtap_frame_media_time(frame);
	int64_t period;

	if (dump->options->interval_ns == 0)
		return true;
	if (time_ns < 0)
		time_ns = camtap_frame_publish_time(frame);
	if (dump->written == 0 || time_ns < dump->periods_start_ns) {
		dump->periods_start_ns = time_ns;
		dump->period = -1;
	}
	period = (time_ns - dump->periods_start_ns) / dump->options->interval_ns;
	if (period == dump->period)
		return false;
	dump->period = period;
	return true;
}

static int handle_frame(struct dump *dump, struct camtap_frame *frame)
{
	const struct options *options = dump->options;
	char error[IMAGE_ERROR_SIZE];
	int r;

	dump->missed += camtap_frame_missed(frame);
	if (!is_due(dump, frame)) {
		(void)!camtap_release(frame); /* nobody looked at it */
		return 0;
	}
	r = capture_take(&dump->capture, frame, reader_name(&dump->reader));
	if (r == -ESTALE) {
		dump->revoked++;
		dump->period = -1;
		return 0;
	}
	if (r < 0) {
		say(dump, strerror(-r));
		return r;
	}
	r = options->format->encode(&dump->capture.image, options->quality, &dump->encoded, error);
	if (r == -EBADMSG) {
		if (dump->damaged++ == 0)
			say(dump, error);
		dump->period = -1;
		return 0;
	}
	if (r < 0) {
		say(dump, error);
		return r;
	}
	r = sink_write(&dump->sink, &dump->capture, &dump->encoded, reader_name(&dump->reader));
	if (r < 0) {
		say_sink_error(dump, r);
		return r;
	}
	dump->written++;
	dump->bytes += dump->encoded.body.size;
	return 0;
}

/* ", missed 3, revoked 1": what did not come, "skipped" where that was asked for. */
static void print_losses(const struct dump *dump, char *text, size_t size)
{
	int length = snprintf(text, size, ", %s %" PRIu64,
		dump->options->latest ? "skipped" : "missed", dump->missed);

	if (dump->revoked > 0)
		length += snprintf(
			text + length, size - (size_t)length, ", revoked %" PRIu64, dump->revoked);
	if (dump->damaged > 0)
		snprintf(text + length, size - (size_t)length, ", damaged %" PRIu64, dump->damaged);
}

static void show_progress(struct dump *dump)
{
	int64_t now_ns = dump->reader.received_ns;
	char losses[128];

	if (!dump->terminal.interactive || now_ns < dump->progress_end_ns)
		return;
	dump->progress_end_ns = now_ns + progress_ns;
	print_losses(dump, losses, sizeof(losses));
	terminal_progress(&dump->terminal,
		"%s: %" PRIu64 " frames, %.1f MB, %.0f s%s (Ctrl-C ends)",
		reader_name(&dump->reader), dump->written, (double)dump->bytes / 1e6,
		(double)(now_ns - dump->started_ns) / (double)second_ns, losses);
}

/* Returns what ended it: READER_FRAME if all frames were written, else as reader_next(). */
static int run(struct dump *dump)
{
	struct camtap_frame *frame;
	int r;

	for (;;) {
		r = reader_next(&dump->reader, INT64_MAX, &frame);
		if (r != READER_FRAME)
			return r;
		if (dump->started_ns == 0)
			dump->started_ns = dump->reader.received_ns;
		r = handle_frame(dump, frame);
		if (r < 0)
			return r;
		if (dump->options->count > 0 && dump->written == dump->options->count)
			return READER_FRAME;
		show_progress(dump);
	}
}

static void print_json(const struct dump *dump)
{
	json_t *object = json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "schema",
		1, "camera", reader_name(&dump->reader), "output", dump->options->output, "format",
		dump->options->format->name, "frames", (json_int_t)dump->written, "bytes",
		(json_int_t)dump->bytes, "missed", (json_int_t)dump->missed, "revoked",
		(json_int_t)dump->revoked, "damaged", (json_int_t)dump->damaged, "discontinuities",
		(json_int_t)dump->reader.discontinuities);

	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
}

/* On standard output, unless pictures go there. */
static void print_summary(const struct dump *dump)
{
	char losses[128];

	if (dump->options->json) {
		print_json(dump);
		return;
	}
	print_losses(dump, losses, sizeof(losses));
	fprintf(dump->sink.to_stdout ? stderr : stdout, "%s: %" PRIu64 " frames written to %s%s\n",
		reader_name(&dump->reader), dump->written, dump->sink.path, losses);
}

static int finish(struct dump *dump, int ended_by)
{
	uint64_t count = dump->options->count;
	int r;

	terminal_clear(&dump->terminal);
	/* A full disk has cut the stream's file back to whole frames. */
	r = sink_publish(&dump->sink);
	if (r < 0)
		say_sink_error(dump, r);
	if (ended_by == -EPIPE && dump->sink.to_stdout)
		return COMMAND_PIPE;
	if (ended_by < 0 || r < 0)
		return COMMAND_FAILED;
	if (ended_by == READER_NO_FRAME) {
		if (dump->written > 0)
			print_summary(dump);
		return COMMAND_NO_FRAME;
	}
	if (ended_by == READER_ENDED && (count > 0 || dump->written == 0)) {
		terminal_say(&dump->terminal, "%s: the recording ended after %" PRIu64 " frames",
			reader_name(&dump->reader), dump->written);
		return COMMAND_FAILED;
	}
	print_summary(dump);
	return COMMAND_DONE;
}

/* What options cannot say of themselves alone. */
static int check_options(const struct options *options)
{
	bool to_stdout = strcmp(options->output, "-") == 0;

	if (to_stdout && options->json) {
		terminal_say(NULL, "dump: --json needs standard output: give --output a folder");
		return -EINVAL;
	}
	if (to_stdout && !options->format->concatenates && options->count != 1) {
		terminal_say(NULL,
			"dump: %s pictures cannot follow each other on standard output:"
			" use --count 1, or --format jpeg, ppm or y4m",
			options->format->name);
		return -EINVAL;
	}
	if (options->latest && options->lossless) {
		terminal_say(
			NULL, "dump: --latest skips frames and --lossless does not: choose one");
		return -EINVAL;
	}
	if (options->sidecar && (to_stdout || options->format->stream)) {
		terminal_say(NULL, "dump: --sidecar goes with single pictures in a folder");
		return -EINVAL;
	}
	if (to_stdout && isatty(STDOUT_FILENO)) {
		terminal_say(NULL, "dump: pictures are not for a terminal: redirect the output");
		return -EINVAL;
	}
	return 0;
}

int dump_run(const struct invocation *invocation)
{
	struct options options;
	struct dump dump = {.options = &options};
	int r, status = COMMAND_FAILED;

	r = options_parse(invocation,
		OPTION_NAME | OPTION_SOCKET | OPTION_STREAM | OPTION_TIMEOUT | OPTION_JSON |
			OPTION_COUNT | OPTION_LOSSLESS | OPTION_OUTPUT | OPTION_FORMAT |
			OPTION_QUALITY | OPTION_INTERVAL | OPTION_LATEST | OPTION_SIDECAR |
			OPTION_SYNC,
		usage, &options);
	if (r == OPTIONS_DONE)
		return COMMAND_DONE;
	if (r < 0 || check_options(&options) < 0)
		return COMMAND_USAGE;

	terminal_init(&dump.terminal);
	r = sink_init(&dump.sink, &options);
	if (r < 0) {
		terminal_say(NULL, "dump: %s", dump.sink.error);
		return COMMAND_FAILED;
	}
	r = reader_init(&dump.reader, &options, "camtap dump",
		options.lossless ? CAMTAP_MODE_LOSSLESS : CAMTAP_MODE_READ, &dump.terminal,
		invocation->stop, &status);
	if (r == 0) {
		status = finish(&dump, run(&dump));
		reader_finish(&dump.reader);
	}
	encoded_finish(&dump.encoded);
	capture_finish(&dump.capture);
	sink_finish(&dump.sink);
	return status;
}
