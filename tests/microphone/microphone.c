/* shmframe-microphone as its users meet it: the real program, a real sound server that records a
 * signal whose every sample is known, a real supervisor, a real reader. */
#include "sound_server.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <shmframe/shmframe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS        INT64_C(1000000)
#define SECOND_NS (1000 * MS)

enum { ARGUMENTS = 24 };

static struct sound_server server;
static char said_path[96];
static pid_t supervisor;
static struct shmframe_session *session;

/* Processes. */

/* Starts `program`; what it says goes to `path`. Dies with the test. */
static pid_t start(const char *path, const char *program, const char *const *arguments) {
    char *argv[ARGUMENTS] = {(char *)program};
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = (char *)arguments[i];
    /* What the tests' framework does at a signal is not what the program does. */
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, &before);
    const pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execvp(program, argv);
        _exit(127);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

#define MICROPHONE(...)                                                                            \
    start(said_path, getenv("SHMFRAME_MICROPHONE"), (const char *const[]){__VA_ARGS__, NULL})

static int wait_exit(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *read_said(void) {
    static char text[16384];
    FILE *file = fopen(said_path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return text;
}

static void wait_until_said(const char *part) {
    const int64_t deadline_ns = shmframe_deadline_ns(60 * SECOND_NS);
    while (!strstr(read_said(), part)) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "waited for \"%s\" in vain: %s", part,
                      read_said());
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static int count_said(const char *part) {
    int count = 0;
    for (const char *at = read_said(); (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

/* A usage error or a failure is one line. */
static void expect_failure(pid_t pid, int exit_code, const char *part) {
    ck_assert_int_eq(wait_exit(pid), exit_code);
    const char *text = read_said();
    ck_assert_msg(strstr(text, part), "%s", text);
    ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "%s", text);
}

/* The stream's statistics. */
static json_t *read_statistics(void) {
    const char *brace = strchr(read_said(), '{');
    ck_assert_msg(brace, "%s", read_said());
    json_error_t error;
    json_t *root = json_loads(brace, 0, &error);
    ck_assert_msg(root, "%s: %s", error.text, read_said());
    json_t *stream = json_incref(json_array_get(json_object_get(root, "streams"), 0));
    json_decref(root);
    return stream;
}

static int64_t read_number(const json_t *stream, const char *name) {
    return (int64_t)json_number_value(json_object_get(stream, name));
}

static void set_up(void) {
    ck_assert(sound_server_init(&server));
    setenv("PULSE_SOURCE", "pipe", 1);
    char socket_path[96], log_path[96];
    snprintf(socket_path, sizeof(socket_path), "%s/socket", server.folder);
    snprintf(log_path, sizeof(log_path), "%s/log", server.folder);
    snprintf(said_path, sizeof(said_path), "%s/said", server.folder);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
    supervisor =
        start(log_path, getenv("SHMFRAMED"), (const char *const[]){"--socket", socket_path, NULL});
    const struct shmframe_session_params params = {.deadline_ns =
                                                       shmframe_deadline_ns(10 * SECOND_NS)};
    ck_assert_msg(shmframe_session_open(&params, &session) == 0, "%s", shmframe_last_error());
}

static void tear_down(void) {
    shmframe_session_close(session);
    kill(supervisor, SIGTERM);
    wait_exit(supervisor);
    sound_server_finish(&server);
}

/* Frames. */

static struct shmframe_reader *open_reader(void) {
    const struct shmframe_reader_params params = {
        .stream = "microphone",
        .policy = SHMFRAME_IN_ORDER,
        .depth = SHMFRAME_DEPTH_MAX,
        .deadline_ns = shmframe_deadline_ns(20 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    const int result = shmframe_reader_open(session, &params, &reader);
    ck_assert_msg(result == 0, "%s: %s", shmframe_last_error(), read_said());
    return reader;
}

/* The next frame, or what acquire said instead. */
static int acquire(struct shmframe_reader *reader, struct shmframe_lease *out_lease) {
    const int result =
        shmframe_reader_acquire(reader, shmframe_deadline_ns(30 * SECOND_NS), out_lease);
    ck_assert_msg(result == 0 || result == -ENODATA, "%s: %s", strerror(-result), read_said());
    if (result == 0)
        ck_assert_int_le(out_lease->frame.capture_ns, out_lease->frame.publish_ns);
    return result;
}

/* What is known of the signal so far. */
struct listener {
    int64_t next; /* number of the sample that is to come; -1: none was there */
    int64_t samples, silent;
    int64_t pauses; /* silence after the begin: the player was late */
    int64_t jumps;  /* samples that lack or come again, without silence between */
    bool is_silent;
    int64_t shift; /* of the last frame: its timestamp - number of its first sample */
    /* Of frames since the begin: how far the capture time was from the truth. */
    int64_t least_error_ns, most_error_ns;
};

static struct listener make_listener(void) {
    return (struct listener){.next = -1, .least_error_ns = INT64_MAX, .most_error_ns = INT64_MIN};
}

/* The number of a sample, the one nearest to `near`: the right channel alone has it but for a
 * multiple of its period, the left one tells which. -1: it is no sample of the signal. */
static int64_t identify(const int16_t sample[SIGNAL_CHANNELS], int64_t near) {
    const int64_t first = near - near % SIGNAL_PERIOD + sample[1] - 1;
    for (int64_t turn = 0; turn < 40; turn++) {
        const int64_t i = first + (turn % 2 ? -1 : 1) * (turn + 1) / 2 * SIGNAL_PERIOD;
        int16_t truth[SIGNAL_CHANNELS];
        if (i < 0)
            continue;
        signal_fill(truth, i);
        if (sample[0] == truth[0] && sample[1] == truth[1])
            return i;
    }
    return -1;
}

/* Takes one sample; `near` is about its number. */
static void hear(struct listener *listener, const int16_t sample[SIGNAL_CHANNELS], int64_t near) {
    if (sample[0] == 0 && sample[1] == 0) { /* nothing is played */
        listener->silent++;
        listener->is_silent = true;
        return;
    }
    const int64_t i = identify(sample, listener->next >= 0 ? listener->next : near);
    ck_assert_msg(i >= 0, "%d %d is no sample of the signal", sample[0], sample[1]);
    if (listener->next >= 0 && (listener->is_silent ? i < listener->next : i != listener->next))
        listener->jumps++;
    if (listener->next >= 0 && listener->is_silent)
        listener->pauses++;
    listener->is_silent = false;
    listener->next = i + 1;
    listener->samples++;
}

/* Takes a frame of s16 or s32, the signal in its first channels; `feed` NULL: what plays is not on
 * the clock. */
static void hear_frame(struct listener *listener, const struct shmframe_lease *lease,
                       const struct sound_feed *feed) {
    const struct shmframe_frame *frame = &lease->frame;
    const uint32_t channels = lease->format->audio.channels;
    const void *samples = shmframe_lease_plane(lease, 0);
    const bool is_wide = strcmp(lease->format->audio.sample_format, "s32") == 0;
    ck_assert(is_wide || strcmp(lease->format->audio.sample_format, "s16") == 0);
    const int64_t near = feed ? (frame->capture_ns - feed->start_ns) * SIGNAL_RATE / SECOND_NS : 0;
    for (uint32_t i = 0; i < frame->samples; i++) {
        int16_t sample[SIGNAL_CHANNELS];
        for (uint32_t c = 0; c < SIGNAL_CHANNELS; c++) {
            const size_t at = (size_t)channels * i + c;
            sample[c] = is_wide ? (int16_t)(((const int32_t *)samples)[at] >> 16)
                                : ((const int16_t *)samples)[at];
        }
        hear(listener, sample, near > 0 ? near + i : 0);
    }
    listener->shift = frame->pts + frame->samples - listener->next;
    if (!feed)
        return;
    const int64_t truth_ns =
        feed->start_ns + (listener->next - frame->samples) * SECOND_NS / SIGNAL_RATE;
    const int64_t error_ns = frame->capture_ns - truth_ns;
    if (error_ns < listener->least_error_ns)
        listener->least_error_ns = error_ns;
    if (error_ns > listener->most_error_ns)
        listener->most_error_ns = error_ns;
}

static const char *seconds_long(const char *seconds) {
    return getenv("SOAK_SECONDS") ? getenv("SOAK_SECONDS") : seconds;
}

/* What is recorded. */

START_TEST(every_sample_arrives_once_in_order_at_its_instant) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json", "--wait-readers",
                                 "1", "--duration", seconds_long("8"));
    struct shmframe_reader *reader = open_reader();
    struct listener listener = make_listener();
    struct shmframe_lease lease;
    int64_t frames = 0, next_pts = 0, before = 0;
    while (acquire(reader, &lease) == 0) {
        if (frames == 0)
            before = atomic_load(&feed.refused);
        hear_frame(&listener, &lease, &feed);
        ck_assert_uint_eq(lease.lost, 0);
        ck_assert_int_eq(lease.frame.pts, next_pts);
        ck_assert_uint_eq(lease.frame.samples, SIGNAL_RATE / 100);
        ck_assert_int_eq(lease.frame.duration, lease.frame.samples);
        ck_assert_int_eq(lease.frame.flags & SHMFRAME_DISCONTINUITY, 0);
        next_pts += lease.frame.samples;
        frames++;
        ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    }
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(reader);
    /* The signal itself is whole: what the pipe refused would have been a jump, too. */
    ck_assert_int_eq(atomic_load(&feed.refused), before);
    sound_feed_stop(&feed);
    ck_assert_int_eq(listener.jumps, 0);
    ck_assert_int_eq(listener.silent, 0);
    ck_assert_int_ge(frames, 100 * (atoi(seconds_long("8")) - 2));

    json_t *statistics = read_statistics();
    ck_assert_int_eq(read_number(statistics, "frames"), frames);
    ck_assert_int_eq(read_number(statistics, "in_place"), frames);
    ck_assert_int_eq(read_number(statistics, "copied"), 0);
    ck_assert_int_eq(read_number(statistics, "dropped"), 0);
    /* Each time within what is stated of the truth, but for what the feed and the server are always
     * late by, which nobody can see: below 50 ms even on a busy machine. */
    const int64_t stated_ns = read_number(statistics, "clock_error_us") * 1000;
    ck_assert_int_le(listener.most_error_ns - listener.least_error_ns, stated_ns + 10 * MS);
    ck_assert_int_ge(listener.least_error_ns, -stated_ns - MS);
    ck_assert_int_le(listener.least_error_ns, 50 * MS);
    json_decref(statistics);
}
END_TEST

/* The signal in a file, played once. */
static pid_t play(int seconds) {
    char path[96], log_path[96];
    snprintf(path, sizeof(path), "%s/file", server.folder);
    snprintf(log_path, sizeof(log_path), "%s/player", server.folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (int64_t i = 0; i < (int64_t)seconds * SIGNAL_RATE; i++) {
        int16_t sample[SIGNAL_CHANNELS];
        signal_fill(sample, i);
        ck_assert_uint_eq(fwrite(sample, sizeof(sample), 1, file), 1);
    }
    ck_assert_int_eq(fclose(file), 0);
    return start(log_path, "pacat",
                 (const char *const[]){"--playback", "--raw", "--device=null", "--format=s16le",
                                       "--rate=48000", "--channels=2", "--latency-msec=1000", path,
                                       NULL});
}

/* What is played into a sink and recorded from its monitor. The sink's own gaps are told from ours:
 * when a player begins, or is late, the sink has silence in its place, and its monitor may lack
 * what came too late for it; nothing lacks without silence. */
START_TEST(a_monitor_is_recorded_without_gap_and_repeat) {
    const int seconds = atoi(seconds_long("8"));
    setenv("PULSE_SOURCE", "null.monitor", 1);
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json");
    struct shmframe_reader *reader = open_reader();
    struct listener listener = make_listener();
    struct shmframe_lease lease;
    ck_assert_int_eq(acquire(reader, &lease), 0);
    shmframe_reader_release(reader, &lease);
    const pid_t player = play(seconds);
    const int64_t deadline_ns = shmframe_deadline_ns((60 + 2 * seconds) * SECOND_NS);
    int64_t next_pts = -1;
    while (listener.next < (int64_t)seconds * SIGNAL_RATE) {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        ck_assert_int_eq(acquire(reader, &lease), 0);
        if (next_pts >= 0)
            ck_assert_int_eq(lease.frame.pts, next_pts);
        next_pts = lease.frame.pts + lease.frame.samples;
        hear_frame(&listener, &lease, NULL);
        ck_assert_int_eq(listener.jumps, 0);
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_ge(listener.samples, (int64_t)(seconds - 1) * SIGNAL_RATE);
    if (listener.pauses > 0)
        fprintf(stderr, "the player was late %jd times\n", (intmax_t)listener.pauses);
    ck_assert_int_eq(wait_exit(player), 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(wait_exit(pid), 0);
    json_t *statistics = read_statistics();
    ck_assert_int_eq(read_number(statistics, "dropped"), 0);
    ck_assert_int_eq(read_number(statistics, "copied"), 0);
    json_decref(statistics);
    shmframe_reader_close(reader);
}
END_TEST

static void expect_format(const char *name, uint32_t planes, double scale) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    const pid_t pid = MICROPHONE("--sample-format", name, "--frames", "20", "--block", "777");
    struct shmframe_reader *reader = open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(acquire(reader, &lease), 0);
    ck_assert_str_eq(lease.format->audio.sample_format, name);
    ck_assert_uint_eq(lease.format->plane_count, planes);
    ck_assert_uint_eq(lease.frame.samples, 777);
    /* The right channel counts. */
    for (uint32_t i = 1; i < 777; i++) {
        const uint8_t *right = shmframe_lease_plane(&lease, planes - 1);
        const uint32_t at = planes == 2 ? i : 2 * i + 1, step = planes == 2 ? 1 : 2;
        double now, before;
        if (name[0] == 'f') {
            now = (double)((const float *)right)[at];
            before = (double)((const float *)right)[at - step];
        } else {
            now = ((const int32_t *)right)[at];
            before = ((const int32_t *)right)[at - step];
        }
        if (now * scale > 1.5) /* not where it begins anew */
            ck_assert_msg(fabs(now * scale - before * scale - 1) < 0.01, "%s: %f behind %f", name,
                          now * scale, before * scale);
    }
    shmframe_reader_release(reader, &lease);
    while (acquire(reader, &lease) == 0)
        shmframe_reader_release(reader, &lease);
    shmframe_reader_close(reader);
    ck_assert_int_eq(wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(read_said(), ": 20 frames in"));
    sound_feed_stop(&feed);
}

START_TEST(formats_are_as_libavutil_lays_them_out) {
    expect_format("flt", 1, 32768);
    expect_format("fltp", 2, 32768);
    expect_format("s32", 1, 1.0 / 65536);
    expect_format("s32p", 2, 1.0 / 65536);
}
END_TEST

/* Longer than the buffer that the device was asked for. */
START_TEST(a_block_may_be_longer_than_the_devices_buffer) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--block", "48000", "--latency", "10ms",
                                 "--frames", "2", "--wait-readers", "1");
    struct shmframe_reader *reader = open_reader();
    struct listener listener = make_listener();
    struct shmframe_lease lease;
    while (acquire(reader, &lease) == 0) {
        hear_frame(&listener, &lease, &feed);
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_eq(listener.samples, 2 * 48000);
    ck_assert_int_eq(listener.jumps, 0);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* What goes wrong on the way. */

START_TEST(a_pause_publishes_nothing_and_time_goes_on) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json");
    struct shmframe_reader *reader = open_reader();
    struct listener listener = make_listener();
    struct shmframe_lease lease;
    struct shmframe_answer answer;
    ck_assert_int_eq(acquire(reader, &lease), 0);
    hear_frame(&listener, &lease, &feed);
    int64_t last_pts = lease.frame.pts;
    shmframe_reader_release(reader, &lease);
    ck_assert_int_eq(shmframe_session_request(session, "microphone", "pause", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0) {
        hear_frame(&listener, &lease, &feed);
        last_pts = lease.frame.pts;
        shmframe_reader_release(reader, &lease);
    }
    /* Nothing for a while; a reader hears of frames at once. */
    ck_assert_int_eq(shmframe_reader_wait(reader, shmframe_deadline_ns(SECOND_NS / 2)), -ETIMEDOUT);
    ck_assert_int_eq(shmframe_session_request(session, "microphone", "resume", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    ck_assert_int_eq(acquire(reader, &lease), 0);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    ck_assert_uint_eq(lease.frame.device_dropped, 0);
    ck_assert_int_ge(lease.frame.pts - last_pts, SIGNAL_RATE / 2);
    const int64_t shift = listener.shift;
    hear_frame(&listener, &lease, &feed);
    ck_assert_int_eq(listener.shift, shift); /* all samples were counted */
    shmframe_reader_release(reader, &lease);
    kill(pid, SIGTERM);
    ck_assert_int_eq(wait_exit(pid), 0);
    json_t *statistics = read_statistics();
    ck_assert_int_eq(read_number(statistics, "dropped"), 0);
    json_decref(statistics);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

START_TEST(a_server_that_dies_is_told_once_and_waited_for) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json");
    struct shmframe_reader *reader = open_reader();
    struct listener listener = make_listener();
    struct shmframe_lease lease;
    ck_assert_int_eq(acquire(reader, &lease), 0);
    const int64_t first_ns = lease.frame.capture_ns;
    shmframe_reader_release(reader, &lease);
    sound_server_kill(&server);
    wait_until_said("is gone");
    /* Requests are served without a device. */
    struct shmframe_answer answer;
    ck_assert_int_eq(shmframe_session_request(session, "microphone", "help", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    ck_assert_int_eq(answer.status, 0);
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL); /* several tries in vain */
    sound_feed_stop(&feed);
    ck_assert(sound_server_start(&server));
    ck_assert(sound_feed_start(&feed, &server));
    wait_until_said("is back");
    bool is_found = false;
    int64_t last_pts = 0;
    while (!is_found) {
        ck_assert_int_eq(acquire(reader, &lease), 0);
        is_found = lease.frame.flags & SHMFRAME_DISCONTINUITY;
        if (!is_found)
            last_pts = lease.frame.pts;
        shmframe_reader_release(reader, &lease);
    }
    /* Timestamps go with the clock, and the blocks between are lost by the device. */
    const int64_t gap = lease.frame.pts - last_pts - SIGNAL_RATE / 100;
    ck_assert_int_ge(gap, SIGNAL_RATE / 2);
    ck_assert_int_le(llabs((int64_t)lease.frame.device_dropped - gap * 100 / SIGNAL_RATE), 1);
    ck_assert_int_le(
        llabs(lease.frame.capture_ns - first_ns - lease.frame.pts * SECOND_NS / SIGNAL_RATE),
        200 * MS);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(acquire(reader, &lease), 0);
        hear_frame(&listener, &lease, &feed);
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_eq(listener.jumps, 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(wait_exit(pid), 0);
    ck_assert_int_eq(count_said("is gone"), 1);
    ck_assert_int_eq(count_said("is back"), 1);
    ck_assert_int_eq(count_said("\n"), 3); /* and the statistics: the libraries are silent */
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* A server that hangs would keep whoever talks to it for ever. */
START_TEST(a_server_that_hangs_keeps_neither_requests_nor_the_end) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    const pid_t pid = MICROPHONE("--sample-format", "s16");
    struct shmframe_reader *reader = open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(acquire(reader, &lease), 0);
    shmframe_reader_release(reader, &lease);
    kill(server.pid, SIGSTOP);
    wait_until_said("is gone");
    struct shmframe_answer answer;
    ck_assert_int_eq(shmframe_session_request(session, "microphone", "pause", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    ck_assert_int_eq(answer.status, 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(read_said(), "delivered nothing for 3 seconds"));
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

START_TEST(a_server_that_hangs_at_the_begin_does_not_keep_the_end) {
    kill(server.pid, SIGSTOP);
    const pid_t pid = MICROPHONE("--duration", "1");
    /* Nothing is to be seen of it before it has a stream: each moment is worth a try. */
    const int64_t deadline_ns = shmframe_deadline_ns(60 * SECOND_NS);
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        kill(pid, SIGINT);
    }
}
END_TEST

/* It stands still for a second; the server keeps the samples, and they all come. */
START_TEST(a_program_that_stood_still_catches_up) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json");
    struct shmframe_reader *reader = open_reader();
    struct listener listener = make_listener();
    struct shmframe_lease lease;
    for (int i = 0; i < 300; i++) {
        if (i == 100)
            kill(pid, SIGSTOP);
        if (i == 100)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        if (i == 100)
            kill(pid, SIGCONT);
        ck_assert_int_eq(acquire(reader, &lease), 0);
        hear_frame(&listener, &lease, &feed);
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_eq(listener.jumps, 0);
    /* Late is not wrong: the times stayed. */
    ck_assert_int_le(listener.most_error_ns, 100 * MS);
    kill(pid, SIGINT);
    ck_assert_int_eq(wait_exit(pid), 0);
    json_t *statistics = read_statistics();
    ck_assert_int_eq(read_number(statistics, "dropped"), 0);
    ck_assert_int_gt(read_number(statistics, "overdue"), 0);
    json_decref(statistics);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* It stands still for longer than the server keeps samples, which are many here, and the server
 * tells nobody. Timestamps follow the clock once it is known that what comes is late for good. */
START_TEST(a_loss_that_nobody_tells_is_found) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    const pid_t pid = MICROPHONE("--sample-format", "s32", "--channels", "32");
    struct shmframe_reader *reader = open_reader();
    struct listener listener = make_listener();
    struct shmframe_lease lease;
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(acquire(reader, &lease), 0);
        hear_frame(&listener, &lease, &feed);
        shmframe_reader_release(reader, &lease);
    }
    const int64_t shift = listener.shift;
    kill(pid, SIGSTOP);
    nanosleep(&(struct timespec){.tv_sec = 4}, NULL);
    kill(pid, SIGCONT);
    int64_t last_pts = 0;
    /* Seconds, of which some are those that the server kept. */
    for (int frames = 0;; frames++) {
        ck_assert_int_lt(frames, 2000);
        ck_assert_int_eq(acquire(reader, &lease), 0);
        hear_frame(&listener, &lease, &feed);
        if (lease.frame.flags & SHMFRAME_DISCONTINUITY)
            break;
        last_pts = lease.frame.pts;
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_ge(listener.jumps, 1);
    const int64_t gap = lease.frame.pts - last_pts - SIGNAL_RATE / 100;
    ck_assert_int_ge(gap, SIGNAL_RATE);
    ck_assert_int_le(llabs((int64_t)lease.frame.device_dropped - gap * 100 / SIGNAL_RATE), 1);
    shmframe_reader_release(reader, &lease);
    ck_assert_msg(llabs(listener.shift - shift) < SIGNAL_RATE / 10, "%jd then, %jd now",
                  (intmax_t)shift, (intmax_t)listener.shift);
    ck_assert_int_eq(count_said("is gone"), 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(read_said(), "by the device"));
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* What refuse.c in front of PortAudio refuses from now on. */
static void refuse(const char *word) {
    char path[96];
    snprintf(path, sizeof(path), "%s/refuse", server.folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(word, file);
    ck_assert_int_eq(fclose(file), 0);
    setenv("REFUSE", path, 1);
}

START_TEST(a_device_that_comes_back_with_another_rate_goes_on_in_that) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &server));
    refuse("");
    setenv("LD_PRELOAD", getenv("REFUSE_LIBRARY"), 1);
    const pid_t pid = MICROPHONE("--sample-format", "s16");
    unsetenv("LD_PRELOAD");
    struct shmframe_reader *reader = open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(acquire(reader, &lease), 0);
    ck_assert_uint_eq(lease.format->audio.sample_rate, 48000);
    const int64_t first_ns = lease.frame.capture_ns;
    shmframe_reader_release(reader, &lease);
    sound_server_kill(&server);
    sound_feed_stop(&feed);
    wait_until_said("is gone");
    refuse("48000");
    ck_assert(sound_server_start(&server));
    ck_assert(sound_feed_start(&feed, &server));
    do {
        ck_assert_int_eq(acquire(reader, &lease), 0);
        shmframe_reader_release(reader, &lease);
    } while (!(lease.flags & SHMFRAME_LEASE_NEW_FORMAT));
    ck_assert_int_eq(acquire(reader, &lease), 0);
    ck_assert_uint_eq(lease.format->audio.sample_rate, 44100);
    ck_assert_int_eq(lease.format->time_base.den, 44100);
    ck_assert_uint_eq(lease.frame.samples, 441);
    /* The same time line in the new unit. */
    ck_assert_int_le(llabs(lease.frame.capture_ns - first_ns - lease.frame.pts * SECOND_NS / 44100),
                     200 * MS);
    shmframe_reader_release(reader, &lease);
    kill(pid, SIGINT);
    ck_assert_int_eq(wait_exit(pid), 0);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

START_TEST(what_a_sound_card_refuses_is_told) {
    setenv("LD_PRELOAD", getenv("REFUSE_LIBRARY"), 1);
    refuse("busy");
    expect_failure(MICROPHONE("--duration", "1"), 1, "default is busy: another program has it");
    refuse("44100");
    expect_failure(MICROPHONE("--sample-rate", "44100"), 1,
                   "does not take 44100 Hz; it takes: 8000 11025 16000 22050 24000 32000 48000");
    unsetenv("LD_PRELOAD");
}
END_TEST

/* Bad input. */

START_TEST(devices_are_listed) {
    const pid_t pid = MICROPHONE("--list", "--format", "json");
    ck_assert_int_eq(wait_exit(pid), 0);
    json_t *root = json_loads(read_said(), 0, NULL);
    ck_assert_msg(root, "%s", read_said());
    const json_t *devices = json_object_get(root, "devices");
    bool is_found = false;
    size_t i;
    json_t *device;
    json_array_foreach(
        devices, i,
        device) if (strcmp(json_string_value(json_object_get(device, "name")), "default") == 0)
        is_found = json_integer_value(json_object_get(device, "channels")) >= 2 &&
                   json_number_value(json_object_get(device, "sample_rate")) > 0;
    ck_assert(is_found);
    json_decref(root);
    ck_assert_int_eq(wait_exit(MICROPHONE("--list")), 0);
    ck_assert_ptr_nonnull(strstr(read_said(), "\"default\" (ALSA)"));
}
END_TEST

START_TEST(what_cannot_be_had_is_told_with_what_can) {
    expect_failure(MICROPHONE("--device", "theremin"), 1, "no input device is \"theremin\"");
    ck_assert_ptr_nonnull(strstr(read_said(), "\"default\""));
    expect_failure(MICROPHONE("--device", "77"), 1, "no input device is number \"77\"");
    expect_failure(MICROPHONE("--channels", "60"), 1, "has 32 channels, not 60");
    expect_failure(MICROPHONE("--sample-rate", "768000"), 1, "does not take 768000 Hz; it takes:");
    ck_assert_ptr_nonnull(strstr(read_said(), " 48000"));
    expect_failure(MICROPHONE("--sample-format", "dbl"), 2, "--sample-format \"dbl\"");
    expect_failure(MICROPHONE("--latency", "11"), 2, "--latency");
    setenv("PULSE_SOURCE", "nothing", 1);
    expect_failure(MICROPHONE("--device", "default"), 1, "default cannot be opened: ");
}
END_TEST

START_TEST(a_machine_without_sound_is_told) {
    sound_server_kill(&server);
    expect_failure(MICROPHONE("--duration", "1"), 1, "there is no default input device");
    setenv("ALSA_CONFIG_PATH", "/dev/null", 1);
    expect_failure(MICROPHONE("--duration", "1"), 1, "there is no sound system");
    ck_assert_int_eq(wait_exit(MICROPHONE("--list")), 0);
    ck_assert_ptr_nonnull(strstr(read_said(), "there is no input device"));
}
END_TEST

static void add(TCase *cases, const char *name, const TTest *test) {
    const char *only = getenv("ONLY");
    if (!only || strstr(name, only))
        tcase_add_test(cases, test);
}

#define ADD(test) add(cases, #test, test)

int main(void) {
    Suite *suite = suite_create("microphone");
    TCase *cases = tcase_create("microphone");
    tcase_set_timeout(cases, getenv("SOAK_SECONDS") ? 240 : 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    ADD(every_sample_arrives_once_in_order_at_its_instant);
    ADD(a_monitor_is_recorded_without_gap_and_repeat);
    if (!getenv("SOAK_SECONDS")) {
        ADD(formats_are_as_libavutil_lays_them_out);
        ADD(a_block_may_be_longer_than_the_devices_buffer);
        ADD(a_pause_publishes_nothing_and_time_goes_on);
        ADD(a_server_that_dies_is_told_once_and_waited_for);
        ADD(a_server_that_hangs_keeps_neither_requests_nor_the_end);
        ADD(a_server_that_hangs_at_the_begin_does_not_keep_the_end);
        ADD(a_program_that_stood_still_catches_up);
        ADD(a_loss_that_nobody_tells_is_found);
        ADD(a_device_that_comes_back_with_another_rate_goes_on_in_that);
        ADD(what_a_sound_card_refuses_is_told);
        ADD(devices_are_listed);
        ADD(what_cannot_be_had_is_told_with_what_can);
        ADD(a_machine_without_sound_is_told);
    }
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
