/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include "address.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HANDSHAKE_MS 30000

void raw_init(struct raw *raw)
{
	*raw = (struct raw){
		.socket = -1, .pool_fd = -1, .guard_fd = -1, .bell_fd = -1, .document_fd = -1};
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void unmap(struct raw *raw)
{
	if (raw->pool != NULL)
		munmap(raw->pool, raw->view.size);
	if (raw->guard != NULL)
		munmap(raw->guard, raw->format.guard_size);
	if (raw->bell != NULL)
		munmap((uint8_t *)raw->bell - raw->format.bell_offset, raw->format.bell_size);
	raw->pool = raw->guard = NULL;
	raw->bell = NULL;
}

void raw_finish(struct raw *raw)
{
	unmap(raw);
	close_fd(&raw->socket);
	close_fd(&raw->pool_fd);
	close_fd(&raw->guard_fd);
	close_fd(&raw->bell_fd);
	close_fd(&raw->document_fd);
}

int raw_connect(struct raw *raw, const char *path)
{
	struct sockaddr_un address;
	int error = address_init(&address, path);

	if (error < 0)
		return error;
	raw->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (raw->socket < 0)
		return -errno;
	if (connect(raw->socket, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	return 0;
}

int raw_hello(struct raw *raw, const char *name, enum wire_mode mode, uint64_t features)
{
	struct wire_hello hello = {.version_min = WIRE_VERSION_MIN,
		.version_max = WIRE_VERSION_MAX,
		.features = features,
		.mode = mode};

	message_init(&hello.header, WIRE_HELLO, sizeof hello);
	snprintf(hello.name, sizeof hello.name, "%s", name);
	return message_send(raw->socket, &hello.header, NULL, 0);
}

int raw_send(struct raw *raw, enum wire_type type)
{
	struct wire_header header;

	message_init(&header, type, sizeof header);
	return message_send(raw->socket, &header, NULL, 0);
}

int raw_ready(struct raw *raw)
{
	struct wire_ready ready = {.epoch = raw->format.epoch};

	message_init(&ready.header, WIRE_READY, sizeof ready);
	return message_send(raw->socket, &ready.header, NULL, 0);
}

static int keep_fd(int *place, const int *fds, size_t fd_count, size_t index)
{
	if (index >= fd_count)
		return -EBADMSG;
	close_fd(place);
	*place = fds[index];
	return 0;
}

static int keep(struct raw *raw, const void *buffer, size_t length, uint32_t type, const int *fds,
	size_t fd_count)
{
	size_t least = sizeof(struct wire_header);
	int error;

	switch (type) {
	case WIRE_WELCOME:
		error = message_unpack(buffer, length, least, &raw->welcome, sizeof raw->welcome);
		return error;
	case WIRE_FORMAT:
		unmap(raw);
		raw->position = 0;
		error = message_unpack(buffer, length, least, &raw->format, sizeof raw->format);
		if (error == 0)
			error = keep_fd(&raw->pool_fd, fds, fd_count, 0);
		if (error == 0)
			error = keep_fd(&raw->guard_fd, fds, fd_count, 1);
		close_fd(&raw->bell_fd);
		if (error == 0 && raw->format.bell_size > 0)
			error = keep_fd(&raw->bell_fd, fds, fd_count, 2);
		return error;
	case WIRE_STATUS:
		error = message_unpack(buffer, length, least, &raw->status, sizeof raw->status);
		return error < 0 ? error : keep_fd(&raw->document_fd, fds, fd_count, 0);
	case WIRE_SOURCE:
		return message_unpack(buffer, length, least, &raw->source, sizeof raw->source);
	case WIRE_FRAME:
		return message_unpack(buffer, length, least, &raw->frame, sizeof raw->frame);
	case WIRE_BYE:
	case WIRE_REFUSED:
		return message_unpack(buffer, length, least, &raw->bye, sizeof raw->bye);
	default:
		return 0;
	}
}

/* Never waits. */
static int receive_now(struct raw *raw)
{
	_Alignas(8) uint8_t buffer[WIRE_MESSAGE_MAX];
	struct wire_header header;
	int fds[MESSAGE_FDS_ROOM], length, error;
	size_t fd_count;

	length = message_receive(raw->socket, buffer, sizeof buffer, fds, &fd_count);
	if (length == 0 || length == -ECONNRESET)
		return 0;
	if (length < 0)
		return length;
	error = message_unpack(buffer, (size_t)length, sizeof header, &header, sizeof header);
	if (error == 0)
		error = keep(raw, buffer, (size_t)length, header.type, fds, fd_count);
	return error < 0 ? error : (int)header.type;
}

int raw_receive(struct raw *raw, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = raw->socket, .events = POLLIN};
	int result = poll(&poll_fd, 1, timeout_ms);

	if (result <= 0)
		return result < 0 ? -errno : -ETIMEDOUT;
	return receive_now(raw);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int raw_expect(struct raw *raw, enum wire_type type, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		int64_t left = deadline - now_ms();
		int result = raw_receive(raw, left > 0 ? (int)left : 0);

		if (result == (int)type)
			return 0;
		if (result == 0)
			return -EPIPE;
		if (result < 0)
			return result;
	}
}

bool raw_drain(struct raw *raw)
{
	int result;

	do
		result = receive_now(raw);
	while (result > 0);
	return result != 0;
}

bool raw_wait(const struct raw *raw, int timeout_ms)
{
	struct pollfd pollfd = {.fd = raw->socket, .events = POLLIN};

	return poll(&pollfd, 1, timeout_ms) > 0;
}

int raw_map(struct raw *raw)
{
	void *map = mmap(NULL, raw->format.pool_size, PROT_READ, MAP_SHARED, raw->pool_fd, 0);
	int error;

	if (map == MAP_FAILED)
		return -errno;
	error = pool_view_init(&raw->view, map, raw->format.pool_size);
	if (error < 0) {
		munmap(map, raw->format.pool_size);
		return error;
	}
	raw->pool = map;
	map = mmap(
		NULL, raw->format.guard_size, PROT_READ | PROT_WRITE, MAP_SHARED, raw->guard_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	raw->guard = map;
	if (raw->bell_fd < 0)
		return 0;
	map = mmap(NULL, raw->format.bell_size, PROT_READ, MAP_SHARED, raw->bell_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	raw->bell = (const struct bell_word *)((uint8_t *)map + raw->format.bell_offset);
	return 0;
}

int raw_attach(struct raw *raw, const char *path, const char *name, uint64_t features)
{
	int error = raw_connect(raw, path);

	if (error == 0)
		error = raw_hello(raw, name, WIRE_MODE_READ, features);
	if (error == 0)
		error = raw_expect(raw, WIRE_FORMAT, HANDSHAKE_MS);
	if (error == 0)
		error = raw_map(raw);
	if (error == 0)
		error = raw_seal(raw);
	return error < 0 ? error : raw_ready(raw);
}

int raw_seal(struct raw *raw)
{
	return fcntl(raw->guard_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0 ? -errno
											: 0;
}

_Atomic uint32_t *raw_listens(const struct raw *raw)
{
	return (_Atomic uint32_t *)raw_word(raw, raw->format.slot_count);
}

guard_word *raw_word(const struct raw *raw, uint32_t slot)
{
	return (guard_word *)(raw->guard + (size_t)slot * raw->format.guard_stride);
}

bool raw_next(struct raw *raw, struct raw_frame *ret_frame)
{
	const struct pool_header *header = pool_view_header(&raw->view);

	for (;;) {
		uint64_t newest = atomic_load_explicit(&header->newest, memory_order_acquire);
		uint64_t position = raw->position + 1, entry;
		struct pool_frame frame;

		if (newest < position)
			return false;
		if (raw->position == 0)
			position = newest; /* what came before it is not missed */
		else if (newest - position >= raw->view.recent_count)
			position = newest - raw->view.recent_count + 1; /* the ring has lapped it */
		raw->missed += raw->position == 0 ? 0 : position - raw->position - 1;
		raw->position = position;
		entry = atomic_load_explicit(
			pool_view_recent(&raw->view, position), memory_order_acquire);
		ret_frame->position = position;
		ret_frame->slot = entry & ((1 << POOL_RECENT_SLOT_BITS) - 1);
		ret_frame->generation = entry >> POOL_RECENT_SLOT_BITS;
		if (pool_frame_load(&raw->view, ret_frame->slot, &frame) &&
			frame.position == position)
			return true;
		raw->missed++;
	}
}

bool raw_take_next(struct raw *raw, struct raw_frame *ret_frame)
{
	while (raw_next(raw, ret_frame)) {
		/* no word can be taken before the daemon has heard of READY */
		bool linked = atomic_load_explicit(
				      raw_word(raw, ret_frame->slot), memory_order_relaxed) != 0;

		if (!linked) {
			raw->position = 0;
			return false;
		}
		if (guard_take(raw_word(raw, ret_frame->slot), ret_frame->generation) == GUARD_DONE)
			return true;
		raw->missed++;
	}
	return false;
}

enum guard_outcome raw_release(struct raw *raw, const struct raw_frame *frame)
{
	return guard_release(raw_word(raw, frame->slot), frame->generation);
}
