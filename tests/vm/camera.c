/* shmframe-camera against vivid, the kernel's virtual camera. Runs in the guest, as root. */
#include "camera_control.h"
#include "camera_device.h"
#include "camera_queue.h"
#include "colour.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The smallest that vivid's webcam has. */
#define SMALL "--input", "0", "--size", "320x180"
/* Bars without text over them. */
#define BARS "--control", "test_pattern=100% Colorbar", "--control", "osd_text_mode=None"

/* Pictures. */

/* Pixel formats that the program offers for a camera. The caller frees. */
static json_t *list_devices(void) {
    ck_assert_int_eq(RUN("--list", "--format", "json"), 0);
    json_t *list = json_loads(rig_said(), 0, NULL);
    ck_assert_ptr_nonnull(list);
    return list;
}

static const json_t *find_formats(const json_t *list, const char *path) {
    size_t i;
    const json_t *device;
    json_array_foreach(json_object_get(list, "devices"), i,
                       device) if (strcmp(json_string_value(json_object_get(device, "path")),
                                          path) == 0) return json_object_get(device, "formats");
    ck_abort_msg("%s is not in the list", path);
}

/* A frame of each format that the camera has shows the bars, in each pixel. */
static void expect_all_formats(const char *path, const char *io, const char *way, int at_least) {
    json_t *list = list_devices();
    size_t i;
    const json_t *format;
    int seen = 0;
    char last[32] = "";
    json_array_foreach(find_formats(list, path), i, format) {
        const char *name = json_string_value(json_object_get(format, "pixel_format"));
        if (!name || strcmp(name, last) == 0)
            continue;
        snprintf(last, sizeof(last), "%s", name);
        const pid_t pid = START("--device", path, SMALL, BARS, "--pixel-format", name, "--io", io);
        struct shmframe_reader *reader = rig_open_reader(0);
        struct shmframe_lease lease = rig_acquire(reader);
        ck_assert_str_eq(lease.format->video.pixel_format, name);
        colour_expect_bars(&lease);
        rig_release(reader, &lease);
        rig_stop(pid);
        rig_expect_said(way);
        shmframe_reader_close(reader);
        seen++;
    }
    ck_assert_int_ge(seen, at_least);
    json_decref(list);
}

START_TEST(every_format_arrives_in_place) {
    expect_all_formats(CAMERA_SINGLE, "userptr", " 0 copied", 35);
}
END_TEST

START_TEST(every_format_in_several_pieces_arrives_in_place) {
    expect_all_formats(CAMERA_MULTIPLE, "userptr", " 0 copied", 35);
}
END_TEST

/* A name may be a format of one piece and one of several: each fourcc is asked for by itself here,
 * below the program. */
