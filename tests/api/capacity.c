/* The ends of what is offered: many readers, many streams, the smallest and the largest frames,
 * every format.
 */
#include "world.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct shmframe_writer *open_writer(const struct shmframe_writer_params *params) {
    struct shmframe_writer *writer = NULL;
    const int code = shmframe_writer_open(world.session, params, &writer);
    ck_assert_msg(code == 0, "no writer of '%s': %s", params->stream, shmframe_last_error());
    return writer;
}

/* ---- many readers ---- */

enum { FRAMES = 200, PROCESSES = 8, READERS_A_PROCESS = 4, READERS = 32 };
static_assert(PROCESSES * READERS_A_PROCESS == READERS, "the same number both ways");

static void read_each_frame_with_several(void) {
    world.session = world_open_session();
    struct shmframe_reader *reader[READERS_A_PROCESS];
    for (unsigned i = 0; i < READERS_A_PROCESS; i++)
        reader[i] = world_open_reader("s", SHMFRAME_LOSSLESS);
    for (uint64_t sequence = 1; sequence <= FRAMES; sequence++)
        for (unsigned i = 0; i < READERS_A_PROCESS; i++)
            ck_assert_uint_eq(world_take(reader[i], sequence), sequence * 3);
}

START_TEST(thirty_two_readers_in_eight_processes_get_each_frame) {
    struct shmframe_writer *writer = world_open_writer("s");
    pid_t pid[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++)
        pid[i] = world_fork(read_each_frame_with_several);
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, READERS, world_deadline()), 0);
    for (uint64_t sequence = 1; sequence <= FRAMES; sequence++)
        ck_assert_uint_eq(world_publish(writer, sequence * 3), sequence);
    for (unsigned i = 0; i < PROCESSES; i++)
        world_join(pid[i]);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(thirty_two_readers_of_one_session_get_each_frame) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader[READERS];
    for (unsigned i = 0; i < READERS; i++)
        reader[i] = world_open_reader("s", SHMFRAME_IN_ORDER);
    ck_assert_uint_eq(shmframe_writer_readers(writer), READERS);
    for (uint64_t sequence = 1; sequence <= 50; sequence++) {
        world_publish(writer, sequence);
        for (unsigned i = 0; i < READERS; i++)
            ck_assert_uint_eq(world_take(reader[i], sequence), sequence);
    }
    for (unsigned i = 0; i < READERS; i++) {
        struct shmframe_reader_counters counters;
        shmframe_reader_counters(reader[i], &counters);
        ck_assert_uint_eq(counters.delivered, 50);
        ck_assert_uint_eq(counters.lost_late + counters.lost_restart + counters.skipped, 0);
        shmframe_reader_close(reader[i]);
    }
    shmframe_writer_close(writer);
}
END_TEST

/* Each holds its frame while the writer goes on: as many slots as readers, and all bytes stay. */
START_TEST(thirty_two_readers_hold_thirty_two_different_frames) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader[READERS];
    struct shmframe_lease lease[READERS];
    for (unsigned i = 0; i < READERS; i++)
        reader[i] = world_open_reader("s", SHMFRAME_LATEST);
    for (unsigned i = 0; i < READERS; i++) {
        world_publish(writer, 1000 + i);
        ck_assert_int_eq(shmframe_reader_acquire(reader[i], SHMFRAME_NOW, &lease[i]), 0);
    }
    for (unsigned i = 0; i < 100; i++)
        world_publish(writer, 0);
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_uint_eq(lease[i].frame.sequence, i + 1);
        ck_assert_uint_eq(world_value(&lease[i]), 1000 + i);
        ck_assert_int_eq(shmframe_reader_release(reader[i], &lease[i]), 0);
        shmframe_reader_close(reader[i]);
    }
    shmframe_writer_close(writer);
}
END_TEST

/* ---- many streams ---- */

enum { STREAMS = 64 }; /* that one session can write; as many as one wait takes */
static_assert(STREAMS == SHMFRAME_WAIT_MAX, "one wait takes a reader of each");

struct streams {
    struct shmframe_writer *writer[STREAMS];
    struct shmframe_reader *reader[STREAMS];
};

