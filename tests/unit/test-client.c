/* SPDX-License-Identifier: MIT */

/* libcamtap against a daemon that does what the test says, step by step. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/videodev2.h>

#include "camtap.h"
#include "message.h"
#include "mock-daemon.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	LIMIT_MS = 20000, /* for whatever has to come */
	LEASES = 2,
	EPOCH = 1000,
};

struct fixture {
	struct mock mock;
	struct camtap *camera;
	int open_fds;
};

static struct fixture fixture;

/* How the client is woken; most of it must work either way. */
static int with_doorbell = 1, without_doorbell = 0;

static int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static int setup(void **state)
{
	int doorbell = *state ? *(int *)*state : 1;
	struct camtap *camera;

	fixture.open_fds = count_fds();
	mock_init(&fixture.mock);
	if (camtap_new(&camera) < 0 || camtap_set_socket(camera, fixture.mock.path) < 0 ||
		camtap_set_doorbell(camera, doorbell) < 0)
		return -1;
	fixture.camera = camera;
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	camtap_close(fixture.camera);
	mock_finish(&fixture.mock);
	if (count_fds() == fixture.open_fds)
		return 0;
	print_error("file descriptors leaked\n");
	return -1;
}

/* ---- shorthand ---- */

static bool readable_within(const struct camtap *camera, int timeout_ms)
{
	struct pollfd fd = {.fd = camtap_fd(camera), .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

/* What an event loop would do now. */
static bool readable(const struct camtap *camera)
{
	return readable_within(camera, 0);
}

static void assert_outcome(struct camtap *camera, int expected)
{
	struct camtap_frame *frame = NULL;
	int outcome = camtap_next(camera, &frame, 0);

	if (outcome != expected)
		print_error("%d instead of %d: %s, %s\n", outcome, expected,
			camtap_error_text(camera), camtap_event_text(camera));
	assert_int_equal(outcome, expected);
	assert_null(frame);
}

/* Nothing to do: and the event loop knows. */
static void assert_idle(struct camtap *camera)
{
	assert_outcome(camera, CAMTAP_TRY_AGAIN);
	assert_false(readable(camera));
}

static void assert_release(struct camtap_frame *frame, int expected)
{
	assert_int_equal(camtap_release(frame), expected);
}

static bool shows(const struct camtap_frame *frame, uint64_t epoch, uint64_t position)
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

/* The next frame, which must be there. */
static struct camtap_frame *take(struct fixture *f, uint64_t position, uint64_t missed)
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

static void connect_client(struct fixture *f)
{
	assert_int_equal(camtap_connect(f->camera), 0);
	mock_accept(&f->mock);
}

/* WELCOME is there and read. */
static void welcome_client(struct fixture *f)
{
	mock_welcome(&f->mock, LEASES);
	assert_true(readable(f->camera));
	assert_idle(f->camera);
}

/* FORMAT for the pool that the mock has, up to READY. */
static void offer_pool(struct fixture *f, int outcome)
{
	mock_send_format(&f->mock);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, outcome);
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
}

static void attach(struct fixture *f, mock_tweak *tweak)
{
	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, tweak);
	offer_pool(f, CAMTAP_TRY_AGAIN);
	mock_link(&f->mock);
	assert_idle(f->camera);
}

static void publish(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++)
		assert_true(mock_publish(&f->mock));
}

/* Comes back after a hang-up; how long the pause is, is the client's affair. */
static void accept_again(struct fixture *f)
{
	struct pollfd listener = {.fd = f->mock.listener, .events = POLLIN};

	while (poll(&listener, 1, 0) == 0) {
		assert_true(readable_within(f->camera, LIMIT_MS));
		assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	}
	mock_accept(&f->mock);
}

/* ---- attaching ---- */

static void hello_says_what_was_set(void **state)
{
	struct fixture *f = *state;
	const struct wire_hello *hello = &f->mock.hello;

	assert_int_equal(camtap_set_client_name(f->camera, "detector"), 0);
	assert_int_equal(camtap_set_stream(f->camera, "GREY:640x360,rate=5"), 0);
	assert_int_equal(camtap_set_mode(f->camera, CAMTAP_MODE_LOSSLESS), 0);
	assert_null(camtap_name(f->camera));
	assert_int_equal(camtap_max_leases(f->camera), 0);
	connect_client(f);
	assert_int_equal(hello->version_min, WIRE_VERSION_MIN);
	assert_int_equal(hello->version_max, WIRE_VERSION_MAX);
	assert_int_equal(hello->features, WIRE_FEATURE_DOORBELL);
	assert_int_equal(hello->mode, WIRE_MODE_LOSSLESS);
	assert_string_equal(hello->name, "detector");
	assert_string_equal(hello->stream, "GREY:640x360,rate=5");

	welcome_client(f);
	assert_string_equal(camtap_name(f->camera), "front");
	assert_int_equal(camtap_max_leases(f->camera), LEASES);
}

static void settings_are_checked(void **state)
{
	struct fixture *f = *state;
	char text[300];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(camtap_set_camera(f->camera, "../front"), -EINVAL);
	assert_non_null(strstr(camtap_error_text(f->camera), "../front"));
	assert_int_equal(camtap_set_camera(f->camera, ""), -EINVAL);
	assert_int_equal(camtap_set_socket(f->camera, ""), -EINVAL);
	assert_int_equal(camtap_set_socket(f->camera, text), -ENAMETOOLONG);
	assert_int_equal(camtap_set_stream(f->camera, "NV12\n"), -EINVAL);
	assert_int_equal(camtap_set_stream(f->camera, text), -ENAMETOOLONG);
	assert_int_equal(camtap_set_client_name(f->camera, text), -ENAMETOOLONG);
	assert_int_equal(camtap_set_mode(f->camera, (enum camtap_mode)3), -EINVAL);
	assert_int_equal(camtap_set_camera(f->camera, "front"), 0);
	assert_int_equal(camtap_set_camera(f->camera, NULL), 0);
	assert_int_equal(camtap_set_stream(f->camera, NULL), 0);
	assert_int_equal(camtap_set_client_name(f->camera, NULL), 0);

	assert_outcome(f->camera, -ENOTCONN);
	assert_int_equal(camtap_status(f->camera, (char *[]){NULL}, 0), -ENOTCONN);
	connect_client(f);
	assert_int_equal(camtap_connect(f->camera), -EALREADY);
	assert_int_equal(camtap_set_camera(f->camera, "front"), -EBUSY);
	assert_int_equal(camtap_set_socket(f->camera, "/x"), -EBUSY);
	assert_int_equal(camtap_set_stream(f->camera, ""), -EBUSY);
	assert_int_equal(camtap_set_client_name(f->camera, "x"), -EBUSY);
	assert_int_equal(camtap_set_mode(f->camera, CAMTAP_MODE_READ), -EBUSY);
	assert_int_equal(camtap_set_doorbell(f->camera, 0), -EBUSY);
	assert_string_equal(f->mock.hello.name, program_invocation_short_name);
}

