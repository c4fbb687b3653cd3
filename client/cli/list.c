/* SPDX-License-Identifier: MIT */

/* camtap list: what is there to attach to. It connects to nothing: that would start the daemon of a
 * socket that systemd listens on. */

#include "camtap.h"
#include "command.h"
#include "devices.h"
#include "options.h"
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static const char usage[] =
	"usage: camtap list [OPTION...]\n\n"
	"Shows cameras that run or are started by their first reader, and devices\n"
	"that camtapd can capture from. Starts none.\n\n"
	"  --json  print one JSON object\n";

static void print_json(const struct camtap_list *list, const struct devices *devices)
{
	json_t *cameras = json_array(), *nodes = json_array(), *object;

	for (size_t i = 0; i < camtap_list_count(list); i++)
		json_array_append_new(
			cameras, json_pack("{s:s, s:s}", "name", camtap_list_name(list, i),
					 "socket", camtap_list_socket(list, i)));
	for (size_t i = 0; i < devices->count; i++) {
		const struct device *device = &devices->entries[i];

		json_array_append_new(
			nodes, json_pack("{s:s, s:s, s:s?}", "path", device->path, "name",
				       device->name, "stable_path", device->stable));
	}
	object = json_pack("{s:i, s:o, s:o}", "schema", 1, "cameras", cameras, "devices", nodes);
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
}

static int wider(int width, const char *text)
{
	int length = (int)strlen(text);

	return length > width ? length : width;
}

static void print_text(const struct camtap_list *list, const struct devices *devices)
{
	int width = 0;

	if (camtap_list_count(list) == 0)
		puts("no cameras: `camtapd --source DEVICE` makes one");
	else
		puts("cameras, running or startable:");
	for (size_t i = 0; i < camtap_list_count(list); i++)
		width = wider(width, camtap_list_name(list, i));
	for (size_t i = 0; i < camtap_list_count(list); i++)
		printf("  %-*s  %s\n", width, camtap_list_name(list, i),
			camtap_list_socket(list, i));

	if (devices->count == 0)
		puts("no devices that can capture");
	else
		puts("devices that can capture:");
	width = 0;
	for (size_t i = 0; i < devices->count; i++)
		width = wider(width, devices->entries[i].path);
	for (size_t i = 0; i < devices->count; i++) {
		const struct device *device = &devices->entries[i];

		printf("  %-*s  %s\n", width, device->path, device->name);
		if (device->stable)
			printf("  %-*s  %s\n", width, "", device->stable);
	}
}

int list_run(const struct invocation *invocation)
{
	struct camtap_list *list;
	struct devices devices;
	struct options options;
	int r;

	r = options_parse(invocation, OPTION_JSON, usage, &options);
	if (r != OPTIONS_RUN)
		return r == OPTIONS_DONE ? COMMAND_DONE : COMMAND_USAGE;
	r = camtap_list_new(&list);
	if (r < 0) {
		terminal_say(NULL, "list: cannot look for cameras: %s", strerror(-r));
		return COMMAND_FAILED;
	}
	r = devices_init(&devices, "/sys/class/video4linux", "/dev");
	if (r < 0) {
		terminal_say(NULL, "list: cannot look for devices: %s", strerror(-r));
		camtap_list_free(list);
		return COMMAND_FAILED;
	}
	if (options.json)
		print_json(list, &devices);
	else
		print_text(list, &devices);
	devices_finish(&devices);
	camtap_list_free(list);
	return COMMAND_DONE;
}
