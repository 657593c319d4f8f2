/* What is measured of a stream's pictures, alone and beside a second stream.
 *
 *   picture_measures_create()
 *     picture_measures_set_format()       before the first picture of each side, and when it
 * changes picture_measures_add()              each picture, in the order of its stream
 *     picture_measures_report_interval()  whenever an interval is over
 *     picture_measures_next_event()       until there is none
 *   picture_measures_end()                the stream is over
 *   picture_measures_report_total()
 *   picture_measures_destroy()
 *
 * Leases: a reference to the newest picture is kept until the next one comes, and one to each that
 * waits for its partner, `held_max` at most; what else has to be kept is copied, and counted. Open
 * the reader of a stream with picture_measures_leases(), or let go.
 *
 * Time is pts where the picture has one, capture_ns otherwise. Threads: one.
 */
#ifndef CONSUMERS_PICTURE_MEASURES_H
#define CONSUMERS_PICTURE_MEASURES_H

#include "pairing.h"
#include "picture_history.h"

#include <jansson.h>
#include <libavutil/frame.h>
#include <shmframe/format.h>
#include <shmframe/frame.h>

/* What can be left out. */
enum picture_measure {
    PICTURE_LEVELS = 1 << 0,    /* range, mean and histogram of luma and chroma */
    PICTURE_BLACK = 1 << 1,     /* spells of black */
    PICTURE_CHANGES = 1 << 2,   /* frozen pictures and scene cuts */
    PICTURE_CHECKSUMS = 1 << 3, /* a checksum of each plane */
    PICTURE_PSNR = 1 << 4,      /* against the reference */
    PICTURE_SSIM = 1 << 5,
    PICTURE_ALL = (1 << 6) - 1,
};

struct picture_settings {
    uint32_t measures;          /* enum picture_measure */
    double black_picture_share; /* of the pixels that must be black for the picture to be */
    double black_pixel_level;   /* up to where in the luma range a pixel is black, 0 to 1 */
    int64_t black_ns;           /* a shorter spell does not count */
    double frozen_noise;        /* mean difference that still is none, 0 to 1 of the range */
    int64_t frozen_ns;          /* a shorter spell does not count */
    double scene_score;         /* from which on a picture begins a scene, 0 to 100 */
    uint32_t histogram_bins;    /* in the reports, 2 to 256; 0: none */
    bool has_history;           /* keep what a chart is painted from */
    struct pairing_settings pairing;
};

/* FFmpeg's defaults where its filters have one. */
extern const struct picture_settings picture_settings_default;

struct picture_measures;

/* How many leases the reader of a side needs, so that nothing has to be copied. */
uint32_t picture_measures_leases(const struct picture_settings *settings, enum pairing_side side,
                                 bool has_reference);

/* Errors: -ENOMEM; -EINVAL a setting out of range. */
int picture_measures_create(const struct picture_settings *settings,
                            struct picture_measures **out_measures);
void picture_measures_destroy(struct picture_measures *measures);

/* Errors: -ENOTSUP pictures of that format can neither be read nor converted; -EINVAL none. */
int picture_measures_set_format(struct picture_measures *measures, enum pairing_side side,
                                const struct shmframe_format *format);

/* Measures a picture; `picture` may be unreferenced afterwards. With a reference, a picture is
 * measured at once, and compared when its partner is there. Errors: -ENOMEM; -ENOTSUP. */
int picture_measures_add(struct picture_measures *measures, enum pairing_side side,
                         const AVFrame *picture, const struct shmframe_frame *stamps);

/* Whether a picture of that side can be added without a copy, and without giving up one that waits.
 * Where the writer can be kept waiting (lossless), rather take from a side for which there is room:
 * there always is for one. */
enum pairing_room picture_measures_find_room(const struct picture_measures *measures,
                                             enum pairing_side side);
/* Whether a picture of the main stream waits whose partner may still come. */
bool picture_measures_is_waiting(const struct picture_measures *measures);

/* No reference to a picture of that side is kept from now on: each is copied, and counted. For
 * readers that have fewer leases, or are to be closed. Errors: -ENOMEM. */
int picture_measures_let_go(struct picture_measures *measures, enum pairing_side side);

/* A side is over: spells of the main stream end, and nobody waits for its pictures any more. */
void picture_measures_end(struct picture_measures *measures, enum pairing_side side);

/* Adds what was measured since the last call, or since the beginning, as flat values. */
void picture_measures_report_interval(struct picture_measures *measures, json_t *object);
void picture_measures_report_total(const struct picture_measures *measures, json_t *object);
/* Adds the values of the newest picture. */
void picture_measures_report_picture(const struct picture_measures *measures, json_t *object);

/* The oldest event that was not taken yet, a reference that is the caller's; NULL: none. "event" is
 * black_began, black_ended, frozen_began, frozen_ended or scene_cut. */
json_t *picture_measures_next_event(struct picture_measures *measures);

/* NULL: none is kept. Good until the measures are destroyed. */
const struct picture_history *picture_measures_history(const struct picture_measures *measures);

/* Names of all numbers that the total can hold, sorted; NULL ends them. */
const char *const *picture_measures_names(void);

#endif
