#include "burst_finder.h"

#include "burst_filter.h"
#include "sound_block.h"
#include "sound_clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FOUND_MAX = 64 };
/* How like a chirp a sound is: 1 is one, 0.71 is one in noise as strong as itself. Noise gets above
 * this once in 10^13 lags, and both chirps have to. */
static const double likeness_min = 0.5;
/* Below -100 dB there is nothing but rounding. */
static const float level_min = 1e-5F;
/* A chirp's peak is the highest within this on both sides. */
static const double peak_s = 0.001;
/* How far the second chirp may be from where a beat has it: a third of a step. */
static const double stray_s = BURST_STEP_S / 3;
/* The two chirps of a burst are as loud as one another, unless part of one was lost. */
static const double level_ratio_max = 3;
/* Channels hear one burst at most so far apart; echoes come later. */
static const double together_s = 0.002;
/* After the start of a burst its own echoes may come, and no other burst. */
static const double alone_s = 0.3;
/* A sound that is more than this off its rate is no burst. */
static const double stretch_max = 0.004;
/* By how much of a lag the parabola through a peak is off at most: where lags are fewest. */
static const double parabola_error = 0.05;
/* Stamps that waver by more than this, or by four blocks, are those of something else. */
static const double waver_max_s = 0.1;
/* A gap that is known less well might make another beat of the same chirps: what came before it is
 * forgotten. */
static const double gap_error_max_s = BURST_STEP_S / 4;
/* What is silent in place of what was lost, at most: longer than a burst. */
static const double gap_max_s = 0.3;

struct channel {
    float *samples;         /* of a block of the filter */
    struct burst_lag *lags; /* not yet done with */
};

struct burst_finder {
    uint32_t sample_rate, channel_count;
    struct shmframe_rational time_base;
    struct burst_filter *filter;
    struct burst_filter_size size;
    struct sound_clock capture, media;
    int64_t next_pts_ns;            /* of the block that should come; BURST_NO_MEDIA: not known */
    int64_t next_sample;            /* number of the first sample of the next block */
    uint32_t samples;               /* in each channel's block */
    uint32_t lags, next_lag;        /* that are held; the first of them that was not looked at */
    int64_t first_lag;              /* sample number of lag 0 */
    uint32_t peak, ahead, together; /* lags: peak_s; those needed after a first chirp; together_s */
    int64_t alone_until;            /* sample number */
    struct burst_sound found[FOUND_MAX];
    uint64_t found_count, taken_count;
    struct channel channels[SHMFRAME_CHANNELS_MAX];
};

static uint32_t count_lags(const struct burst_finder *finder, double seconds) {
    return (uint32_t)ceil(seconds * finder->sample_rate / finder->size.lag_samples);
}

/* The first chirp of a burst may be in the very first sample: silence comes before it. */
static void begin(struct burst_finder *finder) {
    finder->samples = 2 * finder->size.first;
    finder->first_lag = (int64_t)finder->size.first - finder->samples;
    finder->next_lag = finder->peak;
    finder->alone_until = INT64_MIN;
    finder->next_pts_ns = BURST_NO_MEDIA;
    sound_clock_reset(&finder->capture, finder->sample_rate);
    sound_clock_reset(&finder->media, finder->sample_rate);
}

