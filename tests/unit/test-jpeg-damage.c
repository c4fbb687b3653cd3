/* SPDX-License-Identifier: MIT */

/*
 * Damaged JPEGs, of every kind of whole ones that cameras deliver. What jpeg_check() takes for good
 * must be: a decoder (libjpeg-turbo) has nothing to complain of and gives the same pixels.
 *
 * Where a scan that does not decode cannot see the damage, in the values of tables and in the
 * entropy-coded data, it is measured how much passes, and bounded.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <turbojpeg.h>

#include "jpeg-scan.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	WIDTH = 72, /* no multiple of 16: the last blocks are not whole */
	HEIGHT = 40,
	PIXELS_SIZE = WIDTH * HEIGHT * 3,
	MARKERS_MAX = 256,
	PADDING = 100,
};

static const struct kind {
	const char *name;
	int subsampling, flags;
	const char *restart; /* TJ_RESTART: intervals in lines of MCUs, or with B in MCUs */
	bool optimize;       /* Huffman tables of its own, not those of T.81 */
	bool bare;           /* without Huffman tables, as many cameras send it */
	bool padded;         /* zeros after the end, as drivers deliver it */
	int quality;         /* 0: 85 */
} kinds[] = {
	{"4:2:0", TJSAMP_420, 0, NULL, false, false, false, 0},
	{"4:2:2", TJSAMP_422, 0, NULL, false, false, false, 0},
	{"4:4:4 best", TJSAMP_444, 0, NULL, false, false, false, 100},
	{"grey", TJSAMP_GRAY, 0, NULL, false, false, false, 0},
	{"4:2:2 restart", TJSAMP_422, 0, "2B", false, false, false, 0},
	{"4:2:0 restart lines", TJSAMP_420, 0, "1", false, false, true, 0},
	{"grey restart", TJSAMP_GRAY, 0, "3B", true, false, false, 0},
	{"4:2:0 optimized", TJSAMP_420, 0, NULL, true, false, false, 0},
	{"4:2:2 optimized restart", TJSAMP_422, 0, "5B", true, false, false, 30},
	{"4:2:2 bare", TJSAMP_422, 0, NULL, false, true, false, 0},
	{"4:2:2 bare restart padded", TJSAMP_422, 0, "4B", false, true, true, 0},
	{"4:2:0 progressive", TJSAMP_420, TJFLAG_PROGRESSIVE, NULL, false, false, false, 0},
	{"grey progressive restart", TJSAMP_GRAY, TJFLAG_PROGRESSIVE, "4B", false, false, false, 0},
};

/* A marker of an image. */
struct marker {
	size_t offset; /* of its 0xff */
	uint8_t code;
	size_t length; /* of its segment, with the length's own bytes; 0: it has none */
};

/* What is being damaged. */
static struct sample {
	const struct kind *kind;
	uint8_t data[64 * 1024];
	size_t size, end; /* with the padding; without */
	uint8_t pixels[PIXELS_SIZE];
	struct marker markers[MARKERS_MAX];
	size_t marker_count;
} whole;

static uint8_t damaged[2 * sizeof(whole.data)];

/* ---- making images ---- */

/* Something to see with some noise in it, so that no part of it is coded like another. */
static void paint(uint8_t *pixels)
{
	uint32_t noise = 1;

	for (unsigned y = 0; y < HEIGHT; y++) {
		for (unsigned x = 0; x < WIDTH; x++) {
			for (unsigned i = 0; i < 3; i++) {
				noise = noise * 1664525 + 1013904223;
				*pixels++ = (uint8_t)(x * (2 + i) + y * (4 - i) + (noise >> 28));
			}
		}
	}
}

static bool has_length(uint8_t code)
{
	return code != 0xd8 && code != 0xd9 && !(code >= 0xd0 && code <= 0xd7);
}

static void find_markers(void)
{
	size_t at = 0;

	whole.marker_count = 0;
	while (at + 1 < whole.end) {
		struct marker *marker = &whole.markers[whole.marker_count];

		if (whole.data[at] != 0xff || whole.data[at + 1] == 0) { /* entropy-coded */
			at++;
			continue;
		}
		assert_true(whole.marker_count < MARKERS_MAX);
		*marker = (struct marker){.offset = at, .code = whole.data[at + 1]};
		whole.marker_count++;
		if (has_length(marker->code))
			marker->length = (size_t)whole.data[at + 2] << 8 | whole.data[at + 3];
		at += 2 + marker->length;
	}
}

static void remove_bytes(size_t offset, size_t size)
{
	memmove(whole.data + offset, whole.data + offset + size, whole.size - offset - size);
	whole.size -= size;
	whole.end -= size;
}

