/* SPDX-License-Identifier: MIT */
#include "recording-fixture.h"

static void y4m_headers_are_understood(void **state)
{
	static const struct {
		const char *header;
		struct recording_format format;
	} cases[] = {
		{"YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=FULL",
			{.fourcc = V4L2_PIX_FMT_YUV420,
				.width = 640,
				.height = 480,
				.bytesperline = 640,
				.frame_size_max = 460800,
				.rate_numerator = 30,
				.rate_denominator = 1,
				.field = V4L2_FIELD_NONE,
				.quantization = V4L2_QUANTIZATION_FULL_RANGE,
				.chroma_siting = RECORDING_CHROMA_JPEG,
				.pixel_aspect_numerator = 1,
				.pixel_aspect_denominator = 1}},
		{"YUV4MPEG2 C420mpeg2 F60000:2002 A8:6 It W3 H5 XCOLORRANGE=LIMITED",
			{.fourcc = V4L2_PIX_FMT_YUV420,
				.width = 3,
				.height = 5,
				.bytesperline = 3,
				.frame_size_max = 27,
				.rate_numerator = 30000,
				.rate_denominator = 1001,
				.field = V4L2_FIELD_INTERLACED_TB,
				.quantization = V4L2_QUANTIZATION_LIM_RANGE,
				.chroma_siting = RECORDING_CHROMA_MPEG2,
				.pixel_aspect_numerator = 4,
				.pixel_aspect_denominator = 3}},
		{"YUV4MPEG2 W4 H4 F25:1 Ib A0:0 C420paldv",
			{.fourcc = V4L2_PIX_FMT_YUV420,
				.width = 4,
				.height = 4,
				.bytesperline = 4,
				.frame_size_max = 24,
				.rate_numerator = 25,
				.rate_denominator = 1,
				.field = V4L2_FIELD_INTERLACED_BT,
				.chroma_siting = RECORDING_CHROMA_PALDV}},
		{"YUV4MPEG2 W4 H4 F0:0 Im C420",
			{.fourcc = V4L2_PIX_FMT_YUV420,
				.width = 4,
				.height = 4,
				.bytesperline = 4,
				.frame_size_max = 24,
				.field = V4L2_FIELD_INTERLACED,
				.chroma_siting = RECORDING_CHROMA_UNKNOWN}},
		{"YUV4MPEG2  W5   H2 I? C422 ", {.fourcc = V4L2_PIX_FMT_YUV422P,
							.width = 5,
							.height = 2,
							.bytesperline = 5,
							.frame_size_max = 22,
							.field = V4L2_FIELD_ANY}},
		{"YUV4MPEG2 W5 H2 Cmono Zwhatever", {.fourcc = V4L2_PIX_FMT_GREY,
							    .width = 5,
							    .height = 2,
							    .bytesperline = 5,
							    .frame_size_max = 10,
							    .field = V4L2_FIELD_ANY}},
		{"YUV4MPEG2 W2 H2", {.fourcc = V4L2_PIX_FMT_YUV420,
					    .width = 2,
					    .height = 2,
					    .bytesperline = 2,
					    .frame_size_max = 6,
					    .chroma_siting = RECORDING_CHROMA_JPEG}},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct playback *playback;

		file_clear();
		put_text(cases[i].header);
		put_text("\n");
		playback = play_all();
		assert_int_equal(playback->probe_result, RECORDING_OK);
		assert_memory_equal(&playback->format, &cases[i].format, sizeof(cases[i].format));
		assert_int_equal(playback->outcome_count, 0);
	}
}

