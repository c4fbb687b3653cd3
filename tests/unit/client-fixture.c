/* SPDX-License-Identifier: MIT */
#include "client-fixture.h"

#include "leaks.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int with_bell = 1, without_bell = 0;

static struct fixture fixture;

int64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int fixture_setup(void **state)
{
	int bell = *state ? *(int *)*state : 1;

	fixture.open_fds = count_fds();
	fixture.mapped_memfds = count_mapped_memfds("");
	fixture.camera = NULL;
	mock_init(&fixture.mock);
	fixture.mock.rings = bell;
	renew_client(&fixture);
	assert_int_equal(camtap_set_bell(fixture.camera, bell), 0);
	*state = &fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	(void)state;
	camtap_close(fixture.camera);
	mock_finish(&fixture.mock);
	if (count_fds() == fixture.open_fds && count_mapped_memfds("") == fixture.mapped_memfds)
		return 0;
	print_error("file descriptors or mappings leaked\n");
	return -1;
}

void renew_client(struct fixture *f)
{
	camtap_close(f->camera);
	f->camera = NULL;
	assert_int_equal(camtap_new(&f->camera), 0);
	assert_int_equal(camtap_set_socket(f->camera, f->mock.path), 0);
}

bool readable_within(struct camtap *camera, int timeout_ms)
{
	struct pollfd fd = {.fd = camtap_fd(camera), .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

bool readable(struct camtap *camera)
{
	return readable_within(camera, 0);
}

void assert_outcome(struct camtap *camera, int expected)
{
	struct camtap_frame *frame = NULL;
	int outcome = camtap_next(camera, &frame, 0);

	if (outcome != expected)
		print_error("%d instead of %d: %s, %s\n", outcome, expected,
			camtap_error_text(camera), camtap_event_text(camera));
	assert_int_equal(outcome, expected);
	assert_null(frame);
}

void assert_idle(struct camtap *camera)
{
	assert_outcome(camera, CAMTAP_TRY_AGAIN);
	assert_false(readable(camera));
}

void assert_release(struct camtap_frame *frame, int expected)
{
	assert_int_equal(camtap_release(frame), expected);
}

bool shows(const struct camtap_frame *frame, uint64_t epoch, uint64_t position)
{
	for (unsigned plane = 0; plane < camtap_frame_plane_count(frame); plane++) {
		const _Atomic uint64_t *pixels = camtap_frame_data(frame, plane);

		for (size_t i = 0; i < camtap_frame_bytesused(frame, plane) / 8; i++) {
			if (atomic_load_explicit(&pixels[i], memory_order_relaxed) !=
				mock_pixel(epoch, position))
				return false;
		}
	}
	return camtap_frame_id(frame) == position && camtap_frame_epoch(frame) == epoch;
}

struct camtap_frame *take(struct fixture *f, uint64_t position, uint64_t missed)
{
	struct camtap_frame *frame = NULL;

	assert_true(readable(f->camera));
	assert_int_equal(camtap_next(f->camera, &frame, 0), CAMTAP_FRAME);
	assert_non_null(frame);
	assert_int_equal(camtap_frame_id(frame), position);
	assert_true(shows(frame, f->mock.pool.layout.epoch, position));
	assert_int_equal(camtap_frame_missed(frame), missed);
	return frame;
}

void connect_client(struct fixture *f)
{
	assert_int_equal(camtap_connect(f->camera), 0);
	mock_accept(&f->mock);
}

void welcome_client(struct fixture *f)
{
	mock_welcome(&f->mock, LEASES);
	assert_true(readable(f->camera));
	assert_idle(f->camera);
}

void offer_pool(struct fixture *f, int outcome)
{
	mock_send_format(&f->mock);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, outcome);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	assert_int_equal(f->mock.ready_epoch, f->mock.pool.layout.epoch);
}

void attach(struct fixture *f, mock_tweak *tweak)
{
	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, tweak);
	offer_pool(f, CAMTAP_TRY_AGAIN);
	mock_link(&f->mock);
	assert_idle(f->camera);
}

void publish(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++)
		assert_true(mock_publish(&f->mock));
}

void accept_again(struct fixture *f)
{
	struct pollfd listener = {.fd = f->mock.listener, .events = POLLIN};

	while (poll(&listener, 1, 0) == 0) {
		struct camtap_frame *frame;
		int outcome;

		assert_true(readable_within(f->camera, LIMIT_MS));
		outcome = camtap_next(f->camera, &frame, 0);
		/* on a machine that stands still for a second it is an outage */
		assert_true(outcome == CAMTAP_TRY_AGAIN || outcome == CAMTAP_OFFLINE);
	}
	mock_accept(&f->mock);
}

void await_outcome(struct camtap *camera, int expected)
{
	struct camtap_frame *frame = NULL;

	assert_int_equal(camtap_next(camera, &frame, LIMIT_MS), expected);
	assert_null(frame);
}
