#include "room.h"

#include "burst.h"

#include <libavutil/samplefmt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double burst_level = 0.5, tone_level = 0.05, tone_hz = 440, echo_gain = 0.5;
/* Found further from each burst than this: not one that was sent. */
static const double near_ns = 30e6;

const struct room rooms[] = {
    {.name = "plain"},
    {.name = "nothing but bursts", .is_quiet = true},
    {.name = "8 kHz", .sample_rate = 8000},
    {.name = "11.025 kHz", .sample_rate = 11025},
    {.name = "16 kHz", .sample_rate = 16000},
    {.name = "fewest lags", .sample_rate = 24100},
    {.name = "32 kHz", .sample_rate = 32000},
    {.name = "44.1 kHz", .sample_rate = 44100},
    {.name = "96 kHz", .sample_rate = 96000},
    {.name = "192 kHz", .sample_rate = 192000},
    {.name = "mono", .channels = 1},
    {.name = "5.1", .channels = 6},
    {.name = "u8", .sample_format = "u8"},
    {.name = "s16", .sample_format = "s16"},
    {.name = "s16p", .sample_format = "s16p"},
    {.name = "s32", .sample_format = "s32"},
    {.name = "s32p", .sample_format = "s32p"},
    {.name = "fltp", .sample_format = "fltp"},
    {.name = "dbl", .sample_format = "dbl"},
    {.name = "dblp", .sample_format = "dblp"},
    {.name = "quiet", .sample_format = "s16", .gain_db = -40},
    {.name = "loud", .sample_format = "s16", .gain_db = 6},
    {.name = "clipped", .sample_format = "s16", .gain_db = 20},
    {.name = "noise", .noise = 1},
    {.name = "noise, 16 kHz", .noise = 1, .sample_rate = 16000},
    {.name = "noise, 8 kHz", .noise = 1, .sample_rate = 8000},
    {.name = "offset", .dc = 0.3},
    {.name = "echo after 5 ms", .echo_s = 0.005},
    {.name = "echo after 17.3 ms", .echo_s = 0.0173},
    {.name = "echo after 50 ms", .echo_s = 0.05},
    {.name = "echo and noise", .echo_s = 0.02125, .noise = 1},
    {.name = "faster", .stretch = 0.001},
    {.name = "slower, noise", .stretch = -0.001, .noise = 1},
    {.name = "faster, 16 kHz, noise", .stretch = 0.001, .sample_rate = 16000, .noise = 1},
    {.name = "other half upside down", .is_reversed = true},
    {.name = "one channel of six", .channels = 6, .one_channel = 4, .noise = 1},
    {.name = "not finite", .wild = 1},
    {.name = "blocks of one sample", .block = 1, .channels = 1},
    {.name = "blocks of 1024", .block = 1024, .sample_rate = 44100},
    {.name = "blocks of a second", .block = 48000},
    {.name = "no pts", .has_no_pts = true},
};
const uint32_t room_count = sizeof(rooms) / sizeof(rooms[0]);

/* What does not change while a room sounds. */
struct stage {
    const struct room *room;
    struct shmframe_format format;
    double rate;
    double *starts; /* of the bursts, in the sound's own time */
    uint32_t bursts;
    uint64_t random;
};

/* Evenly from 0 to 1: splitmix64. */
static double draw(struct stage *stage) {
    uint64_t value = stage->random += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((value ^ value >> 31) >> 11) * 0x1p-53;
}

static double draw_normal(struct stage *stage) {
    const double size = sqrt(-2 * log(1 - draw(stage)));
    return size * cos(2 * M_PI * draw(stage));
}

/* The bursts at an instant of the sound's own time. */
static double sound_bursts(const struct stage *stage, double time_s) {
    const uint32_t second = time_s > 0 ? (uint32_t)time_s : 0;
    return second < stage->bursts ? burst_at(second, time_s - stage->starts[second]) : 0;
}

static double sound(const struct stage *stage, uint32_t channel, double time_s) {
    const struct room *room = stage->room;
    double value = sound_bursts(stage, time_s) * burst_level;
    if (room->one_channel && channel + 1 != room->one_channel)
        value = 0;
    if (!room->is_quiet)
        value += tone_level * sin(2 * M_PI * tone_hz * (channel % 8 + 1) * time_s);
    return room->is_reversed && channel % 2 ? -value : value;
}

static double hear(struct stage *stage, uint32_t channel, int64_t sample) {
    const struct room *room = stage->room;
    const double time_s = (double)sample / stage->rate * (1 + room->stretch);
    double value = sound(stage, channel, time_s);
    if (room->echo_s > 0)
        value += echo_gain * sound(stage, channel, time_s - room->echo_s);
    if (room->noise > 0)
        value += draw_normal(stage) * sqrt(room->noise / 2) * burst_level;
    if (room->wild && draw(stage) * 1000 < room->wild)
        return draw(stage) < 0.5 ? (double)NAN : draw(stage) < 0.5 ? -(double)INFINITY : 1e30;
    return value * pow(10, room->gain_db / 20) + room->dc;
}

