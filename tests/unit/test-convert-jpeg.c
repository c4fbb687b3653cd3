/* SPDX-License-Identifier: MIT */

/*
 * JPEG decoding, compared with TurboJPEG's with exact arithmetic, and every kind of damage.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/videodev2.h>
#include <turbojpeg.h>

#include "convert.h"
#include "format.h"
#include "guarded.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

struct jpeg {
	unsigned char *data;
	size_t size;
	uint32_t width, height;
	int subsampling;
};

static const int subsamplings[] = {
	TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_GRAY, TJSAMP_440, TJSAMP_411};

/* Colours that change smoothly, and some texture. */
static uint8_t *paint(uint32_t width, uint32_t height)
{
	uint8_t *rgb = malloc((size_t)width * height * 3);

	assert_non_null(rgb);
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			uint8_t *pixel = rgb + ((size_t)y * width + x) * 3;

			pixel[0] = (uint8_t)(40 + x * 170 / width + (x * y) % 7);
			pixel[1] = (uint8_t)(200 - y * 150 / height + (x + y) % 5);
			pixel[2] = (uint8_t)(60 + (x + y) * 120 / (width + height));
		}
	}
	return rgb;
}

static struct jpeg jpeg_make(uint32_t width, uint32_t height, int subsampling, int flags)
{
	struct jpeg jpeg = {.width = width, .height = height, .subsampling = subsampling};
	uint8_t *rgb = paint(width, height);
	tjhandle encoder = tjInitCompress();
	unsigned long size = 0;

	assert_non_null(encoder);
	assert_int_equal(tjCompress2(encoder, rgb, (int)width, 0, (int)height, TJPF_RGB, &jpeg.data,
				 &size, subsampling, 90, flags),
		0);
	jpeg.size = size;
	tjDestroy(encoder);
	free(rgb);
	return jpeg;
}

static void jpeg_finish(struct jpeg *jpeg)
{
	tjFree(jpeg->data);
}

/* Where a marker is, the `index`-th of its kind. */
static size_t jpeg_find(const struct jpeg *jpeg, uint8_t marker, unsigned index)
{
	for (size_t i = 2; i + 1 < jpeg->size; i++) {
		if (jpeg->data[i] == 0xff && jpeg->data[i + 1] == marker && index-- == 0)
			return i;
	}
	fail_msg("no marker %02x", marker);
	return 0;
}

/* Puts bytes in at `at`, or takes some out. */
static void jpeg_splice(struct jpeg *jpeg, size_t at, size_t remove, const void *data, size_t size)
{
	unsigned char *result = tjAlloc((int)(jpeg->size - remove + size));

	assert_non_null(result);
	memcpy(result, jpeg->data, at);
	if (size > 0)
		memcpy(result + at, data, size);
	memcpy(result + at + size, jpeg->data + at + remove, jpeg->size - at - remove);
	tjFree(jpeg->data);
	jpeg->data = result;
	jpeg->size = jpeg->size - remove + size;
}

static struct convert *create(
	uint32_t width, uint32_t height, const char *text, enum convert_policy policy)
{
	struct pool_format from = {.fourcc = V4L2_PIX_FMT_MJPEG, .width = width, .height = height};
	struct stream_request request;
	struct convert *convert = NULL;
	char error[CONVERT_ERROR_SIZE] = "";

	if (stream_request_parse(text, &request, error) < 0 ||
		convert_create(&from, &request, policy, &convert, error) < 0)
		fail_msg("%s: %s", text, error);
	return convert;
}

/* Converts an image that lies at the end of its memory; the slot is the caller's to free. */
static int run(struct convert *convert, const unsigned char *data, size_t size, uint8_t *slot)
{
	uint8_t *memory = guarded_alloc(size > 0 ? size : 1);
	struct convert_picture picture = {
		.plane_count = 1, .planes = {{.data = memory, .bytesused = (uint32_t)size}}};
	int r;

	memcpy(memory, data, size);
	r = convert_frame(convert, &picture, slot, convert_format(convert)->frame_size);
	guarded_free(memory, size > 0 ? size : 1);
	return r;
}

