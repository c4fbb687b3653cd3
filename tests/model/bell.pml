/* SPDX-License-Identifier: MIT */
/*
 * The bell of proto/bell-word.h, as a model for Spin. `tests/model/run` checks each configuration
 * below completely, and that each broken variant is caught.
 *
 * WHAT IS MODELLED
 *
 * One word of a bell, and one reader of it:
 *
 *	announce(), bell_ring()     capture: the capture thread
 *	client_send(), bell_tell()  server: the server thread
 *	close_bell()                server, with CLOSE
 *	bell_wait(), wake_wait()    reader: camtap_next(), for ever
 *
 * The others that share the word need no process: they write nothing that this reader sees. They
 * are the rings that it did not ask for, and the messages that are not for it: the branches
 * "others".
 *
 * A process touches shared memory one word per step. Spin's memory is sequentially consistent, so
 * the two stores that the fences are for go through a buffer of one entry: `newest` and `listens`
 * become visible to the other side some time later ("memory"). A fence waits until the buffer is
 * empty, and so does what is a release or a system call.
 *
 * PROPERTY
 *
 * The reader may end in its sleep only when the daemon has nothing more to say and it has seen the
 * newest frame and read its messages. So "invalid end state" in Spin's message is a reader that
 * sleeps, on the word or on its socket, with something unseen.
 *
 * It must not be saved by its patience (BELL_PATIENCE_NS). That may run out whenever it sleeps, but
 * only TIMEOUTS times in a run, or less: where it is needed, there is a run in which none is left.
 * Where the design does need it, the reader is granted more: once after the bell was closed (CLOSE),
 * twice after the daemon was killed (KILL), and once for each sleep out of which it was not woken
 * because it had been moved to another word (MOVED).
 *
 * WHAT IS ABSTRACTED AWAY, AND WHY THAT IS SOUND
 *
 * Counters that are only compared with what they were are kept as "it is another one now": rung
 * with `seen`, told with what it was at the last look at the socket, newest with the cursor. So runs
 * are of any length; the daemon falls silent whenever it likes. A counter that wraps between two
 * looks, 2^32 rings, is not here.
 *
 * The socket holds a FRAME or not, a message or not, and never runs over: a queue that is full
 * holds one already, and what is owed comes later as one more message. Reading empties it. The
 * reader looks at the frames less often than the real one, and has all it sees at once. Whether it
 * was quiet after a sleep on the socket is anybody's guess, as is when it has been woken in vain too
 * often (UNHEARD_MAX). Linking in, deadlines and events are
 * not here. FUTEX_WAIT compares and goes to sleep in one step: that is what it promises.
 *
 * SETTINGS
 *
 *	TIMEOUTS		0, 1 or more
 *	CLOSE, KILL, MOVED	see above
 *	BROKEN_...		a mistake that must be caught, explained where it is made
 */

#ifndef TIMEOUTS
#define TIMEOUTS 2
#endif

/* enum bell_listens */
#define MESSAGES 0
#define LISTENS	 1
#define BUSY	 2

/* Shared memory. */
bool newest_is_new; /* newest >= cursor */
bool rung_is_new;   /* rung != seen */
bool told_is_new;   /* told != what it was */
bool closed;
byte listens;

/* The store buffers. `says` is what the reader itself sees of `listens`. */
bool newest_waits, listens_waits;
byte says;
#define DAEMON_FENCE !newest_waits
#define READER_FENCE !listens_waits
#define RELEASE	     !newest_waits /* in the daemon */

/* The kernel. */
bool asleep;		     /* in FUTEX_WAIT */
bool has_frame, has_message; /* the socket */
bool killed;		     /* and hung up */

/* The daemon's private state. */
bool is_closed; /* closed_ns */
bool captured, served; /* that thread has nothing more to do */

/* Patience. */
byte timeouts = TIMEOUTS, granted;
bool moved;

#define SILENT (captured && served)
#define SEEN   (!newest_waits && !newest_is_new && !has_message)

#define LOOK                                                                                       \
	atomic {                                                                                   \
		if                                                                                 \
		:: newest_is_new -> newest_is_new = false; goto again                              \
		:: else                                                                            \
		fi                                                                                 \
	}

/* set_listens() without its fence; what it says already, it does not say again. */
#define SAY(what)                                                                                  \
	atomic {                                                                                   \
		if                                                                                 \
		:: says != what -> READER_FENCE -> says = what; listens_waits = true               \
		:: else                                                                            \
		fi                                                                                 \
	}