START_TEST(pieces_are_written_where_the_layout_says) {
    static const uint32_t fourccs[] = {
        V4L2_PIX_FMT_NV12M,   V4L2_PIX_FMT_NV21M,   V4L2_PIX_FMT_NV16M,
        V4L2_PIX_FMT_YUV420M, V4L2_PIX_FMT_YVU420M, V4L2_PIX_FMT_YUV422M,
        V4L2_PIX_FMT_YVU422M, V4L2_PIX_FMT_YUV444M, V4L2_PIX_FMT_YVU444M};
    rig_set_control(CAMERA_MULTIPLE, "test_pattern", "100% Colorbar");
    rig_set_control(CAMERA_MULTIPLE, "osd_text_mode", "None");
    for (size_t i = 0; i < sizeof(fourccs) / sizeof(fourccs[0]); i++) {
        char why[CAMERA_WHY_BYTES];
        struct camera_device device;
        struct camera_picture picture;
        struct camera_layout layout;
        struct camera_queue queue;
        struct camera_taken taken;
        const struct camera_choice choice = {
            .fourcc = fourccs[i], .width = 320, .height = 180, .rate = {30, 1}};
        ck_assert_msg(camera_device_open(&device, CAMERA_MULTIPLE, why) == 0, "%s", why);
        ck_assert_msg(camera_device_set_mode(&device, &choice, &picture, why) == 0, "%s", why);
        ck_assert_uint_gt(picture.pieces, 1);
        /* Where the pieces begin to count is told by the first buffer. */
        for (int pass = 0; pass < 2; pass++) {
            ck_assert_msg(camera_format_lay_out(&picture, &layout, why) == 0, "%s", why);
            ck_assert_msg(camera_queue_open(&queue, &device, CAMERA_IO_USERPTR, layout.pieces,
                                            &layout, why) == 0,
                          "%s", why);
            struct shmframe_loan loan[2] = {
                {.data = aligned_alloc(4096, layout.format.slot_bytes + 4096), .slot = 0},
                {.data = aligned_alloc(4096, layout.format.slot_bytes + 4096), .slot = 1}};
            for (int at = 0; at < 2; at++)
                ck_assert_int_eq(camera_queue_add(&queue, &loan[at]), 0);
            ck_assert_msg(camera_queue_start(&queue, why) == 0, "%s", why);
            int result;
            while ((result = camera_queue_take(&queue, &taken)) == -EAGAIN)
                usleep(10000);
            ck_assert_int_eq(result, 0);
            memcpy(picture.skip_bytes, taken.skip_bytes, sizeof(picture.skip_bytes));
            for (uint32_t piece = 0; piece < layout.pieces; piece++)
                ck_assert_uint_ge(taken.used_bytes[piece], layout.needed[piece]);
            const struct shmframe_lease lease = {.data = loan[taken.index].data,
                                                 .format = &layout.format};
            if (pass)
                colour_expect_bars(&lease);
            for (int at = 0; at < 2; at++)
                queue.buffer[at].has_loan = false; /* they are no writer's */
            camera_queue_close(&queue, NULL);
            for (int at = 0; at < 2; at++)
                free(loan[at].data);
        }
        camera_device_close(&device);
    }
}
END_TEST

START_TEST(a_driver_with_memory_of_its_own_is_copied_from) {
    const pid_t pid = START("--device", CAMERA_OWN, SMALL, BARS);
    struct shmframe_reader *reader = rig_open_reader(0);
    struct shmframe_lease lease = rig_acquire(reader);
    colour_expect_bars(&lease);
    rig_release(reader, &lease);
    rig_stop(pid);
    rig_expect_said(" 0 in place");
    rig_expect_said("its driver does not offer userptr");
    shmframe_reader_close(reader);
    ck_assert_int_eq(RUN("--device", CAMERA_OWN, SMALL, "--io", "userptr"), 1);
    rig_expect_said("its driver does not offer userptr");
}
END_TEST

START_TEST(copies_are_the_same_pictures) {
    static const char *const names[] = {"yuyv422", "nv12", "yuv420p", "rgb24"};
    static const char *const paths[] = {CAMERA_SINGLE, CAMERA_MULTIPLE};
    for (int i = 0; i < 8; i++) {
        const pid_t pid = START("--device", paths[i / 4], SMALL, BARS, "--pixel-format",
                                names[i % 4], "--io", "mmap");
        struct shmframe_reader *reader = rig_open_reader(0);
        struct shmframe_lease lease = rig_acquire(reader);
        colour_expect_bars(&lease);
        rig_release(reader, &lease);
        rig_stop(pid);
        rig_expect_said(" 0 in place");
        rig_expect_said("--io mmap");
        shmframe_reader_close(reader);
    }
}
END_TEST

/* The driver must not write what a reader holds. */
START_TEST(a_picture_on_lease_stays_as_it_is) {
    const pid_t pid =
        START("--device", CAMERA_SINGLE, SMALL, "--control", "horizontal_movement=Move Left Fast");
    struct shmframe_reader *reader = rig_open_reader(0);
    struct shmframe_reader *other = rig_open_reader(0);
    struct shmframe_lease held = rig_acquire(reader);
    const size_t bytes = held.format->plane[0].line_bytes * (size_t)held.format->plane[0].rows;
    uint8_t *before = malloc(bytes);
    memcpy(before, held.data, bytes);
    bool is_moving = false;
    for (int i = 0; i < 40; i++) {
        struct shmframe_lease lease = rig_acquire(other);
        is_moving = is_moving || memcmp(lease.data, before, bytes) != 0;
        rig_release(other, &lease);
    }
    ck_assert(is_moving);
    ck_assert_int_eq(memcmp(held.data, before, bytes), 0);
    free(before);
    rig_release(reader, &held);
    rig_stop(pid);
    shmframe_reader_close(reader);
    shmframe_reader_close(other);
}
END_TEST

