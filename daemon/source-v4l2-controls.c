/* SPDX-License-Identifier: MIT */
#include "source-v4l2-controls.h"

#include "message.h"
#include "source-v4l2-device.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* No camera has as many; a driver gone wild must end somewhere. */
#define CONTROLS_MAX     1024
#define MENU_ENTRIES_MAX 256
#define STRING_SIZE_MAX  4096 /* bytes */

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* A control as it is known while it is listed or set. */
struct control {
	struct v4l2_query_ext_ctrl query;
	char name[CONTROL_NAME_SIZE];
};

static const struct {
	uint32_t type;
	const char *name; /* v4l2-ctl's */
} types[] = {
	{V4L2_CTRL_TYPE_INTEGER, "int"},
	{V4L2_CTRL_TYPE_BOOLEAN, "bool"},
	{V4L2_CTRL_TYPE_MENU, "menu"},
	{V4L2_CTRL_TYPE_BUTTON, "button"},
	{V4L2_CTRL_TYPE_INTEGER64, "int64"},
	{V4L2_CTRL_TYPE_STRING, "str"},
	{V4L2_CTRL_TYPE_BITMASK, "bitmask"},
	{V4L2_CTRL_TYPE_INTEGER_MENU, "intmenu"},
};

static const struct {
	uint32_t flag;
	const char *name; /* v4l2-ctl's */
} flags[] = {
	{V4L2_CTRL_FLAG_GRABBED, "grabbed"},
	{V4L2_CTRL_FLAG_READ_ONLY, "read-only"},
	{V4L2_CTRL_FLAG_UPDATE, "update"},
	{V4L2_CTRL_FLAG_INACTIVE, "inactive"},
	{V4L2_CTRL_FLAG_SLIDER, "slider"},
	{V4L2_CTRL_FLAG_WRITE_ONLY, "write-only"},
	{V4L2_CTRL_FLAG_VOLATILE, "volatile"},
	{V4L2_CTRL_FLAG_HAS_PAYLOAD, "has-payload"},
	{V4L2_CTRL_FLAG_EXECUTE_ON_WRITE, "execute-on-write"},
	{V4L2_CTRL_FLAG_MODIFY_LAYOUT, "modify-layout"},
};

__attribute__((format(printf, 3, 4))) static int fail(
	char error[static V4L2_CONTROLS_ERROR_SIZE], int error_number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, V4L2_CONTROLS_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return error_number;
}

/* Appends ", ITEM", or "..." in the end if there is no room for more. */
static void append_item(char text[static V4L2_CONTROLS_ERROR_SIZE], bool first, const char *item)
{
	size_t length = strlen(text), room = V4L2_CONTROLS_ERROR_SIZE - length;

	if (length >= 3 && strcmp(text + length - 3, "...") == 0)
		return;
	if (strlen(item) + sizeof ", , ..." > room)
		snprintf(text + length, room, "%s...", first ? "" : ", ");
	else
		snprintf(text + length, room, "%s%s", first ? "" : ", ", item);
}

void v4l2_control_name(const char *description, char ret_name[static CONTROL_NAME_SIZE])
{
	size_t length = 0;
	bool gap = false;

	for (const char *c = description; *c != '\0'; c++) {
		if (!isascii(*c) || !isalnum((unsigned char)*c)) {
			gap = length > 0;
			continue;
		}
		if (length + 2 >= CONTROL_NAME_SIZE)
			break;
		if (gap)
			ret_name[length++] = '_';
		gap = false;
		ret_name[length++] = (char)tolower((unsigned char)*c);
	}
	ret_name[length] = '\0';
}

/* ---- asking the device ---- */

enum next_outcome {
	NEXT_CONTROL = 0,
	NEXT_END = 1,
};

/* The control behind `control`, which is all zero at the beginning. */
static int next_control(const struct v4l2_device *device, struct control *control)
{
	uint32_t id = control->query.id;
	int r;

	control->query = (struct v4l2_query_ext_ctrl){
		.id = id | V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND};
	r = v4l2_device_ioctl(device, VIDIOC_QUERY_EXT_CTRL, &control->query);
	if (r == -EINVAL || r == -ENOTTY || (r == 0 && control->query.id <= id))
		return NEXT_END;
	if (r < 0)
		return r;
	control->query.name[sizeof control->query.name - 1] = '\0';
	v4l2_control_name(control->query.name, control->name);
	if (control->name[0] == '\0') /* of no letter that v4l2-ctl knows */
		snprintf(control->name, sizeof control->name, "control_%08" PRIx32,
			control->query.id);
	return NEXT_CONTROL;
}

