/* SPDX-License-Identifier: MIT */

/*
 * The commands, each in a process of its own, against a library that plays a script
 * (fake-camtap.c): what they write, where, and how they end.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <linux/videodev2.h>

#include "command.h"
#include "fake-camtap.h"
#include "list.h"
#include "output.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	TEXT_SIZE = 16384,
	ARGUMENTS_MAX = 16,
	FILES_MAX = 32,
	JPEG_SIZE = 3000,
};

static const int64_t ms_ns = 1000000;

/* 2026-11-21 10:11:12.012345 UTC */
static const int64_t realtime_ns = 1795255872012345000;

/* ---- running a command ---- */

struct result {
	int status; /* exit status, -signal if it was killed */
	char output[TEXT_SIZE], error[TEXT_SIZE];
	size_t output_size;
	struct fake_calls calls; /* of the command's process */
};

static char folder[64]; /* of this test, empty at its start */
static char path[128];  /* a folder in it that is not there yet */

static volatile sig_atomic_t stop;

static size_t read_all(int fd, char *text, size_t size)
{
	ssize_t length = pread(fd, text, size - 1, 0);

	assert_true(length >= 0);
	text[length] = '\0';
	return (size_t)length;
}

/* Runs `run` with the arguments (the command's name first) as main() would, and waits for its end.
 */
static struct result run_to(int output, int (*run)(const struct invocation *),
	const struct fake_script *script, const char *const *arguments)
{
	int calls = memfd_create("calls", MFD_CLOEXEC);
	int error[2]; /* a pipe: RLIMIT_FSIZE, which some tests set, is not for it */
	char *argv[ARGUMENTS_MAX + 1] = {};
	struct result result = {};
	struct invocation invocation = {.argv = argv, .stop = &stop};
	int status;
	pid_t pid;

	for (; arguments[invocation.argc]; invocation.argc++)
		argv[invocation.argc] = (char *)arguments[invocation.argc];
	assert_int_equal(pipe2(error, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(output, STDOUT_FILENO);
		dup2(error[1], STDERR_FILENO);
		signal(SIGPIPE, SIG_IGN);
		fake_script = *script;
		status = run(&invocation);
		if (write(calls, &fake_calls, sizeof(fake_calls)) < 0)
			abort();
		exit(status); /* not _exit(): the leak checker is to have its say */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	result.output_size = read_all(output, result.output, sizeof(result.output));
	close(error[1]);
	assert_true(read(error[0], result.error, sizeof(result.error) - 1) >= 0);
	assert_true(pread(calls, &result.calls, sizeof(result.calls), 0) >= 0);
	close(error[0]);
	close(calls);
	return result;
}

static struct result run(int (*command)(const struct invocation *),
	const struct fake_script *script, const char *const *arguments)
{
	int output = memfd_create("output", MFD_CLOEXEC);
	struct result result = run_to(output, command, script, arguments);

	close(output);
	return result;
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct fake_script no_script;

static unsigned count_lines(const char *text)
{
	unsigned count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

/* "1 failed with one line on standard error that says what and what to do": likewise for 2 and 3.
 */
static void assert_fails(const struct result *result, int status, const char *part)
{
	if (!strstr(result->error, part))
		fail_msg("\"%s\" is not in: %s", part, result->error);
	assert_int_equal(result->status, status);
	assert_int_equal(count_lines(result->error), 1);
	assert_int_equal(strncmp(result->error, "camtap: ", 8), 0);
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- files ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct files {
	char *names[FILES_MAX];
	size_t count;
};

/* All entries of a folder, hidden ones too, sorted. */
static struct files list_files(const char *of)
{
	DIR *directory = opendir(of);
	struct files files = {};
	struct dirent *entry;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		assert_true(files.count < FILES_MAX);
		files.names[files.count++] = strdup(entry->d_name);
	}
	closedir(directory);
	qsort(files.names, files.count, sizeof(*files.names), compare_names);
	return files;
}

static void free_files(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->names[i]);
}

static void assert_files(const char *of, const char *const *wanted)
{
	struct files files = list_files(of);
	size_t count = 0;

	for (; wanted[count]; count++) {
		assert_true(count < files.count);
		assert_string_equal(files.names[count], wanted[count]);
	}
	assert_int_equal(files.count, count);
	free_files(&files);
}

static void assert_content(const char *in, const char *name, const void *data, size_t size)
{
	static char content[1 << 20];
	char full[512];
	ssize_t length;
	int fd;

	snprintf(full, sizeof(full), "%s/%s", in, name);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	length = read(fd, content, sizeof(content));
	close(fd);
	assert_int_equal(length, size);
	assert_memory_equal(content, data, size);
}

static void remove_folder(const char *name)
{
	struct files files = list_files(name);
	char full[512];

	for (size_t i = 0; i < files.count; i++) {
		snprintf(full, sizeof(full), "%s/%s", name, files.names[i]);
		if (unlink(full) < 0)
			remove_folder(full);
	}
	free_files(&files);
	rmdir(name);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test-commands-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/pictures", folder);
	stop = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	remove_folder(folder);
	return 0;
}

/* ---- frames ---- */

static uint8_t jpegs[3][JPEG_SIZE];
static uint8_t grey[8 * 4], i420[8 * 4 * 3 / 2];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(jpegs); i++)
		((uint8_t *)jpegs)[i] = (uint8_t)(i * i >> 3);
	for (size_t i = 0; i < sizeof(i420); i++)
		i420[i] = (uint8_t)(7 * i);
	for (size_t i = 0; i < sizeof(grey); i++)
		grey[i] = (uint8_t)(5 * i);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 * ms_ns + time.tv_nsec;
}

static struct fake_step make_frame(uint64_t id)
{
	return (struct fake_step){
		.outcome = CAMTAP_FRAME,
		.frame =
			{
				.field = V4L2_FIELD_NONE,
				.rate_numerator = 25,
				.rate_denominator = 1,
				.plane_count = 1,
				.epoch = 7777777777777777777u,
				.id = id,
				.sequence = (uint32_t)id + 100,
				.clock = CAMTAP_CLOCK_MONOTONIC,
				.capture_time = now() + (int64_t)id * 40 * ms_ns,
				.publish_time = now() + (int64_t)id * 40 * ms_ns,
				.media_time = -1,
				.realtime = realtime_ns + (int64_t)id * 40 * ms_ns,
			},
	};
}

static struct fake_step make_jpeg(uint64_t id)
{
	struct fake_step step = make_frame(id);

	step.frame.fourcc = V4L2_PIX_FMT_MJPEG;
	step.frame.width = 64;
	step.frame.height = 48;
	step.frame.planes[0] = (struct fake_plane){jpegs[id % 3], JPEG_SIZE - id % 3, 0};
	return step;
}

static struct fake_step make_i420(uint64_t id)
{
	struct fake_step step = make_frame(id);

	step.frame.fourcc = V4L2_PIX_FMT_YUV420;
	step.frame.width = 8;
	step.frame.height = 4;
	step.frame.plane_count = 3;
	step.frame.planes[0] = (struct fake_plane){i420, 32, 8};
	step.frame.planes[1] = (struct fake_plane){i420 + 32, 8, 4};
	step.frame.planes[2] = (struct fake_plane){i420 + 40, 8, 4};
	return step;
}

static struct fake_step make_grey(uint64_t id)
{
	struct fake_step step = make_frame(id);

	step.frame.fourcc = V4L2_PIX_FMT_GREY;
	step.frame.width = 8;
	step.frame.height = 4;
	step.frame.planes[0] = (struct fake_plane){grey, 32, 8};
	return step;
}

#define SCRIPT(step_array)                                                                         \
	{                                                                                          \
		.name = "front", .steps = (step_array), .step_count = ELEMENTS(step_array)         \
	}

/* ---- dump ---- */

static void dump_writes_each_jpeg_as_it_came(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0), make_jpeg(1), make_jpeg(2), make_jpeg(3)};
	const struct fake_script script = SCRIPT(steps);
	struct result result = run(dump_run, &script,
		ARGUMENTS("dump", "front", "--count", "3", "--output", path, "--stream", "MJPG"));

	(void)state;
	assert_int_equal(result.status, 0);
	assert_string_equal(result.error, "");
	assert_contains(result.output, "front: 3 frames written to ");
	assert_contains(result.output, "missed 0");
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.jpg",
				   "front-20261121T101112.052345-1.jpg",
				   "front-20261121T101112.092345-2.jpg"));
	assert_content(path, "front-20261121T101112.012345-0.jpg", jpegs[0], JPEG_SIZE);
	assert_content(path, "front-20261121T101112.052345-1.jpg", jpegs[1], JPEG_SIZE - 1);
	assert_content(path, "front-20261121T101112.092345-2.jpg", jpegs[2], JPEG_SIZE - 2);
	assert_string_equal(result.calls.client_name, "camtap dump");
	assert_int_equal(result.calls.mode, CAMTAP_MODE_READ);
	assert_int_equal(result.calls.latest, 0);
}

