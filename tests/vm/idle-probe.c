/* SPDX-License-Identifier: MIT */

/*
 * idle-probe SOCKET LOOKS CAMTAPD [ARGUMENTS...]: starts camtapd as a service manager does that
 * wants to hear of it (NOTIFY_SOCKET, WATCHDOG_USEC), and counts what wakes it while it is idle:
 * before its first reader, and after its last one. A line for each:
 *
 *   WHEN looks=N woken=NAME:VOLUNTARY+INVOLUNTARY ...
 *
 * looks: WATCHDOG=1 was said so often. woken: context switches of each thread in that time. Ends
 * with 1 if a thread has more than one of its own accord for each look, or more that it was forced
 * to; of those that the watchdog does not ask, if they have any.
 */

#include "camtap.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANAGER       "/run/idle-probe-notify"
#define WATCHDOG_USEC "2000000"
#define PATIENCE_MS   30000
#define THREADS_MAX   16
#define FRAMES        30
#define PREEMPTIONS   10 /* in one look, on a busy machine; a thread that spins has more */
#define NEVER         (-1)

struct thread {
	int id;
	char name[32], state;
	unsigned long voluntary, involuntary;
};

struct threads {
	struct thread threads[THREADS_MAX];
	unsigned count;
};

static pid_t daemon_pid;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("idle-probe: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	if (daemon_pid > 0)
		kill(daemon_pid, SIGKILL);
	exit(1);
}

/* ---- the service manager ---- */

static int listen_as_manager(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = MANAGER};
	int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(MANAGER);
	if (manager < 0 || bind(manager, (struct sockaddr *)&address, sizeof address) < 0)
		die("%s: %s", MANAGER, strerror(errno));
	return manager;
}

/* The next message; false: there is none in time. */
static bool next_message(int manager, int timeout_ms, char *text, size_t size)
{
	struct pollfd fd = {.fd = manager, .events = POLLIN};
	ssize_t length;

	if (poll(&fd, 1, timeout_ms) <= 0)
		return false;
	length = recv(manager, text, size - 1, 0);
	text[length > 0 ? length : 0] = '\0';
	return true;
}

/* Waits for a message with that in it. */
static void await_message(int manager, const char *wanted)
{
	char text[2048] = "";

	do
		if (!next_message(manager, PATIENCE_MS, text, sizeof text))
			die("it did not say %s", wanted);
	while (strstr(text, wanted) == NULL);
}

/* Counts the looks of the watchdog: `wanted` of them, or those that have been told already. */
static int count_looks(int manager, int wanted)
{
	char text[2048];
	int looks = 0;

	while ((wanted == NEVER || looks < wanted) &&
		next_message(manager, wanted == NEVER ? 0 : PATIENCE_MS, text, sizeof text))
		looks += strstr(text, "WATCHDOG=1") != NULL;
	if (wanted != NEVER && looks < wanted)
		die("the watchdog was not fed");
	return looks;
}

/* ---- threads ---- */

static unsigned long number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at != NULL ? strtoul(at + strlen(key), NULL, 10) : 0;
}

static void read_threads(struct threads *threads)
{
	char path[64], text[4096];
	struct dirent *entry;
	DIR *folder;

	memset(threads, 0, sizeof *threads); /* padding, too: they are compared */
	snprintf(path, sizeof path, "/proc/%d/task", (int)daemon_pid);
	folder = opendir(path);
	if (folder == NULL)
		die("camtapd has ended");
	while ((entry = readdir(folder)) != NULL && threads->count < THREADS_MAX) {
		struct thread *thread = &threads->threads[threads->count];
		FILE *file;
		size_t length;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%.16s/status", (int)daemon_pid,
			entry->d_name);
		file = fopen(path, "re");
		if (file == NULL)
			die("%s has gone", path);
		length = fread(text, 1, sizeof text - 1, file);
		text[length] = '\0';
		fclose(file);
		if (sscanf(text, "Name: %31s", thread->name) != 1 ||
			strstr(text, "State:\t") == NULL)
			die("%s: what is that?", path);
		thread->id = atoi(entry->d_name);
		thread->state = strstr(text, "State:\t")[strlen("State:\t")];
		thread->voluntary = number_after(text, "\nvoluntary_ctxt_switches:");
		thread->involuntary = number_after(text, "nonvoluntary_ctxt_switches:");
		threads->count++;
	}
	closedir(folder);
}

/* Waits until all sleep: twice the same. */
static void await_sleep(struct threads *ret_threads)
{
	struct threads before;

	for (int looks = 0; looks < PATIENCE_MS / 10; looks++) {
		bool asleep = true;

		read_threads(&before);
		poll(NULL, 0, 10); /* another look */
		read_threads(ret_threads);
		for (unsigned i = 0; i < ret_threads->count; i++)
			asleep = asleep && ret_threads->threads[i].state == 'S';
		if (asleep && memcmp(&before, ret_threads, sizeof before) == 0)
			return;
	}
	die("it does not come to rest");
}

/* ---- what is looked at ---- */

static bool observe(int manager, int looks, const char *when)
{
	struct threads before, after;
	bool good = true;

	(void)count_looks(manager, NEVER);
	(void)count_looks(manager, 2); /* the timer of the status text is quicker than that */
	await_sleep(&before);
	looks = count_looks(manager, looks);
	await_sleep(&after);
	looks += count_looks(manager, NEVER); /* what woke it meanwhile */
	printf("%s looks=%d woken=", when, looks);
	if (before.count != after.count)
		die("threads came or went");
	for (unsigned i = 0; i < after.count; i++) {
		const struct thread *thread = &after.threads[i];
		unsigned long voluntary = thread->voluntary - before.threads[i].voluntary;
		unsigned long involuntary = thread->involuntary - before.threads[i].involuntary;
		bool asked = thread->id == daemon_pid || strcmp(thread->name, "capture") == 0;
		unsigned long limit = asked ? (unsigned long)looks : 0;

		printf("%s:%lu+%lu ", thread->name, voluntary, involuntary);
		good = good && voluntary <= limit && involuntary <= limit * PREEMPTIONS;
	}
	printf("\n");
	return good;
}

static void read_frames(const char *socket)
{
	struct camtap_frame *frame;
	struct camtap *camera;
	int outcome, frames = 0;

	if (camtap_new(&camera) < 0 || camtap_set_socket(camera, socket) < 0 ||
		camtap_connect(camera) < 0)
		die("cannot attach");
	while (frames < FRAMES) {
		outcome = camtap_next(camera, &frame, PATIENCE_MS);
		if (outcome <= 0)
			die("no frame: %s", camtap_error_text(camera));
		if (outcome != CAMTAP_FRAME)
			continue;
		frames++;
		if (camtap_release(frame) < 0)
			frames--; /* too late */
	}
	camtap_close(camera);
}

int main(int argc, char **argv)
{
	int manager, looks, status;
	bool good;

	if (argc < 4)
		return 2;
	looks = atoi(argv[2]);
	manager = listen_as_manager();
	setenv("NOTIFY_SOCKET", MANAGER, 1);
	setenv("WATCHDOG_USEC", WATCHDOG_USEC, 1);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	await_message(manager, "READY=1");
	good = observe(manager, looks, "before");
	read_frames(argv[1]);
	await_message(manager, "STATUS=streaming");
	await_message(manager, "STATUS=idle: 0 readers");
	good = observe(manager, looks, "after") && good;
	kill(daemon_pid, SIGTERM);
	if (waitpid(daemon_pid, &status, 0) != daemon_pid || status != 0)
		die("camtapd ended badly");
	return !good;
}
