/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool is_alphanumeric(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool address_name_valid(const char *name)
{
	size_t length = strnlen(name, ADDRESS_NAME_MAX + 1);

	if (length > ADDRESS_NAME_MAX || !is_alphanumeric(name[0]))
		return false;
	for (size_t i = 1; i < length; i++) {
		if (!is_alphanumeric(name[i]) && !strchr("_.-", name[i]))
			return false;
	}
	return true;
}

int address_user_directory(char ret_path[ADDRESS_PATH_SIZE])
{
	const char *directory = secure_getenv("XDG_RUNTIME_DIR");
	char path[ADDRESS_PATH_SIZE];

	/* "All paths set in these environment variables must be absolute": XDG Base Directory
	 * Specification; others are to be ignored. */
	if (!directory || directory[0] != '/')
		return -ENOENT;
	if ((size_t)snprintf(path, sizeof(path), "%s/camtap", directory) >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(ret_path, path, sizeof(path));
	return 0;
}

int address_socket_path(const char *directory, const char *name, char ret_path[ADDRESS_PATH_SIZE])
{
	char path[ADDRESS_PATH_SIZE];

	if (!address_name_valid(name))
		return -EINVAL;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s/socket", directory, name) >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(ret_path, path, sizeof(path));
	return 0;
}

int address_init(struct sockaddr_un *ret_address, const char *path)
{
	size_t length = strlen(path);

	if (length == 0)
		return -EINVAL;
	if (length >= ADDRESS_PATH_SIZE)
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_address->sun_path, path, length + 1);
	return 0;
}
