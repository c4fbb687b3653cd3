/* SPDX-License-Identifier: MIT */

/*
 * Command line and configuration. The configuration is written into a directory of the test's own.
 *
 * SOURCE_ROOT is the root of the source tree, for the documents that are compared with the table of
 * settings. `test-options --print-example` prints what systemd/camtapd.conf.example must be from
 * its first section on.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "options.h"
#include "pool-layout.h"
#include "settings.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define ARGUMENTS_MAX   24

struct fixture {
	char directory[32]; /* instead of /etc/camtap */
	struct options options;
	char error[OPTIONS_ERROR_SIZE];
};

static int fixture_init(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	if (fixture == NULL)
		return -1;
	strcpy(fixture->directory, "/tmp/test-options-XXXXXX");
	if (mkdtemp(fixture->directory) == NULL) {
		free(fixture);
		return -1;
	}
	*state = fixture;
	return 0;
}

static int fixture_finish(void **state)
{
	struct fixture *fixture = *state;
	char command[64];

	options_finish(&fixture->options);
	snprintf(command, sizeof command, "rm -r %s", fixture->directory);
	if (system(command) != 0)
		return -1;
	free(fixture);
	return 0;
}

/* Writes size bytes to a file below the fixture's directory. */
static void write_bytes(
	const struct fixture *fixture, const char *name, const char *bytes, size_t size)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
	write_bytes(fixture, name, text, strlen(text));
}

