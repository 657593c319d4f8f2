/* bench-compare: the same messages over every road, from one writer to readers in processes of
 * their own, beside the least that it could cost on this machine. docs/bench.md tells the method.
 */
#include "compare_aims.h"
#include "compare_grid.h"
#include "compare_table.h"
#include "compare_workload.h"
#include "place.h"
#include "program.h"
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static struct {
    struct workload_choice choice;
    struct option_list road;
    uint32_t repeats;
    int64_t duration_ns;
    const char *format;
    bool is_checking, is_listing, is_untraced;
} options = {.repeats = 3, .duration_ns = 350000000, .format = "text"};

static const struct option_spec specs[] = {
    {"full", 0, OPTION_FLAG, &options.choice.is_full, NULL,
     "all sizes, numbers of readers and paces, touched or not: an hour"},
    {"road", 'r', OPTION_LIST, &options.road, "ROAD",
     "only this road, see --list; may be given again"},
    {"size", 'S', OPTION_LIST, &options.choice.size, "SIZE",
     "of a payload: 128B, 4KiB, 100MB, 1080p, 2160p; again: more sizes"},
    {"readers", 'n', OPTION_LIST, &options.choice.readers, "COUNT", "1 to 16; again: more"},
    {"pace", 'p', OPTION_LIST, &options.choice.pace, "RATE",
     "messages a second, or saturated; again: more"},
    {"touch", 't', OPTION_LIST, &options.choice.touch, "yes|no",
     "whether every byte is written before, and read after; again: both"},
    {"duration", 'd', OPTION_POSITIVE_DURATION, &options.duration_ns, "TIME",
     "of one run of one road; default 350ms"},
    {"repeats", 0, OPTION_POSITIVE_COUNT, &options.repeats, "COUNT",
     "repetitions, of which the median and the extremes are told; default 3"},
    {"no-strace", 0, OPTION_FLAG, &options.is_untraced, NULL,
     "do not count the system calls of libraries by strace"},
    {"check", 0, OPTION_FLAG, &options.is_checking, NULL,
     "measure nothing: see that every road carries every message as it was sent"},
    {"list", 0, OPTION_FLAG, &options.is_listing, NULL, "what roads there are"},
    {"format", 'f', OPTION_TEXT, &options.format, "text|json", "how to print the figures"},
    {0},
};
static const struct program program = {
    .name = "bench-compare",
    .purpose =
        "Compares shared memory with pipes, sockets and others: latency, rate, work, memory.",
    .notes =
        "Without a choice of sizes, readers, pace or touch: a cross-section in three minutes.\n"
        "It starts a supervisor of its own: $SHMFRAMED, else the one it was built with.",
    .options = specs,
};

static void choose_roads(struct grid *grid) {
    for (const struct road *const *road = roads; *road && options.road.count == 0; road++)
        grid->road[grid->roads++] = *road;
    for (uint32_t i = 0; i < options.road.count; i++) {
        const struct road *road = road_find(options.road.text[i]);
        if (!road || strncmp(road->name, "floor", 5) == 0)
            program_fail_usage("--road: there is no \"%s\"; --list names them",
                               options.road.text[i]);
        grid->road[grid->roads++] = road;
    }
}

static void list_roads(void) {
    for (const struct road *const *road = roads; *road; road++)
        printf("%-14s %s: %s\n", (*road)->name, (*road)->title, (*road)->how);
    report_flush();
}

static json_t *describe(const struct grid *grid) {
    struct utsname machine;
    uname(&machine);
    json_t *hows = json_object();
    for (uint32_t i = 0; i < grid->columns; i++)
        json_object_set_new(hows, grid->road[i]->name, json_string(grid->road[i]->how));
    return json_pack("{s:{s:s, s:s, s:i}, s:I, s:I, s:o, s:o, s:o}", "machine", "kernel",
                     machine.release, "architecture", machine.machine, "processors",
                     (int)place_count(), "repeats", (json_int_t)grid->repeats, "duration_ns",
                     (json_int_t)grid->duration_ns, "how", hows, "cells", grid_describe(grid),
                     "aims", aims_judge(grid));
}

static int check(struct grid *grid, struct workloads *workloads) {
    workloads_choose_check(workloads, &options.choice);
    const bool is_whole = grid_check(grid);
    report_flush();
    return is_whole ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv) {
    static struct workloads workloads;
    if (program_start(&program, argc, argv) != argc)
        program_fail_usage("no operands are taken");
    const enum report_format format = report_format_parse(options.format);
    if (options.repeats > RESULT_REPEATS_MAX)
        program_fail_usage("--repeats: at most %d", RESULT_REPEATS_MAX);
    struct grid grid = {.workloads = &workloads,
                        .repeats = options.repeats,
                        .duration_ns = options.duration_ns,
                        .is_traced = !options.is_untraced};
    choose_roads(&grid);
    if (options.is_listing) {
        list_roads();
        return EXIT_DONE;
    }
    program_stop_on_signals(NULL);
    if (options.is_checking)
        return check(&grid, &workloads);
    workloads_choose(&workloads, &options.choice);
    grid_run(&grid);
    json_t *report = describe(&grid);
    if (format == REPORT_JSON)
        report_print_json(report);
    else {
        table_print(report);
        json_decref(report);
    }
    grid_finish(&grid);
    return EXIT_DONE;
}
