/* shmframe-camera: a V4L2 device whose driver fills the slots that are read.
 *
 * The driver has some slots on loan at once; each that it filled is published, and another one
 * takes its place. Where it takes no memory but its own, pictures are copied; where it compresses
 * them, they are decoded into slots. A device that goes away, stops, or has another signal is
 * looked for and set up again, and the stream goes on.
 */
#include "camera_clock.h"
#include "camera_codec.h"
#include "camera_list.h"
#include "camera_queue.h"
#include "camera_setting.h"
#include "producer.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
/* How long a camera that compresses may take to its first whole picture. */
#define PROBE_NS (10 * SECOND_NS)
/* When a slot is looked for again, while the driver has none. */
#define NO_SLOT_NS (SECOND_NS / 100)

/* Slots that the driver has: one that it fills, and some while we do not run. */
enum { QUEUED = 4 };

static struct {
    const char *device, *pixel_format, *io;
    uint32_t size[2];
    struct shmframe_rational rate;
    uint32_t input;
    struct option_list controls;
} options = {.io = "auto", .input = UINT32_MAX};

static const struct option_spec specs[] = {
    {"device", 'D', OPTION_TEXT, &options.device, "PATH",
     "such as /dev/video0; default: the first one that captures"},
    {"size", 'S', OPTION_SIZE, options.size, "WxH", "size of the picture; default: the largest"},
    {"rate", 'r', OPTION_RATIONAL, &options.rate, "RATE",
     "pictures a second; default: 30, or what comes nearest"},
    {"pixel-format", 'p', OPTION_TEXT, &options.pixel_format, "NAME",
     "as libavutil names it, or mjpeg, h264, hevc; default: raw if that is as large and fast"},
    {"input", 'i', OPTION_COUNT, &options.input, "NUMBER", "of the device, see --list"},
    {"control", 'c', OPTION_LIST, &options.controls, "NAME=VALUE",
     "set a control, see --list; may be given several times"},
    {"io", 0, OPTION_TEXT, &options.io, "auto|userptr|mmap",
     "whose memory the driver fills: the slot, or its own; default: the slot if it can"},
    {0},
};

static const struct program program = {
    .name = "shmframe-camera",
    .purpose = "Streams the pictures of a V4L2 device as NAME (camera).",
    .notes = "Requests (shmframe ask NAME VERB): pause, resume, quit, set CONTROL VALUE,\n"
             "get CONTROL, controls [PREFIX].",
    .options = specs,
    .options2 = producer_option_specs,
};

struct camera {
    struct producer producer;
    struct producer_stream *stream;
    struct camera_device device;
    struct camera_identity identity;
    struct camera_settings settings;
    struct camera_picture picture;
    struct camera_layout layout;   /* of raw pictures */
    struct shmframe_format format; /* of what is published */
    uint32_t skip_bytes[CAMERA_PLANES_MAX];
    bool is_compressed;
    bool is_userptr_refused; /* of some slot's memory */
    bool is_running;
    struct camera_codec codec;
    struct camera_queue queue;
    struct camera_clock clock;
    int64_t first_ns; /* captured first; 0: none yet */
    char copied_why[CAMERA_WHY_BYTES];
};

/* Options. */

static enum camera_io parse_io(void) {
    static const struct {
        const char *name;
        enum camera_io io;
    } ways[] = {{"auto", CAMERA_IO_AUTO}, {"userptr", CAMERA_IO_USERPTR}, {"mmap", CAMERA_IO_MMAP}};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(options.io, ways[i].name) == 0)
            return ways[i].io;
    program_fail_usage("--io: \"%s\" should be auto, userptr or mmap", options.io);
}

static void check_options(struct camera *camera) {
    parse_io();
    if (!options.size[0] != !options.size[1])
        program_fail_usage("--size: \"%ux%u\" has no pixels", options.size[0], options.size[1]);
    if (options.rate.den && !options.rate.num)
        program_fail_usage("--rate should be above 0");
    if (options.pixel_format && !camera_pixels_is_name(options.pixel_format))
        program_fail_usage("--pixel-format: \"%s\" is none that cameras have, or this FFmpeg knows",
                           options.pixel_format);
    for (uint32_t i = 0; i < options.controls.count; i++) {
        char name[SHMFRAME_ARGUMENT_BYTES];
        const char *text = options.controls.text[i], *equals = strchr(text, '=');
        if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name) ||
            strlen(equals + 1) >= SHMFRAME_ARGUMENT_BYTES)
            program_fail_usage("--control: \"%s\" should be NAME=VALUE", text);
        snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
        camera_settings_keep(&camera->settings, name, equals + 1);
    }
}

