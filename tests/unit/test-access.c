/* SPDX-License-Identifier: MIT */

/* Who may read, on a machine whose users and groups are the test's own. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "access.h"
#include "options.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define SOCKET          1000 /* never a real one */

/* ---- the machine ---- */

static struct {
	int lookups;
	int error;              /* of a lookup that finds nothing */
	const char *missing;    /* a name that is not known, though it is below */
	gid_t supplementary[4]; /* of the peer */
	size_t supplementary_count;
	int peergroups_error;
} machine;

struct passwd *getpwnam(const char *name)
{
	static struct passwd alice = {.pw_uid = 1001, .pw_gid = 1001};
	static struct passwd bob = {.pw_uid = 1002, .pw_gid = 1002};

	machine.lookups++;
	if (strcmp(name, "alice") == 0)
		return &alice;
	if (strcmp(name, "bob") == 0)
		return &bob;
	errno = machine.error;
	return NULL;
}

struct group *getgrnam(const char *name)
{
	static struct group lab = {.gr_gid = 2001}, staff = {.gr_gid = 2002},
			    admins = {.gr_gid = 2003};

	machine.lookups++;
	if (machine.missing != NULL && strcmp(name, machine.missing) == 0)
		;
	else if (strcmp(name, "lab") == 0)
		return &lab;
	else if (strcmp(name, "staff") == 0)
		return &staff;
	else if (strcmp(name, "camtap-admin") == 0)
		return &admins;
	errno = machine.error;
	return NULL;
}

int getsockopt(int socket, int level, int name, void *value, socklen_t *size)
{
	size_t needed = machine.supplementary_count * sizeof(gid_t);

	assert_int_equal(socket, SOCKET);
	assert_int_equal(level, SOL_SOCKET);
	assert_int_equal(name, 59); /* SO_PEERGROUPS */
	if (machine.peergroups_error != 0) {
		errno = machine.peergroups_error;
		return -1;
	}
	assert_true(*size >= needed);
	memcpy(value, machine.supplementary, needed);
	*size = (socklen_t)needed;
	return 0;
}

/* ---- */

static int machine_init(void **state)
{
	(void)state;
	memset(&machine, 0, sizeof machine);
	return 0;
}

