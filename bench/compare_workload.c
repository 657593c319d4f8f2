#include "compare_workload.h"

#include "roads/road.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX  (UINT64_C(1) << 30)
#define SECOND_NS  INT64_C(1000000000)
#define PACE_60_NS (SECOND_NS / 60)
#define PACE_1K_NS (SECOND_NS / 1000)

static const struct size {
    const char *text;
    size_t bytes; /* of a picture: yuv420p, as data of that many bytes */
} names[] = {{"1080p", 1920 * 1080 * 3 / 2}, {"2160p", 3840 * 2160 * 3 / 2}};
static const struct option_list sizes_full = {{"128B", "4KiB", "1080p", "2160p"}, 4},
                                sizes_check = {{"64B", "1000B", "4KiB", "100kB", "1080p"}, 5},
                                sizes_one = {{"128B"}, 1}, readers_full = {{"1", "2", "4"}, 3},
                                readers_one = {{"1"}, 1},
                                paces_full = {{"60", "1000", "saturated"}, 3},
                                paces_one = {{"1000"}, 1}, pace_check = {{"saturated"}, 1},
                                touches_full = {{"no", "yes"}, 2}, touches_one = {{"no"}, 1},
                                touch_check = {{"yes"}, 1};

/* ---- one value each ---- */

static size_t read_size(const char *text, char *out_name, size_t name_bytes) {
    static const struct {
        const char *unit, *title;
        size_t bytes;
    } units[] = {{"", "B", 1},         {"B", "B", 1},         {"kB", "kB", 1000},
                 {"KiB", "KiB", 1024}, {"MB", "MB", 1000000}, {"MiB", "MiB", 1 << 20}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i].text) == 0) {
            snprintf(out_name, name_bytes, "%s", text);
            return names[i].bytes;
        }
    char *end = NULL;
    const unsigned long long number = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
    for (size_t i = 0; number > 0 && i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(end, units[i].unit) == 0 && number <= BYTES_MAX / units[i].bytes) {
            snprintf(out_name, name_bytes, "%llu %s", number, units[i].title);
            return number * units[i].bytes;
        }
    program_fail_usage(
        "--size: \"%s\" should be 1080p, 2160p, or a size of 1 byte to 1 GiB such as "
        "128B, 4KiB or 100MB",
        text);
}

static uint32_t read_readers(const char *text) {
    char *end;
    const unsigned long number = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;
    if (number < 1 || number > ROAD_READERS_MAX || *end)
        program_fail_usage("--readers: \"%s\" should be 1 to %d", text, ROAD_READERS_MAX);
    return (uint32_t)number;
}

static int64_t read_pace(const char *text) {
    char *end;
    if (strcmp(text, "saturated") == 0)
        return 0;
    const double rate = isdigit((unsigned char)*text) ? strtod(text, &end) : 0;
    if (!(rate >= 0.01 && rate <= 1e6) || *end)
        program_fail_usage("--pace: \"%s\" should be \"saturated\", or messages a second, at most "
                           "1000000",
                           text);
    return (int64_t)((double)SECOND_NS / rate);
}

static bool read_touch(const char *text) {
    if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        program_fail_usage("--touch: \"%s\" should be yes or no", text);
    return strcmp(text, "yes") == 0;
}

/* ---- all of them ---- */

static void add(struct workloads *workloads, const struct workload *workload) {
    if (workloads->count == WORKLOADS_MAX)
        program_fail_usage("more than %d combinations were chosen", WORKLOADS_MAX);
    workloads->workload[workloads->count++] = *workload;
}

static const struct option_list *choose(const struct option_list *given,
                                        const struct option_list *otherwise) {
    return given->count > 0 ? given : otherwise;
}

static void add_product(struct workloads *workloads, const struct option_list *sizes,
                        const struct option_list *readers, const struct option_list *paces,
                        const struct option_list *touches) {
    for (uint32_t s = 0; s < sizes->count; s++)
        for (uint32_t r = 0; r < readers->count; r++)
            for (uint32_t p = 0; p < paces->count; p++)
                for (uint32_t t = 0; t < touches->count; t++) {
                    struct workload workload = {
                        .readers = read_readers(readers->text[r]),
                        .period_ns = read_pace(paces->text[p]),
                        .is_touched = read_touch(touches->text[t]),
                    };
                    workload.bytes =
                        read_size(sizes->text[s], workload.size, sizeof(workload.size));
                    add(workloads, &workload);
                }
}

/* Each size, pace and number of readers, and every aim, in three minutes. */
static void add_cross_section(struct workloads *workloads) {
    static const struct workload cells[] = {
        {"128 B", 128, 1, PACE_1K_NS, false, false},
        {"128 B", 128, 4, PACE_1K_NS, false, false},
        {"4 KiB", 4096, 2, PACE_1K_NS, true, false},
        {"1080p", 1920 * 1080 * 3 / 2, 1, PACE_60_NS, true, false},
        {"2160p", 3840 * 2160 * 3 / 2, 4, PACE_60_NS, false, false},
        {"100 MB", 100000000, 1, PACE_1K_NS, false, true},
        {"128 B", 128, 1, 0, false, false},
        {"1080p", 1920 * 1080 * 3 / 2, 2, 0, true, false},
    };
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        add(workloads, &cells[i]);
}

void workloads_choose(struct workloads *workloads, const struct workload_choice *choice) {
    if (choice->is_full)
        add_product(workloads, choose(&choice->size, &sizes_full),
                    choose(&choice->readers, &readers_full), choose(&choice->pace, &paces_full),
                    choose(&choice->touch, &touches_full));
    else if (choice->size.count + choice->readers.count + choice->pace.count + choice->touch.count)
        add_product(workloads, choose(&choice->size, &sizes_one),
                    choose(&choice->readers, &readers_one), choose(&choice->pace, &paces_one),
                    choose(&choice->touch, &touches_one));
    else
        add_cross_section(workloads);
}

void workloads_choose_check(struct workloads *workloads, const struct workload_choice *choice) {
    add_product(workloads, choose(&choice->size, &sizes_check),
                choose(&choice->readers, &readers_full), choose(&choice->pace, &pace_check),
                choose(&choice->touch, &touch_check));
}

void workload_describe(const struct workload *workload, char *text, size_t text_bytes) {
    char pace[32] = "saturated";
    if (workload->period_ns)
        snprintf(pace, sizeof(pace), "%.4g/s", (double)SECOND_NS / (double)workload->period_ns);
    snprintf(text, text_bytes, "%s, %u reader%s, %s, %s", workload->size, workload->readers,
             workload->readers == 1 ? "" : "s", pace,
             workload->is_touched ? "touched" : "untouched");
}
