/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_CLI_SINK_H
#define CAMTAP_CLI_SINK_H

/* Where `camtap dump` puts encoded frames: a file each, a file of many (Y4M), or standard output.
 */

#include "capture.h"
#include "image.h"
#include "options.h"
#include "output.h"

#include <limits.h>

enum {
	SINK_ERROR_SIZE = 512,
};

struct sink {
	const char *path; /* folder, or "standard output"; not copied */
	bool to_stdout;
	bool stream;                 /* the format makes one file of many frames */
	bool sidecar;                /* a description beside each picture */
	struct output_folder folder; /* unless to_stdout */

	/* The stream at hand: its header (empty: none yet), and in a folder its file. */
	struct buffer header;
	struct output_file file;
	char file_name[NAME_MAX];
	uint64_t file_frames;

	char error[SINK_ERROR_SIZE]; /* why the last call failed and what to do, one line */
};

/* Opens what --output, --format and --sidecar say. Negative errno, and `error` is set. */
int sink_init(struct sink *ret_sink, const struct options *options);

/* Writes one frame. Files have their names afterwards, but for a stream's, which gets it from
 * sink_publish(), or when the next frame has another format and starts a new file. Negative errno,
 * and `error` is set; what was written before is whole. -EPIPE: nobody reads standard output any
 * more. */
int sink_write(struct sink *sink, const struct capture *capture, const struct encoded *encoded,
	const char *camera);

/* Gives the stream's file its name, if there is one with frames in it; also after an error of
 * sink_write(). Negative errno, and `error` is set. */
int sink_publish(struct sink *sink);

void sink_finish(struct sink *sink);

#endif
