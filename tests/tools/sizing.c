/* Sizing: what it says of a hold is what the library's rings do. */
#include "sizing.h"
#include "world.h"

#include <string.h>

enum { PERIOD_NS = 1000, LEASES = 3, PUBLISHED_MAX = 9 };
static const uint32_t depths[] = {1, 2, 4};

static struct sizing_reader holding(enum shmframe_policy policy, uint32_t depth, uint32_t leases,
                                    int64_t published) {
    return (struct sizing_reader){.count = 1,
                                  .policy = policy,
                                  .depth = depth,
                                  .leases = leases,
                                  .longest_ns = published * PERIOD_NS};
}

static struct shmframe_reader *join(const struct sizing_reader *reader) {
    const struct shmframe_reader_params params = {.stream = "s",
                                                  .policy = reader->policy,
                                                  .depth = reader->depth,
                                                  .leases = reader->leases,
                                                  .deadline_ns = world_deadline()};
    struct shmframe_reader *opened = NULL;
    ck_assert_msg(shmframe_reader_open(world.session, &params, &opened) == 0, "%s",
                  shmframe_last_error());
    return opened;
}

/* Takes a frame and holds it while `published` more are published, of which it takes as many as it
 * has leases for. Then takes the next one: what that passed over. */
static uint64_t hold(struct shmframe_writer *writer, const struct sizing_reader *reader,
                     int64_t published) {
    struct shmframe_reader *opened = join(reader);
    struct shmframe_lease lease[LEASES + 1];
    uint32_t held = 0;
    /* It begins with what it finds. */
    while (shmframe_reader_acquire(opened, SHMFRAME_NOW, &lease[0]) == 0)
        shmframe_reader_release(opened, &lease[0]);
    for (int64_t i = 0; i <= published; i++) {
        world_publish(writer, 0);
        if (held < reader->leases)
            ck_assert_int_eq(shmframe_reader_acquire(opened, SHMFRAME_NOW, &lease[held++]), 0);
    }
    shmframe_reader_release(opened, &lease[0]);
    lease[LEASES] = (struct shmframe_lease){0};
    if (held == reader->leases && published >= held)
        ck_assert_int_eq(shmframe_reader_acquire(opened, SHMFRAME_NOW, &lease[LEASES]), 0);
    const uint64_t passed = lease[LEASES].lost + lease[LEASES].skipped;
    shmframe_reader_close(opened);
    return passed;
}

