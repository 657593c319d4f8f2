/* Ledger: what a writer tells of frames that did not come to be. Links are the rig's. */
#include "ledger.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "suite.h"

#define MS_NS INT64_C(1000000)

static struct ledger ledger;
static struct ring *page;
static struct shmframe_format video, sound;
static uint64_t sequence;

static struct ring *make_page(void) {
    return rig_map(sizeof(struct ring));
}

static bool tells_drops; /* of the next writer */

static void begin(const struct shmframe_format *format) {
    ledger_init(&ledger, tells_drops);
    page = make_page();
    ledger_enter(&ledger, page, format, 3);
    sequence = 0;
}

/* 100 pictures, or 100 blocks of 480 samples, a second. */
static void begin_video(void) {
    ck_assert_int_eq(shmframe_format_video(&video, "gray", 16, 16), 0);
    video.video.frame_rate = (struct shmframe_rational){100, 1};
    begin(&video);
}

static void begin_sound(void) {
    ck_assert_int_eq(shmframe_format_audio(&sound, "s16", 2, 48000, 480), 0);
    begin(&sound);
}

static uint32_t own_dropped; /* of the next frame's */

static void publish(const struct shmframe_format *format, int64_t capture_ms, uint32_t samples,
                    uint32_t dropped, uint32_t flags) {
    const struct shmframe_frame frame = {.sequence = ++sequence,
                                         .capture_ns = capture_ms * MS_NS,
                                         .loan_ns = capture_ms * MS_NS,
                                         .publish_ns = capture_ms * MS_NS + 7,
                                         .samples = samples,
                                         .device_dropped = dropped,
                                         .flags = flags};
    ledger_published(&ledger, format, &frame, own_dropped);
    own_dropped = 0;
}

static void picture(int64_t capture_ms) {
    publish(&video, capture_ms, 0, 0, 0);
}

static void block(int64_t capture_ms, uint32_t samples) {
    publish(&sound, capture_ms, samples, 0, 0);
}

static struct ledger_counters counters(void) {
    struct ledger_counters result;
    ledger_get_counters(page, &result);
    return result;
}

static uint32_t incidents(struct ledger_incident out[RING_INCIDENTS]) {
    return ledger_get_incidents(page, 0, out);
}

static void expect_one(enum shmframe_cause cause, uint64_t first, uint64_t count,
                       int64_t duration_ns) {
    struct ledger_incident incident[RING_INCIDENTS];
    ck_assert_uint_eq(incidents(incident), 1);
    ck_assert_str_eq(shmframe_cause_name(incident->cause), shmframe_cause_name(cause));
    ck_assert_uint_eq(incident->first, first);
    ck_assert_uint_eq(incident->count, count);
    ck_assert_int_eq(incident->duration_ns, duration_ns);
}

static void expect_none(void) {
    struct ledger_incident incident[RING_INCIDENTS];
    ck_assert_uint_eq(incidents(incident), 0);
    ck_assert_uint_eq(counters().late, 0);
}

/* ---- pictures ---- */

START_TEST(pictures_in_time_are_counted_and_nothing_else) {
    begin_video();
    for (int64_t i = 0; i < 100; i++)
        picture(i * 10);
    expect_none();
    const struct ledger_counters now = counters();
    ck_assert_uint_eq(now.published, 100);
    ck_assert_int_eq(now.publish_ns, 990 * MS_NS + 7);
    ck_assert_int_eq(now.period_ns, 10 * MS_NS);
    ck_assert_uint_ne(now.id, 0);
    ck_assert_uint_eq(now.slots_used, 3);
}
END_TEST

START_TEST(a_gap_is_counted_in_whole_pictures) {
    static const struct {
        int64_t gap_ms;
        uint64_t missing;
    } gaps[] = {{10, 0}, {15, 0}, {16, 1}, {20, 1}, {25, 1}, {26, 2}, {30, 2}, {1000, 99}};
    for (unsigned i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
        begin_video();
        picture(0);
        picture(10);
        picture(10 + gaps[i].gap_ms);
        ck_assert_uint_eq(counters().late, gaps[i].missing);
        if (gaps[i].missing)
            expect_one(SHMFRAME_CAUSE_WRITER_LATE, 3, gaps[i].missing, gaps[i].gap_ms * MS_NS);
        else
            expect_none();
    }
}
END_TEST

START_TEST(the_first_picture_is_never_late) {
    begin_video();
    picture(100000);
    expect_none();
}
END_TEST

START_TEST(a_jump_that_is_told_is_not_late) {
    begin_video();
    picture(0);
    publish(&video, 500, 0, 0, SHMFRAME_DISCONTINUITY);
    picture(510);
    expect_none();
    picture(530);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 4, 1, 20 * MS_NS);
}
END_TEST

