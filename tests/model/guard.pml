/* SPDX-License-Identifier: MIT */
/*
 * The guard mutex of proto/guard.h, as a model for Spin. `tests/model/run` checks each
 * configuration below completely, and that each broken variant is caught.
 *
 * WHAT IS MODELLED
 *
 * One daemon, NR readers, one pool of NS slots. A process touches shared memory one word, or
 * one half of a picture, per step, and Spin tries every order of those steps:
 *
 *	guard_take()		take()
 *	guard_release()		give_back()
 *	guard_lock()		lock_word(), which is also guard_looks_free() and guard_wait()
 *	guard_publish(), guard_discard()  hand_word(), once next_generation() has made g+1 of g
 *	guard_undo()		hand_word()
 *	guard_revoke()		revoke_word()
 *	guard_init_word()	in server, before the guard is linked
 *	guard_holds()		no step: what it promises, P1 promises for a release just then
 *
 * "capture" is the capture thread together with the source, which has a slot from stage LENT on
 * and writes the picture in two halves, so that a torn one can be seen. "server" is what the
 * server thread does for a client under the lock over the list of clients: link it, drop it.
 * "reader" is a client, "copier" one that reads without a lease. The source needs no process of its
 * own: its writes touch no word, so none of capture's other steps could tell.
 *
 * PROPERTIES (their names appear in Spin's message when one fails)
 *
 *	P1  No reader is fooled: whoever releases successfully saw only the frame that it took.
 *	P2  A revoked holder's release says -ESTALE, and nobody else's does.
 *	P3  No slot is written while a linked reader has a valid lease on it.
 *	P4  No slot is stuck: a word refuses the writer only for a lease or an offer that exists.
 *	    (Dropped guards are not asked; so after a drop every slot that no other reader holds
 *	    can be taken.)
 *	P5  Lossless: nothing is overwritten, and no take fails, before the reader has had its
 *	    frame.
 *	P6  The newest frame can be taken for as long as it is the newest.
 *	P7  A copy that was made without a lease, and accepted, is one whole frame.
 *
 * "invalid end state" in Spin's message is a process that waits for ever. Lossy: capture waits for
 * no reader. With STOP every reader may stop for good wherever it is (SIGSTOP), and capture, for
 * which no end is valid, must still find a step. Lossless: capture must go on, or reach the
 * recording's end with every frame taken; so there is no deadlock, and nobody is left untold.
 *
 * WHAT IS ABSTRACTED AWAY, AND WHY THAT IS SOUND
 *
 * Generations are kept as ages. The protocol asks whether two generations of a slot are equal,
 * never which is greater. So the model keeps with everything that remembers a generation (a
 * word, a lease, a descriptor, a picture, recent[]) how far it lies behind the slot's present
 * one. next_generation() ages them all; that is bookkeeping, not a step of the program. Runs
 * are thus of any length, with no bound on frames and no counter that wraps. OLD stands for
 * many generations and equals nothing, not even itself. That hides nothing as long as no word
 * that could be taken or released gets OLD: P8, the model's check of itself. (No word of a real
 * guard wraps either: 48 bits of generation.)
 *
 * A lossy reader reads neither recent[] nor messages: at any time it tries to take any
 * generation that was ever shown. No queue, delay or loss of announcements lets a real one do
 * more. The pair (slot, generation) is one value here: who reads recent[] must not mix the slot
 * of one with the generation of another. A lossless reader reads the oldest entry that it has not
 * seen and takes it in one step: what it is owed cannot change in between.
 *
 * The daemon's looks before guard_lock() only make it try less often; here it tries any slot
 * but the newest, at any time. lease_min, whom to revoke, reserve: policy; here any slot but
 * the newest is revoked at any time.
 *
 * A hostile client writes what it likes into its own guard. All that the daemon does about a
 * word is to swap it, or not, so such a client is a refusal out of nowhere: the branch
 * "hostile". (Lossless has none: there a client may hold up the source, that is what lossless
 * is.)
 *
 * Looking at a picture is a step only when something is wrong with it, and is noted only as
 * long as the lease is valid: by P2 a release that succeeds was valid up to then. In the same
 * way a take that fails, and may, is no step; and what is in a discarded slot does not matter,
 * since its generation is never shown.
 *
 * A reader that re-attaches with old frames in its hands has two guards, and is two readers;
 * here it gets a new guard when it has given everything back. A lossy reader that dies is one
 * that stops and is dropped. Several holds of one frame, which the library merely counts, are
 * one lease.
 *
 * The lock is held for one walk through the guards, and not from there to recent[]; a program
 * that holds it for longer has fewer orders.
 *
 * Spin's memory is sequentially consistent. It cannot show what the memory orders are for (a
 * relaxed take or release, a release store as revocation); herd7 did. BROKEN_REVOKE_BY_STORE is
 * therefore written as what ARM64 makes of it: the store is visible only after the first write
 * of the picture.
 *
 * SETTINGS
 *
 *	NR, NS			readers, slots
 *	LENDS			slots with the source at once
 *	LEASES			leases per reader, 1 or 2
 *	OLD=4			one generation more is kept exactly
 *	STOP			readers may stop for good
 *	ATTACH			readers come, go, and are thrown out at any time (lossless: die)
 *	ONE_STAYS		lossless: only reader 0 dies
 *	COPIER			a reader without leases, too
 *	LOSSLESS		the lossless stream; all readers are lossless
 *	KEEP_REFERENCE		lossless: reader 0 keeps one frame, any, while it waits for more
 *	KEEP_LAST		lossless: every reader keeps its last frame until it has the next
 *	BROKEN_...		a mistake that must be caught, explained where it is made
 */

