#include "writer.h"

#include "bell.h"
#include "clock.h"
#include "error.h"
#include "format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READER_SLOTS = 1 }; /* backed with memory for the first reader, before it comes */
enum { SPARE_SLOTS = 1 };  /* what a publish retires is free only at the next loan */
#define OPEN_NS INT64_C(10000000000)
/* A reader backs with memory what its grant adds; a while later it costs the writer little. */
#define WARM_DELAY_NS INT64_C(20000000)

static void lock(struct shmframe_writer *writer) {
    if (writer->is_threaded)
        pthread_mutex_lock(&writer->mutex);
}

static void unlock(struct shmframe_writer *writer) {
    if (writer->is_threaded)
        pthread_mutex_unlock(&writer->mutex);
}

/* ---- memory ---- */

static uint64_t slot_offset(const struct writer_ring *ring, uint32_t slot) {
    return ring->payload_offset + ring->slot_stride * slot;
}

/* Backs slots up to `end` with memory: their headers and their payload. */
static int warm_slots(struct writer_ring *ring, uint32_t end) {
    struct ring_writer *core = &ring->core;
    while (core->warm < end) {
        const uint32_t slot = core->warm;
        int code = region_populate(&ring->region, offsetof(struct ring, slot[slot]),
                                   sizeof(struct slot_header), true);
        if (code == 0)
            code = region_populate(&ring->region, slot_offset(ring, slot), ring->slot_stride, true);
        if (code < 0)
            return code;
        core->warm++;
    }
    return 0;
}

static uint32_t warm_target(const struct shmframe_writer *writer, const struct writer_ring *ring) {
    const uint32_t leases = ring->core.leases > READER_SLOTS ? ring->core.leases : READER_SLOTS;
    const uint32_t target = writer->loans + ring->core.history + leases;
    return target < ring->core.slots ? target : ring->core.slots;
}

static void describe_ring(const struct shmframe_writer *writer, struct ring_geometry *geometry) {
    message_put_text(geometry->stream, sizeof(geometry->stream), writer->stream);
    message_put_text(geometry->group, sizeof(geometry->group), writer->group);
}

static int let_attach(const struct shmframe_writer *writer, const struct writer_ring *ring) {
    if (!writer->before_seal)
        return 0;
    const struct shmframe_ring_map map = {.base = ring->region.base,
                                          .bytes = ring->region.bytes,
                                          .payload_offset = ring->payload_offset,
                                          .slot_stride = ring->slot_stride,
                                          .slots = ring->core.slots};
    int code = writer->before_seal(writer->before_seal_user, ring->fd, &map);
    return code < 0 ? error_set(code, "before_seal refused the ring of stream '%s': %s",
                                writer->stream, strerror(-code))
                    : 0;
}

static int fill_ring(struct shmframe_writer *writer, struct writer_ring *ring,
                     const struct ring_geometry *geometry) {
    ring->payload_offset = geometry->payload_offset;
    ring->slot_stride = geometry->slot_stride;
    ring->format = geometry->format;
    int code = region_create("shmframe-ring", geometry->ring_bytes, &ring->region, &ring->fd);
    if (code == 0)
        code = region_populate(&ring->region, 0, offsetof(struct ring, slot), true);
    if (code < 0)
        return code;
    struct ring *memory = ring->region.base;
    memory->geometry = *geometry;
    ring_writer_init(&ring->core, memory, geometry->slots, writer->history, &writer->sequence,
                     NULL);
    code = warm_slots(ring, warm_target(writer, ring));
    if (code == 0)
        code = let_attach(writer, ring);
    return code == 0 ? region_seal(ring->fd, REGION_SEALED) : code;
}

static int create_ring(struct shmframe_writer *writer, const struct shmframe_format *format,
                       struct writer_ring **out_ring) {
    struct ring_geometry *geometry = calloc(1, sizeof(*geometry));
    struct writer_ring *ring = calloc(1, sizeof(*ring));
    int code = geometry && ring ? 0 : error_set(-ENOMEM, "no memory for a ring");
    if (code == 0) {
        ring->fd = -1;
        ring->id = ++writer->last_id;
        describe_ring(writer, geometry);
        code = layout_plan(geometry, format, writer->ring_bytes,
                           writer->loans + writer->history + READER_SLOTS + SPARE_SLOTS);
    }
    if (code == 0)
        code = fill_ring(writer, ring, geometry);
    free(geometry);
    if (code < 0) {
        if (ring)
            writer_ring_destroy(writer, ring);
        return code;
    }
    *out_ring = ring;
    return 0;
}

