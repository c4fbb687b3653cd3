/* SPDX-License-Identifier: MIT */
#include "status-text.h"

#include "terminal.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	TEXT_SIZE = 256,
	CELL_SIZE = 64,
};

static const int64_t second_ns = 1000000000;

/* The value of a key as text: strings, and numbers too. "" if there is none. */
static const char *get_text(const json_t *object, const char *key, char *text, size_t size)
{
	const json_t *value = json_object_get(object, key);

	text[0] = '\0';
	if (json_is_string(value))
		snprintf(text, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(text, size, "%g", json_real_value(value));
	return terminal_printable(text);
}

/* 64-bit values are strings. 0 if there is none. */
static int64_t get_number(const json_t *object, const char *key)
{
	char text[CELL_SIZE];

	return strtoll(get_text(object, key, text, sizeof(text)), NULL, 10);
}

/* A point of CLOCK_REALTIME in local time. */
static const char *get_time(const json_t *object, const char *key, char *text, size_t size)
{
	time_t seconds = (time_t)(get_number(object, key) / second_ns);
	struct tm local;

	text[0] = '\0';
	if (seconds > 0 && localtime_r(&seconds, &local))
		strftime(text, size, "%Y-%m-%d %H:%M:%S", &local);
	return text;
}

static void print_head(FILE *stream, const json_t *status)
{
	char camera[TEXT_SIZE], state[TEXT_SIZE], reason[TEXT_SIZE], since[CELL_SIZE];

	get_text(status, "camera", camera, sizeof(camera));
	get_text(status, "state", state, sizeof(state));
	get_text(status, "reason", reason, sizeof(reason));
	get_time(status, "since_realtime_ns", since, sizeof(since));
	if (strcmp(state, "paused") == 0 && reason[0]) { /* which says by whom and since when */
		fprintf(stream, "%s: %s\n", camera, reason);
		return;
	}
	fprintf(stream, "%s: %s%s%s%s%s\n", camera, state, since[0] ? " since " : "", since,
		reason[0] ? ": " : "", reason);
}

static void print_source(FILE *stream, const json_t *status)
{
	const json_t *source = json_object_get(status, "source");
	char uri[TEXT_SIZE], kind[TEXT_SIZE], transfer[TEXT_SIZE];

	if (json_is_string(source)) {
		fprintf(stream, "  source    %s\n", get_text(status, "source", uri, sizeof(uri)));
		return;
	}
	if (!json_is_object(source))
		return;
	get_text(source, "uri", uri, sizeof(uri));
	get_text(source, "kind", kind, sizeof(kind));
	get_text(source, "transfer", transfer, sizeof(transfer));
	fprintf(stream, "  source    %s%s%s%s\n", uri, kind[0] ? " (" : "", kind,
		kind[0] ? ")" : "");
	if (transfer[0])
		fprintf(stream, "  transfer  %s\n", transfer);
}

static void print_daemon(FILE *stream, const json_t *status)
{
	const json_t *daemon = json_object_get(status, "daemon");
	char version[TEXT_SIZE], pid[CELL_SIZE];

	if (!json_is_object(daemon))
		return;
	fprintf(stream, "  daemon    camtapd %s, pid %s\n",
		get_text(daemon, "version", version, sizeof(version)),
		get_text(daemon, "pid", pid, sizeof(pid)));
}

/* Who may read, if not everyone who may open the socket. */
static void print_access(FILE *stream, const json_t *status)
{
	const json_t *access = json_object_get(status, "access");
	char users[TEXT_SIZE], groups[TEXT_SIZE];

	get_text(access, "users", users, sizeof(users));
	get_text(access, "groups", groups, sizeof(groups));
	if (users[0] || groups[0])
		fprintf(stream, "  access    %s%s%s%s%s\n", users[0] ? "users " : "", users,
			users[0] && groups[0] ? "; " : "", groups[0] ? "groups " : "", groups);
}

static void print_format(FILE *stream, const json_t *format)
{
	char fourcc[CELL_SIZE], width[CELL_SIZE], height[CELL_SIZE];
	int64_t numerator = get_number(format, "rate_numerator");
	int64_t denominator = get_number(format, "rate_denominator");

	if (!json_is_object(format)) {
		fputs("no format yet", stream);
		return;
	}
	fprintf(stream, "%s %sx%s", get_text(format, "fourcc", fourcc, sizeof(fourcc)),
		get_text(format, "width", width, sizeof(width)),
		get_text(format, "height", height, sizeof(height)));
	if (numerator > 0 && denominator > 0)
		fprintf(stream, ", %.4g fps", (double)numerator / (double)denominator);
}

static void print_pool(FILE *stream, const json_t *stream_object)
{
	const json_t *pool = json_object_get(stream_object, "pool");
	char epoch[CELL_SIZE], slots[CELL_SIZE];

	if (!json_is_object(pool))
		return;
	fprintf(stream, "    pool    %s slots, %.1f MB, epoch %s\n",
		get_text(pool, "slots", slots, sizeof(slots)),
		(double)get_number(pool, "size_bytes") / 1e6,
		get_text(stream_object, "epoch", epoch, sizeof(epoch)));
}

/* "corrupt 3 (short 2, damaged 1)": what the number is made of. */
static void print_bad(FILE *stream, const json_t *bad)
{
	static const char *const names[] = {"error_flag", "short", "empty", "damaged"};
	const char *before = " (";

	for (size_t i = 0; i < ELEMENTS(names); i++) {
		int64_t value = get_number(bad, names[i]);

		if (value == 0)
			continue;
		fprintf(stream, "%s%s %" PRId64, before, names[i], value);
		before = ", ";
	}
	if (*before == ',')
		fputc(')', stream);
}

static void print_counter(FILE *stream, const json_t *counters, const char *name)
{
	int64_t value = get_number(counters, name);

	if (value != 0)
		fprintf(stream, ", %s %" PRId64, name, value);
}

/* What was published, and all that went wrong. */
static void print_counters(FILE *stream, const json_t *stream_object)
{
	const json_t *counters = json_object_get(stream_object, "counters");

	if (!json_is_object(counters))
		return;
	fprintf(stream, "    frames  published %" PRId64, get_number(counters, "published"));
	print_counter(stream, counters, "dropped_driver");
	print_counter(stream, counters, "corrupt");
	print_bad(stream, json_object_get(stream_object, "bad"));
	print_counter(stream, counters, "pool_empty");
	print_counter(stream, counters, "client_slow");
	print_counter(stream, counters, "revoked");
	print_counter(stream, stream_object, "skipped");
	fputc('\n', stream);
}

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_TIME,
	COLUMN_USER, /* the name of a uid */
};

