/* shmframe-media: what comes by the network and has no end. */
#include "gather.h"
#include "port.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static char url[192];

static void make_clip(const char *name, const char *size, int seconds) {
    char words[512];
    snprintf(rig_clip_path, sizeof(rig_clip_path), "%s/%s", rig_folder, name);
    snprintf(words, sizeof(words),
             "-f lavfi -i testsrc=size=%s:rate=25 -f lavfi -i sine=440:sample_rate=48000 -t %d "
             "-c:v mpeg2video -g 5 -qscale:v 2 -c:a mp2 -f mpegts %s",
             size, seconds, rig_clip_path);
    reference_run(words);
}

static pid_t send_clip(const char *clip, const char *format, const char *option, const char *to) {
    const char *arguments[16] = {"-nostdin", "-loglevel", "error", "-re", "-i",
                                 clip,       "-c",        "copy",  "-f",  format};
    int count = 10;
    if (option) {
        arguments[count++] = option;
        arguments[count++] = "1";
    }
    arguments[count] = to;
    return rig_start("sender", "ffmpeg", arguments);
}

/* Starts a server by HTTP that sends the clip once, to whom comes first, at its own pace. */
static pid_t serve_http(int port) {
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/live", port);
    const pid_t pid = send_clip(rig_clip_path, "mpegts", "-listen", url);
    return port_wait(port, false, pid) ? pid : -1;
}

static int serve_http_somewhere(pid_t *out_pid) {
    int port;
    do {
        port = port_find(false);
        *out_pid = serve_http(port);
    } while (*out_pid < 0); /* somebody has taken the port meanwhile */
    return port;
}

/* At the port of before, which somebody else may have for a moment. */
static pid_t serve_http_again(int port) {
    const int64_t deadline_ns = shmframe_deadline_ns(30 * SECOND_NS);
    pid_t pid;
    while ((pid = serve_http(port)) < 0)
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
    return pid;
}

static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void expect_lossless_to_be_refused(void) {
    const struct shmframe_reader_params params = {
        .stream = "media",
        .policy = SHMFRAME_LOSSLESS,
        .deadline_ns = shmframe_deadline_ns(10 * SECOND_NS),
    };
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(rig_session, &params, &reader), -ENOTSUP);
}

static void finish_run(pid_t pid, int exit_code, int least) {
    gather_close();
    rig_expect_exit(pid, exit_code);
    const int pictures = gather_match_pictures(0, rig_clip_path, 0);
    ck_assert_msg(pictures + (int)gathered[0].lost >= least, "%d pictures: %s", pictures,
                  rig_read_said());
    ck_assert_int_ge(pictures, least / 2);
    ck_assert_int_gt(gathered[1].frames, 10);
}

/* All frames of a live run that ends by itself, but for those that this reader was too slow for. */
static void expect_run(pid_t pid, int exit_code, int least) {
    GATHER_OPEN(SHMFRAME_IN_ORDER, "media", "media.sound");
    expect_lossless_to_be_refused();
    gather_read(0);
    finish_run(pid, exit_code, least);
}

/* --- Ways of transport ------------------------------------------------------------------------ */

START_TEST(http_without_end_is_live) {
    pid_t server;
    make_clip("clip.ts", "160x120", 2);
    serve_http_somewhere(&server);
    expect_run(MEDIA(url, "--no-reconnect", "--wait-readers", "1"), 0, 50);
}
END_TEST

START_TEST(srt_is_live) {
    make_clip("clip.ts", "160x120", 20);
    pid_t server;
    do {
        const int port = port_find(true);
        snprintf(url, sizeof(url), "srt://127.0.0.1:%d?mode=listener", port);
        server = send_clip(rig_clip_path, "mpegts", NULL, url);
        server = port_wait(port, true, server) ? server : -1;
        *strchr(url, '?') = 0;
    } while (server < 0);
    const pid_t pid = MEDIA(url, "--no-reconnect", "--wait-readers", "1");
    GATHER_OPEN(SHMFRAME_IN_ORDER, "media", "media.sound");
    expect_lossless_to_be_refused();
    gather_read(50);
    /* The connection ends; what is on its way then, is cut off. */
    kill(server, SIGTERM);
    gather_read(0);
    finish_run(pid, 1, 50);
    waitpid(server, NULL, 0);
}
END_TEST

