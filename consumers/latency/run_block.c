#include "run_block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Eight significant bits: exact below 256 ns, then 128 steps in each power of two, up to 2^40 ns.
 */
enum { STEP_BITS = 7, STEPS = 1 << STEP_BITS, LAST_BIT = 40 };
enum { SLOTS = (LAST_BIT - STEP_BITS + 1) * STEPS };

/* The newest block while it grows: where a value counts is found without searching. */
struct run_block_counts {
    struct run_block block; /* its values are empty */
    bool is_used;
    uint32_t count[RUN_HOPS][SLOTS];
};

static const struct {
    const char *name, *meaning;
} hops[RUN_HOPS] = {
    [RUN_HOP_PRODUCE] = {"produce", "capture to publish: in the producer"},
    [RUN_HOP_WAKE] = {"wake",
                      "publish to awake, of frames that the reader slept for: the kernel's part"},
    [RUN_HOP_TRANSIT] = {"transit", "publish to acquire: through the shared ring"},
    [RUN_HOP_HOLD] = {"hold", "acquire to release: as long as the reader kept the frame"},
    [RUN_HOP_AGE] = {"age", "capture to acquire: the total"},
    [RUN_HOP_DISPLAY] = {"display", "capture to shown, as the reader told"},
    [RUN_HOP_MARK_AGE] = {"mark_age",
                          "capture of the marked picture to acquire, at its first sight"},
    [RUN_HOP_SEEN] = {"seen",
                      "capture of the marked picture to capture of the frame that shows it"},
    [RUN_HOP_SHOWN_FOR] = {"shown_for",
                           "first sight of a marked picture to first sight of the next"},
    [RUN_HOP_SKEW] = {"skew", "between picture and sound of the same flash, without its sign"},
};

static const char *const events[RUN_EVENTS] = {
    [RUN_EVENT_LOST] = "lost",
    [RUN_EVENT_SKIPPED] = "skipped",
    [RUN_EVENT_DROPPED] = "dropped",
    [RUN_EVENT_MARK_LOST] = "mark_lost",
    [RUN_EVENT_MARK_MISSING] = "mark_missing",
    [RUN_EVENT_TORN] = "torn",
    [RUN_EVENT_REPEATED] = "repeated",
};

const char *run_hop_name(enum run_hop hop) {
    return hops[hop].name;
}

const char *run_hop_meaning(enum run_hop hop) {
    return hops[hop].meaning;
}

const char *run_event_name(enum run_event event) {
    return events[event];
}

/* ---- rounded values ---- */

/* What slot i stands for: i up to 255, then eight bits and zeros. */
static int64_t slot_value_ns(uint32_t slot) {
    if (slot < 2 * STEPS)
        return slot;
    const uint32_t shift = slot / STEPS - 1;
    return (int64_t)(STEPS + slot % STEPS) << shift;
}

static uint32_t find_slot(int64_t value_ns) {
    if (value_ns < 2 * STEPS)
        return value_ns > 0 ? (uint32_t)value_ns : 0;
    const uint32_t exponent = 63 - (uint32_t)__builtin_clzll((uint64_t)value_ns);
    const uint32_t shift = exponent - STEP_BITS;
    /* To the nearest, not down: a mean error of nothing. It may reach the next power of two. */
    const uint64_t bits = ((uint64_t)value_ns + (UINT64_C(1) << shift >> 1)) >> shift;
    const uint64_t slot = (uint64_t)shift * STEPS + bits;
    return slot < SLOTS ? (uint32_t)slot : SLOTS - 1;
}

int64_t run_value_round(int64_t value_ns) {
    return slot_value_ns(find_slot(value_ns));
}

/* `into` += `from`, which stays. Errors: -ENOMEM. */
static int merge_values(struct run_values *into, const struct run_values *from) {
    if (from->count == 0)
        return 0;
    struct run_value *merged = malloc((into->count + from->count) * sizeof(*merged));
    if (!merged)
        return -ENOMEM;
    size_t a = 0, b = 0, count = 0;
    while (a < into->count || b < from->count) {
        const bool is_a = b == from->count ||
                          (a < into->count && into->value[a].value_ns <= from->value[b].value_ns);
        const struct run_value next = is_a ? into->value[a++] : from->value[b++];
        if (count && merged[count - 1].value_ns == next.value_ns)
            merged[count - 1].count += next.count;
        else
            merged[count++] = next;
    }
    free(into->value);
    *into = (struct run_values){.value = merged, .count = count};
    return 0;
}

uint64_t run_values_total(const struct run_values *values) {
    uint64_t total = 0;
    for (size_t i = 0; i < values->count; i++)
        total += values->value[i].count;
    return total;
}

