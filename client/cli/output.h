/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_OUTPUT_H
#define CAMTAP_CLI_OUTPUT_H

/*
 * Files that appear under their names only when they are complete. Until then a file has no name at
 * all (O_TMPFILE), so that not even SIGKILL leaves a piece of one; where the file system cannot do
 * that, it has a hidden one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct output_folder {
	int fd;
	const char *path; /* not copied */
	bool made;        /* by us */
	bool anonymous;   /* O_TMPFILE works here */
	bool sync;        /* files are written through to the disk before they get their names */
	unsigned count;   /* of hidden names given */
};

enum {
	OUTPUT_HIDDEN_SIZE = 64,
};

struct output_file {
	struct output_folder *folder;
	int fd;                          /* -1: not open */
	char hidden[OUTPUT_HIDDEN_SIZE]; /* name until it is published, "": none */
	off_t size;                      /* bytes of complete writes */
};

/* Opens a folder, making it (but not its parents) if it is missing. Negative errno. */
int output_folder_init(struct output_folder *ret_folder, const char *path, bool sync);
/* A folder that was made here and that nothing was put into is removed. */
void output_folder_finish(struct output_folder *folder);

/* Opens a file without a name. Negative errno; the file then is not open. */
int output_file_open(struct output_file *ret_file, struct output_folder *folder);
/* Appends all of `data`, or nothing: after an error (-ENOSPC, -EDQUOT, -EIO ...) the file ends
 * where it did before. */
int output_file_write(struct output_file *file, const void *data, size_t size);
/* Gives the file its name and closes it. -EEXIST: there is one of that name, which stays as it is.
 * After an error the file is closed and gone. */
int output_file_publish(struct output_file *file, const char *name);
/* Closes the file, which leaves no trace; nothing if it is not open. */
void output_file_discard(struct output_file *file);

/* Removes a published file again. */
void output_folder_remove(struct output_folder *folder, const char *name);

/* Writes everything to a pipe or file. Negative errno, -EPIPE if nobody reads any more. */
int output_write(int fd, const void *data, size_t size);

#endif
