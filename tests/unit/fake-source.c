/* SPDX-License-Identifier: MIT */
#include "fake-source.h"

#include "clock.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct fake_source *get(struct source *source)
{
	return (struct fake_source *)source;
}

static void wake(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort();
}

static void drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
		abort();
}

/* The interface is not kept: the first time is remembered, the test looks at its end. */
static void check(struct fake_source *fake, bool kept, const char *what)
{
	if (!kept && fake->violation[0] == '\0')
		snprintf(fake->violation, sizeof fake->violation, "%s", what);
}

/* Begins a call, locked; returns what it fails with, or 0. */
static int begin(struct fake_source *fake, enum fake_call call)
{
	pthread_mutex_lock(&fake->lock);
	if (call == FAKE_OPEN && fake->calls[call] < FAKE_OPENS_MAX)
		fake->open_ns[fake->calls[call]] = clock_now();
	fake->calls[call]++;
	pthread_mutex_unlock(&fake->lock);
	if (fake->called != NULL)
		fake->called(fake->userdata, call);
	pthread_mutex_lock(&fake->lock);
	return fake->fails[call];
}

static int end(struct fake_source *fake, int result, const char *text)
{
	pthread_mutex_unlock(&fake->lock);
	return result < 0 ? source_fail(&fake->source, result, "fake: %s", text) : result;
}

static int fake_open(struct source *source, struct source_format *ret_format)
{
	struct fake_source *fake = get(source);
	int result = begin(fake, FAKE_OPEN);

	check(fake, !fake->is_open, "opened while it is open");
	drain(fake->watch_fd); /* what happens from now on is news */
	if (fake->calls[FAKE_OPEN] == fake->back_after) {
		fake->fails[FAKE_OPEN] = 0;
		wake(fake->watch_fd);
	}
	if (fake->opening) {
		drain(fake->ready_fd);
		return end(fake, SOURCE_TRY_AGAIN, "");
	}
	if (result == 0) {
		fake->is_open = true;
		*ret_format = fake->format;
	}
	return end(fake, result, "it cannot be opened");
}

static int fake_start(struct source *source, const struct source_slots *slots)
{
	struct fake_source *fake = get(source);
	int result = begin(fake, FAKE_START);

	check(fake, fake->is_open && !fake->is_started, "started while closed or started");
	if (result == 0) {
		fake->pool = *slots;
		fake->is_started = true;
		fake->changed = fake->lagging = false;
	}
	return end(fake, result, "it cannot be started");
}

static int fake_give(struct source *source, uint32_t slot)
{
	struct fake_source *fake = get(source);
	int result = begin(fake, FAKE_GIVE);

	check(fake, fake->is_started, "given a slot while it is stopped");
	for (uint32_t i = 0; i < fake->slot_count; i++)
		check(fake, fake->slots[i] != slot, "given a slot that it has");
	if (result == 0) {
		fake->lagging = fake->lags && fake->slot_count == 0;
		fake->slots[fake->slot_count++] = slot;
		wake(fake->ready_fd);
	}
	return end(fake, result, "it takes no slot");
}

static void fake_wait(const struct source *source, struct source_wait *ret_wait)
{
	const struct fake_source *fake = (const struct fake_source *)source;

	*ret_wait = (struct source_wait){
		.fd = fake->ready_fd, .events = POLLIN, .deadline_ns = INT64_MAX};
}

/* Fills its oldest slot. */
static uint32_t fill(struct fake_source *fake)
{
	uint32_t slot = fake->slots[0];

	fake->slot_count--;
	memmove(fake->slots, fake->slots + 1, fake->slot_count * sizeof *fake->slots);
	memset(fake->pool.slots[slot], (int)(fake->sequence & 0xff), FAKE_SIZE);
	return slot;
}

static int nothing_yet(struct fake_source *fake)
{
	drain(fake->ready_fd);
	return end(fake, SOURCE_TRY_AGAIN, "");
}

