/* Recording: a row of files, in which nothing is missing and nothing is twice. */
#include "material.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct recording *begin(const struct recording_params *params) {
    struct recording *recording;
    ck_assert_msg(recording_create(params, &recording) == 0, "%s", recording_error());
    return recording;
}

static struct recording_state end(struct recording *recording) {
    struct recording_state state;
    ck_assert_msg(recording_finish(recording) == 0, "%s", recording_error());
    recording_state(recording, &state);
    recording_destroy(recording);
    ck_assert_uint_eq(state.dropped, 0);
    ck_assert_uint_eq(state.late, 0);
    return state;
}

static struct recording_state record(const struct recording_params *params,
                                     const struct material_params *material) {
    struct recording *recording = begin(params);
    ck_assert_msg(material_write(material, recording) == 0, "%s", recording_error());
    return end(recording);
}

static void make_name(char name[64], const char *pattern, int number) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(name, 64, pattern, number);
#pragma GCC diagnostic pop
}

/* All files of the row, one behind the other. */
static void read_row(const char *pattern, int count, struct material_content *content) {
    for (int i = 1; i <= count; i++) {
        char name[64];
        make_name(name, pattern, i);
        if (i == 1)
            material_read(material_path(name), content);
        else
            material_read_more(material_path(name), content);
    }
    char name[64];
    make_name(name, pattern, count + 1);
    ck_assert_int_ne(access(material_path(name), F_OK), 0);
}

static void expect_same(const struct material_content *row, const struct material_content *whole) {
    ck_assert_int_eq(row->pictures, whole->pictures);
    ck_assert_int_eq(row->sounds, whole->sounds);
    ck_assert_uint_eq(row->samples, whole->samples);
    ck_assert(row->picture_sum == whole->picture_sum);
    ck_assert(row->sound_sum == whole->sound_sum);
}

static const struct {
    const char *ending, *picture, *sound;
    int b_frames;
} table[] = {
    {"nut", "ffv1", "pcm_s16le", 0},    {"mkv", "libx264", "flac", 2},
    {"mp4", "libx264", "pcm_s16le", 2}, {"mov", "mpeg4", "pcm_s16le", 0},
    {"mkv", NULL, "flac", 0},           {"wav", NULL, "pcm_s16le", 0},
};

START_TEST(a_row_of_files_has_each_picture_and_each_sample_once) {
    char whole_name[32], row_name[32], pattern[32];
    snprintf(whole_name, sizeof(whole_name), "whole%d.%s", _i, table[_i].ending);
    snprintf(row_name, sizeof(row_name), "row%d.%s", _i, table[_i].ending);
    snprintf(pattern, sizeof(pattern), "row%d-%%03d.%s", _i, table[_i].ending);
    const struct material_params material = {.picture = table[_i].picture,
                                             .sound = table[_i].sound,
                                             .seconds = 4.8,
                                             .b_frames = table[_i].b_frames};
    /* Key frames are where they are asked for: the same ones in the file that is not cut. */
    struct material_params keyed = material;
    keyed.gop = 25;
    if (strcmp(table[_i].ending, "mp4") == 0)
        keyed.sound = "aac"; /* old FFmpeg has no PCM in mp4 */
    const struct recording_params one = {.target = material_path(whole_name)};
    record(&one, &keyed);
    const struct recording_params row = {.target = material_path(row_name),
                                         .segment_ns = 2000000000};
    const struct recording_state state = record(&row, &keyed);
    ck_assert_uint_eq(state.segments, 3);

    struct material_content whole, parts;
    material_read(one.target, &whole);
    read_row(pattern, 3, &parts);
    if (keyed.sound && strcmp(keyed.sound, "aac") == 0) {
        /* A decoder of AAC begins anew with each file: packets are what can be compared. */
        ck_assert_int_eq(parts.sounds, whole.sounds);
        ck_assert(parts.picture_sum == whole.picture_sum);
        return;
    }
    expect_same(&parts, &whole);
}
END_TEST

