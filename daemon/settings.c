/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include "address.h"
#include "format.h"
#include "options.h"
#include "parse.h"
#include "pool-layout.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NSEC_PER_MINUTE UINT64_C(60000000000)

static void *member(const struct setting *setting, struct options *options)
{
	return (char *)options + setting->offset;
}

static int set_string(const struct setting *setting, const char *text, struct options *options)
{
	char **value = member(setting, options);
	char *copy;

	if (*text == '\0')
		return -EINVAL;
	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	free(*value);
	*value = copy;
	return 0;
}

/* Names or ids, separated by blanks or commas; nothing is none. Whether there are such users and
 * groups, only the machine knows where it runs: access.h. */
static int set_list(const struct setting *setting, const char *text, struct options *options)
{
	char **value = member(setting, options);

	for (const char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return -EINVAL;
	if (text[strspn(text, " \t,")] != '\0')
		return set_string(setting, text, options);
	free(*value);
	*value = NULL;
	return 0;
}

static int set_name(const struct setting *setting, const char *text, struct options *options)
{
	return address_name_valid(text) ? set_string(setting, text, options) : -EINVAL;
}

static int set_socket(const struct setting *setting, const char *text, struct options *options)
{
	if (strlen(text) >= ADDRESS_PATH_SIZE)
		return -EINVAL;
	return set_string(setting, text, options);
}

static int set_boolean(const struct setting *setting, const char *text, struct options *options)
{
	return parse_boolean(text, member(setting, options));
}

static int set_number(const struct setting *setting, const char *text, struct options *options)
{
	uint64_t value;
	int r;

	r = parse_number(text, setting->min, setting->max, &value);
	if (r < 0)
		return r;
	*(uint32_t *)member(setting, options) = (uint32_t)value;
	return 0;
}

static int set_number_or_auto(
	const struct setting *setting, const char *text, struct options *options)
{
	if (strcmp(text, "auto") == 0) {
		*(uint32_t *)member(setting, options) = 0;
		return 0;
	}
	return set_number(setting, text, options);
}

static int set_bytes(const struct setting *setting, const char *text, struct options *options)
{
	uint64_t value;
	int r;

	r = parse_bytes(text, &value);
	if (r < 0)
		return r;
	if (value < setting->min || value > setting->max)
		return -ERANGE;
	*(uint64_t *)member(setting, options) = value;
	return 0;
}

static int set_timespan(const struct setting *setting, const char *text, struct options *options)
{
	uint64_t value;
	int r;

	r = parse_timespan(text, &value);
	if (r < 0)
		return r;
	if (value < setting->min || value > setting->max)
		return -ERANGE;
	*(uint64_t *)member(setting, options) = value;
	return 0;
}

static int set_pixel_format(
	const struct setting *setting, const char *text, struct options *options)
{
	return format_parse(text, member(setting, options));
}

static int set_size(const struct setting *setting, const char *text, struct options *options)
{
	(void)setting;
	return parse_dimensions(text, FORMAT_DIMENSION_MAX, &options->width, &options->height);
}

static int set_rate(const struct setting *setting, const char *text, struct options *options)
{
	uint32_t numerator, denominator;
	int r;

	(void)setting;
	r = parse_rate(text, &numerator, &denominator);
	if (r < 0)
		return r;
	options->rate_unpaced = numerator == 0;
	options->rate_numerator = numerator;
	options->rate_denominator = numerator == 0 ? 0 : denominator;
	return 0;
}

static int set_memory(const struct setting *setting, const char *text, struct options *options)
{
	static const char *const names[] = {
		[OPTIONS_MEMORY_AUTO] = "auto",
		[OPTIONS_MEMORY_USERPTR] = "userptr",
		[OPTIONS_MEMORY_COPY] = "copy",
		[OPTIONS_MEMORY_DMABUF] = "dmabuf",
		[OPTIONS_MEMORY_LIBV4L2] = "libv4l2",
	};

	(void)setting;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(text, names[i]) == 0) {
			options->memory = (enum options_memory)i;
			return 0;
		}
	return -EINVAL;
}

/* NAME=VALUE of a control. */
static int set_control(const struct setting *setting, const char *text, struct options *options)
{
	char name[CONTROL_NAME_SIZE];
	size_t length = strcspn(text, "=");

	(void)setting;
	if (text[length] != '=' || length >= sizeof name)
		return -EINVAL;
	memcpy(name, text, length);
	name[length] = '\0';
	return setting_control(name, text + length + 1, options);
}

int setting_control(const char *name, const char *value, struct options *options)
{
	if (!control_name_valid(name) || value[0] == '\0' || strlen(value) >= CONTROL_VALUE_SIZE)
		return -EINVAL;
	return control_list_set(&options->controls, name, value);
}

