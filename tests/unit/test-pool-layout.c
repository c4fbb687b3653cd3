/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool-layout.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	SLOTS = 4,
	FRAME_SIZE = 1000,
	PAGE = 4096,
	EPOCH = 77,
};

/* A pool in ordinary memory of exactly its size, so that the sanitizer sees every step beside it.
 */
static uint8_t *pool_create(const struct pool_header *header)
{
	uint8_t *base = aligned_alloc(64, header->pool_size);

	assert_non_null(base);
	memset(base, 0, header->pool_size);
	memcpy(base, header, sizeof(*header));
	return base;
}

static struct pool_header header_make(void)
{
	struct pool_header header;

	assert_int_equal(pool_layout_init(&header, SLOTS, FRAME_SIZE, PAGE), 0);
	header.epoch = EPOCH;
	header.format = (struct pool_format){
		.fourcc = 0x3231564e,
		.width = 20,
		.height = 30,
		.frame_size = FRAME_SIZE,
		.plane_count = 2,
		.planes = {{0, 20}, {600, 20}},
	};
	return header;
}

static void the_layout_is_right(void **state)
{
	static const uint32_t counts[] = {POOL_SLOTS_MIN, 8, 17, POOL_SLOTS_MAX};
	static const uint32_t sizes[] = {1, 4096, 4097, 3110400, UINT32_MAX};
	static const uint32_t pages[] = {64, 4096, 16384, 65536};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(counts) * ELEMENTS(sizes) * ELEMENTS(pages); i++) {
		uint32_t count = counts[i % ELEMENTS(counts)];
		uint32_t size = sizes[i / ELEMENTS(counts) % ELEMENTS(sizes)];
		uint32_t page = pages[i / ELEMENTS(counts) / ELEMENTS(sizes)];
		struct pool_header header;

		assert_int_equal(pool_layout_init(&header, count, size, page), 0);
		assert_memory_equal(header.magic, POOL_MAGIC, sizeof(header.magic));
		assert_int_equal(header.version, POOL_VERSION);
		assert_int_equal(header.header_size, sizeof(header));
		assert_int_equal(header.slot_count, count);
		assert_true(header.recent_count >= count);
		assert_int_equal(header.recent_offset % 64, 0);
		assert_int_equal(header.descriptor_offset % 64, 0);
		assert_int_equal(header.descriptor_stride % 64, 0);
		assert_int_equal(header.slot_offset % page, 0);
		assert_int_equal(header.slot_stride % page, 0);
		assert_true(header.slot_stride >= size);
		assert_true(header.slot_stride - size < page);
		assert_true(header.recent_offset >= sizeof(header));
		assert_true(header.descriptor_offset >=
			    header.recent_offset + header.recent_count * sizeof(pool_recent));
		assert_true(header.descriptor_stride >= sizeof(struct pool_descriptor));
		assert_true(header.slot_offset >=
			    header.descriptor_offset + (uint64_t)count * header.descriptor_stride);
		assert_int_equal(header.pool_size, header.slot_offset + count * header.slot_stride);
		assert_int_equal(header.epoch, 0);
		assert_int_equal(header.newest, 0);
	}
}

static void impossible_layouts_are_refused(void **state)
{
	struct pool_header header = {.version = 99};

	(void)state;
	assert_int_equal(pool_layout_init(&header, POOL_SLOTS_MIN - 1, 1, PAGE), -EINVAL);
	assert_int_equal(pool_layout_init(&header, POOL_SLOTS_MAX + 1, 1, PAGE), -EINVAL);
	assert_int_equal(pool_layout_init(&header, SLOTS, 0, PAGE), -EINVAL);
	assert_int_equal(pool_layout_init(&header, SLOTS, 1, 0), -EINVAL);
	assert_int_equal(pool_layout_init(&header, SLOTS, 1, 32), -EINVAL);
	assert_int_equal(pool_layout_init(&header, SLOTS, 1, PAGE + 64), -EINVAL);
	assert_int_equal(header.version, 99);
}

