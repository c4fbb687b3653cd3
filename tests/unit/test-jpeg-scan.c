/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <turbojpeg.h>

#include "jpeg-fixture.h"
#include "jpeg-scan.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static const struct jpeg_fixture kinds[] = {
	{.width = 640, .height = 480},
	{.width = 640, .height = 480, .grey = true},
	{.width = 641, .height = 481, .sampling = 0x22},
	{.width = 1920, .height = 1080, .sampling = 0x21, .progressive = true},
	{.width = 160, .height = 120, .thumbnail = true},
	{.width = 160, .height = 120, .fill = true},
	/* 20 x 15 MCUs, then 10 x 8, the last with a marker after the last interval as well */
	{.width = 160, .height = 120, .restart_interval = 20, .restarts = 14},
	{.width = 160, .height = 120, .sampling = 0x22, .restart_interval = 10, .restarts = 7},
	{.width = 160, .height = 120, .restart_interval = 7, .restarts = 42, .fill = true},
	/* a component alone has an MCU per block, whatever its sampling factors */
	{.width = 160,
		.height = 120,
		.grey = true,
		.sampling = 0x22,
		.restart_interval = 20,
		.restarts = 14},
	{.width = 65535,
		.height = 65535,
		.grey = true,
		.restart_interval = 65535,
		.restarts = 1024},
};

static struct bytes image;

static void build(const struct jpeg_fixture *fixture)
{
	image.size = 0;
	jpeg_append(&image, fixture);
}

/* A copy that ends where the heap block ends, so that the sanitizer sees every byte too far. */
static uint8_t *exact_copy(const void *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);

	assert_non_null(copy);
	memcpy(copy, data, size);
	return copy;
}

static enum jpeg_check_result check(const void *data, size_t size, struct jpeg_image *ret_image)
{
	uint8_t *copy = exact_copy(data, size);
	enum jpeg_check_result result = jpeg_check(copy, size, 0, 0, ret_image);

	free(copy);
	return result;
}

static void whole_images_are_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		const struct jpeg_fixture *kind = &kinds[i];
		struct jpeg_image found;

		build(kind);
		assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
		assert_int_equal(found.fault, JPEG_FAULT_NONE);
		assert_int_equal(found.length, image.size);
		assert_int_equal(found.width, kind->width);
		assert_int_equal(found.height, kind->height);
		assert_int_equal(found.progressive, kind->progressive);
		assert_int_equal(found.component_count, kind->grey ? 1 : 3);
		assert_int_equal(found.components[0].horizontal << 4 | found.components[0].vertical,
			kind->sampling ? kind->sampling : 0x11);
	}
}

static void pieces_give_the_same_as_the_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		build(&kinds[i]);
		if (image.size > 10000)
			continue;
		for (size_t split = 0; split <= image.size; split++) {
			struct jpeg_scan scan;
			size_t consumed;
			enum jpeg_scan_result result;

			jpeg_scan_init(&scan);
			result = jpeg_scan_feed(&scan, image.data, split, &consumed);
			assert_int_equal(consumed, split);
			if (split < image.size) {
				assert_int_equal(result, JPEG_SCAN_NEED_MORE);
				result = jpeg_scan_feed(
					&scan, image.data + split, image.size - split, &consumed);
				assert_int_equal(consumed, image.size - split);
			}
			assert_int_equal(result, JPEG_SCAN_COMPLETE);
			assert_int_equal(scan.image.length, image.size);
		}
	}
}

static void bytes_one_by_one_give_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		struct jpeg_scan scan;

		build(&kinds[i]);
		jpeg_scan_init(&scan);
		for (size_t at = 0; at < image.size; at++) {
			size_t consumed;

			assert_int_equal(jpeg_scan_feed(&scan, &image.data[at], 1, &consumed),
				at + 1 < image.size ? JPEG_SCAN_NEED_MORE : JPEG_SCAN_COMPLETE);
			assert_int_equal(consumed, 1);
		}
		assert_int_equal(scan.image.width, kinds[i].width);
	}
}