static void dump_concatenates_on_standard_output(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0), make_jpeg(1)};
	const struct fake_script script = SCRIPT(steps);
	struct result result =
		run(dump_run, &script, ARGUMENTS("dump", "--count", "2", "--output", "-"));

	(void)state;
	assert_int_equal(result.status, 0);
	assert_contains(result.error, "2 frames written to standard output");
	assert_int_equal(result.output_size, 2 * JPEG_SIZE - 1);
	assert_memory_equal(result.output, jpegs[0], JPEG_SIZE);
	assert_memory_equal(result.output + JPEG_SIZE, jpegs[1], JPEG_SIZE - 1);
}

static void revoked_frames_never_appear(void **state)
{
	struct fake_step steps[] = {make_jpeg(0), make_jpeg(1), make_jpeg(2)};
	const struct fake_script script = SCRIPT(steps);
	struct result result;

	(void)state;
	steps[1].frame.revoked = true;
	result = run(dump_run, &script, ARGUMENTS("dump", "--count", "2", "--output", path));
	assert_int_equal(result.status, 0);
	assert_contains(result.output, "revoked 1");
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.jpg",
				   "front-20261121T101112.092345-2.jpg"));
}

static void missed_frames_are_told(void **state)
{
	struct fake_step steps[] = {make_jpeg(0), make_jpeg(5), make_jpeg(6), make_jpeg(8)};
	const struct fake_script script = SCRIPT(steps);
	json_t *object, *value;
	struct result result;

	(void)state;
	steps[1].frame.missed = 4;
	steps[3].frame.missed = 1;
	result = run(
		dump_run, &script, ARGUMENTS("dump", "--count", "4", "--output", path, "--json"));
	assert_int_equal(result.status, 0);
	object = json_loads(result.output, 0, NULL);
	assert_non_null(object);
	assert_int_equal(json_integer_value(json_object_get(object, "schema")), 1);
	assert_int_equal(json_integer_value(json_object_get(object, "frames")), 4);
	assert_int_equal(json_integer_value(json_object_get(object, "missed")), 5);
	value = json_object_get(object, "camera");
	assert_string_equal(json_string_value(value), "front");
	json_decref(object);
}

static const char y4m_header[] = "YUV4MPEG2 W8 H4 F25:1 Ip A0:0 C420jpeg XYSCSS=420JPEG\n";
static const char mono_header[] = "YUV4MPEG2 W8 H4 F25:1 Ip A0:0 Cmono\n";

static size_t make_y4m(
	char *text, const char *header, const void *data, size_t size, unsigned count)
{
	size_t length = (size_t)sprintf(text, "%s", header);

	for (unsigned i = 0; i < count; i++) {
		length += (size_t)sprintf(text + length, "FRAME\n");
		memcpy(text + length, data, size);
		length += size;
	}
	return length;
}

static void y4m_is_one_file_for_each_format(void **state)
{
	const struct fake_step steps[] = {make_i420(0), make_i420(1), {.outcome = CAMTAP_FORMAT},
		make_grey(2), make_grey(3), make_grey(4)};
	const struct fake_script script = SCRIPT(steps);
	struct result result = run(dump_run, &script,
		ARGUMENTS("dump", "--count", "5", "--output", path, "--format", "y4m"));
	char wanted[1024];
	size_t size;

	(void)state;
	assert_int_equal(result.status, 0);
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.y4m",
				   "front-20261121T101112.092345-2.y4m"));
	size = make_y4m(wanted, y4m_header, i420, sizeof(i420), 2);
	assert_content(path, "front-20261121T101112.012345-0.y4m", wanted, size);
	size = make_y4m(wanted, mono_header, grey, sizeof(grey), 3);
	assert_content(path, "front-20261121T101112.092345-2.y4m", wanted, size);
}

static void y4m_on_a_pipe_cannot_change(void **state)
{
	const struct fake_step steps[] = {make_i420(0), make_i420(1), make_grey(2)};
	const struct fake_script script = SCRIPT(steps);
	struct result result = run(dump_run, &script,
		ARGUMENTS("dump", "--count", "3", "--output", "-", "--format", "y4m"));
	char wanted[1024];
	size_t size = make_y4m(wanted, y4m_header, i420, sizeof(i420), 2);

	(void)state;
	assert_fails(&result, 1, "format changed");
	assert_int_equal(result.output_size, size);
	assert_memory_equal(result.output, wanted, size);
}

static void raw_has_a_description_beside_it(void **state)
{
	struct fake_step steps[] = {make_i420(3)};
	const struct fake_script script = SCRIPT(steps);
	static const char *const strings[][2] = {{"camera", "front"},
		{"epoch", "7777777777777777777"}, {"id", "3"}, {"fourcc", "YU12"},
		{"capture_clock", "monotonic"}, {"realtime_ns", "1795255872132345000"},
		{"capture_time_ns", "-5"}, {"chroma_siting", "mpeg2"},
		{"media_time_ns", "123456789012"}};
	static const struct {
		const char *key;
		int value;
	} numbers[] = {{"schema", 1}, {"width", 8}, {"height", 4}, {"sequence", 103},
		{"field", V4L2_FIELD_NONE}, {"colorspace", V4L2_COLORSPACE_REC709},
		{"pixel_aspect_numerator", 12}, {"pixel_aspect_denominator", 11},
		{"rate_numerator", 25}, {"rate_denominator", 1}};
	char full[512];
	struct result result;
	json_t *object, *planes, *plane;

	(void)state;
	steps[0].frame.colorspace = V4L2_COLORSPACE_REC709;
	steps[0].frame.flags = CAMTAP_FRAME_TIMESTAMP_SOE | CAMTAP_FRAME_DISCONTINUITY;
	steps[0].frame.capture_time = -5;
	steps[0].frame.chroma_siting = CAMTAP_CHROMA_MPEG2;
	steps[0].frame.pixel_aspect_numerator = 12;
	steps[0].frame.pixel_aspect_denominator = 11;
	steps[0].frame.media_time = 123456789012;
	result = run(dump_run, &script,
		ARGUMENTS("dump", "--count", "1", "--output", path, "--format", "raw"));
	assert_int_equal(result.status, 0);
	assert_files(path, ARGUMENTS("front-20261121T101112.132345-3.json",
				   "front-20261121T101112.132345-3.raw"));
	assert_content(path, "front-20261121T101112.132345-3.raw", i420, sizeof(i420));

	snprintf(full, sizeof(full), "%s/front-20261121T101112.132345-3.json", path);
	object = json_load_file(full, 0, NULL);
	assert_non_null(object);
	for (size_t i = 0; i < ELEMENTS(strings); i++)
		assert_string_equal(
			json_string_value(json_object_get(object, strings[i][0])), strings[i][1]);
	for (size_t i = 0; i < ELEMENTS(numbers); i++)
		assert_int_equal(json_integer_value(json_object_get(object, numbers[i].key)),
			numbers[i].value);
	planes = json_object_get(object, "planes");
	assert_int_equal(json_array_size(planes), 3);
	plane = json_array_get(planes, 2);
	assert_int_equal(json_integer_value(json_object_get(plane, "offset")), 40);
	assert_int_equal(json_integer_value(json_object_get(plane, "stride")), 4);
	assert_int_equal(json_integer_value(json_object_get(plane, "bytesused")), 8);
	plane = json_object_get(object, "flags");
	assert_int_equal(json_array_size(plane), 2);
	assert_string_equal(json_string_value(json_array_get(plane, 0)), "discontinuity");
	assert_string_equal(json_string_value(json_array_get(plane, 1)), "timestamp_soe");
	json_decref(object);
}

