/* SPDX-License-Identifier: MIT */

/*
 * Runs a source without the daemon around it:
 *
 *   source-probe FRAMES FILE [OPTION OF CAMTAPD]...
 *
 * opens the source, starts it on a memfd that is sealed as the pool is, takes FRAMES good frames,
 * stops and closes it, and does it all again with five frames. Says "streaming" at the first frame,
 * and in the end one line of key=value, the transfer last. The last good frame's bytes go into
 * FILE. An error of the source is one line on standard error and exit status 1; what no source may
 * do ("BUG: ...") is exit status 3.
 *
 * Keys: format, size, rate, needed (slots), frames (good ones), corrupt, lost, fps (of the good
 * ones), sent (fps with those that were lost or corrupt), same (all frames look alike), clock, soe,
 * field and bytes (of the last frame).
 */

#include "clock.h"
#include "format.h"
#include "options.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS       8
#define MARK        64                 /* bytes */
#define PATIENCE_NS (5 * NSEC_PER_SEC) /* for a frame */

struct pool {
	uint8_t *base;
	const uint8_t *seen; /* as a reader sees it: another mapping, read-only */
	size_t size;
	uint32_t frame_size;
	struct source_slots slots;
	bool given[POOL_SLOTS_MAX];
};

struct result {
	uint32_t frames, corrupt, lost;
	uint64_t sample; /* hash of some bytes of the last frame */
	bool same;
	struct source_frame first, last;
};

__attribute__((format(printf, 1, 2), noreturn)) static void bug(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "BUG: ");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(3);
}

/* FNV-1a over some of the bytes: all of 60 pictures of 3 MB in a second is too much under
 * emulation. */
static uint64_t sample_of(const uint8_t *data, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i + sizeof hash <= size; i += 64) {
		uint64_t word;

		memcpy(&word, data + i, sizeof word);
		hash = (hash ^ word) * UINT64_C(0x100000001b3);
	}
	return hash;
}

