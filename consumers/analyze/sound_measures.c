#include "sound_measures.h"

#include "loudness.h"
#include "silence.h"
#include "sound_levels.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

const struct sound_settings sound_settings_default = {
    .silence_dbfs = -60,
    .silence_ns = INT64_C(2000000000),
};

struct sound_measures {
    struct shmframe_audio_format format;
    struct loudness *loudness; /* NULL before the first format */
    struct silence silence;
    struct sound_levels total, interval, second; /* the second one: for the lowest correlation */
    bool was_silent;                             /* at any moment of the interval */
    double momentary_max_lufs, short_term_max_lufs;
    double correlation_min;        /* NAN: none yet */
    int64_t length_ns, end_ns;     /* of what came; where its last block ends */
    uint64_t converted;            /* blocks */
    struct sound_history *history; /* NULL: not wanted */
    json_t *events;
};

int sound_measures_create(const struct sound_settings *settings,
                          struct sound_measures **out_measures) {
    if (!(settings->silence_dbfs < 0) || settings->silence_ns < 0)
        return -EINVAL;
    struct sound_measures *measures = calloc(1, sizeof(*measures));
    if (!measures)
        return -ENOMEM;
    measures->silence.level = pow(10, settings->silence_dbfs / 20);
    measures->silence.duration_ns = settings->silence_ns;
    measures->momentary_max_lufs = measures->short_term_max_lufs = -HUGE_VAL;
    measures->correlation_min = NAN;
    measures->events = json_array();
    if (settings->has_history)
        measures->history = calloc(1, sizeof(*measures->history));
    if (measures->events && (measures->history || !settings->has_history)) {
        *out_measures = measures;
        return 0;
    }
    sound_measures_destroy(measures);
    return -ENOMEM;
}

void sound_measures_destroy(struct sound_measures *measures) {
    if (!measures)
        return;
    loudness_destroy(measures->loudness);
    json_decref(measures->events);
    free(measures->history);
    free(measures);
}

int sound_measures_set_format(struct sound_measures *measures,
                              const struct shmframe_audio_format *format) {
    const bool is_first = !measures->loudness;
    if (av_get_sample_fmt(format->sample_format) == AV_SAMPLE_FMT_NONE)
        return -ENOTSUP;
    const int result = is_first ? loudness_create(format, &measures->loudness)
                                : loudness_set_format(measures->loudness, format);
    if (result < 0)
        return result;
    measures->format = *format;
    silence_set_rate(&measures->silence, format->sample_rate);
    sound_measures_break(measures);
    if (is_first)
        sound_levels_begin(&measures->total, format, NULL);
    else
        sound_levels_merge(&measures->total, &measures->interval);
    sound_levels_begin(&measures->interval, format, NULL);
    sound_levels_begin(&measures->second, format, NULL);
    if (measures->history)
        sound_history_begin(measures->history, format, measures->interval.pair_left,
                            measures->interval.pair_right);
    return 0;
}

void sound_measures_break(struct sound_measures *measures) {
    sound_levels_break(&measures->interval);
    sound_levels_break(&measures->second);
}

/* A tenth of a second has been added. */
static void end_step(struct sound_measures *measures) {
    const double momentary = loudness_momentary_lufs(measures->loudness);
    const double short_term = loudness_short_term_lufs(measures->loudness);
    measures->momentary_max_lufs = fmax(measures->momentary_max_lufs, momentary);
    measures->short_term_max_lufs = fmax(measures->short_term_max_lufs, short_term);
    if (!measures->history)
        return;
    curve_add(&measures->history->momentary, (float)momentary);
    curve_add(&measures->history->short_term, (float)short_term);
    curve_add(&measures->history->integrated, (float)loudness_integrated_lufs(measures->loudness));
}

static void end_second(struct sound_measures *measures) {
    const double correlation = sound_levels_correlation(&measures->second);
    measures->correlation_min = fmin(measures->correlation_min, correlation); /* NAN is passed by */
    sound_levels_begin(&measures->second, &measures->format, &measures->second);
}

