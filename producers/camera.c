/* shmframe-camera: a V4L2 device whose driver fills the slots that are read.
 *
 * The driver has some slots on loan at once; each that it filled is published, and another one
 * takes its place. Where it takes no memory but its own, pictures are copied; where it compresses
 * them, they are decoded into slots. A device that goes away, stops, or has another signal is
 * looked for and set up again, and the stream goes on.
 */
#include "camera.h"
#include "camera_list.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
/* When a slot is looked for again, while the driver has none. */
#define NO_SLOT_NS (SECOND_NS / 100)
/* A device that sends nothing for so long, or for some pictures' time, is told. */
#define SILENCE_NS (3 * SECOND_NS)
enum { SILENCE_PICTURES = 4 };

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
    camera->path = options.device;
    camera->input = options.input == UINT32_MAX ? -1 : (int32_t)options.input;
    camera->io = parse_io();
    camera->wish = (struct camera_wish){.width = options.size[0],
                                        .height = options.size[1],
                                        .rate = options.rate,
                                        .pixel_format = options.pixel_format};
}

/* Running. */

static int64_t find_silence_ns(const struct camera *camera) {
    const struct shmframe_rational rate = camera->picture.frame_rate;
    const int64_t pictures_ns =
        rate.num ? SILENCE_PICTURES * SECOND_NS * rate.den / rate.num : SILENCE_NS;
    return camera->newest_ns + (pictures_ns > SILENCE_NS ? pictures_ns : SILENCE_NS);
}

/* Until when to wait for a picture. A slot is looked for also while the driver has some: there are
 * drivers that begin only when they have more than one. */
static int64_t find_deadline_ns(const struct camera *camera) {
    const int64_t end_ns = producer_end_ns(&camera->producer);
    const int64_t other_ns = camera_is_short(camera)   ? shmframe_deadline_ns(NO_SLOT_NS)
                             : camera->is_silence_told ? SHMFRAME_FOREVER
                                                       : find_silence_ns(camera);
    return other_ns < end_ns ? other_ns : end_ns;
}

static void tell_silence(struct camera *camera) {
    if (camera->is_silence_told || camera_is_short(camera) ||
        shmframe_now_ns() < find_silence_ns(camera))
        return;
    camera->is_silence_told = true;
    program_warn("%s: %s: no picture came for %.3g s; waiting on", camera->stream->name,
                 camera->device.path, (double)(shmframe_now_ns() - camera->newest_ns) / SECOND_NS);
}

static void run_camera(struct camera *camera) {
    while (!producer_is_over(&camera->producer)) {
        const bool is_waiting = camera->queue.queued > 0;
        const int64_t deadline_ns = find_deadline_ns(camera);
        const enum producer_wait wait = producer_wait_for(
            &camera->producer, is_waiting ? camera->queue.poll_fd : -1, deadline_ns);
        if (wait == PRODUCER_STOP)
            return;
        int result = wait == PRODUCER_READY ? camera_serve(camera) : 0;
        if (result == 0)
            result = camera_fill_queue(camera, NULL);
        if (result == 0 && wait == PRODUCER_DUE)
            tell_silence(camera);
        if (result < 0 && !camera_recover(camera))
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

static const struct verb verbs[] = {
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
    result = camera_set_up(camera, why);
    if (result < 0)
        fail(result, why);
}

static bool open_stream(struct camera *camera) {
    char why[CAMERA_WHY_BYTES] = "";
    const int result = camera_find_format(camera, why);
    if (result == -EINTR)
        return false;
    if (result < 0)
        program_fail("%s", why);
    const struct shmframe_writer_params params = {
        .stream = producer_options.stream,
        .group = producer_options.group,
        .format = camera->format,
        .flags = SHMFRAME_WRITER_LIVE | SHMFRAME_WRITER_THREADED,
        .loans = camera->codec.loans > CAMERA_LOANS ? camera->codec.loans : CAMERA_LOANS,
    };
    if (camera->is_compressed && camera->io == CAMERA_IO_USERPTR)
        program_warn("--io userptr is for raw pictures; those of %s are decoded into the slots",
                     camera->device.path);
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
    program_end_on_signals(EXIT_DONE); /* the driver may let us wait */
    open_camera(&camera);
    producer_open(&camera.producer, verbs, &camera);
    if (open_stream(&camera) && producer_start(&camera.producer)) {
        const int result = camera_start(&camera, why);
        const bool is_lost =
            result == -ENODEV || result == -EIO; /* while readers were waited for */
        if (result < 0 && !is_lost)
            program_fail("%s", why);
        if (is_lost)
            camera_tell(&camera, why);
        if (!is_lost || camera_recover(&camera))
            run_camera(&camera);
    }
    camera_shut_down(&camera);
    return producer_finish(&camera.producer);
}
