/* The journal in words: each type and each cause, with who, what and how long. */
#include "event_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define READER    .stream = "cam", .name = "shmframe-view", .pid = 12, .reader = 3
#define WRITER    .stream = "cam", .name = "shmframe-pattern", .pid = 9
#define LOST      .type = SHMFRAME_JOURNAL_LOSS
#define BY_READER .culprit = "shmframe-view", .culprit_pid = 12, .culprit_reader = 3
#define BY_WRITER .culprit = "shmframe-pattern", .culprit_pid = 9
#define MS        *INT64_C(1000000)

static const struct {
    const char *text;
    struct shmframe_event event;
} lines[] = {
    {"cam: shmframe-view (pid 12, reader 3) lost 5 frames, 4711 to 4715: it held leases for "
     "96.0 ms in all since it was last up to date",
     {LOST, READER, BY_READER, .cause = SHMFRAME_CAUSE_HELD, .first = 4711, .count = 5,
      .duration_ns = 96 MS}},
    {"cam: shmframe-view (pid 12, reader 3) lost frame 7: it ran 12.0 ms after the writer had "
     "woken it",
     {LOST, READER, BY_READER, .cause = SHMFRAME_CAUSE_WOKEN_LATE, .first = 7, .count = 1,
      .duration_ns = 12 MS}},
    {"cam: shmframe-view (pid 12, reader 3) lost 2 frames, 7 to 8: it was away for 1.20 s in "
     "all since it was last up to date",
     {LOST, READER, BY_READER, .cause = SHMFRAME_CAUSE_AWAY, .first = 7, .count = 2,
      .duration_ns = 1200 MS}},
    {"cam: shmframe-view (pid 12, reader 3) lost frame 7: published in a ring that it was not "
     "linked to",
     {LOST, READER, .cause = SHMFRAME_CAUSE_RESTART, .first = 7, .count = 1}},
    {"cam: shmframe-view (pid 12, reader 3) lost 90 frames, 10 to 99: its place had been taken "
     "away; "
     "held a lease for 2 s",
     {LOST, READER, .cause = SHMFRAME_CAUSE_EVICTED, .first = 10, .count = 90,
      .text = "held a lease for 2 s"}},
    {"cam: shmframe-view (pid 12, reader 3) lost 40 frames; in 20 losses not told singly",
     {LOST, READER, .count = 40, .text = "in 20 losses not told singly"}},
    {"cam: shmframe-pattern (pid 9) was late: it did not make 3 frames before 120 (a gap of 66.7 "
     "ms)",
     {LOST, WRITER, BY_WRITER, .cause = SHMFRAME_CAUSE_WRITER_LATE, .first = 120, .count = 3,
      .duration_ns = 66667000}},
    {"cam: the device dropped 1 frame before 120, as told by shmframe-pattern (pid 9)",
     {LOST, WRITER, .culprit = "device", .cause = SHMFRAME_CAUSE_DEVICE, .first = 120, .count = 1}},
    {"cam: shmframe-pattern (pid 9) was refused a slot 17 times in 210 ms, before frame 120: "
     "shmframe-view (pid 12, reader 3) held 3",
     {LOST, WRITER, BY_READER, .cause = SHMFRAME_CAUSE_POOL, .first = 120, .count = 17,
      .duration_ns = 210 MS, .leases = 3}},
    {"cam: shmframe-pattern (pid 9) was refused a slot once, before frame 120: "
     "shmframe-view (pid 12, reader 3) was behind",
     {LOST, WRITER, BY_READER, .cause = SHMFRAME_CAUSE_POOL, .first = 120, .count = 1}},
    {"cam: shmframe-pattern (pid 9) was refused a slot once: it had them on loan or pinned itself",
     {LOST, WRITER, BY_WRITER, .cause = SHMFRAME_CAUSE_POOL, .count = 1}},
    {"cam: shmframe-view (pid 12, reader 3) has been holding a lease for 1.20 s (its limit is 1.00 "
     "s)",
     {READER, .type = SHMFRAME_JOURNAL_HOLD, .duration_ns = 1200 MS, .limit_ns = 1000 MS}},
    {"cam: shmframe-view (pid 12, reader 3) held a lease for 4.00 s (its limit is 1.00 s): evicted",
     {READER, .type = SHMFRAME_JOURNAL_HOLD_OVER, .duration_ns = 4000 MS, .limit_ns = 1000 MS,
      .text = "evicted"}},
    {"cam: shmframe-pattern (pid 9) has published nothing for 2.00 s (its limit is 1.00 s): kept "
     "waiting by shmframe-view (pid 12, reader 3)",
     {WRITER, BY_READER, .type = SHMFRAME_JOURNAL_STALL, .duration_ns = 2000 MS,
      .limit_ns = 1000 MS}},
    {"cam: shmframe-pattern (pid 9) has published nothing for 2.00 s: stopped (SIGSTOP)",
     {WRITER, BY_WRITER, .type = SHMFRAME_JOURNAL_STALL, .duration_ns = 2000 MS,
      .text = "stopped (SIGSTOP)"}},
    {"cam: shmframe-pattern (pid 9) publishes again after 3.00 s",
     {WRITER, .type = SHMFRAME_JOURNAL_STALL_OVER, .duration_ns = 3000 MS}},
    {"cam: shmframe-pattern (pid 9) had published nothing for 3.00 s: its writer left",
     {WRITER, .type = SHMFRAME_JOURNAL_STALL_OVER, .duration_ns = 3000 MS,
      .text = "its writer left"}},
    {"cam: shmframe-view (pid 12, reader 3) was woken, and has not come for 2.00 s (its limit is "
     "1.00 s): its process is stopped",
     {READER, .type = SHMFRAME_JOURNAL_STALL, .duration_ns = 2000 MS, .limit_ns = 1000 MS,
      .text = "its process is stopped"}},
    {"cam: shmframe-view (pid 12, reader 3) came when it had been woken for 3.00 s",
     {READER, .type = SHMFRAME_JOURNAL_STALL_OVER, .duration_ns = 3000 MS}},
    {"cam: shmframe-view (pid 12, reader 3) had been woken, and had not come for 3.00 s: its "
     "process died",
     {READER, .type = SHMFRAME_JOURNAL_STALL_OVER, .duration_ns = 3000 MS,
      .text = "its process died"}},
    {"cam: shmframe-view (pid 12, reader 3) lost 48 frames: it held leases for too long; in "
     "sum: not told one by one",
     {READER, .type = SHMFRAME_JOURNAL_LOSS, .cause = SHMFRAME_CAUSE_HELD, .count = 48,
      .text = "in sum: not told one by one"}},
    {"cam: live, generation 2, written by shmframe-pattern (pid 9): 64x48 yuv420p",
     {WRITER, .type = SHMFRAME_JOURNAL_STREAM_LIVE, .generation = 2, .text = "64x48 yuv420p"}},
    {"cam: ended", {WRITER, .type = SHMFRAME_JOURNAL_STREAM_ENDED}},
    {"cam: shmframe-pattern (pid 9) is gone, and did not end the stream",
     {WRITER, .type = SHMFRAME_JOURNAL_WRITER_GONE}},
    {"cam: shmframe-view (pid 12, reader 3) joined",
     {READER, .type = SHMFRAME_JOURNAL_READER_JOINED}},
    {"cam: shmframe-view (pid 12, reader 3) left", {READER, .type = SHMFRAME_JOURNAL_READER_LEFT}},
    {"cam: shmframe-view (pid 12, reader 3) was evicted: as shmframe (pid 5) asked",
     {READER, .type = SHMFRAME_JOURNAL_READER_LEFT, .cause = SHMFRAME_CAUSE_EVICTED,
      .text = "as shmframe (pid 5) asked"}},
    {"about another user's reader", {.type = SHMFRAME_JOURNAL_NONE}},
    {"node view (pid 77): back-off: killed by SIGSEGV",
     {.type = SHMFRAME_JOURNAL_NODE,
      .name = "view",
      .pid = 77,
      .text = "back-off: killed by SIGSEGV"}},
    {"shmframed (pid 5): started",
     {.type = SHMFRAME_JOURNAL_SUPERVISOR, .name = "shmframed", .pid = 5, .text = "started"}},
    {"event 99: of another version", {.type = 99, .text = "of another version"}},
};