/* ---- opening ---- */

/* Nobody can say in which ring the stream goes on. */
static int lose(struct shmframe_writer *writer) {
    message_put_text(writer->lost_text, sizeof(writer->lost_text),
                     "the supervisor did not answer a change of format");
    writer->is_lost = true;
    return error_set(-ESTALE, "stream '%s' is lost: %s", writer->stream, writer->lost_text);
}

/* Gives the session's mutex up while it waits. A change of format is not to be interrupted
 * half-way: once asked for, it is the supervisor's to decide. */
static int await_opened(struct shmframe_writer *writer, int64_t deadline_ns) {
    struct shmframe_session *session = writer->object.session;
    const int64_t last_ns = shmframe_deadline_ns(OPEN_NS);
    const bool must_know = writer->ring != NULL;
    int code = 0;
    while (code == 0 && writer->answer == WRITER_ASKED) {
        code = must_know ? session_await_firmly(session, last_ns)
                         : session_await(session, deadline_ns);
    }
    if (must_know && code == -ETIMEDOUT)
        return lose(writer);
    if (code == -ETIMEDOUT)
        return error_set(code, "stream '%s' was not opened in time", writer->stream);
    if (code < 0)
        return code;
    return writer->answer == WRITER_OPENED ? 0
                                           : error_set(writer->refusal, "%s", writer->refusal_text);
}

/* Waits a while before it is asked again: 0. Otherwise it is not worth it, or was interrupted. */
static int pause_before_retry(struct shmframe_session *session, int code, int64_t deadline_ns) {
    enum { PAUSE_NS = 20000000 };
    if (code != -EAGAIN && code != -ENOTCONN)
        return code;
    const int64_t pause_ns = clock_now_ns() + PAUSE_NS;
    while (clock_now_ns() < pause_ns)
        if (session_await(session, pause_ns) == -EINTR)
            return -EINTR;
    return clock_now_ns() < deadline_ns ? 0 : code;
}

/* Fails with -ENOTCONN if the supervisor died meanwhile: then nobody can say whether readers have
 * links to this ring. */
static int register_ring(struct shmframe_writer *writer, struct writer_ring *ring,
                         int64_t deadline_ns) {
    struct shmframe_session *session = writer->object.session;
    bool is_answered;
    int code;
    writer->opening = ring;
    do {
        code = session_await_connection(session, deadline_ns);
        /* A stream that is there already comes back first. */
        if (code == 0 && writer->is_resync_sent && !writer->is_resync_opened)
            code = await_opened(writer, deadline_ns);
        if (code == 0) {
            writer_ring_set_notice(ring, session->notice);
            code = writer_send_open(writer, ring, false);
        }
        if (code == 0)
            code = await_opened(writer, deadline_ns);
        is_answered = code != -EAGAIN;
        if (!is_answered) /* the offers of an opening that was refused are forgotten over there */
            writer_drop_links(writer, ring);
        if (!is_answered)
            code = pause_before_retry(session, code, deadline_ns);
    } while (!is_answered && code == 0);
    writer->opening = NULL;
    if (code == -EAGAIN) /* its owner did not come back, and did not end: it is taken */
        code = error_set(-EEXIST, "%s", writer->refusal_text);
    return code;
}

static void leave(struct shmframe_writer *writer, uint32_t flags) {
    struct shmframe_session *session = writer->object.session;
    union message message;
    message_init(&message, MESSAGE_CLOSE_WRITER, 0);
    message.close_writer.writer = writer->object.number;
    message.close_writer.flags = flags;
    message.close_writer.sequence = writer->sequence;
    if (session->is_welcome)
        session_send(session, &message, NULL);
}

static void adopt(struct shmframe_writer *writer, struct writer_ring *ring) {
    ring->generation = writer->opened_generation;
    if (writer->opened_sequence > writer->sequence && writer->opened_sequence <= SEQUENCE_MAX)
        writer->sequence = writer->opened_sequence;
    ring->next = writer->ring;
    writer->ring = ring;
    writer->counters.generation = ring->generation;
}

