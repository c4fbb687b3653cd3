/* SPDX-License-Identifier: MIT */
#include "histogram.h"

void histogram_init(struct histogram *histogram)
{
	*histogram = (struct histogram){};
}

/* Values below 2^BITS have a bucket each; above, the upper BITS bits after the leading one choose.
 */
static unsigned find_bucket(uint64_t value)
{
	unsigned shift;

	if (value >> HISTOGRAM_BITS == 0)
		return (unsigned)value;
	shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
	return ((shift + 1) << HISTOGRAM_BITS) + (unsigned)(value >> shift) -
	       (1u << HISTOGRAM_BITS);
}

static uint64_t bucket_end(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_BITS;
	uint64_t mantissa = bucket & ((1u << HISTOGRAM_BITS) - 1);

	if (shift == 0)
		return mantissa;
	shift--;
	/* the next bucket's first value, less one; wraps to the largest value in the last bucket */
	return ((mantissa + (1u << HISTOGRAM_BITS) + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	histogram->buckets[find_bucket(value)]++;
	if (value > histogram->max)
		histogram->max = value;
}

uint64_t histogram_percentile(const struct histogram *histogram, unsigned percent)
{
	uint64_t seen = 0, wanted = histogram->count / 100 * percent +
				    (histogram->count % 100 * percent + 99) / 100;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen >= wanted) {
			uint64_t end = bucket_end(i);

			return end < histogram->max ? end : histogram->max;
		}
	}
	return 0;
}
