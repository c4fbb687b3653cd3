/* SPDX-License-Identifier: MIT */
#include "jpeg-scan.h"

#include <string.h>

/* T.81, table B.1 */
enum {
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
	MARKER_DRI = 0xdd,
	MARKER_APP0 = 0xe0,
	MARKER_APP15 = 0xef,
	MARKER_COM = 0xfe,
	MARKER_RESERVED_END = 0xc0, /* those below have no meaning, or one in arithmetic coding */
};

enum step {
	STEP_SOI_PREFIX,
	STEP_SOI,
	STEP_PREFIX, /* 0xff of a marker */
	STEP_MARKER, /* its code */
	STEP_LENGTH,
	STEP_HEADER, /* bytes of a segment that can only be understood together */
	STEP_SKIP,
	STEP_SYMBOLS, /* of a Huffman table */
	STEP_ENTROPY,
	STEP_ENTROPY_PREFIX, /* 0xff in entropy-coded data */
	STEP_COMPLETE,
	STEP_CORRUPT,
};

enum {
	BLOCK_SIZE = 8,           /* pixels, of width and height */
	MCU_BLOCKS_MAX = 10,      /* T.81, B.2.3 */
	COEFFICIENTS = 64,        /* in a block */
	HUFFMAN_HEADER_SIZE = 17, /* class and id, then 16 counts */
	DC_SIZE_MAX = 11,         /* bits of a difference of 8-bit samples: T.81, table F.1 */
	AC_SIZE_MAX = 10,         /* likewise of a coefficient: T.81, table F.2 */
	STANDARD_TABLES = 0x3,    /* 0 and 1: T.81, annex K.3 */
	APPROXIMATION_MAX = 13,   /* T.81, table B.3 */
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

/* T.81, B.2.4.2 and C.2: the codes must fit into the code space, in which the code of all ones is
 * not to be used. */
static void parse_huffman(struct jpeg_scan *scan)
{
	unsigned int class = scan->header[0] >> 4, id = scan->header[0] & 0xf;
	uint32_t symbols = 0, space = 0;

	for (unsigned int bits = 1; bits <= 16; bits++) {
		symbols += scan->header[bits];
		space += (uint32_t)scan->header[bits] << (16 - bits);
	}
	if (class > 1 || id > 3 || symbols == 0 || symbols > scan->segment_left ||
		space >= 1 << 16) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	scan->huffman_seen = true;
	scan->huffman_defined[class] |= (uint8_t)(1 << id);
	scan->huffman_class = (uint8_t) class;
	memset(scan->symbols, 0, sizeof(scan->symbols));
	scan->segment_left -= symbols;
	scan->skip = symbols;
	scan->step = STEP_SYMBOLS;
}

/* T.81, F.1.2: a symbol is a number of bits, for AC together with a run of zeros. None comes twice.
 */
static void parse_symbol(struct jpeg_scan *scan, uint8_t symbol)
{
	uint64_t *seen = &scan->symbols[symbol / 64], bit = UINT64_C(1) << symbol % 64;
	bool ac = scan->huffman_class == 1;

	if (*seen & bit || (ac ? (symbol & 0xf) > AC_SIZE_MAX : symbol > DC_SIZE_MAX)) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	*seen |= bit;
	if (--scan->skip == 0)
		segment_continue(scan);
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

/* Is the Huffman table there? */
static bool has_huffman(const struct jpeg_scan *scan, unsigned int table_class, unsigned int id)
{
	uint8_t defined = scan->huffman_defined[table_class];

	/* Motion JPEG leaves out tables that are the standard ones. */
	if (!scan->huffman_seen && !scan->image.progressive)
		defined = STANDARD_TABLES;
	return id <= 3 && defined & 1 << id;
}

/* The end of a scan's header, T.81 B.2.3. */
struct scan_range {
	uint8_t first, last; /* coefficients */
	uint8_t high, low;   /* bits: those below `high` down to `low` come now */
};

/* A component of a sequential image comes once, whole. Some encoders write zeros for all of the
 * range. */
static enum jpeg_fault add_sequential(
	struct jpeg_scan *scan, uint32_t c, const struct scan_range *range)
{
	if (range->first != 0 || range->high != 0 || range->low != 0 ||
		(range->last != COEFFICIENTS - 1 && range->last != 0) ||
		scan->components_done & 1 << c)
		return JPEG_FAULT_SCAN;
	scan->components_done |= (uint8_t)(1 << c);
	return JPEG_FAULT_NONE;
}

/* A component of a progressive image comes in parts, T.81 G.1.1.1: DC first; the first bits of a
 * coefficient once, then each bit below them in turn. */
static enum jpeg_fault add_progressive(
	struct jpeg_scan *scan, uint32_t c, const struct scan_range *range)
{
	uint8_t *progress = scan->progress[c];

	if (range->last >= COEFFICIENTS || range->first > range->last ||
		(range->first == 0 && range->last != 0) || range->low > APPROXIMATION_MAX ||
		(range->high != 0 && range->high != range->low + 1) ||
		(range->first > 0 && progress[0] == 0))
		return JPEG_FAULT_SCAN;
	for (uint32_t i = range->first; i <= range->last; i++) {
		if (progress[i] != (range->high == 0 ? 0 : range->high + 1))
			return JPEG_FAULT_SCAN;
		progress[i] = range->low + 1;
	}
	return JPEG_FAULT_NONE;
}

/* Are the tables there that a component needs in this scan? Encoders make tables for each scan of a
 * progressive image; one that is missing would go unnoticed if those of an earlier scan were taken
 * for it. So each serves for one scan. */
static bool has_tables(const struct jpeg_scan *scan, const struct jpeg_component *component,
	uint8_t ids, const struct scan_range *range, uint8_t used[2])
{
	bool progressive = scan->image.progressive;
	unsigned int dc = ids >> 4, ac = ids & 0xf;

	if (!(scan->tables_defined & 1 << component->table))
		return false;
	if (range->first == 0 && range->high == 0) {
		if (!has_huffman(scan, 0, dc))
			return false;
		used[0] |= (uint8_t)(1 << dc);
	}
	if (!progressive || range->first > 0) {
		if (!has_huffman(scan, 1, ac))
			return false;
		used[1] |= (uint8_t)(1 << ac);
	}
	return true;
}

/* T.81, B.2.3 */
static void parse_scan(struct jpeg_scan *scan)
{
	const uint8_t *header = scan->header;
	const struct jpeg_image *image = &scan->image;
	const struct jpeg_component *component = NULL;
	uint32_t count = header[0], blocks = 0;
	uint8_t used[2] = {0, 0};
	struct scan_range range;

	if (count == 0 || count > 4 || scan->header_size != 4 + 2 * count) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	header += 1 + 2 * count;
	range = (struct scan_range){header[0], header[1], header[2] >> 4, header[2] & 0xf};
	for (uint32_t i = 0; i < count; i++) {
		uint32_t c = 0;
		enum jpeg_fault fault;

		header = scan->header + 1 + 2 * i;
		while (c < image->component_count && image->components[c].id != header[0])
			c++;
		if (c == image->component_count) {
			fail(scan, JPEG_FAULT_SEGMENT);
			return;
		}
		component = &image->components[c];
		if (!has_tables(scan, component, header[1], &range, used)) {
			fail(scan, JPEG_FAULT_TABLE);
			return;
		}
		fault = image->progressive ? add_progressive(scan, c, &range)
					   : add_sequential(scan, c, &range);
		if (fault != JPEG_FAULT_NONE) {
			fail(scan, fault);
			return;
		}
		blocks += (uint32_t)component->horizontal * component->vertical;
	}
	if (count > 1 && (blocks > MCU_BLOCKS_MAX || range.first > 0)) {
		fail(scan, JPEG_FAULT_SEGMENT);
		return;
	}
	for (unsigned int i = 0; image->progressive && i < 2; i++)
		scan->huffman_defined[i] &= (uint8_t)~used[i];

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

static bool is_complete(const struct jpeg_scan *scan)
{
	uint8_t count = scan->image.component_count;

	if (!scan->image.progressive)
		return scan->components_done == (1 << count) - 1;
	for (uint8_t c = 0; c < count; c++)
		for (uint8_t i = 0; i < COEFFICIENTS; i++)
			if (scan->progress[c][i] != 1)
				return false;
	return true;
}

static void parse_eoi(struct jpeg_scan *scan)
{
	if (scan->image.component_count == 0 || !is_complete(scan))
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

/* What is wrong with a scan that ends here, by this marker. After the last one there is nothing but
 * the end, T.81 B.2.1. */
static enum jpeg_fault scan_fault(const struct jpeg_scan *scan, uint8_t marker)
{
	bool surplus = scan->restart_count > scan->restart_expected;

	if (scan->restart_count < scan->restart_expected || (surplus && scan->scan_data))
		return JPEG_FAULT_RESTART;
	if (!surplus && !scan->scan_data)
		return JPEG_FAULT_INCOMPLETE;
	return marker != MARKER_EOI && is_complete(scan) ? JPEG_FAULT_MARKER : JPEG_FAULT_NONE;
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
	fault = marker == MARKER_SOI ? JPEG_FAULT_NONE : scan_fault(scan, marker);
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
	case STEP_SYMBOLS:
		parse_symbol(scan, byte);
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
		return "a missing quantisation or Huffman table";
	case JPEG_FAULT_SCAN:
		return "a scan that does not belong there";
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
