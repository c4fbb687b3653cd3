/* SPDX-License-Identifier: MIT */
#include "log.h"

#include "peer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION /* which line of ours says it is nobody's concern */
#include <systemd/sd-journal.h>

#define LINE_SIZE  1024
#define FIELD_SIZE (LINE_SIZE + 64)
#define FIELDS_MAX 12

struct record {
	char text[FIELDS_MAX][FIELD_SIZE];
	struct iovec fields[FIELDS_MAX];
	int count;
};

__attribute__((format(printf, 2, 3))) static void add(
	struct record *record, const char *format, ...)
{
	char *text = record->text[record->count];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, FIELD_SIZE, format, arguments);
	va_end(arguments);
	if (length >= FIELD_SIZE)
		length = FIELD_SIZE - 1;
	record->fields[record->count++] =
		(struct iovec){.iov_base = text, .iov_len = (size_t)length};
}

/* Is standard error still the stream of the journal's that systemd gave to the process? */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat status;

	return stream != NULL && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
	       status.st_ino == inode;
}

static bool send_to_journal(int priority, const struct log_fields *fields, const char *line)
{
	const struct peer *peer = fields->peer;
	struct record record = {.count = 0};

	add(&record, "MESSAGE=%s", line);
	add(&record, "PRIORITY=%d", priority);
	add(&record, "SYSLOG_IDENTIFIER=camtapd");
	if (fields->message_id != NULL)
		add(&record, "MESSAGE_ID=%s", fields->message_id);
	if (fields->camera != NULL)
		add(&record, "CAMTAP_CAMERA=%s", fields->camera);
	if (fields->state != NULL)
		add(&record, "CAMTAP_STATE=%s", fields->state);
	if (peer != NULL) {
		add(&record, "CAMTAP_CLIENT_PID=%d", (int)peer->pid);
		add(&record, "CAMTAP_CLIENT_UID=%u", (unsigned)peer->uid);
		if (peer->program[0] != '\0') /* else it is hidden from us */
			add(&record, "CAMTAP_CLIENT_PROGRAM=%s", peer->program);
	}
	if (fields->client != NULL && fields->client[0] != '\0')
		add(&record, "CAMTAP_CLIENT_NAME=%s", fields->client);
	if (fields->stream != NULL)
		add(&record, "CAMTAP_STREAM=%s", fields->stream);
	if (fields->error != 0)
		add(&record, "ERRNO=%d", abs(fields->error));
	return sd_journal_sendv(record.fields, record.count) == 0;
}

void log_event(int priority, const struct log_fields *fields, const char *format, ...)
{
	static const struct log_fields none;
	char line[LINE_SIZE];
	va_list arguments;
	size_t length = 0;

	if (fields == NULL)
		fields = &none;
	if (fields->camera != NULL) /* 64 bytes at most */
		length = (size_t)snprintf(line, sizeof line, "%.64s: ", fields->camera);
	va_start(arguments, format);
	vsnprintf(line + length, sizeof line - length, format, arguments);
	va_end(arguments);
	if (is_journal() && send_to_journal(priority, fields, line))
		return;
	/* one write, so that lines of several threads do not mix */
	if (isatty(STDERR_FILENO))
		dprintf(STDERR_FILENO, "camtapd: %s\n", line);
	else
		dprintf(STDERR_FILENO, "<%d>camtapd: %s\n", priority, line);
}
