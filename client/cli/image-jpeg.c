/* SPDX-License-Identifier: MIT */

/*
 * jpeg. Frames of an MJPEG camera are written byte for byte. Others are encoded by libjpeg-turbo:
 * RGB as it lies in memory, grey as grey, Y, Cb, Cr from its planes with the subsampling that it
 * has. JPEG means BT.601 in full range (JFIF), so limited range is stretched, plane by plane; only
 * pictures of another matrix (BT.709, BT.2020) take the way through RGB.
 */

#include "image.h"
#include "pixels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/videodev2.h>
#include <turbojpeg.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum {
	MARKER_SIZE = 2, /* bytes */
};

/* What the encoder is given. */
struct job {
	tjhandle encoder;
	int quality;
	unsigned char *jpeg; /* the encoder's memory */
	unsigned long size;  /* bytes */
};

static int encoder_failed(const struct job *job, char error[IMAGE_ERROR_SIZE])
{
	return image_fail(
		error, -EIO, "JPEG encoder: %s: use --format raw", tjGetErrorStr2(job->encoder));
}

static int find_subsampling(enum pixels_layout layout)
{
	switch (layout) {
	case PIXELS_420:
		return TJSAMP_420;
	case PIXELS_422:
		return TJSAMP_422;
	case PIXELS_444:
	case PIXELS_RGB:
		return TJSAMP_444;
	case PIXELS_411:
		return TJSAMP_411;
	case PIXELS_440:
		return TJSAMP_440;
	case PIXELS_GREY:
	case PIXELS_GREY16:
		break;
	}
	return TJSAMP_GRAY;
}

static int find_pixel_format(const struct pixels_packed *format)
{
	static const struct {
		uint8_t size, red, green, blue;
		int pixel_format;
	} table[] = {
		{3, 0, 1, 2, TJPF_RGB},
		{3, 2, 1, 0, TJPF_BGR},
		{4, 0, 1, 2, TJPF_RGBX},
		{4, 2, 1, 0, TJPF_BGRX},
		{4, 1, 2, 3, TJPF_XRGB},
		{4, 3, 2, 1, TJPF_XBGR},
	};

	for (size_t i = 0; i < ELEMENTS(table); i++) {
		if (table[i].size == format->size && table[i].red == format->red &&
			table[i].green == format->green && table[i].blue == format->blue)
			return table[i].pixel_format;
	}
	return TJPF_UNKNOWN;
}

static int encode_packed(struct job *job, const struct image *image,
	const struct pixels_packed *format, char error[IMAGE_ERROR_SIZE])
{
	const struct image_plane *plane = &image->planes[0];
	int r = pixels_check_plane(
		image, 0, (size_t)image->width * format->size, image->height, error);

	if (r < 0)
		return r;
	if (tjCompress2(job->encoder, plane->data, (int)image->width, (int)plane->stride,
		    (int)image->height, find_pixel_format(format), &job->jpeg, &job->size,
		    TJSAMP_444, job->quality, 0) < 0)
		return encoder_failed(job, error);
	return 0;
}

/* Y, Cb, Cr of another matrix than JPEG's: through RGB, with the subsampling that the picture had.
 */
static int encode_through_rgb(
	struct job *job, const struct image *image, int subsampling, char error[IMAGE_ERROR_SIZE])
{
	struct pixels rgb;
	int r = pixels_init_rgb(&rgb, image, error);

	if (r < 0)
		return r;
	if (tjCompress2(job->encoder, rgb.planes[0].data, (int)rgb.width, (int)rgb.planes[0].stride,
		    (int)rgb.height, TJPF_RGB, &job->jpeg, &job->size, subsampling, job->quality,
		    0) < 0)
		r = encoder_failed(job, error);
	pixels_finish(&rgb);
	return r;
}

static int compress_planes(
	struct job *job, const struct pixels *pixels, char error[IMAGE_ERROR_SIZE])
{
	const unsigned char *planes[3] = {};
	int strides[3] = {};

	for (unsigned i = 0; i < pixels_plane_count(pixels); i++) {
		planes[i] = pixels->planes[i].data;
		strides[i] = (int)pixels->planes[i].stride;
	}
	if (tjCompressFromYUVPlanes(job->encoder, planes, (int)pixels->width, strides,
		    (int)pixels->height, find_subsampling(pixels->layout), &job->jpeg, &job->size,
		    job->quality, 0) < 0)
		return encoder_failed(job, error);
	return 0;
}

