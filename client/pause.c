/* SPDX-License-Identifier: MIT */

/* Switching the camera off and on again. */

#include "internal.h"

#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- what happens to the connection ---- */

static void settle(struct pause_question *question, int result, const char *text)
{
	question->wanted = false;
	question->result = result;
	snprintf(question->text, sizeof(question->text), "%s", text);
}

/* What is waited for is on its way, or answered in no way that can be. */
static void ask(struct camtap *camera)
{
	if (!camera->pause.granted)
		settle(&camera->pause, -EOPNOTSUPP,
			"this camtapd is of a version that knows no pause: update it");
	else
		camera->owed |= CONNECTION_OWED_PAUSE;
}

void pause_welcomed(struct camtap *camera, bool granted)
{
	struct pause_question *question = &camera->pause;

	question->granted = granted;
	/* once more, if it was lost with the connection before: it is done or not, but not twice */
	if (question->wanted)
		ask(camera);
}

void pause_lost(struct camtap *camera)
{
	camera->pause.granted = false;
	camera->pause.unanswered = false;
}

bool pause_send(struct camtap *camera)
{
	struct pause_question *question = &camera->pause;
	struct wire_set_paused_request request = {
		.token = question->token, .paused = question->paused};

	/* the answer to the one before makes room */
	if (question->unanswered)
		return true;
	message_init(&request.header, WIRE_SET_PAUSED, sizeof(request));
	/* What fails but for lack of room fails because of a hang-up, which is read soon. */
	if (message_send(camera->connection->socket, &request.header, NULL, 0) == -EAGAIN)
		return false;
	question->unanswered = true;
	return true;
}

void pause_answered(struct camtap *camera, uint64_t token, int error, const char *text, size_t size)
{
	struct pause_question *question = &camera->pause;
	char printable[WIRE_TEXT_SIZE];

	question->unanswered = false;
	if (!question->wanted)
		return; /* nobody waits for it any more */
	if (question->token != token) {
		ask(camera); /* that was the one before */
		return;
	}
	message_printable(printable, sizeof(printable), text, size);
	settle(question, -error, printable[0] != '\0' ? printable : strerror(error));
}

/* ---- the public functions ---- */

static bool is_answered(const struct camtap *camera)
{
	return !camera->pause.wanted;
}

static int set_paused(struct camtap *camera, bool paused, int timeout_ms)
{
	struct pause_question *question = &camera->pause;
	int result;

	if (!leases_ours(camera->leases))
		return -ECHILD;
	if (camera->state == CONNECTION_NEW)
		return camera_fail(camera, -ENOTCONN, "camtap_connect() was not called");
	question->wanted = true;
	/* the same as what has no answer yet: that is the one to wait for */
	if (!question->unanswered || question->paused != paused) {
		question->paused = paused;
		question->token++;
		if (camera->state == CONNECTION_ATTACHED)
			ask(camera);
	}
	result = answer_wait(camera, is_answered, wake_deadline(timeout_ms),
		"the camera has not answered in time");
	if (result == 0 && question->result < 0)
		result = camera_fail(camera, question->result, "%s", question->text);
	question->wanted = false;
	camera->owed &= ~(unsigned)CONNECTION_OWED_PAUSE;
	wake_update(camera, WAKE_FOR_PROGRAM);
	return result;
}

int camtap_pause(struct camtap *camera, int timeout_ms)
{
	return set_paused(camera, true, timeout_ms);
}

int camtap_resume(struct camtap *camera, int timeout_ms)
{
	return set_paused(camera, false, timeout_ms);
}
