/* SPDX-License-Identifier: MIT */

/* The controls of a V4L2 device that this file makes up, and lists of what is to be set. */

#include <errno.h>
#include <jansson.h>
#include <libv4l2.h>
#include <linux/videodev2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control-list.h"
#include "source-v4l2-controls.h"
#include "source-v4l2-device.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the device ---- */

struct fake_control {
	struct v4l2_query_ext_ctrl query;
	int64_t value;
	char text[16]; /* of a string */
};

enum {
	CLASS,
	BRIGHTNESS,
	SWITCH,
	MENU,
	BUTTON,
	INT64,
	STRING,
	BITMASK,
	INTMENU,
	READ_ONLY,
	GRABBED,
	INACTIVE,
	WRITE_ONLY,
	DISABLED,
	ARRAY,
	NAMELESS,
	CONTROLS,
};

static const struct fake_control pristine[CONTROLS] = {
	[CLASS] = {.query = {.type = V4L2_CTRL_TYPE_CTRL_CLASS, .name = "User Controls"}},
	[BRIGHTNESS] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER,
				.name = "Brightness",
				.minimum = -10,
				.maximum = 20,
				.step = 5,
				.default_value = 5,
				.flags = V4L2_CTRL_FLAG_SLIDER},
		.value = 10},
	[SWITCH] = {.query = {.type = V4L2_CTRL_TYPE_BOOLEAN, .name = "Auto, On", .maximum = 1},
		.value = 1},
	[MENU] = {.query = {.type = V4L2_CTRL_TYPE_MENU,
			  .name = "Menu",
			  .maximum = 3,
			  .default_value = 3},
		.value = 2},
	[BUTTON] = {.query = {.type = V4L2_CTRL_TYPE_BUTTON, .name = "Do It!"}},
	[INT64] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER64,
			   .name = "Wide",
			   .minimum = INT64_MIN,
			   .maximum = INT64_MAX,
			   .step = 1},
		.value = INT64_C(9007199254740993)},
	[STRING] = {.query = {.type = V4L2_CTRL_TYPE_STRING,
			    .name = "Text",
			    .minimum = 2,
			    .maximum = 6,
			    .step = 2,
			    .elem_size = 7},
		.text = "a\033b"},
	[BITMASK] = {.query = {.type = V4L2_CTRL_TYPE_BITMASK,
			     .name = "Bits",
			     .maximum = 0x80000003},
		.value = (int32_t)0x80000001},
	[INTMENU] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER_MENU, .name = "Link", .maximum = 3},
		.value = 1},
	[READ_ONLY] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER,
			       .name = "Temperature",
			       .maximum = 100,
			       .flags = V4L2_CTRL_FLAG_READ_ONLY},
		.value = 21},
	[GRABBED] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER,
			     .name = "Grabbed",
			     .maximum = 1,
			     .flags = V4L2_CTRL_FLAG_GRABBED}},
	[INACTIVE] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER,
			      .name = "Gain",
			      .maximum = 100,
			      .flags = V4L2_CTRL_FLAG_INACTIVE | V4L2_CTRL_FLAG_VOLATILE}},
	[WRITE_ONLY] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER,
				.name = "Pan, Relative",
				.minimum = -1,
				.maximum = 1,
				.flags = V4L2_CTRL_FLAG_WRITE_ONLY}},
	[DISABLED] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER,
			      .name = "Never",
			      .flags = V4L2_CTRL_FLAG_DISABLED}},
	[ARRAY] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER,
			   .name = "Matrix",
			   .nr_of_dims = 2,
			   .flags = V4L2_CTRL_FLAG_HAS_PAYLOAD}},
	[NAMELESS] = {.query = {.type = V4L2_CTRL_TYPE_INTEGER, .name = "\xc3\xa9", .maximum = 1}},
};

static struct fake_control controls[CONTROLS];
static int set_error; /* errno of VIDIOC_S_EXT_CTRLS */
static int sets;      /* of them that were right */

static uint32_t id_of(unsigned index)
{
	return 0x00980900 + index;
}

static struct fake_control *by_id(uint32_t id)
{
	return id >= id_of(0) && id < id_of(CONTROLS) ? &controls[id - id_of(0)] : NULL;
}

static int query(struct v4l2_query_ext_ctrl *query)
{
	uint32_t id = query->id & ~(V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND);
	unsigned next = id < id_of(0) ? 0 : id - id_of(0) + 1;

	assert_true(query->id & V4L2_CTRL_FLAG_NEXT_CTRL);
	assert_true(query->id & V4L2_CTRL_FLAG_NEXT_COMPOUND);
	if (next >= CONTROLS)
		return EINVAL;
	*query = controls[next].query;
	query->id = id_of(next);
	return 0;
}

