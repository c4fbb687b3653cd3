/* SPDX-License-Identifier: MIT */
/*
 * YUV4MPEG2: a line of text, then for each frame a line that begins with FRAME and the bytes of its
 * planes, without any padding. https://manpages.debian.org/mjpegtools/yuv4mpeg.5.en.html
 */
#include "recording-container.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <linux/videodev2.h>

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define MAGIC           "YUV4MPEG2"
#define FRAME_MAGIC     "FRAME"

enum {
	LINE_SIZE_MAX = 4096, /* bytes; those of ffmpeg and mjpegtools have less than 200 */
};

/* One tag of the header: a letter and its value, which ends at end. */
struct tag {
	char letter;
	const char *value, *end;
};

struct y4m_header {
	uint32_t width, height;
	struct tag chroma;
};

static const struct {
	const char *name;
	uint32_t fourcc;
	enum recording_chroma_siting siting;
} chromas[] = {
	{"420jpeg", V4L2_PIX_FMT_YUV420, RECORDING_CHROMA_JPEG},
	{"420mpeg2", V4L2_PIX_FMT_YUV420, RECORDING_CHROMA_MPEG2},
	{"420paldv", V4L2_PIX_FMT_YUV420, RECORDING_CHROMA_PALDV},
	{"420", V4L2_PIX_FMT_YUV420, RECORDING_CHROMA_UNKNOWN},
	{"422", V4L2_PIX_FMT_YUV422P, RECORDING_CHROMA_UNKNOWN},
	{"mono", V4L2_PIX_FMT_GREY, RECORDING_CHROMA_UNKNOWN},
};

static const struct {
	char name;
	uint32_t field;
} interlacings[] = {
	{'p', V4L2_FIELD_NONE},
	{'t', V4L2_FIELD_INTERLACED_TB},
	{'b', V4L2_FIELD_INTERLACED_BT},
	{'m', V4L2_FIELD_INTERLACED}, /* differs from frame to frame */
	{'?', V4L2_FIELD_ANY},
};

static bool value_equal(const struct tag *tag, const char *text)
{
	size_t size = (size_t)(tag->end - tag->value);

	return size == strlen(text) && memcmp(tag->value, text, size) == 0;
}

static bool parse_value(const struct tag *tag, uint32_t *ret_number)
{
	const char *at = tag->value;

	return recording_parse_number(&at, tag->end, ret_number) && at == tag->end;
}

static bool parse_ratio(const struct tag *tag, uint32_t *ret_numerator, uint32_t *ret_denominator)
{
	const char *at = tag->value;
	uint32_t numerator, denominator;

	if (!recording_parse_number(&at, tag->end, &numerator) || at == tag->end || *at != ':')
		return false;
	at++;
	if (!recording_parse_number(&at, tag->end, &denominator) || at != tag->end)
		return false;
	recording_rate_reduce(&numerator, &denominator);
	*ret_numerator = numerator;
	*ret_denominator = denominator;
	return true;
}

static bool parse_interlacing(const struct tag *tag, uint32_t *ret_field)
{
	for (size_t i = 0; i < ELEMENTS(interlacings); i++) {
		if (tag->end - tag->value == 1 && *tag->value == interlacings[i].name) {
			*ret_field = interlacings[i].field;
			return true;
		}
	}
	return false;
}

/* ffmpeg writes its colour range as an extension; the others concern decoders only. */
static void parse_extension(const struct tag *tag, struct recording_format *format)
{
	if (value_equal(tag, "COLORRANGE=FULL"))
		format->quantization = V4L2_QUANTIZATION_FULL_RANGE;
	else if (value_equal(tag, "COLORRANGE=LIMITED"))
		format->quantization = V4L2_QUANTIZATION_LIM_RANGE;
}

static bool parse_tag(
	const struct tag *tag, struct recording_format *format, struct y4m_header *header)
{
	switch (tag->letter) {
	case 'W':
		return parse_value(tag, &header->width);
	case 'H':
		return parse_value(tag, &header->height);
	case 'F':
		return parse_ratio(tag, &format->rate_numerator, &format->rate_denominator);
	case 'A':
		return parse_ratio(
			tag, &format->pixel_aspect_numerator, &format->pixel_aspect_denominator);
	case 'I':
		return parse_interlacing(tag, &format->field);
	case 'C':
		header->chroma = *tag;
		return true;
	case 'X':
		parse_extension(tag, format);
		return true;
	}
	return true; /* readers are to ignore what they do not know */
}

