#include <shmframe/supervisor.h>

#include "error.h"
#include "list.h"
#include "session.h"

#include <errno.h>
#include <string.h>

const char *shmframe_event_type_name(unsigned type) {
    static const char *const names[SHMFRAME_JOURNAL_TYPES] = {
        [SHMFRAME_JOURNAL_NONE] = "none",
        [SHMFRAME_JOURNAL_SUPERVISOR] = "supervisor",
        [SHMFRAME_JOURNAL_STREAM_LIVE] = "stream-live",
        [SHMFRAME_JOURNAL_STREAM_ENDED] = "stream-ended",
        [SHMFRAME_JOURNAL_WRITER_GONE] = "writer-gone",
        [SHMFRAME_JOURNAL_READER_JOINED] = "reader-joined",
        [SHMFRAME_JOURNAL_READER_LEFT] = "reader-left",
        [SHMFRAME_JOURNAL_LOSS] = "loss",
        [SHMFRAME_JOURNAL_HOLD] = "hold",
        [SHMFRAME_JOURNAL_HOLD_OVER] = "hold-over",
        [SHMFRAME_JOURNAL_STALL] = "stall",
        [SHMFRAME_JOURNAL_STALL_OVER] = "stall-over",
        [SHMFRAME_JOURNAL_NODE] = "node",
    };
    return type < SHMFRAME_JOURNAL_TYPES ? names[type] : NULL;
}

/* What there is now is not waited for, but an answer has a way to go. */
#define NOW_ANSWER_NS INT64_C(2000000000)

int shmframe_session_events(struct shmframe_session *session, uint64_t after, int64_t deadline_ns,
                            struct shmframe_event *out_events, uint32_t count) {
    if (count == 0)
        return error_set(-EINVAL, "no room for events");
    struct list_state state = {.type = MESSAGE_EVENT,
                               .out = out_events,
                               .item_bytes = sizeof(*out_events),
                               .offset = offsetof(struct message_event, event),
                               .room = count};
    union message message;
    message_init(&message, MESSAGE_LIST_EVENTS, 0);
    message.list_events.after = after;
    message.list_events.count = count;
    message.list_events.flags = deadline_ns == SHMFRAME_NOW ? 0 : MESSAGE_WAIT;
    const int64_t answer_ns =
        deadline_ns == SHMFRAME_NOW ? shmframe_now_ns() + NOW_ANSWER_NS : deadline_ns;
    const int code = list_ask(session, &message, answer_ns, &state);
    if (code < 0)
        return code;
    return state.found ? (int)state.found : -EAGAIN;
}

int shmframe_session_nodes(struct shmframe_session *session, int64_t deadline_ns,
                           struct shmframe_node_info *out_nodes, uint32_t count) {
    struct list_state state = {.type = MESSAGE_NODE,
                               .out = out_nodes,
                               .item_bytes = sizeof(*out_nodes),
                               .offset = offsetof(struct message_node, info),
                               .room = count};
    union message message;
    message_init(&message, MESSAGE_LIST_NODES, 0);
    const int code = list_ask(session, &message, deadline_ns, &state);
    return code < 0 ? code : (int)state.found;
}

struct lines {
    void (*on_line)(void *user, const char *text);
    void *user;
};

static bool take_line(void *user, struct channel_mail *mail) {
    const struct lines *lines = user;
    if (mail->message.header.type == MESSAGE_DONE)
        return true;
    if (mail->message.header.type == MESSAGE_LINE && lines->on_line)
        lines->on_line(lines->user, mail->message.line.text);
    return false;
}

int shmframe_session_command(struct shmframe_session *session, const char *verb, const char *node,
                             int64_t deadline_ns, void (*on_line)(void *user, const char *text),
                             void *user) {
    if (strlen(verb) >= SHMFRAME_VERB_BYTES || (node && strlen(node) >= SHMFRAME_NAME_BYTES))
        return error_set(-EINVAL, "there is no command or node with so long a name");
    struct lines lines = {on_line, user};
    union message message;
    message_init(&message, MESSAGE_COMMAND, 0);
    message_put_text(message.command.verb, sizeof(message.command.verb), verb);
    message_put_text(message.command.node, sizeof(message.command.node), node ? node : "");
    return session_ask(session, &message, NULL, deadline_ns, take_line, &lines);
}