static struct camera_wish find_wish(void) {
    return (struct camera_wish){.width = options.size[0],
                                .height = options.size[1],
                                .rate = options.rate,
                                .pixel_format = options.pixel_format};
}

/* Setting up. */

static int choose_mode(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const struct camera_wish wish = find_wish();
    struct camera_modes modes = {0};
    struct camera_choice choice;
    camera_device_read_modes(&camera->device, &wish, &modes);
    int result = camera_mode_choose(&modes, &wish, &choice, why);
    camera_modes_free(&modes);
    if (result == 0)
        result = camera_device_set_mode(&camera->device, &choice, &camera->picture, why);
    if (result < 0)
        return result;
    memcpy(camera->picture.skip_bytes, camera->skip_bytes, sizeof(camera->skip_bytes));
    camera->is_compressed = camera_pixels_find(camera->picture.fourcc)->is_compressed;
    return 0;
}

/* Sets the device up, which is open. */
static int set_up(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const int32_t input = options.input == UINT32_MAX ? -1 : (int32_t)options.input;
    int result = camera_device_set_input(&camera->device, input, why);
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

static int find_format(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
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

/* Lends the driver slots. Errors: it refuses their memory. Without a free slot it has fewer. */
static int fill_queue(struct camera *camera) {
    struct shmframe_writer *writer = camera->stream->writer;
    while (camera->queue.io == CAMERA_IO_USERPTR && camera->queue.queued < QUEUED) {
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
    result = fill_queue(camera);
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

static int start(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const enum camera_io io = parse_io();
    int result;
    camera_clock_restart(&camera->clock);
    if (camera->is_compressed) {
        result = camera_codec_start(&camera->codec, camera->stream->writer, why);
    } else if (io == CAMERA_IO_MMAP) {
        snprintf(camera->copied_why, sizeof(camera->copied_why), "--io mmap");
        result = 0;
    } else if (io == CAMERA_IO_USERPTR || !camera->is_userptr_refused) {
        result = start_in_place(camera, why);
        if (result == 0 || io == CAMERA_IO_USERPTR || result == -ENODEV || result == -EBUSY) {
            camera->is_running = result == 0;
            return result;
        }
        memcpy(camera->copied_why, why, sizeof(camera->copied_why));
        result = 0;
    } else {
        result = 0;
    }
    if (result == 0)
        result = start_copying(camera, why);
    camera->is_running = result == 0;
    return result;
}

/* Stopping, and going on. */

static void explain_copies(struct camera *camera) {
    if (camera->codec.slots)
        camera_codec_explain_copies(&camera->codec, camera->copied_why);
}

/* Everything that belongs to the device, which may be gone. */
static void shut_down(struct camera *camera) {
    camera->is_running = false;
    camera_queue_close(&camera->queue, camera->stream ? camera->stream->writer : NULL);
    explain_copies(camera);
    camera_codec_close(&camera->codec);
    camera_device_close(&camera->device);
}

static int try_again(struct camera *camera, char why[CAMERA_WHY_BYTES]) {
    const struct shmframe_format before = camera->format;
    int result = camera_device_find(&camera->device, &camera->identity, options.device, why);
    if (result == 0)
        result = set_up(camera, why);
    if (result == 0)
        result = find_format(camera, why);
    if (result == 0 && !shmframe_format_is_equal(&before, &camera->format) &&
        !producer_set_format(camera->stream, &camera->format))
        result = -EINTR;
    if (result == 0)
        result = start(camera, why);
    if (result < 0) {
        shut_down(camera);
        camera->format = *shmframe_writer_format(camera->stream->writer);
    }
    return result;
}

/* Sets the device up anew, as soon as it is there. False: asked to stop, or the time is over. */
static bool recover(struct camera *camera) {
    char why[CAMERA_WHY_BYTES], told[CAMERA_WHY_BYTES] = "";
    uint32_t tries = 0;
    shut_down(camera);
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

/* Frames. */

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
    const int result = fill_queue(camera);
    if (result == 0 && camera->queue.queued < QUEUED) {
        if (camera->stream->refused++ == 0)
            program_warn("%s: the driver has a slot less: %s", camera->stream->name,
                         shmframe_last_error());
    } else if (result < 0 && result != -ENODEV) {
        camera->is_userptr_refused = true;
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

/* Takes what is there. Errors: the device must be set up again. */
static int serve(struct camera *camera) {
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

static void run_camera(struct camera *camera) {
    while (!producer_is_over(&camera->producer)) {
        const bool is_waiting = camera->queue.queued > 0;
        int64_t deadline_ns = producer_end_ns(&camera->producer);
        const int64_t slot_ns = shmframe_deadline_ns(NO_SLOT_NS);
        if (!is_waiting && slot_ns < deadline_ns)
            deadline_ns = slot_ns;
        const enum producer_wait wait = producer_wait_for(
            &camera->producer, is_waiting ? camera->queue.poll_fd : -1, deadline_ns);
        if (wait == PRODUCER_STOP)
            return;
        int result = wait == PRODUCER_READY ? serve(camera) : 0;
        if (result == 0)
            result = fill_queue(camera);
        if (result < 0 && !recover(camera))
            return;
    }
}

/* Requests. */

static int run_set(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    struct camera *camera = user;
    return camera_setting_run_set(&camera->settings, &camera->device, argument, answer);
}

static int run_get(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    const struct camera *camera = user;
    return camera_setting_run_get(&camera->device, argument, answer);
}

static int run_controls(void *user, const char *argument, char answer[SHMFRAME_ARGUMENT_BYTES]) {
    const struct camera *camera = user;
    return camera_setting_run_controls(&camera->device, argument, answer);
}

static const struct producer_verb verbs[] = {
    {"set", run_set}, {"get", run_get}, {"controls", run_controls}, {0}};

/* Life. */

/* What the device does not offer was asked for in vain; anything else is a failure. */
_Noreturn static void fail(int result, const char *why) {
    if (result == -ENOTSUP || result == -EINVAL || result == -ENOENT || result == -ERANGE)
        program_fail_usage("%s", why);
    program_fail("%s", why);
}

static void open_camera(struct camera *camera) {
    char why[CAMERA_WHY_BYTES] = "";
    int result = options.device ? camera_device_open(&camera->device, options.device, why)
                                : camera_device_open_first(&camera->device, why);
    if (result < 0)
        program_fail("%s", why);
    camera->identity = camera->device.identity;
    result = set_up(camera, why);
    if (result < 0)
        fail(result, why);
}

static bool open_stream(struct camera *camera) {
    char why[CAMERA_WHY_BYTES] = "";
    const int result = find_format(camera, why);
    if (result == -EINTR)
        return false;
    if (result < 0)
        program_fail("%s", why);
    const struct shmframe_writer_params params = {
        .stream = producer_options.stream,
        .group = producer_options.group,
        .format = camera->format,
        .flags = SHMFRAME_WRITER_LIVE | (camera->is_compressed ? SHMFRAME_WRITER_THREADED : 0u),
        .loans = camera->is_compressed ? camera->codec.loans : QUEUED + 1,
    };
    camera->stream = producer_add(&camera->producer, &params);
    if (camera->stream)
        camera->stream->copied_why = camera->copied_why;
    return camera->stream;
}

int main(int argc, char **argv) {
    static struct camera camera;
    char why[CAMERA_WHY_BYTES] = "";
    camera.device = camera_device_none;
    producer_options.stream = "camera";
    program_start(&program, argc, argv);
    producer_check_options();
    if (producer_options.is_listing)
        return camera_list(options.device,
                           report_format_parse(producer_options.format) == REPORT_JSON);
    check_options(&camera);
    open_camera(&camera);
    producer_open(&camera.producer, verbs, &camera);
    if (open_stream(&camera) && producer_start(&camera.producer)) {
        if (start(&camera, why) < 0)
            program_fail("%s", why);
        run_camera(&camera);
    }
    shut_down(&camera);
    return producer_finish(&camera.producer);
}
