/* bench-skew: how far apart shmframe-view shows a picture and plays its sound, measured from
 * outside.
 *
 * shmframe-pattern flashes and beeps at the same instant, once a second; an eye watches the patch
 * that flashes on an Xvfb, an ear listens to the monitor of PulseAudio's null sink.
 */
#include "ear.h"
#include "eye.h"
#include "program.h"
#include "report.h"
#include "sound_server.h"
#include "supervisor.h"
#include "x_server.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

enum { SCREEN_WIDTH = 640, SCREEN_HEIGHT = 480, WIDTH = 320, HEIGHT = 180, PATCH = 24 };
enum { PAIRS_MAX = 1000, ARGUMENTS_MAX = 32 };
static const int64_t apart_max_ns = SECOND_NS / 2;
static const int64_t start_ns = 30 * SECOND_NS; /* until the first flash */
static const int64_t aim_ns = 5000000;

static struct {
    uint32_t flashes, settle;
    struct shmframe_rational rate;
    const char *format;
} options = {.flashes = 30, .settle = 5, .rate = {60, 1}, .format = "text"};

static const struct option_spec specs[] = {
    {"flashes", 'n', OPTION_COUNT, &options.flashes, "COUNT",
     "to be measured, one a second; default 30"},
    {"settle", 0, OPTION_COUNT, &options.settle, "COUNT",
     "flashes before the first that counts; default 5"},
    {"rate", 'r', OPTION_RATIONAL, &options.rate, "RATE", "pictures a second; default 60"},
    {"format", 0, OPTION_TEXT, &options.format, "text|json", "how to print the figures"},
    {0},
};
static const struct program program = {
    .name = "bench-skew",
    .purpose = "How far apart shmframe-view shows a picture and plays its sound.",
    .operands = "[OPTION OF SHMFRAME-VIEW]...",
    .has_options_first = true,
    .options = specs,
};

/* ---- Programs ---- */

static char **view_options;
static int view_fd; /* its report */

/* The one that was built with this, else the one in the path. */
static void run_program(const char *folder, char **arguments) {
    char self[PATH_MAX - 64], path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length > 0) {
        self[length] = '\0';
        snprintf(path, sizeof(path), "%s/../%s/%s", dirname(self), folder, arguments[0]);
        execv(path, arguments);
    }
    execvp(arguments[0], arguments);
    fprintf(stderr, "bench-skew: %s: %m\n", arguments[0]);
    _exit(EXIT_FAILED);
}

static void run_pattern(void *argument) {
    (void)argument;
    char size[32], rate[32];
    snprintf(size, sizeof(size), "%dx%d", WIDTH, HEIGHT);
    snprintf(rate, sizeof(rate), "%d/%d", options.rate.num, options.rate.den);
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    run_program("producers", (char *[]){"shmframe-pattern", "--size", size, "--rate", rate,
                                        "--wait-readers", "1", NULL});
}

static void run_view(void *argument) {
    (void)argument;
    char *arguments[ARGUMENTS_MAX] = {"shmframe-view", "--format", "json"};
    for (int i = 0; view_options[i] && i + 4 < ARGUMENTS_MAX; i++)
        arguments[i + 3] = view_options[i];
    dup2(view_fd, STDOUT_FILENO);
    run_program("consumers/view", arguments);
}

/* ---- Measuring ---- */

struct figures {
    uint32_t count;
    int64_t apart_ns[PAIRS_MAX]; /* picture - sound, in order; sorted by sort() */
    uint32_t missed;             /* flashes that the eye did not see exactly, or without a beep */
    int64_t error_ns;
    json_t *told; /* by the view */
};
static struct figures figures;
static struct instants flashes, beeps;

static void pair(void) {
    for (uint32_t i = options.settle; i < flashes.count && figures.count < PAIRS_MAX; i++) {
        int64_t best_ns = INT64_MAX;
        for (uint32_t j = 0; j < beeps.count; j++)
            if (llabs(flashes.ns[i] - beeps.ns[j]) < llabs(best_ns))
                best_ns = flashes.ns[i] - beeps.ns[j];
        if (llabs(best_ns) < apart_max_ns)
            figures.apart_ns[figures.count++] = best_ns;
        else
            figures.missed++;
    }
}

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = SECOND_NS / 20}, NULL);
}

/* Until `count` flashes have been seen. */
static void wait_for_flashes(struct eye *eye, uint32_t count) {
    const int64_t deadline_ns = shmframe_deadline_ns(start_ns + 3 * count * SECOND_NS);
    while (eye_count(eye) < count && shmframe_now_ns() < deadline_ns && !program_is_stopping())
        nap();
    if (eye_count(eye) < count)
        program_fail("only %u of %u flashes were seen", eye_count(eye), count);
}

