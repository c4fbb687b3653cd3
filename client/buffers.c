/* SPDX-License-Identifier: MIT */

/* Slots that lie in dma-bufs: mapping them, and telling the kernel when the processor looks. */

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

int buffers_create(uint32_t slot_count, struct buffers **ret_buffers)
{
	struct buffers *buffers = calloc(1, sizeof(*buffers) + slot_count * sizeof(struct buffer));

	if (!buffers)
		return -ENOMEM;
	buffers->slot_count = slot_count;
	*ret_buffers = buffers;
	return 0;
}

static void unmap(struct buffer *buffer)
{
	for (uint32_t i = 0; i < buffer->memory.plane_count; i++) {
		munmap(buffer->planes[i].map, buffer->planes[i].map_size);
		close(buffer->planes[i].fd);
	}
}

void buffers_destroy(struct buffers *buffers)
{
	if (!buffers)
		return;
	for (uint32_t slot = 0; slot < buffers->filled; slot++)
		unmap(&buffers->slots[slot]);
	free(buffers);
}

/* Memory that nobody can cut off under our feet: a dma-buf's size is fixed for ever, a memfd's if
 * it is sealed. */
static bool size_is_fixed(int fd, bool *ret_dmabuf)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_SEAL;
	struct statfs file_system;
	int present;

	if (fstatfs(fd, &file_system) < 0)
		return false;
	*ret_dmabuf = file_system.f_type == DMA_BUF_MAGIC;
	if (*ret_dmabuf)
		return true;
	present = fcntl(fd, F_GET_SEALS);
	return present >= 0 && (present & seals) == seals;
}

static int map_plane(struct buffer_plane *ret_plane, uint32_t offset, uint32_t length, int fd)
{
	struct buffer_plane plane = {.offset = offset, .fd = -1};
	off_t size;

	if (length == 0 || !size_is_fixed(fd, &plane.dmabuf))
		return -EBADMSG;
	size = lseek(fd, 0, SEEK_END);
	if (size < 0 || (uint64_t)offset + length > (uint64_t)size ||
		(uint64_t)offset + length > SIZE_MAX)
		return -EBADMSG;
	plane.map_size = (size_t)offset + length;
	plane.map = mmap(NULL, plane.map_size, PROT_READ, MAP_SHARED, fd, 0);
	if (plane.map == MAP_FAILED)
		return -errno;
	*ret_plane = plane;
	return 0;
}

int buffers_add(struct buffers *buffers, const struct wire_buffer *message, int *fds,
	size_t fd_count, uint64_t frame_size)
{
	struct buffer buffer = {.memory.plane_count = 0};
	uint64_t size = 0;
	int error = -EBADMSG;

	if (buffers->filled == buffers->slot_count || message->slot != buffers->filled ||
		message->plane_count == 0 || message->plane_count > POOL_PLANES_MAX ||
		message->plane_count > fd_count)
		return -EBADMSG;
	for (uint32_t i = 0; i < message->plane_count; i++) {
		struct buffer_plane *plane = &buffer.planes[i];

		error = map_plane(
			plane, message->planes[i].offset, message->planes[i].length, fds[i]);
		if (error < 0)
			goto unmap;
		plane->modifier = message->planes[i].modifier;
		buffer.memory.length[buffer.memory.plane_count++] = message->planes[i].length;
		size += message->planes[i].length;
	}
	if (size < frame_size) {
		error = -EBADMSG;
		goto unmap;
	}
	for (uint32_t i = 0; i < message->plane_count; i++) {
		buffer.planes[i].fd = fds[i];
		fds[i] = -1;
	}
	buffers->slots[buffers->filled++] = buffer;
	return 0;

unmap:
	for (uint32_t i = 0; i < buffer.memory.plane_count; i++)
		munmap(buffer.planes[i].map, buffer.planes[i].map_size);
	return error;
}

bool buffers_complete(const struct buffers *buffers)
{
	return buffers->filled == buffers->slot_count;
}

/* Documentation/driver-api/dma-buf.rst: the processor's reads are bracketed, so that the exporter
 * can see to the caches; EAGAIN and EINTR mean: again. */
static int sync_plane(const struct buffer_plane *plane, uint64_t flags)
{
	struct dma_buf_sync sync = {.flags = flags | DMA_BUF_SYNC_READ};
	int result;

	do
		result = ioctl(plane->fd, DMA_BUF_IOCTL_SYNC, &sync);
	while (result < 0 && (errno == EINTR || errno == EAGAIN));
	return result < 0 ? -errno : 0;
}

const uint8_t *buffer_begin_access(
	const struct buffer *buffer, uint32_t memory, _Atomic uint32_t *open)
{
	const struct buffer_plane *plane = &buffer->planes[memory];
	uint32_t bit = 1u << memory;

	if (plane->dmabuf && !(atomic_load_explicit(open, memory_order_acquire) & bit)) {
		if (sync_plane(plane, DMA_BUF_SYNC_START) < 0)
			return NULL;
		/* another thread was faster: one bracket for both */
		if (atomic_fetch_or_explicit(open, bit, memory_order_acq_rel) & bit)
			(void)sync_plane(plane, DMA_BUF_SYNC_END);
	}
	return (const uint8_t *)plane->map + plane->offset;
}

void buffer_end_access(const struct buffer *buffer, uint32_t open)
{
	for (uint32_t i = 0; i < buffer->memory.plane_count; i++) {
		if (open & 1u << i)
			(void)sync_plane(&buffer->planes[i], DMA_BUF_SYNC_END);
	}
}
