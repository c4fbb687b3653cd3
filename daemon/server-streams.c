/* SPDX-License-Identifier: MIT */

/* The derived streams of the server: which client reads which, when one is made, and when it goes.
 */

#include "convert.h"
#include "converter.h"
#include "pool-disposal.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* NULL: it is the native stream. */
static struct converter *converter_of(const struct server *server, const struct stream *stream)
{
	struct converter *converter = server->converters;

	while (converter != NULL && converter_stream(converter) != stream)
		converter = converter_next(converter);
	return converter;
}

const char *server_stream_name(const struct server *server, const struct stream *stream)
{
	struct converter *converter = converter_of(server, stream);

	return converter != NULL ? converter_name(converter) : "native";
}

/* ---- beginning ---- */

static struct converter *find(
	const struct server *server, const struct stream_request *request, bool lossless)
{
	struct converter *converter = server->converters;

	while (converter != NULL && (!stream_request_equal(converter_request(converter), request) ||
					    converter_is_lossless(converter) != lossless ||
					    converter_failure(converter) != NULL))
		converter = converter_next(converter);
	return converter;
}

/* Can it be made of the frames that come now? True if none come yet. */
static bool can_be_made(struct server *server, const struct stream_request *request,
	char error[static WIRE_TEXT_SIZE])
{
	struct pool *pool = stream_pool(camera_stream(server->camera));
	char why[CONVERT_ERROR_SIZE];
	struct convert *convert;

	if (pool == NULL)
		return true;
	if (convert_create(&pool->header->format, request, CONVERT_LENIENT, &convert, why) < 0) {
		snprintf(error, WIRE_TEXT_SIZE, "%s", why);
		return false;
	}
	convert_destroy(convert);
	return true;
}

static bool is_jpeg(struct server *server)
{
	const struct pool *pool = stream_pool(camera_stream(server->camera));
	uint32_t fourcc = pool != NULL ? pool->header->format.fourcc : 0;

	return fourcc == V4L2_PIX_FMT_MJPEG || fourcc == V4L2_PIX_FMT_JPEG;
}

/* Has a stream of this pixel format all that one of the other needs? */
static bool contains(uint32_t fourcc, uint32_t other)
{
	switch (fourcc) {
	case V4L2_PIX_FMT_RGB24:
	case V4L2_PIX_FMT_BGR24:
	case V4L2_PIX_FMT_XBGR32:
		return other == V4L2_PIX_FMT_RGB24 || other == V4L2_PIX_FMT_BGR24 ||
		       other == V4L2_PIX_FMT_XBGR32;
	case V4L2_PIX_FMT_YUV420:
	case V4L2_PIX_FMT_NV12:
		return other == V4L2_PIX_FMT_GREY || other == V4L2_PIX_FMT_YUV420 ||
		       other == V4L2_PIX_FMT_NV12;
	default:
		return fourcc == other;
	}
}

/* Whole factors only: means of means of as many pixels are their means. (0: of the camera's own
 * size, whatever that is or will be.) */
static bool is_multiple(uint32_t size, uint32_t of)
{
	return size > 0 && of > 0 && size % of == 0;
}

static bool can_feed(struct converter *parent, const struct stream_request *request, bool lossless)
{
	const struct stream_request *has = converter_request(parent);

	return converter_failure(parent) == NULL && converter_is_lossless(parent) == lossless &&
	       contains(has->fourcc, request->fourcc) && is_multiple(has->width, request->width) &&
	       is_multiple(has->height, request->height) &&
	       memcmp(&has->crop, &request->crop, sizeof has->crop) == 0 &&
	       (has->rate_numerator == 0 ||
		       (has->rate_numerator == request->rate_numerator &&
			       has->rate_denominator == request->rate_denominator));
}

/* Decoding a JPEG costs more than all the rest: it is done once, if one stream can be made of
 * another. The smallest that will do; NULL: of the native one. */
static struct converter *find_parent(
	struct server *server, const struct stream_request *request, bool lossless)
{
	struct converter *best = NULL;

