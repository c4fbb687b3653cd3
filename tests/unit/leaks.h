/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TEST_LEAKS_H
#define CAMTAP_TEST_LEAKS_H

/* What this process has open and mapped: tests look that it is the same afterwards. */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static inline int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

/* Mappings of memfds whose names begin so; "": of all. */
static inline int count_mapped_memfds(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	while (fgets(line, sizeof line, maps) != NULL) {
		const char *memfd = strstr(line, "memfd:");

		count +=
			memfd != NULL && strncmp(memfd + strlen("memfd:"), name, strlen(name)) == 0;
	}
	fclose(maps);
	return count;
}

#endif
