/* Crash: stops and kills writers, readers and supervisors at each named step of what they do, and
 * sees what comes of it. */
#include "trial.h"
#include "world.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "../built.h"

struct options {
    const char *only;
    unsigned repeat;
    uint64_t seed;
    bool is_table, is_page, is_help;
};

static struct {
    unsigned trials, faults;
    int64_t worst_told_ns, worst_well_ns;
} sum;

static void print_head(bool is_seen) {
    if (is_seen)
        printf(
            "| who | scene | step | signal | expected | seen | told after ms | all well after ms "
            "|\n| --- | --- | --- | --- | --- | --- | ---: | ---: |\n");
    else
        printf("| who | scene | step | signal | outcome |\n| --- | --- | --- | --- | --- |\n");
}

static void print_place(const struct row *row, enum action action) {
    printf("| %s | %s | `%s` | %s | ", table_role_name(row->role),
           table_scene_text(row->role, row->scene), table_step_name(row->step),
           table_action_name(action));
}

static void print_steps(void) {
    printf("| step | at that moment |\n| --- | --- |\n");
    for (unsigned i = 1; i < STEPS; i++)
        printf("| `%s` | %s |\n", table_step_name(i), table_step_text(i));
}

static void print_page(void) {
    printf("# Crash points\n\n"
           "What becomes of everybody else when a writer, a reader or the supervisor is killed or "
           "stopped at a named step of what it does.\n"
           "Made by `test-crash --page`; the tests `crash-writer`, `crash-reader` and "
           "`crash-supervisor` do each of these with real processes,\n"
           "and see that it is so. `build/tests/crash/test-crash --table` tells how "
           "long each took.\n\n"
           "In all of them everybody else goes on, with sound frames; no frame is missing that is "
           "not told of, by two accounts; nobody sleeps\nfor ever; afterwards nobody has more "
           "descriptors and mappings than before; and the journal tells once of each that came, "
           "and once\nof its end.\n\n"
           "*stopped*: SIGSTOP, and SIGCONT once others have had %d frames; *stopped, killed*: "
           "SIGKILL then.\n\n## Outcomes\n\n",
           FRAMES_STOPPED);
    print_head(false);
    for (size_t i = 0; i < table_rows; i++)
        for (unsigned action = 0; action < ACTIONS; action++) {
            const struct outcome outcome = table_expect(&table[i], action);
            print_place(&table[i], action);
            printf("%s |\n", table_describe(table[i].role, action, &outcome));
        }
    printf("\n## Steps\n\n");
    print_steps();
}

static void print_trial(const struct trial *trial) {
    const struct row *row = trial->row;
    const struct outcome expected = table_expect(row, trial->action);
    print_place(row, trial->action);
    printf("%s | ", table_describe(row->role, trial->action, &expected));
    printf("%s%s | ", table_describe(row->role, trial->action, &trial->seen),
           trial->is_done ? "" : "; NOT ALL OF IT WAS DONE");
    if (trial->told_ns > 0)
        printf("%.1f", (double)trial->told_ns / 1e6);
    printf(" | %.1f |\n", (double)trial->well_ns / 1e6);
    fflush(stdout);
}

static bool is_wanted(const struct options *options, size_t row) {
    if (!options->only)
        return true;
    return strcmp(options->only, table_step_name(table[row].step)) == 0 ||
           strcmp(options->only, table_role_name(table[row].role)) == 0 ||
           strtoul(options->only, NULL, 10) == row + 1;
}

static bool run_trial(const struct options *options, size_t row, enum action action,
                      uint64_t skip) {
    struct trial trial = {.row = &table[row], .action = action, .skip = skip};
    const bool is_well = trial_run(&trial);
    const struct outcome expected = table_expect(trial.row, action);
    const bool is_right = is_well && trial.is_done && table_is_equal(&expected, &trial.seen);
    sum.trials++;
    sum.faults += !is_right;
    if (trial.told_ns > sum.worst_told_ns)
        sum.worst_told_ns = trial.told_ns;
    if (trial.well_ns > sum.worst_well_ns)
        sum.worst_well_ns = trial.well_ns;
    if (options->is_table || !is_right)
        print_trial(&trial);
    if (!is_right)
        board_fault("row %zu, %s at %s: not as expected", row + 1, table_action_name(action),
                    table_step_name(trial.row->step));
    return is_well;
}

static uint64_t roll(uint64_t *state, uint64_t below) {
    uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return (value ^ value >> 31) % below;
}

/* In the table's order, or, with a seed, in another. */
static void order_rows(size_t *order, uint64_t *seed, bool is_shuffled) {
    for (size_t i = 0; i < table_rows; i++)
        order[i] = i;
    for (size_t i = table_rows - 1; is_shuffled && i > 0; i--) {
        const size_t other = roll(seed, i + 1), row = order[i];
        order[i] = order[other];
        order[other] = row;
    }
}

