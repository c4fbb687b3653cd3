# SPDX-License-Identifier: MIT
# uvcam.sh: is the USB test camera a camera, and does it do what it is told? With v4l2-ctl alone.
# shellcheck disable=SC1091 # in the guest only
. /vm/lib.sh
. /vm/camera.sh

camera_id=${BY_ID}_0001-video-index0

# choose FOURCC WIDTH HEIGHT FPS
choose() {
	v4l2-ctl -d "$camera_id" --set-fmt-video "width=$2,height=$3,pixelformat=$1" -p "$4" \
		>/dev/null || fail "$*: not taken"
	v4l2-ctl -d "$camera_id" --get-parm | grep -q "Frames per second: $4.000 " || fail "rate $4"
	chosen="$1 $2x$3"
}

# stream COUNT: into /tmp/frames, what v4l2-ctl says into /tmp/log
stream() {
	v4l2-ctl -d "$camera_id" --verbose --stream-mmap --stream-count="$1" \
		--stream-to=/tmp/frames >/tmp/log 2>&1 || fail "no stream: $(cat /tmp/log)"
}

stream_in_background() {
	: >/tmp/frames
	v4l2-ctl -d "$camera_id" --verbose --stream-mmap --stream-count="$1" \
		--stream-to=/tmp/frames >/tmp/log 2>&1 &
	streaming=$!
	within 10 test -s /tmp/frames
}

# The numbers of the frames in /tmp/frames, which are all whole.
numbers() {
	# shellcheck disable=SC2086 # format and size
	uvcam-check /tmp/frames $chosen $PICTURES >/tmp/numbers || fail "$chosen: damaged"
}

# missing: how many numbers are missing between the first and the last
missing() {
	awk 'NR > 1 { n += $1 - last - 1 } { last = $1 } END { print n + 0 }' /tmp/numbers
}

fps() {
	awk '/dqbuf/ { for (i = 1; i < NF; i++) if ($i == "ts:") { last = $(i + 1); n++ }
		if (n == 1) first = last } END { print (n - 1) / (last - first) }' /tmp/log
}

check_formats() {
	v4l2-ctl -d "$camera_id" --info >/tmp/log
	grep -q 'Driver name *: uvcvideo' /tmp/log || fail "$(cat /tmp/log)"
	grep -q 'Card type *: Test Camera' /tmp/log || fail "$(cat /tmp/log)"
	grep -q 'Serial *: 0001' /tmp/log || fail "$(cat /tmp/log)"
	v4l2-ctl -d "$camera_id" --list-formats-ext >/tmp/log
	for size in 320x180 640x360 1280x720; do
		[ "$(grep -c "Size: Discrete $size" /tmp/log)" -eq 2 ] || fail "$(cat /tmp/log)"
	done
	for rate in 60 30 15; do
		[ "$(grep -c "($rate.000 fps)" /tmp/log)" -eq 6 ] || fail "$(cat /tmp/log)"
	done
	echo "ok formats, sizes, rates, names"
}

check_pictures() { # FOURCC WIDTH HEIGHT FPS COUNT
	choose "$1" "$2" "$3" "$4"
	stream "$5"
	numbers
	[ "$(wc -l </tmp/numbers)" -eq "$5" ] || fail "$*: not $5 frames"
	[ "$(missing)" -eq 0 ] || fail "$*: frames are missing"
	# never too fast; a busy host makes it slower
	fps | awk -v wanted="$4" '{ exit !($1 > wanted * 0.6 && $1 < wanted * 1.1) }' ||
		fail "$*: $(fps) frames a second"
	echo "ok $1 $2x$3: $5 frames to the bit, $(fps) a second"
}

check_faults() { # nodrop: 0 or 1
	echo "$1" >/sys/module/uvcvideo/parameters/nodrop # read when a camera is plugged in
	camera a unplug
	within 10 is_gone "$camera_id"
	camera a plug
	within 10 exists "$camera_id"

	choose YUYV 320 180 30
	camera a error 3
	stream 30
	[ "$(grep -c dqbuf.*error /tmp/log)" -eq $((3 * $1)) ] || fail "nodrop=$1: $(cat /tmp/log)"
	numbers # the bytes are good
	[ "$(missing)" -eq 0 ] || fail "error bit at the start"
	[ "$(grep -c error /tmp/a.log)" -eq $((3 + 3 * $1)) ] || fail "$(cat /tmp/a.log)"

	camera a short 2 50
	stream 30
	[ "$(grep -c dqbuf.*error /tmp/log)" -eq $((2 * $1)) ] || fail "nodrop=$1: $(cat /tmp/log)"
	[ "$(grep -c 'bytesused: 57600' /tmp/log)" -eq $((2 * $1)) ] || fail "$(cat /tmp/log)"

	camera a empty 2
	stream_in_background 30
	wait $streaming 2>/dev/null
	grep -q dqbuf.*error /tmp/log && fail "empty frames came: $(cat /tmp/log)"

	choose MJPG 640 360 30
	for fault in "truncate 1 1000" "marker 1 EOI" "marker 1 SOS" "flip 1 900" "short 1 70"; do
		# shellcheck disable=SC2086 # words
		camera a $fault
		stream 5
		# shellcheck disable=SC2086 # format and size
		uvcam-check /tmp/frames $chosen $PICTURES >/dev/null 2>&1 && fail "$fault: whole"
		grep -q dqbuf.*error /tmp/log && fail "$fault: $(cat /tmp/log)"
	done
	stream 5
	numbers
	echo "ok nodrop=$1: error bit, short, empty and damaged frames"
}

