/* SPDX-License-Identifier: MIT */
#include "picture.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD    2048 /* pixels after which the bars repeat */
#define BAR_COUNT 8
#define BLOCKS    32

/* The bytes of one group of each plane: Y y: luma of its first and second pixel; U V; R G B; X:
 * 255. */
static const struct picture_kind {
	uint32_t fourcc;
	const char *planes[3];
} kinds[] = {
	{V4L2_PIX_FMT_NV12, {"Y", "UV"}},
	{V4L2_PIX_FMT_NV21, {"Y", "VU"}},
	{V4L2_PIX_FMT_NV16, {"Y", "UV"}},
	{V4L2_PIX_FMT_NV24, {"Y", "UV"}},
	{V4L2_PIX_FMT_YUV420, {"Y", "U", "V"}},
	{V4L2_PIX_FMT_YVU420, {"Y", "V", "U"}},
	{V4L2_PIX_FMT_YUV422P, {"Y", "U", "V"}},
	{V4L2_PIX_FMT_YUYV, {"YUyV"}},
	{V4L2_PIX_FMT_UYVY, {"UYVy"}},
	{V4L2_PIX_FMT_YVYU, {"YVyU"}},
	{V4L2_PIX_FMT_VYUY, {"VYUy"}},
	{V4L2_PIX_FMT_GREY, {"Y"}},
	{V4L2_PIX_FMT_RGB24, {"RGB"}},
	{V4L2_PIX_FMT_BGR24, {"BGR"}},
	{V4L2_PIX_FMT_XBGR32, {"BGRX"}},
	{V4L2_PIX_FMT_XRGB32, {"XRGB"}},
};

struct picture_plane {
	uint32_t group_width, group_bytes, groups; /* groups per line */
	uint32_t lines;
	uint32_t offset, stride, line_bytes;
	uint32_t period; /* groups after which the strip repeats */
	uint8_t *strip;  /* period + groups groups: a line begins anywhere in the first period */
};

struct picture {
	uint32_t width, plane_count;
	struct picture_plane planes[FORMAT_PLANES_MAX];
	uint8_t stamp[2][8]; /* one group of plane 0 in black and white */
};

const char *picture_formats(void)
{
	return "NV12 NV21 NV16 NV24 YU12 YV12 422P YUYV UYVY YVYU VYUY GREY RGB3 BGR3 XR24 BX24";
}

/* 75 % bars, BT.601 limited range, as Y U V R G B. */
static const uint8_t bars[BAR_COUNT][6] = {
	{180, 128, 128, 191, 191, 191},
	{162, 44, 142, 191, 191, 0},
	{131, 156, 44, 0, 191, 191},
	{112, 72, 58, 0, 191, 0},
	{84, 184, 198, 191, 0, 191},
	{65, 100, 212, 191, 0, 0},
	{35, 212, 114, 0, 0, 191},
	{104, 128, 128, 96, 96, 96},
};

static uint32_t noise(uint32_t x)
{
	x = (x + 1) * 2654435761u; /* Knuth's multiplicative hash, folded */
	x ^= x >> 15;
	x *= 2246822519u;
	return x ^ x >> 13;
}

static uint8_t component(char name, uint32_t x)
{
	const uint8_t *bar = bars[x % PERIOD * BAR_COUNT / PERIOD];

	switch (name) {
	case 'Y':
		return (uint8_t)(bar[0] + noise(x) % 16);
	case 'y':
		return component('Y', (x + 1) % PERIOD);
	case 'U':
		return (uint8_t)(bar[1] + noise(x ^ 0x10000) % 8);
	case 'V':
		return (uint8_t)(bar[2] + noise(x ^ 0x20000) % 8);
	case 'R':
		return (uint8_t)(bar[3] + noise(x ^ 0x30000) % 16);
	case 'G':
		return (uint8_t)(bar[4] + noise(x ^ 0x40000) % 16);
	case 'B':
		return (uint8_t)(bar[5] + noise(x ^ 0x50000) % 16);
	default:
		return 255;
	}
}

static const struct picture_kind *kind_find(uint32_t fourcc)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (kinds[i].fourcc == fourcc)
			return &kinds[i];
	}
	return NULL;
}

