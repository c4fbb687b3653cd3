# SPDX-License-Identifier: MIT
# system.sh [CASE...]: cameras that are plugged into a system with systemd and udev, camtap as it is
# installed. Each case is one of the functions below, and a line "ok CASE" or "FAIL CASE". Those after
# plugged_in need it.
# shellcheck disable=SC1091 # in the guest only
. /vm/lib.sh
. /vm/camera.sh

PICTURES= # it has only YUYV
VIVID=platform-vivid.0
USB=usb-camtap_Test_Camera_0001
PORT_0=platform-vhci_hcd.0-usb-0_1_1.0
PORT_1=platform-vhci_hcd.0-usb-0_2_1.0
# busybox has a program of that name, too
READER="/usr/bin/setpriv --reuid=reader --regid=reader --init-groups"
STRANGER="/usr/bin/setpriv --reuid=stranger --regid=stranger --init-groups"

socket_of() { echo "/run/camtap/$1/socket"; }
is_active() { systemctl is-active --quiet "camtapd@$1.service"; }
is_off() { [ "$(systemctl is-active "camtapd@$1.service")" = inactive ]; } # nor starting
main_pid() { systemctl show --value -p MainPID "camtapd@$1.service"; }

# state NAME
state() {
	camtap info --json "$1" | tr -d ' \n' | sed 's/.*"state":"\([a-z]*\)".*/\1/'
}
state_is() { [ "$(state "$1")" = "$2" ]; }

# What a service has said.
journal() { journalctl --quiet --output cat --unit "camtapd@$1.service"; }

# The services that run, in order.
instances() {
	systemctl list-units --plain --no-legend --state active,activating 'camtapd@*.service' |
		sed 's/^camtapd@\(.*\)\.service .*/\1/' | sort
}

stop_all() {
	for name in $(instances); do
		systemctl stop "camtapd@$name.socket"
	done
	[ -z "$(instances)" ] || fail "these run: $(instances)"
}

# reader_start NUMBER NAME: what it sees is in /tmp/reader.NUMBER, its process in $reader.
reader_start() {
	$READER uvcam-reader "$(socket_of "$2")" none >"/tmp/reader.$1" 2>&1 &
	reader=$!
}

# The number of the frame of the USB camera that a reader got last, if that was the last.
newest() {
	tail -n 1 "/tmp/reader.$1" | sed -n 's/^frame \([0-9]*\) .*/\1/p'
}

has_frame() { # NUMBER READER
	last=$(newest "$2")
	[ "${last:-0}" -ge "$1" ]
}

check_alive() { kill -0 "$1" 2>/dev/null || fail "a reader has ended"; }

# A service that runs, has not been restarted or stopped since, and its reader.
remember_service() { service_pid=$(main_pid "$1"); }
check_service() {
	[ "$(main_pid "$1")" = "$service_pid" ] || fail "$1 was stopped: $(journal "$1")"
	[ "$(systemctl show --value -p NRestarts "camtapd@$1.service")" -eq 0 ] || fail "$1: restarts"
}

# ---- cases ----

# There is no camera, and not even the folder for its link: the service waits, says so, and so does
# the reader. Then it comes.
waiting_for_the_first_camera() {
	[ ! -e /dev/camtap ] || fail "it is there"
	systemctl start camtapd@$USB.socket
	reader_start 1 $USB
	within 10 is_active $USB
	journal $USB | grep -q "there is no /dev/camtap/$USB: waiting for it; .*/etc/camtap/$USB.conf" ||
		fail "the journal: $(journal $USB)"
	within 10 grep -q "^event .*no camera named $USB is plugged in" /tmp/reader.1
	remember_service $USB
	camera a plug 0
	within 20 has_frame 3 1
	check_service $USB
	kill $reader
	camera a unplug
	within 10 is_gone /dev/camtap/$USB
	systemctl stop camtapd@$USB.socket
	[ -z "$(instances)" ] || fail "these run: $(instances)"
}

# modprobe starts the camera's service, and nobody reads.
plugged_in() {
	modprobe vivid n_devs=1 node_types=0x1
	within 20 is_active $VIVID
	[ "$(readlink -f /dev/camtap/$VIVID)" = /dev/video0 ] || fail "$(ls -l /dev/camtap)"
	[ "$(stat -c '%a %G %F' "$(socket_of $VIVID)")" = "660 camtap socket" ] || fail "the socket"
	within 10 state_is $VIVID idle
	ls -l "/proc/$(main_pid $VIVID)/fd" | grep /dev/video && fail "the camera is open"
	camtap list >/tmp/output
	grep -A1 '^  /dev/video0 ' /tmp/output |
		grep -q "^    camera $VIVID, by udev: camtapd@$VIVID.service\$" || fail "$(cat /tmp/output)"
	camtap list --json | grep -q "\"camera\": \"$VIVID\"" || fail "$(camtap list --json)"
}

