/* SPDX-License-Identifier: MIT */

/*
 * bench-ustreamer-readers SHEET-FD OBJECT: readers of ustreamer's memory sink, as its own clients
 * are (version 2 of the sink): they look every millisecond whether there is another frame, and copy
 * it out while they have the lock.
 */

#include "sheet.h"

#include <sys/file.h>

#define SINK_MAGIC   UINT64_C(0xcafebabecafebabe)
#define SINK_VERSION 2
#define SINK_DATA    33554432 /* bytes at most */
#define POLL_USEC    1000

struct sink {
	uint64_t magic;
	uint32_t version;
	uint64_t id; /* of the frame */
	size_t used; /* bytes */
	unsigned width, height, format, stride;
	bool online, key;
	long double grab_time, encode_begin_time, encode_end_time; /* s */
	long double last_client_time;
	uint8_t data[SINK_DATA];
};

static void lock(int fd)
{
	while (flock(fd, LOCK_EX | LOCK_NB) < 0)
		usleep(POLL_USEC);
}

static void read_frames(struct sheet *sheet, struct sheet_reader *reader, int fd, struct sink *sink)
{
	uint8_t *copy = malloc(sheet->frame_size);
	uint64_t id = 0;

	if (copy == NULL)
		exit(1);
	memset(copy, 0, sheet->frame_size);
	for (;;) {
		bool fresh;

		lock(fd);
		fresh = sink->magic == SINK_MAGIC && sink->version == SINK_VERSION &&
			sink->id != id && sink->used == sheet->frame_size;
		if (fresh) {
			id = sink->id;
			memcpy(copy, sink->data, sheet->frame_size);
		}
		sink->last_client_time = (long double)sheet_now() / 1e9L;
		flock(fd, LOCK_UN);
		if (fresh) {
			struct sheet_look look = sheet_look(sheet, copy, 0);

			sheet_receive(sheet, reader, &look);
		} else {
			usleep(POLL_USEC);
		}
	}
}

int main(int argc, char **argv)
{
	struct sheet *sheet;
	struct sink *sink;
	int index, fd;

	if (argc != 3) {
		fprintf(stderr, "bench-ustreamer-readers: SHEET-FD OBJECT\n");
		return 2;
	}
	sheet = sheet_map(argv[1]);
	index = sheet_fork_readers(sheet);
	if (index < 0) {
		sheet_wait_for_readers();
		return 0;
	}
	fd = shm_open(argv[2], O_RDWR, 0);
	sink = fd < 0 ? MAP_FAILED
		      : mmap(NULL, sizeof *sink, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (sink == MAP_FAILED) {
		perror("bench-ustreamer-readers");
		return 1;
	}
	read_frames(sheet, &sheet->reader[index], fd, sink);
	return 0;
}
