/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_PROTO_POOL_LAYOUT_H
#define CAMTAP_PROTO_POOL_LAYOUT_H

/*
 * The pool as it lies in shared memory: one sealed memfd of
 *
 *   struct pool_header | recent[recent_count] | descriptors | (page boundary) slots
 *
 * With POOL_FLAG_DMABUF it ends after the descriptors: the slots lie in memory of the camera's
 * driver, one dma-buf per slot and memory plane, and come by messages of their own (struct
 * wire_buffer).
 *
 * Fixed-width fields only, native byte order. Every place is found through the header's offsets and
 * strides, never through sizeof: a newer daemon's structures may be longer than the reader's.
 *
 * One publication is one frame put into a slot. Publications of a pool are numbered from 1 without
 * a gap; the number is the frame's position. Position n is found at recent[(n - 1) % recent_count].
 *
 * Who writes: the daemon alone (the seals see to that). Readers treat the header as untrusted until
 * pool_view_init() has checked it, and copy from it only once.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_MAGIC              "camtap\r\n" /* 8 bytes, no terminator */
#define POOL_VERSION            1
#define POOL_SLOTS_MIN          3  /* one being written, one published, one to go on with */
#define POOL_SLOTS_MAX          64 /* a set of slots fits into 64 bits */
#define POOL_RECENT_COUNT       64
#define POOL_PLANES_MAX         4
#define POOL_GENERATION_INVALID UINT64_C(0) /* no frame in this slot, or it is being written */

/* The format of every frame of this pool. Values and names are V4L2's (struct v4l2_pix_format). */
struct pool_format {
	uint32_t fourcc;
	uint32_t width, height; /* pixels */
	uint32_t field;         /* enum v4l2_field; a frame's own is in its descriptor */
	uint32_t colorspace, ycbcr_enc, quantization, xfer_func;
	uint32_t rate_numerator, rate_denominator; /* frames per second; 0/0: unknown or unpaced */
	uint32_t frame_size;                       /* most bytes that a frame can have */
	uint32_t plane_count;
	struct {
		uint32_t offset; /* bytes from the start of the slot, or of its memory plane */
		uint32_t stride; /* bytes per line, 0 for compressed formats */
	} planes[POOL_PLANES_MAX];
	/* What V4L2 does not tell and recordings do. */
	uint32_t chroma_siting;                                    /* enum pool_chroma_siting */
	uint32_t pixel_aspect_numerator, pixel_aspect_denominator; /* 0/0: unknown */
	uint32_t reserved;
};

/* Where 4:2:0 chroma samples lie, by Y4M's names. */
enum pool_chroma_siting {
	POOL_CHROMA_UNKNOWN = 0,
	POOL_CHROMA_JPEG = 1,  /* C420jpeg */
	POOL_CHROMA_MPEG2 = 2, /* C420mpeg2 */
	POOL_CHROMA_PALDV = 3, /* C420paldv */
};

/* What happened in this epoch, by culprit. Written with relaxed stores; read whenever one likes. */
struct pool_counters {
	_Atomic uint64_t published;
	_Atomic uint64_t dropped_driver; /* gaps in the driver's sequence */
	_Atomic uint64_t corrupt;        /* frames the source got damaged or short; not published */
	_Atomic uint64_t pool_empty;     /* times that the source found no slot to go on with */
	_Atomic uint64_t client_slow;    /* announcements that some client had no room for */
	_Atomic uint64_t revoked;        /* leases taken back so that capture could go on */
	_Atomic uint64_t reserved[2];
};

enum pool_flag {
	POOL_FLAG_DMABUF =
		1 << 0, /* no slots in the pool: slot_stride is 0, slot_offset pool_size */
};

