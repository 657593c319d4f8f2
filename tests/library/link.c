/* Links: what a reader's end accepts, and each thing that it refuses. */
#include "link.h"

#include "session.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <shmframe/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* A writer's side: a ring, one link, and the mail that a supervisor would make of it. */
struct offer {
    struct region ring;
    int ring_fd;
    struct link_writer *link;
    struct channel_mail mail;
};

static struct ring_geometry plan(void) {
    struct ring_geometry geometry = {.stream = "camera", .generation = 3};
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 100), 0);
    ck_assert_int_eq(layout_plan(&geometry, &format, sizeof(struct ring) + 8 * PAGE_BYTES, 2), 0);
    return geometry;
}

static void make_ring(struct offer *offer, const struct ring_geometry *geometry, size_t bytes,
                      bool is_sealed) {
    ck_assert_int_eq(region_create("test-ring", bytes, &offer->ring, &offer->ring_fd), 0);
    if (bytes >= sizeof(struct ring))
        ((struct ring *)offer->ring.base)->geometry = *geometry;
    if (is_sealed)
        ck_assert_int_eq(region_seal(offer->ring_fd, REGION_SEALED), 0);
}

static void make_offer_with(struct offer *offer, const struct ring_geometry *geometry, size_t bytes,
                            bool is_sealed) {
    memset(offer, 0, sizeof(*offer));
    make_ring(offer, geometry, bytes, is_sealed);
    int fds[LINK_OFFER_FDS];
    ck_assert_int_eq(link_writer_create(7, 9, &offer->link, fds), 0);
    offer->mail.fd[0] = fcntl(offer->ring_fd, F_DUPFD_CLOEXEC, 0);
    memcpy(&offer->mail.fd[1], fds, sizeof(fds));
    offer->mail.fds = 4;
    struct message_link *link = &offer->mail.message.link;
    link->generation = geometry->generation;
    link->leases = 2;
    link->depth = 1;
    link->slots = 3;
}

static void make_offer(struct offer *offer) {
    const struct ring_geometry geometry = plan();
    make_offer_with(offer, &geometry, geometry.ring_bytes, true);
}

static void end_offer(struct offer *offer) {
    channel_close_fds(&offer->mail);
    link_writer_destroy(offer->link);
    region_unmap(&offer->ring);
    close(offer->ring_fd);
}

/* Refused, with a reason, and nothing is left open or mapped. */
static void refuse(struct offer *offer, int code) {
    struct link_reader *link = NULL;
    ck_assert_int_eq(link_reader_create(&offer->mail, "camera", &link), code);
    ck_assert_ptr_null(link);
    ck_assert_uint_gt(strlen(shmframe_last_error()), 0);
    end_offer(offer);
}

static void swap_fd(struct offer *offer, unsigned which, int fd) {
    ck_assert_int_ge(fd, 0);
    close(offer->mail.fd[which]);
    offer->mail.fd[which] = fd;
}

START_TEST(a_good_link_ties_both_ends_together) {
    struct offer offer;
    make_offer(&offer);
    struct link_reader *link;
    ck_assert_int_eq(link_reader_create(&offer.mail, "camera", &link), 0);
    ck_assert_uint_eq(link->generation, 3);
    ck_assert_uint_eq(link->slots_due, 3);
    ck_assert_uint_eq(link->core.slots, 8);
    ck_assert_uint_eq(link->core.leases, 2);
    ck_assert_int_eq(link->core.begin, RING_BEGIN_NEWEST);
    ck_assert_int_eq(offer.mail.fd[3], -1); /* taken */
    atomic_store(&link->core.lease->lease[1], 42);
    ck_assert_uint_eq(atomic_load(&offer.link->core.lease->lease[1]), 42);
    atomic_store(&offer.link->core.bell->bell, 43);
    ck_assert_uint_eq(atomic_load(&link->core.bell->bell), 43);
    char byte = 0;
    ck_assert_int_eq(send(offer.link->core.wake, "x", 1, 0), 1);
    ck_assert_int_eq(recv(link->wake, &byte, 1, 0), 1);
    ck_assert_int_eq(byte, 'x');
    link_reader_destroy(link);
    end_offer(&offer);
}
END_TEST

START_TEST(the_grant_decides_where_a_reader_begins) {
    static const struct {
        uint32_t is_lossless, flags;
        enum ring_begin begin;
    } grants[] = {
        {0, 0, RING_BEGIN_NEWEST},
        {0, MESSAGE_FROM_START, RING_BEGIN_FIRST},
        {1, 0, RING_BEGIN_TOLD},
        {1, MESSAGE_FROM_START, RING_BEGIN_FIRST},
    };
    for (unsigned i = 0; i < SUITE_COUNT(grants); i++) {
        struct offer offer;
        make_offer(&offer);
        offer.mail.message.link.is_lossless = grants[i].is_lossless;
        offer.mail.message.link.flags = grants[i].flags;
        offer.mail.message.link.slots = UINT32_MAX;
        struct link_reader *link;
        ck_assert_int_eq(link_reader_create(&offer.mail, "camera", &link), 0);
        ck_assert_int_eq(link->core.begin, grants[i].begin);
        ck_assert_int_eq(link->core.is_lossless, grants[i].is_lossless);
        ck_assert_uint_eq(link->slots_due, 8); /* no more than there are */
        link_reader_destroy(link);
        end_offer(&offer);
    }
}
END_TEST