static void every_truncation_is_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(kinds); i++) {
		build(&kinds[i]);
		for (size_t size = 0; size<image.size; size += image.size> 10000 ? 997 : 1) {
			struct jpeg_image found;

			assert_int_equal(check(image.data, size, &found), JPEG_CHECK_TRUNCATED);
		}
	}
}

static void padding_is_not_part_of_the_image(void **state)
{
	static const char garbage[] = "\xff\xd9 stale \xff\xd8\xff\xe1 bytes of an older frame";
	struct jpeg_image found;
	size_t size;

	(void)state;
	build(&kinds[0]);
	size = image.size;
	bytes_append(&image, &(uint8_t[1000]){0}, 1000);
	assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
	assert_int_equal(found.length, size);

	image.size = size;
	bytes_append(&image, garbage, sizeof(garbage));
	assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
	assert_int_equal(found.length, size);
}

static void dimensions_must_be_the_expected_ones(void **state)
{
	struct jpeg_image found;

	(void)state;
	build(&kinds[0]);
	assert_int_equal(jpeg_check(image.data, image.size, 640, 480, &found), JPEG_CHECK_GOOD);
	assert_int_equal(
		jpeg_check(image.data, image.size, 640, 481, &found), JPEG_CHECK_WRONG_SIZE);
	assert_int_equal(
		jpeg_check(image.data, image.size, 320, 480, &found), JPEG_CHECK_WRONG_SIZE);
	assert_int_equal(found.width, 640);
	assert_int_equal(found.height, 480);
}

/* The offset of the first marker of its kind, in an image without fill bytes. */
static size_t marker_offset(uint8_t marker)
{
	for (size_t i = 0; i + 1 < image.size; i++) {
		if (image.data[i] == 0xff && image.data[i + 1] == marker)
			return i;
	}
	fail_msg("no marker %02x", marker);
	return 0;
}

static void assert_fault(enum jpeg_fault fault)
{
	struct jpeg_image found;

	assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_CORRUPT);
	assert_string_equal(jpeg_fault_to_string(found.fault), jpeg_fault_to_string(fault));
}