	if (!is_jpeg(server))
		return NULL;
	for (struct converter *converter = server->converters; converter != NULL;
		converter = converter_next(converter))
		if (can_feed(converter, request, lossless) &&
			(best == NULL || converter_request(converter)->width <
						 converter_request(best)->width))
			best = converter;
	return best;
}

/* What is left to do when a converter is gone. */
struct ended {
	struct server *server;
	struct converter *parent; /* which it read; NULL: the native stream */
	struct ended *next;
};

static int make(struct server *server, const struct stream_request *request, bool lossless,
	struct converter **ret_converter)
{
	struct converter_setup setup = {.options = server->options,
		.pinned = &server->pinned,
		.reaper = server->reaper,
		.notify_fd = server->notify_fd,
		.send_unit_ns = server->send_unit_ns};
	struct converter_origin origin = {
		.stream = camera_stream(server->camera), .name = "native"};
	struct converter *parent = find_parent(server, request, lossless);
	struct ended *ended = calloc(1, sizeof *ended);
	int r;

	if (ended == NULL)
		return -ENOMEM;
	if (parent != NULL)
		origin = (struct converter_origin){.stream = converter_stream(parent),
			.name = converter_name(parent),
			.cropped = true};
	*ended = (struct ended){.server = server, .parent = parent};
	r = converter_create(&setup, request, lossless, &origin, ended, ret_converter);
	if (r < 0) {
		free(ended);
		return r;
	}
	if (parent != NULL)
		(void)converter_add_clients(parent, 1);
	server->converter_count++;
	converter_set_next(*ret_converter, server->converters);
	server->converters = *ret_converter;
	converter_follow(*ret_converter);
	return 0;
}

/* Who leaves one stream for another finds room, though the first takes a moment to end: those that
 * are ending count apart, as many as may live. */
static bool is_full(const struct server *server)
{
	uint32_t max = server->options->max_streams, alive = 0;

	for (struct converter *converter = server->converters; converter != NULL;
		converter = converter_next(converter))
		alive++;
	return alive >= max || server->converter_count >= 2 * max;
}

enum wire_code server_join_stream(
	struct server *server, struct client *client, const char *text, char error[WIRE_TEXT_SIZE])
{
	bool lossless = client->mode == WIRE_MODE_LOSSLESS;
	char why[STREAM_REQUEST_ERROR_SIZE];
	struct stream_request request;
	struct converter *converter;

	if (stream_request_parse(text, &request, why) < 0) {
		snprintf(error, WIRE_TEXT_SIZE, "%s", why);
		return WIRE_CODE_STREAM;
	}
	if (server->source->exports) {
		snprintf(error, WIRE_TEXT_SIZE, "%s", CONVERTER_NO_DMABUF);
		return WIRE_CODE_STREAM;
	}
	converter = find(server, &request, lossless);
	if (converter == NULL && !can_be_made(server, &request, error))
		return WIRE_CODE_STREAM;
	if (converter == NULL && is_full(server)) {
		snprintf(error, WIRE_TEXT_SIZE,
			"%" PRIu32 " derived streams are made, which is the limit (max_streams)",
			server->options->max_streams);
		return WIRE_CODE_BUSY;
	}
	if (converter == NULL) {
		int r = make(server, &request, lossless, &converter);

		if (r < 0) {
			snprintf(error, WIRE_TEXT_SIZE, "cannot make another stream: %s",
				strerror(-r));
			return WIRE_CODE_INTERNAL;
		}
	}
	client->stream = converter_stream(converter);
	(void)converter_add_clients(converter, 1);
	return 0;
}

/* ---- the end ---- */

/* On the reaper's thread. */
static void on_ended(void *userdata)
{
	struct ended *ended = userdata;
	struct server *server = ended->server;

	pthread_mutex_lock(&server->dead_lock);
	ended->next = server->ended;
	server->ended = ended;
	pthread_mutex_unlock(&server->dead_lock);
	(void)eventfd_write(server->notify_fd, 1);
}

static void take_out(struct server *server, struct converter *converter)
{
	struct converter *before = server->converters;

	if (before == converter) {
		server->converters = converter_next(converter);
		return;
	}
	while (converter_next(before) != converter)
		before = converter_next(before);
	converter_set_next(before, converter_next(converter));
}

