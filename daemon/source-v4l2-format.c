/* SPDX-License-Identifier: MIT */
#include "source-v4l2-format.h"

#include "format.h"
#include "options.h"
#include "source.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RATE_TOLERANCE  1e-4 /* relative: 29.97 is 30000/1001 */
#define ENUMERATION_MAX 1024 /* a driver that never ends is wrong */

/* One of the things that a device can do, and, with zeros for what was left out, what was asked
 * for. */
struct offer {
	uint32_t fourcc;        /* of format.h */
	uint32_t device_fourcc; /* the same with its memory planes: NM12 */
	uint32_t width, height;
	uint32_t rate_numerator, rate_denominator; /* 0/0: unknown */
};

/* What is being looked for and was found. */
struct search {
	const struct v4l2_device *device;
	struct offer wanted;
	struct offer current; /* what the device is set to */
	struct offer best;    /* all zero: nothing yet */
};

static double rate_of(const struct offer *offer)
{
	return offer->rate_denominator == 0
		       ? 0
		       : (double)offer->rate_numerator / offer->rate_denominator;
}

static bool same_rate(const struct offer *a, const struct offer *b)
{
	double difference = rate_of(a) - rate_of(b);

	return (difference < 0 ? -difference : difference) <= RATE_TOLERANCE * rate_of(b);
}

static void set_rate(struct offer *offer, const struct v4l2_fract *interval)
{
	uint32_t a = interval->denominator, b = interval->numerator;

	if (a == 0 || b == 0) {
		offer->rate_numerator = offer->rate_denominator = 0;
		return;
	}
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	offer->rate_numerator = interval->denominator / a;
	offer->rate_denominator = interval->numerator / a;
}

/* ---- lists for people ---- */

struct list {
	char text[320];
	bool full;
};

/* Appends an item, unless the list has it. */
__attribute__((format(printf, 2, 3))) static void list_add(
	struct list *list, const char *format, ...)
{
	static const char more[] = " ...";
	size_t length = strlen(list->text), room = sizeof list->text - sizeof more;
	char item[64];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(item, sizeof item, format, arguments);
	va_end(arguments);
	for (const char *have = strstr(list->text, item); have != NULL;
		have = strstr(have + 1, item))
		if ((have == list->text || have[-1] == ' ') &&
			(have[strlen(item)] == ',' || have[strlen(item)] == '\0'))
			return;
	if (list->full)
		return;
	if (length + strlen(item) + 2 > room) {
		strcpy(list->text + length, more);
		list->full = true;
		return;
	}
	sprintf(list->text + length, "%s%s", length > 0 ? ", " : "", item);
}

static void list_add_format(struct list *list, uint32_t fourcc)
{
	char name[FORMAT_TEXT_SIZE];

	format_print(fourcc, name);
	list_add(list, "%s", name);
}

/* ---- enumeration ---- */

/* The index-th format of the device; false: there are no more. */
static bool enumerate_format(
	const struct v4l2_device *device, uint32_t index, struct v4l2_fmtdesc *ret_description)
{
	*ret_description = (struct v4l2_fmtdesc){.index = index, .type = device->type};
	return index < ENUMERATION_MAX &&
	       v4l2_device_ioctl(device, VIDIOC_ENUM_FMT, ret_description) == 0;
}

static bool enumerate_size(const struct v4l2_device *device, uint32_t fourcc, uint32_t index,
	struct v4l2_frmsizeenum *ret_size)
{
	*ret_size = (struct v4l2_frmsizeenum){.index = index, .pixel_format = fourcc};
	return index < ENUMERATION_MAX &&
	       v4l2_device_ioctl(device, VIDIOC_ENUM_FRAMESIZES, ret_size) == 0;
}

static bool enumerate_interval(const struct v4l2_device *device, const struct offer *offer,
	uint32_t index, struct v4l2_frmivalenum *ret_interval)
{
	*ret_interval = (struct v4l2_frmivalenum){.index = index,
		.pixel_format = offer->device_fourcc,
		.width = offer->width,
		.height = offer->height};
	return index < ENUMERATION_MAX &&
	       v4l2_device_ioctl(device, VIDIOC_ENUM_FRAMEINTERVALS, ret_interval) == 0;
}