START_TEST(a_signal_of_two_fields_says_so) {
    const pid_t pid = START("--device", CAMERA_SINGLE, "--input", "1", "--size", "720x576");
    struct shmframe_reader *reader = rig_open_reader(0);
    struct shmframe_lease lease = rig_acquire(reader);
    const struct shmframe_video_format *video = &lease.format->video;
    ck_assert_uint_eq(video->field_order, SHMFRAME_TOP_FIRST);
    ck_assert(lease.frame.flags & SHMFRAME_INTERLACED);
    ck_assert(lease.frame.flags & SHMFRAME_TOP_FIELD_FIRST);
    ck_assert_int_gt(video->frame_rate.num, 0);
    ck_assert_int_gt(video->sample_aspect.num, 0);
    rig_release(reader, &lease);
    rig_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* Time and what is missing. */

START_TEST(stamps_are_the_drivers) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL, "--rate", "25", "--control",
                            "timestamp_source=Start of Exposure");
    struct shmframe_reader *reader = rig_open_reader(64);
    int64_t before_ns = 0, first_ns = 0;
    for (int i = 0; i < 30; i++) {
        struct shmframe_lease lease = rig_acquire(reader);
        const int64_t capture_ns = lease.frame.capture_ns;
        if (!first_ns)
            first_ns = capture_ns - lease.frame.pts;
        ck_assert_int_eq(lease.frame.pts, capture_ns - first_ns);
        ck_assert_int_eq(lease.frame.duration, SECOND_NS / 25);
        /* vivid stamps by its frame's number: what lies between two is what was dropped. */
        const int64_t steps = lease.frame.device_dropped + lease.lost + 1;
        if (before_ns)
            ck_assert_int_lt(llabs(capture_ns - before_ns - steps * SECOND_NS / 25),
                             SECOND_NS / 50);
        before_ns = capture_ns;
        rig_release(reader, &lease);
    }
    rig_stop(pid);
    ck_assert_ptr_null(strstr(rig_said(), "capture times within"));
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(stamps_ahead_of_their_time_are_brought_back) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL, "--control",
                            "timestamp_source=End of Frame", "--frames", "10");
    struct shmframe_reader *reader = rig_open_reader(16);
    struct shmframe_lease lease = rig_acquire(reader); /* checks capture against publish */
    rig_release(reader, &lease);
    ck_assert_int_eq(rig_wait(pid), 0);
    rig_expect_said("capture times within");
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(what_the_device_drops_is_counted) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL, "--rate", "10", "--control",
                            "timestamp_source=Start of Exposure", "--control",
                            "percentage_of_dropped_buffers=50");
    struct shmframe_reader *reader = rig_open_reader(64);
    uint32_t dropped = 0;
    int64_t before_ns = 0;
    for (int i = 0; i < 20; i++) {
        struct shmframe_lease lease = rig_acquire(reader);
        const int64_t steps = lease.frame.device_dropped + lease.lost + 1;
        const int64_t capture_ns = lease.frame.capture_ns;
        if (before_ns)
            ck_assert_int_lt(llabs(capture_ns - before_ns - steps * SECOND_NS / 10),
                             SECOND_NS / 20);
        if (lease.frame.device_dropped)
            ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
        dropped += lease.frame.device_dropped;
        before_ns = capture_ns;
        rig_release(reader, &lease);
    }
    ck_assert_uint_gt(dropped, 0);
    rig_set_control(CAMERA_SINGLE, "percentage_of_dropped_buffers", "0");
    rig_stop(pid);
    rig_expect_said("by the device");
    shmframe_reader_close(reader);
}
END_TEST

