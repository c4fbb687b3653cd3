/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pauses between attempts to reach a daemon: at once, then so long, doubled each time. */
#define PAUSE_MIN (5 * NS_PER_MS)
#define PAUSE_MAX (1000 * NS_PER_MS)
/* A connection that lasted so long was a good one: the next attempt is at once again. */
#define GOOD_CONNECTION (1000 * NS_PER_MS)
/* A daemon that is away so long is something to tell the program about. */
#define AWAY_TOLD (1000 * NS_PER_MS)

_Static_assert((int)CAMTAP_MODE_OBSERVE == WIRE_MODE_OBSERVE, "modes are the protocol's");
_Static_assert((int)CAMTAP_MODE_LOSSLESS == WIRE_MODE_LOSSLESS, "modes are the protocol's");

/* ---- out ---- */

static int send_hello(struct camtap *camera, int socket)
{
	struct wire_hello hello = {
		.version_min = WIRE_VERSION_MIN,
		.version_max = WIRE_VERSION_MAX,
		.mode = camera->mode,
	};

	message_init(&hello.header, WIRE_HELLO, sizeof(hello));
	hello.features = WIRE_FEATURE_CONTROLS | WIRE_FEATURE_PAUSE;
	if (camera->mode != CAMTAP_MODE_OBSERVE)
		hello.features |= WIRE_FEATURE_DMABUF | (camera->want_bell ? WIRE_FEATURE_BELL : 0);
	snprintf(hello.name, sizeof(hello.name), "%s", camera->client_name);
	snprintf(hello.stream, sizeof(hello.stream), "%s", camera->stream);
	return message_send(socket, &hello.header, NULL, 0);
}

/* Connects and says HELLO: to a Unix socket that is done at once or fails at once. -EAGAIN: more
 * are waiting to be accepted than the daemon lets. */
static int open_connection(struct camtap *camera)
{
	struct sockaddr_un address;
	int fd, error;

	error = address_init(&address, camera->path);
	if (error < 0)
		return error;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		error = -errno;
		goto close_fd;
	}
	/* The daemon may have hung up already, and said why: that is still to be read. */
	error = send_hello(camera, fd);
	if (error < 0 && error != -EPIPE && error != -ECONNRESET)
		goto close_fd;
	error = wake_watch_socket(camera, fd);
	if (error < 0)
		goto close_fd;
	error = connection_create(fd, &camera->connection);
	if (error < 0)
		goto unwatch;
	camera->state = CONNECTION_GREETING;
	return 0;

unwatch:
	wake_unwatch_socket(camera, fd);
close_fd:
	close(fd);
	return error;
}

/* Sends what is owed, as far as there is room. */
HOT static void flush(struct camtap *camera)
{
	union {
		struct wire_header header;
		struct wire_ready ready;
		struct wire_status_request status;
	} message = {0};

	if (camera->state != CONNECTION_ATTACHED)
		return;
	/* What fails but for lack of room fails because of a hang-up, which is read soon. */
	if (camera->owed & CONNECTION_OWED_READY) {
		message_init(&message.header, WIRE_READY, sizeof(message.ready));
		message.ready.epoch = camera->ready_epoch;
		if (message_send(camera->connection->socket, &message.header, NULL, 0) == -EAGAIN)
			return;
		camera->owed &= ~(unsigned)CONNECTION_OWED_READY;
	}
	if (camera->owed & CONNECTION_OWED_STATUS) {
		message_init(&message.header, WIRE_STATUS, sizeof(message.status));
		if (message_send(camera->connection->socket, &message.header, NULL, 0) == -EAGAIN)
			return;
		camera->owed &= ~(unsigned)CONNECTION_OWED_STATUS;
	}
	if (camera->owed & CONNECTION_OWED_CONTROLS && controls_send(camera))
		camera->owed &= ~(unsigned)CONNECTION_OWED_CONTROLS;
	if (camera->owed & CONNECTION_OWED_PAUSE && pause_send(camera))
		camera->owed &= ~(unsigned)CONNECTION_OWED_PAUSE;
}

/* ---- coming and going ---- */

void connection_close(struct camtap *camera)
{
	attachment_unref(camera->arriving);
	camera->arriving = NULL;
	if (!camera->connection)
		return;
	wake_unwatch_socket(camera, camera->connection->socket);
	connection_unref(camera->connection);
	camera->connection = NULL;
	camera->owed = 0;
	controls_lost(camera);
	pause_lost(camera);
}

