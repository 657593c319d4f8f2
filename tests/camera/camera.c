/* shmframe-camera where there is no camera: what it says. With one: tests/vm. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char said[8192];

/* Runs it to its end; returns its exit code and leaves what it said in `said`. */
static int run(const char *arguments) {
    char command[512];
    snprintf(command, sizeof(command), "exec %s %s 2>&1 </dev/null", getenv("SHMFRAME_CAMERA"),
             arguments);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    said[fread(said, 1, sizeof(said) - 1, pipe)] = 0;
    const int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_line(const char *part) {
    ck_assert_msg(strstr(said, part), "%s", said);
    ck_assert_msg(strchr(said, '\n') == said + strlen(said) - 1, "%s", said);
}

START_TEST(options_that_cannot_be_are_usage_errors) {
    static const char *const bad[][2] = {
        {"--pixel-format nonsense", "nonsense"},
        {"--io dma", "auto, userptr or mmap"},
        {"--control brightness", "NAME=VALUE"},
        {"--control =3", "NAME=VALUE"},
        {"--size 0x10", "--size"},
        {"--rate x", "--rate"},
        {"--rate 0", "--rate"},
        {"--input first", "--input"},
        {"--stream Camera", "--stream"},
        {"--format xml", "--format"},
        {"/dev/video0", "/dev/video0"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const int code = run(bad[i][0]);
        ck_assert_msg(code == 2, "%s: %d, %s", bad[i][0], code, said);
        expect_line(bad[i][1]);
    }
}
END_TEST

START_TEST(what_is_no_camera_is_one_clear_line) {
    static const char *const bad[][2] = {
        {"--device /dev/video-none", "/dev/video-none: no such device; --list"},
        {"--device /dev/null", "/dev/null: not a camera"},
        {"--device /tmp", "/tmp: not a device"},
        {"--device /dev/null --list", "/dev/null: not a camera"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(run(bad[i][0]), 1);
        expect_line(bad[i][1]);
    }
}
END_TEST

START_TEST(the_list_is_an_object_with_devices) {
    ck_assert_int_eq(run("--list --format json"), 0);
    json_t *list = json_loads(said, 0, NULL);
    ck_assert(json_is_array(json_object_get(list, "devices")));
    json_decref(list);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("camera");
    TCase *run_case = tcase_create("run");
    tcase_set_timeout(run_case, 30);
    tcase_add_test(run_case, options_that_cannot_be_are_usage_errors);
    tcase_add_test(run_case, what_is_no_camera_is_one_clear_line);
    tcase_add_test(run_case, the_list_is_an_object_with_devices);
    suite_add_tcase(suite, run_case);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
