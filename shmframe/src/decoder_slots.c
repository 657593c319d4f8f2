/* Decoder: slots to decode into, and from the decoder to the readers. */
#include "avframe.h"
#include "decoder_shape.h"
#include "error.h"
#include "writer.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <pthread.h>
#include <stdlib.h>

enum lent_state {
    LENT_NOT = 0,
    LENT_OUT = 1,    /* the decoder has it; nothing came out yet */
    LENT_PINNED = 2, /* handed to the caller, who publishes it; the decoder may still read it */
};

enum { ENTRIES = 64 };

/* A slot that a decoder was given. */
struct entry {
    enum lent_state state;
    struct shmframe_loan loan;
    /* Ours: as long as it is there, FFmpeg never takes the slot for its own to write. Decoders that
     * draw into their last picture (gif, cinepak, flashsv, RoQ and others) get it from
     * ff_reget_buffer(), which from FFmpeg 5.1 to 7 hands out a copy in a new buffer unless
     * av_frame_is_writable(), and that is: one reference. All others write only a buffer that
     * they got for the picture in work, before it comes out. When ours is the only one left, the
     * decoder has let go. */
    AVBufferRef *reference;
};

struct shmframe_decoder_slots {
    struct shmframe_writer *writer;
    pthread_mutex_t mutex; /* guards all below */
    struct entry entry[ENTRIES];
    struct decoder_shape shape; /* of the ring of the last loan */
    struct decoder_mould mould;
    struct shmframe_decoder_counters counters;
    /* Their addresses mark buffers from the heap with the reason why they are. */
    char no_slot, other_geometry, too_long;
};

/* Takes back what the decoder has let go of: decoded frames no longer need their pin, frames that
 * it dropped are given back unpublished. */
static void sweep(struct shmframe_decoder_slots *slots) {
    for (struct entry *entry = slots->entry; entry < slots->entry + ENTRIES; entry++) {
        if (entry->state == LENT_NOT || av_buffer_get_ref_count(entry->reference) > 1)
            continue;
        if (entry->state == LENT_PINNED)
            shmframe_writer_unpin(slots->writer, entry->loan.ring, entry->loan.slot);
        else
            shmframe_writer_abandon(slots->writer, &entry->loan);
        av_buffer_unref(&entry->reference);
        entry->state = LENT_NOT;
    }
}

/* An entry for one more slot. One of the writer's loans is never the decoder's: without it, a
 * picture that got no slot could not even be copied. */
static struct entry *find_free_entry(struct shmframe_decoder_slots *slots) {
    struct entry *found = NULL;
    uint32_t used = 1;
    for (struct entry *entry = slots->entry; entry < slots->entry + ENTRIES; entry++)
        if (entry->state != LENT_NOT)
            used++;
        else if (!found)
            found = entry;
    return used < slots->writer->loans ? found : NULL;
}

static const struct decoder_shape *find_shape(struct shmframe_decoder_slots *slots,
                                              const struct shmframe_loan *loan) {
    if (!slots->shape.is_known || slots->shape.ring != loan->ring)
        decoder_shape_init(&slots->shape, loan);
    return &slots->shape;
}

/* The slot's memory belongs to the ring, whoever drops the last reference. */
static void leave_slot(void *opaque, uint8_t *data) {
    (void)opaque;
    (void)data;
}

static void free_heap(void *opaque, uint8_t *data) {
    (void)opaque;
    av_free(data);
}

/* Gives `frame` the loan; takes it. */
static int lend(struct entry *entry, const struct decoder_shape *shape,
                const struct shmframe_loan *loan, AVFrame *frame) {
    AVBufferRef *reference =
        av_buffer_create(loan->data, loan->format->slot_bytes, leave_slot, entry, 0);
    frame->buf[0] = reference ? av_buffer_ref(reference) : NULL;
    if (!frame->buf[0] || decoder_shape_point(shape, loan->data, frame)) {
        av_buffer_unref(&frame->buf[0]);
        av_buffer_unref(&reference);
        return -ENOMEM;
    }
    *entry = (struct entry){.state = LENT_OUT, .loan = *loan, .reference = reference};
    return 0;
}

