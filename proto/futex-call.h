/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_FUTEX_CALL_H
#define CAMTAP_PROTO_FUTEX_CALL_H

#include "hot.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* futex(2), which libc has no function for: what it returns, or a negative errno. `operation` is
 * one that takes these arguments; the timeout is relative, NULL: none.
 *
 * Not through syscall() where we know how: that function, and the table with its address, lie in
 * pages that nothing else on a frame's way touches, and who has just slept finds none of them in
 * the TLB (docs/performance.md). The registers are those of syscall(2). */
HOT static inline long futex_call(
	const _Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
#if defined(__x86_64__) && defined(__LP64__)
	register const struct timespec *r10 __asm__("r10") = timeout;
	long result;

	__asm__ volatile(
		"syscall"
		: "=a"(result)
		: "a"((long)SYS_futex), "D"(word), "S"((long)operation), "d"((long)value), "r"(r10)
		: "rcx", "r11", "cc", "memory");
	return result;
#else
	long result = syscall(SYS_futex, word, operation, value, timeout, NULL, 0);

	return result < 0 ? -errno : result;
#endif
}

#endif