/* Readers that were linked to it before its opening failed go on to the next one. */
static void drop_ring(struct shmframe_writer *writer, struct writer_ring *ring) {
    if (ring->notice)
        ring_end(&ring->core, RING_CLOSED);
    writer_ring_destroy(writer, ring);
}

/* `*out_is_in_vain`: the supervisor died, and it is worth trying with the next one. */
static int try_open_ring(struct shmframe_writer *writer, const struct shmframe_format *format,
                         int64_t deadline_ns, bool *out_is_in_vain) {
    struct shmframe_session *session = writer->object.session;
    struct writer_ring *ring;
    *out_is_in_vain = false;
    int code = create_ring(writer, format, &ring);
    if (code < 0)
        return code;
    session_lock(session);
    code = register_ring(writer, ring, deadline_ns);
    if (code == -ENOTCONN) {
        const int pause = pause_before_retry(session, code, deadline_ns);
        *out_is_in_vain = pause == 0;
        code = pause == 0 ? code : pause;
    }
    if (code < 0 && !writer->ring)
        leave(writer, 0);
    session_unlock(session);
    lock(writer);
    session_lock(session);
    if (code == 0)
        adopt(writer, ring);
    else
        drop_ring(writer, ring);
    session_unlock(session);
    unlock(writer);
    return code;
}

/* Each attempt with a ring of its own: a former one may have readers that nobody knows of. */
static int open_ring(struct shmframe_writer *writer, const struct shmframe_format *format,
                     int64_t deadline_ns) {
    bool is_in_vain;
    int code;
    do {
        code = try_open_ring(writer, format, deadline_ns, &is_in_vain);
    } while (is_in_vain);
    return code;
}

static int check_params(const struct shmframe_writer_params *params) {
    if (!params->stream || !shmframe_name_is_valid(params->stream))
        return error_set(-EINVAL,
                         "'%s' cannot name a stream: 1 to 63 of a-z 0-9 . _ -, beginning with "
                         "a letter or digit",
                         params->stream ? params->stream : "");
    if (params->group && params->group[0] && !shmframe_name_is_valid(params->group))
        return error_set(-EINVAL, "'%s' cannot name a group", params->group);
    if (params->loans > WRITER_LOANS_MAX)
        return error_set(-EINVAL, "%u loans at once are more than %d", params->loans,
                         WRITER_LOANS_MAX);
    if (params->history > SHMFRAME_DEPTH_MAX)
        return error_set(-EINVAL, "a history of %u frames is more than %d", params->history,
                         SHMFRAME_DEPTH_MAX);
    return 0;
}

static struct shmframe_writer *create(struct shmframe_session *session,
                                      const struct shmframe_writer_params *params) {
    struct shmframe_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return NULL;
    writer->object = (struct session_object){.ops = &writer_ops, .is_writer = true};
    writer->is_threaded = params->flags & SHMFRAME_WRITER_THREADED;
    writer->is_live = params->flags & SHMFRAME_WRITER_LIVE;
    writer->loans = params->loans ? params->loans : 1;
    writer->history = params->history ? params->history : 1;
    writer->ring_bytes = params->ring_bytes;
    writer->before_seal = params->before_seal;
    writer->before_seal_user = params->user;
    message_put_text(writer->stream, sizeof(writer->stream), params->stream);
    if (params->group)
        message_put_text(writer->group, sizeof(writer->group), params->group);
    pthread_mutex_init(&writer->mutex, NULL);
    session_lock(session);
    writer->object.number = ++session->next_writer;
    session_add(session, &writer->object);
    session_unlock(session);
    return writer;
}

static void destroy(struct shmframe_writer *writer) {
    struct shmframe_session *session = writer->object.session;
    session_lock(session);
    session_remove(&writer->object);
    while (writer->ring) {
        struct writer_ring *ring = writer->ring;
        writer->ring = ring->next;
        writer_ring_destroy(writer, ring);
    }
    session_unlock(session);
    pthread_mutex_destroy(&writer->mutex);
    free(writer->reader);
    free(writer);
}

