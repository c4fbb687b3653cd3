/* SPDX-License-Identifier: MIT */

/* Devices, from a tree of plain files that looks like /sys and /dev; what udev knows and what
 * nodes answer is made up here. What real ones say is tested in tests/vm. */

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
#include <linux/videodev2.h>
#include <sys/sysmacros.h>

#include "devices.h"
#include "node.h"
#include "udev.h"

static char root[64], sysfs[128], dev[128];

/* ---- udev's database, and the nodes ---- */

struct fake_node {
	const char *name;
	const char *udev_capabilities, *serial; /* NULL: udev does not know */
	uint32_t capabilities;                  /* 0: it may not be opened */
	unsigned opened;
};

static struct fake_node nodes[8];

static struct fake_node *find_node(const char *name)
{
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (nodes[i].name && strcmp(nodes[i].name, name) == 0)
			return &nodes[i];
	return NULL;
}

int udev_find(const char *name, struct udev_record *ret_record)
{
	const struct fake_node *node = find_node(name);

	*ret_record = (struct udev_record){};
	if (node && node->udev_capabilities)
		ret_record->capabilities = strdup(node->udev_capabilities);
	if (node && node->serial)
		ret_record->serial = strdup(node->serial);
	return 0;
}

void udev_record_finish(struct udev_record *record)
{
	free(record->capabilities);
	free(record->serial);
}

int node_ask_capabilities(const char *path, uint32_t *ret_capabilities)
{
	struct fake_node *node = find_node(strrchr(path, '/') + 1);

	if (!node)
		return -EACCES;
	node->opened++;
	if (node->capabilities == 0)
		return -EACCES;
	*ret_capabilities = node->capabilities;
	return 0;
}

static unsigned count_opened(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		count += nodes[i].opened;
	return count;
}

/* ---- the tree ---- */

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
	snprintf(below, sizeof(below), "sys/%s/dev", node);
	make_file(below, strcmp(node, "video2") == 0 ? "81:7\n" : "81:0\n");
	snprintf(below, sizeof(below), "dev/%s", node);
	make_file(below, "");
}

/* Makes a node a part of a device. */
static void make_parent(const char *node, const char *device)
{
	char below[128], target[128];

	snprintf(below, sizeof(below), "sys/%s/device", node);
	snprintf(target, sizeof(target), "../../%s", device);
	make_link(below, target);
}

static void make_folders(void)
{
	make_folder("sys");
	make_folder("dev");
	make_folder("dev/v4l");
	make_folder("dev/v4l/by-id");
	make_folder("dev/v4l/by-path");
	make_folder("dev/camtap");
}

/* Is `path` this path in the tree? */
static void assert_path(const char *path, const char *below)
{
	char expected[256];

	assert_non_null(path);
	snprintf(expected, sizeof(expected), "%s/%s", root, below);
	assert_string_equal(path, expected);
}

static int set_up(void **state)
{
	(void)state;
	memset(nodes, 0, sizeof(nodes));
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

	(void)state;
	make_folders();
	make_node("video10", "Rear\033[2J\302\233 Cam\303\251ra\355\240\200 \342\202\n", "0\n");
	make_node("video2", "HD Webcam\n", "0\n");
	make_node("video3", "HD Webcam\n", "1\n"); /* metadata */
	make_node("v4l-subdev0", "sensor\n", "0\n");
	make_node("vbi0", "tuner\n", "0\n");
	make_link("dev/v4l/by-id/usb-webcam-index0", "../../video2");
	make_link("dev/v4l/by-path/pci-1", "../../video2");
	make_link("dev/v4l/by-path/pci-2", "../../video10");
	make_link("dev/camtap/usb-webcam", "../video2");

	/* no node can be asked, so the index decides */
	assert_int_equal(devices_init(&devices, sysfs, dev), 0);
	assert_int_equal(devices.count, 3);
	assert_int_equal(devices.entries[0].kind, DEVICE_CAPTURE);
	assert_path(devices.entries[0].path, "dev/video2");
	assert_string_equal(devices.entries[0].name, "HD Webcam");
	assert_true(devices.entries[0].node == makedev(81, 7));
	assert_path(devices.entries[0].by_id, "dev/v4l/by-id/usb-webcam-index0");
	assert_path(devices.entries[0].by_path, "dev/v4l/by-path/pci-1");
	assert_ptr_equal(devices.entries[0].stable, devices.entries[0].by_id);
	assert_path(devices.entries[0].named, "dev/camtap/usb-webcam");
	assert_int_equal(devices.entries[1].kind, DEVICE_OTHER);
	assert_null(devices.entries[1].stable);
	assert_null(devices.entries[1].named);
	assert_int_equal(devices.entries[2].kind, DEVICE_CAPTURE);
	assert_path(devices.entries[2].path, "dev/video10");
	assert_string_equal(devices.entries[2].name, "Rear?[2J?? Cam\303\251ra??? ??");
	assert_null(devices.entries[2].by_id);
	assert_path(devices.entries[2].stable, "dev/v4l/by-path/pci-2");
	devices_finish(&devices);
}

