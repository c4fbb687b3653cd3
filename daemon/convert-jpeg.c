/* SPDX-License-Identifier: MIT */
#include "convert-jpeg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#if JPEG_LIB_VERSION >= 70 /* distributions build libjpeg-turbo with either interface */
#define component_scaled_size(component) ((component)->DCT_h_scaled_size)
#define image_scaled_size(info)          ((info)->min_DCT_h_scaled_size)
#else
#define component_scaled_size(component) ((component)->DCT_scaled_size)
#define image_scaled_size(info)          ((info)->min_DCT_scaled_size)
#endif

enum {
	LINES_AT_ONCE = 16,
	COMPONENTS = 3,
	/* Lines of a component in a row of MCUs: at most 4 blocks of 8. */
	MCU_LINES_MAX = MAX_SAMP_FACTOR * DCTSIZE,
	/* By how much whole blocks can be wider than the image. */
	PADDING = DCTSIZE,
	LINE_BYTES_MAX = 4, /* per pixel */
};

struct jpeg_decoder {
	struct jpeg_decoder_setup setup;
	struct jpeg_decompress_struct info;
	struct jpeg_error_mgr errors;
	jmp_buf jump;
	int result;   /* what the jump brings */
	bool created; /* info is valid */
	bool started; /* headers are done, entropy-coded data came */
	char detail[JMSG_LENGTH_MAX];

	uint8_t *line;   /* where a line goes that does not fit where it is wanted */
	uint32_t stride; /* bytes of a line of memory for planes */
	uint32_t lines;  /* that a plane has room for */
	uint8_t *planes; /* COMPONENTS * lines * stride */
};

static _Noreturn void leave(struct jpeg_decoder *decoder, int result)
{
	decoder->result = result;
	longjmp(decoder->jump, 1);
}

static _Noreturn void refuse(struct jpeg_decoder *decoder, int result, const char *detail)
{
	snprintf(decoder->detail, sizeof(decoder->detail), "%s", detail);
	leave(decoder, result);
}

static _Noreturn void on_error(j_common_ptr info)
{
	struct jpeg_decoder *decoder = info->client_data;

	info->err->format_message(info, decoder->detail);
	if (info->err->msg_code == JERR_OUT_OF_MEMORY)
		leave(decoder, -ENOMEM);
	leave(decoder, decoder->started ? CONVERT_DAMAGED : CONVERT_BAD_HEADER);
}

/* Everything else, from bad Huffman codes to scans out of sequence, stands for wrong pixels. */
static bool is_harmless(int warning)
{
	switch (warning) {
	case JWRN_EXTRANEOUS_DATA: /* bytes before a marker, which were skipped */
	case JWRN_JPEG_EOF:        /* no EOI; if data is missing, too, JWRN_HIT_MARKER follows */
	case JWRN_NOT_SEQUENTIAL:  /* spectral parameters that a sequential scan does not use */
	case JWRN_JFIF_MAJOR:
	case JWRN_ADOBE_XFORM:
	case JWRN_BOGUS_ICC:
		return true;
	}
	return false;
}

static void on_message(j_common_ptr info, int level)
{
	struct jpeg_decoder *decoder = info->client_data;
	bool harmless;

	if (level >= 0) /* tracing */
		return;
	harmless = is_harmless(info->err->msg_code);
	if (harmless && decoder->setup.policy == CONVERT_LENIENT)
		return;
	info->err->format_message(info, decoder->detail);
	leave(decoder, harmless ? CONVERT_ODD : CONVERT_DAMAGED);
}

static void on_output(j_common_ptr info)
{
	(void)info; /* nothing may go to standard error */
}

static int create_library(struct jpeg_decoder *decoder)
{
	decoder->info.err = jpeg_std_error(&decoder->errors);
	decoder->info.client_data = decoder;
	decoder->errors.error_exit = on_error;
	decoder->errors.emit_message = on_message;
	decoder->errors.output_message = on_output;
	if (setjmp(decoder->jump))
		return decoder->result;
	jpeg_create_decompress(&decoder->info); /* keeps err and client_data */
	decoder->created = true;
	return 0;
}

