/* What the supervisor reads in its peers' pages: whoever lies there costs others nothing. */
#include "peer.h"

#include "ledger.h"
#include "record.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINES_BURST = 64, EVENTS_MAX = 4096 };

static struct supervisor supervisor;
static struct peer writer, liar, honest;
static struct test_ring ring;
static struct record liars, honests; /* their records */
static struct shmframe_session *session;
static struct shmframe_event event[EVENTS_MAX];
static int64_t begun_ns;

static void begin(void) {
    supervisor_prepare(&supervisor);
    supervisor_start(&supervisor);
    begun_ns = shmframe_now_ns();
    ring_make(&ring, "test", 16);
    ck_assert_int_eq(record_create(&liars), 0);
    ck_assert_int_eq(record_create(&honests), 0);
    peer_open(&writer, &supervisor, "writer");
    peer_open(&liar, &supervisor, "liar");
    peer_open(&honest, &supervisor, "honest");
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 4});
    peer_open_reader(
        &liar, "test",
        &(struct reader_options){.reader = 1, .policy = SHMFRAME_IN_ORDER, .record = liars.fd});
    peer_expect_link(&liar);
    peer_open_reader(
        &honest, "test",
        &(struct reader_options){.reader = 2, .policy = SHMFRAME_IN_ORDER, .record = honests.fd});
    peer_expect_link(&honest);
    const struct shmframe_session_params params = {
        .socket = supervisor.socket,
        .name = "asker",
        .deadline_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000))};
    ck_assert_int_eq(shmframe_session_open(&params, &session), 0);
}

static void end(void) {
    shmframe_session_close(session);
    peer_vanish(&writer);
    peer_vanish(&liar);
    peer_vanish(&honest);
    record_destroy(&liars);
    record_destroy(&honests);
    ring_drop(&ring);
    supervisor_clean(&supervisor);
}

static unsigned take_all(void) {
    const int found = shmframe_session_events(session, 0, SHMFRAME_NOW, event, EVENTS_MAX);
    ck_assert_int_gt(found, 0);
    return (unsigned)found;
}

/* Two looks at least have happened since: an honest loss that comes now is told. */
static void lose_honestly(void) {
    struct shmframe_overrun loss = {
        .first = 11, .count = 5, .time_ns = shmframe_now_ns(), .cause = SHMFRAME_CAUSE_AWAY};
    record_lost(&honests, &loss);
    const int64_t deadline_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    unsigned told = 0;
    do {
        told = 0;
        const unsigned count = take_all();
        for (unsigned i = 0; i < count; i++)
            told += event[i].type == SHMFRAME_JOURNAL_LOSS && event[i].count == 5 &&
                    event[i].first == 11 && event[i].cause == SHMFRAME_CAUSE_AWAY &&
                    event[i].reader == 2;
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the honest loss was not told");
        poll(NULL, 0, 5);
    } while (told < loss.number);
    ck_assert_uint_eq(told, loss.number);
}

/* Lines of a liar are few, and hold nothing that cannot be. */
static void expect_few_and_sane(void) {
    const unsigned count = take_all();
    unsigned lies = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct shmframe_event *line = &event[i];
        ck_assert_int_gt(line->time_ns, 0);
        ck_assert_int_le(line->time_ns, shmframe_now_ns());
        ck_assert_int_ge(line->duration_ns, 0);
        ck_assert_int_le(line->duration_ns, line->time_ns);
        ck_assert_uint_le(line->count, SEQUENCE_MAX);
        ck_assert_uint_le(line->first, SEQUENCE_MAX);
        ck_assert_uint_lt(line->cause, SHMFRAME_CAUSES);
        lies += line->type >= SHMFRAME_JOURNAL_LOSS && line->reader != 2;
    }
    /* A look tells what is over of what it told; a sum is a line for each cause. */
    ck_assert_uint_le(lies, 4 * (LINES_BURST + 2));
}

static void write_line(struct record_page *page, uint64_t number, struct shmframe_overrun loss) {
    struct record_overrun *line = &page->overrun[(number - 1) % SHMFRAME_OVERRUNS];
    line->first = loss.first;
    line->count = loss.count;
    line->time_ns = loss.time_ns;
    line->woken_ns = loss.woken_ns;
    line->held_ns = loss.held_ns;
    line->away_ns = loss.away_ns;
    line->cause = loss.cause;
    line->number = number;
    page->overruns = number;
}

