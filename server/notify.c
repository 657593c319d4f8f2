#include "notify.h"

#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define STATUS_NS INT64_C(1000000000) /* between two */

/* What the manager had no room for. sd_notify(3) would wait for it, and all streams with it. */
struct untold {
    STAILQ_ENTRY(untold) next;
    char *text, *name; /* `name` may be NULL */
    int fd;            /* -1: none */
};
enum { UNTOLD_MAX = 1024 };
static STAILQ_HEAD(, untold) untold = STAILQ_HEAD_INITIALIZER(untold);
static unsigned untold_count;

/* ---- one message ---- */

/* Linux: a path, or @ and a name that is in no file system. */
static socklen_t find_address(struct sockaddr_un *out) {
    const char *name = getenv("NOTIFY_SOCKET");
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    const size_t length = name ? strlen(name) : 0;
    if (length < 2 || length >= sizeof(out->sun_path) || (name[0] != '/' && name[0] != '@'))
        return 0;
    memcpy(out->sun_path, name, length);
    if (name[0] == '@')
        out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int open_socket(void) {
    static int fd = -1;
    if (fd < 0)
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd;
}

/* Errors: of sendmsg(2); -EAGAIN the manager has not read what it was told before. */
static int send_now(const char *text, int fd) {
    struct sockaddr_un address;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (char *)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_name = &address,
                             .msg_namelen = find_address(&address),
                             .msg_iov = &part,
                             .msg_iovlen = 1};
    if (message.msg_namelen == 0)
        return getenv("NOTIFY_SOCKET") ? -EAFNOSUPPORT : 0;
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    return sendmsg(open_socket(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* ---- what waits ---- */

static void drop(struct untold *entry) {
    STAILQ_REMOVE(&untold, entry, untold, next);
    untold_count--;
    if (entry->fd >= 0)
        close(entry->fd);
    free(entry->text);
    free(entry->name);
    free(entry);
}

void notify_forget(const char *name) {
    struct untold *next;
    for (struct untold *entry = STAILQ_FIRST(&untold); entry; entry = next) {
        next = STAILQ_NEXT(entry, next);
        if (entry->name && strcmp(entry->name, name) == 0)
            drop(entry);
    }
}

static int keep_for_later(const char *text, int fd, const char *name) {
    if (untold_count >= UNTOLD_MAX)
        return -ENOBUFS;
    struct untold *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    *entry = (struct untold){.text = strdup(text), .name = name ? strdup(name) : NULL, .fd = -1};
    STAILQ_INSERT_TAIL(&untold, entry, next);
    untold_count++;
    if (fd >= 0)
        entry->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int code = fd >= 0 && entry->fd < 0 ? -errno : 0;
    if (code == 0 && entry->text && (entry->name || !name))
        return 0;
    drop(entry);
    return code < 0 ? code : -ENOMEM;
}

static void note_failure(int code, const char *text) {
    if (code < 0)
        log_trouble("event=manager-not-told text=%s reason=%s", log_quote(text).text,
                    log_quote(strerror(-code)).text);
}

bool notify_flush(void) {
    struct untold *entry;
    while ((entry = STAILQ_FIRST(&untold))) {
        const int code = send_now(entry->text, entry->fd);
        if (code == -EAGAIN)
            return true;
        note_failure(code, entry->text);
        drop(entry);
    }
    return false;
}

void notify_send(const char *text, int fd, const char *name) {
    int code = notify_flush() ? -EAGAIN : send_now(text, fd);
    if (code == -EAGAIN)
        code = keep_for_later(text, fd, name);
    note_failure(code, text);
}

/* ---- what is told ---- */

void notify_ready(void) {
    notify_send("READY=1", -1, NULL);
}

void notify_stopping(void) {
    notify_send("STOPPING=1", -1, NULL);
}

/* As sd_event_set_watchdog(3), which waits for a manager that does not read. */
static int on_watchdog(sd_event_source *source, uint64_t usec, void *user) {
    (void)usec;
    const uint64_t *interval_usec = user;
    send_now("WATCHDOG=1", -1);
    sd_event_source_set_time_relative(source, *interval_usec);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

int notify_start_watchdog(sd_event *event) {
    static uint64_t interval_usec;
    const int code = sd_watchdog_enabled(0, &interval_usec);
    if (code <= 0)
        return code;
    interval_usec /= 3;
    return sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, 0, interval_usec / 4,
                                      on_watchdog, &interval_usec);
}

static void describe(const struct server *server, char *text, size_t bytes) {
    unsigned live = 0, readers = 0;
    const struct stream *stream;
    TAILQ_FOREACH (stream, &server->streams, all) {
        live += stream->writer != NULL;
        readers += stream->reader_count;
    }
    snprintf(text, bytes, "STATUS=%u %s live, %u %s", live, live == 1 ? "stream" : "streams",
             readers, readers == 1 ? "reader" : "readers");
}

bool notify_status(const struct server *server) {
    static char told[128];
    static int64_t told_ns = -STATUS_NS;
    if (!getenv("NOTIFY_SOCKET"))
        return false;
    char text[sizeof(told)];
    describe(server, text, sizeof(text));
    if (strcmp(text, told) == 0)
        return false;
    const int64_t now_ns = shmframe_now_ns();
    if (now_ns - told_ns < STATUS_NS)
        return true;
    if (notify_flush() || send_now(text, -1) == -EAGAIN)
        return true; /* there will be newer numbers */
    strcpy(told, text);
    told_ns = now_ns;
    return false;
}
