/* bench-consumers: what it costs to bring pictures to four consumers at once - a view, an encoder,
 * an analyzer, a latency meter - through the ring, over sockets, over pipes.
 *
 * One process writes and four read; the same five take all roads in turn, a slice of each, over and
 * over. Each measures its own processor time, the kernel's on its behalf included, and that of its
 * work alone. On the first road nothing travels: each works on frames that it has already.
 */
#include "figures_roads.h"
#include "pipeline.h"
#include "program.h"
#include "slices.h"
#include "supervisor.h"

#include <stdlib.h>

static struct {
    uint32_t size[2];
    struct shmframe_rational rate;
    const char *format;
    uint32_t frames, repeats;
    int64_t duration_ns;
    bool is_quick;
} options = {
    .size = {1920, 1080},
    .rate = {60, 1},
    .format = "text",
    .frames = 60,
    .repeats = 15,
    .duration_ns = INT64_C(10000000000),
};

static const struct option_spec specs[] = {
    {"size", 'S', OPTION_SIZE, options.size, "WxH", "of the pictures; default 1920x1080"},
    {"rate", 'r', OPTION_RATIONAL, &options.rate, "RATE", "pictures a second; default 60"},
    {"frames", 'n', OPTION_COUNT, &options.frames, "COUNT", "pictures in a slice; default 60"},
    {"repeats", 0, OPTION_COUNT, &options.repeats, "COUNT", "slices of each road; default 15"},
    {"duration", 0, OPTION_DURATION, &options.duration_ns, "TIME",
     "how long the real programs run; default 10s"},
    {"quick", 'q', OPTION_FLAG, &options.is_quick, NULL,
     "some seconds of small pictures: to see that it works"},
    {"format", 0, OPTION_TEXT, &options.format, "text|json", "how to print the figures"},
    {0},
};
static const struct program program = {
    .name = "bench-consumers",
    .purpose = "Processor time per picture for four consumers at once, through the ring, over "
               "sockets, over pipes.",
    .options = specs,
};

int main(int argc, char **argv) {
    if (program_start(&program, argc, argv) != argc)
        program_fail_usage("no operands are taken");
    const enum report_format format = report_format_parse(options.format);
    if (options.is_quick) {
        options.size[0] = 320;
        options.size[1] = 240;
        options.frames = 10;
        options.repeats = 3;
        options.duration_ns = INT64_C(1000000000);
    }
    if (options.frames < 1 || options.repeats < 1 || options.repeats > SLICES_REPEATS_MAX)
        program_fail_usage("--frames should be 1 and more, --repeats 1 to %d", SLICES_REPEATS_MAX);
    if (options.rate.num <= 0)
        program_fail_usage("--rate should be above 0");
    supervisor_start();
    const struct slices_plan plan = {
        .width = options.size[0],
        .height = options.size[1],
        .period_ns = INT64_C(1000000000) * options.rate.den / options.rate.num,
        .frames = options.frames,
        .repeats = options.repeats,
    };
    struct slices *slices = slices_run(&plan);
    json_t *result = figures_roads(slices, format);
    slices_destroy(slices);
    const struct pipeline_plan real = {
        .width = options.size[0],
        .height = options.size[1],
        .rate = options.rate,
        .duration_ns = options.duration_ns,
    };
    json_t *programs = pipeline_run(&real);
    if (format == REPORT_JSON) {
        json_object_set(result, "programs", programs);
        report_print_json(json_incref(result));
    } else {
        figures_print_programs(programs);
    }
    json_decref(programs);
    json_decref(result);
    return EXIT_DONE;
}