START_TEST(a_stream_without_a_rate_is_never_late) {
    begin_video();
    video.video.frame_rate = (struct shmframe_rational){0, 1};
    begin(&video);
    picture(0);
    picture(100000);
    expect_none();
    ck_assert_int_eq(counters().period_ns, 0);
    struct shmframe_format data;
    ck_assert_int_eq(shmframe_format_data(&data, "test", 8), 0);
    begin(&data);
    publish(&data, 0, 0, 0, 0);
    publish(&data, 100000, 0, 0, 0);
    expect_none();
}
END_TEST

START_TEST(time_that_goes_back_or_wraps_is_no_gap) {
    begin_video();
    picture(1000);
    picture(10);
    expect_none();
    struct shmframe_frame frame = {.sequence = 3, .capture_ns = INT64_MIN};
    ledger_published(&ledger, &video, &frame, 0);
    frame.capture_ns = INT64_MAX;
    ledger_published(&ledger, &video, &frame, 0);
    expect_none();
}
END_TEST

START_TEST(what_the_device_dropped_is_not_the_writers) {
    begin_video();
    picture(0);
    publish(&video, 40, 0, 3, 0);
    expect_one(SHMFRAME_CAUSE_DEVICE, 2, 3, 40 * MS_NS);
    ck_assert_uint_eq(counters().device_dropped, 3);
    ck_assert_uint_eq(counters().late, 0);
}
END_TEST

START_TEST(what_the_device_dropped_counts_without_a_gap) {
    begin_video();
    publish(&video, 700, 0, 2, SHMFRAME_DISCONTINUITY);
    expect_one(SHMFRAME_CAUSE_DEVICE, 1, 2, 0);
    publish(&video, 710, 0, 5, 0);
    ck_assert_uint_eq(counters().device_dropped, 7);
    ck_assert_uint_eq(counters().late, 0);
}
END_TEST

START_TEST(what_is_missing_beyond_the_device_is_the_writers) {
    begin_video();
    picture(0);
    publish(&video, 60, 0, 2, 0);
    struct ledger_incident incident[RING_INCIDENTS];
    ck_assert_uint_eq(incidents(incident), 2);
    ck_assert_int_eq(incident[0].cause, SHMFRAME_CAUSE_DEVICE);
    ck_assert_uint_eq(incident[0].count, 2);
    ck_assert_int_eq(incident[1].cause, SHMFRAME_CAUSE_WRITER_LATE);
    ck_assert_uint_eq(incident[1].count, 3);
    ck_assert_uint_eq(incident[1].first, 2);
    ck_assert_int_eq(incident[1].time_ns, 60 * MS_NS + 7);
}
END_TEST

/* ---- what the program tells ---- */

START_TEST(what_the_program_dropped_itself_is_not_the_devices) {
    begin_video();
    picture(0);
    own_dropped = 3;
    publish(&video, 40, 0, 3, SHMFRAME_DISCONTINUITY);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 2, 3, 40 * MS_NS);
    ck_assert_uint_eq(counters().device_dropped, 0);
    own_dropped = 2;
    publish(&video, 100, 0, 5, SHMFRAME_DISCONTINUITY);
    ck_assert_uint_eq(counters().device_dropped, 3);
    ck_assert_uint_eq(counters().late, 5);
    /* Readers are told of both, and the program's own counter too. */
    ck_assert_uint_eq(ledger.counters.device_dropped, 8);
}
END_TEST

START_TEST(more_own_frames_than_were_dropped_are_not_believed) {
    begin_video();
    picture(0);
    own_dropped = 7;
    publish(&video, 10, 0, 2, SHMFRAME_DISCONTINUITY);
    ck_assert_uint_eq(counters().late, 2);
    ck_assert_uint_eq(counters().device_dropped, 0);
}
END_TEST

START_TEST(who_tells_drops_is_not_judged_by_gaps) {
    tells_drops = true;
    begin_video();
    picture(0);
    picture(1000);
    expect_none();
    own_dropped = 4;
    publish(&video, 1010, 0, 4, 0);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 3, 4, 10 * MS_NS);
    publish(&video, 1030, 0, 1, 0);
    ck_assert_uint_eq(counters().device_dropped, 1);
    ck_assert_uint_eq(counters().late, 4);
}
END_TEST

