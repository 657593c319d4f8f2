/* A stream in which marks are looked for: a picture, or a sound that is compared with one. */
#ifndef CONSUMERS_LATENCY_MARK_LANE_H
#define CONSUMERS_LATENCY_MARK_LANE_H

#include "burst_finder.h"
#include "mark_finder.h"
#include "measurement.h"

struct mark_lane {
    struct measured *measured;
    uint32_t number;                 /* of the stream in the measurement */
    bool has_format;                 /* finders were made for it, if they could be */
    struct mark_finder *mark_finder; /* of a picture */
    struct burst_finder *burst_finder;
    bool is_wanting;
    uint16_t wanted; /* of a picture: the stream whose marks count */
    int64_t look_ns; /* of a picture: capture of the last one whose mark was read; 0: none */
    struct mark_lane *sound[MEASURED_MAX]; /* of a picture: what is compared with it */
    bool is_paired; /* of a sound: it is of the picture's group, and of one media time with it */
    uint32_t sounds;
};

/* Of m->stream[number]. `source`: the stream whose marks count; NULL: that of the first mark. No
 * memory ends the program.
 */
void mark_lane_init(struct mark_lane *lane, struct measurement *m, uint32_t number, uint32_t kind,
                    const char *source);
void mark_lane_finish(struct mark_lane *lane);

/* What is heard in `sound` is compared with what is seen in `picture`. `is_paired`: they are of one
 * group. */
void mark_lane_compare(struct mark_lane *sound, struct mark_lane *picture, bool is_paired);

void mark_lane_take(struct mark_lane *lane, const struct shmframe_lease *lease);
/* No more frames come: what waited for more is told. */
void mark_lane_end(struct mark_lane *lane);

#endif
