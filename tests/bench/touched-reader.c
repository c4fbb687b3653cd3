/* SPDX-License-Identifier: MIT */

/*
 * touched-reader SOCKET FRAMES [poll]: reads FRAMES frames as camtap.h's first example does; poll:
 * as a program with an event loop, that waits for camtap_fd(). For touched.py: first says where its
 * frame_ends() is, which it calls after each frame, and last what is mapped where.
 */

#include "camtap.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile unsigned seen; /* so that looking is not optimised away */

__attribute__((noinline)) static void frame_ends(void)
{
	__asm__ volatile("");
}

static void print_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		fputs(line, stdout);
}

int main(int argc, char **argv)
{
	bool polls = argc == 4 && strcmp(argv[3], "poll") == 0;
	struct camtap *camera;
	struct camtap_frame *frame;

	if (argc < 3 || camtap_new(&camera) < 0 || camtap_set_socket(camera, argv[1]) < 0 ||
		camtap_connect(camera) < 0)
		return 2;
	printf("%p\n", (void *)frame_ends);
	for (int left = atoi(argv[2]); left > 0;) {
		struct pollfd pollfd = {.fd = polls ? camtap_fd(camera) : -1, .events = POLLIN};

		int outcome;

		if (polls)
			(void)poll(&pollfd, 1, -1);
		outcome = camtap_next(camera, &frame, polls ? 0 : -1);
		if (outcome < 0)
			return 1;
		if (outcome != CAMTAP_FRAME)
			continue;
		seen += *(const unsigned char *)camtap_frame_data(frame, 0);
		if (camtap_release(frame) == 0)
			left--;
		frame_ends();
	}
	print_maps();
	camtap_close(camera);
	return 0;
}
