/* SPDX-License-Identifier: MIT */

/*
 * uvcam-check FILE MJPG|YUYV WIDTHxHEIGHT [FOLDER]: prints the numbers of the test camera's
 * pictures that lie in a file one after the other, as `v4l2-ctl --stream-to` writes them. Ends with
 * 1 at the first byte that the camera did not send.
 */

#include "picture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(void)
{
	fprintf(stderr, "usage: uvcam-check FILE MJPG|YUYV WIDTHxHEIGHT [FOLDER]\n");
	return 2;
}

int main(int argc, char **argv)
{
	unsigned width, height, size;
	enum picture_format format;
	struct pictures pictures;
	uint8_t *expected, *found;
	size_t bytes, kept = 0;
	uint32_t number;
	FILE *file;

	if (argc < 4 || argc > 5 || sscanf(argv[3], "%ux%u", &width, &height) != 2 ||
		!picture_find_size(width, height, &size))
		return usage();
	format = strcmp(argv[2], "YUYV") == 0 ? PICTURE_YUYV : PICTURE_MJPEG;
	if (!pictures_load(&pictures, argc == 5 ? argv[4] : NULL) ||
		(format == PICTURE_MJPEG && argc < 5))
		return usage();
	file = fopen(argv[1], "re");
	if (file == NULL) {
		perror(argv[1]);
		return 1;
	}
	expected = malloc(picture_room(size));
	found = malloc(picture_room(size));
	for (;;) {
		kept += fread(found + kept, 1, picture_room(size) - kept, file);
		if (kept == 0)
			return 0;
		if (!picture_number(format, found, kept, &number)) {
			fprintf(stderr, "uvcam-check: no picture of the camera's\n");
			return 1;
		}
		bytes = picture_make(&pictures, format, size, number, expected);
		if (bytes > kept || memcmp(expected, found, bytes) != 0) {
			fprintf(stderr, "uvcam-check: picture %" PRIu32 " is damaged\n", number);
			return 1;
		}
		printf("%" PRIu32 "\n", number);
		kept -= bytes;
		memmove(found, found + bytes, kept);
	}
}
