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

/* Messages handled in one call; what is left keeps the socket readable. */
#define MESSAGES_PER_CALL 512

/* The shortest messages of protocol version 1; what they lack reads as zero. */
#define WELCOME_SIZE_MIN offsetof(struct wire_welcome, camera)
#define FORMAT_SIZE_MIN  offsetof(struct wire_format, lease_min_ns)
#define SOURCE_SIZE_MIN  offsetof(struct wire_source, text)
#define BYE_SIZE_MIN     offsetof(struct wire_bye, text)
#define STATUS_SIZE_MIN  (offsetof(struct wire_status, document_size) + sizeof(uint64_t))

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
	if (camera->want_doorbell && camera->mode != CAMTAP_MODE_OBSERVE)
		hello.features |= WIRE_FEATURE_DOORBELL;
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
	error = send_hello(camera, fd);
	if (error < 0)
		goto close_fd;
	error = wake_watch(camera, WAKE_SOCKET, fd);
	if (error < 0)
		goto close_fd;
	error = connection_create(fd, &camera->connection);
	if (error < 0)
		goto unwatch;
	camera->state = CONNECTION_GREETING;
	return 0;

unwatch:
	wake_unwatch(camera, fd);
close_fd:
	close(fd);
	return error;
}

void connection_flush(struct camtap *camera)
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
}

/* ---- coming and going ---- */

static void drop_doorbell(struct camtap *camera)
{
	if (camera->doorbell < 0)
		return;
	wake_unwatch(camera, camera->doorbell);
	close(camera->doorbell);
	camera->doorbell = -1;
}

void connection_close(struct camtap *camera)
{
	drop_doorbell(camera);
	if (!camera->connection)
		return;
	wake_unwatch(camera, camera->connection->socket);
	connection_unref(camera->connection);
	camera->connection = NULL;
	camera->owed = 0;
}

static void grow_pause(struct camtap *camera)
{
	camera->pause = camera->pause == 0 ? PAUSE_MIN : camera->pause * 2;
	if (camera->pause > PAUSE_MAX)
		camera->pause = PAUSE_MAX;
}

static void say_away(struct camtap *camera, const char *text)
{
	snprintf(camera->away_text, sizeof(camera->away_text), "%s", text);
}

/* No daemon: waits `camera->pause` until the next attempt. */
static void wait_for_daemon(struct camtap *camera)
{
	camera->state = CONNECTION_WAITING;
	camera->retry_at = now_ns() + camera->pause;
}

static void try_again(struct camtap *camera)
{
	int error = open_connection(camera);

	if (error == 0)
		return;
	if (error != -ENOENT && error != -ECONNREFUSED)
		say_away(camera, strerror(-error));
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
		camera->pause = 0;
	else
		grow_pause(camera);
	if (camera->pause < pause_min)
		camera->pause = pause_min;
	if (camera->pause == 0)
		try_again(camera);
	else
		wait_for_daemon(camera);
}

/* Nothing will come of this daemon: every camtap_next() says so from now on. */
static void give_up(struct camtap *camera, int error, const char *text)
{
	hang_up(camera);
	camera->state = CONNECTION_REFUSED;
	camera->refused = error;
	snprintf(camera->refused_text, sizeof(camera->refused_text), "%s", text);
}

/* Something is wrong with what came. At first that is an error, for somebody will look; a program
 * that has been running goes on as without a daemon, since a better one may be started. */
