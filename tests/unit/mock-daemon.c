/* SPDX-License-Identifier: MIT */
#include "mock-daemon.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/videodev2.h>

enum {
	LIMIT_MS = 20000, /* for whatever has to come */
};

/* ---- socket ---- */

void mock_init(struct mock *mock)
{
	*mock = (struct mock){.listener = -1, .socket = -1};
	mock->pool.fd = mock->guard.fd = mock->bell.fd = -1;
	strcpy(mock->directory, "/tmp/camtap-test.XXXXXX");
	assert_non_null(mkdtemp(mock->directory));
	snprintf(mock->path, sizeof(mock->path), "%s/socket", mock->directory);
	mock_listen(mock);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop_pool(struct mock *mock)
{
	for (uint32_t i = 0; i < MOCK_SLOTS * MOCK_MEMORY_PLANES; i++) {
		struct mock_buffer *buffer =
			&mock->pool.buffers[i / MOCK_MEMORY_PLANES][i % MOCK_MEMORY_PLANES];

		if (buffer->base)
			munmap(buffer->base, MOCK_BUFFER_OFFSET + buffer->length);
		if (buffer->base)
			close_fd(&buffer->fd);
		buffer->base = NULL;
	}
	if (mock->pool.base)
		munmap(mock->pool.base, mock->pool.size);
	close_fd(&mock->pool.fd);
	mock->pool.base = NULL;
}

static void drop_guard(struct mock *mock)
{
	if (mock->guard.base)
		munmap(mock->guard.base, mock->guard.size);
	close_fd(&mock->guard.fd);
	mock->guard.base = NULL;
}

static void drop_bell(struct mock *mock)
{
	if (mock->bell.words)
		munmap(mock->bell.words, mock->bell.size);
	close_fd(&mock->bell.fd);
	mock->bell.words = mock->bell.word = NULL;
}

void mock_finish(struct mock *mock)
{
	mock_hang_up(mock);
	mock_stop_listening(mock);
	drop_pool(mock);
	drop_guard(mock);
	drop_bell(mock);
	rmdir(mock->directory);
}

void mock_listen(struct mock *mock)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, mock->path);
	mock->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_true(mock->listener >= 0);
	assert_int_equal(
		bind(mock->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(mock->listener, 4), 0);
}

void mock_stop_listening(struct mock *mock)
{
	close_fd(&mock->listener);
	unlink(mock->path);
}

static void wait_for(int fd)
{
	struct pollfd waited = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&waited, 1, LIMIT_MS), 1);
}

