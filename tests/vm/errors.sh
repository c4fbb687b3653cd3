#!/bin/sh
# SPDX-License-Identifier: MIT
# errors.sh: what cannot be captured is refused with one clear line and the right exit status.
# vivid is loaded with a capture, an output and a vbi node.
. /vm/lib.sh

refused() { # STATUS PATTERN OPTION...
	status=$1
	pattern=$2
	shift 2
	camtapd --name vivid --socket /tmp/socket "$@" 2>/tmp/log
	got=$?
	[ $got -eq "$status" ] || fail "$*: exit status $got, not $status: $(cat /tmp/log)"
	[ "$(wc -l </tmp/log)" -eq 1 ] || fail "$*: not one line: $(cat /tmp/log)"
	grep -q -i -e "$pattern" /tmp/log || fail "$*: says: $(cat /tmp/log)"
	echo "ok $(cat /tmp/log)"
}

node_of() { # WORD in the name that v4l2-ctl gives it
	for node in /dev/video* /dev/vbi*; do
		v4l2-ctl -d "$node" --info 2>/dev/null | grep -A3 'Device Caps' | grep -q "$1" &&
			echo "$node" && return
	done
	fail "vivid has no node for: $1"
}

capture=$(node_of 'Video Capture')
output=$(node_of 'Video Output')
vbi=$(node_of 'VBI Capture')

refused 1 'no such' --source /dev/video42
refused 1 'captur' --source "$output"
refused 1 'captur' --source "$vbi"
refused 1 'not a V4L2 device' --source /dev/null
refused 2 'YUYV' --source "$capture" --pixel-format MJPG
refused 2 '640x360' --source "$capture" --size 641x361
refused 2 'slots' --source "$capture" --slots 3
refused 1 'memory' --source "$capture" --memory-limit 1M

# busy: another program streams from it
v4l2-ctl -d "$capture" --stream-mmap --stream-to=/dev/null >/dev/null 2>&1 &
other=$!
until v4l2-ctl -d "$capture" --set-fmt-video width=320,height=180 2>&1 | grep -q -i busy; do
	kill -0 $other || fail "v4l2-ctl does not stream"
done
refused 1 'another program' --source "$capture" --size 640x360
kill $other
wait $other 2>/dev/null

# a user who may not open the node
chmod 600 "$capture"
as user camtapd --name vivid --socket /tmp/user.socket --source "$capture" 2>/tmp/log && fail "opened as user"
grep -q 'group video' /tmp/log || fail "EACCES says: $(cat /tmp/log)"
echo "ok $(cat /tmp/log)"
