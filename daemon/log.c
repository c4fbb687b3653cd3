/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void log_write(int priority, const char *format, ...)
{
	char line[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	/* one write, so that lines of several threads do not mix */
	if (isatty(STDERR_FILENO))
		dprintf(STDERR_FILENO, "camtapd: %s\n", line);
	else
		dprintf(STDERR_FILENO, "<%d>camtapd: %s\n", priority, line);
}