static const struct {
	const char *title, *key;
	enum column_kind kind;
} columns[] = {
	{"CLIENT", "name", COLUMN_TEXT},
	{"PID", "pid", COLUMN_NUMBER},
	{"UID", "uid", COLUMN_NUMBER},
	{"USER", "uid", COLUMN_USER},
	{"PROGRAM", "program", COLUMN_TEXT},
	{"MODE", "mode", COLUMN_TEXT},
	{"LEASES", "leases", COLUMN_NUMBER},
	{"MISSED", "missed", COLUMN_NUMBER},
	{"REVOKED", "revoked", COLUMN_NUMBER},
	{"SINCE", "since_realtime_ns", COLUMN_TIME},
};

/* Users of a network are looked up here, not in the daemon: that can take a while. */
static void get_user(const json_t *client, const char *key, char cell[CELL_SIZE])
{
	const json_t *uid = json_object_get(client, key);
	const struct passwd *user =
		json_is_integer(uid) ? getpwuid((uid_t)json_integer_value(uid)) : NULL;

	snprintf(cell, CELL_SIZE, "%s", user ? user->pw_name : "");
	terminal_printable(cell);
}

static const char *get_cell(const json_t *client, size_t column, char cell[CELL_SIZE])
{
	const char *key = columns[column].key;

	if (columns[column].kind == COLUMN_TIME)
		get_time(client, key, cell, CELL_SIZE);
	else if (columns[column].kind == COLUMN_USER)
		get_user(client, key, cell);
	else
		get_text(client, key, cell, CELL_SIZE);
	return cell[0] ? cell : "-";
}

static int get_alignment(size_t column, int width)
{
	return columns[column].kind == COLUMN_NUMBER ? width : -width;
}

static void print_clients(FILE *stream, const json_t *clients)
{
	int widths[ELEMENTS(columns)];
	char cell[CELL_SIZE];
	const json_t *client;
	size_t index;

	if (json_array_size(clients) == 0)
		return;
	for (size_t i = 0; i < ELEMENTS(columns); i++) {
		widths[i] = (int)strlen(columns[i].title);
		json_array_foreach(clients, index, client)
		{
			int width = (int)strlen(get_cell(client, i, cell));

			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
	fputs("   ", stream);
	for (size_t i = 0; i < ELEMENTS(columns); i++)
		fprintf(stream, " %*s", get_alignment(i, widths[i]), columns[i].title);
	fputc('\n', stream);
	json_array_foreach(clients, index, client)
	{
		fputs("   ", stream);
		for (size_t i = 0; i < ELEMENTS(columns); i++)
			fprintf(stream, " %*s", get_alignment(i, widths[i]),
				get_cell(client, i, cell));
		fputc('\n', stream);
	}
}

void status_text_print(FILE *stream, const json_t *status)
{
	const json_t *streams = json_object_get(status, "streams");
	const json_t *observers = json_object_get(status, "observers");
	const json_t *object;
	char name[TEXT_SIZE];
	size_t index;

	print_head(stream, status);
	print_source(stream, status);
	print_access(stream, status);
	print_daemon(stream, status);
	json_array_foreach(streams, index, object)
	{
		fprintf(stream, "  stream %s: ", get_text(object, "stream", name, sizeof(name)));
		print_format(stream, json_object_get(object, "format"));
		fputc('\n', stream);
		print_pool(stream, object);
		print_counters(stream, object);
		print_clients(stream, json_object_get(object, "clients"));
	}
	if (json_array_size(observers) > 0) {
		fputs("  observers\n", stream);
		print_clients(stream, observers);
	}
}
