/* A process behind the supervisor's call filter: what no supervisor needs is refused, threads and
 * programs that it starts included; what this one or another version needs goes on. */
#include "call_filter.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../library/suite.h"

#define REFUSED(number, call)                                                                      \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((intptr_t)(call) != -1 || errno != EPERM) {                                            \
            fprintf(stderr, "%s: errno %d\n", #call, errno);                                       \
            _exit(number);                                                                         \
        }                                                                                          \
    } while (0)

/* Runs `act` in a child, whose exit status is 0 if all was as it should be. */
static void expect_of_child(void (*act)(void)) {
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        act();
        _exit(0);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", (unsigned)status);
}

/* Each with arguments that the kernel would take, or refuse otherwise. */
static void try_what_it_needs_not(void) {
    REFUSED(1, socket(AF_INET, SOCK_STREAM, 0));
    REFUSED(2, socket(AF_NETLINK, SOCK_RAW, 0));
    REFUSED(3, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    REFUSED(4, syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
    REFUSED(5, syscall(SYS_process_vm_writev, getpid(), NULL, 0, NULL, 0, 0));
    REFUSED(6, syscall(SYS_bpf, 0, NULL, 0));
    REFUSED(7, syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    REFUSED(8, syscall(SYS_io_uring_setup, 1, NULL));
    REFUSED(9, syscall(SYS_keyctl, 0, 0));
    REFUSED(10, syscall(SYS_setresuid, -1, -1, -1));
    REFUSED(11, syscall(SYS_setgid, getegid()));
    REFUSED(12, syscall(SYS_personality, 0xffffffff));
    REFUSED(13, syscall(SYS_mount, NULL, "/", NULL, 0, NULL));
    REFUSED(14, syscall(SYS_kexec_load, 0, 0, NULL, 0));
    REFUSED(15, syscall(SYS_finit_module, -1, "", 0));
    REFUSED(16, syscall(SYS_unshare, 0));
    REFUSED(17, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    REFUSED(18, syscall(SYS_userfaultfd, 1));
    REFUSED(19, syscall(SYS_pidfd_getfd, -1, 0, 0));
}

static void enter(void) {
    if (call_filter_enter() < 0)
        _exit(100);
}

static void enter_and_try(void) {
    enter();
    try_what_it_needs_not();
}

START_TEST(what_no_supervisor_needs_is_refused) {
    expect_of_child(enter_and_try);
}
END_TEST

static pthread_barrier_t barrier;

static void *try_in_thread(void *user) {
    (void)user;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    try_what_it_needs_not();
    return NULL;
}

static void enter_beside_a_thread(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    if (pthread_create(&thread, NULL, try_in_thread, NULL) != 0)
        _exit(101);
    pthread_barrier_wait(&barrier);
    enter();
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
}

START_TEST(threads_that_were_there_before_are_held_to_it) {
    expect_of_child(enter_beside_a_thread);
}
END_TEST

static void *do_nothing(void *user) {
    return user;
}

static void do_what_others_need(void) {
    enter();
    const pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
        _exit(1);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
        _exit(2);
    pthread_t thread;
    if (pthread_create(&thread, NULL, do_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
        _exit(3);
    if (socket(AF_UNIX, SOCK_SEQPACKET, 0) < 0)
        _exit(4);
}

START_TEST(programs_threads_and_local_sockets_go_on) {
    expect_of_child(do_what_others_need);
}
END_TEST

/* -1: the kernel does not tell, which is so before Linux 5.9. */
static long count_filters(void) {
    char line[128];
    long count = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Seccomp_filters: %ld", &count) == 1)
            break;
    if (file)
        fclose(file);
    return count;
}

static void enter_often(void) {
    const long before = count_filters();
    for (unsigned i = 0; i < 5; i++)
        enter();
    const long after = count_filters();
    if (before >= 0 && after != before + 1)
        _exit(1);
}

START_TEST(once_is_enough) {
    expect_of_child(enter_often);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {what_no_supervisor_needs_is_refused},
        {threads_that_were_there_before_are_held_to_it},
        {programs_threads_and_local_sockets_go_on},
        {once_is_enough},
    };
    return suite_run("call-filter", tests, SUITE_COUNT(tests));
}
