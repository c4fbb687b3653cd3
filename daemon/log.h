/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_LOG_H
#define CAMTAP_DAEMON_LOG_H

/* One line on standard error per event, with the kernel's <N> priority prefix when it is not a
 * terminal (systemd reads it: sd-daemon(3)). Any thread. A healthy run logs nothing above debug but
 * its state. */

#include <syslog.h>

void log_write(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)

#endif
