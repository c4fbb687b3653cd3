/* SPDX-License-Identifier: MIT */

/*
 * Lines of the log, with the journal's library replaced by one that remembers; and the catalog of
 * messages, held against the message ids. SOURCE_ROOT is the root of the source tree.
 */

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "log-messages.h"
#include "log.h"
#include "peer.h"

#define RECORD_SIZE 4096

/* ---- the journal ---- */

static char record[RECORD_SIZE]; /* its fields, each with a line break behind it */
static int journal_error;

int sd_journal_sendv(const struct iovec *fields, int count);
int sd_journal_sendv(const struct iovec *fields, int count)
{
	char *end = record;

	for (int i = 0; i < count; i++) {
		assert_true(end + fields[i].iov_len + 2 <= record + sizeof record);
		end = mempcpy(end, fields[i].iov_base, fields[i].iov_len);
		*end++ = '\n';
	}
	*end = '\0';
	return journal_error;
}

/* ---- standard error ---- */

struct fixture {
	int error_fd; /* what standard error was */
	int fd;       /* what it is now */
};

static int fixture_init(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	if (fixture == NULL)
		return -1;
	fixture->fd = memfd_create("test-log", MFD_CLOEXEC);
	fixture->error_fd = dup(STDERR_FILENO);
	if (fixture->fd < 0 || fixture->error_fd < 0 || dup2(fixture->fd, STDERR_FILENO) < 0)
		return -1;
	unsetenv("JOURNAL_STREAM");
	record[0] = '\0';
	journal_error = 0;
	*state = fixture;
	return 0;
}

static int fixture_finish(void **state)
{
	struct fixture *fixture = *state;

	unsetenv("JOURNAL_STREAM");
	dup2(fixture->error_fd, STDERR_FILENO);
	close(fixture->error_fd);
	close(fixture->fd);
	free(fixture);
	return 0;
}

/* As systemd does, with another inode if `offset` is not 0. */
static void standard_error_is_the_journal(unsigned offset)
{
	struct stat status;
	char text[64];

	assert_int_equal(fstat(STDERR_FILENO, &status), 0);
	snprintf(text, sizeof text, "%ju:%ju", (uintmax_t)status.st_dev,
		(uintmax_t)status.st_ino + offset);
	assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
}

static void assert_standard_error(const struct fixture *fixture, const char *expected)
{
	char text[RECORD_SIZE];
	ssize_t size = pread(fixture->fd, text, sizeof text - 1, 0);

	assert_true(size >= 0);
	text[size] = '\0';
	assert_string_equal(text, expected);
}

static const struct peer peer = {.pid = 1234, .uid = 1000, .gid = 1000, .program = "face_detect"};

/* ---- lines ---- */

static void lines_go_to_standard_error(void **state)
{
	const struct fixture *fixture = *state;

	log_error("%s is wrong", "this");
	log_event(LOG_INFO,
		&(struct log_fields){
			.message_id = LOG_READER_ATTACHED, .camera = "front", .peer = &peer},
		"a line");
	assert_standard_error(fixture, "<3>camtapd: this is wrong\n<6>camtapd: front: a line\n");
	assert_string_equal(record, "");
}

static void the_journal_gets_fields(void **state)
{
	const struct fixture *fixture = *state;

	standard_error_is_the_journal(0);
	log_event(LOG_WARNING,
		&(struct log_fields){.message_id = LOG_READER_GONE,
			.camera = "front",
			.state = "streaming",
			.peer = &peer,
			.client = "door",
			.stream = "GREY:640x360",
			.error = -ENODEV},
		"line %d", 5);
	assert_string_equal(record, "MESSAGE=front: line 5\n"
				    "PRIORITY=4\n"
				    "SYSLOG_IDENTIFIER=camtapd\n"
				    "MESSAGE_ID=" LOG_READER_GONE "\n"
				    "CAMTAP_CAMERA=front\n"
				    "CAMTAP_STATE=streaming\n"
				    "CAMTAP_CLIENT_PID=1234\n"
				    "CAMTAP_CLIENT_UID=1000\n"
				    "CAMTAP_CLIENT_PROGRAM=face_detect\n"
				    "CAMTAP_CLIENT_NAME=door\n"
				    "CAMTAP_STREAM=GREY:640x360\n"
				    "ERRNO=19\n");
	log_info("without fields");
	assert_string_equal(
		record, "MESSAGE=without fields\nPRIORITY=6\nSYSLOG_IDENTIFIER=camtapd\n");
	assert_standard_error(fixture, "");
}

/* ... or it is redirected: then the line belongs there. */
static void the_journal_must_be_at_standard_error(void **state)
{
	const struct fixture *fixture = *state;

	standard_error_is_the_journal(1);
	log_info("a line");
	assert_standard_error(fixture, "<6>camtapd: a line\n");
	assert_string_equal(record, "");
	assert_int_equal(setenv("JOURNAL_STREAM", "nonsense", 1), 0);
	log_info("b");
	assert_standard_error(fixture, "<6>camtapd: a line\n<6>camtapd: b\n");
}

