/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SETTINGS_H
#define CAMTAP_DAEMON_SETTINGS_H

/*
 * The table of everything that can be set. Command line, configuration files, --help and the test
 * of the documents (man page, example configuration) are all driven by it.
 *
 * A setting with a section is a key of the configuration files and an option of the command line:
 * idle_timeout is --idle-timeout. One without is an option only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options;

struct setting {
	const char *section;  /* of the configuration; NULL: an option only */
	const char *key;      /* snake_case */
	const char *argument; /* placeholder for the option's argument; NULL: a switch */
	const char *help;     /* what it is, for --help: sentences, without line breaks */
	const char *allowed;  /* completes "must be ..." */
	/* What holds if nothing is said, as one would write it. NULL: nothing, and `help` says what
	 * happens then. */
	const char *default_value;
	const char *example; /* a value for the example where there is no default */

	/* Reads the value into the options: 0, -EINVAL, -ERANGE, -ENOMEM. NULL: the command line's
	 * own business. */
	int (*parse)(const struct setting *setting, const char *text, struct options *options);
	size_t offset, size; /* of the member that it sets, in struct options */
	uint64_t min, max;   /* of numbers, bytes, nanoseconds */
	bool reload;         /* it can change while frames come: setting_swap() is all it takes */
};

extern const struct setting settings[];
extern const size_t setting_count;

#define SETTING_OPTION_SIZE 32

/* Writes the option's name without the dashes in front: the key with '-' for '_'. */
void setting_option_name(const struct setting *setting, char name[static SETTING_OPTION_SIZE]);

/* The key of that section; NULL if there is none. */
const struct setting *setting_find(const char *section, const char *key);

/* Reads the value into the options, and keeps what was said. Errors of `parse`. */
int setting_apply(const struct setting *setting, const char *text, struct options *options);
/* What was said last, defaults included; NULL: nothing. */
const char *setting_said(const struct setting *setting, const struct options *options);
/* Swaps a setting whose value is one member between two structures. */
void setting_swap(const struct setting *setting, struct options *a, struct options *b);

#define SETTINGS_CONTROLS "Controls" /* the section whose keys are those of the device */

/* A key of section [Controls]: 0, -EINVAL (no name of a control, or an empty or overlong value),
 * -ENOMEM. */
int setting_control(const char *name, const char *value, struct options *options);

/* Writes every default into the options. -ENOMEM. */
int settings_default(struct options *options);

#endif