#ifndef NR
#define NR 2
#endif
#ifndef NS
#define NS 3
#endif
#ifndef LENDS
#define LENDS 1
#endif
#ifndef LEASES
#define LEASES 1
#endif

/* A word: its state, and above it the age of its generation. Nobody can take 0: FREE, NEVER. */
#define FREE	0
#define OFFERED 1
#define READER	2
#define WRITER	3
#define WAITED	4 /* flag beside OFFERED or READER */
#define WORD(state, age) ((state) | (age) << 3)
#define STATE(word)	 ((word) & 7)
#define AGE(word)	 ((word) >> 3)

#define NEVER	 0 /* the generation of no frame */
#define NEXT	 1 /* g+1, being made */
#define NOW	 2 /* g */
#ifndef OLD
#define OLD	 3 /* any before g; with -DOLD=4, 3 is g-1 and 4 any before that */
#endif
#define OLDER(age) ((age) + ((age) != NEVER && (age) != OLD))
#define SAME(age1, age2) ((age1) == (age2) && (age1) != OLD)

#define NONE NS

/* Readers start linked where none come or go. */
#ifdef ATTACH
#define STARTS_LINKED false
#else
#define STARTS_LINKED true
#endif

/* Shared memory. */
byte word[NR * NS] = (STARTS_LINKED -> WORD(FREE, NOW) : 0); /* the guards */
#define GUARD(r, s) word[(r) * NS + (s)]
byte upper[NS] = OLD, lower[NS] = OLD; /* the pictures: whose pixels these are */
byte descriptor[NS] = NEVER;	       /* its generation; NEVER is "invalid" */
byte newest = NONE;
#ifdef LOSSLESS
byte recent_slot[NS] = NONE, recent_age[NS]; /* [0] is the newest */
#endif

/* The daemon's private state. */
byte stage[NS];
#define HOME   0 /* with the readers */
#define LOCKED 1 /* WRITER in every guard; the source never had it */
#define LENT   2 /* the source may write it */
#define HALF   3 /* the source has written the upper half */
#define FULL   4 /* and the lower one */
byte lends;			 /* slots that are not HOME */
bool busy;			 /* the lock over the list of clients */
bool linked[NR] = STARTS_LINKED; /* the list of clients */
bool ready[NR];			 /* READY has come, not linked yet */
#ifdef LOSSLESS
bool wake; /* some message or hang-up since the capture thread last looked */
#ifdef BROKEN_COUNT_RELEASED
byte messages, waits; /* RELEASED that came; words on which WAITED was set */
#endif
#endif

/* The readers' private state: leases FIRST(r) to LAST(r), which may be one, the oldest first. */
byte lease_slot[NR * LEASES] = NONE, lease_age[NR * LEASES];
#define FIRST(r)    ((r) * LEASES)
#define LAST(r)	    ((r) * LEASES + LEASES - 1)
#define UNUSED(r)   (FIRST(r) + (LEASES - 1) * (lease_slot[FIRST(r)] != NONE))
#define YOUNGEST(r) (FIRST(r) + (LEASES - 1) * (lease_slot[LAST(r)] != NONE))
#ifdef LOSSLESS
byte behind[NR]; /* entries of recent[] that it has not looked at */
bool bell[NR];	 /* announced and not drained: a ring, or a FRAME in the queue */
bool awake[NR] = STARTS_LINKED; /* has drained the bell and not yet looked at all of recent[] */
bool owes[NR];	 /* has released a word with WAITED; RELEASED still to be sent */
bool dead[NR];	 /* killed; the hang-up not handled yet */
#ifdef BROKEN_START_AFTER_LINK
bool placed[NR];
#endif
#endif
#ifdef COPIER
byte copy_slot = NONE, copy_age;
bool copy_bad;
#endif

/* What happened, for the properties; no process decides anything by it (shown: see the essay). */
bool valid[NR * LEASES];  /* this lease was taken and not revoked */
bool fooled[NR * LEASES]; /* its holder has seen something else than the frame that it took */
bool leaving[NR];	  /* is being dropped */
bool shown[NS];		  /* the slot's present generation has been in recent[] */
#ifdef LOSSLESS
bool owed[NR * NS]; /* offered to a linked reader that has not taken it yet */
#define OWED(r, s) owed[(r) * NS + (s)]
#endif

#define HOLDS(l, s) (valid[l] && lease_slot[l] == (s))
#define HAS(r, s)   (HOLDS(FIRST(r), s) || HOLDS(LAST(r), s))

