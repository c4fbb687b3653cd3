/* SPDX-License-Identifier: MIT */

/* Waiting for a device, in a folder that is /dev here. */

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
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "device-watch.h"

static char root[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/test-device-watch-XXXXXX");
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", root);
	return system(command);
}

static void path_of(char path[static 128], const char *below)
{
	snprintf(path, 128, "%s/%s", root, below);
}

static void make_folder(const char *below)
{
	char path[128];

	path_of(path, below);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_file(const char *below)
{
	char path[128];
	int fd;

	path_of(path, below);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void make_link(const char *below, const char *target)
{
	char path[128];

	path_of(path, below);
	assert_int_equal(symlink(target, path), 0);
}

/* inotify tells what has happened before the call that did it returns. */
static bool has_come(const struct device_watch *watch)
{
	struct pollfd pollfd = {.fd = watch->fd, .events = POLLIN};

	return poll(&pollfd, 1, 0) == 1;
}

static void begin(struct device_watch *watch, const char *below)
{
	char path[128];

	path_of(path, below);
	device_watch_begin(watch, path);
	assert_true(watch->fd >= 0);
	assert_false(has_come(watch));
}

/* As for the first camera that udev names: there is not even the folder for its link. */
static void folders_that_do_not_exist_yet_are_waited_for(void **state)
{
	struct device_watch watch = DEVICE_WATCH_NONE;

	(void)state;
	begin(&watch, "camtap/front/link");
	make_folder("camtap");
	assert_true(has_come(&watch));
	begin(&watch, "camtap/front/link");
	make_folder("camtap/front");
	assert_true(has_come(&watch));
	begin(&watch, "camtap/front/link");
	make_file("video0");
	assert_true(has_come(&watch)); /* where a node may come that the link will lead to */
	begin(&watch, "camtap/front/link");
	make_link("camtap/front/link", "../../video0");
	assert_true(has_come(&watch));
	device_watch_end(&watch);
	assert_int_equal(watch.fd, -1);
	device_watch_end(&watch);
}

/* The link was there all the time, or is back before the node is. */
static void what_a_link_leads_to_is_waited_for(void **state)
{
	struct device_watch watch = DEVICE_WATCH_NONE;
	char path[128];

	(void)state;
	make_folder("camtap");
	make_folder("nodes");
	make_file("nodes/video0");
	make_link("camtap/front", "../nodes/video0");
	begin(&watch, "camtap/front");
	path_of(path, "nodes/video0");
	assert_int_equal(chmod(path, 0666), 0);
	assert_true(has_come(&watch));
	device_watch_end(&watch);
}

static void a_folder_that_went_and_came_is_waited_for(void **state)
{
	struct device_watch watch = DEVICE_WATCH_NONE;
	char path[128];

	(void)state;
	make_folder("camtap");
	begin(&watch, "camtap/front");
	path_of(path, "camtap");
	assert_int_equal(rmdir(path), 0);
	begin(&watch, "camtap/front");
	make_folder("camtap");
	assert_true(has_come(&watch));
	begin(&watch, "camtap/front");
	make_file("camtap/front");
	assert_true(has_come(&watch));
	device_watch_end(&watch);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(folders_that_do_not_exist_yet_are_waited_for),
		TEST(what_a_link_leads_to_is_waited_for),
		TEST(a_folder_that_went_and_came_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