static void a_view_finds_everything(void **state)
{
	struct pool_header header = header_make();
	uint8_t *base = pool_create(&header);
	struct pool_view view;

	(void)state;
	assert_int_equal(pool_view_init(&view, base, header.pool_size), 0);
	assert_int_equal(view.epoch, EPOCH);
	assert_int_equal(view.slot_count, SLOTS);
	assert_memory_equal(&view.format, &header.format, sizeof(view.format));
	assert_ptr_equal(pool_view_header(&view), base);
	assert_ptr_equal(pool_view_recent(&view, 1), base + header.recent_offset);
	assert_ptr_equal(pool_view_recent(&view, 2), base + header.recent_offset + 8);
	assert_ptr_equal(pool_view_recent(&view, POOL_RECENT_COUNT),
		base + header.recent_offset + (POOL_RECENT_COUNT - 1) * 8);
	assert_ptr_equal(
		pool_view_recent(&view, POOL_RECENT_COUNT + 1), base + header.recent_offset);
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_ptr_equal(pool_view_descriptor(&view, i),
			base + header.descriptor_offset + i * header.descriptor_stride);
		assert_ptr_equal(pool_view_slot(&view, i),
			base + header.slot_offset + i * header.slot_stride);
	}
	free(base);
}

/* A newer daemon's pool: everything longer and further apart than here. */
static void a_larger_layout_is_accepted(void **state)
{
	struct pool_header header = header_make();
	struct pool_frame frame = {.position = 9, .plane_count = 1}, got;
	struct pool_view view;
	uint8_t *base;

	(void)state;
	header.header_size = 512;
	header.recent_offset = 576;
	header.recent_count = 100;
	header.descriptor_offset = 576 + 100 * 8 + 64;
	header.descriptor_stride = 512;
	header.slot_offset = 3 * PAGE;
	header.slot_stride = 3 * PAGE;
	header.pool_size = header.slot_offset + SLOTS * header.slot_stride + PAGE;
	base = pool_create(&header);
	memset(base + header.descriptor_offset, 0xee, SLOTS * header.descriptor_stride);
	assert_int_equal(pool_view_init(&view, base, header.pool_size), 0);
	assert_ptr_equal(pool_view_recent(&view, 101), base + 576);
	pool_frame_store(
		(struct pool_descriptor *)(base + header.descriptor_offset + 3 * 512), &frame);
	assert_true(pool_frame_load(&view, 3, &got));
	assert_memory_equal(&got, &frame, sizeof(got));
	free(base);
}

/* A daemon whose descriptors lack what this reader knows beyond the first version's fields. */
static void a_shorter_descriptor_reads_as_zero(void **state)
{
	const uint32_t stride =
		offsetof(struct pool_descriptor, frame) + offsetof(struct pool_frame, reserved);
	struct pool_header header = header_make();
	struct pool_frame frame, got;
	struct pool_view view;
	uint8_t *base;

	(void)state;
	header.descriptor_stride = stride;
	base = pool_create(&header);
	memset(base + header.descriptor_offset, 0xee, SLOTS * stride);
	assert_int_equal(pool_view_init(&view, base, header.pool_size), 0);
	memset(&got, 0xaa, sizeof(got));
	assert_true(pool_frame_load(&view, 1, &got));
	memset(&frame, 0xee, sizeof(frame));
	assert_memory_equal(&got, &frame, offsetof(struct pool_frame, reserved));
	memset(&frame, 0, sizeof(frame));
	assert_memory_equal(got.reserved, frame.reserved, sizeof(got.reserved));

	header.descriptor_stride = stride - 8;
	memcpy(base, &header, sizeof(header));
	assert_int_equal(pool_view_init(&view, base, header.pool_size), -EBADMSG);
	free(base);
}

#define FIELD(name) offsetof(struct pool_header, name), sizeof(((struct pool_header *)0)->name)

