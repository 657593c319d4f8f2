#include "analysis.h"

#include "consumer.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <shmframe/avframe.h>
#include <string.h>

enum { FORMAT_BYTES = 128 };
static const int64_t back_ns = INT64_C(500000000); /* further, and the times begin anew */

static struct source *source_of(const struct analysis *analysis, enum pairing_side side) {
    const uint32_t index = side == PAIRING_MAIN ? analysis->source : analysis->reference;
    return &analysis->sources->source[index];
}

static bool has_reference(const struct analysis *analysis) {
    return analysis->reference != analysis->source;
}

const char *analysis_stream(const struct analysis *analysis) {
    return source_of(analysis, PAIRING_MAIN)->stream;
}

static void create_measures(struct analysis *analysis) {
    const struct analysis_settings *settings = analysis->settings;
    struct picture_settings picture = settings->picture;
    picture.pairing.stream[PAIRING_MAIN] = analysis_stream(analysis);
    picture.pairing.stream[PAIRING_REFERENCE] =
        has_reference(analysis) ? source_of(analysis, PAIRING_REFERENCE)->stream : NULL;
    const int result = analysis->kind == SHMFRAME_AUDIO
                           ? sound_measures_create(&settings->sound, &analysis->sound)
                           : picture_measures_create(&picture, &analysis->picture);
    if (result < 0)
        program_fail("%s cannot be measured: %s", analysis_stream(analysis), strerror(-result));
}

static void destroy_measures(struct analysis *analysis) {
    sound_measures_destroy(analysis->sound);
    picture_measures_destroy(analysis->picture);
    analysis->sound = NULL;
    analysis->picture = NULL;
}

/* Returns the index of the new source; -1: asked to stop. */
static int add_source(struct sources *sources, const char *stream, uint32_t leases) {
    struct shmframe_reader_params params = consumer_reader_params(stream);
    if (params.depth == 0)
        params.depth = leases > 1 ? 8 : 32; /* blocks of sound are short, and many */
    if (params.leases == 0)
        params.leases = leases;
    const int index = (int)sources->count;
    return sources_add(sources, &params) ? index : -1;
}

bool analysis_open(struct analysis *analysis, const struct analysis_settings *settings,
                   struct sources *sources, const struct selected_stream *stream) {
    const bool is_picture = stream->kind == SHMFRAME_VIDEO;
    const uint32_t held = settings->picture.pairing.held_max;
    *analysis = (struct analysis){
        .settings = settings, .kind = stream->kind, .sources = sources, .source = sources->count};
    int index = add_source(sources, stream->name, is_picture ? held + 2 : 1);
    if (index >= 0 && is_picture && settings->reference)
        index = add_source(sources, settings->reference, held + 1);
    if (index < 0)
        return false;
    analysis->reference = (uint32_t)index;
    create_measures(analysis);
    return true;
}

void analysis_close(struct analysis *analysis) {
    destroy_measures(analysis);
}

/* What is told. */

static json_t *make_object(const struct analysis *analysis, const char *key, const char *value) {
    json_t *object = json_object();
    json_object_set_new(object, key, json_string(value));
    json_object_set_new(object, "stream", json_string(analysis_stream(analysis)));
    return object;
}

static void tell(const struct analysis *analysis, json_t *object) {
    analysis->settings->tell(analysis->settings->user, object);
}

static void set_seconds(json_t *object, const char *name, int64_t ns) {
    json_object_set_new(object, name, json_real((double)ns / 1e9));
}

static void set_count(json_t *object, const char *name, uint64_t count) {
    json_object_set_new(object, name, json_integer((json_int_t)count));
}

static void set_format(json_t *object, const struct analysis *analysis) {
    char text[FORMAT_BYTES] = "";
    if (analysis->format[PAIRING_MAIN].slot_bytes)
        shmframe_format_describe(&analysis->format[PAIRING_MAIN], text, sizeof(text));
    json_object_set_new(object, "format", json_string(text));
}

