/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "address.h"
#include "config.h"
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELP_WIDTH 80 /* columns */

/* getopt_long() returns this for settings[0], the next for settings[1], and so on. */
#define OPTION_FIRST 256

_Static_assert(CONFIG_ERROR_SIZE == OPTIONS_ERROR_SIZE, "one is passed on as the other");

/* What was said on the command line, in that order. */
struct command_line {
	struct {
		const struct setting *setting;
		const char *text;
	} * entries;
	size_t count;
	const char *config;
	bool help, version;
};

__attribute__((format(printf, 3, 4))) static int fail(
	char error[static OPTIONS_ERROR_SIZE], int error_number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, OPTIONS_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return error_number;
}

/* Prints sentences in lines of at most HELP_WIDTH, indented. */
static void print_wrapped(const char *text, size_t indent)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, " ");

		if (column > 0 && column + 1 + length > HELP_WIDTH) {
			putchar('\n');
			column = 0;
		}
		if (column == 0)
			column = (size_t)printf("%*s", (int)indent, "");
		else
			column += (size_t)printf(" ");
		column += (size_t)printf("%.*s", (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_help(void)
{
	const char *section = NULL;

	printf("Usage: camtapd [OPTION]...\n\n");
	print_wrapped("Shares one camera with any number of programs: captures its frames into "
		      "shared memory and tells every reader. It stays in the foreground; SIGTERM "
		      "and SIGINT end it.",
		0);
	printf("\nTo try it without a camera: camtapd --source pattern:\n\n");
	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *setting = &settings[i];
		char option[SETTING_OPTION_SIZE];

		if (setting->section != section) {
			if (section == NULL) {
				putchar('\n');
				print_wrapped("The following are also keys of the configuration, "
					      "with '_' for '-'. A switch takes =no as well.",
					0);
			}
			if (section == NULL || strcmp(section, setting->section) != 0)
				printf("\n[%s]\n", setting->section);
			section = setting->section;
		}
		setting_option_name(setting, option);
		printf("  --%s%s%s\n", option, setting->argument != NULL ? " " : "",
			setting->argument != NULL ? setting->argument : "");
		print_wrapped(setting->help, 8);
		if (setting->default_value != NULL)
			printf("        Default: %s.\n", setting->default_value);
	}
}

/* Sorts out the words of the command line. Values are looked at later. */
static int command_line_init(
	struct command_line *line, int argc, char **argv, char error[static OPTIONS_ERROR_SIZE])
{
	char(*names)[SETTING_OPTION_SIZE];
	struct option *long_options;
	int r = 0, c;

	*line = (struct command_line){0};
	names = calloc(setting_count, sizeof *names);
	long_options = calloc(setting_count + 1, sizeof *long_options);
	line->entries = calloc((size_t)argc + 1, sizeof *line->entries);
	if (names == NULL || long_options == NULL || line->entries == NULL) {
		r = fail(error, -ENOMEM, "out of memory");
		goto finish;
	}
	for (size_t i = 0; i < setting_count; i++) {
		setting_option_name(&settings[i], names[i]);
		long_options[i].name = names[i];
		long_options[i].val = OPTION_FIRST + (int)i;
		if (settings[i].argument != NULL)
			long_options[i].has_arg = required_argument;
		else if (settings[i].parse != NULL)
			long_options[i].has_arg = optional_argument;
	}

	opterr = 0;
	optind = 0; /* glibc: start anew */
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		const struct setting *setting;

		if (c < OPTION_FIRST) {
			const char *word = argv[optind - 1];

			if (c == ':')
				r = fail(error, -EINVAL, "%s: the value is missing", word);
			else if (optopt >= OPTION_FIRST)
				r = fail(error, -EINVAL, "%s: the option takes no value", word);
			else
				r = fail(error, -EINVAL,
					"%s: no such option; camtapd --help lists them", word);
			goto finish;
		}
		setting = &settings[c - OPTION_FIRST];
		if (strcmp(setting->key, "help") == 0) {
			line->help = true;
		} else if (strcmp(setting->key, "version") == 0) {
			line->version = true;
		} else if (strcmp(setting->key, "config") == 0) {
			line->config = optarg;
		} else {
			line->entries[line->count].setting = setting;
			line->entries[line->count++].text = optarg != NULL ? optarg : "yes";
		}
	}
	if (optind < argc)
		r = fail(error, -EINVAL, "%s: not an option; a source is given as --source %s",
			argv[optind], argv[optind]);

finish:
	free(long_options);
	free(names);
	return r;
}