START_TEST(nothing_is_due_while_a_writer_is_unpaced) {
    begin_video();
    picture(0);
    ledger_set_paced(&ledger, false);
    ck_assert_int_eq(counters().period_ns, 0);
    picture(500);
    own_dropped = 3;
    publish(&video, 1000, 0, 3, 0);
    page = make_page();
    ledger_enter(&ledger, page, &video, 3);
    ck_assert_int_eq(counters().period_ns, 0); /* in the next ring too */
    ledger_set_paced(&ledger, true);
    ck_assert_int_eq(counters().period_ns, 0); /* or the pause would look like a stall */
    own_dropped = 2;
    publish(&video, 2000, 0, 2, SHMFRAME_DISCONTINUITY); /* during the pause */
    expect_none();
    ck_assert_uint_eq(counters().device_dropped, 0);
    ck_assert_int_eq(counters().period_ns, 10 * MS_NS);
    ledger_set_paced(&ledger, true); /* as it is */
    picture(2030);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 5, 2, 30 * MS_NS);
}
END_TEST

/* ---- who was kept from it ---- */

/* In a loan, for its own slots: whose they are does not matter here. */
static void wait_from_to(int64_t from_ms, int64_t to_ms) {
    ledger_blocked_by_self(&ledger, 1, from_ms * MS_NS);
    ledger_waits(&ledger, from_ms * MS_NS);
    ledger_waited(&ledger, to_ms * MS_NS);
}

static void wait_and_lend(int64_t from_ms, int64_t to_ms) {
    wait_from_to(from_ms, to_ms);
    ledger_lent(&ledger, sequence + 1, to_ms * MS_NS);
}

static void refuse(int code, int64_t at_ms) {
    ledger_blocked_by_self(&ledger, 1, at_ms * MS_NS);
    ledger_refused(&ledger, code, sequence + 1, at_ms * MS_NS);
}

START_TEST(what_is_missing_because_it_waited_is_the_pools) {
    begin_video();
    picture(0);
    wait_and_lend(10, 50);
    picture(50);
    expect_one(SHMFRAME_CAUSE_POOL, 2, 4, 40 * MS_NS);
    struct ledger_incident incident[RING_INCIDENTS];
    incidents(incident);
    ck_assert(incident->culprit == LEDGER_SELF);
    ck_assert_uint_eq(incident->leases, 1);
    ck_assert_uint_eq(counters().pool, 4);
    ck_assert_uint_eq(counters().refused, 0);
    ck_assert_uint_eq(counters().late, 0);
    picture(80); /* that was its own */
    ck_assert_uint_eq(counters().pool, 4);
    ck_assert_uint_eq(counters().late, 2);
}
END_TEST

START_TEST(what_is_missing_beyond_the_wait_is_the_writers) {
    begin_video();
    picture(0);
    wait_and_lend(10, 50);
    picture(80);
    struct ledger_incident incident[RING_INCIDENTS];
    ck_assert_uint_eq(incidents(incident), 2);
    ck_assert_uint_eq(counters().late, 3);
    ck_assert_uint_eq(counters().pool, 4);
}
END_TEST

START_TEST(a_wait_that_costs_no_frame_is_no_loss) {
    begin_video();
    for (int64_t i = 0; i < 10; i++) {
        wait_and_lend(i * 10, i * 10 + 4);
        picture(i * 10 + 4);
    }
    expect_none();
    ck_assert_uint_eq(counters().pool, 0);
}
END_TEST

START_TEST(a_wait_in_slices_is_one_wait) {
    begin_video();
    picture(0);
    for (int64_t at_ms = 10; at_ms < 50; at_ms += 10) {
        wait_from_to(at_ms, at_ms + 10);
        ledger_refused(&ledger, -ETIMEDOUT, 2, (at_ms + 10) * MS_NS);
    }
    wait_and_lend(50, 60);
    picture(60);
    expect_one(SHMFRAME_CAUSE_POOL, 2, 5, 50 * MS_NS);
    ck_assert_uint_eq(counters().refused, 4);
    ck_assert_uint_eq(counters().pool, 5);
}
END_TEST

START_TEST(a_wait_in_slices_costs_nothing_where_the_program_tells_drops) {
    tells_drops = true;
    begin_video();
    picture(0);
    for (int64_t at_ms = 10; at_ms < 50; at_ms += 10) {
        wait_from_to(at_ms, at_ms + 10);
        ledger_refused(&ledger, -ETIMEDOUT, 2, (at_ms + 10) * MS_NS);
    }
    wait_and_lend(50, 60);
    picture(60);
    expect_none();
    ck_assert_uint_eq(counters().pool, 0);
    /* Given up once. */
    wait_from_to(70, 80);
    ledger_refused(&ledger, -ETIMEDOUT, 3, 80 * MS_NS);
    wait_and_lend(80, 90);
    own_dropped = 1;
    publish(&video, 90, 0, 1, SHMFRAME_DISCONTINUITY);
    expect_one(SHMFRAME_CAUSE_POOL, 3, 1, 20 * MS_NS);
    ck_assert_uint_eq(counters().late, 0);
}
END_TEST

