/* SPDX-License-Identifier: MIT */
#include "source.h"

#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Adding a source is a line here. A URI that begins with none of these is a path: a device node if
 * it lies below /dev, and an error otherwise, so that a mistyped scheme is not taken for a file. */
static const struct {
	const char *scheme;
	const struct source_ops *ops;
} schemes[] = {
	{"v4l2:", &source_v4l2},
	{"pattern:", &source_pattern},
	{"file:", &source_file},
	{"exec:", &source_exec},
};

int source_fail(struct source *source, int error_number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(source->error, sizeof source->error, format, arguments);
	va_end(arguments);
	return error_number;
}

int source_create(
	const struct options *options, struct source **ret_source, char error[SOURCE_TEXT_SIZE])
{
	const char *uri = options->source;

	if (strcmp(uri, "-") == 0)
		return source_stdin.create(options, "", ret_source, error);
	if (strncmp(uri, "/dev/", 5) == 0)
		return source_v4l2.create(options, uri, ret_source, error);
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		size_t length = strlen(schemes[i].scheme);

		if (strncmp(uri, schemes[i].scheme, length) == 0)
			return schemes[i].ops->create(options, uri + length, ret_source, error);
	}
	if (strncmp(uri, "libcamera:", 10) == 0)
		snprintf(error, SOURCE_TEXT_SIZE,
			"libcamera: is reserved and not there yet: use --source 'exec:rpicam-vid "
			"…'");
	else
		snprintf(error, SOURCE_TEXT_SIZE,
			"%s is no source: use /dev/videoN, pattern:, file:PATH, - or exec:COMMAND",
			uri);
	return -EINVAL;
}

void source_destroy(struct source *source)
{
	if (source != NULL)
		source->ops->destroy(source);
}
