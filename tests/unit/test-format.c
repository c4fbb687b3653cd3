/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>
#include <linux/videodev2.h>

#include "format.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* What the design promises to know, by the text that V4L2 gives it. */
static const char *const promised[] = {"YUYV", "UYVY", "YVYU", "VYUY", "NV12", "NV21", "NV16",
	"NV24", "YU12", "YV12", "422P", "RGB3", "BGR3", "XR24", "AR24", "BX24", "BA24", "XB24",
	"AB24", "RX24", "RA24", "BGR4", "RGB4", "GREY", "Y10", "Y12", "Y16", "Y16-BE", "BA81",
	"GBRG", "GRBG", "RGGB", "BG10", "GB10", "BA10", "RG10", "BG12", "GB12", "BA12", "RG12",
	"MJPG", "JPEG", "H264", "HEVC"};

static uint32_t fourcc_of(const char *text)
{
	uint32_t fourcc = 0;

	assert_int_equal(format_parse(text, &fourcc), 0);
	return fourcc;
}

static void every_format_is_known_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(promised); i++) {
		char text[FORMAT_TEXT_SIZE];
		uint32_t fourcc = fourcc_of(promised[i]);
		const struct format_info *info = format_find(fourcc);

		assert_non_null(info);
		assert_int_equal(info->fourcc, fourcc);
		assert_true(info->plane_count >= 1 && info->plane_count <= FORMAT_PLANES_MAX);
		assert_true(strlen(info->description) > 0);
		format_print(fourcc, text);
		assert_string_equal(text, promised[i]);

		/* else one of the two could not be reached: case does not matter */
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(strcasecmp(promised[i], promised[j]), 0);
	}
	assert_null(format_find(0));
	assert_null(format_find(v4l2_fourcc('N', 'O', 'P', 'E')));
}

static void names_are_parsed(void **state)
{
	static const struct {
		const char *text;
		uint32_t fourcc;
	} good[] = {
		{"YUYV", V4L2_PIX_FMT_YUYV},
		{"yuyv", V4L2_PIX_FMT_YUYV},
		{"nv12", V4L2_PIX_FMT_NV12},
		{"Y16", V4L2_PIX_FMT_Y16},
		{"Y16 ", V4L2_PIX_FMT_Y16},
		{"y16", V4L2_PIX_FMT_Y16},
		{"Y16-BE", V4L2_PIX_FMT_Y16_BE},
		{"Y16 -BE", V4L2_PIX_FMT_Y16_BE},
		{"Y10", V4L2_PIX_FMT_Y10},
		{"gray8", V4L2_PIX_FMT_GREY},
		{"grey8", V4L2_PIX_FMT_GREY},
		{"GREY", V4L2_PIX_FMT_GREY},
		{"bgr24", V4L2_PIX_FMT_BGR24},
		{"rgb24", V4L2_PIX_FMT_RGB24},
		{"RGB3", V4L2_PIX_FMT_RGB24},
		{"i420", V4L2_PIX_FMT_YUV420},
		{"I420", V4L2_PIX_FMT_YUV420},
		{"mjpeg", V4L2_PIX_FMT_MJPEG},
		{"MJPG", V4L2_PIX_FMT_MJPEG},
		{"XR24", V4L2_PIX_FMT_XBGR32},
	};
	static const char *const bad[] = {"", " ", "YUY", "YUYVV", "YUYV-BE", "Y16-B", "Y16-",
		"Y1 6", " Y16", "NOPE", "nv12\n", "gray", "-BE", "Y16-BE-BE", "NV12:", "gray8 x"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(good); i++)
		assert_int_equal(fourcc_of(good[i].text), good[i].fourcc);
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		uint32_t fourcc = 42;

		assert_int_equal(format_parse(bad[i], &fourcc), -EINVAL);
		assert_int_equal(fourcc, 42);
	}
}

