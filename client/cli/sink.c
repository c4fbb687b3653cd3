/* SPDX-License-Identifier: MIT */
#include "sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;

enum {
	EXTENSION_SIZE = 8, /* ".json" and the like */
	BASE_SIZE = NAME_MAX - EXTENSION_SIZE,
};

/* The line for people: what could not be written, why, and what to do if that is known. */
static int fail(struct sink *sink, const char *name, int error_number)
{
	const char *advice = "";

	if (error_number == -ENOSPC || error_number == -EDQUOT)
		advice = "; make room and start again";
	else if (error_number == -EEXIST)
		advice = " and is not overwritten; choose another --output";
	snprintf(sink->error, sizeof(sink->error), "%s%s%s: %s%s", sink->path, name ? "/" : "",
		name ? name : "", strerror(-error_number), advice);
	return error_number;
}

int sink_init(struct sink *ret_sink, const struct options *options)
{
	struct sink sink = {
		.path = options->output,
		.to_stdout = strcmp(options->output, "-") == 0,
		.stream = options->format->stream,
		.file = {.fd = -1},
	};
	int r = 0;

	if (sink.to_stdout) {
		sink.path = "standard output";
	} else {
		sink.sidecar = options->sidecar || options->format->sidecar;
		r = output_folder_init(&sink.folder, options->output, options->sync);
	}
	*ret_sink = sink;
	return r < 0 ? fail(ret_sink, NULL, r) : 0;
}

/* NAME-20261121T101112.123456-ID: camera, local time of capture, frame id. */
static void print_base_name(
	const struct capture *capture, const char *camera, char base[static BASE_SIZE])
{
	time_t seconds = (time_t)(capture->realtime_ns / second_ns);
	char date[32] = "";
	struct tm local;

	if (localtime_r(&seconds, &local))
		strftime(date, sizeof(date), "%Y%m%dT%H%M%S", &local);
	snprintf(base, BASE_SIZE, "%s-%s.%06d-%" PRIu64, camera, date,
		(int)(capture->realtime_ns % second_ns / 1000), capture->id);
}

/* Writes a file under its final name, whole or not at all. */
static int write_file(struct sink *sink, const char *name, const void *data, size_t size)
{
	struct output_file file;
	int r = output_file_open(&file, &sink->folder);

	if (r < 0)
		return fail(sink, name, r);
	r = output_file_write(&file, data, size);
	if (r == 0)
		r = output_file_publish(&file, name);
	else
		output_file_discard(&file);
	return r < 0 ? fail(sink, name, r) : 0;
}

static int write_sidecar(
	struct sink *sink, const char *name, const struct capture *capture, const char *camera)
{
	json_t *object = capture_describe(capture, camera);
	char *text = json_dumps(object, JSON_INDENT(2));
	int r = text ? write_file(sink, name, text, strlen(text)) : fail(sink, name, -ENOMEM);

	free(text);
	json_decref(object);
	return r;
}

/* The description comes first: no picture is ever without it. */
static int write_picture(struct sink *sink, const struct capture *capture,
	const struct encoded *encoded, const char *camera)
{
	char base[BASE_SIZE], name[NAME_MAX], description[NAME_MAX];
	int r;

	print_base_name(capture, camera, base);
	snprintf(name, sizeof(name), "%s.%s", base, encoded->extension);
	snprintf(description, sizeof(description), "%s.json", base);
	if (sink->sidecar) {
		r = write_sidecar(sink, description, capture, camera);
		if (r < 0)
			return r;
	}
	r = write_file(sink, name, encoded->body.data, encoded->body.size);
	if (r < 0 && sink->sidecar)
		output_folder_remove(&sink->folder, description);
	return r;
}

int sink_publish(struct sink *sink)
{
	int r;

	if (sink->file.fd < 0)
		return 0;
	if (sink->file_frames == 0) {
		output_file_discard(&sink->file);
		return 0;
	}
	r = output_file_publish(&sink->file, sink->file_name);
	return r < 0 ? fail(sink, sink->file_name, r) : 0;
}

static int open_stream(struct sink *sink, const struct capture *capture,
	const struct encoded *encoded, const char *camera)
{
	char base[BASE_SIZE];
	int r;

	print_base_name(capture, camera, base);
	snprintf(sink->file_name, sizeof(sink->file_name), "%s.%s", base, encoded->extension);
	sink->file_frames = 0;
	r = output_file_open(&sink->file, &sink->folder);
	if (r == 0)
		r = output_file_write(&sink->file, encoded->header.data, encoded->header.size);
	return r < 0 ? fail(sink, sink->file_name, r) : 0;
}

/* A stream has one format; the header is what tells formats apart. */
static int begin_stream(struct sink *sink, const struct capture *capture,
	const struct encoded *encoded, const char *camera)
{
	const struct buffer *header = &encoded->header;
	int r;

	if (sink->header.size == header->size &&
		memcmp(sink->header.data, header->data, header->size) == 0)
		return 0;
	if (sink->to_stdout && sink->header.size > 0) {
		snprintf(sink->error, sizeof(sink->error),
			"the camera's format changed, which a stream cannot; start again, or give"
			" --output a folder");
		return -EPROTO;
	}
	r = sink_publish(sink);
	if (r < 0)
		return r;
	buffer_clear(&sink->header);
	r = buffer_append(&sink->header, header->data, header->size);
	if (r < 0)
		return fail(sink, NULL, r);
	if (!sink->to_stdout)
		return open_stream(sink, capture, encoded, camera);
	r = output_write(STDOUT_FILENO, header->data, header->size);
	return r < 0 ? fail(sink, NULL, r) : 0;
}

int sink_write(struct sink *sink, const struct capture *capture, const struct encoded *encoded,
	const char *camera)
{
	const struct buffer *body = &encoded->body;
	int r;

	if (sink->stream) {
		r = begin_stream(sink, capture, encoded, camera);
		if (r < 0)
			return r;
	}
	if (sink->to_stdout) {
		r = output_write(STDOUT_FILENO, body->data, body->size);
		return r < 0 ? fail(sink, NULL, r) : 0;
	}
	if (!sink->stream)
		return write_picture(sink, capture, encoded, camera);
	r = output_file_write(&sink->file, body->data, body->size);
	if (r < 0)
		return fail(sink, sink->file_name, r);
	sink->file_frames++;
	return 0;
}

void sink_finish(struct sink *sink)
{
	output_file_discard(&sink->file);
	buffer_finish(&sink->header);
	if (!sink->to_stdout)
		output_folder_finish(&sink->folder);
}
