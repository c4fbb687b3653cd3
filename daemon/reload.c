/* SPDX-License-Identifier: MIT */
#include "reload.h"

#include "log-messages.h"
#include "log.h"
#include "options.h"
#include "server.h"
#include "settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LIST_SIZE 512

/* Settings that have changed, for people: "rate = 30, size = 640x480". */
struct changes {
	char text[LIST_SIZE];
};

__attribute__((format(printf, 2, 3))) static void add(
	struct changes *changes, const char *format, ...)
{
	size_t length = strlen(changes->text);
	va_list arguments;

	if (length > 0 && length < LIST_SIZE - 3) {
		strcpy(changes->text + length, ", ");
		length += 2;
	}
	va_start(arguments, format);
	vsnprintf(changes->text + length, LIST_SIZE - length, format, arguments);
	va_end(arguments);
}

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_list(const struct control_list *a, const struct control_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->entries[i].name, b->entries[i].name) != 0 ||
			strcmp(a->entries[i].value, b->entries[i].value) != 0)
			return false;
	}
	return true;
}

static void change_settings(struct options *options, struct options *fresh, struct changes *applied,
	struct changes *left)
{
	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *setting = &settings[i];
		const char *said = setting_said(setting, fresh);

		if (setting->section == NULL || is_same(setting_said(setting, options), said))
			continue;
		add(setting->reload ? applied : left, "%s = %s", setting->key,
			said != NULL ? said : "");
		if (setting->reload)
			setting_swap(setting, options, fresh);
	}
}

static void change_controls(
	struct server *server, const struct options *fresh, struct changes *applied)
{
	struct options *options = server->options;
	struct control_list copy;

	if (is_same_list(&options->controls, &fresh->controls))
		return;
	if (control_list_copy(&fresh->controls, &copy) < 0 ||
		controls_configure(server->controls, &copy) < 0) {
		log_error("%s: controls: out of memory", options->name);
		return;
	}
	control_list_finish(&options->controls);
	options->controls = copy;
	add(applied, "[" SETTINGS_CONTROLS "]");
}

void reload(struct server *server)
{
	struct options *options = server->options, fresh;
	struct log_fields fields = {.camera = options->name, .message_id = LOG_RELOADED};
	struct changes applied = {""}, left = {""};
	char error[OPTIONS_ERROR_SIZE];

	if (options_read(&fresh, OPTIONS_DIRECTORY, options->argument_count, options->arguments,
		    error) < 0) {
		fields.message_id = LOG_RELOAD_FAILED;
		log_event(LOG_ERR, &fields,
			"%s (camtapd goes on with the configuration that it had)", error);
		return;
	}
	change_settings(options, &fresh, &applied, &left);
	change_controls(server, &fresh, &applied);
	options_finish(&fresh);
	pinned_set_limit(&server->pinned, options->memory_limit);
	camera_configure(server->camera, options);
	if (server_change_access(server, options) < 0)
		log_event(LOG_ERR, &fields, "access: out of memory");
	log_event(LOG_INFO, &fields, "configuration read anew: %s",
		*applied.text != '\0' ? applied.text : "nothing to change");
	if (*left.text != '\0')
		log_event(LOG_WARNING, &fields, "these need a restart: %s", left.text);
}
