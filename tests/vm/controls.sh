#!/bin/sh
# SPDX-License-Identifier: MIT
# controls.sh: the controls of a real driver: listed, read and set by camtap ctl, set from the
# configuration, and set again whenever the device is opened again. What is so is always asked
# v4l2-ctl, which talks to the driver itself. Prints a line per check.
. /vm/lib.sh
echo 'camtap-admin:x:901:user' >>/etc/group # before camtapd begins: it looks names up then

DEVICE=/dev/video0
DRIVER=/sys/bus/platform/drivers/vivid
NOT_YET=100 # looks, 50 ms apart

ok() {
	echo "ok $*"
}

# eventually COMMAND...: succeeds within some seconds
eventually() {
	looks=0
	until "$@"; do
		looks=$((looks + 1))
		[ $looks -lt $NOT_YET ] || fail "not in time: $*: $(cat /tmp/log)"
		usleep 50000
	done
}

# driver CONTROL: its value as v4l2-ctl reads it, without what it adds to menus, and quotes
driver() {
	v4l2-ctl -d $DEVICE -C "$1" | sed -e "s/^$1: //" -e 's/ (.*)$//' -e "s/^'\(.*\)'$/\1/"
}

# is CONTROL VALUE
is() {
	[ "$(driver "$1")" = "$2" ]
}

must_be() {
	is "$1" "$2" || fail "$1 is $(driver "$1"), not $2: $(cat /tmp/log)"
}

ctl() {
	camtap ctl --socket /tmp/socket "$@"
}

# refused PATTERN WORD...: status 1, one line on standard error
refused() {
	pattern=$1
	shift
	ctl "$@" >/tmp/out 2>/tmp/error && fail "ctl $*: was not refused"
	[ "$(wc -l </tmp/error)" -eq 1 ] || fail "ctl $*: not one line: $(cat /tmp/error)"
	grep -q -e "$pattern" /tmp/error || fail "ctl $*: says: $(cat /tmp/error)"
	ok "$(cat /tmp/error)"
}

logged() {
	grep -q -e "$1" /tmp/log
}

# start OPTION...: the daemon, on the device
start() {
	camtapd --name front --socket /tmp/socket --source $DEVICE --config /tmp/front.conf \
		--idle-timeout 0 "$@" 2>/tmp/log &
	daemon=$!
	eventually test -S /tmp/socket
	chmod 666 /tmp/socket
}

stop() {
	kill $daemon
	wait $daemon || fail "the daemon: status $?: $(cat /tmp/log)"
}

read_for_ever() {
	camtap hz front --socket /tmp/socket --count 1000000 --timeout infinity >/dev/null 2>&1 &
	reader=$!
}

# A reader that has had frames since a line of the log was written
streams() {
	[ "$(grep -c streaming /tmp/log)" -ge "$1" ]
}

is_closed() {
	! ls -l /proc/$daemon/fd | grep -q video0
}

# ---- the list is v4l2-ctl's ----

: >/tmp/front.conf
start
v4l2-ctl -d $DEVICE -L | sed -n 's/^ *\([a-z0-9_]*\) 0x[0-9a-f]* (.*/\1/p' | sort >/tmp/theirs
ctl | sed -n 's/^  \([a-z0-9_]*\) (.*/\1/p' | sort >/tmp/ours
[ "$(wc -l </tmp/theirs)" -gt 40 ] || fail "v4l2-ctl lists only $(cat /tmp/theirs)"
cmp /tmp/theirs /tmp/ours || fail "$(diff /tmp/theirs /tmp/ours)"
ok "$(wc -l </tmp/ours) controls, the same names as v4l2-ctl's"

ctl >/tmp/list
for line in 'brightness (int) .*: min=0 max=255 step=1 default=128 value=128 flags=slider' \
	'boolean (bool) .*: default=1 value=1' \
	'menu (menu) .*: min=1 max=4 step=1 default=3 value=3 (Menu Item 3)' \
	'      4: Menu Item 4' \
	'integer_menu (intmenu) .*: min=1 max=8 .* value=4 (5)' \
	'string (str) .*: min=2 max=4 step=1 value=.  .' \
	'integer_64_bits (int64) .*: min=-9223372036854775808 max=9223372036854775807' \
	'bitmask (bitmask) .*: min=0x00000000 max=0x80402010 step=0x00000000 default=0x80002000' \
	'button (button) .*:.* flags=.*execute-on-write' \
	'u16_8x16_matrix (compound) .*: flags=has-payload' \
	'gain (int) .*flags=.*inactive' \
	'read_only_integer_32_bits (int) .*flags=read-only'; do
	grep -q -e "$line" /tmp/list || fail "not listed: $line: $(cat /tmp/list)"
done
ctl --json integer_64_bits | grep -q '"maximum": "9223372036854775807"' || fail "$(ctl --json)"
ok "ranges, menus, flags"

# nobody reads: the device is opened for a moment only
eventually is_closed
ok "the device is closed again"

# ---- set and get, idle and streaming ----

