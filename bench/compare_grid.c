#include "compare_grid.h"

#include "place.h"
#include "program.h"
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_PERIOD_NS 50000 /* of the cache line that saturated cells are compared with */
#define PACED_MIN      20    /* messages: a slow pace takes longer than asked for */
enum {
    BATCH_BYTES = 1 << 20, /* a batch is no larger: it is for what is small */
    COPY_BYTES = 64 << 10, /* saturated payloads from this size on are compared with memcpy() */
    COPIES = 5,
    CHECKED_MESSAGES = 12,
    TRACED_MESSAGES = 200,
    MORE_RUNS = 2,   /* of a road in a repetition, where others disturb it */
    RUNS_A_MORE = 4, /* one of them for so many of all runs */
};

struct result *grid_result(const struct grid *grid, uint32_t workload, uint32_t column) {
    return &grid->result[workload * grid->columns + column];
}

struct result *grid_find(const struct grid *grid, uint32_t workload, const char *road) {
    for (uint32_t column = 0; column < grid->columns; column++)
        if (strcmp(grid->road[column]->name, road) == 0) {
            struct result *result = grid_result(grid, workload, column);
            return result->repeats > 0 ? result : NULL;
        }
    return NULL;
}

/* ---- one cell ---- */

static uint32_t choose_batch(const struct road *road, size_t bytes) {
    const size_t most = BATCH_BYTES / bytes;
    if (road->batch <= 1 || most <= 1)
        return 1;
    return most < road->batch ? (uint32_t)most : road->batch;
}

/* How a cell of the table is run. */
static struct cell choose_cell(const struct grid *grid, uint32_t workload, uint32_t column) {
    const struct workload *load = &grid->workloads->workload[workload];
    const struct road *road = grid->road[column];
    const uint32_t batch = choose_batch(road, load->bytes);
    struct cell cell = {
        .plan = {.road = road,
                 .bytes = load->bytes,
                 .readers = load->readers,
                 .batch = batch,
                 .held = batch,
                 .spin_ns = road->spin_ns,
                 .is_saturated = load->period_ns == 0},
        .period_ns = load->period_ns,
        .duration_ns = grid->duration_ns,
        .is_touched = load->is_touched,
    };
    if (cell.duration_ns < PACED_MIN * cell.period_ns)
        cell.duration_ns = PACED_MIN * cell.period_ns;
    /* A floor has nothing that would make its sender wait: it is run at a pace. */
    if (column >= grid->roads && !cell.period_ns) {
        cell.plan.readers = 1;
        cell.plan.is_saturated = cell.is_touched = false;
        cell.period_ns = LINE_PERIOD_NS;
    }
    return cell;
}

static const char *find_why_not(const struct grid *grid, uint32_t workload, uint32_t column) {
    const struct workload *load = &grid->workloads->workload[workload];
    const struct cell cell = choose_cell(grid, workload, column);
    const bool is_floor = column >= grid->roads;
    if (is_floor && load->period_ns == 0 && grid->road[column]->spin_ns == 0)
        return "it is compared with the cache line, or with memcpy()";
    if (load->is_own_only && cell.plan.road->copies_each > 0)
        return "left out of the short form: each message takes as long as it takes to copy it";
    return cell_why_not(&cell);
}

static double measure_copy(size_t bytes) {
    uint8_t *from = road_make_buffer(bytes), *to = road_make_buffer(bytes);
    double sample[COPIES];
    place_pin(0);
    for (int i = 0; i < COPIES; i++) {
        const int64_t begin_ns = shmframe_now_ns();
        memcpy(to, from, bytes);
        __asm__ volatile("" : : "r"(to) : "memory");
        sample[i] = (double)(shmframe_now_ns() - begin_ns);
    }
    place_unpin();
    free(from);
    free(to);
    return spread_find(sample, COPIES).median;
}

/* ---- all of them ---- */

static void show(const struct grid *grid, uint32_t repeat, uint32_t workload, uint32_t column) {
    char text[96];
    if (!progress_is_shown())
        return;
    workload_describe(&grid->workloads->workload[workload], text, sizeof(text));
    const double rows = grid->workloads->count;
    progress_update("%3.0f %%  %s: %s",
                    100 * (repeat + (workload + (double)column / grid->columns) / rows) /
                        grid->repeats,
                    text, grid->road[column]->title);
}

