# SPDX-License-Identifier: MIT
# usb.sh CASE: camtapd with the USB test camera. A case is one of the functions below, with its
# arguments.
# shellcheck disable=SC1091 # in the guest only
. /vm/lib.sh
. /vm/camera.sh

CAMERA=${BY_ID}_0001-video-index0
SOCKET=/tmp/socket

# daemon_start SOCKET OPTION...: until it listens. Its process is $daemon.
daemon_start() {
	camtapd --name usb --socket "$@" 2>"$1.log" &
	daemon=$!
	until [ -S "$1" ]; do
		kill -0 $daemon 2>/dev/null || fail "camtapd: $(cat "$1.log")"
		usleep 5000 # until the daemon listens, or has ended
	done
}

# reader_start NUMBER SOCKET: what it sees is in /tmp/reader.NUMBER. Its process is added to
# $readers.
reader_start() {
	uvcam-reader "$2" $PICTURES >"/tmp/reader.$1" 2>&1 &
	readers="$readers $!"
}

# The number of the frame that a reader got last; nothing if that was something else.
newest() {
	tail -n 1 "/tmp/reader.$1" | sed -n 's/^frame \([0-9]*\) .*/\1/p'
}

# has_frame NUMBER READER...: each has a frame of that number or a later one.
has_frame() {
	wanted=$1
	shift
	for reader in "$@"; do
		last=$(newest "$reader")
		[ "${last:-0}" -ge "$wanted" ] || return 1
	done
}

# Everything that a reader got was whole, nothing came twice, and no frame after much newer ones. (On
# a busy machine uvcvideo swaps neighbours: uvcam/stream.h.)
check_reader() {
	grep -q -v -E '^(frame|event) ' "/tmp/reader.$1" &&
		fail "reader $1: $(grep -v -E '^(frame|event) ' "/tmp/reader.$1" | head -n 3)"
	awk '/^frame/ { if (seen[$2]++ || $2 + 5 < newest) { print newest, "then", $2; exit 1 }
		if ($2 > newest) newest = $2 }' "/tmp/reader.$1" || fail "reader $1: not in order"
}

check_alive() { # PROCESS...
	for process in "$@"; do
		kill -0 "$process" 2>/dev/null || fail "process $process has ended: $(cat $SOCKET.log)"
	done
}

# state of the daemon at $SOCKET
state() {
	camtap info --json --socket $SOCKET | tr -d ' \n' | sed 's/.*"state":"\([a-z]*\)".*/\1/'
}

# counter KEY: a number of the daemon at $SOCKET
counter() {
	camtap info --json --socket $SOCKET | tr -d ' \n' | sed -n "s/.*\"$1\":\"\{0,1\}\([0-9]*\).*/\1/p"
}

state_is() { # STATE...
	now=$(state)
	for wanted in "$@"; do
		[ "$now" = "$wanted" ] && return
	done
	return 1
}

# ticks PROCESS: hundredths of a second of processor time (utime and stime, proc(5))
ticks() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# The daemon takes less than 2 % of a processor.
check_idle() { # WHEN
	before=$(ticks $daemon)
	sleep 5 # what is measured, not a wait
	spent=$(($(ticks $daemon) - before))
	[ $spent -lt 10 ] || fail "$1: $spent of 500 ticks"
	echo "ok $1: $spent of 500 ticks of processor time"
}

