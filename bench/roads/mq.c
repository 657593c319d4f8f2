/* POSIX message queue: one for each reader, of as many messages as an unprivileged user may have.
 * Every message is copied into the kernel and out of it, once for each reader.
 */
#include "road.h"

#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What a queue of one message takes besides it, towards RLIMIT_MSGQUEUE: struct msg_msg and
 * struct posix_msg_tree_node, see mq_overview(7) and getrlimit(2). */
enum { RECORD_BYTES = 48 + 48, PAGE_BYTES = 4096 };

struct queues {
    const struct road_plan *plan;
    struct mq_attr attributes;
    mqd_t end[ROAD_READERS_MAX][2]; /* to read from, to write into */
};

struct side {
    const struct queues *queues;
    struct road_count *count;
    mqd_t end;         /* a reader's */
    size_t bytes;      /* of a message: its parcel and its payload */
    uint8_t **message; /* `messages` places, each with its payload where a page begins */
    uint32_t messages, next;
};

/* ---- making them ---- */

static long read_limit(const char *name) {
    char path[64];
    long limit = 0;
    snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", name);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%ld", &limit) != 1)
        limit = 0;
    fclose(file);
    return limit;
}

/* A message is its parcel and its payload. */
static struct mq_attr find_attributes(const struct road_plan *plan) {
    return (struct mq_attr){.mq_maxmsg = read_limit("msg_max"),
                            .mq_msgsize = (long)(sizeof(struct parcel) + plan->bytes)};
}

static const char *why_not(const struct road_plan *plan) {
    static char line[128];
    const struct mq_attr wanted = find_attributes(plan);
    const long most = read_limit("msgsize_max");
    const size_t all =
        plan->readers * (size_t)wanted.mq_maxmsg * ((size_t)wanted.mq_msgsize + RECORD_BYTES);
    struct rlimit limit = {0};
    if (wanted.mq_maxmsg == 0)
        return "this kernel has no message queues";
    if (wanted.mq_msgsize > most) {
        snprintf(line, sizeof(line), "/proc/sys/fs/mqueue/msgsize_max is %ld", most);
        return line;
    }
    if (getrlimit(RLIMIT_MSGQUEUE, &limit) < 0 || limit.rlim_cur < all) {
        snprintf(line, sizeof(line), "the limit of bytes in message queues (ulimit -q) is %llu",
                 (unsigned long long)limit.rlim_cur);
        return line;
    }
    return NULL;
}

static void *prepare(const struct road_plan *plan) {
    struct queues *queues = calloc(1, sizeof(*queues));
    if (!queues)
        program_fail("no memory for message queues");
    queues->plan = plan;
    queues->attributes = find_attributes(plan);
    for (uint32_t i = 0; i < plan->readers; i++) {
        char name[64];
        snprintf(name, sizeof(name), "/shmframe-bench-%d-%u", getpid(), i);
        queues->end[i][0] =
            mq_open(name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &queues->attributes);
        /* One reader that is slow holds up no other; where there is no other, the call may wait. */
        queues->end[i][1] =
            mq_open(name, O_WRONLY | O_CLOEXEC | (plan->readers > 1 ? O_NONBLOCK : 0));
        if (queues->end[i][0] < 0 || queues->end[i][1] < 0)
            program_fail("no message queue: %m");
        mq_unlink(name);
    }
    return queues;
}

static void finish(void *prepared) {
    struct queues *queues = prepared;
    for (uint32_t i = 0; i < queues->plan->readers; i++) {
        mq_close(queues->end[i][0]);
        mq_close(queues->end[i][1]);
    }
    free(queues);
}

static size_t kernel_bytes(void *prepared) {
    const struct queues *queues = prepared;
    return queues->plan->readers * (size_t)queues->attributes.mq_maxmsg *
           (size_t)queues->attributes.mq_msgsize;
}

/* ---- both sides ---- */