static int convert_once(const struct jpeg *jpeg, const char *text, enum convert_policy policy)
{
	struct convert *convert = create(jpeg->width, jpeg->height, text, policy);
	uint32_t size = convert_format(convert)->frame_size;
	uint8_t *slot = guarded_alloc(size);
	int r = run(convert, jpeg->data, jpeg->size, slot);

	assert_int_equal(r == CONVERT_DONE, convert_detail(convert)[0] == '\0');
	guarded_free(slot, size);
	convert_destroy(convert);
	return r;
}

/* Converts into new memory: format.frame_size bytes. */
static uint8_t *convert_good(
	const struct jpeg *jpeg, const char *text, struct pool_format *ret_format)
{
	struct convert *convert = create(jpeg->width, jpeg->height, text, CONVERT_STRICT);
	uint32_t size = convert_format(convert)->frame_size;
	uint8_t *slot = guarded_alloc(size), *result = malloc(size), *again = malloc(size);

	assert_non_null(result);
	assert_non_null(again);
	memset(slot, 0, size);
	if (run(convert, jpeg->data, jpeg->size, slot) != CONVERT_DONE)
		fail_msg("%s: %s", text, convert_detail(convert));
	memcpy(result, slot, size);
	memset(slot, 0xff, size);
	assert_int_equal(run(convert, jpeg->data, jpeg->size, slot), CONVERT_DONE);
	memcpy(again, slot, size);
	assert_memory_equal(result, again, size); /* every byte was written */
	free(again);
	guarded_free(slot, size);
	*ret_format = *convert_format(convert);
	convert_destroy(convert);
	return result;
}

/* TurboJPEG's planes; grey images have one. */
struct planes {
	uint8_t *data[3];
	int strides[3];
};

static struct planes planes_decode(const struct jpeg *jpeg)
{
	tjhandle decoder = tjInitDecompress();
	struct planes planes = {};

	assert_non_null(decoder);
	for (int i = 0; i < (jpeg->subsampling == TJSAMP_GRAY ? 1 : 3); i++) {
		planes.strides[i] = tjPlaneWidth(i, (int)jpeg->width, jpeg->subsampling);
		planes.data[i] = malloc(tjPlaneSizeYUV(
			i, (int)jpeg->width, 0, (int)jpeg->height, jpeg->subsampling));
		assert_non_null(planes.data[i]);
	}
	assert_int_equal(
		tjDecompressToYUVPlanes(decoder, jpeg->data, jpeg->size, planes.data,
			(int)jpeg->width, planes.strides, (int)jpeg->height, TJFLAG_ACCURATEDCT),
		0);
	tjDestroy(decoder);
	return planes;
}

static void planes_finish(struct planes *planes)
{
	for (int i = 0; i < 3; i++)
		free(planes->data[i]);
}

/* The mean of the samples that there are in a box. */
static unsigned mean(const struct planes *planes, int plane, uint32_t x, uint32_t y,
	uint32_t columns, uint32_t lines, uint32_t width, uint32_t height)
{
	unsigned sum = 0, count = 0;

	for (uint32_t dy = 0; dy < lines; dy++) {
		for (uint32_t dx = 0; dx < columns; dx++) {
			if (x * columns + dx >= width || y * lines + dy >= height)
				continue;
			sum += planes->data[plane]
					   [(y * lines + dy) * (uint32_t)planes->strides[plane] +
						   x * columns + dx];
			count++;
		}
	}
	return (sum + count / 2) / count;
}

static uint32_t half(uint32_t value)
{
	return (value + 1) / 2;
}

/* Chroma of 4:4:4, 4:2:2 and 4:4:0 becomes the mean of its samples; 4:1:1 is looked at elsewhere.
 */