/* How far the first line of grey lies to the right of where it lay in `first`, around the edge. */
static uint32_t find_shift(const uint8_t *line, const uint8_t *first, uint32_t width) {
    uint32_t best = 0, least = UINT32_MAX;
    for (uint32_t shift = 0; shift < width; shift++) {
        uint32_t sum = 0;
        for (uint32_t x = 0; x < width; x++)
            sum += (uint32_t)abs(line[(x + shift) % width] - first[x]);
        if (sum < least) {
            least = sum;
            best = shift;
        }
    }
    return best;
}

/* vivid moves its bars by so much a frame, those that it drops included: a slot that is published
 * with the stamps of another does not lie where its time says. */
START_TEST(each_picture_is_of_its_stamps_time) {
    enum { WIDTH = 320, PICTURES = 30, RATE = 10 };
    const pid_t pid = START(
        "--device", CAMERA_SINGLE, SMALL, BARS, "--rate", "10", "--pixel-format", "gray", "--io",
        "userptr", "--control", "timestamp_source=Start of Exposure", "--control",
        "horizontal_movement=Move Right Fast", "--control", "percentage_of_dropped_buffers=40");
    struct shmframe_reader *reader = rig_open_reader(64);
    uint8_t first[WIDTH];
    uint32_t shift[PICTURES] = {0}, steps[PICTURES] = {0};
    int64_t first_ns = 0;
    for (int i = 0; i < PICTURES; i++) {
        struct shmframe_lease lease = rig_acquire(reader);
        if (i == 0) {
            memcpy(first, lease.data, WIDTH);
            first_ns = lease.frame.capture_ns;
        }
        const int64_t passed_ns = lease.frame.capture_ns - first_ns;
        steps[i] = (uint32_t)((passed_ns + SECOND_NS / RATE / 2) / (SECOND_NS / RATE));
        shift[i] = find_shift(lease.data, first, WIDTH);
        rig_release(reader, &lease);
    }
    bool is_found = false;
    for (uint32_t a_step = 1; a_step < WIDTH && !is_found; a_step++) {
        is_found = true;
        for (int i = 0; i < PICTURES; i++)
            is_found = is_found && shift[i] == a_step * steps[i] % WIDTH;
    }
    for (int i = 0; i < PICTURES && !is_found; i++)
        fprintf(stderr, "%u steps, %u pixels\n", steps[i], shift[i]);
    ck_assert_msg(is_found, "the bars do not move as the stamps do");
    ck_assert_uint_gt(steps[PICTURES - 1], PICTURES); /* some were dropped */
    rig_set_control(CAMERA_SINGLE, "percentage_of_dropped_buffers", "0");
    rig_set_control(CAMERA_SINGLE, "horizontal_movement", "No Movement");
    rig_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_picture_that_the_driver_calls_bad_is_dropped) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL);
    struct shmframe_reader *reader = rig_open_reader(64);
    struct shmframe_lease lease = rig_acquire(reader);
    rig_release(reader, &lease);
    /* The button spoils the next buffer; until one is seen, it is pressed again. */
    uint32_t dropped = 0;
    for (int i = 0; i < 5 && !dropped; i++) {
        ck_assert_int_eq(rig_ask("set", "inject_v4l2_buf_flag_error 1").status, 0);
        for (int frame = 0; frame < 20 && !dropped; frame++) {
            lease = rig_acquire(reader);
            dropped = lease.frame.device_dropped;
            rig_release(reader, &lease);
        }
    }
    ck_assert_uint_gt(dropped, 0);
    rig_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_pause_drops_nothing) {
    enum { RATE = 10, SECONDS = 3 };
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL, "--rate", "10");
    struct shmframe_reader *reader = rig_open_reader(16);
    struct shmframe_lease lease = rig_acquire(reader);
    rig_release(reader, &lease);
    ck_assert_int_eq(rig_ask("pause", NULL).status, 0);
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0)
        rig_release(reader, &lease);
    ck_assert_int_eq(
        shmframe_reader_acquire(reader, shmframe_deadline_ns(SECONDS * SECOND_NS), &lease),
        -ETIMEDOUT);
    ck_assert_int_eq(rig_ask("resume", NULL).status, 0);
    lease = rig_acquire(reader);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    /* Emulated, vivid drops some by itself, but not most of those that the pause passed over. */
    ck_assert_uint_lt(lease.frame.device_dropped, RATE * SECONDS / 2);
    rig_release(reader, &lease);
    rig_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* Controls. */

