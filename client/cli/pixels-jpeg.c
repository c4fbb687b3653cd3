/* SPDX-License-Identifier: MIT */

/* Decoding of MJPEG and JPEG frames by libjpeg-turbo. JPEG's Y, Cb, Cr are BT.601, full range
 * (JFIF). */

#include "pixels.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <linux/videodev2.h>
#include <turbojpeg.h>

/* What libjpeg could repair is a warning: cameras send harmless oddities, and the frame counts as
 * good. */
static bool decoder_failed(tjhandle decoder, int r)
{
	return r < 0 && tjGetErrorCode(decoder) == TJERR_FATAL;
}

static int damaged(tjhandle decoder, char error[IMAGE_ERROR_SIZE])
{
	return image_fail(error, -EBADMSG, "damaged JPEG (%s): --format jpeg writes it as it is",
		tjGetErrorStr2(decoder));
}

static bool find_layout(int subsampling, enum pixels_layout *ret_layout)
{
	switch (subsampling) {
	case TJSAMP_GRAY:
		*ret_layout = PIXELS_GREY;
		return true;
	case TJSAMP_420:
		*ret_layout = PIXELS_420;
		return true;
	case TJSAMP_422:
		*ret_layout = PIXELS_422;
		return true;
	case TJSAMP_444:
		*ret_layout = PIXELS_444;
		return true;
	case TJSAMP_411:
		*ret_layout = PIXELS_411;
		return true;
	case TJSAMP_440:
		*ret_layout = PIXELS_440;
		return true;
	default:
		return false;
	}
}

static int decode_planes(struct pixels *pixels, tjhandle decoder, const struct image_plane *jpeg,
	int subsampling, char error[IMAGE_ERROR_SIZE])
{
	int width = (int)pixels->width, height = (int)pixels->height, strides[3] = {};
	unsigned char *planes[3] = {};
	size_t size = 0;

	/* libjpeg-turbo's planes are padded to whole blocks of chroma samples. */
	for (unsigned i = 0; i < pixels_plane_count(pixels); i++) {
		strides[i] = tjPlaneWidth((int)i, width, subsampling);
		size += tjPlaneSizeYUV((int)i, width, 0, height, subsampling);
	}
	pixels->memory = malloc(size);
	if (!pixels->memory)
		return image_fail(
			error, -ENOMEM, "no memory for a picture of %dx%d", width, height);
	size = 0;
	for (unsigned i = 0; i < pixels_plane_count(pixels); i++) {
		planes[i] = (unsigned char *)pixels->memory + size;
		size += tjPlaneSizeYUV((int)i, width, 0, height, subsampling);
		pixels->planes[i].data = planes[i];
		pixels->planes[i].stride = (size_t)strides[i];
	}
	if (decoder_failed(decoder, tjDecompressToYUVPlanes(decoder, jpeg->data, jpeg->bytesused,
					    planes, width, strides, height, 0)))
		return damaged(decoder, error);
	return 0;
}

static int decode_rgb(struct pixels *pixels, tjhandle decoder, const struct image_plane *jpeg,
	char error[IMAGE_ERROR_SIZE])
{
	int width = (int)pixels->width, height = (int)pixels->height;
	uint8_t *rgb = malloc((size_t)pixels->width * 3 * pixels->height);

	if (!rgb)
		return image_fail(
			error, -ENOMEM, "no memory for a picture of %dx%d", width, height);
	pixels->layout = PIXELS_RGB;
	pixels->planes[0].data = rgb;
	pixels->planes[0].stride = (size_t)pixels->width * 3;
	pixels->memory = rgb;
	if (decoder_failed(decoder, tjDecompress2(decoder, jpeg->data, jpeg->bytesused, rgb, width,
					    width * 3, height, TJPF_RGB, 0)))
		return damaged(decoder, error);
	return 0;
}

int pixels_init_jpeg(struct pixels *ret_pixels, const struct image *image, bool rgb,
	char error[IMAGE_ERROR_SIZE])
{
	const struct image_plane *jpeg = &image->planes[0];
	struct pixels pixels = {
		.bits = 8,
		.ycbcr_enc = V4L2_YCBCR_ENC_601,
		.quantization = V4L2_QUANTIZATION_FULL_RANGE,
	};
	int width = 0, height = 0, subsampling = -1, colorspace = -1, r;
	tjhandle decoder = tjInitDecompress();

	if (!decoder)
		return image_fail(error, -ENOMEM, "no memory for a JPEG decoder");
	if (decoder_failed(decoder, tjDecompressHeader3(decoder, jpeg->data, jpeg->bytesused,
					    &width, &height, &subsampling, &colorspace)) ||
		width <= 0 || height <= 0) {
		r = damaged(decoder, error); /* cut short before its size, it is but a warning */
		goto finish;
	}
	/* Some cameras code whole blocks of 16 and say the size that they mean elsewhere; more is
	 * wrong, and must not make us allocate what a hostile header asks for. */
	if ((uint32_t)width > image->width + 16 || (uint32_t)height > image->height + 16) {
		r = image_fail(error, -EBADMSG, "damaged JPEG: it says %dx%d, the camera %ux%u",
			width, height, image->width, image->height);
		goto finish;
	}
	pixels.width = (uint32_t)width;
	pixels.height = (uint32_t)height;
	if (rgb && colorspace != TJCS_GRAY) {
		r = decode_rgb(&pixels, decoder, jpeg, error);
	} else if (!find_layout(subsampling, &pixels.layout) ||
		   (colorspace != TJCS_YCbCr && colorspace != TJCS_GRAY)) {
		r = image_fail(error, -ENOTSUP,
			"JPEGs of this kind (not Y, Cb, Cr) have no planes: use --format png or "
			"jpeg");
	} else {
		r = decode_planes(&pixels, decoder, jpeg, subsampling, error);
	}
	if (r < 0) {
		pixels_finish(&pixels);
		goto finish;
	}
	*ret_pixels = pixels;

finish:
	tjDestroy(decoder);
	return r;
}
