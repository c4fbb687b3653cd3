/* SPDX-License-Identifier: MIT */
#include "capture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/videodev2.h>

enum {
	TEXT_SIZE = 24, /* a 64-bit number */
};

static void copy_metadata(struct capture *capture, const struct camtap_frame *frame)
{
	capture->image = (struct image){
		.fourcc = camtap_frame_fourcc(frame),
		.width = camtap_frame_width(frame),
		.height = camtap_frame_height(frame),
		.field = camtap_frame_field(frame),
		.colorspace = camtap_frame_colorspace(frame),
		.ycbcr_enc = camtap_frame_ycbcr_enc(frame),
		.quantization = camtap_frame_quantization(frame),
		.xfer_func = camtap_frame_xfer_func(frame),
		.chroma_siting = camtap_frame_chroma_siting(frame),
		.plane_count = camtap_frame_plane_count(frame),
	};
	camtap_frame_rate(frame, &capture->image.rate_numerator, &capture->image.rate_denominator);
	camtap_frame_pixel_aspect(frame, &capture->image.pixel_aspect_numerator,
		&capture->image.pixel_aspect_denominator);
	capture->epoch = camtap_frame_epoch(frame);
	capture->id = camtap_frame_id(frame);
	capture->sequence = camtap_frame_sequence(frame);
	capture->flags = camtap_frame_flags(frame);
	capture->clock = camtap_frame_capture_clock(frame);
	capture->capture_time_ns = camtap_frame_capture_time(frame);
	capture->publish_time_ns = camtap_frame_publish_time(frame);
	capture->media_time_ns = camtap_frame_media_time(frame);
	capture->realtime_ns = camtap_frame_realtime(frame);
}

static int copy_planes(struct capture *capture, const struct camtap_frame *frame)
{
	struct image *image = &capture->image;
	size_t size = 0, offset = 0;
	uint8_t *room;
	int r;

	if (image->plane_count > IMAGE_PLANES_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < image->plane_count; i++) {
		image->planes[i].bytesused = camtap_frame_bytesused(frame, i);
		image->planes[i].stride = camtap_frame_stride(frame, i);
		size += image->planes[i].bytesused;
	}
	buffer_clear(&capture->memory);
	r = buffer_extend(&capture->memory, size, &room);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < image->plane_count; i++) {
		memcpy(room + offset, camtap_frame_data(frame, i), image->planes[i].bytesused);
		image->planes[i].data = room + offset;
		offset += image->planes[i].bytesused;
	}
	return 0;
}

int capture_take(struct capture *capture, struct camtap_frame *frame, const char *camera)
{
	int r, released;

	copy_metadata(capture, frame);
	r = copy_planes(capture, frame);
	released = camtap_release(frame);
	snprintf(capture->comment, sizeof(capture->comment),
		"camtap camera %s epoch %" PRIu64 " id %" PRIu64, camera, capture->epoch,
		capture->id);
	capture->image.comment = capture->comment;
	return r < 0 ? r : released;
}

void capture_finish(struct capture *capture)
{
	buffer_finish(&capture->memory);
}

static json_t *unsigned_text(uint64_t value)
{
	char text[TEXT_SIZE];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_string(text);
}

static json_t *signed_text(int64_t value)
{
	char text[TEXT_SIZE];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return json_string(text);
}

static json_t *describe_planes(const struct image *image)
{
	json_t *planes = json_array();
	json_int_t offset = 0;

	for (unsigned i = 0; i < image->plane_count; i++) {
		const struct image_plane *plane = &image->planes[i];

		json_array_append_new(planes, json_pack("{s:I, s:I, s:I}", "offset", offset,
						      "stride", (json_int_t)plane->stride,
						      "bytesused", (json_int_t)plane->bytesused));
		offset += (json_int_t)plane->bytesused;
	}
	return planes;
}

static json_t *describe_flags(uint32_t flags)
{
	json_t *names = json_array();

	if (flags & CAMTAP_FRAME_DISCONTINUITY)
		json_array_append_new(names, json_string("discontinuity"));
	if (flags & CAMTAP_FRAME_KEYFRAME)
		json_array_append_new(names, json_string("keyframe"));
	if (flags & CAMTAP_FRAME_BAD)
		json_array_append_new(names, json_string("bad"));
	json_array_append_new(names,
		json_string(
			flags & CAMTAP_FRAME_TIMESTAMP_SOE ? "timestamp_soe" : "timestamp_eof"));
	return names;
}

static const char *name_clock(enum camtap_clock clock)
{
	switch (clock) {
	case CAMTAP_CLOCK_MONOTONIC:
		return "monotonic";
	case CAMTAP_CLOCK_COPY:
		return "copy";
	case CAMTAP_CLOCK_UNKNOWN:
		break;
	}
	return "unknown";
}

static const char *name_chroma_siting(enum camtap_chroma_siting siting)
{
	switch (siting) {
	case CAMTAP_CHROMA_JPEG:
		return "jpeg";
	case CAMTAP_CHROMA_MPEG2:
		return "mpeg2";
	case CAMTAP_CHROMA_PALDV:
		return "paldv";
	case CAMTAP_CHROMA_UNKNOWN:
		break;
	}
	return "unknown";
}

json_t *capture_describe(const struct capture *capture, const char *camera)
{
	const struct image *image = &capture->image;
	char fourcc[CAMTAP_FOURCC_TEXT_SIZE];
	json_t *media_time =
		capture->media_time_ns < 0 ? json_null() : signed_text(capture->media_time_ns);

	camtap_fourcc_text(image->fourcc, fourcc);
	return json_pack("{s:i, s:s, s:o, s:o, s:I, s:s, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I,"
			 " s:s, s:I, s:I, s:I, s:I, s:o, s:s, s:o, s:o, s:o, s:o}",
		"schema", 1, "camera", camera, "epoch", unsigned_text(capture->epoch), "id",
		unsigned_text(capture->id), "sequence", (json_int_t)capture->sequence, "fourcc",
		fourcc, "width", (json_int_t)image->width, "height", (json_int_t)image->height,
		"planes", describe_planes(image), "field", (json_int_t)image->field, "colorspace",
		(json_int_t)image->colorspace, "ycbcr_enc", (json_int_t)image->ycbcr_enc,
		"quantization", (json_int_t)image->quantization, "xfer_func",
		(json_int_t)image->xfer_func, "chroma_siting",
		name_chroma_siting(image->chroma_siting), "pixel_aspect_numerator",
		(json_int_t)image->pixel_aspect_numerator, "pixel_aspect_denominator",
		(json_int_t)image->pixel_aspect_denominator, "rate_numerator",
		(json_int_t)image->rate_numerator, "rate_denominator",
		(json_int_t)image->rate_denominator, "capture_time_ns",
		signed_text(capture->capture_time_ns), "capture_clock", name_clock(capture->clock),
		"publish_time_ns", signed_text(capture->publish_time_ns), "realtime_ns",
		signed_text(capture->realtime_ns), "media_time_ns", media_time, "flags",
		describe_flags(capture->flags));
}