START_TEST(controls_are_set_and_told_by_name) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL, "--control", "Brightness=100");
    struct shmframe_reader *reader = rig_open_reader(0);
    ck_assert_str_eq(rig_ask("get", "brightness").text, "100 (0 to 255; default 128)");
    ck_assert_str_eq(rig_ask("set", "brightness 50").text, "50 (0 to 255; default 128)");
    ck_assert_int_eq(rig_ask("set", "test_pattern 100% Red").status, 0);
    ck_assert_int_eq(strncmp(rig_ask("get", "test_pattern").text, "7 (", 3), 0);
    ck_assert_int_eq(rig_ask("set", "integer_menu 13").status, 0);
    ck_assert_int_eq(strncmp(rig_ask("get", "integer_menu").text, "6 (", 3), 0);
    ck_assert_int_eq(rig_ask("set", "integer_64_bits -9000000000").status, 0);
    ck_assert_int_eq(strncmp(rig_ask("get", "integer_64_bits").text, "-9000000000", 11), 0);
    ck_assert_int_eq(rig_ask("set", "bitmask 0x80002010").status, 0);
    ck_assert_int_eq(strncmp(rig_ask("get", "bitmask").text, "2147491856", 10), 0);
    ck_assert_int_eq(rig_ask("set", "string abc").status, 0);
    ck_assert_int_eq(strncmp(rig_ask("get", "string").text, "abc", 3), 0);
    ck_assert_int_eq(rig_ask("set", "boolean off").status, 0);
    ck_assert_int_eq(rig_ask("set", "button 1").status, 0);
    ck_assert_str_eq(rig_ask("controls", "sat").text, "saturation");
    ck_assert_int_eq(rig_ask("controls", NULL).status, 0);

    ck_assert_int_eq(rig_ask("set", "brightness 256").status, -EINVAL);
    ck_assert_str_eq(rig_ask("set", "brightness 256").text,
                     "brightness: \"256\" should be 0 to 255");
    ck_assert_int_eq(rig_ask("set", "brightness").status, -EINVAL);
    ck_assert_int_eq(rig_ask("set", "shoe_size 43").status, -ENOENT);
    ck_assert_int_eq(rig_ask("get", "shoe_size").status, -ENOENT);
    ck_assert_int_eq(rig_ask("controls", "shoe").status, -ENOENT);
    ck_assert_int_eq(rig_ask("set", "read_only_integer_32_bits 1").status, -EACCES);
    ck_assert_int_eq(rig_ask("set", "menu 2").status, -EINVAL);
    rig_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(the_list_tells_what_there_is) {
    json_t *list = list_devices();
    const json_t *devices = json_object_get(list, "devices");
    ck_assert_uint_eq(json_array_size(devices), 3);
    const json_t *device = json_array_get(devices, 1);
    ck_assert_str_eq(json_string_value(json_object_get(device, "driver")), "vivid");
    ck_assert_str_eq(json_string_value(json_object_get(device, "bus")), "platform:vivid-001");
    ck_assert(json_is_true(json_object_get(device, "is_multiplanar")));
    ck_assert_uint_eq(json_array_size(json_object_get(device, "inputs")), 4);
    const json_t *size = json_array_get(
        json_object_get(json_array_get(json_object_get(device, "formats"), 0), "sizes"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(size, "width")), 320);
    ck_assert_uint_gt(json_array_size(json_object_get(size, "rates")), 5);
    const json_t *control = json_array_get(json_object_get(device, "controls"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(control, "name")), "brightness");
    ck_assert_int_eq(json_integer_value(json_object_get(control, "max")), 255);
    ck_assert_int_eq(json_integer_value(json_object_get(control, "default")), 128);
    json_decref(list);
    ck_assert_int_eq(RUN("--list", "--device", CAMERA_OWN), 0);
    rig_expect_said("/dev/video2: vivid (vivid, platform:vivid-002)");
    rig_expect_said("  input 3: HDMI 0");
    rig_expect_said("    320x180 at 1, 2, 4, 5, 10, 12.5, 15, 25, 30, 40, 50, 60");
    rig_expect_said("    7: 100% Red");
    ck_assert_ptr_null(strstr(rig_said(), "video0"));
}
END_TEST

