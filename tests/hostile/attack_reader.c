/* Readers: they write their lease page and their record, and map rings, bells and notices. */
#include "attack.h"
#include "victims.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Joins the victims' stream. */
static struct intruder_link join_victim(struct intruder *intruder, int record) {
    struct intruder_link link;
    attack_open(intruder);
    const int code = intruder_join(intruder, VICTIM_STREAM, record, &link);
    if (code < 0)
        attack_fail("join the victims", code);
    return link;
}

/* ---- the lease page ---- */

static void scribble_leases(struct attacker *attacker) {
    struct intruder intruder;
    const struct intruder_link link = join_victim(&intruder, -1);
    while (attack_goes_on()) {
        attack_scribble(attacker, link.lease.base, sizeof(struct lease_page));
        attack_count();
    }
}

/* Leases the slots that the writer is about to lend, as fast as it can. */
static void chase_slots(struct attacker *attacker) {
    struct intruder intruder;
    const struct intruder_link link = join_victim(&intruder, -1);
    const struct ring *ring = link.ring.base;
    struct lease_page *page = link.lease.base;
    while (attack_goes_on()) {
        const uint32_t newest = place_slot(atomic_load(&((struct ring *)ring)->head));
        const uint32_t first = newest + (uint32_t)board_roll(&attacker->random, 4);
        for (uint32_t i = 0; i < SHMFRAME_LEASES_MAX; i++)
            atomic_store(&page->lease[i], lease_word(UINT64_C(1) << 40, (first + i) & 0xff));
        attack_count();
    }
}

/* A new episode of waiting each time that one looks: by word and by socket, whose end is never
 * read. */
static void wait_all_the_time(struct attacker *attacker) {
    (void)attacker;
    struct intruder intruder;
    const struct intruder_link link = join_victim(&intruder, -1);
    struct lease_page *page = link.lease.base;
    for (uint32_t episode = 1; attack_goes_on(); episode++) {
        atomic_store(&page->waiting, wait_word(episode, episode % 2 ? WAIT_SOCKET : WAIT_FUTEX));
        attack_count();
    }
}

static void hold_everything(struct attacker *attacker) {
    (void)attacker;
    struct intruder intruder;
    const struct intruder_link link = join_victim(&intruder, -1);
    struct lease_page *page = link.lease.base;
    for (uint32_t i = 0; i < SHMFRAME_LEASES_MAX; i++)
        atomic_store(&page->lease[i], lease_word(i + 1, i));
    attack_count();
    raise(SIGSTOP); /* alive, and never to come back */
}

/* ---- the record ---- */

static void scribble_record(struct attacker *attacker) {
    struct intruder intruder;
    struct region region;
    const int fd = intruder_make_record(&region);
    struct record_page *page = region.base;
    join_victim(&intruder, fd);
    while (attack_goes_on()) {
        attack_scribble(attacker, page, sizeof(*page));
        page->magic = RECORD_MAGIC; /* or nobody looks */
        page->abi = LAYOUT_ABI;
        attack_count();
    }
}

/* Numbers that might be, and are dear to look at. */
static void lie_in_record(struct attacker *attacker) {
    struct intruder intruder;
    struct region region;
    const int fd = intruder_make_record(&region);
    struct record_page *page = region.base;
    page->magic = RECORD_MAGIC;
    page->abi = LAYOUT_ABI;
    page->id = attack_wild(attacker) | 1;
    join_victim(&intruder, fd);
    for (uint64_t number = 1; attack_goes_on(); number += board_roll(&attacker->random, 3)) {
        for (unsigned i = 0; i < SHMFRAME_OVERRUNS; i++) {
            atomic_store(&page->overrun[i].first, number);
            atomic_store(&page->overrun[i].count, attack_wild(attacker));
            atomic_store(&page->overrun[i].cause, (uint32_t)(attack_wild(attacker) % 10));
            atomic_store(&page->overrun[i].time_ns, shmframe_now_ns());
            atomic_store(&page->overrun[i].number, number - number % SHMFRAME_OVERRUNS + i + 1);
        }
        atomic_store(&page->overruns, number);
        atomic_store(&page->counter[0], number << 20);
        atomic_store(&page->folding, number % 2 ? number : 0);
        atomic_store(&page->state.doing, (uint64_t)attack_wild(attacker));
        attack_count();
    }
}

/* ---- what is only to be read ---- */

static void expect_error(const char *what, long result) {
    attack_count();
    if (result >= 0 || (errno != EPERM && errno != EACCES && errno != EINVAL && errno != EBADF))
        board_fault("%s on what is only to be read answers %ld, errno %d", what, result, errno);
}

static void expect_no_map(const char *what, int fd, size_t bytes) {
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    expect_error(what, base == MAP_FAILED ? -1 : 1);
    if (base != MAP_FAILED)
        munmap(base, bytes);
}

