/* shmframe-media: files by HTTP, pipes, sequences of pictures, raw files; what cannot be opened. */
#include "gather.h"
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char words[1024];

/* Runs ffmpeg with what the format says. */
#define MAKE(...) (snprintf(words, sizeof(words), __VA_ARGS__), reference_run(words))

static void make_clip(const char *ending, const char *size, int seconds) {
    MAKE("-f lavfi -i testsrc=size=%s:rate=25 -f lavfi -i sine=440:sample_rate=48000 -t %d "
         "-c:v ffv1 -pix_fmt yuv420p -c:a pcm_s16le %s",
         size, seconds, rig_name_clip(ending));
}

static const char *in_folder(const char *name) {
    static char path[4][128];
    static int next;
    char *to = path[next++ % 4];
    snprintf(to, sizeof(path[0]), "%s/%s", rig_folder, name);
    return to;
}

/* Reads pictures and sound of a whole run. */
static void gather_both(pid_t pid) {
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media.sound", "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
}

static void gather_pictures(pid_t pid) {
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media");
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
}

/* --- Sequences and raw files ------------------------------------------------------------------ */

START_TEST(a_sequence_of_pictures_is_a_film) {
    static const char *const patterns[] = {"img%03d.png", "img*.png"};
    const char *numbers = in_folder("img%03d.png"), *pattern = in_folder(patterns[_i]);
    MAKE("-f lavfi -i testsrc=size=64x48:rate=25 -frames:v 12 %s", numbers);
    gather_pictures(MEDIA(pattern, "--unpaced", "--wait-readers", "1", "--input-rate", "5",
                          "--format", "json"));
    gather_expect_pictures(0, numbers);
    for (int i = 0; i < 12; i++)
        ck_assert_int_eq(gathered[0].frame[i].pts_ns, i * 200 * MS_NS);
    ck_assert_int_eq(rig_read_figure("media", "in_place"), 12);
}
END_TEST

START_TEST(raw_video_is_what_options_say) {
    const char *raw = in_folder("raw.yuv");
    make_clip("nut", "66x50", 1);
    MAKE("-i %s -map 0:v -f rawvideo %s", rig_clip_path, raw);
    gather_pictures(MEDIA(raw, "--unpaced", "--wait-readers", "1", "--input-format", "rawvideo",
                          "--input-option", "video_size=66x50", "--input-option",
                          "pixel_format=yuv420p", "--input-rate", "25"));
    gather_expect_pictures(0, rig_clip_path);
}
END_TEST

START_TEST(options_that_fit_nothing_are_told) {
    make_clip("nut", "64x48", 1);
    rig_expect_exit(MEDIA(rig_clip_path, "--input-option", "colour=red"), 1);
    rig_expect_complaint("--input-option: nothing in ");
    rig_expect_complaint("takes \"colour\"; `ffmpeg -h demuxer=nut` lists");
    rig_expect_exit(MEDIA(rig_clip_path, "--input-rate", "5"), 1);
    rig_expect_complaint("has a rate of its own (nut)");
    rig_expect_exit(MEDIA(rig_clip_path, "--input-option", "colour"), 2);
    rig_expect_complaint("\"colour\" should be KEY=VALUE");
    rig_expect_exit(MEDIA(rig_clip_path, "--input-format", "nothing"), 2);
    rig_expect_complaint("this FFmpeg has no format \"nothing\"");
    rig_expect_exit(MEDIA(rig_clip_path, "--live", "--unpaced"), 2);
    rig_expect_complaint("leave --live out");
    rig_expect_exit(MEDIA(rig_clip_path, "--buffer", "1m"), 2);
    rig_expect_complaint("--buffer: 60 s of decoded frames are too many, 10 s at most");
    rig_expect_exit(MEDIA(rig_clip_path, "--reconnect"), 1);
    rig_expect_complaint("does not come again; --loop plays a file again");
    rig_expect_exit(MEDIA(in_folder("no*.png")), 1);
    rig_expect_complaint("no file fits ");
}
END_TEST

/* --- Pipes ------------------------------------------------------------------------------------ */

/* Starts the program behind a line of the shell. */
static pid_t start_behind(const char *line, const char *from) {
    return rig_start("said", "sh",
                     (const char *const[]){"-c", line, "sh", getenv("SHMFRAME_MEDIA"), from, NULL});
}

START_TEST(standard_input_is_played) {
    static const char *const lines[] = {
        "cat \"$2\" | exec \"$1\" --unpaced --wait-readers 1 -",
        "exec \"$1\" --unpaced --wait-readers 1 - < \"$2\"",
    };
    make_clip("mkv", "160x120", 2);
    gather_both(start_behind(lines[_i], rig_clip_path));
    gather_expect_sound(0, rig_clip_path);
    gather_expect_pictures(1, rig_clip_path);
}
END_TEST

