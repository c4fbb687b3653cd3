/* SPDX-License-Identifier: MIT */
#include "headroom.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool number_read(const char *path, uint64_t *ret_number)
{
	FILE *file = fopen(path, "re");
	bool good;

	if (file == NULL)
		return false;
	good = fscanf(file, "%" SCNu64, ret_number) == 1; /* "max" is no number */
	fclose(file);
	return good;
}

static bool machine_available(uint64_t *ret_bytes)
{
	FILE *file = fopen("/proc/meminfo", "re");
	bool found = false;
	uint64_t kib;
	char line[256];

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof line, file) != NULL)
		found = sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1;
	fclose(file);
	if (found)
		*ret_bytes = kib * 1024;
	return found;
}

/* The control group of this process below /sys/fs/cgroup ("0::/path" is the line of cgroup v2). */
static bool group_path(char ret_path[PATH_MAX])
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool found = false;
	char line[PATH_MAX];

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		found = snprintf(ret_path, PATH_MAX, "/sys/fs/cgroup%s", line + 3) < PATH_MAX - 32;
	}
	fclose(file);
	return found;
}

int headroom_check(uint64_t size)
{
	char group[PATH_MAX], path[PATH_MAX + 32];
	uint64_t available, limit, current;

	if (machine_available(&available) && available < size)
		return -ENOMEM;
	if (!group_path(group))
		return 0;
	/* every ancestor limits too; the root of the hierarchy has no limit files */
	while (strlen(group) > strlen("/sys/fs/cgroup")) {
		snprintf(path, sizeof path, "%s/memory.max", group);
		if (number_read(path, &limit)) {
			snprintf(path, sizeof path, "%s/memory.current", group);
			if (number_read(path, &current) &&
				(current > limit || limit - current < size))
				return -ENOMEM;
		}
		*strrchr(group, '/') = '\0';
	}
	return 0;
}
