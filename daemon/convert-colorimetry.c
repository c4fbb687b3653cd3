/* SPDX-License-Identifier: MIT */

/* Encoding and range: of the source, of the result, and what leads from one to the other. */

#include "convert-work.h"

#include <libyuv.h>
#include <linux/videodev2.h>

/* Encoding and range of the source, without defaults. */
static void resolve_colorimetry(
	const struct convert *convert, uint32_t *ret_ycbcr_enc, uint32_t *ret_quantization)
{
	const struct pool_format *from = &convert->from;
	uint32_t encoding = from->ycbcr_enc, quantization = from->quantization;

	if (encoding == V4L2_YCBCR_ENC_DEFAULT)
		encoding = V4L2_MAP_YCBCR_ENC_DEFAULT(from->colorspace);
	switch (convert->source) {
	case SOURCE_KIND_JPEG: /* JFIF */
		encoding = V4L2_YCBCR_ENC_601;
		quantization = V4L2_QUANTIZATION_FULL_RANGE;
		break;
	case SOURCE_KIND_RGB:
	case SOURCE_KIND_BAYER:
		encoding = V4L2_YCBCR_ENC_601; /* of what is made of it */
		if (quantization == V4L2_QUANTIZATION_DEFAULT ||
			convert->source == SOURCE_KIND_BAYER)
			quantization = V4L2_QUANTIZATION_FULL_RANGE;
		break;
	case SOURCE_KIND_GREY:
	case SOURCE_KIND_GREY16:
		if (quantization == V4L2_QUANTIZATION_DEFAULT)
			quantization = V4L2_QUANTIZATION_FULL_RANGE;
		break;
	case SOURCE_KIND_PLANAR:
	case SOURCE_KIND_SEMI_PLANAR:
	case SOURCE_KIND_PAIRS:
		if (quantization == V4L2_QUANTIZATION_DEFAULT)
			quantization =
				V4L2_MAP_QUANTIZATION_DEFAULT(false, from->colorspace, encoding);
		break;
	}
	*ret_ycbcr_enc = encoding;
	*ret_quantization = quantization;
}

/*
 * libyuv's constants for an encoding and range. Those for limited range have a weight of blue that
 * libyuv cut to fit 8 bits: up to 12 of 255 wrong for BT.709, 16 for BT.2020, 2 for BT.601
 * (measured with version 1857). So the former two are stretched to full range first.
 */
static void plan_matrix(struct convert *convert, uint32_t encoding, uint32_t quantization)
{
	bool full = quantization == V4L2_QUANTIZATION_FULL_RANGE;

	switch (encoding) {
	case V4L2_YCBCR_ENC_709:
	case V4L2_YCBCR_ENC_XV709:
	case V4L2_YCBCR_ENC_SMPTE240M:
		convert->matrix = &kYuvF709Constants;
		convert->matrix_swapped = &kYvuF709Constants;
		convert->stretch = !full;
		break;
	case V4L2_YCBCR_ENC_BT2020:
	case V4L2_YCBCR_ENC_BT2020_CONST_LUM:
		convert->matrix = &kYuvV2020Constants;
		convert->matrix_swapped = &kYvuV2020Constants;
		convert->stretch = !full;
		break;
	default:
		convert->matrix = full ? &kYuvJPEGConstants : &kYuvI601Constants;
		convert->matrix_swapped = full ? &kYvuJPEGConstants : &kYvuI601Constants;
		break;
	}
}

void convert_plan_colorimetry(struct convert *convert)
{
	struct pool_format *to = &convert->to;
	bool to_rgb = is_rgb(to->fourcc), from_ycbcr = false, chroma_420;
	uint32_t encoding, quantization;

	resolve_colorimetry(convert, &encoding, &quantization);
	switch (convert->source) {
	case SOURCE_KIND_PLANAR:
	case SOURCE_KIND_SEMI_PLANAR:
	case SOURCE_KIND_PAIRS:
	case SOURCE_KIND_JPEG:
		from_ycbcr = true;
		plan_matrix(convert, encoding, quantization);
		break;
	case SOURCE_KIND_RGB:
	case SOURCE_KIND_BAYER:
		if (!to_rgb && to->fourcc != V4L2_PIX_FMT_GREY)
			quantization = V4L2_QUANTIZATION_LIM_RANGE;
		break;
	case SOURCE_KIND_GREY:
	case SOURCE_KIND_GREY16:
		break;
	}
	if (to_rgb) {
		encoding = V4L2_YCBCR_ENC_DEFAULT; /* there is none */
		if (from_ycbcr)
			quantization = V4L2_QUANTIZATION_FULL_RANGE;
	}
	to->ycbcr_enc = encoding;
	to->quantization = quantization;

	/* Chroma in the middle of its pixels stays there, whatever the scale. */
	chroma_420 = to->fourcc == V4L2_PIX_FMT_YUV420 || to->fourcc == V4L2_PIX_FMT_NV12;
	if (!chroma_420)
		to->chroma_siting = POOL_CHROMA_UNKNOWN;
	else if (convert->source == SOURCE_KIND_RGB || convert->source == SOURCE_KIND_BAYER)
		to->chroma_siting = POOL_CHROMA_JPEG;
	else if (convert->source == SOURCE_KIND_JPEG)
		to->chroma_siting = POOL_CHROMA_JPEG; /* JFIF */
	else if (convert->scaled && to->chroma_siting != POOL_CHROMA_JPEG)
		to->chroma_siting = POOL_CHROMA_UNKNOWN;
}