static void existing_files_are_not_touched(void **state)
{
	const struct fake_step steps[] = {make_i420(0), make_i420(1)};
	const struct fake_script script = SCRIPT(steps);
	static const char name[] = "front-20261121T101112.052345-1.raw";
	struct result result;
	char full[512];
	FILE *file;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(full, sizeof(full), "%s/%s", path, name);
	file = fopen(full, "w");
	fputs("evidence", file);
	fclose(file);
	result = run(dump_run, &script, ARGUMENTS("dump", "--output", path, "--format", "raw"));
	assert_fails(&result, 1, "not overwritten");
	assert_content(path, name, "evidence", 8);
	/* nor is a description of the picture that was not written left */
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.json",
				   "front-20261121T101112.012345-0.raw", name));
}

/* A file may not grow beyond this: a write of a frame is cut short, as on a full disk. */
static rlim_t size_limit;

static int dump_run_limited(const struct invocation *invocation)
{
	const struct rlimit limit = {size_limit, size_limit};

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	return dump_run(invocation);
}

static void full_disk_leaves_whole_files_only(void **state)
{
	const struct fake_step steps[] = {make_grey(0), make_grey(1), make_jpeg(2), make_jpeg(3)};
	const struct fake_script script = SCRIPT(steps);
	struct result result;

	(void)state;
	size_limit = 1000;
	result = run(dump_run_limited, &script, ARGUMENTS("dump", "--output", path));
	assert_fails(&result, 1, "front-20261121T101112.092345-2.jpg: File too large");
	assert_contains(result.error, "(2 frames written)");
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.jpg",
				   "front-20261121T101112.052345-1.jpg"));
}

static void full_disk_cuts_a_stream_back_to_whole_frames(void **state)
{
	const struct fake_step steps[] = {make_grey(0), make_grey(1), make_grey(2), make_grey(3)};
	const struct fake_script script = SCRIPT(steps);
	struct result result;
	char wanted[1024];
	size_t size = make_y4m(wanted, mono_header, grey, sizeof(grey), 2);

	(void)state;
	size_limit = size + 20;
	result = run(
		dump_run_limited, &script, ARGUMENTS("dump", "--output", path, "--format", "y4m"));
	assert_fails(&result, 1, "File too large");
	assert_contains(result.error, "(2 frames written)");
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.y4m"));
	assert_content(path, "front-20261121T101112.012345-0.y4m", wanted, size);

	/* not even one frame: no file, and no folder either */
	remove_folder(path);
	size_limit = 50;
	result = run(
		dump_run_limited, &script, ARGUMENTS("dump", "--output", path, "--format", "y4m"));
	assert_fails(&result, 1, "File too large");
	assert_files(folder, ARGUMENTS(NULL));
}

static void full_pipe_is_told(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0)};
	const struct fake_script script = SCRIPT(steps);
	struct result result;
	int output = open("/dev/full", O_RDWR | O_CLOEXEC);

	(void)state;
	result = run_to(output, dump_run, &script, ARGUMENTS("dump", "--output", "-"));
	assert_fails(&result, 1, "standard output: No space left on device; make room");
	close(output);
}

static void reader_that_goes_away_is_no_error(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0)};
	const struct fake_script script = SCRIPT(steps);
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		char *argv[] = {(char *)"dump", (char *)"--output", (char *)"-", NULL};
		const struct invocation invocation = {3, argv, &stop};
		int error = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		struct stat there;

		dup2(ends[1], STDOUT_FILENO);
		dup2(error, STDERR_FILENO);
		signal(SIGPIPE, SIG_IGN);
		fake_script = script;
		status = dump_run(&invocation);
		if (fstat(error, &there) < 0 || there.st_size > 0)
			_exit(99); /* it was to be silent */
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), COMMAND_PIPE);
	close(ends[1]);
}

static void no_frame_in_time(void **state)
{
	const struct fake_step steps[] = {
		make_jpeg(0), {.outcome = CAMTAP_OFFLINE, .text = "unplugged since 10:11"}};
	struct fake_script script = SCRIPT(steps);
	struct result result =
		run(dump_run, &script, ARGUMENTS("dump", "--output", path, "--timeout", "100ms"));

	(void)state;
	assert_fails(&result, 3, "camtap: front: no frame for 100ms: unplugged since 10:11");
	assert_contains(result.output, "1 frames written");
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.jpg"));

	/* not one: nothing is left behind */
	remove_folder(path);
	script.step_count = 0;
	result = run(dump_run, &script, ARGUMENTS("dump", "--output", path, "--timeout", "100ms"));
	assert_fails(&result, 3, "no frame for 100ms");
	assert_string_equal(result.output, "");
	assert_files(folder, ARGUMENTS(NULL));
}

static void reason_for_waiting_is_told_once(void **state)
{
	const struct fake_step steps[] = {
		{.outcome = CAMTAP_OFFLINE, .text = "unplugged\033[31m since 10:11"}};
	const struct fake_script script = SCRIPT(steps);
	struct result result =
		run(dump_run, &script, ARGUMENTS("dump", "--output", path, "--timeout", "2100ms"));

	(void)state;
	assert_int_equal(result.status, 3);
	assert_string_equal(result.error,
		"camtap: front: waiting: unplugged?[31m since 10:11\n"
		"camtap: front: no frame for 2.100s: unplugged?[31m since 10:11\n");
}

static void end_of_a_recording(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0), make_jpeg(1), {.outcome = CAMTAP_ENDED}};
	struct fake_script script = SCRIPT(steps);
	struct result result = run(dump_run, &script, ARGUMENTS("dump", "--output", path));

	(void)state;
	assert_int_equal(result.status, 0);
	assert_contains(result.output, "2 frames written");
	remove_folder(path);

	result = run(dump_run, &script, ARGUMENTS("dump", "--output", path, "--count", "3"));
	assert_fails(&result, 1, "the recording ended after 2 frames");
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.jpg",
				   "front-20261121T101112.052345-1.jpg"));
	remove_folder(path);

	script.steps += 2;
	script.step_count = 1;
	result = run(dump_run, &script, ARGUMENTS("dump", "--output", path));
	assert_fails(&result, 1, "the recording ended after 0 frames");
}

static void refusal_by_the_daemon(void **state)
{
	const struct fake_step steps[] = {
		{.outcome = -EINVAL, .text = "refused: this camera offers MJPG and YUYV"}};
	const struct fake_step named = {.outcome = -EUSERS, .text = "front: too many readers"};
	struct fake_script script = SCRIPT(steps);
	struct result result = run(dump_run, &script, ARGUMENTS("dump", "--output", path));

	(void)state;
	assert_fails(&result, 1, "camtap: front: refused: this camera offers MJPG and YUYV");

	/* the library's text may begin with the name */
	script.steps = &named;
	result = run(dump_run, &script, ARGUMENTS("dump", "--output", path));
	assert_fails(&result, 1, "camtap: front: too many readers");

	script.name = NULL;
	script.connect_result = -ENOENT;
	result = run(dump_run, &script, ARGUMENTS("dump", "rear", "--output", path));
	assert_fails(&result, 1, "camtap: rear: there is no such camera; start it");
	assert_files(folder, ARGUMENTS(NULL));
}

static void signal_ends_with_the_summary(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0)};
	const struct fake_script script = SCRIPT(steps);
	struct result result;

	(void)state;
	stop = 1;
	result = run(dump_run, &script, ARGUMENTS("dump", "--output", path));
	assert_int_equal(result.status, 0);
	assert_contains(result.output, "0 frames written");
	assert_files(folder, ARGUMENTS(NULL));
}

