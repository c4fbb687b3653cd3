/* SPDX-License-Identifier: MIT */
#include "capture.h"

#include "clock.h"
#include "format.h"
#include "log-messages.h"
#include "log.h"
#include "message.h"
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* No ioctl of a device that works takes longer: uvcvideo gives each transfer 5 s, and opening makes
 * some of them. */
#define DEVICE_PATIENCE_NS (30 * NSEC_PER_SEC)

const char *camera_state_to_string(enum camera_state state)
{
	static const char *const names[] = {
		[CAMERA_IDLE] = "idle",
		[CAMERA_OPENING] = "opening",
		[CAMERA_WAITING] = "waiting",
		[CAMERA_STREAMING] = "streaming",
		[CAMERA_STALLED] = "stalled",
		[CAMERA_BACKOFF] = "offline",
		[CAMERA_PAUSED] = "paused",
		[CAMERA_ENDED] = "ended",
		[CAMERA_FINISHED] = "finished",
	};

	return names[state];
}

void camera_notify(int fd)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, whoever waits is awake */
	if (write(fd, &one, sizeof one) < 0 && errno != EAGAIN)
		log_error("eventfd: %s (this is a bug)", strerror(errno));
}

static void log_streaming(const struct camera *camera, const struct log_fields *fields)
{
	const struct pool_format *format = &camera->format.format;
	char name[FORMAT_TEXT_SIZE], rate[32] = "";

	format_print(format->fourcc, name);
	if (format->rate_numerator > 0 && format->rate_denominator > 0)
		snprintf(rate, sizeof rate, " at %.4g fps",
			(double)format->rate_numerator / format->rate_denominator);
	log_event(LOG_INFO, fields, "streaming %s %ux%u%s, %s", name, format->width, format->height,
		rate, camera->format.transfer);
}

/* The message id of a change of state; NULL: nobody's concern, such as the steps between off and
 * streaming. */
static const char *message_id_of(
	const struct camera *camera, enum camera_state old, enum camera_state state, int error)
{
	if (state == CAMERA_STALLED)
		return LOG_CAMERA_STALLED;
	if (state == CAMERA_BACKOFF || error != 0)
		return LOG_CAMERA_OFFLINE;
	if (state == CAMERA_STREAMING)
		return LOG_CAMERA_STREAMING;
	if (state == CAMERA_ENDED)
		return LOG_CAMERA_ENDED;
	if (state == CAMERA_PAUSED)
		return LOG_CAMERA_PAUSED;
	if (state == CAMERA_IDLE && old != CAMERA_OPENING && old != CAMERA_WAITING &&
		old != CAMERA_PAUSED && !camera->quitting)
		return LOG_CAMERA_IDLE;
	return NULL;
}

static bool is_loggable(struct camera *camera)
{
	struct log_limit *limit = &camera->log_limit;

	if (!log_limit_permits(limit, clock_now()))
		return false;
	if (limit->left_out > 0)
		log_event(LOG_NOTICE,
			&(struct log_fields){
				.message_id = LOG_LINES_LEFT_OUT, .camera = camera->options->name},
			"%" PRIu64 " changes of state were left out: readers come and go too often",
			limit->left_out);
	limit->left_out = 0;
	return true;
}

static void log_state(struct camera *camera, enum camera_state old, int error, const char *text)
{
	enum camera_state state = camera->snapshot.state; /* only this thread changes it */
	struct log_fields fields = {.message_id = message_id_of(camera, old, state, error),
		.camera = camera->options->name,
		.state = camera_state_to_string(state),
		.error = error};

	if (fields.message_id == NULL || !is_loggable(camera))
		return;
	if (state == CAMERA_STALLED || state == CAMERA_BACKOFF || error != 0)
		log_event(LOG_ERR, &fields, "%s", text);
	else if (state == CAMERA_STREAMING)
		log_streaming(camera, &fields);
	else if (state == CAMERA_ENDED)
		log_event(LOG_INFO, &fields, "the recording is over");
	else
		log_event(LOG_INFO, &fields, "%s", *text != '\0' ? text : "off: nobody reads");
}

void camera_set_state(struct camera *camera, enum camera_state state, int error, const char *text)
{
	struct camera_snapshot *snapshot = &camera->snapshot;
	enum camera_state old = snapshot->state;
	char printable[SOURCE_TEXT_SIZE];
	bool changed;

	message_printable(printable, sizeof printable, text, strlen(text));
	pthread_mutex_lock(&camera->stream.lock);
	changed = old != state || strcmp(snapshot->text, printable) != 0;
	if (changed) {
		snapshot->version++;
		snapshot->state = state;
		snapshot->error = error;
		if (state == CAMERA_PAUSED) /* perhaps since before the daemon was started */
			snapshot->since_realtime_ns = camera->pause.since_realtime_ns;
		else if (old !=
			 state) /* a back-off that goes on for another reason is one absence */
			snapshot->since_realtime_ns = clock_read(CLOCK_REALTIME);
		strcpy(snapshot->text, printable);
	}
	pthread_mutex_unlock(&camera->stream.lock);
	if (!changed)
		return;
	log_state(camera, old, error, printable);
	camera_notify(camera->notify_fd);
}

/* ---- life ---- */

static void wake(struct camera *camera)
{
	atomic_store_explicit(&camera->attention, true, memory_order_release);
	camera_notify(camera->wake_fd);
}

static void wake_producer(struct stream *stream)
{
	wake((struct camera *)((char *)stream - offsetof(struct camera, stream)));
}

