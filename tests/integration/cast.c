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

static uint64_t roll(struct cast *cast, uint64_t below) {
    return peer_roll(&cast->random, below);
}

static void spin(int64_t duration_ns) {
    const int64_t until_ns = shmframe_now_ns() + duration_ns;
    while (shmframe_now_ns() < until_ns) {
    }
}

const char *seat_name(unsigned seat) {
    return seat < STREAMS ? writer_roles[seat].stream : reader_roles[seat - STREAMS].name;
}

_Noreturn static void give_up(const char *what) {
    perror(what);
    exit(1); /* nothing outlives us: see fork_bound() */
}

/* Whatever becomes of the test, its children do not outlive it. */
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
    atomic_store(&board->supervisor_started_ns, shmframe_now_ns());
}

void cast_supervisor_kill(struct cast *cast) {
    atomic_store(&board->supervisor_started_ns, 0);
    atomic_store(&board->supervisor_killed_ns, shmframe_now_ns());
    kill(cast->supervisor, SIGKILL);
    const int status = reap(cast->supervisor);
    if (!WIFSIGNALED(status))
        board_fault("the supervisor had ended before it was killed, with status %x", status);
    cast->supervisor = 0;
}

bool cast_supervisor_stop(struct cast *cast) {
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

void cast_seat_fill(struct cast *cast, unsigned number) {
    struct seat *seat = &board->seat[number];
    const uint64_t seed = peer_random(&cast->random);
    const uint32_t life = ++seat->life;
    cast->pid[number] = fork_bound();
    if (cast->pid[number] != 0)
        return;
    if (number < STREAMS)
        writer_run(number, life, seed);
    reader_run(number - STREAMS, life, seed);
}

static void clear_seat(struct cast *cast, unsigned number) {
    struct seat *seat = &board->seat[number];
    atomic_store(&seat->changed_ns, shmframe_now_ns());
    atomic_store(&seat->is_open, false);
    atomic_store(&seat->takes, 0);
    atomic_store(&seat->held_at, DOOR_NONE);
    atomic_store(&seat->door, DOOR_NONE);
    cast->pid[number] = 0;
}

static enum door choose_door(struct cast *cast, unsigned number) {
    static const enum door writers[] = {DOOR_SESSION, DOOR_OPEN,    DOOR_LOAN,    DOOR_FILL,
                                        DOOR_PUBLISH, DOOR_PUBLISH, DOOR_PUBLISH, DOOR_FORMAT};
    static const enum door readers[] = {DOOR_SESSION, DOOR_OPEN, DOOR_ACQUIRE,
                                        DOOR_ACQUIRE, DOOR_HOLD, DOOR_RELEASE};
    enum door door = number < STREAMS ? writers[roll(cast, 8)] : readers[roll(cast, 6)];
    if (door == DOOR_FORMAT && !writer_roles[number].has_formats)
        door = DOOR_PUBLISH;
    return door;
}

/* Whether the peer comes to the door before long. */
static bool await_door(const struct seat *seat, enum door door) {
    const int64_t until_ns = shmframe_now_ns() + 300000000;
    while (atomic_load(&seat->door) != (uint32_t)door) {
        if (shmframe_now_ns() > until_ns)
            return false;
        peer_sleep(50000);
    }
    return true;
}

static bool await_stop(pid_t pid, int64_t until_ns) {
    for (;;) {
        int status;
        const pid_t changed = waitpid(pid, &status, __WALL | WNOHANG);
        if (changed == pid)
            return WIFSTOPPED(status);
        if (changed < 0 || shmframe_now_ns() > until_ns)
            return false;
    }
}

/* Lets the peer do so many instructions after the door. A call of the system counts as one; if it
 * sleeps in there, it is killed in there. */
static bool step(struct cast *cast, unsigned number, unsigned steps) {
    const pid_t pid = cast->pid[number];
    const int64_t until_ns = shmframe_now_ns() + 200000000;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
        return false;
    bool is_stopped = ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && await_stop(pid, until_ns);
    atomic_store(&board->seat[number].held_at, DOOR_NONE);
    for (unsigned i = 0; i < steps && is_stopped; i++)
        is_stopped = ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && await_stop(pid, until_ns);
    return true;
}

/* Doors that a peer passes once, when it comes. */
static bool is_entrance(enum door door) {
    return door == DOOR_SESSION || door == DOOR_OPEN;
}

/* Between a few instructions and a few milliseconds after the door. */
static void go_to_door(struct cast *cast, unsigned number, enum door door) {
    enum { STEPS_MAX = 700 };
    struct seat *seat = &board->seat[number];
    atomic_store(&seat->held_from_ns, shmframe_now_ns());
    atomic_store(&seat->held_at, door);
    const bool is_there = await_door(seat, door);
    const bool is_long = is_entrance(door) || door == DOOR_FORMAT;
    if (is_there && !is_long && cast->can_step && roll(cast, 2) &&
        step(cast, number, (unsigned)roll(cast, STEPS_MAX))) {
        cast->deaths_in_step++;
        return;
    }
    atomic_store(&seat->held_at, DOOR_NONE);
    spin((int64_t)roll(cast, is_long ? 5000000 : 5000));
    cast->deaths_at_door++;
}

static void kill_here(struct cast *cast, unsigned number) {
    kill(cast->pid[number], SIGKILL);
    const int status = reap(cast->pid[number]);
    atomic_store(&board->seat[number].held_until_ns, shmframe_now_ns());
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        board_fault("%s had ended before it was killed, with status %x", seat_name(number),
                    (unsigned)status);
    clear_seat(cast, number);
}

static void kill_at_once(struct cast *cast, unsigned number) {
    atomic_store(&board->seat[number].held_from_ns, shmframe_now_ns());
    cast->deaths_at_once++;
    kill_here(cast, number);
}

unsigned cast_seat_kill(struct cast *cast, unsigned number) {
    struct seat *seat = &board->seat[number];
    if (roll(cast, 4) == 0) {
        spin((int64_t)roll(cast, 2000000));
        kill_at_once(cast, number);
        return 1;
    }
    const enum door door = choose_door(cast, number);
    const bool is_past = is_entrance(door) && atomic_load(&seat->is_open);
    if (is_past) {
        kill_at_once(cast, number);
        atomic_store(&seat->held_at, door);
        cast_seat_fill(cast, number);
    }
    go_to_door(cast, number, door);
    kill_here(cast, number);
    return is_past ? 2 : 1;
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

void cast_look(struct cast *cast) {
    int status;
    for (unsigned i = 0; i < SEATS; i++)
        if (cast->pid[i] > 0 && waitpid(cast->pid[i], &status, WNOHANG) == cast->pid[i]) {
            board_fault("%s ended by itself, with status %x", seat_name(i), (unsigned)status);
            clear_seat(cast, i);
        }
    if (cast->supervisor > 0 && waitpid(cast->supervisor, &status, WNOHANG) == cast->supervisor) {
        board_fault("the supervisor ended by itself, with status %x", (unsigned)status);
        cast->supervisor = 0;
    }
}

/* ---- begin and end ---- */

/* Some sandboxes forbid it; then the doors must do. */
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

void cast_start(struct cast *cast, const char *program, uint64_t seed) {
    *cast = (struct cast){.program = program, .random = seed};
    strcpy(cast->folder, "/tmp/shmframe-kill-XXXXXX");
    if (!mkdtemp(cast->folder))
        give_up("mkdtemp");
    snprintf(board->socket, sizeof(board->socket), "%s/socket", cast->folder);
    /* Orphans of ours come to us, so that none is missed. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    cast->can_step = try_step();
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    for (long cpu = 0; cpu < cpus && cpu < PROBES_MAX; cpu++) {
        const unsigned number = cast->probes++;
        cast->probe[number] = fork_bound();
        if (cast->probe[number] == 0)
            board_probe(number, (int)cpu);
    }
}

static void end(pid_t pid) {
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    reap(pid);
}

unsigned cast_finish(struct cast *cast) {
    for (unsigned i = 0; i < SEATS; i++)
        end(cast->pid[i]);
    end(cast->supervisor);
    for (unsigned i = 0; i < cast->probes; i++)
        end(cast->probe[i]);
    static const char *const names[] = {"socket", "socket.lock", "socket.names", "socket.names.new",
                                        "socket.journal"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", cast->folder, names[i]);
        unlink(path);
    }
    rmdir(cast->folder);
    unsigned strangers = 0;
    for (pid_t pid; (pid = waitpid(-1, NULL, __WALL | WNOHANG)) >= 0; strangers++)
        if (pid == 0) {
            strangers++;
            break; /* one that lives: it ends with us */
        }
    return strangers;
}