/* One byte of a good image, counted from one of its markers, and what it does. */
static void a_spoiled_byte_is_seen(void **state)
{
	static const struct {
		uint8_t marker, offset, value;
		enum jpeg_fault fault;
	} cases[] = {
		{0xd8, 0, 0x00, JPEG_FAULT_NO_IMAGE}, {0xd8, 1, 0xd9, JPEG_FAULT_NO_IMAGE},
		{0xdb, 0, 0x00, JPEG_FAULT_MARKER},
		{0xdb, 1, 0x00, JPEG_FAULT_MARKER}, /* FF00 outside of entropy-coded data */
		{0xdb, 1, 0x4f, JPEG_FAULT_MARKER}, /* reserved */
		{0xdb, 1, 0xd0, JPEG_FAULT_MARKER}, /* RST0 likewise */
		{0xdb, 1, 0xfe, JPEG_FAULT_TABLE},  /* a comment instead of tables */
		{0xdb, 1, 0xd8, JPEG_FAULT_NEXT_IMAGE}, {0xdb, 1, 0xd9, JPEG_FAULT_INCOMPLETE},
		{0xdb, 3, 0, JPEG_FAULT_SEGMENT}, /* lengths */
		{0xdb, 3, 1, JPEG_FAULT_SEGMENT}, {0xdb, 3, 2, JPEG_FAULT_SEGMENT},
		{0xdb, 3, 131, JPEG_FAULT_SEGMENT},
		{0xdb, 4, 0x20, JPEG_FAULT_SEGMENT}, /* precision */
		{0xdb, 4, 0x04, JPEG_FAULT_SEGMENT}, /* id */
		{0xdb, 4, 0x03, JPEG_FAULT_TABLE},   /* table 0 becomes table 3 */
		{0xdb, 4, 0x10, JPEG_FAULT_SEGMENT}, /* 16 bit: twice as long */
		{0xc0, 1, 0xc3, JPEG_FAULT_UNSUPPORTED}, {0xc0, 1, 0xc9, JPEG_FAULT_UNSUPPORTED},
		{0xc0, 1, 0xf7, JPEG_FAULT_UNSUPPORTED},
		{0xc0, 1, 0xfe, JPEG_FAULT_MARKER}, /* no frame header before the scan */
		{0xc0, 3, 7, JPEG_FAULT_SEGMENT}, {0xc0, 3, 14, JPEG_FAULT_SEGMENT},
		{0xc0, 3, 200, JPEG_FAULT_SEGMENT}, {0xc0, 4, 12, JPEG_FAULT_UNSUPPORTED},
		{0xc0, 6, 0, JPEG_FAULT_UNSUPPORTED}, /* height 0 */
		{0xc0, 8, 0, JPEG_FAULT_SEGMENT},     /* width 0 */
		{0xc0, 9, 0, JPEG_FAULT_SEGMENT},     /* components */
		{0xc0, 9, 2, JPEG_FAULT_SEGMENT}, {0xc0, 9, 5, JPEG_FAULT_SEGMENT},
		{0xc0, 11, 0x01, JPEG_FAULT_SEGMENT}, /* sampling factors */
		{0xc0, 11, 0x10, JPEG_FAULT_SEGMENT}, {0xc0, 11, 0x51, JPEG_FAULT_SEGMENT},
		{0xc0, 11, 0x15, JPEG_FAULT_SEGMENT},
		{0xc0, 11, 0x44, JPEG_FAULT_SEGMENT}, /* 18 blocks in an MCU */
		{0xc0, 12, 4, JPEG_FAULT_SEGMENT}, {0xc0, 12, 2, JPEG_FAULT_TABLE},
		{0xc4, 1, 0xc0, JPEG_FAULT_MARKER}, /* two frame headers */
		{0xc4, 4, 0x20, JPEG_FAULT_SEGMENT}, {0xc4, 4, 0x04, JPEG_FAULT_SEGMENT},
		{0xc4, 5, 3, JPEG_FAULT_SEGMENT}, /* more codes than there are */
		{0xc4, 20, 9, JPEG_FAULT_SEGMENT}, {0xc4, 3, 20, JPEG_FAULT_SEGMENT},
		{0xda, 3, 8, JPEG_FAULT_SEGMENT}, {0xda, 4, 0, JPEG_FAULT_SEGMENT},
		{0xda, 4, 2, JPEG_FAULT_SEGMENT}, {0xda, 4, 5, JPEG_FAULT_SEGMENT},
		{0xda, 5, 9, JPEG_FAULT_SEGMENT}, /* no such component */
		{0xda, 7, 1, JPEG_FAULT_SCAN},    /* a component twice */
		{0xda, 11, 1, JPEG_FAULT_SCAN},   /* not all coefficients */
		{0xda, 12, 62, JPEG_FAULT_SCAN}, {0xda, 13, 1, JPEG_FAULT_SCAN},
		{0xda, 13, 0x10, JPEG_FAULT_SCAN}, {0xc0, 1, 0xc2, JPEG_FAULT_SCAN},
		{0xd9, 1, 0xd8, JPEG_FAULT_NEXT_IMAGE}, /* in place of EOI */
		{0xd9, 1, 0x42, JPEG_FAULT_MARKER},
		{0xd9, 1, 0xd0, JPEG_FAULT_RESTART}, /* none was announced */
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		size_t offset;

		build(&(struct jpeg_fixture){.width = 200, .height = 100});
		offset = marker_offset(cases[i].marker) + cases[i].offset;
		assert_int_not_equal(image.data[offset], cases[i].value);
		image.data[offset] = cases[i].value;
		print_message("%02x+%u = %02x\n", cases[i].marker, cases[i].offset, cases[i].value);
		assert_fault(cases[i].fault);
	}
}