static void y4m_nonsense_is_refused(void **state)
{
	static const struct {
		const char *header;
		int error;
		const char *words;
	} cases[] = {
		{"YUV4MPEG2 W4 H4 C444\n", -ENOTSUP, "444"},
		{"YUV4MPEG2 W4 H4 C411\n", -ENOTSUP, "411"},
		{"YUV4MPEG2 W4 H4 C420p10\n", -ENOTSUP, "420p10"},
		{"YUV4MPEG2 W4 H4 Cmono16\n", -ENOTSUP, "ffmpeg"},
		{"YUV4MPEG2 W4 H4 C\x1b[2J\n", -ENOTSUP, " ?[2J "},
		{"YUV4MPEG2 W4 H4 C0123456789012345678901234567890\n", -ENOTSUP,
			"012345678901234 "},
		{"YUV4MPEG2 W4\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 H4\n", -EINVAL, "damaged"},
		{"YUV4MPEG2\n", -EINVAL, "damaged"},
		{"YUV4MPEG2X W4 H4\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4x H4\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W-4 H4\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4 H4 F30\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4 H4 F30:\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4 H4 F:1\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4 H4 F30:1:1\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4 H4 F99999999999:1\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4 H4 Iq\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4 H4 Ipp\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W4294967300 H4\n", -EINVAL, "damaged"},
		{"YUV4MPEG2 W20000 H4\n", -EOVERFLOW, "too large"},
		{"YUV4MPEG2 W4 H4", -EINVAL, "ends within its header"},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		file_clear();
		put_text(cases[i].header);
		assert_refused(cases[i].error, cases[i].words);
	}

	/* a header that never ends is given up, whatever follows */
	for (int ends = 0; ends < 2; ends++) {
		file_clear();
		put_text("YUV4MPEG2 W4 H4 X");
		for (size_t i = 0; i < 4100; i++)
			put_text("y");
		put_text(ends ? "\n" : "y");
		assert_refused(-EINVAL, "does not end");
	}
}

static void y4m_frames_come_bit_for_bit(void **state)
{
	static const struct {
		const char *chroma;
		unsigned int width, height;
		size_t size;
	} cases[] = {
		{"420jpeg", 16, 8, 16 * 8 + 2 * 8 * 4},
		{"420jpeg", 17, 9, 17 * 9 + 2 * 9 * 5},
		{"422", 17, 9, 17 * 9 + 2 * 9 * 9},
		{"mono", 17, 9, 17 * 9},
		{"420mpeg2", 1, 1, 3},
		/* more than the read buffer */
		{"mono", 640, 421, 640 * 421},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char header[100];

		file_clear();
		snprintf(header, sizeof(header), "YUV4MPEG2 W%u H%u F30:1 C%s\n", cases[i].width,
			cases[i].height, cases[i].chroma);
		put_text(header);
		for (int frame = 0; frame < 3; frame++) {
			put_text(frame == 1 ? "FRAME Ip XMORE=1\n" : "FRAME\n");
			put_noise_frame(cases[i].size);
		}
		assert_all_frames(play_all());
	}
}

/* What is read ahead is never used up at once, so the buffer's end comes in the middle of a line.
 */
static void y4m_lines_may_be_long(void **state)
{
	(void)state;
	file_clear();
	put_text("YUV4MPEG2 W5 H3\n");
	for (int frame = 0; frame < 100; frame++) {
		put_text("FRAME X");
		for (int i = 0; i < 2990; i++)
			put_text("x");
		put_text("\n");
		put_noise_frame(27);
	}
	assert_all_frames(play_all());
}

static void y4m_truncations_are_seen(void **state)
{
	size_t header;

	(void)state;
	file_clear();
	put_text("YUV4MPEG2 W5 H3 F30:1\n");
	header = file.size;
	for (int i = 0; i < 3; i++) {
		put_text("FRAME\n");
		put_noise_frame(5 * 3 + 2 * 3 * 2);
	}
	assert_truncations(NULL, header, strlen("FRAME\n"));
}

static void y4m_without_frame_line_ends(void **state)
{
	static const char *const lines[] = {
		"FRAMF\n", "FRAMES\n", "\n", "YUV4MPEG2 W5 H3\n", "frame\n", "FRAM\n"};

	(void)state;
	for (size_t i = 0; i <= ELEMENTS(lines); i++) {
		const struct playback *playback;

		file_clear();
		put_text("YUV4MPEG2 W5 H3 F30:1\nFRAME\n");
		put_noise_frame(27);
		if (i < ELEMENTS(lines))
			put_text(lines[i]);
		else
			for (int n = 0; n < 5000; n++) /* no line at all */
				put_text("x");
		put_text("FRAME\n");
		put_noise_frame(27);

		playback = play_all();
		assert_int_equal(playback->outcome_count, 2);
		assert_frame(&playback->outcomes[0], &frames[0]);
		assert_damage(&playback->outcomes[1], RECORDING_DAMAGE_GARBAGE);
		assert_int_equal(playback->last_result, RECORDING_END);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(y4m_headers_are_understood),
		cmocka_unit_test(y4m_nonsense_is_refused),
		cmocka_unit_test(y4m_frames_come_bit_for_bit),
		cmocka_unit_test(y4m_lines_may_be_long),
		cmocka_unit_test(y4m_truncations_are_seen),
		cmocka_unit_test(y4m_without_frame_line_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
