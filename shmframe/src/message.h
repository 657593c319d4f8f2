/* Messages between a session and the supervisor: fixed sizes, checked in one table. No I/O here.
 *
 * Both sides run on one machine, so integers are in its byte order. Texts are NUL-terminated inside
 * their arrays. Each type has one exact size and one exact number of descriptors.
 */
#ifndef SHMFRAME_SRC_MESSAGE_H
#define SHMFRAME_SRC_MESSAGE_H

#include "access.h"
#include "layout.h"

#include <shmframe/supervisor.h>

#define MESSAGE_MAGIC     0x53464d31u
#define MESSAGE_FDS_MAX   4
/* Rings that a reader shows to the next supervisor, at most. */
#define HELD_RINGS_MAX    4

enum message_type {
    MESSAGE_NONE = 0,
    /* session -> supervisor */
    MESSAGE_HELLO,        /* first of a connection */
    MESSAGE_OPEN_RING,    /* a writer's ring, new or (RESYNC) come back      fds: ring */
    MESSAGE_OFFER_LINK,   /* an unused link of a ring                        fds: lease, bell, wake */
    MESSAGE_HELD_LINK,    /* RESYNC: a link that was granted before */
    MESSAGE_CLOSE_WRITER, /* the stream's writer leaves */
    MESSAGE_OPEN_READER,  /* a reader wants a stream, or (RESYNC) comes back fds: record */
    MESSAGE_HELD_RING,    /* RESYNC: the ring of the link that a reader has  fds: ring */
    MESSAGE_CLOSE_READER,
    MESSAGE_REQUEST,      /* also supervisor -> writer's session */
    MESSAGE_ANSWER,       /* writer's session -> supervisor -> asking session */
    MESSAGE_LIST_STREAMS, /* answered by one STREAM each, then DONE */
    MESSAGE_LIST_READERS, /* answered by one READER each, then DONE */
    MESSAGE_GET_RECORD,   /* answered by RECORD or ERROR */
    MESSAGE_EVICT,        /* answered by DONE or ERROR */
    MESSAGE_LIST_EVENTS,  /* answered by EVENTs, then DONE */
    MESSAGE_LIST_NODES,   /* answered by one NODE each, then DONE */
    MESSAGE_COMMAND,      /* answered by LINEs, then DONE or ERROR */
    /* supervisor -> session */
    MESSAGE_WELCOME,      /* answers HELLO                                   fds: notice */
    MESSAGE_ERROR,        /* answers anything */
    MESSAGE_OPENED,       /* answers OPEN_RING once waiting readers are linked */
    MESSAGE_WANT_LINKS,   /* offer so many more links for a ring */
    MESSAGE_READER_OK,    /* answers OPEN_READER; links follow as rings come */
    MESSAGE_LINK,         /* a reader's link to a ring                       fds: ring, lease, bell, wake */
    MESSAGE_READER_EVENT, /* to a writer: a reader joined or left */
    MESSAGE_STREAM,
    MESSAGE_READER,
    MESSAGE_RECORD,       /*                                                 fds: record */
    MESSAGE_EVENT,
    MESSAGE_NODE,
    MESSAGE_LINE,
    MESSAGE_DONE,
    /* session -> supervisor */
    MESSAGE_ALLOW,        /* before an OPEN_RING: whom its stream is for */
    MESSAGE_TYPES,
};

struct message_header {
    uint32_t magic;
    uint16_t abi;  /* LAYOUT_ABI */
    uint16_t type; /* enum message_type */
    uint32_t bytes;
    uint32_t cookie; /* a question's; its answers bear the same. 0: none expected */
};

