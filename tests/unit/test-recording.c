/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/time.h>

#include "recording-fixture.h"

/* ---- what is no recording ---- */

static void unknown_data_is_refused(void **state)
{
	static const char *const unknown[] = {"x", "YUV4MPEG", "YUV4MPEG1 W2 H2\n", "\xff\xd8",
		"\xff\xd8\x12", "RIFF", "RIFF\x10\0\0\0AV", "RIFF....WAVEfmt ",
		"\x1a\x45\xdf\xa3 matroska", "GIF89a, which is something else"};

	(void)state;
	file_clear();
	assert_refused(-ENODATA, "empty");
	for (size_t i = 0; i < ELEMENTS(unknown); i++) {
		file_clear();
		put_text(unknown[i]);
		assert_refused(-ENOTSUP, "--raw");
	}
}

static void read_errors_are_explained(void **state)
{
	struct recording *recording;
	struct recording_format format;
	int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(recording_create(NULL, &recording), 0);
	assert_int_equal(recording_probe(recording, directory, &format), -EISDIR);
	assert_non_null(strstr(recording_error(recording), "directory"));
	recording_destroy(recording);
	recording_destroy(NULL);
	close(directory);
}

/* ---- raw ---- */

static void raw_descriptions_are_parsed(void **state)
{
	static const struct {
		const char *text;
		struct recording_raw raw;
	} good[] = {
		{"NV12:1280x720", {V4L2_PIX_FMT_NV12, 1280, 720, 0, 0, 0}},
		{"gray8:640x480,stride=704", {V4L2_PIX_FMT_GREY, 640, 480, 704, 0, 0}},
		{"Y16 :640x480,rate=30", {V4L2_PIX_FMT_Y16, 640, 480, 0, 30, 1}},
		{"y16-be:640x480,rate=29.97", {V4L2_PIX_FMT_Y16_BE, 640, 480, 0, 2997, 100}},
		{"yuyv:640x480,rate=60000/2002,stride=1280",
			{V4L2_PIX_FMT_YUYV, 640, 480, 1280, 30000, 1001}},
		{"BGR3:3x3,stride=12,rate=0.5", {V4L2_PIX_FMT_BGR24, 3, 3, 12, 1, 2}},
	};
	static const struct {
		const char *text, *words;
	} bad[] = {
		{"", "FOURCC:WxH"},
		{"NV12", "FOURCC:WxH"},
		{"NV12:", "FOURCC:WxH"},
		{"NV12:640", "FOURCC:WxH"},
		{"NV12:640x", "FOURCC:WxH"},
		{"NV12:x480", "FOURCC:WxH"},
		{"NV12:640x480x", "FOURCC:WxH"},
		{"NV12:640x480,", "FOURCC:WxH"},
		{"NV12:640x480,stride=", "FOURCC:WxH"},
		{"NV12:640x480,stride=0", "FOURCC:WxH"},
		{"NV12:640x480,stride=640,stride=640", "FOURCC:WxH"},
		{"NV12:640x480,stride=99999999999", "FOURCC:WxH"},
		{"NV12:640x480,rate=", "FOURCC:WxH"},
		{"NV12:640x480,rate=0", "FOURCC:WxH"},
		{"NV12:640x480,rate=30.", "FOURCC:WxH"},
		{"NV12:640x480,rate=30.,stride=640", "FOURCC:WxH"},
		{"NV12:640x480,rate=30/", "FOURCC:WxH"},
		{"NV12:640x480,rate=30/0", "FOURCC:WxH"},
		{"NV12:640x480,rate=30,rate=30", "FOURCC:WxH"},
		{"NV12:640x480,rate=1.0000000000001", "FOURCC:WxH"},
		{"NV12:640x480,fps=30", "FOURCC:WxH"},
		{"NV12:-640x480", "FOURCC:WxH"},
		{"NV12: 640x480", "FOURCC:WxH"},
		{"a name without end, far longer than a fourcc:640x480", "FOURCC:WxH"},
		{"NOPE:640x480", "unknown pixel format"},
		{":640x480", "unknown pixel format"},
		{"MJPG:640x480", "MJPEG"},
		{"H264:640x480", "compressed"},
		{"NV12:0x480", "impossible"},
		{"NV12:640x480,stride=639", "impossible"},
		{"NV12:20000x480", "too large"},
		{"XR24:16384x16384", "too large"},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(good); i++) {
		struct recording_raw raw;
		char error[200] = "";

		assert_int_equal(recording_raw_parse(good[i].text, &raw, error, sizeof(error)), 0);
		assert_memory_equal(&raw, &good[i].raw, sizeof(raw));
	}
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		struct recording_raw raw = {.width = 42};
		char error[200] = "";

		assert_int_equal(
			recording_raw_parse(bad[i].text, &raw, error, sizeof(error)), -EINVAL);
		if (!strstr(error, bad[i].words))
			fail_msg("%s: '%s' is not in '%s'", bad[i].text, bad[i].words, error);
		assert_int_equal(raw.width, 42);
	}
}

