/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_ANNOUNCE_H
#define CAMTAP_DAEMON_ANNOUNCE_H

/*
 * Waking the readers of a frame. On the producer's thread, after the source has its next slot,
 * without any lock: one ring for those who listen to a bell (bell.h), then one non-blocking send of
 * a FRAME message for each of the others.
 *
 * A non-blocking send never waits, but it is not always short: whoever adds duplicates of its
 * socket to a hundred thousand epoll sets makes the kernel walk them all inside the daemon's send
 * (1.1 ms for 20,000, 114 ms for a million). So each send is timed, and a reader whose send was
 * over budget is a suspect: the capture thread leaves it out, and the server thread sends it
 * something instead, until that is within the budget (then it was the machine's fault, and the
 * reader is cleared), or PROBES_MAX in a row were not (then it is disconnected). The suspicion goes
 * by the clock, which is cheap to read; the judgement by CPU time, so that being preempted is
 * nobody's fault; and all budgets are multiples of what a send costs on this machine. A new reader
 * is a suspect until it is linked in: the capture thread never meets one that was not sent to.
 *
 * Nothing is rung but sockets and futexes. A pipe has one mutex for both of its ends, and a client
 * that reads into memory whose page fault does not end keeps it, and with it a non-blocking write,
 * for as long as it likes. Both ends of an eventfd share one description, so a client could clear
 * O_NONBLOCK, fill the counter, and block the write. And whatever can be polled and has been sent
 * to a client is not safe to close: proto/bell-word.h.
 */

#include "bell.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct wire_frame;

#define ANNOUNCE_PROBES_MAX 10

/* One reader's end; embedded in the client. */
struct announce_target {
	int fd;    /* the client's socket */
	bool byte; /* a byte will do: it is one of our own threads */
	/* Where it says that it listens (enum bell_listens); NULL: it does not. The client writes
	 * there. Set before it is linked in. */
	const _Atomic uint32_t *listens;
	struct bell_place place;
	bool by_bell;    /* it gets no message of this frame; the producer only */
	bool patient;    /* no room is no loss: it has bytes enough to look when it is done */
	int64_t cost_ns; /* of the last send; capture thread only */
	bool flagged;    /* the last send took long: measure the next; capture thread only */
	_Atomic uint64_t missed; /* announcements that found no room, or were left out */
	_Atomic bool suspect;
};

struct announcer {
	struct announce_target **targets; /* room for target_max */
	uint32_t target_count, target_max;
	struct bell **bells; /* to be rung now; room for target_max */
	int64_t unit_ns;     /* announce_calibrate() */
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

/* Lets the memory that announcing to a target touches come into the caches. */
void announce_prefetch(const struct announce_target *target);

/* What an honest send costs on this machine, in ns of CPU time: measured with a socket of our own.
 * At least 2 µs, at most 50 µs. */
int64_t announce_calibrate(void);

/* What one send may cost, in ns, where `target_count` readers are woken: 250 units, but in a crowd
 * twice the share of what all may cost together. Many that stay just below what one may cost would
 * otherwise stop the capture in sum. */
int64_t announce_budget(int64_t unit_ns, uint32_t target_count);

#endif
