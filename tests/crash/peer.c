#include "peer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void peer_fail(unsigned seat, const char *call, int code) {
    board_fault("%s: %s: %s: %s", seat_name(seat), call, strerror(-code), shmframe_last_error());
    _exit(1);
}

struct shmframe_session *peer_open_session(unsigned seat) {
    struct shmframe_session *session;
    const struct shmframe_session_params params = {.socket = board->socket,
                                                   .name = seat_name(seat),
                                                   .deadline_ns =
                                                       shmframe_deadline_ns(PATIENCE_NS)};
    const int code = shmframe_session_open(&params, &session);
    if (code < 0)
        peer_fail(seat, "session_open", code);
    return session;
}
