/* Decoder: slots to decode into, and from the decoder to the readers. */
#include "decoder.h"

#include "avframe.h"
#include "error.h"
#include "format.h"
#include "writer.h"

#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <pthread.h>
#include <stdlib.h>

enum lent_state {
    LENT_NOT = 0,
    LENT_OUT = 1,    /* the decoder has it; nothing came out yet */
    LENT_PINNED = 2, /* handed to the caller, who publishes it; the decoder may still read it */
};

enum { ENTRIES = 64, PICTURE_PLANES = 4 };

/* A slot that a decoder was given. */
struct entry {
    enum lent_state state;
    struct shmframe_loan loan;
    /* Ours: as long as it is there, FFmpeg never takes the slot for its own to write. When it is
     * the only one left, the decoder has let go. */
    AVBufferRef *reference;
};

/* What the ring of the last loan looks like to FFmpeg; computed once a ring. */
struct ring_shape {
    bool is_known;
    uint32_t ring;
    enum AVPixelFormat pixel_format;
    struct shmframe_format format; /* a copy: the ring may go */
    uint64_t coded_offset[PICTURE_PLANES];
};

/* The lines of all pictures that the decoder makes of one size. It computes with the present one's
 * in its references too, so that they last until it changes the size. */
struct mould {
    enum AVPixelFormat pixel_format;
    int width, height; /* as the decoder asks for them; 0: none yet */
    struct ring_shape shape;
};