hidden byte P1_no_reader_is_fooled, P2_ESTALE_for_the_revoked_only, P3_no_write_under_a_lease,
	P4_no_slot_is_stuck, P5_no_frame_is_lost, P6_the_newest_can_be_taken,
	P7_accepted_copies_are_whole, P8_ages_are_exact; /* all false, there for their names */
#define PROPERTY(name, condition) assert(name || (condition))

hidden byte i; /* for loops inside a d_step */

/* The inlines work on the variables of the process that uses them: s is the slot, r the reader. */

/* Slot s goes on to g+1: whatever remembers one of its generations ages. */
inline next_generation()
{
	for (i : 0 .. NR - 1) {
		GUARD(i, s) = WORD(STATE(GUARD(i, s)), OLDER(AGE(GUARD(i, s))))
	}
	for (i : 0 .. NR * LEASES - 1) {
		lease_age[i] = (lease_slot[i] == s -> OLDER(lease_age[i]) : lease_age[i])
	}
#ifdef LOSSLESS
	for (i : 0 .. NS - 1) {
		recent_age[i] = (recent_slot[i] == s -> OLDER(recent_age[i]) : recent_age[i])
	}
#endif
#ifdef COPIER
	copy_age = (copy_slot == s -> OLDER(copy_age) : copy_age);
#endif
	upper[s] = OLDER(upper[s]);
	lower[s] = OLDER(lower[s]);
	descriptor[s] = OLDER(descriptor[s]);
	shown[s] = false
}

/* Any of them. */
inline choose(variable, from, to)
{
	variable = from;
	do
	:: variable < to -> variable++
	:: break
	od
}

/* ---- reader ---------------------------------------------------------------------------------- */

#ifdef BROKEN_GENERATION_APART /* the word is only the mutex, the generation is somewhere else */
#define SAME_GENERATION(r, s, age) true
#else
#define SAME_GENERATION(r, s, age) SAME(AGE(GUARD(r, s)), age)
#endif
#define IS_FREE(r, s, age) (STATE(GUARD(r, s)) == FREE && SAME_GENERATION(r, s, age))
#ifdef BROKEN_TAKE_REFUSES_WAITED /* OFFERED+WAITED is "anything else" */
#define IS_OFFERED(r, s, age) (GUARD(r, s) == WORD(OFFERED, age))
#else
#define IS_OFFERED(r, s, age)                                                                      \
	((STATE(GUARD(r, s)) & 3) == OFFERED && SAME_GENERATION(r, s, age))
#endif
#ifdef BROKEN_RELEASE_WITHOUT_LOOP /* swaps READER only, and takes WAITED for a revocation */
#define IS_MINE(r, s, age) (STATE(GUARD(r, s)) == READER && SAME_GENERATION(r, s, age))
#else
#define IS_MINE(r, s, age) ((STATE(GUARD(r, s)) & 3) == READER && SAME_GENERATION(r, s, age))
#endif

#ifdef BROKEN_COUNT_PER_SLOT /* even a revoked lease, of an older frame in the slot, counts */
#define COUNTED(r, s, age) (lease_slot[FIRST(r)] == (s) || lease_slot[LAST(r)] == (s))
#define COUNTED_TWICE(r)   (lease_slot[FIRST(r)] == lease_slot[LAST(r)])
#else
#define COUNTED(r, s, age) false
#define COUNTED_TWICE(r)   false
#endif

/* The reader has this very frame already: the library would count, and leave the word alone. */
#define HELD(l, s, age) (lease_slot[l] == (s) && lease_age[l] == (age))
#define HAS_ALREADY(r, s, age) (HELD(FIRST(r), s, age) || HELD(LAST(r), s, age))

/* Everything else is an overrun, which must not befall MUST_BE_THERE. */
#define TAKEABLE(r, s, age) (COUNTED(r, s, age) || IS_FREE(r, s, age) || IS_OFFERED(r, s, age))
#define MUST_BE_THERE(r, s, age)                                                                   \
	(linked[r] && !leaving[r] && (s) == newest && (age) == NOW && shown[s])
#define NOT_EXACT(r, s, age)                                                                       \
	((age) == OLD && AGE(GUARD(r, s)) == OLD && STATE(GUARD(r, s)) != WRITER)
#if defined(BROKEN_DROP_WITHOUT_REVOKE) || defined(BROKEN_LINK_ALL_FREE)
#define GOES_ON(r, s, age) !NOT_EXACT(r, s, age) /* so that a reader's mishap is found, not P8 */
#else
#define GOES_ON(r, s, age) true
#endif

