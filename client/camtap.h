/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_H
#define CAMTAP_H

/*
 * libcamtap: read the frames of a camera that camtapd shares, where they lie, without a copy.
 *
 *     struct camtap *camera;
 *     struct camtap_frame *frame;
 *
 *     camtap_new(&camera);
 *     camtap_set_camera(camera, "front");
 *     camtap_connect(camera);
 *     while (camtap_next(camera, &frame, -1) == CAMTAP_FRAME) {
 *             analyse(camtap_frame_data(frame, 0), camtap_frame_stride(frame, 0));
 *             if (camtap_release(frame) == -ESTALE)
 *                     ; // held too long: the result may be of two pictures, throw it away
 *     }
 *     camtap_close(camera);
 *
 * Every function that can fail returns a negative errno; camtap_error_text() says the rest. The
 * library owns no thread and prints nothing.
 *
 * Threads: a handle is used by one thread at a time. camtap_release(), camtap_frame_check() and the
 * frame accessors may be called from any thread, at the same time as anything else; one frame is
 * released once. A child after fork() owns none of it: there every call gives -ECHILD (accessors
 * give 0 or NULL), and the child must not touch frames.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAMTAP_VERSION_MAJOR 0
#define CAMTAP_VERSION_MINOR 1

#if defined(__GNUC__)
#define CAMTAP_WARN_UNUSED_RESULT __attribute__((warn_unused_result))
#else
#define CAMTAP_WARN_UNUSED_RESULT
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

struct camtap;
struct camtap_frame;
struct camtap_list;

/* What camtap_next() and camtap_latest() return when nothing failed. Later versions may add events:
 * treat one that you do not know like CAMTAP_TRY_AGAIN. */
enum camtap_outcome {
	CAMTAP_TRY_AGAIN = 0, /* nothing yet (or the timeout passed) */
	CAMTAP_FRAME = 1,
	CAMTAP_ONLINE = 2,        /* the camera, which was away, delivers again */
	CAMTAP_OFFLINE = 3,       /* no camera or no daemon for now; camtap_event_text() says why */
	CAMTAP_PAUSED = 4,        /* switched off by the administrator, until CAMTAP_ONLINE */
	CAMTAP_FORMAT = 5,        /* following frames have another format; ids start anew */
	CAMTAP_DISCONTINUITY = 6, /* the daemon or the camera was restarted: ids start anew */
	CAMTAP_ENDED = 7, /* the recording is over; camtap_close(), or wait for another run */
};

enum camtap_mode {
	CAMTAP_MODE_READ = 0,    /* newest frames matter; the camera never waits for this program */
	CAMTAP_MODE_OBSERVE = 1, /* camtap_status() and events only; starts no camera */
	CAMTAP_MODE_LOSSLESS =
		2, /* every frame matters; the source waits (recordings; see camtapd(1)) */
};

/* ---- handle ---- */

/* Makes a handle with the defaults: the only camera there is, native stream, mode READ. Owner: the
 * caller, until camtap_close(). -ENOMEM, -EMFILE. */
int camtap_new(struct camtap **ret_camera);

/* Setters; before camtap_connect() only (-EBUSY after). Strings are copied; NULL sets the default.
 * -EINVAL for what can never be right, -ENAMETOOLONG. */

/* The camera's name, looked for in $XDG_RUNTIME_DIR/camtap and then in /run/camtap. Without a name,
 * $CAMTAP_SOCKET is used, or the only camera there is. */
int camtap_set_camera(struct camtap *camera, const char *name);
/* The socket's path; goes before the name and everything else. */
int camtap_set_socket(struct camtap *camera, const char *path);
/* FOURCC[:WxH][,rate=N][,crop=WxH+X+Y], for example "GREY:640x360" or "bgr24:320x180,rate=10" (rate
 * is the highest; the crop is cut out first, then scaled); NULL or "": the native stream. camtapd
 * makes it once for all who ask for it. A frame has the id, epoch and times of the native frame
 * that it was made from. What cannot be made is refused: -EINVAL of camtap_next(), with a text that
 * lists what can. */
int camtap_set_stream(struct camtap *camera, const char *stream);
/* What `camtap info` shows for this program; default: the program's name. */
int camtap_set_client_name(struct camtap *camera, const char *name);
int camtap_set_mode(struct camtap *camera, enum camtap_mode mode);
/* 0: be woken by messages of one's own, never by the bell, which the readers of a user share.
 * Messages cost camtapd more. (Default: 1. The bell is for camtap_next() and camtap_latest() that
 * wait; who waits for camtap_fd() is woken by messages in any case.) */