bool v4l2_format_offered(const struct v4l2_device *device, uint32_t fourcc)
{
	struct v4l2_fmtdesc description;

	for (uint32_t i = 0; enumerate_format(device, i, &description); i++)
		if (format_in_one_buffer(description.pixelformat) == fourcc)
			return true;
	return false;
}

/* ---- choosing ---- */

static unsigned int preference(uint32_t fourcc)
{
	static const uint32_t first[] = {V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_NV12};
	unsigned int i;

	for (i = 0; i < sizeof first / sizeof first[0]; i++)
		if (fourcc == first[i])
			break;
	return i;
}

/* The rate as far as it matters; a rate that nobody knows is believed to be enough. */
static double enough_rate(const struct offer *offer)
{
	double rate = rate_of(offer);

	return rate == 0 || rate > V4L2_FORMAT_ENOUGH_RATE ? V4L2_FORMAT_ENOUGH_RATE : rate;
}

static bool is_better(const struct search *search, const struct offer *a, const struct offer *b)
{
	uint64_t a_pixels = (uint64_t)a->width * a->height,
		 b_pixels = (uint64_t)b->width * b->height;
	bool a_current = a->fourcc == search->current.fourcc,
	     b_current = b->fourcc == search->current.fourcc;

	if (b->fourcc == 0)
		return true;
	if (enough_rate(a) != enough_rate(b))
		return enough_rate(a) > enough_rate(b);
	if (a_pixels != b_pixels)
		return a_pixels > b_pixels;
	if (a_current != b_current)
		return a_current;
	if (preference(a->fourcc) != preference(b->fourcc))
		return preference(a->fourcc) < preference(b->fourcc);
	if ((a->device_fourcc == search->current.device_fourcc) !=
		(b->device_fourcc == search->current.device_fourcc))
		return a->device_fourcc == search->current.device_fourcc;
	if ((a->device_fourcc == a->fourcc) != (b->device_fourcc == b->fourcc))
		return a->device_fourcc == a->fourcc; /* all in one piece */
	return rate_of(a) > rate_of(b);
}

static void consider(struct search *search, const struct offer *offer)
{
	if (is_better(search, offer, &search->best))
		search->best = *offer;
}

/* Considers the rates of a format and size. */
static void search_rates(struct search *search, struct offer offer)
{
	const struct offer *wanted = &search->wanted;
	struct v4l2_frmivalenum interval;
	uint32_t i;

	for (i = 0; enumerate_interval(search->device, &offer, i, &interval); i++) {
		if (interval.type != V4L2_FRMIVAL_TYPE_DISCRETE)
			break;
		set_rate(&offer, &interval.discrete);
		if (wanted->rate_denominator == 0 || same_rate(&offer, wanted))
			consider(search, &offer);
	}
	if (i > 0)
		return;
	/* a range, or nothing said: the driver will answer when it is set */
	offer.rate_numerator = wanted->rate_numerator;
	offer.rate_denominator = wanted->rate_denominator;
	consider(search, &offer);
}

/* The value of the range that is next to this one. */
static uint32_t nearest(uint32_t value, uint32_t min, uint32_t max, uint32_t step)
{
	if (value <= min)
		return min;
	if (value >= max)
		return max;
	return step > 1 ? value - (value - min) % step : value;
}

