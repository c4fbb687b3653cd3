/* SPDX-License-Identifier: MIT */

/* What clients keep of past epochs is counted until it is gone. Any file stands in for a dma-buf
 * that the kernel says nothing of: it counts as held. (tests/vm has dma-bufs.) */

#include "pinned.h"

#include "leaks.h"
#include "slot-buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* Two descriptions of one file: the pool's own, and a client's. */
static void make_memfd(uint64_t size, int *ret_own, int *ret_client)
{
	int fd = memfd_create("pinned", MFD_CLOEXEC);
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*ret_own = open(path, O_RDONLY | O_CLOEXEC);
	*ret_client = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(*ret_own >= 0 && *ret_client >= 0);
	close(fd);
}

static struct slot_buffer *make_buffers(uint32_t count, uint32_t length)
{
	struct slot_buffer *buffers = calloc(count, sizeof *buffers);

	for (uint32_t i = 0; i < count; i++) {
		buffers[i].plane_count = 2;
		for (uint32_t plane = 0; plane < 2; plane++) {
			buffers[i].planes[plane].fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
			buffers[i].planes[plane].length = length;
		}
	}
	return buffers;
}

static void counts_while_somebody_holds_it(void **state)
{
	struct pinned pinned;
	int own, client, before = count_fds();

	(void)state;
	pinned_init(&pinned, 10000);
	make_memfd(8192, &own, &client);
	pinned_add(&pinned, own, 8192, 0, NULL, 0);
	assert_int_equal(pinned_bytes(&pinned), 8192);
	close(client);
	assert_int_equal(pinned_bytes(&pinned), 0);
	assert_int_equal(pinned.count, 0);
	pinned_finish(&pinned);
	assert_int_equal(count_fds(), before);
}

static void counts_what_lives_and_what_is_pinned(void **state)
{
	struct pinned pinned;
	int own, client;

	(void)state;
	pinned_init(&pinned, 10000);
	assert_int_equal(pinned_reserve(&pinned, 8192), 0);
	assert_int_equal(pinned_reserve(&pinned, 8192), -ENOMEM);
	assert_int_equal(pinned_all_bytes(&pinned), 8192);
	make_memfd(8192, &own, &client);
	pinned_add(&pinned, own, 8192, 8192, NULL, 0);
	assert_int_equal(pinned_all_bytes(&pinned), 8192);
	assert_int_equal(pinned_reserve(&pinned, 8192), -ENOMEM);
	close(client);
	assert_int_equal(pinned_all_bytes(&pinned), 0);
	assert_int_equal(pinned_reserve(&pinned, 8192), 0);
	pinned_unreserve(&pinned, 8192);
	assert_int_equal(pinned_all_bytes(&pinned), 0);
	pinned_finish(&pinned);
}

static void counts_buffers_of_their_own(void **state)
{
	struct pinned pinned;
	int own, client, before = count_fds();

	(void)state;
	pinned_init(&pinned, 10000);
	make_memfd(4096, &own, &client);
	pinned_add(&pinned, own, 4096, 0, make_buffers(3, 1000), 3);
	assert_int_equal(pinned_bytes(&pinned), 4096 + 6000);
	close(client);
	assert_int_equal(
		pinned_bytes(&pinned), 6000); /* a GPU may keep what has no frame any more */
	pinned_finish(&pinned);
	assert_int_equal(count_fds(), before);
}

static void keeps_few_fds(void **state)
{
	struct pinned pinned;
	int before = count_fds();

	(void)state;
	pinned_init(&pinned, 10000);
	for (unsigned i = 0; i < 2 * PINNED_MAX; i++) {
		int own, client;

		make_memfd(4096, &own, &client);
		close(client);
		pinned_add(&pinned, own, 4096, 0, make_buffers(32, 1000), 32);
		assert_in_range(count_fds() - before, 0, PINNED_FDS_MAX + PINNED_MAX);
	}
	pinned_finish(&pinned);
	assert_int_equal(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_while_somebody_holds_it),
		cmocka_unit_test(counts_what_lives_and_what_is_pinned),
		cmocka_unit_test(counts_buffers_of_their_own),
		cmocka_unit_test(keeps_few_fds),
	};

	return cmocka_run_group_tests_name("pinned", tests, NULL, NULL);
}
