/* SPDX-License-Identifier: MIT */
#include "pool-layout.h"

#include "hot.h"

#include <errno.h>
#include <string.h>

/* What every descriptor of version 1 has; beyond it are fields that a later daemon may know. */
#define DESCRIPTOR_SIZE_MIN                                                                        \
	(offsetof(struct pool_descriptor, frame) + offsetof(struct pool_frame, reserved))

/* Slots begin at least on a cache line. */
#define SLOT_ALIGNMENT 64

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) / alignment * alignment;
}

/* Everything before the slots. */
static int layout_init(struct pool_header *ret_header, uint32_t slot_count, uint32_t page_size)
{
	struct pool_header header = {
		.version = POOL_VERSION,
		.header_size = sizeof(header),
		.slot_count = slot_count,
		.recent_count = POOL_RECENT_COUNT,
		.recent_offset = sizeof(header),
		.descriptor_offset = sizeof(header) + POOL_RECENT_COUNT * sizeof(pool_recent),
		.descriptor_stride = POOL_DESCRIPTOR_STRIDE,
	};

	_Static_assert(POOL_RECENT_COUNT >= POOL_SLOTS_MAX, "recent[] holds every slot");

	if (slot_count < POOL_SLOTS_MIN || slot_count > POOL_SLOTS_MAX)
		return -EINVAL;
	if (page_size < SLOT_ALIGNMENT || (page_size & (page_size - 1)) != 0)
		return -EINVAL;

	memcpy(header.magic, POOL_MAGIC, sizeof(header.magic));
	header.slot_offset =
		align_up(header.descriptor_offset + (uint64_t)slot_count * header.descriptor_stride,
			page_size);
	header.pool_size = header.slot_offset;
	*ret_header = header;
	return 0;
}

int pool_layout_init(struct pool_header *ret_header, uint32_t slot_count, uint32_t frame_size,
	uint32_t page_size)
{
	struct pool_header header;
	int error = layout_init(&header, slot_count, page_size);

	if (error < 0)
		return error;
	if (frame_size == 0)
		return -EINVAL;
	header.slot_stride = align_up(frame_size, page_size);
	header.pool_size += slot_count * header.slot_stride;
	*ret_header = header;
	return 0;
}

int pool_layout_init_dmabuf(struct pool_header *ret_header, uint32_t slot_count, uint32_t page_size)
{
	int error = layout_init(ret_header, slot_count, page_size);

	if (error == 0)
		ret_header->flags = POOL_FLAG_DMABUF;
	return error;
}

/* Words of memory that another process may be writing: each is loaded or stored exactly once. */
typedef uint64_t __attribute__((may_alias)) shared_word;

static void load_words(void *to, const void *from, size_t size)
{
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t word = __atomic_load_n(
			(const shared_word *)((const char *)from + at), __ATOMIC_RELAXED);

		memcpy((char *)to + at, &word, sizeof(word));
	}
}

static void store_words(void *to, const void *from, size_t size)
{
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, (const char *)from + at, sizeof(word));
		__atomic_store_n((shared_word *)((char *)to + at), word, __ATOMIC_RELAXED);
	}
}

/* Does an array of `count` elements, `stride` bytes apart, lie within [first, end)? */
static bool array_within(
	uint64_t offset, uint64_t count, uint64_t stride, uint64_t first, uint64_t end)
{
	return stride > 0 && offset >= first && offset <= end && count <= (end - offset) / stride;
}

static bool format_plausible(const struct pool_format *format)
{
	if (format->plane_count > POOL_PLANES_MAX)
		return false;
	for (uint32_t i = 0; i < format->plane_count; i++) {
		if (format->planes[i].offset > format->frame_size)
			return false;
	}
	return true;
}

static bool slots_plausible(const struct pool_header *header, uint64_t size)
{
	if (header->flags & POOL_FLAG_DMABUF)
		return header->slot_stride == 0 && header->slot_offset == size;
	return header->slot_stride % SLOT_ALIGNMENT == 0 &&
	       header->format.frame_size <= header->slot_stride &&
	       array_within(header->slot_offset, header->slot_count, header->slot_stride,
		       header->descriptor_offset, size);
}

static bool header_plausible(const struct pool_header *header, uint64_t size)
{
	const uint64_t word = sizeof(uint64_t);

	if (header->header_size < sizeof(*header) || header->pool_size != size ||
		header->epoch == 0)
		return false;
	if (header->slot_count < POOL_SLOTS_MIN || header->slot_count > POOL_SLOTS_MAX ||
		header->recent_count < header->slot_count)
		return false;
	if (header->recent_offset % word != 0 || header->descriptor_offset % word != 0 ||
		header->descriptor_stride % word != 0 ||
		header->descriptor_stride < DESCRIPTOR_SIZE_MIN ||
		header->slot_offset % SLOT_ALIGNMENT != 0 || header->slot_offset > size)
		return false;
	return array_within(header->recent_offset, header->recent_count, word, header->header_size,
		       header->descriptor_offset) &&
	       array_within(header->descriptor_offset, header->slot_count,
		       header->descriptor_stride, header->recent_offset, header->slot_offset) &&
	       slots_plausible(header, size) && format_plausible(&header->format);
}

int pool_view_init(struct pool_view *ret_view, const void *base, uint64_t size)
{
	struct pool_header header;
	size_t descriptor_size = sizeof(struct pool_descriptor);

	if (size < sizeof(header))
		return -EBADMSG;
	load_words(&header, base, sizeof(header));
	if (memcmp(header.magic, POOL_MAGIC, sizeof(header.magic)) != 0)
		return -EBADMSG;
	if (header.version != POOL_VERSION)
		return -EPROTONOSUPPORT;
	if (!header_plausible(&header, size))
		return -EBADMSG;

	if (descriptor_size > header.descriptor_stride)
		descriptor_size = header.descriptor_stride;
	*ret_view = (struct pool_view){
		.base = base,
		.size = size,
		.epoch = header.epoch,
		.slot_count = header.slot_count,
		.recent_count = header.recent_count,
		.recent_offset = header.recent_offset,
		.descriptor_offset = header.descriptor_offset,
		.descriptor_stride = header.descriptor_stride,
		.flags = header.flags,
		.frame_bytes =
			(uint32_t)(descriptor_size - offsetof(struct pool_descriptor, frame)),
		.slot_offset = header.slot_offset,
		.slot_stride = header.slot_stride,
		.format = header.format,
	};
	return 0;
}

HOT bool pool_frame_load(const struct pool_view *view, uint32_t slot, struct pool_frame *ret_frame)
{
	if (slot >= view->slot_count)
		return false;
	memset(ret_frame, 0, sizeof(*ret_frame));
	load_words(ret_frame, &pool_view_descriptor(view, slot)->frame, view->frame_bytes);
	return true;
}

HOT bool pool_frame_check(const struct pool_frame *frame, const struct pool_slot_memory *memory)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < memory->plane_count; i++)
		bytes += memory->length[i];
	if (frame->plane_count == 0 || frame->plane_count > POOL_PLANES_MAX ||
		frame->bytesused > bytes)
		return false;
	for (uint32_t i = 0; i < frame->plane_count; i++) {
		uint32_t plane = frame->planes[i].memory, offset = frame->planes[i].offset;

		if (plane >= memory->plane_count || offset > memory->length[plane] ||
			frame->planes[i].bytesused > memory->length[plane] - offset)
			return false;
	}
	return true;
}

HOT void pool_frame_store(struct pool_descriptor *descriptor, const struct pool_frame *frame)
{
	store_words(&descriptor->frame, frame, sizeof(*frame));
}
