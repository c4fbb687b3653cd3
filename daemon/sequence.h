/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SEQUENCE_H
#define CAMTAP_DAEMON_SEQUENCE_H

/* How many frames a driver lost, from the sequence numbers that it gives them. */

#include <stdbool.h>
#include <stdint.h>

#define SEQUENCE_EARLY_MAX 8  /* numbers */
#define SEQUENCE_LATE_MAX  32 /* numbers; further back is a new beginning */

/* All zero: no frame yet. */
struct sequence {
	bool started;
	uint32_t last; /* the highest number */
	uint32_t
		early; /* frames that came without a number of their own; a gap makes up for each */
};

/*
 * Notes the next frame's number and returns how many numbers were left out before it. Numbers count
 * up by one and wrap around (v4l2_buffer.sequence). Those that do otherwise mean that nothing was
 * lost:
 *
 *   - the first one, and one far back (the driver began anew);
 *   - one that is given twice by a driver that reckons them from the time (vivid) and then leaves
 * out another: the two cancel each other out;
 *   - one a little late, because buffers overtook each other (uvcvideo on a busy machine completes
 * them in several threads): the gap that was there before it is made good at the next one.
 */
static inline uint32_t sequence_advance(struct sequence *sequence, uint32_t number)
{
	int32_t step = (int32_t)(number - sequence->last);
	uint32_t lost, made_up;

	if (!sequence->started || step < -SEQUENCE_LATE_MAX) {
		sequence->started = true;
		sequence->last = number;
		sequence->early = 0;
		return 0;
	}
	if (step <= 0) {
		if (sequence->early < SEQUENCE_EARLY_MAX)
			sequence->early++;
		return 0;
	}
	lost = (uint32_t)step - 1;
	made_up = lost < sequence->early ? lost : sequence->early;
	sequence->early -= made_up;
	sequence->last = number;
	return lost - made_up;
}

#endif