void mock_accept(struct mock *mock)
{
	_Alignas(struct wire_header) char buffer[WIRE_MESSAGE_MAX];
	int fds[MESSAGE_FDS_ROOM], length;
	size_t fd_count;

	wait_for(mock->listener);
	mock->socket = accept4(mock->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(mock->socket >= 0);
	wait_for(mock->socket);
	length = message_receive(mock->socket, buffer, sizeof(buffer), fds, &fd_count);
	assert_true(length > 0);
	assert_int_equal(fd_count, 0);
	assert_int_equal(message_unpack(buffer, (size_t)length, WIRE_HELLO_SIZE_MIN, &mock->hello,
				 sizeof(mock->hello)),
		0);
	assert_int_equal(mock->hello.header.type, WIRE_HELLO);
}

void mock_hang_up(struct mock *mock)
{
	close_fd(&mock->socket);
	mock->guard.linked = false;
}

int mock_receive(struct mock *mock)
{
	_Alignas(struct wire_header) char buffer[WIRE_MESSAGE_MAX];
	int fds[MESSAGE_FDS_ROOM], length;
	struct wire_header header;
	struct wire_ready ready;
	size_t fd_count;

	length = message_receive(mock->socket, buffer, sizeof(buffer), fds, &fd_count);
	if (length == -EAGAIN)
		return 0;
	if (length <= 0)
		return -1;
	assert_int_equal(fd_count, 0);
	assert_int_equal(
		message_unpack(buffer, (size_t)length, sizeof(header), &header, sizeof(header)), 0);
	if (header.type == WIRE_READY) {
		assert_int_equal(message_unpack(buffer, (size_t)length, sizeof(ready), &ready,
					 sizeof(ready)),
			0);
		mock->ready_epoch = ready.epoch;
	}
	if (header.type == WIRE_CONTROLS || header.type == WIRE_SET_CONTROL)
		assert_int_equal(
			message_unpack(buffer, (size_t)length,
				header.type == WIRE_CONTROLS ? sizeof(struct wire_controls_request)
							     : sizeof(mock->control),
				&mock->control, sizeof(mock->control)),
			0);
	if (header.type == WIRE_SET_PAUSED)
		assert_int_equal(message_unpack(buffer, (size_t)length, sizeof(mock->set_paused),
					 &mock->set_paused, sizeof(mock->set_paused)),
			0);
	return (int)header.type;
}

void mock_send(struct mock *mock, const void *message, const int *fds, size_t fd_count)
{
	assert_int_equal(message_send(mock->socket, message, fds, fd_count), 0);
	if (!mock->bell.word)
		return;
	atomic_fetch_add_explicit(&mock->bell.word->told, 1, memory_order_relaxed);
	if (!mock->silent)
		mock_ring_bell(mock);
}

static int make_memfd(uint64_t size, uint8_t **ret_base)
{
	int fd = memfd_create("mock", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	*ret_base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*ret_base != MAP_FAILED);
	return fd;
}

/* For a client that has just come. */
static void make_bell(struct mock *mock)
{
	struct mock_bell *bell = &mock->bell;
	uint8_t *base;

	drop_bell(mock);
	if (!mock->rings || !(mock->hello.features & WIRE_FEATURE_BELL))
		return;
	bell->size = 4096;
	bell->fd = make_memfd(bell->size, &base);
	assert_int_equal(fcntl(bell->fd, F_ADD_SEALS,
				 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
		0);
	bell->words = (struct bell_word *)base;
	bell->word = &bell->words[BELL_WORDS - 1];
}

void mock_welcome(struct mock *mock, uint32_t max_leases)
{
	struct wire_welcome welcome = {
		.version = WIRE_VERSION_MAX,
		.max_leases = max_leases,
		.features = mock->hello.features &
			    ((mock->rings ? WIRE_FEATURE_BELL : 0) |
				    (mock->controls ? WIRE_FEATURE_CONTROLS : 0) |
				    (mock->pause ? WIRE_FEATURE_PAUSE : 0)),
		.mode = mock->lossless ? WIRE_MODE_LOSSLESS : mock->hello.mode,
		.camera = "front",
	};

	mock->lossless = welcome.mode == WIRE_MODE_LOSSLESS;
	make_bell(mock);
	message_init(&welcome.header, WIRE_WELCOME, sizeof(welcome));
	mock_send(mock, &welcome, NULL, 0);
}

void mock_source(struct mock *mock, enum wire_source_state state, const char *text)
{
	struct wire_source source = {.state = state};

	message_init(&source.header, WIRE_SOURCE, sizeof(source));
	snprintf(source.text, sizeof(source.text), "%s", text);
	mock_send(mock, &source, NULL, 0);
}

void mock_bye(struct mock *mock, enum wire_type type, uint32_t code, const char *text)
{
	struct wire_bye bye = {.code = code};

	message_init(&bye.header, type, sizeof(bye));
	snprintf(bye.text, sizeof(bye.text), "%s", text);
	mock_send(mock, &bye, NULL, 0);
}

/* ---- memory ---- */

void mock_make_guard(struct mock *mock)
{
	struct mock_guard *guard = &mock->guard;

	drop_guard(mock);
	guard->stride = GUARD_STRIDE;
	guard->size = 4096; /* bytes: enough for POOL_SLOTS_MAX words */
	guard->linked = false;
	guard->fd = make_memfd(guard->size, &guard->base);
	assert_int_equal(fcntl(guard->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
}

void mock_without_slots(struct pool_header *layout)
{
	layout->flags = POOL_FLAG_DMABUF;
	layout->pool_size = layout->slot_offset;
	layout->slot_stride = 0;
	layout->format.planes[1].offset = 0;
}

static void make_buffers(struct mock_pool *pool)
{
	for (uint32_t i = 0; i < MOCK_SLOTS * MOCK_MEMORY_PLANES; i++) {
		struct mock_buffer *buffer =
			&pool->buffers[i / MOCK_MEMORY_PLANES][i % MOCK_MEMORY_PLANES];

		buffer->length =
			MOCK_DATA_OFFSET + MOCK_WIDTH * MOCK_HEIGHT / (1 + i % MOCK_MEMORY_PLANES);
		buffer->fd = make_memfd(MOCK_BUFFER_OFFSET + buffer->length, &buffer->base);
		assert_int_equal(
			fcntl(buffer->fd, F_ADD_SEALS,
				F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
			0);
	}
}

void mock_send_buffer(struct mock *mock, uint32_t slot)
{
	struct wire_buffer message = {
		.epoch = mock->pool.layout.epoch, .slot = slot, .plane_count = MOCK_MEMORY_PLANES};
	int fds[MOCK_MEMORY_PLANES];

	message_init(&message.header, WIRE_BUFFER, sizeof(message));
	for (uint32_t i = 0; i < MOCK_MEMORY_PLANES; i++) {
		message.planes[i].offset = MOCK_BUFFER_OFFSET;
		message.planes[i].length = mock->pool.buffers[slot][i].length;
		fds[i] = mock->pool.buffers[slot][i].fd;
	}
	mock_send(mock, &message, fds, MOCK_MEMORY_PLANES);
}

void mock_make_pool(struct mock *mock, uint64_t epoch, mock_tweak *tweak)
{
	struct mock_pool *pool = &mock->pool;
	struct pool_header *layout = &pool->layout;

	drop_pool(mock);
	memset(pool, 0, sizeof(*pool));
	assert_int_equal(pool_layout_init(layout, MOCK_SLOTS, MOCK_FRAME_SIZE, 4096), 0);
	layout->epoch = epoch;
	layout->format = (struct pool_format){
		.fourcc = V4L2_PIX_FMT_NV12,
		.width = MOCK_WIDTH,
		.height = MOCK_HEIGHT,
		.field = V4L2_FIELD_NONE,
		.rate_numerator = 30,
		.rate_denominator = 1,
		.frame_size = MOCK_FRAME_SIZE,
		.plane_count = 2,
		.planes = {{0, MOCK_WIDTH}, {MOCK_WIDTH * MOCK_HEIGHT, MOCK_WIDTH}},
	};
	layout->realtime_offset = 1000000;
	if (tweak)
		tweak(layout);
	pool->size = layout->pool_size;
	pool->fd = make_memfd(pool->size, &pool->base);
	memcpy(pool->base, layout, sizeof(*layout));
	assert_int_equal(fcntl(pool->fd, F_ADD_SEALS,
				 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
		0);
	if (layout->flags & POOL_FLAG_DMABUF)
		make_buffers(pool);
	for (uint32_t slot = 0; slot < layout->slot_count; slot++)
		pool->generations[slot] = 1;
	mock_make_guard(mock);
}

void mock_send_format(struct mock *mock)
{
	struct wire_format format = {
		.epoch = mock->pool.layout.epoch,
		.pool_size = mock->pool.size,
		.guard_size = mock->guard.size,
		.guard_stride = mock->guard.stride,
		.slot_count = mock->pool.layout.slot_count,
		.lease_min_ns = 250000000,
	};
	int fds[3] = {mock->pool.fd, mock->guard.fd, mock->bell.fd};

	if (mock->bell.word) {
		format.bell_size = mock->bell.size;
		format.bell_offset =
			(uint32_t)((uint8_t *)mock->bell.word - (uint8_t *)mock->bell.words);
	}
	message_init(&format.header, WIRE_FORMAT, sizeof(format));
	mock_send(mock, &format, fds, mock->bell.word ? 3 : 2);
}

static guard_word *word_of(struct mock *mock, uint32_t slot)
{
	return (guard_word *)(mock->guard.base + slot * mock->guard.stride);
}

void mock_expel(struct mock *mock)
{
	for (uint32_t slot = 0; slot < mock->pool.layout.slot_count; slot++)
		(void)guard_revoke(word_of(mock, slot), mock->pool.generations[slot]);
	mock_hang_up(mock);
}

void mock_link(struct mock *mock)
{
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

	/* Once mapped, no holes are to be punched into it, and it is mapped by nobody else. */
	assert_int_equal(fcntl(mock->guard.fd, F_GET_SEALS) & all, all);
	for (uint32_t slot = 0; slot < mock->pool.layout.slot_count; slot++)
		guard_init_word(word_of(mock, slot), mock->pool.generations[slot], GUARD_FREE);
	mock->guard.linked = true;
}

/* ---- frames ---- */

static struct pool_header *header_of(struct mock *mock)
{
	return (struct pool_header *)mock->pool.base;
}

static struct pool_descriptor *descriptor_of(struct mock *mock, uint32_t slot)
{
	return (struct pool_descriptor *)(mock->pool.base + mock->pool.layout.descriptor_offset +
					  slot * mock->pool.layout.descriptor_stride);
}

static void fill_memory(uint8_t *memory, size_t size, uint64_t value)
{
	_Atomic uint64_t *pixels = (_Atomic uint64_t *)memory;

	for (size_t i = 0; i < size / sizeof(*pixels); i++)
		atomic_store_explicit(&pixels[i], value, memory_order_relaxed);
}

static void fill(struct mock *mock, uint32_t slot, uint64_t value)
{
	struct mock_pool *pool = &mock->pool;

	if (pool->layout.flags & POOL_FLAG_DMABUF) {
		for (uint32_t i = 0; i < MOCK_MEMORY_PLANES; i++) {
			const struct mock_buffer *buffer = &pool->buffers[slot][i];

			fill_memory(buffer->base + MOCK_BUFFER_OFFSET + MOCK_DATA_OFFSET,
				buffer->length - MOCK_DATA_OFFSET, value);
		}
		return;
	}
	fill_memory(pool->base + pool->layout.slot_offset + slot * pool->layout.slot_stride,
		MOCK_FRAME_SIZE, value);
}

uint64_t mock_pixel(uint64_t epoch, uint64_t position)
{
	return epoch * 1000003 + position;
}

uint32_t mock_newest_slot(const struct mock *mock)
{
	for (uint32_t slot = 0; slot < mock->pool.layout.slot_count; slot++) {
		if (mock->pool.newest > 0 && mock->pool.positions[slot] == mock->pool.newest)
			return slot;
	}
	return UINT32_MAX;
}

/* The slot of the oldest frame, those in `but` left out. */
static uint32_t oldest_but(const struct mock *mock, uint64_t but)
{
	const struct mock_pool *pool = &mock->pool;
	uint32_t oldest = UINT32_MAX;

	for (uint32_t slot = 0; slot < pool->layout.slot_count; slot++) {
		if (slot == mock_newest_slot(mock) || (but & UINT64_C(1) << slot))
			continue;
		if (oldest == UINT32_MAX || pool->positions[slot] < pool->positions[oldest])
			oldest = slot;
	}
	return oldest;
}

uint32_t mock_oldest_slot(const struct mock *mock)
{
	return oldest_but(mock, 0);
}

uint32_t mock_take_slot(struct mock *mock, bool revoke)
{
	const struct mock_pool *pool = &mock->pool;
	uint64_t held = 0;
	uint32_t slot;

	while ((slot = oldest_but(mock, held)) != UINT32_MAX) {
		if (!mock->guard.linked ||
			guard_lock(word_of(mock, slot), pool->generations[slot]) == GUARD_DONE)
			return slot;
		held |= UINT64_C(1) << slot;
	}
	if (!revoke)
		return UINT32_MAX;
	slot = mock_oldest_slot(mock);
	(void)guard_revoke(word_of(mock, slot), pool->generations[slot]);
	return slot;
}

void mock_revoke(struct mock *mock, uint32_t slot)
{
	(void)guard_revoke(word_of(mock, slot), mock->pool.generations[slot]);
	fill(mock, slot, UINT64_MAX);
}

void mock_publish_slot(struct mock *mock, uint32_t slot)
{
	struct mock_pool *pool = &mock->pool;
	uint64_t position = pool->newest + 1;
	struct pool_frame frame = {
		.position = position,
		.frame_id = position,
		.capture_time_ns = 5000 + (int64_t)position,
		.publish_time_ns = 7000 + (int64_t)position,
		.media_time_ns = -1,
		.sequence = (uint32_t)position + 100,
		.flags = POOL_FRAME_KEYFRAME,
		.capture_clock = POOL_CLOCK_MONOTONIC,
		.field = V4L2_FIELD_TOP,
		.bytesused = MOCK_FRAME_SIZE,
		.plane_count = 2,
		.planes = {{0, MOCK_WIDTH * MOCK_HEIGHT, MOCK_WIDTH, 0},
			{MOCK_WIDTH * MOCK_HEIGHT, MOCK_WIDTH * MOCK_HEIGHT / 2, MOCK_WIDTH, 0}},
	};
	pool_recent *recent = (pool_recent *)(pool->base + pool->layout.recent_offset);

	for (uint32_t i = 0; i < 2 && pool->layout.flags & POOL_FLAG_DMABUF; i++) {
		frame.planes[i].offset = MOCK_DATA_OFFSET;
		frame.planes[i].memory = i;
	}
	fill(mock, slot, mock_pixel(pool->layout.epoch, position));
	pool->generations[slot]++;
	pool->positions[slot] = position;
	pool->newest = position;
	pool_frame_store(descriptor_of(mock, slot), &frame);
	atomic_store_explicit(&descriptor_of(mock, slot)->generation, pool->generations[slot],
		memory_order_release);
	if (mock->guard.linked)
		guard_publish(word_of(mock, slot), pool->generations[slot], mock->lossless);
	atomic_store_explicit(&recent[(position - 1) % pool->layout.recent_count],
		pool_recent_value(pool->generations[slot], slot), memory_order_release);
	atomic_store_explicit(&header_of(mock)->newest, position, memory_order_release);
}

uint32_t mock_listens(const struct mock *mock)
{
	const _Atomic uint32_t *listens =
		(const _Atomic uint32_t *)(mock->guard.base + (size_t)mock->pool.layout.slot_count *
								      mock->guard.stride);

	return mock->bell.word && mock->guard.linked ? atomic_load(listens) : BELL_MESSAGES;
}

void mock_ring_bell(struct mock *mock)
{
	_Atomic uint32_t *rung = &mock->bell.word->rung;

	atomic_fetch_add_explicit(rung, 1, memory_order_release);
	mock->bell.woken = syscall(SYS_futex, rung, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool mock_ring(struct mock *mock)
{
	struct wire_frame frame = {.epoch = mock->pool.layout.epoch, .position = mock->pool.newest};
	int error;

	atomic_thread_fence(memory_order_seq_cst);
	if (mock_listens(mock) != BELL_MESSAGES && !atomic_load(&mock->bell.word->closed)) {
		if (mock_listens(mock) == BELL_LISTENS)
			mock_ring_bell(mock);
		return true;
	}
	mock->frames_sent++;
	message_init(&frame.header, WIRE_FRAME, sizeof(frame));
	error = message_send(mock->socket, &frame.header, NULL, 0);
	return error == 0 || error == -EAGAIN;
}

bool mock_publish(struct mock *mock)
{
	uint32_t slot = mock_take_slot(mock, !mock->lossless);

	if (slot == UINT32_MAX)
		return false;
	mock_publish_slot(mock, slot);
	return !mock->guard.linked || mock_ring(mock);
}
