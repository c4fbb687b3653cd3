/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#define GROUPS_MAX 1024

static int pidfd_of(int socket, pid_t pid)
{
	socklen_t size = sizeof(int);
	int fd;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0)
		return fd;
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void program_of(pid_t pid, char ret_program[PEER_PROGRAM_SIZE])
{
	char path[64], name[PEER_PROGRAM_SIZE];
	ssize_t length;
	int fd;

	ret_program[0] = '\0';
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) /* ProtectProc=invisible hides it */
		return;
	length = read(fd, name, sizeof name);
	close(fd);
	if (length > 0 && name[length - 1] == '\n')
		length--;
	if (length > 0)
		message_printable(ret_program, PEER_PROGRAM_SIZE, name, (size_t)length);
}

int peer_init(struct peer *ret_peer, int socket)
{
	struct ucred credentials;
	socklen_t size = sizeof credentials;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return -errno;
	ret_peer->pid = credentials.pid;
	ret_peer->uid = credentials.uid;
	ret_peer->gid = credentials.gid;
	ret_peer->pidfd = pidfd_of(socket, credentials.pid);
	program_of(credentials.pid, ret_peer->program);
	return 0;
}

static bool contains(const gid_t *groups, size_t count, gid_t group)
{
	for (size_t i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

bool peer_is_in(const struct peer *peer, int socket, const gid_t *groups, size_t count)
{
	gid_t others[GROUPS_MAX];
	socklen_t size = sizeof others;

	if (contains(groups, count, peer->gid))
		return true;
	if (count == 0 || getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, others, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof *others; i++)
		if (contains(groups, count, others[i]))
			return true;
	return false;
}