/* Considers the sizes of a format. */
static void search_sizes(struct search *search, uint32_t device_fourcc)
{
	/* what stands for any size */
	const struct offer *any = search->wanted.width != 0 ? &search->wanted : &search->current;
	struct offer offer = {
		.fourcc = format_in_one_buffer(device_fourcc), .device_fourcc = device_fourcc};
	struct v4l2_frmsizeenum size;
	uint32_t i;

	for (i = 0; enumerate_size(search->device, device_fourcc, i, &size); i++) {
		if (size.type != V4L2_FRMSIZE_TYPE_DISCRETE)
			break;
		offer.width = size.discrete.width;
		offer.height = size.discrete.height;
		if (search->wanted.width == 0 || (offer.width == search->wanted.width &&
							 offer.height == search->wanted.height))
			search_rates(search, offer);
	}
	if (i > 0)
		return;
	offer.width = any->width;
	offer.height = any->height;
	if (enumerate_size(search->device, device_fourcc, 0, &size)) {
		const struct v4l2_frmsize_stepwise *range = &size.stepwise;

		offer.width =
			nearest(any->width, range->min_width, range->max_width, range->step_width);
		offer.height = nearest(
			any->height, range->min_height, range->max_height, range->step_height);
		if (any == &search->wanted &&
			(offer.width != any->width || offer.height != any->height))
			return;
	}
	search_rates(search, offer);
}

static bool is_usable(const struct search *search, const struct v4l2_fmtdesc *description)
{
	uint32_t fourcc = format_in_one_buffer(description->pixelformat);

	if (format_find(fourcc) == NULL)
		return false;
	if (search->wanted.fourcc != 0)
		return fourcc == search->wanted.fourcc;
	return !(description->flags & V4L2_FMT_FLAG_EMULATED);
}

static void search_formats(struct search *search)
{
	struct v4l2_fmtdesc description;

	for (uint32_t i = 0; enumerate_format(search->device, i, &description); i++)
		if (is_usable(search, &description))
			search_sizes(search, description.pixelformat);
}

/* ---- refusing ---- */

static int refuse_format(const struct search *search)
{
	struct list known = {0}, unknown = {0};
	struct v4l2_fmtdesc description;
	char name[FORMAT_TEXT_SIZE];

	for (uint32_t i = 0; enumerate_format(search->device, i, &description); i++) {
		uint32_t fourcc = format_in_one_buffer(description.pixelformat);

		list_add_format(format_find(fourcc) != NULL ? &known : &unknown, fourcc);
	}
	format_print(search->wanted.fourcc, name);
	if (known.text[0] == '\0')
		return source_fail(search->device->source, -EINVAL,
			"%s has no pixel format that camtapd knows, only %s", search->device->path,
			unknown.text[0] != '\0' ? unknown.text : "none at all");
	return source_fail(search->device->source, -EINVAL, "%s has no pixel format %s, but %s",
		search->device->path, name, known.text);
}

static void list_sizes(const struct v4l2_device *device, uint32_t fourcc, struct list *list)
{
	struct v4l2_frmsizeenum size;

	for (uint32_t i = 0; enumerate_size(device, fourcc, i, &size); i++) {
		const struct v4l2_frmsize_stepwise *range = &size.stepwise;

		if (size.type == V4L2_FRMSIZE_TYPE_DISCRETE) {
			list_add(list, "%ux%u", size.discrete.width, size.discrete.height);
			continue;
		}
		list_add(list, "%ux%u to %ux%u in steps of %ux%u", range->min_width,
			range->min_height, range->max_width, range->max_height, range->step_width,
			range->step_height);
		break;
	}
}

static int refuse_size(const struct search *search)
{
	const struct offer *wanted = &search->wanted;
	struct v4l2_fmtdesc description;
	struct list list = {0};
	char name[FORMAT_TEXT_SIZE];

	for (uint32_t i = 0; enumerate_format(search->device, i, &description); i++)
		if (is_usable(search, &description))
			list_sizes(search->device, description.pixelformat, &list);
	if (wanted->fourcc == 0)
		return source_fail(search->device->source, -EINVAL, "%s has no size %ux%u, but %s",
			search->device->path, wanted->width, wanted->height, list.text);
	format_print(wanted->fourcc, name);
	return source_fail(search->device->source, -EINVAL, "%s has no size %ux%u in %s, but %s",
		search->device->path, wanted->width, wanted->height, name, list.text);
}

