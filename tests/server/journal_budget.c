/* Budgets of the journal's lines, with a clock and users of the test's own. */
#include "journal_budget.h"

#include "limits.h"
#include "server.h"

#include <check.h>

#include "../library/suite.h"

#define SECOND_NS INT64_C(1000000000)
/* When all begins: any time but 0. */
#define THEN_NS (1000 * SECOND_NS)

enum { USER, OTHER_USER, USERS };

static struct journal_purse of_user[USERS];

struct journal_purse *journal_purse_of_user(struct server *server, uid_t uid) {
    (void)server;
    return &of_user[uid];
}

/* Pays line by line, until it is refused. */
static unsigned spend(const struct journal_payer *payer, enum journal_matter matter,
                      int64_t now_ns) {
    unsigned lines = 0;
    while (lines < UINT16_MAX && journal_pay(payer, matter, 1, now_ns))
        lines++;
    return lines;
}

START_TEST(each_has_so_many_lines_and_no_more) {
    struct process process = {0};
    struct journal_purse own = {0};
    const struct journal_payer reader = {.own = &own, .process = &process};
    const struct journal_payer of_process = {.process = &process};
    ck_assert_uint_eq(journal_can_pay(&reader, JOURNAL_LOSSES, THEN_NS), LIMIT_LOSSES);
    ck_assert_uint_eq(spend(&reader, JOURNAL_LOSSES, THEN_NS), LIMIT_LOSSES);
    ck_assert_uint_eq(journal_can_pay(&reader, JOURNAL_LOSSES, THEN_NS), 0);
    ck_assert_uint_eq(spend(&reader, JOURNAL_HOLDS, THEN_NS), LIMIT_HOLDS);
    ck_assert_uint_eq(spend(&of_process, JOURNAL_LOSSES, THEN_NS),
                      LIMIT_LOSSES_OF_PROCESS - LIMIT_LOSSES);
    ck_assert_uint_eq(spend(&of_process, JOURNAL_HOLDS, THEN_NS),
                      LIMIT_HOLDS_OF_PROCESS - LIMIT_HOLDS);
    ck_assert_uint_eq(spend(&of_process, JOURNAL_JOINS, THEN_NS), LIMIT_JOINS_OF_PROCESS);
}
END_TEST

START_TEST(who_opens_anew_pays_from_the_purse_of_its_process) {
    struct process process = {0};
    unsigned lines = 0;
    for (unsigned i = 0; i < 100; i++) {
        struct journal_purse own = {0};
        lines += spend(&(struct journal_payer){.own = &own, .process = &process}, JOURNAL_LOSSES,
                       THEN_NS);
    }
    ck_assert_uint_eq(lines, LIMIT_LOSSES_OF_PROCESS);
}
END_TEST

START_TEST(who_starts_again_pays_from_the_purse_of_its_user) {
    unsigned lines = 0;
    for (unsigned i = 0; i < 10; i++) {
        struct process process = {0};
        lines += spend(&(struct journal_payer){.process = &process}, JOURNAL_JOINS, THEN_NS);
    }
    ck_assert_uint_eq(lines, LIMIT_JOINS_OF_USER);
    struct process others = {0};
    ck_assert_uint_eq(
        journal_can_pay(&(struct journal_payer){.process = &others, .uid = OTHER_USER},
                        JOURNAL_JOINS, THEN_NS),
        LIMIT_JOINS_OF_PROCESS);
}
END_TEST

START_TEST(a_refused_line_costs_nothing) {
    struct process process = {0};
    struct journal_purse own = {0};
    const struct journal_payer reader = {.own = &own, .process = &process};
    const unsigned lines = spend(&reader, JOURNAL_HOLDS, THEN_NS);
    for (unsigned i = 0; i < LIMIT_HOLDS_OF_USER; i++)
        ck_assert(!journal_pay(&reader, JOURNAL_HOLDS, 2, THEN_NS));
    ck_assert_uint_eq(
        journal_can_pay(&(struct journal_payer){.process = &process}, JOURNAL_HOLDS, THEN_NS),
        LIMIT_HOLDS_OF_PROCESS - lines);
}
END_TEST

START_TEST(a_purse_refills_slowly) {
    struct process process = {0};
    const struct journal_payer payer = {.process = &process};
    const int64_t refill_ns = EVENTS_REFILL_S * SECOND_NS;
    spend(&payer, JOURNAL_JOINS, THEN_NS);
    ck_assert_uint_eq(journal_can_pay(&payer, JOURNAL_JOINS, THEN_NS + refill_ns / 4),
                      LIMIT_JOINS_OF_PROCESS / 4);
    ck_assert_uint_eq(journal_can_pay(&payer, JOURNAL_JOINS, THEN_NS + refill_ns / 2),
                      LIMIT_JOINS_OF_PROCESS / 2);
}
END_TEST

/* Neither what nobody spent nor the time since then adds up. */
START_TEST(a_purse_is_never_more_than_full) {
    struct process process = {0};
    struct journal_purse own = {0};
    const struct journal_payer reader = {.own = &own, .process = &process};
    ck_assert(journal_pay(&reader, JOURNAL_LOSSES, 1, THEN_NS));
    for (unsigned i = 1; i < 10; i++) {
        const int64_t now_ns = THEN_NS + (int64_t)i * 10 * EVENTS_REFILL_S * SECOND_NS;
        ck_assert_uint_eq(journal_can_pay(&reader, JOURNAL_LOSSES, now_ns), LIMIT_LOSSES);
        ck_assert_uint_eq(
            journal_can_pay(&(struct journal_payer){.process = &process}, JOURNAL_JOINS, now_ns),
            LIMIT_JOINS_OF_PROCESS);
    }
    const int64_t late_ns = THEN_NS + 1000 * EVENTS_REFILL_S * SECOND_NS;
    ck_assert_uint_eq(spend(&reader, JOURNAL_LOSSES, late_ns), LIMIT_LOSSES);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {each_has_so_many_lines_and_no_more},
        {who_opens_anew_pays_from_the_purse_of_its_process},
        {who_starts_again_pays_from_the_purse_of_its_user},
        {a_refused_line_costs_nothing},
        {a_purse_refills_slowly},
        {a_purse_is_never_more_than_full},
    };
    return suite_run("journal budget", tests, SUITE_COUNT(tests));
}
