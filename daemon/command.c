/* SPDX-License-Identifier: MIT */
#include "command.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: async-signal-safe calls only, the parent has threads. */
static void become(const char *text, int output, pid_t parent)
{
	sigset_t none;
	int null;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	null = open("/dev/null", O_RDONLY);
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", text, (char *)NULL);
	_exit(127);
}

int command_start(struct command *command, const char *text, int *ret_fd)
{
	pid_t parent = getpid();
	int pipes[2];
	pid_t pid;
	int error;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		error = -errno;
		close(pipes[0]);
		close(pipes[1]);
		return error;
	}
	if (pid == 0)
		become(text, pipes[1], parent);
	setpgid(pid, pid); /* whoever of the two comes first */
	close(pipes[1]);
	(void)fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	command->pid = pid;
	command->failure[0] = '\0';
	*ret_fd = pipes[0];
	return 0;
}

/* True: it is gone, and reaped. */
static bool wait_for_exit(pid_t pid, int timeout_msec, int *ret_status)
{
	struct pollfd gone = {.events = POLLIN};

	gone.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (gone.fd >= 0) {
		(void)poll(&gone, 1, timeout_msec);
		close(gone.fd);
	}
	return waitpid(pid, ret_status, WNOHANG) != 0;
}

int command_stop(struct command *command, int patience_msec)
{
	bool ended_here = false;
	pid_t pid = command->pid;
	int status = 0;

	if (pid == 0)
		return 0;
	command->pid = 0;
	if (!wait_for_exit(pid, patience_msec, &status)) {
		ended_here = true;
		kill(-pid, SIGTERM);
		if (!wait_for_exit(pid, COMMAND_PATIENCE_MSEC, &status)) {
			kill(-pid, SIGKILL);
			while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
				;
		}
	}
	if (ended_here || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return 0;
	if (WIFEXITED(status))
		snprintf(command->failure, sizeof command->failure, "exit status %d",
			WEXITSTATUS(status));
	else
		snprintf(command->failure, sizeof command->failure, "killed by %s",
			strsignal(WTERMSIG(status)));
	return -EIO;
}
