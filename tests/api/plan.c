/* What a ring was foretold to take is what it takes. */
#include "world.h"

#include <errno.h>
#include <libavutil/avutil.h>
#include <string.h>

enum { PAGE = 4096, LINK_PAGES = 2 };

static struct shmframe_writer_params pictures(uint32_t width, uint32_t height) {
    struct shmframe_writer_params params = {.stream = "s"};
    ck_assert_int_eq(shmframe_format_video(&params.format, "yuv420p", width, height), 0);
    return params;
}

static struct shmframe_ring_plan plan(const struct shmframe_writer_params *params, uint32_t depth,
                                      uint32_t leases) {
    struct shmframe_ring_plan plan;
    ck_assert_msg(shmframe_ring_plan(params, depth, leases, &plan) == 0, "%s",
                  shmframe_last_error());
    return plan;
}

static struct shmframe_stream_info look(void) {
    struct shmframe_stream_info info;
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), &info, 1), 1);
    return info;
}

/* Longer than upkeep waits before it gives memory. */
#define SETTLING_NS INT64_C(100000000)

/* Until upkeep has given memory to all slots that are due, and the links are as many as they stay.
 */
static void settle(struct shmframe_writer *writer, uint32_t slots) {
    const int64_t deadline_ns = world_deadline(), end_ns = shmframe_deadline_ns(SETTLING_NS);
    struct shmframe_writer_counters counters;
    do {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        shmframe_session_dispatch(world.session);
        shmframe_writer_counters(writer, &counters);
        ck_assert_uint_le(counters.slots_used, slots);
    } while (counters.slots_used < slots || shmframe_now_ns() < end_ns);
}

/* Memory of what belongs to the ring but is no ring: its links, in use or waiting for a reader. */
static uint64_t links_bytes(const struct shmframe_stream_info *info, uint64_t ring_bytes) {
    ck_assert_uint_ge(info->memory_bytes, ring_bytes);
    const uint64_t bytes = info->memory_bytes - ring_bytes;
    ck_assert_uint_eq(bytes % PAGE, 0);
    ck_assert_uint_ge(bytes, (uint64_t)info->readers * LINK_PAGES * PAGE);
    return bytes;
}

static struct shmframe_reader *join(enum shmframe_policy policy, uint32_t depth, uint32_t leases) {
    const struct shmframe_reader_params params = {.stream = "s",
                                                  .policy = policy,
                                                  .depth = depth,
                                                  .leases = leases,
                                                  .deadline_ns = world_deadline()};
    struct shmframe_reader *reader = NULL;
    ck_assert_msg(shmframe_reader_open(world.session, &params, &reader) == 0, "%s",
                  shmframe_last_error());
    return reader;
}

START_TEST(memory_and_slots_of_a_stream_are_those_foretold) {
    struct shmframe_writer_params params = pictures(640, 360);
    params.loans = 2;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    const struct shmframe_ring_plan before = plan(&params, 0, 0);
    ck_assert_uint_eq(before.slots_used, 2 + 1 + 1);
    settle(writer, before.slots_used);
    struct shmframe_stream_info info = look();
    const uint64_t unused_bytes = links_bytes(&info, before.memory_bytes);
    struct shmframe_reader *reader[] = {join(SHMFRAME_LATEST, 0, 1), join(SHMFRAME_IN_ORDER, 6, 3),
                                        join(SHMFRAME_IN_ORDER, 2, 1)};
    const struct shmframe_ring_plan with = plan(&params, 6, 5);
    ck_assert_uint_eq(with.slots_used, 2 + 6 + 5);
    settle(writer, with.slots_used);
    info = look();
    ck_assert_uint_ge(links_bytes(&info, with.memory_bytes), unused_bytes);
    ck_assert_uint_le(links_bytes(&info, with.memory_bytes), unused_bytes + 3 * LINK_PAGES * PAGE);
    for (unsigned i = 0; i < 3; i++)
        shmframe_reader_close(reader[i]);
    shmframe_writer_close(writer);
}
END_TEST

/* Small slots: an eighth of the history more of them get memory. */
START_TEST(slots_to_spare_are_foretold) {
    for (uint32_t depth = 7; depth <= 64; depth += 57) {
        struct shmframe_writer_params params = {.stream = "s"};
        ck_assert_int_eq(shmframe_format_data(&params.format, NULL, 64), 0);
        struct shmframe_writer *writer;
        ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
        struct shmframe_reader *reader = join(SHMFRAME_IN_ORDER, depth, 1);
        const struct shmframe_ring_plan foretold = plan(&params, depth, 1);
        ck_assert_uint_eq(foretold.slots_used, 1 + depth + 1 + depth / 8);
        settle(writer, foretold.slots_used);
        ck_assert_uint_eq(look().slots, foretold.slots_used);
        shmframe_reader_close(reader);
        params.history = depth;
        ck_assert_uint_eq(plan(&params, 0, 1).slots_used, foretold.slots_used);
        shmframe_writer_close(writer);
    }
}
END_TEST

struct follower {
    struct shmframe_reader *reader;
    uint32_t leases, held;
    struct shmframe_lease lease[3];
};

