/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Recordings for tests: puts one together in memory, remembers where its frames are, and reads it
 * from a file and through pipes in pieces, which must all give the same.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static inline void file_clear(void)
{
	file.size = 0;
	frame_count = 0;
}

static inline void put(const void *data, size_t size)
{
	bytes_append(&file, data, size);
}

static inline void put_text(const char *text)
{
	put(text, strlen(text));
}

static inline void put_u32(uint32_t value)
{
	const uint8_t data[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
		(uint8_t)(value >> 24)};

	put(data, sizeof(data));
}

static inline void put_zeros(size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes_append_u8(&file, 0);
}

/* A frame of noise, never two the same. */
static inline void put_noise_frame(size_t size)
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

static inline void put_jpeg_frame(const struct jpeg_fixture *fixture)
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

static inline void feed_init(struct feed *feed, size_t piece, size_t size)
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
static inline void feed_more(struct feed *feed)
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

static inline void feed_finish(struct feed *feed)
{
	close(feed->fd);
	if (feed->pipe >= 0)
		close(feed->pipe);
}

static inline uint64_t hash(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t value = 14695981039346656037u;

	for (size_t i = 0; i < size; i++)
		value = (value ^ bytes[i]) * 1099511628211u;
	return value;
}

/* Up to END or an error. */
static inline void play_frames(
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

static inline void play_fed(
	const struct play_options *options, size_t piece, struct playback *playback)
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
static inline const struct playback *play(const struct play_options *options)
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

static inline const struct playback *play_all(void)
{
	return play(&(struct play_options){});
}

static inline size_t count_results(const struct playback *playback, int result)
{
	size_t count = 0;

	for (size_t i = 0; i < playback->outcome_count; i++)
		count += playback->outcomes[i].result == result;
	return count;
}

static inline void assert_frame(const struct outcome *outcome, const struct span *frame)
{
	assert_int_equal(outcome->result, RECORDING_FRAME);
	assert_int_equal(outcome->frame.bytesused, frame->end - frame->start);
	assert_int_equal(outcome->hash, hash(file.data + frame->start, frame->end - frame->start));
}

static inline void assert_damage(const struct outcome *outcome, enum recording_damage damage)
{
	assert_int_equal(outcome->result, RECORDING_CORRUPT);
	assert_string_equal(recording_damage_to_string(outcome->frame.damage),
		recording_damage_to_string(damage));
}

/* Exactly the frames that were put, and the end. */
static inline void assert_all_frames(const struct playback *playback)
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
static inline void assert_truncations(const struct recording_raw *raw, size_t from, size_t header)
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
static inline void assert_refused(int error, const char *words)
{
	const struct playback *playback = play_all();

	assert_int_equal(playback->probe_result, error);
	if (!strstr(playback->error, words))
		fail_msg("'%s' is not in '%s'", words, playback->error);
}

/* ---- pictures and containers ---- */

__attribute__((unused)) static const struct jpeg_fixture picture = {
	.width = 64, .height = 48, .thumbnail = true};
__attribute__((unused)) static const struct jpeg_fixture other_picture = {
	.width = 48, .height = 64};

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

__attribute__((unused)) static const struct avi_fixture avi_mjpeg = {.compression = "MJPG",
	.width = 64,
	.height = 48,
	.bits = 24,
	.scale = 1,
	.rate = 30,
	.length = 1};

static inline size_t chunk_begin(const char *name, const char *list_type)
{
	size_t start = file.size;

	put_text(name);
	put_u32(0);
	if (list_type)
		put_text(list_type);
	return start;
}

static inline void patch_length(size_t start, uint32_t length)
{
	for (unsigned int i = 0; i < 4; i++)
		file.data[start + 4 + i] = (uint8_t)(length >> (8 * i));
}

static inline void chunk_end(size_t start)
{
	patch_length(start, (uint32_t)(file.size - start - 8));
	if (file.size & 1)
		put_zeros(1);
}

static inline void put_chunk(const char *name, const char *content)
{
	size_t start = chunk_begin(name, NULL);

	put_text(content);
	chunk_end(start);
}

static inline void put_stream(const struct avi_fixture *fixture, bool video)
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
static inline size_t avi_begin(const struct avi_fixture *fixture, size_t *ret_movi)
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

static inline void avi_end(const struct avi_fixture *fixture, size_t riff, size_t movi)
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

static inline void put_avi_frame(
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

static inline void put_avi(const struct avi_fixture *fixture, unsigned int count)
{
	size_t movi, riff = avi_begin(fixture, &movi);

	for (unsigned int i = 0; i < count; i++)
		put_avi_frame(fixture, &picture, 0);
	avi_end(fixture, riff, movi);
}
