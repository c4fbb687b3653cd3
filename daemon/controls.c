/* SPDX-License-Identifier: MIT */
#include "controls.h"

#include "clock.h"
#include "log-messages.h"
#include "log.h"
#include "options.h"
#include "source-v4l2-controls.h"
#include "source-v4l2-device.h"
#include "source-v4l2-identity.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* Between two looks at the device: clients that ask for nothing but lists must not be all that it
 * does. */
#define LIST_PAUSE_NS (50 * NSEC_PER_MSEC)
/* A camera that is tried again every second and fails says what is wrong with its controls once. */
#define REPEAT_NS (60 * NSEC_PER_SEC)

_Static_assert(SOURCE_TEXT_SIZE == V4L2_CONTROLS_ERROR_SIZE, "one is passed on as the other");

struct queue {
	struct controls_request *first, **last;
};

struct controls {
	const struct options *options;
	struct source *source;
	int notify_fd;
	pthread_t thread;
	bool thread_running;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock: */
	struct queue sets, lists, answers;
	struct control_list configured; /* [Controls] */
	struct control_list remembered; /* what clients have set */
	uint64_t remembered_version;    /* changes with it */
	struct v4l2_identity identity;  /* the source's own is the capture thread's */
	bool quit;
	bool asking;                    /* the worker has the device open, or will */
	char refusal[SOURCE_TEXT_SIZE]; /* not empty: it must not be opened, and why */

	/* Of the worker: */
	int64_t listed_ns; /* when the last list was made */

	/* Of the capture thread: */
	char *complaints; /* of the last controls_apply(); NULL: none */
	int64_t complained_ns;
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_append(struct queue *queue, struct controls_request *request)
{
	request->next = NULL;
	*queue->last = request;
	queue->last = &request->next;
}

static struct controls_request *queue_take(struct queue *queue)
{
	struct controls_request *request = queue->first;

	if (request == NULL)
		return NULL;
	queue->first = request->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	request->next = NULL;
	return request;
}

/* Frees those of an owner, or all. */
static void queue_drop(struct queue *queue, const uint64_t *owner)
{
	struct controls_request *request;
	struct queue kept;

	queue_init(&kept);
	while ((request = queue_take(queue)) != NULL) {
		if (owner != NULL && request->owner != *owner)
			queue_append(&kept, request);
		else
			controls_request_free(request);
	}
	*queue = kept;
	if (queue->first == NULL)
		queue->last = &queue->first;
}

void controls_request_free(struct controls_request *request)
{
	if (request == NULL)
		return;
	free(request->document);
	free(request);
}

static void answer(struct controls *controls, struct controls_request *request)
{
	pthread_mutex_lock(&controls->lock);
	queue_append(&controls->answers, request);
	pthread_mutex_unlock(&controls->lock);
	(void)eventfd_write(controls->notify_fd, 1);
}

/* ---- what is set again when the device is opened again ---- */

/* Remembers a value. *ret_before is what was remembered before, for restore(). */
static int remember(struct controls *controls, const char *name, const char *value,
	struct control_list *ret_before)
{
	int r;

	pthread_mutex_lock(&controls->lock);
	r = control_list_copy(&controls->remembered, ret_before);
	if (r == 0) {
		r = control_list_set(&controls->remembered, name, value);
		if (r < 0)
			control_list_finish(ret_before);
	}
	controls->remembered_version++;
	pthread_mutex_unlock(&controls->lock);
	return r;
}

static void restore(struct controls *controls, const struct control_list *before)
{
	pthread_mutex_lock(&controls->lock);
	control_list_finish(&controls->remembered);
	controls->remembered = *before;
	controls->remembered_version++;
	pthread_mutex_unlock(&controls->lock);
}

/* ---- worker ---- */

/* What some errors mean to clients is about their request, not about the device. */
static int error_of_open(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENXIO:
		return -ENODEV;
	case -EACCES:
	case -EPERM:
	case -EINVAL:
	case -ERANGE:
		return -EIO;
	default:
		return error;
	}
}

static void stop_asking(struct controls *controls)
{
	pthread_mutex_lock(&controls->lock);
	controls->asking = false;
	pthread_mutex_unlock(&controls->lock);
}

/* Opens the device for a request. `scratch` takes the place of the source, which is the capture
 * thread's; path: room for the device's. */
static int open_device(struct controls *controls, struct source *scratch,
	struct v4l2_device *ret_device, char path[SOURCE_TEXT_SIZE])
{
	const char *found;
	int r;

