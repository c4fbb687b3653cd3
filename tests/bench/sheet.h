/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_BENCH_SHEET_H
#define CAMTAP_BENCH_SHEET_H

/*
 * What every candidate of scripts/bench shares, so that all are measured alike: the stamp in the
 * frames, the producer's pace, and the sheet on which readers write down what they saw.
 *
 * The sheet is a memfd of compare.py (sheet.py has its layout, too), inherited as an open fd, whose
 * number is a program's argument. compare.py fills in what is to be done, starts the programs,
 * waits until every reader is warm, opens the window, reads the CPU clocks of all processes from
 * outside at its two ends, and stops everything. Only frames that were stamped within the window
 * are written down.
 *
 * A frame begins with a stamp and ends with its number. The producer writes both right before it
 * publishes; the reader has touched the frame when it has read both. A frame whose two ends differ,
 * or that is not the one that was announced, is torn: counted, and not received.
 *
 * C and C++. Times are ns of CLOCK_MONOTONIC.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHEET_READERS_MAX 64
#define SHEET_ENTRIES     4096 /* per reader: the last ones count */
#define SHEET_WARM_FRAMES 30

struct sheet_entry {
	uint64_t number;    /* of the frame, from 1 */
	int64_t latency_ns; /* stamp -> both ends read */
};

struct sheet_reader {
	uint64_t seen;     /* frames since the start; from SHEET_WARM_FRAMES on it is warm */
	uint64_t received; /* the following: within the window */
	uint64_t gaps;     /* frames that are missing between the first and the last that came */
	uint64_t told; /* of these, as the system under test said itself; UINT64_MAX: it cannot */
	uint64_t torn; /* not the frame that was announced, or not one frame, and nobody said so */
	uint64_t revoked; /* the system said that the frame was no longer what it was */
	uint64_t again;   /* numbers that did not go up */
	uint64_t last;    /* number of the last frame, ever */
	uint64_t first_within, last_within; /* numbers; 0: none */
	int64_t pid;
	uint64_t reserved[5];
};

struct sheet {
	/* what is to be done: before the start */
	uint32_t width, height;
	uint64_t frame_size;
	uint32_t rate; /* frames per second; 0: unpaced */
	uint32_t readers;
	/* to test the instrument: ns that the producer dawdles between stamp and publishing; each
	 * n-th frame that readers do not write down, or write down twice */
	uint32_t delay_ns, skip, repeat;
	uint32_t stop;
	int64_t from, until; /* the window; 0 until it opens */
	uint64_t hold_ns;    /* camtap's readers: how long they keep each frame */
	/* on a cache line of its own */
	uint64_t published; /* frames so far */
	uint64_t reserved2[7];
	struct sheet_reader reader[SHEET_READERS_MAX];
	struct sheet_entry entries[SHEET_READERS_MAX][SHEET_ENTRIES];
};
static_assert(sizeof(struct sheet_reader) == 128, "sheet.py says so, too");
static_assert(offsetof(struct sheet, reader) == 128, "sheet.py says so, too");

/* At the beginning of the frame; at its end is the number once more. */
struct sheet_stamp {
	uint64_t number;
	int64_t time_ns;
};

static inline int64_t sheet_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline struct sheet *sheet_map(const char *fd)
{
	void *sheet = mmap(NULL, sizeof(struct sheet), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_POPULATE, atoi(fd), 0);

	if (sheet == MAP_FAILED) {
		perror("sheet");
		exit(2);
	}
	return (struct sheet *)sheet;
}

static inline bool sheet_stopped(const struct sheet *sheet)
{
	return __atomic_load_n(&sheet->stop, __ATOMIC_RELAXED) != 0;
}

/* ---- producers ---- */

/* The last thing before publishing. */
static inline void sheet_stamp_frame(struct sheet *sheet, void *frame, uint64_t number)
{
	volatile struct sheet_stamp *stamp = (volatile struct sheet_stamp *)frame;
	volatile uint64_t *end =
		(volatile uint64_t *)((char *)frame + sheet->frame_size - sizeof(uint64_t));

	*end = number;
	stamp->number = number;
	stamp->time_ns = sheet_now();
	__atomic_store_n(&sheet->published, number, __ATOMIC_RELAXED);
	if (sheet->delay_ns != 0)
		for (int64_t stop = stamp->time_ns + sheet->delay_ns; sheet_now() < stop;)
			;
}

