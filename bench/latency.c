/* bench-latency: what a frame's way costs, beside the least that it could cost on this machine. */
#include "calls.h"
#include "figures.h"
#include "place.h"
#include "program.h"
#include "rate.h"
#include "report.h"
#include "scene.h"
#include "supervisor.h"

#include <string.h>

static const uint32_t reader_counts[] = {1, 2, 4};
static const uint32_t link_counts[] = {1, 16};
enum { SLICES = 5 };

struct size {
    const char *name;
    uint32_t bytes, width, height; /* a datum, or a yuv420p picture */
    /* From one frame to the next while it is written and read: time for that, and as much again. */
    int64_t touched_pace_ns;
};
static const struct size sizes[] = {
    {.name = "128 B", .bytes = 128, .touched_pace_ns = 1000000},
    {.name = "4 KiB", .bytes = 4096, .touched_pace_ns = 1000000},
    {.name = "1080p", .width = 1920, .height = 1080, .touched_pace_ns = 5000000},
    {.name = "2160p", .width = 3840, .height = 2160, .touched_pace_ns = 20000000},
};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static bool is_quick;
static const char *format_name = "text", *part = "all";
static uint32_t repeats = 7, frames = 500;

static const struct option_spec options[] = {
    {.name = "frames",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .out = &frames,
     .argument = "COUNT",
     .help = "frames in each repetition; default 500, spinning ten times as many, large touched "
             "payloads a fifth"},
    {.name = "repeats",
     .letter = 'r',
     .kind = OPTION_COUNT,
     .out = &repeats,
     .argument = "COUNT",
     .help = "repetitions, of which the median and the extremes are told; default 7"},
    {.name = "part",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .out = &part,
     .argument = "PART",
     .help = "only a part: sleeping, spinning, calls, rate; default: all"},
    {.name = "quick",
     .letter = 'q',
     .kind = OPTION_FLAG,
     .out = &is_quick,
     .help = "a tenth of the frames, 3 repetitions: to see that it works"},
    {.name = "format",
     .letter = 'f',
     .kind = OPTION_TEXT,
     .out = &format_name,
     .argument = "FORMAT",
     .help = "text (default) or json"},
    {0},
};
static const struct program program = {
    .name = "bench-latency",
    .purpose = "Compares the library's latency with raw futexes and a cache line carried one way.",
    .notes = "It starts a supervisor of its own: $SHMFRAMED, else the one it was built with.",
    .options = options,
};

static void complete_format(const struct size *size, struct shmframe_format *out_format) {
    const int code = size->bytes
                         ? shmframe_format_data(out_format, "bench", size->bytes)
                         : shmframe_format_video(out_format, "yuv420p", size->width, size->height);
    if (code < 0 || shmframe_format_complete(out_format) < 0)
        program_fail_call(size->name);
}

/* Slices of equal length, with at least one frame. */
static uint32_t round_frames(uint32_t count) {
    return count < SLICES ? SLICES : count / SLICES * SLICES;
}

static void add_lane(struct board *plan, const struct size *size, bool is_floor, bool is_touched) {
    struct board_lane *lane = &plan->lane[plan->lanes++];
    *lane = (struct board_lane){
        .name = size->name, .is_floor = is_floor, .is_touched = is_touched, .slices = SLICES};
    complete_format(size, &lane->format);
    const int64_t pace_ns = plan->is_spinning ? 50000 : 1000000;
    lane->pace_ns = pace_ns;
    lane->frames = round_frames(plan->is_spinning ? 10 * frames : frames);
    if (is_touched && !size->bytes) {
        lane->pace_ns = size->touched_pace_ns;
        lane->frames = round_frames(frames / 5);
    }
}

static void run_scene(uint32_t readers, bool is_spinning, bool is_touched) {
    static struct board plan;
    memset(&plan, 0, sizeof(plan));
    plan.readers = readers;
    plan.repeats = repeats;
    plan.is_spinning = is_spinning;
    if (!is_touched)
        add_lane(&plan, &sizes[0], true, false);
    for (unsigned i = 0; i < SIZES; i++) {
        if (is_touched)
            add_lane(&plan, &sizes[i], true, true);
        add_lane(&plan, &sizes[i], false, is_touched);
    }
    struct board *board = board_create(&plan);
    scene_run(board);
    figures_add_scene(board);
    board_destroy(board);
}

static void run_scenes(bool is_spinning) {
    for (unsigned i = 0; i < sizeof(reader_counts) / sizeof(reader_counts[0]); i++) {
        const uint32_t readers = reader_counts[i];
        if (is_spinning && readers >= place_count()) {
            figures_skip_scene(readers, is_spinning,
                               "each one that spins, and the writer, takes a processor of its own");
            continue;
        }
        run_scene(readers, is_spinning, false);
        run_scene(readers, is_spinning, true);
    }
}

static void run_calls(void) {
    const uint32_t rounds = is_quick ? 20 : 200;
    for (unsigned i = 0; i < sizeof(link_counts) / sizeof(link_counts[0]); i++)
        for (int is_apart = place_count() > 1; is_apart >= 0; is_apart--) {
            struct calls_result result;
            calls_run(link_counts[i], is_apart, repeats, rounds, &result);
            figures_add_calls(link_counts[i], is_apart, repeats, &result);
        }
}

static void run_rates(void) {
    enum { SPIN_NS = 1000000 };
    const uint32_t count = is_quick ? 100000 : 2000000;
    const struct rate_plan plans[] = {
        {.name = "one at a time", .loans = 1, .leases = 1, .spin_ns = SPIN_NS},
        {.name = "one at a time, touched",
         .loans = 1,
         .leases = 1,
         .spin_ns = SPIN_NS,
         .is_touched = true},
        {.name = "one at a time, sleeping", .loans = 1, .leases = 1},
        {.name = "batched", .loans = 16, .leases = 6, .spin_ns = SPIN_NS},
        {.name = "batched, touched",
         .loans = 16,
         .leases = 6,
         .spin_ns = SPIN_NS,
         .is_touched = true},
        {.name = "batched, sleeping", .loans = 16, .leases = 6},
    };
    for (unsigned i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct rate_plan plan = plans[i];
        struct rate_result result;
        plan.frames = count;
        rate_run(&plan, repeats, &result);
        figures_add_rate(&plan, repeats, &result);
    }
}

static bool is_part(const char *name) {
    return strcmp(part, "all") == 0 || strcmp(part, name) == 0;
}

int main(int argc, char **argv) {
    program_start(&program, argc, argv);
    const bool is_json = report_format_parse(format_name) == REPORT_JSON;
    if (!is_part("sleeping") && !is_part("spinning") && !is_part("calls") && !is_part("rate"))
        program_fail_usage("--part: \"%s\" should be sleeping, spinning, calls, rate or all", part);
    if (is_quick) {
        repeats = 3;
        frames = 50;
    }
    if (repeats < 1 || repeats > BOARD_REPEATS_MAX || repeats > CALLS_REPEATS_MAX)
        program_fail_usage("--repeats: 1 to %d", BOARD_REPEATS_MAX);
    if (frames < 1 || frames > 100000)
        program_fail_usage("--frames: 1 to 100000");
    supervisor_start();
    figures_start(is_json, is_quick);
    if (is_part("calls"))
        run_calls();
    if (is_part("rate"))
        run_rates();
    if (is_part("sleeping"))
        run_scenes(false);
    if (is_part("spinning"))
        run_scenes(true);
    figures_finish();
    return EXIT_DONE;
}
