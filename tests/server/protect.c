/* What the supervisor gives up: others of its user cannot look into it, and it has no rights left.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { USER = 12341 };

static struct supervisor supervisor;

/* As an ordinary user, from here on: root may look into everything. */
static void begin_as_user(void) {
    if (geteuid() == 0) {
        ck_assert_int_eq(setgroups(0, NULL), 0);
        ck_assert_int_eq(setresgid(USER, USER, USER), 0);
        ck_assert_int_eq(setresuid(USER, USER, USER), 0);
    }
    supervisor_prepare(&supervisor);
    supervisor.is_traceable = false;
}

static int open_of(const char *name, int flags) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)supervisor.pid, name);
    const int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

START_TEST(others_of_its_user_cannot_look_into_it) {
    begin_as_user();
    supervisor_start(&supervisor);
    ck_assert_int_eq(open_of("fd", O_RDONLY | O_DIRECTORY), -EACCES);
    ck_assert_int_eq(open_of("mem", O_RDWR), -EACCES);
    ck_assert_int_eq(open_of("environ", O_RDONLY), -EACCES);
    ck_assert_int_eq(open_of("maps", O_RDONLY), -EACCES);
    const int pidfd = pidfd_open(supervisor.pid, 0);
    ck_assert_int_ge(pidfd, 0);
    ck_assert_int_eq(syscall(SYS_pidfd_getfd, pidfd, 0, 0), -1);
    ck_assert_int_eq(errno, EPERM);
    close(pidfd);
    ck_assert_int_eq(ptrace(PTRACE_SEIZE, supervisor.pid, NULL, NULL), -1);
    ck_assert_int_eq(errno, EPERM);
    struct peer peer; /* it serves them all the same */
    peer_open(&peer, &supervisor, "peer");
    peer_close(&peer);
    supervisor_clean(&supervisor);
}
END_TEST

START_TEST(they_can_if_it_is_told_to_let_them) {
    begin_as_user();
    supervisor.option[0] = "--traceable";
    supervisor_start(&supervisor);
    const int fd = open_of("fd", O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(fd, 0);
    close(fd);
    supervisor_clean(&supervisor);
}
END_TEST

/* Of /proc/PID/status, in hexadecimal. */
static unsigned long long status_of(const char *name) {
    char line[256];
    unsigned long long value = ~0ull;
    const int fd = open_of("status", O_RDONLY);
    ck_assert_int_ge(fd, 0);
    FILE *file = fdopen(fd, "re");
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtoull(line + strlen(name) + 1, NULL, 16);
    fclose(file);
    return value;
}

START_TEST(it_has_no_capability_and_can_gain_none) {
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    supervisor_prepare(&supervisor);
    supervisor_start(&supervisor);
    for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        ck_assert_msg(status_of(sets[i]) == 0, "%s is %llx", sets[i], status_of(sets[i]));
    if (geteuid() == 0)
        ck_assert_uint_eq(status_of("CapBnd"), 0);
    ck_assert_uint_eq(status_of("NoNewPrivs"), 1);
    supervisor_clean(&supervisor);
}
END_TEST

/* As decimal digits are those of hexadecimal here. */
static unsigned long long filter_of_this(void) {
    char line[256];
    unsigned long long mode = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Seccomp: %llu", &mode) == 1)
            break;
    if (file)
        fclose(file);
    return mode;
}

START_TEST(it_gives_up_calls_without_nodes_alone) {
    enum { FILTERED = 2 };
    char config[128];
    const char *has_seccomp = getenv("HAS_SECCOMP");
    if (!has_seccomp || strcmp(has_seccomp, "1") != 0)
        return; /* it was built without */
    supervisor_prepare(&supervisor);
    supervisor_start(&supervisor);
    ck_assert_uint_eq(status_of("Seccomp"), FILTERED);
    supervisor_stop(&supervisor);
    snprintf(config, sizeof(config), "%s.ini", supervisor.folder);
    FILE *file = fopen(config, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("[producer p]\ncommand = true\nstart = no\n", file), 0);
    fclose(file);
    supervisor.option[0] = "--config";
    supervisor.option[1] = config;
    supervisor_start(&supervisor);
    ck_assert_uint_eq(status_of("Seccomp"), filter_of_this());
    unlink(config);
    supervisor_clean(&supervisor);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("protect");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, others_of_its_user_cannot_look_into_it);
    tcase_add_test(cases, they_can_if_it_is_told_to_let_them);
    tcase_add_test(cases, it_has_no_capability_and_can_gain_none);
    tcase_add_test(cases, it_gives_up_calls_without_nodes_alone);
    Suite *suite = suite_create("protect");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
