/* Processes with a supervisor between them: one of them is killed before and after each system call
 * of what it does - opens a session, a reader, a writer, leaves, changes the format - and the
 * others go on. At some of them it is stopped instead, and then goes on itself. What is not a call
 * is shared memory: stepkill.c.
 *
 * STEPKILL_POINTS in the environment: at so many instructions of each besides, evenly spread.
 */
#include "stepper.h"
#include "world.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FRAMES_BEFORE = 5, FRAMES_AFTER = 50, LEASES = 2, DEPTH = 60, OTHER_BYTES = 4096 };
enum { STOPPED_EACH = 5 };

/* ---- the one that is killed ---- */

static struct shmframe_session *session;
static struct shmframe_reader *reader;
static struct shmframe_writer *writer;
static struct shmframe_lease held;

static void must(bool is_so) {
    if (!is_so) {
        fprintf(stderr, "peers: %s\n", shmframe_last_error());
        _exit(3);
    }
}

static void open_session(void *of) {
    (void)of;
    const struct shmframe_session_params params = {
        .socket = world.socket, .name = "victim", .deadline_ns = world_deadline()};
    must(shmframe_session_open(&params, &session) == 0);
}

static void close_session(void *of) {
    open_session(of);
    shmframe_session_close(session);
}

static void open_reader(void *of) {
    (void)of;
    const struct shmframe_reader_params params = {.stream = "s",
                                                  .policy = SHMFRAME_IN_ORDER,
                                                  .depth = 4,
                                                  .leases = LEASES,
                                                  .deadline_ns = world_deadline()};
    must(shmframe_reader_open(session, &params, &reader) == 0);
    must(shmframe_reader_acquire(reader, world_deadline(), &held) == 0);
}

static void join(void *of) {
    open_reader(of);
    must(shmframe_reader_release(reader, &held) == 0);
}

static void ready_to_leave(void *of) {
    open_session(of);
    open_reader(of);
}

static void leave(void *of) {
    (void)of;
    shmframe_reader_close(reader);
    shmframe_session_close(session);
}

static void publish(void) {
    struct shmframe_loan loan;
    must(shmframe_writer_loan(writer, world_deadline(), &loan) == 0);
    memset(loan.data, 0, sizeof(uint64_t));
    must(shmframe_writer_publish(writer, &loan) == 0);
}

static void open_writer(void *of) {
    (void)of;
    struct shmframe_writer_params params = {.stream = "s"};
    must(shmframe_format_data(&params.format, "test", sizeof(uint64_t)) == 0);
    must(shmframe_writer_open(session, &params, &writer) == 0);
    publish();
}

static void ready_to_change(void *of) {
    open_session(of);
    open_writer(of);
    for (unsigned i = 1; i < FRAMES_BEFORE; i++)
        publish();
}

static void change_format(void *of) {
    (void)of;
    struct shmframe_format format;
    must(shmframe_format_data(&format, "other", OTHER_BYTES) == 0);
    must(shmframe_writer_set_format(writer, &format, world_deadline()) == 0);
    publish();
    publish();
}

static void end_writer(void *of) {
    (void)of;
    must(shmframe_writer_end(writer) == 0);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
}

/* ---- the others ---- */

static void dispatch(void *of) {
    (void)of;
    shmframe_session_dispatch(world.session);
}

/* In order, nothing twice, what is lost told. */
struct follower {
    struct shmframe_reader *reader;
    uint64_t last;
    unsigned taken;
};

/* Takes a frame; false: there is none by `deadline_ns`, or never again from this writer. */
static bool follow(struct follower *follower, int64_t deadline_ns) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(follower->reader, deadline_ns, &lease);
    if (code == -EAGAIN || code == -ENODATA || code == -ETIMEDOUT)
        return false;
    ck_assert_msg(code == 0, "the follower cannot read (%d): %s", code, shmframe_last_error());
    if (follower->last)
        ck_assert_uint_eq(lease.frame.sequence, follower->last + 1 + lease.lost);
    ck_assert_uint_eq(lease.lost, 0);
    ck_assert_uint_eq(world_value(&lease), 0);
    ck_assert_int_eq(shmframe_reader_release(follower->reader, &lease), 0);
    follower->last = lease.frame.sequence;
    follower->taken++;
    return true;
}

static struct follower follow_stream(void) {
    const struct shmframe_reader_params params = {.stream = "s",
                                                  .policy = SHMFRAME_IN_ORDER,
                                                  .depth = DEPTH,
                                                  .deadline_ns = world_deadline()};
    struct follower follower = {0};
    const int code = shmframe_reader_open(world.session, &params, &follower.reader);
    ck_assert_msg(code == 0, "no reader: %s", shmframe_last_error());
    return follower;
}

