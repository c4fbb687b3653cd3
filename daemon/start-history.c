/* SPDX-License-Identifier: MIT */
#include "start-history.h"

#include "clock.h"
#include "log-messages.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define PAUSE_MIN_NS (100 * NSEC_PER_MSEC)
#define PAUSE_MAX_NS (10 * NSEC_PER_SEC)
#define FAILURES_MAX 1000
#define TEXT_SIZE    64

static const char *const kind_names[] = {
	[START_FAILURE_RUN] = "run",
	[START_FAILURE_CONFIGURATION] = "configuration",
};

static uint32_t read_failures(const char *path, enum start_failure kind)
{
	char text[TEXT_SIZE], name[TEXT_SIZE];
	uint32_t failures;
	ssize_t length;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof text - 1);
	close(fd);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	if (sscanf(text, "%63s %" SCNu32, name, &failures) != 2 ||
		strcmp(name, kind_names[kind]) != 0)
		return 0;
	return failures < FAILURES_MAX ? failures : FAILURES_MAX;
}

/* Not synced: the folder does not outlive the machine's run either. */
static void write_failures(const char *path, enum start_failure kind, uint32_t failures)
{
	char text[TEXT_SIZE];
	int fd, length;

	length = snprintf(text, sizeof text, "%s %" PRIu32 "\n", kind_names[kind], failures);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		log_warning("%s: cannot be written (%s): a daemon that fails again and again will "
			    "not hold back",
			path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void start_history_begin(struct start_history *ret_history, enum start_failure kind)
{
	const char *directory =
		getenv("RUNTIME_DIRECTORY"); /* RuntimeDirectory=: systemd.exec(5) */

	*ret_history = (struct start_history){0};
	if (directory == NULL || *directory != '/' ||
		snprintf(ret_history->path, sizeof ret_history->path, "%s/failures", directory) >=
			(int)sizeof ret_history->path) {
		ret_history->path[0] = '\0';
		return;
	}
	ret_history->failures = read_failures(ret_history->path, kind);
	write_failures(ret_history->path, kind, ret_history->failures + 1);
}

int64_t start_history_pause(const struct start_history *history)
{
	int64_t pause = PAUSE_MIN_NS;

	if (history->failures < 2)
		return 0;
	for (uint32_t i = 2; i < history->failures && pause < PAUSE_MAX_NS; i++)
		pause *= 2;
	return pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS;
}

bool start_history_wait(struct start_history *history)
{
	int64_t pause = start_history_pause(history);
	struct timespec time = {.tv_sec = pause / NSEC_PER_SEC, .tv_nsec = pause % NSEC_PER_SEC};
	sigset_t signals, old;
	int number;

	if (pause == 0)
		return true;
	log_event(LOG_WARNING, &(struct log_fields){.message_id = LOG_START_DELAYED},
		"the last %" PRIu32 " runs ended in failure: this one begins in %.3g s",
		history->failures, (double)pause / NSEC_PER_SEC);
	sd_notifyf(0, "STATUS=%" PRIu32 " runs in a row ended in failure: waiting %.3g s",
		history->failures, (double)pause / NSEC_PER_SEC);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, &old);
	number = sigtimedwait(&signals, NULL, &time);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (number > 0)
		start_history_forget(history);
	return number <= 0;
}

void start_history_forget(struct start_history *history)
{
	if (history->path[0] != '\0')
		write_failures(history->path, START_FAILURE_RUN, 0);
	history->failures = 0;
}
