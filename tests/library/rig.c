#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(bool is_so, const char *what) {
    if (is_so)
        return;
    fprintf(stderr, "rig: %s\n", what);
    abort();
}

void *rig_map(size_t bytes) {
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(base != MAP_FAILED, "no memory");
    return base;
}

struct rig *rig_create(uint32_t slots, uint32_t history, uint64_t sequence) {
    struct rig *rig = calloc(1, sizeof(*rig));
    must(rig != NULL, "no memory");
    rig->writer = calloc(1, sizeof(*rig->writer));
    must(rig->writer != NULL, "no memory");
    rig->ring = rig_map(sizeof(*rig->ring));
    rig->notice = rig_map(NOTICE_BYTES);
    rig->payload = rig_map((size_t)slots * RIG_PAYLOAD_BYTES);
    rig->sequence = sequence;
    ring_writer_init(rig->writer, rig->ring, slots, history, &rig->sequence, rig->notice);
    rig->writer->warm = slots;
    return rig;
}

void rig_destroy(struct rig *rig) {
    for (uint32_t i = 0; i < rig->links; i++) {
        munmap(rig->link[i].lease, PAGE_BYTES);
        munmap(rig->link[i].bell, PAGE_BYTES);
        close(rig->link[i].wake);
        close(rig->link[i].core.wake);
    }
    munmap(rig->payload, rig->writer->slots * (size_t)RIG_PAYLOAD_BYTES);
    munmap(rig->ring, sizeof(*rig->ring));
    munmap(rig->notice, NOTICE_BYTES);
    free(rig->writer);
    free(rig);
}

struct rig_link *rig_offer(struct rig *rig) {
    must(rig->links < RIG_LINKS, "too many links");
    struct rig_link *link = &rig->link[rig->links];
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
         "no sockets");
    link->lease = rig_map(PAGE_BYTES);
    link->bell = rig_map(PAGE_BYTES);
    link->wake = ends[1];
    link->core = (struct ring_link){.lease = link->lease,
                                    .bell = link->bell,
                                    .wake = ends[0],
                                    .entry = rig->links,
                                    .serial = rig->links + 1};
    rig->links++;
    ring_writer_add(rig->writer, &link->core);
    return link;
}

void rig_tell(struct rig *rig, const struct rig_link *link, struct grant grant) {
    struct notice_page *notice = rig->notice;
    /* G, as the supervisor does it. */
    atomic_store_explicit(&notice->entry[link->core.entry].word, grant_word(grant),
                          memory_order_release);
    atomic_fetch_add_explicit(&notice->word, 1, memory_order_release);
}

void rig_grant(struct rig *rig, struct rig_link *link, struct rig_want want) {
    const struct grant grant = {.serial = link->core.serial,
                                .depth = want.depth ? want.depth : 1,
                                .leases = want.leases ? want.leases : 1,
                                .is_lossless = want.is_lossless,
                                .state = ENTRY_GRANTED};
    link->reader = (struct ring_reader){.ring = rig->ring,
                                        .lease = link->lease,
                                        .bell = link->bell,
                                        .slots = rig->writer->slots,
                                        .leases = grant.leases,
                                        .depth = grant.depth,
                                        .is_latest = want.depth == 0,
                                        .is_lossless = want.is_lossless,
                                        .begin = want.begin};
    rig_tell(rig, link, grant);
}

void rig_end_grant(struct rig *rig, const struct rig_link *link, enum entry_state state) {
    rig_tell(rig, link, (struct grant){.serial = link->core.serial, .state = state});
}

struct rig_link *rig_join(struct rig *rig, struct rig_want want) {
    struct rig_link *link = rig_offer(rig);
    rig_grant(rig, link, want);
    return link;
}

void rig_paint(uint64_t *payload, uint64_t tag) {
    for (unsigned i = 0; i < RIG_PAYLOAD_BYTES / 8; i++)
        payload[i] = tag * UINT64_C(0x9e3779b97f4a7c15) + i;
}

bool rig_is_painted(const uint64_t *payload, uint64_t tag) {
    bool is_so = true;
    for (unsigned i = 0; i < RIG_PAYLOAD_BYTES / 8; i++)
        is_so &= payload[i] == tag * UINT64_C(0x9e3779b97f4a7c15) + i;
    return is_so;
}

uint64_t rig_put(struct rig *rig) {
    uint32_t slot;
    must(ring_loan(rig->writer, &slot) == 0, "no slot is free");
    const uint64_t sequence = rig->sequence + 1;
    rig_paint(rig->payload[slot], sequence);
    struct shmframe_frame frame = {.capture_ns = (int64_t)sequence * 10};
    ring_put(rig->writer, slot, &frame);
    must(frame.sequence == sequence, "a frame got another number than the next");
    return sequence;
}

uint64_t rig_publish(struct rig *rig) {
    const uint64_t sequence = rig_put(rig);
    ring_announce(rig->writer);
    return sequence;
}

void rig_publish_many(struct rig *rig, unsigned frames) {
    for (unsigned i = 0; i < frames; i++)
        rig_publish(rig);
}

int rig_take(const struct rig *rig, struct rig_link *link, struct ring_frame *out_frame) {
    uint64_t retries = 0;
    const int code = ring_acquire(&link->reader, out_frame, &retries);
    if (code == 0)
        must(rig_is_painted(rig->payload[out_frame->slot], out_frame->sequence), "a torn frame");
    return code;
}

int rig_give_back(struct rig_link *link, const struct ring_frame *frame) {
    return ring_release(&link->reader, frame->cell, frame->sequence, frame->slot);
}

int64_t rig_read(const struct rig *rig, struct rig_link *link) {
    struct ring_frame frame;
    int code = rig_take(rig, link, &frame);
    if (code == 0)
        code = rig_give_back(link, &frame);
    return code < 0 ? code : (int64_t)frame.sequence;
}

uint64_t rig_slot_word(const struct rig *rig, uint32_t slot) {
    return atomic_load_explicit(&rig->ring->slot[slot].state, memory_order_acquire);
}