/* One wrong value at a time. */
static void a_hostile_header_is_refused(void **state)
{
	static const struct {
		size_t offset, size;
		uint64_t value;
		int error;
	} rows[] = {
		{FIELD(magic), 0, -EBADMSG},
		{FIELD(version), 0, -EPROTONOSUPPORT},
		{FIELD(version), POOL_VERSION + 1, -EPROTONOSUPPORT},
		{FIELD(header_size), 0, -EBADMSG},
		{FIELD(header_size), sizeof(struct pool_header) - 1, -EBADMSG},
		{FIELD(header_size), sizeof(struct pool_header) + 1, -EBADMSG},
		{FIELD(header_size), UINT32_MAX, -EBADMSG},
		{FIELD(pool_size), 0, -EBADMSG},
		{FIELD(pool_size), UINT64_MAX, -EBADMSG},
		{FIELD(epoch), 0, -EBADMSG},
		{FIELD(slot_count), 0, -EBADMSG},
		{FIELD(slot_count), POOL_SLOTS_MIN - 1, -EBADMSG},
		{FIELD(slot_count), SLOTS + 1, -EBADMSG},
		{FIELD(slot_count), POOL_SLOTS_MAX, -EBADMSG},
		{FIELD(slot_count), UINT32_MAX, -EBADMSG},
		{FIELD(recent_count), 0, -EBADMSG},
		{FIELD(recent_count), SLOTS - 1, -EBADMSG},
		{FIELD(recent_count), POOL_RECENT_COUNT + 1, -EBADMSG},
		{FIELD(recent_count), UINT32_MAX / 8 + 2, -EBADMSG},
		{FIELD(recent_count), UINT32_MAX, -EBADMSG},
		{FIELD(recent_offset), 0, -EBADMSG},
		{FIELD(recent_offset), sizeof(struct pool_header) - 8, -EBADMSG},
		{FIELD(recent_offset), sizeof(struct pool_header) + 4, -EBADMSG},
		{FIELD(recent_offset), UINT32_MAX - 7, -EBADMSG},
		{FIELD(descriptor_offset), 0, -EBADMSG},
		{FIELD(descriptor_offset), sizeof(struct pool_header) + (POOL_RECENT_COUNT - 5) * 8,
			-EBADMSG},
		{FIELD(descriptor_offset), sizeof(struct pool_header) + POOL_RECENT_COUNT * 8 + 4,
			-EBADMSG},
		{FIELD(descriptor_offset), PAGE, -EBADMSG},
		{FIELD(descriptor_offset), UINT32_MAX - 7, -EBADMSG},
		{FIELD(descriptor_stride), 0, -EBADMSG},
		{FIELD(descriptor_stride), 8, -EBADMSG},
		{FIELD(descriptor_stride), POOL_DESCRIPTOR_STRIDE + 4, -EBADMSG},
		{FIELD(descriptor_stride), PAGE, -EBADMSG},
		{FIELD(descriptor_stride), UINT32_MAX - 7, -EBADMSG},
		{FIELD(slot_offset), 0, -EBADMSG},
		{FIELD(slot_offset), PAGE - 4, -EBADMSG},
		{FIELD(slot_offset), PAGE + 64, -EBADMSG},
		{FIELD(slot_offset), UINT64_MAX - 63, -EBADMSG},
		{FIELD(slot_offset), UINT64_MAX - SLOTS * PAGE + 1, -EBADMSG},
		{FIELD(slot_stride), 0, -EBADMSG},
		{FIELD(slot_stride), FRAME_SIZE + 24 + 8, -EBADMSG},
		{FIELD(slot_stride), FRAME_SIZE - 1, -EBADMSG},
		{FIELD(slot_stride), 960, -EBADMSG}, /* smaller than a frame */
		{FIELD(slot_stride), PAGE + 64, -EBADMSG},
		{FIELD(slot_stride), UINT64_C(1) << 62, -EBADMSG}, /* times 4 is 0 */
		{FIELD(slot_stride), UINT64_MAX - 63, -EBADMSG},
		{FIELD(format.frame_size), PAGE + 1, -EBADMSG},
		{FIELD(format.plane_count), POOL_PLANES_MAX + 1, -EBADMSG},
		{FIELD(format.plane_count), UINT32_MAX, -EBADMSG},
		{FIELD(format.planes[1].offset), FRAME_SIZE + 1, -EBADMSG},
		{FIELD(format.planes[1].offset), UINT32_MAX, -EBADMSG},
	};
	struct pool_header header = header_make();
	struct pool_view view;
	uint8_t *base;

	(void)state;
	header.recent_count -= 4; /* a gap, so that misplaced things still fit */
	base = pool_create(&header);
	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		memcpy(base, &header, sizeof(header));
		assert_int_equal(pool_view_init(&view, base, header.pool_size), 0);
		memcpy(base + rows[i].offset, &rows[i].value, rows[i].size);
		view.base = NULL;
		if (pool_view_init(&view, base, header.pool_size) != rows[i].error)
			fail_msg("row %zu was not refused as it should be", i);
		assert_null(view.base);
	}
	memcpy(base, &header, sizeof(header));
	assert_int_equal(pool_view_init(&view, base, header.pool_size - 64), -EBADMSG);
	free(base);
}

static void a_pool_smaller_than_a_header_is_refused(void **state)
{
	struct pool_header header = header_make();
	uint8_t *base = aligned_alloc(64, 256);
	struct pool_view view;

	(void)state;
	assert_non_null(base);
	memcpy(base, &header, 256);
	assert_int_equal(pool_view_init(&view, base, 256), -EBADMSG);
	assert_int_equal(pool_view_init(&view, base, 0), -EBADMSG);
	free(base);
}

