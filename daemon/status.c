/* SPDX-License-Identifier: MIT */

/* The status document: what `camtap info --json` prints. Keys are only ever added; 64-bit values
 * are strings, because JSON's numbers are doubles to many readers; units are in the names. */

#include "converter.h"
#include "format.h"
#include "message.h"
#include "server.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static json_t *number64(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	return json_string(text);
}

static json_t *signed64(int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	return json_string(text);
}

static const char *mode_to_string(enum wire_mode mode)
{
	static const char *const names[] = {"read", "observe", "lossless"};

	return names[mode];
}

static json_t *client_to_json(const struct client *client)
{
	return json_pack("{s:s, s:i, s:I, s:s, s:s, s:i, s:o, s:o, s:o, s:b}", "name", client->name,
		"pid", (int)client->peer.pid, "uid", (json_int_t)client->peer.uid, "program",
		client->peer.program, "mode", mode_to_string(client->mode), "leases",
		(int)stream_reader_leases(client->stream, &client->reader), "missed",
		number64(atomic_load_explicit(&client->reader.target.missed, memory_order_relaxed)),
		"revoked",
		number64(atomic_load_explicit(&client->reader.pool.revoked, memory_order_relaxed)),
		"since_realtime_ns", signed64(client->since_realtime_ns), "bell",
		client->reader.target.place.bell != NULL &&
			!bell_is_closed(&client->reader.target.place));
}

/* The readers of a stream; NULL: the observers. */
static json_t *clients_to_json(const struct server *server, const struct stream *stream)
{
	json_t *list = json_array();

	for (const struct client *client = server->clients; client != NULL; client = client->next) {
		const struct stream *read = client_reads(client) ? client->stream : NULL;

		if (client->state == CLIENT_ATTACHED && read == stream)
			json_array_append_new(list, client_to_json(client));
	}
	return list;
}

static json_t *counters_to_json(struct stream *stream)
{
	struct stream_counters counters;

	stream_count(stream, &counters);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "published",
		number64(counters.published), "dropped_driver", number64(counters.dropped_driver),
		"corrupt", number64(counters.corrupt), "pool_empty", number64(counters.pool_empty),
		"client_slow", number64(counters.client_slow), "revoked",
		number64(counters.revoked));
}

static json_t *bad_to_json(struct camera *camera)
{
	uint64_t damaged[SOURCE_DAMAGE_COUNT];

	camera_count_damaged(camera, damaged);
	return json_pack("{s:o, s:o, s:o, s:o}", "error_flag",
		number64(damaged[SOURCE_DAMAGE_ERROR_FLAG]), "short",
		number64(damaged[SOURCE_DAMAGE_SHORT]), "empty",
		number64(damaged[SOURCE_DAMAGE_EMPTY]), "damaged",
		number64(damaged[SOURCE_DAMAGE_CONTENT]));
}

static json_t *format_to_json(const struct pool_format *format)
{
	char fourcc[FORMAT_TEXT_SIZE];

	format_print(format->fourcc, fourcc);
	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:I, s:i, s:i, s:i, s:i, s:i}", "fourcc",
		fourcc, "width", (int)format->width, "height", (int)format->height,
		"rate_numerator", (int)format->rate_numerator, "rate_denominator",
		(int)format->rate_denominator, "frame_size_bytes", (json_int_t)format->frame_size,
		"field", (int)format->field, "colorspace", (int)format->colorspace, "ycbcr_enc",
		(int)format->ycbcr_enc, "quantization", (int)format->quantization, "xfer_func",
		(int)format->xfer_func);
}

static json_t *pool_to_json(const struct pool *pool)
{
	bool dmabuf = pool->buffers != NULL;
	uint64_t size = pool->size;

	if (dmabuf)
		size += slot_buffers_size(pool->buffers, pool->slot_count);
	return json_pack("{s:i, s:o, s:i, s:o, s:s}", "slots", (int)pool->slot_count, "size_bytes",
		number64(size), "reserve_slots", (int)pool->reserve, "lease_min_ns",
		number64(pool->lease_min_ns), "memory", dmabuf ? "dmabuf" : "memfd");
}

