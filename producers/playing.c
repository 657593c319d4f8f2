#include "playing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)
/* How long a copy waits for lossless readers before requests are looked at again. */
#define LOAN_SLICE_NS (SECOND_NS / 20)

enum { LOANS_MAX = 64, SLOTS_BESIDE = 16 };

/* Life. */

static void attach_slots(struct playing *playing, struct track *track) {
    if (shmframe_decoder_slots_open(playing->stream->writer, track->codec, &playing->slots) < 0)
        program_fail_call(playing->stream->name);
}

bool playing_open(struct playing *playing, struct producer *producer, const char *name,
                  struct track *track, uint32_t ahead, bool is_live) {
    struct shmframe_writer_params params = {
        .stream = name,
        .group = producer_options.group,
        .format = track->format,
        .flags = SHMFRAME_WRITER_THREADED | (is_live ? SHMFRAME_WRITER_LIVE : 0),
    };
    /* The frames that are decoded ahead, and the one that is being published. */
    const uint32_t loans = track_loans(track) + ahead + 1;
    params.loans = loans < LOANS_MAX ? loans : LOANS_MAX;
    const uint64_t bytes = (params.loans + SLOTS_BESIDE) * track->format.slot_bytes;
    if (bytes > UINT64_C(1) << 30)
        params.ring_bytes = bytes;
    playing->waiting = av_fifo_alloc2(64, sizeof(struct demux_item), AV_FIFO_FLAG_AUTO_GROW);
    if (!playing->waiting)
        program_fail("%s: no memory for its frames", name);
    av_fifo_auto_grow_limit(playing->waiting, SIZE_MAX / sizeof(struct demux_item));
    playing->stream = producer_add(producer, &params);
    if (!playing->stream)
        return false;
    playing->stream->side_data_dropped = playing->side_data.dropped;
    attach_slots(playing, track);
    return true;
}

bool playing_attach(struct playing *playing, struct track *track) {
    const struct shmframe_format *format = shmframe_writer_format(playing->stream->writer);
    if (!shmframe_format_is_equal(format, &track->format) &&
        !producer_set_format(playing->stream, &track->format))
        return false;
    attach_slots(playing, track);
    return true;
}

void playing_clear(struct playing *playing) {
    struct demux_item item;
    demux_item_finish(&playing->item);
    playing->sample = 0;
    while (playing->waiting && av_fifo_read(playing->waiting, &item, 1) >= 0)
        demux_item_finish(&item);
    free(playing->pending);
    playing->pending = NULL;
}

void playing_detach(struct playing *playing) {
    struct shmframe_decoder_counters newest, *sum = &playing->copies;
    if (!playing->slots)
        return;
    shmframe_decoder_slots_counters(playing->slots, &newest);
    sum->copied_no_slot += newest.copied_no_slot;
    sum->copied_geometry += newest.copied_geometry;
    sum->copied_codec += newest.copied_codec;
    sum->copied_repeated += newest.copied_repeated;
    sum->copied_cut += newest.copied_cut;
    shmframe_decoder_slots_close(playing->slots);
    playing->slots = NULL;
}