enum message_flag {
    MESSAGE_RESYNC = 1 << 0,     /* OPEN_RING, OPEN_READER: after the supervisor's restart */
    MESSAGE_LIVE = 1 << 1,       /* OPEN_RING: lossless readers are refused */
    MESSAGE_MUST_EXIST = 1 << 2, /* OPEN_READER: -ENOENT rather than wait */
    MESSAGE_FROM_START = 1 << 3, /* LINK: begins with the ring's first frame */
    MESSAGE_LEFT = 1 << 4,       /* READER_EVENT: left, not joined */
    MESSAGE_ENDED = 1 << 5,      /* CLOSE_WRITER: after an end of stream */
    MESSAGE_FOLLOWS = 1 << 6,    /* READER_EVENT: had a link to a former ring */
    MESSAGE_WAIT = 1 << 7,       /* LIST_EVENTS: answer once there is one */
};

struct message_hello {
    struct message_header header;
    char name[SHMFRAME_NAME_BYTES];
    int64_t now_ns; /* CLOCK_MONOTONIC: a peer in another time namespace is refused */
};
struct message_open_ring {
    struct message_header header;
    char stream[SHMFRAME_NAME_BYTES];
    uint32_t writer;     /* the session's number for it */
    uint32_t generation; /* 0: new; RESYNC: that of the ring */
    uint32_t flags;
    uint32_t loans;
    uint32_t history;
    uint32_t links;     /* OFFER_LINKs that follow at once */
    uint32_t held;      /* RESYNC: HELD_LINKs that follow at once */
    uint32_t reserved;
    uint64_t sequence;  /* last one published; the new writer's 0 */
};
/* Of the writer's next OPEN_RING; who sends none leaves it to the supervisor's settings. */
struct message_allow {
    struct message_header header;
    uint32_t writer;
    uint32_t count;
    struct access_rule rule[ACCESS_RULES_MAX];
};
struct message_offer_link {
    struct message_header header;
    uint32_t writer;
    uint32_t generation;
    uint32_t entry;
    uint32_t serial;
};
struct message_held_link {
    struct message_header header;
    uint32_t writer;
    uint32_t generation;
    uint32_t entry;
    uint32_t pid;
    uint64_t start_time;
    uint64_t word; /* grant_word() as the former supervisor left it */
};
struct message_close_writer {
    struct message_header header;
    uint32_t writer;
    uint32_t flags;
    uint64_t sequence;
};
struct message_open_reader {
    struct message_header header;
    char stream[SHMFRAME_NAME_BYTES];
    char name[SHMFRAME_NAME_BYTES];
    uint32_t reader; /* entry number in the session's notice page */
    uint32_t policy;
    uint32_t depth;
    uint32_t leases;
    uint32_t flags;
    uint32_t generation; /* RESYNC: of the link it has, 0 for none */
    uint32_t serial;     /* RESYNC: of that link */
    uint32_t entry;      /* RESYNC: of that link, in the writer's page */
    uint64_t head;       /* RESYNC: newest sequence it knows of */
};
/* Its head tells how far the stream came, if the writer does not come back to say so. */
struct message_held_ring {
    struct message_header header;
    uint32_t reader;
    uint32_t generation;
};
struct message_close_reader {
    struct message_header header;
    uint32_t reader;
    uint32_t reserved;
};
struct message_request {
    struct message_header header;
    uint32_t writer; /* supervisor -> writer */
    uint32_t reserved;
    char stream[SHMFRAME_NAME_BYTES];
    char verb[SHMFRAME_VERB_BYTES];
    char argument[SHMFRAME_ARGUMENT_BYTES];
};
struct message_answer {
    struct message_header header;
    int32_t status;
    uint32_t reserved;
    char text[SHMFRAME_ARGUMENT_BYTES];
};
struct message_list {
    struct message_header header;
    char stream[SHMFRAME_NAME_BYTES]; /* LIST_READERS */
};
struct message_reader_of { /* GET_RECORD, EVICT */
    struct message_header header;
    char stream[SHMFRAME_NAME_BYTES];
    uint32_t number;
    uint32_t reserved;
};
struct message_list_events {
    struct message_header header;
    uint64_t after; /* id; those that follow are wanted */
    uint32_t count; /* at most */
    uint32_t flags; /* WAIT */
};
struct message_command {
    struct message_header header;
    char verb[SHMFRAME_VERB_BYTES];
    char node[SHMFRAME_NAME_BYTES]; /* "": all of them, or the supervisor itself */
};
struct message_welcome {
    struct message_header header;
    uint32_t entries; /* of the notice page */
    int32_t pid;      /* the supervisor's, for show */
};
struct message_error {
    struct message_header header;
    int32_t code; /* negative errno */
    uint32_t reserved;
    char text[256];
};
struct message_opened {
    struct message_header header;
    uint32_t writer;
    uint32_t generation;
    uint64_t sequence; /* the last one of the stream so far */
};
struct message_want_links {
    struct message_header header;
    uint32_t writer;
    uint32_t generation;
    uint32_t links;
    uint32_t reserved;
};
struct message_reader_ok {
    struct message_header header;
    uint32_t reader;
    uint32_t number; /* of the reader at the supervisor */
};
struct message_link {
    struct message_header header;
    uint32_t reader;
    uint32_t generation;
    uint32_t entry; /* in the writer's notice page */
    uint32_t serial;
    uint32_t leases; /* granted */
    uint32_t depth;  /* granted */
    uint32_t is_lossless;
    uint32_t flags;
    uint32_t slots; /* to back with memory before the first lease */
    int32_t writer_pid;
    uint32_t gone_generation; /* rings up to it have lost their writer */
    uint32_t reserved;
};
struct message_reader_event {
    struct message_header header;
    uint32_t writer;
    uint32_t number;
    int32_t pid;
    uint32_t flags;
    char name[SHMFRAME_NAME_BYTES];
};
struct message_stream {
    struct message_header header;
    struct shmframe_stream_info info;
};
struct message_reader {
    struct message_header header;
    struct shmframe_reader_info info;
};
struct message_record {
    struct message_header header;
    uint32_t number;
    uint32_t reserved;
};
struct message_event {
    struct message_header header;
    struct shmframe_event event;
};
struct message_node {
    struct message_header header;
    struct shmframe_node_info info;
};
struct message_line {
    struct message_header header;
    char text[256];
};

