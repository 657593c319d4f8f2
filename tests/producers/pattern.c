/* shmframe-pattern as its users meet it: the real program, a real supervisor, a real reader. */
#include "scene.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <shmframe/shmframe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

enum { ARGUMENTS = 24 };

static char folder[] = "/tmp/shmframe-test-XXXXXX";
static char socket_path[64], log_path[64], complaint_path[64];
static pid_t supervisor;
static struct shmframe_session *session;

/* Starts `program` with its complaints in a file. Dies with the test. */
static pid_t start_into(const char *path, const char *program, const char *const *arguments) {
    char *argv[ARGUMENTS] = {(char *)program};
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    const pid_t pid = fork();
    if (pid == 0) {
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execv(program, argv);
        _exit(127);
    }
    return pid;
}

/* What it says goes where read_complaint() finds it. */
static pid_t start(const char *program, const char *const *arguments) {
    return start_into(complaint_path, program, arguments);
}

static pid_t start_pattern(const char *const *arguments) {
    return start(getenv("SHMFRAME_PATTERN"), arguments);
}

#define PATTERN(...) start_pattern((const char *const[]){__VA_ARGS__, NULL})

/* Waits for the end of `pid`; returns its exit code, or -1 if a signal ended it. */
static int wait_exit(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What the last program said that start() started. */
static const char *read_complaint(void) {
    static char text[8192];
    FILE *file = fopen(complaint_path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return text;
}

/* A usage error or a failure is one line. */
static void expect_complaint(const char *part) {
    const char *text = read_complaint();
    ck_assert_msg(strstr(text, part), "%s", text);
    ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "%s", text);
}

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(complaint_path, sizeof(complaint_path), "%s/said", folder);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    snprintf(log_path, sizeof(log_path), "%s/log", folder);
    supervisor = start_into(log_path, getenv("SHMFRAMED"),
                            (const char *const[]){"--socket", socket_path, NULL});
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(10 * SECOND_NS)};
    ck_assert_msg(shmframe_session_open(&params, &session) == 0, "%s", shmframe_last_error());
}