int camtap_set_bell(struct camtap *camera, int on);

/* Starts to attach, and returns at once: socket activation may take a while, and camtap_next() goes
 * on with it. 0 also if there is a socket but nobody listens on it yet (it is tried again, with
 * growing pauses up to 1 s). Once attached, a handle whose daemon goes waits for the next one for
 * ever.
 * -ENOENT: there is no such socket, or no camera at all; -ENOTUNIQ: no name given and several
 * cameras are there; -EACCES: the socket may not be opened; -EALREADY. */
int camtap_connect(struct camtap *camera);

/* Gives back the handle; NULL is allowed. Frames not yet released stay readable and must still be
 * released; the connection lasts until the last of them is. */
void camtap_close(struct camtap *camera);

/* An epoll file descriptor, the same for the handle's life, for poll() and event loops (POLLIN).
 * Level-triggered: readable exactly as long as camtap_next() has something to return or to do; so
 * not for a frame while the lease limit is reached. (With camtap_set_bell(0), events do not wake
 * it then either, but for a hang-up.) Do not read, write or close it. From the first call on frames
 * are announced by messages, so a program that does not wait for it had better not ask for it. */
int camtap_fd(struct camtap *camera);

/* Waits at most `timeout_ms` (0: not at all, -1: for ever) for the next frame in order, or an
 * event. Returns an enum camtap_outcome; *ret_frame is written for CAMTAP_FRAME only, and is then
 * the caller's until camtap_release(). Frames that were overwritten before they were asked for are
 * skipped: camtap_frame_missed() counts them. Events come in order with the frames.
 *
 * -ENOBUFS: a frame is there, but as many are held as the daemon allows; release one first. It is
 * returned at once, whatever the timeout.
 * -EACCES, -EINVAL, -EPROTO, -EPROTONOSUPPORT, -EUSERS, -EIO ...: the daemon refused for good, or
 * cannot be understood; camtap_error_text() says why. It stays so: camtap_close().
 * -EINTR: a signal handler ran while it waited, as with poll(). Nothing is lost: call it again.
 * -ENOMEM. -ENOTCONN: camtap_connect() was not called. -ECHILD: after fork(). */
int camtap_next(struct camtap *camera, struct camtap_frame **ret_frame,
	int timeout_ms) CAMTAP_WARN_UNUSED_RESULT;

/* Like camtap_next(), but skips to the newest frame; never returns the same frame twice. In mode
 * LOSSLESS it is camtap_next(): what the source waits for is not skipped. */
int camtap_latest(struct camtap *camera, struct camtap_frame **ret_frame,
	int timeout_ms) CAMTAP_WARN_UNUSED_RESULT;

/* Frames of this stream that this handle never got since camtap_connect(), within epochs (what was
 * lost across a restart nobody knows). Frames skipped by camtap_latest() count too. */
uint64_t camtap_missed(const struct camtap *camera);

/* Frames that the daemon lets this handle hold at once; 0 before it is attached. */
unsigned camtap_max_leases(const struct camtap *camera);

/* The camera's name as the daemon says it; NULL before it is attached. Valid
 * until camtap_close(). */
const char *camtap_name(const struct camtap *camera);

/* One line for people about the handle's last error; never NULL. Valid until the next call. */
const char *camtap_error_text(const struct camtap *camera);

/* One line about the last event: why the camera is offline, since when; the new format. Never NULL,
 * may be empty. Valid until the next call. */
const char *camtap_event_text(const struct camtap *camera);

/* The daemon's status document (JSON, see camtap(1)), in any mode. Waits at most `timeout_ms`.
 * *ret_json is NUL-terminated and the caller's to free(). Frames and events that come meanwhile
 * stay for camtap_next(). -ETIMEDOUT, or what camtap_next() gives. */
int camtap_status(struct camtap *camera, char **ret_json, int timeout_ms);

/* ---- controls ---- */

/* Brightness, exposure, focus ...: the controls of the camera's device, under the names of
 * v4l2-ctl(1). In any mode, but in mode OBSERVE the camera is not started for it (the device is
 * then opened for a moment). A device can take seconds to answer. */

/* The document of all controls with their ranges and values (JSON, see camtap(1)). Waits at most
 * `timeout_ms`; when that is over the question stands, and the next call goes on waiting for the
 * answer. *ret_json is NUL-terminated and the caller's to free(). Frames and events that come
 * meanwhile stay for camtap_next(). -EOPNOTSUPP: the camera has no controls (a recording), or its
 * daemon is of a version that knows none; -ENODEV and others: the device is away or cannot be
 * asked; -EBUSY: it is paused; -ETIMEDOUT; or what camtap_next() gives. camtap_error_text() says
 * more. */
