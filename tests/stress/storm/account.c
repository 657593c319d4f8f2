/* Whether each frame is whole, the one that must come, and in its writer's log; and whether each
 * that did not come is told. */
#include "reading.h"

#include <string.h>

/* A whole frame in another one's place is as wrong as half of one. */
bool account_sum(const struct reading *reading, const struct shmframe_lease *lease) {
    struct payload payload;
    memcpy(&payload, lease->data, sizeof(payload));
    const uint32_t bytes = lease->frame.bytes;
    board_count(TOTAL_CHECKS, 1);
    board_count(TOTAL_VERIFIED_BYTES, bytes);
    return payload.stream == reading->role->stream && payload.bytes == bytes &&
           payload.seed == (uint64_t)lease->frame.pts && bytes >= sizeof(payload) &&
           bytes <= lease->format->data.bytes_max && payload_sum(lease->data, bytes) == payload.sum;
}

static bool is_eviction_asked(const struct reading *reading) {
    return atomic_load(&reading->seat->evictions[reading->number]) != reading->evictions;
}

/* A new supervisor waits two seconds for who has come back to say what it had. */
bool account_may_be_evicted(const struct reading *reading) {
    const int64_t since_ns = shmframe_now_ns() - INT64_C(10000000000);
    return is_eviction_asked(reading) ||
           (board_is_disturbed(since_ns) &&
            board_paused_ns(reading->seat, since_ns) > INT64_C(1000000000));
}

/* ---- what is lost ---- */

static bool is_new_ring(const struct shmframe_lease *lease) {
    return lease->flags & (SHMFRAME_LEASE_RESTARTED | SHMFRAME_LEASE_NEW_FORMAT);
}

static void check_loss(const struct reading *reading, const struct shmframe_lease *lease,
                       const struct shmframe_reader_event *event, bool is_disturbed) {
    const unsigned long long sequence = lease->frame.sequence, count = event->count;
    const bool is_late = event->cause == SHMFRAME_LOST_LATE;
    board_count(is_late ? TOTAL_LOST_LATE : TOTAL_LOST_RESTART, count);
    if (is_disturbed)
        board_count(TOTAL_LOST_DISTURBED, count);
    if ((reading->last && event->first <= reading->last) || event->first + count > sequence)
        board_fault("%s: lost %llu frames from %llu on, between %llu and %llu", reading->name,
                    count, (unsigned long long)event->first, (unsigned long long)reading->last,
                    sequence);
    if (!is_late && !is_new_ring(lease)) {
        board_count(TOTAL_MISSED, count);
        board_fault("%s: %llu frames before %llu lost for want of a link, in a ring that went on",
                    reading->name, count, sequence);
    }
    if (!is_late && !is_disturbed)
        board_fault("%s: %llu frames before %llu lost in a restart, with a supervisor there",
                    reading->name, count, sequence);
}

/* Each loss is told of as an event too, with its cause; they add up. */
static uint64_t sum_events(const struct reading *reading, const struct shmframe_lease *lease,
                           bool is_disturbed) {
    uint64_t sum = 0;
    struct shmframe_reader_event event;
    while (shmframe_reader_next_event(reading->reader, &event) == 0) {
        if (event.type != SHMFRAME_LOST)
            continue;
        sum += event.count;
        check_loss(reading, lease, &event, is_disturbed);
    }
    return sum;
}

/* Only who reads the latest frame skips, only who reads in order comes late; who reads without loss
 * may lose frames only where a new ring came while no supervisor could link him to it. */
static void check_policy(const struct reading *reading, const struct shmframe_lease *lease,
                         bool is_disturbed) {
    const uint64_t lost = lease->lost;
    bool is_right = true;
    switch (reading->role->policy) {
    case SHMFRAME_LATEST:
        is_right = lost == 0;
        break;
    case SHMFRAME_IN_ORDER:
        is_right = lease->skipped == 0;
        break;
    case SHMFRAME_LOSSLESS:
        is_right = lease->skipped == 0 && (lost == 0 || (is_new_ring(lease) && is_disturbed) ||
                                           account_may_be_evicted(reading));
        break;
    }
    if (!is_right)
        board_fault("%s: frame %llu: %llu lost, %llu skipped%s%s", reading->name,
                    (unsigned long long)lease->frame.sequence, (unsigned long long)lost,
                    (unsigned long long)lease->skipped, is_new_ring(lease) ? ", new ring" : "",
                    is_disturbed ? ", disturbed" : "");
}

/* ---- which frame it is ---- */

/* The writer has found, or comes to find, that nobody could tell it how far the stream was. */
static bool is_renumbered(const struct reading *reading, uint64_t sequence, uint32_t life) {
    const struct log_frame *line = &reading->stream->log[sequence % LOG_FRAMES];
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(5000000000));
    while ((atomic_load(&line->sequence) != sequence || atomic_load(&line->life) != life) &&
           shmframe_now_ns() < deadline_ns)
        peer_sleep(1000000);
    return atomic_load(&reading->stream->renumbered) == life;
}

