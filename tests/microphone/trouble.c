/* What goes wrong with shmframe-microphone: devices, servers and the program itself that stand
 * still or die, and what nobody can have. */
#include "listener.h"
#include "stage.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define MS        INT64_C(1000000)
#define SECOND_NS (1000 * MS)

/* What goes wrong on the way. */

START_TEST(a_pause_publishes_nothing_and_time_goes_on) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    struct listener listener = listener_make();
    struct shmframe_lease lease;
    struct shmframe_answer answer;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    listener_hear_frame(&listener, &lease, &feed);
    int64_t last_pts = lease.frame.pts;
    shmframe_reader_release(reader, &lease);
    ck_assert_int_eq(shmframe_session_request(stage_session, "microphone", "pause", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0) {
        listener_hear_frame(&listener, &lease, &feed);
        last_pts = lease.frame.pts;
        shmframe_reader_release(reader, &lease);
    }
    /* Nothing for a while; a reader hears of frames at once. */
    ck_assert_int_eq(shmframe_reader_wait(reader, shmframe_deadline_ns(SECOND_NS / 2)), -ETIMEDOUT);
    ck_assert_int_eq(shmframe_session_request(stage_session, "microphone", "resume", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    ck_assert_uint_eq(lease.frame.device_dropped, 0);
    /* More is missing than the rest of a block. Not all of the half second need be: what was
     * captured then may be handed over after it, and is published as what it is. */
    ck_assert_int_gt(lease.frame.pts - last_pts, 2 * SIGNAL_RATE / 100);
    const int64_t shift = listener.shift;
    listener_hear_frame(&listener, &lease, &feed);
    ck_assert_int_eq(listener.shift, shift); /* all samples were counted */
    shmframe_reader_release(reader, &lease);
    kill(pid, SIGTERM);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    json_t *statistics = stage_read_statistics();
    ck_assert_int_eq(stage_read_number(statistics, "dropped"), 0);
    json_decref(statistics);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

START_TEST(a_server_that_dies_is_told_once_and_waited_for) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    struct listener listener = listener_make();
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    const int64_t first_ns = lease.frame.capture_ns;
    shmframe_reader_release(reader, &lease);
    sound_server_kill(&stage_server);
    stage_wait_until_said("is gone");
    /* Requests are served without a device. */
    struct shmframe_answer answer;
    ck_assert_int_eq(shmframe_session_request(stage_session, "microphone", "help", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    ck_assert_int_eq(answer.status, 0);
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL); /* several tries in vain */
    sound_feed_stop(&feed);
    ck_assert(sound_server_start(&stage_server));
    ck_assert(sound_feed_start(&feed, &stage_server));
    stage_wait_until_said("is back");
    bool is_found = false;
    int64_t last_pts = 0;
    while (!is_found) {
        ck_assert_int_eq(stage_acquire(reader, &lease), 0);
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
        ck_assert_int_eq(stage_acquire(reader, &lease), 0);
        listener_hear_frame(&listener, &lease, &feed);
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_eq(listener.jumps, 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_int_eq(stage_count_said("is gone"), 1);
    ck_assert_int_eq(stage_count_said("is back"), 1);
    ck_assert_int_eq(stage_count_said("\n"), 3); /* and the statistics: the libraries are silent */
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* The number of the device in the list; -1: it is not there. */
static int find_number(const char *name) {
    ck_assert_int_eq(stage_wait_exit(MICROPHONE("--list", "--format", "json")), 0);
    json_t *root = json_loads(stage_said(), 0, NULL);
    ck_assert_msg(root, "%s", stage_said());
    int number = -1;
    size_t i;
    json_t *device;
    json_array_foreach(json_object_get(root, "devices"), i, device) {
        if (strcmp(json_string_value(json_object_get(device, "name")), name) == 0)
            number = (int)json_integer_value(json_object_get(device, "number"));
    }
    json_decref(root);
    return number;
}

/* A device comes that moves the numbers of the others. */
START_TEST(a_device_that_was_chosen_by_its_number_comes_back_as_itself) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    ck_assert(sound_server_set_devices(&stage_server, "pcm.mic { type pulse }\n"));
    char number[16];
    snprintf(number, sizeof(number), "%d", find_number("mic"));
    const pid_t pid = MICROPHONE("--device", number);
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    shmframe_reader_release(reader, &lease);
    sound_server_kill(&stage_server);
    sound_feed_stop(&feed);
    stage_wait_until_said("mic is gone");
    ck_assert(sound_server_set_devices(&stage_server, "pcm.another { type pulse }\n"
                                                      "pcm.mic { type pulse }\n"));
    ck_assert(sound_server_start(&stage_server));
    ck_assert(sound_feed_start(&feed, &stage_server));
    stage_wait_until_said(" is back");
    ck_assert_ptr_nonnull(strstr(stage_said(), ": mic is back"));
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    /* Or nothing was tried here. */
    ck_assert_int_ne(find_number("mic"), atoi(number));
    ck_assert_int_eq(find_number("another"), atoi(number));
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* A server that dies with memory lent would keep its library for ever, in one of eight cases: none
 * is to be mapped at all. The user's own settings for the library go on to count. */
START_TEST(the_server_lends_no_memory) {
    char path[96], folder[96];
    snprintf(folder, sizeof(folder), "%s/.pulse", stage_server.folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    snprintf(path, sizeof(path), "%s/.pulse/client.conf", stage_server.folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "default-server = %s\n", getenv("PULSE_SERVER"));
    ck_assert_int_eq(fclose(file), 0);
    unsetenv("PULSE_SERVER");
    /* Where a server would be looked for without a setting. */
    setenv("XDG_RUNTIME_DIR", folder, 1);
    setenv("PULSE_RUNTIME_PATH", folder, 1);
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s16");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    shmframe_reader_release(reader, &lease);
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    char line[512];
    while (fgets(line, sizeof(line), file))
        ck_assert_msg(!strstr(line, "memfd:pulse") && !strstr(line, "pulse-shm"), "%s", line);
    fclose(file);
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* A server that hangs would keep whoever talks to it for ever. */
START_TEST(a_server_that_hangs_keeps_neither_requests_nor_the_end) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s16");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    shmframe_reader_release(reader, &lease);
    kill(stage_server.pid, SIGSTOP);
    stage_wait_until_said("is gone");
    struct shmframe_answer answer;
    ck_assert_int_eq(shmframe_session_request(stage_session, "microphone", "pause", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    ck_assert_int_eq(answer.status, 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(stage_said(), "delivered nothing for 3 seconds"));
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* Waits until the program has its stream, without being a reader. */
static void wait_for_stream(void) {
    const int64_t deadline_ns = shmframe_deadline_ns(30 * SECOND_NS);
    struct shmframe_answer answer;
    while (shmframe_session_request(stage_session, "microphone", "help", NULL, deadline_ns,
                                    &answer) != 0) {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

/* Waits until the process has a second thread. */
static void wait_for_thread(pid_t pid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    const int64_t deadline_ns = shmframe_deadline_ns(30 * SECOND_NS);
    struct stat folder;
    /* "." and ".." and one more for each. */
    while (stat(path, &folder) == 0 && folder.st_nlink < 4) {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

START_TEST(a_server_that_hangs_at_the_begin_does_not_keep_the_end) {
    kill(stage_server.pid, SIGSTOP);
    const pid_t pid = MICROPHONE("--duration", "1");
    /* Nothing is to be seen of it before it has a stream, but for the thread that hangs. */
    wait_for_thread(pid);
    kill(pid, SIGINT);
    const int exit_code = stage_wait_exit(pid);
    ck_assert_msg(exit_code == 0, "%d: %s", exit_code, stage_said());
}
END_TEST

/* The sound libraries are silenced while they work; what the program itself has to say is not. */
START_TEST(a_server_that_hangs_silences_no_message) {
    static const char command[] = "exec \"$SHMFRAME_MICROPHONE\" --format json >/dev/full";
    kill(stage_server.pid, SIGSTOP);
    const pid_t pid =
        stage_start(stage_said_path, "sh", (const char *const[]){"-c", command, NULL});
    wait_for_thread(pid);
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 1);
    ck_assert_ptr_nonnull(strstr(stage_said(), "cannot be written to standard output"));
}
END_TEST

/* What was opened is not there any more when the readers are. */
START_TEST(a_server_that_dies_before_the_begin_is_waited_for) {
    struct sound_feed feed;
    const pid_t pid = MICROPHONE("--wait-readers", "1", "--frames", "10");
    wait_for_stream();
    sound_server_kill(&stage_server);
    struct shmframe_reader *reader = stage_open_reader();
    stage_wait_until_said("default is gone: default does not start");
    ck_assert(sound_server_start(&stage_server));
    ck_assert(sound_feed_start(&feed, &stage_server));
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    shmframe_reader_release(reader, &lease);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_int_eq(stage_count_said("default is back"), 1);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

START_TEST(a_server_that_hangs_before_the_begin_does_not_keep_the_end) {
    const pid_t pid = MICROPHONE("--wait-readers", "1", "--duration", "1");
    wait_for_stream();
    kill(stage_server.pid, SIGSTOP);
    struct shmframe_reader *reader = stage_open_reader();
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(stage_said(), ": 0 frames in"));
    shmframe_reader_close(reader);
}
END_TEST

/* It stands still for a second; the server keeps the samples, and they all come. */
START_TEST(a_program_that_stood_still_catches_up) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    struct listener listener = listener_make();
    struct shmframe_lease lease;
    for (int i = 0; i < 300; i++) {
        if (i == 100)
            kill(pid, SIGSTOP);
        if (i == 100)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        if (i == 100)
            kill(pid, SIGCONT);
        ck_assert_int_eq(stage_acquire(reader, &lease), 0);
        listener_hear_frame(&listener, &lease, &feed);
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_eq(listener.jumps, 0);
    /* Late is not wrong: the times stayed. */
    ck_assert_int_le(listener.most_error_ns, 100 * MS);
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    json_t *statistics = stage_read_statistics();
    ck_assert_int_eq(stage_read_number(statistics, "dropped"), 0);
    ck_assert_int_gt(stage_read_number(statistics, "overdue"), 0);
    json_decref(statistics);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* Both stood still, for longer than a device may be silent, and the program goes on first: time in
 * which it did not run is no silence. */
START_TEST(a_program_that_stood_still_gives_the_server_time) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s16");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    shmframe_reader_release(reader, &lease);
    kill(stage_server.pid, SIGSTOP);
    kill(pid, SIGSTOP);
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0)
        shmframe_reader_release(reader, &lease);
    nanosleep(&(struct timespec){.tv_sec = 3, .tv_nsec = 200000000}, NULL);
    kill(pid, SIGCONT);
    struct shmframe_answer answer;
    ck_assert_int_eq(shmframe_session_request(stage_session, "microphone", "help", NULL,
                                              shmframe_deadline_ns(10 * SECOND_NS), &answer),
                     0);
    kill(stage_server.pid, SIGCONT);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(stage_acquire(reader, &lease), 0);
        shmframe_reader_release(reader, &lease);
    }
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_int_eq(stage_count_said("is gone"), 0);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* It stands still for longer than the server keeps samples, which are many here, and the server
 * tells nobody. Timestamps follow the clock once it is known that what comes is late for good. */
START_TEST(a_loss_that_nobody_tells_is_found) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    const pid_t pid = MICROPHONE("--sample-format", "s32", "--channels", "32");
    struct shmframe_reader *reader = stage_open_reader();
    struct listener listener = listener_make();
    struct shmframe_lease lease;
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(stage_acquire(reader, &lease), 0);
        listener_hear_frame(&listener, &lease, &feed);
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
        ck_assert_int_eq(stage_acquire(reader, &lease), 0);
        listener_hear_frame(&listener, &lease, &feed);
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
    ck_assert_int_eq(stage_count_said("is gone"), 0);
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(stage_said(), "by the device"));
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* What refuse.c in front of PortAudio refuses from now on. */
static void refuse(const char *word) {
    char path[96];
    snprintf(path, sizeof(path), "%s/refuse", stage_server.folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(word, file);
    ck_assert_int_eq(fclose(file), 0);
    setenv("REFUSE", path, 1);
}

START_TEST(a_device_that_comes_back_with_another_rate_goes_on_in_that) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    refuse("");
    setenv("LD_PRELOAD", getenv("REFUSE_LIBRARY"), 1);
    const pid_t pid = MICROPHONE("--sample-format", "s16");
    unsetenv("LD_PRELOAD");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease;
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    ck_assert_uint_eq(lease.format->audio.sample_rate, 48000);
    const int64_t first_ns = lease.frame.capture_ns;
    shmframe_reader_release(reader, &lease);
    sound_server_kill(&stage_server);
    sound_feed_stop(&feed);
    stage_wait_until_said("is gone");
    refuse("48000");
    ck_assert(sound_server_start(&stage_server));
    ck_assert(sound_feed_start(&feed, &stage_server));
    do {
        ck_assert_int_eq(stage_acquire(reader, &lease), 0);
        shmframe_reader_release(reader, &lease);
    } while (!(lease.flags & SHMFRAME_LEASE_NEW_FORMAT));
    ck_assert_int_eq(stage_acquire(reader, &lease), 0);
    ck_assert_uint_eq(lease.format->audio.sample_rate, 44100);
    ck_assert_int_eq(lease.format->time_base.den, 44100);
    ck_assert_uint_eq(lease.frame.samples, 441);
    /* The same time line in the new unit. */
    ck_assert_int_le(llabs(lease.frame.capture_ns - first_ns - lease.frame.pts * SECOND_NS / 44100),
                     200 * MS);
    shmframe_reader_release(reader, &lease);
    kill(pid, SIGINT);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

/* Blocks that are no multiple of what the server hands over: gaps are in their midst. */
START_TEST(a_loss_that_the_device_tells_is_told_where_it_is) {
    struct sound_feed feed;
    ck_assert(sound_feed_start(&feed, &stage_server));
    refuse("overflow");
    setenv("LD_PRELOAD", getenv("REFUSE_LIBRARY"), 1);
    const pid_t pid = MICROPHONE("--sample-format", "s16", "--block", "1000", "--frames", "300",
                                 "--format", "json", "--wait-readers", "1");
    unsetenv("LD_PRELOAD");
    struct shmframe_reader *reader = stage_open_reader();
    struct listener listener = listener_make();
    struct shmframe_lease lease;
    int64_t next_pts = 0, dropped = 0, gaps = 0;
    while (stage_acquire(reader, &lease) == 0) {
        const int64_t gap = lease.frame.pts - next_pts, jumps = listener.jumps;
        ck_assert_int_eq(lease.frame.device_dropped, (gap + 999) / 1000);
        ck_assert_int_eq(!!(lease.frame.flags & SHMFRAME_DISCONTINUITY), gap > 0);
        listener_hear_frame(&listener, &lease, &feed);
        /* Nothing is missing within a block, and between two of them only where it is told. */
        ck_assert_int_eq(listener.jumps - jumps, gap > 0);
        if (gap > 0) {
            ck_assert_int_ge(gap, 3000 / 2);
            gaps++;
        }
        dropped += lease.frame.device_dropped;
        next_pts = lease.frame.pts + lease.frame.samples;
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_ge(gaps, 2);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    json_t *statistics = stage_read_statistics();
    /* As large as they were: the times are right, but for what is stated, and for what the feed and
     * the server are late by. */
    const int64_t stated_ns = stage_read_number(statistics, "clock_error_us") * 1000;
    ck_assert_int_le(listener.most_error_ns, stated_ns + 100 * MS);
    ck_assert_int_ge(listener.least_error_ns, -stated_ns - MS);
    ck_assert_int_eq(stage_read_number(statistics, "device_dropped"), dropped);
    json_decref(statistics);
    shmframe_reader_close(reader);
    sound_feed_stop(&feed);
}
END_TEST

START_TEST(what_a_sound_card_refuses_is_told) {
    setenv("LD_PRELOAD", getenv("REFUSE_LIBRARY"), 1);
    refuse("busy");
    stage_expect_failure(MICROPHONE("--duration", "1"), 1,
                         "default is busy: another program has it");
    refuse("44100");
    stage_expect_failure(
        MICROPHONE("--sample-rate", "44100"), 1,
        "does not take 44100 Hz; it takes: 8000 11025 16000 22050 24000 32000 48000");
    unsetenv("LD_PRELOAD");
}
END_TEST

/* Bad input. */

START_TEST(devices_are_listed) {
    const pid_t pid = MICROPHONE("--list", "--format", "json");
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    json_t *root = json_loads(stage_said(), 0, NULL);
    ck_assert_msg(root, "%s", stage_said());
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
    ck_assert_int_eq(stage_wait_exit(MICROPHONE("--list")), 0);
    ck_assert_ptr_nonnull(strstr(stage_said(), "\"default\" (ALSA)"));
}
END_TEST

START_TEST(what_cannot_be_had_is_told_with_what_can) {
    stage_expect_failure(MICROPHONE("--device", "theremin"), 1, "no input device is \"theremin\"");
    ck_assert_ptr_nonnull(strstr(stage_said(), "\"default\""));
    stage_expect_failure(MICROPHONE("--device", "77"), 1, "no input device is number \"77\"");
    /* A number that is another one where it is cut to an int. */
    stage_expect_failure(MICROPHONE("--device", "4294967296"), 1,
                         "no input device is number \"4294967296\"");
    stage_expect_failure(MICROPHONE("--device", "99999999999999999999"), 1,
                         "no input device is number \"99999999999999999999\"");
    stage_expect_failure(MICROPHONE("--channels", "60"), 1, "has 32 channels, not 60");
    stage_expect_failure(MICROPHONE("--sample-rate", "768000"), 1,
                         "does not take 768000 Hz; it takes:");
    ck_assert_ptr_nonnull(strstr(stage_said(), " 48000"));
    stage_expect_failure(MICROPHONE("--sample-format", "dbl"), 2, "--sample-format \"dbl\"");
    stage_expect_failure(MICROPHONE("--latency", "11"), 2, "--latency");
    setenv("PULSE_SOURCE", "nothing", 1);
    stage_expect_failure(MICROPHONE("--device", "default"), 1, "default cannot be opened: ");
}
END_TEST

/* It has samples whenever it is asked. */
START_TEST(a_device_that_never_waits_is_no_device) {
    ck_assert(sound_server_set_devices(&stage_server, "pcm.nothing { type null }\n"));
    stage_expect_failure(MICROPHONE("--device", "nothing"), 1,
                         "nothing delivers samples far faster than its 48000 Hz");
}
END_TEST

START_TEST(a_machine_without_sound_is_told) {
    sound_server_kill(&stage_server);
    stage_expect_failure(MICROPHONE("--duration", "1"), 1, "there is no default input device");
    setenv("ALSA_CONFIG_PATH", "/dev/null", 1);
    stage_expect_failure(MICROPHONE("--duration", "1"), 1, "there is no sound system");
    ck_assert_int_eq(stage_wait_exit(MICROPHONE("--list")), 0);
    ck_assert_ptr_nonnull(strstr(stage_said(), "there is no input device"));
}
END_TEST

int main(void) {
    const TTest *const cases[] = {
        a_pause_publishes_nothing_and_time_goes_on,
        a_server_that_dies_is_told_once_and_waited_for,
        a_device_that_was_chosen_by_its_number_comes_back_as_itself,
        the_server_lends_no_memory,
        a_server_that_hangs_keeps_neither_requests_nor_the_end,
        a_server_that_hangs_at_the_begin_does_not_keep_the_end,
        a_server_that_hangs_silences_no_message,
        a_server_that_dies_before_the_begin_is_waited_for,
        a_server_that_hangs_before_the_begin_does_not_keep_the_end,
        a_program_that_stood_still_catches_up,
        a_program_that_stood_still_gives_the_server_time,
        a_loss_that_nobody_tells_is_found,
        a_device_that_comes_back_with_another_rate_goes_on_in_that,
        a_loss_that_the_device_tells_is_told_where_it_is,
        what_a_sound_card_refuses_is_told,
        devices_are_listed,
        what_cannot_be_had_is_told_with_what_can,
        a_device_that_never_waits_is_no_device,
        a_machine_without_sound_is_told,
        NULL,
    };
    return stage_run("trouble", cases);
}
