/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The structure of JPEG data (ITU-T T.81 annex B): where an image ends, and whether it is whole.
 *
 * This is what can be known without decoding: markers, segment lengths, the headers of frame, scans
 * and tables, the order and number of the restart markers. Damage within the entropy-coded bits
 * themselves is seen by a decoder only, and so are quantisation values.
 *
 * Nothing here allocates or blocks; a scanner may be used by one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jpeg_scan_result {
	JPEG_SCAN_COMPLETE,  /* the image ended, and it was whole */
	JPEG_SCAN_NEED_MORE, /* everything was looked at, the image goes on */
	JPEG_SCAN_CORRUPT,   /* this cannot be the inside of a JPEG image */
};

/* Why data is corrupt. */
enum jpeg_fault {
	JPEG_FAULT_NONE,
	JPEG_FAULT_NO_IMAGE,   /* does not begin with SOI */
	JPEG_FAULT_NEXT_IMAGE, /* another SOI before this image's end: its tail is missing */
	JPEG_FAULT_MARKER,     /* no marker where one must be, or a misplaced one */
	JPEG_FAULT_SEGMENT,    /* a length or a value that its kind of segment cannot have */
	JPEG_FAULT_TABLE,      /* a scan whose quantisation or Huffman table is missing */
	JPEG_FAULT_SCAN,       /* a scan of what an image of its kind cannot have, or has already */
	JPEG_FAULT_RESTART,    /* restart markers out of order, missing, or too many */
	JPEG_FAULT_INCOMPLETE, /* a scan without data, or EOI before all components are complete */
	JPEG_FAULT_UNSUPPORTED, /* not 8 bit, arithmetic, lossless, hierarchical, height unknown */
};

struct jpeg_component {
	uint8_t id;
	uint8_t horizontal, vertical; /* sampling factors 1..4: 2x2, 1x1, 1x1 is 4:2:0 */
	uint8_t table;                /* quantisation table 0..3 */
};

/* What the headers say. */
struct jpeg_image {
	uint32_t width, height;  /* pixels, 1..65535; 0 until the frame header was seen */
	uint8_t component_count; /* 1 grey, 3 YCbCr, 4 CMYK; 0 until the frame header was seen */
	bool progressive;
	struct jpeg_component components[4];
	size_t length; /* bytes from SOI to EOI, both included; so far, until it is complete */
	enum jpeg_fault fault;
};

/* A scanner. Callers may look at image between calls; the rest is its own. */
struct jpeg_scan {
	struct jpeg_image image;

	int step;
	uint8_t marker;        /* whose segment it is in */
	uint32_t segment_left; /* bytes of the segment after those being collected or skipped */
	uint32_t skip;         /* bytes */
	uint8_t header[18];    /* bytes that can only be understood together */
	uint8_t header_size, header_need;

	uint8_t tables_defined;     /* bit n: quantisation table n */
	uint8_t huffman_defined[2]; /* for DC, AC; bit n: table n */
	bool huffman_seen;          /* else the standard tables are meant */
	uint8_t huffman_class;      /* of the table whose symbols are being looked at */
	uint64_t symbols[4];        /* bit n: symbol n was in that table */

	uint8_t components_done; /* bit n: component n had its scan; sequential images */
	/* Progressive images: the lowest bit of each coefficient that has come, and one more; 0:
	 * none has. */
	uint8_t progress[4][64];
	uint32_t restart_interval; /* MCUs; 0: none */
	uint64_t restart_count;    /* markers in this scan */
	uint64_t restart_expected;
	bool scan_data; /* since the scan began, or the last restart marker */
};

/* Prepares a scanner for an image. Needs no counterpart. */
void jpeg_scan_init(struct jpeg_scan *scan);

/*
 * Looks at the next size bytes of the stream, each of them once.
 *
 * *ret_consumed: NEED_MORE: all of them. COMPLETE: those up to and including EOI, the others belong
 * to whatever follows. CORRUPT: those up to and including the one that gave it away; with
 * JPEG_FAULT_NEXT_IMAGE the last two bytes of the stream so far are the next image's SOI, and the
 * first of them may have come with an earlier call.
 *
 * After COMPLETE or CORRUPT the scanner must be initialized again.
 */
enum jpeg_scan_result jpeg_scan_feed(
	struct jpeg_scan *scan, const void *data, size_t size, size_t *ret_consumed);

enum jpeg_check_result {
	JPEG_CHECK_GOOD,
	JPEG_CHECK_TRUNCATED,  /* ends before EOI, or is empty */
	JPEG_CHECK_CORRUPT,    /* ret_image->fault says why */
	JPEG_CHECK_WRONG_SIZE, /* whole, but not width x height */
};

/*
 * Checks the frame of a camera: a JPEG image, then perhaps padding, which may be anything (drivers
 * report the size of their buffer, or leave the last frame's bytes in it).
 *
 * width, height: the dimensions that it must have, in pixels; 0, 0: any.
 * *ret_image is always written: what was seen. With GOOD its length is that without the padding.
 */
enum jpeg_check_result jpeg_check(const void *data, size_t size, uint32_t width, uint32_t height,
	struct jpeg_image *ret_image);

/* In a few lower-case words, for logs; never NULL. */
const char *jpeg_fault_to_string(enum jpeg_fault fault);
const char *jpeg_check_result_to_string(enum jpeg_check_result result);
