/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_BELL_H
#define CAMTAP_DAEMON_BELL_H

/*
 * The daemon's side of the bells (proto/bell.h): one for each user that reads a stream. The server
 * thread makes them and hands them out, the stream's producer rings them; neither ever waits.
 *
 * A ring is timed as a send is (announce.h), and by the same units: a word whose ring was over
 * budget by the clock is measured the next time, in CPU time, and closes the bell if it is over
 * again. So does a word on which more sleep than there are readers. A closed bell is never opened
 * again, and its user gets no other for BELL_BAN_NS.
 */

#include "bell-word.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct reaper;

#define BELL_BAN_NS INT64_C(60000000000)

struct bell;

/* The bells of a stream. Server thread. */
struct bells {
	struct bell *first;
};

/* One reader's place at a bell. */
struct bell_place {
	struct bell *bell; /* NULL: it has none */
	uint32_t word;
};

/* Gives a reader of that user a place. ret_place->bell is NULL if there is none for it: the bell
 * was closed, or there is no memory; then it gets messages. */
void bell_join(struct bells *bells, uid_t uid, struct bell_place *ret_place);
/* The producer is done with the reader. Clears the place; a place without a bell is left alone. */
void bell_leave(struct bells *bells, struct bell_place *place, struct reaper *reaper);
/* At the end: nobody has a place any more. May wait. */
void bells_finish(struct bells *bells);

/* A description of the bell's memory of the client's own. Negative errno. */
int bell_open_description(const struct bell *bell);
size_t bell_size(void);                              /* bytes of the memory */
size_t bell_offset(const struct bell_place *place);  /* of the word in it */
bool bell_is_closed(const struct bell_place *place); /* any thread */

/* A message was sent to the reader: it is woken, and looks at its socket. Any thread; unit_ns:
 * announce_calibrate(). */
void bell_tell(const struct bell_place *place, int64_t unit_ns);

/* ---- the producer ---- */

/* Lets the memory that ringing touches come into the caches. */
void bell_prefetch(const struct bell_place *place);
/* One more reader listens to what is rung next. True: it is the first of this bell. */
bool bell_expect(const struct bell_place *place);
/* Wakes all readers of the bell. *clock_ns is the time, and becomes that afterwards. */
void bell_ring(struct bell *bell, int64_t unit_ns, int64_t *clock_ns);

#endif
