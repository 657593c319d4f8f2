#include "supervisor.h"

#include "program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tests/built.h"

static char folder[] = "/tmp/shmframe-bench.XXXXXX";
static char socket_path[sizeof(folder) + 16];
static pid_t supervisor, owner;

static const char *find_program(void) {
    const char *named = getenv("SHMFRAMED");
    const char *built = named ? named : built_find("server/shmframed");
    return built ? built : "shmframed";
}

static void die_with_parent(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILED);
}

static void run_supervisor(int ready_fd) {
    char ready[16];
    const char *program = find_program();
    snprintf(ready, sizeof(ready), "%d", ready_fd);
    execlp(program, "shmframed", "--quiet", "--traceable", "--socket", socket_path, "--ready-fd",
           ready, (char *)NULL);
    fprintf(stderr, "bench: %s: %s; name one in $SHMFRAMED\n", program, strerror(errno));
    _exit(EXIT_FAILED);
}

/* Whatever it has left in the folder that mkdtemp() made: it holds no further folders. opendir()
 * would ask for memory, which a signal's handler must not. */
static void remove_files(void) {
    union {
        struct dirent64 first;
        char bytes[4096];
    } found;
    const int files = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (ssize_t bytes; files >= 0 && (bytes = getdents64(files, &found, sizeof(found))) > 0;)
        for (ssize_t at = 0; at < bytes;) {
            const struct dirent64 *file = (const void *)(found.bytes + at);
            at += file->d_reclen;
            if (file->d_type != DT_DIR)
                unlinkat(files, file->d_name, 0);
        }
    if (files >= 0)
        close(files);
}

static int end_supervisor(void) {
    kill(supervisor, SIGTERM);
    waitpid(supervisor, NULL, 0);
    supervisor = 0;
    remove_files();
    return rmdir(folder);
}

/* The signal is blocked until here is returned from, then it ends the program. */
static void clean_up(int number) {
    if (supervisor > 0 && owner == getpid())
        end_supervisor();
    raise(number);
}

/* Where the program has no better use for them. */
static void clean_up_on_signals(void) {
    const struct sigaction action = {.sa_handler = clean_up, .sa_flags = (int)SA_RESETHAND};
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction now;
        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            sigaction(numbers[i], &action, NULL);
    }
}

void supervisor_start(void) {
    int ready[2];
    if (!mkdtemp(folder) || pipe(ready) < 0)
        program_fail("no folder or pipe for a supervisor: %m");
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    owner = getpid();
    supervisor = fork();
    if (supervisor < 0)
        program_fail("no process for a supervisor: %m");
    if (supervisor == 0) {
        die_with_parent(owner);
        close(ready[0]);
        run_supervisor(ready[1]);
    }
    atexit(supervisor_stop);
    clean_up_on_signals();
    close(ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) != 1)
        program_fail("the supervisor did not start");
    close(ready[0]);
    setenv("SHMFRAME_SOCKET", socket_path, 1);
}

pid_t supervisor_pid(void) {
    return supervisor;
}

void supervisor_stop(void) {
    if (supervisor <= 0 || owner != getpid())
        return;
    if (end_supervisor() < 0)
        program_warn("%s is left: %m", folder);
}

pid_t process_start(void (*run)(void *argument), void *argument) {
    const pid_t parent = getpid();
    fflush(NULL);
    const pid_t pid = fork();
    if (pid < 0)
        program_fail("no further process: %m");
    if (pid > 0)
        return pid;
    die_with_parent(parent);
    run(argument);
    fflush(NULL);
    _exit(EXIT_DONE);
}

void process_join(const pid_t *pids, unsigned count) {
    for (unsigned left = count; left > 0;) {
        int status;
        const pid_t pid = waitpid(-1, &status, 0);
        bool is_ours = false;
        for (unsigned i = 0; i < count; i++)
            is_ours |= pids[i] == pid;
        if (pid < 0 && errno == EINTR)
            continue;
        if (is_ours && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            left--;
            continue;
        }
        for (unsigned i = 0; i < count; i++)
            if (pids[i] != pid)
                kill(pids[i], SIGKILL);
        program_fail(pid == supervisor ? "the supervisor ended" : "a process ended early");
    }
}
