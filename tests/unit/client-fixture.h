/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_CLIENT_FIXTURE_H
#define CAMTAP_TESTS_CLIENT_FIXTURE_H

/* What the tests of libcamtap have in common: a handle, the mock of a daemon that it attaches to,
 * and words for what they do with each other. Whatever is said here asserts that it went well. */

#include "camtap.h"
#include "mock-daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	LIMIT_MS = 20000, /* for whatever has to come */
	LEASES = 2,       /* of a client that was welcomed */
	EPOCH = 1000,     /* of the first pool */
};

struct fixture {
	struct mock mock;
	struct camtap *camera;
	int open_fds, mapped_memfds; /* before the test */
};

/* Setup and teardown of a test; the state is a struct fixture. The initial state is one of these,
 * how the client asks to be woken, or NULL: by the bell if it can. */
extern int with_bell, without_bell;
int fixture_setup(void **state);
/* Also looks that no file descriptor and no mapping is left. */
int fixture_teardown(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define TEST_WAKE(name, wake)                                                                      \
	cmocka_unit_test_prestate_setup_teardown(name, fixture_setup, fixture_teardown, &(wake))
/* First by the bell, then by messages. */
#define TEST_BOTH(name) TEST_WAKE(name, with_bell), TEST_WAKE(name, without_bell)

int64_t clock_ms(clockid_t clock);

/* Another handle for the same socket, instead of the one before. */
void renew_client(struct fixture *f);

void connect_client(struct fixture *f);
/* WELCOME: sent and read. */
void welcome_client(struct fixture *f);
/* FORMAT for the pool that the mock has, up to READY; camtap_next() says `outcome` to it. */
void offer_pool(struct fixture *f, int outcome);
/* All of it, with a new pool. */
void attach(struct fixture *f, mock_tweak *tweak);
/* Comes back after a hang-up; how long the pause is, is the client's affair. */
void accept_again(struct fixture *f);
void publish(struct fixture *f, int count);

/* What an event loop would see. */
bool readable_within(struct camtap *camera, int timeout_ms);
bool readable(struct camtap *camera);

/* What camtap_next() says now; no frame. */
void assert_outcome(struct camtap *camera, int expected);
/* It says that there is nothing to do, and so does the event loop. */
void assert_idle(struct camtap *camera);
/* What it says sooner or later. */
void await_outcome(struct camtap *camera, int expected);
void assert_release(struct camtap_frame *frame, int expected);

/* Are all pixels those of this frame? */
bool shows(const struct camtap_frame *frame, uint64_t epoch, uint64_t position);
/* The next frame, which must be there. */
struct camtap_frame *take(struct fixture *f, uint64_t position, uint64_t missed);

#endif
