#!/bin/sh
# SPDX-License-Identifier: MIT
# list.sh CASE: what `camtap list` says of vivid's nodes, and what it opens for that.
. /vm/lib.sh

# The node with a capability, in the words of v4l2-ctl.
node_of() {
	for node in /dev/video*; do
		v4l2-ctl -d "$node" --info 2>/dev/null | sed -n '/Device Caps/,$p' |
			grep -q "^	*$1\$" && echo "$node" && return
	done
	fail "vivid has no node for: $1"
}

# What udev would have written about a node; other lines, if any, too.
udev_says() { # NODE CAPABILITIES [LINE...]
	number=$(cat "/sys/class/video4linux/${1##*/}/dev")
	mkdir -p /run/udev/data
	{
		echo "I:1"
		echo "E:ID_V4L_VERSION=2"
		echo "E:ID_V4L_CAPABILITIES=$2"
		shift 2
		for line; do echo "$line"; done
		echo "V:1"
	} >"/run/udev/data/c$number"
}

# Which nodes a command opened, in $SHARE/opened.
opened_by() {
	strace -f -e trace=open,openat -o /tmp/trace "$@" >/tmp/output || fail "$*"
	grep -o '"/dev/video[0-9]*"' /tmp/trace | sort -u >/tmp/opened
}

# camtap prints a key a line: grep is enough.
list_json() {
	camtap list --json >/tmp/json || fail "camtap list --json"
}

wait_until_streaming() { # PID NODE
	until v4l2-ctl -d "$2" --set-fmt-video width=320,height=180 2>&1 | grep -q -i busy; do
		kill -0 "$1" || fail "nobody streams"
		usleep 10000
	done
}