int burst_finder_create(const struct shmframe_format *format, struct burst_finder **out_finder) {
    if (format->kind != SHMFRAME_AUDIO || format->audio.channels > SHMFRAME_CHANNELS_MAX ||
        av_get_sample_fmt(format->audio.sample_format) == AV_SAMPLE_FMT_NONE)
        return -ENOTSUP;
    struct burst_finder *finder = calloc(1, sizeof(*finder));
    if (!finder)
        return -ENOMEM;
    finder->sample_rate = format->audio.sample_rate;
    finder->time_base = format->time_base;
    int result = burst_filter_create(finder->sample_rate, &finder->filter);
    if (result < 0)
        goto fail;
    finder->size = *burst_filter_size(finder->filter);
    finder->peak = count_lags(finder, peak_s);
    finder->together = count_lags(finder, together_s);
    finder->ahead = count_lags(finder, burst_second_s(BURST_BEATS - 1) + stray_s) + finder->peak;
    const uint32_t lags_max = finder->size.lags + finder->ahead + finder->together + finder->peak;
    for (; finder->channel_count < format->audio.channels; finder->channel_count++) {
        struct channel *channel = &finder->channels[finder->channel_count];
        channel->samples = calloc(finder->size.samples, sizeof(float));
        channel->lags = calloc(lags_max + 1, sizeof(struct burst_lag));
        if (!channel->samples || !channel->lags) {
            result = -ENOMEM;
            goto fail;
        }
    }
    begin(finder);
    *out_finder = finder;
    return 0;
fail:
    burst_finder_destroy(finder);
    return result;
}

void burst_finder_destroy(struct burst_finder *finder) {
    if (!finder)
        return;
    for (uint32_t i = 0; i < SHMFRAME_CHANNELS_MAX; i++) {
        free(finder->channels[i].samples);
        free(finder->channels[i].lags);
    }
    burst_filter_destroy(finder->filter);
    free(finder);
}

/* ---- Chirps, and pairs of them ---- */

static double find_likeness(const struct burst_lag *lag, enum burst_chirp which) {
    if (!(lag->level[which] >= level_min) || !(lag->power > 0))
        return 0;
    return fmin((double)lag->level[which] / sqrt((double)lag->power), 1);
}

static bool is_peak(const struct burst_finder *finder, const struct burst_lag *lag,
                    enum burst_chirp which) {
    const float level = lag->level[which];
    for (uint32_t i = 1; i <= finder->peak; i++)
        if (lag[i].level[which] > level || lag[-(ptrdiff_t)i].level[which] >= level)
            return false;
    return true;
}

/* Where the peak is between the lags, by the parabola through three of them: from -0.5 to 0.5. */
static double refine_peak(const struct burst_lag *lag, enum burst_chirp which) {
    const double before = (double)lag[-1].level[which], after = (double)lag[1].level[which];
    const double bend = before + after - 2 * (double)lag->level[which];
    return bend < 0 ? (before - after) / (2 * bend) : 0;
}

/* A burst in one channel. */
struct pair {
    double start; /* sample number */
    uint8_t beat;
    double level, likeness;
};

/* The loudest rising chirp at which a burst that began at `lag` may have its second one. */
static const struct burst_lag *find_second(const struct burst_finder *finder,
                                           const struct burst_lag *lag) {
    const struct burst_lag *best = NULL;
    const uint32_t end = finder->ahead - finder->peak;
    for (uint32_t i = count_lags(finder, BURST_CHIRP_S - stray_s); i <= end; i++)
        if ((!best || lag[i].level[BURST_RISING] > best->level[BURST_RISING]) &&
            find_likeness(&lag[i], BURST_RISING) >= likeness_min &&
            is_peak(finder, &lag[i], BURST_RISING))
            best = &lag[i];
    return best;
}

/* A sound that is faster by a share e has its chirps closer together by that share, the falling one
 * seems to begin later by e LOW / slope, the rising one earlier by e HIGH / slope. */
static bool find_start(const struct burst_finder *finder, double first, double apart,
                       struct pair *out_pair) {
    const double slope = (BURST_HIGH_HZ - BURST_LOW_HZ) / BURST_CHIRP_S;
    const double apart_s = apart / finder->sample_rate;
    const double beat = round((apart_s - BURST_CHIRP_S) / BURST_STEP_S);
    if (beat < 0 || beat >= BURST_BEATS)
        return false;
    const double wanted_s = burst_second_s((uint32_t)beat);
    const double stretch =
        (wanted_s - apart_s) / (wanted_s + (BURST_LOW_HZ + BURST_HIGH_HZ) / slope);
    if (fabs(wanted_s - apart_s) > stray_s || fabs(stretch) > stretch_max)
        return false;
    out_pair->beat = (uint8_t)beat;
    out_pair->start = first - stretch * BURST_LOW_HZ / slope * finder->sample_rate;
    return true;
}

