#!/bin/sh
# SPDX-License-Identifier: MIT
# pause.sh: a paused camera's device is closed, and free for others, whatever readers and those who ask
# about controls want; also after the daemon was killed. Prints a line per check.
. /vm/lib.sh

socket=/tmp/socket

until_() {
	looks=0
	until "$@"; do
		looks=$((looks + 1))
		[ $looks -lt 200 ] || fail "not in time: $*: $(cat /tmp/log)"
		usleep 50000
	done
}

opened() {
	ls -l /proc/$daemon/fd | grep -q '/dev/video'
}

says() {
	camtap info --json --socket $socket | grep -q "\"state\": *\"$1\""
}

# others may have the device: they set another format, which EBUSY forbids while somebody has buffers
free() {
	opened && fail "$1: the device is open"
	v4l2-ctl --set-fmt-video width=320,height=180 --stream-mmap --stream-count 5 >/tmp/v4l2 2>&1 ||
		fail "$1: it does not stream for others: $(cat /tmp/v4l2)"
	opened && fail "$1: the device was opened meanwhile"
	echo "ok free: $1"
}

start() {
	rm -f $socket
	STATE_DIRECTORY=/tmp/state camtapd --name vivid --socket $socket --source /dev/video0 \
		--always-on 2>>/tmp/log &
	daemon=$!
	until_ test -S $socket
}

start
camtap hz --socket $socket --count 1000000 --timeout infinity >/dev/null 2>/tmp/hz &
reader=$!
camtap hz --socket $socket --stream GREY:160x90 --count 1000000 --timeout infinity >/dev/null 2>&1 &
other=$!
until_ says streaming
opened || fail "streaming, and not open"
camtap pause --socket $socket || fail "not paused"
free "as soon as it is answered, under readers"

camtap ctl --socket $socket >/tmp/out 2>/tmp/error && fail "controls were listed"
grep -q 'paused by root' /tmp/error || fail "controls: $(cat /tmp/error)"
camtap ctl --socket $socket brightness=1 2>/tmp/error && fail "a control was set"
free "controls do not open it"

kill -9 $daemon
wait $daemon 2>/dev/null
start
until_ says paused
usleep 300000
free "after SIGKILL, at start, with readers that re-attach"

camtap resume --socket $socket || fail "not resumed"
until_ says streaming
opened || fail "resumed, and not open"
kill -INT $reader $other
wait $reader || fail "the reader: $(cat /tmp/hz)"
echo "ok resumed"

# the answer is there only when no question about controls has the device open
for round in 1 2 3 4 5 6 7 8; do
	(while [ ! -e /tmp/enough ]; do
		camtap ctl --socket $socket >/dev/null 2>&1
	done) &
	busy=$!
	usleep 60000
	camtap pause --socket $socket || fail "not paused"
	opened && fail "round $round: open"
	camtap resume --socket $socket || fail "not resumed"
	touch /tmp/enough
	wait $busy
	rm /tmp/enough
done
echo "ok under questions about controls"
kill $daemon
wait $daemon || fail "camtapd ended badly: $(cat /tmp/log)"