static int encode_planes(struct job *job, const struct pixels *pixels, char error[IMAGE_ERROR_SIZE])
{
	struct pixels copy;
	int r;

	if (pixels_is_full_range(pixels) && pixels_has_whole_groups(pixels))
		return compress_planes(job, pixels, error);
	/* libjpeg-turbo reads planes of whole groups, beyond the end of ours otherwise. */
	r = pixels_init_full_range(&copy, pixels, error);
	if (r < 0)
		return r;
	r = compress_planes(job, &copy, error);
	pixels_finish(&copy);
	return r;
}

/* JPEG has 8 bits: the upper ones. */
static int encode_grey16(struct job *job, const struct pixels *pixels, char error[IMAGE_ERROR_SIZE])
{
	size_t count = (size_t)pixels->width * pixels->height;
	const uint16_t *samples = (const uint16_t *)(const void *)pixels->planes[0].data;
	struct pixels grey = *pixels;
	uint8_t *upper = malloc(count);
	int r;

	if (!upper)
		return image_fail(error, -ENOMEM, "no memory for a picture of %ux%u", pixels->width,
			pixels->height);
	for (size_t i = 0; i < count; i++)
		upper[i] = (uint8_t)(samples[i] >> (pixels->bits - 8));
	grey.layout = PIXELS_GREY;
	grey.planes[0] = (struct pixels_plane){upper, pixels->width};
	r = compress_planes(job, &grey, error);
	free(upper);
	return r;
}

static bool has_jpeg_matrix(const struct pixels *pixels)
{
	return pixels->ycbcr_enc == V4L2_YCBCR_ENC_601 ||
	       pixels->ycbcr_enc == V4L2_YCBCR_ENC_XV601 ||
	       pixels->ycbcr_enc == V4L2_YCBCR_ENC_SYCC;
}

static int encode_image(struct job *job, const struct image *image, char error[IMAGE_ERROR_SIZE])
{
	const struct pixels_packed *packed = pixels_packed_find(image->fourcc);
	struct pixels pixels;
	int r;

	if (packed)
		return encode_packed(job, image, packed, error);
	r = pixels_init_planar(&pixels, image, error);
	if (r < 0)
		return r;
	if (pixels.layout == PIXELS_GREY16)
		r = encode_grey16(job, &pixels, error);
	else if (pixels.layout == PIXELS_GREY)
		r = compress_planes(job, &pixels, error);
	else if (has_jpeg_matrix(&pixels))
		r = encode_planes(job, &pixels, error);
	else
		r = encode_through_rgb(job, image, find_subsampling(pixels.layout), error);
	pixels_finish(&pixels);
	return r;
}

/* Appends the JPEG with a COM segment after its first two (SOI, and the APP0 that JFIF wants
 * there). */
static int append_with_comment(struct buffer *buffer, const struct job *job, const char *comment)
{
	size_t before = MARKER_SIZE, length = strlen(comment);
	uint8_t segment[4];
	int r;

	if (job->size > 6 && job->jpeg[2] == 0xff && job->jpeg[3] == 0xe0)
		before += MARKER_SIZE + (size_t)(job->jpeg[4] << 8 | job->jpeg[5]);
	if (before > job->size || length > 0xffff - 2)
		return buffer_append(buffer, job->jpeg, job->size);
	segment[0] = 0xff;
	segment[1] = 0xfe;
	segment[2] = (uint8_t)((length + 2) >> 8);
	segment[3] = (uint8_t)(length + 2);
	r = buffer_append(buffer, job->jpeg, before);
	if (r == 0)
		r = buffer_append(buffer, segment, sizeof(segment));
	if (r == 0)
		r = buffer_append(buffer, comment, length);
	if (r == 0)
		r = buffer_append(buffer, job->jpeg + before, job->size - before);
	return r;
}

static int encode(const struct image *image, int quality, struct encoded *ret_encoded,
	char error[IMAGE_ERROR_SIZE])
{
	struct job job = {.quality = quality};
	int r;

	encoded_clear(ret_encoded);
	ret_encoded->extension = "jpg";
	if (image->fourcc == V4L2_PIX_FMT_MJPEG || image->fourcc == V4L2_PIX_FMT_JPEG) {
		r = buffer_append(
			&ret_encoded->body, image->planes[0].data, image->planes[0].bytesused);
		return r < 0 ? image_fail(error, r, "no memory for a frame") : 0;
	}

	job.encoder = tjInitCompress();
	if (!job.encoder)
		return image_fail(error, -ENOMEM, "no memory for a JPEG encoder");
	r = encode_image(&job, image, error);
	if (r == 0) {
		r = append_with_comment(
			&ret_encoded->body, &job, image->comment ? image->comment : "");
		if (r < 0)
			image_fail(error, r, "no memory for a picture");
	}
	tjFree(job.jpeg);
	tjDestroy(job.encoder);
	return r;
}

const struct image_format image_jpeg = {
	.name = "jpeg",
	.concatenates = true,
	.encode = encode,
};
