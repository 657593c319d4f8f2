/* Recording: where there is no room for more, what is there is ended well. */
#include "material.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_ALL_RUN = 77 }; /* what a test says that was not run */

static struct recording_state end; /* of the recording that was filled last */

/* Writes until it fails, and says with what. */
static int fill(const char *path, const char *picture, const char *sound,
                char out_why[RECORDING_PATH_BYTES]) {
    struct recording *recording;
    ck_assert_int_eq(recording_create(&(struct recording_params){.target = path}, &recording), 0);
    const struct material_params noise = {.picture = picture,
                                          .sound = sound,
                                          .gop = 10,
                                          .width = 320,
                                          .height = 240,
                                          .is_noise = true};
    struct material *material = material_begin(&noise, recording);
    int result = 0;
    for (int i = 0; i < 1000 && result == 0; i++)
        result = material_step(material);
    snprintf(out_why, RECORDING_PATH_BYTES, "%s", recording_error());
    material_end(material);
    ck_assert_int_eq(recording_finish(recording), result);
    recording_state(recording, &end);
    recording_destroy(recording);
    return result;
}

static void expect_playable(const char *path, int64_t least_us) {
    struct material_content content;
    material_read(path, &content);
    ck_assert_int_ge(content.last_picture_us, least_us);
    ck_assert_int_ge(content.end_sound_us, least_us);
}

static const struct {
    const char *name, *picture, *sound;
} full[] = {
    {"full.mkv", "mpeg4", "pcm_s16le"}, {"full.mp4", "mpeg4", "aac"},
    {"full.nut", "mpeg4", "pcm_s16le"}, {"full.avi", "mpeg4", "pcm_s16le"},
    {"full.ts", "mpeg4", "aac"},
};

/* --- The limit of a file's size --------------------------------------------------------------- */