/* Decodes to RGB; false: with an error or a warning. A decoder, and an encoder, is used once: they
 * keep Huffman tables from one image to the next. */
static bool decode(const uint8_t *data, size_t size, uint8_t pixels[PIXELS_SIZE])
{
	tjhandle decoder = tjInitDecompress();
	int width, height, subsampling, colorspace;
	bool good;

	assert_non_null(decoder);
	good = tjDecompressHeader3(
		       decoder, data, size, &width, &height, &subsampling, &colorspace) == 0 &&
	       width == WIDTH && height == HEIGHT &&
	       tjDecompress2(decoder, data, size, pixels, WIDTH, 0, HEIGHT, TJPF_RGB,
		       TJFLAG_STOPONWARNING | TJFLAG_ACCURATEDCT) == 0;
	tjDestroy(decoder);
	return good;
}

static void make(const struct kind *kind)
{
	static uint8_t pixels[PIXELS_SIZE];
	tjhandle encoder = tjInitCompress();
	unsigned char *jpeg = NULL;
	unsigned long size = 0;

	assert_non_null(encoder);
	paint(pixels);
	if (kind->restart)
		setenv("TJ_RESTART", kind->restart, 1);
	else
		unsetenv("TJ_RESTART");
	setenv("TJ_OPTIMIZE", kind->optimize ? "1" : "0", 1);
	assert_int_equal(
		tjCompress2(encoder, pixels, WIDTH, 0, HEIGHT, TJPF_RGB, &jpeg, &size,
			kind->subsampling, kind->quality ? kind->quality : 85, kind->flags),
		0);
	assert_true(size + PADDING < sizeof(whole.data));
	memset(&whole, 0, sizeof(whole));
	whole.kind = kind;
	memcpy(whole.data, jpeg, size);
	whole.size = whole.end = size;
	tjFree(jpeg);
	find_markers();
	for (size_t i = whole.marker_count; kind->bare && i-- > 0;)
		if (whole.markers[i].code == 0xc4)
			remove_bytes(whole.markers[i].offset, 2 + whole.markers[i].length);
	find_markers();
	if (kind->padded)
		whole.size += PADDING;
	tjDestroy(encoder);
	assert_true(decode(whole.data, whole.size, whole.pixels));
}

/* ---- judging ---- */

enum verdict {
	REFUSED,
	HARMLESS, /* taken for good, and a decoder agrees */
	PASSED,   /* taken for good, but it is not */
};

/* The check sees a heap block of exactly this size, so that the sanitizer sees what is too far. */
static enum verdict judge(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	enum jpeg_check_result result;
	static uint8_t pixels[PIXELS_SIZE];
	struct jpeg_image image;
	bool same;

	assert_non_null(copy);
	memcpy(copy, data, size);
	result = jpeg_check(copy, size, WIDTH, HEIGHT, &image);
	if (result != JPEG_CHECK_GOOD) {
		free(copy);
		return REFUSED;
	}
	assert_true(image.length <= size);
	/* what the daemon publishes has no padding */
	same = decode(copy, image.length, pixels) &&
	       memcmp(pixels, whole.pixels, sizeof(pixels)) == 0;
	free(copy);
	return same ? HARMLESS : PASSED;
}

/* Damages one byte and judges. */
static enum verdict judge_byte(size_t offset, uint8_t value)
{
	uint8_t was = whole.data[offset];
	enum verdict verdict;

	whole.data[offset] = value;
	verdict = judge(whole.data, whole.size);
	whole.data[offset] = was;
	return verdict;
}

static void for_each_kind(void (*function)(void))
{
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		make(&kinds[i]);
		function();
	}
}

/* ---- tests ---- */

static void check_whole(void)
{
	assert_int_equal(judge(whole.data, whole.size), HARMLESS);
}

static void whole_images_are_good(void **state)
{
	(void)state;
	for_each_kind(check_whole);
}

static void check_truncations(void)
{
	for (size_t size = 0; size < whole.end; size++)
		if (judge(whole.data, size) != REFUSED)
			fail_msg("%s: good when cut at %zu of %zu", whole.kind->name, size,
				whole.end);
	for (size_t size = whole.end; size <= whole.size; size++)
		assert_int_equal(judge(whole.data, size), HARMLESS);
}

static void no_truncated_image_is_good(void **state)
{
	(void)state;
	for_each_kind(check_truncations);
}

