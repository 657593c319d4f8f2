/* Spell: what lasts long enough counts, from the first picture in which it is so to the first in
 * which it is not. */
#include "spell.h"

#include "runner.h"

START_TEST(only_what_lasts_long_enough_counts) {
    struct spell spell = {.minimum_ns = 100};
    ck_assert_uint_eq(spell_step(&spell, true, 1000, 1), 0);
    ck_assert_uint_eq(spell_step(&spell, false, 1099, 2), 0);
    ck_assert_uint_eq(spell_step(&spell, true, 2000, 3), 0);
    ck_assert_uint_eq(spell_step(&spell, true, 2050, 4), 0);
    ck_assert_uint_eq(spell_step(&spell, true, 2100, 5), SPELL_BEGAN);
    ck_assert_int_eq(spell_total_ns(&spell), 100);
    ck_assert_uint_eq(spell_step(&spell, true, 2110, 6), 0);
    ck_assert_uint_eq(spell_step(&spell, false, 2120, 7), SPELL_ENDED);
    ck_assert_int_eq(spell.begin_ns, 2000);
    ck_assert_int_eq(spell.end_ns, 2120);
    ck_assert_uint_eq(spell.sequence, 3);
    ck_assert_uint_eq(spell.spells, 1);
    ck_assert_int_eq(spell_total_ns(&spell), 120);
}
END_TEST

START_TEST(the_time_until_the_next_picture_counts) {
    struct spell spell = {.minimum_ns = 100};
    ck_assert_uint_eq(spell_step(&spell, true, 0, 1), 0);
    ck_assert_uint_eq(spell_step(&spell, false, 100, 2), SPELL_BEGAN | SPELL_ENDED);
    ck_assert_uint_eq(spell_step(&spell, true, 200, 3), 0);
    ck_assert_uint_eq(spell_end(&spell, 400), SPELL_BEGAN | SPELL_ENDED);
    ck_assert_uint_eq(spell_end(&spell, 500), 0);
    ck_assert_int_eq(spell_total_ns(&spell), 300);
}
END_TEST

START_TEST(time_that_goes_back_adds_nothing) {
    struct spell spell = {.minimum_ns = 0};
    ck_assert_uint_eq(spell_step(&spell, true, 100, 1), SPELL_BEGAN);
    ck_assert_uint_eq(spell_step(&spell, false, 50, 2), SPELL_ENDED);
    ck_assert_int_eq(spell_total_ns(&spell), 0);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("spell");
    tcase_add_test(tests, only_what_lasts_long_enough_counts);
    tcase_add_test(tests, the_time_until_the_next_picture_counts);
    tcase_add_test(tests, time_that_goes_back_adds_nothing);
    return run_tests(tests, "spell");
}
