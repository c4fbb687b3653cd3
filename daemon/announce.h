/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_ANNOUNCE_H
#define CAMTAP_DAEMON_ANNOUNCE_H

/*
 * Waking the readers: one non-blocking send per reader and frame, a FRAME message or a byte into
 * its doorbell. On the capture thread, after the source has its next slot, without any lock.
 *
 * A non-blocking send never waits, but it is not always short: whoever adds duplicates of its
 * socket to a hundred thousand epoll sets makes the kernel walk them all inside the daemon's send
 * (1.1 ms for 20,000, 114 ms for a million). So the loop is timed; after one over budget, each send
 * of the next one is timed for itself, and a reader that stays over budget is marked to be
 * disconnected. The sends are measured in this thread's CPU time: being preempted by somebody else
 * is nobody's fault.
 *
 * The doorbell is a socket, not a pipe: a pipe has one mutex for both of its ends, and a client
 * that reads into memory whose page fault does not end keeps it, and with it a non-blocking write,
 * for as long as it likes. Sending to a Unix socket takes nothing of the receiver's but spin locks.
 * (Not an eventfd either: both ends would share one description, so a client could clear
 * O_NONBLOCK, fill the counter, and block the write.)
 */

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct wire_frame;

/* One reader's end; embedded in the client. */
struct announce_target {
	int fd; /* the client's socket, or its doorbell */
	bool doorbell;
	uint32_t strikes;        /* capture thread only */
	_Atomic uint64_t missed; /* announcements that found no room */
	_Atomic bool slow;       /* over budget too often: disconnect */
};

struct announcer {
	struct announce_target **targets; /* room for target_max */
	uint32_t target_count, target_max;
	bool timing; /* the last loop was over budget */
};

int announcer_init(struct announcer *announcer, uint32_t target_max);
void announcer_finish(struct announcer *announcer);

enum announce_outcome {
	ANNOUNCE_DONE,
	ANNOUNCE_SLOW, /* a target was newly marked slow */
};

/* Wakes every target; adds the announcements that found no room to *missed. */
enum announce_outcome announce(
	struct announcer *announcer, const struct wire_frame *frame, uint64_t *missed);

/* Wakes one target; any thread. `frame` may be NULL for a doorbell. False if there was no room. */
bool announce_one(struct announce_target *target, const struct wire_frame *frame);

/* What one send to one client may cost. */
#define ANNOUNCE_BUDGET_NS INT64_C(500000)

/* Judges what a send cost this thread (CPU time); `strikes` counts those over budget in a row.
 * True: that is enough, the client is to be disconnected. */
bool announce_strike(uint32_t *strikes, int64_t cost_ns, int64_t budget_ns);

#endif
