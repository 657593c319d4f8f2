/* Kills a process at every instruction of what it does with a ring, and sees how the others fare: a
 * child is led to instruction k, one by one, and gets SIGKILL there; then whoever is left goes on.
 * With SIGSTOP instead it stays for a while, perhaps evicted, and then goes on itself.
 *
 * usage: stepkill [--kill POINTS] [--stop POINTS] [--evict POINTS] [--only NAME]
 *        POINTS: of each operation, evenly spread, besides those at which something changes that
 *        others can see; "all", which is the default; 0: not at all.
 *        NAME: operations that contain it.
 * Exit: 0 no bad outcome, 1 some, 2 usage, 77 processes cannot be traced here.
 */
#include "scene.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const char *const outcome_names[OUTCOMES] = {
    [OUTCOME_OLD] = "old frame",
    [OUTCOME_NEW] = "new frame",
    [OUTCOME_PART] = "part",
    [OUTCOME_OVER] = "end seen",
    [OUTCOME_LEASE] = "lease left",
    [OUTCOME_NO_LEASE] = "no lease",
    [OUTCOME_WAITING] = "left waiting",
    [OUTCOME_ASLEEP] = "asleep",
    [OUTCOME_HELD_UP] = "writer waits",
    [OUTCOME_WHOLE] = "whole",
    [OUTCOME_STALE] = "stale",
};

static struct total { unsigned points, faults; } total;

static void work(void *of) {
    struct scene *scene = of;
    scene->operation->work(scene);
}

static void go_on_itself(void *of) {
    struct scene *scene = of;
    if (scene->operation->go_on_itself)
        scene->operation->go_on_itself(scene);
}

static void awaken(void *of) {
    struct scene *scene = of;
    scene->operation->awaken(scene);
}

static void look(void *of) {
    struct scene *scene = of;
    struct visible *visible = scene->visible;
    const uint64_t sum = scene_sum(scene);
    const bool is_visible = sum != visible->sum || scene->stepper.slept_at == scene->stepper.steps;
    visible->sum = sum;
    if (is_visible && visible->count < VISIBLE_MAX)
        visible->at[visible->count++] = scene->stepper.steps;
}

static void begin(struct scene *scene) {
    const struct operation *operation = scene->operation;
    operation->prepare(scene);
    scene->stepper = (struct stepper){.work = work,
                                      .afterwards = go_on_itself,
                                      .awaken = operation->awaken ? awaken : NULL,
                                      .of = scene,
                                      .mark = &scene->told->mark,
                                      .may_sleep = operation->may_sleep};
    scene->place = STEPPER_WITHIN;
    stepper_begin(&scene->stepper);
    scene_sleep(scene);
    if (scene->visible) {
        scene->visible->sum = scene_sum(scene);
        scene->stepper.look = look;
    }
}

static void stop_and_continue(struct scene *scene) {
    stepper_stop(&scene->stepper);
    scene->operation->go_on(scene);
    const int status = stepper_continue(&scene->stepper);
    if (status == 0)
        scene->operation->meet(scene);
    else
        scene_fault(scene, "it ended with status 0x%x", (unsigned)status);
}

/* False: the work was over before `steps` instructions. */
static bool try_point(struct scene *scene, unsigned steps) {
    begin(scene);
    scene->place = stepper_go(&scene->stepper, steps);
    const bool is_within = scene->place == STEPPER_WITHIN || scene->place == STEPPER_ASLEEP;
    if (scene->place == STEPPER_BROKEN) {
        scene_fault(scene, "it crashed");
        stepper_kill(&scene->stepper);
    } else if (scene->fate == FATE_KILLED) {
        stepper_kill(&scene->stepper);
        scene->operation->survive(scene);
    } else {
        stop_and_continue(scene);
    }
    scene_destroy(scene);
    return is_within;
}

static double cpu_s(void) {
    double seconds = 0;
    for (int who = 0; who < 2; who++) {
        struct rusage usage;
        getrusage(who ? RUSAGE_CHILDREN : RUSAGE_SELF, &usage);
        seconds += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    }
    return seconds;
}