/* Entry 1 is left out. */
static int query_menu(struct v4l2_querymenu *entry)
{
	struct fake_control *control = by_id(entry->id);

	if (entry->index == 1 || entry->index > 3)
		return EINVAL;
	if (control->query.type == V4L2_CTRL_TYPE_INTEGER_MENU)
		entry->value = entry->index * INT64_C(10000000000);
	else /* not terminated */
		memcpy(entry->name,
			entry->index == 3 ? "50 Hz\0---------------------------"
					  : "A text that fills its thirty-two",
			32);
	return 0;
}

static int exchange(struct v4l2_ext_controls *list, bool set)
{
	struct v4l2_ext_control *value = list->controls;
	struct fake_control *control = by_id(value->id);

	assert_int_equal(list->which, V4L2_CTRL_WHICH_CUR_VAL);
	assert_int_equal(list->count, 1);
	if (set && set_error != 0)
		return set_error;
	sets += set;
	if (control->query.type == V4L2_CTRL_TYPE_STRING) {
		if (!set && value->size < control->query.elem_size)
			return ENOSPC;
		if (set)
			snprintf(control->text, sizeof control->text, "%s", value->string);
		else
			strcpy(value->string, control->text);
	} else if (control->query.type == V4L2_CTRL_TYPE_INTEGER64) {
		if (set)
			control->value = value->value64;
		else
			value->value64 = control->value;
	} else if (set) {
		control->value = value->value;
	} else {
		value->value = (int32_t)control->value;
	}
	return 0;
}

/* Instead of libv4l2's. */
int v4l2_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	(void)fd;
	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	switch (request) {
	case VIDIOC_QUERY_EXT_CTRL:
		errno = query(argument);
		break;
	case VIDIOC_QUERYMENU:
		errno = query_menu(argument);
		break;
	case VIDIOC_G_EXT_CTRLS:
		errno = exchange(argument, false);
		break;
	case VIDIOC_S_EXT_CTRLS:
		errno = exchange(argument, true);
		break;
	default:
		errno = ENOTTY;
	}
	return errno == 0 ? 0 : -1;
}

static const struct v4l2_device device = {.path = "/dev/video7", .fd = 7};

static int setup(void **state)
{
	(void)state;
	memcpy(controls, pristine, sizeof controls);
	set_error = sets = 0;
	return 0;
}

/* ---- names ---- */

static void names_are_those_of_v4l2_ctl(void **state)
{
	static const struct {
		const char *description, *name;
	} cases[] = {
		{"Brightness", "brightness"},
		{"White Balance, Auto & Preset", "white_balance_auto_preset"},
		{"Exposure (Absolute)", "exposure_absolute"},
		{"LED1 Mode", "led1_mode"},
		{"  -x-  ", "x"},
		{"Caf\xc3\xa9 x", "caf_x"},
		{"!", ""},
		{"", ""},
	};
	char name[CONTROL_NAME_SIZE], *longest;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		v4l2_control_name(cases[i].description, name);
		assert_string_equal(name, cases[i].name);
		assert_true(name[0] == '\0' || control_name_valid(name));
	}
	longest = malloc(1000);
	for (int i = 0; i < 999; i++)
		longest[i] = "a."[i % 2];
	longest[999] = '\0';
	v4l2_control_name(longest, name);
	assert_true(strlen(name) < CONTROL_NAME_SIZE);
	assert_true(control_name_valid(name));
	free(longest);
}

static void wrong_names_are_known(void **state)
{
	static const char *const wrong[] = {"", "A", "a b", "_a", "a_", "a__b", "a-b", "\xc3\xa9",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(wrong); i++)
		assert_false(control_name_valid(wrong[i]));
}

static void a_list_keeps_the_order_of_the_last_word(void **state)
{
	struct control_list list = {0}, copy;

	(void)state;
	assert_int_equal(control_list_set(&list, "a", "1"), 0);
	assert_int_equal(control_list_set(&list, "b", "2"), 0);
	assert_int_equal(control_list_set(&list, "c", "3"), 0);
	assert_int_equal(control_list_set(&list, "a", "4"), 0);
	control_list_remove(&list, "c");
	control_list_remove(&list, "d");
	assert_int_equal(control_list_copy(&list, &copy), 0);
	control_list_finish(&list);
	assert_int_equal(list.count, 0);
	assert_int_equal(copy.count, 2);
	assert_string_equal(copy.entries[0].name, "b");
	assert_string_equal(copy.entries[1].name, "a");
	assert_string_equal(control_list_find(&copy, "a"), "4");
	assert_null(control_list_find(&copy, "c"));
	control_list_finish(&copy);
}

