# SPDX-License-Identifier: MIT
# Functions for scripts that run in the guest: `. /vm/lib.sh`.

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# vivid_hdmi WIDTH HEIGHT FOURCC: makes /dev/video0 a 60 fps camera.
#
# Input 0, the webcam, lowers its rate as the picture grows. Input 3 is HDMI: the rate is that of
# its timings. vivid scales down but not up, so a 1080p picture needs 1080p timings: entries 7
# (1280x720) and 14 (1920x1080) of --list-dv-timings are both 60 fps exactly. (640x360 has
# `cvt,width=640,height=360,fps=60`, too, which is 59.84.)
vivid_hdmi() {
	timings=7
	[ "$1" -le 1280 ] || timings=14
	v4l2-ctl --set-input 3 --set-dv-bt-timings index=$timings >/dev/null ||
		fail "vivid took no HDMI input"
	v4l2-ctl --set-fmt-video "width=$1,height=$2,pixelformat=$3" >/dev/null ||
		fail "vivid took no HDMI input with $1x$2 $3"
	# S_FMT gives another format rather than an error
	[ "$(v4l2-ctl --get-fmt-video | awk '
		/Width\/Height/ { size = $3 }
		/Pixel Format/ { gsub("\047", "", $4); print size, $4 }')" = "$1/$2 $3" ] ||
		fail "vivid has no $1x$2 $3"
	# (v4l2-ctl 1.22 cannot ask a multi-planar device)
	v4l2-ctl --get-parm 2>&1 | grep -q -e 'Frames per second: 60.000 ' -e 'G_PARM: failed' ||
		fail "vivid has not 60 fps"
}
