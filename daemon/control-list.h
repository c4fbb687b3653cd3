/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CONTROL_LIST_H
#define CAMTAP_DAEMON_CONTROL_LIST_H

/* Names and values of controls, in the order in which they are to be set. No threads of its own:
 * the owner sees to that. */

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_NAME_SIZE  72  /* bytes, with the NUL; WIRE_NAME_SIZE */
#define CONTROL_VALUE_SIZE 512 /* likewise; WIRE_VALUE_SIZE */

struct control_setting {
	char *name, *value;
};

/* All zero: empty. */
struct control_list {
	struct control_setting *entries;
	size_t count;
};

/* Can it be a control's name as v4l2-ctl writes them: lower-case letters, digits, single '_'
 * between them? */
bool control_name_valid(const char *name);

/* Appends a control, and takes out the one of the same name: what is said last is done last.
 * -ENOMEM: nothing has changed. */
int control_list_set(struct control_list *list, const char *name, const char *value);
/* The value of that name; NULL if there is none. Valid until the list changes. */
const char *control_list_find(const struct control_list *list, const char *name);
void control_list_remove(struct control_list *list, const char *name);
/* -ENOMEM. */
int control_list_copy(const struct control_list *list, struct control_list *ret_copy);
void control_list_finish(struct control_list *list);

#endif
