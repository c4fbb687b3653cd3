/* SPDX-License-Identifier: MIT */

/*
 * A reader of a derived stream of an NV12 test picture, which makes each frame itself, pixel by
 * pixel, and compares. Says what it saw as one JSON object: at the end, and whenever it gets a line
 * on standard input. It ends after --frames, after --seconds, with the recording (--ended), when
 * its standard input ends, or when the daemon refuses it.
 *
 *   --socket PATH     the camera
 *   --source WxH      its size; without it pixels are not looked at
 *   --stream STREAM   what to ask for; of scaling only that by a half is known here
 *   --name NAME       what the daemon calls it
 *   --frames N, --seconds S, --ended
 *   --lossless        the source waits for it
 *   --hold-ms T       holds each frame for T milliseconds
 */

#include "camtap.h"
#include "format.h"
#include "picture.h"
#include "stream-request.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RGB_TOLERANCE 3 /* fixed-point arithmetic of 6 to 8 bits */

struct arguments {
	const char *socket, *name, *stream;
	uint32_t width, height;
	uint64_t frames;
	double seconds;
	bool ended, lossless;
	int hold_ms;
};

struct reader {
	struct arguments arguments;
	struct camtap *camera;
	struct stream_request request;
	struct picture *picture;
	struct format_layout layout;
	uint8_t *native; /* the picture that the frame was made from */
	uint64_t frames, wrong, stale, order_errors, epochs, epoch, first, last;
	uint64_t events[CAMTAP_ENDED + 1];
	int error;
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void print_report(const struct reader *reader)
{
	char text[512];
	size_t length = 0;

	for (const char *from = camtap_error_text(reader->camera);
		*from != '\0' && length < sizeof text - 2; from++) {
		if (*from == '"' || *from == '\\')
			text[length++] = '\\';
		text[length++] = *from;
	}
	text[length] = '\0';
	printf("{\"frames\": %" PRIu64 ", \"missed\": %" PRIu64 ", \"wrong\": %" PRIu64
	       ", \"stale\": %" PRIu64 ", \"order_errors\": %" PRIu64 ", \"epochs\": %" PRIu64
	       ", \"first\": %" PRIu64 ", \"last\": %" PRIu64 ", \"ended\": %" PRIu64
	       ", \"offline\": %" PRIu64 ", \"error\": %d, \"text\": \"%s\"}\n",
		reader->frames, camtap_missed(reader->camera), reader->wrong, reader->stale,
		reader->order_errors, reader->epochs, reader->first, reader->last,
		reader->events[CAMTAP_ENDED], reader->events[CAMTAP_OFFLINE], -reader->error, text);
	fflush(stdout);
}

/* ---- the conversion, naively ---- */

struct pixel {
	int y, u, v;
};

static struct pixel native_pixel(const struct reader *reader, uint32_t x, uint32_t y)
{
	const struct format_plane *planes = reader->layout.planes;
	const uint8_t *chroma =
		reader->native + planes[1].offset + y / 2 * planes[1].stride + x / 2 * 2;