static void what_udev_knows_is_not_opened(void **state)
{
	struct devices devices;

	(void)state;
	nodes[0] = (struct fake_node){"video0", .udev_capabilities = ":capture:"};
	nodes[1] = (struct fake_node){"video1", .udev_capabilities = ":"};
	nodes[2] = (struct fake_node){"video2", .udev_capabilities = ":video_output:"};
	make_folders();
	make_folder("usb");
	make_folder("csi");
	make_node("video0", "HD Webcam\n", "0\n");
	make_node("video1", "HD Webcam\n", "1\n");
	make_node("video2", "an output\n", "0\n");
	make_node("v4l-subdev0", "a sensor elsewhere\n", "0\n");
	make_parent("video0", "usb");
	make_parent("video1", "usb");
	make_parent("v4l-subdev0", "csi");
	assert_int_equal(devices_init(&devices, sysfs, dev), 0);
	assert_int_equal(devices.count, 3);
	assert_int_equal(devices.entries[0].kind, DEVICE_CAPTURE);
	assert_int_equal(devices.entries[1].kind, DEVICE_OTHER);
	assert_int_equal(devices.entries[2].kind, DEVICE_OTHER);
	assert_int_equal(count_opened(), 0);
	devices_finish(&devices);
}

static void what_udev_does_not_know_is_asked(void **state)
{
	struct devices devices;

	(void)state;
	nodes[0] = (struct fake_node){
		"video0", .capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING};
	nodes[1] = (struct fake_node){
		"video1", .capabilities = V4L2_CAP_META_CAPTURE | V4L2_CAP_STREAMING};
	nodes[2] = (struct fake_node){
		"video2", .capabilities = V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_STREAMING};
	nodes[3] = (struct fake_node){"video3", .capabilities = V4L2_CAP_VIDEO_CAPTURE};
	nodes[4] = (struct fake_node){
		"video4", .capabilities = V4L2_CAP_VIDEO_M2M_MPLANE | V4L2_CAP_STREAMING};
	make_folders();
	make_node("video0", "HD Webcam\n", "0\n");
	make_node("video1", "HD Webcam\n", "0\n"); /* the driver knows better than the index */
	make_node("video2", "on a chip\n", "1\n");
	make_node("video3", "read() only\n", "0\n");
	make_node("video4", "codec\n", "0\n");
	assert_int_equal(devices_init(&devices, sysfs, dev), 0);
	assert_int_equal(devices.count, 5);
	assert_int_equal(devices.entries[0].kind, DEVICE_CAPTURE);
	assert_int_equal(devices.entries[1].kind, DEVICE_OTHER);
	assert_int_equal(devices.entries[2].kind, DEVICE_CAPTURE);
	assert_int_equal(devices.entries[3].kind, DEVICE_OTHER);
	assert_int_equal(devices.entries[4].kind, DEVICE_OTHER);
	assert_int_equal(count_opened(), 5);
	devices_finish(&devices);
}