struct sheet_pace {
	int64_t period_ns, due_ns;
};

static inline void sheet_pace_init(const struct sheet *sheet, struct sheet_pace *ret_pace)
{
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* as camtapd does */
	ret_pace->period_ns = sheet->rate > 0 ? INT64_C(1000000000) / sheet->rate : 0;
	ret_pace->due_ns = sheet_now();
}

/* Sleeps until the next frame is due; after a pause of more than a beat, from then on. */
static inline void sheet_pace(struct sheet_pace *pace)
{
	struct timespec due;
	int64_t now;

	if (pace->period_ns == 0)
		return;
	pace->due_ns += pace->period_ns;
	now = sheet_now();
	if (pace->due_ns < now - pace->period_ns)
		pace->due_ns = now;
	due.tv_sec = pace->due_ns / INT64_C(1000000000);
	due.tv_nsec = pace->due_ns % INT64_C(1000000000);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
}

/* ---- readers ---- */

struct sheet_look {
	uint64_t number;
	int64_t time_ns, latency_ns;
	bool torn;
};

/* Touches a frame. `announced` is its number, as the system said; 0: it says none. */
static inline struct sheet_look sheet_look(
	const struct sheet *sheet, const void *frame, uint64_t announced)
{
	const volatile struct sheet_stamp *stamp = (const volatile struct sheet_stamp *)frame;
	const volatile uint64_t *end =
		(const volatile uint64_t *)((const char *)frame + sheet->frame_size -
					    sizeof(uint64_t));
	struct sheet_look look;
	uint64_t number_at_end;

	look.number = stamp->number;
	look.time_ns = stamp->time_ns;
	number_at_end = *end;
	look.latency_ns = sheet_now() - look.time_ns;
	look.torn = look.number != number_at_end || look.number == 0 ||
		    (announced != 0 && look.number != announced);
	return look;
}

static inline void sheet_write_down(
	struct sheet *sheet, struct sheet_reader *reader, const struct sheet_look *look)
{
	struct sheet_entry *entries = sheet->entries[reader - sheet->reader];
	struct sheet_entry *entry;
	int64_t from = __atomic_load_n(&sheet->from, __ATOMIC_ACQUIRE);
	bool within = from != 0 && look->time_ns >= from && look->time_ns < sheet->until;

	if (look->torn) {
		reader->torn += within;
		return;
	}
	if (look->number <= reader->last) {
		reader->again += within;
		return;
	}
	if (within) {
		if (reader->first_within == 0)
			reader->first_within = look->number;
		else
			reader->gaps += look->number - reader->last - 1;
		reader->last_within = look->number;
		entry = &entries[reader->received++ % SHEET_ENTRIES];
		entry->number = look->number;
		entry->latency_ns = look->latency_ns;
	}
	reader->last = look->number;
}

/* One frame, in one call. Faults that the sheet asks for are made here. */
static inline void sheet_receive(
	struct sheet *sheet, struct sheet_reader *reader, const struct sheet_look *look)
{
	__atomic_store_n(&reader->seen, reader->seen + 1, __ATOMIC_RELAXED);
	if (sheet->skip != 0 && look->number % sheet->skip == 0)
		return;
	sheet_write_down(sheet, reader, look);
	if (sheet->repeat != 0 && look->number % sheet->repeat == 0)
		sheet_write_down(sheet, reader, look);
}

/* Is this frame within the window? For what a system tells of it. */
static inline bool sheet_within(const struct sheet *sheet, const struct sheet_look *look)
{
	int64_t from = __atomic_load_n(&sheet->from, __ATOMIC_ACQUIRE);

	return from != 0 && look->time_ns >= from && look->time_ns < sheet->until;
}

/* Makes the readers, each a process of its own: returns the number of the reader in each child, and
 * -1 in the parent. compare.py kills them. */
static inline int sheet_fork_readers(struct sheet *sheet)
{
	for (uint32_t i = 0; i < sheet->readers; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("fork");
			exit(2);
		}
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, 9);
			sheet->reader[i].told = UINT64_MAX;
			sheet->reader[i].pid = getpid();
			return (int)i;
		}
	}
	return -1;
}

static inline void sheet_wait_for_readers(void)
{
	while (wait(NULL) > 0)
		;
}

#endif