/* Others keep sets of slots in 64 bits. */
static void too_many_slots_are_refused(void **state)
{
	struct pool_header header;
	struct pool_view view;
	uint8_t *base;

	(void)state;
	assert_int_equal(pool_layout_init(&header, POOL_SLOTS_MAX, 1, 64), 0);
	header.epoch = EPOCH;
	header.recent_count++;
	header.descriptor_offset += 64;
	header.slot_offset += 512;
	header.pool_size += 1024;
	base = pool_create(&header);
	assert_int_equal(pool_view_init(&view, base, header.pool_size), 0);
	header.slot_count++;
	memcpy(base, &header, sizeof(header));
	assert_int_equal(pool_view_init(&view, base, header.pool_size), -EBADMSG);
	free(base);
}

static volatile unsigned sink;

/* Touches all that a view gives access to. */
static void touch(const struct pool_view *view)
{
	struct pool_frame frame;
	unsigned sum = 0;

	for (uint32_t i = 1; i <= view->recent_count; i++)
		sum += (unsigned)atomic_load(pool_view_recent(view, i));
	for (uint32_t i = 0; i < view->slot_count; i++) {
		assert_true(pool_frame_load(view, i, &frame));
		sum += (unsigned)frame.reserved[5];
		sum += pool_view_slot(view, i)[0];
		sum += pool_view_slot(view, i)[view->slot_stride - 1];
	}
	sink = sum;
}

/* Every 32-bit word of the header, and every pair of the words that place something, with every
 * value that could do harm: what is accepted must be safe to use (the sanitizer judges). */
static void an_accepted_header_is_safe(void **state)
{
	static const uint32_t values[] = {0, 1, 3, 4, 5, 7, 8, 63, 64, 65, 128, 136, 184, 192, 320,
		832, 960, 1024, 4096, 8192, 20480, 20416, 0x7fffffc0, 0x80000000, 0xfffffc00,
		0xffffffc0, 0xffffffff};
	const size_t words = sizeof(struct pool_header) / sizeof(uint32_t);
	struct pool_header header = header_make();
	uint8_t *base = pool_create(&header);
	unsigned accepted = 0, refused = 0;

	(void)state;
	for (size_t first = 0; first < words; first++) {
		for (size_t second = first; second < words; second++) {
			if (second * 4 >= offsetof(struct pool_header, newest))
				break;
			for (size_t i = 0; i < ELEMENTS(values) * ELEMENTS(values); i++) {
				struct pool_view view;

				memcpy(base, &header, sizeof(header));
				memcpy(base + first * 4, &values[i % ELEMENTS(values)], 4);
				memcpy(base + second * 4, &values[i / ELEMENTS(values)], 4);
				if (pool_view_init(&view, base, header.pool_size) == 0) {
					accepted++;
					touch(&view);
				} else {
					refused++;
				}
			}
		}
	}
	assert_true(accepted > 1000 && refused > 1000);
	free(base);
}

static void a_frame_is_copied_whole(void **state)
{
	struct pool_header header = header_make();
	uint8_t *base = pool_create(&header);
	struct pool_descriptor *descriptor;
	struct pool_frame frame, got;
	struct pool_view view;

	(void)state;
	assert_int_equal(pool_view_init(&view, base, header.pool_size), 0);
	for (size_t i = 0; i < sizeof(frame); i++)
		((uint8_t *)&frame)[i] = (uint8_t)(i + 1);
	descriptor = (struct pool_descriptor *)(base + header.descriptor_offset +
						2 * header.descriptor_stride);
	atomic_store(&descriptor->generation, 5);
	pool_frame_store(descriptor, &frame);
	assert_int_equal(atomic_load(&descriptor->generation), 5);
	assert_true(pool_frame_load(&view, 2, &got));
	assert_memory_equal(&got, &frame, sizeof(got));
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_true(pool_frame_load(&view, i, &got));
		assert_int_equal(got.position != 0, i == 2);
	}
	got.position = 123;
	assert_false(pool_frame_load(&view, SLOTS, &got));
	assert_false(pool_frame_load(&view, UINT32_MAX, &got));
	assert_int_equal(got.position, 123);
	free(base);
}