/* As shmframe-encode does it: the kernel's signal would end it. */
static void limit_files(rlim_t bytes) {
    program_stop_on_signals(NULL);
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(at_the_limit_of_a_files_size_it_is_ended_well) {
    const char *path = material_path(full[_i].name);
    limit_files(6 << 20);
    char why[RECORDING_PATH_BYTES];
    ck_assert_int_eq(fill(path, full[_i].picture, full[_i].sound, why), -EFBIG);
    ck_assert_msg(strstr(why, path) && strstr(why, " kB are in it"), "%s", why);
    ck_assert_msg(!strstr(why, " 0 kB"), "%s", why);
    expect_playable(path, 900000);
}
END_TEST

START_TEST(a_small_limit_leaves_room_for_a_small_file) {
    const char *path = material_path("small.nut");
    limit_files(1000000);
    char why[RECORDING_PATH_BYTES];
    ck_assert_int_eq(fill(path, "mpeg4", "pcm_s16le", why), -EFBIG);
    struct material_content content;
    material_read(path, &content);
    ck_assert_int_ge(content.pictures, 3);
}
END_TEST

START_TEST(what_has_no_room_at_all_leaves_no_file_and_no_promise) {
    const char *path = material_path("none.nut");
    limit_files(20000);
    char why[RECORDING_PATH_BYTES];
    ck_assert_int_eq(fill(path, "mpeg4", "pcm_s16le", why), -EFBIG);
    ck_assert_msg(!strstr(why, "playable"), "%s", why);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_str_eq(end.path, "");
    ck_assert_uint_eq(end.segments, 0);
    ck_assert_uint_eq(end.bytes, 0);
}
END_TEST

/* --- A full disk ------------------------------------------------------------------------------ */

/* A file system of one's own: root's, or in a user's own name space where that is allowed. */
static bool mount_small(const char *path) {
    return (mkdir(path, 0777) == 0 || errno == EEXIST) &&
           (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("small", path, "tmpfs", 0, "size=8m") == 0;
}

static bool can_mount(void) {
    char folder[] = "/tmp/shmframe-room.XXXXXX";
    if (!mkdtemp(folder))
        return false;
    const pid_t child = fork();
    if (child == 0)
        _exit(mount_small(folder) ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    rmdir(folder);
    return status == 0;
}

START_TEST(on_a_full_disk_it_is_ended_well) {
    const char *folder = material_path("small");
    ck_assert_msg(mount_small(folder), "%m");
    char path[300], why[RECORDING_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", folder, full[_i].name);
    ck_assert_int_eq(fill(path, full[_i].picture, full[_i].sound, why), -ENOSPC);
    ck_assert_msg(strstr(why, path) && strstr(why, "No space left") && strstr(why, "playable"),
                  "%s", why);
    expect_playable(path, 900000);
    /* What was reserved for the end is given back. */
    struct stat what;
    ck_assert_int_eq(stat(path, &what), 0);
    ck_assert_int_le(what.st_blocks * 512, what.st_size + 4096);
}
END_TEST

/* A second of them is more than is kept free for the end: each looks for its room itself. */
START_TEST(large_packets_fill_a_disk_up_to_the_last_that_fits) {
    static const char *const names[] = {"raw.nut", "raw.mkv"};
    const char *folder = material_path("small");
    ck_assert_msg(mount_small(folder), "%m");
    char path[300], why[RECORDING_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", folder, names[_i]);
    ck_assert_int_eq(fill(path, "rawvideo", NULL, why), -ENOSPC);
    struct material_content content;
    material_read(path, &content);
    ck_assert_int_ge(content.pictures, ((8 << 20) - (2 << 20)) / (320 * 240 * 3 / 2));
}
END_TEST

START_TEST(pieces_of_hls_that_have_no_room_are_told) {
    const char *folder = material_path("small");
    ck_assert_msg(mount_small(folder), "%m");
    char path[300], why[RECORDING_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/a.m3u8", folder);
    ck_assert_int_eq(fill(path, "mpeg4", "aac", why), -ENOSPC);
    ck_assert_msg(strstr(why, path) && strstr(why, "No space left"), "%s", why);
}
END_TEST

START_TEST(of_a_device_nothing_is_promised) {
    char why[RECORDING_PATH_BYTES];
    struct recording *recording;
    const struct recording_params params = {.target = "/dev/full", .container = "nut"};
    ck_assert_int_eq(recording_create(&params, &recording), 0);
    const struct material_params noise = {
        .picture = "mpeg4", .seconds = 20, .gop = 10, .is_noise = true};
    int result = material_write(&noise, recording);
    const int finished = recording_finish(recording);
    snprintf(why, sizeof(why), "%s", recording_error());
    result = result < 0 ? result : finished;
    recording_destroy(recording);
    ck_assert_int_eq(result, -ENOSPC);
    ck_assert_msg(strstr(why, "/dev/full") && !strstr(why, "playable"), "%s", why);
}
END_TEST

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    const bool is_complete = can_mount();
    Suite *suite = suite_create("recording room");
    TCase *tests = tcase_create("room");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, material_make_folder, material_remove_folder);
    tcase_add_loop_test(tests, at_the_limit_of_a_files_size_it_is_ended_well, 0,
                        sizeof(full) / sizeof(*full));
    tcase_add_test(tests, a_small_limit_leaves_room_for_a_small_file);
    tcase_add_test(tests, what_has_no_room_at_all_leaves_no_file_and_no_promise);
    tcase_add_test(tests, of_a_device_nothing_is_promised);
    if (is_complete) {
        tcase_add_loop_test(tests, on_a_full_disk_it_is_ended_well, 0,
                            sizeof(full) / sizeof(*full));
        tcase_add_loop_test(tests, large_packets_fill_a_disk_up_to_the_last_that_fits, 0, 2);
        tcase_add_test(tests, pieces_of_hls_that_have_no_room_are_told);
    }
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (!is_complete)
        fprintf(stderr, "a full disk was not tested: no file system can be mounted here\n");
    return failed ? EXIT_FAILURE : is_complete ? EXIT_SUCCESS : NOT_ALL_RUN;
}
