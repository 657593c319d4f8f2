/* The kill test: writers, readers and the supervisor are killed at random moments, over and over,
 * while frames with checksums flow. Nothing may be torn, out of order, lost without being told,
 * left asleep, or left behind.
 *
 *   kill [WRITERS READERS SUPERVISORS]     how many of each are killed; default 300 300 50
 *
 * $SHMFRAMED names the supervisor, $SHMFRAME_SEED repeats a run: who is killed where; what the
 * machine makes of it differs. $SHMFRAMED_LOG shows what the supervisor says.
 */
#include "cast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { KIND_WRITER = 0, KIND_READER, KIND_SUPERVISOR, KINDS };
enum { PLAN_MAX = 100000 };
/* Longest that a peer may be without a frame, an opened stream or a supervisor. */
#define STARVED_NS INT64_C(15000000000)
/* After this, a supervisor that was started has all its peers back. */
#define SETTLED_NS INT64_C(4000000000)

struct run {
    struct cast cast;
    uint64_t random;
    unsigned wanted[KINDS], killed[KINDS];
    unsigned supervisors_early; /* killed just after a peer came */
    uint32_t slots_most[STREAMS];
    uint8_t plan[PLAN_MAX];
    unsigned planned;
};

static bool has_faults(void) {
    return atomic_load(&board->faults) > 0;
}

/* ---- looking on ---- */

static void look_at_seat(unsigned number) {
    const struct seat *seat = &board->seat[number];
    const int64_t now_ns = shmframe_now_ns();
    const int64_t changed_ns = atomic_load(&seat->changed_ns);
    const int64_t progress_ns = atomic_load(&seat->progress_ns);
    const bool is_open = atomic_load(&seat->is_open);
    if (!is_open && changed_ns && now_ns - changed_ns > STARVED_NS)
        board_fault("%s does not get open", seat_name(number));
    if (is_open && now_ns - changed_ns > STARVED_NS && now_ns - progress_ns > STARVED_NS)
        board_fault("%s has had nothing to do for %lld s", seat_name(number),
                    (long long)((now_ns - progress_ns) / 1000000000));
}

/* What all readers of a stream may make necessary, and once more for who has just died. */
static uint32_t slots_allowed(unsigned stream) {
    uint32_t depth = 1, leases = 0;
    for (unsigned i = 0; i < READERS_OF_STREAM; i++) {
        const struct reader_role *role = &reader_roles[stream * READERS_OF_STREAM + i];
        depth = role->depth > depth ? role->depth : depth;
        leases += role->leases;
    }
    return writer_roles[stream].loans + depth + 2 * leases + 1;
}

static void look_at_slots(struct run *run) {
    for (unsigned i = 0; i < STREAMS; i++) {
        const uint32_t used = atomic_load(&board->seat[i].slots_used);
        if (used > run->slots_most[i])
            run->slots_most[i] = used;
        if (used > slots_allowed(i))
            board_fault("%s uses %u slots, more than %u", seat_name(i), used, slots_allowed(i));
    }
}

static void look_for(struct run *run, int64_t duration_ns) {
    const int64_t until_ns = shmframe_now_ns() + duration_ns;
    do {
        cast_look(&run->cast);
        for (unsigned i = 0; i < SEATS; i++)
            look_at_seat(i);
        look_at_slots(run);
        peer_sleep(2000000);
    } while (shmframe_now_ns() < until_ns && !has_faults());
}

/* Waits until each of the seats says so, or a fault says why not. */
static void await_seats(struct run *run, unsigned first, unsigned last, bool is_for_drain) {
    for (unsigned i = first; i <= last && !has_faults();) {
        const struct seat *seat = &board->seat[i];
        if (atomic_load(is_for_drain ? &seat->is_drained : &seat->is_open))
            i++;
        else
            look_for(run, 1000000);
    }
}

/* ---- killing ---- */

static void shuffle(struct run *run, unsigned first) {
    for (unsigned i = run->planned - 1; i > first && i < run->planned; i--) {
        const unsigned other = first + (unsigned)peer_roll(&run->random, i - first + 1);
        const uint8_t kind = run->plan[i];
        run->plan[i] = run->plan[other];
        run->plan[other] = kind;
    }
}

static void plan_kind(struct run *run, enum kind kind, unsigned count) {
    while (count-- > 0 && run->planned < PLAN_MAX)
        run->plan[run->planned++] = (uint8_t)kind;
}

/* First all together, then writers and readers under a supervisor that lives. Returns where that
 * begins. */
