/* Camera: from what its driver filled to the frames of its stream. */
#include "camera.h"

#include <errno.h>
#include <shmframe/error.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

static int64_t find_period_ns(const struct camera *camera) {
    const struct shmframe_rational rate = camera->picture.frame_rate;
    return rate.num ? SECOND_NS * rate.den / rate.num : 0;
}

bool camera_find_fault(const struct camera *camera, const struct camera_taken *taken,
                       char why[CAMERA_WHY_BYTES]) {
    if (taken->flags & V4L2_BUF_FLAG_ERROR) {
        snprintf(why, CAMERA_WHY_BYTES, "its driver calls it bad");
        return true;
    }
    if (taken->is_impossible) {
        snprintf(why, CAMERA_WHY_BYTES, "its driver tells %u bytes from byte %u, more than it has",
                 taken->used_bytes[0], taken->skip_bytes[0]);
        return true;
    }
    if (camera->is_compressed) {
        snprintf(why, CAMERA_WHY_BYTES, "it is empty");
        return taken->used_bytes[0] <= taken->skip_bytes[0];
    }
    for (uint32_t i = 0; i < camera->layout.pieces; i++) {
        const uint32_t used = taken->used_bytes[i] - taken->skip_bytes[i];
        const uint32_t needed = camera->layout.needed[i] - camera->skip_bytes[i];
        if (used < needed) {
            snprintf(why, CAMERA_WHY_BYTES, "%u bytes came, of %u", used, needed);
            return true;
        }
    }
    return false;
}

static bool is_good(struct camera *camera, const struct camera_taken *taken) {
    char why[CAMERA_WHY_BYTES];
    if (!camera_find_fault(camera, taken, why))
        return true;
    if (!camera->is_bad_told)
        program_warn("%s: a picture is dropped: %s", camera->stream->name, why);
    camera->is_bad_told = true;
    return false;
}

/* The device works, again if it had failed. */
static void note_success(struct camera *camera) {
    if (!camera->is_failing)
        return;
    char text[128];
    shmframe_format_describe(&camera->format, text, sizeof(text));
    program_warn("%s: goes on with %s: %s", camera->stream->name, camera->device.path, text);
    camera->is_failing = false;
    camera->tries = 0;
    camera->told[0] = 0;
}

static uint32_t find_field_flags(const struct camera *camera, const struct camera_taken *taken) {
    const uint32_t order = camera->format.video.field_order;
    if (!order || !V4L2_FIELD_HAS_BOTH(taken->field))
        return 0;
    return SHMFRAME_INTERLACED | (order == SHMFRAME_TOP_FIRST ? SHMFRAME_TOP_FIELD_FIRST : 0u);
}

static void publish(struct camera *camera, const struct camera_taken *taken, int64_t capture_ns,
                    struct shmframe_loan *loan, bool is_copied) {
    note_success(camera);
    if (!camera->first_ns)
        camera->first_ns = capture_ns;
    loan->frame.capture_ns = capture_ns;
    loan->frame.pts = capture_ns - camera->first_ns;
    loan->frame.duration = find_period_ns(camera);
    loan->frame.flags |= find_field_flags(camera, taken);
    producer_tell_dropped(camera->stream, loan);
    producer_publish(camera->stream, loan, is_copied);
}

