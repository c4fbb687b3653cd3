/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "control-list.h"
#include "settings.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n\v\f"

/* A file while it is being read. */
struct reading {
	FILE *file;
	struct options *options;
	unsigned int line;
	unsigned int *set_at;         /* line where settings[n] was set; 0: not yet */
	struct control_list controls; /* lines where these were set */

	int error;               /* negative errno of the first error; 0: none yet */
	unsigned int error_line; /* where that was */
	char text[CONFIG_ERROR_SIZE - 64];
};

__attribute__((format(printf, 3, 4))) static void fail(
	struct reading *reading, int error, const char *format, ...)
{
	va_list arguments;

	if (reading->error != 0)
		return;
	reading->error = error;
	reading->error_line = reading->line;
	va_start(arguments, format);
	vsnprintf(reading->text, sizeof reading->text, format, arguments);
	va_end(arguments);
}

/* Does something follow that was meant as a comment? */
static bool has_inline_comment(const char *line)
{
	if (*line == ';' || *line == '#')
		return false;
	for (const char *c = line; *c != '\0'; c++)
		if (strchr(BLANKS, *c) != NULL && (c[1] == ';' || c[1] == '#'))
			return true;
	return false;
}

/* libinih's fgets(): counts the lines and takes away what it would read in ways of its own. Leading
 * blanks would make a line the continuation of the one before. */
static char *read_line(char *line, int size, void *user)
{
	struct reading *reading = user;
	size_t length = 0, blanks;
	bool text = true;
	int c = EOF;

	if (reading->error != 0)
		return NULL;
	while (length < (size_t)size - 1 && c != '\n' && (c = getc(reading->file)) != EOF) {
		line[length++] = (char)c;
		text &= c != '\0';
	}
	if (length == 0)
		return NULL;
	line[length] = '\0';
	reading->line++;
	if (!text) {
		fail(reading, -EINVAL, "this is no text");
		return NULL;
	}
	if (c != '\n' && c != EOF) {
		fail(reading, -EINVAL,
			"the line is longer than %d bytes; a long command belongs into a script",
			size - 2);
		return NULL;
	}
	blanks = strspn(line, BLANKS);
	memmove(line, line + blanks, length - blanks + 1);
	if (has_inline_comment(line)) {
		fail(reading, -EINVAL,
			"a comment needs a line of its own, and a command with ' ;' or ' #' a "
			"script");
		return NULL;
	}
	if (line[0] == '[' && strchr(line, ']') != NULL &&
		strchr(line, ']')[1 + strspn(strchr(line, ']') + 1, BLANKS)] != '\0') {
		fail(reading, -EINVAL, "nothing may follow behind [SECTION]");
		return NULL;
	}
	return line;
}

/* Appends to a text as much as there is room for. */
__attribute__((format(printf, 3, 4))) static void append(
	char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
}

static void fail_unknown(struct reading *reading, const char *section, const char *key)
{
	char allowed[CONFIG_ERROR_SIZE] = "";
	const char *elsewhere = NULL;
	bool section_known = false;

	for (size_t i = 0; i < setting_count; i++) {
		if (settings[i].section == NULL)
			continue;
		if (strcmp(settings[i].key, key) == 0)
			elsewhere = settings[i].section;
		if (strcmp(settings[i].section, section) != 0)
			continue;
		section_known = true;
		append(allowed, sizeof allowed, " %s", settings[i].key);
	}
	if (!section_known && section[0] != '\0')
		fail(reading, -EINVAL,
			"no such section: [%s]; there are [Camera], [Pool], [Clients], [Access] "
			"and [Controls]",
			section);
	else if (elsewhere != NULL)
		fail(reading, -EINVAL, "%s belongs into section [%s]", key, elsewhere);
	else if (section_known)
		fail(reading, -EINVAL, "no such key: %s; section [%s] has%s", key, section,
			allowed);
	else
		fail(reading, -EINVAL,
			"%s stands in no section; there are [Camera], [Pool], [Clients], [Access] "
			"and [Controls]",
			key);
}