static void raw_frames_come_bit_for_bit(void **state)
{
	struct recording_raw raw;
	const struct playback *playback;
	char error[200];

	(void)state;
	assert_int_equal(
		recording_raw_parse("NV12:6x4,stride=8,rate=10", &raw, error, sizeof(error)), 0);
	file_clear();
	for (int i = 0; i < 3; i++)
		put_noise_frame(8 * 4 + 8 * 2);
	playback = play(&(struct play_options){.raw = &raw});
	assert_all_frames(playback);
	assert_int_equal(playback->format.bytesperline, 8);
	assert_int_equal(playback->format.frame_size_max, 48);
	assert_int_equal(playback->format.rate_numerator, 10);
	assert_int_equal(playback->outcomes[2].frame.media_time_ns, 200000000);

	assert_truncations(&raw, 1, 0);

	file_clear();
	playback = play(&(struct play_options){.raw = &raw});
	assert_int_equal(playback->probe_result, -ENODATA);
}

/* ---- whatever the container ---- */

static void time_does_not_drift(void **state)
{
	enum {
		COUNT = 3000
	};
	struct recording_raw raw;
	struct recording *recording;
	struct recording_format format;
	struct feed feed;
	uint8_t slot;
	char error[200];

	(void)state;
	assert_int_equal(
		recording_raw_parse("GREY:1x1,rate=30000/1001", &raw, error, sizeof(error)), 0);
	file_clear();
	put_zeros(COUNT);
	feed_init(&feed, 0, file.size);
	assert_int_equal(recording_create(&raw, &recording), 0);
	assert_int_equal(recording_probe(recording, feed.fd, &format), RECORDING_OK);
	for (uint64_t i = 0; i < COUNT; i++) {
		struct recording_frame frame;

		assert_int_equal(
			recording_read(recording, feed.fd, &slot, 1, &frame), RECORDING_FRAME);
		assert_int_equal(frame.index, i);
		assert_int_equal(frame.media_time_ns, i * 1000000000 * 1001 / 30000);
	}
	recording_destroy(recording);
	feed_finish(&feed);
}

static void small_slots_are_never_overrun(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 10, 100, 26};
	const struct playback *playback;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(sizes); i++) {
		const struct play_options options = {.slot_size = sizes[i]};

		file_clear();
		put_text("YUV4MPEG2 W16 H8\n");
		for (int frame = 0; frame < 2; frame++) {
			put_text("FRAME\n");
			put_noise_frame(192);
		}
		playback = play(&options);
		assert_int_equal(playback->outcome_count, 2);
		assert_damage(&playback->outcomes[0], RECORDING_DAMAGE_TOO_LARGE);
		assert_damage(&playback->outcomes[1], RECORDING_DAMAGE_TOO_LARGE);

		file_clear();
		put_jpeg_frame(&picture);
		put_jpeg_frame(&picture);
		playback = play(&options);
		assert_int_equal(playback->outcome_count, 2);
		assert_damage(&playback->outcomes[0], RECORDING_DAMAGE_TOO_LARGE);
		assert_damage(&playback->outcomes[1], RECORDING_DAMAGE_TOO_LARGE);

		file_clear();
		put_avi(&avi_mjpeg, 2);
		playback = play(&options);
		assert_int_equal(playback->outcome_count, 2);
		assert_damage(&playback->outcomes[0], RECORDING_DAMAGE_TOO_LARGE);
		assert_damage(&playback->outcomes[1], RECORDING_DAMAGE_TOO_LARGE);
	}
}

