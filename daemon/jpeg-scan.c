/* SPDX-License-Identifier: MIT */
#include "jpeg-scan.h"

#include <string.h>

/* T.81, table B.1 */
enum {
	MARKER_TEM = 0x01,
	MARKER_SOF0 = 0xc0, /* baseline */
	MARKER_SOF1 = 0xc1, /* extended sequential */
	MARKER_SOF2 = 0xc2, /* progressive */
	MARKER_DHT = 0xc4,
	MARKER_RST0 = 0xd0,
	MARKER_RST7 = 0xd7,
	MARKER_SOI = 0xd8,
	MARKER_EOI = 0xd9,
	MARKER_SOS = 0xda,
	MARKER_DQT = 0xdb,
	MARKER_DNL = 0xdc,
	MARKER_DRI = 0xdd,
	MARKER_APP0 = 0xe0,
	MARKER_APP15 = 0xef,
	MARKER_COM = 0xfe,
	MARKER_RESERVED_END = 0xc0, /* those below have no meaning, but for TEM */
};

enum step {
	STEP_SOI_PREFIX,
	STEP_SOI,
	STEP_PREFIX, /* 0xff of a marker */
	STEP_MARKER, /* its code */
	STEP_LENGTH,
	STEP_HEADER, /* bytes of a segment that can only be understood together */
	STEP_SKIP,
	STEP_ENTROPY,
	STEP_ENTROPY_PREFIX, /* 0xff in entropy-coded data */
	STEP_COMPLETE,
	STEP_CORRUPT,
};

enum {
	BLOCK_SIZE = 8,           /* pixels, of width and height */
	MCU_BLOCKS_MAX = 10,      /* T.81, B.2.3 */
	HUFFMAN_HEADER_SIZE = 17, /* class and id, then 16 counts */
};

void jpeg_scan_init(struct jpeg_scan *scan)
{
	*scan = (struct jpeg_scan){.step = STEP_SOI_PREFIX};
}

static void fail(struct jpeg_scan *scan, enum jpeg_fault fault)
{
	scan->image.fault = fault;
	scan->step = STEP_CORRUPT;
}

static uint32_t get_u16(const uint8_t *data)
{
	return (uint32_t)data[0] << 8 | data[1];
}

static uint64_t divide_up(uint64_t value, uint64_t divisor)
{
	return (value + divisor - 1) / divisor;
}

static void collect(struct jpeg_scan *scan, enum step step, uint32_t size)
{
	scan->header_size = 0;
	scan->header_need = (uint8_t)size;
	scan->step = step;
}

/* Goes on in a segment, after its length or after one of its tables. */
static void segment_continue(struct jpeg_scan *scan)
{
	uint32_t need;

	if (scan->segment_left == 0) {
		scan->step = STEP_PREFIX;
		return;
	}
	switch (scan->marker) {
	case MARKER_SOF0:
	case MARKER_SOF1:
	case MARKER_SOF2:
	case MARKER_SOS:
	case MARKER_DRI:
		need = scan->segment_left;
		break;
	case MARKER_DHT:
		need = HUFFMAN_HEADER_SIZE;
		break;
	case MARKER_DQT:
		need = 1;
		break;
	default:
		scan->skip = scan->segment_left;
		scan->segment_left = 0;
		scan->step = STEP_SKIP;
		return;
	}
	if (need > sizeof(scan->header) || need > scan->segment_left) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	scan->segment_left -= need;
	collect(scan, STEP_HEADER, need);
}

/* Skips the content of a table whose header was read. */
static void table_skip(struct jpeg_scan *scan, uint32_t size)
{
	if (size > scan->segment_left) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	scan->segment_left -= size;
	scan->skip = size;
	scan->step = STEP_SKIP;
}

/* T.81, B.2.4.1 */
static void parse_quantisation(struct jpeg_scan *scan)
{
	unsigned int precision = scan->header[0] >> 4, id = scan->header[0] & 0xf;

	if (precision > 1 || id > 3) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	scan->tables_defined |= (uint8_t)(1 << id);
	table_skip(scan, 64 * (precision + 1));
}

/* T.81, B.2.4.2 and C.2: the codes must fit into the code space, and bytes name the symbols. */
static void parse_huffman(struct jpeg_scan *scan)
{
	unsigned int class = scan->header[0] >> 4, id = scan->header[0] & 0xf;
	uint32_t symbols = 0, space = 0;

	for (unsigned int bits = 1; bits <= 16; bits++) {
		symbols += scan->header[bits];
		space += (uint32_t)scan->header[bits] << (16 - bits);
	}
	if (class > 1 || id > 3 || symbols > 256 || space > 1 << 16) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	table_skip(scan, symbols);
}