	pthread_mutex_lock(&controls->lock);
	if (controls->refusal[0] != '\0') {
		memcpy(scratch->error, controls->refusal, sizeof scratch->error);
		pthread_mutex_unlock(&controls->lock);
		return -EBUSY;
	}
	controls->asking = true;
	found = v4l2_identity_find(&controls->identity);
	snprintf(path, SOURCE_TEXT_SIZE, "%s", found != NULL ? found : controls->identity.path);
	pthread_mutex_unlock(&controls->lock);
	if (found == NULL) {
		snprintf(scratch->error, sizeof scratch->error,
			"the camera is away, and another one has its place at %.400s", path);
		stop_asking(controls);
		return -ENODEV;
	}
	*ret_device = (struct v4l2_device){.source = scratch, .path = path, .fd = -1};
	r = error_of_open(v4l2_device_open(ret_device, false));
	if (r < 0)
		stop_asking(controls);
	return r;
}

static void close_device(struct controls *controls, struct v4l2_device *device)
{
	v4l2_device_close(device);
	stop_asking(controls);
}

/*
 * The capture thread may open the device and set what it knows at any moment of this. So a value is
 * remembered before it is set, and forgotten again if that failed: whatever the capture thread has
 * set before it saw the new value, this thread sets after it; and once it has seen it, it sets it
 * itself.
 */
static int set(struct controls *controls, const struct v4l2_device *device,
	struct controls_request *request)
{
	struct control_list before;
	int r;

	if (request->configured || v4l2_controls_is_button(device, request->name))
		return v4l2_controls_set(device, request->name, request->value, request->text);
	r = remember(controls, request->name, request->value, &before);
	if (r < 0) {
		snprintf(request->text, sizeof request->text, "out of memory");
		return r;
	}
	r = v4l2_controls_set(device, request->name, request->value, request->text);
	if (r < 0)
		restore(controls, &before);
	else
		control_list_finish(&before);
	return r;
}

static void run_set(struct controls *controls, struct controls_request *request)
{
	struct source scratch = {0};
	struct v4l2_device device;
	char path[SOURCE_TEXT_SIZE];
	bool opened;

	request->error = open_device(controls, &scratch, &device, path);
	opened = request->error == 0;
	if (!opened) {
		memcpy(request->text, scratch.error, sizeof request->text);
	} else {
		request->error = set(controls, &device, request);
		close_device(controls, &device);
	}
	if (request->configured) {
		if (opened && request->error < 0) /* else it is set when it is opened */
			log_event(LOG_WARNING,
				&(struct log_fields){.message_id = LOG_CONTROL_NOT_SET,
					.camera = controls->options->name},
				"control %s", request->text);
		controls_request_free(request);
	} else {
		answer(controls, request);
	}
}

static void run_lists(struct controls *controls, struct queue *lists)
{
	struct source scratch = {0};
	struct v4l2_device device;
	char path[SOURCE_TEXT_SIZE];
	struct controls_request *request;
	char *document = NULL;
	int r;

	r = open_device(controls, &scratch, &device, path);
	if (r == 0) {
		r = v4l2_controls_document(
			&device, controls->options->name, &document, scratch.error);
		close_device(controls, &device);
	}
	while ((request = queue_take(lists)) != NULL) {
		request->error = r;
		if (r == 0)
			request->document = strdup(document);
		if (r == 0 && request->document == NULL) {
			request->error = -ENOMEM;
			snprintf(request->text, sizeof request->text, "out of memory");
		} else {
			memcpy(request->text, scratch.error, sizeof request->text);
		}
		answer(controls, request);
	}
	free(document);
	controls->listed_ns = clock_now();
}

/* Until there is something new, or the next list may be made. */
static void wait(struct controls *controls)
{
	int64_t due = controls->listed_ns + LIST_PAUSE_NS;
	struct timespec deadline = {.tv_sec = due / NSEC_PER_SEC, .tv_nsec = due % NSEC_PER_SEC};

	if (controls->lists.first == NULL)
		pthread_cond_wait(&controls->wake, &controls->lock);
	else
		(void)pthread_cond_timedwait(&controls->wake, &controls->lock, &deadline);
}

static void *controls_run(void *userdata)
{
	struct controls *controls = userdata;

	(void)pthread_setname_np(pthread_self(), "controls");
	pthread_mutex_lock(&controls->lock);
	while (!controls->quit) {
		struct controls_request *request = queue_take(&controls->sets);
		struct queue lists;

		queue_init(&lists);
		if (request == NULL && controls->lists.first != NULL &&
			clock_now() - controls->listed_ns >= LIST_PAUSE_NS) {
			struct controls_request *list;

			while ((list = queue_take(&controls->lists)) != NULL)
				queue_append(&lists, list);
		}
		if (request == NULL && lists.first == NULL) {
			wait(controls);
			continue;
		}
		pthread_mutex_unlock(&controls->lock);
		if (request != NULL)
			run_set(controls, request);
		else
			run_lists(controls, &lists);
		pthread_mutex_lock(&controls->lock);
	}
	pthread_mutex_unlock(&controls->lock);
	return NULL;
}

