/* A reader that has given up what it does not need: it reads on, also from the next supervisor, and
 * can do no harm. */
#include "sandbox.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define REFUSED(number, call)                                                                      \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((intptr_t)(call) != -1 || errno != EPERM) {                                            \
            fprintf(stderr, "%s: errno %d\n", #call, errno);                                       \
            _exit(number);                                                                         \
        }                                                                                          \
    } while (0)

static void try_what_it_needs_not(void) {
    static uint32_t word[2];
    static char *const arguments[] = {(char *)"/bin/true", NULL};
    if (sandbox_enter() < 0)
        _exit(1);
    REFUSED(2, execv("/bin/true", arguments));
    REFUSED(3, socket(AF_INET, SOCK_STREAM, 0));
    REFUSED(4, socket(AF_NETLINK, SOCK_RAW, 0));
    REFUSED(5, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    REFUSED(6, fork());
    REFUSED(7, open("/tmp/shmframe-sandbox-test", O_WRONLY | O_CREAT, 0600));
    REFUSED(8, open("/dev/null", O_RDWR));
    REFUSED(9, open("/tmp", O_TMPFILE | O_WRONLY, 0600));
    REFUSED(10, open("/etc/passwd", O_RDONLY | O_TRUNC));
    REFUSED(11, unlink("/tmp/shmframe-sandbox-test"));
    REFUSED(12, mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REFUSED(13, kill(getppid(), 0));
    REFUSED(14, syscall(SYS_futex, &word[0], FUTEX_REQUEUE, 1, 1, &word[1], 0));
    REFUSED(15, syscall(SYS_futex, &word[0], FUTEX_CMP_REQUEUE, 1, 1, &word[1], 0));
    REFUSED(16, syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
    REFUSED(17, syscall(SYS_pidfd_getfd, 0, 0, 0));
    REFUSED(18, syscall(SYS_io_uring_setup, 1, NULL));
    REFUSED(19, setuid(0));
    REFUSED(20, syscall(SYS_bpf, 0, NULL, 0));
    if (access("/", F_OK) == 0 || open("/etc/passwd", O_RDONLY) < 0)
        _exit(21);
}

START_TEST(what_it_needs_not_is_refused) {
    world_join(world_fork(try_what_it_needs_not));
}
END_TEST

static void read_in_the_sandbox(void) {
    world.session = world_open_session();
    if (sandbox_enter() < 0)
        _exit(1);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    world_tell();
    for (uint64_t i = 1; i <= 20; i++)
        ck_assert_uint_eq(world_take(reader, i), 100 + i);
    shmframe_reader_close(reader);
    shmframe_session_close(world.session);
}

START_TEST(it_reads_on_also_after_a_restart_of_the_supervisor) {
    struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_writer *writer;
    params.history = 32;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    const pid_t pid = world_fork(read_in_the_sandbox);
    world_await();
    for (uint64_t i = 1; i <= 20; i++) {
        if (i == 5)
            world_kill_supervisor();
        if (i == 10)
            world_start_supervisor(NULL, NULL);
        world_publish(writer, 100 + i);
        if (i == 15)
            world_await_connected(true);
    }
    world_join(pid);
    shmframe_writer_close(writer);
}
END_TEST

/* The program of this variable, as a child. */
static const char *program;
static const char *const *arguments;

static void run_program(void) {
    setenv("SHMFRAME_SOCKET", world.socket, 1);
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    execv(getenv(program), (char *const *)arguments);
    _exit(127);
}

static bool is_filtered(pid_t pid) {
    char path[64], line[256];
    int mode = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Seccomp: %d", &mode) == 1)
            break;
    if (file)
        fclose(file);
    return mode == 2;
}

/* It reads "s", and ends as it would without. */
static void expect_end(const char *variable, const char *const argument[]) {
    struct shmframe_writer_params params = {.stream = "s"};
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_format_video(&params.format, "gray", 64, 64), 0);
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    program = variable;
    arguments = argument;
    const pid_t pid = world_fork(run_program);
    int status;
    /* No frame before it is in: it cannot have ended by then. */
    while (!is_filtered(pid)) {
        ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
        usleep(2000);
    }
    for (uint64_t i = 1; waitpid(pid, &status, WNOHANG) == 0; i++) {
        world_publish(writer, i);
        usleep(2000);
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %d", variable, status);
    shmframe_writer_close(writer);
}

START_TEST(latency_ends_in_it_as_without) {
    expect_end("LATENCY",
               (const char *const[]){"shmframe-latency", "s", "--sandbox", "--policy", "latest",
                                     "--frames", "3", "--interval", "10ms", "--touch", NULL});
}
END_TEST

START_TEST(latency_of_marks_ends_in_it_as_without) {
    expect_end("LATENCY", (const char *const[]){"shmframe-latency", "s", "--marks", "--sandbox",
                                                "--duration", "2s", "--interval", "50ms", NULL});
}
END_TEST

START_TEST(analyze_ends_in_it_as_without) {
    expect_end("ANALYZE", (const char *const[]){"shmframe-analyze", "s", "--sandbox", "--frames",
                                                "3", "--format", "json", NULL});
}
END_TEST

START_TEST(delay_ends_in_it_as_without) {
    expect_end("DELAY", (const char *const[]){"shmframe-delay", "s", "out", "--sandbox", "--delay",
                                              "5ms", "--frames", "3", NULL});
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sandbox");
    TCase *tests = tcase_create("sandbox");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, what_it_needs_not_is_refused);
    tcase_add_test(tests, it_reads_on_also_after_a_restart_of_the_supervisor);
    tcase_add_test(tests, latency_ends_in_it_as_without);
    tcase_add_test(tests, latency_of_marks_ends_in_it_as_without);
    tcase_add_test(tests, analyze_ends_in_it_as_without);
    tcase_add_test(tests, delay_ends_in_it_as_without);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
