/* SPDX-License-Identifier: MIT */

/* Names of cameras that udev has found, in a tree of plain files that looks like /sys. Real nodes
 * and a real udev are in tests/vm. */

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

#include "camera-name.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static char root[64], sysfs[128], claims[128];

static int set_up(void **state)
{
	char path[128];

	(void)state;
	strcpy(root, "/tmp/test-camera-name-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(sysfs, sizeof sysfs, "%s/class", root);
	snprintf(claims, sizeof claims, "%s/claims", root);
	snprintf(path, sizeof path, "%s/usb", root);
	return mkdir(sysfs, 0700) < 0 || mkdir(path, 0700) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", root);
	return system(command);
}

/* ---- the tree ---- */

static void path_in(char path[static 256], const char *below)
{
	snprintf(path, 256, "%s/%s", root, below);
}

static void make_folder(const char *below)
{
	char path[256];

	path_in(path, below);
	if (mkdir(path, 0700) < 0)
		assert_int_equal(errno, EEXIST);
}

static void make_attribute(const char *folder, const char *attribute, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s/%s", root, folder, attribute);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%s\n", text);
	assert_int_equal(fclose(file), 0);
}

/* A USB device in a port; NULL is no attribute. */
static void make_device(
	const char *port, const char *manufacturer, const char *product, const char *serial)
{
	char folder[64];

	snprintf(folder, sizeof folder, "usb/%s", port);
	make_folder(folder);
	make_attribute(folder, "idVendor", "046d");
	make_attribute(folder, "idProduct", "0825");
	if (manufacturer != NULL)
		make_attribute(folder, "manufacturer", manufacturer);
	if (product != NULL)
		make_attribute(folder, "product", product);
	if (serial != NULL)
		make_attribute(folder, "serial", serial);
}

/* A node of an interface of that device. */
static void make_node(const char *node, const char *port, const char *interface, const char *index)
{
	char folder[128], path[512], target[256];

	snprintf(folder, sizeof folder, "usb/%s/if%s", port, interface);
	make_folder(folder);
	make_attribute(folder, "bInterfaceNumber", interface);
	snprintf(folder, sizeof folder, "class/%s", node);
	make_folder(folder);
	make_attribute(folder, "index", index);
	snprintf(path, sizeof path, "%s/%s/device", sysfs, node);
	snprintf(target, sizeof target, "../../usb/%s/if%s", port, interface);
	assert_int_equal(symlink(target, path), 0);
}

/* ---- names ---- */

static void names_are_those_of_the_links(void **state)
{
	static const struct {
		struct camera_facts facts;
		const char *by_id, *by_path;
	} cases[] = {
		{{"usb", "Acme_Eye_1234", "pci-0000:00:14.0-usb-0:1:1.0", 0, 0},
			"usb-Acme_Eye_1234", "pci-0000_00_14.0-usb-0_1_1.0"},
		{{"usb", "Acme_Eye_1234", "pci-0000:00:14.0-usb-0:1:1.2", 2, 1},
			"usb-Acme_Eye_1234-if02-index1", "pci-0000_00_14.0-usb-0_1_1.2-index1"},
		{{"usb", "Acme+Eye:\303\251/..", NULL, 0, 0}, "usb-Acme_Eye____..", NULL},
		{{NULL, NULL, "platform-vivid.0", 0, 0}, NULL, "platform-vivid.0"},
		{{NULL, "1234", "platform-vivid.0", 0, 3}, NULL, "platform-vivid.0-index3"},
		{{NULL, NULL, NULL, 0, 0}, NULL, NULL},
		{{"", "", "", 0, 0}, NULL, NULL},
	};
	char name[CAMERA_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		int r = camera_name_by_id(&cases[i].facts, name);

		assert_int_equal(r, cases[i].by_id != NULL ? 0 : -ENOENT);
		if (r == 0)
			assert_string_equal(name, cases[i].by_id);
		r = camera_name_by_path(&cases[i].facts, name);
		assert_int_equal(r, cases[i].by_path != NULL ? 0 : -ENOENT);
		if (r == 0)
			assert_string_equal(name, cases[i].by_path);
	}
}

