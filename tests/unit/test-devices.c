/* SPDX-License-Identifier: MIT */

/* Capture devices, from a tree of plain files that looks like /sys and /dev. What drivers answer is
 * tested in tests/vm; here no node can be asked, so the index decides. */

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

#include "devices.h"

static char root[64], sysfs[128], dev[128];

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

static void make_node(const char *node, const char *name, const char *index)
{
	char below[128];

	snprintf(below, sizeof(below), "sys/%s", node);
	make_folder(below);
	snprintf(below, sizeof(below), "sys/%s/name", node);
	make_file(below, name);
	snprintf(below, sizeof(below), "sys/%s/index", node);
	make_file(below, index);
	snprintf(below, sizeof(below), "dev/%s", node);
	make_file(below, "");
}

static int set_up(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/test-devices-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(sysfs, sizeof(sysfs), "%s/sys", root);
	snprintf(dev, sizeof(dev), "%s/dev", root);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void devices_are_found(void **state)
{
	struct devices devices;
	char path[256];

	(void)state;
	make_folder("sys");
	make_folder("dev");
	make_folder("dev/v4l");
	make_folder("dev/v4l/by-id");
	make_folder("dev/v4l/by-path");
	make_node("video10", "Rear\033[2J Camera\n", "0\n");
	make_node("video2", "HD Webcam\n", "0\n");
	make_node("video3", "HD Webcam\n", "1\n"); /* metadata */
	make_node("v4l-subdev0", "sensor\n", "0\n");
	make_node("vbi0", "tuner\n", "0\n");
	make_link("dev/v4l/by-id/usb-webcam-index0", "../../video2");
	make_link("dev/v4l/by-path/pci-1", "../../video2");
	make_link("dev/v4l/by-path/pci-2", "../../video10");

	assert_int_equal(devices_init(&devices, sysfs, dev), 0);
	assert_int_equal(devices.count, 2);
	snprintf(path, sizeof(path), "%s/video2", dev);
	assert_string_equal(devices.entries[0].path, path);
	assert_string_equal(devices.entries[0].name, "HD Webcam");
	snprintf(path, sizeof(path), "%s/v4l/by-id/usb-webcam-index0", dev);
	assert_string_equal(devices.entries[0].stable, path);
	snprintf(path, sizeof(path), "%s/video10", dev);
	assert_string_equal(devices.entries[1].path, path);
	assert_string_equal(devices.entries[1].name, "Rear?[2J Camera");
	snprintf(path, sizeof(path), "%s/v4l/by-path/pci-2", dev);
	assert_string_equal(devices.entries[1].stable, path);
	devices_finish(&devices);
}

static void machine_without_v4l2_has_none(void **state)
{
	struct devices devices;

	(void)state;
	assert_int_equal(devices_init(&devices, sysfs, dev), 0);
	assert_int_equal(devices.count, 0);
	devices_finish(&devices);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(devices_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(machine_without_v4l2_has_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
