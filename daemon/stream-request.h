/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_STREAM_REQUEST_H
#define CAMTAP_DAEMON_STREAM_REQUEST_H

/*
 * What a client asks for instead of the camera's native frames:
 *
 *   FOURCC[:WxH][,rate=N][,crop=WxH+X+Y]
 *
 * "GREY:640x360", "bgr24", "NV12:640x640,rate=10,crop=1080x1080+420+0". The names of formats are
 * those that format_parse() takes, N is the highest rate as parse_rate() reads it, all else is
 * pixels. The crop is cut from the source's picture, then scaled to the size. rate and crop may
 * come in either order, each once. Pure functions, any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#define STREAM_REQUEST_GRAMMAR    "FOURCC[:WxH][,rate=N][,crop=WxH+X+Y]"
#define STREAM_REQUEST_TEXT_SIZE  96
#define STREAM_REQUEST_ERROR_SIZE 256

/* No padding and no pointers: nothing but these values makes two requests equal. */
struct stream_request {
	uint32_t fourcc;
	uint32_t width, height; /* pixels; 0, 0: those of the (cropped) source */
	uint32_t rate_numerator,
		rate_denominator; /* frames per second at most, reduced; 0, 0: all */
	struct {
		uint32_t width, height, x, y; /* pixels of the source; width 0: the whole picture */
	} crop;
};

/* Reads a request. -EINVAL: not in the grammar (the empty text, which asks for the native frames,
 * is none either), -ERANGE: a number that is too large or too small. `error` then says in one line
 * what is wrong, and shows the grammar; *ret_request is written on success only. */
int stream_request_parse(const char *text, struct stream_request *ret_request,
	char error[static STREAM_REQUEST_ERROR_SIZE]);

/* Writes the request in its canonical form, which equal requests share, and which parses to the
 * same request: "GREY:640x360,rate=30000/1001,crop=1080x1080+420+0". */
void stream_request_print(
	const struct stream_request *request, char text[static STREAM_REQUEST_TEXT_SIZE]);

bool stream_request_equal(const struct stream_request *a, const struct stream_request *b);

#endif
