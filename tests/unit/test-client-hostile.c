/* SPDX-License-Identifier: MIT */

/* libcamtap: newer daemons, and daemons that lie. */

#include "client-fixture.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- newer daemons ---- */

static void make_wider(struct pool_header *layout)
{
	layout->header_size += 64;
	layout->recent_offset += 128;
	layout->descriptor_offset += 256;
	layout->descriptor_stride += 64;
	layout->slot_offset += 8192;
	layout->slot_stride += 4096;
	layout->pool_size = layout->slot_offset + layout->slot_count * layout->slot_stride + 4096;
}

static void a_wider_layout_is_fine(void **state)
{
	struct fixture *f = *state;

	attach(f, make_wider);
	for (uint64_t position = 1; position <= 20; position++) {
		publish(f, 1);
		assert_release(take(f, position, 0), 0);
	}
}

/* Sends a message with `extra` bytes more, or less, than we know. */
static void send_resized(struct fixture *f, const void *message, size_t size, int extra,
	const int *fds, size_t fd_count)
{
	_Alignas(struct wire_header) char buffer[WIRE_MESSAGE_MAX];

	memset(buffer, 0x55, sizeof(buffer));
	memcpy(buffer, message, size);
	((struct wire_header *)buffer)->size = (uint32_t)((int)size + extra);
	mock_send(&f->mock, buffer, fds, fd_count);
}

static void messages_may_be_longer_or_unknown(void **state)
{
	struct fixture *f = *state;
	struct wire_welcome welcome = {.version = 1, .max_leases = 3, .camera = "cam"};
	struct wire_format format = {.epoch = EPOCH, .guard_stride = GUARD_STRIDE};
	struct wire_source source = {.state = WIRE_SOURCE_OFFLINE, .text = "unplugged"};
	struct wire_frame frame = {.epoch = EPOCH};
	struct wire_header unknown;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[2];

	connect_client(f);
	message_init(&unknown, 12345, sizeof(unknown));
	send_resized(
		f, &unknown, sizeof(unknown), WIRE_MESSAGE_MAX - (int)sizeof(unknown), &null, 1);
	message_init(&welcome.header, WIRE_WELCOME, sizeof(welcome));
	send_resized(f, &welcome, sizeof(welcome), 40, NULL, 0);
	send_resized(f, &unknown, sizeof(unknown), 0, NULL, 0);
	assert_idle(f->camera);
	assert_int_equal(camtap_max_leases(f->camera), 3);

	mock_make_pool(&f->mock, EPOCH, NULL);
	publish(f, 1);
	format.pool_size = f->mock.pool.size;
	format.guard_size = f->mock.guard.size;
	format.slot_count = f->mock.pool.layout.slot_count;
	fds[0] = f->mock.pool.fd;
	fds[1] = f->mock.guard.fd;
	message_init(&format.header, WIRE_FORMAT, sizeof(format));
	send_resized(f, &format, sizeof(format), 8, fds, 2);
	assert_idle(f->camera);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	mock_link(&f->mock);
	message_init(&frame.header, WIRE_FRAME, sizeof(frame));
	send_resized(f, &frame, sizeof(frame), 16, NULL, 0);
	assert_release(take(f, 1, 0), 0);

	message_init(&source.header, WIRE_SOURCE, sizeof(source));
	send_resized(f, &source, sizeof(source), 16, NULL, 0);
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	assert_string_equal(camtap_event_text(f->camera), "unplugged");
	source.state = WIRE_SOURCE_PAUSED;
	send_resized(f, &source, offsetof(struct wire_source, text) + 3, 0, NULL, 0);
	assert_outcome(f->camera, CAMTAP_PAUSED);
	assert_string_equal(camtap_event_text(f->camera), "unp");
	close(null);
}

/* ---- what a daemon must not do ---- */

static void wrong_epoch(struct pool_header *layout)
{
	layout->epoch++;
}

static void wrong_magic(struct pool_header *layout)
{
	layout->magic[0] = 'x';
}

static void wrong_version(struct pool_header *layout)
{
	layout->version++;
}

