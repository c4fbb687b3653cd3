/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

int leases_create(struct leases **ret_leases)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	struct leases *leases = calloc(1, sizeof(*leases));
	bool *parent;
	int error;

	if (!leases)
		return -ENOMEM;
	leases->handle_open = true;
	leases->rearm.fd = -1;
	leases->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (leases->event_fd < 0) {
		error = -errno;
		goto free_leases;
	}
	parent = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (parent == MAP_FAILED) {
		error = -errno;
		goto close_event;
	}
	if (madvise(parent, page_size, MADV_WIPEONFORK) < 0) {
		error = -errno;
		goto unmap_parent;
	}
	*parent = true;
	leases->parent = parent;
	pthread_mutex_init(&leases->lock, NULL);
	*ret_leases = leases;
	return 0;

unmap_parent:
	munmap(parent, page_size);
close_event:
	close(leases->event_fd);
free_leases:
	free(leases);
	return error;
}

static void destroy(struct leases *leases)
{
	pthread_mutex_destroy(&leases->lock);
	munmap((void *)leases->parent, (size_t)sysconf(_SC_PAGESIZE));
	free(leases);
}

bool leases_ours(const struct leases *leases)
{
	return *leases->parent;
}

/* Failures cannot be: the counter is 0 or 1. */
static void set_event(struct leases *leases, bool set)
{
	eventfd_t value;

	if (set == leases->event_set || leases->event_fd < 0)
		return;
	if (set)
		(void)eventfd_write(leases->event_fd, 1);
	else
		(void)eventfd_read(leases->event_fd, &value);
	leases->event_set = set;
}

void leases_set_max(struct leases *leases, unsigned max)
{
	pthread_mutex_lock(&leases->lock);
	leases->max = max;
	pthread_mutex_unlock(&leases->lock);
}

bool leases_reserve(struct leases *leases)
{
	bool room;

	pthread_mutex_lock(&leases->lock);
	room = leases->held < leases->max;
	if (room)
		leases->held++;
	pthread_mutex_unlock(&leases->lock);
	return room;
}

/* Lets frames wake the program again. */
static bool rearm(struct leases_rearm *rearm)
{
	struct epoll_event event = {.events = rearm->events, .data.u32 = rearm->ready};

	if (rearm->fd < 0 || epoll_ctl(rearm->epoll_fd, EPOLL_CTL_MOD, rearm->fd, &event) < 0)
		return false;
	rearm->fd = -1;
	rearm->done = true;
	return true;
}

bool leases_set_rearm(struct leases *leases, int epoll_fd, int fd, uint32_t events, uint32_t ready)
{
	bool done;

	pthread_mutex_lock(&leases->lock);
	done = leases->rearm.done;
	leases->rearm = (struct leases_rearm){
		.epoll_fd = epoll_fd, .fd = fd, .events = events, .ready = ready};
	pthread_mutex_unlock(&leases->lock);
	return done;
}

void leases_give_back(struct leases *leases)
{
	bool last;

	pthread_mutex_lock(&leases->lock);
	leases->held--;
	if (leases->blocked && leases->held < leases->max) {
		leases->blocked = false;
		if (leases->pending || !rearm(&leases->rearm))
			set_event(leases, true);
	}
	last = leases->held == 0 && !leases->handle_open;
	pthread_mutex_unlock(&leases->lock);
	if (last)
		destroy(leases);
}

bool leases_update(struct leases *leases, bool always, bool below_limit)
{
	bool blocked;

	pthread_mutex_lock(&leases->lock);
	blocked = leases->max > 0 && leases->held >= leases->max;
	leases->blocked = blocked;
	leases->pending = below_limit;
	set_event(leases, always || (below_limit && !blocked));
	pthread_mutex_unlock(&leases->lock);
	return blocked;
}

void leases_close(struct leases *leases)
{
	bool last;

	pthread_mutex_lock(&leases->lock);
	close(leases->event_fd);
	leases->event_fd = -1;
	leases->rearm.fd = -1;
	leases->handle_open = false;
	last = leases->held == 0;
	pthread_mutex_unlock(&leases->lock);
	if (last)
		destroy(leases);
}
