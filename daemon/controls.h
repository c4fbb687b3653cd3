/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_CONTROLS_H
#define CAMTAP_DAEMON_CONTROLS_H

/*
 * The controls of the camera: a thread that lists and sets them for clients, and what is set
 * whenever the device is opened for its frames.
 *
 * A device may take seconds to answer, and an unplugged one may never: so neither the server thread
 * nor, while frames come, the capture thread asks it. The thread opens the device anew for each
 * request and closes it at once. It does not share the source's description of the file, and keeps
 * none of its own: a node that somebody has open keeps its number after it was unplugged, and the
 * camera would come back under another one. While nobody reads, that wakes the device for a moment.
 *
 * When the source opens the device it sets, in this order, the [Controls] of the configuration, and
 * what clients have set since the daemon was started (but for buttons, which are pressed once).
 */

#include "control-list.h"
#include "source.h"

#include <stdbool.h>
#include <stdint.h>

struct controls;
struct options;
struct v4l2_device;

/* What a client asks, and then the answer. */
struct controls_request {
	struct controls_request *next;
	uint64_t owner;  /* who asks; the number of a client, which may be gone by then */
	uint64_t token;  /* the client's */
	bool set;        /* else: list */
	bool configured; /* to set, by the configuration: nobody waits for an answer */
	char name[CONTROL_NAME_SIZE], value[CONTROL_VALUE_SIZE]; /* to set */

	int error;                   /* 0, or a negative errno as v4l2_controls_set() gives it */
	char text[SOURCE_TEXT_SIZE]; /* what is wrong, for people */
	char *document;              /* JSON: the list; NULL if there is an error */
};

void controls_request_free(struct controls_request *request);

/* `notify_fd` is an eventfd, written whenever there is an answer. */
int controls_create(const struct options *options, struct source *source, int notify_fd,
	struct controls **ret_controls);
/* Waits for the device to answer what is under way; after the capture thread has ended. NULL is
 * allowed. */
void controls_destroy(struct controls *controls);

/* ---- server thread ---- */

/* Takes the request over, and gives it back by controls_take_answer(). Those that set are done
 * first, in their order; all lists that are wanted at a time are one look at the device, a few in a
 * second at most. */
void controls_submit(struct controls *controls, struct controls_request *request);
/* The next answer, the caller's to free; NULL: none. */
struct controls_request *controls_take_answer(struct controls *controls);
/* The owner has gone: what has not been begun is not done. Some of its answers may still come. */
void controls_forget(struct controls *controls, uint64_t owner);

/* The configuration's controls have changed: those that are new or have another value are set now,
 * and all of
 * them from now on whenever the device is opened. What fails is logged. -ENOMEM. */
int controls_configure(struct controls *controls, const struct control_list *list);
/* The camera is switched off: the device is not opened for any request, `text` says why (NULL: it
 * is on again). */
void controls_set_pause(struct controls *controls, const char *text);
/* Is the device open for a request? When that ends, there is an answer. */
bool controls_is_asking(struct controls *controls);

/* ---- capture thread ---- */

/* The device has just been opened: sets what there is to set. Takes as long as the device does.
 * What fails is logged, and nothing else comes of it. `controls` may be NULL: nothing is set. */
void controls_apply(struct controls *controls, const struct v4l2_device *device);

#endif