static int fake_take(struct source *source, struct source_frame *ret_frame)
{
	struct fake_source *fake = get(source);
	struct fake_step step;

	(void)begin(fake, FAKE_TAKE);
	check(fake, fake->is_started, "taken from while it is stopped");
	if (fake->changes_at_once && !fake->changed) {
		fake->changed = true;
		(void)source_fail(source, 0, "fake: another signal");
		return end(fake, SOURCE_CHANGED, "");
	}
	if (fake->step_count == 0)
		return nothing_yet(fake);
	step = fake->steps[fake->step_first];
	if (step.kind == FAKE_SILENCE)
		return nothing_yet(fake);
	if (step.kind == FAKE_FRAME || step.kind == FAKE_DAMAGED) {
		if (fake->slot_count == 0)
			return nothing_yet(fake);
		if (fake->lagging) {
			fake->lagging = false;
			return end(fake, SOURCE_TRY_AGAIN, ""); /* ready_fd stays readable */
		}
	}
	fake->step_first = (fake->step_first + 1) % FAKE_STEPS_MAX;
	fake->step_count--;
	switch (step.kind) {
	case FAKE_FRAME:
	case FAKE_DAMAGED:
		fake->sequence++;
		*ret_frame = (struct source_frame){.slot = fill(fake),
			.damage = step.damage,
			.bytesused = FAKE_SIZE,
			.sequence = fake->sequence,
			.capture_clock = POOL_CLOCK_MONOTONIC,
			.capture_time_ns = clock_now(),
			.media_time_ns = -1};
		return end(fake, step.kind == FAKE_FRAME ? SOURCE_FRAME : SOURCE_CORRUPT, "");
	case FAKE_CHANGED:
		(void)source_fail(source, 0, "fake: another signal");
		return end(fake, SOURCE_CHANGED, "");
	default:
		return end(fake, step.error, "it broke");
	}
}

static void fake_stop(struct source *source)
{
	struct fake_source *fake = get(source);

	(void)begin(fake, FAKE_STOP);
	check(fake, fake->is_started, "stopped while it is stopped");
	fake->is_started = false;
	fake->slot_count = 0;
	if (fake->step_count > 0 && fake->steps[fake->step_first].kind == FAKE_SILENCE) {
		fake->step_first = (fake->step_first + 1) % FAKE_STEPS_MAX;
		fake->step_count--;
	}
	(void)end(fake, 0, "");
}

static void fake_close(struct source *source)
{
	struct fake_source *fake = get(source);

	(void)begin(fake, FAKE_CLOSE);
	check(fake, !fake->is_started, "closed while it is started");
	fake->is_open = false;
	(void)end(fake, 0, "");
}

static int fake_watch(const struct source *source)
{
	return ((const struct fake_source *)source)->watch_fd;
}

void fake_source_init(
	struct fake_source *fake, void (*called)(void *, enum fake_call), void *userdata)
{
	*fake = (struct fake_source){.called = called,
		.userdata = userdata,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ops = {.name = "fake",
			.live = true,
			.restartable = true,
			.stalls = true,
			.open = fake_open,
			.start = fake_start,
			.give = fake_give,
			.wait = fake_wait,
			.take = fake_take,
			.stop = fake_stop,
			.close = fake_close,
			.watch = fake_watch},
		.format = {.format = {.fourcc = V4L2_PIX_FMT_GREY,
				   .width = 64,
				   .height = 64,
				   .frame_size = FAKE_SIZE,
				   .plane_count = 1,
				   .planes = {{.stride = 64}}},
			.slots_needed = 1,
			.transfer = "by hand"}};
	fake->source.ops = &fake->ops;
	fake->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake->watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fake->ready_fd < 0 || fake->watch_fd < 0)
		abort();
}

void fake_source_finish(struct fake_source *fake)
{
	close(fake->ready_fd);
	close(fake->watch_fd);
	pthread_mutex_destroy(&fake->lock);
}

void fake_source_play(struct fake_source *fake, struct fake_step step, unsigned count)
{
	pthread_mutex_lock(&fake->lock);
	if (fake->step_count + count > FAKE_STEPS_MAX)
		abort();
	while (count-- > 0)
		fake->steps[(fake->step_first + fake->step_count++) % FAKE_STEPS_MAX] = step;
	pthread_mutex_unlock(&fake->lock);
	wake(fake->ready_fd);
}

void fake_source_fail(struct fake_source *fake, enum fake_call call, int error)
{
	pthread_mutex_lock(&fake->lock);
	fake->fails[call] = error;
	pthread_mutex_unlock(&fake->lock);
}

void fake_source_keep_opening(struct fake_source *fake, bool opening)
{
	pthread_mutex_lock(&fake->lock);
	fake->opening = opening;
	pthread_mutex_unlock(&fake->lock);
	wake(fake->ready_fd);
}

uint64_t fake_source_calls(struct fake_source *fake, enum fake_call call)
{
	uint64_t calls;

	pthread_mutex_lock(&fake->lock);
	calls = fake->calls[call];
	pthread_mutex_unlock(&fake->lock);
	return calls;
}

uint32_t fake_source_slots(struct fake_source *fake)
{
	uint32_t count;

	pthread_mutex_lock(&fake->lock);
	count = fake->slot_count;
	pthread_mutex_unlock(&fake->lock);
	return count;
}
