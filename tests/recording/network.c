/* Recording: over the network, with FFmpeg's own programs on the other side. Loopback only. */
#include "material.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct material_params live = {
    .picture = "libx264", .sound = "aac", .gop = MATERIAL_RATE / 5};

static struct recording *begin(const struct recording_params *params) {
    struct recording *recording;
    ck_assert_msg(recording_create(params, &recording) == 0, "%s", recording_error());
    return recording;
}

/* Four times as fast as time goes: what has no flow control would lose more at once. */
static int play(struct material *material, int pictures) {
    const struct timespec pause = {.tv_nsec = 1000000000 / MATERIAL_RATE / 4};
    int result = 0;
    for (int i = 0; i < pictures && result == 0; i++) {
        result = material_step(material);
        nanosleep(&pause, NULL);
    }
    return result;
}

/* The other side. */

static int bind_socket(int type, int *out_port) {
    const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, bytes), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *out_port = ntohs(address.sin_port);
    return fd;
}

/* Free at this moment, with the one two above it. */
static int find_port(void) {
    int port;
    close(bind_socket(SOCK_DGRAM, &port));
    return port < 65000 ? port & ~1 : port - 500;
}

static pid_t start(const char *command) {
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    return child;
}

static pid_t start_receiver(const char *options, const char *url, const char *path) {
    char command[1024];
    /* What it learns at the beginning comes slowly here: it is to begin with little. */
    snprintf(command, sizeof(command),
             "exec ffmpeg -nostdin -v error -fpsprobesize 0 -probesize 20000 "
             "-analyzeduration 200000 %s -i '%s' -c copy -flush_packets 1 -f nut -y %s",
             options, url, path);
    return start(command);
}

static void wait_for(bool (*is_so)(const void *), const void *what) {
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < 4000; i++) {
        if (is_so(what))
            return;
        nanosleep(&pause, NULL);
    }
    ck_abort_msg("waited in vain");
}

static bool is_bound(const void *port) {
    char line[256], wanted[16];
    bool is_found = false;
    snprintf(wanted, sizeof(wanted), ":%04X ", (unsigned)*(const int *)port);
    static const char *const tables[] = {"/proc/net/udp", "/proc/net/tcp"};
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(tables[i], "r");
        while (file && fgets(line, sizeof(line), file))
            is_found |= strstr(line, wanted) != NULL;
        if (file)
            fclose(file);
    }
    return is_found;
}

static bool has_begun(const void *path) {
    struct stat what;
    return stat(path, &what) == 0 && what.st_size > 4000;
}

/* It looks at the signal between two packets: some go on coming. */
static void stop_receiver(pid_t child, struct material *material) {
    int status;
    kill(child, SIGINT);
    for (int i = 0; waitpid(child, &status, WNOHANG) == 0; i++) {
        ck_assert_int_lt(i, 1000);
        ck_assert_int_eq(play(material, 1), 0);
    }
}

static void expect_received(const char *path, int pictures) {
    struct material_content content;
    material_read(path, &content);
    ck_assert_int_ge(content.pictures, pictures);
    ck_assert_int_ge(content.sounds, pictures);
}

/* Sending. */

START_TEST(srt_brings_picture_and_sound_to_ffmpeg) {
    const int port = find_port();
    char url[64], listener[96];
    snprintf(url, sizeof(url), "srt://127.0.0.1:%d", port);
    snprintf(listener, sizeof(listener), "%s?mode=listener", url);
    const char *path = material_path("srt.nut");
    const pid_t receiver = start_receiver("", listener, path);
    wait_for(is_bound, &port);
    struct recording *recording = begin(&(struct recording_params){.target = url});
    ck_assert_str_eq(recording_format(recording)->name, "mpegts");
    struct material *material = material_begin(&live, recording);
    ck_assert_int_eq(play(material, 4 * MATERIAL_RATE), 0);
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_msg(recording_finish(recording) == 0, "%s", recording_error());
    recording_destroy(recording);
    int status;
    ck_assert_int_eq(waitpid(receiver, &status, 0), receiver); /* the connection's end is its own */
    expect_received(path, 3 * MATERIAL_RATE);
}
END_TEST

/* Plays until the receiver has something, and four seconds more; ends all of them. */
static void play_to(pid_t receiver, const char *path, struct recording *recording,
                    struct material *material) {
    for (int i = 0; i < 400 && !has_begun(path); i++)
        ck_assert_int_eq(play(material, 5), 0);
    ck_assert_int_eq(play(material, 4 * MATERIAL_RATE), 0);
    stop_receiver(receiver, material);
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_msg(recording_finish(recording) == 0, "%s", recording_error());
    recording_destroy(recording);
}

static const char *const datagrams[] = {"udp", "rtp"};

START_TEST(datagrams_of_mpeg_ts_are_joined_in_the_midst) {
    const int port = find_port();
    char url[64];
    snprintf(url, sizeof(url), "%s://127.0.0.1:%d", datagrams[_i], port);
    char name[32];
    snprintf(name, sizeof(name), "%s.nut", datagrams[_i]);
    const char *path = material_path(name);
    const pid_t receiver = start_receiver("", url, path);
    wait_for(is_bound, &port);
    struct recording *recording = begin(&(struct recording_params){.target = url});
    struct material *material = material_begin(&live, recording);
    play_to(receiver, path, recording, material);
    expect_received(path, 3 * MATERIAL_RATE);
}
END_TEST