static void interval_takes_one_frame_of_each_period(void **state)
{
	struct fake_step steps[10];
	const struct fake_script script = SCRIPT(steps);
	struct result result;

	/* every 40 ms of the recording's time, whatever the clock on the wall says; periods of 100
	 * ms */
	for (uint64_t i = 0; i < ELEMENTS(steps); i++) {
		steps[i] = make_jpeg(i);
		steps[i].frame.media_time = (int64_t)i * 40 * ms_ns;
		steps[i].frame.publish_time = 1;
	}
	(void)state;
	result = run(dump_run, &script,
		ARGUMENTS("dump", "--output", path, "--count", "4", "--interval", "100ms"));
	assert_int_equal(result.status, 0);
	assert_files(path,
		ARGUMENTS("front-20261121T101112.012345-0.jpg",
			"front-20261121T101112.132345-3.jpg", "front-20261121T101112.212345-5.jpg",
			"front-20261121T101112.332345-8.jpg"));
	remove_folder(path);

	/* a live camera: by the time of publishing; and the period counts once a frame was written
	 */
	for (uint64_t i = 0; i < ELEMENTS(steps); i++) {
		steps[i].frame.media_time = -1;
		steps[i].frame.publish_time = 1050 * ms_ns + (int64_t)i * 40 * ms_ns;
	}
	steps[3].frame.revoked = true;
	result = run(dump_run, &script,
		ARGUMENTS("dump", "--output", path, "--count", "3", "--interval", "100ms"));
	assert_int_equal(result.status, 0);
	assert_files(path, ARGUMENTS("front-20261121T101112.012345-0.jpg",
				   "front-20261121T101112.172345-4.jpg",
				   "front-20261121T101112.212345-5.jpg"));
}

static void damaged_frames_are_told_and_counted(void **state)
{
	const struct fake_step steps[] = {
		make_jpeg(0), make_jpeg(1), make_grey(2), {.outcome = CAMTAP_ENDED}};
	const struct fake_script script = SCRIPT(steps);
	struct result result =
		run(dump_run, &script, ARGUMENTS("dump", "--output", path, "--format", "png"));

	(void)state;
	assert_int_equal(result.status, 0);
	assert_int_equal(count_lines(result.error), 1);
	assert_contains(result.error, "damaged JPEG");
	assert_contains(result.output, "1 frames written");
	assert_contains(result.output, "damaged 2");
	assert_files(path, ARGUMENTS("front-20261121T101112.092345-2.png"));
}

static void latest_and_lossless(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0)};
	const struct fake_script script = SCRIPT(steps);
	struct result result = run(
		dump_run, &script, ARGUMENTS("dump", "--output", path, "--count", "1", "--latest"));

	(void)state;
	assert_int_equal(result.status, 0);
	assert_int_equal(result.calls.latest, 1);
	assert_contains(result.output, "skipped 0");
	remove_folder(path);
	result = run(dump_run, &script,
		ARGUMENTS("dump", "--output", path, "--count", "1", "--lossless"));
	assert_int_equal(result.status, 0);
	assert_int_equal(result.calls.latest, 0);
	assert_int_equal(result.calls.mode, CAMTAP_MODE_LOSSLESS);
}

static void names_are_safe(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0)};
	struct fake_script script = SCRIPT(steps);
	static const char *const names[] = {"../../etc/cron.d/x", ".hidden", "", "a\nb"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		struct result result;

		script.name = names[i];
		result =
			run(dump_run, &script, ARGUMENTS("dump", "--output", path, "--count", "1"));
		assert_int_equal(result.status, 0);
		assert_files(path, ARGUMENTS("camera-20261121T101112.012345-0.jpg"));
		remove_folder(path);
	}
}

static void wrong_usage(void **state)
{
	static const struct {
		int (*run)(const struct invocation *);
		const char *arguments[6];
		const char *part;
	} cases[] = {
		{dump_run, {"dump", "--format", "gif"}, "none of jpeg, png, ppm, y4m, raw"},
		{dump_run, {"dump", "--count", "0"}, "no number of frames"},
		{dump_run, {"dump", "--count", "-1"}, "no number of frames"},
		{dump_run, {"dump", "--count", "1x"}, "no number of frames"},
		{dump_run, {"dump", "--count"}, "--count needs a value"},
		{dump_run, {"dump", "--quality", "101"}, "from 1 to 100"},
		{dump_run, {"dump", "--timeout", "soon"}, "no time span"},
		{dump_run, {"dump", "--interval", "0"}, "no time span"},
		{dump_run, {"dump", "--frobnicate"}, "unknown option --frobnicate"},
		{dump_run, {"dump", "front", "rear"}, "what is rear?"},
		{dump_run, {"dump", "a/b"}, "a name has no slash"},
		{dump_run, {"dump", "--output", "-", "--json"}, "--json needs standard output"},
		{dump_run, {"dump", "--output", "-", "--format", "png"}, "--count 1"},
		{dump_run, {"dump", "--output", "-", "--sidecar"}, "--sidecar"},
		{dump_run, {"dump", "--format", "y4m", "--sidecar"}, "--sidecar"},
		{dump_run, {"dump", "--latest", "--lossless"}, "choose one"},
		{hz_run, {"hz", "--output", "x"}, "has no --output"},
		{info_run, {"info", "--count", "3"}, "has no --count"},
		{list_run, {"list", "front"}, "what is front?"},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const char *arguments[8] = {};
		struct result result;
		size_t count = 0;

		for (; count < 6 && cases[i].arguments[count]; count++)
			arguments[count] = cases[i].arguments[count];
		assert_int_equal(chdir(folder), 0);
		result = run(cases[i].run, &no_script, arguments);
		assert_fails(&result, 2, cases[i].part);
		assert_string_equal(result.output, "");
	}
	assert_files(folder, ARGUMENTS(NULL));
}

static void help_names_every_option(void **state)
{
	static const char *const options[] = {"--count", "--output", "--format", "--quality",
		"--interval", "--latest", "--lossless", "--sidecar", "--sync", "--json", "--stream",
		"--socket", "--timeout"};
	struct result result = run(dump_run, &no_script, ARGUMENTS("dump", "--help"));

	(void)state;
	assert_int_equal(result.status, 0);
	assert_string_equal(result.error, "");
	for (size_t i = 0; i < ELEMENTS(options); i++)
		assert_contains(result.output, options[i]);
}

/* ---- files that appear when they are whole ---- */

static void check_output(bool anonymous)
{
	struct output_folder there;
	struct output_file file;
	char hidden[64];

	assert_int_equal(output_folder_init(&there, path, true), 0);
	assert_true(there.made);
	if (anonymous && !there.anonymous) {
		output_folder_finish(&there);
		skip(); /* the file system of /tmp has no O_TMPFILE */
	}
	there.anonymous = anonymous;

	assert_int_equal(output_file_open(&file, &there), 0);
	assert_int_equal(output_file_write(&file, "whole", 5), 0);
	if (anonymous)
		assert_files(path, ARGUMENTS(NULL));
	assert_int_equal(output_file_publish(&file, "name"), 0);
	assert_files(path, ARGUMENTS("name"));
	assert_content(path, "name", "whole", 5);

	assert_int_equal(output_file_open(&file, &there), 0);
	assert_int_equal(output_file_write(&file, "other", 5), 0);
	assert_int_equal(output_file_publish(&file, "name"), -EEXIST);
	assert_files(path, ARGUMENTS("name"));
	assert_content(path, "name", "whole", 5);

	if (!anonymous) {
		snprintf(hidden, sizeof(hidden), ".camtap-%d-%u.tmp", (int)getpid(), there.count);
		close(openat(there.fd, hidden, O_CREAT | O_EXCL | O_CLOEXEC, 0600));
		assert_int_equal(output_file_open(&file, &there), 0);
		assert_int_equal(output_file_write(&file, "dropped", 7), 0);
		output_file_discard(&file);
		assert_content(path, hidden, "", 0);
		assert_int_equal(unlinkat(there.fd, hidden, 0), 0);
	}

	assert_int_equal(output_file_open(&file, &there), 0);
	assert_int_equal(output_file_write(&file, "dropped", 7), 0);
	output_file_discard(&file);
	output_file_discard(&file);
	assert_files(path, ARGUMENTS("name"));

	output_folder_remove(&there, "name");
	output_folder_finish(&there);
	assert_files(folder, ARGUMENTS(NULL));
}

