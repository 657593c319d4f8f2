/* Listener: the socket's place. One supervisor a place, in a folder that is ours alone. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>
#include <sys/un.h>

struct listener {
    int fd;
    int folder; /* where socket, lock and names are; -1: the socket was handed to us, without one */
    int lock;   /* -1: not ours to lock */
    bool is_bound; /* by us: ours to remove */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char names[sizeof(((struct sockaddr_un *)0)->sun_path) + 8]; /* the names' file in `folder` */
    char journal[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
};

/* Opens the socket at `path`, or takes the one that the service manager passed on.
 * Errors: -EEXIST another supervisor has the place; -EACCES the folder is not ours alone; -EINVAL;
 * others from the kernel. The sentence says what to do. */
int listener_open(struct listener *listener, const char *path);
void listener_close(struct listener *listener);

#endif
