/* SPDX-License-Identifier: MIT */

#include "descriptors.h"
#include "controls.h"
#include "picture.h"

#include <linux/usb/ch9.h>
#include <linux/usb/video.h>
#include <string.h>

#define VENDOR_ID  0x1209 /* pid.codes */
#define PRODUCT_ID 0x0001 /* its number for tests */
#define UVC_1_1    0x0110

enum {
	STRING_LANGUAGES,
	STRING_VENDOR,
	STRING_PRODUCT,
	STRING_SERIAL,
};

/* 60, 30 and 15 frames a second */
const uint32_t frame_intervals[FRAME_INTERVALS] = {166666, 333333, 666666};

/* A descriptor that grows; all numbers are little-endian (USB 2.0, 8.1). */
struct writer {
	uint8_t *bytes;
	size_t size;
};

static void put8(struct writer *writer, unsigned value)
{
	writer->bytes[writer->size++] = (uint8_t)value;
}

static void put16(struct writer *writer, unsigned value)
{
	put8(writer, value & 0xff);
	put8(writer, value >> 8);
}

static void put32(struct writer *writer, uint32_t value)
{
	put16(writer, value & 0xffff);
	put16(writer, value >> 16);
}

/* The first bytes of a class-specific descriptor; its length is written by end(). */
static size_t begin(struct writer *writer, unsigned subtype)
{
	size_t start = writer->size;

	put8(writer, 0);
	put8(writer, USB_DT_CS_INTERFACE);
	put8(writer, subtype);
	return start;
}

static void end(struct writer *writer, size_t start)
{
	writer->bytes[start] = (uint8_t)(writer->size - start);
}

/* Writes the total length of what began at start into a field of it. */
static void set_total(struct writer *writer, size_t start, size_t field)
{
	struct writer at = {writer->bytes, start + field};

	put16(&at, (unsigned)(writer->size - start));
}

/* USB 2.0, table 9-8. The class triple is that of a device with interface associations. */
static void put_device(struct writer *writer)
{
	put8(writer, USB_DT_DEVICE_SIZE);
	put8(writer, USB_DT_DEVICE);
	put16(writer, 0x0200); /* bcdUSB */
	put8(writer, USB_CLASS_MISC);
	put8(writer, 2);  /* bDeviceSubClass */
	put8(writer, 1);  /* bDeviceProtocol */
	put8(writer, 64); /* bMaxPacketSize0 */
	put16(writer, VENDOR_ID);
	put16(writer, PRODUCT_ID);
	put16(writer, 0x0100); /* bcdDevice */
	put8(writer, STRING_VENDOR);
	put8(writer, STRING_PRODUCT);
	put8(writer, STRING_SERIAL);
	put8(writer, 1); /* bNumConfigurations */
}

/* USB 2.0, table 9-12 */
static void put_interface(
	struct writer *writer, unsigned number, unsigned endpoints, unsigned subclass)
{
	put8(writer, USB_DT_INTERFACE_SIZE);
	put8(writer, USB_DT_INTERFACE);
	put8(writer, number);
	put8(writer, 0); /* bAlternateSetting */
	put8(writer, endpoints);
	put8(writer, USB_CLASS_VIDEO);
	put8(writer, subclass);
	put8(writer, 0); /* bInterfaceProtocol */
	put8(writer, STRING_PRODUCT);
}

/* UVC 1.1, 3.6: both interfaces are one function. */
static void put_association(struct writer *writer)
{
	put8(writer, USB_DT_INTERFACE_ASSOCIATION_SIZE);
	put8(writer, USB_DT_INTERFACE_ASSOCIATION);
	put8(writer, INTERFACE_CONTROL);
	put8(writer, 2); /* bInterfaceCount */
	put8(writer, USB_CLASS_VIDEO);
	put8(writer, UVC_SC_VIDEO_INTERFACE_COLLECTION);
	put8(writer, 0); /* bFunctionProtocol */
	put8(writer, STRING_PRODUCT);
}

