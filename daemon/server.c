/* SPDX-License-Identifier: MIT */
#include "server.h"

#include "clock.h"
#include "log-messages.h"
#include "log.h"
#include "message.h"
#include "reload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections above max_clients that are let in only to be told that it is full. While that many
 * are open too, nobody is accepted: closing one can take seconds, if its client wants it so. */
#define REFUSED_ROOM 16

/* ---- counting ---- */

void server_count_readers(struct server *server)
{
	uint32_t readers = 0;

	for (const struct client *client = server->clients; client != NULL; client = client->next)
		readers += client_reads(client);
	if (readers != server->reader_count)
		camera_set_readers(server->camera, readers);
	server->reader_count = readers;
	service_changed(server->service);
}

/* The place of a uid, a free one if it has none yet: there is one for every connection that is let
 * in. */
static struct uid_count *uid_place(struct server *server, uid_t uid)
{
	struct uid_count *unused = NULL;

	for (uint32_t i = 0; i < server->uid_count_max; i++) {
		struct uid_count *place = &server->uid_counts[i];

		if (place->count > 0 && place->uid == uid)
			return place;
		if (place->count == 0 && unused == NULL)
			unused = place;
	}
	unused->uid = uid;
	unused->told_full = false;
	return unused;
}

static void listen_again(struct server *server)
{
	bool room = server->open_count < server->options->max_clients + REFUSED_ROOM;

	(void)sd_event_source_set_enabled(server->accept, room ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* ---- accepting ---- */

static void admit(struct server *server, struct client *client)
{
	const struct options *options = server->options;
	struct uid_count *place = uid_place(server, client->peer.uid);

	place->count++;
	client->next = server->clients;
	if (server->clients != NULL)
		server->clients->previous = client;
	server->clients = client;
	server->open_count++;
	if (server->open_count > options->max_clients) {
		client->quiet = server->told_full;
		server->told_full = true;
		client_close(client, WIRE_CODE_BUSY,
			"%" PRIu32 " clients are attached, which is the limit (max_clients)",
			options->max_clients);
	} else if (place->count > options->max_clients_per_uid) {
		client->quiet = place->told_full;
		place->told_full = true;
		client_close(client, WIRE_CODE_BUSY,
			"user %u has %" PRIu32 " clients, which is the limit (max_clients_per_uid)",
			(unsigned)client->peer.uid, options->max_clients_per_uid);
	}
}

/* Once a minute at most: clients can bring it about as often as they like. */
static void complain_about_accepting(
	struct server *server, const char *message_id, int error, const char *text)
{
	struct log_fields fields = {
		.message_id = message_id, .camera = server->options->name, .error = error};
	int64_t now = clock_now();

	if (server->complained_ns != 0 && now - server->complained_ns < 60 * NSEC_PER_SEC)
		return;
	server->complained_ns = now;
	log_event(LOG_ERR, &fields, "%s: %s", text, strerror(-error));
}

/* No fds are left: the listener would stay readable for ever. Take one connection by the fd kept in
 * reserve, and close it. */
static void accept_and_drop(struct server *server)
{
	int socket;

	close(server->reserve_fd);
	socket = accept4(server->listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (socket >= 0)
		reaper_close(server->reaper, &socket, 1, NULL);
	server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	complain_about_accepting(server, LOG_NO_DESCRIPTORS, -EMFILE,
		"another client could not be accepted: raise LimitNOFILE=");
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct server *server = userdata;
	struct client *client;
	int socket, error;

	(void)source;
	(void)revents;
	socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (socket < 0 && (errno == EMFILE || errno == ENFILE)) {
		accept_and_drop(server);
		return 0;
	}
	if (socket < 0)
		return 0; /* gone again, or a passing fault: the loop comes back */
	error = client_create(server, socket, &client);
	if (error < 0) {
		complain_about_accepting(server, NULL, error, "a client could not be accepted");
		reaper_close(server->reaper, &socket, 1, NULL);
		return 0;
	}
	admit(server, client);
	listen_again(server);
	return 0;
}

/* ---- following the camera ---- */

static void bury(struct server *server)
{
	struct client *dead;

	pthread_mutex_lock(&server->dead_lock);
	dead = server->dead;
	server->dead = NULL;
	pthread_mutex_unlock(&server->dead_lock);
	while (dead != NULL) {
		struct client *next = dead->next;

		struct uid_count *place = uid_place(server, dead->peer.uid);

		place->count--;
		if (place->count < server->options->max_clients_per_uid)
			place->told_full = false;
		server->open_count--;
		if (server->open_count < server->options->max_clients)
			server->told_full = false;
		client_free(dead);
		dead = next;
	}
	listen_again(server);
}

/* On the reaper's thread: the client's fds are closed. */
static void on_reaped(void *token, void *userdata)
{
	struct server *server = userdata;
	struct client *client = token;

	pthread_mutex_lock(&server->dead_lock);
	client->next = server->dead;
	server->dead = client;
	pthread_mutex_unlock(&server->dead_lock);
	(void)eventfd_write(server->notify_fd, 1);
}

static void judge_readers(struct server *server)
{
	struct client *next;

	for (struct client *client = server->clients; client != NULL; client = next) {
		struct stream_reader *reader = &client->reader;

		next = client->next;
		switch (atomic_load_explicit(&reader->pool.expulsion, memory_order_relaxed)) {
		case POOL_EXPULSION_OVERHOLD:
			client_close(client, WIRE_CODE_OVERHOLD,
				"holds more than the %" PRIu32 " frames that it may (max_leases)",
				server->options->max_leases);
			break;
		case POOL_EXPULSION_SCRIBBLE:
			client_close(client, WIRE_CODE_PROTOCOL,
				"its guard holds what no client of the protocol writes");
			break;
		default:
			if (atomic_load_explicit(&reader->target.suspect, memory_order_relaxed))
				client_probe(client);
			break;
		}
	}
}

static void offer_pools(struct server *server)
{
	struct client *next;

	for (struct client *client = server->clients; client != NULL; client = next) {
		struct pool *pool = client_reads(client) ? stream_pool(client->stream) : NULL;

		next = client->next;
		if (pool != NULL)
			client_offer_pool(client, pool);
	}
}

static void tell_state(struct server *server)
{
	struct camera_snapshot snapshot;
	struct client *next;

	bool news;

	camera_snapshot(server->camera, &snapshot);
	news = snapshot.version != server->seen_version;
	server->seen_version = snapshot.version;
	if (news)
		service_changed(server->service);
	for (struct client *client = server->clients; client != NULL; client = next) {
		next = client->next;
		if (news || (client->told_early && !server_is_behind(server, client->stream)))
			client_tell_source(client);
	}
	if (news && snapshot.state == CAMERA_FINISHED)
		sd_event_exit(server->event, snapshot.error != 0 ? EXIT_FAILURE : 0);
}

static void answer_about_controls(struct server *server)
{
	struct controls_request *answer;

	while ((answer = controls_take_answer(server->controls)) != NULL) {
		struct client *client = server->clients;

		while (client != NULL && client->number != answer->owner)
			client = client->next;
		if (client != NULL)
			client_answer_controls(client, answer);
		else
			controls_request_free(answer); /* it did not wait */
	}
}

static int on_notify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct server *server = userdata;
	eventfd_t count;

	(void)source;
	(void)revents;
	(void)eventfd_read(fd, &count);
	judge_readers(server);
	server_drop_finished_pools(server);
	server_follow_streams(server);
	offer_pools(server);
	tell_state(server);
	answer_about_controls(server);
	server_settle_pauses(server);
	server_release_retired(server);
	bury(server);
	return 0;
}

int server_change_access(struct server *server, const struct options *options)
{
	struct access access;
	struct client *next;
	int error = access_init(&access, options);

	if (error < 0)
		return error;
	access_finish(&server->access);
	server->access = access;
	for (struct client *client = server->clients; client != NULL; client = next) {
		next = client->next;
		if (client_reads(client))
			(void)client_check_access(client);
	}
	return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct server *server = userdata;

	(void)source;
	(void)info;
	service_reloading(server->service);
	reload(server);
	service_ready(server->service);
	return 0;
}

/* ---- life ---- */

static int add_events(struct server *server)
{
	int error;

	error = sd_event_add_io(
		server->event, &server->accept, server->listener->fd, EPOLLIN, on_accept, server);
	if (error < 0)
		return error;
	error = sd_event_add_io(server->event, NULL, server->notify_fd, EPOLLIN, on_notify, server);
	if (error < 0)
		return error;
	/* NULL: the handler exits the loop */
	error = sd_event_add_signal(server->event, NULL, SIGTERM, NULL, NULL);
	if (error < 0)
		return error;
	error = sd_event_add_signal(server->event, NULL, SIGINT, NULL, NULL);
	if (error < 0)
		return error;
	return sd_event_add_signal(server->event, NULL, SIGHUP, on_reload, server);
}

static void say_goodbye(struct server *server)
{
	/* first the pool, so that nothing is revoked: nobody will write into it any more */
	camera_stop(server->camera);
	server_drop_finished_pools(server);
	while (server->clients != NULL)
		client_close(server->clients, WIRE_CODE_SHUTDOWN, "camtapd stops");
	server_end_streams(server);
	reaper_destroy(server->reaper); /* waits for all of them */
	server->reaper = NULL;
	bury(server);
}

void server_block_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int server_run(struct options *options, struct source *source, struct listener *listener,
	struct start_history *history)
{
	struct server server = {.options = options,
		.source = source,
		.listener = listener,
		.notify_fd = -1,
		.reserve_fd = -1,
		.uid_count_max = options->max_clients + REFUSED_ROOM};
	struct camera_pause pause;
	int error;

	server.send_unit_ns = announce_calibrate();

	pthread_mutex_init(&server.dead_lock, NULL);
	pinned_init(&server.pinned, options->memory_limit);
	server.uid_counts = calloc(server.uid_count_max, sizeof *server.uid_counts);
	error = server.uid_counts == NULL ? -ENOMEM : sd_event_new(&server.event);
	if (error < 0)
		goto finish_pinned;
	error = access_init(&server.access, options);
	if (error < 0)
		goto unref_event;
	server.notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server.reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (server.notify_fd < 0 || server.reserve_fd < 0) {
		error = -errno;
		goto unref_event;
	}
	error = reaper_create(on_reaped, &server, &server.reaper);
	if (error < 0)
		goto unref_event;
	error = controls_create(options, source, server.notify_fd, &server.controls);
	if (error < 0)
		goto destroy_reaper;
	error = pause_keeper_create(options->name, server.notify_fd, &server.pause_keeper);
	if (error < 0)
		goto destroy_controls;
	if (pause_load(options->name, &pause))
		server_begin_paused(&server, &pause);
	error = camera_create(options, source, &server.pinned, server.notify_fd,
		server.send_unit_ns, server.paused ? &pause : NULL, &server.camera);
	if (error < 0)
		goto destroy_keeper;
	error = service_create(&server, history, &server.service);
	if (error < 0)
		goto destroy_camera;
	error = add_events(&server);
	if (error < 0)
		goto destroy_service;
	service_ready(server.service);
	error = sd_event_loop(server.event); /* what sd_event_exit() was given */
	service_stopping(server.service);
	say_goodbye(&server);

destroy_service:
	service_destroy(server.service);
destroy_camera:
	camera_destroy(server.camera);
destroy_keeper:
	pause_keeper_destroy(server.pause_keeper);
destroy_controls:
	controls_destroy(server.controls);
destroy_reaper:
	reaper_destroy(server.reaper);
unref_event:
	client_log_finish(&server);
	sd_event_source_unref(server.accept);
	sd_event_unref(server.event);
	if (server.notify_fd >= 0)
		close(server.notify_fd);
	if (server.reserve_fd >= 0)
		close(server.reserve_fd);
finish_pinned:
	access_finish(&server.access);
	free(server.uid_counts);
	pinned_finish(&server.pinned);
	pthread_mutex_destroy(&server.dead_lock);
	if (error < 0)
		log_event(LOG_ERR,
			&(struct log_fields){.message_id = LOG_START_FAILED,
				.camera = options->name,
				.error = error},
			"%s", strerror(-error));
	return error == EXIT_FAILURE ? -EIO : error;
}