/* A whole segment before the scan, and what it does. */
static void a_wrong_segment_is_seen(void **state)
{
	static const struct {
		size_t size; /* the rest are zeros */
		uint8_t segment[8];
		enum jpeg_fault fault;
		size_t seen; /* bytes of it, when the fault is */
	} cases[] = {
		{4 + 16, {0xff, 0xc4, 0, 2 + 16}, JPEG_FAULT_SEGMENT, 4}, /* no room for counts */
		{4 + 193, {0xff, 0xdb, 0, 2 + 193, 0x20}, JPEG_FAULT_SEGMENT, 5}, /* 24 bit */
		{4 + 20, {0xff, 0xc4, 0, 2 + 20, 0, 3}, JPEG_FAULT_SEGMENT,
			21}, /* 3 codes of 1 bit */
		{4 + 20, {0xff, 0xc4, 0, 2 + 20, 0x20, 1}, JPEG_FAULT_SEGMENT, 21}, /* class */
		{4 + 1, {0xff, 0xdd, 0, 2 + 1}, JPEG_FAULT_SEGMENT, 5},             /* interval */
		{4 + 3, {0xff, 0xdd, 0, 2 + 3}, JPEG_FAULT_SEGMENT, 7},
		{4 + 20, {0xff, 0xc4, 0, 2 + 20, 0, 1, 2}, JPEG_FAULT_SEGMENT, 21}, /* all ones */
		{4 + 19, {0xff, 0xc4, 0, 2 + 19, 0, 2}, JPEG_FAULT_SEGMENT, 21},
		{4 + 19, {0xff, 0xc4, 0, 2 + 19, 0, 1, 1}, JPEG_FAULT_SEGMENT, 23}, /* 0 twice */
		{4 + 17, {0xff, 0xc4, 0, 2 + 17}, JPEG_FAULT_SEGMENT, 21},          /* no symbols */
		{4 + 2, {0xff, 0xdc, 0, 2 + 2}, JPEG_FAULT_UNSUPPORTED, 2},         /* DNL */
		{4 + 18, {0xff, 0xc4, 0, 2 + 18, 0, 1}, JPEG_FAULT_NONE, 0},
		{4 + 129, {0xff, 0xdb, 0, 2 + 129, 0x10}, JPEG_FAULT_NONE, 0},
		{4 + 2, {0xff, 0xdd, 0, 2 + 2}, JPEG_FAULT_NONE, 0},
		{4, {0xff, 0xfe, 0, 2}, JPEG_FAULT_NONE, 0}, /* an empty comment */
		{4, {0xff, 0xe5, 0, 2}, JPEG_FAULT_NONE, 0}, /* no application data */
		{2, {0xff, 0x01}, JPEG_FAULT_MARKER, 2},     /* TEM */
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct bytes *before = malloc(sizeof(*before));
		struct jpeg_image found;
		size_t scan;

		assert_non_null(before);
		build(&kinds[0]);
		*before = image;
		scan = marker_offset(0xda);
		image.size = scan;
		bytes_append(&image, cases[i].segment, sizeof(cases[i].segment));
		memset(image.data + image.size, 0, cases[i].size);
		image.size = scan + cases[i].size;
		bytes_append(&image, before->data + scan, before->size - scan);
		free(before);
		if (cases[i].fault == JPEG_FAULT_NONE) {
			assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
			continue;
		}
		assert_fault(cases[i].fault);
		(void)check(image.data, image.size, &found);
		assert_int_equal(found.length, scan + cases[i].seen);
	}
}

/* The offset of the n-th marker of its kind. */
static size_t nth_marker_offset(uint8_t marker, unsigned n)
{
	for (size_t i = 0; i + 1 < image.size; i++) {
		if (image.data[i] == 0xff && image.data[i + 1] == marker && n-- == 0)
			return i;
	}
	fail_msg("no marker %02x", marker);
	return 0;
}

