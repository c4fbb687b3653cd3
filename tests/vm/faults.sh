#!/bin/sh
# SPDX-License-Identifier: MIT
# faults.sh CASE [MEMORY]: the daemon on vivid while things go wrong, with four readers that are never
# started again. MEMORY is camtapd's --memory. Prints a line per check.
#
#   faults MEMORY   every fault that vivid can inject, and its removal
#   silence MEMORY  the device delivers nothing, without an error
#   signal MEMORY   HDMI: another resolution, no signal
#   replug MEMORY   the camera comes back as another node
#   clock MEMORY    the machine's clock is set; the driver's numbers and times wrap around
. /vm/lib.sh

memory=$2
socket=/tmp/socket
driver=/sys/bus/platform/drivers/vivid
READERS='1 2 3 4'

# ---- waiting ----

now() { # hundredths of a second, of the clock that all of camtap's times are of
	read -r uptime _ </proc/uptime
	echo "${uptime%.*}${uptime#*.}"
}

wait_for() { # SECONDS COMMAND...
	limit=$(($(now) + $1 * 100))
	shift
	until "$@"; do
		[ "$(now)" -lt $limit ] || return 1
		usleep 20000 # until it is so, or the limit
	done
}

# ---- what the daemon says ----

info() { # KEY: its first value in `camtap info`
	camtap info --json --socket $socket >/tmp/info || fail "info: $(cat /tmp/log)"
	sed -n "s/^ *\"$1\": \"\{0,1\}\(.*[^,\"]\)\"\{0,1\},\{0,1\}\$/\1/p" /tmp/info | head -n 1
}

info_is() { # KEY PATTERN
	info "$1" | grep -q -x -e "$2"
}

wait_info() { # KEY PATTERN
	wait_for 30 info_is "$1" "$2" || fail "$1 is not $2: $(cat /tmp/info /tmp/log)"
}

# ---- what the readers saw ----

frames() { # READER
	grep -c '^frame' /tmp/reader.$1
}

has_frames() { # READER COUNT
	[ "$(frames $1)" -ge $2 ]
}

mark() { # from here on
	for reader in $READERS; do
		eval "mark_$reader=$(wc -l </tmp/reader.$reader)"
	done
}

since_mark() { # READER: what came since then
	eval "tail -n +\$((mark_$1 + 1)) /tmp/reader.$1"
}

frames_go_on() {
	for reader in $READERS; do
		wait_for 30 has_frames $reader $(($(frames $reader) + 20)) ||
			fail "$1: reader $reader has no frames: $(tail -n 3 /tmp/reader.$reader) $(cat /tmp/log)"
	done
}

event_came() { # READER NUMBER PATTERN
	since_mark $1 | grep -q -e "^event $2 [0-9]* .*$3"
}

# The readers are told that the camera is away, and why, and then that it is there again.
told() { # WHAT PATTERN
	for reader in $READERS; do
		wait_for 30 event_came $reader 3 "$2" ||
			fail "$1: reader $reader was not told: $(since_mark $reader | grep event) $(cat /tmp/log)"
	done
}

told_of_return() { # WHAT
	for reader in $READERS; do
		wait_for 30 event_came $reader 2 '' ||
			fail "$1: reader $reader was not told of its return: $(since_mark $reader | grep event) $(cat /tmp/log)"
	done
	frames_go_on "$1"
	[ "$(info state)" = streaming ] || fail "$1: $(cat /tmp/info)"
	grep -q '"reason": ""' /tmp/info || fail "$1: $(cat /tmp/info)"
}

told_nothing() { # WHAT
	for reader in $READERS; do
		since_mark $reader | grep event && fail "$1: reader $reader was told something"
	done
}

# Ids count up by one within an epoch, and what they skip is said to be missed. No epoch comes again,
# no frame was published before the one before it.
judge() {
	for reader in $READERS; do
		awk '
			$1 == "error" { print; bad = 1 }
			$1 == "frame" && $2 "" != epoch "" {
				if (seen[$2 ""]++) { print "again:", $0; bad = 1 }
				epoch = $2
				last = 0
			}
			$1 == "frame" && $3 != last + 1 + $4 && last > 0 { print "id", last, $0; bad = 1 }
			$1 == "frame" && $7 < published { print "time:", $0; bad = 1 }
			$1 == "frame" { last = $3; published = $7 }
			END { exit bad }
		' /tmp/reader.$reader || fail "reader $reader saw what must not be"
	done
}