/* ---- life ---- */

static void warn_if_useless(const struct controls *controls)
{
	if (controls->configured.count > 0)
		log_event(LOG_WARNING,
			&(struct log_fields){.message_id = LOG_CONTROL_NOT_SET,
				.camera = controls->options->name},
			"[Controls] are for V4L2 devices: a source of kind %s has none",
			controls->source->ops->name);
}

int controls_create(const struct options *options, struct source *source, int notify_fd,
	struct controls **ret_controls)
{
	struct controls *controls = calloc(1, sizeof *controls);
	pthread_condattr_t attributes;
	int error;

	if (controls == NULL)
		return -ENOMEM;
	controls->options = options;
	controls->source = source;
	controls->notify_fd = notify_fd;
	controls->listed_ns = clock_now() - LIST_PAUSE_NS;
	queue_init(&controls->sets);
	queue_init(&controls->lists);
	queue_init(&controls->answers);
	pthread_mutex_init(&controls->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&controls->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	error = control_list_copy(&options->controls, &controls->configured);
	if (error < 0)
		goto free_controls;
	if (source->ops->controls_path != NULL) {
		error = v4l2_identity_init(&controls->identity, source->ops->controls_path(source));
		if (error < 0)
			goto free_controls;
		error = -pthread_create(&controls->thread, NULL, controls_run, controls);
		if (error < 0)
			goto free_controls;
		controls->thread_running = true;
	} else {
		warn_if_useless(controls);
	}
	source->controls = controls;
	*ret_controls = controls;
	return 0;

free_controls:
	control_list_finish(&controls->configured);
	v4l2_identity_finish(&controls->identity);
	pthread_cond_destroy(&controls->wake);
	pthread_mutex_destroy(&controls->lock);
	free(controls);
	return error;
}

void controls_destroy(struct controls *controls)
{
	if (controls == NULL)
		return;
	if (controls->thread_running) {
		pthread_mutex_lock(&controls->lock);
		controls->quit = true;
		pthread_cond_signal(&controls->wake);
		pthread_mutex_unlock(&controls->lock);
		pthread_join(controls->thread, NULL);
	}
	controls->source->controls = NULL;
	queue_drop(&controls->sets, NULL);
	queue_drop(&controls->lists, NULL);
	queue_drop(&controls->answers, NULL);
	control_list_finish(&controls->configured);
	control_list_finish(&controls->remembered);
	v4l2_identity_finish(&controls->identity);
	free(controls->complaints);
	pthread_cond_destroy(&controls->wake);
	pthread_mutex_destroy(&controls->lock);
	free(controls);
}

/* ---- server thread ---- */

/* Under the lock. */
static void submit(struct controls *controls, struct controls_request *request)
{
	queue_append(request->set ? &controls->sets : &controls->lists, request);
	pthread_cond_signal(&controls->wake);
}

void controls_submit(struct controls *controls, struct controls_request *request)
{
	if (!controls->thread_running) {
		request->error = -EOPNOTSUPP;
		snprintf(request->text, sizeof request->text,
			"this camera has no controls: its source is no V4L2 device (%s)",
			controls->source->ops->name);
		answer(controls, request);
		return;
	}
	pthread_mutex_lock(&controls->lock);
	submit(controls, request);
	pthread_mutex_unlock(&controls->lock);
}

/* Under the lock. */
static int submit_configured(struct controls *controls, const struct control_setting *setting)
{
	struct controls_request *request = calloc(1, sizeof *request);

	if (request == NULL)
		return -ENOMEM;
	request->set = request->configured = true;
	snprintf(request->name, sizeof request->name, "%s", setting->name);
	snprintf(request->value, sizeof request->value, "%s", setting->value);
	submit(controls, request);
	return 0;
}

int controls_configure(struct controls *controls, const struct control_list *list)
{
	struct control_list before, after;
	int r = control_list_copy(list, &after);

	if (r < 0)
		return r;
	pthread_mutex_lock(&controls->lock);
	before = controls->configured;
	/* first: whoever opens the device meanwhile sets the new values, too */
	controls->configured = after;
	for (size_t i = 0; i < after.count && controls->thread_running && r == 0; i++) {
		const char *value = control_list_find(&before, after.entries[i].name);

		if (value == NULL || strcmp(value, after.entries[i].value) != 0)
			r = submit_configured(controls, &after.entries[i]);
	}
	pthread_mutex_unlock(&controls->lock);
	control_list_finish(&before);
	if (!controls->thread_running)
		warn_if_useless(controls);
	return r;
}

struct controls_request *controls_take_answer(struct controls *controls)
{
	struct controls_request *request;

