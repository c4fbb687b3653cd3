/* SPDX-License-Identifier: MIT */

/* camtap pause and camtap resume: the switch. Only observes: it starts no camera. */

#include "command.h"
#include "options.h"
#include "reader.h"

static const char pause_usage[] =
	"usage: camtap pause [NAME] [OPTION...]\n\n"
	"Switches a camera off until `camtap resume`: its device is closed, readers\n"
	"wait, and it stays off when camtapd or the machine is started again. (For\n"
	"root, camtapd's own user, and group camtap-admin.)\n\n"
	"  --socket PATH  the camera's socket, instead of its name\n"
	"  --timeout T    give up after T without an answer (10s)\n";

static const char resume_usage[] =
	"usage: camtap resume [NAME] [OPTION...]\n\n"
	"Switches a camera on again that `camtap pause` has switched off. (For root,\n"
	"camtapd's own user, and group camtap-admin.)\n\n"
	"  --socket PATH  the camera's socket, instead of its name\n"
	"  --timeout T    give up after T without an answer (10s)\n";

/* As questions that are answered without a document. */

static int ask_pause(struct camtap *camera, char **ret_text, int timeout_ms)
{
	(void)ret_text;
	return camtap_pause(camera, timeout_ms);
}

static int ask_resume(struct camtap *camera, char **ret_text, int timeout_ms)
{
	(void)ret_text;
	return camtap_resume(camera, timeout_ms);
}

static int run(const struct invocation *invocation, const char *usage, const char *program,
	int (*question)(struct camtap *camera, char **ret_text, int timeout_ms))
{
	struct options options;
	struct terminal terminal;
	struct reader reader;
	int r, status;

	r = options_parse(
		invocation, OPTION_NAME | OPTION_SOCKET | OPTION_TIMEOUT, usage, &options);
	if (r != OPTIONS_RUN)
		return r == OPTIONS_DONE ? COMMAND_DONE : COMMAND_USAGE;
	terminal_init(&terminal);
	r = reader_init(&reader, &options, program, CAMTAP_MODE_OBSERVE, &terminal,
		invocation->stop, &status);
	if (r < 0)
		return status;
	status = reader_ask(&reader, question, NULL) == 0 ? COMMAND_DONE : COMMAND_FAILED;
	reader_finish(&reader);
	return status;
}

int pause_run(const struct invocation *invocation)
{
	return run(invocation, pause_usage, "camtap pause", ask_pause);
}

int resume_run(const struct invocation *invocation)
{
	return run(invocation, resume_usage, "camtap resume", ask_resume);
}