START_TEST(neither_end_can_write_what_the_other_writes) {
    struct offer offer;
    make_offer(&offer);
    struct link_reader *link;
    ck_assert_int_eq(link_reader_create(&offer.mail, "camera", &link), 0);
    ck_assert_int_eq(mprotect(link->bell.base, PAGE_BYTES, PROT_READ | PROT_WRITE), -1);
    ck_assert_int_eq(mprotect(link->ring.base, PAGE_BYTES, PROT_READ | PROT_WRITE), -1);
    /* The kernel writes there for us: an error instead of a signal. */
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(write(pipes[1], "x", 1), 1);
    ck_assert_int_eq(read(pipes[0], offer.link->lease.base, 1), -1);
    ck_assert_int_eq(errno, EFAULT);
    close(pipes[0]);
    close(pipes[1]);
    ck_assert_ptr_eq(mmap(NULL, PAGE_BYTES, PROT_WRITE, MAP_SHARED, offer.mail.fd[1], 0),
                     MAP_FAILED);
    link_reader_destroy(link);
    end_offer(&offer);
}
END_TEST

START_TEST(a_link_is_used_once) {
    struct offer offer;
    make_offer(&offer);
    const int wake = fcntl(offer.mail.fd[3], F_DUPFD_CLOEXEC, 0);
    struct link_reader *link, *second = NULL;
    ck_assert_int_eq(link_reader_create(&offer.mail, "camera", &link), 0);
    offer.mail.fd[3] = wake;
    ck_assert_int_eq(link_reader_create(&offer.mail, "camera", &second), -EPROTO);
    link_reader_destroy(link);
    end_offer(&offer);
}
END_TEST

START_TEST(a_grant_out_of_range_is_refused) {
    static const uint32_t leases[] = {0, SHMFRAME_LEASES_MAX + 1, UINT32_MAX};
    struct offer offer;
    for (unsigned i = 0; i < SUITE_COUNT(leases); i++) {
        make_offer(&offer);
        offer.mail.message.link.leases = leases[i];
        refuse(&offer, -EPROTO);
    }
    make_offer(&offer);
    offer.mail.message.link.generation = 0;
    refuse(&offer, -EPROTO);
}
END_TEST

START_TEST(another_streams_ring_is_refused) {
    struct offer offer;
    make_offer(&offer);
    struct link_reader *link = NULL;
    ck_assert_int_eq(link_reader_create(&offer.mail, "microphone", &link), -EPROTO);
    ck_assert_ptr_null(link);
    end_offer(&offer);
}
END_TEST

