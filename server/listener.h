/* Listener: the socket's place. One supervisor a place, in a folder where only we can write, and
 * only we can look unless others are to reach the socket. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "settings.h"

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

/* Who is to reach a socket that is made here. */
struct listener_reach {
    enum settings_reach reach;
    gid_t gid; /* REACH_GROUP */
};

/* Opens the socket at `path`, or takes the one that the service manager passed on.
 * Errors: -EEXIST another supervisor has the place; -EACCES the folder is not ours alone; -EINVAL;
 * others from the kernel. The sentence says what to do. */
int listener_open(struct listener *listener, const char *path, const struct listener_reach *reach);
/* Whether a socket could be made at `path`, in a folder that is there or could be made. Errors: as
 * of listener_open(), with its sentence. */
int listener_check(const char *path, const struct listener_reach *reach);
/* Whether descriptors can be passed by this socket. Who connects to a listener begins as it is: one
 * of ours lets none pass, so what is turned away unread has none. Before Linux 6.16 all can. */
void listener_let_pass(int socket, bool is_let);
void listener_close(struct listener *listener);

#endif
