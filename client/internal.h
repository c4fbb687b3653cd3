/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_INTERNAL_H
#define CAMTAP_INTERNAL_H

/*
 * The inside of libcamtap. A handle is used by one thread at a time; only what frames need when
 * they are released, by whichever thread, is shared, and lives as long as the last of them:
 *
 *   struct camtap ──────────► struct connection ◄─── struct attachment ◄─── struct camtap_frame
 *        │                     (socket)               (pool and guard)             │
 *        └──────────────────► struct leases ◄──────────────────────────────────────┘
 *
 * connection and attachment are counted references; leases goes with the handle and the last frame.
 */

#include "address.h"
#include "camtap.h"
#include "hot.h"
#include "pool-layout.h"
#include "wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NEVER     INT64_MAX

/* CLOCK_MONOTONIC, in nanoseconds. */
int64_t now_ns(void);

/* ---- leases.c: how many frames are held, and the eventfd that says "look again" ---- */

struct attachment;

/* In memory of its own, which fork() wipes. */
struct leases {
	volatile bool ours; /* false in a forked child */
	/* Without the lock, so that a frame costs none: */
	_Atomic unsigned held, max;
	_Atomic unsigned references;        /* the handle and each frame */
	_Atomic bool blocked;               /* who gives one back should look: leases_give_back() */
	struct camtap_frame *_Atomic spare; /* allocated, for the next frame; or NULL */
	/* Over all that follows, which releases touch only as long as `blocked` is set: before and
	 * after that it is the handle's thread's alone. */
	pthread_mutex_t lock;
	/* As leases_update() found it: the program sleeps until one is given back, and then either
	 * there was a frame all the time, or frames can wake it again. */
	bool pending;
	struct leases_rearm {
		/* A bell was made to swallow frames: they are to come as messages again. NULL: none
		 * was, and `fd` (-1: none) is to be looked at by epoll again. */
		struct attachment *attachment;
		uint64_t cursor; /* its, then: the handle's thread may be about to move it */
		int epoll_fd, fd;
		uint32_t events;
		bool done; /* the release has done it, for the fd */
	} rearm;
	int event_fd; /* -1 once the handle is closed */
	bool event_set;
};

int leases_create(struct leases **ret_leases);
/* False in a forked child, which must then touch nothing else. */
static inline bool leases_ours(const struct leases *leases)
{
	return leases->ours;
}

void leases_set_max(struct leases *leases, unsigned max);
/* Takes one, and the memory for its frame, which is not initialised. -ENOBUFS at the limit,
 * -ENOMEM.
 */
int leases_take(struct leases *leases, struct camtap_frame **ret_frame);
/* Lets the memory that leases_take() touches, and that of the frame, come into the caches. */
void leases_prefetch(struct leases *leases);
/* Gives both back, from any thread; wakes the program that is at its limit. May free. */
void leases_give_back(struct leases *leases, struct camtap_frame *frame);
/* Makes the eventfd readable, or not: always, or only below the limit. True: it is reached. */
bool leases_update(struct leases *leases, bool always, bool below_limit);
/* At the limit: what the release that ends it has to do so that frames wake the program again;
 * NULL: nothing. A reference to the attachment is taken over. True: the last one was done. */
bool leases_set_rearm(struct leases *leases, const struct leases_rearm *rearm);
/* The handle is gone. May free. */
void leases_close(struct leases *leases);

/* ---- attachment.c: the pool and the guard of an epoch, mapped ---- */

/* A socket to the daemon. Frames keep it open: the daemon takes a hang-up for a release of all. */
struct connection {
	_Atomic unsigned references;
	int socket;
};

int connection_create(int socket, struct connection **ret_connection);
struct connection *connection_ref(struct connection *connection);
void connection_unref(struct connection *connection);

/* A slot in dma-bufs, one for each memory plane. */
struct buffer {
	struct pool_slot_memory memory;
	struct buffer_plane {
		int fd;
		bool dmabuf; /* else a sealed memfd */
		void *map;   /* the dma-buf from its start */
		size_t map_size;
		uint32_t offset; /* of the memory plane in it */
		uint64_t modifier;
	} planes[POOL_PLANES_MAX];
};