/* Every value of every byte of a marker and of its segment's length. */
static void check_markers(void)
{
	for (size_t i = 0; i < whole.marker_count; i++) {
		const struct marker *marker = &whole.markers[i];
		size_t bytes = marker->length > 0 ? 4 : 2;

		for (size_t at = marker->offset; at < marker->offset + bytes; at++) {
			for (unsigned value = 0; value < 256; value++) {
				if (value == whole.data[at] ||
					judge_byte(at, (uint8_t)value) != PASSED)
					continue;
				fail_msg("%s: good with %02x for byte %zu of marker %02x",
					whole.kind->name, value, at - marker->offset, marker->code);
			}
		}
	}
}

static void no_image_with_a_damaged_marker_is_good(void **state)
{
	(void)state;
	for_each_kind(check_markers);
}

/* ---- more than a byte ---- */

static enum verdict judge_without(size_t offset, size_t size)
{
	size_t rest = whole.size - offset - size;

	memcpy(damaged, whole.data, offset);
	memcpy(damaged + offset, whole.data + offset + size, rest);
	return judge(damaged, offset + rest);
}

static enum verdict judge_with(size_t offset, const uint8_t *inserted, size_t size)
{
	size_t rest = whole.size - offset;

	memcpy(damaged, whole.data, offset);
	memcpy(damaged + offset, inserted, size);
	memcpy(damaged + offset + size, whole.data + offset, rest);
	return judge(damaged, offset + size + rest);
}

static bool is_restart(const struct marker *marker)
{
	return marker->code >= 0xd0 && marker->code <= 0xd7;
}

/* A segment, or a marker alone, is lost, comes twice, or has something before it. */
static void check_segments(void)
{
	static const uint8_t garbage[] = {0x00, 0x42, 0xff};

	for (size_t i = 0; i < whole.marker_count; i++) {
		const struct marker *marker = &whole.markers[i];
		const uint8_t *bytes = whole.data + marker->offset;
		bool entropy_before = i > 0 && (whole.markers[i - 1].code == 0xda ||
						       is_restart(&whole.markers[i - 1]));

		if (judge_without(marker->offset, 2 + marker->length) == PASSED ||
			judge_with(marker->offset, bytes, 2 + marker->length) == PASSED ||
			judge_without(marker->offset, 1) == PASSED ||
			judge_without(marker->offset + 1, 1) == PASSED)
			fail_msg("%s: good without or with a second marker %02x", whole.kind->name,
				marker->code);
		for (size_t size = 1; size <= sizeof(garbage) && !entropy_before; size++)
			if (judge_with(marker->offset, garbage, size) == PASSED)
				fail_msg("%s: good with %zu bytes before marker %02x",
					whole.kind->name, size, marker->code);
	}
}

static void no_image_with_a_lost_or_doubled_segment_is_good(void **state)
{
	(void)state;
	for_each_kind(check_segments);
}

/* Restart markers with their intervals: one is lost, or comes twice, or two are exchanged. */
static void check_restarts(void)
{
	static uint8_t was[sizeof(whole.data)];

	for (size_t i = 0; i + 1 < whole.marker_count; i++) {
		const struct marker *marker = &whole.markers[i], *next = marker + 1;
		size_t size = next->offset - marker->offset;

		if (!is_restart(marker))
			continue;
		assert_int_equal(judge_without(marker->offset, size), REFUSED);
		assert_int_equal(
			judge_with(marker->offset, whole.data + marker->offset, size), REFUSED);
		if (!is_restart(next))
			continue;
		memcpy(was, whole.data, whole.size);
		whole.data[marker->offset + 1] = next->code;
		whole.data[next->offset + 1] = marker->code;
		assert_int_equal(judge(whole.data, whole.size), REFUSED);
		memcpy(whole.data, was, whole.size);
	}
}

static void restart_intervals_are_counted(void **state)
{
	(void)state;
	for_each_kind(check_restarts);
}

/* A marker in the middle of entropy-coded data: the rest of another image, or of nothing. */
static void check_markers_within(void)
{
	static const uint8_t codes[] = {
		0x01, 0x42, 0xc0, 0xc4, 0xd0, 0xd5, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xe0, 0xfe};

	for (size_t i = 0; i + 1 < whole.marker_count; i++) {
		const struct marker *marker = &whole.markers[i];
		size_t first = marker->offset + 2 + marker->length;

		if (marker->code != 0xda && !is_restart(marker))
			continue;
		for (size_t at = first; at + 1 < whole.markers[i + 1].offset; at += 5) {
			for (size_t j = 0; j < ELEMENTS(codes); j++) {
				uint8_t was[2] = {whole.data[at], whole.data[at + 1]};
				bool end = codes[j] == 0xd9;
				enum verdict verdict;

				whole.data[at] = 0xff;
				whole.data[at + 1] = codes[j];
				verdict = judge(whole.data, whole.size);
				memcpy(whole.data + at, was, sizeof(was));
				/* an image that ends too soon looks like one that ends */
				if (verdict == PASSED && !end)
					fail_msg("%s: good with %02x in a scan", whole.kind->name,
						codes[j]);
			}
		}
	}
}

