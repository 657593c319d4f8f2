/* Who lost it, a writer's side: frames that did not come to be. The test is the writer, and says
 * itself when a frame was captured; readers that keep it waiting are processes. */
#include "journal.h"
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS_NS INT64_C(1000000)

enum { PERIOD_MS = 10, SAMPLES = 480 };

static struct shmframe_writer *writer;
static int64_t start_ns;

static void open_writer(struct shmframe_format format, uint32_t loans, uint32_t flags) {
    const struct shmframe_writer_params params = {
        .stream = "faults", .format = format, .loans = loans, .flags = flags};
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    start_ns = shmframe_now_ns();
}

static struct shmframe_format video(void) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "gray", 16, 16), 0);
    format.video.frame_rate = (struct shmframe_rational){1000 / PERIOD_MS, 1};
    return format;
}

static struct shmframe_format sound(void) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_audio(&format, "s16", 2, 48000, SAMPLES), 0);
    return format;
}

static struct shmframe_format datum(void) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 8), 0);
    return format;
}

/* The frame that was due at period `number`, as told; returns its sequence. */
static uint64_t publish_at(int64_t number, uint32_t dropped, uint32_t own, uint32_t flags) {
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    loan.frame.capture_ns = start_ns + number * PERIOD_MS * MS_NS;
    loan.frame.device_dropped = dropped;
    loan.frame.flags = flags;
    loan.own_dropped = own;
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    return loan.frame.sequence;
}

static struct shmframe_writer_counters counters(void) {
    struct shmframe_writer_counters result;
    shmframe_writer_counters(writer, &result);
    return result;
}

/* Loss number `number` is the newest. */
static struct shmframe_event expect_loss(unsigned number, enum shmframe_cause cause, uint64_t first,
                                         uint64_t count) {
    const struct shmframe_event loss = journal_await_loss("faults", "api-test", number);
    ck_assert_str_eq(shmframe_cause_name(loss.cause), shmframe_cause_name(cause));
    ck_assert_uint_eq(loss.first, first);
    ck_assert_uint_eq(loss.count, count);
    ck_assert_int_eq(loss.pid, getpid());
    return loss;
}

static void check_own_loss(const struct shmframe_event *loss, uint64_t first, uint64_t count) {
    ck_assert_str_eq(shmframe_cause_name(loss->cause), "writer-late");
    ck_assert_uint_eq(loss->first, first);
    ck_assert_uint_eq(loss->count, count);
    ck_assert_int_eq(loss->pid, getpid());
    ck_assert_str_eq(loss->culprit, "api-test");
    ck_assert_int_eq(loss->culprit_pid, getpid());
    ck_assert_int_eq(loss->duration_ns, (int64_t)(count + 1) * PERIOD_MS * MS_NS);
}

/* The supervisor has looked since, and noted nothing more. */
static void expect_no_more(unsigned losses) {
    /* A loss that is certain to be noted comes behind. */
    publish_at(100000, 1, 0, SHMFRAME_DISCONTINUITY);
    const struct shmframe_event last = journal_await_loss("faults", "api-test", losses + 1);
    ck_assert_str_eq(shmframe_cause_name(last.cause), "device");
    ck_assert_str_eq(last.culprit, "device");
    ck_assert_int_eq(last.culprit_pid, 0);
}

static void close_writer(void) {
    shmframe_writer_close(writer);
}

/* ---- late ---- */

/* Every sixth time it skips one more than the last time. */
static void skip(struct shmframe_format format) {
    enum { SKIPS = 6 };
    open_writer(format, 0, 0);
    int64_t due = 0;
    uint64_t first[SKIPS], late = 0;
    for (unsigned number = 1; number <= SKIPS; number++) {
        for (unsigned i = 0; i < 5; i++)
            publish_at(due++, 0, 0, 0);
        due += number;
        late += number;
        first[number - 1] = publish_at(due++, 0, 0, 0);
    }
    ck_assert_uint_eq(counters().late, late);
    struct shmframe_event losses[SKIPS];
    journal_await_losses("faults", "api-test", SKIPS, losses);
    for (unsigned number = 1; number <= SKIPS; number++)
        check_own_loss(&losses[number - 1], first[number - 1], number);
    expect_no_more(SKIPS);
    close_writer();
}

