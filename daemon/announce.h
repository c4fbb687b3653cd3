/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_ANNOUNCE_H
#define CAMTAP_DAEMON_ANNOUNCE_H

/*
 * Waking the readers: one non-blocking send per reader and frame, a FRAME message or a byte into
 * its doorbell. On the capture thread, after the source has its next slot, without any lock.
 *
 * A non-blocking send never waits, but it is not always short: whoever adds duplicates of its
 * socket to a hundred thousand epoll sets makes the kernel walk them all inside the daemon's send
 * (1.1 ms for 20,000, 114 ms for a million). So each send is timed, and a reader whose send was
 * over budget is a suspect: the capture thread leaves it out, and the server thread rings it
 * instead, until a ring is within the budget (then it was the machine's fault, and the reader is
 * cleared), or PROBES_MAX in a row were not (then it is disconnected). The suspicion goes by the
 * clock, which is cheap to read; the judgement by CPU time, so that being preempted is nobody's
 * fault; and all budgets are multiples of what a send costs on this machine. A new reader is a
 * suspect until it is linked in: the capture thread never meets one that has not been rung.
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

#define ANNOUNCE_PROBES_MAX 10

/* One reader's end; embedded in the client. */
struct announce_target {
	int fd; /* the client's socket, or its doorbell */
	bool doorbell;
	bool patient;    /* no room is no loss: it has bells enough to look when it is done */
	int64_t cost_ns; /* of the last send; capture thread only */
	bool flagged;    /* the last send took long: measure the next; capture thread only */
	_Atomic uint64_t missed; /* announcements that found no room, or were left out */
	_Atomic bool suspect;
};

struct announcer {
	struct announce_target **targets; /* room for target_max */
	uint32_t target_count, target_max;
	int64_t unit_ns; /* announce_calibrate() */
};

int announcer_init(struct announcer *announcer, uint32_t target_max, int64_t unit_ns);
void announcer_finish(struct announcer *announcer);

enum announce_outcome {
	ANNOUNCE_DONE,
	ANNOUNCE_SUSPECT, /* the server thread should look */
};

/* Wakes every target; adds the announcements that found no room to *missed. */
enum announce_outcome announce(
	struct announcer *announcer, const struct wire_frame *frame, uint64_t *missed);

/* Wakes one target; any thread. `frame` may be NULL for a doorbell. False if there was no room. */
bool announce_one(struct announce_target *target, const struct wire_frame *frame);

/* What an honest send costs on this machine, in ns of CPU time: measured with a socket of our own.
 * At least 2 µs, at most 50 µs. */
int64_t announce_calibrate(void);

/* What one send may cost, in ns, where `target_count` readers are woken: 250 units, but in a crowd
 * twice the share of what all may cost together. Many that stay just below what one may cost would
 * otherwise stop the capture in sum. */
int64_t announce_budget(int64_t unit_ns, uint32_t target_count);

#endif