static void break_off(struct camtap *camera, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void break_off(struct camtap *camera, int error, const char *format, ...)
{
	char text[WIRE_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!camera->was_attached && !camera->newest) {
		give_up(camera, error, text);
		return;
	}
	say_away(camera, text);
	lose(camera, PAUSE_MAX);
}

/* ---- in ---- */

struct incoming {
	const void *buffer;
	size_t length;
	int *fds;
	size_t fd_count;
};

/* Takes an fd out of a message; who does not, has it closed. */
static int take_fd(struct incoming *message, size_t index)
{
	int fd = message->fds[index];

	message->fds[index] = -1;
	return fd;
}

/* A socket that lingers would make close() wait for seconds, at the sender's will. */
static void close_fds(const struct incoming *message)
{
	const struct linger none = {.l_onoff = 1, .l_linger = 0};

	for (size_t i = 0; i < message->fd_count; i++) {
		if (message->fds[i] < 0)
			continue;
		(void)setsockopt(message->fds[i], SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		close(message->fds[i]);
	}
}

static int take_doorbell(struct camtap *camera, struct incoming *message)
{
	struct stat stat;
	int error, fd;

	if (message->fd_count < 1 || fstat(message->fds[0], &stat) < 0 || !S_ISSOCK(stat.st_mode))
		return -EBADMSG;
	fd = take_fd(message, 0);
	error = wake_watch(camera, WAKE_DOORBELL, fd);
	if (error < 0) {
		close(fd);
		return error;
	}
	camera->doorbell = fd;
	return 0;
}

static void on_welcome(struct camtap *camera, struct incoming *message)
{
	struct wire_welcome welcome;
	int error = message_unpack(
		message->buffer, message->length, WELCOME_SIZE_MIN, &welcome, sizeof(welcome));

	if (error < 0 || camera->state != CONNECTION_GREETING) {
		break_off(camera, -EPROTO, "camtapd breaks the protocol: a wrong WELCOME");
		return;
	}
	if (welcome.version < WIRE_VERSION_MIN || welcome.version > WIRE_VERSION_MAX) {
		break_off(camera, -EPROTO, "camtapd breaks the protocol: a version nobody offered");
		return;
	}
	if (welcome.features & WIRE_FEATURE_DOORBELL) {
		error = take_doorbell(camera, message);
		if (error < 0) {
			break_off(camera, -EPROTO, "camtapd's doorbell is of no use: %s",
				strerror(-error));
			return;
		}
	}
	camera->state = CONNECTION_ATTACHED;
	camera->attached_at = now_ns();
	camera->away_text[0] = '\0';
	camera->lossless = welcome.mode == WIRE_MODE_LOSSLESS;
	camera->max_leases = welcome.max_leases > 0 ? welcome.max_leases : 1;
	leases_set_max(camera->leases, camera->max_leases);
	message_printable(
		camera->name, sizeof(camera->name), welcome.camera, sizeof(welcome.camera));
	if (camera->status_wanted)
		camera->owed |= CONNECTION_OWED_STATUS;
}

static void on_format(struct camtap *camera, struct incoming *message)
{
	struct attachment *attachment;
	struct wire_format format;
	const char *why;
	int error = message_unpack(
		message->buffer, message->length, FORMAT_SIZE_MIN, &format, sizeof(format));

	if (error < 0 || camera->state != CONNECTION_ATTACHED || message->fd_count < 2) {
		break_off(camera, -EPROTO, "camtapd breaks the protocol: a wrong FORMAT");
		return;
	}
	if (camera->mode == CAMTAP_MODE_OBSERVE)
		return;
	error = attachment_create(
		camera->connection, &format, message->fds[0], message->fds[1], &attachment, &why);
	if (error < 0) {
		break_off(camera, error == -EBADMSG ? -EPROTO : error,
			"camtapd cannot be trusted or understood: %s: %s", why, strerror(-error));
		return;
	}
	events_push_attachment(camera, attachment);
	camera->ready_epoch = format.epoch;
	camera->owed |= CONNECTION_OWED_READY;
}

static void on_source(struct camtap *camera, const struct incoming *message)
{
	struct wire_source source;

	if (message_unpack(message->buffer, message->length, SOURCE_SIZE_MIN, &source,
		    sizeof(source)) < 0 ||
		camera->state != CONNECTION_ATTACHED)
		break_off(camera, -EPROTO, "camtapd breaks the protocol: a wrong SOURCE");
	else
		events_push_source(camera, &source);
}

static void on_status(struct camtap *camera, struct incoming *message)
{
	struct wire_status status;

	if (message_unpack(message->buffer, message->length, STATUS_SIZE_MIN, &status,
		    sizeof(status)) < 0 ||
		message->fd_count < 1) {
		break_off(camera, -EPROTO, "camtapd breaks the protocol: a wrong STATUS");
		return;
	}
	if (!camera->status_wanted)
		return; /* to a question that nobody waits for any more */
	camera->status_wanted = false;
	camera->status_fd = take_fd(message, 0);
	camera->status_size = status.document_size;
}

static int refusal(uint32_t code)
{
	switch (code) {
	case WIRE_CODE_VERSION:
		return -EPROTONOSUPPORT;
	case WIRE_CODE_STREAM:
		return -EINVAL;
	case WIRE_CODE_ACCESS:
		return -EACCES;
	case WIRE_CODE_PROTOCOL:
		return -EPROTO;
	case WIRE_CODE_BUSY:
		return -EUSERS;
	default:
		return -EIO;
	}
}

/* Will it be the same answer next time? */
static bool refusal_is_final(uint32_t code)
{
	return code == WIRE_CODE_VERSION || code == WIRE_CODE_STREAM || code == WIRE_CODE_ACCESS ||
	       code == WIRE_CODE_PROTOCOL;
}

static void on_bye(struct camtap *camera, const struct incoming *message, bool refused)
{
	struct wire_bye bye;
	char text[WIRE_TEXT_SIZE];

	if (message_unpack(message->buffer, message->length, BYE_SIZE_MIN, &bye, sizeof(bye)) < 0) {
		break_off(camera, -EPROTO, "camtapd breaks the protocol: a wrong BYE");
		return;
	}
	message_printable(text, sizeof(text), bye.text, sizeof(bye.text));
	if (bye.code == WIRE_CODE_SHUTDOWN) {
		lose(camera, 0);
	} else if (refused && (refusal_is_final(bye.code) || !camera->was_attached)) {
		give_up(camera, refusal(bye.code), text);
	} else {
		say_away(camera, text);
		lose(camera, PAUSE_MAX);
	}
}

static void dispatch(struct camtap *camera, struct incoming *message)
{
	struct wire_header header;

	if (message_unpack(message->buffer, message->length, sizeof(header), &header,
		    sizeof(header)) < 0) {
		break_off(camera, -EPROTO, "camtapd breaks the protocol: a wrong message");
		return;
	}
	switch (header.type) {
	case WIRE_WELCOME:
		on_welcome(camera, message);
		break;
	case WIRE_REFUSED:
		on_bye(camera, message, true);
		break;
	case WIRE_BYE:
		on_bye(camera, message, false);
		break;
	case WIRE_FORMAT:
		on_format(camera, message);
		break;
	case WIRE_FRAME:
		camera->woken = true;
		break;
	case WIRE_SOURCE:
		on_source(camera, message);
		break;
	case WIRE_STATUS:
		on_status(camera, message);
		break;
	default: /* of a later version */
		break;
	}
}

static void receive(struct camtap *camera)
{
	_Alignas(struct wire_header) unsigned char buffer[WIRE_MESSAGE_MAX];
	int fds[MESSAGE_FDS_ROOM];

	/* A handler may lose the connection, and have another one at once. */
	for (unsigned i = 0; i < MESSAGES_PER_CALL && camera->connection; i++) {
		struct incoming message = {.buffer = buffer, .fds = fds};
		int length = message_receive(
			camera->connection->socket, buffer, sizeof(buffer), fds, &message.fd_count);

		if (length == -EAGAIN)
			return;
		if (length > 0) {
			message.length = (size_t)length;
			dispatch(camera, &message);
		} else if (length == 0) {
			lose(camera, 0);
		} else if (length == -EMFILE) {
			break_off(
				camera, length, "this program has too many open files (ulimit -n)");
		} else if (length != -ECONNRESET) {
			/* ECONNRESET: it hung up before it had read all of ours; its last words can
			 * still be read. */
			break_off(camera, -EPROTO, "camtapd breaks the protocol: %s",
				strerror(-length));
		}
		close_fds(&message);
	}
}

/* ---- the rest ---- */

/* Rings may come faster than they are read; one look serves them all. */
static void drain_doorbell(struct camtap *camera)
{
	char rings[4096];
	ssize_t length;

	do
		length = recv(camera->doorbell, rings, sizeof(rings), MSG_DONTWAIT);
	while (length == sizeof(rings));
	camera->woken = true;
	/* The daemon's end is closed: the socket is about to say why. */
	if (length == 0 || (length < 0 && errno != EAGAIN))
		drop_doorbell(camera);
}

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

int64_t connection_deadline(const struct camtap *camera)
{
	if (camera->state == CONNECTION_GREETING)
		return camera->offline_at;
	if (camera->state != CONNECTION_WAITING)
		return NEVER;
	return camera->retry_at < camera->offline_at ? camera->retry_at : camera->offline_at;
}

void connection_run(struct camtap *camera, unsigned ready)
{
	if (ready & WAKE_SOCKET && camera->connection)
		receive(camera);
	if (ready & WAKE_DOORBELL && camera->doorbell >= 0)
		drain_doorbell(camera);
	if (camera->state == CONNECTION_WAITING && now_ns() >= camera->retry_at)
		try_again(camera);
	if (connection_deadline(camera) != NEVER && now_ns() >= camera->offline_at)
		tell_away(camera);
	connection_flush(camera);
}
