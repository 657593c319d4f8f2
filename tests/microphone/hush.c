/* What the program says while a thread of it has the libraries silenced: it is led around that
 * before the thread begins, as the thread may hush at any instant of its own. */
#include "program.h"
#include "sound_input.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The thread that sound_input_begin() wants; it does not run yet. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *user) {
    (void)thread;
    (void)attributes;
    (void)run;
    (void)user;
    return EAGAIN;
}

START_TEST(what_is_said_is_led_around_before_the_thread_begins) {
    char path[] = "/tmp/t.XXXXXX", said[256] = "";
    const int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    unlink(path);
    ck_assert_int_eq(dup2(file, STDERR_FILENO), STDERR_FILENO);
    struct sound_input input = {.done_fd = -1};
    ck_assert_int_eq(sound_input_begin(&input, SOUND_OPEN), -EAGAIN);
    /* As the thread's hush does first. */
    const int nowhere = open("/dev/null", O_WRONLY);
    ck_assert_int_eq(dup2(nowhere, STDERR_FILENO), STDERR_FILENO);
    program_warn("the last thing that there is to say");
    ck_assert_int_gt(pread(file, said, sizeof(said) - 1, 0), 0);
    ck_assert_ptr_nonnull(strstr(said, "the last thing that there is to say\n"));
    close(nowhere);
    close(file);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hush");
    TCase *tests = tcase_create("hush");
    tcase_add_test(tests, what_is_said_is_led_around_before_the_thread_begins);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
