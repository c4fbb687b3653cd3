/* SPDX-License-Identifier: MIT */

/*
 * What a reader can do with a frame that lies in a dma-buf. Ends with 1 and one line on standard
 * error if something is not as it should be.
 *
 * dmabuf-probe SOCKET attack: tries every way to write into a frame. A line per attempt: how, and
 * the error, or ALLOWED.
 *
 * dmabuf-probe SOCKET hold: holds a frame until there were two more epochs, says "resumed", and
 * gives it back when there is a line on standard input.
 *
 * dmabuf-probe SOCKET keep: keeps the fd of a frame and nothing else, says "kept", and ends when
 * there is a line on standard input.
 *
 * dmabuf-probe SOCKET refused: attaches as a program that does not take dma-bufs, and says why it
 * may not.
 *
 * dmabuf-probe SOCKET slow SLOTS: attaches, says "waiting", and only when there is a line on
 * standard input looks how many dma-bufs have come, and then receives the rest.
 *
 * dmabuf-probe SOCKET overwrite DEVICE: has another capture device write into the frame, and says
 * "changed" or "unchanged".
 */

#include "camtap.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PATIENCE_MSEC 20000
#define HELD_EPOCHS   2  /* that are begun while a frame is held */
#define HELD_FRAMES   40 /* of the last of them */

static void __attribute__((noreturn)) fail(const struct camtap *camera, const char *what)
{
	fprintf(stderr, "dmabuf-probe: %s: %s; %s\n", what, strerror(errno),
		camera != NULL ? camtap_error_text(camera) : "");
	exit(1);
}

static struct camtap_frame *next(struct camtap *camera)
{
	struct camtap_frame *frame;
	int outcome;

	do {
		outcome = camtap_next(camera, &frame, PATIENCE_MSEC);
		if (outcome <= 0)
			fail(camera, "no frame");
	} while (outcome != CAMTAP_FRAME);
	return frame;
}

static void release(struct camtap *camera, struct camtap_frame *frame)
{
	if (camtap_release(frame) < 0)
		fail(camera, "revoked");
}

static uint64_t hash(const struct camtap_frame *frame)
{
	uint64_t sum = 14695981039346656037u;

	for (unsigned plane = 0; plane < camtap_frame_plane_count(frame); plane++) {
		const uint8_t *bytes = camtap_frame_data(frame, plane);

		for (size_t i = 0; i < camtap_frame_bytesused(frame, plane); i++)
			sum = (sum ^ bytes[i]) * 1099511628211u;
	}
	return sum;
}

/* The dma-buf of a plane, which must be a real one, and where the library has mapped it. */
static int dmabuf_of(const struct camtap_frame *frame, unsigned plane, size_t *ret_offset)
{
	struct statfs file_system;
	uint64_t modifier;
	int fd;

	errno = -camtap_frame_dmabuf(frame, plane, &fd, ret_offset, &modifier);
	if (errno != 0)
		fail(NULL, "camtap_frame_dmabuf");
	if (fstatfs(fd, &file_system) < 0 || file_system.f_type != DMA_BUF_MAGIC || modifier != 0)
		fail(NULL, "not a linear dma-buf");
	if (lseek(fd, 0, SEEK_END) < (off_t)(*ret_offset + camtap_frame_bytesused(frame, plane)))
		fail(NULL, "the dma-buf is too short");
	return fd;
}

/* ---- attack ---- */

static void tried(const char *how, bool done)
{
	printf("%s: %s\n", how, done ? "ALLOWED" : strerrorname_np(errno));
}

static bool map_done(int fd, size_t size, int protection)
{
	void *map = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

	if (map != MAP_FAILED)
		munmap(map, size);
	return map != MAP_FAILED;
}

static bool reopen_done(int fd)
{
	char path[64];
	int reopened;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	reopened = open(path, O_RDWR | O_CLOEXEC);
	if (reopened >= 0)
		close(reopened);
	return reopened >= 0;
}