static void check_chroma(const struct jpeg *jpeg, const struct planes *planes, int plane,
	const uint8_t *data, uint32_t stride, uint32_t step)
{
	bool columns = jpeg->subsampling == TJSAMP_444 || jpeg->subsampling == TJSAMP_440;
	bool lines = jpeg->subsampling == TJSAMP_444 || jpeg->subsampling == TJSAMP_422;
	uint32_t width = columns ? jpeg->width : half(jpeg->width);
	uint32_t height = lines ? jpeg->height : half(jpeg->height);

	if (jpeg->subsampling == TJSAMP_411)
		return;
	for (uint32_t y = 0; y < half(jpeg->height); y++) {
		for (uint32_t x = 0; x < half(jpeg->width); x++) {
			unsigned wanted = jpeg->subsampling == TJSAMP_GRAY
						  ? 128
						  : mean(planes, plane, x, y, columns ? 2 : 1,
							    lines ? 2 : 1, width, height);

			if (data[y * stride + x * step] != wanted)
				fail_msg("subsampling %d, %ux%u: plane %d (%u, %u) is %u, not %u",
					jpeg->subsampling, jpeg->width, jpeg->height, plane, x, y,
					data[y * stride + x * step], wanted);
		}
	}
}

static const uint32_t sizes[][2] = {{64, 48}, {65, 47}, {1, 1}, {17, 33}, {16, 16}, {40, 24},
	{8, 100}, {100, 8}, {2, 3}, {127, 129}};

static void planes_are_libjpegs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(subsamplings) * ELEMENTS(sizes); i++) {
		const uint32_t *size = sizes[i / ELEMENTS(subsamplings)];
		struct jpeg jpeg =
			jpeg_make(size[0], size[1], subsamplings[i % ELEMENTS(subsamplings)], 0);
		struct planes planes = planes_decode(&jpeg);
		static const char *const targets[] = {"GREY", "YU12", "NV12"};

		for (size_t t = 0; t < ELEMENTS(targets); t++) {
			struct pool_format format;
			uint8_t *frame = convert_good(&jpeg, targets[t], &format);

			for (uint32_t y = 0; y < jpeg.height; y++)
				assert_memory_equal(frame + y * format.planes[0].stride,
					planes.data[0] + y * (uint32_t)planes.strides[0],
					jpeg.width);
			for (int c = 1; c < 3 && t > 0; c++) {
				bool pairs = format.plane_count == 2;
				uint32_t plane = pairs ? 1 : (uint32_t)c;

				check_chroma(&jpeg, &planes, c,
					frame + format.planes[plane].offset + (pairs ? c - 1 : 0),
					format.planes[plane].stride, pairs ? 2 : 1);
			}
			assert_int_equal(format.quantization, V4L2_QUANTIZATION_FULL_RANGE);
			assert_int_equal(format.ycbcr_enc, V4L2_YCBCR_ENC_601);
			free(frame);
		}
		planes_finish(&planes);
		jpeg_finish(&jpeg);
	}
}

static const struct {
	const char *name;
	int pixel_format;
	uint32_t size;
} rgb_targets[] = {{"RGB3", TJPF_RGB, 3}, {"BGR3", TJPF_BGR, 3}, {"XR24", TJPF_BGRX, 4}};

/* Decoded by TurboJPEG, to scale / 8. */
static uint8_t *decode_rgb(const struct jpeg *jpeg, int pixel_format, int width, int height)
{
	tjhandle decoder = tjInitDecompress();
	uint8_t *rgb = malloc((size_t)width * (size_t)height * 4);

	assert_non_null(decoder);
	assert_non_null(rgb);
	assert_int_equal(tjDecompress2(decoder, jpeg->data, jpeg->size, rgb, width, 0, height,
				 pixel_format, TJFLAG_ACCURATEDCT),
		0);
	tjDestroy(decoder);
	return rgb;
}

