/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
	char name[ADDRESS_NAME_MAX + 1];
	char path[ADDRESS_PATH_SIZE];
};

struct camtap_list {
	struct entry *entries;
	size_t count;
};

/* False with errno EACCES: perhaps. */
static bool is_socket(const char *path)
{
	struct stat status;

	errno = 0;
	return stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

static bool contains(const struct camtap_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->entries[i].name, name) == 0)
			return true;
	}
	return false;
}

static int add(struct camtap_list *list, const char *name, const char *path)
{
	struct entry *entries =
		reallocarray(list->entries, list->count + 1, sizeof(*list->entries));

	if (!entries)
		return -ENOMEM;
	list->entries = entries;
	strcpy(entries[list->count].name, name);
	strcpy(entries[list->count].path, path);
	list->count++;
	return 0;
}

/* A directory that is not there, or not to be read, has no cameras. */
static int scan(struct camtap_list *list, const char *directory)
{
	const struct dirent *entry;
	int error = 0;
	DIR *stream = opendir(directory);

	if (!stream)
		return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : 0;
	while (error == 0 && (entry = readdir(stream))) {
		char path[ADDRESS_PATH_SIZE];

		if (address_socket_path(directory, entry->d_name, path) == 0 && is_socket(path) &&
			!contains(list, entry->d_name))
			error = add(list, entry->d_name, path);
	}
	closedir(stream);
	return error;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

int camtap_list_new(struct camtap_list **ret_list)
{
	struct camtap_list *list = calloc(1, sizeof(*list));
	char directory[ADDRESS_PATH_SIZE];
	int error = 0;

	if (!list)
		return -ENOMEM;
	if (address_user_directory(directory) == 0)
		error = scan(list, directory);
	if (error == 0)
		error = scan(list, ADDRESS_SYSTEM_DIRECTORY);
	if (error < 0) {
		camtap_list_free(list);
		return error;
	}
	if (list->count > 0)
		qsort(list->entries, list->count, sizeof(*list->entries), compare);
	*ret_list = list;
	return 0;
}

size_t camtap_list_count(const struct camtap_list *list)
{
	return list->count;
}

const char *camtap_list_name(const struct camtap_list *list, size_t index)
{
	return index < list->count ? list->entries[index].name : NULL;
}

const char *camtap_list_socket(const struct camtap_list *list, size_t index)
{
	return index < list->count ? list->entries[index].path : NULL;
}

void camtap_list_free(struct camtap_list *list)
{
	if (!list)
		return;
	free(list->entries);
	free(list);
}

/* ---- which one is meant ---- */

/* Writes to camera->path where the named camera's socket is; false: nowhere. What may not be looked
 * at is left to connect(), which then says so. */
static bool find_named(struct camtap *camera)
{
	char user_directory[ADDRESS_PATH_SIZE];
	const char *directories[] = {user_directory, ADDRESS_SYSTEM_DIRECTORY};

	for (size_t i = address_user_directory(user_directory) == 0 ? 0 : 1; i < 2; i++) {
		char path[ADDRESS_PATH_SIZE];

		if (address_socket_path(directories[i], camera->camera, path) < 0)
			continue;
		if (is_socket(path) || errno == EACCES) {
			strcpy(camera->path, path);
			return true;
		}
	}
	return false;
}

/* "a, b, c", cut where it is too long. */
static const char *names_of(const struct camtap_list *list, char *text, size_t size)
{
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->count && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s", i > 0 ? ", " : "",
			list->entries[i].name);
	return text;
}

/* The only one there is, if none was named; else it is an error, which says what there is. */
static int choose(struct camtap *camera, const struct camtap_list *list)
{
	char names[256];

	if (list->count == 0)
		return camera_fail(camera, -ENOENT,
			"no camera is shared here; start one: camtapd --source pattern:");
	if (camera->camera[0] != '\0')
		return camera_fail(camera, -ENOENT, "there is no camera \"%s\"; there is: %s",
			camera->camera, names_of(list, names, sizeof(names)));
	if (list->count > 1)
		return camera_fail(camera, -ENOTUNIQ,
			"several cameras are shared here, name one: %s",
			names_of(list, names, sizeof(names)));
	strcpy(camera->path, list->entries[0].path);
	return 0;
}

int list_resolve(struct camtap *camera)
{
	const char *path = camera->socket;
	struct camtap_list *list;
	int error;

	if (path[0] == '\0' && camera->camera[0] == '\0')
		path = secure_getenv("CAMTAP_SOCKET");
	if (path && path[0] != '\0') {
		if (strlen(path) >= sizeof(camera->path))
			return camera_fail(camera, -ENAMETOOLONG,
				"CAMTAP_SOCKET is longer than %zu bytes", sizeof(camera->path) - 1);
		strcpy(camera->path, path);
		return 0;
	}
	if (camera->camera[0] != '\0' && find_named(camera))
		return 0;
	error = camtap_list_new(&list);
	if (error < 0)
		return camera_fail(camera, error, "cannot look for cameras: %s", strerror(-error));
	error = choose(camera, list);
	camtap_list_free(list);
	return error;
}
