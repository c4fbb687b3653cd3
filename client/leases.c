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
	/* whole pages, which nobody else has anything in: madvise() takes all that they hold */
	struct leases *leases = mmap(
		NULL, sizeof(*leases), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int error;

	if (leases == MAP_FAILED)
		return -errno;
	if (madvise(leases, sizeof(*leases), MADV_WIPEONFORK) < 0) {
		error = -errno;
		goto unmap;
	}
	leases->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (leases->event_fd < 0) {
		error = -errno;
		goto unmap;
	}
	leases->ours = true;
	leases->references = 1;
	leases->rearm.fd = -1;
	pthread_mutex_init(&leases->lock, NULL);
	*ret_leases = leases;
	return 0;

unmap:
	munmap(leases, sizeof(*leases));
	return error;
}

static void destroy(struct leases *leases)
{
	pthread_mutex_destroy(&leases->lock);
	free(leases->spare);
	munmap(leases, sizeof(*leases));
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

HOT static void unref(struct leases *leases)
{
	if (atomic_fetch_sub_explicit(&leases->references, 1, memory_order_acq_rel) == 1)
		destroy(leases);
}

void leases_set_max(struct leases *leases, unsigned max)
{
	atomic_store_explicit(&leases->max, max, memory_order_relaxed);
}

HOT void leases_prefetch(struct leases *leases)
{
	const char *frame =
		(const char *)atomic_load_explicit(&leases->spare, memory_order_relaxed);

	if (!frame)
		return;
	for (size_t i = 0; i < sizeof(struct camtap_frame); i += CACHE_LINE)
		__builtin_prefetch(frame + i, 1);
}

/* Only the handle's thread takes any. */
HOT int leases_take(struct leases *leases, struct camtap_frame **ret_frame)
{
	struct camtap_frame *frame;

	if (atomic_load_explicit(&leases->held, memory_order_relaxed) >=
		atomic_load_explicit(&leases->max, memory_order_relaxed))
		return -ENOBUFS;
	frame = atomic_exchange_explicit(&leases->spare, NULL, memory_order_acquire);
	if (!frame)
		frame = malloc(sizeof(*frame));
	if (!frame)
		return -ENOMEM;
	atomic_fetch_add_explicit(&leases->held, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&leases->references, 1, memory_order_relaxed);
	*ret_frame = frame;
	return 0;
}

/* Lets frames wake the program again. False: there is one already, or there may be. */
static bool rearm(struct leases_rearm *rearm)
{
	struct epoll_event event = {.events = rearm->events};
	const struct attachment *attachment = rearm->attachment;

	if (attachment) {
		bell_stop_listening(attachment->bell);
		return attachment_newest(attachment) < rearm->cursor;
	}
	if (rearm->fd < 0 || epoll_ctl(rearm->epoll_fd, EPOLL_CTL_MOD, rearm->fd, &event) < 0)
		return false;
	rearm->fd = -1;
	rearm->done = true;
	return true;
}

/* For the handle's thread, the only one that sets `blocked`: does it need the lock? (libc's
 * functions for that, and what they touch, are far away from all else that a frame needs.) */
HOT static bool is_ours_alone(const struct leases *leases)
{
	return !atomic_load_explicit(&leases->blocked, memory_order_acquire);
}

HOT bool leases_set_rearm(struct leases *leases, const struct leases_rearm *wanted)
{
	struct attachment *before;
	bool done;

	if (!wanted && is_ours_alone(leases) && !leases->rearm.attachment && leases->rearm.fd < 0 &&
		!leases->rearm.done)
		return false;
	pthread_mutex_lock(&leases->lock);
	done = leases->rearm.done;
	before = leases->rearm.attachment;
	leases->rearm = wanted ? *wanted : (struct leases_rearm){.fd = -1};
	pthread_mutex_unlock(&leases->lock);
	attachment_unref(before);
	return done;
}

HOT static bool at_limit(const struct leases *leases)
{
	unsigned max = atomic_load_explicit(&leases->max, memory_order_relaxed);

	return max > 0 && atomic_load(&leases->held) >= max;
}

/* `held` and `blocked` are written before the other one is read, here and in leases_update(), all
 * of it sequentially consistent: either this sees that the program is blocked, or that saw that it
 * need not be. */
HOT void leases_give_back(struct leases *leases, struct camtap_frame *frame)
{
	struct camtap_frame *other =
		atomic_exchange_explicit(&leases->spare, frame, memory_order_acq_rel);

	if (other) /* seldom: free() is far away */
		free(other);
	atomic_fetch_sub(&leases->held, 1);
	if (atomic_load(&leases->blocked)) {
		pthread_mutex_lock(&leases->lock);
		if (leases->blocked && !at_limit(leases)) {
			if (leases->pending || !rearm(&leases->rearm))
				set_event(leases, true);
			leases->blocked = false; /* last: is_ours_alone() */
		}
		pthread_mutex_unlock(&leases->lock);
	}
	unref(leases);
}

HOT bool leases_update(struct leases *leases, bool always, bool below_limit)
{
	bool blocked;

	if (is_ours_alone(leases) && !at_limit(leases) &&
		leases->event_set == (always || below_limit))
		return false;
	pthread_mutex_lock(&leases->lock);
	atomic_store(&leases->blocked, true);
	blocked = at_limit(leases);
	if (!blocked)
		atomic_store(&leases->blocked, false);
	leases->pending = below_limit;
	set_event(leases, always || (below_limit && !blocked));
	pthread_mutex_unlock(&leases->lock);
	return blocked;
}

void leases_close(struct leases *leases)
{
	(void)leases_set_rearm(leases, NULL);
	pthread_mutex_lock(&leases->lock);
	close(leases->event_fd);
	leases->event_fd = -1;
	pthread_mutex_unlock(&leases->lock);
	unref(leases);
}
