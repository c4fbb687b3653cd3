/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "message.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

struct pair {
	int ends[2];
	_Alignas(struct wire_header) unsigned char buffer[WIRE_MESSAGE_MAX];
	int fds[MESSAGE_FDS_ROOM];
	size_t fd_count;
};

static struct pair pair;

static int setup(void **state)
{
	*state = &pair;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.ends);
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(pair.ends); i++) {
		if (pair.ends[i] >= 0)
			close(pair.ends[i]);
	}
	return 0;
}

static int receive(void)
{
	pair.fd_count = SIZE_MAX;
	return message_receive(
		pair.ends[1], pair.buffer, sizeof(pair.buffer), pair.fds, &pair.fd_count);
}

static void a_message_goes_through(void **state)
{
	struct wire_ready ready = {.epoch = UINT64_C(0x1122334455667788)};
	struct wire_ready got;

	(void)state;
	memset(&ready.header, 0xff, sizeof(ready.header));
	message_init(&ready.header, WIRE_READY, sizeof(ready));
	assert_int_equal(ready.header.type, WIRE_READY);
	assert_int_equal(ready.header.size, sizeof(ready));
	assert_int_equal(ready.header.flags, 0);
	assert_int_equal(ready.header.reserved, 0);

	assert_int_equal(receive(), -EAGAIN);
	assert_int_equal(pair.fd_count, 0);
	assert_int_equal(message_send(pair.ends[0], &ready.header, NULL, 0), 0);
	assert_int_equal(receive(), sizeof(ready));
	assert_int_equal(pair.fd_count, 0);
	assert_int_equal(
		message_unpack(pair.buffer, sizeof(ready), sizeof(ready), &got, sizeof(got)), 0);
	assert_memory_equal(&got, &ready, sizeof(got));
}

static void fds_arrive_close_on_exec(void **state)
{
	struct wire_format format = {0};
	int sent[WIRE_FDS_MAX + 1];

	(void)state;
	message_init(&format.header, WIRE_FORMAT, sizeof(format));
	for (size_t i = 0; i < ELEMENTS(sent); i++) {
		sent[i] = open("/dev/null", O_RDONLY);
		assert_true(sent[i] >= 0);
	}
	assert_int_equal(
		message_send(pair.ends[0], &format.header, sent, WIRE_FDS_MAX + 1), -EINVAL);
	for (size_t count = 1; count <= WIRE_FDS_MAX; count++) {
		assert_int_equal(message_send(pair.ends[0], &format.header, sent, count), 0);
		assert_int_equal(receive(), sizeof(format));
		assert_int_equal(pair.fd_count, count);
		for (size_t i = 0; i < count; i++) {
			struct stat a, b;

			assert_int_equal(fcntl(pair.fds[i], F_GETFD), FD_CLOEXEC);
			assert_int_equal(fstat(pair.fds[i], &a), 0);
			assert_int_equal(fstat(sent[i], &b), 0);
			assert_true(a.st_rdev == b.st_rdev);
			close(pair.fds[i]);
		}
	}
	for (size_t i = 0; i < ELEMENTS(sent); i++)
		close(sent[i]);
}

/* Sends `count` copies of one fd, by hand: message_send() refuses so many. */
static void send_many_fds(int count)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_ROOM)];
		struct cmsghdr align;
	} control = {0};
	struct wire_released released;
	struct iovec iov = {.iov_base = &released, .iov_len = sizeof(released)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count),
	};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	message_init(&released.header, WIRE_RELEASED, sizeof(released));
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
	for (int i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.align) + (size_t)i * sizeof(int), &fd, sizeof(fd));
	assert_int_equal(sendmsg(pair.ends[0], &msg, 0), sizeof(released));
	close(fd);
}