static void open_streams(struct streams *streams) {
    for (unsigned i = 0; i < STREAMS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", i);
        streams->writer[i] = world_open_writer(name);
        streams->reader[i] = world_open_reader(name, SHMFRAME_IN_ORDER);
    }
}

static void close_streams(struct streams *streams) {
    for (unsigned i = 0; i < STREAMS; i++) {
        shmframe_reader_close(streams->reader[i]);
        shmframe_writer_close(streams->writer[i]);
    }
}

START_TEST(sixty_four_streams_of_one_session_keep_to_themselves) {
    struct streams streams;
    open_streams(&streams);
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        for (unsigned i = 0; i < STREAMS; i++)
            world_publish(streams.writer[i], sequence * 100 + i);
        for (unsigned i = 0; i < STREAMS; i++)
            ck_assert_uint_eq(world_take(streams.reader[i], sequence), sequence * 100 + i);
    }
    close_streams(&streams);
}
END_TEST

START_TEST(a_stream_more_than_a_session_may_write_is_refused_and_harms_none) {
    struct streams streams;
    open_streams(&streams);
    const struct shmframe_writer_params params = world_writer_params("one-more");
    struct shmframe_writer *writer;
    expect_error(shmframe_writer_open(world.session, &params, &writer), -ENOSPC, "64");
    for (unsigned i = 0; i < STREAMS; i++) {
        world_publish(streams.writer[i], i);
        ck_assert_uint_eq(world_take(streams.reader[i], 1), i);
    }
    shmframe_reader_close(streams.reader[5]);
    shmframe_writer_close(streams.writer[5]);
    streams.writer[5] = world_open_writer("one-more");
    streams.reader[5] = world_open_reader("one-more", SHMFRAME_IN_ORDER);
    close_streams(&streams);
}
END_TEST

enum { EVENTS_UNREAD_MAX = 256 };

/* The oldest are kept, and none is overwritten. */
START_TEST(a_writer_that_takes_no_events_keeps_the_first_256) {
    struct shmframe_writer *writer = world_open_writer("s");
    for (unsigned i = 0; i < EVENTS_UNREAD_MAX / 2 + 4; i++)
        shmframe_reader_close(world_open_reader("s", SHMFRAME_LATEST));
    struct shmframe_stream_info info; /* all news were sent before this is answered */
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), &info, 1), 1);
    struct shmframe_writer_event event;
    uint32_t reader = 0;
    for (unsigned i = 0; i < EVENTS_UNREAD_MAX; i++) {
        ck_assert_int_eq(shmframe_writer_next_event(writer, &event), 0);
        ck_assert_int_eq(event.type, i % 2 ? SHMFRAME_READER_LEFT : SHMFRAME_READER_JOINED);
        ck_assert(i == 0 || (i % 2 ? event.reader == reader : event.reader > reader));
        reader = event.reader;
    }
    ck_assert_int_eq(shmframe_writer_next_event(writer, &event), -EAGAIN);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_wait_for_sixty_four_readers_tells_which_are_ready) {
    struct streams streams;
    open_streams(&streams);
    uint64_t ready = 77;
    ck_assert_int_eq(shmframe_readers_wait(streams.reader, STREAMS, SHMFRAME_NOW, &ready), -EAGAIN);
    ck_assert_uint_eq(ready, 77);
    const unsigned chosen[] = {0, 31, 32, 63};
    uint64_t wanted = 0;
    for (unsigned i = 0; i < 4; i++) {
        world_publish(streams.writer[chosen[i]], i);
        wanted |= UINT64_C(1) << chosen[i];
        ck_assert_int_eq(shmframe_readers_wait(streams.reader, STREAMS, SHMFRAME_NOW, &ready),
                         (int)i + 1);
        ck_assert_uint_eq(ready, wanted);
    }
    struct shmframe_reader *too_many[STREAMS + 1] = {NULL};
    memcpy(too_many, streams.reader, sizeof(streams.reader));
    expect_error(shmframe_readers_wait(too_many, STREAMS + 1, SHMFRAME_NOW, &ready), -EINVAL, "65");
    expect_error(shmframe_readers_wait(too_many, 0, SHMFRAME_NOW, &ready), -EINVAL, "not 0");
    close_streams(&streams);
}
END_TEST

