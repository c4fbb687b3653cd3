/* SPDX-License-Identifier: MIT */

/*
 * A USB camera for tests: plugs itself into the kernel's vhci_hcd, whose stock uvcvideo driver then
 * sees a webcam with MJPEG and YUYV. It needs root and the modules uvcvideo and vhci_hcd.
 *
 *   uvcam [--port N] [--serial TEXT] [--product TEXT] [--vendor TEXT] [--pictures FOLDER]
 *         [--first-frame N]
 *
 * --port is where it is plugged in at the start, 0 to 7; without it, it is not. --pictures has the
 * recorded JPEG pictures (picture.h); without it there is no MJPEG. --first-frame is the number of
 * the first frame, by which two cameras can be told apart.
 *
 * It is told what to do by lines on its standard input, and answers each with a line on its
 * standard output: "ok", maybe with what was asked for, or "error" and why, when it is done.
 *
 *   plug [PORT]        plugs it in, where it was unless told otherwise; its controls are as new
 *   unplug             answered when the port is free; that the kernel's device nodes have gone
 *                      takes longer
 *   pause, resume      it delivers nothing, but stays plugged in
 *   error N            the next N frames have the ERR bit
 *   short N PERCENT    of the next N frames only a part is sent
 *   empty N            of the next N frames only a payload header is sent
 *   flip N OFFSET      in the next N frames, the byte at OFFSET has all bits inverted
 *   truncate N OFFSET  the next N frames end before OFFSET
 *   marker N NAME      in the next N frames, a marker is destroyed: SOI DQT SOF DHT SOS EOI
 *   stall probe N      the next N attempts to set the probe control fail (S_FMT: EIO)
 *   stall commit N     the next N attempts to set the commit control fail (STREAMON: EIO)
 *   halt               the endpoint stalls, until the host starts the stream anew
 *   wait N             answered when N frames that begin after now have been sent
 *   status             "ok plugged=1 port=0 streaming=1 paused=0 format=MJPG size=640x360
 *                      interval=333333 requests=5 frame=17": how often the host has set, or
 *                      has tried to set, the probe or the commit control; the next frame's number
 *   controls           "ok brightness=128 ...", in UVC's values
 *   quit               as the end of the input
 *
 * Faults are used up one command after the other. Each frame with a fault is told on standard
 * error: "frame 17: short". Frames are numbered for the program's life, and none is sent while
 * nobody streams.
 */

#include "camera.h"
#include "usbip.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_ROOM 256

struct program {
	struct camera camera;
	struct pictures pictures;
	char input[LINE_ROOM];
	size_t input_bytes;
	bool waiting; /* "wait" has not been answered, and no further line is read until then */
	uint32_t wait_until;
	bool quit;
};

static void answer(int r)
{
	if (r < 0)
		printf("error: %s\n", strerror(-r));
	else
		puts("ok");
}

static void print_status(const struct camera *camera)
{
	const struct agreement *agreement = &camera->stream.agreement;

	printf("ok plugged=%d port=%u streaming=%d paused=%d format=%s size=%ux%u interval=%" PRIu32
	       " requests=%" PRIu32 " frame=%" PRIu32 "\n",
		camera->fd >= 0, camera->port, camera->stream.streaming, camera->stream.paused,
		agreement->format == PICTURE_YUYV ? "YUYV" : "MJPG",
		picture_sizes[agreement->size].width, picture_sizes[agreement->size].height,
		agreement->interval, camera->requests, camera->stream.number);
}

static void print_controls(const struct camera *camera)
{
	char text[LINE_ROOM];

	controls_print(&camera->controls, text, sizeof text);
	printf("ok %s\n", text);
}

static bool parse_port(const char *text, unsigned *ret_port)
{
	char rest;

	return sscanf(text, "%u%c", ret_port, &rest) == 1 && *ret_port < USBIP_PORTS;
}

/* Commands with a number. False: it is none of them. */
static bool obey_numbered(struct program *program, const char *line)
{
	struct camera *camera = &program->camera;
	unsigned number;
	char rest;

	if (sscanf(line, "stall probe %u%c", &number, &rest) == 1)
		camera->stall_probes = number;
	else if (sscanf(line, "stall commit %u%c", &number, &rest) == 1)
		camera->stall_commits = number;
	else if (strncmp(line, "plug ", 5) == 0 && parse_port(line + 5, &number)) {
		answer(camera_plug(camera, number));
		return true;
	} else if (sscanf(line, "wait %u%c", &number, &rest) == 1) {
		program->waiting = true;
		program->wait_until = camera->stream.started + number;
		return true;
	} else
		return false;
	puts("ok");
	return true;
}