START_TEST(one_refusal_does_not_excuse_what_comes_after) {
    begin_video();
    picture(5000);
    refuse(-EAGAIN, 5010);
    ledger_lent(&ledger, 2, 6000 * MS_NS);
    picture(6000);
    struct ledger_incident incident[RING_INCIDENTS];
    ck_assert_uint_eq(incidents(incident), 2);
    ck_assert_int_eq(incident[0].cause, SHMFRAME_CAUSE_POOL);
    ck_assert_uint_eq(incident[0].count, 1);
    ck_assert_int_eq(incident[1].cause, SHMFRAME_CAUSE_WRITER_LATE);
    ck_assert_uint_eq(incident[1].count, 98);
}
END_TEST

START_TEST(who_is_refused_and_does_not_ask_again_is_kept_by_nobody) {
    begin_video();
    picture(0);
    refuse(-EAGAIN, 10);
    struct ledger_counters now = counters();
    ck_assert_int_eq(ledger_blocked_since(&now, 30 * MS_NS), 10 * MS_NS);
    ck_assert_int_eq(ledger_blocked_since(&now, 2000 * MS_NS), 0);
    refuse(-EAGAIN, 1990);
    now = counters();
    ck_assert_int_eq(ledger_blocked_since(&now, 2000 * MS_NS), 10 * MS_NS);
    /* In one loan, for however long. */
    ledger_waits(&ledger, 2000 * MS_NS);
    now = counters();
    ck_assert_int_eq(ledger_blocked_since(&now, 60000 * MS_NS), 10 * MS_NS);
    ledger_waited(&ledger, 60000 * MS_NS);
    ledger_lent(&ledger, 2, 60000 * MS_NS);
    now = counters();
    ck_assert_int_eq(ledger_blocked_since(&now, 60000 * MS_NS), 0);
}
END_TEST

START_TEST(a_writer_with_a_period_that_cannot_be_is_not_waited_for_ever) {
    struct ledger_counters told = {.blocked_ns = 10 * MS_NS, .refused_ns = 10 * MS_NS};
    static const int64_t periods_ns[] = {-1, INT64_MIN, 60000 * MS_NS, INT64_MAX / 4, INT64_MAX};
    for (unsigned i = 0; i < sizeof(periods_ns) / sizeof(periods_ns[0]); i++) {
        told.period_ns = periods_ns[i];
        ck_assert_int_eq(ledger_blocked_since(&told, 60000 * MS_NS), 0);
    }
    told.period_ns = 10000 * MS_NS; /* a slow stream's can */
    told.refused_ns = 15000 * MS_NS;
    ck_assert_int_eq(ledger_blocked_since(&told, 30000 * MS_NS), 10 * MS_NS);
}
END_TEST

START_TEST(refusals_in_quick_succession_excuse_no_more_than_their_time) {
    begin_video();
    picture(0);
    for (int64_t at_ms = 10; at_ms <= 30; at_ms++)
        refuse(-EBUSY, at_ms);
    ledger_lent(&ledger, 2, 200 * MS_NS);
    picture(200);
    ck_assert_uint_eq(counters().pool, 3);
    ck_assert_uint_eq(counters().late, 16);
}
END_TEST

START_TEST(loans_asked_for_until_there_is_none_are_no_loss) {
    begin_video();
    for (int64_t i = 0; i < 10; i++) {
        ledger_lent(&ledger, sequence + 1, i * 10 * MS_NS);
        refuse(-EBUSY, i * 10);
        picture(i * 10);
    }
    expect_none();
    ck_assert_uint_eq(counters().refused, 10);
    ck_assert_uint_eq(counters().pool, 0);
    /* Nor do they excuse more than one frame. */
    refuse(-EBUSY, 100);
    picture(500);
    ck_assert_uint_eq(counters().pool, 1);
    ck_assert_uint_eq(counters().late, 39);
}
END_TEST

START_TEST(threads_that_wait_at_once_wait_once) {
    begin_video();
    picture(0);
    ledger_blocked_by_self(&ledger, 1, 10 * MS_NS);
    ledger_waits(&ledger, 10 * MS_NS);
    ledger_waits(&ledger, 20 * MS_NS);
    ledger_waited(&ledger, 40 * MS_NS);
    ledger_lent(&ledger, 2, 40 * MS_NS);
    ledger_waited(&ledger, 50 * MS_NS);
    ledger_lent(&ledger, 2, 50 * MS_NS);
    picture(80);
    ck_assert_uint_eq(counters().pool, 4);
    ck_assert_uint_eq(counters().late, 3);
}
END_TEST