/* guard_take() of this generation of slot s, for the reader's unused lease l. */
inline take()
{
	PROPERTY(P8_ages_are_exact, !NOT_EXACT(_pid, s, age));
	if
	:: TAKEABLE(_pid, s, age) ->
		if
		:: COUNTED(_pid, s, age)
		:: else -> GUARD(_pid, s) =
				WORD(READER | STATE(GUARD(_pid, s)) & WAITED, AGE(GUARD(_pid, s)))
		fi;
		lease_slot[l] = s;
		lease_age[l] = age;
		valid[l] = true;
#ifdef LOSSLESS
		OWED(_pid, s) = false
#endif
	:: else -> /* overrun */
		PROPERTY(P6_the_newest_can_be_taken, !MUST_BE_THERE(_pid, s, age));
#ifdef LOSSLESS
		PROPERTY(P5_no_frame_is_lost,
			 !(linked[_pid] && !leaving[_pid] && age == NOW && OWED(_pid, s)))
#endif
	fi
}

/* Lease l is no more; a younger one moves up. */
inline forget()
{
	for (i : l .. LAST(_pid)) {
		lease_slot[i] = (i < LAST(_pid) -> lease_slot[i + 1] : NONE);
		lease_age[i] = (i < LAST(_pid) -> lease_age[i + 1] : NEVER);
		valid[i] = (i < LAST(_pid) -> valid[i + 1] : false);
		fooled[i] = (i < LAST(_pid) -> fooled[i + 1] : false)
	}
}

/* guard_release() of lease l, from slot s. */
inline give_back()
{
	PROPERTY(P8_ages_are_exact, !NOT_EXACT(_pid, s, lease_age[l]));
	if
	:: COUNTED_TWICE(_pid) -> /* not the last one: nothing to swap */
		PROPERTY(P1_no_reader_is_fooled, !fooled[l])
	:: !COUNTED_TWICE(_pid) && IS_MINE(_pid, s, lease_age[l]) ->
#ifdef LOSSLESS
		owes[_pid] = (STATE(GUARD(_pid, s)) & WAITED) != 0;
#endif
		GUARD(_pid, s) = WORD(FREE, lease_age[l]);
		PROPERTY(P1_no_reader_is_fooled, !fooled[l]);
		PROPERTY(P2_ESTALE_for_the_revoked_only, valid[l])
	:: else ->
#ifdef BROKEN_RELEASE_BY_EXCHANGE /* it learns that it was revoked, and has undone the revocation */
		GUARD(_pid, s) = WORD(FREE, lease_age[l]);
#endif
		PROPERTY(P2_ESTALE_for_the_revoked_only, !valid[l])
	fi;
	forget()
}

#define SEES_SOMETHING_ELSE(l)                                                                     \
	(valid[l] && !fooled[l] &&                                                                 \
	 (upper[lease_slot[l]] != lease_age[l] || lower[lease_slot[l]] != lease_age[l] ||          \
	  descriptor[lease_slot[l]] != lease_age[l]))

/* What a slot's word in a guard is when the guard is linked. */
#ifdef BROKEN_LINK_ALL_FREE /* even what is being written */
#define START(s) FREE
#else
#define START(s) (stage[s] == HOME -> FREE : WRITER)
#endif

/* What a guard holds before it is linked: nothing that can be taken. */
#ifdef BROKEN_FILL_BEFORE_LINK /* a lease in a guard that the daemon does not ask yet */
#define NEW_WORD(s) WORD(START(s), NOW)
#else
#define NEW_WORD(s) WORD(FREE, NEVER)
#endif

#ifndef LOSSLESS

#define TAKE_MATTERS(r, s, age)                                                                    \
	(lease_slot[LAST(r)] == NONE && !HAS_ALREADY(r, s, age) && ((age) != NOW || shown[s]) &&   \
	 GOES_ON(r, s, age) &&                                                                     \
	 (TAKEABLE(r, s, age) || NOT_EXACT(r, s, age) || MUST_BE_THERE(r, s, age)))
#define TRY(slot, generation)                                                                      \
	atomic {                                                                                   \
		TAKE_MATTERS(_pid, slot, generation) ->                                            \
		s = slot;                                                                          \
		age = generation;                                                                  \
		l = UNUSED(_pid);                                                                  \
		d_step { take() }                                                                  \
		s = 0;                                                                             \
		age = 0;                                                                           \
		l = 0                                                                              \
	}

active [NR] proctype reader() /* lossy */
{
	byte s, age, l;

	do
	/* a frame from recent[], or from a FRAME that it read long ago */
	:: TRY(0, NOW)
	:: TRY(0, NOW + 1)
	:: TRY(1, NOW)
	:: TRY(1, NOW + 1)
#if NS > 2
	:: TRY(2, NOW)
	:: TRY(2, NOW + 1)
#endif
#if NS > 3
	:: TRY(3, NOW)
	:: TRY(3, NOW + 1)
#endif
	:: SEES_SOMETHING_ELSE(FIRST(_pid)) -> fooled[FIRST(_pid)] = true
	:: SEES_SOMETHING_ELSE(LAST(_pid)) -> fooled[LAST(_pid)] = true
	:: atomic {
		lease_slot[FIRST(_pid)] != NONE &&
			GOES_ON(_pid, lease_slot[FIRST(_pid)], lease_age[FIRST(_pid)]) ->
		choose(l, FIRST(_pid), YOUNGEST(_pid));
		s = lease_slot[l];
		d_step { give_back() }
		s = 0;
		l = 0
	   }
#ifdef ATTACH
	:: d_step { /* maps a new guard, sends READY */
		!linked[_pid] && !ready[_pid] && lease_slot[FIRST(_pid)] == NONE ->
		for (i : 0 .. NS - 1) {
			GUARD(_pid, i) = NEW_WORD(i)
		}
		ready[_pid] = true
	   }
#endif
#ifdef STOP
	:: break /* with whatever it holds */
#endif
	od;
end_stopped:
	false
}

