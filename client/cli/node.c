/* SPDX-License-Identifier: MIT */
#include "node.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/videodev2.h>

#define VIDEO_MAJOR 81 /* the kernel's Documentation/admin-guide/devices.txt */

int node_open(const char *path, int *ret_fd)
{
	struct stat status;
	int fd;

	if (stat(path, &status) < 0)
		return -errno;
	if (!S_ISCHR(status.st_mode) || major(status.st_rdev) != VIDEO_MAJOR)
		return -ENOTTY;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int node_ioctl(int fd, unsigned long request, void *argument)
{
	int r;

	do
		r = ioctl(fd, request, argument);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int node_get_capabilities(int fd, uint32_t *ret_capabilities)
{
	struct v4l2_capability capability = {};
	int r;

	r = node_ioctl(fd, VIDIOC_QUERYCAP, &capability);
	if (r < 0)
		return r;
	*ret_capabilities = capability.capabilities & V4L2_CAP_DEVICE_CAPS
				    ? capability.device_caps
				    : capability.capabilities;
	return 0;
}

int node_ask_capabilities(const char *path, uint32_t *ret_capabilities)
{
	int fd, r;

	r = node_open(path, &fd);
	if (r < 0)
		return r;
	r = node_get_capabilities(fd, ret_capabilities);
	close(fd);
	return r;
}