int shmframe_writer_open(struct shmframe_session *session,
                         const struct shmframe_writer_params *params,
                         struct shmframe_writer **out_writer) {
    int code = check_params(params);
    struct shmframe_format format = params->format;
    if (code == 0)
        code = shmframe_format_complete(&format);
    if (code < 0)
        return code;
    const int64_t deadline_ns =
        params->deadline_ns ? params->deadline_ns : shmframe_deadline_ns(OPEN_NS);
    struct shmframe_writer *writer = create(session, params);
    if (!writer)
        return error_set(-ENOMEM, "no memory for a writer");
    code = open_ring(writer, &format, deadline_ns);
    if (code < 0) {
        destroy(writer);
        return code;
    }
    *out_writer = writer;
    return 0;
}

const struct shmframe_format *shmframe_writer_format(const struct shmframe_writer *writer) {
    return &writer->ring->format;
}

int shmframe_writer_set_format(struct shmframe_writer *writer, const struct shmframe_format *format,
                               int64_t deadline_ns) {
    struct shmframe_format complete = *format;
    int code = shmframe_format_complete(&complete);
    if (code < 0)
        return code;
    if (writer->is_ended)
        return error_set(-ENODATA, "stream '%s' has ended", writer->stream);
    return open_ring(writer, &complete, deadline_ns ? deadline_ns : shmframe_deadline_ns(OPEN_NS));
}

/* ---- loan ---- */

/* Mail, links that are over, rings that nobody needs: rarely, and never for long. */
static void look_after(struct shmframe_writer *writer, int64_t now_ns) {
    struct shmframe_session *session = writer->object.session;
    struct writer_ring *ring = writer->ring;
    const bool has_notice = ring_writer_has_notice(&ring->core);
    ring_writer_refresh(&ring->core);
    if (has_notice && warm_target(writer, ring) > ring->core.warm)
        ring->warm_ns = now_ns + WARM_DELAY_NS;
    writer->object.is_upkeep_due =
        !session_upkeep(session, now_ns, has_notice || writer->object.is_upkeep_due);
    if (pthread_mutex_trylock(&session->mutex) == 0) {
        writer_settle(writer);
        session_unlock(session);
    }
}

static void warm_one(struct shmframe_writer *writer, struct writer_ring *ring, int64_t now_ns) {
    if (now_ns < ring->warm_ns)
        return;
    if (ring->core.warm >= warm_target(writer, ring) || warm_slots(ring, ring->core.warm + 1) < 0)
        ring->warm_ns = 0;
}

static void attend(struct shmframe_writer *writer, int64_t now_ns) {
    const struct writer_ring *ring = writer->ring;
    if (ring_writer_has_notice(&ring->core) || ring->core.links_over ||
        writer->object.is_upkeep_due || session_upkeep_is_due(writer->object.session, now_ns) ||
        atomic_load_explicit(&writer->object.has_mail, memory_order_relaxed))
        look_after(writer, now_ns);
    if (writer->ring->warm_ns)
        warm_one(writer, writer->ring, now_ns);
}

/* Sleeps once for the reader of `link`, without the writer's mutex. */
static int sleep_for(struct shmframe_writer *writer, struct ring_link *link, int64_t deadline_ns) {
    struct writer_ring *ring = writer->ring;
    const struct bell_others others = {.notice = ring->core.notice,
                                       .notice_seen = ring->core.notice_seen,
                                       .interrupt = &writer->object.session->interrupt};
    struct futex_word words[3];
    ring->sleepers++;
    link->sleepers++;
    const uint32_t count = bell_arm_space(&ring->core, link, &others, words);
    unlock(writer);
    int code = count ? bell_sleep(words, count, deadline_ns) : 0;
    lock(writer);
    ring->sleepers--;
    if (--link->sleepers == 0)
        bell_disarm_space(link);
    return code;
}

static int await_space(struct shmframe_writer *writer, int64_t deadline_ns) {
    int code = 0;
    for (;;) {
        ring_writer_refresh(&writer->ring->core);
        struct ring_link *link = ring_writer_behind(&writer->ring->core);
        if (!link)
            return 0;
        const int64_t now_ns = clock_now_ns();
        if (session_is_interrupted(writer->object.session) || code == -EINTR)
            return -EINTR;
        if (now_ns >= deadline_ns)
            return deadline_ns == SHMFRAME_NOW ? -EAGAIN : -ETIMEDOUT;
        code = sleep_for(writer, link, deadline_ns);
        attend(writer, clock_now_ns());
    }
}

