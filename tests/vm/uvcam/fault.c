/* SPDX-License-Identifier: MIT */

#include "fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ISO/IEC 10918-1, table B.1 */
static const struct {
	const char *name;
	uint8_t code;
} markers[] = {
	{"SOI", 0xd8}, {"DQT", 0xdb}, {"SOF", 0xc0}, {"DHT", 0xc4}, {"SOS", 0xda}, {"EOI", 0xd9}};

static const char *const names[] = {
	[FAULT_NONE] = "none",
	[FAULT_ERROR] = "error",
	[FAULT_SHORT] = "short",
	[FAULT_EMPTY] = "empty",
	[FAULT_FLIP] = "flip",
	[FAULT_MARKER] = "marker",
	[FAULT_TRUNCATE] = "truncate",
};

const char *fault_name(enum fault_kind kind)
{
	return names[kind];
}

bool faults_add(struct faults *faults, const struct fault *fault)
{
	if (faults->count == FAULTS_MAX)
		return false;
	faults->queue[faults->count++] = *fault;
	return true;
}

struct fault faults_take(struct faults *faults)
{
	struct fault fault = {.kind = FAULT_NONE};

	if (faults->count == 0)
		return fault;
	fault = faults->queue[0];
	if (--faults->queue[0].frames == 0) {
		faults->count--;
		memmove(faults->queue, faults->queue + 1, faults->count * sizeof *faults->queue);
	}
	return fault;
}

/* The first marker of that kind; EOI is the picture's end. */
static void destroy_marker(uint8_t *data, size_t bytes, uint8_t code)
{
	size_t at = 0;

	if (code == 0xd9)
		at = bytes - 2;
	else
		while (at + 4 <= bytes && data[at + 1] != code) {
			if (data[at] != 0xff || data[at + 1] == 0xda)
				return;
			at += data[at + 1] == 0xd8 ? 2 : 2 + (data[at + 2] << 8 | data[at + 3]);
		}
	if (at + 2 <= bytes)
		memset(data + at, 0, 2);
}

size_t fault_apply(const struct fault *fault, uint8_t *data, size_t bytes)
{
	switch (fault->kind) {
	case FAULT_SHORT:
		return bytes * fault->value / 100;
	case FAULT_EMPTY:
		return 0;
	case FAULT_TRUNCATE:
		return fault->value < bytes ? fault->value : bytes;
	case FAULT_FLIP:
		if (fault->value < bytes)
			data[fault->value] ^= 0xff;
		return bytes;
	case FAULT_MARKER:
		destroy_marker(data, bytes, (uint8_t)fault->value);
		return bytes;
	case FAULT_NONE:
	case FAULT_ERROR:
		break;
	}
	return bytes;
}

static bool marker_parse(const char *text, uint32_t *ret_code)
{
	for (size_t i = 0; i < sizeof markers / sizeof *markers; i++)
		if (strcmp(text, markers[i].name) == 0) {
			*ret_code = markers[i].code;
			return true;
		}
	return false;
}

bool fault_parse(const char *text, struct fault *ret_fault)
{
	struct fault fault = {.kind = FAULT_NONE};
	char name[16], value[16] = "", rest;
	int words = sscanf(text, "%15s %" SCNu32 " %15s %c", name, &fault.frames, value, &rest);

	if (words < 2 || words > 3 || fault.frames == 0)
		return false;
	for (enum fault_kind kind = FAULT_ERROR; kind <= FAULT_TRUNCATE; kind++)
		if (strcmp(name, names[kind]) == 0)
			fault.kind = kind;
	switch (fault.kind) {
	case FAULT_NONE:
		return false;
	case FAULT_ERROR:
	case FAULT_EMPTY:
		if (words != 2)
			return false;
		break;
	case FAULT_MARKER:
		if (!marker_parse(value, &fault.value))
			return false;
		break;
	case FAULT_SHORT:
	case FAULT_FLIP:
	case FAULT_TRUNCATE:
		if (sscanf(value, "%" SCNu32 "%c", &fault.value, &rest) != 1)
			return false;
		break;
	}
	if (fault.kind == FAULT_SHORT && fault.value >= 100)
		return false;
	*ret_fault = fault;
	return true;
}