static void no_socket_is_an_error_and_may_be_tried_again(void **state)
{
	struct fixture *f = *state;

	mock_stop_listening(&f->mock);
	assert_int_equal(camtap_connect(f->camera), -ENOENT);
	assert_non_null(strstr(camtap_error_text(f->camera), f->mock.path));
	assert_outcome(f->camera, -ENOTCONN);
	mock_listen(&f->mock);
	connect_client(f);
}

/* A socket on which nobody listens: a daemon that is restarted by hand. */
static void a_deaf_socket_is_tried_again(void **state)
{
	struct fixture *f = *state;

	close(f->mock.listener);
	assert_int_equal(camtap_connect(f->camera), 0);
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	unlink(f->mock.path);
	mock_listen(&f->mock);
	accept_again(f);
	welcome_client(f);
}

/* More clients than the daemon has accepted yet: connect() gives EAGAIN. */
static void a_full_backlog_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct camtap *others[16] = {NULL};
	struct pollfd listener;

	for (size_t i = 0; i < ELEMENTS(others); i++) {
		assert_int_equal(camtap_new(&others[i]), 0);
		assert_int_equal(camtap_set_socket(others[i], f->mock.path), 0);
		assert_int_equal(camtap_connect(others[i]), 0);
	}
	for (size_t i = 0; i < ELEMENTS(others); i++) {
		listener = (struct pollfd){.fd = f->mock.listener, .events = POLLIN};
		while (poll(&listener, 1, 0) == 0) {
			for (size_t j = 0; j < ELEMENTS(others); j++)
				assert_outcome(others[j], CAMTAP_TRY_AGAIN);
		}
		mock_accept(&f->mock);
		close(f->mock.socket);
	}
	f->mock.socket = -1;
	for (size_t i = 0; i < ELEMENTS(others); i++)
		camtap_close(others[i]);
}

static void a_refusal_is_an_errno(void **state)
{
	static const struct {
		uint32_t code;
		int error;
	} rows[] = {
		{WIRE_CODE_VERSION, -EPROTONOSUPPORT},
		{WIRE_CODE_STREAM, -EINVAL},
		{WIRE_CODE_ACCESS, -EACCES},
		{WIRE_CODE_PROTOCOL, -EPROTO},
		{WIRE_CODE_BUSY, -EUSERS},
		{WIRE_CODE_INTERNAL, -EIO},
		{9999, -EIO},
	};
	struct fixture *f = *state;
	char *json = NULL;

	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		connect_client(f);
		mock_bye(&f->mock, WIRE_REFUSED, rows[i].code, "the\x1b reason");
		mock_hang_up(&f->mock);
		for (int again = 0; again < 3; again++) {
			assert_true(readable(f->camera));
			assert_outcome(f->camera, rows[i].error);
			assert_string_equal(camtap_error_text(f->camera), "the? reason");
		}
		assert_int_equal(camtap_status(f->camera, &json, 0), rows[i].error);
		camtap_close(f->camera);
		assert_int_equal(camtap_new(&f->camera), 0);
		assert_int_equal(camtap_set_socket(f->camera, f->mock.path), 0);
	}
}

/* The daemon had not read all of ours when it hung up: its last words come after ECONNRESET. */
static void a_refusal_survives_a_reset(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	mock_welcome(&f->mock, LEASES);
	mock_make_pool(&f->mock, EPOCH, NULL);
	mock_send_format(&f->mock);
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	mock_bye(&f->mock, WIRE_REFUSED, WIRE_CODE_ACCESS, "not you");
	mock_hang_up(&f->mock); /* READY is unread */
	assert_outcome(f->camera, -EACCES);
	assert_string_equal(camtap_error_text(f->camera), "not you");
}

static void *refuse_at_once(void *argument)
{
	const struct mock *mock = argument;
	struct wire_bye bye = {.code = WIRE_CODE_BUSY, .text = "full"};
	int socket;

	message_init(&bye.header, WIRE_REFUSED, sizeof(bye));
	while ((socket = accept(mock->listener, NULL, NULL)) >= 0) {
		(void)message_send(socket, &bye.header, NULL, 0);
		close(socket);
	}
	return NULL;
}

/* The daemon hangs up before HELLO is sent, or before it has read it. */
static void a_refusal_may_come_before_hello(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, refuse_at_once, &f->mock), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(camtap_connect(f->camera), 0);
		assert_int_equal(
			camtap_next(f->camera, &(struct camtap_frame *){NULL}, LIMIT_MS), -EUSERS);
		assert_string_equal(camtap_error_text(f->camera), "full");
		camtap_close(f->camera);
		assert_int_equal(camtap_new(&f->camera), 0);
		assert_int_equal(camtap_set_socket(f->camera, f->mock.path), 0);
	}
	shutdown(f->mock.listener, SHUT_RDWR); /* ends accept() */
	pthread_join(thread, NULL);
}

/* ---- reading ---- */

static void frames_come_in_order(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	for (uint64_t position = 1; position <= 200; position++) {
		publish(f, 1);
		assert_release(take(f, position, 0), 0);
		assert_idle(f->camera);
	}
	publish(f, 3);
	assert_release(take(f, 201, 0), 0);
	assert_release(take(f, 202, 0), 0);
	assert_release(take(f, 203, 0), 0);
	assert_idle(f->camera);
	assert_int_equal(camtap_missed(f->camera), 0);
}

static void a_frame_tells_all_about_itself(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	uint32_t numerator, denominator;

	attach(f, NULL);
	publish(f, 1);
	frame = take(f, 1, 0);
	assert_int_equal(camtap_frame_plane_count(frame), 2);
	assert_int_equal(camtap_frame_bytesused(frame, 0), MOCK_WIDTH * MOCK_HEIGHT);
	assert_int_equal(camtap_frame_bytesused(frame, 1), MOCK_WIDTH * MOCK_HEIGHT / 2);
	assert_int_equal(camtap_frame_bytesused(frame, 2), 0);
	assert_int_equal(camtap_frame_stride(frame, 1), MOCK_WIDTH);
	assert_int_equal(camtap_frame_stride(frame, 2), 0);
	assert_ptr_equal((const char *)camtap_frame_data(frame, 0) + MOCK_WIDTH * MOCK_HEIGHT,
		camtap_frame_data(frame, 1));
	assert_null(camtap_frame_data(frame, 2));
	assert_null(camtap_frame_data(frame, UINT32_MAX));
	assert_int_equal(camtap_frame_fourcc(frame), V4L2_PIX_FMT_NV12);
	assert_int_equal(camtap_frame_width(frame), MOCK_WIDTH);
	assert_int_equal(camtap_frame_height(frame), MOCK_HEIGHT);
	assert_int_equal(camtap_frame_field(frame), V4L2_FIELD_TOP);
	camtap_frame_rate(frame, &numerator, &denominator);
	assert_int_equal(numerator, 30);
	assert_int_equal(denominator, 1);
	assert_int_equal(camtap_frame_sequence(frame), 101);
	assert_int_equal(camtap_frame_capture_time(frame), 5001);
	assert_int_equal(camtap_frame_capture_clock(frame), CAMTAP_CLOCK_MONOTONIC);
	assert_int_equal(camtap_frame_publish_time(frame), 7001);
	assert_int_equal(camtap_frame_realtime(frame), 1005001);
	assert_int_equal(camtap_frame_media_time(frame), -1);
	assert_int_equal(camtap_frame_flags(frame), CAMTAP_FRAME_KEYFRAME);
	assert_int_equal(camtap_frame_check(frame), 0);
	assert_release(frame, 0);
	assert_release(NULL, 0);
}

