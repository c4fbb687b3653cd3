/* SPDX-License-Identifier: MIT */

/*
 * Clients that are killed (SIGKILL) while they attach, read and hold frames, and how long it takes
 * until the daemon has its slots back. Prints one JSON object, times in milliseconds.
 *
 *   victims status SOCKET COUNT [SEED]
 *       COUNT clients, killed at random points holding up to max_leases frames, several at a time.
 *       After each death the daemon is asked for its status until that client is gone from it: it
 * is taken from the list and out of the pool in the same step. victims probe SOCKET COUNT For a
 * daemon whose readers are lossless: COUNT times the source waits for a frame that only the victim
 * keeps; the victim is killed, and the publication of the next frame shows that the slot is free.
 */

#include "raw.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ALIVE_MAX    8
#define ATTACHING_US 3000 /* more than it takes to attach */
#define PATIENCE_MS  20000
#define NSEC_PER_SEC INT64_C(1000000000)

/* What a victim says of itself, in memory that it shares with us. */
struct life {
	_Atomic unsigned attached, held;
	_Atomic bool waited_for;
};

struct victim {
	pid_t pid;
	struct life *life;
};

static _Noreturn void die(const char *what, int error)
{
	fprintf(stderr, "victims: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(2);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static void sleep_until(int64_t until_ns)
{
	struct timespec until = {
		.tv_sec = until_ns / NSEC_PER_SEC, .tv_nsec = until_ns % NSEC_PER_SEC};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		continue;
}

static struct life *lives_create(unsigned count)
{
	void *map = mmap(NULL, count * sizeof(struct life), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		die("mmap", errno);
	return map;
}

/* ---- times ---- */

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static void print_times(double *times, unsigned count)
{
	qsort(times, count, sizeof *times, compare);
	if (count == 0)
		die("no client was there when it was killed", ENODATA);
	printf("\"ms\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f}",
		times[count / 2], times[count * 9 / 10], times[count * 99 / 100], times[count - 1]);
}

/* ---- status ---- */

/* Takes frames that are there already, as many as it may or fewer, then lets some go and takes
 * others, until it is killed. */
static _Noreturn void live(const char *path, struct life *life, unsigned seed)
{
	struct raw_frame frames[POOL_SLOTS_MAX];
	unsigned held = 0, wanted;
	struct raw raw;
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom(seed);
	raw_init(&raw);
	error = raw_attach(&raw, path, "victim", random() % 2 ? WIRE_FEATURE_BELL : 0);
	if (error < 0)
		die("cannot attach", error);
	life->attached = 1;
	raw_wait(&raw, -1);
	wanted = 1 + (unsigned)random() % raw.welcome.max_leases;
	for (;;) {
		uint64_t newest = atomic_load(&pool_view_header(&raw.view)->newest);

		if (held == 0)
			raw.position = newest > wanted + 1 ? newest - wanted - 1 : 0;
		while (held < wanted && raw_take_next(&raw, &frames[held]))
			life->held = ++held;
		raw_wait(&raw, -1);
		if (!raw_drain(&raw))
			die("hung up", ECONNRESET);
		if (held > 0 && random() % 4 == 0) {
			raw_release(&raw, &frames[--held]);
			life->held = held;
		}
	}
}

static struct victim start(const char *path, struct life *life, unsigned seed)
{
	struct victim victim = {.life = life};

	victim.pid = fork();
	if (victim.pid < 0)
		die("fork", errno);
	if (victim.pid == 0)
		live(path, life, seed);
	return victim;
}

static void observe(struct raw *raw, const char *path)
{
	int error;

	raw_init(raw);
	error = raw_connect(raw, path);
	if (error == 0)
		error = raw_hello(raw, "coroner", WIRE_MODE_OBSERVE, 0);
	if (error == 0)
		error = raw_expect(raw, WIRE_WELCOME, PATIENCE_MS);
	if (error < 0)
		die("cannot observe", error);
}

/* Does the daemon list a client of this process? */
static bool is_listed(struct raw *observer, pid_t pid)
{
	static char document[1 << 20];
	static int64_t asked_ns;
	char wanted[32];
	ssize_t size;
	int error;

	/* no more than 1000 messages a second, or it is a flood */
	sleep_until(asked_ns + 1500000);
	asked_ns = now_ns();
	raw_send(observer, WIRE_STATUS);
	error = raw_expect(observer, WIRE_STATUS, PATIENCE_MS);
	if (error < 0)
		die("no status", error);
	size = pread(observer->document_fd, document, sizeof document - 1, 0);
	if (size < 0)
		die("status", errno);
	document[size] = '\0';
	snprintf(wanted, sizeof wanted, "\"pid\":%d,", (int)pid);
	return strstr(document, wanted) != NULL;
}

/* Milliseconds from the kill until it is gone. */
static double bury(struct raw *observer, const struct victim *victim)
{
	int64_t killed_ns = now_ns();
	int status;

	kill(victim->pid, SIGKILL);
	if (waitpid(victim->pid, &status, 0) < 0)
		die("waitpid", errno);
	if (!WIFSIGNALED(status))
		die("a client ended by itself", ECHILD);
	while (is_listed(observer, victim->pid)) {
		if (now_ns() - killed_ns > PATIENCE_MS * INT64_C(1000000))
			die("a dead client is still listed", ETIMEDOUT);
		sleep_until(now_ns() + 200000);
	}
	return (double)(now_ns() - killed_ns) / 1e6;
}

struct tally {
	double *times;
	unsigned killed, attached, holding, held, most;
};

static void count(struct tally *tally, struct raw *observer, const struct victim *victim)
{
	unsigned held = victim->life->held;

	/* who was not attached has nothing to give back, but must be gone as well */
	if (victim->life->attached)
		tally->times[tally->attached++] = bury(observer, victim);
	else
		(void)bury(observer, victim);
	tally->killed++;
	tally->holding += held > 0;
	tally->held += held;
	tally->most = held > tally->most ? held : tally->most;
}

static int run_status(const char *path, unsigned total, unsigned seed)
{
	struct life *lives = lives_create(total);
	struct tally tally = {.times = calloc(total, sizeof *tally.times)};
	struct victim old[ALIVE_MAX] = {0};
	struct raw observer;
	unsigned started = 0;

	if (tally.times == NULL)
		die("times", ENOMEM);
	srandom(seed);
	observe(&observer, path);
	while (started < total) {
		struct victim *victim = &old[random() % ALIVE_MAX], young;

		/* some die while they attach, the others while they read */
		if (random() % 3 == 0) {
			young = start(path, &lives[started], seed + started);
			sleep_until(now_ns() + 1000 * (random() % ATTACHING_US));
			count(&tally, &observer, &young);
		} else {
			if (victim->pid != 0)
				count(&tally, &observer, victim);
			*victim = start(path, &lives[started], seed + started);
		}
		started++;
	}
	for (unsigned i = 0; i < ALIVE_MAX; i++) {
		if (old[i].pid != 0)
			count(&tally, &observer, &old[i]);
	}
	printf("{\"killed\": %u, \"attached\": %u, \"holding\": %u, \"held\": %u, \"most\": %u, ",
		tally.killed, tally.attached, tally.holding, tally.held, tally.most);
	print_times(tally.times, tally.attached);
	printf("}\n");
	free(tally.times);
	raw_finish(&observer);
	return 0;
}

/* ---- probe ---- */

/* Keeps a frame and takes no other, and tells when the daemon waits for it. */
static _Noreturn void keep(const char *path, struct life *life)
{
	struct raw_frame frame;
	struct raw raw;
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	raw_init(&raw);
	error = raw_attach(&raw, path, "victim", 0);
	if (error < 0)
		die("cannot attach", error);
	while (!raw_take_next(&raw, &frame))
		raw_wait(&raw, 100);
	for (;;) {
		for (uint32_t slot = 0; slot < raw.format.slot_count; slot++)
			if (atomic_load(raw_word(&raw, slot)) & GUARD_WAITED)
				life->waited_for = true;
		sleep_until(now_ns() + 1000000);
	}
}

/* Takes and gives back all that is offered, in any order. */
static void read_all(struct raw *raw)
{
	for (uint32_t slot = 0; slot < raw->format.slot_count; slot++) {
		guard_word *word = raw_word(raw, slot);
		struct raw_frame frame = {
			.slot = slot, .generation = atomic_load(word) >> GUARD_STATE_BITS};

		if ((atomic_load(word) & 0xff & ~GUARD_WAITED) == GUARD_OFFERED &&
			guard_take(word, frame.generation) == GUARD_DONE &&
			raw_release(raw, &frame) == GUARD_DONE_WAITED)
			raw_send(raw, WIRE_RELEASED);
	}
}

static uint64_t newest(const struct raw *raw)
{
	return atomic_load(&pool_view_header(&raw->view)->newest);
}

static int64_t publish_time(const struct raw *raw, uint64_t position)
{
	uint64_t entry = atomic_load(pool_view_recent(&raw->view, position));
	struct pool_frame frame;

	if (!pool_frame_load(&raw->view, entry & ((1 << POOL_RECENT_SLOT_BITS) - 1), &frame) ||
		frame.position != position)
		die("a frame that we have not read is gone", EBADMSG);
	return frame.publish_time_ns;
}

static void wait_a_little(struct raw *reader, int64_t deadline_ns, const char *what)
{
	if (now_ns() > deadline_ns)
		die(what, ETIMEDOUT);
	raw_wait(reader, 1);
	if (!raw_drain(reader))
		die("hung up", ECONNRESET);
}

/* Milliseconds from the kill to the next publication. */
static double probe(const char *path, struct raw *reader, struct life *life)
{
	int64_t killed_ns, deadline_ns = now_ns() + PATIENCE_MS * INT64_C(1000000);
	uint64_t last;
	pid_t pid = fork();

	if (pid < 0)
		die("fork", errno);
	if (pid == 0)
		keep(path, life);
	/* until the source waits, and for the victim alone: all that is offered to us is read, and
	 * nothing comes after it */
	do {
		wait_a_little(reader, deadline_ns, "the source never waited");
		last = newest(reader);
		read_all(reader);
	} while (!life->waited_for || newest(reader) != last);
	killed_ns = now_ns();
	kill(pid, SIGKILL);
	while (newest(reader) == last)
		wait_a_little(reader, deadline_ns, "the source still waits for the dead");
	waitpid(pid, NULL, 0);
	return (double)(publish_time(reader, last + 1) - killed_ns) / 1e6;
}

static int run_probe(const char *path, unsigned count)
{
	struct life *lives = lives_create(count);
	double *times = calloc(count, sizeof *times);
	struct raw reader;
	int error;

	if (times == NULL)
		die("times", ENOMEM);
	raw_init(&reader);
	error = raw_attach(&reader, path, "prober", 0);
	if (error < 0)
		die("cannot attach", error);
	if (reader.welcome.mode != WIRE_MODE_LOSSLESS)
		die("the daemon is not lossless", EINVAL);
	for (unsigned i = 0; i < count; i++)
		times[i] = probe(path, &reader, &lives[i]);
	printf("{\"killed\": %u, ", count);
	print_times(times, count);
	printf("}\n");
	free(times);
	raw_finish(&reader);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && strcmp(argv[1], "status") == 0)
		return run_status(
			argv[2], (unsigned)atoi(argv[3]), argc > 4 ? (unsigned)atoi(argv[4]) : 1);
	if (argc == 4 && strcmp(argv[1], "probe") == 0)
		return run_probe(argv[2], (unsigned)atoi(argv[3]));
	fprintf(stderr, "Usage: victims status|probe SOCKET COUNT [SEED]\n");
	return 2;
}