static int command_line_apply(const struct command_line *line, struct options *options,
	char error[static OPTIONS_ERROR_SIZE])
{
	for (size_t i = 0; i < line->count; i++) {
		const struct setting *setting = line->entries[i].setting;
		char option[SETTING_OPTION_SIZE];
		int r;

		r = setting_apply(setting, line->entries[i].text, options);
		if (r == -ENOMEM)
			return fail(error, r, "out of memory");
		if (r < 0) {
			setting_option_name(setting, option);
			return fail(error, r, "--%s=%s: must be %s", option, line->entries[i].text,
				setting->allowed);
		}
	}
	return 0;
}

static void command_line_finish(struct command_line *line)
{
	free(line->entries);
}

/* The name of the camera if nobody gave it one: the last component of a path, else what kind of
 * source it is. */
static int name_from_source(
	char **ret_name, const char *source, char error[static OPTIONS_ERROR_SIZE])
{
	size_t scheme = strcspn(source, ":/");
	const char *base = source;
	char name[ADDRESS_NAME_MAX + 1] = "";
	size_t length = 0;

	if (strcmp(source, "-") == 0) {
		base = "stdin";
	} else if (source[scheme] == ':') {
		if (strncmp(source, "file:", 5) == 0 || strncmp(source, "v4l2:", 5) == 0)
			base = source + scheme + 1;
		else
			snprintf(name, sizeof name, "%.*s", (int)scheme, source);
	}
	if (name[0] == '\0') {
		if (strrchr(base, '/') != NULL)
			base = strrchr(base, '/') + 1;
		while (*base != '\0' && (!isascii(*base) || !isalnum(*base)))
			base++;
		for (; base[length] != '\0' && length < ADDRESS_NAME_MAX; length++) {
			char c = base[length];

			name[length] = isascii(c) && (isalnum(c) || strchr("_.-", c)) ? c : '_';
		}
		name[length] = '\0';
	}
	if (!address_name_valid(name))
		return fail(error, -EINVAL,
			"the source %s makes no name for the camera: give it one with --name",
			source);
	*ret_name = strdup(name);
	return *ret_name != NULL ? 0 : fail(error, -ENOMEM, "out of memory");
}

static int read_named_files(
	struct options *options, const char *directory, char error[static OPTIONS_ERROR_SIZE])
{
	char *file = NULL, *drop_ins = NULL;
	int r;

	if (asprintf(&file, "%s/%s.conf", directory, options->name) < 0 ||
		asprintf(&drop_ins, "%s.d", file) < 0) {
		r = fail(error, -ENOMEM, "out of memory");
		goto finish;
	}
	r = config_read_file(file, options, error);
	if (r < 0 && r != -ENOENT)
		goto finish;
	r = config_read_directory(drop_ins, options, error);

finish:
	free(drop_ins);
	free(file);
	return r;
}

/* Reads what the command line's options say is to be read, over them. */
static int read_configuration(struct options *options, const char *directory, const char *config,
	char error[static OPTIONS_ERROR_SIZE])
{
	char *common;
	int r;

	if (config != NULL)
		return config_read_file(config, options, error);

	if (options->name == NULL && options->source != NULL) {
		r = name_from_source(&options->name, options->source, error);
		if (r < 0)
			return r;
	}
	if (asprintf(&common, "%s/camtapd.conf", directory) < 0)
		return fail(error, -ENOMEM, "out of memory");
	r = config_read_file(common, options, error);
	free(common);
	if (r < 0 && r != -ENOENT)
		return r;
	if (options->name == NULL && options->source != NULL) {
		r = name_from_source(&options->name, options->source, error);
		if (r < 0)
			return r;
	}
	return options->name != NULL ? read_named_files(options, directory, error) : 0;
}

