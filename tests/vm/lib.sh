# SPDX-License-Identifier: MIT
# Functions for scripts that run in the guest: `. /vm/lib.sh`.

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# vivid_hdmi WIDTH HEIGHT FOURCC: makes /dev/video0 a 60 fps camera.
#
# Input 0, the webcam, lowers its rate as the picture grows. Input 3 is HDMI: the rate is that of
# its timings, 1280x720 at 60 fps from the start, and vivid's scaler makes any other size of that.
# So no --set-dv-bt-timings is needed. (Timings of the picture's own size work too: `index=14` of
# --list-dv-timings for 1920x1080; 640x360 has `cvt,width=640,height=360,fps=60`, which is 59.84.)
# Measured under TCG on 2 processors: 60 fps in YUYV and NV12 at 640x360, 1280x720 and 1920x1080,
# with 11 to 17 % of the processors busy.
vivid_hdmi() {
	v4l2-ctl --set-input 3 --set-fmt-video "width=$1,height=$2,pixelformat=$3" >/dev/null ||
		fail "vivid took no HDMI input with $1x$2 $3"
	# S_FMT gives another format rather than an error
	[ "$(v4l2-ctl --get-fmt-video | awk '
		/Width\/Height/ { size = $3 }
		/Pixel Format/ { gsub("\047", "", $4); print size, $4 }')" = "$1/$2 $3" ] ||
		fail "vivid has no $1x$2 $3"
	v4l2-ctl --get-parm | grep -q 'Frames per second: 60.000 ' || fail "vivid has not 60 fps"
}