int jpeg_decoder_create(const struct jpeg_decoder_setup *setup, struct jpeg_decoder **ret_decoder)
{
	struct jpeg_decoder *decoder = calloc(1, sizeof(*decoder));
	uint32_t width = (setup->width * setup->scale + 7) / 8;
	uint32_t height = (setup->height * setup->scale + 7) / 8;

	if (!decoder)
		return -ENOMEM;
	decoder->setup = *setup;
	if (create_library(decoder) < 0)
		goto no_memory;
	decoder->stride = width + PADDING;
	decoder->line = malloc((size_t)LINE_BYTES_MAX * decoder->stride);
	if (!decoder->line)
		goto no_memory;
	if (setup->planes) {
		decoder->lines = height;
		decoder->planes = malloc((size_t)COMPONENTS * decoder->lines * decoder->stride);
		if (!decoder->planes)
			goto no_memory;
	}
	*ret_decoder = decoder;
	return 0;

no_memory:
	jpeg_decoder_destroy(decoder);
	return -ENOMEM;
}

void jpeg_decoder_destroy(struct jpeg_decoder *decoder)
{
	if (!decoder)
		return;
	if (decoder->created)
		jpeg_destroy_decompress(&decoder->info);
	free(decoder->planes);
	free(decoder->line);
	free(decoder);
}

uint64_t jpeg_decoder_memory(const struct jpeg_decoder *decoder)
{
	return (uint64_t)decoder->stride *
	       (LINE_BYTES_MAX + (decoder->planes ? COMPONENTS * decoder->lines : 0));
}

const char *jpeg_decoder_detail(const struct jpeg_decoder *decoder)
{
	return decoder->detail;
}

/* Scans, in headers or not: SOS cannot occur within entropy-coded data, and a thumbnail has few. */
static uint32_t count_scans(const uint8_t *data, size_t size)
{
	uint32_t count = 0;

	for (const uint8_t *end = data + size; size >= 2 && count <= CONVERT_SCANS_MAX;) {
		data = memchr(data, 0xff, size - 1);
		if (!data)
			break;
		data++;
		count += *data == 0xda;
		size = (size_t)(end - data);
	}
	return count;
}

/* Reads the headers up to the first scan and refuses what is not wanted. */
static void read_header(struct jpeg_decoder *decoder, const uint8_t *data, size_t size)
{
	struct jpeg_decompress_struct *info = &decoder->info;
	char detail[JMSG_LENGTH_MAX];

	decoder->started = false;
	jpeg_mem_src(info, data, size);
	jpeg_read_header(info, TRUE);
	if (info->image_width != decoder->setup.width ||
		info->image_height != decoder->setup.height) {
		snprintf(detail, sizeof(detail), "the header says %ux%u, the camera %ux%u",
			info->image_width, info->image_height, decoder->setup.width,
			decoder->setup.height);
		refuse(decoder, CONVERT_WRONG_SIZE, detail);
	}
	if (info->arith_code)
		refuse(decoder, CONVERT_UNSUPPORTED, "arithmetic coding");
	if (info->jpeg_color_space != JCS_YCbCr && info->jpeg_color_space != JCS_GRAYSCALE)
		refuse(decoder, CONVERT_UNSUPPORTED, "neither YCbCr nor grey");
	if (jpeg_has_multiple_scans(info) && count_scans(data, size) > CONVERT_SCANS_MAX) {
		snprintf(detail, sizeof(detail), "more than %d scans", CONVERT_SCANS_MAX);
		refuse(decoder, CONVERT_SCANS, detail);
	}
	decoder->started = true;
	info->scale_num = decoder->setup.scale;
	info->scale_denom = 8;
	info->dct_method = JDCT_ISLOW;
}

/* Ends an image that was decoded as far as it is wanted. */
static void finish(struct jpeg_decoder *decoder)
{
	struct jpeg_decompress_struct *info = &decoder->info;

	if (decoder->setup.policy == CONVERT_LENIENT) {
		jpeg_abort_decompress(info);
		return;
	}
	if (info->output_scanline < info->output_height)
		jpeg_skip_scanlines(info, info->output_height - info->output_scanline);
	jpeg_finish_decompress(info);
}

