/* SPDX-License-Identifier: MIT */
#include "recording-fixture.h"

static void avi_frames_come_bit_for_bit(void **state)
{
	struct avi_fixture fixture = avi_mjpeg;

	(void)state;
	for (unsigned int variant = 0; variant < 1 << 4; variant++) {
		static const uint32_t lengths[] = {1, 0, UINT32_MAX};

		for (size_t i = 0; i < ELEMENTS(lengths); i++) {
			const struct playback *playback;

			fixture.sound_first = variant & 1;
			fixture.junk = variant & 2;
			fixture.rec = variant & 4;
			fixture.index = variant & 8;
			fixture.length = lengths[i];
			file_clear();
			put_avi(&fixture, 3);
			playback = play_all();
			assert_all_frames(playback);
			assert_int_equal(playback->format.fourcc, V4L2_PIX_FMT_MJPEG);
			assert_int_equal(playback->format.width, 64);
			assert_int_equal(playback->format.height, 48);
			assert_int_equal(playback->format.frame_size_max, 65536);
			assert_int_equal(playback->format.rate_numerator, 30);
			assert_int_equal(playback->format.rate_denominator, 1);
			assert_int_equal(playback->format.field, V4L2_FIELD_NONE);
			assert_int_equal(playback->format.colorspace, V4L2_COLORSPACE_JPEG);
			assert_int_equal(playback->outcomes[2].frame.media_time_ns,
				2 * INT64_C(1000000000) / 30);
		}
	}
}

static void avi_rate_may_be_in_the_main_header(void **state)
{
	struct avi_fixture fixture = avi_mjpeg;
	const struct playback *playback;

	(void)state;
	fixture.rate = 0;
	file_clear();
	put_avi(&fixture, 2);
	playback = play_all();
	assert_all_frames(playback);
	assert_int_equal(playback->format.rate_numerator, 25);
	assert_int_equal(playback->format.rate_denominator, 1);
	assert_int_equal(playback->outcomes[1].frame.media_time_ns, 40000000);
}

static void avi_goes_on_in_further_parts(void **state)
{
	size_t movi, riff;

	(void)state;
	file_clear();
	put_avi(&avi_mjpeg, 2);
	riff = chunk_begin("RIFF", "AVIX");
	movi = chunk_begin("LIST", "movi");
	put_chunk("ix00", "an index");
	put_avi_frame(&avi_mjpeg, &picture, 0);
	avi_end(&avi_mjpeg, riff, movi);
	assert_all_frames(play_all());
}

static void avi_empty_chunks_repeat_a_frame(void **state)
{
	size_t movi, riff;
	const struct playback *playback;

	(void)state;
	file_clear();
	riff = avi_begin(&avi_mjpeg, &movi);
	put_avi_frame(&avi_mjpeg, &picture, 0);
	put_chunk("00dc", "");
	put_chunk("00dc", "");
	put_avi_frame(&avi_mjpeg, &picture, 0);
	avi_end(&avi_mjpeg, riff, movi);
	playback = play_all();
	assert_int_equal(playback->outcome_count, 2);
	assert_frame(&playback->outcomes[0], &frames[0]);
	assert_frame(&playback->outcomes[1], &frames[1]);
	assert_int_equal(playback->outcomes[1].frame.index, 3);
	assert_int_equal(playback->outcomes[1].frame.media_time_ns, 100000000);
}

