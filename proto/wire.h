/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_WIRE_H
#define CAMTAP_PROTO_WIRE_H

/*
 * The wire protocol: SOCK_SEQPACKET messages over a Unix socket, native byte order.
 *
 *   client                              daemon
 *     HELLO        ------------------->
 *                  <-------------------  WELCOME, or REFUSED
 *                  <-------------------  FORMAT   (fds: pool, guard, perhaps bell), once per epoch
 *                  <-------------------  BUFFER   (fds: dma-bufs), for each slot if that is where
 * they lie
 *                  <-------------------  SOURCE   (whenever the camera's state changes)
 *     READY        ------------------->            the guard is mapped and sealed: link it in
 *                  <-------------------  FRAME    (or a ring of the bell), once per frame
 *     RELEASED     ------------------->            only if the lock word asked for it (lossless)
 *     STATUS       ------------------->
 *                  <-------------------  STATUS   (fd: a JSON document in a sealed memfd)
 *     CONTROLS     ------------------->            if the feature was granted, as for SET_CONTROL
 *                  <-------------------  CONTROLS (fd: a JSON document in a sealed memfd)
 *     SET_CONTROL  ------------------->
 *                  <-------------------  SET_CONTROL
 *     SET_PAUSED   ------------------->            if the feature was granted
 *                  <-------------------  SET_PAUSED
 *                  <-------------------  BYE      before the daemon hangs up
 *
 * Growth: a receiver accepts a message longer than the one that it knows and ignores the tail;
 * fields that a shorter message lacks read as zero; a client skips messages of a type that it does
 * not know. New fields go to the end of a message only. Everything else is strict: a message
 * shorter than its minimum, one whose size field is not its length, one longer than
 * WIRE_MESSAGE_MAX, one out of order, or one from a client with fds attached ends the connection.
 *
 * FRAMEs may be lost (a full queue), and so may the last word (BYE, REFUSED). What else is owed is
 * sent when there is room, made of the state as it is then: SOURCE and STATUS conflate, and an
 * epoch that is over has no FORMAT and no BUFFER any more. FRAME and bell only wake: what there
 * is to read says the pool's header.
 */

#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION_MIN 1
#define WIRE_VERSION_MAX 1

#define WIRE_MESSAGE_MAX 4096 /* bytes */
#define WIRE_FDS_MAX     4    /* most fds that a message to a client carries */
#define WIRE_NAME_SIZE   72   /* bytes of a name, with its terminating NUL */
#define WIRE_STREAM_SIZE 128
#define WIRE_TEXT_SIZE   512
#define WIRE_PLANES_MAX  4   /* memory planes of a slot */
#define WIRE_VALUE_SIZE  512 /* bytes of a control's value as text, with its terminating NUL */

#define WIRE_CONTROL_REQUESTS_MAX 4 /* of one client, CONTROLS and SET_CONTROL, unanswered */

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_READY = 2,
	WIRE_RELEASED = 3,
	WIRE_STATUS = 4, /* the request and its answer, as are the next three */
	WIRE_CONTROLS = 5,
	WIRE_SET_CONTROL = 6,
	WIRE_SET_PAUSED = 7,

	WIRE_WELCOME = 16,
	WIRE_REFUSED = 17,
	WIRE_FORMAT = 18,
	WIRE_FRAME = 19,
	WIRE_SOURCE = 20,
	WIRE_BYE = 21,
	WIRE_BUFFER = 22,
};

struct wire_header {
	uint32_t type;  /* enum wire_type */
	uint32_t size;  /* bytes of the whole message, this header included */
	uint32_t flags; /* 0 */
	uint32_t reserved;
};

/* What either side can do beyond the base protocol; HELLO asks, WELCOME grants. */
enum wire_feature {
	/* 1 << 0 was a socket of its own to be woken by: never granted */
	/* Slots may lie in dma-bufs, which BUFFERs bring. A daemon that has such slots grants it,
	 * and refuses readers that do not ask for it. */
	WIRE_FEATURE_DMABUF = 1 << 1,
	WIRE_FEATURE_CONTROLS = 1 << 2, /* CONTROLS and SET_CONTROL */
	WIRE_FEATURE_PAUSE = 1 << 3,    /* SET_PAUSED */
	WIRE_FEATURE_BELL = 1 << 4,     /* FORMAT may bring a bell (bell-word.h) */
};

