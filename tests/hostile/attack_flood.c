/* Floods: more connections, streams, readers, names, descriptors, requests, joins and deaths than
 * anybody needs. */
#include "attack.h"
#include "victims.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- connections ---- */

static void connect_all_the_time(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        struct intruder intruder;
        const int code = intruder_connect(&intruder);
        if (code < 0 && code != -EAGAIN)
            attack_fail("connect", code);
        intruder_close(&intruder);
        attack_count();
    }
}

static void greet_all_the_time(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        struct intruder intruder;
        attack_open(&intruder);
        intruder_close(&intruder);
        attack_count();
    }
}

/* Where the limits are is the administrator's to say: not among the first few, and then each one
 * more hears of it. */
enum { FEW = 8 };
static bool is_limit(int code) {
    return code == -ENOSPC || code == -EMFILE;
}

static void open_too_many_sessions(struct attacker *attacker) {
    struct intruder more;
    (void)attacker;
    for (unsigned i = 0; attack_goes_on(); i++) {
        const int code = intruder_open(&more, "more"); /* and never closed */
        if (code < 0 && (i < FEW || !is_limit(code)))
            board_fault("session %u of a process hears %d", i, code);
        attack_count();
    }
}

/* ---- things of a session ---- */

static void expect_limit(const struct intruder *intruder, enum verdict verdict, const char *what,
                         uint32_t number) {
    attack_count();
    if (verdict == VERDICT_HARMLESS ||
        (verdict == VERDICT_REFUSED && number >= FEW && is_limit(intruder->code)))
        return;
    board_fault("%s %u: verdict %d, code %d: %s", what, number, (int)verdict, intruder->code,
                intruder->text);
}

static void open_too_many_streams(struct attacker *attacker) {
    struct intruder intruder;
    (void)attacker;
    attack_open(&intruder);
    for (uint32_t i = 0; attack_goes_on(); i++) {
        union message message;
        struct intruder_ring ring;
        char name[SHMFRAME_NAME_BYTES];
        snprintf(name, sizeof(name), "many-%u", i);
        if (intruder_make_ring(name, 8, &ring) < 0)
            attack_fail("make a ring", 0);
        intruder_fill_ring(&message, name, 0);
        message.open_ring.writer = i;
        intruder_send_message(&intruder, &message, &ring.fd);
        expect_limit(&intruder, intruder_judge(&intruder), "stream", i);
        intruder_drop_ring(&ring);
    }
}

/* A reader that waits for a stream that nobody writes. */
static enum verdict wait_for(struct intruder *intruder, const char *prefix, uint32_t name,
                             uint32_t entry) {
    union message message;
    struct region region;
    char stream[SHMFRAME_NAME_BYTES];
    const int fd = intruder_make_record(&region);
    snprintf(stream, sizeof(stream), "%s-%u", prefix, name);
    intruder_fill_reader(&message, stream, entry);
    intruder_send_message(intruder, &message, &fd);
    region_unmap(&region);
    close(fd);
    return intruder_judge(intruder);
}

/* Each at an entry that is free, as long as there are some. */
static void wait_for_many(bool is_each_another) {
    struct intruder intruder;
    uint32_t opened = 0;
    attack_open(&intruder);
    for (uint32_t i = 0; attack_goes_on(); i++) {
        const enum verdict verdict = wait_for(&intruder, is_each_another ? "name" : "crowd",
                                              is_each_another ? i : 0, opened);
        expect_limit(&intruder, verdict, is_each_another ? "name" : "reader", i);
        opened += verdict == VERDICT_HARMLESS && opened < NOTICE_ENTRIES - 1;
    }
}

static void wait_for_too_many_names(struct attacker *attacker) {
    (void)attacker;
    wait_for_many(true);
}

static void open_too_many_readers(struct attacker *attacker) {
    (void)attacker;
    wait_for_many(false);
}

/* Many sessions, each with as many readers, and their records, as it is let have. */
static void take_descriptors(struct attacker *attacker) {
    enum { SESSIONS = 16 };
    struct intruder intruder[SESSIONS];
    uint32_t opened[SESSIONS] = {0}, all = 0;
    (void)attacker;
    for (unsigned i = 0; i < SESSIONS; i++)
        attack_open(&intruder[i]);
    for (unsigned i = 0; attack_goes_on(); i = (i + 1) % SESSIONS) {
        const enum verdict verdict = wait_for(&intruder[i], "greedy", i, opened[i]);
        expect_limit(&intruder[i], verdict, "descriptor", all++);
        opened[i] += verdict == VERDICT_HARMLESS && opened[i] < NOTICE_ENTRIES - 1;
    }
}

/* ---- coming and going ---- */

