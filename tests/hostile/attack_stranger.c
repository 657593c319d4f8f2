/* Strangers: another user, whom the supervisor allows to stream, and one whom it does not. */
#include "attack.h"
#include "victims.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void expect_no(const char *what, long result) {
    attack_count();
    if (result >= 0 || (errno != EPERM && errno != EACCES && errno != ESRCH))
        board_fault("another user's %s answers %ld, errno %d", what, result, errno);
}

/* ---- processes ---- */

static void touch_process(pid_t pid) {
    char path[64], byte = 0;
    const struct iovec here = {.iov_base = &byte, .iov_len = 1};
    const struct iovec there = {.iov_base = (void *)0x400000, .iov_len = 1};
    expect_no("ptrace", ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    expect_no("kill", kill(pid, SIGKILL));
    expect_no("stop", kill(pid, SIGSTOP));
    expect_no("process_vm_readv", process_vm_readv(pid, &here, 1, &there, 1, 0));
    expect_no("process_vm_writev", process_vm_writev(pid, &here, 1, &there, 1, 0));
    static const char *const files[] = {"mem", "maps", "fd/3", "environ"};
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        expect_no(files[i], fd);
    }
    const int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return;
    expect_no("pidfd_getfd", pidfd_getfd(pidfd, 3, 0));
    expect_no("pidfd_send_signal", pidfd_send_signal(pidfd, SIGKILL, NULL, 0));
    close(pidfd);
}

static void touch_processes(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        touch_process(board->supervisor);
        touch_process(board->victim);
        board_sleep(100000);
    }
}

/* ---- files ---- */

static void touch_files(struct attacker *attacker) {
    static const char *const suffixes[] = {".lock", ".names", ".journal"};
    (void)attacker;
    while (attack_goes_on()) {
        for (unsigned i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
            char path[160];
            snprintf(path, sizeof(path), "%s%s", board->socket, suffixes[i]);
            expect_no("open", open(path, O_RDWR | O_CLOEXEC));
            expect_no("open for reading", open(path, O_RDONLY | O_CLOEXEC));
            expect_no("unlink", unlink(path));
            expect_no("chmod", chmod(path, 0666));
        }
        expect_no("unlink of the socket", unlink(board->socket));
        expect_no("rename of the socket", rename(board->socket, "/tmp/shmframe-stolen"));
        board_sleep(100000);
    }
}

/* ---- others' readers ---- */

static void touch_readers(struct attacker *attacker) {
    struct intruder intruder;
    (void)attacker;
    attack_open(&intruder);
    for (uint32_t number = 1; attack_goes_on(); number = number % 2 + 1) {
        union message message;
        struct channel_mail mail;
        const enum message_type type = number == 1 ? MESSAGE_EVICT : MESSAGE_GET_RECORD;
        message_init(&message, MESSAGE_LIST_READERS, 8);
        strcpy(message.list.stream, LOSSLESS_STREAM);
        intruder_send_message(&intruder, &message, NULL);
        int code = intruder_await(&intruder, MESSAGE_READER, &mail);
        if (code < 0)
            attack_fail("list the victims", code);
        message_init(&message, type, 9);
        strcpy(message.reader_of.stream, LOSSLESS_STREAM);
        message.reader_of.number = mail.message.reader.info.number;
        intruder_send_message(&intruder, &message, NULL);
        attack_expect(&intruder, VERDICT_REFUSED, -EACCES, "a word about others' readers");
    }
}

/* Names that are taken, and commands that are for those who run nodes. */
static void take_names(struct attacker *attacker) {
    struct intruder intruder;
    (void)attacker;
    attack_open(&intruder);
    while (attack_goes_on()) {
        union message message;
        struct intruder_ring ring;
        if (intruder_make_ring(VICTIM_STREAM, 8, &ring) < 0)
            attack_fail("make a ring", 0);
        intruder_fill_ring(&message, VICTIM_STREAM, 0);
        intruder_send_message(&intruder, &message, &ring.fd);
        attack_expect(&intruder, VERDICT_REFUSED, -EEXIST, "the victims' name");
        intruder_drop_ring(&ring);
    }
}

/* ---- who is not allowed at all ---- */

static void knock(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        struct intruder intruder;
        const int code = intruder_open(&intruder, "outsider");
        if (code != -EACCES && code != -EAGAIN)
            board_fault("who is not allowed hears %d", code);
        attack_count();
    }
}

const struct attack attacks_of_strangers[] = {
    {"touch-processes", "stranger", "EPERM, EACCES", touch_processes, ATTACK_AS_STRANGER},
    {"touch-files", "stranger", "EPERM, EACCES", touch_files, ATTACK_AS_STRANGER},
    {"touch-readers", "stranger", "refused, -EACCES", touch_readers, ATTACK_AS_STRANGER},
    {"take-names", "stranger", "refused, -EEXIST", take_names, ATTACK_AS_STRANGER},
    {"knock", "outsider", "refused, -EACCES", knock, ATTACK_AS_OUTSIDER},
    {"take-names-own", "writer", "refused, -EEXIST", take_names, 0},
    {NULL, NULL, NULL, NULL, 0},
};