START_TEST(what_was_captured_before_comes_late_to_nobody) {
    begin_video();
    static const int64_t at_ms[] = {0, 20, 10, 30, 40, 50, 60};
    for (unsigned i = 0; i < sizeof(at_ms) / sizeof(at_ms[0]); i++)
        picture(at_ms[i]);
    /* Nobody knew at 20 that 10 was to come. */
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 2, 1, 20 * MS_NS);
    publish(&video, 55, 0, 0, SHMFRAME_DISCONTINUITY); /* another time */
    picture(75);
    ck_assert_uint_eq(counters().late, 2);
}
END_TEST

START_TEST(refused_loans_are_the_pools_not_the_writers) {
    begin_video();
    picture(0);
    for (int64_t at_ms = 10; at_ms <= 30; at_ms += 10) {
        ledger_blocked_by_self(&ledger, 1, at_ms * MS_NS);
        ledger_refused(&ledger, -EAGAIN, 2, at_ms * MS_NS);
    }
    ledger_lent(&ledger, 2, 40 * MS_NS);
    own_dropped = 3;
    publish(&video, 40, 0, 3, SHMFRAME_DISCONTINUITY);
    expect_one(SHMFRAME_CAUSE_POOL, 2, 3, 30 * MS_NS);
    ck_assert_uint_eq(counters().late, 0);
    ck_assert_uint_eq(counters().device_dropped, 0);
}
END_TEST

START_TEST(frames_lent_before_the_wait_do_not_use_its_excuse_up) {
    begin_video();
    picture(0);
    wait_and_lend(10, 50);
    struct shmframe_frame early = {
        .sequence = ++sequence, .capture_ns = 10 * MS_NS, .loan_ns = 5 * MS_NS};
    ledger_published(&ledger, &video, &early, 0);
    picture(50);
    expect_one(SHMFRAME_CAUSE_POOL, 3, 3, 40 * MS_NS);
    ck_assert_uint_eq(counters().late, 0);
}
END_TEST

/* ---- sound ---- */

START_TEST(a_block_is_due_when_the_one_before_is_over) {
    begin_sound();
    block(0, 480);
    block(10, 480);
    block(20, 480);
    expect_none();
    block(60, 480);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 4, 3, 40 * MS_NS);
    ck_assert_int_eq(counters().period_ns, 10 * MS_NS);
}
END_TEST

START_TEST(blocks_of_different_lengths_follow_each_other) {
    begin_sound();
    block(0, 48);
    block(1, 480);
    block(11, 96);
    block(13, 480);
    block(23, 480);
    expect_none();
    /* A short one and a little jitter: less than half of the longer block. */
    block(33, 48);
    block(38, 480);
    expect_none();
    block(48 + 30, 480);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 8, 3, 40 * MS_NS);
}
END_TEST

START_TEST(blocks_without_samples_are_never_late) {
    begin_sound();
    block(0, 0);
    block(10, 0);
    expect_none();
}
END_TEST

/* ---- from ring to ring ---- */

START_TEST(another_format_goes_on_with_the_numbers_and_begins_its_own_time) {
    begin_video();
    picture(0);
    picture(30);
    const uint64_t id = counters().id;
    struct shmframe_format quick = video;
    quick.video.frame_rate = (struct shmframe_rational){1000, 1};
    page = make_page();
    ck_assert_uint_eq(counters().id, 0); /* nothing is told yet */
    ledger_enter(&ledger, page, &quick, 5);
    ck_assert_uint_eq(counters().id, id);
    ck_assert_uint_eq(counters().published, 2);
    ck_assert_int_eq(counters().publish_ns, 30 * MS_NS + 7);
    ck_assert_int_eq(counters().period_ns, MS_NS);
    ck_assert_uint_eq(counters().slots_used, 5);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 2, 2, 30 * MS_NS);
    /* A loan of the former ring is published late: told in the new one, judged by neither. */
    publish(&video, 500, 0, 0, 0);
    publish(&quick, 1000, 0, 0, 0);
    ck_assert_uint_eq(counters().published, 4);
    ck_assert_uint_eq(counters().late, 2);
    publish(&quick, 1002, 0, 0, 0);
    struct ledger_incident incident[RING_INCIDENTS];
    ck_assert_uint_eq(incidents(incident), 2);
    ck_assert_uint_eq(incident[1].number, 2);
    ck_assert_uint_eq(incident[1].first, 5);
    ck_assert_uint_eq(incident[1].count, 1);
}
END_TEST