static void avi_raw_formats_are_mapped(void **state)
{
	static const struct {
		const char *compression;
		uint32_t bits;
		int32_t width, height;
		uint32_t fourcc, bytesperline, size;
	} cases[] = {
		{"YUY2", 16, 16, 4, V4L2_PIX_FMT_YUYV, 32, 128},
		{"YUY2", 16, 17, 4, V4L2_PIX_FMT_YUYV, 36, 144},
		{"yuyv", 16, 16, 4, V4L2_PIX_FMT_YUYV, 32, 128},
		{"YVYU", 16, 16, 4, V4L2_PIX_FMT_YVYU, 32, 128},
		{"UYVY", 16, 16, 4, V4L2_PIX_FMT_UYVY, 32, 128},
		{"I420", 12, 17, 5, V4L2_PIX_FMT_YUV420, 17, 85 + 2 * 27},
		{"IYUV", 12, 16, 4, V4L2_PIX_FMT_YUV420, 16, 96},
		{"YV12", 12, 16, 4, V4L2_PIX_FMT_YVU420, 16, 96},
		{"Y42B", 16, 16, 4, V4L2_PIX_FMT_YUV422P, 16, 128},
		{"NV12", 12, 16, 4, V4L2_PIX_FMT_NV12, 16, 96},
		{"NV12", 12, 16, -4, V4L2_PIX_FMT_NV12, 16, 96},
		{"GREY", 8, 17, 4, V4L2_PIX_FMT_GREY, 17, 68},
		{"Y800", 8, 17, 4, V4L2_PIX_FMT_GREY, 17, 68},
		{NULL, 24, 17, -4, V4L2_PIX_FMT_BGR24, 52, 208},
		{NULL, 32, 17, -4, V4L2_PIX_FMT_XBGR32, 68, 272},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct avi_fixture fixture = avi_mjpeg;
		const struct playback *playback;
		size_t movi, riff;

		fixture.compression = cases[i].compression;
		fixture.bits = cases[i].bits;
		fixture.width = (uint32_t)cases[i].width;
		fixture.height = (uint32_t)cases[i].height;
		file_clear();
		riff = avi_begin(&fixture, &movi);
		put_avi_frame(&fixture, NULL, cases[i].size);
		put_avi_frame(&fixture, NULL, cases[i].size);
		avi_end(&fixture, riff, movi);
		playback = play_all();
		assert_all_frames(playback);
		assert_int_equal(playback->format.fourcc, cases[i].fourcc);
		assert_int_equal(playback->format.bytesperline, cases[i].bytesperline);
		assert_int_equal(playback->format.frame_size_max, cases[i].size);
		assert_int_equal(playback->format.colorspace, V4L2_COLORSPACE_DEFAULT);

		/* any other number of bytes is not that picture, the last one is lost track of */
		frame_count = 0;
		file.size = 0;
		riff = avi_begin(&fixture, &movi);
		put_avi_frame(&fixture, NULL, cases[i].size - 1);
		put_avi_frame(&fixture, NULL, cases[i].size);
		put_avi_frame(&fixture, NULL, cases[i].size + 1);
		put_avi_frame(&fixture, NULL, cases[i].size);
		avi_end(&fixture, riff, movi);
		playback = play_all();
		assert_int_equal(playback->outcome_count, 4);
		assert_damage(&playback->outcomes[0], RECORDING_DAMAGE_WRONG_SIZE);
		assert_frame(&playback->outcomes[1], &frames[1]);
		assert_damage(&playback->outcomes[2], RECORDING_DAMAGE_TOO_LARGE);
		assert_frame(&playback->outcomes[3], &frames[3]);
	}
}

