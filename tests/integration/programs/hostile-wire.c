/* SPDX-License-Identifier: MIT */

/* Attacks by way of the socket: what is sent, how often, and by whom. */

#include "hostile.h"
#include "message.h"
#include "raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYE_MS 10000

/* ---- messages that break a rule ---- */

enum stage {
	STAGE_CONNECTED,
	STAGE_WELCOMED,
	STAGE_FORMAT, /* of a reader, before READY */
	STAGE_READY,
};

static void reach(struct raw *raw, const struct hostile_options *options, enum stage stage)
{
	int error;

	raw_init(raw);
	error = raw_connect(raw, options->socket);
	if (error == 0 && stage == STAGE_WELCOMED)
		error = raw_hello(raw, "hostile", WIRE_MODE_OBSERVE, 0);
	if (error == 0 && stage == STAGE_WELCOMED)
		error = raw_expect(raw, WIRE_WELCOME, BYE_MS);
	if (error == 0 && stage >= STAGE_FORMAT)
		error = raw_hello(raw, "hostile", WIRE_MODE_READ, 0);
	if (error == 0 && stage >= STAGE_FORMAT)
		error = raw_expect(raw, WIRE_FORMAT, BYE_MS);
	if (error == 0 && stage >= STAGE_FORMAT)
		error = raw_map(raw);
	if (error == 0 && stage == STAGE_READY)
		error = raw_seal(raw);
	if (error == 0 && stage == STAGE_READY)
		error = raw_ready(raw);
	if (error < 0)
		hostile_die("cannot attach", error);
}

static const struct {
	const char *name;
	enum stage stage;
	uint32_t type;
	uint32_t size_field; /* of the header; 0: the length */
	size_t length;       /* bytes sent */
	uint32_t words[4];   /* after the header */
} breaches[] = {
	{"empty", STAGE_CONNECTED, 0, 0, 0, {0}},
	{"one byte", STAGE_CONNECTED, WIRE_HELLO, 0, 1, {0}},
	{"half a header", STAGE_CONNECTED, WIRE_HELLO, 0, 8, {0}},
	{"only a header", STAGE_CONNECTED, WIRE_HELLO, 0, 16, {0}},
	{"size too small", STAGE_CONNECTED, WIRE_HELLO, 16, 240, {1, 1}},
	{"size too large", STAGE_CONNECTED, WIRE_HELLO, 4096, 240, {1, 1}},
	{"size of 4 GiB", STAGE_CONNECTED, WIRE_HELLO, UINT32_MAX, 240, {1, 1}},
	{"longer than any", STAGE_CONNECTED, WIRE_HELLO, 0, 4097, {1, 1}},
	{"much longer than any", STAGE_CONNECTED, WIRE_HELLO, 0, 65536, {1, 1}},
	{"version 0", STAGE_CONNECTED, WIRE_HELLO, 0, 240, {0, 0}},
	{"version of the future", STAGE_CONNECTED, WIRE_HELLO, 0, 240, {1000, 1001}},
	{"no version at all", STAGE_CONNECTED, WIRE_HELLO, 0, 240, {UINT32_MAX, 0}},
	{"READY before HELLO", STAGE_CONNECTED, WIRE_READY, 0, 24, {0}},
	{"STATUS before HELLO", STAGE_CONNECTED, WIRE_STATUS, 0, 16, {0}},
	{"RELEASED before HELLO", STAGE_CONNECTED, WIRE_RELEASED, 0, 16, {0}},
	{"unknown before HELLO", STAGE_CONNECTED, 999, 0, 16, {0}},
	{"HELLO again", STAGE_WELCOMED, WIRE_HELLO, 0, 240, {1, 1}},
	{"type 0", STAGE_WELCOMED, 0, 0, 16, {0}},
	{"unknown", STAGE_WELCOMED, 999, 0, 16, {0}},
	{"unknown of 4 GiB", STAGE_WELCOMED, UINT32_MAX, 0, 16, {0}},
	{"the daemon's WELCOME", STAGE_WELCOMED, WIRE_WELCOME, 0, 112, {0}},
	{"the daemon's FRAME", STAGE_READY, WIRE_FRAME, 0, 64, {0}},
	{"the daemon's BYE", STAGE_READY, WIRE_BYE, 0, 536, {0}},
	{"empty when attached", STAGE_READY, 0, 0, 0, {0}},
	{"short READY", STAGE_FORMAT, WIRE_READY, 0, 16, {0}},
	{"HELLO for READY", STAGE_FORMAT, WIRE_HELLO, 0, 240, {1, 1}},
	{"longer than any when attached", STAGE_READY, WIRE_RELEASED, 0, 8192, {0}},
};

