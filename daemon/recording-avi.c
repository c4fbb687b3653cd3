/* SPDX-License-Identifier: MIT */
/*
 * AVI: RIFF chunks, each with a name of four characters, a length, and padding to an even length.
 * https://learn.microsoft.com/en-us/windows/win32/directshow/avi-riff-file-reference
 *
 * Chunks are taken one after another as they come: lists are entered and their lengths not used,
 * since a writer that cannot seek (ffmpeg into a pipe, a camera that lost its power) leaves them
 * unfinished. Names of data chunks begin with their stream's number, so nothing else is needed:
 * no index, and OpenDML's further RIFF parts are just more chunks.
 */
#include "recording-container.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <linux/videodev2.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	CHUNK_HEADER_SIZE = 8,
	LIST_HEADER_SIZE = 12,
	MAIN_HEADER_SIZE = 4,    /* the part of avih that is used: frame duration */
	STREAM_HEADER_SIZE = 28, /* of strh: up to its rate */
	BITMAP_HEADER_SIZE = 20, /* of strf: up to its compression */
};

enum step {
	STEP_CHUNK, /* at the header of a chunk */
	STEP_SKIP,
	STEP_FRAME,
	STEP_LOST, /* at something that is no chunk */
};

enum {
	COMPRESSION_RGB = 0, /* BI_RGB */
};

static const struct {
	uint32_t compression; /* upper case */
	uint32_t fourcc;
} codecs[] = {
	{v4l2_fourcc('M', 'J', 'P', 'G'), V4L2_PIX_FMT_MJPEG},
	{v4l2_fourcc('J', 'P', 'E', 'G'), V4L2_PIX_FMT_MJPEG},
	{v4l2_fourcc('Y', 'U', 'Y', '2'), V4L2_PIX_FMT_YUYV},
	{v4l2_fourcc('Y', 'U', 'Y', 'V'), V4L2_PIX_FMT_YUYV},
	{v4l2_fourcc('Y', 'V', 'Y', 'U'), V4L2_PIX_FMT_YVYU},
	{v4l2_fourcc('U', 'Y', 'V', 'Y'), V4L2_PIX_FMT_UYVY},
	{v4l2_fourcc('I', '4', '2', '0'), V4L2_PIX_FMT_YUV420},
	{v4l2_fourcc('I', 'Y', 'U', 'V'), V4L2_PIX_FMT_YUV420},
	{v4l2_fourcc('Y', 'V', '1', '2'), V4L2_PIX_FMT_YVU420},
	{v4l2_fourcc('Y', '4', '2', 'B'), V4L2_PIX_FMT_YUV422P},
	{v4l2_fourcc('N', 'V', '1', '2'), V4L2_PIX_FMT_NV12},
	{v4l2_fourcc('G', 'R', 'E', 'Y'), V4L2_PIX_FMT_GREY},
	{v4l2_fourcc('Y', '8', '0', '0'), V4L2_PIX_FMT_GREY},
};

static uint32_t get_u32(const uint8_t *data)
{
	return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
	       (uint32_t)data[3] << 24;
}

static bool name_equal(const uint8_t *data, const char *name)
{
	return memcmp(data, name, 4) == 0;
}

/* Lengths of lists and files that their writer did not come to fill in. */
static bool length_unknown(uint32_t length)
{
	return length == 0 || length == UINT32_MAX;
}

static uint64_t padded(uint32_t length)
{
	return (uint64_t)length + (length & 1);
}

static void skip_chunk(struct recording *recording, uint32_t length)
{
	struct recording_avi *avi = &recording->progress.avi;

	recording_input_take(&recording->input, CHUNK_HEADER_SIZE);
	avi->skip = padded(length);
	avi->step = STEP_SKIP;
}

/* RIFF, at the beginning and again after each gigabyte or so (OpenDML). */
static int enter_riff(struct recording *recording, int fd)
{
	struct recording_input *input = &recording->input;
	struct recording_avi *avi = &recording->progress.avi;
	uint32_t length;
	int r = recording_input_need(input, fd, LIST_HEADER_SIZE);

	if (r != RECORDING_OK)
		return r;
	length = get_u32(recording_input_data(input) + 4);
	avi->riff_end = 0;
	if (!length_unknown(length))
		avi->riff_end = input->position + CHUNK_HEADER_SIZE + padded(length);
	recording_input_take(input, LIST_HEADER_SIZE);
	return RECORDING_OK;
}