/* Is it a control, and none that is to be ignored? */
static bool is_listed(const struct control *control)
{
	return control->query.type != V4L2_CTRL_TYPE_CTRL_CLASS &&
	       !(control->query.flags & V4L2_CTRL_FLAG_DISABLED);
}

static bool has_menu(const struct control *control)
{
	return control->query.type == V4L2_CTRL_TYPE_MENU ||
	       control->query.type == V4L2_CTRL_TYPE_INTEGER_MENU;
}

/* Arrays, and types that are none of the simple ones. */
static bool is_compound(const struct control *control)
{
	bool simple = false;

	for (size_t i = 0; i < ELEMENTS(types); i++)
		simple |= types[i].type == control->query.type;
	return !simple || control->query.nr_of_dims > 0;
}

/* An entry of the menu. False: the driver leaves that number out. */
static bool menu_entry(const struct v4l2_device *device, const struct control *control,
	uint32_t index, struct v4l2_querymenu *ret_entry)
{
	struct v4l2_querymenu entry = {.id = control->query.id, .index = index};

	if (v4l2_device_ioctl(device, VIDIOC_QUERYMENU, &entry) < 0)
		return false;
	/* what else is in the union is not text */
	if (control->query.type == V4L2_CTRL_TYPE_MENU)
		entry.name[sizeof entry.name - 1] = '\0';
	*ret_entry = entry;
	return true;
}

/* The numbers that a menu's entries can have: [*ret_first, *ret_end). */
static void menu_range(const struct control *control, uint32_t *ret_first, uint32_t *ret_end)
{
	int64_t first = control->query.minimum, last = control->query.maximum;

	first = first < 0 || first > UINT32_MAX / 2 ? 0 : first;
	last = last < first ? first - 1 : last;
	last = last - first >= MENU_ENTRIES_MAX ? first + MENU_ENTRIES_MAX - 1 : last;
	*ret_first = (uint32_t)first;
	*ret_end = (uint32_t)(last + 1);
}

static int exchange(
	const struct v4l2_device *device, unsigned long request, struct v4l2_ext_control *control)
{
	struct v4l2_ext_controls controls = {
		.which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = control};

	return v4l2_device_ioctl(device, request, &controls);
}

/* ---- the document ---- */

static json_t *text_to_json(const char *text, size_t size)
{
	char *printable = malloc(size + 1);
	json_t *value;

	if (printable == NULL)
		return NULL;
	message_printable(printable, size + 1, text, size);
	value = json_string(printable);
	free(printable);
	return value;
}

/* 64-bit values are strings, because JSON's numbers are doubles to many readers. */
static json_t *number_to_json(uint32_t type, int64_t number)
{
	char text[24];

	if (type == V4L2_CTRL_TYPE_BOOLEAN)
		return json_boolean(number != 0);
	if (type == V4L2_CTRL_TYPE_BITMASK)
		return json_integer((uint32_t)number);
	if (type != V4L2_CTRL_TYPE_INTEGER64)
		return json_integer(number);
	snprintf(text, sizeof text, "%" PRId64, number);
	return json_string(text);
}

/* Null if it has none, or none that can be read. */
static json_t *value_to_json(const struct v4l2_device *device, const struct control *control)
{
	struct v4l2_ext_control value = {.id = control->query.id};
	char *text = NULL;
	json_t *json;

	if (is_compound(control) || control->query.type == V4L2_CTRL_TYPE_BUTTON ||
		control->query.flags & V4L2_CTRL_FLAG_WRITE_ONLY)
		return json_null();
	if (control->query.type == V4L2_CTRL_TYPE_STRING) {
		if (control->query.elem_size > STRING_SIZE_MAX)
			return json_null();
		value.size = control->query.elem_size;
		text = calloc(1, value.size + 1);
		if (text == NULL)
			return NULL;
		value.string = text;
	}
	if (exchange(device, VIDIOC_G_EXT_CTRLS, &value) < 0)
		json = json_null();
	else if (text != NULL)
		json = text_to_json(text, control->query.elem_size);
	else
		json = number_to_json(control->query.type,
			control->query.type == V4L2_CTRL_TYPE_INTEGER64 ? value.value64
									: value.value);
	free(text);
	return json;
}

