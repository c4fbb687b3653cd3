#!/bin/sh
# SPDX-License-Identifier: MIT
# dmabuf.sh CASE...: the driver's own buffers shared as dma-bufs (camtapd --memory dmabuf) on vivid. Prints a line
# per check.
. /vm/lib.sh

socket=/tmp/socket

start() { # OPTION...
	camtapd --name vivid --socket $socket --source /dev/video0 "$@" 2>/tmp/log &
	daemon=$!
	until [ -S $socket ]; do
		kill -0 $daemon 2>/dev/null || fail "camtapd: $(cat /tmp/log)"
		usleep 10000 # until the daemon listens, or has ended
	done
	chmod 666 $socket
}

stop() {
	kill $daemon
	wait $daemon || fail "camtapd ended badly: $(cat /tmp/log)"
}

info() { # KEY: its values
	camtap info --json --socket $socket >/tmp/info || fail "info: $(cat /tmp/log)"
	tr ',{}' '\n\n\n' </tmp/info | sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\"]*\)\"\{0,1\}.*/\1/p"
}

await() { # SECONDS COMMAND...: until it succeeds
	left=$(($1 * 20))
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || fail "in vain: $*: $(cat /tmp/log /tmp/info)"
		usleep 50000
	done
}

is() { # KEY VALUE
	[ "$(info "$1")" = "$2" ]
}

above() { # KEY VALUE
	[ "$(info "$1")" -gt "$2" ]
}

says() { # FILE WORD
	grep -q "$2" "$1"
}

# probe NAME MODE...: in the background; its output is /tmp/NAME, a line in /tmp/NAME.go lets it go on
probe() {
	name=$1
	shift
	rm -f "/tmp/$name.go"
	mkfifo "/tmp/$name.go"
	dmabuf-probe $socket "$@" <"/tmp/$name.go" >"/tmp/$name" 2>&1 &
	eval "$name=$!"
	exec 3>"/tmp/$name.go"
}

# A picture that does not move has the same bytes by every way.
same() { # FOURCC of the device, and of the frames
	vivid_hdmi 640 360 "$1"
	v4l2-ctl --set-ctrl horizontal_movement=3,osd_text_mode=2 || fail "vivid does not stand still"
	v4l2-ctl --stream-mmap --stream-count=1 --stream-to=/tmp/expected >/dev/null 2>&1 ||
		fail "v4l2-ctl: $1"
	for memory in copy dmabuf; do
		start --pixel-format "$2" --size 640x360 --memory $memory
		camtap dump --socket $socket --count 1 --format raw --output - >/tmp/dump.$memory ||
			fail "dump: $(cat /tmp/log)"
		[ $memory = copy ] || is transfer 'zero-copy (dma-buf)' || fail "$(cat /tmp/info)"
		[ $memory = copy ] || is memory dmabuf || fail "$(cat /tmp/info)"
		stop
		[ -s /tmp/dump.$memory ] || fail "$1: an empty dump"
	done
	cmp /tmp/dump.copy /tmp/dump.dmabuf || fail "$1: not the bytes of the copy"
	# the device's bytes, but for what precedes the picture in them
	size=$(wc -c </tmp/dump.copy)
	tail -c "$size" /tmp/expected | cmp - /tmp/dump.dmabuf || fail "$1: not what v4l2-ctl gets"
	echo "ok $1: the bytes of the copy, and of v4l2-ctl"
}

attack() { # USER
	start --memory dmabuf
	as "$1" dmabuf-probe $socket attack >/tmp/attack || fail "attack"
	[ -s /tmp/attack ] || fail "no attack"
	grep ALLOWED /tmp/attack && fail "$1 can write"
	for line in 'map writable: EACCES' 'mprotect: EACCES' 'open for writing: E[A-Z]*'; do
		grep -q "^$line$" /tmp/attack || fail "not '$line': $(cat /tmp/attack)"
	done
	stop
	echo "ok $1 cannot write with the processor"
}