/* A loan for a decoder. Waits only where the writer has to: for lossless readers, which take what
 * is published meanwhile. The mutex is held on return, and not while waiting. */
static int loan_locked(struct shmframe_decoder_slots *slots, struct shmframe_loan *out_loan) {
    pthread_mutex_lock(&slots->mutex);
    sweep(slots);
    if (!find_free_entry(slots))
        return -EBUSY;
    int result = shmframe_writer_loan(slots->writer, SHMFRAME_NOW, out_loan);
    if (result == -EAGAIN) {
        pthread_mutex_unlock(&slots->mutex);
        result = shmframe_writer_loan(slots->writer, SHMFRAME_FOREVER, out_loan);
        pthread_mutex_lock(&slots->mutex);
    }
    return result;
}

/* Why a frame of the decoder does not go into a slot of that shape; NULL: it does. */
static char *find_obstacle(struct shmframe_decoder_slots *slots, const struct decoder_shape *shape,
                           const struct shmframe_loan *loan, AVCodecContext *codec,
                           const AVFrame *frame) {
    switch (decoder_shape_hold(shape, (uintptr_t)loan->data, codec, frame)) {
    case DECODER_FITS:
        break;
    case DECODER_FITS_NOT:
        return &slots->other_geometry;
    case DECODER_TOO_LONG:
        return &slots->too_long;
    }
    if (codec->codec_type == AVMEDIA_TYPE_VIDEO &&
        (decoder_mould_cast(&slots->mould, shape, codec, frame) ||
         !decoder_mould_has_lines_of(&slots->mould, shape)))
        return &slots->other_geometry;
    return NULL;
}

/* Gives `frame` the loan, or the loan back and returns the mark of the reason. The mutex is held.
 */
static char *lend_loan(struct shmframe_decoder_slots *slots, AVCodecContext *codec,
                       struct shmframe_loan *loan, AVFrame *frame) {
    const struct decoder_shape *const shape = find_shape(slots, loan);
    /* Looked for again: another thread may have been here while this one waited. */
    struct entry *const entry = find_free_entry(slots);
    char *mark = entry ? find_obstacle(slots, shape, loan, codec, frame) : &slots->no_slot;
    if (!mark && lend(entry, shape, loan, frame))
        mark = &slots->no_slot;
    if (mark)
        shmframe_writer_abandon(slots->writer, loan);
    return mark;
}

/* A slot for `frame`: NULL, or the mark of the reason why there is none. */
static char *lend_slot(struct shmframe_decoder_slots *slots, AVCodecContext *codec,
                       AVFrame *frame) {
    struct shmframe_loan loan;
    char *mark = &slots->no_slot;
    if (loan_locked(slots, &loan) == 0)
        mark = lend_loan(slots, codec, &loan, frame);
    pthread_mutex_unlock(&slots->mutex);
    return mark;
}

static int lend_heap_picture(struct shmframe_decoder_slots *slots, AVCodecContext *codec,
                             AVFrame *frame, char *mark) {
    pthread_mutex_lock(&slots->mutex);
    const int result = decoder_mould_cast(&slots->mould, &slots->shape, codec, frame);
    const struct decoder_shape shape = slots->mould.shape;
    pthread_mutex_unlock(&slots->mutex);
    if (result)
        return AVERROR(EINVAL);
    const size_t bytes = shape.format.slot_bytes;
    uint8_t *const memory = av_mallocz(bytes);
    frame->buf[0] = memory ? av_buffer_create(memory, bytes, free_heap, mark, 0) : NULL;
    if (!frame->buf[0]) {
        av_free(memory);
        return AVERROR(ENOMEM);
    }
    return decoder_shape_point(&shape, memory, frame);
}