static void join_and_leave(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        struct intruder intruder;
        struct intruder_link link;
        attack_open(&intruder);
        const int code = intruder_join(&intruder, VICTIM_STREAM, -1, &link);
        if (code == 0)
            intruder_leave(&link);
        else if (code != -ENOSPC && code != -EPIPE)
            attack_fail("join the victims", code);
        union message message;
        message_init(&message, MESSAGE_CLOSE_READER, 0);
        intruder_send_message(&intruder, &message, NULL);
        intruder_close(&intruder);
        attack_count();
    }
}

/* As the same, but nobody says goodbye. */
static void join_and_die(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        const pid_t pid = fork();
        if (pid == 0) {
            struct intruder intruder;
            struct intruder_link link;
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (intruder_open(&intruder, "short-lived") == 0 &&
                intruder_join(&intruder, VICTIM_STREAM, -1, &link) == 0)
                atomic_store(&((struct lease_page *)link.lease.base)->lease[0], lease_word(1, 1));
            raise(SIGKILL);
        }
        waitpid(pid, NULL, 0);
        attack_count();
    }
}

/* A ring after a ring, each with its links. */
static void reopen_all_the_time(struct attacker *attacker) {
    struct intruder intruder;
    (void)attacker;
    attack_open(&intruder);
    while (attack_goes_on()) {
        union message message;
        struct channel_mail mail;
        struct intruder_ring ring;
        if (intruder_make_ring("again", 8, &ring) < 0)
            attack_fail("make a ring", 0);
        intruder_fill_ring(&message, "again", 0);
        intruder_send_message(&intruder, &message, &ring.fd);
        const int code = intruder_await(&intruder, MESSAGE_OPENED, &mail);
        if (code < 0)
            attack_fail("open a ring after a ring", code);
        intruder_drop_ring(&ring);
        attack_count();
    }
}

static void request_all_the_time(struct attacker *attacker) {
    struct intruder intruder;
    union message message;
    (void)attacker;
    attack_open(&intruder);
    message_init(&message, MESSAGE_REQUEST, 7);
    strcpy(message.request.stream, VICTIM_STREAM);
    strcpy(message.request.verb, "pause");
    while (attack_goes_on()) {
        struct channel_mail mail;
        intruder_send_message(&intruder, &message, NULL);
        while (channel_receive(intruder.socket, &mail) == 0)
            channel_close_fds(&mail);
        attack_count();
    }
}

/* There is no room for the descriptors that it is sent. */
static void join_without_descriptors(struct attacker *attacker) {
    (void)attacker;
    while (attack_goes_on()) {
        struct intruder intruder;
        struct region region;
        union message message;
        attack_open(&intruder);
        const int fd = intruder_make_record(&region);
        intruder_fill_reader(&message, VICTIM_STREAM, 0);
        const struct rlimit none = {(rlim_t)fd + 2, 1024}, enough = {1024, 1024};
        setrlimit(RLIMIT_NOFILE, &none);
        intruder_send_message(&intruder, &message, &fd);
        struct channel_mail mail;
        const int code = intruder_await(&intruder, MESSAGE_LINK, &mail);
        setrlimit(RLIMIT_NOFILE, &enough);
        if (code == 0)
            channel_close_fds(&mail);
        else if (code != -EMFILE && code != -ENOSPC)
            attack_fail("join without descriptors", code);
        region_unmap(&region);
        close(fd);
        intruder_close(&intruder);
        attack_count();
    }
}

const struct attack attacks_with_floods[] = {
    {"connect-flood", "nobody", "harmless", connect_all_the_time, 0},
    {"hello-flood", "session", "harmless", greet_all_the_time, 0},
    {"too-many-sessions", "session", "refused, -ENOSPC", open_too_many_sessions, 0},
    {"too-many-streams", "writer", "refused, -ENOSPC", open_too_many_streams, 0},
    {"too-many-names", "reader", "refused, -ENOSPC", wait_for_too_many_names, 0},
    {"too-many-readers", "reader", "refused, -ENOSPC", open_too_many_readers, 0},
    {"take-descriptors", "reader", "refused, -EMFILE", take_descriptors, 0},
    {"join-leave-storm", "reader", "harmless", join_and_leave, 0},
    {"join-die-storm", "reader", "harmless", join_and_die, 0},
    {"reopen-storm", "writer", "harmless", reopen_all_the_time, 0},
    {"request-flood", "session", "answered or refused", request_all_the_time, 0},
    {"join-without-fds", "reader", "harmless", join_without_descriptors, 0},
    {"connect-flood-uid", "stranger", "harmless", connect_all_the_time, ATTACK_AS_STRANGER},
    {"join-leave-storm-uid", "stranger", "harmless", join_and_leave, ATTACK_AS_STRANGER},
    {"take-descriptors-uid", "stranger", "refused, -EMFILE", take_descriptors, ATTACK_AS_STRANGER},
    {NULL, NULL, NULL, NULL, 0},
};
