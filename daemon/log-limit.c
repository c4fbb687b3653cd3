/* SPDX-License-Identifier: MIT */
#include "log-limit.h"

bool log_limit_permits(struct log_limit *limit, int64_t now_ns)
{
	if (limit->full_ns < now_ns)
		limit->full_ns = now_ns;
	if (limit->full_ns - now_ns > (LOG_LIMIT_BURST - 1) * LOG_LIMIT_INTERVAL_NS) {
		limit->left_out++;
		return false;
	}
	limit->full_ns += LOG_LIMIT_INTERVAL_NS;
	return true;
}

static int find_place(const struct log_user_limit *users, uid_t uid, int64_t now_ns)
{
	int unused = LOG_LIMIT_USERS;

	for (int i = 0; i < LOG_LIMIT_USERS; i++) {
		const struct log_limit *limit = &users->places[i].limit;
		/* there is nothing to be remembered of whom it was about */
		bool is_free = limit->full_ns <= now_ns && limit->left_out == 0;

		if (!is_free && users->places[i].uid == uid)
			return i;
		if (is_free && unused == LOG_LIMIT_USERS)
			unused = i;
	}
	return unused;
}

bool log_user_limit_permits(struct log_user_limit *users, uid_t uid, int64_t now_ns)
{
	int place = find_place(users, uid, now_ns);

	users->places[place].uid = uid;
	return log_limit_permits(&users->places[place].limit, now_ns);
}

bool log_user_limit_take(
	struct log_user_limit *users, uid_t *ret_uid, bool *ret_shared, uint64_t *ret_lines)
{
	for (int i = 0; i <= LOG_LIMIT_USERS; i++) {
		struct log_limit *limit = &users->places[i].limit;

		if (limit->left_out == 0)
			continue;
		*ret_uid = users->places[i].uid;
		*ret_shared = i == LOG_LIMIT_USERS;
		*ret_lines = limit->left_out;
		limit->left_out = 0;
		return true;
	}
	return false;
}
