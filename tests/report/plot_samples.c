/* Writes a plot of each kind into a folder, for plot.py, and for whoever wants to see them. */
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

static void save(struct plot *plot, const char *name) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.svg", folder, name);
    FILE *file = fopen(path, "w");
    if (!file || plot_write(plot, file) < 0 || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    plot_destroy(plot);
}

/* The same numbers in each run. */
static double draw(void) {
    static unsigned state = 1;
    state = state * 1664525 + 1013904223;
    return (state >> 8) / (double)(1 << 24);
}

static void save_sizes(void) {
    struct plot *plot =
        plot_create(&(struct plot_params){.title = "Latency over size",
                                          .description = "Nine roads from 64 B to 128 MiB",
                                          .x = {"payload", PLOT_BYTES, PLOT_LOG, 0, 0},
                                          .y = {"one-way latency, p50", PLOT_NS, PLOT_LOG, 0, 0},
                                          .height = 420});
    for (int road = 0; road < 10; road++) {
        struct plot_point points[8];
        char name[32];
        for (int i = 0; i < 8; i++) {
            points[i].x = 64 * pow(8, i);
            points[i].y = 900 * (road + 1) + (road > 2 ? points[i].x * road / 20 : 0);
        }
        snprintf(name, sizeof(name), "road number %d", road);
        plot_add(plot, PLOT_LINE, name, points, 8);
    }
    plot_add_level(plot, "futex wake", 700);
    save(plot, "sizes");
}

static void save_percentiles(void) {
    struct plot *plot = plot_create(
        &(struct plot_params){.title = "Transit",
                              .x = {"of the frames", PLOT_NUMBER, PLOT_PERCENTILE, 0, 0},
                              .y = {"took at most", PLOT_NS, PLOT_LOG, 0, 0}});
    for (int line = 0; line < 2; line++) {
        struct plot_point points[200];
        for (int i = 0; i < 200; i++) {
            points[i].x = 1 - pow(10, -i / 40.0);
            points[i].y = 40e3 * (line + 1) + 1e4 * pow(1.06, i);
        }
        plot_add(plot, PLOT_LINE, line ? "B.json" : "A.json", points, 200);
    }
    save(plot, "percentiles");
}

static void save_histogram(void) {
    enum { STEPS = 400 };
    static struct plot_point points[STEPS];
    struct plot *plot = plot_create(&(struct plot_params){
        .title = "Age", .x = {"", PLOT_NS, PLOT_LOG, 0, 0}, .y = {"frames", PLOT_NUMBER, 0, 0, 0}});
    for (int i = 0; i < STEPS; i++) {
        const double at = (i - 120) / 30.0;
        points[i].x = 20e3 * pow(1.02, i);
        points[i].y = i == STEPS - 1 ? 0 : floor(3000 * exp(-at * at) * (0.8 + draw() * 0.4));
    }
    plot_add(plot, PLOT_STEPS, "frames", points, STEPS);
    plot_add_instant(plot, "p50 215 us", 215e3);
    plot_add_instant(plot, "p90 260 us", 260e3);
    plot_add_instant(plot, "max 54 ms", 54e6);
    save(plot, "histogram");
}

/* 100,000 points; one of them is 77 times as high as the others, one is next to 0. */
static void save_timeline(void) {
    enum { POINTS = 100000 };
    static struct plot_point points[POINTS];
    struct plot *plot = plot_create(
        &(struct plot_params){.title = "Age of each frame",
                              .x = {"since the beginning", PLOT_SECONDS, PLOT_LINEAR, 0, 0},
                              .y = {"age", PLOT_NS, PLOT_LINEAR, 0, 0}});
    for (int i = 0; i < POINTS; i++)
        points[i] = (struct plot_point){i / 1000.0, 1e6 * (0.9 + 0.1 * draw())};
    points[51234].y = 77e6;
    points[70001].y = 1;
    plot_add(plot, PLOT_DOTS, "age", points, POINTS);
    const struct plot_span lost[] = {{10, 10}, {10.001, 10.002}, {51.2, 53}};
    const struct plot_span torn[] = {{70, 70}};
    plot_add_spans(plot, "lost: held", lost, 3);
    plot_add_spans(plot, "torn", torn, 1);
    save(plot, "timeline");
}

static void save_bars(void) {
    static const char *const roads[] = {
        "shared memory", "batched",    "named pipe", "AF_UNIX stream",
        "TCP loopback",  "ZeroMQ ipc", NULL};
    static const struct plot_bar bars[] = {{5.2e6, 4.9e6, 5.5e6}, {16.1e6, 15e6, 17e6},
                                           {1.1e6, 1e6, 1.2e6},   {0.9e6, 0.9e6, 0.9e6},
                                           {0.5e6, 0.4e6, 0.7e6}, {NAN, 0, 0}};
    static const struct plot_bar others[] = {{2.2e6, 2e6, 2.5e6},     {6.1e6, 5e6, 7e6},
                                             {0.8e6, 0.7e6, 0.9e6},   {0.6e6, 0.5e6, 0.9e6},
                                             {0.45e6, 0.4e6, 0.47e6}, {0.2e6, 0.1e6, 0.3e6}};
    struct plot *plot =
        plot_create(&(struct plot_params){.title = "Messages a second",
                                          .y = {"128 B, saturated", PLOT_RATE, 0, 0, 0},
                                          .groups = roads});
    plot_add_bars(plot, "1 consumer", bars);
    plot_add_bars(plot, "4 consumers", others);
    save(plot, "bars");
}

/* Texts that would break markup, points that are no numbers, and nothing at all. */
static void save_hostile(void) {
    static const char *const groups[] = {"]]>", "&amp;", "", NULL};
    static const struct plot_bar bars[] = {{1, 2, 3}, {NAN, NAN, NAN}, {INFINITY, 0, 0}};
    static const struct plot_point points[] = {
        {0, 1}, {NAN, 2}, {2, -INFINITY}, {3, 1e300}, {4, -5}};
    struct plot *plot = plot_create(
        &(struct plot_params){.title = "</title><script>alert(1)</script>\" onload='x' &",
                              .description = "\x01 \xff\xfe half \xe4\xb8 whole \xe4\xb8\xad",
                              .x = {"<x>", 0, 0, 0, 0},
                              .y = {"\"y\"", 0, PLOT_LOG, 0, 0}});
    plot_add(plot, PLOT_LINE, "<line> & \"more\"", points, 5);
    plot_add(plot, PLOT_STEPS, NULL, points, 5);
    plot_add(plot, PLOT_DOTS, "", NULL, 0);
    plot_add_spans(plot, "<lane>", &(struct plot_span){NAN, 1}, 1);
    plot_add_level(plot, "<level>", NAN);
    save(plot, "hostile");

    plot = plot_create(&(struct plot_params){.title = NULL, .groups = groups});
    plot_add_bars(plot, "<bars>", bars);
    save(plot, "hostile-bars");
    save(plot_create(&(struct plot_params){.title = "Nothing"}), "empty");
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: test-plot-samples FOLDER\n", stderr);
        return 2;
    }
    folder = argv[1];
    save_sizes();
    save_percentiles();
    save_histogram();
    save_timeline();
    save_bars();
    save_hostile();
    return 0;
}
