/* Camera: from what its driver filled to the frames of its stream. */
#include "camera.h"

#include <errno.h>
#include <shmframe/error.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

static int64_t find_period_ns(const struct camera *camera) {
    const struct shmframe_rational rate = camera->picture.frame_rate;
    return rate.num ? SECOND_NS * rate.den / rate.num : 0;
}

/* Whether all of the picture is there. */
static bool is_whole(const struct camera *camera, const struct camera_taken *taken) {
    if (taken->flags & V4L2_BUF_FLAG_ERROR)
        return false;
    if (camera->is_compressed)
        return taken->used_bytes[0] > taken->skip_bytes[0];
    for (uint32_t i = 0; i < camera->layout.pieces; i++)
        if (taken->used_bytes[i] < camera->layout.needed[i])
            return false;
    return true;
}

static void publish(struct camera *camera, const struct camera_taken *taken, int64_t capture_ns,
                    struct shmframe_loan *loan, bool is_copied) {
    if (!camera->first_ns)
        camera->first_ns = capture_ns;
    loan->frame.capture_ns = capture_ns;
    loan->frame.pts = capture_ns - camera->first_ns;
    loan->frame.duration = find_period_ns(camera);
    if (camera->format.video.field_order && V4L2_FIELD_HAS_BOTH(taken->field))
        loan->frame.flags |= SHMFRAME_INTERLACED;
    producer_tell_dropped(camera->stream, loan);
    producer_publish(camera->stream, loan, is_copied);
}

static int publish_copy(struct camera *camera, const struct camera_taken *taken,
                        int64_t capture_ns) {
    const struct camera_buffer *buffer = &camera->queue.buffer[taken->index];
    struct shmframe_loan loan;
    if (producer_loan(&camera->producer, camera->stream, &loan) == 0) {
        for (uint32_t i = 0; i < camera->layout.pieces; i++) {
            const uint32_t room = camera->layout.bytes[i], used = taken->used_bytes[i];
            memcpy(loan.data + camera->layout.offset[i], buffer->memory[i],
                   used < room ? used : room);
        }
        publish(camera, taken, capture_ns, &loan, true);
    }
    return camera_queue_return(&camera->queue, taken->index);
}

static void refuse_picture(struct camera *camera) {
    if (camera->stream->refused++ == 0)
        program_warn("%s: a picture is dropped: %s", camera->stream->name, shmframe_last_error());
    camera->stream->dropped++;
}

/* Decodes what came; while paused, too, since what comes next may refer to it. */
static int publish_decoded(struct camera *camera, const struct camera_taken *taken,
                           int64_t capture_ns) {
    struct camera_codec *codec = &camera->codec;
    const uint8_t *data = camera->queue.buffer[taken->index].memory[0] + taken->skip_bytes[0];
    if (camera_codec_send(codec, data, taken->used_bytes[0] - taken->skip_bytes[0], capture_ns) < 0)
        producer_count_dropped(camera->stream, 1);
    for (;;) {
        struct shmframe_loan loan;
        bool is_copied;
        const int result = camera_codec_next(codec);
        if (result == -EAGAIN)
            break;
        if (camera->producer.is_paused)
            continue;
        camera->format = codec->format;
        if (result == -ESTALE && !producer_set_format(camera->stream, &camera->format))
            break;
        if (camera_codec_loan(codec, &loan, &is_copied) < 0)
            refuse_picture(camera);
        else
            publish(camera, taken, loan.frame.capture_ns, &loan, is_copied);
    }
    return camera_queue_return(&camera->queue, taken->index);
}

static int publish_slot(struct camera *camera, const struct camera_taken *taken,
                        int64_t capture_ns) {
    struct shmframe_loan loan = camera_queue_take_loan(&camera->queue, taken->index);
    publish(camera, taken, capture_ns, &loan, false);
    const int result = camera_fill_queue(camera);
    if (result == 0 && camera->queue.queued < CAMERA_QUEUED) {
        if (camera->stream->refused++ == 0)
            program_warn("%s: the driver has a slot less: %s", camera->stream->name,
                         shmframe_last_error());
    } else if (result < 0 && result != -ENODEV) {
        camera->is_userptr_refused = true;
        snprintf(camera->copied_why, sizeof(camera->copied_why),
                 "%s: its driver does not take every slot: %s", camera->device.path,
                 strerror(-result));
    }
    return result;
}

/* Where pictures begin in their memory is known only when one came. */
static bool has_moved(struct camera *camera, const struct camera_taken *taken) {
    const size_t bytes = camera->layout.pieces * sizeof(taken->skip_bytes[0]);
    if (camera->is_compressed || !memcmp(camera->skip_bytes, taken->skip_bytes, bytes))
        return false;
    memcpy(camera->skip_bytes, taken->skip_bytes, bytes);
    return true;
}

/* A buffer that came back. Errors: the queue does not go on. */
static int handle(struct camera *camera, const struct camera_taken *taken) {
    const struct camera_instant now = camera_clock_now();
    const bool is_paused = camera->producer.is_paused;
    const int64_t capture_ns = camera_clock_convert(&camera->clock, taken->flags, taken->stamp_ns,
                                                    &now, find_period_ns(camera));
    const uint32_t gap = camera_clock_count_gap(&camera->clock, taken->sequence);
    const bool is_good = is_whole(camera, taken);
    camera->stream->clock_error_ns = camera->clock.error_ns;
    if (!is_paused && gap + !is_good)
        producer_count_dropped(camera->stream, gap + !is_good);
    if (is_good && has_moved(camera, taken))
        return -ESTALE;
    if (is_good && camera->is_compressed)
        return publish_decoded(camera, taken, capture_ns);
    if (!is_good || is_paused)
        return camera_queue_return(&camera->queue, taken->index);
    if (camera->queue.io == CAMERA_IO_MMAP)
        return publish_copy(camera, taken, capture_ns);
    return publish_slot(camera, taken, capture_ns);
}

int camera_serve(struct camera *camera) {
    bool is_first = true;
    if (camera_device_take_change(&camera->device)) {
        program_warn("%s: the signal is another one now", camera->stream->name);
        return -ESTALE;
    }
    while (!producer_has_enough(&camera->producer)) {
        struct camera_taken taken;
        const uint64_t published = camera->stream->in_place + camera->stream->copied;
        int result = camera_queue_take(&camera->queue, &taken);
        if (result == -EAGAIN)
            return 0;
        /* The driver was done with the next one before the last one was published. */
        camera->stream->overdue += result == 0 && !is_first;
        if (result == 0)
            result = handle(camera, &taken);
        if (result < 0) {
            if (result != -ESTALE)
                program_warn("%s: %s: %s", camera->stream->name, camera->device.path,
                             result == -ENODEV ? "it is gone" : strerror(-result));
            return result;
        }
        is_first = published == camera->stream->in_place + camera->stream->copied;
    }
    return 0;
}