# Which nodes are listed, which are not, and what is opened to know it.
nodes() {
	output=$(node_of 'Video Output')
	metadata=$(node_of 'Metadata Capture')
	first=$(node_of 'Video Capture')
	opened_by camtap list
	grep -q "^  $first  vivid" /tmp/output || fail "no $first: $(cat /tmp/output)"
	for other in "$output" "$metadata"; do
		grep -q "^  $other " /tmp/output && fail "$other is listed"
	done
	[ "$(grep -c '^  /dev/video' /tmp/output)" -eq 2 ] || fail "not two: $(cat /tmp/output)"
	set -- /dev/video*
	[ "$(wc -l </tmp/opened)" -eq $# ] ||
		fail "without udev it opened only: $(cat /tmp/opened)"
	cp /tmp/output /tmp/without-udev
	echo "ok without udev all nodes are asked"

	for node in /dev/video*; do
		capabilities=:
		v4l2-ctl -d "$node" --info | sed -n '/Device Caps/,$p' |
			grep -q '^	*Video Capture' && capabilities=:capture:
		udev_says "$node" $capabilities
	done
	opened_by camtap list
	cmp /tmp/output /tmp/without-udev || fail "udev or not: $(cat /tmp/output)"
	[ ! -s /tmp/opened ] || fail "opened although udev knows: $(cat /tmp/opened)"
	echo "ok with udev none is opened"

	rm "/run/udev/data/c$(cat "/sys/class/video4linux/${metadata##*/}/dev")"
	opened_by camtap list
	[ "$(cat /tmp/opened)" = "\"$metadata\"" ] || fail "opened: $(cat /tmp/opened)"
	echo "ok only the node that udev does not know is opened"

	for other in "$output" "$metadata" /dev/null /dev/video99; do
		camtap list --formats "$other" >/tmp/output 2>/tmp/log && fail "$other: $(cat /tmp/output)"
		[ "$(wc -l </tmp/log)" -eq 1 ] || fail "$other: $(cat /tmp/log)"
		echo "ok $(cat /tmp/log)"
	done
}

# Two cameras of the same serial number: the by-id link leads to one of them.
twins() {
	mkdir -p /dev/v4l/by-id /dev/v4l/by-path
	set -- /dev/video*
	for node in "$1" "$2"; do
		udev_says "$node" :capture: "E:ID_SERIAL=Acme_Eye_0001"
		ln -s "../../${node##*/}" "/dev/v4l/by-path/port-${node##*/}"
	done
	ln -s "../../${1##*/}" /dev/v4l/by-id/usb-Acme_Eye_0001-video-index0
	camtap list >/tmp/output || fail "camtap list"
	for node in "$1" "$2"; do
		grep -A1 "^  $node " /tmp/output |
			grep -q "configure: source = /dev/v4l/by-path/port-${node##*/}\$" ||
			fail "$(cat /tmp/output)"
	done
	[ "$(grep -c 'same serial number' /tmp/output)" -eq 2 ] || fail "$(cat /tmp/output)"
	echo "ok by-path where the serial number is the same"

	udev_says "$2" :capture: "E:ID_SERIAL=Acme_Eye_0002"
	camtap list >/tmp/output || fail "camtap list"
	grep -q 'configure: source = /dev/v4l/by-id/usb-Acme_Eye_0001-video-index0$' /tmp/output ||
		fail "$(cat /tmp/output)"
	grep -q 'same serial' /tmp/output && fail "$(cat /tmp/output)"
	echo "ok by-id where it is not"
}

# Formats, sizes and rates are those that v4l2-ctl shows: both come out for a comparison.
formats() {
	set -- /dev/video*
	cp /dev/null "$SHARE/formats"
	for input in 0 3; do # a webcam with a list of sizes, HDMI with a range
		v4l2-ctl -d "$1" --set-input $input >/dev/null || fail "input $input"
		v4l2-ctl -d "$1" --list-formats-ext >"$SHARE/v4l2-ctl.$input" || fail "v4l2-ctl"
		camtap list --json --formats "$1" >"$SHARE/camtap.$input" || fail "camtap"
		camtap list --formats "$1" >"$SHARE/text.$input" || fail "camtap"
	done
	echo "ok formats"
}

# Who uses a device.
holders() {
	node=$(node_of 'Video Capture')
	camtap list >/tmp/output
	grep -q 'in use' /tmp/output && fail "nobody uses it: $(cat /tmp/output)"

	v4l2-ctl -d "$node" --stream-mmap --stream-to=/dev/null >/dev/null 2>&1 &
	other=$!
	wait_until_streaming $other "$node"
	camtap list >/tmp/output
	grep -A3 "^  $node " /tmp/output | grep -q "in use by v4l2-ctl, pid $other\$" ||
		fail "$(cat /tmp/output)"
	[ "$(grep -c 'in use' /tmp/output)" -eq 1 ] || fail "two: $(cat /tmp/output)"
	list_json
	grep -A2 "\"pid\": $other," /tmp/json | grep -q '"program": "v4l2-ctl"' || fail "$(cat /tmp/json)"
	grep -q '"hidden_processes": 0' /tmp/json || fail "$(cat /tmp/json)"
	echo "ok v4l2-ctl is named"

	# an ordinary user does not see it, and is told so
	as user camtap list >/tmp/output
	grep -q 'in use' /tmp/output && fail "$(cat /tmp/output)"
	grep -q '^[0-9]* processes of other users could not be looked at' /tmp/output ||
		fail "$(cat /tmp/output)"
	echo "ok $(tail -n1 /tmp/output)"
	camtapd --name second --socket /tmp/second --source "$node" --size 640x360 2>/tmp/log
	# shellcheck disable=SC2016 # no expansion is meant
	grep -q '`camtap list` names it' /tmp/log || fail "EBUSY says: $(cat /tmp/log)"
	echo "ok $(cat /tmp/log)"
	kill $other
	wait $other 2>/dev/null

	mkdir -p /run/camtap/front
	for socket in /run/camtap/front/socket /tmp/elsewhere; do
		camtapd --name front --socket $socket --source "$node" 2>/tmp/log &
		daemon=$!
		until [ -S $socket ]; do
			kill -0 $daemon 2>/dev/null || fail "camtapd: $(cat /tmp/log)"
			usleep 10000
		done
		frame-hash $socket 100000 copy >/dev/null 2>&1 &
		reader=$!
		wait_until_streaming $daemon "$node"
		camtap list >/tmp/output
		expected="camera front"
		[ $socket = /tmp/elsewhere ] && expected="socket $socket"
		grep -A3 "^  $node " /tmp/output |
			grep -q "in use by camtapd ($expected), pid $daemon\$" || fail "$(cat /tmp/output)"
		list_json
		grep -A3 "\"pid\": $daemon," /tmp/json | grep -q "\"socket\": \"$socket\"" ||
			fail "$(cat /tmp/json)"
		kill $reader $daemon
		wait $reader $daemon 2>/dev/null
		echo "ok camtapd is named: $expected"
	done
}

"$@"