static void no_image_with_a_marker_in_its_data_is_good(void **state)
{
	(void)state;
	for_each_kind(check_markers_within);
}

/* ---- what cannot be seen without decoding ---- */

struct count {
	unsigned tried, harmless, passed;
};

static void count(struct count *count, enum verdict verdict)
{
	count->tried++;
	count->harmless += verdict == HARMLESS;
	count->passed += verdict == PASSED;
}

/* Of the damages that a decoder sees, how many pass: in percent. */
static double passed_percent(const struct count *count)
{
	return 100.0 * count->passed / (count->tried - count->harmless);
}

static const uint8_t flips[] = {0x01, 0x02, 0x10, 0x80, 0x55, 0xff};

static void values_of_headers_are_checked_as_far_as_they_can_be(void **state)
{
	/* Percent. Sampling factors may be others, and tables exchanged. Quantisation tables may
	 * have any values. Optimized Huffman tables lack symbols, so that one which is exchanged
	 * for another of those is as good. */
	static const struct {
		uint8_t code;
		const char *name;
		double most;
	} limits[] = {{0xc0, "SOF0", 6}, {0xda, "SOS", 10}, {0xdd, "DRI", 3}, {0xc4, "DHT", 5},
		{0xdb, "DQT", 100}};
	struct count counts[256] = {0};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		if (kinds[i].flags & TJFLAG_PROGRESSIVE)
			continue;
		make(&kinds[i]);
		for (size_t j = 0; j < whole.marker_count; j++) {
			const struct marker *marker = &whole.markers[j];
			size_t end = marker->offset + 2 + marker->length;

			for (size_t at = marker->offset + 4; at < end; at++)
				for (size_t k = 0; k < ELEMENTS(flips); k++)
					count(&counts[marker->code],
						judge_byte(at, whole.data[at] ^ flips[k]));
		}
	}
	for (size_t i = 0; i < ELEMENTS(limits); i++) {
		const struct count *found = &counts[limits[i].code];

		print_message("%s: %u damages, %.2f %% of those that matter pass\n", limits[i].name,
			found->tried, passed_percent(found));
		assert_true(found->tried - found->harmless > 50);
		assert_true(passed_percent(found) <= limits[i].most);
	}
}

/* camtapd(8) says so: to decode each frame is not the daemon's work. */
static void damage_within_the_entropy_coded_data_passes(void **state)
{
	struct count bytes = {0}, bytes_restart = {0}, cuts = {0}, cuts_restart = {0};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		struct count *byte = kinds[i].restart ? &bytes_restart : &bytes;
		struct count *cut = kinds[i].restart ? &cuts_restart : &cuts;
		size_t first = 0;

		make(&kinds[i]);
		for (size_t j = 0; j < whole.marker_count && first == 0; j++)
			if (whole.markers[j].code == 0xda)
				first = whole.markers[j].offset + 2 + whole.markers[j].length;
		for (size_t at = first; at < whole.end - 2; at++) {
			for (size_t k = 0; k < ELEMENTS(flips); k++)
				count(byte, judge_byte(at, whole.data[at] ^ flips[k]));
			/* an eighth of what is left is lost */
			count(cut, judge_without(at, 1 + (whole.end - 2 - at) / 8));
		}
	}
	print_message("a byte: %.1f %% pass, %.1f %% with restart markers\n",
		passed_percent(&bytes), passed_percent(&bytes_restart));
	print_message("a lost piece: %.1f %% pass, %.1f %% with restart markers\n",
		passed_percent(&cuts), passed_percent(&cuts_restart));
	/* as the manual says */
	assert_true(passed_percent(&bytes) > 95 && passed_percent(&bytes) < 99);
	assert_true(passed_percent(&cuts) > 90 && passed_percent(&cuts) < 95);
	assert_true(passed_percent(&cuts_restart) > 45 && passed_percent(&cuts_restart) < 55);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_images_are_good),
		cmocka_unit_test(no_truncated_image_is_good),
		cmocka_unit_test(no_image_with_a_damaged_marker_is_good),
		cmocka_unit_test(no_image_with_a_lost_or_doubled_segment_is_good),
		cmocka_unit_test(restart_intervals_are_counted),
		cmocka_unit_test(no_image_with_a_marker_in_its_data_is_good),
		cmocka_unit_test(values_of_headers_are_checked_as_far_as_they_can_be),
		cmocka_unit_test(damage_within_the_entropy_coded_data_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
