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

static uint64_t hash(uint64_t sum, const uint8_t *bytes, size_t size, uint64_t id)
{
	sum += size * UINT64_C(0x9e3779b97f4a7c15);
	for (size_t at = id % 8 * 8; at + 8 <= size; at += 64) {
		uint64_t word;

		memcpy(&word, bytes + at, sizeof word);
		sum = (sum ^ word) * UINT64_C(0xff51afd7ed558ccd);
		sum ^= sum >> 32;
	}
	return sum;
}

#define PLANES_MAX 4

/* The planes of a frame, or copies of them. */
struct planes {
	unsigned count;
	size_t size[PLANES_MAX];
	const uint8_t *data[PLANES_MAX];
	uint8_t *copy[PLANES_MAX];
};

static void look(struct planes *planes, const struct camtap_frame *frame)
{
	planes->count = camtap_frame_plane_count(frame);
	for (unsigned i = 0; i < planes->count; i++) {
		planes->data[i] = camtap_frame_data(frame, i);
		planes->size[i] = camtap_frame_bytesused(frame, i);
	}
}

static void copy(struct planes *planes)
{
	for (unsigned i = 0; i < planes->count; i++) {
		planes->copy[i] = realloc(planes->copy[i], planes->size[i]);
		memcpy(planes->copy[i], planes->data[i], planes->size[i]);
		planes->data[i] = planes->copy[i];
	}
}

static uint64_t hash_planes(const struct planes *planes, uint64_t id)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < planes->count; i++)
		sum = hash(sum, planes->data[i], planes->size[i], id);
	return sum;
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
	struct planes planes = {0};
	int copying = argc == 4 && strcmp(argv[3], "copy") == 0;

	if (count == 0)
		return 2;
	if (camtap_new(&camera) < 0 || camtap_set_socket(camera, argv[1]) < 0 ||
		camtap_connect(camera) < 0)
		return fail(camera, "connect");
	for (unsigned long i = 0; i < count; i++) {
		int outcome = camtap_next(camera, &frame, PATIENCE_MSEC);
		uint64_t id, sum = 0;

		if (outcome != CAMTAP_FRAME)
			return fail(camera, "no frame");
		id = camtap_frame_id(frame);
		look(&planes, frame);
		if (i > 0 && camtap_frame_missed(frame) > 0)
			return fail(camera, "missed a frame");
		if (copying)
			copy(&planes);
		else
			sum = hash_planes(&planes, id);
		if (camtap_release(frame) < 0)
			return fail(camera, "revoked");
		if (copying)
			sum = hash_planes(&planes, id);
		printf("%" PRIu64 " %016" PRIx64 "\n", id, sum);
	}
	for (unsigned i = 0; i < PLANES_MAX; i++)
		free(planes.copy[i]);
	camtap_close(camera);
	return 0;
}
