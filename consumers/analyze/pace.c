#include "pace.h"

static const int64_t patience_max_ns = INT64_C(200000000), patience_min_ns = INT64_C(1000000);
/* Before pictures are given up: their partners are lost for good. */
static const int64_t last_patience_ns = INT64_C(1000000000);

void pace_begin(struct pace *out_pace) {
    *out_pace = (struct pace){.patience_ns = patience_max_ns};
}

void pace_step(struct pace *pace, enum pairing_side side, int64_t now_ns) {
    const enum pairing_side other = !side;
    const int64_t released_ns = pace->released_ns[other];
    if (released_ns && now_ns >= released_ns && pace->patience_ns / 2 >= patience_min_ns)
        pace->patience_ns /= 2;
    pace->released_ns[other] = 0;
}

bool pace_allows(struct pace *pace, enum pairing_side side, enum pairing_room room,
                 int64_t now_ns) {
    if (room == PAIRING_HAS_ROOM) {
        pace->released_ns[side] = 0;
        return true;
    }
    if (pace->released_ns[side] == 0 || pace->room[side] != room)
        pace->released_ns[side] =
            now_ns + (room == PAIRING_COPIES ? pace->patience_ns : last_patience_ns);
    pace->room[side] = room;
    return now_ns >= pace->released_ns[side];
}

int64_t pace_due_ns(const struct pace *pace, int64_t now_ns) {
    int64_t due_ns = INT64_MAX;
    for (int side = 0; side < 2; side++)
        if (pace->released_ns[side] > now_ns && pace->released_ns[side] < due_ns)
            due_ns = pace->released_ns[side];
    return due_ns;
}
