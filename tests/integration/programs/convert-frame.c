/* SPDX-License-Identifier: MIT */

/*
 * convert-frame SOURCE REQUEST [COLORSPACE YCBCR_ENC QUANTIZATION] <FRAME >RESULT: applies the
 * daemon's conversion to one frame. SOURCE is FOURCC:WxH, REQUEST a stream, the others are V4L2's
 * numbers. Says on standard error what format comes out. Status 0: done, 1: the frame was refused.
 */

#include "convert.h"
#include "format.h"

#include <stdio.h>
#include <stdlib.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "convert-frame: %s\n", what);
	exit(2);
}

static struct convert_picture find_planes(
	const struct pool_format *from, const uint8_t *data, uint32_t size)
{
	struct convert_picture picture = {};
	struct format_layout layout;

	if (format_layout_init(from->fourcc, from->width, from->height, 0, &layout) < 0)
		die("no such source");
	picture.plane_count = layout.plane_count;
	for (uint32_t i = 0; i < layout.plane_count; i++) {
		const struct format_plane *plane = &layout.planes[i];
		uint32_t there = size > plane->offset ? size - plane->offset : 0;

		if (plane->stride != 0 && there > plane->size)
			there = plane->size;
		picture.planes[i] = (struct convert_plane){
			.data = data + plane->offset, .stride = plane->stride, .bytesused = there};
	}
	return picture;
}

int main(int argc, char **argv)
{
	char error[CONVERT_ERROR_SIZE], name[FORMAT_TEXT_SIZE];
	struct stream_request source, request;
	struct pool_format from = {};
	const struct pool_format *to;
	struct convert_picture picture;
	struct convert *convert;
	uint8_t *data = malloc(FORMAT_SIZE_MAX), *slot;
	uint32_t size;
	int r;

	if ((argc != 3 && argc != 6) || !data)
		die("usage: convert-frame SOURCE REQUEST [COLORSPACE YCBCR_ENC QUANTIZATION]");
	if (stream_request_parse(argv[1], &source, error) < 0 ||
		stream_request_parse(argv[2], &request, error) < 0)
		die(error);
	from.fourcc = source.fourcc;
	from.width = source.width;
	from.height = source.height;
	if (argc == 6) {
		from.colorspace = (uint32_t)atoi(argv[3]);
		from.ycbcr_enc = (uint32_t)atoi(argv[4]);
		from.quantization = (uint32_t)atoi(argv[5]);
	}
	if (convert_create(&from, &request, CONVERT_LENIENT, &convert, error) < 0)
		die(error);
	to = convert_format(convert);
	slot = malloc(to->frame_size);
	if (!slot)
		die("no memory");

	size = (uint32_t)fread(data, 1, FORMAT_SIZE_MAX, stdin);
	picture = find_planes(&from, data, size);
	r = convert_frame(convert, &picture, slot, to->frame_size);
	if (r != CONVERT_DONE) {
		fprintf(stderr, "%s: %s\n", convert_outcome_to_string((enum convert_outcome)r),
			convert_detail(convert));
		return 1;
	}
	format_print(to->fourcc, name);
	fprintf(stderr, "%s %ux%u ycbcr_enc=%u quantization=%u\n", name, to->width, to->height,
		to->ycbcr_enc, to->quantization);
	if (fwrite(slot, 1, to->frame_size, stdout) != to->frame_size || fflush(stdout) != 0)
		die("cannot write");
	convert_destroy(convert);
	free(slot);
	free(data);
	return 0;
}
