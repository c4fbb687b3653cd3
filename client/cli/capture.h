/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_CAPTURE_H
#define CAMTAP_CLI_CAPTURE_H

/*
 * A frame, copied out of the pool with everything that is known of it. Encoding and writing a
 * picture takes longer than a frame may be held while others need room, and a picture must not
 * change under the encoder; the copy takes microseconds. This is the only place where it is decided
 * whether a frame was good.
 */

#include "camtap.h"
#include "image.h"

#include <jansson.h>

enum {
	CAPTURE_COMMENT_SIZE = 128,
};

/* {} is empty; it is used for one frame after the other. */
struct capture {
	struct image image; /* its planes point into `memory` */
	struct buffer memory;
	uint64_t epoch, id;
	uint32_t sequence;
	uint32_t flags; /* enum camtap_frame_flag */
	enum camtap_clock clock;
	int64_t capture_time_ns; /* of `clock` */
	int64_t publish_time_ns; /* CLOCK_MONOTONIC */
	int64_t media_time_ns;   /* -1: live */
	int64_t realtime_ns;     /* CLOCK_REALTIME */
	char comment[CAPTURE_COMMENT_SIZE];
};

/* Copies the frame and gives it back, also on failure. `camera`: the name that goes into
 * image.comment. -ESTALE: it was revoked while it was copied, the content is worthless; -ENOMEM. */
int capture_take(struct capture *capture, struct camtap_frame *frame, const char *camera);
void capture_finish(struct capture *capture);

/* The description that is put beside a raw picture: format, planes with their offsets in the file,
 * identity, times with their clocks. NULL: no memory. The caller's to json_decref(). */
json_t *capture_describe(const struct capture *capture, const char *camera);

#endif
