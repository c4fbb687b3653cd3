/* SPDX-License-Identifier: MIT */

/*
 * Attacks by way of the wake-up: whoever sends to a socket or writes into a pipe runs the wake-up
 * functions of everything that waits there, in its own time. A waiting place is an entry of an
 * epoll set, and there is one for each pair of set and descriptor: duplicates make thousands of
 * few. And by way of the bell, on which others of the same user sleep, too.
 */

#include "hostile.h"
#include "raw.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SETS      400
#define ENTRIES   200000
#define CROWD     60
#define SLEEPERS  2000
#define CROWD_FEW 6000 /* entries: a wake-up of somewhat less than half a millisecond */

static int sets[SETS];

static void make_sets(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (int i = 0; i < SETS; i++) {
		sets[i] = epoll_create1(EPOLL_CLOEXEC);
		if (sets[i] < 0)
			hostile_die("epoll_create1", errno);
	}
}

/* Waits for fd in `count` places. */
static void wait_everywhere(int fd, unsigned count)
{
	struct epoll_event event = {.events = EPOLLIN};
	unsigned set = 0;

	for (unsigned i = 0; i < count; i++) {
		if (set == 0)
			fd = dup(fd);
		if (fd < 0 || epoll_ctl(sets[set], EPOLL_CTL_ADD, fd, &event) < 0)
			hostile_die("epoll_ctl", errno);
		set = (set + 1) % SETS;
	}
}

/* Up to the FORMAT: no frame is announced yet, so that all the places are there when the first is.
 */
static void attach_unready(
	struct raw *raw, const struct hostile_options *options, uint64_t features)
{
	int error;

	raw_init(raw);
	error = raw_connect(raw, options->socket);
	if (error == 0)
		error = raw_hello(raw, "hostile", WIRE_MODE_READ, features);
	if (error == 0)
		error = raw_expect(raw, WIRE_FORMAT, 30000);
	if (error == 0)
		error = raw_map(raw);
	if (error < 0)
		hostile_die("cannot attach", error);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int wait_for_bye(struct hostile_options *options, struct raw *raw)
{
	int64_t start = now_ns();

	raw_seal(raw);
	raw_ready(raw);
	hostile_ready(options);
	while (hostile_time_left(options) && raw_drain(raw))
		raw_wait(raw, 100);
	printf("{\"code\": %u, \"attached_ms\": %.1f}\n", raw->bye.code,
		(double)(now_ns() - start) / 1e6);
	return HOSTILE_DONE;
}

int hostile_epoll(struct hostile_options *options)
{
	struct raw raw;

	make_sets();
	attach_unready(&raw, options, 0);
	wait_everywhere(raw.socket, options->count > 0 ? options->count : ENTRIES);
	return wait_for_bye(options, &raw);
}

/* Each of them stays below what one client may cost; together they cost more than a frame's time.
 */
int hostile_epoll_crowd(struct hostile_options *options)
{
	unsigned count = options->count > 0 ? options->count : CROWD, left = 0;
	struct raw *crowd = calloc(count, sizeof *crowd);

	if (crowd == NULL)
		hostile_die("crowd", ENOMEM);
	make_sets();
	for (unsigned i = 0; i < count; i++) {
		attach_unready(&crowd[i], options, 0);
		wait_everywhere(crowd[i].socket, CROWD_FEW);
	}
	for (unsigned i = 0; i < count; i++) {
		raw_seal(&crowd[i]);
		raw_ready(&crowd[i]);
	}
	hostile_ready(options);
	while (hostile_time_left(options)) {
		left = 0;
		for (unsigned i = 0; i < count; i++)
			left += raw_drain(&crowd[i]);
		usleep(5000); /* paces the attack */
	}
	printf("{\"count\": %u, \"left\": %u}\n", count, left);
	for (unsigned i = 0; i < count; i++)
		raw_finish(&crowd[i]);
	free(crowd);
	return HOSTILE_DONE;
}

static int observe_everywhere(
	struct hostile_options *options, enum wire_type type, unsigned pause_us)
{
	unsigned long long sent = 0;
	struct raw raw;
	int error;

	make_sets();
	raw_init(&raw);
	error = raw_connect(&raw, options->socket);
	if (error == 0)
		error = raw_hello(&raw, "hostile", WIRE_MODE_OBSERVE, 0);
	if (error == 0)
		error = raw_expect(&raw, WIRE_SOURCE, 30000);
	if (error < 0)
		hostile_die("cannot attach", error);
	wait_everywhere(raw.socket, options->count > 0 ? options->count : ENTRIES);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		sent += raw_send(&raw, type) == 0;
		usleep(pause_us); /* no flood by the daemon's rule */
		if (!raw_drain(&raw))
			break;
	}
	printf("{\"sent\": %llu, \"code\": %u}\n", sent, raw.bye.code);
	raw_finish(&raw);
	return HOSTILE_DONE;
}

/* Frames are not announced to an observer; its answers cost the server thread the same. */
int hostile_epoll_observer(struct hostile_options *options)
{
	return observe_everywhere(options, WIRE_STATUS, 1500);
}

/* Receiving, too, wakes the sender: it has room again. This one gets no answer at all. */
int hostile_epoll_sender(struct hostile_options *options)
{
	return observe_everywhere(options, WIRE_RELEASED, 5000);
}

/* ---- the socket's lock ---- */

static void *fault_page;

