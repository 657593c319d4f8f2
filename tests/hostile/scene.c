#include "scene.h"

#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../folder.h"
#include "../region/descriptors.h"

static const int64_t PATIENCE_NS = INT64_C(20000000000);
static char folder[64];

bool scene_has_strangers(void) {
    return geteuid() == 0;
}

/* ---- life ---- */

static _Noreturn void run(const char *program, int ready) {
    char number[16], uid[16];
    const struct rlimit limit = {SCENE_FDS, SCENE_FDS};
    snprintf(number, sizeof(number), "%d", fcntl(ready, F_DUPFD, 100));
    snprintf(uid, sizeof(uid), "%d", STRANGER_UID);
    setrlimit(RLIMIT_NOFILE, &limit);
    if (!getenv("SHMFRAMED_LOG"))
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    const bool has_strangers = scene_has_strangers();
    execl(program, "shmframed", "--socket", board->socket, "--ready-fd", number,
          has_strangers ? "--allow-uid" : "--traceable", /* what it holds is counted */
          has_strangers ? uid : NULL, (char *)NULL);
    _exit(127);
}

int scene_start(const char *program) {
    int ready[2];
    char byte;
    strcpy(folder, "/tmp/shmframe-hostile-XXXXXX");
    if (!mkdtemp(folder) || pipe2(ready, O_CLOEXEC) < 0)
        return -errno;
    snprintf(board->socket, sizeof(board->socket), "%s/socket", folder);
    const pid_t pid = board_fork(); /* the board is the child's too */
    if (pid == 0)
        run(program, ready[1]);
    board->supervisor = pid;
    close(ready[1]);
    struct pollfd poll_ready = {.fd = ready[0], .events = POLLIN};
    const bool is_ready =
        poll(&poll_ready, 1, (int)(PATIENCE_NS / 1000000)) == 1 && read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    if (!is_ready)
        return -ETIMEDOUT;
    if (scene_has_strangers() &&
        (chmod(folder, 0711) < 0 || chmod(board->socket, 0666) < 0)) /* as an administrator may */
        return -errno;
    return 0;
}

void scene_look(void) {
    int status;
    if (board->supervisor > 0 &&
        waitpid(board->supervisor, &status, WNOHANG) == board->supervisor) {
        board_fault("the supervisor ended with status 0x%x", (unsigned)status);
        board->supervisor = 0;
    }
}

void scene_stop(void) {
    const int64_t until_ns = shmframe_now_ns() + PATIENCE_NS;
    int status = 0;
    if (board->supervisor > 0) {
        kill(board->supervisor, SIGTERM);
        while (waitpid(board->supervisor, &status, WNOHANG) == 0 && shmframe_now_ns() < until_ns)
            board_sleep(2000000);
        if (shmframe_now_ns() >= until_ns || status != 0)
            board_fault("the supervisor does not end well: status 0x%x", (unsigned)status);
        kill(board->supervisor, SIGKILL); /* if it is still there */
    }
    folder_remove(folder);
}

/* ---- what it holds ---- */

static int64_t read_memory_bytes(int pid) {
    char path[64];
    long long total = 0, resident = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lld %lld", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int count_mappings(int pid) {
    char path[64], line[512];
    int count = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (fgets(line, sizeof(line), file))
        count += strstr(line, "memfd:") != NULL;
    fclose(file);
    return count;
}

int64_t scene_cpu_ns(int pid) {
    char path[64], text[1024] = "";
    unsigned long long ticks[4] = {0};
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    const char *rest = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
    if (rest)
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
               &ticks[0], &ticks[1], &ticks[2], &ticks[3]);
    fclose(file);
    const uint64_t sum = ticks[0] + ticks[1] + ticks[2] + ticks[3];
    return (int64_t)(sum * 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

struct holdings scene_holdings(void) {
    const int pid = board->supervisor;
    return (struct holdings){.memory_bytes = read_memory_bytes(pid),
                             .fds = descriptors_count(pid),
                             .mappings = count_mappings(pid),
                             .cpu_ns = scene_cpu_ns(pid)};
}

/* The visitor comes and goes: what it has counts now and then. */
void scene_await_back(const struct holdings *base, const char *after) {
    enum { VISITOR_FDS = 12, VISITOR_MAPPINGS = 2 };
    const int64_t until_ns = shmframe_now_ns() + PATIENCE_NS;
    for (;;) {
        const struct holdings now = scene_holdings();
        if (now.fds <= base->fds + VISITOR_FDS && now.mappings <= base->mappings + VISITOR_MAPPINGS)
            return;
        if (shmframe_now_ns() > until_ns || board->supervisor <= 0) {
            board_fault(
                "after %s the supervisor keeps %d descriptors (%d before), %d mappings (%d)", after,
                now.fds, base->fds, now.mappings, base->mappings);
            return;
        }
        board_sleep(5000000);
    }
}