START_TEST(rtp_of_its_own_per_stream_is_described_by_an_sdp) {
    const int port = find_port();
    char url[64];
    snprintf(url, sizeof(url), "rtp://127.0.0.1:%d", port);
    const char *sdp = material_path("rtp.sdp"), *path = material_path("rtp-each.nut");
    struct recording *recording =
        begin(&(struct recording_params){.target = url, .container = "rtp", .sdp = sdp});
    struct material *material = material_begin(&live, recording);
    const pid_t receiver = start_receiver("-protocol_whitelist file,udp,rtp", sdp, path);
    wait_for(is_bound, &port);
    const int second = port + 2;
    wait_for(is_bound, &second);
    play_to(receiver, path, recording, material);
    expect_received(path, 2 * MATERIAL_RATE);
}
END_TEST

START_TEST(hls_lists_pieces_of_two_seconds_and_plays_whole) {
    const char *path = material_path("live.m3u8");
    struct recording *recording = begin(&(struct recording_params){.target = path});
    const struct material_params params = {
        .picture = "libx264", .sound = "aac", .seconds = 9, .b_frames = 2};
    ck_assert_int_eq(material_write(&params, recording), 0);
    ck_assert_msg(recording_finish(recording) == 0, "%s", recording_error());
    recording_destroy(recording);
    char line[256];
    int pieces = 0;
    FILE *list = fopen(path, "r");
    ck_assert_ptr_nonnull(list);
    while (fgets(line, sizeof(line), list))
        pieces += strstr(line, ".ts") != NULL;
    fclose(list);
    ck_assert_int_eq(pieces, 5);
    struct material_content content;
    material_read(path, &content);
    ck_assert_int_eq(content.pictures, 9 * MATERIAL_RATE);
}
END_TEST

/* Peers that go away. */

static bool expect_line(struct recording *recording, const char *part) {
    char line[RECORDING_PATH_BYTES];
    while (recording_next_line(recording, line))
        if (strstr(line, part))
            return true;
    return false;
}

START_TEST(a_peer_that_goes_away_ends_the_recording_with_a_line) {
    int port;
    const int fd = bind_socket(SOCK_STREAM, &port);
    ck_assert_int_eq(listen(fd, 1), 0);
    program_stop_on_signals(NULL);
    char url[64];
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", port);
    struct recording *recording = begin(&(struct recording_params){.target = url});
    struct material *material = material_begin(&live, recording);
    const int peer = accept(fd, NULL, NULL);
    const struct linger reset = {.l_onoff = 1};
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(peer);
    int result = 0;
    for (int i = 0; i < 2000 && result == 0; i++)
        result = play(material, 1);
    ck_assert_int_lt(result, 0);
    ck_assert_msg(strstr(recording_error(), url) != NULL, "%s", recording_error());
    material_end(material);
    ck_assert_int_eq(recording_finish(recording), result);
    recording_destroy(recording);
    close(fd);
}
END_TEST

static bool has_reconnected(const void *recording) {
    struct recording_state state;
    recording_state((struct recording *)(uintptr_t)recording, &state);
    return state.reconnects > 0;
}

static bool is_away(const void *recording) {
    return expect_line((struct recording *)(uintptr_t)recording, "looked for again");
}

START_TEST(a_peer_that_comes_back_gets_the_rest_from_a_key_frame_on) {
    int port;
    int fd = bind_socket(SOCK_STREAM, &port);
    close(fd);
    char url[64], listener[96];
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", port);
    snprintf(listener, sizeof(listener), "%s?listen=1", url);
    program_stop_on_signals(NULL);
    /* Not there at all at the beginning. */
    struct recording *recording =
        begin(&(struct recording_params){.target = url, .is_reconnecting = true});
    const struct material_params sparse = {.picture = "libx264", .sound = "aac"};
    struct material *material = material_begin(&sparse, recording);
    ck_assert_int_eq(play(material, 10), 0);
    wait_for(is_away, recording);
    const char *path = material_path("back.nut");
    const pid_t receiver = start_receiver("", listener, path);
    wait_for(has_reconnected, recording);
    ck_assert(expect_line(recording, "there again"));
    for (int i = 0; i < 400 && !has_begun(path); i++)
        ck_assert_int_eq(play(material, 5), 0);
    ck_assert_int_eq(play(material, 4 * MATERIAL_RATE), 0);
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_msg(recording_finish(recording) == 0, "%s", recording_error());
    struct recording_state state;
    recording_state(recording, &state);
    ck_assert_uint_gt(state.dropped, 0);
    recording_destroy(recording);
    int status;
    ck_assert_int_eq(waitpid(receiver, &status, 0), receiver);
    expect_received(path, 3 * MATERIAL_RATE); /* material_read() wants a key frame first */
}
END_TEST

/* Ctrl-C. */

