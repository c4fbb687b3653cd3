/* SPDX-License-Identifier: MIT */
#include "client-internal.h"

#include "client-log.h"
#include "clock.h"
#include "message.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO_TIMEOUT_USEC   UINT64_C(5000000)
#define MESSAGES_PER_WAKE_UP 16
#define FLOOD_MESSAGES       1000 /* per second; RELEASED of a lossless reader does not count */

/* ---- pool ---- */

void client_forget_pool(struct client *client)
{
	guard_memory_discard(&client->guard, client->server->reaper);
	client->reader.pool.words = NULL;
	client->reader.target.listens = NULL;
	client->pool = NULL;
	client->ready = false;
	client->owed &= ~(uint32_t)(CLIENT_OWED_FORMAT | CLIENT_OWED_BUFFERS);
}

void client_offer_pool(struct client *client, struct pool *pool)
{
	int error;

	/* with an old pool still: it is over, the event loop hears of that next, and comes here
	 * again */
	if (!client_reads(client) || client->pool != NULL)
		return;
	error = guard_memory_create(pool->slot_count, &client->guard);
	if (error < 0) {
		client_close(
			client, WIRE_CODE_INTERNAL, "cannot make a guard: %s", strerror(-error));
		return;
	}
	client->pool = pool;
	client->buffers_sent = 0;
	if (pool->buffers != NULL)
		client->owed |= CLIENT_OWED_BUFFERS;
	client_owe(client, CLIENT_OWED_FORMAT);
}

void client_tell_source(struct client *client)
{
	if (client->state == CLIENT_ATTACHED)
		client_owe(client, CLIENT_OWED_SOURCE);
}

/* ---- messages ---- */

static void say_no(struct client *client, enum wire_code code, const char *text)
{
	client_close(client, code, "%s", text);
}

bool client_check_access(struct client *client)
{
	const struct access *access = &client->server->access;

	if (client->mode == WIRE_MODE_OBSERVE ||
		access_permits(access, &client->peer, client->socket))
		return true;
	client_close(client, WIRE_CODE_ACCESS, "uid %u may not read camera %s; %s",
		(unsigned)client->peer.uid, client->server->options->name, access->who);
	return false;
}

static void on_hello(struct client *client, const void *buffer, size_t length)
{
	struct server *server = client->server;
	const struct options *options = server->options;
	struct pool *pool;
	struct wire_hello hello;

	if (client->state != CLIENT_NEW ||
		message_unpack(buffer, length, WIRE_HELLO_SIZE_MIN, &hello, sizeof hello) < 0) {
		say_no(client, WIRE_CODE_PROTOCOL, "a HELLO that is too short, or a second one");
		return;
	}
	message_printable(client->name, sizeof client->name, hello.name,
		strnlen(hello.name, sizeof hello.name));
	if (hello.version_min > WIRE_VERSION_MAX || hello.version_max < WIRE_VERSION_MIN) {
		client_close(client, WIRE_CODE_VERSION,
			"this camtapd speaks protocol %d to %d, the client %" PRIu32 " to %" PRIu32
			": update the older of the two",
			WIRE_VERSION_MIN, WIRE_VERSION_MAX, hello.version_min, hello.version_max);
		return;
	}
	if (hello.mode > WIRE_MODE_LOSSLESS) {
		say_no(client, WIRE_CODE_PROTOCOL, "a HELLO with an unknown mode");
		return;
	}
	hello.stream[sizeof hello.stream - 1] = '\0';
	client->mode = hello.mode;
	if (options->lossless && client->mode == WIRE_MODE_READ)
		client->mode = WIRE_MODE_LOSSLESS;
	if (!client_check_access(client))
		return;
	if (client->mode == WIRE_MODE_LOSSLESS && server->source->ops->live && !options->lossless &&
		!access_is_admin(&server->access, &client->peer, client->socket)) {
		say_no(client, WIRE_CODE_ACCESS,
			"only members of group camtap-admin may make a live camera wait "
			"(lossless)");
		return;
	}
	if (server->source->exports && hello.mode != WIRE_MODE_OBSERVE &&
		!(hello.features & WIRE_FEATURE_DMABUF)) {
		say_no(client, WIRE_CODE_STREAM,
			"this camera's frames lie in dma-bufs (--memory dmabuf), which this "
			"program does "
			"not take: update it, or start camtapd with --memory auto");
		return;
	}
	if (hello.stream[0] != '\0' && client->mode != WIRE_MODE_OBSERVE) {
		char why[WIRE_TEXT_SIZE];
		enum wire_code code = server_join_stream(server, client, hello.stream, why);

		if (code != 0) {
			say_no(client, code, why);
			return;
		}
	}
	if (hello.features & WIRE_FEATURE_BELL && client->mode != WIRE_MODE_OBSERVE)
		bell_join(&client->stream->bells, client->peer.uid, &client->reader.target.place);
	client->controls.granted = hello.features & WIRE_FEATURE_CONTROLS;
	client->pause.granted = hello.features & WIRE_FEATURE_PAUSE;
	client->reader.target.fd = client->socket;
	client->reader.pool.uid = client->peer.uid;
	client->reader.pool.lossless = client->mode == WIRE_MODE_LOSSLESS;
	client->hello_timer = sd_event_source_disable_unref(client->hello_timer);
	client->state = CLIENT_ATTACHED;
	client_log_attached(client);
	server_count_readers(server);
	client->owed |= CLIENT_OWED_WELCOME | CLIENT_OWED_SOURCE;
	pool = client_reads(client) ? stream_pool(client->stream) : NULL;
	if (pool != NULL)
		client_offer_pool(client, pool); /* flushes */
	else
		client_flush(client);
}