/* ---- the document ---- */

static json_t *document(void)
{
	char error[V4L2_CONTROLS_ERROR_SIZE], *text;
	json_t *json;

	assert_int_equal(v4l2_controls_document(&device, "front", &text, error), 0);
	json = json_loads(text, 0, NULL);
	assert_non_null(json);
	free(text);
	return json;
}

static void the_document_has_them_all(void **state)
{
	/* in jansson's words, sorted and compact */
	static const char *const expected[] = {
		"{\"class\":\"User "
		"Controls\",\"default\":5,\"description\":\"Brightness\",\"flags\""
		":[\"slider\"],\"id\":9963777,\"maximum\":20,\"minimum\":-10,\"name\":"
		"\"brightness\","
		"\"step\":5,\"type\":\"int\",\"value\":10}",
		"{\"class\":\"User Controls\",\"default\":false,\"description\":\"Auto, On\","
		"\"flags\":[],\"id\":9963778,\"name\":\"auto_on\",\"type\":\"bool\",\"value\":"
		"true}",
		"{\"class\":\"User Controls\",\"default\":3,\"description\":\"Menu\",\"flags\":[],"
		"\"id\":9963779,\"maximum\":3,\"menu\":[{\"index\":0,\"text\":\"A text that fills "
		"its "
		"thirty-tw\"},{\"index\":2,\"text\":\"A text that fills its "
		"thirty-tw\"},{\"index\":3,"
		"\"text\":\"50 Hz\"}],\"minimum\":0,\"name\":\"menu\",\"step\":0,\"type\":\"menu\","
		"\"value\":2}",
		"{\"class\":\"User Controls\",\"description\":\"Do "
		"It!\",\"flags\":[],\"id\":9963780,"
		"\"name\":\"do_it\",\"type\":\"button\",\"value\":null}",
		"{\"class\":\"User "
		"Controls\",\"default\":\"0\",\"description\":\"Wide\",\"flags\":[],"
		"\"id\":9963781,\"maximum\":\"9223372036854775807\",\"minimum\":"
		"\"-9223372036854775808\",\"name\":\"wide\",\"step\":\"1\",\"type\":\"int64\","
		"\"value\":\"9007199254740993\"}",
		"{\"class\":\"User Controls\",\"description\":\"Text\",\"flags\":[],\"id\":9963782,"
		"\"maximum\":6,\"minimum\":2,\"name\":\"text\",\"step\":2,\"type\":\"str\","
		"\"value\":\"a?b\"}",
		"{\"class\":\"User Controls\",\"default\":0,\"description\":\"Bits\",\"flags\":[],"
		"\"id\":9963783,\"maximum\":2147483651,\"minimum\":0,\"name\":\"bits\",\"step\":0,"
		"\"type\":\"bitmask\",\"value\":2147483649}",
		"{\"class\":\"User Controls\",\"default\":0,\"description\":\"Link\",\"flags\":[],"
		"\"id\":9963784,\"maximum\":3,\"menu\":[{\"index\":0,\"value\":\"0\"},{\"index\":2,"
		"\"value\":\"20000000000\"},{\"index\":3,\"value\":\"30000000000\"}],\"minimum\":0,"
		"\"name\":\"link\",\"step\":0,\"type\":\"intmenu\",\"value\":1}",
		"{\"class\":\"User "
		"Controls\",\"default\":0,\"description\":\"Temperature\",\"flags\""
		":[\"read-only\"],\"id\":9963785,\"maximum\":100,\"minimum\":0,\"name\":"
		"\"temperature\",\"step\":0,\"type\":\"int\",\"value\":21}",
		NULL, /* grabbed */
		"{\"class\":\"User Controls\",\"default\":0,\"description\":\"Gain\",\"flags\":["
		"\"inactive\",\"volatile\"],\"id\":9963787,\"maximum\":100,\"minimum\":0,\"name\":"
		"\"gain\",\"step\":0,\"type\":\"int\",\"value\":0}",
		"{\"class\":\"User Controls\",\"default\":0,\"description\":\"Pan, "
		"Relative\",\"flags\""
		":[\"write-only\"],\"id\":9963788,\"maximum\":1,\"minimum\":-1,\"name\":"
		"\"pan_relative\",\"step\":0,\"type\":\"int\",\"value\":null}",
		"{\"class\":\"User "
		"Controls\",\"description\":\"Matrix\",\"flags\":[\"has-payload\"],"
		"\"id\":9963790,\"name\":\"matrix\",\"type\":\"compound\",\"value\":null}",
		"{\"class\":\"User "
		"Controls\",\"default\":0,\"description\":\"\xc3\xa9\",\"flags\":[],"
		"\"id\":9963791,\"maximum\":1,\"minimum\":0,\"name\":\"control_0098090f\",\"step\":"
		"0,"
		"\"type\":\"int\",\"value\":0}",
	};
	json_t *json = document(), *list = json_object_get(json, "controls");

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(json, "schema")), 1);
	assert_string_equal(json_string_value(json_object_get(json, "camera")), "front");
	assert_int_equal(json_array_size(list), ELEMENTS(expected));
	for (size_t i = 0; i < ELEMENTS(expected); i++) {
		char *text = json_dumps(json_array_get(list, i), JSON_COMPACT | JSON_SORT_KEYS);

		if (expected[i] != NULL)
			assert_string_equal(text, expected[i]);
		free(text);
	}
	json_decref(json);
}

