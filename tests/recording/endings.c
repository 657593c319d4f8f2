/* Recording: whatever ends it, what was written is playable. */
#include "material.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct recording *begin(const struct recording_params *params) {
    struct recording *recording;
    ck_assert_msg(recording_create(params, &recording) == 0, "%s", recording_error());
    return recording;
}

/* SIGKILL. */

static const struct {
    const char *name, *picture, *sound;
    int b_frames;
} killed[] = {
    {"killed.mkv", "libx264", "flac", 2},    {"killed.mp4", "libx264", "aac", 2},
    {"killed.ts", "libx264", "aac", 2},      {"killed.mov", "mpeg4", "pcm_s16le", 0},
    {"killed.webm", "libvpx", "libopus", 0}, {"killed.nut", "ffv1", "pcm_s16le", 0},
    {"killed.ogg", NULL, "flac", 0},         {"killed.wav", NULL, "pcm_s16le", 0},
    {"killed.flac", NULL, "flac", 0},        {"killed.3gp", "libx264", "aac", 0},
    {"killed.3g2", "mpeg4", "aac", 0},       {"killed.f4v", "libx264", "aac", 2},
    {"killed.ismv", "libx264", "aac", 2},    {"killed.avi", "mpeg4", "pcm_s16le", 0},
    {"killed.flv", "libx264", "aac", 0},     {"killed.opus", NULL, "libopus", 0},
    {"killed.mp3", NULL, "libmp3lame", 0},   {"killed.m4a", NULL, "aac", 0},
    {"killed.aac", NULL, "aac", 0},
};
enum { KILLED_ALWAYS = 3 };

/* Nine seconds and a little on disk, or on its way there; the one and only key frame at their
 * beginning; then it waits for its end. */
static void record_until_killed(const char *path, int index, int ready_fd) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct recording *recording = begin(&(struct recording_params){.target = path});
    const struct material_params params = {.picture = killed[index].picture,
                                           .sound = killed[index].sound,
                                           .b_frames = killed[index].b_frames};
    struct material *material = material_begin(&params, recording);
    for (int i = 0; i < 10 * MATERIAL_RATE; i++)
        material_step(material);
    struct recording_state state;
    do {
        usleep(1000);
        recording_state(recording, &state);
        const int written = material_step(material); /* what comes after is of no account */
        ck_assert_msg(written == 0, "%s", recording_error());
    } while (state.written_ns < INT64_C(9000000000));
    (void)!write(ready_fd, "", 1);
    for (;;)
        pause();
}

START_TEST(a_file_that_is_killed_plays_up_to_the_last_two_seconds) {
    const char *path = material_path(killed[_i].name);
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0)
        record_until_killed(path, _i, ready[1]);
    close(ready[1]);
    char byte;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);

    struct material_content content;
    material_read(path, &content);
    if (killed[_i].picture)
        ck_assert_int_ge(content.last_picture_us, 7900000);
    if (killed[_i].sound)
        ck_assert_int_ge(content.end_sound_us, 7900000);
}
END_TEST

/* Slow and closed pipes. */

static int record_into(int fd, bool is_waiting, int pictures, struct recording_state *out_state) {
    ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    close(fd);
    struct recording *recording = begin(
        &(struct recording_params){.target = "-", .container = "nut", .is_waiting = is_waiting});
    const struct material_params params = {.picture = "mpeg4", .gop = 10};
    struct material *material = material_begin(&params, recording);
    for (int i = 0; i < pictures; i++)
        material_step(material);
    const int result = material_end(material);
    if (result == 0 && !is_waiting)
        program_stop(); /* nobody reads: only a signal ends it */
    const int finished = recording_finish(recording);
    recording_state(recording, out_state);
    recording_destroy(recording);
    return result < 0 ? result : finished;
}

START_TEST(a_pipe_that_nobody_reads_loses_packets_and_can_be_left) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    program_stop_on_signals(NULL);
    struct recording_state state;
    /* A minute of pictures; ten seconds may wait, and the pipe holds a few more. */
    ck_assert_int_lt(record_into(ends[1], false, 60 * MATERIAL_RATE, &state), 0);
    ck_assert_uint_ge(state.dropped, 10 * MATERIAL_RATE);
    ck_assert_int_ge(state.dropped_ns, INT64_C(10000000000));
    close(ends[0]);
}
END_TEST

