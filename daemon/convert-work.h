/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CONVERT_WORK_H
#define CAMTAP_DAEMON_CONVERT_WORK_H

/*
 * The inside of a converter. A frame goes through three steps:
 *
 *   load   the cropped picture as planes of 8-bit samples: pointed at in the source where they lie
 *          right, else unpacked or decoded (convert-load.c)
 *   scale  each plane to its goal: to the size that the result is made from (convert-store.c)
 *   store  the goals into the slot's format (convert-store.c)
 *
 * A goal lies in the slot itself where the slot has such a plane, and each step writes to the goal
 * as soon as the size is right, so that a conversion copies no more often than it must.
 */

#include "convert.h"

#include "convert-jpeg.h"
#include "format.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	WORK_PLANES = 3,
};

/* What the planes are. */
enum work_kind {
	WORK_GREY,   /* one plane */
	WORK_YCBCR,  /* Y, Cb, Cr; chroma of any size. One plane alone: grey, its chroma is missing
		      */
	WORK_XR24,   /* one plane of B, G, R, x: four bytes for each of its pixels */
	WORK_RESULT, /* the slot itself: loading it was all */
};

/* How the source's pixels lie. */
enum source_kind {
	SOURCE_KIND_GREY,
	SOURCE_KIND_GREY16,
	SOURCE_KIND_PLANAR,
	SOURCE_KIND_SEMI_PLANAR,
	SOURCE_KIND_PAIRS, /* YUYV and the like */
	SOURCE_KIND_RGB,
	SOURCE_KIND_BAYER,
	SOURCE_KIND_JPEG,
};

struct work_plane {
	const uint8_t *data;
	uint32_t stride;        /* bytes */
	uint32_t width, height; /* samples; of WORK_XR24 pixels */
};

/* Memory for a plane: the converter's own, or part of a slot. */
struct work_room {
	uint8_t *data;
	uint32_t stride;        /* bytes */
	uint32_t width, height; /* samples; of WORK_XR24 pixels */
};

struct convert {
	struct pool_format from, to;
	enum convert_policy policy;
	enum source_kind source;
	enum work_kind kind;

	struct {
		uint32_t x, y, width, height;
	} crop; /* pixels of the source; always set */
	bool scaled;

	/* Pixels per chroma sample. */
	uint32_t chroma_width, chroma_height;
	bool chroma_swapped; /* Cr comes first */
	bool luma_second;    /* PAIRS: UYVY, VYUY */
	uint32_t red_x, red_y;

	struct jpeg_decoder *jpeg;
	uint32_t jpeg_width, jpeg_height; /* pixels of the whole image as it is decoded */
	struct jpeg_region jpeg_region;   /* the crop in it */
	bool jpeg_planes;                 /* decoded to planes, else to pixels */

	/* YCbCr to RGB: libyuv's constants, and whether the range is stretched before. */
	const struct YuvConstants *matrix, *matrix_swapped;
	bool stretch;

	uint32_t goal_count;
	/* data NULL: in the slot, or the plane serves where load finds it */
	struct work_room goals[WORK_PLANES];
	bool goal_in_slot[WORK_PLANES];       /* plane i of the slot */
	struct work_room loaded[WORK_PLANES]; /* what load unpacks and is no goal yet */
	struct work_room large[WORK_PLANES];  /* WORK_XR24, scaled: R, G, B before */
	struct work_room small[WORK_PLANES];  /* and after it */
	struct work_room middle;              /* between the two steps of scaling */
	uint32_t *sums;                       /* of a line of any plane */
	void *bayer;                          /* its lines */
	uint64_t memory;
	char detail[CONVERT_ERROR_SIZE];
};

/* A frame under way. */
struct work {
	uint8_t *slot;
	uint32_t plane_count;
	struct work_plane planes[WORK_PLANES];
};

/* Where goal i of this frame is. */
struct work_room work_goal(const struct convert *convert, const struct work *work, uint32_t i);
/* Is a plane of this size, which belongs to the crop, what goal i wants? */
bool convert_is_goal(const struct convert *convert, uint32_t i, uint32_t width, uint32_t height);

/* The picture's sizes were checked. An enum convert_outcome, or -ENOMEM. */
int convert_load(struct convert *convert, const struct convert_picture *picture, struct work *work);
/* The region of the source that load unpacks: the crop, moved to whole groups of pixels. */
struct work_region {
	uint32_t x, y, width, height; /* pixels */
	uint32_t skip_x, skip_y;      /* pixels of it that are not of the crop */
};
struct work_region convert_region(const struct convert *convert);

/* libyuv's function that makes XR24 of an RGB format; NULL: it is that already, or no RGB. */
typedef int rgb_function(const uint8_t *, int, uint8_t *, int, int, int);
rgb_function *convert_find_to_xr24(uint32_t fourcc);

/* Parts of convert_create(): the result's colorimetry, and the matrix that leads to it; goals and
 * memory (-ENOMEM; convert_destroy() frees what there is). */
void convert_plan_colorimetry(struct convert *convert);
int convert_plan_memory(struct convert *convert);

void convert_scale(struct convert *convert, struct work *work);
void convert_store(struct convert *convert, struct work *work);

static inline bool is_rgb(uint32_t fourcc)
{
	return format_find(fourcc)->flags & FORMAT_RGB;
}

static inline uint32_t divide_up(uint32_t value, uint32_t divisor)
{
	return (value + divisor - 1) / divisor;
}

#endif
