#include "picture_measures.h"

#include "component.h"
#include "picture_tally.h"
#include "scaler.h"
#include "spell.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>

static const int64_t NS = 1000000000;

/* One side's way from what lies in the slot to what can be read. */
struct side {
    AVRational time_base, frame_rate;
    struct scaler *scaler; /* NULL: pictures are read in place */
};

struct picture_measures {
    struct picture_settings settings;
    struct side side[2];
    struct pairing *pairing; /* NULL: no reference */
    struct levels_counter *counter;
    uint8_t *row[COMPONENTS_MAX + 1]; /* buffers for rows */
    struct picture_tally newest, interval, total;
    struct spell black, frozen;
    bool has_time;            /* of a picture */
    int64_t time_ns, next_ns; /* of the newest picture; of the one that should follow */
    uint64_t sequence;
    json_t *events;
};

const struct picture_settings picture_settings_default = {
    .measures = PICTURE_ALL,
    .black_picture_share = 0.98,
    .black_pixel_level = 0.10,
    .black_ns = INT64_C(2000000000),
    .frozen_noise = 0.001,
    .frozen_ns = INT64_C(2000000000),
    .scene_score = 10,
    .pairing = {.tolerance_ns = 1000000, .held_max = 2, .waiting_max = 32},
};

static bool is_share(double value) {
    return value >= 0 && value <= 1;
}

static bool settings_are_valid(const struct picture_settings *settings) {
    return is_share(settings->black_picture_share) && is_share(settings->black_pixel_level) &&
           settings->black_ns >= 0 && is_share(settings->frozen_noise) &&
           settings->frozen_ns >= 0 && settings->scene_score >= 0 && settings->scene_score <= 100 &&
           (settings->histogram_bins == 0 ||
            (settings->histogram_bins >= 2 && settings->histogram_bins <= LEVELS_BINS));
}

int picture_measures_create(const struct picture_settings *settings,
                            struct picture_measures **out_measures) {
    if (!settings_are_valid(settings))
        return -EINVAL;
    struct picture_measures *measures = calloc(1, sizeof(*measures));
    if (!measures)
        return -ENOMEM;
    measures->settings = *settings;
    measures->black.minimum_ns = settings->black_ns;
    measures->frozen.minimum_ns = settings->frozen_ns;
    measures->events = json_array();
    int result = measures->events ? levels_counter_create(&measures->counter) : -ENOMEM;
    for (int i = 0; i <= COMPONENTS_MAX && result == 0; i++) {
        measures->row[i] = malloc(COMPONENT_ROW_BYTES);
        result = measures->row[i] ? 0 : -ENOMEM;
    }
    if (result == 0 && settings->pairing.stream[PAIRING_REFERENCE])
        result = pairing_create(&settings->pairing, &measures->pairing);
    if (result < 0) {
        picture_measures_destroy(measures);
        return result;
    }
    *out_measures = measures;
    return 0;
}

void picture_measures_destroy(struct picture_measures *measures) {
    if (!measures)
        return;
    for (int i = 0; i < 2; i++)
        scaler_destroy(measures->side[i].scaler);
    pairing_destroy(measures->pairing);
    levels_counter_destroy(measures->counter);
    for (int i = 0; i <= COMPONENTS_MAX; i++)
        free(measures->row[i]);
    json_decref(measures->events);
    free(measures);
}

int picture_measures_set_format(struct picture_measures *measures, enum pairing_side side,
                                const struct shmframe_format *format) {
    if (format->kind != SHMFRAME_VIDEO)
        return -EINVAL;
    const enum AVPixelFormat pixel_format = av_get_pix_fmt(format->video.pixel_format);
    const enum AVPixelFormat nearest = components_nearest_format(pixel_format);
    if (nearest == AV_PIX_FMT_NONE)
        return -ENOTSUP;
    struct scaler *scaler = NULL;
    if (nearest != pixel_format) {
        const int result = scaler_create(&(struct scaler_params){.pixel_format = nearest}, &scaler);
        if (result < 0)
            return result;
    }
    struct side *to = &measures->side[side];
    scaler_destroy(to->scaler);
    to->scaler = scaler;
    to->time_base = (AVRational){format->time_base.num, format->time_base.den};
    to->frame_rate = (AVRational){format->video.frame_rate.num, format->video.frame_rate.den};
    if (measures->pairing)
        pairing_set_time_base(measures->pairing, side, format->time_base);
    return 0;
}

/* Events */

static void tell(struct picture_measures *measures, const char *event, json_t *object) {
    json_object_set_new(object, "event", json_string(event));
    json_array_append_new(measures->events, object);
}