int camtap_controls(struct camtap *camera, char **ret_json, int timeout_ms);

/* Sets a control; waits at most `timeout_ms` until the device has taken it. It stays until the
 * daemon ends, replugging the camera included. `value` is a number, 0 or 1 of a switch, the number
 * of a menu's entry or its text, the text of a string; anything for a button, which is pressed.
 * -EACCES: only root, the daemon's own user and group camtap-admin may; -ENOENT: there is no such
 * control; -EINVAL, -ERANGE: no value of it; -EPERM: it can only be read; -EBUSY: it cannot be set
 * now, because an automatic mode or the stream decides it, or the camera is paused; -EOPNOTSUPP,
 * -ENODEV as above. After -ETIMEDOUT, and after -ECONNRESET (the daemon went before it had
 * answered), it may have been set or not. camtap_error_text() says what is allowed. */
int camtap_set_control(struct camtap *camera, const char *name, const char *value, int timeout_ms);

/* ---- the switch ---- */

/* Switches the camera off for everybody, until camtap_resume(), restarts of camtapd and of the
 * machine included: the device is closed, readers stay attached and are told (CAMTAP_PAUSED), what
 * they hold stays as it is. In any mode; for root, the daemon's own user and group camtap-admin.
 * Waits at most `timeout_ms` until it is off, which can take as long as the device takes to be
 * opened. 0: it is off, no frame comes any more; also if it was so before. The other way round
 * camtap_resume(): 0: it may be opened again.
 *
 * -EACCES: you may not; nothing has changed. -EOPNOTSUPP: this source cannot be paused (standard
 * input), or the daemon is of a version that knows no pause. -EIO: it is off (on), but that could
 * not be written down, and camtapd will not know it when it is started again. -ECANCELED: somebody
 * else has switched it the other way meanwhile. -ETIMEDOUT: not yet, but it will be; the next call
 * goes on waiting. Or what camtap_next() gives. camtap_error_text() says more. */
int camtap_pause(struct camtap *camera, int timeout_ms);
int camtap_resume(struct camtap *camera, int timeout_ms);

/* ---- frames ---- */

/* Gives a frame back and frees it; NULL is allowed (0). -ESTALE: the frame was revoked because it
 * was held too long while others needed room: its pixels may have changed while you looked. */
int camtap_release(struct camtap_frame *frame) CAMTAP_WARN_UNUSED_RESULT;

/* 0 as long as the frame is still what it was, -ESTALE once it was revoked. */
int camtap_frame_check(const struct camtap_frame *frame);

/* Pixels. Planes are numbered as V4L2 lays them out in one buffer (NV12: 0 Y, 1 CbCr). Read-only
 * memory, which need not be contiguous from plane to plane. `plane` beyond the last: NULL or 0.
 * NULL also if the frame lies in a dma-buf and the kernel denies the processor access to it. */
unsigned camtap_frame_plane_count(const struct camtap_frame *frame);
const void *camtap_frame_data(const struct camtap_frame *frame, unsigned plane);
size_t camtap_frame_bytesused(const struct camtap_frame *frame, unsigned plane); /* bytes */
size_t camtap_frame_stride(
	const struct camtap_frame *frame, unsigned plane); /* bytes per line, 0: compressed */

/* The dma-buf that a plane lies in, for a GPU or another device, if camtapd shares the driver's own
 * buffers
 * (--memory dmabuf, see camtapd(8)). *ret_offset is where the plane begins in it, in bytes (its
 * stride and size: as above); *ret_modifier is the layout of the pixels, DRM_FORMAT_MOD_* of
 * drm_fourcc.h, 0: linear.
 *
 * *ret_fd is the library's, and the same for every plane in the same memory: valid until the frame
 * is released, not to be closed. dup() it to keep the memory for longer; but that keeps the memory
 * only: after camtap_release() the camera overwrites it. So release the frame when the device has
 * finished with it, and mind -ESTALE. The fd is read-only: it can be mapped with PROT_READ only.
 * Whoever reads the pixels with the processor through camtap_frame_data() need not care for
 * DMA_BUF_IOCTL_SYNC: the library does that, when camtap_frame_data() is called first and when the
 * frame is released, and not for those who never call it.
 *
 * -ENOTSUP: the frame lies in ordinary shared memory; -EINVAL: there is no such plane; -ECHILD.
 * Nothing is written then. */
int camtap_frame_dmabuf(const struct camtap_frame *frame, unsigned plane, int *ret_fd,
	size_t *ret_offset, uint64_t *ret_modifier);