/* A key of section [Controls], as handle(). */
static int handle_control(struct reading *reading, const char *key, const char *value)
{
	const char *set_at = control_list_find(&reading->controls, key);
	char line[16];
	int r;

	if (set_at != NULL) {
		fail(reading, -EINVAL, "%s is set already, in line %s", key, set_at);
		return 0;
	}
	snprintf(line, sizeof line, "%u", reading->line);
	r = setting_control(key, value, reading->options);
	if (r == 0)
		r = control_list_set(&reading->controls, key, line);
	if (r == -ENOMEM)
		fail(reading, r, "out of memory");
	else if (r < 0 && !control_name_valid(key))
		fail(reading, r,
			"%s is no control's name: v4l2-ctl writes them in lower-case letters, "
			"digits "
			"and '_'",
			key);
	else if (r < 0)
		fail(reading, r, "%s: the value is missing or too long", key);
	return r == 0;
}

/* libinih's handler: 1 is right, 0 is an error. */
static int handle(void *user, const char *section, const char *key, const char *value)
{
	struct reading *reading = user;
	const struct setting *setting = setting_find(section, key);
	unsigned int *set_at;
	int r;

	if (strcmp(section, SETTINGS_CONTROLS) == 0)
		return handle_control(reading, key, value);
	if (setting == NULL) {
		fail_unknown(reading, section, key);
		return 0;
	}
	set_at = &reading->set_at[setting - settings];
	if (*set_at != 0) {
		fail(reading, -EINVAL, "%s is set already, in line %u", key, *set_at);
		return 0;
	}
	*set_at = reading->line;
	r = setting_apply(setting, value, reading->options);
	if (r == -ENOMEM) {
		fail(reading, r, "out of memory");
		return 0;
	}
	if (r < 0) {
		fail(reading, r, "%s = %s: must be %s", key, value, setting->allowed);
		return 0;
	}
	return 1;
}

int config_read_file(
	const char *path, struct options *options, char error[static CONFIG_ERROR_SIZE])
{
	struct reading reading = {.options = options};
	int r;

	reading.set_at = calloc(setting_count, sizeof *reading.set_at);
	if (reading.set_at == NULL) {
		snprintf(error, CONFIG_ERROR_SIZE, "%s: out of memory", path);
		return -ENOMEM;
	}
	reading.file = fopen(path, "re");
	if (reading.file == NULL) {
		r = -errno;
		snprintf(error, CONFIG_ERROR_SIZE, "%s: cannot be read: %s", path, strerror(-r));
		goto free_set_at;
	}

	errno = 0;
	r = ini_parse_stream(read_line, &reading, handle, &reading);
	if (ferror(reading.file)) {
		r = errno != 0 ? -errno : -EIO;
		snprintf(error, CONFIG_ERROR_SIZE, "%s: cannot be read: %s", path, strerror(-r));
	} else if (r > 0 && (reading.error == 0 || (unsigned int)r < reading.error_line)) {
		snprintf(error, CONFIG_ERROR_SIZE, "%s:%d: must be [SECTION] or KEY = VALUE", path,
			r);
		r = -EINVAL;
	} else if (reading.error != 0) {
		snprintf(error, CONFIG_ERROR_SIZE, "%s:%u: %s", path, reading.error_line,
			reading.text);
		r = reading.error;
	} else if (r < 0) {
		snprintf(error, CONFIG_ERROR_SIZE, "%s: out of memory", path);
		r = -ENOMEM;
	}

	fclose(reading.file);
free_set_at:
	control_list_finish(&reading.controls);
	free(reading.set_at);
	return r;
}

static int is_configuration(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 &&
	       strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* alphasort() goes by the locale */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int config_read_directory(
	const char *path, struct options *options, char error[static CONFIG_ERROR_SIZE])
{
	struct dirent **entries;
	int count, r = 0;

	count = scandir(path, &entries, is_configuration, compare_names);
	if (count < 0) {
		r = -errno;
		if (r == -ENOENT)
			return 0;
		snprintf(error, CONFIG_ERROR_SIZE, "%s: cannot be read: %s", path, strerror(-r));
		return r;
	}
	for (int i = 0; i < count && r == 0; i++) {
		char *file;

		if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0) {
			snprintf(error, CONFIG_ERROR_SIZE, "%s: out of memory", path);
			r = -ENOMEM;
			break;
		}
		r = config_read_file(file, options, error);
		free(file);
	}
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return r;
}