static void slots_beyond_the_end(struct pool_header *layout)
{
	layout->slot_offset += 4096;
}

static void too_many_slots(struct pool_header *layout)
{
	layout->slot_count++;
}

/* A FORMAT that is right, but for one thing. */
struct offer {
	struct wire_format format;
	int fds[3];
	size_t fd_count;
};

static void cut_size(struct offer *offer)
{
	offer->format.pool_size -= 4096;
}

static void huge_size(struct offer *offer)
{
	offer->format.pool_size = UINT64_MAX;
}

static void wrong_slot_count(struct offer *offer)
{
	offer->format.slot_count--;
}

static void no_stride(struct offer *offer)
{
	offer->format.guard_stride = 0;
}

static void odd_stride(struct offer *offer)
{
	offer->format.guard_stride = 12;
}

static void wide_stride(struct offer *offer)
{
	offer->format.guard_stride = 2048;
}

static void large_guard(struct offer *offer)
{
	offer->format.guard_size = 8192;
}

static void empty_guard(struct offer *offer)
{
	offer->format.guard_size = 0;
}

static void no_fds(struct offer *offer)
{
	offer->fd_count = 0;
}

static void one_fd(struct offer *offer)
{
	offer->fd_count = 1;
}

static void swap_fds(struct offer *offer)
{
	int fd = offer->fds[0];

	offer->fds[0] = offer->fds[1];
	offer->fds[1] = fd;
}

static void replace(int *fd, int by)
{
	assert_true(by >= 0);
	assert_int_equal(dup3(by, *fd, O_CLOEXEC), *fd);
	close(by);
}

static void device_as_pool(struct offer *offer)
{
	replace(&offer->fds[0], open("/dev/zero", O_RDWR | O_CLOEXEC));
}

static void device_as_guard(struct offer *offer)
{
	replace(&offer->fds[1], open("/dev/zero", O_RDWR | O_CLOEXEC));
}

