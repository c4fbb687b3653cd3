/* SPDX-License-Identifier: MIT */
/*
 * Feeds the demuxers and the JPEG scanner with whatever comes, and checks that
 *  - nothing is read or written out of bounds (the slot ends where its heap block ends);
 *  - a file, a pipe in pieces, and the file once more after rewinding give the same;
 *  - what is said to be a good JPEG image is one, wherever its bytes were split.
 *
 * The first byte of the input chooses how it is read, the rest is the recording.
 *
 *   clang -fsanitize=fuzzer,address,undefined ...; ./fuzz-recording CORPUS
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/videodev2.h>

#include "format.h"
#include "jpeg-scan.h"
#include "recording.h"

enum {
	SLOT_SIZE_MAX = 128 * 1024,
	RAW_BIT = 1 << 7,
	SMALL_SLOT_BIT = 1 << 6,
	PIECE_MASK = 0x3f,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a recording gave, from the first byte to its end. */
struct digest {
	int probe_result, last_result;
	struct recording_format format;
	uint64_t hash;
	uint64_t frames, corrupt;
};

struct input {
	const uint8_t *data;
	size_t size, written, piece;
	int fd, pipe; /* pipe is -1: a file */
};

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void input_init(struct input *input, const uint8_t *data, size_t size, size_t piece)
{
	*input = (struct input){.data = data, .size = size, .piece = piece, .pipe = -1};
	if (piece == 0) {
		input->fd = memfd_create("recording", MFD_CLOEXEC);
		check(input->fd >= 0);
		check(write(input->fd, data, size) == (ssize_t)size);
		check(lseek(input->fd, 0, SEEK_SET) == 0);
	} else {
		int fds[2];

		check(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
		input->fd = fds[0];
		input->pipe = fds[1];
	}
}

static void input_more(struct input *input)
{
	size_t size = input->size - input->written;

	if (input->pipe < 0)
		return;
	if (size == 0) {
		close(input->pipe);
		input->pipe = -1;
		return;
	}
	if (size > input->piece)
		size = input->piece;
	check(write(input->pipe, input->data + input->written, size) == (ssize_t)size);
	input->written += size;
}

static void input_finish(struct input *input)
{
	close(input->fd);
	if (input->pipe >= 0)
		close(input->pipe);
}

static void digest_add(struct digest *digest, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		digest->hash = (digest->hash ^ bytes[i]) * 1099511628211u;
}

static void check_frame(const struct recording_format *format, const void *slot,
	const struct recording_frame *frame)
{
	struct jpeg_image image;

	check(frame->bytesused > 0 && frame->bytesused <= format->frame_size_max);
	if (format->fourcc != V4L2_PIX_FMT_MJPEG) {
		check(frame->bytesused == format->frame_size_max);
		return;
	}
	check(jpeg_check(slot, frame->bytesused, format->width, format->height, &image) ==
		JPEG_CHECK_GOOD);
	check(image.length == frame->bytesused);
}

static void read_frames(struct recording *recording, struct input *input, uint8_t *slot,
	size_t slot_size, struct digest *digest)
{
	uint64_t next_index = 0;

	digest->hash = 0;
	digest->frames = digest->corrupt = 0;
	for (;;) {
		struct recording_frame frame;
		int r = recording_read(recording, input->fd, slot, slot_size, &frame);

		if (r == RECORDING_TRY_AGAIN) {
			input_more(input);
			continue;
		}
		digest->last_result = r;
		if (r != RECORDING_FRAME && r != RECORDING_CORRUPT)
			break;
		check(frame.index >= next_index);
		next_index = frame.index;
		if (r == RECORDING_FRAME) {
			check_frame(&digest->format, slot, &frame);
			digest_add(digest, slot, frame.bytesused);
			digest->frames++;
		} else {
			check(frame.bytesused == 0 && frame.damage != RECORDING_DAMAGE_NONE);
			digest->corrupt++;
		}
		digest_add(digest, &frame.index, sizeof(frame.index));
		digest_add(digest, &frame.media_time_ns, sizeof(frame.media_time_ns));
		digest_add(digest, &frame.damage, sizeof(frame.damage));
		digest_add(digest, &frame.jpeg_fault, sizeof(frame.jpeg_fault));
	}
	check(digest->last_result == RECORDING_END);
}

static void read_all(const uint8_t *data, size_t size, const struct recording_raw *raw,
	size_t piece, size_t slot_size, struct digest *ret_digest)
{
	struct recording *recording;
	struct digest digest, again;
	struct input input;
	uint8_t *slot;
	int r;

	memset(&digest, 0, sizeof(digest));
	input_init(&input, data, size, piece);
	check(recording_create(raw, &recording) == 0);
	while ((r = recording_probe(recording, input.fd, &digest.format)) == RECORDING_TRY_AGAIN)
		input_more(&input);
	digest.probe_result = r;
	if (r < 0) {
		check(strlen(recording_error(recording)) > 0);
		goto destroy;
	}
	if (digest.format.frame_size_max < slot_size)
		slot_size = digest.format.frame_size_max;
	slot = malloc(slot_size);
	check(slot);
	read_frames(recording, &input, slot, slot_size, &digest);
	if (piece == 0 && digest.frames > 0) {
		again = digest;
		check(recording_rewind(recording, input.fd) == 0);
		read_frames(recording, &input, slot, slot_size, &again);
		check(memcmp(&digest, &again, sizeof(digest)) == 0);
	}
	free(slot);

destroy:
	recording_destroy(recording);
	input_finish(&input);
	*ret_digest = digest;
}

static void scan_pieces(const uint8_t *data, size_t size, size_t piece)
{
	struct jpeg_scan whole, scan;
	size_t consumed, consumed_sum = 0, part;
	enum jpeg_scan_result whole_result, result = JPEG_SCAN_NEED_MORE;

	jpeg_scan_init(&whole);
	whole_result = jpeg_scan_feed(&whole, data, size, &consumed);
	check(consumed <= size);

	jpeg_scan_init(&scan);
	while (consumed_sum < size && result == JPEG_SCAN_NEED_MORE) {
		size_t left = size - consumed_sum;
		uint8_t *copy;

		/* a block of its own, so that the sanitizer sees its end */
		if (left > piece)
			left = piece;
		copy = malloc(left);
		check(copy);
		memcpy(copy, data + consumed_sum, left);
		result = jpeg_scan_feed(&scan, copy, left, &part);
		free(copy);
		check(part <= left && (result != JPEG_SCAN_NEED_MORE || part == left));
		consumed_sum += part;
	}
	check(result == whole_result && consumed_sum == consumed);
	check(scan.image.length == consumed && whole.image.length == consumed);
	check(scan.image.fault == whole.image.fault);
	check((result == JPEG_SCAN_CORRUPT) == (scan.image.fault != JPEG_FAULT_NONE));
	check(scan.image.width == whole.image.width && scan.image.height == whole.image.height);
}

/* Raw: the first bytes of the data become a description. */
static bool describe_raw(const uint8_t **data, size_t *size, struct recording_raw *ret_raw)
{
	char text[64], error[200];
	size_t length = 0;

	while (length < sizeof(text) - 1 && length < *size && (*data)[length] != '\n') {
		text[length] = (char)(*data)[length];
		length++;
	}
	text[length] = '\0';
	*data += length;
	*size -= length;
	return recording_raw_parse(text, ret_raw, error, sizeof(error)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest from_file, from_pipe;
	struct recording_raw raw, *described = NULL;
	size_t piece, slot_size;
	uint8_t options;

	if (size == 0)
		return 0;
	options = *data++;
	size--;
	piece = 1 + (size_t)(options & PIECE_MASK) * (options & PIECE_MASK);
	slot_size = options & SMALL_SLOT_BIT ? 100 : SLOT_SIZE_MAX;
	if (options & RAW_BIT) {
		if (!describe_raw(&data, &size, &raw))
			return 0;
		described = &raw;
	}
	scan_pieces(data, size, piece);
	read_all(data, size, described, 0, slot_size, &from_file);
	read_all(data, size, described, piece, slot_size, &from_pipe);
	check(memcmp(&from_file, &from_pipe, sizeof(from_file)) == 0);
	return 0;
}
