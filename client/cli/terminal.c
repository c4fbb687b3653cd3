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

/* Bytes of the UTF-8 character that begins here; 0: none does (RFC 3629, section 4). */
static size_t character_size(const unsigned char *bytes)
{
	unsigned char first = bytes[0], least = 0x80, most = 0xbf;
	size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (size > 1 && (first < 0xc2 || first > 0xf4))
		return 0;
	/* of the second byte: no overlong forms, no surrogates, nothing beyond U+10FFFF */
	if (first == 0xe0)
		least = 0xa0;
	if (first == 0xed)
		most = 0x9f;
	if (first == 0xf0)
		least = 0x90;
	if (first == 0xf4)
		most = 0x8f;
	for (size_t i = 1; i < size; i++) {
		if (bytes[i] < least || bytes[i] > most)
			return 0;
		least = 0x80;
		most = 0xbf;
	}
	return size;
}

char *terminal_printable(char *text)
{
	unsigned char *bytes = (unsigned char *)text;

	while (*bytes) {
		size_t size = character_size(bytes);

		if (size == 0 || *bytes < 0x20 || *bytes == 0x7f)
			*bytes = '?';
		if (size == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0)
			bytes[0] = bytes[1] = '?';
		bytes += size > 0 ? size : 1;
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
