/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CLOCK_H
#define CAMTAP_DAEMON_CLOCK_H

/* Time is signed 64-bit nanoseconds of CLOCK_MONOTONIC, unless a name says otherwise. */

#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC  INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_USEC INT64_C(1000)

static inline int64_t clock_read(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static inline int64_t clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

#endif
