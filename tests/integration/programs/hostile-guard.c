/* SPDX-License-Identifier: MIT */

/* Attacks by way of the guard: its words, its pages, its file. */

#include "hostile.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static void attach(struct raw *raw, const struct hostile_options *options)
{
	int error;

	raw_init(raw);
	error = raw_attach(raw, options->socket, "hostile", 0);
	if (error < 0)
		hostile_die("cannot attach", error);
}

static void attach_unready(struct raw *raw, const struct hostile_options *options)
{
	int error;

	raw_init(raw);
	error = raw_connect(raw, options->socket);
	if (error == 0)
		error = raw_hello(raw, "hostile", WIRE_MODE_READ, 0);
	if (error == 0)
		error = raw_expect(raw, WIRE_FORMAT, 30000);
	if (error == 0)
		error = raw_map(raw);
	if (error < 0)
		hostile_die("cannot attach", error);
}

static void attach_again(struct raw *raw, const struct hostile_options *options)
{
	raw_finish(raw);
	attach(raw, options);
}

/* ---- words ---- */

/* xorshift64 (Marsaglia 2003): fast, and that is all that is asked of it. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

int hostile_scribble(struct hostile_options *options)
{
	unsigned long long words = 0, attached = 1;
	uint64_t seed = 0x9e3779b97f4a7c15;
	struct raw raw;

	attach(&raw, options);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		uint64_t *all = (uint64_t *)raw.guard;

		for (size_t i = 0; i < raw.format.guard_size / sizeof *all; i++)
			__atomic_store_n(&all[i], next_random(&seed), __ATOMIC_RELAXED);
		words += raw.format.guard_size / sizeof *all;
		if (!raw_drain(&raw)) {
			attach_again(&raw, options);
			attached++;
		}
	}
	printf("{\"words\": %llu, \"attached\": %llu}\n", words, attached);
	raw_finish(&raw);
	return HOSTILE_DONE;
}

/* Takes every slot again and again as if it had been announced, the one that is being written
 * included, and gives none back. */
int hostile_scribble_plausible(struct hostile_options *options)
{
	unsigned long long rounds = 0, attached = 1;
	struct raw raw;

	attach(&raw, options);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		for (uint32_t slot = 0; slot < raw.format.slot_count; slot++) {
			const struct pool_descriptor *descriptor =
				pool_view_descriptor(&raw.view, slot);
			uint64_t generation =
				atomic_load_explicit(&descriptor->generation, memory_order_relaxed);

			atomic_store_explicit(raw_word(&raw, slot),
				guard_value(generation, GUARD_READER), memory_order_relaxed);
		}
		rounds++;
		if (!raw_drain(&raw)) {
			attach_again(&raw, options);
			attached++;
		}
	}
	printf("{\"rounds\": %llu, \"attached\": %llu}\n", rounds, attached);
	raw_finish(&raw);
	return HOSTILE_DONE;
}

/* Keeps to the steps of the mutex, but takes every frame and gives none back. */
int hostile_overhold(struct hostile_options *options)
{
	unsigned long long taken = 0;
	struct raw_frame frame;
	struct raw raw;

	attach(&raw, options);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		raw_wait(&raw, 100);
		if (!raw_drain(&raw))
			break;
		while (raw_take_next(&raw, &frame))
			taken++;
	}
	printf("{\"taken\": %llu, \"code\": %u}\n", taken, raw.bye.code);
	raw_finish(&raw);
	return HOSTILE_DONE;
}

/* ---- pages ---- */

static int allowed;

static void must_fail(const char *what, bool done, int error_a, int error_b)
{
	int error = done ? 0 : errno;
	bool good = !done && (error == error_a || error == error_b);

	fprintf(stderr, "%s: %s%s\n", what, done ? "allowed" : strerror(error),
		good ? "" : " (wrong)");
	allowed += !good;
}

static bool maps(int fd, size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map != MAP_FAILED)
		munmap(map, size);
	return map != MAP_FAILED;
}

/* The daemon has sealed the guard when the first frame can be taken. */
static void wait_until_linked(struct raw *raw)
{
	struct raw_frame frame;

	while (!raw_take_next(raw, &frame)) {
		raw_wait(raw, -1);
		if (!raw_drain(raw))
			hostile_die("hung up", ECONNRESET);
	}
	raw_release(raw, &frame);
}