static void tear_down(void) {
    shmframe_session_close(session);
    kill(supervisor, SIGTERM);
    wait_exit(supervisor);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static struct shmframe_reader *open_reader(const char *stream, enum shmframe_policy policy,
                                           uint32_t depth) {
    const struct shmframe_reader_params params = {
        .stream = stream,
        .policy = policy,
        .depth = depth,
        .deadline_ns = shmframe_deadline_ns(10 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    const int result = shmframe_reader_open(session, &params, &reader);
    ck_assert_msg(result == 0, "%s", shmframe_last_error());
    return reader;
}

static struct shmframe_lease acquire(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    const int result =
        shmframe_reader_acquire(reader, shmframe_deadline_ns(10 * SECOND_NS), &lease);
    ck_assert_msg(result == 0, "%s", strerror(-result));
    ck_assert_int_le(lease.frame.capture_ns, lease.frame.publish_ns);
    return lease;
}

static void release(struct shmframe_reader *reader, struct shmframe_lease *lease) {
    ck_assert_int_eq(shmframe_reader_release(reader, lease), 0);
}

static void expect_end(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, shmframe_deadline_ns(10 * SECOND_NS), &lease),
                     -ENODATA);
}

/* Takes what is left, and then the end. */
static void drain_to_end(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    int result;
    while ((result =
                shmframe_reader_acquire(reader, shmframe_deadline_ns(10 * SECOND_NS), &lease)) == 0)
        release(reader, &lease);
    ck_assert_int_eq(result, -ENODATA);
}

/* The number in the digits of a grey picture. */
static int64_t read_number(const struct shmframe_lease *lease) {
    const struct shmframe_video_format *video = &lease->format->video;
    struct scene scene;
    scene_init(&scene, (int32_t)video->width, (int32_t)video->height, video->frame_rate,
               (struct surface_grain){1, 1, 1, 1});
    int64_t number = 0;
    for (int i = 0; i < SCENE_NUMBER_DIGITS; i++) {
        unsigned lit = 0, digit = 0;
        for (int segment = 0; segment < SCENE_SEGMENTS; segment++) {
            const struct rect rect = scene_segment(&scene, scene.digit[i], segment);
            const uint64_t x = (uint64_t)(rect.left + rect.right) / 2;
            const uint64_t y = (uint64_t)(rect.top + rect.bottom) / 2;
            const uint8_t *plane = shmframe_lease_plane(lease, 0);
            lit |= (plane[y * lease->format->plane[0].line_bytes + x] > 127 ? 1u : 0) << segment;
        }
        while (digit < 10 && scene_segments(digit) != lit)
            digit++;
        ck_assert_uint_lt(digit, 10);
        number = number * 10 + digit;
    }
    return number;
}

static bool is_flash(const struct shmframe_lease *lease) {
    const struct shmframe_plane *plane = &lease->format->plane[0];
    const uint8_t *last = shmframe_lease_plane(lease, 0) +
                          (uint64_t)(plane->rows - 1) * plane->line_bytes + plane->row_bytes - 1;
    return *last > 127;
}

START_TEST(each_picture_shows_its_number_and_is_captured_at_its_instant) {
    const pid_t pid = PATTERN("--size", "320x240", "--pixel-format", "gray", "--rate", "100",
                              "--frames", "50", "--wait-readers", "1", "--no-sound");
    struct shmframe_reader *reader = open_reader("demo", SHMFRAME_IN_ORDER, 16);
    int64_t start_ns = 0;
    for (bool is_last = false; !is_last;) {
        struct shmframe_lease lease = acquire(reader);
        const int64_t i = lease.frame.pts;
        ck_assert_int_eq(read_number(&lease), i);
        if (start_ns == 0)
            start_ns = lease.frame.capture_ns - i * 10000000;
        ck_assert_int_eq(lease.frame.capture_ns, start_ns + i * 10000000);
        ck_assert_int_eq(lease.frame.duration, 1);
        ck_assert_int_eq(lease.format->time_base.num, 1);
        ck_assert_int_eq(lease.format->time_base.den, 100);
        is_last = lease.frame.sequence == 50;
        release(reader, &lease);
    }
    expect_end(reader);
    shmframe_reader_close(reader);
    ck_assert_int_eq(wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(read_complaint(), "demo: 50 frames"));
}
END_TEST

/* The capture instant of the first sample of the next beep: the sine that begins there is loud from
 * its second sample on. */
static int64_t find_beep_ns(struct shmframe_reader *reader) {
    bool was_loud = true;
    for (;;) {
        struct shmframe_lease lease = acquire(reader);
        const float *samples = (const float *)shmframe_lease_plane(&lease, 0);
        bool is_loud = false;
        uint32_t first = 0;
        for (uint32_t i = 0; i < lease.frame.samples && !is_loud; i++) {
            is_loud = samples[i] > 0.06f || samples[i] < -0.06f;
            first = i;
        }
        const int64_t loud_ns = lease.frame.capture_ns + first * SECOND_NS / 48000;
        release(reader, &lease);
        if (is_loud && !was_loud)
            return loud_ns;
        was_loud = is_loud;
    }
}

/* The capture instant of the first picture of the next flash. */
static int64_t find_flash_ns(struct shmframe_reader *reader) {
    bool was_flash = true;
    for (;;) {
        struct shmframe_lease lease = acquire(reader);
        const bool is_lit = is_flash(&lease);
        const int64_t capture_ns = lease.frame.capture_ns;
        release(reader, &lease);
        if (is_lit && !was_flash)
            return capture_ns;
        was_flash = is_lit;
    }
}

START_TEST(flash_and_beep_are_captured_at_the_same_instant_each_second) {
    const pid_t pid = PATTERN("--size", "64x64", "--pixel-format", "gray", "--rate", "30000/1001",
                              "--duration", "10", "--wait-readers", "1", "--channels", "1");
    struct shmframe_reader *pictures = open_reader("demo", SHMFRAME_IN_ORDER, 64);
    struct shmframe_reader *sound = open_reader("demo.sound", SHMFRAME_IN_ORDER, 192);
    int64_t before_ns = 0;
    for (int second = 0; second < 2; second++) {
        const int64_t beep_ns = find_beep_ns(sound);
        const int64_t flash_ns = find_flash_ns(pictures);
        /* 0.06 is passed a few samples into the beep. */
        ck_assert_int_ge(beep_ns, flash_ns);
        ck_assert_int_lt(beep_ns, flash_ns + 4 * SECOND_NS / 48000);
        /* A second apart, as near as this rate has pictures. */
        if (before_ns)
            ck_assert_int_lt(llabs(flash_ns - before_ns - SECOND_NS), 1001 * SECOND_NS / 30000);
        before_ns = flash_ns;
    }

    struct shmframe_stream_info streams[4];
    ck_assert_int_eq(shmframe_session_streams(session, shmframe_deadline_ns(SECOND_NS), streams, 4),
                     2);
    ck_assert_str_eq(streams[0].group, "demo");
    ck_assert_str_eq(streams[1].group, "demo");
    kill(pid, SIGTERM);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(pictures);
    shmframe_reader_close(sound);
}
END_TEST

START_TEST(sigint_ends_both_streams) {
    const pid_t pid = PATTERN("--size", "64x64");
    struct shmframe_reader *pictures = open_reader("demo", SHMFRAME_LATEST, 0);
    struct shmframe_reader *sound = open_reader("demo.sound", SHMFRAME_LATEST, 0);
    struct shmframe_lease lease = acquire(pictures);
    release(pictures, &lease);
    kill(pid, SIGINT);
    ck_assert_int_eq(wait_exit(pid), 0);
    drain_to_end(pictures);
    drain_to_end(sound);
    shmframe_reader_close(pictures);
    shmframe_reader_close(sound);
}
END_TEST

START_TEST(sound_ends_with_the_last_picture) {
    const pid_t pid =
        PATTERN("--size", "64x64", "--rate", "30000/1001", "--frames", "13", "--wait-readers", "1");
    struct shmframe_reader *sound = open_reader("demo.sound", SHMFRAME_IN_ORDER, 192);
    struct shmframe_reader *pictures = open_reader("demo", SHMFRAME_IN_ORDER, 64);
    struct shmframe_lease lease;
    int64_t last = 0, samples = 0;
    int result;
    while ((result = shmframe_reader_acquire(pictures, shmframe_deadline_ns(10 * SECOND_NS),
                                             &lease)) == 0) {
        last = lease.frame.pts;
        release(pictures, &lease);
    }
    ck_assert_int_eq(result, -ENODATA);
    while (shmframe_reader_acquire(sound, shmframe_deadline_ns(10 * SECOND_NS), &lease) == 0) {
        samples = lease.frame.pts + lease.frame.samples;
        release(sound, &lease);
    }
    const struct shmframe_rational rate = {30000, 1001};
    const int64_t end_ns = scene_frame_ns(rate, last + 1);
    ck_assert_int_ge(samples * SECOND_NS / 48000, end_ns - 1);
    ck_assert_int_lt((samples - 1) * SECOND_NS / 48000, end_ns);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(pictures);
    shmframe_reader_close(sound);
}
END_TEST

START_TEST(a_stopped_producer_drops_what_it_missed_and_says_so) {
    const pid_t pid = PATTERN("--size", "64x64", "--rate", "200", "--no-sound");
    struct shmframe_reader *reader = open_reader("demo", SHMFRAME_IN_ORDER, 64);
    struct shmframe_lease lease = acquire(reader);
    release(reader, &lease);
    kill(pid, SIGSTOP);
    /* As long as it takes until half a second has passed in the stream. */
    const int64_t until_ns = shmframe_deadline_ns(SECOND_NS / 2);
    while (shmframe_reader_acquire(reader, until_ns, &lease) == 0)
        release(reader, &lease);
    kill(pid, SIGCONT);

    int64_t previous = -1;
    bool is_dropped = false;
    for (int i = 0; i < 100; i++) {
        lease = acquire(reader);
        const int64_t pts = lease.frame.pts;
        if (previous >= 0)
            ck_assert_int_eq(pts, previous + 1 + lease.frame.device_dropped);
        if (lease.frame.device_dropped >= 90) {
            is_dropped = true;
            ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
        }
        /* No burst of old pictures: none is published after its successor was due by far. */
        ck_assert_int_lt(lease.frame.publish_ns - lease.frame.capture_ns, SECOND_NS / 4);
        previous = pts;
        release(reader, &lease);
    }
    ck_assert(is_dropped);
    kill(pid, SIGTERM);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(reader);
}
END_TEST

/* A number of the statistics of a stream, which were asked for as JSON. */
static int64_t read_count(const char *stream, const char *name) {
    char key[64];
    snprintf(key, sizeof(key), "\"stream\":\"%s\"", stream);
    const char *at = strstr(read_complaint(), key);
    ck_assert_msg(at, "no %s: %s", stream, read_complaint());
    snprintf(key, sizeof(key), "\"%s\":", name);
    at = strstr(at, key);
    ck_assert_msg(at, "no %s: %s", name, read_complaint());
    return strtoll(at + strlen(key), NULL, 10);
}

/* Stopped from its first picture to the end of --duration and beyond, or to a signal. */
START_TEST(what_was_due_when_the_end_came_is_counted) {
    const bool has_duration = _i == 0;
    const pid_t pid = PATTERN("--size", "64x64", "--rate", "200", "--format", "json", "--duration",
                              has_duration ? "500ms" : "60", "--wait-readers", "1");
    struct shmframe_reader *reader = open_reader("demo", SHMFRAME_IN_ORDER, 64);
    struct shmframe_lease lease = acquire(reader);
    const int64_t start_ns = lease.frame.capture_ns - lease.frame.pts * (SECOND_NS / 200);
    release(reader, &lease);
    kill(pid, SIGSTOP);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    while (shmframe_reader_acquire(reader, start_ns + SECOND_NS, &lease) == 0)
        release(reader, &lease);
    if (!has_duration)
        kill(pid, SIGINT);
    const int64_t before_ns = shmframe_now_ns();
    kill(pid, SIGCONT);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(reader);
    const int64_t pictures = read_count("demo", "frames") + read_count("demo", "dropped");
    const int64_t blocks = read_count("demo.sound", "frames") + read_count("demo.sound", "dropped");
    if (has_duration) {
        ck_assert_int_eq(pictures, 100);
        ck_assert_int_eq(blocks, 50);
    } else {
        ck_assert_int_ge(pictures, (before_ns - start_ns) / (SECOND_NS / 200));
        ck_assert_int_ge(blocks, (before_ns - start_ns) / (SECOND_NS / 100) - 1);
    }
}
END_TEST

START_TEST(an_unpaced_pattern_gives_a_lossless_reader_every_picture) {
    const pid_t pid = PATTERN("--size", "160x160", "--pixel-format", "gray", "--unpaced",
                              "--frames", "1000", "--wait-readers", "1", "--no-sound");
    struct shmframe_reader *reader = open_reader("demo", SHMFRAME_LOSSLESS, 4);
    for (int64_t i = 0; i < 1000; i++) {
        struct shmframe_lease lease = acquire(reader);
        ck_assert_int_eq(lease.frame.pts, i);
        ck_assert_int_eq(read_number(&lease), i);
        ck_assert_uint_eq(lease.lost, 0);
        release(reader, &lease);
    }
    expect_end(reader);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_live_pattern_refuses_a_lossless_reader) {
    const pid_t pid = PATTERN("--size", "64x64", "--no-sound");
    struct shmframe_reader *reader = open_reader("demo", SHMFRAME_LATEST, 0);
    const struct shmframe_reader_params params = {
        .stream = "demo",
        .policy = SHMFRAME_LOSSLESS,
        .deadline_ns = shmframe_deadline_ns(10 * SECOND_NS),
    };
    struct shmframe_reader *lossless;
    ck_assert_int_eq(shmframe_reader_open(session, &params, &lossless), -ENOTSUP);
    shmframe_reader_close(reader);
    kill(pid, SIGTERM);
    ck_assert_int_eq(wait_exit(pid), 0);
}
END_TEST

static struct shmframe_answer ask_with(const char *verb, const char *argument) {
    struct shmframe_answer answer;
    const int result = shmframe_session_request(session, "demo.sound", verb, argument,
                                                shmframe_deadline_ns(10 * SECOND_NS), &answer);
    ck_assert_msg(result == 0, "%s: %s", verb, shmframe_last_error());
    return answer;
}

static struct shmframe_answer ask(const char *verb) {
    return ask_with(verb, NULL);
}

/* How often the first channel goes from below zero to zero or above within `count` samples. */
static int count_waves(struct shmframe_reader *sound, int count) {
    int waves = 0;
    float before = 0;
    while (count > 0) {
        struct shmframe_lease lease = acquire(sound);
        const float *samples = (const float *)shmframe_lease_plane(&lease, 0);
        for (uint32_t i = 0; i < lease.frame.samples && count > 0; i++, count--) {
            const float now = samples[i * lease.format->audio.channels];
            waves += before < 0 && now >= 0;
            before = now;
        }
        release(sound, &lease);
    }
    return waves;
}

START_TEST(the_tone_can_be_set) {
    const pid_t pid = PATTERN("--size", "64x64", "--tone", "200");
    struct shmframe_reader *sound = open_reader("demo.sound", SHMFRAME_IN_ORDER, 64);
    ck_assert_int_lt(count_waves(sound, 4800), 120); /* a beep of 1000 Hz may be among them */
    static const char *const wrong[] = {"tone", "tone 0", "tone 24001", "tone high", "pitch 880"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct shmframe_answer answer = ask_with("set", wrong[i]);
        ck_assert_msg(answer.status < 0, "%s", wrong[i]);
        ck_assert_msg(strstr(answer.text, "tone"), "%s", wrong[i]);
    }
    ck_assert_str_eq(ask_with("set", "tone 8000").text, "tone 8000");
    /* What was published before that, then a fifth of a second: more than a beep lasts. */
    struct shmframe_lease lease;
    while (shmframe_reader_acquire(sound, SHMFRAME_NOW, &lease) == 0)
        release(sound, &lease);
    const int waves = count_waves(sound, 9600);
    ck_assert_msg(waves > 700, "%d waves", waves);
    kill(pid, SIGTERM);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(sound);
}
END_TEST

START_TEST(requests_pause_resume_and_end_it) {
    const pid_t pid = PATTERN("--size", "64x64", "--rate", "200");
    struct shmframe_reader *reader = open_reader("demo", SHMFRAME_IN_ORDER, 64);
    struct shmframe_reader *sound = open_reader("demo.sound", SHMFRAME_LATEST, 0);
    struct shmframe_lease lease = acquire(reader);
    release(reader, &lease);

    ck_assert_str_eq(ask("pause").text, "paused");
    int64_t last = lease.frame.pts;
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0) {
        last = lease.frame.pts;
        release(reader, &lease);
    }
    ck_assert_int_eq(shmframe_reader_acquire(reader, shmframe_deadline_ns(SECOND_NS / 10), &lease),
                     -ETIMEDOUT);
    const struct shmframe_answer unknown = ask("dance");
    ck_assert_int_eq(unknown.status, -ENOTSUP);
    ck_assert_str_eq(unknown.text, "verbs: help, pause, resume, quit, set");
    ck_assert_str_eq(ask("resume").text, "running");
    lease = acquire(reader);
    ck_assert_int_eq(lease.frame.pts, last + 1);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    release(reader, &lease);

    ck_assert_int_eq(ask("quit").status, 0);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(reader);
    shmframe_reader_close(sound);
}
END_TEST

