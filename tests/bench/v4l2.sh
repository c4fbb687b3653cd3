#!/bin/sh
# SPDX-License-Identifier: MIT
# v4l2.sh cost WIDTH HEIGHT FOURCC SECONDS WHAT...: runs in the guest, for v4l2.py. Measures (v4l2-cost) one after
# the other what takes frames of vivid, and prints a line for each: WHAT and a JSON object.
# v4l2.sh calls SECONDS WHAT...: traces its system calls instead: $SHARE/WHAT.calls and, for the names of the
# threads, WHAT.threads.
#
# WHAT: v4l2-ctl (and v4l2-ctl-again), or MEMORY-READERS: camtapd with --memory MEMORY and so many readers.
. /vm/lib.sh

socket=/tmp/socket

cost() { # WHAT
	# shellcheck disable=SC2086 # options are words
	case $1 in
	v4l2-ctl*) v4l2-cost "$seconds" command v4l2-ctl --stream-mmap ;;
	*) v4l2-cost "$seconds" daemon "${1#*-}" $socket camtapd --name vivid --socket $socket \
		--source /dev/video0 --memory "${1%-*}" --always-on $options ;;
	esac
}

costs() {
	for what; do
		result=$(cost "$what" 2>/tmp/log) || fail "$what: $(cat /tmp/log)"
		echo "$what $result"
	done
}

calls() {
	for what; do
		cost "$what" >/dev/null 2>/tmp/log &
		measuring=$!
		until grep -q '^measuring' /tmp/log; do
			kill -0 $measuring || fail "$what: $(cat /tmp/log)"
			usleep 10000 # until its frames come
		done
		pid=$(sed -n 's/^measuring //p' /tmp/log)
		for thread in /proc/"$pid"/task/*; do
			echo "${thread##*/} $(cat "$thread/comm")"
		done >"$SHARE/$what.threads"
		timeout -s INT "$((seconds / 2))" strace -f -qq -o "$SHARE/$what.calls" -p "$pid"
		wait $measuring || fail "$what: $(cat /tmp/log)"
		rm /tmp/log
	done
}

mode=$1
shift
case $mode in
cost)
	vivid_hdmi "$1" "$2" "$3"
	options="--size $1x$2 --pixel-format $3"
	seconds=$4
	shift 4
	costs "$@"
	;;
calls) # slowly, so that a traced program has done with a frame before the next one comes
	v4l2-ctl --set-input 0 --set-fmt-video width=320,height=180,pixelformat=NV12 --set-parm 10 >/dev/null ||
		fail "vivid"
	options="--size 320x180 --pixel-format NV12 --rate 10"
	seconds=$1
	shift
	calls "$@"
	;;
esac
