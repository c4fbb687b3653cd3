/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_HISTOGRAM_H
#define CAMTAP_CLI_HISTOGRAM_H

/*
 * Times of any number of events in fixed memory. A bucket is at most 1/128 of its values wide, so
 * that a percentile is at most 0.8 % too high; the largest value is exact.
 */

#include <stdint.h>

enum {
	HISTOGRAM_BITS = 7, /* steps per power of two: 1 << HISTOGRAM_BITS */
	HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS,
};

struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Empties it. */
void histogram_init(struct histogram *histogram);

void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value (to the bucket's end) that `percent` of the events do not exceed; 0 if there
 * are none. percent: 1 to 100. */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned percent);

#endif
