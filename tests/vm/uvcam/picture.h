/* SPDX-License-Identifier: MIT */

/*
 * The pictures of the test camera. The same number always gives the same bytes, so that whoever
 * receives a picture can make it again and compare.
 *
 * YUYV: diagonal stripes that move, with the number in the first and in the last four bytes
 * (little-endian). MJPEG: pictures that were recorded before, one after the other, with the number
 * in a comment (COM) after the start of image, so that no two are equal.
 */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum picture_format {
	PICTURE_MJPEG,
	PICTURE_YUYV,
};

struct picture_size {
	uint16_t width, height; /* pixels */
};

#define PICTURE_SIZES 3
extern const struct picture_size picture_sizes[PICTURE_SIZES];

/* What picture_number() finds must be at least this long. */
#define PICTURE_NUMBER_BYTES 22

struct pictures {
	struct recorded *recorded[PICTURE_SIZES]; /* NULL: nothing was recorded in that size */
	unsigned count[PICTURE_SIZES];
};

/* Reads FOLDER/WIDTHxHEIGHT-*.jpg, in the order of their names; there must be one of each size.
 * folder NULL: there are no recorded pictures. Says on standard error what is wrong. */
bool pictures_load(struct pictures *pictures, const char *folder);

/* Bytes that a buffer for any picture of the size must have. */
size_t picture_room(unsigned size);

/* Makes a picture; size is an index of picture_sizes. Returns its bytes. */
size_t picture_make(const struct pictures *pictures, enum picture_format format, unsigned size,
	uint32_t number, uint8_t *buffer);

/* The number of a picture; false: it has none. */
bool picture_number(
	enum picture_format format, const uint8_t *data, size_t bytes, uint32_t *ret_number);

/* The index of a size; false: there is no such size. */
bool picture_find_size(unsigned width, unsigned height, unsigned *ret_size);