static void avi_that_cannot_be_served_is_refused(void **state)
{
	static const struct {
		struct avi_fixture fixture;
		int error;
		const char *words;
	} cases[] = {
		{{.compression = "XVID", .width = 64, .height = 48}, -ENOTSUP, "XVID"},
		{{.compression = "H264", .width = 64, .height = 48}, -ENOTSUP, "ffmpeg"},
		{{.compression = "\x1b[2J", .width = 64, .height = 48}, -ENOTSUP, " ?[2J:"},
		{{.compression = "MJPG", .width = 0, .height = 48}, -EINVAL, "damaged"},
		{{.compression = "MJPG", .width = 64, .height = 0}, -EINVAL, "damaged"},
		{{.compression = "MJPG", .width = 64, .height = 0x80000000}, -EOVERFLOW, "large"},
		{{.compression = "MJPG", .width = 0xffffffff, .height = 1}, -EOVERFLOW, "large"},
		{{.bits = 24, .width = 64, .height = 48}, -ENOTSUP, "upside down"},
		{{.bits = 8, .width = 64, .height = 48}, -ENOTSUP, "8 bits"},
		{{.bits = 32, .width = 0xffffffff, .height = (uint32_t)-1}, -EOVERFLOW, "large"},
		{{.bits = 32, .width = 1, .height = 0x80000000}, -EOVERFLOW, "large"},
	};
	size_t movi, riff;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		file_clear();
		put_avi(&cases[i].fixture, 1);
		assert_refused(cases[i].error, cases[i].words);
	}

	file_clear();
	riff = chunk_begin("RIFF", "AVI ");
	put_stream(&avi_mjpeg, false);
	movi = chunk_begin("LIST", "movi");
	avi_end(&avi_mjpeg, riff, movi);
	assert_refused(-ENODATA, "no video");

	file_clear();
	riff = avi_begin(&avi_mjpeg, &movi);
	for (file.size = 12; file.size < movi; file.size++)
		assert_refused(-EINVAL, "ends within its header");

	/* a video stream whose format is too short to be one */
	file_clear();
	riff = chunk_begin("RIFF", "AVI ");
	movi = chunk_begin("LIST", "strl");
	riff = chunk_begin("strh", NULL);
	put_text("vids");
	put_zeros(24);
	chunk_end(riff);
	put_chunk("strf", "MJPG");
	chunk_end(movi);
	put_stream(&avi_mjpeg, false); /* whose format is another's */
	put_text("LIST....movi");
	assert_refused(-EINVAL, "no format");
}

static void avi_takes_its_first_video(void **state)
{
	struct avi_fixture second = avi_mjpeg;
	size_t movi, riff, start;
	const struct playback *playback;

	(void)state;
	second.compression = "XVID";
	second.width = 8;
	file_clear();
	riff = chunk_begin("RIFF", "AVI ");
	start = chunk_begin("strh", NULL); /* of no stream */
	put_text("vids");
	put_zeros(52);
	chunk_end(start);
	put_stream(&avi_mjpeg, false);
	put_stream(&avi_mjpeg, true);
	put_stream(&second, true);
	movi = chunk_begin("LIST", "movi");
	for (int i = 0; i < 3; i++) {
		put_chunk("02dc", "the second one's");
		start = chunk_begin(i == 1 ? "01db" : "01dc", NULL);
		put_jpeg_frame(&picture);
		chunk_end(start);
		put_chunk("01pc", "no picture");
	}
	avi_end(&avi_mjpeg, riff, movi);
	playback = play_all();
	assert_all_frames(playback);
	assert_int_equal(playback->format.width, 64);
}

static void avi_truncations_are_seen(void **state)
{
	struct avi_fixture fixture = avi_mjpeg;
	size_t movi, riff;

	(void)state;
	fixture.index = true;
	file_clear();
	riff = avi_begin(&fixture, &movi);
	for (int i = 0; i < 2; i++)
		put_avi_frame(&fixture,
			&(struct jpeg_fixture){.width = 64, .height = 48, .grey = true}, 0);
	avi_end(&fixture, riff, movi);
	/* the cut is seen from the first byte of content on: start <= size, so "header" is 1 */
	assert_truncations(NULL, movi + 12, 1);
}