START_TEST(a_pipe_that_is_read_slowly_loses_nothing_where_packets_wait) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[0], STDIN_FILENO);
        close(ends[1]);
        /* Small bites: the writer is faster than that. */
        execlp("sh", "sh", "-c",
               "test $(dd bs=512 status=none | ffprobe -v error -count_packets "
               "-show_entries stream=nb_read_packets -of csv=p=0 -) = 1500",
               (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    program_stop_on_signals(NULL);
    struct recording_state state;
    ck_assert_int_eq(record_into(ends[1], true, 60 * MATERIAL_RATE, &state), 0);
    close(STDOUT_FILENO);
    ck_assert_uint_eq(state.dropped, 0);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* The queue is in the way of the change: a signal ends that, too. */
START_TEST(a_change_of_format_while_a_fifo_is_not_read_can_be_left) {
    const char *path = material_path("stalled.nut");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    const int fifo = open(path, O_RDWR | O_CLOEXEC); /* read by nobody */
    program_stop_on_signals(NULL);
    struct recording *recording =
        begin(&(struct recording_params){.target = path, .container = "nut"});
    const struct material_params noise = {
        .picture = "mpeg4", .gop = 5, .width = 640, .height = 480, .is_noise = true};
    struct material *material = material_begin(&noise, recording);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(material_step(material), 0);
    ck_assert_int_eq(material_set_streams(material), -ENOTSUP); /* one flow */
    material_end(material);
    program_stop();
    ck_assert_int_lt(recording_finish(recording), 0);
    recording_destroy(recording);
    close(fifo);
}
END_TEST

static const struct timespec soon = {.tv_nsec = 300000000};

static void *stop_soon(void *user) {
    (void)user;
    nanosleep(&soon, NULL);
    program_stop();
    return NULL;
}

START_TEST(a_change_of_format_while_a_peer_takes_nothing_can_be_left) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, bytes), 0);
    ck_assert_int_eq(listen(fd, 1), 0); /* connected by the kernel, never read */
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    char url[64];
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", ntohs(address.sin_port));
    program_stop_on_signals(NULL);
    struct recording *recording = begin(&(struct recording_params){.target = url});
    const struct material_params noise = {
        .picture = "mpeg4", .gop = 5, .width = 640, .height = 480, .is_noise = true};
    struct material *material = material_begin(&noise, recording);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(material_step(material), 0);
    pthread_t stopper;
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_soon, NULL), 0);
    ck_assert_int_lt(material_set_streams(material), 0);
    pthread_join(stopper, NULL);
    material_end(material);
    recording_finish(recording);
    recording_destroy(recording);
    close(fd);
}
END_TEST

START_TEST(a_pipe_that_is_closed_ends_the_recording_with_a_line) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    program_stop_on_signals(NULL);
    struct recording_state state;
    ck_assert_int_eq(record_into(ends[1], true, 60 * MATERIAL_RATE, &state), -EPIPE);
    ck_assert_ptr_nonnull(strstr(recording_error(), "standard output"));
}
END_TEST

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    Suite *suite = suite_create("recording endings");
    TCase *tests = tcase_create("endings");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, material_make_folder, material_remove_folder);
    const size_t containers = sizeof(killed) / sizeof(*killed);
    tcase_add_loop_test(tests, a_file_that_is_killed_plays_up_to_the_last_two_seconds, 0,
                        getenv("SHMFRAME_TEST_ALL") ? (int)containers : KILLED_ALWAYS);
    tcase_add_test(tests, a_pipe_that_nobody_reads_loses_packets_and_can_be_left);
    tcase_add_test(tests, a_pipe_that_is_read_slowly_loses_nothing_where_packets_wait);
    tcase_add_test(tests, a_change_of_format_while_a_fifo_is_not_read_can_be_left);
    tcase_add_test(tests, a_change_of_format_while_a_peer_takes_nothing_can_be_left);
    tcase_add_test(tests, a_pipe_that_is_closed_ends_the_recording_with_a_line);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
