/* Camera: setting its device up, and setting it up again. */
#include "camera.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
/* How long a camera that compresses may take to its first whole picture. */
#define PROBE_NS (10 * SECOND_NS)
/* Drivers tell the same beginning each time; one that does not is copied from. */
enum { MOVES_MAX = 3 };

static int choose_mode(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const struct camera_wish *wish = &camera->wish;
    struct camera_modes modes = {0};
    struct camera_choice choice;
    int result = camera_device_read_modes(&camera->device, wish, &modes);
    if (result < 0)
        snprintf(why, CAMERA_WHY_BYTES, "%s: its formats cannot be read: %s", camera->device.path,
                 strerror(-result));
    else
        result = camera_mode_choose(&modes, wish, &choice, why);
    camera_modes_free(&modes);
    if (result == 0)
        result = camera_device_set_mode(&camera->device, &choice, &camera->picture, why);
    if (result < 0)
        return result;
    memcpy(camera->picture.skip_bytes, camera->skip_bytes, sizeof(camera->skip_bytes));
    camera->is_compressed = camera_pixels_find(camera->picture.fourcc)->is_compressed;
    return 0;
}

/* What the device refuses now, it took before: no reason to do without pictures. */
static int apply_settings(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const int result = camera_settings_apply(&camera->settings, &camera->device, why);
    if (result == 0 || result == -ENODEV || !camera->stream)
        return result;
    if (!camera->is_setting_told)
        program_warn("%s: a control is not as it was: %s", camera->stream->name, why);
    camera->is_setting_told = true;
    return 0;
}

int camera_set_up(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    int result = camera_device_set_input(&camera->device, camera->input, why);
    if (result == 0)
        result = apply_settings(camera, why);
    if (result == 0)
        result = choose_mode(camera, why);
    if (result == -ENODEV)
        snprintf(why, CAMERA_WHY_BYTES, "%s: it is gone", camera->device.path);
    return result;
}

/* The time ends a later setting up; at the first, it has not begun. */
static int64_t find_end_ns(const struct camera *camera) {
    return camera->producer.started_ns ? producer_end_ns(&camera->producer) : SHMFRAME_FOREVER;
}

/* Lets the decoder see the next packet. 0 also if there is none yet. */
static int probe_next(struct camera *camera, int64_t deadline_ns, uint32_t *packets) {
    struct camera_queue *queue = &camera->queue;
    struct camera_taken taken;
    char fault[CAMERA_WHY_BYTES];
    const enum producer_wait wait =
        producer_wait_for(&camera->producer, queue->poll_fd, deadline_ns);
    if (wait == PRODUCER_STOP)
        return -EINTR;
    if (shmframe_now_ns() >= deadline_ns)
        return -ETIMEDOUT;
    if (wait != PRODUCER_READY)
        return 0;
    const int result = camera_queue_take(queue, &taken);
    if (result < 0)
        return result == -EAGAIN ? 0 : result;
    *packets += 1;
    if (!camera_find_fault(camera, &taken, fault))
        camera_codec_probe(&camera->codec,
                           queue->buffer[taken.index].memory[0] + taken.skip_bytes[0],
                           taken.used_bytes[0] - taken.skip_bytes[0]);
    return camera_queue_return(queue, taken.index);
}

static void explain_probe(const struct camera *camera, int result, uint32_t packets,
                          char why[CAMERA_WHY_BYTES]) {
    const char *path = camera->device.path;
    if (result == -ENODEV)
        snprintf(why, CAMERA_WHY_BYTES, "%s: it is gone", path);
    else if (result != -ETIMEDOUT)
        snprintf(why, CAMERA_WHY_BYTES, "%s: it stopped: %s", path, strerror(-result));
    else if (packets)
        snprintf(why, CAMERA_WHY_BYTES, "%s: nothing of what it sends can be decoded: %s", path,
                 camera_codec_words().text);
    else
        snprintf(why, CAMERA_WHY_BYTES, "%s: it sends nothing", path);
}

