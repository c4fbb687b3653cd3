/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_UDEV_H
#define CAMTAP_CLI_UDEV_H

/* What udev found out about a V4L2 node when it appeared (its rules asked the driver then). Looking
 * it up opens no node. */

struct udev_record {
	char *capabilities; /* ID_V4L_CAPABILITIES: ":capture:"; NULL: udev does not say */
	char *serial; /* ID_SERIAL: maker, model and serial number, if it has one; NULL: none */
};

/* Looks up a node by its name in /sys/class/video4linux ("video0"). What udev does not know, or
 * without udev, is NULL. -ENOMEM. */
int udev_find(const char *node, struct udev_record *ret_record);
void udev_record_finish(struct udev_record *record);

#endif
