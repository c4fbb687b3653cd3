/* SPDX-License-Identifier: MIT */
#include "formats.h"

#include "devices.h"
#include "format.h"
#include "node.h"
#include "terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libv4l2.h>
#include <linux/videodev2.h>

enum {
	ENUMERATION_MAX = 512, /* a driver that never ends is wrong */
};

/* An open device. */
struct device_query {
	int fd;
	uint32_t type; /* enum v4l2_buf_type */
	struct formats *formats;
};

/* libv4l2 passes on what it does not know: also an fd that it was not told of. */
static int ask(const struct device_query *query, unsigned long request, void *argument)
{
	int r;

	do
		r = v4l2_ioctl(query->fd, request, argument);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* The array with room for one more element, which is zero; NULL: no memory, and it is as before. */
static void *grown(void *array, size_t count, size_t size)
{
	char *larger = reallocarray(array, count + 1, size);

	if (larger)
		memset(larger + count * size, 0, size);
	return larger;
}

double format_rate_value(struct format_rate rate)
{
	return rate.denominator == 0 ? 0 : (double)rate.numerator / rate.denominator;
}

bool format_size_equal(const struct format_size *a, const struct format_size *b)
{
	if (a->range != b->range || a->width != b->width || a->height != b->height ||
		a->width_most != b->width_most || a->height_most != b->height_most ||
		a->width_step != b->width_step || a->height_step != b->height_step ||
		a->rate_range != b->rate_range || a->rate_count != b->rate_count)
		return false;
	for (size_t i = 0; i < a->rate_count; i++)
		if (a->rates[i].numerator != b->rates[i].numerator ||
			a->rates[i].denominator != b->rates[i].denominator)
			return false;
	return true;
}

/* ---- enumeration ---- */

/* Drivers speak of the time between frames. */
static int add_rate(struct format_size *size, const struct v4l2_fract *interval)
{
	struct format_rate *rates = grown(size->rates, size->rate_count, sizeof(*rates));

	if (!rates)
		return -ENOMEM;
	size->rates = rates;
	rates[size->rate_count++] =
		(struct format_rate){interval->denominator, interval->numerator};
	return 0;
}

static int add_rates(const struct device_query *query, uint32_t fourcc, struct format_size *size)
{
	struct v4l2_frmivalenum interval;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < ENUMERATION_MAX; i++) {
		interval = (struct v4l2_frmivalenum){.index = i,
			.pixel_format = fourcc,
			.width = size->rates_width,
			.height = size->rates_height};
		if (ask(query, VIDIOC_ENUM_FRAMEINTERVALS, &interval) < 0)
			break;
		if (interval.type == V4L2_FRMIVAL_TYPE_DISCRETE) {
			r = add_rate(size, &interval.discrete);
			continue;
		}
		size->rate_range = true;
		r = add_rate(size, &interval.stepwise.max); /* the longest interval */
		if (r == 0)
			r = add_rate(size, &interval.stepwise.min);
		break;
	}
	return r;
}

/* The value of the range that is next to this one. */
static uint32_t nearest(uint32_t value, uint32_t least, uint32_t most, uint32_t step)
{
	if (value <= least)
		return least;
	if (value >= most)
		return most;
	return step > 1 ? value - (value - least) % step : value;
}

static int add_sizes(const struct device_query *query, struct format_offer *offer)
{
	struct v4l2_frmsizeenum found;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < ENUMERATION_MAX; i++) {
		const struct v4l2_frmsize_stepwise *range = &found.stepwise;
		struct format_size *sizes, *size;

		found = (struct v4l2_frmsizeenum){.index = i, .pixel_format = offer->fourcc};
		if (ask(query, VIDIOC_ENUM_FRAMESIZES, &found) < 0)
			break;
		sizes = grown(offer->sizes, offer->size_count, sizeof(*sizes));
		if (!sizes)
			return -ENOMEM;
		offer->sizes = sizes;
		size = &sizes[offer->size_count++];
		if (found.type == V4L2_FRMSIZE_TYPE_DISCRETE) {
			size->width = size->rates_width = found.discrete.width;
			size->height = size->rates_height = found.discrete.height;
			r = add_rates(query, offer->fourcc, size);
			continue;
		}
		size->range = true;
		size->width = range->min_width;
		size->height = range->min_height;
		size->width_most = range->max_width;
		size->height_most = range->max_height;
		size->width_step = range->step_width;
		size->height_step = range->step_height;
		size->rates_width = nearest(query->formats->width, range->min_width,
			range->max_width, range->step_width);
		size->rates_height = nearest(query->formats->height, range->min_height,
			range->max_height, range->step_height);
		r = add_rates(query, offer->fourcc, size);
		break;
	}
	return r;
}

static bool contains(const struct formats *formats, uint32_t fourcc)
{
	for (size_t i = 0; i < formats->offer_count; i++)
		if (formats->offers[i].fourcc == fourcc)
			return true;
	return false;
}

