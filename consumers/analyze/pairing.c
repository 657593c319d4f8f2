#include "pairing.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/avutil.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

static const int64_t NS = 1000000000;

struct mark {
    char stream[SHMFRAME_NAME_BYTES]; /* "": by time */
    int64_t value;                    /* number in that stream; ns */
    bool is_known;
};

struct waiting {
    AVFrame *picture;
    struct mark mark;
    bool is_held; /* a reference, not a copy */
};

/* A ring of pictures, oldest first. */
struct queue {
    struct waiting *waiting;
    uint32_t first, count, held;
    AVRational time_base;
    int64_t frame_ns;   /* 0: not known */
    struct mark newest; /* of all that came */
    bool has_ended;
};

struct pairing {
    struct pairing_settings settings;
    struct queue queue[2];
    int64_t tolerance_ns; /* of the key */
    struct pairing_counters counters;
};

int pairing_create(const struct pairing_settings *settings, struct pairing **out_pairing) {
    if (settings->held_max == 0 || settings->waiting_max < settings->held_max)
        return -EINVAL;
    struct pairing *pairing = calloc(1, sizeof(*pairing));
    if (!pairing)
        return -ENOMEM;
    pairing->settings = *settings;
    pairing->tolerance_ns = settings->key == PAIRING_BY_ORIGIN ? 0 : settings->tolerance_ns;
    for (int side = 0; side < 2; side++) {
        pairing->queue[side].time_base = (AVRational){1, (int)NS};
        pairing->queue[side].waiting = calloc(settings->waiting_max, sizeof(struct waiting));
        if (!pairing->queue[side].waiting) {
            pairing_destroy(pairing);
            return -ENOMEM;
        }
    }
    *out_pairing = pairing;
    return 0;
}

static struct waiting *at(const struct pairing *pairing, enum pairing_side side, uint32_t index) {
    const struct queue *queue = &pairing->queue[side];
    return &queue->waiting[(queue->first + index) % pairing->settings.waiting_max];
}

/* Takes the oldest picture of a side out. */
static AVFrame *shift(struct pairing *pairing, enum pairing_side side) {
    struct queue *queue = &pairing->queue[side];
    struct waiting *oldest = at(pairing, side, 0);
    AVFrame *picture = oldest->picture;
    queue->held -= oldest->is_held;
    *oldest = (struct waiting){0};
    queue->first = (queue->first + 1) % pairing->settings.waiting_max;
    queue->count--;
    return picture;
}

static void give_up(struct pairing *pairing, enum pairing_side side, uint32_t count) {
    for (; count > 0; count--) {
        AVFrame *picture = shift(pairing, side);
        av_frame_free(&picture);
        pairing->counters.unmatched[side]++;
    }
}

void pairing_destroy(struct pairing *pairing) {
    if (!pairing)
        return;
    for (enum pairing_side side = 0; side < 2; side++) {
        if (pairing->queue[side].waiting)
            give_up(pairing, side, pairing->queue[side].count);
        free(pairing->queue[side].waiting);
    }
    free(pairing);
}

void pairing_set_times(struct pairing *pairing, enum pairing_side side,
                       struct shmframe_rational time_base, struct shmframe_rational frame_rate) {
    struct queue *queue = &pairing->queue[side];
    queue->time_base = (AVRational){time_base.num, time_base.den};
    queue->frame_ns = frame_rate.num > 0 && frame_rate.den > 0
                          ? av_rescale(NS, frame_rate.den, frame_rate.num)
                          : 0;
    if (pairing->settings.key != PAIRING_BY_PTS)
        return;
    const int64_t other_ns = pairing->queue[!side].frame_ns;
    int64_t frame_ns = queue->frame_ns;
    if (frame_ns == 0 || (other_ns > 0 && other_ns < frame_ns))
        frame_ns = other_ns;
    /* Containers round pts, and move them all a little where sound begins before 0. */
    pairing->tolerance_ns = pairing->settings.tolerance_ns;
    if ((frame_ns - 1) / 2 > pairing->tolerance_ns)
        pairing->tolerance_ns = (frame_ns - 1) / 2;
}

static struct mark make_mark(const struct pairing *pairing, enum pairing_side side,
                             const struct shmframe_frame *stamps) {
    const bool has_origin = stamps->flags & SHMFRAME_HAS_ORIGIN;
    struct mark mark = {.is_known = true};
    switch (pairing->settings.key) {
    case PAIRING_BY_ORIGIN:
        /* The name comes from the writer: it need not end. */
        snprintf(mark.stream, sizeof(mark.stream), "%.*s", (int)sizeof(mark.stream) - 1,
                 has_origin ? stamps->origin.stream : pairing->settings.stream[side]);
        mark.value = (int64_t)(has_origin ? stamps->origin.sequence : stamps->sequence);
        break;
    case PAIRING_BY_CAPTURE:
        mark.value = has_origin ? stamps->origin.capture_ns : stamps->capture_ns;
        break;
    case PAIRING_BY_PTS:
        mark.is_known = stamps->pts != SHMFRAME_NO_PTS;
        if (mark.is_known)
            mark.value =
                av_rescale_q(stamps->pts, pairing->queue[side].time_base, (AVRational){1, (int)NS});
        break;
    }
    return mark;
}

/* Negative, 0, positive: `a` is earlier than `b`, the same, later; or they cannot be compared,
 * which out_is_comparable tells. */
