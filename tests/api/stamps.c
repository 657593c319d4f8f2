/* What travels with a frame, what a reader measures of it, and what others are told of both. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct shmframe_loan lend(struct shmframe_writer *writer) {
    struct shmframe_loan loan;
    const int code = shmframe_writer_loan(writer, world_deadline(), &loan);
    ck_assert_msg(code == 0, "no loan (%d): %s", code, shmframe_last_error());
    return loan;
}

static void publish(struct shmframe_writer *writer, struct shmframe_loan *loan) {
    ck_assert_int_eq(shmframe_writer_publish(writer, loan), 0);
}

static struct shmframe_lease acquire(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(reader, world_deadline(), &lease);
    ck_assert_msg(code == 0, "no lease (%d): %s", code, shmframe_last_error());
    return lease;
}

static void give_back(struct shmframe_reader *reader, struct shmframe_lease *lease) {
    ck_assert_int_eq(shmframe_reader_release(reader, lease), 0);
}

static struct shmframe_histogram histogram_of(const struct shmframe_reader *reader,
                                              enum shmframe_hop hop) {
    struct shmframe_histogram histogram;
    ck_assert_int_eq(shmframe_reader_histogram(reader, hop, &histogram), 0);
    return histogram;
}

/* ---- stamps of a frame ---- */

START_TEST(what_the_writer_sets_arrives_as_it_was_set) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    struct shmframe_loan loan = lend(writer);
    const int64_t capture_ns = shmframe_now_ns() - 5000000;
    loan.frame.capture_ns = capture_ns;
    loan.frame.pts = -7;
    loan.frame.duration = INT64_C(1) << 40;
    loan.frame.bytes = 3;
    loan.frame.flags =
        SHMFRAME_KEY | SHMFRAME_DISCONTINUITY | SHMFRAME_INTERLACED | SHMFRAME_HAS_USER;
    loan.frame.device_dropped = 11;
    for (unsigned i = 0; i < SHMFRAME_USER_BYTES; i++)
        loan.frame.user[i] = (uint8_t)(255 - i);
    publish(writer, &loan);
    struct shmframe_lease lease = acquire(reader);
    ck_assert_int_eq(lease.frame.capture_ns, capture_ns);
    ck_assert_int_eq(lease.frame.pts, -7);
    ck_assert_int_eq(lease.frame.duration, INT64_C(1) << 40);
    ck_assert_uint_eq(lease.frame.bytes, 3);
    ck_assert_uint_eq(lease.frame.flags, SHMFRAME_KEY | SHMFRAME_DISCONTINUITY |
                                             SHMFRAME_INTERLACED | SHMFRAME_HAS_USER);
    ck_assert_uint_eq(lease.frame.device_dropped, 11);
    for (unsigned i = 0; i < SHMFRAME_USER_BYTES; i++)
        ck_assert_uint_eq(lease.frame.user[i], 255 - i);
    ck_assert_str_eq(lease.stream, "s");
    give_back(reader, &lease);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.device_dropped, 11);
    struct shmframe_writer_counters written;
    shmframe_writer_counters(writer, &written);
    ck_assert_uint_eq(written.device_dropped, 11);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* Also where the slot's frame before had everything. */
