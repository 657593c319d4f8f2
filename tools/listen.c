#include "listen.h"
#include "program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64 };

/* ---- addresses ---- */

static void fail_address(const char *text) {
    program_fail_usage("\"%s\" should be an address and port such as 127.0.0.1:9464 or [::1]:9464, "
                       "or unix:PATH",
                       text);
}

/* "[::1]:9464" -> "::1", "9464" */
static void split_address(const char *text, char host[LISTEN_TEXT_BYTES], const char **out_port) {
    const char *colon = strrchr(text, ':');
    const size_t length = colon ? (size_t)(colon - text) : 0;
    if (length == 0 || length >= LISTEN_TEXT_BYTES || strspn(colon + 1, "0123456789") == 0 ||
        colon[1 + strspn(colon + 1, "0123456789")] || atol(colon + 1) > 65535)
        fail_address(text);
    const bool is_bracketed = text[0] == '[' && text[length - 1] == ']';
    if (!is_bracketed && memchr(text, ':', length))
        fail_address(text);
    snprintf(host, LISTEN_TEXT_BYTES, "%.*s", (int)(length - 2 * is_bracketed),
             text + is_bracketed);
    *out_port = colon + 1;
}

static bool is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* Where it listens in fact: a port of 0 has become one. */
static void describe_address(struct listen_place *place) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getsockname(place->fd, (struct sockaddr *)&address, &bytes) < 0 ||
        getnameinfo((struct sockaddr *)&address, bytes, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        program_fail("the socket's address cannot be told: %m");
    place->is_public = !is_loopback(&address);
    snprintf(place->text, sizeof(place->text), strchr(host, ':') ? "[%.64s]:%s" : "%.64s:%s", host,
             port);
}

static void open_address(struct listen_place *place, const char *text) {
    char host[LISTEN_TEXT_BYTES];
    const char *port;
    split_address(text, host, &port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    const int code = getaddrinfo(host, port, &hints, &found);
    if (code != 0)
        program_fail("\"%s\" is no address of this machine: %s", host, gai_strerror(code));
    place->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int yes = 1;
    if (place->fd < 0 || setsockopt(place->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        bind(place->fd, found->ai_addr, found->ai_addrlen) < 0 || listen(place->fd, BACKLOG) < 0)
        program_fail("%s cannot be listened on: %m; choose another one with --listen", text);
    freeaddrinfo(found);
    describe_address(place);
}

/* ---- paths ---- */

/* As the supervisor does it: whoever has the lock serves the path, and what is there otherwise is
 * left over. The lock's file stays: one that is removed and made again can be locked twice. */
static void lock_path(struct listen_place *place) {
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
    snprintf(name, sizeof(name), "%s.lock", place->path);
    place->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (place->lock < 0)
        program_fail("%s cannot be opened: %m", name);
    if (flock(place->lock, LOCK_EX | LOCK_NB) == 0)
        return;
    if (errno == EWOULDBLOCK)
        program_fail("%s is served already, by another shmframe metrics: choose another path",
                     place->path);
    program_fail("%s cannot be locked: %m", name);
}

static void remove_stale(const char *path) {
    struct stat info;
    if (lstat(path, &info) < 0) {
        if (errno != ENOENT)
            program_fail("%s: %m", path);
        return;
    }
    if (!S_ISSOCK(info.st_mode) || info.st_uid != geteuid())
        program_fail("%s is there and no socket of this user: remove it, or choose another path",
                     path);
    if (unlink(path) < 0)
        program_fail("%s cannot be removed: %m", path);
}

static void open_path(struct listen_place *place, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (*path == 0 || strlen(path) >= sizeof(address.sun_path))
        program_fail_usage("unix:PATH should have a path of 1 to %zu bytes",
                           sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    place->path = path;
    lock_path(place);
    remove_stale(path);
    place->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t mask = umask(0177);
    const bool is_bound =
        place->fd >= 0 && bind(place->fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    umask(mask);
    if (!is_bound || listen(place->fd, BACKLOG) < 0)
        program_fail("%s cannot be opened: %m", path);
    snprintf(place->text, sizeof(place->text), "unix:%s", path);
}

void listen_open(struct listen_place *place, const char *text) {
    *place = (struct listen_place){.fd = -1, .lock = -1};
    if (strncmp(text, "unix:", 5) == 0)
        open_path(place, text + 5);
    else
        open_address(place, text);
}

void listen_close(struct listen_place *place) {
    if (place->path)
        unlink(place->path);
    if (place->fd >= 0)
        close(place->fd);
    if (place->lock >= 0)
        close(place->lock);
    *place = (struct listen_place){.fd = -1, .lock = -1};
}