/* Whether a burst begins at lag number `index` of a channel. */
static bool find_pair(const struct burst_finder *finder, uint32_t index,
                      const struct channel *channel, struct pair *out_pair) {
    const struct burst_lag *first = channel->lags + index;
    const double first_likeness = find_likeness(first, BURST_FALLING);
    if (first_likeness < likeness_min || !is_peak(finder, first, BURST_FALLING))
        return false;
    const struct burst_lag *second = find_second(finder, first);
    if (!second)
        return false;
    const double ratio = (double)second->level[BURST_RISING] / (double)first->level[BURST_FALLING];
    if (ratio > level_ratio_max || ratio * level_ratio_max < 1)
        return false;
    const double first_at = index + refine_peak(first, BURST_FALLING);
    const double second_at = (double)(second - channel->lags) + refine_peak(second, BURST_RISING);
    out_pair->level = (double)first->level[BURST_FALLING];
    out_pair->likeness = fmin(first_likeness, find_likeness(second, BURST_RISING));
    return find_start(finder, (double)finder->first_lag + first_at * finder->size.lag_samples,
                      (second_at - first_at) * finder->size.lag_samples, out_pair);
}

/* ---- Bursts ---- */

/* Standard deviation of a peak's place in noise: the Cramer-Rao bound for a delay. Likeness tells
 * how strong the noise is. */
static double find_noise_ns(double likeness) {
    const double band_hz = BURST_HIGH_HZ - BURST_LOW_HZ;
    const double share = likeness * likeness;
    const double signal_to_noise = share / fmax(1 - share, 1e-6) * band_hz * BURST_CHIRP_S;
    return 1e9 / (2 * M_PI * band_hz / sqrt(12) * sqrt(2 * signal_to_noise));
}

static void tell(struct burst_finder *finder, const struct pair *pair) {
    struct sound_instant capture, media;
    if (!sound_clock_find(&finder->capture, pair->start, &capture))
        return;
    const double lag_ns = 1e9 * finder->size.lag_samples / finder->sample_rate;
    const bool has_media = sound_clock_find(&finder->media, pair->start, &media);
    if (finder->found_count - finder->taken_count == FOUND_MAX)
        finder->taken_count++;
    finder->found[finder->found_count++ % FOUND_MAX] = (struct burst_sound){
        .start_ns = capture.ns,
        .media_ns = has_media ? media.ns : BURST_NO_MEDIA,
        .error_ns = llround(hypot(hypot(3 * find_noise_ns(pair->likeness), lag_ns * parabola_error),
                                  (double)capture.error_ns)),
        .beat = pair->beat,
        .level = (float)pair->level,
        .confidence = (float)pair->likeness,
    };
}

/* What the best of all channels hears at `index`, or so soon after it that it is the same. */
static bool find_best(const struct burst_finder *finder, uint32_t index, struct pair *out_pair) {
    struct pair best = {0};
    for (uint32_t i = index; i <= index + (best.likeness > 0 ? finder->together : 0); i++)
        for (uint32_t k = 0; k < finder->channel_count; k++) {
            struct pair pair;
            if (find_pair(finder, i, &finder->channels[k], &pair) && pair.likeness > best.likeness)
                best = pair;
        }
    *out_pair = best;
    return best.likeness > 0;
}

static void look(struct burst_finder *finder) {
    for (; finder->next_lag + finder->together + finder->ahead < finder->lags; finder->next_lag++) {
        const int64_t sample =
            finder->first_lag + (int64_t)finder->next_lag * finder->size.lag_samples;
        struct pair pair;
        if (sample < finder->alone_until || !find_best(finder, finder->next_lag, &pair))
            continue;
        tell(finder, &pair);
        finder->alone_until = sample + (int64_t)(alone_s * finder->sample_rate);
    }
}

