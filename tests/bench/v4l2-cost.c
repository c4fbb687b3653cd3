/* SPDX-License-Identifier: MIT */

/*
 * v4l2-cost SECONDS command PROGRAM [ARGUMENTS...]
 * v4l2-cost SECONDS daemon READERS SOCKET CAMTAPD [ARGUMENTS...]
 *
 * Starts something that takes frames, and measures it from outside for so long, once it has got
 * some frames: as one JSON object, its CPU time (by the scheduler's clock,
 * /proc/PID/task/TID/schedstat) of each thread, that of vivid's kernel threads, the frames that it
 * got, those that the driver dropped, and the seconds.
 *
 * command: one that writes a '<' to standard error for each frame, as v4l2-ctl does: a pipe that
 * nobody waits for. daemon: camtapd, and so many readers, each a process of its own; frames are
 * what the daemon says it has published. tests/bench/v4l2.py uses it in the guest of tests/vm.
 */

#include "camtap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP_FRAMES 60
#define LOOK_NS        10000000
#define LOOKS_MAX      2000 /* until there are frames */
#define THREADS_MAX    16
#define READERS_MAX    64
#define NAME_SIZE      32

struct thread {
	char name[NAME_SIZE];
	uint64_t cpu_ns;
};

struct costs {
	struct thread threads[THREADS_MAX];
	unsigned thread_count;
	uint64_t vivid_ns, frames, dropped;
	int64_t time_ns;
};

/* What is measured. */
struct subject {
	pid_t pid;
	int marks;             /* command: its standard error */
	struct camtap *camera; /* daemon */
	uint64_t frames;       /* command: so far */
};

static pid_t children[1 + READERS_MAX];
static unsigned child_count;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("v4l2-cost: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	while (child_count > 0)
		kill(children[--child_count], SIGKILL);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void rest(int64_t ns)
{
	struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

/* ---- CPU time ---- */

/* The first line of a file below /proc; false: it has gone. */
static bool read_line(char *line, size_t size, const char *format, ...)
{
	char path[128];
	va_list arguments;
	FILE *file;
	bool good;

	va_start(arguments, format);
	vsnprintf(path, sizeof path, format, arguments);
	va_end(arguments);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	good = fgets(line, (int)size, file) != NULL;
	fclose(file);
	line[good ? strcspn(line, "\n") : 0] = '\0';
	return good;
}

static void read_threads(pid_t pid, struct costs *costs)
{
	char path[64], line[128];
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	folder = opendir(path);
	if (folder == NULL)
		die("it has ended");
	while ((entry = readdir(folder)) != NULL && costs->thread_count < THREADS_MAX) {
		struct thread *thread = &costs->threads[costs->thread_count];

		if (entry->d_name[0] == '.' ||
			!read_line(thread->name, sizeof thread->name, "%s/%s/comm", path,
				entry->d_name) ||
			!read_line(line, sizeof line, "%s/%s/schedstat", path, entry->d_name))
			continue;
		thread->cpu_ns = strtoull(line, NULL, 10);
		costs->thread_count++;
	}
	closedir(folder);
}

/* vivid's threads are the kernel's: a draw of the picture must be in nobody else's figure. */
static uint64_t vivid_cpu_ns(void)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	uint64_t sum = 0;
	char line[128];

	if (folder == NULL)
		die("/proc: %s", strerror(errno));
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			read_line(line, sizeof line, "/proc/%s/comm", entry->d_name) &&
			strncmp(line, "vivid-", strlen("vivid-")) == 0 &&
			read_line(line, sizeof line, "/proc/%s/schedstat", entry->d_name))
			sum += strtoull(line, NULL, 10);
	closedir(folder);
	return sum;
}

/* ---- frames ---- */

static uint64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	if (at == NULL)
		die("no %s in the status", key);
	at += strlen(key);
	return strtoull(at + strcspn(at, "0123456789"), NULL, 10);
}

static void read_frames(struct subject *subject, struct costs *costs)
{
	char text[4096], *status;
	ssize_t length;
	int error;

	if (subject->camera != NULL) {
		error = camtap_status(subject->camera, &status, 10000);
		if (error < 0)
			die("status: %s", strerror(-error));
		/* of the native stream, which is the first */
		costs->frames = number_after(status, "\"published\"");
		costs->dropped = number_after(status, "\"dropped_driver\"");
		free(status);
		return;
	}
	while ((length = read(subject->marks, text, sizeof text)) > 0)
		for (ssize_t i = 0; i < length; i++)
			subject->frames += text[i] == '<';
	if (length == 0)
		die("it has ended");
	costs->frames = subject->frames;
}

