/* Reed-Solomon code: whatever stays within its limits is put right, what is beyond is refused. */
#include "reed_solomon.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 40, WORDS = 20000 };

static void fill(uint8_t *word, size_t bytes) {
    for (size_t i = 0; i < bytes - REED_SOLOMON_BYTES; i++)
        word[i] = (uint8_t)rand();
    reed_solomon_encode(word, bytes);
}

/* The first `count` of a shuffled pack of places. */
static void choose_places(uint8_t *out_places, int count, int bytes) {
    uint8_t pack[REED_SOLOMON_WORD_MAX];
    for (int i = 0; i < bytes; i++)
        pack[i] = (uint8_t)i;
    for (int i = 0; i < count; i++) {
        const int other = i + rand() % (bytes - i);
        out_places[i] = pack[other];
        pack[other] = pack[i];
    }
}

/* Spoils `erased` places that are told, and `wrong` that are not. */
static bool survives(size_t bytes, int erased, int wrong) {
    uint8_t word[REED_SOLOMON_WORD_MAX], right[REED_SOLOMON_WORD_MAX];
    uint8_t places[2 * REED_SOLOMON_BYTES];
    fill(right, bytes);
    memcpy(word, right, bytes);
    choose_places(places, erased + wrong, (int)bytes);
    for (int i = 0; i < erased; i++)
        word[places[i]] = (uint8_t)rand();
    for (int i = erased; i < erased + wrong; i++)
        word[places[i]] ^= (uint8_t)(1 + rand() % 255);
    return reed_solomon_correct(word, bytes, places, (size_t)erased) &&
           memcmp(word, right, bytes) == 0;
}

START_TEST(the_parity_is_the_remainder_of_a_long_division) {
    /* The remainder of a long division by the generator, with a multiplication by shifts. */
    uint8_t word[19] = {0x12, 0x34, 0x56};
    reed_solomon_encode(word, sizeof(word));
    static const uint8_t parity[REED_SOLOMON_BYTES] = {0xd5, 0xc5, 0xa4, 0x50, 0xb2, 0x21,
                                                       0xe1, 0xee, 0x65, 0xb3, 0x18, 0x67,
                                                       0x86, 0x85, 0x2d, 0x28};
    ck_assert_mem_eq(word + 3, parity, sizeof(parity));
}
END_TEST

START_TEST(every_single_wrong_byte_is_put_right) {
    uint8_t right[WORD], word[WORD];
    fill(right, WORD);
    for (int place = 0; place < WORD; place++)
        for (int change = 1; change < 256; change++) {
            memcpy(word, right, WORD);
            word[place] ^= (uint8_t)change;
            ck_assert(reed_solomon_correct(word, WORD, NULL, 0));
            ck_assert_mem_eq(word, right, WORD);
        }
}
END_TEST

START_TEST(every_mix_of_errors_and_erasures_within_the_limit_is_put_right) {
    static const size_t sizes[] = {17, 40, 255};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int erased = 0; erased <= REED_SOLOMON_BYTES; erased++)
            for (int wrong = 0; erased + 2 * wrong <= REED_SOLOMON_BYTES; wrong++)
                for (int k = 0; k < 20 && erased + wrong <= (int)sizes[i]; k++)
                    ck_assert_msg(survives(sizes[i], erased, wrong), "%zu bytes: %d and %d",
                                  sizes[i], erased, wrong);
}
END_TEST

START_TEST(what_is_beyond_the_limit_is_refused_and_left_alone) {
    int taken = 0;
    for (int i = 0; i < WORDS; i++) {
        uint8_t word[WORD], before[WORD];
        for (int k = 0; k < WORD; k++)
            word[k] = (uint8_t)rand();
        memcpy(before, word, WORD);
        if (reed_solomon_correct(word, WORD, NULL, 0))
            taken++;
        else
            ck_assert_mem_eq(word, before, WORD);
    }
    /* A word of noise lies within 8 bytes of a right one once in 2.3e11 times. */
    ck_assert_int_eq(taken, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("reed_solomon");
    TCase *code = tcase_create("code");
    tcase_add_test(code, the_parity_is_the_remainder_of_a_long_division);
    tcase_add_test(code, every_single_wrong_byte_is_put_right);
    tcase_add_test(code, every_mix_of_errors_and_erasures_within_the_limit_is_put_right);
    tcase_add_test(code, what_is_beyond_the_limit_is_refused_and_left_alone);
    suite_add_tcase(suite, code);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
