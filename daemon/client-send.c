/* SPDX-License-Identifier: MIT */

/* The messages to a client: what it is owed, sent as soon as there is room, and what waking it
 * costs. */

#include "client-internal.h"
#include "clock.h"
#include "message.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RETRY_MIN_USEC     UINT64_C(2000)
#define RETRY_MAX_USEC     UINT64_C(50000)
#define UNREAD_ANSWERS_MAX 4
#define UNREAD_BUFFERS_MAX 8 /* fds of BUFFER messages */

bool client_is_suspect(const struct client *client)
{
	return atomic_load_explicit(&client->reader.target.suspect, memory_order_relaxed);
}

void client_suspect(struct client *client)
{
	atomic_store_explicit(&client->reader.target.suspect, true, memory_order_relaxed);
	(void)eventfd_write(client->server->notify_fd, 1);
}

void client_look_at_cost(struct client *client, int64_t before)
{
	const struct server *server = client->server;

	if (clock_now() - before > announce_budget(server->send_unit_ns, server->reader_count))
		client_suspect(client);
}

int client_send(
	struct client *client, const struct wire_header *message, const int *fds, size_t fd_count)
{
	int64_t before = clock_now();
	int error = message_send(client->socket, message, fds, fd_count);

	client_look_at_cost(client, before);
	/* not within that: others of the same user can make this dear */
	if (error == 0 && client->reader.target.place.bell != NULL)
		bell_tell(&client->reader.target.place, client->server->send_unit_ns);
	return error;
}

static int send_welcome(struct client *client)
{
	struct wire_welcome welcome = {.version = WIRE_VERSION_MAX};
	const struct options *options = client->server->options;

	message_init(&welcome.header, WIRE_WELCOME, sizeof welcome);
	welcome.max_leases = options->max_leases;
	welcome.features = (client->reader.target.place.bell != NULL ? WIRE_FEATURE_BELL : 0) |
			   (client->server->source->exports ? WIRE_FEATURE_DMABUF : 0) |
			   (client->controls.granted ? WIRE_FEATURE_CONTROLS : 0) |
			   (client->pause.granted ? WIRE_FEATURE_PAUSE : 0);
	welcome.mode = client->mode;
	snprintf(welcome.camera, sizeof welcome.camera, "%s", options->name);
	return client_send(client, &welcome.header, NULL, 0);
}

static int send_format(struct client *client)
{
	const struct bell_place *place = &client->reader.target.place;
	bool bell = place->bell != NULL && !bell_is_closed(place);
	struct pool *pool = client->pool;
	struct wire_format format = {.epoch = pool->header->epoch,
		.pool_size = pool->size,
		.guard_size = (uint32_t)client->guard.size,
		.guard_stride = GUARD_STRIDE,
		.slot_count = pool->slot_count,
		.lease_min_ns = pool->lease_min_ns};
	int fds[3] = {pool_open_description(pool), client->guard.fd, -1};
	int error;

	if (fds[0] < 0)
		return fds[0];
	if (bell) {
		fds[2] = bell_open_description(place->bell);
		if (fds[2] < 0) {
			error = fds[2];
			goto close_pool;
		}
		format.bell_size = (uint32_t)bell_size();
		format.bell_offset = (uint32_t)bell_offset(place);
	}
	message_init(&format.header, WIRE_FORMAT, sizeof format);
	error = client_send(client, &format.header, fds, bell ? 3 : 2);
	if (bell)
		close(fds[2]);
close_pool:
	close(fds[0]);
	return error;
}

static bool nothing_unread(const struct client *client)
{
	int unread;

	return ioctl(client->socket, SIOCOUTQ, &unread) == 0 && unread == 0;
}

static int send_buffer(struct client *client, uint32_t slot)
{
	const struct slot_buffer *from = &client->pool->buffers[slot];
	struct wire_buffer buffer = {.epoch = client->pool->header->epoch,
		.slot = slot,
		.plane_count = from->plane_count};
	int fds[WIRE_FDS_MAX];

	_Static_assert(WIRE_PLANES_MAX == POOL_PLANES_MAX && WIRE_FDS_MAX >= POOL_PLANES_MAX,
		"a slot fits into a message");

	for (uint32_t i = 0; i < from->plane_count; i++) {
		buffer.planes[i].offset = from->planes[i].offset;
		buffer.planes[i].length = from->planes[i].length;
		buffer.planes[i].modifier = from->planes[i].modifier;
		fds[i] = from->planes[i].fd;
	}
	message_init(&buffer.header, WIRE_BUFFER, sizeof buffer);
	return client_send(client, &buffer.header, fds, from->plane_count);
}

/* All slots, in order; only some at a time, because fds that wait in a queue count against this
 * process's limit. */
static int send_buffers(struct client *client)
{
	const struct pool *pool = client->pool;

	if (nothing_unread(client))
		client->buffers_unread = 0;
	while (client->buffers_sent < pool->slot_count) {
		uint32_t fds = pool->buffers[client->buffers_sent].plane_count;
		int error;

		if (client->buffers_unread + fds > UNREAD_BUFFERS_MAX || client_is_suspect(client))
			return -EBUSY;
		error = send_buffer(client, client->buffers_sent);
		if (error < 0)
			return error;
		client->buffers_sent++;
		client->buffers_unread += fds;
	}
	return 0;
}

