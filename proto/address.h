/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_ADDRESS_H
#define CAMTAP_PROTO_ADDRESS_H

/* Where a camera's socket is. A directory per camera, so that a container is given one camera by
 * mounting one directory: /run/camtap/NAME/socket, or $XDG_RUNTIME_DIR/camtap/NAME/socket. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#define ADDRESS_NAME_MAX         64 /* bytes, without the terminating NUL */
#define ADDRESS_PATH_SIZE        sizeof(((struct sockaddr_un *)0)->sun_path)
#define ADDRESS_SYSTEM_DIRECTORY "/run/camtap"

/* Is this a camera's name: [A-Za-z0-9][A-Za-z0-9_.-]{0,63}? */
bool address_name_valid(const char *name);

/* Writes the directory of the user's cameras ($XDG_RUNTIME_DIR/camtap). -ENOENT if there is no such
 * variable, -ENAMETOOLONG. */
int address_user_directory(char ret_path[ADDRESS_PATH_SIZE]);

/* Writes DIRECTORY/NAME/socket. -EINVAL for a name that is none, -ENAMETOOLONG. */
int address_socket_path(const char *directory, const char *name, char ret_path[ADDRESS_PATH_SIZE]);

/* Fills a socket address. -ENAMETOOLONG if the path does not fit, -EINVAL if it is empty. */
int address_init(struct sockaddr_un *ret_address, const char *path);

#endif
