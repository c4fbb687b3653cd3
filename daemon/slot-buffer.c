/* SPDX-License-Identifier: MIT */
#include "slot-buffer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void slot_buffers_close(const struct slot_buffer *buffers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t plane = 0; plane < buffers[i].plane_count; plane++)
			close(buffers[i].planes[plane].fd);
	}
}

uint64_t slot_buffers_size(const struct slot_buffer *buffers, uint32_t count)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t plane = 0; plane < buffers[i].plane_count; plane++)
			size += buffers[i].planes[plane].length;
	}
	return size;
}

bool slot_buffer_held(int fd)
{
	char path[64], line[128];
	unsigned long count = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (file == NULL)
		return true;
	while (fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "count: %lu", &count) == 1)
			break;
	}
	fclose(file);
	return count != 1;
}
