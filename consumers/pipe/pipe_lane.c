#include "pipe_lane.h"

#include <errno.h>
#include <libavutil/samplefmt.h>
#include <shmframe/avframe.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
#define MOMENT_NS SECOND_NS

int pipe_lane_open(struct pipe_lane *lane, struct source *source, const char *name) {
    lane->source = source;
    lane->first = *shmframe_reader_format(source->reader);
    return pipe_adapter_open(&lane->adapter, &lane->first, name);
}

void pipe_lane_close(struct pipe_lane *lane) {
    if (lane->source)
        pipe_lane_drop(lane);
    pipe_adapter_close(&lane->adapter);
}

/* Lost sound. */

static int64_t subtract(int64_t a, int64_t b) {
    int64_t difference;
    return __builtin_sub_overflow(a, b, &difference) ? 0 : difference;
}

static uint64_t count_samples(const struct pipe_lane *lane, int64_t span_ns) {
    const uint32_t rate = lane->first.audio.sample_rate;
    return span_ns > 0 ? (uint64_t)((__int128)span_ns * rate / SECOND_NS) : 0;
}

/* What the stream's own numbers say is missing; -1: they say nothing. */
static int64_t find_gap_by_pts(const struct pipe_lane *lane, const struct shmframe_lease *lease) {
    const struct shmframe_format *format = lease->format;
    const bool is_counting =
        format->time_base.num == 1 && (uint32_t)format->time_base.den == format->audio.sample_rate;
    if (!is_counting || lease->frame.pts == SHMFRAME_NO_PTS || lane->next_pts == SHMFRAME_NO_PTS)
        return -1;
    return subtract(lease->frame.pts, lane->next_pts);
}

/* As much as was lost. Stamps and counts are another program's: they are believed up to what the
 * lost blocks can have held, and up to the time that has passed here; without a restart a moment
 * longer, since blocks are also taken faster than they were captured. */
static uint64_t find_silence(const struct pipe_lane *lane, const struct shmframe_lease *lease) {
    const uint64_t lost = lease->lost + lease->skipped + lease->frame.device_dropped;
    const bool is_restart = lease->flags & SHMFRAME_LEASE_RESTARTED;
    if (!lane->has_sound)
        return 0;
    const int64_t by_pts = is_restart ? -1 : find_gap_by_pts(lane, lease);
    const uint64_t gap = by_pts >= 0
                             ? (uint64_t)by_pts
                             : count_samples(lane, subtract(lease->frame.capture_ns, lane->end_ns));
    const int64_t passed_ns = lease->acquire_ns - lane->taken_ns;
    uint64_t most = count_samples(lane, is_restart ? passed_ns : passed_ns + MOMENT_NS), held;
    if (!is_restart &&
        !__builtin_mul_overflow(lost, (uint64_t)lease->format->audio.samples_max, &held) &&
        held < most)
        most = held;
    return gap < most ? gap : most;
}

static void follow_sound(struct pipe_lane *lane, const struct shmframe_lease *lease) {
    const int64_t pts = lease->frame.pts;
    const int64_t duration_ns = pipe_clock_duration_ns(lease);
    lane->silence = find_silence(lane, lease);
    lane->has_sound = true;
    if (__builtin_add_overflow(pts, (int64_t)lease->frame.samples, &lane->next_pts) ||
        pts == SHMFRAME_NO_PTS)
        lane->next_pts = SHMFRAME_NO_PTS;
    if (__builtin_add_overflow(lease->frame.capture_ns, duration_ns, &lane->end_ns))
        lane->end_ns = lease->acquire_ns;
    lane->taken_ns = lease->acquire_ns;
}

/* Frames. */

bool pipe_lane_take(struct pipe_lane *lane) {
    if (lane->lease.data)
        return true;
    if (!source_take(lane->source, &lane->lease)) {
        lane->lease.data = NULL;
        return false;
    }
    if (lane->lease.format->kind == SHMFRAME_AUDIO)
        follow_sound(lane, &lane->lease);
    return true;
}

