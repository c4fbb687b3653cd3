/* SPDX-License-Identifier: MIT */

/*
 * bench-iceoryx producer|readers SHEET-FD: iceoryx 2.0, as its examples do it: chunks are loaned
 * and published untyped; readers wait with a WaitSet, take what is there, and give it back. Queues
 * hold 4 chunks, and the oldest goes when they are full (the default). RouDi's pool is
 * compare.py's.
 */

#include "sheet.h"

#include <csignal>
#include <string>

#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

static const iox::capro::ServiceDescription service{"camera", "bench", "frame"};

/* Readers must end in order, or RouDi aborts. */
static iox::popo::WaitSet<> *waitset;
static volatile sig_atomic_t ending;

static void end(int)
{
	ending = 1;
	waitset->markForDestruction();
}

static void produce(struct sheet *sheet)
{
	iox::runtime::PoshRuntime::initRuntime("bench-producer");
	iox::popo::UntypedPublisher publisher(service);
	struct sheet_pace pace;
	uint64_t number = 0;

	sheet_pace_init(sheet, &pace);
	while (!sheet_stopped(sheet)) {
		sheet_pace(&pace);
		publisher.loan(sheet->frame_size)
			.and_then([&](void *frame) {
				sheet_stamp_frame(sheet, frame, ++number);
				publisher.publish(frame);
			})
			.or_else([](iox::popo::AllocationError) {
				fprintf(stderr, "no chunk left\n");
				exit(1);
			});
	}
}

static void read_frames(struct sheet *sheet, struct sheet_reader *reader, int index)
{
	const std::string name = "bench-reader-" + std::to_string(index);
	iox::popo::SubscriberOptions options;

	iox::runtime::PoshRuntime::initRuntime(
		iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name));
	options.queueCapacity = 4;
	iox::popo::UntypedSubscriber subscriber(service, options);
	waitset = new iox::popo::WaitSet<>;
	waitset->attachState(subscriber, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) {
		exit(1);
	});
	(void)signal(SIGTERM, end);
	while (ending == 0) {
		auto notifications = waitset->wait();

		for (auto &notification : notifications) {
			(void)notification;
			while (!subscriber.take()
					.and_then([&](const void *frame) {
						struct sheet_look look =
							sheet_look(sheet, frame, 0);

						subscriber.release(frame);
						sheet_receive(sheet, reader, &look);
					})
					.has_error())
				;
		}
	}
	delete waitset;
}

int main(int argc, char **argv)
{
	struct sheet *sheet;
	int index;

	if (argc != 3) {
		fprintf(stderr, "bench-iceoryx: producer|readers SHEET-FD\n");
		return 2;
	}
	sheet = sheet_map(argv[2]);
	if (strcmp(argv[1], "producer") == 0) {
		produce(sheet);
		return 0;
	}
	index = sheet_fork_readers(sheet);
	if (index < 0)
		sheet_wait_for_readers();
	else
		read_frames(sheet, &sheet->reader[index], index);
	return 0;
}
