/* Choice: which streams a name on the command line means. */
#include "choice.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIVE = SHMFRAME_STREAM_LIVE, GONE = SHMFRAME_STREAM_WRITER_GONE };

static struct shmframe_stream_info stream(const char *name, const char *group, uint32_t kind,
                                          uint32_t state) {
    struct shmframe_stream_info info = {.kind = kind, .state = state};
    snprintf(info.name, sizeof info.name, "%s", name);
    snprintf(info.group, sizeof info.group, "%s", group);
    return info;
}

#define EXPECT(streams, name, wanted_video, wanted_audio)                                          \
    do {                                                                                           \
        const int count = (int)(sizeof(streams) / sizeof(struct shmframe_stream_info));            \
        const struct stream_choice got = choose_streams(streams, count, name);                     \
        ck_assert_int_eq(got.video, wanted_video);                                                 \
        ck_assert_int_eq(got.audio, wanted_audio);                                                 \
    } while (0)

START_TEST(a_picture_brings_the_sound_of_its_group) {
    const struct shmframe_stream_info streams[] = {
        stream("cam", "", SHMFRAME_VIDEO, LIVE),
        stream("demo", "demo", SHMFRAME_VIDEO, LIVE),
        stream("demo.sound", "demo", SHMFRAME_AUDIO, LIVE),
        stream("mic", "", SHMFRAME_AUDIO, LIVE),
    };
    EXPECT(streams, "demo", 1, 2);
    EXPECT(streams, "cam", 0, -1);
}
END_TEST

START_TEST(a_sound_stays_alone) {
    const struct shmframe_stream_info streams[] = {
        stream("demo", "demo", SHMFRAME_VIDEO, LIVE),
        stream("demo.sound", "demo", SHMFRAME_AUDIO, LIVE),
    };
    EXPECT(streams, "demo.sound", -1, 1);
}
END_TEST

START_TEST(a_group_means_its_first_picture_and_its_first_sound) {
    const struct shmframe_stream_info streams[] = {
        stream("a", "film", SHMFRAME_DATA, LIVE),
        stream("b", "film", SHMFRAME_AUDIO, LIVE),
        stream("c", "film", SHMFRAME_VIDEO, LIVE),
        stream("d", "film", SHMFRAME_VIDEO, LIVE),
    };
    EXPECT(streams, "film", 2, 1);
}
END_TEST

START_TEST(either_may_be_missing) {
    const struct shmframe_stream_info streams[] = {
        stream("mic", "talk", SHMFRAME_AUDIO, LIVE),
        stream("slides", "show", SHMFRAME_VIDEO, LIVE),
    };
    EXPECT(streams, "talk", -1, 0);
    EXPECT(streams, "show", 1, -1);
    EXPECT(streams, "nothing", -1, -1);
    EXPECT(streams, "", -1, -1);
}
END_TEST

START_TEST(what_runs_comes_before_what_has_lost_its_writer) {
    const struct shmframe_stream_info streams[] = {
        stream("a", "film", SHMFRAME_VIDEO, GONE),
        stream("b", "film", SHMFRAME_VIDEO, LIVE),
        stream("c", "film", SHMFRAME_AUDIO, GONE),
    };
    EXPECT(streams, "film", 1, -1);
    EXPECT(streams, "a", 0, 2);
    EXPECT(streams, "b", 1, -1);
}
END_TEST

START_TEST(streams_that_ended_or_are_only_waited_for_do_not_count) {
    const struct shmframe_stream_info streams[] = {
        stream("demo", "demo", SHMFRAME_VIDEO, SHMFRAME_STREAM_ENDED),
        stream("later", "", SHMFRAME_NONE, SHMFRAME_STREAM_WAITED_FOR),
    };
    EXPECT(streams, "demo", -1, -1);
    EXPECT(streams, "later", -1, -1);
    ck_assert_int_eq(choose_streams(NULL, 0, "demo").video, -1);
}
END_TEST

START_TEST(all_sounds_of_a_group_come_with_its_picture) {
    const struct shmframe_stream_info streams[] = {
        stream("a", "film", SHMFRAME_AUDIO, LIVE), stream("b", "film", SHMFRAME_VIDEO, LIVE),
        stream("c", "film", SHMFRAME_AUDIO, LIVE), stream("d", "film", SHMFRAME_AUDIO, GONE),
        stream("e", "talk", SHMFRAME_AUDIO, LIVE),
    };
    for (int i = 0; i < 2; i++) {
        const struct stream_choices all = choose_all_streams(streams, 5, i == 0 ? "film" : "b");
        ck_assert_int_eq(all.video, 1);
        ck_assert_uint_eq(all.audios, 2);
        ck_assert_int_eq(all.audio[0], 0);
        ck_assert_int_eq(all.audio[1], 2);
    }
    const struct stream_choices one = choose_all_streams(streams, 5, "c");
    ck_assert_int_eq(one.video, -1);
    ck_assert_uint_eq(one.audios, 1);
    ck_assert_int_eq(one.audio[0], 2);
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("choice");
    tcase_add_test(tests, a_picture_brings_the_sound_of_its_group);
    tcase_add_test(tests, a_sound_stays_alone);
    tcase_add_test(tests, a_group_means_its_first_picture_and_its_first_sound);
    tcase_add_test(tests, either_may_be_missing);
    tcase_add_test(tests, what_runs_comes_before_what_has_lost_its_writer);
    tcase_add_test(tests, streams_that_ended_or_are_only_waited_for_do_not_count);
    tcase_add_test(tests, all_sounds_of_a_group_come_with_its_picture);
    Suite *const suite = suite_create("choice");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