static void make_directory(const struct fixture *fixture, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Reads options as camtapd would with this command line, whose words are separated by '|'. */
static int read_options(struct fixture *fixture, const char *command_line)
{
	char copy[512], *arguments[ARGUMENTS_MAX], *save = NULL;
	int count = 0;

	options_finish(&fixture->options);
	fixture->error[0] = '\0';
	assert_true(strlen(command_line) < sizeof copy);
	strcpy(copy, command_line);
	arguments[count++] = (char *)"camtapd";
	for (char *word = strtok_r(copy, "|", &save); word != NULL;
		word = strtok_r(NULL, "|", &save)) {
		assert_true(count < ARGUMENTS_MAX - 1);
		arguments[count++] = word;
	}
	arguments[count] = NULL;
	return options_read(
		&fixture->options, fixture->directory, count, arguments, fixture->error);
}

/* The error must be `expected`, in which '@' stands for the fixture's directory. */
static void assert_error(const struct fixture *fixture, const char *expected)
{
	char text[2 * OPTIONS_ERROR_SIZE] = "";
	size_t length = 0;

	for (; *expected != '\0'; expected++)
		if (*expected == '@')
			length += (size_t)sprintf(text + length, "%s", fixture->directory);
		else
			text[length++] = *expected;
	text[length] = '\0';
	assert_string_equal(fixture->error, text);
}

static void defaults_are_the_documented_ones(void **state)
{
	struct fixture *fixture = *state;
	const struct options *options = &fixture->options;

	assert_int_equal(read_options(fixture, "--source|pattern:"), OPTIONS_RUN);
	assert_string_equal(options->name, "pattern");
	assert_string_equal(options->source, "pattern:");
	assert_null(options->socket);
	assert_int_equal(options->fourcc, 0);
	assert_int_equal(options->width, 0);
	assert_int_equal(options->height, 0);
	assert_int_equal(options->rate_numerator, 0);
	assert_int_equal(options->rate_denominator, 0);
	assert_false(options->rate_unpaced);
	assert_null(options->raw);
	assert_false(options->loop);
	assert_int_equal(options->memory, OPTIONS_MEMORY_AUTO);
	assert_int_equal(options->slots, 0);
	assert_int_equal(options->memory_limit, 1 << 30);
	assert_int_equal(options->max_clients, 128);
	assert_int_equal(options->max_clients_per_uid, 64);
	assert_int_equal(options->max_leases, 4);
	assert_int_equal(options->lease_min_ns, 250000000);
	assert_false(options->lossless);
	assert_int_equal(options->wait_readers, 1);
	assert_int_equal(options->realtime, 0);
	assert_int_equal(options->idle_timeout_ns, UINT64_C(5000000000));
	assert_false(options->always_on);
	assert_false(options->wait);
	assert_false(options->check_config);
}

static void options_are_read(void **state)
{
	struct fixture *fixture = *state;
	const struct options *options = &fixture->options;

	assert_int_equal(read_options(fixture,
				 "--name=front|--source=/dev/video3|--socket=/run/x/socket|"
				 "--pixel-format=nv12|--size=1280x720|--rate=29.97|--loop|"
				 "--slots=12|--memory=copy|--memory-limit=256M|--lossless|"
				 "--wait-readers|3|--always-on|--wait|--check-config|--realtime=7"),
		OPTIONS_RUN);
	assert_string_equal(options->name, "front");
	assert_string_equal(options->source, "/dev/video3");
	assert_string_equal(options->socket, "/run/x/socket");
	assert_memory_equal(&options->fourcc, "NV12", 4);
	assert_int_equal(options->width, 1280);
	assert_int_equal(options->height, 720);
	assert_int_equal(options->rate_numerator, 2997);
	assert_int_equal(options->rate_denominator, 100);
	assert_true(options->loop);
	assert_int_equal(options->slots, 12);
	assert_int_equal(options->memory, OPTIONS_MEMORY_COPY);
	assert_int_equal(options->memory_limit, 256 << 20);
	assert_true(options->lossless);
	assert_int_equal(options->wait_readers, 3);
	assert_true(options->always_on);
	assert_int_equal(options->realtime, 7);
	assert_true(options->wait);
	assert_true(options->check_config);

	assert_int_equal(
		read_options(fixture,
			"--source=-|--raw=GREY:64x48,rate=10|--max-clients=5|"
			"--max-clients-per-uid=2|--max-leases=7|--lease-min=1.5s|"
			"--idle-timeout=1min 30s|--slots=5|--slots=auto|--loop|--loop=no|"
			"--rate=30|--rate=0|--memory=userptr|--memory=dmabuf|--memory=libv4l2"),
		OPTIONS_RUN);
	assert_string_equal(options->raw, "GREY:64x48,rate=10");
	assert_int_equal(options->max_clients, 5);
	assert_int_equal(options->max_clients_per_uid, 2);
	assert_int_equal(options->max_leases, 7);
	assert_int_equal(options->lease_min_ns, 1500000000);
	assert_int_equal(options->idle_timeout_ns, UINT64_C(90000000000));
	/* the last one counts */
	assert_int_equal(options->slots, 0);
	assert_false(options->loop);
	assert_true(options->rate_unpaced);
	assert_int_equal(options->rate_numerator, 0);
	assert_int_equal(options->rate_denominator, 0);
	assert_int_equal(options->memory, OPTIONS_MEMORY_LIBV4L2);
}

static void names_come_from_the_source(void **state)
{
	static const struct {
		const char *source, *name;
	} cases[] = {
		{"/dev/video0", "video0"},
		{"v4l2:/dev/video1", "video1"},
		{"/dev/v4l/by-id/usb-046d_HD Webcam:C920-video-index0",
			"usb-046d_HD_Webcam_C920-video-index0"},
		{"/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0",
			"pci-0000_00_14.0-usb-0_1_1.0-video-index0"},
		{"pattern:", "pattern"},
		{"file:film.y4m", "film.y4m"},
		{"file:/srv/a:b/.hidden film", "hidden_film"},
		{"-", "stdin"},
		{"exec:ffmpeg -i /srv/film", "exec"},
	};
	struct fixture *fixture = *state;
	char source[160];

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		snprintf(source, sizeof source, "--source=%s", cases[i].source);
		assert_int_equal(read_options(fixture, source), OPTIONS_RUN);
		assert_string_equal(fixture->options.name, cases[i].name);
	}

	/* names end after 64 characters */
	snprintf(source, sizeof source, "--source=/dev/v4l/by-id/%0100d", 0);
	assert_int_equal(read_options(fixture, source), OPTIONS_RUN);
	assert_int_equal(strlen(fixture->options.name), 64);

	assert_int_equal(read_options(fixture, "--source=/dev/"), -EINVAL);
	assert_error(
		fixture, "the source /dev/ makes no name for the camera: give it one with --name");
	assert_int_equal(read_options(fixture, "--source=/dev/|--name=x"), OPTIONS_RUN);
}

static void sources_come_from_the_name(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(read_options(fixture, "--name=null"), OPTIONS_RUN);
	assert_string_equal(fixture->options.source, "/dev/null");

	assert_true(fixture->options.source_assumed);
	assert_int_equal(read_options(fixture, "--name=null|--source=/dev/zero"), OPTIONS_RUN);
	assert_false(fixture->options.source_assumed);

	/* a service waits for its camera */
	assert_int_equal(read_options(fixture, "--name=video98765|--wait"), OPTIONS_RUN);
	assert_string_equal(fixture->options.source, "/dev/video98765");
	assert_int_equal(read_options(fixture, "--name=front|--wait"), OPTIONS_RUN);
	assert_string_equal(fixture->options.source, "/dev/camtap/front");
	assert_true(fixture->options.source_assumed);
	assert_int_equal(read_options(fixture, "--name=video98765"), -EINVAL);
	assert_error(fixture, "camera video98765 has no source: set source in section [Camera] of "
			      "@/video98765.conf, or use --source (to try it without a camera: "
			      "--source pattern:)");
	assert_int_equal(read_options(fixture, "--name=front"), -EINVAL);
	write_file(fixture, "other.conf", "[Pool]\n");
	assert_int_equal(read_options(fixture, "--name=front|--config=/dev/null"), -EINVAL);
	assert_error(fixture,
		"camera front has no source: set source in section [Camera] of /dev/null, or use "
		"--source");
	assert_int_equal(read_options(fixture, ""), -EINVAL);
	assert_error(fixture,
		"no source: name one with --source /dev/video0, or try it without a camera: "
		"camtapd --source pattern:");
}

