/* SPDX-License-Identifier: MIT */
#include "access.h"

#include "log-messages.h"
#include "log.h"
#include "message.h"
#include "options.h"
#include "parse.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADMIN_GROUP "camtap-admin"
#define SEPARATORS  " \t,"
#define NO_ID       UINT32_MAX /* (uid_t)-1 means nobody to the kernel */

_Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t),
	"ids are 32-bit numbers");

/* ---- names ---- */

/* NO_ID: there is none of that name; errno is 0, or says why it could not be looked up. */
static uint32_t find_user(const char *name)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	return entry != NULL ? entry->pw_uid : NO_ID;
}

static uint32_t find_group(const char *name)
{
	const struct group *entry;

	errno = 0;
	entry = getgrnam(name);
	return entry != NULL ? entry->gr_gid : NO_ID;
}

static void complain(const struct options *options, const char *what, const char *name, int error)
{
	struct log_fields fields = {
		.message_id = LOG_NAME_UNKNOWN, .camera = options->name, .error = error};
	char printable[256];

	message_printable(printable, sizeof printable, name, strlen(name));
	/* what C libraries say where there is simply none: getpwnam(3) */
	if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM)
		log_event(LOG_WARNING, &fields,
			"[Access] %ss: there is no %s %s: nobody is let in by that name", what,
			what, printable);
	else
		log_event(LOG_WARNING, &fields,
			"[Access] %ss: %s cannot be looked up (%s): nobody is let in by that name",
			what, printable, strerror(error));
}

/* Looks up the words of a list; numbers are ids themselves. */
static int look_up(const struct options *options, const char *what, const char *list,
	uint32_t (*find)(const char *name), uint32_t **ret_ids, size_t *ret_count)
{
	char *words = strdup(list), *save = NULL;
	uint32_t *ids = calloc(strlen(list) / 2 + 1, sizeof *ids);
	size_t count = 0;

	if (words == NULL || ids == NULL) {
		free(words);
		free(ids);
		return -ENOMEM;
	}
	for (char *word = strtok_r(words, SEPARATORS, &save); word != NULL;
		word = strtok_r(NULL, SEPARATORS, &save)) {
		uint64_t number;
		uint32_t id;

		errno = 0;
		if (parse_number(word, 0, NO_ID - 1, &number) == 0)
			id = (uint32_t)number;
		else
			id = find(word);
		if (id == NO_ID)
			complain(options, what, word, errno);
		else
			ids[count++] = id;
	}
	free(words);
	*ret_ids = ids;
	*ret_count = count;
	return 0;
}

/* ---- life ---- */

static void describe(const struct options *options, char *ret_text, size_t size)
{
	char groups[128];

	if (options->groups == NULL) {
		snprintf(ret_text, size,
			"[Access] of its configuration names the users who may: ask the "
			"administrator to add you");
		return;
	}
	message_printable(groups, sizeof groups, options->groups, strlen(options->groups));
	snprintf(ret_text, size,
		"%smembers of group %s may: ask the administrator to make you one, and log in "
		"again",
		options->users != NULL ? "some users and " : "", groups);
}

int access_init(struct access *ret_access, const struct options *options)
{
	struct access access = {0};
	int error;

	access.admins = find_group(ADMIN_GROUP);
	access.has_admins = access.admins != NO_ID;
	if (options->users != NULL) {
		error = look_up(options, "user", options->users, find_user, &access.users,
			&access.user_count);
		if (error < 0)
			return error;
	}
	if (options->groups != NULL) {
		error = look_up(options, "group", options->groups, find_group, &access.groups,
			&access.group_count);
		if (error < 0) {
			free(access.users);
			return error;
		}
	}
	access.restricted = options->users != NULL || options->groups != NULL;
	if (access.restricted)
		describe(options, access.who, sizeof access.who);
	*ret_access = access;
	return 0;
}

void access_finish(struct access *access)
{
	free(access->users);
	free(access->groups);
	*access = (struct access){0};
}

/* ---- questions ---- */

bool access_is_admin(const struct access *access, const struct peer *peer, int socket)
{
	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	return access->has_admins && peer_is_in(peer, socket, &access->admins, 1);
}

bool access_permits(const struct access *access, const struct peer *peer, int socket)
{
	if (!access->restricted)
		return true;
	for (size_t i = 0; i < access->user_count; i++)
		if (access->users[i] == peer->uid)
			return true;
	return peer_is_in(peer, socket, access->groups, access->group_count) ||
	       access_is_admin(access, peer, socket);
}
