/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_OPTIONS_H
#define CAMTAP_DAEMON_OPTIONS_H

/* What the administrator asked for: the command line above /etc/camtap/NAME.conf.d/(name).conf,
 * above /etc/camtap/NAME.conf, above /etc/camtap/camtapd.conf, above the defaults. */

#include "control-list.h"

#include <stdbool.h>
#include <stdint.h>

enum options_memory {
	OPTIONS_MEMORY_AUTO,    /* USERPTR, else one copy, else libv4l2's conversion */
	OPTIONS_MEMORY_USERPTR, /* the driver writes into the pool, or it is an error */
	OPTIONS_MEMORY_COPY,    /* the driver's buffers and one copy */
	OPTIONS_MEMORY_DMABUF,  /* the driver's buffers, exported to the readers */
	OPTIONS_MEMORY_LIBV4L2, /* through libv4l2 without V4L2_DISABLE_CONVERSION */
};

/* Strings are owned by the structure, NULL where nothing was said. */
struct options {
	char *name;          /* of the camera; never NULL after options_read() */
	char *source;        /* URI; never NULL after options_read() */
	bool source_assumed; /* nobody said what it is: it is the device of that name */
	char *socket;        /* path; NULL: the default for the name */

	uint32_t fourcc;                           /* 0: the source's choice */
	uint32_t width, height;                    /* 0: the source's choice */
	uint32_t rate_numerator, rate_denominator; /* frames per second; 0/0: not said */
	bool rate_unpaced;                         /* rate 0: as fast as it goes (pattern, file) */
	char *raw; /* geometry of raw recordings: FOURCC:WxH[,stride=N][,rate=N] */
	bool loop;

	enum options_memory memory;
	uint32_t slots;        /* 0: auto */
	uint64_t memory_limit; /* bytes of all pools, those pinned by clients included */

	uint32_t max_clients;
	uint32_t max_clients_per_uid;
	uint32_t max_leases;
	uint32_t max_streams; /* derived ones, each with a thread */
	uint64_t lease_min_ns;
	bool lossless;         /* every reader is lossless */
	uint32_t wait_readers; /* start the source when that many are there; at least 1 */

	char *users, *groups; /* who may read: names or ids, separated by blanks or commas */

	struct control_list controls; /* set whenever the device is opened for its frames */

	uint64_t idle_timeout_ns;
	uint64_t stall_timeout_ns; /* a device that is silent for so long is started anew; 0: never
				    */
	bool jpeg_strict;  /* harmless oddities of a JPEG make it a bad one, in derived streams */
	bool publish_bad;  /* damaged frames are published, with a flag */
	uint32_t realtime; /* SCHED_FIFO priority of the capture thread; 0: as everybody */
	bool always_on;
	bool wait;         /* a device that is missing at start is waited for */
	bool check_config; /* only say whether the configuration is right */

	char **said; /* of each setting, what was said last: setting_said() */
	/* Where all this was read from, to read it again; the caller's of options_read(). */
	int argument_count;
	char **arguments;
};

enum options_outcome {
	OPTIONS_RUN = 0,
	OPTIONS_DONE = 1, /* --help, --version: printed, exit 0 */
};

#define OPTIONS_DIRECTORY  "/etc/camtap"
#define OPTIONS_ERROR_SIZE 512

/* Reads command line and configuration files (those in `directory`). Negative errno and a clear
 * line in `error` (exit status 2): bad usage, unknown key, bad value, each with file and line or
 * option. */
int options_read(struct options *ret_options, const char *directory, int argc, char **argv,
	char error[static OPTIONS_ERROR_SIZE]);
void options_finish(struct options *options);

/* The device of a camera whose source nobody has said, in `dev` ("/dev"): the link that udev's rule
 * has made for a camera of that name, DEV/camtap/NAME, else the node DEV/NAME. If there is neither,
 * and it can be waited for: that node if it can be one of a camera ("video0"), else that link.
 * -ENOENT, -ENOMEM. The source is the caller's to free(). */
int options_default_source(char **ret_source, const char *dev, const char *name, bool wait);

#endif