START_TEST(what_the_writer_does_not_set_has_its_default) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    for (unsigned i = 0; i < 8; i++) {
        struct shmframe_loan full = lend(writer);
        full.frame.flags = SHMFRAME_KEY | SHMFRAME_HAS_USER;
        full.frame.pts = full.frame.duration = 9;
        full.frame.device_dropped = 1;
        shmframe_loan_stamp(&full, 3);
        publish(writer, &full);
        struct shmframe_lease lease = acquire(reader);
        give_back(reader, &lease);
    }
    for (unsigned i = 0; i < 8; i++) {
        struct shmframe_loan loan = lend(writer);
        publish(writer, &loan);
        struct shmframe_lease lease = acquire(reader);
        ck_assert_int_eq(lease.frame.pts, SHMFRAME_NO_PTS);
        ck_assert_int_eq(lease.frame.duration, 0);
        ck_assert_uint_eq(lease.frame.flags, 0);
        ck_assert_uint_eq(lease.frame.device_dropped, 0);
        ck_assert_uint_eq(lease.frame.bytes, sizeof(uint64_t));
        ck_assert_int_eq(lease.frame.capture_ns, lease.frame.loan_ns);
        give_back(reader, &lease);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(the_instants_of_a_frame_follow_each_other) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const int64_t before_ns = shmframe_now_ns();
    struct shmframe_loan loan = lend(writer);
    const int64_t loaned_ns = shmframe_now_ns();
    publish(writer, &loan);
    const int64_t published_ns = shmframe_now_ns();
    struct shmframe_lease lease = acquire(reader);
    ck_assert_int_le(before_ns, lease.frame.capture_ns);
    ck_assert_int_le(lease.frame.capture_ns, lease.frame.loan_ns);
    ck_assert_int_le(lease.frame.loan_ns, loaned_ns);
    ck_assert_int_le(loaned_ns, lease.frame.publish_ns);
    ck_assert_int_le(lease.frame.publish_ns, published_ns);
    ck_assert_int_le(published_ns, lease.acquire_ns);
    ck_assert_int_le(lease.acquire_ns, shmframe_now_ns());
    ck_assert_int_eq(lease.frame.publish_ns, loan.frame.publish_ns);
    ck_assert_int_eq(lease.wake_ns, 0); /* it was there: nobody slept */
    give_back(reader, &lease);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(stages_that_were_passed_have_their_instant_and_others_have_none) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    struct shmframe_loan loan = lend(writer);
    shmframe_loan_stamp(&loan, SHMFRAME_STAGES); /* ignored */
    ck_assert_uint_eq(loan.frame.flags, 0);
    shmframe_loan_stamp(&loan, 0);
    shmframe_loan_stamp(&loan, SHMFRAME_STAGES - 1);
    publish(writer, &loan);
    struct shmframe_lease lease = acquire(reader);
    ck_assert_uint_eq(lease.frame.flags, SHMFRAME_HAS_STAGES);
    ck_assert_int_le(lease.frame.loan_ns, lease.frame.stage_ns[0]);
    ck_assert_int_le(lease.frame.stage_ns[0], lease.frame.stage_ns[SHMFRAME_STAGES - 1]);
    ck_assert_int_le(lease.frame.stage_ns[SHMFRAME_STAGES - 1], lease.frame.publish_ns);
    for (unsigned i = 1; i < SHMFRAME_STAGES - 1; i++)
        ck_assert_int_eq(lease.frame.stage_ns[i], 0);
    give_back(reader, &lease);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- filters ---- */

struct filter {
    struct shmframe_reader *in;
    struct shmframe_writer *out;
};

static void pass_on(struct filter *filter, unsigned stage) {
    struct shmframe_lease lease = acquire(filter->in);
    struct shmframe_loan loan = lend(filter->out);
    shmframe_loan_carry(&loan, &lease);
    shmframe_loan_stamp(&loan, stage);
    memcpy(loan.data, lease.data, sizeof(uint64_t));
    give_back(filter->in, &lease);
    publish(filter->out, &loan);
}

START_TEST(origin_and_stamps_are_kept_over_filters) {
    struct shmframe_writer *camera = world_open_writer("camera");
    world_publish(camera, 1); /* so that the numbers differ from stream to stream */
    world_publish(camera, 2);
    struct filter denoise = {world_open_reader("camera", SHMFRAME_LATEST),
                             world_open_writer("denoise")};
    struct filter scale = {world_open_reader("denoise", SHMFRAME_LATEST),
                           world_open_writer("scale")};
    world_publish(scale.out, 0);
    struct shmframe_reader *last = world_open_reader("scale", SHMFRAME_LATEST);

    struct shmframe_loan loan = lend(camera);
    const int64_t capture_ns = loan.frame.capture_ns -= 1000;
    loan.frame.pts = 77;
    loan.frame.duration = 40;
    loan.frame.device_dropped = 2;
    loan.frame.flags = SHMFRAME_DISCONTINUITY | SHMFRAME_HAS_USER;
    strcpy((char *)loan.frame.user, "exposure 12");
    shmframe_loan_stamp(&loan, 0);
    publish(camera, &loan);
    pass_on(&denoise, 1);
    pass_on(&scale, 2);

    struct shmframe_lease lease = acquire(last);
    const struct shmframe_frame *frame = &lease.frame;
    ck_assert_uint_eq(frame->sequence, 2);
    ck_assert_uint_eq(frame->flags, SHMFRAME_DISCONTINUITY | SHMFRAME_HAS_USER |
                                        SHMFRAME_HAS_STAGES | SHMFRAME_HAS_ORIGIN);
    ck_assert_str_eq(frame->origin.stream, "camera");
    ck_assert_uint_eq(frame->origin.sequence, 3);
    ck_assert_int_eq(frame->origin.capture_ns, capture_ns);
    ck_assert_int_eq(frame->capture_ns, capture_ns);
    ck_assert_int_eq(frame->pts, 77);
    ck_assert_int_eq(frame->duration, 40);
    ck_assert_uint_eq(frame->device_dropped, 2);
    ck_assert_str_eq((const char *)frame->user, "exposure 12");
    ck_assert_int_le(capture_ns, frame->stage_ns[0]);
    ck_assert_int_lt(frame->stage_ns[0], frame->stage_ns[1]);
    ck_assert_int_lt(frame->stage_ns[1], frame->stage_ns[2]);
    ck_assert_int_eq(frame->stage_ns[3], 0);
    ck_assert_int_le(loan.frame.publish_ns, frame->loan_ns); /* this one is the filter's own */
    give_back(last, &lease);
    shmframe_reader_close(last);
    shmframe_reader_close(scale.in);
    shmframe_reader_close(denoise.in);
    shmframe_writer_close(scale.out);
    shmframe_writer_close(denoise.out);
    shmframe_writer_close(camera);
}
END_TEST

START_TEST(a_frame_straight_from_its_source_has_no_origin_and_becomes_one) {
    struct shmframe_writer *writer = world_open_writer("camera");
    struct filter filter = {world_open_reader("camera", SHMFRAME_IN_ORDER),
                            world_open_writer("out")};
    struct shmframe_reader *reader = world_open_reader("out", SHMFRAME_IN_ORDER);
    for (uint64_t i = 1; i <= 3; i++) {
        world_publish(writer, i);
        pass_on(&filter, 0);
        struct shmframe_lease lease = acquire(reader);
        ck_assert_uint_eq(lease.frame.origin.sequence, i);
        ck_assert_str_eq(lease.frame.origin.stream, "camera");
        ck_assert_uint_eq(world_value(&lease), i);
        give_back(reader, &lease);
    }
    shmframe_reader_close(reader);
    shmframe_reader_close(filter.in);
    shmframe_writer_close(filter.out);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- hops ---- */

START_TEST(each_hop_counts_what_it_should) {
    enum { FRAMES = 20, PRESENTED = 7 };
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    int64_t produce_max_ns = 0, transit_max_ns = 0, age_max_ns = 0;
    for (unsigned i = 0; i < FRAMES; i++) {
        struct shmframe_loan loan = lend(writer);
        loan.frame.capture_ns -= 1000000000;
        publish(writer, &loan);
        struct shmframe_lease lease = acquire(reader);
        const int64_t produce_ns = lease.frame.publish_ns - lease.frame.capture_ns;
        const int64_t transit_ns = lease.acquire_ns - lease.frame.publish_ns;
        produce_max_ns = produce_ns > produce_max_ns ? produce_ns : produce_max_ns;
        transit_max_ns = transit_ns > transit_max_ns ? transit_ns : transit_max_ns;
        if (produce_ns + transit_ns > age_max_ns)
            age_max_ns = produce_ns + transit_ns;
        if (i < PRESENTED)
            shmframe_reader_present(reader, &lease, lease.frame.capture_ns + 3000000000 + i);
        give_back(reader, &lease);
    }
    const uint64_t counts[SHMFRAME_HOPS] = {
        [SHMFRAME_HOP_PRODUCE] = FRAMES, [SHMFRAME_HOP_WAKE] = 0, /* all were there */
        [SHMFRAME_HOP_TRANSIT] = FRAMES, [SHMFRAME_HOP_HOLD] = FRAMES,
        [SHMFRAME_HOP_AGE] = FRAMES,     [SHMFRAME_HOP_DISPLAY] = PRESENTED};
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++) {
        const struct shmframe_histogram histogram = histogram_of(reader, (enum shmframe_hop)hop);
        uint64_t sum = 0;
        for (unsigned i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++)
            sum += histogram.bucket[i];
        ck_assert_msg(histogram.count == counts[hop] && sum == counts[hop], "%s counts %llu",
                      shmframe_hop_name(hop), (unsigned long long)histogram.count);
    }
    ck_assert_int_eq(histogram_of(reader, SHMFRAME_HOP_PRODUCE).max_ns, produce_max_ns);
    ck_assert_int_eq(histogram_of(reader, SHMFRAME_HOP_TRANSIT).max_ns, transit_max_ns);
    ck_assert_int_eq(histogram_of(reader, SHMFRAME_HOP_AGE).max_ns, age_max_ns);
    const struct shmframe_histogram display = histogram_of(reader, SHMFRAME_HOP_DISPLAY);
    ck_assert_int_eq(display.max_ns, 3000000000 + PRESENTED - 1);
    const int64_t median_ns = shmframe_histogram_quantile_ns(&display, 0.5);
    ck_assert_int_ge(median_ns, 3000000000);
    ck_assert_int_le(median_ns, 3000000000 + 3000000000 / 32);
    struct shmframe_histogram none;
    expect_error(shmframe_reader_histogram(reader, SHMFRAME_HOPS, &none), -EINVAL, "6");
    ck_assert_ptr_null(shmframe_hop_name(SHMFRAME_HOPS));
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

static void publish_to_a_sleeper(void) {
    world.session = world_open_session();
    struct shmframe_writer *writer = world_open_writer("s");
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    for (uint64_t i = 0; i < 20; i++) {
        usleep(2000); /* so that the reader sleeps; whether it does, its stamps say */
        world_publish(writer, i);
    }
    shmframe_writer_close(writer);
    shmframe_session_close(world.session);
}

START_TEST(the_wake_hop_counts_the_frames_that_were_slept_for) {
    const pid_t pid = world_fork(publish_to_a_sleeper);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LOSSLESS);
    uint64_t slept = 0;
    int64_t max_ns = 0;
    for (unsigned i = 0; i < 20; i++) {
        struct shmframe_lease lease = acquire(reader);
        if (lease.wake_ns) {
            slept++;
            ck_assert_int_le(lease.frame.publish_ns, lease.wake_ns);
            ck_assert_int_le(lease.wake_ns, lease.acquire_ns);
            if (lease.wake_ns - lease.frame.publish_ns > max_ns)
                max_ns = lease.wake_ns - lease.frame.publish_ns;
        }
        give_back(reader, &lease);
    }
    const struct shmframe_histogram wake = histogram_of(reader, SHMFRAME_HOP_WAKE);
    ck_assert_uint_eq(wake.count, slept);
    ck_assert_int_eq(wake.max_ns, max_ns);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_ge(counters.sleeps, slept);
    shmframe_reader_close(reader);
    world_join(pid);
}
END_TEST

START_TEST(flights_tell_of_each_frame_and_keep_the_newest) {
    enum { FRAMES = SHMFRAME_FLIGHTS + 100 };
    static struct shmframe_flight flights[SHMFRAME_FLIGHTS + 1];
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    ck_assert_int_eq(shmframe_reader_flights(reader, flights, SHMFRAME_FLIGHTS), 0);
    struct shmframe_lease lease;
    for (unsigned i = 0; i < FRAMES; i++) {
        struct shmframe_loan loan = lend(writer);
        publish(writer, &loan);
        lease = acquire(reader);
        if (i == FRAMES - 1)
            shmframe_reader_present(reader, &lease, 123);
        struct shmframe_lease copy = lease;
        give_back(reader, &copy);
    }
    ck_assert_int_eq(shmframe_reader_flights(reader, flights, SHMFRAME_FLIGHTS + 1),
                     SHMFRAME_FLIGHTS);
    for (unsigned i = 0; i < SHMFRAME_FLIGHTS; i++) {
        ck_assert_uint_eq(flights[i].sequence, FRAMES - SHMFRAME_FLIGHTS + i + 1);
        ck_assert_int_le(flights[i].capture_ns, flights[i].publish_ns);
        ck_assert_int_le(flights[i].publish_ns, flights[i].acquire_ns);
        ck_assert_int_le(flights[i].acquire_ns, flights[i].release_ns);
        ck_assert_int_eq(flights[i].present_ns, i == SHMFRAME_FLIGHTS - 1 ? 123 : 0);
    }
    ck_assert_int_eq(flights[SHMFRAME_FLIGHTS - 1].acquire_ns, lease.acquire_ns);
    ck_assert_int_eq(flights[SHMFRAME_FLIGHTS - 1].publish_ns, lease.frame.publish_ns);
    ck_assert_int_eq(shmframe_reader_flights(reader, flights, 2), 2);
    ck_assert_uint_eq(flights[0].sequence, FRAMES - 1);
    ck_assert_uint_eq(flights[1].sequence, FRAMES);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- what others see ---- */

static struct shmframe_reader_info reader_info(const char *stream, uint32_t index) {
    struct shmframe_reader_info info[8];
    const int count = shmframe_session_readers(world.session, stream, world_deadline(), info, 8);
    ck_assert_int_gt(count, (int)index);
    return info[index];
}

static void expect_delivered(const struct shmframe_record *record, uint64_t frames) {
    struct shmframe_reader_counters counters;
    shmframe_record_counters(record, &counters);
    ck_assert_uint_eq(counters.delivered, frames);
    struct shmframe_histogram histogram;
    ck_assert_int_eq(shmframe_record_histogram(record, SHMFRAME_HOP_TRANSIT, &histogram), 0);
    ck_assert_uint_eq(histogram.count, frames);
    struct shmframe_flight flights[16];
    ck_assert_int_eq(shmframe_record_flights(record, flights, 16), (int)frames);
    for (uint64_t i = 0; i < frames; i++)
        ck_assert_uint_eq(flights[i].sequence, i + 1);
}

START_TEST(another_session_reads_a_record_while_its_reader_runs_and_after_it_left) {
    struct shmframe_session *other = world_open_session();
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const uint32_t number = reader_info("s", 0).number;
    struct shmframe_record *record;
    ck_assert_int_eq(shmframe_record_open(other, "s", number, world_deadline(), &record), 0);
    expect_delivered(record, 0);
    for (uint64_t i = 1; i <= 5; i++) {
        world_publish(writer, i);
        world_take(reader, i);
        expect_delivered(record, i);
    }
    struct shmframe_histogram histogram;
    expect_error(shmframe_record_histogram(record, SHMFRAME_HOPS, &histogram), -EINVAL, "6");
    shmframe_reader_close(reader);
    /* The supervisor has heard of it when it no longer lists the reader. */
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 0);
    expect_delivered(record, 5);
    struct shmframe_record *late;
    expect_error(shmframe_record_open(other, "s", number, world_deadline(), &late), -ENOENT, "'s'");
    shmframe_record_close(record);
    shmframe_writer_close(writer);
    shmframe_session_close(other);
}
END_TEST

static void take_three_and_stay(void) {
    world.session = world_open_session();
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LOSSLESS);
    for (uint64_t i = 1; i <= 3; i++)
        world_take(reader, i);
    world_tell();
    world_expect_readable(-1);
}

