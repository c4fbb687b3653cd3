/* SPDX-License-Identifier: MIT */
#include "reaper.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct reaper_entry {
	struct reaper_entry *next;
	void *token;
	void (*call)(void *argument); /* with token as its argument; NULL: close fds */
	size_t fd_count;
	int fds[];
};

struct reaper {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct reaper_entry *first, **last;
	bool quit;
	void (*done)(void *token, void *userdata);
	void *userdata;
};

static void close_all(const int *fds, size_t fd_count)
{
	/* for a foreign socket: do not linger. Fails for everything else, which is as well. */
	static const struct linger off = {.l_onoff = 1, .l_linger = 0};

	for (size_t i = 0; i < fd_count; i++) {
		if (fds[i] < 0)
			continue;
		(void)setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &off, sizeof off);
		close(fds[i]);
	}
}

static void *reaper_run(void *userdata)
{
	struct reaper *reaper = userdata;

	(void)pthread_setname_np(pthread_self(), "reaper");
	pthread_mutex_lock(&reaper->lock);
	for (;;) {
		struct reaper_entry *entry = reaper->first;

		if (entry == NULL && reaper->quit)
			break;
		if (entry == NULL) {
			pthread_cond_wait(&reaper->wake, &reaper->lock);
			continue;
		}
		reaper->first = entry->next;
		if (reaper->first == NULL)
			reaper->last = &reaper->first;
		pthread_mutex_unlock(&reaper->lock);
		close_all(entry->fds, entry->fd_count);
		if (entry->call != NULL)
			entry->call(entry->token);
		else if (entry->token != NULL)
			reaper->done(entry->token, reaper->userdata);
		free(entry);
		pthread_mutex_lock(&reaper->lock);
	}
	pthread_mutex_unlock(&reaper->lock);
	return NULL;
}

int reaper_create(
	void (*done)(void *token, void *userdata), void *userdata, struct reaper **ret_reaper)
{
	struct reaper *reaper = calloc(1, sizeof *reaper);
	int error;

	if (reaper == NULL)
		return -ENOMEM;
	pthread_mutex_init(&reaper->lock, NULL);
	pthread_cond_init(&reaper->wake, NULL);
	reaper->last = &reaper->first;
	reaper->done = done;
	reaper->userdata = userdata;
	error = -pthread_create(&reaper->thread, NULL, reaper_run, reaper);
	if (error < 0) {
		free(reaper);
		return error;
	}
	*ret_reaper = reaper;
	return 0;
}

void reaper_destroy(struct reaper *reaper)
{
	if (reaper == NULL)
		return;
	pthread_mutex_lock(&reaper->lock);
	reaper->quit = true;
	pthread_cond_signal(&reaper->wake);
	pthread_mutex_unlock(&reaper->lock);
	pthread_join(reaper->thread, NULL);
	pthread_cond_destroy(&reaper->wake);
	pthread_mutex_destroy(&reaper->lock);
	free(reaper);
}

static void append(struct reaper *reaper, struct reaper_entry *entry)
{
	pthread_mutex_lock(&reaper->lock);
	*reaper->last = entry;
	reaper->last = &entry->next;
	pthread_cond_signal(&reaper->wake);
	pthread_mutex_unlock(&reaper->lock);
}

void reaper_close(struct reaper *reaper, const int *fds, size_t fd_count, void *token)
{
	struct reaper_entry *entry = calloc(1, sizeof *entry + fd_count * sizeof *fds);

	if (entry == NULL) {
		close_all(fds, fd_count);
		if (token != NULL)
			reaper->done(token, reaper->userdata);
		return;
	}
	entry->token = token;
	entry->fd_count = fd_count;
	memcpy(entry->fds, fds, fd_count * sizeof *fds);
	append(reaper, entry);
}

void reaper_call(struct reaper *reaper, void (*call)(void *argument), void *argument)
{
	struct reaper_entry *entry = calloc(1, sizeof *entry);

	if (entry == NULL) {
		call(argument);
		return;
	}
	entry->call = call;
	entry->token = argument;
	append(reaper, entry);
}