static unsigned make_plan(struct run *run) {
    const unsigned writers = run->wanted[KIND_WRITER] * 3 / 5;
    const unsigned readers = run->wanted[KIND_READER] * 3 / 5;
    plan_kind(run, KIND_SUPERVISOR, run->wanted[KIND_SUPERVISOR]);
    plan_kind(run, KIND_WRITER, writers);
    plan_kind(run, KIND_READER, readers);
    shuffle(run, 0);
    const unsigned second = run->planned;
    plan_kind(run, KIND_WRITER, run->wanted[KIND_WRITER] - writers);
    plan_kind(run, KIND_READER, run->wanted[KIND_READER] - readers);
    shuffle(run, second);
    return second;
}

static void kill_peer(struct run *run, enum kind kind) {
    const unsigned seat = kind == KIND_WRITER
                              ? (unsigned)peer_roll(&run->random, STREAMS)
                              : STREAMS + (unsigned)peer_roll(&run->random, READERS);
    run->killed[kind] += cast_seat_kill(&run->cast, seat);
    if (peer_roll(&run->random, 3) == 0)
        peer_sleep((int64_t)peer_roll(&run->random, 30000000));
    cast_seat_fill(&run->cast, seat);
}

/* Sometimes just after a peer has come, so that it is in the midst of linking it. */
static void kill_supervisor(struct run *run) {
    if (peer_roll(&run->random, 2)) {
        const unsigned seat = (unsigned)peer_roll(&run->random, SEATS);
        run->killed[seat < STREAMS ? KIND_WRITER : KIND_READER] += cast_seat_kill(&run->cast, seat);
        cast_seat_fill(&run->cast, seat);
        peer_sleep((int64_t)peer_roll(&run->random, 6000000));
        run->supervisors_early++;
    }
    cast_supervisor_kill(&run->cast);
    run->killed[KIND_SUPERVISOR]++;
    look_for(run, (int64_t)peer_roll(&run->random, 60000000));
    cast_supervisor_start(&run->cast);
}

static void kill_from(struct run *run, unsigned first, unsigned last) {
    for (unsigned i = first; i < last && !has_faults(); i++) {
        look_for(run, (int64_t)peer_roll(&run->random, 50000000));
        if (run->plan[i] == KIND_SUPERVISOR)
            kill_supervisor(run);
        else
            kill_peer(run, (enum kind)run->plan[i]);
    }
}

static void kill_all(struct run *run) {
    const unsigned second = make_plan(run);
    await_seats(run, 0, SEATS - 1, false);
    kill_from(run, 0, second);
    if (!has_faults())
        look_for(run, SETTLED_NS);
    kill_from(run, second, run->planned);
}

/* ---- the end ---- */

/* Everyone gets the last frame; then everyone leaves, and everything is back. */
static void finish(struct run *run) {
    await_seats(run, 0, SEATS - 1, false);
    if (!has_faults())
        look_for(run, SETTLED_NS);
    atomic_store(&board->command, COMMAND_DRAIN);
    await_seats(run, 0, STREAMS - 1, true);
    await_seats(run, STREAMS, SEATS - 1, true);
    if (has_faults())
        return;
    atomic_store(&board->command, COMMAND_READERS_LEAVE);
    if (!cast_seats_end(&run->cast, STREAMS, SEATS - 1))
        return;
    atomic_store(&board->command, COMMAND_WRITERS_LEAVE);
    if (!cast_seats_end(&run->cast, 0, STREAMS - 1))
        return;
    if (!cast_supervisor_stop(&run->cast))
        board_fault("the supervisor did not end well");
}

/* ---- the report ---- */

static uint64_t total(enum total which) {
    return atomic_load(&board->total[which]);
}