static void send_breach(struct raw *raw, size_t index)
{
	static _Alignas(8) uint8_t buffer[65536];
	struct wire_header header = {.type = breaches[index].type,
		.size = breaches[index].size_field ? breaches[index].size_field
						   : (uint32_t)breaches[index].length};

	memset(buffer, 0xa5, sizeof buffer);
	memcpy(buffer, &header, sizeof header);
	memcpy(buffer + sizeof header, breaches[index].words, sizeof breaches[index].words);
	(void)send(raw->socket, buffer, breaches[index].length, MSG_NOSIGNAL);
}

/* Receives until the daemon hangs up. */
static bool hangs_up(struct raw *raw)
{
	int result;

	while ((result = raw_receive(raw, BYE_MS)) > 0)
		continue;
	return result == 0;
}

static bool breach_closes(const struct hostile_options *options, size_t index)
{
	struct raw raw;
	bool closed;

	reach(&raw, options, breaches[index].stage);
	send_breach(&raw, index);
	closed = hangs_up(&raw);
	if (!closed)
		fprintf(stderr, "%s: still attached\n", breaches[index].name);
	raw_finish(&raw);
	return closed;
}

static bool ready_twice_closes(const struct hostile_options *options)
{
	struct raw raw;
	bool closed;

	reach(&raw, options, STAGE_READY);
	raw_ready(&raw);
	closed = hangs_up(&raw);
	raw_finish(&raw);
	return closed;
}

static bool mode_unknown_closes(const struct hostile_options *options)
{
	struct raw raw;
	bool closed;

	reach(&raw, options, STAGE_CONNECTED);
	raw_hello(&raw, "hostile", (enum wire_mode)77, 0);
	closed = hangs_up(&raw);
	raw_finish(&raw);
	return closed;
}

/* Random messages, some with a right header, some without, at every stage. */
static void send_noise(const struct hostile_options *options, unsigned seed)
{
	_Alignas(8) uint8_t buffer[1024];
	struct raw raw;

	srandom(seed);
	reach(&raw, options, (enum stage)(seed % 4));
	for (int i = 0; i < 20; i++) {
		size_t length = (size_t)random() % sizeof buffer;
		struct wire_header header = {
			.type = (uint32_t)random() % 24, .size = (uint32_t)length};

		for (size_t j = 0; j < sizeof buffer; j++)
			buffer[j] = (uint8_t)random();
		if (random() % 4 != 0 && length >= sizeof header)
			memcpy(buffer, &header, sizeof header);
		if (send(raw.socket, buffer, length, MSG_NOSIGNAL) < 0)
			break;
	}
	raw_finish(&raw);
}

/* What cannot be printed in its name must not reach log or status. */
static void attach_with_evil_name(const struct hostile_options *options, struct raw *ret_raw)
{
	raw_init(ret_raw);
	if (raw_connect(ret_raw, options->socket) < 0 ||
		raw_hello(ret_raw, "\033[2J\033]0;owned\a\n<0>camtapd: all is well\xff\xc3",
			WIRE_MODE_READ, 0) < 0 ||
		raw_expect(ret_raw, WIRE_WELCOME, BYE_MS) < 0)
		hostile_die("cannot attach", ECONNREFUSED);
}

int hostile_garbage(struct hostile_options *options)
{
	unsigned long long noise = 0;
	unsigned closed = 0, sent = 0;
	struct raw raw;

	hostile_ready(options);
	for (size_t i = 0; i < sizeof breaches / sizeof *breaches; i++) {
		sent++;
		closed += breach_closes(options, i);
	}
	sent += 2;
	closed += ready_twice_closes(options);
	closed += mode_unknown_closes(options);
	attach_with_evil_name(options, &raw);
	while (hostile_time_left(options))
		send_noise(options, (unsigned)noise++);
	raw_send(&raw, (enum wire_type)999); /* a line in the log, with its name */
	hangs_up(&raw);
	raw_finish(&raw);
	printf("{\"sent\": %u, \"closed\": %u, \"noise\": %llu}\n", sent, closed, noise);
	return closed == sent ? HOSTILE_DONE : HOSTILE_ALLOWED;
}

/* ---- too many ---- */

int hostile_flood(struct hostile_options *options)
{
	unsigned long long asked = 0, attached = 0;
	uint32_t code = 0;
	struct raw raw;

	hostile_ready(options);
	while (hostile_time_left(options)) {
		reach(&raw, options, STAGE_WELCOMED);
		attached++;
		while (hostile_time_left(options)) {
			int error = raw_send(&raw, WIRE_STATUS);

			asked += error == 0;
			if ((error < 0 && error != -EAGAIN) || !raw_drain(&raw))
				break;
		}
		(void)raw_drain(&raw);
		code = raw.bye.code != 0 ? raw.bye.code : code;
		raw_finish(&raw);
	}
	printf("{\"asked\": %llu, \"attached\": %llu, \"code\": %u}\n", asked, attached, code);
	return HOSTILE_DONE;
}

/* Each answer that is not read keeps a descriptor in flight, which counts against the user who sent
 * it: the daemon's. */