static void explain_copies(struct playing *playing) {
    const struct {
        uint64_t count;
        const char *why;
    } causes[] = {
        {playing->copies.copied_no_slot, "no slot was free"},
        {playing->copies.copied_geometry, "size or lines differ from the ring's"},
        {playing->copies.copied_codec, "the decoder takes no buffers from outside"},
        {playing->copies.copied_repeated, "the decoder showed a picture again"},
        {playing->copies.copied_cut, "parts of longer blocks of the decoder"},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
        if (causes[i].count && used < sizeof(playing->copied_why))
            used += (size_t)snprintf(playing->copied_why + used, sizeof(playing->copied_why) - used,
                                     "%s%" PRIu64 ": %s", used ? ", " : "", causes[i].count,
                                     causes[i].why);
    playing->stream->copied_why = playing->copied_why;
}

void playing_finish(struct playing *playing) {
    playing_clear(playing);
    playing_detach(playing);
    if (playing->stream)
        explain_copies(playing);
    av_fifo_freep2(&playing->waiting);
}

void playing_drop(struct playing *playing, struct demux_item *item) {
    if (item->format) {
        free(playing->pending);
        playing->pending = item->format;
        item->format = NULL;
    }
    demux_item_finish(item);
}

int64_t playing_position_ns(const struct playing *playing, const struct demux *demux) {
    const AVFrame *frame = playing->item.frame;
    int64_t ns = demux_position_ns(demux, (uint32_t)playing->track, frame->pts);
    if (playing->sample)
        ns += av_rescale(playing->sample, SECOND_NS, frame->sample_rate);
    return ns;
}

/* Publishing. */

/* False: asked to stop. */
static bool change_format(struct playing *playing) {
    if (playing->item.format) {
        free(playing->pending);
        playing->pending = playing->item.format;
        playing->item.format = NULL;
    }
    const bool is_news = playing->pending &&
                         !shmframe_format_is_equal(playing->pending,
                                                   shmframe_writer_format(playing->stream->writer));
    const bool is_set = !is_news || producer_set_format(playing->stream, playing->pending);
    free(playing->pending);
    playing->pending = NULL;
    return is_set;
}

static void finish_loan(struct playing *playing, struct shmframe_loan *loan, int64_t capture_ns,
                        bool is_copied, int64_t *out_publish_ns) {
    const struct shmframe_rational unit = loan->format->time_base;
    playing->duration_ns = av_rescale_q(loan->frame.duration, (AVRational){unit.num, unit.den},
                                        (AVRational){1, SECOND_NS});
    if (capture_ns)
        loan->frame.capture_ns = capture_ns;
    producer_publish(playing->stream, loan, is_copied);
    *out_publish_ns = loan->frame.publish_ns;
}

static int refuse_frame(struct playing *playing) {
    struct producer_stream *stream = playing->stream;
    if (stream->refused++ == 0)
        program_warn("%s: a frame is dropped: %s", stream->name, shmframe_last_error());
    stream->dropped++;
    return -EAGAIN;
}

/* A slot with the frame; 0, or -EAGAIN it is dropped, -EINTR asked to stop. */
static int loan_frame(struct playing *playing, struct producer *producer, const AVFrame *frame,
                      struct shmframe_loan *out_loan) {
    for (;;) {
        const int result = shmframe_decoder_slots_loan(
            playing->slots, frame, shmframe_deadline_ns(LOAN_SLICE_NS), out_loan);
        if (result == 0)
            break;
        if (result == -EINVAL || result == -ENOSPC || result == -ENOMEM || result == -EBUSY)
            return refuse_frame(playing);
        if (result != -ETIMEDOUT && result != -EINTR)
            program_fail_call(playing->stream->name);
        if (producer_wait_for(producer, -1, SHMFRAME_NOW) == PRODUCER_STOP)
            return -EINTR;
        if (!playing->item.frame)
            return -EINTR; /* a seek took the frame away */
    }
    producer_tell_dropped(playing->stream, out_loan);
    return 0;
}

/* Samples of the next block: a frame is cut into equal parts that fit. */
static int count_samples(const struct playing *playing) {
    const int max = (int)shmframe_writer_format(playing->stream->writer)->audio.samples_max;
    const int left = playing->item.frame->nb_samples - playing->sample;
    const int parts = (left + max - 1) / max;
    return (left + parts - 1) / parts;
}

/* Leaves `count` samples of a block, from the next one on. */
static void cut(const struct playing *playing, AVFrame *block, int count) {
    const bool is_planar = av_sample_fmt_is_planar(block->format);
    const int planes = is_planar ? block->ch_layout.nb_channels : 1;
    const size_t sample_bytes = (size_t)av_get_bytes_per_sample(block->format) *
                                (size_t)(is_planar ? 1 : block->ch_layout.nb_channels);
    for (int i = 0; i < planes; i++)
        block->extended_data[i] += (size_t)playing->sample * sample_bytes;
    block->pts +=
        av_rescale_q(playing->sample, (AVRational){1, block->sample_rate}, block->time_base);
    block->nb_samples = count;
}

/* A picture, or a block of sound of `samples`. As playing_publish(). */
static bool publish(struct playing *playing, struct producer *producer, int samples,
                    int64_t capture_ns, int64_t *out_publish_ns) {
    struct shmframe_decoder_counters before, after;
    struct shmframe_loan loan;
    AVFrame *frame = av_frame_clone(playing->item.frame);
    if (!frame)
        program_fail("%s: no memory for a frame", playing->stream->name);
    if (samples)
        cut(playing, frame, samples);
    shmframe_decoder_slots_counters(playing->slots, &before);
    const int result = loan_frame(playing, producer, frame, &loan);
    if (result == 0 && samples) {
        const struct shmframe_rational unit = loan.format->time_base;
        loan.frame.duration = av_rescale_q(samples, (AVRational){1, frame->sample_rate},
                                           (AVRational){unit.num, unit.den});
    }
    av_frame_free(&frame);
    if (result == -EINTR)
        return false;
    if (result == 0) {
        shmframe_decoder_slots_counters(playing->slots, &after);
        finish_loan(playing, &loan, capture_ns, after.copied > before.copied, out_publish_ns);
        if (playing->sample == 0)
            side_data_count(&playing->side_data, playing->item.frame);
    }
    playing->sample += samples;
    if (playing->sample >= playing->item.frame->nb_samples) {
        playing->sample = 0;
        demux_item_finish(&playing->item);
    }
    return result == 0;
}

bool playing_publish(struct playing *playing, struct producer *producer, int64_t capture_ns,
                     int64_t *out_publish_ns) {
    playing->stream->is_discontinuous |= playing->item.is_jump;
    playing->item.is_jump = false;
    if (!change_format(playing))
        return false;
    const int samples = playing->is_sound ? count_samples(playing) : 0;
    return publish(playing, producer, samples, capture_ns, out_publish_ns);
}
