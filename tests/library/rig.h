/* Rig: one ring with its notice page and links, all in this process; the test is writer, readers
 * and supervisor at once. What is shared lies in pages of its own, as between processes. */
#ifndef TESTS_LIBRARY_RIG_H
#define TESTS_LIBRARY_RIG_H

#include "bell.h"
#include "ring.h"

enum { RIG_LINKS = 40, RIG_PAYLOAD_BYTES = 256 };

/* A link, both its ends. */
struct rig_link {
    struct ring_link core;
    struct ring_reader reader;
    struct lease_page *lease;
    struct bell_page *bell;
    int wake; /* the reader's end of the socket */
};

struct rig {
    struct ring *ring;
    struct notice_page *notice;
    uint64_t (*payload)[RIG_PAYLOAD_BYTES / 8]; /* one a slot */
    struct ring_writer *writer;
    uint64_t sequence;
    uint32_t links;
    struct rig_link link[RIG_LINKS];
};

/* What a reader asks for, and is granted. */
struct rig_want {
    uint32_t leases;  /* 0: 1 */
    uint32_t depth;   /* 0: latest */
    bool is_lossless; /* with a depth */
    enum ring_begin begin;
};

/* A page of zeros that children share. Ends the process if there is none. */
void *rig_map(size_t bytes);

/* A ring of `slots` slots, all of them warm, whose stream has had `sequence` frames before. */
struct rig *rig_create(uint32_t slots, uint32_t history, uint64_t sequence);
void rig_destroy(struct rig *rig);

/* A link that nobody reads through yet. */
struct rig_link *rig_offer(struct rig *rig);

/* The supervisor's part: the entry, then the word. */
void rig_tell(struct rig *rig, const struct rig_link *link, struct grant grant);
void rig_grant(struct rig *rig, struct rig_link *link, struct rig_want want);
void rig_end_grant(struct rig *rig, const struct rig_link *link, enum entry_state state);

/* rig_offer() and rig_grant(). */
struct rig_link *rig_join(struct rig *rig, struct rig_want want);

/* Fills a payload with what follows from `tag`; true: that is what it holds, all of it. */
void rig_paint(uint64_t *payload, uint64_t tag);
bool rig_is_painted(const uint64_t *payload, uint64_t tag);

/* Loan, paint with the sequence to come, put. Returns the sequence. No slot: ends the process. */
uint64_t rig_put(struct rig *rig);
/* rig_put() and ring_announce(). */
uint64_t rig_publish(struct rig *rig);
void rig_publish_many(struct rig *rig, unsigned frames);

/* ring_acquire() and a look at the payload, which ends the process if it is not what it should be.
 */
int rig_take(const struct rig *rig, struct rig_link *link, struct ring_frame *out_frame);
int rig_give_back(struct rig_link *link, const struct ring_frame *frame);

/* rig_take() and rig_give_back(). Returns the sequence, or a negative errno. */
int64_t rig_read(const struct rig *rig, struct rig_link *link);

uint64_t rig_slot_word(const struct rig *rig, uint32_t slot);

#endif
