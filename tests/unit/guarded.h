/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Memory that ends where a page begins that nobody may touch: reading or writing beyond it is
 * fatal in libraries, too, which AddressSanitizer does not look into.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static inline size_t guarded_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static inline uint8_t *guarded_alloc(size_t size)
{
	size_t pages = guarded_pages(size), page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(
		NULL, pages + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + pages, page, PROT_NONE) < 0)
		__builtin_trap();
	return memory + pages - size;
}

static inline void guarded_free(uint8_t *memory, size_t size)
{
	size_t pages = guarded_pages(size);

	munmap(memory + size - pages, pages + (size_t)sysconf(_SC_PAGESIZE));
}