static void the_newest_frame_comes_first(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, NULL);
	publish(f, 7);
	offer_pool(f, CAMTAP_TRY_AGAIN);
	assert_idle(f->camera); /* not linked: neither a frame nor a loss, and no spinning */
	mock_link(&f->mock);
	assert_true(mock_ring(&f->mock));
	assert_release(take(f, 7, 0), 0);
	assert_idle(f->camera);
	publish(f, 1);
	assert_release(take(f, 8, 0), 0);
	assert_int_equal(camtap_missed(f->camera), 0);
}

/* Frames that were overwritten before the guard was linked, and after: only the last count. */
static void what_is_overwritten_is_counted(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	welcome_client(f);
	mock_make_pool(&f->mock, EPOCH, NULL);
	publish(f, 1);
	offer_pool(f, CAMTAP_TRY_AGAIN);
	mock_link(&f->mock);
	assert_true(mock_ring(&f->mock));
	publish(f, 10); /* 8 to 11 are there */
	assert_release(take(f, 8, 6), 0);
	publish(f, 1); /* 9 is gone, 10 to 12 are there */
	publish(f, 100);
	assert_release(take(f, 109, 100), 0);
	assert_release(take(f, 110, 0), 0);
	assert_release(take(f, 111, 0), 0);
	assert_release(take(f, 112, 0), 0);
	assert_idle(f->camera);
	assert_int_equal(camtap_missed(f->camera), 106);
}

/* A frame that another reader holds is older than those around it, and still there. */
static void an_old_frame_that_is_still_there_is_found(void **state)
{
	struct fixture *f = *state;
	uint32_t kept;

	attach(f, NULL);
	publish(f, 1);
	kept = mock_newest_slot(&f->mock);
	for (int i = 0; i < 10; i++) {
		uint32_t slot = mock_take_slot(&f->mock, true);

		if (slot == kept) { /* as if another reader held it: undo, take the next */
			guard_undo((guard_word *)(f->mock.guard.base + slot * GUARD_STRIDE),
				f->mock.pool.generations[slot]);
			f->mock.pool.positions[kept] += 1000;
			slot = mock_take_slot(&f->mock, true);
			f->mock.pool.positions[kept] -= 1000;
		}
		mock_publish_slot(&f->mock, slot);
	}
	assert_true(mock_ring(&f->mock));
	assert_release(take(f, 1, 0), 0);
	assert_release(take(f, 9, 7), 0);
}

static void latest_skips(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;

	attach(f, NULL);
	for (uint64_t round = 1; round <= 50; round++) {
		publish(f, 3);
		assert_true(readable(f->camera));
		assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_FRAME);
		assert_true(shows(frame, EPOCH, round * 3));
		assert_int_equal(camtap_frame_missed(frame), 2);
		assert_release(frame, 0);
		assert_false(readable(f->camera));
		assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_TRY_AGAIN);
	}
	assert_int_equal(camtap_missed(f->camera), 100);
	publish(f, 2);
	assert_release(take(f, 151, 0), 0);
}

static void the_limit_is_told_and_does_not_wake(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES], *frame;

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	assert_false(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN); /* no frame is there */
	publish(f, 1);
	assert_false(readable(f->camera));
	assert_int_equal(camtap_next(f->camera, &frame, -1), -ENOBUFS); /* at once */
	assert_non_null(strstr(camtap_error_text(f->camera), "release"));
	assert_int_equal(camtap_latest(f->camera, &frame, -1), -ENOBUFS);
	assert_false(readable(f->camera));
	publish(f, 1);
	assert_false(readable(f->camera));

	assert_release(held[0], 0);
	assert_true(readable(f->camera));
	frame = take(f, LEASES + 1, 0);
	assert_false(readable(f->camera));
	assert_release(held[1], 0);
	assert_release(take(f, LEASES + 2, 0), 0);
	assert_idle(f->camera);
	assert_release(frame, 0);
	/* and the doorbell is heard again */
	publish(f, 1);
	assert_release(take(f, LEASES + 3, 0), 0);
}

static void *release_frame(void *frame)
{
	return (void *)(intptr_t)camtap_release(frame);
}

static void a_release_elsewhere_wakes(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];
	pthread_t thread;
	void *result;

	attach(f, NULL);
	for (uint64_t position = 1; position < 200; position++) {
		if (position == 1)
			publish(f, 3);
		held[0] = take(f, position, 0);
		held[1] = take(f, ++position, 0);
		assert_outcome(f->camera, -ENOBUFS);
		assert_false(readable(f->camera));
		assert_int_equal(pthread_create(&thread, NULL, release_frame, held[0]), 0);
		assert_true(readable_within(f->camera, LIMIT_MS));
		held[0] = take(f, ++position, 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_null(result);
		assert_release(held[1], 0);
		assert_release(held[0], 0);
		publish(f, 3);
	}
}

static void *publish_frame(void *mock)
{
	return mock_publish(mock) ? NULL : mock;
}

/* A program with one thread would wait for ever if the limit silenced its own waiting. */
static void waiting_at_the_limit_ends_with_a_frame(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES], *frame;
	pthread_t thread;
	void *result;

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	assert_int_equal(pthread_create(&thread, NULL, publish_frame, &f->mock), 0);
	assert_int_equal(camtap_next(f->camera, &frame, LIMIT_MS), -ENOBUFS);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	for (size_t i = 0; i < LEASES; i++)
		assert_release(held[i], 0);
	assert_release(take(f, LEASES + 1, 0), 0);
}

static void waiting_ends_with_a_frame(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	pthread_t thread;

	attach(f, NULL);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pthread_create(&thread, NULL, publish_frame, &f->mock), 0);
		assert_int_equal(
			camtap_next(f->camera, &frame, i % 2 ? -1 : LIMIT_MS), CAMTAP_FRAME);
		assert_release(frame, 0);
		pthread_join(thread, NULL);
	}
	assert_int_equal(camtap_next(f->camera, &frame, 1), CAMTAP_TRY_AGAIN);
}