static int find_chroma(struct recording *recording, const struct tag *tag, uint32_t *ret_fourcc)
{
	char name[16];
	size_t size = 0;

	for (size_t i = 0; i < ELEMENTS(chromas); i++) {
		if (value_equal(tag, chromas[i].name)) {
			recording->format.chroma_siting = chromas[i].siting;
			*ret_fourcc = chromas[i].fourcc;
			return 0;
		}
	}
	/* The file's bytes may reach a terminal. */
	for (const char *at = tag->value; at < tag->end && size < sizeof(name) - 1; at++)
		name[size++] = *at > 0x20 && *at < 0x7f ? *at : '?';
	name[size] = '\0';
	return recording_fail(recording, -ENOTSUP,
		"Y4M with colour space %s has no V4L2 format: convert it, for example with "
		"ffmpeg -i FILE -pix_fmt yuv420p OUT.y4m",
		name);
}

static int parse_header(struct recording *recording, const char *line, const char *end)
{
	struct y4m_header header = {.chroma = {'C', "420jpeg", NULL}};
	uint32_t fourcc = 0;
	int r;

	header.chroma.end = header.chroma.value + strlen(header.chroma.value);
	recording->format = (struct recording_format){};
	for (const char *at = line + strlen(MAGIC); at < end;) {
		struct tag tag;
		const char *space;

		if (*at++ != ' ')
			goto damaged;
		if (at == end || *at == ' ')
			continue;
		space = memchr(at, ' ', (size_t)(end - at));
		tag = (struct tag){*at, at + 1, space ? space : end};
		if (!parse_tag(&tag, &recording->format, &header))
			goto damaged;
		at = tag.end;
	}
	r = find_chroma(recording, &header.chroma, &fourcc);
	if (r < 0)
		return r;
	return recording_set_geometry(recording, fourcc, header.width, header.height, 0);

damaged:
	return recording_fail(recording, -EINVAL, "damaged Y4M header");
}

static int y4m_probe(struct recording *recording, int fd)
{
	struct recording_input *input = &recording->input;
	const char *line;
	size_t size;
	int r = recording_input_line(input, fd, LINE_SIZE_MAX, &size);

	if (r == -EBADMSG)
		return recording_fail(recording, -EINVAL, "damaged Y4M header: it does not end");
	if (r != RECORDING_OK)
		return r;
	line = (const char *)recording_input_data(input);
	r = parse_header(recording, line, line + size);
	if (r < 0)
		return r;
	recording_input_take(input, size + 1);
	return RECORDING_OK;
}

/* The line before a frame, whose parameters only concern decoders. */
static int read_frame_line(struct recording *recording, int fd, struct recording_frame *frame)
{
	static const size_t magic_size = sizeof(FRAME_MAGIC) - 1;
	struct recording_input *input = &recording->input;
	const uint8_t *line;
	size_t size;
	int r = recording_input_line(input, fd, LINE_SIZE_MAX, &size);

	if (r == RECORDING_END && input->size > 0)
		return recording_truncated(recording, frame);
	if (r != RECORDING_OK && r != -EBADMSG)
		return r;
	line = recording_input_data(input);
	if (r == -EBADMSG || size < magic_size || memcmp(line, FRAME_MAGIC, magic_size) != 0 ||
		(line[magic_size] != ' ' && line[magic_size] != '\n')) {
		/* Without the frame's header nothing tells where the next one may be. */
		recording->progress.ended = true;
		return recording_corrupt(recording, frame, RECORDING_DAMAGE_GARBAGE);
	}
	recording_input_take(input, size + 1);
	return RECORDING_OK;
}

static int y4m_read(struct recording *recording, int fd, void *slot, size_t slot_size,
	struct recording_frame *frame)
{
	struct recording_y4m *y4m = &recording->progress.y4m;
	int r;

	if (!y4m->within) {
		r = read_frame_line(recording, fd, frame);
		if (r != RECORDING_OK)
			return r;
		y4m->within = true;
	}
	r = recording_fixed_read(recording, fd, slot, slot_size, frame);
	if (r == RECORDING_END)
		return recording_truncated(recording, frame);
	if (r == RECORDING_FRAME || r == RECORDING_CORRUPT)
		y4m->within = false;
	return r;
}

const struct recording_container recording_y4m_container = {
	.magic = MAGIC,
	.magic_size = sizeof(MAGIC) - 1,
	.probe = y4m_probe,
	.read = y4m_read,
};