/* The same memory with other seals. */
static void reseal(struct offer *offer, size_t which, int seals)
{
	int fd = memfd_create("resealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char buffer[4096];
	ssize_t length;

	for (off_t at = 0; (length = pread(offer->fds[which], buffer, sizeof(buffer), at)) > 0;
		at += length)
		assert_int_equal(pwrite(fd, buffer, (size_t)length, at), length);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	replace(&offer->fds[which], fd);
}

/* Longer than it says. */
static void long_pool(struct offer *offer)
{
	reseal(offer, 0, 0);
	assert_int_equal(ftruncate(offer->fds[0], (off_t)offer->format.pool_size + 4096), 0);
	assert_int_equal(fcntl(offer->fds[0], F_ADD_SEALS,
				 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
		0);
}

static void guard_not_to_be_sealed(struct offer *offer)
{
	reseal(offer, 1, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

static void pool_that_shrinks(struct offer *offer)
{
	reseal(offer, 0, F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

static void pool_that_grows(struct offer *offer)
{
	reseal(offer, 0, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

static void pool_to_write(struct offer *offer)
{
	reseal(offer, 0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

static void pool_to_be_sealed(struct offer *offer)
{
	reseal(offer, 0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
}

static void guard_that_shrinks(struct offer *offer)
{
	reseal(offer, 1, F_SEAL_GROW);
}

static void guard_that_grows(struct offer *offer)
{
	reseal(offer, 1, F_SEAL_SHRINK);
}

static void guard_not_to_write(struct offer *offer)
{
	reseal(offer, 1, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
}

/* ---- with a bell ---- */

static void bell_without_fd(struct offer *offer)
{
	offer->fd_count = 2;
}

static void device_as_bell(struct offer *offer)
{
	replace(&offer->fds[2], open("/dev/zero", O_RDWR | O_CLOEXEC));
}

static void bell_that_shrinks(struct offer *offer)
{
	reseal(offer, 2, F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

static void bell_that_grows(struct offer *offer)
{
	reseal(offer, 2, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

static void bell_to_write(struct offer *offer)
{
	reseal(offer, 2, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

static void bell_to_be_sealed(struct offer *offer)
{
	reseal(offer, 2, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
}

static void short_bell(struct offer *offer)
{
	offer->format.bell_size *= 2;
}

static void long_bell(struct offer *offer)
{
	offer->format.bell_size /= 2;
}

/* The last word is cut off in its middle. */
static void bell_with_half_a_word(struct offer *offer)
{
	offer->format.bell_offset = offer->format.bell_size;
	offer->format.bell_size += sizeof(struct bell_word) / 2;
	reseal(offer, 2, 0);
	assert_int_equal(ftruncate(offer->fds[2], (off_t)offer->format.bell_size), 0);
	assert_int_equal(fcntl(offer->fds[2], F_ADD_SEALS,
				 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
		0);
}

static void tiny_bell(struct offer *offer)
{
	offer->format.bell_size = 1;
	offer->format.bell_offset = 0;
}

static void odd_word(struct offer *offer)
{
	offer->format.bell_offset += 4;
}

static void half_word(struct offer *offer)
{
	offer->format.bell_offset += sizeof(struct bell_word) / 2;
}

static void word_at_the_end(struct offer *offer)
{
	offer->format.bell_offset = offer->format.bell_size;
}

static void word_beyond_the_end(struct offer *offer)
{
	offer->format.bell_offset = offer->format.bell_size * 16;
}

static void word_at_the_end_of_all(struct offer *offer)
{
	offer->format.bell_offset =
		UINT32_MAX / sizeof(struct bell_word) * sizeof(struct bell_word);
}

/* The words of the slots fill the guard: there is nowhere to say that one listens. */
static void guard_without_room(struct offer *offer)
{
	offer->format.guard_stride = offer->format.guard_size / offer->format.slot_count;
}

static void last_word(struct offer *offer)
{
	offer->format.bell_offset = offer->format.bell_size - sizeof(struct bell_word);
}

static void fd_without_bell(struct offer *offer)
{
	offer->format.bell_size = 0;
	offer->format.bell_offset = 4711;
}

static void guard_without_room_nor_bell(struct offer *offer)
{
	guard_without_room(offer);
	offer->format.bell_size = 0;
	offer->fd_count = 2;
}

/* What camtap_next() says to the offer of a new daemon, which grants a bell or does not. */
static int answer_to(struct fixture *f, bool bell, mock_tweak *layout,
	void (*tweak)(struct offer *offer), size_t row)
{
	struct mock *mock = &f->mock;
	struct offer offer;
	int outcome;

	mock->rings = bell;
	connect_client(f);
	welcome_client(f);
	mock_make_pool(mock, EPOCH, layout);
	offer = (struct offer){
		.format = {.epoch = EPOCH,
			.pool_size = mock->pool.size,
			.guard_size = mock->guard.size,
			.guard_stride = GUARD_STRIDE,
			.slot_count = mock->pool.layout.slot_count},
		.fds = {mock->pool.fd, mock->guard.fd, mock->bell.fd},
		.fd_count = 2,
	};
	if (bell) {
		offer.format.bell_size = mock->bell.size;
		offer.format.bell_offset = sizeof(struct bell_word);
		offer.fd_count = 3;
	}
	if (tweak)
		tweak(&offer);
	message_init(&offer.format.header, WIRE_FORMAT, sizeof(offer.format));
	mock_send(mock, &offer.format, offer.fds, offer.fd_count);
	outcome = camtap_next(f->camera, &(struct camtap_frame *){NULL}, 0);
	if (outcome < 0 && strlen(camtap_error_text(f->camera)) <= 20)
		fail_msg("row %zu: %s", row, camtap_error_text(f->camera));
	assert_int_equal(mock_receive(mock), outcome < 0 ? -1 : WIRE_READY);

	mock_hang_up(mock);
	renew_client(f);
	return outcome;
}

static void a_hostile_pool_is_refused(void **state)
{
	static const struct {
		mock_tweak *layout;
		void (*offer)(struct offer *offer);
		int error;
	} rows[] = {
		{wrong_magic, NULL, -EPROTO}, {wrong_version, NULL, -EPROTONOSUPPORT},
		{slots_beyond_the_end, NULL, -EPROTO}, {too_many_slots, NULL, -EPROTO},
		{NULL, cut_size, -EPROTO}, {NULL, huge_size, -EPROTO},
		{NULL, wrong_slot_count, -EPROTO}, {NULL, no_stride, -EPROTO},
		{NULL, odd_stride, -EPROTO}, {NULL, wide_stride, -EPROTO},
		{NULL, large_guard, -EPROTO}, {NULL, empty_guard, -EPROTO}, {NULL, no_fds, -EPROTO},
		{NULL, one_fd, -EPROTO}, {NULL, swap_fds, -EPROTO}, {NULL, device_as_pool, -EPROTO},
		{NULL, device_as_guard, -EPROTO}, {NULL, long_pool, -EPROTO},
		{NULL, guard_not_to_be_sealed, -EPROTO}, {NULL, pool_that_shrinks, -EPROTO},
		{NULL, pool_that_grows, -EPROTO}, {NULL, pool_to_write, -EPROTO},
		{NULL, pool_to_be_sealed, -EPROTO}, {NULL, guard_that_shrinks, -EPROTO},
		{NULL, guard_that_grows, -EPROTO}, {NULL, guard_not_to_write, -EPERM},
		{wrong_epoch, NULL, -EPROTO}, {NULL, NULL, 0}, /* and a right one is not */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		int outcome = answer_to(f, false, rows[i].layout, rows[i].offer, i);

		if (outcome != rows[i].error)
			fail_msg("row %zu: %d", i, outcome);
	}
}

static void a_hostile_bell_is_refused(void **state)
{
	static const struct {
		void (*offer)(struct offer *offer);
		int error;
	} rows[] = {
		{bell_without_fd, -EPROTO},
		{device_as_bell, -EPROTO},
		{bell_that_shrinks, -EPROTO},
		{bell_that_grows, -EPROTO},
		{bell_to_write, -EPROTO},
		{bell_to_be_sealed, -EPROTO},
		{short_bell, -EPROTO},
		{long_bell, -EPROTO},
		{tiny_bell, -EPROTO},
		{bell_with_half_a_word, -EPROTO},
		{odd_word, -EPROTO},
		{half_word, -EPROTO},
		{word_at_the_end, -EPROTO},
		{word_beyond_the_end, -EPROTO},
		{word_at_the_end_of_all, -EPROTO},
		{guard_without_room, -EPROTO},
		{one_fd, -EPROTO},
		{swap_fds, -EPROTO}, /* with a bell, too */
		{last_word, 0},
		{fd_without_bell, 0},
		{guard_without_room_nor_bell, 0},
		{NULL, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		int outcome = answer_to(f, true, NULL, rows[i].offer, i);

		if (outcome != rows[i].error)
			fail_msg("row %zu: %d", i, outcome);
	}
}

/* Whatever FORMAT says then. */
static void unasked_bell(struct offer *offer)
{
	offer->format.bell_size = 12345;
	offer->format.bell_offset = 17;
}

static void a_bell_that_was_not_granted_is_ignored(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(answer_to(f, false, NULL, unasked_bell, 0), 0);
}

/* A program that has been running waits for a better daemon, and says what is wrong with this. */
static void a_hostile_pool_later_is_an_outage(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;

	attach(f, NULL);
	publish(f, 1);
	frame = take(f, 1, 0);
	mock_make_pool(&f->mock, EPOCH + 1, wrong_magic);
	mock_send_format(&f->mock);
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	assert_int_equal(mock_receive(&f->mock), -1);
	mock_hang_up(&f->mock);
	mock_stop_listening(&f->mock);
	await_outcome(f->camera, CAMTAP_OFFLINE);
	assert_non_null(strstr(camtap_event_text(f->camera), "header"));
	assert_true(shows(frame, EPOCH, 1));
	assert_release(frame, 0);
}

/* What recent[] and descriptors may hold when the daemon lies; nothing of it is a frame. */
static void a_frame_that_cannot_be_is_missed(void **state)
{
	struct fixture *f = *state;
	const uint64_t generation = 1;
	struct pool_header *layout = &f->mock.pool.layout;
	struct pool_frame frame = {0};
	pool_recent *recent;
	_Atomic uint64_t *newest;
	uint64_t wrong[] = {0, pool_recent_value(generation, MOCK_SLOTS),
		pool_recent_value(generation, 0xffff), UINT64_MAX,
		pool_recent_value(generation + 1, 0), pool_recent_value(0, 0)};
	struct pool_descriptor *descriptor;

	attach(f, NULL);
	recent = (pool_recent *)(f->mock.pool.base + layout->recent_offset);
	newest = &((struct pool_header *)f->mock.pool.base)->newest;
	descriptor = (struct pool_descriptor *)(f->mock.pool.base + layout->descriptor_offset);
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		atomic_store(&recent[i], wrong[i]);
		atomic_store(newest, i + 1);
		assert_true(mock_ring(&f->mock));
		assert_idle(f->camera);
	}
	/* the lock can be had, but the descriptor is of another frame, or of no plane inside the
	 * slot */
	for (size_t i = 0; i < 3; i++) {
		uint64_t position = ELEMENTS(wrong) + 1 + i;

		frame = (struct pool_frame){.position = position,
			.bytesused = 4096,
			.plane_count = 1,
			.planes = {{.bytesused = 4096}}};
		if (i == 0)
			frame.position += POOL_RECENT_COUNT;
		if (i == 1)
			frame.planes[0].offset = 64;
		pool_frame_store(descriptor, &frame);
		atomic_store(&recent[position - 1], pool_recent_value(generation, 0));
		atomic_store(newest, position);
		assert_true(mock_ring(&f->mock));
		if (i == 2) {
			struct camtap_frame *good;

			assert_int_equal(camtap_next(f->camera, &good, 0), CAMTAP_FRAME);
			assert_int_equal(camtap_frame_missed(good), position - 1);
			assert_release(good, 0);
		} else {
			assert_idle(f->camera);
		}
	}
	/* positions that nobody reaches */
	atomic_store(newest, UINT64_MAX);
	assert_true(mock_ring(&f->mock));
	assert_idle(f->camera);
	assert_int_equal(camtap_latest(f->camera, &(struct camtap_frame *){NULL}, 0), 0);
	atomic_store(newest, 0);
	assert_true(mock_ring(&f->mock));
	assert_idle(f->camera);
}

/* Nor does it make us look for ever. */
static void a_position_far_away_is_not_searched_for(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	atomic_store(&((struct pool_header *)f->mock.pool.base)->newest, UINT64_MAX);
	assert_true(mock_ring(&f->mock));
	assert_idle(f->camera);
	for (size_t i = 0; i < LEASES; i++)
		assert_release(held[i], 0);
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
}

/* What a daemon may not say, and when. */
static void a_message_out_of_place_is_an_error(void **state)
{
	static const struct {
		const char *name;
		bool welcomed;
		uint32_t type, size, size_field;
		uint32_t first; /* what follows the header: a version, a code ... */
	} rows[] = {
		{"a version that is too old", false, WIRE_WELCOME, 112, 112, 0},
		{"a version that is too new", false, WIRE_WELCOME, 112, 112, 2},
		{"a short WELCOME", false, WIRE_WELCOME, 39, 39, 1},
		{"FORMAT before WELCOME", false, WIRE_FORMAT, 56, 56, 0},
		{"SOURCE before WELCOME", false, WIRE_SOURCE, 544, 544, 1},
		{"another WELCOME", true, WIRE_WELCOME, 112, 112, 1},
		{"a short FORMAT", true, WIRE_FORMAT, 40, 40, 0},
		{"a short SOURCE", true, WIRE_SOURCE, 31, 31, 1},
		{"a short BYE", true, WIRE_BYE, 23, 23, WIRE_CODE_BUSY},
		{"a STATUS without its fd", true, WIRE_STATUS, 24, 24, 0},
		{"a size below the length", true, WIRE_FRAME, 64, 63, 0},
		{"a size above the length", true, WIRE_FRAME, 64, 65, 0},
		{"less than a header", true, WIRE_FRAME, 8, 8, 0},
		{"more than a message", true, WIRE_FRAME, 4097, 4097, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		_Alignas(struct wire_header) char buffer[WIRE_MESSAGE_MAX + 1] = {0};
		struct wire_header *header = (struct wire_header *)buffer;

		connect_client(f);
		if (rows[i].welcomed)
			welcome_client(f);
		memcpy(buffer + sizeof(*header), &rows[i].first, sizeof(rows[i].first));
		message_init(header, rows[i].type, rows[i].size);
		header->size = rows[i].size_field;
		assert_int_equal(send(f->mock.socket, buffer, rows[i].size, 0), rows[i].size);
		if (camtap_next(f->camera, &(struct camtap_frame *){NULL}, 0) != -EPROTO)
			fail_msg("%s: it is accepted", rows[i].name);
		assert_int_equal(mock_receive(&f->mock), -1);
		mock_hang_up(&f->mock);
		renew_client(f);
	}
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* Anything at any time: the sanitizers judge. */
static void garbage_does_no_harm(void **state)
{
	static const size_t sizes[] = {16, 24, 64, 112, 56, 536, 544, 4096};
	struct fixture *f = *state;
	_Alignas(struct wire_header) unsigned char buffer[WIRE_MESSAGE_MAX];
	uint64_t random = 1;

	for (int round = 0; round < 1000; round++) {
		camtap_close(f->camera);
		mock_hang_up(&f->mock);
		assert_int_equal(camtap_new(&f->camera), 0);
		assert_int_equal(camtap_set_socket(f->camera, f->mock.path), 0);
		if (round % 4 == 0) {
			connect_client(f);
		} else {
			f->mock.lossless = false;
			attach(f, NULL);
			publish(f, round % 3);
		}
		for (int i = 0; i < 8; i++) {
			struct wire_header *header = (struct wire_header *)buffer;
			size_t size = sizes[next_random(&random) % ELEMENTS(sizes)];
			int fds[2] = {f->mock.pool.fd, f->mock.guard.fd};

			for (size_t at = 0; at < size; at++)
				buffer[at] = next_random(&random) % 3 ? 0 : (unsigned char)random;
			header->size = (uint32_t)size;
			header->type = 15 + (uint32_t)(next_random(&random) % 8);
			if (next_random(&random) % 8 == 0)
				header->size++;
			if (header->type == 15)
				header->type = WIRE_STATUS;
			(void)sendmsg(f->mock.socket,
				&(struct msghdr){
					.msg_iov = &(struct iovec){buffer, size}, .msg_iovlen = 1},
				MSG_NOSIGNAL | MSG_DONTWAIT);
			if (f->mock.pool.base && next_random(&random) % 2)
				(void)message_send(f->mock.socket,
					&(struct wire_header){
						.type = header->type, .size = sizeof(*header)},
					fds, 2);
			for (int j = 0; j < 3; j++) {
				struct camtap_frame *frame;

				if (camtap_next(f->camera, &frame, 0) == CAMTAP_FRAME)
					assert_release(frame, 0);
			}
		}
	}
}

static void running_out_of_fds_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, none;
	int lowest, outcome;

	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, NULL);
	mock_send_format(&f->mock);
	lowest = dup(0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = (rlim_t)lowest + 1, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	outcome = camtap_next(f->camera, &(struct camtap_frame *){NULL}, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(outcome, -EMFILE);
	assert_non_null(strstr(camtap_error_text(f->camera), "open files"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_wider_layout_is_fine),
		TEST(messages_may_be_longer_or_unknown),
		TEST(a_hostile_pool_is_refused),
		TEST(a_hostile_bell_is_refused),
		TEST(a_bell_that_was_not_granted_is_ignored),
		TEST(a_hostile_pool_later_is_an_outage),
		TEST_BOTH(a_frame_that_cannot_be_is_missed),
		TEST(a_position_far_away_is_not_searched_for),
		TEST(a_message_out_of_place_is_an_error),
		TEST(garbage_does_no_harm),
		TEST(running_out_of_fds_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
