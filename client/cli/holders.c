/* SPDX-License-Identifier: MIT */
#include "holders.h"

#include "terminal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LISTENING 0x10000 /* a socket's flag in /proc/net/unix: __SO_ACCEPTCON, linux/net.h */

enum {
	LINE_SIZE = 512,
};

struct search {
	int proc; /* its fd */
	const dev_t *nodes;
	size_t node_count;
	struct holders holders;
};

static bool is_wanted(const struct search *search, dev_t node)
{
	for (size_t i = 0; i < search->node_count; i++)
		if (search->nodes[i] == node)
			return true;
	return false;
}

/* Opens a file of a process; NULL: it has none that may be read. */
static FILE *open_of_process(const struct search *search, pid_t pid, const char *name)
{
	char path[LINE_SIZE];
	FILE *file;
	int fd;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	fd = openat(search->proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

static void read_program(const struct search *search, pid_t pid, char program[HOLDER_PROGRAM_SIZE])
{
	FILE *file = open_of_process(search, pid, "comm");

	if (!file || !fgets(program, HOLDER_PROGRAM_SIZE, file))
		strcpy(program, "?");
	if (file)
		fclose(file);
	program[strcspn(program, "\n")] = '\0';
	terminal_printable(program);
}

/* Kernel threads and processes that have ended have no command line, and no open files. */
static bool has_command_line(const struct search *search, pid_t pid)
{
	FILE *file = open_of_process(search, pid, "cmdline");
	bool found;

	if (!file)
		return false;
	found = fgetc(file) != EOF;
	fclose(file);
	return found;
}

static DIR *open_files(const struct search *search, pid_t pid)
{
	char path[LINE_SIZE];
	DIR *directory;
	int fd;

	snprintf(path, sizeof(path), "%d/fd", (int)pid);
	fd = openat(search->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	directory = fdopendir(fd);
	if (!directory)
		close(fd);
	return directory;
}

/* ---- the socket of a camtapd ---- */

static bool has_socket(const struct search *search, pid_t pid, unsigned long inode)
{
	DIR *directory = open_files(search, pid);
	char wanted[LINE_SIZE], target[LINE_SIZE];
	struct dirent *entry;
	bool found = false;

	if (!directory)
		return false;
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	while (!found && (entry = readdir(directory))) {
		ssize_t length =
			readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);

		if (length < 0)
			continue;
		target[length] = '\0';
		found = strcmp(target, wanted) == 0;
	}
	closedir(directory);
	return found;
}

/* Finds the path of the first socket with one that the process listens on, in its own network
 * namespace. No connection is made, which could start something. */
static void read_socket(const struct search *search, struct holder *holder)
{
	FILE *file = open_of_process(search, holder->pid, "net/unix");
	char line[LINE_SIZE];

	while (file && fgets(line, sizeof(line), file)) {
		unsigned long flags, inode;
		int path = 0;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*s %*x %*x %lx %*x %*x %lu %n", &flags, &inode, &path) != 2)
			continue;
		if (path == 0 || line[path] != '/' || !(flags & LISTENING) ||
			strlen(line + path) >= sizeof(holder->socket) ||
			!has_socket(search, holder->pid, inode))
			continue;
		strcpy(holder->socket, terminal_printable(line + path));
		break;
	}
	if (file)
		fclose(file);
}

/* ---- open files ---- */

static int append(struct search *search, pid_t pid, dev_t node)
{
	struct holders *holders = &search->holders;
	struct holder holder = {.pid = pid, .node = node}, *entries;

	for (size_t i = 0; i < holders->count; i++)
		if (holders->entries[i].pid == pid && holders->entries[i].node == node)
			return 0;
	read_program(search, pid, holder.program);
	if (strcmp(holder.program, "camtapd") == 0)
		read_socket(search, &holder);
	entries = reallocarray(holders->entries, holders->count + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	holders->entries = entries;
	entries[holders->count++] = holder;
	return 0;
}

static int look_at_process(struct search *search, pid_t pid)
{
	DIR *directory = open_files(search, pid);
	struct dirent *entry;
	int r = 0;

	if (!directory) {
		if (errno == EACCES && has_command_line(search, pid))
			search->holders.hidden++;
		return 0;
	}
	while (r == 0 && (entry = readdir(directory))) {
		struct statx status;
		dev_t node;

		/* DONT_SYNC: a file of a network server or of FUSE is not asked about */
		if (entry->d_name[0] == '.' ||
			statx(dirfd(directory), entry->d_name, AT_STATX_DONT_SYNC, STATX_TYPE,
				&status) < 0 ||
			!S_ISCHR(status.stx_mode))
			continue;
		node = makedev(status.stx_rdev_major, status.stx_rdev_minor);
		if (is_wanted(search, node))
			r = append(search, pid, node);
	}
	closedir(directory);
	return r;
}

int holders_init(
	struct holders *ret_holders, const char *proc, const dev_t *nodes, size_t node_count)
{
	struct search search = {.nodes = nodes, .node_count = node_count};
	DIR *directory = node_count > 0 ? opendir(proc) : NULL;
	struct dirent *entry;
	int r = 0;

	if (directory)
		search.proc = dirfd(directory);
	while (directory && r == 0 && (entry = readdir(directory)))
		if (isdigit((unsigned char)entry->d_name[0]))
			r = look_at_process(&search, (pid_t)strtol(entry->d_name, NULL, 10));
	if (directory)
		closedir(directory);
	if (r < 0) {
		holders_finish(&search.holders);
		return r;
	}
	*ret_holders = search.holders;
	return 0;
}

void holders_finish(struct holders *holders)
{
	free(holders->entries);
	*holders = (struct holders){};
}
