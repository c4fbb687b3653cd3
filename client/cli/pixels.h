/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_PIXELS_H
#define CAMTAP_CLI_PIXELS_H

/*
 * The pixels of an image in one of the few layouts that file formats want. Nothing is converted
 * that the format at hand does not ask for: planes that lie right are pointed at, not copied.
 */

#include "image.h"

enum pixels_layout {
	PIXELS_GREY,   /* planes[0]: 8 bits */
	PIXELS_GREY16, /* planes[0]: uint16_t in host order, values below 1 << bits */
	PIXELS_420,    /* planes: Y, Cb, Cr; chroma sizes are rounded up */
	PIXELS_422,
	PIXELS_444,
	PIXELS_411, /* decoded JPEGs only */
	PIXELS_440, /* decoded JPEGs only */
	PIXELS_RGB, /* planes[0]: bytes R, G, B */
};

struct pixels_plane {
	const uint8_t *data;
	size_t stride; /* bytes */
};

struct pixels {
	enum pixels_layout layout;
	uint32_t width, height; /* pixels */
	unsigned bits;          /* that carry information in one sample */
	struct pixels_plane planes[3];
	/* Of Y, Cb, Cr. Grey samples are never scaled: they stay as the sensor gave them. */
	uint32_t ycbcr_enc;    /* enum v4l2_ycbcr_encoding, never the default */
	uint32_t quantization; /* enum v4l2_quantization, never the default */
	void *memory;          /* what was not pointed at in the image; owned */
};

/* How a packed RGB format lies in memory. */
struct pixels_packed {
	uint32_t fourcc;
	uint8_t size;             /* bytes per pixel */
	uint8_t red, green, blue; /* byte in the pixel */
};

/* All functions keep no state and may be called from any thread. */

/* Gives the samples as they are, rearranged but not computed with: Y, Cb, Cr planes, or grey. MJPEG
 * is decoded to the samples that are coded in it. The image must outlive the result. -ENOTSUP for
 * RGB, Bayer and video codecs; -EBADMSG: shorter than its format says, or a damaged JPEG; -ENOMEM.
 * `error` then has a line for people. */
int pixels_init_planar(
	struct pixels *ret_pixels, const struct image *image, char error[IMAGE_ERROR_SIZE]);

/* Gives R, G, B, or grey for grey images. Y, Cb, Cr are converted by libyuv as colorspace,
 * ycbcr_enc and quantization say (V4L2's defaults where they are 0); chroma samples are repeated,
 * not interpolated. Alpha is left out. Errors as above. */
int pixels_init_rgb(
	struct pixels *ret_pixels, const struct image *image, char error[IMAGE_ERROR_SIZE]);

void pixels_finish(struct pixels *pixels);

/* Copies Y, Cb, Cr, stretched to full range if they are limited: Y 16..235 becomes 0..255, Cb and
 * Cr 128 +- 112 become 128 +- 127.5 (Rec. ITU-R BT.601 and BT.709), what lies beyond is cut. At odd
 * sizes the last column and line are repeated, so that the planes have whole groups. -ENOMEM
 * (pixels-range.c). */
int pixels_init_full_range(
	struct pixels *ret_pixels, const struct pixels *from, char error[IMAGE_ERROR_SIZE]);
bool pixels_is_full_range(const struct pixels *pixels);
/* Width and height are multiples of the chroma subsampling. */
bool pixels_has_whole_groups(const struct pixels *pixels);

/* Size of a plane's samples in pixels of the plane. */
uint32_t pixels_plane_width(const struct pixels *pixels, unsigned plane);
uint32_t pixels_plane_height(const struct pixels *pixels, unsigned plane);
unsigned pixels_plane_count(const struct pixels *pixels);

/* The row for a packed RGB format; NULL for all others. */
const struct pixels_packed *pixels_packed_find(uint32_t fourcc);

/* 0, or -EBADMSG if the plane is too short for `rows` lines of `line_size` bytes. */
int pixels_check_plane(const struct image *image, unsigned plane, size_t line_size, size_t rows,
	char error[IMAGE_ERROR_SIZE]);

/* Decoding of JPEG, as the functions above (pixels-jpeg.c). */
int pixels_init_jpeg(struct pixels *ret_pixels, const struct image *image, bool rgb,
	char error[IMAGE_ERROR_SIZE]);

#endif