/* LIST: enters those that can hold what is looked for, and those without a length. */
static int enter_list(struct recording *recording, int fd, bool *ret_movi)
{
	static const char *const entered[] = {"hdrl", "strl", "movi", "rec "};
	struct recording_input *input = &recording->input;
	struct recording_avi *avi = &recording->progress.avi;
	const uint8_t *header;
	uint32_t length;
	int r = recording_input_need(input, fd, LIST_HEADER_SIZE);

	if (r != RECORDING_OK)
		return r;
	header = recording_input_data(input);
	length = get_u32(header + 4);
	for (size_t i = 0; i < ELEMENTS(entered); i++) {
		if (!name_equal(header + 8, entered[i]))
			continue;
		if (name_equal(header + 8, "strl"))
			avi->stream_count++;
		*ret_movi = name_equal(header + 8, "movi");
		recording_input_take(input, LIST_HEADER_SIZE);
		return RECORDING_OK;
	}
	*ret_movi = false;
	if (length_unknown(length))
		recording_input_take(input, LIST_HEADER_SIZE);
	else
		skip_chunk(recording, length);
	return RECORDING_OK;
}

/* avih: the frame rate, for files whose stream header has none. */
static void parse_main_header(struct recording *recording, const uint8_t *data)
{
	recording->progress.avi.frame_microseconds = get_u32(data);
}

/* strh: the first video stream is the one. */
static void parse_stream_header(struct recording *recording, const uint8_t *data)
{
	struct recording_avi *avi = &recording->progress.avi;

	if (avi->stream_found || avi->stream_count == 0 || !name_equal(data, "vids"))
		return;
	avi->stream_found = true;
	avi->stream = avi->stream_count - 1;
	recording->format.rate_denominator = get_u32(data + 20);
	recording->format.rate_numerator = get_u32(data + 24);
	recording_rate_reduce(
		&recording->format.rate_numerator, &recording->format.rate_denominator);
}

/* BI_RGB: lines are padded to 4 bytes, and upside down unless the height is negative. */
static int set_rgb_format(
	struct recording *recording, uint32_t width, int32_t height, uint32_t bits)
{
	uint32_t fourcc;

	if (bits != 24 && bits != 32)
		return recording_fail(recording, -ENOTSUP,
			"AVI with RGB of %" PRIu32 " bits: convert it, for example with ffmpeg -i "
			"FILE -pix_fmt bgr24 -c:v rawvideo OUT.avi",
			bits);
	if (height > 0)
		return recording_fail(recording, -ENOTSUP,
			"AVI with RGB that is stored upside down: convert it, for example with "
			"ffmpeg -i FILE -pix_fmt bgr24 -c:v rawvideo OUT.avi");
	/* A product that is too large for 32 bits comes of a width that is refused. */
	fourcc = bits == 24 ? V4L2_PIX_FMT_BGR24 : V4L2_PIX_FMT_XBGR32;
	return recording_set_geometry(recording, fourcc, width, (uint32_t) - (int64_t)height,
		(width * bits + 31) / 32 * 4);
}

/* strf of a video: a BITMAPINFOHEADER. */
static int parse_format(struct recording *recording, const uint8_t *data)
{
	struct recording_avi *avi = &recording->progress.avi;
	uint32_t width = get_u32(data + 4), bits = data[14] | (uint32_t)data[15] << 8;
	int32_t height = (int32_t)get_u32(data + 8);
	uint32_t compression = 0;
	char name[FORMAT_TEXT_SIZE];

	if (!avi->stream_found || avi->stream != avi->stream_count - 1)
		return RECORDING_OK;
	avi->format_found = true;
	recording->format.field = V4L2_FIELD_NONE;
	if (get_u32(data + 16) == COMPRESSION_RGB)
		return set_rgb_format(recording, width, height, bits);

	for (unsigned int i = 0; i < 4; i++)
		compression |= (uint32_t)toupper(data[16 + i]) << (8 * i);
	for (size_t i = 0; i < ELEMENTS(codecs); i++) {
		if (codecs[i].compression != compression)
			continue;
		if (codecs[i].fourcc == V4L2_PIX_FMT_MJPEG)
			recording->format.colorspace = V4L2_COLORSPACE_JPEG;
		/* The sign of the height has no meaning but for RGB. */
		return recording_set_geometry(recording, codecs[i].fourcc, width,
			(uint32_t)(height < 0 ? -(int64_t)height : height), 0);
	}
	format_print(compression, name);
	return recording_fail(recording, -ENOTSUP,
		"AVI with video of the kind %s: convert it, for example with ffmpeg -i FILE "
		"-c:v mjpeg -q:v 2 OUT.avi",
		name);
}

