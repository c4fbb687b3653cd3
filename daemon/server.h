/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SERVER_H
#define CAMTAP_DAEMON_SERVER_H

/* The server thread (the process's first): accepts clients, follows the camera's changes, counts.
 */

#include "access.h"
#include "camera.h"
#include "client-log.h"
#include "client.h"
#include "controls.h"
#include "listener.h"
#include "options.h"
#include "pause.h"
#include "reaper.h"
#include "service.h"
#include "source.h"

#include <pthread.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct server {
	/* What the settings table marks for a reload may change, and is for this thread only. */
	struct options *options;
	struct source *source;
	struct listener *listener;
	sd_event *event;
	sd_event_source *accept;
	struct camera *camera;
	struct pinned pinned;
	struct reaper *reaper;
	struct controls *controls;
	struct service *service;
	struct pause_keeper *pause_keeper;
	bool paused;               /* the camera is switched off, or about to be: */
	struct camera_pause pause; /* why */
	int notify_fd;             /* eventfd: the capture thread or the reaper has news */
	int reserve_fd;            /* given up to accept, and close, when there are no fds left */
	int64_t send_unit_ns;      /* announce_calibrate() */
	uint64_t seen_version;     /* of the camera's snapshot */

	struct client *clients; /* attached or new; not those that are closing */
	uint32_t open_count;    /* those that are closing included */
	uint32_t reader_count;
	uint64_t client_numbers;                   /* given so far */
	uint64_t expelled[WIRE_CODE_INTERNAL + 1]; /* clients that were closed, by enum wire_code */
	struct uid_count { /* connections by uid, those that are closing included */
		uid_t uid;
		uint32_t count; /* 0: the place is free */
		bool told_full; /* its next client was refused, and that was logged */
	} * uid_counts;
	uint32_t uid_count_max;
	bool told_full;        /* likewise, of all clients */
	int64_t complained_ns; /* that a client could not be accepted; 0: never */
	struct client_log client_log;
	struct access access;

	struct converter *converters; /* derived streams; not those that are ending */
	uint32_t converter_count;     /* those that are ending included */

	pthread_mutex_t dead_lock;
	struct ended *ended; /* converters that are gone */
	struct client *dead; /* closed by the reaper, to be freed */
};

/* SIGTERM, SIGINT and SIGHUP wait for the event loop. To be called before there is a listener,
 * which has a socket to remove, and before any thread is made. */
void server_block_signals(void);

/* Runs until it is told to stop (SIGTERM, SIGINT) or the source has finished. Negative errno after
 * one line on standard error. `history` is told when the run has proved good. */
int server_run(struct options *options, struct source *source, struct listener *listener,
	struct start_history *history);

/* Other options hold for access, those of a configuration that was read again: who may not read any
 * more is disconnected and told. -ENOMEM: nothing has changed. */
int server_change_access(struct server *server, const struct options *options);

/* ---- derived streams (server-streams.c) ---- */

/* Finds or makes the derived stream that the client asks for (`text` of HELLO), and makes it the
 * client's. 0, or an enum wire_code and a line for people. */
enum wire_code server_join_stream(
	struct server *server, struct client *client, const char *text, char error[WIRE_TEXT_SIZE]);
/* The stream's producer has let go of one of its clients. With the last one it ends. */
void server_leave_stream(struct server *server, struct stream *stream);
/* Are there frames that the stream has still to make? Of the native one: no. */
bool server_is_behind(const struct server *server, const struct stream *stream);
/* May a derived stream still publish a frame? */
bool server_streams_are_busy(const struct server *server);

/* The request, in canonical form; "native". */
const char *server_stream_name(const struct server *server, const struct stream *stream);

/* Steps of the event loop, for all streams. */
void server_drop_finished_pools(struct server *server);
void server_follow_streams(struct server *server);
void server_release_retired(struct server *server);
/* The daemon stops, and all clients are closed: waits until no stream is left. */
void server_end_streams(struct server *server);

/* ---- the switch (client-pause.c) ---- */

/* The camera is paused from the beginning. Before camera_create(). */
void server_begin_paused(struct server *server, const struct camera_pause *pause);
/* A step of the event loop: answers those whose request is done. */
void server_settle_pauses(struct server *server);

/* ---- */

/* Counts the readers anew and tells the camera. */
void server_count_readers(struct server *server);
/* The status document (JSON, see docs/protocol.md); the caller frees it. NULL: no memory. */
char *status_document(struct server *server);

#endif
