#include "journal.h"

#include <poll.h>
#include <string.h>

enum { EVENTS_MAX = 1024, LOOK_AGAIN_MS = 10 };

static unsigned find_losses(const char *stream, const char *name,
                            struct shmframe_event out[JOURNAL_LOSSES_MAX]) {
    static struct shmframe_event event[EVENTS_MAX];
    const int count = shmframe_session_events(world.session, 0, SHMFRAME_NOW, event, EVENTS_MAX);
    ck_assert_int_lt(count, EVENTS_MAX);
    unsigned found = 0;
    for (int i = 0; i < count; i++) {
        if (event[i].type != SHMFRAME_JOURNAL_LOSS || strcmp(event[i].stream, stream) != 0 ||
            strcmp(event[i].name, name) != 0)
            continue;
        ck_assert_uint_lt(found, JOURNAL_LOSSES_MAX);
        out[found++] = event[i];
    }
    return found;
}

void journal_await_losses(const char *stream, const char *name, unsigned number,
                          struct shmframe_event *out_losses) {
    const int64_t deadline_ns = world_deadline();
    struct shmframe_event losses[JOURNAL_LOSSES_MAX];
    unsigned found;
    while ((found = find_losses(stream, name, losses)) < number) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "%s: %u losses of '%s' are noted, not %u",
                      stream, found, name, number);
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
    ck_assert_msg(found == number, "%s: %u losses of '%s' are noted, not %u", stream, found, name,
                  number);
    memcpy(out_losses, losses, number * sizeof(*losses));
}

struct shmframe_event journal_await_loss(const char *stream, const char *name, unsigned number) {
    struct shmframe_event losses[JOURNAL_LOSSES_MAX];
    journal_await_losses(stream, name, number, losses);
    return losses[number - 1];
}
