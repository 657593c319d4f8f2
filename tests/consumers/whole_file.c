/* Files that are there whole or not at all. */
#include "whole_file.h"

#include "program.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/test-whole-file-XXXXXX";
static char path[64], other[64];

static void set_up(void) {
    strcpy(folder + sizeof(folder) - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    snprintf(other, sizeof(other), "%s/other", folder);
}

static void tear_down(void) {
    unlink(path);
    unlink(other);
    ck_assert_int_eq(rmdir(folder), 0); /* and nothing else was left in it */
}

static void expect_content(const char *name, const char *wanted) {
    char text[64] = "";
    const int fd = open(name, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    ck_assert_str_eq(text, wanted);
}

static int put(const char *name, const char *text, bool is_replacing) {
    return whole_file_write(name, text, strlen(text), is_replacing);
}

START_TEST(a_new_file_has_what_was_written_and_the_usual_mode) {
    umask(027);
    ck_assert_int_eq(put(path, "new", false), 0);
    expect_content(path, "new");
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0640);
}
END_TEST

START_TEST(what_is_there_stays_unless_it_is_to_be_replaced) {
    ck_assert_int_eq(put(path, "old", false), 0);
    ck_assert_int_eq(put(path, "new", false), -EEXIST);
    expect_content(path, "old");
    ck_assert_int_eq(chmod(path, 0604), 0);
    ck_assert_int_eq(put(path, "new", true), 0);
    expect_content(path, "new");
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0604);
}
END_TEST

START_TEST(another_name_of_a_replaced_file_keeps_the_old_one) {
    ck_assert_int_eq(put(path, "old", false), 0);
    ck_assert_int_eq(link(path, other), 0);
    ck_assert_int_eq(put(path, "new", true), 0);
    expect_content(path, "new");
    expect_content(other, "old");
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_nlink, 1);
}
END_TEST

START_TEST(a_symbolic_link_stays_one) {
    ck_assert_int_eq(put(path, "old", false), 0);
    ck_assert_int_eq(symlink("file", other), 0);
    ck_assert_int_eq(put(other, "new", false), -EEXIST);
    ck_assert_int_eq(put(other, "new", true), 0);
    struct stat status;
    ck_assert_int_eq(lstat(other, &status), 0);
    ck_assert(S_ISLNK(status.st_mode));
    expect_content(path, "new");
}
END_TEST

START_TEST(a_link_to_nowhere_is_not_replaced) {
    ck_assert_int_eq(symlink("nowhere", other), 0);
    ck_assert_int_eq(put(other, "new", false), -EEXIST);
    /* But what it names is made, if that is wanted. */
    ck_assert_int_eq(unlink(other), 0);
    ck_assert_int_eq(symlink("file", other), 0);
    ck_assert_int_eq(put(other, "new", true), 0);
    struct stat status;
    ck_assert_int_eq(lstat(other, &status), 0);
    ck_assert(S_ISLNK(status.st_mode));
    expect_content(path, "new");
}
END_TEST

START_TEST(a_fifo_and_a_device_are_written_to) {
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    const int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_eq(put(path, "through", false), 0);
    char text[16] = "";
    ck_assert_int_eq(read(fd, text, sizeof(text) - 1), 7);
    ck_assert_str_eq(text, "through");
    close(fd);
    ck_assert_int_eq(put("/dev/null", "nothing", true), 0);
    struct stat status;
    ck_assert_int_eq(stat("/dev/null", &status), 0);
    ck_assert(S_ISCHR(status.st_mode));
    ck_assert_int_eq(put("/dev/full", "much", false), -ENOSPC);
}
END_TEST

START_TEST(what_nobody_reads_ends_when_the_program_is_to_stop) {
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    program_stop_on_signals(NULL);
    ck_assert_int_eq(raise(SIGTERM), 0);
    ck_assert_int_eq(put(path, "nobody", false), -EINTR);
    enum { BYTES = 1 << 20 };
    char *much = calloc(1, BYTES);
    const int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* and does not read */
    ck_assert_int_eq(whole_file_write(path, much, BYTES, false), -EINTR);
    ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0); /* who would wait for ever */
    ck_assert_int_eq(whole_file_push(fd, much, BYTES), -EINTR);
    close(fd);
    free(much);
}
END_TEST

static int take_slowly(int fd) {
    static char step[3000];
    int sum = 0;
    for (ssize_t bytes; (bytes = read(fd, step, sizeof(step))) > 0;)
        sum += (int)bytes;
    return sum;
}

START_TEST(a_descriptor_that_does_not_wait_is_waited_for) {
    enum { BYTES = 1000000 };
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    const pid_t reader = fork();
    ck_assert_int_ge(reader, 0);
    if (reader == 0) {
        close(ends[1]);
        fcntl(ends[0], F_SETFL, 0);
        _exit(take_slowly(ends[0]) == BYTES ? 0 : 1);
    }
    char *much = calloc(1, BYTES);
    close(ends[0]);
    ck_assert_int_eq(whole_file_push(ends[1], much, BYTES), 0);
    close(ends[1]);
    int status;
    ck_assert_int_eq(waitpid(reader, &status, 0), reader);
    ck_assert_int_eq(status, 0);
    free(much);
}
END_TEST

START_TEST(a_write_that_fails_in_the_middle_leaves_nothing) {
    enum { BYTES = 100000 };
    char *much = calloc(1, BYTES);
    const struct rlimit limit = {.rlim_cur = BYTES / 2, .rlim_max = BYTES / 2};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(whole_file_write(path, much, BYTES, false), -EFBIG);
    ck_assert_int_eq(access(path, F_OK), -1); /* tear_down() looks for the rest */
    ck_assert_int_eq(put(path, "old", false), 0);
    ck_assert_int_eq(whole_file_write(path, much, BYTES, true), -EFBIG);
    expect_content(path, "old");
    free(much);
}
END_TEST

START_TEST(what_cannot_be_written_says_why) {
    char missing[96];
    snprintf(missing, sizeof(missing), "%s/missing/file", folder);
    ck_assert_int_eq(put(missing, "x", false), -ENOENT);
    ck_assert_int_eq(put(folder, "x", false), -EISDIR);
    ck_assert_int_eq(put("/proc/file", "x", false), -ENOENT);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("whole_file");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_new_file_has_what_was_written_and_the_usual_mode);
    tcase_add_test(tests, what_is_there_stays_unless_it_is_to_be_replaced);
    tcase_add_test(tests, another_name_of_a_replaced_file_keeps_the_old_one);
    tcase_add_test(tests, a_symbolic_link_stays_one);
    tcase_add_test(tests, a_link_to_nowhere_is_not_replaced);
    tcase_add_test(tests, a_fifo_and_a_device_are_written_to);
    tcase_add_test(tests, what_nobody_reads_ends_when_the_program_is_to_stop);
    tcase_add_test(tests, a_descriptor_that_does_not_wait_is_waited_for);
    tcase_add_test(tests, a_write_that_fails_in_the_middle_leaves_nothing);
    tcase_add_test(tests, what_cannot_be_written_says_why);
    Suite *suite = suite_create("whole_file");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
