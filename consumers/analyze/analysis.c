#include "analysis.h"

#include "consumer.h"
#include "stretch.h"

#include <errno.h>
#include <shmframe/avframe.h>
#include <string.h>

enum { FORMAT_BYTES = 128 };
static const int64_t back_ns = INT64_C(500000000); /* further, and the times begin anew */
/* How long the last pictures wait for a reference that brings nothing. */
static const int64_t partner_ns = INT64_C(2000000000);

static uint32_t index_of(const struct analysis *analysis, enum pairing_side side) {
    return side == PAIRING_MAIN ? analysis->source : analysis->reference;
}

static struct source *source_of(const struct analysis *analysis, enum pairing_side side) {
    return &analysis->sources->source[index_of(analysis, side)];
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
    const struct picture_settings *picture = &settings->picture;
    const bool has_partner = is_picture && settings->reference;
    *analysis = (struct analysis){
        .settings = settings, .kind = stream->kind, .sources = sources, .source = sources->count};
    pace_begin(&analysis->pace);
    int index =
        add_source(sources, stream->name,
                   is_picture ? picture_measures_leases(picture, PAIRING_MAIN, has_partner) : 1);
    if (index >= 0 && has_partner)
        index = add_source(sources, settings->reference,
                           picture_measures_leases(picture, PAIRING_REFERENCE, true));
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

static void count_losses(struct analysis_losses *losses, const struct shmframe_lease *lease) {
    losses->lost += lease->lost;
    losses->skipped += lease->skipped;
    losses->device_dropped += lease->frame.device_dropped;
}

static void add_losses(json_t *object, const struct analysis_losses *losses) {
    set_count(object, "lost_frames", losses->lost);
    set_count(object, "skipped_frames", losses->skipped);
    set_count(object, "device_dropped_frames", losses->device_dropped);
}

static void tell_interval(struct analysis *analysis) {
    json_t *object = make_object(analysis, "span", "interval");
    json_object_set_new(object, "kind", json_string(analysis->sound ? "audio" : "video"));
    set_seconds(object, "start_s", analysis->interval_start_ns);
    set_seconds(object, "duration_s", analysis->end_ns - analysis->interval_start_ns);
    set_count(object, "frames", analysis->interval_frames);
    add_losses(object, &analysis->losses);
    if (analysis->sound)
        sound_measures_report_interval(analysis->sound, object);
    else
        picture_measures_report_interval(analysis->picture, object);
    analysis->losses = (struct analysis_losses){0};
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
    const struct shmframe_reader_counters *before = &analysis->counted;
    const struct analysis_losses losses = {
        .lost = now.lost_late + now.lost_restart - before->lost_late - before->lost_restart,
        .skipped = now.skipped - before->skipped,
        .device_dropped = now.device_dropped - before->device_dropped,
    };
    json_t *object = make_object(analysis, "span", "total");
    json_object_set_new(object, "kind", json_string(analysis->sound ? "audio" : "video"));
    set_format(object, analysis);
    set_seconds(object, "start_s", analysis->start_ns);
    set_seconds(object, "duration_s",
                stretch_add_ns(analysis->earlier_ns, analysis->end_ns - analysis->part_start_ns));
    set_count(object, "frames", analysis->frames);
    add_losses(object, &losses);
    if (analysis->sound)
        sound_measures_report_total(analysis->sound, object);
    else
        picture_measures_report_total(analysis->picture, object);
    return object;
}

/* Frames. */

static void begin_at(struct analysis *analysis, int64_t start_ns) {
    if (!analysis->has_begun)
        analysis->start_ns = analysis->part_start_ns = analysis->end_ns = start_ns;
    analysis->interval_start_ns = start_ns;
    analysis->has_begun = true;
}

/* Ends the interval, if the frame that comes lies beyond it, or is of another format. */
static void look_at_time(struct analysis *analysis, const struct stretch *stretch,
                         bool is_new_format) {
    const int64_t interval_ns = analysis->settings->interval_ns, start_ns = stretch->start_ns;
    const bool has_interval = interval_ns > 0 && analysis->interval_frames;
    if (!analysis->has_begun) {
        begin_at(analysis, start_ns);
    } else if (start_ns < analysis->end_ns - back_ns ||
               stretch_is_jump(analysis->end_ns, start_ns)) {
        if (has_interval)
            tell_interval(analysis);
        analysis->earlier_ns =
            stretch_add_ns(analysis->earlier_ns, analysis->end_ns - analysis->part_start_ns);
        analysis->part_start_ns = analysis->end_ns = start_ns;
        begin_at(analysis, start_ns);
    } else if (interval_ns > 0 && start_ns - analysis->interval_start_ns >= interval_ns) {
        const int64_t next_ns = analysis->interval_start_ns + interval_ns;
        tell_interval(analysis);
        begin_at(analysis, start_ns - next_ns < interval_ns ? next_ns : start_ns);
    } else if (is_new_format && has_interval) {
        tell_interval(analysis);
        begin_at(analysis, start_ns);
    }
}

static bool is_new(const struct analysis *analysis, enum pairing_side side,
                   const struct shmframe_lease *lease) {
    return !analysis->format[side].slot_bytes || lease->flags & SHMFRAME_LEASE_NEW_FORMAT;
}

static int begin_format(struct analysis *analysis, enum pairing_side side,
                        const struct shmframe_format *format) {
    analysis->format[side] = *format;
    return analysis->sound ? sound_measures_set_format(analysis->sound, &format->audio)
                           : picture_measures_set_format(analysis->picture, side, format);
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
    if (result < 0)
        return result;
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
    return sound_measures_add(analysis->sound, lease, start_ns);
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

/* The others go on without it. */
static void give_up(struct analysis *analysis, enum pairing_side side, const char *why) {
    struct source *source = source_of(analysis, side);
    snprintf(source->trouble, sizeof(source->trouble), "%s", why);
    if (analysis->picture)
        picture_measures_let_go(analysis->picture, side);
    end_side(analysis, side);
    source_close(source); /* its writer need not wait for it */
}

static void measure_main(struct analysis *analysis, struct shmframe_lease *lease, int *result) {
    const struct stretch stretch = stretch_of(lease->format, &lease->frame);
    const bool is_new_format = is_new(analysis, PAIRING_MAIN, lease);
    look_at_time(analysis, &stretch, is_new_format);
    if (is_new_format)
        *result = begin_format(analysis, PAIRING_MAIN, lease->format);
    tell_changes(analysis, lease, stretch.start_ns, is_new_format);
    count_losses(&analysis->losses, lease);
    if (*result < 0)
        return;
    *result = analysis->sound ? measure_sound(analysis, lease, stretch.start_ns)
                              : measure_picture(analysis, PAIRING_MAIN, lease);
    analysis->frames++;
    analysis->interval_frames++;
    if (stretch.end_ns > analysis->end_ns || analysis->frames == 1)
        analysis->end_ns = stretch.end_ns;
}

static void measure(struct analysis *analysis, enum pairing_side side,
                    struct shmframe_lease *lease) {
    struct shmframe_reader *reader = source_of(analysis, side)->reader;
    int result = 0;
    if (side == PAIRING_MAIN) {
        measure_main(analysis, lease, &result);
    } else {
        if (is_new(analysis, side, lease))
            result = begin_format(analysis, side, lease->format);
        if (result == 0)
            result = measure_picture(analysis, side, lease);
    }
    if (lease->data)
        shmframe_reader_release(reader, lease);
    if (result < 0) {
        char text[FORMAT_BYTES], why[2 * FORMAT_BYTES];
        shmframe_format_describe(&analysis->format[side], text, sizeof(text));
        snprintf(why, sizeof(why), "%s cannot be measured%s%s", text,
                 result == -ENOTSUP ? "" : ": ", result == -ENOTSUP ? "" : strerror(-result));
        give_up(analysis, side, why);
    }
    tell_events(analysis);
}

/* Which frames to take. */

static bool is_complete(const struct analysis *analysis) {
    return analysis->frames_max && analysis->frames >= analysis->frames_max;
}

/* Whether a frame of that side would be welcome. A writer that can be kept waiting is: then no
 * picture has to be copied to wait for its partner. */
static bool wants(struct analysis *analysis, enum pairing_side side) {
    if (side == PAIRING_MAIN && is_complete(analysis))
        return false;
    if (!has_reference(analysis) || is_complete(analysis) ||
        source_of(analysis, side)->params.policy != SHMFRAME_LOSSLESS)
        return true;
    return pace_allows(&analysis->pace, side, picture_measures_find_room(analysis->picture, side),
                       shmframe_now_ns());
}

static uint32_t leases_of(const struct analysis *analysis, enum pairing_side side) {
    return picture_measures_leases(&analysis->settings->picture, side, has_reference(analysis));
}

/* Fewer leases were asked for, or granted, than keeping references to pictures takes. */
static void look_at_leases(struct analysis *analysis, enum pairing_side side) {
    if (!analysis->picture || analysis->is_copying[side] ||
        source_of(analysis, side)->params.leases >= leases_of(analysis, side))
        return;
    analysis->is_copying[side] = true;
    if (picture_measures_let_go(analysis->picture, side) < 0)
        give_up(analysis, side, strerror(ENOMEM));
}

static void take_from(struct analysis *analysis, enum pairing_side side) {
    struct source *source = source_of(analysis, side);
    struct shmframe_lease lease;
    look_at_leases(analysis, side);
    if (source_is_flowing(source) && wants(analysis, side) && source_take(source, &lease)) {
        analysis->came_ns = shmframe_now_ns();
        pace_step(&analysis->pace, side, analysis->came_ns);
        measure(analysis, side, &lease);
    }
    if (!source_is_flowing(source))
        end_side(analysis, side);
}

static void pause_unless_wanted(struct analysis *analysis, enum pairing_side side) {
    const uint64_t bit = UINT64_C(1) << index_of(analysis, side);
    if (wants(analysis, side))
        analysis->sources->paused &= ~bit;
    else
        analysis->sources->paused |= bit;
}

void analysis_take(struct analysis *analysis, uint64_t ready) {
    const int sides = has_reference(analysis) ? 2 : 1;
    for (enum pairing_side side = 0; (int)side < sides; side++)
        if (ready & UINT64_C(1) << index_of(analysis, side))
            take_from(analysis, side);
    for (enum pairing_side side = 0; (int)side < sides; side++)
        pause_unless_wanted(analysis, side);
}

int64_t analysis_due_ns(const struct analysis *analysis) {
    if (!has_reference(analysis))
        return SHMFRAME_FOREVER;
    if (is_complete(analysis))
        return analysis->came_ns + partner_ns;
    const int64_t due_ns = pace_due_ns(&analysis->pace, shmframe_now_ns());
    return due_ns == INT64_MAX ? SHMFRAME_FOREVER : due_ns;
}

bool analysis_has_enough(const struct analysis *analysis) {
    return is_complete(analysis) &&
           (!has_reference(analysis) || !picture_measures_is_waiting(analysis->picture) ||
            shmframe_now_ns() >= analysis->came_ns + partner_ns);
}

/* New measures know nothing of the format yet, nor of leases. */
static void begin_again(struct analysis *analysis, enum pairing_side side) {
    const struct shmframe_format format = analysis->format[side];
    analysis->is_copying[side] = false;
    if (begin_format(analysis, side, &format) < 0)
        give_up(analysis, side, strerror(ENOMEM));
}

void analysis_reset(struct analysis *analysis) {
    destroy_measures(analysis);
    create_measures(analysis);
    analysis->counted = source_counters(source_of(analysis, PAIRING_MAIN));
    analysis->losses = (struct analysis_losses){0};
    analysis->has_begun = false;
    analysis->start_ns = analysis->part_start_ns = analysis->end_ns = analysis->earlier_ns = 0;
    analysis->frames = analysis->interval_frames = 0;
    for (int side = PAIRING_MAIN; side <= PAIRING_REFERENCE; side++) {
        if (analysis->format[side].slot_bytes && source_of(analysis, side)->trouble[0] == '\0')
            begin_again(analysis, side);
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
