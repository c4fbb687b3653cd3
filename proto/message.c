/* SPDX-License-Identifier: MIT */
#include "message.h"

#include "hot.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

void message_init(struct wire_header *header, enum wire_type type, size_t size)
{
	*header = (struct wire_header){.type = type, .size = (uint32_t)size};
}

int message_send(int socket, const struct wire_header *message, const int *fds, size_t fd_count)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (void *)message, .iov_len = message->size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count > WIRE_FDS_MAX)
		return -EINVAL;
	if (fd_count > 0) {
		struct cmsghdr *cmsg = &control.align;

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
	}
	/* A packet goes out whole or not at all. */
	if (sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

HOT static size_t collect_fds(struct msghdr *msg, int *ret_fds)
{
	size_t count = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t more;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		more = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret_fds + count, CMSG_DATA(cmsg), more * sizeof(int));
		count += more;
	}
	return count;
}

HOT int message_receive(int socket, void *buffer, size_t size, int *ret_fds, size_t *ret_fd_count)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_ROOM)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = buffer, .iov_len = size};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		/* CMSG_SPACE rounds up, which would be room for one fd more than ret_fds has. */
		.msg_controllen = CMSG_LEN(sizeof(int) * MESSAGE_FDS_ROOM),
	};
	ssize_t length;

	*ret_fd_count = 0;
	length = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (length < 0)
		return -errno;
	*ret_fd_count = collect_fds(&msg, ret_fds);
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	/* There is room for all that can come, so this process has no descriptor left for them. */
	if (msg.msg_flags & MSG_CTRUNC)
		return -EMFILE;
	return (int)length;
}

HOT int message_unpack_header(const void *buffer, size_t length, struct wire_header *ret_header)
{
	struct wire_header header;

	if (length < sizeof(header))
		return -EBADMSG;
	memcpy(&header, buffer, sizeof(header));
	if (header.size != length)
		return -EBADMSG;
	*ret_header = header;
	return 0;
}

int message_unpack(
	const void *buffer, size_t length, size_t size_min, void *ret_message, size_t size)
{
	struct wire_header header;
	int error = message_unpack_header(buffer, length, &header);

	if (error < 0)
		return error;
	if (length < size_min)
		return -EBADMSG;
	memset(ret_message, 0, size);
	memcpy(ret_message, buffer, length < size ? length : size);
	return 0;
}

/* Not for a terminal: controls (C0, DEL, C1), line separators, and what turns the direction of
 * text. */
static bool is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character <= 0x9f) ||
	       (character >= 0x200e && character <= 0x200f) ||
	       (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069) || character == 0x061c;
}

/* Length in bytes of the printable character at `text`, 0 if there is none. RFC 3629, section 4. */
static size_t printable_length(const unsigned char *text, size_t length)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t character;
	size_t need;

	if (text[0] < 0x80) {
		need = 1;
		character = text[0];
	} else if (text[0] >= 0xc2 && text[0] <= 0xdf) {
		need = 2;
		character = text[0] & 0x1f;
	} else if (text[0] >= 0xe0 && text[0] <= 0xef) {
		need = 3;
		character = text[0] & 0x0f;
	} else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
		need = 4;
		character = text[0] & 0x07;
	} else {
		return 0;
	}
	if (need > length)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (text[i] & 0x3f);
	}
	if (character < smallest[need] || character > 0x10ffff ||
		(character >= 0xd800 && character <= 0xdfff) || is_control(character))
		return 0;
	return need;
}

void message_printable(char *ret_text, size_t size, const char *text, size_t length)
{
	const unsigned char *from = (const unsigned char *)text;
	size_t written = 0, at = 0;

	length = strnlen(text, length);
	while (at < length) {
		size_t bytes = printable_length(from + at, length - at);

		if (written + (bytes ? bytes : 1) >= size)
			break;
		if (bytes == 0) {
			ret_text[written++] = '?';
			at++;
			continue;
		}
		memcpy(ret_text + written, from + at, bytes);
		written += bytes;
		at += bytes;
	}
	ret_text[written] = '\0';
}
