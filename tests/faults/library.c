/* Library: every call of every scenario fails once. */
#include "flow.h"
#include "scenarios.h"

#include "../api/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void begin(void) {
    world_begin();
    snprintf(flow_socket, sizeof(flow_socket), "%s", world.socket);
    flow_supervisor = world.supervisor;
}

static void run_all(const struct scenario *scenarios) {
    const char *only = getenv("FAULTS_SCENARIO");
    unsigned wrong = 0;
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
        if (!only || strcmp(only, scenario->name) == 0)
            wrong += sweep(scenario);
    ck_assert_msg(wrong == 0, "%u runs went wrong; each is told above", wrong);
}

START_TEST(streams_cope_with_each_call_that_fails) {
    run_all(stream_scenarios);
}
END_TEST

START_TEST(who_asks_copes_with_each_call_that_fails) {
    run_all(asking_scenarios);
}
END_TEST

START_TEST(ffmpeg_copes_with_each_call_that_fails) {
    run_all(picture_scenarios);
}
END_TEST

START_TEST(streams_go_on_with_the_next_supervisor_whatever_fails) {
    run_all(restart_scenarios);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("faults-library");
    TCase *tests = tcase_create("faults");
    tcase_add_checked_fixture(tests, begin, world_end);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, streams_cope_with_each_call_that_fails);
    tcase_add_test(tests, who_asks_copes_with_each_call_that_fails);
    tcase_add_test(tests, ffmpeg_copes_with_each_call_that_fails);
    tcase_add_test(tests, streams_go_on_with_the_next_supervisor_whatever_fails);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