struct sleeper {
    struct streams *streams;
    uint64_t ready;
    int count;
};

static void *wait_for_all(void *user) {
    struct sleeper *sleeper = user;
    sleeper->count =
        shmframe_readers_wait(sleeper->streams->reader, STREAMS, world_deadline(), &sleeper->ready);
    return NULL;
}

START_TEST(a_wait_for_sixty_four_readers_is_woken_by_any_of_them) {
    const unsigned chosen = (unsigned)_i;
    struct streams streams;
    open_streams(&streams);
    struct sleeper sleeper = {.streams = &streams};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_all, &sleeper), 0);
    /* It has slept once, and looks again before it sleeps on. */
    struct shmframe_reader_counters counters;
    const int64_t deadline_ns = world_deadline();
    do {
        shmframe_reader_counters(streams.reader[chosen], &counters);
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
    } while (counters.sleeps == 0);
    world_publish(streams.writer[chosen], 5);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(sleeper.count, 1);
    ck_assert_uint_eq(sleeper.ready, UINT64_C(1) << chosen);
    ck_assert_uint_eq(world_take(streams.reader[chosen], 1), 5);
    close_streams(&streams);
}
END_TEST

/* ---- ends of planes ---- */

/* A byte that tells where in which frame it stands. */
static uint8_t mark(uint64_t offset, uint64_t frame) {
    return (uint8_t)(offset * 31 + offset / 251 + frame * 101 + 1);
}

/* Calls for the first and the last byte of the first and the last row of each plane. */
static void for_each_end(const struct shmframe_format *format,
                         void (*act)(void *user, uint64_t offset), void *user) {
    for (uint32_t i = 0; i < format->plane_count; i++) {
        const struct shmframe_plane *plane = &format->plane[i];
        ck_assert_uint_gt(plane->rows, 0);
        ck_assert_uint_gt(plane->row_bytes, 0);
        const uint64_t last_row = plane->offset + (uint64_t)(plane->rows - 1) * plane->line_bytes;
        ck_assert_uint_le(last_row + plane->row_bytes + SHMFRAME_TAIL_BYTES, format->slot_bytes);
        act(user, plane->offset);
        act(user, plane->offset + plane->row_bytes - 1);
        act(user, last_row);
        act(user, last_row + plane->row_bytes - 1);
    }
}

struct ends {
    uint8_t *write;
    const uint8_t *read;
    uint64_t frame;
};

static void write_end(void *user, uint64_t offset) {
    struct ends *ends = user;
    ends->write[offset] = mark(offset, ends->frame);
}

static void check_end(void *user, uint64_t offset) {
    struct ends *ends = user;
    ck_assert_msg(ends->read[offset] == mark(offset, ends->frame),
                  "byte %llu of frame %llu is not what was written", (unsigned long long)offset,
                  (unsigned long long)ends->frame);
}

static void publish_ends(struct shmframe_writer *writer, uint64_t frame) {
    struct shmframe_loan loan;
    const int code = shmframe_writer_loan(writer, world_deadline(), &loan);
    ck_assert_msg(code == 0, "no loan (%d): %s", code, shmframe_last_error());
    for (uint32_t i = 0; i < loan.format->plane_count; i++)
        ck_assert_ptr_eq(shmframe_loan_plane(&loan, i), loan.data + loan.format->plane[i].offset);
    ck_assert_ptr_null(shmframe_loan_plane(&loan, loan.format->plane_count));
    struct ends ends = {.write = loan.data, .frame = frame};
    for_each_end(loan.format, write_end, &ends);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
}

