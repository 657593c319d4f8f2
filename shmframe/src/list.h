/* List: a question that the supervisor answers item by item. */
#ifndef SHMFRAME_SRC_LIST_H
#define SHMFRAME_SRC_LIST_H

#include "message.h"

struct shmframe_session;

struct list_state {
    enum message_type type; /* of each item */
    void *out;
    size_t item_bytes, offset; /* of an item; of it in its message */
    uint32_t room, found;      /* found may be more than there was room for */
};

/* Asks, and fills `state` until DONE comes. Errors: as session_ask(). */
int list_ask(struct shmframe_session *session, union message *message, int64_t deadline_ns,
             struct list_state *state);

#endif