	return (struct pixel){
		reader->native[planes[0].offset + y * planes[0].stride + x], chroma[0], chroma[1]};
}

/* Luma of a pixel of the result. */
static int luma(const struct reader *reader, uint32_t factor, uint32_t x, uint32_t y)
{
	int sum = 0;

	for (uint32_t i = 0; i < factor * factor; i++)
		sum += native_pixel(reader, reader->request.crop.x + x * factor + i % factor,
			reader->request.crop.y + y * factor + i / factor)
			       .y;
	return (sum + (int)(factor * factor) / 2) / (int)(factor * factor);
}

static int clamp(double value)
{
	return value < 0 ? 0 : value > 255 ? 255 : (int)(value + 0.5);
}

static bool right_rgb(struct pixel pixel, const uint8_t *seen, bool blue_first)
{
	double y = 1.164384 * (pixel.y - 16), u = pixel.u - 128, v = pixel.v - 128;
	int wanted[3] = {clamp(y + 1.596027 * v), clamp(y - 0.391762 * u - 0.812968 * v),
		clamp(y + 2.017232 * u)};

	for (int i = 0; i < 3; i++) {
		if (abs(wanted[blue_first ? 2 - i : i] - seen[i]) > RGB_TOLERANCE)
			return false;
	}
	return true;
}

static bool right_pixel(const struct reader *reader, const struct camtap_frame *frame,
	uint32_t factor, uint32_t x, uint32_t y)
{
	const uint8_t *line = (const uint8_t *)camtap_frame_data(frame, 0) +
			      y * (size_t)camtap_frame_stride(frame, 0);
	struct pixel pixel = native_pixel(
		reader, reader->request.crop.x + x * factor, reader->request.crop.y + y * factor);
	const uint8_t *chroma;

	switch (camtap_frame_fourcc(frame)) {
	case V4L2_PIX_FMT_RGB24:
		return right_rgb(pixel, line + 3 * x, false);
	case V4L2_PIX_FMT_BGR24:
		return right_rgb(pixel, line + 3 * x, true);
	case V4L2_PIX_FMT_XBGR32:
		return right_rgb(pixel, line + 4 * x, true);
	}
	if (line[x] != luma(reader, factor, x, y))
		return false;
	if (factor > 1 || camtap_frame_fourcc(frame) == V4L2_PIX_FMT_GREY)
		return true;
	chroma = (const uint8_t *)camtap_frame_data(frame, 1) +
		 y / 2 * (size_t)camtap_frame_stride(frame, 1);
	if (camtap_frame_fourcc(frame) == V4L2_PIX_FMT_NV12)
		return chroma[x / 2 * 2] == pixel.u && chroma[x / 2 * 2 + 1] == pixel.v;
	if (chroma[x / 2] != pixel.u)
		return false;
	chroma = (const uint8_t *)camtap_frame_data(frame, 2) +
		 y / 2 * (size_t)camtap_frame_stride(frame, 2);
	return chroma[x / 2] == pixel.v;
}

static bool right(struct reader *reader, const struct camtap_frame *frame)
{
	uint32_t width = camtap_frame_width(frame), height = camtap_frame_height(frame);
	uint32_t from = reader->request.crop.width > 0 ? reader->request.crop.width
						       : reader->arguments.width;
	uint32_t factor = from / width;

	if (reader->picture == NULL)
		return true;
	if (factor * width != from || factor > 2 ||
		camtap_frame_fourcc(frame) != reader->request.fourcc)
		return false;
	picture_draw(reader->picture, camtap_frame_sequence(frame), reader->native);
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			if (!right_pixel(reader, frame, factor, x, y))
				return false;
		}
	}
	return true;
}

/* ---- frames ---- */

static void on_frame(struct reader *reader, struct camtap_frame *frame)
{
	uint64_t id = camtap_frame_id(frame), epoch = camtap_frame_epoch(frame);
	struct timespec hold = {.tv_sec = reader->arguments.hold_ms / 1000,
		.tv_nsec = reader->arguments.hold_ms % 1000 * 1000000L};
	bool good = right(reader, frame);
	int error;

	if (epoch != reader->epoch)
		reader->epochs++;
	else if (id <= reader->last)
		reader->order_errors++;
	if (reader->frames++ == 0)
		reader->first = id;
	reader->epoch = epoch;
	reader->last = id;
	if (reader->arguments.hold_ms > 0)
		nanosleep(&hold, NULL);
	error = camtap_release(frame);
	if (error == -ESTALE)
		reader->stale++;
	else if (error < 0)
		reader->error = error;
	else
		reader->wrong += !good;
}

/* One thing at a time: who asks for a report does not wait long. */
static void read_one(struct reader *reader)
{
	struct camtap_frame *frame;
	int outcome = camtap_next(reader->camera, &frame, 0);

	if (outcome == CAMTAP_FRAME)
		on_frame(reader, frame);
	else if (outcome > 0)
		reader->events[outcome]++;
	else if (outcome < 0)
		reader->error = outcome;
}