/* The fixture's directory is /dev here. */
static void assert_default_source(
	const struct fixture *fixture, const char *name, bool wait, const char *expected)
{
	char path[128], *source;

	assert_int_equal(options_default_source(&source, fixture->directory, name, wait), 0);
	snprintf(path, sizeof path, "%s/%s", fixture->directory, expected);
	assert_string_equal(source, path);
	free(source);
}

static void a_name_that_udev_gave_comes_first(void **state)
{
	struct fixture *fixture = *state;
	char *source;

	assert_int_equal(
		options_default_source(&source, fixture->directory, "front", false), -ENOENT);
	assert_default_source(fixture, "front", true, "camtap/front");
	assert_default_source(fixture, "video7", true, "video7");
	assert_default_source(fixture, "video", true, "camtap/video");
	assert_default_source(fixture, "video7b", true, "camtap/video7b");

	write_file(fixture, "front", "");
	assert_default_source(fixture, "front", false, "front");
	assert_default_source(fixture, "front", true, "front");
	make_directory(fixture, "camtap");
	write_file(fixture, "camtap/front", "");
	write_file(fixture, "camtap/video7", "");
	assert_default_source(fixture, "front", false, "camtap/front");
	assert_default_source(fixture, "video7", true, "camtap/video7");
}

static void later_files_win(void **state)
{
	struct fixture *fixture = *state;
	const struct options *options = &fixture->options;
	char config[64];

	write_file(fixture, "camtapd.conf",
		"[Pool]\nslots = 3\nmemory_limit = 2M\n[Clients]\nmax_clients = 3\n"
		"max_leases = 3\n[Camera]\nloop = yes\n");
	write_file(fixture, "front.conf",
		"[Camera]\nsource = pattern:\nrate = 4\n[Pool]\nslots = 4\n[Clients]\n"
		"max_clients = 4\nmax_leases = 4\n");
	make_directory(fixture, "front.conf.d");
	write_file(fixture, "front.conf.d/10-a.conf",
		"[Pool]\nslots = 10\n[Clients]\nmax_leases = 10\n");
	write_file(fixture, "front.conf.d/20-b.conf", "[Clients]\nmax_leases = 20\n");
	/* these are none */
	write_file(fixture, "front.conf.d/30-c.conf~", "[Clients]\nmax_leases = 30\n");
	write_file(fixture, "front.conf.d/.40-d.conf", "nonsense\n");
	write_file(fixture, "back.conf", "[Clients]\nmax_leases = 50\n");

	assert_int_equal(read_options(fixture, "--name=front"), OPTIONS_RUN);
	assert_string_equal(options->source, "pattern:");
	assert_int_equal(options->rate_numerator, 4);
	assert_int_equal(options->memory_limit, 2 << 20);
	assert_true(options->loop);
	assert_int_equal(options->slots, 10);
	assert_int_equal(options->max_clients, 4);
	assert_int_equal(options->max_leases, 20);

	assert_int_equal(
		read_options(fixture, "--name=front|--max-leases=2|--source=-|--loop=no|--rate=0"),
		OPTIONS_RUN);
	assert_string_equal(options->name, "front");
	assert_string_equal(options->source, "-");
	assert_int_equal(options->max_leases, 2);
	assert_false(options->loop);
	assert_true(options->rate_unpaced);
	assert_int_equal(options->rate_numerator, 0);

	/* the name that comes from the source names the files, too */
	assert_int_equal(read_options(fixture, "--source=/dev/back"), OPTIONS_RUN);
	assert_int_equal(options->max_leases, 50);
	assert_int_equal(options->slots, 3);

	/* --config: this file alone */
	snprintf(config, sizeof config, "--config=%s/front.conf", fixture->directory);
	assert_int_equal(read_options(fixture, config), OPTIONS_RUN);
	assert_string_equal(options->name, "pattern");
	assert_int_equal(options->slots, 4);
	assert_int_equal(options->max_leases, 4);
	assert_int_equal(options->memory_limit, 1 << 30);
	assert_false(options->loop);

	/* a source for all cameras makes a name as well */
	write_file(fixture, "camtapd.conf", "[Camera]\nsource = file:/srv/back\n");
	assert_int_equal(read_options(fixture, ""), OPTIONS_RUN);
	assert_string_equal(options->name, "back");
	assert_int_equal(options->max_leases, 50);
}