static void pixels_are_libjpegs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(subsamplings) * ELEMENTS(sizes); i++) {
		const uint32_t *size = sizes[i / ELEMENTS(subsamplings)];
		struct jpeg jpeg = jpeg_make(size[0], size[1],
			subsamplings[i % ELEMENTS(subsamplings)], i % 2 ? TJFLAG_PROGRESSIVE : 0);

		for (size_t t = 0; t < ELEMENTS(rgb_targets); t++) {
			struct pool_format format;
			uint8_t *frame = convert_good(&jpeg, rgb_targets[t].name, &format);
			uint8_t *wanted = decode_rgb(&jpeg, rgb_targets[t].pixel_format,
				(int)jpeg.width, (int)jpeg.height);

			assert_memory_equal(frame, wanted, format.frame_size);
			assert_int_equal(format.quantization, V4L2_QUANTIZATION_FULL_RANGE);
			free(wanted);
			free(frame);
		}
		jpeg_finish(&jpeg);
	}
}

/* By halves where all numbers stay whole, straight into the slot. */
static void smaller_images_are_decoded_smaller(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(subsamplings); i++) {
		struct jpeg jpeg = jpeg_make(128, 64, subsamplings[i], 0);

		for (uint32_t divisor = 2; divisor <= 8; divisor *= 2) {
			struct pool_format format;
			uint32_t width = 128 / divisor, height = 64 / divisor;
			char text[32];
			uint8_t *frame, *wanted;

			snprintf(text, sizeof(text), "BGR3:%ux%u", width, height);
			frame = convert_good(&jpeg, text, &format);
			wanted = decode_rgb(&jpeg, TJPF_BGR, (int)width, (int)height);
			assert_memory_equal(frame, wanted, format.frame_size);
			free(wanted);
			free(frame);

			snprintf(text, sizeof(text), "GREY:%ux%u", width, height);
			frame = convert_good(&jpeg, text, &format);
			wanted = decode_rgb(&jpeg, TJPF_GRAY, (int)width, (int)height);
			assert_memory_equal(frame, wanted, format.frame_size);
			free(wanted);
			free(frame);
		}
		jpeg_finish(&jpeg);
	}
}

/* A crop is that part of the whole picture. */
static void crops_are_exact(void **state)
{
	static const uint32_t crops[][4] = {{20, 10, 6, 4}, {33, 31, 0, 0}, {64, 1, 0, 46},
		{1, 48, 62, 0}, {16, 16, 16, 16}, {21, 19, 2, 28}, {64, 20, 0, 28}};
	static const char *const targets[] = {"GREY", "YU12", "NV12", "RGB3", "BGR3", "XR24"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(subsamplings) * ELEMENTS(crops) * ELEMENTS(targets); i++) {
		int subsampling = subsamplings[i % ELEMENTS(subsamplings)];
		const uint32_t *crop = crops[i / ELEMENTS(subsamplings) % ELEMENTS(crops)];
		const char *target = targets[i / ELEMENTS(subsamplings) / ELEMENTS(crops)];
		struct jpeg jpeg = jpeg_make(64, 48, subsampling, 0);
		struct pool_format format, whole_format;
		uint8_t *frame, *whole;
		char text[64];

		/* between chroma samples of 4:1:1: refused, see below; moved ones are not exact */
		if (subsampling == TJSAMP_411 && strstr("YU12 NV12", target)) {
			jpeg_finish(&jpeg);
			continue;
		}
		snprintf(text, sizeof(text), "%s,crop=%ux%u+%u+%u", target, crop[0], crop[1],
			crop[2], crop[3]);
		frame = convert_good(&jpeg, text, &format);
		whole = convert_good(&jpeg, target, &whole_format);
		for (uint32_t p = 0; p < format.plane_count; p++) {
			const struct format_plane_info *group =
				&format_find(format.fourcc)->planes[p];
			uint32_t width = (crop[0] + group->group_width - 1) / group->group_width;
			uint32_t height = (crop[1] + group->group_height - 1) / group->group_height;
			uint32_t x = crop[2] / group->group_width,
				 y = crop[3] / group->group_height;

			/* an odd crop's last chroma stands for one column or line only */
			if (p > 0 && (crop[0] % 2 || crop[1] % 2))
				continue;
			for (uint32_t line = 0; line < height; line++)
				assert_memory_equal(frame + format.planes[p].offset +
							    line * format.planes[p].stride,
					whole + whole_format.planes[p].offset +
						(y + line) * whole_format.planes[p].stride +
						x * group->group_bytes,
					width * group->group_bytes);
		}
		free(frame);
		free(whole);
		jpeg_finish(&jpeg);
	}
}