static int set_jpeg(const struct setting *setting, const char *text, struct options *options)
{
	(void)setting;
	if (strcmp(text, "strict") != 0 && strcmp(text, "lenient") != 0)
		return -EINVAL;
	options->jpeg_strict = text[0] == 's';
	return 0;
}

#define MEMBER(name)                                                                               \
	.offset = offsetof(struct options, name), .size = sizeof(((struct options *)0)->name)

/* In the order of the documents. The limits of numbers are spelt out in `allowed`; the tests hold
 * the two against each other. */
const struct setting settings[] = {
	{
		.key = "name",
		.argument = "NAME",
		.help = "Name of the camera; readers ask for it. Left out: made from the source: "
			"video0 for /dev/video0, pattern, stdin, exec, a file's name.",
		.allowed = "a camera's name: up to 64 letters, digits, '_', '.' and '-', the first "
			   "one a letter or a digit",
		.parse = set_name,
		MEMBER(name),
	},
	{
		.key = "config",
		.argument = "FILE",
		.help = "Read only this configuration. Otherwise these are read, the later ones "
			"win: /etc/camtap/camtapd.conf (all cameras), /etc/camtap/NAME.conf, "
			"/etc/camtap/NAME.conf.d/*.conf. Options win over all of them.",
	},
	{
		.key = "control",
		.argument = "NAME=VALUE",
		.help = "Set a control of the device, by v4l2-ctl's name: brightness=128. May be "
			"given several times; they are set in this order, behind those of section "
			"[Controls] of the configuration, whenever the device is opened.",
		.allowed = "NAME=VALUE with a control's name as v4l2-ctl lists it",
		.parse = set_control,
	},
	{
		.key = "check_config",
		.help = "Only say whether options and configuration are right.",
		.allowed = "yes or no",
		.parse = set_boolean,
		MEMBER(check_config),
	},
	{
		.key = "help",
		.help = "Print this text and end.",
	},
	{
		.key = "version",
		.help = "Print the version and end.",
	},

	{
		.section = "Camera",
		.key = "source",
		.argument = "URI",
		.help = "Where frames come from: a V4L2 device (/dev/video0, better one of "
			"/dev/v4l/by-id), pattern: (a moving test picture), file:PATH or - for "
			"standard input (Y4M, MJPEG, AVI, raw), exec:COMMAND (a command that "
			"writes such data). Left out: /dev/camtap/NAME, the camera that udev has "
			"given "
			"that name; else the device /dev/NAME.",
		.allowed = "a device, \"pattern:\", \"file:PATH\", \"-\" or \"exec:COMMAND\"",
		.example = "/dev/v4l/by-id/usb-Example_Camera-video-index0",
		.parse = set_string,
		MEMBER(source),
	},
	{
		.section = "Camera",
		.key = "socket",
		.argument = "PATH",
		.help = "Socket that readers connect to. Left out: /run/camtap/NAME/socket for a "
			"service, $XDG_RUNTIME_DIR/camtap/NAME/socket for a user.",
		.allowed = "a path of at most 107 bytes",
		.example = "/run/camtap/front/socket",
		.parse = set_socket,
		MEMBER(socket),
	},
	{
		.section = "Camera",
		.key = "pixel_format",
		.argument = "FOURCC",
		.help = "Pixel format (YUYV, NV12, MJPG, ...), exactly this one or none. Left out: "
			"the source's choice.",
		.allowed = "a pixel format that camtap knows, such as YUYV, NV12, GREY, BGR3 or "
			   "MJPG",
		.example = "MJPG",
		.parse = set_pixel_format,
		MEMBER(fourcc),
	},
	{
		.section = "Camera",
		.key = "size",
		.argument = "WxH",
		.help = "Width and height in pixels, exactly these or none. Left out: the source's "
			"choice.",
		.allowed = "WIDTHxHEIGHT in pixels, each from 1 to 16384",
		.example = "1280x720",
		.parse = set_size,
	},
	{
		.section = "Camera",
		.key = "rate",
		.argument = "FPS",
		.help = "Frames per second: 30, 29.97, 30000/1001; 0: as fast as it goes (pattern "
			"and recordings). Left out: the source's choice.",
		.allowed = "frames per second: 30, 29.97, 30000/1001, or 0 for as fast as it goes",
		.example = "30",
		.parse = set_rate,
	},
	{
		.section = "Camera",
		.key = "raw",
		.argument = "FOURCC:WxH[,stride=N][,rate=N]",
		.help = "What the frames of a raw recording are like: pixel format, pixels, bytes "
			"per line, frames per second.",
		.allowed = "FOURCC:WIDTHxHEIGHT[,stride=BYTES][,rate=FPS]",
		.example = "NV12:1280x720,rate=30",
		.parse = set_string,
		MEMBER(raw),
	},
	{
		.section = "Camera",
		.key = "loop",
		.help = "Play a recording again and again.",
		.allowed = "yes or no",
		.default_value = "no",
		.parse = set_boolean,
		MEMBER(loop),
	},
	{
		.section = "Camera",
		.key = "wait",
		.help = "Wait for a device that is missing at the start instead of ending with an "
			"error.",
		.allowed = "yes or no",
		.default_value = "no",
		.parse = set_boolean,
		MEMBER(wait),
	},
	{
		.section = "Camera",
		.key = "always_on",
		.help = "Let the camera run even while nobody reads.",
		.allowed = "yes or no",
		.default_value = "no",
		.parse = set_boolean,
		MEMBER(always_on),
		.reload = true,
	},
	{
		.section = "Camera",
		.key = "idle_timeout",
		.argument = "TIME",
		.help = "How long the camera goes on after the last reader has left: 250ms, 5s, "
			"1min 30s.",
		.allowed = "a time span such as 250ms, 5s or 1min 30s, at most 365d",
		.default_value = "5s",
		.parse = set_timespan,
		MEMBER(idle_timeout_ns),
		.max = 365 * 24 * 60 * NSEC_PER_MINUTE,
		.reload = true,
	},

	{
		.section = "Camera",
		.key = "stall_timeout",
		.argument = "TIME",
		.help = "A V4L2 device that delivers no frame for so long is started anew, and, if "
			"that does not help, opened anew; 0: never.",
		.allowed = "a time span such as 2s or 1min, at most 1h; 0 for never",
		.default_value = "2s",
		.parse = set_timespan,
		MEMBER(stall_timeout_ns),
		.max = 60 * NSEC_PER_MINUTE,
		.reload = true,
	},
	{
		.section = "Camera",
		.key = "jpeg",
		.argument = "lenient|strict",
		.help = "What derived streams make of JPEGs with oddities that change no pixel "
			"(bytes between segments, a missing end): frames (lenient), or bad "
			"frames, which are counted (strict).",
		.allowed = "lenient or strict",
		.default_value = "lenient",
		.parse = set_jpeg,
	},
	{
		.section = "Camera",
		.key = "publish_bad",
		.help = "Publish damaged frames, too, with a flag that says so. They are counted "
			"in any case.",
		.allowed = "yes or no",
		.default_value = "no",
		.parse = set_boolean,
		MEMBER(publish_bad),
		.reload = true,
	},
	{
		.section = "Camera",
		.key = "realtime",
		.argument = "PRIORITY",
		.help = "Real-time priority (SCHED_FIFO) of the thread that captures, for busy "
			"machines; 0: none. The service needs the example realtime.conf for it.",
		.allowed = "a priority from 1 to 99, or 0 for none",
		.default_value = "0",
		.parse = set_number,
		MEMBER(realtime),
		.max = 99,
	},

	{
		.section = "Pool",
		.key = "slots",
		.argument = "N|auto",
		.help = "Frames that the pool has room for. auto: as lease_min and the rate ask "
			"for, 8 to 32 and within 256 MiB.",
		.allowed = "auto, or a number from 3 to 64",
		.default_value = "auto",
		.parse = set_number_or_auto,
		MEMBER(slots),
		.min = POOL_SLOTS_MIN,
		.max = POOL_SLOTS_MAX,
	},
	{
		.section = "Pool",
		.key = "memory",
		.argument = "auto|userptr|copy|dmabuf|libv4l2",
		.help = "How a V4L2 device's frames get into the pool: written there by the driver "
			"(userptr), by one copy, or through libv4l2's conversion. auto: the first "
			"of these that works. dmabuf: they stay in the driver's buffers, which are "
			"shared as dma-bufs (weaker protection: camtapd(8)).",
		.allowed = "auto, userptr, copy, dmabuf or libv4l2",
		.default_value = "auto",
		.parse = set_memory,
	},
	{
		.section = "Pool",
		.key = "memory_limit",
		.argument = "SIZE",
		.help = "Most memory for all pools of this camera (256M, 1G), those that readers "
			"still hold after a change of format included.",
		.allowed = "a size in bytes such as 256M or 1G, from 1M to 1024G",
		.default_value = "1G",
		.parse = set_bytes,
		MEMBER(memory_limit),
		.min = UINT64_C(1) << 20,
		.max = UINT64_C(1) << 40,
		.reload = true,
	},
	{
		.section = "Pool",
		.key = "lossless",
		.help = "Make every reader lossless: the source waits for readers instead of going "
			"on without them. For recordings.",
		.allowed = "yes or no",
		.default_value = "no",
		.parse = set_boolean,
		MEMBER(lossless),
	},
	{
		.section = "Pool",
		.key = "wait_readers",
		.argument = "N",
		.help = "Start the source when this many readers are there. For recordings.",
		.allowed = "a number from 1 to 10000",
		.default_value = "1",
		.parse = set_number,
		MEMBER(wait_readers),
		.min = 1,
		.max = 10000,
	},

	{
		.section = "Clients",
		.key = "max_clients",
		.argument = "N",
		.help = "Most clients at a time.",
		.allowed = "a number from 1 to 10000",
		.default_value = "128",
		.parse = set_number,
		MEMBER(max_clients),
		.min = 1,
		.max = 10000,
	},
	{
		.section = "Clients",
		.key = "max_clients_per_uid",
		.argument = "N",
		.help = "Most clients of one user at a time.",
		.allowed = "a number from 1 to 10000",
		.default_value = "64",
		.parse = set_number,
		MEMBER(max_clients_per_uid),
		.min = 1,
		.max = 10000,
		.reload = true,
	},
	{
		.section = "Clients",
		.key = "max_streams",
		.argument = "N",
		.help = "Most derived streams at a time (formats and sizes other than the "
			"camera's). Each has a thread, and a pool that counts against "
			"memory_limit.",
		.allowed = "a number from 0 to 64; 0: only the camera's own format",
		.default_value = "8",
		.parse = set_number,
		MEMBER(max_streams),
		.max = 64,
	},
	{
		.section = "Clients",
		.key = "max_leases",
		.argument = "N",
		.help = "Most frames that a client may hold at a time.",
		.allowed = "a number from 1 to 63",
		.default_value = "4",
		.parse = set_number,
		MEMBER(max_leases),
		.min = 1,
		.max = POOL_SLOTS_MAX - 1,
	},
	{
		.section = "Clients",
		.key = "lease_min",
		.argument = "TIME",
		.help = "How long after it was published a frame is safe from being taken back "
			"from "
			"those who hold it, if the pool has slots enough for that.",
		.allowed = "a time span such as 250ms or 1s, at most 1min",
		.default_value = "250ms",
		.parse = set_timespan,
		MEMBER(lease_min_ns),
		.max = NSEC_PER_MINUTE,
	},

	{
		.section = "Access",
		.key = "users",
		.argument = "LIST",
		.help = "Users who may read frames, by name or number, separated by blanks or "
			"commas. Root, the daemon's own user and group camtap-admin always may. "
			"Left out, and groups as well: everyone who may open the socket.",
		.allowed = "names or numbers, separated by blanks or commas",
		.example = "alice, bob",
		.parse = set_list,
		MEMBER(users),
		.reload = true,
	},
	{
		.section = "Access",
		.key = "groups",
		.argument = "LIST",
		.help = "Groups whose members may read frames, likewise.",
		.allowed = "names or numbers, separated by blanks or commas",
		.example = "lab",
		.parse = set_list,
		MEMBER(groups),
		.reload = true,
	},
};
const size_t setting_count = sizeof settings / sizeof settings[0];

