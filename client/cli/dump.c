/* SPDX-License-Identifier: MIT */

/* camtap dump: frames to files or standard output. */

#include "capture.h"
#include "clock.h"
#include "command.h"
#include "options.h"
#include "output.h"
#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;
static const int64_t progress_ns = 200000000;

enum {
	SIDECAR_FLAGS = JSON_INDENT(2),
};

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
	bool to_stdout;
	bool sidecar;
	struct output_folder folder; /* unless to_stdout */

	struct capture capture;
	struct encoded encoded;
	/* A stream, if the format is one: its header, file and name. */
	struct buffer header;
	struct output_file file;
	char file_name[NAME_MAX];
	uint64_t file_frames;

	uint64_t written, missed, revoked, damaged; /* frames */
	uint64_t bytes;
	int64_t started_ns, progress_end_ns;
	/* --interval: the period of the last frame written */
	bool has_period;
	uint64_t period_epoch;
	int64_t period;
};

static void say(struct dump *dump, const char *text)
{
	terminal_say(&dump->terminal, "%s: %s", reader_name(&dump->reader), text);
}

/* Says what could not be written, and what to do if that is known. */
static int say_output_error(struct dump *dump, const char *name, int error_number)
{
	const char *folder = dump->to_stdout ? "standard output" : dump->options->output;
	const char *advice = "";

	if (error_number == -EPIPE && dump->to_stdout)
		return error_number; /* silent, as SIGPIPE would be */
	if (error_number == -ENOSPC || error_number == -EDQUOT)
		advice = "; make room and start again";
	else if (error_number == -EEXIST)
		advice = " and is not overwritten; choose another --output";
	terminal_say(&dump->terminal, "%s: %s%s%s: %s%s; %" PRIu64 " frames written",
		reader_name(&dump->reader), folder, name ? "/" : "", name ? name : "",
		strerror(-error_number), advice, dump->written);
	return error_number;
}

/* NAME-20261121T101112.123456-ID: camera, local time of capture, frame id. */
static void print_base_name(const struct dump *dump, char *text, size_t size)
{
	int64_t realtime_ns = dump->capture.realtime_ns;
	time_t seconds = (time_t)(realtime_ns / second_ns);
	char date[32] = "";
	struct tm local;

	if (localtime_r(&seconds, &local))
		strftime(date, sizeof(date), "%Y%m%dT%H%M%S", &local);
	snprintf(text, size, "%s-%s.%06d-%" PRIu64, reader_name(&dump->reader), date,
		(int)(realtime_ns % second_ns / 1000), dump->capture.id);
}

/* Writes a file under its final name, whole or not at all. */
static int write_file(struct dump *dump, const char *name, const void *data, size_t size)
{
	struct output_file file;
	int r = output_file_open(&file, &dump->folder);

	if (r < 0)
		return say_output_error(dump, name, r);
	r = output_file_write(&file, data, size);
	if (r == 0)
		r = output_file_publish(&file, name);
	else
		output_file_discard(&file);
	return r < 0 ? say_output_error(dump, name, r) : 0;
}

static int write_sidecar(struct dump *dump, const char *name)
{
	json_t *object = capture_describe(&dump->capture, reader_name(&dump->reader));
	char *text = json_dumps(object, SIDECAR_FLAGS);
	int r = -ENOMEM;

	if (text)
		r = write_file(dump, name, text, strlen(text));
	else
		say(dump, "no memory for a description");
	free(text);
	json_decref(object);
	return r;
}

/* A file of its own for each picture. The description comes first: no picture is ever without it.
 */
static int write_picture(struct dump *dump)
{
	const struct buffer *body = &dump->encoded.body;
	char base[NAME_MAX - 8], name[NAME_MAX], description[NAME_MAX];
	int r;

	print_base_name(dump, base, sizeof(base));
	snprintf(name, sizeof(name), "%s.%s", base, dump->encoded.extension);
	snprintf(description, sizeof(description), "%s.json", base);
	if (dump->sidecar) {
		r = write_sidecar(dump, description);
		if (r < 0)
			return r;
	}
	r = write_file(dump, name, body->data, body->size);
	if (r < 0 && dump->sidecar)
		output_folder_remove(&dump->folder, description);
	return r;
}

/* Gives the stream's file its name; it holds whole frames only. */
static int publish_stream(struct dump *dump)
{
	int r;

	if (dump->file.fd < 0)
		return 0;
	if (dump->file_frames == 0) {
		output_file_discard(&dump->file);
		return 0;
	}
	r = output_file_publish(&dump->file, dump->file_name);
	return r < 0 ? say_output_error(dump, dump->file_name, r) : 0;
}