static void files_may_look_as_files_do(void **state)
{
	struct fixture *fixture = *state;
	char line[256];

	write_file(fixture, "x.conf",
		"\xef\xbb\xbf# from another system\r\n"
		"\r\n"
		"; a comment ; in a comment\r\n"
		"  [Camera]  \r\n"
		"\tsource=exec:rpicam-vid --codec=mjpeg;x -o - \r\n"
		"   # indented\r\n"
		"   raw : GREY:64x48\r\n"
		"[Pool]\r\n"
		"slots=9\r\n"
		"[Camera]\r\n"
		"loop = on");
	assert_int_equal(read_options(fixture, "--name=x"), OPTIONS_RUN);
	assert_string_equal(fixture->options.source, "exec:rpicam-vid --codec=mjpeg;x -o -");
	assert_string_equal(fixture->options.raw, "GREY:64x48");
	assert_int_equal(fixture->options.slots, 9);
	assert_true(fixture->options.loop);

	/* the longest line */
	snprintf(line, sizeof line, "[Camera]\nsource = exec:%0184d\n", 0);
	assert_int_equal(strlen(strchr(line, '\n') + 1), 199);
	write_file(fixture, "x.conf", line);
	assert_int_equal(read_options(fixture, "--name=x"), OPTIONS_RUN);
	assert_int_equal(strlen(fixture->options.source), 189);

	/* empty ones */
	write_file(fixture, "x.conf", "");
	write_file(fixture, "camtapd.conf", "[Camera]\n");
	assert_int_equal(read_options(fixture, "--name=x|--source=-"), OPTIONS_RUN);
}

static void wrong_lines_are_named(void **state)
{
	static const char unknown_key[] =
		"@/x.conf:2: no such key: slot; section [Pool] has slots memory memory_limit "
		"lossless wait_readers";
	static const char no_setting[] = "@/x.conf:3: must be [SECTION] or KEY = VALUE";
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"[Pool]\nslot = 3\n", unknown_key},
		{"[Pool]\nslot = 3\n[Nonsense]\nx=y\nz\n", unknown_key},
		{"[pool]\nslots = 3\n",
			"@/x.conf:2: no such section: [pool]; there are [Camera], [Pool], "
			"[Clients], [Access] and [Controls]"},
		{"[Controls]\nbrightness =\n",
			"@/x.conf:2: brightness: the value is missing or too long"},
		{"[Controls]\nBrightness = 1\n",
			"@/x.conf:2: Brightness is no control's name: v4l2-ctl writes them in "
			"lower-case letters, digits and '_'"},
		{"[Controls]\na = 1\n\na = 2\n", "@/x.conf:4: a is set already, in line 2"},
		{"[Controls]\na\n", "@/x.conf:2: must be [SECTION] or KEY = VALUE"},
		{"\n# c\nslots = 3\n", "@/x.conf:3: slots belongs into section [Pool]"},
		{"slot = 3\n", "@/x.conf:1: slot stands in no section; there are [Camera], [Pool], "
			       "[Clients], [Access] and [Controls]"},
		{"[Camera]\nslots = 3\n", "@/x.conf:2: slots belongs into section [Pool]"},
		{"[Camera]\nname = y\n",
			"@/x.conf:2: no such key: name; section [Camera] has source socket "
			"pixel_format size rate raw loop wait always_on idle_timeout stall_timeout "
			"jpeg publish_bad realtime"},
		{"[Pool]\n\nslots = 2\n",
			"@/x.conf:3: slots = 2: must be auto, or a number from 3 to 64"},
		{"[Pool]\nslots = 65\n",
			"@/x.conf:2: slots = 65: must be auto, or a number from 3 to 64"},
		{"[Pool]\nslots =\n",
			"@/x.conf:2: slots = : must be auto, or a number from 3 to 64"},
		{"[Pool]\nslots = 3\n\n[Clients]\n[Pool]\nslots = 3\n",
			"@/x.conf:6: slots is set already, in line 2"},
		{"[Pool]\nslots = 3 ; few\n",
			"@/x.conf:2: a comment needs a line of its own, and a command with ' ;' "
			"or ' #' a script"},
		{"[Camera]\nsource = /dev/video0\t# front\n",
			"@/x.conf:2: a comment needs a line of its own, and a command with ' ;' "
			"or ' #' a script"},
		{"[Pool]\nslots = 3\nslots\n", no_setting},
		{"[Pool]\nslots = 3\n[Pool\n", no_setting},
		{"[Pool]\nslots = 3\nslots\nslots = 3\n", no_setting},
		{"[Pool] slots = 3\n", "@/x.conf:1: nothing may follow behind [SECTION]"},
		{"[Camera]\nsource =\n",
			"@/x.conf:2: source = : must be a device, \"pattern:\", \"file:PATH\", "
			"\"-\" or \"exec:COMMAND\""},
		{"[Camera]\nloop = a\x1b[31m\n", "@/x.conf:2: loop = a?[31m: must be yes or no"},
		{"[Clients]\nmax_clients = 4\n[Pool]\nwait_readers = 5\n",
			"wait_readers is 5, but only 4 clients are let in (max_clients)"},
	};
	struct fixture *fixture = *state;
	char line[256];

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		write_file(fixture, "x.conf", cases[i].text);
		assert_true(read_options(fixture, "--name=x|--source=-") < 0);
		assert_error(fixture, cases[i].error);
		assert_null(fixture->options.name);
	}

	snprintf(line, sizeof line, "[Camera]\nsource = exec:%0185d\nloop = yes\n", 0);
	write_file(fixture, "x.conf", line);
	assert_int_equal(read_options(fixture, "--name=x"), -EINVAL);
	assert_error(fixture,
		"@/x.conf:2: the line is longer than 198 bytes; a long command belongs into a "
		"script");
	write_bytes(fixture, "x.conf", "[Pool]\nslots = 3\0garbage", 24);
	assert_int_equal(read_options(fixture, "--name=x|--source=-"), -EINVAL);
	assert_error(fixture, "@/x.conf:2: this is no text");

	/* in every kind of file */
	write_file(fixture, "x.conf", "[Pool]\nslots = 3\n");
	make_directory(fixture, "x.conf.d");
	write_file(fixture, "x.conf.d/1.conf", "[Pool]\nslots = 1\n");
	assert_int_equal(read_options(fixture, "--name=x|--source=-"), -ERANGE);
	assert_error(
		fixture, "@/x.conf.d/1.conf:2: slots = 1: must be auto, or a number from 3 to 64");
	write_file(fixture, "camtapd.conf", "[Pool]\nslots = 1\n");
	assert_int_equal(read_options(fixture, "--name=x|--source=-"), -ERANGE);
	assert_error(
		fixture, "@/camtapd.conf:2: slots = 1: must be auto, or a number from 3 to 64");
}

