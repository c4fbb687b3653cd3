/* SPDX-License-Identifier: MIT */

/*
 * readonly SOCKET [UID [bell]]: attaches (as user UID, if told) and tries every way to write into
 * the pool that it is given, or into the bell; of that it says which file it is, too. One line per
 * attempt: by what, how, and the error, or ALLOWED. Ends with 1 if one of them was allowed.
 *
 * readonly control: the same attempts on memory that is only opened and mapped read-only, without
 * seals: those that work there show that the attempts are real.
 */

#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned allowed;

static void tried(const char *how, const char *what, bool done)
{
	printf("%s: %s: %s\n", how, what, done ? "ALLOWED" : strerrorname_np(errno));
	allowed += done;
}

static bool map_done(int fd, size_t size, int protection)
{
	void *map = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return false;
	munmap(map, size);
	return true;
}

static bool splice_done(int fd)
{
	off_t offset = 0;
	int pipe_fds[2];
	bool done;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0 || write(pipe_fds[1], "x", 1) != 1)
		abort();
	done = splice(pipe_fds[0], NULL, fd, &offset, 1, 0) == 1;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return done;
}

static bool copy_done(int fd)
{
	int from = memfd_create("from", MFD_CLOEXEC);
	off_t offset = 0;
	bool done;

	if (from < 0 || write(from, "x", 1) != 1)
		abort();
	done = copy_file_range(from, &(off_t){0}, fd, &offset, 1, 0) == 1;
	if (!done)
		done = sendfile(fd, from, &(off_t){0}, 1) == 1;
	close(from);
	return done;
}

static void try_file(const char *how, int fd, size_t size)
{
	tried(how, "map writable", map_done(fd, size, PROT_READ | PROT_WRITE));
	tried(how, "map for writing only", map_done(fd, size, PROT_WRITE));
	tried(how, "write", write(fd, "x", 1) == 1);
	tried(how, "pwrite", pwrite(fd, "x", 1, 0) == 1);
	tried(how, "splice", splice_done(fd));
	tried(how, "copy", copy_done(fd));
	tried(how, "grow", ftruncate(fd, (off_t)size * 2) == 0);
	tried(how, "shrink", ftruncate(fd, (off_t)size / 2) == 0);
	tried(how, "allocate", fallocate(fd, 0, 0, (off_t)size + 4096) == 0);
	tried(how, "punch a hole",
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
	tried(how, "seal", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
}

/* In a child of ours, whose mapping of the pool is the same. */
static bool poke_done(void *address)
{
	bool done = false;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	done = ptrace(PTRACE_POKEDATA, pid, address, (void *)1) == 0;
	if (done == false) {
		int error = errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		errno = error;
	}
	return done;
}

static bool proc_mem_done(void *address)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	bool done = fd >= 0 && pwrite(fd, "x", 1, (off_t)(uintptr_t)address) == 1;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return done;
}

static bool read_into_done(void *address)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	bool done = fd >= 0 && read(fd, address, 1) == 1;
	int error = errno;

	close(fd);
	errno = error;
	return done;
}

static void try_mapping(void *map, size_t size)
{
	struct iovec from = {.iov_base = (char[]){"x"}, .iov_len = 1};
	struct iovec to = {.iov_base = map, .iov_len = 1};

	tried("mapping", "mprotect", mprotect(map, size, PROT_READ | PROT_WRITE) == 0);
	tried("mapping", "MADV_REMOVE", madvise(map, 4096, MADV_REMOVE) == 0);
	tried("mapping", "/proc/self/mem", proc_mem_done(map));
	tried("mapping", "process_vm_writev",
		process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1);
	tried("mapping", "PTRACE_POKEDATA", poke_done(map));
	tried("mapping", "read() into it", read_into_done(map));
}

/* A private mapping may be written: the kernel copies the page, and nobody else sees it. */
static void try_private(const struct raw *raw)
{
	size_t size = raw->format.pool_size;
	uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, raw->pool_fd, 0);

	if (map == MAP_FAILED) {
		tried("private", "map", false);
		return;
	}
	memset(map, 0, 4096);
	errno = EROFS; /* what it comes to */
	tried("private", "write reaches the pool",
		memcmp(raw->pool, POOL_MAGIC, strlen(POOL_MAGIC)) != 0);
	munmap(map, size);
}

static void try_again(const char *how, const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		tried(how, "open for writing", false);
		return;
	}
	try_file(how, fd, size); /* the open mode is no protection, the seals are */
	close(fd);
}

/* What a pool would be without its seals. */
static void attach_to_control(struct raw *raw)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE) * 4;
	int fd = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char path[64];
	void *map;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
		pwrite(fd, POOL_MAGIC, strlen(POOL_MAGIC), 0) < 0)
		abort();
	raw->pool_fd = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, raw->pool_fd, 0);
	if (map == MAP_FAILED)
		abort();
	raw->pool = map;
	raw->format.pool_size = raw->view.size = size;
}

static void become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0) {
		perror("readonly: setuid");
		exit(2);
	}
	prctl(PR_SET_DUMPABLE, 1UL, 0UL, 0UL, 0UL); /* else /proc/self is root's */
}

/* From now on the bell is what is called the pool. */
static int attack_bell(struct raw *raw)
{
	struct stat status;

	if (raw->bell_fd < 0 || fstat(raw->bell_fd, &status) < 0)
		return -ENOENT;
	printf("bell: inode: %ju\n", (uintmax_t)status.st_ino);
	munmap(raw->pool, raw->view.size);
	close(raw->pool_fd);
	raw->pool_fd = dup(raw->bell_fd);
	raw->pool = (uint8_t *)raw->bell - raw->format.bell_offset;
	raw->view.size = raw->format.pool_size = raw->format.bell_size;
	raw->bell = NULL;
	return 0;
}

int main(int argc, char **argv)
{
	bool bell = argc > 3 && strcmp(argv[3], "bell") == 0;
	char path[128];
	struct raw raw;
	int error;

	if (argc < 2)
		return 2;
	if (argc > 2)
		become((uid_t)atoi(argv[2]));
	raw_init(&raw);
	if (strcmp(argv[1], "control") == 0) {
		attach_to_control(&raw);
	} else {
		error = raw_attach(&raw, argv[1], "readonly", bell ? WIRE_FEATURE_BELL : 0);
		if (error == 0 && bell)
			error = attack_bell(&raw);
		if (error < 0) {
			fprintf(stderr, "readonly: %s\n", strerror(-error));
			return 2;
		}
	}
	try_file("as received", raw.pool_fd, raw.format.pool_size);
	try_mapping(raw.pool, raw.view.size);
	if (!bell)
		try_private(&raw);
	snprintf(path, sizeof path, "/proc/self/fd/%d", raw.pool_fd);
	try_again("reopened by /proc/self/fd", path, raw.format.pool_size);
	snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)raw.pool,
		(unsigned long)raw.pool + raw.view.size);
	try_again("reopened by /proc/self/map_files", path, raw.format.pool_size);
	raw_finish(&raw);
	return allowed > 0;
}
