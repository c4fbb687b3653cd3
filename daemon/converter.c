/* SPDX-License-Identifier: MIT */
#include "converter.h"

#include "clock.h"
#include "convert.h"
#include "log.h"
#include "options.h"
#include "pinned.h"
#include "pool-disposal.h"
#include "reaper.h"
#include "slot-queue.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A link to one pool of the origin. Made by the server thread, which links and retires it; freed by
 * the converter's thread, when the server thread has let go of it (over). */
struct input {
	struct converter *converter;
	struct stream_reader reader;
	struct pool *pool; /* referenced */
	struct pool_view view;
	_Atomic uint32_t readers; /* linked into the pool that is made of this one */
	_Atomic uint64_t done;    /* position up to which all is published */
	_Atomic bool awaited;     /* the server thread wants to hear when that is the newest */
	bool over;                /* under the converter's lock */
};

struct converter {
	struct stream stream;
	struct converter_setup setup;
	struct stream_request request;
	char name[STREAM_REQUEST_TEXT_SIZE];
	bool lossless;
	struct converter_origin origin;
	pthread_t thread;
	int bell[2]; /* the thread's end, and the origin's */
	int wake_fd;

	/* Of the server thread: */
	struct converter *next;
	struct input *linked; /* the link that is not over */
	uint32_t clients;
	bool ending;
	void (*on_ended)(void *userdata);
	void *userdata;

	uint64_t reserved; /* of the thread: bytes of convert, pinned_reserve() */
	pthread_mutex_t lock;
	/* Under the lock: */
	struct input *offered; /* for the thread to take; the one before is over then */
	bool busy;             /* the thread has an input */
	bool quit;
	bool failed;
	char failure[CONVERT_ERROR_SIZE];

	_Atomic uint64_t skipped;

	/* Of the thread: */
	struct input *input;
	struct convert *convert;
	struct slot_queue slots; /* of its pool, to be filled */
	uint64_t seen;           /* position in the input's pool */
	bool begun;        /* it had a frame of that pool: those that it has not are skipped */
	int64_t period_ns; /* of the highest rate; 0: all frames */
	int64_t due_ns;
};