struct attachment {
	_Atomic unsigned references;
	struct connection *connection;
	struct pool_view view;
	struct buffers *buffers; /* NULL: the slots are in the pool */
	uint8_t *guard;
	size_t guard_size;     /* bytes */
	uint32_t guard_stride; /* bytes */
	struct bell *bell;     /* NULL: there is none */
	/* The handle's thread only: */
	uint64_t cursor;  /* position to look at next */
	uint64_t counted; /* up to here frames were returned or counted as missed */
	bool started;     /* a frame was returned */
};

/* Checks and maps what came with FORMAT; the fds stay the caller's (bell_fd -1: there is none).
 * -EBADMSG, -EPROTONOSUPPORT, or what mmap says; *ret_why is then static text. If
 * attachment->buffers is not NULL, they must be filled before anything is taken. */
int attachment_create(struct connection *connection, const struct wire_format *format, int pool_fd,
	int guard_fd, int bell_fd, struct attachment **ret_attachment, const char **ret_why);
struct attachment *attachment_ref(struct attachment *attachment);
void attachment_unref(struct attachment *attachment);

/* Lets the memory that taking the next frame touches come into the caches. */
void attachment_prefetch(const struct attachment *attachment);
/* Has the daemon set up the guard? */
bool attachment_linked(const struct attachment *attachment);
/* The position of the newest frame; what came before it can be seen by the caller. */
uint64_t attachment_newest(const struct attachment *attachment);
/* Is there a frame to take in [from, to]? */
bool attachment_available(const struct attachment *attachment, uint64_t from, uint64_t to);

enum attachment_outcome {
	ATTACHMENT_TAKEN,
	ATTACHMENT_GONE,     /* overwritten, or never a frame */
	ATTACHMENT_UNLINKED, /* the daemon has not set up the guard yet, and will wake us then */
};

/* Locks the frame at `position` and copies its descriptor into `frame`. */
enum attachment_outcome attachment_take(
	struct attachment *attachment, uint64_t position, struct camtap_frame *frame);
/* Takes the first frame that is still there in [cursor, to], or the newest in it, and moves the
 * cursor. */
enum attachment_outcome attachment_take_next(
	struct attachment *attachment, uint64_t to, struct camtap_frame *frame);
enum attachment_outcome attachment_take_latest(
	struct attachment *attachment, uint64_t to, struct camtap_frame *frame);
/* Unlocks it; any thread. False: it was revoked. */
bool attachment_give_back(struct attachment *attachment, uint32_t slot, uint64_t generation);
bool attachment_holds(const struct attachment *attachment, uint32_t slot, uint64_t generation);

/* Has the memfd these seals, and this size? The daemon may be less privileged than this process:
 * what is not sealed could be cut off under our feet (SIGBUS), or be changed by others. */
bool memory_sealed(int fd, int seals, uint64_t size);

/* ---- bell.c: sleeping until a frame comes, without the socket ---- */

struct bell;

/* Maps a reader's word of a bell; the fd stays the caller's. `listens` is in its guard. -EBADMSG,
 * or what mmap says. */
int bell_map(
	int fd, uint32_t size, uint32_t offset, _Atomic uint32_t *listens, struct bell **ret_bell);
void bell_unmap(struct bell *bell); /* NULL is allowed */

/* Can it be slept on? Else messages tell of frames. */
bool bell_serves(const struct bell *bell);
/* Frames come as messages, and ring no more. What came without is seen by a look after this. Any
 * thread. */
void bell_stop_listening(struct bell *bell);
/* Frames neither ring nor come as messages: it is going to look before it sleeps. */
void bell_be_busy(struct bell *bell);

enum bell_outcome {
	BELL_LOOK,    /* there may be a frame, or the time is over */
	BELL_MESSAGE, /* there may be a message: look at the socket, then for a frame */
	BELL_QUIET,   /* nothing came for so long: sleep on the socket, then call bell_slept() */
};

