#include "simulated.h"

#include "run.h"

#include <math.h>
#include <stdlib.h>

/* The next random number of `state`, which is not 0: from 0 to below 1. */
static double draw(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * UINT64_C(2685821657736338717)) >> 11) * 0x1p-53;
}

static double draw_normal(uint64_t *state) {
    return sqrt(-2 * log(1 - draw(state))) * cos(2 * M_PI * draw(state));
}

static void add_frames(struct run *run, const struct simulated *like, uint64_t *state) {
    const double keep = like->memory_s > 0 ? exp(-1 / (like->memory_s * like->rate_hz)) : 0;
    const double shift = like->run_spread * draw_normal(state);
    const int64_t period_ns = INT64_C(1000000000) / (like->rate_hz ? like->rate_hz : 1);
    double level = draw_normal(state);
    uint64_t sequence = 1;
    double second_shift = 0;
    int in_spike = 0;
    for (uint32_t i = 0; i < like->seconds * like->rate_hz; i++) {
        if (like->second_spread > 0 && i % like->rate_hz == 0)
            second_shift = like->second_spread * draw_normal(state);
        if (like->has_gaps && i / like->rate_hz % 2)
            continue;
        level = keep * level + sqrt(1 - keep * keep) * draw_normal(state);
        if (draw(state) < like->spikes_hz / like->rate_hz)
            in_spike = 1 + (int)(4 * draw(state));
        const double spike = in_spike ? 20 + 80 * draw(state) : 1;
        in_spike -= in_spike > 0;
        const int64_t transit_ns =
            (int64_t)(like->transit_ns * exp(like->spread * level + shift + second_shift) * spike);
        struct run_frame frame = {.publish_ns = 1000000000 + i * period_ns, .sequence = sequence};
        frame.acquire_ns = frame.publish_ns + transit_ns;
        if (draw(state) < like->losses_hz / like->rate_hz)
            frame.lost = 1 + (uint64_t)(4 * draw(state));
        sequence += 1 + frame.lost;
        if (run_add_frame(run, &frame) < 0)
            abort();
    }
}

struct comparison_run *simulated_create(const struct simulated *like, uint64_t *state) {
    struct run *run = run_create("simulated", 1000000000);
    struct comparison_run *made = calloc(1, sizeof(*made));
    if (!run || !made)
        abort();
    add_frames(run, like, state);
    if (run_end(run, &(struct hops){0}, 0) < 0)
        abort();
    made->duration_ns = like->seconds * INT64_C(1000000000);
    made->block_ns = run->blocks.block_ns;
    made->block = run->blocks.block;
    made->blocks = run->blocks.count;
    run->blocks.block = NULL; /* taken */
    run->blocks.count = 0;
    run_destroy(run);
    return made;
}

void simulated_destroy(struct comparison_run *run) {
    for (size_t i = 0; i < run->blocks; i++)
        for (int hop = 0; hop < RUN_HOPS; hop++)
            free(run->block[i].hop[hop].value);
    free(run->block);
    free(run);
}