static void leave(struct server *server, struct converter *converter)
{
	if (converter_add_clients(converter, -1) > 0)
		return;
	take_out(server, converter);
	converter_end(converter, on_ended);
	(void)eventfd_write(server->notify_fd, 1);
}

void server_leave_stream(struct server *server, struct stream *stream)
{
	struct converter *converter = converter_of(server, stream);

	if (converter != NULL)
		leave(server, converter);
}

/* Those that are gone do not read any more, either. */
static void settle_ended(struct server *server)
{
	struct ended *ended;

	pthread_mutex_lock(&server->dead_lock);
	ended = server->ended;
	server->ended = NULL;
	pthread_mutex_unlock(&server->dead_lock);
	while (ended != NULL) {
		struct ended *next = ended->next;

		server->converter_count--;
		if (ended->parent != NULL)
			leave(server, ended->parent);
		free(ended);
		ended = next;
	}
}

/* ---- what the event loop does with all streams ---- */

static void close_clients_of(struct server *server, const struct stream *stream, const char *why)
{
	struct client *next;

	for (struct client *client = server->clients; client != NULL; client = next) {
		next = client->next;
		if (client->stream == stream)
			client_close(client, WIRE_CODE_STREAM, "%s", why);
	}
}

static void drop_finished_pools(struct server *server, struct stream *stream)
{
	struct pool *pool;

	while ((pool = stream_take_finished(stream)) != NULL) {
		/* held frames stay as they are: nothing writes into this pool any more */
		for (struct client *client = server->clients; client != NULL;
			client = client->next) {
			if (client->pool == pool)
				client_forget_pool(client);
		}
		for (struct converter *converter = server->converters; converter != NULL;
			converter = converter_next(converter))
			converter_forget(converter, pool);
		pool_unref(pool, server->reaper, &server->pinned);
	}
}

void server_drop_finished_pools(struct server *server)
{
	drop_finished_pools(server, camera_stream(server->camera));
	for (struct converter *converter = server->converters; converter != NULL;
		converter = converter_next(converter))
		drop_finished_pools(server, converter_stream(converter));
}

/* Why it cannot go on: itself, or what it is made of. */
static const char *failure_of(struct server *server, struct converter *converter)
{
	const char *failure = NULL;

	while (converter != NULL && failure == NULL) {
		failure = converter_failure(converter);
		converter = converter_of(server, converter_origin(converter)->stream);
	}
	return failure;
}

void server_follow_streams(struct server *server)
{
	struct converter *next;

	for (struct converter *converter = server->converters; converter != NULL;
		converter = next) {
		const char *failure = failure_of(server, converter);

		next = converter_next(converter);
		if (failure != NULL)
			close_clients_of(server, converter_stream(converter), failure);
		else
			converter_follow(converter);
	}
}

void server_release_retired(struct server *server)
{
	struct converter *next;

	stream_release_retired(camera_stream(server->camera));
	for (struct converter *converter = server->converters; converter != NULL;
		converter = next) {
		next = converter_next(converter);
		/* with its last client it is not in the list any more */
		stream_release_retired(converter_stream(converter));
	}
	settle_ended(server);
}

bool server_is_behind(const struct server *server, const struct stream *stream)
{
	struct converter *converter = converter_of(server, stream);

	while (converter != NULL && !converter_is_behind(converter))
		converter = converter_of(server, converter_origin(converter)->stream);
	return converter != NULL;
}

bool server_streams_are_busy(const struct server *server)
{
	struct converter *converter = server->converters;

	while (converter != NULL && !converter_is_busy(converter))
		converter = converter_next(converter);
	return converter != NULL;
}

void server_end_streams(struct server *server)
{
	for (;;) {
		struct pollfd pollfd = {.fd = server->notify_fd, .events = POLLIN};
		eventfd_t count;

		server_drop_finished_pools(server);
		server_release_retired(server);
		if (server->converter_count == 0)
			break;
		(void)poll(&pollfd, 1, -1);
		(void)eventfd_read(server->notify_fd, &count);
	}
}
