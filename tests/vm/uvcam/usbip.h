/* SPDX-License-Identifier: MIT */

/*
 * USB/IP, as the kernel's vhci_hcd speaks it: Documentation/usb/usbip_protocol.rst. Usually the
 * other end is a program on another machine that has the USB device; vhci_hcd does not care what
 * the socket is connected to, and here it is the test camera itself. Of the protocol only the part
 * after the import is used: USBIP_CMD_SUBMIT, USBIP_CMD_UNLINK and their answers, which are 48
 * bytes, big-endian, and the data.
 */

#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Ports 0 to 7 of vhci_hcd are high-speed ports. */
#define USBIP_PORTS 8

/* Longest data of a control transfer to the device. */
#define USBIP_OUT_MAX 4096

/* A transfer that the host wants, or one that it wants no more. */
struct usbip_message {
	bool unlink;
	uint32_t sequence;
	uint32_t unlink_sequence; /* which one is wanted no more */
	bool in;                  /* to the host */
	uint32_t endpoint;
	uint32_t length;            /* bytes that the host has room for, or sends */
	uint8_t setup[8];           /* endpoint 0: USB 2.0, 9.3 */
	uint8_t out[USBIP_OUT_MAX]; /* what the host sends */
};

/* Plugs a high-speed device into a port; fd is then the cable. -EBUSY: the port has a device. */
int usbip_attach(unsigned port, int *ret_fd);

/* Unplugs it, and waits until the port may be used again. */
int usbip_detach(unsigned port, int fd);

/* Negative errno; -ENODEV: the kernel has unplugged the device. */
int usbip_receive(int fd, struct usbip_message *message);

/* Completes a transfer. status is that of the kernel's struct urb: 0 or a negative errno, -EPIPE
 * for STALL. data: NULL if the host was the sender; length then is what arrived. */
int usbip_submit_answer(
	int fd, uint32_t sequence, int status, const uint8_t *data, uint32_t length);

/* found: the transfer had not been completed, and will not be. */
int usbip_unlink_answer(int fd, uint32_t sequence, bool found);
