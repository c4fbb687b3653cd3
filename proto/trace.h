/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_TRACE_H
#define CAMTAP_PROTO_TRACE_H

/*
 * Tracepoints: the steps of a frame's way, for perf, bpftrace and gdb (USDT, provider "camtap").
 * docs/tracing.md is for those who look; scripts/frame-times draws it up.
 *
 * A tracepoint is a nop and a note in the file that says where its arguments are: in registers or
 * in memory. So arguments are what the caller has at hand, and cost a move where the compiler has
 * to put them somewhere; nothing is worked out for a tracepoint, and no clock is read. Times are in
 * ns of CLOCK_MONOTONIC, unless said otherwise. Without <sys/sdt.h> (Meson's option `tracing`)
 * there is nothing at all.
 *
 * What tracepoints tell was checked no further than the code around them does; they decide nothing.
 * Any thread.
 */

#include <stdint.h>

#ifdef CAMTAP_TRACING
#include <sys/sdt.h>
#else
#define DTRACE_PROBE2(provider, name, a1, a2)     ((void)(a1), (void)(a2))
#define DTRACE_PROBE3(provider, name, a1, a2, a3) ((void)(a1), (void)(a2), (void)(a3))
#define DTRACE_PROBE4(provider, name, a1, a2, a3, a4)                                              \
	((void)(a1), (void)(a2), (void)(a3), (void)(a4))
#define DTRACE_PROBE5(provider, name, a1, a2, a3, a4, a5)                                          \
	((void)(a1), (void)(a2), (void)(a3), (void)(a4), (void)(a5))
#endif

/* Functions rather than macros, so that an argument has the type that is documented. */
#define TRACE_FUNCTION static inline __attribute__((always_inline)) void

/* ---- daemon ---- */

/* The source has given a frame, which is in `slot`. `sequence` and `capture_time_ns` (in the
 * source's clock) are its own; `damage`: enum source_damage, 0 is a good frame. Capture thread. */
TRACE_FUNCTION trace_dequeue(
	uint32_t slot, uint32_t sequence, int64_t capture_time_ns, uint32_t damage)
{
	DTRACE_PROBE4(camtap, dequeue, slot, sequence, capture_time_ns, damage);
}

/* From now on readers can take the frame. Slot and generation name it within the pool. Under the
 * stream's lock; capture thread, or a converter. */
TRACE_FUNCTION trace_publish(uint64_t frame_id, uint32_t slot, uint64_t generation,
	int64_t publish_time_ns, uint64_t position)
{
	DTRACE_PROBE5(camtap, publish, frame_id, slot, generation, publish_time_ns, position);
}

/* The source has its next slots; `readers` are going to be woken for the frame at `position`. The
 * thread that published it. */
TRACE_FUNCTION trace_announce_begin(uint64_t position, uint32_t readers)
{
	DTRACE_PROBE2(camtap, announce_begin, position, readers);
}

/* They were, but for `missed`, who had no room for it or are left out (announce.h). */
TRACE_FUNCTION trace_announce_end(uint64_t position, uint32_t readers, uint64_t missed)
{
	DTRACE_PROBE3(camtap, announce_end, position, readers, missed);
}

/* A lease of the frame that was published at publish_time_ns is revoked; its reader's user is
 * `uid`. Once per lease, under the stream's lock; capture thread, or a converter. */
TRACE_FUNCTION trace_revoke(uint64_t frame_id, uint32_t slot, uint64_t generation,
	int64_t publish_time_ns, uint32_t uid)
{
	DTRACE_PROBE5(camtap, revoke, frame_id, slot, generation, publish_time_ns, uid);
}

/* ---- library ---- */

/* camtap_next() or camtap_latest() has a frame for the program. `frame` is the address that the
 * program gets, which names the lease in this process until it is released. */
TRACE_FUNCTION trace_acquire(uint64_t frame_id, uint32_t slot, uint64_t generation,
	int64_t publish_time_ns, const void *frame)
{
	DTRACE_PROBE5(camtap, acquire, frame_id, slot, generation, publish_time_ns, frame);
}

/* camtap_release() has given the frame back and is going to return `result`. */
TRACE_FUNCTION trace_release(
	uint64_t frame_id, uint32_t slot, uint64_t generation, int32_t result, const void *frame)
{
	DTRACE_PROBE5(camtap, release, frame_id, slot, generation, result, frame);
}

#endif
