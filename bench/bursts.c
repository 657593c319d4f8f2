/* bench-bursts: what finding bursts costs a second of sound, how far off they are found, and how
 * unlike a burst noise is.
 *
 * Cost: turns, a slice each, of reading every sample once, which is the floor, and of the finder,
 * over the same blocks of noise; the median, as processor time and as a ratio to the floor of the
 * same round. Errors: each of the rooms that the tests know. Noise: every lag is an attempt; how
 * often it is how like a chirp.
 */
#include "burst_filter.h"
#include "program.h"
#include "report.h"
#include "room.h"
#include "sound_block.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCKS = 100 /* a second of them */, ROUNDS_MAX = 1000, LEVELS = 21 };

static struct {
    const char *format;
    uint32_t bursts, rounds, noise_s;
} options = {.format = "text", .bursts = 100, .rounds = 25, .noise_s = 3600};

static const struct option_spec specs[] = {
    {"bursts", 'n', OPTION_COUNT, &options.bursts, "COUNT", "of each condition; default 100"},
    {"rounds", 'r', OPTION_COUNT, &options.rounds, "COUNT", "slices of each lane; default 25"},
    {"noise", 0, OPTION_COUNT, &options.noise_s, "SECONDS", "of noise; default 3600"},
    {"format", 0, OPTION_TEXT, &options.format, "text|json", "how to print the figures"},
    {0},
};
static const struct program program = {
    .name = "bench-bursts",
    .purpose = "Cost, errors and odds of finding the marks in the sound.",
    .options = specs,
};

static uint64_t random_state = 1;

/* White noise from -0.5 to 0.5. */
static float draw(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(random_state >> 40) / (float)(1 << 24) - 0.5F;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double find_median(double *values, uint32_t count) {
    qsort(values, count, sizeof(*values), compare_doubles);
    return values[count / 2];
}

/* ---- Cost ---- */

static const struct lane {
    const char *name, *sample_format;
    uint32_t sample_rate, channels;
} lanes[] = {
    {"16 kHz mono", "flt", 16000, 1},     {"48 kHz stereo", "flt", 48000, 2},
    {"48 kHz stereo", "s16", 48000, 2},   {"48 kHz 5.1", "fltp", 48000, 6},
    {"192 kHz stereo", "flt", 192000, 2},
};
enum { LANES = sizeof(lanes) / sizeof(lanes[0]) };

/* Of this process alone. */
static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The floor: it is not to be left out by the compiler. */
static volatile double sum;

static void read_block(const struct shmframe_lease *lease) {
    struct sound_block block;
    if (sound_block_from_lease(lease, 0, UINT32_MAX, &block) < 0)
        program_fail("%s cannot be read", lease->format->audio.sample_format);
    double total = 0;
    for (uint32_t k = 0; k < block.channels; k++)
        for (uint32_t i = 0; i < block.samples; i++)
            total += sound_block_sample(&block, k, i);
    sum = total;
}

static void fill_noise(const struct shmframe_format *format, uint8_t *slot) {
    const size_t samples = (size_t)format->audio.samples_max * format->audio.channels;
    const bool is_short = strcmp(format->audio.sample_format, "s16") == 0;
    for (size_t i = 0; i < samples; i++)
        if (is_short)
            ((int16_t *)slot)[i] = (int16_t)(draw() * INT16_MAX);
        else
            ((float *)slot)[i] = draw();
}

/* Processor time of a second of sound. */
static double run_slice(struct shmframe_lease *lease, struct burst_finder *finder) {
    const int64_t begin_ns = now_ns();
    for (int i = 0; i < BLOCKS; i++) {
        if (!finder) {
            read_block(lease);
            continue;
        }
        lease->frame.pts += lease->frame.samples;
        lease->frame.capture_ns += 1000000000 / BLOCKS;
        burst_finder_add(finder, lease);
    }
    return (double)(now_ns() - begin_ns) / 1e6;
}

static json_t *measure_lane(const struct lane *lane) {
    struct shmframe_format format;
    struct burst_finder *finder;
    if (shmframe_format_audio(&format, lane->sample_format, lane->channels, lane->sample_rate,
                              lane->sample_rate / BLOCKS) < 0)
        program_fail("%s: %s", lane->name, shmframe_last_error());
    format.time_base = (struct shmframe_rational){1, (int32_t)lane->sample_rate};
    uint8_t *slot = calloc(1, format.slot_bytes);
    if (!slot || burst_finder_create(&format, &finder) < 0)
        program_fail("no memory");
    fill_noise(&format, slot);
    struct shmframe_lease lease = {.data = slot, .format = &format};
    lease.frame.samples = format.audio.samples_max;
    double finder_ms[ROUNDS_MAX], ratio[ROUNDS_MAX];
    for (uint32_t i = 0; i < options.rounds; i++) {
        const double read_ms = run_slice(&lease, NULL);
        finder_ms[i] = run_slice(&lease, finder);
        ratio[i] = finder_ms[i] / read_ms;
    }
    burst_finder_destroy(finder);
    free(slot);
    const double median_ms = find_median(finder_ms, options.rounds);
    return json_pack("{s:s, s:s, s:f, s:f, s:f}", "lane", lane->name, "sample_format",
                     lane->sample_format, "ms_a_second", median_ms, "processor_percent",
                     median_ms / 10, "ratio_to_read", find_median(ratio, options.rounds));
}

/* ---- Errors ---- */

static json_t *measure_room(const struct room *room) {
    static struct room_result result;
    room_play(room, options.bursts, &result);
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:i, s:f}", "room", room->name,
                     "sent", (int)result.sent, "found", (int)result.found, "wrong_beats",
                     (int)result.wrong_beats, "false", (int)result.false_bursts, "p50_us",
                     room_quantile(&result, 0.5) / 1e3, "p99_us",
                     room_quantile(&result, 0.99) / 1e3, "max_us", room_quantile(&result, 1) / 1e3,
                     "beyond_told", (int)result.beyond, "confidence_min", result.confidence);
}

