/* SPDX-License-Identifier: MIT */
#include "recording-container.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* One read(), of at least one byte. */
static int input_read(
	struct recording_input *input, int fd, void *target, size_t size, size_t *ret_size)
{
	ssize_t n;

	if (input->budget == 0)
		return RECORDING_TRY_AGAIN;
	if (size > input->budget)
		size = input->budget;
	do
		n = read(fd, target, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? RECORDING_TRY_AGAIN : -errno;
	if (n == 0)
		return RECORDING_END;
	input->budget -= (size_t)n;
	*ret_size = (size_t)n;
	return RECORDING_OK;
}

int recording_input_need(struct recording_input *input, int fd, size_t size)
{
	while (input->size < size) {
		size_t want = size - input->size, n = 0;
		int r;

		if (want < input->ahead)
			want = input->ahead;
		if (input->size == 0)
			input->start = 0;
		if (input->start + input->size + want > sizeof(input->buffer)) {
			memmove(input->buffer, input->buffer + input->start, input->size);
			input->start = 0;
		}
		if (want > sizeof(input->buffer) - input->size)
			want = sizeof(input->buffer) - input->size;
		r = input_read(input, fd, input->buffer + input->start + input->size, want, &n);
		if (r != RECORDING_OK)
			return r;
		input->size += n;
	}
	return RECORDING_OK;
}

int recording_input_line(struct recording_input *input, int fd, size_t size_max, size_t *ret_size)
{
	for (;;) {
		const uint8_t *data = recording_input_data(input);
		const uint8_t *end = memchr(data, '\n', input->size);
		int r;

		if (end && (size_t)(end - data) <= size_max) {
			*ret_size = (size_t)(end - data);
			return RECORDING_OK;
		}
		if (input->size > size_max)
			return -EBADMSG;
		r = recording_input_need(input, fd, input->size + 1);
		if (r != RECORDING_OK)
			return r;
	}
}

const uint8_t *recording_input_data(const struct recording_input *input)
{
	return input->buffer + input->start;
}

void recording_input_take(struct recording_input *input, size_t size)
{
	input->start += size;
	input->size -= size;
	input->position += size;
}

int recording_input_copy(
	struct recording_input *input, int fd, void *target, size_t size, size_t *done)
{
	while (*done < size) {
		uint8_t *at = (uint8_t *)target + *done;
		size_t n = size - *done;

		if (input->size > 0) {
			if (n > input->size)
				n = input->size;
			memcpy(at, recording_input_data(input), n);
			recording_input_take(input, n);
		} else {
			int r = input_read(input, fd, at, n, &n);

			if (r != RECORDING_OK)
				return r;
			input->position += n;
		}
		*done += n;
	}
	return RECORDING_OK;
}

int recording_input_skip(struct recording_input *input, int fd, uint64_t *left)
{
	while (*left > 0) {
		size_t n;
		int r = recording_input_need(input, fd, 1);

		if (r != RECORDING_OK)
			return r;
		n = *left < input->size ? (size_t)*left : input->size;
		recording_input_take(input, n);
		*left -= n;
	}
	return RECORDING_OK;
}