static void unreadable_files_are_named(void **state)
{
	struct fixture *fixture = *state;

	make_directory(fixture, "x.conf");
	assert_int_equal(read_options(fixture, "--name=x|--source=-"), -EISDIR);
	assert_error(fixture, "@/x.conf: cannot be read: Is a directory");
	write_file(fixture, "y.conf.d", "");
	assert_int_equal(read_options(fixture, "--name=y|--source=-"), -ENOTDIR);
	assert_error(fixture, "@/y.conf.d: cannot be read: Not a directory");
	assert_int_equal(read_options(fixture, "--config=/nonexistent/x.conf|--source=-"), -ENOENT);
	assert_error(fixture, "/nonexistent/x.conf: cannot be read: No such file or directory");
}

static void wrong_options_are_named(void **state)
{
	static const struct {
		const char *words, *error;
	} cases[] = {
		{"--colour=red", "--colour=red: no such option; camtapd --help lists them"},
		{"-x", "-x: no such option; camtapd --help lists them"},
		{"--size", "--size: the value is missing"},
		{"--help=me", "--help=me: the option takes no value"},
		{"/dev/video0",
			"/dev/video0: not an option; a source is given as --source /dev/video0"},
		{"--name=../x",
			"--name=../x: must be a camera's name: up to 64 letters, digits, '_', '.' "
			"and '-', the first one a letter or a digit"},
		{"--source=", "--source=: must be a device, \"pattern:\", \"file:PATH\", \"-\" or "
			      "\"exec:COMMAND\""},
		{"--pixel-format=H264X",
			"--pixel-format=H264X: must be a pixel format that camtap knows, such as "
			"YUYV, NV12, GREY, BGR3 or MJPG"},
		{"--size=1280",
			"--size=1280: must be WIDTHxHEIGHT in pixels, each from 1 to 16384"},
		{"--control=brightness",
			"--control=brightness: must be NAME=VALUE with a control's name as "
			"v4l2-ctl lists it"},
		{"--control=_a=1", "--control=_a=1: must be NAME=VALUE with a control's name as "
				   "v4l2-ctl lists it"},
		{"--control=a=", "--control=a=: must be NAME=VALUE with a control's name as "
				 "v4l2-ctl lists it"},
		{"--rate=fast",
			"--rate=fast: must be frames per second: 30, 29.97, 30000/1001, or 0 for "
			"as fast as it goes"},
		{"--memory=mmap", "--memory=mmap: must be auto, userptr, copy, dmabuf or libv4l2"},
		{"--loop=perhaps", "--loop=perhaps: must be yes or no"},
		{"--memory-limit=1000",
			"--memory-limit=1000: must be a size in bytes such as 256M or 1G, from 1M "
			"to 1024G"},
		{"--lease-min=2min",
			"--lease-min=2min: must be a time span such as 250ms or 1s, at most 1min"},
		{"--idle-timeout=infinity",
			"--idle-timeout=infinity: must be a time span such as 250ms, 5s or 1min "
			"30s, at most 365d"},
		{"--max-clients=10|--wait-readers=11",
			"wait_readers is 11, but only 10 clients are let in (max_clients)"},
		{"--realtime=fifo",
			"--realtime=fifo: must be a priority from 1 to 99, or 0 for none"},
		{"--loop=\x1b[2J\n", "--loop=?[2J?: must be yes or no"},
	};
	struct fixture *fixture = *state;
	char words[256], wrong[256];

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		snprintf(words, sizeof words, "--source=pattern:|%s", cases[i].words);
		assert_true(read_options(fixture, words) < 0);
		assert_error(fixture, cases[i].error);
	}
	snprintf(words, sizeof words, "--source=-|--socket=/%0107d", 0);
	assert_int_equal(read_options(fixture, words), -EINVAL);
	snprintf(wrong, sizeof wrong, "/%0107d: must be a path of at most 107 bytes", 0);
	assert_non_null(strstr(fixture->error, wrong));
	snprintf(words, sizeof words, "--source=-|--socket=/%0106d", 0);
	assert_int_equal(read_options(fixture, words), OPTIONS_RUN);
}