/* As on a Raspberry Pi 5: udev says of the nodes that they capture. */
static void a_media_controller_is_recognised(void **state)
{
	const uint32_t capture = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
	struct devices devices;

	(void)state;
	nodes[0] = (struct fake_node){"video0",
		.udev_capabilities = ":capture:", .capabilities = capture | V4L2_CAP_IO_MC};
	nodes[1] = (struct fake_node){"video1", .udev_capabilities = ":capture:"};
	nodes[2] = (struct fake_node){
		"video2", .udev_capabilities = ":capture:", .capabilities = capture};
	nodes[3] = (struct fake_node){"video3", .udev_capabilities = ":capture:"};
	make_folders();
	make_folder("csi");
	make_folder("unicam");
	make_folder("usb");
	for (unsigned i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "video%u", i);
		make_node(name, "rp1-cfe\n", "0\n");
		make_parent(name, i < 2 ? "csi" : i == 2 ? "unicam" : "usb");
	}
	make_node("v4l-subdev0", "sensor\n", "0\n");
	make_parent("v4l-subdev0", "csi");
	make_node("v4l-subdev1", "sensor\n", "0\n");
	make_parent("v4l-subdev1", "unicam");
	assert_int_equal(devices_init(&devices, sysfs, dev), 0);
	assert_int_equal(devices.entries[0].kind, DEVICE_MEDIA_CONTROLLER);
	assert_int_equal(devices.entries[1].kind, DEVICE_MEDIA_CONTROLLER); /* not to be opened */
	assert_string_equal(devices.entries[0].parent, devices.entries[1].parent);
	assert_int_equal(devices.entries[2].kind, DEVICE_CAPTURE);
	assert_int_equal(devices.entries[3].kind, DEVICE_CAPTURE);
	assert_int_equal(nodes[3].opened, 0);
	devices_finish(&devices);
}

/* The by-id link leads to whichever camera was plugged in first. */
static void cameras_of_the_same_serial_number_are_told_apart(void **state)
{
	struct devices devices;

	(void)state;
	nodes[0] = (struct fake_node){
		"video0", .udev_capabilities = ":capture:", .serial = "Acme_Eye_1234"};
	nodes[1] =
		(struct fake_node){"video1", .udev_capabilities = ":", .serial = "Acme_Eye_1234"};
	nodes[2] = (struct fake_node){
		"video2", .udev_capabilities = ":capture:", .serial = "Acme_Eye_1234"};
	nodes[3] = (struct fake_node){
		"video4", .udev_capabilities = ":capture:", .serial = "Acme_Eye_5678"};
	make_folders();
	make_node("video0", "Eye\n", "0\n");
	make_node("video1", "Eye\n", "1\n");
	make_node("video2", "Eye\n", "0\n");
	make_node("video4", "Eye\n", "0\n");
	make_link("dev/v4l/by-id/usb-Acme_Eye_1234-video-index0", "../../video0");
	make_link("dev/v4l/by-id/usb-Acme_Eye_5678-video-index0", "../../video4");
	make_link("dev/v4l/by-path/port-1", "../../video0");
	make_link("dev/v4l/by-path/port-2", "../../video2");
	make_link("dev/v4l/by-path/port-3", "../../video4");
	assert_int_equal(devices_init(&devices, sysfs, dev), 0);
	assert_int_equal(devices.count, 4);
	assert_path(devices.entries[0].stable, "dev/v4l/by-path/port-1");
	assert_non_null(devices.entries[0].by_id);
	assert_path(devices.entries[0].twin, "dev/video2");
	assert_null(devices.entries[1].twin);
	assert_path(devices.entries[2].stable, "dev/v4l/by-path/port-2");
	assert_null(devices.entries[2].by_id);
	assert_path(devices.entries[2].twin, "dev/video0");
	assert_path(devices.entries[3].stable, "dev/v4l/by-id/usb-Acme_Eye_5678-video-index0");
	assert_null(devices.entries[3].twin);
	assert_int_equal(count_opened(), 0);
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
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(devices_are_found),
		TEST(what_udev_knows_is_not_opened),
		TEST(what_udev_does_not_know_is_asked),
		TEST(a_media_controller_is_recognised),
		TEST(cameras_of_the_same_serial_number_are_told_apart),
		TEST(machine_without_v4l2_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
