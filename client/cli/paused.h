/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_PAUSED_H
#define CAMTAP_CLI_PAUSED_H

/* Is a camera paused? As camtapd keeps it on the disk (camtapd(8), PAUSE): to ask the daemon would
 * start it. */

#define PAUSED_TEXT_SIZE 512

/* Writes the line for people, printable, and returns it. NULL: the camera is not paused, or whoever
 * asks may not know, or its daemon keeps it elsewhere. */
const char *paused_find(const char *name, const char *socket, char text[PAUSED_TEXT_SIZE]);

#endif