/* As FFmpeg's own, but for the mark. */
static int lend_heap_sound(AVFrame *frame, char *mark) {
    const int channels = frame->ch_layout.nb_channels;
    const bool is_long = av_sample_fmt_is_planar(frame->format) && channels > AV_NUM_DATA_POINTERS;
    const int bytes =
        av_samples_get_buffer_size(NULL, channels, frame->nb_samples, frame->format, 0);
    uint8_t *const memory = bytes > 0 ? av_mallocz((size_t)bytes) : NULL;
    frame->buf[0] = memory ? av_buffer_create(memory, (size_t)bytes, free_heap, mark, 0) : NULL;
    if (!frame->buf[0]) {
        av_free(memory);
        return AVERROR(ENOMEM);
    }
    frame->extended_data =
        is_long ? av_calloc((size_t)channels, sizeof(*frame->extended_data)) : frame->data;
    if (!frame->extended_data)
        return AVERROR(ENOMEM);
    av_samples_fill_arrays(frame->extended_data, frame->linesize, memory, channels,
                           frame->nb_samples, frame->format, 0);
    for (int i = 0; is_long && i < AV_NUM_DATA_POINTERS; i++)
        frame->data[i] = frame->extended_data[i];
    return 0;
}

static bool takes_slots(const AVCodecContext *codec, const AVFrame *frame) {
    if (!(codec->codec->capabilities & AV_CODEC_CAP_DR1))
        return false;
    if (codec->codec_type == AVMEDIA_TYPE_AUDIO)
        return true;
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(frame->format);
    return !codec->hw_frames_ctx && descriptor && !(descriptor->flags & AV_PIX_FMT_FLAG_HWACCEL);
}

static int get_buffer(AVCodecContext *codec, AVFrame *frame, int flags) {
    struct shmframe_decoder_slots *const slots = codec->opaque;
    if (!takes_slots(codec, frame))
        return avcodec_default_get_buffer2(codec, frame, flags);
    char *const mark = lend_slot(slots, codec, frame);
    if (!mark)
        return 0;
    return codec->codec_type == AVMEDIA_TYPE_AUDIO ? lend_heap_sound(frame, mark)
                                                   : lend_heap_picture(slots, codec, frame, mark);
}

int shmframe_decoder_slots_open(struct shmframe_writer *writer, struct AVCodecContext *codec,
                                struct shmframe_decoder_slots **out_slots) {
    if (codec->codec_type != AVMEDIA_TYPE_VIDEO && codec->codec_type != AVMEDIA_TYPE_AUDIO)
        return error_set(-EINVAL, "only pictures and sound are decoded into slots");
    struct shmframe_decoder_slots *const slots = calloc(1, sizeof *slots);
    if (!slots || pthread_mutex_init(&slots->mutex, NULL)) {
        free(slots);
        return error_set(-ENOMEM, "no memory to lend slots to a decoder");
    }
    slots->writer = writer;
    codec->opaque = slots;
    codec->get_buffer2 = get_buffer;
#if FF_API_THREAD_SAFE_CALLBACKS
    /* Where this exists, decoders with frame threads wait for the caller's thread without it. */
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wdeprecated-declarations\"");
    codec->thread_safe_callbacks = 1;
    _Pragma("GCC diagnostic pop");
#endif
    *out_slots = slots;
    return 0;
}

void shmframe_decoder_slots_close(struct shmframe_decoder_slots *slots) {
    if (!slots)
        return;
    sweep(slots);
    for (struct entry *entry = slots->entry; entry < slots->entry + ENTRIES; entry++) {
        /* Frames that the caller still has: their bytes stay as long as the ring does. */
        if (entry->state == LENT_PINNED)
            shmframe_writer_unpin(slots->writer, entry->loan.ring, entry->loan.slot);
        else if (entry->state == LENT_OUT)
            shmframe_writer_abandon(slots->writer, &entry->loan);
        av_buffer_unref(&entry->reference);
    }
    pthread_mutex_destroy(&slots->mutex);
    free(slots);
}

/* --- From the decoder to the readers ---------------------------------------------------------- */