static void add_counters(json_t *object, const struct shmframe_reader_counters *now,
                         const struct shmframe_reader_counters *before) {
    set_count(object, "lost_frames",
              now->lost_late + now->lost_restart - before->lost_late - before->lost_restart);
    set_count(object, "skipped_frames", now->skipped - before->skipped);
    set_count(object, "device_dropped_frames", now->device_dropped - before->device_dropped);
}

static void tell_interval(struct analysis *analysis) {
    const struct shmframe_reader_counters now = source_counters(source_of(analysis, PAIRING_MAIN));
    json_t *object = make_object(analysis, "span", "interval");
    json_object_set_new(object, "kind", json_string(analysis->sound ? "audio" : "video"));
    set_seconds(object, "start_s", analysis->interval_start_ns);
    set_seconds(object, "duration_s", analysis->end_ns - analysis->interval_start_ns);
    set_count(object, "frames", analysis->interval_frames);
    add_counters(object, &now, &analysis->told);
    if (analysis->sound)
        sound_measures_report_interval(analysis->sound, object);
    else
        picture_measures_report_interval(analysis->picture, object);
    analysis->told = now;
    analysis->interval_frames = 0;
    tell(analysis, object);
}

static void tell_events(struct analysis *analysis) {
    json_t *event;
    while ((event = analysis->sound ? sound_measures_next_event(analysis->sound)
                                    : picture_measures_next_event(analysis->picture))) {
        json_object_set_new(event, "stream", json_string(analysis_stream(analysis)));
        tell(analysis, event);
    }
}

json_t *analysis_make_total(struct analysis *analysis) {
    const struct shmframe_reader_counters now = source_counters(source_of(analysis, PAIRING_MAIN));
    json_t *object = make_object(analysis, "span", "total");
    json_object_set_new(object, "kind", json_string(analysis->sound ? "audio" : "video"));
    set_format(object, analysis);
    set_seconds(object, "start_s", analysis->start_ns);
    set_seconds(object, "duration_s",
                analysis->earlier_ns + analysis->end_ns - analysis->part_start_ns);
    set_count(object, "frames", analysis->frames);
    add_counters(object, &now, &analysis->counted);
    if (analysis->sound)
        sound_measures_report_total(analysis->sound, object);
    else
        picture_measures_report_total(analysis->picture, object);
    return object;
}

/* Frames. */

/* When the frame begins and ends, in the stream's own time. */
struct stretch {
    int64_t start_ns, end_ns;
};

static struct stretch find_stretch(const struct shmframe_lease *lease) {
    static const AVRational ns_unit = {1, 1000000000};
    const struct shmframe_format *format = lease->format;
    const struct shmframe_frame *frame = &lease->frame;
    const AVRational unit = {format->time_base.num, format->time_base.den};
    int64_t length_ns = av_rescale_q(frame->duration, unit, ns_unit);
    if (format->kind == SHMFRAME_AUDIO)
        length_ns = av_rescale(frame->samples, ns_unit.den, format->audio.sample_rate);
    else if (length_ns <= 0 && format->video.frame_rate.num > 0)
        length_ns =
            av_rescale(ns_unit.den, format->video.frame_rate.den, format->video.frame_rate.num);
    const int64_t start_ns =
        frame->pts == SHMFRAME_NO_PTS ? frame->capture_ns : av_rescale_q(frame->pts, unit, ns_unit);
    return (struct stretch){start_ns, start_ns + (length_ns > 0 ? length_ns : 0)};
}

static void begin_at(struct analysis *analysis, int64_t start_ns) {
    if (!analysis->has_begun)
        analysis->start_ns = analysis->part_start_ns = start_ns;
    analysis->interval_start_ns = start_ns;
    analysis->has_begun = true;
}