/* The stream's header: of a new file when the format is not that of the file at hand. */
static int begin_stream(struct dump *dump)
{
	const struct buffer *header = &dump->encoded.header;
	char base[NAME_MAX - 8];
	int r;

	if (dump->header.size == header->size &&
		memcmp(dump->header.data, header->data, header->size) == 0)
		return 0;
	if (dump->to_stdout && dump->header.size > 0) {
		say(dump, "the camera's format changed, and a stream cannot; start again for more");
		return -EPROTO;
	}
	r = publish_stream(dump);
	if (r < 0)
		return r;
	buffer_clear(&dump->header);
	r = buffer_append(&dump->header, header->data, header->size);
	if (r < 0) {
		say(dump, "no memory for a picture");
		return r;
	}
	if (dump->to_stdout) {
		r = output_write(STDOUT_FILENO, header->data, header->size);
		return r < 0 ? say_output_error(dump, NULL, r) : 0;
	}
	print_base_name(dump, base, sizeof(base));
	snprintf(dump->file_name, sizeof(dump->file_name), "%s.%s", base, dump->encoded.extension);
	dump->file_frames = 0;
	r = output_file_open(&dump->file, &dump->folder);
	if (r == 0)
		r = output_file_write(&dump->file, header->data, header->size);
	return r < 0 ? say_output_error(dump, dump->file_name, r) : 0;
}

static int write_encoded(struct dump *dump)
{
	const struct buffer *body = &dump->encoded.body;
	bool stream = dump->options->format->stream;
	int r;

	if (stream) {
		r = begin_stream(dump);
		if (r < 0)
			return r;
	}
	if (dump->to_stdout) {
		r = output_write(STDOUT_FILENO, body->data, body->size);
		return r < 0 ? say_output_error(dump, NULL, r) : 0;
	}
	if (!stream)
		return write_picture(dump);
	r = output_file_write(&dump->file, body->data, body->size);
	if (r < 0)
		return say_output_error(dump, dump->file_name, r);
	dump->file_frames++;
	return 0;
}

/* --interval: true for the first frame of each period. A recording's periods are those of its own
 * time. */
static bool is_due(struct dump *dump, const struct camtap_frame *frame)
{
	int64_t time_ns = camtap_frame_media_time(frame);
	uint64_t epoch = camtap_frame_epoch(frame);
	int64_t period;

	if (dump->options->interval_ns == 0)
		return true;
	if (time_ns < 0)
		time_ns = camtap_frame_publish_time(frame);
	period = time_ns / dump->options->interval_ns;
	if (dump->has_period && dump->period == period && dump->period_epoch == epoch)
		return false;
	dump->has_period = true;
	dump->period = period;
	dump->period_epoch = epoch;
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
		dump->has_period = false;
		return 0;
	}
	if (r < 0) {
		say(dump, "no memory for a frame");
		return r;
	}
	r = options->format->encode(&dump->capture.image, options->quality, &dump->encoded, error);
	if (r == -EBADMSG) {
		if (dump->damaged++ == 0)
			say(dump, error);
		dump->has_period = false;
		return 0;
	}
	if (r < 0) {
		say(dump, error);
		return r;
	}
	r = write_encoded(dump);
	if (r < 0)
		return r;
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
		if (dump->written == dump->options->count)
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
	fprintf(dump->to_stdout ? stderr : stdout, "%s: %" PRIu64 " frames written to %s%s\n",
		reader_name(&dump->reader), dump->written,
		dump->to_stdout ? "standard output" : dump->options->output, losses);
}

static int finish(struct dump *dump, int ended_by)
{
	uint64_t count = dump->options->count;
	int r;

	terminal_clear(&dump->terminal);
	/* A full disk has cut the stream's file back to whole frames. */
	r = publish_stream(dump);
	if (ended_by == -EPIPE && dump->to_stdout)
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

static int open_folder(struct dump *dump)
{
	int r = output_folder_init(&dump->folder, dump->options->output, dump->options->sync);

	if (r < 0)
		terminal_say(NULL, "dump: %s: %s", dump->options->output, strerror(-r));
	return r;
}

int dump_run(const struct invocation *invocation)
{
	struct options options;
	struct dump dump = {.options = &options, .file = {.fd = -1}};
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
	dump.to_stdout = strcmp(options.output, "-") == 0;
	dump.sidecar = !dump.to_stdout && (options.sidecar || options.format->sidecar);
	if (!dump.to_stdout && open_folder(&dump) < 0)
		return COMMAND_FAILED;
	r = reader_init(&dump.reader, &options, "camtap dump",
		options.lossless ? CAMTAP_MODE_LOSSLESS : CAMTAP_MODE_READ, &dump.terminal,
		invocation->stop, &status);
	if (r == 0) {
		status = finish(&dump, run(&dump));
		reader_finish(&dump.reader);
	}
	buffer_finish(&dump.header);
	encoded_finish(&dump.encoded);
	capture_finish(&dump.capture);
	if (!dump.to_stdout)
		output_folder_finish(&dump.folder);
	return status;
}
