/* SPDX-License-Identifier: MIT */
#include "pause.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "paused"
#define NEW_NAME  "paused.new" /* until it is written */

struct pause_keeper {
	char directory[PATH_MAX]; /* empty: there is none */
	int notify_fd;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock: */
	bool off; /* what is to be kept */
	struct camera_pause pause;
	uint64_t wanted, kept; /* numbers; wanted > kept: there is something to write */
	int error;             /* of what was kept last */
	char text[SOURCE_TEXT_SIZE];
	bool quit;
};

/* ---- where ---- */

/* An absolute path from the environment; NULL: none. */
static const char *environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value != NULL && value[0] == '/' ? value : NULL;
}

/* *ret_given: by systemd. -ENOENT: there is none. */
static int find_directory(const char *name, char ret_path[PATH_MAX], bool *ret_given)
{
	const char *given = environment("STATE_DIRECTORY"), *home;
	int length;

	*ret_given = given != NULL;
	if (given != NULL) /* of several, divided by colons, the first */
		length = snprintf(ret_path, PATH_MAX, "%.*s", (int)strcspn(given, ":"), given);
	else if (geteuid() == 0)
		length = snprintf(ret_path, PATH_MAX, "/var/lib/camtap/%s", name);
	else if ((home = environment("XDG_STATE_HOME")) != NULL)
		length = snprintf(ret_path, PATH_MAX, "%s/camtap/%s", home, name);
	else if ((home = environment("HOME")) != NULL)
		length = snprintf(ret_path, PATH_MAX, "%s/.local/state/camtap/%s", home, name);
	else
		return -ENOENT;
	return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* A home that is somebody else's (the environment was handed on) has nothing of ours. */
static bool is_reachable(const char *directory)
{
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno != EACCES;
	close(fd);
	return true;
}

/* ---- reading ---- */

/* Negative errno, or the length of what it holds. */
static int read_file(const char *path, char ret_text[SOURCE_TEXT_SIZE], int64_t *ret_time_ns)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), length;
	struct stat status;

	if (fd < 0)
		return -errno;
	length = (int)read(fd, ret_text, SOURCE_TEXT_SIZE - 1);
	if (length < 0 || fstat(fd, &status) < 0) {
		length = -errno;
		close(fd);
		return length;
	}
	close(fd);
	ret_text[length] = '\0';
	ret_text[strcspn(ret_text, "\n")] = '\0';
	*ret_time_ns = status.st_mtim.tv_sec * NSEC_PER_SEC + status.st_mtim.tv_nsec;
	return length;
}

bool pause_load(const char *name, struct camera_pause *ret_pause)
{
	char directory[PATH_MAX], path[PATH_MAX + sizeof FILE_NAME];
	struct camera_pause pause;
	bool given;
	int r;

	if (find_directory(name, directory, &given) < 0)
		return false;
	snprintf(path, sizeof path, "%s/" FILE_NAME, directory);
	r = read_file(path, pause.text, &pause.since_realtime_ns);
	if (r == -ENOENT || r == -ENOTDIR || (r == -EACCES && !given && !is_reachable(directory)))
		return false;
	if (r < 0) {
		snprintf(pause.text, sizeof pause.text, "paused, because %.300s cannot be read: %s",
			path, strerror(-r));
		pause.since_realtime_ns = clock_read(CLOCK_REALTIME);
	} else if (pause.text[0] == '\0') {
		snprintf(pause.text, sizeof pause.text, "paused, as %.300s says", path);
	}
	*ret_pause = pause;
	return true;
}

/* ---- writing ---- */

