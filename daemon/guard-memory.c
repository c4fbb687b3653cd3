/* SPDX-License-Identifier: MIT */
#include "guard-memory.h"

#include "guard.h"
#include "memory-file.h"
#include "reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int guard_memory_create(uint32_t slot_count, struct guard_memory *ret_memory)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	struct guard_memory memory = {.size = ((size_t)slot_count + 1) * GUARD_STRIDE};
	int error;

	memory.size = (memory.size + page_size - 1) / page_size * page_size;
	memory.fd = memory_file_create("camtap-guard");
	if (memory.fd < 0)
		return memory.fd;
	if (ftruncate(memory.fd, (off_t)memory.size) < 0 ||
		fcntl(memory.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		error = -errno;
		goto close_fd;
	}
	memory.base = mmap(NULL, memory.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
	if (memory.base == MAP_FAILED) {
		error = -errno;
		goto close_fd;
	}
	*ret_memory = memory;
	return 0;

close_fd:
	close(memory.fd);
	return error;
}

int guard_memory_lock(struct guard_memory *memory)
{
	int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	int seals = fcntl(memory->fd, F_GET_SEALS);

	if (seals < 0 || (seals & all) != all)
		return -EPERM;
	close(memory->fd);
	memory->fd = -1;
	/* RLIMIT_MEMLOCK may forbid to lock it; then at least it is there (it is swap that could
	 * take it) */
	if (mlock(memory->base, memory->size) < 0 &&
		madvise(memory->base, memory->size, MADV_POPULATE_WRITE) < 0) {
		for (size_t i = 0; i < memory->size; i += GUARD_STRIDE)
			atomic_fetch_or((guard_word *)(memory->base + i), 0);
	}
	return 0;
}

static void destroy(void *argument)
{
	struct guard_memory *memory = argument;

	munmap(memory->base, memory->size);
	if (memory->fd >= 0)
		close(memory->fd);
	free(memory);
}

void guard_memory_discard(struct guard_memory *memory, struct reaper *reaper)
{
	struct guard_memory *copy;

	if (memory->base == NULL)
		return;
	copy = malloc(sizeof *copy);
	if (copy != NULL) {
		*copy = *memory;
		reaper_call(reaper, destroy, copy);
	} /* else it stays: better a page lost than a wait */
	memory->base = NULL;
}
