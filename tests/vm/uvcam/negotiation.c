/* SPDX-License-Identifier: MIT */

#include "negotiation.h"
#include "descriptors.h"

#include <string.h>

/* Offsets, UVC 1.1, table 4-75; what is not named stays 0. */
enum {
	FORMAT_INDEX = 2,
	FRAME_INDEX = 3,
	FRAME_INTERVAL = 4,
	MAX_VIDEO_FRAME_SIZE = 18,
	MAX_PAYLOAD_TRANSFER_SIZE = 22,
	CLOCK_FREQUENCY = 26,
	FRAMING_INFO = 30,
};

#define FRAMING_FID_AND_EOF 3 /* payload headers say where a frame begins and ends */

static void write32(uint8_t *at, uint32_t value)
{
	for (unsigned byte = 0; byte < 4; byte++)
		at[byte] = (uint8_t)(value >> 8 * byte);
}

static uint32_t read32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The shortest interval that is not shorter than the one wanted; 0, "no matter": 30 a second. */
static uint32_t nearest_interval(uint32_t wanted)
{
	if (wanted == 0)
		return frame_intervals[1];
	for (unsigned i = 0; i < FRAME_INTERVALS; i++)
		if (wanted <= frame_intervals[i])
			return frame_intervals[i];
	return frame_intervals[FRAME_INTERVALS - 1];
}

static void settle(const struct negotiation *negotiation, uint8_t *control)
{
	if (control[FORMAT_INDEX] < 1 || control[FORMAT_INDEX] > (negotiation->has_mjpeg ? 2 : 1))
		control[FORMAT_INDEX] = 1;
	if (control[FRAME_INDEX] < 1 || control[FRAME_INDEX] > PICTURE_SIZES)
		control[FRAME_INDEX] = FRAME_INDEX_PRESET;
	write32(control + FRAME_INTERVAL, nearest_interval(read32(control + FRAME_INTERVAL)));
	write32(control + MAX_VIDEO_FRAME_SIZE, (uint32_t)picture_room(control[FRAME_INDEX] - 1U));
	write32(control + MAX_PAYLOAD_TRANSFER_SIZE, PAYLOAD_BYTES);
	write32(control + CLOCK_FREQUENCY, 48000000);
	control[FRAMING_INFO] = FRAMING_FID_AND_EOF;
}

void negotiation_reset(struct negotiation *negotiation, bool has_mjpeg)
{
	*negotiation = (struct negotiation){.has_mjpeg = has_mjpeg};
	settle(negotiation, negotiation->probe);
	settle(negotiation, negotiation->commit);
}

void negotiation_set(
	struct negotiation *negotiation, bool commit, const uint8_t *data, size_t bytes)
{
	uint8_t *control = commit ? negotiation->commit : negotiation->probe;

	memset(control, 0, NEGOTIATION_BYTES);
	memcpy(control, data, bytes < NEGOTIATION_BYTES ? bytes : NEGOTIATION_BYTES);
	settle(negotiation, control);
}

struct agreement negotiation_result(const struct negotiation *negotiation)
{
	const uint8_t *commit = negotiation->commit;

	return (struct agreement){
		.format = negotiation->has_mjpeg && commit[FORMAT_INDEX] == 1 ? PICTURE_MJPEG
									      : PICTURE_YUYV,
		.size = commit[FRAME_INDEX] - 1U,
		.interval = read32(commit + FRAME_INTERVAL),
	};
}