START_TEST(standard_input_that_is_a_file_has_positions) {
    make_clip("mkv", "64x48", 2);
    gather_pictures(start_behind(
        "exec \"$1\" --track v --unpaced --start 1 --wait-readers 1 - < \"$2\"", rig_clip_path));
    ck_assert_int_eq(gathered[0].frames, 25);
    const pid_t pid = start_behind(
        "cat \"$2\" | { \"$1\" --start 1 -; code=$?; cat >/dev/null; exit $code; }", rig_clip_path);
    rig_expect_exit(pid, 1);
    rig_expect_complaint("- has no positions to go to");
}
END_TEST

START_TEST(a_pipe_nobody_writes_to_is_left_on_a_signal) {
    const char *fifo = in_folder("fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    const pid_t pid = MEDIA(fifo);
    /* It has opened the pipe once a writer finds it open. */
    while (open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC) < 0)
        ck_assert_int_eq(errno, ENXIO);
    kill(pid, SIGINT);
    rig_expect_exit(pid, 0);
    ck_assert_str_eq(rig_read_said(), "");
}
END_TEST

/* Copies bytes of a file into the pipe, from..to as parts of 100. */
static void write_part(int fd, const char *path, int from, int to) {
    static char bytes[4 << 20];
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    const size_t count = fread(bytes, 1, sizeof(bytes), file);
    ck_assert_uint_lt(count, sizeof(bytes));
    fclose(file);
    for (size_t at = count * (size_t)from / 100; at < count * (size_t)to / 100;) {
        const ssize_t written = write(fd, bytes + at, count * (size_t)to / 100 - at);
        ck_assert_msg(written > 0, "%s", rig_read_said());
        at += (size_t)written;
    }
}