START_TEST(the_record_of_a_reader_that_was_killed_stays_readable) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t pid = world_fork(take_three_and_stay);
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    for (uint64_t i = 1; i <= 3; i++)
        world_publish(writer, i);
    world_await();
    const struct shmframe_reader_info info = reader_info("s", 0);
    ck_assert_int_eq(info.pid, pid);
    struct shmframe_record *record;
    ck_assert_int_eq(
        shmframe_record_open(world.session, "s", info.number, world_deadline(), &record), 0);
    world_kill(pid);
    expect_delivered(record, 3);
    shmframe_record_close(record);
    shmframe_writer_close(writer);
}
END_TEST

static struct shmframe_stream_info stream_info(const char *name) {
    struct shmframe_stream_info info[8];
    const int count = shmframe_session_streams(world.session, world_deadline(), info, 8);
    for (int i = 0; i < count; i++)
        if (strcmp(info[i].name, name) == 0)
            return info[i];
    ck_abort_msg("stream '%s' is not listed", name);
}

START_TEST(a_stream_is_listed_with_its_figures) {
    struct shmframe_writer_params params = {.stream = "picture", .group = "camera"};
    ck_assert_int_eq(shmframe_format_video(&params.format, "yuv420p", 1920, 1080), 0);
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_reader *reader = world_open_reader("picture", SHMFRAME_LATEST);
    for (unsigned i = 0; i < 12; i++)
        world_publish(writer, i);
    const struct shmframe_stream_info info = stream_info("picture");
    char format[128];
    shmframe_format_describe(shmframe_writer_format(writer), format, sizeof(format));
    ck_assert_str_eq(info.group, "camera");
    ck_assert_str_eq(info.format, format);
    ck_assert_str_eq(info.writer, "api-test");
    ck_assert_uint_eq(info.state, SHMFRAME_STREAM_LIVE);
    ck_assert_uint_eq(info.kind, SHMFRAME_VIDEO);
    ck_assert_uint_eq(info.generation, 1);
    ck_assert_uint_eq(info.readers, 1);
    ck_assert_int_eq(info.writer_pid, getpid());
    ck_assert_uint_eq(info.writer_uid, getuid());
    ck_assert_uint_eq(info.head, 12);
    /* Three slots, and little besides. */
    const uint64_t slots_bytes = shmframe_writer_format(writer)->slot_bytes * 3;
    ck_assert_uint_ge(info.memory_bytes, slots_bytes);
    ck_assert_uint_le(info.memory_bytes, slots_bytes + 262144);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

static void wait_for_a_stream(void) {
    world.session = world_open_session();
    world_tell();
    world_open_reader("waited-for", SHMFRAME_LATEST);
}

static void write_and_stay(void) {
    world.session = world_open_session();
    world_publish(world_open_writer("orphan"), 1);
    world_tell();
    world_expect_readable(-1);
}

static void expect_state(const char *stream, enum shmframe_stream_state state) {
    const int64_t deadline_ns = world_deadline();
    struct shmframe_stream_info info[8];
    for (;;) {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        const int count = shmframe_session_streams(world.session, deadline_ns, info, 8);
        for (int i = 0; i < count; i++)
            if (strcmp(info[i].name, stream) == 0 && info[i].state == state)
                return;
    }
}

START_TEST(streams_are_listed_by_name_in_each_state) {
    struct shmframe_writer *live = world_open_writer("live");
    struct shmframe_writer *ended = world_open_writer("ended");
    ck_assert_int_eq(shmframe_writer_end(ended), 0);
    const pid_t waits = world_fork(wait_for_a_stream);
    const pid_t writes = world_fork(write_and_stay);
    world_await();
    world_await();
    world_kill(writes);
    expect_state("orphan", SHMFRAME_STREAM_WRITER_GONE);
    expect_state("waited-for", SHMFRAME_STREAM_WAITED_FOR);
    expect_state("ended", SHMFRAME_STREAM_ENDED);
    expect_state("live", SHMFRAME_STREAM_LIVE);
    struct shmframe_stream_info info[4];
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 4), 4);
    static const char *const names[] = {"ended", "live", "orphan", "waited-for"};
    for (unsigned i = 0; i < 4; i++)
        ck_assert_str_eq(info[i].name, names[i]);
    ck_assert_uint_eq(info[3].readers, 1);
    ck_assert_uint_eq(info[3].generation, 0);
    /* However many there is room for, the number is of all. */
    memset(info, 0, sizeof(info));
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), NULL, 0), 4);
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 1), 4);
    ck_assert_str_eq(info[0].name, "ended");
    ck_assert_str_eq(info[1].name, "");
    world_kill(waits);
    shmframe_writer_close(ended);
    shmframe_writer_close(live);
}
END_TEST

