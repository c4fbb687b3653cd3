/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static const struct image_format *const formats[] = {
	&image_jpeg,
	&image_png,
	&image_pnm,
	&image_y4m,
	&image_raw,
};

const struct image_format *image_format_find(const char *name)
{
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	}
	return NULL;
}

const char *image_format_names(void)
{
	return "jpeg, png, ppm, y4m, raw";
}

void encoded_clear(struct encoded *encoded)
{
	buffer_clear(&encoded->header);
	buffer_clear(&encoded->body);
	encoded->extension = NULL;
}

void encoded_finish(struct encoded *encoded)
{
	buffer_finish(&encoded->header);
	buffer_finish(&encoded->body);
	encoded->extension = NULL;
}

int image_fail(char error[IMAGE_ERROR_SIZE], int error_number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, IMAGE_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return error_number;
}