static int plane_init(struct picture_plane *plane, const struct format_plane_info *info,
	const struct format_plane *layout, const char *bytes, uint32_t width, uint32_t height)
{
	uint32_t strip_groups;

	plane->group_width = info->group_width;
	plane->group_bytes = info->group_bytes;
	plane->groups = (width + info->group_width - 1) / info->group_width;
	plane->lines = (height + info->group_height - 1) / info->group_height;
	plane->offset = layout->offset;
	plane->stride = layout->stride;
	plane->line_bytes = plane->groups * plane->group_bytes;
	plane->period = PERIOD / info->group_width;
	strip_groups = plane->period + plane->groups;
	plane->strip = malloc((size_t)strip_groups * plane->group_bytes);
	if (plane->strip == NULL)
		return -ENOMEM;
	for (uint32_t group = 0; group < strip_groups; group++) {
		uint32_t x = group % plane->period * info->group_width;

		for (uint32_t i = 0; i < plane->group_bytes; i++)
			plane->strip[group * plane->group_bytes + i] = component(bytes[i], x);
	}
	return 0;
}

int picture_create(uint32_t fourcc, uint32_t width, uint32_t height,
	const struct format_layout *layout, struct picture **ret_picture)
{
	const struct picture_kind *kind = kind_find(fourcc);
	const struct format_info *info = format_find(fourcc);
	struct picture *picture;
	int error;

	if (kind == NULL || info == NULL)
		return -ENOTSUP;
	if (width < BLOCKS || height < 2 * PICTURE_STAMP_LINES)
		return -EINVAL;
	picture = calloc(1, sizeof *picture);
	if (picture == NULL)
		return -ENOMEM;
	picture->width = width;
	for (uint32_t i = 0; i < info->plane_count; i++) {
		picture->plane_count++;
		error = plane_init(&picture->planes[i], &info->planes[i], &layout->planes[i],
			kind->planes[i], width, height);
		if (error < 0) {
			picture_destroy(picture);
			return error;
		}
	}
	for (uint32_t i = 0; i < info->planes[0].group_bytes; i++) {
		bool chroma = kind->planes[0][i] == 'U' || kind->planes[0][i] == 'V';
		bool rgb = info->flags & FORMAT_RGB;

		picture->stamp[0][i] = chroma ? 128 : rgb ? 0 : 16;
		picture->stamp[1][i] = chroma ? 128 : rgb ? 255 : 235;
	}
	*ret_picture = picture;
	return 0;
}

void picture_destroy(struct picture *picture)
{
	if (picture == NULL)
		return;
	for (uint32_t i = 0; i < picture->plane_count; i++)
		free(picture->planes[i].strip);
	free(picture);
}

/* The bytes of one line of the bars. */
static const uint8_t *line_of(const struct picture_plane *plane, uint32_t line, uint32_t sequence)
{
	uint64_t groups = line + (uint64_t)sequence * (PICTURE_STEP / plane->group_width);

	return plane->strip + groups % plane->period * plane->group_bytes;
}

/* The stamped line: written into `line`, which holds the bars already. */
static void stamp(const struct picture *picture, uint32_t sequence, uint8_t *line)
{
	const struct picture_plane *plane = &picture->planes[0];
	uint32_t block_groups = picture->width / BLOCKS / plane->group_width;

	for (uint32_t block = 0; block < BLOCKS; block++) {
		const uint8_t *group = picture->stamp[sequence >> (BLOCKS - 1 - block) & 1];

		for (uint32_t i = 0; i < block_groups; i++) {
			memcpy(line, group, plane->group_bytes);
			line += plane->group_bytes;
		}
	}
}

void picture_draw(const struct picture *picture, uint32_t sequence, uint8_t *frame)
{
	for (uint32_t i = 0; i < picture->plane_count; i++) {
		const struct picture_plane *plane = &picture->planes[i];
		uint8_t *line = frame + plane->offset;

		for (uint32_t y = 0; y < plane->lines; y++, line += plane->stride)
			memcpy(line, line_of(plane, y, sequence), plane->line_bytes);
	}
	for (uint32_t y = 0; y < PICTURE_STAMP_LINES; y++)
		stamp(picture, sequence,
			frame + picture->planes[0].offset + y * picture->planes[0].stride);
}

bool picture_verify(const struct picture *picture, uint32_t sequence, const uint8_t *frame)
{
	/* widest line: FORMAT_DIMENSION_MAX pixels of 4 bytes */
	uint8_t stamped[FORMAT_DIMENSION_MAX * 4];

	for (uint32_t i = 0; i < picture->plane_count; i++) {
		const struct picture_plane *plane = &picture->planes[i];
		const uint8_t *line = frame + plane->offset;

		for (uint32_t y = 0; y < plane->lines; y++, line += plane->stride) {
			const uint8_t *expected = line_of(plane, y, sequence);

			if (i == 0 && y < PICTURE_STAMP_LINES) {
				memcpy(stamped, expected, plane->line_bytes);
				stamp(picture, sequence, stamped);
				expected = stamped;
			}
			if (memcmp(line, expected, plane->line_bytes) != 0)
				return false;
		}
	}
	return true;
}
