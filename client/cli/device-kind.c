/* SPDX-License-Identifier: MIT */
#include "device-kind.h"

#include <linux/videodev2.h>

enum device_kind device_kind_of(uint32_t capabilities)
{
	if (capabilities & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE) ||
		!(capabilities & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE)) ||
		!(capabilities & V4L2_CAP_STREAMING))
		return DEVICE_OTHER;
	return capabilities & V4L2_CAP_IO_MC ? DEVICE_MEDIA_CONTROLLER : DEVICE_CAPTURE;
}