START_TEST(a_writer_that_skips_pictures_is_late_by_as_many) {
    skip(video());
}
END_TEST

START_TEST(a_writer_that_skips_blocks_of_sound_is_late_by_as_many) {
    skip(sound());
}
END_TEST

START_TEST(nothing_is_late_where_nothing_was_due) {
    struct shmframe_format free_running = video();
    free_running.video.frame_rate = (struct shmframe_rational){0, 1};
    open_writer(free_running, 0, 0);
    publish_at(0, 0, 0, 0);
    publish_at(500, 0, 0, 0);
    expect_no_more(0);
    const struct shmframe_format format = video();
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    publish_at(600, 0, 0, 0); /* the first of a format */
    publish_at(700, 0, 0, SHMFRAME_DISCONTINUITY);
    shmframe_writer_set_paced(writer, false);
    publish_at(800, 0, 0, 0);
    shmframe_writer_set_paced(writer, true);
    publish_at(900, 0, 0, 0);
    ck_assert_uint_eq(counters().late, 0);
    expect_no_more(1);
    close_writer();
}
END_TEST

START_TEST(a_jittering_clock_is_not_late) {
    open_writer(video(), 0, 0);
    srandom(1);
    for (int64_t i = 0; i < 500; i++) {
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
        /* By up to a quarter of a period, either way. */
        loan.frame.capture_ns =
            start_ns + i * PERIOD_MS * MS_NS + (random() % 5001 - 2500) * INT64_C(1000);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    }
    ck_assert_uint_eq(counters().late, 0);
    close_writer();
}
END_TEST

/* ---- dropped ---- */

START_TEST(what_a_device_drops_is_the_devices_and_what_is_missing_beyond_the_writers) {
    open_writer(video(), 0, 0);
    publish_at(0, 0, 0, 0);
    publish_at(4, 3, 0, 0); /* with its gap */
    const struct shmframe_event loss = expect_loss(1, SHMFRAME_CAUSE_DEVICE, 2, 3);
    ck_assert_str_eq(loss.culprit, "device");
    ck_assert_int_eq(loss.culprit_pid, 0);
    publish_at(5, 2, 0, 0); /* without one */
    expect_loss(2, SHMFRAME_CAUSE_DEVICE, 3, 2);
    ck_assert_uint_eq(counters().late, 0);
    publish_at(12, 4, 0, 0); /* and two more are missing */
    journal_await_loss("faults", "api-test", 4);
    ck_assert_uint_eq(counters().late, 2);
    ck_assert_uint_eq(counters().device_dropped, 9);
    close_writer();
}
END_TEST

START_TEST(what_a_program_drops_itself_is_its_own) {
    open_writer(video(), 0, SHMFRAME_WRITER_TELLS_DROPS);
    publish_at(0, 0, 0, 0);
    publish_at(50, 0, 0, 0); /* as a camera in the dark */
    publish_at(54, 3, 3, SHMFRAME_DISCONTINUITY);
    const struct shmframe_event loss = journal_await_loss("faults", "api-test", 1);
    check_own_loss(&loss, 3, 3);
    expect_no_more(1);
    close_writer();
}
END_TEST

/* ---- the pool ---- */

static struct peer slow;

static void start_slow(const char *name, uint32_t depth) {
    peer_start(&slow, name,
               (struct shmframe_reader_params){
                   .stream = "faults", .policy = SHMFRAME_LOSSLESS, .depth = depth, .leases = 2});
}