struct shmframe_decoder_slots {
    struct shmframe_writer *writer;
    pthread_mutex_t mutex; /* guards all below */
    struct entry entry[ENTRIES];
    struct ring_shape shape;
    struct mould mould;
    struct shmframe_decoder_counters counters;
    /* Their addresses mark buffers from the heap with the reason why they are. */
    char no_slot, other_geometry;
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

static const struct ring_shape *find_shape(struct shmframe_decoder_slots *slots,
                                           const struct shmframe_loan *loan) {
    struct ring_shape *const shape = &slots->shape;
    if (!shape->is_known || shape->ring != loan->ring) {
        *shape = (struct ring_shape){
            .is_known = true,
            .ring = loan->ring,
            .format = *loan->format,
            .pixel_format = loan->format->kind == SHMFRAME_VIDEO
                                ? av_get_pix_fmt(loan->format->video.pixel_format)
                                : AV_PIX_FMT_NONE,
        };
        for (uint32_t i = 0; i < loan->format->plane_count && i < PICTURE_PLANES; i++)
            shape->coded_offset[i] = format_coded_offset(loan->format, i);
    }
    return shape;
}

/* Whether the picture that the decoder is about to make finds its place and alignment in memory of
 * that shape which begins at `base`. */
static bool can_hold(const struct ring_shape *shape, uintptr_t base, AVCodecContext *codec,
                     const AVFrame *frame) {
    const struct shmframe_video_format *const video = &shape->format.video;
    int width = frame->width, height = frame->height, lines[4] = {0};
    int line_align[AV_NUM_DATA_POINTERS];
    avcodec_align_dimensions2(codec, &width, &height, line_align);
    if (frame->format != shape->pixel_format || width > (int)format_coded_width(video) ||
        height > (int)format_coded_height(video) ||
        av_image_fill_linesizes(lines, frame->format, width) < 0)
        return false;
    for (uint32_t i = 0; i < shape->format.plane_count; i++) {
        const uint32_t align = line_align[i] > 0 ? (uint32_t)line_align[i] : 1;
        const uint32_t line_bytes = shape->format.plane[i].line_bytes;
        if (lines[i] > (int)line_bytes || line_bytes % align ||
            (base + shape->coded_offset[i]) % align)
            return false;
    }
    return true;
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

static void point_planes(AVFrame *frame, uint8_t *base, const struct shmframe_format *format,
                         const uint64_t offset[PICTURE_PLANES]) {
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(frame->format);
    for (uint32_t i = 0; i < format->plane_count && i < PICTURE_PLANES; i++) {
        const bool is_palette = i == 1 && (descriptor->flags & AV_PIX_FMT_FLAG_PAL);
        frame->data[i] = base + offset[i];
        frame->linesize[i] = is_palette ? 0 : (int)format->plane[i].line_bytes;
    }
    frame->extended_data = frame->data;
}

/* Gives `frame` the loan; takes it. */
static int lend(struct entry *entry, const struct ring_shape *shape,
                const struct shmframe_loan *loan, AVFrame *frame) {
    AVBufferRef *reference =
        av_buffer_create(loan->data, loan->format->slot_bytes, leave_slot, entry, 0);
    frame->buf[0] = reference ? av_buffer_ref(reference) : NULL;
    if (!frame->buf[0]) {
        av_buffer_unref(&reference);
        return -ENOMEM;
    }
    point_planes(frame, loan->data, loan->format, shape->coded_offset);
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

/* The shape that fits what the decoder asks for. */
static int plan_shape(AVCodecContext *codec, const AVFrame *frame, struct ring_shape *out_shape) {
    struct ring_shape shape = {.is_known = true, .pixel_format = frame->format};
    int width = frame->width, height = frame->height;
    decoder_find_coded_size(codec, frame->format, &width, &height);
    const int result = shmframe_format_video(&shape.format, av_get_pix_fmt_name(frame->format),
                                             (uint32_t)width, (uint32_t)height);
    if (result)
        return result;
    for (uint32_t i = 0; i < shape.format.plane_count && i < PICTURE_PLANES; i++)
        shape.coded_offset[i] = shape.format.plane[i].offset;
    *out_shape = shape;
    return 0;
}

/* Settles the lines for pictures of a size that is new: the ring's where it is for them, otherwise
 * those that a ring for them would have. The mutex is held. */
static int cast_mould(struct shmframe_decoder_slots *slots, AVCodecContext *codec,
                      const AVFrame *frame) {
    struct mould *const mould = &slots->mould;
    const struct ring_shape *const shape = &slots->shape;
    const struct shmframe_video_format *const video = &shape->format.video;
    if (frame->format == mould->pixel_format && frame->width == mould->width &&
        frame->height == mould->height)
        return 0;
    if (shape->is_known && codec->width == (int)video->width &&
        codec->height == (int)video->height && can_hold(shape, 0, codec, frame)) {
        mould->shape = *shape;
    } else {
        const int result = plan_shape(codec, frame, &mould->shape);
        if (result)
            return result;
    }
    mould->pixel_format = frame->format;
    mould->width = frame->width;
    mould->height = frame->height;
    return 0;
}

static bool has_lines_of(const struct ring_shape *shape, const struct mould *mould) {
    for (uint32_t i = 0; i < shape->format.plane_count; i++)
        if (shape->format.plane[i].line_bytes != mould->shape.format.plane[i].line_bytes)
            return false;
    return true;
}

/* Gives `frame` the loan, or the loan back. The mutex is held. */
static int lend_loan(struct shmframe_decoder_slots *slots, AVCodecContext *codec,
                     struct shmframe_loan *loan, AVFrame *frame) {
    const struct ring_shape *const shape = find_shape(slots, loan);
    /* Looked for again: another thread may have been here while this one waited. */
    struct entry *const entry = find_free_entry(slots);
    int result = cast_mould(slots, codec, frame);
    if (!result && !entry)
        result = -EBUSY;
    if (!result && (!can_hold(shape, (uintptr_t)loan->data, codec, frame) ||
                    !has_lines_of(shape, &slots->mould)))
        result = -EINVAL;
    if (!result)
        result = lend(entry, shape, loan, frame);
    if (result)
        shmframe_writer_abandon(slots->writer, loan);
    return result;
}

/* A slot for `frame`; -EINVAL the ring's pictures are of another geometry, anything else: no slot.
 */
static int lend_slot(struct shmframe_decoder_slots *slots, AVCodecContext *codec, AVFrame *frame) {
    struct shmframe_loan loan;
    int result = loan_locked(slots, &loan);
    if (!result)
        result = lend_loan(slots, codec, &loan, frame);
    else if (result == -EINVAL)
        result = -ENOSPC;
    pthread_mutex_unlock(&slots->mutex);
    return result;
}

static int lend_heap(struct shmframe_decoder_slots *slots, AVCodecContext *codec, AVFrame *frame,
                     char *mark) {
    pthread_mutex_lock(&slots->mutex);
    const int result = cast_mould(slots, codec, frame);
    const struct ring_shape shape = slots->mould.shape;
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
    point_planes(frame, memory, &shape.format, shape.coded_offset);
    return 0;
}

static int get_buffer(AVCodecContext *codec, AVFrame *frame, int flags) {
    struct shmframe_decoder_slots *const slots = codec->opaque;
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(frame->format);
    if (!(codec->codec->capabilities & AV_CODEC_CAP_DR1) || codec->hw_frames_ctx || !descriptor ||
        (descriptor->flags & AV_PIX_FMT_FLAG_HWACCEL))
        return avcodec_default_get_buffer2(codec, frame, flags);
    const int result = lend_slot(slots, codec, frame);
    if (!result)
        return 0;
    return lend_heap(slots, codec, frame,
                     result == -EINVAL ? &slots->other_geometry : &slots->no_slot);
}

int shmframe_decoder_slots_open(struct shmframe_writer *writer, struct AVCodecContext *codec,
                                struct shmframe_decoder_slots **out_slots) {
    if (codec->codec_type != AVMEDIA_TYPE_VIDEO) {
        return error_set(-EINVAL, "only pictures are decoded into slots: copy sound with "
                                  "shmframe_loan_copy_avframe()");
    }
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

/* Whether the slot as it is shows the picture where readers look for it. */
static bool is_in_place(const struct shmframe_decoder_slots *slots, const struct entry *entry,
                        const AVFrame *frame) {
    const struct shmframe_loan *const loan = &entry->loan;
    const struct shmframe_video_format *const video = &loan->format->video;
    if (loan->ring != slots->shape.ring || frame->format != slots->shape.pixel_format ||
        frame->width != (int)video->width || frame->height != (int)video->height ||
        frame->crop_left || frame->crop_top || frame->crop_right || frame->crop_bottom)
        return false;
    for (uint32_t i = 0; i < loan->format->plane_count; i++) {
        const bool is_line = loan->format->plane[i].rows > 1;
        if (frame->data[i] != loan->data + loan->format->plane[i].offset ||
            (is_line && frame->linesize[i] != (int)loan->format->plane[i].line_bytes))
            return false;
    }
    return true;
}

static uint64_t *find_cause(struct shmframe_decoder_slots *slots, const struct entry *entry,
                            const AVFrame *frame) {
    const void *const mark = frame->buf[0] ? av_buffer_get_opaque(frame->buf[0]) : NULL;
    if (entry) {
        return entry->state == LENT_PINNED ? &slots->counters.copied_repeated
                                           : &slots->counters.copied_geometry;
    }
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
