/* SPDX-License-Identifier: MIT */

/* epoll-reader SOCKET bell|messages: loop-reader.h in a bare epoll loop. */

#include "loop-reader.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

static bool watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool turn(int epoll, struct loop_reader *reader)
{
	struct epoll_event event;
	int count = epoll_wait(epoll, &event, 1, -1);

	if (count < 0)
		return errno == EINTR;
	return event.data.fd == STDIN_FILENO ? loop_reader_command(reader)
					     : loop_reader_wake(reader);
}

int main(int argc, char **argv)
{
	struct loop_reader *reader = loop_reader_create(argc, argv);
	int epoll, status;

	if (reader == NULL)
		return 1;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll >= 0 && watch(epoll, STDIN_FILENO) && watch(epoll, loop_reader_fd(reader)))
		while (turn(epoll, reader))
			continue;
	close(epoll);
	status = loop_reader_destroy(reader);
	return status;
}