/* The living publish, and the living read: no loan fails, no frame is missed. */
static void go_on(struct shmframe_writer *living, struct follower *follower) {
    struct shmframe_loan loan;
    for (unsigned i = 0; i < FRAMES_AFTER; i++) {
        const int code = shmframe_writer_loan(living, SHMFRAME_NOW, &loan);
        ck_assert_msg(code == 0, "no loan (%d): %s", code, shmframe_last_error());
        memset(loan.data, 0, sizeof(uint64_t));
        ck_assert_int_eq(shmframe_writer_publish(living, &loan), 0);
        ck_assert(follow(follower, world_deadline()));
        ck_assert_uint_eq(follower->last, loan.frame.sequence);
    }
}

static void await_readers(struct shmframe_writer *living, uint32_t readers) {
    const int64_t deadline_ns = world_deadline();
    while (shmframe_writer_readers(living) != readers) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "%u readers are linked, not %u",
                      shmframe_writer_readers(living), readers);
        struct pollfd mail = {.fd = shmframe_session_fd(world.session), .events = POLLIN};
        poll(&mail, 1, 100);
        dispatch(NULL);
    }
}

/* ---- point by point ---- */

enum way { BY_CALLS, BY_INSTRUCTIONS, BY_CALLS_STOPPED };

struct plan {
    const char *name;
    void (*ready)(void *of);
    void (*work)(void *of);
    void (*before)(void);  /* the others, once it is ready */
    void (*go_on)(void);   /* the others, while it is stopped */
    void (*survive)(void); /* the others, once it is dead, or through */
    unsigned points, stops;
};

/* The others go on without it, then it comes to its end as if nothing had been. */
static void stop_for_a_while(struct plan *plan, struct stepper *stepper) {
    stepper_stop(stepper);
    plan->go_on();
    const int status = stepper_continue(stepper);
    ck_assert_msg(status == 0, "%s: stopped after %u calls, it ended with status 0x%x", plan->name,
                  stepper->steps, (unsigned)status);
    plan->stops++;
}