static void every_fd_that_can_come_has_room(void **state)
{
	(void)state;
	send_many_fds(MESSAGE_FDS_ROOM);
	assert_int_equal(receive(), sizeof(struct wire_released));
	assert_int_equal(pair.fd_count, MESSAGE_FDS_ROOM);
	for (size_t i = 0; i < pair.fd_count; i++)
		assert_int_equal(close(pair.fds[i]), 0);
}

static void running_out_of_fds_is_an_error(void **state)
{
	struct rlimit before, few;
	int lowest = dup(0), result;

	(void)state;
	assert_true(lowest >= 0);
	close(lowest);
	send_many_fds(8);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){.rlim_cur = (rlim_t)lowest + 3, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	result = receive();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(result, -EMFILE);
	assert_int_equal(pair.fd_count, 3);
	for (size_t i = 0; i < pair.fd_count; i++)
		assert_int_equal(close(pair.fds[i]), 0);
}

static void too_long_a_message_is_told(void **state)
{
	static char big[WIRE_MESSAGE_MAX + 1];

	(void)state;
	assert_int_equal(send(pair.ends[0], big, WIRE_MESSAGE_MAX, 0), WIRE_MESSAGE_MAX);
	assert_int_equal(receive(), WIRE_MESSAGE_MAX);
	assert_int_equal(send(pair.ends[0], big, sizeof(big), 0), sizeof(big));
	assert_int_equal(receive(), -EMSGSIZE);
	assert_int_equal(receive(), -EAGAIN);
}

static void sending_neither_blocks_nor_kills(void **state)
{
	struct wire_released released;
	int result;

	(void)state;
	message_init(&released.header, WIRE_RELEASED, sizeof(released));
	do
		result = message_send(pair.ends[0], &released.header, NULL, 0);
	while (result == 0);
	assert_int_equal(result, -EAGAIN);

	while (receive() > 0)
		;
	close(pair.ends[0]);
	pair.ends[0] = -1;
	assert_int_equal(receive(), 0);
	assert_int_equal(message_send(pair.ends[1], &released.header, NULL, 0), -EPIPE);
}

static void short_and_long_messages_are_unpacked(void **state)
{
	struct {
		struct wire_hello hello;
		char tail[32];
	} longer;
	struct wire_hello hello = {.version_min = 1, .version_max = 7, .features = 3}, got;

	(void)state;
	/* longer than known: the tail is ignored */
	memset(&longer, 0xaa, sizeof(longer));
	longer.hello = hello;
	message_init(&longer.hello.header, WIRE_HELLO, sizeof(longer));
	assert_int_equal(
		message_unpack(&longer, sizeof(longer), WIRE_HELLO_SIZE_MIN, &got, sizeof(got)), 0);
	assert_memory_equal(&got, &longer.hello, sizeof(got));

	/* shorter: what is missing is zero */
	message_init(&hello.header, WIRE_HELLO, WIRE_HELLO_SIZE_MIN);
	memset(&got, 0xaa, sizeof(got));
	assert_int_equal(
		message_unpack(&hello, WIRE_HELLO_SIZE_MIN, WIRE_HELLO_SIZE_MIN, &got, sizeof(got)),
		0);
	assert_int_equal(got.version_max, 7);
	assert_int_equal(got.features, 0);
	assert_int_equal(got.mode, 0);
	assert_string_equal(got.stream, "");

	/* shorter than it may be */
	memset(&got, 0xaa, sizeof(got));
	message_init(&hello.header, WIRE_HELLO, WIRE_HELLO_SIZE_MIN - 1);
	assert_int_equal(message_unpack(&hello, WIRE_HELLO_SIZE_MIN - 1, WIRE_HELLO_SIZE_MIN, &got,
				 sizeof(got)),
		-EBADMSG);
	message_init(&hello.header, WIRE_HELLO, sizeof(struct wire_header) - 1);
	assert_int_equal(
		message_unpack(&hello, sizeof(struct wire_header) - 1, 0, &got, sizeof(got)),
		-EBADMSG);
	assert_int_equal(message_unpack(&hello, 0, 0, &got, sizeof(got)), -EBADMSG);

	/* a size field that lies, either way */
	message_init(&hello.header, WIRE_HELLO, sizeof(hello) + 1);
	assert_int_equal(
		message_unpack(&hello, sizeof(hello), WIRE_HELLO_SIZE_MIN, &got, sizeof(got)),
		-EBADMSG);
	message_init(&hello.header, WIRE_HELLO, sizeof(hello) - 1);
	assert_int_equal(
		message_unpack(&hello, sizeof(hello), WIRE_HELLO_SIZE_MIN, &got, sizeof(got)),
		-EBADMSG);
	assert_int_equal(*(unsigned char *)&got, 0xaa);
}

