/* SPDX-License-Identifier: MIT */
#include "log-limit.h"

static struct log_limit_place *find_place(struct log_limit *limit, uid_t uid, int64_t now_ns)
{
	struct log_limit_place *unused = &limit->places[LOG_LIMIT_USERS];

	for (int i = LOG_LIMIT_USERS - 1; i >= 0; i--) {
		struct log_limit_place *place = &limit->places[i];
		/* nothing to be remembered of whom it was about */
		bool is_free = place->full_ns <= now_ns && place->left_out == 0;

		if (!is_free && place->uid == uid)
			return place;
		if (is_free)
			unused = place;
	}
	unused->uid = uid;
	return unused;
}

bool log_limit_permits(struct log_limit *limit, uid_t uid, int64_t now_ns)
{
	struct log_limit_place *place = find_place(limit, uid, now_ns);

	if (place->full_ns < now_ns)
		place->full_ns = now_ns;
	if (place->full_ns - now_ns > (LOG_LIMIT_BURST - 1) * LOG_LIMIT_INTERVAL_NS) {
		place->left_out++;
		return false;
	}
	place->full_ns += LOG_LIMIT_INTERVAL_NS;
	return true;
}

bool log_limit_take(struct log_limit *limit, uid_t *ret_uid, bool *ret_shared, uint64_t *ret_lines)
{
	for (int i = 0; i <= LOG_LIMIT_USERS; i++) {
		struct log_limit_place *place = &limit->places[i];

		if (place->left_out == 0)
			continue;
		*ret_uid = place->uid;
		*ret_shared = i == LOG_LIMIT_USERS;
		*ret_lines = place->left_out;
		place->left_out = 0;
		return true;
	}
	return false;
}