static void add_event(struct sound_measures *measures, const struct silence_change *change) {
    json_t *event = json_object();
    const bool has_ended = change->event == SILENCE_ENDED;
    json_object_set_new(event, "event", json_string(has_ended ? "silence_ended" : "silence_began"));
    json_object_set_new(event, "begin_s", json_real((double)change->begin_ns / 1e9));
    if (has_ended) {
        json_object_set_new(event, "end_s", json_real((double)change->end_ns / 1e9));
        json_object_set_new(event, "duration_s", json_real((double)change->length_ns / 1e9));
    }
    json_array_append_new(measures->events, event);
}

static void look_for_silence(struct sound_measures *measures, const struct sound_block *block,
                             int64_t start_ns) {
    uint32_t index = 0;
    measures->was_silent = measures->was_silent || measures->silence.is_silent;
    while (index < block->samples) {
        const struct silence_change change =
            silence_advance(&measures->silence, block, start_ns, &index);
        if (change.event != SILENCE_NONE)
            add_event(measures, &change);
        measures->was_silent = measures->was_silent || change.event == SILENCE_BEGAN;
    }
}

/* Adds samples that do not reach over the end of a loudness step. */
static int add_part(struct sound_measures *measures, const struct sound_block *block) {
    const uint64_t not_finite = measures->interval.not_finite;
    sound_levels_add(&measures->interval, block);
    sound_levels_add(&measures->second, block);
    if (measures->second.samples >= measures->format.sample_rate)
        end_second(measures);
    if (measures->history)
        sound_history_add(measures->history, block);
    const uint32_t until_step = loudness_until_step(measures->loudness);
    const int result =
        loudness_add(measures->loudness, block, measures->interval.not_finite == not_finite);
    if (result == 0 && block->samples == until_step)
        end_step(measures);
    return result;
}

int sound_measures_add(struct sound_measures *measures, const struct shmframe_lease *lease,
                       int64_t start_ns) {
    struct sound_block block;
    int result = sound_block_from_lease(lease, 0, UINT32_MAX, &block);
    if (result < 0)
        return result;
    look_for_silence(measures, &block, start_ns);
    const uint64_t length_ns = (uint64_t)block.samples * 1000000000 / measures->format.sample_rate;
    measures->length_ns += (int64_t)length_ns;
    measures->end_ns = start_ns + (int64_t)length_ns;
    const uint64_t not_finite = measures->interval.not_finite;
    const bool is_in_place = loudness_reads_in_place(&block);
    uint32_t first = 0;
    while (result == 0 && first < lease->frame.samples) {
        const uint32_t until_step = loudness_until_step(measures->loudness);
        sound_block_from_lease(lease, first, until_step, &block);
        if (block.samples == 0)
            break;
        result = add_part(measures, &block);
        first += block.samples;
    }
    measures->converted += !is_in_place || measures->interval.not_finite != not_finite;
    return result;
}

void sound_measures_end(struct sound_measures *measures) {
    sound_measures_break(measures);
    const struct silence_change change = silence_end(&measures->silence, measures->end_ns);
    if (change.event != SILENCE_NONE)
        add_event(measures, &change);
}

/* Reports. */

/* A level: null is minus infinity, and nothing else. */
static void set_level(json_t *object, const char *name, double value) {
    json_object_set_new(object, name,
                        isfinite(value)      ? json_real(value)
                        : value == -HUGE_VAL ? json_null()
                                             : json_string("not finite"));
}

static void set_number(json_t *object, const char *name, double value) {
    json_object_set_new(object, name, isfinite(value) ? json_real(value) : json_null());
}