static int synchronise(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* With those above it. Everybody may see whether a camera is paused. */
static int make_directory(const char *path)
{
	char parent[PATH_MAX], *slash;
	int r;

	if (mkdir(path, 0755) < 0) {
		if (errno == EEXIST)
			return 0;
		if (errno != ENOENT)
			return -errno;
		snprintf(parent, sizeof parent, "%s", path);
		slash = strrchr(parent, '/');
		if (slash == NULL || slash == parent)
			return -ENOENT;
		*slash = '\0';
		r = make_directory(parent);
		if (r < 0)
			return r;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	snprintf(parent, sizeof parent, "%s/..", path);
	return synchronise(parent);
}

static int write_new(int directory, const struct camera_pause *pause)
{
	const struct timespec since = {.tv_sec = pause->since_realtime_ns / NSEC_PER_SEC,
		.tv_nsec = pause->since_realtime_ns % NSEC_PER_SEC};
	const struct timespec times[2] = {since, since};
	int fd = openat(
		directory, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	int r = 0;

	if (fd < 0)
		return -errno;
	errno = EIO;
	if (fchmod(fd, 0644) < 0 || dprintf(fd, "%s\n", pause->text) < 0 ||
		futimens(fd, times) < 0 || fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int write_file(const char *path, const struct camera_pause *pause)
{
	int directory, r = make_directory(path);

	if (r < 0)
		return r;
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	r = write_new(directory, pause);
	if (r == 0 &&
		(renameat(directory, NEW_NAME, directory, FILE_NAME) < 0 || fsync(directory) < 0))
		r = -errno;
	close(directory);
	return r;
}

static int remove_file(const char *path)
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (directory < 0)
		return errno == ENOENT ? 0 : -errno;
	/* it is looked for first: where nothing can be written, nothing may have to be */
	if (faccessat(directory, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		r = unlinkat(directory, FILE_NAME, 0) < 0 || fsync(directory) < 0 ? -errno : 0;
	close(directory);
	return r;
}

static int keep(
	const char *directory, const struct camera_pause *pause, char text[SOURCE_TEXT_SIZE])
{
	int r;

	if (directory[0] == '\0')
		r = pause != NULL ? -ENOENT : 0;
	else
		r = pause != NULL ? write_file(directory, pause) : remove_file(directory);
	if (r == 0)
		return 0;
	snprintf(text, SOURCE_TEXT_SIZE,
		"the camera is %s, but when camtapd is started again it will be %s: %.250s"
		"/" FILE_NAME ": %s",
		pause != NULL ? "off" : "on", pause != NULL ? "on" : "off",
		directory[0] != '\0' ? directory : "$HOME", strerror(-r));
	return r;
}

static void *run(void *userdata)
{
	struct pause_keeper *keeper = userdata;

	(void)pthread_setname_np(pthread_self(), "pause");
	pthread_mutex_lock(&keeper->lock);
	while (!keeper->quit || keeper->kept < keeper->wanted) {
		struct camera_pause pause = keeper->pause;
		uint64_t number = keeper->wanted;
		char text[SOURCE_TEXT_SIZE] = "";
		bool off = keeper->off;
		int r;

		if (keeper->kept == number) {
			pthread_cond_wait(&keeper->wake, &keeper->lock);
			continue;
		}
		pthread_mutex_unlock(&keeper->lock);
		r = keep(keeper->directory, off ? &pause : NULL, text);
		pthread_mutex_lock(&keeper->lock);
		keeper->kept = number;
		keeper->error = r;
		memcpy(keeper->text, text, sizeof keeper->text);
		(void)eventfd_write(keeper->notify_fd, 1);
	}
	pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

/* ---- life ---- */

int pause_keeper_create(const char *name, int notify_fd, struct pause_keeper **ret_keeper)
{
	struct pause_keeper *keeper = calloc(1, sizeof *keeper);
	sigset_t all, old;
	bool given;
	int error;

	if (keeper == NULL)
		return -ENOMEM;
	keeper->notify_fd = notify_fd;
	if (find_directory(name, keeper->directory, &given) < 0)
		keeper->directory[0] = '\0';
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_cond_init(&keeper->wake, NULL);
	sigfillset(&all); /* signals are the server thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = -pthread_create(&keeper->thread, NULL, run, keeper);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error < 0) {
		pthread_cond_destroy(&keeper->wake);
		pthread_mutex_destroy(&keeper->lock);
		free(keeper);
		return error;
	}
	*ret_keeper = keeper;
	return 0;
}

void pause_keeper_destroy(struct pause_keeper *keeper)
{
	if (keeper == NULL)
		return;
	pthread_mutex_lock(&keeper->lock);
	keeper->quit = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

/* ---- server thread ---- */

uint64_t pause_keep(struct pause_keeper *keeper, const struct camera_pause *pause)
{
	uint64_t number;

	pthread_mutex_lock(&keeper->lock);
	keeper->off = pause != NULL;
	if (pause != NULL)
		keeper->pause = *pause;
	number = ++keeper->wanted;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
	return number;
}

bool pause_is_kept(
	struct pause_keeper *keeper, uint64_t number, int *ret_error, char text[SOURCE_TEXT_SIZE])
{
	bool kept;

	pthread_mutex_lock(&keeper->lock);
	kept = keeper->kept >= number;
	if (kept) {
		*ret_error = keeper->error;
		memcpy(text, keeper->text, SOURCE_TEXT_SIZE);
	}
	pthread_mutex_unlock(&keeper->lock);
	return kept;
}