#else

#if NR != 2
#error "written for two lossless readers"
#endif
#if NS > 3 || LENDS > 1
#error "and for a source that has one slot of at most three"
#endif
/* Entries that nobody will look at any more are alike: this only saves states. */
inline forget_recent()
{
	for (i : 0 .. NS - 1) {
		recent_slot[i] = (behind[0] > i || behind[1] > i -> recent_slot[i] : NONE);
		recent_age[i] = (behind[0] > i || behind[1] > i -> recent_age[i] : NEVER)
	}
	i = 0
}

#define ALIVE(r) (!dead[r] && !owes[r] && (linked[r] || ready[r]))

#ifdef ONE_STAYS
#define MAY_DIE(r) ((r) == 0)
#else
#define MAY_DIE(r) true
#endif

#ifdef KEEP_REFERENCE /* and reader 1 has one at a time */
#define MAY_TAKE(r) (lease_slot[(r == 0 -> LAST(r) : FIRST(r))] == NONE)
#else
#define MAY_TAKE(r) (lease_slot[LAST(r)] == NONE)
#endif
#if defined(KEEP_LAST)
#define MAY_GIVE_BACK(r) (lease_slot[LAST(r)] != NONE)
#elif defined(KEEP_REFERENCE)
#define MAY_GIVE_BACK(r) (lease_slot[(r == 0 -> LAST(r) : FIRST(r))] != NONE)
#else
#define MAY_GIVE_BACK(r) (lease_slot[FIRST(r)] != NONE)
#endif

active [NR] proctype reader() /* lossless */
{
	byte s, age, l;

end:	do
#ifdef ATTACH
	:: d_step { /* maps a new guard, notes how far recent[] is, and only then sends READY */
		!linked[_pid] && !ready[_pid] ->
		for (i : 0 .. NS - 1) {
			GUARD(_pid, i) = NEW_WORD(i)
		}
		behind[_pid] = 0;
		awake[_pid] = true;
		ready[_pid] = true
	   }
#endif
	:: atomic { /* the next frame in recent[] */
		ALIVE(_pid) && awake[_pid] && behind[_pid] > 0 && MAY_TAKE(_pid) ->
		behind[_pid]--;
		s = recent_slot[behind[_pid]];
		age = recent_age[behind[_pid]];
		l = UNUSED(_pid);
		d_step { take(); forget_recent() }
		s = 0;
		age = 0;
		l = 0
	   }
	:: d_step { ALIVE(_pid) && awake[_pid] && behind[_pid] == 0 -> awake[_pid] = false }
	:: d_step {
		ALIVE(_pid) && !awake[_pid] && bell[_pid] ->
		bell[_pid] = false;
		awake[_pid] = true
	   }
	:: d_step { ALIVE(_pid) && SEES_SOMETHING_ELSE(FIRST(_pid)) -> fooled[FIRST(_pid)] = true }
	:: d_step { ALIVE(_pid) && SEES_SOMETHING_ELSE(LAST(_pid)) -> fooled[LAST(_pid)] = true }
	:: atomic {
		ALIVE(_pid) && MAY_GIVE_BACK(_pid) ->
#ifdef KEEP_LAST
		l = FIRST(_pid);
#else
		choose(l, FIRST(_pid), YOUNGEST(_pid));
#endif
		s = lease_slot[l];
		d_step { give_back() }
		s = 0;
		l = 0
	   }
	:: d_step { /* sends RELEASED */
		owes[_pid] ->
		owes[_pid] = false;
		wake = true;
#ifdef BROKEN_COUNT_RELEASED
		messages++
#endif
	   }
#ifdef ATTACH
	   /* Killed. Not in its sleep: that would be a way out of every deadlock. To the daemon it
	    * is the same, for the hang-up may come long after. */
	:: d_step {
		MAY_DIE(_pid) && linked[_pid] && !dead[_pid] && (awake[_pid] || owes[_pid]) ->
		dead[_pid] = true;
		owes[_pid] = false
	   }
#endif
#ifdef BROKEN_START_AFTER_LINK /* notes how far recent[] is when it hears that it is linked */
	:: d_step { linked[_pid] && !placed[_pid] -> placed[_pid] = true; behind[_pid] = 0 }
#endif
	od
}

#endif