static void *stop_soon(void *user) {
    const struct timespec pause = {.tv_nsec = 200000000};
    (void)user;
    nanosleep(&pause, NULL);
    program_stop();
    return NULL;
}

START_TEST(a_connection_that_does_not_come_about_can_be_left) {
    int port;
    const int fd = bind_socket(SOCK_DGRAM, &port); /* takes packets and says nothing */
    char url[96];
    snprintf(url, sizeof(url), "srt://127.0.0.1:%d?connect_timeout=60000", port);
    program_stop_on_signals(NULL);
    struct recording *recording = begin(&(struct recording_params){.target = url});
    pthread_t stopper;
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_soon, NULL), 0);
    struct material *material = material_begin(&live, recording);
    pthread_join(stopper, NULL);
    const int result = material_end(material); /* by then, or at the end */
    const int finished = recording_finish(recording);
    ck_assert_int_eq(result < 0 ? result : finished, -EINTR);
    recording_destroy(recording);
    close(fd);
}
END_TEST

/* Who serves its users while it waits for a target counts how often. */
static atomic_int served;

static void serve(void *user) {
    (void)user;
    served++;
}

START_TEST(users_are_served_while_a_peer_takes_nothing_of_the_end) {
    int port;
    const int fd = bind_socket(SOCK_STREAM, &port);
    ck_assert_int_eq(listen(fd, 1), 0); /* connected by the kernel, never read */
    char url[64];
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", port);
    program_stop_on_signals(NULL);
    struct recording *recording = begin(&(struct recording_params){.target = url, .serve = serve});
    const struct material_params noise = {
        .picture = "mpeg4", .seconds = 2, .gop = 5, .width = 640, .height = 480, .is_noise = true};
    ck_assert_int_eq(material_write(&noise, recording), 0);
    /* No signal: it ends by itself. */
    ck_assert_int_lt(recording_finish(recording), 0);
    ck_assert_msg(strstr(recording_error(), url), "%s", recording_error());
    ck_assert_int_gt(served, 20);
    recording_destroy(recording);
    close(fd);
}
END_TEST

START_TEST(what_comes_before_the_peer_is_dropped_and_holds_up_nobody) {
    int port;
    const int fd = bind_socket(SOCK_DGRAM, &port); /* takes packets and says nothing */
    char url[96];
    snprintf(url, sizeof(url), "srt://127.0.0.1:%d?connect_timeout=60000", port);
    program_stop_on_signals(NULL);
    struct recording *recording = begin(&(struct recording_params){.target = url, .serve = serve});
    struct material *material = material_begin(&live, recording);
    for (int i = 0; i < 20 * MATERIAL_RATE; i++)
        ck_assert_int_eq(material_step(material), 0);
    ck_assert(expect_line(recording, "not there yet"));
    struct recording_state state;
    recording_state(recording, &state);
    ck_assert_uint_gt(state.dropped, 10 * MATERIAL_RATE);
    ck_assert_uint_eq(state.queued_bytes, 0);
    ck_assert_int_eq(material_end(material), 0);
    program_stop();
    ck_assert_int_eq(recording_finish(recording), -EINTR);
    recording_destroy(recording);
    close(fd);
}
END_TEST

START_TEST(a_peer_that_takes_nothing_can_be_left) {
    int port;
    const int fd = bind_socket(SOCK_STREAM, &port);
    ck_assert_int_eq(listen(fd, 1), 0); /* connected by the kernel, never read */
    char url[64];
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", port);
    program_stop_on_signals(NULL);
    struct recording *recording = begin(&(struct recording_params){.target = url});
    const struct material_params noise = {
        .picture = "mpeg4", .seconds = 2, .gop = 5, .width = 640, .height = 480, .is_noise = true};
    ck_assert_int_eq(material_write(&noise, recording), 0);
    program_stop();
    ck_assert_int_lt(recording_finish(recording), 0);
    recording_destroy(recording);
    close(fd);
}
END_TEST

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    Suite *suite = suite_create("recording network");
    TCase *tests = tcase_create("network");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, material_make_folder, material_remove_folder);
    tcase_add_test(tests, srt_brings_picture_and_sound_to_ffmpeg);
    tcase_add_loop_test(tests, datagrams_of_mpeg_ts_are_joined_in_the_midst, 0,
                        sizeof(datagrams) / sizeof(*datagrams));
    tcase_add_test(tests, rtp_of_its_own_per_stream_is_described_by_an_sdp);
    tcase_add_test(tests, hls_lists_pieces_of_two_seconds_and_plays_whole);
    tcase_add_test(tests, a_peer_that_goes_away_ends_the_recording_with_a_line);
    tcase_add_test(tests, a_peer_that_comes_back_gets_the_rest_from_a_key_frame_on);
    tcase_add_test(tests, a_connection_that_does_not_come_about_can_be_left);
    if (getenv("SHMFRAME_TEST_ALL")) /* waits for ten seconds */
        tcase_add_test(tests, users_are_served_while_a_peer_takes_nothing_of_the_end);
    tcase_add_test(tests, what_comes_before_the_peer_is_dropped_and_holds_up_nobody);
    tcase_add_test(tests, a_peer_that_takes_nothing_can_be_left);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
