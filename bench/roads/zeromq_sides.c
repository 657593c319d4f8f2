/* ZeroMQ over ipc: XPUB to SUB. The option XPUB_NODROP makes the publisher wait at the high-water
 * mark where it would drop otherwise, so that nothing is lost; it hands one message, counted by
 * references, to the I/O thread for all connections.
 *
 * Large payloads stand in buffers of our own that the library gives back, so that no memory is
 * mapped and cleared for each; small ones in its own messages, which is one allocation less.
 */
#include "program.h"
#include "zeromq.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    SOCKET_BYTES = 4 << 20,
    POOL_MAX = 8,
    RECONNECT_MS = 1, /* a reader may be there before the writer */
};

/* Buffers that nobody sends; the library's thread gives them back. */
struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t is_given_back;
    uint8_t *memory[POOL_MAX];
    uint8_t *idle[POOL_MAX];
    uint32_t count, idle_count;
};

struct zeromq_writer {
    const struct zeromq *zeromq;
    void *context, *socket;
    zmq_msg_t message; /* the one that is lent */
    struct pool pool;  /* of large ones */
};

struct zeromq_reader {
    const struct zeromq *zeromq;
    void *context, *socket;
    zmq_msg_t *message; /* as many as may be held */
    uint32_t next;
};

_Noreturn static void fail(const char *what) {
    program_fail("ZeroMQ: %s: %s", what, zmq_strerror(zmq_errno()));
}

static void *open_socket(void *context, int type) {
    void *socket = context ? zmq_socket(context, type) : NULL;
    if (!socket)
        fail("no socket");
    return socket;
}

static void set(void *socket, int option, int value) {
    if (zmq_setsockopt(socket, option, &value, sizeof(value)) < 0)
        fail("an option is refused");
}

/* ---- buffers ---- */

static void fill_pool(struct pool *pool, const struct zeromq *zeromq) {
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->is_given_back, NULL);
    /* One is lent; as many as may wait are on their way. */
    pool->count = zeromq->is_large ? zeromq->depth + 1 : 0;
    for (; pool->idle_count < pool->count; pool->idle_count++)
        pool->memory[pool->idle_count] = pool->idle[pool->idle_count] =
            road_make_buffer(sizeof(struct parcel) + zeromq->library.plan->bytes);
}

static uint8_t *take_buffer(struct pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    while (pool->idle_count == 0)
        pthread_cond_wait(&pool->is_given_back, &pool->mutex);
    uint8_t *buffer = pool->idle[--pool->idle_count];
    pthread_mutex_unlock(&pool->mutex);
    return buffer;
}

static void give_back(void *buffer, void *opaque) {
    struct pool *pool = opaque;
    pthread_mutex_lock(&pool->mutex);
    pool->idle[pool->idle_count++] = buffer;
    pthread_cond_signal(&pool->is_given_back);
    pthread_mutex_unlock(&pool->mutex);
}

/* ---- the writer ---- */

static void await_readers(const struct zeromq_writer *writer) {
    for (uint32_t i = 0; i < writer->zeromq->library.plan->readers; i++) {
        char subscription[2];
        if (zmq_recv(writer->socket, subscription, sizeof(subscription), 0) < 0)
            fail("no reader subscribes");
    }
}

static void *writer_open(void *prepared, struct road_count *count) {
    struct zeromq_writer *writer = calloc(1, sizeof(*writer));
    (void)count;
    if (!writer)
        program_fail("no memory for a writer");
    writer->zeromq = prepared;
    fill_pool(&writer->pool, writer->zeromq);
    writer->context = zmq_ctx_new();
    writer->socket = open_socket(writer->context, ZMQ_XPUB);
    set(writer->socket, ZMQ_XPUB_NODROP, 1);
    set(writer->socket, ZMQ_XPUB_VERBOSE, 1); /* tells of every reader, not of the first alone */
    set(writer->socket, ZMQ_SNDHWM, (int)writer->zeromq->depth);
    set(writer->socket, ZMQ_SNDBUF, SOCKET_BYTES);
    if (zmq_bind(writer->socket, writer->zeromq->endpoint) < 0)
        fail(writer->zeromq->endpoint);
    await_readers(writer);
    return writer;
}

