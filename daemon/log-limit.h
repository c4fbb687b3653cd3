/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_LOG_LIMIT_H
#define CAMTAP_DAEMON_LOG_LIMIT_H

/*
 * How many lines of a kind are logged: LOG_LIMIT_BURST at once, then one every
 * LOG_LIMIT_INTERVAL_NS. What is beyond is counted. One thread. Zeroes are a new limit.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LOG_LIMIT_BURST       200
#define LOG_LIMIT_INTERVAL_NS INT64_C(6000000000)
#define LOG_LIMIT_USERS       32

struct log_limit {
	int64_t full_ns;   /* when the whole burst is there again, CLOCK_MONOTONIC */
	uint64_t left_out; /* lines */
};

/* May a line be logged now? */
bool log_limit_permits(struct log_limit *limit, int64_t now_ns);

/* Lines about clients, by their users. There are places for some users at a time; those beyond
 * share one (a user of containers has thousands of uids). */
struct log_user_limit {
	struct {
		uid_t uid;
		struct log_limit limit;
	} places[LOG_LIMIT_USERS + 1]; /* the last one is the shared one */
};

bool log_user_limit_permits(struct log_user_limit *users, uid_t uid, int64_t now_ns);

/* A user about whom lines were left out, and how many; they are told by this and forgotten. False
 * if there is none (left). `ret_shared`: it is several, and ret_uid means nothing. */
bool log_user_limit_take(
	struct log_user_limit *users, uid_t *ret_uid, bool *ret_shared, uint64_t *ret_lines);

#endif
