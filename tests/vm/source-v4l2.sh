#!/bin/sh
# SPDX-License-Identifier: MIT
# source-v4l2.sh plain|contiguous|multiplanar: the V4L2 source by itself (source-probe) on vivid.
# plain: as it is. contiguous: loaded with allocators=1, which refuses USERPTR. multiplanar: with
# multiplanar=2. Prints a line per check.
. /vm/lib.sh

DEVICE=/dev/video0
ZERO_COPY='zero-copy (USERPTR)'
ONE_COPY='one copy (MMAP)'
CONVERSION='libv4l2 conversion (MMAP)'

# hdmi WIDTH HEIGHT FOURCC: 60 fps with timings of at least that size. (vivid's scaler only makes
# pictures smaller: of a larger one it writes only a part.)
hdmi() {
	index=7 # 1280x720, 60 Hz
	[ "$1" -gt 1280 ] && index=14 # 1920x1080
	v4l2-ctl --set-input 3 --set-dv-bt-timings index=$index >/dev/null || fail "timings"
	vivid_hdmi "$@"
}

# The line that explains what was chosen is no complaint.
complaints() {
	sed -i '/: the largest picture with at least/d' /tmp/log
}

# probe FRAMES [OPTION]...: must succeed, without a word on standard error
probe() {
	frames=$1
	shift
	source-probe "$frames" /tmp/frame --source $DEVICE "$@" >/tmp/out 2>/tmp/log ||
		fail "$*: exit status $?: $(cat /tmp/log)"
	complaints
	[ ! -s /tmp/log ] || fail "$*: says: $(cat /tmp/log)"
}

# has PATTERN...: the probe's line has them all
has() {
	for pattern in "$@"; do
		grep -q -e "$pattern" /tmp/out || fail "no $pattern in: $(cat /tmp/out)"
	done
}

# value KEY: of the probe's line
value() {
	sed -n "s/.* $1=\([^ ]*\).*/\1/p" /tmp/out
}

# Every frame that the camera made was taken, lost or corrupt: 60 a second (the first and the last one
# may be late).
adds_up() {
	awk -v sent="$(value sent)" 'BEGIN { exit !(sent > 54 && sent < 66) }' ||
		fail "not 60 frames a second were sent: $(cat /tmp/out)"
}

# refused PATTERN OPTION...: one line on standard error
refused() {
	pattern=$1
	shift
	if source-probe 3 /tmp/frame "$@" >/tmp/out 2>/tmp/log; then
		fail "$*: was not refused: $(cat /tmp/out)"
	fi
	complaints
	[ "$(wc -l </tmp/log)" -eq 1 ] || fail "$*: not one line: $(cat /tmp/log)"
	grep -q -e "$pattern" /tmp/log || fail "$*: says: $(cat /tmp/log)"
	echo "ok $(cat /tmp/log)"
}

# in_background FRAMES OPTION...
in_background() {
	frames=$1
	shift
	rm -f /tmp/out /tmp/log # the shell in the background makes them, some time
	source-probe "$frames" /tmp/frame --source $DEVICE "$@" >/tmp/out 2>/tmp/log &
	streaming=$!
	until grep -q -s streaming /tmp/out; do
		kill -0 $streaming 2>/dev/null || fail "$*: $(cat /tmp/log)"
		usleep 10000 # until the first frame, or the end
	done
}

# ends PATTERN: the probe in the background must fail so
ends() {
	if wait $streaming; then
		fail "it went on"
	fi
	grep -q -e "$1" /tmp/log || fail "says: $(cat /tmp/log)"
	complaints
	[ "$(wc -l </tmp/log)" -eq 1 ] || fail "not one line: $(cat /tmp/log)"
	echo "ok $(cat /tmp/log)"
}

moving() { # WIDTH HEIGHT FOURCC BYTES MEMORY TRANSFER
	hdmi "$1" "$2" "$3"
	probe 60 --memory "$5"
	has "^format=$3 size=$1x$2 rate=60/1 " "frames=60 corrupt=0 " same=0 clock=1 soe=0 field=1 \
		"bytes=$4 " "transfer=$6\$"
	adds_up
	echo "ok $5: $(tail -n 1 /tmp/out)"
}

