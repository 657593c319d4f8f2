#include "tone.h"

#include "burst.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { HARMONICS = 8 };

int tone_init(struct tone *tone, const struct shmframe_format *format,
              struct shmframe_rational frame_rate, uint32_t tone_hz) {
    const uint32_t sample_rate = format->audio.sample_rate;
    const enum AVSampleFormat sample_format = av_get_sample_fmt(format->audio.sample_format);
    if (sample_format == AV_SAMPLE_FMT_NONE)
        return -ENOTSUP;
    *tone = (struct tone){
        .format = *format,
        .sample_format = sample_format,
        .frame_rate = frame_rate,
        .beep_hz = TONE_BEEP_HZ < sample_rate / 4 ? TONE_BEEP_HZ : (sample_rate + 3) / 4,
    };
    return tone_set_hz(tone, tone_hz);
}

int tone_set_hz(struct tone *tone, uint32_t tone_hz) {
    const uint32_t highest_hz = tone->format.audio.sample_rate / 2;
    if (tone_hz == 0 || tone_hz > highest_hz)
        return -EINVAL;
    tone->tone_hz = tone_hz;
    tone->harmonics = highest_hz / tone_hz < HARMONICS ? highest_hz / tone_hz : HARMONICS;
    return 0;
}

int tone_use_marks(struct tone *tone) {
    if (tone->format.audio.sample_rate < BURST_RATE_MIN)
        return -ENOTSUP;
    tone->has_marks = true;
    return 0;
}

int64_t tone_beep_start(const struct tone *tone, int64_t flash_frame) {
    const struct shmframe_rational rate = tone->frame_rate;
    const __int128 samples = (__int128)flash_frame * rate.den * tone->format.audio.sample_rate;
    return (int64_t)((samples + rate.num - 1) / rate.num);
}

int64_t tone_beep_samples(const struct tone *tone) {
    return tone->format.audio.sample_rate * SCENE_FLASH_NS / INT64_C(1000000000);
}

/* The beep that sounded last when sample `number` comes, and the next one. */
struct beeps {
    int64_t start, next;
};

static struct beeps find_beeps(const struct tone *tone, int64_t number) {
    const struct shmframe_rational rate = tone->frame_rate;
    const __int128 beat = (__int128)tone->format.audio.sample_rate * rate.den;
    const int64_t frame = (int64_t)((__int128)number * rate.num / beat);
    const int64_t second = (int64_t)((__int128)frame * rate.den / rate.num);
    const int64_t flash = scene_flash_frame(rate, second);
    int64_t next = scene_flash_frame(rate, second + 1);
    if (next <= flash) /* less than a frame a second: each one flashes */
        next = flash + 1;
    return (struct beeps){tone_beep_start(tone, flash), tone_beep_start(tone, next)};
}

/* sin(2 pi hz number / rate), exact for any number: whole turns are taken out as integers. */
static double find_sine(uint64_t number, uint32_t hz, uint32_t sample_rate) {
    const uint64_t phase = number % sample_rate * hz % sample_rate;
    return sin(2 * M_PI * (double)phase / sample_rate);
}

static void store_sample(enum AVSampleFormat packed, uint8_t *at, double value) {
    switch (packed) {
    case AV_SAMPLE_FMT_U8:
        *at = (uint8_t)(lrint(value * INT8_MAX) + 128);
        break;
    case AV_SAMPLE_FMT_S16:
        memcpy(at, &(int16_t){(int16_t)lrint(value * INT16_MAX)}, sizeof(int16_t));
        break;
    case AV_SAMPLE_FMT_S32:
        memcpy(at, &(int32_t){(int32_t)llrint(value * INT32_MAX)}, sizeof(int32_t));
        break;
    case AV_SAMPLE_FMT_S64:
        memcpy(at, &(int64_t){(int64_t)llrint(value * 0x1p62) * 2}, sizeof(int64_t));
        break;
    case AV_SAMPLE_FMT_FLT:
        memcpy(at, &(float){(float)value}, sizeof(float));
        break;
    case AV_SAMPLE_FMT_DBL:
        memcpy(at, &value, sizeof(double));
        break;
    default: /* tone_init() lets no other in: the planar ones were turned into these */
        break;
    }
}

static double find_beep(const struct tone *tone, int64_t age) {
    return age < tone_beep_samples(tone)
               ? TONE_BEEP_LEVEL *
                     find_sine((uint64_t)age, tone->beep_hz, tone->format.audio.sample_rate)
               : 0;
}

static double find_burst(const struct tone *tone, int64_t number) {
    const int64_t rate = tone->format.audio.sample_rate;
    return TONE_BEEP_LEVEL * burst_at((uint32_t)(number / rate % BURST_BEATS),
                                      (double)(number % rate) / (double)rate);
}

/* Writes one instant of all channels. */
static void store_instant(const struct tone *tone, uint8_t *slot, uint32_t index,
                          const double harmonic[HARMONICS], double beep) {
    const struct shmframe_format *format = &tone->format;
    const enum AVSampleFormat packed = av_get_packed_sample_fmt(tone->sample_format);
    const bool is_planar = av_sample_fmt_is_planar(tone->sample_format);
    const size_t bytes = (size_t)av_get_bytes_per_sample(packed);
    const uint32_t channels = format->audio.channels;
    for (uint32_t channel = 0; channel < channels; channel++) {
        uint8_t *at = is_planar ? slot + format->plane[channel].offset + index * bytes
                                : slot + format->plane[0].offset +
                                      ((size_t)index * channels + channel) * bytes;
        store_sample(packed, at, harmonic[channel % tone->harmonics] + beep);
    }
}

void tone_fill(const struct tone *tone, uint8_t *slot, int64_t first, uint32_t count) {
    const uint32_t sample_rate = tone->format.audio.sample_rate;
    const uint32_t channels = tone->format.audio.channels;
    const uint32_t harmonics = channels < tone->harmonics ? channels : tone->harmonics;
    struct beeps beeps = find_beeps(tone, first);
    for (uint32_t i = 0; i < count; i++) {
        const int64_t number = first + i;
        if (number >= beeps.next)
            beeps = find_beeps(tone, number);
        const double beep =
            tone->has_marks ? find_burst(tone, number) : find_beep(tone, number - beeps.start);
        double harmonic[HARMONICS];
        for (uint32_t k = 0; k < harmonics; k++)
            harmonic[k] =
                TONE_LEVEL * find_sine((uint64_t)number, (k + 1) * tone->tone_hz, sample_rate);
        store_instant(tone, slot, i, harmonic, beep);
    }
}
