/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "trace.h"

#include <errno.h>

/* A frame of the attachment that is being read, up to position `limit`; CAMTAP_TRY_AGAIN: there is
 * none. */
HOT static int read_frame(
	struct camtap *camera, uint64_t limit, bool latest, struct camtap_frame **ret_frame)
{
	struct attachment *reading = camera->reading;
	enum attachment_outcome outcome;
	struct camtap_frame *frame;
	uint64_t newest;
	int error;

	if (!reading)
		return CAMTAP_TRY_AGAIN;
	newest = attachment_newest(reading);
	if (newest > limit)
		newest = limit;
	if (reading->cursor > newest)
		return CAMTAP_TRY_AGAIN;
	/* First what may fail, so that no frame is lost by it. */
	error = leases_take(camera->leases, &frame);
	if (error == -ENOBUFS && !attachment_available(reading, reading->cursor, newest))
		return CAMTAP_TRY_AGAIN;
	if (error == -ENOBUFS)
		return camera_fail(camera, error,
			"%u frames are held, as many as camtapd allows (max_leases): release one "
			"before you ask for the next",
			camera->max_leases);
	if (error < 0)
		return camera_fail(camera, error, "no memory");
	outcome = latest ? attachment_take_latest(reading, limit, frame)
			 : attachment_take_next(reading, newest, frame);
	if (outcome != ATTACHMENT_TAKEN) {
		leases_give_back(camera->leases, frame);
		return CAMTAP_TRY_AGAIN;
	}

	frame->leases = camera->leases;
	frame->attachment = attachment_ref(reading);
	frame->missed = 0;
	atomic_store_explicit(&frame->cpu_access, 0, memory_order_relaxed);
	frame->realtime_offset = atomic_load_explicit(
		&pool_view_header(&reading->view)->realtime_offset, memory_order_relaxed);
	/* The source waits for a lossless reader from the moment that it is linked, so what is
	 * missing before its first frame was published before. */
	if (frame->info.position > reading->counted) {
		if (!camera->lossless || reading->started)
			frame->missed = frame->info.position - reading->counted - 1;
		reading->counted = frame->info.position;
	}
	reading->started = true;
	camera->retry_pause =
		0; /* a daemon that gives frames is a good one: the next attempt is at once */
	camera->missed += frame->missed;
	trace_acquire(frame->info.frame_id, frame->slot, frame->generation,
		frame->info.publish_time_ns, frame);
	*ret_frame = frame;
	return CAMTAP_FRAME;
}

/* What there is, without waiting. */
HOT static int take(struct camtap *camera, struct camtap_frame **ret_frame, bool latest)
{
	for (;;) {
		const struct event *head = events_head(camera);
		int outcome =
			read_frame(camera, head ? head->after : UINT64_MAX, latest, ret_frame);

		if (outcome != CAMTAP_TRY_AGAIN)
			return outcome;
		if (!head)
			break;
		outcome = (int)events_pop(camera);
		if (outcome != CAMTAP_TRY_AGAIN)
			return outcome;
	}
	if (camera->refused < 0)
		return camera_fail(camera, camera->refused, "%s", camera->refused_text);
	return CAMTAP_TRY_AGAIN;
}

HOT static int next(
	struct camtap *camera, struct camtap_frame **ret_frame, int timeout_ms, bool latest)
{
	int64_t deadline = wake_deadline(timeout_ms), until;
	int outcome;

	if (!leases_ours(camera->leases))
		return -ECHILD;
	if (camera->state == CONNECTION_NEW)
		return camera_fail(camera, -ENOTCONN, "camtap_connect() was not called");

	/* Once without waiting, to see what is there; then as long as is wanted. By the bell nobody
	 * sleeps who has something to look at. */
	for (until = wake_bell(camera) ? deadline : 0;; until = deadline) {
		bool receive;
		int error = wake_wait_for_frame(camera, until, &receive);

		if (error < 0) {
			outcome = camera_fail(camera, error,
				error == -EINTR ? "a signal arrived" : "waiting failed");
			break;
		}
		connection_run(camera, receive);
		outcome = take(camera, ret_frame, latest && !camera->lossless);
		if (outcome != CAMTAP_TRY_AGAIN || (deadline != NEVER && now_ns() >= deadline))
			break;
	}
	if (camera->wake.shown)
		wake_update(camera, WAKE_FOR_PROGRAM);
	return outcome;
}

HOT int camtap_next(struct camtap *camera, struct camtap_frame **ret_frame, int timeout_ms)
{
	return next(camera, ret_frame, timeout_ms, false);
}

int camtap_latest(struct camtap *camera, struct camtap_frame **ret_frame, int timeout_ms)
{
	return next(camera, ret_frame, timeout_ms, true);
}
