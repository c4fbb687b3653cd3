/* SPDX-License-Identifier: MIT */

/* The test picture must prove itself untorn, or the tests that rely on it prove nothing. */

#include "picture.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct drawn {
	struct picture *picture;
	struct format_layout layout;
	uint8_t *frame;
};

static struct drawn drawn_create(
	uint32_t fourcc, uint32_t width, uint32_t height, uint32_t sequence)
{
	struct drawn drawn;

	assert_int_equal(format_layout_init(fourcc, width, height, 0, &drawn.layout), 0);
	assert_int_equal(picture_create(fourcc, width, height, &drawn.layout, &drawn.picture), 0);
	drawn.frame = calloc(1, drawn.layout.size);
	assert_non_null(drawn.frame);
	picture_draw(drawn.picture, sequence, drawn.frame);
	return drawn;
}

static void drawn_destroy(struct drawn *drawn)
{
	picture_destroy(drawn->picture);
	free(drawn->frame);
}

static const uint32_t fourccs[] = {V4L2_PIX_FMT_NV12, V4L2_PIX_FMT_NV21, V4L2_PIX_FMT_NV16,
	V4L2_PIX_FMT_NV24, V4L2_PIX_FMT_YUV420, V4L2_PIX_FMT_YVU420, V4L2_PIX_FMT_YUV422P,
	V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_UYVY, V4L2_PIX_FMT_YVYU, V4L2_PIX_FMT_VYUY,
	V4L2_PIX_FMT_GREY, V4L2_PIX_FMT_RGB24, V4L2_PIX_FMT_BGR24, V4L2_PIX_FMT_XBGR32,
	V4L2_PIX_FMT_XRGB32};

static void verifies_itself_and_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof fourccs / sizeof *fourccs; i++) {
		struct drawn drawn = drawn_create(fourccs[i], 322, 66, 1234567);

		assert_true(picture_verify(drawn.picture, 1234567, drawn.frame));
		assert_false(picture_verify(drawn.picture, 1234568, drawn.frame));
		assert_false(picture_verify(drawn.picture, 1234567 - 256, drawn.frame));
		drawn_destroy(&drawn);
	}
}

/* 64 stale bytes of an older frame, anywhere but where both show the same: in the blocks of the
 * number. */
static void finds_every_stale_piece(void **state)
{
	static const uint32_t ages[] = {1, 2, 3, 16, 100};

	(void)state;
	for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
		struct drawn now = drawn_create(V4L2_PIX_FMT_NV12, 640, 360, 1000);
		struct drawn old = drawn_create(V4L2_PIX_FMT_NV12, 640, 360, 1000 - ages[i]);

		for (size_t at = 0; at + 64 <= now.layout.size; at += 64) {
			uint8_t kept[64];

			if (at < 640 * PICTURE_STAMP_LINES &&
				memcmp(now.frame + at, old.frame + at, 64) == 0)
				continue;
			memcpy(kept, now.frame + at, 64);
			memcpy(now.frame + at, old.frame + at, 64);
			if (picture_verify(now.picture, 1000, now.frame))
				fail_msg("64 stale bytes at %zu, of %u frames before", at, ages[i]);
			memcpy(now.frame + at, kept, 64);
		}
		drawn_destroy(&now);
		drawn_destroy(&old);
	}
}

static void each_line_is_the_line_above_shifted(void **state)
{
	struct drawn drawn = drawn_create(V4L2_PIX_FMT_NV12, 640, 360, 77);
	const struct format_plane *luma = &drawn.layout.planes[0],
				  *chroma = &drawn.layout.planes[1];

	(void)state;
	for (uint32_t y = PICTURE_STAMP_LINES + 1; y < 360; y++)
		assert_memory_equal(drawn.frame + y * luma->stride,
			drawn.frame + (y - 1) * luma->stride + 1, 639);
	for (uint32_t y = 1; y < 180; y++)
		assert_memory_equal(drawn.frame + chroma->offset + y * chroma->stride,
			drawn.frame + chroma->offset + (y - 1) * chroma->stride + 2, 638);
	drawn_destroy(&drawn);
}

static void shows_its_number(void **state)
{
	struct drawn drawn = drawn_create(V4L2_PIX_FMT_YUYV, 640, 360, 0xa5c30f81);
	uint32_t number = 0;

	(void)state;
	for (uint32_t block = 0; block < 32; block++) /* the middle of each block of 20 pixels */
		number = number << 1 |
			 (drawn.frame[8 * drawn.layout.planes[0].stride + (block * 20 + 10) * 2] >
				 128);
	assert_int_equal(number, 0xa5c30f81);
	drawn_destroy(&drawn);
}

static void refuses_what_it_cannot_draw(void **state)
{
	struct format_layout layout;
	struct picture *picture;

	(void)state;
	assert_int_equal(format_layout_init(V4L2_PIX_FMT_MJPEG, 640, 360, 0, &layout), 0);
	assert_int_equal(picture_create(V4L2_PIX_FMT_MJPEG, 640, 360, &layout, &picture), -ENOTSUP);
	assert_int_equal(format_layout_init(V4L2_PIX_FMT_GREY, 16, 16, 0, &layout), 0);
	assert_int_equal(picture_create(V4L2_PIX_FMT_GREY, 16, 16, &layout, &picture), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verifies_itself_and_no_other),
		cmocka_unit_test(finds_every_stale_piece),
		cmocka_unit_test(each_line_is_the_line_above_shifted),
		cmocka_unit_test(shows_its_number),
		cmocka_unit_test(refuses_what_it_cannot_draw),
	};

	return cmocka_run_group_tests_name("picture", tests, NULL, NULL);
}