requests() {
	camera a status
	answer=${answer#*requests=}
	echo "${answer%% *}"
}

# The daemon tries a few times, and does not spin in between. Each time it makes a pool, which takes
# an emulator a tenth of a second: that it is below 2 % on a real machine cannot be seen here.
check_patient() { # WHEN
	before=$(ticks $daemon)
	tried=$(requests)
	sleep 5 # what is measured, not a wait
	spent=$(($(ticks $daemon) - before))
	tried=$(($(requests) - tried))
	[ $spent -lt 250 ] || fail "$1: $spent of 500 ticks"
	[ $tried -gt 0 ] && [ $tried -le 60 ] || fail "$1: $tried requests in 5 s"
	echo "ok $1: $tried requests in 5 s, $spent of 500 ticks of processor time"
}

# fds, kB of address space, kB of memory of its own. (What it has touched of the pools that it maps
# is counted by the kernel, too, but RssShmem of Linux 6.1 drifts by megabytes.)
footprint() { # PROCESS
	echo "$(find "/proc/$1/fd" -type l | wc -l)" \
		"$(awk '/^VmSize:/ { print $2 }' "/proc/$1/status")" \
		"$(awk '/^Anonymous:/ { print $2 }' "/proc/$1/smaps_rollup")"
}

# Four readers, three in place and one that copies, see every one of 300 frames and the same bytes;
# a fifth sees that they are those that the camera sent.
four_readers() { # PIXEL_FORMAT SIZE RATE
	camera_start a --port 0
	within 10 exists $CAMERA
	# a second's frames: readers of a busy machine may not run for that long
	daemon_start $SOCKET --source $CAMERA --pixel-format "$1" --size "$2" --rate "$3" \
		--wait-readers 5 --slots 32
	readers=
	number=0
	for way in place place place copy; do
		number=$((number + 1))
		frame-hash $SOCKET 300 $way >/tmp/hash.$number 2>/tmp/hash.$number.log &
		readers="$readers $!"
	done
	uvcam-reader $SOCKET $PICTURES 300 >/tmp/reader.5 2>&1 &
	checker=$!
	for reader in $readers $checker; do
		wait "$reader" || fail "$(cat /tmp/hash.*.log) $(tail -n 3 /tmp/reader.5)" \
			"$(cat $SOCKET.log)"
	done
	[ "$(wc -l </tmp/hash.1)" -eq 300 ] || fail "not 300 frames"
	# The hash sees an eighth of a frame, mostly without its number: ten recorded pictures, in
	# eight ways.
	[ "$(cut -d' ' -f2 /tmp/hash.1 | sort -u | wc -l)" -ge 40 ] || fail "frames are alike"
	for other in 2 3 4; do
		cmp /tmp/hash.1 /tmp/hash.$other || fail "readers saw different bytes"
	done
	check_reader 5
	[ "$(grep -c '^frame' /tmp/reader.5)" -eq 300 ] || fail "not 300 frames of the camera's"
	# What a busy machine made the driver drop is known, and nothing else is missing.
	missing=$(awk '/^frame/ { if (n++ > 0) missing += $2 - last - 1; last = $2 }
		END { print missing + 0 }' /tmp/reader.5)
	[ "$missing" -le "$(counter dropped_driver)" ] || fail "$missing frames were not published"
	camtap info --json --socket $SOCKET | grep -o '"transfer": *"[^"]*"'
	echo "ok $1 $2 at $3 fps: 4 x 300 frames, byte for byte the camera's;" \
		"$missing were dropped by the driver"
}

# Unplugged and plugged in again under four readers, each time into the other port.
replug() { # ROUNDS
	camera_start a --port 0
	within 10 exists $CAMERA
	daemon_start $SOCKET --source $CAMERA --pixel-format MJPG --size 640x360 --rate 30
	readers=
	for reader in 1 2 3 4; do
		reader_start $reader $SOCKET
	done
	within 20 has_frame 5 1 2 3 4
	: >/tmp/times
	round=0
	while [ $round -lt "$1" ]; do
		round=$((round + 1))
		camera a unplug
		within 10 is_gone $CAMERA
		first=$(frame_of a)
		camera a plug $((round % 2))
		within 10 exists $CAMERA
		back=$(uptime_cs)
		within 20 has_frame "$first" 1 2 3 4
		echo $(($(uptime_cs) - back)) >>/tmp/times
		# shellcheck disable=SC2086 # a list
		check_alive $daemon $readers
		[ $round -ne 10 ] || for process in $daemon $readers; do
			footprint "$process"
		done >/tmp/footprint
	done
	for process in $daemon $readers; do
		footprint "$process"
	done | paste -d ' ' /tmp/footprint - >/tmp/growth
	# a few pages of noise, but less than two kB for each round
	awk '$4 != $1 || $5 > $2 + 128 || $6 > $3 + 128 { exit 1 }' /tmp/growth ||
		fail "fds and kB after round 10, and after round $1: $(cat /tmp/growth)"
	for reader in 1 2 3 4; do
		check_reader $reader
	done
	sort -n /tmp/times | awk '{ t[NR] = $1 } END { print "ok", NR, "rounds; from the node to",
		"a frame in all readers", t[1] "0", t[int((NR + 1) / 2)] "0", t[NR] "0 ms" }'
	echo "growth: $(tr '\n' ';' </tmp/growth)"
	camera a unplug
	within 10 state_is offline backoff
	check_idle "unplugged"
}

# Only the port tells two cameras apart. They are plugged in again in the other order, so that each
# gets the node that the other had.
same_serial() {
	a=$(by_path 0)
	b=$(by_path 1)
	camera_start a --port 0
	within 10 exists "$a"
	camera_start b --port 1 --first-frame 1000000
	within 10 exists "$b"
	udevadm settle
	[ "$(find /dev/v4l/by-id -name '*0001-video-index0' | wc -l)" -eq 1 ] ||
		fail "by-id tells them apart"
	before=$(readlink -f "$a")
	daemon_start /tmp/a.socket --source "$a" --size 320x180 --rate 30
	a_daemon=$daemon
	daemon_start /tmp/b.socket --source "$b" --size 320x180 --rate 30
	reader_start 1 /tmp/a.socket
	reader_start 2 /tmp/b.socket
	within 20 has_frame 5 1
	within 20 has_frame 1000005 2
	for camera in a b; do
		camera $camera unplug
	done
	within 10 is_gone "$a"
	within 10 is_gone "$b"
	a_first=$(frame_of a)
	b_first=$(frame_of b)
	camera b plug
	within 10 exists "$b"
	within 20 has_frame "$b_first" 2
	camera a plug
	within 10 exists "$a"
	within 20 has_frame "$a_first" 1
	[ "$(readlink -f "$b")" = "$before" ] || fail "the nodes are as before: nothing is shown"
	camera a wait 10
	camera b wait 10
	check_alive $a_daemon $daemon
	for reader in 1 2; do
		check_reader $reader
	done
	[ "$(newest 1)" -lt 1000000 ] || fail "the first daemon has the second camera"
	awk '/^frame/ && $2 < 1000000 { exit 1 }' /tmp/reader.2 ||
		fail "the second daemon has the first camera"
	awk '/^frame/ && $2 >= 1000000 { exit 1 }' /tmp/reader.1 ||
		fail "the first daemon had the second camera"
	echo "ok two cameras of one serial number, told apart by their ports"
}

# until the last thing that each reader was told is an event of that number (enum camtap_outcome)
was_told() { # OUTCOME READER...
	outcome=$1
	shift
	for reader in "$@"; do
		grep '^event' "/tmp/reader.$reader" | tail -n 1 | grep -q "^event $outcome " ||
			return 1
	done
}

# A camera with two readers, in $daemon and $readers, all of whom must live to the end.
watched_camera() { # OPTION OF CAMTAPD...
	camera_start a --port 0
	within 10 exists $CAMERA
	daemon_start $SOCKET --source $CAMERA --size 640x360 --rate 30 "$@"
	readers=
	reader_start 1 $SOCKET
	reader_start 2 $SOCKET
	within 20 has_frame 5 1 2
}

# resumes FIRST: both readers get a frame that was sent after number FIRST, all frames were whole.
resumes() {
	within 20 has_frame "$1" 1 2
	within 10 state_is streaming
	# shellcheck disable=SC2086 # a list
	check_alive $daemon $readers
	check_reader 1
	check_reader 2
}

# It stays plugged in, and delivers nothing.
silent() {
	watched_camera --pixel-format MJPG
	for round in 1 2; do
		first=$(frame_of a)
		camera a pause
		within 10 state_is stalled
		within 10 was_told 3 1 2
		check_patient "silent"
		[ "$(frame_of a)" -le $((first + 1)) ] || fail "it is not silent"
		camera a resume
		resumes $((first + 5))
		was_told 2 1 2 || fail "readers were not told that it is back"
		echo "ok silent camera, round $round"
	done
}

# Its endpoint stalls until the stream is started anew; no call fails.
halted() {
	watched_camera --pixel-format MJPG
	first=$(frame_of a)
	camera a halt
	resumes $((first + 5))
	echo "ok halted endpoint"
}

# It is back, but cannot be started at first.
refusing() {
	watched_camera --pixel-format MJPG
	for request in probe commit; do
		camera a unplug
		within 10 is_gone $CAMERA
		first=$(frame_of a)
		camera a stall $request 100000
		camera a plug
		within 10 exists $CAMERA
		check_patient "$request requests fail"
		camera a stall $request 0
		resumes "$first"
	done
	echo "ok failing requests"
}

counters_are() { # ERROR_FLAG+SHORT DAMAGED
	flagged=$(($(counter error_flag) + $(counter short)))
	[ $flagged -eq "$1" ] && [ "$(counter damaged)" -eq "$2" ] &&
		[ "$(counter empty)" -eq 0 ] && [ "$(counter corrupt)" -eq $(($1 + $2)) ]
}

# Bad frames are counted, and none is published. What uvcvideo makes of each is in uvcam/stream.h.
bad_frames() { # PIXEL_FORMAT NODROP
	watched_camera --pixel-format "$1"
	gaps=$(counter dropped_driver)
	camera a error 3
	camera a short 2 50
	camera a truncate 2 1000
	camera a empty 2
	markers=0
	[ "$1" = YUYV ] || for marker in SOI DQT SOF DHT SOS EOI; do
		camera a marker 1 $marker
		markers=$((markers + 1))
	done
	camera a wait $((9 + markers + 2))
	resumes "$(frame_of a)"
	[ "$(grep -c '^frame' /tmp/a.log)" -eq $((9 + markers)) ] || fail "$(cat /tmp/a.log)"
	sed -n 's/^frame \([0-9]*\): .*/^frame \1 /p' /tmp/a.log >/tmp/bad
	grep -f /tmp/bad /tmp/reader.1 /tmp/reader.2 && fail "these are bad, but were published"
	# incomplete frames are flagged by the driver, too, if they are not compressed
	case "$1 $2" in
	"MJPG 0") expected="0 10" dropped=5 ;;
	"MJPG 1") expected="3 10" dropped=2 ;;
	"YUYV 0") expected="0 0" dropped=9 ;;
	"YUYV 1") expected="7 0" dropped=2 ;;
	esac
	# shellcheck disable=SC2086 # words
	counters_are $expected ||
		fail "error_flag $(counter error_flag) short $(counter short) empty" \
			"$(counter empty) damaged $(counter damaged) corrupt $(counter corrupt)"
	# a busy machine adds some
	[ $(($(counter dropped_driver) - gaps)) -ge $dropped ] ||
		fail "the driver dropped $dropped, but $(counter dropped_driver) are counted"
	echo "ok $1 nodrop=$2: bad frames are counted, not published"
}

# With --publish-bad they come, with a flag.
publish_bad() {
	watched_camera --pixel-format MJPG --publish-bad
	camera a truncate 3 1000
	camera a error 2
	camera a wait 7
	within 20 has_frame "$(frame_of a)" 1 2
	for reader in 1 2; do
		[ "$(grep -c '^bad 1000$' /tmp/reader.$reader)" -eq 3 ] ||
			fail "$(grep -v ^frame /tmp/reader.$reader)"
		[ "$(grep -c '^bad' /tmp/reader.$reader)" -eq 5 ] ||
			fail "$(grep -v ^frame /tmp/reader.$reader)"
	done
	grep -q '^damaged' /tmp/reader.1 && fail "bad frames without the flag"
	counters_are 2 3 || fail "$(camtap info --json --socket $SOCKET)"
	echo "ok bad frames are published with a flag"
}

"$@"
