/* SPDX-License-Identifier: MIT */

/* libcamtap: slots that lie in memory of their own. Sealed memfds stand in for the dma-bufs of a
 * driver, which the tests of tests/vm have. */

#include "client-fixture.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* WELCOME and FORMAT. */
static void offer_format(struct fixture *f)
{
	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, mock_without_slots);
	mock_send_format(&f->mock);
}

static void send_buffers(struct fixture *f)
{
	for (uint32_t slot = 0; slot < MOCK_SLOTS; slot++)
		mock_send_buffer(&f->mock, slot);
}

static void attach_dmabuf(struct fixture *f)
{
	offer_format(f);
	send_buffers(f);
	assert_idle(f->camera);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	mock_link(&f->mock);
}

static void ready_comes_when_all_is_mapped(void **state)
{
	struct fixture *f = *state;

	offer_format(f);
	for (uint32_t slot = 0; slot < MOCK_SLOTS; slot++) {
		assert_idle(f->camera);
		assert_int_equal(mock_receive(&f->mock), 0);
		mock_send_buffer(&f->mock, slot);
	}
	assert_idle(f->camera);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	assert_int_equal(f->mock.ready_epoch, EPOCH);
}

static void frames_are_read_where_they_lie(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	uint64_t modifier = 77;
	size_t offset = 77;
	int fd = 77;

	attach_dmabuf(f);
	for (uint64_t position = 1; position <= 3 * MOCK_SLOTS; position++) {
		publish(f, 1);
		frame = take(f, position, 0); /* looks at all pixels */
		assert_int_equal(camtap_frame_bytesused(frame, 0), MOCK_WIDTH * MOCK_HEIGHT);
		assert_int_equal(camtap_frame_bytesused(frame, 1), MOCK_WIDTH * MOCK_HEIGHT / 2);
		assert_null(camtap_frame_data(frame, 2));
		/* a stand-in is nothing for a device */
		assert_int_equal(camtap_frame_dmabuf(frame, 0, &fd, &offset, &modifier), -ENOTSUP);
		assert_int_equal(camtap_frame_dmabuf(frame, 2, &fd, &offset, &modifier), -EINVAL);
		assert_true(fd == 77 && offset == 77 && modifier == 77);
		assert_release(frame, 0);
	}
}

static void ordinary_memory_is_no_dmabuf(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	uint64_t modifier;
	size_t offset;
	int fd;

	attach(f, NULL);
	publish(f, 1);
	frame = take(f, 1, 0);
	assert_int_equal(camtap_frame_dmabuf(frame, 0, &fd, &offset, &modifier), -ENOTSUP);
	assert_release(frame, 0);
}

static void a_held_frame_outlives_its_epoch(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame, *other;

	attach_dmabuf(f);
	publish(f, 1);
	frame = take(f, 1, 0);
	mock_make_pool(&f->mock, EPOCH + 1, mock_without_slots);
	mock_send_format(&f->mock);
	send_buffers(f);
	assert_outcome(f->camera, CAMTAP_DISCONTINUITY);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	mock_link(&f->mock);
	publish(f, 1);
	other = take(f, 1, 0);
	assert_true(shows(other, EPOCH + 1, 1));
	assert_release(other, 0);
	assert_true(shows(frame, EPOCH, 1));
	camtap_close(f->camera);
	f->camera = NULL;
	assert_true(shows(frame, EPOCH, 1));
	assert_release(frame, 0);
}

static void an_epoch_may_end_before_all_of_it_came(void **state)
{
	struct fixture *f = *state;

	offer_format(f);
	mock_send_buffer(&f->mock, 0);
	mock_send_buffer(&f->mock, 1);
	assert_idle(f->camera);
	mock_make_pool(&f->mock, EPOCH + 1, mock_without_slots);
	mock_send_format(&f->mock);
	send_buffers(f);
	assert_idle(f->camera); /* nothing was told of the first */
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	assert_int_equal(f->mock.ready_epoch, EPOCH + 1);
	mock_link(&f->mock);
	publish(f, 1);
	assert_release(take(f, 1, 0), 0);
}

static void so_may_the_connection(void **state)
{
	struct fixture *f = *state;

	offer_format(f);
	mock_send_buffer(&f->mock, 0);
	assert_idle(f->camera);
	mock_hang_up(&f->mock);
	accept_again(f);
	welcome_client(f);
	mock_make_guard(&f->mock);
	mock_send_format(&f->mock);
	send_buffers(f);
	assert_idle(f->camera);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
}

static void a_plane_outside_its_buffer_is_not_believed(void **state)
{
	struct fixture *f = *state;
	struct pool_descriptor *descriptor;
	struct mock_pool *pool = &f->mock.pool;

	attach_dmabuf(f);
	publish(f, 1);
	descriptor = (struct pool_descriptor *)(pool->base + pool->layout.descriptor_offset +
						mock_newest_slot(&f->mock) *
							pool->layout.descriptor_stride);
	descriptor->frame.planes[1].memory = MOCK_MEMORY_PLANES;
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	publish(f, 1);
	assert_release(take(f, 2, 1), 0);
}

