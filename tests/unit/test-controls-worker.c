/* SPDX-License-Identifier: MIT */

/* The thread that sets and lists controls, on a device that this file makes up and can stop. */

#include <errno.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "controls.h"
#include "options.h"
#include "source-v4l2-device.h"

enum {
	LIMIT_MS = 20000,
};

/* ---- the device: "auto", "gain" (inactive while auto is on) and the button "press" ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	/* Under the lock: */
	int32_t automatic, gain, presses;
	int opened, open_now;
	int open_error;
	int held;       /* whoever sets this value is stopped, but for the test's own thread */
	bool stopped;   /* and there is one */
	char path[128]; /* that was opened last */
} device = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .automatic = 1};

static pthread_t test_thread;

int v4l2_device_open(struct v4l2_device *opened, bool conversion)
{
	int r;

	assert_false(conversion);
	pthread_mutex_lock(&device.lock);
	r = device.open_error;
	snprintf(device.path, sizeof device.path, "%s", opened->path);
	device.opened++;
	device.open_now += r == 0;
	pthread_mutex_unlock(&device.lock);
	if (r < 0)
		snprintf(opened->source->error, sizeof opened->source->error, "cannot be opened");
	return r;
}

void v4l2_device_close(struct v4l2_device *opened)
{
	(void)opened;
	pthread_mutex_lock(&device.lock);
	device.open_now--;
	pthread_mutex_unlock(&device.lock);
}

static int query(struct v4l2_query_ext_ctrl *query)
{
	static const char *const names[] = {"Auto", "Gain", "Press"};
	static const uint32_t types[] = {
		V4L2_CTRL_TYPE_BOOLEAN, V4L2_CTRL_TYPE_INTEGER, V4L2_CTRL_TYPE_BUTTON};
	uint32_t id = (query->id & 0xffff) + 1;

	if (id > 3)
		return -EINVAL;
	*query = (struct v4l2_query_ext_ctrl){.id = id, .type = types[id - 1], .maximum = 100};
	strcpy(query->name, names[id - 1]);
	if (id == 2 && device.automatic)
		query->flags = V4L2_CTRL_FLAG_INACTIVE;
	return 0;
}

static void set(const struct v4l2_ext_control *control)
{
	while (device.held == control->value && !pthread_equal(pthread_self(), test_thread)) {
		device.stopped = true;
		pthread_cond_broadcast(&device.change);
		pthread_cond_wait(&device.change, &device.lock);
	}
	device.stopped = false;
	if (control->id == 1)
		device.automatic = control->value;
	else if (control->id == 2)
		device.gain = control->value;
	else
		device.presses++;
}

int v4l2_device_ioctl(const struct v4l2_device *opened, unsigned long request, void *argument)
{
	struct v4l2_ext_controls *controls = argument;
	int r = 0;

	(void)opened;
	pthread_mutex_lock(&device.lock);
	if (request == VIDIOC_QUERY_EXT_CTRL)
		r = query(argument);
	else if (request == VIDIOC_S_EXT_CTRLS)
		set(controls->controls);
	else if (request == VIDIOC_G_EXT_CTRLS)
		controls->controls->value =
			controls->controls->id == 1 ? device.automatic : device.gain;
	else
		r = -ENOTTY;
	pthread_mutex_unlock(&device.lock);
	return r;
}

static void hold(int value)
{
	pthread_mutex_lock(&device.lock);
	device.held = value;
	pthread_mutex_unlock(&device.lock);
}

static void wait_until_stopped(void)
{
	pthread_mutex_lock(&device.lock);
	while (!device.stopped)
		pthread_cond_wait(&device.change, &device.lock);
	pthread_mutex_unlock(&device.lock);
}

static void *let_go(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&device.lock);
	device.held = -1;
	pthread_cond_broadcast(&device.change);
	pthread_mutex_unlock(&device.lock);
	return NULL;
}

/* ---- the fixture ---- */

static const char *path_of(const struct source *source)
{
	(void)source;
	return "/dev/camera";
}

static const struct source_ops with_controls = {.name = "v4l2", .controls_path = path_of};
static const struct source_ops without_controls = {.name = "pattern"};

struct fixture {
	struct options options;
	struct source source;
	struct controls *controls;
	int notify_fd;
	uint64_t token;
};

static int setup_with(void **state, const struct source_ops *ops)
{
	struct fixture *f = calloc(1, sizeof *f);

	test_thread = pthread_self();
	device.automatic = 1;
	device.gain = device.presses = device.opened = device.open_now = device.open_error = 0;
	device.held = -1;
	device.stopped = false;
	f->options.name = (char *)"front";
	f->source.ops = ops;
	f->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = f;
	return controls_create(&f->options, &f->source, f->notify_fd, &f->controls);
}