/* Format: V4L2's values (linux/videodev2.h). */
uint32_t camtap_frame_fourcc(const struct camtap_frame *frame);
uint32_t camtap_frame_width(const struct camtap_frame *frame);  /* pixels */
uint32_t camtap_frame_height(const struct camtap_frame *frame); /* pixels */
uint32_t camtap_frame_field(const struct camtap_frame *frame);  /* enum v4l2_field */
uint32_t camtap_frame_colorspace(const struct camtap_frame *frame);
uint32_t camtap_frame_ycbcr_enc(const struct camtap_frame *frame);
uint32_t camtap_frame_quantization(const struct camtap_frame *frame);
uint32_t camtap_frame_xfer_func(const struct camtap_frame *frame);
/* Nominal frame rate as a fraction; 0/0 if unknown or unpaced. */
void camtap_frame_rate(
	const struct camtap_frame *frame, uint32_t *ret_numerator, uint32_t *ret_denominator);

/* What only recordings tell: pixel aspect (0/0: unknown) and where 4:2:0 chroma samples lie. */
void camtap_frame_pixel_aspect(
	const struct camtap_frame *frame, uint32_t *ret_numerator, uint32_t *ret_denominator);
enum camtap_chroma_siting {
	CAMTAP_CHROMA_UNKNOWN = 0,
	CAMTAP_CHROMA_JPEG = 1,  /* Y4M's C420jpeg */
	CAMTAP_CHROMA_MPEG2 = 2, /* C420mpeg2 */
	CAMTAP_CHROMA_PALDV = 3, /* C420paldv */
};
enum camtap_chroma_siting camtap_frame_chroma_siting(const struct camtap_frame *frame);

/* Identity: camera name, epoch and id name a frame for ever. Ids count up by one per published
 * frame. */
uint64_t camtap_frame_epoch(const struct camtap_frame *frame);
uint64_t camtap_frame_id(const struct camtap_frame *frame);
uint32_t camtap_frame_sequence(const struct camtap_frame *frame); /* the driver's own count */
uint64_t camtap_frame_missed(const struct camtap_frame *frame);   /* frames missed just before it */

/* Time in nanoseconds. */
enum camtap_clock {
	CAMTAP_CLOCK_UNKNOWN = 0,
	CAMTAP_CLOCK_MONOTONIC = 1,
	CAMTAP_CLOCK_COPY = 2, /* V4L2_BUF_FLAG_TIMESTAMP_COPY */
};
int64_t camtap_frame_capture_time(
	const struct camtap_frame *frame); /* of camtap_frame_capture_clock() */
enum camtap_clock camtap_frame_capture_clock(const struct camtap_frame *frame);
int64_t camtap_frame_publish_time(const struct camtap_frame *frame); /* CLOCK_MONOTONIC */
int64_t camtap_frame_media_time(
	const struct camtap_frame *frame); /* recordings: from the start; else -1 */
int64_t camtap_frame_realtime(
	const struct camtap_frame *frame); /* capture (or publish) in CLOCK_REALTIME */

enum camtap_frame_flag {
	CAMTAP_FRAME_TIMESTAMP_SOE =
		1 << 0, /* capture time is start of exposure, else end of frame */
	/* the source lost frames just before this one, or was started anew */
	CAMTAP_FRAME_DISCONTINUITY = 1 << 1,
	CAMTAP_FRAME_KEYFRAME = 1 << 2,
	CAMTAP_FRAME_BAD = 1 << 3, /* damaged: its planes may be short, or end in an older
				      picture; only where camtapd runs with --publish-bad */
};
uint32_t camtap_frame_flags(const struct camtap_frame *frame); /* enum camtap_frame_flag */

/* ---- cameras ---- */

/* Finds the cameras that have a socket (running, or started by the first reader), in the user's
 * directory and the system's; starts none. Names are sorted; the user's hide the system's of the
 * same name. */
int camtap_list_new(struct camtap_list **ret_list);
size_t camtap_list_count(const struct camtap_list *list);
const char *camtap_list_name(
	const struct camtap_list *list, size_t index); /* NULL beyond the last */
const char *camtap_list_socket(const struct camtap_list *list, size_t index); /* path */
void camtap_list_free(struct camtap_list *list);

/* ---- text ---- */

#define CAMTAP_FOURCC_TEXT_SIZE 16
/* Writes a fourcc as text ("NV12", "Y16"), always printable and terminated; returns `text`. */
const char *camtap_fourcc_text(uint32_t fourcc, char text[CAMTAP_FOURCC_TEXT_SIZE]);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