static bool proc_mem_done(void *address)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	bool done = fd >= 0 && pwrite(fd, "x", 1, (off_t)(uintptr_t)address) == 1;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return done;
}

static void attack(struct camtap *camera)
{
	struct camtap_frame *frame = next(camera);

	for (unsigned plane = 0; plane < camtap_frame_plane_count(frame); plane++) {
		uint64_t before = hash(frame);
		size_t offset, size;
		void *map;
		int fd = dmabuf_of(frame, plane, &offset);

		size = (size_t)lseek(fd, 0, SEEK_END);
		map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			fail(camera, "mmap");
		if (memcmp((uint8_t *)map + offset, camtap_frame_data(frame, plane),
			    camtap_frame_bytesused(frame, plane)) != 0)
			fail(camera, "offset: the dma-buf shows something else");
		tried("map writable", map_done(fd, size, PROT_READ | PROT_WRITE));
		tried("map for writing only", map_done(fd, size, PROT_WRITE));
		tried("mprotect", mprotect(map, size, PROT_READ | PROT_WRITE) == 0);
		tried("MADV_REMOVE", madvise(map, 4096, MADV_REMOVE) == 0);
		tried("write", write(fd, "x", 1) == 1);
		tried("pwrite", pwrite(fd, "x", 1, 0) == 1);
		tried("shrink", ftruncate(fd, 4096) == 0);
		tried("punch a hole",
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
		tried("open for writing", reopen_done(fd));
		tried("/proc/self/mem", proc_mem_done((uint8_t *)map + offset));
		if (hash(frame) != before)
			fail(camera, "the frame has changed");
		munmap(map, size);
	}
	release(camera, frame);
}

/* ---- hold ---- */

static void await_line(void)
{
	char line[16];

	if (fgets(line, sizeof line, stdin) == NULL)
		fail(NULL, "standard input");
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

static void hold(struct camtap *camera)
{
	struct camtap_frame *held = next(camera);
	uint64_t before = hash(held), epoch = camtap_frame_epoch(held);
	unsigned epochs = 0, frames = 0;

	say("held");
	while (epochs < HELD_EPOCHS || frames < HELD_FRAMES) {
		struct camtap_frame *frame = next(camera);

		frames++;
		if (camtap_frame_epoch(frame) != epoch) {
			epoch = camtap_frame_epoch(frame);
			epochs++;
			frames = 0;
		}
		release(camera, frame);
	}
	say("resumed");
	await_line();
	if (hash(held) != before)
		fail(camera, "a frame of the epoch before has changed");
	release(camera, held);
}

static void keep(struct camtap *camera)
{
	struct camtap_frame *frame = next(camera);
	size_t offset;
	int fd = dup(dmabuf_of(frame, 0, &offset));

	release(camera, frame);
	camtap_close(camera);
	say("kept");
	await_line();
	close(fd);
}

/* ---- refused ---- */

static int say_hello(const char *path, uint64_t features)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct wire_hello hello = {.version_min = WIRE_VERSION_MIN,
		.version_max = WIRE_VERSION_MAX,
		.features = features};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	message_init(&hello.header, WIRE_HELLO, sizeof hello);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
		message_send(fd, &hello.header, NULL, 0) < 0)
		fail(NULL, path);
	return fd;
}

static void refused(const char *path)
{
	int fd = say_hello(path, WIRE_FEATURE_BELL);
	struct wire_bye bye;

	if (recv(fd, &bye, sizeof bye, 0) != sizeof bye || bye.header.type != WIRE_REFUSED)
		fail(NULL, "not refused");
	printf("%u: %s\n", bye.code, bye.text);
	close(fd);
}

/* ---- slow ---- */

