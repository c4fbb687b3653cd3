/* SPDX-License-Identifier: MIT */

/*
 * bench-floor MEANS SHEET-FD: what the kernel alone costs. A ring of 8 slots in a memfd and nothing
 * around it: no locks, no checks, nothing that keeps a slot from being written while it is read.
 * Readers are told of frames by one of
 *
 *   seqpacket  a message with number and slot to each reader
 *   pipe       a byte in a pipe for each reader, who reads the numbers from the ring
 *   eventfd    the same with an eventfd
 *   futex      one wake-up for all who wait on the ring's newest number
 *   none       nobody: the pace alone, which is subtracted from everybody's CPU time
 *
 * Nobody waits for a reader: what does not fit into its queue is not sent. Readers block in the one
 * system call that they need, and go on to the next frames that are there before they block again.
 */

#include "sheet.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define SLOTS 8

enum means {
	MEANS_SEQPACKET,
	MEANS_PIPE,
	MEANS_EVENTFD,
	MEANS_FUTEX,
	MEANS_NONE,
	MEANS_COUNT
};
static const char *const means_names[MEANS_COUNT] = {
	"seqpacket", "pipe", "eventfd", "futex", "none"};

struct ring {
	uint64_t newest;    /* number of the newest frame; it is in slot number % SLOTS */
	uint32_t wait_word; /* its low half: futexes have 32 bits */
	uint8_t reserved[4096 - 12];
	uint8_t slots[];
};

struct announcement { /* as big as camtap's */
	uint64_t number;
	uint8_t reserved[56];
};

struct reader {
	int producer_end, reader_end;
};

struct floor {
	struct sheet *sheet;
	enum means means;
	struct ring *ring;
	size_t slot_size;
	struct reader readers[SHEET_READERS_MAX];
};

static void check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(2);
	}
}

static void *slot_of(struct floor *floor, uint64_t number)
{
	return floor->ring->slots + number % SLOTS * floor->slot_size;
}

static void make_ring(struct floor *floor)
{
	size_t size;
	int fd;

	floor->slot_size = (floor->sheet->frame_size + 4095) & ~(size_t)4095;
	size = sizeof *floor->ring + SLOTS * floor->slot_size;
	fd = memfd_create("ring", MFD_CLOEXEC);
	check(fd, "memfd_create");
	check(ftruncate(fd, (off_t)size), "ftruncate");
	floor->ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	check(floor->ring == MAP_FAILED ? -1 : 0, "mmap");
}

static void make_channel(struct floor *floor, struct reader *reader)
{
	int ends[2] = {-1, -1};

	switch (floor->means) {
	case MEANS_SEQPACKET:
		check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), "socketpair");
		reader->reader_end = ends[0];
		reader->producer_end = ends[1];
		break;
	case MEANS_PIPE:
		check(pipe(ends), "pipe");
		reader->reader_end = ends[0];
		reader->producer_end = ends[1];
		check(fcntl(ends[1], F_SETFL, O_NONBLOCK), "fcntl");
		break;
	case MEANS_EVENTFD:
		reader->reader_end = reader->producer_end = eventfd(0, 0);
		check(reader->reader_end, "eventfd");
		break;
	default:
		break;
	}
}

/* ---- producer ---- */

static void announce(struct floor *floor, uint64_t number)
{
	struct announcement announcement = {.number = number};
	struct ring *ring = floor->ring;
	uint64_t one = 1;

	if (floor->means == MEANS_FUTEX) {
		__atomic_store_n(&ring->wait_word, (uint32_t)number, __ATOMIC_RELEASE);
		syscall(SYS_futex, &ring->wait_word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
		return;
	}
	for (uint32_t i = 0; i < floor->sheet->readers; i++) {
		int fd = floor->readers[i].producer_end;

		if (floor->means == MEANS_SEQPACKET)
			(void)!send(fd, &announcement, sizeof announcement,
				MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (floor->means == MEANS_PIPE)
			(void)!write(fd, "", 1);
		else /* would block after 2^64 - 2 frames */
			(void)!write(fd, &one, sizeof one);
	}
}

static void produce(struct floor *floor)
{
	struct sheet *sheet = floor->sheet;
	struct sheet_pace pace;

	sheet_pace_init(sheet, &pace);
	for (uint64_t number = 1; !sheet_stopped(sheet); number++) {
		sheet_pace(&pace);
		sheet_stamp_frame(sheet, slot_of(floor, number), number);
		__atomic_store_n(&floor->ring->newest, number, __ATOMIC_RELEASE);
		if (floor->means != MEANS_NONE)
			announce(floor, number);
	}
}

/* ---- reader ---- */

static void receive(struct floor *floor, struct sheet_reader *reader, uint64_t number)
{
	struct sheet_look look = sheet_look(floor->sheet, slot_of(floor, number), number);

	sheet_receive(floor->sheet, reader, &look);
}

static void read_messages(struct floor *floor, struct sheet_reader *reader, int fd)
{
	struct announcement announcement;

	while (recv(fd, &announcement, sizeof announcement, 0) == sizeof announcement)
		receive(floor, reader, announcement.number);
}

/* Woken without a number: all frames that are there and were not read yet, in order. */
static void read_ring(struct floor *floor, struct sheet_reader *reader, int fd)
{
	struct ring *ring = floor->ring;
	uint64_t last = __atomic_load_n(&ring->newest, __ATOMIC_ACQUIRE), newest;
	char drained[4096];

	for (;;) {
		newest = __atomic_load_n(&ring->newest, __ATOMIC_ACQUIRE);
		if (newest > last + SLOTS - 1) /* the oldest of the ring is being written */
			last = newest - (SLOTS - 1);
		if (last < newest) {
			receive(floor, reader, ++last);
		} else if (floor->means == MEANS_FUTEX) {
			syscall(SYS_futex, &ring->wait_word, FUTEX_WAIT, (uint32_t)last, NULL, NULL,
				0);
		} else if (read(fd, drained, floor->means == MEANS_PIPE ? sizeof drained : 8) <=
			   0) {
			return;
		}
	}
}

int main(int argc, char **argv)
{
	struct floor floor = {.means = MEANS_COUNT};
	int index;

	for (int i = 0; argc == 3 && i < MEANS_COUNT; i++)
		if (strcmp(argv[1], means_names[i]) == 0)
			floor.means = (enum means)i;
	if (floor.means == MEANS_COUNT) {
		fprintf(stderr, "bench-floor: MEANS SHEET-FD\n");
		return 2;
	}
	floor.sheet = sheet_map(argv[2]);
	make_ring(&floor);
	for (uint32_t i = 0; i < floor.sheet->readers; i++)
		make_channel(&floor, &floor.readers[i]);
	index = sheet_fork_readers(floor.sheet);
	if (index < 0) {
		produce(&floor);
		sheet_wait_for_readers();
	} else if (floor.means == MEANS_SEQPACKET) {
		read_messages(&floor, &floor.sheet->reader[index], floor.readers[index].reader_end);
	} else {
		read_ring(&floor, &floor.sheet->reader[index], floor.readers[index].reader_end);
	}
	return 0;
}
