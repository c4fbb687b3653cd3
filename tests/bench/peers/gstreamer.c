/* SPDX-License-Identifier: MIT */

/*
 * bench-gstreamer producer|producer-zero-copy|readers SHEET-FD SOCKET: GStreamer's shmsink and
 * shmsrc. Frames are pushed straight into the sink, as the thread of a source like v4l2src does; as
 * usual they lie in ordinary memory, from where shmsink copies them; for zero-copy they are
 * allocated by shmsink's own allocator. Readers are shmsrc ! appsink, with appsink's callback;
 * shmsrc hands out the shared memory without a copy.
 */

#include "sheet.h"

#include <gst/app/gstappsink.h>
#include <gst/gst.h>

struct bench_reader {
	struct sheet *sheet;
	struct sheet_reader *reader;
};

static void fail(const char *what)
{
	fprintf(stderr, "bench-gstreamer: %s\n", what);
	exit(1);
}

static GstCaps *caps_new(const struct sheet *sheet)
{
	return gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "NV12", "width",
		G_TYPE_INT, (int)sheet->width, "height", G_TYPE_INT, (int)sheet->height,
		"framerate", GST_TYPE_FRACTION, (int)sheet->rate, 1, NULL);
}

/* A pad of ours, linked to the sink's, ready to push. */
static GstPad *pad_to(GstElement *sink, GstCaps *caps)
{
	GstPad *pad = gst_pad_new("src", GST_PAD_SRC);
	GstPad *peer = gst_element_get_static_pad(sink, "sink");
	GstSegment segment;

	if (gst_pad_link(pad, peer) != GST_PAD_LINK_OK || !gst_pad_set_active(pad, TRUE))
		fail("shmsink cannot be linked");
	gst_segment_init(&segment, GST_FORMAT_TIME);
	(void)gst_pad_push_event(pad, gst_event_new_stream_start("bench"));
	(void)gst_pad_push_event(pad, gst_event_new_caps(caps));
	(void)gst_pad_push_event(pad, gst_event_new_segment(&segment));
	gst_object_unref(peer);
	return pad;
}

/* The sink's allocator of shared memory. */
static GstAllocator *allocator_of(GstPad *pad, GstCaps *caps)
{
	GstQuery *query = gst_query_new_allocation(caps, FALSE);
	GstAllocator *allocator = NULL;

	if (gst_pad_peer_query(pad, query) && gst_query_get_n_allocation_params(query) > 0)
		gst_query_parse_nth_allocation_param(query, 0, &allocator, NULL);
	if (allocator == NULL)
		fail("shmsink offers no allocator");
	gst_query_unref(query);
	return allocator;
}

/* Ordinary memory, used again and again, as v4l2src does it. */
static GstBufferPool *pool_new(const struct sheet *sheet, GstCaps *caps)
{
	GstBufferPool *pool = gst_buffer_pool_new();
	GstStructure *config = gst_buffer_pool_get_config(pool);

	gst_buffer_pool_config_set_params(config, caps, (guint)sheet->frame_size, 4, 0);
	if (!gst_buffer_pool_set_config(pool, config) || !gst_buffer_pool_set_active(pool, TRUE))
		fail("no pool of buffers");
	return pool;
}

static GstBuffer *next_buffer(
	const struct sheet *sheet, GstBufferPool *pool, GstAllocator *allocator)
{
	GstBuffer *buffer = NULL;

	if (allocator == NULL) {
		if (gst_buffer_pool_acquire_buffer(pool, &buffer, NULL) != GST_FLOW_OK)
			fail("no buffer");
		return buffer;
	}
	while ((buffer = gst_buffer_new_allocate(allocator, sheet->frame_size, NULL)) == NULL)
		g_usleep(100); /* until a reader gives one back */
	return buffer;
}