static void check_order(const struct reading *reading, const struct shmframe_lease *lease,
                        const struct payload *payload) {
    const unsigned long long sequence = lease->frame.sequence, last = reading->last;
    if (sequence <= last) {
        board_fault("%s: frame %llu comes after frame %llu", reading->name, sequence, last);
        return;
    }
    if (sequence - last != 1 + lease->lost + lease->skipped)
        board_fault("%s: frame %llu after %llu: %llu lost and %llu skipped do not explain it",
                    reading->name, sequence, last, (unsigned long long)lease->lost,
                    (unsigned long long)lease->skipped);
    if (payload->life == reading->life && payload->index - reading->index != sequence - last)
        board_fault("%s: frame %llu is number %llu of its writer, frame %llu was %llu",
                    reading->name, sequence, (unsigned long long)payload->index, last,
                    (unsigned long long)reading->index);
    if ((payload->life != reading->life) != !!(lease->flags & SHMFRAME_LEASE_RESTARTED))
        board_fault("%s: frame %llu of life %u after life %u: flags %x", reading->name, sequence,
                    payload->life, reading->life, lease->flags);
}

/* Unless its writer has not come to writing it down, or has written over it since. Whether a later
 * life may give a number again is for the writer to judge. */
static void check_log(const struct reading *reading, const struct shmframe_lease *lease,
                      const struct payload *payload) {
    const uint64_t sequence = lease->frame.sequence;
    const struct log_frame *line = &reading->stream->log[sequence % LOG_FRAMES];
    if (atomic_load(&line->sequence) != sequence)
        return;
    const uint32_t life = atomic_load(&line->life);
    const uint64_t index = atomic_load(&line->index);
    if (atomic_load(&line->sequence) != sequence || life < payload->life)
        return;
    board_count(TOTAL_LOGGED, 1);
    if (life != payload->life || index != payload->index)
        board_fault("%s: frame %llu is number %llu of life %u, its writer's log says %llu of %u",
                    reading->name, (unsigned long long)sequence, (unsigned long long)payload->index,
                    payload->life, (unsigned long long)index, life);
}

/* What a filter carries, over one filter or two; a filter that comes back may begin with the frame
 * that the former one had last. */
static void check_origin(const struct reading *reading, const struct shmframe_lease *lease,
                         const struct payload *payload) {
    const struct shmframe_frame *frame = &lease->frame;
    const bool is_carried = frame->flags & SHMFRAME_HAS_ORIGIN;
    bool is_right = is_carried == (payload->origin_sequence != 0) &&
                    is_carried == writer_roles[reading->role->stream].is_filter;
    if (is_carried) {
        board_count(TOTAL_CARRIED, 1);
        is_right = is_right && payload->origin_stream < SOURCES &&
                   strcmp(frame->origin.stream, writer_roles[payload->origin_stream].stream) == 0 &&
                   frame->origin.sequence == payload->origin_sequence &&
                   frame->origin.capture_ns == payload->origin_capture_ns &&
                   frame->capture_ns == payload->origin_capture_ns;
    }
    if (!is_right)
        board_fault("%s: frame %llu: origin '%.64s' %llu, made of frame %llu", reading->name,
                    (unsigned long long)frame->sequence, is_carried ? frame->origin.stream : "",
                    (unsigned long long)frame->origin.sequence,
                    (unsigned long long)payload->origin_sequence);
    if (is_carried && reading->last && payload->origin_sequence < reading->origin)
        board_fault("%s: frame %llu is made of frame %llu, the one before of %llu", reading->name,
                    (unsigned long long)frame->sequence,
                    (unsigned long long)payload->origin_sequence,
                    (unsigned long long)reading->origin);
}

void account_frame(struct reading *reading, const struct shmframe_lease *lease,
                   const struct payload *payload) {
    const bool is_disturbed = board_is_disturbed(reading->last_ns);
    const uint64_t told = sum_events(reading, lease, is_disturbed);
    board_count(TOTAL_SKIPPED, lease->skipped);
    if (told != lease->lost)
        board_fault("%s: frame %llu: %llu lost before it, events tell of %llu", reading->name,
                    (unsigned long long)lease->frame.sequence, (unsigned long long)lease->lost,
                    (unsigned long long)told);
    check_policy(reading, lease, is_disturbed);
    check_log(reading, lease, payload);
    check_origin(reading, lease, payload);
    if (lease->frame.sequence <= reading->last &&
        is_renumbered(reading, lease->frame.sequence, payload->life))
        reading->is_account_lost = true; /* its account begins anew with its next reader */
    if (reading->last && !reading->is_account_lost)
        check_order(reading, lease, payload);
    else if (reading->last == 0)
        reading->first = lease->frame.sequence - lease->lost - lease->skipped;
    reading->delivered++;
    reading->lost += lease->lost;
    reading->skipped += lease->skipped;
}

void account_close(const struct reading *reading) {
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reading->reader, &counters);
    const uint64_t lost = counters.lost_late + counters.lost_restart;
    const uint64_t range = reading->last ? reading->last - reading->first + 1 : 0;
    const uint64_t sum = reading->delivered + reading->lost + reading->skipped;
    if (account_may_be_evicted(reading) || reading->is_account_lost)
        return; /* a torn frame is counted by the library alone */
    if (sum != range || counters.delivered != reading->delivered || lost != reading->lost ||
        counters.skipped != reading->skipped)
        board_fault("%s: frames %llu to %llu: %llu delivered, %llu lost, %llu skipped; the library "
                    "has counted %llu, %llu, %llu",
                    reading->name, (unsigned long long)reading->first,
                    (unsigned long long)reading->last, (unsigned long long)reading->delivered,
                    (unsigned long long)reading->lost, (unsigned long long)reading->skipped,
                    (unsigned long long)counters.delivered, (unsigned long long)lost,
                    (unsigned long long)counters.skipped);
}