static double seconds(int64_t ns) {
    return (double)ns / 1e9;
}

static void tell_spell(struct picture_measures *measures, const struct spell *spell,
                       unsigned changes, const char *began, const char *ended) {
    if (changes & SPELL_BEGAN)
        tell(measures, began,
             json_pack("{s:f, s:I}", "begin_s", seconds(spell->begin_ns), "begin_sequence",
                       (json_int_t)spell->sequence));
    if (changes & SPELL_ENDED)
        tell(measures, ended,
             json_pack("{s:f, s:f, s:f, s:I}", "begin_s", seconds(spell->begin_ns), "end_s",
                       seconds(spell->end_ns), "duration_s",
                       seconds(spell->end_ns - spell->begin_ns), "begin_sequence",
                       (json_int_t)spell->sequence));
}

json_t *picture_measures_next_event(struct picture_measures *measures) {
    json_t *event = json_incref(json_array_get(measures->events, 0));
    json_array_remove(measures->events, 0);
    return event;
}

/* Time */

static int64_t find_time(const struct side *side, const struct shmframe_frame *stamps) {
    if (stamps->pts == SHMFRAME_NO_PTS)
        return stamps->capture_ns;
    return av_rescale_q(stamps->pts, side->time_base, (AVRational){1, (int)NS});
}

static int64_t find_duration(const struct side *side, const struct shmframe_frame *stamps) {
    if (stamps->duration > 0)
        return av_rescale_q(stamps->duration, side->time_base, (AVRational){1, (int)NS});
    if (side->frame_rate.num > 0 && side->frame_rate.den > 0)
        return av_rescale(NS, side->frame_rate.den, side->frame_rate.num);
    return 0;
}

static void end_spells(struct picture_measures *measures) {
    struct spell *black = &measures->black, *frozen = &measures->frozen;
    tell_spell(measures, black, spell_end(black, measures->next_ns), "black_began", "black_ended");
    tell_spell(measures, frozen, spell_end(frozen, measures->next_ns), "frozen_began",
               "frozen_ended");
}

/* Where a picture stands in time. One that does not go on from the last one ends all spells. */
static void step_time(struct picture_measures *measures, const struct shmframe_frame *stamps) {
    const struct side *side = &measures->side[PAIRING_MAIN];
    const int64_t now_ns = find_time(side, stamps);
    if (measures->has_time) {
        if (now_ns < measures->time_ns || stamps->flags & SHMFRAME_DISCONTINUITY)
            end_spells(measures);
        else
            measures->newest.span_ns = now_ns - measures->time_ns;
    }
    measures->has_time = true;
    measures->time_ns = now_ns;
    measures->next_ns = now_ns + find_duration(side, stamps);
    measures->sequence = stamps->sequence;
}

/* Levels and black */

/* As FFmpeg's blackdetect. */
static uint32_t black_limit(const struct picture_measures *measures, int depth, bool is_full) {
    const double factor = (double)(1u << depth) / 256;
    const double level = measures->settings.black_pixel_level;
    return (uint32_t)(is_full ? level * (double)((1u << depth) - 1)
                              : (16 + level * (235 - 16)) * factor);
}

static void read_levels(struct picture_measures *measures, enum picture_color color,
                        const struct component *component, bool is_full) {
    const uint32_t unit = component->depth >= 8 ? 1u << (component->depth - 8) : 1;
    const uint32_t high = color == PICTURE_LUMA ? 235 : 240;
    const uint32_t legal_min = is_full ? 0 : 16 * unit;
    const uint32_t legal_max = is_full ? UINT32_MAX : high * unit;
    if (measures->settings.measures & PICTURE_LEVELS)
        levels_counter_read(measures->counter, legal_min, legal_max,
                            &measures->newest.levels[color]);
    if (color == PICTURE_LUMA && measures->settings.measures & PICTURE_BLACK) {
        const uint64_t black = levels_counter_up_to(
            measures->counter, black_limit(measures, component->depth, is_full));
        measures->newest.black_measured = 1;
        measures->newest.black_share_sum = (double)black / component->width / component->height;
    }
}

static void count_component(struct picture_measures *measures, enum picture_color color,
                            const struct component *component, bool is_full) {
    levels_counter_begin(measures->counter, component->depth);
    for (int y = 0; y < component->height; y++)
        levels_counter_add(measures->counter, component_row(component, y, measures->row[0]),
                           component->width);
    read_levels(measures, color, component, is_full);
}