static int refuse_no_slot(const struct shmframe_writer *writer) {
    return error_set(-ENOSPC,
                     "stream '%s' has no slot free: its %u slots are on loan, pinned, in the "
                     "history or read",
                     writer->stream, writer->ring->core.slots);
}

static int check_may_lend(struct shmframe_writer *writer) {
    if (writer->is_ended)
        return -ENODATA;
    if (writer->is_lost)
        return error_set(-ESTALE, "stream '%s' is lost: %s", writer->stream, writer->lost_text);
    if (writer->ring->out >= writer->loans)
        return error_set(-EBUSY,
                         "stream '%s' has %u slots on loan or pinned, as many as were asked for",
                         writer->stream, writer->ring->out);
    return 0;
}

static int take_slot(struct shmframe_writer *writer, int64_t deadline_ns, uint32_t *out_slot) {
    int code = check_may_lend(writer);
    if (code == 0 && writer->ring->core.lossless) {
        code = await_space(writer, deadline_ns);
        if (code == 0) /* other threads went on meanwhile */
            code = check_may_lend(writer);
    }
    struct writer_ring *ring = writer->ring;
    uint32_t slot;
    if (code == 0 && ring_loan(&ring->core, &slot) < 0)
        code = refuse_no_slot(writer);
    if (code < 0)
        return code;
    if (slot >= ring->core.warm) {
        writer->counters.loans_cold++;
        code = warm_slots(ring, slot + 1);
        if (code < 0) {
            ring_abandon(&ring->core, slot);
            return code;
        }
    }
    *out_slot = slot;
    return 0;
}

static void fill_loan(const struct writer_ring *ring, uint32_t slot, int64_t now_ns,
                      struct shmframe_loan *out_loan) {
    const struct shmframe_format *format = &ring->format;
    out_loan->data = (uint8_t *)ring->region.base + slot_offset(ring, slot);
    out_loan->format = format;
    out_loan->slot = slot;
    out_loan->ring = ring->id;
    struct shmframe_frame *frame = &out_loan->frame;
    frame->sequence = 0;
    frame->capture_ns = frame->loan_ns = now_ns;
    frame->publish_ns = 0;
    frame->pts = SHMFRAME_NO_PTS;
    frame->duration = 0;
    frame->bytes = format_bytes_max(format);
    frame->samples = format->kind == SHMFRAME_AUDIO ? format->audio.samples_max : 0;
    frame->flags = frame->device_dropped = 0;
}

int shmframe_writer_loan(struct shmframe_writer *writer, int64_t deadline_ns,
                         struct shmframe_loan *out_loan) {
    lock(writer);
    int64_t now_ns = clock_now_ns();
    attend(writer, now_ns);
    const bool may_wait = writer->ring->core.lossless;
    uint32_t slot = 0;
    int code = take_slot(writer, deadline_ns, &slot);
    if (code == 0) {
        if (may_wait)
            now_ns = clock_now_ns();
        fill_loan(writer->ring, slot, now_ns, out_loan);
        writer->ring->out++; /* it has no pins: those keep a slot from being lent */
    } else if (code == -EAGAIN || code == -ETIMEDOUT || code == -ENOSPC || code == -EBUSY) {
        writer->counters.loans_refused++;
    }
    unlock(writer);
    return code;
}

/* ---- publish ---- */

static struct writer_ring *find_ring(struct shmframe_writer *writer, uint32_t id) {
    struct writer_ring *ring = writer->ring;
    while (ring && ring->id != id)
        ring = ring->next;
    return ring;
}

static struct writer_ring *find_loan(struct shmframe_writer *writer,
                                     const struct shmframe_loan *loan) {
    struct writer_ring *ring = find_ring(writer, loan->ring);
    const bool is_loaned =
        ring && loan->slot < ring->core.slots && ring_set_has(&ring->core.loaned, loan->slot);
    return is_loaned ? ring : NULL;
}

static void end_loan(struct writer_ring *ring, uint32_t slot) {
    ring_abandon(&ring->core, slot);
    ring->out -= ring->pins[slot] == 0;
}

static bool is_closed(const struct writer_ring *ring) {
    /* Relaxed: only we write it. */
    return atomic_load_explicit(&ring->core.ring->state, memory_order_relaxed) != RING_OPEN;
}

static int refuse_not_loaned(const struct shmframe_writer *writer, const char *what) {
    return error_set(-EINVAL, "stream '%s': what is to be %s is not on loan", writer->stream, what);
}

