#include "stage.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct stage stage;
static char said_path[128];

void stage_begin(void) {
    world_begin();
    snprintf(stage.fifo, sizeof(stage.fifo), "%s/fifo", world.folder);
    snprintf(said_path, sizeof(said_path), "%s/said", world.folder);
    ck_assert_int_eq(mkfifo(stage.fifo, 0600), 0);
    stage.program = -1;
}

void stage_end(void) {
    if (stage.program > 0)
        world_kill(stage.program);
    unlink(stage.fifo);
    unlink(said_path);
    world_end();
}

void stage_start(const char *path, int stdin_fd, const char *const *arguments) {
    const pid_t parent = getpid();
    stage.program = fork();
    ck_assert_int_ge(stage.program, 0);
    if (stage.program > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int said = open(said_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (getppid() != parent || said < 0 || setenv("SHMFRAME_SOCKET", world.socket, 1) < 0)
        _exit(99);
    dup2(stdin_fd, STDIN_FILENO);
    dup2(said, STDOUT_FILENO);
    dup2(said, STDERR_FILENO);
    execv(path, (char *const *)(uintptr_t)arguments);
    _exit(98);
}

void stage_expect_exit(int code) {
    const int64_t deadline_ns = world_deadline();
    int status;
    while (waitpid(stage.program, &status, WNOHANG) == 0) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "it did not end");
        poll(NULL, 0, 2);
    }
    stage.program = -1;
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "0x%x", (unsigned)status);
}

int stage_count_said(const char *part) {
    char said[4096] = "";
    int count = 0;
    FILE *file = fopen(said_path, "re");
    if (!file)
        return 0; /* it has not got that far */
    said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
    fclose(file);
    for (const char *at = said; (at = strstr(at, part)); at++)
        count++;
    return count;
}

void stage_await_said(const char *part, int count) {
    const int64_t deadline_ns = world_deadline();
    while (stage_count_said(part) < count) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "it does not say \"%s\"", part);
        poll(NULL, 0, 1);
    }
}
