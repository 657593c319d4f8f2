/* Camera: setting its device up, and setting it up again. */
#include "camera.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
/* How long a camera that compresses may take to its first whole picture. */
#define PROBE_NS (10 * SECOND_NS)

static int choose_mode(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const struct camera_wish *wish = &camera->wish;
    struct camera_modes modes = {0};
    struct camera_choice choice;
    camera_device_read_modes(&camera->device, wish, &modes);
    int result = camera_mode_choose(&modes, wish, &choice, why);
    camera_modes_free(&modes);
    if (result == 0)
        result = camera_device_set_mode(&camera->device, &choice, &camera->picture, why);
    if (result < 0)
        return result;
    memcpy(camera->picture.skip_bytes, camera->skip_bytes, sizeof(camera->skip_bytes));
    camera->is_compressed = camera_pixels_find(camera->picture.fourcc)->is_compressed;
    return 0;
}

int camera_set_up(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    int result = camera_device_set_input(&camera->device, camera->input, why);
    if (result == 0)
        result = camera_settings_apply(&camera->settings, &camera->device, why);
    if (result == 0)
        result = choose_mode(camera, why);
    if (result == -ENODEV)
        snprintf(why, CAMERA_WHY_BYTES, "%s: it is gone", camera->device.path);
    return result;
}

/* Lets the decoder see packets until it knows what they hold. */
static int probe(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const int64_t deadline_ns = shmframe_deadline_ns(PROBE_NS);
    struct camera_queue *queue = &camera->queue;
    int result = camera_codec_open(&camera->codec, &camera->picture, why);
    if (result == 0)
        result = camera_queue_open(queue, &camera->device, CAMERA_IO_MMAP, 1, NULL, why);
    if (result == 0)
        result = camera_queue_start(queue, why);
    while (result == 0 && !camera->codec.is_known) {
        struct camera_taken taken;
        result = camera_queue_take(queue, &taken);
        if (result == 0) {
            camera_codec_probe(&camera->codec, queue->buffer[taken.index].memory[0],
                               taken.used_bytes[0]);
            result = camera_queue_return(queue, taken.index);
        } else if (result == -EAGAIN && shmframe_now_ns() < deadline_ns) {
            const enum producer_wait wait =
                producer_wait_for(&camera->producer, camera->queue.poll_fd, deadline_ns);
            result = wait == PRODUCER_STOP ? -EINTR : 0;
        }
    }
    if (result < 0 && result != -EINTR && !camera->codec.is_known && queue->is_streaming)
        snprintf(why, CAMERA_WHY_BYTES, "%s: nothing of what it sends can be decoded",
                 camera->device.path);
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

int camera_fill_queue(struct camera *camera) {
    struct shmframe_writer *writer = camera->stream->writer;
    while (camera->queue.io == CAMERA_IO_USERPTR && camera->queue.queued < CAMERA_QUEUED) {
        struct shmframe_loan loan;
        int result = shmframe_writer_loan(writer, SHMFRAME_NOW, &loan);
        if (result == -ENOSPC || result == -ENOMEM || result == -EBUSY || result == -EINTR)
            return 0;
        if (result < 0)
            program_fail_call(camera->stream->name);
        result = camera_queue_add(&camera->queue, &loan);
        if (result < 0) {
            shmframe_writer_abandon(writer, &loan);
            return result;
        }
    }
    return 0;
}

static int start_in_place(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    int result = camera_queue_open(&camera->queue, &camera->device, CAMERA_IO_USERPTR,
                                   camera->layout.pieces, &camera->layout, why);
    if (result < 0)
        return result;
    result = camera_fill_queue(camera);
    if (result < 0)
        snprintf(why, CAMERA_WHY_BYTES, "%s: its driver does not take a slot: %s",
                 camera->device.path, strerror(-result));
    else
        result = camera_queue_start(&camera->queue, why);
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
    if (camera->is_compressed) {
        const int result = camera_codec_start(&camera->codec, camera->stream->writer, why);
        return result < 0 ? result : start_copying(camera, why);
    }
    if (is_in_place) {
        const int result = start_in_place(camera, why);
        if (result == 0 || io == CAMERA_IO_USERPTR || result == -ENODEV || result == -EBUSY)
            return result;
        memcpy(camera->copied_why, why, sizeof(camera->copied_why));
    } else if (io == CAMERA_IO_MMAP) {
        snprintf(camera->copied_why, sizeof(camera->copied_why), "--io mmap");
    }
    return start_copying(camera, why);
}

/* Stopping, and going on. */

static void explain_copies(struct camera *camera) {
    if (camera->codec.slots)
        camera_codec_explain_copies(&camera->codec, camera->copied_why);
}

void camera_shut_down(struct camera *camera) {
    camera_queue_close(&camera->queue, camera->stream ? camera->stream->writer : NULL);
    explain_copies(camera);
    camera_codec_close(&camera->codec);
    camera_device_close(&camera->device);
}

static int try_again(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const struct shmframe_format before = camera->format;
    int result = camera_device_find(&camera->device, &camera->identity, camera->path, why);
    if (result == 0)
        result = camera_set_up(camera, why);
    if (result == 0)
        result = camera_find_format(camera, why);
    if (result == 0 && !shmframe_format_is_equal(&before, &camera->format) &&
        !producer_set_format(camera->stream, &camera->format))
        result = -EINTR;
    if (result == 0)
        result = camera_start(camera, why);
    if (result < 0) {
        camera_shut_down(camera);
        camera->format = *shmframe_writer_format(camera->stream->writer);
    }
    return result;
}

bool camera_recover(struct camera *camera) {
    char why[CAMERA_WHY_BYTES] = "", told[CAMERA_WHY_BYTES] = "";
    uint32_t tries = 0;
    camera_shut_down(camera);
    for (;;) {
        const int result = try_again(camera, why);
        if (result == -EINTR)
            return false;
        if (result == 0)
            break;
        if (strcmp(why, told) != 0)
            program_warn("%s: %s; trying again", camera->stream->name, why);
        memcpy(told, why, sizeof(told));
        if (producer_wait_retry(&camera->producer, &tries) == PRODUCER_STOP)
            return false;
    }
    camera->stream->is_discontinuous = true;
    char text[128];
    shmframe_format_describe(&camera->format, text, sizeof(text));
    program_warn("%s: goes on with %s: %s", camera->stream->name, camera->device.path, text);
    return true;
}