START_TEST(udp_is_live) {
    make_clip("clip.ts", "160x120", 2);
    const int port = port_find(true);
    snprintf(url, sizeof(url), "udp://127.0.0.1:%d", port);
    const pid_t pid = MEDIA(url, "--no-reconnect", "--timeout", "3", "--wait-readers", "1");
    ck_assert(port_wait(port, true, pid));
    send_clip(rig_clip_path, "mpegts", NULL, url);
    expect_run(pid, 1, 48);
    ck_assert_ptr_nonnull(strstr(rig_read_said(), "nothing came for 3 s"));
}
END_TEST

START_TEST(rtp_is_what_a_description_says) {
    char description[128];
    make_clip("clip.ts", "160x120", 2);
    const int port = port_find(true) & ~1; /* the next one is RTCP's */
    snprintf(description, sizeof(description), "%s/clip.sdp", rig_folder);
    FILE *file = fopen(description, "w");
    fprintf(file,
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=clip\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            "m=video %d RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\n",
            port);
    fclose(file);
    const pid_t pid = MEDIA(description, "--no-reconnect", "--timeout", "1", "--wait-readers", "1");
    ck_assert(port_wait(port, true, pid));
    snprintf(url, sizeof(url), "rtp://127.0.0.1:%d", port);
    send_clip(rig_clip_path, "rtp_mpegts", NULL, url);
    GATHER_OPEN(SHMFRAME_IN_ORDER, "media", "media.sound");
    gather_read(40);
    kill(pid, SIGINT);
    gather_read(0);
    finish_run(pid, 0, 40);
}
END_TEST

START_TEST(rtsp_is_live) {
    make_clip("clip.ts", "160x120", 2);
    const int port = port_find(false);
    snprintf(url, sizeof(url), "rtsp://127.0.0.1:%d/live", port);
    const pid_t pid =
        MEDIA(url, "--no-reconnect", "--input-option", "rtsp_flags=listen", "--wait-readers", "1");
    ck_assert(port_wait(port, false, pid));
    send_clip(rig_clip_path, "rtsp", NULL, url);
    expect_run(pid, 0, 45);
}
END_TEST

/* --- What a live stream does ------------------------------------------------------------------ */

START_TEST(a_lost_connection_is_found_again_and_readers_stay) {
    pid_t server;
    make_clip("second.ts", "96x64", 4);
    make_clip("clip.ts", "160x120", 20);
    const int port = serve_http_somewhere(&server);
    const pid_t pid = MEDIA(url, "--wait-readers", "1", "--format", "json");
    GATHER_OPEN(SHMFRAME_IN_ORDER, "media");
    gather_read(40);
    end(server);
    rig_wait_said("it is tried again until it is back\n");
    rig_ask("help", NULL, 0);
    rig_ask("seek", "1", -ENOTSUP);
    const int before = gathered[0].frames;
    snprintf(rig_clip_path, sizeof(rig_clip_path), "%s/second.ts", rig_folder);
    server = serve_http_again(port);
    gather_read(before + 60);
    kill(pid, SIGINT);
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    end(server);
    int first = 0;
    while (gathered[0].frame[first].width == 160)
        first++;
    ck_assert_int_ge(first, 40);
    ck_assert(gathered[0].frame[first].flags & SHMFRAME_DISCONTINUITY);
    ck_assert_int_ge(gather_match_pictures(0, rig_clip_path, first), 50);
    ck_assert_int_eq(rig_read_figure("media", "generation"), 2);
    const char *said = rig_read_said(), *told = strstr(said, "it is tried again");
    ck_assert_msg(told && !strstr(told + 1, "it is tried again"), "%s", said);
}
END_TEST