/* What differs behind the longest name still makes two names. */
static void long_names_stay_different(void **state)
{
	char serial[ADDRESS_NAME_MAX + 2], first[CAMERA_NAME_SIZE], second[CAMERA_NAME_SIZE];
	struct camera_facts facts = {.bus = "usb", .serial = serial};

	(void)state;
	memset(serial, 'x', sizeof serial);
	serial[ADDRESS_NAME_MAX - 4] = '\0'; /* with "usb-": as long as a name may be */
	assert_int_equal(camera_name_by_id(&facts, first), 0);
	assert_int_equal(strlen(first), ADDRESS_NAME_MAX);
	assert_string_equal(first + 4, serial);

	memset(serial, 'x', sizeof serial);
	serial[sizeof serial - 1] = '\0';
	assert_int_equal(camera_name_by_id(&facts, first), 0);
	serial[sizeof serial - 2] = 'y';
	assert_int_equal(camera_name_by_id(&facts, second), 0);
	assert_int_equal(strlen(first), ADDRESS_NAME_MAX);
	assert_true(address_name_valid(first));
	assert_string_not_equal(first, second);
	assert_memory_equal(first, second, ADDRESS_NAME_MAX - 9);
	facts.index = 1;
	assert_int_equal(camera_name_by_id(&facts, first), 0);
	assert_string_not_equal(first, second);
}

/* ---- twins ---- */

static void twins_are_found_by_what_their_id_is_made_of(void **state)
{
	(void)state;
	make_device("1-1", "Acme", "Eye", "1234");
	make_node("video0", "1-1", "00", "0");
	make_node("video1", "1-1", "00", "1"); /* metadata */
	make_device("1-2", "Acme", "Eye", "1235");
	make_node("video2", "1-2", "00", "0");
	make_device("1-3", "Acme", "Eye", NULL);
	make_node("video3", "1-3", "00", "0");
	make_device("1-4", NULL, NULL, NULL);
	make_node("video4", "1-4", "00", "0");
	for (unsigned i = 0; i < 5; i++) {
		char node[16];

		snprintf(node, sizeof node, "video%u", i);
		assert_false(camera_has_twin(sysfs, node));
	}

	make_device("2-1", "Acme", "Eye", "1234");
	make_node("video10", "2-1", "00", "0");
	assert_true(camera_has_twin(sysfs, "video0"));
	assert_true(camera_has_twin(sysfs, "video10"));
	assert_false(camera_has_twin(sysfs, "video1"));
	assert_false(camera_has_twin(sysfs, "video2"));

	make_device("2-3", "Acme", "Eye", NULL);
	make_node("video13", "2-3", "00", "0");
	make_device("2-4", NULL, NULL, NULL);
	make_node("video14", "2-4", "00", "0");
	assert_true(camera_has_twin(sysfs, "video3"));
	assert_true(camera_has_twin(sysfs, "video4"));

	/* other numbers than idVendor and idProduct only count where there is no text */
	make_attribute("usb/2-3", "idProduct", "0826");
	make_attribute("usb/2-4", "idProduct", "0826");
	assert_true(camera_has_twin(sysfs, "video3"));
	assert_false(camera_has_twin(sysfs, "video4"));
}

/* One device may be several cameras: the interface tells them apart, also in their names. */
static void cameras_of_one_device_are_no_twins(void **state)
{
	(void)state;
	make_device("1-1", "Acme", "Eye", "1234");
	make_node("video0", "1-1", "00", "0");
	make_node("video2", "1-1", "02", "0");
	assert_false(camera_has_twin(sysfs, "video0"));
	assert_false(camera_has_twin(sysfs, "video2"));
}