# ---- life ----

start() { # OPTION...: the camera and its readers
	camtapd --name vivid --socket $socket --source /dev/video0 --memory "$memory" \
		--stall-timeout 1s "$@" 2>/tmp/log &
	daemon=$!
	wait_for 10 [ -S $socket ] || fail "camtapd: $(cat /tmp/log)"
	pids=
	for reader in $READERS; do
		hold=
		[ $reader != 1 ] || hold=hold
		: >/tmp/reader.$reader
		frame-log $socket $hold >/tmp/reader.$reader &
		pids="$pids $!"
	done
	frames_go_on start
	mark
}

finish() {
	# shellcheck disable=SC2086 # several
	kill $pids
	for pid in $pids; do
		wait "$pid" || fail "a reader ended badly: $(tail -n 3 /tmp/reader.*)"
	done
	kill $daemon
	wait $daemon || fail "camtapd ended badly: $(cat /tmp/log)"
	judge
	grep -q -e '^held .* unchanged' /tmp/reader.1 || fail "no frame was held"
	grep -e '^held' /tmp/reader.1 | grep -v unchanged && fail "a held frame was touched"
	echo "ok all: $(frames 1) frames in $(grep '^frame' /tmp/reader.1 | cut -d' ' -f2 | sort -u | wc -l) epochs"
}

# While a reader just waits for 5 s, the daemon takes less than 2 % of a processor.
rests() { # WHAT
	before=$(awk '{ print $14 + $15 }' /proc/$daemon/stat)
	reader --socket $socket --seconds 5 >/dev/null || fail "$1: reader"
	after=$(awk '{ print $14 + $15 }' /proc/$daemon/stat)
	[ $((after - before)) -lt 10 ] || fail "$1: $((after - before)) ticks in 5 s: $(cat /tmp/log)"
	echo "ok $1: $((after - before)) ticks of 10 ms in 5 s"
}

control() { # NAME=VALUE
	v4l2-ctl -d "${node:-/dev/video0}" -c "$1" || fail "vivid has no $1"
}

# ---- cases ----

# Away for a moment, with the reason that the readers get.
breaks() { # WHAT PATTERN
	told "$1" "$2"
	told_of_return "$1"
	echo "ok $1: $(since_mark 2 | grep -m 1 '^event 3' | cut -d' ' -f4-)"
	mark
}

counted() { # KEY BEFORE: it is more now
	[ "$(info "$1")" -gt "$2" ]
}

faults() {
	vivid_hdmi 320 180 YUYV
	start

	epoch=$(info epoch)
	control inject_v4l2_buf_flag_error=1
	wait_info error_flag 1
	frames_go_on error_flag
	[ "$(info corrupt)" = 1 ] || fail "corrupt: $(cat /tmp/info)"
	told_nothing error_flag
	echo "ok a buffer with the error flag: counted"

	# the driver says nothing of it: such buffers are whole by all that can be known
	control fill_percentage_of_frame=50
	frames_go_on fill_percentage
	control fill_percentage_of_frame=100
	[ "$(info corrupt)" = 1 ] || fail "fill_percentage: $(cat /tmp/info)"
	told_nothing fill_percentage
	echo "ok half-filled buffers"

	dropped=$(info dropped_driver)
	control percentage_of_dropped_buffers=30
	wait_for 10 counted dropped_driver $((dropped + 20)) || fail "dropped: $(cat /tmp/info)"
	control percentage_of_dropped_buffers=0
	frames_go_on dropped
	told_nothing dropped
	since_mark 2 | awk '$1 == "frame" && $9 % 4 >= 2 { flagged++ } END { exit !(flagged > 5) }' ||
		fail "no frame has the discontinuity flag"
	echo "ok dropped buffers: $(($(info dropped_driver) - dropped)) counted"

	mark
	control timestamp_source=1
	frames_go_on timestamp_source
	since_mark 2 | awk '$1 == "frame" { soe = $9 % 2 } END { exit !soe }' || fail "no start of exposure"
	control timestamp_source=0
	told_nothing timestamp_source
	[ "$(info epoch)" = "$epoch" ] || fail "none of this is a new epoch"
	echo "ok start of exposure"

	mark
	control inject_fatal_streaming_error=1
	breaks "fatal streaming error" 'its driver reports an error while capturing'
	control inject_vidioc_qbuf_error=1
	breaks "error at QBUF" .
	control inject_vidioc_streamon_error=1
	control inject_fatal_streaming_error=1
	breaks "error at STREAMON" 'starting the stream: Invalid argument'
	control inject_vidioc_reqbufs_error=1
	control inject_fatal_streaming_error=1
	breaks "error at REQBUFS" 'Invalid argument'
	control disconnect=1
	breaks disconnect '/dev/video0 has been unplugged'

	echo vivid.0 >$driver/unbind
	told unbind .
	wait_info state offline
	wait_info reason 'no such device: /dev/video0.*'
	[ "$(info epoch)" = null ] || fail "unbind: $(cat /tmp/info)"
	rests "while it is away"
	echo vivid.0 >$driver/bind
	told_of_return unbind
	echo "ok unbind and bind"
	finish
}

