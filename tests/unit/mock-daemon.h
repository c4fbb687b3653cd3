/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_MOCK_DAEMON_H
#define CAMTAP_TESTS_MOCK_DAEMON_H

/*
 * The daemon's side of the protocol, step by step and under the test's control: nothing happens but
 * what the test calls. It has one client, really writes into a sealed pool, and takes the real
 * steps on the guard. Failures are failures of the test (cmocka); use it from the test's own
 * thread, but for mock_publish() and mock_ring(), which fail by returning false. The bell is its
 * client's alone.
 */

#include "bell-word.h"
#include "guard.h"
#include "pool-layout.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define MOCK_SLOTS      4
#define MOCK_WIDTH      64
#define MOCK_HEIGHT     32
#define MOCK_FRAME_SIZE (MOCK_WIDTH * MOCK_HEIGHT * 3 / 2) /* NV12 */

/* Of slots in dma-bufs: sealed memfds stand in for those. Y lies in one, CbCr in the other, each
 * with something before it. */
#define MOCK_MEMORY_PLANES 2
#define MOCK_BUFFER_OFFSET 4096 /* bytes before the memory plane */
#define MOCK_DATA_OFFSET   128  /* bytes before the plane in it */

struct mock_pool {
	uint8_t *base;
	uint64_t size;
	int fd;
	struct pool_header layout; /* its own copy: what is in the pool may be made wrong */
	uint64_t generations[POOL_SLOTS_MAX];
	uint64_t positions[POOL_SLOTS_MAX]; /* 0: no frame */
	uint64_t newest;
	struct mock_buffer {
		int fd; /* -1: none */
		uint8_t *base;
		uint32_t length; /* bytes of the memory plane */
	} buffers[MOCK_SLOTS][MOCK_MEMORY_PLANES];
};

struct mock_guard {
	uint8_t *base;
	uint32_t size, stride;
	int fd;
	bool linked;
};

struct mock_bell {
	struct bell_word *words; /* NULL: there is none */
	struct bell_word *word;  /* the client's */
	uint32_t size;           /* bytes */
	int fd;
	long woken; /* by the last ring */
};

struct mock {
	char directory[64];
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int listener, socket;    /* -1: closed */
	struct wire_hello hello; /* the last one that came */
	uint64_t ready_epoch;    /* of the last READY that came */
	struct mock_pool pool;
	struct mock_guard guard;
	struct mock_bell bell;
	unsigned frames_sent; /* FRAME messages */
	bool lossless;
	bool rings;                                /* WELCOME grants a bell, if it is asked for */
	bool silent;                               /* messages are told, but do not ring */
	bool controls;                             /* WELCOME grants them */
	bool pause;                                /* and SET_PAUSED */
	struct wire_set_paused_request set_paused; /* the last that came */
	/* The last CONTROLS or SET_CONTROL that came: what both have is in the same place. */
	struct wire_set_control_request control;
};

/* What of a pool or its FORMAT is to be different. */
typedef void mock_tweak(struct pool_header *layout);

void mock_init(struct mock *mock);
void mock_finish(struct mock *mock);
void mock_listen(struct mock *mock);
void mock_stop_listening(struct mock *mock);

/* Accepts the client, waiting for it, and reads its HELLO. */
void mock_accept(struct mock *mock);
/* As if it was killed: what is held stays held. */
void mock_hang_up(struct mock *mock);
/* As a daemon that goes on: everything is revoked first. */
void mock_expel(struct mock *mock);
/* Is there a message from the client? Its type; 0: none; -1: it has hung up. */
int mock_receive(struct mock *mock);

/* Sends a message, and tells of it by the bell; the fds stay the caller's. */
void mock_send(struct mock *mock, const void *message, const int *fds, size_t fd_count);
void mock_welcome(struct mock *mock, uint32_t max_leases);
void mock_source(struct mock *mock, enum wire_source_state state, const char *text);
/* REFUSED or BYE. */
void mock_bye(struct mock *mock, enum wire_type type, uint32_t code, const char *text);

/* Makes a pool and a guard for it, instead of the ones before. */
void mock_make_pool(struct mock *mock, uint64_t epoch, mock_tweak *tweak);
/* Another guard for the same pool. */
void mock_make_guard(struct mock *mock);
/* With the bell, if WELCOME granted one. */
void mock_send_format(struct mock *mock);
/* A tweak: slots in dma-bufs. */
void mock_without_slots(struct pool_header *layout);
void mock_send_buffer(struct mock *mock, uint32_t slot);
/* After READY: looks that the guard is sealed, and sets its words. */
void mock_link(struct mock *mock);

/* The slot of the oldest frame. */
uint32_t mock_oldest_slot(const struct mock *mock);
/* Locks the slot of the oldest frame that nobody holds, or revokes the oldest if there is none;
 * UINT32_MAX: neither. */
uint32_t mock_take_slot(struct mock *mock, bool revoke);
/* Takes the slot from its reader, frame or not; the pixels become garbage. */
void mock_revoke(struct mock *mock, uint32_t slot);
/* Fills a slot that was taken, and publishes it without waking anybody. */
void mock_publish_slot(struct mock *mock, uint32_t slot);
/* Wakes the client for a frame: by the bell if it listens, by FRAME if it asks for messages. */
bool mock_ring(struct mock *mock);
/* Rings the bell, listens or not, as for others that have the same. */
void mock_ring_bell(struct mock *mock);
/* What the client says in the guard (enum bell_listens); BELL_MESSAGES if it has no bell. */
uint32_t mock_listens(const struct mock *mock);
/* All of it: a frame is published. */
bool mock_publish(struct mock *mock);
/* The slot that the newest frame is in. */
uint32_t mock_newest_slot(const struct mock *mock);

/* What every 64-bit word of the frame at `position` is. */
uint64_t mock_pixel(uint64_t epoch, uint64_t position);

#endif
