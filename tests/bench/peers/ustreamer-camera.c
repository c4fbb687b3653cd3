/* SPDX-License-Identifier: MIT */

/*
 * A camera for ustreamer, which takes its frames from V4L2 devices only: preloaded, it answers for
 * the file $CAMTAP_BENCH_CAMERA what ustreamer asks a driver, and stamps each frame when it is
 * dequeued. The fd is a timer's, so that select() returns when a frame is due. YUYV of as many
 * bytes as NV12 of the sheet's size.
 */

#undef _FILE_OFFSET_BITS /* both names of each function are made here */

#include "sheet.h"

#include <dlfcn.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#define BUFFERS_MAX 16

static struct {
	struct sheet *sheet;
	int fd; /* 0: not open */
	uint32_t buffers;
	void *memory[BUFFERS_MAX];
	uint32_t queue[BUFFERS_MAX], head, count;
	uint64_t number;
} camera;

int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);
int ioctl(int fd, unsigned long request, ...);
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset);

static int camera_open(void)
{
	struct itimerspec when = {.it_value = {.tv_nsec = 1}, .it_interval = {.tv_nsec = 1}};

	camera.sheet = sheet_map(getenv("CAMTAP_BENCH_SHEET"));
	if (camera.sheet->rate > 0)
		when.it_interval.tv_nsec = 1000000000 / camera.sheet->rate;
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	camera.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	(void)timerfd_settime(camera.fd, 0, &when, NULL);
	return camera.fd;
}

static int open_either(const char *name, const char *path, int flags, mode_t mode)
{
	int (*real)(const char *, int, ...) =
		(int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
	const char *stands_for = getenv("CAMTAP_BENCH_CAMERA");

	if (stands_for != NULL && strcmp(path, stands_for) == 0)
		return camera_open();
	return real(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return open_either("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return open_either("open64", path, flags, mode);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	static void *(*real)(void *, size_t, int, int, int, off_t);
	uint32_t index;

	if (real == NULL)
		real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
	if (fd <= 0 || fd != camera.fd)
		return real(address, length, protection, flags, fd, offset);
	index = (uint32_t)((uint64_t)offset / camera.sheet->frame_size);
	camera.memory[index] =
		real(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return camera.memory[index];
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
	return mmap(address, length, protection, flags, fd, offset);
}

static int set_format(struct v4l2_pix_format *format)
{
	format->width = camera.sheet->width;
	format->height = camera.sheet->height * 3 / 4;
	format->pixelformat = V4L2_PIX_FMT_YUYV;
	format->bytesperline = 2 * format->width;
	format->sizeimage = (uint32_t)camera.sheet->frame_size;
	return 0;
}

static int dequeue(struct v4l2_buffer *buffer)
{
	uint64_t expirations;

	if (camera.count == 0 || read(camera.fd, &expirations, sizeof expirations) < 0) {
		errno = EAGAIN;
		return -1;
	}
	buffer->index = camera.queue[camera.head];
	buffer->bytesused = (uint32_t)camera.sheet->frame_size;
	camera.head = (camera.head + 1) % BUFFERS_MAX;
	camera.count--;
	sheet_stamp_frame(camera.sheet, camera.memory[buffer->index], ++camera.number);
	return 0;
}

static int camera_ioctl(unsigned long request, void *argument)
{
	struct v4l2_capability *capability = argument;
	struct v4l2_requestbuffers *request_buffers = argument;
	struct v4l2_buffer *buffer = argument;

	switch ((uint32_t)request) { /* it may come sign-extended from an int */
	case VIDIOC_QUERYCAP:
		capability->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
		return 0;
	case VIDIOC_S_FMT:
		return set_format(&((struct v4l2_format *)argument)->fmt.pix);
	case VIDIOC_REQBUFS:
		if (request_buffers->count > BUFFERS_MAX)
			request_buffers->count = BUFFERS_MAX;
		return 0;
	case VIDIOC_QUERYBUF:
		buffer->length = (uint32_t)camera.sheet->frame_size;
		buffer->m.offset = buffer->index * buffer->length;
		return 0;
	case VIDIOC_QBUF:
		camera.queue[(camera.head + camera.count++) % BUFFERS_MAX] = buffer->index;
		return 0;
	case VIDIOC_DQBUF:
		return dequeue(buffer);
	case VIDIOC_S_INPUT:
	case VIDIOC_STREAMON:
	case VIDIOC_STREAMOFF:
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, ...);
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (real == NULL)
		real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	return fd > 0 && fd == camera.fd ? camera_ioctl(request, argument)
					 : real(fd, request, argument);
}
