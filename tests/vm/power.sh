#!/bin/sh
# SPDX-License-Identifier: MIT
# power.sh: the camera is open only while somebody reads, and for idle_timeout after that.
. /vm/lib.sh

socket=/tmp/socket

opened() {
	ls -l /proc/$daemon/fd | grep -q /dev/video
}

# until CONDITION...: waits for it, at most 20 s
until_() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 2000 ] || fail "waited for $* in vain: $(cat /tmp/log)"
		usleep 10000 # looks again
	done
}

closed() {
	! opened
}

says() {
	camtap info --json --socket $socket | grep -q "\"state\": *\"$1\""
}

camtapd --name vivid --socket $socket --source /dev/video0 --idle-timeout 2s 2>/tmp/log &
daemon=$!
until_ test -S $socket
says idle || fail "not idle"
! opened || fail "open, and nobody has asked for a frame"
echo "ok closed before the first reader; info does not open it"

mkfifo /tmp/end
reader --socket $socket </tmp/end >/tmp/reader.log &
reader=$!
exec 3>/tmp/end
until_ says streaming
opened || fail "streaming, and not open"
echo "ok open while somebody reads"

exec 3>&-
wait $reader || fail "reader: $(cat /tmp/reader.log)"
says streaming || fail "it does not wait for idle_timeout"
opened || fail "it does not wait for idle_timeout"
echo "ok open for a while after the last reader"
until_ closed
until_ says idle
echo "ok closed after that"
kill $daemon
wait $daemon || fail "camtapd ended badly: $(cat /tmp/log)"
