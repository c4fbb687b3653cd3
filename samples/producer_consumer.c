/* SPDX-License-Identifier: MIT */

/*
 * producer_consumer [--workers N] [--load MS] [--lossless] [NAME]: worker processes share a camera.
 *
 * Each frame is handled by exactly one worker, and results are printed in the order of the frames.
 * There is no queue, and no frame is handed around: every worker attaches by itself (a handle is of
 * no use after fork()), so all of them see all frames, and asks its parent for each: may I have
 * this one? The first who asks may. A frame that nobody has asked for yet waits in the camera's
 * pool, as long as that has room (with --lossless the camera waits), and whoever was busy finds it
 * there.
 *
 * Workers ask in the order of the frames, so a result can be printed when all have asked for that
 * frame or a later one: no earlier one can come any more. A frame's name is its publish time, which
 * grows across restarts of the camera, too. A worker that dies held at most one frame, and the
 * parent knows which: it is printed as lost, not given to another (it may be what killed this one),
 * and a new worker takes the place. It begins with the newest frame; those that wait then are seen
 * by the other workers. (What none of them lives to see is missed, and counted.)
 *
 * A recording should wait until all workers are there: camtapd --wait-readers N.
 */

#include <camtap.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WORKERS_MAX = 16,
	JOBS_MAX = 256
};

/* A frame, and what has become of it: also what workers tell their parent, who answers with a bool.
 */
struct job {
	int64_t time; /* published, CLOCK_MONOTONIC: unlike any other frame's */
	uint64_t epoch, id;
	pid_t worker;
	enum {
		ASKED,
		DONE,
		HELD_TOO_LONG,
		KILLED
	} state;
	uint32_t sum;
};

struct worker {
	pid_t pid;
	int socket;       /* -1: it has ended */
	struct job asked; /* last; time 0: nothing yet */
	bool waits;       /* for the answer */
};

static const char *name; /* of the camera; NULL: the only one */
static unsigned worker_count = 4, load_ms;
static bool lossless;

/* The parent's: jobs in the order of time, given to workers and not yet printed. */
static struct worker workers[WORKERS_MAX];
static struct job jobs[JOBS_MAX + WORKERS_MAX], printed;
static unsigned job_count;
static bool ended, failed; /* a worker has ended by itself; not well */

/* ---- a worker ---- */