static void limits_are_the_documented_ones(void **state)
{
	static const struct {
		const char *key, *documented, *least, *most, *too_little, *too_much;
	} cases[] = {
		{"slots", "from 3 to 64", "3", "64", "2", "65"},
		{"memory-limit", "from 1M to 1024G", "1M", "1024G", "1023K", "1025G"},
		{"wait-readers", "from 1 to 10000", "1", "10000", "0", "10001"},
		{"max-clients-per-uid", "from 1 to 10000", "1", "10000", "0", "10001"},
		{"max-leases", "from 1 to 63", "1", "63", "0", "64"},
		{"lease-min", "at most 1min", "0", "1min", "-1", "60001ms"},
		{"idle-timeout", "at most 365d", "0", "365d", "-1", "366d"},
		{"size", "from 1 to 16384", "1x1", "16384x16384", "1x0", "16385x16384"},
		{"max-clients", "from 1 to 10000", "1", "10000", "0", "10001"},
		{"realtime", "from 1 to 99, or 0", "0", "99", "-1", "100"},
	};
	struct fixture *fixture = *state;
	char words[128];

	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const char *const right[] = {cases[i].least, cases[i].most};
		const char *const wrong[] = {cases[i].too_little, cases[i].too_much};

		for (size_t v = 0; v < 2; v++) {
			snprintf(words, sizeof words, "--source=-|--max-clients=10000|--%s=%s",
				cases[i].key, right[v]);
			assert_int_equal(read_options(fixture, words), OPTIONS_RUN);
			snprintf(words, sizeof words, "--source=-|--%s=%s", cases[i].key, wrong[v]);
			assert_true(read_options(fixture, words) < 0);
			assert_non_null(strstr(fixture->error, cases[i].documented));
		}
	}
	assert_int_equal(POOL_SLOTS_MIN, 3);
	assert_int_equal(POOL_SLOTS_MAX, 64);
}

/* Appends to a text on the heap. */
__attribute__((format(printf, 2, 3))) static void append(char **text, const char *format, ...)
{
	char *old = *text, *piece;
	va_list arguments;

	va_start(arguments, format);
	assert_true(vasprintf(&piece, format, arguments) >= 0);
	va_end(arguments);
	assert_true(asprintf(text, "%s%s", old != NULL ? old : "", piece) >= 0);
	free(piece);
	free(old);
}

/* The example configuration's sections, keys, defaults and comments, from the table. */
static char *render_example(void)
{
	const char *section = NULL;
	char *text = NULL;

	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *setting = &settings[i];
		size_t column = 0;

		if (setting->section == NULL)
			continue;
		if (section == NULL || strcmp(section, setting->section) != 0)
			append(&text, "%s[%s]\n", section == NULL ? "" : "\n", setting->section);
		section = setting->section;
		append(&text, "\n");
		for (const char *word = setting->help; *word != '\0';) {
			size_t length = strcspn(word, " ");

			if (column == 0 || column + 1 + length > 80) {
				append(&text, "%s#", column == 0 ? "" : "\n");
				column = 1;
			}
			append(&text, " %.*s", (int)length, word);
			column += 1 + length;
			word += length;
			word += strspn(word, " ");
		}
		append(&text, "\n#%s = %s\n", setting->key,
			setting->default_value != NULL ? setting->default_value : setting->example);
	}
	return text;
}

/* "NAME=VALUE NAME=VALUE ..." */
static void assert_controls(const struct fixture *fixture, const char *expected)
{
	char *text = NULL;

	for (size_t i = 0; i < fixture->options.controls.count; i++) {
		const struct control_setting *entry = &fixture->options.controls.entries[i];

		append(&text, "%s%s=%s", i > 0 ? " " : "", entry->name, entry->value);
	}
	assert_string_equal(text, expected);
	free(text);
}