struct pool_header {
	char magic[8];
	uint32_t version;
	uint32_t header_size; /* bytes, from the start to the end of this structure */
	uint64_t pool_size;   /* bytes, the memfd's size */
	uint64_t epoch;       /* random; never 0 */
	uint32_t slot_count;
	uint32_t recent_count; /* at least slot_count */
	uint32_t recent_offset;
	uint32_t descriptor_offset;
	uint32_t descriptor_stride;
	uint32_t flags; /* enum pool_flag; those not known are ignored */
	uint64_t slot_offset;
	uint64_t slot_stride;
	struct pool_format format;

	/* The position of the newest publication, 0 before the first. Stored (release) after the
	 * guards, the descriptor and recent[]. On a cache line of its own. */
	_Alignas(64) _Atomic uint64_t newest;
	_Atomic int64_t
		realtime_offset; /* ns; CLOCK_REALTIME minus CLOCK_MONOTONIC, kept current */

	_Alignas(64) struct pool_counters counters;
};

_Static_assert(sizeof(struct pool_format) == 96, "layout is protocol");
_Static_assert(sizeof(struct pool_counters) == 64, "layout is protocol");
_Static_assert(offsetof(struct pool_header, slot_offset) == 56, "layout is protocol");
_Static_assert(offsetof(struct pool_header, format) == 72, "layout is protocol");
_Static_assert(offsetof(struct pool_header, newest) == 192, "layout is protocol");
_Static_assert(offsetof(struct pool_header, counters) == 256, "layout is protocol");
_Static_assert(sizeof(struct pool_header) == 320, "layout is protocol");

/* An entry of recent[]: generation << POOL_RECENT_SLOT_BITS | slot, in one atomic 64-bit word, so
 * that the two always belong together. 0: no entry yet. */
typedef _Atomic uint64_t pool_recent;
#define POOL_RECENT_SLOT_BITS 16

static inline uint64_t pool_recent_value(uint64_t generation, uint32_t slot)
{
	return generation << POOL_RECENT_SLOT_BITS | slot;
}

/* Which clock a capture time is of. */
enum pool_clock {
	POOL_CLOCK_UNKNOWN = 0,
	POOL_CLOCK_MONOTONIC = 1,
	POOL_CLOCK_COPY = 2, /* V4L2_BUF_FLAG_TIMESTAMP_COPY: whatever the application queued */
};

/* Frame flags. */
enum pool_frame_flag {
	POOL_FRAME_TIMESTAMP_SOE =
		1 << 0, /* capture time is the start of exposure, else end of frame */
	POOL_FRAME_DISCONTINUITY =
		1 << 1,               /* frames may have been lost by the source before this one */
	POOL_FRAME_KEYFRAME = 1 << 2, /* V4L2_BUF_FLAG_KEYFRAME */
	POOL_FRAME_BAD = 1 << 3,      /* damaged; published only if the administrator wants that */
};

/* What is known of the frame in a slot, apart from the pixels. */
struct pool_frame {
	uint64_t position;       /* publication number in this pool, from 1 */
	uint64_t frame_id;       /* counts up within an epoch of the camera */
	int64_t capture_time_ns; /* of capture_clock */
	int64_t publish_time_ns; /* CLOCK_MONOTONIC */
	int64_t media_time_ns;   /* of a recording, from its start; -1: live */
	uint32_t sequence;       /* the source's own count (V4L2's sequence) */
	uint32_t flags;          /* enum pool_frame_flag */
	uint32_t capture_clock;  /* enum pool_clock */
	uint32_t field;          /* enum v4l2_field */
	uint32_t bytesused;      /* bytes of the slot that the frame takes (of dma-bufs: in all) */
	uint32_t plane_count;
	struct {
		uint32_t offset;    /* bytes from the start of the slot, or of its memory plane */
		uint32_t bytesused; /* bytes */
		uint32_t stride;    /* bytes per line, 0 for compressed formats */
		uint32_t memory;    /* memory plane (dma-buf) that it lies in; 0 in the pool */
	} planes[POOL_PLANES_MAX];
	uint64_t reserved[6];
};

