/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/videodev2.h>

#include "format.h"
#include "jpeg-fixture.h"
#include "recording.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	OUTCOMES_MAX = 128,
	SPANS_MAX = 128,
};

/* ---- a recording in memory, and where its frames are ---- */

struct span {
	size_t start, end;
};

static struct bytes file;
static struct span frames[SPANS_MAX];
static size_t frame_count;

static void file_clear(void)
{
	file.size = 0;
	frame_count = 0;
}

static void put(const void *data, size_t size)
{
	bytes_append(&file, data, size);
}

static void put_text(const char *text)
{
	put(text, strlen(text));
}

static void put_u32(uint32_t value)
{
	const uint8_t data[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
		(uint8_t)(value >> 24)};

	put(data, sizeof(data));
}

static void put_zeros(size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes_append_u8(&file, 0);
}

/* A frame of noise, never two the same. */
static void put_noise_frame(size_t size)
{
	uint32_t noise = (uint32_t)frame_count * 77 + 1;

	assert_true(frame_count < SPANS_MAX);
	frames[frame_count].start = file.size;
	for (size_t i = 0; i < size; i++) {
		noise = noise * 1664525 + 1013904223;
		bytes_append_u8(&file, noise >> 24);
	}
	frames[frame_count++].end = file.size;
}

static void put_jpeg_frame(const struct jpeg_fixture *fixture)
{
	struct jpeg_fixture copy = *fixture;

	assert_true(frame_count < SPANS_MAX);
	copy.seed = (uint8_t)frame_count;
	frames[frame_count].start = file.size;
	jpeg_append(&file, &copy);
	frames[frame_count++].end = file.size;
}

/* ---- reading it ---- */

struct outcome {
	int result; /* FRAME or CORRUPT */
	struct recording_frame frame;
	uint64_t hash; /* of the frame's bytes */
};

struct playback {
	int probe_result;
	struct recording_format format;
	char error[256];
	int last_result; /* END or an error */
	struct outcome outcomes[OUTCOMES_MAX];
	size_t outcome_count;
};

/* How the bytes come: 0: a file; else a non-blocking pipe that gets so many at a time. */
struct feed {
	size_t piece;
	int fd, pipe;
	size_t written, size;
};

static void feed_init(struct feed *feed, size_t piece, size_t size)
{
	*feed = (struct feed){.piece = piece, .pipe = -1, .size = size};
	if (piece == 0) {
		feed->fd = memfd_create("recording", MFD_CLOEXEC);
		assert_true(feed->fd >= 0);
		assert_int_equal(write(feed->fd, file.data, size), size);
		assert_int_equal(lseek(feed->fd, 0, SEEK_SET), 0);
	} else {
		int fds[2];

		assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
		feed->fd = fds[0];
		feed->pipe = fds[1];
	}
}

/* The reader saw an empty pipe: fills in the next piece, or closes it. */
static void feed_more(struct feed *feed)
{
	struct pollfd poll_fd = {.fd = feed->fd, .events = POLLIN};
	size_t size = feed->size - feed->written;

	if (feed->pipe < 0)
		return;
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	if (size == 0) {
		close(feed->pipe);
		feed->pipe = -1;
		return;
	}
	if (size > feed->piece)
		size = feed->piece;
	assert_int_equal(write(feed->pipe, file.data + feed->written, size), size);
	feed->written += size;
}

static void feed_finish(struct feed *feed)
{
	close(feed->fd);
	if (feed->pipe >= 0)
		close(feed->pipe);
}

static uint64_t hash(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t value = 14695981039346656037u;

	for (size_t i = 0; i < size; i++)
		value = (value ^ bytes[i]) * 1099511628211u;
	return value;
}

/* Up to END or an error. */
static void play_frames(
	struct recording *recording, struct feed *feed, size_t slot_size, struct playback *playback)
{
	uint8_t *slot = malloc(slot_size > 0 ? slot_size : 1); /* exact, for the sanitizer */

	assert_non_null(slot);
	playback->outcome_count = 0;
	for (;;) {
		struct outcome outcome = {};
		int r = recording_read(recording, feed->fd, slot, slot_size, &outcome.frame);

		if (r == RECORDING_TRY_AGAIN) {
			feed_more(feed);
			continue;
		}
		if (r != RECORDING_FRAME && r != RECORDING_CORRUPT) {
			playback->last_result = r;
			break;
		}
		outcome.result = r;
		if (r == RECORDING_FRAME) {
			assert_true(outcome.frame.bytesused > 0);
			assert_true(outcome.frame.bytesused <= slot_size);
			assert_int_equal(outcome.frame.damage, RECORDING_DAMAGE_NONE);
			outcome.hash = hash(slot, outcome.frame.bytesused);
		} else {
			assert_int_not_equal(outcome.frame.damage, RECORDING_DAMAGE_NONE);
		}
		assert_true(playback->outcome_count < OUTCOMES_MAX);
		playback->outcomes[playback->outcome_count++] = outcome;
		memset(slot, 0xee, slot_size);
	}
	free(slot);
}

