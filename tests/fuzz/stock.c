#include "stock.h"

#include "input.h"
#include "message.h"
#include "region.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct page {
    struct region region;
    void *first; /* a copy of it */
    int fd;
    bool is_lent; /* to who may have written on it */
};

static struct page ring[STOCK_RINGS], record[STOCK_RECORDS], lease, bell;
static int wake = -1, wrong[STOCK_WRONGS];
static unsigned wrongs;
static bool is_made;

const char *stock_stream(unsigned which) {
    static const char *const names[STOCK_STREAMS] = {"a", "b", "c.d-e"};
    return names[which % STOCK_STREAMS];
}

/* ---- right ones ---- */

static void keep(struct page *page) {
    page->first = malloc(page->region.bytes);
    fuzz_must(page->first != NULL, "no memory");
    memcpy(page->first, page->region.base, page->region.bytes);
}

static void make_format(unsigned which, struct shmframe_format *out_format) {
    const int code = which % 3 == 0   ? shmframe_format_data(out_format, "test", 64)
                     : which % 3 == 1 ? shmframe_format_video(out_format, "yuv420p", 32, 16)
                                      : shmframe_format_audio(out_format, "fltp", 2, 48000, 480);
    fuzz_must(code == 0, "no format");
}

static void make_ring(unsigned which) {
    static const uint32_t slots[STOCK_RINGS] = {8, 24, 4, 64, 3, 12};
    struct ring_geometry geometry = {.group = "group"};
    struct shmframe_format format;
    make_format(which, &format);
    message_put_text(geometry.stream, sizeof(geometry.stream), stock_stream(which));
    const uint64_t bytes =
        sizeof(struct ring) + slots[which] * ((format.slot_bytes + 4095) / 4096 * 4096);
    fuzz_must(layout_plan(&geometry, &format, bytes, 1) == 0, "no plan");
    struct page *page = &ring[which];
    fuzz_must(region_create("ring", geometry.ring_bytes, &page->region, &page->fd) == 0, "no ring");
    stock_ring(which)->geometry = geometry;
    fuzz_must(region_seal(page->fd, REGION_SEALED) == 0, "no seal");
    keep(page);
}

static void make_page(struct page *page, size_t bytes, enum region_seal seal) {
    fuzz_must(region_create_page("page", bytes, seal, &page->region, &page->fd) == 0, "no page");
    keep(page);
}

static void make_records(void) {
    for (unsigned i = 0; i < STOCK_RECORDS; i++) {
        make_page(&record[i], RECORD_BYTES, REGION_SEALED);
        struct record_page *page = stock_record(i);
        page->magic = RECORD_MAGIC;
        page->abi = LAYOUT_ABI;
        page->id = 100 + i;
        memcpy(record[i].first, page, RECORD_BYTES);
    }
}

/* ---- wrong ones ---- */

static void add_wrong(int fd) {
    fuzz_must(fd >= 0 && wrongs < STOCK_WRONGS, "no descriptor to be wrong");
    wrong[wrongs++] = fd;
}

/* Of the right size for a record, but for its seals. */
static void add_sealed(size_t bytes, int seals) {
    const int fd = memfd_create("wrong", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    fuzz_must(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "no memory file");
    fuzz_must(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0, "no seals");
    add_wrong(fd);
}

static void add_sockets(void) {
    int ends[2];
    fuzz_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no sockets");
    add_wrong(ends[0]);
    add_wrong(ends[1]);
    fuzz_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "no sockets");
    add_wrong(ends[0]);
    close(ends[1]); /* its peer is gone */
    add_wrong(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static void add_files(void) {
    int ends[2];
    char path[64];
    add_wrong(open("/dev/null", O_RDWR | O_CLOEXEC));
    add_wrong(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    add_wrong(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    add_wrong(open("/", O_PATH | O_CLOEXEC));
    add_wrong(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
    fuzz_must(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
    add_wrong(ends[0]);
    add_wrong(ends[1]);
    add_wrong(eventfd(0, EFD_CLOEXEC));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", lease.fd);
    add_wrong(open(path, O_RDONLY | O_CLOEXEC)); /* a lease page that nobody can write */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ring[0].fd);
    add_wrong(open(path, O_PATH | O_CLOEXEC));
}

static void make_wrong(void) {
    const int size = F_SEAL_SHRINK | F_SEAL_GROW, end = F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    add_sealed(RECORD_BYTES, 0);
    add_sealed(RECORD_BYTES, F_SEAL_SHRINK | end);
    add_sealed(RECORD_BYTES, F_SEAL_GROW | end);
    add_sealed(RECORD_BYTES, size | F_SEAL_SEAL);
    add_sealed(RECORD_BYTES, size | F_SEAL_FUTURE_WRITE);
    add_sealed(RECORD_BYTES, size | F_SEAL_WRITE | F_SEAL_SEAL);
    add_sealed(RECORD_BYTES + PAGE_BYTES, size | end);
    add_sealed(PAGE_BYTES, size | end);
    add_sealed(1, size | end);
    add_sealed(0, size | end);
    add_sockets();
    add_files();
    fuzz_must(wrongs == STOCK_WRONGS, "wrong ones are not counted");
}

/* ---- all of them ---- */

static void make(void) {
    is_made = true;
    for (unsigned i = 0; i < STOCK_RINGS; i++)
        make_ring(i);
    make_records();
    make_page(&lease, LINK_PAGE_BYTES, REGION_LEASE);
    make_page(&bell, LINK_PAGE_BYTES, REGION_SEALED);
    int ends[2];
    fuzz_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0,
              "no sockets");
    wake = ends[0];
    make_wrong();
}

/* Of a ring no payload: nobody looks at it here. */
static void put_back(struct page *page, size_t bytes) {
    if (page->is_lent)
        memcpy(page->region.base, page->first, bytes);
    page->is_lent = false;
}

void stock_reset(void) {
    if (!is_made)
        make();
    for (unsigned i = 0; i < STOCK_RINGS; i++)
        put_back(&ring[i], sizeof(struct ring));
    for (unsigned i = 0; i < STOCK_RECORDS; i++)
        put_back(&record[i], RECORD_BYTES);
}

int stock_fd(enum stock_kind kind, unsigned which) {
    switch (kind) {
    case STOCK_RING:
        return ring[which % STOCK_RINGS].fd;
    case STOCK_RECORD:
        return record[which % STOCK_RECORDS].fd;
    case STOCK_LEASE:
        return lease.fd;
    case STOCK_BELL:
        return bell.fd;
    case STOCK_WAKE:
        return wake;
    case STOCK_WRONG:
    case STOCK_KINDS:
        break;
    }
    return wrong[which % STOCK_WRONGS];
}

struct ring *stock_ring(unsigned which) {
    struct page *page = &ring[which % STOCK_RINGS];
    page->is_lent = true;
    return page->region.base;
}

struct record_page *stock_record(unsigned which) {
    struct page *page = &record[which % STOCK_RECORDS];
    page->is_lent = true;
    return page->region.base;
}