/* Forgets the lags that nobody will look at again. */
static void forget(struct burst_finder *finder) {
    const uint32_t done = finder->next_lag - finder->peak;
    for (uint32_t i = 0; i < finder->channel_count; i++) {
        struct burst_lag *lags = finder->channels[i].lags;
        memmove(lags, lags + done, sizeof(*lags) * (finder->lags - done));
    }
    finder->lags -= done;
    finder->next_lag -= done;
    finder->first_lag += (int64_t)done * finder->size.lag_samples;
}

/* The block is full. */
static void run(struct burst_finder *finder) {
    const struct burst_filter_size *size = &finder->size;
    for (uint32_t i = 0; i < finder->channel_count; i++) {
        struct channel *channel = &finder->channels[i];
        burst_filter_run(finder->filter, channel->samples, channel->lags + finder->lags);
        memmove(channel->samples, channel->samples + size->step,
                sizeof(float) * (size->samples - size->step));
    }
    finder->samples -= size->step;
    finder->lags += size->lags;
    look(finder);
    forget(finder);
}

/* ---- Blocks ---- */

/* What is not finite, or wildly too loud, would spoil a whole block. */
static float take_sample(const struct sound_block *block, uint32_t channel, uint32_t index) {
    const double sample = sound_block_sample(block, channel, index);
    return fabs(sample) < 100 ? (float)sample : 0;
}

/* Takes `count` samples of `block` from `first` on; NULL: silence. */
static void take(struct burst_finder *finder, const struct sound_block *block, uint32_t count) {
    for (uint32_t first = 0; first < count;) {
        const uint32_t room = finder->size.samples - finder->samples;
        const uint32_t part = count - first < room ? count - first : room;
        for (uint32_t k = 0; k < finder->channel_count; k++) {
            float *samples = finder->channels[k].samples + finder->samples;
            for (uint32_t i = 0; i < part; i++)
                samples[i] = block ? take_sample(block, k, first + i) : 0;
        }
        first += part;
        finder->samples += part;
        finder->next_sample += part;
        if (finder->samples == finder->size.samples)
            run(finder);
    }
}

static int64_t find_pts_ns(const struct burst_finder *finder, int64_t pts) {
    const struct shmframe_rational unit = finder->time_base;
    if (pts == SHMFRAME_NO_PTS || unit.num <= 0 || unit.den <= 0)
        return BURST_NO_MEDIA;
    const __int128 ns = (__int128)pts * unit.num * 1000000000 / unit.den;
    return ns > INT64_MIN / 2 && ns < INT64_MAX / 2 ? (int64_t)ns : BURST_NO_MEDIA;
}

/* How far the capture stamp of a block is from where the ones before have it. */
struct jump {
    int64_t ns;    /* 0: not further than they waver */
    bool is_exact; /* they waver so little that a gap of so long leaves the beat as it is */
};

static struct jump find_jump(const struct burst_finder *finder, int64_t capture_ns,
                             uint32_t samples) {
    enum { STAMPS_MIN = 8 };
    struct sound_instant instant;
    if (finder->capture.count < STAMPS_MIN ||
        !sound_clock_find(&finder->capture, (double)finder->next_sample, &instant))
        return (struct jump){0};
    const double jump_ns = (double)capture_ns - (double)instant.ns;
    const double block_ns = samples * 1e9 / finder->sample_rate;
    const double waver_ns = fmax(fmax(block_ns / 2, 1e6), 8.0 * (double)instant.spread_ns);
    const double limit_ns = fmin(waver_ns, fmax(4 * block_ns, waver_max_s * 1e9));
    return (struct jump){
        .ns = fabs(jump_ns) > limit_ns ? (int64_t)fmax(fmin(jump_ns, 1e18), -1e18) : 0,
        .is_exact = 3.0 * (double)instant.spread_ns <= gap_error_max_s * 1e9,
    };
}