/* False: it was over before. */
static bool try_point(struct plan *plan, enum way way, unsigned steps, unsigned *out_steps) {
    _Atomic unsigned *mark =
        mmap(NULL, sizeof(*mark), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne((void *)mark, MAP_FAILED);
    struct stepper stepper = {.ready = plan->ready,
                              .work = plan->work,
                              .awaken = dispatch,
                              .mark = mark,
                              .may_sleep = true};
    stepper_begin(&stepper);
    if (plan->before)
        plan->before();
    const enum stepper_place place =
        way == BY_INSTRUCTIONS ? stepper_go(&stepper, steps) : stepper_go_calls(&stepper, steps);
    if (way == BY_CALLS_STOPPED && place == STEPPER_WITHIN)
        stop_for_a_while(plan, &stepper);
    else
        stepper_kill(&stepper);
    ck_assert_msg(place != STEPPER_BROKEN, "%s: it failed after %u steps", plan->name,
                  stepper.steps);
    plan->survive();
    plan->points++;
    *out_steps = stepper.steps;
    munmap((void *)mark, sizeof(*mark));
    return place != STEPPER_THROUGH;
}

static void try_all(struct plan *plan) {
    const char *text = getenv("STEPKILL_POINTS");
    const unsigned points = text ? (unsigned)strtoul(text, NULL, 10) : 0;
    unsigned calls = 0, instructions = 0, steps;
    while (try_point(plan, BY_CALLS, calls, &steps))
        calls++;
    /* Another time it may make fewer calls, and be through: behind the last one it surely is. */
    for (unsigned at = 0; at < calls + STOPPED_EACH; at += STOPPED_EACH)
        try_point(plan, BY_CALLS_STOPPED, at, &steps);
    if (points) {
        ck_assert(!try_point(plan, BY_INSTRUCTIONS, UINT_MAX, &instructions));
        for (unsigned at = 0; at < instructions; at += instructions / points + 1)
            try_point(plan, BY_INSTRUCTIONS, at, &steps);
    }
    printf("%s: %u points, %u before and after calls, of %u instructions; stopped at %u\n",
           plan->name, plan->points, calls, instructions, plan->stops);
    fflush(stdout);
    ck_assert_uint_gt(calls, 4);
}

/* ---- a reader dies ---- */

static struct shmframe_writer *living;
static struct follower witness;

static void survive_reader(void) {
    go_on(living, &witness);
    await_readers(living, 1);
    go_on(living, &witness);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(living, &counters);
    ck_assert_uint_eq(counters.loans_refused, 0);
    /* As the writer plans it, with the leases of one that died: not of all who did. */
    const struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_ring_plan foretold;
    ck_assert_int_eq(shmframe_ring_plan(&params, DEPTH, 1 + LEASES, &foretold), 0);
    ck_assert_uint_le(counters.slots_used, foretold.slots_used);
}

static void publish_meanwhile(void) {
    go_on(living, &witness);
}

static void kill_readers(struct plan *plan) {
    living = world_open_writer("s");
    witness = follow_stream();
    world_publish(living, 0);
    ck_assert(follow(&witness, world_deadline()));
    plan->go_on = publish_meanwhile;
    plan->survive = survive_reader;
    try_all(plan);
    shmframe_reader_close(witness.reader);
    shmframe_writer_close(living);
}

START_TEST(a_reader_may_die_at_any_call_while_it_opens_its_session) {
    kill_readers(&(struct plan){.name = "session", .work = close_session});
}
END_TEST

START_TEST(a_reader_may_die_at_any_call_while_it_joins) {
    kill_readers(&(struct plan){.name = "join", .ready = open_session, .work = join});
}
END_TEST

START_TEST(a_reader_may_die_at_any_call_while_it_leaves_with_a_lease) {
    kill_readers(&(struct plan){.name = "leave", .ready = ready_to_leave, .work = leave});
}
END_TEST

/* ---- a writer dies ---- */

static void see_it(void) {
    witness = follow_stream();
    ck_assert(follow(&witness, world_deadline()));
    ck_assert_uint_gt(witness.last, 0);
}

/* Its stream is its own while it lives. */
static void read_meanwhile(void) {
    if (witness.reader)
        while (follow(&witness, SHMFRAME_NOW)) {
        }
    dispatch(NULL);
}

/* All that it published is read, then the next writer's: its name is free. */
static void survive_writer(void) {
    if (!witness.reader)
        witness = follow_stream();
    while (follow(&witness, SHMFRAME_NOW)) {
    }
    living = world_open_writer("s");
    go_on(living, &witness);
    shmframe_reader_close(witness.reader);
    shmframe_writer_close(living);
    witness = (struct follower){0};
}

static void open_first(void) {
    witness = (struct follower){0};
}

/* There is no stream until its writer is, so who follows comes when the next writer does. */
static void survive_opening(void) {
    living = world_open_writer("s");
    witness = follow_stream();
    go_on(living, &witness);
    shmframe_reader_close(witness.reader);
    shmframe_writer_close(living);
}

START_TEST(a_writer_may_die_at_any_call_while_it_opens_its_stream) {
    try_all(&(struct plan){.name = "open",
                           .ready = open_session,
                           .work = open_writer,
                           .before = open_first,
                           .go_on = read_meanwhile,
                           .survive = survive_opening});
}
END_TEST

START_TEST(a_writer_may_die_at_any_call_while_it_changes_the_format) {
    try_all(&(struct plan){.name = "format",
                           .ready = ready_to_change,
                           .work = change_format,
                           .before = see_it,
                           .go_on = read_meanwhile,
                           .survive = survive_writer});
}
END_TEST

START_TEST(a_writer_may_die_at_any_call_while_it_ends_its_stream) {
    try_all(&(struct plan){.name = "end",
                           .ready = ready_to_change,
                           .work = end_writer,
                           .before = see_it,
                           .go_on = read_meanwhile,
                           .survive = survive_writer});
}
END_TEST

int main(void) {
    enum { SKIPPED = 77 };
    if (!stepper_is_allowed()) {
        printf(
            "skipped: a child cannot be traced here (ptrace is forbidden, by seccomp or yama)\n");
        return SKIPPED;
    }
    Suite *suite = suite_create("peers");
    TCase *tests = tcase_create("peers");
    tcase_set_timeout(tests, 1800);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, a_reader_may_die_at_any_call_while_it_opens_its_session);
    tcase_add_test(tests, a_reader_may_die_at_any_call_while_it_joins);
    tcase_add_test(tests, a_reader_may_die_at_any_call_while_it_leaves_with_a_lease);
    tcase_add_test(tests, a_writer_may_die_at_any_call_while_it_opens_its_stream);
    tcase_add_test(tests, a_writer_may_die_at_any_call_while_it_changes_the_format);
    tcase_add_test(tests, a_writer_may_die_at_any_call_while_it_ends_its_stream);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