START_TEST(readers_are_listed_with_what_they_were_granted) {
    struct shmframe_writer *writer = world_open_writer("s");
    static const struct shmframe_reader_params params[] = {
        {.stream = "s", .name = "window", .leases = 2},
        {.stream = "s", .name = "encoder", .policy = SHMFRAME_LOSSLESS, .depth = 7, .leases = 6},
        {.stream = "s", .policy = SHMFRAME_IN_ORDER},
    };
    static const char *const names[] = {"window", "encoder", "api-test"};
    struct shmframe_reader *reader[3];
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(shmframe_reader_open(world.session, &params[i], &reader[i]), 0);
    struct shmframe_reader_info info[3];
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), info, 3), 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_str_eq(info[i].name, names[i]);
        ck_assert_int_eq(info[i].pid, getpid());
        ck_assert_uint_eq(info[i].policy, params[i].policy);
        ck_assert_uint_eq(info[i].leases, params[i].leases ? params[i].leases : 1);
        ck_assert_uint_eq(info[i].generation, 1);
        ck_assert(i == 0 || info[i].number > info[i - 1].number);
    }
    ck_assert_uint_eq(info[1].depth, 7);
    ck_assert_uint_eq(info[2].depth, 4);
    ck_assert_uint_eq(stream_info("s").readers, 3);
    shmframe_reader_close(reader[1]);
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), info, 3), 2);
    ck_assert_str_eq(info[1].name, "api-test");
    shmframe_reader_close(reader[0]);
    shmframe_reader_close(reader[2]);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- eviction ---- */

