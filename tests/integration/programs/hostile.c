/* SPDX-License-Identifier: MIT */
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct attack {
	const char *name;
	int (*run)(struct hostile_options *options);
	const char *help;
} attacks[] = {
	{"scribble", hostile_scribble, "random words all over the guard, again after each BYE"},
	{"scribble-plausible", hostile_scribble_plausible, "says that it holds every slot"},
	{"overhold", hostile_overhold, "takes more frames than it may, and stays"},
	{"punch", hostile_punch, "holes and new mappings of the guard after READY"},
	{"punch-first", hostile_punch_first, "a hole in the guard before READY, then reads"},
	{"punch-idle", hostile_punch_idle, "holes at idle priority around READY"},
	{"unsealed", hostile_unsealed, "READY without the seals that it asks for"},
	{"busy-guard", hostile_busy_guard, "a write to the guard that never ends, and READY"},
	{"epoll", hostile_epoll, "its wake-up is in COUNT epoll sets"},
	{"epoll-crowd", hostile_epoll_crowd, "COUNT clients, each just slow enough to pass"},
	{"epoll-observer", hostile_epoll_observer, "as epoll, but only asks for the status"},
	{"epoll-sender", hostile_epoll_sender, "as epoll, and sends what needs no answer"},
	{"busy-socket", hostile_busy_socket, "a read of its socket that never ends"},
	{"bell-crowd", hostile_bell_crowd, "COUNT threads sleep on its word of the bell"},
	{"bell-requeue", hostile_bell_requeue,
		"moves who sleeps there, and wakes them after COUNT ms"},
	{"bell-wake", hostile_bell_wake, "wakes who sleeps there, again and again"},
	{"bell-scribble", hostile_bell_scribble, "listens, and not, and what nobody may say"},
	{"garbage", hostile_garbage, "every message that breaks a rule"},
	{"flood", hostile_flood, "asks for the status as fast as it can"},
	{"hoard", hostile_hoard, "COUNT clients ask for the status and never read it"},
	{"linger", hostile_linger, "sends TCP sockets that linger"},
	{"connect-flood", hostile_connect_flood, "connects without a HELLO up to the limits"},
	{"fork-hold", hostile_fork_hold, "dies while its child keeps the socket"},
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void hostile_ready(struct hostile_options *options)
{
	options->deadline_ns = now_ns() + (int64_t)(options->seconds * 1e9);
	printf("ready\n");
	fflush(stdout);
}

bool hostile_time_left(const struct hostile_options *options)
{
	return now_ns() < options->deadline_ns;
}

void hostile_wait(const struct hostile_options *options)
{
	struct timespec until = {.tv_sec = options->deadline_ns / 1000000000,
		.tv_nsec = options->deadline_ns % 1000000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		continue;
}

void hostile_die(const char *what, int error)
{
	fprintf(stderr, "hostile: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(2);
}

static int usage(void)
{
	fprintf(stderr, "Usage: hostile ATTACK SOCKET SECONDS [COUNT]\n");
	for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
		fprintf(stderr, "  %-20s %s\n", attacks[i].name, attacks[i].help);
	return 2;
}

int main(int argc, char **argv)
{
	struct hostile_options options = {0};

	if (argc < 4)
		return usage();
	options.socket = argv[2];
	options.seconds = atof(argv[3]);
	options.count = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
	for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
		if (strcmp(argv[1], attacks[i].name) == 0)
			return attacks[i].run(&options);
	}
	return usage();
}