/* ---- setting ---- */

static void values_are_set(void **state)
{
	static const struct {
		const char *name, *value;
		unsigned index;
		int64_t expected;
	} cases[] = {
		{"brightness", "-10", BRIGHTNESS, -10},
		{"brightness", "20", BRIGHTNESS, 20},
		{"brightness", "0x5", BRIGHTNESS, 5},
		{"auto_on", "0", SWITCH, 0},
		{"auto_on", "1", SWITCH, 1},
		{"menu", "0", MENU, 0},
		{"menu", "50 hz", MENU, 3},
		{"wide", "-9223372036854775808", INT64, INT64_MIN},
		{"wide", "9223372036854775807", INT64, INT64_MAX},
		{"bits", "0x80000002", BITMASK, (int32_t)0x80000002},
		{"link", "3", INTMENU, 3},
		{"pan_relative", "-1", WRITE_ONLY, -1},
		{"do_it", "x", BUTTON, 0},
		{"control_0098090f", "1", NAMELESS, 1},
	};
	char error[V4L2_CONTROLS_ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		sets = 0;
		assert_int_equal(
			v4l2_controls_set(&device, cases[i].name, cases[i].value, error), 0);
		assert_int_equal(sets, 1);
		assert_int_equal(controls[cases[i].index].value, cases[i].expected);
	}
	assert_int_equal(v4l2_controls_set(&device, "text", "abcd", error), 0);
	assert_string_equal(controls[STRING].text, "abcd");
	assert_true(v4l2_controls_is_button(&device, "do_it"));
	assert_false(v4l2_controls_is_button(&device, "menu"));
	assert_false(v4l2_controls_is_button(&device, "nothing"));
}

static void what_cannot_be_set_is_explained(void **state)
{
	static const char choices[] = "link: 1 is none of its choices: 0 (0), 2 (20000000000), 3 "
				      "(30000000000)";
	static const struct {
		const char *name, *value;
		int result;
		const char *text;
	} cases[] = {
		{"brightness", "25", -ERANGE,
			"brightness: must be from -10 to 20 in steps of 5, not 25"},
		{"brightness", "-11", -ERANGE,
			"brightness: must be from -10 to 20 in steps of 5, not -11"},
		{"brightness", "7", -ERANGE,
			"brightness: must be from -10 to 20 in steps of 5, not 7"},
		{"brightness", "99999999999999999999", -ERANGE,
			"brightness: must be from -10 to 20 in steps of 5, not "
			"99999999999999999999"},
		{"brightness", "5 ", -EINVAL,
			"brightness: 5  is no number; it must be from -10 to 20 in steps of 5"},
		{"brightness", "+5", -EINVAL, NULL},
		{"brightness", " 5", -EINVAL, NULL},
		{"brightness", "--5", -EINVAL, NULL},
		{"brightness", "0x", -EINVAL, NULL},
		{"brightness", "", -EINVAL, NULL},
		{"wide", "9223372036854775808", -ERANGE, NULL},
		{"auto_on", "2", -EINVAL, "auto_on: must be 0 or 1, not 2"},
		{"auto_on", "00", -EINVAL, NULL},
		{"menu", "1", -EINVAL,
			"menu: 1 is none of its choices: 0 (A text that fills its thirty-tw), 2 (A "
			"text that fills its thirty-tw), 3 (50 Hz)"},
		{"menu", "4", -EINVAL, NULL},
		{"menu", "-1", -EINVAL, NULL},
		{"menu", "50", -EINVAL, NULL},
		{"menu", "50 Hz ", -EINVAL, NULL},
		{"link", "1", -EINVAL, choices},
		{"link", "20000000000", -EINVAL, NULL},
		{"bits", "4", -ERANGE, "bits: must be bits of 0x80000003, not 4"},
		{"bits", "-1", -ERANGE, NULL},
		{"bits", "0x180000003", -ERANGE, NULL},
		{"text", "a", -ERANGE,
			"text: must be a text of 2 to 6 bytes in steps of 2, not of 1"},
		{"text", "abc", -ERANGE, NULL},
		{"text", "abcdefgh", -ERANGE, NULL},
		{"temperature", "1", -EPERM, "temperature: can only be read"},
		{"grabbed", "1", -EBUSY, NULL},
		{"gain", "1", -EBUSY,
			"gain: has no effect now (inactive): switch off the automatic mode that "
			"decides it first"},
		{"matrix", "1", -EOPNOTSUPP,
			"matrix: its value is an array or a structure, which camtap does not set"},
		{"never", "0", -ENOENT, NULL},
		{"user_controls", "0", -ENOENT, NULL},
		{"x", "0", -ENOENT,
			"x: no such control; there are brightness, auto_on, menu, do_it, wide, "
			"text, "
			"bits, link, temperature, grabbed, gain, pan_relative, matrix, "
			"control_0098090f"},
	};
	char error[V4L2_CONTROLS_ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		error[0] = '\0';
		assert_int_equal(v4l2_controls_set(&device, cases[i].name, cases[i].value, error),
			cases[i].result);
		if (cases[i].text != NULL)
			assert_string_equal(error, cases[i].text);
		assert_true(error[0] != '\0');
	}
	assert_int_equal(sets, 0);
}