START_TEST(a_taken_name_is_one_clear_line) {
    const pid_t first = PATTERN("--size", "64x64");
    struct shmframe_reader *reader = open_reader("demo", SHMFRAME_LATEST, 0);
    ck_assert_int_eq(wait_exit(PATTERN("--size", "64x64")), 1);
    expect_complaint("demo");
    kill(first, SIGTERM);
    ck_assert_int_eq(wait_exit(first), 0);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(readers_of_another_stream_are_not_kept_waiting_for_ever) {
    const pid_t pid = PATTERN("--size", "64x64", "--wait-readers", "1");
    struct shmframe_reader *sound = open_reader("demo.sound", SHMFRAME_LATEST, 0);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(sound, shmframe_deadline_ns(20 * SECOND_NS), &lease),
                     0);
    expect_complaint("demo.sound has the readers that were waited for, demo has not: beginning");
    shmframe_reader_release(sound, &lease);
    kill(pid, SIGTERM);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(sound);
}
END_TEST

START_TEST(a_missing_supervisor_is_one_clear_line) {
    setenv("SHMFRAME_SOCKET", "/nonexistent/socket", 1);
    ck_assert_int_eq(wait_exit(PATTERN("--size", "64x64")), 1);
    expect_complaint("/nonexistent/socket");
}
END_TEST

