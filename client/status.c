/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOCUMENT_SIZE_MAX (16 << 20) /* bytes */

int answer_wait(struct camtap *camera, bool (*has_come)(const struct camtap *camera),
	int64_t deadline, const char *late)
{
	int64_t until = 0;

	for (; !has_come(camera); until = deadline) {
		int error = wake_wait(camera, WAKE_FOR_STATUS, until);

		if (error < 0)
			return camera_fail(camera, error,
				error == -EINTR ? "a signal arrived" : "waiting failed");
		connection_run(camera, true);
		if (has_come(camera))
			break;
		if (camera->refused < 0)
			return camera_fail(camera, camera->refused, "%s", camera->refused_text);
		if (deadline != NEVER && now_ns() >= deadline)
			return camera_fail(camera, -ETIMEDOUT, "%s",
				camera->away_text[0] != '\0' ? camera->away_text : late);
	}
	return 0;
}

int status_read_document(
	struct camtap *camera, int fd, uint64_t size, const char *what, char **ret_json)
{
	struct stat stat;
	uint64_t done = 0;
	int seals = fcntl(fd, F_GET_SEALS);
	char *json;

	/* Sealed: so it is memory, which does not block us, and does not shrink while it is read.
	 */
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || size > DOCUMENT_SIZE_MAX ||
		fstat(fd, &stat) < 0 || stat.st_size < 0 || (uint64_t)stat.st_size < size)
		return camera_fail(
			camera, -EPROTO, "camtapd breaks the protocol: a wrong %s", what);
	json = malloc(size + 1);
	if (!json)
		return camera_fail(camera, -ENOMEM, "no memory");
	while (done < size) {
		ssize_t length = pread(fd, json + done, size - done, (off_t)done);

		if (length <= 0) {
			free(json);
			return camera_fail(camera, -EIO, "the document of %s cannot be read", what);
		}
		done += (uint64_t)length;
	}
	json[size] = '\0';
	*ret_json = json;
	return 0;
}

static bool has_status(const struct camtap *camera)
{
	return camera->status_fd >= 0;
}

int camtap_status(struct camtap *camera, char **ret_json, int timeout_ms)
{
	int result;

	if (!leases_ours(camera->leases))
		return -ECHILD;
	if (camera->state == CONNECTION_NEW)
		return camera_fail(camera, -ENOTCONN, "camtap_connect() was not called");

	camera->status_wanted = true;
	if (camera->state == CONNECTION_ATTACHED)
		camera->owed |= CONNECTION_OWED_STATUS;
	result = answer_wait(
		camera, has_status, wake_deadline(timeout_ms), "camtapd has not answered in time");
	camera->status_wanted = false;
	camera->owed &= ~(unsigned)CONNECTION_OWED_STATUS;
	if (result == 0) {
		result = status_read_document(
			camera, camera->status_fd, camera->status_size, "STATUS", ret_json);
		close(camera->status_fd);
		camera->status_fd = -1;
	}
	wake_update(camera, WAKE_FOR_PROGRAM);
	return result;
}
