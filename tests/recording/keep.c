/* Recording: the last seconds are kept, and saved when that is asked for. */
#include "material.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static const struct material_params sounding = {
    .picture = "libx264", .sound = "pcm_s16le", .b_frames = 2, .gop = 0};

static struct recording *begin(const struct recording_params *params) {
    struct recording *recording;
    ck_assert_msg(recording_create(params, &recording) == 0, "%s", recording_error());
    return recording;
}

static void step(struct material *material, int pictures) {
    for (int i = 0; i < pictures; i++)
        ck_assert_int_eq(material_step(material), 0);
}

static int count_files(void) {
    int count = 0;
    DIR *folder = opendir(material_path(""));
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* Saving ends in its own time. */
static void expect_saved(struct recording *recording, uint32_t saves) {
    struct recording_state state;
    for (int i = 0; i < 2000; i++) {
        recording_state(recording, &state);
        if (state.saves >= saves)
            return;
        usleep(5000);
    }
    ck_abort_msg("saved %u instead of %u", state.saves, saves);
}

START_TEST(the_first_save_has_the_first_number) {
    struct recording *recording = begin(&(struct recording_params){
        .target = material_path("replay-%d.mkv"), .keep_ns = 3 * SECOND_NS});
    struct material *material = material_begin(&sounding, recording);
    step(material, MATERIAL_RATE);
    char path[RECORDING_PATH_BYTES];
    ck_assert_msg(recording_save(recording, 0, path) == 0, "%s", recording_error());
    ck_assert_str_eq(path, material_path("replay-1.mkv"));
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_int_eq(recording_finish(recording), 0);
    recording_destroy(recording);
    unlink(path);
}
END_TEST

START_TEST(nothing_is_on_disk_until_it_is_saved_and_then_the_last_seconds_are) {
    struct recording *recording = begin(
        &(struct recording_params){.target = material_path("keep.mkv"), .keep_ns = 3 * SECOND_NS});
    struct material *material = material_begin(&sounding, recording);
    step(material, 10 * MATERIAL_RATE);
    ck_assert_int_eq(count_files(), 0);
    ck_assert_int_eq(material_end(material), 0);
    char path[RECORDING_PATH_BYTES], line[RECORDING_PATH_BYTES];
    ck_assert_msg(recording_save(recording, 0, path) == 0, "%s", recording_error());
    ck_assert_int_eq(recording_finish(recording), 0);
    ck_assert(recording_next_line(recording, line));
    ck_assert_msg(strstr(line, path) != NULL, "%s", line);
    ck_assert(!recording_next_line(recording, line));
    recording_destroy(recording);

    struct material_content content;
    material_read(path, &content);
    /* Key frames are two seconds apart, at 0, 2, ... 8; three seconds reach back to between 6 and
     * 8. */
    ck_assert_int_eq(content.pictures, 4 * MATERIAL_RATE);
    ck_assert_int_eq(content.first_picture_us, 0);
    ck_assert_int_eq(content.first_sound_us, 0);
    ck_assert_int_eq(content.end_sound_us, 4000000);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(keeping_goes_on_over_several_saves_that_have_names_of_their_own) {
    struct recording *recording = begin(
        &(struct recording_params){.target = material_path("again.nut"), .keep_ns = 2 * SECOND_NS});
    const struct material_params params = {.picture = "mpeg4", .sound = "pcm_s16le", .gop = 5};
    struct material *material = material_begin(&params, recording);
    char path[3][RECORDING_PATH_BYTES];
    for (uint32_t i = 0; i < 3; i++) {
        step(material, 4 * MATERIAL_RATE);
        ck_assert_msg(recording_save(recording, 0, path[i]) == 0, "%s", recording_error());
        expect_saved(recording, i + 1);
    }
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_int_eq(recording_finish(recording), 0);
    recording_destroy(recording);
    ck_assert_str_ne(path[0], path[1]);
    ck_assert_str_ne(path[1], path[2]);
    struct material_content first, content;
    for (int i = 0; i < 3; i++) {
        material_read(path[i], &content);
        ck_assert_int_ge(content.pictures, 2 * MATERIAL_RATE);
        ck_assert_int_le(content.pictures, 2 * MATERIAL_RATE + 5);
        if (i > 0)
            ck_assert(content.picture_sum != first.picture_sum);
        first = content;
        ck_assert_int_eq(unlink(path[i]), 0);
    }
}
END_TEST

START_TEST(who_asks_hears_when_the_file_is_whole_or_why_there_is_none) {
    struct recording *recording = begin(
        &(struct recording_params){.target = material_path("ask.mkv"), .keep_ns = 3 * SECOND_NS});
    struct material *material = material_begin(&sounding, recording);
    char path[RECORDING_PATH_BYTES];
    struct recording_saved saved;
    /* The encoder looks ahead: there is sound, and no picture yet. */
    for (int i = 0; i < MATERIAL_RATE; i++)
        ck_assert_int_eq(material_step_sound(material), 0);
    ck_assert_int_eq(recording_save(recording, 7, path), 0);
    while (!recording_next_saved(recording, &saved))
        usleep(5000);
    ck_assert_uint_eq(saved.asker, 7);
    ck_assert_int_eq(saved.result, -ENODATA);
    ck_assert_msg(strstr(saved.text, "nothing is kept"), "%s", saved.text);
    ck_assert_int_ne(access(path, F_OK), 0);

    step(material, 4 * MATERIAL_RATE);
    ck_assert_int_eq(recording_save(recording, 8, path), 0);
    ck_assert_int_eq(recording_save(recording, 0, path), 0);
    while (!recording_next_saved(recording, &saved))
        usleep(5000);
    ck_assert_uint_eq(saved.asker, 8);
    ck_assert_int_eq(saved.result, 0);
    struct material_content content;
    material_read(saved.text, &content);
    ck_assert_int_gt(content.pictures, 0);
    ck_assert_int_eq(unlink(saved.text), 0);
    /* Who asked was told that there was nothing: that is no failure. */
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_int_eq(recording_finish(recording), 0);
    ck_assert(!recording_next_saved(recording, &saved));
    recording_destroy(recording);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(memory_is_bounded) {
    struct recording *recording = begin(&(struct recording_params){
        .target = material_path("bounded.nut"), .keep_ns = 600 * SECOND_NS, .keep_bytes = 500000});
    const struct material_params params = {.picture = "mpeg4", .gop = 2, .is_noise = true};
    struct material *material = material_begin(&params, recording);
    struct recording_state state = {0};
    for (int i = 0; i < 200; i++) {
        step(material, 1);
        recording_state(recording, &state);
        ck_assert_uint_le(state.kept_bytes, 500000);
    }
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_int_eq(recording_finish(recording), 0);
    recording_state(recording, &state);
    recording_destroy(recording);
    ck_assert_uint_ge(state.kept_bytes, 400000);
    ck_assert_int_lt(state.kept_ns, 8 * SECOND_NS);
}
END_TEST

START_TEST(a_save_that_cannot_be_is_told_at_once) {
    struct recording *recording = begin(
        &(struct recording_params){.target = material_path("early.nut"), .keep_ns = SECOND_NS});
    struct material *material = material_begin(&sounding, recording);
    char path[RECORDING_PATH_BYTES];
    ck_assert_int_eq(recording_save(recording, 0, path), -ENODATA);
    ck_assert_int_eq(count_files(), 0);
    material_end(material);
    recording_destroy(recording);

    recording = begin(&(struct recording_params){.target = material_path("plain.nut")});
    ck_assert_int_eq(recording_save(recording, 0, path), -ENOTSUP);
    recording_destroy(recording);

    recording = begin(&(struct recording_params){.target = material_path("missing/keep.nut"),
                                                 .keep_ns = SECOND_NS});
    material = material_begin(&sounding, recording);
    ck_assert_int_eq(material_end(material), -ENOENT);
    recording_destroy(recording);
}
END_TEST

START_TEST(sound_is_kept_no_longer_than_asked_for_when_the_picture_stands_still) {
    struct recording *recording = begin(
        &(struct recording_params){.target = material_path("still.nut"), .keep_ns = 2 * SECOND_NS});
    const struct material_params params = {.picture = "mpeg4", .sound = "pcm_s16le"};
    struct material *material = material_begin(&params, recording);
    step(material, 2 * MATERIAL_RATE);
    for (int i = 0; i < 30 * MATERIAL_RATE; i++)
        ck_assert_int_eq(material_step_sound(material), 0);
    char path[RECORDING_PATH_BYTES];
    ck_assert_msg(recording_save(recording, 0, path) == 0, "%s", recording_error());
    expect_saved(recording, 1);
    struct material_content content;
    material_read(path, &content);
    ck_assert_int_eq(content.pictures, 0);
    ck_assert_int_ge(content.end_sound_us, 1900000);
    ck_assert_int_le(content.end_sound_us, 2100000);
    ck_assert_int_eq(unlink(path), 0);
    /* It goes on, and what is kept begins with a picture again: material_read() looks at that. */
    step(material, 6 * MATERIAL_RATE);
    ck_assert_int_eq(recording_save(recording, 0, path), 0);
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_int_eq(recording_finish(recording), 0);
    recording_destroy(recording);
    material_read(path, &content);
    ck_assert_int_ge(content.pictures, 2 * MATERIAL_RATE);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_save_of_nothing_is_no_success) {
    struct recording *recording = begin(&(struct recording_params){
        .target = material_path("tiny.nut"), .keep_ns = 600 * SECOND_NS, .keep_bytes = 2000});
    const struct material_params params = {.picture = "mpeg4", .is_noise = true};
    struct material *material = material_begin(&params, recording);
    step(material, MATERIAL_RATE);
    char path[RECORDING_PATH_BYTES], line[RECORDING_PATH_BYTES];
    const int result = recording_save(recording, 0, path); /* some may be on their way yet */
    ck_assert(result == 0 || result == -ENODATA);
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_int_eq(recording_finish(recording), result == 0 ? -EIO : 0);
    ck_assert(recording_next_line(recording, line));
    ck_assert_msg(strstr(line, "--keep-size"), "%s", line);
    recording_destroy(recording);
    ck_assert_int_eq(count_files(), 0);
}
END_TEST

START_TEST(a_save_that_fails_is_told_and_keeping_goes_on) {
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {100000, 100000};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct recording *recording = begin(
        &(struct recording_params){.target = material_path("fails.nut"), .keep_ns = 2 * SECOND_NS});
    const struct material_params params = {.picture = "mpeg4", .gop = 5, .is_noise = true};
    struct material *material = material_begin(&params, recording);
    step(material, 4 * MATERIAL_RATE);
    char path[RECORDING_PATH_BYTES], line[RECORDING_PATH_BYTES];
    ck_assert_int_eq(recording_save(recording, 0, path), 0);
    step(material, MATERIAL_RATE);
    ck_assert_int_eq(material_end(material), 0);
    ck_assert_int_eq(recording_finish(recording), -EIO);
    ck_assert(recording_next_line(recording, line));
    ck_assert_msg(strstr(line, "not saved") && strstr(line, path), "%s", line);
    struct recording_state state;
    recording_state(recording, &state);
    ck_assert_int_ge(state.kept_ns, SECOND_NS);
    recording_destroy(recording);
}
END_TEST

START_TEST(options_that_do_not_go_together_are_refused) {
    const char *fifo = material_path("fifo.nut");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    const struct recording_params wrong[] = {
        {.target = fifo, .keep_ns = 1},
        {.target = fifo, .segment_ns = 1},
        {.target = "a.mkv", .keep_ns = 1, .segment_ns = 1},
        {.target = "a.mkv", .keep_bytes = 1},
        {.target = "a.mkv", .is_reconnecting = true},
        {.target = "a.m3u8", .segment_ns = 1},
        {.target = "srt://127.0.0.1:1", .keep_ns = 1},
        {.target = "-", .container = "nut", .segment_bytes = 1},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct recording *recording;
        ck_assert_msg(recording_create(&wrong[i], &recording) == -EINVAL, "%zu", i);
    }
}
END_TEST

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    Suite *suite = suite_create("recording keep");
    TCase *tests = tcase_create("keep");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, material_make_folder, material_remove_folder);
    tcase_add_test(tests, the_first_save_has_the_first_number);
    tcase_add_test(tests, nothing_is_on_disk_until_it_is_saved_and_then_the_last_seconds_are);
    tcase_add_test(tests, keeping_goes_on_over_several_saves_that_have_names_of_their_own);
    tcase_add_test(tests, who_asks_hears_when_the_file_is_whole_or_why_there_is_none);
    tcase_add_test(tests, memory_is_bounded);
    tcase_add_test(tests, a_save_that_cannot_be_is_told_at_once);
    tcase_add_test(tests, sound_is_kept_no_longer_than_asked_for_when_the_picture_stands_still);
    tcase_add_test(tests, a_save_of_nothing_is_no_success);
    tcase_add_test(tests, a_save_that_fails_is_told_and_keeping_goes_on);
    tcase_add_test(tests, options_that_do_not_go_together_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
