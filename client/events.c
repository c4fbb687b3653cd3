/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "format.h"
#include "message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

HOT const struct event *events_head(const struct camtap *camera)
{
	const struct events *events = &camera->events;

	return events->count > 0 ? &events->entries[events->first] : NULL;
}

/* Frames go on where they were, if it is the same pool after all: only the connection was lost. */
static void carry_on(struct attachment *to, const struct attachment *from)
{
	if (to->view.epoch != from->view.epoch || !from->started ||
		from->counted > attachment_newest(to))
		return;
	to->cursor = from->counted + 1;
	to->counted = from->counted;
	to->started = true;
}

enum camtap_outcome events_pop(struct camtap *camera)
{
	struct events *events = &camera->events;
	struct event *event = &events->entries[events->first];

	events->first = (events->first + 1) % EVENTS_MAX;
	events->count--;
	if (event->attachment) {
		if (camera->reading)
			carry_on(event->attachment, camera->reading);
		attachment_unref(camera->reading);
		camera->reading = event->attachment;
		event->attachment = NULL;
	}
	if (event->outcome != CAMTAP_TRY_AGAIN)
		snprintf(camera->event_text, sizeof(camera->event_text), "%s", event->text);
	return event->outcome;
}

void events_finish(struct camtap *camera)
{
	while (events_head(camera))
		(void)events_pop(camera);
	attachment_unref(camera->reading);
	attachment_unref(camera->newest);
	camera->reading = camera->newest = NULL;
}

static void push(struct camtap *camera, enum camtap_outcome outcome, const char *text,
	struct attachment *attachment)
{
	struct events *events = &camera->events;
	struct event *event;

	if (events->count < EVENTS_MAX) {
		event = &events->entries[(events->first + events->count++) % EVENTS_MAX];
		event->attachment = NULL;
	} else {
		event = &events->entries[(events->first + events->count - 1) % EVENTS_MAX];
	}
	event->outcome = outcome;
	event->after = camera->newest ? attachment_newest(camera->newest) : 0;
	snprintf(event->text, sizeof(event->text), "%s", text);
	if (attachment) {
		attachment_unref(event->attachment);
		event->attachment = attachment;
	}
}

static bool same_format(const struct pool_format *a, const struct pool_format *b)
{
	return memcmp(a, b, offsetof(struct pool_format, reserved)) == 0;
}

void events_push_attachment(struct camtap *camera, struct attachment *attachment)
{
	const struct attachment *before = camera->newest;
	const struct pool_format *format = &attachment->view.format;
	char text[WIRE_TEXT_SIZE], fourcc[FORMAT_TEXT_SIZE];

	format_print(format->fourcc, fourcc);
	snprintf(text, sizeof(text), "%s %" PRIu32 "x%" PRIu32, fourcc, format->width,
		format->height);
	if (!before || before->view.epoch == attachment->view.epoch)
		push(camera, CAMTAP_TRY_AGAIN, "", attachment);
	else if (same_format(&before->view.format, format))
		push(camera, CAMTAP_DISCONTINUITY, text, attachment);
	else
		push(camera, CAMTAP_FORMAT, text, attachment);
	attachment_unref(camera->newest);
	camera->newest = attachment_ref(attachment);
}

static void push_state(struct camtap *camera, enum camtap_outcome outcome, const char *text)
{
	struct events *events = &camera->events;

	if (outcome == events->told &&
		(outcome == CAMTAP_ONLINE || strcmp(text, events->told_text) == 0))
		return;
	events->told = outcome;
	events->told_away = false;
	snprintf(events->told_text, sizeof(events->told_text), "%s", text);
	push(camera, outcome, text, NULL);
}

void events_push_source(struct camtap *camera, const struct wire_source *source)
{
	char text[WIRE_TEXT_SIZE];

	message_printable(text, sizeof(text), source->text, sizeof(source->text));
	switch (source->state) {
	case WIRE_SOURCE_ONLINE:
		push_state(camera, CAMTAP_ONLINE, text);
		break;
	case WIRE_SOURCE_OFFLINE:
		push_state(camera, CAMTAP_OFFLINE, text);
		break;
	case WIRE_SOURCE_PAUSED:
		push_state(camera, CAMTAP_PAUSED, text);
		break;
	case WIRE_SOURCE_ENDED:
		push_state(camera, CAMTAP_ENDED, text);
		break;
	case WIRE_SOURCE_IDLE:
		/* To observers it is news that the daemon is back, or the camera not paused any
		 * more. A reader sees this for a moment; more comes. */
		if (camera->events.told_away || (camera->mode == CAMTAP_MODE_OBSERVE &&
							camera->events.told == CAMTAP_PAUSED))
			push_state(camera, CAMTAP_ONLINE, text);
		break;
	default: /* STARTING, or one of a later version: another one follows */
		break;
	}
}

void events_push_away(struct camtap *camera, const char *text)
{
	push_state(camera, CAMTAP_OFFLINE, text);
	camera->events.told_away = true;
}
