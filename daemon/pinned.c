/* SPDX-License-Identifier: MIT */
#include "pinned.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* fcntl(2): a write lease is granted only on a file that nobody else has open; a mapping holds it
 * open. */
static bool held_elsewhere(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return true;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

static void forget(struct pinned *pinned, unsigned index)
{
	close(pinned->pools[index].fd);
	pinned->count--;
	memmove(&pinned->pools[index], &pinned->pools[index + 1],
		(pinned->count - index) * sizeof pinned->pools[0]);
}

static uint64_t sweep(struct pinned *pinned)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < pinned->count;) {
		if (held_elsewhere(pinned->pools[i].fd))
			bytes += pinned->pools[i++].size;
		else
			forget(pinned, i);
	}
	return bytes;
}

void pinned_init(struct pinned *pinned)
{
	memset(pinned, 0, sizeof *pinned);
	pthread_mutex_init(&pinned->lock, NULL);
}

void pinned_finish(struct pinned *pinned)
{
	while (pinned->count > 0)
		forget(pinned, 0);
	pthread_mutex_destroy(&pinned->lock);
}

void pinned_add(struct pinned *pinned, int fd, uint64_t size)
{
	pthread_mutex_lock(&pinned->lock);
	(void)sweep(pinned);
	if (pinned->count == PINNED_MAX) {
		size += pinned->pools[0].size;
		forget(pinned, 0);
	}
	pinned->pools[pinned->count].fd = fd;
	pinned->pools[pinned->count++].size = size;
	pthread_mutex_unlock(&pinned->lock);
}

uint64_t pinned_bytes(struct pinned *pinned)
{
	uint64_t bytes;

	pthread_mutex_lock(&pinned->lock);
	bytes = sweep(pinned);
	pthread_mutex_unlock(&pinned->lock);
	return bytes;
}