int hostile_punch(struct hostile_options *options)
{
	unsigned long long rounds = 0;
	char path[64];
	struct raw raw;
	size_t size;
	int fd;

	attach(&raw, options);
	wait_until_linked(&raw);
	size = raw.format.guard_size;
	fd = raw.guard_fd;
	must_fail("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0,
		EPERM, EPERM);
	/* through the mapping that is writable still */
	must_fail("MADV_REMOVE", madvise(raw.guard, 4096, MADV_REMOVE) == 0, EPERM, EACCES);
	must_fail("shrink", ftruncate(fd, 0) == 0, EPERM, EPERM);
	must_fail("grow", ftruncate(fd, (off_t)size + 4096) == 0, EPERM, EPERM);
	must_fail("write", write(fd, "x", 1) == 1, EPERM, EPERM);
	must_fail("pwrite", pwrite(fd, "x", 1, 0) == 1, EPERM, EPERM);
	must_fail("map", maps(fd, size), EPERM, EACCES);
	must_fail("seal", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0, EPERM, EPERM);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		must_fail("map reopened", maps(fd, size), EPERM, EACCES);
		must_fail("pwrite reopened", pwrite(fd, "x", 1, 0) == 1, EPERM, EPERM);
		close(fd);
	}
	hostile_ready(options);
	while (hostile_time_left(options)) {
		(void)fallocate(raw.guard_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
		(void)madvise(raw.guard, 4096, MADV_REMOVE);
		/* what it may do with its own mapping must not reach the daemon's */
		(void)madvise(raw.guard, size, MADV_DONTNEED);
		(void)madvise(raw.guard, size, 21 /* MADV_PAGEOUT */);
		rounds++;
		if (!raw_drain(&raw))
			hostile_die("hung up", ECONNRESET);
	}
	printf("{\"allowed\": %d, \"rounds\": %llu}\n", allowed, rounds);
	raw_finish(&raw);
	return allowed == 0 ? HOSTILE_DONE : HOSTILE_ALLOWED;
}

int hostile_punch_first(struct hostile_options *options)
{
	unsigned long long frames = 0;
	struct raw_frame frame;
	struct raw raw;

	attach_unready(&raw, options);
	memset(raw.guard, 0xff, raw.format.guard_size);
	if (fallocate(raw.guard_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		    raw.format.guard_size) < 0)
		hostile_die("cannot punch before READY", errno);
	raw_seal(&raw);
	raw_ready(&raw);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		raw_wait(&raw, 100);
		if (!raw_drain(&raw))
			hostile_die("hung up", ECONNRESET);
		while (raw_take_next(&raw, &frame)) {
			frames++;
			raw_release(&raw, &frame);
		}
	}
	printf("{\"frames\": %llu, \"missed\": %llu}\n", frames, (unsigned long long)raw.missed);
	raw_finish(&raw);
	return HOSTILE_DONE;
}

/* ---- the file's lock ---- */

static struct raw shared;
static void *fault_page;

static void *punch_for_ever(void *userdata)
{
	struct sched_param parameters = {0};

	(void)userdata;
	sched_setscheduler(0, SCHED_IDLE, &parameters);
	while (fallocate(shared.guard_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		       shared.format.guard_size) == 0)
		continue;
	return NULL;
}

static void *burn(void *userdata)
{
	for (;;)
		atomic_fetch_add((_Atomic unsigned *)userdata, 1);
	return NULL;
}

static void start(void *(*run)(void *userdata), void *userdata)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, userdata);

	if (error != 0)
		hostile_die("thread", error);
	pthread_detach(thread);
}

/* Attaches again and again while a thread that hardly gets a processor punches holes. */
int hostile_punch_idle(struct hostile_options *options)
{
	static _Atomic unsigned burnt;
	unsigned long long attached = 0;

	for (long i = 0; i < sysconf(_SC_NPROCESSORS_ONLN); i++)
		start(burn, &burnt);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		attach_unready(&shared, options);
		start(punch_for_ever, NULL);
		usleep(1000); /* some holes */
		raw_ready(&shared);
		while (raw_drain(&shared) && shared.frame.position == 0 &&
			hostile_time_left(options))
			raw_wait(&shared, 100);
		shared.frame.position = 0;
		attached++;
		close(shared.socket); /* the rest is still being punched */
	}
	printf("{\"attached\": %llu}\n", attached);
	return HOSTILE_DONE;
}

static void *write_for_ever(void *userdata)
{
	(void)userdata;
	(void)!pwrite(shared.guard_fd, fault_page, 8, 0);
	return NULL;
}

/* A write holds the file's lock while it waits for the page that it is to write. */
int hostile_busy_guard(struct hostile_options *options)
{
	int fault;

	fault_page = hostile_fault_page(&fault);
	if (fault_page == NULL)
		return HOSTILE_SKIPPED;
	attach_unready(&shared, options);
	start(write_for_ever, NULL);
	hostile_fault_wait(fault);
	raw_ready(&shared);
	hostile_ready(options);
	hostile_wait(options);
	close(fault); /* lets the write go on */
	printf("{}\n");
	return HOSTILE_DONE;
}

int hostile_unsealed(struct hostile_options *options)
{
	static const int seals[] = {
		0, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL, F_SEAL_WRITE | F_SEAL_SEAL};
	unsigned closed = 0, sent = sizeof seals / sizeof *seals;

	hostile_ready(options);
	for (unsigned i = 0; i < sent; i++) {
		struct raw raw;

		attach_unready(&raw, options);
		(void)fcntl(raw.guard_fd, F_ADD_SEALS, seals[i]);
		raw_ready(&raw);
		closed +=
			raw_expect(&raw, WIRE_BYE, 5000) == 0 && raw.bye.code == WIRE_CODE_PROTOCOL;
		raw_finish(&raw);
	}
	printf("{\"sent\": %u, \"closed\": %u}\n", sent, closed);
	return closed == sent ? HOSTILE_DONE : HOSTILE_ALLOWED;
}
