/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_MEMORY_FILE_H
#define CAMTAP_DAEMON_MEMORY_FILE_H

/* Memory that is shared by its fd: a memfd that can be sealed and not be executed. */

/* An empty one; negative errno. */
int memory_file_create(const char *name);

/* Another open file description of it, for reading only: what is done to that one (lseek, flags)
 * does not concern ours. Negative errno. */
int memory_file_open_read_only(int fd);

#endif