/* Lets the decoder see packets until it knows what they hold. */
static int probe(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const int64_t probe_ns = shmframe_deadline_ns(PROBE_NS), end_ns = find_end_ns(camera);
    struct camera_queue *queue = &camera->queue;
    uint32_t packets = 0;
    int result = camera_codec_open(&camera->codec, &camera->picture, why);
    if (result == 0)
        result = camera_queue_open(queue, &camera->device, CAMERA_IO_MMAP, 1, NULL, why);
    if (result == 0)
        result = camera_queue_start(queue, why);
    if (result == 0) {
        while (result == 0 && !camera->codec.is_known)
            result = probe_next(camera, probe_ns < end_ns ? probe_ns : end_ns, &packets);
        if (result == -ETIMEDOUT && shmframe_now_ns() >= end_ns)
            result = -EINTR;
        if (result < 0)
            explain_probe(camera, result, packets, why);
    }
    camera_queue_close(queue, NULL);
    return result;
}

int camera_find_format(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    int result;
    if (camera->is_compressed) {
        result = probe(camera, why);
        camera->format = camera->codec.format;
    } else {
        result = camera_format_lay_out(&camera->picture, &camera->layout, why);
        camera->format = camera->layout.format;
    }
    return result;
}

/* Starting. */

bool camera_is_short(const struct camera *camera) {
    return camera->queue.io == CAMERA_IO_USERPTR && camera->queue.queued < CAMERA_QUEUED;
}

int camera_fill_queue(struct camera *camera, bool *out_is_short) {
    struct shmframe_writer *writer = camera->stream->writer;
    while (camera_is_short(camera)) {
        struct shmframe_loan loan;
        int result = shmframe_writer_loan(writer, SHMFRAME_NOW, &loan);
        if (out_is_short)
            *out_is_short = result == -ENOSPC || result == -ENOMEM;
        if (result == -ENOSPC || result == -ENOMEM || result == -EBUSY || result == -EINTR)
            return 0;
        if (result < 0)
            program_fail_call(camera->stream->name);
        result = camera_queue_add(&camera->queue, &loan);
        if (result < 0)
            shmframe_writer_abandon(writer, &loan);
        if (camera->queue.is_refused) {
            camera->is_userptr_refused = true;
            snprintf(camera->copied_why, sizeof(camera->copied_why),
                     "%s: its driver does not take every slot: %s", camera->device.path,
                     strerror(-result));
        }
        if (result < 0)
            return result;
    }
    return 0;
}

/* `out_is_failure` tells what would fail with memory of the driver's own as well. */
static int start_in_place(struct camera *camera, bool *out_is_failure, char why[CAMERA_WHY_BYTES]) {
    int result = camera_queue_open(&camera->queue, &camera->device, CAMERA_IO_USERPTR,
                                   camera->layout.pieces, &camera->layout, why);
    *out_is_failure = result == -ENODEV || result == -EBUSY;
    if (result < 0)
        return result;
    result = camera_fill_queue(camera, NULL);
    if (result < 0) {
        snprintf(why, CAMERA_WHY_BYTES, "%s: its driver does not take a slot: %s",
                 camera->device.path, strerror(-result));
        *out_is_failure = !camera->queue.is_refused;
    } else {
        result = camera_queue_start(&camera->queue, why);
        *out_is_failure = result == -ENODEV || result == -EBUSY || result == -EIO;
    }
    if (result < 0)
        camera_queue_close(&camera->queue, camera->stream->writer);
    return result;
}

static int start_copying(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    int result = camera_queue_open(&camera->queue, &camera->device, CAMERA_IO_MMAP,
                                   camera->is_compressed ? 1 : camera->layout.pieces, NULL, why);
    if (result == 0)
        result = camera_queue_start(&camera->queue, why);
    return result;
}

