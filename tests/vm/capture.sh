#!/bin/sh
# SPDX-License-Identifier: MIT
# capture.sh MEMORY TRANSFER: four readers of vivid, three in place and one that copies, get every one of 300
# frames at 60 fps and see the same bytes; `camtap info` says TRANSFER. MEMORY is camtapd's --memory.
. /vm/lib.sh

memory=$1
transfer=$2
socket=/tmp/socket

listens() {
	until [ -S $socket ]; do
		kill -0 $daemon 2>/dev/null || fail "camtapd: $(cat /tmp/log)"
		usleep 10000 # until the daemon listens, or has ended
	done
}

check() { # WIDTH HEIGHT FOURCC [FOURCC-OF-THE-DEVICE]
	vivid_hdmi "$1" "$2" "${4:-$3}"
	v4l2-ctl --set-ctrl horizontal_movement=5 || fail "vivid's picture cannot be moved"
	camtapd --name vivid --socket $socket --source /dev/video0 --size "$1x$2" \
		--pixel-format "$3" --rate 60 --memory "$memory" --wait-readers 4 2>/tmp/log &
	daemon=$!
	listens
	readers=
	for way in place place place copy; do
		number=$((${number:-0} + 1))
		frame-hash $socket 300 $way >/tmp/hash.$number 2>/tmp/hash.$number.log &
		readers="$readers $!"
	done
	for reader in $readers; do
		wait "$reader" || fail "$1x$2 $3: $(cat /tmp/hash.*.log) $(cat /tmp/log)"
	done
	camtap info --json --socket $socket >/tmp/info || fail "info"
	grep -q "\"transfer\": *\"$transfer\"" /tmp/info || fail "transfer: $(cat /tmp/info)"
	first=$((number - 3))
	[ "$(wc -l </tmp/hash.$first)" -eq 300 ] || fail "$1x$2 $3: not 300 frames"
	[ "$(cut -d' ' -f2 /tmp/hash.$first | sort -u | wc -l)" -gt 250 ] ||
		fail "$1x$2 $3: the picture does not move"
	for other in $((first + 1)) $((first + 2)) $((first + 3)); do
		cmp /tmp/hash.$first /tmp/hash.$other || fail "$1x$2 $3: readers saw different bytes"
	done
	kill $daemon
	wait $daemon || fail "camtapd ended badly: $(cat /tmp/log)"
	[ ! -e $socket ] || fail "the socket was left behind"
	echo "ok $1x$2 ${4:-$3} $memory: 4 x 300 frames, $transfer"
}

check 640 360 YUYV
check 640 360 NV12
check 1920 1080 NV12

# the planes of a frame in memory of their own; raw dumps are as if they were not
if v4l2-ctl --info | grep -q 'Video Capture Multiplanar'; then
	check 640 360 NV12 NM12
	v4l2-ctl --set-ctrl horizontal_movement=0,osd_text_mode=2 || fail "vivid does not stand still"
	v4l2-ctl --stream-mmap --stream-count=1 --stream-to=/tmp/expected >/dev/null 2>&1 || fail "v4l2-ctl"
	camtapd --name vivid --socket $socket --source /dev/video0 --memory "$memory" 2>/tmp/log &
	daemon=$!
	listens
	camtap dump --socket $socket --count 1 --format raw --output - >/tmp/dump || fail "dump: $(cat /tmp/log)"
	cmp /tmp/dump /tmp/expected || fail "the dump is not what v4l2-ctl gets"
	kill $daemon
	wait $daemon || fail "camtapd ended badly: $(cat /tmp/log)"
	echo "ok a dump of NM12 has the bytes that v4l2-ctl gets"
fi