/* The formats that the device has, or, with `emulated`, only those that libv4l2 adds. */
static int add_formats(const struct device_query *query, bool emulated)
{
	struct formats *formats = query->formats;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < ENUMERATION_MAX; i++) {
		struct v4l2_fmtdesc found = {.index = i, .type = query->type};
		struct format_offer *offers, *offer;
		const struct format_info *known;

		if (ask(query, VIDIOC_ENUM_FMT, &found) < 0)
			break;
		if (contains(formats, found.pixelformat) ||
			(emulated && !(found.flags & V4L2_FMT_FLAG_EMULATED)))
			continue;
		offers = grown(formats->offers, formats->offer_count, sizeof(*offers));
		if (!offers)
			return -ENOMEM;
		formats->offers = offers;
		offer = &offers[formats->offer_count++];
		offer->fourcc = found.pixelformat;
		known = format_find(format_in_one_buffer(found.pixelformat));
		offer->pixel_format = known ? known->fourcc : 0;
		/* libv4l2 has no words for what it makes */
		snprintf(offer->description, sizeof(offer->description), "%s",
			emulated && known ? known->description : (const char *)found.description);
		terminal_printable(offer->description);
		offer->emulated = emulated;
		r = add_sizes(query, offer);
	}
	return r;
}

/* What does not answer stays unknown. */
static void read_current(const struct device_query *query)
{
	struct v4l2_streamparm parameters = {.type = query->type};
	const struct v4l2_captureparm *capture = &parameters.parm.capture;
	struct v4l2_format format = {.type = query->type};
	struct formats *formats = query->formats;

	if (ask(query, VIDIOC_G_FMT, &format) == 0) {
		const struct v4l2_pix_format_mplane *planes = &format.fmt.pix_mp;
		const struct v4l2_pix_format *pix = &format.fmt.pix;

		formats->fourcc = formats->multiplanar ? planes->pixelformat : pix->pixelformat;
		formats->width = formats->multiplanar ? planes->width : pix->width;
		formats->height = formats->multiplanar ? planes->height : pix->height;
	}
	if (ask(query, VIDIOC_G_PARM, &parameters) == 0 &&
		capture->capability & V4L2_CAP_TIMEPERFRAME && capture->timeperframe.numerator != 0)
		formats->rate = (struct format_rate){
			capture->timeperframe.denominator, capture->timeperframe.numerator};
}

/* ---- opening ---- */

__attribute__((format(printf, 3, 4))) static int fail(
	char error[FORMATS_ERROR_SIZE], int error_number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, FORMATS_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return error_number;
}

static int fail_open(char error[FORMATS_ERROR_SIZE], int error_number, const char *path)
{
	switch (error_number) {
	case -ENOTTY:
		return fail(error, error_number, "%s is not a V4L2 device", path);
	case -EACCES:
		return fail(error, error_number,
			"%s may not be opened by this user: it must be in the group that owns the "
			"device, usually group video (sudo adduser USER video, and log in again)",
			path);
	case -EBUSY:
		return fail(error, error_number, "%s is used by another program", path);
	default:
		return fail(error, error_number, "%s cannot be opened: %s", path,
			strerror(-error_number));
	}
}

/* Looks at the capabilities before anything else. */
static int open_device(
	int *ret_fd, uint32_t *ret_capabilities, const char *path, char error[FORMATS_ERROR_SIZE])
{
	int fd, r;

	r = node_open(path, &fd);
	if (r < 0)
		return fail_open(error, r, path);
	r = node_get_capabilities(fd, ret_capabilities);
	if (r < 0) {
		close(fd);
		return fail_open(error, r, path);
	}
	if (device_kind_of(*ret_capabilities) != DEVICE_CAPTURE) {
		close(fd);
		return fail(error, -ENOTSUP, "%s: no pictures can be captured from it%s", path,
			device_kind_of(*ret_capabilities) == DEVICE_MEDIA_CONTROLLER
				? " before somebody has set up its media controller"
				: "");
	}
	*ret_fd = fd;
	return 0;
}

int formats_init(struct formats *ret_formats, const char *path, char error[FORMATS_ERROR_SIZE])
{
	struct formats formats = {};
	struct device_query query = {.formats = &formats, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
	uint32_t capabilities;
	int r;

	r = open_device(&query.fd, &capabilities, path, error);
	if (r < 0)
		return r;
	formats.multiplanar = !(capabilities & V4L2_CAP_VIDEO_CAPTURE);
	if (formats.multiplanar)
		query.type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
	read_current(&query);
	r = add_formats(&query, false);

	/* Only now libv4l2 learns of the fd: until then answers are the driver's own. Of
	 * multi-planar devices it emulates nothing that camtapd could use. It would write about
	 * what it cannot do on standard error. */
	if (r == 0 && !formats.multiplanar) {
		if (!v4l2_log_file)
			v4l2_log_file = fopen("/dev/null", "we");
		if (v4l2_fd_open(query.fd, 0) >= 0)
			r = add_formats(&query, true);
	}
	v4l2_close(query.fd); /* close(), if it does not know it */
	if (r < 0) {
		formats_finish(&formats);
		return fail(error, r, "%s: %s", path, strerror(-r));
	}
	*ret_formats = formats;
	return 0;
}

void formats_finish(struct formats *formats)
{
	for (size_t i = 0; i < formats->offer_count; i++) {
		struct format_offer *offer = &formats->offers[i];

		for (size_t j = 0; j < offer->size_count; j++)
			free(offer->sizes[j].rates);
		free(offer->sizes);
	}
	free(formats->offers);
	*formats = (struct formats){};
}