START_TEST(numbers_that_jump_cost_nobody_anything) {
    liars.page->overruns = UINT64_C(1) << 60;
    lose_honestly();
    liars.page->overruns = UINT64_MAX;
    lose_honestly();
    liars.page->overruns = 1;
    lose_honestly();
    expect_few_and_sane();
}
END_TEST

START_TEST(lines_that_cannot_be_are_not_told) {
    static const struct shmframe_overrun lies[] = {
        {.first = UINT64_MAX, .count = UINT64_MAX, .cause = SHMFRAME_CAUSE_HELD},
        {.first = 1, .count = UINT64_MAX, .cause = SHMFRAME_CAUSE_HELD},
        {.first = 1, .count = 0, .cause = SHMFRAME_CAUSE_HELD},
        {.first = 0, .count = 1, .cause = SHMFRAME_CAUSE_HELD},
        {.first = 1, .count = 1, .cause = 0},
        {.first = 1, .count = 1, .cause = SHMFRAME_CAUSE_POOL},
        {.first = 1, .count = 1, .cause = UINT32_MAX},
    };
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        write_line(liars.page, i + 1, lies[i]);
    lose_honestly();
    const unsigned count = take_all();
    for (unsigned i = 0; i < count; i++)
        ck_assert(event[i].type != SHMFRAME_JOURNAL_LOSS || event[i].reader == 2);
    expect_few_and_sane();
}
END_TEST

START_TEST(times_that_cannot_be_are_bounded) {
    const struct shmframe_overrun late = {.first = 1,
                                          .count = 1,
                                          .time_ns = INT64_MAX,
                                          .away_ns = INT64_MAX,
                                          .cause = SHMFRAME_CAUSE_AWAY};
    const struct shmframe_overrun early = {.first = 2,
                                           .count = 1,
                                           .time_ns = INT64_MIN,
                                           .held_ns = INT64_MIN,
                                           .cause = SHMFRAME_CAUSE_HELD};
    write_line(liars.page, 1, late);
    write_line(liars.page, 2, early);
    for (unsigned i = 0; i < SHMFRAME_LEASES_MAX; i++)
        liars.page->state.held_ns[i] = i % 2 ? INT64_MAX : INT64_MIN;
    liars.page->state.came_ns = INT64_MAX;
    liars.page->state.doing = UINT64_MAX;
    lose_honestly();
    ring.memory->ledger.publish_ns = INT64_MAX;
    ring.memory->ledger.period_ns = INT64_MIN;
    ring.memory->ledger.blocked_ns = INT64_MIN;
    ring.memory->ledger.id = 77;
    lose_honestly();
    expect_few_and_sane();
}
END_TEST

/* Its log wraps again and again between two looks: sums, and no more lines than it may have. */
START_TEST(a_flood_is_summed_up) {
    const int64_t deadline_ns = shmframe_now_ns() + INT64_C(1200000000);
    uint64_t lost = 0;
    while (shmframe_now_ns() < deadline_ns) {
        struct shmframe_overrun loss = {.first = 1 + lost,
                                        .count = 3,
                                        .time_ns = shmframe_now_ns(),
                                        .cause = SHMFRAME_CAUSE_HELD};
        record_lost(&liars, &loss);
        lost += 3;
    }
    lose_honestly();
    expect_few_and_sane();
    peer_close(&liar);
    const int64_t until_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    bool has_left = false;
    uint64_t told = 0;
    while (!has_left) {
        const unsigned count = take_all();
        told = 0;
        for (unsigned i = 0; i < count; i++) {
            has_left = has_left || event[i].type == SHMFRAME_JOURNAL_READER_LEFT;
            told +=
                event[i].type == SHMFRAME_JOURNAL_LOSS && event[i].reader == 1 ? event[i].count : 0;
        }
        ck_assert(shmframe_now_ns() < until_ns);
    }
    ck_assert_uint_eq(told, lost);
}
END_TEST

