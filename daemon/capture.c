/* SPDX-License-Identifier: MIT */
#include "capture.h"

#include "clock.h"
#include "log.h"
#include "message.h"
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BACKOFF_MIN_NS (100 * NSEC_PER_MSEC)
#define BACKOFF_MAX_NS NSEC_PER_SEC

/* ---- waiting ---- */

static void look(struct camera *camera)
{
	/* an exchange: what is loaded below must not be older than the flag that is cleared here */
	(void)atomic_exchange_explicit(&camera->attention, false, memory_order_acq_rel);
	pthread_mutex_lock(&camera->lock);
	camera->wanted = camera->readers;
	camera->quitting = camera->quit;
	camera->leaving = camera->abandoned;
	pthread_mutex_unlock(&camera->lock);
	if (camera->options->always_on && camera->wanted == 0)
		camera->wanted = 1;
}

/* Sleeps until the server thread wants something, the source is ready, or the deadline has passed.
 */
static void sleep_until(struct camera *camera, int fd, short events, int64_t deadline_ns)
{
	struct pollfd fds[2] = {
		{.fd = camera->wake_fd, .events = POLLIN}, {.fd = fd, .events = events}};
	int64_t now = clock_now(), left = deadline_ns > now ? deadline_ns - now : 0;
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};
	uint64_t count;

	if (deadline_ns != INT64_MAX && left == 0 && fd < 0)
		return;
	(void)ppoll(fds, 2, deadline_ns == INT64_MAX ? NULL : &timeout, NULL);
	if (fds[0].revents != 0 && read(camera->wake_fd, &count, sizeof count) < 0 &&
		errno != EAGAIN)
		log_error("eventfd: %s (this is a bug)", strerror(errno));
}

static void sleep_for_source(struct camera *camera, int64_t deadline_ns)
{
	struct source_wait wait = {.fd = -1, .deadline_ns = INT64_MAX};

	camera->source->ops->wait(camera->source, &wait);
	if (wait.deadline_ns < deadline_ns)
		deadline_ns = wait.deadline_ns;
	if (wait.deadline_ns != 0)
		sleep_until(camera, wait.fd, wait.events, deadline_ns);
}

/* ---- pool ---- */

static int plan(const struct options *options, const struct source_format *format, uint64_t pinned,
	struct pool_plan *ret_plan, char error[SOURCE_TEXT_SIZE])
{
	uint32_t least;
	int result;

	result = pool_plan_init(ret_plan, &format->format, format->slots_needed, options->slots,
		options->lease_min_ns, &least);
	if (result == -EINVAL) {
		snprintf(error, SOURCE_TEXT_SIZE,
			"%" PRIu32
			" slots are not enough for this source: use --slots auto, or %" PRIu32
			" to %d",
			options->slots, least, POOL_SLOTS_MAX);
		return result;
	}
	if (result < 0) {
		snprintf(error, SOURCE_TEXT_SIZE, "a pool for frames of %" PRIu32 " bytes: %s",
			format->format.frame_size, strerror(-result));
		return result;
	}
	ret_plan->max_leases = options->max_leases;
	ret_plan->reader_max = options->max_clients;
	if (ret_plan->size + pinned > options->memory_limit) {
		snprintf(error, SOURCE_TEXT_SIZE,
			"no memory for the pool: %" PRIu64 " MiB (%" PRIu32 " slots), with %" PRIu64
			" MiB that clients keep of old ones, are over the limit of %" PRIu64
			" MiB: raise --memory-limit or lower --slots",
			ret_plan->size >> 20, ret_plan->slot_count, pinned >> 20,
			options->memory_limit >> 20);
		return -ENOMEM;
	}
	return 0;
}

static void pool_error(const struct pool_plan *pool_plan, int result, char error[SOURCE_TEXT_SIZE])
{
	if (result == -ENOTSUP)
		snprintf(error, SOURCE_TEXT_SIZE,
			"this kernel cannot seal memory against future writes: camtap needs Linux "
			"5.1");
	else
		snprintf(error, SOURCE_TEXT_SIZE,
			"no memory for the pool: %" PRIu64 " MiB (%" PRIu32
			" slots) asked for: %s; lower --slots or free memory",
			pool_plan->size >> 20, pool_plan->slot_count, strerror(-result));
}