/* Ends the interval, if the frame that comes lies beyond it. */
static void look_at_time(struct analysis *analysis, const struct stretch *stretch) {
    const int64_t interval_ns = analysis->settings->interval_ns;
    if (!analysis->has_begun) {
        begin_at(analysis, stretch->start_ns);
    } else if (stretch->start_ns < analysis->end_ns - back_ns) {
        if (interval_ns > 0)
            tell_interval(analysis);
        analysis->earlier_ns += analysis->end_ns - analysis->part_start_ns;
        analysis->part_start_ns = analysis->end_ns = stretch->start_ns;
        begin_at(analysis, stretch->start_ns);
    } else if (interval_ns > 0 && stretch->start_ns >= analysis->interval_start_ns + interval_ns) {
        const int64_t next_ns = analysis->interval_start_ns + interval_ns;
        tell_interval(analysis);
        begin_at(analysis, stretch->start_ns < next_ns + interval_ns ? next_ns : stretch->start_ns);
    }
}

static void begin_format(struct analysis *analysis, enum pairing_side side) {
    const struct shmframe_format *format = &analysis->format[side];
    const int result = analysis->sound
                           ? sound_measures_set_format(analysis->sound, &format->audio)
                           : picture_measures_set_format(analysis->picture, side, format);
    if (result == 0)
        return;
    char text[FORMAT_BYTES];
    shmframe_format_describe(format, text, sizeof(text));
    program_fail("%s cannot be measured: %s (%s)", source_of(analysis, side)->stream, text,
                 result == -ENOTSUP ? "that format is not known here" : strerror(-result));
}

/* Returns whether the lease is the first of its format. */
static bool look_at_format(struct analysis *analysis, enum pairing_side side,
                           const struct shmframe_lease *lease) {
    struct shmframe_format *format = &analysis->format[side];
    if (format->slot_bytes && !(lease->flags & SHMFRAME_LEASE_NEW_FORMAT))
        return false;
    *format = *lease->format;
    begin_format(analysis, side);
    return true;
}

/* What happened before the frame, as events. */
static void tell_changes(struct analysis *analysis, const struct shmframe_lease *lease,
                         int64_t now_ns, bool is_new_format) {
    const bool is_first = analysis->frames == 0;
    json_t *event;
    if (lease->flags & SHMFRAME_LEASE_RESTARTED && !is_first) {
        event = make_object(analysis, "event", "restarted");
        set_seconds(event, "time_s", now_ns);
        tell(analysis, event);
    }
    if (is_new_format) {
        event = make_object(analysis, "event", "format");
        set_seconds(event, "time_s", now_ns);
        set_format(event, analysis);
        tell(analysis, event);
    }
    if (lease->lost || lease->frame.device_dropped) {
        event = make_object(analysis, "event", "lost");
        set_seconds(event, "time_s", now_ns);
        set_count(event, "lost_frames", lease->lost);
        set_count(event, "device_dropped_frames", lease->frame.device_dropped);
        tell(analysis, event);
    }
}

static int measure_picture(struct analysis *analysis, enum pairing_side side,
                           struct shmframe_lease *lease) {
    const struct shmframe_frame stamps = lease->frame;
    AVFrame *picture;
    int result = shmframe_avframe_from_lease(lease, &picture);
    if (result < 0) {
        shmframe_reader_release(source_of(analysis, side)->reader, lease);
        return result;
    }
    result = picture_measures_add(analysis->picture, side, picture, &stamps);
    av_frame_free(&picture);
    return result;
}

static int measure_sound(struct analysis *analysis, struct shmframe_lease *lease,
                         int64_t start_ns) {
    const bool is_broken = lease->lost || lease->skipped || lease->frame.device_dropped ||
                           lease->frame.flags & SHMFRAME_DISCONTINUITY;
    if (is_broken)
        sound_measures_break(analysis->sound);
    const int result = sound_measures_add(analysis->sound, lease, start_ns);
    shmframe_reader_release(source_of(analysis, PAIRING_MAIN)->reader, lease);
    return result;
}

