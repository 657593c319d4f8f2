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

static bool attach_slots(struct playing *playing, struct track *track) {
    if (playing->is_sound)
        return true;
    if (shmframe_decoder_slots_open(playing->stream->writer, track->codec, &playing->slots) < 0)
        program_fail_call(playing->stream->name);
    return true;
}

bool playing_open(struct playing *playing, struct producer *producer, const char *name,
                  struct track *track, uint32_t ahead, bool is_live) {
    struct shmframe_writer_params params = {
        .stream = name,
        .group = producer_options.group,
        .format = track->format,
        .flags = is_live ? SHMFRAME_WRITER_LIVE : 0,
    };
    if (!playing->is_sound) {
        /* The frames that are decoded ahead, and the one that is being published. */
        const uint32_t loans = track_loans(track) + ahead + 1;
        params.flags |= SHMFRAME_WRITER_THREADED;
        params.loans = loans < LOANS_MAX ? loans : LOANS_MAX;
        const uint64_t bytes = (params.loans + SLOTS_BESIDE) * track->format.slot_bytes;
        if (bytes > UINT64_C(1) << 30)
            params.ring_bytes = bytes;
    }
    playing->waiting = av_fifo_alloc2(64, sizeof(struct demux_item), AV_FIFO_FLAG_AUTO_GROW);
    if (!playing->waiting)
        program_fail("%s: no memory for its frames", name);
    av_fifo_auto_grow_limit(playing->waiting, SIZE_MAX / sizeof(struct demux_item));
    playing->stream = producer_add(producer, &params);
    if (!playing->stream)
        return false;
    if (playing->is_sound)
        playing->stream->copied_why = "sound is cut into blocks from what the decoder puts out";
    return attach_slots(playing, track);
}

bool playing_attach(struct playing *playing, struct track *track) {
    const struct shmframe_format *format = shmframe_writer_format(playing->stream->writer);
    if (!shmframe_format_is_equal(format, &track->format) &&
        !producer_set_format(playing->stream, &track->format))
        return false;
    return attach_slots(playing, track);
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
    if (!playing->is_sound && playing->stream)
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
    const bool is_set = !playing->pending || producer_set_format(playing->stream, playing->pending);
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

static int refuse_picture(struct playing *playing) {
    struct producer_stream *stream = playing->stream;
    if (stream->refused++ == 0)
        program_warn("%s: a picture is dropped: %s", stream->name, shmframe_last_error());
    stream->dropped++;
    return -EAGAIN;
}

/* A slot with the picture; 0, or -EAGAIN the picture is dropped, -EINTR asked to stop. */
static int loan_picture(struct playing *playing, struct producer *producer,
                        struct shmframe_loan *out_loan) {
    for (;;) {
        const int result = shmframe_decoder_slots_loan(
            playing->slots, playing->item.frame, shmframe_deadline_ns(LOAN_SLICE_NS), out_loan);
        if (result == 0)
            break;
        if (result == -EINVAL || result == -ENOSPC || result == -ENOMEM || result == -EBUSY)
            return refuse_picture(playing);
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

static bool publish_picture(struct playing *playing, struct producer *producer, int64_t capture_ns,
                            int64_t *out_publish_ns) {
    struct shmframe_decoder_counters before, after;
    struct shmframe_loan loan;
    shmframe_decoder_slots_counters(playing->slots, &before);
    const int result = loan_picture(playing, producer, &loan);
    if (result == -EINTR)
        return false;
    if (result == 0) {
        shmframe_decoder_slots_counters(playing->slots, &after);
        finish_loan(playing, &loan, capture_ns, after.copied > before.copied, out_publish_ns);
    }
    demux_item_finish(&playing->item);
    return result == 0;
}

/* Samples of the next block: a frame is cut into equal parts that fit. */
static int count_samples(const struct playing *playing) {
    const int max = (int)shmframe_writer_format(playing->stream->writer)->audio.samples_max;
    const int left = playing->item.frame->nb_samples - playing->sample;
    const int parts = (left + max - 1) / max;
    return (left + parts - 1) / parts;
}

/* Copies `count` samples from the next one on into the loan. */
static int copy_samples(const struct playing *playing, int count, struct shmframe_loan *loan) {
    AVFrame *part = av_frame_clone(playing->item.frame);
    if (!part)
        program_fail("no memory for a block of sound");
    const bool is_planar = av_sample_fmt_is_planar(part->format);
    const int planes = is_planar ? part->ch_layout.nb_channels : 1;
    const size_t sample_bytes = (size_t)av_get_bytes_per_sample(part->format) *
                                (size_t)(is_planar ? 1 : part->ch_layout.nb_channels);
    for (int i = 0; i < planes; i++)
        part->extended_data[i] += (size_t)playing->sample * sample_bytes;
    part->nb_samples = count;
    const int result = shmframe_loan_copy_avframe(loan, part);
    const AVRational rate = {1, part->sample_rate};
    const struct shmframe_rational unit = loan->format->time_base;
    const AVRational to = {unit.num, unit.den};
    loan->frame.pts += av_rescale_q(playing->sample, rate, to);
    loan->frame.duration = av_rescale_q(count, rate, to);
    av_frame_free(&part);
    return result;
}

static bool publish_sound(struct playing *playing, struct producer *producer, int64_t capture_ns,
                          int64_t *out_publish_ns) {
    const int count = count_samples(playing);
    struct shmframe_loan loan;
    const int result = producer_loan(producer, playing->stream, &loan);
    if (result == -EINTR)
        return false;
    if (!playing->item.frame) { /* a seek took the frame away */
        if (result == 0)
            shmframe_writer_abandon(playing->stream->writer, &loan);
        return false;
    }
    if (result == 0) {
        if (copy_samples(playing, count, &loan) < 0)
            program_fail_call(playing->stream->name);
        finish_loan(playing, &loan, capture_ns, true, out_publish_ns);
    }
    playing->sample += count;
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
    return playing->is_sound ? publish_sound(playing, producer, capture_ns, out_publish_ns)
                             : publish_picture(playing, producer, capture_ns, out_publish_ns);
}