static enum wire_source_state wire_state(const struct camera_snapshot *snapshot)
{
	switch (snapshot->state) {
	case CAMERA_IDLE:
		return WIRE_SOURCE_IDLE;
	case CAMERA_OPENING:
	case CAMERA_WAITING:
		return WIRE_SOURCE_STARTING;
	case CAMERA_STREAMING:
		return WIRE_SOURCE_ONLINE;
	case CAMERA_STALLED:
	case CAMERA_BACKOFF:
		return WIRE_SOURCE_OFFLINE;
	case CAMERA_PAUSED:
		return WIRE_SOURCE_PAUSED;
	case CAMERA_ENDED:
		return WIRE_SOURCE_ENDED;
	case CAMERA_FINISHED:
		return snapshot->error != 0 ? WIRE_SOURCE_OFFLINE : WIRE_SOURCE_ENDED;
	}
	return WIRE_SOURCE_IDLE;
}

int client_send_source(struct client *client)
{
	struct camera_snapshot snapshot;
	struct wire_source source = {.state = WIRE_SOURCE_IDLE}; /* no byte of our stack goes out */

	camera_snapshot(client->server->camera, &snapshot);
	message_init(&source.header, WIRE_SOURCE, sizeof source);
	source.state = wire_state(&snapshot);
	/* the recording is over, and its last frames are not all made yet */
	client->told_early = source.state == WIRE_SOURCE_ENDED &&
			     server_is_behind(client->server, client->stream);
	if (client->told_early)
		source.state = WIRE_SOURCE_ONLINE;
	source.error = snapshot.error;
	source.since_ns = snapshot.since_realtime_ns;
	snprintf(source.text, sizeof source.text, "%s", snapshot.text);
	return client_send(client, &source.header, NULL, 0);
}

static int document_memfd(const char *document, size_t size)
{
	int fd = memfd_create("camtap-status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (fd < 0)
		return -errno;
	if (pwrite(fd, document, size, 0) != (ssize_t)size ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
			0) {
		error = errno != 0 ? -errno : -ENOSPC;
		close(fd);
		return error;
	}
	return fd;
}

/* An fd that waits in a queue counts against this process's limit, and beyond that nobody gets any.
 */
static bool has_unread_answers(struct client *client)
{
	if (nothing_unread(client))
		client->unread_answers = 0;
	return client->unread_answers >= UNREAD_ANSWERS_MAX;
}

int client_send_document(
	struct client *client, const struct wire_header *message, const char *document)
{
	int fd, error;

	if (has_unread_answers(client))
		return -EBUSY;
	fd = document_memfd(document, strlen(document));
	if (fd < 0)
		return fd;
	error = client_send(client, message, &fd, 1);
	if (error == 0)
		client->unread_answers++;
	close(fd);
	return error;
}

static int send_status(struct client *client)
{
	struct wire_status status = {0};
	char *document;
	int error;

	if (has_unread_answers(client)) /* before the work */
		return -EBUSY;
	document = status_document(client->server);
	if (document == NULL)
		return -ENOMEM;
	message_init(&status.header, WIRE_STATUS, sizeof status);
	status.document_size = strlen(document);
	error = client_send_document(client, &status.header, document);
	free(document);
	return error;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct client *client = userdata;

	(void)source;
	(void)usec;
	client->retry_timer = sd_event_source_disable_unref(client->retry_timer);
	client_flush(client);
	return 0;
}

/* There is room, but something else is in the way: looked at again soon, and less often the longer
 * it stays so. */
static void flush_later(struct client *client, bool progress)
{
	if (client->retry_timer != NULL)
		return;
	client->retry_usec *= 2;
	if (progress || client->retry_usec == 0)
		client->retry_usec = RETRY_MIN_USEC;
	else if (client->retry_usec > RETRY_MAX_USEC)
		client->retry_usec = RETRY_MAX_USEC;
	(void)sd_event_add_time_relative(client->server->event, &client->retry_timer,
		CLOCK_MONOTONIC, client->retry_usec, 0, on_retry, client);
}

void client_flush(struct client *client)
{
	static int (*const senders[])(struct client *) = {send_welcome, send_format, send_buffers,
		client_send_source, send_status, client_send_controls, client_send_pause};
	uint32_t had = client->owed, had_buffers = client->buffers_sent, not_now = 0;
	int error = 0;

	for (unsigned i = 0; i < sizeof senders / sizeof *senders; i++) {
		/* a suspect, which any send can make of it, gets no more than it must, until it is
		 * cleared */
		if (client_is_suspect(client))
			not_now |= CLIENT_OWED_BUFFERS | CLIENT_OWED_STATUS | CLIENT_OWED_CONTROLS |
				   CLIENT_OWED_PAUSE;
		if (!(client->owed & ~not_now & 1u << i))
			continue;
		error = senders[i](client);
		if (error == -EAGAIN)
			break;
		if (error == -EBUSY) {
			not_now |= 1u << i;
			continue;
		}
		if (error == -EPIPE || error == -ECONNRESET) {
			client_hang_up(client);
			return;
		}
		if (error < 0) {
			client_close(client, WIRE_CODE_INTERNAL, "cannot send a message: %s",
				strerror(-error));
			return;
		}
		client->owed &= ~(1u << i);
	}
	(void)sd_event_source_set_io_events(
		client->io, client->owed & ~not_now ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (client->owed & not_now)
		flush_later(client, client->owed != had || client->buffers_sent != had_buffers);
}

void client_owe(struct client *client, enum client_owed what)
{
	client->owed |= what;
	client_flush(client);
}
