/* SPDX-License-Identifier: MIT */

/*
 * uvcam-reader SOCKET FOLDER|none [COUNT]: a reader of the test camera that makes each picture
 * again and compares. Says in lines what it gets, until it is killed or has COUNT frames:
 *
 *   frame 17 3   number of the picture, and how many frames the reader missed just before it
 *   damaged 64   a frame with other bytes than those that the camera has for it; how many
 *   bad 64       a frame that the daemon flags as bad; how many bytes
 *   event 3 ...  enum camtap_outcome, and why
 *
 * It goes on after all of these. Ends with 1 when a call fails.
 */

#include "camtap.h"
#include "picture.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_whole(const struct pictures *pictures, const struct camtap_frame *frame,
	uint8_t *expected, uint32_t *ret_number)
{
	enum picture_format format =
		camtap_frame_fourcc(frame) == V4L2_PIX_FMT_YUYV ? PICTURE_YUYV : PICTURE_MJPEG;
	const uint8_t *data = camtap_frame_data(frame, 0);
	size_t bytes = camtap_frame_bytesused(frame, 0);
	unsigned size;

	return picture_find_size(camtap_frame_width(frame), camtap_frame_height(frame), &size) &&
	       (format == PICTURE_YUYV || pictures->count[size] > 0) &&
	       picture_number(format, data, bytes, ret_number) &&
	       picture_make(pictures, format, size, *ret_number, expected) == bytes &&
	       memcmp(expected, data, bytes) == 0;
}

static int fail(const struct camtap *camera, const char *what)
{
	fprintf(stderr, "uvcam-reader: %s: %s %s\n", what, camtap_error_text(camera),
		camtap_event_text(camera));
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long left = argc == 4 ? strtoul(argv[3], NULL, 10) : ULONG_MAX;
	uint8_t *expected = malloc(picture_room(PICTURE_SIZES - 1));
	struct pictures pictures;
	struct camtap *camera;

	if (argc < 3 || argc > 4 ||
		!pictures_load(&pictures, strcmp(argv[2], "none") == 0 ? NULL : argv[2]))
		return 2;
	setlinebuf(stdout);
	if (camtap_new(&camera) < 0 || camtap_set_socket(camera, argv[1]) < 0 ||
		camtap_connect(camera) < 0)
		return fail(camera, "connect");
	while (left > 0) {
		struct camtap_frame *frame;
		uint32_t number;
		int outcome = camtap_next(camera, &frame, -1);

		if (outcome < 0)
			return fail(camera, "next");
		if (outcome == CAMTAP_TRY_AGAIN)
			continue;
		if (outcome != CAMTAP_FRAME) {
			printf("event %d %s\n", outcome, camtap_event_text(camera));
			continue;
		}
		if (camtap_frame_flags(frame) & CAMTAP_FRAME_BAD)
			printf("bad %zu\n", camtap_frame_bytesused(frame, 0));
		else if (is_whole(&pictures, frame, expected, &number))
			printf("frame %" PRIu32 " %" PRIu64 "\n", number,
				camtap_frame_missed(frame));
		else
			printf("damaged %zu\n", camtap_frame_bytesused(frame, 0));
		if (camtap_release(frame) < 0)
			puts("revoked");
		left--;
	}
	camtap_close(camera);
	free(expected);
	return 0;
}