static void list_rates(
	const struct v4l2_device *device, const struct offer *offer, struct list *list)
{
	struct v4l2_frmivalenum interval;

	for (uint32_t i = 0; enumerate_interval(device, offer, i, &interval); i++) {
		struct offer least, most;

		if (interval.type == V4L2_FRMIVAL_TYPE_DISCRETE) {
			set_rate(&most, &interval.discrete);
			list_add(list, "%.6g", rate_of(&most));
			continue;
		}
		set_rate(&least, &interval.stepwise.max); /* the longest interval */
		set_rate(&most, &interval.stepwise.min);
		list_add(list, "%.6g to %.6g", rate_of(&least), rate_of(&most));
		break;
	}
}

/* `offer` is the best one at any rate. */
static int refuse_rate(const struct search *search, const struct offer *offer)
{
	char name[FORMAT_TEXT_SIZE];
	struct list list = {0};

	list_rates(search->device, offer, &list);
	if (list.text[0] == '\0' && rate_of(offer) > 0)
		list_add(&list, "%.6g", rate_of(offer));
	format_print(offer->fourcc, name);
	if (list.text[0] == '\0')
		return source_fail(search->device->source, -EINVAL,
			"%s has no rate that can be set: leave out --rate", search->device->path);
	return source_fail(search->device->source, -EINVAL,
		"%s has no rate of %.6g at %ux%u in %s, but %s frames per second",
		search->device->path, rate_of(&search->wanted), offer->width, offer->height, name,
		list.text);
}

/* Nothing was found: says which wish is one too many. */
static int refuse(const struct search *search)
{
	struct search narrower = *search;

	narrower.wanted.rate_numerator = narrower.wanted.rate_denominator = 0;
	search_formats(&narrower);
	if (narrower.best.fourcc != 0)
		return refuse_rate(search, &narrower.best);
	narrower.wanted.width = narrower.wanted.height = 0;
	search_formats(&narrower);
	if (narrower.best.fourcc != 0)
		return refuse_size(search);
	return refuse_format(search);
}

/* ---- setting ---- */

/* The two kinds of struct v4l2_format as one. */
static void read_format(const struct v4l2_format *format, struct v4l2_choice *ret_choice)
{
	const struct v4l2_pix_format_mplane *planar = &format->fmt.pix_mp;
	const struct v4l2_pix_format *pix = &format->fmt.pix;

	if (format->type == V4L2_BUF_TYPE_VIDEO_CAPTURE) {
		*ret_choice = (struct v4l2_choice){.fourcc = pix->pixelformat,
			.width = pix->width,
			.height = pix->height,
			.field = pix->field,
			.colorspace = pix->colorspace,
			.ycbcr_enc = pix->ycbcr_enc,
			.quantization = pix->quantization,
			.xfer_func = pix->xfer_func,
			.memory_plane_count = 1};
		ret_choice->memory_planes[0].sizeimage = pix->sizeimage;
		ret_choice->memory_planes[0].bytesperline = pix->bytesperline;
		return;
	}
	*ret_choice = (struct v4l2_choice){.fourcc = planar->pixelformat,
		.width = planar->width,
		.height = planar->height,
		.field = planar->field,
		.colorspace = planar->colorspace,
		.ycbcr_enc = planar->ycbcr_enc,
		.quantization = planar->quantization,
		.xfer_func = planar->xfer_func,
		.memory_plane_count = planar->num_planes};
	for (uint32_t i = 0; i < planar->num_planes && i < FORMAT_PLANES_MAX; i++) {
		ret_choice->memory_planes[i].sizeimage = planar->plane_fmt[i].sizeimage;
		ret_choice->memory_planes[i].bytesperline = planar->plane_fmt[i].bytesperline;
	}
}