/* No suspect any more: links it in if that is what it waited for, and tells it of the newest frame,
 * which may have been announced without it (and is worth a look to a new one, however long the next
 * takes). */
static void clear(struct client *client)
{
	struct stream *stream = client->stream;
	struct wire_frame newest;

	stream_clear_suspect(stream, &client->reader);
	if (client->ready) {
		client->ready = false;
		client->reader.pool.words = client->guard.base;
		if (client->reader.target.place.bell != NULL)
			client->reader.target.listens =
				(const _Atomic uint32_t *)(client->guard.base +
							   (size_t)client->pool->slot_count *
								   GUARD_STRIDE);
		if (!stream_link(stream, client->pool, &client->reader))
			return; /* that epoch is over; the next FORMAT is on its way */
	}
	if (client->pool != NULL && client->reader.pool.words != NULL &&
		stream_newest(stream, &newest) && newest.epoch == client->pool->header->epoch)
		(void)client_send(client, &newest.header, NULL, 0);
	client_flush(client); /* what was kept from it */
}

void client_probe(struct client *client)
{
	const struct server *server = client->server;
	int64_t before = clock_read(CLOCK_THREAD_CPUTIME_ID), cost;
	bool rung;

	/* SOURCE changes nothing if the client knows that already */
	rung = client_send_source(client) == 0;
	cost = clock_read(CLOCK_THREAD_CPUTIME_ID) - before;
	/* without room it was not woken: that neither clears nor counts, unless it happens again
	 * and again */
	if (rung && cost <= announce_budget(server->send_unit_ns, server->reader_count)) {
		client->probes = 0;
	} else if (++client->probes >= ANNOUNCE_PROBES_MAX) {
		client_close(client, WIRE_CODE_SLOW_WAKE,
			"waking it takes too long: does it wait for its socket in thousands of "
			"places?");
		return;
	}
	if (rung && client->probes > 0)
		client_suspect(client); /* again, when the others have had their turn */
	else
		clear(client);
}

static void on_ready(struct client *client, const void *buffer, size_t length)
{
	struct wire_ready ready;

	if (message_unpack(buffer, length, sizeof ready, &ready, sizeof ready) < 0) {
		say_no(client, WIRE_CODE_PROTOCOL, "a READY that is too short");
		return;
	}
	if (client->pool == NULL || ready.epoch != client->pool->header->epoch)
		return; /* of an epoch that is over */
	if (client->guard.fd < 0 || client->owed & (CLIENT_OWED_FORMAT | CLIENT_OWED_BUFFERS)) {
		say_no(client, WIRE_CODE_PROTOCOL, "a READY too many");
		return;
	}
	if (guard_memory_lock(&client->guard) < 0) {
		say_no(client, WIRE_CODE_PROTOCOL, "a READY whose guard is not sealed");
		return;
	}
	client->ready = true;
	client_suspect(client);
}

