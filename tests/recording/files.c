/* Recording: into files of each container. */
#include "material.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int record(const struct recording_params *params, const struct material_params *material) {
    struct recording *recording;
    int result = recording_create(params, &recording);
    if (result < 0)
        return result;
    result = material_write(material, recording);
    const int finished = recording_finish(recording);
    recording_destroy(recording);
    return result < 0 ? result : finished;
}

static const struct {
    const char *name, *picture, *sound;
    const char *format; /* as the demuxer is called */
    int b_frames;
} table[] = {
    {"a.mp4", "libx264", "aac", "mp4", 2},      {"a.mkv", "libx264", "flac", "matroska", 2},
    {"a.mov", "mpeg4", "pcm_s16le", "mov", 0},  {"a.ts", "libx264", "aac", "mpegts", 2},
    {"a.webm", "libvpx", "libopus", "webm", 0}, {"a.ogg", NULL, "flac", "ogg", 0},
    {"a.wav", NULL, "pcm_s16le", "wav", 0},     {"a.flac", NULL, "flac", "flac", 0},
    {"a.nut", "ffv1", "pcm_s16le", "nut", 0},   {"a.avi", "mpeg4", "pcm_s16le", "avi", 0},
};

START_TEST(each_container_takes_picture_and_sound_and_plays_them_whole) {
    const char *path = material_path(table[_i].name);
    const struct recording_params params = {.target = path};
    const struct material_params material = {.picture = table[_i].picture,
                                             .sound = table[_i].sound,
                                             .seconds = 2,
                                             .gop = 12,
                                             .b_frames = table[_i].b_frames};
    ck_assert_msg(record(&params, &material) == 0, "%s: %s", path, recording_error());
    struct material_content content;
    material_read(path, &content);
    ck_assert_msg(strstr(content.format, table[_i].format) != NULL, "%s", content.format);
    if (table[_i].picture)
        ck_assert_int_eq(content.pictures, 50);
    if (table[_i].sound)
        ck_assert_uint_ge(content.samples, 2 * MATERIAL_SAMPLE_RATE - 4608);
}
END_TEST

START_TEST(a_wrong_container_is_told_with_names_near_it) {
    struct recording *recording;
    struct recording_params params = {.target = "x.mkv", .container = "matrosk"};
    ck_assert_int_eq(recording_create(&params, &recording), -EINVAL);
    ck_assert_msg(strstr(recording_error(), "matroska") != NULL, "%s", recording_error());
    params = (struct recording_params){.target = "x.mpf"};
    ck_assert_int_eq(recording_create(&params, &recording), -EINVAL);
    ck_assert_msg(strstr(recording_error(), "mp4") != NULL, "%s", recording_error());
    params = (struct recording_params){.target = "-"};
    ck_assert_int_eq(recording_create(&params, &recording), -EINVAL);
    params = (struct recording_params){.target = "srtp2://localhost:1"};
    ck_assert_int_eq(recording_create(&params, &recording), -EINVAL);
    ck_assert_msg(strstr(recording_error(), "srtp") != NULL, "%s", recording_error());
}
END_TEST

START_TEST(an_existing_file_is_left_alone) {
    const char *path = material_path("there.mkv");
    FILE *file = fopen(path, "w");
    fputs("precious", file);
    fclose(file);
    struct recording_params params = {.target = path};
    const struct material_params material = {.sound = "flac", .seconds = 0.1};
    ck_assert_int_eq(record(&params, &material), -EEXIST);
    ck_assert_int_eq(access(path, F_OK), 0);
    params.is_overwriting = true;
    ck_assert_int_eq(record(&params, &material), 0);
}
END_TEST

START_TEST(a_wrong_option_or_codec_leaves_no_file) {
    const char *path = material_path("wrong.mp4");
    const struct option_list options = {.text = {"movflag=faststart"}, .count = 1};
    struct recording_params params = {.target = path, .options = &options};
    struct material_params material = {.picture = "mpeg4", .seconds = 0.1};
    ck_assert_int_eq(record(&params, &material), -EINVAL);
    ck_assert_msg(strstr(recording_error(), "movflags") != NULL, "%s", recording_error());
    params.options = NULL;
    material.picture = "ffv1";
    ck_assert_int_eq(record(&params, &material), -EINVAL);
    ck_assert_msg(strstr(recording_error(), "ffv1") != NULL, "%s", recording_error());
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_missing_folder_is_told_before_anything_is_encoded) {
    const struct recording_params params = {.target = material_path("missing/a.mkv")};
    const struct material_params material = {.sound = "flac", .seconds = 0.1};
    ck_assert_int_eq(record(&params, &material), -ENOENT);
    ck_assert_msg(strstr(recording_error(), "directory first") != NULL, "%s", recording_error());
    const struct recording_params list = {.target = material_path("missing/a.m3u8")};
    const struct material_params coded = {.sound = "aac", .seconds = 0.1};
    ck_assert_int_eq(record(&list, &coded), -ENOENT);
}
END_TEST

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    Suite *suite = suite_create("recording files");
    TCase *tests = tcase_create("files");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, material_make_folder, material_remove_folder);
    tcase_add_loop_test(tests, each_container_takes_picture_and_sound_and_plays_them_whole, 0,
                        sizeof(table) / sizeof(*table));
    tcase_add_test(tests, a_wrong_container_is_told_with_names_near_it);
    tcase_add_test(tests, an_existing_file_is_left_alone);
    tcase_add_test(tests, a_wrong_option_or_codec_leaves_no_file);
    tcase_add_test(tests, a_missing_folder_is_told_before_anything_is_encoded);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