/* A reader that has lost as much as its log holds, again and again: each time another record. */
START_TEST(who_opens_anew_has_no_more_lines) {
    enum { ROUNDS = 120, OF_PROCESS = 512 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct record record;
        ck_assert_int_eq(record_create(&record), 0);
        struct shmframe_overrun loss = {
            .first = 1, .count = 1, .time_ns = 1, .cause = SHMFRAME_CAUSE_HELD};
        for (unsigned i = 0; i < SHMFRAME_OVERRUNS; i++)
            record_lost(&record, &loss);
        struct peer peer;
        peer_open(&peer, &supervisor, "again");
        peer_open_reader(&peer, "test",
                         &(struct reader_options){
                             .reader = 1, .policy = SHMFRAME_IN_ORDER, .record = record.fd});
        peer_close(&peer);
        record_destroy(&record);
    }
    const unsigned count = take_all();
    unsigned losses = 0;
    for (unsigned i = 0; i < count; i++)
        losses += event[i].type == SHMFRAME_JOURNAL_LOSS;
    ck_assert_uint_gt(losses, LINES_BURST);
    ck_assert_uint_le(losses, OF_PROCESS + ROUNDS);
}
END_TEST

/* Each may tell that it comes, and that it leaves. */
START_TEST(who_comes_and_goes_has_no_more_lines) {
    enum { ROUNDS = 1500, OF_PROCESS = 2560, REFILL_S = 600 };
    struct peer again;
    peer_open(&again, &supervisor, "again");
    for (unsigned round = 0; round < ROUNDS; round++) {
        peer_open_reader(&again, "none", &(struct reader_options){.reader = 1, .record = liars.fd});
        union message message;
        struct channel_mail mail;
        message_init(&message, MESSAGE_CLOSE_READER, 1);
        message.close_reader.reader = 1;
        peer_send(&again, &message, NULL);
        peer_expect(&again, MESSAGE_DONE, &mail);
    }
    peer_close(&again);
    const unsigned count = take_all();
    unsigned joined = 0, left = 0;
    for (unsigned i = 0; i < count; i++) {
        joined += event[i].type == SHMFRAME_JOURNAL_READER_JOINED;
        left += event[i].type == SHMFRAME_JOURNAL_READER_LEFT;
    }
    ck_assert_uint_gt(joined, OF_PROCESS / 4);
    ck_assert_uint_gt(left, OF_PROCESS / 4);
    /* And what came back meanwhile; who has one line left may tell two. */
    const int64_t back =
        OF_PROCESS * (shmframe_now_ns() - begun_ns) / REFILL_S / INT64_C(1000000000);
    ck_assert_uint_le(joined + left, OF_PROCESS + (uint64_t)back + 2);
}
END_TEST

/* Its own user may evict it: that it was is no free line, nor is what it lost by that. */
START_TEST(who_is_evicted_again_and_again_has_no_more_lines) {
    enum { ROUNDS = 1800, OF_PROCESS = 2560, REFILL_S = 600 };
    struct peer again;
    peer_open(&again, &supervisor, "again");
    for (unsigned round = 0; round < ROUNDS; round++) {
        union message message;
        struct channel_mail mail;
        message_init(&message, MESSAGE_EVICT, 1);
        strcpy(message.reader_of.stream, "none");
        message.reader_of.number = peer_open_reader(
            &again, "none", &(struct reader_options){.reader = 1, .record = liars.fd});
        peer_send(&again, &message, NULL);
        message_init(&message, MESSAGE_CLOSE_READER, 2);
        message.close_reader.reader = 1;
        peer_send(&again, &message, NULL);
        do { /* that its entry has changed comes, too */
            peer_expect(&again, MESSAGE_DONE, &mail);
        } while (mail.message.header.cookie != 2);
    }
    peer_close(&again);
    const unsigned count = take_all();
    unsigned lines = 0;
    for (unsigned i = 0; i < count; i++)
        lines += event[i].type == SHMFRAME_JOURNAL_READER_JOINED ||
                 event[i].type == SHMFRAME_JOURNAL_READER_LEFT;
    const int64_t back =
        OF_PROCESS * (shmframe_now_ns() - begun_ns) / REFILL_S / INT64_C(1000000000);
    ck_assert_uint_gt(lines, OF_PROCESS / 4);
    ck_assert_uint_le(lines, OF_PROCESS + (uint64_t)back + 2);
}
END_TEST

