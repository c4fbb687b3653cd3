/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_PICTURE_H
#define CAMTAP_DAEMON_PICTURE_H

/*
 * The moving test picture: diagonal colour bars with a little noise, and the frame's sequence
 * number. It shows that it is untorn, without one's knowing how it was made:
 *
 * - In every plane, each line is the line above shifted left by one group (the plane's smallest
 * unit: one pixel of NV12's Y plane, one CbCr pair of its second plane, one YUYV pair of pixels).
 * The noise makes a line of another frame break this. The top PICTURE_STAMP_LINES lines of plane 0
 * are excepted:
 * - they show the sequence number as 32 blocks of width / 32 pixels, rounded down to whole groups,
 * most significant bit left, white (1) or black (0); what is right of the last block belongs to the
 * bars.
 *
 * A tear exactly below the number, or between two planes, is seen by picture_verify() only, which
 * knows every byte. From one frame to the next the bars move PICTURE_STEP pixels to the left.
 */

#include "format.h"

#include <stdbool.h>
#include <stdint.h>

#define PICTURE_STAMP_LINES 16
#define PICTURE_STEP        8 /* pixels per frame */

struct picture;

/* Prepares pictures of width x height pixels with the layout `layout`. -ENOTSUP if the fourcc is
 * none of 8 bits per component, -EINVAL below 32 x 32 pixels, -ENOMEM. */
int picture_create(uint32_t fourcc, uint32_t width, uint32_t height,
	const struct format_layout *layout, struct picture **ret_picture);
void picture_destroy(struct picture *picture);

/* Draws the picture of `sequence` into `frame` (layout->size bytes; bytes between lines are not
 * touched). */
void picture_draw(const struct picture *picture, uint32_t sequence, uint8_t *frame);

/* Is `frame` the whole picture of `sequence` and of no other? */
bool picture_verify(const struct picture *picture, uint32_t sequence, const uint8_t *frame);

/* The fourccs that picture_create() takes, as text for people. */
const char *picture_formats(void);

#endif