static void trace(const struct grid *grid, const struct cell *measured, struct result *result) {
    struct cell cell = *measured;
    if (!grid->is_traced || cell.plan.road->is_counted)
        return;
    cell.is_traced = true;
    cell.messages = cell.period_ns && cell.duration_ns / cell.period_ns < TRACED_MESSAGES
                        ? (uint32_t)(cell.duration_ns / cell.period_ns)
                        : TRACED_MESSAGES;
    struct cell_run *run = cell_run(&cell);
    result_add_trace(result, run);
    cell_run_destroy(run);
}

/* Again while others disturb it, up to bounds: the run in which they took least. */
static struct cell_run *run_quietly(struct grid *grid, const struct cell *cell) {
    struct cell_run *best = cell_run(cell);
    grid->runs++;
    for (uint32_t more = 0; more < MORE_RUNS && best->others_share > RESULT_DISTURBED; more++) {
        if (grid->more_runs > grid->runs / RUNS_A_MORE)
            break; /* always busy: nothing is gained */
        grid->more_runs++;
        struct cell_run *run = cell_run(cell);
        const bool is_better = run->others_share < best->others_share;
        cell_run_destroy(is_better ? best : run);
        best = is_better ? run : best;
    }
    return best;
}

static void run_one(struct grid *grid, uint32_t repeat, uint32_t workload, uint32_t column) {
    struct result *result = grid_result(grid, workload, column);
    if (result->why_not)
        return;
    show(grid, repeat, workload, column);
    const struct cell cell = choose_cell(grid, workload, column);
    struct cell_run *run = run_quietly(grid, &cell);
    result_add(result, run);
    cell_run_destroy(run);
    if (repeat == 0)
        trace(grid, &cell, result);
}

static struct result *find_floor(const struct grid *grid, uint32_t workload,
                                 const struct road *road) {
    return grid_find(grid, workload, road->spin_ns == INT64_MAX ? "floor-line" : "floor-futex");
}

static void add_ratios(struct grid *grid, uint32_t repeat, uint32_t workload) {
    const struct workload *load = &grid->workloads->workload[workload];
    const double copy_ns = grid->copy_ns[workload * grid->repeats + repeat];
    const struct result *line = grid_find(grid, workload, "floor-line");
    for (uint32_t column = 0; column < grid->roads; column++) {
        struct result *result = grid_result(grid, workload, column);
        const struct result *floor = find_floor(grid, workload, result->road);
        if (result->why_not)
            continue;
        if (load->period_ns && floor)
            result_add_ratio(result, floor);
        else if (!load->period_ns && load->bytes >= COPY_BYTES)
            result_add_floor_ns(result, copy_ns);
        else if (!load->period_ns && line)
            result_add_floor_ns(result, line->figure[RESULT_P50][repeat]);
    }
}

static void prepare(struct grid *grid) {
    for (const struct road *const *floor = floors; *floor; floor++)
        grid->road[grid->columns++] = *floor;
    grid->result = result_table_create((size_t)grid->workloads->count * grid->columns);
    grid->copy_ns = calloc((size_t)grid->workloads->count * grid->repeats, sizeof(*grid->copy_ns));
    if (!grid->copy_ns)
        program_fail("no memory for the results");
    for (uint32_t workload = 0; workload < grid->workloads->count; workload++)
        for (uint32_t column = 0; column < grid->columns; column++)
            *grid_result(grid, workload, column) = (struct result){
                .road = grid->road[column],
                .why_not = find_why_not(grid, workload, column),
                .traced_calls = {-1, -1},
            };
}

