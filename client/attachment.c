/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "guard.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Older positions than this are not looked for, however long the pool's recent[] claims to be. */
#define LOOK_BACK_MAX 1024

/* Nobody gets that far; who says so must not make our sums overflow. */
#define POSITION_MAX (UINT64_MAX / 2)

/* Tries to catch the newest frame before it is overwritten again: one is enough with a daemon that
 * means well, which never overwrites its newest. */
#define LATEST_TRIES 64

int connection_create(int socket, struct connection **ret_connection)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (!connection)
		return -ENOMEM;
	*connection = (struct connection){.references = 1, .socket = socket};
	*ret_connection = connection;
	return 0;
}

struct connection *connection_ref(struct connection *connection)
{
	atomic_fetch_add_explicit(&connection->references, 1, memory_order_relaxed);
	return connection;
}

void connection_unref(struct connection *connection)
{
	if (!connection)
		return;
	if (atomic_fetch_sub_explicit(&connection->references, 1, memory_order_acq_rel) > 1)
		return;
	close(connection->socket);
	free(connection);
}

bool memory_sealed(int fd, int seals, uint64_t size)
{
	struct stat stat;
	int present = fcntl(fd, F_GET_SEALS);

	return present >= 0 && (present & seals) == seals && fstat(fd, &stat) == 0 &&
	       (uint64_t)stat.st_size == size;
}

static int map_pool(struct attachment *attachment, const struct wire_format *format, int fd,
	const char **ret_why)
{
	void *base;
	int error;

	if (format->pool_size > SIZE_MAX ||
		!memory_sealed(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL,
			format->pool_size)) {
		*ret_why = "its pool is not sealed, or not of the size it says";
		return -EBADMSG;
	}
	base = mmap(NULL, format->pool_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		error = -errno;
		*ret_why = "its pool cannot be mapped";
		return error;
	}
	(void)madvise(base, format->pool_size, MADV_HUGEPAGE); /* if it lies in such */
	error = pool_view_init(&attachment->view, base, format->pool_size);
	if (error == 0 && (attachment->view.epoch != format->epoch ||
				  attachment->view.slot_count != format->slot_count))
		error = -EBADMSG;
	if (error < 0) {
		*ret_why = error == -EPROTONOSUPPORT
				   ? "its pool has another layout: update the older of the two"
				   : "its pool's header cannot be right";
		munmap(base, format->pool_size);
		return error;
	}
	return 0;
}

static int map_guard(struct attachment *attachment, const struct wire_format *format, int fd,
	const char **ret_why)
{
	uint64_t needed = (uint64_t)format->slot_count * format->guard_stride;
	void *base;
	int error;

	if (format->guard_stride < sizeof(guard_word) ||
		format->guard_stride % sizeof(guard_word) != 0 || needed > format->guard_size ||
		!memory_sealed(fd, F_SEAL_SHRINK | F_SEAL_GROW, format->guard_size)) {
		*ret_why = "its guard is not sealed, or too small";
		return -EBADMSG;
	}
	base = mmap(NULL, format->guard_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		error = -errno;
		*ret_why = "its guard cannot be mapped";
		return error;
	}
	/* A child that released a frame would release it for us. */
	if (madvise(base, format->guard_size, MADV_DONTFORK) < 0) {
		error = -errno;
		*ret_why = "its guard cannot be kept from children";
		munmap(base, format->guard_size);
		return error;
	}
	/* No more writable mappings, no holes: the daemon touches the guard only if it is sealed
	 * so. This mapping stays writable. */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
	if (!memory_sealed(fd, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL, format->guard_size)) {
		*ret_why = "its guard cannot be sealed";
		munmap(base, format->guard_size);
		return -EBADMSG;
	}
	attachment->guard = base;
	attachment->guard_size = format->guard_size;
	attachment->guard_stride = format->guard_stride;
	return 0;
}

/* `listens` is behind the words of the slots. */
static int map_bell(struct attachment *attachment, const struct wire_format *format, int fd,
	const char **ret_why)
{
	uint64_t listens = (uint64_t)format->slot_count * format->guard_stride;
	int error = -EBADMSG;

	if (listens + sizeof(uint32_t) <= format->guard_size)
		error = bell_map(fd, format->bell_size, format->bell_offset,
			(_Atomic uint32_t *)(attachment->guard + listens), &attachment->bell);
	*ret_why = "its bell is not sealed, or not where it says, or cannot be mapped";
	return error;
}