/* Refusals. */

START_TEST(what_the_device_refuses_is_told_with_what_it_offers) {
    static const struct {
        const char *option, *value, *said;
    } cases[] = {
        {"--size", "321x180", "320x180, 640x360, 640x480"},
        {"--rate", "77", "30, 40, 50, 60"},
        {"--pixel-format", "mjpeg", "yuyv422, uyvy422"},
        {"--input", "9", "0 (Webcam 0), 1 (TV 0), 2 (S-Video 0), 3 (HDMI 0)"},
        {"--control", "shoe_size=43", "brightness contrast"},
        {"--control", "brightness=300", "0 to 255"},
        {"--control", "menu=2", "1: Menu Item 1, 3: Menu Item 3"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bool has_size = strcmp(cases[i].option, "--size") == 0;
        ck_assert_int_eq(RUN("--device", CAMERA_SINGLE, "--input", "0", "--size",
                             has_size ? cases[i].value : "320x180", cases[i].option,
                             cases[i].value),
                         2);
        rig_expect_said(cases[i].said);
    }
}
END_TEST

START_TEST(a_device_in_use_is_told_with_who_uses_it) {
    char why[CAMERA_WHY_BYTES], holder[64];
    struct camera_device device;
    ck_assert_int_eq(camera_device_open(&device, CAMERA_SINGLE, why), 0);
    struct v4l2_requestbuffers buffers = {
        .count = 2, .type = device.type, .memory = V4L2_MEMORY_MMAP};
    ck_assert_int_eq(camera_ioctl(device.fd, VIDIOC_REQBUFS, &buffers), 0);
    ck_assert_int_eq(RUN("--device", CAMERA_SINGLE, SMALL), 1);
    snprintf(holder, sizeof(holder), "it is in use (held by %d test-vm-camera)", getpid());
    rig_expect_said(holder);
    camera_device_close(&device);
    ck_assert_int_eq(RUN("--device", CAMERA_SINGLE, SMALL, "--frames", "2"), 0);
}
END_TEST

/* Going away and coming back. */

START_TEST(a_driver_that_stops_is_started_again) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL);
    struct shmframe_reader *reader = rig_open_reader(16);
    struct shmframe_lease lease = rig_acquire(reader);
    rig_release(reader, &lease);
    ck_assert_int_eq(rig_ask("set", "inject_fatal_streaming_error 1").status, 0);
    rig_await_said("goes on with /dev/video0");
    lease = rig_acquire_discontinuity(reader);
    rig_release(reader, &lease);
    rig_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* A button that was pressed is not pressed again when the camera comes back. */
START_TEST(what_was_done_once_is_not_done_again) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL);
    struct shmframe_reader *reader = rig_open_reader(16);
    struct shmframe_lease lease = rig_acquire(reader);
    rig_release(reader, &lease);
    ck_assert_int_eq(rig_ask("set", "disconnect 1").status, 0);
    rig_await_said("goes on with");
    lease = rig_acquire_discontinuity(reader);
    rig_release(reader, &lease);
    for (int i = 0; i < 30; i++) {
        lease = rig_acquire(reader);
        rig_release(reader, &lease);
    }
    rig_stop(pid);
    const char *gone = strstr(rig_said(), "it is gone");
    ck_assert_ptr_nonnull(gone);
    ck_assert_ptr_null(strstr(gone + 1, "it is gone"));
    shmframe_reader_close(reader);
    rig_unplug();
    rig_plug_in();
}
END_TEST

