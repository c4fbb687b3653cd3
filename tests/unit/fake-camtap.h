/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_FAKE_CAMTAP_H
#define CAMTAP_TESTS_FAKE_CAMTAP_H

/* libcamtap without a daemon: it plays a script. Linked into tests of programs that use the
 * library. */

#include "camtap.h"

#include <stdbool.h>

struct fake_plane {
	const void *data;
	size_t bytesused, stride;
};

struct fake_frame {
	uint32_t fourcc, width, height, field, colorspace, ycbcr_enc, quantization, xfer_func;
	uint32_t rate_numerator, rate_denominator;
	uint32_t pixel_aspect_numerator, pixel_aspect_denominator;
	enum camtap_chroma_siting chroma_siting;
	unsigned plane_count;
	struct fake_plane planes[4];
	uint64_t epoch, id, missed;
	uint32_t sequence, flags;
	enum camtap_clock clock;
	int64_t capture_time, publish_time, media_time, realtime;
	bool revoked; /* camtap_release() says so */
};

/* What the next camtap_next() or camtap_latest() returns: an enum camtap_outcome or a negative
 * errno. After the last step there is nothing to come. */
struct fake_step {
	int outcome;
	struct fake_frame frame; /* CAMTAP_FRAME */
	const char
		*text; /* of camtap_event_text() and camtap_error_text() from now on; NULL: as is */
};

struct fake_script {
	const char *name; /* of the camera; NULL: not attached */
	const struct fake_step *steps;
	size_t step_count;
	int connect_result;
	const char *status;   /* the document; NULL: -ETIMEDOUT */
	const char *controls; /* likewise */
	int pause_result;     /* of camtap_pause() and camtap_resume() */
	const char *refused;  /* the control that camtap_set_control() refuses (-ERANGE) */
	/* camtap_list_new() */
	const char *const *names;
	size_t name_count;
};

/* What the program asked for. */
struct fake_calls {
	const char *camera, *socket, *stream, *client_name;
	enum camtap_mode mode;
	unsigned latest; /* calls of camtap_latest() */
	unsigned held;   /* frames not released yet */
	/* "NAME=VALUE " of each camtap_set_control(), "pause " and "resume " */
	char sets[256];
};

extern struct fake_script fake_script;
extern struct fake_calls fake_calls;

#endif