/* Is it a name that the kernel gives: video0? */
static bool is_kernel_name(const char *name)
{
	return strncmp(name, "video", 5) == 0 && name[5] != '\0' &&
	       name[5 + strspn(name + 5, "0123456789")] == '\0';
}

int options_default_source(char **ret_source, const char *dev, const char *name, bool wait)
{
	char *link, *node, *source = NULL;
	int r = 0;

	if (asprintf(&link, "%s/camtap/%s", dev, name) < 0)
		return -ENOMEM;
	if (asprintf(&node, "%s/%s", dev, name) < 0) {
		free(link);
		return -ENOMEM;
	}
	if (access(link, F_OK) == 0)
		source = link;
	else if (access(node, F_OK) == 0)
		source = node;
	else if (wait)
		source = is_kernel_name(name) ? node : link;
	else
		r = -ENOENT;
	if (source != link)
		free(link);
	if (source != node)
		free(node);
	if (r == 0)
		*ret_source = source;
	return r;
}

/* Makes up what was left out, and looks at what only all settings together can tell. */
static int complete(struct options *options, const char *directory, const char *config,
	char error[static OPTIONS_ERROR_SIZE])
{
	int r;

	if (options->source == NULL && options->name == NULL)
		return fail(error, -EINVAL,
			"no source: name one with --source /dev/video0, or try it without a "
			"camera: camtapd --source pattern:");
	if (options->source == NULL) {
		r = options_default_source(&options->source, "/dev", options->name, options->wait);
		if (r == -ENOMEM)
			return fail(error, r, "out of memory");
		if (r < 0 && config != NULL)
			return fail(error, -EINVAL,
				"camera %s has no source: set source in section [Camera] of %s, or "
				"use --source",
				options->name, config);
		if (r < 0)
			return fail(error, -EINVAL,
				"camera %s has no source: set source in section [Camera] of "
				"%s/%s.conf, or use --source (to try it without a camera: "
				"--source pattern:)",
				options->name, directory, options->name);
		options->source_assumed = true;
	}
	if (options->name == NULL) {
		r = name_from_source(&options->name, options->source, error);
		if (r < 0)
			return r;
	}
	if (options->wait_readers > options->max_clients)
		return fail(error, -EINVAL,
			"wait_readers is %u, but only %u clients are let in (max_clients)",
			options->wait_readers, options->max_clients);
	return 0;
}

int options_read(struct options *ret_options, const char *directory, int argc, char **argv,
	char error[static OPTIONS_ERROR_SIZE])
{
	struct options options = {.argument_count = argc, .arguments = argv};
	struct command_line line;
	int r;

	r = command_line_init(&line, argc, argv, error);
	if (r < 0)
		goto finish;
	if (line.help || line.version) {
		if (line.help)
			print_help();
		else
			printf("camtapd %s\n", CAMTAP_VERSION);
		r = OPTIONS_DONE;
		goto finish;
	}

	r = settings_default(&options);
	if (r < 0) {
		fail(error, r, "out of memory");
		goto finish;
	}
	/* The command line says which files are to be read ... */
	r = command_line_apply(&line, &options, error);
	if (r < 0)
		goto finish;
	r = read_configuration(&options, directory, line.config, error);
	if (r < 0)
		goto finish;
	/* ... and wins over them. */
	r = command_line_apply(&line, &options, error);
	if (r < 0)
		goto finish;
	r = complete(&options, directory, line.config, error);
	if (r < 0)
		goto finish;
	*ret_options = options;
	options = (struct options){0};
	r = OPTIONS_RUN;

finish:
	if (r < 0) /* it quotes what others wrote */
		for (char *c = error; *c != '\0'; c++)
			if (iscntrl((unsigned char)*c))
				*c = '?';
	options_finish(&options);
	command_line_finish(&line);
	return r;
}

void options_finish(struct options *options)
{
	free(options->name);
	free(options->source);
	free(options->socket);
	free(options->raw);
	free(options->users);
	free(options->groups);
	control_list_finish(&options->controls);
	for (size_t i = 0; options->said != NULL && i < setting_count; i++)
		free(options->said[i]);
	free(options->said);
	*options = (struct options){0};
}