static void a_revoked_frame_is_stale(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *first, *second;
	uint32_t slot;

	attach(f, NULL);
	publish(f, 1);
	slot = mock_newest_slot(&f->mock);
	first = take(f, 1, 0);
	publish(f, 1);
	assert_int_equal(camtap_frame_check(first), 0);
	mock_revoke(&f->mock, slot);
	assert_int_equal(camtap_frame_check(first), -ESTALE);
	assert_false(shows(first, EPOCH, 1));
	mock_publish_slot(&f->mock, slot); /* frame 3, in the same slot */
	assert_true(mock_ring(&f->mock));
	assert_release(take(f, 2, 0), 0);
	second = take(f, 3, 0);
	/* the stale one neither passes for the new one nor gives it away */
	assert_int_equal(camtap_frame_check(first), -ESTALE);
	assert_int_equal(camtap_frame_check(second), 0);
	assert_release(first, -ESTALE);
	assert_int_equal(camtap_frame_check(second), 0);
	assert_release(second, 0);
}

static void a_lossless_release_is_announced(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	uint32_t slot;

	f->mock.lossless = true; /* by the daemon's own choice */
	attach(f, NULL);
	publish(f, 3);
	assert_false(mock_publish(&f->mock) && mock_publish(&f->mock)); /* the source waits */
	frame = take(f, 1, 0);
	assert_release(frame, 0);
	assert_int_equal(mock_receive(&f->mock), 0); /* nobody asked */

	slot = mock_newest_slot(&f->mock);
	assert_int_equal(guard_wait((guard_word *)(f->mock.guard.base + slot * GUARD_STRIDE),
				 f->mock.pool.generations[slot]),
		GUARD_DONE);
	/* latest skips nothing that the source waits for */
	for (uint64_t position = 2; position <= f->mock.pool.newest; position++) {
		assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_FRAME);
		assert_int_equal(camtap_frame_id(frame), position);
		assert_int_equal(mock_receive(&f->mock), 0);
		assert_release(frame, 0);
	}
	assert_int_equal(mock_receive(&f->mock), WIRE_RELEASED);
	assert_int_equal(mock_receive(&f->mock), 0);
	assert_int_equal(camtap_missed(f->camera), 0);
}

/* ---- other layouts ---- */

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
	int fds[2];
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
		{NULL, device_as_guard, -EPROTO}, {NULL, pool_that_shrinks, -EPROTO},
		{NULL, pool_that_grows, -EPROTO}, {NULL, pool_to_write, -EPROTO},
		{NULL, pool_to_be_sealed, -EPROTO}, {NULL, guard_that_shrinks, -EPROTO},
		{NULL, guard_that_grows, -EPROTO}, {NULL, guard_not_to_write, -EPERM},
		{wrong_epoch, NULL, -EPROTO}, {NULL, NULL, 0}, /* and a right one is not */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		struct offer offer;
		int outcome;

		connect_client(f);
		welcome_client(f);
		mock_make_pool(&f->mock, EPOCH, rows[i].layout);
		offer = (struct offer){
			.format = {.epoch = EPOCH,
				.pool_size = f->mock.pool.size,
				.guard_size = f->mock.guard.size,
				.guard_stride = GUARD_STRIDE,
				.slot_count = f->mock.pool.layout.slot_count},
			.fds = {f->mock.pool.fd, f->mock.guard.fd},
			.fd_count = 2,
		};
		if (rows[i].offer)
			rows[i].offer(&offer);
		message_init(&offer.format.header, WIRE_FORMAT, sizeof(offer.format));
		mock_send(&f->mock, &offer.format, offer.fds, offer.fd_count);
		outcome = camtap_next(f->camera, &(struct camtap_frame *){NULL}, 0);
		if (outcome != rows[i].error)
			fail_msg("row %zu: %d, %s", i, outcome, camtap_error_text(f->camera));
		if (outcome < 0)
			assert_true(strlen(camtap_error_text(f->camera)) > 20);
		assert_int_equal(mock_receive(&f->mock), outcome < 0 ? -1 : WIRE_READY);

		camtap_close(f->camera);
		mock_hang_up(&f->mock);
		assert_int_equal(camtap_new(&f->camera), 0);
		assert_int_equal(camtap_set_socket(f->camera, f->mock.path), 0);
	}
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
	assert_int_equal(
		camtap_next(f->camera, &(struct camtap_frame *){NULL}, LIMIT_MS), CAMTAP_OFFLINE);
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

/* ---- events ---- */

static void states_become_events_once(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	mock_source(&f->mock, WIRE_SOURCE_STARTING, "opening");
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	mock_source(&f->mock, WIRE_SOURCE_ONLINE, "");
	mock_source(&f->mock, (enum wire_source_state)77, "?");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged since 12:00\n");
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged since 12:00\n");
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	assert_string_equal(camtap_event_text(f->camera), "unplugged since 12:00?");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged since 12:00\n");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "busy: ffmpeg has it");
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	assert_string_equal(camtap_event_text(f->camera), "busy: ffmpeg has it");

	mock_source(&f->mock, WIRE_SOURCE_STARTING, "");
	mock_source(&f->mock, WIRE_SOURCE_ONLINE, "");
	mock_source(&f->mock, WIRE_SOURCE_PAUSED, "by root");
	assert_outcome(f->camera, CAMTAP_ONLINE);
	assert_string_equal(camtap_event_text(f->camera), "");
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_PAUSED);
	assert_string_equal(camtap_event_text(f->camera), "by root");
	assert_idle(f->camera);
}

static void events_come_in_order_with_frames(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	publish(f, 2);
	mock_source(&f->mock, WIRE_SOURCE_ENDED, "over");
	assert_release(take(f, 1, 0), 0);
	publish(f, 1);
	assert_release(take(f, 2, 0), 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_ENDED);
	assert_release(take(f, 3, 0), 0);
	assert_idle(f->camera);
}

static void latest_gives_the_newest_before_the_end(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;

	attach(f, NULL);
	publish(f, 3);
	mock_source(&f->mock, WIRE_SOURCE_ENDED, "over");
	assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_FRAME);
	assert_true(shows(frame, EPOCH, 3));
	assert_release(frame, 0);
	assert_int_equal(camtap_latest(f->camera, &frame, 0), CAMTAP_ENDED);
	assert_idle(f->camera);
}

/* At the limit, what comes before a frame is told, what comes after it waits. */
static void the_limit_holds_events_back_in_order(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "gone");
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	assert_idle(f->camera);
	publish(f, 1);
	mock_source(&f->mock, WIRE_SOURCE_ENDED, "over");
	assert_outcome(f->camera, -ENOBUFS);
	assert_false(readable(f->camera));
	assert_release(held[0], 0);
	assert_release(take(f, LEASES + 1, 0), 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_ENDED);
	assert_idle(f->camera);
	assert_release(held[1], 0);
}