START_TEST(formats_and_sizes_that_cannot_be_are_usage_errors) {
    static const char *const bad[][2] = {
        {"--pixel-format", "nonsense"},
        {"--pixel-format", "vaapi"},
        {"--size", "0x10"},
        {"--size", "20000x10"},
        {"--rate", "0"},
        {"--rate", "10001"},
        {"--sample-format", "s24"},
        {"--sample-rate", "0"},
        {"--channels", "0"},
        {"--channels", "65"},
        {"--block", "48001"},
        {"--tone", "24001"},
        {"--stream", "Demo"},
        {"--format", "xml"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(wait_exit(PATTERN(bad[i][0], bad[i][1])), 2);
        expect_complaint(bad[i][0]);
    }
    ck_assert_int_eq(wait_exit(PATTERN("--marks", "--sample-rate", "7999")), 2);
    expect_complaint("--sample-rate");
}
END_TEST

START_TEST(the_list_names_formats_without_a_supervisor) {
    setenv("SHMFRAME_SOCKET", "/nonexistent/socket", 1);
    ck_assert_int_eq(wait_exit(PATTERN("--list")), 0);
    ck_assert_ptr_nonnull(strstr(read_complaint(), " yuv420p "));
    ck_assert_ptr_nonnull(strstr(read_complaint(), " p010le "));
    ck_assert_ptr_null(strstr(read_complaint(), "vaapi"));
    ck_assert_ptr_nonnull(strstr(read_complaint(), " fltp"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pattern");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, set_up, tear_down);
    tcase_set_timeout(run, 60);
    tcase_add_test(run, each_picture_shows_its_number_and_is_captured_at_its_instant);
    tcase_add_test(run, flash_and_beep_are_captured_at_the_same_instant_each_second);
    tcase_add_test(run, sigint_ends_both_streams);
    tcase_add_test(run, sound_ends_with_the_last_picture);
    tcase_add_test(run, a_stopped_producer_drops_what_it_missed_and_says_so);
    tcase_add_loop_test(run, what_was_due_when_the_end_came_is_counted, 0, 2);
    tcase_add_test(run, an_unpaced_pattern_gives_a_lossless_reader_every_picture);
    tcase_add_test(run, a_live_pattern_refuses_a_lossless_reader);
    tcase_add_test(run, the_tone_can_be_set);
    tcase_add_test(run, requests_pause_resume_and_end_it);
    tcase_add_test(run, a_taken_name_is_one_clear_line);
    tcase_add_test(run, readers_of_another_stream_are_not_kept_waiting_for_ever);
    tcase_add_test(run, a_missing_supervisor_is_one_clear_line);
    tcase_add_test(run, formats_and_sizes_that_cannot_be_are_usage_errors);
    tcase_add_test(run, the_list_names_formats_without_a_supervisor);
    suite_add_tcase(suite, run);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