/* `ring` is of the first. */
static int check_batch(const struct shmframe_writer *writer, const struct writer_ring *ring,
                       const struct shmframe_loan *loans, uint32_t count) {
    const struct shmframe_format *format = &ring->format;
    for (uint32_t i = 0; i < count; i++) {
        if (loans[i].ring != ring->id || loans[i].slot >= ring->core.slots ||
            !ring_set_has(&ring->core.loaned, loans[i].slot))
            return refuse_not_loaned(writer, "published");
        for (uint32_t j = 0; j < i; j++)
            if (loans[j].slot == loans[i].slot)
                return refuse_not_loaned(writer, "published twice");
        if (format->kind == SHMFRAME_AUDIO ? loans[i].frame.samples > format->audio.samples_max
                                           : loans[i].frame.bytes > format_bytes_max(format))
            return error_set(
                -EINVAL, "stream '%s': a frame of %u %s does not fit its slot", writer->stream,
                format->kind == SHMFRAME_AUDIO ? loans[i].frame.samples : loans[i].frame.bytes,
                format->kind == SHMFRAME_AUDIO ? "samples" : "bytes");
    }
    return 0;
}

static int give_back_stale(struct shmframe_writer *writer, struct writer_ring *ring,
                           const struct shmframe_loan *loans, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        end_loan(ring, loans[i].slot);
    return error_set(-ESTALE, "stream '%s': the loan's ring was closed by a later one",
                     writer->stream);
}

/* The first frame of a ring says that nothing follows in older ones. */
static void close_older(struct writer_ring *ring) {
    for (struct writer_ring *older = ring->next; older; older = older->next)
        if (!is_closed(older))
            ring_end(&older->core, RING_CLOSED);
}

static void put_all(struct shmframe_writer *writer, struct writer_ring *ring,
                    struct shmframe_loan *loans, uint32_t count) {
    const int64_t now_ns = clock_now_ns();
    for (uint32_t i = 0; i < count; i++) {
        loans[i].frame.publish_ns = now_ns;
        ring_put(&ring->core, loans[i].slot, &loans[i].frame);
        ring->out -= ring->pins[loans[i].slot] == 0;
        writer->counters.published++;
        writer->counters.device_dropped += loans[i].frame.device_dropped;
    }
}

int shmframe_writer_publish_batch(struct shmframe_writer *writer, struct shmframe_loan *loans,
                                  uint32_t count) {
    if (count == 0)
        return 0;
    lock(writer);
    struct writer_ring *ring = find_loan(writer, &loans[0]);
    int code =
        ring ? check_batch(writer, ring, loans, count) : refuse_not_loaned(writer, "published");
    if (code == 0) {
        if (is_closed(ring)) {
            code = give_back_stale(writer, ring, loans, count);
        } else {
            if (ring->core.first == 0)
                close_older(ring);
            put_all(writer, ring, loans, count);
            ring_announce(&ring->core);
        }
    }
    unlock(writer);
    return code;
}

int shmframe_writer_publish(struct shmframe_writer *writer, struct shmframe_loan *loan) {
    return shmframe_writer_publish_batch(writer, loan, 1);
}

int shmframe_writer_abandon(struct shmframe_writer *writer, struct shmframe_loan *loan) {
    lock(writer);
    struct writer_ring *ring = find_loan(writer, loan);
    if (ring) {
        end_loan(ring, loan->slot);
        writer->counters.abandoned++;
    }
    unlock(writer);
    return ring ? 0 : refuse_not_loaned(writer, "abandoned");
}

int shmframe_writer_pin(struct shmframe_writer *writer, const struct shmframe_loan *loan) {
    lock(writer);
    struct writer_ring *ring = find_loan(writer, loan);
    if (ring && ring->pins[loan->slot] == UINT16_MAX)
        ring = NULL;
    if (ring && ring->pins[loan->slot]++ == 0)
        ring_set_add(&ring->core.pinned, loan->slot);
    unlock(writer);
    return ring ? 0 : refuse_not_loaned(writer, "pinned");
}