static int compare_ns(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void print_times(const char *what, int64_t *ns, unsigned count) {
    if (count == 0)
        return;
    qsort(ns, count, sizeof(*ns), compare_ns);
    printf("  %-52s %5u  p50 %8.3f  p99 %8.3f  max %8.3f ms\n", what, count,
           (double)ns[count / 2] / 1e6, (double)ns[(uint64_t)count * 99 / 100] / 1e6,
           (double)ns[count - 1] / 1e6);
}

static void print_samples(bool is_disturbed) {
    static int64_t open_ns[SAMPLES_MAX], publish_ns[SAMPLES_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < SAMPLES_MAX && i < atomic_load(&board->samples); i++) {
        const struct sample *sample = &board->sample[i];
        if (!atomic_load(&sample->is_complete) || sample->is_disturbed != is_disturbed)
            continue;
        open_ns[count] = sample->since_open_ns;
        publish_ns[count++] = sample->since_publish_ns;
    }
    printf(is_disturbed ? "a writer's return while the supervisor was being replaced\n"
                        : "a writer's return\n");
    print_times("from its open to the first frame at a reader", open_ns, count);
    print_times("from its first frame to the first frame at a reader", publish_ns, count);
}

static void print_frames(void) {
    static const struct {
        enum total total;
        const char *text;
    } lines[] = {
        {TOTAL_PUBLISHED, "frames published"},
        {TOTAL_ABANDONED, "loans abandoned"},
        {TOTAL_FORMATS, "changes of format"},
        {TOTAL_FORMATS_REFUSED, "changes of format without a supervisor, refused"},
        {TOTAL_DELIVERED, "frames delivered"},
        {TOTAL_CHECKS, "checks of a frame's sum"},
        {TOTAL_SLEPT, "frames that a reader waited for"},
        {TOTAL_SKIPPED, "frames skipped by policy"},
        {TOTAL_LOST_LATE, "frames lost, reader too far behind"},
        {TOTAL_LOST_RESTART, "frames lost, reader not linked yet"},
        {TOTAL_LOST_DISTURBED, "... of both, while the supervisor was being replaced"},
        {TOTAL_SPACE_WAITS, "loans that waited long for a lossless reader"},
        {TOTAL_COLD, "slots without memory met by the writers of the end"},
        {TOTAL_KILLED_IN_PUBLISH, "late frames whose writer died before it could wake"},
        {TOTAL_SLOW_MACHINE, "late frames since the machine was busy"},
    };
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        printf("  %-52s %10llu\n", lines[i].text, (unsigned long long)total(lines[i].total));
    printf("  %-52s %10.1f\n", "GB of payload checked", (double)total(TOTAL_VERIFIED_BYTES) / 1e9);
}

static void print_report(const struct run *run) {
    const struct cast *cast = &run->cast;
    printf("killed\n  %u writers, %u readers, %u supervisors (%u of them just after a peer came)\n",
           run->killed[KIND_WRITER], run->killed[KIND_READER], run->killed[KIND_SUPERVISOR],
           run->supervisors_early);
    printf("  peers: %u at any moment, %u just behind a door, %u a number of instructions behind "
           "it%s\n",
           cast->deaths_at_once, cast->deaths_at_door, cast->deaths_in_step,
           cast->can_step ? "" : " (ptrace is not allowed here)");
    printf("frames\n");
    print_frames();
    printf("slots with memory, most at once (allowed)\n ");
    for (unsigned i = 0; i < STREAMS; i++)
        printf(" %s %u (%u)", seat_name(i), run->slots_most[i], slots_allowed(i));
    printf("\n");
    print_samples(false);
    print_samples(true);
}

static unsigned print_faults(void) {
    const unsigned count = atomic_load(&board->faults);
    for (unsigned i = 0; i < count && i < FAULTS_MAX; i++)
        printf("FAULT: %s\n", board->fault[i]);
    return count;
}

int main(int argc, char **argv) {
    static struct run run = {.wanted = {300, 300, 50}};
    const char *program = getenv("SHMFRAMED"), *seed = getenv("SHMFRAME_SEED");
    if (!program || (argc != 1 && argc != 1 + KINDS)) {
        fprintf(stderr, "usage: SHMFRAMED=PROGRAM kill [WRITERS READERS SUPERVISORS]\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        run.wanted[i - 1] = (unsigned)strtoul(argv[i], NULL, 10);
    run.random = seed ? strtoull(seed, NULL, 10) : (uint64_t)shmframe_now_ns();
    printf("SHMFRAME_SEED=%llu repeats this run\n", (unsigned long long)run.random);
    fflush(stdout); /* children inherit what is not */
    board_create();
    cast_start(&run.cast, program, run.random);
    cast_supervisor_start(&run.cast);
    for (unsigned i = 0; i < SEATS; i++)
        cast_seat_fill(&run.cast, i);
    kill_all(&run);
    finish(&run);
    const unsigned strangers = cast_finish(&run.cast);
    if (strangers > 0)
        board_fault("%u processes were left that nobody knew of", strangers);
    print_report(&run);
    const unsigned faults = print_faults();
    printf("%u faults\n", faults);
    return faults == 0 ? 0 : 1;
}