static void avi_damage_is_counted_once(void **state)
{
	const struct playback *playback;
	size_t movi, riff;

	(void)state;

	/* images: spoiled, cut short, of another size, with padding behind */
	file_clear();
	riff = avi_begin(&avi_mjpeg, &movi);
	for (int i = 0; i < 3; i++)
		put_avi_frame(&avi_mjpeg, &picture, 0);
	put_avi_frame(&avi_mjpeg, &other_picture, 0);
	{
		size_t start = chunk_begin("00dc", NULL);

		put_jpeg_frame(&picture);
		put_zeros(333);
		chunk_end(start);
	}
	avi_end(&avi_mjpeg, riff, movi);
	file.data[frames[1].start + 1] = 0;
	file.data[frames[2].end - 1] = 0; /* EOI */
	playback = play_all();
	assert_int_equal(playback->outcome_count, 5);
	assert_frame(&playback->outcomes[0], &frames[0]);
	assert_damage(&playback->outcomes[1], RECORDING_DAMAGE_JPEG);
	assert_int_equal(playback->outcomes[1].frame.jpeg_fault, JPEG_FAULT_NO_IMAGE);
	assert_damage(&playback->outcomes[2], RECORDING_DAMAGE_TRUNCATED);
	assert_damage(&playback->outcomes[3], RECORDING_DAMAGE_WRONG_SIZE);
	assert_frame(&playback->outcomes[4], &frames[4]);

	/* a chunk that is none, and one whose length is absurd: found again at the next frame */
	for (int absurd = 0; absurd < 2; absurd++) {
		file_clear();
		put_avi(&avi_mjpeg, 4);
		if (absurd)
			patch_length(frames[1].start - 8, 0x7fffff00);
		else
			file.data[frames[1].start - 8] = 0x81;
		playback = play_all();
		assert_int_equal(playback->outcome_count, 4);
		assert_frame(&playback->outcomes[0], &frames[0]);
		assert_damage(&playback->outcomes[1],
			absurd ? RECORDING_DAMAGE_TOO_LARGE : RECORDING_DAMAGE_GARBAGE);
		assert_frame(&playback->outcomes[2], &frames[2]);
		assert_frame(&playback->outcomes[3], &frames[3]);
	}

	/* however much garbage there is: more than is read at once */
	file_clear();
	riff = avi_begin(&avi_mjpeg, &movi);
	put_zeros(300 * 1000);
	put_text("00dc\xff\xff\xff\x7f"); /* what cannot be frames */
	put_text("00dc");
	put_u32(0);
	put_avi_frame(&avi_mjpeg, &picture, 0);
	avi_end(&avi_mjpeg, riff, movi);
	playback = play_all();
	assert_int_equal(playback->outcome_count, 2);
	assert_damage(&playback->outcomes[0], RECORDING_DAMAGE_GARBAGE);
	assert_frame(&playback->outcomes[1], &frames[0]);

	/* behind the end that RIFF tells of, anything may follow */
	file_clear();
	put_avi(&avi_mjpeg, 2);
	put_zeros(1000);
	assert_all_frames(play_all());

	/* but without that, it is damage */
	for (int i = 0; i < 2; i++) {
		struct avi_fixture unfinished = avi_mjpeg;

		unfinished.length = i == 0 ? 0 : UINT32_MAX;
		file_clear();
		put_avi(&unfinished, 2);
		put_zeros(1000);
		playback = play_all();
		assert_int_equal(playback->outcome_count, 3);
		assert_damage(&playback->outcomes[2], RECORDING_DAMAGE_GARBAGE);
	}
}

/* Lists that their writer did not come to finish, of a kind that is otherwise skipped. */
static void avi_unfinished_lists_are_entered(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		size_t movi, riff, list;

		file_clear();
		riff = avi_begin(&avi_mjpeg, &movi);
		put_avi_frame(&avi_mjpeg, &picture, 0);
		list = chunk_begin("LIST", "INFO");
		put_chunk("ISFT", "a writer that cannot seek");
		patch_length(list, i == 0 ? 0 : UINT32_MAX);
		put_avi_frame(&avi_mjpeg, &picture, 0);
		avi_end(&avi_mjpeg, riff, movi);
		assert_all_frames(play_all());
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(avi_frames_come_bit_for_bit),
		cmocka_unit_test(avi_rate_may_be_in_the_main_header),
		cmocka_unit_test(avi_goes_on_in_further_parts),
		cmocka_unit_test(avi_empty_chunks_repeat_a_frame),
		cmocka_unit_test(avi_raw_formats_are_mapped),
		cmocka_unit_test(avi_that_cannot_be_served_is_refused),
		cmocka_unit_test(avi_takes_its_first_video),
		cmocka_unit_test(avi_truncations_are_seen),
		cmocka_unit_test(avi_damage_is_counted_once),
		cmocka_unit_test(avi_unfinished_lists_are_entered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