/* Publishes until the reader, which takes nothing, keeps the writer from more. */
static uint64_t fill(void) {
    struct shmframe_loan loan;
    uint64_t newest = 0;
    int code;
    while ((code = shmframe_writer_loan(writer, SHMFRAME_NOW, &loan)) == 0) {
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        newest = loan.frame.sequence;
    }
    ck_assert_int_eq(code, -EAGAIN);
    return newest;
}

/* But not for a wait that may be asked for again. */
START_TEST(a_lossless_reader_that_stalls_is_to_blame_for_each_refusal) {
    enum { DEPTH = 3, REFUSALS = 5, WAITS = 2 };
    open_writer(datum(), 0, 0);
    start_slow("slow", DEPTH);
    publish_at(0, 0, 0, 0);
    peer_do(&slow, PEER_ACQUIRE, 1);
    ck_assert_uint_eq(fill(), 1 + DEPTH); /* refused once */
    struct shmframe_loan loan;
    for (unsigned i = 1; i < REFUSALS; i++)
        ck_assert_int_eq(
            shmframe_writer_loan(writer, i % 2 ? SHMFRAME_NOW : shmframe_deadline_ns(MS_NS), &loan),
            i % 2 ? -EAGAIN : -ETIMEDOUT);
    ck_assert_uint_eq(counters().loans_refused, REFUSALS);
    ck_assert_uint_eq(counters().waits, WAITS);
    peer_do(&slow, PEER_GO_ON, 2);
    publish_at(1, 0, 0, 0);
    const struct shmframe_event loss =
        expect_loss(1, SHMFRAME_CAUSE_POOL, 2 + DEPTH, REFUSALS - WAITS);
    ck_assert_str_eq(loss.culprit, "slow");
    ck_assert_int_eq(loss.culprit_pid, slow.pid);
    ck_assert_uint_eq(loss.culprit_reader, slow.number);
    ck_assert_uint_eq(loss.leases, DEPTH + 1); /* what waits for it, and what it holds */
    peer_stop(&slow);
    expect_no_more(1);
    close_writer();
}
END_TEST

START_TEST(a_producer_that_keeps_its_own_loans_blames_itself) {
    enum { LOANS = 3, REFUSALS = 4 };
    open_writer(video(), LOANS, 0);
    publish_at(0, 0, 0, 0);
    struct shmframe_loan loan[LOANS], more;
    for (unsigned i = 0; i < LOANS; i++)
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[i]), 0);
    for (unsigned i = 0; i < REFUSALS; i++) {
        poll(NULL, 0, PERIOD_MS + 1);
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &more), -EBUSY);
    }
    for (int64_t i = 0; i < LOANS; i++) {
        loan[i].frame.capture_ns = start_ns + (1 + REFUSALS + i) * PERIOD_MS * MS_NS;
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan[i]), 0);
    }
    const struct shmframe_event loss = expect_loss(1, SHMFRAME_CAUSE_POOL, 2, REFUSALS);
    ck_assert_str_eq(loss.culprit, "api-test");
    ck_assert_int_eq(loss.culprit_pid, getpid());
    ck_assert_uint_eq(loss.culprit_reader, 0);
    ck_assert_uint_eq(loss.leases, LOANS);
    ck_assert_uint_eq(counters().late, 0);
    expect_no_more(1);
    close_writer();
}
END_TEST

START_TEST(refusals_that_last_to_the_end_are_told_at_the_end) {
    open_writer(datum(), 0, 0);
    start_slow("slow", 2);
    const uint64_t newest = fill();
    close_writer();
    ck_assert_str_eq(expect_loss(1, SHMFRAME_CAUSE_POOL, newest + 1, 1).culprit, "slow");
    peer_stop(&slow);
}
END_TEST

static void *loan_patiently(void *out_loan) {
    return (void *)(intptr_t)shmframe_writer_loan(writer, world_deadline(), out_loan);
}

static struct shmframe_stream_info stream_info(void) {
    struct shmframe_stream_info info;
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), &info, 1), 1);
    return info;
}

/* A frozen reader keeps it from ten pictures: seen while it lasts, by whom; then they are the
 * reader's, nobody is late, and no loan was refused. */