int attachment_create(struct connection *connection, const struct wire_format *format, int pool_fd,
	int guard_fd, int bell_fd, struct attachment **ret_attachment, const char **ret_why)
{
	struct attachment *attachment = calloc(1, sizeof(*attachment));
	int error;

	if (!attachment) {
		*ret_why = "no memory";
		return -ENOMEM;
	}
	error = map_pool(attachment, format, pool_fd, ret_why);
	if (error < 0)
		goto free_attachment;
	error = map_guard(attachment, format, guard_fd, ret_why);
	if (error < 0)
		goto unmap_pool;
	if (bell_fd >= 0) {
		error = map_bell(attachment, format, bell_fd, ret_why);
		if (error < 0)
			goto unmap_guard;
	}
	if (attachment->view.flags & POOL_FLAG_DMABUF) {
		error = buffers_create(attachment->view.slot_count, &attachment->buffers);
		if (error < 0) {
			*ret_why = "no memory";
			goto unmap_bell;
		}
	}
	attachment->references = 1;
	attachment->connection = connection_ref(connection);
	/* The newest frame that is there already comes first, so that a slow camera shows
	 * something; it is nobody's fault if it is overwritten before the daemon has linked the
	 * guard. */
	attachment->counted = attachment_newest(attachment);
	attachment->cursor = attachment->counted > 0 ? attachment->counted : 1;
	*ret_attachment = attachment;
	return 0;

unmap_bell:
	bell_unmap(attachment->bell);
unmap_guard:
	munmap(attachment->guard, attachment->guard_size);
unmap_pool:
	munmap((void *)attachment->view.base, attachment->view.size);
free_attachment:
	free(attachment);
	return error;
}

HOT struct attachment *attachment_ref(struct attachment *attachment)
{
	atomic_fetch_add_explicit(&attachment->references, 1, memory_order_relaxed);
	return attachment;
}

HOT void attachment_unref(struct attachment *attachment)
{
	if (!attachment)
		return;
	if (atomic_fetch_sub_explicit(&attachment->references, 1, memory_order_acq_rel) > 1)
		return;
	buffers_destroy(attachment->buffers);
	bell_unmap(attachment->bell);
	munmap(attachment->guard, attachment->guard_size);
	munmap((void *)attachment->view.base, attachment->view.size);
	connection_unref(attachment->connection);
	free(attachment);
}

static guard_word *word_of(const struct attachment *attachment, uint32_t slot)
{
	return (guard_word *)(attachment->guard + (size_t)slot * attachment->guard_stride);
}

HOT bool attachment_linked(const struct attachment *attachment)
{
	/* 0 is no state: a word is 0 until the daemon has linked this guard in. */
	return atomic_load_explicit(word_of(attachment, 0), memory_order_relaxed) != 0;
}

/* Where recent[] says that the frame at `position` is; false: nowhere. */
HOT static bool find(const struct attachment *attachment, uint64_t position, uint32_t *ret_slot,
	uint64_t *ret_generation)
{
	uint64_t value = atomic_load_explicit(
		pool_view_recent(&attachment->view, position), memory_order_acquire);
	uint32_t slot = value & ((1u << POOL_RECENT_SLOT_BITS) - 1);

	if (value == 0 || slot >= attachment->view.slot_count)
		return false;
	*ret_slot = slot;
	*ret_generation = value >> POOL_RECENT_SLOT_BITS;
	return true;
}

/* The position of the frame in a slot. It is another one if recent[] was lapped: then this is a
 * newer frame, whose turn will come. It must not even be taken, for if the source waits for its
 * release it would be lost by that. (It is loaded after the entry of recent[], so it cannot be an
 * older one.) */
HOT static uint64_t position_in(const struct attachment *attachment, uint32_t slot)
{
	return __atomic_load_n(
		&pool_view_descriptor(&attachment->view, slot)->frame.position, __ATOMIC_RELAXED);
}

/* The first position from `from` on that can still be in recent[] when `to` is the newest. */
HOT static uint64_t reachable(const struct attachment *attachment, uint64_t from, uint64_t to)
{
	uint64_t look_back = attachment->view.recent_count;

	if (look_back > LOOK_BACK_MAX)
		look_back = LOOK_BACK_MAX;
	return to >= look_back && from <= to - look_back ? to - look_back + 1 : from;
}

HOT uint64_t attachment_newest(const struct attachment *attachment)
{
	uint64_t newest = atomic_load_explicit(
		&pool_view_header(&attachment->view)->newest, memory_order_acquire);

	return newest < POSITION_MAX ? newest : POSITION_MAX;
}

