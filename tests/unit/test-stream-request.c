/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <linux/videodev2.h>

#include "format.h"
#include "stream-request.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* Has wire.h room for every canonical name? */
_Static_assert(STREAM_REQUEST_TEXT_SIZE <= 128, "a request must fit into a HELLO");

static void requests_are_read(void **state)
{
	static const struct {
		const char *text;
		struct stream_request request;
		const char *canonical;
	} cases[] = {
		{"GREY", {.fourcc = V4L2_PIX_FMT_GREY}, "GREY"},
		{"gray8", {.fourcc = V4L2_PIX_FMT_GREY}, "GREY"},
		{"bgr24", {.fourcc = V4L2_PIX_FMT_BGR24}, "BGR3"},
		{"Rgb24", {.fourcc = V4L2_PIX_FMT_RGB24}, "RGB3"},
		{"i420", {.fourcc = V4L2_PIX_FMT_YUV420}, "YU12"},
		{"y16 ", {.fourcc = V4L2_PIX_FMT_Y16}, "Y16"},
		{"Y16-BE", {.fourcc = V4L2_PIX_FMT_Y16_BE}, "Y16-BE"},
		{"GREY:640x360", {.fourcc = V4L2_PIX_FMT_GREY, .width = 640, .height = 360},
			"GREY:640x360"},
		{"nv12,rate=10",
			{.fourcc = V4L2_PIX_FMT_NV12, .rate_numerator = 10, .rate_denominator = 1},
			"NV12,rate=10"},
		{"NV12,rate=29.97",
			{.fourcc = V4L2_PIX_FMT_NV12,
				.rate_numerator = 2997,
				.rate_denominator = 100},
			"NV12,rate=2997/100"},
		{"NV12,rate=60/2",
			{.fourcc = V4L2_PIX_FMT_NV12, .rate_numerator = 30, .rate_denominator = 1},
			"NV12,rate=30"},
		{"NV12,crop=1080x1080+420+0",
			{.fourcc = V4L2_PIX_FMT_NV12, .crop = {1080, 1080, 420, 0}},
			"NV12,crop=1080x1080+420+0"},
		{"BGR3:1x16384,crop=16384x1+0+16383,rate=10000000/9999999",
			{V4L2_PIX_FMT_BGR24, 1, 16384, 10000000, 9999999, {16384, 1, 0, 16383}},
			"BGR3:1x16384,rate=10000000/9999999,crop=16384x1+0+16383"},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct stream_request request, again;
		char error[STREAM_REQUEST_ERROR_SIZE] = "", text[STREAM_REQUEST_TEXT_SIZE];

		assert_int_equal(stream_request_parse(cases[i].text, &request, error), 0);
		assert_true(stream_request_equal(&request, &cases[i].request));
		stream_request_print(&request, text);
		assert_string_equal(text, cases[i].canonical);
		assert_int_equal(stream_request_parse(text, &again, error), 0);
		assert_true(stream_request_equal(&request, &again));
	}
}

static void mistakes_are_explained(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *says;
	} cases[] = {
		{"", -EINVAL, "no such pixel format: \"\""},
		{"GREX", -EINVAL, "no such pixel format: \"GREX\""},
		{" GREY", -EINVAL, "no such pixel format: \" GREY\""},
		{"GREY:", -EINVAL, "\"\" is not a size"},
		{"GREY:640", -EINVAL, "\"640\" is not a size"},
		{"GREY:640x", -EINVAL, "\"640x\" is not a size"},
		{"GREY:640x360x1", -EINVAL, "\"640x360x1\" is not a size"},
		{"GREY:-1x360", -EINVAL, "\"-1x360\" is not a size"},
		{"GREY:0x360", -ERANGE, "\"0x360\" is not a size of 1x1 to 16384x16384"},
		{"GREY:16385x1", -ERANGE, "\"16385x1\" is not a size"},
		{"GREY:640x360 ", -EINVAL, "\"640x360 \" is not a size"},
		{"GREY,", -EINVAL, "\"\" is neither rate= nor crop="},
		{"GREY,640x360", -EINVAL, "\"640x360\" is neither rate= nor crop="},
		{"GREY,Rate=1", -EINVAL, "\"Rate=1\" is neither rate= nor crop="},
		{"GREY,rate=", -EINVAL, "\"\" is not a number of frames per second"},
		{"GREY,rate=0", -ERANGE, "\"0\" is not a number of frames per second above 0"},
		{"GREY,rate=x", -EINVAL, "\"x\" is not a number of frames per second"},
		{"GREY,rate=99999999", -ERANGE, "\"99999999\" is not a number of frames"},
		{"GREY,rate=1,rate=1", -EINVAL, "rate= is given twice"},
		{"GREY,crop=1x1+0+0,crop=1x1+0+0", -EINVAL, "crop= is given twice"},
		{"GREY,crop=1x1", -EINVAL, "\"1x1\" is not a crop like 640x480+100+0"},
		{"GREY,crop=1x1+0", -EINVAL, "\"1x1+0\" is not a crop"},
		{"GREY,crop=1x1+0+", -EINVAL, "\"1x1+0+\" is not a crop"},
		{"GREY,crop=1x1+0+-1", -EINVAL, "\"1x1+0+-1\" is not a crop"},
		{"GREY,crop=1x1+0+0+0", -EINVAL, "\"1x1+0+0+0\" is not a crop"},
		{"GREY,crop=0x1+0+0", -ERANGE, "\"0x1+0+0\" is not a crop"},
		{"GREY,crop=1x1+16384+0", -ERANGE, "\"1x1+16384+0\" is not a crop"},
		{"GREY\x1b[2J", -EINVAL, "no such pixel format: \"GREY?[2J\""},
		{"GREY,\xff", -EINVAL, "\"?\" is neither"},
		{"GREY,rate=1111111111111111111111111111111111111111111111111111111111111111",
			-EINVAL, "is too long"},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct stream_request request, untouched;
		char error[STREAM_REQUEST_ERROR_SIZE] = "";

		memset(&request, 0x5a, sizeof(request));
		untouched = request;
		assert_int_equal(
			stream_request_parse(cases[i].text, &request, error), cases[i].result);
		if (!strstr(error, cases[i].says))
			fail_msg("\"%s\": says %s", cases[i].text, error);
		assert_non_null(strstr(error, STREAM_REQUEST_GRAMMAR));
		assert_memory_equal(&request, &untouched, sizeof(request));
	}
}

static void each_field_makes_a_difference(void **state)
{
	static const char *const texts[] = {"GREY", "NV12", "GREY:640x360", "GREY:640x361",
		"GREY:641x360", "GREY,rate=1", "GREY,rate=2", "GREY,rate=1/2",
		"GREY,crop=640x360+0+0", "GREY,crop=641x360+0+0", "GREY,crop=640x361+0+0",
		"GREY,crop=640x360+1+0", "GREY,crop=640x360+0+1"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		for (size_t j = 0; j < ELEMENTS(texts); j++) {
			struct stream_request a, b;
			char error[STREAM_REQUEST_ERROR_SIZE];

			assert_int_equal(stream_request_parse(texts[i], &a, error), 0);
			assert_int_equal(stream_request_parse(texts[j], &b, error), 0);
			assert_int_equal(stream_request_equal(&a, &b), i == j);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read),
		cmocka_unit_test(mistakes_are_explained),
		cmocka_unit_test(each_field_makes_a_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
