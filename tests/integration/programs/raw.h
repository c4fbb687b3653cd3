/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_RAW_H
#define CAMTAP_TESTS_RAW_H

/*
 * A client of the bare protocol, without libcamtap: for tests that must stop half-way, break the
 * rules, or see what the daemon really sends. It trusts the daemon. One thread.
 */

#include "bell-word.h"
#include "guard.h"
#include "pool-layout.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

struct raw {
	int socket;
	int pool_fd, guard_fd;
	int bell_fd;                 /* -1: there is none */
	int document_fd;             /* of the last STATUS */
	struct wire_welcome welcome; /* the last message of each type */
	struct wire_format format;
	struct wire_source source;
	struct wire_frame frame;
	struct wire_status status;
	struct wire_bye bye; /* REFUSED as well */
	struct pool_view view;
	uint8_t *pool;                /* mapped read-only; NULL: not mapped */
	uint8_t *guard;               /* mapped read-write; NULL: not mapped */
	const struct bell_word *bell; /* mapped read-only; NULL: there is none */
	uint64_t position;            /* of the last frame that raw_next() returned */
	uint64_t missed;              /* positions that were gone before raw_next() came to them */
};

/* A frame, taken or not. */
struct raw_frame {
	uint64_t position, generation;
	uint32_t slot;
};

void raw_init(struct raw *raw);
/* Closes and unmaps everything. */
void raw_finish(struct raw *raw);

/* Each returns 0 or a negative errno. */
int raw_connect(struct raw *raw, const char *path);
int raw_hello(struct raw *raw, const char *name, enum wire_mode mode, uint64_t features);
/* Maps the pool, the guard and the bell of the last FORMAT. */
int raw_map(struct raw *raw);
/* Seals the guard, as a READY demands. */
int raw_seal(struct raw *raw);
int raw_ready(struct raw *raw);
/* All of these, up to READY. */
int raw_attach(struct raw *raw, const char *path, const char *name, uint64_t features);

/* Sends a message that is only a header (RELEASED, STATUS). */
int raw_send(struct raw *raw, enum wire_type type);
/* Waits for one message and stores it. Its type, 0 at hang-up, -ETIMEDOUT (milliseconds; -1: never)
 * or another negative errno. */
int raw_receive(struct raw *raw, int timeout_ms);
/* Receives until a message of `type` came: 0; -EPIPE: the daemon hung up first; -ETIMEDOUT. */
int raw_expect(struct raw *raw, enum wire_type type, int timeout_ms);
/* Throws away what waits in the socket. False: the daemon has hung up. */
bool raw_drain(struct raw *raw);
/* Waits until the socket is readable. False: the time is over. */
bool raw_wait(const struct raw *raw, int timeout_ms);

/* Where it says that it listens to the bell (enum bell_listens). */
_Atomic uint32_t *raw_listens(const struct raw *raw);
/* The lock word of a slot. */
guard_word *raw_word(const struct raw *raw, uint32_t slot);
/* The next frame by position that is still there; takes no lock. False: there is none yet. */
bool raw_next(struct raw *raw, struct raw_frame *ret_frame);
/* The next frame that could be locked. */
bool raw_take_next(struct raw *raw, struct raw_frame *ret_frame);
/* GUARD_GONE: it was revoked. */
enum guard_outcome raw_release(struct raw *raw, const struct raw_frame *frame);

#endif