/* Nobody asks for long: the queue is short, and its end is the truth. */
static void many_events_end_with_the_truth(void **state)
{
	struct fixture *f = *state;
	int outcome, last = 0, count = 0;

	attach(f, NULL);
	for (int i = 0; i < 50; i++) {
		mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "gone");
		mock_source(&f->mock, WIRE_SOURCE_ONLINE, "");
	}
	mock_make_pool(&f->mock, EPOCH + 1, NULL);
	mock_send_format(&f->mock);
	mock_source(&f->mock, WIRE_SOURCE_PAUSED, "by root");
	while ((outcome = camtap_next(f->camera, &(struct camtap_frame *){NULL}, 0)) != 0) {
		last = outcome;
		count++;
	}
	assert_true(count > 1 && count < 50);
	assert_int_equal(last, CAMTAP_PAUSED);
	assert_string_equal(camtap_event_text(f->camera), "by root");
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	mock_link(&f->mock);
	publish(f, 1);
	assert_release(take(f, 1, 0), 0);
}

static void a_new_epoch_is_told(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *old, *new;

	attach(f, NULL);
	publish(f, 2);
	old = take(f, 1, 0);
	mock_make_pool(&f->mock, EPOCH + 1, NULL);
	mock_send_format(&f->mock);
	/* frame 2 came before it, and nobody overwrites it */
	new = NULL;
	assert_int_equal(camtap_next(f->camera, &new, 0), CAMTAP_FRAME);
	assert_true(shows(new, EPOCH, 2));
	assert_release(new, 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_DISCONTINUITY);
	assert_string_equal(camtap_event_text(f->camera), "NV12 64x32");
	assert_int_equal(mock_receive(&f->mock), WIRE_READY);
	mock_link(&f->mock);
	publish(f, 1);
	new = take(f, 1, 0);
	assert_int_equal(camtap_frame_epoch(new), EPOCH + 1);

	assert_int_equal(camtap_frame_check(old), 0);
	assert_true(shows(old, EPOCH, 1));
	assert_release(old, 0);
	assert_release(new, 0);
	assert_int_equal(camtap_missed(f->camera), 0);
}

static void make_smaller(struct pool_header *layout)
{
	layout->format.width = 32;
}

static void make_slower(struct pool_header *layout)
{
	layout->format.rate_numerator = 15;
}

static void another_format_is_told(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	mock_make_pool(&f->mock, EPOCH + 1, make_smaller);
	offer_pool(f, CAMTAP_FORMAT);
	assert_string_equal(camtap_event_text(f->camera), "NV12 32x32");
	mock_make_pool(&f->mock, EPOCH + 2, make_smaller);
	offer_pool(f, CAMTAP_DISCONTINUITY);
	mock_make_pool(&f->mock, EPOCH + 3, make_slower);
	offer_pool(f, CAMTAP_FORMAT);
	mock_link(&f->mock);
	publish(f, 1);
	assert_release(take(f, 1, 0), 0);
}

static void an_observer_gets_no_frames(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(camtap_set_mode(f->camera, CAMTAP_MODE_OBSERVE), 0);
	connect_client(f);
	assert_int_equal(f->mock.hello.mode, WIRE_MODE_OBSERVE);
	assert_int_equal(f->mock.hello.features, 0);
	welcome_client(f);
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	assert_idle(f->camera);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged");
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	mock_make_pool(&f->mock, EPOCH, NULL);
	publish(f, 1);
	mock_send_format(&f->mock);
	assert_idle(f->camera);
	assert_int_equal(mock_receive(&f->mock), 0);
}

/* ---- coming back ---- */

static void a_hang_up_is_followed_by_another_attachment(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *old;
	uint64_t epoch = EPOCH;

	attach(f, NULL);
	publish(f, 1);
	old = take(f, 1, 0);
	for (int i = 0; i < 5; i++) {
		mock_hang_up(&f->mock);
		assert_true(readable(f->camera));
		accept_again(f);
		welcome_client(f);
		mock_make_pool(&f->mock, ++epoch, NULL);
		offer_pool(f, CAMTAP_DISCONTINUITY);
		mock_link(&f->mock);
		publish(f, 1);
		assert_release(take(f, 1, 0), 0);
		assert_idle(f->camera);
	}
	assert_true(shows(old, EPOCH, 1));
	assert_int_equal(camtap_frame_check(old), 0);
	assert_release(old, 0);
}

/* Only the connection was lost, the pool is the same: frames go on, and the count is exact. */
static void the_same_epoch_goes_on(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held;

	attach(f, NULL);
	publish(f, 3);
	held = take(f, 1, 0);
	mock_expel(&f->mock);
	accept_again(f);
	welcome_client(f);
	mock_make_guard(&f->mock);
	publish(f, 3); /* 3 to 6 are there */
	offer_pool(f, CAMTAP_TRY_AGAIN);
	mock_link(&f->mock);
	assert_true(mock_ring(&f->mock));
	assert_release(held, -ESTALE);
	assert_release(take(f, 3, 1), 0);
	assert_release(take(f, 4, 0), 0);
	publish(f, 1);
	assert_release(take(f, 5, 0), 0);
	assert_release(take(f, 6, 0), 0);
	assert_release(take(f, 7, 0), 0);
	assert_idle(f->camera);
}

static void the_last_frames_come_before_the_end_of_the_daemon(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	publish(f, 2);
	mock_source(&f->mock, WIRE_SOURCE_ENDED, "over");
	mock_bye(&f->mock, WIRE_BYE, WIRE_CODE_SHUTDOWN, "camtapd stops");
	mock_hang_up(&f->mock);
	mock_stop_listening(&f->mock);
	assert_release(take(f, 1, 0), 0);
	assert_release(take(f, 2, 0), 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_ENDED);
}

static void a_long_outage_is_told(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;

	attach(f, NULL);
	publish(f, 1);
	frame = take(f, 1, 0);
	mock_hang_up(&f->mock);
	mock_stop_listening(&f->mock);
	assert_int_equal(
		camtap_next(f->camera, &(struct camtap_frame *){NULL}, LIMIT_MS), CAMTAP_OFFLINE);
	assert_non_null(strstr(camtap_event_text(f->camera), "not running"));
	assert_non_null(strstr(camtap_event_text(f->camera), f->mock.path));
	assert_true(shows(frame, EPOCH, 1));
	assert_int_equal(camtap_frame_check(frame), 0);
	assert_release(frame, 0);

	mock_listen(&f->mock);
	accept_again(f);
	welcome_client(f);
	mock_source(&f->mock, WIRE_SOURCE_STARTING, "");
	assert_idle(f->camera);
	mock_make_pool(&f->mock, EPOCH + 1, NULL);
	offer_pool(f, CAMTAP_DISCONTINUITY);
	mock_link(&f->mock);
	mock_source(&f->mock, WIRE_SOURCE_ONLINE, "");
	assert_outcome(f->camera, CAMTAP_ONLINE);
	publish(f, 1);
	assert_release(take(f, 1, 0), 0);
}

/* A daemon that is started by its socket and hangs. */
static void no_answer_is_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(camtap_set_mode(f->camera, CAMTAP_MODE_OBSERVE), 0);
	connect_client(f);
	assert_int_equal(
		camtap_next(f->camera, &(struct camtap_frame *){NULL}, LIMIT_MS), CAMTAP_OFFLINE);
	assert_non_null(strstr(camtap_event_text(f->camera), "does not answer"));
	assert_idle(f->camera);
	welcome_client(f);
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	assert_outcome(f->camera, CAMTAP_ONLINE);
}