/* That sound is missing before this block. */
static bool is_told(const struct shmframe_lease *lease) {
    return lease->lost || lease->skipped || lease->frame.device_dropped ||
           lease->frame.flags & SHMFRAME_DISCONTINUITY;
}

/* How long was the sound that is missing before this block; below 0: it is not known well enough.
 */
static int64_t find_gap_ns(const struct burst_finder *finder, const struct shmframe_lease *lease,
                           struct jump jump) {
    const int64_t pts_ns = find_pts_ns(finder, lease->frame.pts);
    if (pts_ns == BURST_NO_MEDIA || finder->next_pts_ns == BURST_NO_MEDIA) {
        if (jump.ns > 0 && jump.is_exact)
            return jump.ns;
        return jump.ns > 0 || is_told(lease) ? -1 : 0;
    }
    const struct shmframe_rational unit = finder->time_base;
    const double late_ns = (double)pts_ns - (double)finder->next_pts_ns;
    const double rounding_ns = 1e9 * unit.num / unit.den + 1e9 / finder->sample_rate;
    if (rounding_ns <= gap_error_max_s * 1e9)
        return fabs(late_ns) <= rounding_ns ? 0 : (int64_t)late_ns;
    return fabs(late_ns) > rounding_ns || is_told(lease) ? -1 : 0;
}

/* Puts silence where sound is missing. */
static void skip(struct burst_finder *finder, int64_t gap_ns) {
    const double gap_s = (double)gap_ns / 1e9;
    const double silent_s = gap_s > 0 && gap_s < gap_max_s ? gap_s : gap_max_s;
    take(finder, NULL, (uint32_t)lround(silent_s * finder->sample_rate));
    sound_clock_reset(&finder->capture, finder->sample_rate);
    sound_clock_reset(&finder->media, finder->sample_rate);
}

void burst_finder_add(struct burst_finder *finder, const struct shmframe_lease *lease) {
    struct sound_block block;
    if (sound_block_from_lease(lease, 0, UINT32_MAX, &block) < 0 || block.samples == 0 ||
        block.channels != finder->channel_count)
        return;
    const bool is_looking =
        is_told(lease) || sound_clock_wants(&finder->capture, finder->next_sample);
    const struct jump jump =
        is_looking ? find_jump(finder, lease->frame.capture_ns, block.samples) : (struct jump){0};
    const int64_t gap_ns = find_gap_ns(finder, lease, jump);
    if (gap_ns != 0)
        skip(finder, gap_ns);
    else if (jump.ns != 0)
        sound_clock_reset(&finder->capture, finder->sample_rate);
    sound_clock_add(&finder->capture, finder->next_sample, lease->frame.capture_ns);
    const int64_t pts_ns = find_pts_ns(finder, lease->frame.pts);
    if (pts_ns != BURST_NO_MEDIA)
        sound_clock_add(&finder->media, finder->next_sample, pts_ns);
    else
        sound_clock_reset(&finder->media, finder->sample_rate);
    finder->next_pts_ns =
        pts_ns == BURST_NO_MEDIA
            ? BURST_NO_MEDIA
            : pts_ns + (int64_t)llround(block.samples * 1e9 / finder->sample_rate);
    take(finder, &block, block.samples);
}

/* Silence, until the last sample has as much behind it as is looked at. */
void burst_finder_end(struct burst_finder *finder) {
    const uint32_t lags = finder->ahead + finder->together + finder->peak;
    take(finder, NULL, lags * finder->size.lag_samples + finder->size.samples + finder->size.step);
}

bool burst_finder_next(struct burst_finder *finder, struct burst_sound *out_sound) {
    if (finder->taken_count == finder->found_count)
        return false;
    *out_sound = finder->found[finder->taken_count++ % FOUND_MAX];
    return true;
}