/* Each part of a progressive image is indispensable, and comes once, in its turn. */
static void progressive_scans_must_fit_together(void **state)
{
	static const struct {
		unsigned scan; /* of DC, AC of three components, DC again */
		size_t offset; /* from its marker */
		uint8_t value;
		enum jpeg_fault fault;
	} cases[] = {
		{0, 11, 1, JPEG_FAULT_TABLE},      /* AC before DC */
		{0, 12, 1, JPEG_FAULT_SCAN},       /* DC and AC together */
		{0, 13, 0x10, JPEG_FAULT_SCAN},    /* a refinement of nothing */
		{0, 13, 0x00, JPEG_FAULT_MARKER},  /* then it is complete before the last scan */
		{0, 13, 0x0e, JPEG_FAULT_SCAN},    /* more bits than there are */
		{1, 7, 2, JPEG_FAULT_INCOMPLETE},  /* coefficient 1 is missing */
		{1, 8, 62, JPEG_FAULT_INCOMPLETE}, /* the last one is */
		{1, 8, 64, JPEG_FAULT_SCAN},       /* one too many */
		{1, 7, 64, JPEG_FAULT_SCAN},
		{1, 9, 0x01, JPEG_FAULT_INCOMPLETE}, /* a bit is missing */
		{2, 5, 1, JPEG_FAULT_SCAN},          /* a component twice, */
		{3, 5, 2, JPEG_FAULT_SCAN},          /* another never */
		{4, 13, 0x00, JPEG_FAULT_TABLE},     /* the first bits once more */
		{4, 13, 0x21, JPEG_FAULT_SCAN},      /* bits that came already */
		{4, 13, 0x20, JPEG_FAULT_SCAN},
	};
	static const struct jpeg_fixture progressive = {
		.width = 64, .height = 64, .progressive = true};
	struct jpeg_image found;

	(void)state;
	build(&progressive);
	assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		build(&progressive);
		print_message(
			"scan %u+%zu = %02x\n", cases[i].scan, cases[i].offset, cases[i].value);
		image.data[nth_marker_offset(0xda, cases[i].scan) + cases[i].offset] =
			cases[i].value;
		assert_fault(cases[i].fault);
	}

	/* tables serve for one scan: those of each are missed, but for the last, which needs none
	 */
	for (unsigned i = 0; i < 4; i++) {
		build(&progressive);
		image.data[nth_marker_offset(0xc4, i) + 1] = 0xfe;
		assert_fault(JPEG_FAULT_TABLE);
	}
}

/* Motion JPEG may leave out all of the tables, not some. */
static void huffman_tables_are_standard_or_complete(void **state)
{
	struct jpeg_image found;

	(void)state;
	build(&kinds[0]);
	image.data[marker_offset(0xc4) + 1] = 0xfe; /* a comment instead */
	assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
	image.data[marker_offset(0xda) + 6] = 0x11;
	assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
	image.data[marker_offset(0xda) + 6] = 0x12;
	assert_fault(JPEG_FAULT_TABLE);
	image.data[marker_offset(0xda) + 6] = 0x21;
	assert_fault(JPEG_FAULT_TABLE);

	build(&kinds[0]);
	image.data[marker_offset(0xc4) + 4] = 0x01; /* DC 1 instead of 0 */
	assert_fault(JPEG_FAULT_TABLE);
	build(&kinds[0]);
	image.data[marker_offset(0xc4) + 4 + 19] = 0x11; /* AC likewise */
	assert_fault(JPEG_FAULT_TABLE);
	build(&kinds[0]);
	image.data[marker_offset(0xda) + 6] = 0x04;
	assert_fault(JPEG_FAULT_TABLE);

	/* symbols of 8-bit samples */
	build(&kinds[0]);
	image.data[marker_offset(0xc4) + 4 + 18] = 11;
	assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
	image.data[marker_offset(0xc4) + 4 + 18] = 12;
	assert_fault(JPEG_FAULT_SEGMENT);
	build(&kinds[0]);
	image.data[marker_offset(0xc4) + 4 + 37] = 0xfa;
	assert_int_equal(check(image.data, image.size, &found), JPEG_CHECK_GOOD);
	image.data[marker_offset(0xc4) + 4 + 37] = 0xfb;
	assert_fault(JPEG_FAULT_SEGMENT);
}