static int publish_copy(struct camera *camera, const struct camera_taken *taken,
                        int64_t capture_ns) {
    const struct camera_buffer *buffer = &camera->queue.buffer[taken->index];
    struct shmframe_loan loan;
    if (producer_loan(&camera->producer, camera->stream, &loan) == 0) {
        for (uint32_t i = 0; i < camera->layout.pieces; i++) {
            const uint32_t room = camera->layout.bytes[i] - camera->skip_bytes[i];
            const uint32_t used = taken->used_bytes[i] - taken->skip_bytes[i];
            memcpy(loan.data + camera->layout.offset[i] + camera->skip_bytes[i],
                   buffer->memory[i] + taken->skip_bytes[i], used < room ? used : room);
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

static void count_undecoded(struct camera *camera) {
    const struct camera_codec_words words = camera_codec_words();
    if (!camera->is_undecoded_told)
        program_warn("%s: a picture is dropped, it cannot be decoded: %s", camera->stream->name,
                     words.text);
    camera->is_undecoded_told = true;
    if (!camera->producer.is_paused)
        producer_count_dropped(camera->stream, 1);
}

/* A picture that was decoded. False: asked to stop. */
static bool publish_picture(struct camera *camera, const struct camera_taken *taken) {
    const struct camera_codec *codec = &camera->codec;
    struct shmframe_loan loan;
    bool is_copied;
    /* Its format may have become another one while paused. */
    camera->format = codec->format;
    if (!shmframe_format_is_equal(&camera->format,
                                  shmframe_writer_format(camera->stream->writer)) &&
        !producer_set_format(camera->stream, &camera->format))
        return false;
    if (camera_codec_loan(&camera->codec, &loan, &is_copied) < 0)
        refuse_picture(camera);
    else
        publish(camera, taken, loan.frame.capture_ns, &loan, is_copied);
    return true;
}

/* Decodes what came; while paused, too, since what comes next may refer to it. */
static int publish_decoded(struct camera *camera, const struct camera_taken *taken,
                           int64_t capture_ns) {
    struct camera_codec *codec = &camera->codec;
    const uint8_t *data = camera->queue.buffer[taken->index].memory[0] + taken->skip_bytes[0];
    if (camera_codec_send(codec, data, taken->used_bytes[0] - taken->skip_bytes[0], capture_ns) < 0)
        count_undecoded(camera);
    for (bool goes_on = true; goes_on;) {
        const int result = camera_codec_next(codec);
        if (result == -EAGAIN)
            break;
        if (result == -EBADMSG)
            count_undecoded(camera);
        else if (camera->producer.is_paused)
            note_success(camera);
        else
            goes_on = publish_picture(camera, taken);
    }
    return camera_queue_return(&camera->queue, taken->index);
}

static int publish_slot(struct camera *camera, const struct camera_taken *taken,
                        int64_t capture_ns) {
    struct shmframe_loan loan = camera_queue_take_loan(&camera->queue, taken->index);
    publish(camera, taken, capture_ns, &loan, false);
    bool is_short = false;
    const int result = camera_fill_queue(camera, &is_short);
    if (is_short && camera->stream->refused++ == 0)
        program_warn("%s: the driver has a slot less: %s", camera->stream->name,
                     shmframe_last_error());
    return result;
}

/* Where pictures begin in a slot is known only when one came. From the driver's own memory they are
 * copied to where they belong. */
static bool has_moved(const struct camera *camera, const struct camera_taken *taken) {
    const size_t bytes = camera->layout.pieces * sizeof(taken->skip_bytes[0]);
    return !camera->is_compressed && camera->queue.io == CAMERA_IO_USERPTR &&
           memcmp(camera->skip_bytes, taken->skip_bytes, bytes) != 0;
}

static int follow(struct camera *camera, const struct camera_taken *taken) {
    if (!camera->producer.is_paused)
        producer_count_dropped(camera->stream, 1);
    memcpy(camera->skip_bytes, taken->skip_bytes, sizeof(camera->skip_bytes));
    return camera_move(camera);
}

/* A buffer that came back. Errors: the queue does not go on. */
static int handle(struct camera *camera, const struct camera_taken *taken) {
    const struct camera_instant now = camera_clock_now();
    const bool is_paused = camera->producer.is_paused;
    const int64_t capture_ns = camera_clock_convert(&camera->clock, taken->flags, taken->stamp_ns,
                                                    &now, find_period_ns(camera));
    const uint32_t gap = camera_clock_count_gap(&camera->clock, taken->sequence);
    const bool is_bad = !is_good(camera, taken);
    camera->stream->clock_error_ns = camera->clock.error_ns;
    camera->newest_ns = now.monotonic_ns;
    if (!is_paused && gap + is_bad)
        producer_count_dropped(camera->stream, gap + is_bad);
    if (!is_bad && has_moved(camera, taken))
        return follow(camera, taken);
    if (!is_bad && camera->is_compressed)
        return publish_decoded(camera, taken, capture_ns);
    if (!is_bad && is_paused)
        note_success(camera);
    if (is_bad || is_paused)
        return camera_queue_return(&camera->queue, taken->index);
    if (camera->queue.io == CAMERA_IO_MMAP)
        return publish_copy(camera, taken, capture_ns);
    return publish_slot(camera, taken, capture_ns);
}

/* While the device is faster than this program, requests, signals and the device's events count
 * between its pictures. */
static int look_around(struct camera *camera) {
    if (producer_wait_for(&camera->producer, -1, SHMFRAME_NOW) == PRODUCER_STOP)
        return -EINTR;
    return camera_device_take_change(&camera->device) ? -ESTALE : 0;
}

/* Takes a picture, if there is one, and publishes it. */
static int serve_one(struct camera *camera, bool is_behind, bool is_overdue) {
    struct camera_taken taken;
    int result = camera_queue_take(&camera->queue, &taken);
    if (result == 0) {
        camera->stream->overdue += is_overdue;
        result = is_behind ? look_around(camera) : 0;
        return result < 0 || producer_is_over(&camera->producer) ? result : handle(camera, &taken);
    }
    return result;
}

int camera_serve(struct camera *camera) {
    const struct producer_stream *stream = camera->stream;
    bool is_overdue = false;
    int result = camera_device_take_change(&camera->device) ? -ESTALE : 0;
    for (bool is_behind = false; result == 0; is_behind = true) {
        const uint64_t published = stream->in_place + stream->copied;
        if (producer_is_over(&camera->producer))
            return 0;
        result = serve_one(camera, is_behind, is_overdue);
        /* The driver was done with the next one before this one was published. */
        is_overdue = published != stream->in_place + stream->copied;
    }
    if (result == -EAGAIN || result == -EINTR)
        return 0;
    if (result == -ECANCELED) /* told already */
        return result;
    char why[CAMERA_WHY_BYTES];
    snprintf(why, sizeof(why), "%s: %s", camera->device.path,
             result == -ENODEV   ? "it is gone"
             : result == -ESTALE ? "the signal is another one now"
                                 : strerror(-result));
    camera_tell(camera, why);
    return result;
}