void setting_option_name(const struct setting *setting, char name[static SETTING_OPTION_SIZE])
{
	size_t i;

	for (i = 0; i < SETTING_OPTION_SIZE - 1 && setting->key[i] != '\0'; i++)
		name[i] = setting->key[i] == '_' ? '-' : setting->key[i];
	name[i] = '\0';
}

const struct setting *setting_find(const char *section, const char *key)
{
	for (size_t i = 0; i < setting_count; i++)
		if (settings[i].section != NULL && strcmp(settings[i].section, section) == 0 &&
			strcmp(settings[i].key, key) == 0)
			return &settings[i];
	return NULL;
}

int setting_apply(const struct setting *setting, const char *text, struct options *options)
{
	char **said = &options->said[setting - settings];
	char *copy = strdup(text);
	int r;

	if (copy == NULL)
		return -ENOMEM;
	r = setting->parse(setting, text, options);
	if (r < 0) {
		free(copy);
		return r;
	}
	free(*said);
	*said = copy;
	return r;
}

const char *setting_said(const struct setting *setting, const struct options *options)
{
	return options->said[setting - settings];
}

void setting_swap(const struct setting *setting, struct options *a, struct options *b)
{
	char *x = member(setting, a), *y = member(setting, b);
	char **said_a = &a->said[setting - settings], **said_b = &b->said[setting - settings];
	char *said = *said_a;

	for (size_t i = 0; i < setting->size; i++) {
		char byte = x[i];

		x[i] = y[i];
		y[i] = byte;
	}
	*said_a = *said_b;
	*said_b = said;
}

int settings_default(struct options *options)
{
	options->said = calloc(setting_count, sizeof *options->said);
	if (options->said == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *setting = &settings[i];
		int r;

		if (setting->default_value == NULL)
			continue;
		r = setting_apply(setting, setting->default_value, options);
		if (r < 0)
			return r;
	}
	return 0;
}
