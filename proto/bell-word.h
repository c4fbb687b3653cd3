/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_BELL_WORD_H
#define CAMTAP_PROTO_BELL_WORD_H

/*
 * The bell: one wake-up for several readers.
 *
 * A bell is a futex word in a sealed memfd of the daemon's, which readers map read-only. Readers of
 * the same user and the same stream share one; nobody else has it. A reader sleeps on the word, and
 * one FUTEX_WAKE wakes all who do: a third to a half of what a message to each would cost.
 *
 *   daemon                                 reader
 *     publish the frame (newest)             seen = rung
 *     fence                                  listens = BELL_LISTENS, fence (if it was not)
 *     who listens?                           is there a frame? a message (told)? then no sleep
 *     rung++, FUTEX_WAKE                     FUTEX_WAIT(rung, seen)
 *
 * A frame published before `seen` was loaded is seen by the look that follows; one published after
 * it makes rung another one, and the kernel does not let the reader sleep. `listens` is a word of
 * the reader's guard, behind those of the slots: as long as it is BELL_MESSAGES, the daemon sends
 * FRAME messages, which is what a program needs that waits for a file descriptor. Either the daemon
 * sees it set, or the reader, after it has set it, sees the frame: hence the two fences, both
 * sequentially consistent (store buffering; an acquire and a release would lose wake-ups).
 *
 * Who finds a frame that it has not slept for is behind, and need not be told of those that pass
 * meanwhile: it says BELL_BUSY, and no fence is needed for that, since all it can cost is a ring in
 * vain. A ring that nobody sleeps for costs the daemon nearly 2 µs in the kernel all the same.
 * tests/model/bell.pml has all that.
 *
 * Messages come through the socket as ever. For one who listens the daemon counts up `told`, then
 * rings: a reader looks at its socket when `told` is another one than it was. Others of the same
 * bell look once in vain.
 *
 * A process that is killed rings no bell, and nothing hangs up a futex: so nobody sleeps on it for
 * longer than BELL_PATIENCE_NS. Who has heard nothing for so long stops listening, and sleeps on
 * its socket until something comes. Others may ring on, or a reader may never sleep for so long: so
 * it looks at its socket after each 64 rings, whatever it hears.
 *
 * What a reader can do to others. It cannot write the word, nor close anything that the daemon
 * waits for: a futex is memory, not a file. (An epoll set over an eventfd of the daemon's would be
 * as quick and work in every event loop. But closing a file waits for the mutex of every epoll set
 * that it is in, and a client holds that of its own for as long as it likes, with epoll_wait() into
 * memory whose page fault does not end: the daemon could be kept from exiting. The same goes for
 * any file that is polled and whose other end, or duplicate, a client has.) It can crowd the word
 * with thousands of threads, or keep the kernel's hash bucket busy, and so make a wake-up slow; and
 * it can move those who sleep to a word of its own (FUTEX_REQUEUE). The daemon times each ring,
 * wakes no more than there can be, and closes a bell that is dear or crowded: its readers get
 * messages from then on, and others of that user no bell. Sleepers who were moved wake by their
 * patience, and give up the bell if that happens again; but not if they are woken in between, which
 * who moved them can do as well. So all that a reader can do to others of its own user, which it
 * could just as well stop or trace, is to make them late, by less than BELL_PATIENCE_NS at a time,
 * for as long as it keeps at it; to those of other users, nothing.
 */

#include <stdatomic.h>
#include <stdint.h>

/* Words of one bell. The readers of a user are spread over them: few readers have a word of their
 * own each, and the first to be woken is soon on its way; many share a word, and the daemon is done
 * sooner (docs/performance.md). */
#define BELL_WORDS 4

/* So long nobody sleeps on a word, in ns. A camera that is slower is waited for at the socket. */
#define BELL_PATIENCE_NS INT64_C(50000000)

/* One word, alone on its cache line. The daemon writes it, readers map it read-only. */
struct bell_word {
	_Atomic uint32_t rung;   /* the futex */
	_Atomic uint32_t told;   /* messages that listeners of this word were sent */
	_Atomic uint32_t closed; /* not 0: it is not rung any more; FRAMEs come instead */
	uint32_t reserved[13];
};

_Static_assert(sizeof(struct bell_word) == 64, "layout is protocol");

/* What a reader says in its guard, in the first 32 bits after the word of the last slot. */
enum bell_listens {
	BELL_MESSAGES = 0, /* FRAME messages, please */
	BELL_LISTENS = 1,  /* the bell will do */
	BELL_BUSY = 2,     /* neither: before it sleeps, it listens and looks */
};

#endif
