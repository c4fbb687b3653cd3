/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CONVERT_H
#define CAMTAP_DAEMON_CONVERT_H

/*
 * Conversion of frames for derived streams: decoding, pixel formats, crop, scale.
 *
 *   from                                    to
 *   MJPG JPEG                               GREY YU12 NV12 RGB3 BGR3 XR24
 *   YUYV UYVY YVYU VYUY NV12 NV21 NV16      the same
 *   NV24 YU12 YV12 422P
 *   RGB3 BGR3 and the 32-bit RGB formats    the same
 *   GREY Y10 Y12 Y16 Y16-BE                 the same
 *   Bayer of 8, 10, 12 bits                 the same
 *
 * The crop is cut first, then it is scaled, in the horizontal and the vertical alike: larger, or
 * smaller by less than 2, bilinearly by libyuv; else bilinearly to a whole multiple of the new size
 * and then by means of whole boxes, so that every pixel of the source counts. (libyuv lays the
 * centres of a smaller picture's pixels over the larger one's, but corner pixels on corner pixels
 * where the picture becomes larger by other than 2.) A JPEG image that becomes smaller is decoded
 * smaller, to 1/2, 1/4 or 1/8, as far as all numbers remain whole.
 *
 * Crop offsets must be multiples of the source's chroma subsampling (even for 4:2:0, and for JPEG
 * of whatever kind; even columns for 4:2:2): moving chroma by half a sample would blur it. To GREY,
 * and from RGB, grey and Bayer, they may be any.
 *
 * Colorimetry. Y, Cb, Cr stay what they are: size and subsampling change, the encoding and range do
 * not, and GREY is the Y of the source. YCbCr to RGB honours encoding (BT.601, BT.709, BT.2020;
 * SMPTE 240M by BT.709's weights, which differ by 0.015) and range, V4L2's defaults where they are
 * 0, and repeats chroma samples, unless they are scaled anyway; JPEG is full range BT.601 (JFIF)
 * whatever the driver says, and libjpeg interpolates its chroma. RGB becomes limited range BT.601
 * in YU12 and NV12, with chroma in the middle of each 2x2 pixels, and BT.601 luma of the RGB's own
 * range in GREY. RGB of limited range can only become RGB and GREY. Grey of a sensor whose range is
 * not stated counts as full range and is never stretched: R = G = B = Y. Of more than 8 bits the
 * highest 8 are taken. convert_format() says what came of it, never the default.
 *
 * Bayer: bilinear interpolation, mirrored at the edges; no white balance, no gamma.
 *
 * The input's sizes are all checked: its content is never trusted. A converter is used by one
 * thread at a time; nothing is global. What a frame needs is allocated by convert_create(), apart
 * from libjpeg's own working memory and libyuv's line buffers.
 */

#include "pool-layout.h"
#include "stream-request.h"

#include <stdint.h>

#define CONVERT_ERROR_SIZE   384
#define CONVERT_FORMATS_MAX  8
#define CONVERT_FORMATS_SIZE (8 * CONVERT_FORMATS_MAX)
/* More scans than any encoder makes; each costs a pass over the whole image. */
#define CONVERT_SCANS_MAX 32

struct convert;

/*
 * When a JPEG frame is refused. Damage that may have changed a pixel (a bad code, missing data, a
 * misplaced restart marker, an inconsistent progression) refuses it always. What libjpeg merely
 * finds odd refuses it under STRICT only: extraneous bytes before a marker, a missing EOI, wrong
 * spectral parameters of a sequential scan, unknown JFIF or Adobe versions, a bad ICC marker. What
 * comes after the last pixel that is wanted is read under STRICT only.
 */
enum convert_policy {
	CONVERT_LENIENT,
	CONVERT_STRICT,
};

/* What became of a frame. */
enum convert_outcome {
	CONVERT_DONE = 0,
	CONVERT_SHORT,       /* fewer bytes or planes than the format has */
	CONVERT_BAD_HEADER,  /* not a JPEG image, or a damaged header */
	CONVERT_WRONG_SIZE,  /* a JPEG image whose header says another size than the format */
	CONVERT_UNSUPPORTED, /* a kind of JPEG that no camera sends: CMYK, RGB, arithmetic ... */
	CONVERT_SCANS,       /* a JPEG image of more than CONVERT_SCANS_MAX scans */
	CONVERT_DAMAGED,     /* JPEG data of which pixels are missing or wrong */
	CONVERT_ODD,         /* STRICT: harmless oddities */
	CONVERT_OUTCOME_COUNT,
};

/* A frame, as its descriptor says. Not copied. */
struct convert_plane {
	const uint8_t *data;
	uint32_t stride;    /* bytes; ignored for compressed formats */
	uint32_t bytesused; /* bytes that may be read from data */
};

struct convert_picture {
	uint32_t plane_count;
	struct convert_plane planes[POOL_PLANES_MAX];
};

/*
 * Prepares conversion of frames of the format `from`.
 *
 * -ENOTSUP: this cannot be made from that; -EINVAL: the crop lies outside of the picture or between
 * chroma samples; -EOVERFLOW: larger than a frame can be; -ENOMEM. `error` then says in one line
 * what is wrong and what there is instead; *ret_convert is written on success only.
 */
int convert_create(const struct pool_format *from, const struct stream_request *request,
	enum convert_policy policy, struct convert **ret_convert,
	char error[static CONVERT_ERROR_SIZE]);
/* NULL is allowed. */
void convert_destroy(struct convert *convert);

/* The format of the frames that come out: complete but for field and pixel aspect, which are the
 * source's (the aspect is scaled along). The rate is the source's or the request's, whichever is
 * lower. Lives as long as the converter. */
const struct pool_format *convert_format(const struct convert *convert);

/* Bytes that the converter keeps allocated, to be counted against the limit of memory; at most as
 * much again of libjpeg's comes to it while a progressive image is decoded. */
uint64_t convert_memory(const struct convert *convert);

/*
 * Converts a frame into `slot`: format.frame_size bytes of it, every one of them written.
 *
 * An enum convert_outcome: after any but CONVERT_DONE the slot's content is undefined. -ENOMEM;
 * -EINVAL: the slot is too small.
 */
int convert_frame(struct convert *convert, const struct convert_picture *picture, uint8_t *slot,
	uint32_t slot_size);

/* What exactly was wrong with the last frame, one line for people; "" if it was CONVERT_DONE. */
const char *convert_detail(const struct convert *convert);

/* Lists the fourccs that can be made of a format; returns how many. */
uint32_t convert_formats(
	const struct pool_format *from, uint32_t ret_fourccs[static CONVERT_FORMATS_MAX]);

/* In a few lower-case words, for logs and counters; never NULL. */
const char *convert_outcome_to_string(enum convert_outcome outcome);

#endif