static struct camera_tuning tuning_of(const struct options *options)
{
	return (struct camera_tuning){.always_on = options->always_on,
		.publish_bad = options->publish_bad,
		.idle_timeout_ns = options->idle_timeout_ns,
		.stall_timeout_ns = options->stall_timeout_ns};
}

/* Before there is a capture thread: whoever asks first is told already. */
static void begin_paused(struct camera *camera, const struct camera_pause *pause)
{
	struct camera_snapshot *snapshot = &camera->snapshot;

	camera->off = true;
	camera->pause = *pause;
	snapshot->state = CAMERA_PAUSED;
	snapshot->since_realtime_ns = pause->since_realtime_ns;
	message_printable(snapshot->text, sizeof snapshot->text, pause->text, sizeof pause->text);
}

int camera_create(const struct options *options, struct source *source, struct pinned *pinned,
	int notify_fd, int64_t send_unit_ns, const struct camera_pause *pause,
	struct camera **ret_camera)
{
	struct camera *camera = calloc(1, sizeof *camera);
	sigset_t all, old;
	int error;

	if (camera == NULL)
		return -ENOMEM;
	camera->options = options;
	camera->source = source;
	camera->pinned = pinned;
	camera->notify_fd = notify_fd;
	camera->snapshot.since_realtime_ns = clock_read(CLOCK_REALTIME);
	camera->wanted_tuning = tuning_of(options);
	if (pause != NULL)
		begin_paused(camera, pause);
	/* derived streams are readers, too */
	error = stream_init(&camera->stream, notify_fd, options->max_clients + options->max_streams,
		send_unit_ns, wake_producer);
	if (error < 0)
		goto free_camera;
	camera->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (camera->wake_fd < 0) {
		error = -errno;
		goto finish_stream;
	}
	camera->timer_ns = INT64_MAX;
	camera->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (camera->timer_fd < 0) {
		error = -errno;
		goto close_wake;
	}
	/* signals are the server thread's */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = -pthread_create(&camera->thread, NULL, capture_run, camera);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error < 0)
		goto close_timer;
	camera->thread_running = true;
	*ret_camera = camera;
	return 0;

close_timer:
	close(camera->timer_fd);
close_wake:
	close(camera->wake_fd);
finish_stream:
	stream_finish(&camera->stream);
free_camera:
	free(camera);
	return error;
}

void camera_stop(struct camera *camera)
{
	if (!camera->thread_running)
		return;
	pthread_mutex_lock(&camera->stream.lock);
	camera->quit = true;
	pthread_mutex_unlock(&camera->stream.lock);
	wake(camera);
	pthread_join(camera->thread, NULL);
	camera->thread_running = false;
	stream_give_up_pool(&camera->stream);
}

void camera_destroy(struct camera *camera)
{
	if (camera == NULL)
		return;
	camera_stop(camera);
	close(camera->timer_fd);
	close(camera->wake_fd);
	stream_finish(&camera->stream);
	free(camera);
}

/* ---- server thread ---- */

void camera_configure(struct camera *camera, const struct options *options)
{
	pthread_mutex_lock(&camera->stream.lock);
	camera->wanted_tuning = tuning_of(options);
	pthread_mutex_unlock(&camera->stream.lock);
	wake(camera);
}

void camera_set_readers(struct camera *camera, uint32_t readers)
{
	const struct source_ops *ops = camera->source->ops;

	pthread_mutex_lock(&camera->stream.lock);
	camera->readers = readers;
	if (readers == 0 && !ops->live && ops->restartable && !camera->wanted_tuning.always_on &&
		camera->stream.pool != NULL)
		camera->stream.abandoned = true;
	pthread_mutex_unlock(&camera->stream.lock);
	wake(camera);
}

void camera_snapshot(struct camera *camera, struct camera_snapshot *ret_snapshot)
{
	pthread_mutex_lock(&camera->stream.lock);
	*ret_snapshot = camera->snapshot;
	if (camera->stream.abandoned)
		ret_snapshot->state = CAMERA_IDLE;
	pthread_mutex_unlock(&camera->stream.lock);
}

void camera_set_pause(struct camera *camera, const struct camera_pause *pause)
{
	pthread_mutex_lock(&camera->stream.lock);
	camera->off = pause != NULL;
	if (pause != NULL)
		camera->pause = *pause;
	pthread_mutex_unlock(&camera->stream.lock);
	wake(camera);
}

bool camera_pause_is_done(struct camera *camera)
{
	bool done;

	/* from PAUSED the capture thread goes to IDLE, and looks there again before it opens */
	pthread_mutex_lock(&camera->stream.lock);
	done = camera->off == (camera->snapshot.state == CAMERA_PAUSED);
	pthread_mutex_unlock(&camera->stream.lock);
	return done;
}

struct stream *camera_stream(struct camera *camera)
{
	return &camera->stream;
}

void camera_ping(struct camera *camera)
{
	atomic_fetch_add_explicit(&camera->pings, 1, memory_order_relaxed);
	wake(camera);
}

bool camera_is_alive(struct camera *camera)
{
	int64_t at_device_ns = atomic_load_explicit(&camera->at_device_ns, memory_order_relaxed);

	if (atomic_load_explicit(&camera->pongs, memory_order_relaxed) ==
		atomic_load_explicit(&camera->pings, memory_order_relaxed))
		return true;
	return at_device_ns != 0 && clock_now() - at_device_ns < DEVICE_PATIENCE_NS;
}

void camera_count_damaged(struct camera *camera, uint64_t ret_counts[SOURCE_DAMAGE_COUNT])
{
	for (size_t i = 0; i < SOURCE_DAMAGE_COUNT; i++)
		ret_counts[i] = atomic_load_explicit(&camera->damaged[i], memory_order_relaxed);
}