# The bytes are those that v4l2-ctl gets. Without its text, vivid's picture stands still.
exact() { # FOURCC MEMORY...
	fourcc=$1
	shift
	hdmi 640 360 "$fourcc"
	v4l2-ctl --stream-mmap --stream-count=1 --stream-to=/tmp/expected >/dev/null 2>&1 ||
		fail "v4l2-ctl"
	for memory in "$@"; do
		rm -f /tmp/frame
		probe 3 --memory "$memory"
		has same=1
		cmp /tmp/frame /tmp/expected || fail "$fourcc $memory: not what v4l2-ctl gets"
	done
	echo "ok $fourcc $*: the bytes that v4l2-ctl gets"
}

# A format whose planes lie apart: the device's is taken as it is set.
apart() { # FOURCC
	hdmi 640 360 "$1"
	v4l2-ctl --stream-mmap --stream-count=1 --stream-to=/tmp/expected >/dev/null 2>&1 ||
		fail "v4l2-ctl"
	for memory in userptr copy; do
		rm -f /tmp/frame
		probe 3 --memory $memory
		has same=1
		cmp /tmp/frame /tmp/expected || fail "$1 $memory: not what v4l2-ctl gets"
	done
	echo "ok $1, each plane in memory of its own: the bytes that v4l2-ctl gets"
}

check_negotiation() {
	hdmi 640 360 YUYV
	# of a device that scales to any size: its current format and size
	probe 3
	has "^format=YUYV size=640x360 rate=60/1 needed=2 "
	probe 3 --pixel-format NV16 --size 320x180 --rate 60
	has "^format=NV16 size=320x180 rate=60/1 "
	# the webcam input has sizes and rates; vivid's webcam gets slower as the picture grows
	v4l2-ctl --set-input 0 >/dev/null
	v4l2-ctl --set-fmt-video pixelformat=GREY,width=320,height=180 >/dev/null
	probe 3
	has "^format=GREY size=640x480 rate=25/1 "
	probe 3 --size 1280x720
	has "^format=GREY size=1280x720 rate=25/2 "
	probe 3 --size 320x180
	has "^format=GREY size=320x180 rate=60/1 "
	probe 3 --rate 5
	has "^format=GREY size=1920x1080 rate=5/1 "
	probe 25 --pixel-format YUYV --size 320x180 --rate 10
	has "^format=YUYV size=320x180 rate=10/1 "
	awk -v fps="$(value fps)" 'BEGIN { exit !(fps > 9 && fps < 11) }' || fail "not 10 fps"
	echo "ok negotiation"

	refused 'no pixel format MJPG, but YUYV, UYVY, .*NV12' --source $DEVICE --pixel-format MJPG
	refused 'no size 641x360, but 320x180, 640x360, 640x480, 1280x720, 1920x1080, 3840x2160' \
		--source $DEVICE --size 641x360
	refused 'no size 64x48 in YUYV, but 320x180, ' --source $DEVICE --size 64x48 \
		--pixel-format YUYV
	refused 'no rate of 31 at 1280x720 in YUYV, but 1, .*, 12.5 frames per second' \
		--source $DEVICE --size 1280x720 --pixel-format YUYV --rate 31
	hdmi 640 360 YUYV
	refused 'no size 15x15, but 16x16 to 16384x8640 in steps of 2x2' --source $DEVICE \
		--size 15x15
	refused 'no rate of 50 at 640x360 in YUYV, but 60 frames' --source $DEVICE --rate 50
	refused 'rate 0 is for' --source $DEVICE --rate 0
}

check_wrong_devices() {
	refused 'no such device: /dev/video42' --source /dev/video42
	refused '/dev/null is not a V4L2 device' --source /dev/null
	refused '/etc/passwd is not a V4L2 device' --name x --source v4l2:/etc/passwd
	refused '/dev is not a V4L2 device' --name x --source v4l2:/dev
	in_background 100000
	refused 'is used by another program: .camtap list. names it' --source $DEVICE
	kill $streaming
	wait $streaming 2>/dev/null
}

check_slot_counts() {
	hdmi 640 360 YUYV
	for slots in 3 32 33 64; do
		probe 80 --memory userptr --slots $slots
		has "frames=80 corrupt=0" "transfer=$ZERO_COPY"
		adds_up
	done
	echo "ok 3 to 64 slots"
}

