/* SPDX-License-Identifier: MIT */

/*
 * bench-reader SOCKET STREAM [grey|half]: reads for ever, and answers each line on standard input
 * with its CPU time in ns and its frames so far. grey, half: the frames are JPEGs, which it decodes
 * to grey with TurboJPEG, whole or at half the size. Of the pixels it looks at one in 64.
 */

#include "camtap.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <turbojpeg.h>
#include <unistd.h>

static uint64_t cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static volatile unsigned seen; /* so that looking is not optimised away */

static void look(const uint8_t *pixels, size_t size)
{
	for (size_t i = 0; i < size; i += 64)
		seen += pixels[i];
}

/* False: it is no JPEG image. */
static bool decode(tjhandle decoder, const struct camtap_frame *frame, int divisor)
{
	int width = (int)(camtap_frame_width(frame) + (unsigned)divisor - 1) / divisor;
	int height = (int)(camtap_frame_height(frame) + (unsigned)divisor - 1) / divisor;
	static uint8_t *pixels;

	if (pixels == NULL)
		pixels = malloc((size_t)width * (size_t)height);
	if (pixels == NULL || tjDecompress2(decoder, camtap_frame_data(frame, 0),
				      camtap_frame_bytesused(frame, 0), pixels, width, 0, height,
				      TJPF_GRAY, 0) < 0)
		return false;
	look(pixels, (size_t)width * (size_t)height);
	return true;
}

int main(int argc, char **argv)
{
	int divisor = argc < 4 ? 0 : strcmp(argv[3], "half") == 0 ? 2 : 1;
	tjhandle decoder = tjInitDecompress();
	struct camtap *camera;
	struct camtap_frame *frame;
	uint64_t frames = 0;
	char line[64];

	if (argc < 3 || decoder == NULL || camtap_new(&camera) < 0 ||
		camtap_set_socket(camera, argv[1]) < 0 || camtap_set_stream(camera, argv[2]) < 0 ||
		camtap_connect(camera) < 0)
		return 2;
	for (;;) {
		struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = camtap_fd(camera), .events = POLLIN}};
		int outcome;

		poll(fds, 2, -1);
		if (fds[0].revents != 0) {
			if (read(STDIN_FILENO, line, sizeof line) <= 0)
				break;
			printf("{\"cpu_ns\": %" PRIu64 ", \"frames\": %" PRIu64 "}\n", cpu_ns(),
				frames);
			fflush(stdout);
		}
		outcome = camtap_latest(camera, &frame, 0);
		if (outcome < 0) {
			fprintf(stderr, "bench-reader: %s\n", camtap_error_text(camera));
			return 1;
		}
		if (outcome != CAMTAP_FRAME)
			continue;
		frames++;
		if (divisor == 0)
			look(camtap_frame_data(frame, 0), camtap_frame_bytesused(frame, 0));
		else if (!decode(decoder, frame, divisor))
			return 1;
		if (camtap_release(frame) < 0)
			frames--; /* too late */
	}
	tjDestroy(decoder);
	camtap_close(camera);
	return 0;
}