static void take_ends(struct shmframe_reader *reader, const struct shmframe_format *format,
                      uint64_t frame) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(reader, world_deadline(), &lease);
    ck_assert_msg(code == 0, "no lease (%d): %s", code, shmframe_last_error());
    ck_assert_uint_eq(lease.frame.sequence, frame);
    ck_assert(shmframe_format_is_equal(lease.format, format));
    for (uint32_t i = 0; i < lease.format->plane_count; i++)
        ck_assert_ptr_eq(shmframe_lease_plane(&lease, i),
                         lease.data + lease.format->plane[i].offset);
    ck_assert_ptr_null(shmframe_lease_plane(&lease, lease.format->plane_count));
    struct ends ends = {.read = lease.data, .frame = frame};
    for_each_end(lease.format, check_end, &ends);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
}

/* Four frames of `format`, which go through each slot of a latest-only ring, and are read in place.
 */
static void carry_frames(const struct shmframe_format *format, const char *what) {
    struct shmframe_writer_params params = {.stream = "s", .format = *format};
    struct shmframe_writer *writer = NULL;
    const int code = shmframe_writer_open(world.session, &params, &writer);
    ck_assert_msg(code == 0, "no stream of %s: %s", what, shmframe_last_error());
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST);
    /* Numbers go on, also from the stream before under the same name. */
    struct shmframe_stream_info info;
    ck_assert_int_ge(shmframe_session_streams(world.session, world_deadline(), &info, 1), 1);
    for (uint64_t frame = info.head + 1; frame <= info.head + 4; frame++) {
        publish_ends(writer, frame);
        take_ends(reader, format, frame);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}

/* ---- pictures ---- */

static const struct picture {
    const char *pixel_format;
    uint32_t width, height;
} pictures[] = {
    {"gray", 1, 1},          {"yuv420p", 1, 1},  {"monow", 1, 1},         {"rgba", 16384, 1},
    {"yuv420p", 16384, 1},   {"gray", 1, 16384}, {"yuv420p", 1919, 1079}, {"nv12", 1919, 1079},
    {"yuv422p10le", 641, 3}, {"rgb24", 17, 5},   {"yuv410p", 1021, 1019}, {"gray", 16384, 16384},
};
enum { PICTURES = sizeof(pictures) / sizeof(pictures[0]) };

START_TEST(pictures_of_any_size_are_whole) {
    const struct picture *picture = &pictures[_i];
    struct shmframe_format format;
    ck_assert_int_eq(
        shmframe_format_video(&format, picture->pixel_format, picture->width, picture->height), 0);
    carry_frames(&format, picture->pixel_format);
}
END_TEST

START_TEST(odd_pictures_have_the_rows_of_the_rounded_up_chroma) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 1919, 1079), 0);
    ck_assert_uint_eq(format.plane_count, 3);
    ck_assert_uint_eq(format.plane[0].row_bytes, 1919);
    ck_assert_uint_eq(format.plane[0].rows, 1079);
    for (unsigned i = 1; i < 3; i++) {
        ck_assert_uint_eq(format.plane[i].row_bytes, 960);
        ck_assert_uint_eq(format.plane[i].rows, 540);
    }
}
END_TEST

START_TEST(a_picture_beyond_the_largest_is_refused) {
    struct shmframe_format format;
    expect_error(shmframe_format_video(&format, "gray", SHMFRAME_SIDE_MAX + 1, 1), -EINVAL,
                 "16385");
    expect_error(shmframe_format_video(&format, "gray", 1, SHMFRAME_SIDE_MAX + 1), -EINVAL,
                 "16385");
    expect_error(shmframe_format_video(&format, "gray", 0, 1), -EINVAL, "width");
    expect_error(shmframe_format_video(&format, "gbrapf32le", SHMFRAME_SIDE_MAX, SHMFRAME_SIDE_MAX),
                 -ENOTSUP, "GiB");
}
END_TEST

/* Three slots are all that such a stream needs; with address space for no more it works the same.
 */