START_TEST(a_buffer_that_is_refused_once_is_no_reason_to_copy) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL);
    struct shmframe_reader *reader = rig_open_reader(16);
    struct shmframe_lease lease = rig_acquire(reader);
    rig_release(reader, &lease);
    for (int i = 0; i < 20; i++) { /* until the driver knows every slot */
        lease = rig_acquire(reader);
        rig_release(reader, &lease);
    }
    ck_assert_int_eq(rig_ask("set", "inject_vidioc_qbuf_error 1").status, 0);
    rig_await_said("goes on with");
    lease = rig_acquire_discontinuity(reader);
    rig_release(reader, &lease);
    rig_stop(pid);
    rig_expect_said(" 0 copied");
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(an_unplugged_camera_is_waited_for_and_set_up_again) {
    const pid_t pid = START("--device", CAMERA_MULTIPLE, SMALL, BARS);
    struct shmframe_reader *reader = rig_open_reader(16);
    struct shmframe_lease lease = rig_acquire(reader);
    rig_release(reader, &lease);
    ck_assert_int_eq(rig_ask("set", "saturation 77").status, 0);

    rig_unplug();
    rig_await_said("vivid is not there; trying again");
    ck_assert_str_eq(rig_ask("get", "saturation").text, "the camera is not there now");
    rig_plug_in();
    rig_await_said("goes on with /dev/video1: 320x180");
    lease = rig_acquire_discontinuity(reader);
    rig_release(reader, &lease);
    ck_assert_int_eq(strncmp(rig_ask("get", "saturation").text, "77 (", 4), 0);
    ck_assert_int_eq(rig_ask("set", "saturation 128").status, 0);
    rig_stop(pid);
    rig_expect_said(" 0 copied");
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_camera_is_found_again_under_another_path) {
    const int holder = open(CAMERA_SINGLE, O_RDWR | O_CLOEXEC); /* keeps the number in use */
    ck_assert_int_ge(holder, 0);
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL, BARS);
    struct shmframe_reader *reader = rig_open_reader(16);
    struct shmframe_lease lease = rig_acquire(reader);
    rig_release(reader, &lease);
    rig_unplug();
    rig_await_said("vivid is not there; trying again");
    rig_plug_in();
    rig_await_said("goes on with /dev/video");
    ck_assert_ptr_null(strstr(rig_said(), "goes on with /dev/video0"));
    lease = rig_acquire_discontinuity(reader);
    colour_expect_bars(&lease);
    rig_release(reader, &lease);
    rig_stop(pid);
    shmframe_reader_close(reader);
    /* The nodes get their numbers back. */
    close(holder);
    rig_unplug();
    rig_plug_in();
}
END_TEST

START_TEST(a_camera_may_stay_away_to_the_end) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL, "--duration", "15");
    struct shmframe_reader *reader = rig_open_reader(0);
    struct shmframe_lease lease = rig_acquire(reader);
    rig_release(reader, &lease);
    rig_unplug();
    ck_assert_int_eq(rig_wait(pid), 0);
    const char *seconds = strstr(rig_said(), "frames in ");
    ck_assert_ptr_nonnull(seconds);
    const double lasted = strtod(seconds + strlen("frames in "), NULL);
    ck_assert_double_ge(lasted, 15);
    ck_assert_double_lt(lasted, 60);
    shmframe_reader_close(reader);
    rig_plug_in();
}
END_TEST

/* HDMI. */

static void set_timings(const char *name) {
    rig_set_control(CAMERA_SINGLE, "dv_timings", name);
}

