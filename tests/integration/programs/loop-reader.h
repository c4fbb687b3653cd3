/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_TESTS_LOOP_READER_H
#define CAMTAP_TESTS_LOOP_READER_H

/*
 * A reader for event loops, told by its test what to do: lines on standard input are commands,
 * lines on standard output say what happened, as "WORD key=value ... [text=REST]". The loop around
 * it is its program's (epoll-reader, glib-reader): it waits on camtap_fd() and standard input,
 * nothing else, and never asks without being woken.
 *
 *   epoch epoch= id= missed=             the first frame of another pool
 *   outcome what= text=                  an event (online, offline, ...)
 *   error errno= text=                   camtap_next() failed; the program ends with status 1
 *   held epoch= id= hash=                a frame was kept
 *   limit held=                          as many frames are kept as the daemon allows
 *   reached                              see "await"
 *
 * Commands, and their answers:
 *
 *   hold N          "holding"; keeps the next N frames, the others are given back at once
 *   limit           "holding"; keeps frames until the limit
 *   check           for each frame kept: "checked epoch= id= hash= torn= result=" (its content now,
 *                   and camtap_frame_check()); then "done"
 *   release N       gives the N oldest back: "released epoch= id= result=" each; then "done"
 *   worker N        the same from another thread, while the loop sleeps
 *   try             camtap_next() without having been woken: "tried result="
 *   drain           camtap_next() as long as poll() says that the fd is readable, and once more:
 *                   "drained frames= events= idle= after= readable=". idle: how often it was
 *                   readable for nothing; after: what the call gave when it was not readable;
 *                   readable: is it again, after that? Exact only if nobody publishes meanwhile.
 *   await N         "reached", once N more frames have come
 *   until ID        "there", once the frame of that id, or a later one, has come
 *   report          "report wakes= frames= events= idle= limit= torn= stale= missed=" since the
 *                   last report (wakes: how often the loop saw the fd readable; idle: how often
 *                   that brought nothing), "held= leases= last=" (the newest frame's id) as it is
 *   quit
 */

#include <stdbool.h>

struct loop_reader;

/* Connects: SOCKET bell|messages. NULL: a line on standard error said why not. */
struct loop_reader *loop_reader_create(int argc, char **argv);
/* Gives every frame back. The exit status. */
int loop_reader_destroy(struct loop_reader *reader);
int loop_reader_fd(const struct loop_reader *reader);
/* The fd is readable. False: the loop is to end. */
bool loop_reader_wake(struct loop_reader *reader);
/* Standard input is readable. False: the loop is to end. */
bool loop_reader_command(struct loop_reader *reader);

#endif