	pthread_mutex_lock(&controls->lock);
	request = queue_take(&controls->answers);
	pthread_mutex_unlock(&controls->lock);
	return request;
}

void controls_forget(struct controls *controls, uint64_t owner)
{
	pthread_mutex_lock(&controls->lock);
	queue_drop(&controls->sets, &owner);
	queue_drop(&controls->lists, &owner);
	queue_drop(&controls->answers, &owner);
	pthread_mutex_unlock(&controls->lock);
}

void controls_set_pause(struct controls *controls, const char *text)
{
	pthread_mutex_lock(&controls->lock);
	snprintf(controls->refusal, sizeof controls->refusal, "%s", text != NULL ? text : "");
	pthread_mutex_unlock(&controls->lock);
}

bool controls_is_asking(struct controls *controls)
{
	bool asking;

	pthread_mutex_lock(&controls->lock);
	asking = controls->asking;
	pthread_mutex_unlock(&controls->lock);
	return asking;
}

/* ---- capture thread ---- */

/* What failed, a line each. */
struct complaints {
	char *text;
	size_t size;
	FILE *stream;
};

/* What cannot be set just now is passed over if `busy_is_right`. False: the device has gone. */
static bool apply_list(const struct control_list *list, const struct v4l2_device *device,
	bool busy_is_right, struct complaints *complaints)
{
	char error[SOURCE_TEXT_SIZE];

	for (size_t i = 0; i < list->count; i++) {
		const struct control_setting *setting = &list->entries[i];
		int r = v4l2_controls_set(device, setting->name, setting->value, error);

		if (r == -ENODEV)
			return false;
		if (r < 0 && !(r == -EBUSY && busy_is_right))
			fprintf(complaints->stream, "%s\n", error);
	}
	return true;
}

/* Those of the configuration. What a reload changes meanwhile, the worker sets. */
static bool apply_configured(
	struct controls *controls, const struct v4l2_device *device, struct complaints *complaints)
{
	struct control_list copy;
	bool good;

	pthread_mutex_lock(&controls->lock);
	good = control_list_copy(&controls->configured, &copy) == 0;
	pthread_mutex_unlock(&controls->lock);
	if (!good)
		return true;
	good = apply_list(&copy, device, false, complaints);
	control_list_finish(&copy);
	return good;
}

/* Those that clients set, and what they set while that is done. */
static bool apply_remembered(
	struct controls *controls, const struct v4l2_device *device, struct complaints *complaints)
{
	struct control_list copy;
	uint64_t version = 0;
	bool first = true, good = true;

	while (good) {
		pthread_mutex_lock(&controls->lock);
		if (!first && version == controls->remembered_version) {
			pthread_mutex_unlock(&controls->lock);
			return true;
		}
		version = controls->remembered_version;
		good = control_list_copy(&controls->remembered, &copy) == 0;
		pthread_mutex_unlock(&controls->lock);
		if (!good)
			return true;
		/* whoever set a value by hand and then went back to an automatic mode is not wrong
		 */
		good = apply_list(&copy, device, true, complaints);
		control_list_finish(&copy);
		first = false;
	}
	return false;
}

static void complain(struct controls *controls, char *text)
{
	int64_t now = clock_now();
	bool again = controls->complaints != NULL && strcmp(controls->complaints, text) == 0 &&
		     now - controls->complained_ns < REPEAT_NS;
	struct log_fields fields = {
		.message_id = LOG_CONTROL_NOT_SET, .camera = controls->options->name};
	char *save = NULL;

	if (!again) {
		free(controls->complaints);
		controls->complaints = strdup(text);
		controls->complained_ns = now;
		for (char *line = strtok_r(text, "\n", &save); line != NULL;
			line = strtok_r(NULL, "\n", &save))
			log_event(LOG_WARNING, &fields, "control %s", line);
	}
	free(text);
}

void controls_apply(struct controls *controls, const struct v4l2_device *device)
{
	struct complaints complaints = {0};
	struct stat status;

	if (controls == NULL)
		return;
	if (fstat(device->fd, &status) == 0) {
		pthread_mutex_lock(&controls->lock);
		v4l2_identity_remember(&controls->identity, status.st_rdev);
		pthread_mutex_unlock(&controls->lock);
	}
	complaints.stream = open_memstream(&complaints.text, &complaints.size);
	if (complaints.stream == NULL)
		return;
	if (apply_configured(controls, device, &complaints))
		(void)apply_remembered(controls, device, &complaints);
	if (fclose(complaints.stream) == 0)
		complain(controls, complaints.text);
	else
		free(complaints.text);
}
