/* SPDX-License-Identifier: MIT */

/* What the test camera is to do wrong with its next frames. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
	FAULT_NONE,
	FAULT_ERROR,    /* the bytes are good, but each payload has the ERR bit */
	FAULT_SHORT,    /* only value percent of the bytes are sent */
	FAULT_EMPTY,    /* only a payload header, which says "end of frame" */
	FAULT_FLIP,     /* the bits of the byte at offset value are inverted */
	FAULT_MARKER,   /* MJPEG: the marker 0xff value is overwritten with zeros */
	FAULT_TRUNCATE, /* the bytes from offset value on are not sent */
};

struct fault {
	enum fault_kind kind;
	uint32_t frames; /* how many it is for */
	uint32_t value;
};

#define FAULTS_MAX 64
struct faults {
	struct fault queue[FAULTS_MAX];
	unsigned count;
};

/* Puts a fault after those that wait already; false: too many. */
bool faults_add(struct faults *faults, const struct fault *fault);

/* The fault of the frame that begins now. */
struct fault faults_take(struct faults *faults);

/* Damages the bytes of a frame; returns how many of them are to be sent. */
size_t fault_apply(const struct fault *fault, uint8_t *data, size_t bytes);

/* Reads "error N", "short N PERCENT", "empty N", "flip N OFFSET", "truncate N OFFSET" or
 * "marker N SOI|DQT|SOF|DHT|SOS|EOI"; false: it is none of these. */
bool fault_parse(const char *text, struct fault *ret_fault);

const char *fault_name(enum fault_kind kind);