int camera_start(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const enum camera_io io = camera->io;
    const bool is_in_place =
        io == CAMERA_IO_USERPTR || (io == CAMERA_IO_AUTO && !camera->is_userptr_refused);
    camera_clock_restart(&camera->clock);
    camera->newest_ns = shmframe_now_ns();
    if (camera->is_compressed) {
        const int result = camera_codec_start(&camera->codec, camera->stream->writer, why);
        return result < 0 ? result : start_copying(camera, why);
    }
    if (is_in_place) {
        bool is_failure;
        const int result = start_in_place(camera, &is_failure, why);
        if (result == 0 || io == CAMERA_IO_USERPTR || is_failure)
            return result;
        memcpy(camera->copied_why, why, sizeof(camera->copied_why));
    } else if (io == CAMERA_IO_MMAP) {
        snprintf(camera->copied_why, sizeof(camera->copied_why), "--io mmap");
    }
    return start_copying(camera, why);
}

/* Stopping, and going on. */

void camera_tell(struct camera *camera, const char *why) {
    if (strcmp(why, camera->told) != 0)
        program_warn("%s: %s", camera->stream->name, why);
    snprintf(camera->told, sizeof(camera->told), "%s", why);
}

/* Each connection's decoder has counted its own. */
static void explain_copies(struct camera *camera) {
    char text[CAMERA_WHY_BYTES];
    if (!camera->codec.slots)
        return;
    camera_codec_count_copies(&camera->codec, &camera->copies);
    camera_codec_explain_copies(&camera->copies, text);
    if (text[0])
        memcpy(camera->copied_why, text, sizeof(text));
}

void camera_shut_down(struct camera *camera) {
    camera_queue_close(&camera->queue, camera->stream ? camera->stream->writer : NULL);
    explain_copies(camera);
    camera_codec_close(&camera->codec);
    camera_device_close(&camera->device);
}

/* Finds out the format and begins, with the device set up. */
static int begin(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    int result = camera_find_format(camera, why);
    if (result == 0 &&
        !shmframe_format_is_equal(shmframe_writer_format(camera->stream->writer),
                                  &camera->format) &&
        !producer_set_format(camera->stream, &camera->format))
        result = -EINTR;
    return result == 0 ? camera_start(camera, why) : result;
}

int camera_move(struct camera *camera) {
    char why[CAMERA_WHY_BYTES] = "";
    if (++camera->moves > MOVES_MAX) {
        camera->is_userptr_refused = true;
        snprintf(camera->copied_why, sizeof(camera->copied_why),
                 "%s: its pictures begin elsewhere in their memory again and again",
                 camera->device.path);
    }
    camera_queue_close(&camera->queue, camera->stream->writer);
    memcpy(camera->picture.skip_bytes, camera->skip_bytes, sizeof(camera->skip_bytes));
    if (camera->device.fd < 0)
        snprintf(why, sizeof(why), "%s: it does not stop", camera->device.path);
    const int result = camera->device.fd < 0 ? -EIO : begin(camera, why);
    if (result == 0)
        return 0;
    if (result != -EINTR)
        camera_tell(camera, why);
    return -ECANCELED;
}

static int try_again(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    int result = camera_device_find(&camera->device, &camera->identity, camera->path, why);
    if (result == 0)
        result = camera_set_up(camera, why);
    if (result == 0)
        result = begin(camera, why);
    if (result < 0) {
        camera_shut_down(camera);
        camera->format = *shmframe_writer_format(camera->stream->writer);
    }
    return result;
}

bool camera_recover(struct camera *camera) {
    char why[CAMERA_WHY_BYTES] = "", text[CAMERA_WHY_BYTES + 16];
    camera_shut_down(camera);
    for (;;) {
        /* At once after a picture; not so if it did not come to one. */
        if (camera->is_failing &&
            producer_wait_retry(&camera->producer, &camera->tries) == PRODUCER_STOP)
            return false;
        camera->is_failing = true;
        const int result = try_again(camera, why);
        if (result == -EINTR)
            return false;
        if (result == 0)
            break;
        snprintf(text, sizeof(text), "%s; trying again", why);
        camera_tell(camera, text);
    }
    camera->stream->is_discontinuous = true;
    return true;
}