static void obey(struct program *program, const char *line)
{
	struct camera *camera = &program->camera;
	struct fault fault;

	if (fault_parse(line, &fault)) {
		answer(faults_add(&camera->stream.faults, &fault) ? 0 : -ENOSPC);
	} else if (strcmp(line, "plug") == 0) {
		answer(camera_plug(camera, camera->port));
	} else if (strcmp(line, "unplug") == 0) {
		answer(camera_unplug(camera));
	} else if (strcmp(line, "pause") == 0 || strcmp(line, "resume") == 0) {
		camera->stream.paused = line[0] == 'p';
		puts("ok");
	} else if (strcmp(line, "halt") == 0) {
		answer(camera->fd < 0 ? -ENODEV : stream_halt(&camera->stream, camera->fd));
	} else if (strcmp(line, "status") == 0) {
		print_status(camera);
	} else if (strcmp(line, "controls") == 0) {
		print_controls(camera);
	} else if (strcmp(line, "quit") == 0) {
		program->quit = true;
		puts("ok");
	} else if (!obey_numbered(program, line)) {
		printf("error: no such command: %s\n", line);
	}
}

static void finish_wait(struct program *program)
{
	/* The difference, because numbers wrap. */
	if (program->waiting &&
		(int32_t)(stream_done(&program->camera.stream) - program->wait_until) >= 0) {
		program->waiting = false;
		puts("ok");
	}
}

/* All whole lines that there are, up to a "wait". */
static void obey_lines(struct program *program)
{
	char *end;

	while (!program->waiting && !program->quit &&
		(end = memchr(program->input, '\n', program->input_bytes)) != NULL) {
		*end++ = '\0';
		obey(program, program->input);
		program->input_bytes -= (size_t)(end - program->input);
		memmove(program->input, end, program->input_bytes);
		finish_wait(program);
	}
}

static void read_input(struct program *program)
{
	ssize_t bytes = read(STDIN_FILENO, program->input + program->input_bytes,
		sizeof program->input - program->input_bytes);

	if (bytes <= 0)
		program->quit = true;
	else
		program->input_bytes += (size_t)bytes;
}

/* Something happened to the cable that the commands did not ask for. */
static void check_cable(struct program *program, int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "uvcam: unplugged by the kernel: %s\n", strerror(-r));
	(void)camera_unplug(&program->camera);
}

static struct timespec *time_until(int64_t deadline_ns, struct timespec *left)
{
	struct timespec now;
	int64_t ns = 0;

	if (deadline_ns == INT64_MAX)
		return NULL;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (deadline_ns > 0)
		ns = deadline_ns - (now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
	*left = (struct timespec){0};
	if (ns > 0)
		*left = (struct timespec){ns / 1000000000, ns % 1000000000};
	return left;
}

static void run(struct program *program)
{
	struct camera *camera = &program->camera;

	while (!program->quit) {
		struct pollfd fds[] = {
			{.fd = program->waiting ? -1 : STDIN_FILENO, .events = POLLIN},
			{.fd = camera->fd, .events = POLLIN},
		};
		struct timespec left;

		(void)ppoll(fds, 2, time_until(stream_deadline(&camera->stream), &left), NULL);
		if (fds[1].revents != 0)
			check_cable(program, camera_receive(camera));
		if (camera->fd >= 0)
			check_cable(program, stream_run(&camera->stream, camera->fd));
		if (fds[0].revents != 0)
			read_input(program);
		finish_wait(program);
		obey_lines(program);
	}
}

static int usage(void)
{
	fprintf(stderr,
		"usage: uvcam [--port 0..%u] [--serial TEXT] [--product TEXT] "
		"[--vendor TEXT] [--pictures FOLDER] [--first-frame N]\n",
		USBIP_PORTS - 1);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"port", required_argument, NULL, 'p'},
		{"serial", required_argument, NULL, 's'},
		{"product", required_argument, NULL, 'n'},
		{"vendor", required_argument, NULL, 'v'},
		{"pictures", required_argument, NULL, 'f'},
		{"first-frame", required_argument, NULL, 'i'},
		{0},
	};
	static struct program program; /* zeroed */
	struct camera *camera = &program.camera;
	const char *folder = NULL;
	uint32_t first_frame = 0;
	bool plugged = false;
	int option, r;

	camera->identity =
		(struct identity){.vendor = "camtap", .product = "Test Camera", .serial = "0001"};
	camera->fd = -1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			plugged = parse_port(optarg, &camera->port);
			if (!plugged)
				return usage();
			break;
		case 's':
			camera->identity.serial = optarg;
			break;
		case 'n':
			camera->identity.product = optarg;
			break;
		case 'v':
			camera->identity.vendor = optarg;
			break;
		case 'f':
			folder = optarg;
			break;
		case 'i':
			first_frame = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default:
			return usage();
		}
	}
	if (optind != argc || strlen(camera->identity.serial) > 126 ||
		strlen(camera->identity.product) > 126 || strlen(camera->identity.vendor) > 126)
		return usage();

	setlinebuf(stdout);
	setlinebuf(stderr);
	camera->identity.has_mjpeg = folder != NULL;
	if (!pictures_load(&program.pictures, folder) ||
		!stream_init(&camera->stream, &program.pictures))
		return 1;
	camera->stream.number = first_frame;
	if (plugged) {
		r = camera_plug(camera, camera->port);
		if (r < 0) {
			fprintf(stderr, "uvcam: vhci_hcd: %s\n", strerror(-r));
			return 1;
		}
	}
	run(&program);
	(void)camera_unplug(camera);
	stream_finish(&camera->stream);
	return 0;
}