/* T.81, B.2.2 */
static void parse_frame(struct jpeg_scan *scan)
{
	const uint8_t *header = scan->header;
	struct jpeg_image *image = &scan->image;
	uint32_t height, width, count;

	if (scan->header_size < 6) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	height = get_u16(header + 1);
	width = get_u16(header + 3);
	count = header[5];
	if (header[0] != 8 || height == 0) {
		fail(scan, JPEG_FAULT_UNSUPPORTED);
		return;
	}
	if (width == 0 || count == 0 || count > 4 || scan->header_size != 6 + 3 * count) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *data = header + 6 + 3 * i;
		struct jpeg_component component = {.id = data[0],
			.horizontal = data[1] >> 4,
			.vertical = data[1] & 0xf,
			.table = data[2]};

		if (component.horizontal < 1 || component.horizontal > 4 ||
			component.vertical < 1 || component.vertical > 4 || component.table > 3) {
			fail(scan, JPEG_FAULT_SEGMENT);
			return;
		}
		image->components[i] = component;
	}
	image->width = width;
	image->height = height;
	image->component_count = (uint8_t)count;
	image->progressive = scan->marker == MARKER_SOF2;
	scan->step = STEP_PREFIX;
}

/* T.81, A.2: one component alone has an MCU per block, several have one per largest rectangle. */
static uint64_t mcu_count(const struct jpeg_image *image, const struct jpeg_component *alone)
{
	uint32_t horizontal = 1, vertical = 1;
	uint64_t width = image->width, height = image->height;

	for (uint32_t i = 0; i < image->component_count; i++) {
		if (image->components[i].horizontal > horizontal)
			horizontal = image->components[i].horizontal;
		if (image->components[i].vertical > vertical)
			vertical = image->components[i].vertical;
	}
	if (alone) {
		width = divide_up(width * alone->horizontal, horizontal);
		height = divide_up(height * alone->vertical, vertical);
		horizontal = vertical = 1;
	}
	return divide_up(width, BLOCK_SIZE * horizontal) * divide_up(height, BLOCK_SIZE * vertical);
}

/* T.81, B.2.3 */
static void parse_scan(struct jpeg_scan *scan)
{
	const uint8_t *header = scan->header;
	const struct jpeg_image *image = &scan->image;
	const struct jpeg_component *component = NULL;
	uint32_t count = header[0], blocks = 0;
	uint8_t done = 0;

	if (count == 0 || count > 4 || scan->header_size != 4 + 2 * count) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t c = 0;

		while (c < image->component_count && image->components[c].id != header[1 + 2 * i])
			c++;
		if (c == image->component_count) {
			fail(scan, JPEG_FAULT_SEGMENT);
			return;
		}
		component = &image->components[c];
		if (!(scan->tables_defined & 1 << component->table)) {
			fail(scan, JPEG_FAULT_TABLE);
			return;
		}
		done |= (uint8_t)(1 << c);
		blocks += (uint32_t)component->horizontal * component->vertical;
	}
	if (count > 1 && blocks > MCU_BLOCKS_MAX) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}

	/* In a progressive image only the scans that begin with coefficient 0 are indispensable. */
	if (!image->progressive || header[1 + 2 * count] == 0)
		scan->components_done |= done;

	scan->restart_count = 0;
	scan->restart_expected = 0;
	if (scan->restart_interval > 0)
		scan->restart_expected = (mcu_count(image, count == 1 ? component : NULL) - 1) /
					 scan->restart_interval;
	scan->scan_data = false;
	scan->step = STEP_ENTROPY;
}

/* T.81, B.2.4.4 */
static void parse_restart_interval(struct jpeg_scan *scan)
{
	if (scan->header_size != 2) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	scan->restart_interval = get_u16(scan->header);
	scan->step = STEP_PREFIX;
}

static void parse_length(struct jpeg_scan *scan)
{
	uint32_t length = get_u16(scan->header);
	bool may_be_empty = scan->marker >= MARKER_APP0;

	if (length < 2 || (length == 2 && !may_be_empty)) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	scan->segment_left = length - 2;
	segment_continue(scan);
}

