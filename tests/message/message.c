#include "message.h"

#include <shmframe/error.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "descriptors.h"

START_TEST(every_type_is_accepted_as_it_is_made) {
    for (unsigned type = MESSAGE_NONE + 1; type < MESSAGE_TYPES; type++) {
        union message message;
        message_init(&message, type, 17);
        ck_assert_uint_eq(message.header.cookie, 17);
        ck_assert_uint_le(message_bytes(type), sizeof(message));
        ck_assert_uint_le(message_fds(type), MESSAGE_FDS_MAX);
        ck_assert_int_eq(message_check(&message, message_bytes(type), message_fds(type)), 0);
        ck_assert_str_ne(message_name(type), "unknown");
        ck_assert(message_is_from_session(type) || message_is_from_supervisor(type));
    }
}
END_TEST

START_TEST(every_other_size_is_refused) {
    for (unsigned type = MESSAGE_NONE + 1; type < MESSAGE_TYPES; type++) {
        union message message;
        message_init(&message, type, 0);
        for (size_t bytes = 0; bytes <= sizeof(message); bytes++) {
            if (bytes == message_bytes(type))
                continue;
            ck_assert_int_eq(message_check(&message, bytes, message_fds(type)), -EPROTO);
        }
        message.header.bytes++;
        ck_assert_int_eq(message_check(&message, message_bytes(type), message_fds(type)), -EPROTO);
    }
}
END_TEST

START_TEST(every_other_number_of_descriptors_is_refused) {
    for (unsigned type = MESSAGE_NONE + 1; type < MESSAGE_TYPES; type++)
        for (uint32_t fds = 0; fds <= MESSAGE_FDS_MAX + 1; fds++) {
            union message message;
            message_init(&message, type, 0);
            ck_assert_int_eq(message_check(&message, message_bytes(type), fds),
                             fds == message_fds(type) ? 0 : -EPROTO);
        }
}
END_TEST

START_TEST(what_is_shorter_than_a_header_is_told_as_that) {
    union message message;
    message_init(&message, MESSAGE_DONE, 0);
    ck_assert_int_eq(message_check(&message, sizeof(message.header) - 1, 0), -EPROTO);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "too short"));
}
END_TEST

START_TEST(an_unknown_type_is_refused) {
    static const uint16_t types[] = {MESSAGE_NONE, MESSAGE_TYPES, 0x7fff, 0xffff};
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        union message message;
        message_init(&message, MESSAGE_DONE, 0);
        message.header.type = types[i];
        ck_assert_int_eq(message_check(&message, message_bytes(MESSAGE_DONE), 0), -EPROTO);
        ck_assert_str_eq(message_name(types[i]), "unknown");
    }
}
END_TEST

START_TEST(another_version_is_told_with_both_numbers) {
    union message message;
    message_init(&message, MESSAGE_HELLO, 0);
    message.header.abi = LAYOUT_ABI + 41;
    /* Its size may differ too. */
    ck_assert_int_eq(message_check(&message, sizeof(struct message_header), 0), -EPROTONOSUPPORT);
    char number[16];
    snprintf(number, sizeof(number), "version %u ", LAYOUT_ABI + 41);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), number));
    snprintf(number, sizeof(number), "version %u:", LAYOUT_ABI);
    ck_assert_ptr_nonnull(strstr(shmframe_last_error(), number));
}
END_TEST

START_TEST(a_wrong_mark_is_refused_before_the_version) {
    union message message;
    message_init(&message, MESSAGE_HELLO, 0);
    message.header.magic++;
    message.header.abi++;
    ck_assert_int_eq(message_check(&message, message_bytes(MESSAGE_HELLO), 0), -EPROTO);
}
END_TEST

static void fill(char *text, size_t bytes, const union message *message) {
    memset(text, 'x', bytes);
    const unsigned type = message->header.type;
    ck_assert_int_eq(message_check(message, message_bytes(type), message_fds(type)), -EPROTO);
    text[bytes - 1] = '\0';
    ck_assert_int_eq(message_check(message, message_bytes(type), message_fds(type)), 0);
}

#define FILL(TYPE, field)                                                                          \
    do {                                                                                           \
        message_init(&message, TYPE, 0);                                                           \
        fill(message.field, sizeof(message.field), &message);                                      \
    } while (0)

START_TEST(a_text_without_an_end_is_refused) {
    union message message;
    FILL(MESSAGE_HELLO, hello.name);
    FILL(MESSAGE_OPEN_RING, open_ring.stream);
    FILL(MESSAGE_OPEN_READER, open_reader.stream);
    FILL(MESSAGE_OPEN_READER, open_reader.name);
    FILL(MESSAGE_REQUEST, request.stream);
    FILL(MESSAGE_REQUEST, request.verb);
    FILL(MESSAGE_REQUEST, request.argument);
    FILL(MESSAGE_ANSWER, answer.text);
    FILL(MESSAGE_LIST_STREAMS, list.stream);
    FILL(MESSAGE_LIST_READERS, list.stream);
    FILL(MESSAGE_GET_RECORD, reader_of.stream);
    FILL(MESSAGE_EVICT, reader_of.stream);
    FILL(MESSAGE_ERROR, error.text);
    FILL(MESSAGE_READER_EVENT, reader_event.name);
    FILL(MESSAGE_STREAM, stream.info.name);
    FILL(MESSAGE_STREAM, stream.info.group);
    FILL(MESSAGE_STREAM, stream.info.format);
    FILL(MESSAGE_STREAM, stream.info.writer);
    FILL(MESSAGE_READER, reader.info.name);
}
END_TEST

START_TEST(put_text_cuts_ends_and_leaves_nothing_behind) {
    char text[8];
    memset(text, 'z', sizeof(text));
    message_put_text(text, sizeof(text), "abc");
    ck_assert_mem_eq(text, "abc\0\0\0\0\0", 8);
    message_put_text(text, sizeof(text), "abcdefghijkl");
    ck_assert_mem_eq(text, "abcdefg", 8);
    message_put_text(text, sizeof(text), "");
    ck_assert_mem_eq(text, "\0\0\0\0\0\0\0\0", 8);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("message");
    tcase_add_checked_fixture(cases, descriptors_begin, descriptors_end);
    tcase_add_test(cases, every_type_is_accepted_as_it_is_made);
    tcase_add_test(cases, every_other_size_is_refused);
    tcase_add_test(cases, every_other_number_of_descriptors_is_refused);
    tcase_add_test(cases, what_is_shorter_than_a_header_is_told_as_that);
    tcase_add_test(cases, an_unknown_type_is_refused);
    tcase_add_test(cases, another_version_is_told_with_both_numbers);
    tcase_add_test(cases, a_wrong_mark_is_refused_before_the_version);
    tcase_add_test(cases, a_text_without_an_end_is_refused);
    tcase_add_test(cases, put_text_cuts_ends_and_leaves_nothing_behind);
    Suite *suite = suite_create("message");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
