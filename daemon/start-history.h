/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_START_HISTORY_H
#define CAMTAP_DAEMON_START_HISTORY_H

/*
 * How the runs before this one ended, so that a daemon that fails again and again does not spin.
 *
 * The service manager restarts it at once (RestartSec=0), because readers wait. Its own limit
 * (StartLimitBurst=) would give up for good, and take the socket down, too. So the daemon itself
 * holds back: a file in $RUNTIME_DIRECTORY, which is kept between runs, counts those in a row that
 * were not good, and the next one waits before it begins. What a crash leaves behind, too, is the
 * mark that a run makes when it begins, and takes away when it has proved good.
 *
 * Without $RUNTIME_DIRECTORY (no service) nothing is counted and nobody waits.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum start_failure {
	START_FAILURE_RUN,           /* it crashed, was killed, or ended with an error */
	START_FAILURE_CONFIGURATION, /* options or configuration are wrong */
};

struct start_history {
	char path[PATH_MAX]; /* empty: no service */
	uint32_t failures;   /* in a row, before this run */
};

/* Begins a run, which counts as a failure of that kind until start_history_forget(). Failures of
 * another kind than this one do not count any more: whoever has mended the configuration does not
 * wait. Never fails: what cannot be read is no failure, and what cannot be written is logged. */
void start_history_begin(struct start_history *ret_history, enum start_failure kind);

/* How long this run has to wait, in ns: 0 after no or one failure, then 100 ms, twice as long each
 * time, up to 10 s. */
int64_t start_history_pause(const struct start_history *history);
/* Waits so long, and says so. False: it was told to stop meanwhile (SIGTERM, SIGINT). Before there
 * is a second thread. */
bool start_history_wait(struct start_history *history);

/* This run is good: the next one is a first one. */
void start_history_forget(struct start_history *history);

#endif