/* True: more messages per second than any program has a reason for. */
static bool flooded(struct client *client)
{
	int64_t now = clock_now();

	if (now - client->flood_window_ns >= NSEC_PER_SEC) {
		client->flood_window_ns = now;
		client->flood_count = 0;
	}
	return ++client->flood_count > FLOOD_MESSAGES;
}

static void on_message(struct client *client, const void *buffer, size_t length)
{
	struct wire_header header;

	if (message_unpack(buffer, length, sizeof header, &header, sizeof header) < 0) {
		say_no(client, WIRE_CODE_PROTOCOL, "a message whose size is not its length");
		return;
	}
	if (!(header.type == WIRE_RELEASED && client->mode == WIRE_MODE_LOSSLESS) &&
		flooded(client)) {
		say_no(client, WIRE_CODE_PROTOCOL, "too many messages");
		return;
	}
	if (client->state == CLIENT_NEW && header.type != WIRE_HELLO) {
		say_no(client, WIRE_CODE_PROTOCOL, "a message before HELLO");
		return;
	}
	switch (header.type) {
	case WIRE_HELLO:
		on_hello(client, buffer, length);
		break;
	case WIRE_READY:
		on_ready(client, buffer, length);
		break;
	case WIRE_RELEASED:
		break;
	case WIRE_STATUS:
		client_owe(client, CLIENT_OWED_STATUS);
		break;
	default:
		if (client->controls.granted &&
			(header.type == WIRE_CONTROLS || header.type == WIRE_SET_CONTROL))
			client_on_controls(client, buffer, length);
		else if (client->pause.granted && header.type == WIRE_SET_PAUSED)
			client_on_set_paused(client, buffer, length);
		else
			say_no(client, WIRE_CODE_PROTOCOL, "a message of an unknown type");
		break;
	}
}

/* Reads at most some messages, so that one client cannot keep the others waiting. */
static void receive(struct client *client)
{
	/* aligned for any message; a client sends no longer one */
	_Alignas(8) uint8_t buffer[WIRE_MESSAGE_MAX];
	int fds[MESSAGE_FDS_ROOM];
	size_t fd_count;
	int length;

	for (int i = 0; i < MESSAGES_PER_WAKE_UP && client->state != CLIENT_CLOSING; i++) {
		int64_t before = clock_now();

		if (i > 0 && client_is_suspect(client)) /* first that is settled */
			break;
		length = message_receive(client->socket, buffer, sizeof buffer, fds, &fd_count);
		client_look_at_cost(client, before); /* the sender is woken: it has room again */
		if (fd_count > 0)
			reaper_close(client->server->reaper, fds, fd_count, NULL);
		if (length == -EAGAIN)
			break;
		if (length == -EMSGSIZE) {
			say_no(client, WIRE_CODE_PROTOCOL, "a message longer than any");
		} else if (length <= 0) {
			client_hang_up(client);
		} else if (fd_count > 0) {
			say_no(client, WIRE_CODE_PROTOCOL,
				"file descriptors, which no client sends");
		} else {
			on_message(client, buffer, (size_t)length);
		}
	}
	/* whatever it said: a lossless reader may have given something back */
	if (client->mode == WIRE_MODE_LOSSLESS)
		client->stream->wake_producer(client->stream);
}

/* ---- events ---- */

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct client *client = userdata;

	(void)source;
	(void)fd;
	if (revents & EPOLLIN)
		receive(client);
	else if (revents & (EPOLLHUP | EPOLLERR))
		client_hang_up(client);
	if (client->state != CLIENT_CLOSING && revents & EPOLLOUT)
		client_flush(client);
	return 0;
}

/* A client that forked and died leaves its socket open in the child: the process counts, too. */
static int on_exit_of_process(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source;
	(void)fd;
	(void)revents;
	client_hang_up(userdata);
	return 0;
}

