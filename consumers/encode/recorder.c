#include "recorder.h"

#include "fault.h"
#include "program.h"
#include "shape.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <string.h>

static const AVRational ns_unit = {1, 1000000000};
static const int64_t begin_ns = 1000000000;     /* a source without a frame is waited for so long */
static const int64_t rest_ns = 1000000000;      /* and so long for what the others have left */
static const int64_t changing_ns = 10000000000; /* more changes in that time make no more files */
enum { PICTURES_WAITING_MAX = 32, CHANGES_MAX = 4 };

static struct source *source_of(const struct recorder *recorder, uint32_t index) {
    return &recorder->params.sources->source[index];
}

/* Pictures go before sounds, whatever came first. */
static void sort_tracks(struct recorder *recorder) {
    static const uint32_t kinds[] = {SHMFRAME_VIDEO, SHMFRAME_AUDIO};
    uint32_t count = 0;
    for (unsigned kind = 0; kind < 2; kind++) {
        for (uint32_t i = 0; i < recorder->tracks; i++) {
            if (recorder->track[i].format.kind != kinds[kind])
                continue;
            recorder->track[i].index = count;
            recorder->order[count++] = i;
        }
    }
}

void recorder_add(struct recorder *recorder, struct source *source) {
    struct track *track = &recorder->track[recorder->tracks++];
    track->stream = source->stream;
    track->recording = recorder->params.recording;
    track->format = *shmframe_reader_format(source->reader);
    track->choice =
        track->format.kind == SHMFRAME_VIDEO ? recorder->params.video : recorder->params.audio;
    track->lent.limit = source->params.leases ? source->params.leases : 1;
    track->limit_ns = recorder->params.duration_ns > 0 ? recorder->params.duration_ns : INT64_MAX;
    sort_tracks(recorder);
}

/* --- Beginning -------------------------------------------------------------------------------- */

static int64_t time_of(const struct recorder *recorder, uint32_t index,
                       const struct recorder_frame *frame) {
    if (recorder->is_other_clock)
        return av_clip64(frame->capture_ns, -STAMPS_MAX_NS, STAMPS_MAX_NS);
    if (!recorder->is_exact_time)
        return frame->is_believed
                   ? frame->capture_ns
                   : frame->publish_ns - recorder->track[index].capture_times.latency_ns;
    if (frame->pts_ns != SHMFRAME_NO_PTS)
        return frame->pts_ns;
    /* It follows the one before it. */
    const struct stamps_place *place = &recorder->track[index].place;
    return place->has_begun ? place->zero_ns + recorder->stamps.skipped_ns + place->end_ns
                            : recorder->stamps.zero_ns;
}

/* Whether the times of producers are to be believed: where nothing is live, and all tell them. */
static bool has_exact_time(const struct recorder *recorder) {
    if (recorder->params.time != RECORDER_TIME_AUTO)
        return recorder->params.time == RECORDER_TIME_PTS;
    for (uint32_t i = 0; i < recorder->tracks; i++) {
        if (source_of(recorder, i)->params.policy != SHMFRAME_LOSSLESS ||
            (recorder->waits[i] && recorder->waiting[i][0].pts_ns == SHMFRAME_NO_PTS))
            return false;
    }
    return true;
}

/* Whether no capture can be: they are of a clock that is not the machine's. */
static bool has_other_clock(const struct recorder *recorder) {
    for (uint32_t i = 0; i < recorder->tracks; i++)
        if (recorder->track[i].capture_times.has_latency)
            return false;
    return true;
}

static enum sound_drift choose_drift(const struct recorder *recorder, const struct track *track) {
    switch (recorder->params.drift) {
    case RECORDER_DRIFT_KEEP:
        return SOUND_KEEP;
    case RECORDER_DRIFT_STRETCH:
        return SOUND_STRETCH;
    case RECORDER_DRIFT_AUTO:
        break;
    }
    return recorder->is_exact_time || codec_is_exact(track->choice) ? SOUND_KEEP : SOUND_STRETCH;
}

/* Encoders for what comes now, and a container that holds it. */
static int open_tracks(struct recorder *recorder) {
    struct recording_stream streams[RECORDING_STREAMS_MAX];
    for (uint32_t i = 0; i < recorder->tracks; i++) {
        struct track *track = &recorder->track[i];
        const int result = track_open(track);
        if (result < 0)
            return result;
        streams[track->index] = track_describe(track);
    }
    return recording_set_streams(recorder->params.recording, streams, recorder->tracks);
}

