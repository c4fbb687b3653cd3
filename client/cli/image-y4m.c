/* SPDX-License-Identifier: MIT */

/*
 * y4m: YUV4MPEG2 (mjpegtools' yuv4mpeg(5)), with the header that ffmpeg writes. Samples are
 * rearranged, never computed with: what comes from a Y4M file goes into one bit for bit. Cameras do
 * not say where between the luma samples the chroma samples lie (recordings do); C420jpeg (in the
 * middle) is ffmpeg's choice too. XCOLORRANGE is written if the source names its range, or if it is
 * not the usual limited one.
 */

#include "image.h"
#include "pixels.h"

#include <errno.h>

#include <linux/videodev2.h>

static const char *find_colour_420(enum camtap_chroma_siting siting)
{
	switch (siting) {
	case CAMTAP_CHROMA_MPEG2:
		return "C420mpeg2 XYSCSS=420MPEG2";
	case CAMTAP_CHROMA_PALDV:
		return "C420paldv XYSCSS=420PALDV";
	case CAMTAP_CHROMA_UNKNOWN:
	case CAMTAP_CHROMA_JPEG:
		break;
	}
	return "C420jpeg XYSCSS=420JPEG";
}

/* NULL: Y4M has none for it. */
static const char *find_colour(const struct image *image, const struct pixels *pixels)
{
	switch (pixels->layout) {
	case PIXELS_GREY:
		return "Cmono";
	case PIXELS_GREY16:
		return pixels->bits == 10 ? "Cmono10" : pixels->bits == 12 ? "Cmono12" : "Cmono16";
	case PIXELS_420:
		return find_colour_420(image->chroma_siting);
	case PIXELS_422:
		return "C422 XYSCSS=422";
	case PIXELS_444:
		return "C444 XYSCSS=444";
	case PIXELS_411:
		return "C411 XYSCSS=411";
	case PIXELS_440:
	case PIXELS_RGB:
		break;
	}
	return NULL;
}

static char find_interlacing(uint32_t field)
{
	switch (field) {
	case V4L2_FIELD_NONE:
		return 'p';
	case V4L2_FIELD_INTERLACED_TB:
		return 't';
	case V4L2_FIELD_INTERLACED_BT:
		return 'b';
	default:
		return '?'; /* the order depends on the television standard, or it is not a whole
			       picture */
	}
}

static const char *find_range(const struct image *image, const struct pixels *pixels)
{
	bool ycbcr = pixels_plane_count(pixels) == 3;

	if (image->quantization == V4L2_QUANTIZATION_FULL_RANGE ||
		(ycbcr && pixels->quantization == V4L2_QUANTIZATION_FULL_RANGE))
		return " XCOLORRANGE=FULL";
	if (image->quantization == V4L2_QUANTIZATION_LIM_RANGE)
		return " XCOLORRANGE=LIMITED";
	return "";
}

/* Lines without their padding; 16-bit samples with the lower byte first. */
static int append_samples(struct buffer *body, const struct pixels *pixels)
{
	for (unsigned i = 0; i < pixels_plane_count(pixels); i++) {
		size_t width = pixels_plane_width(pixels, i);

		for (size_t y = 0; y < pixels_plane_height(pixels, i); y++) {
			const uint8_t *line = pixels->planes[i].data + y * pixels->planes[i].stride;
			const uint16_t *samples = (const uint16_t *)(const void *)line;
			uint8_t *room;
			int r;

			if (pixels->layout != PIXELS_GREY16) {
				r = buffer_append(body, line, width);
			} else {
				r = buffer_extend(body, width * 2, &room);
				for (size_t x = 0; r == 0 && x < width; x++) {
					room[2 * x] = (uint8_t)samples[x];
					room[2 * x + 1] = (uint8_t)(samples[x] >> 8);
				}
			}
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int encode(const struct image *image, int quality, struct encoded *ret_encoded,
	char error[IMAGE_ERROR_SIZE])
{
	char fourcc[CAMTAP_FOURCC_TEXT_SIZE];
	struct pixels pixels;
	const char *colour;
	int r;

	(void)quality;
	encoded_clear(ret_encoded);
	ret_encoded->extension = "y4m";
	if (pixels_packed_find(image->fourcc))
		return image_fail(error, -ENOTSUP,
			"y4m cannot hold %s: use --format png, ppm or raw, or --stream YU12",
			camtap_fourcc_text(image->fourcc, fourcc));
	r = pixels_init_planar(&pixels, image, error);
	if (r < 0)
		return r;
	colour = find_colour(image, &pixels);
	if (!colour) {
		r = image_fail(error, -ENOTSUP,
			"y4m cannot hold JPEG 4:4:0: use --format jpeg, png or ppm");
		goto finish;
	}
	r = buffer_print(&ret_encoded->header, "YUV4MPEG2 W%u H%u F%u:%u I%c A%u:%u %s%s\n",
		pixels.width, pixels.height, image->rate_numerator, image->rate_denominator,
		find_interlacing(image->field), image->pixel_aspect_numerator,
		image->pixel_aspect_denominator, colour, find_range(image, &pixels));
	if (r == 0)
		r = buffer_print(&ret_encoded->body, "FRAME\n");
	if (r == 0)
		r = append_samples(&ret_encoded->body, &pixels);
	if (r < 0)
		image_fail(error, r, "no memory for a picture");

finish:
	pixels_finish(&pixels);
	return r;
}

const struct image_format image_y4m = {
	.name = "y4m",
	.stream = true,
	.concatenates = true,
	.encode = encode,
};
