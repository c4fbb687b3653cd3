/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_SOURCE_V4L2_IDENTITY_H
#define CAMTAP_DAEMON_SOURCE_V4L2_IDENTITY_H

/*
 * Which node is the camera now? Node numbers are given out anew at every plugging in.
 *
 * A camera that is named by a link of udev's is whatever that link leads to: by-path the port,
 * by-id model and serial number (two cameras that have both in common share one link: such are told
 * apart by-path only), /dev/camtap/NAME one of the two (systemd/camera-name.h).
 *
 * One that is named by its node is, from the first opening on, the camera that was there then: the
 * one at its port (by-path), or one of its model and serial number that comes back under the same
 * node name. Another camera that gets its number meanwhile is not taken for it. Without udev the
 * node is all that there is to go by.
 */

#include <sys/types.h>

/* Where the links are that camtap's own rule for udev makes. */
#define V4L2_IDENTITY_NAMED "/dev/camtap/"

struct v4l2_identity {
	char *path;    /* as it was asked for */
	char *by_path; /* links that led to the node when it was opened last; NULL: none */
	char *by_id;
};

int v4l2_identity_init(struct v4l2_identity *identity, const char *path);
void v4l2_identity_finish(struct v4l2_identity *identity);

/* The path to open now; lives as long as the identity and no longer than the next call of
 * v4l2_identity_remember(). NULL: only another camera is there, or none whose links are ready. */
const char *v4l2_identity_find(const struct v4l2_identity *identity);

/* The camera is at this node (st_rdev). */
void v4l2_identity_remember(struct v4l2_identity *identity, dev_t node);

#endif
