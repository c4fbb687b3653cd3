/* SPDX-License-Identifier: MIT */
#include "service.h"

#include "clock.h"
#include "format.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define TEXT_SIZE 640
/* Readers that come and go in a storm make one status text in that time. */
#define TELL_USEC UINT64_C(50000)
/* Looks of the watchdog's timer in WatchdogSec=, and how many of them make one measurement of the
 * rate. */
#define LOOKS            8
#define LOOKS_TO_MEASURE 2
/* How long a run must last to have been good. */
#define GOOD_USEC UINT64_C(1000000)

struct service {
	struct server *server;
	struct start_history *history;
	sd_event_source *watchdog, *tell, *good;
	uint64_t watchdog_usec; /* between two looks */
	bool telling;           /* service_ready() was called */
	char text[TEXT_SIZE];   /* the last status text */

	/* The measured rate: frames from one look of the watchdog to another. */
	unsigned looks;
	uint64_t published;
	int64_t looked_ns;
	double rate; /* negative: not known yet */
};

/* ---- status text ---- */

static void measure(struct service *service, bool streaming)
{
	struct stream_counters counters;
	int64_t now = clock_now();

	stream_count(camera_stream(service->server->camera), &counters);
	if (streaming && service->looked_ns != 0)
		service->rate = (double)(counters.published - service->published) * NSEC_PER_SEC /
				(double)(now - service->looked_ns);
	else
		service->rate = -1;
	service->published = counters.published;
	service->looked_ns = streaming ? now : 0;
}

static void print_format(const struct service *service, char *text, size_t size)
{
	const struct pool *pool = stream_pool(camera_stream(service->server->camera));
	const struct pool_format *format;
	char fourcc[FORMAT_TEXT_SIZE];
	size_t length;

	*text = '\0';
	if (pool == NULL)
		return;
	format = &pool->header->format;
	format_print(format->fourcc, fourcc);
	snprintf(text, size, "%" PRIu32 "x%" PRIu32 " %s, ", format->width, format->height, fourcc);
	length = strlen(text);
	if (service->rate >= 0)
		snprintf(text + length, size - length, "%.1f frames/s, ", service->rate);
	else if (format->rate_numerator > 0)
		snprintf(text + length, size - length, "%.4g frames/s asked for, ",
			(double)format->rate_numerator / format->rate_denominator);
}

/* "streaming: 1280x720 MJPG, 29.9 frames/s, 3 readers"; "offline: unplugged, 3 readers" */
static void print_status(const struct service *service, char text[static TEXT_SIZE])
{
	const struct server *server = service->server;
	struct camera_snapshot snapshot;
	char format[128] = "";

	camera_snapshot(server->camera, &snapshot);
	if (snapshot.state == CAMERA_STREAMING)
		print_format(service, format, sizeof format);
	snprintf(text, TEXT_SIZE, "%s: %s%.400s%s%" PRIu32 " reader%s",
		camera_state_to_string(snapshot.state), format, snapshot.text,
		snapshot.text[0] != '\0' ? ", " : "", server->reader_count,
		server->reader_count == 1 ? "" : "s");
}

/* `with`: other assignments of sd_notify(3), each with its newline. */
static void tell(struct service *service, const char *with)
{
	char text[TEXT_SIZE];
	bool news;

	print_status(service, text);
	news = strcmp(text, service->text) != 0;
	if (news)
		sd_notifyf(0, "%sSTATUS=%s", with, text);
	else if (*with != '\0')
		sd_notify(0, with);
	memcpy(service->text, text, sizeof text);
}

static int on_tell(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;

	(void)source;
	(void)usec;
	service->tell = sd_event_source_disable_unref(service->tell);
	tell(service, "");
	return 0;
}

void service_changed(struct service *service)
{
	if (!service->telling || service->tell != NULL)
		return;
	(void)sd_event_add_time_relative(service->server->event, &service->tell, CLOCK_MONOTONIC,
		TELL_USEC, TELL_USEC, on_tell, service);
}

/* ---- timers ---- */

static bool is_streaming(const struct service *service)
{
	struct camera_snapshot snapshot;

	camera_snapshot(service->server->camera, &snapshot);
	return snapshot.state == CAMERA_STREAMING;
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;
	struct camera *camera = service->server->camera;

	(void)usec;
	if (++service->looks % LOOKS_TO_MEASURE == 0)
		measure(service, is_streaming(service));
	if (camera_is_alive(camera)) {
		tell(service, "WATCHDOG=1\n");
		camera_ping(camera);
	}
	/* from now, not from when it was due: what was missed on a busy machine is not caught up
	 * on */
	(void)sd_event_source_set_time_relative(source, service->watchdog_usec);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* This run was good if it is in one piece a second after its start, and a second after its camera
 * was opened, if there is a reader who wants that: a daemon that crashes at each first frame has
 * not begun well. */
static int on_good(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;
	struct camera_snapshot snapshot;
	int64_t age;

	(void)usec;
	camera_snapshot(service->server->camera, &snapshot);
	age = clock_read(CLOCK_REALTIME) - snapshot.since_realtime_ns;
	if (snapshot.state == CAMERA_OPENING ||
		(snapshot.state == CAMERA_STREAMING && age >= 0 &&
			age < (int64_t)GOOD_USEC * NSEC_PER_USEC / 2)) {
		(void)sd_event_source_set_time_relative(source, GOOD_USEC);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	start_history_forget(service->history);
	return 0;
}

/* ---- life ---- */

int service_create(
	struct server *server, struct start_history *history, struct service **ret_service)
{
	struct service *service = calloc(1, sizeof *service);
	uint64_t limit_usec;
	int error;

	if (service == NULL)
		return -ENOMEM;
	service->server = server;
	service->history = history;
	service->rate = -1;
	error = sd_watchdog_enabled(0, &limit_usec);
	if (error > 0) {
		service->watchdog_usec = limit_usec / LOOKS;
		error = sd_event_add_time_relative(server->event, &service->watchdog,
			CLOCK_MONOTONIC, service->watchdog_usec, service->watchdog_usec / 4,
			on_watchdog, service);
	}
	if (error >= 0 && history != NULL && history->path[0] != '\0')
		error = sd_event_add_time_relative(server->event, &service->good, CLOCK_MONOTONIC,
			GOOD_USEC, 0, on_good, service);
	if (error < 0) {
		service_destroy(service);
		return error;
	}
	*ret_service = service;
	return 0;
}

void service_destroy(struct service *service)
{
	if (service == NULL)
		return;
	sd_event_source_disable_unref(service->watchdog);
	sd_event_source_disable_unref(service->tell);
	sd_event_source_disable_unref(service->good);
	free(service);
}

void service_ready(struct service *service)
{
	service->telling = getenv("NOTIFY_SOCKET") != NULL;
	tell(service, "READY=1\n");
}

void service_reloading(struct service *service)
{
	(void)service;
	/* Type=notify-reload wants to know that this is the answer to its own signal */
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_now() / NSEC_PER_USEC);
}

void service_stopping(struct service *service)
{
	service->telling = false;
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}
