/* shmframe-camera against a driver that lies, hangs and floods: the real program, with the driver
 * of driver.c in place of the kernel's. What is true of a real driver is seen in tests/vm. */
#include "clip.h"
#include "driver.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <shmframe/shmframe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS   INT64_C(1000000000)
#define PATIENCE_NS (20 * SECOND_NS)

static char folder[] = "/tmp/shmframe-test-XXXXXX";
static char socket_path[64], said_path[64], script_path[64];
static pid_t supervisor, camera;
static struct driver_script *script;
static struct shmframe_session *session;
static struct shmframe_reader *reader;

/* What holds a test together. */

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(said_path, sizeof(said_path), "%s/said", folder);
    snprintf(script_path, sizeof(script_path), "%s/script", folder);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    setenv("SHMFRAME_TEST_DRIVER", script_path, 1);
    const int fd = open(script_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(fd, sizeof(*script)), 0);
    script = mmap(NULL, sizeof(*script), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    script->fourcc = V4L2_PIX_FMT_YUYV;
    script->width = 320;
    script->height = 240;
    script->field = V4L2_FIELD_NONE;
    strcpy(script->card, "Test camera");
    supervisor = fork();
    if (supervisor == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(getenv("SHMFRAMED"), "shmframed", "--quiet", "--socket", socket_path, NULL);
        _exit(127);
    }
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(PATIENCE_NS)};
    ck_assert_msg(shmframe_session_open(&params, &session) == 0, "%s", shmframe_last_error());
}

