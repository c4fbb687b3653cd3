/* SPDX-License-Identifier: MIT */

/* What `camtap list` prints for people. */

#include "format.h"
#include "list.h"
#include "paused.h"

#include <stdio.h>
#include <string.h>

static int wider(int width, const char *text)
{
	int length = (int)strlen(text);

	return length > width ? length : width;
}

static void print_camera(const char *name, const char *socket, int width)
{
	char text[PAUSED_TEXT_SIZE];
	const char *paused = paused_find(name, socket, text);

	printf("  %-*s  %s\n", width, name, socket);
	if (paused)
		printf("    %s\n", paused);
}

static void print_cameras(const struct camtap_list *list)
{
	int width = 0;

	if (camtap_list_count(list) == 0)
		puts("no cameras: `camtapd --source DEVICE` makes one");
	else
		puts("cameras, running or startable:");
	for (size_t i = 0; i < camtap_list_count(list); i++)
		width = wider(width, camtap_list_name(list, i));
	for (size_t i = 0; i < camtap_list_count(list); i++)
		print_camera(camtap_list_name(list, i), camtap_list_socket(list, i), width);
}

/* ---- formats ---- */

static void print_rates(const struct format_size *size)
{
	if (size->rate_range) {
		printf("%.6g to %.6g fps", format_rate_value(size->rates[0]),
			format_rate_value(size->rates[1]));
		return;
	}
	for (size_t i = 0; i < size->rate_count; i++)
		printf("%s%.6g", i > 0 ? ", " : "", format_rate_value(size->rates[i]));
	fputs(size->rate_count > 0 ? " fps" : "the driver sets the rate", stdout);
}

static void print_size(const struct format_size *size)
{
	char text[32];

	if (!size->range) {
		snprintf(text, sizeof(text), "%ux%u", size->width, size->height);
		printf("      %-9s  ", text);
		print_rates(size);
		putchar('\n');
		return;
	}
	printf("      %ux%u to %ux%u", size->width, size->height, size->width_most,
		size->height_most);
	if (size->width_step > 1 || size->height_step > 1)
		printf(" in steps of %ux%u", size->width_step, size->height_step);
	if (size->rate_count > 0) {
		printf("; %ux%u: ", size->rates_width, size->rates_height);
		print_rates(size);
	}
	putchar('\n');
}

static bool same_sizes(const struct format_offer *a, const struct format_offer *b)
{
	if (a->size_count != b->size_count)
		return false;
	for (size_t i = 0; i < a->size_count; i++)
		if (!format_size_equal(&a->sizes[i], &b->sizes[i]))
			return false;
	return true;
}

static void print_offer(const struct format_offer *offer)
{
	char name[FORMAT_TEXT_SIZE];

	format_print(offer->fourcc, name);
	printf("    %-7s  %s", name, offer->description);
	if (offer->pixel_format == 0)
		fputs(" (unknown to camtapd)", stdout);
	else if (offer->pixel_format != offer->fourcc) {
		format_print(offer->pixel_format, name);
		printf(" (as %s)", name);
	}
	puts(offer->emulated ? " (converted by libv4l2, if it is asked for)" : "");
}

/* Drivers mostly have the same sizes for many formats: they are printed once, below the last. */
static void print_formats(const struct formats *formats)
{
	char name[FORMAT_TEXT_SIZE];

	if (formats->fourcc != 0) {
		format_print(formats->fourcc, name);
		printf("    set to   %s %ux%u", name, formats->width, formats->height);
		if (formats->rate.denominator)
			printf(", %.6g fps", format_rate_value(formats->rate));
		putchar('\n');
	}
	for (size_t i = 0; i < formats->offer_count; i++) {
		const struct format_offer *offer = &formats->offers[i];

		print_offer(offer);
		if (i + 1 < formats->offer_count && same_sizes(offer, offer + 1))
			continue;
		for (size_t j = 0; j < offer->size_count; j++)
			print_size(&offer->sizes[j]);
		if (offer->size_count == 0)
			puts("      the driver does not list sizes");
	}
}

/* ---- devices ---- */

static void print_holders(const struct listing *listing, const struct device *device)
{
	for (size_t i = 0; i < listing->holders.count; i++) {
		const struct holder *holder = &listing->holders.entries[i];
		const char *camera = list_find_camera(listing, holder->socket);

		if (holder->node != device->node)
			continue;
		printf("    in use by %s", holder->program);
		if (camera)
			printf(" (camera %s)", camera);
		else if (holder->socket[0])
			printf(" (socket %s)", holder->socket);
		printf(", pid %d\n", (int)holder->pid);
	}
}

/* What to write into the configuration is marked: the rest is there to be recognised. */
static void print_device(const struct listing *listing, size_t i)
{
	const struct device *device = &listing->devices.entries[i];
	const char *other = device->stable == device->by_id ? device->by_path : device->by_id;

	printf("  %s  %s\n", device->path, device->name);
	if (device->named)
		printf("    camera %s, by udev: camtapd@%s.service\n", list_camera_name(device),
			list_camera_name(device));
	if (device->stable)
		printf("    configure: source = %s\n", device->stable);
	else
		printf("    configure: source = %s (no other name: it may become another "
		       "device's)\n",
			device->path);
	if (device->twin && device->by_id)
		printf("    not this:  %s (%s has the same serial number: it may become that "
		       "one's)\n",
			device->by_id, device->twin);
	else if (device->twin)
		printf("    %s has the same serial number: a name by-id means either\n",
			device->twin);
	else if (other)
		printf("    or by the port that it is plugged into: %s\n", other);
	print_holders(listing, device);
	if (listing->entries[i].asked)
		print_formats(&listing->entries[i].formats);
}

static size_t count_shown(const struct listing *listing)
{
	size_t count = 0;

	for (size_t i = 0; i < listing->devices.count; i++)
		count += listing->entries[i].shown;
	return count;
}

static void print_devices(const struct listing *listing)
{
	if (count_shown(listing) == 0) {
		puts("no devices that can capture");
		return;
	}
	puts("devices that can capture:");
	for (size_t i = 0; i < listing->devices.count; i++)
		if (listing->entries[i].shown)
			print_device(listing, i);
}

static bool same_parent(const struct device *a, const struct device *b)
{
	return a->kind == b->kind && a->parent && b->parent && strcmp(a->parent, b->parent) == 0;
}

/* A line for each device with nodes that work only after its media controller was set up: here
 * somebody looks for a camera that is not above. */
static void print_controllers(const struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		const struct device *first = &devices->entries[i], *last = first;

		if (first->kind != DEVICE_MEDIA_CONTROLLER)
			continue;
		for (; i + 1 < devices->count && same_parent(first, last + 1); i++)
			last++;
		printf("%s%s%s (%s) belong%s to a media controller that somebody must set up for "
		       "every picture: use libcamera, with `camtapd --source '%s'`\n",
			first->path, last == first ? "" : " to ", last == first ? "" : last->path,
			first->name, last == first ? "s" : "", LIST_LIBCAMERA_SOURCE);
	}
}

void list_print_text(const struct listing *listing)
{
	if (!listing->named)
		print_cameras(listing->cameras);
	print_devices(listing);
	if (!listing->named)
		print_controllers(&listing->devices);
	if (listing->holders.hidden > 0)
		printf("%u processes of other users could not be looked at: root sees whether "
		       "they use a device\n",
			listing->holders.hidden);
}