struct play_options {
	const struct recording_raw *raw;
	size_t size;      /* of the file; 0: all */
	size_t slot_size; /* 0: what the format says */
};

static void play_fed(const struct play_options *options, size_t piece, struct playback *playback)
{
	struct recording *recording;
	struct feed feed;
	int r;

	memset(playback, 0, sizeof(*playback));
	feed_init(&feed, piece, options->size ? options->size : file.size);
	assert_int_equal(recording_create(options->raw, &recording), 0);
	for (;;) {
		r = recording_probe(recording, feed.fd, &playback->format);
		if (r != RECORDING_TRY_AGAIN)
			break;
		feed_more(&feed);
	}
	playback->probe_result = r;
	if (r == RECORDING_OK) {
		size_t slot_size = options->slot_size;

		if (slot_size == 0)
			slot_size = playback->format.frame_size_max;
		play_frames(recording, &feed, slot_size, playback);
		if (playback->last_result == RECORDING_END) /* which it stays */
			assert_int_equal(recording_read(recording, feed.fd, NULL, 0,
						 &(struct recording_frame){}),
				RECORDING_END);
	}
	snprintf(playback->error, sizeof(playback->error), "%s", recording_error(recording));
	assert_null(strchr(playback->error, '\n'));
	recording_destroy(recording);
	feed_finish(&feed);
}

/* Reads the file, and again through pipes in pieces of several sizes: the same must come out. */
static const struct playback *play(const struct play_options *options)
{
	static struct playback from_file, from_pipe;
	static const size_t pieces[] = {1, 7, 4096, 60000};

	play_fed(options, 0, &from_file);
	for (size_t i = 0; i < ELEMENTS(pieces); i++) {
		if (file.size > 100000 && pieces[i] < 4096)
			continue;
		play_fed(options, pieces[i], &from_pipe);
		assert_memory_equal(&from_file, &from_pipe, sizeof(from_file));
	}
	return &from_file;
}

static const struct playback *play_all(void)
{
	return play(&(struct play_options){});
}

static size_t count_results(const struct playback *playback, int result)
{
	size_t count = 0;

	for (size_t i = 0; i < playback->outcome_count; i++)
		count += playback->outcomes[i].result == result;
	return count;
}

static void assert_frame(const struct outcome *outcome, const struct span *frame)
{
	assert_int_equal(outcome->result, RECORDING_FRAME);
	assert_int_equal(outcome->frame.bytesused, frame->end - frame->start);
	assert_int_equal(outcome->hash, hash(file.data + frame->start, frame->end - frame->start));
}

static void assert_damage(const struct outcome *outcome, enum recording_damage damage)
{
	assert_int_equal(outcome->result, RECORDING_CORRUPT);
	assert_string_equal(recording_damage_to_string(outcome->frame.damage),
		recording_damage_to_string(damage));
}

/* Exactly the frames that were put, and the end. */
static void assert_all_frames(const struct playback *playback)
{
	assert_int_equal(playback->probe_result, RECORDING_OK);
	assert_int_equal(playback->outcome_count, frame_count);
	for (size_t i = 0; i < frame_count; i++) {
		assert_frame(&playback->outcomes[i], &frames[i]);
		assert_int_equal(playback->outcomes[i].frame.index, i);
	}
	assert_int_equal(playback->last_result, RECORDING_END);
}

/*
 * Cuts the file at every length from the first frame on: whole frames come out, and one corrupt
 * one if the cut goes through a frame: through [start - header, end).
 */
static void assert_truncations(const struct recording_raw *raw, size_t from, size_t header)
{
	static const size_t pieces[] = {0, 1, 1000};
	static struct playback playback;

	for (size_t size = from; size <= file.size; size++) {
		size_t whole = 0, cut = 0;

		for (size_t i = 0; i < frame_count; i++) {
			whole += frames[i].end <= size;
			cut += frames[i].start - header < size && size < frames[i].end;
		}
		for (size_t i = 0; i < ELEMENTS(pieces); i++) {
			play_fed(&(struct play_options){.raw = raw, .size = size}, pieces[i],
				&playback);
			assert_int_equal(playback.probe_result, RECORDING_OK);
			assert_int_equal(count_results(&playback, RECORDING_FRAME), whole);
			assert_int_equal(count_results(&playback, RECORDING_CORRUPT), cut);
			assert_int_equal(playback.last_result, RECORDING_END);
		}
	}
}

/* What a probe of the file says when it refuses. */
static void assert_refused(int error, const char *words)
{
	const struct playback *playback = play_all();

	assert_int_equal(playback->probe_result, error);
	if (!strstr(playback->error, words))
		fail_msg("'%s' is not in '%s'", words, playback->error);
}

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

/* ---- Y4M ---- */

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

/* ---- MJPEG ---- */

static const struct jpeg_fixture picture = {.width = 64, .height = 48, .thumbnail = true};
static const struct jpeg_fixture other_picture = {.width = 48, .height = 64};
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