# Who is in the group reads; who is not is told.
readers() {
	$READER camtap hz $VIVID --count 5 >/tmp/output 2>&1 || fail "$(cat /tmp/output)"
	cat /tmp/output
	$STRANGER camtap hz $VIVID --count 5 >/tmp/output 2>&1
	status=$?
	cat /tmp/output
	[ $status -eq 1 ] || fail "status $status"
	[ "$(wc -l </tmp/output)" -eq 1 ] || fail "more than a line"
	grep -q "camtap" /tmp/output && grep -q "group" /tmp/output || fail "not clear"
	within 10 state_is $VIVID idle
}

# opens GROUP_OF_PROCESSES PATH: what root, with the devices of that service, is told.
opens_in() {
	sh -c 'echo $$ >"/sys/fs/cgroup$1/cgroup.procs" && exec dd if="$2" of=/dev/null count=0' \
		sh "$1" "$2" 2>&1 | grep -v records
}

group_id() { getent group "$1" | cut -d: -f3; }

# The service may open cameras, by its group, and no other device; a reader may open neither.
devices() {
	pid=$(main_pid $VIVID)
	[ "$(stat -c %U "/proc/$pid")" = camtap ] || fail "user"
	[ "$(awk '/^Gid:/ { print $2 }' "/proc/$pid/status")" = "$(group_id camtap)" ] || fail "group"
	groups=$(awk '/^Groups:/ { for (i = 2; i <= NF; i++) print $i }' "/proc/$pid/status")
	[ "$(echo "$groups" | grep -v -x "$(group_id camtap)")" = "$(group_id video)" ] ||
		fail "groups: $groups"
	grep -q '^CapEff:.0*$' "/proc/$pid/status" || fail "capabilities"
	[ "$(stat -c '%a %G' /dev/video0)" = "660 video" ] || fail "$(ls -l /dev/video0)"
	group=$(systemctl show --value -p ControlGroup camtapd@$VIVID.service)
	for device in /dev/video0 /dev/null; do
		[ -z "$(opens_in "$group" $device)" ] || fail "$(opens_in "$group" $device)"
	done
	for device in /dev/vda /dev/kmsg /dev/mem /dev/hpet /dev/ttyS0 /dev/vhci /dev/fuse /dev/net/tun; do
		[ -e $device ] || continue
		opens_in "$group" $device | tee /tmp/output | grep -q 'Operation not permitted' ||
			fail "$device: $(cat /tmp/output)"
		echo "$(cat /tmp/output)"
	done
	[ -e /dev/vda ] && [ -e /dev/kmsg ] || fail "these are not there"
	$READER dd if=/dev/video0 of=/dev/null count=0 2>&1 | tee /tmp/output |
		grep -q 'Permission denied' || fail "$(cat /tmp/output)"
}

# The driver of a camera that streams is taken away, and given back.
unbound() {
	$READER frame-log "$(socket_of $VIVID)" >/tmp/reader.1 2>&1 &
	reader=$!
	within 20 grep -q '^frame' /tmp/reader.1
	remember_service $VIVID
	for _ in 1 2; do
		echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
		within 10 is_gone /dev/camtap/$VIVID
		within 10 sh -c "tail -n 1 /tmp/reader.1 | grep -q '^event .*unplugged\|^event .*plugged in'"
		frames=$(grep -c '^frame' /tmp/reader.1)
		echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
		within 20 sh -c "[ \$(grep -c '^frame' /tmp/reader.1) -gt $((frames + 3)) ]"
		check_alive $reader
		check_service $VIVID
	done
	grep '^event' /tmp/reader.1
	kill $reader
}

# A USB camera goes and comes under a reader: into another port, too, which its name does not know.
replugged() {
	camera a plug 0
	within 20 is_active $USB
	reader_start 1 $USB
	within 20 has_frame 3 1
	remember_service $USB
	for port in 1 0; do
		camera a unplug
		within 10 is_gone /dev/camtap/$USB
		within 10 sh -c 'tail -n 1 /tmp/reader.1 | grep -q ^event'
		is_active $USB || fail "it was stopped"
		first=$(frame_of a)
		camera a plug $port
		within 20 has_frame "$first" 1
		check_alive $reader
		check_service $USB
	done
	kill $reader
	# its other node, which carries metadata, is no camera
	[ "$(cat /sys/class/video4linux/*/name | grep -c 'Test Camera')" -eq 2 ] || fail "one node"
	[ "$(find /dev/camtap -name '*Test_Camera*' | wc -l)" -eq 1 ] || fail "$(ls -l /dev/camtap)"
	[ "$(instances | grep -v $VIVID)" = $USB ] || fail "$(instances)"
	camera a unplug
	within 10 is_gone /dev/camtap/$USB
}