static void parse_header(struct jpeg_scan *scan)
{
	switch (scan->marker) {
	case MARKER_DHT:
		parse_huffman(scan);
		break;
	case MARKER_DQT:
		parse_quantisation(scan);
		break;
	case MARKER_DRI:
		parse_restart_interval(scan);
		break;
	case MARKER_SOS:
		parse_scan(scan);
		break;
	default:
		parse_frame(scan);
		break;
	}
}

static void parse_eoi(struct jpeg_scan *scan)
{
	uint8_t all = (uint8_t)((1 << scan->image.component_count) - 1);

	if (all == 0 || scan->components_done != all)
		fail(scan, JPEG_FAULT_INCOMPLETE);
	else
		scan->step = STEP_COMPLETE;
}

/* The code of a marker outside of entropy-coded data. */
static void parse_marker(struct jpeg_scan *scan, uint8_t marker)
{
	bool frame_seen = scan->image.component_count > 0;

	scan->marker = marker;
	switch (marker) {
	case 0xff: /* fill byte, T.81 B.1.1.2 */
		return;
	case MARKER_TEM:
		scan->step = STEP_PREFIX;
		return;
	case MARKER_SOI:
		fail(scan, JPEG_FAULT_NEXT_IMAGE);
		return;
	case MARKER_EOI:
		parse_eoi(scan);
		return;
	case MARKER_SOF0:
	case MARKER_SOF1:
	case MARKER_SOF2:
		if (frame_seen)
			fail(scan, JPEG_FAULT_MARKER);
		else
			collect(scan, STEP_LENGTH, 2);
		return;
	case MARKER_SOS:
	case MARKER_DNL:
		if (!frame_seen)
			fail(scan, JPEG_FAULT_MARKER);
		else
			collect(scan, STEP_LENGTH, 2);
		return;
	case MARKER_DHT:
	case MARKER_DQT:
	case MARKER_DRI:
	case MARKER_APP0 ... MARKER_APP15:
	case MARKER_COM:
		collect(scan, STEP_LENGTH, 2);
		return;
	}
	if (marker < MARKER_RESERVED_END || (marker >= MARKER_RST0 && marker <= MARKER_RST7))
		fail(scan, JPEG_FAULT_MARKER);
	else
		fail(scan, JPEG_FAULT_UNSUPPORTED);
}

/*
 * A restart marker must follow every interval but the last, numbered 0 to 7 in turn: a wrong one
 * tells of lost data. One after the last interval is tolerated, since some encoders write it.
 */
static void parse_restart(struct jpeg_scan *scan, uint8_t marker)
{
	if (scan->restart_interval == 0 || scan->restart_count > scan->restart_expected ||
		!scan->scan_data || (scan->restart_count & 7) != (marker & 7u)) {
		fail(scan, JPEG_FAULT_RESTART);
		return;
	}
	scan->restart_count++;
	scan->scan_data = false;
	scan->step = STEP_ENTROPY;
}

/* What a scan that ends here lacks. */
static enum jpeg_fault scan_fault(const struct jpeg_scan *scan)
{
	bool surplus = scan->restart_count > scan->restart_expected;

	if (scan->restart_count < scan->restart_expected || (surplus && scan->scan_data))
		return JPEG_FAULT_RESTART;
	if (!surplus && !scan->scan_data)
		return JPEG_FAULT_INCOMPLETE;
	return JPEG_FAULT_NONE;
}

/* The byte after 0xff in entropy-coded data. */
static void parse_entropy_marker(struct jpeg_scan *scan, uint8_t marker)
{
	enum jpeg_fault fault;

	if (marker == 0) { /* a stuffed byte: 0xff is data */
		scan->scan_data = true;
		scan->step = STEP_ENTROPY;
		return;
	}
	if (marker == 0xff) /* fill byte */
		return;
	if (marker >= MARKER_RST0 && marker <= MARKER_RST7) {
		parse_restart(scan, marker);
		return;
	}
	/* That the next image begins here says more than what this one lacks. */
	fault = marker == MARKER_SOI ? JPEG_FAULT_NONE : scan_fault(scan);
	if (fault != JPEG_FAULT_NONE)
		fail(scan, fault);
	else
		parse_marker(scan, marker);
}

/* Takes bytes that need not be looked at one by one; returns how many. */
static size_t pass_over(struct jpeg_scan *scan, const uint8_t *data, size_t size)
{
	const uint8_t *prefix;

	if (scan->step == STEP_SKIP) {
		if (size > scan->skip)
			size = scan->skip;
		scan->skip -= (uint32_t)size;
		if (scan->skip == 0)
			segment_continue(scan);
		return size;
	}

	prefix = memchr(data, 0xff, size);
	if (prefix)
		size = (size_t)(prefix - data);
	if (size > 0)
		scan->scan_data = true;
	if (!prefix)
		return size;
	scan->step = STEP_ENTROPY_PREFIX;
	return size + 1;
}

