/* SPDX-License-Identifier: MIT */
#include "announce.h"

#include "clock.h"
#include "message.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A send costs some 2 µs. The loop's budget is far above what an honest crowd needs. */
#define LOOP_BUDGET_NS      NSEC_PER_MSEC
#define LOOP_BUDGET_EACH_NS INT64_C(20000)
/* A single send that costs this much leaves no doubt. */
#define SEND_OUTRAGE_NS (10 * NSEC_PER_MSEC)
#define STRIKES_MAX     3

int announcer_init(struct announcer *announcer, uint32_t target_max)
{
	announcer->targets = calloc(target_max, sizeof *announcer->targets);
	if (announcer->targets == NULL)
		return -ENOMEM;
	announcer->target_count = 0;
	announcer->target_max = target_max;
	announcer->timing = false;
	return 0;
}

void announcer_finish(struct announcer *announcer)
{
	free(announcer->targets);
}

bool announce_one(struct announce_target *target, const struct wire_frame *frame)
{
	int error;

	if (target->doorbell) /* EPIPE: the server thread sees the hang-up */
		return send(target->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 || errno != EAGAIN;
	error = message_send(target->fd, &frame->header, NULL, 0);
	return error != -EAGAIN && error != -ENOBUFS;
}

bool announce_strike(uint32_t *strikes, int64_t cost_ns, int64_t budget_ns)
{
	if (cost_ns <= budget_ns) {
		*strikes = 0;
		return false;
	}
	*strikes += cost_ns > SEND_OUTRAGE_NS ? STRIKES_MAX : 1;
	return *strikes >= STRIKES_MAX;
}

static int64_t loop_budget(const struct announcer *announcer)
{
	return LOOP_BUDGET_NS + LOOP_BUDGET_EACH_NS * announcer->target_count;
}

/* In a crowd, each may cost twice its share of the loop: many clients that stay just below what one
 * may cost would together stop the capture. */
static int64_t send_budget(const struct announcer *announcer)
{
	int64_t share = announcer->target_count > 0
				? 2 * loop_budget(announcer) / announcer->target_count
				: ANNOUNCE_BUDGET_NS;

	return share < ANNOUNCE_BUDGET_NS ? share : ANNOUNCE_BUDGET_NS;
}

enum announce_outcome announce(
	struct announcer *announcer, const struct wire_frame *frame, uint64_t *missed)
{
	enum announce_outcome outcome = ANNOUNCE_DONE;
	bool timing = announcer->timing;
	int64_t start = clock_now(), budget = send_budget(announcer), before = 0, after;

	if (timing)
		before = clock_read(CLOCK_THREAD_CPUTIME_ID);
	for (uint32_t i = 0; i < announcer->target_count; i++) {
		struct announce_target *target = announcer->targets[i];

		if (atomic_load_explicit(&target->slow, memory_order_relaxed))
			continue;
		if (!announce_one(target, frame)) {
			atomic_fetch_add_explicit(&target->missed, 1, memory_order_relaxed);
			++*missed;
		}
		if (!timing)
			continue;
		after = clock_read(CLOCK_THREAD_CPUTIME_ID);
		if (announce_strike(&target->strikes, after - before, budget)) {
			atomic_store_explicit(&target->slow, true, memory_order_relaxed);
			outcome = ANNOUNCE_SLOW;
		}
		before = after;
	}
	announcer->timing = clock_now() - start > loop_budget(announcer);
	return outcome;
}