/* In the order in which they were said last. */
static void controls_are_read_in_order(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "camtapd.conf", "[Controls]\nb = 1\na = 2\nc_3 = x y\n");
	write_file(
		fixture, "x.conf", "[Controls]\nb = -3\n[Pool]\nslots = 4\n[Controls]\nd = 0x10\n");
	assert_int_equal(read_options(fixture, "--name=x|--source=-"), OPTIONS_RUN);
	assert_controls(fixture, "a=2 c_3=x y b=-3 d=0x10");
	options_finish(&fixture->options);

	assert_int_equal(read_options(fixture, "--control|a=5|--name=x|--source=-|--control=e=a=b"),
		OPTIONS_RUN);
	assert_controls(fixture, "c_3=x y b=-3 d=0x10 a=5 e=a=b");
}

static void lists_of_names_are_read(void **state)
{
	struct fixture *fixture = *state;
	const struct options *options = &fixture->options;

	assert_int_equal(read_options(fixture, "--source=pattern:"), OPTIONS_RUN);
	assert_null(options->users);
	assert_null(options->groups);

	/* an empty list takes back what an earlier file has set */
	write_file(fixture, "camtapd.conf", "[Access]\nusers = alice, 1001\ngroups = lab\n");
	write_file(fixture, "front.conf", "[Camera]\nsource = pattern:\n[Access]\nusers =\n");
	assert_int_equal(read_options(fixture, "--name=back|--source=-"), OPTIONS_RUN);
	assert_string_equal(options->users, "alice, 1001");
	assert_string_equal(options->groups, "lab");
	assert_int_equal(read_options(fixture, "--name=front"), OPTIONS_RUN);
	assert_null(options->users);
	assert_string_equal(options->groups, "lab");
	assert_int_equal(
		read_options(fixture, "--name=front|--groups= , |--users=bob"), OPTIONS_RUN);
	assert_string_equal(options->users, "bob");
	assert_null(options->groups);

	assert_int_equal(read_options(fixture, "--name=front|--users=a\x1b"
					       "b"),
		-EINVAL);
	assert_error(
		fixture, "--users=a?b: must be names or numbers, separated by blanks or commas");
}

static char *read_document(const char *name)
{
	char *path, *text;
	FILE *file;
	size_t size;

	assert_true(asprintf(&path, "%s/%s", SOURCE_ROOT, name) >= 0);
	file = fopen(path, "re");
	if (file == NULL)
		fail_msg("%s: cannot be read", path);
	text = calloc(1, 1 << 20);
	assert_non_null(text);
	size = fread(text, 1, (1 << 20) - 1, file);
	assert_true(size > 0);
	fclose(file);
	free(path);
	return text;
}

static void the_table_is_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *setting = &settings[i];

		assert_non_null(setting->help);
		assert_int_equal(setting->help[strlen(setting->help) - 1], '.');
		if (setting->section == NULL)
			continue;
		assert_non_null(setting->parse);
		assert_non_null(setting->allowed);
		/* either a default, or an example and a word on what happens without */
		assert_true((setting->default_value == NULL) == (setting->example != NULL));
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(setting->key, settings[other].key);
	}
}

/* Every key of it, with its default, is accepted, and it changes nothing. */
static void the_example_is_the_table(void **state)
{
	struct fixture *fixture = *state;
	char *example = read_document("systemd/camtapd.conf.example");
	char *sections = strstr(example, "\n[");
	char *controls = strstr(example, "\n[Controls]"); /* whose keys are the device's */
	char *table = render_example(), *active = NULL, *save = NULL;
	struct options defaults;
	size_t keys = 0;

	assert_non_null(sections);
	assert_non_null(controls);
	*controls = '\0';
	assert_string_equal(sections + 1, table);
	append(&table, "\n%s", controls + 1);

	assert_int_equal(read_options(fixture, "--source=-|--name=x"), OPTIONS_RUN);
	defaults = fixture->options;
	fixture->options = (struct options){0};

	for (char *line = strtok_r(table, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == '#' && line[1] != ' ') {
			line++;
			keys++;
		}
		append(&active, "%s\n", line);
	}
	write_file(fixture, "x.conf", active);
	assert_int_equal(read_options(fixture, "--name=x|--source=-"), OPTIONS_RUN);
	for (size_t i = 0; i < setting_count; i++)
		keys -= settings[i].section != NULL;
	assert_true(keys > 0);
	assert_int_equal(keys, fixture->options.controls.count);
	assert_int_equal(fixture->options.memory_limit, defaults.memory_limit);
	assert_int_equal(fixture->options.lease_min_ns, defaults.lease_min_ns);
	assert_int_equal(fixture->options.idle_timeout_ns, defaults.idle_timeout_ns);
	assert_int_equal(fixture->options.max_clients, defaults.max_clients);
	assert_int_equal(fixture->options.slots, defaults.slots);

	options_finish(&defaults);
	free(active);
	free(table);
	free(example);
}

