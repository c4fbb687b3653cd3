/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (1000 * NS_PER_MS) + now.tv_nsec;
}

HOT int64_t wake_deadline(int timeout_ms)
{
	if (timeout_ms < 0)
		return NEVER;
	return timeout_ms == 0 ? 0 : now_ns() + timeout_ms * NS_PER_MS;
}

static int watch(struct wake *wake, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(wake->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int wake_watch_socket(struct camtap *camera, int fd)
{
	int error = watch(&camera->wake, fd);

	if (error == 0)
		camera->wake.socket_events = EPOLLIN;
	return error;
}

void wake_unwatch_socket(struct camtap *camera, int fd)
{
	/* What a release would do to this fd, it must not do to the next one of that number. */
	(void)leases_set_rearm(camera->leases, NULL);
	/* Closing would not do: a forked child may have the fd, too. */
	(void)epoll_ctl(camera->wake.epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

int wake_init(struct camtap *camera)
{
	struct wake *wake = &camera->wake;
	int error;

	wake->timer_at = NEVER;
	wake->event_fd = camera->leases->event_fd;
	wake->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (wake->epoll_fd < 0)
		return -errno;
	wake->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (wake->timer_fd < 0) {
		error = -errno;
		goto close_epoll;
	}
	error = watch(wake, wake->timer_fd);
	if (error < 0)
		goto close_timer;
	error = watch(wake, wake->event_fd);
	if (error < 0)
		goto close_timer;
	return 0;

close_timer:
	close(wake->timer_fd);
close_epoll:
	close(wake->epoll_fd);
	return error;
}

void wake_finish(struct camtap *camera)
{
	close(camera->wake.timer_fd);
	close(camera->wake.epoll_fd);
}

/* The timer is readable from `deadline` on, until the deadline is another one. */
HOT static void set_timer(struct wake *wake, int64_t deadline)
{
	struct itimerspec time = {0};

	if (deadline == wake->timer_at)
		return;
	if (deadline != NEVER) {
		time.it_value.tv_sec = deadline / (1000 * NS_PER_MS);
		time.it_value.tv_nsec = deadline % (1000 * NS_PER_MS);
	}
	if (timerfd_settime(wake->timer_fd, TFD_TIMER_ABSTIME, &time, NULL) == 0)
		wake->timer_at = deadline;
}

/* What epoll is to look for at the socket; hang-ups are always reported. */
HOT static void watch_socket(struct camtap *camera, uint32_t events)
{
	struct epoll_event event = {.events = events};
	struct wake *wake = &camera->wake;

	if (wake->socket_events != events &&
		epoll_ctl(wake->epoll_fd, EPOLL_CTL_MOD, camera->connection->socket, &event) == 0)
		wake->socket_events = events;
}

/* From now on frames wake nobody, until a release says so (or, by_release false, the next update).
 * Without a bell that goes for all that the daemon says: messages cannot be told apart without
 * reading them. */
static void be_deaf(struct camtap *camera, struct bell *bell, bool by_release)
{
	struct leases_rearm rearm = {.fd = -1};

	if (bell) {
		bell_be_busy(bell);
		if (by_release) {
			rearm.attachment = attachment_ref(camera->reading);
			rearm.cursor = camera->reading->cursor;
		}
	} else {
		rearm.epoll_fd = camera->wake.epoll_fd;
		rearm.fd = camera->connection->socket;
		rearm.events = camera->wake.socket_events | EPOLLIN;
		watch_socket(camera, camera->wake.socket_events & ~(uint32_t)EPOLLIN);
	}
	if (by_release)
		(void)leases_set_rearm(camera->leases, &rearm);
}

/* The bell of the connection and the pool that are read. */
HOT static struct bell *current_bell(const struct camtap *camera)
{
	const struct attachment *reading = camera->reading;

	return reading && reading == camera->newest && reading->bell &&
			       reading->connection == camera->connection &&
			       attachment_linked(reading) && bell_serves(reading->bell)
		       ? reading->bell
		       : NULL;
}

HOT void wake_update(struct camtap *camera, enum wake_for whom)
{
	const struct event *head = events_head(camera);
	const struct attachment *reading = camera->reading;
	struct bell *bell = current_bell(camera);
	/* until FORMAT has come, there is something to answer */
	bool linked = camera->newest && camera->newest->connection == camera->connection;
	bool frame = false, deaf, always;

	/* A release in another thread may have changed it meanwhile: so the promise to do so is
	 * taken back first, and given again last. */
	if (leases_set_rearm(camera->leases, NULL))
		camera->wake.socket_events |= EPOLLIN;
	if (reading && reading->bell) /* before the look: what comes after it comes as a message */
		bell_stop_listening(reading->bell);
	if (camera->connection)
		watch_socket(camera, EPOLLIN | (camera->owed ? EPOLLOUT : 0));
	if (reading) {
		uint64_t to = attachment_newest(reading);

		if (head && to > head->after)
			to = head->after;
		frame = attachment_available(reading, reading->cursor, to);
	}
	always = !frame && (head || camera->refused < 0);
	if (whom == WAKE_FOR_STATUS) {
		(void)leases_update(camera->leases, false, false);
		deaf = bell;
	} else {
		deaf = leases_update(camera->leases, always, frame) && whom == WAKE_FOR_PROGRAM;
	}
	if (camera->connection && deaf && linked)
		be_deaf(camera, bell, whom == WAKE_FOR_PROGRAM);
	set_timer(&camera->wake, connection_deadline(camera));
}

static int remaining_ms(int64_t deadline)
{
	int64_t remaining;

	if (deadline == NEVER)
		return -1;
	remaining = deadline - now_ns();
	if (remaining <= 0)
		return 0;
	/* Rounded up: who waits for a millisecond must not spin for one. */
	remaining = (remaining + NS_PER_MS - 1) / NS_PER_MS;
	return remaining < INT_MAX ? (int)remaining : INT_MAX;
}

HOT int wake_wait(struct camtap *camera, enum wake_for whom, int64_t deadline)
{
	struct pollfd pollfd = {.fd = camera->wake.epoll_fd, .events = POLLIN};

	if (deadline == 0)
		return 0;
	wake_update(camera, whom);
	/* poll() goes on after SIGSTOP and SIGCONT, epoll_wait() would not: signal(7) */
	return poll(&pollfd, 1, remaining_ms(deadline)) < 0 ? -errno : 0;
}

HOT struct bell *wake_bell(const struct camtap *camera)
{
	return !camera->wake.shown && camera->state == CONNECTION_ATTACHED && camera->owed == 0 &&
			       !events_head(camera)
		       ? current_bell(camera)
		       : NULL;
}

HOT int wake_wait_for_frame(struct camtap *camera, int64_t deadline, bool *ret_receive)
{
	struct bell *bell = wake_bell(camera);
	int64_t since;
	int outcome;

	*ret_receive = true;
	if (!bell)
		return wake_wait(camera, WAKE_FOR_NEXT, deadline);
	outcome = bell_wait(bell, deadline, camera->reading);
	/* which comes while it is found out what to do */
	leases_prefetch(camera->leases);
	attachment_prefetch(camera->reading);
	if (outcome < 0)
		return outcome;
	if (outcome != BELL_QUIET) {
		*ret_receive = outcome == BELL_MESSAGE;
		return 0;
	}
	since = now_ns();
	outcome = wake_wait(camera, WAKE_FOR_NEXT, deadline);
	bell_slept(bell, now_ns() - since);
	return outcome;
}
