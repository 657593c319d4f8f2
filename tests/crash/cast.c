#include "cast.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct cast cast;

/* Whatever becomes of the test, its children do not outlive it; nor do they share its session. */
static pid_t fork_bound(void) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

/* ---- the supervisor ---- */

_Noreturn static void run_supervisor(void) {
    char number[16];
    snprintf(number, sizeof(number), "%d", fcntl(board_fd, F_DUPFD, 3));
    setenv(POINT_ENVIRONMENT, number, 1);
    if (!getenv("SHMFRAMED_LOG")) {
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
    }
    execl(cast.program, "shmframed", "--socket", board->socket, (char *)NULL);
    _exit(127);
}

void cast_start_supervisor(void) {
    cast.supervisor = fork_bound();
    if (cast.supervisor == 0)
        run_supervisor();
}

/* ---- peers ---- */

static const char *stream_of(unsigned seat) {
    return seat >= SEAT_SIDE_WRITER ? "side" : "main";
}

static struct reader_role role_of(unsigned seat) {
    if (seat == SEAT_GUEST)
        return cast.guest;
    const bool is_lossless = seat == SEAT_MAIN_LOSSLESS || seat == SEAT_SIDE_LOSSLESS;
    const bool is_latest = seat == SEAT_MAIN_LATEST;
    return (struct reader_role){.stream = stream_of(seat),
                                .policy = is_lossless ? SHMFRAME_LOSSLESS
                                          : is_latest ? SHMFRAME_LATEST
                                                      : SHMFRAME_IN_ORDER,
                                .depth = is_lossless ? 4 : 8};
}

void cast_fill(unsigned number) {
    struct seat *seat = &board->seat[number];
    atomic_fetch_add(&seat->life, 1);
    atomic_store(&seat->frames, 0);
    atomic_store(&seat->is_open, false);
    atomic_store(&seat->is_connected, false);
    atomic_store(&seat->wish, WISH_NONE);
    cast.pid[number] = fork_bound();
    if (cast.pid[number] == 0) {
        close_range(STDERR_FILENO + 1, ~0U, 0);
        if (number == SEAT_MAIN_WRITER || number == SEAT_SIDE_WRITER)
            writer_run(number, stream_of(number));
        const struct reader_role role = role_of(number);
        reader_run(number, &role);
    }
    if (number == SEAT_GUEST)
        atomic_store(&board->guest, cast.pid[number]);
    if (cast.fills == FILLS_MOST)
        abort();
    cast.filled[cast.fills++] = cast.pid[number];
}

unsigned cast_count_lives(pid_t pid) {
    unsigned lives = 0;
    for (size_t i = 0; i < cast.fills; i++)
        lives += cast.filled[i] == pid;
    return lives;
}

/* ---- how they stop and end ---- */

static const char *name_of(pid_t pid) {
    if (pid == cast.supervisor)
        return "the supervisor";
    for (unsigned i = 0; i < SEATS; i++)
        if (cast.pid[i] == pid)
            return seat_name(i);
    return "nobody";
}

static void forget(pid_t pid) {
    if (cast.supervisor == pid)
        cast.supervisor = 0;
    for (unsigned i = 0; i < SEATS; i++)
        if (cast.pid[i] == pid) {
            cast.pid[i] = 0;
            atomic_store(&board->seat[i].is_open, false);
            atomic_store(&board->seat[i].is_connected, false);
        }
}

/* -1: nothing happened to it in time. */
static int await_change(pid_t pid) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    int status;
    while (shmframe_now_ns() < deadline_ns) {
        if (waitpid(pid, &status, WNOHANG | WUNTRACED) == pid)
            return status;
        sleep_ns(200000);
    }
    return -1;
}

static bool await_status(pid_t pid, bool (*is_right)(int status), const char *what) {
    const int status = pid > 0 ? await_change(pid) : -1;
    const bool is_over = status != -1 && !WIFSTOPPED(status);
    const bool is_well = status != -1 && is_right(status);
    if (!is_well)
        board_fault("%s was to be %s: its status is %x", name_of(pid), what, (unsigned)status);
    if (is_over)
        forget(pid);
    return is_well;
}

static bool is_stopped(int status) {
    return WIFSTOPPED(status);
}

static bool is_killed(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static bool is_ended(int status) {
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool cast_await_stop(pid_t pid) {
    return await_status(pid, is_stopped, "stopped");
}

bool cast_await_kill(pid_t pid) {
    return await_status(pid, is_killed, "killed");
}

bool cast_await_leave(unsigned seat) {
    return await_status(cast.pid[seat], is_ended, "at its end");
}

bool cast_look(void) {
    int status;
    bool is_well = true;
    for (int i = -1; i < SEATS; i++) {
        const pid_t pid = i < 0 ? cast.supervisor : cast.pid[i];
        if (pid <= 0 || waitpid(pid, &status, WNOHANG) != pid)
            continue;
        board_fault("%s ended by itself, with status %x", name_of(pid), (unsigned)status);
        forget(pid);
        is_well = false;
    }
    return is_well;
}

unsigned cast_count_held(pid_t pid) {
    char path[64], line[512];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && fgets(line, sizeof(line), maps))
        count += strstr(line, "memfd:shmframe") != NULL;
    if (maps)
        fclose(maps);
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        count += entry->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return count;
}

/* ---- begin and end ---- */

void cast_begin(const char *program) {
    cast = (struct cast){.program = program};
    strcpy(cast.folder, "/tmp/shmframe-crash-XXXXXX");
    if (!mkdtemp(cast.folder)) {
        perror("mkdtemp");
        exit(1);
    }
    snprintf(board->socket, sizeof(board->socket), "%s/socket", cast.folder);
    /* Orphans of ours come to us, so that none is missed. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

unsigned cast_finish(void) {
    for (int i = -1; i < SEATS; i++) {
        const pid_t pid = i < 0 ? cast.supervisor : cast.pid[i];
        if (pid <= 0)
            continue;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        forget(pid);
    }
    static const char *const names[] = {"socket", "socket.lock", "socket.names", "socket.names.new",
                                        "socket.journal"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", cast.folder, names[i]);
        unlink(path);
    }
    rmdir(cast.folder);
    unsigned strangers = 0;
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) >= 0; strangers++)
        if (pid == 0)
            return strangers + 1; /* one that lives: it ends with us */
    return strangers;
}
