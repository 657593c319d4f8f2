#include "message.h"

#include "error.h"

#include <errno.h>
#include <string.h>

enum direction { FROM_SESSION = 1, FROM_SUPERVISOR = 2, FROM_BOTH = 3 };

struct text_place {
    uint16_t offset;
    uint16_t bytes; /* 0: no more texts */
};

enum { TEXTS_MAX = 4 };

/* What there is to know about a type. This table is the protocol's grammar. */
struct rule {
    const char *name;
    uint32_t bytes;
    uint32_t fds;
    enum direction direction;
    struct text_place text[TEXTS_MAX];
};

#define TEXT(type, member)                                                                         \
    { offsetof(struct message_##type, member), sizeof(((struct message_##type *)0)->member) }
#define RULE(NAME, type, fd_count, from, ...)                                                      \
    [MESSAGE_##NAME] = {.name = #NAME,                                                             \
                        .bytes = sizeof(struct message_##type),                                    \
                        .fds = (fd_count),                                                         \
                        .direction = (from),                                                       \
                        .text = {__VA_ARGS__}}
#define NO_TEXT                                                                                    \
    { 0 }

static const struct rule rules[MESSAGE_TYPES] = {
    RULE(HELLO, hello, 0, FROM_SESSION, TEXT(hello, name)),
    RULE(OPEN_RING, open_ring, 1, FROM_SESSION, TEXT(open_ring, stream)),
    RULE(OFFER_LINK, offer_link, 3, FROM_SESSION, NO_TEXT),
    RULE(HELD_LINK, held_link, 0, FROM_SESSION, NO_TEXT),
    RULE(CLOSE_WRITER, close_writer, 0, FROM_SESSION, NO_TEXT),
    RULE(OPEN_READER, open_reader, 1, FROM_SESSION, TEXT(open_reader, stream),
         TEXT(open_reader, name)),
    RULE(HELD_RING, held_ring, 1, FROM_SESSION, NO_TEXT),
    RULE(CLOSE_READER, close_reader, 0, FROM_SESSION, NO_TEXT),
    RULE(REQUEST, request, 0, FROM_BOTH, TEXT(request, stream), TEXT(request, verb),
         TEXT(request, argument)),
    RULE(ANSWER, answer, 0, FROM_BOTH, TEXT(answer, text)),
    RULE(LIST_STREAMS, list, 0, FROM_SESSION, TEXT(list, stream)),
    RULE(LIST_READERS, list, 0, FROM_SESSION, TEXT(list, stream)),
    RULE(GET_RECORD, reader_of, 0, FROM_SESSION, TEXT(reader_of, stream)),
    RULE(EVICT, reader_of, 0, FROM_SESSION, TEXT(reader_of, stream)),
    RULE(LIST_EVENTS, list_events, 0, FROM_SESSION, NO_TEXT),
    RULE(LIST_NODES, header, 0, FROM_SESSION, NO_TEXT),
    RULE(COMMAND, command, 0, FROM_SESSION, TEXT(command, verb), TEXT(command, node)),
    RULE(WELCOME, welcome, 1, FROM_SUPERVISOR, NO_TEXT),
    RULE(ERROR, error, 0, FROM_SUPERVISOR, TEXT(error, text)),
    RULE(OPENED, opened, 0, FROM_SUPERVISOR, NO_TEXT),
    RULE(WANT_LINKS, want_links, 0, FROM_SUPERVISOR, NO_TEXT),
    RULE(READER_OK, reader_ok, 0, FROM_SUPERVISOR, NO_TEXT),
    RULE(LINK, link, 4, FROM_SUPERVISOR, NO_TEXT),
    RULE(READER_EVENT, reader_event, 0, FROM_SUPERVISOR, TEXT(reader_event, name)),
    RULE(STREAM, stream, 0, FROM_SUPERVISOR, TEXT(stream, info.name), TEXT(stream, info.group),
         TEXT(stream, info.format), TEXT(stream, info.writer)),
    RULE(READER, reader, 0, FROM_SUPERVISOR, TEXT(reader, info.name)),
    RULE(RECORD, record, 1, FROM_SUPERVISOR, NO_TEXT),
    RULE(EVENT, event, 0, FROM_SUPERVISOR, TEXT(event, event.stream), TEXT(event, event.name),
         TEXT(event, event.culprit), TEXT(event, event.text)),
    RULE(NODE, node, 0, FROM_SUPERVISOR, TEXT(node, info.name), TEXT(node, info.kind),
         TEXT(node, info.state), TEXT(node, info.reason)),
    RULE(LINE, line, 0, FROM_SUPERVISOR, TEXT(line, text)),
    RULE(DONE, header, 0, FROM_SUPERVISOR, NO_TEXT),
    RULE(ALLOW, allow, 0, FROM_SESSION, NO_TEXT),
};

static bool is_type(unsigned type) {
    return type > MESSAGE_NONE && type < MESSAGE_TYPES;
}

const char *message_name(unsigned type) {
    return is_type(type) ? rules[type].name : "unknown";
}

uint32_t message_bytes(enum message_type type) {
    return rules[type].bytes;
}

uint32_t message_fds(enum message_type type) {
    return rules[type].fds;
}

bool message_is_from_session(enum message_type type) {
    return rules[type].direction & FROM_SESSION;
}

bool message_is_from_supervisor(enum message_type type) {
    return rules[type].direction & FROM_SUPERVISOR;
}

void message_init(union message *message, enum message_type type, uint32_t cookie) {
    memset(message, 0, sizeof(*message));
    message->header = (struct message_header){.magic = MESSAGE_MAGIC,
                                              .abi = LAYOUT_ABI,
                                              .type = (uint16_t)type,
                                              .bytes = rules[type].bytes,
                                              .cookie = cookie};
}

/* What every version of the protocol has at the same place. */
static int check_header(const struct message_header *header, size_t bytes) {
    if (bytes < sizeof(*header))
        return error_set(-EPROTO, "a message of %zu bytes is too short to be one", bytes);
    if (header->magic != MESSAGE_MAGIC)
        return error_set(-EPROTO, "a message does not begin with the mark of one");
    if (header->abi != LAYOUT_ABI)
        return error_set(-EPROTONOSUPPORT,
                         "the peer speaks version %u of the protocol, this "
                         "program version %u: build both from the same version",
                         header->abi, LAYOUT_ABI);
    if (!is_type(header->type))
        return error_set(-EPROTO, "a message is of unknown type %u", header->type);
    return 0;
}

static int check_texts(const union message *message, const struct rule *rule) {
    for (unsigned i = 0; i < TEXTS_MAX && rule->text[i].bytes; i++)
        if (!memchr((const char *)message + rule->text[i].offset, '\0', rule->text[i].bytes))
            return error_set(-EPROTO, "a text in %s does not end", rule->name);
    return 0;
}

int message_check(const union message *message, size_t bytes, uint32_t fds) {
    int code = check_header(&message->header, bytes);
    if (code < 0)
        return code;
    const struct rule *rule = &rules[message->header.type];
    if (bytes != rule->bytes || message->header.bytes != rule->bytes)
        return error_set(-EPROTO, "%s has %zu bytes and says %u, instead of %u", rule->name, bytes,
                         message->header.bytes, rule->bytes);
    if (fds != rule->fds)
        return error_set(-EPROTO, "%s came with %u descriptors instead of %u", rule->name, fds,
                         rule->fds);
    return check_texts(message, rule);
}

void message_put_text(char *out, size_t out_bytes, const char *text) {
    const size_t length = strnlen(text, out_bytes - 1);
    memmove(out, text, length);
    memset(out + length, 0, out_bytes - length);
}
