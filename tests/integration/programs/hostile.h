/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_HOSTILE_H
#define CAMTAP_TESTS_HOSTILE_H

/*
 * Attacks on the daemon, by name. Each prints "ready" on a line of its own when it is in force,
 * goes on for options->seconds (or until it has nothing left to do), prints what it saw as one JSON
 * object on the last line, and returns the exit status: 0, the attack ran as it was meant to,
 * whatever the daemon did; 1, the kernel or the daemon allowed what must be denied; 77, this
 * machine cannot run it. Whether the daemon stood is for the test to see.
 */

#include <stdbool.h>
#include <stdint.h>

enum hostile_status {
	HOSTILE_DONE = 0,
	HOSTILE_ALLOWED = 1,
	HOSTILE_SKIPPED = 77,
};

struct hostile_options {
	const char *socket;
	double seconds;
	unsigned count; /* how many of whatever the attack multiplies; 0: its own choice */
	int64_t deadline_ns;
};

/* Starts the clock of options->seconds and says "ready". */
void hostile_ready(struct hostile_options *options);
bool hostile_time_left(const struct hostile_options *options);
/* Sleeps until the time is over. */
void hostile_wait(const struct hostile_options *options);
/* Prints a line on standard error and ends with status 2: the attack itself is broken. */
_Noreturn void hostile_die(const char *what, int error);

/* hostile-guard.c */
int hostile_scribble(struct hostile_options *options);
int hostile_scribble_plausible(struct hostile_options *options);
int hostile_overhold(struct hostile_options *options);
int hostile_punch(struct hostile_options *options);
int hostile_punch_first(struct hostile_options *options);
int hostile_punch_idle(struct hostile_options *options);
int hostile_unsealed(struct hostile_options *options);
int hostile_busy_guard(struct hostile_options *options);

/* hostile-wake.c */
int hostile_epoll(struct hostile_options *options);
int hostile_epoll_crowd(struct hostile_options *options);
int hostile_epoll_observer(struct hostile_options *options);
int hostile_epoll_sender(struct hostile_options *options);
int hostile_busy_socket(struct hostile_options *options);
int hostile_bell_crowd(struct hostile_options *options);
int hostile_bell_requeue(struct hostile_options *options);
int hostile_bell_wake(struct hostile_options *options);
int hostile_bell_scribble(struct hostile_options *options);

/* hostile-wire.c */
int hostile_garbage(struct hostile_options *options);
int hostile_flood(struct hostile_options *options);
int hostile_hoard(struct hostile_options *options);
int hostile_linger(struct hostile_options *options);
int hostile_connect_flood(struct hostile_options *options);
int hostile_fork_hold(struct hostile_options *options);

/* hostile-fault.c: one page of memory whose first touch blocks the toucher until *ret_fd, a
 * userfaultfd, is closed, also in the kernel, for instance in the middle of a read(). NULL: not
 * allowed here. */
void *hostile_fault_page(int *ret_fd);
/* Waits until somebody is blocked by the page. */
void hostile_fault_wait(int fd);

#endif