/* ---- Odds ---- */

/* How many lags of noise are at least so like a chirp: level i is i / 20. */
struct odds {
    uint64_t lags, above[LEVELS];
    double highest;
};

static void count_lag(struct odds *odds, const struct burst_lag *lag) {
    for (int which = 0; which < 2; which++) {
        const double likeness =
            lag->power > 0 ? (double)lag->level[which] / sqrt((double)lag->power) : 0;
        odds->highest = fmax(odds->highest, likeness);
        odds->lags++;
        odds->above[(int)fmin(likeness * (LEVELS - 1), LEVELS - 1)]++;
    }
}

/* At 8 kHz: the chirps fill most of the band, so that as much of the noise as can be is heard. */
static struct odds listen_to_noise(void) {
    struct odds odds = {0};
    struct burst_filter *filter;
    if (burst_filter_create(BURST_RATE_MIN, &filter) < 0)
        program_fail("no memory");
    const struct burst_filter_size *size = burst_filter_size(filter);
    float *samples = calloc(size->samples, sizeof(float));
    struct burst_lag *lags = calloc(size->lags, sizeof(struct burst_lag));
    if (!samples || !lags)
        program_fail("no memory");
    const uint64_t end = (uint64_t)options.noise_s * BURST_RATE_MIN;
    for (uint64_t at = 0; at < end; at += size->step) {
        memmove(samples, samples + size->step, (size->samples - size->step) * sizeof(float));
        for (uint32_t i = size->samples - size->step; i < size->samples; i++)
            samples[i] = draw();
        burst_filter_run(filter, samples, lags);
        for (uint32_t i = 0; at > 0 && i < size->lags; i++)
            count_lag(&odds, &lags[i]);
    }
    for (int i = LEVELS - 2; i >= 0; i--)
        odds.above[i] += odds.above[i + 1];
    free(samples);
    free(lags);
    burst_filter_destroy(filter);
    return odds;
}

static json_t *measure_noise(void) {
    const struct odds odds = listen_to_noise();
    json_t *above = json_array();
    for (int i = 0; i < LEVELS; i++)
        json_array_append_new(above, json_real((double)odds.above[i] / (double)odds.lags));
    return json_pack("{s:i, s:I, s:f, s:o}", "seconds", (int)options.noise_s, "lags",
                     (json_int_t)odds.lags, "highest", odds.highest, "share_above", above);
}

/* ---- Words ---- */

static double number(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static const char *word(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static void print_costs(const json_t *costs) {
    size_t i;
    json_t *at;
    printf("%-22s %12s %12s %10s\n", "cost", "ms a second", "processor", "of read");
    json_array_foreach(costs, i, at) printf(
        "%-16s %-5s %12.3f %10.3f %% %10.2f\n", word(at, "lane"), word(at, "sample_format"),
        number(at, "ms_a_second"), number(at, "processor_percent"), number(at, "ratio_to_read"));
}

static void print_rooms(const json_t *found) {
    size_t i;
    json_t *at;
    printf("\n%-24s %11s %6s %6s %8s %8s %8s %8s %11s\n", "errors, us", "found", "wrong", "false",
           "p50", "p99", "max", "beyond", "confidence");
    json_array_foreach(found, i, at)
        printf("%-24s %5.0f/%5.0f %6.0f %6.0f %8.1f %8.1f %8.1f %8.0f %11.2f\n", word(at, "room"),
               number(at, "found"), number(at, "sent"), number(at, "wrong_beats"),
               number(at, "false"), number(at, "p50_us"), number(at, "p99_us"),
               number(at, "max_us"), number(at, "beyond_told"), number(at, "confidence_min"));
}

static void print_noise(const json_t *noise) {
    size_t i;
    json_t *at;
    printf("\n%.0f s of noise: the most like a chirp of %.3g lags is %.3f\n",
           number(noise, "seconds"), number(noise, "lags"), number(noise, "highest"));
    json_array_foreach(json_object_get(noise, "share_above"), i, at) if (json_real_value(at) > 0)
        printf("above %.2f: %.3g\n", (double)i / (LEVELS - 1), json_real_value(at));
}

int main(int argc, char **argv) {
    program_start(&program, argc, argv);
    const enum report_format format = report_format_parse(options.format);
    if (options.bursts < 1 || options.bursts > ROOM_BURSTS_MAX)
        program_fail_usage("--bursts should be 1 to %d", ROOM_BURSTS_MAX);
    if (options.rounds < 1 || options.rounds > ROUNDS_MAX)
        program_fail_usage("--rounds should be 1 to %d", ROUNDS_MAX);
    json_t *costs = json_array(), *found = json_array();
    for (int i = 0; i < LANES; i++)
        json_array_append_new(costs, measure_lane(&lanes[i]));
    for (uint32_t i = 0; i < room_count; i++)
        json_array_append_new(found, measure_room(&rooms[i]));
    json_t *all =
        json_pack("{s:o, s:o, s:o}", "costs", costs, "rooms", found, "noise", measure_noise());
    if (format == REPORT_JSON) {
        report_print_json(all);
        return EXIT_DONE;
    }
    print_costs(costs);
    print_rooms(found);
    print_noise(json_object_get(all, "noise"));
    json_decref(all);
    report_flush();
    return EXIT_DONE;
}