/* One chunk of the header. */
static int probe_chunk(struct recording *recording, int fd)
{
	static const struct {
		const char *name;
		uint32_t size;
	} headers[] = {
		{"avih", MAIN_HEADER_SIZE},
		{"strh", STREAM_HEADER_SIZE},
		{"strf", BITMAP_HEADER_SIZE},
	};
	struct recording_input *input = &recording->input;
	const uint8_t *header = recording_input_data(input);
	uint32_t length = get_u32(header + 4);

	for (size_t i = 0; i < ELEMENTS(headers); i++) {
		int r;

		if (!name_equal(header, headers[i].name) || length < headers[i].size)
			continue;
		r = recording_input_need(input, fd, CHUNK_HEADER_SIZE + headers[i].size);
		if (r != RECORDING_OK)
			return r;
		header = recording_input_data(input);
		if (i == 0)
			parse_main_header(recording, header + CHUNK_HEADER_SIZE);
		else if (i == 1)
			parse_stream_header(recording, header + CHUNK_HEADER_SIZE);
		else
			r = parse_format(recording, header + CHUNK_HEADER_SIZE);
		if (r < 0)
			return r;
		break;
	}
	skip_chunk(recording, length);
	return RECORDING_OK;
}

static int probe_finish(struct recording *recording)
{
	struct recording_avi *avi = &recording->progress.avi;
	struct recording_format *format = &recording->format;

	if (!avi->stream_found)
		return recording_fail(recording, -ENODATA,
			"the AVI has no video stream: there is nothing to serve");
	if (!avi->format_found)
		return recording_fail(
			recording, -EINVAL, "the AVI's header is damaged: its video has no format");
	if (format->rate_numerator == 0 && avi->frame_microseconds > 0) {
		format->rate_numerator = 1000000;
		format->rate_denominator = avi->frame_microseconds;
		recording_rate_reduce(&format->rate_numerator, &format->rate_denominator);
	}
	return RECORDING_OK;
}

static int avi_probe(struct recording *recording, int fd)
{
	struct recording_input *input = &recording->input;
	struct recording_avi *avi = &recording->progress.avi;
	bool movi = false;
	int r;

	while (!movi) {
		if (avi->step == STEP_SKIP) {
			r = recording_input_skip(input, fd, &avi->skip);
			if (r != RECORDING_OK)
				return r;
			avi->step = STEP_CHUNK;
		}
		r = recording_input_need(input, fd, CHUNK_HEADER_SIZE);
		if (r != RECORDING_OK)
			return r;
		if (name_equal(recording_input_data(input), "RIFF"))
			r = enter_riff(recording, fd);
		else if (name_equal(recording_input_data(input), "LIST"))
			r = enter_list(recording, fd, &movi);
		else
			r = probe_chunk(recording, fd);
		if (r != RECORDING_OK)
			return r;
	}
	return probe_finish(recording);
}

/* A data chunk of the video: its stream's number in decimal, then dc or db. */
static bool is_frame(const struct recording_avi *avi, const uint8_t *name)
{
	return name[0] == '0' + avi->stream / 10 && name[1] == '0' + avi->stream % 10 &&
	       name[2] == 'd' && (name[3] == 'c' || name[3] == 'b');
}

static bool is_name(const uint8_t *name)
{
	for (unsigned int i = 0; i < 4; i++) {
		if (name[i] < 0x20 || name[i] > 0x7e)
			return false;
	}
	return true;
}

static int lose_track(
	struct recording *recording, struct recording_frame *frame, enum recording_damage damage)
{
	recording->progress.avi.step = STEP_LOST;
	return recording_corrupt(recording, frame, damage);
}

