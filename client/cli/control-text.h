/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_CONTROL_TEXT_H
#define CAMTAP_CLI_CONTROL_TEXT_H

/* The controls document of a camera (camtap_controls()) as text for people. */

#include <jansson.h>
#include <stdio.h>

/* All controls, much as v4l2-ctl --list-ctrls-menus prints them. */
void control_text_print_list(FILE *stream, const json_t *controls);
/* "NAME: VALUE", of a menu "NAME: VALUE (TEXT)". */
void control_text_print_value(FILE *stream, const json_t *control);

#endif