#ifdef COPIER
/* Reads the descriptor's generation, copies both halves at any time, reads the generation again. */
active proctype copier()
{
	byte s;

	do
	:: atomic {
		copy_slot == NONE ->
		choose(s, 0, NS - 1);
		if
		:: descriptor[s] != NEVER -> copy_slot = s; copy_age = descriptor[s]
		:: else
		fi;
		s = 0
	   }
	:: d_step {
		copy_slot != NONE && !copy_bad &&
			(upper[copy_slot] != copy_age || lower[copy_slot] != copy_age) ->
		copy_bad = true
	   }
	:: d_step {
		copy_slot != NONE ->
		PROPERTY(P7_accepted_copies_are_whole,
			 !(SAME(descriptor[copy_slot], copy_age) && copy_bad));
		copy_slot = NONE;
		copy_age = NEVER;
		copy_bad = false
	   }
	:: break
	od;
end_stopped:
	false
}
#endif

/* ---- daemon ---------------------------------------------------------------------------------- */

/* guard_revoke() in guard r. In one that is dropped the generation does not matter: OLD. */
inline revoke_word(generation)
{
	GUARD(r, s) = WORD(WRITER, generation);
	for (i : FIRST(r) .. LAST(r)) {
		if
		:: lease_slot[i] == s -> valid[i] = false; fooled[i] = false
		:: else
		fi
	}
}

#ifdef ATTACH

#ifdef LOSSLESS
#define MAY_DROP(r) dead[r]
#else
#define MAY_DROP(r) true
#endif
#ifdef BROKEN_LINK_WITHOUT_LOCK /* capture walks through the guards meanwhile */
#define LOCK_TO_LINK   ready[r]
#define UNLOCK_TO_LINK skip
#else
#define LOCK_TO_LINK   ready[r] && !busy -> busy = true
#define UNLOCK_TO_LINK busy = false
#endif

/* The server thread's work for reader r. One process for each; the lock makes them one. */
active [NR] proctype server()
{
	byte s, r = _pid - NR;

end:	do
	:: d_step { LOCK_TO_LINK }
	   d_step {
		for (i : 0 .. NS - 1) {
			GUARD(r, i) = WORD(START(i), NOW)
		}
	   }
	   d_step { linked[r] = true; ready[r] = false; UNLOCK_TO_LINK }
	:: d_step { linked[r] && MAY_DROP(r) && !busy -> busy = true; leaving[r] = true }
#ifndef BROKEN_DROP_WITHOUT_REVOKE /* the hung-up client is still running, and reading */
	   do
	   :: atomic { s < NS -> revoke_word(OLD); s++ }
	   :: s == NS -> break
	   od;
	   s = 0;
#endif
	   d_step {
		linked[r] = false;
		busy = false;
#ifdef LOSSLESS /* what the dead client had goes with it */
		for (i : FIRST(r) .. LAST(r)) {
			lease_slot[i] = NONE;
			lease_age[i] = NEVER;
			fooled[i] = false
		}
		for (i : 0 .. NS - 1) {
			OWED(r, i) = false
		}
		dead[r] = false;
		awake[r] = false;
		bell[r] = false;
		behind[r] = 0;
#ifdef BROKEN_START_AFTER_LINK
		placed[r] = false;
#endif
		forget_recent();
#ifdef BROKEN_COUNT_RELEASED
		messages++; /* counts for one, whatever the client had */
#endif
#ifndef BROKEN_HANG_UP_WAKES_NOBODY
		wake = true; /* a hang-up is a reason to look at all words again */
#endif
#endif
		leaving[r] = false
	   }
	od
}

#endif

#ifdef LOSSLESS
#define TRIED(s) (tried & (1 << (s)))
#else
#define TRIED(s) false
#endif
#ifdef BROKEN_LOCK_NEWEST /* readers of camtap_latest() come away empty-handed */
#define MAY_LOCK(s) (stage[s] == HOME && !TRIED(s))
#else
#define MAY_LOCK(s) (stage[s] == HOME && !TRIED(s) && (s) != newest)
#endif
#if NS == 2
#define SOME_SLOT (MAY_LOCK(0) || MAY_LOCK(1))
#elif NS == 3
#define SOME_SLOT (MAY_LOCK(0) || MAY_LOCK(1) || MAY_LOCK(2))
#else
#define SOME_SLOT (MAY_LOCK(0) || MAY_LOCK(1) || MAY_LOCK(2) || MAY_LOCK(3))
#endif

inline pick_slot()
{
	if
	:: MAY_LOCK(0) -> s = 0
	:: MAY_LOCK(1) -> s = 1
#if NS > 2
	:: MAY_LOCK(2) -> s = 2
#endif
#if NS > 3
	:: MAY_LOCK(3) -> s = 3
#endif
	fi
}

inline pick_lent()
{
	if
	:: stage[0] != HOME -> s = 0
	:: stage[1] != HOME -> s = 1
#if NS > 2
	:: stage[2] != HOME -> s = 2
#endif
#if NS > 3
	:: stage[3] != HOME -> s = 3
#endif
	fi
}

