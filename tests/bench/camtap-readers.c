/* SPDX-License-Identifier: MIT */

/*
 * bench-camtap-readers SHEET-FD SOCKET [poll]: readers as camtap.h's first example is one: the
 * bell, which is the default, and camtap_next(), which is every frame in order, as the floors'
 * readers have it. (At 60 frames per second camtap_latest() gets the same frames by the same way.)
 * poll: as a program with an event loop, which waits for camtap_fd().
 */

#include "camtap.h"
#include "sheet.h"

#include <poll.h>

static void fail(struct camtap *camera, const char *what, int error)
{
	fprintf(stderr, "bench-camtap-readers: %s: %s %s\n", what, strerror(-error),
		camtap_error_text(camera));
	exit(1);
}

/* One turn of an event loop. */
static int poll_and_next(struct camtap *camera, struct camtap_frame **ret_frame)
{
	struct pollfd pollfd = {.fd = camtap_fd(camera), .events = POLLIN};

	(void)poll(&pollfd, 1, -1);
	return camtap_next(camera, ret_frame, 0);
}

static void read_frames(
	struct sheet *sheet, struct sheet_reader *reader, struct camtap *camera, bool polls)
{
	struct camtap_frame *frame;
	bool within, earlier = false;
	uint64_t missed = 0; /* since the last frame that counts */

	reader->told = 0;
	for (;;) {
		struct sheet_look look;
		int outcome =
			polls ? poll_and_next(camera, &frame) : camtap_next(camera, &frame, -1);

		if (outcome < 0)
			fail(camera, "camtap_next", outcome);
		if (outcome != CAMTAP_FRAME)
			continue;
		look = sheet_look(sheet, camtap_frame_data(frame, 0), camtap_frame_sequence(frame));
		within = sheet_within(sheet, &look);
		missed += camtap_frame_missed(frame);
		if (sheet->hold_ns != 0)
			usleep((useconds_t)(sheet->hold_ns / 1000));
		if (camtap_release(frame) == -ESTALE) {
			reader->revoked += within;
			missed++;
			continue;
		}
		if (within &&
			earlier) /* as the numbers show it: gaps with both ends in the window */
			reader->told += missed;
		missed = 0;
		earlier = within;
		sheet_receive(sheet, reader, &look);
	}
}

int main(int argc, char **argv)
{
	struct sheet *sheet;
	struct camtap *camera;
	int index, error;

	if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "poll") != 0)) {
		fprintf(stderr, "bench-camtap-readers: SHEET-FD SOCKET [poll]\n");
		return 2;
	}
	sheet = sheet_map(argv[1]);
	index = sheet_fork_readers(sheet);
	if (index < 0) {
		sheet_wait_for_readers();
		return 0;
	}
	error = camtap_new(&camera);
	if (error < 0)
		return 1;
	error = camtap_set_socket(camera, argv[2]);
	if (error == 0)
		error = camtap_connect(camera);
	if (error < 0)
		fail(camera, "camtap_connect", error);
	read_frames(sheet, &sheet->reader[index], camera, argc == 4);
	return 1;
}