# has_names LINES: the links of the USB cameras
has_names() {
	[ "$(cd /dev/camtap 2>/dev/null && find . -type l ! -name $VIVID | cut -c 3- | sort)" = "$1" ]
}

# names_are NAME...: these USB cameras are plugged in, or will be, and the service of each runs.
names_are() {
	within 10 has_names "$(printf '%s\n' "$@" | sort)"
	for name; do
		within 10 is_active "$name"
	done
}

# Another camera of the same id comes: it is named after its port, and so each time.
twins() {
	camera a plug 0
	names_are $USB
	camera b plug 1
	names_are $USB $PORT_1
	reader_start 1 $USB
	a_reader=$reader
	reader_start 2 $PORT_1
	within 20 has_frame 3 1
	within 20 has_frame 1000003 2
	udevadm trigger --settle --action=add --subsystem-match=video4linux # as an installation does
	udevadm settle
	names_are $USB $PORT_1
	# the later one comes first, and the name that both could have is free
	camera a unplug
	camera b unplug
	within 10 is_gone /dev/camtap/$USB
	within 10 is_gone /dev/camtap/$PORT_1
	a_first=$(frame_of a)
	b_first=$(frame_of b)
	camera b plug
	names_are $PORT_1
	camera a plug
	names_are $USB $PORT_1
	within 20 has_frame "$a_first" 1
	within 20 has_frame "$b_first" 2
	check_alive $reader
	check_alive $a_reader
	awk '/^frame/ && $2 >= 1000000 { exit 1 }' /tmp/reader.1 || fail "the first has the second"
	awk '/^frame/ && $2 < 1000000 { exit 1 }' /tmp/reader.2 || fail "the second has the first"
	kill $reader $a_reader
	camera a unplug
	camera b unplug
	within 10 is_gone /dev/camtap/$USB
	within 10 is_gone /dev/camtap/$PORT_1
}

# Two cameras of the same id are there before udev looks at either, as at boot.
twins_from_the_start() {
	rm -rf /run/camtap-names
	udevadm control --stop-exec-queue
	camera a plug 0
	camera b plug 1
	within 10 sh -c '[ "$(grep -sl "Test Camera" /sys/class/video4linux/*/name | wc -l)" -eq 4 ]'
	udevadm control --start-exec-queue
	names_are $PORT_0 $PORT_1
	camera a unplug
	within 10 is_gone /dev/camtap/$PORT_0
	camera a plug
	names_are $PORT_0 $PORT_1
	camera a unplug
	camera b unplug
	within 10 is_gone /dev/camtap/$PORT_0
	within 10 is_gone /dev/camtap/$PORT_1
}

# The administrator's own name; and a wrong one.
named_by_a_rule() {
	cat >/etc/udev/rules.d/80-cameras.rules <<-'END'
		SUBSYSTEM=="video4linux", ENV{ID_PATH}=="*-usb-0:1:1.0", ENV{CAMTAP_NAME}="left"
		SUBSYSTEM=="video4linux", ENV{ID_PATH}=="*-usb-0:2:1.0", ENV{CAMTAP_NAME}="../right"
	END
	udevadm control --reload
	camera a plug 0
	names_are left
	camera b plug 1
	within 10 exists "$(by_path 1)"
	udevadm settle
	names_are left
	$READER camtap hz left --count 3 >/tmp/output 2>&1 || fail "$(cat /tmp/output)"
	camera a unplug
	camera b unplug
	within 10 is_gone /dev/camtap/left
	rm /etc/udev/rules.d/80-cameras.rules
	udevadm control --reload
}

device_is_active() { systemctl is-active --quiet "$(systemd-escape -p --suffix device "$1")"; }
device_is_gone() { ! device_is_active "$1"; }

# A camera that was stopped is off until it is plugged in again, whatever else udev looks at; one that
# is paused still is then.
stopped() {
	rm -rf /run/camtap-names
	camera a plug 0
	names_are $USB
	systemctl stop camtapd@$USB.socket
	is_off $USB || fail "it is on"
	udevadm trigger --settle --subsystem-match=video4linux
	camera a unplug
	# systemd has seen one after the other
	within 10 device_is_gone /dev/camtap/$USB
	is_off $USB || fail "it is on again"
	camera a plug
	names_are $USB
	/usr/bin/setpriv --reuid=admin --regid=admin --init-groups camtap pause $USB >/dev/null ||
		fail "no pause"
	camera a unplug
	within 10 device_is_gone /dev/camtap/$USB
	systemctl stop camtapd@$USB.socket
	camera a plug
	names_are $USB
	within 10 state_is $USB paused
	camtap resume $USB >/dev/null
	within 10 state_is $USB idle
	camera a unplug
	within 10 is_gone /dev/camtap/$USB
}