static void measure(const char *display) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        program_fail("no pipe: %m");
    view_fd = report[1];
    const pid_t pattern = process_start(run_pattern, NULL);
    const pid_t view = process_start(run_view, NULL);
    close(report[1]);
    struct eye *eye =
        eye_open(display, (SCREEN_WIDTH + WIDTH) / 2 - PATCH, (SCREEN_HEIGHT + HEIGHT) / 2 - PATCH);
    wait_for_flashes(eye, 1);
    struct ear *ear = ear_open("null.monitor");
    wait_for_flashes(eye, options.settle + options.flashes);
    nap();
    nap();
    eye_read(eye, &flashes, &figures.missed);
    ear_read(ear, &beeps, &figures.error_ns);
    ear_close(ear);
    eye_close(eye);
    kill(view, SIGINT);
    FILE *file = fdopen(report[0], "r");
    figures.told = file ? json_loadf(file, 0, NULL) : NULL;
    if (file)
        fclose(file);
    kill(pattern, SIGTERM);
    waitpid(view, NULL, 0);
    waitpid(pattern, NULL, 0);
    pair();
}

/* ---- Words ---- */

static int compare(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int compare_sizes(const void *left, const void *right) {
    const int64_t a = llabs(*(const int64_t *)left), b = llabs(*(const int64_t *)right);
    return (a > b) - (a < b);
}

static int64_t quantile(double share, int (*order)(const void *, const void *)) {
    qsort(figures.apart_ns, figures.count, sizeof(figures.apart_ns[0]), order);
    const uint32_t rank = (uint32_t)(share * figures.count);
    return figures.apart_ns[rank < figures.count ? rank : figures.count - 1];
}

static void print(bool is_json) {
    if (figures.count == 0)
        program_fail("no flash and beep were measured together");
    json_t *apart = json_array();
    for (uint32_t i = 0; i < figures.count; i++)
        json_array_append_new(apart, json_integer(figures.apart_ns[i]));
    const int64_t p50_ns = quantile(0.5, compare);
    const int64_t p95_ns = llabs(quantile(0.95, compare_sizes));
    const int64_t max_ns = llabs(quantile(1, compare_sizes));
    const bool is_met = p95_ns <= aim_ns;
    json_t *told = figures.told ? json_object_get(figures.told, "skew") : NULL;
    if (is_json) {
        report_print_json(json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:O?}",
                                    "flashes", (int)figures.count, "missed", (int)figures.missed,
                                    "p50_ns", (json_int_t)p50_ns, "p95_ns", (json_int_t)p95_ns,
                                    "max_ns", (json_int_t)max_ns, "error_ns",
                                    (json_int_t)figures.error_ns, "aim_ns", (json_int_t)aim_ns,
                                    "is_met", is_met, "apart_ns", apart, "told", told));
        return;
    }
    json_decref(apart);
    printf(
        "picture - sound of %u flashes (%u not seen well): p50 %+.2f ms, size p95 %.2f, max %.2f "
        "ms; the ear may be %.2f ms off\naim %.0f ms at p95: %s\n",
        figures.count, figures.missed, (double)p50_ns / 1e6, (double)p95_ns / 1e6,
        (double)max_ns / 1e6, (double)figures.error_ns / 1e6, (double)aim_ns / 1e6,
        is_met ? "pass" : "FALLS SHORT");
    if (told)
        printf("the view itself tells p50 %.2f, p95 %.2f ms\n",
               (double)json_integer_value(json_object_get(told, "p50_ns")) / 1e6,
               (double)json_integer_value(json_object_get(told, "p95_ns")) / 1e6);
}

int main(int argc, char **argv) {
    view_options = argv + program_start(&program, argc, argv);
    const enum report_format format = report_format_parse(options.format);
    if (options.flashes < 1 || options.flashes + options.settle > PAIRS_MAX)
        program_fail_usage("--flashes and --settle should be 1 to %d together", PAIRS_MAX);
    struct sound_server server;
    if (!sound_server_init(&server))
        program_fail("no sound server: is pulseaudio installed?");
    program_stop_on_signals(NULL);
    const char *display = x_server_start(SCREEN_WIDTH, SCREEN_HEIGHT);
    setenv("DISPLAY", display, 1);
    setenv("SDL_VIDEODRIVER", "x11", 1);
    unsetenv("SDL_RENDER_DRIVER");
    supervisor_start();
    measure(display);
    supervisor_stop();
    sound_server_finish(&server);
    print(format == REPORT_JSON);
    json_decref(figures.told);
    report_flush();
    return EXIT_DONE;
}