START_TEST(what_a_hold_loses_is_what_was_foretold) {
    struct shmframe_writer *writer = world_open_writer("s");
    bool has_lost = false;
    for (unsigned d = 0; d < 3; d++)
        for (uint32_t leases = 1; leases <= LEASES; leases++)
            for (int64_t published = 0; published <= PUBLISHED_MAX; published++) {
                const struct sizing_reader reader =
                    holding(SHMFRAME_IN_ORDER, depths[d], leases, published);
                const struct sizing_verdict verdict = sizing_judge(&reader, PERIOD_NS);
                const uint64_t lost = hold(writer, &reader, published);
                ck_assert_msg(lost == verdict.missed,
                              "depth %u, leases %u, %d published: %u lost, %u foretold", depths[d],
                              leases, (int)published, (unsigned)lost, (unsigned)verdict.missed);
                ck_assert_int_eq(verdict.is_deep_enough, lost == 0);
                has_lost |= lost > 0;
            }
    ck_assert(has_lost);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(the_depth_that_is_needed_loses_nothing_and_one_less_does) {
    struct shmframe_writer *writer = world_open_writer("s");
    for (uint32_t leases = 1; leases <= LEASES; leases++) {
        struct sizing_reader reader = holding(SHMFRAME_IN_ORDER, 1, leases, PUBLISHED_MAX);
        reader.depth = sizing_judge(&reader, PERIOD_NS).depth_needed;
        ck_assert_uint_gt(reader.depth, 1);
        ck_assert_uint_eq(hold(writer, &reader, PUBLISHED_MAX), 0);
        reader.depth--;
        ck_assert_uint_eq(hold(writer, &reader, PUBLISHED_MAX), 1);
    }
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(the_depth_of_another_reader_is_kept_for_all) {
    struct shmframe_writer *writer = world_open_writer("s");
    const struct sizing_reader deep = holding(SHMFRAME_IN_ORDER, 6, 1, 0);
    struct shmframe_reader *other = join(&deep);
    for (int64_t published = 0; published <= PUBLISHED_MAX; published++) {
        struct sizing_reader reader = holding(SHMFRAME_IN_ORDER, 2, 1, published);
        reader.kept = deep.depth;
        const struct sizing_verdict verdict = sizing_judge(&reader, PERIOD_NS);
        ck_assert_uint_eq(hold(writer, &reader, published), verdict.missed);
        ck_assert_int_eq(verdict.is_deep_enough, verdict.missed == 0);
    }
    shmframe_reader_close(other);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(who_reads_the_latest_skips_what_was_foretold) {
    struct shmframe_writer *writer = world_open_writer("s");
    for (uint32_t leases = 1; leases <= LEASES; leases++)
        for (int64_t published = 0; published <= PUBLISHED_MAX; published++) {
            const struct sizing_reader reader = holding(SHMFRAME_LATEST, 0, leases, published);
            const struct sizing_verdict verdict = sizing_judge(&reader, PERIOD_NS);
            ck_assert_uint_eq(hold(writer, &reader, published), verdict.missed);
            ck_assert(verdict.is_deep_enough);
        }
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_hold_is_covered_up_to_the_instant_that_the_next_is_gone) {
    struct sizing_reader reader = holding(SHMFRAME_IN_ORDER, 4, 2, 0);
    reader.late_ns = 300;
    const int64_t covered_ns = sizing_judge(&reader, PERIOD_NS).covered_ns;
    ck_assert_int_eq(covered_ns, 6 * PERIOD_NS - 300);
    reader.longest_ns = covered_ns - 1;
    ck_assert(sizing_judge(&reader, PERIOD_NS).is_deep_enough);
    reader.longest_ns = covered_ns;
    ck_assert(!sizing_judge(&reader, PERIOD_NS).is_deep_enough);
}
END_TEST

START_TEST(age_grows_with_the_hold_up_to_the_depth_or_with_a_writer_that_waits_beyond) {
    struct sizing_reader reader = holding(SHMFRAME_IN_ORDER, 4, 1, 3);
    ck_assert_int_eq(sizing_judge(&reader, PERIOD_NS).age_ns, 2 * PERIOD_NS);
    reader.longest_ns = 100 * PERIOD_NS;
    ck_assert_int_eq(sizing_judge(&reader, PERIOD_NS).age_ns, 4 * PERIOD_NS);
    reader.policy = SHMFRAME_LOSSLESS;
    ck_assert_int_eq(sizing_judge(&reader, PERIOD_NS).age_ns, 99 * PERIOD_NS);
    reader.policy = SHMFRAME_LATEST;
    ck_assert_int_eq(sizing_judge(&reader, PERIOD_NS).age_ns, PERIOD_NS);
}
END_TEST

START_TEST(who_usually_holds_for_longer_than_its_leases_last_cannot_keep_up) {
    struct sizing_reader reader = holding(SHMFRAME_IN_ORDER, 4, 2, 2);
    reader.usual_ns = 2 * PERIOD_NS;
    ck_assert(sizing_judge(&reader, PERIOD_NS).keeps_up);
    reader.usual_ns++;
    ck_assert(!sizing_judge(&reader, PERIOD_NS).keeps_up);
}
END_TEST

START_TEST(demand_is_the_deepest_history_and_the_leases_beyond_it) {
    struct sizing_reader readers[] = {
        holding(SHMFRAME_LATEST, 0, 1, 50),
        holding(SHMFRAME_IN_ORDER, 4, 2, 9),
        holding(SHMFRAME_LOSSLESS, 6, 3, 3),
    };
    readers[0].count = 5;
    struct sizing_demand demand = sizing_add_up(readers, 3, PERIOD_NS, false);
    ck_assert_uint_eq(demand.depth, 6);
    ck_assert_uint_eq(demand.leases, 5 + 2 + 2);
    demand = sizing_add_up(readers, 3, PERIOD_NS, true);
    ck_assert_uint_eq(demand.depth, 8);
    ck_assert_uint_eq(demand.leases, 5 + 2 + 2);
    demand = sizing_add_up(readers, 1, PERIOD_NS, true);
    ck_assert_uint_eq(demand.depth, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sizing");
    TCase *tests = tcase_create("sizing");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_a_hold_loses_is_what_was_foretold);
    tcase_add_test(tests, the_depth_that_is_needed_loses_nothing_and_one_less_does);
    tcase_add_test(tests, the_depth_of_another_reader_is_kept_for_all);
    tcase_add_test(tests, who_reads_the_latest_skips_what_was_foretold);
    tcase_add_test(tests, a_hold_is_covered_up_to_the_instant_that_the_next_is_gone);
    tcase_add_test(tests,
                   age_grows_with_the_hold_up_to_the_depth_or_with_a_writer_that_waits_beyond);
    tcase_add_test(tests, who_usually_holds_for_longer_than_its_leases_last_cannot_keep_up);
    tcase_add_test(tests, demand_is_the_deepest_history_and_the_leases_beyond_it);
    return world_run(suite);
}