/* The man page has each option, in this order, with key and default, and no other. */
static void the_man_page_is_the_table(void **state)
{
	char *page = read_document("docs/camtapd.8.scd");
	const char *place = page;
	size_t options = 0;

	(void)state;
	for (const char *line = page; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		options += strncmp(line, "*--", 3) == 0;
	}
	assert_int_equal(options, setting_count);

	for (size_t i = 0; i < setting_count; i++) {
		const struct setting *setting = &settings[i];
		char option[SETTING_OPTION_SIZE], *heading = NULL, *said = NULL;
		const char *found, *end;

		setting_option_name(setting, option);
		append(&heading, "\n*--%s*%s", option, setting->argument != NULL ? " " : "\n");
		found = strstr(place, heading);
		if (found == NULL)
			fail_msg("%s: not in the man page, or not in this place", option);
		place = found + 1;
		end = strstr(place, "\n\n");
		assert_non_null(end);

		if (setting->default_value != NULL)
			append(&said, "Default: *%s*.\n", setting->default_value);
		else
			append(&said, "Default: *");
		found = strstr(place, said);
		if ((found != NULL && found < end) != (setting->default_value != NULL))
			fail_msg("%s: the man page does not have the default", option);

		free(said);
		free(heading);
	}
	free(page);
}

/* Its section on reloading names every key that can be reloaded, and no other. */
static void the_man_page_knows_what_is_reloaded(void **state)
{
	char *page = read_document("docs/camtapd.8.scd");
	char *section = strstr(page, "\n# RELOADING\n"), *end;

	(void)state;
	assert_non_null(section);
	end = strstr(section + 2, "\n# ");
	assert_non_null(end);
	*end = '\0';
	for (size_t i = 0; i < setting_count; i++) {
		char *key = NULL;

		append(&key, "*%s*", settings[i].key);
		if (settings[i].reload != (strstr(section, key) != NULL))
			fail_msg("%s: reloaded or not?", key);
		free(key);
	}
	free(page);
}

static void what_was_said_is_kept(void **state)
{
	struct fixture *fixture = *state;
	struct options *options = &fixture->options;
	const struct setting *size = setting_find("Camera", "size");
	const struct setting *timeout = setting_find("Camera", "idle_timeout");
	struct options other;

	write_file(fixture, "x.conf", "[Camera]\nidle_timeout = 90s\nsize = 640x480\n");
	assert_int_equal(read_options(fixture, "--name=x|--source=-|--size=320x240"), OPTIONS_RUN);
	assert_string_equal(setting_said(size, options), "320x240");
	assert_string_equal(setting_said(timeout, options), "90s");
	assert_string_equal(setting_said(setting_find("Camera", "loop"), options), "no");
	assert_null(setting_said(setting_find("Camera", "rate"), options));
	other = *options;
	*options = (struct options){0};
	assert_int_equal(
		read_options(fixture, "--name=x|--source=-|--idle-timeout=7s"), OPTIONS_RUN);
	setting_swap(timeout, options, &other);
	assert_string_equal(setting_said(timeout, options), "90s");
	assert_int_equal(options->idle_timeout_ns, UINT64_C(90000000000));
	assert_string_equal(setting_said(timeout, &other), "7s");
	assert_int_equal(other.idle_timeout_ns, UINT64_C(7000000000));
	options_finish(&other);
}

/* What a reload takes over is one member, which no other setting sets. */
static void what_is_reloaded_is_one_member(void **state)
{
	(void)state;
	for (size_t i = 0; i < setting_count; i++)
		for (size_t j = 0; j < setting_count && settings[i].reload; j++) {
			assert_true(settings[i].size > 0);
			assert_true(i == j || settings[j].size == 0 ||
				    settings[i].offset != settings[j].offset);
		}
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_init, fixture_finish)
	static const struct CMUnitTest tests[] = {
		TEST(defaults_are_the_documented_ones),
		TEST(options_are_read),
		TEST(names_come_from_the_source),
		TEST(sources_come_from_the_name),
		TEST(a_name_that_udev_gave_comes_first),
		TEST(later_files_win),
		TEST(files_may_look_as_files_do),
		TEST(wrong_lines_are_named),
		TEST(unreadable_files_are_named),
		TEST(wrong_options_are_named),
		TEST(controls_are_read_in_order),
		TEST(lists_of_names_are_read),
		TEST(limits_are_the_documented_ones),
		cmocka_unit_test(the_table_is_complete),
		TEST(the_example_is_the_table),
		cmocka_unit_test(the_man_page_is_the_table),
		cmocka_unit_test(the_man_page_knows_what_is_reloaded),
		cmocka_unit_test(what_is_reloaded_is_one_member),
		TEST(what_was_said_is_kept),
	};

	if (argc == 2 && strcmp(argv[1], "--print-example") == 0) {
		char *example = render_example();

		printf("%s", example);
		free(example);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