static void any_fourcc_prints_safely(void **state)
{
	static const struct {
		uint32_t fourcc;
		const char *text;
	} cases[] = {
		{V4L2_PIX_FMT_YUYV, "YUYV"},
		{V4L2_PIX_FMT_Y16, "Y16"},
		{V4L2_PIX_FMT_Y16_BE, "Y16-BE"},
		{v4l2_fourcc('A', '\033', '[', 'm'), "A?[m"},
		{v4l2_fourcc('\n', 0x7f, 0xff, '~'), "???~"},
		{v4l2_fourcc(' ', 'a', ' ', ' '), " a"},
		{0, "????"},
		{UINT32_MAX, "\?\?\?\?-BE"},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char text[FORMAT_TEXT_SIZE];

		memset(text, 'x', sizeof(text));
		format_print(cases[i].fourcc, text);
		assert_string_equal(text, cases[i].text);
	}
}

struct layout_case {
	const char *format;
	uint32_t width, height, bytesperline;
	uint32_t plane_count;
	uint32_t size;
	struct format_plane planes[FORMAT_PLANES_MAX];
};

/* By hand, from the V4L2 pages that format.h names; odd ones as ffmpeg writes them into AVI, Y4M.
 */
static const struct layout_case layouts[] = {
	{"YUYV", 640, 480, 0, 1, 614400, {{0, 1280, 614400}}},
	{"YUYV", 161, 121, 0, 1, 39204, {{0, 324, 39204}}},
	{"UYVY", 640, 480, 1344, 1, 645120, {{0, 1344, 645120}}},
	{"NV12", 640, 480, 0, 2, 460800, {{0, 640, 307200}, {307200, 640, 153600}}},
	{"NV12", 640, 480, 704, 2, 506880, {{0, 704, 337920}, {337920, 704, 168960}}},
	{"NV21", 161, 121, 0, 2, 29363, {{0, 161, 19481}, {19481, 162, 9882}}},
	{"NV16", 640, 480, 704, 2, 675840, {{0, 704, 337920}, {337920, 704, 337920}}},
	{"NV24", 640, 480, 704, 2, 1013760, {{0, 704, 337920}, {337920, 1408, 675840}}},
	{"YU12", 640, 480, 0, 3, 460800,
		{{0, 640, 307200}, {307200, 320, 76800}, {384000, 320, 76800}}},
	{"YU12", 640, 480, 704, 3, 506880,
		{{0, 704, 337920}, {337920, 352, 84480}, {422400, 352, 84480}}},
	{"YU12", 161, 121, 0, 3, 29363, {{0, 161, 19481}, {19481, 81, 4941}, {24422, 81, 4941}}},
	{"YV12", 1, 1, 0, 3, 3, {{0, 1, 1}, {1, 1, 1}, {2, 1, 1}}},
	{"422P", 161, 121, 0, 3, 39083, {{0, 161, 19481}, {19481, 81, 9801}, {29282, 81, 9801}}},
	{"RGB3", 161, 121, 0, 1, 58443, {{0, 483, 58443}}},
	{"BGR3", 161, 121, 484, 1, 58564, {{0, 484, 58564}}},
	{"XR24", 641, 2, 0, 1, 5128, {{0, 2564, 5128}}},
	{"BGR4", 641, 2, 0, 1, 5128, {{0, 2564, 5128}}},
	{"GREY", 161, 121, 0, 1, 19481, {{0, 161, 19481}}},
	{"Y10", 161, 121, 0, 1, 38962, {{0, 322, 38962}}},
	{"Y16", 161, 121, 0, 1, 38962, {{0, 322, 38962}}},
	{"BA81", 640, 480, 0, 1, 307200, {{0, 640, 307200}}},
	{"RG12", 640, 480, 0, 1, 614400, {{0, 1280, 614400}}},
	{"MJPG", 1920, 1080, 0, 1, 4147200, {{0, 0, 4147200}}},
	{"MJPG", 1920, 1080, 77, 1, 4147200, {{0, 0, 4147200}}},
	{"JPEG", 16, 16, 0, 1, 65536, {{0, 0, 65536}}},
	{"H264", 16384, 16384, 0, 1, 536870912, {{0, 0, 536870912}}},
	{"BGR3", 16384, 16384, 0, 1, 805306368, {{0, 49152, 805306368}}},
};

static void planes_lie_where_v4l2_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(layouts); i++) {
		const struct layout_case *expected = &layouts[i];
		struct format_layout layout;

		print_message("%s %ux%u\n", expected->format, expected->width, expected->height);
		memset(&layout, 0xa5, sizeof(layout));
		assert_int_equal(format_layout_init(fourcc_of(expected->format), expected->width,
					 expected->height, expected->bytesperline, &layout),
			0);
		assert_int_equal(layout.plane_count, expected->plane_count);
		assert_int_equal(layout.size, expected->size);
		assert_memory_equal(layout.planes, expected->planes, sizeof(layout.planes));
	}
}