static int open_null(void) {
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int open_socket(void) {
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int open_stream_socket(void) {
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_memory(void) {
    return memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

START_TEST(a_descriptor_of_another_type_is_refused) {
    static int (*const others[])(void) = {open_null, open_socket, open_stream_socket, open_memory};
    for (unsigned which = 0; which < 4; which++) {
        for (unsigned i = 0; i < SUITE_COUNT(others); i++) {
            if (which == 3 && others[i] == open_socket)
                continue;
            struct offer offer;
            make_offer(&offer);
            swap_fd(&offer, which, others[i]());
            refuse(&offer, -EPROTO);
        }
    }
}
END_TEST

START_TEST(descriptors_in_another_order_are_refused) {
    for (unsigned a = 0; a < 4; a++) {
        for (unsigned b = a + 1; b < 4; b++) {
            struct offer offer;
            make_offer(&offer);
            const int fd = offer.mail.fd[a];
            offer.mail.fd[a] = offer.mail.fd[b];
            offer.mail.fd[b] = fd;
            refuse(&offer, -EPROTO);
        }
    }
}
END_TEST

static int make_page(size_t bytes, int seals) {
    const int fd = open_memory();
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

START_TEST(pages_of_another_size_or_with_other_seals_are_refused) {
    const int size = F_SEAL_SHRINK | F_SEAL_GROW, all = size | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    const struct {
        unsigned which;
        size_t bytes;
        int seals;
    } pages[] = {
        {1, 2 * PAGE_BYTES, size},
        {1, PAGE_BYTES - 1, size},
        {1, PAGE_BYTES, all},
        {1, PAGE_BYTES, F_SEAL_GROW},
        {1, PAGE_BYTES, 0},
        {2, 2 * PAGE_BYTES, all},
        {2, 1, all},
        {2, PAGE_BYTES, size},
        {2, PAGE_BYTES, all & ~F_SEAL_SEAL},
        {2, PAGE_BYTES, all & ~F_SEAL_FUTURE_WRITE},
        {0, PAGE_BYTES, all},
        {0, sizeof(struct ring) - PAGE_BYTES, all},
        {0, 1, all},
    };
    for (unsigned i = 0; i < SUITE_COUNT(pages); i++) {
        struct offer offer;
        make_offer(&offer);
        swap_fd(&offer, pages[i].which, make_page(pages[i].bytes, pages[i].seals));
        refuse(&offer, -EPROTO);
        if (pages[i].which == 0) /* before anything behind its end is looked at */
            ck_assert_ptr_nonnull(strstr(shmframe_last_error(), "too short"));
    }
}
END_TEST

START_TEST(a_ring_that_is_not_sealed_is_refused) {
    const struct ring_geometry geometry = plan();
    struct offer offer;
    make_offer_with(&offer, &geometry, geometry.ring_bytes, false);
    refuse(&offer, -EPROTO);
}
END_TEST

START_TEST(a_geometry_that_lies_is_refused) {
    const struct ring_geometry good = plan();
    struct offer offer;
    make_offer_with(&offer, &good, good.ring_bytes + PAGE_BYTES, true);
    refuse(&offer, -EPROTO);
    struct ring_geometry bad = good;
    bad.slots++;
    make_offer_with(&offer, &bad, good.ring_bytes, true);
    refuse(&offer, -EPROTO);
    bad = good;
    bad.magic++;
    make_offer_with(&offer, &bad, good.ring_bytes, true);
    refuse(&offer, -EPROTO);
    bad = good;
    bad.abi++;
    make_offer_with(&offer, &bad, good.ring_bytes, true);
    refuse(&offer, -EPROTONOSUPPORT);
    bad = good;
    bad.slot_stride = UINT64_C(1) << 63;
    make_offer_with(&offer, &bad, good.ring_bytes, true);
    refuse(&offer, -EPROTO);
    bad = good;
    memset(bad.stream, 'a', sizeof(bad.stream));
    make_offer_with(&offer, &bad, good.ring_bytes, true);
    refuse(&offer, -EPROTO);
}
END_TEST

/* Also when all of them have been taken once, and it begins again. */
START_TEST(an_entry_is_one_links_until_it_is_given_back) {
    static struct shmframe_session session;
    bool is_taken[NOTICE_ENTRIES] = {false};
    uint32_t entry;
    for (unsigned i = 0; i < NOTICE_ENTRIES; i++) {
        ck_assert_int_eq(session_take_entry(&session, &entry), 0);
        ck_assert_uint_lt(entry, NOTICE_ENTRIES);
        ck_assert(!is_taken[entry]);
        is_taken[entry] = true;
    }
    ck_assert_int_eq(session_take_entry(&session, &entry), -ENOSPC);
    session_give_entry(&session, 77);
    ck_assert_int_eq(session_take_entry(&session, &entry), 0);
    ck_assert_uint_eq(entry, 77);
}
END_TEST

START_TEST(a_frame_passes_through_a_real_link) {
    struct offer offer;
    make_offer(&offer);
    struct link_reader *link;
    ck_assert_int_eq(link_reader_create(&offer.mail, "camera", &link), 0);
    struct notice_page *notice = calloc(1, NOTICE_BYTES);
    struct ring_writer *writer = calloc(1, sizeof(*writer));
    ck_assert(notice && writer);
    uint64_t sequence = 0;
    ring_writer_init(writer, offer.ring.base, 8, 1, &sequence, notice);
    ring_writer_add(writer, &offer.link->core);
    const struct grant grant = {.serial = 9, .leases = 2, .depth = 1, .state = ENTRY_GRANTED};
    atomic_store(&notice->entry[7].word, grant_word(grant));
    atomic_fetch_add(&notice->word, 1);
    link->core.is_latest = true;
    for (uint64_t i = 1; i <= 20; i++) {
        uint32_t slot;
        struct shmframe_frame stamps = {.pts = (int64_t)i};
        ck_assert_int_eq(ring_loan(writer, &slot), 0);
        ring_put(writer, slot, &stamps);
        ring_announce(writer);
        struct ring_frame frame;
        uint64_t retries = 0;
        ck_assert_int_eq(ring_acquire(&link->core, &frame, &retries), 0);
        ring_copy_stamps(&link->core, &frame, &stamps);
        ck_assert_int_eq(stamps.pts, (int64_t)i);
        ck_assert_int_eq(ring_release(&link->core, frame.cell, frame.sequence, frame.slot), 0);
    }
    free(writer);
    free(notice);
    link_reader_destroy(link);
    end_offer(&offer);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {a_good_link_ties_both_ends_together},
        {the_grant_decides_where_a_reader_begins},
        {neither_end_can_write_what_the_other_writes},
        {a_link_is_used_once},
        {a_grant_out_of_range_is_refused},
        {another_streams_ring_is_refused},
        {a_descriptor_of_another_type_is_refused},
        {descriptors_in_another_order_are_refused},
        {pages_of_another_size_or_with_other_seals_are_refused},
        {a_ring_that_is_not_sealed_is_refused},
        {a_geometry_that_lies_is_refused},
        {a_frame_passes_through_a_real_link},
        {an_entry_is_one_links_until_it_is_given_back},
    };
    return suite_run("link", tests, SUITE_COUNT(tests));
}