/* Sleeps until there is a message or a frame at the attachment's cursor; `deadline`
 * (CLOCK_MONOTONIC) 0: does not sleep, NEVER: for ever. enum bell_outcome, or -EINTR. */
int bell_wait(struct bell *bell, int64_t deadline, const struct attachment *attachment);
/* So long nothing came at the socket. */
void bell_slept(struct bell *bell, int64_t time_ns);

/* ---- buffers.c: slots in dma-bufs ---- */

struct buffers {
	uint32_t slot_count;
	uint32_t filled; /* those that came */
	struct buffer slots[];
};

int buffers_create(uint32_t slot_count, struct buffers **ret_buffers);
void buffers_destroy(struct buffers *buffers); /* NULL is allowed */
/* Checks and maps what came with BUFFER, the next slot's. The fds are taken over on success, and
 * those are -1 then. `frame_size`: bytes that must have room. -EBADMSG, or what mmap says. */
int buffers_add(struct buffers *buffers, const struct wire_buffer *message, int *fds,
	size_t fd_count, uint64_t frame_size);
bool buffers_complete(const struct buffers *buffers);
/* The processor is going to look at a memory plane: where it starts, or NULL if the kernel does not
 * allow it. `open` is a set of the memory planes that it looks at. Any thread. */
const uint8_t *buffer_begin_access(
	const struct buffer *buffer, uint32_t memory, _Atomic uint32_t *open);
/* It has finished with those. */
void buffer_end_access(const struct buffer *buffer, uint32_t open);

/* ---- frame.c ---- */

struct camtap_frame {
	struct leases *leases;
	struct attachment *attachment;
	uint32_t slot;
	uint64_t generation;
	uint64_t missed;
	int64_t realtime_offset;     /* ns, as it was when the frame was taken */
	struct pool_frame info;      /* checked copy */
	_Atomic uint32_t cpu_access; /* dma-bufs: memory planes that the processor looks at */
};

/* ---- events.c: what the program is to be told, in order with the frames ---- */

#define EVENTS_MAX 8

struct event {
	enum camtap_outcome outcome;   /* CAMTAP_TRY_AGAIN: nothing is told */
	uint64_t after;                /* frames up to this position come first */
	struct attachment *attachment; /* from here on frames are of this one; NULL: no change */
	char text[WIRE_TEXT_SIZE];
};

/* A queue. If a program does not ask for so long that it is full, the newest entry is replaced. */
struct events {
	unsigned first, count;
	struct event entries[EVENTS_MAX];
	/* What the program knows of the camera, or will: ONLINE, OFFLINE, PAUSED or ENDED. */
	enum camtap_outcome told;
	char told_text[WIRE_TEXT_SIZE];
	bool told_away; /* OFFLINE because there is no daemon */
};

const struct event *events_head(const struct camtap *camera);
/* Takes the head off the queue, changes to its attachment, and returns its outcome. */
enum camtap_outcome events_pop(struct camtap *camera);
void events_finish(struct camtap *camera);
/* A new attachment (reference taken over); FORMAT, DISCONTINUITY or nothing is told. */
void events_push_attachment(struct camtap *camera, struct attachment *attachment);
/* The daemon's word on the camera. */
void events_push_source(struct camtap *camera, const struct wire_source *source);
/* There is no daemon. */
void events_push_away(struct camtap *camera, const char *text);

/* ---- connection.c: from connect() to FORMAT, and back again ---- */

enum connection_state {
	CONNECTION_NEW,      /* before camtap_connect() */
	CONNECTION_WAITING,  /* no socket; the next attempt is at retry_at */
	CONNECTION_GREETING, /* HELLO is sent */
	CONNECTION_ATTACHED, /* WELCOME came */
	CONNECTION_REFUSED,  /* for good: `refused` says why */
};

enum connection_owed {
	CONNECTION_OWED_READY = 1 << 0,
	CONNECTION_OWED_STATUS = 1 << 1,
	CONNECTION_OWED_CONTROLS = 1 << 2,
	CONNECTION_OWED_PAUSE = 1 << 3,
};