static void what_is_not_usb_has_no_twin(void **state)
{
	(void)state;
	make_folder("usb/vivid.0");
	make_node("video0", "vivid.0", "a", "0");
	make_folder("usb/vivid.1");
	make_node("video1", "vivid.1", "a", "0");
	assert_false(camera_has_twin(sysfs, "video0"));
	assert_false(camera_has_twin(sysfs, "video9"));
}

/* ---- claims ---- */

/* Plugs a camera into a port (a folder), and asks for the name; unplugged is rmdir(). */
static int claim(const char *port, bool twin)
{
	char path[256];

	make_folder(port);
	path_in(path, port);
	return camera_claim(claims, "usb-Eye", path, twin);
}

static void unplug(const char *port)
{
	char path[256];

	path_in(path, port);
	assert_int_equal(rmdir(path), 0);
}

static void a_camera_takes_its_name_to_another_port(void **state)
{
	(void)state;
	assert_int_equal(claim("a", false), CAMERA_CLAIM_GRANTED);
	assert_int_equal(claim("a", false), CAMERA_CLAIM_GRANTED);
	unplug("a");
	assert_int_equal(claim("b", false), CAMERA_CLAIM_GRANTED);
	unplug("b");
	assert_int_equal(claim("a", false), CAMERA_CLAIM_GRANTED);
}

static void a_second_camera_leaves_the_first_its_name(void **state)
{
	(void)state;
	assert_int_equal(claim("a", false), CAMERA_CLAIM_GRANTED);
	assert_int_equal(claim("b", true), CAMERA_CLAIM_TAKEN);
	/* whatever is plugged in again, and in which order */
	assert_int_equal(claim("a", true), CAMERA_CLAIM_GRANTED);
	unplug("a");
	unplug("b");
	assert_int_equal(claim("b", false), CAMERA_CLAIM_TAKEN);
	assert_int_equal(claim("a", true), CAMERA_CLAIM_GRANTED);
	unplug("b");
	assert_int_equal(claim("c", true), CAMERA_CLAIM_TAKEN);
}

static void two_that_are_there_first_have_neither_the_name(void **state)
{
	(void)state;
	assert_int_equal(claim("a", true), CAMERA_CLAIM_TAKEN);
	assert_int_equal(claim("b", true), CAMERA_CLAIM_TAKEN);
	unplug("b");
	unplug("a");
	assert_int_equal(claim("a", false), CAMERA_CLAIM_TAKEN);
	assert_int_equal(claim("b", true), CAMERA_CLAIM_TAKEN);
}

/* Even if it is not recognised as a twin. */
static void a_name_in_use_is_not_given_twice(void **state)
{
	(void)state;
	assert_int_equal(claim("a", false), CAMERA_CLAIM_GRANTED);
	assert_int_equal(claim("b", false), CAMERA_CLAIM_TAKEN);
	unplug("a");
	assert_int_equal(claim("b", false), CAMERA_CLAIM_TAKEN);
}

static void claims_that_cannot_be_kept_are_an_error(void **state)
{
	char path[256];

	(void)state;
	make_folder("a");
	path_in(path, "a/none/claims");
	assert_int_equal(camera_claim(path, "usb-Eye", root, false), -ENOENT);
	make_attribute("a", "claims", "no folder");
	path_in(path, "a/claims");
	assert_int_equal(camera_claim(path, "usb-Eye", root, false), -ENOTDIR);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(names_are_those_of_the_links),
		TEST(long_names_stay_different),
		TEST(twins_are_found_by_what_their_id_is_made_of),
		TEST(cameras_of_one_device_are_no_twins),
		TEST(what_is_not_usb_has_no_twin),
		TEST(a_camera_takes_its_name_to_another_port),
		TEST(a_second_camera_leaves_the_first_its_name),
		TEST(two_that_are_there_first_have_neither_the_name),
		TEST(a_name_in_use_is_not_given_twice),
		TEST(claims_that_cannot_be_kept_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