static void a_journal_that_takes_nothing_loses_nothing(void **state)
{
	const struct fixture *fixture = *state;

	standard_error_is_the_journal(0);
	journal_error = -ENOENT;
	log_info("a line");
	assert_standard_error(fixture, "<6>camtapd: a line\n");
}

static void long_lines_are_cut(void **state)
{
	standard_error_is_the_journal(0);
	(void)state;
	log_event(LOG_INFO, &(struct log_fields){.camera = "front", .state = "idle"}, "%02000d", 0);
	assert_true(strstr(record, "000\nPRIORITY=6\n") != NULL);
	assert_true(strstr(record, "\nCAMTAP_STATE=idle\n") != NULL);
	assert_true(strlen(record) < 1200);
}

/* ---- the catalog ---- */

static char *read_document(const char *name)
{
	char path[512], *text = calloc(1, 1 << 17);
	FILE *file;

	assert_non_null(text);
	snprintf(path, sizeof path, "%s/%s", SOURCE_ROOT, name);
	file = fopen(path, "re");
	if (file == NULL)
		fail_msg("%s: cannot be read", path);
	assert_true(fread(text, 1, (1 << 17) - 1, file) > 0);
	fclose(file);
	return text;
}

static bool is_id(const char *text)
{
	return strspn(text, "0123456789abcdef") == 32;
}

static bool has_line(const char *from, const char *end, const char *begin)
{
	const char *place = strstr(from, begin);

	return place != NULL && place < end && place[-1] == '\n' && place[strlen(begin)] == ' ' &&
	       place[strlen(begin) + 1] != '\n';
}

static void each_id_is_explained(void **state)
{
	char *header = read_document("daemon/log-messages.h");
	char *catalog = read_document("systemd/camtap.catalog");
	size_t ids = 0, entries = 0;

	(void)state;
	for (const char *place = header; (place = strchr(place, '"')) != NULL; place++) {
		char heading[64];

		if (!is_id(place + 1))
			continue;
		ids++;
		snprintf(heading, sizeof heading, "%.32s", place + 1);
		assert_null(strstr(place + 33, heading)); /* no two have the same */
		snprintf(heading, sizeof heading, "\n-- %.32s\n", place + 1);
		if (strstr(catalog, heading) == NULL)
			fail_msg("%.32s is not in the catalog", place + 1);
	}
	for (const char *place = catalog; (place = strstr(place, "\n-- ")) != NULL; place++) {
		const char *end = strstr(place + 1, "\n-- "), *text = strstr(place, "\n\n");
		char id[64];

		entries++;
		assert_true(is_id(place + 4));
		snprintf(id, sizeof id, "\"%.32s\"", place + 4);
		if (strstr(header, id) == NULL)
			fail_msg("%s is no message id of the daemon", id);
		assert_non_null(text);
		if (end == NULL)
			end = catalog + strlen(catalog);
		if (!has_line(place, text, "Subject:") || !has_line(place, text, "Defined-By:") ||
			!has_line(place, text, "Documentation:"))
			fail_msg("%s: Subject, Defined-By or Documentation is missing", id);
		/* what it means, and what to do */
		text = strstr(text + 2, "\n\n");
		if (text == NULL || text + 3 >= end)
			fail_msg("%s: does not say what to do", id);
	}
	assert_true(ids > 10);
	assert_int_equal(ids, entries);
	free(catalog);
	free(header);
}

/* journalctl leaves out what it does not find. */
static void explanations_name_fields_that_there_are(void **state)
{
	char *log = read_document("daemon/log.c");
	char *catalog = read_document("systemd/camtap.catalog");
	size_t fields = 0;

	(void)state;
	for (const char *place = catalog; (place = strchr(place, '@')) != NULL; place++) {
		size_t length = strspn(place + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
		char sent[64];

		if (length == 0 || place[1 + length] != '@')
			continue;
		fields++;
		snprintf(sent, sizeof sent, "\"%.*s=%%", (int)length, place + 1);
		if (strstr(log, sent) == NULL)
			fail_msg("%.*s is no field of the daemon's", (int)length, place + 1);
		place += length + 1;
	}
	assert_true(fields > 20);
	free(catalog);
	free(log);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_init, fixture_finish)
	static const struct CMUnitTest tests[] = {
		TEST(lines_go_to_standard_error),
		TEST(the_journal_gets_fields),
		TEST(the_journal_must_be_at_standard_error),
		TEST(a_journal_that_takes_nothing_loses_nothing),
		TEST(long_lines_are_cut),
		cmocka_unit_test(each_id_is_explained),
		cmocka_unit_test(explanations_name_fields_that_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