static void *open_side(const struct queues *queues, struct road_count *count, uint32_t messages) {
    struct side *side = calloc(1, sizeof(*side));
    uint8_t **message = calloc(messages, sizeof(*message));
    if (!side || !message)
        program_fail("no memory for a message queue");
    *side = (struct side){.queues = queues,
                          .count = count,
                          .bytes = sizeof(struct parcel) + queues->plan->bytes,
                          .message = message,
                          .messages = messages};
    for (uint32_t i = 0; i < messages; i++)
        message[i] =
            road_make_buffer(PAGE_BYTES + queues->plan->bytes) + PAGE_BYTES - sizeof(struct parcel);
    return side;
}

static void close_side(void *opaque) {
    struct side *side = opaque;
    for (uint32_t i = 0; i < side->messages; i++)
        free(side->message[i] + sizeof(struct parcel) - PAGE_BYTES);
    free(side->message);
    free(side);
}

/* ---- the writer ---- */

static void *writer_open(void *prepared, struct road_count *count) {
    return open_side(prepared, count, 1);
}

static void lend(void *opaque, uint32_t count, uint8_t **out_data) {
    const struct side *writer = opaque;
    for (uint32_t i = 0; i < count; i++)
        out_data[i] = writer->message[i] + sizeof(struct parcel);
}

/* Returns whether there was room for it. */
static bool push(struct side *writer, mqd_t end) {
    for (;;) {
        const int error = mq_send(end, (const char *)writer->message[0], writer->bytes, 0);
        writer->count->calls++;
        if (error == 0)
            writer->count->copied += writer->bytes;
        else if (errno == EINTR)
            continue;
        else if (errno != EAGAIN)
            program_fail("a message queue refuses a message: %m");
        return error == 0;
    }
}

static void send_one(void *opaque, const struct parcel *parcels, uint32_t count) {
    struct side *writer = opaque;
    const struct queues *queues = writer->queues;
    bool is_sent[ROAD_READERS_MAX] = {false};
    assert(count == 1);
    memcpy(writer->message[0], parcels, sizeof(*parcels) * count);
    for (;;) {
        struct pollfd waiting[ROAD_READERS_MAX];
        nfds_t left = 0;
        for (uint32_t i = 0; i < queues->plan->readers; i++)
            if (!is_sent[i] && !(is_sent[i] = push(writer, queues->end[i][1])))
                waiting[left++] = (struct pollfd){.fd = queues->end[i][1], .events = POLLOUT};
        if (left == 0)
            return;
        poll(waiting, left, -1);
        writer->count->calls++;
    }
}

/* ---- a reader ---- */

static void *reader_open(void *prepared, uint32_t number, struct road_count *count) {
    const struct queues *queues = prepared;
    struct side *reader = open_side(queues, count, queues->plan->held);
    reader->end = queues->end[number][0];
    return reader;
}

static uint32_t receive(void *opaque, uint32_t count, struct message *out_messages) {
    struct side *reader = opaque;
    uint8_t *message = reader->message[reader->next++ % reader->messages];
    ssize_t bytes;
    assert(count > 0);
    do {
        bytes = mq_receive(reader->end, (char *)message, reader->bytes, NULL);
        reader->count->calls++;
    } while (bytes < 0 && errno == EINTR);
    if (bytes != (ssize_t)reader->bytes)
        program_fail("a message queue gives no message: %m");
    reader->count->copied += (uint64_t)bytes;
    memcpy(&out_messages->parcel, message, sizeof(out_messages->parcel));
    out_messages->data = message + sizeof(out_messages->parcel);
    return 1;
}

static void release(void *opaque, const struct message *messages, uint32_t count) {
    (void)opaque, (void)messages, (void)count; /* its place is used again when its turn comes */
}

const struct road road_mq = {
    .name = "mq",
    .title = "POSIX message queue",
    .how = "one for each reader, as many messages deep as an unprivileged user may have",
    .copies_each = 2,
    .is_counted = true,
    .why_not = why_not,
    .prepare = prepare,
    .finish = finish,
    .kernel_bytes = kernel_bytes,
    .writer_open = writer_open,
    .lend = lend,
    .send = send_one,
    .writer_close = close_side,
    .reader_open = reader_open,
    .receive = receive,
    .release = release,
    .reader_close = close_side,
};
