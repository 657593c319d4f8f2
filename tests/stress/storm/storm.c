/* The kill storm: writers, filters, readers and the supervisor are killed, stopped, evicted and
 * started again at random moments, over and over, while frames with checksums flow. Nothing may be
 * torn, out of order, lost without being told, left asleep, or left behind.
 */
#include "report.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../../built.h"

/* Longest that a peer may be without a frame, an opened stream or a supervisor. */
#define STARVED_NS INT64_C(20000000000)
/* After this, a supervisor that was started has all its peers back. */
#define SETTLED_NS INT64_C(4000000000)
#define TOLD_NS    INT64_C(60000000000)

struct storm {
    struct cast cast;
    struct strikes strikes;
    uint64_t seed;
    unsigned kills, from, acts, hogs;
    bool is_list, is_verbose, is_help;
    uint32_t slots_most[STREAMS];
    int64_t told_ns;
};

/* ---- looking on ---- */

static void look_at_seat(const struct storm *storm, unsigned number) {
    const struct seat *seat = &board->seat[number];
    const bool is_open = atomic_load(&seat->is_open);
    const int64_t changed_ns = atomic_load(&seat->changed_ns);
    const int64_t progress_ns = atomic_load(&seat->progress_ns);
    const int64_t now_ns = shmframe_now_ns();
    if (storm->cast.stop[number].until_ns)
        return;
    if (!is_open && changed_ns && now_ns - changed_ns > STARVED_NS)
        board_fault("%s does not get open", seat_name(number));
    if (is_open && now_ns - changed_ns > STARVED_NS && now_ns - progress_ns > STARVED_NS)
        board_fault("%s has had nothing to do for %lld s", seat_name(number),
                    (long long)((now_ns - progress_ns) / 1000000000));
}

static void look_at_slots(struct storm *storm) {
    for (unsigned i = 0; i < STREAMS; i++) {
        const uint32_t used = atomic_load(&board->seat[i].slots_used);
        if (used > storm->slots_most[i])
            storm->slots_most[i] = used;
        if (used > report_slots_allowed(i))
            board_fault("%s uses %u slots, more than %u", seat_name(i), used,
                        report_slots_allowed(i));
    }
}

static void look_for(struct storm *storm, int64_t duration_ns) {
    const int64_t until_ns = shmframe_now_ns() + duration_ns;
    do {
        cast_look(&storm->cast);
        strike_end_stops(&storm->cast);
        for (unsigned i = 0; i < SEATS; i++)
            look_at_seat(storm, i);
        look_at_slots(storm);
        peer_sleep(2000000);
    } while (shmframe_now_ns() < until_ns && !board_has_faults());
}

/* Waits until each of the seats says so, or a fault says why not. */
static void await_seats(struct storm *storm, unsigned first, unsigned last, bool is_for_drain) {
    for (unsigned i = first; i <= last && !board_has_faults();) {
        const struct seat *seat = &board->seat[i];
        if (atomic_load(is_for_drain ? &seat->is_drained : &seat->is_open))
            i++;
        else
            look_for(storm, 1000000);
    }
}

/* ---- the storm ---- */

/* A long one shows that it goes on. */
static void tell(struct storm *storm) {
    const int64_t now_ns = shmframe_now_ns();
    if (now_ns - storm->told_ns < TOLD_NS)
        return;
    storm->told_ns = now_ns;
    printf("act %u: killed %u, %llu frames delivered\n", atomic_load(&board->act),
           storm->cast.deaths, (unsigned long long)atomic_load(&board->total[TOTAL_DELIVERED]));
    fflush(stdout);
}

static void rage(struct storm *storm) {
    storm->told_ns = shmframe_now_ns();
    for (unsigned i = storm->from; !board_has_faults(); i++) {
        if (storm->acts ? i - storm->from >= storm->acts : storm->cast.deaths >= storm->kills)
            return;
        const struct act act = act_choose(storm->seed, i);
        atomic_store(&board->act, i);
        if (i > storm->from && act_is_calm(i) && !act_is_calm(i - 1)) {
            strike_end_all_stops(&storm->cast);
            look_for(storm, SETTLED_NS);
        }
        look_for(storm, act.gap_ns);
        if (storm->is_verbose) {
            act_print(&act);
            fflush(stdout);
        }
        if (!board_has_faults())
            strike(&storm->cast, &act, &storm->strikes);
        tell(storm);
    }
}

