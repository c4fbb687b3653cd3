/* SPDX-License-Identifier: MIT */

/*
 * bench-convert [JPEG]: what conversions of 1920x1080 frames cost, in CPU time of one thread: the
 * best of some runs, and as a multiple of what copying such a frame as YU12 (3.1 MB) costs in the
 * same run. JPEG: a photograph of that size; without it a textured picture is made up.
 */

#include "convert.h"
#include "format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/videodev2.h>
#include <turbojpeg.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	WIDTH = 1920,
	HEIGHT = 1080,
	ROUNDS = 15,
	QUALITY = 85,
	JPEG_MAX = 16 * 1024 * 1024,
};

static const struct {
	uint32_t from;
	const char *request;
} conversions[] = {
	{V4L2_PIX_FMT_MJPEG, "GREY"},
	{V4L2_PIX_FMT_MJPEG, "GREY:960x540"},
	{V4L2_PIX_FMT_MJPEG, "GREY:640x360"},
	{V4L2_PIX_FMT_MJPEG, "GREY:480x270"},
	{V4L2_PIX_FMT_MJPEG, "YU12"},
	{V4L2_PIX_FMT_MJPEG, "NV12"},
	{V4L2_PIX_FMT_MJPEG, "NV12:640x360"},
	{V4L2_PIX_FMT_MJPEG, "BGR3"},
	{V4L2_PIX_FMT_MJPEG, "BGR3:640x360"},
	{V4L2_PIX_FMT_MJPEG, "XR24"},
	{V4L2_PIX_FMT_YUYV, "GREY"},
	{V4L2_PIX_FMT_YUYV, "GREY:640x360"},
	{V4L2_PIX_FMT_YUYV, "NV12"},
	{V4L2_PIX_FMT_YUYV, "YU12"},
	{V4L2_PIX_FMT_YUYV, "BGR3"},
	{V4L2_PIX_FMT_YUYV, "BGR3:640x360"},
	{V4L2_PIX_FMT_NV12, "GREY"},
	{V4L2_PIX_FMT_NV12, "GREY:640x360"},
	{V4L2_PIX_FMT_NV12, "NV12:640x360"},
	{V4L2_PIX_FMT_NV12, "YU12"},
	{V4L2_PIX_FMT_NV12, "BGR3"},
	{V4L2_PIX_FMT_NV12, "XR24"},
	{V4L2_PIX_FMT_YUV420, "NV12"},
	{V4L2_PIX_FMT_RGB24, "BGR3"},
	{V4L2_PIX_FMT_RGB24, "YU12"},
	{V4L2_PIX_FMT_RGB24, "GREY"},
	{V4L2_PIX_FMT_RGB24, "BGR3:640x360"},
	{V4L2_PIX_FMT_Y10, "GREY"},
	{V4L2_PIX_FMT_SRGGB8, "BGR3"},
	{V4L2_PIX_FMT_SRGGB10, "BGR3"},
	{V4L2_PIX_FMT_SRGGB8, "GREY"},
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench-convert: %s\n", what);
	exit(1);
}

/* Waves of all lengths, and a little noise. */
static void paint(uint8_t *rgb)
{
	uint32_t noise = 1;

	for (int y = 0; y < HEIGHT; y++) {
		for (int x = 0; x < WIDTH; x++, rgb += 3) {
			double wave = sin(x * x / 40000.0) * cos(y * y / 30000.0) * 80;

			noise = noise * 1664525 + 1013904223;
			rgb[0] = (uint8_t)(128 + wave + (noise >> 29));
			rgb[1] = (uint8_t)(120 + wave * 0.7 + x / 32.0);
			rgb[2] = (uint8_t)(100 - wave * 0.5 + y / 16.0);
		}
	}
}

static unsigned long make_jpeg(unsigned char *data)
{
	uint8_t *rgb = malloc((size_t)WIDTH * HEIGHT * 3);
	tjhandle encoder = tjInitCompress();
	unsigned long size = JPEG_MAX;

	if (!rgb || !encoder)
		die("no memory");
	paint(rgb);
	if (tjCompress2(encoder, rgb, WIDTH, 0, HEIGHT, TJPF_RGB, &data, &size, TJSAMP_420, QUALITY,
		    TJFLAG_NOREALLOC) < 0)
		die(tjGetErrorStr2(encoder));
	tjDestroy(encoder);
	free(rgb);
	return size;
}