#ifdef BROKEN_OVERWRITE_OFFERED /* an offer that nobody has taken yet is no hold */
#define IS_LOCKABLE(r, s) (GUARD(r, s) == WORD(FREE, NOW) || (STATE(GUARD(r, s)) & 3) == OFFERED)
#else
#define IS_LOCKABLE(r, s) (GUARD(r, s) == WORD(FREE, NOW))
#endif
#ifdef LOSSLESS
#define IS_OWED(r, s) OWED(r, s)
#define ALL_TAKEN(r)  (!OWED(r, 0) && !OWED(r, 1) && !OWED(r, NS - 1))
#define NOBODY_IS_OWED (ALL_TAKEN(0) && ALL_TAKEN(1))
#else
#define IS_OWED(r, s) false
#endif

#if defined(BROKEN_WAIT_FOR_ONE_WORD) /* of one slot, and not in each slot that would do */
#define SET_WAITED GUARD(r, s) = GUARD(r, s) | (waiting -> 0 : WAITED); waiting = true
#define CALM_DOWN  waiting = false
#elif defined(BROKEN_COUNT_RELEASED) /* waits until as many have come as it has asked for */
#define SET_WAITED                                                                                 \
	waits = waits + !(STATE(GUARD(r, s)) & WAITED);                                            \
	GUARD(r, s) = GUARD(r, s) | WAITED
#else
#define SET_WAITED GUARD(r, s) = GUARD(r, s) | WAITED
#define CALM_DOWN  skip
#endif

/*
 * guard_lock() in guard r, and in a lossless stream guard_wait() if it refuses. The two are one
 * step here: if the word has become free in between, guard_wait() says so and the daemon looks
 * again, as if it had come later.
 */
inline lock_word()
{
	if
	:: !linked[r] -> r++
	:: linked[r] && IS_LOCKABLE(r, s) ->
		PROPERTY(P5_no_frame_is_lost, !IS_OWED(r, s));
		GUARD(r, s) = WORD(WRITER, NOW);
		r++
	:: else ->
		PROPERTY(P4_no_slot_is_stuck, HAS(r, s) || IS_OWED(r, s));
		refused = true;
#ifdef LOSSLESS
		SET_WAITED
#endif
	fi
}

/* Locks slot s in all guards, or in none: then it sets `refused`. */
inline lock_for_writing()
{
	do
#ifdef BROKEN_LOCK_BY_STORE /* looks, and then stores instead of swapping */
	:: r < NR && !refused ->
		if
		:: !linked[r] || IS_LOCKABLE(r, s) ->
			d_step {
				if
				:: linked[r] -> GUARD(r, s) = WORD(WRITER, NOW)
				:: else
				fi;
				r++
			}
		:: else -> refused = true
		fi
#else
	:: atomic { r < NR && !refused -> lock_word() }
#endif
	:: r == NR && !refused -> break
	:: refused -> break
#ifndef LOSSLESS
	:: !refused -> refused = true /* hostile: a guard that we know nothing of refuses */
#endif
	od;
	do
	:: atomic {
		refused && r > 0 ->
		r--;
		if
		:: linked[r] -> GUARD(r, s) = WORD(FREE, NOW)
		:: else
		fi
	   }
	:: !refused || r == 0 -> break
	od;
	r = 0
}

inline revoke()
{
	do
	:: atomic {
		r < NR ->
#ifdef BROKEN_WAIT_FOR_READER /* until it gives the slot back by itself */
		(!linked[r] || IS_LOCKABLE(r, s)) ->
#endif
		if
		:: linked[r] -> revoke_word(NOW)
		:: else
		fi;
		r++
	   }
	:: r == NR -> break
	od;
	r = 0
}

/* Before the source writes. */
inline check_write()
{
	for (i : 0 .. NR - 1) {
		PROPERTY(P3_no_write_under_a_lease, !(linked[i] && HAS(i, s)))
	}
}

/* Stores recent[] and newest. */
inline make_newest()
{
	d_step {
#ifdef LOSSLESS
		for (i : 1 .. NS - 1) {
			recent_slot[NS - i] = recent_slot[NS - i - 1];
			recent_age[NS - i] = recent_age[NS - i - 1]
		}
		for (i : 0 .. NR - 1) {
			behind[i] = behind[i] + ((linked[i] || ready[i]) && behind[i] < NS)
		}
		recent_slot[0] = s;
		recent_age[0] = NOW;
		forget_recent();
#endif
		newest = s;
		shown[s] = true
	}
}

#ifdef LOSSLESS
/* A full queue swallows it; then the reader has something to wake up for anyway. */
inline announce()
{
	d_step {
		for (i : 0 .. NR - 1) {
			bell[i] = bell[i] || linked[i]
		}
		untold = false
	}
}
#ifdef BROKEN_WAIT_BEFORE_ANNOUNCE /* the source's next slot first, however long that takes */
#define ANNOUNCE_NOW (lends == 1)
#else
#define ANNOUNCE_NOW true
#endif

/* For any message or hang-up: what it says does not matter, the words do. */
inline wait()
{
#ifdef BROKEN_COUNT_RELEASED
	d_step { messages >= waits -> messages = 0; waits = 0 }
#else
	d_step { wake -> wake = false; CALM_DOWN }
#endif
}
#endif

#define UNDO	1
#define DISCARD 2
#define PUBLISH 3

