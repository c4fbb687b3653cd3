/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include "log-messages.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif
#define GROUP "camtap"

/* The daemon does not start for this reason. */
#define fail(...)                                                                                  \
	log_event(LOG_ERR, &(struct log_fields){.message_id = LOG_START_FAILED}, __VA_ARGS__)

static int default_path(const char *name, char ret_path[ADDRESS_PATH_SIZE])
{
	char directory[ADDRESS_PATH_SIZE];
	int error;

	if (geteuid() == 0)
		return address_socket_path(ADDRESS_SYSTEM_DIRECTORY, name, ret_path);
	error = address_user_directory(directory);
	if (error < 0) {
		fail("XDG_RUNTIME_DIR is not set: say --socket PATH");
		return error;
	}
	return address_socket_path(directory, name, ret_path);
}

/* Makes the two directories above the socket (camtap/NAME) where they are missing. Others may enter
 * them: the socket's own mode says who may connect. */
static int make_directories(const char *path)
{
	char directory[ADDRESS_PATH_SIZE], *slash;

	snprintf(directory, sizeof directory, "%s", path);
	slash = strrchr(directory, '/');
	if (slash == NULL || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	slash = strrchr(directory, '/');
	if (slash == NULL || slash == directory)
		return -ENOENT;
	*slash = '\0';
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return -errno;
	*slash = '/';
	return mkdir(directory, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

static void lock_path(const struct listener *listener, char ret_path[PATH_MAX])
{
	snprintf(ret_path, PATH_MAX, "%s.lock", listener->path);
}

/* Takes the lock file that says that a daemon lives at this socket. It may be removed by the one
 * that had it, between our open and our lock: then it is taken again. */
static int take_lock(struct listener *listener)
{
	struct stat opened, named;
	char path[PATH_MAX];
	int error;

	lock_path(listener, path);
	for (;;) {
		listener->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (listener->lock_fd < 0)
			return -errno;
		if (flock(listener->lock_fd, LOCK_EX | LOCK_NB) < 0) {
			error = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
			break;
		}
		if (fstat(listener->lock_fd, &opened) == 0 && stat(path, &named) == 0 &&
			opened.st_ino == named.st_ino)
			return 0;
		close(listener->lock_fd);
	}
	close(listener->lock_fd);
	return error;
}

static void give_to_group(const char *path)
{
	const struct group *group = getgrnam(GROUP);

	if (group != NULL && geteuid() == 0 && chown(path, (uid_t)-1, group->gr_gid) < 0)
		log_warning("%s: cannot give it to group " GROUP ": %s", path, strerror(errno));
}

static int bind_and_listen(struct listener *listener)
{
	struct sockaddr_un address;
	mode_t mask;
	int error;

	error = address_init(&address, listener->path);
	if (error < 0)
		return error;
	listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return -errno;
	/* the lock is ours: a socket that is there was left behind */
	if (unlink(listener->path) < 0 && errno != ENOENT) {
		error = -errno;
		goto close_fd;
	}
	mask = umask(0117); /* 0660, from the first moment on */
	error = bind(listener->fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	umask(mask);
	if (error < 0)
		goto close_fd;
	give_to_group(listener->path);
	if (listen(listener->fd, SOMAXCONN) < 0) {
		error = -errno;
		goto unlink_path;
	}
	return 0;

unlink_path:
	unlink(listener->path);
close_fd:
	close(listener->fd);
	return error;
}

/* Systemd's socket: 1 if there is one. */
static int from_systemd(struct listener *listener)
{
	int count = sd_listen_fds(1);

	if (count <= 0)
		return count;
	if (count > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) <= 0) {
		fail("the socket unit must pass exactly one listening Unix socket: "
		     "ListenSequentialPacket=");
		return -EINVAL;
	}
	listener->fd = SD_LISTEN_FDS_START;
	listener->path[0] = '\0';
	if (fcntl(listener->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return -errno;
	return 1;
}

int listener_init(struct listener *ret_listener, const char *name, const char *path)
{
	struct listener listener = {.fd = -1, .lock_fd = -1};
	int zero = 0, error;

	error = from_systemd(&listener);
	if (error < 0)
		return error;
	if (error == 0) {
		if (path == NULL)
			error = default_path(name, listener.path);
		else if (strlen(path) >= sizeof listener.path)
			error = -ENAMETOOLONG;
		else
			strcpy(listener.path, path);
		if (error < 0) {
			if (error == -ENAMETOOLONG)
				fail("%s: longer than a socket's path may be (%zu bytes)",
					path != NULL ? path : name, sizeof listener.path - 1);
			return error;
		}
		error = make_directories(listener.path);
		if (error == 0)
			error = take_lock(&listener);
		if (error == -EADDRINUSE) {
			fail("%s: a camtapd serves this socket already: stop it, or choose "
			     "another "
			     "--name or --socket",
				listener.path);
			return error;
		}
		if (error == 0) {
			error = bind_and_listen(&listener);
			if (error < 0)
				close(listener.lock_fd);
		}
		if (error < 0) {
			fail("%s: %s", listener.path, strerror(-error));
			return error;
		}
	}
	/* no client has a reason to send fds; where the kernel knows how, it refuses them for us */
	(void)setsockopt(listener.fd, SOL_SOCKET, SO_PASSRIGHTS, &zero, sizeof zero);
	*ret_listener = listener;
	return 0;
}

void listener_finish(struct listener *listener)
{
	char path[PATH_MAX], *slash;

	if (listener->path[0] != '\0') {
		unlink(listener->path);
		lock_path(listener, path);
		unlink(path);
		close(listener->lock_fd);
		slash = strrchr(listener->path, '/');
		if (slash != NULL && slash != listener->path) {
			*slash = '\0';
			/* of a camera's own directory only; anything else is not empty or not ours
			 */
			if (strstr(listener->path, "/camtap/") != NULL)
				(void)rmdir(listener->path);
		}
	}
	close(listener->fd);
}
