/* SPDX-License-Identifier: MIT */

#include "picture.h"

#include <endian.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRIPES       128 /* macropixels after which the stripes begin anew */
#define COMMENT       "frame "
#define COMMENT_BYTES (4 + sizeof COMMENT - 1 + 10) /* marker, length, text, number */

const struct picture_size picture_sizes[PICTURE_SIZES] = {{320, 180}, {640, 360}, {1280, 720}};

struct recorded {
	uint8_t *data;
	size_t bytes;
};

static bool read_file(const char *path, size_t room, struct recorded *ret_recorded)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(room);
	size_t bytes;

	if (file == NULL || data == NULL) {
		fprintf(stderr, "uvcam: %s: %s\n", path, strerror(errno));
		return false;
	}
	bytes = fread(data, 1, room, file);
	fclose(file);
	if (bytes < 4 || bytes == room || data[0] != 0xff || data[1] != 0xd8) {
		fprintf(stderr, "uvcam: %s: no JPEG picture, or too large a one\n", path);
		return false;
	}
	*ret_recorded = (struct recorded){realloc(data, bytes), bytes};
	return true;
}

static bool load_size(struct pictures *pictures, unsigned size, const char *folder)
{
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof pattern, "%s/%ux%u-*.jpg", folder, picture_sizes[size].width,
		picture_sizes[size].height);
	if (glob(pattern, 0, NULL, &found) != 0) {
		fprintf(stderr, "uvcam: no picture: %s\n", pattern);
		return false;
	}
	pictures->recorded[size] = calloc(found.gl_pathc, sizeof *pictures->recorded[size]);
	for (; pictures->count[size] < found.gl_pathc; pictures->count[size]++) {
		unsigned i = pictures->count[size];

		if (!read_file(found.gl_pathv[i], picture_room(size) - COMMENT_BYTES,
			    &pictures->recorded[size][i]))
			return false;
	}
	globfree(&found);
	return true;
}

bool pictures_load(struct pictures *pictures, const char *folder)
{
	*pictures = (struct pictures){0};
	for (unsigned size = 0; folder != NULL && size < PICTURE_SIZES; size++)
		if (!load_size(pictures, size, folder))
			return false;
	return true;
}

size_t picture_room(unsigned size)
{
	return (size_t)picture_sizes[size].width * picture_sizes[size].height * 2;
}

/* One line that is longer than the picture's; every row of the picture is a part of it. */
static size_t make_yuyv(unsigned size, uint32_t number, uint8_t *buffer)
{
	size_t row = picture_sizes[size].width * 2, bytes = picture_room(size);
	uint8_t line[(1280 / 2 + STRIPES) * 4];
	uint32_t mark = htole32(number);

	for (unsigned i = 0; i < sizeof line / 4; i++) {
		line[4 * i] = (uint8_t)(2 * i);
		line[4 * i + 1] = (uint8_t)(i + number);
		line[4 * i + 2] = (uint8_t)(2 * i + 1);
		line[4 * i + 3] = (uint8_t)(3 * i);
	}
	for (unsigned y = 0; y < picture_sizes[size].height; y++)
		memcpy(buffer + y * row, line + (size_t)((y + 2 * number) % STRIPES) * 4, row);
	memcpy(buffer, &mark, sizeof mark);
	memcpy(buffer + bytes - sizeof mark, &mark, sizeof mark);
	return bytes;
}

static size_t make_mjpeg(
	const struct pictures *pictures, unsigned size, uint32_t number, uint8_t *buffer)
{
	const struct recorded *recorded = &pictures->recorded[size][number % pictures->count[size]];
	char text[COMMENT_BYTES];
	size_t at = 2;

	memcpy(buffer, recorded->data, at);
	/* The length counts itself and the text, not the marker. */
	memcpy(buffer + at, (uint8_t[]){0xff, 0xfe, 0, COMMENT_BYTES - 2}, 4);
	snprintf(text, sizeof text, COMMENT "%010" PRIu32, number);
	memcpy(buffer + at + 4, text, COMMENT_BYTES - 4);
	at += COMMENT_BYTES;
	memcpy(buffer + at, recorded->data + 2, recorded->bytes - 2);
	return at + recorded->bytes - 2;
}

size_t picture_make(const struct pictures *pictures, enum picture_format format, unsigned size,
	uint32_t number, uint8_t *buffer)
{
	return format == PICTURE_YUYV ? make_yuyv(size, number, buffer)
				      : make_mjpeg(pictures, size, number, buffer);
}

bool picture_number(
	enum picture_format format, const uint8_t *data, size_t bytes, uint32_t *ret_number)
{
	char text[COMMENT_BYTES - 4 + 1] = "";
	uint32_t mark;

	if (bytes < PICTURE_NUMBER_BYTES)
		return false;
	if (format == PICTURE_YUYV) {
		memcpy(&mark, data, sizeof mark);
		*ret_number = le32toh(mark);
		return true;
	}
	memcpy(text, data + 2 + 4, sizeof text - 1);
	return sscanf(text, COMMENT "%" SCNu32, ret_number) == 1;
}

bool picture_find_size(unsigned width, unsigned height, unsigned *ret_size)
{
	for (unsigned size = 0; size < PICTURE_SIZES; size++)
		if (picture_sizes[size].width == width && picture_sizes[size].height == height) {
			*ret_size = size;
			return true;
		}
	return false;
}