static struct entry *find_entry(struct shmframe_decoder_slots *slots, const AVFrame *frame) {
    const void *const opaque = frame->buf[0] ? av_buffer_get_opaque(frame->buf[0]) : NULL;
    for (struct entry *entry = slots->entry; entry < slots->entry + ENTRIES; entry++)
        if (entry == opaque && entry->state != LENT_NOT &&
            entry->reference->data == frame->buf[0]->data)
            return entry;
    return NULL;
}

static uint32_t find_newest_ring(struct shmframe_writer *writer) {
    writer_lock(writer);
    const uint32_t ring = writer->ring->id;
    writer_unlock(writer);
    return ring;
}

/* Whether the slot as it is shows the frame where readers look for it. They look in the writer's
 * newest ring, in which the decoder need not have got a slot yet. */
static bool is_in_place(const struct shmframe_decoder_slots *slots, const struct entry *entry,
                        const AVFrame *frame) {
    return entry->loan.ring == slots->shape.ring &&
           entry->loan.ring == find_newest_ring(slots->writer) &&
           decoder_shape_shows(&slots->shape, entry->loan.data, frame);
}

static uint64_t *find_cause(struct shmframe_decoder_slots *slots, const struct entry *entry,
                            const AVFrame *frame) {
    const void *const mark = frame->buf[0] ? av_buffer_get_opaque(frame->buf[0]) : NULL;
    if (entry && frame->nb_samples > 0 && entry->state == LENT_PINNED)
        return &slots->counters.copied_cut; /* its first part was published in place */
    if (entry) {
        return entry->state == LENT_PINNED ? &slots->counters.copied_repeated
                                           : &slots->counters.copied_geometry;
    }
    if (mark == &slots->too_long)
        return &slots->counters.copied_cut;
    if (mark == &slots->no_slot)
        return &slots->counters.copied_no_slot;
    return mark == &slots->other_geometry ? &slots->counters.copied_geometry
                                          : &slots->counters.copied_codec;
}

/* Makes the frame's slot the loan and returns NULL; where that cannot be, returns the counter of
 * the reason. */
static uint64_t *loan_in_place(struct shmframe_decoder_slots *slots, const AVFrame *frame,
                               struct shmframe_loan *out_loan) {
    uint64_t *cause = NULL;
    pthread_mutex_lock(&slots->mutex);
    sweep(slots);
    struct entry *const entry = find_entry(slots, frame);
    if (entry && entry->state == LENT_OUT && is_in_place(slots, entry, frame) &&
        !shmframe_writer_pin(slots->writer, &entry->loan)) {
        entry->state = LENT_PINNED;
        *out_loan = entry->loan;
        slots->counters.in_place++;
    } else {
        cause = find_cause(slots, entry, frame);
    }
    pthread_mutex_unlock(&slots->mutex);
    return cause;
}

int shmframe_decoder_slots_loan(struct shmframe_decoder_slots *slots, const struct AVFrame *frame,
                                int64_t deadline_ns, struct shmframe_loan *out_loan) {
    uint64_t *const cause = loan_in_place(slots, frame, out_loan);
    if (!cause) {
        avframe_take_stamps(out_loan, frame);
        if (frame->nb_samples > 0)
            out_loan->frame.samples = (uint32_t)frame->nb_samples;
        return 0;
    }
    struct shmframe_loan loan;
    int result = shmframe_writer_loan(slots->writer, deadline_ns, &loan);
    if (result)
        return result;
    result = shmframe_loan_copy_avframe(&loan, frame);
    if (result) {
        shmframe_writer_abandon(slots->writer, &loan);
        return result;
    }
    pthread_mutex_lock(&slots->mutex);
    slots->counters.copied++;
    ++*cause;
    pthread_mutex_unlock(&slots->mutex);
    *out_loan = loan;
    return 0;
}

void shmframe_decoder_slots_counters(const struct shmframe_decoder_slots *slots,
                                     struct shmframe_decoder_counters *out_counters) {
    pthread_mutex_t *const mutex = (pthread_mutex_t *)&slots->mutex;
    pthread_mutex_lock(mutex);
    *out_counters = slots->counters;
    pthread_mutex_unlock(mutex);
}