static void files_appear_when_they_are_whole(void **state)
{
	(void)state;
	check_output(true);
}

static void file_systems_without_nameless_files(void **state)
{
	(void)state;
	check_output(false);
}

static void folders_that_cannot_be(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0)};
	const struct fake_script script = SCRIPT(steps);
	struct result result;
	char full[512];

	(void)state;
	snprintf(full, sizeof(full), "%s/no/such", folder);
	result = run(dump_run, &script, ARGUMENTS("dump", "--output", full));
	assert_fails(&result, 1, "/no/such: No such file or directory");
	snprintf(full, sizeof(full), "%s/file", folder);
	fclose(fopen(full, "w"));
	result = run(dump_run, &script, ARGUMENTS("dump", "--output", full));
	assert_fails(&result, 1, "/file: Not a directory");
}

/* ---- hz ---- */

static json_t *run_hz(const struct fake_script *script, const char *count, int status)
{
	struct result result = run(
		hz_run, script, ARGUMENTS("hz", "--json", "--count", count, "--timeout", "100ms"));
	json_t *object;

	assert_int_equal(result.status, status);
	object = json_loads(result.output, 0, NULL);
	assert_non_null(object);
	return object;
}

static double get_real(const json_t *object, const char *outer, const char *key)
{
	if (outer)
		object = json_object_get(object, outer);
	return json_number_value(json_object_get(object, key));
}

static void hz_measures(void **state)
{
	static const int64_t jitter[] = {0, 1, -1, 1, -1, 0};
	struct fake_step steps[7];
	const struct fake_script script = SCRIPT(steps);
	int64_t start_ns = now() - 1000 * ms_ns;
	json_t *object;

	(void)state;
	/* Frames 0, 1, 2, then after a restart 3, 6, 7; published each 40 ms, captured 1 ms off. */
	for (size_t i = 0, step = 0; i < 6; i++, step++) {
		if (i == 3)
			steps[step++] = (struct fake_step){.outcome = CAMTAP_DISCONTINUITY};
		steps[step] = make_jpeg(i < 4 ? i : i + 2);
		steps[step].frame.epoch = i < 3 ? 1 : 2;
		steps[step].frame.publish_time = start_ns + (int64_t)i * 40 * ms_ns;
		steps[step].frame.capture_time =
			start_ns + (int64_t)i * 40 * ms_ns + jitter[i] * ms_ns;
	}
	steps[5].frame.missed = 2;
	steps[6].frame.revoked = true;
	object = run_hz(&script, "6", 0);

	assert_int_equal(get_real(object, NULL, "schema"), 1);
	assert_int_equal(get_real(object, NULL, "frames"), 6);
	assert_int_equal(get_real(object, NULL, "missed"), 2);
	assert_int_equal(get_real(object, NULL, "revoked"), 1);
	assert_int_equal(get_real(object, NULL, "discontinuities"), 1);
	assert_true(get_real(object, NULL, "fps") == 25);
	/* Intervals between frames that follow each other: 41, 38, and 41 ms; mean 40. */
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(object, "jitter_us"), "of")),
		"capture");
	assert_true(get_real(object, "jitter_us", "max") == 2000);
	assert_true(get_real(object, "jitter_us", "stddev") == 1732.1);
	/* Published 1000 ms ago and less, and received now. */
	assert_true(get_real(object, "latency_us", "max") >= 1000000);
	assert_true(get_real(object, "latency_us", "p50") >= 880000);
	assert_true(get_real(object, "latency_us", "p50") <= get_real(object, "latency_us", "p90"));
	assert_true(get_real(object, "latency_us", "p90") <= get_real(object, "latency_us", "p99"));
	assert_true(get_real(object, "latency_us", "p99") <= get_real(object, "latency_us", "max"));
	json_decref(object);
}

static void hz_without_a_capture_clock(void **state)
{
	struct fake_step steps[4];
	const struct fake_script script = SCRIPT(steps);
	json_t *object;

	(void)state;
	for (uint64_t i = 0; i < ELEMENTS(steps); i++) {
		steps[i] = make_jpeg(i);
		steps[i].frame.clock = CAMTAP_CLOCK_COPY;
		steps[i].frame.capture_time = 0;
		steps[i].frame.publish_time = (int64_t)i * 40 * ms_ns;
	}
	object = run_hz(&script, "4", 0);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(object, "jitter_us"), "of")),
		"publish");
	assert_true(get_real(object, "jitter_us", "max") == 0);
	json_decref(object);
}

static void hz_ends_early(void **state)
{
	const struct fake_step steps[] = {make_jpeg(0), make_jpeg(1), {.outcome = CAMTAP_ENDED}};
	struct fake_script script = SCRIPT(steps);
	struct result result;
	json_t *object;

	(void)state;
	object = run_hz(&script, "3", 1);
	assert_int_equal(get_real(object, NULL, "frames"), 2);
	json_decref(object);
	result = run(hz_run, &script, ARGUMENTS("hz"));
	assert_int_equal(result.status, 0);
	assert_contains(result.output, "front: 2 frames");
	assert_contains(result.output, "latency  p50");

	script.step_count = 2;
	object = run_hz(&script, "3", 3);
	assert_int_equal(get_real(object, NULL, "frames"), 2);
	json_decref(object);
}

/* ---- info ---- */

/* The machine's users are the test's. */
struct passwd *getpwuid(uid_t uid)
{
	static char name[] = "alice";
	static struct passwd alice = {.pw_name = name, .pw_uid = 1000};

	return uid == 1000 ? &alice : NULL;
}

static const char document[] =
	"{\"schema\":1,\"camera\":\"front\",\"state\":\"streaming\",\"reason\":\"\","
	"\"since_realtime_ns\":\"1795255872123456000\","
	"\"source\":{\"uri\":\"/dev/video0\",\"kind\":\"v4l2\",\"transfer\":\"zero-copy "
	"(USERPTR)\"},"
	"\"streams\":[{\"stream\":\"native\",\"format\":{\"fourcc\":\"MJPG\",\"width\":1920,"
	"\"height\":1080,\"rate_numerator\":30000,\"rate_denominator\":1001},"
	"\"epoch\":\"18446744073709551615\","
	"\"pool\":{\"slots\":12,\"size_bytes\":\"25200000\",\"reserve_slots\":4},"
	"\"counters\":{\"published\":\"1234\",\"dropped_driver\":\"3\",\"corrupt\":\"0\","
	"\"pool_empty\":\"0\",\"client_slow\":\"0\",\"revoked\":\"0\"},"
	"\"clients\":[{\"name\":\"faces\\u001b[2J\",\"pid\":42,\"uid\":1000,\"program\":\"face_"
	"detect\","
	"\"mode\":\"read\",\"leases\":2,\"missed\":\"5\",\"since_realtime_ns\":"
	"\"1795255872123456000\"},"
	"{\"name\":\"\",\"pid\":43,\"uid\":1001,\"program\":\"\",\"mode\":\"read\"}]}],"
	"\"access\":{\"users\":\"alice, bob\",\"groups\":null},"
	"\"observers\":[],\"from the future\":{\"rate\":59.94},"
	"\"daemon\":{\"version\":\"0.1.0\",\"pid\":41}}";

static void info_prints_the_document(void **state)
{
	const struct fake_script script = {.name = "front", .status = document};
	struct result result = run(info_run, &script, ARGUMENTS("info", "--json"));
	json_t *printed = json_loads(result.output, 0, NULL),
	       *wanted = json_loads(document, 0, NULL);

	(void)state;
	assert_int_equal(result.status, 0);
	assert_string_equal(result.error, "");
	assert_true(json_equal(printed, wanted));
	assert_true(count_lines(result.output) > 10);
	assert_contains(result.output, "59.94\n");
	assert_int_equal(result.calls.mode, CAMTAP_MODE_OBSERVE);
	json_decref(printed);
	json_decref(wanted);
}