# Masking the rule turns all of this off.
masked() {
	stop_all
	rm -rf /run/camtap-names
	ln -s /dev/null /etc/udev/rules.d/90-camtap.rules
	udevadm control --reload
	camera a plug 0
	within 10 exists ${BY_ID}_0001-video-index0
	udevadm settle
	has_names "" || fail "$(ls -l /dev/camtap)"
	[ -z "$(instances)" ] || fail "these run: $(instances)"
	rm /etc/udev/rules.d/90-camtap.rules
	udevadm control --reload
	camera a unplug
	within 10 is_gone ${BY_ID}_0001-video-index0
}

# udev may be looking at a node
unload_vivid() { rmmod vivid 2>/dev/null || ! grep -q '^vivid ' /proc/modules; }

# Nodes that do not capture pictures: everything else that vivid can be, VBI, radio, SDR, output,
# metadata, touch. (The kernel of Debian has no memory-to-memory device for tests.)
no_cameras() {
	stop_all
	within 10 unload_vivid
	within 10 is_gone /dev/camtap/$VIVID
	modprobe vivid n_devs=1 node_types=0xe0d34
	within 10 sh -c 'grep -q meta-out /sys/class/video4linux/*/name'
	udevadm settle
	cat /sys/class/video4linux/*/name
	! exists /dev/camtap || fail "$(ls -l /dev/camtap)" # udev removes it with the last link
	[ -z "$(instances)" ] || fail "these run: $(instances)"
	within 10 unload_vivid
	# with a camera among them: only that
	modprobe vivid n_devs=1 node_types=0x60101 || fail "no vivid"
	within 10 exists /dev/camtap
	udevadm settle
	[ "$(find /dev/camtap -name '*vivid*' | wc -l)" -eq 1 ] || fail "$(ls -l /dev/camtap)"
	grep -q 'vid-cap' "/sys/class/video4linux/$(basename "$(readlink -f /dev/camtap/*vivid*)")/name" ||
		fail "$(ls -l /dev/camtap)"
}

# Here root may raise limits, as it may not in every container: the example gives what it says, without a capability.
realtime() {
	mkdir -p /etc/systemd/system/camtapd@fifo.service.d
	find /usr -path '*/doc/camtap/examples/realtime.conf' \
		-exec cp {} /etc/systemd/system/camtapd@fifo.service.d \;
	printf '[Camera]\nsource = pattern:\nsize = 64x48\nrealtime = 1\n' >/etc/camtap/fifo.conf
	systemctl daemon-reload
	systemctl start camtapd@fifo.socket
	$READER camtap hz fifo --count 5 >/tmp/output 2>&1 || fail "$(cat /tmp/output)"
	pid=$(systemctl show --value -p MainPID camtapd@fifo.service)
	grep -q '^CapEff:.0*$' "/proc/$pid/status" || fail "$(cat "/proc/$pid/status")"
	# name, priority, policy (1: SCHED_FIFO)
	awk '{ print $2, $40, $41 }' "/proc/$pid"/task/*/stat >/tmp/threads
	grep -q '^(capture) 1 1$' /tmp/threads || fail "$(cat /tmp/threads; journalctl -n 5 -u camtapd@fifo)"
	! grep -v '^(capture) \|) 0 0$' /tmp/threads || fail "$(cat /tmp/threads)"
	systemctl stop camtapd@fifo.socket camtapd@fifo.service
	rm -r /etc/camtap/fifo.conf /etc/systemd/system/camtapd@fifo.service.d
	systemctl daemon-reload
}

# Its driver was loaded as early as systemd does that.
at_boot() {
	is_active $VIVID || fail "$(systemctl status camtapd@$VIVID.service)"
	systemctl show --value -p ActiveEnterTimestampMonotonic multi-user.target camtapd@$VIVID.service
	$READER camtap hz $VIVID --count 5 >/tmp/output 2>&1 || fail "$(cat /tmp/output)"
}

mkdir -p /etc/camtap
printf '[Camera]\nsize = 320x180\nrate = 15\nidle_timeout = 1s\n' >/etc/camtap/camtapd.conf
modprobe -a uvcvideo vhci_hcd || fail "no USB cameras"
camera_start a
camera_start b --first-frame 1000000
systemctl is-system-running --wait >/dev/null
failed=0
for case in ${*:-waiting_for_the_first_camera plugged_in readers devices unbound replugged twins \
	twins_from_the_start named_by_a_rule stopped masked realtime no_cameras}; do
	began=$(uptime_cs)
	echo "== $case"
	# in a shell of its own: fail ends no more than that
	if ($case); then
		echo "ok $case $((($(uptime_cs) - began) / 100)) s"
	else
		failed=$((failed + 1))
		echo "FAIL $case"
	fi
done
systemctl --failed --no-legend --plain
exit $failed
