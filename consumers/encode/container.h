/* Which muxer a target gets, on which road its bytes go, and what the muxer is told by default. */
#ifndef CONSUMERS_CONTAINER_H
#define CONSUMERS_CONTAINER_H

#include "program.h"

#include <libavformat/avformat.h>

enum container_road {
    CONTAINER_FILE = 0, /* a path */
    CONTAINER_PIPE,     /* a path that is there and no file: a FIFO, a device */
    CONTAINER_FLOW,     /* standard output */
    CONTAINER_URL,      /* a protocol of libavformat */
    CONTAINER_SELF,     /* the muxer opens what it needs, by the target's name */
};

struct container {
    const AVOutputFormat *format;
    enum container_road road;
    const char *path; /* the target without "file:"; borrowed */
    bool is_split;    /* one muxer takes one stream only: each gets its own, on a port of its own */
    bool is_network;  /* the other side may go away */
};

/* `name` may be NULL: by the target. -EINVAL and fault_set() if there is no such thing. */
int container_choose(const char *target, const char *name, struct container *out_container);

/* What makes a file of it that is playable however it ends, and a flow that can be joined. The
 * user's own are put on top. Takes nothing; `options` is the caller's to free. */
int container_set_options(const struct container *container, const struct option_list *own,
                          AVDictionary **options);

/* Whether a file of it plays up to its last whole piece, without an end. */
bool container_is_in_pieces(const struct container *container, const struct option_list *own);

/* Between two key frames at most, for containers that cut by themselves; 0: no limit. */
int64_t container_key_ns(const struct container *container, const struct option_list *own);

#endif