/* Each road, and right behind the ring's ways what they are compared with. */
static void choose_order(struct grid *grid) {
    uint32_t count = 0;
    bool is_placed[GRID_ROADS_MAX] = {false};
    for (uint32_t column = 0; column < grid->columns; column++) {
        const struct road *road = grid->road[column];
        if (is_placed[column])
            continue;
        grid->order[count++] = column;
        is_placed[column] = true;
        for (uint32_t floor = grid->roads; floor < grid->columns; floor++)
            if (strncmp(road->name, "ring", 4) == 0 && !is_placed[floor] &&
                road->spin_ns == grid->road[floor]->spin_ns) {
                grid->order[count++] = floor;
                is_placed[floor] = true;
            }
    }
}

void grid_run(struct grid *grid) {
    grid->columns = grid->roads;
    prepare(grid);
    choose_order(grid);
    for (uint32_t repeat = 0; repeat < grid->repeats; repeat++)
        for (uint32_t workload = 0; workload < grid->workloads->count; workload++) {
            grid->copy_ns[workload * grid->repeats + repeat] =
                measure_copy(grid->workloads->workload[workload].bytes);
            const uint32_t first = repeat * grid->columns / grid->repeats;
            for (uint32_t i = 0; i < grid->columns; i++)
                run_one(grid, repeat, workload, grid->order[(first + i) % grid->columns]);
            add_ratios(grid, repeat, workload);
        }
    progress_clear();
}

void grid_finish(struct grid *grid) {
    result_table_destroy(grid->result, (size_t)grid->workloads->count * grid->columns);
    free(grid->copy_ns);
}

json_t *grid_describe(const struct grid *grid) {
    json_t *cells = json_array();
    for (uint32_t workload = 0; workload < grid->workloads->count; workload++) {
        const struct workload *load = &grid->workloads->workload[workload];
        const struct spread copy =
            spread_find(&grid->copy_ns[workload * grid->repeats], grid->repeats);
        char text[96];
        workload_describe(load, text, sizeof(text));
        json_t *results[2] = {json_array(), json_array()};
        for (uint32_t column = 0; column < grid->columns; column++)
            json_array_append_new(
                results[column >= grid->roads],
                result_describe(grid_result(grid, workload, column), load->readers));
        json_array_append_new(
            cells,
            json_pack("{s:s, s:s, s:I, s:i, s:I, s:b, s:{s:f, s:f, s:f}, s:o, s:o}", "cell", text,
                      "size", load->size, "bytes", (json_int_t)load->bytes, "readers",
                      (int)load->readers, "period_ns", (json_int_t)load->period_ns, "is_touched",
                      load->is_touched, "copy_ns", "median", copy.median, "least", copy.least,
                      "most", copy.most, "floors", results[1], "roads", results[0]));
    }
    return cells;
}

/* ---- checking ---- */

static bool check_one(const struct grid *grid, uint32_t workload, uint32_t column,
                      const char *text) {
    struct cell cell = choose_cell(grid, workload, column);
    const char *why_not = cell_why_not(&cell);
    cell.is_checked = true;
    cell.messages = CHECKED_MESSAGES * cell.plan.batch;
    if (why_not) {
        printf("%-14s %s: not run: %s\n", cell.plan.road->name, text, why_not);
        return true;
    }
    uint64_t received = 0, lost = 0;
    struct cell_run *run = cell_run(&cell);
    for (uint32_t i = 0; i < cell.plan.readers; i++) {
        received += run->side[i].messages;
        lost += run->side[i].lost;
    }
    const uint64_t wanted = (uint64_t)cell.messages * cell.plan.readers;
    const bool is_whole = received + lost == wanted && (lost == 0 || !cell.plan.is_saturated);
    printf("%-14s %s: %llu of %llu messages, each as it was sent%s\n", cell.plan.road->name, text,
           (unsigned long long)received, (unsigned long long)wanted,
           is_whole ? "" : ": INCOMPLETE");
    cell_run_destroy(run);
    return is_whole;
}

bool grid_check(struct grid *grid) {
    bool is_whole = true;
    grid->columns = grid->roads;
    for (uint32_t workload = 0; workload < grid->workloads->count; workload++)
        for (uint32_t column = 0; column < grid->roads; column++) {
            char text[96];
            workload_describe(&grid->workloads->workload[workload], text, sizeof(text));
            is_whole &= check_one(grid, workload, column, text);
        }
    return is_whole;
}