static int put(struct recorder *recorder, uint32_t index, struct recorder_frame *frame);

static int begin(struct recorder *recorder) {
    recorder->has_begun = true;
    recorder->is_exact_time = has_exact_time(recorder);
    recorder->is_other_clock = !recorder->is_exact_time && has_other_clock(recorder);
    recorder->stamps.is_jumping = recorder->is_exact_time || recorder->is_other_clock;
    if (recorder->is_other_clock)
        program_warn("%s: captures are not of this machine's clock: only how far they are apart "
                     "counts",
                     recorder->track[recorder->order[0]].stream);
    int64_t zero_ns = INT64_MAX;
    for (uint32_t i = 0; i < recorder->tracks; i++) {
        struct track *track = &recorder->track[i];
        track->is_exact_time = recorder->is_exact_time;
        track->drift = choose_drift(recorder, track);
        if (recorder->waits[i] && time_of(recorder, i, &recorder->waiting[i][0]) < zero_ns)
            zero_ns = time_of(recorder, i, &recorder->waiting[i][0]);
    }
    recorder->stamps.zero_ns = zero_ns;
    int result = open_tracks(recorder);
    for (uint32_t i = 0; i < recorder->tracks; i++) {
        for (uint32_t k = 0; k < recorder->waits[i]; k++) {
            if (result >= 0)
                result = put(recorder, i, &recorder->waiting[i][k]);
            av_frame_free(&recorder->waiting[i][k].frame);
        }
        recorder->waits[i] = 0;
    }
    return result;
}

static bool is_full(const struct recorder *recorder, uint32_t index) {
    const bool is_video = recorder->track[index].format.kind == SHMFRAME_VIDEO;
    return recorder->waits[index] >= (is_video ? PICTURES_WAITING_MAX : RECORDER_WAITING_MAX);
}

int recorder_look(struct recorder *recorder) {
    bool is_complete = true, has_any = false, is_due = false;
    if (recorder->has_begun)
        return 0;
    const bool is_exact = has_exact_time(recorder);
    for (uint32_t i = 0; i < recorder->tracks; i++) {
        const bool has_some = recorder->waits[i] > 0;
        const bool has_time =
            has_some && (is_exact || recorder->track[i].capture_times.has_latency);
        has_any = has_any || has_some;
        is_complete = is_complete && (has_time || !source_can_wait(source_of(recorder, i)));
        is_due = is_due || is_full(recorder, i);
    }
    is_due = is_due || shmframe_now_ns() - recorder->first_ns >= begin_ns;
    return has_any && (is_complete || is_due) ? begin(recorder) : 0;
}

/* --- Recording -------------------------------------------------------------------------------- */

/* A file for each would be of use to nobody. */
static void limit_changes(struct recorder *recorder, const struct track *track) {
    const int64_t now_ns = shmframe_now_ns();
    if (now_ns - recorder->changed_ns > changing_ns) {
        recorder->changed_ns = now_ns;
        recorder->changes_now = 0;
    }
    if (++recorder->changes_now <= CHANGES_MAX || recorder->params.is_rescaling)
        return;
    recorder->params.is_rescaling = true;
    program_warn("%s changes its format all the time: what comes is converted to what it has been "
                 "until now, as by --on-change rescale",
                 track->stream);
}

/* Another format: a new file with it, or the same as before of what comes now. */
static int change(struct recorder *recorder, uint32_t index, const struct shmframe_format *format) {
    struct track *track = &recorder->track[index];
    int result = 0;
    recorder->changes++;
    limit_changes(recorder, track);
    if (recorder->params.is_rescaling) {
        track->format = *format;
        return track_open(track);
    }
    for (uint32_t i = 0; i < recorder->tracks && result >= 0; i++)
        result = track_flush(&recorder->track[i]);
    track->format = *format;
    return result < 0 ? result : open_tracks(recorder);
}

/* As many pictures as were asked for, or blocks if there are no pictures: then the others end where
 * they do. */
static void limit_others(struct recorder *recorder) {
    struct track *first = &recorder->track[recorder->order[0]];
    if (!recorder->params.frames || first->counters.encoded < recorder->params.frames)
        return;
    first->is_done = true;
    for (uint32_t i = 0; i < recorder->tracks; i++)
        if (first->place.end_ns < recorder->track[i].limit_ns)
            recorder->track[i].limit_ns = first->place.end_ns;
}