START_TEST(each_file_begins_at_zero_with_the_key_frame_that_was_asked_for) {
    const struct material_params material = {
        .picture = "libx264", .sound = "pcm_s16le", .seconds = 5, .b_frames = 2};
    const struct recording_params params = {.target = material_path("cut.mkv"),
                                            .segment_ns = 2000000000};
    record(&params, &material);
    struct material_content content;
    for (int i = 1; i <= 2; i++) {
        char name[64];
        make_name(name, "cut-%03d.mkv", i);
        material_read(material_path(name), &content);
        ck_assert_int_eq(content.pictures, 50);
        ck_assert_int_eq(content.first_picture_us, 0);
        ck_assert_int_eq(content.last_picture_us, 1960000);
        ck_assert_int_eq(content.first_sound_us, 0);
        ck_assert_int_eq(content.end_sound_us, 2000000);
    }
}
END_TEST

START_TEST(files_of_a_size_stay_near_it) {
    const struct material_params material = {.picture = "mpeg4",
                                             .sound = "pcm_s16le",
                                             .seconds = 6,
                                             .width = 320,
                                             .height = 240,
                                             .is_noise = true};
    const struct recording_params params = {.target = material_path("size-%d.mkv"),
                                            .segment_bytes = 2000000};
    const struct recording_state state = record(&params, &material);
    ck_assert_uint_ge(state.segments, 3);
    for (unsigned i = 1; i < state.segments; i++) {
        char name[64];
        make_name(name, "size-%d.mkv", (int)i);
        FILE *file = fopen(material_path(name), "r");
        fseek(file, 0, SEEK_END);
        ck_assert_int_le(ftell(file), 2150000);
        ck_assert_int_ge(ftell(file), 1600000);
        fclose(file);
    }
}
END_TEST

static void touch(const char *name) {
    FILE *file = fopen(material_path(name), "wx");
    fputs("precious", file);
    fclose(file);
}