static int compare(const struct pairing *pairing, const struct mark *a, const struct mark *b,
                   bool *out_is_comparable) {
    *out_is_comparable = a->is_known && b->is_known && strcmp(a->stream, b->stream) == 0;
    if (!*out_is_comparable || a->value == b->value)
        return 0;
    /* Unsigned, since peers' numbers may be of any size. */
    const uint64_t apart = a->value > b->value ? (uint64_t)a->value - (uint64_t)b->value
                                               : (uint64_t)b->value - (uint64_t)a->value;
    if (apart <= (uint64_t)pairing->tolerance_ns)
        return 0;
    return a->value < b->value ? -1 : 1;
}

/* Which of a side's pictures is the partner; -1: none. */
static int find_partner(const struct pairing *pairing, enum pairing_side side,
                        const struct mark *mark) {
    for (uint32_t i = 0; i < pairing->queue[side].count; i++) {
        bool is_comparable;
        if (compare(pairing, &at(pairing, side, i)->mark, mark, &is_comparable) == 0 &&
            is_comparable)
            return (int)i;
    }
    return -1;
}

static bool is_full(const struct pairing *pairing, enum pairing_side side) {
    return pairing->queue[side].held >= pairing->settings.held_max;
}

/* Which side's oldest picture has waited in vain, where both wait for the other to go on: the
 * earlier one's. */
static enum pairing_side find_vain(const struct pairing *pairing, enum pairing_side otherwise) {
    bool is_comparable;
    const int order = compare(pairing, &at(pairing, PAIRING_MAIN, 0)->mark,
                              &at(pairing, PAIRING_REFERENCE, 0)->mark, &is_comparable);
    return !is_comparable || order == 0 ? otherwise : order < 0 ? PAIRING_MAIN : PAIRING_REFERENCE;
}

enum pairing_room pairing_find_room(const struct pairing *pairing, enum pairing_side side) {
    const enum pairing_side other = !side;
    if (!is_full(pairing, side) || pairing->queue[other].has_ended ||
        (is_full(pairing, other) && find_vain(pairing, side) == side))
        return PAIRING_HAS_ROOM;
    return pairing->queue[side].count < pairing->settings.waiting_max ? PAIRING_COPIES
                                                                      : PAIRING_GIVES_UP;
}

/* Both sides are in order: what is behind the other's newest has been passed. */
bool pairing_is_waiting(const struct pairing *pairing, enum pairing_side side) {
    const struct queue *other = &pairing->queue[!side];
    if (other->has_ended)
        return false;
    for (uint32_t i = 0; i < pairing->queue[side].count; i++) {
        bool is_comparable;
        const int order =
            compare(pairing, &at(pairing, side, i)->mark, &other->newest, &is_comparable);
        if (!other->newest.is_known || (is_comparable && order > 0))
            return true;
    }
    return false;
}

int pairing_let_go(struct pairing *pairing, enum pairing_side side) {
    for (uint32_t i = 0; i < pairing->queue[side].count; i++) {
        struct waiting *waiting = at(pairing, side, i);
        if (!waiting->is_held)
            continue;
        if (av_frame_make_writable(waiting->picture) < 0)
            return -ENOMEM;
        pairing->counters.copied++;
    }
    return 0;
}

static AVFrame *copy_picture(const AVFrame *picture) {
    AVFrame *copy = av_frame_clone(picture);
    if (copy && av_frame_make_writable(copy) < 0)
        av_frame_free(&copy);
    return copy;
}

static int keep(struct pairing *pairing, enum pairing_side side, const AVFrame *picture,
                const struct mark *mark) {
    struct queue *queue = &pairing->queue[side];
    if (is_full(pairing, side) && is_full(pairing, !side) && find_vain(pairing, side) == side)
        give_up(pairing, side, 1);
    if (queue->count == pairing->settings.waiting_max)
        give_up(pairing, side, 1);
    const bool is_held = !is_full(pairing, side);
    AVFrame *kept = is_held ? av_frame_clone(picture) : copy_picture(picture);
    if (!kept)
        return -ENOMEM;
    *at(pairing, side, queue->count) =
        (struct waiting){.picture = kept, .mark = *mark, .is_held = is_held};
    queue->count++;
    queue->held += is_held;
    pairing->counters.copied += !is_held;
    return 0;
}

int pairing_add(struct pairing *pairing, enum pairing_side side, const AVFrame *picture,
                const struct shmframe_frame *stamps, AVFrame **out_partner) {
    const enum pairing_side other = !side;
    const struct mark mark = make_mark(pairing, side, stamps);
    pairing->queue[side].newest = mark;
    const int partner = find_partner(pairing, other, &mark);
    if (partner >= 0) {
        give_up(pairing, other, (uint32_t)partner);
        give_up(pairing, side, pairing->queue[side].count);
        pairing->counters.pairs++;
        *out_partner = shift(pairing, other);
        return 1;
    }
    if (pairing->queue[other].has_ended || !mark.is_known) {
        pairing->counters.unmatched[side]++;
        return 0;
    }
    return keep(pairing, side, picture, &mark);
}

void pairing_end(struct pairing *pairing, enum pairing_side side) {
    pairing->queue[side].has_ended = true;
    const enum pairing_side other = !side;
    give_up(pairing, other, pairing->queue[other].count);
}

void pairing_read_counters(const struct pairing *pairing, struct pairing_counters *out_counters) {
    *out_counters = pairing->counters;
}