static void take_byte(struct jpeg_scan *scan, uint8_t byte)
{
	switch ((enum step)scan->step) {
	case STEP_SOI_PREFIX:
		scan->step = STEP_SOI;
		if (byte != 0xff)
			fail(scan, JPEG_FAULT_NO_IMAGE);
		break;
	case STEP_SOI:
		scan->step = STEP_PREFIX;
		if (byte != MARKER_SOI)
			fail(scan, JPEG_FAULT_NO_IMAGE);
		break;
	case STEP_PREFIX:
		scan->step = STEP_MARKER;
		if (byte != 0xff)
			fail(scan, JPEG_FAULT_MARKER);
		break;
	case STEP_MARKER:
		parse_marker(scan, byte);
		break;
	case STEP_LENGTH:
	case STEP_HEADER:
		scan->header[scan->header_size++] = byte;
		if (scan->header_size < scan->header_need)
			break;
		if (scan->step == STEP_LENGTH)
			parse_length(scan);
		else
			parse_header(scan);
		break;
	case STEP_ENTROPY_PREFIX:
		parse_entropy_marker(scan, byte);
		break;
	case STEP_SKIP:
	case STEP_ENTROPY:
	case STEP_COMPLETE:
	case STEP_CORRUPT:
		break; /* not byte by byte */
	}
}

enum jpeg_scan_result jpeg_scan_feed(
	struct jpeg_scan *scan, const void *data, size_t size, size_t *ret_consumed)
{
	const uint8_t *bytes = data;
	size_t i = 0;

	while (i < size && scan->step != STEP_COMPLETE && scan->step != STEP_CORRUPT) {
		if (scan->step == STEP_SKIP || scan->step == STEP_ENTROPY)
			i += pass_over(scan, bytes + i, size - i);
		else
			take_byte(scan, bytes[i++]);
	}
	scan->image.length += i;
	*ret_consumed = i;
	if (scan->step == STEP_COMPLETE)
		return JPEG_SCAN_COMPLETE;
	return scan->step == STEP_CORRUPT ? JPEG_SCAN_CORRUPT : JPEG_SCAN_NEED_MORE;
}

enum jpeg_check_result jpeg_check(const void *data, size_t size, uint32_t width, uint32_t height,
	struct jpeg_image *ret_image)
{
	struct jpeg_scan scan;
	enum jpeg_scan_result result;
	size_t consumed;

	jpeg_scan_init(&scan);
	result = jpeg_scan_feed(&scan, data, size, &consumed);
	*ret_image = scan.image;
	if (result == JPEG_SCAN_NEED_MORE)
		return JPEG_CHECK_TRUNCATED;
	if (result == JPEG_SCAN_CORRUPT)
		return JPEG_CHECK_CORRUPT;
	if ((width != 0 && scan.image.width != width) ||
		(height != 0 && scan.image.height != height))
		return JPEG_CHECK_WRONG_SIZE;
	return JPEG_CHECK_GOOD;
}

const char *jpeg_fault_to_string(enum jpeg_fault fault)
{
	switch (fault) {
	case JPEG_FAULT_NONE:
		return "no fault";
	case JPEG_FAULT_NO_IMAGE:
		return "not a JPEG image";
	case JPEG_FAULT_NEXT_IMAGE:
		return "the next image begins before the end of this one";
	case JPEG_FAULT_MARKER:
		return "a wrong marker";
	case JPEG_FAULT_SEGMENT:
		return "a malformed header";
	case JPEG_FAULT_TABLE:
		return "a missing quantisation table";
	case JPEG_FAULT_RESTART:
		return "a wrong number or order of restart markers";
	case JPEG_FAULT_INCOMPLETE:
		return "missing image data";
	case JPEG_FAULT_UNSUPPORTED:
		return "an unusual kind of JPEG";
	}
	return "unknown fault";
}

const char *jpeg_check_result_to_string(enum jpeg_check_result result)
{
	switch (result) {
	case JPEG_CHECK_GOOD:
		return "good";
	case JPEG_CHECK_TRUNCATED:
		return "truncated";
	case JPEG_CHECK_CORRUPT:
		return "corrupt";
	case JPEG_CHECK_WRONG_SIZE:
		return "wrong size";
	}
	return "unknown";
}
