#include "layout.h"

#include <shmframe/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "descriptors.h"

static struct ring_geometry plan_video(void) {
    struct ring_geometry geometry = {.stream = "test", .group = "both"};
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, "yuv420p", 640, 480), 0);
    ck_assert_int_eq(layout_plan(&geometry, &format, 0, 3), 0);
    return geometry;
}

START_TEST(a_plan_passes_the_check) {
    struct ring_geometry geometry = plan_video();
    ck_assert_int_eq(layout_check(&geometry, geometry.ring_bytes), 0);
    ck_assert_str_eq(geometry.stream, "test");
    ck_assert_uint_eq(geometry.slots, RING_SLOTS_MAX);
    ck_assert_uint_eq(geometry.payload_offset % PAGE_BYTES, 0);
    ck_assert_uint_ge(geometry.slot_stride, geometry.format.slot_bytes);
    ck_assert_uint_eq(layout_slot_offset(&geometry, geometry.slots), geometry.ring_bytes);
}
END_TEST

START_TEST(a_plan_keeps_to_the_bytes_it_is_given) {
    struct ring_geometry geometry = {.stream = "test"};
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 1), 0);
    const uint64_t header = sizeof(struct ring);
    ck_assert_int_eq(layout_plan(&geometry, &format, header + 5 * 4096 + 17, 3), 0);
    ck_assert_uint_eq(geometry.slots, 5);
    ck_assert_uint_eq(geometry.ring_bytes, header + 5 * 4096);
    ck_assert_int_eq(layout_check(&geometry, geometry.ring_bytes), 0);
    ck_assert_int_eq(layout_plan(&geometry, &format, header + 5 * 4096 + 17, 6), -ENOSPC);
    ck_assert_int_eq(layout_plan(&geometry, &format, 1, 1), -ENOSPC);
    ck_assert_int_eq(layout_plan(&geometry, &format, header, 0), -ENOSPC);
    ck_assert_int_eq(layout_plan(&geometry, &format, 0, RING_SLOTS_MAX + 1), -ENOSPC);
    ck_assert_int_eq(layout_plan(&geometry, &format, UINT64_MAX, 1), 0);
    ck_assert_uint_eq(geometry.slots, RING_SLOTS_MAX);
}
END_TEST

START_TEST(large_frames_get_sixteen_slots_by_default) {
    struct ring_geometry geometry = {.stream = "test"};
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", SHMFRAME_DATA_MAX), 0);
    ck_assert_int_eq(layout_plan(&geometry, &format, 0, 3), 0);
    ck_assert_uint_eq(geometry.slots, 16);
    ck_assert_int_eq(layout_plan(&geometry, &format, 0, 20), 0);
    ck_assert_uint_eq(geometry.slots, 20);
    ck_assert_int_eq(layout_check(&geometry, geometry.ring_bytes), 0);
}
END_TEST

START_TEST(a_format_without_a_size_has_no_plan) {
    struct ring_geometry geometry = {.stream = "test"};
    struct shmframe_format format = {.kind = SHMFRAME_DATA};
    ck_assert_int_eq(layout_plan(&geometry, &format, 0, 1), -ENOSPC);
    format.slot_bytes = UINT64_C(1) << 32;
    ck_assert_int_eq(layout_plan(&geometry, &format, 0, 1), -ENOSPC);
}
END_TEST

#define REFUSED(code, change)                                                                      \
    do {                                                                                           \
        struct ring_geometry g = plan_video();                                                     \
        const uint64_t memfd_bytes = g.ring_bytes;                                                 \
        change;                                                                                    \
        ck_assert_int_eq(layout_check(&g, memfd_bytes), code);                                     \
        ck_assert_str_ne(shmframe_last_error(), "");                                               \
    } while (0)

START_TEST(each_lie_of_a_geometry_is_found) {
    REFUSED(-EPROTO, g.magic++);
    REFUSED(-EPROTONOSUPPORT, g.abi++);
    REFUSED(-EPROTO, g.header_bytes--);
    REFUSED(-EPROTO, g.ring_bytes++);
    REFUSED(-EPROTO, g.slots = 0);
    REFUSED(-EPROTO, g.slots = RING_SLOTS_MAX + 1);
    REFUSED(-EPROTO, g.slots--);
    REFUSED(-EPROTO, g.slots = UINT32_MAX);
    REFUSED(-EPROTO, g.payload_offset = 0);
    REFUSED(-EPROTO, g.payload_offset++);
    REFUSED(-EPROTO, g.payload_offset += PAGE_BYTES);
    REFUSED(-EPROTO, g.payload_offset = UINT64_MAX - PAGE_BYTES + 1);
    REFUSED(-EPROTO, g.slot_stride = 0);
    REFUSED(-EPROTO, g.slot_stride += 64);
    REFUSED(-EPROTO, g.slot_stride = UINT64_C(1) << 60);
    /* 2^56 * 256 is 0 in 64 bits. */
    REFUSED(-EPROTO, {
        g.slots = 256;
        g.slot_stride = UINT64_C(1) << 56;
    });
    REFUSED(-EPROTO, g.format.slot_bytes = g.slot_stride + 1);
    REFUSED(-EPROTO, g.format.slot_bytes = 0);
    REFUSED(-EPROTO, g.format.plane_count = 0);
    REFUSED(-EPROTO, g.format.plane_count = UINT32_MAX);
    REFUSED(-EPROTO, g.format.plane[2].offset = UINT64_MAX - 1);
    REFUSED(-EPROTO, g.format.plane[0].rows = UINT32_MAX);
    REFUSED(-EPROTO, g.format.kind = 17);
    REFUSED(-EPROTO, g.stream[0] = 0);
    REFUSED(-EPROTO, g.stream[0] = '/');
    REFUSED(-EPROTO, memset(g.stream, 'a', sizeof(g.stream)));
    REFUSED(-EPROTO, memset(g.group, 'a', sizeof(g.group)));
    REFUSED(-EPROTO, strcpy(g.group, "A b"));
    REFUSED(-EPROTONOSUPPORT, strcpy(g.format.video.pixel_format, "yuv999x"));
}
END_TEST

