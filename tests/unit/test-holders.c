/* SPDX-License-Identifier: MIT */

/* Who has a device open: in the real /proc, with /dev/null in the place of a camera, and in a
 * made-up one. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "holders.h"

static char root[64];

static dev_t number_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_rdev;
}

static void make_folder(const char *below)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, below);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_file(const char *below, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, below);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_link(const char *below, const char *target)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, below);
	assert_int_equal(symlink(target, path), 0);
}

/* A process with /dev/null at fd 3. */
static void make_process(unsigned pid, const char *program)
{
	char below[64];

	snprintf(below, sizeof(below), "%u", pid);
	make_folder(below);
	snprintf(below, sizeof(below), "%u/fd", pid);
	make_folder(below);
	snprintf(below, sizeof(below), "%u/net", pid);
	make_folder(below);
	snprintf(below, sizeof(below), "%u/comm", pid);
	make_file(below, program);
	snprintf(below, sizeof(below), "%u/cmdline", pid);
	make_file(below, program);
	snprintf(below, sizeof(below), "%u/fd/3", pid);
	make_link(below, "/dev/null");
}

static int set_up(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/test-holders-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static const struct holder *find(const struct holders *holders, pid_t pid)
{
	for (size_t i = 0; i < holders->count; i++)
		if (holders->entries[i].pid == pid)
			return &holders->entries[i];
	return NULL;
}

static void this_process_is_found(void **state)
{
	const dev_t nodes[] = {number_of("/dev/zero"), number_of("/dev/full")};
	struct holders holders;
	int fd, second;

	(void)state;
	fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	second = open("/dev/full", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && second >= 0);
	assert_int_equal(holders_init(&holders, "/proc", nodes, 2), 0);
	assert_non_null(find(&holders, getpid()));
	assert_true(find(&holders, getpid())->node == nodes[1]);
	assert_string_equal(find(&holders, getpid())->program, "test-holders");
	assert_string_equal(find(&holders, getpid())->socket, "");
	for (size_t i = 0, found = 0; i < holders.count; i++) {
		found += holders.entries[i].pid == getpid();
		assert_true(found <= 1); /* however many fds */
	}
	holders_finish(&holders);

	close(fd);
	close(second);
	assert_int_equal(holders_init(&holders, "/proc", nodes, 2), 0);
	assert_null(find(&holders, getpid()));
	holders_finish(&holders);
}

static void a_camtapd_is_known_by_its_socket(void **state)
{
	const dev_t node = number_of("/dev/null");
	struct holders holders;

	(void)state;
	make_process(100, "camtapd\n");
	make_link("100/fd/4", "socket:[4711]");
	make_link("100/fd/5", "socket:[4712]");
	make_link("100/fd/6", "/dev/zero");
	make_file("100/net/unix",
		"Num       RefCount Protocol Flags    Type St Inode Path\n"
		/* somebody else's, one that does not listen, one without a path, an abstract one */
		"0000000000000000: 00000002 00000000 00010000 0005 01  4710 "
		"/run/camtap/other/socket\n"
		"0000000000000000: 00000003 00000000 00000000 0005 03  4711 "
		"/run/camtap/wrong/socket\n"
		"0000000000000000: 00000003 00000000 00010000 0005 03  4712\n"
		"0000000000000000: 00000003 00000000 00010000 0005 03  4712 @abstract\n"
		"0000000000000000: 00000002 00000000 00010000 0005 01  4712 "
		"/run/camtap/fr\033nt/socket\n");
	make_process(101, "v4l2\033-ctl\n");
	assert_int_equal(holders_init(&holders, root, &node, 1), 0);
	assert_int_equal(holders.count, 2);
	assert_int_equal(holders.hidden, 0);
	assert_string_equal(find(&holders, 100)->program, "camtapd");
	assert_string_equal(find(&holders, 100)->socket, "/run/camtap/fr?nt/socket");
	assert_string_equal(find(&holders, 101)->program, "v4l2?-ctl");
	assert_string_equal(find(&holders, 101)->socket, "");
	holders_finish(&holders);
}

static void what_may_not_be_seen_is_counted(void **state)
{
	const dev_t node = number_of("/dev/null");
	struct holders holders;

	(void)state;
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0); /* root may see everything */
	holders_init(&holders, "/proc", &node, 1);
	if (geteuid() != getuid())
		assert_int_equal(seteuid(getuid()), 0);
	/* the first process, at least, which is root's */
	assert_true(holders.hidden > 0);
	holders_finish(&holders);
}

static void without_processes_there_are_none(void **state)
{
	const dev_t node = number_of("/dev/null");
	struct holders holders;

	(void)state;
	make_process(102, "");
	make_folder("103"); /* ended meanwhile */
	make_folder("self");
	assert_int_equal(holders_init(&holders, "/does/not/exist", &node, 1), 0);
	assert_int_equal(holders.count, 0);
	assert_int_equal(holders_init(&holders, root, &node, 0), 0);
	assert_int_equal(holders.count, 0);
	assert_int_equal(holders_init(&holders, root, &node, 1), 0);
	assert_int_equal(holders.count, 1);
	assert_int_equal(holders.hidden, 0);
	assert_string_equal(holders.entries[0].program, "?");
	holders_finish(&holders);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(this_process_is_found),
		TEST(a_camtapd_is_known_by_its_socket),
		TEST(what_may_not_be_seen_is_counted),
		TEST(without_processes_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