/* A part that becomes as large as the whole: decoded and scaled at once or one after the other. */
static void a_crop_can_grow_to_the_whole_size(void **state)
{
	static const int with_pairs[] = {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_GRAY};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(with_pairs); i++) {
		struct jpeg jpeg = jpeg_make(64, 48, with_pairs[i], 0);
		struct pool_format format, small_format;
		uint8_t *frame = convert_good(&jpeg, "GREY:64x48,crop=32x24+16+8", &format);
		uint8_t *small = convert_good(&jpeg, "GREY,crop=32x24+16+8", &small_format), *slot;
		uint8_t *planes = convert_good(&jpeg, "YU12:64x48,crop=32x24+16+8", &format);
		struct stream_request request = {
			.fourcc = V4L2_PIX_FMT_GREY, .width = 64, .height = 48};
		struct convert_picture picture = {
			.plane_count = 1, .planes = {{small, 32, 32 * 24}}};
		struct convert *convert;
		char error[CONVERT_ERROR_SIZE];

		assert_int_equal(
			convert_create(&small_format, &request, CONVERT_LENIENT, &convert, error),
			0);
		slot = malloc(64 * 48);
		assert_non_null(slot);
		assert_int_equal(convert_frame(convert, &picture, slot, 64 * 48), CONVERT_DONE);
		assert_memory_equal(frame, slot, 64 * 48);
		assert_memory_equal(planes, slot, 64 * 48);
		convert_destroy(convert);
		free(slot);
		free(planes);
		free(small);
		free(frame);
		jpeg_finish(&jpeg);
	}
}

/* Everything at once stays in memory, and gives the colours of the picture. */
static void any_size_of_any_crop(void **state)
{
	static const char *const requests[] = {"YU12:30x20", "NV12:31x23,crop=40x40+8+4",
		"BGR3:30x20", "RGB3:33x77,crop=20x20+2+2", "XR24:16x12,crop=32x24+16+16",
		"GREY:21x13,crop=41x27+3+5", "YU12:128x96,crop=64x48+32+24", "GREY:1x1", "NV12:1x1",
		"YU12:64x48,crop=32x24+16+8", "XR24:200x10", "YU12:16x12,crop=64x48+48+16"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(subsamplings) * ELEMENTS(requests); i++) {
		struct jpeg jpeg = jpeg_make(128, 96, subsamplings[i % ELEMENTS(subsamplings)], 0);
		const char *text = requests[i / ELEMENTS(subsamplings)];
		struct pool_format format;
		struct convert *convert;
		uint8_t *slot;
		int r;

		convert = create(128, 96, text, CONVERT_LENIENT);
		format = *convert_format(convert);
		slot = guarded_alloc(format.frame_size);
		r = run(convert, jpeg.data, jpeg.size, slot);
		if (jpeg.subsampling == TJSAMP_411 && r == CONVERT_UNSUPPORTED)
			; /* the crop begins between chroma samples that are four pixels wide */
		else
			assert_int_equal(r, CONVERT_DONE);
		guarded_free(slot, format.frame_size);
		convert_destroy(convert);
		jpeg_finish(&jpeg);
	}
}

