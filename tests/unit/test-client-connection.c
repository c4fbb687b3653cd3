/* SPDX-License-Identifier: MIT */

/* libcamtap: finding a camera, attaching to it, and coming back. */

#include "address.h"
#include "client-fixture.h"
#include "message.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

/* Where the camera is in the list; -1: nowhere. */
static int place_of(const struct camtap_list *list, const char *name)
{
	for (size_t i = 0; i < camtap_list_count(list); i++) {
		if (strcmp(camtap_list_name(list, i), name) == 0)
			return (int)i;
	}
	return -1;
}

/* A handle that was told nothing. */
static void renew_blank(struct fixture *f)
{
	camtap_close(f->camera);
	f->camera = NULL;
	assert_int_equal(camtap_new(&f->camera), 0);
}

static void cameras_are_found_by_name(void **state)
{
	struct fixture *f = *state;
	char directory[128], path[160];
	struct camtap_list *list;
	size_t others; /* real cameras of this machine */

	unsetenv("CAMTAP_SOCKET");
	setenv("XDG_RUNTIME_DIR", f->mock.directory, 1);
	renew_blank(f);
	assert_int_equal(camtap_list_new(&list), 0);
	others = camtap_list_count(list);
	assert_null(camtap_list_name(list, others));
	assert_null(camtap_list_socket(list, others));
	camtap_list_free(list);
	camtap_list_free(NULL);
	if (others == 0) {
		assert_int_equal(camtap_connect(f->camera), -ENOENT);
		assert_non_null(strstr(camtap_error_text(f->camera), "camtapd --source pattern:"));
	}

	snprintf(directory, sizeof(directory), "%s/camtap", f->mock.directory);
	assert_int_equal(mkdir(directory, 0755), 0);
	make_socket(directory, "test-left", true);
	make_socket(directory, "test-empty", false);
	make_socket(directory, ".hidden", true);
	if (others == 0) {
		assert_int_equal(camtap_connect(f->camera), 0); /* the only one */
		renew_blank(f);
	}

	make_socket(directory, "test-front", true);
	assert_int_equal(camtap_list_new(&list), 0);
	assert_int_equal(camtap_list_count(list), others + 2);
	assert_true(place_of(list, "test-front") >= 0);
	assert_int_equal(place_of(list, "test-left"), place_of(list, "test-front") + 1);
	snprintf(path, sizeof(path), "%s/test-left/socket", directory);
	assert_string_equal(camtap_list_socket(list, (size_t)place_of(list, "test-left")), path);
	camtap_list_free(list);
	assert_int_equal(camtap_connect(f->camera), -ENOTUNIQ);
	assert_non_null(strstr(camtap_error_text(f->camera), "test-front, test-left"));

	assert_int_equal(camtap_set_camera(f->camera, "test-right"), 0);
	assert_int_equal(camtap_connect(f->camera), -ENOENT);
	assert_non_null(strstr(camtap_error_text(f->camera), "test-front, test-left"));

	/* the environment is for programs that were told nothing */
	setenv("CAMTAP_SOCKET", "/nowhere", 1);
	assert_int_equal(camtap_set_camera(f->camera, NULL), 0);
	assert_int_equal(camtap_connect(f->camera), -ENOENT);
	assert_non_null(strstr(camtap_error_text(f->camera), "/nowhere"));
	assert_int_equal(camtap_set_camera(f->camera, "test-left"), 0);
	assert_int_equal(camtap_connect(f->camera), 0);
	unsetenv("CAMTAP_SOCKET");
	remove_tree(directory);
}

