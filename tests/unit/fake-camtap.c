/* SPDX-License-Identifier: MIT */
#include "fake-camtap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct fake_script fake_script;
struct fake_calls fake_calls;

struct camtap {
	int fd;
	bool ready; /* `fd` is readable: as long as there are steps */
	size_t step;
	const char *text;
	uint64_t missed;
};

struct camtap_frame {
	struct fake_frame is;
};

struct camtap_list {
	char *sockets[8];
};

int camtap_new(struct camtap **ret_camera)
{
	struct camtap *camera = calloc(1, sizeof(*camera));

	camera->fd = eventfd(0, EFD_CLOEXEC);
	camera->text = "";
	*ret_camera = camera;
	return 0;
}

int camtap_set_camera(struct camtap *camera, const char *name)
{
	fake_calls.camera = name;
	if (name && strchr(name, '/')) {
		camera->text = "a name has no slash";
		return -EINVAL;
	}
	return 0;
}

int camtap_set_socket(struct camtap *camera, const char *path)
{
	(void)camera;
	fake_calls.socket = path;
	return 0;
}

int camtap_set_stream(struct camtap *camera, const char *stream)
{
	(void)camera;
	fake_calls.stream = stream;
	return 0;
}

int camtap_set_client_name(struct camtap *camera, const char *name)
{
	(void)camera;
	fake_calls.client_name = name;
	return 0;
}

int camtap_set_mode(struct camtap *camera, enum camtap_mode mode)
{
	(void)camera;
	fake_calls.mode = mode;
	return 0;
}

int camtap_set_bell(struct camtap *camera, int on)
{
	(void)camera;
	(void)on;
	return 0;
}

int camtap_connect(struct camtap *camera)
{
	camera->ready = fake_script.step_count > 0 && eventfd_write(camera->fd, 1) == 0;
	if (fake_script.connect_result < 0)
		camera->text = "there is no such camera; start it";
	return fake_script.connect_result;
}

void camtap_close(struct camtap *camera)
{
	if (!camera)
		return;
	if (fake_calls.held > 0) {
		fprintf(stderr, "fake: %u frames were not released\n", fake_calls.held);
		abort();
	}
	close(camera->fd);
	free(camera);
}

int camtap_fd(struct camtap *camera)
{
	return camera->fd;
}

int camtap_next(struct camtap *camera, struct camtap_frame **ret_frame, int timeout_ms)
{
	const struct fake_step *step;
	eventfd_t value;

	(void)timeout_ms;
	if (camera->step == fake_script.step_count) {
		if (camera->ready)
			eventfd_read(camera->fd, &value);
		camera->ready = false;
		return CAMTAP_TRY_AGAIN;
	}
	step = &fake_script.steps[camera->step++];
	if (step->text)
		camera->text = step->text;
	if (step->outcome == CAMTAP_FRAME) {
		*ret_frame = calloc(1, sizeof(**ret_frame));
		(*ret_frame)->is = step->frame;
		camera->missed += step->frame.missed;
		fake_calls.held++;
	}
	return step->outcome;
}

int camtap_latest(struct camtap *camera, struct camtap_frame **ret_frame, int timeout_ms)
{
	fake_calls.latest++;
	return camtap_next(camera, ret_frame, timeout_ms);
}

uint64_t camtap_missed(const struct camtap *camera)
{
	return camera->missed;
}

unsigned camtap_max_leases(const struct camtap *camera)
{
	(void)camera;
	return 4;
}

const char *camtap_name(const struct camtap *camera)
{
	(void)camera;
	return fake_script.name;
}

const char *camtap_error_text(const struct camtap *camera)
{
	return camera->text;
}

const char *camtap_event_text(const struct camtap *camera)
{
	return camera->text;
}

int camtap_controls(struct camtap *camera, char **ret_json, int timeout_ms)
{
	struct timespec span = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

	if (!fake_script.controls) {
		nanosleep(&span, NULL);
		camera->text = "the camera has not answered in time";
		return -ETIMEDOUT;
	}
	*ret_json = strdup(fake_script.controls);
	return 0;
}

int camtap_set_control(struct camtap *camera, const char *name, const char *value, int timeout_ms)
{
	size_t length = strlen(fake_calls.sets);

	(void)timeout_ms;
	snprintf(fake_calls.sets + length, sizeof(fake_calls.sets) - length, "%s=%s ", name, value);
	if (!fake_script.refused || strcmp(fake_script.refused, name) != 0)
		return 0;
	camera->text = "it must be less";
	return -ERANGE;
}

static int switch_to(struct camtap *camera, const char *what, int timeout_ms)
{
	struct timespec span = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	size_t length = strlen(fake_calls.sets);

	snprintf(fake_calls.sets + length, sizeof(fake_calls.sets) - length, "%s ", what);
	if (fake_script.pause_result == -ETIMEDOUT)
		nanosleep(&span, NULL);
	if (fake_script.pause_result < 0)
		camera->text = "only some may do that";
	return fake_script.pause_result;
}

int camtap_pause(struct camtap *camera, int timeout_ms)
{
	return switch_to(camera, "pause", timeout_ms);
}

int camtap_resume(struct camtap *camera, int timeout_ms)
{
	return switch_to(camera, "resume", timeout_ms);
}

