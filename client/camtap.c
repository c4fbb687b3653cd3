/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int camera_fail(struct camtap *camera, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(camera->error_text, sizeof(camera->error_text), format, arguments);
	va_end(arguments);
	return error;
}

int camtap_new(struct camtap **ret_camera)
{
	struct camtap *camera = calloc(1, sizeof(*camera));
	int error;

	if (!camera)
		return -ENOMEM;
	camera->status_fd = camera->controls.document_fd = -1;
	camera->want_bell = true;
	camera->retry_at = camera->offline_at = NEVER;
	camera->events.told = CAMTAP_ONLINE;
	snprintf(camera->client_name, sizeof(camera->client_name), "%s",
		program_invocation_short_name);
	error = leases_create(&camera->leases);
	if (error < 0)
		goto free_camera;
	error = wake_init(camera);
	if (error < 0)
		goto close_leases;
	*ret_camera = camera;
	return 0;

close_leases:
	leases_close(camera->leases);
free_camera:
	free(camera);
	return error;
}

/* What is the parent's stays so: epoll, locks and mappings are shared with it. */
static void close_in_child(struct camtap *camera)
{
	close(camera->wake.epoll_fd);
	close(camera->wake.timer_fd);
	close(camera->wake.event_fd);
	if (camera->connection)
		close(camera->connection->socket);
	free(camera);
}

void camtap_close(struct camtap *camera)
{
	if (!camera)
		return;
	if (!leases_ours(camera->leases)) {
		close_in_child(camera);
		return;
	}
	connection_close(camera);
	events_finish(camera);
	wake_finish(camera);
	leases_close(camera->leases);
	free(camera);
}

/* ---- settings ---- */

static int may_set(struct camtap *camera)
{
	if (!leases_ours(camera->leases))
		return -ECHILD;
	if (camera->state != CONNECTION_NEW)
		return camera_fail(camera, -EBUSY, "settings are made before camtap_connect()");
	return 0;
}

static int set_text(struct camtap *camera, char *setting, size_t size, const char *text)
{
	if (strlen(text) >= size)
		return camera_fail(camera, -ENAMETOOLONG, "\"%.40s...\" is longer than %zu bytes",
			text, size - 1);
	strcpy(setting, text);
	return 0;
}

int camtap_set_camera(struct camtap *camera, const char *name)
{
	int error = may_set(camera);

	if (error < 0)
		return error;
	if (name && !address_name_valid(name))
		return camera_fail(camera, -EINVAL,
			"\"%.80s\" is no camera's name: up to %d letters, digits, '_', '.', '-', "
			"the "
			"first one a letter or a digit",
			name, ADDRESS_NAME_MAX);
	return set_text(camera, camera->camera, sizeof(camera->camera), name ? name : "");
}

int camtap_set_socket(struct camtap *camera, const char *path)
{
	int error = may_set(camera);

	if (error < 0)
		return error;
	if (path && path[0] == '\0')
		return camera_fail(camera, -EINVAL, "the socket's path is empty");
	return set_text(camera, camera->socket, sizeof(camera->socket), path ? path : "");
}

int camtap_set_stream(struct camtap *camera, const char *stream)
{
	int error = may_set(camera);

	if (error < 0)
		return error;
	for (const char *c = stream; c && *c; c++) {
		if (*c < ' ' || *c > '~')
			return camera_fail(camera, -EINVAL,
				"a stream is FOURCC[:WxH][,rate=N][,crop=WxH+X+Y]");
	}
	return set_text(camera, camera->stream, sizeof(camera->stream), stream ? stream : "");
}

int camtap_set_client_name(struct camtap *camera, const char *name)
{
	int error = may_set(camera);

	if (error < 0)
		return error;
	return set_text(camera, camera->client_name, sizeof(camera->client_name),
		name ? name : program_invocation_short_name);
}

int camtap_set_mode(struct camtap *camera, enum camtap_mode mode)
{
	int error = may_set(camera);

	if (error < 0)
		return error;
	switch (mode) {
	case CAMTAP_MODE_READ:
	case CAMTAP_MODE_OBSERVE:
	case CAMTAP_MODE_LOSSLESS:
		camera->mode = mode;
		return 0;
	}
	return camera_fail(camera, -EINVAL, "there is no mode %d", (int)mode);
}

int camtap_set_bell(struct camtap *camera, int on)
{
	int error = may_set(camera);

	if (error < 0)
		return error;
	camera->want_bell = on;
	return 0;
}

/* ---- connecting ---- */

int camtap_connect(struct camtap *camera)
{
	int error;

	if (!leases_ours(camera->leases))
		return -ECHILD;
	if (camera->state != CONNECTION_NEW)
		return camera_fail(camera, -EALREADY, "camtap_connect() was called before");
	error = list_resolve(camera);
	if (error < 0)
		return error;
	error = connection_start(camera);
	if (error == -EACCES)
		return camera_fail(camera, error,
			"%s: permission denied: the camera is for its owner and a group only (of a "
			"service, group camtap): have yourself added to it (usermod -aG camtap "
			"USER), then log in again",
			camera->path);
	if (error == -ENOENT)
		return camera_fail(
			camera, error, "%s: there is no camera: is camtapd running?", camera->path);
	if (error < 0)
		return camera_fail(camera, error, "%s: %s", camera->path, strerror(-error));
	wake_update(camera, WAKE_FOR_PROGRAM);
	return 0;
}

/* ---- what it knows ---- */

HOT int camtap_fd(struct camtap *camera)
{
	if (!leases_ours(camera->leases))
		return -ECHILD;
	if (!camera->wake.shown) {
		camera->wake.shown = true;
		wake_update(camera, WAKE_FOR_PROGRAM);
	}
	return camera->wake.epoll_fd;
}

uint64_t camtap_missed(const struct camtap *camera)
{
	return leases_ours(camera->leases) ? camera->missed : 0;
}

unsigned camtap_max_leases(const struct camtap *camera)
{
	return leases_ours(camera->leases) ? camera->max_leases : 0;
}

const char *camtap_name(const struct camtap *camera)
{
	if (!leases_ours(camera->leases) || camera->name[0] == '\0')
		return NULL;
	return camera->name;
}

const char *camtap_error_text(const struct camtap *camera)
{
	if (!leases_ours(camera->leases))
		return "this handle belongs to the process that made it, not to its forked child";
	return camera->error_text;
}

const char *camtap_event_text(const struct camtap *camera)
{
	return leases_ours(camera->leases) ? camera->event_text : "";
}
