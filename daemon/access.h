/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_ACCESS_H
#define CAMTAP_DAEMON_ACCESS_H

/*
 * Who may do what, beyond connecting, which the socket's mode decides. Section [Access] names the
 * users and groups that may read frames; if it names none, everyone may who has connected. Root,
 * the daemon's own user and group camtap-admin may do everything. Observers are asked nothing.
 *
 * Names are looked up once, when the options were read: where users come from a network that can
 * take seconds. The groups of a peer are those that it had when it connected (SO_PEERGROUPS).
 * Server thread.
 */

#include "peer.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct options;

struct access {
	bool restricted;
	uid_t *users;
	gid_t *groups;
	size_t user_count, group_count;
	bool has_admins;
	gid_t admins;
	char who[WIRE_TEXT_SIZE / 2]; /* for those who may not: who may, and what to do about it */
};

/* Looks the names up. Those that nobody has are logged, and let nobody in. -ENOMEM. */
int access_init(struct access *ret_access, const struct options *options);
void access_finish(struct access *access);

/* May this peer read frames? */
bool access_permits(const struct access *access, const struct peer *peer, int socket);
/* May it do what administrators may: root, the daemon's own user, group camtap-admin? */
bool access_is_admin(const struct access *access, const struct peer *peer, int socket);

#endif
