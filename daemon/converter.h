/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CONVERTER_H
#define CAMTAP_DAEMON_CONVERTER_H

/*
 * A derived stream: the frames of another stream in the format that somebody asked for, made once
 * for all who did. A converter is a reader of its origin like any other (a guard of its own, one
 * lease, a socket to be woken by), but within the daemon, and the producer of its own stream, on a
 * thread of its own:
 *
 *   origin --lease--> convert_frame() --> slot of its own pool --> its readers
 *
 * It cannot hold up its origin: if it is slow, frames pass that it has not seen (skipped), and a
 * lease that takes too long is revoked, which throws away the frame that was made from it. (A
 * lossless one takes every frame, and its origin waits for it, as for every lossless reader.)
 *
 * A derived frame has the id, the times, the sequence number and the flags of the frame that it was
 * made from, and its stream the origin's epoch: (camera, epoch, id) names the same moment in all
 * streams.
 *
 * Life: converter_create() by the first client that asks, converter_follow() whenever the origin
 * may have a new pool, converter_end() when the last client has left. All functions belong to the
 * server thread, but where they say otherwise.
 */

#include "stream-request.h"
#include "stream.h"

#include <stdbool.h>
#include <stdint.h>

#define CONVERTER_NO_DMABUF                                                                        \
	"frames in dma-bufs (--memory dmabuf) are not converted: leave --stream out, or use "      \
	"--memory copy"

struct converter;
struct options;
struct pinned;
struct reaper;

/* What all converters of a daemon need. Stays as it is while there is one. */
struct converter_setup {
	const struct options *options;
	struct pinned *pinned;
	struct reaper *reaper;
	int notify_fd; /* written when the server thread should look: converter_failure(), stream_*
			*/
	int64_t send_unit_ns;
};

/* Where a converter takes its frames from. */
struct converter_origin {
	struct stream *stream; /* must outlive it */
	const char *name;      /* for people; as long */
	bool cropped;          /* the crop that was asked for is cut out already */
};

/* `userdata` is what on_ended() of converter_end() is called with. */
int converter_create(const struct converter_setup *setup, const struct stream_request *request,
	bool lossless, const struct converter_origin *origin, void *userdata,
	struct converter **ret_converter);

struct stream *converter_stream(struct converter *converter);
const char *converter_name(const struct converter *converter); /* the request, in canonical form */
const struct converter_origin *converter_origin(const struct converter *converter);
const struct stream_request *converter_request(const struct converter *converter);
bool converter_is_lossless(const struct converter *converter);
uint64_t converter_skipped(
	const struct converter *converter); /* frames that came while it was busy */

/* Links it into the origin's pool, if that is another one than before. */
void converter_follow(struct converter *converter);
/* The origin's pool is over: it lets go of it. Before that pool's reference is given up. */
void converter_forget(struct converter *converter, const struct pool *finished);

/* NULL: all is well. Else what it was asked for cannot be made, and why, for people: its clients
 * are to be closed. Lives as long as the converter. */
const char *converter_failure(struct converter *converter);

/* Has the origin frames that are not converted yet? Meanwhile the end of a recording is not the end
 * of this stream. When true, notify_fd is written when it has caught up. */
bool converter_is_behind(struct converter *converter);

/* May it still publish a frame? Not when its origin has no pool any more, and it has let go of the
 * last: notify_fd is written then. */
bool converter_is_busy(struct converter *converter);

/* Begins the end: no client is linked or retired any more. When everything is given back,
 * `on_ended` is called on the reaper's thread, and the converter does not exist any more. */
void converter_end(struct converter *converter, void (*on_ended)(void *userdata));

/* Clients that read it, counted by the server. */
uint32_t converter_add_clients(struct converter *converter, int32_t change);

/* A list, for the server. */
struct converter *converter_next(const struct converter *converter);
void converter_set_next(struct converter *converter, struct converter *next);

#endif