/* All else fits what is changed, so that only the check that is meant can find it. */
#define FOUND(words, change)                                                                       \
    do {                                                                                           \
        struct ring_geometry g = plan_video();                                                     \
        change;                                                                                    \
        g.ring_bytes = g.payload_offset + g.slot_stride * g.slots;                                 \
        ck_assert_int_eq(layout_check(&g, g.ring_bytes), -EPROTO);                                 \
        ck_assert_msg(strstr(shmframe_last_error(), words), "%s", shmframe_last_error());          \
    } while (0)

START_TEST(a_lie_that_all_else_fits_is_found) {
    FOUND("says it has 0 slots", g.slots = 0);
    FOUND("says it has 257 slots", g.slots = RING_SLOTS_MAX + 1);
    FOUND("do not begin", g.payload_offset -= PAGE_BYTES);
    FOUND("do not begin", g.payload_offset += 64);
    FOUND("do not begin", g.slot_stride = 0);
    FOUND("do not begin", g.slot_stride += 64);
    /* 2^56 * 256 is 0 in 64 bits: slots that lie beyond all memory, in a ring of a header. */
    FOUND("do not fill", {
        g.slots = 256;
        g.slot_stride = UINT64_C(1) << 56;
    });
    /* The slots begin below address 2^64, and end, as their sum has it, after a header's bytes. */
    FOUND("do not fill", g.payload_offset = sizeof(struct ring) - g.slot_stride * g.slots);
    FOUND("do not end", memset(g.stream, 'a', sizeof(g.stream)));
    FOUND("do not end", memset(g.group, 'a', sizeof(g.group)));
    FOUND("are none", g.stream[0] = 0);
    FOUND("are none", strcpy(g.group, "A b"));
    FOUND("does not fit", g.format.slot_bytes = g.slot_stride + 1);
    FOUND("no planes", g.format.plane_count = 0);
}
END_TEST

START_TEST(a_ring_that_is_not_as_long_as_it_says_is_found) {
    const struct ring_geometry geometry = plan_video();
    ck_assert_int_eq(layout_check(&geometry, geometry.ring_bytes - PAGE_BYTES), -EPROTO);
    ck_assert_int_eq(layout_check(&geometry, geometry.ring_bytes + PAGE_BYTES), -EPROTO);
}
END_TEST

/* Whatever it says about random bytes, it must come back: run under a sanitizer. */
START_TEST(no_bytes_harm_the_check) {
    srandom(1);
    for (unsigned round = 0; round < 20000; round++) {
        struct ring_geometry geometry = plan_video();
        const uint64_t memfd_bytes = geometry.ring_bytes;
        uint8_t *bytes = (uint8_t *)&geometry;
        for (unsigned i = 0; i < 1 + round % 4; i++)
            bytes[(size_t)random() % sizeof(geometry)] = (uint8_t)random();
        layout_check(&geometry, memfd_bytes);
    }
}
END_TEST

START_TEST(words_give_back_what_was_put_in) {
    const struct grant grant = {.serial = UINT32_MAX,
                                .depth = SHMFRAME_DEPTH_MAX,
                                .leases = SHMFRAME_LEASES_MAX,
                                .is_lossless = true,
                                .state = ENTRY_EVICTED};
    const struct grant back = grant_from_word(grant_word(grant));
    ck_assert_uint_eq(back.serial, grant.serial);
    ck_assert_uint_eq(back.depth, grant.depth);
    ck_assert_uint_eq(back.leases, grant.leases);
    ck_assert(back.is_lossless);
    ck_assert_int_eq(back.state, ENTRY_EVICTED);
    ck_assert_uint_eq(reader_word_gone(reader_word(UINT32_MAX, ENTRY_EVICTED)), UINT32_MAX);
    ck_assert_uint_eq(place_sequence(place_word(SEQUENCE_MAX, 255)), SEQUENCE_MAX);
    ck_assert_uint_eq(place_slot(place_word(SEQUENCE_MAX, 255)), 255);
    ck_assert_uint_eq(lease_slot(lease_word(SEQUENCE_MAX, 255)), 255);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("layout");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, descriptors_begin, descriptors_end);
    tcase_add_test(cases, a_plan_passes_the_check);
    tcase_add_test(cases, a_plan_keeps_to_the_bytes_it_is_given);
    tcase_add_test(cases, large_frames_get_sixteen_slots_by_default);
    tcase_add_test(cases, a_format_without_a_size_has_no_plan);
    tcase_add_test(cases, each_lie_of_a_geometry_is_found);
    tcase_add_test(cases, a_lie_that_all_else_fits_is_found);
    tcase_add_test(cases, a_ring_that_is_not_as_long_as_it_says_is_found);
    tcase_add_test(cases, no_bytes_harm_the_check);
    tcase_add_test(cases, words_give_back_what_was_put_in);
    Suite *suite = suite_create("layout");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
