/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "format.h"
#include "trace.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(CAMTAP_FOURCC_TEXT_SIZE >= FORMAT_TEXT_SIZE, "a fourcc's text fits");
_Static_assert((int)CAMTAP_CLOCK_MONOTONIC == POOL_CLOCK_MONOTONIC, "clocks are the pool's");
_Static_assert((int)CAMTAP_CLOCK_COPY == POOL_CLOCK_COPY, "clocks are the pool's");
_Static_assert((int)CAMTAP_FRAME_TIMESTAMP_SOE == POOL_FRAME_TIMESTAMP_SOE, "flags are the pool's");
_Static_assert((int)CAMTAP_FRAME_DISCONTINUITY == POOL_FRAME_DISCONTINUITY, "flags are the pool's");
_Static_assert((int)CAMTAP_FRAME_KEYFRAME == POOL_FRAME_KEYFRAME, "flags are the pool's");
_Static_assert((int)CAMTAP_FRAME_BAD == POOL_FRAME_BAD, "flags are the pool's");
_Static_assert((int)CAMTAP_CHROMA_PALDV == POOL_CHROMA_PALDV, "sitings are the pool's");

HOT int camtap_release(struct camtap_frame *frame)
{
	int result = 0;

	if (!frame)
		return 0;
	if (!leases_ours(frame->leases))
		return -ECHILD;
	if (frame->attachment->buffers)
		buffer_end_access(&frame->attachment->buffers->slots[frame->slot],
			atomic_load_explicit(&frame->cpu_access, memory_order_acquire));
	if (!attachment_give_back(frame->attachment, frame->slot, frame->generation))
		result = -ESTALE;
	trace_release(frame->info.frame_id, frame->slot, frame->generation, result, frame);
	attachment_unref(frame->attachment);
	leases_give_back(frame->leases, frame);
	return result;
}

HOT int camtap_frame_check(const struct camtap_frame *frame)
{
	if (!leases_ours(frame->leases))
		return -ECHILD;
	return attachment_holds(frame->attachment, frame->slot, frame->generation) ? 0 : -ESTALE;
}

/* What accessors read: zeros in a forked child. */
HOT static const struct pool_frame *info_of(const struct camtap_frame *frame)
{
	static const struct pool_frame nothing;

	return leases_ours(frame->leases) ? &frame->info : &nothing;
}

HOT static const struct pool_format *format_of(const struct camtap_frame *frame)
{
	static const struct pool_format nothing;

	return leases_ours(frame->leases) ? &frame->attachment->view.format : &nothing;
}

HOT unsigned camtap_frame_plane_count(const struct camtap_frame *frame)
{
	return info_of(frame)->plane_count;
}

HOT const void *camtap_frame_data(const struct camtap_frame *frame, unsigned plane)
{
	const struct pool_frame *info = info_of(frame);
	const struct buffers *buffers = frame->attachment->buffers;

	if (plane >= info->plane_count)
		return NULL;
	if (buffers) {
		/* the frame does not change for the caller, who may look with several threads */
		_Atomic uint32_t *open = (_Atomic uint32_t *)&frame->cpu_access;
		const uint8_t *memory = buffer_begin_access(
			&buffers->slots[frame->slot], info->planes[plane].memory, open);

		return memory ? memory + info->planes[plane].offset : NULL;
	}
	return pool_view_slot(&frame->attachment->view, frame->slot) + info->planes[plane].offset;
}

int camtap_frame_dmabuf(const struct camtap_frame *frame, unsigned plane, int *ret_fd,
	size_t *ret_offset, uint64_t *ret_modifier)
{
	const struct pool_frame *info = &frame->info;
	const struct buffer_plane *from;

	if (!leases_ours(frame->leases))
		return -ECHILD;
	if (plane >= info->plane_count)
		return -EINVAL;
	if (!frame->attachment->buffers)
		return -ENOTSUP;
	from = &frame->attachment->buffers->slots[frame->slot].planes[info->planes[plane].memory];
	if (!from->dmabuf)
		return -ENOTSUP;
	*ret_fd = from->fd;
	*ret_offset = (size_t)from->offset + info->planes[plane].offset;
	*ret_modifier = from->modifier;
	return 0;
}