/* A pool as the daemon makes it: populated, and sealed after it was mapped for writing. */
static void pool_init(struct pool *pool, uint32_t slot_count, uint32_t frame_size)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	int fd = memfd_create("pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	pool->frame_size = frame_size;
	pool->slots.count = slot_count;
	pool->slots.size = (frame_size + page - 1) / page * page;
	pool->size = (size_t)pool->slots.count * pool->slots.size;
	if (fd < 0 || ftruncate(fd, (off_t)pool->size) < 0)
		bug("memfd: %s", strerror(errno));
	pool->base =
		mmap(NULL, pool->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (pool->base == MAP_FAILED)
		bug("mmap: %s", strerror(errno));
	if (fcntl(fd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		bug("sealing: %s", strerror(errno));
	pool->seen = mmap(NULL, pool->size, PROT_READ, MAP_SHARED, fd, 0);
	if (pool->seen == MAP_FAILED)
		bug("mmap to read: %s", strerror(errno));
	close(fd);
	for (uint32_t i = 0; i < pool->slots.count; i++)
		pool->slots.slots[i] = pool->base + (size_t)i * pool->slots.size;
}

static void pool_finish(struct pool *pool)
{
	munmap((void *)pool->seen, pool->size);
	munmap(pool->base, pool->size);
}

/* Marks the end of the frame that is to come, so that one that is not written does not look whole.
 */
static int give(struct source *source, struct pool *pool, uint32_t slot)
{
	memset(pool->slots.slots[slot] + pool->frame_size - MARK, 0xa5, MARK);
	pool->given[slot] = true;
	return source->ops->give(source, slot);
}

static bool is_stale(const struct pool *pool, const struct source_frame *frame)
{
	const uint8_t *end = pool->seen + (size_t)frame->slot * pool->slots.size + pool->frame_size;

	if (frame->bytesused < pool->frame_size) /* compressed */
		return false;
	for (int i = 1; i <= MARK; i++)
		if (end[-i] != 0xa5)
			return false;
	return true;
}

static void wait_for(struct source *source, int64_t deadline_ns)
{
	struct source_wait wait = {.fd = -1, .deadline_ns = INT64_MAX};
	struct pollfd pollfd;
	int64_t now = clock_now();

	source->ops->wait(source, &wait);
	if (wait.deadline_ns < deadline_ns)
		deadline_ns = wait.deadline_ns;
	pollfd = (struct pollfd){.fd = wait.fd, .events = wait.events};
	if (deadline_ns > now)
		(void)poll(&pollfd, 1, (int)((deadline_ns - now) / NSEC_PER_MSEC) + 1);
}

/* The planes one after the other, as v4l2-ctl --stream-to writes them. */
static void write_file(const char *path, const uint8_t *slot, const struct source_frame *frame)
{
	FILE *file = fopen(path, "we");
	bool good = file != NULL;

	for (uint32_t i = 0; good && i < frame->plane_count; i++)
		good = fwrite(slot + frame->planes[i].offset, 1, frame->planes[i].bytesused,
			       file) == frame->planes[i].bytesused;
	if (!good || fclose(file) != 0)
		bug("%s: %s", path, strerror(errno));
}

static void note(struct result *result, const struct pool *pool, const struct source_frame *frame,
	const char *path)
{
	const uint8_t *data = pool->seen + (size_t)frame->slot * pool->slots.size;
	uint64_t sample;

	if (frame->bytesused == 0 || frame->bytesused > pool->slots.size)
		bug("%u bytes in a slot of %u", frame->bytesused, pool->slots.size);
	if (is_stale(pool, frame))
		bug("frame %u, number %u, was not written", frame->sequence, result->frames);
	if (result->frames > 0 && frame->sequence > result->last.sequence &&
		frame->capture_time_ns <= result->last.capture_time_ns)
		bug("time goes back by %" PRId64 " ns",
			result->last.capture_time_ns - frame->capture_time_ns);
	if (path != NULL)
		write_file(path, data, frame);
	sample = sample_of(data, frame->bytesused);
	if (result->frames == 0) {
		result->first = *frame;
		result->same = true;
	} else if (sample != result->sample) {
		result->same = false;
	}
	result->sample = sample;
	result->lost += frame->lost;
	result->last = *frame;
	result->frames++;
}

/* Takes frames (0: until the source fails, and gives it no more slots); the source keeps `supply`
 * slots. Negative errno: source->error says why. */
static int stream(struct source *source, struct pool *pool, uint32_t frames, uint32_t supply,
	const char *path, struct result *result)
{
	int64_t deadline_ns = clock_now() + PATIENCE_NS;
	uint32_t next = 0, has = 0, waits = 0;
	struct source_frame frame;
	int r;

	for (; has < supply; has++, next = (next + 1) % pool->slots.count) {
		r = give(source, pool, next);
		if (r < 0)
			return r;
	}
	while (frames == 0 || result->frames < frames) {
		r = source->ops->take(source, &frame);
		if (r < 0 || r == SOURCE_ENDED)
			return r;
		if (clock_now() >= deadline_ns)
			return source_fail(source, -ETIMEDOUT,
				"no good frame came, but %u damaged ones", result->corrupt);
		if (r == SOURCE_TRY_AGAIN) {
			if (has == 0 && ++waits > 10)
				bug("it spins while it has no slot");
			wait_for(source, deadline_ns);
			continue;
		}
		if (frame.slot >= pool->slots.count || !pool->given[frame.slot])
			bug("slot %u comes back, which the source had not", frame.slot);
		pool->given[frame.slot] = false;
		has--;
		if (r == SOURCE_CORRUPT) {
			result->corrupt++;
		} else {
			note(result, pool, &frame, result->frames + 1 == frames ? path : NULL);
			if (result->frames == 1 && path != NULL)
				puts("streaming");
			deadline_ns = clock_now() + PATIENCE_NS;
		}
		if (frames == 0)
			continue;
		while (pool->given[next])
			next = (next + 1) % pool->slots.count;
		r = give(source, pool, next);
		if (r < 0)
			return r;
		has++;
		next = (next + 1) % pool->slots.count;
	}
	return 0;
}

static int run(struct source *source, const struct options *options, uint32_t frames,
	const char *path, struct source_format *format, struct result *result)
{
	struct pool pool = {0};
	int r;

	*result = (struct result){0};
	r = source->ops->open(source, format);
	if (r < 0)
		return r;
	pool_init(&pool, options->slots > 0 ? options->slots : SLOTS, format->format.frame_size);
	r = source->ops->start(source, &pool.slots);
	if (r == 0) {
		r = stream(source, &pool, frames, format->slots_needed + 1, path, result);
		source->ops->stop(source);
	}
	source->ops->close(source);
	pool_finish(&pool);
	return r;
}

static void print(const struct source_format *format, const struct result *result)
{
	double seconds = (double)(result->last.capture_time_ns - result->first.capture_time_ns) /
			 NSEC_PER_SEC;
	uint32_t intervals = result->frames - 1;
	char name[FORMAT_TEXT_SIZE];

	if (seconds <= 0)
		seconds = 1;
	format_print(format->format.fourcc, name);
	printf("format=%s size=%ux%u rate=%u/%u needed=%u ", name, format->format.width,
		format->format.height, format->format.rate_numerator,
		format->format.rate_denominator, format->slots_needed);
	printf("frames=%u corrupt=%u lost=%u fps=%.2f sent=%.2f same=%d ", result->frames,
		result->corrupt, result->lost, intervals / seconds,
		(intervals + result->lost + result->corrupt) / seconds, result->same);
	printf("clock=%u soe=%d field=%u bytes=%u transfer=%s\n", result->last.capture_clock,
		!!(result->last.flags & POOL_FRAME_TIMESTAMP_SOE), result->last.field,
		result->last.bytesused, format->transfer);
}

int main(int argc, char **argv)
{
	char error[OPTIONS_ERROR_SIZE];
	struct source_format format;
	struct options options;
	struct result result, again;
	struct source *source;
	uint32_t frames;
	int r;

	if (argc < 3)
		bug("usage: source-probe FRAMES FILE [OPTION OF CAMTAPD]...");
	frames = (uint32_t)atoi(argv[1]);
	setlinebuf(stdout);
	r = options_read(&options, "/nonexistent", argc - 2, argv + 2, error);
	if (r < 0) {
		fprintf(stderr, "%s\n", error);
		return 2;
	}
	r = source_create(&options, &source, error);
	if (r < 0) {
		fprintf(stderr, "%s\n", error);
		options_finish(&options);
		return 1;
	}
	r = run(source, &options, frames, argv[2], &format, &result);
	if (result.frames > 0)
		print(&format, &result);
	if (r == 0)
		r = run(source, &options, 5, NULL, &format, &again);
	if (r < 0)
		fprintf(stderr, "%s\n", source->error);
	source_destroy(source);
	options_finish(&options);
	return r < 0;
}