static int read_chunk(struct recording *recording, int fd, struct recording_frame *frame)
{
	struct recording_input *input = &recording->input;
	struct recording_avi *avi = &recording->progress.avi;
	const uint8_t *header;
	uint32_t length;
	bool movi;
	int r = recording_input_need(input, fd, CHUNK_HEADER_SIZE);

	if (r != RECORDING_OK)
		return r;
	header = recording_input_data(input);
	length = get_u32(header + 4);
	if (name_equal(header, "RIFF"))
		return enter_riff(recording, fd);
	if (name_equal(header, "LIST"))
		return enter_list(recording, fd, &movi);
	if (!is_name(header)) {
		/* Behind the end that the header told of, anything may follow. */
		if (avi->riff_end != 0 && input->position >= avi->riff_end)
			return RECORDING_END;
		return lose_track(recording, frame, RECORDING_DAMAGE_GARBAGE);
	}
	if (!is_frame(avi, header)) {
		skip_chunk(recording, length);
		return RECORDING_OK;
	}
	recording_input_take(input, CHUNK_HEADER_SIZE);
	if (length == 0) { /* the frame before it is shown for longer */
		recording_clock_stamp(recording, &(struct recording_frame){});
		return RECORDING_OK;
	}
	avi->chunk_size = length;
	avi->step = STEP_FRAME;
	return RECORDING_OK;
}

static int check_frame(struct recording *recording, const void *slot, struct recording_frame *frame)
{
	const struct recording_format *format = &recording->format;
	struct recording_avi *avi = &recording->progress.avi;
	struct jpeg_image image;

	frame->bytesused = avi->chunk_size;
	if (format->fourcc != V4L2_PIX_FMT_MJPEG) {
		if (avi->chunk_size != format->frame_size_max)
			return recording_corrupt(recording, frame, RECORDING_DAMAGE_WRONG_SIZE);
		return RECORDING_FRAME;
	}
	switch (jpeg_check(slot, avi->chunk_size, format->width, format->height, &image)) {
	case JPEG_CHECK_GOOD:
		frame->bytesused = (uint32_t)image.length;
		return RECORDING_FRAME;
	case JPEG_CHECK_WRONG_SIZE:
		return recording_corrupt(recording, frame, RECORDING_DAMAGE_WRONG_SIZE);
	case JPEG_CHECK_TRUNCATED:
		return recording_corrupt(recording, frame, RECORDING_DAMAGE_TRUNCATED);
	case JPEG_CHECK_CORRUPT:
		break;
	}
	frame->jpeg_fault = image.fault;
	return recording_corrupt(recording, frame, RECORDING_DAMAGE_JPEG);
}

static int read_frame(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *frame)
{
	struct recording_avi *avi = &recording->progress.avi;
	int r;

	/* Such a length is as likely to be damaged as true: better not to skip that far. */
	if (avi->chunk_size > slot_size)
		return lose_track(recording, frame, RECORDING_DAMAGE_TOO_LARGE);
	r = recording_input_copy(
		&recording->input, fd, slot, avi->chunk_size, &recording->progress.done);
	if (r == RECORDING_END)
		return recording_truncated(recording, frame);
	if (r != RECORDING_OK)
		return r;
	avi->skip = avi->chunk_size & 1;
	avi->step = STEP_SKIP;
	return check_frame(recording, slot, frame);
}

/* Looks for the next frame byte by byte. */
static int find_frame(struct recording *recording, int fd)
{
	struct recording_input *input = &recording->input;
	struct recording_avi *avi = &recording->progress.avi;

	for (;;) {
		const uint8_t *header;
		uint32_t length;
		int r = recording_input_need(input, fd, CHUNK_HEADER_SIZE);

		if (r != RECORDING_OK)
			return r;
		header = recording_input_data(input);
		length = get_u32(header + 4);
		if (is_frame(avi, header) && length > 0 &&
			length <= recording->format.frame_size_max)
			break;
		recording_input_take(input, 1);
	}
	avi->step = STEP_CHUNK;
	return RECORDING_OK;
}

static int avi_read(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *frame)
{
	struct recording_avi *avi = &recording->progress.avi;
	int r = RECORDING_OK;

	while (r == RECORDING_OK) {
		switch ((enum step)avi->step) {
		case STEP_CHUNK:
			r = read_chunk(recording, fd, frame);
			break;
		case STEP_SKIP:
			r = recording_input_skip(&recording->input, fd, &avi->skip);
			if (r == RECORDING_OK)
				avi->step = STEP_CHUNK;
			break;
		case STEP_FRAME:
			r = read_frame(recording, fd, slot, slot_size, frame);
			break;
		case STEP_LOST:
			r = find_frame(recording, fd);
			break;
		}
	}
	return r;
}

const struct recording_container recording_avi_container = {
	.magic = "RIFF????AVI ",
	.magic_size = LIST_HEADER_SIZE,
	.probe = avi_probe,
	.read = avi_read,
};