active proctype reader()
{
	bool given_up, quiet;

	/* current_bell() */
again:	if
	:: !closed && !given_up
	:: else -> goto socket
	fi;
#ifndef BROKEN_SEEN_AFTER_LOOK
	rung_is_new = false;
#endif
	/* It is behind, or does not wait: it comes again before it sleeps. */
	if
	:: SAY(BUSY); newest_is_new = false; goto maybe_read
	:: true
	fi;
	atomic {
		if
		:: told_is_new -> told_is_new = false; goto read_socket
		:: !told_is_new && quiet -> goto socket
		:: else
		fi
	}
#ifdef BROKEN_LOOK_BEFORE_LISTENING /* what is published now comes as a FRAME, unheard */
	LOOK;
#endif
#ifdef BROKEN_BUSY_ASLEEP /* it is left alone, and does not look */
	if
	:: says != BUSY -> SAY(LISTENS)
	:: else
	fi;
#else
	SAY(LISTENS);
#endif
#ifndef BROKEN_NO_FENCE_IN_READER
	READER_FENCE;
#endif
#ifndef BROKEN_LOOK_BEFORE_LISTENING
	LOOK;
#endif
#ifdef BROKEN_SEEN_AFTER_LOOK /* the ring for what came in between is one that it has heard */
	rung_is_new = false;
#endif
	atomic {
		if
#ifdef BROKEN_WAIT_WITHOUT_COMPARING
		:: asleep = true
#else
		:: rung_is_new -> goto again
		:: else -> asleep = true
#endif
		fi
	}
	if
	:: !asleep -> goto again
	:: atomic { asleep && timeouts > 0 -> timeouts--; asleep = false }
#if defined(CLOSE) || defined(KILL)
	:: atomic { asleep && granted > 0 -> granted--; asleep = false }
#endif
#if defined(CLOSE) && !defined(BROKEN_CLOSED_IN_SECRET) /* and until it is known */
	:: atomic { asleep && is_closed && !closed -> asleep = false }
#endif
#ifdef MOVED
	:: atomic { asleep && moved -> asleep = false }
#endif
	:: asleep && SILENT && SEEN -> goto over
	fi;
	atomic {
		moved = false;
		if
		:: rung_is_new -> goto again
		:: rung_is_new -> given_up = true; goto again
		:: else -> quiet = true
		fi
	}
socket:	SAY(MESSAGES);
#ifndef BROKEN_NO_FENCE_BEFORE_SOCKET
	READER_FENCE;
#endif
	LOOK;
	if
	:: atomic {
		has_frame || has_message ->
		has_frame = false;
		has_message = false;
		if
		:: killed -> goto over
		:: !killed -> quiet = true
		:: !killed -> quiet = false
		fi;
		goto again
	   }
	:: killed -> goto over
	:: SILENT && SEEN -> goto over
	fi;
maybe_read:
	atomic {
		if
		:: told_is_new -> told_is_new = false
		:: else -> goto again
		fi
	}
	/* What told is for. */
read_socket:
	atomic {
		has_frame = false;
		has_message = false;
		if
		:: killed -> goto over
		:: else -> goto again
		fi
	};
over:	skip
}

/* The stores become visible, and patience is lost that nobody needed. */
active proctype memory()
{
end:	do
	:: d_step { newest_waits -> newest_waits = false; newest_is_new = true }
	:: d_step { listens_waits -> listens_waits = false; listens = says }
	:: d_step { timeouts > 0 -> timeouts-- }
	od
}

/* ---- daemon ---------------------------------------------------------------------------------- */

#define PUBLISH d_step { RELEASE -> newest_waits = true }
#define RING	d_step { RELEASE -> rung_is_new = true }

/* FUTEX_WAKE */
inline wake()
{
	atomic {
		if
		:: asleep -> asleep = false
#ifdef MOVED
		:: asleep -> moved = true
#endif
		:: else
		fi
	}
}

active proctype capture()
{
	bool rings, tells;

	{
	do
	:: true ->
#ifndef BROKEN_RUNG_BEFORE_NEWEST
		PUBLISH;
#endif
#ifndef BROKEN_NO_FENCE_IN_DAEMON
		DAEMON_FENCE;
#endif
		atomic {
			rings = listens == LISTENS && !is_closed;
			tells = listens == MESSAGES || is_closed;
			if
			:: !is_closed /* this one listens, or others do */
			:: !rings -> goto no_ring
			fi
		}
		RING;
#ifndef BROKEN_WITHOUT_WAKE
		wake();
#endif
no_ring:
		skip;
#ifdef BROKEN_RUNG_BEFORE_NEWEST /* who wakes up now sees nothing */
		PUBLISH;
#endif
		d_step { RELEASE -> has_frame = has_frame || tells; rings = false; tells = false }
	:: break
	od;
	captured = true
	} unless { killed }
}

active proctype server()
{
	{
	do
	:: true ->
#ifdef BROKEN_TOLD_BEFORE_SENT /* it looks at the socket too early, and not again */
		told_is_new = true;
#endif
		if
		:: has_message = true
		:: true /* it is for others */
		fi;
#if !defined(BROKEN_TOLD_AFTER_RUNG) && !defined(BROKEN_TOLD_BEFORE_SENT)
		told_is_new = true;
#endif
		if
		:: !is_closed -> rung_is_new = true; wake()
		:: is_closed
		fi;
#ifdef BROKEN_TOLD_AFTER_RUNG /* it wakes up, and does not look at the socket */
		told_is_new = true
#endif
#ifdef CLOSE
	:: !is_closed ->
		is_closed = true;
#if defined(BROKEN_CLOSED_BEFORE_PATIENCE)
		closed = true;
#elif defined(BROKEN_CLOSED_IN_SECRET) /* it listens to what is not rung any more */
		granted = 1;
#else
		d_step { closed = true; granted = 1 };
#endif
		rung_is_new = true
#endif
	:: break
	od;
	served = true
	} unless { killed }
}

#ifdef KILL
active proctype killer()
{
#ifdef BROKEN_KILLED_BEFORE_PATIENCE
	killed = true
#else
	d_step { killed = true; granted = 2 }
#endif
}
#endif