static void a_socket_that_is_not_ours_is_said_so(void **state)
{
	struct fixture *f = *state;
	bool root = geteuid() == 0; /* who is let in everywhere */

	assert_int_equal(chmod(f->mock.path, 0), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	assert_int_equal(camtap_connect(f->camera), -EACCES);
	assert_non_null(strstr(camtap_error_text(f->camera), "permission denied"));
	if (root)
		assert_int_equal(seteuid(0), 0);
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
	assert_int_equal(hello->features, WIRE_FEATURE_BELL | WIRE_FEATURE_DMABUF |
						  WIRE_FEATURE_CONTROLS | WIRE_FEATURE_PAUSE);
	assert_int_equal(hello->mode, WIRE_MODE_LOSSLESS);
	assert_string_equal(hello->name, "detector");
	assert_string_equal(hello->stream, "GREY:640x360,rate=5");

	welcome_client(f);
	assert_string_equal(camtap_name(f->camera), "front");
	assert_int_equal(camtap_max_leases(f->camera), LEASES);
}

static void the_bell_is_asked_for(void **state)
{
	struct fixture *f = *state;

	renew_client(f);
	connect_client(f);
	assert_true(f->mock.hello.features & WIRE_FEATURE_BELL); /* by default */
	for (int on = 0; on < 2; on++) {
		mock_hang_up(&f->mock);
		renew_client(f);
		assert_int_equal(camtap_set_bell(f->camera, on), 0);
		connect_client(f);
		assert_int_equal(
			f->mock.hello.features & WIRE_FEATURE_BELL, on ? WIRE_FEATURE_BELL : 0);
	}
}

static const char *text_of(size_t length)
{
	static char text[300];

	memset(text, 'x', length);
	text[length] = '\0';
	return text;
}

static void settings_are_checked(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(camtap_set_camera(f->camera, "../front"), -EINVAL);
	assert_non_null(strstr(camtap_error_text(f->camera), "../front"));
	assert_int_equal(camtap_set_camera(f->camera, ""), -EINVAL);
	assert_int_equal(camtap_set_socket(f->camera, ""), -EINVAL);
	assert_int_equal(camtap_set_stream(f->camera, "NV12\n"), -EINVAL);
	assert_int_equal(camtap_set_stream(f->camera, "NV12\x7f"), -EINVAL);
	assert_int_equal(camtap_set_stream(f->camera, "Y16 ~"), 0);
	assert_int_equal(camtap_set_mode(f->camera, (enum camtap_mode)3), -EINVAL);
	/* the longest, and one more */
	for (int more = 0; more < 2; more++) {
		int expected = more ? -ENAMETOOLONG : 0;

		assert_int_equal(
			camtap_set_socket(f->camera, text_of(ADDRESS_PATH_SIZE - 1 + more)),
			expected);
		assert_int_equal(camtap_set_stream(f->camera, text_of(WIRE_STREAM_SIZE - 1 + more)),
			expected);
		assert_int_equal(
			camtap_set_client_name(f->camera, text_of(WIRE_NAME_SIZE - 1 + more)),
			expected);
	}
	assert_int_equal(camtap_set_socket(f->camera, f->mock.path), 0);
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
	assert_int_equal(camtap_set_bell(f->camera, 0), -EBUSY);
	assert_string_equal(f->mock.hello.name, program_invocation_short_name);
}

static void no_socket_is_an_error_and_may_be_tried_again(void **state)
{
	struct fixture *f = *state;

	mock_stop_listening(&f->mock);
	assert_int_equal(camtap_connect(f->camera), -ENOENT);
	assert_non_null(strstr(camtap_error_text(f->camera), f->mock.path));
	assert_non_null(strstr(camtap_error_text(f->camera), "is camtapd running?"));
	assert_outcome(f->camera, -ENOTCONN);
	mock_listen(&f->mock);
	connect_client(f);
}

static void a_socket_of_another_kind_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	close(f->mock.listener);
	unlink(f->mock.path);
	f->mock.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, f->mock.path);
	assert_int_equal(
		bind(f->mock.listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(f->mock.listener, 1), 0);
	assert_int_equal(camtap_connect(f->camera), -EPROTOTYPE);
	assert_non_null(strstr(camtap_error_text(f->camera), strerror(EPROTOTYPE)));
	assert_outcome(f->camera, -ENOTCONN);
}

/* A daemon that is about to stop is none that refuses. */
static void a_shutdown_is_no_refusal(void **state)
{
	struct fixture *f = *state;

	connect_client(f);
	mock_bye(&f->mock, WIRE_REFUSED, WIRE_CODE_SHUTDOWN, "camtapd stops");
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	assert_int_equal(mock_receive(&f->mock), -1);
	mock_hang_up(&f->mock);
	accept_again(f);
	welcome_client(f);
}

/* A socket on which nobody listens: a daemon that is restarted by hand. */
static void a_deaf_socket_is_tried_again(void **state)
{
	struct fixture *f = *state;

	close(f->mock.listener);
	assert_int_equal(camtap_connect(f->camera), 0);
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
		renew_client(f);
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
		await_outcome(f->camera, -EUSERS);
		assert_string_equal(camtap_error_text(f->camera), "full");
		renew_client(f);
	}
	shutdown(f->mock.listener, SHUT_RDWR); /* ends accept() */
	pthread_join(thread, NULL);
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

