/* Permission: what somebody at the other end of a socket may do.
 *
 *   trusted   root, the supervisor's own user, --allow-uid, trust = ...: everything
 *   writer    write = ...: writes streams, reads his own and those that are allowed him
 *   reader    whom the settings or a writer allow a stream: reads that
 *   others    are turned away
 */
#ifndef SERVER_PERMISSION_H
#define SERVER_PERMISSION_H

#include "access.h"

#include <sys/socket.h>

struct client;
struct server;
struct stream;
struct stream_ring;

struct permission {
    struct access_who who; /* its groups as they were when it connected */
    bool is_trusted;
    bool may_write;
};

/* Errors: -EACCES with whom to ask; -ENOMEM. */
int permission_find(const struct server *server, int socket, const struct ucred *peer,
                    struct permission *out_permission);
void permission_destroy(struct permission *permission);

/* Each returns 0, or -EACCES with who may. */
int permission_check_write(const struct client *client);
/* May wait for a stream, and read it once there is a writer. */
int permission_check_read(const struct client *client, const struct stream_ring *ring);
/* May make the writer wait, or ask it for something. */
int permission_check_writer(const struct client *client, const struct stream *stream);

#endif
