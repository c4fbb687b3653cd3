#!/bin/sh
# SPDX-License-Identifier: MIT
# idle.sh: camtapd with a camera and no reader is woken by the watchdog and by nothing else.
. /vm/lib.sh

vivid_hdmi 640 360 NV12
idle-probe /tmp/socket 16 camtapd --name vivid --socket /tmp/socket --source /dev/video0 --idle-timeout 0 \
	2>/tmp/log >/tmp/woken || fail "$(cat /tmp/woken /tmp/log)"
sed 's/^/ok /' /tmp/woken