START_TEST(an_evicted_reader_hears_of_it_and_the_others_go_on) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *evicted = world_open_reader("s", SHMFRAME_IN_ORDER);
    struct shmframe_reader *other = world_open_reader("s", SHMFRAME_IN_ORDER);
    world_publish(writer, 1);
    struct shmframe_lease lease = acquire(evicted);
    world_take(other, 1);
    const uint32_t number = reader_info("s", 0).number, stays = reader_info("s", 1).number;
    expect_error(shmframe_session_evict(world.session, "s", number + stays, world_deadline()),
                 -ENOENT, "'s'");
    ck_assert_int_eq(shmframe_session_evict(world.session, "s", number, world_deadline()), 0);
    /* What it holds is the writer's again. */
    for (uint64_t i = 2; i <= 12; i++) {
        world_publish(writer, i);
        ck_assert_uint_eq(world_take(other, i), i);
    }
    ck_assert_int_eq(shmframe_reader_release(evicted, &lease), -ESTALE);
    expect_error(shmframe_reader_acquire(evicted, SHMFRAME_NOW, &lease), -ESTALE, "'s'");
    world_expect_event(evicted, SHMFRAME_EVICTED);
    ck_assert_int_eq(shmframe_reader_acquire(evicted, SHMFRAME_NOW, &lease), -ESTALE);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(evicted, &counters);
    ck_assert_uint_eq(counters.stale, 1);
    struct shmframe_reader_event event;
    ck_assert_int_eq(shmframe_reader_next_event(other, &event), -EAGAIN);
    shmframe_reader_close(evicted);
    ck_assert_uint_eq(reader_info("s", 0).number, stays);
    shmframe_reader_close(other);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stamps");
    TCase *tests = tcase_create("stamps");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, what_the_writer_sets_arrives_as_it_was_set);
    tcase_add_test(tests, what_the_writer_does_not_set_has_its_default);
    tcase_add_test(tests, the_instants_of_a_frame_follow_each_other);
    tcase_add_test(tests, stages_that_were_passed_have_their_instant_and_others_have_none);
    tcase_add_test(tests, origin_and_stamps_are_kept_over_filters);
    tcase_add_test(tests, a_frame_straight_from_its_source_has_no_origin_and_becomes_one);
    tcase_add_test(tests, each_hop_counts_what_it_should);
    tcase_add_test(tests, the_wake_hop_counts_the_frames_that_were_slept_for);
    tcase_add_test(tests, flights_tell_of_each_frame_and_keep_the_newest);
    tcase_add_test(tests, another_session_reads_a_record_while_its_reader_runs_and_after_it_left);
    tcase_add_test(tests, the_record_of_a_reader_that_was_killed_stays_readable);
    tcase_add_test(tests, a_stream_is_listed_with_its_figures);
    tcase_add_test(tests, streams_are_listed_by_name_in_each_state);
    tcase_add_test(tests, readers_are_listed_with_what_they_were_granted);
    tcase_add_test(tests, an_evicted_reader_hears_of_it_and_the_others_go_on);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
