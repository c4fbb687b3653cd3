/* SPDX-License-Identifier: MIT */

/*
 * What the test camera says of itself: USB 2.0, 9.6, and UVC 1.1, chapter 3. One configuration with
 * a control interface, whose units are
 *
 *   camera terminal (1) -> processing unit (2) -> output terminal (3)
 *
 * and a streaming interface with one bulk endpoint. Most cameras stream isochronously; bulk is as
 * good a UVC camera (UVC 1.1, 2.4.3) and costs an emulated host 500 transfers a second instead
 * of 8000.
 */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTERFACE_CONTROL   0
#define INTERFACE_STREAMING 1
#define ENDPOINT_STREAM     0x81 /* IN */
#define PACKET_BYTES        512  /* of a bulk endpoint at high speed */
#define FRAME_INTERVALS     3
#define DESCRIPTOR_ROOM     1024

extern const uint32_t frame_intervals[FRAME_INTERVALS]; /* 100 ns, shortest first */

/* bFormatIndex and bFrameIndex count from 1; the latter is an index of picture_sizes and 1. */
#define FRAME_INDEX_PRESET 2

struct identity {
	const char *vendor, *product, *serial; /* ASCII, at most 126 characters */
	bool has_mjpeg;                        /* then it is format 1, and YUYV format 2 */
};

/* What GET_DESCRIPTOR answers (USB 2.0, 9.4.3): value is the request's wValue. Returns the bytes, 0
 * if there is no such descriptor. */
size_t descriptor_make(const struct identity *identity, uint16_t value, uint8_t *buffer);