static int set_format(
	const struct search *search, const struct offer *offer, struct v4l2_choice *ret_choice)
{
	struct v4l2_format format = {.type = search->device->type};
	struct v4l2_choice choice;
	int r;

	if (v4l2_device_is_multiplanar(search->device)) {
		format.fmt.pix_mp.width = offer->width;
		format.fmt.pix_mp.height = offer->height;
		format.fmt.pix_mp.pixelformat = offer->device_fourcc;
		format.fmt.pix_mp.field = V4L2_FIELD_ANY;
	} else {
		format.fmt.pix.width = offer->width;
		format.fmt.pix.height = offer->height;
		format.fmt.pix.pixelformat = offer->device_fourcc;
		format.fmt.pix.field = V4L2_FIELD_ANY;
		format.fmt.pix.priv = V4L2_PIX_FMT_PRIV_MAGIC;
	}
	r = v4l2_device_ioctl(search->device, VIDIOC_S_FMT, &format);
	if (r < 0)
		return v4l2_device_fail(search->device, r, "setting the format");
	read_format(&format, &choice);
	/* drivers give something else instead of an error */
	if (choice.fourcc != offer->device_fourcc)
		return refuse_format(search);
	if (choice.width != offer->width || choice.height != offer->height)
		return source_fail(search->device->source, -EINVAL,
			"%s has no size %ux%u, the nearest is %ux%u", search->device->path,
			offer->width, offer->height, choice.width, choice.height);
	if (choice.memory_plane_count < 1 || choice.memory_plane_count > FORMAT_PLANES_MAX)
		return source_fail(search->device->source, -EINVAL,
			"%s: the driver's format cannot be right: %u memory planes",
			search->device->path, choice.memory_plane_count);
	choice.fourcc = offer->fourcc;
	*ret_choice = choice;
	return 0;
}

/* Sets the offer's rate, if it has one, and writes the device's into it. */
static int set_frame_rate(const struct search *search, struct offer *offer)
{
	struct v4l2_streamparm parameters = {.type = search->device->type};
	struct v4l2_captureparm *capture = &parameters.parm.capture;
	int r = -ENOTTY;

	if (offer->rate_denominator != 0) {
		capture->timeperframe.numerator = offer->rate_denominator;
		capture->timeperframe.denominator = offer->rate_numerator;
		r = v4l2_device_ioctl(search->device, VIDIOC_S_PARM, &parameters);
		if (r == -EBUSY || r == -ENODEV)
			return v4l2_device_fail(search->device, r, "setting the rate");
	}
	if (r < 0)
		r = v4l2_device_ioctl(search->device, VIDIOC_G_PARM, &parameters);
	if (r == 0 && capture->capability & V4L2_CAP_TIMEPERFRAME)
		set_rate(offer, &capture->timeperframe);
	else
		offer->rate_numerator = offer->rate_denominator = 0;
	if (search->wanted.rate_denominator != 0 && !same_rate(offer, &search->wanted))
		return refuse_rate(search, offer);
	return 0;
}

int v4l2_format_negotiate(const struct v4l2_device *device, const struct options *options,
	struct v4l2_choice *ret_choice)
{
	struct v4l2_format format = {.type = device->type};
	struct search search = {.device = device,
		.wanted = {.fourcc = options->fourcc,
			.width = options->width,
			.height = options->height,
			.rate_numerator = options->rate_numerator,
			.rate_denominator = options->rate_denominator}};
	struct v4l2_choice current, choice;
	int r;

	r = v4l2_device_ioctl(device, VIDIOC_G_FMT, &format);
	if (r < 0)
		return v4l2_device_fail(device, r, "asking for its format");
	read_format(&format, &current);
	search.current.fourcc = format_in_one_buffer(current.fourcc);
	search.current.device_fourcc = current.fourcc;
	search.current.width = current.width;
	search.current.height = current.height;

	search_formats(&search);
	if (search.best.fourcc == 0)
		return refuse(&search);
	r = set_format(&search, &search.best, &choice);
	if (r < 0)
		return r;
	r = set_frame_rate(&search, &search.best);
	if (r < 0)
		return r;
	choice.rate_numerator = search.best.rate_numerator;
	choice.rate_denominator = search.best.rate_denominator;
	*ret_choice = choice;
	return 0;
}
