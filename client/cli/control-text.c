/* SPDX-License-Identifier: MIT */
#include "control-text.h"

#include "terminal.h"

#include <stdbool.h>
#include <string.h>

enum {
	TEXT_SIZE = 1024,
	NAME_WIDTH = 32,
};

/* Strings, numbers, and switches as 0 and 1. "" if there is none. */
static const char *to_text(const json_t *value, char text[TEXT_SIZE])
{
	text[0] = '\0';
	if (json_is_string(value))
		snprintf(text, TEXT_SIZE, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(text, TEXT_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		snprintf(text, TEXT_SIZE, "%d", json_is_true(value));
	return terminal_printable(text);
}

static const char *get(const json_t *control, const char *key, char text[TEXT_SIZE])
{
	return to_text(json_object_get(control, key), text);
}

static bool is_type(const json_t *control, const char *type)
{
	const char *text = json_string_value(json_object_get(control, "type"));

	return text && strcmp(text, type) == 0;
}

/* As number() of v4l2-ctl: masks are read in hexadecimal. */
static const char *get_number(const json_t *control, const char *key, char text[TEXT_SIZE])
{
	const json_t *value = json_object_get(control, key);

	get(control, key, text);
	if (is_type(control, "bitmask") && json_is_integer(value))
		snprintf(text, TEXT_SIZE, "0x%08llx",
			(unsigned long long)json_integer_value(value) & 0xffffffff);
	return text;
}

/* The text of the menu's entry that is chosen; "" if it is none. */
static const char *chosen(const json_t *control, char text[TEXT_SIZE])
{
	const json_t *value = json_object_get(control, "value"), *entry;
	size_t i;

	text[0] = '\0';
	json_array_foreach(json_object_get(control, "menu"), i, entry)
	{
		if (!json_is_integer(value) || json_integer_value(json_object_get(entry,
						       "index")) != json_integer_value(value))
			continue;
		get(entry, "text", text);
		return text[0] ? text : get(entry, "value", text);
	}
	return text;
}

static void print_value(FILE *stream, const json_t *control)
{
	char text[TEXT_SIZE];

	if (is_type(control, "str"))
		fprintf(stream, "'%s'", get(control, "value", text));
	else
		fputs(get_number(control, "value", text), stream);
	if (chosen(control, text)[0])
		fprintf(stream, " (%s)", text);
}

void control_text_print_value(FILE *stream, const json_t *control)
{
	char name[TEXT_SIZE];

	fprintf(stream, "%s: ", get(control, "name", name));
	print_value(stream, control);
	fputc('\n', stream);
}

static void print_menu(FILE *stream, const json_t *control)
{
	char index[TEXT_SIZE], text[TEXT_SIZE];
	const json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(control, "menu"), i, entry)
	{
		get(entry, "text", text);
		fprintf(stream, "      %s: %s\n", get(entry, "index", index),
			text[0] ? text : get(entry, "value", text));
	}
}

static void print_control(FILE *stream, const json_t *control)
{
	static const char *const keys[] = {"minimum", "maximum", "step", "default"};
	static const char *const titles[] = {"min", "max", "step", "default"};
	char text[TEXT_SIZE], name[TEXT_SIZE];
	const json_t *list = json_object_get(control, "flags"), *flag;
	int width;
	size_t i;

	get(control, "name", name);
	width = fprintf(stream, "  %s (%s)", name, get(control, "type", text));
	fprintf(stream, "%*s:", width < NAME_WIDTH ? NAME_WIDTH - width : 1, "");
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (get_number(control, keys[i], text)[0])
			fprintf(stream, " %s=%s", titles[i], text);
	}
	if (!json_is_null(json_object_get(control, "value"))) {
		fputs(" value=", stream);
		print_value(stream, control);
	}
	json_array_foreach(list, i, flag)
	{
		fprintf(stream, "%s%s", i == 0 ? " flags=" : ",", to_text(flag, text));
	}
	fputc('\n', stream);
	print_menu(stream, control);
}

void control_text_print_list(FILE *stream, const json_t *controls)
{
	char class[TEXT_SIZE], last[TEXT_SIZE] = "";
	const json_t *control;
	size_t i;

	json_array_foreach(controls, i, control)
	{
		get(control, "class", class);
		if (strcmp(class, last) != 0)
			fprintf(stream, "%s%s\n", i == 0 ? "" : "\n", class);
		strcpy(last, class);
		print_control(stream, control);
	}
}
