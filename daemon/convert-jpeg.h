/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CONVERT_JPEG_H
#define CAMTAP_DAEMON_CONVERT_JPEG_H

/*
 * JPEG decoding by libjpeg-turbo for convert.c, which explains policies and outcomes. Only grey and
 * YCbCr images. A decoder is used by one thread at a time.
 *
 * It is libjpeg's interface and not TurboJPEG's, since that one keeps the text of the last warning
 * only: which of them harm pixels could not be told. Images without Huffman tables, as MJPEG
 * cameras send them, get the standard ones (T.81 annex K.3) from libjpeg-turbo.
 */

#include "convert.h"

#include <stddef.h>

struct jpeg_decoder;

struct jpeg_decoder_setup {
	uint32_t width, height; /* pixels that every image must have */
	uint32_t scale;         /* 1..8: decode to scale / 8 of that, rounded up */
	bool planes;            /* for jpeg_decode_planes(), which needs memory of its own */
	enum convert_policy policy;
};

/* -ENOMEM. */
int jpeg_decoder_create(const struct jpeg_decoder_setup *setup, struct jpeg_decoder **ret_decoder);
void jpeg_decoder_destroy(struct jpeg_decoder *decoder);
uint64_t jpeg_decoder_memory(const struct jpeg_decoder *decoder); /* bytes */
/* What was wrong with the last image that was not good; "" before the first. */
const char *jpeg_decoder_detail(const struct jpeg_decoder *decoder);

enum jpeg_pixels {
	JPEG_PIXELS_GREY, /* the Y component as it is */
	JPEG_PIXELS_RGB,
	JPEG_PIXELS_BGR,
	JPEG_PIXELS_BGRX, /* x is 255 */
};

/* A rectangle of the decoded, scaled image, in pixels. */
struct jpeg_region {
	uint32_t x, y, width, height;
};

/* Decodes the region to `to`; an enum convert_outcome or -ENOMEM. */
int jpeg_decode_pixels(struct jpeg_decoder *decoder, const uint8_t *data, size_t size,
	enum jpeg_pixels pixels, const struct jpeg_region *region, uint8_t *to, uint32_t stride);

struct jpeg_plane {
	uint8_t *data;          /* in: where it would best be, or NULL; out: where it is */
	uint32_t stride;        /* in, out: bytes */
	uint32_t width, height; /* in: only of this size may it go there; out: samples */
};

/*
 * Decodes to Y, Cb, Cr as they are coded: *ret_count is 3, or 1 for a grey image. Chroma planes
 * have the size that their subsampling gives, or that times 2 or 4 where libjpeg made up for a
 * scale below 8 in them. The planes are in the decoder's memory, valid until its next image, but
 * for those that could go where the caller had room. Same result as above.
 */
int jpeg_decode_planes(struct jpeg_decoder *decoder, const uint8_t *data, size_t size,
	struct jpeg_plane planes[static 3], uint32_t *ret_count);

#endif