/* What all streams have. Format, epoch and pool are null while there is no pool. */
static json_t *stream_to_json(const struct server *server, struct stream *stream, const char *name)
{
	const struct pool *pool = stream_pool(stream);

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "stream", name, "format",
		pool != NULL ? format_to_json(&pool->header->format) : json_null(), "epoch",
		pool != NULL ? number64(pool->header->epoch) : json_null(), "pool",
		pool != NULL ? pool_to_json(pool) : json_null(), "counters",
		counters_to_json(stream), "clients", clients_to_json(server, stream));
}

static json_t *converter_to_json(const struct server *server, struct converter *converter)
{
	json_t *object =
		stream_to_json(server, converter_stream(converter), converter_name(converter));

	json_object_set_new(object, "from", json_string(converter_origin(converter)->name));
	json_object_set_new(object, "lossless", json_boolean(converter_is_lossless(converter)));
	json_object_set_new(object, "skipped", number64(converter_skipped(converter)));
	return object;
}

/* The native one first. */
static json_t *streams_to_json(struct server *server)
{
	json_t *list = json_array(), *native;

	native = stream_to_json(server, camera_stream(server->camera), "native");
	json_object_set_new(native, "bad", bad_to_json(server->camera));
	json_array_append_new(list, native);
	for (struct converter *converter = server->converters; converter != NULL;
		converter = converter_next(converter))
		json_array_append_new(list, converter_to_json(server, converter));
	return list;
}

/* Clients that were disconnected for what they did, since the daemon's start. */
static json_t *expelled_to_json(const struct server *server)
{
	const uint64_t *expelled = server->expelled;

	return json_pack("{s:o, s:o, s:o}", "protocol", number64(expelled[WIRE_CODE_PROTOCOL]),
		"overhold", number64(expelled[WIRE_CODE_OVERHOLD]), "slow_wake",
		number64(expelled[WIRE_CODE_SLOW_WAKE]));
}

/* As configured; null where nothing was said. */
static json_t *access_to_json(const struct options *options)
{
	const char *lists[] = {options->users, options->groups};
	char texts[2][SOURCE_TEXT_SIZE];

	for (size_t i = 0; i < 2; i++) {
		if (lists[i] == NULL)
			continue;
		message_printable(texts[i], sizeof texts[i], lists[i], strlen(lists[i]));
		lists[i] = texts[i];
	}
	return json_pack("{s:s?, s:s?}", "users", lists[0], "groups", lists[1]);
}

char *status_document(struct server *server)
{
	const struct options *options = server->options;
	struct camera_snapshot snapshot;
	char uri[SOURCE_TEXT_SIZE];
	json_t *document;
	char *text;

	message_printable(uri, sizeof uri, options->source, strlen(options->source));

	camera_snapshot(server->camera, &snapshot);
	document = json_pack("{s:i, s:s, s:s, s:s, s:o, s:{s:s, s:s, s:s?}, s:o, s:o, s:{s:i, s:i, "
			     "s:i, s:o}, s:o, s:o, s:{s:s, s:i}}",
		"schema", 1, "camera", options->name, "state",
		camera_state_to_string(snapshot.state), "reason", snapshot.text,
		"since_realtime_ns", signed64(snapshot.since_realtime_ns), "source", "uri", uri,
		"kind", server->source->ops->name, "transfer", snapshot.transfer, "streams",
		streams_to_json(server), "observers", clients_to_json(server, NULL), "limits",
		"max_clients", (int)options->max_clients, "max_clients_per_uid",
		(int)options->max_clients_per_uid, "max_leases", (int)options->max_leases,
		"memory_limit_bytes", number64(options->memory_limit), "pinned_bytes",
		number64(pinned_bytes(&server->pinned)), "expelled", expelled_to_json(server),
		"daemon", "version", CAMTAP_VERSION, "pid", (int)getpid());
	if (document == NULL)
		return NULL;
	json_object_set_new(document, "access", access_to_json(options));
	text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	return text;
}