/* What access_init() says on standard error; NULL: access that was not made. */
static char *init(struct access *access, const char *users, const char *groups)
{
	char name[] = "front", text[1024];
	struct options options = {.name = name};
	int fd = memfd_create("test-access", MFD_CLOEXEC), before = dup(STDERR_FILENO);
	ssize_t size;

	options.users = users != NULL ? strdup(users) : NULL;
	options.groups = groups != NULL ? strdup(groups) : NULL;
	assert_true(fd >= 0 && before >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	assert_int_equal(access_init(access, &options), 0);
	dup2(before, STDERR_FILENO);
	size = pread(fd, text, sizeof text - 1, 0);
	assert_true(size >= 0);
	text[size] = '\0';
	close(before);
	close(fd);
	free(options.users);
	free(options.groups);
	return strdup(text);
}

static void init_quietly(struct access *access, const char *users, const char *groups)
{
	char *text = init(access, users, groups);

	assert_string_equal(text, "");
	free(text);
}

static bool permits(const struct access *access, uid_t uid, gid_t gid)
{
	const struct peer peer = {.pid = 1, .uid = uid, .gid = gid};

	return access_permits(access, &peer, SOCKET);
}

static void nothing_said_is_everybody(void **state)
{
	struct access access;

	(void)state;
	init_quietly(&access, NULL, NULL);
	assert_false(access.restricted);
	assert_true(permits(&access, 4711, 4711));
	access_finish(&access);
}

static void users_are_let_in(void **state)
{
	struct access access;

	(void)state;
	init_quietly(&access, " alice,, 77\t", NULL);
	assert_true(permits(&access, 1001, 50));
	assert_true(permits(&access, 77, 50));
	assert_false(permits(&access, 1002, 1001)); /* a group of that number is another matter */
	assert_false(permits(&access, 78, 77));
	assert_non_null(strstr(access.who, "names the users who may"));
	access_finish(&access);
}

static void groups_are_let_in(void **state)
{
	struct access access;

	(void)state;
	init_quietly(&access, NULL, "lab 88");
	assert_true(permits(&access, 1001, 2001)); /* its own */
	assert_true(permits(&access, 1001, 88));
	assert_false(permits(&access, 2001, 1001));
	machine.supplementary[0] = 5;
	machine.supplementary[1] = 2001;
	machine.supplementary_count = 1;
	assert_false(permits(&access, 1001, 1001));
	machine.supplementary_count = 2;
	assert_true(permits(&access, 1001, 1001));
	machine.peergroups_error = ENOPROTOOPT;
	assert_false(permits(&access, 1001, 1001));
	assert_non_null(strstr(access.who, "members of group lab 88 may"));
	access_finish(&access);
}

static void either_is_enough(void **state)
{
	struct access access;

	(void)state;
	init_quietly(&access, "alice", "lab");
	assert_true(permits(&access, 1001, 50));
	assert_true(permits(&access, 1002, 2001));
	assert_false(permits(&access, 1002, 50));
	access_finish(&access);
}

static void administrators_may_everything(void **state)
{
	const uid_t own = geteuid();
	struct access access;

	(void)state;
	init_quietly(&access, "alice", NULL);
	for (size_t i = 0; i < 2; i++) {
		struct peer peer = {.uid = i == 0 ? 0 : own, .gid = 50};

		assert_true(access_permits(&access, &peer, SOCKET));
		assert_true(access_is_admin(&access, &peer, SOCKET));
	}
	assert_true(permits(&access, 1002, 2003));
	machine.supplementary[0] = 2003;
	machine.supplementary_count = 1;
	assert_true(permits(&access, 1002, 50));
	machine.supplementary_count = 0;
	/* to read is not to rule */
	assert_false(access_is_admin(&access, &(struct peer){.uid = 1001, .gid = 2001}, SOCKET));
	access_finish(&access);

	/* without the group there is nobody in it */
	machine.missing = "camtap-admin";
	init_quietly(&access, "alice", NULL);
	assert_false(permits(&access, 1002, 2003));
	assert_false(permits(&access, 1002, (gid_t)-1));
	access_finish(&access);
}

static void unknown_names_let_nobody_in(void **state)
{
	struct access access;
	char *text;

	(void)state;
	text = init(&access, "alise, bob", "lap");
	assert_string_equal(text,
		"<4>camtapd: front: [Access] users: there is no user alise: nobody is let in by "
		"that name\n"
		"<4>camtapd: front: [Access] groups: there is no group lap: nobody is let in by "
		"that name\n");
	assert_true(permits(&access, 1002, 50));
	assert_false(permits(&access, 1001, 50));
	assert_false(permits(&access, (uid_t)-1, (gid_t)-1));
	access_finish(&access);
	free(text);

	/* if nobody is left, that is not everybody */
	text = init(&access, "alise", NULL);
	assert_false(permits(&access, 1001, 50));
	access_finish(&access);
	free(text);

	machine.error = EIO;
	text = init(&access, "\x1b[2Jx", NULL);
	assert_string_equal(text,
		"<4>camtapd: front: [Access] users: ?[2Jx cannot be looked up (Input/output "
		"error): nobody is let in by that name\n");
	access_finish(&access);
	free(text);
}

/* Where users come from a network, a lookup can take seconds. */
static void names_are_looked_up_once(void **state)
{
	struct access access;
	int lookups;

	(void)state;
	init_quietly(&access, "alice bob 5", "lab staff 6");
	lookups = machine.lookups;
	assert_int_equal(lookups, 5); /* with camtap-admin */
	for (uid_t uid = 0; uid < 3000; uid++)
		(void)permits(&access, uid, uid);
	assert_int_equal(machine.lookups, lookups);
	access_finish(&access);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, machine_init)
	static const struct CMUnitTest tests[] = {
		TEST(nothing_said_is_everybody),
		TEST(users_are_let_in),
		TEST(groups_are_let_in),
		TEST(either_is_enough),
		TEST(administrators_may_everything),
		TEST(unknown_names_let_nobody_in),
		TEST(names_are_looked_up_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