static void info_is_readable(void **state)
{
	const struct fake_script script = {.name = "front", .status = document};
	struct result result = run(info_run, &script, ARGUMENTS("info", "front"));

	(void)state;
	assert_int_equal(result.status, 0);
	assert_string_equal(result.output,
		"front: streaming since 2026-11-21 10:11:12\n"
		"  source    /dev/video0 (v4l2)\n"
		"  transfer  zero-copy (USERPTR)\n"
		"  access    users alice, bob\n"
		"  daemon    camtapd 0.1.0, pid 41\n"
		"  stream native: MJPG 1920x1080, 29.97 fps\n"
		"    pool    12 slots, 25.2 MB, epoch 18446744073709551615\n"
		"    frames  published 1234, dropped_driver 3\n"
		"    CLIENT    PID  UID USER  PROGRAM     MODE LEASES MISSED REVOKED SINCE         "
		"     \n"
		"    faces?[2J  42 1000 alice face_detect read      2      5       - 2026-11-21 "
		"10:11:12\n"
		"    -          43 1001 -     -           read      -      -       - -             "
		"     \n");
}

static void info_bears_what_is_missing(void **state)
{
	static const char *const documents[] = {"{\"schema\":1}",
		"{\"schema\":1,\"camera\":7,\"source\":[],\"streams\":{\"a\":1},\"daemon\":\"x\"}",
		"{\"schema\":1,\"streams\":[1,null,{\"format\":null,\"pool\":null}]}",
		"{\"schema\":1,\"streams\":[{\"clients\":[3,{}]}]}"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(documents); i++) {
		const struct fake_script script = {.name = "front", .status = documents[i]};
		struct result result = run(info_run, &script, ARGUMENTS("info"));

		assert_int_equal(result.status, 0);
		assert_null(strstr(result.output, "pool"));
		assert_null(strstr(result.output, "camtapd"));
	}
}

static void info_refuses_what_is_no_document(void **state)
{
	static const char *const documents[] = {"", "{", "[]", "{\"schema\":2}", "{}"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(documents); i++) {
		const struct fake_script script = {.name = "front", .status = documents[i]};
		struct result result = run(info_run, &script, ARGUMENTS("info", "--json"));

		assert_fails(&result, 1, "no status document");
		assert_string_equal(result.output, "");
	}
}

static void info_without_an_answer(void **state)
{
	const struct fake_script script = {.name = NULL};
	struct result result =
		run(info_run, &script, ARGUMENTS("info", "front", "--timeout", "50ms"));

	(void)state;
	assert_fails(&result, 1, "camtap: front: no answer for 50ms");
}

/* ---- ctl ---- */

static const char controls[] =
	"{\"schema\":1,\"camera\":\"front\",\"controls\":["
	"{\"name\":\"brightness\",\"class\":\"User Controls\",\"type\":\"int\",\"minimum\":-1,"
	"\"maximum\":255,\"step\":1,\"default\":128,\"value\":12,\"flags\":[\"slider\"]},"
	"{\"name\":\"hum\",\"class\":\"User Controls\",\"type\":\"menu\",\"minimum\":0,"
	"\"maximum\":1,\"step\":1,\"default\":0,\"value\":1,\"flags\":[],\"menu\":["
	"{\"index\":0,\"text\":\"Off\"},{\"index\":1,\"text\":\"50 Hz\\u001b[2J\"}]},"
	"{\"name\":\"auto\",\"class\":\"Camera Controls\",\"type\":\"bool\",\"default\":true,"
	"\"value\":false,\"flags\":[\"update\",\"inactive\"]},"
	"{\"name\":\"bits\",\"class\":\"Camera Controls\",\"type\":\"bitmask\",\"minimum\":0,"
	"\"maximum\":2147483651,\"step\":0,\"default\":0,\"value\":2147483649,\"flags\":[]},"
	"{\"name\":\"wide\",\"class\":\"Camera Controls\",\"type\":\"int64\",\"minimum\":\"0\","
	"\"maximum\":\"9007199254740993\",\"step\":\"1\",\"default\":\"0\",\"value\":\"7\","
	"\"flags\":[]},"
	"{\"name\":\"link\",\"class\":\"Camera Controls\",\"type\":\"intmenu\",\"minimum\":0,"
	"\"maximum\":0,\"step\":1,\"default\":0,\"value\":0,\"flags\":[],\"menu\":["
	"{\"index\":0,\"value\":\"42\"}]},"
	"{\"name\":\"title\",\"class\":\"Camera Controls\",\"type\":\"str\",\"minimum\":0,"
	"\"maximum\":8,\"step\":1,\"value\":\"hi\",\"flags\":[]},"
	"{\"name\":\"press\",\"class\":\"Camera Controls\",\"type\":\"button\",\"value\":null,"
	"\"flags\":[]}]}";

static void ctl_lists(void **state)
{
	const struct fake_script script = {.name = "front", .controls = controls};
	struct result result = run(ctl_run, &script, ARGUMENTS("ctl"));

	(void)state;
	assert_string_equal(result.error, "");
	assert_int_equal(result.status, 0);
	assert_string_equal(result.output,
		"User Controls\n"
		"  brightness (int)              : min=-1 max=255 step=1 default=128 value=12 "
		"flags=slider\n"
		"  hum (menu)                    : min=0 max=1 step=1 default=0 value=1 (50 "
		"Hz?[2J)\n"
		"      0: Off\n"
		"      1: 50 Hz?[2J\n"
		"\n"
		"Camera Controls\n"
		"  auto (bool)                   : default=1 value=0 flags=update,inactive\n"
		"  bits (bitmask)                : min=0x00000000 max=0x80000003 step=0x00000000 "
		"default=0x00000000 value=0x80000001\n"
		"  wide (int64)                  : min=0 max=9007199254740993 step=1 default=0 "
		"value=7\n"
		"  link (intmenu)                : min=0 max=0 step=1 default=0 value=0 (42)\n"
		"      0: 42\n"
		"  title (str)                   : min=0 max=8 step=1 value='hi'\n"
		"  press (button)                :\n");
	assert_int_equal(result.calls.mode, CAMTAP_MODE_OBSERVE);
	assert_string_equal(result.calls.sets, "");
}

/* Which of the words is the camera? */
static void ctl_tells_cameras_from_controls(void **state)
{
	static const char *const two[] = {"front", "hum"};
	static const struct {
		size_t cameras; /* of `two` */
		const char *arguments[5];
		const char *camera, *output, *sets;
	} cases[] = {
		{1, {"ctl", "front", "hum"}, "front", "hum: 1 (50 Hz?[2J)\n", ""},
		{1, {"ctl", "hum"}, NULL, "hum: 1 (50 Hz?[2J)\n", ""},
		{2, {"ctl", "hum", "auto"}, "hum", "auto: 0\n", ""},
		{2, {"ctl", "front", "title"}, "front", "title: 'hi'\n", ""},
		{2, {"ctl", "hum=0"}, NULL, "", "hum=0 "},
		{2, {"ctl", "--socket=/s", "hum"}, NULL, "hum: 1 (50 Hz?[2J)\n", ""},
		{1, {"ctl", "bits=3", "hum=", "wide"}, NULL, "wide: 7\n", "bits=3 hum= "},
		{1, {"ctl", "front", "title=a=b c"}, "front", "", "title=a=b c "},
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct fake_script script = {.name = "front",
			.controls = controls,
			.status = document,
			.names = two,
			.name_count = cases[i].cameras};
		struct result result = run(ctl_run, &script, cases[i].arguments);

		assert_string_equal(result.error, "");
		assert_int_equal(result.status, 0);
		assert_string_equal(result.output, cases[i].output);
		assert_string_equal(result.calls.sets, cases[i].sets);
		/* a pointer of another process */
		assert_int_equal(result.calls.camera != NULL, cases[i].camera != NULL);
	}
}