START_TEST(a_writer_that_waits_shows_for_whom_and_is_not_late) {
    open_writer(video(), 0, 0);
    start_slow("frozen", 2);
    publish_at(0, 0, 0, 0);
    publish_at(1, 0, 0, 0);
    peer_freeze(&slow);
    struct shmframe_loan loan;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, loan_patiently, &loan), 0);
    struct shmframe_stream_info info;
    const int64_t deadline_ns = world_deadline();
    do {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        poll(NULL, 0, 10 * PERIOD_MS);
        info = stream_info();
    } while (info.blocked_ns == 0);
    ck_assert_uint_eq(info.blocker, slow.number);
    peer_thaw(&slow);
    peer_do(&slow, PEER_TAKE, 1);
    peer_do(&slow, PEER_TAKE, 2);
    void *result;
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_int_eq((intptr_t)result, 0);
    /* Captured when it had its slot. */
    const int64_t kept_ns = loan.frame.loan_ns - info.blocked_ns;
    loan.frame.capture_ns = start_ns + PERIOD_MS * MS_NS + kept_ns;
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    const struct shmframe_event loss = journal_await_loss("faults", "api-test", 1);
    ck_assert_str_eq(shmframe_cause_name(loss.cause), "pool");
    ck_assert_uint_eq(loss.first, loan.frame.sequence);
    ck_assert_int_ge((int64_t)loss.count, kept_ns / (PERIOD_MS * MS_NS) - 1);
    ck_assert_int_le((int64_t)loss.count, kept_ns / (PERIOD_MS * MS_NS));
    ck_assert_str_eq(loss.culprit, "frozen");
    ck_assert_uint_eq(loss.culprit_reader, slow.number);
    ck_assert_int_eq(stream_info().blocked_ns, 0);
    ck_assert_uint_eq(stream_info().waits, 1);
    ck_assert_uint_eq(counters().loans_refused, 0);
    ck_assert_uint_eq(counters().late, 0);
    peer_stop(&slow);
    expect_no_more(1);
    close_writer();
}
END_TEST

/* As a program does that puts its frames into a file: it asks in slices, to do other things in
 * between. */
START_TEST(a_wait_in_slices_that_loses_no_frame_is_no_loss) {
    enum { SLICES = 5 };
    open_writer(video(), 0, SHMFRAME_WRITER_TELLS_DROPS);
    start_slow("patient", 2);
    publish_at(0, 0, 0, 0);
    publish_at(1, 0, 0, 0);
    struct shmframe_loan loan;
    for (unsigned i = 0; i < SLICES; i++)
        ck_assert_int_eq(
            shmframe_writer_loan(writer, shmframe_deadline_ns(PERIOD_MS * MS_NS), &loan),
            -ETIMEDOUT);
    ck_assert_uint_eq(stream_info().blocker, slow.number);
    ck_assert_uint_eq(counters().loans_refused, SLICES);
    peer_do(&slow, PEER_TAKE, 1);
    publish_at(2, 0, 0, 0);
    peer_stop(&slow);
    expect_no_more(0);
    close_writer();
}
END_TEST

/* Refused once, and then at something else while the reader has long gone on. */
START_TEST(a_refusal_is_not_the_reader_s_for_ever) {
    open_writer(video(), 0, 0);
    start_slow("innocent", 2);
    publish_at(0, 0, 0, 0);
    publish_at(1, 0, 0, 0);
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), -EAGAIN);
    peer_do(&slow, PEER_TAKE, 1);
    peer_do(&slow, PEER_TAKE, 2);
    const int64_t deadline_ns = world_deadline();
    while (stream_info().blocked_ns) {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        poll(NULL, 0, PERIOD_MS);
    }
    publish_at(21, 0, 0, 0);
    struct shmframe_event losses[2];
    journal_await_losses("faults", "api-test", 2, losses);
    ck_assert_str_eq(shmframe_cause_name(losses[0].cause), "pool");
    ck_assert_str_eq(losses[0].culprit, "innocent");
    ck_assert_uint_eq(losses[0].count, 1);
    ck_assert_str_eq(shmframe_cause_name(losses[1].cause), "writer-late");
    ck_assert_str_eq(losses[1].culprit, "api-test");
    ck_assert_uint_eq(losses[1].count, 18);
    peer_stop(&slow);
    close_writer();
}
END_TEST