static void restart_markers_are_counted(void **state)
{
	struct jpeg_fixture fixture = {.width = 160, .height = 120, .restart_interval = 20};

	(void)state;
	/* 14 are right; one more, with nothing after it, is tolerated; see kinds[] for the good */
	for (uint32_t restarts = 0; restarts < 20; restarts++) {
		if (restarts == 14)
			continue;
		fixture.restarts = restarts;
		build(&fixture);
		assert_fault(JPEG_FAULT_RESTART);
	}

	fixture.restarts = 14;
	build(&fixture);
	image.size -= 2;
	bytes_append(&image, "\xff\xd6\xff\xd9", 4);
	assert_int_equal(check(image.data, image.size, &(struct jpeg_image){}), JPEG_CHECK_GOOD);
	image.size -= 2;
	bytes_append(&image, "\xff\xd7\xff\xd9", 4);
	assert_fault(JPEG_FAULT_RESTART);

	fixture.restarts = 15;
	build(&fixture);
	image.size -= 2;
	bytes_append(&image, "\xff\xd7\xff\xd9", 4);
	assert_fault(JPEG_FAULT_RESTART);
	fixture.restarts = 14;

	/* the right number, but one of them is another */
	build(&fixture);
	image.data[marker_offset(0xd3) + 1] = 0xd5;
	assert_fault(JPEG_FAULT_RESTART);

	/* a lost interval: one marker missing in the middle, an empty interval */
	build(&fixture);
	image.data[marker_offset(0xd3) + 1] = 0;
	assert_fault(JPEG_FAULT_RESTART);
	build(&fixture);
	{
		size_t from = marker_offset(0xd2) + 2, to = marker_offset(0xd3);

		memmove(image.data + from, image.data + to, image.size - to);
		image.size -= to - from;
	}
	assert_fault(JPEG_FAULT_RESTART);
}

static void a_scan_needs_data(void **state)
{
	size_t scan, end;

	(void)state;
	build(&kinds[0]);
	scan = marker_offset(0xda) + 2 + 12;
	end = marker_offset(0xd9);
	memmove(image.data + scan, image.data + end, image.size - end);
	image.size -= end - scan;
	assert_fault(JPEG_FAULT_INCOMPLETE);
}

/* What a reader of concatenated images needs: where the next one begins. */
static void the_next_image_is_pointed_at(void **state)
{
	struct jpeg_scan scan;
	size_t truncated, consumed;

	(void)state;
	build(&kinds[0]);
	truncated = image.size - 50;
	image.size = truncated;
	jpeg_append(&image, &kinds[1]);

	jpeg_scan_init(&scan);
	assert_int_equal(
		jpeg_scan_feed(&scan, image.data, image.size, &consumed), JPEG_SCAN_CORRUPT);
	assert_int_equal(scan.image.fault, JPEG_FAULT_NEXT_IMAGE);
	assert_int_equal(consumed, truncated + 2);

	jpeg_scan_init(&scan);
	assert_int_equal(
		jpeg_scan_feed(&scan, image.data, truncated + 1, &consumed), JPEG_SCAN_NEED_MORE);
	assert_int_equal(jpeg_scan_feed(&scan, image.data + truncated + 1, 100, &consumed),
		JPEG_SCAN_CORRUPT);
	assert_int_equal(scan.image.fault, JPEG_FAULT_NEXT_IMAGE);
	assert_int_equal(consumed, 1);

	/* and nothing is looked at beyond the end of a good one */
	build(&kinds[0]);
	truncated = image.size;
	jpeg_append(&image, &kinds[1]);
	jpeg_scan_init(&scan);
	assert_int_equal(
		jpeg_scan_feed(&scan, image.data, image.size, &consumed), JPEG_SCAN_COMPLETE);
	assert_int_equal(consumed, truncated);
}