static void ctl_prints_what_is_named_as_json(void **state)
{
	static const char *const names[] = {"front"};
	const struct fake_script script = {.name = "front",
		.controls = controls,
		.status = document,
		.names = names,
		.name_count = 1};
	struct result result =
		run(ctl_run, &script, ARGUMENTS("ctl", "front", "--json", "wide=8", "brightness"));
	json_t *printed = json_loads(result.output, 0, NULL);
	const json_t *list = json_object_get(printed, "controls");

	(void)state;
	assert_int_equal(result.status, 0);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 0), "name")), "wide");
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 1), "name")), "brightness");
	assert_int_equal(json_integer_value(json_object_get(printed, "schema")), 1);
	assert_string_equal(result.calls.sets, "wide=8 ");
	json_decref(printed);
}

static void ctl_fails_with_one_line(void **state)
{
	static const char *const names[] = {"front", "back"};
	struct fake_script script = {.name = "front",
		.controls = controls,
		.status = document,
		.names = names,
		.name_count = 2,
		.refused = "hum"};
	struct result result;

	(void)state;
	result = run(ctl_run, &script, ARGUMENTS("ctl", "front", "wide=1", "hum=2", "bits=3"));
	assert_fails(&result, 1, "camtap: front: it must be less");
	assert_string_equal(result.calls.sets, "wide=1 hum=2 ");
	/* first the names */
	result = run(ctl_run, &script, ARGUMENTS("ctl", "front", "wide=1", "brightnes"));
	assert_fails(&result, 1, "camtap: front: brightnes: no such control; ");
	assert_string_equal(result.calls.sets, "");
	result = run(ctl_run, &script, ARGUMENTS("ctl", "front", "=1"));
	assert_fails(&result, 2, "what is =1?");
	result = run(ctl_run, &script, ARGUMENTS("ctl", "front", ""));
	assert_fails(&result, 2, "an empty word");
	result = run(ctl_run, &script, ARGUMENTS("ctl", "front", "--count", "3"));
	assert_fails(&result, 2, "has no --count");
	script.controls = NULL;
	result = run(ctl_run, &script, ARGUMENTS("ctl", "front", "--timeout", "50ms"));
	assert_fails(&result, 1, "camtap: front: no answer for 50ms");
	for (int i = 0; i < 4; i++) {
		static const char *const documents[] = {
			"[]", "{\"schema\":2,\"controls\":[]}", "{\"schema\":1}", "{"};

		script.controls = documents[i];
		result = run(ctl_run, &script, ARGUMENTS("ctl", "front"));
		assert_fails(&result, 1, "no document of controls");
	}
	script.controls = "{\"schema\":1,\"controls\":[3,{},{\"name\":[]},{\"menu\":7}]}";
	result = run(ctl_run, &script, ARGUMENTS("ctl", "front"));
	assert_int_equal(result.status, 0);
}

/* ---- pause and resume ---- */

static void the_switch_is_asked_once_and_silently(void **state)
{
	static const struct {
		int (*run)(const struct invocation *invocation);
		const char *name, *sets;
	} commands[] = {{pause_run, "pause", "pause "}, {resume_run, "resume", "resume "}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fake_script script = {.name = "front"};
		const char *name = commands[i].name;
		const char *const arguments[] = {name, "front", NULL};
		const char *const hurried[] = {name, "--timeout", "50ms", NULL};
		const char *const wrong[] = {name, "--json", NULL};
		struct result result = run(commands[i].run, &script, arguments);

		assert_int_equal(result.status, 0);
		assert_string_equal(result.output, "");
		assert_string_equal(result.error, "");
		assert_string_equal(result.calls.sets, commands[i].sets);
		assert_string_equal(result.calls.camera, "front");
		assert_int_equal(result.calls.mode, CAMTAP_MODE_OBSERVE);

		script.pause_result = -EACCES;
		result = run(commands[i].run, &script, arguments);
		assert_fails(&result, 1, "camtap: front: only some may do that");
		script.pause_result = -ETIMEDOUT;
		result = run(commands[i].run, &script, hurried);
		assert_fails(&result, 1, "camtap: front: no answer for 50ms");
		result = run(commands[i].run, &script, wrong);
		assert_fails(&result, 2, "has no --json");
	}
}

static void info_says_who_has_paused_it(void **state)
{
	const struct fake_script script = {.name = "front",
		.status = "{\"schema\":1,\"camera\":\"front\",\"state\":\"paused\","
			  "\"since_realtime_ns\":\"1700000000000000000\","
			  "\"reason\":\"paused by alice (uid 1000) since yesterday\"}"};
	struct result result = run(info_run, &script, ARGUMENTS("info", "front"));

	(void)state;
	assert_int_equal(result.status, 0);
	assert_string_equal(result.output, "front: paused by alice (uid 1000) since yesterday\n");
}

/* ---- list ---- */

static void list_shows_cameras(void **state)
{
	static const char *const names[] = {"front", "rear-left"};
	const struct fake_script script = {.names = names, .name_count = 2};
	struct result result = run(list_run, &script, ARGUMENTS("list", "--json"));
	json_t *object = json_loads(result.output, 0, NULL), *cameras, *camera;

	(void)state;
	assert_int_equal(result.status, 0);
	assert_int_equal(json_integer_value(json_object_get(object, "schema")), 1);
	assert_true(json_is_array(json_object_get(object, "devices")));
	cameras = json_object_get(object, "cameras");
	assert_int_equal(json_array_size(cameras), 2);
	camera = json_array_get(cameras, 1);
	assert_string_equal(json_string_value(json_object_get(camera, "name")), "rear-left");
	assert_string_equal(json_string_value(json_object_get(camera, "socket")),
		"/run/camtap/rear-left/socket");
	json_decref(object);

	result = run(list_run, &script, ARGUMENTS("list"));
	assert_int_equal(result.status, 0);
	assert_contains(result.output, "running or startable");
	assert_contains(result.output, "  rear-left  /run/camtap/rear-left/socket\n");
}

/* Prints made-up devices: as text, or with --json. */
static int print_made_up_devices(const struct invocation *invocation)
{
	static struct format_rate rates[] = {{30, 1}, {30000, 1001}}, range[] = {{1, 1}, {120, 1}};
	static struct format_size sizes[] = {
		{.width = 640, .height = 480, .rates = rates, .rate_count = 2},
		{.width = 1920, .height = 1080}};
	static struct format_size ranges[] = {{.range = true,
		.width = 16,
		.height = 8,
		.width_most = 4096,
		.height_most = 2160,
		.width_step = 2,
		.height_step = 1,
		.rates_width = 640,
		.rates_height = 480,
		.rate_range = true,
		.rates = range,
		.rate_count = 2}};
	static struct format_offer offers[] = {
		{V4L2_PIX_FMT_YUYV, "YUYV 4:2:2", V4L2_PIX_FMT_YUYV, false, sizes, 2},
		{V4L2_PIX_FMT_UYVY, "UYVY 4:2:2", V4L2_PIX_FMT_UYVY, false, sizes, 2},
		{v4l2_fourcc('A', 'B', 'C', '1'), "Own", 0, false, ranges, 1},
		{V4L2_PIX_FMT_YUV420, "Planar", V4L2_PIX_FMT_YUV420, true, NULL, 0},
		{V4L2_PIX_FMT_NV12M, "Apart", V4L2_PIX_FMT_NV12, false, NULL, 0},
	};
	static struct device devices[] = {
		{.path = "/dev/video0", .name = "Eye", .by_id = "/dev/v4l/by-id/eye", .node = 1},
		{.path = "/dev/video2", .name = "Twin", .node = 2, .twin = "/dev/video3"},
		{.path = "/dev/video3", .name = "Bare", .node = 3, .kind = DEVICE_OTHER},
		{.path = "/dev/video4", .name = "cfe", .kind = DEVICE_MEDIA_CONTROLLER},
		{.path = "/dev/video5", .name = "cfe-2", .kind = DEVICE_MEDIA_CONTROLLER},
		{.path = "/dev/video6", .name = "isp", .kind = DEVICE_MEDIA_CONTROLLER},
	};
	static struct listing_entry entries[ELEMENTS(devices)] = {
		{.shown = true,
			.asked = true,
			.formats = {.offers = offers,
				.offer_count = 5,
				.fourcc = V4L2_PIX_FMT_YUYV,
				.width = 640,
				.height = 480,
				.rate = {30, 1}}},
		{.shown = true}};
	static struct holder holders[] = {
		{.node = 1, .pid = 11, .program = "camtapd", .socket = "/run/camtap/front/socket"},
		{.node = 2, .pid = 12, .program = "camtapd", .socket = "/tmp/s"},
		{.node = 2, .pid = 13, .program = "cheese"},
		{.node = 3, .pid = 14, .program = "other"},
	};
	struct listing listing = {.devices = {devices, ELEMENTS(devices)},
		.entries = entries,
		.holders = {holders, ELEMENTS(holders), 5}};

	devices[0].by_path = "/dev/v4l/by-path/port-1";
	devices[0].stable = devices[0].by_id;
	devices[1].by_id = "/dev/v4l/by-id/twin";
	devices[1].by_path = "/dev/v4l/by-path/port-2";
	devices[1].stable = devices[1].by_path;
	devices[3].parent = devices[4].parent = "/sys/cfe";
	devices[5].parent = "/sys/isp";
	if (camtap_list_new(&listing.cameras) < 0)
		abort();
	if (invocation->argc > 1)
		list_print_json(&listing);
	else
		list_print_text(&listing);
	camtap_list_free(listing.cameras);
	return 0;
}

