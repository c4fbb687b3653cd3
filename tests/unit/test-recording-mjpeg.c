/* SPDX-License-Identifier: MIT */
#include "recording-fixture.h"

static const struct jpeg_fixture big_picture = {
	.width = 64, .height = 48, .entropy_bytes = 100 * 1000};

static void mjpeg_images_come_bit_for_bit(void **state)
{
	const struct playback *playback;

	(void)state;
	file_clear();
	for (int i = 0; i < 5; i++)
		put_jpeg_frame(i == 3 ? &(struct jpeg_fixture){.width = 64,
						.height = 48,
						.restart_interval = 8,
						.restarts = 5,
						.fill = true}
				      : &picture);
	playback = play_all();
	assert_all_frames(playback);
	assert_int_equal(playback->format.fourcc, V4L2_PIX_FMT_MJPEG);
	assert_int_equal(playback->format.width, 64);
	assert_int_equal(playback->format.height, 48);
	assert_int_equal(playback->format.bytesperline, 0);
	assert_int_equal(playback->format.frame_size_max, 65536);
	assert_int_equal(playback->format.rate_numerator, 0);
	assert_int_equal(playback->format.field, V4L2_FIELD_NONE);
	assert_int_equal(playback->format.colorspace, V4L2_COLORSPACE_JPEG);
	assert_int_equal(playback->outcomes[4].frame.media_time_ns, -1);
}

static void mjpeg_truncations_are_seen(void **state)
{
	(void)state;
	file_clear();
	for (int i = 0; i < 2; i++)
		put_jpeg_frame(&(struct jpeg_fixture){.width = 64, .height = 48, .grey = true});
	assert_truncations(NULL, 300, 0);
}

static void mjpeg_damage_is_counted_once(void **state)
{
	const struct playback *playback;
	uint8_t *scan;

	(void)state;

	/* padding is none, garbage is one, at the end as well */
	file_clear();
	put_jpeg_frame(&picture);
	put_zeros(100);
	put_jpeg_frame(&picture);
	put_text("garbage \xff\xd8 garbage \xff");
	put_zeros(10);
	put_text("\xd8\xff\xff");
	put_jpeg_frame(&picture);
	put_text("\xff\xd8");
	playback = play_all();
	assert_int_equal(playback->outcome_count, 5);
	assert_frame(&playback->outcomes[0], &frames[0]);
	assert_frame(&playback->outcomes[1], &frames[1]);
	assert_damage(&playback->outcomes[2], RECORDING_DAMAGE_GARBAGE);
	assert_frame(&playback->outcomes[3], &frames[2]);
	assert_damage(&playback->outcomes[4], RECORDING_DAMAGE_GARBAGE);
	/* it takes no frame's place */
	assert_int_equal(playback->outcomes[2].frame.index, 2);
	assert_int_equal(playback->outcomes[3].frame.index, 2);

	/* an image in which a scan header is wrong: the rest of it is not counted again */
	file_clear();
	put_jpeg_frame(&picture);
	put_jpeg_frame(&picture);
	scan = memmem(file.data + frames[1].end - 200, 200, "\xff\xda", 2);
	assert_non_null(scan);
	scan[4] = 9;
	put_jpeg_frame(&picture);
	playback = play_all();
	assert_int_equal(playback->outcome_count, 3);
	assert_frame(&playback->outcomes[0], &frames[0]);
	assert_damage(&playback->outcomes[1], RECORDING_DAMAGE_JPEG);
	assert_int_not_equal(playback->outcomes[1].frame.jpeg_fault, JPEG_FAULT_NONE);
	assert_frame(&playback->outcomes[2], &frames[2]);
	assert_int_equal(playback->outcomes[2].frame.index, 2);

	/* an image without its tail: the next one is whole */
	file_clear();
	put_jpeg_frame(&picture);
	put_jpeg_frame(&picture);
	file.size = frames[1].end -= 40;
	put_jpeg_frame(&picture);
	playback = play_all();
	assert_int_equal(playback->outcome_count, 3);
	assert_damage(&playback->outcomes[1], RECORDING_DAMAGE_TRUNCATED);
	assert_int_equal(playback->outcomes[1].frame.jpeg_fault, JPEG_FAULT_NEXT_IMAGE);
	assert_frame(&playback->outcomes[2], &frames[2]);

	/* other sizes, of the picture and of the file, even if the slot has room for it */
	file_clear();
	put_jpeg_frame(&picture);
	put_jpeg_frame(&(struct jpeg_fixture){.width = 64, .height = 47});
	put_jpeg_frame(&(struct jpeg_fixture){.width = 63, .height = 48});
	put_jpeg_frame(&big_picture);
	put_jpeg_frame(&picture);
	playback = play(&(struct play_options){.slot_size = 200 * 1000});
	assert_int_equal(playback->outcome_count, 5);
	assert_damage(&playback->outcomes[1], RECORDING_DAMAGE_WRONG_SIZE);
	assert_damage(&playback->outcomes[2], RECORDING_DAMAGE_WRONG_SIZE);
	assert_damage(&playback->outcomes[3], RECORDING_DAMAGE_TOO_LARGE);
	assert_frame(&playback->outcomes[4], &frames[4]);
}

static void mjpeg_without_size_is_refused(void **state)
{
	(void)state;
	file_clear();
	put_text("\xff\xd8\xff\xe0");
	assert_refused(-EINVAL, "ends within its header");

	file_clear();
	put_text("\xff\xd8\xff\xd9 and so on");
	assert_refused(-EINVAL, "damaged");

	file_clear();
	put_text("\xff\xd8");
	while (file.size < 300000) { /* application data without end */
		put_text("\xff\xe0\xff\xff");
		put_zeros(65533);
	}
	assert_refused(-EINVAL, "no size");

	file_clear();
	put_jpeg_frame(&(struct jpeg_fixture){.width = 20000, .height = 10});
	assert_refused(-EOVERFLOW, "too large");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(mjpeg_images_come_bit_for_bit),
		cmocka_unit_test(mjpeg_truncations_are_seen),
		cmocka_unit_test(mjpeg_damage_is_counted_once),
		cmocka_unit_test(mjpeg_without_size_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
