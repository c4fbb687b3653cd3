/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int buffer_extend(struct buffer *buffer, size_t size, uint8_t **ret_room)
{
	size_t needed, capacity = buffer->capacity;
	uint8_t *data;

	if (__builtin_add_overflow(buffer->size, size, &needed) || needed > SIZE_MAX / 2)
		return -ENOMEM;
	if (needed > capacity || !buffer->data) {
		capacity += capacity / 2;
		if (capacity < needed)
			capacity = needed;
		if (capacity < 256)
			capacity = 256;
		data = realloc(buffer->data, capacity);
		if (!data)
			return -ENOMEM;
		buffer->data = data;
		buffer->capacity = capacity;
	}
	*ret_room = buffer->data + buffer->size;
	buffer->size = needed;
	return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	uint8_t *room;
	int r = buffer_extend(buffer, size, &room);

	if (r == 0 && size > 0)
		memcpy(room, data, size);
	return r;
}

int buffer_print(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length, r;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return -ENOMEM;
	r = buffer_append(buffer, text, (size_t)length);
	free(text);
	return r;
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
}

void buffer_finish(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){};
}
