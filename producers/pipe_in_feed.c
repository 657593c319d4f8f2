#include "pipe_in_feed.h"

#include "y4m.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/intreadwrite.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
/* So far behind its time, the clock is set back rather than the rest hurried through. */
#define BEHIND_NS (SECOND_NS / 2)

static const struct shmframe_format *format_of(const struct pipe_in_feed *feed) {
    return &feed->header.format;
}

static bool is_sound(const struct pipe_in_feed *feed) {
    return format_of(feed)->kind == SHMFRAME_AUDIO;
}

/* Media time of a position. */
static int64_t find_ns(const struct pipe_in_feed *feed, int64_t position) {
    const struct shmframe_rational unit = format_of(feed)->time_base;
    return (int64_t)((__int128)position * unit.num * SECOND_NS / unit.den);
}

static uint32_t sample_bytes(const struct pipe_in_feed *feed) {
    return format_of(feed)->plane[0].row_bytes / format_of(feed)->audio.samples_max;
}

/* Life. */

static void begin_input(struct pipe_in_feed *feed) {
    feed->left = feed->header.data_bytes;
}

bool pipe_in_feed_open(struct pipe_in_feed *feed) {
    const struct shmframe_writer_params params = {
        .stream = producer_options.stream,
        .group = producer_options.group,
        .format = *format_of(feed),
        .flags = feed->pace == PIPE_IN_LIVE ? SHMFRAME_WRITER_LIVE : 0,
    };
    feed->producer.is_unpaced = feed->pace == PIPE_IN_UNPACED;
    feed->stream = producer_add(&feed->producer, &params);
    feed->input.producer = &feed->producer;
    feed->input.is_live = feed->pace == PIPE_IN_LIVE;
    begin_input(feed);
    return feed->stream;
}

int pipe_in_feed_finish(struct pipe_in_feed *feed) {
    const int exit_code = producer_finish(&feed->producer);
    pipe_in_input_close(&feed->input);
    free(feed->pieces);
    return feed->has_failed ? EXIT_FAILED : exit_code;
}

/* Where the bytes of a frame belong. */

static void add_piece(struct pipe_in_feed *feed, size_t *count, void *data, size_t bytes) {
    if (*count == feed->pieces_max) {
        feed->pieces_max = feed->pieces_max ? 2 * feed->pieces_max : 64;
        feed->pieces = reallocarray(feed->pieces, feed->pieces_max, sizeof(*feed->pieces));
        if (!feed->pieces)
            program_fail("no memory");
    }
    feed->pieces[(*count)++] = (struct iovec){data, bytes};
}

/* One piece a plane whose lines have no padding, otherwise one a line. */
static size_t point_at_picture(struct pipe_in_feed *feed, const struct shmframe_loan *loan) {
    const struct shmframe_format *format = loan->format;
    size_t count = 0;
    for (uint32_t i = 0; i < format->plane_count; i++) {
        const struct shmframe_plane *plane = &format->plane[i];
        uint8_t *first = loan->data + plane->offset;
        if (plane->line_bytes == plane->row_bytes) {
            add_piece(feed, &count, first, (size_t)plane->row_bytes * plane->rows);
            continue;
        }
        for (uint32_t y = 0; y < plane->rows; y++)
            add_piece(feed, &count, first + (size_t)y * plane->line_bytes, plane->row_bytes);
    }
    return count;
}

static uint64_t count_picture_bytes(const struct shmframe_format *format) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < format->plane_count; i++)
        bytes += (uint64_t)format->plane[i].row_bytes * format->plane[i].rows;
    return bytes;
}

/* When a frame's turn is. */

/* Errors: as pipe_in_input_wait(). */
static int wait_for_clock(struct pipe_in_feed *feed) {
    struct producer *producer = &feed->producer;
    const int64_t due_ns = find_ns(feed, feed->position);
    if (producer_options.duration_ns && due_ns >= producer_options.duration_ns)
        return -ETIMEDOUT;
    switch (producer_wait_until(producer, due_ns)) {
    case PRODUCER_DUE:
    case PRODUCER_READY:
        break;
    case PRODUCER_ASKED:
        return -EAGAIN;
    case PRODUCER_STOP:
        return -EINTR;
    }
    return feed->input.is_file ? 0 : pipe_in_input_wait(&feed->input, SHMFRAME_FOREVER);
}

static void set_clock_back(struct pipe_in_feed *feed) {
    struct producer *producer = &feed->producer;
    const int64_t behind_ns = producer_media_ns(producer) - find_ns(feed, feed->position);
    if (feed->pace != PIPE_IN_PACED || behind_ns < BEHIND_NS)
        return;
    producer->start_ns += behind_ns;
    feed->stream->is_discontinuous = true;
}

static int wait_for_turn(struct pipe_in_feed *feed, int64_t *out_capture_ns) {
    const int result = feed->pace == PIPE_IN_LIVE
                           ? pipe_in_input_wait(&feed->input, producer_end_ns(&feed->producer))
                           : wait_for_clock(feed);
    if (result < 0)
        return result;
    set_clock_back(feed);
    *out_capture_ns = feed->pace == PIPE_IN_PACED
                          ? feed->producer.start_ns + find_ns(feed, feed->position)
                          : shmframe_now_ns();
    return 0;
}

