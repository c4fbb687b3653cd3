/* SPDX-License-Identifier: MIT */
#include "source-v4l2-identity.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS   "/dev/v4l/"
#define BY_PATH LINKS "by-path"
#define BY_ID   LINKS "by-id"

int v4l2_identity_init(struct v4l2_identity *identity, const char *path)
{
	*identity = (struct v4l2_identity){.path = strdup(path)};
	return identity->path != NULL ? 0 : -ENOMEM;
}

void v4l2_identity_finish(struct v4l2_identity *identity)
{
	free(identity->path);
	free(identity->by_path);
	free(identity->by_id);
}

static bool is_link(const char *path)
{
	return strncmp(path, LINKS, strlen(LINKS)) == 0 ||
	       strncmp(path, V4L2_IDENTITY_NAMED, strlen(V4L2_IDENTITY_NAMED)) == 0;
}

/* A link in the folder that leads to the node; NULL: none. The caller's to free(). */
static char *find_link(const char *folder, dev_t node)
{
	char *found = NULL;
	struct dirent *entry;
	struct stat status;
	DIR *directory = opendir(folder);

	if (directory == NULL)
		return NULL;
	while (found == NULL && (entry = readdir(directory)) != NULL) {
		if (fstatat(dirfd(directory), entry->d_name, &status, 0) < 0 ||
			!S_ISCHR(status.st_mode) || status.st_rdev != node)
			continue;
		if (asprintf(&found, "%s/%s", folder, entry->d_name) < 0)
			found = NULL;
	}
	closedir(directory);
	return found;
}

const char *v4l2_identity_find(const struct v4l2_identity *identity)
{
	struct stat status;
	char *by_id;
	bool same;

	if (is_link(identity->path) || identity->by_path == NULL)
		return identity->path;
	if (stat(identity->by_path, &status) == 0)
		return identity->by_path;
	/* in another port? */
	if (identity->by_id == NULL || stat(identity->path, &status) < 0)
		return NULL;
	by_id = find_link(BY_ID, status.st_rdev);
	same = by_id != NULL && strcmp(by_id, identity->by_id) == 0;
	free(by_id);
	return same ? identity->path : NULL;
}

void v4l2_identity_remember(struct v4l2_identity *identity, dev_t node)
{
	if (is_link(identity->path))
		return;
	free(identity->by_path);
	free(identity->by_id);
	identity->by_path = find_link(BY_PATH, node);
	identity->by_id = find_link(BY_ID, node);
}