static void a_farewell_is_kept(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	mock_bye(&f->mock, WIRE_BYE, WIRE_CODE_OVERHOLD, "holds 5 frames");
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	assert_int_equal(mock_receive(&f->mock), -1); /* it need not wait for the daemon's end */
	mock_hang_up(&f->mock);
	assert_int_equal(
		camtap_next(f->camera, &(struct camtap_frame *){NULL}, LIMIT_MS), CAMTAP_OFFLINE);
	assert_string_equal(camtap_event_text(f->camera), "holds 5 frames");
	accept_again(f);
	/* busy for a while: not an error any more */
	mock_bye(&f->mock, WIRE_REFUSED, WIRE_CODE_BUSY, "full");
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	mock_hang_up(&f->mock);
	accept_again(f);
	mock_bye(&f->mock, WIRE_REFUSED, WIRE_CODE_ACCESS, "no longer");
	assert_outcome(f->camera, -EACCES);
	assert_string_equal(camtap_error_text(f->camera), "no longer");
}

static void a_hang_up_at_the_limit_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];

	attach(f, NULL);
	publish(f, LEASES + 1);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	assert_false(readable(f->camera));
	mock_hang_up(&f->mock);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, -ENOBUFS);
	assert_release(held[0], 0);
	assert_release(take(f, LEASES + 1, 0), 0); /* nobody has overwritten it */
	assert_release(held[1], 0);
	accept_again(f);
}

static void a_lost_doorbell_does_not_spin(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	close(f->mock.doorbell);
	f->mock.doorbell = -1;
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	assert_idle(f->camera);
}

/* ---- the handle's end ---- */

static void frames_outlive_the_handle(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];

	attach(f, NULL);
	publish(f, LEASES);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	camtap_close(f->camera);
	f->camera = NULL;
	publish(f, 1);
	assert_int_equal(mock_receive(&f->mock), 0); /* no hang-up yet */
	assert_release(held[0], 0);
	assert_int_equal(mock_receive(&f->mock), 0);
	assert_true(shows(held[1], EPOCH, 2));
	assert_int_equal(camtap_frame_check(held[1]), 0);
	assert_release(held[1], 0);
	assert_int_equal(mock_receive(&f->mock), -1);
}

static void a_handle_may_end_at_any_time(void **state)
{
	struct fixture *f = *state;

	camtap_close(NULL);
	for (int steps = 0; steps < 6; steps++) {
		mock_hang_up(&f->mock);
		if (steps > 0)
			connect_client(f);
		if (steps > 1)
			welcome_client(f);
		if (steps > 2) {
			mock_make_pool(&f->mock, EPOCH, NULL);
			mock_send_format(&f->mock);
		}
		if (steps > 3)
			assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
		if (steps > 4)
			mock_hang_up(&f->mock);
		camtap_close(f->camera);
		assert_int_equal(camtap_new(&f->camera), 0);
		assert_int_equal(camtap_set_socket(f->camera, f->mock.path), 0);
	}
}

/* What a forked child sees; 0 if all is as it should be, else the line. */
#define CHILD_CHECK(condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__ % 255 + 1;                                                 \
	} while (0)

static int look_around_in_child(struct camtap *camera, struct camtap_frame *frame)
{
	struct camtap_frame *other = NULL;
	uint32_t numerator = 1, denominator = 1;
	char *json = NULL;

	CHILD_CHECK(camtap_next(camera, &other, -1) == -ECHILD);
	CHILD_CHECK(camtap_latest(camera, &other, -1) == -ECHILD);
	CHILD_CHECK(camtap_status(camera, &json, -1) == -ECHILD);
	CHILD_CHECK(camtap_connect(camera) == -ECHILD);
	CHILD_CHECK(camtap_set_camera(camera, "front") == -ECHILD);
	CHILD_CHECK(camtap_fd(camera) == -ECHILD);
	CHILD_CHECK(camtap_name(camera) == NULL);
	CHILD_CHECK(camtap_max_leases(camera) == 0);
	CHILD_CHECK(camtap_missed(camera) == 0);
	CHILD_CHECK(strstr(camtap_error_text(camera), "child"));
	CHILD_CHECK(strcmp(camtap_event_text(camera), "") == 0);
	CHILD_CHECK(camtap_frame_check(frame) == -ECHILD);
	CHILD_CHECK(camtap_frame_data(frame, 0) == NULL);
	CHILD_CHECK(camtap_frame_plane_count(frame) == 0);
	CHILD_CHECK(camtap_frame_bytesused(frame, 0) == 0);
	CHILD_CHECK(camtap_frame_stride(frame, 0) == 0);
	CHILD_CHECK(camtap_frame_fourcc(frame) == 0);
	CHILD_CHECK(camtap_frame_width(frame) == 0);
	CHILD_CHECK(camtap_frame_id(frame) == 0);
	CHILD_CHECK(camtap_frame_epoch(frame) == 0);
	CHILD_CHECK(camtap_frame_missed(frame) == 0);
	CHILD_CHECK(camtap_frame_realtime(frame) == 0);
	camtap_frame_rate(frame, &numerator, &denominator);
	CHILD_CHECK(numerator == 0 && denominator == 0);
	CHILD_CHECK(camtap_release(frame) == -ECHILD);
	camtap_close(camera);
	return 0;
}

static void a_child_owns_nothing(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	int status;
	pid_t child;

	attach(f, NULL);
	publish(f, 2);
	frame = take(f, 1, 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(look_around_in_child(f->camera, frame));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);

	/* nothing of the parent's has changed */
	assert_int_equal(camtap_frame_check(frame), 0);
	assert_release(frame, 0);
	assert_release(take(f, 2, 0), 0);
	assert_idle(f->camera);
}

static void do_nothing(int signal)
{
	(void)signal;
}

struct interruption {
	pthread_t victim;
	atomic_bool done;
};

static void *interrupt(void *argument)
{
	struct interruption *interruption = argument;

	while (!atomic_load(&interruption->done)) {
		pthread_kill(interruption->victim, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

static void a_signal_ends_waiting(void **state)
{
	struct fixture *f = *state;
	struct interruption interruption = {.victim = pthread_self()};
	struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART}, before;
	pthread_t thread;

	attach(f, NULL);
	sigaction(SIGUSR1, &action, &before);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, &interruption), 0);
	assert_int_equal(camtap_next(f->camera, &(struct camtap_frame *){NULL}, -1), -EINTR);
	assert_int_equal(camtap_status(f->camera, (char *[]){NULL}, -1), -EINTR);
	atomic_store(&interruption.done, true);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &before, NULL);
	publish(f, 1);
	assert_release(take(f, 1, 0), 0);
}

/* ---- status ---- */