static void writer_close(void *side) {
    struct zeromq_writer *writer = side;
    zmq_close(writer->socket);
    zmq_ctx_term(writer->context); /* gives the last buffers back */
    for (uint32_t i = 0; i < writer->pool.count; i++)
        free(writer->pool.memory[i]);
    free(writer);
}

static void lend(void *side, uint32_t count, uint8_t **out_data) {
    struct zeromq_writer *writer = side;
    const size_t bytes = sizeof(struct parcel) + writer->zeromq->library.plan->bytes;
    assert(count == 1);
    const int error = writer->zeromq->is_large
                          ? zmq_msg_init_data(&writer->message, take_buffer(&writer->pool), bytes,
                                              give_back, &writer->pool)
                          : zmq_msg_init_size(&writer->message, bytes);
    if (error)
        fail("no message");
    out_data[0] = (uint8_t *)zmq_msg_data(&writer->message) + sizeof(struct parcel);
}

static void send_one(void *side, const struct parcel *parcels, uint32_t count) {
    struct zeromq_writer *writer = side;
    assert(count == 1);
    memcpy(zmq_msg_data(&writer->message), parcels, sizeof(*parcels));
    while (zmq_msg_send(&writer->message, writer->socket, 0) < 0)
        if (zmq_errno() != EINTR)
            fail("a message is not sent");
}

/* ---- a reader ---- */

static void *reader_open(void *prepared, uint32_t number, struct road_count *count) {
    struct zeromq_reader *reader = calloc(1, sizeof(*reader));
    (void)number, (void)count;
    if (!reader)
        program_fail("no memory for a reader");
    reader->zeromq = prepared;
    reader->message = calloc(reader->zeromq->library.plan->held, sizeof(*reader->message));
    if (!reader->message)
        program_fail("no memory for a reader");
    reader->context = zmq_ctx_new();
    reader->socket = open_socket(reader->context, ZMQ_SUB);
    set(reader->socket, ZMQ_RCVHWM, (int)reader->zeromq->depth);
    set(reader->socket, ZMQ_RCVBUF, SOCKET_BYTES);
    set(reader->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    if (zmq_setsockopt(reader->socket, ZMQ_SUBSCRIBE, "", 0) < 0 ||
        zmq_connect(reader->socket, reader->zeromq->endpoint) < 0)
        fail(reader->zeromq->endpoint);
    return reader;
}

static void reader_close(void *side) {
    struct zeromq_reader *reader = side;
    zmq_close(reader->socket);
    zmq_ctx_term(reader->context);
    free(reader->message);
    free(reader);
}

static uint32_t receive(void *side, uint32_t count, struct message *out_messages) {
    struct zeromq_reader *reader = side;
    const struct road_plan *plan = reader->zeromq->library.plan;
    zmq_msg_t *message = &reader->message[reader->next++ % plan->held];
    assert(count > 0);
    zmq_msg_init(message);
    while (zmq_msg_recv(message, reader->socket, 0) < 0)
        if (zmq_errno() != EINTR)
            fail("no message is received");
    if (zmq_msg_size(message) != sizeof(struct parcel) + plan->bytes)
        program_fail("ZeroMQ: a message is not whole");
    memcpy(&out_messages->parcel, zmq_msg_data(message), sizeof(struct parcel));
    out_messages->data = (const uint8_t *)zmq_msg_data(message) + sizeof(struct parcel);
    out_messages->handle = message;
    return 1;
}

static void release(void *side, const struct message *messages, uint32_t count) {
    (void)side;
    for (uint32_t i = 0; i < count; i++)
        zmq_msg_close(messages[i].handle);
}

const struct road library_sides = {
    .writer_open = writer_open,
    .lend = lend,
    .send = send_one,
    .writer_close = writer_close,
    .reader_open = reader_open,
    .receive = receive,
    .release = release,
    .reader_close = reader_close,
};