/* ---- AVI ---- */

struct avi_fixture {
	const char *compression; /* four characters; NULL: RGB */
	uint32_t width, height;
	uint32_t bits;
	uint32_t scale, rate; /* 0: only the main header has one */
	uint32_t length;      /* of RIFF and movi; 1: the true one */
	bool sound_first;
	bool junk;
	bool rec;   /* each frame in a list of its own */
	bool index; /* at the end */
};

static const struct avi_fixture avi_mjpeg = {.compression = "MJPG",
	.width = 64,
	.height = 48,
	.bits = 24,
	.scale = 1,
	.rate = 30,
	.length = 1};

static size_t chunk_begin(const char *name, const char *list_type)
{
	size_t start = file.size;

	put_text(name);
	put_u32(0);
	if (list_type)
		put_text(list_type);
	return start;
}

static void patch_length(size_t start, uint32_t length)
{
	for (unsigned int i = 0; i < 4; i++)
		file.data[start + 4 + i] = (uint8_t)(length >> (8 * i));
}

static void chunk_end(size_t start)
{
	patch_length(start, (uint32_t)(file.size - start - 8));
	if (file.size & 1)
		put_zeros(1);
}

static void put_chunk(const char *name, const char *content)
{
	size_t start = chunk_begin(name, NULL);

	put_text(content);
	chunk_end(start);
}

static void put_stream(const struct avi_fixture *fixture, bool video)
{
	size_t list = chunk_begin("LIST", "strl"), start = chunk_begin("strh", NULL);

	put_text(video ? "vids" : "auds");
	put_zeros(16);
	put_u32(video ? fixture->scale : 1);
	put_u32(video ? fixture->rate : 48000);
	put_zeros(28);
	chunk_end(start);
	start = chunk_begin("strf", NULL);
	put_u32(40);
	put_u32(fixture->width);
	put_u32(fixture->height);
	put_u32(1 | fixture->bits << 16);
	if (fixture->compression)
		put_text(fixture->compression);
	else
		put_u32(0);
	put_zeros(20);
	chunk_end(start);
	put_chunk("strn", "odd");
	chunk_end(list);
}

/* Returns where RIFF starts; *ret_movi where movi does. */
static size_t avi_begin(const struct avi_fixture *fixture, size_t *ret_movi)
{
	size_t riff = chunk_begin("RIFF", "AVI "), hdrl = chunk_begin("LIST", "hdrl"), start;

	start = chunk_begin("avih", NULL);
	put_u32(40000); /* us: 25 frames per second */
	put_zeros(52);
	chunk_end(start);
	if (fixture->sound_first)
		put_stream(fixture, false);
	put_stream(fixture, true);
	put_stream(fixture, false);
	start = chunk_begin("LIST", "odml");
	put_chunk("dmlh", "some number");
	chunk_end(start);
	chunk_end(hdrl);
	if (fixture->junk)
		put_chunk("JUNK", "00dc\4\0\0\0what looks like a frame");
	*ret_movi = chunk_begin("LIST", "movi");
	return riff;
}

static void avi_end(const struct avi_fixture *fixture, size_t riff, size_t movi)
{
	chunk_end(movi);
	if (fixture->index)
		put_chunk("idx1", "00dc\0\0\0\0\4\0\0\0\4\0\0\0");
	chunk_end(riff);
	if (fixture->length != 1) {
		patch_length(riff, fixture->length);
		patch_length(movi, fixture->length);
	}
}

static void put_avi_frame(
	const struct avi_fixture *fixture, const struct jpeg_fixture *jpeg, size_t noise_size)
{
	size_t list = fixture->rec ? chunk_begin("LIST", "rec ") : 0;
	size_t start = chunk_begin(fixture->sound_first ? "01dc" : "00dc", NULL);

	if (jpeg)
		put_jpeg_frame(jpeg);
	else
		put_noise_frame(noise_size);
	chunk_end(start);
	put_chunk(fixture->sound_first ? "00wb" : "01wb", "sound");
	if (fixture->rec)
		chunk_end(list);
}

static void put_avi(const struct avi_fixture *fixture, unsigned int count)
{
	size_t movi, riff = avi_begin(fixture, &movi);

	for (unsigned int i = 0; i < count; i++)
		put_avi_frame(fixture, &picture, 0);
	avi_end(fixture, riff, movi);
}

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
		cmocka_unit_test(y4m_headers_are_understood),
		cmocka_unit_test(y4m_nonsense_is_refused),
		cmocka_unit_test(y4m_frames_come_bit_for_bit),
		cmocka_unit_test(y4m_lines_may_be_long),
		cmocka_unit_test(y4m_truncations_are_seen),
		cmocka_unit_test(y4m_without_frame_line_ends),
		cmocka_unit_test(mjpeg_images_come_bit_for_bit),
		cmocka_unit_test(mjpeg_truncations_are_seen),
		cmocka_unit_test(mjpeg_damage_is_counted_once),
		cmocka_unit_test(mjpeg_without_size_is_refused),
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
