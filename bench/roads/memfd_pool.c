/* A pool of memory that was passed once over AF_UNIX, and a message to each reader that names the
 * place of each payload; a reader sends it back when it is done there. As Wayland's clients and
 * PipeWire's do it: no payload is copied, no page is mapped twice.
 */
#include "descriptor.h"
#include "program.h"
#include "road.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

enum { SLOTS_MAX = 64 /* messages about so many always fit into a socket */ };

struct pool {
    const struct road_plan *plan;
    uint32_t slots;
    size_t slot_bytes;
    int end[ROAD_READERS_MAX][2]; /* reader's, writer's */
};

struct notice {
    struct parcel parcel;
    uint64_t slot;
};

struct pool_writer {
    const struct pool *pool;
    struct road_count *count;
    uint8_t *memory;
    uint32_t next;             /* slot, in turn */
    uint32_t users[SLOTS_MAX]; /* readers that have it */
};

struct pool_reader {
    const struct pool *pool;
    struct road_count *count;
    int socket;
    const uint8_t *memory;
};

static void *prepare(const struct road_plan *plan) {
    struct pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        program_fail("no memory for sockets");
    pool->plan = plan;
    pool->slots = road_depth(plan, SLOTS_MAX - plan->held - 1) + plan->held + 1;
    pool->slot_bytes = (plan->bytes + 4095) / 4096 * 4096;
    descriptor_pairs_open(pool->end, plan->readers);
    return pool;
}

static void finish(void *prepared) {
    struct pool *pool = prepared;
    descriptor_pairs_close(pool->end, pool->plan->readers);
    free(pool);
}

/* ---- the writer ---- */

/* Maps it, passes it on, and lets nobody else ever write there. */
static void share(struct pool_writer *writer) {
    const struct pool *pool = writer->pool;
    const size_t bytes = pool->slots * pool->slot_bytes;
    const int memfd = memfd_create("shmframe-bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0 || ftruncate(memfd, (off_t)bytes) < 0)
        program_fail("no memfd of %zu bytes: %m", bytes);
    writer->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (writer->memory == MAP_FAILED || fcntl(memfd, F_ADD_SEALS, SEALS) < 0)
        program_fail("a memfd cannot be mapped and sealed: %m");
    for (uint32_t i = 0; i < pool->plan->readers; i++)
        if (descriptor_send(pool->end[i][1], "", 1, memfd) != 1)
            program_fail("a reader is gone: %m");
    close(memfd);
}

static void *writer_open(void *prepared, struct road_count *count) {
    struct pool_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        program_fail("no memory for a writer");
    writer->pool = prepared;
    writer->count = count;
    signal(SIGPIPE, SIG_IGN);
    for (uint32_t i = 0; i < writer->pool->plan->readers; i++)
        close(writer->pool->end[i][0]);
    share(writer);
    return writer;
}

static void writer_close(void *side) {
    struct pool_writer *writer = side;
    munmap(writer->memory, writer->pool->slots * writer->pool->slot_bytes);
    free(writer);
}

/* Takes back what a reader has sent back so far; waits for the first if it `waits`. */
static void collect(struct pool_writer *writer, int socket, bool waits) {
    uint32_t slot[SLOTS_MAX];
    struct iovec part[SLOTS_MAX];
    struct mmsghdr message[SLOTS_MAX] = {0};
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        part[i] = (struct iovec){&slot[i], sizeof(slot[i])};
        message[i].msg_hdr = (struct msghdr){.msg_iov = &part[i], .msg_iovlen = 1};
    }
    const int flags = waits ? MSG_WAITFORONE : MSG_DONTWAIT;
    const int got = recvmmsg(socket, message, SLOTS_MAX, flags, NULL);
    writer->count->calls++;
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        program_fail("a reader is gone: %m");
    for (int i = 0; i < got; i++) {
        if (message[i].msg_len != sizeof(slot[i]) || slot[i] >= writer->pool->slots)
            program_fail("a reader is gone");
        writer->users[slot[i]]--;
        writer->count->copied += message[i].msg_len;
    }
}