START_TEST(another_signal_is_another_format) {
    const pid_t pid = START("--device", CAMERA_SINGLE, "--input", "3", "--pixel-format", "gray");
    struct shmframe_reader *reader = rig_open_reader(0);
    struct shmframe_lease lease = rig_acquire(reader);
    ck_assert_uint_eq(lease.format->video.width, 1280);
    ck_assert_uint_eq(lease.format->video.height, 720);
    rig_release(reader, &lease);

    set_timings("640x480p59");
    rig_set_control(CAMERA_SINGLE, "dv_timings_signal_mode", "Selected DV Timings");
    rig_await_said("640x480");
    do {
        lease = rig_acquire(reader);
        const uint32_t width = lease.format->video.width;
        rig_release(reader, &lease);
        if (width == 640)
            break;
    } while (true);

    /* The cable is pulled, and another source plugged in. */
    rig_set_control(CAMERA_SINGLE, "dv_timings_signal_mode", "No Signal");
    rig_await_said("its input has no signal");
    set_timings("720x480p59");
    rig_set_control(CAMERA_SINGLE, "dv_timings_signal_mode", "Selected DV Timings");
    rig_await_said("720x480");
    rig_stop(pid);
    shmframe_reader_close(reader);
    rig_set_control(CAMERA_SINGLE, "dv_timings_signal_mode", "Current DV Timings");
}
END_TEST

START_TEST(an_input_without_a_signal_is_told) {
    /* Controls of the signal are those of the input that is set. */
    ck_assert_int_eq(RUN("--device", CAMERA_OWN, "--input", "3", "--frames", "1"), 0);
    rig_set_control(CAMERA_OWN, "dv_timings_signal_mode", "No Signal");
    ck_assert_int_eq(RUN("--device", CAMERA_OWN, "--input", "3"), 1);
    rig_expect_said("its input has no signal");
    rig_set_control(CAMERA_OWN, "dv_timings_signal_mode", "Current DV Timings");
    ck_assert_int_eq(RUN("--device", CAMERA_OWN, SMALL, "--frames", "1"), 0);
}
END_TEST

/* Dying. */

START_TEST(a_killed_program_leaves_a_device_that_works) {
    const pid_t pid = START("--device", CAMERA_SINGLE, SMALL);
    struct shmframe_reader *reader = rig_open_reader(0);
    struct shmframe_lease lease = rig_acquire(reader);
    kill(pid, SIGKILL);
    ck_assert_int_eq(rig_wait(pid), -1);
    rig_release(reader, &lease);
    shmframe_reader_close(reader);
    ck_assert_int_eq(RUN("--device", CAMERA_SINGLE, SMALL, "--frames", "5"), 0);
    rig_expect_said("5 in place");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("vm-camera");
    const struct {
        const char *name;
        const TTest *tests[12];
    } cases[] = {
        {"pictures",
         {every_format_arrives_in_place, every_format_in_several_pieces_arrives_in_place,
          pieces_are_written_where_the_layout_says, a_driver_with_memory_of_its_own_is_copied_from,
          copies_are_the_same_pictures, a_picture_on_lease_stays_as_it_is,
          a_signal_of_two_fields_says_so}},
        {"time",
         {stamps_are_the_drivers, stamps_ahead_of_their_time_are_brought_back,
          what_the_device_drops_is_counted, each_picture_is_of_its_stamps_time,
          a_picture_that_the_driver_calls_bad_is_dropped, a_pause_drops_nothing}},
        {"controls", {controls_are_set_and_told_by_name, the_list_tells_what_there_is}},
        {"refusals",
         {what_the_device_refuses_is_told_with_what_it_offers,
          a_device_in_use_is_told_with_who_uses_it}},
        {"again",
         {a_driver_that_stops_is_started_again, what_was_done_once_is_not_done_again,
          a_buffer_that_is_refused_once_is_no_reason_to_copy,
          an_unplugged_camera_is_waited_for_and_set_up_again,
          a_camera_is_found_again_under_another_path, a_camera_may_stay_away_to_the_end,
          another_signal_is_another_format, an_input_without_a_signal_is_told,
          a_killed_program_leaves_a_device_that_works}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        TCase *tests = tcase_create(cases[i].name);
        tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
        tcase_set_timeout(tests, 400);
        for (int at = 0; at < 12 && cases[i].tests[at]; at++)
            tcase_add_test(tests, cases[i].tests[at]);
        suite_add_tcase(suite, tests);
    }
    SRunner *runner = srunner_create(suite);
    if (getenv("TAP"))
        srunner_set_tap(runner, getenv("TAP"));
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