/* False: standard input has ended. */
static bool wait_for_something(const struct reader *reader, int64_t deadline_ns)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = camtap_fd(reader->camera), .events = POLLIN}};
	int64_t left = (deadline_ns - now_ns()) / 1000000 + 1;
	char line[64];

	if (poll(fds, 2, left < 0 ? 0 : left > 1000 ? 1000 : (int)left) <= 0 || fds[0].revents == 0)
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
		read_one(reader);
		if ((arguments->frames > 0 && reader->frames >= arguments->frames) ||
			(arguments->ended && reader->events[CAMTAP_ENDED] > 0))
			break;
		if (!wait_for_something(reader, deadline_ns))
			break;
	}
}

static int prepare(struct reader *reader)
{
	const struct arguments *arguments = &reader->arguments;
	char error[STREAM_REQUEST_ERROR_SIZE];
	int r;

	r = stream_request_parse(arguments->stream, &reader->request, error);
	if (r < 0)
		return 0; /* the daemon says that better */
	if (arguments->width == 0)
		return 0;
	r = format_layout_init(
		V4L2_PIX_FMT_NV12, arguments->width, arguments->height, 0, &reader->layout);
	if (r < 0)
		return r;
	reader->native = malloc(reader->layout.size);
	return reader->native == NULL
		       ? -ENOMEM
		       : picture_create(V4L2_PIX_FMT_NV12, arguments->width, arguments->height,
				 &reader->layout, &reader->picture);
}

static int connect_camera(struct reader *reader)
{
	const struct arguments *arguments = &reader->arguments;
	int error = camtap_set_socket(reader->camera, arguments->socket);

	if (error == 0)
		error = camtap_set_client_name(reader->camera, arguments->name);
	if (error == 0)
		error = camtap_set_stream(reader->camera, arguments->stream);
	if (error == 0 && arguments->lossless)
		error = camtap_set_mode(reader->camera, CAMTAP_MODE_LOSSLESS);
	return error < 0 ? error : camtap_connect(reader->camera);
}

static bool parse(struct arguments *ret_arguments, int argc, char **argv)
{
	static const struct option options[] = {{"socket", required_argument, NULL, 's'},
		{"source", required_argument, NULL, 'w'}, {"stream", required_argument, NULL, 'r'},
		{"name", required_argument, NULL, 'n'}, {"frames", required_argument, NULL, 'f'},
		{"seconds", required_argument, NULL, 't'}, {"ended", no_argument, NULL, 'e'},
		{"lossless", no_argument, NULL, 'l'}, {"hold-ms", required_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	struct arguments arguments = {.name = "stream-reader", .stream = ""};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			arguments.socket = optarg;
			break;
		case 'w':
			if (sscanf(optarg, "%" SCNu32 "x%" SCNu32, &arguments.width,
				    &arguments.height) != 2)
				return false;
			break;
		case 'r':
			arguments.stream = optarg;
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
		case 'e':
			arguments.ended = true;
			break;
		case 'l':
			arguments.lossless = true;
			break;
		case 'h':
			arguments.hold_ms = atoi(optarg);
			break;
		default:
			return false;
		}
	}
	*ret_arguments = arguments;
	return arguments.socket != NULL && optind == argc;
}

int main(int argc, char **argv)
{
	struct reader reader = {0};

	if (!parse(&reader.arguments, argc, argv)) {
		fprintf(stderr, "stream-reader: wrong usage, see the top of stream-reader.c\n");
		return 2;
	}
	reader.error = camtap_new(&reader.camera);
	if (reader.error == 0)
		reader.error = prepare(&reader);
	if (reader.error == 0)
		reader.error = connect_camera(&reader);
	if (reader.error == 0)
		run(&reader);
	print_report(&reader);
	picture_destroy(reader.picture);
	free(reader.native);
	camtap_close(reader.camera);
	return reader.error < 0;
}