/* All streams go on where the recording is. */
static void skip_pause(struct recorder *recorder, const struct track *track, int64_t time_ns) {
    const struct stamps *stamps = &recorder->stamps;
    const int64_t zero_ns = track->place.has_begun ? track->place.zero_ns : stamps->zero_ns;
    stamps_skip(&recorder->stamps, time_ns - stamps->skipped_ns - zero_ns - stamps->end_ns);
}

/* Writers make mistakes: once it is told. */
static void tell_false(const struct recorder *recorder, struct track *track,
                       const struct recorder_frame *frame) {
    if (frame->is_believed || recorder->is_exact_time || recorder->is_other_clock ||
        track->is_false_told)
        return;
    track->is_false_told = true;
    program_warn("%s: a frame says that it was captured %.3f s %s it was published: such times are "
                 "not believed, and counted",
                 track->stream, fabs((double)frame->capture_ns - (double)frame->publish_ns) / 1e9,
                 frame->capture_ns > frame->publish_ns ? "after" : "before");
}

/* What is written of a frame: nothing behind the limit, whole pictures, and sound up to there. */
static void count_length(struct recorder *recorder, const struct track *track, int64_t time_ns,
                         int64_t duration_ns) {
    int64_t end_ns = time_ns + duration_ns;
    if (track->place.is_doubted || time_ns >= track->limit_ns)
        return;
    if (track->format.kind == SHMFRAME_AUDIO && end_ns > track->limit_ns)
        end_ns = track->limit_ns;
    if (end_ns > recorder->length_ns)
        recorder->length_ns = end_ns;
}

static int put(struct recorder *recorder, uint32_t index, struct recorder_frame *frame) {
    struct track *track = &recorder->track[index];
    const int64_t time_ns = time_of(recorder, index, frame);
    if (recorder->is_paused || track->is_done) {
        track->counters.skipped++;
        av_frame_free(&frame->frame);
        return 0;
    }
    tell_false(recorder, track, frame);
    if (recorder->is_resuming)
        skip_pause(recorder, track, time_ns);
    recorder->is_resuming = false;
    const int64_t duration_ns = track_duration_ns(track, frame->frame);
    const bool is_break = frame->is_break || recorder->is_after_pause[index];
    struct track_frame next = {
        .frame = frame->frame,
        .time_ns = stamps_find(&recorder->stamps, &track->place, time_ns, duration_ns, is_break),
        .lost = frame->lost,
        .is_break = is_break,
    };
    count_length(recorder, track, next.time_ns, duration_ns);
    recorder->is_after_pause[index] = false;
    frame->frame = NULL;
    const int result = track_put(track, &next);
    limit_others(recorder);
    if (track->is_done && !recorder->done_ns)
        recorder->done_ns = shmframe_now_ns();
    return result;
}

static int64_t find_pts_ns(const struct shmframe_lease *lease) {
    const struct shmframe_rational unit = lease->format->time_base;
    if (lease->frame.pts == SHMFRAME_NO_PTS)
        return SHMFRAME_NO_PTS;
    const int64_t pts_ns =
        av_rescale_q(lease->frame.pts, (AVRational){unit.num, unit.den}, ns_unit);
    return pts_ns >= -STAMPS_MAX_NS && pts_ns <= STAMPS_MAX_NS ? pts_ns : SHMFRAME_NO_PTS;
}

/* What a lease says of its frame, which is made of it. */
static int read_lease(struct recorder *recorder, uint32_t index, struct shmframe_lease *lease,
                      struct recorder_frame *out_frame) {
    const struct shmframe_frame *frame = &lease->frame;
    const bool is_published = frame->publish_ns > 0 && frame->publish_ns <= lease->acquire_ns;
    const int64_t publish_ns = is_published ? frame->publish_ns : lease->acquire_ns;
    const uint64_t lost = lease->lost + lease->skipped + frame->device_dropped;
    *out_frame = (struct recorder_frame){
        .capture_ns = frame->capture_ns,
        .publish_ns = publish_ns,
        .is_believed = capture_times_believe(&recorder->track[index].capture_times,
                                             frame->capture_ns, publish_ns),
        .pts_ns = find_pts_ns(lease),
        .lost = lost,
        .is_break = lost > 0 || lease->flags != 0 || (frame->flags & SHMFRAME_DISCONTINUITY),
    };
    const int result = lent_take(&recorder->track[index].lent, lease, &out_frame->frame);
    return result < 0 ? fault_set(result, "a frame of %s cannot be used: %s",
                                  recorder->track[index].stream, shmframe_last_error())
                      : 0;
}

