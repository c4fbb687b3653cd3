/* SPDX-License-Identifier: MIT */

/* camtap list: what is there to attach to, and to capture from. It connects to nothing: that would
 * start the daemon of a socket that systemd listens on. Nor does it open a device that it need not
 * (devices.h). */

#include "list.h"

#include "command.h"
#include "options.h"
#include "terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
	"usage: camtap list [OPTION...]\n"
	"       camtap list --formats [DEVICE...]\n\n"
	"Shows cameras that run or are started by their first reader, and devices\n"
	"that camtapd can capture from, with the path to configure and who uses\n"
	"them. Starts none.\n\n"
	"  --formats  pixel formats, sizes and rates of the devices, or of these;\n"
	"             opens them, which may switch a camera's light on\n"
	"  --json     print one JSON object\n";

const char *list_find_camera(const struct listing *listing, const char *socket)
{
	for (size_t i = 0; i < camtap_list_count(listing->cameras); i++)
		if (strcmp(camtap_list_socket(listing->cameras, i), socket) == 0)
			return camtap_list_name(listing->cameras, i);
	return NULL;
}

const char *list_camera_name(const struct device *device)
{
	return device->named ? strrchr(device->named, '/') + 1 : NULL;
}

static int find_device(const struct devices *devices, const char *path, size_t *ret_index)
{
	struct stat status;

	if (stat(path, &status) < 0) {
		int r = -errno;

		terminal_say(NULL, "list: %s: %s; `camtap list` shows what there is", path,
			strerror(-r));
		return r;
	}
	for (size_t i = 0; S_ISCHR(status.st_mode) && i < devices->count; i++) {
		if (devices->entries[i].node == status.st_rdev) {
			*ret_index = i;
			return 0;
		}
	}
	terminal_say(NULL, "list: %s is not a V4L2 device", path);
	return -ENOTTY;
}

/* Marks what was asked for. */
static int select_devices(struct listing *listing, const struct options *options)
{
	const struct devices *devices = &listing->devices;

	listing->named = options->word_count > 0;
	for (size_t i = 0; !listing->named && i < devices->count; i++)
		listing->entries[i].shown = devices->entries[i].kind == DEVICE_CAPTURE;
	for (int i = 0; i < options->word_count; i++) {
		size_t index = 0;
		int r = find_device(devices, options->words[i], &index);

		if (r < 0)
			return r;
		if (devices->entries[index].kind == DEVICE_MEDIA_CONTROLLER) {
			terminal_say(NULL,
				"list: %s belongs to a media controller that somebody must set up "
				"for every picture: use libcamera, with `camtapd --source '%s'`",
				options->words[i], LIST_LIBCAMERA_SOURCE);
			return -ENOTSUP;
		}
		if (devices->entries[index].kind != DEVICE_CAPTURE) {
			terminal_say(NULL, "list: %s does not capture pictures", options->words[i]);
			return -ENOTSUP;
		}
		listing->entries[index].shown = true;
	}
	return 0;
}

/* Those that cannot be asked are told; the others are shown. */
static int ask_formats(struct listing *listing)
{
	int result = 0;

	for (size_t i = 0; i < listing->devices.count; i++) {
		struct listing_entry *entry = &listing->entries[i];
		char error[FORMATS_ERROR_SIZE];
		int r;

		if (!entry->shown)
			continue;
		r = formats_init(&entry->formats, listing->devices.entries[i].path, error);
		if (r < 0) {
			terminal_say(NULL, "list: %s", error);
			result = r;
			continue;
		}
		entry->asked = true;
	}
	return result;
}

static int find_holders(struct listing *listing)
{
	const struct devices *devices = &listing->devices;
	dev_t *nodes = calloc(devices->count + 1, sizeof(*nodes));
	size_t count = 0;
	int r;

	if (!nodes)
		return -ENOMEM;
	for (size_t i = 0; i < devices->count; i++)
		if (listing->entries[i].shown && devices->entries[i].node != 0)
			nodes[count++] = devices->entries[i].node;
	r = holders_init(&listing->holders, "/proc", nodes, count);
	free(nodes);
	return r;
}

static int listing_init(struct listing *ret_listing)
{
	struct listing listing = {};
	int r;

	r = camtap_list_new(&listing.cameras);
	if (r < 0)
		return r;
	r = devices_init(&listing.devices, "/sys/class/video4linux", "/dev");
	if (r < 0)
		goto free_cameras;
	listing.entries = calloc(listing.devices.count + 1, sizeof(*listing.entries));
	if (!listing.entries) {
		r = -ENOMEM;
		goto finish_devices;
	}
	*ret_listing = listing;
	return 0;

finish_devices:
	devices_finish(&listing.devices);
free_cameras:
	camtap_list_free(listing.cameras);
	return r;
}

static void listing_finish(struct listing *listing)
{
	holders_finish(&listing->holders);
	for (size_t i = 0; i < listing->devices.count; i++)
		if (listing->entries[i].asked)
			formats_finish(&listing->entries[i].formats);
	free(listing->entries);
	devices_finish(&listing->devices);
	camtap_list_free(listing->cameras);
}

int list_run(const struct invocation *invocation)
{
	struct listing listing;
	struct options options;
	int status = COMMAND_FAILED, r;

	r = options_parse(invocation, OPTION_JSON | OPTION_FORMATS, usage, &options);
	if (r != OPTIONS_RUN)
		return r == OPTIONS_DONE ? COMMAND_DONE : COMMAND_USAGE;
	r = listing_init(&listing);
	if (r < 0) {
		terminal_say(NULL, "list: cannot look for cameras: %s", strerror(-r));
		return COMMAND_FAILED;
	}
	if (select_devices(&listing, &options) < 0)
		goto finish;
	/* before our own opening, which is no use of the device */
	r = find_holders(&listing);
	if (r < 0) {
		terminal_say(NULL, "list: cannot look for processes: %s", strerror(-r));
		goto finish;
	}
	status = COMMAND_DONE;
	if (options.formats && ask_formats(&listing) < 0)
		status = COMMAND_FAILED;
	if (options.json)
		list_print_json(&listing);
	else
		list_print_text(&listing);

finish:
	listing_finish(&listing);
	return status;
}
