/* Plays the pattern's sound as plain floats, and listens to such for bursts.
 *
 *     tape play RATE CHANNELS SECONDS > FILE
 *     tape listen RATE CHANNELS < FILE     each burst a line: start in ns, beat, level, confidence
 */
#include "burst_finder.h"
#include "tone.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct shmframe_format describe(uint32_t rate, uint32_t channels) {
    struct shmframe_format format;
    if (shmframe_format_audio(&format, "flt", channels, rate, rate / 100) < 0)
        exit(2);
    format.time_base = (struct shmframe_rational){1, (int32_t)rate};
    return format;
}

static int play(const struct shmframe_format *format, uint32_t seconds) {
    const uint32_t block = format->audio.samples_max;
    uint8_t *slot = calloc(1, format->slot_bytes);
    struct tone tone;
    if (!slot || tone_init(&tone, format, (struct shmframe_rational){60, 1}, 440) < 0 ||
        tone_use_marks(&tone) < 0)
        return 2;
    const int64_t end = (int64_t)seconds * format->audio.sample_rate;
    for (int64_t sample = 0; sample < end; sample += block) {
        tone_fill(&tone, slot, sample, block);
        fwrite(slot, sizeof(float) * format->audio.channels, block, stdout);
    }
    free(slot);
    return fflush(stdout) == 0 ? 0 : 1;
}

static void tell(struct burst_finder *finder) {
    struct burst_sound sound;
    while (burst_finder_next(finder, &sound))
        printf("%" PRId64 " %d %.4f %.3f\n", sound.start_ns, sound.beat, (double)sound.level,
               (double)sound.confidence);
}

static int listen_to(const struct shmframe_format *format) {
    uint8_t *slot = calloc(1, format->slot_bytes);
    struct burst_finder *finder;
    if (!slot || burst_finder_create(format, &finder) < 0)
        return 2;
    struct shmframe_lease lease = {.data = slot, .format = format};
    size_t count;
    while ((count = fread(slot, sizeof(float) * format->audio.channels, format->audio.samples_max,
                          stdin)) > 0) {
        const int64_t sample = (int64_t)lease.frame.sequence++ * format->audio.samples_max;
        lease.frame.pts = sample;
        lease.frame.samples = (uint32_t)count;
        lease.frame.capture_ns = sample * 1000000000 / format->audio.sample_rate;
        burst_finder_add(finder, &lease);
        tell(finder);
    }
    burst_finder_destroy(finder);
    free(slot);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    const struct shmframe_format format =
        describe((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]));
    if (strcmp(argv[1], "play") == 0 && argc == 5)
        return play(&format, (uint32_t)atoi(argv[4]));
    return strcmp(argv[1], "listen") == 0 ? listen_to(&format) : 2;
}
