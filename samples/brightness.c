/* SPDX-License-Identifier: MIT */

/*
 * brightness [NAME]: how bright is each frame of a camera (the one named, or the only one)?
 *
 * Asks for small grey pictures, whatever the camera delivers: camtapd converts once for all who ask
 * for the same. Prints one line of JSON per frame; "missed" are the frames between this one and the
 * one before that came too fast. 64-bit numbers are strings, as in all JSON of camtap's.
 */

#include <camtap.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The mean of all pixels, 0 black to 255 white. */
static double brightness(const struct camtap_frame *frame)
{
	uint32_t width = camtap_frame_width(frame), height = camtap_frame_height(frame);
	size_t stride = camtap_frame_stride(frame, 0); /* bytes from line to line, >= width */
	const uint8_t *pixels = camtap_frame_data(frame, 0);
	uint64_t sum = 0;

	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++)
			sum += pixels[y * stride + x];
	}
	return (double)sum / ((double)width * height);
}

static void measure(struct camtap *camera, struct camtap_frame *frame)
{
	uint64_t epoch = camtap_frame_epoch(frame), id = camtap_frame_id(frame);
	uint64_t missed = camtap_frame_missed(frame);
	int64_t time = camtap_frame_realtime(frame);
	double mean = brightness(frame);

	if (camtap_release(frame) == -ESTALE)
		return; /* it was held too long: the pixels may have changed under our eyes */
	printf("{\"camera\": \"%s\", \"epoch\": \"%" PRIu64 "\", \"id\": \"%" PRIu64
	       "\", \"realtime_ns\": \"%" PRId64 "\", \"missed\": %" PRIu64
	       ", \"brightness\": %.3f}\n",
		camtap_name(camera), epoch, id, time, missed, mean);
}

int main(int argc, char **argv)
{
	struct camtap *camera;
	struct camtap_frame *frame;
	int result;

	setlinebuf(stdout);
	result = camtap_new(&camera);
	if (result < 0) {
		fprintf(stderr, "brightness: %s\n", strerror(-result));
		return 1;
	}
	result = camtap_set_camera(camera, argc > 1 ? argv[1] : NULL); /* NULL: the only one */
	if (result == 0)
		result = camtap_set_stream(camera, "GREY:320x240");
	if (result == 0)
		result = camtap_connect(camera);
	while (result >= 0) {
		result = camtap_next(camera, &frame, -1);
		if (result == CAMTAP_ENDED) /* the recording is over */
			break;
		if (result == CAMTAP_FRAME)
			measure(camera, frame);
		else if (result > 0) /* the camera goes, comes back, or changes */
			fprintf(stderr, "brightness: %s\n", camtap_event_text(camera));
	}
	if (result < 0)
		fprintf(stderr, "brightness: %s\n", camtap_error_text(camera));
	camtap_close(camera);
	return result < 0 ? 1 : 0;
}
