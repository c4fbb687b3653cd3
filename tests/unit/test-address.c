/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "address.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* 64 bytes, the longest name. */
#define LONGEST "a123456789b123456789c123456789d123456789e123456789f123456789g123"

static void names_are_judged(void **state)
{
	static const char *const good[] = {
		"front", "video0", "0", "A", "a.b-c_d", "a..", "Z-", LONGEST};
	static const char *const bad[] = {"", ".", "..", ".hidden", "-a", "_a", "a/b", "../a",
		"a b", "a\n", "a\x7f", "caf\xc3\xa9", "a:b", LONGEST "4"};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(good); i++)
		assert_true(address_name_valid(good[i]));
	for (size_t i = 0; i < ELEMENTS(bad); i++)
		assert_false(address_name_valid(bad[i]));
}

static void the_user_directory_comes_from_the_environment(void **state)
{
	char path[ADDRESS_PATH_SIZE] = "untouched";
	char long_directory[ADDRESS_PATH_SIZE] = "/";

	(void)state;
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(address_user_directory(path), -ENOENT);
	setenv("XDG_RUNTIME_DIR", "", 1);
	assert_int_equal(address_user_directory(path), -ENOENT);
	setenv("XDG_RUNTIME_DIR", "run/user", 1);
	assert_int_equal(address_user_directory(path), -ENOENT);

	memset(long_directory + 1, 'x', sizeof(long_directory) - 2 - strlen("/camtap"));
	setenv("XDG_RUNTIME_DIR", long_directory, 1);
	assert_string_equal(path, "untouched");
	assert_int_equal(address_user_directory(path), 0);
	assert_int_equal(strlen(path), ADDRESS_PATH_SIZE - 1);

	strcat(long_directory, "x");
	setenv("XDG_RUNTIME_DIR", long_directory, 1);
	strcpy(path, "untouched");
	assert_int_equal(address_user_directory(path), -ENAMETOOLONG);
	assert_string_equal(path, "untouched");

	setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
	assert_int_equal(address_user_directory(path), 0);
	assert_string_equal(path, "/run/user/1000/camtap");
}

static void a_camera_has_a_directory(void **state)
{
	char path[ADDRESS_PATH_SIZE] = "untouched";
	char directory[ADDRESS_PATH_SIZE] = "/";

	(void)state;
	assert_int_equal(address_socket_path("/run/camtap", "../x", path), -EINVAL);
	assert_int_equal(address_socket_path("/run/camtap", "", path), -EINVAL);
	memset(directory + 1, 'x', ADDRESS_PATH_SIZE - 2 - strlen("/a/socket"));
	strcat(directory, "x");
	assert_int_equal(address_socket_path(directory, "a", path), -ENAMETOOLONG);
	assert_string_equal(path, "untouched");

	directory[strlen(directory) - 1] = '\0';
	assert_int_equal(address_socket_path(directory, "a", path), 0);
	assert_int_equal(strlen(path), ADDRESS_PATH_SIZE - 1);
	assert_int_equal(address_socket_path("/run/camtap", "front", path), 0);
	assert_string_equal(path, "/run/camtap/front/socket");
	/* The longest name fits the system's directory. */
	assert_int_equal(address_socket_path(ADDRESS_SYSTEM_DIRECTORY, LONGEST, path), 0);
}

static void an_address_holds_a_whole_path(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_INET};
	char path[ADDRESS_PATH_SIZE + 1] = "";

	(void)state;
	assert_int_equal(address_init(&address, ""), -EINVAL);
	memset(path, 'x', ADDRESS_PATH_SIZE);
	assert_int_equal(address_init(&address, path), -ENAMETOOLONG);
	assert_int_equal(address.sun_family, AF_INET);

	path[ADDRESS_PATH_SIZE - 1] = '\0';
	assert_int_equal(address_init(&address, path), 0);
	assert_int_equal(address.sun_family, AF_UNIX);
	assert_string_equal(address.sun_path, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_judged),
		cmocka_unit_test(the_user_directory_comes_from_the_environment),
		cmocka_unit_test(a_camera_has_a_directory),
		cmocka_unit_test(an_address_holds_a_whole_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
