/* SPDX-License-Identifier: MIT */

/* What the daemon says. */

#include "internal.h"

#include "message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ERRNO_MAX 4095 /* the kernel's: MAX_ERRNO of include/linux/err.h */

/* Messages handled in one call; what is left keeps the socket readable. */
#define MESSAGES_PER_CALL 512

/* The shortest messages of protocol version 1; what they lack reads as zero. */
#define WELCOME_SIZE_MIN  offsetof(struct wire_welcome, camera)
#define FORMAT_SIZE_MIN   offsetof(struct wire_format, lease_min_ns)
#define BUFFER_SIZE_MIN   sizeof(struct wire_buffer)
#define SOURCE_SIZE_MIN   offsetof(struct wire_source, text)
#define BYE_SIZE_MIN      offsetof(struct wire_bye, text)
#define STATUS_SIZE_MIN   (offsetof(struct wire_status, document_size) + sizeof(uint64_t))
#define CONTROLS_SIZE_MIN offsetof(struct wire_controls, text)
#define SET_SIZE_MIN      offsetof(struct wire_set_control, text)
#define PAUSE_SIZE_MIN    offsetof(struct wire_set_paused, text)

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

void close_received(int fd)
{
	const struct linger none = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

HOT static void close_fds(const struct incoming *message)
{
	for (size_t i = 0; i < message->fd_count; i++) {
		if (message->fds[i] >= 0)
			close_received(message->fds[i]);
	}
}

static void on_welcome(struct camtap *camera, struct incoming *message)
{
	struct wire_welcome welcome;
	int error = message_unpack(
		message->buffer, message->length, WELCOME_SIZE_MIN, &welcome, sizeof(welcome));

	if (error < 0 || camera->state != CONNECTION_GREETING) {
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong WELCOME");
		return;
	}
	if (welcome.version < WIRE_VERSION_MIN || welcome.version > WIRE_VERSION_MAX) {
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a version nobody offered");
		return;
	}
	camera->state = CONNECTION_ATTACHED;
	camera->attached_at = now_ns();
	camera->away_text[0] = '\0';
	camera->lossless = welcome.mode == WIRE_MODE_LOSSLESS;
	camera->bell_granted = welcome.features & WIRE_FEATURE_BELL;
	camera->max_leases = welcome.max_leases > 0 ? welcome.max_leases : 1;
	leases_set_max(camera->leases, camera->max_leases);
	message_printable(
		camera->name, sizeof(camera->name), welcome.camera, sizeof(welcome.camera));
	if (camera->status_wanted)
		camera->owed |= CONNECTION_OWED_STATUS;
	controls_welcomed(camera, welcome.features & WIRE_FEATURE_CONTROLS);
	pause_welcomed(camera, welcome.features & WIRE_FEATURE_PAUSE);
}

/* Everything of the new epoch is mapped. */
static void arrived(struct camtap *camera)
{
	camera->ready_epoch = camera->arriving->view.epoch;
	camera->owed |= CONNECTION_OWED_READY;
	events_push_attachment(camera, camera->arriving);
	camera->arriving = NULL;
}

static void on_format(struct camtap *camera, struct incoming *message)
{
	struct attachment *attachment;
	struct wire_format format;
	const char *why;
	bool bell;
	int error = message_unpack(
		message->buffer, message->length, FORMAT_SIZE_MIN, &format, sizeof(format));

	bell = error == 0 && camera->bell_granted && format.bell_size > 0;
	if (error < 0 || camera->state != CONNECTION_ATTACHED ||
		message->fd_count < (bell ? 3 : 2)) {
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong FORMAT");
		return;
	}
	if (camera->mode == CAMTAP_MODE_OBSERVE)
		return;
	error = attachment_create(camera->connection, &format, message->fds[0], message->fds[1],
		bell ? message->fds[2] : -1, &attachment, &why);
	if (error < 0) {
		connection_break_off(camera, error == -EBADMSG ? -EPROTO : error,
			"camtapd cannot be trusted or understood: %s: %s", why, strerror(-error));
		return;
	}
	attachment_unref(camera->arriving); /* that epoch was over before all of it came */
	camera->arriving = attachment;
	if (!attachment->buffers)
		arrived(camera);
}

static void on_buffer(struct camtap *camera, struct incoming *message)
{
	struct attachment *attachment = camera->arriving;
	struct wire_buffer buffer;
	int error = message_unpack(
		message->buffer, message->length, BUFFER_SIZE_MIN, &buffer, sizeof(buffer));

	if (camera->mode == CAMTAP_MODE_OBSERVE)
		return;
	if (error == 0 && (!attachment || buffer.epoch != attachment->view.epoch))
		error = -EBADMSG;
	if (error == 0)
		error = buffers_add(attachment->buffers, &buffer, message->fds, message->fd_count,
			attachment->view.format.frame_size);
	if (error == -EBADMSG)
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong BUFFER");
	else if (error < 0)
		connection_break_off(
			camera, error, "its dma-bufs cannot be mapped: %s", strerror(-error));
	else if (buffers_complete(attachment->buffers))
		arrived(camera);
}

static void on_source(struct camtap *camera, const struct incoming *message)
{
	struct wire_source source;

	if (message_unpack(message->buffer, message->length, SOURCE_SIZE_MIN, &source,
		    sizeof(source)) < 0 ||
		camera->state != CONNECTION_ATTACHED)
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong SOURCE");
	else
		events_push_source(camera, &source);
}

static void on_status(struct camtap *camera, struct incoming *message)
{
	struct wire_status status;

	if (message_unpack(message->buffer, message->length, STATUS_SIZE_MIN, &status,
		    sizeof(status)) < 0 ||
		message->fd_count < 1) {
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong STATUS");
		return;
	}
	if (!camera->status_wanted)
		return; /* to a question that nobody waits for any more */
	camera->status_wanted = false;
	camera->status_fd = take_fd(message, 0);
	camera->status_size = status.document_size;
}

/* What the daemon says is wrong: a positive errno, or 0. */
static int error_of(int32_t error)
{
	return error < 0 || error > ERRNO_MAX ? EIO : error;
}

static void on_controls(struct camtap *camera, struct incoming *message)
{
	struct wire_controls controls;

	if (message_unpack(message->buffer, message->length, CONTROLS_SIZE_MIN, &controls,
		    sizeof(controls)) < 0 ||
		(controls.error == 0 && message->fd_count < 1)) {
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong CONTROLS");
		return;
	}
	controls_answered(camera, WIRE_CONTROLS, controls.token, error_of(controls.error),
		controls.text, sizeof(controls.text),
		controls.error == 0 ? take_fd(message, 0) : -1, controls.document_size);
}

static void on_set_control(struct camtap *camera, const struct incoming *message)
{
	struct wire_set_control set;

	if (message_unpack(message->buffer, message->length, SET_SIZE_MIN, &set, sizeof(set)) < 0)
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong SET_CONTROL");
	else
		controls_answered(camera, WIRE_SET_CONTROL, set.token, error_of(set.error),
			set.text, sizeof(set.text), -1, 0);
}

static void on_set_paused(struct camtap *camera, const struct incoming *message)
{
	struct wire_set_paused set;

	if (message_unpack(message->buffer, message->length, PAUSE_SIZE_MIN, &set, sizeof(set)) < 0)
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong SET_PAUSED");
	else
		pause_answered(camera, set.token, error_of(set.error), set.text, sizeof(set.text));
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
	       code == WIRE_CODE_PROTOCOL || code == WIRE_CODE_CONFIGURATION;
}

static void on_bye(struct camtap *camera, const struct incoming *message, bool refused)
{
	struct wire_bye bye;
	char text[WIRE_TEXT_SIZE];

	if (message_unpack(message->buffer, message->length, BYE_SIZE_MIN, &bye, sizeof(bye)) < 0) {
		connection_break_off(camera, -EPROTO, "camtapd breaks the protocol: a wrong BYE");
		return;
	}
	message_printable(text, sizeof(text), bye.text, sizeof(bye.text));
	if (bye.code == WIRE_CODE_SHUTDOWN) {
		connection_lose(camera);
	} else if (bye.code == WIRE_CODE_STREAM || bye.code == WIRE_CODE_ACCESS ||
		   (refused && (refusal_is_final(bye.code) || !camera->was_attached))) {
		connection_give_up(camera, refusal(bye.code), text);
	} else {
		connection_dismissed(camera, text);
	}
}

HOT static void dispatch(struct camtap *camera, struct incoming *message)
{
	struct wire_header header;

	if (message_unpack_header(message->buffer, message->length, &header) < 0) {
		connection_break_off(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong message");
		return;
	}
	/* Only wakes: the pool says what there is to read. No case below, whose table is far. */
	if (header.type == WIRE_FRAME)
		return;
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
	case WIRE_BUFFER:
		on_buffer(camera, message);
		break;
	case WIRE_SOURCE:
		on_source(camera, message);
		break;
	case WIRE_STATUS:
		on_status(camera, message);
		break;
	case WIRE_CONTROLS:
		on_controls(camera, message);
		break;
	case WIRE_SET_CONTROL:
		on_set_control(camera, message);
		break;
	case WIRE_SET_PAUSED:
		on_set_paused(camera, message);
		break;
	default: /* of a later version */
		break;
	}
}

HOT void receive_messages(struct camtap *camera)
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
			connection_lose(camera);
		} else if (length == -EMFILE) {
			connection_break_off(
				camera, length, "this program has too many open files (ulimit -n)");
		} else if (length != -ECONNRESET) {
			/* ECONNRESET: it hung up before it had read all of ours; its last words can
			 * still be read. */
			connection_break_off(camera, -EPROTO, "camtapd breaks the protocol: %s",
				strerror(-length));
		}
		close_fds(&message);
	}
}
