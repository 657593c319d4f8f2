/* Scenarios: the supervisor dies, and another one comes. */
#include "scenarios.h"

#include "flow.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../folder.h"

static char folder[64], place[96];
static pid_t supervisor;

/* ---- a supervisor of this run alone ---- */

static void start_supervisor(void) {
    int ready[2];
    MUST(pipe2(ready, O_CLOEXEC) == 0, "no pipe");
    const pid_t parent = getpid();
    supervisor = fork();
    MUST(supervisor >= 0, "no process");
    if (supervisor == 0) {
        char number[16];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        snprintf(number, sizeof(number), "%d", fcntl(ready[1], F_DUPFD, 100));
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        execl(getenv("SHMFRAMED"), "shmframed", "--socket", place, "--ready-fd", number,
              (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    struct pollfd poll_ready = {.fd = ready[0], .events = POLLIN};
    char byte;
    MUST(poll(&poll_ready, 1, 10000) == 1 && read(ready[0], &byte, 1) == 1,
         "the supervisor does not start");
    close(ready[0]);
}

static void kill_supervisor(void) {
    kill(supervisor, SIGKILL);
    waitpid(supervisor, NULL, 0);
}

static void begin(void) {
    strcpy(folder, "/tmp/shmframe-faults-XXXXXX");
    MUST(mkdtemp(folder), "no folder");
    snprintf(place, sizeof(place), "%s/socket", folder);
    start_supervisor();
}

static void end(void) {
    kill_supervisor();
    folder_remove(folder);
}

static struct shmframe_session *open_session(void) {
    const struct shmframe_session_params params = {
        .socket = place, .name = "faults", .deadline_ns = sweep_deadline()};
    struct shmframe_session *session;
    DO(shmframe_session_open(&params, &session));
    return session;
}

/* ---- what goes on ---- */

static void restart(struct shmframe_session *session, struct shmframe_writer *writer,
                    struct shmframe_reader *reader, uint64_t *published, uint64_t *taken) {
    struct shmframe_writer_event event;
    kill_supervisor();
    const int64_t deadline_ns = sweep_deadline();
    for (bool was_away = false, is_started = false;
         !is_started || !shmframe_session_is_connected(session);) {
        MUST(shmframe_now_ns() < deadline_ns, "the session does not come back");
        flow_publish(writer, published);
        flow_take(reader, taken);
        TRY(shmframe_session_dispatch(session));
        while (shmframe_writer_next_event(writer, &event) == 0)
            continue;
        was_away = was_away || !shmframe_session_is_connected(session);
        if (was_away && !is_started) {
            start_supervisor();
            is_started = true;
        }
        poll(NULL, 0, 1);
    }
}

/* Both are known to the new one. */
static void expect_both(struct shmframe_session *known) {
    struct shmframe_session *session = open_session();
    struct shmframe_stream_info info = {0};
    const int64_t deadline_ns = sweep_deadline();
    while (shmframe_session_streams(session, sweep_deadline(), &info, 1) != 1 ||
           info.state != SHMFRAME_STREAM_LIVE || info.readers != 1) {
        MUST(shmframe_now_ns() < deadline_ns, "the new supervisor has state %u and %u readers",
             info.state, info.readers);
        DO(shmframe_session_dispatch(known));
        poll(NULL, 0, 2);
    }
    shmframe_session_close(session);
}

/* In one session: each of them asks the new supervisor to know it again. */
static void streams_go_on_with_the_next_supervisor(void) {
    uint64_t published = 0, taken = 0;
    begin();
    struct shmframe_session *session = open_session();
    struct shmframe_writer *writer = flow_writer(session, "goes-on");
    struct shmframe_reader *reader = flow_reader(session, "goes-on");
    sweep_arm();
    restart(session, writer, reader, &published, &taken);
    for (unsigned i = 0; i < 3; i++) {
        flow_publish(writer, &published);
        flow_take(reader, &taken);
        TRY(shmframe_session_dispatch(session));
    }
    sweep_disarm();
    expect_both(session);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    end();
}

const struct scenario restart_scenarios[] = {
    {.name = "restart", .act = streams_go_on_with_the_next_supervisor},
    {0},
};
