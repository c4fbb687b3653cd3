/* SPDX-License-Identifier: MIT */
#include "announce.h"

#include "clock.h"
#include "hot.h"
#include "wire.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* In units of an honest send: far above what an honest crowd needs. */
#define BUDGET_UNITS           250
#define LOOP_BUDGET_UNITS      500
#define LOOP_BUDGET_EACH_UNITS 10

#define UNIT_MIN_NS       INT64_C(2000)
#define UNIT_MAX_NS       INT64_C(50000)
#define CALIBRATION_SENDS 31

int announcer_init(struct announcer *announcer, uint32_t target_max, int64_t unit_ns)
{
	announcer->targets = calloc(target_max, sizeof *announcer->targets);
	announcer->bells = calloc(target_max, sizeof(struct bell *));
	if (announcer->targets == NULL || announcer->bells == NULL) {
		announcer_finish(announcer);
		return -ENOMEM;
	}
	announcer->target_count = 0;
	announcer->target_max = target_max;
	announcer->unit_ns = unit_ns;
	return 0;
}

void announcer_finish(struct announcer *announcer)
{
	free(announcer->targets);
	free(announcer->bells);
}

static int compare_costs(const void *a, const void *b)
{
	int64_t difference = *(const int64_t *)a - *(const int64_t *)b;

	return (difference > 0) - (difference < 0);
}

int64_t announce_calibrate(void)
{
	int64_t costs[CALIBRATION_SENDS], unit;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return UNIT_MIN_NS;
	for (int i = 0; i < CALIBRATION_SENDS; i++) {
		int64_t before = clock_read(CLOCK_THREAD_CPUTIME_ID);

		(void)send(ends[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		costs[i] = clock_read(CLOCK_THREAD_CPUTIME_ID) - before;
	}
	close(ends[0]);
	close(ends[1]);
	qsort(costs, CALIBRATION_SENDS, sizeof *costs, compare_costs);
	unit = costs[CALIBRATION_SENDS / 2];
	return unit < UNIT_MIN_NS ? UNIT_MIN_NS : unit > UNIT_MAX_NS ? UNIT_MAX_NS : unit;
}

static int64_t loop_budget(int64_t unit_ns, uint32_t target_count)
{
	return unit_ns * (LOOP_BUDGET_UNITS + (int64_t)LOOP_BUDGET_EACH_UNITS * target_count);
}

int64_t announce_budget(int64_t unit_ns, uint32_t target_count)
{
	int64_t budget = BUDGET_UNITS * unit_ns, share = budget;

	if (target_count > 0)
		share = 2 * loop_budget(unit_ns, target_count) / target_count;
	return share < budget ? share : budget;
}

/* False: there is no room. */
HOT static bool send_frame(const struct announce_target *target, const struct wire_frame *frame)
{
	const void *message = target->byte ? (const void *)"" : frame;
	size_t size = target->byte ? 1 : frame->header.size;

	/* EPIPE: the server thread sees the hang-up */
	return send(target->fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
	       (errno != EAGAIN && errno != ENOBUFS);
}

/* Sends, and says what it cost: by the clock, or, if that was dear the last time, in CPU time. */
HOT static bool send_to(
	struct announce_target *target, const struct wire_frame *frame, int64_t *clock_ns)
{
	int64_t cpu_before = target->flagged ? clock_read(CLOCK_THREAD_CPUTIME_ID) : 0;
	bool sent = send_frame(target, frame);
	int64_t after = clock_now();

	/* without room nobody was woken, so that cannot have cost anything */
	if (!sent)
		target->cost_ns = 0;
	else if (target->flagged)
		target->cost_ns = clock_read(CLOCK_THREAD_CPUTIME_ID) - cpu_before;
	else
		target->cost_ns = after - *clock_ns;
	*clock_ns = after;
	return sent;
}

/* Flags who was over budget, and suspects who was so when it was measured. True: there is a new
 * suspect. */
static bool judge(struct announcer *announcer, int64_t budget_ns)
{
	bool found = false;

	for (uint32_t i = 0; i < announcer->target_count; i++) {
		struct announce_target *target = announcer->targets[i];
		bool dear = target->cost_ns > budget_ns;

		if (dear && target->flagged) {
			atomic_store_explicit(&target->suspect, true, memory_order_relaxed);
			found = true;
		}
		target->flagged = dear && !target->flagged;
	}
	return found;
}

HOT void announce_prefetch(const struct announce_target *target)
{
	__builtin_prefetch(target->listens);
	if (target->place.bell != NULL)
		bell_prefetch(&target->place);
}

/* Rings for all who listen, and finds out who is to get no message. */
HOT static void ring(struct announcer *announcer, int64_t *clock_ns)
{
	uint32_t bell_count = 0;

	/* what readers want comes from memory side by side, not one by one */
	for (uint32_t i = 0; i < announcer->target_count; i++)
		__builtin_prefetch(announcer->targets[i]->listens);
	/* The frame before the looks: proto/bell-word.h. */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < announcer->target_count; i++) {
		struct announce_target *target = announcer->targets[i];
		uint32_t says = target->listens == NULL ? BELL_MESSAGES
							: atomic_load_explicit(target->listens,
								  memory_order_relaxed);

		target->by_bell = (says == BELL_LISTENS || says == BELL_BUSY) &&
				  !bell_is_closed(&target->place);
		if (target->by_bell && says == BELL_LISTENS && bell_expect(&target->place))
			announcer->bells[bell_count++] = target->place.bell;
	}
	for (uint32_t i = 0; i < bell_count; i++)
		bell_ring(announcer->bells[i], announcer->unit_ns, clock_ns);
}

HOT enum announce_outcome announce(
	struct announcer *announcer, const struct wire_frame *frame, uint64_t *missed)
{
	uint32_t count = announcer->target_count;
	int64_t now = clock_now(), start, worst = 0;
	bool flagged = false;

	ring(announcer, &now);
	start = now;
	for (uint32_t i = 0; i < count; i++) {
		struct announce_target *target = announcer->targets[i];

		if (target->by_bell) {
			target->cost_ns = 0;
			continue;
		}
		flagged = flagged || target->flagged;
		if (atomic_load_explicit(&target->suspect, memory_order_relaxed)) {
			target->cost_ns = 0;
		} else if (send_to(target, frame, &now)) {
			if (target->cost_ns > worst)
				worst = target->cost_ns;
			continue;
		} else if (target->patient) {
			continue;
		}
		atomic_fetch_add_explicit(&target->missed, 1, memory_order_relaxed);
		++*missed;
	}
	if (flagged || worst > BUDGET_UNITS * announcer->unit_ns ||
		now - start > loop_budget(announcer->unit_ns, count))
		return judge(announcer, announce_budget(announcer->unit_ns, count))
			       ? ANNOUNCE_SUSPECT
			       : ANNOUNCE_DONE;
	return ANNOUNCE_DONE;
}
