/* SPDX-License-Identifier: MIT */

/* Switching the camera off and on. An answer is given when it is so: off, when the source is
 * closed, nothing has the device open, and no stream can publish a frame any more; and when that is
 * kept on the disk. */

#include "client-internal.h"
#include "clock.h"
#include "controls.h"
#include "log-messages.h"
#include "log.h"
#include "message.h"
#include "server.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PASSWD_SIZE 4096 /* bytes of what getpwuid_r() writes */

/* ---- the switch ---- */

static void set_pause(struct server *server, const struct camera_pause *pause)
{
	server->paused = pause != NULL;
	if (pause != NULL)
		server->pause = *pause;
	controls_set_pause(server->controls, pause != NULL ? pause->text : NULL);
	if (server->camera != NULL)
		camera_set_pause(server->camera, pause);
}

void server_begin_paused(struct server *server, const struct camera_pause *pause)
{
	log_event(LOG_INFO,
		&(struct log_fields){
			.message_id = LOG_CAMERA_PAUSED, .camera = server->options->name},
		"%s", pause->text);
	set_pause(server, pause);
}

/* Is it as it is to be? */
static bool is_done(const struct server *server)
{
	if (!camera_pause_is_done(server->camera))
		return false;
	return !server->paused ||
	       (!controls_is_asking(server->controls) && !server_streams_are_busy(server));
}

/* "alice (uid 1000)" */
static void name_peer(const struct peer *peer, char *ret_text, size_t size)
{
	struct passwd passwd, *found = NULL;
	char buffer[PASSWD_SIZE];

	if (getpwuid_r(peer->uid, &passwd, buffer, sizeof buffer, &found) == 0 && found != NULL)
		snprintf(ret_text, size, "%.40s (uid %u)", found->pw_name, (unsigned)peer->uid);
	else
		snprintf(ret_text, size, "uid %u", (unsigned)peer->uid);
}

/* "paused by alice (uid 1000) since 2026-11-21 20:15:03 CET" */
static void describe(const char *by, struct camera_pause *ret_pause)
{
	int64_t now_ns = clock_read(CLOCK_REALTIME);
	time_t now = (time_t)(now_ns / NSEC_PER_SEC);
	char since[80] = "";
	struct tm local;

	if (localtime_r(&now, &local) != NULL)
		(void)strftime(since, sizeof since, " since %Y-%m-%d %H:%M:%S %Z", &local);
	snprintf(ret_pause->text, sizeof ret_pause->text, "paused by %s%s", by, since);
	ret_pause->since_realtime_ns = now_ns;
}

/* Who is the second to switch it off is not the one who is named. */
static void switch_to(struct server *server, const struct peer *peer, bool paused)
{
	struct camera_pause pause;
	char by[80];

	if (paused == server->paused)
		return;
	name_peer(peer, by, sizeof by);
	if (paused)
		describe(by, &pause);
	else
		log_event(LOG_INFO,
			&(struct log_fields){.message_id = LOG_CAMERA_RESUMED,
				.camera = server->options->name,
				.peer = peer},
			"switched on again by %s", by);
	set_pause(server, paused ? &pause : NULL);
}

/* ---- requests ---- */

static void answer(struct client *client, int error, const char *text)
{
	client->pause.waiting = false;
	client->pause.error = error;
	message_printable(
		client->pause.text, sizeof client->pause.text, text, sizeof client->pause.text);
	client_owe(client, CLIENT_OWED_PAUSE);
}

void client_on_set_paused(struct client *client, const void *buffer, size_t length)
{
	struct client_pause *pause = &client->pause;
	struct server *server = client->server;
	struct wire_set_paused_request request;

	if (message_unpack(buffer, length, sizeof request, &request, sizeof request) < 0 ||
		request.paused > 1) {
		client_close(client, WIRE_CODE_PROTOCOL, "a SET_PAUSED that is too short or wrong");
		return;
	}
	if (pause->waiting || client->owed & CLIENT_OWED_PAUSE) {
		client_close(client, WIRE_CODE_PROTOCOL,
			"another SET_PAUSED while one has no answer yet");
		return;
	}
	pause->token = request.token;
	pause->paused = request.paused;
	if (!access_is_admin(&client->server->access, &client->peer, client->socket)) {
		answer(client, -EACCES,
			"only root, camtapd's own user and members of group camtap-admin may "
			"pause and resume a camera");
		return;
	}
	if (pause->paused && !server->source->ops->restartable) {
		answer(client, -EOPNOTSUPP,
			"standard input cannot be paused: what comes meanwhile would be lost; "
			"stop camtapd, or what feeds it");
		return;
	}
	switch_to(server, &client->peer, pause->paused);
	pause->waiting = true;
	/* again, too, if it is so already: what could not be written before perhaps can be now */
	pause->kept_as = pause_keep(server->pause_keeper, server->paused ? &server->pause : NULL);
}

/* ---- answers ---- */

/* Answers, if it can be. */
static void settle(struct client *client, bool done)
{
	const struct server *server = client->server;
	char text[SOURCE_TEXT_SIZE];
	int error;

	if (client->pause.paused != server->paused) {
		answer(client, -ECANCELED,
			server->paused ? "somebody has switched the camera off again meanwhile"
				       : "somebody has switched the camera on again meanwhile");
		return;
	}
	if (!done || !pause_is_kept(server->pause_keeper, client->pause.kept_as, &error, text))
		return;
	/* whatever it is, the client may do what it asked for */
	answer(client, error < 0 ? -EIO : 0, text);
}

void server_settle_pauses(struct server *server)
{
	bool done = is_done(server);
	struct client *next;

	for (struct client *client = server->clients; client != NULL; client = next) {
		next = client->next;
		if (client->pause.waiting)
			settle(client, done);
	}
}

int client_send_pause(struct client *client)
{
	struct wire_set_paused message = {
		.token = client->pause.token, .error = -client->pause.error};

	message_init(&message.header, WIRE_SET_PAUSED, sizeof message);
	snprintf(message.text, sizeof message.text, "%s", client->pause.text);
	return client_send(client, &message.header, NULL, 0);
}
