/* SPDX-License-Identifier: MIT */

/*
 * bench-pipewire producer|readers SHEET-FD: PipeWire's pw_stream, whose daemon is of compare.py's
 * own making. The producer drives the graph by pw_stream_trigger_process(), from a timer, or,
 * unpaced, as soon as the graph has done with the last frame; process callbacks run in the data
 * threads. The daemon allocates the buffers, and both sides have them mapped. compare.py links the
 * ports.
 */

#include "sheet.h"

#include <pipewire/pipewire.h>
#include <spa/param/video/format-utils.h>

#define END_PERIOD_NS 100000000 /* how often the end is looked for while there is no pace */

struct bench {
	struct sheet *sheet;
	struct sheet_reader *reader; /* NULL: the producer */
	struct pw_main_loop *loop;
	struct pw_stream *stream;
	struct spa_source *timer;
	uint64_t number;
	bool streaming;
};

static void fail(const char *what)
{
	fprintf(stderr, "bench-pipewire: %s\n", what);
	exit(1);
}

/* ---- both ---- */

static const struct spa_pod *format(const struct sheet *sheet, struct spa_pod_builder *builder)
{
	struct spa_video_info_raw info = {
		.format = SPA_VIDEO_FORMAT_NV12,
		.size = {sheet->width, sheet->height},
		.framerate = {sheet->rate, 1},
	};

	return spa_format_video_raw_build(builder, SPA_PARAM_EnumFormat, &info);
}

static void set_buffers(void *userdata, uint32_t id, const struct spa_pod *param)
{
	struct bench *bench = userdata;
	uint8_t memory[1024];
	struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
	const struct spa_pod *params[1];

	if (param == NULL || id != SPA_PARAM_Format)
		return;
	params[0] = spa_pod_builder_add_object(&builder, SPA_TYPE_OBJECT_ParamBuffers,
		SPA_PARAM_Buffers, SPA_PARAM_BUFFERS_buffers, SPA_POD_CHOICE_RANGE_Int(8, 2, 16),
		SPA_PARAM_BUFFERS_blocks, SPA_POD_Int(1), SPA_PARAM_BUFFERS_size,
		SPA_POD_Int((int)bench->sheet->frame_size), SPA_PARAM_BUFFERS_stride,
		SPA_POD_Int((int)bench->sheet->width));
	pw_stream_update_params(bench->stream, params, 1);
}

/* ---- producer ---- */

static void send_frame(void *userdata)
{
	struct bench *bench = userdata;
	struct pw_buffer *buffer = pw_stream_dequeue_buffer(bench->stream);
	struct spa_data *data;

	if (buffer == NULL) /* readers have them all */
		return;
	data = &buffer->buffer->datas[0];
	data->chunk->offset = 0;
	data->chunk->size = (uint32_t)bench->sheet->frame_size;
	data->chunk->stride = (int32_t)bench->sheet->width;
	sheet_stamp_frame(bench->sheet, data->data, ++bench->number);
	pw_stream_queue_buffer(bench->stream, buffer);
}

static void trigger(void *userdata, uint64_t expirations)
{
	struct bench *bench = userdata;

	(void)expirations;
	if (sheet_stopped(bench->sheet))
		pw_main_loop_quit(bench->loop);
	else if (bench->streaming)
		pw_stream_trigger_process(bench->stream);
}

static void trigger_again(void *userdata)
{
	struct bench *bench = userdata;

	if (bench->sheet->rate == 0)
		trigger(bench, 1);
}

static void change_state(
	void *userdata, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
	struct bench *bench = userdata;
	struct timespec first = {.tv_nsec = 1000000}, period;

	(void)old;
	if (state == PW_STREAM_STATE_ERROR)
		fail(error);
	bench->streaming = state == PW_STREAM_STATE_STREAMING;
	if (bench->timer == NULL || !bench->streaming)
		return;
	period = (struct timespec){.tv_nsec = END_PERIOD_NS};
	if (bench->sheet->rate > 0)
		period.tv_nsec = 1000000000 / bench->sheet->rate;
	pw_loop_update_timer(
		pw_main_loop_get_loop(bench->loop), bench->timer, &first, &period, false);
}

static const struct pw_stream_events producer_events = {
	PW_VERSION_STREAM_EVENTS,
	.state_changed = change_state,
	.param_changed = set_buffers,
	.process = send_frame,
	.trigger_done = trigger_again,
};

/* ---- readers ---- */

static void receive(void *userdata)
{
	struct bench *bench = userdata;
	struct pw_buffer *buffer;

	while ((buffer = pw_stream_dequeue_buffer(bench->stream)) != NULL) {
		struct sheet_look look = sheet_look(bench->sheet, buffer->buffer->datas[0].data, 0);

		pw_stream_queue_buffer(bench->stream, buffer);
		sheet_receive(bench->sheet, bench->reader, &look);
	}
}

static const struct pw_stream_events reader_events = {
	PW_VERSION_STREAM_EVENTS,
	.state_changed = change_state,
	.param_changed = set_buffers,
	.process = receive,
};

static void run(struct bench *bench, const char *name)
{
	uint8_t memory[1024];
	struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(memory, sizeof memory);
	const struct spa_pod *params[1];
	struct timespec end = {.tv_nsec = END_PERIOD_NS};
	bool reads = bench->reader != NULL;
	enum pw_stream_flags flags = PW_STREAM_FLAG_MAP_BUFFERS | PW_STREAM_FLAG_RT_PROCESS;

	pw_init(NULL, NULL);
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* as all producers */
	bench->loop = pw_main_loop_new(NULL);
	if (bench->loop == NULL)
		fail("no loop");
	if (!reads) {
		bench->timer =
			pw_loop_add_timer(pw_main_loop_get_loop(bench->loop), trigger, bench);
		pw_loop_update_timer(
			pw_main_loop_get_loop(bench->loop), bench->timer, &end, &end, false);
		flags |= PW_STREAM_FLAG_DRIVER;
	}
	bench->stream = pw_stream_new_simple(pw_main_loop_get_loop(bench->loop), name,
		pw_properties_new(PW_KEY_NODE_NAME, name, PW_KEY_MEDIA_TYPE, "Video",
			PW_KEY_MEDIA_CLASS, reads ? "Stream/Input/Video" : "Video/Source", NULL),
		reads ? &reader_events : &producer_events, bench);
	if (bench->stream == NULL)
		fail("no daemon");
	params[0] = format(bench->sheet, &builder);
	if (pw_stream_connect(bench->stream, reads ? PW_DIRECTION_INPUT : PW_DIRECTION_OUTPUT,
		    PW_ID_ANY, flags, params, 1) < 0)
		fail("the stream does not connect");
	pw_main_loop_run(bench->loop);
	pw_stream_destroy(bench->stream);
	pw_main_loop_destroy(bench->loop);
}

int main(int argc, char **argv)
{
	struct bench bench = {0};
	char name[32] = "bench-producer";
	int index;

	if (argc != 3) {
		fprintf(stderr, "bench-pipewire: producer|readers SHEET-FD\n");
		return 2;
	}
	bench.sheet = sheet_map(argv[2]);
	if (strcmp(argv[1], "readers") == 0) {
		index = sheet_fork_readers(bench.sheet);
		if (index < 0) {
			sheet_wait_for_readers();
			return 0;
		}
		bench.reader = &bench.sheet->reader[index];
		snprintf(name, sizeof name, "bench-reader-%d", index);
	}
	run(&bench, name);
	return 0;
}