/* Receives what there is; returns how many fds of BUFFERs came along. */
static unsigned drain(int socket, unsigned *slots)
{
	_Alignas(struct wire_header) unsigned char buffer[WIRE_MESSAGE_MAX];
	int fds[MESSAGE_FDS_ROOM], length;
	unsigned buffer_fds = 0;
	size_t fd_count;

	while ((length = message_receive(socket, buffer, sizeof buffer, fds, &fd_count)) > 0) {
		struct wire_buffer message;

		for (size_t i = 0; i < fd_count; i++)
			close(fds[i]);
		if (message_unpack(buffer, (size_t)length, sizeof message.header, &message,
			    sizeof message) < 0 ||
			message.header.type != WIRE_BUFFER)
			continue;
		if (message.slot != *slots)
			fail(NULL, "slots out of order");
		*slots += 1;
		buffer_fds += (unsigned)fd_count;
	}
	if (length != -EAGAIN)
		fail(NULL, "hung up");
	return buffer_fds;
}

static void slow(const char *path, unsigned slots)
{
	int fd = say_hello(path, WIRE_FEATURE_DMABUF);
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	unsigned got = 0;

	say("waiting");
	await_line();
	printf("%u at first\n", drain(fd, &got));
	while (got < slots) {
		if (poll(&readable, 1, PATIENCE_MSEC) != 1)
			fail(NULL, "the rest does not come");
		(void)drain(fd, &got);
	}
	say("all");
	close(fd);
}

/* ---- overwrite: what the kernel does not prevent ---- */

static void request(int device, unsigned long number, void *argument, const char *what)
{
	if (ioctl(device, number, argument) < 0)
		fail(NULL, what);
}

static void overwrite(struct camtap *camera, const char *path)
{
	struct camtap_frame *frame = next(camera);
	struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
	struct v4l2_requestbuffers buffers = {
		.count = 2, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF};
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF};
	int device = open(path, O_RDWR | O_CLOEXEC), type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	struct pollfd filled = {.fd = device, .events = POLLIN};
	uint64_t before = hash(frame);
	size_t offset;

	if (device < 0)
		fail(camera, path);
	request(device, VIDIOC_G_FMT, &format, "G_FMT");
	format.fmt.pix.width = camtap_frame_width(frame);
	format.fmt.pix.height = camtap_frame_height(frame);
	format.fmt.pix.pixelformat = camtap_frame_fourcc(frame);
	format.fmt.pix.bytesperline = (uint32_t)camtap_frame_stride(frame, 0);
	format.fmt.pix.field = V4L2_FIELD_NONE;
	request(device, VIDIOC_S_FMT, &format, "S_FMT");
	request(device, VIDIOC_REQBUFS, &buffers, "REQBUFS");
	buffer.m.fd = dmabuf_of(frame, 0, &offset);
	request(device, VIDIOC_QBUF, &buffer, "QBUF");
	request(device, VIDIOC_STREAMON, &type, "STREAMON");
	if (poll(&filled, 1, PATIENCE_MSEC) != 1)
		fail(camera, "the other device gives nothing");
	request(device, VIDIOC_DQBUF, &buffer, "DQBUF");
	say(hash(frame) == before ? "unchanged" : "changed");
	close(device);
	release(camera, frame);
}

int main(int argc, char **argv)
{
	struct camtap *camera;

	if (argc < 3)
		return 2;
	if (strcmp(argv[2], "refused") == 0) {
		refused(argv[1]);
		return 0;
	}
	if (strcmp(argv[2], "slow") == 0 && argc == 4) {
		slow(argv[1], (unsigned)atoi(argv[3]));
		return 0;
	}
	if (camtap_new(&camera) < 0 || camtap_set_socket(camera, argv[1]) < 0 ||
		camtap_connect(camera) < 0)
		fail(camera, "connect");
	if (strcmp(argv[2], "attack") == 0)
		attack(camera);
	else if (strcmp(argv[2], "hold") == 0)
		hold(camera);
	else if (strcmp(argv[2], "keep") == 0)
		keep(camera);
	else if (strcmp(argv[2], "overwrite") == 0 && argc == 4)
		overwrite(camera, argv[3]);
	else
		return 2;
	if (strcmp(argv[2], "keep") != 0)
		camtap_close(camera);
	return 0;
}
