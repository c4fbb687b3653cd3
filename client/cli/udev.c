/* SPDX-License-Identifier: MIT */
#include "udev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-device.h>

static int copy_property(sd_device *device, const char *key, char **ret_value)
{
	const char *value;

	*ret_value = NULL;
	if (sd_device_get_property_value(device, key, &value) < 0)
		return 0;
	*ret_value = strdup(value);
	return *ret_value ? 0 : -ENOMEM;
}

int udev_find(const char *node, struct udev_record *ret_record)
{
	struct udev_record record = {};
	sd_device *device;
	int r;

	r = sd_device_new_from_subsystem_sysname(&device, "video4linux", node);
	if (r < 0) {
		*ret_record = record;
		return r == -ENOMEM ? r : 0;
	}
	r = copy_property(device, "ID_V4L_CAPABILITIES", &record.capabilities);
	if (r == 0)
		r = copy_property(device, "ID_SERIAL", &record.serial);
	sd_device_unref(device);
	if (r < 0) {
		udev_record_finish(&record);
		return r;
	}
	*ret_record = record;
	return 0;
}

void udev_record_finish(struct udev_record *record)
{
	free(record->capabilities);
	free(record->serial);
	*record = (struct udev_record){};
}
