/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_BUFFER_H
#define CAMTAP_CLI_BUFFER_H

/* Bytes that grow. {} is an empty buffer. */

#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data;
	size_t size;     /* bytes in use */
	size_t capacity; /* bytes */
};

/* Makes room for `size` more bytes and counts them as used; their content is undefined. *ret_room
 * points to them until the next call. -ENOMEM. */
int buffer_extend(struct buffer *buffer, size_t size, uint8_t **ret_room);

/* -ENOMEM */
int buffer_append(struct buffer *buffer, const void *data, size_t size);
int buffer_print(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Forgets the content and keeps the memory. */
void buffer_clear(struct buffer *buffer);
void buffer_finish(struct buffer *buffer);

#endif
