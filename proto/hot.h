/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_HOT_H
#define CAMTAP_PROTO_HOT_H

/* On the way of each frame. The linker puts these functions side by side: a program that sleeps
 * between frames finds none of them in the caches, and pays for each line and each page. (A third
 * less from being woken to having the frame, in the library; docs/performance.md.) */
#define HOT __attribute__((hot))

/* Bytes: what one __builtin_prefetch() fetches. */
#define CACHE_LINE 64

#endif
