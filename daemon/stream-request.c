/* SPDX-License-Identifier: MIT */
#include "stream-request.h"

#include "format.h"
#include "parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	PART_SIZE = 64, /* longest part between two commas, with NUL */
};

static int __attribute__((format(printf, 3, 4)))
fail(char error[static STREAM_REQUEST_ERROR_SIZE], int error_number, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(error, STREAM_REQUEST_ERROR_SIZE, format, arguments);
	va_end(arguments);
	if (length >= 0 && length < STREAM_REQUEST_ERROR_SIZE)
		snprintf(error + length, STREAM_REQUEST_ERROR_SIZE - (size_t)length,
			" (a stream is " STREAM_REQUEST_GRAMMAR ")");
	return error_number;
}

/* Makes a client's text fit for a log. */
static const char *printable(const char *text, char buffer[static PART_SIZE])
{
	size_t length = 0;

	for (size_t i = 0; i < PART_SIZE - 1 && text[i] != '\0'; i++, length++)
		buffer[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	buffer[length] = '\0';
	return buffer;
}

static int parse_crop(const char *text, struct stream_request *request)
{
	char part[PART_SIZE], *x, *y;
	uint64_t left, top;
	int r;

	strcpy(part, text);
	x = strchr(part, '+');
	if (!x)
		return -EINVAL;
	*x++ = '\0';
	y = strchr(x, '+');
	if (!y)
		return -EINVAL;
	*y++ = '\0';

	r = parse_dimensions(
		part, FORMAT_DIMENSION_MAX, &request->crop.width, &request->crop.height);
	if (r < 0)
		return r;
	r = parse_number(x, 0, FORMAT_DIMENSION_MAX - 1, &left);
	if (r < 0)
		return r;
	r = parse_number(y, 0, FORMAT_DIMENSION_MAX - 1, &top);
	if (r < 0)
		return r;
	request->crop.x = (uint32_t)left;
	request->crop.y = (uint32_t)top;
	return 0;
}

static int parse_format(
	char *part, struct stream_request *request, char error[static STREAM_REQUEST_ERROR_SIZE])
{
	char *size = strchr(part, ':'), buffer[PART_SIZE];
	int r;

	if (size)
		*size++ = '\0';
	r = format_parse(part, &request->fourcc);
	if (r < 0)
		return fail(error, r, "no such pixel format: \"%s\"", printable(part, buffer));
	if (!size)
		return 0;
	r = parse_dimensions(size, FORMAT_DIMENSION_MAX, &request->width, &request->height);
	if (r < 0)
		return fail(error, r, "\"%s\" is not a size of 1x1 to %dx%d",
			printable(size, buffer), FORMAT_DIMENSION_MAX, FORMAT_DIMENSION_MAX);
	return 0;
}

static int parse_option(const char *part, struct stream_request *request,
	char error[static STREAM_REQUEST_ERROR_SIZE])
{
	char buffer[PART_SIZE];
	int r;

	if (strncmp(part, "rate=", 5) == 0) {
		if (request->rate_denominator != 0)
			return fail(error, -EINVAL, "rate= is given twice");
		r = parse_rate(part + 5, &request->rate_numerator, &request->rate_denominator);
		if (r == 0 && request->rate_numerator == 0)
			r = -ERANGE;
		if (r < 0)
			return fail(error, r, "\"%s\" is not a number of frames per second above 0",
				printable(part + 5, buffer));
		return 0;
	}
	if (strncmp(part, "crop=", 5) == 0) {
		if (request->crop.width != 0)
			return fail(error, -EINVAL, "crop= is given twice");
		r = parse_crop(part + 5, request);
		if (r < 0)
			return fail(error, r, "\"%s\" is not a crop like 640x480+100+0",
				printable(part + 5, buffer));
		return 0;
	}
	return fail(error, -EINVAL, "\"%s\" is neither rate= nor crop=", printable(part, buffer));
}

int stream_request_parse(const char *text, struct stream_request *ret_request,
	char error[static STREAM_REQUEST_ERROR_SIZE])
{
	struct stream_request request = {};
	bool first = true;

	for (;;) {
		size_t length = strcspn(text, ",");
		char part[PART_SIZE], buffer[PART_SIZE];
		int r;

		if (length >= sizeof(part))
			return fail(
				error, -EINVAL, "\"%s...\" is too long", printable(text, buffer));
		memcpy(part, text, length);
		part[length] = '\0';
		r = first ? parse_format(part, &request, error)
			  : parse_option(part, &request, error);
		if (r < 0)
			return r;
		first = false;
		if (text[length] == '\0')
			break;
		text += length + 1;
	}
	*ret_request = request;
	return 0;
}

void stream_request_print(
	const struct stream_request *request, char text[static STREAM_REQUEST_TEXT_SIZE])
{
	char fourcc[FORMAT_TEXT_SIZE], size[24] = "", rate[40] = "", crop[56] = "";

	format_print(request->fourcc, fourcc);
	if (request->width != 0)
		snprintf(size, sizeof(size), ":%" PRIu32 "x%" PRIu32, request->width,
			request->height);
	if (request->rate_denominator > 1)
		snprintf(rate, sizeof(rate), ",rate=%" PRIu32 "/%" PRIu32, request->rate_numerator,
			request->rate_denominator);
	else if (request->rate_denominator == 1)
		snprintf(rate, sizeof(rate), ",rate=%" PRIu32, request->rate_numerator);
	if (request->crop.width != 0)
		snprintf(crop, sizeof(crop), ",crop=%" PRIu32 "x%" PRIu32 "+%" PRIu32 "+%" PRIu32,
			request->crop.width, request->crop.height, request->crop.x,
			request->crop.y);
	snprintf(text, STREAM_REQUEST_TEXT_SIZE, "%s%s%s%s", fourcc, size, rate, crop);
}

bool stream_request_equal(const struct stream_request *a, const struct stream_request *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