static void run_table(const struct options *options, uint64_t *seed, bool is_shuffled) {
    enum { ROWS_MAX = 512, PASSES = 8 };
    size_t order[ROWS_MAX];
    order_rows(order, seed, is_shuffled);
    bool is_well = true;
    const struct row *last = NULL;
    for (size_t i = 0; i < table_rows && is_well; i++) {
        const struct row *row = &table[order[i]];
        if (!is_wanted(options, order[i]))
            continue;
        /* Between scenes, since letting go of the old rings takes the supervisor a while. */
        if (last && last->scene != row->scene)
            is_well = world_check_held();
        for (unsigned action = 0; action < ACTIONS && is_well; action++)
            is_well = run_trial(options, order[i], action, is_shuffled ? roll(seed, PASSES) : 0);
        last = row;
    }
    if (is_well)
        world_check_held();
}

static double cpu_s(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* A step that no row comes to is none. */
static void check_steps(void) {
    for (unsigned step = STEP_NONE + 1; step < STEPS; step++) {
        bool is_used = false;
        for (size_t i = 0; i < table_rows; i++)
            is_used |= table[i].step == (enum step)step;
        if (!is_used)
            board_fault("no row comes to step %s", table_step_name((enum step)step));
    }
}

static void print_losses(void) {
    uint64_t lost = 0, skipped = 0;
    for (unsigned i = 0; i < SEAT_GUEST; i++) {
        lost += atomic_load(&board->seat[i].lost);
        skipped += atomic_load(&board->seat[i].skipped);
    }
    printf("%llu frames checked; those who were not stopped were told of %llu lost and %llu "
           "skipped;\n",
           (unsigned long long)atomic_load(&board->checked), (unsigned long long)lost,
           (unsigned long long)skipped);
}

static int report(int64_t begin_ns) {
    const uint32_t faults = atomic_load(&board->faults);
    for (uint32_t i = 0; i < faults && i < sizeof(board->fault) / sizeof(board->fault[0]); i++)
        printf("FAULT: %s\n", board->fault[i]);
    printf("\n%u trials, %u not as expected; told after %.1f ms at most, all well after %.1f ms at "
           "most;\n",
           sum.trials, sum.faults, (double)sum.worst_told_ns / 1e6,
           (double)sum.worst_well_ns / 1e6);
    print_losses();
    printf("%.1f s, %.1f s of CPU; %u faults\n", (double)(shmframe_now_ns() - begin_ns) / 1e9,
           cpu_s(RUSAGE_SELF) + cpu_s(RUSAGE_CHILDREN), faults);
    return faults == 0 && sum.trials > 0 ? 0 : 1;
}

static void usage(FILE *out) {
    fprintf(out, "usage: test-crash [OPTION]...\n\n"
                 "  --table      print what was seen as markdown\n"
                 "  --page       only print what is expected, as a page\n"
                 "  --only WORD  rows of this step, role or number\n"
                 "  --repeat N   the table that often, each time in another order, the steps of\n"
                 "               flowing frames at other passes\n"
                 "  --seed N     begin where another run did\n"
                 "  --help       print this\n\n"
                 "$SHMFRAMED: a supervisor with steps, where it is not that of the build,\n"
                 "tests/crash/shmframed-steps.\n");
}

static bool parse(int count, char **arguments, struct options *options) {
    static const struct option known[] = {
        {"table", no_argument, NULL, 't'},
        {"page", no_argument, NULL, 'p'},
        {"only", required_argument, NULL, 'o'},
        {"repeat", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    *options = (struct options){.repeat = 1, .seed = (uint64_t)shmframe_now_ns()};
    for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
        if (option == 't')
            options->is_table = true;
        else if (option == 'p')
            options->is_page = true;
        else if (option == 'o')
            options->only = optarg;
        else if (option == 'r')
            options->repeat = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 's')
            options->seed = strtoull(optarg, NULL, 10);
        else if (option == 'h')
            options->is_help = true;
        else
            return false;
    }
    return optind == count;
}

int main(int count, char **arguments) {
    struct options options;
    const bool is_right = parse(count, arguments, &options);
    if (!is_right || options.is_help) {
        usage(is_right ? stdout : stderr);
        return is_right ? 0 : 2;
    }
    if (options.is_page) {
        print_page();
        return 0;
    }
    const char *program = built_supervisor("tests/crash/shmframed-steps");
    const int64_t begin_ns = shmframe_now_ns();
    uint64_t seed = options.seed;
    signal(SIGPIPE, SIG_IGN);
    board_create();
    check_steps();
    if (options.repeat > 1)
        printf("--seed %llu repeats this run\n", (unsigned long long)seed);
    if (options.is_table)
        print_head(true);
    fflush(stdout);
    /* A journal keeps so many lines: each time a world of its own. */
    for (unsigned i = 0; i < options.repeat && atomic_load(&board->faults) == 0; i++) {
        if (world_begin(program))
            run_table(&options, &seed, options.repeat > 1);
        world_finish();
    }
    return report(begin_ns);
}
