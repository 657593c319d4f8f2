/* What the supervisor answers in an update of gather, before a picture is made of it. */
#ifndef TOOLS_GATHER_ANSWERS_H
#define TOOLS_GATHER_ANSWERS_H

#include <shmframe/shmframe.h>
#include <stddef.h>

struct gather_answers {
    struct shmframe_stream_info *stream;
    uint32_t streams, stream_room;
    struct shmframe_reader_info *reader; /* of all streams, one after the other */
    uint32_t *readers;                   /* how many of each stream */
    uint32_t all_readers, reader_room, readers_room;
    struct shmframe_node_info *node;
    uint32_t nodes, node_room;
};

/* Asks for all, or for some streams alone. Errors: as gather_update(). */
int gather_answers_ask(struct gather_answers *answers, struct shmframe_session *session,
                       const char *const *stream, uint32_t streams, int64_t deadline_ns);
void gather_answers_finish(struct gather_answers *answers);

/* realloc() for so many entries, that ends the program where there is no memory. */
void *gather_grow(void *list, size_t entry_bytes, uint32_t count);

#endif