static void a_plane_outside_its_slot_is_found(void **state)
{
	const struct pool_frame good = {
		.bytesused = PAGE,
		.plane_count = 2,
		.planes = {{.bytesused = 96, .stride = 20}, {.offset = 96, .bytesused = PAGE - 96}},
	};
	const struct pool_slot_memory memory = {.plane_count = 1, .length = {PAGE}};
	struct pool_frame frame = good;

	(void)state;
	assert_true(pool_frame_check(&frame, &memory));
	frame.planes[1] = (__typeof__(frame.planes[1])){.offset = PAGE};
	assert_true(pool_frame_check(&frame, &memory));

	frame = good;
	frame.bytesused++;
	assert_false(pool_frame_check(&frame, &memory));
	frame = good;
	frame.plane_count = 0;
	assert_false(pool_frame_check(&frame, &memory));
	frame.plane_count = POOL_PLANES_MAX + 1;
	assert_false(pool_frame_check(&frame, &memory));
	frame = good;
	frame.planes[1].bytesused++;
	assert_false(pool_frame_check(&frame, &memory));
	frame = good;
	frame.planes[1].offset++;
	assert_false(pool_frame_check(&frame, &memory));
	frame = good;
	frame.planes[1].offset = UINT32_MAX; /* offset + bytesused wraps to a small number */
	assert_false(pool_frame_check(&frame, &memory));
	frame = good;
	frame.planes[0].bytesused = UINT32_MAX;
	assert_false(pool_frame_check(&frame, &memory));
	frame = good;
	frame.planes[1].memory = 1;
	assert_false(pool_frame_check(&frame, &memory));
}

static void a_plane_lies_in_the_memory_plane_that_it_names(void **state)
{
	const struct pool_slot_memory memory = {.plane_count = 2, .length = {PAGE, 64}};
	const struct pool_frame good = {
		.bytesused = PAGE + 64,
		.plane_count = 2,
		.planes = {{.bytesused = PAGE}, {.offset = 32, .bytesused = 32, .memory = 1}},
	};
	struct pool_frame frame = good;

	(void)state;
	assert_true(pool_frame_check(&frame, &memory));
	frame.planes[1].bytesused++;
	assert_false(pool_frame_check(&frame, &memory));
	frame.planes[1].memory = 0;
	assert_true(pool_frame_check(&frame, &memory));
	frame = good;
	frame.planes[1].memory = 2;
	assert_false(pool_frame_check(&frame, &memory));
	frame.planes[1].memory = UINT32_MAX;
	assert_false(pool_frame_check(&frame, &memory));
	frame = good;
	frame.bytesused++;
	assert_false(pool_frame_check(&frame, &memory));
}

/* Slots in dma-bufs: none in the pool, and a reader that does not know of that must not believe it.
 */
static void a_pool_without_slots(void **state)
{
	struct pool_header header, wrong;
	struct pool_view view;
	uint8_t *base;

	(void)state;
	assert_int_equal(pool_layout_init_dmabuf(&header, POOL_SLOTS_MIN - 1, PAGE), -EINVAL);
	assert_int_equal(pool_layout_init_dmabuf(&header, SLOTS, PAGE), 0);
	assert_int_equal(header.slot_stride, 0);
	assert_int_equal(header.slot_offset, header.pool_size);
	assert_int_equal(header.pool_size % PAGE, 0);
	header.epoch = 1;
	header.format.frame_size = 123456;
	base = pool_create(&header);
	assert_int_equal(pool_view_init(&view, base, header.pool_size), 0);
	assert_int_equal(view.flags, POOL_FLAG_DMABUF);

	wrong = header;
	wrong.flags = 0;
	memcpy(base, &wrong, sizeof(wrong));
	assert_int_equal(pool_view_init(&view, base, header.pool_size), -EBADMSG);
	wrong = header;
	wrong.slot_stride = 64;
	memcpy(base, &wrong, sizeof(wrong));
	assert_int_equal(pool_view_init(&view, base, header.pool_size), -EBADMSG);
	wrong = header;
	wrong.slot_offset -= 64;
	memcpy(base, &wrong, sizeof(wrong));
	assert_int_equal(pool_view_init(&view, base, header.pool_size), -EBADMSG);
	wrong = header;
	wrong.descriptor_offset += PAGE;
	memcpy(base, &wrong, sizeof(wrong));
	assert_int_equal(pool_view_init(&view, base, header.pool_size), -EBADMSG);
	free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_layout_is_right),
		cmocka_unit_test(impossible_layouts_are_refused),
		cmocka_unit_test(a_view_finds_everything),
		cmocka_unit_test(a_larger_layout_is_accepted),
		cmocka_unit_test(a_shorter_descriptor_reads_as_zero),
		cmocka_unit_test(a_hostile_header_is_refused),
		cmocka_unit_test(a_pool_smaller_than_a_header_is_refused),
		cmocka_unit_test(too_many_slots_are_refused),
		cmocka_unit_test(an_accepted_header_is_safe),
		cmocka_unit_test(a_frame_is_copied_whole),
		cmocka_unit_test(a_plane_outside_its_slot_is_found),
		cmocka_unit_test(a_plane_lies_in_the_memory_plane_that_it_names),
		cmocka_unit_test(a_pool_without_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