static void text_is_made_printable(void **state)
{
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{"", ""},
		{"plain text ~", "plain text ~"},
		{"\x1b[31mred\x7f\n\t\r", "?[31mred????"},
		{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xa5",
			"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xa5"},
		{"\xf4\x8f\xbf\xbd", "\xf4\x8f\xbf\xbd"}, /* near the last one there is */
		{"\xf4\x90\x80\x80", "????"},             /* beyond U+10FFFF */
		{"\xf5\x80\x80\x80\xff\xfe", "??????"},
		{"\xc0\x80 \xc1\xbf", "?? ??"}, /* overlong */
		{"\xe0\x80\xaf", "???"},        /* overlong */
		{"\xf0\x8f\xbf\xbf", "????"},   /* overlong */
		{"\xed\xa0\x80", "???"},        /* a surrogate */
		{"\x80\xbf", "??"},             /* no lead */
		{"\xc3(\xe2\x82(", "?(?"
				   "?("}, /* cut by the next character */
		{"\xc3", "?"},            /* cut by the end */
		{"\xe2\x82", "??"},       /* cut by the end */
		{"\xc2\x85\xc2\x9b"
		 "31m",
			"????31m"}, /* C1 controls */
		{"a\xe2\x80\xae"
		 "b\xe2\x81\xa6",
			"a???b???"},                    /* bidirectional overrides */
		{"\xe2\x80\xa8\xe2\x80\xa9", "??????"}, /* line and paragraph separators */
		{"\xc2\xa0\xe2\x80\xa6", "\xc2\xa0\xe2\x80\xa6"},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		memset(text, 'x', sizeof(text));
		message_printable(text, sizeof(text), rows[i].text, WIRE_TEXT_SIZE);
		assert_string_equal(text, rows[i].printed);
	}
}

static void printable_text_fits(void **state)
{
	char text[8];
	static const char unterminated[4] = {'a', 'b', 'c', 'd'};
	static const char cut[3] = {'a', '\xe2', '\x82'};

	(void)state;
	message_printable(text, sizeof(text), unterminated, sizeof(unterminated));
	assert_string_equal(text, "abcd");
	message_printable(text, sizeof(text), cut, sizeof(cut));
	assert_string_equal(text, "a??");

	text[4] = 'x';
	message_printable(text, 4, "abcdef", 6);
	assert_string_equal(text, "abc");
	assert_int_equal(text[4], 'x');
	/* never half a character */
	message_printable(text, 4, "ab\xc3\xa9", 4);
	assert_string_equal(text, "ab");
	message_printable(text, 4, "a\xc3\xa9", 3);
	assert_string_equal(text, "a\xc3\xa9");
	message_printable(text, 1, "abc", 3);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_goes_through, setup, teardown),
		cmocka_unit_test_setup_teardown(fds_arrive_close_on_exec, setup, teardown),
		cmocka_unit_test_setup_teardown(every_fd_that_can_come_has_room, setup, teardown),
		cmocka_unit_test_setup_teardown(running_out_of_fds_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(too_long_a_message_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(sending_neither_blocks_nor_kills, setup, teardown),
		cmocka_unit_test(short_and_long_messages_are_unpacked),
		cmocka_unit_test(text_is_made_printable),
		cmocka_unit_test(printable_text_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