START_TEST(requests_are_served_while_a_pipe_is_silent) {
    const char *fifo = in_folder("fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    make_clip("nut", "64x48", 2);
    const pid_t pid = MEDIA(fifo, "--unpaced", "--track", "v", "--wait-readers", "1");
    const int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    write_part(fd, rig_clip_path, 0, 50);
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media");
    gather_read(10);
    rig_ask("help", NULL, 0);
    rig_ask("seek", "1", -ENOTSUP);
    rig_ask("pause", NULL, 0);
    rig_ask("resume", NULL, 0);
    write_part(fd, rig_clip_path, 50, 100);
    close(fd);
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    gather_expect_pictures(0, rig_clip_path);
}
END_TEST

START_TEST(the_next_writer_of_a_pipe_is_waited_for) {
    static char first[128];
    const char *fifo = in_folder("fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    make_clip("nut", "64x48", 1);
    snprintf(first, sizeof(first), "%s", rig_clip_path);
    make_clip("mkv", "96x64", 1);
    const pid_t pid = MEDIA(fifo, "--unpaced", "--reconnect", "--track", "v", "--wait-readers", "1",
                            "--frames", "50", "--format", "json");
    int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    write_part(fd, first, 0, 100);
    close(fd);
    GATHER_OPEN(SHMFRAME_LOSSLESS, "media");
    gather_read(25);
    rig_wait_said("lost (it ended); it is tried again until it is back\n");
    fd = open(fifo, O_WRONLY | O_CLOEXEC);
    write_part(fd, rig_clip_path, 0, 100);
    close(fd);
    gather_read(0);
    gather_close();
    rig_expect_exit(pid, 0);
    ck_assert_int_eq(gathered[0].frames, 50);
    ck_assert_uint_eq(gathered[0].lost, 0);
    ck_assert_int_eq(gather_match_pictures(0, rig_clip_path, 25), 25);
    ck_assert(gathered[0].frame[25].flags & SHMFRAME_DISCONTINUITY);
    ck_assert_int_eq(gathered[0].frame[24].width, 64);
    ck_assert_int_eq(gathered[0].frame[25].width, 96);
    ck_assert_int_eq(rig_read_figure("media", "generation"), 2);
}
END_TEST

START_TEST(so_much_time_ends_a_silent_pipe) {
    const char *fifo = in_folder("fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    make_clip("nut", "64x48", 2);
    const pid_t pid = MEDIA(fifo, "--duration", "1.5");
    const int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    write_part(fd, rig_clip_path, 0, 50);
    rig_expect_exit(pid, 0);
    close(fd);
}
END_TEST

/* --- By HTTP ---------------------------------------------------------------------------------- */

static int start_httpd(void) {
    const char *port_path = in_folder("port");
    rig_start("httpd", "python3",
              (const char *const[]){getenv("HTTPD"), rig_folder, port_path, NULL});
    for (int i = 0; i < 2000 && access(port_path, F_OK) != 0; i++)
        poll(NULL, 0, 10);
    int port = 0;
    FILE *file = fopen(port_path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%d", &port), 1);
    fclose(file);
    return port;
}

START_TEST(a_file_by_http_is_a_file) {
    char url[160];
    static const char *const endings[] = {"mkv", "nut"};
    const char *ending = endings[_i];
    make_clip(ending, "160x120", 2);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/clip.%s", start_httpd(), ending);
    gather_both(MEDIA(url, "--unpaced", "--wait-readers", "1"));
    gather_expect_sound(0, rig_clip_path);
    gather_expect_pictures(1, rig_clip_path);
    gather_pictures(MEDIA(url, "--track", "v", "--start", "1.2", "--wait-readers", "1"));
    ck_assert_int_eq(gathered[0].frames, 20);
    ck_assert_int_eq(gather_match_pictures(0, rig_clip_path, 0), 20);
    rig_expect_exit(MEDIA(url, "--list", "--format", "json"), 0);
    ck_assert_msg(strstr(rig_read_said(), "\"live\":false"), "%s", rig_read_said());
}
END_TEST

START_TEST(a_server_that_tells_no_length_may_end) {
    char url[160];
    make_clip("nut", "64x48", 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/live/clip.nut", start_httpd());
    rig_expect_exit(MEDIA(url, "--list"), 0);
    ck_assert_str_eq(strstr(rig_read_said(), "I/O error") ? rig_read_said() : "", "");
    rig_expect_exit(MEDIA(url, "--no-reconnect"), 0);
    gather_pictures(MEDIA(url, "--unpaced", "--track", "v", "--wait-readers", "1"));
    ck_assert_int_eq(gathered[0].frames, 25);
}
END_TEST

START_TEST(what_was_live_and_comes_back_as_a_file_ends) {
    char url[160];
    make_clip("nut", "64x48", 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/once/clip.nut", start_httpd());
    rig_expect_exit(MEDIA(url), 0);
    ck_assert_msg(strstr(rig_read_said(), "it came back as a file, and that has ended"), "%s",
                  rig_read_said());
}
END_TEST

START_TEST(what_cannot_be_reached_is_told_in_one_line) {
    char url[160];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/none.mkv", start_httpd());
    rig_expect_exit(MEDIA(url), 1);
    rig_expect_complaint("404 Not Found; check the path in the URL");
    static const char *const protocols[] = {"http", "rtsp", "tcp"};
    for (int i = 0; i < 3; i++) {
        snprintf(url, sizeof(url), "%s://127.0.0.1:%d/x", protocols[i], port_find(false));
        rig_expect_exit(MEDIA(url), 1);
        rig_expect_complaint(url);
        rig_expect_complaint("Connection refused; nobody serves at that address");
    }
    snprintf(url, sizeof(url), "udp://127.0.0.1:%d", port_find(true));
    rig_expect_exit(MEDIA(url, "--timeout", "300ms"), 1);
    rig_expect_complaint("no answer within 0.3 s; --timeout says how long to wait");
    FILE *file = fopen(in_folder("wrong.sdp"), "w");
    fputs("this is no description\n", file);
    fclose(file);
    rig_expect_exit(MEDIA(in_folder("wrong.sdp")), 1);
    rig_expect_complaint("wrong.sdp: Invalid data");
}
END_TEST

START_TEST(a_name_that_is_looked_up_for_ever_is_given_up) {
    if (!getenv("RESOLVER")[0])
        return;
    setenv("LD_PRELOAD", getenv("RESOLVER"), 1);
    rig_expect_exit(MEDIA("http://shmframe.invalid/x", "--timeout", "300ms"), 1);
    rig_expect_complaint("no answer within 0.3 s");
    unsetenv("LD_PRELOAD");
}
END_TEST

START_TEST(a_server_that_says_nothing_is_given_up) {
    char url[160];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, bytes), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", ntohs(address.sin_port));
    rig_expect_exit(MEDIA(url, "--timeout", "300ms"), 1);
    rig_expect_complaint("no answer within 0.3 s");
    const pid_t pid = MEDIA(url);
    const int peer = accept(fd, NULL, NULL); /* the first one's */
    const int second = accept(fd, NULL, NULL);
    kill(pid, SIGINT);
    rig_expect_exit(pid, 0);
    close(peer);
    close(second);
    close(fd);
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, a_sequence_of_pictures_is_a_film, 0, 2);
    tcase_add_test(tests, raw_video_is_what_options_say);
    tcase_add_test(tests, options_that_fit_nothing_are_told);
    tcase_add_loop_test(tests, standard_input_is_played, 0, 2);
    tcase_add_test(tests, standard_input_that_is_a_file_has_positions);
    tcase_add_test(tests, a_pipe_nobody_writes_to_is_left_on_a_signal);
    tcase_add_test(tests, requests_are_served_while_a_pipe_is_silent);
    tcase_add_test(tests, the_next_writer_of_a_pipe_is_waited_for);
    tcase_add_test(tests, so_much_time_ends_a_silent_pipe);
    tcase_add_test(tests, a_server_that_tells_no_length_may_end);
    tcase_add_test(tests, what_was_live_and_comes_back_as_a_file_ends);
    tcase_add_loop_test(tests, a_file_by_http_is_a_file, 0, 2);
    tcase_add_test(tests, what_cannot_be_reached_is_told_in_one_line);
    tcase_add_test(tests, a_name_that_is_looked_up_for_ever_is_given_up);
    tcase_add_test(tests, a_server_that_says_nothing_is_given_up);
}

int main(void) {
    return rig_run("media-inputs", add_tests);
}
