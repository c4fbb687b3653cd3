/* SPDX-License-Identifier: MIT */

/*
 * frame-hash SOCKET COUNT place|copy: prints "id hash" of COUNT frames. place: hashed where they
 * lie; copy: copied, given back, and the copy is hashed. The hash takes 8 of each 64 bytes, so that
 * a slow machine keeps up at full rate, at an offset that moves with the frame's id, so that every
 * byte has its turn. Ends with 1 if a frame was missed or revoked.
 */

#include "camtap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MSEC 20000

static uint64_t hash(const uint8_t *bytes, size_t size, uint64_t id)
{
	uint64_t sum = size * UINT64_C(0x9e3779b97f4a7c15);

	for (size_t at = id % 8 * 8; at + 8 <= size; at += 64) {
		uint64_t word;

		memcpy(&word, bytes + at, sizeof word);
		sum = (sum ^ word) * UINT64_C(0xff51afd7ed558ccd);
		sum ^= sum >> 32;
	}
	return sum;
}

/* From the first byte of the first plane to the last of the last: padding included. */
static size_t bytes_of(const struct camtap_frame *frame)
{
	unsigned last = camtap_frame_plane_count(frame) - 1;
	const uint8_t *first = camtap_frame_data(frame, 0), *end = camtap_frame_data(frame, last);

	return (size_t)(end - first) + camtap_frame_bytesused(frame, last);
}

static int fail(const struct camtap *camera, const char *what)
{
	fprintf(stderr, "frame-hash: %s: %s %s\n", what, camtap_error_text(camera),
		camtap_event_text(camera));
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	struct camtap *camera;
	struct camtap_frame *frame;
	uint8_t *copy = NULL;

	if (count == 0)
		return 2;
	if (camtap_new(&camera) < 0 || camtap_set_socket(camera, argv[1]) < 0 ||
		camtap_connect(camera) < 0)
		return fail(camera, "connect");
	for (unsigned long i = 0; i < count; i++) {
		int outcome = camtap_next(camera, &frame, PATIENCE_MSEC);
		uint64_t id, sum = 0;
		size_t size;

		if (outcome != CAMTAP_FRAME)
			return fail(camera, "no frame");
		id = camtap_frame_id(frame);
		size = bytes_of(frame);
		if (i > 0 && camtap_frame_missed(frame) > 0)
			return fail(camera, "missed a frame");
		if (strcmp(argv[3], "copy") == 0) {
			copy = realloc(copy, size);
			memcpy(copy, camtap_frame_data(frame, 0), size);
		} else {
			sum = hash(camtap_frame_data(frame, 0), size, id);
		}
		if (camtap_release(frame) < 0)
			return fail(camera, "revoked");
		if (copy != NULL)
			sum = hash(copy, size, id);
		printf("%" PRIu64 " %016" PRIx64 "\n", id, sum);
	}
	free(copy);
	camtap_close(camera);
	return 0;
}