away_once() { # the readers are told of each state once, not of each attempt
	for reader in $READERS; do
		[ "$(since_mark $reader | grep -c '^event 3')" -le "$1" ] ||
			fail "told too often: $(since_mark $reader | grep event)"
	done
}

silence() {
	vivid_hdmi 320 180 YUYV
	start
	control percentage_of_dropped_buffers=100
	told silence 'no frame for 1 s: it is started anew'
	wait_info state offline
	wait_info reason 'no frame comes, and starting it anew did not help.*'
	rests "while it is silent"
	away_once 2
	[ "$(grep -c '^<3>' /tmp/log)" -eq 2 ] || fail "says: $(cat /tmp/log)"
	control percentage_of_dropped_buffers=0
	told_of_return silence
	echo "ok silence: $(since_mark 2 | grep '^event 3' | cut -d' ' -f4- | tr '\n' ';')"

	# shorter: only the stream is started anew, and the epoch goes on
	mark
	epoch=$(info epoch)
	control percentage_of_dropped_buffers=100
	wait_for 10 event_came 1 3 'started anew' || fail "a short silence: $(cat /tmp/log)"
	control percentage_of_dropped_buffers=0
	told_of_return "a short silence"
	[ "$(info epoch)" = "$epoch" ] || fail "a short silence is a new epoch: $(cat /tmp/log)"
	echo "ok a short silence: the epoch goes on"
	finish
}

has_size() { # READER SIZE
	since_mark $1 | grep -q -e "^frame .* $2\$"
}

new_size() { # SIZE DV_TIMINGS
	mark
	control dv_timings="$2"
	for reader in $READERS; do
		wait_for 30 has_size $reader "$1" ||
			fail "reader $reader has no frame of $1: $(tail -n 3 /tmp/reader.$reader) $(cat /tmp/log)"
		event_came $reader 5 '' || fail "reader $reader was not told of the format"
	done
	frames_go_on "$1"
	[ "$(info state)" = streaming ] || fail "$1: $(cat /tmp/info)"
	event_came 2 3 'no frame' && fail "$1: that is no stall: $(since_mark 2 | grep event)"
	echo "ok another signal: $1"
}

no_signal() { # MODE REASON
	mark
	control dv_timings_signal_mode="$1"
	told "no signal" "$2"
	wait_info state offline
	wait_info reason ".*$2.*"
	[ "$1" != 1 ] || rests "without a signal"
	away_once 2
	control dv_timings_signal_mode=4
	told_of_return "no signal"
	echo "ok $2"
}

signal() {
	vivid_hdmi 320 180 YUYV
	control dv_timings_signal_mode=4
	control dv_timings=9 # 1280x720, 60 fps
	start
	new_size 1920x1080 16
	new_size 1280x720 9
	no_signal 1 'no signal at its input'
	no_signal 2 'unstable signal'
	no_signal 3 'cannot receive'
	finish
}