START_TEST(the_largest_gray_picture_takes_the_memory_of_three_slots) {
    struct shmframe_writer_params params = {.stream = "s"};
    ck_assert_int_eq(
        shmframe_format_video(&params.format, "gray", SHMFRAME_SIDE_MAX, SHMFRAME_SIDE_MAX), 0);
    params.ring_bytes = params.format.slot_bytes * 4 + (1 << 20);
    struct shmframe_writer *writer = open_writer(&params);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST);
    struct shmframe_lease held;
    publish_ends(writer, 1);
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &held), 0);
    for (uint64_t frame = 2; frame <= 9; frame++)
        publish_ends(writer, frame);
    struct ends ends = {.read = held.data, .frame = 1};
    for_each_end(held.format, check_end, &ends);
    ck_assert_int_eq(shmframe_reader_release(reader, &held), 0);
    take_ends(reader, shmframe_writer_format(writer), 9);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    ck_assert_uint_eq(counters.slots_used, 3);
    ck_assert_uint_eq(counters.loans_refused + counters.loans_cold, 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(every_pixel_format_in_memory_makes_a_stream) {
    unsigned made = 0;
    const AVPixFmtDescriptor *about = NULL;
    while ((about = av_pix_fmt_desc_next(about))) {
        const enum AVPixelFormat id = av_pix_fmt_desc_get_id(about);
        struct shmframe_format format;
        const int code = shmframe_format_video(&format, about->name, 50, 38);
        int lines[4];
        const bool is_computable = !(about->flags & AV_PIX_FMT_FLAG_HWACCEL) &&
                                   av_image_get_buffer_size(id, 50, 38, 1) > 0 &&
                                   av_image_fill_linesizes(lines, id, 50) >= 0;
        if (!is_computable) {
            expect_error(code, -ENOTSUP, about->name);
            continue;
        }
        ck_assert_msg(code == 0, "%s: %s", about->name, shmframe_last_error());
        /* The palette is a plane of its own. */
        ck_assert_int_eq(format.plane_count,
                         av_pix_fmt_count_planes(id) + !!(about->flags & AV_PIX_FMT_FLAG_PAL));
        carry_frames(&format, about->name);
        made++;
    }
    ck_assert_uint_gt(made, 150); /* FFmpeg 5.1 has more */
}
END_TEST

/* ---- sound ---- */

START_TEST(every_sample_format_makes_a_stream) {
    for (int id = 0; id < AV_SAMPLE_FMT_NB; id++) {
        const char *name = av_get_sample_fmt_name((enum AVSampleFormat)id);
        const int sample_bytes = av_get_bytes_per_sample((enum AVSampleFormat)id);
        const bool is_planar = av_sample_fmt_is_planar((enum AVSampleFormat)id);
        struct shmframe_format format;
        ck_assert_int_eq(shmframe_format_audio(&format, name, 6, 48000, 480), 0);
        ck_assert_uint_eq(format.plane_count, is_planar ? 6 : 1);
        ck_assert_uint_eq(format.plane[0].row_bytes, sample_bytes * 480 * (is_planar ? 1 : 6));
        carry_frames(&format, name);
    }
}
END_TEST

static const char *const wide_formats[] = {"s16", "s16p", "dbl", "dblp"};

START_TEST(sixty_four_channels_are_whole_packed_and_planar) {
    struct shmframe_format format;
    ck_assert_int_eq(
        shmframe_format_audio(&format, wide_formats[_i], SHMFRAME_CHANNELS_MAX, 192000, 1001), 0);
    carry_frames(&format, wide_formats[_i]);
    expect_error(
        shmframe_format_audio(&format, wide_formats[_i], SHMFRAME_CHANNELS_MAX + 1, 48000, 480),
        -EINVAL, "65");
}
END_TEST

START_TEST(a_block_says_how_many_of_its_samples_count) {
    struct shmframe_writer_params params = {.stream = "s"};
    ck_assert_int_eq(shmframe_format_audio(&params.format, "fltp", 2, 48000, 480), 0);
    struct shmframe_writer *writer = open_writer(&params);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const uint32_t samples[] = {480, 1, 0, 479};
    struct shmframe_loan loan;
    struct shmframe_lease lease;
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
        ck_assert_uint_eq(loan.frame.samples, 480);
        loan.frame.samples = samples[i];
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
        ck_assert_uint_eq(lease.frame.samples, samples[i]);
        ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- data ---- */

static const uint64_t data_bytes[] = {1, 4095, 4096, 4097, SHMFRAME_DATA_MAX};

START_TEST(data_of_any_size_are_whole) {
    struct shmframe_writer_params params = {.stream = "s"};
    ck_assert_int_eq(shmframe_format_data(&params.format, "test", data_bytes[_i]), 0);
    struct shmframe_writer *writer = open_writer(&params);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST);
    const uint64_t last = data_bytes[_i] - 1;
    for (uint64_t frame = 1; frame <= 4; frame++) {
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
        ck_assert_uint_eq(loan.frame.bytes, data_bytes[_i]);
        loan.data[0] = mark(0, frame);
        loan.data[last] = mark(last, frame);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        struct shmframe_lease lease;
        ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
        ck_assert_uint_eq(lease.frame.bytes, data_bytes[_i]);
        ck_assert_uint_eq(lease.data[0], mark(0, frame));
        ck_assert_uint_eq(lease.data[last], mark(last, frame));
        ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_writer_is_opened_before_its_deadline_or_not_at_all) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.deadline_ns = shmframe_deadline_ns(1);
    struct shmframe_writer *writer;
    expect_error(shmframe_writer_open(world.session, &params, &writer), -ETIMEDOUT, "in time");
}
END_TEST

START_TEST(a_datum_says_how_many_of_its_bytes_count_and_never_more_than_the_format) {
    struct shmframe_writer *writer = world_open_writer("s"); /* of 8 bytes, in a longer slot */
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const uint32_t bytes[] = {8, 0, 1, 7};
    struct shmframe_loan loan;
    struct shmframe_lease lease;
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
        loan.frame.bytes = 9;
        expect_error(shmframe_writer_publish(writer, &loan), -EINVAL, "9 bytes");
        loan.frame.bytes = bytes[i];
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
        ck_assert_uint_eq(lease.frame.bytes, bytes[i]);
        ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(data_beyond_the_largest_and_of_nothing_are_refused) {
    struct shmframe_format format;
    expect_error(shmframe_format_data(&format, "test", SHMFRAME_DATA_MAX + 1), -EINVAL,
                 "1073741825");
    expect_error(shmframe_format_data(&format, "test", 0), -EINVAL, "0");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("capacity");
    TCase *tests = tcase_create("capacity");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, thirty_two_readers_in_eight_processes_get_each_frame);
    tcase_add_test(tests, thirty_two_readers_of_one_session_get_each_frame);
    tcase_add_test(tests, thirty_two_readers_hold_thirty_two_different_frames);
    tcase_add_test(tests, sixty_four_streams_of_one_session_keep_to_themselves);
    tcase_add_test(tests, a_stream_more_than_a_session_may_write_is_refused_and_harms_none);
    tcase_add_test(tests, a_writer_that_takes_no_events_keeps_the_first_256);
    tcase_add_test(tests, a_wait_for_sixty_four_readers_tells_which_are_ready);
    tcase_add_loop_test(tests, a_wait_for_sixty_four_readers_is_woken_by_any_of_them, 0, 1);
    tcase_add_loop_test(tests, a_wait_for_sixty_four_readers_is_woken_by_any_of_them, 63, 64);
    tcase_add_loop_test(tests, pictures_of_any_size_are_whole, 0, PICTURES);
    tcase_add_test(tests, odd_pictures_have_the_rows_of_the_rounded_up_chroma);
    tcase_add_test(tests, a_picture_beyond_the_largest_is_refused);
    tcase_add_test(tests, the_largest_gray_picture_takes_the_memory_of_three_slots);
    tcase_add_test(tests, every_pixel_format_in_memory_makes_a_stream);
    tcase_add_test(tests, every_sample_format_makes_a_stream);
    tcase_add_loop_test(tests, sixty_four_channels_are_whole_packed_and_planar, 0, 4);
    tcase_add_test(tests, a_block_says_how_many_of_its_samples_count);
    tcase_add_loop_test(tests, data_of_any_size_are_whole, 0, 5);
    tcase_add_test(tests, a_writer_is_opened_before_its_deadline_or_not_at_all);
    tcase_add_test(tests, a_datum_says_how_many_of_its_bytes_count_and_never_more_than_the_format);
    tcase_add_test(tests, data_beyond_the_largest_and_of_nothing_are_refused);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