int camera_try(const struct options *options, struct source *source, char error[SOURCE_TEXT_SIZE])
{
	struct source_format format;
	struct pool_plan pool_plan;
	struct pool *pool;
	int result;

	if (!source->ops->open_early)
		return 0;
	result = source->ops->open(source, &format);
	if (result < 0) {
		snprintf(error, SOURCE_TEXT_SIZE, "%s", source->error);
		return result;
	}
	result = plan(options, &format, 0, &pool_plan, error);
	source->ops->close(source);
	if (result < 0)
		return result;
	result = pool_create(&pool_plan, &pool);
	if (result < 0) {
		pool_error(&pool_plan, result, error);
		return result;
	}
	pool_destroy(pool);
	return 0;
}

static int pool_install(struct camera *camera, char error[SOURCE_TEXT_SIZE])
{
	struct pool_plan pool_plan;
	struct pool *pool;
	int result;

	result = plan(
		camera->options, &camera->format, pinned_bytes(camera->pinned), &pool_plan, error);
	if (result < 0)
		return result;
	result = pool_create(&pool_plan, &pool);
	if (result < 0) {
		pool_error(&pool_plan, result, error);
		return result;
	}
	pthread_mutex_lock(&camera->lock);
	camera->pool = pool;
	camera->snapshot.transfer = camera->format.transfer;
	camera->snapshot.version++;
	pthread_mutex_unlock(&camera->lock);
	return 0;
}

/* ---- streaming ---- */

/* Takes slots until the source has its reserve again. Under the lock; returns how many, in
 * `ret_slots`. */
static uint32_t take_slots(struct camera *camera, int64_t now, uint32_t ret_slots[POOL_SLOTS_MAX])
{
	struct pool *pool = camera->pool;
	uint32_t taken = 0;

	while (pool->writing < pool->reserve) {
		enum pool_outcome outcome = pool_take_slot(pool, now, &ret_slots[taken]);

		if (outcome != POOL_TAKEN)
			break;
		taken++;
	}
	if (pool->writing == 0 && !camera->starved)
		atomic_fetch_add_explicit(
			&pool->header->counters.pool_empty, 1, memory_order_relaxed);
	camera->starved = pool->writing == 0;
	return taken;
}

static int give_slots(struct camera *camera, const uint32_t *slots, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int error = camera->source->ops->give(camera->source, slots[i]);

		if (error < 0)
			return error;
	}
	return 0;
}

static int supply(struct camera *camera)
{
	uint32_t slots[POOL_SLOTS_MAX], count, expelled;

	pthread_mutex_lock(&camera->lock);
	expelled = camera->pool->expelled;
	count = take_slots(camera, clock_now(), slots);
	expelled = camera->pool->expelled - expelled;
	pthread_mutex_unlock(&camera->lock);
	if (expelled > 0)
		camera_notify(camera->notify_fd);
	return give_slots(camera, slots, count);
}

static void describe(
	const struct camera *camera, const struct source_frame *from, struct pool_frame *ret_frame)
{
	const struct pool_format *format = &camera->format.format;
	struct pool_frame frame = {
		.capture_time_ns = from->capture_time_ns,
		.media_time_ns = from->media_time_ns,
		.sequence = from->sequence,
		.flags = from->flags | (from->lost > 0 ? POOL_FRAME_DISCONTINUITY : 0),
		.capture_clock = from->capture_clock,
		.field = from->field,
		.bytesused = from->bytesused,
		.plane_count = format->plane_count,
	};

	for (uint32_t i = 0; i < format->plane_count; i++) {
		uint32_t end = i + 1 < format->plane_count ? format->planes[i + 1].offset
							   : from->bytesused;

		if (end > from->bytesused)
			end = from->bytesused;
		frame.planes[i].offset = format->planes[i].offset;
		frame.planes[i].stride = format->planes[i].stride;
		frame.planes[i].bytesused =
			end > format->planes[i].offset ? end - format->planes[i].offset : 0;
	}
	*ret_frame = frame;
}

static void copy_targets(struct camera *camera)
{
	struct pool *pool = camera->pool;

	camera->announcer.target_count = pool->reader_count;
	for (uint32_t i = 0; i < pool->reader_count; i++) {
		struct camera_reader *reader =
			(struct camera_reader *)((char *)pool->readers[i] -
						 offsetof(struct camera_reader, pool));

		camera->announcer.targets[i] = &reader->target;
	}
}