static void wake(struct converter *converter)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, it is awake */
	if (write(converter->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		log_error("eventfd: %s (this is a bug)", strerror(errno));
}

static void wake_producer(struct stream *stream)
{
	wake((struct converter *)((char *)stream - offsetof(struct converter, stream)));
}

/* ---- the thread: what it converts from ---- */

static void free_input(struct converter *converter, struct input *input)
{
	if (input == NULL)
		return;
	pool_unref(input->pool, converter->setup.reaper, converter->setup.pinned);
	free(input->reader.pool.words);
	free(input);
}

static void notify(const struct converter *converter)
{
	uint64_t one = 1;

	(void)!write(converter->setup.notify_fd, &one, sizeof one); /* EAGAIN: it is awake */
}

static void fail(struct converter *converter, const char *text)
{
	pthread_mutex_lock(&converter->lock);
	snprintf(converter->failure, sizeof converter->failure, "%s", text);
	converter->failed = true;
	pthread_mutex_unlock(&converter->lock);
	notify(converter);
}

static int make_pool(
	struct converter *converter, struct pool **ret_pool, char error[static CONVERT_ERROR_SIZE])
{
	const struct options *options = converter->setup.options;
	const struct pool_format *format = convert_format(converter->convert);
	uint64_t working = convert_memory(converter->convert);
	struct pool_plan plan;
	uint32_t least;
	int r;

	r = pool_plan_init(&plan, format, 1, 0, 0, options->lease_min_ns, &least);
	if (r < 0) {
		snprintf(error, CONVERT_ERROR_SIZE, "a pool for frames of %" PRIu32 " bytes: %s",
			format->frame_size, strerror(-r));
		return r;
	}
	plan.max_leases = options->max_leases;
	plan.reader_max = options->max_clients + options->max_streams;
	r = pinned_reserve(converter->setup.pinned, plan.size + working);
	if (r < 0) {
		snprintf(error, CONVERT_ERROR_SIZE,
			"no memory for another stream: with its %" PRIu64
			" MiB, all pools (and old ones that clients keep) would be over the limit "
			"of %" PRIu64 " MiB (memory_limit)",
			(plan.size + working) >> 20, pinned_limit(converter->setup.pinned) >> 20);
		return r;
	}
	r = pool_create(&plan, NULL, ret_pool);
	if (r < 0) {
		pinned_unreserve(converter->setup.pinned, plan.size + working);
		snprintf(error, CONVERT_ERROR_SIZE,
			"no memory for another stream: %" PRIu64 " MiB: %s", plan.size >> 20,
			strerror(-r));
		return r;
	}
	(*ret_pool)->reserved = plan.size;
	converter->reserved = working;
	return 0;
}

/* The same moment has the same name in all streams: the origin's epoch. */
static void begin(struct converter *converter)
{
	const struct pool_format *from = &converter->input->view.format;
	struct stream_request rest = converter->request;
	char error[CONVERT_ERROR_SIZE];
	struct pool *pool;
	int r;

	if (converter->origin.cropped)
		memset(&rest.crop, 0, sizeof rest.crop);
	r = convert_create(from, &rest,
		converter->setup.options->jpeg_strict ? CONVERT_STRICT : CONVERT_LENIENT,
		&converter->convert, error);
	if (r == 0)
		r = make_pool(converter, &pool, error);
	if (r < 0) {
		convert_destroy(converter->convert);
		converter->convert = NULL;
		fail(converter, error);
		return;
	}
	pool->header->epoch = converter->input->view.epoch;
	slot_queue_clear(&converter->slots);
	converter->seen = 0;
	converter->begun = false;
	converter->due_ns = 0;
	stream_install_pool(&converter->stream, pool);
}

static void end(struct converter *converter)
{
	stream_give_up_pool(&converter->stream);
	convert_destroy(converter->convert);
	converter->convert = NULL;
	pinned_unreserve(converter->setup.pinned, converter->reserved);
	converter->reserved = 0;
	free_input(converter, converter->input);
	converter->input = NULL;
}

/* False: quit. */
static bool look(struct converter *converter)
{
	struct input *offered;
	bool over, quit;

	pthread_mutex_lock(&converter->lock);
	offered = converter->offered;
	converter->offered = NULL;
	over = converter->input != NULL && converter->input->over;
	converter->busy = offered != NULL || (converter->input != NULL && !over);
	quit = converter->quit;
	pthread_mutex_unlock(&converter->lock);
	if (over)
		end(converter);
	if (offered != NULL) {
		converter->input = offered;
		if (!quit)
			begin(converter);
	}
	return !quit;
}

static void wait_for_news(const struct converter *converter)
{
	struct pollfd fds[2] = {{.fd = converter->wake_fd, .events = POLLIN},
		{.fd = converter->bell[0], .events = POLLIN}};
	char bells[64];
	uint64_t count;

	(void)poll(fds, 2, -1);
	(void)!read(converter->wake_fd, &count, sizeof count);
	while (recv(converter->bell[0], bells, sizeof bells, MSG_DONTWAIT) > 0)
		;
}

/* ---- the thread: frames ---- */

/* The position of the frame to convert next; 0: none. */
static uint64_t next_position(struct converter *converter)
{
	const struct pool_header *header = pool_view_header(&converter->input->view);
	uint64_t newest = atomic_load_explicit(&header->newest, memory_order_acquire);

	if (newest <= converter->seen)
		return 0;
	if (!converter->lossless)
		return newest;
	/* The pool has no older ones, and what was published since the link is still there. */
	if (converter->seen == 0 && newest > converter->input->view.slot_count)
		return newest - converter->input->view.slot_count + 1;
	return converter->seen + 1;
}

/* A frame of the input, leased. */
struct leased {
	uint32_t slot;
	uint64_t generation;
	struct pool_frame frame;
};

static guard_word *word_of(const struct input *input, uint32_t slot)
{
	return (guard_word *)(input->reader.pool.words + (size_t)slot * GUARD_STRIDE);
}

/* False: it was revoked, what was read of it may be torn. */
static bool give_back(const struct converter *converter, const struct leased *leased)
{
	enum guard_outcome outcome =
		guard_release(word_of(converter->input, leased->slot), leased->generation);

	if (outcome == GUARD_DONE_WAITED)
		converter->origin.stream->wake_producer(converter->origin.stream);
	return outcome != GUARD_GONE;
}

static bool lease(const struct converter *converter, uint64_t position, struct leased *ret_leased)
{
	const struct input *input = converter->input;
	const struct pool_slot_memory memory = {
		.plane_count = 1, .length = {input->view.slot_stride}};
	uint64_t recent = atomic_load_explicit(
		pool_view_recent(&input->view, position), memory_order_acquire);
	struct leased leased = {.slot = recent & ((1u << POOL_RECENT_SLOT_BITS) - 1),
		.generation = recent >> POOL_RECENT_SLOT_BITS};

	if (guard_take(word_of(input, leased.slot), leased.generation) != GUARD_DONE)
		return false;
	/* recent[] may have lapped: then that is another frame, whose turn comes. And a lease that
	 * was revoked at once leaves a torn descriptor. */
	if (!pool_frame_load(&input->view, leased.slot, &leased.frame) ||
		leased.frame.position != position || !pool_frame_check(&leased.frame, &memory)) {
		(void)give_back(converter, &leased);
		return false;
	}
	*ret_leased = leased;
	return true;
}

/* Is this frame one too many for the highest rate? Of the frames around the moment that is due, the
 * nearest one is taken. */
static bool is_too_early(struct converter *converter, const struct pool_frame *frame)
{
	const struct pool_format *from = &converter->input->view.format;
	int64_t time = frame->media_time_ns >= 0 ? frame->media_time_ns : frame->publish_time_ns;
	int64_t slack = 0;

	if (converter->period_ns == 0)
		return false;
	if (from->rate_numerator > 0)
		slack = NSEC_PER_SEC * from->rate_denominator / from->rate_numerator / 2;
	if (time + slack < converter->due_ns && converter->due_ns - time <= converter->period_ns)
		return true;
	converter->due_ns += converter->period_ns;
	if (converter->due_ns <= time || converter->due_ns - time > 2 * converter->period_ns)
		converter->due_ns = time + converter->period_ns; /* the first, or after a pause */
	return false;
}

static void describe(const struct converter *converter, const struct pool_frame *from,
	struct pool_frame *ret_frame)
{
	const struct pool_format *format = convert_format(converter->convert);
	struct pool_frame frame = {.frame_id = from->frame_id,
		.capture_time_ns = from->capture_time_ns,
		.media_time_ns = from->media_time_ns,
		.sequence = from->sequence,
		.flags = from->flags & ~(uint32_t)POOL_FRAME_KEYFRAME,
		.capture_clock = from->capture_clock,
		.field = from->field,
		.bytesused = format->frame_size,
		.plane_count = format->plane_count};

	for (uint32_t i = 0; i < format->plane_count; i++) {
		uint32_t end = i + 1 < format->plane_count ? format->planes[i + 1].offset
							   : format->frame_size;

		frame.planes[i].offset = format->planes[i].offset;
		frame.planes[i].stride = format->planes[i].stride;
		frame.planes[i].bytesused = end - format->planes[i].offset;
	}
	*ret_frame = frame;
}

static int convert(struct converter *converter, const struct leased *leased, uint32_t slot)
{
	const uint8_t *from = pool_view_slot(&converter->input->view, leased->slot);
	struct pool *pool = converter->stream.pool;
	struct convert_picture picture = {.plane_count = leased->frame.plane_count};

	for (uint32_t i = 0; i < picture.plane_count; i++)
		picture.planes[i] =
			(struct convert_plane){.data = from + leased->frame.planes[i].offset,
				.stride = leased->frame.planes[i].stride,
				.bytesused = leased->frame.planes[i].bytesused};
	return convert_frame(converter->convert, &picture, pool_slot_data(pool, slot),
		(uint32_t)pool->header->slot_stride);
}

static void supply(struct converter *converter)
{
	uint32_t slots[POOL_SLOTS_MAX], count = stream_take_slots(&converter->stream, slots);

	for (uint32_t i = 0; i < count; i++)
		slot_queue_push(&converter->slots, slots[i]);
}

static void publish(struct converter *converter, const struct pool_frame *from)
{
	struct stream_publication publication;
	uint32_t slots[POOL_SLOTS_MAX], count;
	struct pool_frame frame;

	describe(converter, from, &frame);
	count = stream_publish(
		&converter->stream, slot_queue_pop(&converter->slots), &frame, &publication, slots);
	for (uint32_t i = 0; i < count; i++)
		slot_queue_push(&converter->slots, slots[i]);
	stream_announce(&converter->stream, &publication);
}

static void skip(struct converter *converter, uint64_t frames)
{
	atomic_fetch_add_explicit(&converter->skipped, frames, memory_order_relaxed);
}

static void count_damaged(struct converter *converter)
{
	atomic_fetch_add_explicit(
		&converter->stream.pool->header->counters.corrupt, 1, memory_order_relaxed);
}

/* Converts the next frame, if there is one, and a slot for it. False: wait. */
static bool work(struct converter *converter)
{
	uint64_t position = next_position(converter);
	struct leased leased;
	int outcome;

	if (position == 0)
		return false;
	if (converter->slots.count == 0)
		supply(converter);
	/* its own readers hold all: the lossless wait for them, for the others this frame passes */
	if (converter->slots.count == 0 && converter->lossless)
		return false;
	if (converter->slots.count == 0 || !lease(converter, position, &leased)) {
		if (converter->begun)
			skip(converter, position - converter->seen);
		converter->seen = position;
		return true;
	}
	if (converter->begun)
		skip(converter, position - converter->seen - 1);
	converter->begun = true;
	converter->seen = position;
	if (is_too_early(converter, &leased.frame)) {
		(void)give_back(converter, &leased);
		return true;
	}
	outcome = convert(converter, &leased, slot_queue_first(&converter->slots));
	if (!give_back(converter, &leased))
		skip(converter, 1);
	else if (outcome != CONVERT_DONE)
		count_damaged(converter);
	else
		publish(converter, &leased.frame);
	return true;
}

/* The source starts when enough readers are there, and these are. */
static void count_readers(struct converter *converter)
{
	struct input *input = converter->input;
	uint32_t count = stream_linked_count(&converter->stream);

	if (atomic_load_explicit(&input->readers, memory_order_relaxed) == count)
		return;
	atomic_store_explicit(&input->readers, count, memory_order_relaxed);
	converter->origin.stream->wake_producer(converter->origin.stream);
}

/* Either this sees that it is awaited, or converter_is_behind(), which says so before it looks,
 * sees that it is done: both are sequentially consistent. */
static void tell_done(struct converter *converter)
{
	atomic_store(&converter->input->done, converter->seen);
	if (atomic_exchange(&converter->input->awaited, false))
		notify(converter);
}

/* On the reaper's thread. */
static void destroy(void *argument)
{
	struct converter *converter = argument;
	struct pool *pool;

	pthread_join(converter->thread, NULL);
	while ((pool = stream_take_finished(&converter->stream)) != NULL)
		pool_unref(pool, converter->setup.reaper, converter->setup.pinned);
	stream_finish(&converter->stream);
	pthread_mutex_destroy(&converter->lock);
	close(converter->wake_fd);
	close(converter->bell[0]);
	close(converter->bell[1]);
	converter->on_ended(converter->userdata);
	free(converter);
}

static void *run(void *userdata)
{
	struct converter *converter = userdata;

	(void)pthread_setname_np(pthread_self(), "converter");
	while (look(converter)) {
		if (converter->convert != NULL)
			count_readers(converter);
		if (converter->convert != NULL && work(converter))
			tell_done(converter);
		else
			wait_for_news(converter);
	}
	end(converter);
	/* only now: a conversion can take long, and the reaper has others to see to */
	reaper_call(converter->setup.reaper, destroy, converter);
	return NULL;
}

/* ---- life ---- */

int converter_create(const struct converter_setup *setup, const struct stream_request *request,
	bool lossless, const struct converter_origin *origin, void *userdata,
	struct converter **ret_converter)
{
	struct converter *converter = calloc(1, sizeof *converter);
	int least = 1, error;
	sigset_t all, old;

	if (converter == NULL)
		return -ENOMEM;
	converter->setup = *setup;
	converter->request = *request;
	stream_request_print(request, converter->name);
	converter->lossless = lossless;
	converter->origin = *origin;
	converter->userdata = userdata;
	if (request->rate_numerator > 0)
		converter->period_ns =
			NSEC_PER_SEC * request->rate_denominator / request->rate_numerator;
	error = stream_init(&converter->stream, setup->notify_fd,
		setup->options->max_clients + setup->options->max_streams, setup->send_unit_ns,
		wake_producer);
	if (error < 0)
		goto free_converter;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, converter->bell) <
		0) {
		error = -errno;
		goto finish_stream;
	}
	(void)setsockopt(converter->bell[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
	converter->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (converter->wake_fd < 0) {
		error = -errno;
		goto close_bell;
	}
	pthread_mutex_init(&converter->lock, NULL);
	sigfillset(&all); /* signals are the server thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = -pthread_create(&converter->thread, NULL, run, converter);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error < 0)
		goto destroy_lock;
	*ret_converter = converter;
	return 0;

destroy_lock:
	pthread_mutex_destroy(&converter->lock);
	close(converter->wake_fd);
close_bell:
	close(converter->bell[0]);
	close(converter->bell[1]);
finish_stream:
	stream_finish(&converter->stream);
free_converter:
	free(converter);
	return error;
}

/* The server thread is done with the link. */
static void let_go(struct input *input)
{
	struct converter *converter = input->converter;

	pthread_mutex_lock(&converter->lock);
	if (converter->offered == input)
		converter->offered = NULL; /* the thread never saw it */
	else
		input->over = true;
	if (converter->linked == input)
		converter->linked = NULL;
	if (input->over)
		input = NULL;
	pthread_mutex_unlock(&converter->lock);
	free_input(converter, input);
	wake(converter);
}

static void quit(struct converter *converter)
{
	pthread_mutex_lock(&converter->lock);
	converter->quit = true;
	/* within the lock: afterwards it may be gone */
	wake(converter);
	pthread_mutex_unlock(&converter->lock);
}

/* The origin's producer has let go of the link. */
static void on_released(struct stream_reader *reader)
{
	struct input *input = (struct input *)((char *)reader - offsetof(struct input, reader));
	struct converter *converter = input->converter;

	let_go(input);
	if (converter->ending)
		quit(converter);
}

void converter_end(struct converter *converter, void (*on_ended)(void *userdata))
{
	converter->ending = true;
	converter->on_ended = on_ended;
	if (converter->linked != NULL)
		stream_retire(converter->origin.stream, &converter->linked->reader);
	else
		quit(converter);
}

/* ---- following the origin ---- */

static struct input *input_create(struct converter *converter, struct pool *pool)
{
	size_t size = (size_t)pool->slot_count * GUARD_STRIDE;
	struct input *input = calloc(1, sizeof *input);

	if (input == NULL)
		return NULL;
	input->reader.pool.words = aligned_alloc(GUARD_STRIDE, size);
	if (input->reader.pool.words == NULL ||
		pool_view_init(&input->view, pool->base, pool->size) < 0) {
		free(input->reader.pool.words);
		free(input);
		return NULL;
	}
	memset(input->reader.pool.words, 0, size);
	input->converter = converter;
	input->pool = pool_ref(pool);
	input->reader.pool.uid = getuid();
	input->reader.pool.lossless = converter->lossless;
	input->reader.target.fd = converter->bell[1];
	input->reader.target.byte = true;
	input->reader.target.patient = true; /* what it skips, it counts itself */
	input->reader.stands_for = &input->readers;
	input->reader.on_released = on_released;
	return input;
}

void converter_follow(struct converter *converter)
{
	struct pool *pool;
	struct input *input;

	if (converter->ending)
		return;
	if (converter->linked != NULL) {
		/* it was preempted while it was rung: it is one of us, and above suspicion */
		if (atomic_load_explicit(
			    &converter->linked->reader.target.suspect, memory_order_relaxed)) {
			stream_clear_suspect(converter->origin.stream, &converter->linked->reader);
			wake(converter);
		}
		return;
	}
	pool = stream_pool(converter->origin.stream);
	if (pool == NULL)
		return;
	if (pool->buffers != NULL) {
		fail(converter, CONVERTER_NO_DMABUF);
		return;
	}
	input = input_create(converter, pool);
	if (input == NULL) {
		fail(converter, "out of memory");
		return;
	}
	if (!stream_link(converter->origin.stream, pool, &input->reader)) {
		free_input(converter, input); /* that epoch is over */
		return;
	}
	converter->linked = input;
	pthread_mutex_lock(&converter->lock);
	converter->offered = input;
	pthread_mutex_unlock(&converter->lock);
	wake(converter);
}

void converter_forget(struct converter *converter, const struct pool *finished)
{
	if (converter->linked != NULL && converter->linked->pool == finished && !converter->ending)
		let_go(converter->linked);
}

/* ---- for the server ---- */

struct stream *converter_stream(struct converter *converter)
{
	return &converter->stream;
}

const char *converter_name(const struct converter *converter)
{
	return converter->name;
}

const struct converter_origin *converter_origin(const struct converter *converter)
{
	return &converter->origin;
}

const struct stream_request *converter_request(const struct converter *converter)
{
	return &converter->request;
}

bool converter_is_lossless(const struct converter *converter)
{
	return converter->lossless;
}

uint64_t converter_skipped(const struct converter *converter)
{
	return atomic_load_explicit(&converter->skipped, memory_order_relaxed);
}

const char *converter_failure(struct converter *converter)
{
	bool failed;

	pthread_mutex_lock(&converter->lock);
	failed = converter->failed;
	pthread_mutex_unlock(&converter->lock);
	return failed ? converter->failure : NULL;
}

bool converter_is_behind(struct converter *converter)
{
	struct input *input = converter->linked;
	struct wire_frame newest;

	if (converter_failure(converter) != NULL ||
		!stream_newest(converter->origin.stream, &newest))
		return false;
	if (input == NULL || input->view.epoch != newest.epoch)
		return true; /* it will follow, and then it is looked at again */
	atomic_store(&input->awaited, true);
	return atomic_load(&input->done) < newest.position;
}

bool converter_is_busy(struct converter *converter)
{
	bool busy;

	pthread_mutex_lock(&converter->lock);
	busy = converter->busy || converter->linked != NULL;
	pthread_mutex_unlock(&converter->lock);
	return busy;
}

uint32_t converter_add_clients(struct converter *converter, int32_t change)
{
	converter->clients = (uint32_t)((int32_t)converter->clients + change);
	return converter->clients;
}

struct converter *converter_next(const struct converter *converter)
{
	return converter->next;
}

void converter_set_next(struct converter *converter, struct converter *next)
{
	converter->next = next;
}
