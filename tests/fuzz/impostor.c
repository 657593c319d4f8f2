#include "impostor.h"

#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ours = -1;
static bool is_refusing;
static struct region notice;
static int notice_fd = -1;

/* Takes the place of the C library's. */
int connect(int fd, const struct sockaddr *address, socklen_t bytes) {
    (void)address, (void)bytes;
    int ends[2];
    if (is_refusing) {
        errno = ECONNREFUSED;
        return -1;
    }
    fuzz_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
              "no sockets");
    fuzz_must(dup3(ends[0], fd, O_CLOEXEC) == fd, "no descriptor");
    close(ends[0]);
    if (ours >= 0)
        close(ours);
    ours = ends[1];
    union message message;
    message_init(&message, MESSAGE_WELCOME, 0);
    message.welcome.entries = NOTICE_ENTRIES;
    impostor_say(&message, &notice_fd);
    return 0;
}

struct shmframe_session *impostor_open(void) {
    const struct shmframe_session_params params = {.socket = "/none", .name = "fuzz"};
    struct shmframe_session *session;
    is_refusing = false;
    if (notice_fd < 0)
        fuzz_must(region_create_page("notice", NOTICE_BYTES, REGION_SEALED, &notice, &notice_fd) ==
                      0,
                  "no notice page");
    memset(notice.base, 0, NOTICE_BYTES);
    fuzz_must(shmframe_session_open(&params, &session) == 0, "no session");
    shmframe_session_interrupt(session);
    return session;
}

void impostor_close(struct shmframe_session *session) {
    shmframe_session_close(session);
    if (ours >= 0)
        close(ours);
    ours = -1;
}

void impostor_say(const union message *message, const int *fds) {
    if (ours >= 0)
        (void)channel_send(ours, message, fds);
}

bool impostor_hear(struct channel_mail *out_mail) {
    return ours >= 0 && channel_receive(ours, out_mail) == 0;
}

void impostor_hang_up(bool refuses_others) {
    if (ours >= 0)
        close(ours);
    ours = -1;
    is_refusing = refuses_others;
}

bool impostor_is_there(void) {
    return ours >= 0;
}

struct notice_page *impostor_notice(void) {
    return notice.base;
}
