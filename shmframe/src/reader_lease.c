/* Reader: what is done with a lease, until it ends: that from any thread. */
#include "reader.h"

#include "clock.h"
#include "error.h"

#include <errno.h>

static uint32_t cell_of(const struct shmframe_lease *lease) {
    return lease->cell >> 16 & 0xf;
}

static uint32_t slot_of(const struct shmframe_lease *lease) {
    return lease->cell & 0xff;
}

static int check_lease(const struct shmframe_reader *reader, const struct shmframe_lease *lease) {
    if (!lease->link || lease->reader != reader)
        return error_set(-EINVAL, "what is to be released is no lease of this reader");
    const struct link_reader *link = lease->link;
    const uint64_t sequence = lease->frame.sequence;
    if (!ring_is_leased(&link->core, cell_of(lease), sequence, slot_of(lease)))
        return error_set(-EINVAL, "frame %llu of stream '%s' is not on lease",
                         (unsigned long long)sequence, reader->stream);
    return 0;
}

/* Whether no other lease is out: its hold is counted later then, all others at once. */
static bool is_alone(const struct shmframe_reader *reader) {
    return reader->leases == 1 && !atomic_load_explicit(&reader->is_astride, memory_order_relaxed);
}

/* False: its frame was overwritten while it was read. */
static bool end_lease(struct shmframe_reader *reader, struct shmframe_lease *lease, int64_t now_ns,
                      bool is_hold_due) {
    struct link_reader *link = lease->link;
    lease->link = NULL;
    /* First: whoever finds the lease gone in the record finds this. */
    atomic_store_explicit(&reader->clock.released_ns, now_ns, memory_order_relaxed);
    record_released(&reader->record, lease, now_ns, is_hold_due);
    /* From here on the link may go. */
    if (ring_release(&link->core, cell_of(lease), lease->frame.sequence, slot_of(lease)) == 0)
        return true;
    record_stale(&reader->record);
    lease->flags |= SHMFRAME_LEASE_STALE;
    return false;
}

static int refuse_stale(const struct shmframe_reader *reader, const struct shmframe_lease *lease) {
    return error_set(-ESTALE, "frame %llu of stream '%s' was overwritten while it was read",
                     (unsigned long long)lease->frame.sequence, reader->stream);
}

__attribute__((hot)) int shmframe_reader_release(struct shmframe_reader *reader,
                                                 struct shmframe_lease *lease) {
    const int64_t now_ns = clock_now_ns();
    const int code = check_lease(reader, lease);
    if (code < 0) {
        lease->link = NULL;
        return code;
    }
    const bool is_hold_due = is_alone(reader);
    if (!is_hold_due)
        record_held(&reader->record, now_ns - lease->acquire_ns, 1);
    return end_lease(reader, lease, now_ns, is_hold_due) ? 0 : refuse_stale(reader, lease);
}

/* A lease that is there twice is over when its turn comes again. */
static bool is_there(const struct shmframe_lease *leases, uint32_t count,
                     const struct shmframe_lease *lease) {
    for (uint32_t i = 0; i < count; i++)
        if (leases[i].cell == lease->cell)
            return true;
    return false;
}

/* How many, of which the first is one, are leases that began at one instant. They are counted. */
static uint32_t count_holds(struct shmframe_reader *reader, const struct shmframe_lease *leases,
                            uint32_t count, int64_t now_ns) {
    uint32_t alike = 1;
    while (alike < count && alike < SHMFRAME_LEASES_MAX &&
           leases[alike].acquire_ns == leases[0].acquire_ns &&
           check_lease(reader, &leases[alike]) == 0 && !is_there(leases, alike, &leases[alike]))
        alike++;
    record_held(&reader->record, now_ns - leases[0].acquire_ns, alike);
    return alike;
}

int shmframe_reader_release_batch(struct shmframe_reader *reader, struct shmframe_lease *leases,
                                  uint32_t count) {
    int worst = 0;
    const int64_t now_ns = clock_now_ns();
    for (uint32_t i = 0, counted = 0; i < count; i++) {
        int code = 0;
        if (i >= counted) {
            code = check_lease(reader, &leases[i]);
            counted = i + (code < 0 ? 1 : count_holds(reader, &leases[i], count - i, now_ns));
        }
        if (code < 0) {
            leases[i].link = NULL;
            worst = code;
        } else if (!end_lease(reader, &leases[i], now_ns, false) && worst == 0) {
            worst = refuse_stale(reader, &leases[i]);
        }
    }
    return worst;
}

void shmframe_reader_present(struct shmframe_reader *reader, const struct shmframe_lease *lease,
                             int64_t present_ns) {
    record_presented(&reader->record, lease, present_ns);
}

const uint8_t *shmframe_lease_plane(const struct shmframe_lease *lease, unsigned plane) {
    return plane < lease->format->plane_count ? lease->data + lease->format->plane[plane].offset
                                              : NULL;
}