HOT bool attachment_available(const struct attachment *attachment, uint64_t from, uint64_t to)
{
	from = reachable(attachment, from, to);
	for (uint64_t position = to; position >= from; position--) {
		uint64_t generation, seen;
		uint32_t slot;

		if (!find(attachment, position, &slot, &generation))
			continue;
		seen = atomic_load_explicit(word_of(attachment, slot), memory_order_relaxed);
		if (seen == guard_value(generation, GUARD_FREE) ||
			(seen & ~(uint64_t)GUARD_WAITED) == guard_value(generation, GUARD_OFFERED))
			return true;
	}
	return false;
}

HOT static struct pool_slot_memory slot_memory(const struct attachment *attachment, uint32_t slot)
{
	if (attachment->buffers)
		return attachment->buffers->slots[slot].memory;
	return (struct pool_slot_memory){
		.plane_count = 1, .length = {attachment->view.slot_stride}};
}

HOT void attachment_prefetch(const struct attachment *attachment)
{
	const char *start = (const char *)attachment;

	for (size_t i = CACHE_LINE; i < sizeof(*attachment); i += CACHE_LINE)
		__builtin_prefetch(start + i);
	__builtin_prefetch(word_of(attachment, 0), 1);
	__builtin_prefetch((const void *)&pool_view_header(&attachment->view)->newest);
	__builtin_prefetch((const void *)pool_view_recent(&attachment->view, attachment->cursor));
}

HOT enum attachment_outcome attachment_take(
	struct attachment *attachment, uint64_t position, struct camtap_frame *frame)
{
	struct pool_slot_memory memory;
	uint64_t generation;
	uint32_t slot;

	if (!find(attachment, position, &slot, &generation) ||
		position_in(attachment, slot) != position)
		return ATTACHMENT_GONE;
	if (guard_take(word_of(attachment, slot), generation) != GUARD_DONE)
		return attachment_linked(attachment) ? ATTACHMENT_GONE : ATTACHMENT_UNLINKED;
	if (!pool_frame_load(&attachment->view, slot, &frame->info) ||
		!guard_holds(word_of(attachment, slot), generation))
		goto give_back; /* revoked meanwhile: the copy is worth nothing */
	memory = slot_memory(attachment, slot);
	if (frame->info.position != position || !pool_frame_check(&frame->info, &memory))
		goto give_back; /* what no daemon writes */
	frame->slot = slot;
	frame->generation = generation;
	return ATTACHMENT_TAKEN;

give_back:
	(void)attachment_give_back(attachment, slot, generation);
	return ATTACHMENT_GONE;
}

HOT enum attachment_outcome attachment_take_next(
	struct attachment *attachment, uint64_t to, struct camtap_frame *frame)
{
	uint64_t position = reachable(attachment, attachment->cursor, to);

	for (; position <= to; position++) {
		enum attachment_outcome outcome = attachment_take(attachment, position, frame);

		if (outcome == ATTACHMENT_UNLINKED)
			return outcome;
		attachment->cursor = position + 1;
		if (outcome == ATTACHMENT_TAKEN)
			return outcome;
	}
	return ATTACHMENT_GONE;
}

enum attachment_outcome attachment_take_latest(
	struct attachment *attachment, uint64_t to, struct camtap_frame *frame)
{
	for (unsigned i = 0; i < LATEST_TRIES; i++) {
		uint64_t newest = attachment_newest(attachment);
		uint64_t position = newest < to ? newest : to;
		enum attachment_outcome outcome;

		if (position < attachment->cursor)
			return ATTACHMENT_GONE;
		outcome = attachment_take(attachment, position, frame);
		if (outcome == ATTACHMENT_UNLINKED)
			return outcome;
		attachment->cursor = position + 1;
		if (outcome == ATTACHMENT_TAKEN)
			return outcome;
	}
	return ATTACHMENT_GONE;
}

HOT bool attachment_give_back(struct attachment *attachment, uint32_t slot, uint64_t generation)
{
	struct wire_released released;

	switch (guard_release(word_of(attachment, slot), generation)) {
	case GUARD_DONE_WAITED:
		/* Any message makes the daemon look, so if there is no room for this one it is not
		 * missed. */
		message_init(&released.header, WIRE_RELEASED, sizeof(released));
		(void)message_send(attachment->connection->socket, &released.header, NULL, 0);
		return true;
	case GUARD_DONE:
		return true;
	case GUARD_GONE:
		break;
	}
	return false;
}

bool attachment_holds(const struct attachment *attachment, uint32_t slot, uint64_t generation)
{
	return guard_holds(word_of(attachment, slot), generation);
}
