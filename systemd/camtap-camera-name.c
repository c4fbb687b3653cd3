/* SPDX-License-Identifier: MIT */

/*
 * camtap-camera-name: prints the name of the camera at a node that udev is looking at, for
 * 90-camtap.rules. It fails if frames cannot be captured from the node, or if nothing but its
 * number could name it.
 *
 * udev gives it what the rules have found out until now, as environment: DEVNAME, DEVPATH, ID_BUS,
 * ID_SERIAL, ID_PATH, ID_USB_INTERFACE_NUM, and CAMTAP_NAME if a rule of the administrator's has
 * decided the name.
 */

#include "camera-name.h"
#include "device-kind.h"
#include "node.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSFS "/sys/class/video4linux"

static int fail(const char *subject, const char *why)
{
	fprintf(stderr, "camtap-camera-name: %s: %s\n", subject, why);
	return EXIT_FAILURE;
}

static unsigned read_index(const char *node)
{
	char path[PATH_MAX];
	unsigned index = 0;
	FILE *file;

	snprintf(path, sizeof path, SYSFS "/%s/index", node);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%u", &index) != 1)
		index = 0;
	fclose(file);
	return index;
}

/* By id if that is this camera's alone. */
static int choose_name(const char *node, char ret_name[static CAMERA_NAME_SIZE])
{
	const char *interface = getenv("ID_USB_INTERFACE_NUM");
	struct camera_facts facts = {
		.bus = getenv("ID_BUS"),
		.serial = getenv("ID_SERIAL"),
		.path = getenv("ID_PATH"),
		.interface = interface != NULL ? (unsigned)strtoul(interface, NULL, 16) : 0,
		.index = read_index(node),
	};
	char path[PATH_MAX], device[PATH_MAX], by_id[CAMERA_NAME_SIZE], by_path[CAMERA_NAME_SIZE];
	bool twin;
	int r;

	r = camera_name_by_path(&facts, by_path);
	if (r < 0 && r != -ENOENT)
		return r;
	if (camera_name_by_id(&facts, by_id) < 0) {
		if (r == 0)
			strcpy(ret_name, by_path);
		return r;
	}
	if (r == 0) {
		snprintf(path, sizeof path, SYSFS "/%s/device", node);
		if (realpath(path, device) == NULL)
			return -errno;
		twin = camera_has_twin(SYSFS, node);
		r = camera_claim(CAMERA_CLAIMS, by_id, device, twin);
		if (r < 0) { /* it works without */
			fail(CAMERA_CLAIMS, strerror(-r));
			r = twin ? CAMERA_CLAIM_TAKEN : CAMERA_CLAIM_GRANTED;
		}
	} else {
		r = CAMERA_CLAIM_GRANTED; /* there is no other name */
	}
	strcpy(ret_name, r == CAMERA_CLAIM_GRANTED ? by_id : by_path);
	return 0;
}

int main(void)
{
	const char *path = getenv("DEVNAME"), *node = getenv("DEVPATH");
	const char *given = getenv("CAMTAP_NAME");
	char name[CAMERA_NAME_SIZE];
	uint32_t capabilities;
	int r;

	if (path == NULL || node == NULL || strrchr(node, '/') == NULL)
		return fail("no device", "this is a program for udev's rules");
	node = strrchr(node, '/') + 1;
	r = node_ask_capabilities(path, &capabilities);
	if (r < 0)
		return fail(path, strerror(-r));
	if (device_kind_of(capabilities) != DEVICE_CAPTURE)
		return EXIT_FAILURE; /* no camera: as most nodes */
	if (given != NULL && given[0] != '\0') {
		if (!address_name_valid(given))
			return fail(given, "no name for a camera: CAMTAP_NAME must have 1 to 64 "
					   "letters, digits and characters of _.-, the first one a "
					   "letter or a digit");
		puts(given);
		return EXIT_SUCCESS;
	}
	r = choose_name(node, name);
	if (r < 0)
		return fail(path, r == -ENOENT ? "it has neither an id nor a port to be named after"
					       : strerror(-r));
	puts(name);
	return EXIT_SUCCESS;
}
