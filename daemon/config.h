/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CONFIG_H
#define CAMTAP_DAEMON_CONFIG_H

/*
 * Configuration files: INI, by libinih. Sections and keys are those of settings.h.
 *
 * Stricter than libinih alone: a key set twice in one file, text behind a value that looks like a
 * comment (libinih would cut an exec: command at its ';') and lines that it would split are errors.
 */

#define CONFIG_ERROR_SIZE 512

struct options;

/* Reads a file into the options, over what is there. 0, or a negative errno and a line in `error`:
 * "FILE:LINE: what is wrong and what is allowed" of the first line that is not right (-EINVAL), or
 * why the file cannot be read (-ENOENT and others). */
int config_read_file(
	const char *path, struct options *options, char error[static CONFIG_ERROR_SIZE]);

/* Reads the files *.conf of a directory in the order of their names (by bytes), hidden ones left
 * out. A missing directory is an empty one. Errors as above. */
int config_read_directory(
	const char *path, struct options *options, char error[static CONFIG_ERROR_SIZE]);

#endif