static int on_hello_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	say_no(userdata, WIRE_CODE_PROTOCOL, "no HELLO in time");
	return 0;
}

/* ---- life ---- */

/* Its stream's producer has let go of it. */
static void on_released(struct stream_reader *reader)
{
	struct client *client = (struct client *)((char *)reader - offsetof(struct client, reader));
	int fds[2] = {client->socket, client->peer.pidfd};

	bell_leave(&client->stream->bells, &client->reader.target.place, client->server->reaper);
	server_leave_stream(client->server, client->stream);
	guard_memory_discard(&client->guard, client->server->reaper);
	reaper_close(client->server->reaper, fds, 2, client);
}

int client_create(struct server *server, int socket, struct client **ret_client)
{
	struct client *client = calloc(1, sizeof *client);
	int error;

	if (client == NULL)
		return -ENOMEM;
	client->server = server;
	client->number = ++server->client_numbers;
	client->state = CLIENT_NEW;
	client->socket = socket;
	client->stream = camera_stream(server->camera);
	client->reader.on_released = on_released;
	client->since_realtime_ns = clock_read(CLOCK_REALTIME);
	client->since_ns = client->flood_window_ns = clock_now();
	error = peer_init(&client->peer, socket);
	if (error < 0)
		goto free_client;
	error = sd_event_add_io(server->event, &client->io, socket, EPOLLIN, on_io, client);
	if (error < 0)
		goto close_pidfd;
	error = sd_event_add_time_relative(server->event, &client->hello_timer, CLOCK_MONOTONIC,
		HELLO_TIMEOUT_USEC, 0, on_hello_timeout, client);
	if (error < 0)
		goto unref_io;
	if (client->peer.pidfd >= 0) {
		error = sd_event_add_io(server->event, &client->exit, client->peer.pidfd, EPOLLIN,
			on_exit_of_process, client);
		if (error < 0)
			goto unref_timer;
	}
	*ret_client = client;
	return 0;

unref_timer:
	sd_event_source_disable_unref(client->hello_timer);
unref_io:
	sd_event_source_disable_unref(client->io);
close_pidfd:
	if (client->peer.pidfd >= 0)
		close(client->peer.pidfd);
free_client:
	free(client);
	return error;
}

/* Begins its end. */
static void leave(struct client *client)
{
	struct server *server = client->server;

	client->state = CLIENT_CLOSING;
	client->io = sd_event_source_disable_unref(client->io);
	client->exit = sd_event_source_disable_unref(client->exit);
	client->hello_timer = sd_event_source_disable_unref(client->hello_timer);
	client->retry_timer = sd_event_source_disable_unref(client->retry_timer);
	if (client->previous != NULL)
		client->previous->next = client->next;
	else
		server->clients = client->next;
	if (client->next != NULL)
		client->next->previous = client->previous;
	client->next = client->previous = NULL;
	client_forget_controls(client);
	stream_retire(client->stream, &client->reader);
	server_count_readers(server);
	/* the event loop goes on with stream_release_retired() */
	(void)eventfd_write(server->notify_fd, 1);
}

void client_hang_up(struct client *client)
{
	if (client->state == CLIENT_CLOSING)
		return;
	client_log_gone(client);
	leave(client);
}

void client_close(struct client *client, enum wire_code code, const char *format, ...)
{
	struct wire_bye bye = {.code = code};
	va_list arguments;

	if (client->state == CLIENT_CLOSING)
		return;
	message_init(
		&bye.header, client->state == CLIENT_NEW ? WIRE_REFUSED : WIRE_BYE, sizeof bye);
	va_start(arguments, format);
	vsnprintf(bye.text, sizeof bye.text, format, arguments);
	va_end(arguments);
	if (code == WIRE_CODE_PROTOCOL || code == WIRE_CODE_OVERHOLD || code == WIRE_CODE_SLOW_WAKE)
		client->server->expelled[code]++;
	client_log_closed(client, code, bye.text);
	(void)client_send(client, &bye.header, NULL, 0); /* a full queue hears nothing */
	leave(client);
}

void client_free(struct client *client)
{
	free(client);
}