static void put_any(unsigned int container)
{
	file_clear();
	switch (container) {
	case 0:
		put_text("YUV4MPEG2 W16 H8 F25:1\n");
		for (int frame = 0; frame < 5; frame++) {
			put_text("FRAME\n");
			put_noise_frame(192);
		}
		break;
	case 1:
		put_jpeg_frame(&picture);
		put_jpeg_frame(&other_picture);
		put_text("garbage");
		put_jpeg_frame(&picture);
		put_text("garbage");
		break;
	case 2:
		put_avi(&avi_mjpeg, 5);
		file.data[frames[2].start - 8] = 0x81;
		file.size -= 20;
		break;
	}
}

static void rewinding_gives_the_same_again(void **state)
{
	(void)state;
	for (unsigned int container = 0; container < 3; container++) {
		static struct playback first, again;
		struct recording *recording;
		struct feed feed;

		put_any(container);
		memset(&first, 0, sizeof(first));
		memset(&again, 0, sizeof(again));
		feed_init(&feed, 0, file.size);
		assert_int_equal(recording_create(NULL, &recording), 0);
		assert_int_equal(recording_probe(recording, feed.fd, &first.format), RECORDING_OK);
		play_frames(recording, &feed, first.format.frame_size_max, &first);
		assert_true(first.outcome_count >= 4);
		again.format = first.format;
		for (int i = 0; i < 2; i++) {
			assert_int_equal(recording_rewind(recording, feed.fd), 0);
			play_frames(recording, &feed, first.format.frame_size_max, &again);
			assert_memory_equal(&first, &again, sizeof(first));
		}

		/* also from the middle */
		assert_int_equal(recording_rewind(recording, feed.fd), 0);
		for (int i = 0; i < 2; i++) {
			uint8_t *slot = malloc(first.format.frame_size_max);
			struct recording_frame frame;

			assert_true(recording_read(recording, feed.fd, slot,
					    first.format.frame_size_max, &frame) > 0);
			free(slot);
		}
		assert_int_equal(recording_rewind(recording, feed.fd), 0);
		play_frames(recording, &feed, first.format.frame_size_max, &again);
		assert_memory_equal(&first, &again, sizeof(first));

		recording_destroy(recording);
		feed_finish(&feed);
	}
}

/* A frame whose halves went into different slots must not come out as one. */
static void a_frame_in_two_slots_is_corrupt(void **state)
{
	(void)state;
	for (unsigned int container = 0; container < 3; container++) {
		static const size_t sizes[] = {65536, 65536, 100};

		for (size_t i = 1; i < ELEMENTS(sizes); i++) {
			uint8_t *slots[] = {malloc(sizes[0]), malloc(sizes[i])};
			struct recording *recording;
			struct recording_format format;
			struct recording_frame frame;
			int fds[2];
			size_t cut;

			put_any(container);
			cut = frames[0].end - 20;
			assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
			assert_int_equal(write(fds[1], file.data, cut), cut);
			assert_int_equal(recording_create(NULL, &recording), 0);
			assert_int_equal(recording_probe(recording, fds[0], &format), RECORDING_OK);
			assert_int_equal(
				recording_read(recording, fds[0], slots[0], sizes[0], &frame),
				RECORDING_TRY_AGAIN);
			assert_int_equal(
				write(fds[1], file.data + cut, file.size - cut), file.size - cut);
			assert_int_equal(
				recording_read(recording, fds[0], slots[1], sizes[i], &frame),
				RECORDING_CORRUPT);

			/* and the frame after it is none the worse */
			assert_int_equal(
				recording_read(recording, fds[0], slots[0], sizes[0], &frame),
				container == 1 ? RECORDING_CORRUPT : RECORDING_FRAME);
			recording_destroy(recording);
			close(fds[0]);
			close(fds[1]);
			free(slots[0]);
			free(slots[1]);
		}
	}
}

