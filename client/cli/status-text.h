/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_STATUS_TEXT_H
#define CAMTAP_CLI_STATUS_TEXT_H

#include <stdio.h>

#include <jansson.h>

/* Writes a daemon's status document for people to read. Keys that are missing or of another type
 * are left out, keys that are not known too; text is made printable. */
void status_text_print(FILE *stream, const json_t *status);

#endif