static void try_everything(int fd, const struct region *region, bool is_ours) {
    char path[64], byte = 1;
    expect_no_map("mmap for writing", fd, PAGE_BYTES);
    expect_error("write", pwrite(fd, &byte, 1, 0));
    expect_error("truncate", ftruncate(fd, 0));
    expect_error("extend", ftruncate(fd, 1 << 30));
    expect_error("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE_BYTES));
    expect_error("seal", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    if (!is_ours) {
        expect_error("mprotect", mprotect(region->base, PAGE_BYTES, PROT_READ | PROT_WRITE));
        expect_error("MADV_REMOVE", madvise(region->base, PAGE_BYTES, MADV_REMOVE));
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const int again = open(path, O_RDWR | O_CLOEXEC);
    if (again < 0)
        return;
    expect_no_map("mmap of a descriptor opened again", again, PAGE_BYTES);
    expect_error("write to a descriptor opened again", pwrite(again, &byte, 1, 0));
    close(again);
}

static void write_what_is_read_only(struct attacker *attacker) {
    (void)attacker;
    struct intruder intruder;
    const struct intruder_link link = join_victim(&intruder, -1);
    while (attack_goes_on()) {
        try_everything(link.fd[0], &link.ring, false);
        try_everything(link.fd[1], &link.lease, true);
        try_everything(link.fd[2], &link.bell, false);
        board_sleep(1000000);
    }
}

/* ---- futexes ---- */

enum { WORDS = 5 };
struct words {
    const _Atomic uint32_t *word[WORDS];
};

static struct words words_of(const struct intruder *intruder, const struct intruder_link *link) {
    const struct ring *ring = link->ring.base;
    const struct lease_page *lease = link->lease.base;
    const struct bell_page *bell = link->bell.base;
    const struct notice_page *notice = intruder->notice.base;
    return (struct words){{(const _Atomic uint32_t *)&ring->head, &lease->space, &bell->bell,
                           &bell->writer_waiting, &notice->word}};
}

static long futex(const _Atomic uint32_t *word, int operation, uint32_t value, long value2,
                  const _Atomic uint32_t *other) {
    return syscall(SYS_futex, word, operation, value, value2, other, 0);
}

static void *park(void *user) {
    const _Atomic uint32_t *word = user;
    for (;;)
        futex(word, FUTEX_WAIT, atomic_load((_Atomic uint32_t *)word), 0, NULL);
    return NULL;
}

/* Threads that sleep on each word that can be mapped. */
static void park_sleepers(struct attacker *attacker) {
    struct intruder intruder;
    const struct intruder_link link = join_victim(&intruder, -1);
    const struct words words = words_of(&intruder, &link);
    const unsigned threads = attacker->is_long ? 2000 : 300;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 32768);
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, park, (void *)words.word[i % WORDS]) != 0)
            break;
        attack_count();
    }
    struct lease_page *page = link.lease.base;
    for (uint32_t episode = 1; attack_goes_on(); episode++) {
        atomic_store(&page->waiting, wait_word(episode, WAIT_FUTEX)); /* ring for them all */
        board_sleep(1000000);
    }
}

/* Wakes, and moves sleepers from each word to each other one. */
static void storm_words(struct attacker *attacker) {
    struct intruder intruder;
    const struct intruder_link link = join_victim(&intruder, -1);
    const struct words words = words_of(&intruder, &link);
    while (attack_goes_on()) {
        const unsigned from = (unsigned)board_roll(&attacker->random, WORDS);
        const unsigned to = (unsigned)board_roll(&attacker->random, WORDS);
        futex(words.word[from], FUTEX_WAKE, INT32_MAX, 0, NULL);
        futex(words.word[from], FUTEX_REQUEUE, 0, INT32_MAX, words.word[to]);
        attack_count();
    }
}

const struct attack attacks_of_readers[] = {
    {"scribble-leases", "reader", "harmless", scribble_leases, 0},
    {"chase-slots", "reader", "harmless", chase_slots, 0},
    {"wait-storm", "reader", "harmless", wait_all_the_time, 0},
    {"hold-and-stop", "reader", "harmless", hold_everything, 0},
    {"scribble-record", "reader", "harmless", scribble_record, 0},
    {"lie-in-record", "reader", "harmless", lie_in_record, 0},
    {"write-read-only", "reader", "EPERM, EACCES", write_what_is_read_only, 0},
    {"sleepers", "reader", "harmless", park_sleepers, 0},
    {"futex-storm", "reader", "harmless", storm_words, 0},
    {"scribble-leases-uid", "stranger", "harmless", scribble_leases, ATTACK_AS_STRANGER},
    {"wait-storm-uid", "stranger", "harmless", wait_all_the_time, ATTACK_AS_STRANGER},
    {"write-read-only-uid", "stranger", "EPERM, EACCES", write_what_is_read_only,
     ATTACK_AS_STRANGER},
    {"futex-storm-uid", "stranger", "harmless", storm_words, ATTACK_AS_STRANGER},
    {NULL, NULL, NULL, NULL, 0},
};