check_pause() {
	choose MJPG 640 360 30
	stream_in_background 100000
	camera a pause
	camera a status
	case $answer in *plugged=1*streaming=1*paused=1*) ;; *) fail "status $answer" ;; esac
	at=$(frame_of a)
	usleep 300000 # nine frames' time: nothing may come
	[ "$(frame_of a)" -eq "$at" ] || fail "it goes on"
	camera a resume
	camera a wait 10
	kill $streaming
	wait $streaming 2>/dev/null
	echo "ok pause and resume"
}

check_failing_requests() {
	choose MJPG 640 360 30
	camera a stall commit 1
	v4l2-ctl -d "$camera_id" --stream-mmap --stream-count=1 >/tmp/log 2>&1
	grep -q 'STREAMON returned -1 (Input/output error)' /tmp/log || fail "STREAMON: $(cat /tmp/log)"
	camera a stall probe 1
	v4l2-ctl -d "$camera_id" --set-fmt-video width=320 >/tmp/log 2>&1
	grep -q 'S_FMT: failed: Input/output error' /tmp/log || fail "S_FMT: $(cat /tmp/log)"
	choose MJPG 640 360 30
	stream_in_background 100000
	camera a halt
	at=$(frame_of a)
	usleep 300000
	[ "$(frame_of a)" -eq "$at" ] || fail "it goes on after a halt"
	kill $streaming
	wait $streaming 2>/dev/null
	stream 5
	numbers
	echo "ok requests fail, and the endpoint halts until it is started anew"
}

check_controls() {
	v4l2-ctl -d "$camera_id" -l >/tmp/log
	for line in 'brightness .*min=0 max=255 step=1 default=128 value=128' \
		'contrast .*min=0 max=95 step=1 default=32 value=32' \
		'auto_exposure .*default=3 value=3' \
		'exposure_time_absolute .*min=3 max=2047 .*value=250 flags=inactive'; do
		grep -q "$line" /tmp/log || fail "no $line: $(cat /tmp/log)"
	done
	v4l2-ctl -d "$camera_id" -c exposure_time_absolute=100 >/dev/null 2>&1 &&
		fail "exposure is automatic, but can be set"
	v4l2-ctl -d "$camera_id" -c brightness=200,contrast=7,auto_exposure=1 || fail "not set"
	v4l2-ctl -d "$camera_id" -c exposure_time_absolute=100 || fail "exposure not set"
	camera a controls
	[ "$answer" = " brightness=200 contrast=7 exposure_mode=1 exposure_time=100" ] ||
		fail "controls:$answer"
	camera a unplug
	camera a plug
	camera a controls
	[ "$answer" = " brightness=128 contrast=32 exposure_mode=8 exposure_time=250" ] ||
		fail "controls after replug:$answer"
	echo "ok controls"
}

check_plugging() {
	within 10 exists "$(by_path 0)"
	choose MJPG 640 360 30
	stream_in_background 100000
	before=$(uptime_cs)
	camera a unplug
	within 10 is_gone "$camera_id"
	within 10 is_gone "$(by_path 0)"
	gone=$(uptime_cs)
	wait $streaming 2>/dev/null
	camera a plug 3
	within 10 exists "$camera_id"
	within 10 exists "$(by_path 3)"
	echo "ok unplugged: links gone after $((gone - before))0 ms," \
		"plugged: there after $(($(uptime_cs) - gone))0 ms"
	[ ! -e "$(by_path 0)" ] || fail "by-path says that it is in the old port"
	stream 5
	numbers

	# another one with the same serial number, and one with its own
	camera_start b --port 5
	within 10 exists "$(by_path 5)"
	[ "$(readlink -f "$(by_path 3)")" != "$(readlink -f "$(by_path 5)")" ] || fail "by-path"
	camera_start c --port 6 --serial C3 --product Other
	within 10 exists /dev/v4l/by-id/usb-camtap_Other_C3-video-index0
	camera b quit
	camera c quit
	within 10 is_gone "$(by_path 5)"
	within 10 is_gone /dev/v4l/by-id/usb-camtap_Other_C3-video-index0
	udevadm settle
	exists "$camera_id" || fail "the link has gone with the other camera of that serial number"
	echo "ok serial numbers and ports"
}

[ -z "$(ls /dev/video* 2>/dev/null)" ] || fail "there is a camera already"
camera_start a --port 0
within 10 exists "$camera_id"
check_formats
check_pictures MJPG 640 360 30 90
check_pictures MJPG 320 180 60 60
check_pictures MJPG 1280 720 15 15
check_pictures YUYV 320 180 30 30
check_pictures YUYV 640 360 15 15
check_controls
within 10 exists "$camera_id"
check_faults 0
check_faults 1
check_pause
check_failing_requests
check_plugging