START_TEST(each_line_tells_who_what_and_why) {
    char text[EVENT_TEXT_BYTES];
    event_describe(&lines[_i].event, text);
    ck_assert_str_eq(text, lines[_i].text);
}
END_TEST

START_TEST(the_longest_line_fits) {
    struct shmframe_event event = {LOST,
                                   .cause = SHMFRAME_CAUSE_POOL,
                                   .first = UINT64_MAX,
                                   .count = UINT64_MAX,
                                   .duration_ns = INT64_MAX,
                                   .limit_ns = INT64_MAX,
                                   .leases = UINT32_MAX,
                                   .pid = INT32_MAX,
                                   .reader = UINT32_MAX,
                                   .culprit_pid = INT32_MIN,
                                   .culprit_reader = UINT32_MAX};
    memset(event.stream, 's', sizeof(event.stream) - 1);
    memset(event.name, 'n', sizeof(event.name) - 1);
    memset(event.culprit, 'c', sizeof(event.culprit) - 1);
    memset(event.text, 't', sizeof(event.text) - 1);
    for (unsigned type = 0; type <= SHMFRAME_JOURNAL_TYPES; type++) {
        event.type = type;
        char text[EVENT_TEXT_BYTES];
        event_describe(&event, text);
        ck_assert_str_eq(text + strlen(text) - 3, "ttt");
        ck_assert_uint_lt(strlen(text), EVENT_TEXT_BYTES - 1);
    }
}
END_TEST

START_TEST(its_time_is_local) {
    setenv("TZ", "UTC-1", 1);
    const struct shmframe_event event = {.wall_ns = INT64_C(1700000000123456789)};
    char text[EVENT_TIME_BYTES];
    event_format_time(&event, false, text);
    ck_assert_str_eq(text, "23:13:20.123");
    event_format_time(&event, true, text);
    ck_assert_str_eq(text, "2023-11-14 23:13:20.123");
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("event_text");
    tcase_add_loop_test(cases, each_line_tells_who_what_and_why, 0,
                        sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(cases, the_longest_line_fits);
    tcase_add_test(cases, its_time_is_local);
    Suite *suite = suite_create("event_text");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
