/* SPDX-License-Identifier: MIT */

/* glib-reader SOCKET bell|messages: loop-reader.h in GLib's main loop, as a desktop program or
 * GStreamer would have it. */

#include "loop-reader.h"

#include <glib-unix.h>
#include <unistd.h>

struct program {
	GMainLoop *loop;
	struct loop_reader *reader;
};

static gboolean go_on(struct program *program, bool good)
{
	if (good)
		return G_SOURCE_CONTINUE;
	g_main_loop_quit(program->loop);
	return G_SOURCE_REMOVE;
}

static gboolean on_camera(gint fd, GIOCondition condition, gpointer userdata)
{
	struct program *program = userdata;

	(void)fd;
	(void)condition;
	return go_on(program, loop_reader_wake(program->reader));
}

static gboolean on_command(gint fd, GIOCondition condition, gpointer userdata)
{
	struct program *program = userdata;

	(void)fd;
	(void)condition;
	return go_on(program, loop_reader_command(program->reader));
}

int main(int argc, char **argv)
{
	struct program program = {.reader = loop_reader_create(argc, argv)};

	if (program.reader == NULL)
		return 1;
	program.loop = g_main_loop_new(NULL, FALSE);
	g_unix_fd_add(loop_reader_fd(program.reader), G_IO_IN, on_camera, &program);
	g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_command, &program);
	g_main_loop_run(program.loop);
	g_main_loop_unref(program.loop);
	return loop_reader_destroy(program.reader);
}
