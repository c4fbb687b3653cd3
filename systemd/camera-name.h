/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_SYSTEMD_CAMERA_NAME_H
#define CAMTAP_SYSTEMD_CAMERA_NAME_H

/*
 * The name of a camera that udev has found: after maker, model and serial number, so that it may be
 * plugged into any port; after the port if another camera has the same ones. Never after the node's
 * number, which is given out anew at every plugging in.
 *
 * Two cameras of one id: those that are there together are both named after their ports, except
 * that one that had its name before the other came keeps it. That is remembered until the machine
 * is switched off, in a claim, a file of the folder CAMERA_CLAIMS that is named like the camera.
 * From then on, each has its name in its own port, whichever is plugged in first. Two that have
 * never been there together are one camera that was put into another port, for all that can be
 * known.
 *
 * Negative errno is an error. Single-threaded.
 */

#include "address.h"

#include <stdbool.h>

#define CAMERA_CLAIMS    "/run/camtap-names"
#define CAMERA_NAME_SIZE (ADDRESS_NAME_MAX + 1)

/* What sysfs and udev know of a node; strings are the caller's, NULL where nothing is known. */
struct camera_facts {
	const char *bus, *serial; /* ID_BUS, ID_SERIAL: "usb", "Acme_Eye_1234" */
	const char *path;         /* ID_PATH: "pci-0000:00:14.0-usb-0:1:1.0" */
	unsigned interface;       /* ID_USB_INTERFACE_NUM: a device may be several cameras */
	unsigned index;           /* of the node among those of its driver's device */
};

/* The name after the id: as the link in /dev/v4l/by-id without "-video-index0", so that it is
 * "usb-Acme_Eye_1234". "-if02" follows for the camera at a later interface, "-index1" for a later
 * node. Characters that no name has are '_'; of what is too long for a name, the rest is a hash.
 * -ENOENT: it has no id. */
int camera_name_by_id(const struct camera_facts *facts, char ret_name[static CAMERA_NAME_SIZE]);

/* The same after the port. -ENOENT: udev does not know of one. */
int camera_name_by_path(const struct camera_facts *facts, char ret_name[static CAMERA_NAME_SIZE]);

/* Is there another camera with the id of this one? Both are looked at in `sysfs`
 * ("/sys/class/video4linux"); `node` is "video0". */
bool camera_has_twin(const char *sysfs, const char *node);

/* May the camera have the name that is made of its id? `folder` is CAMERA_CLAIMS, which is made;
 * `device` is the folder in sysfs of the device that the node belongs to: the port. `twin` says
 * what camera_has_twin() does. */
int camera_claim(const char *folder, const char *name, const char *device, bool twin);

enum camera_claim_outcome {
	CAMERA_CLAIM_GRANTED = 0,
	CAMERA_CLAIM_TAKEN = 1, /* it is another's, or nobody's */
};

#endif