static void expect_precious(const char *name) {
    char text[16] = "";
    FILE *file = fopen(material_path(name), "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
    fclose(file);
    ck_assert_str_eq(text, "precious");
}

START_TEST(names_that_are_taken_are_passed_over) {
    touch("taken-001.mkv");
    touch("taken-003.mkv");
    const struct material_params material = {.sound = "flac", .seconds = 2.5};
    const struct recording_params params = {.target = material_path("taken.mkv"),
                                            .segment_ns = 1000000000};
    ck_assert_uint_eq(record(&params, &material).segments, 3);
    expect_precious("taken-001.mkv");
    expect_precious("taken-003.mkv");
    ck_assert_int_eq(access(material_path("taken-002.mkv"), F_OK), 0);
    ck_assert_int_eq(access(material_path("taken-004.mkv"), F_OK), 0);
    ck_assert_int_eq(access(material_path("taken-005.mkv"), F_OK), 0);
}
END_TEST

START_TEST(names_by_time_that_do_not_differ_get_a_number) {
    const struct material_params material = {.sound = "flac", .seconds = 2.5};
    /* A century's names are alike for the length of a test. */
    const struct recording_params params = {
        .target = material_path("%Ccentury.mkv"), .segment_ns = 1000000000, .is_overwriting = true};
    ck_assert_uint_eq(record(&params, &material).segments, 3);
    struct material_content content;
    material_read(material_path("20century.mkv"), &content);
    material_read(material_path("20century-2.mkv"), &content);
    material_read(material_path("20century-3.mkv"), &content);
}
END_TEST

START_TEST(a_split_begins_a_new_file_at_the_next_picture) {
    struct recording *recording =
        begin(&(struct recording_params){.target = material_path("split.nut")});
    const struct material_params params = {.picture = "mpeg4", .sound = "pcm_s16le"};
    struct material *material = material_begin(&params, recording);
    for (int i = 0; i < 40; i++) {
        if (i == 25)
            ck_assert_int_eq(recording_split(recording), 0);
        ck_assert_int_eq(material_step(material), 0);
    }
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_uint_eq(end(recording).segments, 2);
    struct material_content content;
    material_read(material_path("split.nut"), &content);
    ck_assert_int_eq(content.pictures, 25);
    material_read(material_path("split-002.nut"), &content);
    ck_assert_int_eq(content.pictures, 15);
}
END_TEST

START_TEST(a_time_that_goes_back_may_ask_for_a_key_frame_too) {
    struct recording *recording =
        begin(&(struct recording_params){.target = material_path("asked.nut")});
    const struct material_params params = {.picture = "mpeg4"};
    struct material *material = material_begin(&params, recording);
    ck_assert_int_eq(material_step(material), 0);
    ck_assert_int_eq(recording_split(recording), 0);
    ck_assert(recording_wants_key(recording, INT64_C(100000000000)));
    ck_assert(recording_wants_key(recording, INT64_C(1000000000)));
    ck_assert(!recording_wants_key(recording, INT64_C(1000000001)));
    ck_assert_int_eq(material_end(material), 0);
    end(recording);
}
END_TEST

START_TEST(files_are_cut_while_the_picture_stands_still) {
    struct recording *recording = begin(
        &(struct recording_params){.target = material_path("still.nut"), .segment_ns = 2000000000});
    const struct material_params params = {.picture = "mpeg4", .sound = "pcm_s16le"};
    struct material *material = material_begin(&params, recording);
    for (int i = 0; i < 11 * MATERIAL_RATE; i++) {
        const bool has_picture = i < MATERIAL_RATE || i >= 9 * MATERIAL_RATE;
        ck_assert_int_eq(has_picture ? material_step(material) : material_step_sound(material), 0);
    }
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_uint_ge(end(recording).segments, 5);
    struct material_content content;
    material_read(material_path("still-003.nut"), &content);
    ck_assert_int_eq(content.pictures, 0);
    ck_assert_int_ge(content.end_sound_us, 1900000);
    ck_assert_int_le(content.end_sound_us, 2100000);
}
END_TEST

START_TEST(a_change_of_format_begins_a_new_file) {
    struct recording *recording =
        begin(&(struct recording_params){.target = material_path("change.mkv")});
    struct material_params params = {.picture = "mpeg4", .sound = "flac", .seconds = 1};
    ck_assert_int_eq(material_write(&params, recording), 0);
    params.width = 128;
    params.height = 96;
    ck_assert_int_eq(material_write(&params, recording), 0);
    ck_assert_uint_eq(end(recording).segments, 2);
    struct material_content content;
    material_read(material_path("change.mkv"), &content);
    ck_assert_int_eq(content.pictures, 25);
    material_read(material_path("change-002.mkv"), &content);
    ck_assert_int_eq(content.pictures, 25);
}
END_TEST

START_TEST(ffmpeg_puts_a_row_together_again) {
    const struct material_params material = {
        .picture = "ffv1", .sound = "pcm_s16le", .seconds = 5, .gop = 1};
    struct recording_params params = {.target = material_path("list-whole.nut")};
    record(&params, &material);
    params =
        (struct recording_params){.target = material_path("list.nut"), .segment_ns = 2000000000};
    record(&params, &material);
    FILE *list = fopen(material_path("list.ffconcat"), "w");
    fputs("ffconcat version 1.0\nfile list-001.nut\nfile list-002.nut\nfile list-003.nut\n", list);
    fclose(list);
    char command[2048];
    snprintf(command, sizeof(command),
             "set -e; for i in list-whole.nut list.ffconcat; do ffmpeg -v error -i "
             "\"$(dirname %s)/$i\" -map 0 -c:a pcm_s16le -f framemd5 - | grep -v '^#' | "
             "awk '{ if ($1 == \"0,\") print $2 $3 $6 }' > \"$(dirname %s)/$i.md5\"; done; "
             "cd \"$(dirname %s)\"; test $(wc -l < list-whole.nut.md5) = 125; "
             "cmp list-whole.nut.md5 list.ffconcat.md5",
             params.target, params.target, params.target);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    Suite *suite = suite_create("recording segments");
    TCase *tests = tcase_create("segments");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, material_make_folder, material_remove_folder);
    tcase_add_loop_test(tests, a_row_of_files_has_each_picture_and_each_sample_once, 0,
                        sizeof(table) / sizeof(*table));
    tcase_add_test(tests, each_file_begins_at_zero_with_the_key_frame_that_was_asked_for);
    tcase_add_test(tests, files_of_a_size_stay_near_it);
    tcase_add_test(tests, names_that_are_taken_are_passed_over);
    tcase_add_test(tests, names_by_time_that_do_not_differ_get_a_number);
    tcase_add_test(tests, a_split_begins_a_new_file_at_the_next_picture);
    tcase_add_test(tests, a_time_that_goes_back_may_ask_for_a_key_frame_too);
    tcase_add_test(tests, files_are_cut_while_the_picture_stands_still);
    tcase_add_test(tests, a_change_of_format_begins_a_new_file);
    tcase_add_test(tests, ffmpeg_puts_a_row_together_again);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