static json_t *menu_to_json(const struct v4l2_device *device, const struct control *control)
{
	json_t *menu = json_array();
	struct v4l2_querymenu entry;
	uint32_t first, end;
	char text[24];

	menu_range(control, &first, &end);
	for (uint32_t i = first; i < end; i++) {
		if (!menu_entry(device, control, i, &entry))
			continue;
		if (control->query.type == V4L2_CTRL_TYPE_INTEGER_MENU) {
			snprintf(text, sizeof text, "%" PRId64, (int64_t)entry.value);
			json_array_append_new(menu,
				json_pack("{s:I, s:s}", "index", (json_int_t)i, "value", text));
		} else {
			json_array_append_new(menu,
				json_pack("{s:I, s:o}", "index", (json_int_t)i, "text",
					text_to_json((const char *)entry.name, sizeof entry.name)));
		}
	}
	return menu;
}

static const char *type_name(const struct control *control)
{
	for (size_t i = 0; i < ELEMENTS(types); i++)
		if (types[i].type == control->query.type && !is_compound(control))
			return types[i].name;
	return "compound";
}

static json_t *control_to_json(
	const struct v4l2_device *device, const struct control *control, const char *class)
{
	const struct v4l2_query_ext_ctrl *query = &control->query;
	json_t *list = json_array(), *object;

	for (size_t i = 0; i < ELEMENTS(flags); i++)
		if (query->flags & flags[i].flag)
			json_array_append_new(list, json_string(flags[i].name));
	object = json_pack("{s:s, s:o, s:o, s:I, s:s, s:o, s:o}", "name", control->name,
		"description", text_to_json(query->name, sizeof query->name), "class",
		text_to_json(class, strlen(class)), "id", (json_int_t)query->id, "type",
		type_name(control), "flags", list, "value", value_to_json(device, control));
	if (object == NULL || is_compound(control) || query->type == V4L2_CTRL_TYPE_BUTTON)
		return object;
	if (query->type != V4L2_CTRL_TYPE_BOOLEAN) {
		/* of a string: bytes */
		json_object_set_new(object, "minimum", number_to_json(query->type, query->minimum));
		json_object_set_new(object, "maximum", number_to_json(query->type, query->maximum));
		json_object_set_new(
			object, "step", number_to_json(query->type, (int64_t)query->step));
	}
	if (query->type != V4L2_CTRL_TYPE_STRING)
		json_object_set_new(
			object, "default", number_to_json(query->type, query->default_value));
	if (has_menu(control))
		json_object_set_new(object, "menu", menu_to_json(device, control));
	return object;
}

int v4l2_controls_document(const struct v4l2_device *device, const char *camera,
	char **ret_document, char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	json_t *list = json_array(), *document;
	char class[sizeof((struct v4l2_query_ext_ctrl *)0)->name] = "";
	struct control control = {0};
	char *text = NULL;
	int r = NEXT_CONTROL;

	for (unsigned i = 0; i < CONTROLS_MAX && r == NEXT_CONTROL; i++) {
		r = next_control(device, &control);
		if (r != NEXT_CONTROL)
			break;
		if (control.query.type == V4L2_CTRL_TYPE_CTRL_CLASS)
			memcpy(class, control.query.name, sizeof class);
		else if (is_listed(&control))
			json_array_append_new(list, control_to_json(device, &control, class));
	}
	if (r < 0) {
		json_decref(list);
		return fail(error, r, "%s: its controls cannot be listed: %s", device->path,
			strerror(-r));
	}
	document = json_pack("{s:i, s:s, s:o}", "schema", 1, "camera", camera, "controls", list);
	if (document != NULL)
		text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	if (text == NULL)
		return fail(error, -ENOMEM, "out of memory");
	*ret_document = text;
	return 0;
}

/* ---- setting ---- */