/* As MJPEG cameras send them: without Huffman tables. */
static void huffman_tables_may_be_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(subsamplings); i++) {
		struct jpeg jpeg = jpeg_make(64, 48, subsamplings[i], 0), whole;
		struct pool_format format;
		uint8_t *frame, *wanted;

		whole = jpeg_make(64, 48, subsamplings[i], 0);
		for (;;) {
			size_t at = 2;

			while (at + 1 < jpeg.size && jpeg.data[at] == 0xff &&
				jpeg.data[at + 1] != 0xc4 && jpeg.data[at + 1] != 0xda)
				at += 2 + ((size_t)jpeg.data[at + 2] << 8 | jpeg.data[at + 3]);
			if (jpeg.data[at + 1] != 0xc4)
				break;
			jpeg_splice(&jpeg, at,
				2 + ((size_t)jpeg.data[at + 2] << 8 | jpeg.data[at + 3]), NULL, 0);
		}
		assert_true(jpeg.size < whole.size);
		frame = convert_good(&jpeg, "RGB3", &format);
		wanted = convert_good(&whole, "RGB3", &format);
		assert_memory_equal(frame, wanted, format.frame_size);
		free(frame);
		free(wanted);
		jpeg_finish(&jpeg);
		jpeg_finish(&whole);
	}
}

static const char *const all_targets[] = {
	"GREY", "YU12", "NV12", "RGB3", "XR24", "GREY:32x24", "BGR3:20x20", "YU12:16x12"};

static void expect_outcome(
	const struct jpeg *jpeg, enum convert_outcome lenient, enum convert_outcome strict)
{
	for (size_t i = 0; i < ELEMENTS(all_targets); i++) {
		assert_int_equal(convert_once(jpeg, all_targets[i], CONVERT_LENIENT), lenient);
		assert_int_equal(convert_once(jpeg, all_targets[i], CONVERT_STRICT), strict);
	}
}

static void oddities_harm_no_pixel(void **state)
{
	static const uint8_t junk[] = {1, 2, 3, 4, 5};
	struct jpeg jpeg = jpeg_make(64, 48, TJSAMP_420, 0), odd;

	(void)state;
	expect_outcome(&jpeg, CONVERT_DONE, CONVERT_DONE);

	odd = jpeg_make(64, 48, TJSAMP_420, 0); /* no EOI */
	jpeg_splice(&odd, odd.size - 2, 2, NULL, 0);
	expect_outcome(&odd, CONVERT_DONE, CONVERT_ODD);
	jpeg_finish(&odd);

	odd = jpeg_make(64, 48, TJSAMP_420, 0); /* bytes before a header's marker */
	jpeg_splice(&odd, jpeg_find(&odd, 0xdb, 0), 0, junk, sizeof(junk));
	expect_outcome(&odd, CONVERT_DONE, CONVERT_ODD);
	jpeg_finish(&odd);

	odd = jpeg_make(64, 48, TJSAMP_420, 0); /* and before EOI */
	jpeg_splice(&odd, odd.size - 2, 0, junk, sizeof(junk));
	expect_outcome(&odd, CONVERT_DONE, CONVERT_ODD);
	jpeg_finish(&odd);

	odd = jpeg_make(64, 48, TJSAMP_420, 0); /* padding after EOI is nobody's business */
	jpeg_splice(&odd, odd.size, 0, junk, sizeof(junk));
	expect_outcome(&odd, CONVERT_DONE, CONVERT_DONE);
	jpeg_finish(&odd);

	odd = jpeg_make(64, 48, TJSAMP_420, 0); /* spectral selection of a sequential scan */
	odd.data[jpeg_find(&odd, 0xda, 0) + 12] = 0;
	expect_outcome(&odd, CONVERT_DONE, CONVERT_ODD);
	jpeg_finish(&odd);
	jpeg_finish(&jpeg);
}

