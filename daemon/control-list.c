/* SPDX-License-Identifier: MIT */
#include "control-list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool control_name_valid(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < CONTROL_NAME_SIZE && name[0] != '_' &&
	       name[length - 1] != '_' && strstr(name, "__") == NULL &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static size_t index_of(const struct control_list *list, const char *name)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (strcmp(list->entries[i].name, name) == 0)
			break;
	return i;
}

static void entry_free(struct control_setting *entry)
{
	free(entry->name);
	free(entry->value);
}

int control_list_set(struct control_list *list, const char *name, const char *value)
{
	struct control_setting entry = {strdup(name), strdup(value)};
	struct control_setting *entries;

	entries = realloc(list->entries, (list->count + 1) * sizeof *entries);
	if (entries != NULL)
		list->entries = entries;
	if (entries == NULL || entry.name == NULL || entry.value == NULL) {
		entry_free(&entry);
		return -ENOMEM;
	}
	control_list_remove(list, name);
	list->entries[list->count++] = entry;
	return 0;
}

const char *control_list_find(const struct control_list *list, const char *name)
{
	size_t i = index_of(list, name);

	return i < list->count ? list->entries[i].value : NULL;
}

void control_list_remove(struct control_list *list, const char *name)
{
	size_t i = index_of(list, name);

	if (i == list->count)
		return;
	entry_free(&list->entries[i]);
	list->count--;
	memmove(&list->entries[i], &list->entries[i + 1],
		(list->count - i) * sizeof *list->entries);
}

int control_list_copy(const struct control_list *list, struct control_list *ret_copy)
{
	struct control_list copy = {0};

	for (size_t i = 0; i < list->count; i++) {
		int r = control_list_set(&copy, list->entries[i].name, list->entries[i].value);

		if (r < 0) {
			control_list_finish(&copy);
			return r;
		}
	}
	*ret_copy = copy;
	return 0;
}

void control_list_finish(struct control_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		entry_free(&list->entries[i]);
	free(list->entries);
	*list = (struct control_list){0};
}
