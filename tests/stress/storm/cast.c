#include "cast.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS INT64_C(20000000000)
/* Longest that peers need to find a new supervisor and be known to it: they look once a second, it
 * gives them two. */
#define RETURN_NS INT64_C(3500000000)
/* ... to be heard by one that was stopped. */
#define HEARD_NS INT64_C(500000000)

_Noreturn static void give_up(const char *what) {
    perror(what);
    exit(1); /* nothing outlives us: see fork_bound() */
}

/* Whatever becomes of the storm, its children do not outlive it. */
static pid_t fork_bound(void) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0)
        give_up("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

static int reap(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, __WALL) == pid && !WIFEXITED(status) && !WIFSIGNALED(status)) {
    }
    return status;
}

static void end(pid_t pid) {
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    reap(pid);
}

static bool was_killed(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* ---- the supervisor ---- */

_Noreturn static void run_supervisor(const struct cast *cast, int ready) {
    char number[16];
    snprintf(number, sizeof(number), "%d", fcntl(ready, F_DUPFD, 100));
    if (!getenv("SHMFRAMED_LOG")) {
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
    }
    execl(cast->program, "shmframed", "--socket", board->socket, "--ready-fd", number,
          geteuid() == 0 ? NULL : "--traceable", (char *)NULL); /* its descriptors are counted */
    _exit(127);
}

static void note_supervisor_left(void) {
    atomic_store(&board->supervisor_settled_ns, INT64_MAX);
    atomic_store(&board->supervisor_left_ns, shmframe_now_ns());
}

void cast_supervisor_start(struct cast *cast) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        give_up("pipe");
    cast->supervisor = fork_bound();
    if (cast->supervisor == 0)
        run_supervisor(cast, ready[1]);
    close(ready[1]);
    char byte = 0;
    struct pollfd told = {.fd = ready[0], .events = POLLIN};
    if (poll(&told, 1, (int)(PATIENCE_NS / 1000000)) != 1 || read(ready[0], &byte, 1) != 1)
        board_fault("the supervisor did not start");
    close(ready[0]);
    holdings_count(cast->supervisor, &cast->supervisor_fresh);
    const int64_t now_ns = shmframe_now_ns();
    atomic_store(&board->supervisor_ready_ns, now_ns);
    atomic_store(&board->supervisor_settled_ns, now_ns + RETURN_NS);
    atomic_store(&board->supervisor, cast->supervisor);
    atomic_fetch_add(&board->supervisor_life, 1);
}

void cast_supervisor_kill(struct cast *cast) {
    note_supervisor_left();
    kill(cast->supervisor, SIGKILL);
    const int status = reap(cast->supervisor);
    if (!was_killed(status))
        board_fault("the supervisor had ended before it was killed, with status %x",
                    (unsigned)status);
    cast->supervisor = 0;
    cast->supervisor_stop.until_ns = 0;
    cast->supervisor_deaths++;
    cast->deaths++;
}

void cast_supervisor_pause(struct cast *cast) {
    note_supervisor_left();
    kill(cast->supervisor, SIGSTOP);
}

void cast_supervisor_resume(struct cast *cast) {
    kill(cast->supervisor, SIGCONT);
    cast->supervisor_stop.until_ns = 0;
    const int64_t heard_ns = shmframe_now_ns() + HEARD_NS;
    const int64_t settled_ns = atomic_load(&board->supervisor_ready_ns) + RETURN_NS;
    atomic_store(&board->supervisor_settled_ns, settled_ns > heard_ns ? settled_ns : heard_ns);
}

bool cast_supervisor_end(struct cast *cast) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    const struct holdings *fresh = &cast->supervisor_fresh;
    struct holdings now = {0};
    do {
        peer_sleep(10000000);
        holdings_count(cast->supervisor, &now);
    } while ((now.descriptors > fresh->descriptors || now.mappings > fresh->mappings) &&
             shmframe_now_ns() < deadline_ns);
    if (now.descriptors > fresh->descriptors || now.mappings > fresh->mappings)
        board_fault("the supervisor is left with %u descriptors of %u, and %u mappings of %u",
                    now.descriptors, fresh->descriptors, now.mappings, fresh->mappings);
    kill(cast->supervisor, SIGTERM);
    const int status = reap(cast->supervisor);
    cast->supervisor = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- peers ---- */

void cast_seat_fill(struct cast *cast, unsigned number, uint64_t seed) {
    struct seat *seat = &board->seat[number];
    const uint32_t life = atomic_fetch_add(&seat->life, 1) + 1;
    cast->pid[number] = fork_bound();
    atomic_store(&seat->pid, cast->pid[number] ? cast->pid[number] : getpid());
    if (cast->pid[number] != 0)
        return;
    if (number < STREAMS)
        writer_run(number, life, seed);
    reader_run(number - STREAMS, seed);
}

static void clear_seat(struct cast *cast, unsigned number) {
    struct seat *seat = &board->seat[number];
    atomic_store(&seat->changed_ns, shmframe_now_ns());
    atomic_store(&seat->is_open, false);
    atomic_store(&seat->moves, 0);
    atomic_store(&seat->held_at, DOOR_NONE);
    atomic_store(&seat->door, DOOR_NONE);
    atomic_store(&seat->wants_format, false);
    for (unsigned i = 0; i < READINGS_MAX; i++)
        atomic_store(&seat->newest[i], 0);
    board_pause_end(seat);
    cast->stop[number].until_ns = 0;
    cast->pid[number] = 0;
}

