/* SPDX-License-Identifier: MIT */
#include "pinned.h"

#include "slot-buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
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

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void forget(struct pinned *pinned, unsigned index)
{
	struct pinned_pool *pool = &pinned->pools[index];

	close_fd(&pool->fd);
	for (uint32_t i = 0; i < pool->buffer_count; i++) {
		for (uint32_t plane = 0; plane < pool->buffers[i].plane_count; plane++)
			close_fd(&pool->buffers[i].planes[plane].fd);
	}
	free(pool->buffers);
	pinned->count--;
	memmove(pool, pool + 1, (pinned->count - index) * sizeof *pool);
}

static uint64_t sweep_buffer(struct slot_buffer *buffer)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < buffer->plane_count; i++) {
		if (buffer->planes[i].fd < 0)
			continue;
		if (slot_buffer_held(buffer->planes[i].fd))
			bytes += buffer->planes[i].length;
		else
			close_fd(&buffer->planes[i].fd);
	}
	return bytes;
}

static uint64_t sweep_pool(struct pinned_pool *pool)
{
	uint64_t bytes = 0;

	if (pool->fd >= 0 && held_elsewhere(pool->fd))
		bytes += pool->size;
	else
		close_fd(&pool->fd);
	for (uint32_t i = 0; i < pool->buffer_count; i++)
		bytes += sweep_buffer(&pool->buffers[i]);
	return bytes;
}

static uint64_t sweep(struct pinned *pinned)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < pinned->count;) {
		uint64_t kept = sweep_pool(&pinned->pools[i]);

		bytes += kept;
		if (kept > 0)
			i++;
		else
			forget(pinned, i);
	}
	return bytes;
}

static uint32_t count_fds(const struct slot_buffer *buffers, uint32_t count)
{
	uint32_t fds = 0;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t plane = 0; plane < buffers[i].plane_count; plane++)
			fds += buffers[i].planes[plane].fd >= 0;
	}
	return fds;
}

static uint32_t fds_of_buffers(const struct pinned *pinned)
{
	uint32_t fds = 0;

	for (unsigned i = 0; i < pinned->count; i++)
		fds += count_fds(pinned->pools[i].buffers, pinned->pools[i].buffer_count);
	return fds;
}

void pinned_init(struct pinned *pinned, uint64_t limit)
{
	memset(pinned, 0, sizeof *pinned);
	pinned->limit = limit;
	pthread_mutex_init(&pinned->lock, NULL);
}

void pinned_finish(struct pinned *pinned)
{
	while (pinned->count > 0)
		forget(pinned, 0);
	pthread_mutex_destroy(&pinned->lock);
}

void pinned_add(struct pinned *pinned, int fd, uint64_t size, uint64_t reserved,
	struct slot_buffer *buffers, uint32_t buffer_count)
{
	pthread_mutex_lock(&pinned->lock);
	pinned->live -= reserved;
	(void)sweep(pinned);
	while (pinned->count == PINNED_MAX ||
		(pinned->count > 0 && fds_of_buffers(pinned) + count_fds(buffers, buffer_count) >
					      PINNED_FDS_MAX)) {
		size += sweep_pool(&pinned->pools[0]);
		forget(pinned, 0);
	}
	pinned->pools[pinned->count++] = (struct pinned_pool){
		.fd = fd, .size = size, .buffers = buffers, .buffer_count = buffer_count};
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

int pinned_reserve(struct pinned *pinned, uint64_t size)
{
	int r = 0;

	pthread_mutex_lock(&pinned->lock);
	if (sweep(pinned) + pinned->live + size > pinned->limit)
		r = -ENOMEM;
	else
		pinned->live += size;
	pthread_mutex_unlock(&pinned->lock);
	return r;
}

void pinned_unreserve(struct pinned *pinned, uint64_t size)
{
	pthread_mutex_lock(&pinned->lock);
	pinned->live -= size;
	pthread_mutex_unlock(&pinned->lock);
}

void pinned_set_limit(struct pinned *pinned, uint64_t limit)
{
	pthread_mutex_lock(&pinned->lock);
	pinned->limit = limit;
	pthread_mutex_unlock(&pinned->lock);
}

uint64_t pinned_limit(struct pinned *pinned)
{
	uint64_t limit;

	pthread_mutex_lock(&pinned->lock);
	limit = pinned->limit;
	pthread_mutex_unlock(&pinned->lock);
	return limit;
}

uint64_t pinned_all_bytes(struct pinned *pinned)
{
	uint64_t bytes;

	pthread_mutex_lock(&pinned->lock);
	bytes = sweep(pinned) + pinned->live;
	pthread_mutex_unlock(&pinned->lock);
	return bytes;
}
