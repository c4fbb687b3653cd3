/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pixel formats: what a V4L2 fourcc means for the bytes of a frame.
 *
 * All functions are pure: they keep no state and may be called from any thread.
 */

#include <stdint.h>

enum {
	FORMAT_PLANES_MAX = 4,
	FORMAT_TEXT_SIZE = 8,           /* four characters, "-BE", NUL */
	FORMAT_DIMENSION_MAX = 16384,   /* pixels, of width and of height */
	FORMAT_SIZE_MAX = (1 << 30) - 1 /* bytes of one frame: less than 1 GiB */
};

enum format_flag {
	FORMAT_COMPRESSED = 1 << 0, /* opaque bytes, no lines */
	FORMAT_BAYER = 1 << 1,      /* one colour per pixel, raw from a sensor */
	FORMAT_RGB = 1 << 2,
	FORMAT_GREY = 1 << 3,
};

/*
 * A plane consists of groups: the smallest rectangle of pixels that has bytes of its own in it.
 * YUYV: one plane, 2x1 pixels in 4 bytes. NV12: 1x1 pixels in 1 byte, then 2x2 pixels in 2 bytes.
 * So group_width and group_height are the plane's subsampling. Compressed formats have zeros.
 */
struct format_plane_info {
	uint8_t group_width;  /* pixels */
	uint8_t group_height; /* pixels */
	uint8_t group_bytes;
};

struct format_info {
	uint32_t fourcc;
	const char *description;
	uint8_t bits; /* that carry information in one sample: 8, 10, 12, 16; 0: compressed */
	uint8_t plane_count;
	uint16_t flags; /* enum format_flag; none: YCbCr */
	struct format_plane_info planes[FORMAT_PLANES_MAX];
};

/* One plane within a frame's bytes. */
struct format_plane {
	uint32_t offset; /* bytes from the start of the frame */
	uint32_t stride; /* bytes from one line to the next; 0: compressed */
	uint32_t size;   /* bytes */
};

struct format_layout {
	uint32_t plane_count;
	struct format_plane planes[FORMAT_PLANES_MAX];
	uint32_t size; /* bytes of a whole frame; of the largest one, if compressed */
};

/* The table's row for a V4L2 fourcc, which lives for ever; NULL if the table has none. */
const struct format_info *format_find(uint32_t fourcc);

/* The format with the same planes in one buffer, for one of V4L2's that has a buffer for each of
 * them (NM12: NV12); of any other format itself. */
uint32_t format_in_one_buffer(uint32_t fourcc);

/*
 * Where the planes of a frame lie, for the formats whose planes follow each other in one buffer.
 *
 * width and height are in pixels, bytesperline is that of the first plane in bytes, 0 asks for the
 * smallest. The other planes' strides follow from it as V4L2 says: the same number of padding
 * pixels at the end of their lines, so NV12 has the same stride in both planes, NV24 twice, YU12
 * half (https://docs.kernel.org/userspace-api/media/v4l/pixfmt-yuv-planar.html and the field
 * bytesperline in https://docs.kernel.org/userspace-api/media/v4l/pixfmt-v4l2.html). There all
 * sizes are multiples of the subsampling; odd ones are rounded up here, in the chroma planes and in
 * the pixel pairs of YUYV, as v4l2_fill_pixfmt() of the kernel, Y4M and AVI do.
 *
 * A compressed frame is one plane without stride; bytesperline is ignored. Its size is a bound of
 * ours: width * height * 2, what the same picture takes uncompressed as YUYV, since a camera that
 * needed more would not compress; but at least 64 KiB, because headers, tables and thumbnails
 * do not shrink with the picture.
 *
 * 0; -ENOTSUP: not in the table; -EINVAL: width or height is 0, or bytesperline too small for the
 * width; -EOVERFLOW: a dimension is beyond FORMAT_DIMENSION_MAX or the frame beyond
 * FORMAT_SIZE_MAX. *ret_layout is written only on success; planes that do not exist are zeros.
 */
int format_layout_init(uint32_t fourcc, uint32_t width, uint32_t height, uint32_t bytesperline,
	struct format_layout *ret_layout);

/*
 * Reads the name of a format of the table: its fourcc as text, in either case, with or without
 * trailing blanks, with "-BE" if bit 31 is set ("Y16", "Y16 ", "yuyv", "Y16-BE"); or an alias:
 * gray8, grey8, bgr24, rgb24, i420, mjpeg. 0, or -EINVAL if it is none of these.
 */
int format_parse(const char *text, uint32_t *ret_fourcc);

/*
 * Writes a fourcc, of the table or not, as text that is safe on a terminal: bytes that are not
 * printable ASCII become '?', trailing blanks are left out, and bit 31 (big endian) becomes "-BE",
 * as v4l2-ctl prints it. format_parse() reads it back.
 */
void format_print(uint32_t fourcc, char text[static FORMAT_TEXT_SIZE]);
