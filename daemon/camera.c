/* SPDX-License-Identifier: MIT */
#include "capture.h"

#include "clock.h"
#include "log.h"
#include "message.h"
#include "options.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

const char *camera_state_to_string(enum camera_state state)
{
	static const char *const names[] = {
		[CAMERA_IDLE] = "idle",
		[CAMERA_OPENING] = "opening",
		[CAMERA_WAITING] = "waiting",
		[CAMERA_STREAMING] = "streaming",
		[CAMERA_STALLED] = "stalled",
		[CAMERA_BACKOFF] = "offline",
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

void camera_set_state(struct camera *camera, enum camera_state state, int error, const char *text)
{
	struct camera_snapshot *snapshot = &camera->snapshot;
	enum camera_state old = snapshot->state;
	char printable[SOURCE_TEXT_SIZE];
	bool changed;

	message_printable(printable, sizeof printable, text, strlen(text));
	pthread_mutex_lock(&camera->lock);
	changed = old != state || strcmp(snapshot->text, printable) != 0;
	if (changed) {
		snapshot->version++;
		snapshot->state = state;
		snapshot->error = error;
		if (old != state) /* a back-off that goes on for another reason is one absence */
			snapshot->since_realtime_ns = clock_read(CLOCK_REALTIME);
		strcpy(snapshot->text, printable);
	}
	pthread_mutex_unlock(&camera->lock);
	if (!changed)
		return;
	if (state == CAMERA_BACKOFF || error != 0)
		log_error("%s: %s", camera->options->name, printable);
	else if (state == CAMERA_STREAMING)
		log_info("%s: streaming, %s", camera->options->name, camera->format.transfer);
	else if (state == CAMERA_ENDED)
		log_info("%s: the recording is over", camera->options->name);
	camera_notify(camera->notify_fd);
}

static void camera_add_counters(struct camera_counters *sum, const struct pool *pool)
{
	const struct pool_counters *counters = &pool->header->counters;

	sum->published += atomic_load_explicit(&counters->published, memory_order_relaxed);
	sum->dropped_driver +=
		atomic_load_explicit(&counters->dropped_driver, memory_order_relaxed);
	sum->corrupt += atomic_load_explicit(&counters->corrupt, memory_order_relaxed);
	sum->pool_empty += atomic_load_explicit(&counters->pool_empty, memory_order_relaxed);
	sum->client_slow += atomic_load_explicit(&counters->client_slow, memory_order_relaxed);
	sum->revoked += atomic_load_explicit(&counters->revoked, memory_order_relaxed);
}

void camera_give_up_pool(struct camera *camera)
{
	pthread_mutex_lock(&camera->lock);
	if (camera->pool != NULL) {
		camera_add_counters(&camera->past, camera->pool);
		camera->pool->next = camera->finished;
		camera->finished = camera->pool;
		camera->pool = NULL;
	}
	camera->abandoned = false;
	pthread_mutex_unlock(&camera->lock);
	camera_notify(camera->notify_fd);
}

void camera_frame_message(const struct pool *pool, const struct pool_frame *frame, uint32_t slot,
	struct wire_frame *ret_message)
{
	message_init(&ret_message->header, WIRE_FRAME, sizeof *ret_message);
	ret_message->epoch = pool->header->epoch;
	ret_message->position = frame->position;
	ret_message->generation = pool->slots[slot].generation;
	ret_message->frame_id = frame->frame_id;
	ret_message->publish_time_ns = frame->publish_time_ns;
	ret_message->slot = slot;
	ret_message->reserved = 0;
}

/* ---- life ---- */

static int lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;
	int error;

	pthread_mutexattr_init(&attributes);
	/* a real-time capture thread must not wait behind what preempts the server thread */
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	error = -pthread_mutex_init(lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return error;
}

int camera_create(const struct options *options, struct source *source, struct pinned *pinned,
	int notify_fd, int64_t send_unit_ns, struct camera **ret_camera)
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
	error = lock_init(&camera->lock);
	if (error < 0)
		goto free_camera;
	error = announcer_init(&camera->announcer, options->max_clients, send_unit_ns);
	if (error < 0)
		goto destroy_lock;
	camera->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (camera->wake_fd < 0) {
		error = -errno;
		goto finish_announcer;
	}
	/* signals are the server thread's */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = -pthread_create(&camera->thread, NULL, capture_run, camera);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error < 0)
		goto close_wake;
	camera->thread_running = true;
	*ret_camera = camera;
	return 0;

close_wake:
	close(camera->wake_fd);
finish_announcer:
	announcer_finish(&camera->announcer);
destroy_lock:
	pthread_mutex_destroy(&camera->lock);
free_camera:
	free(camera);
	return error;
}

static void wake(struct camera *camera)
{
	atomic_store_explicit(&camera->attention, true, memory_order_release);
	camera_notify(camera->wake_fd);
}

void camera_stop(struct camera *camera)
{
	if (!camera->thread_running)
		return;
	pthread_mutex_lock(&camera->lock);
	camera->quit = true;
	pthread_mutex_unlock(&camera->lock);
	wake(camera);
	pthread_join(camera->thread, NULL);
	camera->thread_running = false;
	camera_give_up_pool(camera);
}