static void grow_pause(struct camtap *camera)
{
	camera->retry_pause = camera->retry_pause == 0 ? PAUSE_MIN : camera->retry_pause * 2;
	if (camera->retry_pause > PAUSE_MAX)
		camera->retry_pause = PAUSE_MAX;
}

/* No daemon: waits `camera->retry_pause` until the next attempt. */
static void wait_for_daemon(struct camtap *camera)
{
	camera->state = CONNECTION_WAITING;
	camera->retry_at = now_ns() + camera->retry_pause;
}

static void try_again(struct camtap *camera)
{
	int error = open_connection(camera);

	if (error == 0)
		return;
	if (error != -ENOENT && error != -ECONNREFUSED)
		snprintf(camera->away_text, sizeof(camera->away_text), "%s: %s", camera->path,
			strerror(-error));
	grow_pause(camera);
	wait_for_daemon(camera);
}

/* Frames may keep the socket open: the daemon is told all the same. */
static void hang_up(struct camtap *camera)
{
	(void)shutdown(camera->connection->socket, SHUT_RDWR);
	connection_close(camera);
}

/* The connection is lost. The next attempt is after `pause_min` ns, or after the usual pause. */
static void lose(struct camtap *camera, int64_t pause_min)
{
	bool attached = camera->state == CONNECTION_ATTACHED;

	hang_up(camera);
	if (attached) {
		camera->was_attached = true;
		camera->offline_at = now_ns() + AWAY_TOLD;
	}
	if (attached && now_ns() - camera->attached_at >= GOOD_CONNECTION)
		camera->retry_pause = 0;
	else
		grow_pause(camera);
	if (camera->retry_pause < pause_min)
		camera->retry_pause = pause_min;
	wait_for_daemon(camera);
}

void connection_lose(struct camtap *camera)
{
	lose(camera, 0);
}

void connection_dismissed(struct camtap *camera, const char *text)
{
	snprintf(camera->away_text, sizeof(camera->away_text), "%s", text);
	lose(camera, PAUSE_MAX);
}

void connection_give_up(struct camtap *camera, int error, const char *text)
{
	hang_up(camera);
	camera->state = CONNECTION_REFUSED;
	camera->refused = error;
	snprintf(camera->refused_text, sizeof(camera->refused_text), "%s", text);
}

void connection_break_off(struct camtap *camera, int error, const char *format, ...)
{
	char text[WIRE_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!camera->was_attached && !camera->newest) {
		connection_give_up(camera, error, text);
		return;
	}
	connection_dismissed(camera, text);
}

/* ---- the rest ---- */

static void tell_away(struct camtap *camera)
{
	char text[WIRE_TEXT_SIZE];

	if (camera->away_text[0] != '\0')
		snprintf(text, sizeof(text), "%s", camera->away_text);
	else if (camera->state == CONNECTION_GREETING)
		snprintf(text, sizeof(text), "camtapd does not answer (%s)", camera->path);
	else
		snprintf(text, sizeof(text), "camtapd is not running (%s)", camera->path);
	events_push_away(camera, text);
	camera->offline_at = NEVER;
}

int connection_start(struct camtap *camera)
{
	int error = open_connection(camera);

	if (error == -ECONNREFUSED || error == -EAGAIN) {
		grow_pause(camera);
		wait_for_daemon(camera);
		error = 0;
	}
	if (error == 0)
		camera->offline_at = now_ns() + AWAY_TOLD;
	return error;
}

HOT int64_t connection_deadline(const struct camtap *camera)
{
	if (camera->state == CONNECTION_GREETING)
		return camera->offline_at;
	if (camera->state != CONNECTION_WAITING)
		return NEVER;
	return camera->retry_at < camera->offline_at ? camera->retry_at : camera->offline_at;
}

HOT void connection_run(struct camtap *camera, bool receive)
{
	if (receive)
		receive_messages(camera);
	if (camera->state == CONNECTION_WAITING && now_ns() >= camera->retry_at)
		try_again(camera);
	if (connection_deadline(camera) != NEVER && now_ns() >= camera->offline_at)
		tell_away(camera);
	flush(camera);
}
