/* SPDX-License-Identifier: MIT */
#include "paused.h"

#include "terminal.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* False: there is no such directory. */
static bool find_file(const char *name, const char *socket, char ret_path[PATH_MAX])
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (strncmp(socket, "/run/camtap/", strlen("/run/camtap/")) == 0)
		snprintf(ret_path, PATH_MAX, "/var/lib/camtap/%s/paused", name);
	else if (state && state[0] == '/')
		snprintf(ret_path, PATH_MAX, "%s/camtap/%s/paused", state, name);
	else if (home && home[0] == '/')
		snprintf(ret_path, PATH_MAX, "%s/.local/state/camtap/%s/paused", home, name);
	else
		return false;
	return true;
}

const char *paused_find(const char *name, const char *socket, char text[PAUSED_TEXT_SIZE])
{
	char path[PATH_MAX];
	ssize_t length = -1;
	int fd;

	if (!find_file(name, socket, path) || access(path, F_OK) < 0)
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		length = read(fd, text, PAUSED_TEXT_SIZE - 1);
		close(fd);
	}
	text[length > 0 ? length : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (text[0] == '\0')
		strcpy(text, "paused");
	return terminal_printable(text);
}