static unsigned long read_jpeg(const char *path, unsigned char *data)
{
	FILE *file = fopen(path, "rb");
	unsigned long size = file ? fread(data, 1, JPEG_MAX, file) : 0;

	if (size == 0)
		die("cannot read the JPEG file");
	fclose(file);
	return size;
}

static int64_t measure_copy(void)
{
	size_t size = (size_t)WIDTH * HEIGHT * 3 / 2;
	uint8_t *from = malloc(size), *to = malloc(size);
	int64_t best = INT64_MAX;

	if (!from || !to)
		die("no memory");
	memset(from, 1, size);
	memset(to, 2, size);
	for (int i = 0; i < 4 * ROUNDS; i++) {
		int64_t start = now_ns(), took;

		memcpy(to, from, size);
		__asm__ volatile("" : : "r"(to) : "memory");
		took = now_ns() - start;
		if (took < best)
			best = took;
	}
	free(from);
	free(to);
	return best;
}

static int64_t measure(
	const struct pool_format *from, const char *text, const struct convert_picture *picture)
{
	char error[CONVERT_ERROR_SIZE];
	struct stream_request request;
	struct convert *convert;
	int64_t best = INT64_MAX;
	uint32_t size;
	uint8_t *slot;

	if (stream_request_parse(text, &request, error) < 0 ||
		convert_create(from, &request, CONVERT_LENIENT, &convert, error) < 0)
		die(error);
	size = convert_format(convert)->frame_size;
	slot = malloc(size);
	if (!slot)
		die("no memory");
	for (int i = 0; i < ROUNDS; i++) {
		int64_t start = now_ns(), took;

		if (convert_frame(convert, picture, slot, size) != CONVERT_DONE)
			die(convert_detail(convert));
		took = now_ns() - start;
		if (took < best)
			best = took;
	}
	free(slot);
	convert_destroy(convert);
	return best;
}

/* The JPEG image decoded, as a raw frame of some other format: any photograph's bytes will do. */
static struct convert_picture raw_picture(uint32_t fourcc, const uint8_t *pixels)
{
	struct convert_picture picture = {};
	struct format_layout layout;

	if (format_layout_init(fourcc, WIDTH, HEIGHT, 0, &layout) < 0)
		die("no such layout");
	picture.plane_count = layout.plane_count;
	for (uint32_t i = 0; i < layout.plane_count; i++)
		picture.planes[i] = (struct convert_plane){.data = pixels + layout.planes[i].offset,
			.stride = layout.planes[i].stride,
			.bytesused = layout.planes[i].size};
	return picture;
}

int main(int argc, char **argv)
{
	unsigned char *jpeg = malloc(JPEG_MAX);
	uint8_t *pixels = malloc((size_t)WIDTH * HEIGHT * 4);
	unsigned long size;
	int64_t copy;

	if (!jpeg || !pixels)
		die("no memory");
	size = argc > 1 ? read_jpeg(argv[1], jpeg) : make_jpeg(jpeg);
	paint(pixels);
	copy = measure_copy();
	printf("JPEG of %lu bytes; copying 3.1 MB takes %.0f us\n", size, copy / 1e3);
	printf("%-6s %-14s %9s %7s\n", "from", "to", "us", "copies");
	for (size_t i = 0; i < ELEMENTS(conversions); i++) {
		struct pool_format from = {
			.fourcc = conversions[i].from, .width = WIDTH, .height = HEIGHT};
		struct convert_picture picture = raw_picture(from.fourcc, pixels);
		char name[FORMAT_TEXT_SIZE];
		int64_t took;

		if (from.fourcc == V4L2_PIX_FMT_MJPEG)
			picture.planes[0] =
				(struct convert_plane){.data = jpeg, .bytesused = (uint32_t)size};
		took = measure(&from, conversions[i].request, &picture);
		format_print(from.fourcc, name);
		printf("%-6s %-14s %9.0f %7.1f\n", name, conversions[i].request, took / 1e3,
			(double)took / (double)copy);
	}
	free(pixels);
	free(jpeg);
	return 0;
}