static void produce(struct sheet *sheet, const char *socket, bool zero_copy)
{
	GstElement *sink = gst_element_factory_make("shmsink", NULL);
	GstCaps *caps = caps_new(sheet);
	GstAllocator *allocator = NULL;
	GstBufferPool *pool = NULL;
	struct sheet_pace pace;
	uint64_t number = 0;
	GstPad *pad;

	if (sink == NULL)
		fail("there is no shmsink");
	g_object_set(sink, "socket-path", socket, "wait-for-connection", FALSE, "sync", FALSE,
		"shm-size", (guint)((sheet->frame_size + 65536) * 8), NULL);
	if (gst_element_set_state(sink, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
		fail("shmsink does not start");
	pad = pad_to(sink, caps);
	if (zero_copy)
		allocator = allocator_of(pad, caps);
	else
		pool = pool_new(sheet, caps);
	sheet_pace_init(sheet, &pace);
	while (!sheet_stopped(sheet)) {
		GstBuffer *buffer;
		GstMapInfo map;

		sheet_pace(&pace);
		buffer = next_buffer(sheet, pool, allocator);
		if (!gst_buffer_map(buffer, &map, GST_MAP_WRITE))
			fail("a buffer cannot be mapped");
		sheet_stamp_frame(sheet, map.data, ++number);
		gst_buffer_unmap(buffer, &map);
		if (gst_pad_push(pad, buffer) != GST_FLOW_OK)
			fail("shmsink does not take frames");
	}
	(void)gst_element_set_state(sink, GST_STATE_NULL);
}

static GstFlowReturn receive(GstAppSink *appsink, gpointer userdata)
{
	struct bench_reader *bench = userdata;
	GstSample *sample = gst_app_sink_pull_sample(appsink);
	GstBuffer *buffer = sample != NULL ? gst_sample_get_buffer(sample) : NULL;
	struct sheet_look look;
	GstMapInfo map;

	if (buffer == NULL || !gst_buffer_map(buffer, &map, GST_MAP_READ))
		return GST_FLOW_ERROR;
	look = sheet_look(bench->sheet, map.data, 0);
	gst_buffer_unmap(buffer, &map);
	gst_sample_unref(sample);
	sheet_receive(bench->sheet, bench->reader, &look);
	return GST_FLOW_OK;
}

static void read_frames(struct sheet *sheet, struct sheet_reader *reader, const char *socket)
{
	GstAppSinkCallbacks callbacks = {.new_sample = receive};
	struct bench_reader bench = {.sheet = sheet, .reader = reader};
	GstElement *pipeline = gst_pipeline_new(NULL);
	GstElement *source = gst_element_factory_make("shmsrc", NULL);
	GstElement *sink = gst_element_factory_make("appsink", NULL);
	GstMessage *message;

	if (source == NULL || sink == NULL)
		fail("there is no shmsrc or appsink");
	g_object_set(source, "socket-path", socket, "is-live", TRUE, NULL);
	g_object_set(sink, "sync", FALSE, NULL);
	gst_app_sink_set_callbacks(GST_APP_SINK(sink), &callbacks, &bench, NULL);
	gst_bin_add_many(GST_BIN(pipeline), source, sink, NULL);
	if (!gst_element_link_filtered(source, sink, caps_new(sheet)) ||
		gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
		fail("a reader does not start");
	message = gst_bus_timed_pop_filtered(gst_element_get_bus(pipeline), GST_CLOCK_TIME_NONE,
		GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
	gst_message_unref(message);
}

int main(int argc, char **argv)
{
	struct sheet *sheet;
	int index;

	if (argc != 4) {
		fprintf(stderr, "bench-gstreamer: producer|producer-zero-copy|readers SHEET-FD "
				"SOCKET\n");
		return 2;
	}
	sheet = sheet_map(argv[2]);
	if (strcmp(argv[1], "readers") == 0) {
		index = sheet_fork_readers(sheet);
		if (index < 0) {
			sheet_wait_for_readers();
			return 0;
		}
		gst_init(NULL, NULL);
		read_frames(sheet, &sheet->reader[index], argv[3]);
		return 1;
	}
	gst_init(NULL, NULL);
	produce(sheet, argv[3], strcmp(argv[1], "producer-zero-copy") == 0);
	return 0;
}
