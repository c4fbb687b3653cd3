/* SPDX-License-Identifier: MIT */
#include "client-log.h"

#include "clock.h"
#include "log-messages.h"
#include "log.h"
#include "server.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TELL_LEFT_OUT_USEC UINT64_C(60000000)
#define WHO_SIZE           (PEER_PROGRAM_SIZE + WIRE_NAME_SIZE + 16)
#define SPAN_SIZE          48

/* ---- lines that were left out ---- */

static void tell_left_out(struct server *server)
{
	uint64_t lines;
	bool shared;
	uid_t uid;

	while (log_user_limit_take(&server->client_log.limit, &uid, &shared, &lines)) {
		struct log_fields fields = {
			.message_id = LOG_LINES_LEFT_OUT, .camera = server->options->name};
		char who[32] = "many users";

		if (!shared)
			snprintf(who, sizeof who, "uid %u", (unsigned)uid);
		log_event(LOG_NOTICE, &fields,
			"%" PRIu64 " lines about clients of %s were left out: they come and go too "
			"often",
			lines, who);
	}
}

static int on_time_to_tell(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct server *server = userdata;

	(void)source;
	(void)usec;
	server->client_log.timer = sd_event_source_disable_unref(server->client_log.timer);
	tell_left_out(server);
	return 0;
}

void client_log_finish(struct server *server)
{
	tell_left_out(server);
	server->client_log.timer = sd_event_source_disable_unref(server->client_log.timer);
}

static bool is_permitted(const struct client *client)
{
	struct server *server = client->server;
	struct client_log *log = &server->client_log;

	if (log_user_limit_permits(&log->limit, client->peer.uid, clock_now()))
		return true;
	if (log->timer == NULL)
		(void)sd_event_add_time_relative(server->event, &log->timer, CLOCK_MONOTONIC,
			TELL_LEFT_OUT_USEC, 0, on_time_to_tell, server);
	return false;
}

/* ---- lines ---- */

/* What it says of itself: " (face_detect, "door")". */
static void print_claims(const struct client *client, char ret_text[WHO_SIZE])
{
	const char *program = client->peer.program, *name = client->name;

	ret_text[0] = '\0';
	if (program[0] != '\0' || name[0] != '\0')
		snprintf(ret_text, WHO_SIZE, " (%s%s%s%s%s)", program,
			program[0] != '\0' && name[0] != '\0' ? ", " : "",
			name[0] != '\0' ? "\"" : "", name, name[0] != '\0' ? "\"" : "");
}

/* "reader 1234 of uid 1000 ... (face_detect, "door")" */
__attribute__((format(printf, 4, 5))) static void say(
	const struct client *client, int priority, const char *message_id, const char *format, ...)
{
	struct log_fields fields = {.message_id = message_id,
		.camera = client->server->options->name,
		.peer = &client->peer,
		.client = client->name};
	char text[WIRE_TEXT_SIZE + SPAN_SIZE + 64], claims[WHO_SIZE];
	va_list arguments;

	if (!is_permitted(client))
		return;
	if (client_reads(client))
		fields.stream = server_stream_name(client->server, client->stream);
	print_claims(client, claims);
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	log_event(priority, &fields, "%s %d of uid %u %s%s",
		client_reads(client) ? "reader" : "client", (int)client->peer.pid,
		(unsigned)client->peer.uid, text, claims);
}

/* "12 s", "5 min", "3 h 20 min", "2 d 3 h" */
static void print_time_since(int64_t since_ns, char ret_text[SPAN_SIZE])
{
	int64_t s = (clock_now() - since_ns) / NSEC_PER_SEC;

	if (s < 60)
		snprintf(ret_text, SPAN_SIZE, "%" PRId64 " s", s);
	else if (s < 60 * 60)
		snprintf(ret_text, SPAN_SIZE, "%" PRId64 " min", s / 60);
	else if (s < 24 * 60 * 60)
		snprintf(ret_text, SPAN_SIZE, "%" PRId64 " h %" PRId64 " min", s / 3600,
			s / 60 % 60);
	else
		snprintf(ret_text, SPAN_SIZE, "%" PRId64 " d %" PRId64 " h", s / 86400,
			s / 3600 % 24);
}

void client_log_attached(const struct client *client)
{
	if (client_reads(client))
		say(client, LOG_INFO, LOG_READER_ATTACHED, "reads %s%s",
			server_stream_name(client->server, client->stream),
			client->mode == WIRE_MODE_LOSSLESS ? ", lossless" : "");
}

/* Without a reason: it has hung up. */
static void say_gone(const struct client *client, int priority, const char *why)
{
	char span[SPAN_SIZE];

	print_time_since(client->since_ns, span);
	say(client, priority, LOG_READER_GONE, "is gone after %s%s%s", span, *why ? ": " : "", why);
}

void client_log_gone(const struct client *client)
{
	if (client_reads(client))
		say_gone(client, LOG_INFO, "");
}

void client_log_closed(const struct client *client, enum wire_code code, const char *text)
{
	bool attached = client->state == CLIENT_ATTACHED;

	switch (code) {
	case WIRE_CODE_PROTOCOL:
	case WIRE_CODE_OVERHOLD:
	case WIRE_CODE_SLOW_WAKE:
		say(client, LOG_WARNING, LOG_CLIENT_EXPELLED, "was disconnected: %s", text);
		break;
	case WIRE_CODE_ACCESS:
		say(client, LOG_WARNING, LOG_CLIENT_DENIED, "was %s: %s",
			attached ? "disconnected" : "refused", text);
		break;
	case WIRE_CODE_BUSY:
		if (!client->quiet)
			say(client, LOG_INFO, LOG_CLIENT_REFUSED, "was refused: %s", text);
		break;
	case WIRE_CODE_SHUTDOWN:
		if (client_reads(client))
			say_gone(client, LOG_INFO, text);
		break;
	default:
		if (attached)
			say_gone(client, code == WIRE_CODE_INTERNAL ? LOG_WARNING : LOG_INFO, text);
		else
			say(client, code == WIRE_CODE_INTERNAL ? LOG_WARNING : LOG_INFO,
				LOG_CLIENT_REFUSED, "was refused: %s", text);
		break;
	}
}
