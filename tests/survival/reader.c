/* A reader that takes every frame it gets, and tells of each in a file that others map.
 *
 *   reader STREAM POLICY DEPTH LEASES FILE        until SIGTERM
 */
#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* survival.py reads this. */
struct account {
    _Atomic uint64_t delivered, last, lost, lost_late, lost_restart, skipped, restarts, formats;
    _Atomic int64_t error;
};

static volatile sig_atomic_t is_ending;
static struct shmframe_session *session;

static void end(int signal_number) {
    (void)signal_number;
    is_ending = 1;
    shmframe_session_interrupt(session);
}

static struct account *map_account(const char *path) {
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct account)) < 0)
        return NULL;
    struct account *account =
        mmap(NULL, sizeof(*account), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return account == MAP_FAILED ? NULL : account;
}

static int take_frame(struct shmframe_reader *reader, struct account *account) {
    struct shmframe_lease lease;
    const int code = shmframe_reader_acquire(reader, shmframe_deadline_ns(SECOND_NS), &lease);
    if (code == -EINTR || code == -ETIMEDOUT)
        return 0;
    if (code < 0)
        return code;
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    const uint64_t sequence = lease.frame.sequence;
    const uint64_t last = account->last;
    if (last != 0 && sequence != last + 1 + lease.lost + lease.skipped)
        return -EPROTO; /* out of order, or not all accounted for */
    account->lost += lease.lost;
    account->lost_late = counters.lost_late;
    account->lost_restart = counters.lost_restart;
    account->skipped = counters.skipped;
    account->restarts = counters.restarts;
    account->formats = counters.formats;
    account->last = sequence;
    account->delivered++;
    return shmframe_reader_release(reader, &lease);
}

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    struct account *account = map_account(argv[5]);
    const struct shmframe_session_params session_params = {
        .name = "survivor", .deadline_ns = shmframe_deadline_ns(20 * SECOND_NS)};
    if (!account || shmframe_session_open(&session_params, &session) < 0)
        return 1;
    const struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    const struct shmframe_reader_params params = {
        .stream = argv[1],
        .name = argv[2],
        .policy = strcmp(argv[2], "latest") == 0 ? SHMFRAME_LATEST : SHMFRAME_IN_ORDER,
        .depth = (uint32_t)atoi(argv[3]),
        .leases = (uint32_t)atoi(argv[4]),
        .deadline_ns = shmframe_deadline_ns(60 * SECOND_NS)};
    struct shmframe_reader *reader = NULL;
    int code = shmframe_reader_open(session, &params, &reader);
    while (code == 0 && !is_ending)
        code = take_frame(reader, account);
    account->error = code;
    if (code < 0)
        fprintf(stderr, "%s: %d: %s\n", argv[2], code, shmframe_last_error());
    shmframe_reader_close(reader);
    shmframe_session_close(session);
    return code < 0;
}
