#include "picture_measures.h"

#include "changes.h"
#include "comparison.h"
#include "component.h"
#include "level_reader.h"
#include "picture_tally.h"
#include "scaler.h"
#include "spell.h"
#include "stretch.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>

/* One side's way from what lies in the slot to what can be read. */
struct side {
    struct shmframe_format format;
    struct scaler *scaler; /* NULL: pictures are read in place */
    bool is_copying;       /* pictures are copied before they are read */
};

struct picture_measures {
    struct picture_settings settings;
    struct side side[2];
    struct comparison *comparison; /* NULL: no reference */
    struct level_reader *levels;
    struct changes changes;
    struct picture_history *history; /* NULL: not wanted */
    void *buffer[2];                 /* for rows */
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
    int result = measures->events ? level_reader_create(&measures->levels) : -ENOMEM;
    for (int i = 0; i < 2 && result == 0; i++) {
        measures->buffer[i] = malloc(COMPONENT_ROW_BYTES);
        result = measures->buffer[i] ? 0 : -ENOMEM;
    }
    if (result == 0 && settings->has_history) {
        measures->history = picture_history_create();
        result = measures->history ? 0 : -ENOMEM;
    }
    if (result == 0 && settings->pairing.stream[PAIRING_REFERENCE])
        result = comparison_create(&settings->pairing, settings->measures & PICTURE_PSNR,
                                   settings->measures & PICTURE_SSIM, &measures->comparison);
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
    comparison_destroy(measures->comparison);
    level_reader_destroy(measures->levels);
    changes_reset(&measures->changes);
    picture_history_destroy(measures->history);
    for (int i = 0; i < 2; i++)
        free(measures->buffer[i]);
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
    to->format = *format;
    if (measures->comparison)
        comparison_set_times(measures->comparison, side, format->time_base,
                             format->video.frame_rate);
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

static void end_spells(struct picture_measures *measures) {
    struct spell *black = &measures->black, *frozen = &measures->frozen;
    tell_spell(measures, black, spell_end(black, measures->next_ns), "black_began", "black_ended");
    tell_spell(measures, frozen, spell_end(frozen, measures->next_ns), "frozen_began",
               "frozen_ended");
}

/* Where a picture stands in time. One that does not go on from the last one ends all spells. */
static void step_time(struct picture_measures *measures, const struct shmframe_frame *stamps) {
    const struct stretch stretch = stretch_of(&measures->side[PAIRING_MAIN].format, stamps);
    const int64_t now_ns = stretch.start_ns;
    if (measures->has_time) {
        if (now_ns < measures->time_ns || stretch_is_jump(measures->next_ns, now_ns) ||
            stamps->flags & SHMFRAME_DISCONTINUITY)
            end_spells(measures);
        else
            measures->newest.span_ns = now_ns - measures->time_ns;
        measures->newest.spans = measures->newest.span_ns > 0;
    }
    measures->has_time = true;
    measures->time_ns = now_ns;
    measures->next_ns = stretch.end_ns;
    measures->sequence = stamps->sequence;
}

/* Measures of one stream */

/* Whether the picture is. */
static bool follow_black(struct picture_measures *measures) {
    if (!(measures->settings.measures & PICTURE_BLACK))
        return false;
    const bool is_black =
        measures->newest.black_share_sum >= measures->settings.black_picture_share;
    const unsigned changes =
        spell_step(&measures->black, is_black, measures->time_ns, measures->sequence);
    tell_spell(measures, &measures->black, changes, "black_began", "black_ended");
    return is_black;
}

static void follow_scene(struct picture_measures *measures, const struct change *change) {
    struct picture_tally *newest = &measures->newest;
    newest->scenes_measured = 1;
    newest->scene_score_sum = newest->scene_score_max = change->score;
    if (change->score < measures->settings.scene_score)
        return;
    newest->scene_cuts = 1;
    tell(measures, "scene_cut",
         json_pack("{s:f, s:I, s:f}", "time_s", seconds(measures->time_ns), "sequence",
                   (json_int_t)measures->sequence, "scene_score", change->score));
}

/* A picture stands still from when it comes until another comes. */
static void follow_frozen(struct picture_measures *measures, const struct change *change) {
    struct spell *frozen = &measures->frozen;
    unsigned changes = 0;
    if (!change->is_still)
        changes = spell_end(frozen, measures->time_ns);
    tell_spell(measures, frozen, changes, "frozen_began", "frozen_ended");
    changes = spell_step(frozen, true, measures->time_ns, measures->sequence);
    tell_spell(measures, frozen, changes, "frozen_began", "frozen_ended");
}

static int follow_changes(struct picture_measures *measures, const AVFrame *readable,
                          const struct components *components, bool *out_is_still) {
    struct change change;
    const int result = changes_step(&measures->changes, readable, components,
                                    measures->settings.frozen_noise, measures->buffer, &change);
    if (result < 0)
        return result;
    measures->newest.copied += change.is_copied;
    if (change.is_known)
        follow_scene(measures, &change);
    follow_frozen(measures, &change);
    *out_is_still = change.is_still;
    return 0;
}

static void add_tally(struct picture_measures *measures, const struct picture_tally *tally) {
    picture_tally_add(&measures->newest, tally);
    picture_tally_add(&measures->interval, tally);
    picture_tally_add(&measures->total, tally);
}

static bool is_copied(const struct side *side) {
    return side->is_copying && !side->scaler;
}

static int measure(struct picture_measures *measures, const AVFrame *picture,
                   const AVFrame *readable, const struct shmframe_frame *stamps) {
    const struct picture_settings *settings = &measures->settings;
    measures->newest = (struct picture_tally){
        .pictures = 1,
        .converted = measures->side[PAIRING_MAIN].scaler != NULL,
        .copied = is_copied(&measures->side[PAIRING_MAIN]),
    };
    step_time(measures, stamps);
    struct components components;
    components_read(readable, &components);
    if (settings->measures & (PICTURE_LEVELS | PICTURE_BLACK))
        level_reader_read(measures->levels, &components, settings->black_pixel_level,
                          !(settings->measures & PICTURE_LEVELS), &measures->newest);
    const bool is_black = follow_black(measures);
    bool is_still = false;
    int result = 0;
    if (settings->measures & PICTURE_CHANGES)
        result = follow_changes(measures, readable, &components, &is_still);
    if (settings->measures & PICTURE_CHECKSUMS)
        checksums_read(picture, &measures->newest.checksums);
    if (measures->history) {
        picture_history_add(measures->history, &measures->newest, is_black, is_still);
        scope_add(&measures->history->scope, readable, &components);
    }
    const struct picture_tally tally = measures->newest;
    measures->newest = (struct picture_tally){0};
    add_tally(measures, &tally);
    return result;
}

static int compare(struct picture_measures *measures, enum pairing_side side,
                   const AVFrame *readable, const struct shmframe_frame *stamps) {
    struct picture_tally tally = {0};
    const int result = comparison_add(measures->comparison, side, readable, stamps, &tally);
    tally.copied += side == PAIRING_REFERENCE && is_copied(&measures->side[side]);
    add_tally(measures, &tally);
    if (measures->history && tally.likeness.pairs)
        picture_history_add_pair(measures->history, &tally.likeness);
    return result;
}

/* A picture that can be read, which is the caller's. */
static int make_readable(struct side *side, const AVFrame *picture, AVFrame **out_readable) {
    if (side->scaler)
        return scaler_run(side->scaler, picture, out_readable);
    *out_readable = av_frame_clone(picture);
    if (*out_readable && side->is_copying && av_frame_make_writable(*out_readable) < 0)
        av_frame_free(out_readable);
    return *out_readable ? 0 : -ENOMEM;
}

int picture_measures_add(struct picture_measures *measures, enum pairing_side side,
                         const AVFrame *picture, const struct shmframe_frame *stamps) {
    AVFrame *readable;
    int result = make_readable(&measures->side[side], picture, &readable);
    if (result < 0)
        return result;
    if (side == PAIRING_MAIN)
        result = measure(measures, picture, readable, stamps);
    if (result == 0 && measures->comparison)
        result = compare(measures, side, readable, stamps);
    av_frame_free(&readable);
    return result;
}

enum pairing_room picture_measures_find_room(const struct picture_measures *measures,
                                             enum pairing_side side) {
    return measures->comparison ? comparison_find_room(measures->comparison, side)
                                : PAIRING_HAS_ROOM;
}

bool picture_measures_is_waiting(const struct picture_measures *measures) {
    return measures->comparison && comparison_is_waiting(measures->comparison, PAIRING_MAIN);
}

int picture_measures_let_go(struct picture_measures *measures, enum pairing_side side) {
    measures->side[side].is_copying = true;
    int result = side == PAIRING_MAIN ? changes_let_go(&measures->changes) : 0;
    if (result == 0 && measures->comparison)
        result = comparison_let_go(measures->comparison, side);
    return result;
}

uint32_t picture_measures_leases(const struct picture_settings *settings, enum pairing_side side,
                                 bool has_reference) {
    /* The one that is measured, the one before it, and those that wait. */
    const uint32_t waiting = has_reference ? settings->pairing.held_max : 0;
    return 1 + (side == PAIRING_MAIN) + waiting;
}

void picture_measures_end(struct picture_measures *measures, enum pairing_side side) {
    if (measures->comparison) {
        struct picture_tally tally = {0};
        comparison_end(measures->comparison, side, &tally);
        add_tally(measures, &tally);
    }
    if (side == PAIRING_MAIN) {
        end_spells(measures);
        changes_reset(&measures->changes);
    }
}

/* Reports */

static void report(const struct picture_measures *measures, const struct picture_tally *tally,
                   json_t *object) {
    picture_tally_report(tally, measures->comparison != NULL, measures->settings.histogram_bins,
                         object);
}

void picture_measures_report_picture(const struct picture_measures *measures, json_t *object) {
    report(measures, &measures->newest, object);
}

void picture_measures_report_interval(struct picture_measures *measures, json_t *object) {
    report(measures, &measures->interval, object);
    json_object_set_new(object, "is_black", json_boolean(measures->black.is_long));
    json_object_set_new(object, "is_frozen", json_boolean(measures->frozen.is_long));
    measures->interval = (struct picture_tally){0};
}

static void report_spells(const struct spell *spell, const char *name, json_t *object) {
    char key[32];
    snprintf(key, sizeof(key), "%s_s", name);
    json_object_set_new(object, key, json_real(seconds(spell_total_ns(spell))));
    snprintf(key, sizeof(key), "%s_spells", name);
    json_object_set_new(object, key, json_integer((json_int_t)spell->spells));
}

void picture_measures_report_total(const struct picture_measures *measures, json_t *object) {
    report(measures, &measures->total, object);
    if (measures->total.pictures == 0)
        return; /* what is not known is not zero */
    if (measures->settings.measures & PICTURE_BLACK)
        report_spells(&measures->black, "black", object);
    if (measures->settings.measures & PICTURE_CHANGES)
        report_spells(&measures->frozen, "frozen", object);
}

const struct picture_history *picture_measures_history(const struct picture_measures *measures) {
    return measures->history;
}

const char *const *picture_measures_names(void) {
    static const char *const names[] = {
        "black_pixel_share",
        "black_s",
        "black_spells",
        "blue_above_share",
        "blue_below_share",
        "blue_max",
        "blue_mean",
        "blue_min",
        "cb_above_share",
        "cb_below_share",
        "cb_max",
        "cb_mean",
        "cb_min",
        "cr_above_share",
        "cr_below_share",
        "cr_max",
        "cr_mean",
        "cr_min",
        "frozen_s",
        "frozen_spells",
        "green_above_share",
        "green_below_share",
        "green_max",
        "green_mean",
        "green_min",
        "luma_above_share",
        "luma_below_share",
        "luma_max",
        "luma_mean",
        "luma_min",
        "pairs",
        "pairs_converted",
        "pairs_equal",
        "picture_rate_hz",
        "pictures",
        "pictures_converted",
        "pictures_copied",
        "psnr_avg_db",
        "psnr_b_db",
        "psnr_g_db",
        "psnr_min_db",
        "psnr_r_db",
        "psnr_u_db",
        "psnr_v_db",
        "psnr_y_db",
        "red_above_share",
        "red_below_share",
        "red_max",
        "red_mean",
        "red_min",
        "scene_cuts",
        "scene_rate_hz",
        "scene_score_max",
        "scene_score_mean",
        "ssim_all",
        "ssim_b",
        "ssim_g",
        "ssim_min",
        "ssim_r",
        "ssim_u",
        "ssim_v",
        "ssim_y",
        "unmatched",
        "unmatched_reference",
        NULL,
    };
    return names;
}