void pipe_lane_drop(struct pipe_lane *lane) {
    if (lane->lease.data)
        shmframe_reader_release(lane->source->reader, &lane->lease);
    lane->lease.data = NULL;
}

static bool is_same_rational(struct shmframe_rational a, struct shmframe_rational b) {
    return (int64_t)a.num * b.den == (int64_t)b.num * a.den;
}

/* What the frames themselves are, and what the header has told of them. */
static bool is_same_picture(const struct shmframe_video_format *a,
                            const struct shmframe_video_format *b, enum pipe_container_kind kind) {
    if (a->width != b->width || a->height != b->height ||
        strcmp(a->pixel_format, b->pixel_format) != 0 ||
        strcmp(a->color_range, b->color_range) != 0 || strcmp(a->color_space, b->color_space) != 0)
        return false;
    const bool tells_aspect = kind == PIPE_Y4M || kind == PIPE_NUT;
    if (tells_aspect && !is_same_rational(a->sample_aspect, b->sample_aspect))
        return false;
    return kind != PIPE_Y4M ||
           (is_same_rational(a->frame_rate, b->frame_rate) && a->field_order == b->field_order &&
            strcmp(a->chroma_location, b->chroma_location) == 0);
}

static bool is_same_sound(const struct shmframe_audio_format *a,
                          const struct shmframe_audio_format *b) {
    return a->sample_rate == b->sample_rate && a->channels == b->channels &&
           strcmp(a->sample_format, b->sample_format) == 0 &&
           strcmp(a->channel_layout, b->channel_layout) == 0;
}

bool pipe_lane_is_changed(const struct pipe_lane *lane, enum pipe_container_kind kind) {
    const struct shmframe_format *now = lane->lease.format, *first = &lane->first;
    if (now->kind != first->kind)
        return true;
    return now->kind == SHMFRAME_VIDEO ? !is_same_picture(&now->video, &first->video, kind)
                                       : !is_same_sound(&now->audio, &first->audio);
}

static int add_silence(struct pipe_lane *lane, const struct pipe_container *container,
                       struct pipe_message *message) {
    if (!lane->silence || container->kind == PIPE_NUT)
        return 0;
    lane->silent += lane->silence;
    return pipe_container_add_silence(container, lane->index, lane->silence, message);
}

int pipe_lane_write(struct pipe_lane *lane, struct pipe_container *container,
                    struct pipe_message *message) {
    AVFrame *frame = NULL;
    bool is_packed = false;
    if (lane->lease.format->kind != lane->first.kind) {
        pipe_lane_drop(lane);
        return -ENOTSUP;
    }
    const struct pipe_moment moment = pipe_container_time(container, lane->index, &lane->lease);
    if (moment.time < 0) {
        lane->early++;
        pipe_lane_drop(lane);
        return 0;
    }
    int result = shmframe_avframe_from_lease(&lane->lease, &frame);
    if (result < 0) {
        pipe_lane_drop(lane);
        return result;
    }
    const uint64_t as_they_were = lane->adapter.in_place;
    result = pipe_adapter_run(&lane->adapter, frame, &frame);
    const bool is_as_it_was = lane->adapter.in_place > as_they_were;
    if (result == 0)
        result = add_silence(lane, container, message);
    if (result < 0) {
        av_frame_free(&frame);
        return result;
    }
    lane->frames++;
    /* A block may be empty, and a resampler keep what it is given. */
    if (lane->first.kind == SHMFRAME_AUDIO && frame->nb_samples == 0) {
        av_frame_free(&frame);
        return 0;
    }
    result = pipe_container_add(container, lane->index, frame, moment, message, &is_packed);
    /* What was converted is counted as that already. */
    lane->packed += is_packed && is_as_it_was;
    return result;
}