/* Answering costs the daemon something: that is to lie outside of the window. */
static void begin_costs(struct subject *subject, struct costs *costs)
{
	*costs = (struct costs){0};
	read_frames(subject, costs);
	costs->vivid_ns = vivid_cpu_ns();
	read_threads(subject->pid, costs);
	costs->time_ns = now_ns();
}

static void end_costs(struct subject *subject, struct costs *costs)
{
	*costs = (struct costs){.time_ns = now_ns()};
	read_threads(subject->pid, costs);
	costs->vivid_ns = vivid_cpu_ns();
	read_frames(subject, costs);
}

static void await_frames(struct subject *subject)
{
	struct costs costs = {0};

	for (unsigned looks = 0; costs.frames < WARM_UP_FRAMES; looks++) {
		if (looks == LOOKS_MAX)
			die("no frames come");
		rest(LOOK_NS); /* nobody is to be woken by what is measured */
		read_frames(subject, &costs);
	}
}

/* ---- what is measured ---- */

static pid_t spawn(char **command, int standard_error)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (standard_error >= 0)
			dup2(standard_error, STDERR_FILENO);
		execvp(command[0], command);
		_exit(127);
	}
	children[child_count++] = pid;
	return pid;
}

static void start_command(struct subject *subject, char **command)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		die("pipe: %s", strerror(errno));
	subject->marks = ends[0];
	subject->pid = spawn(command, ends[1]);
	close(ends[1]);
}

static struct camtap *attach(const char *socket, enum camtap_mode mode)
{
	struct camtap *camera;

	if (camtap_new(&camera) < 0 || camtap_set_socket(camera, socket) < 0 ||
		camtap_set_mode(camera, mode) < 0 || camtap_connect(camera) < 0)
		die("cannot attach to %s", socket);
	return camera;
}

static void read_for_ever(const char *socket)
{
	struct camtap *camera = attach(socket, CAMTAP_MODE_READ);
	struct camtap_frame *frame;
	int outcome;

	while ((outcome = camtap_next(camera, &frame, -1)) >= 0)
		if (outcome == CAMTAP_FRAME)
			outcome = camtap_release(frame); /* nobody looks at the pixels */
	_exit(1);                                        /* it has gone */
}

static void start_daemon(
	struct subject *subject, unsigned readers, const char *socket, char **command)
{
	unsigned looks = 0;

	subject->pid = spawn(command, -1);
	while (access(socket, F_OK) < 0) {
		if (looks++ == LOOKS_MAX)
			die("camtapd does not listen");
		rest(LOOK_NS);
	}
	subject->camera = attach(socket, CAMTAP_MODE_OBSERVE);
	for (unsigned i = 0; i < readers; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			read_for_ever(socket);
		}
		children[child_count++] = pid;
	}
}

static void stop_all(void)
{
	while (child_count > 0) {
		kill(children[--child_count], SIGTERM);
		waitpid(children[child_count], NULL, 0);
	}
}

static void print(const struct costs *before, const struct costs *after)
{
	printf("{\"seconds\": %.3f, \"frames\": %" PRIu64 ", \"dropped\": %" PRIu64
	       ", \"vivid_ns\": %" PRIu64 ", \"threads\": {",
		(double)(after->time_ns - before->time_ns) / 1e9, after->frames - before->frames,
		after->dropped - before->dropped, after->vivid_ns - before->vivid_ns);
	if (before->thread_count != after->thread_count)
		die("threads came or went");
	for (unsigned i = 0; i < after->thread_count; i++)
		printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", after->threads[i].name,
			after->threads[i].cpu_ns - before->threads[i].cpu_ns);
	printf("}}\n");
}

int main(int argc, char **argv)
{
	struct subject subject = {.marks = -1};
	struct costs before, after;

	if (argc >= 4 && strcmp(argv[2], "command") == 0)
		start_command(&subject, argv + 3);
	else if (argc >= 6 && strcmp(argv[2], "daemon") == 0 &&
		 strtoul(argv[3], NULL, 10) <= READERS_MAX)
		start_daemon(&subject, (unsigned)strtoul(argv[3], NULL, 10), argv[4], argv + 5);
	else
		return 2;
	await_frames(&subject);
	fprintf(stderr, "measuring %d\n", (int)subject.pid);
	begin_costs(&subject, &before);
	rest((int64_t)(strtod(argv[1], NULL) * 1e9));
	end_costs(&subject, &after);
	print(&before, &after);
	camtap_close(subject.camera);
	stop_all();
	return 0;
}