static void send_status(struct fixture *f, const char *text, uint64_t size, int seals)
{
	int fd = memfd_create("status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct wire_status status = {.document_size = size};

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	message_init(&status.header, WIRE_STATUS, sizeof(status));
	mock_send(&f->mock, &status, &fd, 1);
	close(fd);
}

static void status_is_handed_over(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;

	attach(f, NULL);
	publish(f, 1);
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "gone");
	assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
	assert_true(strlen(camtap_error_text(f->camera)) > 0);
	assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);

	/* here it comes, before it is asked for again */
	send_status(f, "{\"schema\": 1}tail", 13, F_SEAL_SHRINK | F_SEAL_WRITE);
	assert_int_equal(camtap_status(f->camera, &json, LIMIT_MS), 0);
	assert_string_equal(json, "{\"schema\": 1}");
	free(json);
	assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);

	/* the frame and the event are still there, whatever woke for them is not forgotten */
	assert_release(take(f, 1, 0), 0);
	assert_true(readable(f->camera));
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	/* nobody waits for this one */
	send_status(f, "{}", 2, F_SEAL_SHRINK);
	assert_idle(f->camera);
}

static void *answer_status(void *fixture_)
{
	struct fixture *f = fixture_;
	int type;

	do
		type = mock_receive(&f->mock);
	while (type == 0);
	if (type == WIRE_STATUS)
		send_status(f, "{}", 2, F_SEAL_SHRINK);
	return NULL;
}

/* Frames that come all the while neither keep it from waiting nor are lost. */
static void status_waits_among_frames(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *held[LEASES];
	char *json = NULL;
	pthread_t thread;

	attach(f, NULL);
	publish(f, LEASES + 1);
	for (size_t i = 0; i < LEASES; i++)
		held[i] = take(f, i + 1, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&thread, NULL, answer_status, f), 0);
		assert_int_equal(camtap_status(f->camera, &json, LIMIT_MS), 0);
		pthread_join(thread, NULL);
		assert_string_equal(json, "{}");
		free(json);
		assert_int_equal(readable(f->camera), i > 0);
		if (i == 0) {
			assert_release(held[0], 0);
			assert_release(held[1], 0);
			assert_true(readable(f->camera));
		}
	}
	assert_release(take(f, LEASES + 1, 0), 0);
	assert_idle(f->camera);
}

static void a_wrong_status_is_refused(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;

	attach(f, NULL);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
		if (i == 0)
			send_status(f, "{}", 3, F_SEAL_SHRINK);
		else if (i == 1)
			send_status(f, "{}", 2, F_SEAL_GROW);
		else if (i == 2)
			send_status(f, "{}", UINT64_MAX, F_SEAL_SHRINK);
		else
			send_status(f, "", 0, F_SEAL_SHRINK);
		assert_int_equal(camtap_status(f->camera, &json, LIMIT_MS), i < 3 ? -EPROTO : 0);
	}
	assert_string_equal(json, "");
	free(json);
}

/* Asked for when nobody is there yet. */
static void status_waits_for_the_daemon(void **state)
{
	struct fixture *f = *state;
	char *json = NULL;

	connect_client(f);
	assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
	mock_welcome(&f->mock, LEASES);
	assert_int_equal(camtap_status(f->camera, &json, 0), -ETIMEDOUT);
	assert_int_equal(mock_receive(&f->mock), WIRE_STATUS);
}

/* ---- names ---- */