int hostile_hoard(struct hostile_options *options)
{
	unsigned count = options->count > 0 ? options->count : 8;
	struct raw *hoard = calloc(count, sizeof *hoard);
	unsigned long long asked = 0;

	if (hoard == NULL)
		hostile_die("hoard", ENOMEM);
	for (unsigned i = 0; i < count; i++)
		reach(&hoard[i], options, STAGE_WELCOMED);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		for (unsigned i = 0; i < count; i++)
			asked += raw_send(&hoard[i], WIRE_STATUS) == 0;
		usleep(2000); /* no flood by the daemon's rule */
	}
	printf("{\"asked\": %llu}\n", asked);
	for (unsigned i = 0; i < count; i++)
		raw_finish(&hoard[i]);
	free(hoard);
	return HOSTILE_DONE;
}

int hostile_connect_flood(struct hostile_options *options)
{
	unsigned count = options->count > 0 ? options->count : 200;
	unsigned long long connected = 0;
	struct raw *flood = calloc(count, sizeof *flood);

	if (flood == NULL)
		hostile_die("flood", ENOMEM);
	for (unsigned i = 0; i < count; i++)
		raw_init(&flood[i]);
	hostile_ready(options);
	while (hostile_time_left(options)) {
		for (unsigned i = 0; i < count && hostile_time_left(options); i++) {
			if (flood[i].socket >= 0 && raw_drain(&flood[i]))
				continue;
			raw_finish(&flood[i]);
			connected += raw_connect(&flood[i], options->socket) == 0;
		}
	}
	printf("{\"connected\": %llu}\n", connected);
	for (unsigned i = 0; i < count; i++)
		raw_finish(&flood[i]);
	free(flood);
	return HOSTILE_DONE;
}

/* ---- a socket that lingers ---- */

/* A TCP socket with data that its peer does not take: its last close waits for 5 s. */
static int lingering_socket(int *ret_peer)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger linger = {.l_onoff = 1, .l_linger = 5};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof address;
	char data[65536] = {0};

	if (listener < 0 || fd < 0 ||
		bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
		listen(listener, 1) < 0 ||
		getsockname(listener, (struct sockaddr *)&address, &size) < 0 ||
		connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		hostile_die("TCP", errno);
	*ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	while (send(fd, data, sizeof data, MSG_DONTWAIT) > 0)
		continue;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	return fd;
}

/* As an observer that asks for much, so that the daemon has something to do until our own
 * descriptor is closed: the last one, which waits, must be the daemon's. */
static int send_socket(const struct hostile_options *options, struct raw *raw)
{
	static const struct linger off = {.l_onoff = 1, .l_linger = 0};
	int peer, fd = lingering_socket(&peer), error;
	struct wire_header header;

	raw_init(raw);
	error = raw_connect(raw, options->socket);
	if (error == 0)
		error = raw_hello(raw, "hostile", WIRE_MODE_OBSERVE, 0);
	for (int i = 0; i < 15 && error == 0; i++)
		error = raw_send(raw, WIRE_STATUS);
	if (error < 0)
		hostile_die("cannot attach", error);
	message_init(&header, WIRE_STATUS, sizeof header);
	error = message_send(raw->socket, &header, &fd, 1);
	if (error < 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
	close(fd);
	if (error == 0)
		(void)hangs_up(raw);
	close(peer);
	return error;
}

int hostile_linger(struct hostile_options *options)
{
	unsigned long long sent = 0, denied = 0;

	hostile_ready(options);
	while (hostile_time_left(options)) {
		struct raw raw;
		int error = send_socket(options, &raw);

		if (error < 0 && error != -EPERM)
			hostile_die("cannot send", error);
		sent += error == 0;
		denied += error == -EPERM;
		raw_finish(&raw);
		usleep(10000); /* paces the attack */
	}
	printf("{\"sent\": %llu, \"denied\": %llu}\n", sent, denied);
	return HOSTILE_DONE;
}

/* ---- a socket that outlives its owner ---- */

/* The attacker forks: the parent attaches, takes what it may, forks, and dies; its child stays. */
int hostile_fork_hold(struct hostile_options *options)
{
	int status;
	pid_t pid;

	/* be the parent of the orphan, so that whoever waits for us waits for it */
	prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
	pid = fork();
	if (pid < 0)
		hostile_die("fork", errno);
	if (pid == 0) {
		unsigned held = 0;
		struct raw_frame frame;
		struct raw raw;

		reach(&raw, options, STAGE_READY);
		while (held < raw.welcome.max_leases) {
			raw_wait(&raw, -1);
			if (!raw_drain(&raw))
				_exit(2);
			held += raw_take_next(&raw, &frame);
		}
		pid = fork();
		if (pid == 0) {
			hostile_ready(options);
			hostile_wait(options);
			printf("{\"hung_up\": %s}\n", raw_drain(&raw) ? "false" : "true");
			fflush(stdout);
		}
		_exit(0);
	}
	while (wait(&status) > 0)
		continue;
	return HOSTILE_DONE;
}
