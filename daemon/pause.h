/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_PAUSE_H
#define CAMTAP_DAEMON_PAUSE_H

/*
 * That a camera is switched off outlives the daemon: as the file `paused` in $STATE_DIRECTORY
 * (systemd's), else in /var/lib/camtap/NAME (root), else in $XDG_STATE_HOME/camtap/NAME, which is
 * ~/.local/state/camtap/NAME by default. What it holds is for people; its time is since when.
 *
 * A disk may take seconds to write it: a thread of its own does.
 */

#include "camera.h"

#include <stdbool.h>
#include <stdint.h>

/* Is the camera of that name switched off? What is there and cannot be read says so, too. */
bool pause_load(const char *name, struct camera_pause *ret_pause);

struct pause_keeper;

/* `notify_fd` is an eventfd, written whenever pause_is_kept() may have changed. */
int pause_keeper_create(const char *name, int notify_fd, struct pause_keeper **ret_keeper);
/* Waits for what is to be written. NULL is allowed. */
void pause_keeper_destroy(struct pause_keeper *keeper);

/* ---- server thread ---- */

/* This is to be kept, instead of what was said before; NULL: that the camera is on. Returns a
 * number for pause_is_kept(). */
uint64_t pause_keep(struct pause_keeper *keeper, const struct camera_pause *pause);
/* Is it on the disk, or something that was said later? When true, *ret_error is 0, or a negative
 * errno with a line for people in `text`. */
bool pause_is_kept(
	struct pause_keeper *keeper, uint64_t number, int *ret_error, char text[SOURCE_TEXT_SIZE]);

#endif