static void publish(struct pipe_in_feed *feed, struct shmframe_loan *loan, uint32_t length) {
    loan->frame.pts = feed->position;
    loan->frame.duration = length;
    producer_publish(feed->stream, loan, false);
    const int64_t next_ns = feed->producer.start_ns + find_ns(feed, feed->position + 2 * length);
    if (feed->pace == PIPE_IN_PACED && loan->frame.publish_ns > next_ns)
        feed->stream->overdue++;
}

/* Lends a slot. -EAGAIN: there is none, or what comes while paused is nobody's: it is to be
 * skipped. -EINTR. */
static int lend(struct pipe_in_feed *feed, int64_t capture_ns, struct shmframe_loan *loan) {
    if (feed->pace == PIPE_IN_LIVE && feed->producer.is_paused) {
        feed->stream->dropped++;
        return -EAGAIN;
    }
    const int result = producer_loan(&feed->producer, feed->stream, loan);
    if (result == 0)
        loan->frame.capture_ns = capture_ns;
    return result;
}

/* Goes on with what another header says. False: asked to stop. */
static bool take_header(struct pipe_in_feed *feed, const struct pipe_in_header *header) {
    if (!shmframe_format_is_equal(&header->format, format_of(feed)) &&
        !producer_set_format(feed->stream, &header->format))
        return false;
    feed->header = *header;
    feed->stream->is_discontinuous = true;
    begin_input(feed);
    return true;
}

/* Pictures. */

/* A header where a picture should begin: one file behind another, or a writer that came before the
 * last one's leaving was noticed. */
static int take_line(struct pipe_in_feed *feed, const char *line, size_t length) {
    struct pipe_in_header header = {.kind = PIPE_IN_Y4M};
    if (length < strlen(Y4M_MAGIC) || memcmp(line, Y4M_MAGIC, strlen(Y4M_MAGIC)) != 0 ||
        pipe_in_header_parse(&header, line, length, &feed->wanted) < 0)
        return -EPROTO;
    return take_header(feed, &header) ? -EAGAIN : -EINTR;
}

/* The line before a picture, byte by byte only if there is more in it than usual. -EAGAIN: it was a
 * header. */
static int read_line(struct pipe_in_feed *feed, uint32_t *out_flags) {
    char line[Y4M_LINE_MAX];
    size_t length = strlen(Y4M_FRAME) + 1;
    struct iovec piece = {line, length};
    int result = pipe_in_input_read(&feed->input, &piece, 1, NULL);
    while (result == 0 && line[length - 1] != '\n' && length < sizeof(line)) {
        piece = (struct iovec){&line[length], 1};
        result = pipe_in_input_read(&feed->input, &piece, 1, NULL);
        result = result == -ENODATA ? -EPIPE : result;
        length++;
    }
    if (result < 0)
        return result;
    if (line[length - 1] != '\n')
        return -EPROTO;
    if (y4m_parse_frame(line, length - 1, format_of(feed), out_flags) == 0)
        return 0;
    return take_line(feed, line, length - 1);
}

static int pass_picture(struct pipe_in_feed *feed, int64_t capture_ns) {
    struct shmframe_loan loan;
    uint32_t flags = 0;
    int result = feed->header.kind == PIPE_IN_Y4M ? read_line(feed, &flags) : 0;
    const bool is_begun = feed->header.kind == PIPE_IN_Y4M;
    if (result < 0)
        return result;
    result = lend(feed, capture_ns, &loan);
    if (result == -EAGAIN) {
        result = pipe_in_input_skip(&feed->input, count_picture_bytes(format_of(feed)), NULL);
    } else if (result == 0) {
        const size_t count = point_at_picture(feed, &loan);
        result = pipe_in_input_read(&feed->input, feed->pieces, count, NULL);
        loan.frame.flags |= flags;
        if (result == 0)
            publish(feed, &loan, 1);
        else
            shmframe_writer_abandon(feed->stream->writer, &loan);
    }
    feed->position += result == 0;
    return result == -ENODATA && is_begun ? -EPIPE : result;
}

/* Sound. */

/* A block that is the last one may be shorter, by whole samples. */
static int end_sound(struct pipe_in_feed *feed, uint64_t bytes, int result, uint32_t *out_samples) {
    const bool is_promised = feed->left != UINT64_MAX && bytes < feed->left;
    *out_samples = (uint32_t)(bytes / sample_bytes(feed));
    if (result != -EPIPE && result != -ENODATA)
        return result;
    return is_promised || bytes % sample_bytes(feed) ? -EPIPE : -ENODATA;
}

