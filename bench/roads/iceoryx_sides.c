/* iceoryx: chunks of its daemon's shared memory, lent to the publisher and read in place by the
 * subscribers; a full queue makes the publisher wait, so that nothing is lost. A reader that sleeps
 * does so in a wait set.
 */
#include "iceoryx.h"
#include "program.h"

#include <iceoryx_binding_c/api.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SERVICE "shmframe", "bench", "messages"

struct iceoryx_writer {
    const struct iceoryx *iceoryx;
    iox_pub_storage_t storage;
    iox_pub_t publisher;
    uint8_t *chunk; /* the one that is lent */
};

struct iceoryx_reader {
    const struct iceoryx *iceoryx;
    iox_sub_storage_t storage;
    iox_sub_t subscriber;
    iox_ws_storage_t wait_set_storage;
    iox_ws_t wait_set;
};

/* ---- both sides ---- */

/* Into the namespaces of the daemon; the first is our own unless we lacked the right to the second
 * alone. */
static void enter_namespace(const struct iceoryx *iceoryx) {
    const int daemon = (int)syscall(SYS_pidfd_open, iceoryx->daemon, 0);
    if (daemon < 0 ||
        (setns(daemon, CLONE_NEWNS) < 0 && setns(daemon, CLONE_NEWUSER | CLONE_NEWNS) < 0))
        program_fail("iceoryx: its daemon's namespace cannot be entered: %m");
    close(daemon);
}

static void join(const struct iceoryx *iceoryx) {
    char name[32];
    enter_namespace(iceoryx);
    iox_set_loglevel(Iceoryx_LogLevel_Fatal);
    snprintf(name, sizeof(name), "shmframe-bench-%d", (int)getpid());
    iox_runtime_init(name);
}

/* ---- the writer ---- */

static void *open_writer(void *prepared, struct road_count *count) {
    struct iceoryx_writer *writer = calloc(1, sizeof(*writer));
    iox_pub_options_t options;
    (void)count;
    if (!writer)
        program_fail("no memory for a writer");
    writer->iceoryx = prepared;
    join(writer->iceoryx);
    iox_pub_options_init(&options);
    options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
    writer->publisher = iox_pub_init(&writer->storage, SERVICE, &options);
    for (uint32_t i = 0; i < writer->iceoryx->library.plan->readers; i++) {
        char byte;
        if (read(writer->iceoryx->arrived[0], &byte, 1) != 1)
            program_fail("no reader comes: %m");
    }
    return writer;
}

static void close_writer(void *side) {
    struct iceoryx_writer *writer = side;
    iox_pub_deinit(writer->publisher);
    iox_runtime_shutdown();
    free(writer);
}

static void lend(void *side, uint32_t count, uint8_t **out_data) {
    struct iceoryx_writer *writer = side;
    const uint32_t bytes = (uint32_t)(ICEORYX_HEAD_BYTES + writer->iceoryx->library.plan->bytes);
    void *chunk;
    assert(count == 1);
    const enum iox_AllocationResult result =
        iox_pub_loan_aligned_chunk(writer->publisher, &chunk, bytes, 64);
    if (result != AllocationResult_SUCCESS)
        program_fail("iceoryx: no chunk: %d", (int)result);
    writer->chunk = chunk;
    out_data[0] = writer->chunk + ICEORYX_HEAD_BYTES;
}

static void send_one(void *side, const struct parcel *parcels, uint32_t count) {
    struct iceoryx_writer *writer = side;
    assert(count == 1);
    memcpy(writer->chunk, parcels, sizeof(*parcels));
    iox_pub_publish_chunk(writer->publisher, writer->chunk);
}

/* ---- a reader ---- */

static void await_subscription(const struct iceoryx_reader *reader) {
    const struct timespec a_while = {.tv_nsec = 1000000};
    while (iox_sub_get_subscription_state(reader->subscriber) != SubscribeState_SUBSCRIBED)
        nanosleep(&a_while, NULL); /* the daemon brings both together ten times a second */
    if (write(reader->iceoryx->arrived[1], "", 1) != 1)
        program_fail("the writer is gone: %m");
}

static void *open_reader(void *prepared, uint32_t number, struct road_count *count) {
    struct iceoryx_reader *reader = calloc(1, sizeof(*reader));
    iox_sub_options_t options;
    (void)number, (void)count;
    if (!reader)
        program_fail("no memory for a reader");
    reader->iceoryx = prepared;
    join(reader->iceoryx);
    iox_sub_options_init(&options);
    options.queueCapacity = reader->iceoryx->depth;
    options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
    reader->subscriber = iox_sub_init(&reader->storage, SERVICE, &options);
    reader->wait_set = iox_ws_init(&reader->wait_set_storage);
    if (iox_ws_attach_subscriber_event(reader->wait_set, reader->subscriber,
                                       SubscriberEvent_DATA_RECEIVED, 0,
                                       NULL) != WaitSetResult_SUCCESS)
        program_fail("iceoryx: a wait set takes no subscriber");
    await_subscription(reader);
    return reader;
}

static void close_reader(void *side) {
    struct iceoryx_reader *reader = side;
    iox_ws_detach_subscriber_event(reader->wait_set, reader->subscriber,
                                   SubscriberEvent_DATA_RECEIVED);
    iox_ws_deinit(reader->wait_set);
    iox_sub_deinit(reader->subscriber);
    iox_runtime_shutdown();
    free(reader);
}

static void wait_for_chunk(struct iceoryx_reader *reader) {
    iox_notification_info_t notification;
    uint64_t missed;
    iox_ws_wait(reader->wait_set, &notification, 1, &missed);
}

static uint32_t receive(void *side, uint32_t count, struct message *out_messages) {
    struct iceoryx_reader *reader = side;
    const bool never_sleeps = reader->iceoryx->library.plan->spin_ns == INT64_MAX;
    const void *chunk;
    enum iox_ChunkReceiveResult result;
    assert(count > 0);
    while ((result = iox_sub_take_chunk(reader->subscriber, &chunk)) ==
           ChunkReceiveResult_NO_CHUNK_AVAILABLE)
        if (!never_sleeps)
            wait_for_chunk(reader);
    if (result != ChunkReceiveResult_SUCCESS)
        program_fail("iceoryx: no chunk is received: %d", (int)result);
    memcpy(&out_messages->parcel, chunk, sizeof(out_messages->parcel));
    out_messages->data = (const uint8_t *)chunk + ICEORYX_HEAD_BYTES;
    out_messages->handle = (void *)(uintptr_t)chunk;
    return 1;
}

static void release(void *side, const struct message *messages, uint32_t count) {
    struct iceoryx_reader *reader = side;
    for (uint32_t i = 0; i < count; i++)
        iox_sub_release_chunk(reader->subscriber, messages[i].handle);
}

const struct road library_sides = {
    .writer_open = open_writer,
    .lend = lend,
    .send = send_one,
    .writer_close = close_writer,
    .reader_open = open_reader,
    .receive = receive,
    .release = release,
    .reader_close = close_reader,
};