enum wire_mode {
	WIRE_MODE_READ = 0,
	WIRE_MODE_OBSERVE = 1,  /* SOURCE and STATUS only; starts no camera */
	WIRE_MODE_LOSSLESS = 2, /* read; the source waits for this reader */
};

struct wire_hello {
	struct wire_header header;
	uint32_t version_min, version_max;
	/* A HELLO may end here. */
	uint64_t features; /* enum wire_feature */
	uint32_t mode;     /* enum wire_mode */
	uint32_t reserved;
	char name[WIRE_NAME_SIZE];     /* what the client calls itself */
	char stream[WIRE_STREAM_SIZE]; /* empty: the native stream */
};
#define WIRE_HELLO_SIZE_MIN offsetof(struct wire_hello, features)

struct wire_welcome {
	struct wire_header header;
	uint32_t version;
	uint32_t max_leases; /* slots that this client may hold at once */
	uint64_t features;   /* those granted, enum wire_feature */
	uint32_t mode;       /* enum wire_mode: LOSSLESS if the daemon makes every reader so */
	uint32_t reserved;
	char camera[WIRE_NAME_SIZE];
};

/* A new epoch. fds: the pool (map it read-only), the guard (map it read-write, shared), and, if
 * bell_size is not 0, the bell (map it read-only). */
struct wire_format {
	struct wire_header header;
	uint64_t epoch;
	uint64_t pool_size;    /* bytes */
	uint32_t guard_size;   /* bytes */
	uint32_t guard_stride; /* bytes from the word of slot n to that of slot n + 1; slot 0's is
				  at 0 */
	uint32_t slot_count;
	uint32_t reserved;
	uint64_t lease_min_ns; /* no lease is revoked before the frame is that old, unless the
				  source would starve */
	/* A FORMAT may end here. */
	uint32_t bell_size;   /* bytes; 0: there is none */
	uint32_t bell_offset; /* bytes, to this reader's struct bell_word; a multiple of its size */
};

/* A slot of this epoch is not in the pool (POOL_FLAG_DMABUF) but in memory of its own: a dma-buf
 * for each memory plane. After FORMAT there is one BUFFER for each slot, in order. fds:
 * `plane_count` of them (map them read-only). */
struct wire_buffer {
	struct wire_header header;
	uint64_t epoch;
	uint32_t slot;
	uint32_t plane_count;
	struct {
		uint32_t offset; /* bytes from the start of the dma-buf to that of the memory plane
				  */
		uint32_t length; /* bytes */
		uint64_t modifier; /* DRM_FORMAT_MOD_*; 0: lines follow each other (linear) */
	} planes[WIRE_PLANES_MAX];
};

/* The guard of `epoch` is mapped, the BUFFERs too if there are any, and the client has added
 * F_SEAL_FUTURE_WRITE and F_SEAL_SEAL to it (its mapping stays writable): link it in. */
struct wire_ready {
	struct wire_header header;
	uint64_t epoch;
};

struct wire_released {
	struct wire_header header;
};

struct wire_status_request {
	struct wire_header header;
};

/* fd: the JSON document, `document_size` bytes in a sealed memfd. */
struct wire_status {
	struct wire_header header;
	uint64_t document_size;
};

/* What controls has the camera's device, and how are they set? The device is asked each time, which
 * can take seconds; meanwhile all else goes on. `token` is the client's own and comes back with the
 * answer: answers may come in another order than their requests. */
struct wire_controls_request {
	struct wire_header header;
	uint64_t token;
};

/* fd, if `error` is 0: the JSON document, `document_size` bytes in a sealed memfd. */
struct wire_controls {
	struct wire_header header;
	uint64_t token;
	uint64_t document_size;
	int32_t error; /* positive errno, or 0 */
	uint32_t reserved;
	char text[WIRE_TEXT_SIZE]; /* what is wrong, for people */
};

/* Sets a control. For root, the daemon's own user and group camtap-admin. */
struct wire_set_control_request {
	struct wire_header header;
	uint64_t token;
	char name[WIRE_NAME_SIZE]; /* as CONTROLS has it */
	char value[WIRE_VALUE_SIZE];
};

struct wire_set_control {
	struct wire_header header;
	uint64_t token;
	int32_t error; /* 0: done; else a positive errno, see docs/protocol.md */
	uint32_t reserved;
	char text[WIRE_TEXT_SIZE]; /* what is wrong and what is allowed, for people */
};