static int pass_block(struct pipe_in_feed *feed, int64_t capture_ns) {
    struct shmframe_loan loan;
    uint64_t wanted = format_of(feed)->plane[0].row_bytes, bytes = 0;
    uint32_t samples;
    if (wanted > feed->left)
        wanted = feed->left - feed->left % sample_bytes(feed);
    if (wanted == 0)
        return -ENODATA;
    int result = lend(feed, capture_ns, &loan);
    if (result == -EAGAIN) {
        result = pipe_in_input_skip(&feed->input, wanted, &bytes);
        result = end_sound(feed, bytes, result, &samples);
    } else if (result == 0) {
        struct iovec piece = {loan.data + loan.format->plane[0].offset, wanted};
        result = pipe_in_input_read(&feed->input, &piece, 1, &bytes);
        result = end_sound(feed, bytes, result, &samples);
        loan.frame.samples = samples;
        if (samples && result != -EINTR)
            publish(feed, &loan, samples);
        else
            shmframe_writer_abandon(feed->stream->writer, &loan);
    } else {
        return result;
    }
    feed->position += samples;
    feed->left -= feed->left == UINT64_MAX ? 0 : bytes;
    return result;
}

/* The input. */

static int pass_frame(struct pipe_in_feed *feed) {
    int64_t capture_ns;
    const int result = wait_for_turn(feed, &capture_ns);
    if (result < 0)
        return result;
    return is_sound(feed) ? pass_block(feed, capture_ns) : pass_picture(feed, capture_ns);
}

/* Frames, until there are no more; returns why. */
static int pass_frames(struct pipe_in_feed *feed) {
    for (;;) {
        const int result = pass_frame(feed);
        if (result < 0 && result != -EAGAIN)
            return result;
        const bool is_over = feed->pace == PIPE_IN_LIVE ? producer_is_over(&feed->producer)
                                                        : producer_has_enough(&feed->producer);
        if (is_over)
            return -ETIMEDOUT;
    }
}

/* What is left of an input that made no sense. */
static void drain(struct pipe_in_feed *feed) {
    pipe_in_input_skip(&feed->input, UINT64_MAX, NULL);
}

/* A wav may have chunks behind its samples, which are no header of the next. */
static int skip_chunks(struct pipe_in_feed *feed) {
    if (feed->header.kind != PIPE_IN_WAV || feed->header.data_bytes == UINT64_MAX)
        return 0;
    int result = pipe_in_input_skip(&feed->input, feed->header.data_bytes & 1, NULL);
    while (result == 0) {
        uint8_t chunk[8];
        const int count = pipe_in_input_peek(&feed->input, chunk, sizeof(chunk), sizeof(chunk));
        if (count < 0)
            return count;
        const bool is_whole = count == sizeof(chunk);
        if (is_whole && (memcmp(chunk, "RIFF", 4) == 0 || memcmp(chunk, "RF64", 4) == 0))
            return 0;
        const uint64_t size = is_whole ? AV_RL32(chunk + 4) : 0;
        if (count == 0)
            return 0;
        result = pipe_in_input_skip(&feed->input, (uint64_t)count + size + (size & 1), NULL);
    }
    return result == -EINTR ? result : 0;
}

/* Goes on with what the next writer of the FIFO sends, which may have begun already. Errors: -EINTR
 * asked to stop; others: it is no good, and was told. */
static int join_writer(struct pipe_in_feed *feed) {
    struct pipe_in_header header = {.kind = feed->header.kind};
    const int result = pipe_in_header_read(&header, &feed->input, &feed->wanted);
    if (result == -ENODATA) {
        pipe_in_input_open(&feed->input, feed->input.path);
    } else if (result < 0 && result != -EINTR) {
        program_warn("%s: %s; waiting for the next writer", feed->input.path, header.why);
        drain(feed);
    }
    if (result < 0)
        return result;
    return take_header(feed, &header) ? 0 : -EINTR;
}

/* Tells how it ended. Returns whether the next writer is to be waited for. */
static bool end_input(struct pipe_in_feed *feed, int result) {
    const char *path = feed->input.path;
    if (result == -EPIPE) {
        program_warn("%s is cut off: %s", path,
                     is_sound(feed) ? "its sound is shorter than it should be"
                                    : "it ends within a picture, which is left out");
        feed->has_failed = true;
    } else if (result == -EPROTO) {
        program_warn("%s: picture %" PRId64 " does not begin with " Y4M_FRAME
                     ": it is damaged, or not of the size that its header says",
                     path, feed->position + 1);
        feed->has_failed = true;
    } else if (result != -ENODATA && result != -EINTR && result != -ETIMEDOUT) {
        program_warn("%s cannot be read any more: %s", path, strerror(-result));
        feed->has_failed = true;
    }
    return feed->is_staying && (result == -ENODATA || result == -EPIPE || result == -EPROTO);
}

void pipe_in_feed_run(struct pipe_in_feed *feed) {
    for (;;) {
        int result = pass_frames(feed);
        if (!end_input(feed, result))
            return;
        if (result == -EPROTO)
            drain(feed);
        else if (result == -ENODATA && skip_chunks(feed) == -EINTR)
            return;
        /* A raw input has no header that could tell its end. */
        if (feed->header.kind == PIPE_IN_RAW)
            pipe_in_input_open(&feed->input, feed->input.path);
        do
            result = join_writer(feed);
        while (result < 0 && result != -EINTR && !program_is_stopping());
        if (result < 0)
            return;
    }
}