int recorder_take(struct recorder *recorder, uint32_t index) {
    struct source *source = source_of(recorder, index);
    struct track *track = &recorder->track[index];
    struct shmframe_lease lease;
    if (!source_is_flowing(source) || !source_take(source, &lease))
        return 0;
    if (!recorder->first_ns)
        recorder->first_ns = shmframe_now_ns();
    int result = 0;
    const bool is_change = !shape_is_equal(lease.format, &track->format);
    struct shmframe_format *format = NULL;
    if (is_change) {
        format = av_memdup(lease.format, sizeof(*format));
        if (!format)
            result = fault_set(-ENOMEM, "no memory for a format");
    }
    struct recorder_frame frame = {0};
    const int taken = read_lease(recorder, index, &lease, &frame);
    if (is_change && result >= 0 && !recorder->has_begun && recorder->waits[index] > 0)
        result = begin(recorder);
    if (is_change && result >= 0 && recorder->has_begun)
        result = change(recorder, index, format);
    else if (is_change && result >= 0)
        track->format = *format;
    av_free(format);
    if (result < 0 || taken < 0) {
        av_frame_free(&frame.frame);
        return result < 0 ? result : taken;
    }
    if (recorder->has_begun)
        return (result = put(recorder, index, &frame)) < 0 ? result : 1;
    recorder->waiting[index][recorder->waits[index]++] = frame;
    return (result = recorder_look(recorder)) < 0 ? result : 1;
}

bool recorder_is_done(const struct recorder *recorder) {
    bool is_done = true, has_any = false;
    for (uint32_t i = 0; i < recorder->tracks; i++) {
        has_any = has_any || recorder->track[i].is_done;
        is_done =
            is_done && (recorder->track[i].is_done || !source_is_flowing(source_of(recorder, i)));
    }
    is_done = is_done && has_any; /* otherwise it ends with its streams */
    const int64_t now_ns = shmframe_now_ns();
    const bool is_over =
        recorder->has_begun && !recorder->is_exact_time && recorder->params.duration_ns > 0 &&
        !recorder->is_paused &&
        now_ns - recorder->first_ns - recorder->paused_ns > recorder->params.duration_ns + rest_ns;
    return is_done || is_over ||
           (recorder->done_ns && !recorder->is_exact_time && now_ns - recorder->done_ns > rest_ns);
}

void recorder_pause(struct recorder *recorder) {
    if (!recorder->is_paused)
        recorder->pause_ns = shmframe_now_ns();
    recorder->is_paused = true;
}

void recorder_resume(struct recorder *recorder) {
    if (recorder->is_paused)
        recorder->paused_ns += shmframe_now_ns() - recorder->pause_ns;
    recorder->is_resuming = recorder->is_paused && recorder->has_begun;
    recorder->is_paused = false;
    for (uint32_t i = 0; i < recorder->tracks; i++)
        recorder->is_after_pause[i] = recorder->is_resuming;
}

/* --- Ending ----------------------------------------------------------------------------------- */

int recorder_finish(struct recorder *recorder) {
    bool has_any = false;
    int result = 0;
    for (uint32_t i = 0; i < recorder->tracks; i++)
        has_any = has_any || recorder->waits[i] > 0;
    if (!recorder->has_begun && has_any)
        result = begin(recorder);
    for (uint32_t i = 0; i < recorder->tracks && result >= 0; i++)
        result = track_flush(&recorder->track[i]);
    return result;
}

void recorder_close(struct recorder *recorder) {
    for (uint32_t i = 0; i < recorder->tracks; i++) {
        for (uint32_t k = 0; k < recorder->waits[i]; k++)
            av_frame_free(&recorder->waiting[i][k].frame);
        track_close(&recorder->track[i]);
    }
}

int64_t recorder_length_ns(const struct recorder *recorder) {
    return recorder->length_ns;
}

uint64_t recorder_lost(const struct recorder *recorder) {
    uint64_t lost = 0;
    for (uint32_t i = 0; i < recorder->tracks; i++) {
        const struct shmframe_reader_counters counters = source_counters(source_of(recorder, i));
        lost += counters.lost_late + counters.lost_restart + counters.device_dropped;
    }
    return lost;
}
