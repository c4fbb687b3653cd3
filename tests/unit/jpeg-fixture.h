/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JPEG images for tests: right in structure, with noise in place of a picture, and with parts that
 * a test can leave out or spoil.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	uint8_t data[1024 * 1024];
	size_t size;
};

static inline void bytes_append(struct bytes *bytes, const void *data, size_t size)
{
	if (size > sizeof(bytes->data) - bytes->size)
		__builtin_trap();
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

static inline void bytes_append_u8(struct bytes *bytes, unsigned int value)
{
	bytes_append(bytes, &(uint8_t){(uint8_t)value}, 1);
}

struct jpeg_fixture {
	uint32_t width, height;
	bool grey;
	bool progressive;
	uint8_t sampling; /* of the first component: 0x22 is 4:2:0; 0: 0x11 */
	uint16_t restart_interval;
	uint32_t restarts;      /* markers to write */
	bool thumbnail;         /* a whole JPEG within APP1 */
	bool fill;              /* 0xff before markers */
	uint32_t entropy_bytes; /* between restarts; 0: 100 */
	uint8_t seed;           /* of the noise: makes images differ */
};

static inline void jpeg_append_segment(struct bytes *bytes, const struct jpeg_fixture *fixture,
	unsigned int marker, const void *data, size_t size)
{
	if (fixture->fill) {
		bytes_append_u8(bytes, 0xff);
		bytes_append_u8(bytes, 0xff);
	}
	bytes_append_u8(bytes, 0xff);
	bytes_append_u8(bytes, marker);
	bytes_append_u8(bytes, (unsigned int)(size + 2) >> 8);
	bytes_append_u8(bytes, (unsigned int)(size + 2) & 0xff);
	bytes_append(bytes, data, size);
}

static inline void jpeg_append_scan(struct bytes *bytes, const struct jpeg_fixture *fixture,
	const uint8_t *header, size_t header_size)
{
	uint32_t noise = fixture->seed * 2654435761u + 12345;

	jpeg_append_segment(bytes, fixture, 0xda, header, header_size);
	for (uint32_t restart = 0; restart <= fixture->restarts; restart++) {
		uint32_t size = fixture->entropy_bytes ? fixture->entropy_bytes : 100;

		if (restart > 0) {
			if (fixture->fill)
				bytes_append_u8(bytes, 0xff);
			bytes_append_u8(bytes, 0xff);
			bytes_append_u8(bytes, 0xd0 + ((restart - 1) & 7));
		}
		for (uint32_t i = 0; i < size; i++) {
			noise = noise * 1664525 + 1013904223;
			/* stuffed bytes more often than chance would have them */
			bytes_append_u8(bytes, i % 17 == 3 ? 0xff : noise >> 24);
			if (bytes->data[bytes->size - 1] == 0xff)
				bytes_append_u8(bytes, 0);
		}
	}
}

static inline void jpeg_append(struct bytes *bytes, const struct jpeg_fixture *fixture)
{
	/* for DC, for AC: a code of 1 bit and one of 2, for the symbols 0 and 1 */
	static const uint8_t huffman[2 * (17 + 2)] = {
		0x00, 1, 1, [17] = 0, [18] = 1, [19] = 0x10, 1, 1, [36] = 0, [37] = 1};
	const size_t table = sizeof(huffman) / 2;
	unsigned int sampling = fixture->sampling ? fixture->sampling : 0x11;
	uint8_t count = fixture->grey ? 1 : 3;
	uint8_t quantisation[2 * 65] = {[65] = 1};
	uint8_t frame[6 + 9] = {8, (uint8_t)(fixture->height >> 8), (uint8_t)fixture->height,
		(uint8_t)(fixture->width >> 8), (uint8_t)fixture->width, count, 1,
		(uint8_t)sampling, 0, 2, 0x11, 1, 3, 0x11, 1};

	bytes_append_u8(bytes, 0xff);
	bytes_append_u8(bytes, 0xd8);
	if (fixture->thumbnail) {
		static struct bytes exif;

		exif.size = 0;
		bytes_append(&exif, "Exif\0", 6);
		jpeg_append(&exif, &(struct jpeg_fixture){.width = 8, .height = 8, .grey = true});
		jpeg_append_segment(bytes, fixture, 0xe1, exif.data, exif.size);
	}
	jpeg_append_segment(bytes, fixture, 0xdb, quantisation, sizeof(quantisation));
	jpeg_append_segment(
		bytes, fixture, fixture->progressive ? 0xc2 : 0xc0, frame, 6 + 3u * count);
	/* in a progressive image each scan has its own */
	jpeg_append_segment(bytes, fixture, 0xc4, huffman,
		fixture->progressive && !fixture->grey ? table : sizeof(huffman));
	if (fixture->restart_interval) {
		uint8_t interval[2] = {(uint8_t)(fixture->restart_interval >> 8),
			(uint8_t)fixture->restart_interval};

		jpeg_append_segment(bytes, fixture, 0xdd, interval, sizeof(interval));
	}
	if (fixture->grey) {
		jpeg_append_scan(bytes, fixture, (const uint8_t[]){1, 1, 0, 0, 63, 0}, 6);
	} else if (fixture->progressive) {
		jpeg_append_scan(
			bytes, fixture, (const uint8_t[]){3, 1, 0, 2, 0, 3, 0, 0, 0, 1}, 10);
		for (uint8_t component = 1; component <= 3; component++) {
			jpeg_append_segment(bytes, fixture, 0xc4, huffman + table, table);
			jpeg_append_scan(
				bytes, fixture, (const uint8_t[]){1, component, 0, 1, 63, 0}, 6);
		}
		jpeg_append_scan(
			bytes, fixture, (const uint8_t[]){3, 1, 0, 2, 0, 3, 0, 0, 0, 0x10}, 10);
	} else {
		jpeg_append_scan(
			bytes, fixture, (const uint8_t[]){3, 1, 0, 2, 0, 3, 0, 0, 63, 0}, 10);
	}
	if (fixture->fill)
		bytes_append_u8(bytes, 0xff);
	bytes_append_u8(bytes, 0xff);
	bytes_append_u8(bytes, 0xd9);
}
