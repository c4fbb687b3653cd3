/* SPDX-License-Identifier: MIT */
#include "source-v4l2-device.h"

#include "source-v4l2-identity.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <libv4l2.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define VIDEO_MAJOR 81 /* the kernel's Documentation/admin-guide/devices.txt */

int v4l2_device_ioctl(const struct v4l2_device *device, unsigned long request, void *argument)
{
	int r;

	do
		r = v4l2_ioctl(device->fd, request, argument);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int v4l2_device_fail(const struct v4l2_device *device, int error, const char *doing)
{
	const char *path = device->path;

	switch (error) {
	case -EBUSY:
		return source_fail(device->source, error,
			"%s is used by another program: `camtap list` names it", path);
	case -ENODEV:
	case -ENXIO:
		return source_fail(device->source, error, "%s has been unplugged", path);
	case -EIO:
		return source_fail(device->source, error,
			"%s: its driver reports an error while %s; if that goes on, try another "
			"cable or port",
			path, doing);
	default:
		return source_fail(
			device->source, error, "%s: %s: %s", path, doing, strerror(-error));
	}
}

static int fail_open(const struct v4l2_device *device, int error)
{
	struct source *source = device->source;
	const char *path = device->path;

	switch (error) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		if (strncmp(path, V4L2_IDENTITY_NAMED, strlen(V4L2_IDENTITY_NAMED)) == 0)
			return source_fail(source, error,
				"no camera named %s is plugged in; `camtap list` shows those that "
				"are",
				path + strlen(V4L2_IDENTITY_NAMED));
		return source_fail(source, error,
			"no such device: %s; is the camera plugged in? (ls /dev/v4l/by-id "
			"/dev/video* "
			"shows those that are)",
			path);
	case -EACCES:
		return source_fail(source, error,
			"%s may not be opened by this user: it must be in the group that owns the "
			"device, usually group video (sudo adduser USER video, and log in again)",
			path);
	case -EPERM:
		return source_fail(source, error,
			"%s may not be opened here: allow it in the service (DeviceAllow=) or the "
			"container (--device %s)",
			path, path);
	default:
		return v4l2_device_fail(device, error, "cannot be opened");
	}
}

/* Can frames be captured from it by what this source does? */
static int check_capabilities(struct v4l2_device *device)
{
	struct v4l2_capability capability = {0};
	struct source *source = device->source;
	const char *path = device->path;
	uint32_t capabilities;
	int r;

	r = v4l2_device_ioctl(device, VIDIOC_QUERYCAP, &capability);
	if (r == -ENOTTY || r == -EINVAL)
		return source_fail(source, -ENOTTY, "%s is not a V4L2 device", path);
	if (r < 0)
		return v4l2_device_fail(device, r, "asking what it can do");
	capabilities = capability.capabilities & V4L2_CAP_DEVICE_CAPS ? capability.device_caps
								      : capability.capabilities;

	if (capabilities & V4L2_CAP_IO_MC)
		return source_fail(source, -ENOTSUP,
			"%s belongs to a media controller that somebody must set up for every "
			"picture: use libcamera, with --source 'exec:rpicam-vid --codec mjpeg -t 0 "
			"-n -o -'",
			path);
	if (capabilities & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE))
		return source_fail(source, -ENOTSUP,
			"%s is a codec or a scaler (memory to memory), no camera", path);
	device->type = capabilities & V4L2_CAP_VIDEO_CAPTURE ? V4L2_BUF_TYPE_VIDEO_CAPTURE
							     : V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
	if (!(capabilities & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE))) {
		if (capabilities & V4L2_CAP_META_CAPTURE)
			return source_fail(source, -ENOTSUP,
				"%s carries data about pictures, no pictures: use the camera's "
				"other "
				"node, mostly the one with the number before (v4l2-ctl "
				"--list-devices shows both)",
				path);
		if (capabilities & (V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_VIDEO_OUTPUT_MPLANE |
					   V4L2_CAP_META_OUTPUT))
			return source_fail(source, -ENOTSUP,
				"%s is an output: nothing can be captured from it", path);
		return source_fail(source, -ENOTSUP, "%s does not capture pictures", path);
	}
	if (!(capabilities & V4L2_CAP_STREAMING))
		return source_fail(source, -ENOTSUP,
			"%s has no streaming, only read(), which camtapd does not use", path);
	return 0;
}

int v4l2_device_open(struct v4l2_device *device, bool conversion)
{
	struct stat status;
	int r;

	/* opening something else may do something */
	if (stat(device->path, &status) < 0)
		return fail_open(device, -errno);
	if (!S_ISCHR(status.st_mode) || major(status.st_rdev) != VIDEO_MAJOR)
		return source_fail(
			device->source, -ENOTTY, "%s is not a V4L2 device", device->path);
	device->fd = open(device->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (device->fd < 0)
		return fail_open(device, -errno);
	/* Before libv4l2 knows the fd, which passes ioctls through until then: its multi-planar
	 * plugin would hide what the device is, and so libv4l2 never gets to know such a one. */
	r = check_capabilities(device);
	if (r < 0) {
		close(device->fd);
		device->fd = -1;
		return r;
	}
	device->conversion = conversion && !v4l2_device_is_multiplanar(device);
	if (v4l2_device_is_multiplanar(device))
		return 0;
	if (v4l2_fd_open(device->fd, conversion ? 0 : V4L2_DISABLE_CONVERSION) < 0) {
		r = -errno;
		close(device->fd);
		device->fd = -1;
		return v4l2_device_fail(device, r, "opening it by libv4l2");
	}
	/* In conversion libv4l2 writes a line for each damaged picture, and for each look at a
	 * queue that has none; camtapd explains or counts what matters. $LIBV4L2_LOG_FILENAME,
	 * which has been looked at by now, still gets them. */
	if (conversion && v4l2_log_file == NULL)
		v4l2_log_file = fopen("/dev/null", "we");
	return 0;
}

void v4l2_device_close(struct v4l2_device *device)
{
	if (device->fd >= 0)
		v4l2_close(device->fd);
	device->fd = -1;
}