/* The work: Adler-32 of the frame's first plane, whatever is in it (RFC 1950). */
static uint32_t adler32(const uint8_t *data, size_t size)
{
	uint32_t a = 1, b = 0;

	for (size_t i = 0; i < size; i++) {
		a = (a + data[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static void handle(int parent, struct camtap_frame *frame)
{
	struct job job = {.time = camtap_frame_publish_time(frame),
		.epoch = camtap_frame_epoch(frame),
		.id = camtap_frame_id(frame),
		.worker = getpid()};
	bool mine;

	if (send(parent, &job, sizeof(job), 0) < 0 || recv(parent, &mine, sizeof(mine), 0) <= 0)
		_exit(1); /* the parent is gone */
	if (mine) {
		job.sum = adler32(camtap_frame_data(frame, 0), camtap_frame_bytesused(frame, 0));
		usleep(load_ms * 1000); /* --load: as if it were more work */
	}
	job.state = camtap_release(frame) == -ESTALE ? HELD_TOO_LONG : DONE;
	if (mine && send(parent, &job, sizeof(job), 0) < 0)
		_exit(1);
}

/* Returns the exit status. */
static int work(int parent)
{
	struct camtap *camera;
	struct camtap_frame *frame;
	int result = camtap_new(&camera);

	if (result < 0)
		return 1;
	result = camtap_set_camera(camera, name);
	if (result == 0 && lossless)
		result = camtap_set_mode(camera, CAMTAP_MODE_LOSSLESS);
	if (result == 0)
		result = camtap_connect(camera);
	while (result >= 0 && result != CAMTAP_ENDED) {
		result = camtap_next(camera, &frame, -1);
		if (result == CAMTAP_FRAME)
			handle(parent, frame);
	}
	if (result < 0)
		fprintf(stderr, "producer_consumer: %s\n", camtap_error_text(camera));
	camtap_close(camera);
	return result < 0;
}

/* ---- the parent ---- */

static void start(struct worker *worker)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0 ||
		(worker->pid = fork()) < 0) {
		perror("producer_consumer");
		exit(1);
	}
	if (worker->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive its parent */
		_exit(work(sockets[1]));
	}
	close(sockets[1]);
	worker->socket = sockets[0];
	worker->asked.time = 0;
	worker->waits = false;
}

/* The job that a worker is busy with, or NULL. */
static struct job *job_of(const struct worker *worker)
{
	for (unsigned i = 0; i < job_count; i++) {
		if (jobs[i].worker == worker->pid && jobs[i].state == ASKED)
			return &jobs[i];
	}
	return NULL;
}

/* True: nobody else has had it, it is this worker's. */
static bool give(const struct job *job)
{
	unsigned at = job_count;

	while (at > 0 && jobs[at - 1].time > job->time)
		at--;
	if (job->time <= printed.time || (at > 0 && jobs[at - 1].time == job->time))
		return false;
	memmove(&jobs[at + 1], &jobs[at], (job_count++ - at) * sizeof(*job));
	jobs[at] = *job;
	return true;
}

static void bury(struct worker *worker)
{
	struct job *job = job_of(worker);
	int status = 0;

	close(worker->socket);
	worker->socket = -1;
	worker->waits = false;
	waitpid(worker->pid, &status, 0);
	if (job)
		job->state = KILLED;
	if (WIFSIGNALED(status) && worker->asked.time > 0 && !ended)
		start(worker);
	else
		ended = true;
	failed |= ended && status != 0;
}

static void hear(struct worker *worker)
{
	struct job job;
	ssize_t size = recv(worker->socket, &job, sizeof(job), 0);

	if (size < 0 && errno == ECONNRESET)
		return; /* it has not read our answer; its end comes next */
	if (size <= 0) {
		bury(worker);
	} else if (job.state == ASKED) {
		worker->asked = job;
		worker->waits = true;
	} else {
		*job_of(worker) = job;
	}
}

/* When results pile up behind a slow worker, the others wait for their answers, but for him who
 * asks for a frame before all those: that is what the results wait for. */
static void answer(struct worker *worker)
{
	bool mine;

	if (!worker->waits || (job_count >= JOBS_MAX && worker->asked.time > jobs[0].time))
		return;
	mine = give(&worker->asked);
	(void)!send(worker->socket, &mine, sizeof(mine), MSG_NOSIGNAL);
	worker->waits = false;
}

/* Prints what is done, as far as nothing earlier can come. */
static void print(void)
{
	static const char *const lost[] = {
		[HELD_TOO_LONG] = "held too long", [KILLED] = "its worker was killed"};
	int64_t until = INT64_MAX;
	unsigned count = 0;

	for (unsigned i = 0; i < worker_count; i++) {
		if (workers[i].socket >= 0 && workers[i].asked.time < until)
			until = workers[i].asked.time;
	}
	for (; count < job_count && jobs[count].state != ASKED && jobs[count].time <= until;
		count++) {
		const struct job *job = &jobs[count];

		printf("{\"epoch\": \"%" PRIu64 "\", \"id\": \"%" PRIu64 "\", \"missed\": %" PRIu64
		       ", \"worker\": %d, ",
			job->epoch, job->id,
			job->epoch == printed.epoch ? job->id - printed.id - 1 : 0,
			(int)job->worker);
		if (job->state == DONE)
			printf("\"adler32\": \"%08" PRIx32 "\"}\n", job->sum);
		else
			printf("\"lost\": \"%s\"}\n", lost[job->state]);
		printed = *job;
	}
	job_count -= count;
	memmove(jobs, jobs + count, job_count * sizeof(jobs[0]));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"workers", required_argument, NULL, 'w'},
		{"load", required_argument, NULL, 'l'}, {"lossless", no_argument, NULL, 'L'}, {0}};
	unsigned alive;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'w')
			worker_count = (unsigned)atoi(optarg);
		else if (option == 'l')
			load_ms = (unsigned)atoi(optarg);
		else if (option == 'L')
			lossless = true;
		if (option == '?' || worker_count < 1 || worker_count > WORKERS_MAX) {
			fprintf(stderr,
				"usage: producer_consumer [--workers 1..%d] [--load MS] "
				"[--lossless] [NAME]\n",
				WORKERS_MAX);
			return 2;
		}
	}
	name = argv[optind];
	setlinebuf(stdout);
	for (unsigned i = 0; i < worker_count; i++)
		start(&workers[i]);
	do {
		struct pollfd pollfds[WORKERS_MAX];

		for (unsigned i = 0; i < worker_count; i++)
			pollfds[i] = (struct pollfd){.fd = workers[i].socket, .events = POLLIN};
		(void)poll(pollfds, worker_count, -1);
		for (unsigned i = 0; i < worker_count; i++) {
			if (pollfds[i].revents)
				hear(&workers[i]);
		}
		print();
		alive = 0;
		for (unsigned i = 0; i < worker_count; i++) {
			answer(&workers[i]);
			alive += workers[i].socket >= 0;
		}
	} while (alive > 0);
	return failed;
}