static void decode_pixels(struct jpeg_decoder *decoder, enum jpeg_pixels pixels,
	const struct jpeg_region *region, uint8_t *to, uint32_t stride)
{
	static const struct {
		J_COLOR_SPACE space;
		uint8_t size;
	} kinds[] = {
		[JPEG_PIXELS_GREY] = {JCS_GRAYSCALE, 1},
		[JPEG_PIXELS_RGB] = {JCS_EXT_RGB, 3},
		[JPEG_PIXELS_BGR] = {JCS_EXT_BGR, 3},
		[JPEG_PIXELS_BGRX] = {JCS_EXT_BGRX, 4},
	};
	struct jpeg_decompress_struct *info = &decoder->info;
	uint32_t pixel_size = kinds[pixels].size, line = region->y;
	bool whole_lines;

	info->out_color_space = kinds[pixels].space;
	jpeg_start_decompress(info);
	whole_lines = region->width == info->output_width;
	if (region->y > 0)
		jpeg_skip_scanlines(info, region->y);
	while (line < region->y + region->height) {
		uint32_t left = region->y + region->height - line, count = 1;
		JSAMPROW rows[LINES_AT_ONCE];

		if (whole_lines) {
			count = left < LINES_AT_ONCE ? left : LINES_AT_ONCE;
			for (uint32_t i = 0; i < count; i++)
				rows[i] = to + (size_t)(line - region->y + i) * stride;
		} else {
			rows[0] = decoder->line;
		}
		count = jpeg_read_scanlines(info, rows, count);
		if (!whole_lines)
			memcpy(to + (size_t)(line - region->y) * stride,
				decoder->line + (size_t)region->x * pixel_size,
				(size_t)region->width * pixel_size);
		line += count;
	}
}

int jpeg_decode_pixels(struct jpeg_decoder *decoder, const uint8_t *data, size_t size,
	enum jpeg_pixels pixels, const struct jpeg_region *region, uint8_t *to, uint32_t stride)
{
	if (setjmp(decoder->jump)) {
		jpeg_abort_decompress(&decoder->info);
		return decoder->result;
	}
	read_header(decoder, data, size);
	decode_pixels(decoder, pixels, region, to, stride);
	finish(decoder);
	return CONVERT_DONE;
}

/*
 * Finds a place for a component: that of the caller if its lines have room for the whole blocks
 * that libjpeg writes, else our own.
 */
static void place_component(struct jpeg_decoder *decoder, uint32_t i, struct jpeg_plane *plane)
{
	const jpeg_component_info *component = &decoder->info.comp_info[i];
	uint32_t scaled = (uint32_t)component_scaled_size(component);
	uint32_t width = component->downsampled_width, height = component->downsampled_height;
	uint32_t padded = component->width_in_blocks * scaled;

	if (plane->data && plane->width == width && plane->height == height &&
		plane->stride >= padded)
		return;
	/* Cannot be: libjpeg scales no component beyond the image. */
	if (padded > decoder->stride || height > decoder->lines)
		refuse(decoder, CONVERT_UNSUPPORTED, "unusual sampling factors");
	plane->data = decoder->planes + (size_t)i * decoder->lines * decoder->stride;
	plane->stride = decoder->stride;
	plane->width = width;
	plane->height = height;
}

static void decode_planes(
	struct jpeg_decoder *decoder, struct jpeg_plane planes[static 3], uint32_t *ret_count)
{
	struct jpeg_decompress_struct *info = &decoder->info;
	JSAMPROW rows[COMPONENTS][MCU_LINES_MAX];
	JSAMPARRAY arrays[COMPONENTS] = {rows[0], rows[1], rows[2]};
	uint32_t mcu_lines, count = (uint32_t)info->num_components;

	info->raw_data_out = TRUE;
	info->do_fancy_upsampling = FALSE;
	jpeg_start_decompress(info);
	for (uint32_t i = 0; i < count; i++)
		place_component(decoder, i, &planes[i]);
	mcu_lines = (uint32_t)(info->max_v_samp_factor * image_scaled_size(info));
	for (uint32_t mcu = 0; info->output_scanline < info->output_height; mcu++) {
		for (uint32_t i = 0; i < count; i++) {
			const jpeg_component_info *component = &info->comp_info[i];
			uint32_t lines = (uint32_t)(component->v_samp_factor *
						    component_scaled_size(component));

			for (uint32_t j = 0; j < lines; j++) {
				uint32_t line = mcu * lines + j;

				/* below the picture: to where nobody reads it */
				rows[i][j] =
					line < planes[i].height
						? planes[i].data + (size_t)line * planes[i].stride
						: decoder->line;
			}
		}
		jpeg_read_raw_data(info, arrays, mcu_lines);
	}
	*ret_count = count;
}

int jpeg_decode_planes(struct jpeg_decoder *decoder, const uint8_t *data, size_t size,
	struct jpeg_plane planes[static 3], uint32_t *ret_count)
{
	if (setjmp(decoder->jump)) {
		jpeg_abort_decompress(&decoder->info);
		return decoder->result;
	}
	read_header(decoder, data, size);
	decode_planes(decoder, planes, ret_count);
	finish(decoder);
	return CONVERT_DONE;
}
