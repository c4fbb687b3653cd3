/* SPDX-License-Identifier: MIT */

/* proto/bell-word.h says how a bell works, and why nothing here waits for ever. */

#include "internal.h"

#include "bell-word.h"
#include "futex-call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

/* So often it may have been rung without waking us; then it is given up. */
#define UNHEARD_MAX 3

/* After so many rings the socket is looked at in any case. A hang-up is told by nobody, and it is
 * not always quiet after one: others of the bell may go on being rung for. */
#define LOOK_EVERY_RINGS 64

struct bell {
	void *base;
	size_t size;
	const struct bell_word *word;
	_Atomic uint32_t *listens; /* any thread */
	/* The handle's thread only: */
	uint32_t told;       /* as it was when the socket was looked at */
	unsigned unheard;    /* rings that did not wake us */
	bool quiet;          /* nothing came for BELL_PATIENCE_NS */
	uint32_t rung;       /* as it was the last time */
	uint32_t looked;     /* as it was when it was time to look at the socket */
	int64_t quiet_since; /* found to be the one it was; NEVER: not yet */
};

int bell_map(
	int fd, uint32_t size, uint32_t offset, _Atomic uint32_t *listens, struct bell **ret_bell)
{
	struct bell *bell;
	int error;

	if (offset % sizeof(struct bell_word) != 0 || offset >= size ||
		size - offset < sizeof(struct bell_word) ||
		!memory_sealed(
			fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL, size))
		return -EBADMSG;
	bell = malloc(sizeof(*bell));
	if (!bell)
		return -ENOMEM;
	*bell = (struct bell){.size = size, .listens = listens, .quiet_since = NEVER};
	bell->base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (bell->base == MAP_FAILED) {
		error = -errno;
		free(bell);
		return error;
	}
	bell->word = (const struct bell_word *)((const uint8_t *)bell->base + offset);
	bell->told = atomic_load_explicit(&bell->word->told, memory_order_acquire);
	bell->rung = bell->looked = atomic_load_explicit(&bell->word->rung, memory_order_relaxed);
	*ret_bell = bell;
	return 0;
}

void bell_unmap(struct bell *bell)
{
	if (!bell)
		return;
	munmap(bell->base, bell->size);
	free(bell);
}

HOT bool bell_serves(const struct bell *bell)
{
	return bell->unheard < UNHEARD_MAX &&
	       atomic_load_explicit(&bell->word->closed, memory_order_relaxed) == 0;
}

/* The fence: what comes after this and was not sent a message, is seen by the look that follows. */
HOT static void set_listens(struct bell *bell, uint32_t listens)
{
	if (atomic_load_explicit(bell->listens, memory_order_relaxed) == listens)
		return;
	atomic_store_explicit(bell->listens, listens, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

HOT void bell_stop_listening(struct bell *bell)
{
	set_listens(bell, BELL_MESSAGES);
}

HOT void bell_be_busy(struct bell *bell)
{
	set_listens(bell, BELL_BUSY);
}

/* Is it time to look at the socket, told or not? Who sleeps for less than BELL_PATIENCE_NS each
 * time, or not at all, would never find otherwise that it is quiet. As long as it is rung, the
 * rings are the clock: to read one leads through more cold pages than all else that a frame needs.
 */
HOT static bool look_is_due(struct bell *bell, uint32_t rung)
{
	int64_t now;

	if (rung != bell->rung) {
		bell->rung = rung;
		bell->quiet_since = NEVER;
		if (rung - bell->looked < LOOK_EVERY_RINGS)
			return false;
		bell->looked = rung;
		return true;
	}
	now = now_ns();
	if (bell->quiet_since == NEVER)
		bell->quiet_since = now;
	if (now - bell->quiet_since < BELL_PATIENCE_NS)
		return false;
	bell->quiet_since = now;
	return true;
}

/* As futex(2) ends; 0 as well if the word was another one already. */
HOT static int sleep_on(const struct bell_word *word, uint32_t seen, int64_t time_ns)
{
	struct timespec timeout = {
		.tv_sec = time_ns / (1000 * NS_PER_MS), .tv_nsec = time_ns % (1000 * NS_PER_MS)};
	long error = futex_call(&word->rung, FUTEX_WAIT, seen, &timeout);

	return error == -EAGAIN ? 0 : (int)error;
}

HOT int bell_wait(struct bell *bell, int64_t deadline, const struct attachment *attachment)
{
	const struct bell_word *word = bell->word;
	uint32_t seen = atomic_load_explicit(&word->rung, memory_order_acquire);
	uint32_t told = atomic_load_explicit(&word->told, memory_order_acquire);
	bool behind = attachment_newest(attachment) >= attachment->cursor;
	int64_t time = BELL_PATIENCE_NS;
	int error;

	if (behind)
		bell->quiet = false; /* it is the reader that is slow */
	if (behind || deadline == 0)
		bell_be_busy(bell);
	if (told != bell->told || look_is_due(bell, seen)) {
		bell->told = told;
		return BELL_MESSAGE;
	}
	if (behind || deadline == 0)
		return BELL_LOOK;
	if (bell->quiet)
		return BELL_QUIET;
	set_listens(bell, BELL_LISTENS);
	if (attachment_newest(attachment) >= attachment->cursor)
		return BELL_LOOK;
	if (deadline != NEVER) {
		int64_t left = deadline - now_ns();

		if (left <= 0)
			return BELL_LOOK;
		if (left < time)
			time = left;
	}
	error = sleep_on(word, seen, time);
	if (error == -EINTR)
		return error;
	if (error == 0) {
		bell->unheard = 0;
		return BELL_LOOK;
	}
	if (atomic_load_explicit(&word->rung, memory_order_relaxed) != seen) {
		bell->unheard++;
		return BELL_LOOK;
	}
	if (error == -ETIMEDOUT && time < BELL_PATIENCE_NS)
		return BELL_LOOK; /* the caller's time is over */
	bell->quiet = true;
	return BELL_QUIET;
}

void bell_slept(struct bell *bell, int64_t time_ns)
{
	bell->quiet = time_ns >= BELL_PATIENCE_NS;
}