/* A whole number, decimal or hexadecimal. */
static int parse_integer(const char *text, int64_t *ret_value)
{
	const char *digits = text + (*text == '-');
	bool hexadecimal = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	long long value;
	char *end;

	/* strtoll() would take blanks and more signs */
	if (hexadecimal ? !isxdigit((unsigned char)digits[2]) : !isdigit((unsigned char)*digits))
		return -EINVAL;
	errno = 0;
	value = strtoll(text, &end, hexadecimal ? 16 : 10);
	if (*end != '\0')
		return -EINVAL;
	if (errno != 0)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int fail_menu(const struct v4l2_device *device, const struct control *control,
	const char *value, char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	struct v4l2_querymenu entry;
	uint32_t first, end;
	bool none = true;

	fail(error, 0, "%s: %.80s is none of its choices: ", control->name, value);
	menu_range(control, &first, &end);
	for (uint32_t i = first; i < end; i++) {
		char item[64], text[sizeof entry.name + 1];

		if (!menu_entry(device, control, i, &entry))
			continue;
		if (control->query.type == V4L2_CTRL_TYPE_INTEGER_MENU)
			snprintf(text, sizeof text, "%" PRId64, (int64_t)entry.value);
		else
			message_printable(
				text, sizeof text, (const char *)entry.name, sizeof entry.name);
		snprintf(item, sizeof item, "%" PRIu32 " (%s)", i, text);
		append_item(error, none, item);
		none = false;
	}
	return -EINVAL;
}

/* The number of an entry, or its text. Entries of integer menus are chosen by their number only:
 * both are numbers. */
static int parse_menu(const struct v4l2_device *device, const struct control *control,
	const char *value, int64_t *ret_value, char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	struct v4l2_querymenu entry;
	uint32_t first, end;
	int64_t number;

	menu_range(control, &first, &end);
	if (parse_integer(value, &number) == 0) {
		if (number < first || number >= end ||
			!menu_entry(device, control, (uint32_t)number, &entry))
			return fail_menu(device, control, value, error);
		*ret_value = number;
		return 0;
	}
	if (control->query.type == V4L2_CTRL_TYPE_MENU) {
		for (uint32_t i = first; i < end; i++) {
			if (!menu_entry(device, control, i, &entry) ||
				strcasecmp((const char *)entry.name, value) != 0)
				continue;
			*ret_value = i;
			return 0;
		}
	}
	return fail_menu(device, control, value, error);
}

static int parse_range(const struct control *control, const char *value, int64_t *ret_value,
	char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	const struct v4l2_query_ext_ctrl *query = &control->query;
	char step[48] = "";
	int64_t number;
	int r;

	if (query->step > 1)
		snprintf(step, sizeof step, " in steps of %" PRIu64, (uint64_t)query->step);
	r = parse_integer(value, &number);
	if (r == -EINVAL)
		return fail(error, r,
			"%s: %.80s is no number; it must be from %" PRId64 " to %" PRId64 "%s",
			control->name, value, (int64_t)query->minimum, (int64_t)query->maximum,
			step);
	/* as unsigned: the distance may be larger than any signed number */
	if (r == -ERANGE || number < query->minimum || number > query->maximum ||
		(query->step > 1 &&
			((uint64_t)number - (uint64_t)query->minimum) % query->step != 0))
		return fail(error, -ERANGE,
			"%s: must be from %" PRId64 " to %" PRId64 "%s, not %.80s", control->name,
			(int64_t)query->minimum, (int64_t)query->maximum, step, value);
	*ret_value = number;
	return 0;
}

static int parse_bitmask(const struct control *control, const char *value, int64_t *ret_value,
	char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	uint32_t bits = (uint32_t)control->query.maximum;
	int64_t number;

	if (parse_integer(value, &number) < 0 || number < 0 || (number & ~(int64_t)bits) != 0)
		return fail(error, -ERANGE, "%s: must be bits of 0x%08" PRIx32 ", not %.80s",
			control->name, bits, value);
	*ret_value = number;
	return 0;
}

static int parse_switch(const struct control *control, const char *value, int64_t *ret_value,
	char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return fail(error, -EINVAL, "%s: must be 0 or 1, not %.80s", control->name, value);
	*ret_value = value[0] == '1';
	return 0;
}

static int check_string(const struct control *control, const char *value,
	char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	const struct v4l2_query_ext_ctrl *query = &control->query;
	int64_t length = (int64_t)strlen(value);
	char step[48] = "";

	if (query->step > 1)
		snprintf(step, sizeof step, " in steps of %" PRIu64, (uint64_t)query->step);
	if (length < query->minimum || length > query->maximum ||
		(query->step > 1 && (uint64_t)(length - query->minimum) % query->step != 0))
		return fail(error, -ERANGE,
			"%s: must be a text of %" PRId64 " to %" PRId64 " bytes%s, not of %" PRId64,
			control->name, (int64_t)query->minimum, (int64_t)query->maximum, step,
			length);
	return 0;
}

/* Can it be set at all, and now? */
static int check_settable(
	const struct control *control, char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	uint32_t set = control->query.flags;

	if (set & V4L2_CTRL_FLAG_READ_ONLY)
		return fail(error, -EPERM, "%s: can only be read", control->name);
	if (is_compound(control))
		return fail(error, -EOPNOTSUPP,
			"%s: its value is an array or a structure, which camtap does not set",
			control->name);
	if (set & V4L2_CTRL_FLAG_GRABBED)
		return fail(error, -EBUSY,
			"%s: cannot be changed now (grabbed): mostly not while the camera streams",
			control->name);
	if (set & V4L2_CTRL_FLAG_INACTIVE)
		return fail(error, -EBUSY,
			"%s: has no effect now (inactive): switch off the automatic mode that "
			"decides it first",
			control->name);
	return 0;
}

static int fail_driver(const struct v4l2_device *device, const struct control *control, int r,
	const char *value, char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	switch (r) {
	case -ENODEV:
	case -ENXIO:
		return fail(error, -ENODEV, "%s has been unplugged", device->path);
	case -ERANGE:
	case -EINVAL:
		return fail(error, r, "%s: the driver does not take %.80s", control->name, value);
	case -EACCES: /* which is about the caller's rights in the protocol */
	case -EBUSY:
		return fail(error, -EBUSY,
			"%s: the driver does not let it be set now; does an automatic mode decide "
			"it?",
			control->name);
	case -EIO:
		return fail(error, r,
			"%s: the device refuses it; does an automatic mode decide it, or is the "
			"camera broken?",
			control->name);
	default:
		return fail(error, r, "%s: cannot be set: %s", control->name, strerror(-r));
	}
}

static int set_value(const struct v4l2_device *device, const struct control *control,
	const char *value, char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	struct v4l2_ext_control setting = {.id = control->query.id};
	char text[CONTROL_VALUE_SIZE];
	int64_t number = 0;
	int r;

	switch (control->query.type) {
	case V4L2_CTRL_TYPE_MENU:
	case V4L2_CTRL_TYPE_INTEGER_MENU:
		r = parse_menu(device, control, value, &number, error);
		break;
	case V4L2_CTRL_TYPE_BOOLEAN:
		r = parse_switch(control, value, &number, error);
		break;
	case V4L2_CTRL_TYPE_BITMASK:
		r = parse_bitmask(control, value, &number, error);
		break;
	case V4L2_CTRL_TYPE_BUTTON:
		r = 0; /* whatever the value is, it is pressed */
		break;
	case V4L2_CTRL_TYPE_STRING:
		r = check_string(control, value, error);
		break;
	default:
		r = parse_range(control, value, &number, error);
		break;
	}
	if (r < 0)
		return r;
	if (control->query.type == V4L2_CTRL_TYPE_STRING) {
		snprintf(text, sizeof text, "%s", value);
		setting.string = text;
		setting.size = (uint32_t)strlen(text) + 1;
	} else if (control->query.type == V4L2_CTRL_TYPE_INTEGER64) {
		setting.value64 = number;
	} else {
		setting.value = (int32_t)number;
	}
	r = exchange(device, VIDIOC_S_EXT_CTRLS, &setting);
	return r < 0 ? fail_driver(device, control, r, value, error) : 0;
}

/* Finds a control by name: as next_control(). */
static int find_control(
	const struct v4l2_device *device, const char *name, struct control *ret_control)
{
	struct control control = {0};

	for (unsigned i = 0; i < CONTROLS_MAX; i++) {
		int r = next_control(device, &control);

		if (r != NEXT_CONTROL)
			return r;
		if (is_listed(&control) && strcmp(control.name, name) == 0) {
			*ret_control = control;
			return NEXT_CONTROL;
		}
	}
	return NEXT_END;
}

static int fail_unknown(const struct v4l2_device *device, const char *name,
	char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	struct control control = {0};
	bool none = true;

	fail(error, 0, "%.80s: no such control; there are ", name);
	for (unsigned i = 0; i < CONTROLS_MAX; i++) {
		if (next_control(device, &control) != NEXT_CONTROL)
			break;
		if (!is_listed(&control))
			continue;
		append_item(error, none, control.name);
		none = false;
	}
	if (none)
		fail(error, 0, "%.80s: no such control; the device has none at all", name);
	return -ENOENT;
}

int v4l2_controls_set(const struct v4l2_device *device, const char *name, const char *value,
	char error[static V4L2_CONTROLS_ERROR_SIZE])
{
	struct control control;
	int r;

	r = find_control(device, name, &control);
	if (r == NEXT_END)
		return fail_unknown(device, name, error);
	if (r < 0)
		return fail(error, r, "%s: its controls cannot be listed: %s", device->path,
			strerror(-r));
	r = check_settable(&control, error);
	return r < 0 ? r : set_value(device, &control, value, error);
}

bool v4l2_controls_is_button(const struct v4l2_device *device, const char *name)
{
	struct control control;

	return find_control(device, name, &control) == NEXT_CONTROL &&
	       control.query.type == V4L2_CTRL_TYPE_BUTTON;
}