HOT size_t camtap_frame_bytesused(const struct camtap_frame *frame, unsigned plane)
{
	const struct pool_frame *info = info_of(frame);

	return plane < info->plane_count ? info->planes[plane].bytesused : 0;
}

HOT size_t camtap_frame_stride(const struct camtap_frame *frame, unsigned plane)
{
	const struct pool_frame *info = info_of(frame);

	return plane < info->plane_count ? info->planes[plane].stride : 0;
}

HOT uint32_t camtap_frame_fourcc(const struct camtap_frame *frame)
{
	return format_of(frame)->fourcc;
}

HOT uint32_t camtap_frame_width(const struct camtap_frame *frame)
{
	return format_of(frame)->width;
}

HOT uint32_t camtap_frame_height(const struct camtap_frame *frame)
{
	return format_of(frame)->height;
}

HOT uint32_t camtap_frame_field(const struct camtap_frame *frame)
{
	return info_of(frame)->field;
}

HOT uint32_t camtap_frame_colorspace(const struct camtap_frame *frame)
{
	return format_of(frame)->colorspace;
}

HOT uint32_t camtap_frame_ycbcr_enc(const struct camtap_frame *frame)
{
	return format_of(frame)->ycbcr_enc;
}

HOT uint32_t camtap_frame_quantization(const struct camtap_frame *frame)
{
	return format_of(frame)->quantization;
}

HOT uint32_t camtap_frame_xfer_func(const struct camtap_frame *frame)
{
	return format_of(frame)->xfer_func;
}

HOT void camtap_frame_rate(
	const struct camtap_frame *frame, uint32_t *ret_numerator, uint32_t *ret_denominator)
{
	*ret_numerator = format_of(frame)->rate_numerator;
	*ret_denominator = format_of(frame)->rate_denominator;
}

HOT void camtap_frame_pixel_aspect(
	const struct camtap_frame *frame, uint32_t *ret_numerator, uint32_t *ret_denominator)
{
	*ret_numerator = format_of(frame)->pixel_aspect_numerator;
	*ret_denominator = format_of(frame)->pixel_aspect_denominator;
}

HOT enum camtap_chroma_siting camtap_frame_chroma_siting(const struct camtap_frame *frame)
{
	return format_of(frame)->chroma_siting;
}

HOT uint64_t camtap_frame_epoch(const struct camtap_frame *frame)
{
	return leases_ours(frame->leases) ? frame->attachment->view.epoch : 0;
}

HOT uint64_t camtap_frame_id(const struct camtap_frame *frame)
{
	return info_of(frame)->frame_id;
}

HOT uint32_t camtap_frame_sequence(const struct camtap_frame *frame)
{
	return info_of(frame)->sequence;
}

HOT uint64_t camtap_frame_missed(const struct camtap_frame *frame)
{
	return leases_ours(frame->leases) ? frame->missed : 0;
}

HOT int64_t camtap_frame_capture_time(const struct camtap_frame *frame)
{
	return info_of(frame)->capture_time_ns;
}

HOT enum camtap_clock camtap_frame_capture_clock(const struct camtap_frame *frame)
{
	return info_of(frame)->capture_clock;
}

HOT int64_t camtap_frame_publish_time(const struct camtap_frame *frame)
{
	return info_of(frame)->publish_time_ns;
}

HOT int64_t camtap_frame_media_time(const struct camtap_frame *frame)
{
	return info_of(frame)->media_time_ns;
}

HOT int64_t camtap_frame_realtime(const struct camtap_frame *frame)
{
	const struct pool_frame *info = info_of(frame);
	int64_t time = info->capture_clock == POOL_CLOCK_MONOTONIC ? info->capture_time_ns
								   : info->publish_time_ns;

	if (!leases_ours(frame->leases))
		return 0;
	/* Unsigned: nothing that a daemon writes may overflow. */
	return (int64_t)((uint64_t)time + (uint64_t)frame->realtime_offset);
}

HOT uint32_t camtap_frame_flags(const struct camtap_frame *frame)
{
	return info_of(frame)->flags;
}

const char *camtap_fourcc_text(uint32_t fourcc, char text[CAMTAP_FOURCC_TEXT_SIZE])
{
	format_print(fourcc, text);
	return text;
}
