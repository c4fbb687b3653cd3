/* SPDX-License-Identifier: MIT */

/* What readers say in their guards, and by what they are woken then. */

#include "announce.h"

#include "message.h"
#include "reaper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define UNIT_NS INT64_C(1000000000) /* nothing is dear */

struct reader {
	struct announce_target target;
	_Atomic uint32_t listens;
	int socket; /* its end */
};

struct fixture {
	struct announcer announcer;
	struct bells bells;
	struct reaper *reaper;
	const struct bell_word *words;
	struct reader readers[BELL_WORDS]; /* each has a word of its own */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	int fd;

	assert_int_equal(announcer_init(&f->announcer, BELL_WORDS, UNIT_NS), 0);
	assert_int_equal(reaper_create(NULL, NULL, &f->reaper), 0);
	for (size_t i = 0; i < BELL_WORDS; i++) {
		struct reader *reader = &f->readers[i];
		int ends[2];

		assert_int_equal(
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
			0);
		reader->socket = ends[1];
		reader->target.fd = ends[0];
		reader->target.listens = &reader->listens;
		bell_join(&f->bells, 1000, &reader->target.place);
		assert_non_null(reader->target.place.bell);
		f->announcer.targets[f->announcer.target_count++] = &reader->target;
	}
	fd = bell_open_description(f->readers[0].target.place.bell);
	f->words = mmap(NULL, bell_size(), PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(f->words, MAP_FAILED);
	close(fd);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < BELL_WORDS; i++) {
		bell_leave(&f->bells, &f->readers[i].target.place, f->reaper);
		close(f->readers[i].socket);
		close(f->readers[i].target.fd);
	}
	reaper_destroy(f->reaper);
	bells_finish(&f->bells);
	munmap((void *)f->words, bell_size());
	announcer_finish(&f->announcer);
	free(f);
	return 0;
}

static uint32_t rings_of(const struct fixture *f, const struct reader *reader)
{
	return atomic_load(&f->words[reader->target.place.word].rung);
}

enum woken_by {
	NOTHING,
	RING,
	MESSAGE,
};

/* Announces one frame. Is each reader woken as it should be, and by nothing else? */
static void assert_woken_by(struct fixture *f, const enum woken_by expected[BELL_WORDS])
{
	struct wire_frame frame = {.position = 1}, received;
	uint32_t before[BELL_WORDS];
	uint64_t missed = 0;

	message_init(&frame.header, WIRE_FRAME, sizeof frame);
	for (size_t i = 0; i < BELL_WORDS; i++)
		before[i] = rings_of(f, &f->readers[i]);
	assert_int_equal(announce(&f->announcer, &frame, &missed), ANNOUNCE_DONE);
	assert_int_equal(missed, 0);
	for (size_t i = 0; i < BELL_WORDS; i++) {
		struct reader *reader = &f->readers[i];
		ssize_t size = recv(reader->socket, &received, sizeof received, MSG_DONTWAIT);

		assert_int_equal(rings_of(f, reader) - before[i], expected[i] == RING);
		assert_int_equal(size, expected[i] == MESSAGE ? (ssize_t)sizeof received : -1);
	}
}

/* And what no reader of the protocol says is what it says at first. */
static void who_is_busy_is_left_alone(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->readers[0].listens, BELL_MESSAGES);
	atomic_store(&f->readers[1].listens, BELL_LISTENS);
	atomic_store(&f->readers[2].listens, BELL_BUSY);
	atomic_store(&f->readers[3].listens, 77);
	for (int i = 0; i < 3; i++)
		assert_woken_by(
			f, (const enum woken_by[BELL_WORDS]){MESSAGE, RING, NOTHING, MESSAGE});
	atomic_store(&f->readers[1].listens, BELL_BUSY);
	atomic_store(&f->readers[2].listens, BELL_LISTENS);
	assert_woken_by(f, (const enum woken_by[BELL_WORDS]){MESSAGE, NOTHING, RING, MESSAGE});
}

/* A bell that is closed tells nobody anything, nor does one that was never there. */
static void without_a_bell_there_are_messages(void **state)
{
	struct fixture *f = *state;
	struct bell_place *place = &f->readers[0].target.place;

	for (size_t i = 0; i < BELL_WORDS; i++)
		atomic_store(&f->readers[i].listens, i % 2 ? BELL_BUSY : BELL_LISTENS);
	bell_tell(place, -UNIT_NS); /* was too dear */
	assert_true(bell_is_closed(place));
	assert_woken_by(f, (const enum woken_by[BELL_WORDS]){MESSAGE, MESSAGE, MESSAGE, MESSAGE});
	for (size_t i = 0; i < BELL_WORDS; i++)
		f->readers[i].target.listens = NULL;
	assert_woken_by(f, (const enum woken_by[BELL_WORDS]){MESSAGE, MESSAGE, MESSAGE, MESSAGE});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_is_busy_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_bell_there_are_messages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
