/* The witness is no part of any stream: it asks the supervisor. It sees when all are back at a new
 * one, and has readers evicted. */
#include "peer.h"

#include <errno.h>
#include <string.h>

#define LOOK_NS   INT64_C(3000000)
#define ANSWER_NS INT64_C(2000000000)

struct witness {
    struct shmframe_session *session;
    uint32_t supervisor; /* life of the one it is at */
    uint32_t evictions;  /* questions that it has answered */
    bool is_watching;    /* not all are back yet */
    /* Peers that were there when the supervisor came: lives, 0 for those who do not count. */
    uint32_t life[SEATS];
};

enum { READERS_LISTED = 64 };

static bool is_running(const struct seat *seat) {
    const struct interval *pause = &seat->pause[atomic_load(&seat->pauses) % PAUSES_MAX];
    return atomic_load(&seat->is_open) &&
           !(atomic_load(&pause->from_ns) && !atomic_load(&pause->until_ns));
}

/* ---- who is back ---- */

static bool has_stream(const struct shmframe_stream_info *infos, int count, unsigned stream) {
    for (int i = 0; i < count && i < STREAMS; i++)
        if (strcmp(infos[i].name, writer_roles[stream].stream) == 0)
            return infos[i].state == SHMFRAME_STREAM_LIVE &&
                   infos[i].writer_pid == atomic_load(&board->seat[stream].pid);
    return false;
}

static bool has_reader(const struct shmframe_reader_info *infos, int count, int32_t pid) {
    for (int i = 0; i < count && i < READERS_LISTED; i++)
        if (infos[i].pid == pid && infos[i].generation && !infos[i].is_evicted)
            return true;
    return false;
}

static bool are_readers_back(const struct witness *witness, unsigned stream) {
    struct shmframe_reader_info infos[READERS_LISTED];
    const int count =
        shmframe_session_readers(witness->session, writer_roles[stream].stream,
                                 shmframe_deadline_ns(ANSWER_NS), infos, READERS_LISTED);
    for (unsigned i = 0; i < SEATS; i++)
        if (witness->life[i] && seat_reads(i, stream) &&
            !has_reader(infos, count, atomic_load(&board->seat[i].pid)))
            return false;
    return true;
}

/* Peers that were struck meanwhile do not count any more. */
static void forget_struck(struct witness *witness) {
    for (unsigned i = 0; i < SEATS; i++)
        if (witness->life[i] != atomic_load(&board->seat[i].life) || !is_running(&board->seat[i]))
            witness->life[i] = 0;
}

static bool are_all_back(struct witness *witness) {
    struct shmframe_stream_info infos[STREAMS];
    const int count =
        shmframe_session_streams(witness->session, shmframe_deadline_ns(ANSWER_NS), infos, STREAMS);
    forget_struck(witness);
    if (count < 0)
        return false;
    for (unsigned i = 0; i < STREAMS; i++)
        if (witness->life[i] && !has_stream(infos, count, i))
            return false;
    for (unsigned i = 0; i < STREAMS; i++)
        if (!are_readers_back(witness, i))
            return false;
    return true;
}

static void watch_return(struct witness *witness) {
    if (!are_all_back(witness) || witness->supervisor != atomic_load(&board->supervisor_life))
        return;
    board_sample(RECOVERY_SUPERVISOR, shmframe_now_ns() - atomic_load(&board->supervisor_ready_ns));
    witness->is_watching = false;
}

/* A session of its own for each, so that it does not have to come back itself. */
static void follow_supervisor(struct witness *witness) {
    const uint32_t life = atomic_load(&board->supervisor_life);
    if (life == witness->supervisor)
        return;
    shmframe_session_close(witness->session);
    witness->session = NULL;
    const struct shmframe_session_params params = {
        .socket = board->socket, .name = "witness", .deadline_ns = shmframe_deadline_ns(ANSWER_NS)};
    if (shmframe_session_open(&params, &witness->session) < 0)
        return;
    for (unsigned i = 0; i < SEATS; i++)
        witness->life[i] = is_running(&board->seat[i]) ? atomic_load(&board->seat[i].life) : 0;
    witness->is_watching = witness->supervisor != 0;
    witness->supervisor = life;
}

/* ---- eviction ---- */

/* Errors: -ENOENT it is not there, or not linked; as shmframe_session_evict(). */
static int evict(const struct witness *witness, unsigned number, unsigned reading) {
    const struct reading_role *roles;
    seat_readings(number, &roles);
    const char *stream = writer_roles[roles[reading].stream].stream;
    struct shmframe_reader_info infos[READERS_LISTED];
    const int count = shmframe_session_readers(
        witness->session, stream, shmframe_deadline_ns(ANSWER_NS), infos, READERS_LISTED);
    for (int i = 0; i < count && i < READERS_LISTED; i++)
        if (infos[i].pid == atomic_load(&board->seat[number].pid) && !infos[i].is_evicted)
            return shmframe_session_evict(witness->session, stream, infos[i].number,
                                          shmframe_deadline_ns(ANSWER_NS));
    return count < 0 ? count : -ENOENT;
}

static void answer(struct witness *witness) {
    const uint32_t asked = atomic_load(&board->evict_asked);
    if (asked == witness->evictions)
        return;
    witness->evictions = asked;
    const int code = witness->session ? evict(witness, atomic_load(&board->evict_seat),
                                              atomic_load(&board->evict_reading))
                                      : -ENOTCONN;
    atomic_store(&board->evict_code, code);
    atomic_store(&board->evict_done, asked);
}

void witness_run(void) {
    struct witness witness = {.evictions = atomic_load(&board->evict_asked)};
    for (;;) {
        follow_supervisor(&witness);
        if (witness.session)
            shmframe_session_dispatch(witness.session);
        answer(&witness);
        if (witness.is_watching)
            watch_return(&witness);
        peer_sleep(LOOK_NS);
    }
}