static void measure(struct analysis *analysis, enum pairing_side side,
                    struct shmframe_lease *lease) {
    const struct stretch stretch = find_stretch(lease);
    int result;
    if (side == PAIRING_REFERENCE) {
        look_at_format(analysis, side, lease);
        result = measure_picture(analysis, side, lease);
    } else {
        look_at_time(analysis, &stretch);
        const bool is_new_format = look_at_format(analysis, side, lease);
        tell_changes(analysis, lease, stretch.start_ns, is_new_format);
        result = analysis->sound ? measure_sound(analysis, lease, stretch.start_ns)
                                 : measure_picture(analysis, side, lease);
        analysis->frames++;
        analysis->interval_frames++;
        if (stretch.end_ns > analysis->end_ns || analysis->frames == 1)
            analysis->end_ns = stretch.end_ns;
    }
    if (result < 0)
        program_fail("%s cannot be measured any more: %s", source_of(analysis, side)->stream,
                     strerror(-result));
    tell_events(analysis);
}

/* Whether a frame of that side would be welcome. A writer that can be kept waiting is: then no
 * picture has to be copied to wait for its partner. */
static bool wants(const struct analysis *analysis, enum pairing_side side) {
    const bool can_wait = source_of(analysis, side)->params.policy == SHMFRAME_LOSSLESS;
    return !has_reference(analysis) || !can_wait || picture_measures_wants(analysis->picture, side);
}

static void end_side(struct analysis *analysis, enum pairing_side side) {
    if (analysis->is_over[side])
        return;
    analysis->is_over[side] = true;
    if (analysis->sound)
        sound_measures_end(analysis->sound);
    else
        picture_measures_end(analysis->picture, side);
    tell_events(analysis);
}

static void take_from(struct analysis *analysis, enum pairing_side side, uint64_t frames_max) {
    struct source *source = source_of(analysis, side);
    struct shmframe_lease lease;
    while ((frames_max == 0 || analysis->frames < frames_max) && wants(analysis, side) &&
           source_take(source, &lease))
        measure(analysis, side, &lease);
    if (!source_is_flowing(source))
        end_side(analysis, side);
}

static void pause_unless_wanted(struct analysis *analysis, enum pairing_side side) {
    const uint32_t index = side == PAIRING_MAIN ? analysis->source : analysis->reference;
    const uint64_t bit = UINT64_C(1) << index;
    if (wants(analysis, side))
        analysis->sources->paused &= ~bit;
    else
        analysis->sources->paused |= bit;
}

void analysis_take(struct analysis *analysis, uint64_t ready, uint64_t frames_max) {
    if (ready & UINT64_C(1) << analysis->source)
        take_from(analysis, PAIRING_MAIN, frames_max);
    if (!has_reference(analysis))
        return;
    if (ready & UINT64_C(1) << analysis->reference)
        take_from(analysis, PAIRING_REFERENCE, frames_max);
    pause_unless_wanted(analysis, PAIRING_MAIN);
    pause_unless_wanted(analysis, PAIRING_REFERENCE);
}

void analysis_reset(struct analysis *analysis) {
    destroy_measures(analysis);
    create_measures(analysis);
    analysis->counted = source_counters(source_of(analysis, PAIRING_MAIN));
    analysis->told = analysis->counted;
    analysis->has_begun = false;
    analysis->earlier_ns = 0;
    analysis->frames = analysis->interval_frames = 0;
    for (int side = PAIRING_MAIN; side <= PAIRING_REFERENCE; side++) {
        if (analysis->format[side].slot_bytes)
            begin_format(analysis, side);
        if (!analysis->is_over[side])
            continue;
        analysis->is_over[side] = false;
        end_side(analysis, side);
    }
}

void analysis_end(struct analysis *analysis) {
    end_side(analysis, PAIRING_MAIN);
    if (has_reference(analysis))
        end_side(analysis, PAIRING_REFERENCE);
    if (analysis->interval_frames && analysis->settings->interval_ns > 0)
        tell_interval(analysis);
}
