/* SPDX-License-Identifier: MIT */
#include "capture.h"

#include "clock.h"
#include "hot.h"
#include "log-messages.h"
#include "log.h"
#include "message.h"
#include "options.h"
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BACKOFF_MIN_NS (100 * NSEC_PER_MSEC)
#define BACKOFF_MAX_NS NSEC_PER_SEC
#define STALL_FRAMES   4 /* a slow device may be silent for that many frames' time */

/* ---- waiting ---- */

static void look(struct camera *camera)
{
	/* an exchange: what is loaded below must not be older than the flag that is cleared here */
	(void)atomic_exchange_explicit(&camera->attention, false, memory_order_acq_rel);
	atomic_store_explicit(&camera->pongs,
		atomic_load_explicit(&camera->pings, memory_order_relaxed), memory_order_relaxed);
	pthread_mutex_lock(&camera->stream.lock);
	camera->wanted = camera->readers;
	camera->quitting = camera->quit;
	camera->tuning = camera->wanted_tuning;
	camera->pausing = camera->off;
	camera->leaving = camera->stream.abandoned || camera->off;
	pthread_mutex_unlock(&camera->stream.lock);
	if (camera->tuning.always_on && camera->wanted == 0)
		camera->wanted = 1;
	if (camera->pausing)
		camera->wanted = 0;
}

/* Takes what made an eventfd or a timerfd readable. */
static void clear(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
		log_error("eventfd or timerfd: %s (this is a bug)", strerror(errno));
}

/* Sleeps until the server thread wants something, the source is ready (true), or the deadline has
 * passed. */
HOT static bool sleep_until(struct camera *camera, int fd, short events, int64_t deadline_ns)
{
	struct pollfd fds[2] = {
		{.fd = camera->wake_fd, .events = POLLIN}, {.fd = fd, .events = events}};
	int64_t now = clock_now(), left = deadline_ns > now ? deadline_ns - now : 0;
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};

	if (deadline_ns != INT64_MAX && left == 0 && fd < 0)
		return false;
	(void)ppoll(fds, 2, deadline_ns == INT64_MAX ? NULL : &timeout, NULL);
	if (fds[0].revents != 0)
		clear(camera->wake_fd);
	return fds[1].revents != 0;
}

/*
 * The same for a deadline that each frame puts off, as that of a stall is: it may end early.
 *
 * A timeout of each ppoll() would cost more than a third descriptor in it. So there is a timer that
 * is left as it is when the deadline moves on: it goes off in vain now and then, and is set to what
 * the deadline is by then.
 */
HOT static void sleep_on_device(struct camera *camera, int fd, short events, int64_t deadline_ns)
{
	struct pollfd fds[3] = {{.fd = camera->wake_fd, .events = POLLIN},
		{.fd = fd, .events = events}, {.fd = camera->timer_fd, .events = POLLIN}};

	if (deadline_ns < camera->timer_ns) {
		struct itimerspec time = {.it_value = {.tv_sec = deadline_ns / NSEC_PER_SEC,
						  .tv_nsec = deadline_ns % NSEC_PER_SEC}};

		(void)timerfd_settime(camera->timer_fd, TFD_TIMER_ABSTIME, &time, NULL);
		camera->timer_ns = deadline_ns;
	}
	(void)ppoll(fds, 3, NULL, NULL);
	if (fds[0].revents != 0)
		clear(camera->wake_fd);
	if (fds[2].revents != 0) {
		clear(camera->timer_fd);
		camera->timer_ns = INT64_MAX;
	}
}

HOT static void sleep_for_source(struct camera *camera, int64_t deadline_ns)
{
	struct source_wait wait = {.fd = -1, .deadline_ns = INT64_MAX};

	camera->source->ops->wait(camera->source, &wait);
	if (wait.fd >= 0 && wait.deadline_ns == INT64_MAX)
		sleep_on_device(camera, wait.fd, wait.events, deadline_ns);
	else if (wait.deadline_ns != 0)
		(void)sleep_until(camera, wait.fd, wait.events,
			wait.deadline_ns < deadline_ns ? wait.deadline_ns : deadline_ns);
}

/* ---- steps of the source that can take seconds ---- */

static int open_source(struct camera *camera)
{
	int result;

	begin_at_device(camera);
	result = camera->source->ops->open(camera->source, &camera->format);
	end_at_device(camera);
	return result;
}

static void close_source(struct camera *camera)
{
	begin_at_device(camera);
	camera->source->ops->close(camera->source);
	end_at_device(camera);
}