/* UVC 1.1, 3.7.2: header, camera terminal, processing unit, output terminal. */
static void put_control_interface(struct writer *writer)
{
	size_t header, start;

	put_interface(writer, INTERFACE_CONTROL, 0, UVC_SC_VIDEOCONTROL);

	header = begin(writer, UVC_VC_HEADER);
	put16(writer, UVC_1_1);
	put16(writer, 0);        /* wTotalLength, below */
	put32(writer, 48000000); /* dwClockFrequency: obsolete, but must be there */
	put8(writer, 1);         /* bInCollection */
	put8(writer, INTERFACE_STREAMING);
	end(writer, header);

	start = begin(writer, UVC_VC_INPUT_TERMINAL); /* 3.7.2.3 */
	put8(writer, UNIT_CAMERA);
	put16(writer, UVC_ITT_CAMERA);
	put8(writer, 0);  /* bAssocTerminal */
	put8(writer, 0);  /* iTerminal */
	put16(writer, 0); /* no optical zoom */
	put16(writer, 0);
	put16(writer, 0);
	put8(writer, 3);               /* bControlSize */
	put8(writer, 1 << 1 | 1 << 3); /* auto-exposure mode, exposure time (absolute) */
	put16(writer, 0);
	end(writer, start);

	start = begin(writer, UVC_VC_PROCESSING_UNIT); /* 3.7.2.5 */
	put8(writer, UNIT_PROCESSING);
	put8(writer, UNIT_CAMERA);      /* bSourceID */
	put16(writer, 0);               /* wMaxMultiplier: no digital zoom */
	put8(writer, 2);                /* bControlSize */
	put16(writer, 1 << 0 | 1 << 1); /* brightness, contrast */
	put8(writer, 0);                /* iProcessing */
	put8(writer, 0);                /* bmVideoStandards; new in UVC 1.1 */
	end(writer, start);

	start = begin(writer, UVC_VC_OUTPUT_TERMINAL); /* 3.7.2.2 */
	put8(writer, UNIT_OUTPUT);
	put16(writer, UVC_TT_STREAMING);
	put8(writer, 0);               /* bAssocTerminal */
	put8(writer, UNIT_PROCESSING); /* bSourceID */
	put8(writer, 0);               /* iTerminal */
	end(writer, start);

	set_total(writer, header, 5);
}

/* The frame descriptors of MJPEG and of uncompressed formats are the same. Payload specifications
 * "Motion-JPEG", 3.1.2, and "Uncompressed", 3.1.2, of UVC 1.1. */
static void put_frames(struct writer *writer, unsigned subtype)
{
	size_t start;

	for (unsigned i = 0; i < PICTURE_SIZES; i++) {
		unsigned width = picture_sizes[i].width, height = picture_sizes[i].height;
		uint32_t bits = width * height * 16;

		start = begin(writer, subtype);
		put8(writer, i + 1); /* bFrameIndex */
		put8(writer, 0);     /* bmCapabilities: no still images */
		put16(writer, width);
		put16(writer, height);
		put32(writer, bits * 15);                 /* dwMinBitRate */
		put32(writer, bits * 60);                 /* dwMaxBitRate */
		put32(writer, (uint32_t)picture_room(i)); /* dwMaxVideoFrameBufferSize */
		put32(writer, frame_intervals[1]);        /* dwDefaultFrameInterval */
		put8(writer, FRAME_INTERVALS);
		for (unsigned j = 0; j < FRAME_INTERVALS; j++)
			put32(writer, frame_intervals[j]);
		end(writer, start);
	}
	start = begin(writer, UVC_VS_COLORFORMAT); /* UVC 1.1, 3.9.2.6: BT.709, sRGB, BT.601 */
	put8(writer, 1);
	put8(writer, 1);
	put8(writer, 4);
	end(writer, start);
}

static void put_mjpeg(struct writer *writer, unsigned index)
{
	size_t start = begin(writer, UVC_VS_FORMAT_MJPEG);

	put8(writer, index);
	put8(writer, PICTURE_SIZES);
	put8(writer, 0); /* bmFlags: pictures differ in size */
	put8(writer, FRAME_INDEX_PRESET);
	put32(writer, 0); /* aspect ratio, interlacing, copy protection: none */
	end(writer, start);
	put_frames(writer, UVC_VS_FRAME_MJPEG);
}