static void make_socket(const char *directory, const char *name, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[sizeof(address.sun_path)];
	int fd;

	assert_true((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) < sizeof(path));
	assert_int_equal(mkdir(path, 0755), 0);
	if (!listening)
		return;
	assert_true((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s/socket",
			    directory, name) < sizeof(address.sun_path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void remove_tree(const char *directory)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -r '%s'", directory);
	assert_int_equal(system(command), 0);
}

static void cameras_are_found_by_name(void **state)
{
	struct fixture *f = *state;
	char directory[128], path[160];
	struct camtap_list *list;

	camtap_close(f->camera);
	assert_int_equal(camtap_new(&f->camera), 0);
	if (access("/run/camtap", F_OK) == 0)
		skip(); /* somebody's real cameras would be listed, too */
	unsetenv("CAMTAP_SOCKET");
	setenv("XDG_RUNTIME_DIR", f->mock.directory, 1);
	assert_int_equal(camtap_list(&list), 0);
	assert_int_equal(camtap_list_count(list), 0);
	assert_null(camtap_list_name(list, 0));
	camtap_list_free(list);
	camtap_list_free(NULL);
	assert_int_equal(camtap_connect(f->camera), -ENOENT);
	assert_non_null(strstr(camtap_error_text(f->camera), "camtapd --source pattern:"));

	snprintf(directory, sizeof(directory), "%s/camtap", f->mock.directory);
	assert_int_equal(mkdir(directory, 0755), 0);
	make_socket(directory, "left", true);
	make_socket(directory, "empty", false);
	make_socket(directory, ".hidden", true);
	assert_int_equal(camtap_connect(f->camera), 0); /* the only one */

	camtap_close(f->camera);
	assert_int_equal(camtap_new(&f->camera), 0);
	make_socket(directory, "front", true);
	assert_int_equal(camtap_list(&list), 0);
	assert_int_equal(camtap_list_count(list), 2);
	assert_string_equal(camtap_list_name(list, 0), "front");
	assert_string_equal(camtap_list_name(list, 1), "left");
	snprintf(path, sizeof(path), "%s/left/socket", directory);
	assert_string_equal(camtap_list_socket(list, 1), path);
	assert_null(camtap_list_name(list, 2));
	assert_null(camtap_list_socket(list, 2));
	camtap_list_free(list);
	assert_int_equal(camtap_connect(f->camera), -ENOTUNIQ);
	assert_non_null(strstr(camtap_error_text(f->camera), "front, left"));

	assert_int_equal(camtap_set_camera(f->camera, "right"), 0);
	assert_int_equal(camtap_connect(f->camera), -ENOENT);
	assert_non_null(strstr(camtap_error_text(f->camera), "front, left"));

	/* the environment is for programs that were told nothing */
	setenv("CAMTAP_SOCKET", "/nowhere", 1);
	assert_int_equal(camtap_set_camera(f->camera, NULL), 0);
	assert_int_equal(camtap_connect(f->camera), -ENOENT);
	assert_non_null(strstr(camtap_error_text(f->camera), "/nowhere"));
	assert_int_equal(camtap_set_camera(f->camera, "left"), 0);
	assert_int_equal(camtap_connect(f->camera), 0);
	unsetenv("CAMTAP_SOCKET");
	remove_tree(directory);
}

/* Root is let in everywhere. */
static void a_socket_that_is_not_ours_is_said_so(void **state)
{
	struct fixture *f = *state;

	if (geteuid() == 0) {
		assert_int_equal(chown(f->mock.directory, 65534, (gid_t)-1), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	assert_int_equal(chmod(f->mock.path, 0), geteuid() == getuid() ? 0 : -1);
	if (geteuid() != getuid()) {
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(chmod(f->mock.path, 0), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	assert_int_equal(camtap_connect(f->camera), -EACCES);
	assert_non_null(strstr(camtap_error_text(f->camera), "permission"));
	if (geteuid() != getuid())
		assert_int_equal(seteuid(0), 0);
}

/* ---- all at once ---- */

/* A writer that never waits, one thread that reads, and one that holds frames and gives them back.
 */
struct stress {
	struct fixture *f;
	atomic_bool done;
	struct camtap_frame *_Atomic handed; /* to the thread that releases */
	_Atomic unsigned released, stale, fooled;
};

static void *write_frames(void *argument)
{
	struct stress *stress = argument;
	struct mock *mock = &stress->f->mock;

	for (unsigned count = 0; !atomic_load(&stress->done); count++) {
		if (count % 16 == 0) {
			uint32_t slot = mock_oldest_slot(mock);

			mock_revoke(mock, slot);
			mock_publish_slot(mock, slot);
		} else if (!mock_publish(mock)) {
			return argument;
		}
		sched_yield();
	}
	return NULL;
}

static void *give_back_frames(void *argument)
{
	struct stress *stress = argument;

	for (;;) {
		struct camtap_frame *frame = atomic_exchange(&stress->handed, NULL);
		bool whole, stale;

		if (!frame) {
			if (atomic_load(&stress->done))
				return NULL;
			sched_yield();
			continue;
		}
		/* some are held until they are taken away */
		while (camtap_frame_id(frame) % 64 == 0 && camtap_frame_check(frame) == 0)
			sched_yield();
		whole = shows(frame, EPOCH, camtap_frame_id(frame));
		stale = camtap_release(frame) == -ESTALE;
		if (!whole && !stale)
			stress->fooled++;
		stress->stale += stale;
		stress->released++;
	}
}

static void no_reader_is_fooled(void **state)
{
	struct fixture *f = *state;
	struct stress stress = {.f = f};
	pthread_t writer, releaser;
	uint64_t last = 0, missed = 0, taken = 0, refused = 0;
	void *result;

	attach(f, NULL);
	assert_int_equal(pthread_create(&writer, NULL, write_frames, &stress), 0);
	assert_int_equal(pthread_create(&releaser, NULL, give_back_frames, &stress), 0);
	while (taken < 20000) {
		struct camtap_frame *frame = NULL, *before;
		int outcome = taken % 3 ? camtap_next(f->camera, &frame, LIMIT_MS)
					: camtap_latest(f->camera, &frame, LIMIT_MS);

		if (outcome == -ENOBUFS) {
			refused++;
			assert_true(readable_within(f->camera, LIMIT_MS));
			continue;
		}
		assert_int_equal(outcome, CAMTAP_FRAME);
		taken++;
		assert_int_equal(camtap_frame_id(frame), last + 1 + camtap_frame_missed(frame));
		last = camtap_frame_id(frame);
		missed += camtap_frame_missed(frame);
		before = atomic_exchange(&stress.handed, frame);
		if (before) {
			stress.stale += camtap_release(before) == -ESTALE;
			stress.released++;
		}
	}
	atomic_store(&stress.done, true);
	pthread_join(writer, &result);
	pthread_join(releaser, NULL);
	assert_null(result);
	print_message("published %llu, taken %llu, missed %llu, stale %u, refused %llu\n",
		(unsigned long long)f->mock.pool.newest, (unsigned long long)taken,
		(unsigned long long)missed, stress.stale, (unsigned long long)refused);
	assert_int_equal(stress.fooled, 0);
	assert_true(stress.stale > 0);
	assert_int_equal(stress.released, taken);
	assert_int_equal(camtap_missed(f->camera), missed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
/* with the doorbell, and by messages */
#define TEST_BOTH(name)                                                                            \
	{#name ", doorbell", name, setup, teardown, &with_doorbell},                               \
	{                                                                                          \
#name ", messages", name, setup, teardown, &without_doorbell                       \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hello_says_what_was_set),
		TEST(settings_are_checked),
		TEST(no_socket_is_an_error_and_may_be_tried_again),
		TEST(a_deaf_socket_is_tried_again),
		TEST(a_full_backlog_is_waited_for),
		TEST(a_refusal_is_an_errno),
		TEST(a_refusal_survives_a_reset),
		TEST(a_refusal_may_come_before_hello),
		TEST_BOTH(frames_come_in_order),
		TEST(a_frame_tells_all_about_itself),
		TEST_BOTH(the_newest_frame_comes_first),
		TEST_BOTH(what_is_overwritten_is_counted),
		TEST(an_old_frame_that_is_still_there_is_found),
		TEST_BOTH(latest_skips),
		TEST_BOTH(the_limit_is_told_and_does_not_wake),
		TEST_BOTH(a_release_elsewhere_wakes),
		TEST_BOTH(waiting_at_the_limit_ends_with_a_frame),
		TEST_BOTH(waiting_ends_with_a_frame),
		TEST(a_revoked_frame_is_stale),
		TEST_BOTH(a_lossless_release_is_announced),
		TEST(a_wider_layout_is_fine),
		TEST(messages_may_be_longer_or_unknown),
		TEST(a_hostile_pool_is_refused),
		TEST(a_hostile_pool_later_is_an_outage),
		TEST_BOTH(a_frame_that_cannot_be_is_missed),
		TEST(garbage_does_no_harm),
		TEST(running_out_of_fds_is_an_error),
		TEST_BOTH(states_become_events_once),
		TEST_BOTH(events_come_in_order_with_frames),
		TEST(latest_gives_the_newest_before_the_end),
		TEST_BOTH(the_limit_holds_events_back_in_order),
		TEST(many_events_end_with_the_truth),
		TEST(a_new_epoch_is_told),
		TEST(another_format_is_told),
		TEST(an_observer_gets_no_frames),
		TEST_BOTH(a_hang_up_is_followed_by_another_attachment),
		TEST(the_same_epoch_goes_on),
		TEST_BOTH(the_last_frames_come_before_the_end_of_the_daemon),
		TEST(a_long_outage_is_told),
		TEST(no_answer_is_told),
		TEST(a_farewell_is_kept),
		TEST_BOTH(a_hang_up_at_the_limit_is_noticed),
		TEST(a_lost_doorbell_does_not_spin),
		TEST_BOTH(frames_outlive_the_handle),
		TEST(a_handle_may_end_at_any_time),
		TEST(a_child_owns_nothing),
		TEST(a_signal_ends_waiting),
		TEST_BOTH(status_is_handed_over),
		TEST_BOTH(status_waits_among_frames),
		TEST(a_wrong_status_is_refused),
		TEST(status_waits_for_the_daemon),
		TEST(cameras_are_found_by_name),
		TEST(a_socket_that_is_not_ours_is_said_so),
		TEST_BOTH(no_reader_is_fooled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
