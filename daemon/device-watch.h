/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_DEVICE_WATCH_H
#define CAMTAP_DAEMON_DEVICE_WATCH_H

/*
 * Waits for a device that is away: inotify on the folders that its node and its links come back to.
 * (Not netlink, as udev has it: the service's sandbox has neither AF_NETLINK nor the host's
 * network.)
 *
 * The kernel makes a node, udev gives it to its group (an attribute changes) and then makes the
 * links; each is a reason to look again.
 */

#include <stdbool.h>

struct device_watch {
	int fd; /* readable: something has come or has changed; -1: not watching */
};

#define DEVICE_WATCH_NONE                                                                          \
	(struct device_watch)                                                                      \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Watches, from now on, every folder on the way to `path`, as far as they exist, and where a link
 * at `path` leads to. What happened until now is forgotten. To be called before looking whether the
 * device is there, and again whenever something has come: folders come and go, too. Failing does
 * not matter: whoever waits looks now and then in any case. */
void device_watch_begin(struct device_watch *watch, const char *path);
void device_watch_end(struct device_watch *watch);

#endif
