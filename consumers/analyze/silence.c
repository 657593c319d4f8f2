#include "silence.h"

#include "sound_levels.h"

#include <math.h>

static bool is_quiet(const struct silence *silence, const struct sound_block *block,
                     uint32_t index) {
    for (uint32_t c = 0; c < block->channels; c++) {
        const double value = sound_block_sample(block, c, index);
        if (sound_sample_is_finite(value) && fabs(value) >= silence->level)
            return false;
    }
    return true;
}

static int64_t run_ns(const struct silence *silence) {
    return (int64_t)((double)silence->run_samples * 1e9 / silence->sample_rate);
}

void silence_set_rate(struct silence *silence, uint32_t sample_rate) {
    if (silence->sample_rate)
        silence->run_samples = silence->run_samples * sample_rate / silence->sample_rate;
    silence->sample_rate = sample_rate;
}

static struct silence_change begin_silence(struct silence *silence) {
    silence->is_silent = true;
    silence->count++;
    return (struct silence_change){
        .event = SILENCE_BEGAN,
        .begin_ns = silence->begin_ns,
        .length_ns = run_ns(silence),
    };
}

struct silence_change silence_end(struct silence *silence, int64_t end_ns) {
    if (!silence->is_silent)
        return (struct silence_change){0};
    const struct silence_change change = {
        .event = SILENCE_ENDED,
        .begin_ns = silence->begin_ns,
        .end_ns = end_ns,
        .length_ns = run_ns(silence),
    };
    silence->total_ns += change.length_ns;
    silence->is_silent = false;
    silence->run_samples = 0;
    return change;
}

struct silence_change silence_advance(struct silence *silence, const struct sound_block *block,
                                      int64_t start_ns, uint32_t *index) {
    const double sample_ns = 1e9 / silence->sample_rate;
    const uint64_t enough = (uint64_t)ceil((double)silence->duration_ns / sample_ns);
    while (*index < block->samples) {
        const uint32_t i = (*index)++;
        const int64_t now_ns = start_ns + (int64_t)(i * sample_ns);
        if (!is_quiet(silence, block, i)) {
            if (silence->is_silent)
                return silence_end(silence, now_ns);
            silence->run_samples = 0;
            continue;
        }
        if (silence->run_samples++ == 0)
            silence->begin_ns = now_ns;
        if (!silence->is_silent && silence->run_samples >= enough)
            return begin_silence(silence);
    }
    return (struct silence_change){0};
}

int64_t silence_total_ns(const struct silence *silence) {
    return silence->total_ns + (silence->is_silent ? run_ns(silence) : 0);
}