START_TEST(a_ring_tells_all_before_the_writer_goes_on_in_it) {
    begin_video();
    picture(0);
    picture(30);
    struct ring *former = page, *next = make_page();
    ledger_show(&ledger, next, &video, 4);
    page = next;
    ck_assert_uint_eq(counters().id, ledger.id);
    ck_assert_uint_eq(counters().published, 2);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 2, 2, 30 * MS_NS);
    /* Another thread publishes meanwhile. */
    picture(60);
    expect_one(SHMFRAME_CAUSE_WRITER_LATE, 2, 2, 30 * MS_NS);
    page = former;
    ck_assert_uint_eq(counters().published, 3);
    page = next;
    ledger_enter(&ledger, next, &video, 4);
    ck_assert_uint_eq(counters().published, 3);
    ck_assert_uint_eq(counters().late, 4);
    struct ledger_incident incident[RING_INCIDENTS];
    ck_assert_uint_eq(incidents(incident), 2);
    ck_assert_uint_eq(incident[1].number, 2);
    ck_assert_uint_eq(incident[1].first, 3);
}
END_TEST

START_TEST(each_writer_has_a_name_of_its_own) {
    begin_video();
    const uint64_t id = counters().id;
    begin_video();
    ck_assert_uint_ne(counters().id, id);
}
END_TEST

/* ---- no slot ---- */

static uint64_t name(const struct rig_link *link) {
    return (uint64_t)link->core.serial << 32 | link->core.entry;
}

START_TEST(refusals_in_a_row_are_one_incident_when_they_are_over) {
    begin_video();
    ledger_blocked_by_self(&ledger, 4, 100);
    ck_assert_int_eq(counters().blocked_ns, 100);
    ck_assert(counters().blocker == LEDGER_SELF);
    ledger_refused(&ledger, -EAGAIN, 9, 150);
    ledger_blocked_by_self(&ledger, 4, 200);
    ledger_refused(&ledger, -EAGAIN, 9, 250);
    expect_none();
    ck_assert_int_eq(counters().blocked_ns, 100);
    ledger_lent(&ledger, 9, 400);
    expect_one(SHMFRAME_CAUSE_POOL, 9, 2, 250);
    struct ledger_incident incident[RING_INCIDENTS];
    incidents(incident);
    ck_assert(incident->culprit == LEDGER_SELF);
    ck_assert_uint_eq(incident->leases, 4);
    ck_assert_int_eq(incident->time_ns, 400);
    ck_assert_int_eq(counters().blocked_ns, 0);
    ck_assert_uint_eq(counters().blocker, 0);
    ck_assert_uint_eq(counters().refused, 2);
    ledger_lent(&ledger, 10, 500);
    ck_assert_uint_eq(counters().incidents, 1);
}
END_TEST

START_TEST(a_wait_that_ends_well_is_no_incident) {
    begin_video();
    ledger_blocked_by_self(&ledger, 1, 100);
    ledger_waits(&ledger, 100);
    ledger_waited(&ledger, 200);
    ledger_lent(&ledger, 1, 200);
    expect_none();
    ck_assert_uint_eq(counters().waits, 1);
    ck_assert_int_eq(counters().blocked_ns, 0);
}
END_TEST

START_TEST(a_loan_that_is_given_up_is_no_refusal) {
    begin_video();
    ledger_blocked_by_self(&ledger, 1, 100);
    ledger_given_up(&ledger, 150);
    ck_assert_int_eq(counters().blocked_ns, 0);
    ck_assert_uint_eq(counters().refused, 0);
    ledger_blocked_by_self(&ledger, 1, 200);
    ledger_refused(&ledger, -EAGAIN, 1, 200);
    ledger_given_up(&ledger, 250); /* the row of refusals goes on */
    ck_assert_int_eq(counters().blocked_ns, 200);
    ledger_lent(&ledger, 1, 300);
    expect_one(SHMFRAME_CAUSE_POOL, 1, 1, 100);
}
END_TEST

