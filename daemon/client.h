/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CLIENT_H
#define CAMTAP_DAEMON_CLIENT_H

/*
 * One connection, on the server thread: handshake, messages, what it is owed, and its end.
 *
 *   NEW --HELLO--> ATTACHED --(hang-up, a broken rule, the end of the daemon)--> CLOSING --> freed
 *
 * A reader that is ATTACHED gets a FORMAT for each epoch, maps the guard, says READY and is linked
 * in. CLOSING: it is out of the list, the capture thread lets go of it, then the reaper closes its
 * fds; until then it counts against its uid.
 */

#include "camera.h"
#include "guard-memory.h"
#include "peer.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct controls_request;
struct server;

enum client_state {
	CLIENT_NEW,
	CLIENT_ATTACHED,
	CLIENT_CLOSING,
};

/* Messages that are sent as soon as there is room; made of the state as it is then. */
enum client_owed {
	CLIENT_OWED_WELCOME = 1 << 0,
	CLIENT_OWED_FORMAT = 1 << 1,
	CLIENT_OWED_BUFFERS = 1 << 2, /* one message per slot */
	CLIENT_OWED_SOURCE = 1 << 3,
	CLIENT_OWED_STATUS = 1 << 4,
	CLIENT_OWED_CONTROLS = 1 << 5, /* controls.answers */
	CLIENT_OWED_PAUSE = 1 << 6,    /* pause: its error and text */
};

/* client-controls.c: what it asks about controls. */
struct client_controls {
	bool granted;                     /* WIRE_FEATURE_CONTROLS */
	uint32_t unanswered;              /* requests */
	struct controls_request *answers; /* to be sent, in this order */
};

/* client-pause.c: its request to switch the camera off or on; one at a time. */
struct client_pause {
	bool granted; /* WIRE_FEATURE_PAUSE */
	bool waiting; /* it is not done yet */
	bool paused;  /* what it wants */
	uint64_t token;
	uint64_t kept_as; /* pause_keep() */
	int error;        /* of the answer: 0 or a negative errno */
	char text[WIRE_TEXT_SIZE];
};

struct client {
	struct client *previous, *next;
	struct server *server;
	uint64_t number; /* no other client has it, however long the daemon runs */
	enum client_state state;
	struct peer peer;
	char name[WIRE_NAME_SIZE]; /* what it calls itself, printable */
	enum wire_mode mode;
	int64_t since_ns, since_realtime_ns; /* by CLOCK_MONOTONIC and CLOCK_REALTIME */
	bool quiet; /* refused as others were before it: that is logged once */

	int socket;
	sd_event_source *io, *exit, *hello_timer, *retry_timer;
	uint32_t owed;           /* enum client_owed */
	uint64_t retry_usec;     /* the last pause of retry_timer */
	bool told_early;         /* ONLINE instead of ENDED: to be told again */
	bool ready;              /* READY came; linked in as soon as it is no suspect any more */
	uint32_t unread_answers; /* messages with a document sent since its queue was empty */
	uint32_t probes;         /* rings over budget in a row */
	struct client_controls controls;
	struct client_pause pause;
	int64_t flood_window_ns;
	uint32_t flood_count;

	struct pool *pool;                     /* whose FORMAT it was sent or is owed; NULL: none */
	uint32_t buffers_sent, buffers_unread; /* slots of it; fds since its queue was empty */
	struct guard_memory guard;
	struct stream *
		stream; /* the one that it reads; the native one before HELLO, and of an observer */
	struct stream_reader reader;
};

/* Takes over `socket`; it is accepted, or refused (NULL) with everything cleaned up. */
int client_create(struct server *server, int socket, struct client **ret_client);

/* Says BYE (REFUSED before it was welcomed) if there is room, and begins the end. The text is for
 * people. */
void client_close(struct client *client, enum wire_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Begins the end without a word: it has hung up. */
void client_hang_up(struct client *client);

/* Closes the client (ACCESS), and gives false, if it wants to read and [Access] does not let it. */
bool client_check_access(struct client *client);

/* The camera has a new pool, or another state: the client is owed it. */
void client_offer_pool(struct client *client, struct pool *pool);
void client_forget_pool(struct client *client);
void client_tell_source(struct client *client);

/* A suspect (announce.h) is rung once, and then cleared, or disconnected, or stays one. */
void client_probe(struct client *client);

/* An answer for it, which it takes over. */
void client_answer_controls(struct client *client, struct controls_request *answer);

/* The reaper has closed its fds. */
void client_free(struct client *client);

static inline bool client_reads(const struct client *client)
{
	return client->state == CLIENT_ATTACHED && client->mode != WIRE_MODE_OBSERVE;
}

#endif