# back_as NODE: the camera is there again, and in the same port
back_as() {
	echo vivid.0 >$driver/bind
	wait_for 10 [ -c "$1" ] || fail "vivid did not come back as $1: $(ls /dev/video*)"
	ln -s "../../${1#/dev/}" /dev/v4l/by-path/platform-vivid
	back=$(now)
	told_of_return "$1"
	first=$(since_mark 2 | awk '$1 == "event" && $2 == 2 { on = 1 }
		on && $1 == "frame" { print int($7 / 10000000); exit }')
	# 1 s is the promise; an emulated machine takes its time
	[ $((first - back)) -le 200 ] || fail "$1: frames came after $((first - back))0 ms"
	echo "ok back as $1: a frame after $((first - back))0 ms"
}

replug() {
	mkdir -p /dev/v4l/by-path
	ln -s ../../video0 /dev/v4l/by-path/platform-vivid
	start
	exec 8</dev/video0 # whoever has the old node open keeps its number
	echo vivid.0 >$driver/unbind
	rm /dev/v4l/by-path/platform-vivid
	told unplugged .
	wait_info state offline
	rests "while it is away"
	back_as /dev/video1
	mark
	exec 9</dev/video1 8<&-
	echo vivid.0 >$driver/unbind
	rm /dev/v4l/by-path/platform-vivid
	told "unplugged again" .
	back_as /dev/video0
	exec 9<&-
	finish
}

# The last frame's time of day is within 2 s of the machine's.
has_time_of_day() {
	tail -n 1 /tmp/reader.2 | awk -v now="$(date +%s)" '
		{ apart = $8 / 1e9 - now; exit !($1 == "frame" && apart > -2 && apart < 2) }'
}

steps() { # SECONDS
	mark
	before=$(frames 2)
	date -s "@$(($(date +%s) + $1))" >/dev/null || fail "date"
	has_time_of_day && fail "the clock was not set"
	wait_for 5 has_time_of_day || fail "the time of day does not follow: $(tail -n 1 /tmp/reader.2)"
	# longer than the stall timeout and all leases
	wait_for 10 has_frames 2 $((before + 150)) || fail "no frames: $(cat /tmp/log)"
	told_nothing "clock"
	[ "$(info revoked)" = 0 ] || fail "revoked: $(cat /tmp/info)"
	grep -q '"leases": 1' /tmp/info || fail "held: $(cat /tmp/info)"
	[ "$(info state)" = streaming ] || fail "clock: $(cat /tmp/info)"
	echo "ok the clock steps by $1 s"
}

# Capture times keep their distance to those of publication (which a busy machine delays), but for one
# wrap.
capture_times() { # READER
	since_mark $1 | awk '
		$1 != "frame" { next }
		last != "" && $6 < last { wraps++; base = "" }
		base == "" { base = $6 - $7 }
		{
			apart = ($6 - $7 - base) / 1e9
			if (apart < -2 || apart > 2) { print "capture:", base, $0; bad = 1 }
			last = $6
		}
		END { exit bad || wraps != 1 }'
}

wrapped() { # READER: its capture times have, and 20 frames more have come
	since_mark $1 | awk '$1 == "frame" && $6 < 0 { count++ } END { exit count < 20 }'
}

clock() {
	vivid_hdmi 320 180 YUYV
	start
	steps 3600
	steps -3600

	# they wrap 128 frames, and 16 s, after the stream's start
	control wrap_sequence_number=1
	control wrap_timestamp=1
	mark
	control disconnect=1
	breaks disconnect 'has been unplugged'
	dropped=$(info dropped_driver)
	began=$(now)
	for reader in $READERS; do
		wait_for 25 wrapped $reader || fail "no wrap: $(tail -n 2 /tmp/reader.$reader)"
		capture_times $reader || fail "capture times are not the driver's"
	done
	awk '$1 == "frame" { if ($2 "" == epoch "" && $5 < last) back++; epoch = $2; last = $5 }
		END { exit back != 1 }' /tmp/reader.2 || fail "the driver's sequence did not wrap"
	# a busy machine loses some, but no more than there were: 60 a second
	[ $(($(info dropped_driver) - dropped)) -lt $((($(now) - began) * 60 / 100)) ] ||
		fail "a wrap is no loss: $(cat /tmp/info)"
	echo "ok the driver's numbers and times wrap around"
	finish
}

case $1 in
faults | silence | signal | replug | clock) "$1" ;;
*) fail "usage: faults.sh faults|silence|signal|replug|clock MEMORY" ;;
esac
