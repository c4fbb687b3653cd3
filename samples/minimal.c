/* SPDX-License-Identifier: MIT */

/* Attaches to a camera (the one named, or the only one), and prints what is known of ten frames. */

#include <camtap.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_frame(const struct camtap_frame *frame)
{
	char fourcc[CAMTAP_FOURCC_TEXT_SIZE];

	printf("frame %" PRIu64 " (%" PRIu64 " missed): %s %" PRIu32 "x%" PRIu32
	       ", %zu bytes, stride %zu, published at %" PRId64 " ns\n",
		camtap_frame_id(frame), camtap_frame_missed(frame),
		camtap_fourcc_text(camtap_frame_fourcc(frame), fourcc), camtap_frame_width(frame),
		camtap_frame_height(frame), camtap_frame_bytesused(frame, 0),
		camtap_frame_stride(frame, 0), camtap_frame_publish_time(frame));
}

int main(int argc, char **argv)
{
	struct camtap *camera;
	struct camtap_frame *frame;
	int result, frames = 0;

	result = camtap_new(&camera);
	if (result < 0) {
		fprintf(stderr, "minimal: %s\n", strerror(-result));
		return 1;
	}
	result = camtap_set_camera(camera, argc > 1 ? argv[1] : NULL); /* NULL: the only one */
	if (result == 0)
		result = camtap_connect(camera);
	while (result >= 0 && frames < 10) {
		result = camtap_next(camera, &frame, 10000);
		if (result == CAMTAP_FRAME) {
			frames++;
			print_frame(frame); /* and look at camtap_frame_data() */
			if (camtap_release(frame) == -ESTALE)
				printf("... was held too long: what it showed is not to be used\n");
		} else if (result == CAMTAP_TRY_AGAIN) {
			fprintf(stderr, "no frame in 10 s, going on\n");
		} else if (result == CAMTAP_ENDED) { /* the recording is over */
			break;
		} else if (result > 0) { /* the camera goes, comes back, or changes */
			fprintf(stderr, "%s\n", camtap_event_text(camera));
		}
	}
	if (result < 0)
		fprintf(stderr, "minimal: %s\n", camtap_error_text(camera));
	camtap_close(camera);
	return result < 0 ? 1 : 0;
}
