#include "port.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int port_find(bool is_udp) {
    /* Below those that the kernel gives to whoever asks for any: nobody gets it by chance while its
     * server is being replaced. Each process begins to look somewhere else. */
    enum { FIRST = 12000, COUNT = 20000, APART = 17 };
    static int next;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    for (int tries = 0; tries < COUNT; tries++) {
        next = (next ? next + 2 : getpid() * APART) % COUNT;
        address.sin_port = htons((uint16_t)(FIRST + next));
        const int fd = socket(AF_INET, (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(fd, 0);
        const bool is_free = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
        close(fd);
        if (is_free)
            return FIRST + next;
    }
    ck_abort_msg("no port is free");
}

/* Whether the kernel's table has a socket that is bound there, in this state. */
static bool is_bound(int port, const char *table, int state) {
    char line[256];
    bool is_found = false;
    FILE *file = fopen(table, "r");
    while (file && !is_found && fgets(line, sizeof(line), file)) {
        unsigned at = 0, found_state = 0;
        is_found = sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &at, &found_state) == 2 &&
                   at == (unsigned)port && found_state == (unsigned)state;
    }
    if (file)
        fclose(file);
    return is_found;
}

/* Whether somebody serves there. A server of one client has stopped listening as soon as the client
 * has come, who may have waited for it: their connection counts as well. */
static bool is_served(int port, bool is_udp) {
    enum { CONNECTED = 0x01, UNCONNECTED = 0x07, LISTENS = 0x0a };
    if (is_udp)
        return is_bound(port, "/proc/net/udp", UNCONNECTED) ||
               is_bound(port, "/proc/net/udp6", UNCONNECTED);
    return is_bound(port, "/proc/net/tcp", LISTENS) || is_bound(port, "/proc/net/tcp6", LISTENS) ||
           is_bound(port, "/proc/net/tcp", CONNECTED) ||
           is_bound(port, "/proc/net/tcp6", CONNECTED);
}

bool port_wait(int port, bool is_udp, pid_t pid) {
    enum { TRIES = 2000 };
    for (int i = 0; i < TRIES; i++) {
        if (is_served(port, is_udp))
            return true;
        if (pid > 0 && waitpid(pid, NULL, WNOHANG) == pid)
            return false;
        poll(NULL, 0, 10);
    }
    ck_abort_msg("nobody listens at port %d", port);
}
