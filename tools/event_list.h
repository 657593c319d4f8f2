/* What the supervisor's journal holds at this moment. */
#ifndef TOOLS_EVENT_LIST_H
#define TOOLS_EVENT_LIST_H

#include <shmframe/shmframe.h>

/* Events that the supervisor keeps, see supervisor.h. */
enum { EVENT_LIST_MAX = 5120 };

struct event_list {
    struct shmframe_event *event; /* oldest first */
    uint32_t count;
    struct shmframe_event newest; /* that there was, wanted or not; id 0: none */
};

/* Takes the newest of what `is_wanted`, `most` at most. The list is to be finished, also after a
 * failure. Errors: as shmframe_session_events(), but -EAGAIN. */
int event_list_take(struct event_list *list, struct shmframe_session *session,
                    bool (*is_wanted)(void *user, const struct shmframe_event *event), void *user,
                    uint32_t most);
void event_list_finish(struct event_list *list);

#endif