int shmframe_writer_unpin(struct shmframe_writer *writer, uint32_t ring_id, uint32_t slot) {
    lock(writer);
    struct writer_ring *ring = find_ring(writer, ring_id);
    if (ring && (slot >= ring->core.slots || ring->pins[slot] == 0))
        ring = NULL;
    if (ring && --ring->pins[slot] == 0) {
        ring_set_remove(&ring->core.pinned, slot);
        ring->out -= !ring_set_has(&ring->core.loaned, slot);
    }
    unlock(writer);
    return ring ? 0
                : error_set(-EINVAL, "stream '%s': slot %u is not pinned", writer->stream, slot);
}

/* ---- end ---- */

static bool has_loans(const struct writer_ring *ring) {
    for (; ring; ring = ring->next)
        for (unsigned i = 0; i < RING_SLOTS_MAX / 64; i++)
            if (ring->core.loaned.word[i])
                return true;
    return false;
}

static void end_rings(struct shmframe_writer *writer) {
    close_older(writer->ring);
    ring_end(&writer->ring->core, RING_ENDED);
    session_lock(writer->object.session);
    writer->is_ended = true;
    leave(writer, MESSAGE_ENDED);
    session_unlock(writer->object.session);
}

int shmframe_writer_end(struct shmframe_writer *writer) {
    lock(writer);
    int code = 0;
    if (!writer->is_ended && has_loans(writer->ring))
        code = error_set(-EBUSY, "stream '%s' has slots on loan: publish or abandon them first",
                         writer->stream);
    else if (!writer->is_ended)
        end_rings(writer);
    unlock(writer);
    return code;
}

void shmframe_writer_close(struct shmframe_writer *writer) {
    if (!writer)
        return;
    lock(writer);
    if (!writer->is_ended)
        end_rings(writer);
    unlock(writer);
    destroy(writer);
}

/* ---- around the loan ---- */

void shmframe_loan_stamp(struct shmframe_loan *loan, unsigned stage) {
    if (stage >= SHMFRAME_STAGES)
        return;
    struct shmframe_frame *frame = &loan->frame;
    if (!(frame->flags & SHMFRAME_HAS_STAGES))
        memset(frame->stage_ns, 0, sizeof(frame->stage_ns));
    frame->flags |= SHMFRAME_HAS_STAGES;
    frame->stage_ns[stage] = clock_now_ns();
}

void shmframe_loan_carry(struct shmframe_loan *loan, const struct shmframe_lease *lease) {
    enum { OWN = SHMFRAME_HAS_ORIGIN };
    const struct shmframe_frame *from = &lease->frame;
    struct shmframe_frame *to = &loan->frame;
    to->capture_ns = from->capture_ns;
    to->pts = from->pts;
    to->duration = from->duration;
    to->flags = from->flags | OWN;
    to->device_dropped = from->device_dropped;
    if (from->flags & SHMFRAME_HAS_STAGES)
        memcpy(to->stage_ns, from->stage_ns, sizeof(to->stage_ns));
    if (from->flags & SHMFRAME_HAS_USER)
        memcpy(to->user, from->user, sizeof(to->user));
    if (from->flags & SHMFRAME_HAS_ORIGIN) {
        to->origin = from->origin;
    } else {
        to->origin =
            (struct shmframe_origin){.sequence = from->sequence, .capture_ns = from->capture_ns};
        message_put_text(to->origin.stream, sizeof(to->origin.stream), lease->stream);
    }
}

uint8_t *shmframe_loan_plane(const struct shmframe_loan *loan, unsigned plane) {
    return plane < loan->format->plane_count ? loan->data + loan->format->plane[plane].offset
                                             : NULL;
}

int shmframe_writer_wait_readers(struct shmframe_writer *writer, uint32_t readers,
                                 int64_t deadline_ns) {
    int code = 0;
    while (code == 0 && shmframe_writer_readers(writer) < readers) {
        session_lock(writer->object.session);
        code = session_await(writer->object.session, deadline_ns);
        session_unlock(writer->object.session);
        lock(writer);
        attend(writer, clock_now_ns());
        unlock(writer);
    }
    return code;
}

void shmframe_writer_counters(struct shmframe_writer *writer,
                              struct shmframe_writer_counters *out_counters) {
    lock(writer);
    *out_counters = writer->counters;
    for (const struct writer_ring *ring = writer->ring; ring; ring = ring->next)
        out_counters->bells_rung += ring->core.rings;
    out_counters->slots_used = writer->ring->core.warm;
    unlock(writer);
}