/* Losses have used up their lines: a hold is told all the same. */
START_TEST(a_hold_is_told_among_losses) {
    liars.page->state.held_ns[0] = shmframe_now_ns();
    const int64_t until_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    bool is_told = false;
    while (!is_told) {
        for (unsigned i = 0; i < 2 * LINES_BURST; i++) {
            struct shmframe_overrun loss = {
                .first = 1, .count = 1, .time_ns = shmframe_now_ns(), .cause = SHMFRAME_CAUSE_AWAY};
            record_lost(&liars, &loss);
        }
        const unsigned count = take_all();
        for (unsigned i = 0; i < count; i++)
            is_told = is_told || event[i].type == SHMFRAME_JOURNAL_HOLD;
        ck_assert_msg(shmframe_now_ns() < until_ns, "the hold was not told");
        poll(NULL, 0, 5);
    }
}
END_TEST

static void fill_with_noise(void *bytes, size_t count, unsigned *seed) {
    uint8_t *byte = bytes;
    for (size_t i = 0; i < count; i++)
        byte[i] = (uint8_t)rand_r(seed);
}

START_TEST(noise_is_survived) {
    unsigned seed = 5;
    struct record_page *page = liars.page;
    for (unsigned round = 0; round < 12; round++) {
        fill_with_noise((void *)page->counter, sizeof(page->counter), &seed);
        fill_with_noise((void *)&page->state, sizeof(page->state), &seed);
        fill_with_noise((void *)page->flight, sizeof(page->flight), &seed);
        fill_with_noise((void *)page->overrun, sizeof(page->overrun), &seed);
        const uint64_t number = (uint64_t)rand_r(&seed) >> rand_r(&seed) % 31;
        page->overruns = number;
        for (uint64_t i = 0; i < SHMFRAME_OVERRUNS && i < number; i++)
            page->overrun[(number - 1 - i) % SHMFRAME_OVERRUNS].number = number - i;
        struct ring_ledger *ledger = &ring.memory->ledger;
        fill_with_noise((void *)ledger, sizeof(*ledger), &seed);
        fill_with_noise((void *)ring.memory->incident, sizeof(ring.memory->incident), &seed);
        ledger->id = 77;
        ledger->incidents = number;
        for (uint64_t i = 0; i < RING_INCIDENTS && i < number; i++) {
            struct ring_incident *line = &ring.memory->incident[(number - 1 - i) % RING_INCIDENTS];
            line->number = number - i;
            line->cause = SHMFRAME_CAUSE_WRITER_LATE + (uint32_t)i % 3;
            line->count &= 0xff;
            line->first &= 0xffff;
        }
        lose_honestly();
    }
    expect_few_and_sane();
}
END_TEST

/* A link that the ledger names and nobody ever had. */
START_TEST(a_culprit_that_nobody_knows_is_nobody) {
    struct ring *memory = ring.memory;
    memory->ledger.id = 77;
    memory->ledger.refused = memory->ledger.pool = 3;
    memory->incident[0].first = 9;
    memory->incident[0].count = 3;
    memory->incident[0].time_ns = shmframe_now_ns();
    memory->incident[0].culprit = UINT64_C(123456) << 32 | 5;
    memory->incident[0].cause = SHMFRAME_CAUSE_POOL;
    memory->incident[0].leases = 2;
    memory->incident[0].number = 1;
    memory->ledger.incidents = 1;
    const struct shmframe_event *loss = NULL;
    const int64_t deadline_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    while (!loss) {
        const unsigned count = take_all();
        for (unsigned i = 0; i < count; i++)
            if (event[i].type == SHMFRAME_JOURNAL_LOSS)
                loss = &event[i];
        ck_assert(shmframe_now_ns() < deadline_ns);
        poll(NULL, 0, 5);
    }
    ck_assert_uint_eq(loss->cause, SHMFRAME_CAUSE_POOL);
    ck_assert_uint_eq(loss->count, 3);
    ck_assert_uint_eq(loss->leases, 2);
    ck_assert_str_eq(loss->culprit, "");
    ck_assert_int_eq(loss->culprit_pid, 0);
}
END_TEST

/* The supervisor's clock is read before the page is: a frame may come in between. */
START_TEST(a_frame_that_is_newer_than_the_look_is_no_stall) {
    const int64_t limit_ns = INT64_C(1000000000);
    ring.memory->ledger.publish_ns = INT64_MAX;
    ring.memory->ledger.period_ns = 1000000;
    ring.memory->ledger.id = 77;
    do {
        lose_honestly();
        const unsigned count = take_all();
        for (unsigned i = 0; i < count; i++)
            ck_assert_uint_ne(event[i].type, SHMFRAME_JOURNAL_STALL);
    } while (shmframe_now_ns() < begun_ns + limit_ns + limit_ns / 2);
}
END_TEST