static const char *const one_camera[] = {"front"};
static const struct fake_script one_camera_script = {.names = one_camera, .name_count = 1};

static void list_says_what_to_configure(void **state)
{
	struct result result = run(print_made_up_devices, &one_camera_script, ARGUMENTS("list"));

	(void)state;
	assert_string_equal(result.output,
		"cameras, running or startable:\n"
		"  front  /run/camtap/front/socket\n"
		"devices that can capture:\n"
		"  /dev/video0  Eye\n"
		"    configure: source = /dev/v4l/by-id/eye\n"
		"    or by the port that it is plugged into: /dev/v4l/by-path/port-1\n"
		"    in use by camtapd (camera front), pid 11\n"
		"    set to   YUYV 640x480, 30 fps\n"
		"    YUYV     YUYV 4:2:2\n"
		"    UYVY     UYVY 4:2:2\n"
		"      640x480    30, 29.97 fps\n"
		"      1920x1080  the driver sets the rate\n"
		"    ABC1     Own (unknown to camtapd)\n"
		"      16x8 to 4096x2160 in steps of 2x1; 640x480: 1 to 120 fps\n"
		"    YU12     Planar (converted by libv4l2, if it is asked for)\n"
		"    NM12     Apart (as NV12)\n"
		"      the driver does not list sizes\n"
		"  /dev/video2  Twin\n"
		"    configure: source = /dev/v4l/by-path/port-2\n"
		"    not this:  /dev/v4l/by-id/twin (/dev/video3 has the same serial number: it "
		"may "
		"become that one's)\n"
		"    in use by camtapd (socket /tmp/s), pid 12\n"
		"    in use by cheese, pid 13\n"
		"/dev/video4 to /dev/video5 (cfe) belong to a media controller that somebody must "
		"set up for every picture: use libcamera, with `camtapd --source 'exec:rpicam-vid "
		"--codec mjpeg -t 0 -n -o -'`\n"
		"/dev/video6 (isp) belongs to a media controller that somebody must set up for "
		"every picture: use libcamera, with `camtapd --source 'exec:rpicam-vid --codec "
		"mjpeg -t 0 -n -o -'`\n"
		"5 processes of other users could not be looked at: root sees whether they use a "
		"device\n");
}

static void list_says_the_same_in_json(void **state)
{
	struct result result =
		run(print_made_up_devices, &one_camera_script, ARGUMENTS("list", "--json"));
	json_t *object = json_loads(result.output, 0, NULL);
	const char *path_of_first, *stable, *twin, *camera, *fourcc, *name, *source;
	int hidden, emulated, min_width, numerator, pid;

	(void)state;
	assert_non_null(object);
	assert_int_equal(
		json_unpack(object, "{s:[{s:s, s:s, s:n, s:[{s:i, s:s}]}, {s:s}!]}", "devices",
			"path", &path_of_first, "stable_path", &stable, "same_serial", "holders",
			"pid", &pid, "camera", &camera, "same_serial", &twin),
		0);
	assert_string_equal(path_of_first, "/dev/video0");
	assert_string_equal(stable, "/dev/v4l/by-id/eye");
	assert_int_equal(pid, 11);
	assert_string_equal(camera, "front");
	assert_string_equal(twin, "/dev/video3");
	assert_int_equal(
		json_unpack(object,
			"{s:[{s:[{}, {}, {s:s, s:n, s:b, s:[{s:i, s:[{}, {s:i}]}]}, {s:b}, "
			"{s:s}]}]}",
			"devices", "formats", "fourcc", &fourcc, "pixel_format", "emulated",
			&emulated, "sizes", "min_width", &min_width, "rates", "numerator",
			&numerator, "emulated", &emulated, "pixel_format", &name),
		0);
	assert_string_equal(fourcc, "ABC1");
	assert_string_equal(name, "NV12");
	assert_true(emulated);
	assert_int_equal(min_width, 16);
	assert_int_equal(numerator, 120);
	assert_int_equal(json_unpack(object, "{s:[{s:s, s:[s, s!]}, {s:s}!], s:i}",
				 "media_controllers", "name", &name, "paths", &path_of_first,
				 &stable, "source", &source, "hidden_processes", &hidden),
		0);
	assert_string_equal(name, "cfe");
	assert_string_equal(stable, "/dev/video5");
	assert_string_equal(source, "exec:rpicam-vid --codec mjpeg -t 0 -n -o -");
	assert_int_equal(hidden, 5);
	json_decref(object);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(dump_writes_each_jpeg_as_it_came),
		TEST(dump_concatenates_on_standard_output),
		TEST(revoked_frames_never_appear),
		TEST(missed_frames_are_told),
		TEST(y4m_is_one_file_for_each_format),
		TEST(y4m_on_a_pipe_cannot_change),
		TEST(raw_has_a_description_beside_it),
		TEST(existing_files_are_not_touched),
		TEST(full_disk_leaves_whole_files_only),
		TEST(full_disk_cuts_a_stream_back_to_whole_frames),
		TEST(full_pipe_is_told),
		TEST(reader_that_goes_away_is_no_error),
		TEST(no_frame_in_time),
		TEST(reason_for_waiting_is_told_once),
		TEST(end_of_a_recording),
		TEST(refusal_by_the_daemon),
		TEST(signal_ends_with_the_summary),
		TEST(interval_takes_one_frame_of_each_period),
		TEST(damaged_frames_are_told_and_counted),
		TEST(latest_and_lossless),
		TEST(names_are_safe),
		TEST(wrong_usage),
		TEST(help_names_every_option),
		TEST(files_appear_when_they_are_whole),
		TEST(file_systems_without_nameless_files),
		TEST(folders_that_cannot_be),
		TEST(hz_measures),
		TEST(hz_without_a_capture_clock),
		TEST(hz_ends_early),
		TEST(info_prints_the_document),
		TEST(info_is_readable),
		TEST(info_bears_what_is_missing),
		TEST(info_refuses_what_is_no_document),
		TEST(info_without_an_answer),
		TEST(ctl_lists),
		TEST(ctl_tells_cameras_from_controls),
		TEST(ctl_prints_what_is_named_as_json),
		TEST(ctl_fails_with_one_line),
		TEST(the_switch_is_asked_once_and_silently),
		TEST(info_says_who_has_paused_it),
		TEST(list_shows_cameras),
		TEST(list_says_what_to_configure),
		TEST(list_says_the_same_in_json),
	};

	setenv("TZ", "UTC", 1);
	fill();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