static void tear_down(void) {
    shmframe_reader_close(reader);
    shmframe_session_close(session);
    kill(supervisor, SIGTERM);
    waitpid(supervisor, NULL, 0);
    munmap(script, sizeof(*script));
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void start(const char *const *options) {
    enum { OPTIONS = 16 };
    char *argv[OPTIONS] = {"shmframe-camera", "--device", DRIVER_PATH};
    for (int i = 0; options[i]; i++)
        argv[i + 3] = (char *)options[i];
    camera = fork();
    if (camera == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int fd = open(said_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        setenv("LD_PRELOAD", getenv("DRIVER"), 1);
        /* A sanitizer wants to be loaded first; what comes before it here has none of its own. */
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
        execv(getenv("SHMFRAME_CAMERA"), argv);
        _exit(127);
    }
    ck_assert_int_gt(camera, 0);
}
#define START(...) start((const char *const[]){__VA_ARGS__, NULL})

/* The exit code. What does not end is ended, and -1. */
static int wait_for_end(void) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    int status;
    while (waitpid(camera, &status, WNOHANG) == 0) {
        if (shmframe_now_ns() > deadline_ns)
            kill(camera, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *read_said(void) {
    static char text[1 << 20];
    FILE *file = fopen(said_path, "re");
    text[file ? fread(text, 1, sizeof(text) - 1, file) : 0] = 0;
    if (file)
        fclose(file);
    return text;
}

static void expect_said(const char *part) {
    ck_assert_msg(strstr(read_said(), part), "not \"%s\" but: %.1500s", part, read_said());
}

static int count_said(const char *part) {
    int count = 0;
    for (const char *at = read_said(); (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static void await_said(const char *part) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    while (!strstr(read_said(), part)) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "not \"%s\" but: %.1500s", part,
                      read_said());
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static void await_more(_Atomic uint32_t *counted, uint32_t than) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    while (*counted <= than) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "%u: %.1500s", *counted, read_said());
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static void stop(void) {
    kill(camera, SIGTERM);
    const int code = wait_for_end();
    ck_assert_msg(code == 0, "%d: %.1500s", code, read_said());
}

static void open_reader(void) {
    const struct shmframe_reader_params params = {
        .stream = "camera",
        .policy = SHMFRAME_IN_ORDER,
        .depth = 4,
        .deadline_ns = shmframe_deadline_ns(PATIENCE_NS),
    };
    const int result = shmframe_reader_open(session, &params, &reader);
    ck_assert_msg(result == 0, "%s: %s", shmframe_last_error(), read_said());
}

static struct shmframe_lease acquire(void) {
    struct shmframe_lease lease;
    const int result = shmframe_reader_acquire(reader, shmframe_deadline_ns(PATIENCE_NS), &lease);
    ck_assert_msg(result == 0, "%s: %s", strerror(-result), read_said());
    return lease;
}

static struct shmframe_frame read_frame(void) {
    struct shmframe_lease lease = acquire();
    const struct shmframe_frame frame = lease.frame;
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    return frame;
}

static struct shmframe_answer ask(const char *verb, const char *argument) {
    struct shmframe_answer answer;
    const int result = shmframe_session_request(session, "camera", verb, argument,
                                                shmframe_deadline_ns(PATIENCE_NS), &answer);
    ck_assert_msg(result == 0, "%s: %s", verb, shmframe_last_error());
    return answer;
}

/* A picture of the camera that compresses. */
static void make_packet(int width, int height) {
    char path[80];
    AVFormatContext *input = NULL;
    AVPacket *packet = av_packet_alloc();
    snprintf(path, sizeof(path), "%s/clip.avi", folder);
    clip_make(&(struct clip){.path = path,
                             .picture = "mjpeg",
                             .pixel_format = AV_PIX_FMT_YUVJ422P,
                             .width = width,
                             .height = height,
                             .rate = {30, 1},
                             .pictures = 1});
    ck_assert_int_eq(avformat_open_input(&input, path, NULL, NULL), 0);
    ck_assert_int_eq(av_read_frame(input, packet), 0);
    ck_assert_int_lt(packet->size, DRIVER_PACKET_BYTES);
    memcpy(script->packet, packet->data, (size_t)packet->size);
    script->packet_bytes = (uint32_t)packet->size;
    script->fourcc = V4L2_PIX_FMT_MJPEG;
    script->width = (uint32_t)width;
    script->height = (uint32_t)height;
    av_packet_free(&packet);
    avformat_close_input(&input);
}

/* Floods. */

START_TEST(a_flood_does_not_keep_off_requests_and_the_end) {
    script->is_flooding = 1;
    START("--io", _i ? "mmap" : "userptr");
    open_reader();
    ck_assert_int_eq(ask("pause", "").status, 0);
    ck_assert_int_eq(ask("resume", "").status, 0);
    stop();
    START("--io", _i ? "mmap" : "userptr", "--duration", "0.3");
    ck_assert_int_eq(wait_for_end(), 0);
}
END_TEST

START_TEST(a_flood_of_what_cannot_be_decoded_can_be_stopped) {
    script->fourcc = V4L2_PIX_FMT_MJPEG;
    script->packet_bytes = 100;
    script->is_flooding = 1;
    START("--frames", "1");
    await_more(&script->pictures, 100);
    stop();
}
END_TEST

/* Lies. */

START_TEST(more_bytes_than_the_memory_has_are_no_picture) {
    if (_i == 2)
        make_packet(320, 240);
    START("--io", _i ? "mmap" : "userptr");
    open_reader();
    read_frame();
    script->extra_bytes = 64 << 20;
    await_said("a picture is dropped: its driver tells");
    script->extra_bytes = 0;
    while (!read_frame().device_dropped) {
    }
    stop();
    ck_assert_int_eq(count_said("a picture is dropped"), 1);
}
END_TEST

START_TEST(a_picture_that_is_short_is_told_once) {
    START("--frames", "1");
    script->short_bytes = 16;
    await_said("a picture is dropped: 153584 bytes came, of 153600");
    script->short_bytes = 0;
    ck_assert_int_eq(wait_for_end(), 0);
    ck_assert_int_eq(count_said("a picture is dropped"), 1);
}
END_TEST

START_TEST(a_buffer_that_it_does_not_have_is_a_fault) {
    script->repeats = 1;
    START("--io", "userptr");
    await_said("Protocol error");
    script->repeats = 0;
    await_said("goes on with");
    stop();
}
END_TEST

START_TEST(half_a_jpeg_is_dropped_and_ffmpeg_is_quiet) {
    make_packet(320, 240);
    START("--stream", "camera");
    open_reader();
    read_frame();
    const uint32_t bytes = script->packet_bytes;
    script->packet_bytes = bytes / 2;
    await_said("a picture is dropped, it cannot be decoded: ");
    const uint32_t seen = script->pictures;
    await_more(&script->pictures, seen + 5);
    script->packet_bytes = bytes;
    while (!read_frame().device_dropped) {
    }
    stop();
    ck_assert_int_eq(count_said("\n"), 2); /* that, and the statistics */
}
END_TEST

START_TEST(a_name_that_is_no_text_is_listed) {
    strcpy(script->card, "Bad\xff\x01name");
    START("--list", "--format", "json");
    ck_assert_int_eq(wait_for_end(), 0);
    expect_said("Bad??name");
}
END_TEST

START_TEST(controls_are_listed_with_their_range) {
    START("--list");
    ck_assert_int_eq(wait_for_end(), 0);
    expect_said("  exposure: number, 0 to 100, default 0");
    expect_said("  press: button\n");
}
END_TEST

START_TEST(two_fields_say_which_is_first) {
    script->field = _i ? V4L2_FIELD_INTERLACED_BT : V4L2_FIELD_INTERLACED_TB;
    START("--stream", "camera");
    open_reader();
    const uint32_t flags = read_frame().flags;
    ck_assert(flags & SHMFRAME_INTERLACED);
    ck_assert_int_eq(!(flags & SHMFRAME_TOP_FIELD_FIRST), _i);
    stop();
}
END_TEST

/* Hanging. */

START_TEST(a_camera_that_sends_nothing_is_told_once) {
    script->is_silent = 1;
    START("--frames", "1");
    await_said("no picture came for 3");
    script->is_silent = 0;
    ck_assert_int_eq(wait_for_end(), 0);
    ck_assert_int_eq(count_said("no picture came"), 1);
}
END_TEST

/* Failing. */

START_TEST(a_stream_that_fails_at_once_is_tried_later_and_later) {
    START("--io", "userptr");
    open_reader();
    read_frame();
    const uint32_t starts = script->starts;
    script->take_error = EIO;
    await_more(&script->starts, starts + 3); /* at once, after 0.1, 0.2 and 0.4 s */
    ck_assert_uint_lt(script->starts, starts + 6);
    ck_assert_int_eq(count_said("\n"), 1);
    script->take_error = 0;
    await_said("goes on with");
    stop();
}
END_TEST

START_TEST(one_failure_is_no_reason_to_copy) {
    START("--io", "auto");
    open_reader();
    for (int i = 0; i < 10; i++)
        read_frame();
    script->give_error = EIO;
    script->give_errors = 1;
    await_said("goes on with");
    stop();
    expect_said(" 0 copied");
}
END_TEST

START_TEST(memory_that_is_refused_is_copied_to) {
    script->give_error = EFAULT;
    script->give_errors = 1;
    START("--frames", "5");
    ck_assert_int_eq(wait_for_end(), 0);
    expect_said("0 in place, 5 copied (" DRIVER_PATH ": its driver does not take a slot: Bad");
}
END_TEST

START_TEST(what_it_refuses_when_it_comes_back_is_a_warning) {
    START("--control", "auto=0", "--control", "exposure=50", "--control", "press=1");
    open_reader();
    read_frame();
    ck_assert_uint_eq(script->presses, 1);
    ck_assert_int_eq(ask("set", "press 1").status, 0);
    ck_assert_uint_eq(script->presses, 2);
    ck_assert_int_eq(ask("set", "auto 1").status, 0); /* exposure is refused from now on */
    script->is_gone = 1;
    await_said("Test camera is not there; trying again");
    script->is_gone = 0;
    await_said("goes on with");
    expect_said("a control is not as it was: exposure");
    ck_assert_uint_eq(script->presses, 2);
    ck_assert_str_eq(ask("get", "auto").text, "1 (0 or 1, off or on; default 0)");
    stop();
}
END_TEST

START_TEST(unplugged_while_readers_are_waited_for_it_is_waited_for) {
    START("--wait-readers", "1", "--frames", "3");
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    struct shmframe_answer answer;
    while (shmframe_session_request(session, "camera", "help", "", deadline_ns, &answer) < 0)
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
    script->is_gone = 1;
    open_reader();
    await_said("trying again");
    script->is_gone = 0;
    ck_assert_int_eq(wait_for_end(), 0);
    expect_said("3 frames");
}
END_TEST

/* Changing. */

START_TEST(a_format_that_changed_while_paused_is_taken_on) {
    make_packet(320, 240);
    START("--stream", "camera");
    open_reader();
    read_frame();
    ck_assert_int_eq(ask("pause", "").status, 0);
    script->is_silent = 1;
    make_packet(640, 480);
    const uint32_t seen = script->pictures;
    script->is_silent = 0;
    await_more(&script->pictures, seen + 3);
    ck_assert_int_eq(ask("resume", "").status, 0);
    struct shmframe_lease lease = acquire();
    while (lease.format->video.width == 320) {
        ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
        lease = acquire();
    }
    ck_assert_uint_eq(lease.format->video.width, 640);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    stop();
}
END_TEST

START_TEST(a_camera_that_comes_back_compressing_is_decoded_in_place) {
    START("--stream", "camera");
    open_reader();
    read_frame();
    script->is_gone = 1;
    await_said("trying again");
    make_packet(320, 240);
    script->is_gone = 0;
    await_said("goes on with");
    for (int i = 0; i < 20; i++)
        read_frame();
    stop();
    expect_said(" 0 copied");
}
END_TEST

/* Words. */

START_TEST(what_is_wrong_is_told_as_what_it_is) {
    static const struct {
        size_t fault;
        int error, code;
        const char *said;
    } cases[] = {
        {offsetof(struct driver_script, timings_error), EBUSY, 1, "it is in use"},
        {offsetof(struct driver_script, list_error), ENODEV, 1, "it is gone"},
        {offsetof(struct driver_script, list_error), EINVAL, 2, "it offers no format"},
        {offsetof(struct driver_script, take_error), EIO, 1, "it stopped: Input/output error"},
        {offsetof(struct driver_script, take_error), ENODEV, 1, "it is gone"},
    };
    make_packet(320, 240);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _Atomic uint32_t *fault = (void *)((char *)script + cases[i].fault);
        *fault = (uint32_t)cases[i].error;
        START("--frames", "1");
        const int code = wait_for_end();
        ck_assert_msg(code == cases[i].code, "%zu: %d, %s", i, code, read_said());
        expect_said(cases[i].said);
        ck_assert_int_eq(count_said("\n"), 1);
        *fault = 0;
    }
    script->give_error = EINVAL;
    script->give_errors = 1;
    START("--frames", "1");
    ck_assert_int_eq(wait_for_end(), 1);
    expect_said("no buffers by mmap: Invalid argument");
}
END_TEST

START_TEST(userptr_with_a_camera_that_compresses_is_told) {
    make_packet(320, 240);
    START("--io", "userptr", "--frames", "1");
    ck_assert_int_eq(wait_for_end(), 0);
    expect_said("--io userptr is for raw pictures");
}
END_TEST

int main(void) {
    const struct {
        const TTest *test;
        int runs;
    } tests[] = {
        {a_flood_does_not_keep_off_requests_and_the_end, 2},
        {a_flood_of_what_cannot_be_decoded_can_be_stopped, 1},
        {more_bytes_than_the_memory_has_are_no_picture, 3},
        {a_picture_that_is_short_is_told_once, 1},
        {a_buffer_that_it_does_not_have_is_a_fault, 1},
        {half_a_jpeg_is_dropped_and_ffmpeg_is_quiet, 1},
        {a_name_that_is_no_text_is_listed, 1},
        {controls_are_listed_with_their_range, 1},
        {two_fields_say_which_is_first, 2},
        {a_camera_that_sends_nothing_is_told_once, 1},
        {a_stream_that_fails_at_once_is_tried_later_and_later, 1},
        {one_failure_is_no_reason_to_copy, 1},
        {memory_that_is_refused_is_copied_to, 1},
        {what_it_refuses_when_it_comes_back_is_a_warning, 1},
        {unplugged_while_readers_are_waited_for_it_is_waited_for, 1},
        {a_format_that_changed_while_paused_is_taken_on, 1},
        {a_camera_that_comes_back_compressing_is_decoded_in_place, 1},
        {what_is_wrong_is_told_as_what_it_is, 1},
        {userptr_with_a_camera_that_compresses_is_told, 1},
    };
    Suite *suite = suite_create("camera-faults");
    TCase *faults = tcase_create("faults");
    tcase_add_checked_fixture(faults, set_up, tear_down);
    tcase_set_timeout(faults, 60);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_loop_test(faults, tests[i].test, 0, tests[i].runs);
    suite_add_tcase(suite, faults);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
