/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
	LINE_SIZE = 1024,
};

void terminal_init(struct terminal *terminal)
{
	*terminal = (struct terminal){.interactive = isatty(STDERR_FILENO)};
}

char *terminal_printable(char *text)
{
	for (unsigned char *byte = (unsigned char *)text; *byte; byte++) {
		if (*byte < 0x20 || *byte == 0x7f)
			*byte = '?';
		if (byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0)
			byte[0] = byte[1] = '?';
	}
	return text;
}

void terminal_progress(struct terminal *terminal, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list arguments;

	if (!terminal->interactive)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	fprintf(stderr, "\r\033[K%s", terminal_printable(line));
	fflush(stderr);
	terminal->shown = true;
}

void terminal_clear(struct terminal *terminal)
{
	if (!terminal || !terminal->shown)
		return;
	fputs("\r\033[K", stderr);
	terminal->shown = false;
}

void terminal_say(struct terminal *terminal, const char *format, ...)
{
	char line[LINE_SIZE];
	int saved_errno = errno;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	terminal_clear(terminal);
	fprintf(stderr, "camtap: %s\n", terminal_printable(line));
	errno = saved_errno;
}
