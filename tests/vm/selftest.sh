#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that the guest has a camera, and that it tells success from failure. On the host it runs
# itself in the guest: with `capture`, which does the work, and in three ways of not succeeding.

expect() {
	status=$1
	shift
	"${0%/*}/guest" "$@"
	result=$?
	[ $result -eq "$status" ] || { echo "FAIL: status $result, not $status: $*" >&2; exit 1; }
}

capture() {
	# shellcheck source-path=SCRIPTDIR source=lib.sh
	. /vm/lib.sh
	v4l2-ctl --info | grep -q 'Driver name *: vivid' || fail "/dev/video0 is not vivid"
	v4l2-ctl --info | sed -n '/Device Caps/,$p' | grep -q 'Video Capture' ||
		fail "/dev/video0 does not capture"
	as reader id | grep -q 'uid=1001(reader).*(camtap)' || fail "reader is not in group camtap"
	vivid_hdmi 640 360 NV12
	v4l2-ctl --verbose --stream-mmap --stream-count=30 --stream-to="$SHARE/frames" \
		>"$SHARE/log" 2>&1 || fail "v4l2-ctl captures nothing"
	[ "$(grep -c 'bytesused: 345600 ' "$SHARE/log")" -eq 30 ] || fail "not 30 frames of NV12"
}

case $1 in
capture) capture ;;
exit) exit "$2" ;;
hang) sleep 1000 ;;
vanish) poweroff -f ;;
*)
	results=$(mktemp -d) || exit
	trap 'rm -r "$results"' EXIT
	expect 0 --share "$results" "$0" capture
	size=$(wc -c <"$results/frames")
	[ "$size" -eq $((30 * 345600)) ] || { echo "FAIL: $size bytes in the share" >&2; exit 1; }
	expect 3 "$0" exit 3
	expect 124 --timeout 6 "$0" hang
	expect 125 "$0" vanish
	;;
esac
