/* SPDX-License-Identifier: MIT */
/* Raw frames: one after another, nothing else. And the text that describes them. */
#include "recording-container.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/videodev2.h>

static int raw_probe(struct recording *recording, int fd)
{
	const struct recording_raw *raw = &recording->raw;
	int r;

	r = recording_set_geometry(
		recording, raw->fourcc, raw->width, raw->height, raw->bytesperline);
	if (r < 0)
		return r;
	recording->format.field = V4L2_FIELD_NONE;
	recording->format.rate_numerator = raw->rate_numerator;
	recording->format.rate_denominator = raw->rate_denominator;

	r = recording_input_need(&recording->input, fd, 1);
	if (r == RECORDING_END)
		return recording_fail(recording, -ENODATA, "the recording is empty");
	return r;
}

static int raw_read(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *frame)
{
	int r = recording_fixed_read(recording, fd, slot, slot_size, frame);

	if (r == RECORDING_END && recording->progress.done > 0)
		return recording_truncated(recording, frame);
	return r;
}

const struct recording_container recording_raw_container = {
	.probe = raw_probe,
	.read = raw_read,
};

/* A rate as people write it: 30, 29.97, 30000/1001. */
static bool parse_rate(const char **text, const char *end, struct recording_raw *raw)
{
	uint32_t numerator, denominator = 1;

	if (!recording_parse_number(text, end, &numerator))
		return false;
	if (*text < end && **text == '/') {
		(*text)++;
		if (!recording_parse_number(text, end, &denominator))
			return false;
	} else if (*text < end && **text == '.') {
		(*text)++;
		if (*text == end || **text < '0' || **text > '9')
			return false;
		for (; *text < end && **text >= '0' && **text <= '9'; (*text)++) {
			if (numerator > 400000000 || denominator > 100000000)
				return false;
			numerator = numerator * 10 + (uint32_t)(**text - '0');
			denominator *= 10;
		}
	}
	if (numerator == 0 || denominator == 0)
		return false;
	recording_rate_reduce(&numerator, &denominator);
	raw->rate_numerator = numerator;
	raw->rate_denominator = denominator;
	return true;
}

/* ",stride=N" and ",rate=N", each at most once. */
static bool parse_option(const char **text, const char *end, struct recording_raw *raw)
{
	static const char stride[] = ",stride=", rate[] = ",rate=";
	size_t left = (size_t)(end - *text);

	if (left >= strlen(stride) && memcmp(*text, stride, strlen(stride)) == 0 &&
		raw->bytesperline == 0) {
		*text += strlen(stride);
		return recording_parse_number(text, end, &raw->bytesperline) &&
		       raw->bytesperline != 0;
	}
	if (left >= strlen(rate) && memcmp(*text, rate, strlen(rate)) == 0 &&
		raw->rate_numerator == 0) {
		*text += strlen(rate);
		return parse_rate(text, end, raw);
	}
	return false;
}

static bool parse_geometry(const char *text, struct recording_raw *raw)
{
	const char *end = text + strlen(text);

	if (!recording_parse_number(&text, end, &raw->width) || *text++ != 'x' ||
		!recording_parse_number(&text, end, &raw->height))
		return false;
	while (text < end) {
		if (!parse_option(&text, end, raw))
			return false;
	}
	return true;
}

int recording_raw_parse(
	const char *text, struct recording_raw *ret_raw, char *error, size_t error_size)
{
	struct recording_raw raw = {};
	struct format_layout layout;
	const char *colon = strchr(text, ':');
	char name[FORMAT_TEXT_SIZE + 8];
	int r;

	if (!colon || (size_t)(colon - text) >= sizeof(name) || !parse_geometry(colon + 1, &raw)) {
		snprintf(error, error_size,
			"raw frames are described as FOURCC:WxH[,stride=BYTES][,rate=FPS], for "
			"example NV12:1280x720,rate=30");
		return -EINVAL;
	}
	memcpy(name, text, (size_t)(colon - text));
	name[colon - text] = '\0';
	if (format_parse(name, &raw.fourcc) < 0) {
		snprintf(error, error_size,
			"unknown pixel format before ':': it is a V4L2 name such as NV12, YUYV, "
			"GREY or BGR3");
		return -EINVAL;
	}
	if (format_find(raw.fourcc)->flags & FORMAT_COMPRESSED) {
		snprintf(error, error_size,
			"raw frames all have the same size, compressed ones do not: leave the "
			"description out for MJPEG, convert other recordings");
		return -EINVAL;
	}
	r = format_layout_init(raw.fourcc, raw.width, raw.height, raw.bytesperline, &layout);
	if (r < 0) {
		snprintf(error, error_size, "%" PRIu32 "x%" PRIu32 " with stride %" PRIu32 " is %s",
			raw.width, raw.height, raw.bytesperline,
			r == -EOVERFLOW ? "too large" : "impossible: too small a size or stride");
		return -EINVAL;
	}
	*ret_raw = raw;
	return 0;
}