check_numbers_and_times() {
	hdmi 640 360 YUYV
	v4l2-ctl -c wrap_sequence_number=1
	probe 150 # it wraps at 127
	has "frames=150 corrupt=0"
	adds_up
	v4l2-ctl -c wrap_sequence_number=0
	v4l2-ctl -c percentage_of_dropped_buffers=25
	probe 120
	[ "$(value lost)" -gt 10 ] || fail "no frame was lost: $(cat /tmp/out)"
	adds_up
	v4l2-ctl -c percentage_of_dropped_buffers=0
	v4l2-ctl -c timestamp_source=1
	probe 3
	has soe=1
	v4l2-ctl -c timestamp_source=0
	echo "ok wrapped sequence numbers, lost frames, start of exposure"
}

check_faults() { # MEMORY
	hdmi 640 360 YUYV
	in_background 100000 --memory "$1"
	v4l2-ctl -c inject_fatal_streaming_error=1
	ends '^/dev/video0: its driver reports an error while '
	in_background 100000 --memory "$1"
	v4l2-ctl -c disconnect=1
	ends '^/dev/video0 has been unplugged$'
	in_background 0 --memory "$1" # without a slot, it learns of it as well
	v4l2-ctl -c disconnect=1
	ends '^/dev/video0 has been unplugged$'
	v4l2-ctl -c inject_vidioc_streamon_error=1
	refused '/dev/video0: starting the stream: Invalid argument' --source $DEVICE --memory "$1"
	probe 3 --memory "$1"
	echo "ok it goes on after all of these"
}

# One buffer comes with V4L2_BUF_FLAG_ERROR.
check_error_flag() { # MEMORY
	hdmi 640 360 YUYV
	in_background 120 --memory "$1"
	v4l2-ctl -c inject_v4l2_buf_flag_error=1
	wait $streaming || fail "$(cat /tmp/log)"
	has "frames=120 corrupt=1 "
	adds_up
	echo "ok $1: a buffer with the error flag is counted, not taken"
}

case $1 in
plain)
	for memory in auto copy libv4l2; do
		case $memory in
		auto) transfer=$ZERO_COPY ;;
		copy) transfer=$ONE_COPY ;;
		libv4l2) transfer=$CONVERSION ;;
		esac
		moving 640 360 YUYV 460800 $memory "$transfer"
		moving 640 360 NV12 345600 $memory "$transfer"
		moving 1920 1080 NV12 3110400 $memory "$transfer"
		check_error_flag $memory
	done
	v4l2-ctl -c osd_text_mode=2
	for fourcc in YUYV VYUY NV12 NV24 YU12 422P RGB3 XR24 GREY YV12 RGGB BG10; do
		exact "$fourcc" userptr copy libv4l2
	done
	check_negotiation
	check_wrong_devices
	check_slot_counts
	check_numbers_and_times
	check_faults userptr
	check_faults copy
	check_faults libv4l2
	;;
contiguous)
	moving 640 360 YUYV 460800 auto "$ONE_COPY"
	moving 1920 1080 NV12 3110400 auto "$ONE_COPY"
	refused 'cannot write into the pool (USERPTR: Invalid argument): use --memory auto or copy' \
		--source $DEVICE --memory userptr
	v4l2-ctl -c osd_text_mode=2
	exact NV12 auto libv4l2
	;;
multiplanar)
	# 128 bytes are before the picture (data_offset)
	moving 640 360 YUYV 460928 auto "$ZERO_COPY"
	moving 1920 1080 NV12 3110400 copy "$ONE_COPY"
	check_error_flag auto
	refused 'converts nothing for multi-planar' --source $DEVICE --memory libv4l2
	v4l2-ctl -c osd_text_mode=2
	for fourcc in YUYV UYVY NV12 NV16 NV24 YU12 YV12 422P RGB3 XR24 GREY RGGB BG10; do
		exact "$fourcc" userptr copy
	done
	for fourcc in NM12 NM21 NM16 YM12 YM21 YM16; do
		apart "$fourcc"
	done
	check_faults userptr
	check_faults copy
	;;
*)
	fail "usage: source-v4l2.sh plain|contiguous|multiplanar"
	;;
esac