/* Holds as many as it may: all but the newest of them are the oldest there were. */
static void take(struct follower *follower) {
    if (follower->held == follower->leases)
        ck_assert_int_eq(
            shmframe_reader_release(follower->reader, &follower->lease[--follower->held]), 0);
    ck_assert_int_eq(
        shmframe_reader_acquire(follower->reader, SHMFRAME_NOW, &follower->lease[follower->held++]),
        0);
}

/* The newest frame that such a reader holds is in the history: its writer has waited for it. */
START_TEST(a_lossless_reader_takes_a_slot_less_than_it_has_leases) {
    struct shmframe_writer_params params = pictures(640, 360);
    struct shmframe_writer *writer;
    struct follower follower[] = {{.leases = 1}, {.leases = 1}, {.leases = 1}, {.leases = 3}};
    const unsigned followers = sizeof(follower) / sizeof(follower[0]);
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    for (unsigned i = 0; i < followers; i++)
        follower[i].reader = join(SHMFRAME_LOSSLESS, 1, follower[i].leases);
    const uint32_t slots = plan(&params, 1, 2).slots_used;
    ck_assert_uint_eq(slots, 1 + 1 + 2);
    struct shmframe_writer_counters counters = {0};
    const int64_t end_ns = shmframe_deadline_ns(SETTLING_NS);
    while (shmframe_now_ns() < end_ns || counters.slots_used < slots) {
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        for (unsigned i = 0; i < followers; i++)
            take(&follower[i]);
        shmframe_session_dispatch(world.session);
        shmframe_writer_counters(writer, &counters);
        ck_assert_uint_le(counters.slots_used, slots);
    }
    for (unsigned i = 0; i < followers; i++)
        shmframe_reader_close(follower[i].reader);
    shmframe_writer_close(writer);
}
END_TEST

static int note_map(void *user, int fd, const struct shmframe_ring_map *map) {
    (void)fd;
    *(struct shmframe_ring_map *)user = *map;
    return 0;
}

START_TEST(address_space_and_slots_are_those_of_the_ring) {
    for (int i = 0; i < 2; i++) {
        struct shmframe_writer_params params = pictures(1920, 1080);
        struct shmframe_ring_map map;
        params.ring_bytes = i * UINT64_C(50000000);
        params.before_seal = note_map;
        params.user = &map;
        struct shmframe_writer *writer;
        ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
        const struct shmframe_ring_plan foretold = plan(&params, 0, 0);
        ck_assert_uint_eq(foretold.ring_bytes, map.bytes);
        ck_assert_uint_eq(foretold.slots, map.slots);
        ck_assert_uint_eq(foretold.slot_bytes, map.slot_stride);
        shmframe_writer_close(writer);
    }
}
END_TEST

/* The deepest that is foretold to fit is admitted, one more is refused by both. */
START_TEST(what_does_not_fit_is_refused_as_it_will_be) {
    struct shmframe_writer_params params = pictures(320, 180);
    params.ring_bytes = 2 * 1024 * 1024;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    const uint32_t slots = plan(&params, 0, 0).slots;
    ck_assert_uint_gt(slots, 6);
    const uint32_t deepest = slots - 1 - 1 - 1; /* a loan, a lease, one to spare */
    struct shmframe_ring_plan any;
    ck_assert_int_eq(shmframe_ring_plan(&params, deepest, 1, &any), 0);
    expect_error(shmframe_ring_plan(&params, deepest + 1, 1, &any), -ENOSPC, "slots are needed");
    struct shmframe_reader_params deep = {
        .stream = "s", .policy = SHMFRAME_IN_ORDER, .depth = deepest + 1};
    struct shmframe_reader *reader;
    expect_error(shmframe_reader_open(world.session, &deep, &reader), -ENOSPC, "it needs");
    deep.depth = deepest;
    ck_assert_int_eq(shmframe_reader_open(world.session, &deep, &reader), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(what_an_open_refuses_has_no_plan) {
    struct shmframe_writer_params params = pictures(320, 180);
    struct shmframe_ring_plan any = {.slots = 77};
    params.loans = 65;
    expect_error(shmframe_ring_plan(&params, 0, 0, &any), -EINVAL, "loans");
    params.loans = 1;
    params.history = SHMFRAME_DEPTH_MAX + 1;
    expect_error(shmframe_ring_plan(&params, 0, 0, &any), -EINVAL, "history");
    params.history = 1;
    expect_error(shmframe_ring_plan(&params, SHMFRAME_DEPTH_MAX + 1, 0, &any), -EINVAL, "depth");
    expect_error(shmframe_ring_plan(&params, 0, UINT32_MAX, &any), -ENOSPC, "leases");
    strcpy(params.format.video.pixel_format, "yuv421p");
    params.format.plane_count = 0;
    expect_error(shmframe_ring_plan(&params, 0, 0, &any), -ENOTSUP, "yuv421p");
    ck_assert_uint_eq(any.slots, 77);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plan");
    TCase *tests = tcase_create("plan");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, memory_and_slots_of_a_stream_are_those_foretold);
    tcase_add_test(tests, slots_to_spare_are_foretold);
    tcase_add_test(tests, a_lossless_reader_takes_a_slot_less_than_it_has_leases);
    tcase_add_test(tests, address_space_and_slots_are_those_of_the_ring);
    tcase_add_test(tests, what_does_not_fit_is_refused_as_it_will_be);
    tcase_add_test(tests, what_an_open_refuses_has_no_plan);
    return world_run(suite);
}