/*
 * A descriptor. `generation` is POOL_GENERATION_INVALID from before the slot may be written until
 * the frame in it is published, so that a reader without a lease can copy and then check:
 *
 *   before = generation (acquire); copy frame and pixels; fence (acquire); after = generation
 *   good if before == after and before is valid.
 *
 * `frame` is copied by 64-bit words with relaxed atomics (pool_frame_load/store): a reader whose
 * lease was revoked, or that has none, may look while the daemon writes, and must merely not be
 * believed.
 */
struct pool_descriptor {
	_Atomic uint64_t generation;
	struct pool_frame frame;
};

_Static_assert(sizeof(struct pool_frame) == 176, "layout is protocol");
_Static_assert(sizeof(struct pool_descriptor) == 184, "layout is protocol");
#define POOL_DESCRIPTOR_STRIDE 192

/* A reader's view of a mapped pool: offsets and sizes copied from the header once and checked. */
struct pool_view {
	const uint8_t *base;
	uint64_t size; /* bytes mapped */
	uint64_t epoch;
	uint32_t slot_count;
	uint32_t recent_count;
	uint32_t recent_offset;
	uint32_t descriptor_offset;
	uint32_t descriptor_stride;
	uint32_t flags;       /* enum pool_flag */
	uint32_t frame_bytes; /* how much of a descriptor this reader and that daemon both know */
	uint64_t slot_offset;
	uint64_t slot_stride;
	struct pool_format format;
};

/* Places the parts of a pool of `slot_count` slots of at least `frame_size` bytes, slots aligned to
 * `page_size` (bytes, a power of two), and writes a header with all offsets, strides and sizes; the
 * rest of it is zero (epoch and format are the caller's to set). -EINVAL for a count outside
 * POOL_SLOTS_MIN..MAX, a frame of 0 bytes, or a page size that is none. */
int pool_layout_init(struct pool_header *ret_header, uint32_t slot_count, uint32_t frame_size,
	uint32_t page_size);

/* The same without slots: POOL_FLAG_DMABUF. */
int pool_layout_init_dmabuf(
	struct pool_header *ret_header, uint32_t slot_count, uint32_t page_size);

/* Checks the header at `base` (`size` bytes are mapped there) and fills the view. -EBADMSG if an
 * offset, a size or a count cannot be right; -EPROTONOSUPPORT for another version of the layout. */
int pool_view_init(struct pool_view *ret_view, const void *base, uint64_t size);

static inline const struct pool_header *pool_view_header(const struct pool_view *view)
{
	return (const struct pool_header *)view->base;
}

static inline const pool_recent *pool_view_recent(const struct pool_view *view, uint64_t position)
{
	return (const pool_recent *)(view->base + view->recent_offset) +
	       (position - 1) % view->recent_count;
}

static inline const struct pool_descriptor *pool_view_descriptor(
	const struct pool_view *view, uint32_t slot)
{
	return (const struct pool_descriptor *)(view->base + view->descriptor_offset +
						(size_t)slot * view->descriptor_stride);
}

/* not with DMABUF */
static inline const uint8_t *pool_view_slot(const struct pool_view *view, uint32_t slot)
{
	return view->base + view->slot_offset + slot * view->slot_stride;
}

/* Copies a descriptor's frame; false if there is no such slot. The copy is consistent only if the
 * lock, or the generation, says so afterwards. */
bool pool_frame_load(const struct pool_view *view, uint32_t slot, struct pool_frame *ret_frame);

/* What a slot consists of: its part of the pool, or the dma-bufs. */
struct pool_slot_memory {
	uint32_t plane_count;             /* memory planes; 1 in the pool */
	uint64_t length[POOL_PLANES_MAX]; /* bytes of each */
};

/* Does every plane of a copied descriptor lie in its slot? Ask it before believing the copy. */
bool pool_frame_check(const struct pool_frame *frame, const struct pool_slot_memory *memory);

/* Daemon: writes a descriptor's frame by relaxed 64-bit stores; its generation is not touched. */
void pool_frame_store(struct pool_descriptor *descriptor, const struct pool_frame *frame);

#endif