static void set_count(json_t *object, const char *name, uint64_t value) {
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static double to_db(double magnitude) {
    return 20 * log10(magnitude);
}

static void report_levels(const struct sound_measures *measures, const struct sound_levels *levels,
                          bool is_total, json_t *object) {
    double true_peak_dbtp = -HUGE_VAL;
    json_t *channels = json_array();
    for (uint32_t c = 0; c < levels->channels; c++) {
        const double peak_dbtp = is_total ? loudness_true_peak_dbtp(measures->loudness, c)
                                          : loudness_interval_true_peak_dbtp(measures->loudness, c);
        true_peak_dbtp = fmax(true_peak_dbtp, peak_dbtp);
        json_t *channel = json_object();
        json_object_set_new(channel, "name", json_string(levels->channel[c].name));
        set_level(channel, "sample_peak_dbfs", to_db(levels->channel[c].peak));
        set_level(channel, "true_peak_dbtp", peak_dbtp);
        set_level(channel, "rms_dbfs", to_db(sound_levels_channel_rms(levels, c)));
        set_number(channel, "dc_offset", sound_levels_channel_dc_offset(levels, c));
        set_count(channel, "clips", levels->channel[c].clips);
        json_array_append_new(channels, channel);
    }
    set_level(object, "true_peak_dbtp", true_peak_dbtp);
    set_level(object, "sample_peak_dbfs", to_db(sound_levels_peak(levels)));
    set_level(object, "rms_dbfs", to_db(sound_levels_rms(levels)));
    set_number(object, "dc_offset", sound_levels_dc_offset(levels));
    set_count(object, "clips", sound_levels_clips(levels));
    set_count(object, "full_scale_samples", sound_levels_at_full_scale(levels));
    set_count(object, "not_finite_samples", levels->not_finite);
    set_number(object, "correlation", sound_levels_correlation(levels));
    json_object_set_new(object, "channels", channels);
}

void sound_measures_report_interval(struct sound_measures *measures, json_t *object) {
    if (!measures->loudness)
        return;
    set_level(object, "momentary_lufs", loudness_momentary_lufs(measures->loudness));
    set_level(object, "short_term_lufs", loudness_short_term_lufs(measures->loudness));
    set_level(object, "integrated_lufs", loudness_integrated_lufs(measures->loudness));
    set_number(object, "loudness_range_lu", loudness_range_lu(measures->loudness));
    json_object_set_new(object, "is_silent", json_boolean(measures->was_silent));
    report_levels(measures, &measures->interval, false, object);
    sound_levels_merge(&measures->total, &measures->interval);
    sound_levels_begin(&measures->interval, &measures->format, &measures->interval);
    loudness_begin_interval(measures->loudness);
    measures->was_silent = false;
}

void sound_measures_report_total(struct sound_measures *measures, json_t *object) {
    if (!measures->loudness)
        return;
    struct sound_levels all = measures->total;
    sound_levels_merge(&all, &measures->interval);
    set_level(object, "integrated_lufs", loudness_integrated_lufs(measures->loudness));
    set_number(object, "loudness_range_lu", loudness_range_lu(measures->loudness));
    set_level(object, "momentary_max_lufs", measures->momentary_max_lufs);
    set_level(object, "short_term_max_lufs", measures->short_term_max_lufs);
    report_levels(measures, &all, true, object);
    const double second = sound_levels_correlation(&measures->second);
    const double lowest = fmin(measures->correlation_min, second);
    /* What is less than a second counts only where there is nothing else. */
    set_number(object, "correlation_min",
               isnan(measures->correlation_min) ? lowest : measures->correlation_min);
    set_count(object, "silence_spells", measures->silence.count);
    set_number(object, "silence_s", (double)silence_total_ns(&measures->silence) / 1e9);
    set_number(object, "sound_s", (double)measures->length_ns / 1e9);
    set_count(object, "converted_blocks", measures->converted);
}

json_t *sound_measures_next_event(struct sound_measures *measures) {
    json_t *event = json_incref(json_array_get(measures->events, 0));
    json_array_remove(measures->events, 0);
    return event;
}

const char *const *sound_measures_names(void) {
    static const char *const names[] = {
        "clips",
        "converted_blocks",
        "correlation",
        "correlation_min",
        "dc_offset",
        "full_scale_samples",
        "integrated_lufs",
        "loudness_range_lu",
        "momentary_max_lufs",
        "not_finite_samples",
        "rms_dbfs",
        "sample_peak_dbfs",
        "short_term_max_lufs",
        "silence_s",
        "silence_spells",
        "sound_s",
        "true_peak_dbtp",
        NULL,
    };
    return names;
}

const struct sound_history *sound_measures_history(const struct sound_measures *measures) {
    return measures->history && measures->loudness ? measures->history : NULL;
}