static void *read_for_ever(void *userdata)
{
	const struct raw *raw = userdata;

	(void)!recv(raw->socket, fault_page, 1, 0);
	return NULL;
}

/* A read holds the lock of the end that it reads from while it waits for the page that it is to
 * fill. (Of a pipe that would be the lock that a write takes as well.) */
int hostile_busy_socket(struct hostile_options *options)
{
	struct raw raw;
	pthread_t thread;
	int fault, error;

	fault_page = hostile_fault_page(&fault);
	if (fault_page == NULL)
		return HOSTILE_SKIPPED;
	raw_init(&raw);
	error = raw_attach(&raw, options->socket, "hostile", 0);
	if (error < 0)
		hostile_die("cannot attach", error);
	error = pthread_create(&thread, NULL, read_for_ever, &raw);
	if (error != 0)
		hostile_die("thread", error);
	hostile_fault_wait(fault);
	hostile_ready(options);
	hostile_wait(options);
	close(fault); /* lets the read go on */
	pthread_join(thread, NULL);
	printf("{}\n");
	return HOSTILE_DONE;
}

/* ---- the bell ---- */

static void attach_to_bell(struct raw *raw, const struct hostile_options *options)
{
	int error;

	raw_init(raw);
	error = raw_attach(raw, options->socket, "hostile", WIRE_FEATURE_BELL);
	if (error < 0)
		hostile_die("cannot attach", error);
	if (raw->bell == NULL)
		hostile_die("no bell", ENOENT);
}

static void *sleep_for_ever(void *userdata)
{
	const struct bell_word *word = userdata;

	for (;;)
		syscall(SYS_futex, &word->rung, FUTEX_WAIT,
			atomic_load_explicit(&word->rung, memory_order_relaxed), NULL, NULL, 0);
	return NULL;
}

/* Each ring would have to wake them all, one after the other. */
int hostile_bell_crowd(struct hostile_options *options)
{
	unsigned count = options->count > 0 ? options->count : SLEEPERS, sleepers = 0;
	pthread_attr_t attributes;
	pthread_t thread;
	struct raw raw;

	attach_to_bell(&raw, options);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	while (sleepers < count &&
		pthread_create(&thread, &attributes, sleep_for_ever, (void *)raw.bell) == 0)
		sleepers++;
	atomic_store(raw_listens(&raw), BELL_LISTENS);
	hostile_ready(options);
	while (hostile_time_left(options) && raw_drain(&raw))
		raw_wait(&raw, 100);
	printf("{\"sleepers\": %u, \"closed\": %u}\n", sleepers,
		atomic_load_explicit(&raw.bell->closed, memory_order_relaxed));
	return HOSTILE_DONE;
}

/* Where the sleepers are moved to. */
static _Atomic uint32_t own_word;

/* All words of the bell: the memory is the same. */
static long at_each_word(const struct raw *raw, int operation)
{
	const struct bell_word *words =
		(const struct bell_word *)((const uint8_t *)raw->bell - raw->format.bell_offset);
	long all = 0;

	for (unsigned i = 0; i < BELL_WORDS; i++) {
		uint32_t rung = atomic_load_explicit(&words[i].rung, memory_order_relaxed);
		long done = operation == FUTEX_WAKE
				    ? syscall(SYS_futex, &words[i].rung, FUTEX_WAKE, INT_MAX, NULL,
					      NULL, 0)
				    : syscall(SYS_futex, &words[i].rung, FUTEX_CMP_REQUEUE, 0,
					      (long)INT_MAX, &own_word, rung);

		all += done > 0 ? done : 0;
	}
	return all;
}

static int disturb_sleepers(struct hostile_options *options, int operation)
{
	bool late = operation != FUTEX_WAKE && options->count > 0;
	unsigned pause_us = late ? options->count * 1000 : 200;
	unsigned long long sleepers = 0;
	struct raw raw;

	attach_to_bell(&raw, options);
	atomic_store(raw_listens(&raw), BELL_LISTENS);
	hostile_ready(options);
	while (hostile_time_left(options) && raw_drain(&raw)) {
		sleepers += (unsigned long long)at_each_word(&raw, operation);
		usleep(pause_us); /* who is woken goes to sleep again */
		if (late)
			syscall(SYS_futex, &own_word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
	printf("{\"sleepers\": %llu, \"code\": %u}\n", sleepers, raw.bye.code);
	raw_finish(&raw);
	return HOSTILE_DONE;
}

int hostile_bell_requeue(struct hostile_options *options)
{
	return disturb_sleepers(options, FUTEX_CMP_REQUEUE);
}

int hostile_bell_wake(struct hostile_options *options)
{
	return disturb_sleepers(options, FUTEX_WAKE);
}

int hostile_bell_scribble(struct hostile_options *options)
{
	unsigned long long words = 0;
	uint32_t random = 1;
	struct raw raw;

	attach_to_bell(&raw, options);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		for (unsigned i = 0; i < 10000; i++) {
			random = random * 1664525 + 1013904223; /* Numerical Recipes */
			atomic_store_explicit(raw_listens(&raw),
				random >> 31 ? random : random >> 30, memory_order_relaxed);
		}
		words += 10000;
		if (!raw_drain(&raw))
			break;
	}
	printf("{\"words\": %llu, \"code\": %u}\n", words, raw.bye.code);
	raw_finish(&raw);
	return HOSTILE_DONE;
}
