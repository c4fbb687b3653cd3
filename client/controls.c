/* SPDX-License-Identifier: MIT */

/* Questions about controls: what there are, and set one. */

#include "internal.h"

#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- what happens to the connection ---- */

static void owe(struct camtap *camera)
{
	camera->owed |= CONNECTION_OWED_CONTROLS;
}

/* There is an answer, the daemon's or our own. */
static void settle(struct controls_question *question, int result, const char *text)
{
	question->wanted = false;
	question->result = result;
	snprintf(question->text, sizeof(question->text), "%s", text);
}

/* The question that is waited for is on its way, or answered in no way that can be. */
static void ask(struct camtap *camera)
{
	struct controls_question *question = &camera->controls;

	if (!question->granted)
		settle(question, -EOPNOTSUPP,
			"this camtapd is of a version that knows no controls: update it");
	else
		owe(camera);
}

void controls_welcomed(struct camtap *camera, bool granted)
{
	struct controls_question *question = &camera->controls;

	question->granted = granted;
	if (!question->wanted)
		return;
	/* a list may be asked for twice, a button not pressed twice */
	if (question->sent && question->set.header.type != 0)
		settle(question, -ECONNRESET,
			"camtapd went before it had answered: the control may have been set or "
			"not");
	else
		ask(camera);
}

void controls_lost(struct camtap *camera)
{
	camera->controls.granted = false;
	camera->controls.unanswered = 0;
	camera->controls.list_token = 0;
}

bool controls_send(struct camtap *camera)
{
	struct controls_question *question = &camera->controls;
	struct wire_controls_request list = {.token = question->token};
	const struct wire_header *message = &question->set.header;

	/* the next answer makes room */
	if (question->unanswered >= WIRE_CONTROL_REQUESTS_MAX)
		return true;
	if (question->set.header.type == 0) {
		message_init(&list.header, WIRE_CONTROLS, sizeof(list));
		message = &list.header;
	}
	/* What fails but for lack of room fails because of a hang-up, which is read soon. */
	if (message_send(camera->connection->socket, message, NULL, 0) == -EAGAIN)
		return false;
	question->sent = true;
	question->unanswered++;
	return true;
}

void controls_answered(struct camtap *camera, enum wire_type type, uint64_t token, int error,
	const char *text, size_t text_size, int fd, uint64_t document_size)
{
	struct controls_question *question = &camera->controls;
	bool same_kind = (type == WIRE_CONTROLS) == (question->set.header.type == 0);
	char printable[WIRE_TEXT_SIZE];

	if (question->unanswered > 0)
		question->unanswered--;
	if (question->list_token == token)
		question->list_token = 0;
	if (question->wanted && question->sent && question->token == token && same_kind) {
		message_printable(printable, sizeof(printable), text, text_size);
		settle(question, -error, printable[0] != '\0' ? printable : strerror(error));
		question->document_fd = fd;
		question->document_size = document_size;
		return;
	}
	if (fd >= 0) /* nobody waits for it any more */
		close_received(fd);
	if (question->wanted && !question->sent)
		owe(camera);
}

/* ---- the public functions ---- */

static bool is_answered(const struct camtap *camera)
{
	return !camera->controls.wanted;
}

/* Asks, and waits for the answer. */
static int run(struct camtap *camera, int timeout_ms)
{
	struct controls_question *question = &camera->controls;
	int result;

	question->wanted = true;
	if (camera->state == CONNECTION_ATTACHED && !question->sent)
		ask(camera);
	result = answer_wait(camera, is_answered, wake_deadline(timeout_ms),
		"the camera has not answered in time");
	if (result == 0 && question->result < 0)
		result = camera_fail(camera, question->result, "%s", question->text);
	/* the answer may still come */
	if (question->wanted && question->sent && question->set.header.type == 0)
		question->list_token = question->token;
	question->wanted = false;
	camera->owed &= ~(unsigned)CONNECTION_OWED_CONTROLS;
	return result;
}

static int check(struct camtap *camera)
{
	if (!leases_ours(camera->leases))
		return -ECHILD;
	if (camera->state == CONNECTION_NEW)
		return camera_fail(camera, -ENOTCONN, "camtap_connect() was not called");
	return 0;
}

int camtap_controls(struct camtap *camera, char **ret_json, int timeout_ms)
{
	struct controls_question *question = &camera->controls;
	int result = check(camera);

	if (result < 0)
		return result;
	question->set.header.type = 0;
	question->sent = question->list_token != 0;
	question->token = question->sent ? question->list_token : ++question->tokens;
	result = run(camera, timeout_ms);
	if (question->document_fd >= 0) {
		if (result == 0)
			result = status_read_document(camera, question->document_fd,
				question->document_size, "CONTROLS", ret_json);
		close(question->document_fd);
		question->document_fd = -1;
	}
	wake_update(camera, WAKE_FOR_PROGRAM);
	return result;
}

int camtap_set_control(struct camtap *camera, const char *name, const char *value, int timeout_ms)
{
	struct controls_question *question = &camera->controls;
	struct wire_set_control_request *set = &question->set;
	int result = check(camera);

	if (result < 0)
		return result;
	if (name[0] == '\0' || strlen(name) >= sizeof(set->name))
		return camera_fail(camera, -ENOENT, "%.80s: no such control", name);
	if (strlen(value) >= sizeof(set->value))
		return camera_fail(camera, -ERANGE, "%s: the value is longer than %zu bytes", name,
			sizeof(set->value) - 1);
	memset(set, 0, sizeof(*set));
	message_init(&set->header, WIRE_SET_CONTROL, sizeof(*set));
	strcpy(set->name, name);
	strcpy(set->value, value);
	set->token = question->token = ++question->tokens;
	question->sent = false;
	question->list_token = 0; /* what it says may be older than this */
	result = run(camera, timeout_ms);
	wake_update(camera, WAKE_FOR_PROGRAM);
	return result;
}
