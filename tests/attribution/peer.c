#include "peer.h"

#include "journal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_AGAIN_MS = 1, ANSWER_MS = 20000 };

/* ---- the process ---- */

static struct peer *starting; /* handed to the child by fork() */
static int theirs = -1;

struct leases {
    struct shmframe_lease lease[SHMFRAME_LEASES_MAX];
    unsigned count;
};

static int acquire(struct shmframe_reader *reader, struct leases *held, int64_t deadline_ns,
                   uint64_t *out_sequence) {
    const int code = shmframe_reader_acquire(reader, deadline_ns, &held->lease[held->count]);
    if (code == 0)
        *out_sequence = held->lease[held->count++].frame.sequence;
    return code;
}

static int release_all(struct shmframe_reader *reader, struct leases *held) {
    int code = 0;
    for (unsigned i = 0; i < held->count; i++) {
        const int result = shmframe_reader_release(reader, &held->lease[i]);
        code = result < 0 ? result : code;
    }
    held->count = 0;
    return code;
}

static int poll_frame(struct shmframe_reader *reader) {
    struct pollfd frame = {.fd = shmframe_reader_fd(reader), .events = POLLIN};
    return poll(&frame, 1, ANSWER_MS) == 1 ? 0 : -ETIMEDOUT;
}

static struct peer_answer obey(struct shmframe_reader *reader, struct leases *held, char order) {
    struct peer_answer answer = {0};
    switch ((enum peer_order)order) {
    case PEER_ACQUIRE:
        answer.code = acquire(reader, held, world_deadline(), &answer.sequence);
        break;
    case PEER_TAKE:
        answer.code = acquire(reader, held, world_deadline(), &answer.sequence);
        release_all(reader, held);
        break;
    case PEER_GO_ON:
        release_all(reader, held);
        answer.code = acquire(reader, held, world_deadline(), &answer.sequence);
        break;
    case PEER_TRY:
        answer.code = acquire(reader, held, SHMFRAME_NOW, &answer.sequence);
        break;
    case PEER_WAIT:
        answer.code = shmframe_reader_wait(reader, world_deadline());
        break;
    case PEER_POLL:
        answer.code = poll_frame(reader);
        break;
    case PEER_RELEASE:
        answer.code = release_all(reader, held);
        break;
    case PEER_LEAVE:
        shmframe_reader_close(reader);
        break;
    }
    return answer;
}

/* A check that fails ends the child with another status. */
static void run(void) {
    struct shmframe_session *session = world_open_session();
    struct shmframe_reader *reader = NULL;
    if (shmframe_reader_open(session, &starting->params, &reader) < 0)
        _exit(3);
    struct peer_answer answer = {0};
    struct leases held = {.count = 0};
    char order = 0;
    do {
        if (send(theirs, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer) ||
            recv(theirs, &order, 1, 0) != 1)
            _exit(4);
        answer = obey(reader, &held, order);
    } while (order != PEER_LEAVE);
    shmframe_session_close(session);
}

/* ---- in the test ---- */

static uint32_t find_number(const struct peer *peer) {
    struct shmframe_reader_info info[16];
    const int count =
        shmframe_session_readers(world.session, peer->params.stream, world_deadline(), info, 16);
    for (int i = 0; i < count && i < 16; i++)
        if (info[i].pid == peer->pid)
            return info[i].number;
    ck_abort_msg("the supervisor does not know the reader '%s'", peer->name);
    return 0;
}

void peer_start(struct peer *peer, const char *name, struct shmframe_reader_params params) {
    *peer = (struct peer){.params = params};
    snprintf(peer->name, sizeof(peer->name), "%s", name);
    peer->params.name = peer->name;
    peer->params.deadline_ns = world_deadline();
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    peer->talk = ends[0];
    theirs = ends[1];
    starting = peer;
    peer->pid = world_fork(run);
    close(theirs);
    ck_assert_int_eq(peer_answer(peer).code, 0);
    peer->number = find_number(peer);
    ck_assert_int_eq(shmframe_record_open(world.session, params.stream, peer->number,
                                          world_deadline(), &peer->record),
                     0);
}

void peer_stop(struct peer *peer) {
    peer_order(peer, PEER_LEAVE);
    world_join(peer->pid);
    shmframe_record_close(peer->record);
    close(peer->talk);
}

