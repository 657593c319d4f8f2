#include "lent.h"

#include <errno.h>
#include <shmframe/avframe.h>
#include <stdlib.h>

struct loaned {
    struct lent *lent;
    AVBufferRef *lease;
};

static void give_back(void *opaque, uint8_t *data) {
    (void)data;
    struct loaned *loaned = opaque;
    av_buffer_unref(&loaned->lease);
    atomic_fetch_sub_explicit(&loaned->lent->held, 1, memory_order_relaxed);
    free(loaned);
}

/* Replaces the frame's buffer by one whose end is counted. */
static int count(struct lent *lent, AVFrame *frame) {
    struct loaned *loaned = malloc(sizeof(*loaned));
    AVBufferRef *lease = frame->buf[0];
    AVBufferRef *counted = loaned ? av_buffer_create(lease->data, lease->size, give_back, loaned,
                                                     AV_BUFFER_FLAG_READONLY)
                                  : NULL;
    if (!counted) {
        free(loaned);
        return -ENOMEM;
    }
    *loaned = (struct loaned){.lent = lent, .lease = lease};
    frame->buf[0] = counted;
    const uint32_t held = 1 + atomic_fetch_add_explicit(&lent->held, 1, memory_order_relaxed);
    if (held > lent->held_max)
        lent->held_max = held;
    lent->in_place++;
    return 0;
}

static int copy(struct lent *lent, AVFrame **frame) {
    AVFrame *own = av_frame_alloc();
    const AVFrame *from = *frame;
    if (!own)
        return -ENOMEM;
    own->format = from->format;
    own->width = from->width;
    own->height = from->height;
    own->nb_samples = from->nb_samples;
    own->sample_rate = from->sample_rate;
    if (av_channel_layout_copy(&own->ch_layout, &from->ch_layout) < 0 ||
        av_frame_get_buffer(own, 0) < 0 || av_frame_copy(own, from) < 0 ||
        av_frame_copy_props(own, from) < 0) {
        av_frame_free(&own);
        return -ENOMEM;
    }
    av_frame_free(frame);
    *frame = own;
    lent->copied++;
    return 0;
}

int lent_take(struct lent *lent, struct shmframe_lease *lease, AVFrame **out_frame) {
    AVFrame *frame;
    int result = shmframe_avframe_from_lease(lease, &frame);
    if (result < 0) {
        shmframe_reader_release(lease->reader, lease);
        return result;
    }
    /* One must be left for the next frame. */
    const bool is_spare = atomic_load_explicit(&lent->held, memory_order_relaxed) + 1 < lent->limit;
    result = is_spare ? count(lent, frame) : copy(lent, &frame);
    if (result < 0)
        av_frame_free(&frame);
    else
        *out_frame = frame;
    return result;
}