/* Its place is taken away while it is at taking a frame: that one it has. Done well before anybody
 * looks; a machine that was too slow for it tells nothing. */
START_TEST(what_is_taken_during_an_eviction_is_not_lost) {
    const int64_t begin_ns = shmframe_now_ns();
    ring.memory->head = place_word(12, 0);
    honests.page->flight[9].sequence = 9;
    ck_assert_int_eq(
        shmframe_session_evict(session, "test", 2, shmframe_deadline_ns(INT64_C(10000000000))), 0);
    honests.page->flight[10].sequence = 10;
    if (shmframe_now_ns() - begin_ns > 40000000)
        return;
    const struct shmframe_event *loss = NULL;
    const int64_t deadline_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    while (!loss) {
        const unsigned count = take_all();
        for (unsigned i = 0; i < count; i++)
            if (event[i].type == SHMFRAME_JOURNAL_LOSS && event[i].reader == 2)
                loss = &event[i];
        ck_assert(shmframe_now_ns() < deadline_ns);
        poll(NULL, 0, 5);
    }
    ck_assert_uint_eq(loss->cause, SHMFRAME_CAUSE_EVICTED);
    ck_assert_uint_eq(loss->first, 11);
    ck_assert_uint_eq(loss->count, 2);
}
END_TEST

static struct shmframe_reader *open_innocent(const char *name) {
    const struct shmframe_reader_params params = {
        .stream = "test", .name = name, .deadline_ns = shmframe_deadline_ns(INT64_C(10000000000))};
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(session, &params, &reader), 0);
    return reader;
}

#define SLEEP_NS INT64_C(1700000000)

static void *sleep_on(void *user) {
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(user, shmframe_deadline_ns(SLEEP_NS), &lease),
                     -ETIMEDOUT);
    return NULL;
}

/* It says that it publishes, and does not: who sleeps or polls is not to blame. */
START_TEST(the_word_of_a_writer_alone_hangs_nobody) {
    struct shmframe_reader *poller = open_innocent("poller"), *sleeper = open_innocent("sleeper");
    struct pollfd fd = {.fd = shmframe_reader_fd(poller), .events = POLLIN};
    struct shmframe_lease lease;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_on, sleeper), 0);
    const int64_t end_ns = shmframe_deadline_ns(SLEEP_NS);
    ck_assert_int_eq(shmframe_reader_acquire(poller, SHMFRAME_NOW, &lease), -EAGAIN);
    while (shmframe_now_ns() < end_ns) {
        ring.memory->ledger.id = 77;
        ring.memory->ledger.publish_ns = shmframe_now_ns();
        if (poll(&fd, 1, 20) > 0)
            ck_assert_int_eq(shmframe_reader_acquire(poller, SHMFRAME_NOW, &lease), -EAGAIN);
    }
    pthread_join(thread, NULL);
    lose_honestly();
    const unsigned count = take_all();
    for (unsigned i = 0; i < count; i++)
        ck_assert_msg(event[i].type != SHMFRAME_JOURNAL_STALL || event[i].reader == 0, "%s hangs",
                      event[i].name);
    shmframe_reader_close(poller);
    shmframe_reader_close(sleeper);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("watch");
    TCase *tests = tcase_create("watch");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, numbers_that_jump_cost_nobody_anything);
    tcase_add_test(tests, lines_that_cannot_be_are_not_told);
    tcase_add_test(tests, times_that_cannot_be_are_bounded);
    tcase_add_test(tests, a_flood_is_summed_up);
    tcase_add_test(tests, who_opens_anew_has_no_more_lines);
    tcase_add_test(tests, who_comes_and_goes_has_no_more_lines);
    tcase_add_test(tests, who_is_evicted_again_and_again_has_no_more_lines);
    tcase_add_test(tests, a_hold_is_told_among_losses);
    tcase_add_test(tests, noise_is_survived);
    tcase_add_test(tests, a_culprit_that_nobody_knows_is_nobody);
    tcase_add_test(tests, a_frame_that_is_newer_than_the_look_is_no_stall);
    tcase_add_test(tests, what_is_taken_during_an_eviction_is_not_lost);
    tcase_add_test(tests, the_word_of_a_writer_alone_hangs_nobody);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
