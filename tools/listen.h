/* The socket that a server listens on: an address and port, or a path. */
#ifndef TOOLS_LISTEN_H
#define TOOLS_LISTEN_H

#include <stdbool.h>

enum { LISTEN_TEXT_BYTES = 128 };

struct listen_place {
    int fd;
    int lock;                     /* of a path: held as long as it is served; -1 */
    const char *path;             /* NULL: an address */
    bool is_public;               /* it can be reached from other machines */
    char text[LISTEN_TEXT_BYTES]; /* what a client calls it: "127.0.0.1:9464", "unix:PATH" */
};

/* Opens `text`: "127.0.0.1:9464", "[::1]:9464", "localhost:9464", port 0 for a free one, or
 * "unix:PATH", for this user alone. A mistake, or a place that is taken, ends the program. */
void listen_open(struct listen_place *place, const char *text);
void listen_close(struct listen_place *place);

#endif