static void report(const struct scene *scene, const struct visible *visible, unsigned points,
                   double seconds) {
    static const char *const fates[] = {"killed", "stopped", "evicted"};
    printf("%-50s %-7s %4u points, %3u of %4u instructions visible, %4.1f s CPU, %u bad:",
           scene->operation->name, fates[scene->fate], points, visible->count, scene->stepper.steps,
           seconds, scene->faults);
    for (unsigned i = 0; i < OUTCOMES; i++)
        if (scene->outcome[i])
            printf(" %s %u", outcome_names[i], scene->outcome[i]);
    printf("\n");
    fflush(stdout);
    total.points += points;
    total.faults += scene->faults;
}

/* First all the way, which tells how many instructions there are, and which of them can be seen. */
static void try_operation(const struct operation *operation, enum fate fate, unsigned points_max) {
    struct visible visible = {0};
    struct scene scene = {.operation = operation, .fate = fate, .visible = &visible};
    const double begin_s = cpu_s();
    if (points_max == 0)
        return;
    try_point(&scene, UINT_MAX);
    scene.visible = NULL;
    const unsigned instructions = scene.stepper.steps, every = instructions / points_max + 1;
    unsigned points = 1, next = 0;
    bool is_within = true;
    for (unsigned steps = 0; is_within && scene.faults < SCENE_FAULTS_ENOUGH; steps++) {
        const bool is_visible = next < visible.count && visible.at[next] == steps;
        next += is_visible;
        if (!is_visible && steps % every != 0)
            continue;
        is_within = try_point(&scene, steps);
        points++;
    }
    scene.stepper.steps = instructions;
    report(&scene, &visible, points, cpu_s() - begin_s);
}

struct options {
    unsigned points[3]; /* at most; by fate */
    const char *only;
};

static void try_all(const struct operation *operations, const struct options *options) {
    for (const struct operation *operation = operations; operation->name; operation++) {
        if (options->only && !strstr(operation->name, options->only))
            continue;
        try_operation(operation, FATE_KILLED, options->points[FATE_KILLED]);
        try_operation(operation, FATE_STOPPED, options->points[FATE_STOPPED]);
        if (operations == reader_operations && !operation->is_held_up)
            try_operation(operation, FATE_EVICTED, options->points[FATE_EVICTED]);
    }
}

static unsigned parse_points(const char *text) {
    return strcmp(text, "all") == 0 ? UINT_MAX : (unsigned)strtoul(text, NULL, 10);
}

static bool parse(int count, char **arguments, struct options *out_options) {
    static const struct option known[] = {{"kill", required_argument, NULL, FATE_KILLED},
                                          {"stop", required_argument, NULL, FATE_STOPPED},
                                          {"evict", required_argument, NULL, FATE_EVICTED},
                                          {"only", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    *out_options = (struct options){.points = {UINT_MAX, UINT_MAX, UINT_MAX}};
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) >= 0) {
        if (option == 'o')
            out_options->only = optarg;
        else if (option >= FATE_KILLED && option <= FATE_EVICTED)
            out_options->points[option] = parse_points(optarg);
        else
            return false;
    }
    return optind == count;
}

int main(int count, char **arguments) {
    enum { SKIPPED = 77 };
    struct options options;
    if (!parse(count, arguments, &options)) {
        fprintf(stderr, "usage: stepkill [--kill POINTS] [--stop POINTS] [--evict POINTS] "
                        "[--only NAME]\n");
        return 2;
    }
    if (!stepper_is_allowed()) {
        printf(
            "skipped: a child cannot be traced here (ptrace is forbidden, by seccomp or yama)\n");
        return SKIPPED;
    }
    try_all(writer_operations, &options);
    try_all(reader_operations, &options);
    printf("%u points, %u bad outcomes, %.1f s CPU\n", total.points, total.faults, cpu_s());
    return total.faults || total.points == 0;
}
