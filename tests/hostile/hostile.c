/* Hostile peers: each attack of the table runs for a while beside a pipeline of honest processes,
 * which must go on as if nothing were.
 *
 * Before each attack comes a calm slice; after it a control, in which somebody takes as much
 * processor time and does no harm. Victims' times are compared with the worse of both.
 */
#include "attack.h"
#include "report.h"
#include "scene.h"
#include "victims.h"

#include <getopt.h>
#include <grp.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../built.h"

static struct run {
    int64_t attack_ns, calm_ns, control_ns;
    uint64_t seed;
    const char *only;
    bool is_long, is_help;
    struct holdings base;
    struct report report;
} run = {.attack_ns = 400000000, .calm_ns = 120000000, .control_ns = 120000000, .seed = 1};

static const struct attack *const tables[] = {
    attacks_of_readers,    attacks_of_writers,  attacks_with_descriptors, attacks_with_geometry,
    attacks_with_messages, attacks_with_floods, attacks_of_strangers};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

/* ---- slices ---- */

static void look(void) {
    scene_look();
    victims_look();
}

static bool has_faults(void) {
    return atomic_load(&board->faults) > 0;
}

static void note_most(struct holdings *most) {
    const struct holdings now = scene_holdings();
    most->memory_bytes =
        now.memory_bytes > most->memory_bytes ? now.memory_bytes : most->memory_bytes;
    most->fds = now.fds > most->fds ? now.fds : most->fds;
}

static void pass(int64_t duration_ns, struct holdings *most) {
    const int64_t until_ns = shmframe_now_ns() + duration_ns;
    while (shmframe_now_ns() < until_ns && !has_faults()) {
        look();
        if (most)
            note_most(most);
        board_sleep(20000000);
    }
}

static int64_t reaped_cpu_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* With all that came of it: what has lost its parent is ours. */
static void end_group(pid_t group) {
    kill(-group, SIGKILL);
    while (waitpid(-group, NULL, 0) > 0)
        continue;
}

/* ---- the attack ---- */