/* The first attempt, to `camera->path`. */
int connection_start(struct camtap *camera);
/* Does what is due; `receive`: and reads the messages that are there. */
void connection_run(struct camtap *camera, bool receive);
/* Lets go of the socket without a word. */
void connection_close(struct camtap *camera);
/* What receive.c finds out. All of these let go of the connection; there may be another one at
 * once. */
/* It hung up, or is about to. */
void connection_lose(struct camtap *camera);
/* It wants no more of us for now, and said why: */
void connection_dismissed(struct camtap *camera, const char *text);
/* Nothing will ever come of it, as every camtap_next() says from now on: */
void connection_give_up(struct camtap *camera, int error, const char *text);
/* What it says cannot be. At first that is an error, for somebody will look; a program that has
 * been running goes on as without a daemon, since a better one may be started. */
void connection_break_off(struct camtap *camera, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* When connection_run() wants to be called, CLOCK_MONOTONIC; NEVER. */
int64_t connection_deadline(const struct camtap *camera);

/* ---- receive.c: what the daemon says ---- */

/* Reads and handles the messages that are there. */
void receive_messages(struct camtap *camera);
/* Closes an fd that came from outside: a socket that lingers would make close() wait for it. */
void close_received(int fd);

/* ---- wake.c: the epoll fd ---- */

/* Who is going to wait on the epoll fd. */
enum wake_for {
	WAKE_FOR_PROGRAM, /* so: readable only if camtap_next() would do something */
	WAKE_FOR_NEXT,    /* camtap_next() itself, which must see a frame at the limit, too */
	WAKE_FOR_STATUS,  /* frames are of no interest */
};

struct wake {
	bool shown; /* the program has the epoll fd, and may sleep on it */
	int epoll_fd, timer_fd;
	int event_fd; /* that of the leases, for a forked child to close */
	int64_t timer_at;
	uint32_t socket_events; /* as epoll knows them */
};

int wake_init(struct camtap *camera);
void wake_finish(struct camtap *camera);
int wake_watch_socket(struct camtap *camera, int fd);
void wake_unwatch_socket(struct camtap *camera, int fd);
void wake_update(struct camtap *camera, enum wake_for whom);
/* Waits until there may be something or `deadline` (CLOCK_MONOTONIC; 0: do not wait, NEVER: for
 * ever). What it is, is found out by reading the socket: that takes no longer than to ask. 0, or
 * -EINTR. */
int wake_wait(struct camtap *camera, enum wake_for whom, int64_t deadline);
/* The bell that camtap_next() waits at now; NULL: at the socket. */
struct bell *wake_bell(const struct camtap *camera);
/* The same as wake_wait() for camtap_next(), by the bell if there is one: then only *ret_receive
 * says that there may be messages. */
int wake_wait_for_frame(struct camtap *camera, int64_t deadline, bool *ret_receive);
/* The deadline of a timeout as the public functions take it. */
int64_t wake_deadline(int timeout_ms);

/* ---- status.c ---- */

/* Serves the connection until an answer has come: 0. -ETIMEDOUT (`late` says why, unless the camera
 * is away), -EINTR, or why the daemon refused. */
int answer_wait(struct camtap *camera, bool (*has_come)(const struct camtap *camera),
	int64_t deadline, const char *late);

/* Reads a document of `size` bytes that came in `fd`, which stays the caller's; `what` is the
 * message that it came with. */
int status_read_document(
	struct camtap *camera, int fd, uint64_t size, const char *what, char **ret_json);

/* ---- controls.c ---- */

/* The one question about controls that is asked at a time. */
struct controls_question {
	/* While a public function waits: */
	bool wanted; /* there is no answer yet */
	bool sent;   /* over this connection, or the one before if it was lost */
	uint64_t token;
	int result;                /* of the answer: 0 or a negative errno */
	char text[WIRE_TEXT_SIZE]; /* likewise, printable */
	int document_fd;           /* -1: none; always closed before camtap_controls() returns */
	uint64_t document_size;
	struct wire_set_control_request set; /* type 0: it is a list that is wanted */
	/* Of this connection: */
	bool granted;        /* the daemon knows controls */
	unsigned unanswered; /* questions */
	uint64_t list_token; /* a list that was asked for and not waited for any more; 0: none */
	/* Always: */
	uint64_t tokens; /* given so far */
};

/* WELCOME came, and the connection was lost. */
void controls_welcomed(struct camtap *camera, bool granted);
void controls_lost(struct camtap *camera);
/* Sends what is wanted. False: there is no room. */
bool controls_send(struct camtap *camera);
/* An answer of a type; `error` is 0 or a positive errno, `fd` (-1: none; a list without an error
 * has one) is taken over. */
void controls_answered(struct camtap *camera, enum wire_type type, uint64_t token, int error,
	const char *text, size_t text_size, int fd, uint64_t document_size);

/* ---- pause.c ---- */

/* The one request to switch the camera off or on that is made at a time. */
struct pause_question {
	/* While a public function waits: */
	bool wanted;               /* there is no answer yet */
	int result;                /* of the answer: 0 or a negative errno */
	char text[WIRE_TEXT_SIZE]; /* likewise, printable */
	/* Of the last one: */
	bool paused;    /* what is wanted */
	uint64_t token; /* counts them */
	/* Of this connection: */
	bool granted;    /* the daemon knows it */
	bool unanswered; /* one was sent: the daemon takes no other now */
};

/* WELCOME came, and the connection was lost. */
void pause_welcomed(struct camtap *camera, bool granted);
void pause_lost(struct camtap *camera);
/* Sends what is wanted. False: there is no room. */
bool pause_send(struct camtap *camera);
/* An answer; `error` is 0 or a positive errno. */
void pause_answered(
	struct camtap *camera, uint64_t token, int error, const char *text, size_t text_size);

/* ---- list.c ---- */

/* Finds the socket that the settings mean, and writes its path to camera->path. */
int list_resolve(struct camtap *camera);

/* ---- the handle ---- */

struct camtap {
	/* What each camtap_next() looks at, side by side: a program that sleeps between frames
	 * finds nothing of this in the cache. */
	struct leases *leases;
	enum connection_state state;
	unsigned owed; /* enum connection_owed */
	struct connection *connection;
	struct attachment *reading; /* what frames are taken from */
	struct attachment *newest;  /* the last one that came; may still be in the queue */
	int64_t retry_at, offline_at, retry_pause;
	uint64_t missed;
	int refused;
	bool lossless;
	struct wake wake;
	struct events events;

	/* settings */
	char camera[ADDRESS_NAME_MAX + 1];
	char socket[ADDRESS_PATH_SIZE];
	char stream[WIRE_STREAM_SIZE];
	char client_name[WIRE_NAME_SIZE];
	enum camtap_mode mode;
	bool want_bell;

	/* connection */
	char path[ADDRESS_PATH_SIZE]; /* of the socket */
	unsigned max_leases;
	bool bell_granted;
	char name[WIRE_NAME_SIZE]; /* the camera's, as the daemon says */
	uint64_t ready_epoch;
	bool was_attached; /* so it is a re-attachment that goes on */
	int64_t attached_at;
	char away_text[WIRE_TEXT_SIZE];    /* why there is no daemon, if it is known */
	char refused_text[WIRE_TEXT_SIZE]; /* goes with `refused` */
	struct attachment *arriving;       /* its BUFFERs are still to come; NULL: none */

	/* texts for people */
	char error_text[WIRE_TEXT_SIZE + ADDRESS_PATH_SIZE];
	char event_text[WIRE_TEXT_SIZE];

	/* status */
	bool status_wanted;
	int status_fd; /* -1: not there yet; always closed before camtap_status() returns */
	uint64_t status_size;

	struct controls_question controls;
	struct pause_question pause;
};

/* Writes the text for people and returns `error`. */
int camera_fail(struct camtap *camera, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