/* After a second it was no flapping one; and what is over in no time is not told. */
static void a_good_connection_is_renewed_at_once(void **state)
{
	struct fixture *f = *state;
	struct pollfd listener = {.fd = f->mock.listener, .events = POLLIN};

	connect_client(f);
	welcome_client(f);
	mock_hang_up(&f->mock);
	accept_again(f);
	welcome_client(f);
	assert_int_equal(
		camtap_next(f->camera, &(struct camtap_frame *){NULL}, 1100), CAMTAP_TRY_AGAIN);
	mock_hang_up(&f->mock);
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	assert_int_equal(poll(&listener, 1, 0), 1);
	mock_accept(&f->mock);
	welcome_client(f);
}

static void a_long_outage_is_told(void **state)
{
	struct fixture *f = *state;
	struct camtap_frame *frame;
	int64_t used;

	attach(f, NULL);
	publish(f, 1);
	frame = take(f, 1, 0);
	mock_hang_up(&f->mock);
	mock_stop_listening(&f->mock);
	used = clock_ms(CLOCK_THREAD_CPUTIME_ID);
	await_outcome(f->camera, CAMTAP_OFFLINE);
	assert_true(clock_ms(CLOCK_THREAD_CPUTIME_ID) - used < 250); /* of a second */
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

/* A daemon that hangs up on everybody is not asked all the time. */
static void attempts_become_rarer(void **state)
{
	struct fixture *f = *state;
	int64_t end = clock_ms(CLOCK_MONOTONIC) + 700;
	int attempts = 0;

	connect_client(f);
	mock_welcome(&f->mock, LEASES);
	mock_hang_up(&f->mock);
	while (clock_ms(CLOCK_MONOTONIC) < end) {
		struct pollfd listener = {.fd = f->mock.listener, .events = POLLIN};

		if (readable_within(f->camera, 10))
			assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
		if (poll(&listener, 1, 0) == 1) {
			mock_accept(&f->mock);
			mock_hang_up(&f->mock);
			attempts++;
		}
	}
	assert_true(attempts > 0 && attempts <= 8); /* 5 ms, and doubled each time */
}

/* A daemon that is started by its socket and hangs. */
static void no_answer_is_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(camtap_set_mode(f->camera, CAMTAP_MODE_OBSERVE), 0);
	connect_client(f);
	await_outcome(f->camera, CAMTAP_OFFLINE);
	assert_non_null(strstr(camtap_event_text(f->camera), "does not answer"));
	assert_idle(f->camera);
	welcome_client(f);
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	assert_outcome(f->camera, CAMTAP_ONLINE);
	/* a camera that is away is not back because nobody reads it */
	mock_source(&f->mock, WIRE_SOURCE_OFFLINE, "unplugged");
	assert_outcome(f->camera, CAMTAP_OFFLINE);
	mock_source(&f->mock, WIRE_SOURCE_IDLE, "");
	assert_idle(f->camera);
}

static void a_farewell_is_kept(void **state)
{
	struct fixture *f = *state;

	attach(f, NULL);
	mock_bye(&f->mock, WIRE_BYE, WIRE_CODE_OVERHOLD, "holds 5 frames");
	assert_outcome(f->camera, CAMTAP_TRY_AGAIN);
	assert_int_equal(mock_receive(&f->mock), -1); /* it need not wait for the daemon's end */
	mock_hang_up(&f->mock);
	await_outcome(f->camera, CAMTAP_OFFLINE);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cameras_are_found_by_name),
		TEST(a_socket_that_is_not_ours_is_said_so),
		TEST(hello_says_what_was_set),
		TEST(the_bell_is_asked_for),
		TEST(settings_are_checked),
		TEST(no_socket_is_an_error_and_may_be_tried_again),
		TEST(a_socket_of_another_kind_is_an_error),
		TEST(a_shutdown_is_no_refusal),
		TEST(a_deaf_socket_is_tried_again),
		TEST(a_full_backlog_is_waited_for),
		TEST(a_refusal_is_an_errno),
		TEST(a_refusal_survives_a_reset),
		TEST(a_refusal_may_come_before_hello),
		TEST_BOTH(a_hang_up_is_followed_by_another_attachment),
		TEST(the_same_epoch_goes_on),
		TEST_BOTH(the_last_frames_come_before_the_end_of_the_daemon),
		TEST(a_good_connection_is_renewed_at_once),
		TEST(a_long_outage_is_told),
		TEST(attempts_become_rarer),
		TEST(no_answer_is_told),
		TEST(a_farewell_is_kept),
		TEST_BOTH(a_hang_up_at_the_limit_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