static int setup(void **state)
{
	return setup_with(state, &with_controls);
}

static int setup_without(void **state)
{
	return setup_with(state, &without_controls);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	controls_destroy(f->controls);
	control_list_finish(&f->options.controls);
	close(f->notify_fd);
	free(f);
	return device.open_now;
}

/* "NAME=VALUE", or NULL: a list. Its token. */
static uint64_t submit(struct fixture *f, uint64_t owner, const char *setting)
{
	struct controls_request *request = calloc(1, sizeof *request);

	request->owner = owner;
	request->token = ++f->token;
	if (setting != NULL) {
		request->set = true;
		memcpy(request->name, setting, strcspn(setting, "="));
		strcpy(request->value, strchr(setting, '=') + 1);
	}
	controls_submit(f->controls, request);
	return f->token;
}

/* Waits for the next answer. */
static struct controls_request *take(struct fixture *f)
{
	struct pollfd pollfd = {.fd = f->notify_fd, .events = POLLIN};
	struct controls_request *answer;
	eventfd_t count;

	while ((answer = controls_take_answer(f->controls)) == NULL) {
		assert_int_equal(poll(&pollfd, 1, LIMIT_MS), 1);
		(void)eventfd_read(f->notify_fd, &count);
	}
	return answer;
}

static void assert_answer(struct fixture *f, uint64_t token, int error, const char *text)
{
	struct controls_request *answer = take(f);

	assert_int_equal(answer->token, token);
	assert_int_equal(answer->error, error);
	assert_non_null(strstr(answer->text, text));
	assert_int_equal(answer->document != NULL, error == 0 && !answer->set);
	controls_request_free(answer);
}

/* As the source does when it has opened the device. Returns what was logged, until the next call.
 */
static const char *apply(struct fixture *f)
{
	static char log[2000];
	struct v4l2_device opened = {.source = &f->source, .path = "/dev/camera", .fd = 1};
	int file = memfd_create("log", MFD_CLOEXEC), before = dup(STDERR_FILENO);
	ssize_t length;

	fflush(stderr);
	dup2(file, STDERR_FILENO);
	controls_apply(f->controls, &opened);
	dup2(before, STDERR_FILENO);
	length = pread(file, log, sizeof log - 1, 0);
	assert_true(length >= 0);
	log[length] = '\0';
	close(before);
	close(file);
	return log;
}

/* A reload: "NAME=VALUE"s of the configuration, up to a NULL. Returns when the worker has set them;
 * what it complains of is not looked at. */
static void configure(struct fixture *f, const char *const *controls)
{
	control_list_finish(&f->options.controls);
	for (; *controls != NULL; controls++) {
		char name[CONTROL_NAME_SIZE] = "";

		memcpy(name, *controls, strcspn(*controls, "="));
		assert_int_equal(
			control_list_set(&f->options.controls, name, strchr(*controls, '=') + 1),
			0);
	}
	assert_int_equal(controls_configure(f->controls, &f->options.controls), 0);
	assert_answer(f, submit(f, 1, NULL), 0, "");
}

#define CONFIGURE(f, ...) configure(f, (const char *const[]){__VA_ARGS__, NULL})

static void forget_values(void)
{
	device.automatic = 1;
	device.gain = device.presses = 0;
}

/* ---- tests ---- */

static void what_was_set_is_set_again(void **state)
{
	struct fixture *f = *state;

	assert_answer(f, submit(f, 1, "auto=0"), 0, "");
	assert_answer(f, submit(f, 1, "gain=7"), 0, "");
	assert_answer(f, submit(f, 1, "press=1"), 0, "");
	assert_int_equal(device.gain, 7);
	assert_int_equal(device.presses, 1);
	assert_string_equal(device.path, "/dev/camera");
	forget_values();
	assert_string_equal(apply(f), "");
	assert_int_equal(device.automatic, 0);
	assert_int_equal(device.gain, 7);
	assert_int_equal(device.presses, 0);
}

/* Neither a value that was refused is remembered, nor does it change the order. */
static void what_failed_changes_nothing(void **state)
{
	struct fixture *f = *state;

	assert_answer(f, submit(f, 1, "auto=0"), 0, "");
	assert_answer(f, submit(f, 1, "gain=7"), 0, "");
	assert_answer(f, submit(f, 1, "auto=5"), -EINVAL, "0 or 1");
	assert_answer(f, submit(f, 1, "gain=101"), -ERANGE, "from 0 to 100");
	assert_answer(f, submit(f, 1, "nonsense=1"), -ENOENT, "there are auto, gain, press");
	forget_values();
	assert_string_equal(apply(f), "");
	assert_int_equal(device.automatic, 0);
	assert_int_equal(device.gain, 7);
}