static void become(uid_t uid) {
    if (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0)
        attack_fail("become another user", 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* forgotten with the user */
}

static _Noreturn void attack(const struct attack *row) {
    struct attacker attacker = {.random = run.seed * 7919 + 88172645463325252,
                                .is_long = run.is_long};
    if (row->flags & ATTACK_AS_STRANGER)
        become(STRANGER_UID);
    if (row->flags & ATTACK_AS_OUTSIDER)
        become(OUTSIDER_UID);
    row->act(&attacker);
    _exit(0);
}

static void check_attacker(const struct attack *row, pid_t pid) {
    int status;
    if (waitpid(pid, &status, WNOHANG) == pid && status != 0)
        board_fault("the attacker of %s ended with status 0x%x", row->name, (unsigned)status);
}

/* Until it has done something: on a busy machine that may take a while. */
static void await_begin(const struct attack *row) {
    const int64_t until_ns = shmframe_now_ns() + INT64_C(20000000000);
    while (atomic_load(&board->answers.rounds) == 0 && !has_faults()) {
        look();
        if (shmframe_now_ns() > until_ns)
            board_fault("%s does nothing", row->name);
        board_sleep(1000000);
    }
}

/* Returns the share of a processor that it took, the supervisor's part with it. */
static double run_attack(const struct attack *row, struct report_row *line) {
    const int64_t cpu_ns = reaped_cpu_ns() + scene_cpu_ns(board->supervisor);
    const int64_t begin_ns = shmframe_now_ns();
    board->answers = (struct answers){0};
    atomic_store(&board->is_attack_over, false);
    atomic_store(&board->slice, SLICE_ATTACK);
    const pid_t pid = board_fork();
    if (pid == 0)
        attack(row);
    await_begin(row);
    pass(run.attack_ns, &line->most);
    atomic_store(&board->is_attack_over, true);
    check_attacker(row, pid);
    end_group(pid);
    const int64_t took_ns = shmframe_now_ns() - begin_ns;
    atomic_store(&board->slice, SLICE_NONE);
    line->rounds = atomic_load(&board->answers.rounds);
    const int64_t used_ns = reaped_cpu_ns() + scene_cpu_ns(board->supervisor) - cpu_ns;
    return (double)used_ns / (double)took_ns;
}

/* ---- the control ---- */

static _Noreturn void spin(double duty) {
    enum { PERIOD_NS = 2000000 };
    for (;;) {
        const int64_t begin_ns = shmframe_now_ns();
        while ((double)(shmframe_now_ns() - begin_ns) < duty * PERIOD_NS)
            continue;
        if (duty < 1)
            board_sleep((int64_t)((1 - duty) * PERIOD_NS));
    }
}

static void run_control(double share) {
    enum { SPINNERS_MAX = 8 };
    pid_t pid[SPINNERS_MAX];
    unsigned count = (unsigned)ceil(share);
    count = count > SPINNERS_MAX ? SPINNERS_MAX : count;
    atomic_store(&board->slice, SLICE_CONTROL);
    for (unsigned i = 0; i < count; i++) {
        pid[i] = board_fork();
        if (pid[i] == 0)
            spin(share / count);
    }
    pass(run.control_ns, NULL);
    for (unsigned i = 0; i < count; i++)
        end_group(pid[i]);
    atomic_store(&board->slice, SLICE_NONE);
}

/* ---- all of it ---- */

static void run_row(const struct attack *row) {
    struct report_row *line = report_begin(&run.report, row);
    if (!line)
        return;
    atomic_store(&board->row, line->number);
    atomic_store(&board->slice, SLICE_CALM);
    pass(run.calm_ns, NULL);
    atomic_store(&board->slice, SLICE_NONE);
    line->share = run_attack(row, line);
    scene_await_back(&run.base, row->name);
    if (!has_faults())
        run_control(line->share);
    report_row(line);
}

static bool is_named(const struct attack *row) {
    return !run.only || strncmp(row->name, run.only, strlen(run.only)) == 0;
}

static bool is_any_named(void) {
    for (unsigned table = 0; table < TABLES; table++)
        for (const struct attack *row = tables[table]; row->name; row++)
            if (is_named(row))
                return true;
    return false;
}

static bool is_wanted(const struct attack *row) {
    const bool needs_root = row->flags & (ATTACK_AS_STRANGER | ATTACK_AS_OUTSIDER);
    if (!is_named(row))
        return false;
    if (needs_root && !scene_has_strangers())
        report_skip(row);
    return !needs_root || scene_has_strangers();
}

static void run_all(void) {
    for (unsigned table = 0; table < TABLES; table++)
        for (const struct attack *row = tables[table]; row->name && !has_faults(); row++)
            if (is_wanted(row))
                run_row(row);
}

/* What looks like harm may be the machine's: it must show each time, in longer slices. */
static void confirm_breaches(void) {
    enum { TRIES = 2 };
    const uint32_t rows = run.report.count;
    run.attack_ns *= 3;
    run.calm_ns *= 6;
    run.control_ns *= 6;
    for (uint32_t i = 0; i < rows && !has_faults(); i++) {
        bool is_breach = report_is_breach(&run.report, &run.report.row[i]);
        for (unsigned try = 0; try < TRIES && is_breach && !has_faults(); try++) {
            run_row(run.report.row[i].attack);
            is_breach = report_is_breach(&run.report, &run.report.row[run.report.count - 1]);
        }
        if (is_breach && !has_faults())
            board_fault("%s makes the victims slower, each time that it is tried",
                        run.report.row[i].attack->name);
    }
}

static void usage(FILE *out) {
    fprintf(out, "usage: test-hostile [OPTION]...\n\n"
                 "  --seconds S  how long each attack takes; default 0.4\n"
                 "  --seed N     what they do by chance; default 1\n"
                 "  --only NAME  those attacks whose names begin so\n"
                 "  --long       those too that take long\n"
                 "  --help       print this\n\n"
                 "$SHMFRAMED: a supervisor, where it is not that of the build, server/shmframed.\n"
                 "$SHMFRAMED_LOG, if set: what it says is shown.\n");
}

static bool parse(int argc, char **argv) {
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'r'},
        {"only", required_argument, NULL, 'o'},    {"long", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        if (option == 's') {
            run.attack_ns = (int64_t)(strtod(optarg, NULL) * 1e9);
            run.calm_ns = run.control_ns = run.attack_ns * 2 / 5;
        } else if (option == 'r') {
            run.seed = strtoull(optarg, NULL, 0);
        } else if (option == 'o') {
            run.only = optarg;
        } else if (option == 'l') {
            run.is_long = true;
        } else if (option == 'h') {
            run.is_help = true;
        } else {
            return false;
        }
    }
    return optind == argc && run.attack_ns > 0;
}

int main(int argc, char **argv) {
    const bool is_right = parse(argc, argv);
    if (!is_right || run.is_help) {
        usage(is_right ? stdout : stderr);
        return is_right ? 0 : 2;
    }
    if (!is_any_named()) {
        fprintf(stderr, "test-hostile: there is no attack whose name begins with \"%s\"\n",
                run.only);
        return 2;
    }
    const char *program = built_supervisor("server/shmframed");
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (board_create() < 0 || scene_start(program) < 0) {
        fprintf(stderr, "the scene cannot be set\n");
        return 1;
    }
    if (victims_start() < 0)
        board_fault("the victims' frames do not flow");
    run.base = scene_holdings();
    if (run.base.fds < 0 || run.base.mappings < 0)
        board_fault("what the supervisor holds cannot be counted: %s",
                    "its /proc/PID/fd or maps may not be read");
    report_head(run.seed);
    run_all();
    confirm_breaches();
    if (!has_faults())
        scene_await_back(&run.base, "all of it");
    const struct holdings after = scene_holdings();
    victims_end();
    scene_stop();
    return report_end(&run.report, &run.base, &after);
}