/* ---- what a daemon must not do ---- */

struct offer {
	struct wire_buffer message;
	int fds[WIRE_FDS_MAX];
	size_t fd_count;
};

static void replace(struct offer *offer, int by)
{
	assert_true(by >= 0);
	assert_int_equal(dup3(by, offer->fds[1], O_CLOEXEC), offer->fds[1]);
	close(by);
}

static void other_slot(struct offer *offer)
{
	offer->message.slot++;
}

static void slot_beyond(struct offer *offer)
{
	offer->message.slot = UINT32_MAX;
}

static void other_epoch(struct offer *offer)
{
	offer->message.epoch++;
}

static void no_plane(struct offer *offer)
{
	offer->message.plane_count = 0;
}

static void many_planes(struct offer *offer)
{
	offer->message.plane_count = WIRE_PLANES_MAX + 1;
}

static void one_fd(struct offer *offer)
{
	offer->fd_count = 1;
}

static void empty_plane(struct offer *offer)
{
	offer->message.planes[1].length = 0;
}

static void too_long(struct offer *offer)
{
	offer->message.planes[1].length++;
}

static void too_far(struct offer *offer)
{
	offer->message.planes[1].offset = UINT32_MAX;
}

static void too_short_for_a_frame(struct offer *offer)
{
	offer->message.planes[0].length -= 1024;
}

static void a_device(struct offer *offer)
{
	replace(offer, open("/dev/zero", O_RDWR | O_CLOEXEC));
}

static void a_pipe(struct offer *offer)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	replace(offer, ends[0]);
}

/* Could be cut off: SIGBUS in whoever reads. */
static void a_file(struct offer *offer)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	replace(offer, fd);
}

static void a_file_to_be_unsealed(struct offer *offer)
{
	a_file(offer);
	assert_int_equal(fcntl(offer->fds[1], F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL), 0);
}

static void a_hostile_buffer_is_refused(void **state)
{
	static void (*const rows[])(struct offer * offer) = {other_slot, slot_beyond, other_epoch,
		no_plane, many_planes, one_fd, empty_plane, too_long, too_far,
		too_short_for_a_frame, a_device, a_pipe, a_file, a_file_to_be_unsealed, NULL};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		struct mock_pool *pool = &f->mock.pool;
		int outcome, expected = rows[i] ? -EPROTO : CAMTAP_TRY_AGAIN;
		struct offer offer;

		offer_format(f);
		mock_send_buffer(&f->mock, 0);
		offer = (struct offer){
			.message = {.epoch = EPOCH, .slot = 1, .plane_count = MOCK_MEMORY_PLANES},
			.fds = {pool->buffers[1][0].fd, pool->buffers[1][1].fd},
			.fd_count = MOCK_MEMORY_PLANES};
		for (uint32_t plane = 0; plane < MOCK_MEMORY_PLANES; plane++) {
			offer.message.planes[plane].offset = MOCK_BUFFER_OFFSET;
			offer.message.planes[plane].length = pool->buffers[1][plane].length;
		}
		if (rows[i])
			rows[i](&offer);
		message_init(&offer.message.header, WIRE_BUFFER, sizeof(offer.message));
		mock_send(&f->mock, &offer.message, offer.fds, offer.fd_count);
		outcome = camtap_next(f->camera, &(struct camtap_frame *){NULL}, 0);
		if (outcome != expected)
			fail_msg("row %zu: %d, %s", i, outcome, camtap_error_text(f->camera));
		assert_int_equal(mock_receive(&f->mock), outcome < 0 ? -1 : 0);
		mock_hang_up(&f->mock);
		renew_client(f);
	}
}

static void a_buffer_without_a_format(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, mock_without_slots);
	mock_send_buffer(&f->mock, 0);
	assert_outcome(f->camera, -EPROTO);
}

static void a_buffer_too_many(void **state)
{
	struct fixture *f = *state;

	attach_dmabuf(f);
	mock_send_buffer(&f->mock, MOCK_SLOTS - 1);
	await_outcome(f->camera, CAMTAP_OFFLINE);
	assert_int_equal(mock_receive(&f->mock), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ready_comes_when_all_is_mapped),
		TEST_BOTH(frames_are_read_where_they_lie),
		TEST(ordinary_memory_is_no_dmabuf),
		TEST(a_held_frame_outlives_its_epoch),
		TEST(an_epoch_may_end_before_all_of_it_came),
		TEST(so_may_the_connection),
		TEST(a_plane_outside_its_buffer_is_not_believed),
		TEST(a_hostile_buffer_is_refused),
		TEST(a_buffer_without_a_format),
		TEST(a_buffer_too_many),
	};

	return cmocka_run_group_tests_name("client-dmabuf", tests, NULL, NULL);
}
