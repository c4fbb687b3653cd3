/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FILE_MODE = 0666,   /* the umask takes from it */
	FOLDER_MODE = 0777, /* likewise */
	FD_PATH_SIZE = 64,
};

int output_folder_init(struct output_folder *ret_folder, const char *path, bool sync)
{
	struct output_folder folder = {.path = path, .sync = sync};
	int fd;

	if (mkdir(path, FOLDER_MODE) == 0)
		folder.made = true;
	else if (errno != EEXIST)
		return -errno;
	folder.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder.fd < 0)
		return -errno;

	/* Also tells at once whether the folder can be written to. Linking goes through /proc. */
	fd = openat(folder.fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, FILE_MODE);
	if (fd >= 0) {
		folder.anonymous = access("/proc/self/fd", X_OK) == 0;
		close(fd);
	} else if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) {
		int r = -errno;

		output_folder_finish(&folder);
		return r;
	}
	*ret_folder = folder;
	return 0;
}

void output_folder_finish(struct output_folder *folder)
{
	close(folder->fd);
	if (folder->made)
		rmdir(folder->path); /* fails as long as there is something in it */
	folder->fd = -1;
}

/* A name that a process of the same number left when it was killed is passed over. */
static int open_hidden(struct output_file *file)
{
	struct output_folder *folder = file->folder;

	do {
		snprintf(file->hidden, sizeof(file->hidden), ".camtap-%d-%u.tmp", (int)getpid(),
			folder->count++);
		file->fd = openat(folder->fd, file->hidden, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC,
			FILE_MODE);
	} while (file->fd < 0 && errno == EEXIST);
	return file->fd < 0 ? -errno : 0;
}

int output_file_open(struct output_file *ret_file, struct output_folder *folder)
{
	struct output_file file = {.folder = folder};
	int r = 0;

	ret_file->fd = -1;
	if (folder->anonymous) {
		file.fd = openat(folder->fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, FILE_MODE);
		r = file.fd < 0 ? -errno : 0;
	} else {
		r = open_hidden(&file);
	}
	if (r == 0)
		*ret_file = file;
	return r;
}

int output_write(int fd, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	while (size > 0) {
		ssize_t written = write(fd, bytes, size);

		if (written >= 0) {
			bytes += written;
			size -= (size_t)written;
		} else if (errno == EAGAIN) {
			/* a pipe that somebody else made non-blocking */
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int output_file_write(struct output_file *file, const void *data, size_t size)
{
	int r = output_write(file->fd, data, size);

	if (r == 0) {
		file->size += (off_t)size;
		return 0;
	}
	if (ftruncate(file->fd, file->size) < 0 || lseek(file->fd, file->size, SEEK_SET) < 0)
		output_file_discard(file);
	return r;
}

/* Some file systems (NFS, some of FUSE) know no RENAME_NOREPLACE, others (FAT) no second link. */
static int publish_hidden(struct output_file *file, const char *name)
{
	int folder = file->folder->fd, fd = file->fd;

	/* NFS and FUSE may tell only now that there was no room. */
	file->fd = -1;
	if (close(fd) < 0)
		return -errno;
	if (renameat2(folder, file->hidden, folder, name, RENAME_NOREPLACE) == 0) {
		file->hidden[0] = '\0';
		return 0;
	}
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	return linkat(folder, file->hidden, folder, name, 0) < 0 ? -errno : 0;
}

static int publish_anonymous(struct output_file *file, const char *name)
{
	char path[FD_PATH_SIZE];

	/* Not AT_EMPTY_PATH: that needs CAP_DAC_READ_SEARCH (open(2), O_TMPFILE). */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	return linkat(AT_FDCWD, path, file->folder->fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int output_file_publish(struct output_file *file, const char *name)
{
	int r = 0;

	if (file->folder->sync && fsync(file->fd) < 0)
		r = -errno;
	if (r == 0)
		r = file->hidden[0] ? publish_hidden(file, name) : publish_anonymous(file, name);
	output_file_discard(file); /* closes it; the hidden name, if there is one still, goes */
	if (r == 0 && file->folder->sync && fsync(file->folder->fd) < 0)
		r = -errno;
	return r;
}

void output_file_discard(struct output_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	if (file->hidden[0])
		unlinkat(file->folder->fd, file->hidden, 0);
	file->hidden[0] = '\0';
}

void output_folder_remove(struct output_folder *folder, const char *name)
{
	unlinkat(folder->fd, name, 0);
}