static void await_any(struct pool_writer *writer) {
    const struct pool *pool = writer->pool;
    struct pollfd waiting[ROAD_READERS_MAX];
    for (uint32_t i = 0; i < pool->plan->readers; i++)
        waiting[i] = (struct pollfd){.fd = pool->end[i][1], .events = POLLIN};
    poll(waiting, pool->plan->readers, -1);
    writer->count->calls++;
    for (uint32_t i = 0; i < pool->plan->readers; i++)
        if (waiting[i].revents)
            collect(writer, pool->end[i][1], false);
}

static void await_slot(struct pool_writer *writer) {
    while (writer->users[writer->next])
        if (writer->pool->plan->readers > 1)
            await_any(writer);
        else
            collect(writer, writer->pool->end[0][1], true);
}

static void lend(void *side, uint32_t count, uint8_t **out_data) {
    struct pool_writer *writer = side;
    assert(count == 1);
    await_slot(writer);
    out_data[0] = writer->memory + writer->next * writer->pool->slot_bytes;
}

static void send_one(void *side, const struct parcel *parcels, uint32_t count) {
    struct pool_writer *writer = side;
    const struct pool *pool = writer->pool;
    const struct notice notice = {.parcel = *parcels, .slot = writer->next};
    assert(count == 1);
    for (uint32_t i = 0; i < pool->plan->readers; i++) {
        if (send(pool->end[i][1], &notice, sizeof(notice), 0) != sizeof(notice))
            program_fail("a reader is gone: %m");
        writer->count->calls++;
        writer->count->copied += sizeof(notice);
    }
    writer->users[writer->next] = pool->plan->readers;
    writer->next = (writer->next + 1) % pool->slots;
}

/* ---- a reader ---- */

static void *reader_open(void *prepared, uint32_t number, struct road_count *count) {
    struct pool_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        program_fail("no memory for a reader");
    const struct pool *pool = reader->pool = prepared;
    reader->count = count;
    reader->socket = pool->end[number][0];
    for (uint32_t i = 0; i < pool->plan->readers; i++)
        close(pool->end[i][1]);
    char byte;
    int memfd;
    if (descriptor_receive(reader->socket, &byte, 1, &memfd) != 1)
        program_fail("the writer is gone");
    reader->memory = mmap(NULL, pool->slots * pool->slot_bytes, PROT_READ, MAP_SHARED, memfd, 0);
    if (reader->memory == MAP_FAILED || (fcntl(memfd, F_GET_SEALS) & SEALS) != SEALS)
        program_fail("a memfd cannot be mapped, or is not sealed");
    close(memfd);
    return reader;
}

static void reader_close(void *side) {
    struct pool_reader *reader = side;
    munmap((void *)reader->memory, reader->pool->slots * reader->pool->slot_bytes);
    free(reader);
}

static uint32_t receive(void *side, uint32_t count, struct message *out_messages) {
    struct pool_reader *reader = side;
    struct notice notice;
    ssize_t done;
    assert(count > 0);
    do {
        done = recv(reader->socket, &notice, sizeof(notice), 0);
        reader->count->calls++;
    } while (done < 0 && errno == EINTR);
    if (done != sizeof(notice))
        program_fail("the writer is gone");
    reader->count->copied += (uint64_t)done;
    out_messages->parcel = notice.parcel;
    out_messages->data = reader->memory + notice.slot * reader->pool->slot_bytes;
    out_messages->handle = (void *)(uintptr_t)notice.slot;
    return 1;
}

static void release(void *side, const struct message *messages, uint32_t count) {
    struct pool_reader *reader = side;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = (uint32_t)(uintptr_t)messages[i].handle;
        if (send(reader->socket, &slot, sizeof(slot), 0) != sizeof(slot))
            program_fail("the writer is gone: %m");
        reader->count->calls++;
        reader->count->copied += sizeof(slot);
    }
}

const struct road road_memfd_pool = {
    .name = "memfd-pool",
    .title = "AF_UNIX, a pool passed once",
    .how = "a message names each payload's place, a message gives it back",
    .is_counted = true,
    .prepare = prepare,
    .finish = finish,
    .writer_open = writer_open,
    .lend = lend,
    .send = send_one,
    .writer_close = writer_close,
    .reader_open = reader_open,
    .receive = receive,
    .release = release,
    .reader_close = reader_close,
};
