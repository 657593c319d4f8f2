/* A memfd passed for each message over AF_UNIX: the writer makes one, fills it, seals it and sends
 * its descriptor; a reader checks it, maps it, reads there and unmaps it. No payload is copied, but
 * every one has new pages, which the kernel clears first.
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
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

enum {
    /* Payloads from here on are many pages: the kernel is let keep as few on their way as it can,
     * about six. */
    LARGE_BYTES = 1 << 20,
};

struct sockets {
    const struct road_plan *plan;
    int end[ROAD_READERS_MAX][2]; /* to read from, to write into */
};

struct memfd_writer {
    const struct sockets *sockets;
    struct road_count *count;
    int memfd;
    uint8_t *data;
};

struct memfd_reader {
    const struct sockets *sockets;
    struct road_count *count;
    int socket;
};

static void *prepare(const struct road_plan *plan) {
    const int few = 1; /* raised to the least there may be */
    struct sockets *sockets = calloc(1, sizeof(*sockets));
    if (!sockets)
        program_fail("no memory for sockets");
    sockets->plan = plan;
    descriptor_pairs_open(sockets->end, plan->readers);
    for (uint32_t i = 0; plan->bytes >= LARGE_BYTES && i < plan->readers; i++)
        setsockopt(sockets->end[i][1], SOL_SOCKET, SO_SNDBUF, &few, sizeof(few));
    return sockets;
}

static void finish(void *prepared) {
    struct sockets *sockets = prepared;
    descriptor_pairs_close(sockets->end, sockets->plan->readers);
    free(sockets);
}

/* The payload that is written and the one that is read: pages of their own, which nobody has mapped
 * for most of the time. More are on their way where readers are slow. */
static size_t kernel_bytes(void *prepared) {
    const struct sockets *sockets = prepared;
    return 2 * sockets->plan->bytes;
}

/* ---- the writer ---- */

static void *writer_open(void *prepared, struct road_count *count) {
    struct memfd_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        program_fail("no memory for a writer");
    writer->sockets = prepared;
    writer->count = count;
    const struct road_plan *plan = writer->sockets->plan;
    signal(SIGPIPE, SIG_IGN);
    for (uint32_t i = 0; i < plan->readers; i++) {
        close(writer->sockets->end[i][0]);
        /* One reader that is slow holds up no other; where there is no other, the call may wait. */
        if (plan->readers > 1)
            fcntl(writer->sockets->end[i][1], F_SETFL, O_NONBLOCK);
    }
    return writer;
}

static void writer_close(void *side) {
    free(side);
}

static void lend(void *side, uint32_t count, uint8_t **out_data) {
    struct memfd_writer *writer = side;
    const size_t bytes = writer->sockets->plan->bytes;
    assert(count == 1);
    writer->memfd = memfd_create("shmframe-bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (writer->memfd < 0 || ftruncate(writer->memfd, (off_t)bytes) < 0)
        program_fail("no memfd of %zu bytes: %m", bytes);
    writer->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, writer->memfd, 0);
    if (writer->data == MAP_FAILED)
        program_fail("a memfd cannot be mapped: %m");
    writer->count->calls += 3;
    out_data[0] = writer->data;
}

/* Returns whether there was room for it. */
static bool push(struct memfd_writer *writer, int socket, const struct parcel *parcel) {
    for (;;) {
        const ssize_t done = descriptor_send(socket, parcel, sizeof(*parcel), writer->memfd);
        writer->count->calls++;
        if (done > 0)
            writer->count->copied += (uint64_t)done;
        else if (errno == EINTR)
            continue;
        else if (errno != EAGAIN)
            program_fail("a reader is gone: %m");
        return done > 0;
    }
}

static void push_to_all(struct memfd_writer *writer, const struct parcel *parcel) {
    const struct sockets *sockets = writer->sockets;
    bool is_sent[ROAD_READERS_MAX] = {false};
    for (;;) {
        struct pollfd waiting[ROAD_READERS_MAX];
        nfds_t left = 0;
        for (uint32_t i = 0; i < sockets->plan->readers; i++)
            if (!is_sent[i] && !(is_sent[i] = push(writer, sockets->end[i][1], parcel)))
                waiting[left++] = (struct pollfd){.fd = sockets->end[i][1], .events = POLLOUT};
        if (left == 0)
            return;
        poll(waiting, left, -1);
        writer->count->calls++;
    }
}

static void send_one(void *side, const struct parcel *parcels, uint32_t count) {
    struct memfd_writer *writer = side;
    assert(count == 1);
    /* F_SEAL_WRITE is refused while somebody may write there. */
    munmap(writer->data, writer->sockets->plan->bytes);
    if (fcntl(writer->memfd, F_ADD_SEALS, SEALS) < 0)
        program_fail("a memfd cannot be sealed: %m");
    push_to_all(writer, parcels);
    close(writer->memfd);
    writer->count->calls += 3;
}

/* ---- a reader ---- */

static void *reader_open(void *prepared, uint32_t number, struct road_count *count) {
    struct memfd_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        program_fail("no memory for a reader");
    reader->sockets = prepared;
    reader->count = count;
    reader->socket = reader->sockets->end[number][0];
    for (uint32_t i = 0; i < reader->sockets->plan->readers; i++)
        close(reader->sockets->end[i][1]);
    return reader;
}

static void reader_close(void *side) {
    free(side);
}

/* Takes the next message off the socket; returns its descriptor. */
static int pull(struct memfd_reader *reader, struct parcel *out_parcel) {
    ssize_t done;
    int memfd;
    do {
        done = descriptor_receive(reader->socket, out_parcel, sizeof(*out_parcel), &memfd);
        reader->count->calls++;
    } while (done < 0 && errno == EINTR);
    if (done != sizeof(*out_parcel))
        program_fail("the writer is gone");
    reader->count->copied += (uint64_t)done;
    return memfd;
}

/* What nobody can change or shrink any more may be read without fear of SIGBUS. */
static void check(const struct memfd_reader *reader, int memfd) {
    struct stat status;
    if ((fcntl(memfd, F_GET_SEALS) & SEALS) != SEALS || fstat(memfd, &status) < 0 ||
        (size_t)status.st_size != reader->sockets->plan->bytes)
        program_fail("a memfd is not sealed, or of another size");
}

static uint32_t receive(void *side, uint32_t count, struct message *out_messages) {
    struct memfd_reader *reader = side;
    assert(count > 0);
    const int memfd = pull(reader, &out_messages->parcel);
    check(reader, memfd);
    uint8_t *data = mmap(NULL, reader->sockets->plan->bytes, PROT_READ, MAP_SHARED, memfd, 0);
    if (data == MAP_FAILED)
        program_fail("a memfd cannot be mapped: %m");
    close(memfd);
    reader->count->calls += 4;
    out_messages->data = data;
    return 1;
}

static void release(void *side, const struct message *messages, uint32_t count) {
    struct memfd_reader *reader = side;
    for (uint32_t i = 0; i < count; i++)
        munmap((void *)messages[i].data, reader->sockets->plan->bytes);
    reader->count->calls += count;
}

const struct road road_memfd = {
    .name = "memfd",
    .title = "AF_UNIX, a memfd passed for each",
    .how = "made, filled and sealed by the writer; checked and mapped by each reader",
    .is_counted = true,
    .prepare = prepare,
    .finish = finish,
    .kernel_bytes = kernel_bytes,
    .writer_open = writer_open,
    .lend = lend,
    .send = send_one,
    .writer_close = writer_close,
    .reader_open = reader_open,
    .receive = receive,
    .release = release,
    .reader_close = reader_close,
};