/* guard_undo(), guard_discard(), guard_publish() in guard r. */
inline hand_word()
{
	if
	:: !linked[r]
#ifdef LOSSLESS
	:: linked[r] && how == PUBLISH -> GUARD(r, s) = WORD(OFFERED, NOW); OWED(r, s) = true
	:: linked[r] && how != PUBLISH -> GUARD(r, s) = WORD(FREE, NOW)
#else
	:: linked[r] -> GUARD(r, s) = WORD(FREE, NOW)
#endif
	fi
}

/* A copier must see that a slot is about to be written. */
#ifdef BROKEN_DESCRIPTOR_STAYS_VALID
#define INVALIDATE(s) skip
#else
#define INVALIDATE(s) descriptor[s] = NEVER
#endif

#ifdef BROKEN_REVOKE_BY_STORE /* the first write of the picture overtakes it */
#define BEFORE_REVOKING upper[s] = NEXT
#define AFTER_REVOKING	stage[s] = (upper[s] == NEXT -> HALF : stage[s])
#else
#define BEFORE_REVOKING skip
#define AFTER_REVOKING	skip
#endif

active proctype capture()
{
	byte s, r, how;
	bool refused;
#ifdef LOSSLESS
	byte tried;
	bool untold;
#ifdef BROKEN_WAIT_FOR_ONE_WORD
	bool waiting;
#endif
#endif

next:	do
#ifndef LOSSLESS
	:: atomic { lends < LENDS && !busy && SOME_SLOT -> busy = true; pick_slot() };
	   if
#ifndef BROKEN_WAIT_FOR_READER
	   :: lock_for_writing()
#endif
	   :: BEFORE_REVOKING;
	      revoke()
	   fi;
	   d_step {
		if
		:: !refused -> stage[s] = LOCKED; lends++
		:: else
		fi;
		AFTER_REVOKING;
		busy = false;
		refused = false;
		s = 0
	   }
#else
	:: atomic { lends == 0 && !busy -> busy = true };
	   do
	   :: atomic { lends == 0 && SOME_SLOT -> pick_slot() };
	      lock_for_writing();
	      d_step {
		if
		:: !refused -> stage[s] = LOCKED; lends++
		:: else -> tried = tried | (1 << s)
		fi;
		refused = false;
		s = 0
	      }
	   :: lends == 1 || !SOME_SLOT -> break
	   od;
	   tried = 0;
	   busy = false;
	   /* First the source's next slot, then the announcement; but that before any wait. */
	   if
	   :: untold && ANNOUNCE_NOW -> announce()
	   :: !(untold && ANNOUNCE_NOW)
	   fi;
	   if
	   :: lends == 0 -> wait()
	   :: lends == 1
	   fi
	:: atomic { lends == 0 -> break } /* the recording ends */
#endif
	:: atomic {
		lends > 0 ->
		pick_lent();
		if
		:: stage[s] == LOCKED -> how = UNDO
		:: stage[s] == LOCKED ->
			INVALIDATE(s);
			stage[s] = LENT;
			s = 0;
			goto next
		:: stage[s] == LENT ->
			d_step { check_write(); upper[s] = NEXT; stage[s] = HALF };
			s = 0;
			goto next
		:: stage[s] == HALF ->
			d_step { check_write(); lower[s] = NEXT; stage[s] = FULL };
			s = 0;
			goto next
		:: stage[s] == FULL -> how = PUBLISH
		:: stage[s] > LOCKED -> how = DISCARD
#ifdef BROKEN_UNDO_AFTER_WRITE /* the old generation comes back, its picture does not */
		:: stage[s] > LOCKED -> how = UNDO; descriptor[s] = NOW
#endif
		fi;
		!busy -> busy = true; /* where this has to wait, others have their turn */
		if
		:: how == PUBLISH -> descriptor[s] = NEXT
		:: how != PUBLISH
		fi;
		if
		:: how == UNDO
		:: how == PUBLISH -> d_step { next_generation() }
		:: how == DISCARD -> d_step { next_generation(); upper[s] = OLD; lower[s] = OLD }
		fi
	   };
#ifdef BROKEN_NEWEST_BEFORE_GUARDS /* a reader finds it while its word still says WRITER */
	   if
	   :: how == PUBLISH -> make_newest()
	   :: how != PUBLISH
	   fi;
#endif
	   do
	   :: atomic { r < NR -> hand_word(); r++ }
	   :: r == NR -> break
	   od;
	   r = 0;
	   d_step { stage[s] = HOME; lends--; busy = false };
	   if
	   :: how == PUBLISH ->
#if defined(LOSSLESS) && defined(BROKEN_ANNOUNCE_BEFORE_NEWEST) /* who wakes up now sees nothing */
		announce();
		make_newest()
#else
		make_newest();
#ifdef LOSSLESS
		untold = true
#endif
#endif
	   :: how != PUBLISH
	   fi;
	   s = 0;
	   how = 0
	od;
#ifdef LOSSLESS
	if
	:: untold -> announce()
	:: !untold
	fi;
	NOBODY_IS_OWED;
end_of_recording:
	false
#endif
}