void cast_seat_kill(struct cast *cast, unsigned number) {
    kill(cast->pid[number], SIGKILL);
    const int status = reap(cast->pid[number]);
    if (!was_killed(status))
        board_fault("%s had ended before it was killed, with status %x", seat_name(number),
                    (unsigned)status);
    if (number < STREAMS) {
        const uint32_t publishing = atomic_exchange(&board->stream[number].publishing, 0);
        board->stream[number].unsure += publishing;
        board->stream[number].is_unheard |= board_is_disturbed(shmframe_now_ns());
        board_count(TOTAL_UNSURE, publishing);
        cast->writer_deaths++;
    } else {
        cast->reader_deaths++;
    }
    clear_seat(cast, number);
    cast->deaths++;
}

bool cast_seats_end(struct cast *cast, unsigned first, unsigned last) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    for (unsigned i = first; i <= last; i++) {
        int status = 0;
        while (waitpid(cast->pid[i], &status, WNOHANG) == 0) {
            if (shmframe_now_ns() > deadline_ns) {
                board_fault("%s did not end", seat_name(i));
                return false;
            }
            peer_sleep(2000000);
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            board_fault("%s ended with status %x", seat_name(i), (unsigned)status);
        clear_seat(cast, i);
    }
    return true;
}

static bool has_ended(pid_t *pid, const char *name) {
    int status;
    if (*pid <= 0 || waitpid(*pid, &status, WNOHANG) != *pid)
        return false;
    board_fault("%s ended by itself, with status %x", name, (unsigned)status);
    *pid = 0;
    return true;
}

void cast_look(struct cast *cast) {
    for (unsigned i = 0; i < SEATS; i++)
        if (has_ended(&cast->pid[i], seat_name(i)))
            clear_seat(cast, i);
    has_ended(&cast->supervisor, "the supervisor");
    has_ended(&cast->witness, "the witness");
}

/* ---- begin and end ---- */

static bool try_step(void) {
    const pid_t pid = fork_bound();
    if (pid == 0)
        for (;;)
            pause();
    const bool can = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
    kill(pid, SIGKILL);
    reap(pid);
    return can;
}

static void start_probes(struct cast *cast) {
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    for (long cpu = 0; cpu < cpus && cpu < PROBES_MAX; cpu++) {
        const unsigned number = cast->probes++;
        cast->probe[number] = fork_bound();
        if (cast->probe[number] == 0)
            board_probe(number, (int)cpu);
    }
}

static void start_hogs(struct cast *cast, unsigned hogs) {
    while (cast->hogs < hogs && cast->hogs < HOGS_MAX) {
        const pid_t pid = fork_bound();
        if (pid == 0)
            for (volatile unsigned work = 0;; work++) {
            }
        cast->hog[cast->hogs++] = pid;
    }
}

void cast_start(struct cast *cast, const char *program, unsigned hogs) {
    *cast = (struct cast){.program = program};
    holdings_count(getpid(), &cast->self);
    /* In memory, as /run is: the supervisor writes the names down before it tells of a death, which
     * takes tens of milliseconds on a disk that others write to. */
    strcpy(cast->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/shmframe-storm-XXXXXX"
                                                       : "/tmp/shmframe-storm-XXXXXX");
    if (!mkdtemp(cast->folder))
        give_up("mkdtemp");
    snprintf(board->socket, sizeof(board->socket), "%s/socket", cast->folder);
    /* Orphans of ours come to us, so that none is missed. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    cast->can_step = try_step();
    start_probes(cast);
    start_hogs(cast, hogs);
    cast_supervisor_start(cast);
    cast->witness = fork_bound();
    if (cast->witness == 0)
        witness_run();
}

void cast_dismiss_witness(struct cast *cast) {
    end(cast->witness);
    cast->witness = 0;
}

static void remove_files(const struct cast *cast) {
    static const char *const names[] = {"socket", "socket.lock", "socket.names", "socket.names.new",
                                        "socket.journal"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", cast->folder, names[i]);
        unlink(path);
    }
    if (rmdir(cast->folder) < 0)
        board_fault("the supervisors have left files behind in %s", cast->folder);
}

void cast_finish(struct cast *cast) {
    for (unsigned i = 0; i < SEATS; i++)
        end(cast->pid[i]);
    end(cast->witness);
    end(cast->supervisor);
    for (unsigned i = 0; i < cast->probes; i++)
        end(cast->probe[i]);
    for (unsigned i = 0; i < cast->hogs; i++)
        end(cast->hog[i]);
    remove_files(cast);
    unsigned strangers = 0;
    for (pid_t pid; (pid = waitpid(-1, NULL, __WALL | WNOHANG)) >= 0; strangers++)
        if (pid == 0) {
            strangers++;
            break; /* one that lives: it ends with us */
        }
    if (strangers > 0)
        board_fault("%u processes were left that nobody knew of", strangers);
    struct holdings now;
    holdings_count(getpid(), &now);
    if (now.descriptors != cast->self.descriptors)
        board_fault("the storm itself is left with %u descriptors of %u", now.descriptors,
                    cast->self.descriptors);
}
