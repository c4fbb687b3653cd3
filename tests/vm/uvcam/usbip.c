/* SPDX-License-Identifier: MIT */

#include "usbip.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define VHCI          "/sys/devices/platform/vhci_hcd.0/"
#define SPEED_HIGH    3 /* enum usb_device_speed of the kernel */
#define STATUS_FREE   4 /* VDEV_ST_NULL, drivers/usb/usbip/usbip_common.h */
#define PATIENCE_MSEC 5000
#define HEADER_BYTES  48

enum {
	CMD_SUBMIT = 1,
	CMD_UNLINK = 2,
	RET_SUBMIT = 3,
	RET_UNLINK = 4,
};

/* Documentation/usb/usbip_protocol.rst: usbip_header_basic and the four that follow it. */
struct header {
	uint32_t command, sequence, device, direction, endpoint;
	union {
		struct {
			uint32_t flags, length, start_frame, packets, interval;
			uint8_t setup[8];
		} submit;
		struct {
			uint32_t sequence;
		} unlink;
		struct {
			uint32_t status, length, start_frame, packets, errors;
		} answer;
		uint32_t words[7];
	};
};
_Static_assert(sizeof(struct header) == HEADER_BYTES, "a header of USB/IP");

int usbip_attach(unsigned port, int *ret_fd)
{
	int file, sockets[2], r = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	file = open(VHCI "attach", O_WRONLY | O_CLOEXEC);
	/* The kernel takes a reference of its own. The device id means something to the other end
	 * only, which is us. */
	if (file < 0 || dprintf(file, "%u %d %u %u", port, sockets[1], 0x10002, SPEED_HIGH) < 0)
		r = -errno;
	if (file >= 0)
		close(file);
	close(sockets[1]);
	if (r < 0) {
		close(sockets[0]);
		return r;
	}
	*ret_fd = sockets[0];
	return 0;
}

static bool port_is_free(unsigned port)
{
	FILE *file = fopen(VHCI "status", "re");
	unsigned number, status = 0;
	bool free = false;
	char line[128];

	if (file == NULL)
		return true;
	while (fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "hs %u %u", &number, &status) == 2 && number == port)
			free = status == STATUS_FREE;
	fclose(file);
	return free;
}

int usbip_detach(unsigned port, int fd)
{
	/* What the host has sent since is lost, as is what runs in a cable that is pulled. */
	close(fd);
	for (int waited = 0; !port_is_free(port); waited++) {
		if (waited == PATIENCE_MSEC)
			return -ETIMEDOUT;
		usleep(1000); /* sysfs has no event for it */
	}
	return 0;
}

static int receive(int fd, void *data, size_t bytes)
{
	ssize_t received;

	do
		received = recv(fd, data, bytes, MSG_WAITALL);
	while (received < 0 && errno == EINTR);
	if (received < 0 && errno != ECONNRESET)
		return -errno;
	return received == (ssize_t)bytes ? 0 : -ENODEV;
}

int usbip_receive(int fd, struct usbip_message *message)
{
	struct header header;
	uint32_t command;
	int r;

	r = receive(fd, &header, sizeof header);
	if (r < 0)
		return r;
	command = be32toh(header.command);
	*message = (struct usbip_message){
		.unlink = command == CMD_UNLINK,
		.sequence = be32toh(header.sequence),
		.in = be32toh(header.direction) == 1,
		.endpoint = be32toh(header.endpoint),
	};
	if (message->unlink) {
		message->unlink_sequence = be32toh(header.unlink.sequence);
		return 0;
	}
	if (command != CMD_SUBMIT)
		return -EPROTO;
	message->length = be32toh(header.submit.length);
	memcpy(message->setup, header.submit.setup, sizeof message->setup);
	if (message->in || message->length == 0)
		return 0;
	if (message->length > sizeof message->out)
		return -EMSGSIZE;
	return receive(fd, message->out, message->length);
}

static int send_both(int fd, const struct header *header, const uint8_t *data, size_t bytes)
{
	struct iovec parts[] = {{(void *)header, sizeof *header}, {(void *)data, bytes}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	while (parts[0].iov_len + parts[1].iov_len > 0) {
		ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EPIPE || errno == ECONNRESET ? -ENODEV : -errno;
		for (unsigned i = 0; i < 2; i++) {
			size_t done =
				(size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;

			parts[i].iov_base = (uint8_t *)parts[i].iov_base + done;
			parts[i].iov_len -= done;
			sent -= (ssize_t)done;
		}
	}
	return 0;
}

int usbip_submit_answer(int fd, uint32_t sequence, int status, const uint8_t *data, uint32_t length)
{
	struct header header = {
		.command = htobe32(RET_SUBMIT),
		.sequence = htobe32(sequence),
		.answer = {.status = htobe32((uint32_t)status), .length = htobe32(length)},
	};

	return send_both(fd, &header, data, data != NULL ? length : 0);
}

int usbip_unlink_answer(int fd, uint32_t sequence, bool found)
{
	struct header header = {
		.command = htobe32(RET_UNLINK),
		.sequence = htobe32(sequence),
		.answer = {.status = htobe32((uint32_t)(found ? -ECONNRESET : 0))},
	};

	return send_both(fd, &header, NULL, 0);
}
