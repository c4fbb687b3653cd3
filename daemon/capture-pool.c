/* SPDX-License-Identifier: MIT */

/* How the camera's pool is made: planned, counted, of memory or of the source's own buffers. */

#include "capture.h"

#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int plan(const struct options *options, const struct source_format *format, uint32_t slots,
	struct pool_plan *ret_plan, char error[SOURCE_TEXT_SIZE])
{
	uint32_t least, most = format->buffer_max > 0 ? format->buffer_max : POOL_SLOTS_MAX;
	int result;

	result = pool_plan_init(ret_plan, &format->format, format->slots_needed, slots,
		format->buffer_max, options->lease_min_ns, &least);
	if (result == -EINVAL) {
		snprintf(error, SOURCE_TEXT_SIZE,
			"%" PRIu32 " slots are %s for this source: use --slots auto, or %" PRIu32
			" to %" PRIu32,
			slots, slots < least ? "not enough" : "too many", least, most);
		return result;
	}
	if (result < 0) {
		snprintf(error, SOURCE_TEXT_SIZE, "a pool for frames of %" PRIu32 " bytes: %s",
			format->format.frame_size, strerror(-result));
		return result;
	}
	ret_plan->max_leases = options->max_leases;
	ret_plan->reader_max = options->max_clients + options->max_streams;
	return 0;
}

static int reserve(
	struct pinned *pinned, const struct pool_plan *pool_plan, char error[SOURCE_TEXT_SIZE])
{
	int result = pinned_reserve(pinned, pool_plan->size);

	if (result < 0)
		snprintf(error, SOURCE_TEXT_SIZE,
			"no memory for the pool: %" PRIu64 " MiB (%" PRIu32 " slots), with %" PRIu64
			" MiB of other streams and of old pools that clients keep, are over the "
			"limit of %" PRIu64 " MiB: raise --memory-limit or lower --slots",
			pool_plan->size >> 20, pool_plan->slot_count,
			pinned_all_bytes(pinned) >> 20, pinned_limit(pinned) >> 20);
	return result;
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

/* The slots are the source's own: as many as were planned, or as it has, with a plan for that then.
 */
static int export_slots(const struct options *options, struct source *source,
	const struct source_format *format, struct pool_plan *plan_of_pool,
	struct slot_buffer ret_buffers[POOL_SLOTS_MAX], char error[SOURCE_TEXT_SIZE])
{
	int count = source->ops->export(source, plan_of_pool->slot_count, ret_buffers), result;

	if (count < 0) {
		snprintf(error, SOURCE_TEXT_SIZE, "%s", source->error);
		return count;
	}
	if ((uint32_t)count == plan_of_pool->slot_count)
		return 0;
	result = plan(options, format, (uint32_t)count, plan_of_pool, error);
	if (result < 0) {
		snprintf(error, SOURCE_TEXT_SIZE,
			"the driver made only %d buffers, which is not enough: use a smaller "
			"--size, or "
			"--memory auto",
			count);
		slot_buffers_close(ret_buffers, (uint32_t)count);
	}
	return result;
}

/* Makes the pool of a source that is open. */
static int make_pool(const struct options *options, struct source *source,
	const struct source_format *format, struct pinned *pinned, struct pool **ret_pool,
	char error[SOURCE_TEXT_SIZE])
{
	struct slot_buffer buffers[POOL_SLOTS_MAX];
	struct pool_plan pool_plan;
	int result;

	result = plan(options, format, options->slots, &pool_plan, error);
	if (result < 0)
		return result;
	if (pool_plan.dmabuf) {
		result = export_slots(options, source, format, &pool_plan, buffers, error);
		if (result < 0)
			return result;
	}
	result = reserve(pinned, &pool_plan, error);
	if (result < 0)
		goto close_buffers;
	result = pool_create(&pool_plan, pool_plan.dmabuf ? buffers : NULL, ret_pool);
	if (result < 0) {
		pinned_unreserve(pinned, pool_plan.size);
		pool_error(&pool_plan, result, error);
		goto close_buffers;
	}
	(*ret_pool)->reserved = pool_plan.size;
	return 0;

close_buffers:
	if (pool_plan.dmabuf)
		slot_buffers_close(buffers, pool_plan.slot_count);
	return result;
}

int camera_try(const struct options *options, struct source *source, char error[SOURCE_TEXT_SIZE])
{
	struct source_format format;
	struct pinned pinned;
	struct pool *pool;
	int result;

	if (!source->ops->open_early)
		return 0;
	result = source->ops->open(source, &format);
	if (result < 0) {
		snprintf(error, SOURCE_TEXT_SIZE, "%s", source->error);
		return result;
	}
	pinned_init(&pinned, options->memory_limit);
	result = make_pool(options, source, &format, &pinned, &pool, error);
	source->ops->close(source);
	if (result == 0)
		pool_destroy(pool);
	pinned_finish(&pinned);
	return result;
}

/* A pool of which no frame has been seen yet is as good as a new one: a device that is opened again
 * and again, and gives nothing, must not cost one each time. */
static bool keep_pool(struct camera *camera)
{
	const struct source_format *format = &camera->format;
	const struct pool *pool = camera->stream.pool;

	if (pool != NULL && pool->newest == 0 && pool->buffers == NULL && format->buffer_max == 0 &&
		pool->slots_needed == format->slots_needed &&
		memcmp(&pool->header->format, &format->format, sizeof format->format) == 0)
		return true;
	if (pool != NULL)
		stream_give_up_pool(&camera->stream);
	return false;
}

int camera_install_pool(struct camera *camera, char error[SOURCE_TEXT_SIZE])
{
	struct pool *pool;
	int result;

	pthread_mutex_lock(&camera->stream.lock);
	if (camera->snapshot.transfer != camera->format.transfer)
		camera->snapshot.version++;
	camera->snapshot.transfer = camera->format.transfer;
	pthread_mutex_unlock(&camera->stream.lock);
	if (keep_pool(camera))
		return 0;
	begin_at_device(camera); /* which may have to make its buffers */
	result = make_pool(
		camera->options, camera->source, &camera->format, camera->pinned, &pool, error);
	end_at_device(camera);
	if (result < 0)
		return result;
	stream_install_pool(&camera->stream, pool);
	return 0;
}