static void store(enum AVSampleFormat packed, uint8_t *at, double value) {
    const double held = fmax(fmin(value, 1), -1); /* a float goes beyond */
    switch ((int)packed) {
    case AV_SAMPLE_FMT_U8:
        *at = (uint8_t)(lrint(held * INT8_MAX) + 128);
        break;
    case AV_SAMPLE_FMT_S16:
        memcpy(at, &(int16_t){(int16_t)lrint(held * INT16_MAX)}, sizeof(int16_t));
        break;
    case AV_SAMPLE_FMT_S32:
        memcpy(at, &(int32_t){(int32_t)llrint(held * INT32_MAX)}, sizeof(int32_t));
        break;
    case AV_SAMPLE_FMT_FLT:
        memcpy(at, &(float){(float)value}, sizeof(float));
        break;
    case AV_SAMPLE_FMT_DBL:
        memcpy(at, &value, sizeof(double));
        break;
    default:
        abort();
    }
}

static void fill(struct stage *stage, uint8_t *slot, int64_t first, uint32_t count) {
    const struct shmframe_format *format = &stage->format;
    const enum AVSampleFormat sample_format = av_get_sample_fmt(format->audio.sample_format);
    const enum AVSampleFormat packed = av_get_packed_sample_fmt(sample_format);
    const size_t bytes = (size_t)av_get_bytes_per_sample(packed);
    const uint32_t channels = format->audio.channels;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < channels; k++) {
            uint8_t *at = av_sample_fmt_is_planar(sample_format)
                              ? slot + format->plane[k].offset + i * bytes
                              : slot + ((size_t)i * channels + k) * bytes;
            store(packed, at, hear(stage, k, first + i));
        }
}

static void judge(const struct stage *stage, const struct burst_sound *sound_found,
                  struct room_result *result) {
    const double start_ns = (double)sound_found->start_ns;
    double best_ns = INFINITY;
    uint32_t beat = 0;
    for (uint32_t i = 0; i < stage->bursts; i++) {
        const double sent_ns = stage->starts[i] / (1 + stage->room->stretch) * 1e9;
        if (fabs(start_ns - sent_ns) < fabs(best_ns)) {
            best_ns = start_ns - sent_ns;
            beat = i;
        }
    }
    const double told_ns = (double)sound_found->error_ns;
    if (fabs(best_ns) > fmax(near_ns, told_ns)) {
        result->false_bursts++;
        return;
    }
    result->wrong_beats += sound_found->beat != beat % BURST_BEATS;
    result->beyond += fabs(best_ns) > told_ns;
    result->level = fmin(result->level, (double)sound_found->level);
    result->confidence = fmin(result->confidence, (double)sound_found->confidence);
    result->told_ns[result->found] = told_ns;
    result->media_ns[result->found] =
        best_ns + (double)sound_found->media_ns - (double)sound_found->start_ns;
    result->error_ns[result->found++] = best_ns;
}

static void play(struct stage *stage, struct burst_finder *finder, struct room_result *result) {
    const struct room *room = stage->room;
    const uint32_t block = stage->format.audio.samples_max;
    const int64_t end = (int64_t)((stage->bursts + 1.0) * stage->rate);
    uint8_t *slot = calloc(1, stage->format.slot_bytes);
    struct shmframe_lease lease = {.data = slot, .format = &stage->format};
    for (int64_t sample = 0; sample < end; sample += block) {
        lease.frame.sequence++;
        if (draw(stage) * 1000 < room->lost) {
            lease.lost++;
            continue;
        }
        fill(stage, slot, sample, block);
        lease.frame.samples = block;
        lease.frame.pts = room->has_no_pts
                              ? SHMFRAME_NO_PTS
                              : sample * stage->format.time_base.den / (int64_t)stage->rate;
        const double waver = room->jitter > 0 ? (2 * draw(stage) - 1) * room->jitter * block : 0;
        lease.frame.capture_ns = llround(((double)sample + waver) * 1e9 / stage->rate);
        burst_finder_add(finder, &lease);
        lease.lost = 0;
        struct burst_sound found;
        while (burst_finder_next(finder, &found))
            judge(stage, &found, result);
    }
    free(slot);
}

void room_play(const struct room *room, uint32_t bursts, struct room_result *out_result) {
    const uint32_t sample_rate = room->sample_rate ? room->sample_rate : 48000;
    struct stage stage = {
        .room = room,
        .rate = sample_rate,
        .bursts = bursts,
        .starts = calloc(bursts + 1, sizeof(double)),
        .random = room->seed + sample_rate,
    };
    *out_result = (struct room_result){.sent = bursts, .level = 1000, .confidence = 1};
    struct burst_finder *finder;
    if (shmframe_format_audio(&stage.format, room->sample_format ? room->sample_format : "flt",
                              room->channels ? room->channels : 2, sample_rate,
                              room->block ? room->block : sample_rate / 100) < 0)
        abort();
    stage.format.time_base =
        (struct shmframe_rational){1, room->has_coarse_pts ? 1000 : (int32_t)sample_rate};
    if (burst_finder_create(&stage.format, &finder) < 0)
        abort();
    for (uint32_t i = 0; i < bursts; i++)
        stage.starts[i] = i + draw(&stage) * 0.5;
    play(&stage, finder, out_result);
    burst_finder_destroy(finder);
    free(stage.starts);
}

static int compare(const void *left, const void *right) {
    const double a = fabs(*(const double *)left), b = fabs(*(const double *)right);
    return (a > b) - (a < b);
}

double room_quantile(struct room_result *result, double share) {
    if (result->found == 0)
        return INFINITY;
    qsort(result->error_ns, result->found, sizeof(double), compare);
    const uint32_t rank = (uint32_t)(share * result->found);
    return fabs(result->error_ns[rank < result->found ? rank : result->found - 1]);
}