void peer_order(struct peer *peer, enum peer_order order) {
    const char byte = (char)order;
    ck_assert_int_eq(send(peer->talk, &byte, 1, MSG_NOSIGNAL), 1);
}

struct peer_answer peer_answer(struct peer *peer) {
    struct peer_answer answer = {0};
    struct pollfd word = {.fd = peer->talk, .events = POLLIN};
    ck_assert_msg(poll(&word, 1, ANSWER_MS) == 1, "the reader '%s' does not answer", peer->name);
    ck_assert_msg(recv(peer->talk, &answer, sizeof(answer), 0) == sizeof(answer),
                  "the reader '%s' has ended", peer->name);
    return answer;
}

void peer_do(struct peer *peer, enum peer_order order, uint64_t sequence) {
    peer_order(peer, order);
    const struct peer_answer answer = peer_answer(peer);
    ck_assert_int_eq(answer.code, 0);
    if (sequence)
        ck_assert_uint_eq(answer.sequence, sequence);
}

static char state_of(pid_t pid) {
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    const size_t bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end ? name_end[2] : '?';
}

/* Between its word in the record and the sleep it makes no other call that sleeps. */
void peer_await(struct peer *peer, enum shmframe_doing doing) {
    const int64_t deadline_ns = world_deadline();
    struct shmframe_reader_state state;
    do {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the reader '%s' does not sleep",
                      peer->name);
        poll(NULL, 0, LOOK_AGAIN_MS);
        shmframe_record_state(peer->record, &state);
    } while (state.doing != doing || state_of(peer->pid) != 'S');
}

void peer_freeze(struct peer *peer) {
    int status;
    ck_assert_int_eq(kill(peer->pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(peer->pid, &status, WUNTRACED), peer->pid);
    ck_assert(WIFSTOPPED(status));
}

void peer_thaw(struct peer *peer) {
    ck_assert_int_eq(kill(peer->pid, SIGCONT), 0);
}

void peer_expect_overrun(struct peer *peer, uint64_t number, enum shmframe_cause cause,
                         uint64_t first, uint64_t count) {
    struct shmframe_overrun overruns[SHMFRAME_OVERRUNS];
    const int lines = shmframe_record_overruns(peer->record, overruns, SHMFRAME_OVERRUNS);
    ck_assert_msg(lines == (int)number, "'%s' has %d overruns, not %d", peer->name, lines,
                  (int)number);
    const struct shmframe_overrun *newest = &overruns[lines - 1];
    ck_assert_uint_eq(newest->number, number);
    ck_assert_msg(newest->cause == (uint32_t)cause && newest->first == first &&
                      newest->count == count,
                  "'%s' lost %llu frames from %llu on, %s (woken %lld held %lld away %lld ns), not "
                  "%llu from %llu on, %s",
                  peer->name, (unsigned long long)newest->count, (unsigned long long)newest->first,
                  shmframe_cause_name(newest->cause), (long long)newest->woken_ns,
                  (long long)newest->held_ns, (long long)newest->away_ns, (unsigned long long)count,
                  (unsigned long long)first, shmframe_cause_name(cause));
}

void peer_expect_noted(struct peer *peer, uint64_t number, enum shmframe_cause cause,
                       uint64_t first, uint64_t count) {
    const struct shmframe_event told =
        journal_await_loss(peer->params.stream, peer->name, (unsigned)number);
    ck_assert_uint_eq(told.cause, cause);
    ck_assert_uint_eq(told.first, first);
    ck_assert_uint_eq(told.count, count);
    ck_assert_int_eq(told.pid, peer->pid);
    ck_assert_uint_eq(told.reader, peer->number);
    ck_assert_int_eq(told.culprit_pid, peer->pid);
    ck_assert_str_eq(told.culprit, peer->name);
}

void peer_expect_none(struct peer *peer) {
    struct shmframe_overrun overrun;
    struct shmframe_reader_counters counters;
    ck_assert_int_eq(shmframe_record_overruns(peer->record, &overrun, 1), 0);
    shmframe_record_counters(peer->record, &counters);
    ck_assert_uint_eq(counters.lost_late + counters.lost_restart, 0);
}