static void damage_is_refused(void **state)
{
	struct jpeg jpeg = jpeg_make(64, 48, TJSAMP_420, 0);
	size_t scan = jpeg_find(&jpeg, 0xda, 0) + 14;
	struct jpeg cut = jpeg;

	(void)state;
	/* cut anywhere within the data */
	for (cut.size = scan; cut.size < jpeg.size - 3; cut.size += 7) {
		assert_int_equal(convert_once(&cut, "GREY", CONVERT_LENIENT), CONVERT_DAMAGED);
		assert_int_equal(convert_once(&cut, "YU12", CONVERT_LENIENT), CONVERT_DAMAGED);
		assert_int_equal(convert_once(&cut, "RGB3", CONVERT_LENIENT), CONVERT_DAMAGED);
	}
	/* in the headers */
	for (cut.size = 1; cut.size < scan - 14; cut.size += 5)
		assert_int_equal(convert_once(&cut, "YU12", CONVERT_LENIENT), CONVERT_BAD_HEADER);
	cut.size = 0;
	assert_int_equal(convert_once(&cut, "YU12", CONVERT_LENIENT), CONVERT_SHORT);
	jpeg_finish(&jpeg);

	jpeg = jpeg_make(64, 48, TJSAMP_420, 0); /* an end in the middle */
	jpeg_splice(&jpeg, scan + 100, 0, "\xff\xd9", 2);
	expect_outcome(&jpeg, CONVERT_DAMAGED, CONVERT_DAMAGED);
	jpeg_finish(&jpeg);

	jpeg = jpeg_make(64, 48, TJSAMP_420, 0); /* no image at all */
	memset(jpeg.data, 0x55, jpeg.size);
	expect_outcome(&jpeg, CONVERT_BAD_HEADER, CONVERT_BAD_HEADER);
	jpeg_finish(&jpeg);

	jpeg = jpeg_make(64, 48, TJSAMP_420, 0); /* without quantisation tables */
	jpeg.data[jpeg_find(&jpeg, 0xdb, 0) + 1] = 0xfe;
	jpeg.data[jpeg_find(&jpeg, 0xdb, 0) + 1] = 0xfe;
	assert_int_not_equal(convert_once(&jpeg, "GREY", CONVERT_LENIENT), CONVERT_DONE);
	jpeg_finish(&jpeg);
}

static void another_size_is_refused(void **state)
{
	struct jpeg jpeg = jpeg_make(64, 48, TJSAMP_420, 0);

	(void)state;
	jpeg.width = 63;
	expect_outcome(&jpeg, CONVERT_WRONG_SIZE, CONVERT_WRONG_SIZE);
	jpeg.width = 64;
	jpeg.height = 49;
	expect_outcome(&jpeg, CONVERT_WRONG_SIZE, CONVERT_WRONG_SIZE);
	jpeg.height = 48;
	jpeg.data[jpeg_find(&jpeg, 0xc0, 0) + 5] = 0xff; /* 65328 lines */
	expect_outcome(&jpeg, CONVERT_WRONG_SIZE, CONVERT_WRONG_SIZE);
	jpeg_finish(&jpeg);
}

static void too_many_scans_are_refused(void **state)
{
	struct jpeg jpeg = jpeg_make(64, 48, TJSAMP_420, TJFLAG_PROGRESSIVE);
	/* a scan that adds nothing, from libjpeg's own last one: its header and a few bits */
	size_t last = 0, end = jpeg.size - 2, size;
	uint8_t scan[4096];

	(void)state;
	expect_outcome(&jpeg, CONVERT_DONE, CONVERT_DONE);
	for (size_t i = 2; i < end; i++) {
		if (jpeg.data[i] == 0xff && jpeg.data[i + 1] == 0xda)
			last = i;
	}
	size = end - last;
	assert_true(size <= sizeof(scan));
	memcpy(scan, jpeg.data + last, size);
	for (int i = 0; i < CONVERT_SCANS_MAX; i++)
		jpeg_splice(&jpeg, jpeg.size - 2, 0, scan, size);
	expect_outcome(&jpeg, CONVERT_SCANS, CONVERT_SCANS);
	jpeg_finish(&jpeg);
}