for state in idle streaming; do
	if [ $state = streaming ]; then
		read_for_ever
		eventually streams 1
	fi
	for setting in brightness=42 brightness=0x2b boolean=0 menu=4 integer_menu=5 string=abcd \
		integer_64_bits=-9223372036854775808 bitmask=0x80000000 hue=-17; do
		ctl "$setting" || fail "$setting was refused"
		value=${setting#*=}
		case $setting in
		*=0x2b) value=43 ;;
		*=0x80000000) value=-2147483648 ;; # as v4l2-ctl -C prints it
		esac
		must_be "${setting%%=*}" "$value"
	done
	ctl 'menu=menu item 1' || fail "a menu's text was refused"
	must_be menu 1
	ctl button=1 || fail "the button was refused"
	ctl brightness=1 gain_automatic=0 gain=77 brightness=2 || fail "several were refused"
	must_be gain 77
	must_be brightness 2
	[ "$(ctl brightness menu string)" = "brightness: 2
menu: 1 (Menu Item 1)
string: 'abcd'" ] || fail "read: $(ctl brightness menu string)"
	ctl gain_automatic=1
	ok "$state: set and read"
done

# ---- what cannot be set ----

refused '^camtap: front: brightness: must be from 0 to 255, not 256' brightness=256
refused 'is no number' brightness=bright
refused 'must be 0 or 1' boolean=2
refused '1 (Menu Item 1), 3 (Menu Item 3), 4 (Menu Item 4)' menu=2
refused 'brightnes: no such control; there are brightness' brightnes=1
refused 'brightnes: no such control' brightness brightnes
refused 'inactive' gain=1
refused 'can only be read' read_only_integer_32_bits=1
refused 'array or a structure' u16_8x16_matrix=1
refused 'text of 2 to 4 bytes' string=x
refused 'must be bits of 0x80402010' bitmask=1
must_be brightness 2

# rights: reading is for everybody, setting for some
as reader camtap ctl --socket /tmp/socket brightness | grep -q '^brightness: 2$' || fail "not read"
as reader camtap ctl --socket /tmp/socket brightness=3 2>/tmp/error && fail "set by anybody"
grep -q 'camtap-admin' /tmp/error || fail "says: $(cat /tmp/error)"
must_be brightness 2
as user camtap ctl --socket /tmp/socket brightness=4 || fail "not set by an admin"
must_be brightness 4
ok "$(cat /tmp/error)"

# ---- unplugged and plugged in again: what was set is set again ----

ctl brightness=201 menu=4 gain_automatic=0 gain=33 || fail "not set"
ctl gain=256 2>/dev/null && fail "gain=256"
count=$(grep -c streaming /tmp/log)
echo vivid.0 >$DRIVER/unbind
eventually logged 'front: .*unplugged\|no such device'
ctl brightness=7 2>/tmp/error && fail "set without a device"
grep -q "$DEVICE" /tmp/error || fail "unplugged, it says: $(cat /tmp/error)"
ok "$(cat /tmp/error)"
eventually test ! -e $DEVICE
echo vivid.0 >$DRIVER/bind
eventually test -e $DEVICE
eventually streams $((count + 1))
must_be brightness 201
must_be menu 4
must_be gain_automatic 0
must_be gain 33
must_be contrast 128
ok "set again after it was unplugged"
grep -q ': control ' /tmp/log && fail "$(cat /tmp/log)"
kill $reader
wait $reader
stop

# ---- the configuration ----

v4l2-ctl -d $DEVICE -c gain_automatic=1,brightness=1
cat >/tmp/front.conf <<'END'
[Controls]
gain_automatic = 0
gain = 12
brightness = 99
menu = Menu Item 1
string = abc
contrast = 999
no_such_thing = 1
red_balance = 3
read_only_integer_32_bits = 5
END
start --control saturation=55 --control brightness=98
must_be brightness 1 # not opened yet
read_for_ever
eventually streams 1
must_be gain 12
must_be brightness 98
must_be menu 1
must_be string abc
must_be saturation 55
for line in 'front: control contrast: must be from 0 to 255, not 999' \
	'front: control no_such_thing: no such control; there are brightness' \
	'front: control read_only_integer_32_bits: can only be read'; do
	[ "$(grep -c -e "$line" /tmp/log)" -eq 1 ] || fail "not once: $line: $(cat /tmp/log)"
done
ok "$(grep ': control contrast' /tmp/log)"

# what is set by hand goes before the configuration, after a restart of the camera, too
ctl brightness=77
kill $reader
wait $reader
eventually is_closed
v4l2-ctl -d $DEVICE -c brightness=1,saturation=1
read_for_ever
eventually streams 2
must_be brightness 77
must_be saturation 55
ok "the configuration, and above it what was set by hand"

# requests that come while the device goes away and comes back: each has an answer
for round in 1 2 3 4; do
	count=$(grep -c streaming /tmp/log)
	(while [ ! -e /tmp/enough ]; do
		ctl brightness=$((100 + round)) >/dev/null 2>&1
		ctl >/dev/null 2>&1
	done) &
	busy=$!
	usleep 100000
	echo vivid.0 >$DRIVER/unbind
	eventually test ! -e $DEVICE
	usleep 100000
	echo vivid.0 >$DRIVER/bind
	eventually test -e $DEVICE
	eventually streams $((count + 1))
	touch /tmp/enough
	wait $busy
	rm /tmp/enough
	ctl brightness=$((100 + round)) || fail "round $round"
	must_be brightness $((100 + round))
done
ok "unplugged under requests"
kill $reader
wait $reader
stop
