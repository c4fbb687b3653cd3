/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_POOL_DISPOSAL_H
#define CAMTAP_DAEMON_POOL_DISPOSAL_H

struct pinned;
struct pool;
struct reaper;

/* Gives a reference to a pool back (pool_ref(), pool_create()). With the last one the pool is
 * unmapped on the reaper's thread, because that waits for clients that map it, too, as long as they
 * like; from then on it counts as pinned, until nobody keeps it. Any thread; pools of a current
 * epoch have the stream's reference. */
void pool_unref(struct pool *pool, struct reaper *reaper, struct pinned *pinned);

#endif