/* Between its refusals because of a reader, it asks for loans until it has all. */
START_TEST(its_own_loans_cost_nothing_and_are_not_told) {
    open_writer(datum(), 2, 0);
    start_slow("slow", 2);
    fill();
    peer_do(&slow, PEER_ACQUIRE, 1);
    struct shmframe_loan loan[3];
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[0]), 0);
    ck_assert_str_eq(journal_await_loss("faults", "api-test", 1).culprit, "slow");
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan[0]), 0);
    peer_do(&slow, PEER_GO_ON, 2);
    peer_do(&slow, PEER_GO_ON, 3);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[0]), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[1]), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[2]), -EBUSY);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[2]), -EBUSY);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan[0]), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan[1]), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[0]), -EAGAIN);
    peer_do(&slow, PEER_GO_ON, 4);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[0]), 0);
    ck_assert_int_eq(shmframe_writer_abandon(writer, &loan[0]), 0);
    const struct shmframe_event last = journal_await_loss("faults", "api-test", 2);
    ck_assert_str_eq(last.culprit, "slow");
    ck_assert_uint_eq(last.count, 1);
    peer_stop(&slow);
    close_writer();
}
END_TEST

/* ---- another format ---- */

static void toggle(void) {
    world.session = world_open_session();
    struct shmframe_format format = datum();
    open_writer(format, 0, 0);
    publish_at(0, 0, 0, 0);
    world_tell();
    for (int64_t i = 1;; i++) {
        if (shmframe_format_data(&format, i % 2 ? "one" : "other", 8) < 0 ||
            shmframe_writer_set_format(writer, &format, world_deadline()) < 0)
            _exit(3);
        publish_at(i, 0, 0, 0);
    }
}

START_TEST(counters_go_on_whatever_becomes_of_the_format) {
    enum { LOOKS = 500 };
    const pid_t pid = world_fork(toggle);
    world_await();
    uint64_t newest = 0;
    for (unsigned i = 0; i < LOOKS; i++) {
        const struct shmframe_stream_info info = stream_info();
        ck_assert_uint_ge(info.published, newest);
        ck_assert_uint_ge(info.published, 1);
        newest = info.published;
    }
    world_kill(pid);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("writers");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, a_writer_that_skips_pictures_is_late_by_as_many);
    tcase_add_test(tests, a_writer_that_skips_blocks_of_sound_is_late_by_as_many);
    tcase_add_test(tests, nothing_is_late_where_nothing_was_due);
    tcase_add_test(tests, a_jittering_clock_is_not_late);
    tcase_add_test(tests,
                   what_a_device_drops_is_the_devices_and_what_is_missing_beyond_the_writers);
    tcase_add_test(tests, what_a_program_drops_itself_is_its_own);
    tcase_add_test(tests, a_lossless_reader_that_stalls_is_to_blame_for_each_refusal);
    tcase_add_test(tests, a_producer_that_keeps_its_own_loans_blames_itself);
    tcase_add_test(tests, refusals_that_last_to_the_end_are_told_at_the_end);
    tcase_add_test(tests, a_writer_that_waits_shows_for_whom_and_is_not_late);
    tcase_add_test(tests, a_wait_in_slices_that_loses_no_frame_is_no_loss);
    tcase_add_test(tests, a_refusal_is_not_the_reader_s_for_ever);
    tcase_add_test(tests, its_own_loans_cost_nothing_and_are_not_told);
    tcase_add_test(tests, counters_go_on_whatever_becomes_of_the_format);
    Suite *suite = suite_create("attribution: writers");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
