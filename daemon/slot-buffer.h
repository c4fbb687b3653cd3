/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SLOT_BUFFER_H
#define CAMTAP_DAEMON_SLOT_BUFFER_H

/* A slot that lies in the source's own memory instead of the pool: one dma-buf per memory plane. */

#include "pool-layout.h"

#include <stdbool.h>
#include <stdint.h>

struct slot_buffer {
	uint32_t plane_count;
	struct {
		int fd;          /* read-only */
		uint32_t offset; /* bytes from the start of the dma-buf to that of the memory plane
				  */
		uint32_t length; /* bytes */
		uint64_t modifier; /* DRM_FORMAT_MOD_*; 0: linear */
	} planes[POOL_PLANES_MAX];
};

/* Closes the dma-bufs of `count` buffers. */
void slot_buffers_close(const struct slot_buffer *buffers, uint32_t count);

/* Bytes of memory that they take in all. */
uint64_t slot_buffers_size(const struct slot_buffer *buffers, uint32_t count);

/*
 * Is a dma-buf held by somebody else: by an fd, one in flight, a mapping, or a device that imported
 * it? Its file is one and the same for all of them, and the kernel tells how many references it has
 * ("count" in /proc/self/fdinfo/FD, drivers/dma-buf/dma-buf.c): 1 if this fd is the last. If it
 * does not tell, somebody may.
 */
bool slot_buffer_held(int fd);

#endif
