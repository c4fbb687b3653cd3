/* SPDX-License-Identifier: MIT */
#include "client-internal.h"
#include "controls.h"
#include "message.h"
#include "server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(CONTROL_NAME_SIZE == WIRE_NAME_SIZE, "names are the protocol's");
_Static_assert(CONTROL_VALUE_SIZE == WIRE_VALUE_SIZE, "values are the protocol's");

/* ---- questions ---- */

/* Fills the request; false: the message breaks the protocol. */
static bool unpack(
	const void *buffer, size_t length, uint32_t type, struct controls_request *request)
{
	struct wire_controls_request list;
	struct wire_set_control_request set;

	if (type == WIRE_CONTROLS) {
		if (message_unpack(buffer, length, sizeof list, &list, sizeof list) < 0)
			return false;
		request->token = list.token;
		return true;
	}
	if (message_unpack(buffer, length, sizeof set, &set, sizeof set) < 0)
		return false;
	request->token = set.token;
	request->set = true;
	set.name[sizeof set.name - 1] = '\0';
	set.value[sizeof set.value - 1] = '\0';
	/* the name comes back in texts; the value is checked by the control that it is for */
	message_printable(request->name, sizeof request->name, set.name, sizeof set.name);
	memcpy(request->value, set.value, sizeof request->value);
	return true;
}

void client_on_controls(struct client *client, const void *buffer, size_t length)
{
	struct controls *controls = client->server->controls;
	struct controls_request *request;
	struct wire_header header;

	memcpy(&header, buffer, sizeof header);
	request = calloc(1, sizeof *request);
	if (request == NULL) {
		client_close(client, WIRE_CODE_INTERNAL, "out of memory");
		return;
	}
	if (!unpack(buffer, length, header.type, request)) {
		controls_request_free(request);
		client_close(
			client, WIRE_CODE_PROTOCOL, "a CONTROLS or SET_CONTROL that is too short");
		return;
	}
	if (client->controls.unanswered >= WIRE_CONTROL_REQUESTS_MAX) {
		controls_request_free(request);
		client_close(client, WIRE_CODE_PROTOCOL,
			"more than %d requests about controls without an answer",
			WIRE_CONTROL_REQUESTS_MAX);
		return;
	}
	client->controls.unanswered++;
	request->owner = client->number;
	if (!request->set ||
		access_is_admin(&client->server->access, &client->peer, client->socket)) {
		controls_submit(controls, request);
		return;
	}
	request->error = -EACCES;
	snprintf(request->text, sizeof request->text,
		"only root, camtapd's own user and members of group camtap-admin may set controls");
	client_answer_controls(client, request);
}

/* ---- answers ---- */

static int send_list(struct client *client, const struct controls_request *answer)
{
	struct wire_controls message = {.token = answer->token, .error = -answer->error};

	message_init(&message.header, WIRE_CONTROLS, sizeof message);
	message_printable(message.text, sizeof message.text, answer->text, sizeof answer->text);
	if (answer->document == NULL)
		return client_send(client, &message.header, NULL, 0);
	message.document_size = strlen(answer->document);
	return client_send_document(client, &message.header, answer->document);
}

static int send_outcome(struct client *client, const struct controls_request *answer)
{
	struct wire_set_control message = {.token = answer->token, .error = -answer->error};

	message_init(&message.header, WIRE_SET_CONTROL, sizeof message);
	message_printable(message.text, sizeof message.text, answer->text, sizeof answer->text);
	return client_send(client, &message.header, NULL, 0);
}

int client_send_controls(struct client *client)
{
	struct controls_request *answer;

	while ((answer = client->controls.answers) != NULL) {
		int error = answer->set ? send_outcome(client, answer) : send_list(client, answer);

		if (error < 0)
			return error;
		client->controls.answers = answer->next;
		client->controls.unanswered--;
		controls_request_free(answer);
	}
	return 0;
}

void client_answer_controls(struct client *client, struct controls_request *answer)
{
	struct controls_request **last = &client->controls.answers;

	while (*last != NULL)
		last = &(*last)->next;
	answer->next = NULL;
	*last = answer;
	client_owe(client, CLIENT_OWED_CONTROLS);
}

void client_forget_controls(struct client *client)
{
	struct controls_request *answer;

	controls_forget(client->server->controls, client->number);
	while ((answer = client->controls.answers) != NULL) {
		client->controls.answers = answer->next;
		controls_request_free(answer);
	}
}