/* What is appended to a file after its end belongs to its next run. */
static void the_end_is_the_end(void **state)
{
	struct recording *recording;
	struct recording_format format;
	struct recording_frame frame;
	struct feed feed;
	uint8_t slot[192];

	(void)state;
	file_clear();
	put_text("YUV4MPEG2 W16 H8 F25:1\nFRAME\n");
	put_noise_frame(192);
	feed_init(&feed, 0, file.size);
	assert_int_equal(recording_create(NULL, &recording), 0);
	assert_int_equal(recording_probe(recording, feed.fd, &format), RECORDING_OK);
	for (size_t count = 1; count < 4; count++) {
		for (size_t i = 0; i < count; i++)
			assert_int_equal(
				recording_read(recording, feed.fd, slot, sizeof(slot), &frame),
				RECORDING_FRAME);
		assert_int_equal(recording_read(recording, feed.fd, slot, sizeof(slot), &frame),
			RECORDING_END);
		assert_int_equal(write(feed.fd, "FRAME\n", 6), 6);
		assert_int_equal(write(feed.fd, slot, sizeof(slot)), sizeof(slot));
		lseek(feed.fd, -(off_t)(6 + sizeof(slot)), SEEK_CUR);
		assert_int_equal(recording_read(recording, feed.fd, slot, sizeof(slot), &frame),
			RECORDING_END);
		assert_int_equal(recording_rewind(recording, feed.fd), 0);
	}
	recording_destroy(recording);
	feed_finish(&feed);
}

/* A file that does not start at the fd's offset 0, as a shell may hand it over. */
static void rewinding_knows_where_the_fd_was(void **state)
{
	struct recording *recording;
	struct recording_format format;
	struct recording_frame frame;
	struct feed feed;
	uint8_t slot[192];

	(void)state;
	file_clear();
	put_text("something before");
	put_text("YUV4MPEG2 W16 H8 F25:1\nFRAME\n");
	put_noise_frame(192);
	feed_init(&feed, 0, file.size);
	lseek(feed.fd, (off_t)strlen("something before"), SEEK_SET);
	assert_int_equal(recording_create(NULL, &recording), 0);
	assert_int_equal(recording_probe(recording, feed.fd, &format), RECORDING_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(recording_read(recording, feed.fd, slot, sizeof(slot), &frame),
			RECORDING_FRAME);
		assert_memory_equal(slot, file.data + frames[0].start, sizeof(slot));
		assert_int_equal(recording_read(recording, feed.fd, slot, sizeof(slot), &frame),
			RECORDING_END);
		assert_int_equal(recording_rewind(recording, feed.fd), 0);
	}
	recording_destroy(recording);
	feed_finish(&feed);
}

static void rewinding_is_refused_where_it_is_of_no_use(void **state)
{
	struct recording *recording;
	struct recording_format format;
	struct recording_frame frame;
	struct feed feed;
	uint8_t slot[192];
	int fds[2];

	(void)state;
	file_clear();
	put_text("YUV4MPEG2 W16 H8 F25:1\n");
	feed_init(&feed, 0, file.size);
	assert_int_equal(recording_create(NULL, &recording), 0);
	assert_int_equal(recording_probe(recording, feed.fd, &format), RECORDING_OK);
	assert_int_equal(
		recording_read(recording, feed.fd, slot, sizeof(slot), &frame), RECORDING_END);
	assert_int_equal(recording_rewind(recording, feed.fd), -ENODATA);
	assert_non_null(strstr(recording_error(recording), "no frame"));
	recording_destroy(recording);
	feed_finish(&feed);

	put_text("FRAME\n");
	put_noise_frame(192);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], file.data, file.size), file.size);
	close(fds[1]);
	assert_int_equal(recording_create(NULL, &recording), 0);
	assert_int_equal(recording_probe(recording, fds[0], &format), RECORDING_OK);
	assert_int_equal(
		recording_read(recording, fds[0], slot, sizeof(slot), &frame), RECORDING_FRAME);
	assert_int_equal(recording_rewind(recording, fds[0]), -ESPIPE);
	recording_destroy(recording);
	close(fds[0]);
}

