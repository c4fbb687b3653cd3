/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_HEADROOM_H
#define CAMTAP_DAEMON_HEADROOM_H

#include <stdint.h>

/* Is there memory for `size` more bytes: in the machine (MemAvailable of /proc/meminfo) and in
 * every control group that this process is in (memory.max minus memory.current, cgroup v2)?
 * Populating beyond a control group's limit ends in an OOM kill, so this is asked before. -ENOMEM,
 * or 0; what cannot be read (a sandbox may hide it) is taken for enough. Any thread. */
int headroom_check(uint64_t size);

#endif