union message {
    struct message_header header;
    struct message_hello hello;
    struct message_open_ring open_ring;
    struct message_allow allow;
    struct message_offer_link offer_link;
    struct message_held_link held_link;
    struct message_close_writer close_writer;
    struct message_open_reader open_reader;
    struct message_held_ring held_ring;
    struct message_close_reader close_reader;
    struct message_request request;
    struct message_answer answer;
    struct message_list list;
    struct message_reader_of reader_of;
    struct message_welcome welcome;
    struct message_error error;
    struct message_opened opened;
    struct message_want_links want_links;
    struct message_reader_ok reader_ok;
    struct message_link link;
    struct message_reader_event reader_event;
    struct message_stream stream;
    struct message_reader reader;
    struct message_record record;
    struct message_list_events list_events;
    struct message_command command;
    struct message_event event;
    struct message_node node;
    struct message_line line;
};

/* "OPEN_RING" ...; "unknown" out of range. */
const char *message_name(unsigned type);
/* Exact size in bytes and exact number of descriptors of a type that exists. */
uint32_t message_bytes(enum message_type type);
uint32_t message_fds(enum message_type type);
/* Whether a session (true) or the supervisor may send the type; REQUEST and ANSWER go both ways. */
bool message_is_from_session(enum message_type type);
bool message_is_from_supervisor(enum message_type type);

/* Zeroes `message` and fills its header. */
void message_init(union message *message, enum message_type type, uint32_t cookie);

/* Checks `bytes` received with `fds` descriptors: size, magic, version, type, terminated texts.
 * Errors: -EPROTO, -EPROTONOSUPPORT; the sentence says what was wrong. */
int message_check(const union message *message, size_t bytes, uint32_t fds);

/* Copies a text into an array of a message, cut and terminated. */
void message_put_text(char *out, size_t out_bytes, const char *text);

#endif
