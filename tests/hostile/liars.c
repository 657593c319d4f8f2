/* Lossless readers that lie to their own writer: it waits for them, and for nothing worse. */
#include "../server/peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum { LIARS = 2, LEASES = 2, HISTORY = 2, SLOTS = 1 + HISTORY + LIARS * (LEASES - 1) + 1 };

struct liar {
    struct peer peer;
    struct region lease, ring;
    struct lease_page *page;
};

static struct supervisor supervisor;
static struct shmframe_session *session;
static struct shmframe_writer *writer;
static struct liar liars[LIARS];

static void begin(void) {
    supervisor_prepare(&supervisor);
    supervisor_start(&supervisor);
    const struct shmframe_session_params session_params = {.socket = supervisor.socket};
    ck_assert_int_eq(shmframe_session_open(&session_params, &session), 0);
    /* Not a slot more than both need. */
    struct shmframe_writer_params params = {.stream = "tight",
                                            .history = HISTORY,
                                            .ring_bytes = sizeof(struct ring) + SLOTS * PAGE_BYTES};
    ck_assert_int_eq(shmframe_format_data(&params.format, "test", 64), 0);
    ck_assert_int_eq(shmframe_writer_open(session, &params, &writer), 0);
}

static void end(void) {
    for (unsigned i = 0; i < LIARS; i++) {
        region_unmap(&liars[i].lease);
        region_unmap(&liars[i].ring);
        peer_close(&liars[i].peer);
    }
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    supervisor_expect_fds_back(&supervisor);
    supervisor_clean(&supervisor);
}

/* Joins, and says that it has taken all there will ever be. */
static void join(struct liar *liar) {
    peer_open(&liar->peer, &supervisor, "liar");
    peer_open_reader(
        &liar->peer, "tight",
        &(struct reader_options){.policy = SHMFRAME_LOSSLESS, .depth = HISTORY, .leases = LEASES});
    struct channel_mail mail;
    peer_expect(&liar->peer, MESSAGE_LINK, &mail);
    ck_assert_uint_eq(mail.message.link.is_lossless, 1);
    ck_assert_int_eq(region_map(mail.fd[0], sizeof(struct ring), &liar->ring), 0);
    ck_assert_int_eq(region_map_lease(mail.fd[1], LINK_PAGE_BYTES, &liar->lease), 0);
    liar->page = liar->lease.base;
    channel_close_fds(&mail);
    atomic_store(&liar->page->cursor, UINT64_MAX);
}

static void publish(void) {
    struct shmframe_loan loan;
    ck_assert_int_eq(
        shmframe_writer_loan(writer, shmframe_deadline_ns(INT64_C(10000000000)), &loan), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
}

/* What is in no history is lent next: they take it all. */
static void take_all_that_is_free(void) {
    struct ring *ring = liars[0].ring.base;
    unsigned taken = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if ((atomic_load(&ring->slot[slot].state) & 3) == SLOT_PUBLISHED)
            continue;
        ck_assert_uint_lt(taken, LIARS * LEASES);
        atomic_store(&liars[taken / LEASES].page->lease[taken % LEASES], lease_word(1, slot));
        taken++;
    }
    ck_assert_uint_eq(taken, LIARS * LEASES);
}

/* Once the writer waits for somebody. */
static void *give_back(void *unused) {
    (void)unused;
    struct ring *ring = liars[0].ring.base;
    while (atomic_load(&ring->ledger.blocked_ns) == 0)
        poll(NULL, 0, 1);
    atomic_store(&liars[1].page->lease[0], 0);
    return NULL;
}

START_TEST(a_writer_without_a_slot_waits_for_lossless_readers_that_lie) {
    struct shmframe_loan loan;
    pthread_t thread;
    for (unsigned i = 0; i < LIARS; i++)
        join(&liars[i]);
    for (unsigned i = 0; i < 2 * SLOTS; i++)
        publish();
    take_all_that_is_free();
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), -EAGAIN);
    ck_assert_int_eq(shmframe_writer_loan(writer, shmframe_deadline_ns(5000000), &loan),
                     -ETIMEDOUT);
    /* An interrupt ends it, as it does any wait. */
    shmframe_session_interrupt(session);
    ck_assert_int_eq(
        shmframe_writer_loan(writer, shmframe_deadline_ns(INT64_C(10000000000)), &loan), -EINTR);
    shmframe_session_resume(session);
    struct shmframe_writer_counters before, after;
    shmframe_writer_counters(writer, &before);
    ck_assert_int_eq(pthread_create(&thread, NULL, give_back, NULL), 0);
    publish();
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    shmframe_writer_counters(writer, &after);
    ck_assert_uint_eq(after.loans_refused, before.loans_refused);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("liars");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, a_writer_without_a_slot_waits_for_lossless_readers_that_lie);
    Suite *suite = suite_create("liars");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