START_TEST(each_culprit_gets_its_own_refusals) {
    begin_video();
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *slow = rig_join(
        rig,
        (struct rig_want){.leases = 2, .depth = 2, .is_lossless = true, .begin = RING_BEGIN_TOLD});
    rig_publish_many(rig, 2);
    ck_assert_ptr_eq(ring_writer_behind(rig->writer), &slow->core);
    for (int64_t i = 0; i < 3; i++) {
        ledger_blocked_by(&ledger, rig->writer, &slow->core, 100 + i);
        ledger_refused(&ledger, -EAGAIN, 3, 100 + i);
    }
    ck_assert_uint_eq(counters().blocker, name(slow));
    ledger_blocked_by_self(&ledger, 1, 200);
    ledger_refused(&ledger, -EAGAIN, 3, 200);
    ledger_lent(&ledger, 3, 300);
    struct ledger_incident incident[RING_INCIDENTS];
    ck_assert_uint_eq(incidents(incident), 2);
    ck_assert_uint_eq(incident[0].culprit, name(slow));
    ck_assert_uint_eq(incident[0].count, 3);
    ck_assert_uint_eq(incident[0].leases, 2); /* frames that it has still to take */
    ck_assert_int_eq(incident[0].duration_ns, 100);
    ck_assert(incident[1].culprit == LEDGER_SELF);
    ck_assert_uint_eq(incident[1].count, 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_lossless_reader_has_what_it_holds_and_what_is_kept_for_it) {
    begin_video();
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *slow = rig_join(
        rig,
        (struct rig_want){.leases = 2, .depth = 2, .is_lossless = true, .begin = RING_BEGIN_TOLD});
    rig_publish_many(rig, 2);
    struct ring_frame frame;
    ck_assert_int_eq(rig_take(rig, slow, &frame), 0);
    rig_publish(rig);
    ck_assert_uint_eq(ring_writer_backlog(rig->writer, &slow->core), 2);
    ledger_blocked_by(&ledger, rig->writer, &slow->core, 1);
    ck_assert_uint_eq(ledger.leases, 3);
    ck_assert_int_eq(rig_give_back(slow, &frame), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(who_has_most_slots_is_to_blame_for_none_being_free) {
    begin_video();
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *two =
        rig_join(rig, (struct rig_want){.leases = 3, .depth = 3, .begin = RING_BEGIN_FIRST});
    struct rig_link *three =
        rig_join(rig, (struct rig_want){.leases = 3, .depth = 3, .begin = RING_BEGIN_FIRST});
    struct ring_frame frame[6];
    rig_publish_many(rig, 3);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(rig_take(rig, two, &frame[i]), 0);
    for (unsigned i = 2; i < 5; i++)
        ck_assert_int_eq(rig_take(rig, three, &frame[i]), 0);
    /* Three are kept, and it is the first that is asked: its own. */
    ledger_blocked_by_most(&ledger, rig->writer, 1);
    ck_assert(ledger.blocker == LEDGER_SELF);
    ck_assert_uint_eq(ledger.leases, 3);
    memset(&rig->writer->kept, 0, sizeof(rig->writer->kept));
    ledger_blocked_by_most(&ledger, rig->writer, 1);
    ck_assert_uint_eq(ledger.blocker, name(three));
    ck_assert_uint_eq(ledger.leases, 3);
    /* Among equals it stays who it was. */
    ledger_refused(&ledger, -EAGAIN, 4, 1);
    ck_assert_int_eq(rig_take(rig, two, &frame[5]), 0);
    ledger_blocked_by_most(&ledger, rig->writer, 2);
    ck_assert_uint_eq(ledger.blocker, name(three));
    rig_destroy(rig);
}
END_TEST

/* ---- the log, as others see it ---- */

static void late_once(uint64_t count) {
    static int64_t now_ms;
    publish(&video, now_ms += 10, 0, 0, SHMFRAME_DISCONTINUITY);
    now_ms += 10 * (int64_t)count;
    picture(now_ms += 10);
}

START_TEST(the_log_keeps_its_newest_lines) {
    begin_video();
    struct ledger_incident incident[RING_INCIDENTS];
    for (uint64_t i = 1; i <= 100; i++) {
        late_once(i);
        const uint32_t there = i < RING_INCIDENTS ? (uint32_t)i : RING_INCIDENTS;
        ck_assert_uint_eq(incidents(incident), there);
        for (uint32_t line = 0; line < there; line++) {
            ck_assert_uint_eq(incident[line].number, i - there + 1 + line);
            ck_assert_uint_eq(incident[line].count, incident[line].number);
        }
        ck_assert_uint_eq(ledger_get_incidents(page, i - 1, incident), 1);
        ck_assert_uint_eq(incident->number, i);
        ck_assert_uint_eq(ledger_get_incidents(page, i, incident), 0);
        ck_assert_uint_eq(ledger_get_incidents(page, i + 5, incident), 0);
    }
}
END_TEST

static _Atomic bool is_over;

static void *look(void *unused) {
    (void)unused;
    intptr_t torn = 0;
    struct ledger_incident incident[RING_INCIDENTS];
    while (!atomic_load(&is_over)) {
        const uint32_t count = incidents(incident);
        for (uint32_t i = 0; i < count; i++)
            torn += incident[i].duration_ns != (int64_t)(incident[i].count + 1) * 10 * MS_NS ||
                    incident[i].first != 2 * incident[i].number ||
                    (i > 0 && incident[i].number <= incident[i - 1].number);
    }
    return (void *)torn;
}

START_TEST(a_line_is_whole_or_not_shown_while_the_writer_goes_on) {
    begin_video();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, look, NULL), 0);
    for (uint64_t i = 1; i <= 200000; i++)
        late_once(1 + i % 7);
    atomic_store(&is_over, true);
    void *torn;
    ck_assert_int_eq(pthread_join(thread, &torn), 0);
    ck_assert_int_eq((intptr_t)torn, 0);
}
END_TEST

/* A hostile writer's page: what is read stays within bounds, and is of the kinds that there are. */
START_TEST(any_bytes_can_be_looked_at) {
    page = make_page();
    srandom(1);
    for (unsigned round = 0; round < 200; round++) {
        uint8_t *bytes = (uint8_t *)page;
        for (size_t i = 0; i < PAGE_BYTES; i++)
            bytes[i] = round == 0 ? 0xff : (uint8_t)random();
        struct ledger_incident incident[RING_INCIDENTS + 1];
        memset(incident, 0x5a, sizeof(incident));
        const uint64_t newest = round < 100 ? UINT64_MAX - round : round - 100;
        atomic_store(&page->ledger.incidents, newest);
        for (unsigned i = 0; i < RING_INCIDENTS; i++) {
            atomic_store(&page->incident[i].number, newest - (newest - 1 - i) % RING_INCIDENTS);
            atomic_store(&page->incident[i].cause, (uint32_t)random() % 16);
        }
        const uint32_t count = ledger_get_incidents(page, newest > 99 ? newest - 99 : 0, incident);
        ck_assert_uint_le(count, RING_INCIDENTS);
        for (uint32_t i = 0; i < count; i++)
            ck_assert(incident[i].cause >= SHMFRAME_CAUSE_WRITER_LATE &&
                      incident[i].cause <= SHMFRAME_CAUSE_POOL);
        const uint8_t *beyond = (const uint8_t *)&incident[RING_INCIDENTS];
        for (size_t i = 0; i < sizeof(incident[0]); i++)
            ck_assert_uint_eq(beyond[i], 0x5a);
        counters();
    }
}
END_TEST

/* However many incidents a page says it has had, that many lines it has. */
START_TEST(a_page_is_looked_at_once_whatever_it_says) {
    page = make_page();
    atomic_store(&page->ledger.incidents, UINT32_MAX);
    struct ledger_incident incident[RING_INCIDENTS];
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_uint_eq(incidents(incident), 0);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {pictures_in_time_are_counted_and_nothing_else},
        {a_gap_is_counted_in_whole_pictures},
        {the_first_picture_is_never_late},
        {a_jump_that_is_told_is_not_late},
        {a_stream_without_a_rate_is_never_late},
        {time_that_goes_back_or_wraps_is_no_gap},
        {what_the_device_dropped_is_not_the_writers},
        {what_the_device_dropped_counts_without_a_gap},
        {what_is_missing_beyond_the_device_is_the_writers},
        {what_the_program_dropped_itself_is_not_the_devices},
        {more_own_frames_than_were_dropped_are_not_believed},
        {who_tells_drops_is_not_judged_by_gaps},
        {nothing_is_due_while_a_writer_is_unpaced},
        {what_is_missing_because_it_waited_is_the_pools},
        {what_is_missing_beyond_the_wait_is_the_writers},
        {a_wait_that_costs_no_frame_is_no_loss},
        {a_wait_in_slices_is_one_wait},
        {a_wait_in_slices_costs_nothing_where_the_program_tells_drops},
        {one_refusal_does_not_excuse_what_comes_after},
        {who_is_refused_and_does_not_ask_again_is_kept_by_nobody},
        {a_writer_with_a_period_that_cannot_be_is_not_waited_for_ever},
        {refusals_in_quick_succession_excuse_no_more_than_their_time},
        {loans_asked_for_until_there_is_none_are_no_loss},
        {threads_that_wait_at_once_wait_once},
        {what_was_captured_before_comes_late_to_nobody},
        {refused_loans_are_the_pools_not_the_writers},
        {frames_lent_before_the_wait_do_not_use_its_excuse_up},
        {a_block_is_due_when_the_one_before_is_over},
        {blocks_of_different_lengths_follow_each_other},
        {blocks_without_samples_are_never_late},
        {another_format_goes_on_with_the_numbers_and_begins_its_own_time},
        {a_ring_tells_all_before_the_writer_goes_on_in_it},
        {each_writer_has_a_name_of_its_own},
        {refusals_in_a_row_are_one_incident_when_they_are_over},
        {a_wait_that_ends_well_is_no_incident},
        {a_loan_that_is_given_up_is_no_refusal},
        {each_culprit_gets_its_own_refusals},
        {a_lossless_reader_has_what_it_holds_and_what_is_kept_for_it},
        {who_has_most_slots_is_to_blame_for_none_being_free},
        {the_log_keeps_its_newest_lines},
        {a_line_is_whole_or_not_shown_while_the_writer_goes_on},
        {any_bytes_can_be_looked_at},
        {a_page_is_looked_at_once_whatever_it_says},
    };
    return suite_run("ledger", tests, SUITE_COUNT(tests));
}
