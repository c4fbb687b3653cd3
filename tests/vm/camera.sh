# SPDX-License-Identifier: MIT
# The USB test camera (uvcam/uvcam.c) in scripts that run in the guest: `. /vm/camera.sh` after
# lib.sh. The guest needs --udev, and the modules uvcvideo and vhci_hcd.

PICTURES=/vm/pictures
BY_ID=/dev/v4l/by-id/usb-camtap_Test_Camera

# camera_start NAME OPTION...: NAME is only what the script calls it. A frame that is sent with a
# fault is a line in /tmp/NAME.log.
camera_start() {
	name=$1
	shift
	mkfifo "/tmp/$name.in" "/tmp/$name.out"
	# It holds both ends of both pipes, so that nobody else waits in open() or sees an end.
	uvcam ${PICTURES:+--pictures "$PICTURES"} "$@" 0<>"/tmp/$name.in" 1<>"/tmp/$name.out" 2>"/tmp/$name.log" &
	echo $! >"/tmp/$name.pid"
	camera "$name" status
}

# camera NAME COMMAND...: returns when the camera has done it; what it answered is in $answer.
camera() {
	name=$1
	shift
	kill -0 "$(cat "/tmp/$name.pid")" 2>/dev/null || fail "no camera: $(cat "/tmp/$name.log")"
	echo "$*" >"/tmp/$name.in"
	answer=
	read -r -t 30 answer <"/tmp/$name.out"
	case $answer in
	ok*) answer=${answer#ok} ;;
	*) fail "camera $name: $*: $answer $(cat "/tmp/$name.log")" ;;
	esac
}

# frame_of NAME: the number of the next frame.
frame_of() {
	camera "$1" status
	echo "${answer##*frame=}"
}

# Hundredths of a second since the boot.
uptime_cs() {
	read -r uptime _ </proc/uptime
	echo "${uptime%.*}${uptime#*.}"
}

# within SECONDS COMMAND...: until it succeeds.
within() {
	limit=$(($(uptime_cs) + $1 * 100))
	shift
	until "$@"; do
		[ "$(uptime_cs)" -lt $limit ] || fail "not in time: $*"
		usleep 5000 # a file or a node has no event that a shell could wait for
	done
}

# by_path PORT: the link of the camera in that port, if it has one.
by_path() {
	echo "/dev/v4l/by-path/platform-vhci_hcd.0-usb-0:$(($1 + 1)):1.0-video-index0"
}

exists() { [ -e "$1" ]; }
is_gone() { [ ! -e "$1" ] && [ ! -L "$1" ]; }