/* Everyone gets the last frame; then everyone leaves, and everything is back. */
static void finish(struct storm *storm) {
    strike_end_all_stops(&storm->cast);
    await_seats(storm, 0, SEATS - 1, false);
    if (!board_has_faults())
        look_for(storm, SETTLED_NS);
    await_seats(storm, 0, SEATS - 1, false);
    atomic_store(&board->command, COMMAND_DRAIN);
    await_seats(storm, 0, SEATS - 1, true);
    if (board_has_faults())
        return;
    atomic_store(&board->command, COMMAND_READERS_LEAVE);
    if (!cast_seats_end(&storm->cast, STREAMS, SEATS - 1))
        return;
    atomic_store(&board->command, COMMAND_WRITERS_LEAVE);
    if (!cast_seats_end(&storm->cast, 0, STREAMS - 1))
        return;
    cast_dismiss_witness(&storm->cast);
    if (!cast_supervisor_end(&storm->cast))
        board_fault("the supervisor did not end well");
}

/* ---- the command line ---- */

static void usage(FILE *out) {
    fprintf(out,
            "usage: test-storm [OPTION]...\n\n"
            "  --kills N    go on until N were killed; default 1000\n"
            "  --seed N     play the run with this seed again; default: another one each time\n"
            "  --from N     begin with act N\n"
            "  --acts N     end after N acts, whoever was killed\n"
            "  --hogs N     N processes that only take processor time, beside it\n"
            "  --list       print the acts, and do none of them; with --acts\n"
            "  --verbose    print each act as it is done\n"
            "  --help       print this\n\n"
            "$SHMFRAMED: a supervisor, where it is not that of the build, server/shmframed.\n"
            "$SHMFRAMED_LOG, if set: what it says is shown. $SHMFRAME_SEED: as --seed.\n");
}

static bool parse(struct storm *storm, int argc, char **argv) {
    static const struct option options[] = {
        {"kills", required_argument, NULL, 'k'},
        {"seed", required_argument, NULL, 's'},
        {"from", required_argument, NULL, 'f'},
        {"acts", required_argument, NULL, 'a'},
        {"hogs", required_argument, NULL, 'h'},
        {"list", no_argument, NULL, 'l'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'u'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const unsigned long long number = optarg ? strtoull(optarg, NULL, 10) : 0;
        if (option == 'k')
            storm->kills = (unsigned)number;
        else if (option == 's')
            storm->seed = number;
        else if (option == 'f')
            storm->from = (unsigned)number;
        else if (option == 'a')
            storm->acts = (unsigned)number;
        else if (option == 'h')
            storm->hogs = (unsigned)number;
        else if (option == 'l')
            storm->is_list = true;
        else if (option == 'v')
            storm->is_verbose = true;
        else if (option == 'u')
            storm->is_help = true;
        else
            return false;
    }
    return optind == argc && (!storm->is_list || storm->acts);
}

static int list(const struct storm *storm) {
    for (unsigned i = storm->from; i < storm->from + storm->acts; i++) {
        const struct act act = act_choose(storm->seed, i);
        act_print(&act);
    }
    return 0;
}

static void fill_seats(struct storm *storm) {
    uint64_t random = storm->seed;
    for (unsigned i = 0; i < SEATS; i++)
        cast_seat_fill(&storm->cast, i, peer_random(&random));
}

int main(int argc, char **argv) {
    static struct storm storm = {.kills = 1000};
    const char *seed = getenv("SHMFRAME_SEED");
    storm.seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)shmframe_now_ns();
    const bool is_right = parse(&storm, argc, argv);
    if (storm.is_help || !is_right) {
        usage(storm.is_help ? stdout : stderr);
        return storm.is_help ? 0 : 2;
    }
    if (storm.is_list)
        return list(&storm);
    const char *program = built_supervisor("server/shmframed");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    printf("--seed %llu does the same again\n", (unsigned long long)storm.seed);
    fflush(stdout); /* children inherit what is not */
    board_create();
    cast_start(&storm.cast, program, storm.hogs);
    fill_seats(&storm);
    await_seats(&storm, 0, SEATS - 1, false);
    rage(&storm);
    if (!board_has_faults())
        finish(&storm);
    cast_finish(&storm.cast);
    report_print(&storm.cast, &storm.strikes, storm.slots_most);
    const unsigned faults = report_print_faults();
    printf("%u faults\n", faults);
    return faults == 0 ? 0 : 1;
}