int camtap_status(struct camtap *camera, char **ret_json, int timeout_ms)
{
	struct timespec span = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};

	(void)camera;
	if (!fake_script.status) {
		nanosleep(&span, NULL); /* a daemon that does not answer */
		return -ETIMEDOUT;
	}
	*ret_json = strdup(fake_script.status);
	return 0;
}

int camtap_release(struct camtap_frame *frame)
{
	int r;

	if (!frame)
		return 0;
	r = frame->is.revoked ? -ESTALE : 0;
	fake_calls.held--;
	free(frame);
	return r;
}

int camtap_frame_check(const struct camtap_frame *frame)
{
	return frame->is.revoked ? -ESTALE : 0;
}

unsigned camtap_frame_plane_count(const struct camtap_frame *frame)
{
	return frame->is.plane_count;
}

const void *camtap_frame_data(const struct camtap_frame *frame, unsigned plane)
{
	return plane < frame->is.plane_count ? frame->is.planes[plane].data : NULL;
}

size_t camtap_frame_bytesused(const struct camtap_frame *frame, unsigned plane)
{
	return plane < frame->is.plane_count ? frame->is.planes[plane].bytesused : 0;
}

size_t camtap_frame_stride(const struct camtap_frame *frame, unsigned plane)
{
	return plane < frame->is.plane_count ? frame->is.planes[plane].stride : 0;
}

uint32_t camtap_frame_fourcc(const struct camtap_frame *frame)
{
	return frame->is.fourcc;
}

uint32_t camtap_frame_width(const struct camtap_frame *frame)
{
	return frame->is.width;
}

uint32_t camtap_frame_height(const struct camtap_frame *frame)
{
	return frame->is.height;
}

uint32_t camtap_frame_field(const struct camtap_frame *frame)
{
	return frame->is.field;
}

uint32_t camtap_frame_colorspace(const struct camtap_frame *frame)
{
	return frame->is.colorspace;
}

uint32_t camtap_frame_ycbcr_enc(const struct camtap_frame *frame)
{
	return frame->is.ycbcr_enc;
}

uint32_t camtap_frame_quantization(const struct camtap_frame *frame)
{
	return frame->is.quantization;
}

uint32_t camtap_frame_xfer_func(const struct camtap_frame *frame)
{
	return frame->is.xfer_func;
}

void camtap_frame_rate(
	const struct camtap_frame *frame, uint32_t *ret_numerator, uint32_t *ret_denominator)
{
	*ret_numerator = frame->is.rate_numerator;
	*ret_denominator = frame->is.rate_denominator;
}

void camtap_frame_pixel_aspect(
	const struct camtap_frame *frame, uint32_t *ret_numerator, uint32_t *ret_denominator)
{
	*ret_numerator = frame->is.pixel_aspect_numerator;
	*ret_denominator = frame->is.pixel_aspect_denominator;
}

enum camtap_chroma_siting camtap_frame_chroma_siting(const struct camtap_frame *frame)
{
	return frame->is.chroma_siting;
}

uint64_t camtap_frame_epoch(const struct camtap_frame *frame)
{
	return frame->is.epoch;
}

uint64_t camtap_frame_id(const struct camtap_frame *frame)
{
	return frame->is.id;
}

uint32_t camtap_frame_sequence(const struct camtap_frame *frame)
{
	return frame->is.sequence;
}

uint64_t camtap_frame_missed(const struct camtap_frame *frame)
{
	return frame->is.missed;
}

int64_t camtap_frame_capture_time(const struct camtap_frame *frame)
{
	return frame->is.capture_time;
}

enum camtap_clock camtap_frame_capture_clock(const struct camtap_frame *frame)
{
	return frame->is.clock;
}

int64_t camtap_frame_publish_time(const struct camtap_frame *frame)
{
	return frame->is.publish_time;
}

int64_t camtap_frame_media_time(const struct camtap_frame *frame)
{
	return frame->is.media_time;
}

int64_t camtap_frame_realtime(const struct camtap_frame *frame)
{
	return frame->is.realtime;
}

uint32_t camtap_frame_flags(const struct camtap_frame *frame)
{
	return frame->is.flags;
}

int camtap_list_new(struct camtap_list **ret_list)
{
	struct camtap_list *list = calloc(1, sizeof(*list));

	for (size_t i = 0; i < fake_script.name_count; i++) {
		if (asprintf(&list->sockets[i], "/run/camtap/%s/socket", fake_script.names[i]) < 0)
			abort();
	}
	*ret_list = list;
	return 0;
}

size_t camtap_list_count(const struct camtap_list *list)
{
	(void)list;
	return fake_script.name_count;
}

const char *camtap_list_name(const struct camtap_list *list, size_t index)
{
	(void)list;
	return index < fake_script.name_count ? fake_script.names[index] : NULL;
}

const char *camtap_list_socket(const struct camtap_list *list, size_t index)
{
	return index < fake_script.name_count ? list->sockets[index] : NULL;
}

void camtap_list_free(struct camtap_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < fake_script.name_count; i++)
		free(list->sockets[i]);
	free(list);
}

const char *camtap_fourcc_text(uint32_t fourcc, char text[CAMTAP_FOURCC_TEXT_SIZE])
{
	snprintf(text, CAMTAP_FOURCC_TEXT_SIZE, "%c%c%c%c", (int)(fourcc & 0x7f),
		(int)(fourcc >> 8 & 0x7f), (int)(fourcc >> 16 & 0x7f), (int)(fourcc >> 24 & 0x7f));
	return text;
}
