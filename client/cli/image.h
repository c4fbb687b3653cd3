/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_IMAGE_H
#define CAMTAP_CLI_IMAGE_H

/*
 * Writing one picture in a file format. An image is a frame without its camera: plain memory that
 * stays as it is while it is being looked at. One row in image.c's table per file format; each
 * format is a file of its own.
 */

#include "buffer.h"
#include "camtap.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	IMAGE_PLANES_MAX = 4,
	IMAGE_ERROR_SIZE = 256,
};

struct image_plane {
	const uint8_t *data;
	size_t stride;    /* bytes per line, 0: compressed */
	size_t bytesused; /* bytes */
};

/* Values are V4L2's (linux/videodev2.h). */
struct image {
	uint32_t fourcc;
	uint32_t width, height; /* pixels */
	uint32_t field, colorspace, ycbcr_enc, quantization, xfer_func;
	uint32_t rate_numerator, rate_denominator; /* frames per second, 0/0: unknown */
	uint32_t pixel_aspect_numerator, pixel_aspect_denominator; /* 0/0: unknown */
	enum camtap_chroma_siting chroma_siting;
	unsigned plane_count;
	struct image_plane planes[IMAGE_PLANES_MAX];
	const char *comment; /* put into files that have a place for one line of text; NULL: none */
};

/* What encode() makes. {} is empty; the buffers are used again by the next encode(). */
struct encoded {
	struct buffer header;  /* stands once before the first frame; empty but for streams */
	struct buffer body;    /* the frame */
	const char *extension; /* of a file's name, without the dot; static text */
};

struct image_format {
	const char *name;  /* as --format names it */
	bool stream;       /* many frames make one file, as long as their header stays the same */
	bool concatenates; /* frames may follow each other on a pipe */
	bool sidecar;      /* says nothing of what it contains: needs a description beside it */

	/* Writes the image into `ret_encoded`. `quality`: 1 to 100, of JPEG. No state; any thread.
	 * -ENOTSUP: pictures of this kind cannot be written so; -EBADMSG: this frame is damaged;
	 * -ENOMEM. On failure one line for people, which says what to do, is in `error`. */
	int (*encode)(const struct image *image, int quality, struct encoded *ret_encoded,
		char error[IMAGE_ERROR_SIZE]);
};

extern const struct image_format image_jpeg, image_png, image_pnm, image_y4m, image_raw;

/* The format of that name, NULL if there is none. */
const struct image_format *image_format_find(const char *name);

/* "jpeg, png ...": static text. */
const char *image_format_names(void);

void encoded_clear(struct encoded *encoded);
void encoded_finish(struct encoded *encoded);

/* Writes the line for people; returns `error_number` (negative) for `return image_fail(...)`. */
int image_fail(char error[IMAGE_ERROR_SIZE], int error_number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
