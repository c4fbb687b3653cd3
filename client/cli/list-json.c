/* SPDX-License-Identifier: MIT */

/* What `camtap list --json` prints: camtap(1) documents it. */

#include "format.h"
#include "list.h"
#include "paused.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *cameras_to_json(const struct camtap_list *list)
{
	json_t *cameras = json_array();

	for (size_t i = 0; i < camtap_list_count(list); i++) {
		const char *name = camtap_list_name(list, i), *socket = camtap_list_socket(list, i);
		char paused[PAUSED_TEXT_SIZE];

		json_array_append_new(
			cameras, json_pack("{s:s, s:s, s:s?}", "name", name, "socket", socket,
					 "paused", paused_find(name, socket, paused)));
	}
	return cameras;
}

static json_t *holders_to_json(const struct listing *listing, const struct device *device)
{
	json_t *holders = json_array();

	for (size_t i = 0; i < listing->holders.count; i++) {
		const struct holder *holder = &listing->holders.entries[i];

		if (holder->node != device->node)
			continue;
		json_array_append_new(
			holders, json_pack("{s:i, s:s, s:s?, s:s?}", "pid", (int)holder->pid,
					 "program", holder->program, "camera",
					 list_find_camera(listing, holder->socket), "socket",
					 holder->socket[0] ? holder->socket : NULL));
	}
	return holders;
}

static json_t *rate_to_json(struct format_rate rate)
{
	return json_pack("{s:I, s:I}", "numerator", (json_int_t)rate.numerator, "denominator",
		(json_int_t)rate.denominator);
}

static json_t *size_to_json(const struct format_size *size)
{
	json_t *rates = json_array(), *object;

	for (size_t i = 0; i < size->rate_count; i++)
		json_array_append_new(rates, rate_to_json(size->rates[i]));
	if (!size->range)
		return json_pack("{s:I, s:I, s:b, s:o}", "width", (json_int_t)size->width, "height",
			(json_int_t)size->height, "rate_range", size->rate_range, "rates", rates);
	object = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "min_width", (json_int_t)size->width,
		"max_width", (json_int_t)size->width_most, "step_width",
		(json_int_t)size->width_step, "min_height", (json_int_t)size->height, "max_height",
		(json_int_t)size->height_most, "step_height", (json_int_t)size->height_step);
	json_object_set_new(object, "rates_width", json_integer(size->rates_width));
	json_object_set_new(object, "rates_height", json_integer(size->rates_height));
	json_object_set_new(object, "rate_range", json_boolean(size->rate_range));
	json_object_set_new(object, "rates", rates);
	return object;
}

static json_t *formats_to_json(const struct formats *formats)
{
	json_t *array = json_array();

	for (size_t i = 0; i < formats->offer_count; i++) {
		const struct format_offer *offer = &formats->offers[i];
		json_t *sizes = json_array();
		char name[FORMAT_TEXT_SIZE], pixel_format[FORMAT_TEXT_SIZE];

		for (size_t j = 0; j < offer->size_count; j++)
			json_array_append_new(sizes, size_to_json(&offer->sizes[j]));
		format_print(offer->fourcc, name);
		format_print(offer->pixel_format, pixel_format);
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:s?, s:b, s:o}", "fourcc", name,
				       "description", offer->description, "pixel_format",
				       offer->pixel_format ? pixel_format : NULL, "emulated",
				       offer->emulated, "sizes", sizes));
	}
	return array;
}

static json_t *current_to_json(const struct formats *formats)
{
	char name[FORMAT_TEXT_SIZE];

	if (formats->fourcc == 0)
		return json_null();
	format_print(formats->fourcc, name);
	return json_pack("{s:s, s:I, s:I, s:o}", "fourcc", name, "width",
		(json_int_t)formats->width, "height", (json_int_t)formats->height, "rate",
		formats->rate.denominator ? rate_to_json(formats->rate) : json_null());
}

static json_t *device_to_json(const struct listing *listing, size_t i)
{
	const struct device *device = &listing->devices.entries[i];
	const struct listing_entry *entry = &listing->entries[i];
	json_t *object = json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:o}", "path",
		device->path, "name", device->name, "camera", list_camera_name(device),
		"stable_path", device->stable, "by_id", device->by_id, "by_path", device->by_path,
		"same_serial", device->twin, "holders", holders_to_json(listing, device));

	if (entry->asked) {
		json_object_set_new(
			object, "multiplanar", json_boolean(entry->formats.multiplanar));
		json_object_set_new(object, "current", current_to_json(&entry->formats));
		json_object_set_new(object, "formats", formats_to_json(&entry->formats));
	}
	return object;
}

/* One for each device that has such nodes. */
static json_t *controllers_to_json(const struct devices *devices)
{
	json_t *controllers = json_array();
	const char *parent = NULL;
	json_t *paths = NULL;

	for (size_t i = 0; i < devices->count; i++) {
		const struct device *device = &devices->entries[i];

		if (device->kind != DEVICE_MEDIA_CONTROLLER)
			continue;
		if (!paths || !parent || !device->parent || strcmp(parent, device->parent) != 0) {
			paths = json_array();
			json_array_append_new(controllers,
				json_pack("{s:s, s:o, s:s}", "name", device->name, "paths", paths,
					"source", LIST_LIBCAMERA_SOURCE));
		}
		json_array_append_new(paths, json_string(device->path));
		parent = device->parent;
	}
	return controllers;
}

void list_print_json(const struct listing *listing)
{
	json_t *nodes = json_array(), *object;

	for (size_t i = 0; i < listing->devices.count; i++)
		if (listing->entries[i].shown)
			json_array_append_new(nodes, device_to_json(listing, i));
	object = json_pack("{s:i, s:o, s:o, s:o, s:i}", "schema", 1, "cameras",
		cameras_to_json(listing->cameras), "devices", nodes, "media_controllers",
		controllers_to_json(&listing->devices), "hidden_processes",
		(int)listing->holders.hidden);
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
}
