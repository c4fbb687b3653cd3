/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_NODE_H
#define CAMTAP_CLI_NODE_H

/* Asking a V4L2 node itself. */

#include <stdint.h>

/* Opens a node: non-blocking, close-on-exec. Nothing that is no V4L2 node is opened. Opening may
 * wake a camera and switch its light on: only do it where nothing else can tell. Negative errno;
 * -ENOTTY: not a V4L2 node. */
int node_open(const char *path, int *ret_fd);

/* ioctl() that returns a negative errno and goes on after a signal. */
int node_ioctl(int fd, unsigned long request, void *argument);

/* The capabilities of the open node (V4L2_CAP_..., device_caps). Negative errno. */
int node_get_capabilities(int fd, uint32_t *ret_capabilities);

/* Opens a node to ask for its capabilities, and closes it. Negative errno. */
int node_ask_capabilities(const char *path, uint32_t *ret_capabilities);

#endif
