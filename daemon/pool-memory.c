/* SPDX-License-Identifier: MIT */

/*
 * The pool's memory: a memfd that is sized, mapped, populated and then sealed.
 *
 * SHRINK and GROW: nobody can cut the file under a mapping (SIGBUS in everybody else).
 * FUTURE_WRITE: whoever has no writable mapping yet, never gets one, by no way whatsoever: not by
 * mmap, mprotect, write, a hole, or another open through /proc. The daemon's own mapping, made
 * before, stays writable, and so the driver's USERPTR pages. SEAL: no more seals (WRITE would end
 * the daemon's own right).
 *
 * The seal is the guarantee, not the open mode: an O_RDONLY fd alone is reopened read-write through
 * /proc/self/fd. All the same the read-write fd is closed here, and each client gets a read-only
 * description of its own (a shared one would share its file offset). When the daemon has unmapped
 * the pool, F_SETLEASE(F_WRLCK) on such a description is then granted only if nobody else holds the
 * pool any more, be it by fd or mapping; pinned.c counts by that.
 *
 * Slots that are dma-bufs have no seals: there the open mode is all there is (docs/security.md).
 */

#include "clock.h"
#include "headroom.h"
#include "memory-file.h"
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SLOTS_AUTO_MIN 8
#define SLOTS_AUTO_MAX 32
#define SIZE_AUTO_MAX  (UINT64_C(256) << 20)
#define RATE_ASSUMED   60 /* frames per second, where the source does not know */

static uint64_t rate_times(const struct pool_format *format, uint64_t ns)
{
	uint64_t numerator = format->rate_numerator, denominator = format->rate_denominator;

	if (numerator == 0 || denominator == 0)
		numerator = RATE_ASSUMED, denominator = 1;
	/* rounded up; rates and lease_min are far from overflow (options.c limits both) */
	return (ns / 1000 * numerator / denominator + 999999) / 1000000;
}

int pool_plan_init(struct pool_plan *ret_plan, const struct pool_format *format,
	uint32_t slots_needed, uint32_t slots, uint32_t buffer_max, uint64_t lease_min_ns,
	uint32_t *ret_least)
{
	struct pool_plan plan = {
		.format = *format, .slots_needed = slots_needed, .dmabuf = buffer_max > 0};
	uint32_t page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	uint32_t least = slots_needed + 2; /* the one in reserve and the newest */
	uint32_t most = plan.dmabuf && buffer_max < POOL_SLOTS_MAX ? buffer_max : POOL_SLOTS_MAX;
	uint64_t spare, spare_needed = rate_times(format, lease_min_ns);
	struct pool_header header;
	int error;

	if (least < POOL_SLOTS_MIN)
		least = POOL_SLOTS_MIN;
	if (slots == 0) {
		uint64_t wanted = least + spare_needed;

		if (wanted < SLOTS_AUTO_MIN)
			wanted = SLOTS_AUTO_MIN;
		if (wanted > SLOTS_AUTO_MAX)
			wanted = SLOTS_AUTO_MAX;
		if (wanted * format->frame_size > SIZE_AUTO_MAX)
			wanted = SIZE_AUTO_MAX / format->frame_size;
		if (wanted > most)
			wanted = most;
		if (wanted < least)
			wanted = least;
		slots = (uint32_t)wanted;
	}
	if (slots < least || slots > most) {
		*ret_least = least;
		return -EINVAL;
	}
	error = pool_layout_init(&header, slots, format->frame_size, page_size);
	if (error < 0)
		return error;
	plan.slot_count = slots;
	plan.size = header.pool_size; /* dma-bufs take as much as slots of the pool would */
	spare = slots - least;
	plan.lease_min_ns = lease_min_ns;
	if (spare < spare_needed)
		plan.lease_min_ns = lease_min_ns * spare / spare_needed;
	*ret_plan = plan;
	return 0;
}

int pool_open_description(const struct pool *pool)
{
	return memory_file_open_read_only(pool->fd);
}

static void header_fill(struct pool *pool, const struct pool_plan *plan)
{
	struct pool_header *header = pool->header;

	header->format = plan->format;
	do {
		if (getrandom(&header->epoch, sizeof header->epoch, 0) != sizeof header->epoch)
			header->epoch = (uint64_t)clock_now() << 20 ^ (uint64_t)getpid();
	} while (header->epoch == 0);
	atomic_store_explicit(&header->realtime_offset, clock_read(CLOCK_REALTIME) - clock_now(),
		memory_order_relaxed);
}