/* ---- streaming ---- */

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
	struct pool *pool = camera->stream.pool;
	bool waited = pool->writing < pool->slots_needed;
	uint32_t slots[POOL_SLOTS_MAX], count = stream_take_slots(&camera->stream, slots);

	if (waited) /* for readers: from now on the source may be waited for */
		camera->alive_ns = clock_now();
	return give_slots(camera, slots, count);
}

HOT static void describe(
	const struct camera *camera, const struct source_frame *from, struct pool_frame *ret_frame)
{
	const struct pool_format *format = &camera->format.format;
	struct pool_frame frame = {
		.capture_time_ns = from->capture_time_ns,
		.media_time_ns = from->media_time_ns,
		.sequence = from->sequence,
		.flags = from->flags |
			 (from->lost > 0 || camera->interrupted ? POOL_FRAME_DISCONTINUITY : 0) |
			 (from->damage != SOURCE_DAMAGE_NONE ? POOL_FRAME_BAD : 0),
		.capture_clock = from->capture_clock,
		.field = from->field,
		.bytesused = from->bytesused,
		.plane_count = format->plane_count,
	};

	for (uint32_t i = 0; i < from->plane_count; i++) {
		frame.planes[i].offset = from->planes[i].offset;
		frame.planes[i].stride = from->planes[i].stride;
		frame.planes[i].bytesused = from->planes[i].bytesused;
		frame.planes[i].memory = from->planes[i].memory;
	}
	for (uint32_t i = from->plane_count; i < format->plane_count; i++) {
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

/* One frame: publish it, give the source its next slot, then announce. */
HOT static int deliver(struct camera *camera, const struct source_frame *from)
{
	struct stream_publication publication;
	uint32_t slots[POOL_SLOTS_MAX], count;
	struct pool_frame frame;
	int error;

	describe(camera, from, &frame);
	camera->interrupted = false;
	count = stream_publish(&camera->stream, from->slot, &frame, &publication, slots);
	error = give_slots(camera, slots, count);
	stream_announce(&camera->stream, &publication);
	if (from->lost > 0)
		atomic_fetch_add_explicit(&camera->stream.pool->header->counters.dropped_driver,
			from->lost, memory_order_relaxed);
	return error;
}

/* A frame that is no good: counted, and only published, with a flag, if the administrator wants to
 * see such frames. */
static int deliver_damaged(struct camera *camera, const struct source_frame *frame)
{
	struct pool_counters *counters = &camera->stream.pool->header->counters;

	atomic_fetch_add_explicit(&counters->corrupt, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&camera->damaged[frame->damage], 1, memory_order_relaxed);
	if (camera->tuning.publish_bad)
		return deliver(camera, frame);
	stream_discard(&camera->stream, frame->slot);
	return supply(camera);
}

/* The source has given a frame, good or bad: it is there again, if it was missing. */
HOT static void note_life(struct camera *camera, const struct source_frame *frame)
{
	trace_dequeue(frame->slot, frame->sequence, frame->capture_time_ns, frame->damage);
	camera->alive_ns = clock_now();
	camera->backoff_ns = BACKOFF_MIN_NS;
	if (!camera->recovering)
		return;
	camera->recovering = false;
	camera_set_state(camera, CAMERA_STREAMING, 0, "");
}

/* ---- the watch for devices that deliver nothing ---- */

/* How long a device may be silent, in ns: stall_timeout, but some frames' time in any case; 0: for
 * ever. */
HOT static int64_t patience(const struct camera *camera)
{
	const struct pool_format *format = &camera->format.format;
	int64_t timeout = (int64_t)camera->tuning.stall_timeout_ns, frames = 0;

	if (!camera->source->ops->stalls || timeout == 0)
		return 0;
	if (format->rate_numerator > 0)
		frames = STALL_FRAMES * NSEC_PER_SEC * format->rate_denominator /
			 format->rate_numerator;
	return timeout > frames ? timeout : frames;
}

/* INT64_MAX: it may be silent, or has no slot to fill. */
HOT static int64_t stall_deadline(const struct camera *camera)
{
	int64_t timeout = patience(camera);

	if (timeout == 0 || camera->stream.pool->writing < camera->stream.pool->slots_needed)
		return INT64_MAX;
	return camera->alive_ns + timeout;
}

/* False: nobody has read for idle_timeout. */
HOT static bool still_wanted(struct camera *camera)
{
	const struct source_ops *ops = camera->source->ops;

	if (camera->leaving)
		return false;
	if (camera->wanted > 0 || !ops->restartable) {
		camera->idle_deadline_ns = INT64_MAX;
		return true;
	}
	if (camera->idle_deadline_ns == INT64_MAX)
		camera->idle_deadline_ns = clock_now() + (int64_t)camera->tuning.idle_timeout_ns;
	return clock_now() < camera->idle_deadline_ns;
}

HOT static void wait_for_frame(struct camera *camera)
{
	int64_t deadline = stall_deadline(camera);

	sleep_for_source(
		camera, deadline < camera->idle_deadline_ns ? deadline : camera->idle_deadline_ns);
	/* which comes while the source is asked for the frame */
	stream_prefetch(&camera->stream);
}

enum stream_outcome {
	STREAM_UNWANTED, /* nobody reads, or the camera quits */
	STREAM_ENDED,    /* the recording is over */
	STREAM_CHANGED,  /* another format comes from now on */
	STREAM_STALLED,  /* nothing comes */
	STREAM_FAILED,   /* *ret_error says how */
};

/* Takes frames for as long as they come and are wanted. */
HOT static enum stream_outcome stream(struct camera *camera, int *ret_error)
{
	struct source *source = camera->source;
	struct source_frame frame;
	int result = supply(camera);

	camera->idle_deadline_ns = INT64_MAX;
	camera->alive_ns = clock_now();
	while (result >= 0) {
		int64_t deadline;

		if (atomic_load_explicit(&camera->attention, memory_order_acquire)) {
			look(camera);
			if (camera->quitting)
				return STREAM_UNWANTED;
			result = supply(camera); /* lossless: something was given back */
			if (result < 0)
				break;
		}
		if (!still_wanted(camera))
			return STREAM_UNWANTED;
		result = source->ops->take(source, &frame);
		switch (result) {
		case SOURCE_FRAME:
			note_life(camera, &frame);
			result = deliver(camera, &frame);
			/* asking a device for the next one, which is not there yet, costs more */
			if (result >= 0 && source->ops->stalls)
				wait_for_frame(camera);
			break;
		case SOURCE_CORRUPT:
			note_life(camera, &frame);
			result = deliver_damaged(camera, &frame);
			break;
		case SOURCE_TRY_AGAIN:
			deadline = stall_deadline(camera);
			if (deadline != INT64_MAX && clock_now() >= deadline)
				return STREAM_STALLED;
			wait_for_frame(camera);
			break;
		case SOURCE_ENDED:
			return STREAM_ENDED;
		case SOURCE_CHANGED:
			return STREAM_CHANGED;
		default:
			break;
		}
	}
	*ret_error = result;
	return STREAM_FAILED;
}

/* Starts the source on the slots of the pool. */
static int start(struct camera *camera)
{
	struct source_slots slots = {.count = camera->stream.pool->slot_count,
		.size = (uint32_t)camera->stream.pool->header->slot_stride};
	int result;

	for (uint32_t i = 0; i < slots.count; i++)
		slots.slots[i] = pool_slot_data(camera->stream.pool, i);
	camera->interrupted = camera->stream.pool->newest > 0;
	begin_at_device(camera);
	result = camera->source->ops->start(camera->source, &slots);
	end_at_device(camera);
	return result;
}

/* Stops it. The slots that it had are nobody's again. */
static void stop(struct camera *camera)
{
	struct pool *pool = camera->stream.pool;

	begin_at_device(camera);
	camera->source->ops->stop(camera->source);
	end_at_device(camera);
	for (uint32_t slot = 0; slot < pool->slot_count; slot++)
		if (pool->slots[slot].state == POOL_SLOT_WRITING)
			stream_discard(&camera->stream, slot);
}

/* ---- the states: each handler stays in its state until it can name the next ---- */

/* Tells people why there are no frames. From now on the camera recovers. */
static void complain(struct camera *camera, enum camera_state state, int error, const char *text)
{
	camera->recovering = true;
	camera_set_state(camera, state, -error, text);
}

static enum camera_state fail(struct camera *camera, int error, const char *text)
{
	/* what cannot be opened again is over */
	enum camera_state state =
		camera->source->ops->restartable ? CAMERA_BACKOFF : CAMERA_FINISHED;

	if (state == CAMERA_FINISHED || camera->stream.pool == NULL ||
		camera->stream.pool->newest > 0)
		stream_give_up_pool(&camera->stream); /* else for the next attempt: keep_pool() */
	complain(camera, state, error, text);
	return state;
}

/* The source is closed, and nobody wants it open. */
static enum camera_state closed(const struct camera *camera)
{
	return camera->pausing ? CAMERA_PAUSED : CAMERA_IDLE;
}

static enum camera_state state_idle(struct camera *camera)
{
	camera->backoff_ns = BACKOFF_MIN_NS;
	camera->recovering = false;
	for (;;) {
		look(camera);
		if (camera->quitting)
			return CAMERA_FINISHED;
		if (camera->pausing)
			return CAMERA_PAUSED;
		if (camera->wanted > 0)
			return CAMERA_OPENING;
		(void)sleep_until(camera, -1, 0, INT64_MAX);
	}
}

/* Readers are told who did it; what was wrong before is no news any more. */
static enum camera_state state_paused(struct camera *camera)
{
	struct camera_pause pause;

	camera->recovering = false;
	for (;;) {
		look(camera);
		if (camera->quitting)
			return CAMERA_FINISHED;
		if (!camera->pausing)
			return CAMERA_IDLE;
		pthread_mutex_lock(&camera->stream.lock);
		pause = camera->pause; /* perhaps another one than before */
		pthread_mutex_unlock(&camera->stream.lock);
		camera_set_state(camera, CAMERA_PAUSED, 0, pause.text);
		(void)sleep_until(camera, -1, 0, INT64_MAX);
	}
}

static enum camera_state state_opening(struct camera *camera)
{
	struct source *source = camera->source;
	char error[SOURCE_TEXT_SIZE];
	int result;

	while ((result = open_source(camera)) == SOURCE_TRY_AGAIN) {
		sleep_for_source(camera, INT64_MAX);
		look(camera);
		if (camera->quitting || (camera->wanted == 0 && source->ops->restartable)) {
			close_source(camera);
			stream_give_up_pool(&camera->stream);
			return closed(camera);
		}
	}
	look(camera);
	if (camera->pausing) { /* before anything is made for it, or said of it */
		if (result == 0)
			close_source(camera);
		stream_give_up_pool(&camera->stream);
		return CAMERA_PAUSED;
	}
	if (result == SOURCE_ENDED) /* standard input is over before it began */
		return CAMERA_ENDED;
	if (result < 0)
		return fail(camera, result, source->error);
	result = camera_install_pool(camera, error);
	if (result < 0) {
		close_source(camera);
		return fail(camera, result, error);
	}
	return CAMERA_WAITING;
}

static enum camera_state state_waiting(struct camera *camera)
{
	struct source *source = camera->source;

	for (;;) {
		look(camera);
		if (camera->quitting || camera->leaving ||
			(camera->wanted == 0 && source->ops->restartable)) {
			close_source(camera);
			stream_give_up_pool(&camera->stream);
			return closed(camera);
		}
		if (camera->tuning.always_on ||
			stream_linked_count(&camera->stream) >= camera->options->wait_readers)
			return CAMERA_STREAMING;
		if (camera->recovering &&
			camera->options->wait_readers > 1) { /* not the source's fault */
			camera->recovering = false;
			camera_set_state(camera, CAMERA_WAITING, 0, "");
		}
		(void)sleep_until(camera, -1, 0, INT64_MAX);
	}
}

/* Runs the opened source until it gives up or is given up. */
static enum stream_outcome start_and_stream(struct camera *camera, int *ret_error)
{
	enum stream_outcome outcome;

	*ret_error = start(camera);
	if (*ret_error < 0)
		return STREAM_FAILED;
	outcome = stream(camera, ret_error);
	stop(camera);
	return outcome;
}

static enum camera_state leave_stream(struct camera *camera, enum stream_outcome outcome, int error)
{
	struct source *source = camera->source;
	char text[SOURCE_TEXT_SIZE];

	snprintf(text, sizeof text, "%s", source->error);
	close_source(camera);
	switch (outcome) {
	case STREAM_UNWANTED:
		stream_give_up_pool(&camera->stream);
		return closed(camera);
	case STREAM_ENDED:
		return CAMERA_ENDED;
	case STREAM_CHANGED:
		if (camera->stream.pool->newest == 0) /* again and again? */
			return fail(camera, -EAGAIN, text);
		stream_give_up_pool(&camera->stream);
		complain(camera, CAMERA_OPENING, 0, text);
		return CAMERA_OPENING;
	case STREAM_STALLED:
		snprintf(text, sizeof text,
			"no frame comes, and starting it anew did not help: it is opened again; if "
			"that goes on, try another cable or port");
		return fail(camera, -ETIMEDOUT, text);
	case STREAM_FAILED:
		break;
	}
	return fail(camera, error, text);
}

static enum camera_state state_streaming(struct camera *camera)
{
	int error;
	enum stream_outcome outcome = start_and_stream(camera, &error);
	char text[SOURCE_TEXT_SIZE];

	if (outcome != STREAM_STALLED)
		return leave_stream(camera, outcome, error);
	if (camera->recovering && camera->snapshot.error == ETIMEDOUT)
		return CAMERA_STALLED; /* it was opened anew because of that, as people know */
	snprintf(text, sizeof text, "no frame for %.3g s: it is started anew",
		(double)patience(camera) / NSEC_PER_SEC);
	complain(camera, CAMERA_STALLED, -ETIMEDOUT, text);
	return CAMERA_STALLED;
}

/* The same buffers, the same pool: only the stream is switched off and on. */
static enum camera_state state_stalled(struct camera *camera)
{
	int error;
	enum stream_outcome outcome = start_and_stream(camera, &error);

	/* it came back to life, and fell silent again: that is a stall like the first */
	if (outcome == STREAM_STALLED && !camera->recovering) {
		complain(camera, CAMERA_STALLED, -ETIMEDOUT, "no frame comes: it is started anew");
		return CAMERA_STALLED;
	}
	return leave_stream(camera, outcome, error);
}

static enum camera_state state_backoff(struct camera *camera)
{
	const struct source_ops *ops = camera->source->ops;
	int64_t deadline = clock_now() + camera->backoff_ns;
	int watch = ops->watch != NULL ? ops->watch(camera->source) : -1;

	camera->backoff_ns *= 2;
	if (camera->backoff_ns > BACKOFF_MAX_NS)
		camera->backoff_ns = BACKOFF_MAX_NS;
	for (;;) {
		look(camera);
		if (camera->quitting || camera->wanted == 0) {
			stream_give_up_pool(&camera->stream);
			return camera->quitting ? CAMERA_FINISHED : closed(camera);
		}
		if (clock_now() >= deadline || sleep_until(camera, watch, POLLIN, deadline))
			return CAMERA_OPENING;
	}
}

static enum camera_state state_ended(struct camera *camera)
{
	for (;;) {
		look(camera);
		if (camera->quitting || camera->leaving || camera->wanted == 0) {
			stream_give_up_pool(&camera->stream);
			return camera->source->ops->restartable && !camera->quitting
				       ? closed(camera)
				       : CAMERA_FINISHED;
		}
		(void)sleep_until(camera, -1, 0, INT64_MAX);
	}
}

/* Is the next state news, or one of the steps of an attempt that may fail again? */
static bool is_news(const struct camera *camera, enum camera_state state)
{
	switch (state) {
	case CAMERA_OPENING:
	case CAMERA_WAITING:
	case CAMERA_STREAMING:
		return !camera->recovering;
	case CAMERA_STALLED:
	case CAMERA_BACKOFF:
	case CAMERA_PAUSED:
		return false; /* that is said with the reason */
	default:
		return true;
	}
}

/* This thread only: converters may compute for as long as they like. What it starts (exec:) begins
 * as an ordinary process. */
static void use_realtime(const struct camera *camera)
{
	const struct options *options = camera->options;
	struct sched_param param = {.sched_priority = (int)options->realtime};
	int error;

	if (options->realtime == 0)
		return;
	error = pthread_setschedparam(pthread_self(), SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
	if (error == 0)
		return;
	log_event(LOG_WARNING,
		&(struct log_fields){.message_id = LOG_REALTIME_REFUSED,
			.camera = options->name,
			.error = error},
		"realtime = %" PRIu32 ": %s: goes on without; a service needs LimitRTPRIO=%" PRIu32
		", RestrictRealtime=no and SystemCallFilter=sched_setscheduler (example "
		"realtime.conf), others \"ulimit -r\" or CAP_SYS_NICE",
		options->realtime, strerror(error), options->realtime);
}

void *capture_run(void *userdata)
{
	static enum camera_state (*const handlers[])(struct camera *) = {
		[CAMERA_IDLE] = state_idle,
		[CAMERA_OPENING] = state_opening,
		[CAMERA_WAITING] = state_waiting,
		[CAMERA_STREAMING] = state_streaming,
		[CAMERA_STALLED] = state_stalled,
		[CAMERA_BACKOFF] = state_backoff,
		[CAMERA_PAUSED] = state_paused,
		[CAMERA_ENDED] = state_ended,
	};
	struct camera *camera = userdata;
	enum camera_state state = camera->snapshot.state; /* IDLE or PAUSED */

	(void)pthread_setname_np(pthread_self(), "capture");
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	use_realtime(camera);
	while (state != CAMERA_FINISHED) {
		if (is_news(camera, state))
			camera_set_state(camera, state, 0, "");
		state = handlers[state](camera);
	}
	if (camera->snapshot.state != CAMERA_FINISHED) /* else fail() said why */
		camera_set_state(camera, CAMERA_FINISHED, 0, "");
	return NULL;
}
