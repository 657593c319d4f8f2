/* Changes: scenes and standing still, and no lease that is held for long. */
#include "changes.h"

#include "runner.h"

static struct changes changes;
static uint8_t row[2][COMPONENT_ROW_BYTES];
static void *const buffers[] = {row[0], row[1]};

static void end(void) {
    changes_reset(&changes);
}

static struct change step(AVFrame *picture) {
    struct components components;
    struct change change;
    components_read(picture, &components);
    ck_assert_int_eq(changes_step(&changes, picture, &components, 0.001, buffers, &change), 0);
    return change;
}

static struct change step_grey(uint8_t value) {
    AVFrame *picture = make_grey(64, 48, value);
    const struct change change = step(picture);
    av_frame_free(&picture);
    return change;
}

START_TEST(the_first_picture_is_compared_with_nothing) {
    const struct change change = step_grey(10);
    ck_assert(!change.is_known && !change.is_still);
}
END_TEST

START_TEST(a_jump_is_a_scene_and_a_second_one_less) {
    step_grey(0);
    /* Differences are parts of 256 values; the score is how much they jump. */
    ck_assert_double_eq_tol(step_grey(128).score, 50, 1e-9);
    ck_assert_double_eq_tol(step_grey(0).score, 0, 1e-9);
    ck_assert_double_eq_tol(step_grey(0).score, 0, 1e-9);
    ck_assert_double_eq_tol(step_grey(64).score, 25, 1e-9);
}
END_TEST

/* Each picture differs from the one before by too little, from the first by more than the noise. */
START_TEST(what_creeps_does_not_stand_still) {
    AVFrame *picture = make_grey(100, 10, 100);
    ck_assert(!step(picture).is_known);
    int still = 0;
    for (int i = 0; i < 8; i++) {
        AVFrame *next = make_grey(100, 10, 100);
        memset(next->data[0], 101, (size_t)i * 40 % 100 + 40); /* 0.00016 of the range */
        for (int y = 1; y <= i && y < 10; y++)
            memset(next->data[0] + y * next->linesize[0], 101, 100);
        still += step(next).is_still;
        av_frame_free(&next);
    }
    av_frame_free(&picture);
    ck_assert_int_gt(still, 0);
    ck_assert_int_lt(still, 8);
}
END_TEST

START_TEST(a_still_picture_is_copied_once_and_its_lease_given_back) {
    AVFrame *first = make_grey(64, 48, 10);
    AVBufferRef *lease = av_buffer_ref(first->buf[0]);
    step(first);
    av_frame_free(&first);
    ck_assert_int_eq(av_buffer_get_ref_count(lease), 2); /* until the next picture */
    struct change change = step_grey(10);
    ck_assert(change.is_still && change.is_copied);
    ck_assert_int_eq(av_buffer_get_ref_count(lease), 1);
    change = step_grey(10);
    ck_assert(change.is_still && !change.is_copied);
    change = step_grey(90);
    ck_assert(!change.is_still);
    change = step_grey(90);
    ck_assert(change.is_still && change.is_copied);
    av_buffer_unref(&lease);
}
END_TEST

START_TEST(pictures_of_another_size_are_compared_with_nothing) {
    step_grey(10);
    AVFrame *larger = make_grey(80, 60, 10);
    ck_assert(!step(larger).is_known);
    av_frame_free(&larger);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("changes");
    tcase_add_checked_fixture(tests, NULL, end);
    tcase_add_test(tests, the_first_picture_is_compared_with_nothing);
    tcase_add_test(tests, a_jump_is_a_scene_and_a_second_one_less);
    tcase_add_test(tests, what_creeps_does_not_stand_still);
    tcase_add_test(tests, a_still_picture_is_copied_once_and_its_lease_given_back);
    tcase_add_test(tests, pictures_of_another_size_are_compared_with_nothing);
    return run_tests(tests, "changes");
}
