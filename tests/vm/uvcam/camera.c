/* SPDX-License-Identifier: MIT */

#include "camera.h"
#include "usbip.h"

#include <errno.h>
#include <linux/usb/ch9.h>
#include <linux/usb/video.h>
#include <string.h>

#define STALL SIZE_MAX

/* USB 2.0, 9.3, and what the answer to it is made in. */
struct request {
	uint8_t type, request;
	uint16_t value, index, length;
	const uint8_t *out; /* what the host sends: length bytes */
	uint8_t in[DESCRIPTOR_ROOM];
};

/* USB 2.0, 9.4. SET_ADDRESS is done by vhci_hcd itself. Returns the bytes of the answer, or STALL;
 * as all that follow. */
static size_t answer_standard(struct camera *camera, struct request *request)
{
	size_t bytes;

	switch (request->request) {
	case USB_REQ_GET_DESCRIPTOR:
		bytes = descriptor_make(&camera->identity, request->value, request->in);
		return bytes > 0 ? bytes : STALL;
	case USB_REQ_GET_STATUS:
		memset(request->in, 0, 2);
		return 2;
	case USB_REQ_GET_CONFIGURATION:
		request->in[0] = 1;
		return 1;
	case USB_REQ_GET_INTERFACE:
		request->in[0] = 0;
		return 1;
	case USB_REQ_SET_CONFIGURATION:
	case USB_REQ_SET_INTERFACE:
		return 0;
	case USB_REQ_CLEAR_FEATURE:
		if (request->type == USB_RECIP_ENDPOINT && request->value == USB_ENDPOINT_HALT &&
			request->index == ENDPOINT_STREAM)
			stream_stop(&camera->stream);
		return 0;
	default:
		return STALL;
	}
}

static bool is_to_fail(unsigned *count)
{
	if (*count == 0)
		return false;
	(*count)--;
	return true;
}

static size_t set_negotiation(struct camera *camera, const struct request *request, bool commit)
{
	struct agreement agreement;

	camera->requests++;
	if (is_to_fail(commit ? &camera->stall_commits : &camera->stall_probes))
		return STALL;
	negotiation_set(&camera->negotiation, commit, request->out, request->length);
	if (commit) {
		agreement = negotiation_result(&camera->negotiation);
		stream_commit(&camera->stream, &agreement);
	}
	return 0;
}

/* UVC 1.1, 4.3 */
static size_t answer_streaming(struct camera *camera, struct request *request)
{
	unsigned selector = request->value >> 8;
	bool commit = selector == UVC_VS_COMMIT_CONTROL;

	if (selector != UVC_VS_PROBE_CONTROL && !commit)
		return STALL;
	switch (request->request) {
	case UVC_SET_CUR:
		return set_negotiation(camera, request, commit);
	case UVC_GET_INFO:
		request->in[0] = UVC_CONTROL_CAP_GET | UVC_CONTROL_CAP_SET;
		return 1;
	case UVC_GET_LEN:
		request->in[0] = NEGOTIATION_BYTES;
		request->in[1] = 0;
		return 2;
	case UVC_GET_CUR:
	case UVC_GET_MIN:
	case UVC_GET_MAX:
	case UVC_GET_DEF:
		memcpy(request->in, commit ? camera->negotiation.commit : camera->negotiation.probe,
			NEGOTIATION_BYTES);
		return NEGOTIATION_BYTES;
	default:
		return STALL;
	}
}

/* UVC 1.1, 4.1: wIndex is the unit and the interface, wValue the selector and 0. */
static size_t answer_class(struct camera *camera, struct request *request)
{
	uint8_t unit = (uint8_t)(request->index >> 8), selector = (uint8_t)(request->value >> 8);
	size_t bytes;

	if ((request->index & 0xff) == INTERFACE_STREAMING)
		return answer_streaming(camera, request);
	if (request->request == UVC_SET_CUR)
		return controls_set(
			       &camera->controls, unit, selector, request->out, request->length)
			       ? 0
			       : STALL;
	bytes = controls_get(&camera->controls, unit, selector, request->request, request->in);
	return bytes > 0 ? bytes : STALL;
}

static int answer_control(struct camera *camera, const struct usbip_message *message)
{
	const uint8_t *setup = message->setup;
	struct request request = {
		.type = setup[0],
		.request = setup[1],
		.value = (uint16_t)(setup[2] | setup[3] << 8),
		.index = (uint16_t)(setup[4] | setup[5] << 8),
		.length = (uint16_t)message->length,
		.out = message->out,
	};
	size_t bytes;

	switch (request.type & USB_TYPE_MASK) {
	case USB_TYPE_STANDARD:
		bytes = answer_standard(camera, &request);
		break;
	case USB_TYPE_CLASS:
		bytes = answer_class(camera, &request);
		break;
	default:
		bytes = STALL;
	}
	if (bytes == STALL)
		return usbip_submit_answer(camera->fd, message->sequence, -EPIPE, NULL, 0);
	if (!message->in)
		return usbip_submit_answer(camera->fd, message->sequence, 0, NULL, message->length);
	if (bytes > message->length)
		bytes = message->length;
	return usbip_submit_answer(camera->fd, message->sequence, 0, request.in, (uint32_t)bytes);
}

int camera_receive(struct camera *camera)
{
	struct usbip_message message;
	int r;

	r = usbip_receive(camera->fd, &message);
	if (r < 0)
		return r;
	if (message.unlink)
		return usbip_unlink_answer(camera->fd, message.sequence,
			stream_unlink(&camera->stream, message.unlink_sequence));
	if (message.endpoint == 0)
		return answer_control(camera, &message);
	if (message.endpoint == (ENDPOINT_STREAM & USB_ENDPOINT_NUMBER_MASK) && message.in)
		return stream_submit(&camera->stream, camera->fd,
			&(struct transfer){message.sequence, message.length});
	return -EPROTO;
}

int camera_plug(struct camera *camera, unsigned port)
{
	int r;

	if (camera->fd >= 0)
		return -EBUSY;
	controls_reset(&camera->controls);
	negotiation_reset(&camera->negotiation, camera->identity.has_mjpeg);
	r = usbip_attach(port, &camera->fd);
	if (r == 0)
		camera->port = port;
	return r;
}

int camera_unplug(struct camera *camera)
{
	int fd = camera->fd;

	if (fd < 0)
		return -ENODEV;
	camera->fd = -1;
	stream_unplug(&camera->stream);
	return usbip_detach(camera->port, fd);
}
