/* SPDX-License-Identifier: MIT */
#include "device-watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Watches the folders of an absolute path, from below "/" down to the last that there is. */
static void watch_folders(int fd, const char *path)
{
	char folder[PATH_MAX];

	if (path[0] != '/' || strlen(path) >= sizeof folder)
		return;
	strcpy(folder, path);
	for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (inotify_add_watch(
			    fd, folder, IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR) < 0)
			return;
		*slash = '/';
	}
}

static void forget_events(int fd)
{
	_Alignas(struct inotify_event) char events[4096];

	while (read(fd, events, sizeof events) > 0)
		;
}

void device_watch_begin(struct device_watch *watch, const char *path)
{
	char target[PATH_MAX];

	if (watch->fd < 0)
		watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd < 0)
		return;
	forget_events(watch->fd);
	watch_folders(watch->fd, path);
	if (realpath(path, target) != NULL)
		watch_folders(watch->fd, target);
}

void device_watch_end(struct device_watch *watch)
{
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}