/* The same with what a real encoder makes of noise, which gives it a lot to write. */
static void real_images_are_good(void **state)
{
	static const int subsamplings[] = {
		TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_GRAY, TJSAMP_440, TJSAMP_411};
	enum {
		WIDTH = 131,
		HEIGHT = 67
	};
	static uint8_t pixels[WIDTH * HEIGHT * 3];
	tjhandle encoder = tjInitCompress();

	(void)state;
	assert_non_null(encoder);
	for (size_t i = 0; i < sizeof(pixels); i++)
		pixels[i] = (uint8_t)((i * 2654435761u) >> 13);
	for (size_t i = 0; i < ELEMENTS(subsamplings) * 2; i++) {
		int subsampling = subsamplings[i / 2];
		int flags = i % 2 ? TJFLAG_PROGRESSIVE : 0;
		unsigned char *jpeg = NULL;
		unsigned long size = 0;
		struct jpeg_image found;

		assert_int_equal(tjCompress2(encoder, pixels, WIDTH, 0, HEIGHT, TJPF_RGB, &jpeg,
					 &size, subsampling, 90, flags),
			0);
		assert_int_equal(check(jpeg, size, &found), JPEG_CHECK_GOOD);
		assert_int_equal(found.length, size);
		assert_int_equal(found.width, WIDTH);
		assert_int_equal(found.height, HEIGHT);
		assert_int_equal(found.progressive, i % 2);
		assert_int_equal(found.component_count, subsampling == TJSAMP_GRAY ? 1 : 3);
		assert_int_equal(found.components[0].horizontal * 8, tjMCUWidth[subsampling]);
		assert_int_equal(found.components[0].vertical * 8, tjMCUHeight[subsampling]);
		for (unsigned long short_size = 0; short_size < size; short_size += 13)
			assert_int_equal(check(jpeg, short_size, &found), JPEG_CHECK_TRUNCATED);
		tjFree(jpeg);
	}
	tjDestroy(encoder);
}

static void every_value_has_a_name(void **state)
{
	(void)state;
	for (int fault = JPEG_FAULT_NONE; fault <= JPEG_FAULT_UNSUPPORTED; fault++)
		assert_string_not_equal(
			jpeg_fault_to_string((enum jpeg_fault)fault), "unknown fault");
	for (int result = JPEG_CHECK_GOOD; result <= JPEG_CHECK_WRONG_SIZE; result++)
		assert_string_not_equal(
			jpeg_check_result_to_string((enum jpeg_check_result)result), "unknown");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_images_are_good),
		cmocka_unit_test(pieces_give_the_same_as_the_whole),
		cmocka_unit_test(bytes_one_by_one_give_the_same),
		cmocka_unit_test(every_truncation_is_seen),
		cmocka_unit_test(padding_is_not_part_of_the_image),
		cmocka_unit_test(dimensions_must_be_the_expected_ones),
		cmocka_unit_test(a_spoiled_byte_is_seen),
		cmocka_unit_test(a_wrong_segment_is_seen),
		cmocka_unit_test(progressive_scans_must_fit_together),
		cmocka_unit_test(huffman_tables_are_standard_or_complete),
		cmocka_unit_test(restart_markers_are_counted),
		cmocka_unit_test(a_scan_needs_data),
		cmocka_unit_test(the_next_image_is_pointed_at),
		cmocka_unit_test(real_images_are_good),
		cmocka_unit_test(every_value_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