static void strange_kinds_are_refused(void **state)
{
	struct jpeg jpeg = jpeg_make(64, 48, TJSAMP_444, 0), cmyk = {.width = 64, .height = 48};
	uint8_t *pixels = calloc(64 * 48, 4);
	tjhandle encoder = tjInitCompress();
	unsigned long size = 0;
	size_t frame;

	(void)state;
	assert_non_null(pixels);
	assert_non_null(encoder);
	assert_int_equal(tjCompress2(encoder, pixels, 64, 0, 48, TJPF_CMYK, &cmyk.data, &size,
				 TJSAMP_444, 90, 0),
		0);
	cmyk.size = size;
	expect_outcome(&cmyk, CONVERT_UNSUPPORTED, CONVERT_UNSUPPORTED);
	tjDestroy(encoder);
	free(pixels);
	jpeg_finish(&cmyk);

	/* components named R, G, B and no JFIF marker: libjpeg takes it for RGB */
	frame = jpeg_find(&jpeg, 0xc0, 0);
	jpeg.data[frame + 10] = 'R';
	jpeg.data[frame + 13] = 'G';
	jpeg.data[frame + 16] = 'B';
	frame = jpeg_find(&jpeg, 0xda, 0);
	jpeg.data[frame + 5] = 'R';
	jpeg.data[frame + 7] = 'G';
	jpeg.data[frame + 9] = 'B';
	jpeg_splice(&jpeg, 2, 18, NULL, 0);
	expect_outcome(&jpeg, CONVERT_UNSUPPORTED, CONVERT_UNSUPPORTED);
	jpeg_finish(&jpeg);
}

/* Any outcome will do for random damage, but the next good image is good again. */
static void damage_does_no_harm(void **state)
{
	uint32_t noise = 1;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(subsamplings) * ELEMENTS(all_targets) * 2; i++) {
		struct jpeg jpeg = jpeg_make(64, 48, subsamplings[i % ELEMENTS(subsamplings)],
			i % 2 ? TJFLAG_PROGRESSIVE : 0);
		const char *text = all_targets[i / ELEMENTS(subsamplings) % ELEMENTS(all_targets)];
		struct convert *convert = create(64, 48, text,
			i < ELEMENTS(subsamplings) * ELEMENTS(all_targets) ? CONVERT_LENIENT
									   : CONVERT_STRICT);
		uint32_t size = convert_format(convert)->frame_size;
		uint8_t *slot = guarded_alloc(size), *good = malloc(size);
		unsigned char *copy = malloc(jpeg.size);

		assert_non_null(good);
		assert_non_null(copy);
		assert_int_equal(run(convert, jpeg.data, jpeg.size, slot), CONVERT_DONE);
		memcpy(good, slot, size);
		for (int round = 0; round < 200; round++) {
			size_t length = jpeg.size;
			int r;

			memcpy(copy, jpeg.data, jpeg.size);
			for (int change = 0; change <= round % 4; change++) {
				noise = noise * 1664525 + 1013904223;
				/* headers more often than chance would have them */
				copy[(noise >> 8) % (round % 2 ? jpeg.size : jpeg.size / 2)] =
					(uint8_t)(noise >> 3);
			}
			if (round % 8 == 0)
				length = (noise >> 8) % jpeg.size;
			r = run(convert, copy, length, slot);
			assert_in_range(r, 0, CONVERT_OUTCOME_COUNT - 1);
		}
		assert_int_equal(run(convert, jpeg.data, jpeg.size, slot), CONVERT_DONE);
		assert_memory_equal(good, slot, size);
		free(copy);
		free(good);
		guarded_free(slot, size);
		convert_destroy(convert);
		jpeg_finish(&jpeg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(planes_are_libjpegs),
		cmocka_unit_test(pixels_are_libjpegs),
		cmocka_unit_test(smaller_images_are_decoded_smaller),
		cmocka_unit_test(crops_are_exact),
		cmocka_unit_test(a_crop_can_grow_to_the_whole_size),
		cmocka_unit_test(any_size_of_any_crop),
		cmocka_unit_test(huffman_tables_may_be_missing),
		cmocka_unit_test(oddities_harm_no_pixel),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(another_size_is_refused),
		cmocka_unit_test(too_many_scans_are_refused),
		cmocka_unit_test(strange_kinds_are_refused),
		cmocka_unit_test(damage_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