void camera_destroy(struct camera *camera)
{
	struct pool *pool;

	if (camera == NULL)
		return;
	camera_stop(camera);
	while ((pool = camera_take_finished(camera)) != NULL)
		pool_destroy(pool);
	close(camera->wake_fd);
	announcer_finish(&camera->announcer);
	pthread_mutex_destroy(&camera->lock);
	free(camera);
}

/* ---- server thread ---- */

void camera_set_readers(struct camera *camera, uint32_t readers)
{
	const struct source_ops *ops = camera->source->ops;

	pthread_mutex_lock(&camera->lock);
	camera->readers = readers;
	if (readers == 0 && !ops->live && ops->restartable && !camera->options->always_on &&
		camera->pool != NULL)
		camera->abandoned = true;
	pthread_mutex_unlock(&camera->lock);
	wake(camera);
}

void camera_poke(struct camera *camera)
{
	wake(camera);
}

void camera_snapshot(struct camera *camera, struct camera_snapshot *ret_snapshot)
{
	pthread_mutex_lock(&camera->lock);
	*ret_snapshot = camera->snapshot;
	if (camera->abandoned)
		ret_snapshot->state = CAMERA_IDLE;
	pthread_mutex_unlock(&camera->lock);
}

struct pool *camera_pool(struct camera *camera)
{
	struct pool *pool;

	pthread_mutex_lock(&camera->lock);
	pool = camera->abandoned ? NULL : camera->pool;
	pthread_mutex_unlock(&camera->lock);
	return pool;
}

struct pool *camera_take_finished(struct camera *camera)
{
	struct pool *pool;

	pthread_mutex_lock(&camera->lock);
	pool = camera->finished;
	if (pool != NULL)
		camera->finished = pool->next;
	pthread_mutex_unlock(&camera->lock);
	return pool;
}

bool camera_link(struct camera *camera, struct pool *pool, struct camera_reader *reader)
{
	bool current;

	pthread_mutex_lock(&camera->lock);
	current = camera->pool == pool && pool->reader_count < pool->reader_max;
	if (current)
		pool_link(pool, &reader->pool);
	pthread_mutex_unlock(&camera->lock);
	if (current)
		wake(camera); /* it may be the one that the start waited for */
	return current;
}

void camera_retire(struct camera *camera, struct camera_reader *reader)
{
	pthread_mutex_lock(&camera->lock);
	/* linked into a finished pool: nothing is written there any more, holders keep what they
	 * hold */
	if (camera->pool != NULL)
		pool_unlink(camera->pool, &reader->pool);
	reader->next_retired = camera->retired;
	camera->retired = reader;
	pthread_mutex_unlock(&camera->lock);
	wake(camera); /* lossless: its holds are gone */
}

struct camera_reader *camera_take_retired(struct camera *camera)
{
	struct camera_reader *reader = NULL;

	pthread_mutex_lock(&camera->lock);
	if (!camera->announcing && camera->retired != NULL) {
		reader = camera->retired;
		camera->retired = reader->next_retired;
	}
	pthread_mutex_unlock(&camera->lock);
	return reader;
}

void camera_clear_suspect(struct camera *camera, struct camera_reader *reader)
{
	/* frames are published under this lock: whoever is left out by the announcement of one, is
	 * cleared after its `newest` was stored, and so the ring that follows tells of it */
	pthread_mutex_lock(&camera->lock);
	atomic_store_explicit(&reader->target.suspect, false, memory_order_relaxed);
	pthread_mutex_unlock(&camera->lock);
}

bool camera_newest(struct camera *camera, struct wire_frame *ret_frame)
{
	bool there;

	pthread_mutex_lock(&camera->lock);
	there = camera->pool != NULL && camera->pool->newest > 0;
	if (there) {
		struct pool *pool = camera->pool;
		struct pool_frame frame = {.position = pool->newest,
			.frame_id = pool->newest,
			.publish_time_ns = pool->slots[pool->newest_slot].publish_time_ns};

		camera_frame_message(pool, &frame, pool->newest_slot, ret_frame);
	}
	pthread_mutex_unlock(&camera->lock);
	return there;
}

void camera_count(struct camera *camera, struct camera_counters *ret_counters)
{
	pthread_mutex_lock(&camera->lock);
	*ret_counters = camera->past;
	if (camera->pool != NULL)
		camera_add_counters(ret_counters, camera->pool);
	pthread_mutex_unlock(&camera->lock);
	for (size_t i = 0; i < SOURCE_DAMAGE_COUNT; i++)
		ret_counters->damaged[i] =
			atomic_load_explicit(&camera->damaged[i], memory_order_relaxed);
}

uint32_t camera_reader_leases(struct camera *camera, const struct camera_reader *reader)
{
	uint32_t leases = 0;

	pthread_mutex_lock(&camera->lock);
	if (camera->pool != NULL)
		leases = pool_reader_leases(camera->pool, &reader->pool);
	pthread_mutex_unlock(&camera->lock);
	return leases;
}