/* However much there is to skip, a call comes back, so that the caller can be stopped. */
static void long_skips_are_interrupted(void **state)
{
	static const off_t junk = 100 * 1024 * 1024;
	struct recording *recording;
	struct recording_format format;
	struct recording_frame frame;
	struct feed feed;
	uint8_t *slot = malloc(65536);
	size_t movi, start, interruptions = 0;
	int r;

	(void)state;
	file_clear();
	avi_begin(&avi_mjpeg, &movi);
	start = chunk_begin("JUNK", NULL);
	patch_length(start, (uint32_t)junk);
	feed_init(&feed, 0, file.size);
	file.size = 0;
	put_avi_frame(&avi_mjpeg, &picture, 0);
	assert_int_equal(lseek(feed.fd, junk, SEEK_END) > junk, 1);
	assert_int_equal(write(feed.fd, file.data, file.size), file.size);
	assert_int_equal(lseek(feed.fd, 0, SEEK_SET), 0);

	assert_int_equal(recording_create(NULL, &recording), 0);
	assert_int_equal(recording_probe(recording, feed.fd, &format), RECORDING_OK);
	while ((r = recording_read(recording, feed.fd, slot, 65536, &frame)) == RECORDING_TRY_AGAIN)
		interruptions++;
	assert_int_equal(r, RECORDING_FRAME);
	assert_memory_equal(slot, file.data + frames[0].start, frame.bytesused);
	assert_in_range(interruptions, 10, 100);
	recording_destroy(recording);
	feed_finish(&feed);
	free(slot);
}

static int signal_pipe = -1;
static volatile sig_atomic_t signal_count;

static void interrupt(int signal)
{
	(void)signal;
	if (++signal_count == 3 && write(signal_pipe, file.data, file.size) < 0)
		abort();
}

/* The first signals interrupt a blocking read(), the third brings the data. */
static void signals_do_not_end_a_recording(void **state)
{
	struct recording *recording;
	struct recording_format format;
	struct sigaction action = {.sa_handler = interrupt};
	struct itimerval timer = {{0, 5000}, {0, 5000}}, stopped = {};
	int fds[2];

	(void)state;
	file_clear();
	put_text("YUV4MPEG2 W16 H8 F25:1\n");
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	signal_pipe = fds[1];
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
	assert_int_equal(recording_create(NULL, &recording), 0);
	assert_int_equal(recording_probe(recording, fds[0], &format), RECORDING_OK);
	assert_int_equal(setitimer(ITIMER_REAL, &stopped, NULL), 0);
	recording_destroy(recording);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_data_is_refused),
		cmocka_unit_test(read_errors_are_explained),
		cmocka_unit_test(raw_descriptions_are_parsed),
		cmocka_unit_test(raw_frames_come_bit_for_bit),
		cmocka_unit_test(time_does_not_drift),
		cmocka_unit_test(small_slots_are_never_overrun),
		cmocka_unit_test(a_frame_in_two_slots_is_corrupt),
		cmocka_unit_test(rewinding_gives_the_same_again),
		cmocka_unit_test(the_end_is_the_end),
		cmocka_unit_test(rewinding_knows_where_the_fd_was),
		cmocka_unit_test(rewinding_is_refused_where_it_is_of_no_use),
		cmocka_unit_test(long_skips_are_interrupted),
		cmocka_unit_test(signals_do_not_end_a_recording),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