static void the_configuration_comes_first(void **state)
{
	struct fixture *f = *state;

	CONFIGURE(f, "auto=0", "gain=1");
	assert_string_equal(apply(f), "");
	assert_int_equal(device.gain, 1);
	assert_answer(f, submit(f, 1, "gain=2"), 0, "");
	forget_values();
	assert_string_equal(apply(f), "");
	assert_int_equal(device.gain, 2);
	/* by hand, and then back to the automatic mode: nothing to complain about */
	assert_answer(f, submit(f, 1, "auto=1"), 0, "");
	CONFIGURE(f, NULL);
	assert_string_equal(apply(f), "");
}

/* What a reload brings is set at once, but for what was so before, and is not remembered for ever.
 */
static void a_reload_sets_what_is_new(void **state)
{
	struct fixture *f = *state;

	CONFIGURE(f, "auto=0", "gain=1");
	assert_int_equal(device.gain, 1);
	device.gain = 5; /* by somebody else */
	CONFIGURE(f, "auto=0", "gain=1", "press=1");
	assert_int_equal(device.gain, 5);
	assert_int_equal(device.presses, 1);
	CONFIGURE(f, "auto=0", "gain=2");
	assert_int_equal(device.gain, 2);
	CONFIGURE(f, NULL);
	forget_values();
	assert_string_equal(apply(f), "");
	assert_int_equal(device.automatic, 1);
	assert_int_equal(device.gain, 0);
}

static void complaints_are_logged_once(void **state)
{
	static const char line[] =
		"<4>camtapd: front: control gain: has no effect now (inactive): switch off the "
		"automatic mode that decides it first\n";
	struct fixture *f = *state;

	CONFIGURE(f, "gain=1");
	assert_string_equal(apply(f), line);
	assert_string_equal(apply(f), "");
	CONFIGURE(f, "gain=1", "x=1");
	assert_non_null(strstr(apply(f), "control x: no such control; there are"));
	CONFIGURE(f, "gain=1");
	assert_string_equal(apply(f), line);
	device.automatic = 0;
	assert_string_equal(apply(f), "");
	device.automatic = 1;
	assert_string_equal(apply(f), line);
}

/* Who asks does not wait, and a list for many is one look. */
static void a_slow_device_keeps_nobody(void **state)
{
	struct fixture *f = *state;
	uint64_t set, lists[8];
	int opened;

	hold(0);
	set = submit(f, 1, "auto=0");
	wait_until_stopped();
	for (int i = 0; i < 8; i++)
		lists[i] = submit(f, 2 + (uint64_t)i % 3, NULL);
	assert_null(controls_take_answer(f->controls));
	opened = device.opened;
	let_go(NULL);
	assert_answer(f, set, 0, "");
	for (int i = 0; i < 8; i++)
		assert_answer(f, lists[i], 0, "");
	assert_int_equal(device.opened, opened + 1);
}

/* Lists come no faster than is good for the device, sets at once. */
static void sets_go_before_lists(void **state)
{
	struct fixture *f = *state;
	uint64_t list, set;

	hold(0);
	set = submit(f, 1, "auto=0");
	wait_until_stopped();
	list = submit(f, 1, NULL);
	(void)submit(f, 1, "gain=3");
	let_go(NULL);
	assert_answer(f, set, 0, "");
	assert_answer(f, list + 1, 0, "");
	assert_answer(f, list, 0, "");
}

static void who_has_gone_gets_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t other;

	hold(0);
	(void)submit(f, 1, "auto=0");
	wait_until_stopped();
	(void)submit(f, 1, "gain=55");
	(void)submit(f, 1, NULL);
	other = submit(f, 2, "press=1");
	controls_forget(f->controls, 1);
	let_go(NULL);
	/* what was under way is done; its answer may come, and nobody is there for it */
	assert_answer(f, 1, 0, "");
	assert_answer(f, other, 0, "");
	assert_answer(f, submit(f, 2, NULL), 0, "");
	assert_int_equal(device.gain, 0);
	assert_null(controls_take_answer(f->controls));
}

/* The device is opened for frames while a client's value is on its way: neither waits for the
 * other, and the client's value, which it is told was set, is the one that stays. */
static void setting_and_opening_at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t set;

	CONFIGURE(f, "auto=0", "gain=1");
	device.automatic = 0;
	hold(9);
	set = submit(f, 1, "gain=9");
	wait_until_stopped();
	assert_string_equal(apply(f), "");
	assert_int_equal(device.gain, 9);
	let_go(NULL);
	assert_answer(f, set, 0, "");
	assert_int_equal(device.gain, 9);
}