refused() {
	start --memory dmabuf
	dmabuf-probe $socket refused >/tmp/refused || fail "let in"
	says /tmp/refused '^4: .*--memory auto' || fail "$(cat /tmp/refused)"
	is state idle || fail "the camera was opened for it"
	camtap info --socket $socket >/dev/null || fail "an observer was refused"
	stop
	camtapd --name vivid --socket $socket --source /dev/video0 --memory dmabuf --slots 33 2>/tmp/log
	[ $? -eq 2 ] || fail "33 slots: $(cat /tmp/log)"
	says /tmp/log 'too many for this source' || fail "33 slots: $(cat /tmp/log)"
	echo "ok what cannot be is refused: $(cat /tmp/refused)"
}

# fds that wait in a queue count against the daemon: only some are sent to one that does not receive.
slow() {
	start --memory dmabuf --slots 20
	probe slow slow 20
	await 10 says /tmp/slow waiting
	camtap hz --socket $socket --count 30 >/dev/null || fail "others must wait for it"
	echo >&3
	wait "$slow" || fail "slow: $(cat /tmp/slow)"
	says /tmp/slow '^8 at first' || fail "slow: $(cat /tmp/slow)"
	stop
	echo "ok a reader that does not receive keeps $(head -2 /tmp/slow | tail -1)"
}

# The device goes and comes back; a frame of before stays as it is, and is counted.
hold() {
	start --memory dmabuf
	probe held hold
	await 10 says /tmp/held held
	before=$(info epoch)
	for round in 1 2; do
		published=$(info published)
		v4l2-ctl -c disconnect=1
		await 20 above published $((published + 30))
	done
	[ "$(grep -c unplugged /tmp/log)" -eq 2 ] || fail "not unplugged twice: $(cat /tmp/log)"
	await 20 says /tmp/held resumed
	[ "$(info epoch)" != "$before" ] || fail "the same epoch"
	await 5 above pinned_bytes 345600
	kept=$(info pinned_bytes)
	echo >&3
	wait "$held" || fail "hold: $(cat /tmp/held)"
	await 5 is pinned_bytes 0
	stop
	echo "ok a frame of a past epoch stays what it was; $kept bytes were counted for it"
}

keep() {
	start --memory dmabuf --idle-timeout 0.1s
	probe kept keep
	await 10 says /tmp/kept kept
	await 10 is state idle
	await 5 above pinned_bytes 0
	bytes=$(info pinned_bytes)
	fds=$(ls /proc/$daemon/fd | wc -l)
	echo >&3
	wait "$kept" || fail "keep: $(cat /tmp/kept)"
	await 5 is pinned_bytes 0
	for i in 1 2 3 4 5; do
		camtap hz --socket $socket --count 10 >/dev/null || fail "hz"
		await 10 is state idle
		await 5 is pinned_bytes 0
	done
	[ "$(ls /proc/$daemon/fd | wc -l)" -lt "$fds" ] || fail "file descriptors leak"
	stop
	echo "ok a single dma-buf that is kept is counted alone: $bytes bytes"
}

# No frames for a while: the stream is started anew on the same buffers.
stall() {
	start --memory dmabuf --stall-timeout 2s
	camtap hz --socket $socket --count 100000 >/tmp/hz 2>&1 &
	reader=$!
	await 10 above published 30
	before=$(info epoch)
	v4l2-ctl -c percentage_of_dropped_buffers=100
	await 10 is state stalled
	v4l2-ctl -c percentage_of_dropped_buffers=0
	await 10 is state streaming
	after=$(info published)
	await 10 above published $((after + 30))
	[ "$(info epoch)" = "$before" ] || fail "the device was opened again"
	kill $reader
	wait $reader
	stop
	echo "ok goes on after a stall"
}

# What dma-bufs do not promise (docs/security.md): here it is shown to be so.
overwrite() {
	start --memory dmabuf
	v4l2-ctl -d /dev/video1 -c brightness=0,contrast=0 || fail "there is no other device"
	dmabuf-probe $socket overwrite /dev/video1 >/tmp/overwrite || fail "$(cat /tmp/overwrite)"
	says /tmp/overwrite '^changed' || fail "the kernel protects dma-bufs now: tell docs/security.md"
	stop
	echo "ok another capture device can write into a frame, as docs/security.md says"
}

vivid_hdmi 640 360 NV12
for case; do
	case $case in
	*:*) same "${case%:*}" "${case#*:}" ;;
	*@*) attack "${case#*@}" ;;
	*) $case ;;
	esac
done