static void what_the_driver_says_is_explained(void **state)
{
	static const struct {
		int error, result;
		const char *text;
	} cases[] = {
		{EBUSY, -EBUSY, "automatic mode"},
		{EACCES, -EBUSY, "automatic mode"},
		{ERANGE, -ERANGE, "does not take 5"},
		{EIO, -EIO, "the device refuses it"},
		{ENODEV, -ENODEV, "/dev/video7 has been unplugged"},
		{ENXIO, -ENODEV, "/dev/video7 has been unplugged"},
		{EPIPE, -EPIPE, "Broken pipe"},
	};
	char error[V4L2_CONTROLS_ERROR_SIZE];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		set_error = cases[i].error;
		assert_int_equal(
			v4l2_controls_set(&device, "brightness", "5", error), cases[i].result);
		assert_non_null(strstr(error, cases[i].text));
	}
}

/* Texts from outside are cut, not overrun. */
static void long_texts_are_cut(void **state)
{
	char value[CONTROL_VALUE_SIZE], error[V4L2_CONTROLS_ERROR_SIZE];

	(void)state;
	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (unsigned i = 0; i < CONTROLS; i++)
		memset(controls[i].query.name, 'y', sizeof controls[i].query.name);
	assert_int_equal(v4l2_controls_set(&device, value, value, error), -ENOENT);
	assert_true(strlen(error) < sizeof error);
	assert_string_equal(error + strlen(error) - 3, "...");
	json_decref(document());
	for (unsigned i = 0; i < CONTROLS; i++) {
		controls[i].query.name[0] = (char)('a' + i);
		controls[i].query.name[1] = '\0';
		error[0] = '\0';
	}
	assert_int_equal(v4l2_controls_set(&device, "d", value, error), -EINVAL);
	assert_int_equal(v4l2_controls_set(&device, "b", value, error), -EINVAL);
}

/* Limits that make no sense are a driver's, not ours. */
static void wild_menus_end(void **state)
{
	char error[V4L2_CONTROLS_ERROR_SIZE];

	(void)state;
	controls[MENU].query.minimum = INT64_MIN;
	controls[MENU].query.maximum = INT64_MAX;
	assert_int_equal(v4l2_controls_set(&device, "menu", "3", error), 0);
	controls[MENU].query.minimum = 5;
	controls[MENU].query.maximum = 4;
	assert_int_equal(v4l2_controls_set(&device, "menu", "5", error), -EINVAL);
	json_decref(document());
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_v4l2_ctl),
		cmocka_unit_test(wrong_names_are_known),
		cmocka_unit_test(a_list_keeps_the_order_of_the_last_word),
		cmocka_unit_test_setup(the_document_has_them_all, setup),
		cmocka_unit_test_setup(values_are_set, setup),
		cmocka_unit_test_setup(what_cannot_be_set_is_explained, setup),
		cmocka_unit_test_setup(what_the_driver_says_is_explained, setup),
		cmocka_unit_test_setup(long_texts_are_cut, setup),
		cmocka_unit_test_setup(wild_menus_end, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
