/* SPDX-License-Identifier: MIT */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *hostile_fault_page(int *ret_fd)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register area = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	void *page;

	if (fd < 0)
		return NULL;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	area.range.start = (uintptr_t)page;
	area.range.len = size;
	if (page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) < 0 ||
		ioctl(fd, UFFDIO_REGISTER, &area) < 0) {
		close(fd);
		return NULL;
	}
	*ret_fd = fd;
	return page;
}

void hostile_fault_wait(int fd)
{
	struct uffd_msg message;

	if (read(fd, &message, sizeof message) != sizeof message)
		hostile_die("userfaultfd", errno);
}
