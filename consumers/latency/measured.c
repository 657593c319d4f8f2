#include "measured.h"

static void read_hops(const struct measured *measured, struct hops *out_hops) {
    if (measured->reader)
        hops_read(out_hops, measured->reader);
    else
        hops_read_record(out_hops, measured->record);
}

void measured_begin(struct measured *measured) {
    if (measured->record) /* a reader of one's own began with nothing, and its maximum is exact */
        read_hops(measured, &measured->start);
    measured->previous = measured->start;
}

void measured_take_interval(struct measured *measured) {
    static struct hops now;
    read_hops(measured, &now);
    measured->shown = now;
    hops_subtract(&measured->shown, &measured->previous);
    measured->previous = now;
    if (measured->picture)
        marked_picture_take_interval(measured->picture);
    if (measured->sound)
        marked_sound_take_interval(measured->sound);
}

void measured_take_total(struct measured *measured) {
    read_hops(measured, &measured->shown);
    if (measured->record)
        hops_subtract(&measured->shown, &measured->start);
    if (measured->picture)
        marked_picture_take_total(measured->picture);
    if (measured->sound)
        marked_sound_take_total(measured->sound);
}

uint64_t measured_frames(const struct measured *measured) {
    struct shmframe_reader_counters counters;
    if (measured->reader)
        shmframe_reader_counters(measured->reader, &counters);
    else
        shmframe_record_counters(measured->record, &counters);
    return counters.delivered - measured->start.counters.delivered;
}

static const struct spread *find_spread(const struct measured *measured, enum marked_hop hop) {
    const struct marked_picture *picture = measured->picture;
    const struct marked_sound *sound = measured->sound;
    switch (hop) {
    case MARKED_AGE:
        return picture ? &picture->shown.mark_age : NULL;
    case MARKED_SEEN:
        return picture ? &picture->shown.seen : NULL;
    case MARKED_SHOWN_FOR:
        return picture ? &picture->shown.shown_for : NULL;
    case MARKED_HEARD:
        return sound ? &sound->shown.heard : NULL;
    case MARKED_SKEW:
        return sound ? &sound->shown.skew : NULL;
    case MARKED_END:
        break;
    }
    return NULL;
}

const struct shmframe_histogram *measured_hop(const struct measured *measured, unsigned hop) {
    static struct shmframe_histogram sizes;
    if (hop < SHMFRAME_HOPS)
        return &measured->shown.hop[hop];
    const struct spread *spread = find_spread(measured, (enum marked_hop)hop);
    if (!spread)
        return NULL;
    spread_sizes(spread, &sizes);
    return &sizes;
}