/* One good frame: publish it, give the source its next slot, then announce. */
static int deliver(struct camera *camera, const struct source_frame *from)
{
	struct pool *pool = camera->pool;
	struct pool_counters *counters = &pool->header->counters;
	uint32_t slots[POOL_SLOTS_MAX], count, expelled = pool->expelled;
	struct pool_frame frame;
	struct wire_frame message;
	uint64_t missed = 0;
	bool tell;
	int64_t now;
	int error;

	describe(camera, from, &frame);
	pthread_mutex_lock(&camera->lock);
	now = clock_now();
	pool_publish(pool, from->slot, &frame, now);
	camera_frame_message(pool, &frame, from->slot, &message);
	count = take_slots(camera, now, slots);
	copy_targets(camera);
	camera->announcing = true;
	pthread_mutex_unlock(&camera->lock);

	error = give_slots(camera, slots, count);
	tell = announce(&camera->announcer, &message, &missed) == ANNOUNCE_SUSPECT;

	pthread_mutex_lock(&camera->lock);
	camera->announcing = false;
	tell = tell || camera->retired != NULL || pool->expelled != expelled;
	pthread_mutex_unlock(&camera->lock);
	if (tell)
		camera_notify(camera->notify_fd);
	if (missed > 0)
		atomic_fetch_add_explicit(&counters->client_slow, missed, memory_order_relaxed);
	if (from->lost > 0)
		atomic_fetch_add_explicit(
			&counters->dropped_driver, from->lost, memory_order_relaxed);
	if (now >= camera->realtime_due_ns) {
		atomic_store_explicit(&pool->header->realtime_offset,
			clock_read(CLOCK_REALTIME) - clock_now(), memory_order_relaxed);
		camera->realtime_due_ns = now + NSEC_PER_SEC;
	}
	return error;
}

static void discard(struct camera *camera, uint32_t slot)
{
	pthread_mutex_lock(&camera->lock);
	pool_discard(camera->pool, slot);
	pthread_mutex_unlock(&camera->lock);
	atomic_fetch_add_explicit(&camera->pool->header->counters.corrupt, 1, memory_order_relaxed);
}

/* False: nobody has read for idle_timeout. */
static bool still_wanted(struct camera *camera)
{
	const struct source_ops *ops = camera->source->ops;

	if (camera->leaving)
		return false;
	if (camera->wanted > 0 || !ops->restartable) {
		camera->idle_deadline_ns = INT64_MAX;
		return true;
	}
	if (camera->idle_deadline_ns == INT64_MAX)
		camera->idle_deadline_ns = clock_now() + (int64_t)camera->options->idle_timeout_ns;
	return clock_now() < camera->idle_deadline_ns;
}

/* Runs until the source ends, fails (negative errno), or nobody wants it. */
static enum source_outcome stream(struct camera *camera, int *ret_error)
{
	struct source *source = camera->source;
	struct source_frame frame;
	int result = supply(camera);

	camera->idle_deadline_ns = INT64_MAX;
	while (result >= 0) {
		if (atomic_load_explicit(&camera->attention, memory_order_acquire)) {
			look(camera);
			if (camera->quitting)
				return SOURCE_TRY_AGAIN;
			result = supply(camera); /* lossless: something was given back */
			if (result < 0)
				break;
		}
		if (!still_wanted(camera))
			return SOURCE_TRY_AGAIN;
		result = source->ops->take(source, &frame);
		switch (result) {
		case SOURCE_FRAME:
			result = deliver(camera, &frame);
			break;
		case SOURCE_CORRUPT:
			discard(camera, frame.slot);
			result = supply(camera);
			break;
		case SOURCE_TRY_AGAIN:
			sleep_for_source(camera, camera->idle_deadline_ns);
			break;
		case SOURCE_ENDED:
			return SOURCE_ENDED;
		default:
			break;
		}
	}
	*ret_error = result;
	return SOURCE_CORRUPT;
}

/* ---- the states: each handler stays in its state until it can name the next ---- */

static enum camera_state fail(struct camera *camera, int error, const char *text)
{
	/* what cannot be opened again is over */
	enum camera_state state =
		camera->source->ops->restartable ? CAMERA_BACKOFF : CAMERA_FINISHED;

	camera_give_up_pool(camera);
	camera_set_state(camera, state, -error, text);
	return state;
}

static enum camera_state state_idle(struct camera *camera)
{
	camera->backoff_ns = BACKOFF_MIN_NS;
	for (;;) {
		look(camera);
		if (camera->quitting)
			return CAMERA_FINISHED;
		if (camera->wanted > 0)
			return CAMERA_OPENING;
		sleep_until(camera, -1, 0, INT64_MAX);
	}
}

static enum camera_state state_opening(struct camera *camera)
{
	struct source *source = camera->source;
	char error[SOURCE_TEXT_SIZE];
	int result;

