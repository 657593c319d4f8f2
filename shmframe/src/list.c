#include "list.h"

#include "session.h"

#include <string.h>

static bool take_item(void *user, struct channel_mail *mail) {
    struct list_state *state = user;
    const unsigned type = mail->message.header.type;
    if (type == MESSAGE_DONE)
        return true;
    if (type != state->type)
        return false;
    if (state->found < state->room)
        memcpy((uint8_t *)state->out + state->found * state->item_bytes,
               (const uint8_t *)&mail->message + state->offset, state->item_bytes);
    state->found++;
    return false;
}

int list_ask(struct shmframe_session *session, union message *message, int64_t deadline_ns,
             struct list_state *state) {
    return session_ask(session, message, NULL, deadline_ns, take_item, state);
}