static void planes_never_overlap(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 17, 640, 16383, 16384};

	(void)state;
	for (size_t f = 0; f < ELEMENTS(promised); f++) {
		uint32_t fourcc = fourcc_of(promised[f]);

		for (size_t i = 0; i < ELEMENTS(sizes) * ELEMENTS(sizes); i++) {
			uint32_t width = sizes[i % ELEMENTS(sizes)];
			uint32_t height = sizes[i / ELEMENTS(sizes)];
			struct format_layout layout;
			uint64_t end = 0;
			int r = format_layout_init(fourcc, width, height, 0, &layout);

			if (r == -EOVERFLOW) {
				/* only 32 bits per pixel reach 1 GiB within the dimensions */
				assert_true(width > 16000 && height > 16000);
				continue;
			}
			assert_int_equal(r, 0);
			for (uint32_t p = 0; p < layout.plane_count; p++) {
				assert_int_equal(layout.planes[p].offset, end);
				end += layout.planes[p].size;
			}
			assert_int_equal(layout.size, end);
		}
	}
}

static void nonsense_is_refused(void **state)
{
	static const struct {
		uint32_t fourcc, width, height, bytesperline;
		int error;
	} cases[] = {
		{0, 640, 480, 0, -ENOTSUP},
		{V4L2_PIX_FMT_NV12M, 640, 480, 0, -ENOTSUP},
		{V4L2_PIX_FMT_GREY, 0, 480, 0, -EINVAL},
		{V4L2_PIX_FMT_GREY, 640, 0, 0, -EINVAL},
		{V4L2_PIX_FMT_MJPEG, 640, 0, 0, -EINVAL},
		{V4L2_PIX_FMT_GREY, 640, 480, 639, -EINVAL},
		{V4L2_PIX_FMT_YUYV, 3, 1, 6, -EINVAL},
		{V4L2_PIX_FMT_GREY, 16385, 1, 0, -EOVERFLOW},
		{V4L2_PIX_FMT_GREY, 1, 16385, 0, -EOVERFLOW},
		{V4L2_PIX_FMT_MJPEG, UINT32_MAX, UINT32_MAX, 0, -EOVERFLOW},
		{V4L2_PIX_FMT_XBGR32, 16384, 16384, 0, -EOVERFLOW},
		{V4L2_PIX_FMT_GREY, 1, 2, 1 << 29, -EOVERFLOW},
		{V4L2_PIX_FMT_GREY, 1, 1, UINT32_MAX, -EOVERFLOW},
		{V4L2_PIX_FMT_NV24, 1, 1, 1 << 29, -EOVERFLOW},
		{V4L2_PIX_FMT_YUV420, 1, 1, UINT32_MAX, -EOVERFLOW},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct format_layout layout, untouched;

		memset(&layout, 0xa5, sizeof(layout));
		untouched = layout;
		assert_int_equal(format_layout_init(cases[i].fourcc, cases[i].width,
					 cases[i].height, cases[i].bytesperline, &layout),
			cases[i].error);
		assert_memory_equal(&layout, &untouched, sizeof(layout));
	}
}

static void planes_in_buffers_of_their_own_are_known(void **state)
{
	(void)state;
	assert_int_equal(format_in_one_buffer(V4L2_PIX_FMT_NV12M), V4L2_PIX_FMT_NV12);
	assert_int_equal(format_in_one_buffer(V4L2_PIX_FMT_YUV422M), V4L2_PIX_FMT_YUV422P);
	assert_int_equal(format_in_one_buffer(V4L2_PIX_FMT_NV12), V4L2_PIX_FMT_NV12);
	assert_int_equal(format_in_one_buffer(0x12345678), 0x12345678);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(planes_in_buffers_of_their_own_are_known),
		cmocka_unit_test(every_format_is_known_by_name),
		cmocka_unit_test(names_are_parsed),
		cmocka_unit_test(any_fourcc_prints_safely),
		cmocka_unit_test(planes_lie_where_v4l2_says),
		cmocka_unit_test(planes_never_overlap),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