static void count_rgb_luma(struct picture_measures *measures, const struct components *components) {
    const struct component *red = &components->component[0];
    levels_counter_begin(measures->counter, red->depth);
    for (int y = 0; y < red->height; y++) {
        const void *rows[COMPONENTS_MAX];
        for (int i = 0; i < COMPONENTS_MAX; i++)
            rows[i] = component_row(&components->component[i], y, measures->row[i]);
        component_rgb_luma(rows, measures->row[COMPONENTS_MAX], red->width, red->depth);
        levels_counter_add(measures->counter, measures->row[COMPONENTS_MAX], red->width);
    }
    read_levels(measures, PICTURE_LUMA, red, true);
}

static void measure_levels(struct picture_measures *measures, const struct components *components) {
    if (!(measures->settings.measures & (PICTURE_LEVELS | PICTURE_BLACK)))
        return;
    if (components->is_rgb)
        count_rgb_luma(measures, components);
    const int count =
        measures->settings.measures & PICTURE_LEVELS ? components->count : !components->is_rgb;
    for (int i = 0; i < count; i++)
        count_component(measures, (components->is_rgb ? PICTURE_RED : PICTURE_LUMA) + i,
                        &components->component[i], components->is_full);
}

static void follow_black(struct picture_measures *measures) {
    if (!measures->newest.black_measured)
        return;
    const bool is_black =
        measures->newest.black_share_sum >= measures->settings.black_picture_share;
    const unsigned changes =
        spell_step(&measures->black, is_black, measures->time_ns, measures->sequence);
    tell_spell(measures, &measures->black, changes, "black_began", "black_ended");
}

/* A picture that can be read, which is the caller's. */
static int make_readable(struct side *side, const AVFrame *picture, AVFrame **out_readable) {
    if (side->scaler)
        return scaler_run(side->scaler, picture, out_readable);
    *out_readable = av_frame_clone(picture);
    return *out_readable ? 0 : -ENOMEM;
}

static void measure(struct picture_measures *measures, const AVFrame *readable,
                    const struct shmframe_frame *stamps) {
    measures->newest = (struct picture_tally){
        .pictures = 1,
        .converted = measures->side[PAIRING_MAIN].scaler != NULL,
    };
    step_time(measures, stamps);
    struct components components;
    components_read(readable, &components);
    measure_levels(measures, &components);
    follow_black(measures);
    picture_tally_add(&measures->interval, &measures->newest);
    picture_tally_add(&measures->total, &measures->newest);
}

int picture_measures_add(struct picture_measures *measures, enum pairing_side side,
                         const AVFrame *picture, const struct shmframe_frame *stamps) {
    AVFrame *readable;
    const int result = make_readable(&measures->side[side], picture, &readable);
    if (result < 0)
        return result;
    if (side == PAIRING_MAIN)
        measure(measures, readable, stamps);
    int added = 0;
    if (measures->pairing) {
        AVFrame *partner = NULL;
        added = pairing_add(measures->pairing, side, readable, stamps, &partner);
        av_frame_free(&partner);
    }
    av_frame_free(&readable);
    return added < 0 ? added : 0;
}

bool picture_measures_wants(const struct picture_measures *measures, enum pairing_side side) {
    return !measures->pairing || pairing_wants(measures->pairing, side);
}

void picture_measures_end(struct picture_measures *measures, enum pairing_side side) {
    if (measures->pairing)
        pairing_end(measures->pairing, side);
    if (side == PAIRING_MAIN)
        end_spells(measures);
}

/* Reports */

void picture_measures_report_interval(struct picture_measures *measures, json_t *object) {
    picture_tally_report(&measures->interval, measures->settings.histogram_bins, object);
    json_object_set_new(object, "is_black", json_boolean(measures->black.is_long));
    measures->interval = (struct picture_tally){0};
}

void picture_measures_report_picture(const struct picture_measures *measures, json_t *object) {
    picture_tally_report(&measures->newest, measures->settings.histogram_bins, object);
}

void picture_measures_report_total(struct picture_measures *measures, json_t *object) {
    picture_tally_report(&measures->total, measures->settings.histogram_bins, object);
    json_object_set_new(object, "black_s", json_real(seconds(spell_total_ns(&measures->black))));
    json_object_set_new(object, "black_spells", json_integer((json_int_t)measures->black.spells));
}

const char *const *picture_measures_names(void) {
    static const char *const names[] = {
        "black_pixel_share", "black_s",  "black_spells",       "luma_max",        "luma_mean",
        "luma_min",          "pictures", "pictures_converted", "pictures_copied", NULL,
    };
    return names;
}
