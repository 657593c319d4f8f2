/* Intruder: speaks the protocol raw, with any bytes and descriptors, and maps what it is given. It
 * never asserts: what it is answered is for the attack to judge. */
#ifndef TESTS_HOSTILE_INTRUDER_H
#define TESTS_HOSTILE_INTRUDER_H

#include "board.h"
#include "channel.h"
#include "region.h"

/* What became of what was sent. */
enum verdict {
    VERDICT_HARMLESS = 0, /* nothing: the connection goes on */
    VERDICT_REFUSED,      /* an ERROR, and the connection goes on */
    VERDICT_CUT,          /* the connection is over */
};

struct intruder {
    int socket; /* -1: none */
    struct region notice;
    int code; /* of the last ERROR; 0: there was none */
    char text[256];
};

/* A link, as a reader has it, its lease page writable. */
struct intruder_link {
    struct message_link message;
    struct region ring, lease, bell;
    int fd[4]; /* ring, lease, bell, wake */
};

/* A ring, as a writer has it, and its links. */
struct intruder_ring {
    struct region region;
    struct ring *memory;
    int fd;
    uint32_t generation, links;
    struct bell_page *bell[4];
    struct region bells[4], leases[4];
};

/* Errors: a negative errno of connect(). */
int intruder_connect(struct intruder *intruder);
/* Connects and says HELLO. Errors: also what it was refused with. */
int intruder_open(struct intruder *intruder, const char *name);
void intruder_close(struct intruder *intruder);

/* Any bytes with any descriptors. Errors: a negative errno of sendmsg(). */
int intruder_send(struct intruder *intruder, const void *bytes, size_t count, const int *fds,
                  unsigned fd_count);
int intruder_send_message(struct intruder *intruder, const union message *message, const int *fds);
/* Receives until a message of `type` has come: 0. Errors: the code of an ERROR; -EPIPE;
 * -ETIMEDOUT. */
int intruder_await(struct intruder *intruder, enum message_type type,
                   struct channel_mail *out_mail);
/* Asks something harmless, and tells from what comes before its answer what became of the rest. */
enum verdict intruder_judge(struct intruder *intruder);

/* A record that is sealed and of the right size; its mapping may be written. Returns its
 * descriptor, or a negative errno. */
int intruder_make_record(struct region *out_region);
void intruder_fill_reader(union message *message, const char *stream, uint32_t entry);
/* Joins `stream` in order, with as many leases as there may be, and maps everything. `record`: its
 * descriptor; -1: one without content is made. Errors: what it was refused with. */
int intruder_join(struct intruder *intruder, const char *stream, int record,
                  struct intruder_link *out_link);
void intruder_leave(struct intruder_link *link);

/* Makes a ring of data frames of `slots` slots. Errors: -ENOMEM, -EMFILE. */
int intruder_make_ring(const char *stream, uint32_t slots, struct intruder_ring *out_ring);
void intruder_drop_ring(struct intruder_ring *ring);
void intruder_fill_ring(union message *message, const char *stream, uint32_t links);
/* Opens it with four links. Errors: what it was refused with. */
int intruder_write(struct intruder *intruder, const char *stream, struct intruder_ring *ring);

#endif
