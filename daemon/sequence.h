/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SEQUENCE_H
#define CAMTAP_DAEMON_SEQUENCE_H

/* How many frames a driver lost, from the sequence numbers that it gives them. */

#include <stdbool.h>
#include <stdint.h>

#define SEQUENCE_REPEATS_MAX 8

/* All zero: no frame yet. */
struct sequence {
	bool started;
	uint32_t last;
	uint32_t repeats; /* numbers given twice that no gap has made up for */
};

/*
 * Notes the next frame's number and returns how many numbers were left out before it. Numbers count
 * up by one and wrap around (v4l2_buffer.sequence). Those that do otherwise mean nothing was lost:
 * the first one, and one that goes back (the driver began anew). A driver that reckons numbers from
 * the time (vivid) repeats one now and then and leaves out another: the two cancel each other out.
 */
static inline uint32_t sequence_advance(struct sequence *sequence, uint32_t number)
{
	int32_t step = (int32_t)(number - sequence->last);
	uint32_t lost = 0;

	if (!sequence->started || step < 0) {
		sequence->started = true;
		sequence->repeats = 0;
	} else if (step == 0) {
		if (sequence->repeats < SEQUENCE_REPEATS_MAX)
			sequence->repeats++;
	} else {
		uint32_t made_up;

		lost = (uint32_t)step - 1;
		made_up = lost < sequence->repeats ? lost : sequence->repeats;
		sequence->repeats -= made_up;
		lost -= made_up;
	}
	sequence->last = number;
	return lost;
}

#endif