static void *apply_elsewhere(void *fixture)
{
	struct fixture *f = fixture;
	const struct v4l2_device opened = {.source = &f->source, .path = "/dev/camera", .fd = 1};

	controls_apply(f->controls, &opened);
	return NULL;
}

/* The other way round: the value comes when those to be set are known already. */
static void setting_while_it_is_opened(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_answer(f, submit(f, 1, "auto=0"), 0, "");
	assert_answer(f, submit(f, 1, "gain=3"), 0, "");
	hold(3);
	assert_int_equal(pthread_create(&thread, NULL, apply_elsewhere, f), 0);
	wait_until_stopped();
	assert_answer(f, submit(f, 1, "gain=9"), 0, "");
	assert_int_equal(device.gain, 9);
	let_go(NULL);
	pthread_join(thread, NULL);
	assert_int_equal(device.gain, 9);
}

static void the_end_waits_for_the_device(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	hold(0);
	(void)submit(f, 1, "auto=0");
	wait_until_stopped();
	(void)submit(f, 1, "gain=5");
	(void)submit(f, 1, NULL);
	assert_int_equal(pthread_create(&thread, NULL, let_go, NULL), 0);
	controls_destroy(f->controls);
	f->controls = NULL;
	pthread_join(thread, NULL);
	assert_int_equal(device.open_now, 0);
}

static void a_device_that_is_away(void **state)
{
	static const struct {
		int open, answered;
	} cases[] = {{-ENOENT, -ENODEV}, {-ENXIO, -ENODEV}, {-EACCES, -EIO}, {-EPERM, -EIO},
		{-EINVAL, -EIO}, {-EBUSY, -EBUSY}, {-ENOTSUP, -ENOTSUP}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		device.open_error = cases[i].open;
		assert_answer(f, submit(f, 1, "auto=0"), cases[i].answered, "cannot be opened");
		assert_answer(f, submit(f, 1, NULL), cases[i].answered, "cannot be opened");
	}
	/* and is not remembered */
	forget_values();
	assert_string_equal(apply(f), "");
	assert_int_equal(device.automatic, 1);
}

/* Whoever is told that the camera is off may rely on that the device is closed. */
static void a_camera_that_is_off_is_not_opened(void **state)
{
	struct fixture *f = *state;
	uint64_t under_way, set, list;
	bool asking;
	int opened;

	hold(0);
	under_way = submit(f, 1, "auto=0");
	wait_until_stopped();
	controls_set_pause(f->controls, "paused by alice");
	set = submit(f, 1, "gain=3");
	list = submit(f, 1, NULL);
	opened = device.opened;
	asking = controls_is_asking(f->controls);
	let_go(NULL);
	assert_true(asking);
	assert_answer(f, under_way, 0, "");
	assert_false(controls_is_asking(f->controls));
	assert_answer(f, set, -EBUSY, "paused by alice");
	assert_answer(f, list, -EBUSY, "paused by alice");
	assert_int_equal(device.opened, opened);
	assert_int_equal(device.gain, 0);

	controls_set_pause(f->controls, NULL);
	assert_answer(f, submit(f, 1, "gain=4"), 0, "");
	assert_false(controls_is_asking(f->controls));
	device.open_error = -ENODEV;
	assert_answer(f, submit(f, 1, "gain=5"), -ENODEV, "");
	assert_false(controls_is_asking(f->controls));
}

static void sources_without_controls_say_so(void **state)
{
	struct fixture *f = *state;

	assert_answer(f, submit(f, 1, "auto=0"), -EOPNOTSUPP, "no controls");
	assert_answer(f, submit(f, 1, NULL), -EOPNOTSUPP, "(pattern)");
	assert_int_equal(device.opened, 0);
	controls_apply(NULL, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(what_was_set_is_set_again),
		TEST(what_failed_changes_nothing),
		TEST(the_configuration_comes_first),
		TEST(a_reload_sets_what_is_new),
		TEST(complaints_are_logged_once),
		TEST(a_slow_device_keeps_nobody),
		TEST(sets_go_before_lists),
		TEST(who_has_gone_gets_nothing),
		TEST(setting_and_opening_at_once),
		TEST(setting_while_it_is_opened),
		TEST(the_end_waits_for_the_device),
		TEST(a_device_that_is_away),
		TEST(a_camera_that_is_off_is_not_opened),
		cmocka_unit_test_setup_teardown(
			sources_without_controls_say_so, setup_without, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
