/* SPDX-License-Identifier: MIT */

/*
 * face_detect [--annotate DIR] [--cascade FILE] [--stream STREAM] [NAME]: where are faces?
 *
 * OpenCV's cascade of boosted classifiers looks at grey pictures where they lie in camtapd's
 * memory, without a copy. It takes its time, so this program asks for the newest frame each time
 * and lets the others pass: results are always about now. Prints one line of JSON per face, with
 * its box in pixels of the stream; --annotate writes a picture with the boxes of each frame that
 * has any.
 */

#include <camtap.h>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <getopt.h>
#include <string>
#include <vector>

static const char usage[] =
	"usage: face_detect [OPTION...] [NAME]\n\n"
	"  --annotate DIR   write pictures with the boxes there (it must exist)\n"
	"  --cascade FILE   instead of the frontal faces of Debian's opencv-data\n"
	"  --stream STREAM  GREY, GREY:640x360 ... (GREY)\n";

struct detector {
	cv::CascadeClassifier cascade;
	std::string annotate; /* folder, or empty */
};

/* False: the picture could not be written. */
static bool annotate(const struct detector &detector, const cv::Mat &grey,
	const std::vector<cv::Rect> &faces, uint64_t epoch, uint64_t id)
{
	std::string path =
		detector.annotate + "/" + std::to_string(epoch) + "-" + std::to_string(id) + ".png";
	cv::Mat picture;

	cv::cvtColor(grey, picture, cv::COLOR_GRAY2BGR);
	for (const cv::Rect &face : faces)
		cv::rectangle(picture, face, cv::Scalar(0, 255, 255), 2);
	if (cv::imwrite(path, picture))
		return true;
	fprintf(stderr, "face_detect: cannot write %s\n", path.c_str());
	return false;
}

/* Looks at a frame and releases it. False: give up. */
static bool look(struct detector &detector, struct camtap *camera, struct camtap_frame *frame)
{
	uint64_t epoch = camtap_frame_epoch(frame), id = camtap_frame_id(frame);
	int width = (int)camtap_frame_width(frame), height = (int)camtap_frame_height(frame);
	int64_t time = camtap_frame_realtime(frame);
	/* A picture over the frame's own memory. OpenCV has no read-only pictures, hence the cast;
	 * writing to it would be a segmentation fault, for it is mapped read-only. */
	const cv::Mat grey(height, width, CV_8UC1, const_cast<void *>(camtap_frame_data(frame, 0)),
		camtap_frame_stride(frame, 0));
	std::vector<cv::Rect> faces;
	cv::Mat kept;

	/* sizes from a twelfth of the height on, each a tenth larger; 5 finds that agree */
	detector.cascade.detectMultiScale(
		grey, faces, 1.1, 5, 0, cv::Size(height / 12, height / 12));
	if (!detector.annotate.empty() && !faces.empty())
		kept = grey.clone(); /* what is kept for longer than the frame is copied */
	if (camtap_release(frame) == -ESTALE) {
		fprintf(stderr, "face_detect: frame %" PRIu64 " was held too long\n", id);
		return true; /* other pixels may have come into it: the faces may be of neither */
	}
	for (const cv::Rect &face : faces)
		printf("{\"camera\": \"%s\", \"epoch\": \"%" PRIu64 "\", \"id\": \"%" PRIu64
		       "\", \"realtime_ns\": \"%" PRId64
		       "\", \"x\": %d, \"y\": %d, \"width\": %d, \"height\": %d}\n",
			camtap_name(camera), epoch, id, time, face.x, face.y, face.width,
			face.height);
	return kept.empty() || annotate(detector, kept, faces, epoch, id);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"annotate", required_argument, nullptr, 'a'},
		{"cascade", required_argument, nullptr, 'c'},
		{"stream", required_argument, nullptr, 's'}, {}};
	const char *cascade = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_alt2.xml";
	const char *stream = "GREY";
	struct detector detector;
	struct camtap_frame *frame;
	struct camtap *camera;
	int option, result;
	bool good = true;

	while ((option = getopt_long(argc, argv, "", options, nullptr)) != -1) {
		if (option == 'a')
			detector.annotate = optarg;
		else if (option == 'c')
			cascade = optarg;
		else if (option == 's')
			stream = optarg;
		else
			return fputs(usage, stderr), 2;
	}
	if (strncmp(stream, "GREY", 4) != 0)
		return fputs(usage, stderr), 2;
	if (!detector.cascade.load(cascade)) {
		fprintf(stderr, "face_detect: cannot read %s: is opencv-data installed?\n",
			cascade);
		return 1;
	}
	setlinebuf(stdout);
	result = camtap_new(&camera);
	if (result < 0) {
		fprintf(stderr, "face_detect: %s\n", strerror(-result));
		return 1;
	}
	result = camtap_set_camera(camera, argv[optind]); /* NULL: the only one */
	if (result == 0)
		result = camtap_set_stream(camera, stream);
	if (result == 0)
		result = camtap_connect(camera);
	while (good && result >= 0) {
		result = camtap_latest(camera, &frame, -1);
		if (result == CAMTAP_ENDED) /* the recording is over */
			break;
		if (result == CAMTAP_FRAME)
			good = look(detector, camera, frame);
		else if (result > 0) /* the camera goes, comes back, or changes */
			fprintf(stderr, "face_detect: %s\n", camtap_event_text(camera));
	}
	if (result < 0)
		fprintf(stderr, "face_detect: %s\n", camtap_error_text(camera));
	camtap_close(camera);
	return good && result >= 0 ? 0 : 1;
}