START_TEST(what_comes_during_a_pause_is_dropped) {
    pid_t server;
    make_clip("clip.ts", "160x120", 20);
    serve_http_somewhere(&server);
    const pid_t pid = MEDIA(url, "--wait-readers", "1", "--format", "json");
    GATHER_OPEN(SHMFRAME_IN_ORDER, "media");
    gather_read(30);
    rig_ask("pause", NULL, 0);
    gather_drain();
    const int before = gathered[0].frames;
    ck_assert_int_eq(shmframe_reader_wait(gathered[0].reader, shmframe_deadline_ns(SECOND_NS)),
                     -ETIMEDOUT);
    rig_ask("resume", NULL, 0);
    gather_read(before + 20);
    kill(pid, SIGINT);
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    end(server);
    ck_assert(gathered[0].frame[before].flags & SHMFRAME_DISCONTINUITY);
    /* It goes on with what comes then, not with what came before. */
    ck_assert_int_ge(gathered[0].frame[before].pts_ns - gathered[0].frame[before - 1].pts_ns,
                     SECOND_NS);
    ck_assert_int_eq(rig_read_figure("media", "device_dropped"), 0);
    gather_match_pictures(0, rig_clip_path, 0);
}
END_TEST

START_TEST(frames_wait_in_the_buffer) {
    pid_t server;
    make_clip("clip.ts", "160x120", 4);
    serve_http_somewhere(&server);
    const pid_t pid = MEDIA(url, "--no-reconnect", "--wait-readers", "1", "--buffer", "1",
                            "--track", "v", "--format", "json");
    GATHER_OPEN(SHMFRAME_IN_ORDER, "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    int waited = 0;
    for (int i = 50; i < gathered[0].frames; i++)
        waited += gathered[0].frame[i].publish_ns - gathered[0].frame[i].capture_ns > 250 * MS_NS;
    ck_assert_int_ge(gathered[0].frames, 80);
    /* One that the network brought late had no time to. */
    ck_assert_int_ge(waited, (gathered[0].frames - 50) * 3 / 4);
    ck_assert_int_eq(rig_read_figure("media", "copied"), 0);
}
END_TEST

START_TEST(so_much_time_ends_a_live_one) {
    pid_t server;
    make_clip("clip.ts", "160x120", 20);
    serve_http_somewhere(&server);
    const pid_t pid = MEDIA(url, "--duration", "1");
    rig_expect_exit(pid, 0);
    end(server);
    rig_expect_exit(MEDIA(url, "--start", "1"), 1);
}
END_TEST

START_TEST(what_came_before_anybody_looked_is_no_news) {
    pid_t server;
    make_clip("clip.ts", "160x120", 20);
    serve_http_somewhere(&server);
    const pid_t pid = MEDIA(url, "--wait-readers", "1", "--format", "json");
    poll(NULL, 0, 4000); /* so long nobody looks */
    GATHER_OPEN(SHMFRAME_IN_ORDER, "media");
    gather_read(50);
    kill(pid, SIGINT);
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    end(server);
    /* It begins with what came in 2 s ago, at most, which is behind the clip's first second. */
    ck_assert_int_ge(gathered[0].frame[0].pts_ns, 2500 * MS_NS);
    gather_match_pictures(0, rig_clip_path, 0);
    ck_assert_int_eq(rig_read_figure("media", "dropped"), 0);
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_test(tests, http_without_end_is_live);
    tcase_add_test(tests, srt_is_live);
    tcase_add_test(tests, udp_is_live);
    tcase_add_test(tests, rtp_is_what_a_description_says);
    tcase_add_test(tests, rtsp_is_live);
    tcase_add_test(tests, a_lost_connection_is_found_again_and_readers_stay);
    tcase_add_test(tests, what_comes_during_a_pause_is_dropped);
    tcase_add_test(tests, frames_wait_in_the_buffer);
    tcase_add_test(tests, what_came_before_anybody_looked_is_no_news);
    tcase_add_test(tests, so_much_time_ends_a_live_one);
}

int main(void) {
    return rig_run("media-live", add_tests);
}