/* Switches the camera off (`paused` 1) or on again (0), for everybody, restarts of the daemon
 * included. For root, the daemon's own user and group camtap-admin. The answer comes when it is so;
 * until then a client sends no other. */
struct wire_set_paused_request {
	struct wire_header header;
	uint64_t token;
	uint32_t paused;
	uint32_t reserved;
};

struct wire_set_paused {
	struct wire_header header;
	uint64_t token;
	int32_t error; /* 0: done; else a positive errno, see docs/protocol.md */
	uint32_t reserved;
	char text[WIRE_TEXT_SIZE]; /* what is wrong, for people */
};

struct wire_frame {
	struct wire_header header;
	uint64_t epoch;
	uint64_t position;
	uint64_t generation;
	uint64_t frame_id;
	int64_t publish_time_ns; /* CLOCK_MONOTONIC */
	uint32_t slot;
	uint32_t reserved;
};

enum wire_source_state {
	WIRE_SOURCE_IDLE = 0,     /* nobody reads yet */
	WIRE_SOURCE_ONLINE = 1,   /* frames come */
	WIRE_SOURCE_OFFLINE = 2,  /* no camera; the daemon keeps trying */
	WIRE_SOURCE_PAUSED = 3,   /* switched off by the administrator */
	WIRE_SOURCE_ENDED = 4,    /* a recording is over */
	WIRE_SOURCE_STARTING = 5, /* being opened, or waiting for --wait-readers */
};

struct wire_source {
	struct wire_header header;
	uint32_t state;            /* enum wire_source_state */
	int32_t error;             /* positive errno that belongs to the state, or 0 */
	int64_t since_ns;          /* CLOCK_REALTIME */
	char text[WIRE_TEXT_SIZE]; /* why, for people; may be empty */
};

enum wire_code {
	WIRE_CODE_SHUTDOWN = 1,  /* BYE: the daemon stops; come again */
	WIRE_CODE_PROTOCOL = 2,  /* a message that breaks the protocol */
	WIRE_CODE_VERSION = 3,   /* no common protocol version */
	WIRE_CODE_STREAM = 4,    /* no such stream; the text says what there is */
	WIRE_CODE_ACCESS = 5,    /* not allowed */
	WIRE_CODE_BUSY = 6,      /* a limit on clients is reached; may be tried again */
	WIRE_CODE_OVERHOLD = 7,  /* more slots held than allowed */
	WIRE_CODE_SLOW_WAKE = 8, /* waking this client takes too long */
	WIRE_CODE_INTERNAL =
		9, /* the daemon could not (out of memory, of fds ...); may be tried again */
	WIRE_CODE_CONFIGURATION = 10, /* REFUSED: its configuration is wrong, as the text says */
};

/* REFUSED and BYE. */
struct wire_bye {
	struct wire_header header;
	uint32_t code; /* enum wire_code */
	uint32_t reserved;
	char text[WIRE_TEXT_SIZE];
};

_Static_assert(sizeof(struct wire_header) == 16, "layout is protocol");
_Static_assert(sizeof(struct wire_hello) == 240, "layout is protocol");
_Static_assert(WIRE_HELLO_SIZE_MIN == 24, "layout is protocol");
_Static_assert(sizeof(struct wire_welcome) == 112, "layout is protocol");
_Static_assert(sizeof(struct wire_format) == 64, "layout is protocol");
_Static_assert(sizeof(struct wire_buffer) == 96, "layout is protocol");
_Static_assert(sizeof(struct wire_ready) == 24, "layout is protocol");
_Static_assert(sizeof(struct wire_released) == 16, "layout is protocol");
_Static_assert(sizeof(struct wire_status) == 24, "layout is protocol");
_Static_assert(sizeof(struct wire_controls_request) == 24, "layout is protocol");
_Static_assert(sizeof(struct wire_controls) == 552, "layout is protocol");
_Static_assert(sizeof(struct wire_set_control_request) == 608, "layout is protocol");
_Static_assert(sizeof(struct wire_set_control) == 544, "layout is protocol");
_Static_assert(sizeof(struct wire_set_paused_request) == 32, "layout is protocol");
_Static_assert(sizeof(struct wire_set_paused) == 544, "layout is protocol");
_Static_assert(sizeof(struct wire_frame) == 64, "layout is protocol");
_Static_assert(sizeof(struct wire_source) == 544, "layout is protocol");
_Static_assert(sizeof(struct wire_bye) == 536, "layout is protocol");

#endif