/* All there before the first frame, in huge pages where the administrator allows them for shared
 * memory (docs/performance.md): through the mapping, and so before fallocate(), which knows nothing
 * of the advice and takes small ones. That in turn says what is wrong if there is no memory. */
static int populate(int fd, uint8_t *base, size_t size)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	bool there;

	(void)madvise(base, size, MADV_HUGEPAGE);
	there = madvise(base, size, MADV_POPULATE_WRITE) == 0;
	if (fallocate(fd, 0, 0, (off_t)size) < 0)
		return errno == ENOSPC ? -ENOMEM : -errno;
	for (size_t i = 0; !there && i < size; i += page_size) /* before Linux 5.14 */
		*(volatile uint8_t *)(base + i) = 0;
	return 0;
}

static int memory_create(struct pool *pool, const struct pool_plan *plan)
{
	uint32_t page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	struct pool_header header;
	void *base;
	int fd, error;

	error = plan->dmabuf ? pool_layout_init_dmabuf(&header, plan->slot_count, page_size)
			     : pool_layout_init(&header, plan->slot_count, plan->format.frame_size,
				       page_size);
	if (error < 0)
		return error;
	error = headroom_check(header.pool_size);
	if (error < 0)
		return error;
	fd = memory_file_create("camtap-pool");
	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)header.pool_size) < 0) {
		error = -errno;
		goto close_fd;
	}
	base = mmap(NULL, header.pool_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		error = -errno;
		goto close_fd;
	}
	error = populate(fd, base, header.pool_size);
	if (error < 0)
		goto unmap;
	if (fcntl(fd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		error = errno == EINVAL ? -ENOTSUP : -errno;
		goto unmap;
	}
	pool->fd = memory_file_open_read_only(fd);
	if (pool->fd < 0) {
		error = pool->fd;
		goto unmap;
	}
	close(fd);
	madvise(base, header.pool_size, MADV_DONTFORK); /* exec: children have no business here */
	pool->base = base;
	pool->size = header.pool_size;
	pool->header = base;
	memcpy(pool->header, &header, sizeof header);
	header_fill(pool, plan);
	return 0;

unmap:
	munmap(base, header.pool_size);
close_fd:
	close(fd);
	return error;
}

int pool_create(
	const struct pool_plan *plan, const struct slot_buffer *buffers, struct pool **ret_pool)
{
	struct pool *pool = calloc(1, sizeof *pool);
	int error;

	if (pool == NULL)
		return -ENOMEM;
	pool->readers = calloc(plan->reader_max, sizeof(struct pool_reader *));
	if (pool->readers == NULL) {
		error = -ENOMEM;
		goto free_pool;
	}
	if (plan->dmabuf) {
		pool->buffers = malloc(plan->slot_count * sizeof *buffers);
		if (pool->buffers == NULL) {
			error = -ENOMEM;
			goto free_readers;
		}
		memcpy(pool->buffers, buffers, plan->slot_count * sizeof *buffers);
	}
	error = memory_create(pool, plan);
	if (error < 0)
		goto free_buffers;
	pool->references = 1;
	pool->planned_size = plan->size;
	pool->reader_max = plan->reader_max;
	pool->slot_count = plan->slot_count;
	pool->slots_needed = plan->slots_needed;
	pool->reserve = plan->slots_needed + 1;
	pool->max_leases = plan->max_leases;
	pool->lease_min_ns = plan->lease_min_ns;
	pool->newest_slot = POOL_SLOT_NONE;
	TAILQ_INIT(&pool->frames);
	TAILQ_INIT(&pool->source);
	for (uint32_t i = 0; i < pool->slot_count; i++) {
		pool->slots[i].generation = 1;
		TAILQ_INSERT_TAIL(&pool->frames, &pool->slots[i], entry);
	}
	*ret_pool = pool;
	return 0;

free_buffers:
	free(pool->buffers);
free_readers:
	free(pool->readers);
free_pool:
	free(pool);
	return error;
}

void pool_destroy(struct pool *pool)
{
	if (pool == NULL)
		return;
	munmap(pool->base, pool->size);
	if (pool->fd >= 0)
		close(pool->fd);
	if (pool->buffers != NULL)
		slot_buffers_close(pool->buffers, pool->slot_count);
	free(pool->buffers);
	free(pool->readers);
	free(pool);
}