int64_t run_values_quantile_ns(const struct run_values *values, double quantile) {
    const uint64_t total = run_values_total(values);
    const double wanted = quantile * (double)total;
    uint64_t below = 0;
    for (size_t i = 0; i < values->count; i++) {
        below += values->value[i].count;
        if ((double)below >= wanted || below == total)
            return values->value[i].value_ns;
    }
    return 0;
}

/* ---- blocks ---- */

static void clear_block(struct run_block *block) {
    for (int hop = 0; hop < RUN_HOPS; hop++)
        free(block->hop[hop].value);
}

int run_blocks_init(struct run_blocks *blocks) {
    *blocks = (struct run_blocks){.block_ns = RUN_BLOCK_NS};
    blocks->block = calloc(RUN_BLOCKS_MAX, sizeof(*blocks->block));
    blocks->open = calloc(1, sizeof(*blocks->open));
    if (blocks->block && blocks->open)
        return 0;
    run_blocks_finish(blocks);
    return -ENOMEM;
}

void run_blocks_finish(struct run_blocks *blocks) {
    for (size_t i = 0; i < blocks->count; i++)
        clear_block(&blocks->block[i]);
    free(blocks->block);
    free(blocks->open);
    *blocks = (struct run_blocks){0};
}

static int take_values(const uint32_t counts[SLOTS], struct run_values *out_values) {
    size_t count = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        count += counts[slot] != 0;
    *out_values = (struct run_values){0};
    if (count == 0)
        return 0;
    out_values->value = malloc(count * sizeof(*out_values->value));
    if (!out_values->value)
        return -ENOMEM;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (counts[slot])
            out_values->value[out_values->count++] =
                (struct run_value){.value_ns = slot_value_ns(slot), .count = counts[slot]};
    return 0;
}

/* `into` += `from`, whose memory is freed. */
static int merge_blocks(struct run_block *into, struct run_block *from) {
    int result = 0;
    into->frames += from->frames;
    for (int event = 0; event < RUN_EVENTS; event++)
        into->event[event] += from->event[event];
    for (int hop = 0; hop < RUN_HOPS && result == 0; hop++)
        result = merge_values(&into->hop[hop], &from->hop[hop]);
    clear_block(from);
    return result;
}

static int double_length(struct run_blocks *blocks) {
    size_t count = 0;
    int result = 0;
    blocks->block_ns *= 2;
    for (size_t i = 0; i < blocks->count; i++) {
        struct run_block *block = &blocks->block[i];
        block->number /= 2;
        if (count && blocks->block[count - 1].number == block->number) {
            const int merged = merge_blocks(&blocks->block[count - 1], block);
            result = merged < 0 ? merged : result;
        } else {
            blocks->block[count++] = *block;
        }
    }
    blocks->count = count;
    blocks->open->block.number /= 2;
    return result;
}

/* Moves the open block to the others. */
static int put_away(struct run_blocks *blocks) {
    struct run_block_counts *open = blocks->open;
    int result = 0;
    if (!open->is_used)
        return 0;
    for (int hop = 0; hop < RUN_HOPS && result == 0; hop++)
        result = take_values(open->count[hop], &open->block.hop[hop]);
    struct run_block *last = blocks->count ? &blocks->block[blocks->count - 1] : NULL;
    if (result < 0)
        clear_block(&open->block);
    else if (last && last->number == open->block.number)
        result = merge_blocks(last, &open->block);
    else
        blocks->block[blocks->count++] = open->block;
    memset(open, 0, sizeof(*open));
    return result;
}

int run_blocks_open(struct run_blocks *blocks, int64_t since_ns) {
    struct run_block_counts *open = blocks->open;
    const uint64_t number = since_ns > 0 ? (uint64_t)(since_ns / blocks->block_ns) : 0;
    if (open->is_used && number <= open->block.number)
        return 0;
    int result = put_away(blocks);
    open->is_used = true;
    open->block.number = number;
    while (blocks->count == RUN_BLOCKS_MAX) {
        const int doubled = double_length(blocks);
        result = doubled < 0 ? doubled : result;
    }
    return result;
}

void run_blocks_add_frame(struct run_blocks *blocks) {
    blocks->open->block.frames++;
}

void run_blocks_add_event(struct run_blocks *blocks, enum run_event event, uint64_t count) {
    blocks->open->block.event[event] += count;
}

void run_blocks_add_value(struct run_blocks *blocks, enum run_hop hop, int64_t value_ns) {
    blocks->open->count[hop][find_slot(value_ns)]++;
}

int run_blocks_close(struct run_blocks *blocks) {
    return put_away(blocks);
}
