/* SPDX-License-Identifier: MIT */
#include "refusal.h"

#include "clock.h"
#include "message.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define LIMIT_NS        NSEC_PER_SEC
#define HELLO_WAIT_MSEC 100

static void refuse(int socket, const char *text)
{
	struct wire_bye refused = {.code = WIRE_CODE_CONFIGURATION};
	struct pollfd hello = {.fd = socket, .events = POLLIN};
	char byte;

	/* what is closed with a message unread is an error to its sender, rather than an answer */
	if (poll(&hello, 1, HELLO_WAIT_MSEC) > 0)
		(void)recv(socket, &byte, sizeof byte, MSG_DONTWAIT);
	message_init(&refused.header, WIRE_REFUSED, sizeof refused);
	message_printable(refused.text, sizeof refused.text, text, strlen(text));
	(void)message_send(socket, &refused.header, NULL, 0);
}

bool refusal_has_listener(void)
{
	return sd_listen_fds(0) == 1 &&
	       sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) > 0;
}

void refusal_answer_waiting(const char *text)
{
	int64_t deadline = clock_now() + LIMIT_NS;
	int listener = SD_LISTEN_FDS_START, socket;

	if (!refusal_has_listener() || fcntl(listener, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return;
	while (clock_now() < deadline) {
		socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (socket < 0)
			return;
		refuse(socket, text);
		close(socket);
	}
}