static void put_yuyv(struct writer *writer, unsigned index)
{
	/* {32595559-0000-0010-8000-00AA00389B71}, which begins with the fourcc */
	static const uint8_t yuy2[] = {'Y', 'U', 'Y', '2', 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00,
		0xaa, 0x00, 0x38, 0x9b, 0x71};
	size_t start = begin(writer, UVC_VS_FORMAT_UNCOMPRESSED);

	put8(writer, index);
	put8(writer, PICTURE_SIZES);
	for (unsigned i = 0; i < sizeof yuy2; i++)
		put8(writer, yuy2[i]);
	put8(writer, 16); /* bBitsPerPixel */
	put8(writer, FRAME_INDEX_PRESET);
	put32(writer, 0); /* aspect ratio, interlacing, copy protection: none */
	end(writer, start);
	put_frames(writer, UVC_VS_FRAME_UNCOMPRESSED);
}

/* UVC 1.1, 3.9 and 3.10 */
static void put_streaming_interface(struct writer *writer, bool has_mjpeg)
{
	unsigned formats = 0;
	size_t header;

	put_interface(writer, INTERFACE_STREAMING, 1, UVC_SC_VIDEOSTREAMING);

	header = begin(writer, UVC_VS_INPUT_HEADER);
	put8(writer, has_mjpeg ? 2 : 1); /* bNumFormats */
	put16(writer, 0);                /* wTotalLength, below */
	put8(writer, ENDPOINT_STREAM);
	put8(writer, 0);           /* bmInfo: the format does not change by itself */
	put8(writer, UNIT_OUTPUT); /* bTerminalLink */
	put8(writer, 0);           /* no still images, no button */
	put8(writer, 0);
	put8(writer, 0);
	put8(writer, 1); /* bControlSize of each of bmaControls: none */
	for (unsigned i = 0; i < (has_mjpeg ? 2 : 1); i++)
		put8(writer, 0);
	end(writer, header);
	if (has_mjpeg)
		put_mjpeg(writer, ++formats);
	put_yuyv(writer, ++formats);
	set_total(writer, header, 4);

	put8(writer, USB_DT_ENDPOINT_SIZE);
	put8(writer, USB_DT_ENDPOINT);
	put8(writer, ENDPOINT_STREAM);
	put8(writer, USB_ENDPOINT_XFER_BULK);
	put16(writer, PACKET_BYTES);
	put8(writer, 0); /* bInterval */
}

static void put_configuration(struct writer *writer, bool has_mjpeg)
{
	put8(writer, USB_DT_CONFIG_SIZE);
	put8(writer, USB_DT_CONFIG);
	put16(writer, 0); /* wTotalLength, below */
	put8(writer, 2);  /* bNumInterfaces */
	put8(writer, 1);  /* bConfigurationValue */
	put8(writer, 0);  /* iConfiguration */
	put8(writer, USB_CONFIG_ATT_ONE);
	put8(writer, 250); /* bMaxPower: 500 mA */
	put_association(writer);
	put_control_interface(writer);
	put_streaming_interface(writer, has_mjpeg);
	set_total(writer, 0, 2);
}

/* USB 2.0, 9.6.7: UTF-16 */
static void put_string(struct writer *writer, const char *text)
{
	size_t length = strlen(text);

	put8(writer, (unsigned)(2 + 2 * length));
	put8(writer, USB_DT_STRING);
	for (size_t i = 0; i < length; i++)
		put16(writer, (uint8_t)text[i]);
}

static void put_languages(struct writer *writer)
{
	put8(writer, 4);
	put8(writer, USB_DT_STRING);
	put16(writer, 0x0409); /* English (United States) */
}

size_t descriptor_make(const struct identity *identity, uint16_t value, uint8_t *buffer)
{
	struct writer writer = {buffer, 0};

	switch (value >> 8) {
	case USB_DT_DEVICE:
		put_device(&writer);
		break;
	case USB_DT_CONFIG:
		put_configuration(&writer, identity->has_mjpeg);
		break;
	case USB_DT_STRING:
		switch (value & 0xff) {
		case STRING_LANGUAGES:
			put_languages(&writer);
			break;
		case STRING_VENDOR:
			put_string(&writer, identity->vendor);
			break;
		case STRING_PRODUCT:
			put_string(&writer, identity->product);
			break;
		case STRING_SERIAL:
			put_string(&writer, identity->serial);
			break;
		}
		break;
	}
	return writer.size;
}
