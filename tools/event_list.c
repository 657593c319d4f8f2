#include "event_list.h"
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 256 };

int event_list_take(struct event_list *list, struct shmframe_session *session,
                    bool (*is_wanted)(void *user, const struct shmframe_event *event), void *user,
                    uint32_t most) {
    const uint32_t room = most < EVENT_LIST_MAX ? most : EVENT_LIST_MAX;
    struct shmframe_event *batch = calloc(BATCH, sizeof(*batch));
    struct shmframe_event *kept = calloc(room, sizeof(*kept));
    *list = (struct event_list){.event = calloc(room, sizeof(*kept))};
    if (!batch || !kept || !list->event)
        program_fail("no memory for %u events", (unsigned)room);
    uint64_t found = 0;
    int count;
    do {
        count = shmframe_session_events(session, list->newest.id, SHMFRAME_NOW, batch, BATCH);
        for (int i = 0; i < count; i++) {
            list->newest = batch[i];
            if (is_wanted(user, &batch[i]))
                kept[found++ % room] = batch[i];
        }
    } while (count > 0);
    for (uint64_t i = found > room ? found - room : 0; i < found; i++)
        list->event[list->count++] = kept[i % room];
    free(batch);
    free(kept);
    return count == -EAGAIN ? 0 : count;
}

void event_list_finish(struct event_list *list) {
    free(list->event);
    *list = (struct event_list){0};
}