	while ((result = source->ops->open(source, &camera->format)) == SOURCE_TRY_AGAIN) {
		sleep_for_source(camera, INT64_MAX);
		look(camera);
		if (camera->quitting || (camera->wanted == 0 && source->ops->restartable)) {
			source->ops->close(source);
			return CAMERA_IDLE;
		}
	}
	if (result == SOURCE_ENDED) /* standard input is over before it began */
		return CAMERA_ENDED;
	if (result < 0)
		return fail(camera, result, source->error);
	result = pool_install(camera, error);
	if (result < 0) {
		source->ops->close(source);
		return fail(camera, result, error);
	}
	return CAMERA_WAITING;
}

static uint32_t linked(struct camera *camera)
{
	uint32_t count;

	pthread_mutex_lock(&camera->lock);
	count = camera->pool->reader_count;
	pthread_mutex_unlock(&camera->lock);
	return count;
}

static enum camera_state state_waiting(struct camera *camera)
{
	struct source *source = camera->source;

	for (;;) {
		look(camera);
		if (camera->quitting || camera->leaving ||
			(camera->wanted == 0 && source->ops->restartable)) {
			source->ops->close(source);
			camera_give_up_pool(camera);
			return CAMERA_IDLE;
		}
		if (camera->options->always_on || linked(camera) >= camera->options->wait_readers)
			return CAMERA_STREAMING;
		sleep_until(camera, -1, 0, INT64_MAX);
	}
}

static enum camera_state state_streaming(struct camera *camera)
{
	struct source *source = camera->source;
	struct source_slots slots = {.count = camera->pool->slot_count,
		.size = (uint32_t)camera->pool->header->slot_stride};
	enum source_outcome outcome;
	char text[SOURCE_TEXT_SIZE];
	int error;

	for (uint32_t i = 0; i < slots.count; i++)
		slots.slots[i] = pool_slot_data(camera->pool, i);
	error = source->ops->start(source, &slots);
	if (error < 0) {
		snprintf(text, sizeof text, "%s", source->error);
		source->ops->close(source);
		return fail(camera, error, text);
	}
	camera->starved = false;
	outcome = stream(camera, &error);
	if (camera->pool->newest > 0) /* it did work */
		camera->backoff_ns = BACKOFF_MIN_NS;
	snprintf(text, sizeof text, "%s", source->error);
	source->ops->stop(source);
	source->ops->close(source);
	if (outcome == SOURCE_ENDED)
		return CAMERA_ENDED;
	if (outcome == SOURCE_TRY_AGAIN) {
		camera_give_up_pool(camera);
		return CAMERA_IDLE;
	}
	return fail(camera, error, text);
}

static enum camera_state state_backoff(struct camera *camera)
{
	int64_t deadline = clock_now() + camera->backoff_ns;

	camera->backoff_ns *= 2;
	if (camera->backoff_ns > BACKOFF_MAX_NS)
		camera->backoff_ns = BACKOFF_MAX_NS;
	for (;;) {
		look(camera);
		if (camera->quitting)
			return CAMERA_FINISHED;
		if (camera->wanted == 0)
			return CAMERA_IDLE;
		if (clock_now() >= deadline)
			return CAMERA_OPENING;
		sleep_until(camera, -1, 0, deadline);
	}
}

static enum camera_state state_ended(struct camera *camera)
{
	for (;;) {
		look(camera);
		if (camera->quitting || camera->leaving || camera->wanted == 0) {
			camera_give_up_pool(camera);
			return camera->source->ops->restartable && !camera->quitting
				       ? CAMERA_IDLE
				       : CAMERA_FINISHED;
		}
		sleep_until(camera, -1, 0, INT64_MAX);
	}
}

void *capture_run(void *userdata)
{
	struct camera *camera = userdata;
	enum camera_state state = CAMERA_IDLE, old = CAMERA_IDLE;

	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	while (state != CAMERA_FINISHED) {
		/* fail() has entered BACKOFF with its reason, which stays while it is tried again
		 */
		if (state != CAMERA_BACKOFF && !(state == CAMERA_OPENING && old == CAMERA_BACKOFF))
			camera_set_state(camera, state, 0, "");
		old = state;
		switch (state) {
		case CAMERA_IDLE:
			state = state_idle(camera);
			break;
		case CAMERA_OPENING:
			state = state_opening(camera);
			break;
		case CAMERA_WAITING:
			state = state_waiting(camera);
			break;
		case CAMERA_STREAMING:
			state = state_streaming(camera);
			break;
		case CAMERA_BACKOFF:
			state = state_backoff(camera);
			break;
		case CAMERA_ENDED:
			state = state_ended(camera);
			break;
		case CAMERA_FINISHED:
			break;
		}
	}
	if (camera->snapshot.state != CAMERA_FINISHED) /* else fail() said why */
		camera_set_state(camera, CAMERA_FINISHED, 0, "");
	return NULL;
}
