/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_MESSAGE_H
#define CAMTAP_PROTO_MESSAGE_H

/* Sending, receiving and unpacking wire messages. No state; safe in any thread. */

#include "wire.h"

#include <stddef.h>

/* Room for every fd that one message can carry (SCM_MAX_FD of the kernel): a receiver that offers
 * less makes the kernel close the rest inside recvmsg(), which takes as long as the sender likes.
 */
#define MESSAGE_FDS_ROOM 253

/* Fills in the header of a message: type and size, the rest zero. */
void message_init(struct wire_header *header, enum wire_type type, size_t size);

/* Sends one message without blocking or SIGPIPE; `fds` stay the caller's. -EAGAIN: the queue is
 * full. */
int message_send(int socket, const struct wire_header *message, const int *fds, size_t fd_count);

/* Receives one message without blocking into `buffer` (aligned for struct wire_header,
 * WIRE_MESSAGE_MAX bytes). Returns its length in bytes, 0 at hang-up, -EAGAIN, or another negative
 * errno; -EMSGSIZE if it was longer than the buffer, -EMFILE if fds were lost because this process
 * has too many open. `ret_fds` (MESSAGE_FDS_ROOM of them) and *ret_fd_count are written whatever is
 * returned: the fds are close-on-exec and the caller's to close. */
int message_receive(int socket, void *buffer, size_t size, int *ret_fds, size_t *ret_fd_count);

/* Copies the header of a received message of `length` bytes. -EBADMSG if it is shorter than that,
 * or not as long as it says. */
int message_unpack_header(const void *buffer, size_t length, struct wire_header *ret_header);

/* Copies a received message of `length` bytes into the structure `ret_message` of `size` bytes:
 * what it lacks is zero, what is beyond is ignored. -EBADMSG if it is shorter than `size_min`, or
 * its header cannot be right. */
int message_unpack(
	const void *buffer, size_t length, size_t size_min, void *ret_message, size_t size);

/* Copies text that came from outside into `ret_text` (`size` bytes, always terminated), everything
 * that is not printable ASCII as '?', so that it can go to a terminal, a journal or a page. UTF-8
 * sequences that are well-formed and not control characters (those that turn the direction of text
 * included) are kept. `length`: bytes to look at, at most; a NUL ends it earlier. */
void message_printable(char *ret_text, size_t size, const char *text, size_t length);

#endif
